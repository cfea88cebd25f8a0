//! The desk of one system: its queue and the worker that empties it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tendon_kernel::{
    Error, ErrorKind, Timestamp,
    sockets::{connector::Written, ledger::Draft},
};
use tokio::sync::{Notify, watch};

use super::{
    QUEUE_LIMIT, Shared,
    outcome::{self, Counts, Ending},
    queue::{Pending, Place, Queue},
    refill::{given_up, goes_on},
    trail,
};
use crate::systems::{BreakerState, System, backoff, held_back};

/// Writes of one request to a system.
const BATCH: usize = 500;
/// Attempts at a row that the system refuses for now.
const ROW_ATTEMPTS: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How a system's deliveries do.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DeskState {
    /// Deliveries that wait in memory; when `more`, there are others in the projection.
    pub waiting: usize,
    /// Deliveries in memory that have not ended: those that wait, and those being written.
    pub unfinished: usize,
    /// Whether more waits than memory holds.
    pub more: bool,
    /// How others ended since the start.
    pub ended: Counts,
    /// Time of the oldest waiting decision.
    pub oldest: Option<Timestamp>,
    /// The circuit breaker.
    pub breaker: BreakerState,
    /// What went wrong last: in writing, while it does not go; or in any call, while the breaker counts it.
    pub last_failure: Option<String>,
    /// Batches in a row that failed as a whole. The breaker need not know: reading may go well meanwhile.
    pub failures: u32,
}

pub(super) struct State {
    pub(super) queue: Queue,
    /// Whether all that waits is in memory.
    pub(super) complete: bool,
    /// First place that the next refill reads.
    pub(super) cursor: Place,
    /// Largest entry whose deliveries were left to the refill.
    pub(super) left_out: u64,
    /// Before this moment nothing is tried: the system as a whole failed.
    pub(super) pause_until: Duration,
    failures: u32,
    /// What went wrong last, while batches fail.
    pub(super) failure: Option<String>,
    counts: Counts,
}

pub(super) struct Desk {
    pub(super) system: Arc<System>,
    state: Mutex<State>,
    wake: Notify,
    /// Held from the look at what was erased until the write's outcome is settled.
    writing: tokio::sync::Mutex<()>,
    stop: watch::Sender<bool>,
    ended: watch::Sender<bool>,
}

impl Desk {
    pub(super) fn new(system: Arc<System>) -> Self {
        let state = State {
            queue: Queue::default(),
            complete: false,
            cursor: (0, 0),
            left_out: 0,
            pause_until: Duration::ZERO,
            failures: 0,
            failure: None,
            counts: Counts::default(),
        };
        let (stop, _) = watch::channel(false);
        let (ended, _) = watch::channel(false);
        Self {
            system,
            state: Mutex::new(state),
            wake: Notify::new(),
            writing: tokio::sync::Mutex::default(),
            stop,
            ended,
        }
    }

    pub(super) fn accept(&self, pending: Pending) {
        let seq = pending.place.0;
        self.accept_of(pending, seq);
    }

    /// Accepts what an entry brings back: its row waits in the projection once that entry is projected.
    pub(super) fn accept_of(&self, pending: Pending, seq: u64) {
        let mut state = self.lock();
        if state.complete && state.queue.len() < QUEUE_LIMIT {
            state.queue.add(pending);
        } else {
            state.complete = false;
            state.cursor = state.cursor.min(pending.place);
            state.left_out = state.left_out.max(seq);
        }
        drop(state);
        self.wake.notify_one();
    }

    pub(super) fn remove_subject(&self, subject: &str) -> Vec<Pending> {
        self.lock().queue.remove_subject(subject)
    }

    /// Waits until the write under way has ended; those after it look at what was erased first.
    pub(super) async fn written(&self) {
        drop(self.writing.lock().await);
    }

