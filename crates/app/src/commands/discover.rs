//! `tendon systems discover`: asks a system what it holds, looks at a sample of its rows, and gives the block that
//! describes it. Values of fields that are likely personal are never shown, and such fields are not listed under `read`.

use std::process::ExitCode;

use serde_json::json;
use tendon_assist::{
    compose::{self, SystemText},
    edit,
    profile::{FieldProfile, ResourceProfile, profile},
};
use tendon_kernel::schema::Resource;

use crate::{
    assemble,
    cli::Format,
    failure::{Failure, Outcome},
    joining::{Connection, Draft, Given, sample},
    output,
    project::{MAIN, Project},
    table::harmless,
};

/// Resources looked at when none is named.
const RESOURCES: usize = 20;

/// What to discover.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the system in the project.
    name: String,
    #[command(flatten)]
    given: Given,
    /// Only these resources.
    #[arg(long = "resource", value_name = "R")]
    resources: Vec<String>,
    /// Rows looked at per resource.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sample: u32,
    /// List fields under read although they are likely personal.
    #[arg(long)]
    with_personal: bool,
    /// Write the block into tendon.yaml.
    #[arg(long)]
    write: bool,
}

/// Runs it.
///
/// # Errors
/// When the system does not answer, or the project cannot be changed.
pub(crate) async fn run(project: &Project, args: &Args, format: Format) -> Outcome {
    let connection = Connection::open(project, &args.name, &args.given).await?;
    let chosen = chosen(&connection, &args.resources)?;
    let mut profiles = Vec::new();
    for resource in &chosen {
        let rows = match sample(&connection, resource, usize::try_from(args.sample).unwrap_or(1000)).await {
            Ok(rows) => rows,
            Err(failure) => {
                output::say_line(&format!(
                    "note: the rows of {} could not be looked at: {}",
                    resource.name, failure.message
                ));
                Vec::new()
            }
        };
        profiles.push(profile(resource, &rows));
    }
    let block = block(&connection, &profiles, args.with_personal);
    if args.write {
        write(project, &connection, &block).await?;
    }
    let document = json!({
        "system": args.name, "kind": connection.kind.name, "resources": profiles, "block": block, "written": args.write,
    });
    output::document(format, &document, |_| {
        let tables: String = profiles.iter().map(table).collect();
        if connection.known { tables } else { format!("{tables}\nsystems:\n{block}") }
    });
    if format == Format::Text {
        say(&connection, args);
    }
    Ok(ExitCode::SUCCESS)
}

fn say(connection: &Connection, args: &Args) {
    if let Some(variable) = &connection.needs {
        output::say(&format!(
            "\nThe address is not written down: set {variable} to it before you go on (export {variable}=…)."
        ));
    }
    output::say(&match (args.write, connection.known) {
        (true, _) => {
            format!("\nwritten to {MAIN}. Next: tendon new integration NAME --model FILE --table {}.TABLE", args.name)
        }
        (false, true) => format!("\nThe project has {} already; this changed nothing.", args.name),
        (false, false) => "\nNothing was written; add --write to put this into tendon.yaml.".to_owned(),
    });
}

/// The resources to look at.
fn chosen<'a>(connection: &'a Connection, named: &[String]) -> Result<Vec<&'a Resource>, Failure> {
    let all = &connection.catalog.resources;
    let names = || all.iter().take(40).map(|resource| resource.name.as_str()).collect::<Vec<_>>().join(", ");
    if all.is_empty() {
        let message = format!("system {} shows no table to this login", connection.name);
        return Err(Failure::new("nothing_there", message, "grant the login SELECT on what it shall read"));
    }
    if named.is_empty() {
        if all.len() > RESOURCES {
            let message = format!("system {} holds {} resources, too many to look at all", connection.name, all.len());
            return Err(Failure::new("too_many", message, format!("name those you need with --resource: {}", names())));
        }
        return Ok(all.iter().collect());
    }
    let find = |name: &String| {
        connection.catalog.resource(name).ok_or_else(|| {
            let message = format!("system {} has no resource `{name}`", connection.name);
            Failure::new("resource_not_found", message, format!("it has: {}", names()))
        })
    };
    named.iter().map(find).collect()
}

