//! `tendon check`: everything that is wrong with a project, at once.

use std::process::ExitCode;

use serde_json::json;
use tendon_plan::finding::Severity;

use crate::{
    assemble,
    cli::Format,
    failure::{Failure, Outcome},
    joining::schema_files,
    output::{self, counted},
    project::Project,
    table::harmless,
};

/// What to check.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the JSON Schema of the configuration files for editors, and check nothing.
    #[arg(long, conflicts_with = "openapi")]
    schema: bool,

    /// Print the OpenAPI document of the project, as `/openapi.json` of its process answers it: for whoever writes a client, with
    /// nothing running. A project with findings has none.
    #[arg(long)]
    openapi: bool,
}

/// Runs it.
///
/// # Errors
/// When the project cannot be read.
pub(crate) async fn run(find: impl Fn() -> Result<Project, Failure>, args: &Args, format: Format) -> Outcome {
    if args.schema {
        let schema = tendon_plan::schema::editor_schema(tendon_connectors::ALL);
        output::data(&output::json(&schema));
        return Ok(ExitCode::SUCCESS);
    }
    let project = find()?;
    if project.state().join("schema").is_dir() {
        // What editors check by is made by this version of the program, whichever made the project.
        schema_files(&project.state())?;
    }
    let found = assemble::read(&project).await?;
    let findings = &found.outcome.findings;
    if args.openapi
        && found.outcome.clean()
        && let Some(plan) = &found.outcome.plan
    {
        output::data(&output::json(&tendon_doors::api::openapi(plan)));
        return Ok(ExitCode::SUCCESS);
    }
    match format {
        // Who wanted a document gets none, and the findings where people look.
        _ if args.openapi => findings.iter().for_each(|finding| output::say_line(&finding.to_string())),
        Format::Json => {
            let unreachable = found.unreachable.iter();
            let unreachable = unreachable.map(|(system, error, kept)| {
                json!({
                    "system": system, "code": error.code(), "message": error.to_string(), "earlier_catalog_used": kept,
                })
            });
            let document = json!({
                "clean": found.outcome.clean(),
                "findings": findings,
                "unreachable": unreachable.collect::<Vec<_>>(),
                "plan": found.outcome.plan.as_ref().map(|plan| plan.digest.clone()),
            });
            output::data(&output::json(&document));
        }
        Format::Text => {
            for finding in findings {
                output::data(&harmless(&finding.to_string()));
            }
        }
    }
    for (system, error, kept) in &found.unreachable {
        let then =
            if *kept { "checked against what it said last time" } else { "what uses it could not be checked fully" };
        output::say_line(&format!("note: system {system} does not answer ({error}); {then}"));
    }
    let so_many = |severity| findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    output::say(&match (so_many(Severity::Error), so_many(Severity::Warning)) {
        (0, 0) => "the project is clean".to_owned(),
        (errors, warnings) => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    });
    Ok(if found.outcome.clean() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
