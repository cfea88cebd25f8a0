//! `tendon models predict`: the code that serves decisions, compared with LightGBM's own numbers in the sample.

use std::fs;

use crate::harness::{FEATURES, Ran, example, run_in, sample};

fn predict(rows: &str, more: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let name = if rows.starts_with('{') { "rows.jsonl" } else { "rows.csv" };
    fs::write(folder.path().join(name), rows).unwrap();
    let model = example("lead-score.txt");
    run_in(folder.path(), &[&["models", "predict", &model.to_string_lossy(), "--input", name], more].concat())
}

fn rows() -> String {
    fs::read_to_string(example("sample.csv")).unwrap()
}

#[test]
fn the_sample_scores_as_in_lightgbm() {
    let same = predict(&rows(), &["--expect", "expected"]);
    assert_eq!(same.code, 0, "{same:?}");
    assert!(same.err.contains("the same: 200 rows"), "{}", same.err);
    let lines: Vec<&str> = same.out.lines().collect();
    assert_eq!((lines.len(), lines[0]), (201, "row,output"));
    for (number, line) in lines[1..].iter().enumerate() {
        let output: f64 = line.split_once(',').unwrap().1.parse().unwrap();
        assert!((output - sample(number).1).abs() < 1e-15, "row {number}: {output}");
    }

    let json = predict(&rows(), &["--expect", "expected", "--output", "json"]).json();
    assert_eq!((json["compared"]["same"].as_bool(), json["rows"].as_array().unwrap().len()), (Some(true), 200));
}

#[test]
fn other_shapes_of_the_same_rows_score_the_same() {
    let plain = predict(&rows(), &[]).out;
    // Other order of the columns, another delimiter, one column more.
    let mut reader = csv::Reader::from_reader(rows().into_bytes().leak() as &[u8]);
    let mut text = reader.headers().unwrap().iter().rev().collect::<Vec<_>>().join(";") + ";more\n";
    for record in reader.records() {
        text.push_str(&(record.unwrap().iter().rev().collect::<Vec<_>>().join(";") + ";x\n"));
    }
    assert_eq!(predict(&text, &[]).out, plain);
    let lines: String = (0..200).map(|number| serde_json::Value::from(sample(number).0).to_string() + "\n").collect();
    assert_eq!(predict(&lines, &[]).out, plain);
}

#[test]
fn contributions_sum_up_to_the_margin() {
    let margins = predict(&rows(), &["--raw", "--output", "json"]).json();
    let explained = predict(&rows(), &["--explain", "--output", "json"]).json();
    for (margin, row) in margins["rows"].as_array().unwrap().iter().zip(explained["rows"].as_array().unwrap()) {
        let one = &row["explanations"][0];
        let parts = one["contributions"].as_object().unwrap();
        assert_eq!(parts.len(), FEATURES.len());
        let sum: f64 = parts.values().map(|value| value.as_f64().unwrap()).sum::<f64>() + one["base"].as_f64().unwrap();
        let margin = margin["outputs"][0].as_f64().unwrap();
        assert!((sum - margin).abs() < 1e-9, "{row}");
        assert!((1.0 / (1.0 + (-margin).exp()) - row["outputs"][0].as_f64().unwrap()).abs() < 1e-12);
    }
}

#[test]
fn a_difference_is_found_and_its_row_named() {
    let mut lines: Vec<String> = rows().lines().map(str::to_owned).collect();
    let (head, _) = lines[17].rsplit_once(',').unwrap();
    lines[17] = format!("{head},0.5");
    let ran = predict(&lines.join("\n"), &["--expect", "expected"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("DIFFERENT") && ran.err.contains("in row 17"), "{}", ran.err);
}

#[test]
fn what_cannot_be_read_is_said_with_its_place() {
    let good = rows();
    let cases = [
        ("no such column to compare", good.clone(), "no column nonsense"),
        ("a column of the model is missing", good.replacen("balance", "balnace", 1), "no column balance"),
        ("a text for a number", good.replacen("58,management", "old,management", 1), "row 1"),
        ("a row is too short", good.replacen("58,management,married", "58,married", 1), "row 1"),
        ("no number to compare with", good.replacen("0.03667313062351222", "much", 1), "row 1"),
        ("nothing", String::new(), "no column"),
    ];
    for (name, text, wanted) in cases {
        let column = if name.contains("such column") { "nonsense" } else { "expected" };
        let ran = predict(&text, &["--expect", column]);
        assert_ne!(ran.code, 0, "{name}: {ran:?}");
        assert!(ran.err.contains(wanted) && ran.err.starts_with("error: "), "{name}: {}", ran.err);
    }
    let missing = run_in(&std::env::temp_dir(), &["models", "predict", "/no/such/model.txt", "--input", "rows.csv"]);
    assert!(missing.code != 0 && missing.err.contains("/no/such/model.txt"), "{missing:?}");
    let half = predict(&good, &["--output", "json", "--expect", "nonsense"]);
    assert!(half.code == 1 && half.out.is_empty(), "half a document is no document: {half:?}");
}
