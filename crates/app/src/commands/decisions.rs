//! `tendon decisions`: what was decided, why, and whether it comes out again.

use std::{process::ExitCode, time::Duration};

use clap::Subcommand;
use serde_json::{Value as Json, json};
use tendon_doors::figure::seconds;

use crate::{
    cli::Format,
    failure::Outcome,
    orders::Order,
    output::{self, cell, lines, moment},
    project::Project,
    table::Column,
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
        Command::Show { id } => super::show(project, format, Order::DecisionsShow { id }, whole).await,
        Command::List { integration, subject, since, limit } => {
            let order = |limit| Order::DecisionsList { integration, subject, since, limit };
            super::list(project, format, (limit, "newest"), order, recent).await
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

/// Recent ones, as a table.
fn recent(list: &Json) -> String {
    // What is left out first in a narrow window: what is the same in most rows, or can be asked for.
    output::listed(
        list,
        [
            (Column::whole("ID", 0), |one| cell(one, "id")),
            (Column::whole("AT (UTC)", 1), |one| moment(one, "at")),
            (Column::text("INTEGRATION", 5), |one| cell(one, "integration")),
            (Column::text("OUTCOME", 4), |one| cell(one, "outcome")),
            (Column::number("OUTPUT", 2), |one| output::output(one, "output")),
            (Column::text("BAND", 3), |one| cell(one, "band")),
            (Column::text("REVIEW", 6), |one| cell(one, "review")),
            (Column::text("MODEL", 7), |one| cell(one, "model")),
        ],
    )
}

/// One, as lines, with the times of its stages as people read them.
fn whole(shown: &Json) -> String {
    let mut shown = shown.clone();
    if let Some(Json::Array(stages)) = shown.pointer_mut("/timings/stages") {
        for stage in stages {
            let took = stage["nanoseconds"].as_u64().map(|spent| Duration::from_nanos(spent).as_secs_f64());
            *stage = json!([stage["stage"], seconds(took)]);
        }
    }
    lines(&shown, 0)
}

fn explanation(shown: &Json) -> String {
    let number = |value: &Json| value.as_f64().map_or_else(String::new, |number| format!("{number:+.6}"));
    let row = |reason: &Json| {
        vec![cell(reason, "feature"), cell(reason, "value"), number(&reason["contribution"]), cell(reason, "text")]
    };
    let rows: Vec<_> = shown["reasons"].as_array().into_iter().flatten().map(row).collect();
    let head =
        format!("{}: base {}, margin {}\n", cell(shown, "method"), number(&shown["base"]), number(&shown["margin"]));
    head + &output::table(&["FEATURE", "VALUE", "CONTRIBUTION", "REASON"], &rows)
}
