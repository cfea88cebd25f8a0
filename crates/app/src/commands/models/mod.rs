//! `tendon models`: look at models, and score files of rows with them, also outside any project.

mod change;
mod predict;
mod rows;

use std::{fs, path::Path, process::ExitCode};

use clap::Subcommand;
use serde_json::{Value as Json, json};
use tendon_kernel::sockets::model::{FeatureKind, Signature};
use tendon_plan::facts::{ModelFacts, VersionFact};

use crate::{
    assemble,
    cli::Format,
    facts,
    failure::{self, Failure, Outcome},
    output::{self, cell, moment},
    project::Project,
    registry,
    table::harmless,
};

/// What to do with models.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Score a file of rows with any model, to compare with a notebook.
    Predict(predict::Args),
    /// Bring a version in from a file: loaded and judged first, copied as a whole, immutable from then on.
    #[command(disable_version_flag = true)]
    Add(change::Add),
    /// List the project's models, their versions and what aliases name.
    List,
    /// Show a model's contract: inputs, outputs; of a model of the project also versions, aliases and history.
    Show {
        /// A model's file, or its name in the project.
        model: String,
    },
    /// Let an alias name a version, from the next decision on. A promoted alias stays until it is promoted or rolled back.
    Promote(change::Promote),
    /// Let an alias name what it named before, from the next decision on.
    Rollback(change::Rollback),
    /// Take a version out that nothing names. What it decided can still be explained and replayed.
    Remove(change::Remove),
}

/// Runs it.
///
/// # Errors
/// When the model or the rows cannot be read.
pub(crate) async fn run(find: impl Fn() -> Result<Project, Failure>, command: Command, format: Format) -> Outcome {
    match command {
        Command::Predict(args) => predict::run(find, &args, format).await,
        Command::Add(args) => change::add(&find()?, args, format).await,
        Command::List => list(&find()?, format).await,
        Command::Show { model } => show(find, &model, format).await,
        Command::Promote(args) => change::promote(&find()?, args, format).await,
        Command::Rollback(args) => change::roll_back(&find()?, args, format).await,
        Command::Remove(args) => change::remove(&find()?, args, format).await,
    }
}

async fn list(project: &Project, format: Format) -> Outcome {
    let models = assemble::read_models(project).await?;
    let rows: Vec<Json> = models.iter().flat_map(|(name, files)| versions(name, &files.facts)).collect();
    output::document(format, &Json::Array(rows), |list| {
        let names = ["model", "version", "aliases", "format", "features", "digest", "state"];
        let row = |one: &Json| names.iter().map(|name| cell(one, name)).collect::<Vec<_>>();
        let rows: Vec<_> = list.as_array().into_iter().flatten().map(row).collect();
        output::table(&["MODEL", "VERSION", "ALIASES", "FORMAT", "FEATURES", "DIGEST", "STATE"], &rows)
    });
    Ok(ExitCode::SUCCESS)
}

fn versions(name: &str, facts: &ModelFacts) -> Vec<Json> {
    let good = facts.versions.iter().map(|version| {
        let aliases = facts.aliases.iter().filter(|(_, of)| **of == version.version).map(|(alias, _)| alias.as_str());
        json!({
            "model": name, "version": version.version, "aliases": aliases.collect::<Vec<_>>().join(","),
            "format": version.format, "features": version.signature.features.len(),
            "digest": version.digest.get(..16), "state": "ok",
        })
    });
    let broken =
        facts.broken.iter().map(|(version, reason)| json!({ "model": name, "version": version, "state": reason }));
    good.chain(broken).collect()
}

async fn show(find: impl Fn() -> Result<Project, Failure>, model: &str, format: Format) -> Outcome {
    let (version, _, _) = load(&find, model).await?;
    let mut document = json!({
        "version": version.version, "digest": version.digest, "format": version.format,
        "objective": version.signature.objective, "output": version.signature.output,
        "outputs": version.signature.outputs, "features": version.signature.features,
    });
    if !Path::new(model).is_file() {
        registered(&find()?, model.split_once('@').map_or(model, |(name, _)| name), &mut document).await?;
    }
    output::document(format, &document, |document| {
        let names = ["version", "digest", "format", "objective", "output", "outputs"];
        let told = names.map(|name| (name, cell(document, name))).into_iter().filter(|(_, value)| !value.is_empty());
        let text: String = told.map(|(name, value)| format!("{name}: {value}\n")).collect();
        text + "\n" + &features(&version.signature) + &changes(document)
    });
    Ok(ExitCode::SUCCESS)
}

