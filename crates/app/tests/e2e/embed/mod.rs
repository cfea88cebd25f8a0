//! The embed door: whose token shows whose score, from which page; and the badge in a real browser, in a page of another origin.

mod answers;
mod browser;
mod renewal;
mod tokens;

use std::process::Command;

use tendon_testkit::peer::workspace;

use crate::support::{Answer, Running, Sandbox, desk};

/// What pages and Tendon share.
pub(crate) const SECRET: &str = "a-secret-of-the-badge-0123456789-abcdef";
const INTEGRATION: &str = include_str!("../support/lead-score.yaml");

/// Adds a badge to an integration's file.
pub(crate) fn with_badge(integration: &str, more: &str) -> String {
    format!("{integration}  embed: {{ secret: \"${{file:badge.secret}}\", {more} }}\n")
}

/// A project whose `lead-score` has a badge for pages of an origin, and whose `desk` has one that is stale after a second.
pub(super) fn sandbox(leads: i64, origin: &str) -> Sandbox {
    let sandbox = Sandbox::new(leads);
    sandbox.write("badge.secret", SECRET);
    let origins = format!("origins: [\"{origin}\"]");
    sandbox.write("integrations/lead-score.yaml", &with_badge(INTEGRATION, &origins));
    sandbox.write("integrations/desk.yaml", &with_badge(&desk(), &format!("{origins}, fresh: 1s, lifetime: 1h")));
    sandbox
}

/// The test's integration once more, by another name.
pub(super) fn named(name: &str) -> String {
    desk().replace("integration: desk", &format!("integration: {name}"))
}

/// Adds integrations that answer by a fallback, and that hold each answer back.
pub(super) fn more(sandbox: &Sandbox, origins: &str) {
    let fallen = named("fallen")
        .replace("fallback: { default: 0.05 }", "output: { range: [0.9, 1] }\nfallback: { default: 0.95 }");
    let fallen = fallen.replace(">= 0.1", ">= 0.93").replace(">= 0.055", ">= 0.905");
    sandbox.write("integrations/fallen.yaml", &with_badge(&fallen, origins));
    let held = named("held").replace("fallback: {", "review: { when: output < 2.0, hold: true }\nfallback: {");
    sandbox.write("integrations/held.yaml", &with_badge(&held, origins));
}

/// Runs a line of Python after the example's own `sign`; gives what it prints.
pub(crate) fn python(code: &str) -> String {
    let folder = workspace().join("examples/badge");
    let output = Command::new("python3")
        .arg("-B")
        .arg("-c")
        .arg(format!("from sign import *\n{code}"))
        .current_dir(folder)
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A token as a page's server signs it.
pub(super) fn token(integration: &str, subject: &str) -> String {
    python(&format!("print(sign({SECRET:?}, {integration:?}, {subject:?}))"))
}

/// Asks as the badge does.
pub(super) fn ask(running: &Running, what: &str, token: &str, more: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [&[("authorization", bearer.as_str())], more].concat();
    running.request("GET", &format!("/embed/integrations/{what}"), &headers, "")
}
