//! `tendon letters`: dead letters, their causes, and another try.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde_json::Value as Json;

use crate::{
    cli::Format,
    failure::{Failure, Outcome},
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
    /// Put one back into the outbox, as it is or with other values.
    Retry {
        /// Its id.
        id: String,
        /// Write this value in place of the decision's, read by the field's type; nothing after `=`: no value. May be given for
        /// several fields. `tendon letters show` has what would be written.
        #[arg(long, value_name = "FIELD=VALUE", value_parser = assignment)]
        set: Vec<(String, String)>,
        /// Who says so, for the record (sealed with it).
        #[arg(long, env = "USER", default_value = "somebody at the command line")]
        by: String,
    },
}

/// Runs it.
///
/// # Errors
/// As the order's.
pub(crate) async fn run(project: &Project, command: Command, format: Format) -> Outcome {
    match command {
        Command::List { limit } => {
            super::list(project, format, (limit, "oldest"), |limit| Order::LettersList { limit }, table).await
        }
        Command::Show { id } => {
            super::show(project, format, Order::LettersShow { id }, |letter| lines(letter, 0)).await
        }
        Command::Retry { id, set: given, by } => {
            let set = once(given)?;
            super::show(project, format, Order::LettersRetry { id, set, by }, |letter| lines(letter, 0)).await
        }
    }
}

/// Reads `FIELD=VALUE`.
fn assignment(text: &str) -> Result<(String, String), &'static str> {
    let (field, value) = text.split_once('=').filter(|(field, _)| !field.is_empty()).ok_or("write FIELD=VALUE")?;
    Ok((field.to_owned(), value.to_owned()))
}

/// Each field once: of two values for one nobody knows which is meant.
fn once(given: Vec<(String, String)>) -> Result<BTreeMap<String, String>, Failure> {
    let mut set = BTreeMap::new();
    for (field, value) in given {
        if set.contains_key(&field) {
            let what = format!("`--set` gives {field} two values");
            return Err(Failure::new("set_twice", what, "give each field once").could_not_run());
        }
        set.insert(field, value);
    }
    Ok(set)
}

/// Letters, as a table.
fn table(list: &Json) -> String {
    let names = ["id", "decision", "system", "integration", "code"];
    let row = |letter: &Json| names.iter().map(|name| cell(letter, name)).collect::<Vec<_>>();
    let rows: Vec<_> = list.as_array().into_iter().flatten().map(row).collect();
    output::table(&["ID", "DECISION", "SYSTEM", "INTEGRATION", "CODE"], &rows)
}
