//! Broken files: an error that names the line, never a panic, never a model that panics later.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{fs, path::Path};

use proptest::prelude::*;
use tendon_kernel::{ErrorKind, sockets::model::Matrix};

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.txt")))
        .unwrap()
}

/// Key of the line, change of its value, kind of the error, a part of its text.
type Case = (&'static str, Box<dyn Fn(&str) -> String>, ErrorKind, &'static str);

/// The first line with this key gets another value; answers with the text and the line's number.
fn with_line(text: &str, key: &str, value: impl Fn(&str) -> String) -> (String, usize) {
    let mut number = 0;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        match line.strip_prefix(key).and_then(|rest| rest.strip_prefix('=')) {
            Some(old) if number == 0 => {
                number = index + 1;
                lines.push(format!("{key}={}", value(old)));
            }
            _ => lines.push(line.to_owned()),
        }
    }
    assert!(number > 0, "no line {key}");
    (lines.join("\n"), number)
}

fn first_becomes(word: &'static str) -> impl Fn(&str) -> String {
    move |old| match old.split_once(' ') {
        Some((_, rest)) => format!("{word} {rest}"),
        None => word.to_owned(),
    }
}

#[test]
fn errors_name_the_line_and_the_fault() {
    let text = file("binary");
    let cases: Vec<Case> = vec![
        ("version", Box::new(|_| "v9".into()), ErrorKind::Unsupported, "known are v3 and v4"),
        ("objective", Box::new(|_| "sorcery".into()), ErrorKind::Unsupported, "known are binary"),
        ("objective", Box::new(|_| "binary sigmoid:-1".into()), ErrorKind::Invalid, "positive"),
        ("feature_names", Box::new(|old| format!("{old} more")), ErrorKind::Invalid, "9 feature names"),
        ("feature_names", Box::new(|old| old.replace("Column_1", "Column_0")), ErrorKind::Invalid, "two features"),
        ("feature_infos", Box::new(first_becomes("[a:b]")), ErrorKind::Invalid, "feature_infos"),
        ("num_tree_per_iteration", Box::new(|_| "0".into()), ErrorKind::Invalid, "1 to 1048576"),
        ("num_tree_per_iteration", Box::new(|_| "9000000000".into()), ErrorKind::Invalid, "1 to 1048576"),
        ("is_linear", Box::new(|_| "1".into()), ErrorKind::Unsupported, "linear_tree"),
        ("threshold", Box::new(first_becomes("abc")), ErrorKind::Invalid, "`threshold` has the value `abc`"),
        ("threshold", Box::new(first_becomes("")), ErrorKind::Invalid, "`threshold` has 13 values, 14 are needed"),
        ("decision_type", Box::new(first_becomes("12")), ErrorKind::Invalid, "decision type 12"),
        ("decision_type", Box::new(first_becomes("300")), ErrorKind::Invalid, "decision_type"),
        ("cat_boundaries", Box::new(first_becomes("1")), ErrorKind::Invalid, "does not rise from 0"),
        ("cat_threshold", Box::new(first_becomes("-5")), ErrorKind::Invalid, "cat_threshold"),
        ("leaf_value", Box::new(first_becomes("many")), ErrorKind::Invalid, "leaf_value"),
        ("num_leaves", Box::new(|_| "0".into()), ErrorKind::Invalid, "without leaves"),
        ("leaf_count", Box::new(first_becomes("-3")), ErrorKind::Invalid, "leaf_count"),
    ];
    for (key, change, kind, said) in cases {
        let (broken, line) = with_line(&text, key, change);
        let error = tendon_models::load(Some("m.txt"), broken.as_bytes()).err().unwrap();
        assert_eq!(error.kind(), kind, "{key}: {error}");
        assert!(error.to_string().contains(said), "{key}: {error}");
        assert!(error.to_string().contains(&format!("line {line}:")), "{key} is on line {line}: {error}");
    }
}

