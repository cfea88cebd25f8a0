//! Between messages and what the path speaks. A `Struct` becomes JSON text; a decision becomes a message.

use std::fmt::Write as _;

use bytes::Bytes;
use prost_types::{ListValue, Struct, Timestamp as Moment, Value, value::Kind};
use serde_json::Value as Json;
use tendon_kernel::{
    Error, ErrorKind, Result, Timestamp,
    decision::{Decision, Explanation, Outcome},
};

use super::pb;
use crate::service::{DeliveryView, Row};

/// Largest whole number below which every whole number is a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The JSON text of a message. A whole number up to 2^53 is written as an integer; a larger one with an exponent, which the
/// path refuses for an integer field: it may have been rounded on its way into the message.
///
/// # Errors
/// `Invalid` for a value without a kind, a number that is not finite, or more levels than allowed.
pub(super) fn text(fields: &Struct, depth: usize) -> Result<Bytes> {
    let mut out = String::with_capacity(32 * fields.fields.len() + 2);
    object(fields, depth, &mut out)?;
    Ok(out.into())
}

fn object(fields: &Struct, depth: usize, out: &mut String) -> Result<()> {
    // The request itself is one level.
    let depth = depth.checked_sub(1).filter(|left| *left > 0).ok_or_else(too_deep)?;
    out.push('{');
    for (at, (name, one)) in fields.fields.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        quoted(name, out);
        out.push(':');
        value(one, name, depth, out)?;
    }
    out.push('}');
    Ok(())
}

fn value(value_: &Value, name: &str, depth: usize, out: &mut String) -> Result<()> {
    match &value_.kind {
        Some(Kind::NullValue(_)) => out.push_str("null"),
        Some(Kind::BoolValue(one)) => out.push_str(if *one { "true" } else { "false" }),
        Some(Kind::NumberValue(number)) => self::number(*number, name, out)?,
        Some(Kind::StringValue(one)) => quoted(one, out),
        Some(Kind::StructValue(one)) => object(one, depth, out)?,
        Some(Kind::ListValue(list)) => {
            let depth = depth.checked_sub(1).filter(|left| *left > 0).ok_or_else(too_deep)?;
            out.push('[');
            for (at, one) in list.values.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                value(one, name, depth, out)?;
            }
            out.push(']');
        }
        None => return Err(malformed(name, "a value of the input has no kind")),
    }
    Ok(())
}

fn number(number: f64, name: &str, out: &mut String) -> Result<()> {
    if !number.is_finite() {
        return Err(malformed(name, "a number of the input is not finite"));
    }
    // Writing into a string does not fail.
    let _ = if number.fract() == 0.0 && number.abs() <= EXACT && !(number == 0.0 && number.is_sign_negative()) {
        write!(out, "{number:.0}")
    } else {
        write!(out, "{number:e}")
    };
    Ok(())
}

fn quoted(text: &str, out: &mut String) {
    out.push_str(&Json::from(text).to_string());
}

fn malformed(name: &str, message: &'static str) -> Error {
    let pointer = format!("/input/{}", name.replace('~', "~0").replace('/', "~1"));
    Error::new(ErrorKind::Invalid, "malformed_message", message).at(pointer)
}

fn too_deep() -> Error {
    Error::new(ErrorKind::Invalid, "too_deep", "the input is nested too deeply").at("/input")
}

/// A JSON value as a message.
pub(super) fn from_json(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(one) => Kind::BoolValue(*one),
        Json::Number(one) => Kind::NumberValue(one.as_f64().unwrap_or(f64::NAN)),
        Json::String(one) => Kind::StringValue(one.clone()),
        Json::Array(list) => Kind::ListValue(ListValue { values: list.iter().map(from_json).collect() }),
        Json::Object(_) => Kind::StructValue(structure(json)),
    };
    Value { kind: Some(kind) }
}

/// A JSON object as a message; anything else as an empty one.
pub(super) fn structure(json: &Json) -> Struct {
    let members = json.as_object().into_iter().flatten();
    Struct { fields: members.map(|(name, value)| (name.clone(), from_json(value))).collect() }
}

/// A point in time as a message.
pub(super) fn moment(time: Timestamp) -> Moment {
    let nanos = i32::try_from(time.0.rem_euclid(1_000_000) * 1000).unwrap_or(0);
    Moment { seconds: time.0.div_euclid(1_000_000), nanos }
}

