//! LightGBM itself judges: dozens of models of every kind, 10,000 hostile rows each, scored by both.

mod common;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The Python of the oracles: `TENDON_PYTHON`, or the environment in the workspace's cache.
fn python() -> PathBuf {
    if let Some(path) = env::var_os("TENDON_PYTHON") {
        return path.into();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/venv/bin/python");
    assert!(path.exists(), "the oracle needs a Python with LightGBM: run `cargo xtask setup`");
    path
}

#[test]
fn every_model_scores_and_explains_as_lightgbm_does() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lightgbm");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/lightgbm_oracle.py");
    let python = python();
    let run = Command::new(&python).arg("-W").arg("ignore").arg(script).arg(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "the oracle failed; run `cargo xtask setup` to repair its Python: {said}");
    let list = fs::read_to_string(folder.join("cases.txt")).unwrap();
    let names: Vec<&str> = list.lines().skip(1).collect();
    assert!(names.len() >= 36, "only {} models", names.len());
    let mut failed = Vec::new();
    for name in &names {
        let worst = common::compare(&folder, name);
        println!("{name}: {worst:?}");
        assert!(worst.rows >= 10_000, "{name}: {worst:?}");
        if worst.output_ulps > 1 || worst.margin_ulps > 0 || worst.contribution > common::CONTRIBUTION_TOLERANCE {
            failed.push(format!("{name}: {worst:?}"));
        }
    }
    assert!(failed.is_empty(), "{} of {} models differ:\n{}", failed.len(), names.len(), failed.join("\n"));
}