#[test]
fn trees_that_are_none_are_refused() {
    let text = file("binary");
    for (key, word, said) in [
        ("left_child", "0", "itself"),
        ("left_child", "9999", "split 9999, which does not exist"),
        ("right_child", "-9999", "leaf 9998, which does not exist"),
        ("right_child", "-2147483648", "does not exist"),
        ("split_feature", "8", "feature 8, but there are 8"),
        ("leaf_value", "inf", "not a finite number"),
    ] {
        let (broken, _) = with_line(&text, key, first_becomes(word));
        let error = tendon_models::load(None, broken.as_bytes()).err().unwrap();
        assert!(error.to_string().contains(said) && error.to_string().contains("tree 0"), "{key}={word}: {error}");
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_until_its_trees_end() {
    let text = file("multiclass");
    let end = text.find("end of trees").unwrap();
    for cut in (0..end).step_by(61).chain([end]) {
        assert!(tendon_models::load(None, &text.as_bytes()[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn invalid_utf8_names_its_line() {
    let mut bytes = file("binary").into_bytes();
    let third_line = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).unwrap().0 + 1;
    bytes[third_line] = 0xff;
    let error = tendon_models::load(None, &bytes).err().unwrap();
    assert!(error.to_string().contains("line 3: the text is not valid UTF-8"), "{error}");
}

/// Whatever still loads has to score and explain without a panic.
fn survives(bytes: &[u8]) {
    if let Ok((_, model)) = tendon_models::load(None, bytes) {
        let columns = model.signature().features.len();
        let values =
            (0..columns * 9).map(|i| [f64::NAN, -1.0, 0.0, 3.7, 64.0, 1e300, f64::NEG_INFINITY][i % 7]).collect();
        let rows = Matrix { values, columns };
        assert_eq!(model.predict(&rows).unwrap().len(), 9 * model.signature().outputs);
        let _ = model.explain(&rows);
    }
}

#[derive(Clone, Debug)]
enum Change {
    Byte(usize, u8),
    Number(usize, String),
    DropLine(usize),
    SwapLines(usize, usize),
    RepeatLine(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let number = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        (-20i64..200).prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:e}")),
        prop::sample::select(vec![
            "nan",
            "inf",
            "-inf",
            "",
            "18446744073709551615",
            "4294967296",
            "-0",
            "1e400",
            "=",
            "x"
        ])
        .prop_map(str::to_owned),
    ];
    prop_oneof![
        2 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        6 => (any::<usize>(), number).prop_map(|(at, number)| Change::Number(at, number)),
        1 => any::<usize>().prop_map(Change::DropLine),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Change::SwapLines(a, b)),
        1 => any::<usize>().prop_map(Change::RepeatLine),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    if let Change::Byte(at, byte) = change {
        let at = at % bytes.len();
        bytes[at] = *byte;
        return;
    }
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let count = lines.len();
    match change {
        Change::Byte(..) => {}
        Change::Number(at, number) => {
            let line = &mut lines[at % count];
            let mut words: Vec<&str> = line.split_inclusive([' ', '=', ':']).collect();
            let index = (at / count) % words.len().max(1);
            if let Some(word) = words.get_mut(index) {
                let changed = match word.chars().last() {
                    Some(end @ (' ' | '=' | ':')) => format!("{number}{end}"),
                    _ => number.clone(),
                };
                *word = &changed;
                *line = words.concat();
            }
        }
        Change::DropLine(at) => drop(lines.remove(at % count)),
        Change::SwapLines(a, b) => lines.swap(a % count, b % count),
        Change::RepeatLine(at) => lines.insert(at % count, lines[at % count].clone()),
    }
    *bytes = lines.join("\n").into_bytes();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_files_never_panic(
        name in prop::sample::select(vec!["binary", "multiclass", "regression_cat_zero_missing", "single_leaf", "custom"]),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        // What follows the trees is of little interest: cut most of it off, so that changes hit the trees.
        let text = file(name);
        let end = text.find("feature_importances").unwrap();
        let mut bytes = text.as_bytes()[..end].to_vec();
        bytes.extend(b"\nparameters:\n[categorical_feature: 4,5]\nend of parameters\n\npandas_categorical:[[\"a\"],[1,2]]\n");
        for change in &changes {
            apply(&mut bytes, change);
            if bytes.is_empty() {
                break;
            }
        }
        survives(&bytes);
    }
}
