//! What stands in a terminal: rows that want to steer it or to forge a line, lists that end before all is shown, and tables of eighty
//! columns.

use std::process::{Command, Output};

use serde_json::{Value as Json, json};

use crate::{
    console::Visitor,
    support::{Running, Sandbox, Terminal, desk, eventually, input, plain, tendon},
};

/// Colours, a title, a cleared screen, and a line that looks like one of ours.
const HOSTILE: &str = "\x1b[31mred\x1b[0m\x1b]0;pwn\x07\u{9b}2J\x7f\u{202e}\nforged: line@x";

/// Four rows that are decided, two of which the CRM refuses in words of its own, and two decisions that wait for a person.
fn world() -> (Sandbox, Running) {
    let sandbox = Sandbox::new(4);
    let about_job = |text: &str| text.replace("subject: string(input.id)", "subject: input.job");
    let held = desk().replace("fallback: {", "review: { when: output < 2.0, hold: true }\nfallback: {");
    sandbox.write("integrations/desk.yaml", &about_job(&held));
    sandbox.write("integrations/lead-score.yaml", &about_job(include_str!("support/lead-score.yaml")));
    let crm = sandbox.crm.open();
    crm.execute("UPDATE leads SET job = ?1, score_band = ?1", [HOSTILE]).unwrap();
    let rule = format!(
        "CREATE TRIGGER checked BEFORE UPDATE OF score_band ON leads WHEN NEW.id IN (2, 4)
         BEGIN SELECT RAISE(ABORT, '{HOSTILE}'); END"
    );
    crm.execute_batch(&rule).unwrap();
    let key = sandbox.key("ada", &["admin"]);
    let running = sandbox.up();
    let bearer = format!("Bearer {key}");
    for id in [7, 8] {
        let mut asked = input(id);
        asked["job"] = HOSTILE.into();
        // Nothing but the job says whom a decision is about.
        asked.as_object_mut().unwrap().remove("id");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = json!({ "input": asked }).to_string();
        let answer = running.request("POST", "/v1/integrations/desk/decisions", &headers, &body);
        assert_eq!(answer.status, 202, "{}", answer.json());
    }
    let many = |list: &str| sandbox.json(&[list, "list"]).as_array().unwrap().len();
    eventually("all is as told", || {
        let delivered = sandbox.crm.number("SELECT count(*) FROM writes") == 2;
        delivered && (many("decisions"), many("letters"), many("reviews")) == (6, 2, 2)
    });
    (sandbox, running)
}

