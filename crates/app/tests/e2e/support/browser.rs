//! A real browser: the scripts in `tests/browser`, each of which prints one JSON document of what it saw.

use std::{path::PathBuf, process::Command};

use tendon_testkit::peer::workspace;

use super::Running;

/// Runs a script over a running process; pictures for people go into a folder of that name in `target`.
pub(crate) fn browse(running: &Running, script: &str, key: &str, pictures: &str, more: &[&str]) -> serde_json::Value {
    let folder = workspace().join("crates/app/tests/browser");
    assert!(folder.join("node_modules").exists(), "the browser's driver is not installed: run `cargo xtask setup`");
    let pictures: PathBuf = workspace().join("target").join(pictures);
    std::fs::create_dir_all(&pictures).unwrap();
    let mut command = Command::new("node");
    command.arg(script).arg(format!("http://{}", running.address)).arg(key).arg(pictures).args(more);
    let output = command.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
