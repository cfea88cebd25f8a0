//! Searches of a list that is long: what no list holds is looked for in steps, and the page says how far it got; what a list holds is
//! answered at once.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
};

use serde_json::{Value as Json, json};

use super::Visitor;
use crate::support::{PATIENCE, Running, Sandbox, desk, input};

/// More decisions than one page looks at.
const MANY: usize = 4200;

/// Decides about the same lead again and again, as one batch.
fn fill(running: &Running, key: &str) {
    let mut stream = TcpStream::connect(running.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let body = format!("{}\n", input(7)).repeat(MANY);
    let head = format!(
        "POST /v1/integrations/desk/batches HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {key}\r\ncontent-type: \
         application/x-ndjson\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut writer = stream.try_clone().unwrap();
    // Whoever does not read what comes back may not go on writing.
    let written = thread::spawn(move || writer.write_all((head + &body).as_bytes()));
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    written.join().unwrap().unwrap();
    assert_eq!(answer.matches("\"outcome\":\"ok\"").count(), MANY);
}

/// A lead that is of another band than the others.
fn other(running: &Running, key: &str, id: i64) -> Json {
    let mut input = input(id);
    for (name, value) in [("poutcome", json!("success")), ("housing", json!("no")), ("loan", json!("no"))] {
        input[name] = value;
    }
    for (name, value) in
        [("contact", json!("cellular")), ("month", json!("mar")), ("previous", json!(3)), ("pdays", json!(90))]
    {
        input[name] = value;
    }
    let path = "/v1/integrations/desk/decisions";
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    let answer = running.request("POST", path, &headers, &json!({ "input": input }).to_string());
    assert_eq!(answer.status, 200, "{}", answer.head);
    answer.json()
}

/// Where *Older* leads.
fn older(page: &str) -> Option<String> {
    let (_, rest) = page.split_once("id=\"older\" href=\"")?;
    Some(rest.split('"').next().unwrap().replace("&amp;", "&"))
}

fn rows(page: &str) -> usize {
    page.matches("<tr data-seq=\"").count()
}

#[test]
fn a_rare_band_is_looked_for_in_steps_and_a_version_that_nothing_has_at_once() {
    let sandbox = Sandbox::new(0);
    sandbox.write("integrations/desk.yaml", &desk());
    let key = sandbox.key("ada", &["admin"]);
    let running = sandbox.up();
    let rare = other(&running, &key, 1);
    fill(&running, &key);
    let ada = Visitor::new(&running, &key);

    let common = ada.page("/console/decisions");
    let band = rare["band"].as_str().unwrap();
    let (_, listed) = common.split_once("<tbody").unwrap();
    assert!(rows(listed) == 50 && !listed.contains(&format!(">{band}<")), "some are of the band {band}: {listed}");
    let search = format!("/console/decisions?band={band}");
    let mut page = ada.page(&search);
    assert!(page.contains("Nothing so far") && page.contains("None of the decisions back to <time"), "{page}");
    let mut steps = 0;
    while let Some(next) = older(&page) {
        page = ada.page(&next);
        steps += 1;
    }
    assert!(steps > 0 && rows(&page) == 1 && page.contains(rare["id"].as_str().unwrap()), "after {steps}: {page}");
    assert!(!page.contains("Looked back to"), "{page}");

    // Some are found, and the rest is not looked at yet.
    other(&running, &key, 2);
    let page = ada.page(&search);
    assert!(rows(&page) == 1 && page.contains("Looked back to <time") && older(&page).is_some(), "{page}");

    let none = ada.page("/console/decisions?version=v9");
    assert!(none.contains("Nothing fits") && older(&none).is_none(), "{none}");
    let version = rare["model"]["version"].as_str().unwrap();
    let all = ada.page(&format!("/console/decisions?version={version}"));
    assert!(rows(&all) == 50 && older(&all).is_some() && !all.contains("Looked back to"), "{all}");
}
