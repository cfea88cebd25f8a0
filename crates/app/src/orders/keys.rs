//! Orders about API keys.

use serde_json::{Value as Json, json};
use tendon_doors::keys::Scope;
use tendon_doors::keys::{KeyRecord, Scopes};
use tendon_kernel::{Error, ErrorKind, Result};

use crate::wiring::Parts;

/// Who changes keys at the command line, as the ledger names it.
const BY: &str = "cli";

pub(super) async fn create(parts: &Parts, name: &str, scopes: Scopes) -> Result<Json> {
    let runtime = parts.engine.runtime();
    for scope in &scopes {
        if let Scope::Decide(integration) = scope
            && !runtime.plan().integrations.contains_key(integration.as_str())
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
    let (token, record) = parts.keys.create(name, scopes, BY).await?;
    let mut shown = view(&record);
    shown["key"] = token.reveal().into();
    Ok(shown)
}

pub(super) async fn list(parts: &Parts) -> Result<Json> {
    Ok(parts.keys.list().await?.iter().map(view).collect())
}

pub(super) async fn revoke(parts: &Parts, key: &str) -> Result<Json> {
    parts.keys.revoke(key, BY).await.map(|record| view(&record))
}

fn view(record: &KeyRecord) -> Json {
    json!({
        "id": record.id,
        "name": record.name,
        "scopes": record.scopes,
        "created": record.created,
        "revoked": record.revoked,
    })
}
