//! The interface held against its own description by a program that we did not write: schemathesis makes requests that fit the
//! OpenAPI document and requests that do not, and judges each answer: its status, headers, media type and schema, whether what is
//! wrong is refused and what is right is taken, and whether anything is answered without a key. `cargo xtask contract` runs it long.

use std::process::Command;

use crate::support::{PYTHON, Sandbox};

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/clients/schemathesis.toml");

#[test]
fn what_is_described_is_what_is_answered() {
    let sandbox = Sandbox::new(3);
    let key = sandbox.key("admin", &["admin"]);
    let running = sandbox.up();
    // How many examples of each operation, and which: the long run says so.
    let given = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
    let (examples, seed) = (given("TENDON_CONTRACT_EXAMPLES", "15"), given("TENDON_CONTRACT_SEED", "4711"));
    let output = Command::new(PYTHON)
        .current_dir(sandbox.path(""))
        .args(["-m", "schemathesis.cli", "--config-file", CONFIG, "run"])
        .arg(format!("http://{}/openapi.json", running.address))
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", &examples, "--seed", &seed])
        .args(["--continue-on-failure", "--warnings", "off", "-H"])
        .arg(format!("Authorization: Bearer {key}"))
        .output()
        .expect("`cargo xtask setup` makes the environment with schemathesis");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    println!("{said}");
    // A key that nobody knows gets nowhere: then nothing would have been tried.
    assert!(sandbox.decisions().len() > 20, "{said}");
}
