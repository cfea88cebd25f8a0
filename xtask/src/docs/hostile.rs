//! The part of docs/hostile-input.md that follows from what the authorisation matrix saw.

use std::{collections::BTreeSet, fs};

use crate::run::root;

/// Counts of the matrix.
pub(super) fn matrix() -> Result<String, String> {
    let answers = read("matrix/answers.txt")?;
    let (mut operations, mut callers, mut refused) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for line in answers.lines() {
        let mut parts = line.split(" | ");
        let (operation, caller) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        callers.insert(caller);
        if operation == "everything but open" {
            refused.insert(caller);
        } else {
            operations.insert(operation);
        }
    }
    let fields = read("matrix/fields.txt")?.lines().count();
    Ok(format!(
        "{} questions, one or more about every operation of REST, GraphQL and gRPC, each asked by {} callers over TLS: {} answers, each held \
         against the rule of its\noperation. {} of the callers bring credentials that are refused everywhere. {fields} members of the answers are \
         noted with who sees them ([the table](reference/access.md)). A new\noperation without a rule and a question fails.",
        operations.len(),
        callers.len(),
        operations.len() * callers.len(),
        refused.len()
    ))
}

fn read(name: &str) -> Result<String, String> {
    let path = format!("crates/app/tests/e2e/{name}");
    fs::read_to_string(root().join(&path)).map_err(|error| format!("{path}: {error}"))
}
