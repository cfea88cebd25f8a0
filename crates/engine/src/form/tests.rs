//! The reader against a slow one over trees of JSON values, written from the rules alone: for random schemas and inputs both
//! accept the same, read the same values and find the same problems at the same places.

use std::{collections::BTreeSet, sync::Arc};

use proptest::prelude::*;
use serde_json::Value as Json;
use tendon_kernel::{
    Timestamp, Type, Value,
    schema::{Field, Schema},
};

use super::{Form, Reading, distance, failure, pointer};

const DEPTH: usize = 4;
const TEXTS: [&str; 5] = ["abc", "c", "", "äöü", "2026-05-17T10:00:00Z"];

type Found = BTreeSet<(String, &'static str)>;

/// `None`: no JSON object that can be read to its end.
fn slow(schema: &Schema, text: &str) -> Option<(Vec<Value>, Found)> {
    let Json::Object(object) = serde_json::from_str::<Json>(text).ok()? else { return None };
    if object.values().any(|value| depth(value) > DEPTH - 1) {
        return None;
    }
    let mut problems = Found::new();
    for name in object.keys().filter(|name| schema.position(name).is_none()) {
        problems.insert((pointer(name), "unknown_field"));
    }
    let values = schema.fields.iter().map(|field| {
        let value = object.get(field.name.as_ref()).unwrap_or(&Json::Null);
        slow_value(field, value).unwrap_or_else(|code| {
            problems.insert((pointer(&field.name), code));
            Value::Null
        })
    });
    let values = values.collect();
    Some((values, problems))
}

fn depth(value: &Json) -> usize {
    match value {
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Json::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "the rule under test speaks of doubles"
)]
fn slow_value(field: &Field, json: &Json) -> Result<Value, &'static str> {
    let value = match (field.kind, json) {
        (_, Json::Null) => return Ok(Value::Null),
        (Type::Bool, Json::Bool(value)) => Value::Bool(*value),
        (Type::Int, Json::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Value::Int(value),
            (None, Some(_)) if number.is_u64() => return Err("out_of_range"),
            (None, Some(value)) if value % 1.0 != 0.0 => return Err("wrong_type"),
            (None, Some(value)) if value.abs() <= 2f64.powi(53) => Value::Int(value as i64),
            _ => return Err("out_of_range"),
        },
        (Type::Float, Json::Number(number)) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(value), ..) => Value::Float(value as f64),
            (_, Some(value), _) => Value::Float(value as f64),
            (_, _, Some(value)) => Value::Float(value),
            _ => return Err("out_of_range"),
        },
        (Type::Text, Json::String(text)) => {
            if field.max_length.is_some_and(|most| text.len() > most) {
                return Err("too_long");
            }
            if !field.values.is_empty() && field.values.iter().all(|known| **known != **text) {
                return Err("not_allowed");
            }
            // The only pattern in use: one or more of a, b, c.
            if field.pattern.is_some() && (text.is_empty() || text.chars().any(|c| !"abc".contains(c))) {
                return Err("pattern_mismatch");
            }
            Value::text(text)
        }
        (Type::Time, Json::String(text)) => Value::Time(Timestamp::parse(text).map_err(|_| "wrong_type")?),
        _ => return Err("wrong_type"),
    };
    match (field.range, value.number()) {
        (Some((low, high)), Some(number)) if number < low || number > high => Err("out_of_range"),
        _ => Ok(value),
    }
}

fn field() -> impl Strategy<Value = Field> {
    let kind = prop_oneof![Just(Type::Bool), Just(Type::Int), Just(Type::Float), Just(Type::Text), Just(Type::Time)];
    (kind, any::<bool>(), proptest::option::of(Just((-10.0, 1e3))), 0..4u8).prop_map(|(kind, required, range, rule)| {
        let mut field = Field::new("", kind);
        field.required = required;
        field.range = range;
        match rule {
            1 => field.values = vec!["abc".into(), "c".into()],
            2 => field.pattern = Some("[abc]|[abc]{2,}".into()),
            3 => field.max_length = Some(4),
            _ => {}
        }
        field
    })
}

fn schema() -> impl Strategy<Value = Schema> {
    proptest::collection::vec(field(), 1..7).prop_map(|mut fields| {
        for (index, field) in fields.iter_mut().enumerate() {
            field.name = format!("f{}", if index == 3 { "~/x".into() } else { index.to_string() }).into();
        }
        Schema::new(fields)
    })
}

/// Values as JSON text, of all kinds and with all the edges.
fn value() -> impl Strategy<Value = String> {
    let edges = [
        "0",
        "-0",
        "-0.0",
        "5",
        "5.0",
        "5e0",
        "5.5",
        "1e3",
        "1000.0000001",
        "9007199254740993",
        "9007199254740992.0",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "18446744073709551616",
        "1e308",
        "1e-320",
        "null",
        "true",
        "\"\\u00e4\\ud83d\\ude00\"",
        "\"2026-13-01\"",
        "[]",
        "{}",
        "[[1]]",
        "{\"a\":{\"b\":1}}",
        "[[[1]]]",
        "[[[[1]]]]",
        "{\"a\":[{\"b\":[]}]}",
        "1e999",
        "NaN",
        "01",
        "\"\\ud800\"",
        "'x'",
    ];
    prop_oneof![
        (0..edges.len()).prop_map(move |index| edges[index].to_owned()),
        (0..TEXTS.len()).prop_map(|index| format!("{:?}", TEXTS[index])),
        any::<i64>().prop_map(|number| number.to_string()),
        (-20i64..1010).prop_map(|number| number.to_string()),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| format!("{number:e}")),
    ]
}

