//! Whatever stands in the files: findings, never a panic, each at a place that exists; and a plan exactly when there is no
//! error. The files are the cases, mutated: what people really write is near to something that is right.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::{collections::BTreeSet, fs, path::Path};

use proptest::prelude::*;
use tendon_plan::{
    Severity, Sources,
    expr::{Env, Program},
    plan,
};

const SNIPPETS: [&str; 24] = [
    ":",
    "\n",
    "  ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "#",
    "&a ",
    "*a",
    "!t ",
    "null",
    "-1",
    "1e999",
    "input.",
    "é",
    "\u{0}",
    "|\n",
    "? ",
    "((((((((((((((((((((((((((((((((((",
    "~",
];

fn cases() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

fn expressions() -> Vec<&'static str> {
    include_str!("data/expressions.txt").lines().filter(|line| !line.is_empty()).collect()
}

/// One change of a text: at a place, remove some characters and put something in.
fn change() -> impl Strategy<Value = (prop::sample::Index, usize, String)> {
    let snippet = prop::sample::select(&SNIPPETS[..]).prop_map(str::to_owned);
    (any::<prop::sample::Index>(), 0..12_usize, prop_oneof![3 => snippet, 1 => "[ -~]{0,6}", 1 => Just(String::new())])
}

fn apply(text: &str, changes: &[(prop::sample::Index, usize, String)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, remove, insert) in changes {
        let start = at.index(chars.len() + 1);
        let end = (start + remove).min(chars.len());
        chars.splice(start..end, insert.chars());
    }
    chars.into_iter().collect()
}

fn sources(text: &str) -> Sources {
    let files = text.split("### FILE ").skip(1).map(|part| part.split_once('\n').unwrap_or((part, "")));
    Sources(files.map(|(name, text)| (name.to_owned(), text.to_owned())).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_give_findings(case in any::<prop::sample::Index>(), changes in prop::collection::vec(change(), 0..6)) {
        let cases = cases();
        let sources = sources(&apply(case.get(&cases).as_str(), &changes));
        let outcome = plan(&sources, &support::facts(), &[&support::SQLITE, &support::FILES]);
        let errors = outcome.findings.iter().any(|finding| finding.severity == Severity::Error);
        prop_assert_eq!(outcome.plan.is_none(), errors);
        for finding in &outcome.findings {
            let text = sources.0.iter().find(|(name, _)| *name == finding.file);
            let lines = text.map_or(1, |(_, text)| text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count());
            prop_assert!(finding.line >= 1 && finding.column >= 1, "{}", finding);
            prop_assert!(finding.line <= lines + 1, "{} of {} lines", finding, lines);
        }
    }

    #[test]
    fn mutated_expressions_give_findings(
        expression in prop::sample::select(expressions()),
        changes in prop::collection::vec(change(), 0..4),
    ) {
        let text = apply(expression, &changes);
        let schema = support::facts().catalogs["crm"].resources[0].schema.clone();
        let filled = BTreeSet::new();
        let env = Env { input: &schema, filled: &filled, output: true, band: true, decision: true, others: &[], hidden: &[], lookups: &[], later: &[] };
        match Program::compile(&text, &env) {
            Ok(compiled) => prop_assert_eq!(compiled.program.source(), text),
            Err(findings) => {
                prop_assert!(!findings.is_empty());
                for finding in findings {
                    prop_assert!(finding.offset <= text.len(), "{:?}", finding);
                }
            }
        }
    }
}

/// The same configuration, written differently, is the same plan; a changed rule is another policy and plan.
#[test]
fn digests_follow_the_meaning() {
    let cases = cases();
    let case = cases.iter().find(|case| case.contains("cache: { key: [id, updated_at]")).unwrap();
    let digests = |text: &str| {
        let outcome = plan(&sources(text), &support::facts(), &[&support::SQLITE]);
        let plan = outcome.plan.unwrap();
        (plan.digest.clone(), plan.integrations["lead-score"].policy.clone())
    };
    let rewritten = case
        .replace("owner: sales-ops\n", "")
        .replace("doors:\n", "# a comment\nowner:   'sales-ops'\ndoors:\n")
        .replace("  lead-score: { path: models/lead-score }", "  lead-score:\n    path: \"models/lead-score\"");
    assert_ne!(case, &rewritten);
    assert_eq!(digests(case), digests(&rewritten));
    let (plan_before, policy_before) = digests(case);
    let (plan_after, policy_after) = digests(&case.replace(">= 0.7", ">= 0.71"));
    assert!(plan_before != plan_after && policy_before != policy_after);
    let (plan_after, policy_after) = digests(&case.replace("api: {}", "api: { deadline: 1s }"));
    assert!(plan_before != plan_after && policy_before == policy_after);
}

/// Nesting and size are refused before they can hurt.
#[test]
fn hostile_files_are_refused_early() {
    let kinds = [&support::SQLITE];
    let check = |text: String| {
        let outcome = plan(&Sources(vec![("tendon.yaml".to_owned(), text)]), &support::facts(), &kinds);
        outcome.findings.first().map(|finding| finding.code)
    };
    assert_eq!(check("[".repeat(40)), Some("file_too_deep"));
    assert_eq!(check(format!("project: [{}]", "a,".repeat(100_000))), Some("file_too_large"));
    assert_eq!(check(" ".repeat(2 << 20)), Some("file_too_large"));
    assert_eq!(check("a: &x [1]\nb: *x".to_owned()), Some("alias_refused"));
}
