//! Odd subjects and large inputs: recorded, found, replayed, erased like any other.

use serde_json::{Value as Json, json};

use crate::harness::{Project, Setup, sample};

fn about(name: &str) -> Json {
    let (mut values, _) = sample(1);
    values.insert("name".to_owned(), json!(name));
    json!({ "input": values })
}

#[test]
fn a_subject_may_be_any_text() {
    let project = Project::new(&Setup { events: "", subject: "input.name", ..Setup::default() });
    let server = project.up();
    let client = server.client(&project.key("app", &[]));
    let long = "ß".repeat(20_000);
    let subjects =
        ["x", " ", "a\nb", "--help", "7", "07", "é", "e\u{301}", "\u{202e}abc", "{\"a\":1}", "💡", "\u{7f}", &long];
    let mut ids = Vec::new();
    for subject in subjects {
        let answer = client.decide(&about(subject), None);
        assert_eq!(answer.status, 200, "{subject:?}: {}", answer.json());
        assert_eq!(answer.json()["subject"], subject);
        ids.push(answer.json()["id"].as_str().unwrap().to_owned());
    }
    for (subject, id) in subjects.iter().zip(&ids) {
        let which = format!("--subject={subject}");
        let listed = project.json(&["decisions", "list", &which]);
        let found: Vec<_> = listed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
        assert_eq!(found, [id], "{subject:?}");
        assert_eq!(project.json(&["decisions", "replay", id])["same"], true);
        assert_eq!(project.json(&["ledger", "erase", &which])["decisions"], 1, "{subject:?}");
        assert_eq!(client.get(&format!("/v1/decisions/{id}")).status, 410, "{subject:?}");
    }
    // Nothing is about nobody: an empty subject is as good as any other, or refused, but never a failure.
    let empty = client.decide(&about(""), None);
    assert!([200, 422].contains(&empty.status), "{}", empty.json());
    server.stop();
    project.verify();
}

#[test]
fn a_large_input_is_recorded_whole() {
    let project = Project::new(&Setup { events: "", subject: "input.name", ..Setup::default() });
    let server = project.up();
    let client = server.client(&project.key("app", &[]));
    let mut ids = Vec::new();
    for number in 0..20 {
        let mut body = about(&format!("large {number}"));
        body["input"]["job"] = json!("j".repeat(1_000_000));
        let answer = client.decide(&body, Some(&format!("large {number}")));
        assert_eq!(answer.status, 200, "{}", answer.json());
        ids.push(answer.json()["id"].as_str().unwrap().to_owned());
    }
    server.stop();
    project.verify();
    let server = project.up();
    for id in &ids {
        assert_eq!(server.client(&client.key).get(&format!("/v1/decisions/{id}")).status, 200);
        assert_eq!(project.json(&["decisions", "replay", id])["same"], true);
        let proof = project.json(&["ledger", "export", "--proof", id, "--open", "input"]);
        assert!(proof["proof"].as_str().unwrap().len() > 1_000_000);
    }
    server.stop();
}

#[test]
fn more_at_once_than_allowed_is_shed_and_told_to_come_back() {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let text = std::fs::read_to_string(project.path().join("tendon.yaml")).unwrap();
    project.write("tendon.yaml", &format!("{text}server: {{ in_flight: 1 }}\n"));
    let server = project.up();
    let client = server.client(&project.key("app", &[]));
    let mut shed = 0;
    for _ in 0..200 {
        let answers: Vec<_> = std::thread::scope(|scope| {
            let ask = || client.decide(&crate::harness::input(1), None);
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(answers.iter().any(|answer| answer.status == 200), "nobody was answered");
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            let problem = answer.json();
            assert_eq!((answer.status, problem["code"].as_str()), (503, Some("overloaded")), "{problem}");
            assert!(problem["retryable"] == true && !answer.header("retry-after").is_empty(), "{problem}");
            shed += 1;
        }
        if shed > 20 {
            break;
        }
    }
    assert!(shed > 0, "nothing was ever too much");
    assert_eq!(client.decide(&crate::harness::input(1), None).status, 200);
    server.stop();
    project.verify();
}
