//! Which field is which feature of a model: proposed by name, by type, and by how well the values that stand in the table
//! fit what the model saw in training. Each proposal says how sure it is and why; no field is proposed twice.

use tendon_kernel::{
    Type,
    sockets::model::{Feature, FeatureKind},
};

use crate::{
    assign::assign,
    names::likeness,
    profile::{FieldProfile, ResourceProfile},
};

/// Below this nothing is proposed at all.
const LEAST: f64 = 0.3;
/// Other fields named beside a proposal.
const OTHERS: usize = 3;

/// A field that may be a feature.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Candidate {
    /// The field.
    pub field: String,
    /// How sure it is, from 0 to 1.
    pub confidence: f64,
    /// Why, in words.
    pub why: String,
    /// CEL, where the field itself does not fit the feature's type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
}

/// What is proposed for one feature.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Proposal {
    /// The feature.
    pub feature: String,
    /// The field that is proposed; `None` when none is near enough.
    pub best: Option<Candidate>,
    /// Others that come near, best first.
    pub others: Vec<Candidate>,
}

/// How well a field fits a feature.
struct Fit {
    confidence: f64,
    name: f64,
    /// Share of the values that the model knows; `None` where nothing can be said.
    values: Option<f64>,
    expression: Option<String>,
}

/// Proposes a field for each feature. `left_out`: fields that are not to be used (the key, what is written back).
pub fn propose(features: &[Feature], table: &ResourceProfile, left_out: &[String]) -> Vec<Proposal> {
    let fields: Vec<&FieldProfile> = table.fields.iter().filter(|field| !left_out.contains(&field.name)).collect();
    let fits: Vec<Vec<Option<Fit>>> =
        features.iter().map(|feature| fields.iter().map(|field| fit(feature, field)).collect()).collect();
    let score = |fit: &Option<Fit>| fit.as_ref().map_or(0.0, |fit| fit.confidence);
    let scores: Vec<Vec<f64>> = fits.iter().map(|row| row.iter().map(score).collect()).collect();
    let given = assign(&scores, LEAST);
    let mut proposals = Vec::new();
    for ((feature, row), chosen) in features.iter().zip(&fits).zip(&given) {
        let mut candidates: Vec<(usize, Candidate)> = Vec::new();
        for (at, (field, fit)) in fields.iter().zip(row).enumerate() {
            if let Some(fit) = fit.as_ref().filter(|fit| fit.confidence > LEAST) {
                candidates.push((at, candidate(field, fit)));
            }
        }
        candidates.sort_by(|a, b| b.1.confidence.total_cmp(&a.1.confidence));
        let rival = candidates
            .iter()
            .filter(|(at, _)| Some(*at) != *chosen && !given.contains(&Some(*at)))
            .map(|(_, other)| other.confidence)
            .fold(0.0, f64::max);
        let best = candidates.iter().find(|(at, _)| Some(*at) == *chosen).map(|(_, best)| doubted(best.clone(), rival));
        let others = candidates
            .into_iter()
            .filter(|(at, _)| Some(*at) != *chosen)
            .map(|(_, other)| other)
            .take(OTHERS)
            .collect();
        proposals.push(Proposal { feature: feature.name.clone(), best, others });
    }
    proposals
}

/// A proposal is less sure when a field that nobody else takes fits nearly as well.
fn doubted(mut best: Candidate, rival: f64) -> Candidate {
    let lead = best.confidence - rival;
    if rival > 0.0 && lead < 0.15 {
        best.confidence *= 0.75 + lead.max(0.0) / 0.6;
        best.why.push_str("; another field comes near");
    }
    best.confidence = (best.confidence * 100.0).round() / 100.0;
    best
}

fn candidate(field: &FieldProfile, fit: &Fit) -> Candidate {
    let name = match fit.name {
        share if share >= 1.0 => "same name".to_owned(),
        share if share >= 0.4 => format!("name {:.0} % alike", share * 100.0),
        _ => "another name".to_owned(),
    };
    let values = fit
        .values
        .map_or_else(|| "values tell nothing".to_owned(), |share| format!("{:.0} % of the values fit", share * 100.0));
    Candidate {
        field: field.name.clone(),
        confidence: (fit.confidence * 100.0).round() / 100.0,
        why: format!("{name}, {values}"),
        expression: fit.expression.clone(),
    }
}