/// A message as a point in time.
///
/// # Errors
/// `Invalid` outside the years that a time can have.
pub(super) fn time(moment: &Moment, at: &str) -> Result<Timestamp> {
    let micros = moment.seconds.checked_mul(1_000_000);
    let fits = (0..1_000_000_000).contains(&moment.nanos);
    micros
        .and_then(|micros| micros.checked_add(i64::from(moment.nanos) / 1000))
        .filter(|_| fits)
        .map(Timestamp)
        .ok_or_else(|| Error::new(ErrorKind::Invalid, "not_a_time", "the message is no point in time").at(at))
}

/// A decision as a message.
pub(super) fn decision(decision: &Decision) -> pb::Decision {
    let text = |text: &std::sync::Arc<str>| text.to_string();
    pb::Decision {
        id: decision.id.to_string(),
        integration: text(&decision.integration),
        at: Some(moment(decision.at)),
        subject: decision.subject.as_ref().map(text),
        door: decision.door.name().to_owned(),
        outcome: outcome(decision.outcome).into(),
        output: decision.output,
        classes: decision.classes.clone().unwrap_or_default(),
        band: decision.band.as_ref().map(text),
        degraded: decision.degraded.map(|rung| word(&rung)),
        model: decision.model.as_ref().map(|model| pb::ModelVersion {
            name: text(&model.name),
            version: text(&model.version),
            digest: text(&model.digest),
        }),
        route: text(&decision.route),
        repaired: decision
            .repaired
            .iter()
            .map(|one| pb::Repair { field: text(&one.field), how: text(&one.how) })
            .collect(),
        error: decision.error.as_ref().map(|error| pb::Failure {
            code: error.code.clone(),
            message: error.message.clone(),
            pointer: error.pointer.clone().unwrap_or_default(),
            hint: error.hint.clone().unwrap_or_default(),
            retryable: error.retryable,
        }),
        durable: decision.durable,
        explanation: decision.explanation.as_ref().map(explanation),
        review: decision.review.map(|review| review.state.name().to_owned()),
        recalled: decision.recalled.as_ref().map(|recalled| pb::Recalled {
            from: recalled.from.to_string(),
            at: Some(moment(recalled.at)),
            age_ms: recalled.age_ms,
            stale: recalled.stale,
        }),
        lookups: decision
            .lookups
            .iter()
            .map(|one| pb::Lookup {
                name: text(&one.name),
                state: word(&one.state),
                age_ms: one.age_ms,
                why: one.why.as_ref().map(text),
            })
            .collect(),
    }
}

/// A decision of a list; of an erased one what its public part says.
///
/// # Errors
/// `Corrupt` when it cannot be read.
pub(super) fn listed(row: &Row) -> Result<pb::Decision> {
    let Some(text) = &row.decision else { return Ok(erased(row)) };
    if let Some(standing) = &row.standing {
        return Ok(decision(standing));
    }
    let whole: Decision = serde_json::from_str(text.get()).map_err(|error| {
        Error::new(ErrorKind::Corrupt, "decision_unreadable", "the record of a decision cannot be read").private(error)
    })?;
    Ok(decision(&whole))
}

fn erased(row: &Row) -> pb::Decision {
    let ended = Outcome::named(&row.outcome);
    pb::Decision {
        id: row.id.to_string(),
        integration: row.integration.to_string(),
        at: Some(moment(row.at)),
        outcome: ended.map_or(pb::Outcome::Unspecified, outcome).into(),
        error: Some(pb::Failure {
            code: "decision_erased".to_owned(),
            message: "the decision was erased together with its subject".to_owned(),
            ..pb::Failure::default()
        }),
        durable: true,
        ..pb::Decision::default()
    }
}

/// The outcome that a filter names; `None`: all.
pub(super) fn known_outcome(outcome: pb::Outcome) -> Option<Outcome> {
    match outcome {
        pb::Outcome::Unspecified => None,
        pb::Outcome::Ok => Some(Outcome::Ok),
        pb::Outcome::Degraded => Some(Outcome::Degraded),
        pb::Outcome::Rejected => Some(Outcome::Rejected),
        pb::Outcome::Quarantined => Some(Outcome::Quarantined),
        pb::Outcome::Failed => Some(Outcome::Failed),
    }
}

fn outcome(outcome: Outcome) -> pb::Outcome {
    match outcome {
        Outcome::Ok => pb::Outcome::Ok,
        Outcome::Degraded => pb::Outcome::Degraded,
        Outcome::Rejected => pb::Outcome::Rejected,
        Outcome::Quarantined => pb::Outcome::Quarantined,
        Outcome::Failed => pb::Outcome::Failed,
    }
}

