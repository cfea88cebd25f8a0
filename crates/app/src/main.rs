//! The binary `tendon`: commands, wiring, start, reload, stop. The only room that knows all others.

mod again;
mod assemble;
mod backup;
mod caches;
mod callbacks;
mod certificates;
mod checkpoints;
mod chronicle;
mod cli;
mod commands;
mod control;
mod deliveries;
mod demo;
mod durable;
mod facts;
mod failure;
mod flows;
mod installed;
mod joining;
mod orders;
mod output;
mod process;
mod project;
mod registry;
mod screen;
mod table;
mod telemetry;
mod trends;
mod wiring;

use std::{process::ExitCode, time::Duration};

use clap::Parser as _;
use tendon_platform::telemetry::log;

use crate::{
    cli::{Cli, Command, Format},
    failure::Failure,
};

/// A decision makes some hundreds of small objects, on one thread and dropped on another: a tenth of its time with the
/// platform's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = cli.output;
    match start(cli) {
        Ok(code) => code,
        Err(failure) => {
            output::failure(format, &failure);
            ExitCode::from(failure.exit)
        }
    }
}

fn start(cli: Cli) -> failure::Outcome {
    // A program that serves tells what it does; a command speaks for itself.
    let level = match cli.command {
        Command::Up(_) => "info",
        Command::Demo(_) => "warn",
        _ => "error",
    };
    log::init(cli.log_format.map(Into::into), level).map_err(|error| Failure::from(error).could_not_run())?;
    end_on_panic();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new("no_runtime", format!("the runtime could not be started: {error}"), "").could_not_run()
    })?;
    let outcome = runtime.block_on(commands::run(cli));
    // What is still read aside (a verification of the ledger may take minutes) holds up no stop; what has to end has ended.
    runtime.shutdown_timeout(Duration::from_secs(2));
    outcome
}

/// A panic is a defect: what it left behind is unknown, recovery is not. So the process ends, and a supervisor starts it
/// again from the ledger.
fn end_on_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        screen::give_back();
        usual(panic);
        output::failure(
            Format::Text,
            &Failure::new(
                "panic",
                "a defect of tendon ended the process",
                "start it again: nothing recorded is lost; please report the lines above",
            ),
        );
        std::process::exit(101);
    }));
}
