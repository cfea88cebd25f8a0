//! The house rules that no compiler knows. Each rule is a pure function from a file's text to findings, so that its own
//! test shows it firing; this file walks the tree, applies them all and holds the findings against the waivers.

mod arrows;
mod found;
mod rooms;
mod sorted;
mod text;
mod waivers;

use std::fs;

use crate::{
    Outcome,
    run::{files, root},
};

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The rule's name, as a waiver names it.
    rule: &'static str,
    /// File, relative to the root.
    path: String,
    /// Line, from 1; 0 for the whole file.
    line: usize,
    /// What is wrong and what to do instead.
    message: String,
}

impl Finding {
    fn new(rule: &'static str, path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { rule, path: path.to_owned(), line, message: message.into() }
    }
}

/// Applies every rule to every file that is or would be committed.
pub(crate) fn tidy() -> Outcome {
    let mut findings = Vec::new();
    let paths = files()?;
    let (mut known, mut page) = (found::Known::default(), String::new());
    for path in &paths {
        let bytes = fs::read(root().join(path)).map_err(|error| format!("{path} could not be read: {error}"))?;
        let content = std::str::from_utf8(&bytes).ok();
        known.file(path, content.unwrap_or_default());
        if let Some(content) = content {
            findings.extend(of_file(path, content));
            if path == found::PAGE {
                content.clone_into(&mut page);
            }
        }
    }
    findings.extend(found::page(&page, &known));
    let listed = fs::read_to_string(root().join(waivers::FILE)).unwrap_or_default();
    let findings = waivers::apply(findings, &listed);
    for finding in &findings {
        eprintln!("{}:{}: {} [{}]", finding.path, finding.line, finding.message, finding.rule);
    }
    match findings.len() {
        0 => {
            eprintln!("tidy: {} files keep the house rules", paths.len());
            Ok(())
        }
        count => Err(format!("{count} findings; CONTRIBUTING.md gives the reason of each rule")),
    }
}

/// All rules over one file.
fn of_file(path: &str, content: &str) -> Vec<Finding> {
    let mut findings = text::everywhere(path, content);
    if path.ends_with(".rs") {
        findings.extend(text::rust(path, content));
        findings.extend(rooms::source(path, content));
        findings.extend(rooms::addresses(path, content));
        findings.extend(sorted::lists(path, content));
    }
    if path.ends_with("/Cargo.toml") {
        findings.extend(arrows::manifest(path, content));
    }
    findings
}