/// Why, as a message.
pub(super) fn explanation(explanation: &Explanation) -> pb::Explanation {
    let reasons = explanation.reasons.iter().map(|reason| pb::Reason {
        feature: reason.feature.to_string(),
        value: Some(from_json(&reason.value)),
        contribution: reason.contribution,
        text: reason.text.clone(),
    });
    pb::Explanation {
        method: explanation.method.to_string(),
        base: explanation.base,
        margin: explanation.margin,
        reasons: reasons.collect(),
    }
}

/// A delivery as callers see it.
pub(super) fn delivery(report: DeliveryView) -> pb::Delivery {
    pb::Delivery {
        system: report.system.to_string(),
        resource: report.resource.to_string(),
        state: word(&report.state),
        attempts: report.attempts.unwrap_or_default(),
        cause: report.cause.unwrap_or_default(),
    }
}

/// The word of a value that is a word in JSON.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|json| json.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn written(json: &Json) -> String {
        String::from_utf8(text(&structure(json), 32).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn whole_numbers_are_integers_as_far_as_doubles_are_exact() {
        assert_eq!(
            written(&json!({ "a": 3.0, "b": -2, "c": 0.5, "d": 9_007_199_254_740_992_i64 })),
            r#"{"a":3,"b":-2,"c":5e-1,"d":9007199254740992}"#
        );
        assert_eq!(written(&json!({ "a": 9_007_199_254_740_994_i64 })), r#"{"a":9.007199254740994e15}"#);
        assert_eq!(
            written(&json!({ "a": -0.0, "b": null, "c": [true, "\"\n"] })),
            r#"{"a":-0e0,"b":null,"c":[true,"\"\n"]}"#
        );
    }

    #[test]
    fn what_was_recalled_looked_up_and_seen_is_told() {
        let id = "0190163d-8694-739b-aea5-966c26f8ad91";
        let whole: Decision = serde_json::from_value(json!({
            "id": id, "integration": "lead-score", "at": "2026-05-17T10:00:00Z", "door": "api", "outcome": "ok", "output": 0.5,
            "route": "champion", "durable": true,
            "review": { "state": "approved", "due": "2026-05-19T10:00:00Z", "at": "2026-05-18T10:00:00Z", "held": true },
            "recalled": { "from": id, "at": "2026-05-17T09:59:58Z", "age_ms": 2000, "stale": true },
            "lookups": [{ "name": "customer", "state": "stale", "age_ms": 70, "why": "timeout" }, { "name": "account", "state": "missing" }],
        }))
        .unwrap();
        let told = decision(&whole);
        let recalled = told.recalled.unwrap();
        assert_eq!((&*recalled.from, recalled.age_ms, recalled.stale), (id, 2000, true));
        assert_eq!(recalled.at.unwrap().seconds, told.at.unwrap().seconds - 2);
        assert_eq!(told.review.as_deref(), Some("approved"));
        let [one, other] = &told.lookups[..] else { panic!("two lookups") };
        assert_eq!(
            (&*one.name, &*one.state, one.age_ms, one.why.as_deref()),
            ("customer", "stale", Some(70), Some("timeout"))
        );
        assert_eq!((&*other.state, other.age_ms, &other.why), ("missing", None, &None));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let of = |kind| Struct { fields: [("a/b".to_owned(), Value { kind })].into() };
        for kind in [None, Some(Kind::NumberValue(f64::NAN)), Some(Kind::NumberValue(f64::INFINITY))] {
            let error = text(&of(kind), 32).unwrap_err();
            assert_eq!((error.code(), error.pointer()), ("malformed_message", Some("/input/a~1b")));
        }
        let deep = (0..40).fold(json!(1), |inner, _| json!({ "a": inner }));
        assert_eq!(text(&structure(&deep), 32).unwrap_err().code(), "too_deep");
    }

    #[test]
    fn times_come_back() {
        for micros in [0, 1, -1, 1_779_012_345_678_901, -62_135_596_800_000_000] {
            assert_eq!(time(&moment(Timestamp(micros)), "").unwrap(), Timestamp(micros));
        }
        assert!(time(&Moment { seconds: i64::MAX, nanos: 0 }, "").is_err());
        assert!(time(&Moment { seconds: 0, nanos: -1 }, "").is_err());
    }

    proptest! {
        /// Every finite double comes out of the text as the same bits.
        #[test]
        fn doubles_come_back(number in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO) {
            let made = Struct { fields: [("a".to_owned(), Value { kind: Some(Kind::NumberValue(number)) })].into() };
            let read: Json = serde_json::from_slice(&text(&made, 32).unwrap()).unwrap();
            prop_assert_eq!(read["a"].as_f64().unwrap().to_bits(), number.to_bits());
        }
    }
}
