//! One file per command: its arguments and what it does with them.

pub(crate) mod access;
pub(crate) mod backfill;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod decisions;
pub(crate) mod deliveries;
pub(crate) mod demo;
pub(crate) mod discover;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod letters;
pub(crate) mod man;
pub(crate) mod models;
pub(crate) mod new;
pub(crate) mod reviews;
pub(crate) mod status;
pub(crate) mod systems;
pub(crate) mod top;
pub(crate) mod up;

use std::process::ExitCode;

use serde_json::Value as Json;

use crate::{
    cli::{Cli, Command, Format},
    control,
    failure::{Failure, Outcome},
    orders::{self, Order},
    output,
    project::Project,
    wiring::{self, Purpose},
};

/// Runs the command.
///
/// # Errors
/// As the command's.
pub(crate) async fn run(cli: Cli) -> Outcome {
    let find = || Project::find(cli.project.as_deref(), cli.state.as_deref());
    match cli.command {
        Command::Demo(args) => demo::run(args, cli.output).await,
        Command::Init(args) => init::run(&args, cli.output),
        Command::New(command) => new::run(&find()?, command, cli.output).await,
        Command::Check(args) => check::run(find, &args, cli.output).await,
        Command::Up(args) => up::run(&find()?, &args).await,
        Command::Status(args) => status::run(find, &args, cli.output).await,
        Command::Top(args) => top::run(find, &args, cli.output).await,
        Command::Backfill(args) => backfill::run(&find()?, &args, cli.output).await,
        Command::Models(command) => models::run(find, command, cli.output).await,
        Command::Systems(command) => systems::run(find, command, cli.output).await,
        Command::Decisions(command) => decisions::run(&find()?, command, cli.output).await,
        Command::Deliveries(command) => deliveries::run(&find()?, command, cli.output).await,
        Command::Letters(command) => letters::run(&find()?, command, cli.output).await,
        Command::Reviews(command) => reviews::run(&find()?, command, cli.output).await,
        Command::Ledger(command) => ledger::run(find, command, cli.output).await,
        Command::Keys(command) => keys::run(&find()?, command, cli.output).await,
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// Has an order carried out: by the running process, or here with the project's lock held.
///
/// # Errors
/// The order's.
pub(crate) async fn order(project: &Project, order: Order) -> Result<Json, Failure> {
    if let Some(data) = control::send(&project.state(), &order).await? {
        return Ok(data);
    }
    let parts = wiring::open(project, Purpose::Command).await?;
    let result = orders::carry_out(&parts, order).await;
    parts.close().await;
    result
}

/// Has a list made and prints as much of it as was wanted; says so when that is not all. `which` of all it begins with: `newest`.
///
/// # Errors
/// The order's.
pub(crate) async fn list(
    project: &Project,
    format: Format,
    (limit, which): (usize, &str),
    what: impl FnOnce(usize) -> Order,
    text: impl FnOnce(&Json) -> String,
) -> Outcome {
    // One more than is shown tells whether there are more.
    let mut data = order(project, what(limit.saturating_add(1))).await?;
    let rows = data.as_array_mut();
    let more = rows.is_some_and(|rows| {
        let more = rows.len() > limit;
        rows.truncate(limit);
        more
    });
    output::document(format, &data, text);
    if more {
        output::say(&format!("these are the {which} {limit}, and there are more: `--limit N` shows N"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Has an order carried out and prints what comes back.
///
/// # Errors
/// The order's.
pub(crate) async fn show(
    project: &Project,
    format: Format,
    what: Order,
    text: impl FnOnce(&Json) -> String,
) -> Outcome {
    let data = order(project, what).await?;
    output::document(format, &data, text);
    Ok(ExitCode::SUCCESS)
}