/// `None` when the field's type can never be this feature.
fn fit(feature: &Feature, field: &FieldProfile) -> Option<Fit> {
    let name = likeness(&feature.name, &field.name);
    let input = reference(&field.name);
    let numeric = matches!(field.kind, Type::Int | Type::Float | Type::Bool);
    let (values, weight, expression) = match (&feature.kind, field.kind) {
        (FeatureKind::Category { values }, Type::Text) => {
            let known = known_share(values, field);
            (known, telling(values), None)
        }
        (FeatureKind::Category { values }, Type::Int | Type::Bool) => {
            (Some(known_share(values, field)?), telling(values), Some(guarded("string", &input)))
        }
        (FeatureKind::Category { .. }, _) => return None,
        (FeatureKind::Number, _) if numeric => (in_range(feature, field), 0.35, None),
        (FeatureKind::Number, Type::Text) if field.seen.numeric_texts > 0.95 => {
            (Some(0.5 * field.seen.numeric_texts), 0.35, Some(guarded("double", &input)))
        }
        (FeatureKind::Number, Type::Time) => (None, 0.0, Some(format!("{input} != null ? days(now - {input}) : null"))),
        (FeatureKind::CategoryCode, Type::Int) => (in_range(feature, field), 0.35, None),
        _ => return None,
    };
    let together = match values {
        // A name alone is an argument, but not a proof.
        None if field.kind == Type::Time => 0.6 * name,
        None => 0.9 * name,
        Some(share) => {
            let sum = (1.0 - weight) * name + weight * share;
            // Values that the model never saw speak louder than a likely name.
            if share < 0.3 { sum * 0.55 } else { sum.max(if name >= 1.0 { 0.6 + 0.4 * share } else { 0.0 }) }
        }
    };
    Some(Fit { confidence: together, name, values, expression })
}

