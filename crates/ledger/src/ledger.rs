//! [`Ledger`] for [`Book`]: commit, append, look up.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};
use tendon_kernel::{
    Error, ErrorKind, Id, Result,
    sockets::ledger::{Claim, Committed, Draft, Entry, Erased, Facts, Ledger, LedgerState, Listed, Query, Tokens},
};
use tokio::sync::oneshot;

use crate::{
    book::{Book, Inner, Job, closed},
    desk::{self, Known},
    prepare::Planned,
};

/// Units of the queue's room: a KiB each.
fn room(weight: usize, most: usize) -> u32 {
    u32::try_from(weight.div_ceil(1024).clamp(1, most)).unwrap_or(u32::MAX)
}

impl Inner {
    fn most_room(&self) -> usize {
        usize::try_from(self.settings.queue_bytes >> 10).unwrap_or(1).max(1)
    }

    /// Commits planned drafts; results in the order of their numbers.
    pub(crate) async fn commit_planned(self: &Arc<Self>, mut planned: Vec<Planned>) -> Result<Vec<Committed>> {
        let mut results: Vec<Option<Committed>> = vec![None; planned.len()];
        while !planned.is_empty() {
            self.wait_for_tail().await;
            let groups = self.groups.get();
            let weight = planned.iter().map(|one| weight(&one.draft)).sum();
            let permits = room(weight, self.most_room());
            let permit = Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| closed())?;
            let reserved = self.reserve(&mut planned).await?;
            for (number, committed) in reserved.taken {
                set(&mut results, number, committed);
            }
            planned = reserved.waiting;
            let (numbers, entries) = self.finish_all(reserved.ready)?;
            if entries.is_empty() {
                drop(permit);
                if !planned.is_empty() {
                    self.groups.other_than(groups).await;
                }
                continue;
            }
            let claims: Vec<_> = entries.iter().filter_map(|one| one.item.claim.map(|claim| claim.token)).collect();
            let (reply, answer) = oneshot::channel();
            if self.queue.send(Job::Entries { entries, reply, _room: permit }).is_err() {
                self.release(&claims);
                return Err(closed());
            }
            let seqs = answer.await.map_err(|_| closed())??;
            for (number, seq) in numbers.into_iter().zip(seqs) {
                set(&mut results, number, Committed::New { seq });
            }
        }
        results.into_iter().collect::<Option<_>>().ok_or_else(|| crate::format::defect("answer every draft"))
    }

    /// Waits while the projections are too far behind.
    async fn wait_for_tail(&self) {
        let most = self.settings.queue_bytes as usize * 2;
        loop {
            let projected = self.projected.get();
            {
                let desk = self.desk();
                if desk.tail.len() < self.settings.tail_entries && desk.tail_weight < most {
                    return;
                }
            }
            self.project_now.notify_one();
            self.projected.other_than(projected).await;
        }
    }

    async fn look_up(&self, claim: &Claim) -> Result<Option<Committed>> {
        let (token, fingerprint) = self.tokens.claim(claim);
        loop {
            let groups = self.groups.get();
            let (known, generation) = {
                let mut desk = self.desk();
                (desk.claimed(&token), desk.generation())
            };
            match known {
                Known::Yes(held) => return Ok(Some(desk::committed(held, fingerprint))),
                Known::No => return Ok(None),
                Known::Wait => self.groups.other_than(groups).await,
                Known::Ask => {
                    let found = self.index.claim(&token).await?;
                    let mut desk = self.desk();
                    if desk.generation() == generation && desk.claimed(&token) == Known::Ask {
                        return Ok(found.map(|held| desk::committed(held, fingerprint)));
                    }
                }
            }
        }
    }
}

fn set(results: &mut [Option<Committed>], number: usize, committed: Committed) {
    if let Some(result) = results.get_mut(number) {
        *result = Some(committed);
    }
}

fn weight(draft: &Draft) -> usize {
    desk::weight(&draft.facts, &draft.body, draft.claim.as_ref())
}

impl Ledger for Book {
    fn commit(&self, drafts: Vec<Draft>) -> BoxFuture<'_, Result<Vec<Committed>>> {
        async move {
            if self.inner.is_closing() {
                return Err(closed());
            }
            let planned = drafts.into_iter().enumerate();
            let planned = planned.map(|(number, draft)| self.inner.plan(number, draft, Vec::new())).collect();
            self.inner.commit_planned(planned).await
        }
        .boxed()
    }

    fn append(&self, drafts: Vec<Draft>) -> Result<()> {
        let inner = &self.inner;
        let permits = room(drafts.iter().map(weight).sum(), inner.most_room());
        let full = || {
            Error::new(ErrorKind::Unavailable, "ledger_queue_full", "too many outcomes wait for the ledger")
                .hint("they are written when the ledger can write again; see its state")
        };
        let room = Arc::clone(&inner.append_room).try_acquire_many_owned(permits).map_err(|_| full())?;
        inner.queue.send(Job::Drafts { drafts, room }).map_err(|_| closed())
    }

    fn appended(&self) -> BoxFuture<'_, Result<()>> {
        async move {
            let inner = &self.inner;
            let (reply, answer) = oneshot::channel();
            let room = Arc::clone(&inner.room).acquire_many_owned(1).await.map_err(|_| closed())?;
            // Jobs are done in their order: who asks for nothing is answered after all that was asked before.
            inner.queue.send(Job::Entries { entries: Vec::new(), reply, _room: room }).map_err(|_| closed())?;
            answer.await.map_err(|_| closed())?.map(drop)
        }
        .boxed()
    }

    fn entry(&self, seq: u64) -> BoxFuture<'_, Result<Option<Entry>>> {
        self.inner.read(seq).boxed()
    }

    fn entries_of(&self, id: Id) -> BoxFuture<'_, Result<Vec<Entry>>> {
        self.inner.read_id(id).boxed()
    }

    fn claimed<'a>(&'a self, claim: &'a Claim) -> BoxFuture<'a, Result<Option<Committed>>> {
        self.inner.look_up(claim).boxed()
    }

    fn search(&self, query: Query) -> BoxFuture<'_, Result<Listed>> {
        async move { self.inner.query(&query).await }.boxed()
    }

    fn erase<'a>(&'a self, subject: &'a str, facts: Facts) -> BoxFuture<'a, Result<Erased>> {
        self.inner.erase(subject, facts).boxed()
    }

    fn projected(&self, seq: u64) -> BoxFuture<'_, Result<()>> {
        async move {
            self.inner.wait_projected(seq).await;
            Ok(())
        }
        .boxed()
    }

    fn state(&self) -> LedgerState {
        let checkpoint = self.inner.covered.get();
        let desk = self.inner.desk();
        LedgerState { size: desk.size, checkpoint, projected: desk.projected, stopped: desk.stopped.clone() }
    }

    fn tokens(&self) -> Arc<dyn Tokens> {
        Arc::clone(&self.inner.tokens) as _
    }
}
