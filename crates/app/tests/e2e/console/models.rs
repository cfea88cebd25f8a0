//! Models in the console: which version answers for which share, what goes into each, and a way back only where there is one.

use super::{Visitor, to};
use crate::support::{MODEL, Sandbox};

/// A row of the table of shares: what stands in its cells.
fn row(page: &str, route: &str) -> Vec<String> {
    let (_, rest) = page.split_once("aria-label=\"Who asks, and which version answers\"").unwrap();
    let found = rest.split("<tr>").find(|row| row.contains(&format!("data-of=\"Route\">{route}<")));
    let row = found.unwrap_or_else(|| panic!("no {route} in {rest}")).split("</tr>").next().unwrap();
    let cells = row.split("</t").filter_map(|cell| cell.rsplit_once('>'));
    cells.map(|(_, text)| text.to_owned()).filter(|text| !text.is_empty()).collect()
}

#[test]
fn shares_and_signatures_are_shown_as_the_plan_and_the_file_say_them() {
    let sandbox = Sandbox::new(0);
    for version in ["v2", "v3"] {
        sandbox.write(&format!("models/lead-score/{version}.txt"), &format!("{MODEL}\n{}", "\n".repeat(version.len())));
    }
    sandbox.json(&["models", "promote", "lead-score", "v1"]);
    sandbox.json(&["models", "promote", "lead-score", "v2", "--alias", "trial"]);
    let route = "route:
  canary: { version: trial, percent: 0.05 }
  arms: { b: { version: v3, percent: 25 } }
  shadow: { version: v3, percent: 50 }
";
    let text = include_str!("../support/lead-score.yaml");
    sandbox.write("integrations/lead-score.yaml", &format!("{text}{route}"));
    let key = sandbox.key("ada", &["read"]);
    let running = sandbox.up();
    let page = Visitor::new(&running, &key).page("/console/models");
    for (route, cells) in [
        ("champion", ["lead-score", "champion", "74.95 %", "champion", "v1"]),
        ("canary", ["lead-score", "canary", "0.05 %", "trial", "v2"]),
        ("arm:b", ["lead-score", "arm:b", "25 %", "v3", "v3"]),
        ("shadow", ["lead-score", "shadow", "50 %, answering nobody", "v3", "v3"]),
    ] {
        assert_eq!(row(&page, route), cells, "{route}");
    }
    // Each version's own list of features, as the command tells it.
    let contract = sandbox.json(&["models", "show", "lead-score"]);
    assert_eq!(page.matches("What goes in and comes out of v").count(), 3);
    assert!(page.contains("Comes out: a probability from 0 to 1"), "{page}");
    let features = contract["features"].as_array().unwrap();
    assert!(features.len() > 5, "{contract}");
    for feature in features {
        let feature = feature["name"].as_str().unwrap();
        let head = format!("<th class=\"whole\" scope=\"row\">{feature}</th><td data-of=\"Type\">");
        assert_eq!(page.matches(&head).count(), 3, "{feature}");
    }
    // Who may not change anything is offered nothing.
    assert!(!page.contains("Make champion") && !page.contains("Roll "), "{page}");

    let bearer = format!("Bearer {key}");
    let told = running.request("GET", "/v1/models", &[("authorization", &bearer)], "").json();
    let used = &told["models"][0]["integrations"][0];
    assert_eq!((&used["arms"][0]["percent"], &used["arms"][1]["version"]), (&0.05.into(), &"v3".into()), "{told}");
    assert_eq!((&used["shadow"]["route"], &used["shadow"]["percent"]), (&"shadow".into(), &50.0.into()), "{told}");
}

#[test]
fn a_way_back_is_offered_where_there_is_one_and_both_ways_ask_once_more() {
    let sandbox = Sandbox::new(0);
    // Promoted while it was the only one: what was champion before is itself.
    sandbox.json(&["models", "promote", "lead-score", "v1"]);
    sandbox.write("models/lead-score/v2.txt", &format!("{MODEL}\n"));
    let key = sandbox.key("ada", &["admin"]);
    let running = sandbox.up();
    let ada = Visitor::new(&running, &key);
    let change = |path: &str, form: &str| {
        let answer = ada.post(path, &format!("token={}&model=lead-score&{form}", ada.token()));
        assert_eq!((answer.status, to(&answer)), (303, "/console/models"), "{}", String::from_utf8_lossy(&answer.body));
        ada.page("/console/models")
    };
    // The champion was promoted once, and named nothing of record before; `previous` follows from it, and is nobody's to move.
    let page = ada.page("/console/models");
    assert!(!page.contains("Roll "), "{page}");
    assert_eq!(page.matches(">Make champion</summary>").count(), 1, "{page}");
    assert!(page.contains("It answers from the next decision on, in place of v1."), "{page}");

    let page = change("/console/models/promote", "version=v2");
    assert_eq!(
        (page.matches(">Roll champion back to v1</summary>").count(), page.matches("Roll it back").count()),
        (1, 1)
    );
    assert!(page.contains("champion names v1 from the next decision on, in place of v2."), "{page}");
    let page = change("/console/models/rollback", "alias=champion");
    assert!(!page.contains("back to v"), "{page}");
}
