//! Which field is which feature: what was said by flags, what is proposed with enough confidence, and a question for the rest.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, IsTerminal as _, Write as _},
};

use tendon_assist::mapping::{Candidate, Proposal, propose, reference};
use tendon_kernel::sockets::model::Feature;

use super::Scene;
use crate::{failure::Failure, output, table::harmless};

/// The mapping, complete.
pub(super) struct Mapping {
    /// One per feature, in the model's order.
    pub(super) sources: Vec<Source>,
    /// The same for printing.
    pub(super) shown: Vec<serde_json::Value>,
}

/// Where a feature comes from.
pub(super) struct Source {
    pub(super) feature: String,
    /// CEL; `input.<feature>` itself needs no line in the file.
    pub(super) cel: String,
    /// How sure it was; `None`: a person said so.
    pub(super) confidence: Option<f64>,
    why: String,
}

/// Chooses for every feature.
///
/// # Errors
/// When a flag names what is not there, or an answer is missing and nobody can be asked.
pub(super) fn choose(scene: &Scene<'_>, features: &[Feature]) -> Result<Mapping, Failure> {
    let mut said = said(scene, features)?;
    let mut left_out: Vec<String> = scene.key.iter().chain(&scene.watermark).cloned().collect();
    left_out.extend(super::columns::of_answers(scene));
    left_out.extend(said.values().filter_map(|cel| cel.strip_prefix("input.").map(str::to_owned)));
    let open: Vec<Feature> = features.iter().filter(|feature| !said.contains_key(&feature.name)).cloned().collect();
    // A key or a watermark may be a feature all the same, if it has the very name of one.
    left_out.retain(|field| !open.iter().any(|feature| feature.name == *field));
    let proposals = propose(&open, &scene.table, &left_out);
    let asking = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !scene.args.yes;
    let mut unsure = Vec::new();
    let mut taken = BTreeMap::new();
    for proposal in proposals {
        let best = proposal.best.clone();
        match best.filter(|best| best.confidence >= scene.args.sure || scene.args.yes) {
            Some(best) => drop(taken.insert(proposal.feature.clone(), best)),
            None if asking => drop(said.insert(proposal.feature.clone(), ask(scene, &proposal)?)),
            None => unsure.push(proposal),
        }
    }
    if !unsure.is_empty() {
        return Err(not_sure(&unsure));
    }
    let mut sources = Vec::new();
    for feature in features {
        let name = feature.name.clone();
        if let Some(cel) = said.remove(&name) {
            sources.push(Source { feature: name, cel, confidence: None, why: "as you said".to_owned() });
        } else if let Some(best) = taken.remove(&name) {
            let cel = best.expression.unwrap_or_else(|| reference(&best.field));
            sources.push(Source { feature: name, cel, confidence: Some(best.confidence), why: best.why });
        }
    }
    let shown = sources.iter().map(|one| {
        serde_json::json!({ "feature": one.feature, "from": one.cel, "confidence": one.confidence, "why": one.why })
    });
    Ok(Mapping { shown: shown.collect(), sources })
}

/// What the flags say, as CEL by feature.
fn said(scene: &Scene<'_>, features: &[Feature]) -> Result<BTreeMap<String, String>, Failure> {
    let mut said = BTreeMap::new();
    for flag in &scene.args.map {
        let Some((feature, source)) = flag.split_once('=') else {
            return Err(Failure::new("map_form", format!("--map {flag} has no `=`"), "write --map feature=field"));
        };
        let (feature, source) = (feature.trim(), source.trim());
        if !features.iter().any(|known| known.name == feature) {
            let names: Vec<&str> = features.iter().map(|known| known.name.as_str()).collect();
            let message = format!("the model has no feature `{feature}`");
            return Err(Failure::new("unknown_feature", message, format!("its features are: {}", names.join(", "))));
        }
        said.insert(feature.to_owned(), cel_of(scene, source)?);
    }
    Ok(said)
}

/// A field's name as CEL, or CEL as it is.
fn cel_of(scene: &Scene<'_>, source: &str) -> Result<String, Failure> {
    if scene.resource.schema.field(source).is_some() {
        return Ok(reference(source));
    }
    if source.contains("input") || source.contains('(') || source.parse::<f64>().is_ok() {
        return Ok(source.to_owned());
    }
    let names: Vec<&str> = scene.resource.schema.fields.iter().map(|field| field.name.as_ref()).collect();
    let message = format!("`{source}` is no field of {} and no expression over `input`", scene.args.table);
    Err(Failure::new("unknown_field", message, format!("its fields are: {}", names.join(", "))))
}

/// Asks a person at the terminal.
fn ask(scene: &Scene<'_>, proposal: &Proposal) -> Result<String, Failure> {
    let candidates: Vec<&Candidate> = proposal.best.iter().chain(&proposal.others).collect();
    output::say(&format!("\nWhere does the feature {} come from?", harmless(&proposal.feature)));
    for (number, one) in candidates.iter().enumerate() {
        let told = format!("  {}  {} ({:.0} %: {})", number + 1, one.field, one.confidence * 100.0, one.why);
        output::say_line(&told);
    }
    loop {
        let default = if candidates.is_empty() { "" } else { " [1]" };
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "a number, a field, or an expression over `input`{default}: ").and_then(|()| err.flush());
        drop(err);
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        if !matches!(read, Ok(1..)) {
            return Err(Failure::new(
                "no_answer_given",
                "the question was not answered",
                "answer it with --map feature=field",
            ));
        }
        let line = line.trim();
        let number = if line.is_empty() { Some(1) } else { line.parse::<usize>().ok() };
        if let Some(number) = number {
            if let Some(one) = number.checked_sub(1).and_then(|at| candidates.get(at)) {
                return Ok(one.expression.clone().unwrap_or_else(|| reference(&one.field)));
            }
            continue;
        }
        match cel_of(scene, line) {
            Ok(cel) => return Ok(cel),
            Err(failure) => output::say(&format!("{}; {}", failure.message, failure.hint.unwrap_or_default())),
        }
    }
}

fn not_sure(unsure: &[Proposal]) -> Failure {
    let mut text = String::new();
    let mut flags = String::new();
    for proposal in unsure {
        let near: Vec<String> = proposal
            .best
            .iter()
            .chain(&proposal.others)
            .map(|one| format!("{} ({:.0} %)", one.field, one.confidence * 100.0))
            .collect();
        let near =
            if near.is_empty() { "no field comes near".to_owned() } else { format!("perhaps {}", near.join(", ")) };
        text.push_str(&format!("\n  {}: {near}", proposal.feature));
        let field = proposal.best.as_ref().map_or("FIELD", |best| best.field.as_str());
        flags.push_str(&format!(" --map {}={field}", proposal.feature));
    }
    let nothing = unsure.iter().any(|proposal| proposal.best.is_none());
    let or = if nothing { "" } else { "; or take every proposal with --yes" };
    Failure::new(
        "mapping_unsure",
        format!("where these features come from is not sure enough:{text}"),
        format!("say so with{flags}{or}"),
    )
}

/// The mapping as a table.
pub(super) fn table(mapping: &Mapping) -> String {
    let row = |one: &Source| {
        let sure = one.confidence.map(|sure| format!("{:.0} %", sure * 100.0)).unwrap_or_default();
        vec![one.feature.clone(), one.cel.clone(), sure, one.why.clone()]
    };
    let rows: Vec<_> = mapping.sources.iter().map(row).collect();
    output::table(&["FEATURE", "FROM", "SURE", "WHY"], &rows)
}
