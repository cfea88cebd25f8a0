//! `tendon new`: an integration from a model file and a table, complete and checked, in one command.

mod bands;
mod columns;
mod compose;
mod mapping;
mod model;

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;
use serde_json::json;
use tendon_assist::profile::{ResourceProfile, profile};
use tendon_kernel::{
    schema::Resource,
    sockets::connector::{Connector, Row},
};
use tendon_plan::finding::Severity;

use crate::{
    assemble,
    cli::Format,
    failure::{Failure, Outcome},
    joining::{Connection, Draft, Given, sample},
    output,
    project::Project,
    registry::View,
};

/// What to make.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// An integration: which model answers for which table. Asks only where it is not sure; every question has a flag.
    Integration(Box<Args>),
}

/// The integration.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name.
    name: String,
    /// The model's file (copied into the project), or the name of a model that the project has.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Where the rows are, and the answers go: SYSTEM.TABLE.
    #[arg(long, value_name = "SYSTEM.TABLE")]
    table: String,
    #[command(flatten)]
    given: Given,
    /// Where a feature comes from: a field, or a CEL expression over `input`.
    #[arg(long = "map", value_name = "FEATURE=FIELD")]
    map: Vec<String>,
    /// Take every proposal, however unsure.
    #[arg(long, short)]
    yes: bool,
    /// Proposals at least this sure are taken without a question.
    #[arg(long, default_value_t = 0.6, value_name = "SHARE")]
    sure: f64,
    /// Column that takes the answer.
    #[arg(long, value_name = "FIELD")]
    score_field: Option<String>,
    /// What is written back: FIELD=VALUE,…, where a value is `output`, `band`, `now` or CEL.
    #[arg(long, value_name = "FIELD=VALUE,…")]
    write: Option<String>,
    /// Fields that name one row, where the table has no key of its own.
    #[arg(long, value_delimiter = ',', value_name = "FIELD,…")]
    key: Vec<String>,
    /// Field that grows with each change of a row.
    #[arg(long, value_name = "FIELD")]
    watermark: Option<String>,
    /// Bands, best first, the last one for the rest: "green>=0.7,yellow>=0.4,red". Default: from the scores of sampled rows.
    #[arg(long)]
    bands: Option<String>,
    /// Only the HTTP door: nothing is watched, nothing written back.
    #[arg(long)]
    api_only: bool,
    /// What it is for, in one sentence.
    #[arg(long)]
    purpose: Option<String>,
    /// Who answers for it.
    #[arg(long)]
    owner: Option<String>,
    /// Rows looked at.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sample: u32,
}

/// What is known when the file is written.
struct Scene<'a> {
    args: &'a Args,
    connection: Connection,
    resource: Resource,
    rows: Vec<Row>,
    table: ResourceProfile,
    /// What the plan is to read and write is checked by the plan; this one only tells statements.
    connector: std::sync::Arc<dyn Connector>,
    /// Whether changes are watched and answers written back.
    events: bool,
    key: Vec<String>,
    watermark: Option<String>,
}

/// Runs it.
///
/// # Errors
/// When an answer is missing, or the project would not be right afterwards; then nothing is written.
pub(crate) async fn run(project: &Project, command: Command, format: Format) -> Outcome {
    let Command::Integration(args) = command;
    let known = assemble::read(project).await?;
    let draft = Draft::new(project, known.facts.clone())?;
    let file = format!("integrations/{}.yaml", args.name);
    if project.folder.join(&file).exists() {
        let message = format!("{file} is there already, and nothing is overwritten");
        return Err(Failure::new("file_there", message, "choose another name, or edit the file; `tendon check` helps"));
    }
    let promoted = View::at(&project.state()).await?.is_promoted(&args.name);
    let model = model::choose(project, &known, &args.model, &args.name, promoted)?;
    let scene = scene(project, &args).await?;
    let signature = model.signature();
    let chosen = mapping::choose(&scene, &signature.features)?;
    let target = if scene.events { columns::choose(&scene, &chosen, format)? } else { Vec::new() };
    let made = compose::make(project, draft, &scene, &model, &chosen, target)?;
    let (_, findings) = made.draft.plan()?;
    let written = made.draft.write()?;
    let document = json!({
        "integration": args.name, "written": written, "mapping": chosen.shown,
        "write": made.set.iter().map(|(field, cel)| json!({ "field": field, "value": cel })).collect::<Vec<_>>(),
        "bands": made.bands.iter().map(|(name, test)| json!({ "band": name, "test": test })).collect::<Vec<_>>(),
        "findings": findings,
    });
    output::document(format, &document, |_| mapping::table(&chosen) + &compose::summary(&made));
    if format == Format::Text {
        findings
            .iter()
            .filter(|finding| finding.severity != Severity::Info)
            .for_each(|finding| output::say_line(&finding.to_string()));
        output::say(&next(&scene, &written, &args.name));
    }
    Ok(ExitCode::SUCCESS)
}

