//! The servers that the reference says a part is tested against (`tests/tested.json`), compared with those that the tests
//! really started: `docs/reference/systems.md` is made from that file, and a version that changed fails here first.

use std::fs;

use crate::peer::workspace;

/// Compares what a contract suite asked of its servers (`MariaDB 10.11`) with what the file says of a part of a family
/// (`systems`, `caches`).
///
/// # Panics
/// When they differ; tells what should stand there.
pub fn compare(family: &str, part: &str, asked: &[String]) {
    let path = workspace().join("tests/tested.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("tests/tested.json: {error}"));
    let all: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("tests/tested.json is no JSON: {error}"));
    let said: Vec<&str> =
        all[family][part].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
    assert!(
        all[family][part].is_array() && said == asked,
        "{family}.{part} is tested against {asked:?}, and tests/tested.json says {}: write it there, then run `cargo xtask docs`",
        all[family][part]
    );
}

/// The first parts of a version (`10.11.14-MariaDB` → `10.11`).
pub fn version(text: &str, parts: usize) -> String {
    let digits = text.trim().split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or_default();
    digits.split('.').take(parts).collect::<Vec<_>>().join(".")
}
