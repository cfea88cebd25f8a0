//! Deciding what was accepted: a few workers take the oldest requests in small batches through the path, after those who wait
//! for an answer. Begins where the last process stopped.

use std::{sync::Arc, time::Duration};

use tendon_kernel::{
    Result,
    decision::Door,
    sockets::{
        ledger::{Body, Draft, Entry, EntryKind, Facts},
        model::Matrix,
        store::Store,
    },
};
use tokio::sync::oneshot;

use super::{ROUTE, Waiting, form::RequestForm, projection};
use crate::{
    ask::{Caller, Priority},
    batch::{Batch, Case, State},
    engine::Engine,
    path,
    record_format::Snapshot,
    runtime::Ready,
};

/// Requests of one batch.
const AT_ONCE: usize = 32;
/// How long a worker leaves the room to others before it looks again.
const ROOM_WAIT: Duration = Duration::from_millis(5);
/// How long nothing is tried when the ledger cannot be used.
const LEDGER_WAIT: Duration = Duration::from_secs(1);

/// Requests that go through the path together.
struct Group {
    ready: Arc<Ready>,
    caller: Caller,
    explain: bool,
    cases: Vec<(Waiting, Case)>,
}

impl Engine {
    /// Takes up the requests that wait for their decision and starts the workers that decide them. Call it once, when the
    /// projections have caught up.
    ///
    /// # Errors
    /// The store's.
    pub async fn begin_requests(self: &Arc<Self>, store: &dyn Store) -> Result<()> {
        let waiting = projection::waiting(store).await?;
        if !waiting.is_empty() {
            tracing::info!(requests = waiting.len(), "accepted requests wait for their decision; they are taken up");
        }
        {
            let mut state = self.requests.lock();
            for one in waiting {
                self.requests.insert(&mut state, one.id);
                state.queue.push_back(one);
            }
        }
        let workers = self.runtime().plan().limits.request_workers.max(1);
        self.requests.workers.send_replace(workers);
        for _ in 0..workers {
            let engine = Arc::clone(self);
            self.context.spawn.spawn("requests", Box::pin(async move { engine.work().await }));
        }
        self.requests.wake.notify_one();
        Ok(())
    }

    /// Stops the workers after the batches under way and waits for them. What waits then is taken up by the next process.
    pub async fn end_requests(&self) {
        self.requests.stop.send_replace(true);
        // An error means that the sender is gone, which it is not while we live.
        let _ = self.requests.workers.subscribe().wait_for(|workers| *workers == 0).await;
    }

    async fn work(self: Arc<Self>) {
        let mut stop = self.requests.stop.subscribe();
        while !*stop.borrow() {
            let taken = self.requests.take(AT_ONCE);
            if taken.is_empty() {
                tokio::select! {
                    biased;
                    _ = stop.wait_for(|stop| *stop) => {}
                    () = self.requests.wake.notified() => {}
                }
                continue;
            }
            let left = self.decide_apart(taken).await;
            if !left.is_empty() {
                self.requests.put_back(left.into_iter());
                tokio::select! {
                    biased;
                    _ = stop.wait_for(|stop| *stop) => {}
                    () = self.context.clock.sleep(LEDGER_WAIT) => {}
                }
            }
        }
        self.requests.workers.send_modify(|workers| *workers -= 1);
    }

    /// Decides requests in a task of their own, so that a panic costs these and no worker: they wait for the next start.
    async fn decide_apart(self: &Arc<Self>, taken: Vec<Waiting>) -> Vec<Waiting> {
        let (tell, told) = oneshot::channel();
        let engine = Arc::clone(self);
        let task = async move { drop(tell.send(engine.decide_requests(taken).await)) };
        self.context.spawn.spawn("requests", Box::pin(task));
        told.await.unwrap_or_else(|_| {
            tracing::error!("deciding accepted requests ended with a panic; they are taken up at the next start");
            Vec::new()
        })
    }