/// The id of the first in a list that is so.
fn first(sandbox: &Sandbox, list: &str, is_so: impl Fn(&Json) -> bool) -> Json {
    sandbox.json(&[list, "list"]).as_array().unwrap().iter().find(|one| is_so(one)).cloned().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Nothing in it steers, no line is forged, and none names what holds nothing.
fn harmless(what: &str, output: &Output) -> String {
    let [told, said] = [&output.stdout, &output.stderr].map(|bytes| text(bytes));
    for line in told.lines().chain(said.lines()) {
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{what}: {line:?}");
        assert!(!line.starts_with("forged"), "{what}: {line:?} in\n{told}{said}");
        assert!(!line.ends_with(": "), "{what}: {line:?} in\n{told}{said}");
    }
    assert!(!told.is_empty() || !said.is_empty(), "{what} says nothing");
    told
}

#[test]
fn rows_do_not_steer_the_terminal_and_forge_no_line() {
    let (sandbox, running) = world();
    let id = |one: &Json| one["id"].as_str().unwrap().to_owned();
    let delivery = first(&sandbox, "deliveries", |one| one["state"] == "delivered");
    let decision = delivery["decision"].as_str().unwrap().to_owned();
    let (delivery, review) = (id(&delivery), id(&first(&sandbox, "reviews", |_| true)));
    let letter = id(&first(&sandbox, "letters", |_| true));
    let exported = sandbox.json(&["ledger", "export", "--proof", &decision, "--open", "input,output"]);
    sandbox.write("one.tlog-proof", exported["proof"].as_str().unwrap());
    let (proof, key) = (sandbox.path("one.tlog-proof"), exported["key"].as_str().unwrap());
    let mut told = Vec::new();
    for command in [
        &["decisions", "list"][..],
        &["decisions", "show", &decision],
        &["decisions", "explain", &decision],
        &["decisions", "replay", &decision],
        &["deliveries", "list"],
        &["deliveries", "show", &delivery],
        &["deliveries", "preview", "lead-score"],
        &["letters", "list"],
        &["letters", "show", &letter],
        &["reviews", "list"],
        &["reviews", "show", &review],
        &["reviews", "override", &review, "--to", "0.5", "--note", HOSTILE, "--by", HOSTILE],
        &["reviews", "show", &review],
        &["decisions", "show", &review],
        &["deliveries", "undo", &delivery, "--by", HOSTILE],
        &["deliveries", "show", &delivery],
        &["letters", "retry", &letter, "--set", &format!("score_band={HOSTILE}"), "--by", HOSTILE],
        &["status"],
        &["top", "--once"],
        &["models", "show", "lead-score"],
        &["systems", "catalog", "crm"],
        &["check"],
        &["keys", "list"],
        &["ledger", "verify"],
        &["ledger", "verify", "--proof", proof.to_str().unwrap(), "--key", key],
        &["decisions", "show", HOSTILE],
        &["letters", "show", HOSTILE],
        &["systems", "catalog", HOSTILE],
        &["models", "show", HOSTILE],
        &["status", "--server", HOSTILE],
    ] {
        let what = command.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        told.push((what, harmless(&command.join(" "), &sandbox.run(command))));
    }
    let shown = |of: &str| &told.iter().find(|(what, _)| what == of).unwrap().1;
    for of in ["decisions show", "deliveries show", "reviews show", "reviews override", "deliveries undo"] {
        assert!(shown(of).contains("]0;pwn") && shown(of).contains("forged: line@x"), "{of}: {}", shown(of));
    }
    // Old values, also those that were none, and times are there to be read.
    let one = shown("decisions show");
    assert!(one.contains("score: nothing") && one.contains("score_band: ") && !one.contains("[["), "{one}");
    assert!(!one.contains("nanoseconds") && one.contains(" µs"), "{one}");
    let proved = &told.iter().rev().find(|(what, _)| what == "ledger verify").unwrap().1;
    assert!(
        proved.contains("valid: true") && proved.contains("input: ") && !proved.contains("explanation"),
        "{proved}"
    );

    // Also where stdout is a terminal; and programs are given what the record holds.
    let (_, drawn) = Terminal::start(&in_terminal(&sandbox, &["decisions", "show", &decision]), 80, 50).end();
    assert!(drawn.contains("forged: line@x") && !drawn.contains(['\x1b', '\x07', '\u{9b}', '\x7f']), "{drawn:?}");
    let exact = text(&sandbox.run(&["decisions", "show", &decision, "--output", "json"]).stdout);
    assert!(!exact.contains(|c: char| c.is_control() && c != '\n') && !exact.contains('\u{202e}'), "{exact:?}");
    let exact: Json = serde_json::from_str(&exact).unwrap();
    assert_eq!(exact["decision"]["subject"], HOSTILE);
    assert!(exact["timings"]["stages"][0]["nanoseconds"].is_u64(), "{exact}");
    drop(running);
}

#[test]
fn a_list_that_ends_before_all_is_shown_says_so() {
    let (sandbox, running) = world();
    for (list, which, all) in
        [("decisions", "newest", 6), ("deliveries", "newest", 4), ("letters", "oldest", 2), ("reviews", "oldest", 2)]
    {
        let whole = sandbox.json(&[list, "list"]);
        assert_eq!(whole.as_array().unwrap().len(), all, "{list}");
        for format in ["json", "text"] {
            let shown = |limit: usize| {
                let output = sandbox.run(&[list, "list", "--limit", &limit.to_string(), "--output", format]);
                assert!(output.status.success(), "{output:?}");
                (text(&output.stdout), text(&output.stderr))
            };
            let (told, said) = shown(all - 1);
            assert!(said.starts_with(&format!("these are the {which} {}, and there are more", all - 1)), "{said}");
            assert!(said.contains("`--limit N`") && said.lines().count() == 1, "{said}");
            match format {
                "json" => assert_eq!(
                    serde_json::from_str::<Vec<Json>>(&told).unwrap(),
                    whole.as_array().unwrap()[..all - 1],
                    "{list}"
                ),
                _ => assert_eq!(told.lines().count(), all, "{told}"),
            }
            for enough in [all, all + 1] {
                assert_eq!(shown(enough).1, "", "{list} {enough}");
            }
        }
    }
    drop(running);
}

/// The command on a project, to be started in a terminal.
fn in_terminal(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let mut command = tendon(arguments);
    command.arg("--project").arg(sandbox.path("")).env("TERM", "xterm").env("NO_COLOR", "1");
    command
}

#[test]
fn eighty_columns_hold_when_and_what() {
    let (sandbox, running) = world();
    let drawn = |columns: u16, arguments: &[&str]| {
        let (status, drawn) = Terminal::start(&in_terminal(&sandbox, arguments), columns, 50).end();
        assert!(status.success(), "{drawn}");
        plain(&drawn)
    };
    let second = |of: &Json| of.as_str().unwrap()[..19].replace('T', " ");
    let decisions = sandbox.decisions();
    let [narrow, wide] = [80, 200].map(|columns| drawn(columns, &["decisions", "list"]));
    for head in ["ID", "AT (UTC)", "OUTPUT", "BAND"] {
        assert!(narrow[0].contains(head) && wide[0].contains(head), "{head}: {narrow:?}");
    }
    assert!(["INTEGRATION", "OUTCOME", "REVIEW", "MODEL"].iter().all(|head| wide[0].contains(head)), "{wide:?}");
    let piped = text(&sandbox.run(&["decisions", "list"]).stdout);
    for one in &decisions {
        let (id, band) = (one["id"].as_str().unwrap(), one["band"].as_str().unwrap_or_default());
        let row = narrow.iter().find(|line| line.starts_with(id)).unwrap();
        assert!(row.starts_with(&format!("{id}  {}", second(&one["at"]))) && row.contains(band), "{row}");
        assert!(piped.contains(one["at"].as_str().unwrap()), "{piped}");
        if let Some(output) = one["output"].as_f64() {
            assert!(row.contains(&format!("  {output:.4}")) && piped.contains(&one["output"].to_string()), "{row}");
        }
    }
    assert!(decisions.iter().any(|one| one["output"].is_f64()), "{decisions:?}");
    for (list, member) in [("deliveries", "at"), ("reviews", "due")] {
        let lines = drawn(80, &[list, "list"]);
        let row = first(&sandbox, list, |_| true);
        let line = lines.iter().find(|line| line.starts_with(row["id"].as_str().unwrap())).unwrap();
        assert!(line.contains(&second(&row[member])) && lines[0].contains("(UTC)"), "{lines:?}");
    }
    drop(running);
}

#[test]
fn a_key_that_would_never_work_is_not_made() {
    let sandbox = Sandbox::new(0);
    let key = sandbox.key("ada", &["admin"]);
    let refused = sandbox.run(&["keys", "create", "--name", "short", "--expires", "0d"]);
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && refused.stdout.is_empty() && said.contains("at least 1s"), "{said}");
    let running = sandbox.up();
    let ada = Visitor::new(&running, &key);
    let form = format!("token={}&name=short&scopes=read&days=", ada.token());
    assert_eq!(ada.post("/console/keys", &format!("{form}0")).status, 422);
    let names = || sandbox.json(&["keys", "list"]).to_string().matches("short").count();
    assert_eq!(names(), 0);
    assert_eq!(ada.post("/console/keys", &format!("{form}1")).status, 200);
    assert_eq!(names(), 1);
}
