//! `tendon keys`: API keys.

use clap::Subcommand;
use tendon_doors::keys::Scope;

use crate::{
    cli::Format,
    failure::{Failure, Outcome},
    orders::Order,
    output::{self, cell},
    project::Project,
};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key. It is printed once, on stdout, and kept only as a hash.
    Create {
        /// Name of whoever uses it; idempotency keys are scoped by it.
        #[arg(long)]
        name: String,
        /// What it may do: decide:INTEGRATION, decide:*, read, admin. Default: decide:* and read.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
    },
    /// List keys, without the keys themselves.
    List,
    /// End a key at once.
    Revoke {
        /// Its id or name.
        key: String,
    },
}

/// Runs it.
///
/// # Errors
/// As the order's.
pub(crate) async fn run(project: &Project, command: Command, format: Format) -> Outcome {
    match command {
        Command::Create { name, scopes } => {
            let scopes =
                scopes.iter().map(|scope| Scope::parse(scope)).collect::<Result<Vec<_>, _>>().map_err(Failure::from)?;
            let scopes = if scopes.is_empty() { vec![Scope::DecideAll, Scope::Read] } else { scopes };
            if format == Format::Text {
                output::say("This is the only time the key is shown.");
            }
            super::show(project, format, Order::KeysCreate { name, scopes }, |key| cell(key, "key")).await
        }
        Command::List => {
            super::show(project, format, Order::KeysList {}, |keys| {
                let row = |key: &serde_json::Value| {
                    let scopes = key["scopes"].as_array().into_iter().flatten().filter_map(|scope| scope.as_str());
                    vec![
                        cell(key, "id"),
                        cell(key, "name"),
                        scopes.collect::<Vec<_>>().join(","),
                        cell(key, "created"),
                        cell(key, "revoked"),
                    ]
                };
                let rows: Vec<_> = keys.as_array().into_iter().flatten().map(row).collect();
                output::table(&["ID", "NAME", "SCOPES", "CREATED", "REVOKED"], &rows)
            })
            .await
        }
        Command::Revoke { key } => {
            super::show(project, format, Order::KeysRevoke { key }, |key| format!("revoked {}", cell(key, "id"))).await
        }
    }
}
