//! `tendon letters`: dead letters, their causes, and another try.

use clap::Subcommand;

use crate::{
    cli::Format,
    failure::Outcome,
    orders::Order,
    output::{self, cell, lines},
    project::Project,
};

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List them, oldest first.
    List {
        /// At most this many.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one with its cause.
    Show {
        /// Its id.
        id: String,
    },
    /// Put one back into the outbox.
    Retry {
        /// Its id.
        id: String,
    },
}

/// Runs it.
///
/// # Errors
/// As the order's.
pub(crate) async fn run(project: &Project, command: Command, format: Format) -> Outcome {
    match command {
        Command::List { limit } => {
            super::show(project, format, Order::LettersList { limit }, |list| {
                let rows: Vec<_> = list.as_array().into_iter().flatten().map(row).collect();
                output::table(&["ID", "DECISION", "SYSTEM", "INTEGRATION", "CODE"], &rows)
            })
            .await
        }
        Command::Show { id } => {
            super::show(project, format, Order::LettersShow { id }, |letter| lines(letter, 0)).await
        }
        Command::Retry { id } => {
            super::show(project, format, Order::LettersRetry { id }, |letter| lines(letter, 0)).await
        }
    }
}

fn row(letter: &serde_json::Value) -> Vec<String> {
    ["id", "decision", "system", "integration", "code"].iter().map(|name| cell(letter, name)).collect()
}
