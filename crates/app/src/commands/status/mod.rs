//! `tendon status`: how a running process does, once; and what `tendon top` shares with it.

pub(super) mod ask;
pub(super) mod view;

use std::process::ExitCode;

use serde_json::Value as Json;

use crate::{
    cli::Format,
    failure::{Failure, Outcome},
    output,
    project::Project,
    screen::Screen,
};
use ask::Whom;

/// Whom to ask.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) whom: Whom,
}

/// Prints it: exit 0 healthy, 1 degraded, 2 not reachable.
///
/// # Errors
/// When nothing that can be asked answers.
pub(crate) async fn run(find: impl FnOnce() -> Result<Project, Failure>, args: &Args, format: Format) -> Outcome {
    let document = args.whom.door(find)?.ask().await?;
    output::document(format, &document, |document| view::whole(document, Screen::of_stdout()));
    Ok(exit(&document))
}

/// 0 healthy, 1 anything else that a process says of itself.
pub(super) fn exit(document: &Json) -> ExitCode {
    if document["state"] == "healthy" { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
