//! The example's page, as strict as a page can be and of another origin than Tendon, in a real browser: every state of the badge, its
//! breakdown by click and by keyboard, and nothing that the browser, axe or a reader would complain about.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::{Value as Json, json};
use tendon_testkit::peer::workspace;

use super::{SECRET, answers::decide, more, named, with_badge};
use crate::support::{Running, Sandbox, body, browse, desk, eventually, input};

const HOSTILE: &str = "<img src=x onerror=alert(1)><script>alert(2)</script>";

/// The example's server; ends with the test.
pub(super) struct Host {
    child: Child,
    pub(super) origin: String,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn host(running: &Running) -> Host {
    let mut command = Command::new("python3");
    command.arg("-B").arg(workspace().join("examples/badge/host.py")).stdout(Stdio::piped());
    command.env("TENDON", format!("http://{}", running.address)).env("BADGE_SECRET", SECRET).env("PORT", "0");
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let origin = format!("http://127.0.0.1:{}", line.trim().strip_prefix("PORT ").unwrap());
    Host { child, origin }
}

/// Integrations whose badges are in every state, for pages of this origin.
fn write(sandbox: &Sandbox, origin: &str) {
    let origins = format!("origins: [\"{origin}\"]");
    let watched = include_str!("../support/lead-score.yaml");
    sandbox.write("integrations/lead-score.yaml", &with_badge(watched, &origins));
    sandbox.write("integrations/desk.yaml", &with_badge(&desk(), &origins));
    more(sandbox, &origins);
    let hostile = named("hostile").replace("rank leads by their probability to subscribe", &format!("'{HOSTILE}'"));
    sandbox.write("integrations/hostile.yaml", &with_badge(&hostile, &origins));
    let tiny = named("tiny").replace("fallback: {", "review: { when: output < 2.0, hold: true }\nfallback: {");
    sandbox.write("integrations/tiny.yaml", &with_badge(&tiny, &origins));
    let elsewhere = with_badge(&named("elsewhere"), "origins: [\"https://other.example\"]");
    sandbox.write("integrations/elsewhere.yaml", &elsewhere);
}

/// The example's page beside a process that lets it ask, with three leads that are decided; and a key of it.
pub(super) fn beside(sandbox: &Sandbox) -> (Running, Host, String) {
    sandbox.write("badge.secret", SECRET);
    write(sandbox, "https://crm.example");
    let key = sandbox.key("admin", &["admin"]);
    let running = sandbox.up();
    let host = host(&running);
    write(sandbox, &host.origin);
    running.signal("-HUP");
    eventually("the watched leads are decided", || {
        sandbox.crm.number("SELECT count(*) FROM leads WHERE score IS NOT NULL") == 3
    });
    (running, host, key)
}

#[test]
fn a_page_of_somebody_else_shows_every_state_in_a_real_browser() {
    let sandbox = Sandbox::new(3);
    let (running, host, key) = beside(&sandbox);
    for integration in ["desk", "fallen", "held", "hostile", "elsewhere"] {
        assert!(decide(&running, &key, integration, &body(7))["id"].is_string(), "{integration}");
    }
    let one = super::token("lead-score", "1");
    eventually("the page may ask", || {
        super::ask(&running, "lead-score/score", &one, &[("origin", &host.origin)]).status == 200
    });
    // A number that is long when it is written out.
    let made = decide(&running, &key, "tiny", &body(7));
    sandbox.json(&["reviews", "override", made["id"].as_str().unwrap(), "--to", "0.0000123"]);
    let mut wrong = input(7);
    wrong["age"] = "forty".into();
    decide(&running, &key, "desk", &json!({ "input": wrong }).to_string());

    let badge = |name: &str, integration: &str, subject: &str| json!([name, { "integration": integration, "subject": subject }]);
    let forged = super::python("print(sign('another-secret-of-another-page-0123456789', 'desk', '7'))");
    let badges = json!([
        badge("stale", "desk", "7"),
        badge("degraded", "fallen", "7"),
        badge("waiting", "held", "7"),
        badge("none", "desk", "nobody"),
        badge("hostile", "hostile", "7"),
        badge("tiny", "tiny", "7"),
        badge("wrong-origin", "elsewhere", "7"),
        ["forged", { "integration": "desk", "subject": "7", "token": forged }],
        // A token of somebody else is no end: the page is asked for another one.
        ["renewed", { "integration": "desk", "subject": "7", "token": super::token("desk", "8") }],
    ]);
    let seen = browse(&running, "badge.mjs", &key, "badge-pictures", &[&host.origin, &badges.to_string()]);
    for nothing in ["console", "outside", "axe", "wide", "cut", "shifted"] {
        assert_eq!(seen[nothing], json!([]), "{nothing}");
    }
    judge(&seen);
    println!("time to a visible score, from the beginning of the navigation, in ms: {}", seen["visible"]);
}

fn judge(seen: &Json) {
    let states = &seen["states"];
    let says = |name: &str, class: &str, panel: &str| {
        let [classes, _, text, elements] = states[name].as_array().unwrap().as_slice() else {
            panic!("{name}: {states}")
        };
        assert!(classes.as_array().unwrap().contains(&json!(class)), "{name}: {classes}");
        assert!(text.as_str().unwrap().contains(panel), "{name}: {text}");
        assert_eq!(elements, &json!(0), "{name}");
    };
    says("stale", "stale", "What was asked since has no score (rejected).");
    says("degraded", "degraded", "The model did not answer; the fallback did (default).");
    says("waiting", "waiting", "A person looks at it before it is shown.");
    says("none", "none", "Nothing has been decided about this subject that has a score.");
    says("hostile", "fresh", HOSTILE);
    says("tiny", "fresh", "1.23E-5");
    says("wrong-origin", "error", "cannot be reached from this page");
    says("forged", "error", "token_signature");
    says("renewed", "stale", "What was asked since has no score (rejected).");
    let moved = &seen["moved"];
    assert_eq!((&moved["before"], &moved["at_once"]), (&json!("fresh"), &json!(["loading", false])), "{moved}");
    assert_eq!(moved["after"], "none", "{moved}");
    let windows = seen["keyboard"].as_array().unwrap();
    assert_eq!(windows.len(), 4);
    for keyboard in windows {
        let place = (&keyboard["opened"], &keyboard["closed"], &keyboard["back"]);
        assert_eq!(place, (&json!(true), &json!(true), &json!("1")), "{keyboard}");
        assert!(keyboard["reasons"].as_u64().unwrap() > 0, "{keyboard}");
        assert!(keyboard["chart"].is_string(), "{keyboard}");
    }
}
