//! `tendon systems`: whether they answer, and what they hold.

use std::{process::ExitCode, sync::Arc};

use clap::Subcommand;
use serde_json::{Value as Json, json};
use tendon_kernel::sockets::{
    connector::{Build, Connector},
    secrets::Secrets,
};
use tendon_plan::Sources;
use tendon_platform::ProjectSecrets;

use crate::{
    assemble,
    cli::Format,
    commands::{access, discover},
    failure::{Failure, Outcome},
    output::{self, cell},
    project::Project,
};

/// What to do with systems.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask each system (or one) for a sign of life. Exit 1 when one gives none.
    Test {
        /// Only this system.
        system: Option<String>,
    },
    /// Show resources and fields as the login sees them.
    Catalog {
        /// Which system.
        system: String,
        /// Only this resource.
        resource: Option<String>,
    },
    /// Look at a system's tables and a sample of their rows, and describe it: keys, types, what is missing, what is personal.
    Discover(discover::Args),
    /// Print the statements that give a login exactly the declared rights, for the system's owner to run.
    Access(access::Args),
    /// Show the kinds of systems, and what each can do.
    Kinds,
    /// Show the kinds of caches, and what each promises.
    Caches,
}

/// Runs it.
///
/// # Errors
/// When the project cannot be read or a system that was named does not exist.
pub(crate) async fn run(find: impl Fn() -> Result<Project, Failure>, command: Command, format: Format) -> Outcome {
    match command {
        Command::Test { system } => test(&find()?, system.as_deref(), format).await,
        Command::Catalog { system, resource } => catalog(&find()?, &system, resource.as_deref(), format).await,
        Command::Discover(args) => discover::run(&find()?, &args, format).await,
        Command::Access(args) => access::run(&find()?, &args, format).await,
        Command::Kinds => Ok(kinds(format)),
        Command::Caches => Ok(caches(format)),
    }
}

fn kinds(format: Format) -> ExitCode {
    let kinds = tendon_connectors::ALL.iter();
    let list = kinds.map(|kind| json!({ "kind": kind.name, "can": kind.capability, "summary": kind.summary }));
    shown(format, &list.collect())
}

fn caches(format: Format) -> ExitCode {
    let caches = tendon_platform::caches::ALL.iter();
    shown(format, &caches.map(|cache| json!({ "kind": cache.kind, "can": cache, "summary": cache.summary })).collect())
}

/// Kinds of one family, with what each can.
fn shown(format: Format, kinds: &Json) -> ExitCode {
    output::document(format, kinds, |list| {
        let can = |kind: &Json| {
            let can = kind["can"].as_object().into_iter().flatten().filter(|(_, can)| **can == true);
            can.map(|(name, _)| name.replace('_', " ")).collect::<Vec<_>>().join(", ")
        };
        let row = |kind: &Json| vec![cell(kind, "kind"), can(kind), cell(kind, "summary")];
        let rows: Vec<_> = list.as_array().into_iter().flatten().map(row).collect();
        output::table(&["KIND", "CAN", "WHAT IT IS"], &rows)
    });
    ExitCode::SUCCESS
}

/// Name, kind and connection of a system.
type Connected = (String, String, Arc<dyn Connector>);

/// Builds connections to all systems, or the one named.
fn connect(project: &Project, only: Option<&str>) -> Result<Vec<Connected>, Failure> {
    let context = tendon_platform::context(&project.state())?;
    let secrets: Arc<dyn Secrets> = Arc::new(ProjectSecrets::new(&project.folder));
    let outline = tendon_plan::outline(&Sources(project.sources()?));
    let mut found = Vec::new();
    for (name, kind, config) in &outline.systems {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let known = tendon_connectors::find(kind).ok_or_else(|| {
            let kinds: Vec<&str> = tendon_connectors::ALL.iter().map(|kind| kind.name).collect();
            Failure::new(
                "kind_unknown",
                format!("system {name} has the unknown kind {kind}"),
                format!("kinds are: {}", kinds.join(", ")),
            )
        })?;
        let connector = (known.build)(Build {
            system: name.clone(),
            config: config.clone(),
            allowed: outline.allowed.get(name).cloned().unwrap_or_default(),
            folder: project.folder.clone(),
            context: context.clone(),
            secrets: secrets.clone(),
        })?;
        found.push((name.clone(), kind.clone(), connector));
    }
    if found.is_empty()
        && let Some(only) = only
    {
        let known: Vec<&str> = outline.systems.iter().map(|(name, ..)| name.as_str()).collect();
        let hint = format!("the project's systems are: {}", known.join(", "));
        return Err(Failure::new("system_not_found", format!("no system is called `{only}`"), hint));
    }
    Ok(found)
}

async fn test(project: &Project, only: Option<&str>, format: Format) -> Outcome {
    let mut rows = Vec::new();
    for (name, kind, connector) in connect(project, only)? {
        let answer = connector.probe().await;
        rows.push(json!({
            "system": name,
            "kind": kind,
            "ok": answer.is_ok(),
            "can": connector.capability(),
            "error": answer.err().map(|error| error.to_string()),
        }));
    }
    let all_well = rows.iter().all(|row| row["ok"] == true);
    output::document(format, &Json::Array(rows), |list| {
        let names = ["system", "kind", "ok", "error"];
        let row = |one: &Json| names.iter().map(|name| cell(one, name)).collect::<Vec<_>>();
        let rows: Vec<_> = list.as_array().into_iter().flatten().map(row).collect();
        output::table(&["SYSTEM", "KIND", "OK", "ERROR"], &rows)
    });
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn catalog(project: &Project, system: &str, resource: Option<&str>, format: Format) -> Outcome {
    let mut catalogs = Vec::new();
    for (_, _, connector) in connect(project, Some(system))? {
        catalogs.push(assemble::ask_catalog(&connector).await?);
    }
    let Some(mut found) = catalogs.pop() else { return Ok(ExitCode::FAILURE) };
    found.resources.retain(|one| resource.is_none_or(|name| name == one.name));
    if let (true, Some(resource)) = (found.resources.is_empty(), resource) {
        let hint = format!("`tendon systems catalog {system}` lists all");
        return Err(Failure::new("resource_not_found", format!("system {system} has no resource `{resource}`"), hint));
    }
    let document = serde_json::to_value(&found).unwrap_or_default();
    output::document(format, &document, |_| {
        let mut rows = Vec::new();
        for one in &found.resources {
            for field in &one.schema.fields {
                let mut notes = Vec::new();
                if one.key.iter().any(|key| **key == *field.name) {
                    notes.push("key");
                }
                if field.required {
                    notes.push("required");
                }
                rows.push(vec![one.name.clone(), field.name.to_string(), field.kind.to_string(), notes.join(", ")]);
            }
        }
        output::table(&["RESOURCE", "FIELD", "TYPE", "NOTES"], &rows)
    });
    Ok(ExitCode::SUCCESS)
}
