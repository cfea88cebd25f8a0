//! Features: one column per feature of the model's signature, from a field of its name or an expression.

use tendon_kernel::{
    Type,
    sockets::model::{Feature, FeatureKind, Signature},
};

use super::{
    Work,
    input::Candidates,
    integration::{Moment, Names},
};
use crate::{
    expr::Ty,
    finding::Mark,
    nearest::nearest,
    plan::{Encoding, FeaturePlan, Source},
    raw::{Cel, InputRaw},
    yaml::At,
};

impl Work<'_> {
    /// One column per feature of the signature.
    pub(super) fn features(
        &mut self,
        raw: Option<&InputRaw>,
        signature: &Signature,
        names: &Names,
        candidates: &Candidates,
        mark: Mark,
    ) -> Vec<FeaturePlan> {
        let mapped = raw.map(|raw| &raw.features);
        let known: Vec<&str> = signature.features.iter().map(|feature| feature.name.as_str()).collect();
        for (name, _) in mapped.iter().flat_map(|mapped| mapped.iter()) {
            if !known.contains(&name.text()) {
                let suggestion = nearest(name.text(), known.iter().copied());
                let message = format!("the model has no feature {}", name.text());
                self.findings.add(name.mark, "unknown_feature", message, |finding| {
                    finding.allow(known.join(", ")).suggest(suggestion)
                });
            }
        }
        let mut features = Vec::new();
        for feature in &signature.features {
            let cel = mapped.and_then(|mapped| mapped.iter().find(|(name, _)| name.text() == feature.name));
            let built = match cel {
                Some((_, cel)) => self.mapped_feature(feature, cel, names),
                None => self.direct_feature(feature, names, candidates, mark),
            };
            features.extend(built);
        }
        features
    }

    fn mapped_feature(&mut self, feature: &Feature, cel: &At<Cel>, names: &Names) -> Option<FeaturePlan> {
        let compiled = self.compile(cel, &names.env(Moment::Enriched))?;
        let encoding = self.encoding(feature, &compiled.ty, cel.text(), cel.mark)?;
        Some(FeaturePlan { name: feature.name.as_str().into(), source: Source::Program(compiled.program), encoding })
    }

    fn direct_feature(
        &mut self,
        feature: &Feature,
        names: &Names,
        candidates: &Candidates,
        mark: Mark,
    ) -> Option<FeaturePlan> {
        let name = feature.name.as_str();
        let found = names.schema.position(name).and_then(|at| names.schema.fields.get(at).map(|field| (at, field)));
        let found = found.map(|(at, field)| (at, field.kind, format!("input.{name}")));
        let Some((position, kind, text)) = found.or_else(|| looked_up(name, names)) else {
            self.no_source(name, candidates, mark);
            return None;
        };
        let encoding = self.encoding(feature, &Ty::of(kind), &text, mark)?;
        Some(FeaturePlan { name: name.into(), source: Source::Field(position), encoding })
    }

    fn no_source(&mut self, name: &str, candidates: &Candidates, mark: Mark) {
        let fields = candidates.names();
        let (system, resource) = candidates.from.clone().unwrap_or_default();
        let hidden = candidates.unreadable.iter().any(|hidden| hidden == name);
        let message = if hidden {
            format!("feature {name} is a field of {system}.{resource} that is not listed under read")
        } else {
            format!("feature {name} of the model has no source: no input field has its name")
        };
        let suggestion = if hidden {
            Some(format!("systems.{system}.read.{resource}: [..., {name}]"))
        } else {
            nearest(name, fields.iter().map(String::as_str))
                .map(|field| format!("features: {{ {name}: \"input.{field}\" }}"))
        };
        self.findings.add(mark, "feature_without_source", message, |finding| {
            finding.allow(format!("features: {{ {name}: \"…\" }} over {}", fields.join(", "))).suggest(suggestion)
        });
    }

    /// How a value of this type becomes the feature's number.
    fn encoding(&mut self, feature: &Feature, ty: &Ty, text: &str, mark: Mark) -> Option<Encoding> {
        let (encoding, fits, allowed) = match &feature.kind {
            FeatureKind::Number => {
                (Encoding::Number, matches!(ty, Ty::Bool | Ty::Int | Ty::Double | Ty::Null), "a number or a bool")
            }
            FeatureKind::CategoryCode => {
                (Encoding::Number, matches!(ty, Ty::Bool | Ty::Int | Ty::Null), "an int (the category's code)")
            }
            FeatureKind::Category { values } => {
                #[expect(clippy::cast_precision_loss, reason = "a model has far fewer categories than 2^53")]
                let codes =
                    values.iter().enumerate().map(|(code, value)| (value.as_str().into(), code as f64)).collect();
                (Encoding::Category(codes), matches!(ty, Ty::String | Ty::Null), "a text (the category's name)")
            }
        };
        if fits {
            return Some(encoding);
        }
        let message = format!("feature {} is fed by a {ty}", feature.name);
        let suggestion = match (&feature.kind, ty) {
            (FeatureKind::Number, Ty::Timestamp) => Some(format!("{}: days(now - {text})", feature.name)),
            (FeatureKind::Number, Ty::Duration) => Some(format!("{}: days({text})", feature.name)),
            (FeatureKind::Number, Ty::String) => Some(format!("{}: double({text})", feature.name)),
            (FeatureKind::CategoryCode, _) => Some(format!("{}: int({text})", feature.name)),
            (FeatureKind::Category { .. }, _) => Some(format!("{}: string({text})", feature.name)),
            _ => None,
        };
        self.findings.add(mark, "feature_type", message, |finding| finding.allow(allowed).suggest(suggestion));
        None
    }
}

/// The one looked-up field of this name: position, type and text.
fn looked_up(name: &str, names: &Names) -> Option<(usize, Type, String)> {
    let mut found = names.lookups.iter().filter_map(|looked| {
        let at = looked.fields.position(name)?;
        let kind = looked.fields.fields.get(at)?.kind;
        Some((looked.first + at, kind, format!("{}.{name}", looked.name)))
    });
    found.next().filter(|_| found.next().is_none())
}
