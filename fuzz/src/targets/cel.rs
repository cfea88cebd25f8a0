//! CEL: what compiles keeps what the checker said of it. Findings lie inside the text; a result has the type that was promised and is
//! null only where that was said; the same scope gives the same bits; an error tells nothing of the record.

use std::{collections::BTreeSet, sync::Arc};

use tendon_kernel::{Record, Timestamp, Type, Value, schema::Schema};
use tendon_plan::expr::{Env, Program, Scope};

use super::{PERSON, Run, Target, Verdict, about, kind, proper};
use crate::world;

pub(super) const TARGET: Target = Target {
    name: "cel",
    about: "CEL expressions: parsed, checked, compiled and run",
    words: &[
        "input.age",
        "input.job",
        "input.email",
        "input.balance",
        "input.seen",
        "input.agrees",
        "output",
        "band",
        "now",
        "days(",
        "string(",
        "double(",
        "int(",
        "timestamp(",
        "duration(",
        ".matches(",
        ".startsWith(",
        "size(",
        "has(",
        ".exists(x, x > 0)",
        " in ",
        "&&",
        "||",
        "?",
        ":",
        "==",
        "%",
        "null",
        "true",
        "'a'",
        "b'a'",
        "r\"a\"",
        "1u",
        "9223372036854775807",
        "[1, 2]",
        "{'a': 1}",
        ".all(",
        ".map(",
    ],
    memory: (4 << 20, 4000),
    short: 6000,
    open: || Box::new(Cel { schema: Arc::new(world::facts().catalogs["crm"].resources[0].schema.clone()) }),
};

struct Cel {
    schema: Arc<Schema>,
}

/// Rows with everything, nothing, and the ends of numbers.
fn records(schema: &Arc<Schema>) -> [Record; 3] {
    let text = |text: &str| Value::Text(text.into());
    let person = format!("{PERSON}@example.org");
    [
        vec![
            Value::Int(7),
            Value::Int(40),
            text("retired"),
            text(&person),
            Value::Float(1.5),
            Value::Time(Timestamp(0)),
            Value::Bool(true),
            Value::Float(0.5),
        ],
        vec![Value::Int(7), Value::Null, Value::Null, Value::Null, Value::Null, Value::Null, Value::Null, Value::Null],
        vec![
            Value::Int(i64::MIN),
            Value::Int(i64::MAX),
            text(""),
            text(&person),
            Value::Float(f64::MAX),
            Value::Time(Timestamp(i64::MAX)),
            Value::Bool(false),
            Value::Float(-0.0),
        ],
    ]
    .map(|values| Record { schema: schema.clone(), values })
}

/// The type of a value, and its bits as text.
fn seen(value: &Value) -> (Option<Type>, String) {
    match value {
        Value::Bool(value) => (Some(Type::Bool), value.to_string()),
        Value::Int(value) => (Some(Type::Int), value.to_string()),
        Value::Float(value) => (Some(Type::Float), value.to_bits().to_string()),
        Value::Text(value) => (Some(Type::Text), value.to_string()),
        Value::Time(value) => (Some(Type::Time), value.0.to_string()),
        Value::Null => (None, String::new()),
    }
}

impl Run for Cel {
    fn run(&mut self, input: &[u8]) -> Result<Verdict, String> {
        let Ok(text) = std::str::from_utf8(input) else { return Ok(Verdict { kind: 0, taken: false }) };
        let filled = BTreeSet::from(["balance".to_owned()]);
        let env = Env {
            input: &self.schema,
            filled: &filled,
            output: true,
            band: true,
            decision: true,
            others: &[],
            hidden: &[],
            lookups: &[],
            later: &[],
        };
        let compiled = match Program::compile(text, &env) {
            Ok(compiled) => compiled,
            Err(findings) => {
                let place = |at: usize| at <= text.len() && text.is_char_boundary(at);
                return match findings
                    .iter()
                    .find(|one| !place(one.offset) || one.code.is_empty() || one.message.is_empty())
                {
                    None if findings.is_empty() => Err("it is refused without a finding".to_owned()),
                    Some(finding) => Err(format!("a finding lies outside or says nothing: {finding:?}")),
                    None => Ok(Verdict {
                        kind: kind(&[&findings[0].code, &findings.len().min(4), &about(text.len())]),
                        taken: false,
                    }),
                };
            }
        };
        let mut ways = vec![format!("{:?} {}", compiled.ty, compiled.nullable)];
        for mut record in records(&self.schema) {
            // What a default fills is never null.
            if record.values[4] == Value::Null {
                record.values[4] = Value::Float(0.0);
            }
            let scope = Scope {
                input: &record,
                now: Timestamp(1_770_000_000_000_000),
                output: Some(0.5),
                band: Some("green"),
                decision: Some("d"),
            };
            let (first, second) = (compiled.program.eval(&scope), compiled.program.eval(&scope));
            match (first, second) {
                (Ok(first), Ok(second)) => {
                    let (is, bits) = seen(&first);
                    let null = is.is_none();
                    if seen(&second) != (is, bits.clone())
                        || null && !compiled.nullable
                        || !null && is != compiled.ty.kind()
                    {
                        return Err(format!(
                            "{:?} (null: {}) was promised: {is:?} {bits}",
                            compiled.ty, compiled.nullable
                        ));
                    }
                    ways.push(format!("{null}"));
                }
                (Err(error), Err(_)) => {
                    // The expression may hold what its author wrote; the record's values are nobody's.
                    if !text.contains("Mustermann") {
                        proper(&error)?;
                    }
                    ways.push(error.code().to_owned());
                }
                _ => return Err("one scope has two results".to_owned()),
            }
        }
        Ok(Verdict { kind: kind(&[&ways, &about(text.len())]), taken: true })
    }
}
