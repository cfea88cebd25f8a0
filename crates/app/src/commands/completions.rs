//! `tendon completions`: what a shell needs to complete commands and options.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::{cli::Cli, failure::Outcome, output};

/// For which shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell; where its file belongs stands in docs/install.md.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints it.
///
/// # Errors
/// None.
#[expect(clippy::unnecessary_wraps, reason = "as all commands")]
pub(crate) fn run(args: &Args) -> Outcome {
    let mut text = Vec::new();
    generate(args.shell, &mut Cli::command(), "tendon", &mut text);
    output::data(&String::from_utf8_lossy(&text));
    Ok(ExitCode::SUCCESS)
}
