//! `record: buffered`, `cache` and `explain`: choices of an integration, each told in the answer, none at the cost of the record's order.

use std::{collections::BTreeSet, fs};

use crate::harness::{Project, Setup, input, sample};

fn project_with(more: &str) -> Project {
    let project = Project::new(&Setup { events: "", ..Setup::default() });
    let name = "integrations/lead-score.yaml";
    let text = fs::read_to_string(project.path().join(name)).unwrap();
    project.write(name, &format!("{text}{more}"));
    project
}

#[test]
fn a_buffered_answer_says_so_and_a_kill_loses_only_the_newest() {
    let project = project_with("record: buffered\n");
    let key = project.key("app", &[]);
    let mut lost_after = BTreeSet::new();
    for round in 0..6 {
        let mut server = project.up();
        let client = server.client(&key);
        let ids: Vec<String> = (0..200)
            .map(|number| {
                let decision = client.decide(&input(round * 200 + number), None).json();
                assert_eq!(decision["durable"], false, "{decision}");
                decision["id"].as_str().unwrap().to_owned()
            })
            .collect();
        server.kill();
        let server = project.up();
        let client = server.client(&key);
        let there: Vec<bool> = ids.iter().map(|id| client.get(&format!("/v1/decisions/{id}")).status == 200).collect();
        let kept = there.iter().take_while(|there| **there).count();
        assert!(there[kept..].iter().all(|there| !there), "a gap in the record: {there:?}");
        lost_after.insert(200 - kept);
        server.stop();
        project.verify();
    }
    println!("lost per kill: {lost_after:?}");
}

#[test]
fn a_declared_cache_is_told_to_pass_through_and_no_answer_is_stale() {
    let project = project_with("cache: { key: [id], ttl: 10m }\n");
    let check = project.run(&["check"]);
    assert_eq!(check.code, 0, "{check:?}");
    assert!(check.out.contains("info[cache_passes_through]"), "{check:?}");
    let server = project.up();
    let client = server.client(&project.key("app", &[]));
    for lead in 1..4 {
        let mut body = input(lead);
        body["input"]["id"] = 1.into();
        assert_eq!(client.decide(&body, None).json()["output"], sample(lead).1);
    }
    assert_eq!(project.decisions(), 3);
    server.stop();
}

#[test]
fn explanations_come_with_the_answer_or_later_and_are_the_same() {
    let project = project_with("explain: band == \"green\"\n");
    let server = project.up();
    let client = server.client(&project.key("app", &[]));
    let mut bands = BTreeSet::new();
    for number in 0..60 {
        let decision = client.decide(&input(number), None).json();
        let (id, band) = (decision["id"].as_str().unwrap(), decision["band"].as_str().unwrap().to_owned());
        assert_eq!(decision["explanation"].is_object(), band == "green", "{decision}");
        let later = client.get(&format!("/v1/decisions/{id}/explanation")).json();
        if band == "green" {
            assert_eq!(later, decision["explanation"]);
        }
        let sum: f64 =
            later["reasons"].as_array().unwrap().iter().map(|one| one["contribution"].as_f64().unwrap()).sum();
        let margin = later["base"].as_f64().unwrap() + sum;
        assert!((1.0 / (1.0 + (-margin).exp()) - sample(number).1).abs() < 1e-9, "{later}");
        bands.insert(band);
    }
    assert!(bands.len() > 1, "the sample has only {bands:?}");
    server.stop();
}
