//! A change written step by step, so that a crash between any two leaves either nothing or all of it.

use std::{path::Path, sync::Arc};

use tendon_kernel::{
    Result,
    context::Context,
    sockets::{
        ledger::{Body, Draft, EntryKind, Facts, Ledger, ModelRef},
        store::{Batch, Range, Store},
    },
};

use super::{ALIASES, ALL, CHANGES, Change, PENDING, Pending, What, files, key, read, written};

/// Notes that a change has begun.
pub(super) async fn begin(store: &dyn Store, pending: &Pending) -> Result<()> {
    let mut batch = Batch::default();
    batch.put(PENDING, pending.change.id.to_string(), written(pending)?);
    store.write(batch).await
}

/// Forgets a change that had no effect.
pub(super) async fn forget(store: &dyn Store, change: &Change) -> Result<()> {
    let mut batch = Batch::default();
    batch.delete(PENDING, change.id.to_string());
    store.write(batch).await
}

/// The entry of a change.
pub(super) fn entry(context: &Context, plan: &Arc<str>, change: &Change) -> Result<Draft> {
    let none: Arc<str> = Arc::from("");
    let reason = match change.what {
        What::Added => "model_added",
        What::Promoted => "model_promoted",
        What::RolledBack => "model_rolled_back",
        What::Removed => "model_removed",
    };
    let facts = Facts {
        kind: EntryKind::Config,
        id: change.id,
        at: context.clock.now(),
        integration: none.clone(),
        model: Some(ModelRef {
            name: Arc::from(change.model.as_str()),
            version: Arc::from(change.version.version.as_str()),
            digest: Arc::from(change.version.digest.as_str()),
        }),
        route: change.alias.as_deref().map_or_else(|| none.clone(), Arc::from),
        reason: Arc::from(reason),
        caller: Arc::from("cli"),
        policy: none.clone(),
        plan: plan.clone(),
        retention: Arc::from("standard"),
        region: none,
    };
    let body = Body { more: written(change)?, ..Body::default() };
    Ok(Draft { facts, body, claim: None })
}

/// Carries a change out: the rows of aliases, the history, and the end of the note, in one batch.
pub(super) async fn end(store: &dyn Store, Pending { change, rows }: &Pending) -> Result<()> {
    let mut batch = Batch::default();
    batch.delete(PENDING, change.id.to_string());
    batch.put(CHANGES, key(&change.model, &change.id.to_string()), written(change)?);
    for (alias, row) in rows {
        batch.put(ALIASES, format!("{}/{alias}", change.model), written(row)?);
    }
    store.write(batch).await
}

/// Finishes the changes that were begun and cut short: a file that came or went, or an alias whose entry is in the ledger;
/// forgets those that came to nothing. Call it when the projections have caught up. True when an alias moved by it.
///
/// # Errors
/// As the store's and the ledger's.
pub(crate) async fn finish(
    folder: &Path,
    store: &dyn Store,
    ledger: &dyn Ledger,
    context: &Context,
    plan: &Arc<str>,
) -> Result<bool> {
    let mut moved = false;
    for (_, value) in store.range(PENDING, Range::prefix(b"", ALL)).await? {
        let pending: Pending = read(&value)?;
        let change = &pending.change;
        let file = change.file.as_ref().map(|file| folder.join(file));
        if let Some(file) = &file {
            files::forget_staged(file);
        }
        let entered = !ledger.entries_of(change.id).await?.is_empty();
        let has_effect = match (change.what, &file) {
            (What::Added, Some(file)) => files::digest(file).is_some_and(|digest| digest == change.version.digest),
            (What::Removed, Some(file)) => !file.exists(),
            _ => entered,
        };
        if !has_effect && !entered {
            forget(store, change).await?;
            continue;
        }
        if !entered {
            ledger.commit(vec![entry(context, plan, change)?]).await?;
        }
        end(store, &pending).await?;
        moved |= !pending.rows.is_empty();
        tracing::warn!(model = %change.model, version = %change.version.version, what = ?change.what,
            "a change of a model that was cut short is finished");
    }
    Ok(moved)
}
