//! The command line: what can be typed. Each command's own arguments stand in its file under `commands`.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use tendon_platform::telemetry::log;

use crate::commands::{
    backfill, check, completions, decisions, deliveries, demo, init, keys, ledger, letters, man, models, new, reviews,
    status, systems, top, up,
};

/// Joins AI models to the systems a business already runs on: every prediction validated, explained, recorded, and written
/// back to where it is needed.
#[derive(Debug, Parser)]
#[command(name = "tendon", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 findings or failed, 2 could not run."
)]
pub(crate) struct Cli {
    /// The project's folder; default: the current folder or the nearest one above it that holds a tendon.yaml.
    #[arg(long, global = true, value_name = "D")]
    pub(crate) project: Option<PathBuf>,

    /// Where the project keeps its ledger, keys and all other state; default: `.tendon` in the project's folder. For a
    /// configuration that the program cannot write to.
    #[arg(long, global = true, env = "TENDON_STATE", hide_env_values = true, value_name = "D")]
    pub(crate) state: Option<PathBuf>,

    /// How data is printed.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,

    /// How log lines on stderr look; default: as the project's `telemetry.logs.format` says, else text.
    #[arg(long, global = true, value_enum, env = "TENDON_LOG_FORMAT", hide_env_values = true, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl From<LogFormat> for log::LogFormat {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: one JSON document.
    Json,
}

/// The commands, in the order a newcomer meets them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set up and run a complete integration on real data, in one command.
    Demo(demo::Args),
    /// Make a project of your own: an empty folder becomes one, nothing in it is overwritten.
    Init(init::Args),
    /// Make an integration from a model file and a table: mapped, checked, ready to run.
    #[command(subcommand)]
    New(new::Command),
    /// Validate the project: exit 0 clean, 1 findings, 2 could not run.
    Check(check::Args),
    /// Run the project.
    Up(up::Args),
    /// How a running process does: exit 0 healthy, 1 degraded, 2 not reachable.
    Status(status::Args),
    /// How a running process does, drawn anew each second; `q` quits.
    Top(top::Args),
    /// Score the rows that are there already: with progress, a pause and a place, nothing twice.
    Backfill(backfill::Args),
    /// Look at models and score files of rows with them.
    #[command(subcommand)]
    Models(models::Command),
    /// Test systems and show what they hold.
    #[command(subcommand)]
    Systems(systems::Command),
    /// Look up, explain and replay decisions.
    #[command(subcommand)]
    Decisions(decisions::Command),
    /// Write-backs: what was written, what stood there before, what would be written; and back again.
    #[command(subcommand)]
    Deliveries(deliveries::Command),
    /// Dead letters: records and deliveries that could not go on.
    #[command(subcommand)]
    Letters(letters::Command),
    /// Decisions that wait for a person: look at them, approve, override, reject.
    #[command(subcommand)]
    Reviews(reviews::Command),
    /// Verify the ledger, export proofs, erase a subject.
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// API keys: who may ask.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Print what a shell needs to complete commands and options.
    Completions(completions::Args),
    /// Print the manual page, or write those of all commands.
    Man(man::Args),
}