/// The system's block, with what may be read.
pub(super) fn block(connection: &Connection, profiles: &[ResourceProfile], with_personal: bool) -> String {
    let hidden = |field: &&FieldProfile| field.personal.is_some() && !field.key && !with_personal;
    let names = |fields: Vec<&FieldProfile>| fields.into_iter().map(|field| field.name.clone()).collect::<Vec<_>>();
    let mut read = Vec::new();
    let mut personal = Vec::new();
    for one in profiles {
        read.push((one.name.clone(), names(one.fields.iter().filter(|field| !hidden(field)).collect())));
        personal.push((one.name.clone(), names(one.fields.iter().filter(hidden).collect())));
    }
    let (name, kind) = (connection.name.as_str(), connection.kind.name);
    compose::system(&SystemText { name, kind, settings: &connection.settings, read: &read, personal: &personal })
}

async fn write(project: &Project, connection: &Connection, block: &str) -> Result<(), Failure> {
    if connection.known {
        let message = format!("tendon.yaml has a system {} already, and nothing is overwritten", connection.name);
        return Err(Failure::new("system_there", message, "leave --write out to see what it holds"));
    }
    let known = assemble::read(project).await?;
    let mut draft = Draft::new(project, known.facts)?;
    draft.knows(&connection.name, &connection.catalog);
    draft.main = edit::add_entry(&draft.main, "systems", block).ok_or_else(|| by_hand("systems", block))?;
    draft.plan()?;
    draft.write().map(|_| ())
}

/// The file has a form that is not changed by a program.
pub(super) fn by_hand(section: &str, block: &str) -> Failure {
    let message =
        format!("tendon.yaml has its {section} in a form that is not changed by a program; nothing was written");
    Failure::new(
        "by_hand",
        message,
        format!("add this below `{section}:` yourself, then run the command again:\n{block}"),
    )
}

/// A profile as a table.
fn table(one: &ResourceProfile) -> String {
    let row = |field: &FieldProfile| {
        let mut notes = Vec::new();
        if field.key {
            notes.push(if one.key_guessed { "likely key".to_owned() } else { "key".to_owned() });
        }
        if field.watermark {
            notes.push("likely watermark".to_owned());
        }
        notes.extend(field.personal.map(|what| format!("likely personal ({what})")));
        let range = field.range.map(|(least, most)| format!("{least} to {most}"));
        let range =
            range.or_else(|| field.span.as_ref().map(|(first, last)| format!("{} to {}", short(first), short(last))));
        let share = |share: f64| if one.rows == 0 { String::new() } else { format!("{:.0} %", share * 100.0) };
        vec![
            field.name.clone(),
            field.kind.to_string(),
            share(field.missing),
            different(one.rows, field),
            range.unwrap_or_default(),
            notes.join(", "),
        ]
    };
    let rows: Vec<_> = one.fields.iter().map(row).collect();
    let table = output::table(&["FIELD", "TYPE", "MISSING", "VALUES", "RANGE", "NOTES"], &rows);
    format!("{} ({} rows looked at)\n{table}\n", harmless(&one.name), one.rows)
}

/// How many different values were seen.
#[expect(clippy::cast_precision_loss, reason = "a count of at most some thousand rows")]
fn different(rows: usize, field: &FieldProfile) -> String {
    let there = rows as f64 * (1.0 - field.missing);
    if rows == 0 { String::new() } else { format!("{:.0}", there * field.distinct) }
}

/// A time without the part that says nothing.
fn short(time: &str) -> &str {
    let time = time.strip_suffix(".000000Z").unwrap_or(time);
    time.strip_suffix("T00:00:00").unwrap_or(time)
}