    /// Decides requests; gives those back that could not be read or recorded now.
    async fn decide_requests(self: &Arc<Self>, taken: Vec<Waiting>) -> Vec<Waiting> {
        // They take what is left by whoever waits for an answer.
        let most = self.runtime().plan().limits.in_flight;
        let room = loop {
            match self.rooms.take(taken.len(), Priority::Backfill, most) {
                Some(room) => break room,
                None => self.context.clock.sleep(ROOM_WAIT).await,
            }
        };
        // From the look at the entries on: what is erased is not decided, and what is being decided is erased after it.
        let _no_erasure = self.requests.erasing.read().await;
        let (mut groups, mut left) = (Vec::new(), Vec::new());
        for waiting in taken {
            match self.ledger.entries_of(waiting.id).await.and_then(|entries| self.sort(waiting, &entries, &mut groups))
            {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(code = error.code(), request = %waiting.id, "an accepted request could not be read; it is tried again");
                    left.push(waiting);
                }
            }
        }
        for group in groups {
            left.extend(self.pass_group(group).await);
        }
        drop(room);
        left
    }

    /// Puts a request where it belongs: into a group, aside, or to its end.
    fn sort(&self, waiting: Waiting, entries: &[Entry], groups: &mut Vec<Group>) -> Result<()> {
        let ended = |entry: &Entry| {
            entry.facts.kind == EntryKind::Decision
                || (entry.facts.kind == EntryKind::Failure && &*entry.facts.route == ROUTE)
        };
        let request = entries.iter().find(|entry| entry.facts.kind == EntryKind::Request);
        let Some(request) = request.filter(|_| !entries.iter().any(ended)) else {
            // Decided before a crash that the projection had not seen.
            self.requests.finish(waiting.id);
            return Ok(());
        };
        let Some(body) = &request.body else {
            self.ledger.append(vec![erased(request, self.context.clock.now())])?;
            self.requests.finish(waiting.id);
            return Ok(());
        };
        let Some(ready) = self.runtime().ready(&request.facts.integration).cloned() else {
            tracing::warn!(integration = %request.facts.integration, "an accepted request waits for its integration, which is not in force");
            self.requests.park(waiting);
            return Ok(());
        };
        let form = RequestForm::decode(&body.more)?;
        let mut case = case(waiting, body)?;
        case.callback = form.callback;
        let fits = |group: &&mut Group| {
            Arc::ptr_eq(&group.ready, &ready)
                && group.caller.id == request.facts.caller
                && group.explain == form.explain
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.cases.push((waiting, case)),
            None => {
                let caller =
                    Caller { id: Arc::clone(&request.facts.caller), scope: form.scope.into(), integrations: None };
                groups.push(Group { ready, caller, explain: form.explain, cases: vec![(waiting, case)] });
            }
        }
        Ok(())
    }

    /// Takes a group through the path; gives back what was not recorded.
    async fn pass_group(self: &Arc<Self>, group: Group) -> Vec<Waiting> {
        let Group { ready, caller, explain, cases } = group;
        let (waiting, cases): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
        let time = ready.plan.api.as_ref().map_or(crate::stages::admit::PATIENCE, |api| api.async_deadline);
        let mut batch = Batch {
            ready,
            caller,
            door: Door::Api,
            explain,
            deadline: self.context.deadline_in(time),
            at: self.stamp(),
            matrix: Matrix::default(),
            cases,
        };
        path::carry(self, &mut batch).await;
        let mut left = Vec::new();
        for (waiting, case) in waiting.into_iter().zip(&batch.cases) {
            match &case.state {
                State::Answered(Ok(_)) => self.requests.finish(waiting.id),
                _ => left.push(waiting),
            }
        }
        left
    }
}

/// The question as it was asked, with the id that was promised for its answer.
fn case(waiting: Waiting, body: &Body) -> Result<Case> {
    let input = Snapshot::parse(&body.input)?.raw.into_input();
    let mut case = Case::new(0, waiting.id, input);
    case.request = Some(waiting.seq);
    Ok(case)
}

/// The entry that ends a request whose subject was erased. It names the id and nothing else.
fn erased(request: &Entry, at: tendon_kernel::Timestamp) -> Draft {
    let facts = Facts { kind: EntryKind::Failure, at, reason: "erased".into(), ..request.facts.clone() };
    Draft { facts, body: Body::default(), claim: None }
}
