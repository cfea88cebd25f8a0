//! Our expressions against cel-go: same verdict of the checker, same result on every record, bit for bit.
//!
//! Deviations, all others fail:
//! - a value that can be null where a value is needed is an error of ours (`possible_null`); cel-go finds out when it runs.
//!   In turn nothing that we accept may ever meet a null: that is asserted on records full of them;
//! - `null` and a value may be the two ends of `?:`; cel-go wants `dyn(null)`;
//! - no maps, messages, macros over lists, bytes or unsigned numbers (`expression_unsupported`), and the pattern of
//!   `matches()` must be a literal, which is read when the plan is made (`bad_pattern`) and not when it runs;
//! - a result that is no finite number is an error: no record can hold it;
//! - `int(duration)` and `duration(int)` count nanoseconds in cel-go; we have `seconds()` instead;
//! - cel-go takes a literal `null` for a time (`null - now`, `string(null)`) and fails when it runs; we refuse it;
//! - comparing with null what is never null is an error of both for scalars; for times only cel-go lets it pass, and we do.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod generate;

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use tendon_kernel::{
    Record, Timestamp, Type, Value,
    schema::{Field, Schema},
};
use tendon_plan::expr::{Env, Program, Scope, Ty};

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Verdict {
    ok: bool,
    #[serde(rename = "Type")]
    kind: String,
    error: String,
    results: Option<Vec<String>>,
}

/// Overloads of cel-go that we leave out: nanoseconds are a trap, and a null is no time.
const STRICTER: [&str; 3] =
    ["int() cannot be applied to duration", "duration() cannot be applied to int", "cannot be applied to null_type"];

const NOW: &str = "2026-05-17T10:00:00Z";
const OUTPUT: f64 = 0.25;
const BAND: &str = "red";

fn schema() -> Schema {
    let kinds = [("i", Type::Int), ("d", Type::Float), ("s", Type::Text), ("b", Type::Bool), ("t", Type::Time)];
    let required = kinds.iter().map(|(name, kind)| Field { required: true, ..Field::new(name, *kind) });
    let nullable = kinds.iter().map(|(name, kind)| Field::new(&format!("n{name}"), *kind));
    Schema::new(required.chain(nullable).collect())
}

/// Records as text by field; `None` is null.
fn records() -> Vec<Vec<Option<&'static str>>> {
    let some = |values: [&'static str; 10]| values.into_iter().map(Some).collect::<Vec<_>>();
    let early = "2026-01-01T00:00:00Z";
    let mut all = vec![
        some(["3", "3.0", "retired", "true", early, "3", "3.5", "retired", "true", "2026-05-01T12:30:15.25Z"]),
        some([
            "0",
            "-1.5",
            "",
            "false",
            "1969-12-31T23:59:59.5Z",
            "-7",
            "0.0",
            "student",
            "false",
            "2024-02-29T23:59:59Z",
        ]),
        some(["9223372036854775807", "1e300", "héllo", "true", "9999-12-31T23:59:59Z", "0", "1.0", "", "false", early]),
        some(["-9223372036854775808", "-0.1", "a", "false", early, "1", "2.0", "x", "true", early]),
        some(["1", "0.1", "m", "true", "0001-01-01T00:00:00Z", "2", "-3.0", "b", "true", early]),
    ];
    for nulls in [0b11111_u8, 0b00001, 0b00110, 0b11000, 0b10101] {
        let mut record = some(["2", "2.0", "ab", "true", early, "4", "4.5", "retired", "true", early]);
        (0..5).filter(|bit| nulls >> bit & 1 == 1).for_each(|bit| record[5 + bit] = None);
        all.push(record);
    }
    all
}

fn value(kind: Type, text: &str) -> Value {
    match kind {
        Type::Bool => Value::Bool(text == "true"),
        Type::Int => Value::Int(text.parse().unwrap()),
        Type::Float => Value::Float(text.parse().unwrap()),
        Type::Text => Value::text(text),
        Type::Time => Value::Time(Timestamp::parse(text).unwrap()),
    }
}

fn ask(schema: &Schema, records: &[Vec<Option<&str>>], expressions: &[String]) -> Vec<Verdict> {
    let fields: Vec<_> = schema
        .fields
        .iter()
        .map(|field| serde_json::json!({ "Name": field.name, "Type": field.kind.to_string(), "Nullable": !field.required }))
        .collect();
    let records: Vec<serde_json::Value> = records
        .iter()
        .map(|record| {
            let pairs =
                schema.fields.iter().zip(record).map(|(field, text)| (field.name.to_string(), serde_json::json!(text)));
            serde_json::Value::Object(pairs.collect())
        })
        .collect();
    let question = serde_json::json!({
        "Fields": fields, "Records": records, "Now": NOW, "Output": OUTPUT, "Band": BAND, "Expressions": expressions,
    });
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go");
    let mut child = Command::new("go")
        .args(["run", "."])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the oracle needs `go` on the path");
    let mut stdin = child.stdin.take().unwrap();
    let text = question.to_string();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "the oracle did not run");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn show(result: &tendon_kernel::Result<Value>) -> String {
    match result {
        Err(error) if error.code() == "not_finite" => "not finite".to_owned(),
        Err(error) => format!("error {}", error.code()),
        Ok(Value::Null) => "null".to_owned(),
        Ok(Value::Bool(value)) => format!("bool {value}"),
        Ok(Value::Int(value)) => format!("int {value}"),
        Ok(Value::Float(value)) => format!("double {:016x}", value.to_bits()),
        Ok(Value::Text(text)) => format!("string {text}"),
        Ok(Value::Time(time)) => format!("timestamp {}", time.0),
    }
}

