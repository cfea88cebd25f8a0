//! Models: which version an integration is checked against.

use std::sync::Arc;

use tendon_kernel::sockets::model::{OutputKind, Signature};

use super::Work;
use crate::{
    facts::{ModelFacts, VersionFact},
    nearest::nearest,
    yaml::At,
};

/// Alias of the newest version, unless the facts say otherwise.
pub(crate) const CHAMPION: &str = "champion";

/// A resolved `name@alias`. After a slip it holds what was probably meant, so that the rest is checked as well.
pub(super) struct Chosen {
    pub(super) model: Arc<str>,
    pub(super) alias: Arc<str>,
    pub(super) signature: Arc<Signature>,
    /// Whether the signature is a model's; if not (which was reported), what depends on it is not checked.
    pub(super) known: bool,
}

impl Chosen {
    fn unknown(model: &str, alias: &str) -> Self {
        let signature =
            Signature { features: Vec::new(), output: OutputKind::Number, outputs: 1, objective: String::new() };
        Self { model: Arc::from(model), alias: Arc::from(alias), signature: Arc::new(signature), known: false }
    }
}

/// The version that an alias or version name means.
pub(crate) fn version<'a>(facts: &'a ModelFacts, alias: &str) -> Option<&'a VersionFact> {
    let by_name = |name: &str| facts.versions.iter().find(|version| version.version == name);
    match facts.aliases.get(alias) {
        Some(name) => by_name(name),
        None if alias == CHAMPION => facts.versions.last(),
        None => by_name(alias),
    }
}

impl Work<'_> {
    /// Resolves the `model` key.
    pub(super) fn model(&mut self, reference: &At<String>) -> Chosen {
        let text = reference.text();
        let (name, alias) = text.split_once('@').unwrap_or((text, CHAMPION));
        let mut name = name;
        if !self.project.models.contains_key(name) {
            let known: Vec<&str> = self.project.models.keys().map(AsRef::as_ref).collect();
            let meant = nearest(name, known.iter().copied());
            let suggestion = meant.map(|known| format!("{known}@{alias}"));
            let message = format!("there is no model {name}");
            self.findings.add(reference.mark, "unknown_model", message, |finding| {
                finding.allow(known.join(", ")).suggest(suggestion)
            });
            let Some(meant) = meant else { return Chosen::unknown(name, alias) };
            name = meant;
        }
        // A model without a usable version was reported where it is declared.
        let facts = self.facts.models.get(name);
        let Some((facts, newest)) = facts.and_then(|facts| facts.versions.last().map(|newest| (facts, newest))) else {
            return Chosen::unknown(name, alias);
        };
        let version = if let Some(version) = version(facts, alias) {
            version
        } else {
            let mut known: Vec<&str> = facts.aliases.keys().map(String::as_str).collect();
            known.extend([CHAMPION].iter().filter(|name| !facts.aliases.contains_key(**name)));
            known.extend(facts.versions.iter().map(|version| version.version.as_str()));
            let suggestion = nearest(alias, known.iter().copied()).map(|known| format!("{name}@{known}"));
            let mark = reference.inside(text.len() - alias.len());
            let message = format!("model {name} has no alias or version {alias}");
            self.findings
                .add(mark, "unknown_alias", message, |finding| finding.allow(known.join(", ")).suggest(suggestion));
            newest
        };
        let signature = Arc::new(version.signature.clone());
        if signature.outputs != 1 {
            let message = format!("model {name} gives {} numbers per row; an integration needs one", signature.outputs);
            self.findings.add(reference.mark, "many_outputs", message, |finding| {
                finding.allow("a model with one output (binary classification, regression, ranking)")
            });
        }
        Chosen { model: Arc::from(name), alias: Arc::from(alias), signature, known: true }
    }
}