/// `input.name`, or with brackets where the name is no CEL identifier.
pub fn reference(field: &str) -> String {
    let plain = field.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !field.starts_with(|c: char| c.is_ascii_digit());
    if plain {
        format!("input.{field}")
    } else {
        format!("input[\"{}\"]", field.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// A conversion that leaves what is missing missing.
fn guarded(function: &str, input: &str) -> String {
    format!("{input} != null ? {function}({input}) : null")
}

/// How much an overlap of categories tells: many fields hold `yes` and `no`.
fn telling(values: &[String]) -> f64 {
    match values.len() {
        0..=2 => 0.3,
        3..=4 => 0.45,
        _ => 0.6,
    }
}

/// Share of the rows whose text the model knows.
#[expect(clippy::cast_precision_loss, reason = "a share of at most some thousand rows")]
fn known_share(values: &[String], field: &FieldProfile) -> Option<f64> {
    let Some(texts) = &field.seen.texts else { return Some(0.0) };
    let all: usize = texts.iter().map(|(_, times)| times).sum();
    if all == 0 {
        return None;
    }
    let known: usize = texts.iter().filter(|(text, _)| values.contains(text)).map(|(_, times)| times).sum();
    // A field with one of twelve months in it fits less than one with all of them.
    let covered = texts.iter().filter(|(text, _)| values.contains(text)).count() as f64 / values.len().max(1) as f64;
    Some(known as f64 / all as f64 * (0.7 + 0.3 * covered.min(1.0)))
}

/// Share of the numbers within what the model saw, and how much of that they reach over.
#[expect(clippy::cast_precision_loss, reason = "a share of at most some thousand rows")]
fn in_range(feature: &Feature, field: &FieldProfile) -> Option<f64> {
    let (least, most) = feature.range?;
    let numbers = &field.seen.numbers;
    if numbers.is_empty() {
        return None;
    }
    let inside = numbers.iter().filter(|number| (least..=most).contains(*number)).count() as f64 / numbers.len() as f64;
    let (low, high) = numbers
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), number| (low.min(*number), high.max(*number)));
    let (width, reach) = (most - least, high.min(most) - low.max(least));
    let covered = if width > 0.0 { (reach / width).clamp(0.0, 1.0) } else { 1.0 };
    Some(inside * (0.7 + 0.3 * covered.sqrt()))
}

#[cfg(test)]
mod tests {
    use tendon_kernel::{
        Value,
        schema::{Field, Resource, Schema},
        sockets::connector::Row,
    };

    use super::*;
    use crate::profile::profile;

    fn number(name: &str, least: f64, most: f64) -> Feature {
        Feature { name: name.into(), kind: FeatureKind::Number, range: Some((least, most)) }
    }

    fn table(fields: &[(&str, Type, &[Value])]) -> ResourceProfile {
        let schema = Schema::new(fields.iter().map(|(name, kind, _)| Field::new(name, *kind)).collect());
        let rows = fields.iter().map(|(_, _, values)| values.len()).max().unwrap_or(0);
        let value = |values: &[Value], row: usize| values.get(row).cloned().unwrap_or_default();
        let rows: Vec<Row> = (0..rows)
            .map(|row| Row {
                key: Vec::new(),
                values: fields.iter().map(|(_, _, values)| value(values, row)).collect(),
            })
            .collect();
        profile(&Resource { name: "t".into(), key: Vec::new(), schema }, &rows)
    }

    #[test]
    fn values_settle_what_names_leave_open() {
        let ages: Vec<Value> = (18..80).map(Value::Int).collect();
        let euros: Vec<Value> = (0..62).map(|n| Value::Int(n * 900)).collect();
        let table = table(&[("c1", Type::Int, &euros), ("c1_age", Type::Int, &ages)]);
        let found = propose(&[number("age", 18.0, 95.0), number("bal", -8000.0, 100_000.0)], &table, &[]);
        assert_eq!(found[0].best.as_ref().unwrap().field, "c1_age");
    }

    #[test]
    fn types_that_do_not_fit_get_an_expression_or_nothing() {
        let codes: Vec<Value> = (0..40).map(|n| Value::Int(n % 3)).collect();
        let texts: Vec<Value> = (0..40).map(|n| Value::text(&n.to_string())).collect();
        let table =
            table(&[("segment", Type::Int, &codes), ("days", Type::Text, &texts), ("last_seen", Type::Time, &[])]);
        let segment = Feature {
            name: "segment".into(),
            kind: FeatureKind::Category { values: vec!["0".into(), "1".into(), "2".into()] },
            range: None,
        };
        let found = propose(&[segment, number("days", 0.0, 100.0)], &table, &[]);
        assert_eq!(
            found[0].best.as_ref().unwrap().expression.as_deref(),
            Some("input.segment != null ? string(input.segment) : null")
        );
        assert_eq!(
            found[1].best.as_ref().unwrap().expression.as_deref(),
            Some("input.days != null ? double(input.days) : null")
        );
        assert_eq!(reference("a b"), "input[\"a b\"]");
    }

    proptest::proptest! {
        /// Whatever the names: no field is given to two features, and every confidence is a share.
        #[test]
        fn no_field_is_given_twice(features in proptest::collection::vec("[a-c_]{1,4}", 1..6), fields in proptest::collection::btree_set("[a-c_]{1,4}", 1..6)) {
            let values: Vec<Value> = (0..10).map(Value::Int).collect();
            let fields: Vec<(&str, Type, &[Value])> = fields.iter().map(|name| (name.as_str(), Type::Int, &values[..])).collect();
            let features: Vec<Feature> = features.iter().map(|name| number(name, 0.0, 9.0)).collect();
            let found = propose(&features, &table(&fields), &[]);
            let mut seen = std::collections::BTreeSet::new();
            for best in found.iter().filter_map(|proposal| proposal.best.as_ref()) {
                proptest::prop_assert!(seen.insert(best.field.clone()));
                proptest::prop_assert!((0.0..=1.0).contains(&best.confidence));
            }
        }
    }
}
