//! The interface held against its own description by a program that we did not write: schemathesis makes requests that fit the
//! OpenAPI document and requests that do not, and judges each answer: its status, headers, media type and schema, whether what is
//! wrong is refused and what is right is taken, and whether anything is answered without a key.

use std::process::Command;

use crate::support::{PYTHON, Sandbox};

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/clients/schemathesis.toml");

#[test]
fn what_is_described_is_what_is_answered() {
    let sandbox = Sandbox::new(3);
    let key = sandbox.key("admin", &["admin"]);
    let running = sandbox.up();
    let output = Command::new(PYTHON)
        .current_dir(sandbox.path(""))
        .args(["-m", "schemathesis.cli", "--config-file", CONFIG, "run"])
        .arg(format!("http://{}/openapi.json", running.address))
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--seed", "4711"])
        .args(["--continue-on-failure", "--warnings", "off", "-H"])
        .arg(format!("Authorization: Bearer {key}"))
        .output()
        .expect("`cargo xtask setup` makes the environment with schemathesis");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // A key that nobody knows gets nowhere: then nothing would have been tried.
    assert!(sandbox.decisions().len() > 20, "{said}");
}