fn input() -> impl Strategy<Value = String> {
    let names = prop_oneof![
        9 => (0..7usize).prop_map(|index| if index == 3 { "f~/x".into() } else { format!("f{index}") }),
        1 => Just("F1".to_owned()),
        1 => Just("stranger".to_owned()),
    ];
    (proptest::collection::vec((names, value()), 0..8), 0..3u8).prop_map(|(fields, space)| {
        let space = ["", " ", "\n\t"][usize::from(space)];
        let mut seen = BTreeSet::new();
        let fields = fields.iter().filter(|(name, _)| seen.insert(name.clone()));
        let fields: Vec<_> = fields.map(|(name, value)| format!("{space}\"{name}\":{space}{value}")).collect();
        format!("{space}{{{}}}{space}", fields.join(","))
    })
}

fn found(reading: &Reading) -> Found {
    reading.problems.iter().map(|problem| (problem.pointer.clone(), problem.code)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_like_the_slow_one(schema in schema(), text in input()) {
        let form = Form::new(&Arc::new(schema.clone()), DEPTH).unwrap();
        let reading = form.read_json(text.as_bytes());
        match slow(&schema, &text) {
            None => {
                prop_assert!(!reading.well_formed && reading.problems.len() == 1, "{:?}", reading.problems);
                prop_assert!(["malformed_json", "too_deep"].contains(&reading.problems[0].code));
            }
            Some((values, problems)) => {
                prop_assert!(reading.well_formed);
                prop_assert_eq!(&reading.values, &values);
                prop_assert_eq!(found(&reading), problems);
            }
        }
    }

    /// A row of a system keeps the same rules as the same values in JSON.
    #[test]
    fn rows_are_read_like_json(schema in schema(), row in proptest::collection::vec(scalar(), 7)) {
        let form = Form::new(&Arc::new(schema.clone()), DEPTH).unwrap();
        let row = &row[..schema.fields.len()];
        let fields = schema.fields.iter().zip(row).map(|(field, value)| (field.name.to_string(), value.to_json()));
        let plain = form.read_json(&serde_json::to_vec(&Json::Object(fields.collect())).unwrap());
        let reading = form.read_values(row);
        prop_assert_eq!(found(&reading), found(&plain));
        prop_assert_eq!(reading.values, plain.values);
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let form = Form::new(&Arc::new(Schema::new(vec![Field::new("a", Type::Int)])), DEPTH).unwrap();
        let reading = form.read_json(&bytes);
        prop_assert!(reading.well_formed || !reading.problems.is_empty());
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-20i64..1010).prop_map(Value::Int),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::Float),
        (-20i32..1010).prop_map(|whole| Value::Float(f64::from(whole))),
        (0..TEXTS.len()).prop_map(|index| Value::text(TEXTS[index])),
    ]
}

fn one_field(kind: Type) -> Form {
    Form::new(&Arc::new(Schema::new(vec![Field::new("balance", kind), Field::new("job", Type::Text)])), DEPTH).unwrap()
}

#[test]
fn a_name_given_twice_is_refused() {
    for text in [r#"{"balance":1,"balance":1}"#, r#"{"x":1,"x":1}"#, r#"{"balance":1,"job":"","b\u0061lance":2}"#] {
        let reading = one_field(Type::Int).read_json(text.as_bytes());
        assert_eq!(reading.problems[0].code, "duplicate_field", "{text}");
        assert!(!reading.well_formed);
    }
}

#[test]
fn nesting_ends_at_the_limit_and_before_the_stack() {
    let form = one_field(Type::Int);
    let nested = |depth: usize| format!("{{\"balance\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(form.read_json(nested(DEPTH - 1).as_bytes()).problems[0].code, "wrong_type");
    assert_eq!(form.read_json(nested(DEPTH).as_bytes()).problems[0].code, "too_deep");
    assert!(!form.read_json(nested(1_000_000).as_bytes()).well_formed);
    assert!(!form.read_json("[".repeat(1_000_000).as_bytes()).well_formed);
}

#[test]
fn invalid_utf8_is_refused() {
    let reading = one_field(Type::Text).read_json(b"{\"job\":\"\xff\"}");
    assert_eq!(reading.problems[0].code, "not_utf8");
}

#[test]
fn a_flood_of_strangers_is_cut() {
    let fields: Vec<_> = (0..10_000).map(|n| format!("\"x{n}\":1")).collect();
    let reading = one_field(Type::Int).read_json(format!("{{{}}}", fields.join(",")).as_bytes());
    assert!(!reading.well_formed && reading.problems.len() <= 101);
    assert!(failure(&reading.problems).unwrap().message.len() < 1000);
}

#[test]
fn the_nearest_name_is_suggested() {
    let form = one_field(Type::Int);
    assert_eq!(form.nearest("balanse"), Some("balance"));
    assert_eq!(form.nearest("Balance"), Some("balance"));
    assert_eq!(form.nearest("blaance"), Some("balance"));
    assert_eq!(form.nearest("jbo"), Some("job"));
    assert_eq!(form.nearest("customer"), None);
    assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("ab", "ba")), (3, 3, 1));
}
