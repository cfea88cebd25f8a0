//! `tendon deliveries`: write-backs as they were, as they would be, and taken back.

use clap::Subcommand;
use serde_json::Value as Json;

use crate::{
    cli::Format,
    failure::Outcome,
    orders::Order,
    output::{self, cell, moment},
    project::Project,
    table::{Column, harmless},
};

/// What to do with write-backs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List recent ones, newest first.
    List {
        /// Only of this integration.
        #[arg(long)]
        integration: Option<String>,
        /// Only about this subject.
        #[arg(long)]
        subject: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Show one with old and new values.
    Show {
        /// Its id, or its decision's.
        id: String,
    },
    /// Put the old values back, if the new ones still stand. Recorded, with who asked; not possible twice.
    Undo {
        /// Its id, or its decision's.
        id: String,
        /// Who asks, for the record (sealed with it).
        #[arg(long, env = "USER", default_value = "somebody at the command line")]
        by: String,
    },
    /// Show what would be written now, old and new values, without writing or recording anything.
    Preview {
        /// Integration.
        integration: String,
        /// Rows looked at, from the first in key order.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
}

/// Runs it.
///
/// # Errors
/// As the order's.
pub(crate) async fn run(project: &Project, command: Command, format: Format) -> Outcome {
    match command {
        Command::List { integration, subject, limit } => {
            let order = |limit| Order::DeliveriesList { integration, subject, limit };
            super::list(project, format, (limit, "newest"), order, recent).await
        }
        Command::Show { id } => super::show(project, format, Order::DeliveriesShow { id }, each).await,
        Command::Undo { id, by } => {
            super::show(project, format, Order::DeliveriesUndo { id, by }, |list| {
                let line = |one: &Json| format!("delivery {} undone: {}\n", cell(one, "delivery"), values(&one["now"]));
                list.as_array().into_iter().flatten().map(line).collect()
            })
            .await
        }
        Command::Preview { integration, limit } => preview(project, integration, limit, format).await,
    }
}

/// Old and new values of rows that would be written.
///
/// # Errors
/// As the order's.
pub(crate) async fn preview(project: &Project, integration: String, limit: usize, format: Format) -> Outcome {
    let result = super::show(project, format, Order::DeliveriesPreview { integration, limit }, |list| {
        let row = |one: &Json| {
            let error = cell(one, "error");
            let what = if error.is_empty() { change(one) } else { format!("no answer: {error}") };
            vec![values(&one["key"]), what]
        };
        let rows: Vec<_> = list.as_array().into_iter().flatten().map(row).collect();
        output::table(&["ROW", "OLD → NEW"], &rows)
    });
    let code = result.await?;
    if format == Format::Text {
        output::say("nothing was written and nothing recorded");
    }
    Ok(code)
}

/// Recent ones, as a table.
fn recent(list: &Json) -> String {
    output::listed(
        list,
        [
            (Column::whole("ID", 0), |one| cell(one, "id")),
            (Column::whole("DECIDED (UTC)", 1), |one| moment(one, "at")),
            (Column::text("INTEGRATION", 4), |one| cell(one, "integration")),
            (Column::text("STATE", 2), |one| cell(one, "state")),
            (Column::text("WHERE", 5), |one| format!("{}.{}", cell(one, "system"), cell(one, "resource"))),
            (Column::text("OLD → NEW", 3), |one| change(one)),
        ],
    )
}

fn each(list: &Json) -> String {
    let text: Vec<String> = list.as_array().into_iter().flatten().map(|one| output::lines(one, 0)).collect();
    text.join("\n")
}

/// `score: null → 0.31, …`.
fn change(one: &Json) -> String {
    let Some(new) = one["new"].as_object() else { return String::new() };
    let part = |(name, value): (&String, &Json)| match one["old"].get(name) {
        Some(old) => format!("{name}: {} → {}", plain(old), plain(value)),
        None => format!("{name}: {}", plain(value)),
    };
    new.iter().map(part).collect::<Vec<_>>().join(", ")
}

fn values(fields: &Json) -> String {
    let parts = fields.as_object().into_iter().flatten().map(|(name, value)| format!("{name}={}", plain(value)));
    harmless(&parts.collect::<Vec<_>>().join(", "))
}

fn plain(value: &Json) -> String {
    match value {
        Json::Null => "nothing".to_owned(),
        Json::String(text) => text.clone(),
        Json::Number(number) => number
            .as_f64()
            .filter(|number| number.fract() != 0.0)
            .map_or_else(|| number.to_string(), |number| format!("{number:.4}")),
        other => other.to_string(),
    }
}
