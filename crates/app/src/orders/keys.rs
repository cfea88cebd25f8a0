//! Orders about API keys.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tendon_doors::keys::{KeyRecord, NewKey};
use tendon_kernel::{Error, ErrorKind, Result};

use crate::wiring::Parts;

/// Who changes keys at the command line, as the ledger names it.
pub(super) const CLI: &str = "cli";

pub(crate) async fn create(parts: &Parts, wanted: NewKey, by: &str) -> Result<Json> {
    let runtime = parts.engine.runtime();
    for scope in &wanted.scopes {
        if let Some(integration) = scope.integration()
            && !runtime.plan().integrations.contains_key(integration)
        {
            let known: Vec<&str> = runtime.plan().integrations.keys().map(AsRef::as_ref).collect();
            return Err(Error::new(
                ErrorKind::NotFound,
                "no_integration",
                format!("no integration is called `{integration}`"),
            )
            .hint(format!("known are: {}", known.join(", "))));
        }
    }
    let now = parts.context.clock.now();
    let mut same = parts.keys.list().await?;
    same.retain(|key| *key.name == *wanted.name && key.in_force(now));
    let (token, record) = parts.keys.create(wanted, by).await?;
    let mut shown = view(&record);
    shown["key"] = token.reveal().into();
    // No error: programs of one caller may have a key each. Whoever thought of somebody else is told.
    shown["same_name"] = same.iter().map(|key| &*key.id).collect();
    Ok(shown)
}

pub(super) async fn rotate(parts: &Parts, key: &str, overlap: Duration, lifetime: Option<Duration>) -> Result<Json> {
    let (token, new, old) = parts.keys.rotate(key, overlap, lifetime, CLI).await?;
    let mut shown = view(&new);
    shown["key"] = token.reveal().into();
    shown["replaces"] = view(&old);
    Ok(shown)
}

pub(super) async fn list(parts: &Parts) -> Result<Json> {
    let uses = parts.keys.uses().await?;
    let now = parts.context.clock.now();
    let shown = |record: &KeyRecord| {
        let mut shown = view(record);
        shown["last_used"] = json!(uses.get(&*record.id));
        shown["in_force"] = record.in_force(now).into();
        shown
    };
    Ok(parts.keys.list().await?.iter().map(shown).collect())
}

pub(crate) async fn revoke(parts: &Parts, key: &str, by: &str) -> Result<Json> {
    parts.keys.revoke(key, by).await.map(|record| view(&record))
}

fn view(record: &KeyRecord) -> Json {
    json!({
        "id": record.id,
        "name": record.name,
        "scopes": record.scopes,
        "created": record.created,
        "expires": record.expires,
        "revoked": record.revoked,
        "successor": record.successor,
        "limits": record.limits,
    })
}
