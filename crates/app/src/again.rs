//! Recorded decisions again: explained and replayed with the plan and the model that made them, wherever those are kept.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};
use tendon_doors::service::Explain;
use tendon_engine::{
    Engine, Past, Runtime, Slot,
    replay::{ReplayReport, asked, replay as replay_with, replay_recalled},
    stored,
};
use tendon_kernel::{
    Error, ErrorKind, Id, Result,
    context::Context,
    decision::Explanation,
    sockets::{
        ledger::{Entry, EntryKind},
        store::Store,
    },
};

use crate::installed;

/// Explains a decision from its entry.
///
/// # Errors
/// As [`stored::explain`], and as the objects'.
pub(crate) async fn explain(engine: &Engine, context: &Context, entry: &Entry) -> Result<Explanation> {
    let runtime = engine.runtime();
    let Some(model) = &entry.facts.model else { return stored::explain(entry, None, None) };
    let slot = match runtime.slot(&model.digest) {
        Some(slot) => Slot::clone(slot),
        None => match installed::slot(context, model) {
            Ok(slot) => slot,
            // One explained when it was made needs no model.
            Err(error) if error.kind() == ErrorKind::NotFound => return stored::explain(entry, None, None),
            Err(error) => return Err(error),
        },
    };
    let then = if stored::wants_plan(entry, &*slot.model)? { engine.runtime_of(entry).await? } else { None };
    stored::explain(entry, Some(&*slot.model), then.as_deref())
}

/// The plans that were kept when they came in force.
pub(crate) struct KeptPlans {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) context: Context,
}

impl Past for KeptPlans {
    fn runtime<'a>(&'a self, plan: &'a str) -> BoxFuture<'a, Result<Runtime>> {
        installed::recall(&*self.store, &self.context, plan, None).boxed()
    }
}

/// The same for the door.
pub(crate) fn explainer(engine: Arc<Engine>, context: Context) -> Explain {
    Arc::new(move |entry| {
        let (engine, context) = (engine.clone(), context.clone());
        async move { explain(&engine, &context, &entry).await }.boxed()
    })
}

/// Replays a decision with the plan and the model that made it.
///
/// # Errors
/// As [`replay_with`], and as the objects'.
pub(crate) async fn replay(
    engine: &Engine,
    store: &dyn Store,
    context: &Context,
    entry: &Entry,
) -> Result<ReplayReport> {
    let recorded = stored::decision(entry)?;
    let source = match &recorded.recalled {
        Some(recalled) => Some(source(engine, recalled.from).await?),
        None => None,
    };
    let replay_with = |runtime: &Runtime| match &source {
        Some(source) => replay_recalled(entry, source, runtime),
        None => replay_with(entry, runtime),
    };
    let model = entry.facts.model.as_ref().filter(|_| asked(&recorded));
    let runtime = engine.runtime();
    let loaded = model.is_none_or(|model| runtime.slot(&model.digest).is_some());
    if loaded && runtime.plan().digest == entry.facts.plan {
        return replay_with(&runtime);
    }
    replay_with(&installed::recall(store, context, &entry.facts.plan, model).await?)
}

/// The decision that a recalled one has its answer from.
async fn source(engine: &Engine, id: Id) -> Result<Entry> {
    let entries = engine.ledger().entries_of(id).await?;
    entries.into_iter().find(|entry| entry.facts.kind == EntryKind::Decision).ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            "source_missing",
            "the decision that this answer was recalled from is not there",
        )
        .with("source", id)
        .hint("its retention may be over; the recalled decision's own entry still verifies")
    })
}