    pub(super) fn state(&self) -> DeskState {
        let (breaker, last_failure) = self.system.breaker();
        let state = self.lock();
        DeskState {
            waiting: state.queue.len(),
            unfinished: state.queue.unfinished(),
            more: !state.complete,
            ended: state.counts,
            oldest: state.queue.oldest(),
            breaker,
            last_failure: state.failure.clone().or(last_failure),
            failures: state.failures,
        }
    }

    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
        self.wake.notify_one();
    }

    pub(super) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    pub(super) async fn stopped(&self) {
        // An error means that the desk is gone, which is what we wait for.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// The worker of one system: refill, take, write, record, again.
    pub(super) async fn work(&self, name: &Arc<str>) {
        let Some(desk) = self.desks.get(name) else { return };
        while !*desk.stop.borrow() {
            if let Err(error) = self.refill(desk).await {
                tracing::warn!(system = %name, code = error.code(), "reading what waits in the outbox failed; it is tried again");
                self.rest(desk, Duration::from_secs(1)).await;
                continue;
            }
            let writing = desk.writing.lock().await;
            let now = self.context.clock.monotonic();
            let (batch, next) = desk.next_batch(now);
            let batch = self.without_erased(desk, batch);
            if batch.is_empty() {
                drop(writing);
                match next {
                    Some(at) => self.rest(desk, at.saturating_sub(now).max(Duration::from_millis(1))).await,
                    None => desk.wake.notified().await,
                }
                continue;
            }
            self.deliver(desk, batch).await;
        }
        desk.ended.send_replace(true);
    }

    /// Waits for new work, but no longer than this.
    async fn rest(&self, desk: &Desk, longest: Duration) {
        tokio::select! {
            biased;
            () = desk.wake.notified() => {}
            () = self.context.clock.sleep(longest) => {}
        }
    }

    async fn deliver(&self, desk: &Desk, batch: Vec<Pending>) {
        if batch.iter().any(|pending| pending.attempts > 0)
            && let Err(error) = desk.system.retry()
        {
            return self.hold(desk, batch, &error);
        }
        self.write(desk, batch).await;
    }

    async fn write(&self, desk: &Desk, batch: Vec<Pending>) {
        let result = trail::write(&self.context, &desk.system, &batch).await;
        match result {
            Ok(written) => {
                desk.calm();
                self.settle(desk, batch.into_iter().zip(written).collect());
            }
            Err(error) if held_back(&error) => self.hold(desk, batch, &error),
            Err(error) if error.retryable() => {
                let now = self.context.clock.now();
                let (rest, over) = batch.into_iter().partition(|pending| goes_on(&desk.system, pending, now));
                self.settle(desk, given_up(over, &error));
                self.postpone(desk, rest, &error);
            }
            Err(error) if batch.len() == 1 => {
                self.settle(
                    desk,
                    batch.into_iter().map(|pending| (pending, Written::Rejected(error.clone()))).collect(),
                );
            }
            // The request was refused as a whole: find out which rows are to blame. The system answers, so this is no retry.
            Err(_) => {
                for pending in batch {
                    Box::pin(self.write(desk, vec![pending])).await;
                }
            }
        }
    }

    /// Ends the deliveries of subjects that were erased meanwhile; gives the others.
    fn without_erased(&self, desk: &Desk, batch: Vec<Pending>) -> Vec<Pending> {
        let (erased, rest): (Vec<_>, Vec<_>) = batch.into_iter().partition(|pending| self.is_erased(pending));
        if !erased.is_empty() {
            let mut state = desk.lock();
            erased.iter().for_each(|pending| state.queue.finish(pending));
            drop(state);
            self.end_erased(erased);
        }
        rest
    }

    pub(super) fn is_erased(&self, pending: &Pending) -> bool {
        pending.subject.as_deref().is_some_and(|subject| self.was_erased(subject, pending.place.0))
    }

    /// The system was not asked at all: everything waits until it may be, and nothing was tried.
    fn hold(&self, desk: &Desk, batch: Vec<Pending>, why: &Error) {
        let repeats = why.code() == "retry_budget";
        let wait = if repeats { desk.system.retry_ready_in() } else { desk.system.retry_in() };
        let mut state = desk.lock();
        state.pause_until = self.context.clock.monotonic().saturating_add(wait.max(FIRST_WAIT));
        batch.into_iter().for_each(|pending| state.queue.put_back(pending));
    }

    /// The system failed as a whole: everything waits, none of it is to blame.
    fn postpone(&self, desk: &Desk, batch: Vec<Pending>, why: &Error) {
        let now = self.context.clock.monotonic();
        let mut state = desk.lock();
        let wait = backoff(state.failures, FIRST_WAIT, LONGEST_WAIT, &self.context).max(desk.system.retry_in());
        let first = state.failures == 0;
        state.failures = state.failures.saturating_add(1);
        state.failure = Some(why.to_string());
        state.pause_until = now.saturating_add(wait);
        for mut pending in batch {
            pending.attempts = pending.attempts.saturating_add(1);
            state.queue.put_back(pending);
        }
        drop(state);
        if first {
            let (system, code) = (desk.system.name(), why.code());
            tracing::warn!(%system, code, "writing fails; what waits is tried again: {why}");
        }
    }

    /// Records how rows ended and frees them; rows to be tried again go back.
    fn settle(&self, desk: &Desk, results: Vec<(Pending, Written)>) {
        let now = self.context.clock.now();
        let mut drafts = Vec::with_capacity(results.len());
        let mut ended = Vec::with_capacity(results.len());
        let mut passed_over = Vec::new();
        let mut counts = desk.lock().counts;
        for (mut pending, written) in results {
            pending.attempts = pending.attempts.saturating_add(1);
            match self.ending(desk, &pending, written) {
                Some(ending) => {
                    if ending.passes_over() {
                        passed_over.push(pending.clone());
                    }
                    counts.add(&ending);
                    drafts.push(self.ending_draft(&pending, ending, now));
                    ended.push(pending);
                }
                None => {
                    let longest = desk.system.patience().map_or(LONGEST_WAIT, |patience| patience.longest_wait);
                    let wait = backoff(pending.attempts, FIRST_WAIT, longest, &self.context);
                    pending.not_before = self.context.clock.monotonic().saturating_add(wait);
                    desk.lock().queue.put_back(pending);
                }
            }
        }
        if drafts.is_empty() {
            return;
        }
        match self.ledger.append(drafts) {
            Ok(()) => {
                let mut state = desk.lock();
                ended.iter().for_each(|pending| state.queue.finish(pending));
                state.counts = counts;
                drop(state);
                passed_over.iter().for_each(|pending| self.tell_passed_over(pending));
            }
            // Not recorded is not done: the next attempt finds our values there and says so.
            Err(error) => {
                tracing::warn!(code = error.code(), "delivery outcomes could not be recorded; they are tried again");
                self.postpone(desk, ended, &error);
            }
        }
    }

    /// How a row ended; `None`: it is to be tried again.
    fn ending(&self, desk: &Desk, pending: &Pending, written: Written) -> Option<Ending> {
        match written {
            Written::Delivered { old } => Some(Ending::Delivered(old)),
            Written::Superseded => Some(Ending::Superseded),
            Written::Missing => Some(Ending::Dead(
                Error::new(ErrorKind::NotFound, "row_missing", "the row to write to does not exist any more")
                    .with("system", &pending.delivery.system)
                    .with("resource", &pending.delivery.resource),
            )),
            Written::Rejected(error) => {
                let again = match desk.system.patience() {
                    Some(_) => goes_on(&desk.system, pending, self.context.clock.now()),
                    None => pending.attempts < ROW_ATTEMPTS,
                };
                (!again || !error.retryable()).then_some(Ending::Dead(error))
            }
        }
    }

    /// The entry of an ending. When the subject was erased while the write was under way, it tells what became of the write
    /// and holds nothing of the subject.
    fn ending_draft(&self, pending: &Pending, ending: Ending, now: Timestamp) -> Draft {
        if !self.is_erased(pending) {
            return outcome::draft(pending, ending, now, self.custody(pending));
        }
        let nameless = Pending { subject: None, ..pending.clone() };
        outcome::draft(&nameless, ending.without_values(), now, self.custody(pending))
    }
}

impl Desk {
    fn calm(&self) {
        let mut state = self.lock();
        let failures = std::mem::take(&mut state.failures);
        state.failure = None;
        state.pause_until = Duration::ZERO;
        drop(state);
        if failures > 0 {
            tracing::info!(system = %self.system.name(), failures, "writing goes on");
        }
    }

    /// What can be written now, or when to look again.
    fn next_batch(&self, now: Duration) -> (Vec<Pending>, Option<Duration>) {
        let mut state = self.lock();
        if state.pause_until > now {
            return (Vec::new(), Some(state.pause_until));
        }
        // What was tried before waits for the retry budget; what is new does not wait with it.
        let repeats = self.system.retry_ready_in();
        let most = self.system.patience().map_or(BATCH, |patience| patience.at_once);
        let batch = state.queue.take(now, most, repeats.is_zero());
        let next = state.queue.next_time();
        let next = next.map(|next| if batch.is_empty() { next.max(now.saturating_add(repeats)) } else { next });
        (batch, next)
    }
}
