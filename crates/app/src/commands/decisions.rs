//! `tendon decisions`: what was decided, why, and whether it comes out again.

use std::process::ExitCode;

use clap::Subcommand;

use crate::{
    cli::Format,
    failure::Outcome,
    orders::Order,
    output::{self, cell, lines},
    project::Project,
};

/// What to do with decisions.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show one decision with its deliveries.
    Show {
        /// Its id.
        id: String,
    },
    /// List recent decisions, newest first.
    List {
        /// Only of this integration.
        #[arg(long)]
        integration: Option<String>,
        /// Only about this subject.
        #[arg(long)]
        subject: Option<String>,
        /// Only at or after this time (RFC 3339).
        #[arg(long)]
        since: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Explain a decision: what each feature contributed.
    Explain {
        /// Its id.
        id: String,
    },
    /// Decide again from the record, with the same model and plan, and compare bit for bit. Exit 1 when it differs.
    Replay {
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
        Command::Show { id } => {
            super::show(project, format, Order::DecisionsShow { id }, |shown| lines(shown, 0)).await
        }
        Command::List { integration, subject, since, limit } => {
            let order = Order::DecisionsList { integration, subject, since, limit };
            super::show(project, format, order, |list| {
                let names = ["id", "at", "integration", "outcome", "output", "band", "review", "model"];
                let row = |one: &serde_json::Value| names.iter().map(|name| cell(one, name)).collect::<Vec<_>>();
                let rows: Vec<_> = list.as_array().into_iter().flatten().map(row).collect();
                output::table(&["ID", "AT", "INTEGRATION", "OUTCOME", "OUTPUT", "BAND", "REVIEW", "MODEL"], &rows)
            })
            .await
        }
        Command::Explain { id } => {
            super::show(project, format, Order::DecisionsExplain { id }, |shown| explanation(&shown["explanation"]))
                .await
        }
        Command::Replay { id } => {
            let data = super::order(project, Order::DecisionsReplay { id }).await?;
            output::document(format, &data, |data| lines(data, 0));
            let same = data["same"].as_bool().unwrap_or(false);
            Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

fn explanation(shown: &serde_json::Value) -> String {
    let number = |value: &serde_json::Value| value.as_f64().map_or_else(String::new, |number| format!("{number:+.6}"));
    let row = |reason: &serde_json::Value| {
        vec![cell(reason, "feature"), cell(reason, "value"), number(&reason["contribution"]), cell(reason, "text")]
    };
    let rows: Vec<_> = shown["reasons"].as_array().into_iter().flatten().map(row).collect();
    let head =
        format!("{}: base {}, margin {}\n", cell(shown, "method"), number(&shown["base"]), number(&shown["margin"]));
    head + &output::table(&["FEATURE", "VALUE", "CONTRIBUTION", "REASON"], &rows)
}