/// Adds what the project knows of the model: versions, aliases, and what was done to it, the latest first.
async fn registered(project: &Project, name: &str, document: &mut Json) -> Result<(), Failure> {
    let models = assemble::read_models(project).await?;
    if let Some(files) = models.get(name) {
        document["aliases"] = json!(files.facts.aliases);
        document["versions"] = versions(name, &files.facts).into();
    }
    document["history"] = json!(registry::history(&project.state(), name).await?);
    Ok(())
}

fn changes(document: &Json) -> String {
    let mut text = String::new();
    for (alias, version) in document["aliases"].as_object().into_iter().flatten() {
        let told = format!("alias {alias}: {}", version.as_str().unwrap_or_default());
        text.push_str(&format!("\n{}", harmless(&told)));
    }
    let history = document["history"].as_array().into_iter().flatten();
    let row = |one: &Json| {
        let from = cell(&one["from"], "version");
        vec![
            moment(one, "at"),
            cell(one, "what"),
            cell(one, "alias"),
            cell(one, "version"),
            from,
            cell(one, "by"),
            cell(one, "why"),
        ]
    };
    let rows: Vec<_> = history.map(row).collect();
    if !rows.is_empty() {
        text.push_str("\n\n");
        text.push_str(&output::table(&["WHEN (UTC)", "WHAT", "ALIAS", "VERSION", "BEFORE", "BY", "WHY"], &rows));
    }
    text
}

fn features(signature: &Signature) -> String {
    let row = |feature: &tendon_kernel::sockets::model::Feature| {
        let kind = match &feature.kind {
            FeatureKind::Number => "number".to_owned(),
            FeatureKind::CategoryCode => "category code".to_owned(),
            FeatureKind::Category { values } => format!("one of {}", values.join(", ")),
        };
        let range = feature.range.map(|(low, high)| format!("{low} to {high}")).unwrap_or_default();
        vec![feature.name.clone(), kind, range]
    };
    let rows: Vec<_> = signature.features.iter().map(row).collect();
    output::table(&["FEATURE", "KIND", "SEEN IN TRAINING"], &rows)
}

type Model = std::sync::Arc<dyn tendon_kernel::sockets::model::Model>;

/// Loads a model by file, or by name (optionally `name@version`) in the project.
async fn load(
    find: impl Fn() -> Result<Project, Failure>,
    model: &str,
) -> Result<(VersionFact, Model, String), Failure> {
    let file = Path::new(model);
    if file.is_file() {
        let bytes = fs::read(file).map_err(|error| failure::io("reading the model", file, &error))?;
        let name = file.file_name().and_then(|name| name.to_str());
        let (format, loaded) = tendon_models::load(name, &bytes)?;
        let version = VersionFact {
            version: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            digest: facts::sha256(&bytes),
            format: format.name.to_owned(),
            signature: loaded.signature().clone(),
        };
        return Ok((version, loaded, model.to_owned()));
    }
    let missing =
        |hint: String| Failure::new("model_not_found", format!("there is no file and no model `{model}`"), hint);
    let project = find().map_err(|_| missing("name a model's file, or run inside a project".to_owned()))?;
    let models = assemble::read_models(&project).await?;
    let (name, wanted) = model.split_once('@').unwrap_or((model, "champion"));
    let Some(files) = models.get(name) else {
        let known: Vec<&str> = models.keys().map(String::as_str).collect();
        return Err(missing(format!("the project's models are: {}", known.join(", "))));
    };
    let wanted = files.facts.aliases.get(wanted).map_or(wanted, String::as_str);
    let version = files.facts.versions.iter().find(|version| version.version == wanted).cloned();
    let loaded = files.loaded.iter().find(|loaded| &*loaded.reference.version == wanted);
    match (version, loaded) {
        (Some(version), Some(loaded)) => Ok((version, loaded.model.clone(), model.to_owned())),
        _ => Err(missing(format!("`tendon models list` shows the versions of {name}"))),
    }
}