/// What differs, if it is no listed deviation.
fn difference(expression: &str, verdict: &Verdict, records: &[Record], env: &Env<'_>) -> Option<String> {
    let compiled = match Program::compile(expression, env) {
        Err(findings) => {
            let only = findings.iter().all(|finding| {
                matches!(finding.code, "possible_null" | "expression_unsupported" | "bad_pattern")
                    || STRICTER.iter().any(|message| finding.message.contains(message))
            });
            return (verdict.ok && !only)
                .then(|| format!("cel-go accepts it as {}, we say {findings:?}", verdict.kind));
        }
        Ok(compiled) => compiled,
    };
    if !verdict.ok {
        let null_end = expression.contains("? null :") || expression.contains(": null");
        return (!null_end).then(|| format!("we accept it as {}, cel-go says {}", compiled.ty, verdict.error));
    }
    let kind = match verdict.kind.trim_start_matches("wrapper(").trim_end_matches(')') {
        "google.protobuf.Timestamp" => "timestamp",
        "google.protobuf.Duration" => "duration",
        kind => kind,
    };
    let same_type = compiled.ty.to_string() == kind || matches!(compiled.ty, Ty::List(_));
    if !same_type {
        return Some(format!("we say {}, cel-go says {}", compiled.ty, verdict.kind));
    }
    if matches!(compiled.ty, Ty::List(_) | Ty::Duration) {
        return None;
    }
    let results = verdict.results.iter().flatten();
    for (number, (record, theirs)) in records.iter().zip(results).enumerate() {
        let scope = Scope {
            input: record,
            now: Timestamp::parse(NOW).unwrap(),
            output: Some(OUTPUT),
            band: Some(BAND),
            decision: None,
        };
        let result = compiled.program.eval(&scope);
        let ours = show(&result);
        if ours == "error null_value" || ours == "error unusable_value" {
            return Some(format!("record {number}: {ours}: a null got past the checker"));
        }
        if result.as_ref().is_ok_and(Value::is_null) && !compiled.nullable {
            return Some(format!("record {number}: null, but the checker says it never is"));
        }
        let both_fail = ours.starts_with("error ") && theirs.starts_with("error ");
        if ours != *theirs && !both_fail {
            return Some(format!("record {number}: we give {ours}, cel-go gives {theirs}"));
        }
    }
    None
}

#[test]
fn same_verdicts_and_results_as_cel_go() {
    let schema = Arc::new(schema());
    let texts = records();
    let records: Vec<Record> = texts
        .iter()
        .map(|texts| {
            let values = schema.fields.iter().zip(texts);
            let values = values.map(|(field, text)| text.map_or(Value::Null, |text| value(field.kind, text))).collect();
            Record { schema: Arc::clone(&schema), values }
        })
        .collect();
    let written =
        include_str!("data/expressions.txt").lines().filter(|line| !line.starts_with("# ") && !line.is_empty());
    let mut expressions: Vec<String> = written.map(str::to_owned).collect();
    assert!(expressions.len() >= 300, "only {} expressions are written by hand", expressions.len());
    expressions.extend((0..5000).map(generate::expression));
    let verdicts = ask(&schema, &texts, &expressions);
    assert_eq!(verdicts.len(), expressions.len());
    let filled = BTreeSet::new();
    let env = Env {
        input: &schema,
        filled: &filled,
        output: true,
        band: true,
        decision: false,
        others: &[],
        hidden: &[],
        lookups: &[],
        later: &[],
    };
    let (mut wrong, mut accepted) = (Vec::new(), 0);
    for (expression, verdict) in expressions.iter().zip(&verdicts) {
        accepted += usize::from(Program::compile(expression, &env).is_ok());
        wrong.extend(difference(expression, verdict, &records, &env).map(|text| format!("{expression}\n    {text}")));
    }
    // A comparison of refusals alone would show nothing.
    assert!(accepted * 3 > expressions.len(), "only {accepted} of {} are accepted", expressions.len());
    assert!(
        wrong.is_empty(),
        "{} of {} differ\n{}",
        wrong.len(),
        expressions.len(),
        wrong[..wrong.len().min(60)].join("\n")
    );
}
