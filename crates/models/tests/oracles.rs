//! The trainers themselves judge: for each format dozens of models of every kind, 10,000 hostile rows each, scored by both.
//! A format is found by its name: `oracle/NAME_oracle.py` makes the models and what the trainer says of them.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests fail by panicking and tell what they compared")]

mod common;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::Precision;

/// The Python of the oracles: `TENDON_PYTHON`, or the environment in the workspace's cache.
fn python() -> PathBuf {
    if let Some(path) = env::var_os("TENDON_PYTHON") {
        return path.into();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/venv/bin/python");
    assert!(path.exists(), "the oracles need their Python: run `cargo xtask setup`");
    path
}

#[test]
fn every_model_scores_and_explains_as_its_trainer_does() {
    let mut failed = Vec::new();
    for format in tendon_models::FORMATS {
        failed.extend(judge(format.name));
    }
    assert!(failed.is_empty(), "{} models differ:\n{}", failed.len(), failed.join("\n"));
}

/// The models of a format that differ.
fn judge(format: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/oracle/{format}_oracle.py"));
    assert!(script.exists(), "the format {format} has no oracle: {}", script.display());
    let run = Command::new(python()).arg("-W").arg("ignore").arg(script).arg(&folder).output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "the oracle failed; run `cargo xtask setup` to repair its Python: {said}");
    let list = fs::read_to_string(folder.join("cases.txt")).unwrap();
    let mut lines = list.lines();
    let precision = match lines.next().unwrap().rsplit(' ').next() {
        Some("single") => Precision::Single,
        Some("double") => Precision::Double,
        other => panic!("{format}: the list begins with the precision, not {other:?}"),
    };
    let files: Vec<&str> = lines.collect();
    assert!(files.len() >= 36, "{format}: only {} models", files.len());
    let mut failed = Vec::new();
    for file in &files {
        let worst = common::compare(&folder, file, format, precision);
        println!("{format} {file}: {worst:?}");
        assert!(worst.rows >= 10_000, "{file}: {worst:?}");
        if worst.is_too_far(precision) {
            failed.push(format!("{format} {file}: {worst:?}"));
        }
    }
    failed
}
