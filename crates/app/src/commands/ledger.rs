//! `tendon ledger`: the record of everything: verified, proved, and a subject forgotten.

use clap::Subcommand;

use crate::{
    cli::Format,
    failure::{Failure, Outcome},
    orders::Order,
    output::cell,
    project::Project,
};

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Erase a subject: its data cannot be read any more, every proof still verifies.
    Erase {
        /// The subject, as the integrations name it.
        #[arg(long)]
        subject: String,
    },
}

/// Runs it.
///
/// # Errors
/// As each command's.
pub(crate) async fn run(find: impl Fn() -> Result<Project, Failure>, command: Command, format: Format) -> Outcome {
    match command {
        Command::Erase { subject } => {
            super::show(&find()?, format, Order::LedgerErase { subject }, |done| {
                format!(
                    "erased: {} decisions cannot be opened any more (entry {})",
                    cell(done, "decisions"),
                    cell(done, "seq")
                )
            })
            .await
        }
    }
}
