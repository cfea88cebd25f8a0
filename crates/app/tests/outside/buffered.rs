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
fn a_recalled_answer_is_a_decision_of_its_own_that_names_its_source_and_replays() {
    let project = project_with("cache: { key: [id], ttl: 10m }\n");
    let check = project.run(&["check"]);
    assert_eq!(check.code, 0, "{check:?}");
    let server = project.up();
    let client = server.client(&project.key("app", &[]));
    let first = client.decide(&input(1), None).json();
    assert!(first["recalled"].is_null() && first["output"] == sample(1).1, "{first}");
    for lead in 2..4 {
        // Another input with the key of the first: the cache says which answer it is.
        let mut body = input(lead);
        body["input"]["id"] = input(1)["input"]["id"].clone();
        let hit = client.decide(&body, None).json();
        assert_eq!((&hit["output"], &hit["recalled"]["from"]), (&first["output"], &first["id"]), "{hit}");
        let id = hit["id"].as_str().unwrap();
        assert_ne!(hit["id"], first["id"]);
        let replay = project.run(&["decisions", "replay", id, "--output", "json"]);
        assert!(replay.code == 0 && replay.out.contains("\"same\": true"), "{replay:?}");
        let why = client.get(&format!("/v1/decisions/{id}/explanation")).json();
        let of_first = client.get(&format!("/v1/decisions/{}/explanation", first["id"].as_str().unwrap())).json();
        assert_eq!(why, of_first);
    }
    assert_eq!(project.decisions(), 3);
    server.stop();
    project.verify();
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
