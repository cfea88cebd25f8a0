//! `tendon models add|promote|rollback|remove`: versions come and go, aliases move; recorded, with who and why.

use std::{fs, path::PathBuf};

use serde_json::Value as Json;

use crate::{
    cli::Format,
    commands, facts,
    failure::{self, Outcome},
    orders::{ModelsOrder, Order},
    output::{self, cell},
    project::Project,
};

/// Who changes a model, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Who {
    /// Why, for the record (sealed with it).
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Who asks, for the record (sealed with it).
    #[arg(long, env = "USER", default_value = "somebody at the command line")]
    by: String,
}

/// A file that becomes a version.
#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// The model's name in the project.
    model: String,
    /// The file.
    file: PathBuf,
    /// What the version is called; default: the file's name without its ending.
    #[arg(id = "called", long = "version", value_name = "V")]
    version: Option<String>,
    #[command(flatten)]
    who: Who,
}

/// An alias that is to name a version.
#[derive(Debug, clap::Args)]
pub(crate) struct Promote {
    /// The model's name in the project.
    model: String,
    /// The version.
    #[arg(id = "which", value_name = "VERSION")]
    version: String,
    /// The alias.
    #[arg(long, default_value = "champion")]
    alias: String,
    #[command(flatten)]
    who: Who,
}

/// An alias that is to name what it named before.
#[derive(Debug, clap::Args)]
pub(crate) struct Rollback {
    /// The model's name in the project.
    model: String,
    /// The alias.
    #[arg(long, default_value = "champion")]
    alias: String,
    #[command(flatten)]
    who: Who,
}

/// A version that is to go.
#[derive(Debug, clap::Args)]
pub(crate) struct Remove {
    /// The model's name in the project.
    model: String,
    /// The version.
    #[arg(id = "which", value_name = "VERSION")]
    version: String,
    #[command(flatten)]
    who: Who,
}

/// Brings a version in. The model's folder gets the file as a whole or not at all.
pub(super) async fn add(project: &Project, args: Add, format: Format) -> Outcome {
    let Add { model, file, version, who } = args;
    let failed = |error| failure::io("reading the model", &file, &error).could_not_run();
    let digest = facts::sha256(&fs::read(&file).map_err(failed)?);
    let stem = || file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let version = version.unwrap_or_else(stem);
    let file = file.canonicalize().map_err(failed)?;
    let order = ModelsOrder::Add { model, version, file, digest, by: who.by, why: who.why };
    commands::show(project, format, Order::Models(order), |done| {
        let (model, version) = (cell(done, "model"), cell(done, "version"));
        if done["added"] == false {
            return format!("{model} has {version} already, byte for byte");
        }
        list(&done["differences"]).for_each(|one| output::say_line(&format!("note: {one}")));
        let unfit = |one| output::say_line(&format!("warning: as champion it would not fit: {one}"));
        list(&done["warnings"]).for_each(unfit);
        match list(&done["aliases"]).collect::<Vec<_>>().join(", ").as_str() {
            "" => format!("added {model} {version} (SHA-256 {})", cell(done, "digest")),
            aliases => format!("added {model} {version}, which is {aliases} now (SHA-256 {})", cell(done, "digest")),
        }
    })
    .await
}

fn list(texts: &Json) -> impl Iterator<Item = &str> {
    texts.as_array().into_iter().flatten().filter_map(Json::as_str)
}

/// Lets an alias name a version, from the next decision on.
pub(super) async fn promote(project: &Project, args: Promote, format: Format) -> Outcome {
    let Promote { model, version, alias, who } = args;
    let order = ModelsOrder::Promote { model, version, alias, by: who.by, why: who.why };
    commands::show(project, format, Order::Models(order), moved).await
}

/// Lets an alias name what it named before, from the next decision on.
pub(super) async fn roll_back(project: &Project, args: Rollback, format: Format) -> Outcome {
    let order = ModelsOrder::Rollback { model: args.model, alias: args.alias, by: args.who.by, why: args.who.why };
    commands::show(project, format, Order::Models(order), moved).await
}

fn moved(done: &Json) -> String {
    let (model, alias, version) = (cell(done, "model"), cell(done, "alias"), cell(done, "version"));
    match (done["changed"] == true, cell(done, "from").as_str()) {
        (false, _) => format!("{alias} of {model} is {version} already"),
        (true, "") => format!("{alias} of {model} is {version} now"),
        (true, from) => format!("{alias} of {model} is {version} now (it was {from})"),
    }
}

/// Takes a version out. What it decided stays explainable: its bytes are kept by digest.
pub(super) async fn remove(project: &Project, args: Remove, format: Format) -> Outcome {
    let Remove { model, version, who } = args;
    let order = ModelsOrder::Remove { model, version, by: who.by, why: who.why };
    commands::show(project, format, Order::Models(order), |done| {
        format!("removed {} {}", cell(done, "model"), cell(done, "version"))
    })
    .await
}