fn next(scene: &Scene<'_>, written: &[String], name: &str) -> String {
    let mut text = format!("\nwritten: {}\n", written.join(", "));
    if let Some(variable) = &scene.connection.needs {
        text.push_str(&format!(
            "The address is not written down: set {variable} to it before you go on (export {variable}=…).\n"
        ));
    }
    text.push_str(&match scene.events {
        true => {
            let lines = [
                (format!("tendon backfill {name} --dry-run"), "what would be written, without writing"),
                (format!("tendon backfill {name}"), "score the rows that are there"),
                ("tendon up".to_owned(), "from now on, with the HTTP door"),
            ];
            let width = lines.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
            lines.iter().fold("Next:".to_owned(), |text, (line, what)| text + &format!("\n  {line:width$}    {what}"))
        }
        false => {
            "Next:\n  tendon up      answers over HTTP; a key to ask with: tendon keys create --name ME".to_owned()
        }
    });
    text
}

async fn scene<'a>(project: &Project, args: &'a Args) -> Result<Scene<'a>, Failure> {
    let Some((system, table)) = args.table.split_once('.') else {
        let message = format!("--table {} names no system", args.table);
        return Err(Failure::new("table_form", message, "write SYSTEM.TABLE, for example crm.leads"));
    };
    let connection = Connection::open(project, system, &args.given).await?;
    let Some(resource) = connection.catalog.resource(table).cloned() else {
        let names: Vec<&str> = connection.catalog.resources.iter().take(40).map(|one| one.name.as_str()).collect();
        let message = format!("system {system} has no table `{table}` that this login can see");
        return Err(Failure::new("resource_not_found", message, format!("it has: {}", names.join(", "))));
    };
    let keyed =
        Resource { key: if args.key.is_empty() { resource.key.clone() } else { args.key.clone() }, ..resource.clone() };
    let rows = sample(&connection, &keyed, usize::try_from(args.sample).unwrap_or(1000)).await?;
    let table = profile(&keyed, &rows);
    let connector = connection.connector(tendon_kernel::sockets::connector::Allowed::default())?;
    let can = connection.kind.capability;
    let events = can.watch && can.write && !args.api_only;
    if !events && !args.api_only {
        output::say(&format!(
            "note: systems of kind {} are read only here, so the integration has the HTTP door alone",
            connection.kind.name
        ));
    }
    let key = table.key.clone();
    let watermark = args.watermark.clone().or_else(|| table.watermark.clone());
    let place = format!("{system}.{}", resource.name);
    if events && key.is_empty() {
        let message = format!("{place} has no key, and no field of it names one row each");
        return Err(Failure::new("no_key", message, "name the fields that do: --key FIELD,…"));
    }
    if events && watermark.is_none() {
        let message = format!("{place} has no field that looks as if it grew with each change of a row");
        return Err(Failure::new(
            "no_watermark",
            message,
            "name it with --watermark FIELD (a time like updated_at, or a growing number); or ask over HTTP only: --api-only",
        ));
    }
    for field in key.iter().chain(&watermark) {
        if resource.schema.field(field).is_none() && !resource.key.contains(field) {
            let names: Vec<&str> = resource.schema.fields.iter().map(|one| one.name.as_ref()).collect();
            let message = format!("{place} has no field `{field}`");
            return Err(Failure::new("unknown_field", message, format!("it has: {}", names.join(", "))));
        }
    }
    Ok(Scene { args, connection, resource, rows, table, connector, events, key, watermark })
}
