//! `tendon keys`: API keys.

use std::time::Duration;

use clap::Subcommand;
use serde_json::Value as Json;
use tendon_doors::{figure::in_hour, keys::Scope};
use tendon_kernel::Timestamp;
use tendon_plan::trust::{Limits, Rate};

use crate::{
    cli::Format,
    failure::{Failure, Outcome},
    orders::Order,
    output::{self, cell, moment},
    project::Project,
    table::Column,
};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key. It is printed once, on stdout, and kept only as a hash.
    Create {
        /// Name of whoever uses it; idempotency keys are scoped by it.
        #[arg(long)]
        name: String,
        /// What it may do: decide:INTEGRATION, decide:*, review:INTEGRATION, review:*, read, operate, admin. Default: decide:* and read.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// How long it lives, for example 90d. Default: until it is revoked.
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires: Option<Duration>,
        /// Requests of its caller in a time, for example 100/s. Goes before what tendon.yaml says.
        #[arg(long, value_name = "N/s|m|h", value_parser = rate)]
        rate: Option<Rate>,
        /// Decisions of its caller per day (UTC). Goes before what tendon.yaml says.
        #[arg(long, value_name = "N")]
        quota: Option<u64>,
    },
    /// Make a key that takes the place of another one: same name, scopes and limits. Idempotency keys go on to hold.
    Rotate {
        /// Its id or name.
        key: String,
        /// How long the old key lives on.
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time)]
        overlap: Duration,
        /// How long the new key lives. Default: as long as the old one was meant to.
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires: Option<Duration>,
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
        Command::Create { name, scopes, expires, rate, quota } => {
            let scopes =
                scopes.iter().map(|scope| Scope::parse(scope)).collect::<Result<Vec<_>, _>>().map_err(Failure::from)?;
            let scopes = if scopes.is_empty() { vec![Scope::DecideAll, Scope::Read] } else { scopes };
            if format == Format::Text {
                output::say("This is the only time the key is shown.");
            }
            let order = Order::KeysCreate { name, scopes, expires, limits: Limits { rate, quota } };
            let shown = |key: &Json| {
                let same: Vec<&str> =
                    key["same_name"].as_array().into_iter().flatten().filter_map(|id| id.as_str()).collect();
                if !same.is_empty() {
                    let name = cell(key, "name");
                    output::say(&format!(
                        "the name {name} is that of {} in force, too: they share idempotency keys, rate and quota; what {name} \
                         changes is recorded with the key's id, here {}",
                        same.join(", "),
                        cell(key, "id")
                    ));
                }
                cell(key, "key")
            };
            super::show(project, format, order, shown).await
        }
        Command::Rotate { key, overlap, expires } => {
            if format == Format::Text {
                output::say("This is the only time the key is shown.");
            }
            let shown = |key: &Json| {
                let old = &key["replaces"];
                output::say(&format!("the old key {} lives until {}", cell(old, "id"), cell(old, "expires")));
                cell(key, "key")
            };
            super::show(project, format, Order::KeysRotate { key, overlap, expires }, shown).await
        }
        Command::List => super::show(project, format, Order::KeysList {}, table).await,
        Command::Revoke { key } => {
            super::show(project, format, Order::KeysRevoke { key }, |key| format!("revoked {}", cell(key, "id"))).await
        }
    }
}

/// Keys, as a table.
fn table(keys: &Json) -> String {
    output::listed(
        keys,
        [
            (Column::whole("ID", 0), |key| cell(key, "id")),
            (Column::text("NAME", 1), |key| cell(key, "name")),
            (Column::text("SCOPES", 2), scopes),
            (Column::whole("CREATED (UTC)", 6), |key| moment(key, "created")),
            (Column::whole("EXPIRES (UTC)", 3), |key| moment(key, "expires")),
            (Column::whole("LAST USED", 4), last_used),
            (Column::text("LIMITS", 7), |key| limits(&key["limits"])),
            (Column::whole("REVOKED (UTC)", 5), |key| moment(key, "revoked")),
        ],
    )
}

fn time(text: &str) -> Result<Duration, String> {
    let time = tendon_plan::duration(text).ok_or("a time looks like 90d, 24h, 30m or 20s")?;
    if time.is_zero() { Err("a time is at least 1s: a key that ends at once never works".to_owned()) } else { Ok(time) }
}

fn rate(text: &str) -> Result<Rate, String> {
    Rate::parse(text).ok_or_else(|| "a rate looks like 100/s, 6000/m or 50000/h".to_owned())
}

fn scopes(key: &Json) -> String {
    let scopes = key["scopes"].as_array().into_iter().flatten().filter_map(Json::as_str);
    scopes.collect::<Vec<_>>().join(",")
}

/// A use is noted once an hour, so the hour is all that is known.
fn last_used(key: &Json) -> String {
    let [used, made] = ["last_used", "created"].map(|name| Timestamp::parse(&cell(key, name)));
    used.and_then(|used| Ok(in_hour(used, made?))).unwrap_or_default()
}

fn limits(limits: &Json) -> String {
    let quota = limits["quota"].as_u64().map(|quota| format!("{quota}/day"));
    limits["rate"].as_str().map(str::to_owned).into_iter().chain(quota).collect::<Vec<_>>().join(", ")
}
