//! `tendon reviews`: what waits for a person, and what a person says.

use clap::{Args, Subcommand};
use serde_json::Value as Json;

use crate::{
    cli::Format,
    failure::Outcome,
    orders::{Order, Said},
    output::{self, cell, lines, moment},
    project::Project,
    table::Column,
};

/// What to do with what waits for a person.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List what waits, oldest first.
    List {
        /// Only of this integration.
        #[arg(long)]
        integration: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show one with its input, whether it waits or was answered.
    Show {
        /// Id of the decision.
        id: String,
    },
    /// Let the recorded output stand, and deliver it.
    Approve {
        /// Id of the decision.
        id: String,
        #[command(flatten)]
        who: Who,
    },
    /// Give the output; it is delivered as the model's would have been.
    Override {
        /// Id of the decision.
        id: String,
        /// The output, within the integration's range.
        #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
        to: f64,
        #[command(flatten)]
        who: Who,
    },
    /// End it without an output; nothing is written back.
    Reject {
        /// Id of the decision.
        id: String,
        #[command(flatten)]
        who: Who,
    },
}

/// Who says so, and why.
#[derive(Debug, Args)]
pub(crate) struct Who {
    /// Why, for the record (sealed with it).
    #[arg(long)]
    note: Option<String>,
    /// Who says so, for the record (sealed with it).
    #[arg(long, env = "USER", default_value = "somebody at the command line")]
    by: String,
}

/// What waits, as a table.
fn waiting(list: &Json) -> String {
    output::listed(
        list,
        [
            (Column::whole("ID", 0), |one| cell(one, "id")),
            (Column::whole("ASKED (UTC)", 6), |one| moment(one, "at")),
            (Column::whole("DUE (UTC)", 1), |one| moment(one, "due")),
            (Column::text("INTEGRATION", 4), |one| cell(one, "integration")),
            (Column::text("SUBJECT", 2), |one| cell(one, "subject")),
            (Column::number("OUTPUT", 3), |one| output::output(one, "output")),
            (Column::text("WHY", 5), |one| cell(one, "why")),
        ],
    )
}

/// Runs it.
///
/// # Errors
/// As the order's.
pub(crate) async fn run(project: &Project, command: Command, format: Format) -> Outcome {
    let (id, verdict, Who { note, by }) = match command {
        Command::List { integration, limit } => {
            let order = |limit| Order::ReviewsList { integration, limit };
            return super::list(project, format, (limit, "oldest"), order, waiting).await;
        }
        Command::Show { id } => {
            return super::show(project, format, Order::ReviewsShow { id }, |review| lines(review, 0)).await;
        }
        Command::Approve { id, who } => (id, Said::Approve, who),
        Command::Override { id, to, who } => (id, Said::Override(to), who),
        Command::Reject { id, who } => (id, Said::Reject, who),
    };
    super::show(project, format, Order::ReviewsGive { id, verdict, by, note }, |review| lines(review, 0)).await
}
