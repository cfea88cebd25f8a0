//! In which way two versions ask for different things, in words.

use tendon_kernel::sockets::model::{Feature, FeatureKind, Signature};

/// What is other in the new signature.
pub(super) fn differences(old: &Signature, new: &Signature) -> Vec<String> {
    let mut found = Vec::new();
    let of = |signature: &'_ Signature, name: &str| signature.features.iter().find(|one| one.name == name).cloned();
    for feature in &old.features {
        match of(new, &feature.name) {
            None => found.push(format!("feature {} is gone", feature.name)),
            Some(other) => found.extend(kinds(feature, &other)),
        }
    }
    let fresh = new.features.iter().filter(|feature| of(old, &feature.name).is_none());
    found.extend(fresh.map(|feature| format!("feature {} is new", feature.name)));
    let names = |signature: &Signature| signature.features.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    let (mut before, mut after) = (names(old), names(new));
    let moved = before != after;
    before.sort();
    after.sort();
    if moved && before == after {
        found.push("the features stand in another order".to_owned());
    }
    if old.outputs != new.outputs || old.output != new.output {
        let told = |one: &Signature| {
            let kind = serde_json::to_value(one.output).ok().and_then(|kind| kind.as_str().map(str::to_owned));
            format!("{} of kind {}", one.outputs, kind.unwrap_or_default())
        };
        found.push(format!("outputs: {} instead of {}", told(new), told(old)));
    }
    found
}

fn kinds(old: &Feature, new: &Feature) -> Option<String> {
    let word = |kind: &FeatureKind| match kind {
        FeatureKind::Number => "a number",
        FeatureKind::CategoryCode => "a category code",
        FeatureKind::Category { .. } => "a category",
    };
    let name = &new.name;
    match (&old.kind, &new.kind) {
        (FeatureKind::Category { values: old }, FeatureKind::Category { values: new }) if old != new => {
            let missing = |from: &[String], of: &[String]| {
                from.iter().filter(|value| !of.contains(value)).cloned().collect::<Vec<_>>().join(", ")
            };
            Some(match (missing(old, new).as_str(), missing(new, old).as_str()) {
                ("", "") => format!("feature {name}: its categories stand in another order"),
                ("", fresh) => format!("feature {name}: new categories {fresh}"),
                (gone, "") => format!("feature {name}: no categories {gone} any more"),
                (gone, fresh) => format!("feature {name}: categories {fresh} instead of {gone}"),
            })
        }
        (old, new) if word(old) != word(new) => {
            Some(format!("feature {name} is {} instead of {}", word(new), word(old)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tendon_kernel::sockets::model::OutputKind;

    use super::*;

    fn signature(features: &[(&str, FeatureKind)], outputs: usize) -> Signature {
        let feature =
            |(name, kind): &(&str, FeatureKind)| Feature { name: (*name).into(), kind: kind.clone(), range: None };
        let features = features.iter().map(feature).collect();
        Signature { features, output: OutputKind::Probability, outputs, objective: "binary".into() }
    }

    #[test]
    fn each_difference_is_named() {
        let job =
            |values: &[&str]| FeatureKind::Category { values: values.iter().map(|&value| value.into()).collect() };
        let old =
            signature(&[("age", FeatureKind::Number), ("job", job(&["a", "b"])), ("pdays", FeatureKind::Number)], 1);
        assert_eq!(differences(&old, &old), Vec::<String>::new());
        let new = signature(
            &[("job", job(&["b", "c"])), ("age", FeatureKind::CategoryCode), ("fax", FeatureKind::Number)],
            3,
        );
        assert_eq!(
            differences(&old, &new),
            [
                "feature age is a category code instead of a number",
                "feature job: categories c instead of a",
                "feature pdays is gone",
                "feature fax is new",
                "outputs: 3 of kind probability instead of 1 of kind probability",
            ]
        );
        let moved =
            signature(&[("job", job(&["b", "a"])), ("age", FeatureKind::Number), ("pdays", FeatureKind::Number)], 1);
        assert_eq!(
            differences(&old, &moved),
            ["feature job: its categories stand in another order", "the features stand in another order"]
        );
    }
}
