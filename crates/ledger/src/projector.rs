//! The task that writes projections behind the entries: in order, in batches, each with the position it leads to. A batch that
//! the store refuses is tried again; the tail stays in memory until then, and commits wait when it grows too long.

use std::{sync::Arc, time::Duration};

use tendon_kernel::{
    Result,
    sockets::{ledger::Entry, store::Batch},
};

use crate::{
    book::Inner,
    breath::{STRETCH, breathe},
    desk::Item,
    index::Position,
    search::Search,
    tokens::{Token, Tokenizer},
};

/// Entries of one batch.
pub(crate) const BATCH: usize = 256;
/// Entries that may wait until their rows are written without giving way to anybody.
const PATIENT: usize = 1024;
const RETRY: Duration = Duration::from_millis(250);

/// What the projector knows between batches.
pub(crate) struct Projector {
    pub(crate) search: Search,
    pub(crate) next_slot: u64,
}

/// A batch with what to do once it is written.
pub(crate) struct Projected {
    pub(crate) batch: Batch,
    /// Owners whose rows it removes, with their claims.
    pub(crate) erased: Vec<(Token, Vec<Token>)>,
}

impl Projector {
    /// The rows of some entries in order. An erasure must come first: it looks for rows in the store.
    ///
    /// # Errors
    /// When a projection cannot understand an entry or the store cannot be read.
    pub(crate) async fn batch(&mut self, base: Base<'_>, items: &[Arc<Item>]) -> Result<Projected> {
        let mut batch = Batch::default();
        let mut erased = Vec::new();
        for (number, item) in items.iter().enumerate() {
            if number % STRETCH == STRETCH - 1 {
                breathe().await;
            }
            if !item.erased.is_empty() {
                erased.append(&mut base.index.erase(&mut batch, &item.erased).await?);
            }
            base.index.project(&mut batch, item);
            let entry = &item.entry;
            self.search.add(&mut batch, entry.seq, &entry.facts);
            for projection in base.projections {
                projection
                    .project(entry, base.tokens, &mut batch)
                    .map_err(|error| error.with("projection", projection.name()).with("entry", entry.seq))?;
            }
            let used = item.erased.iter().copied().max().map_or(item.slot, |slot| slot.max(item.slot));
            self.next_slot = self.next_slot.max(used + 1);
        }
        self.search.put(&mut batch);
        if let Some(last) = items.last() {
            let position =
                Position { count: last.entry.seq + 1, last: last.place, hash: last.hash, next_slot: self.next_slot };
            base.index.put_position(&mut batch, &position);
        }
        Ok(Projected { batch, erased })
    }
}

/// What rows are made with.
#[derive(Clone, Copy)]
pub(crate) struct Base<'a> {
    pub(crate) index: &'a crate::index::Index,
    pub(crate) projections: &'a [Arc<dyn tendon_kernel::sockets::ledger::Projection>],
    pub(crate) tokens: &'a Tokenizer,
}

/// How many of the first items can go into one batch: an erasure begins its own.
pub(crate) fn span(items: &[Arc<Item>]) -> usize {
    items.iter().skip(1).position(|item| !item.erased.is_empty()).map_or(items.len(), |at| at + 1)
}

/// Runs until the ledger is closed and all is projected.
pub(crate) async fn run(inner: Arc<Inner>, mut projector: Projector) {
    loop {
        let pending = inner.desk().tail.len();
        if pending == 0 {
            if inner.is_closing() && inner.queue.is_closed() {
                return;
            }
            inner.wake_projector.notified().await;
            if inner.desk().tail.is_empty() {
                continue;
            }
        }
        let mut urgent = pending > PATIENT || inner.is_closing();
        if pending < BATCH && !urgent {
            tokio::select! {
                biased;
                () = inner.project_now.notified() => urgent = true,
                () = inner.context.clock.sleep(inner.settings.project_every) => {}
            }
        }
        if let Err(error) = inner.project_some(&mut projector, urgent).await {
            tracing::error!(%error, detail = error.private_detail(), "projections are behind; trying again");
            // What was remembered of the batch that was not written is not true.
            projector.search.forget();
            inner.context.clock.sleep(RETRY).await;
        }
    }
}

impl Inner {
    /// Projects the first part of the tail.
    async fn project_some(&self, projector: &mut Projector, urgent: bool) -> Result<()> {
        let items: Vec<Arc<Item>> = {
            let desk = self.desk();
            let items: Vec<Arc<Item>> = desk.tail.iter().take(BATCH).cloned().collect();
            let count = span(&items);
            items.into_iter().take(count).map(|item| self.without_erased(&item)).collect()
        };
        let Some(last) = items.last() else { return Ok(()) };
        let upto = last.entry.seq + 1;
        let base = Base { index: &self.index, projections: &self.projections, tokens: &self.tokens };
        let mut made = projector.batch(base, &items).await?;
        made.batch.urgent = urgent;
        self.index.store.write(made.batch).await?;
        {
            let mut desk = self.desk();
            for (owner, claims) in &made.erased {
                desk.erased(owner, claims);
            }
            desk.forget(items.iter().map(|item| &**item));
        }
        self.projected.set(upto);
        Ok(())
    }

    /// An entry whose slot was erased meanwhile is projected as a replay will see it: without its body.
    fn without_erased(&self, item: &Arc<Item>) -> Arc<Item> {
        if item.entry.body.is_none() || !self.keyring.erased_lately(item.slot) {
            return Arc::clone(item);
        }
        Arc::new(Item {
            entry: Entry { seq: item.entry.seq, facts: item.entry.facts.clone(), body: None },
            place: item.place,
            hash: item.hash,
            slot: item.slot,
            owner: None,
            owned: false,
            claim: None,
            erased: item.erased.clone(),
            weight: item.weight,
        })
    }

    /// Waits until an entry is projected.
    pub(crate) async fn wait_projected(&self, seq: u64) {
        loop {
            let projected = self.projected.get();
            if projected > seq {
                return;
            }
            self.project_now.notify_one();
            self.projected.other_than(projected).await;
        }
    }
}
