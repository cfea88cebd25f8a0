//! Explanations in words: a model's contributions, or the rung of the ladder that answered. A pure function of the recorded
//! row, so that the explanation asked for years later equals the one that could have been given at once.

use std::cmp::Ordering;

use tendon_kernel::{
    Error, ErrorKind, Result, Value,
    decision::{Explanation, Reason, Rung},
    sockets::model::{Contributions, Feature, FeatureKind, Matrix, Model},
};

/// What came in for the feature at a place of the row; `None`: that cannot be told any more. It is asked about categories without a
/// code only, and decides over words, never over a number.
pub(crate) type CameIn<'a> = &'a dyn Fn(usize) -> Option<Value>;

/// Explains one row. Of a model with several outputs, the largest is explained: it is the decision's number.
pub(crate) fn of_model(
    model: &dyn Model,
    row: &[f64],
    classes: Option<&[f64]>,
    came_in: CameIn<'_>,
) -> Result<Explanation> {
    let matrix = Matrix { values: row.to_vec(), columns: row.len() };
    let explained = classes.map_or(0, largest);
    let mut rows = model.explain(&matrix)?;
    let mut outputs = rows.pop().ok_or_else(no_contributions)?;
    if explained >= outputs.len() {
        return Err(no_contributions());
    }
    Ok(in_words(&model.signature().features, row, &outputs.swap_remove(explained), came_in))
}

/// How an explanation is called that names a rung.
const RULES: &str = "rules";

/// Explains an answer of the ladder by naming the rung.
pub(crate) fn of_rung(rung: Rung, output: f64, why: Option<&str>) -> Explanation {
    let (name, words) = match rung {
        Rung::Rules => ("rules", "a fallback rule answered"),
        Rung::Default => ("default", "the declared default answered"),
        Rung::Replica => ("replica", "another replica answered"),
        Rung::Previous => ("previous", "the version before answered"),
        Rung::Human => ("human", "a person answered"),
    };
    let text = why.map_or_else(|| words.to_owned(), ToOwned::to_owned);
    let reason = Reason { feature: "fallback".into(), value: name.into(), contribution: 0.0, text };
    Explanation { method: RULES.into(), base: output, margin: output, reasons: vec![reason] }
}

fn largest(classes: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in classes.iter().enumerate() {
        if classes.get(best).is_none_or(|known| value > known) {
            best = index;
        }
    }
    best
}

fn in_words(features: &[Feature], row: &[f64], contributions: &Contributions, came_in: CameIn<'_>) -> Explanation {
    let mut reasons: Vec<Reason> = features
        .iter()
        .zip(row)
        .zip(&contributions.values)
        .enumerate()
        .map(|(place, ((feature, &number), &contribution))| {
            reason(feature, contribution, shown(feature, number, || came_in(place)))
        })
        .collect();
    // Stable: equal magnitudes keep the signature's order.
    reasons.sort_by(|a, b| b.contribution.abs().partial_cmp(&a.contribution.abs()).unwrap_or(Ordering::Equal));
    Explanation { method: "treeshap".into(), base: contributions.base, margin: contributions.margin, reasons }
}

/// Whether the row alone does not tell what came in: see [`CameIn`].
pub(crate) fn is_unclear(model: &dyn Model, row: &[f64]) -> bool {
    let mut features = model.signature().features.iter().zip(row);
    features.any(|(feature, number)| matches!(feature.kind, FeatureKind::Category { .. }) && number.is_nan())
}

/// A feature's value, and what it is in a sentence.
fn shown(feature: &Feature, number: f64, came_in: impl FnOnce() -> Option<Value>) -> (serde_json::Value, String) {
    let none = serde_json::Value::Null;
    match (&feature.kind, number) {
        (FeatureKind::Category { .. }, number) if number.is_nan() => match came_in() {
            Some(Value::Null) => (none, " is missing:".into()),
            Some(unknown) => (unknown.to_json(), " is a value that the model does not know:".into()),
            None => (none, " is missing, or a value that the model does not know:".into()),
        },
        (_, number) if number.is_nan() => (none, " is missing:".into()),
        (FeatureKind::Category { values }, code) => match category(values, code) {
            Some(text) => (text.into(), format!(" = {text}")),
            None => (code.into(), format!(" = {}", short(code))),
        },
        (_, number) => (number.into(), format!(" = {}", short(number))),
    }
}

fn reason(feature: &Feature, contribution: f64, (value, is): (serde_json::Value, String)) -> Reason {
    let text = format!("{}{is} {}", feature.name, effect_in_words(contribution));
    Reason { feature: feature.name.as_str().into(), value, contribution, text }
}

/// An explanation that says which features spoke for the output and how much, and no value of any. One that names a rung of the
/// ladder has none: it tells what the plan says.
pub fn without_values(mut explanation: Explanation) -> Explanation {
    if &*explanation.method == RULES {
        return explanation;
    }
    for reason in &mut explanation.reasons {
        reason.value = serde_json::Value::Null;
        reason.text = without_value(reason);
    }
    explanation
}

/// What a reason says of its feature, without its value.
pub fn without_value(reason: &Reason) -> String {
    format!("{} {}", reason.feature, effect_in_words(reason.contribution))
}

/// What a contribution does to the score.
fn effect_in_words(contribution: f64) -> &'static str {
    match contribution.partial_cmp(&0.0) {
        Some(Ordering::Greater) => "raises the score",
        Some(Ordering::Less) => "lowers the score",
        _ => "does not change the score",
    }
}

fn category(values: &[String], code: f64) -> Option<&str> {
    #[expect(clippy::cast_precision_loss, reason = "a list of categories is far shorter than 2^53")]
    let found = values.iter().enumerate().find(|(index, _)| *index as f64 == code);
    found.map(|(_, text)| text.as_str())
}

/// A number for people: whole numbers as they are, others with about six digits.
fn short(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return format!("{number:.0}");
    }
    if number.is_infinite() || number.abs() >= 1e15 || number.abs() < 1e-4 {
        return format!("{number:.5e}");
    }
    let text = format!("{number:.*}", if number.abs() >= 100.0 { 3 } else { 6 });
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn no_contributions() -> Error {
    Error::new(ErrorKind::Internal, "no_contributions", "the model explained another number of outputs than it has")
}
