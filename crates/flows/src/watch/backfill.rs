//! Backfill: a sweep that a person asked for, with a pace, a pause and a place. Begin, pause and end are entries of the
//! ledger, and the place is that of the last decision the sweep caused; so after any stop the next run goes on there, and
//! rows that were decided are passed over because the watch knows them.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tendon_engine::record_format::More;
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Value,
    context::Context,
    sockets::{
        ledger::{Body, Draft, Entry, EntryKind, Facts, Ledger},
        store::{Batch, Store, Table},
    },
};
use tendon_plan::IntegrationPlan;

/// Integration → entry that began a backfill which has not ended.
pub(super) const OPEN: Table = Table("watch_backfill_open");
/// Integration → entry that paused the sweep.
pub(super) const PAUSED: Table = Table("watch_backfill_paused");
/// Integration → entry of the last decision that a sweep caused. The key it names is sealed there.
pub(super) const PLACE: Table = Table("watch_backfill_place");

const STARTED: &str = "backfill_started";
const PAUSE: &str = "backfill_paused";
const RESUME: &str = "backfill_resumed";
const DONE: &str = "backfill_done";

/// How a backfill does.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BackfillState {
    /// Which one since the process began, from 1; 0: none yet.
    pub run: u64,
    /// Whether it is under way (also while paused).
    pub running: bool,
    /// Whether the sweep waits for a person.
    pub paused: bool,
    /// Whether it went on where an earlier one stopped.
    pub resumed: bool,
    /// Rows looked at.
    pub looked_at: u64,
    /// Rows asked about; the others equal what their last decision saw.
    pub asked: u64,
}

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BackfillWish {
    /// Go through all rows, or go on where it stopped; at most this many rows a second.
    Run(Option<f64>),
    /// Stop after the page under way, and keep the place.
    Pause,
}

#[derive(Default)]
struct Inner {
    wish: Option<BackfillWish>,
    rate: Option<f64>,
    state: BackfillState,
}

/// What passes between whoever asks and the watch's own task.
#[derive(Default)]
pub(super) struct Control(Mutex<Inner>);

impl Control {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a wish; the state tells at once what it will be, so that whoever asked waits for the right run.
    pub(super) fn wish(&self, wish: BackfillWish) -> BackfillState {
        let mut inner = self.lock();
        inner.wish = Some(wish);
        match wish {
            BackfillWish::Run(rate) => {
                inner.rate = rate;
                if !inner.state.running {
                    let run = inner.state.run + 1;
                    inner.state = BackfillState { run, running: true, ..BackfillState::default() };
                }
                inner.state.paused = false;
            }
            BackfillWish::Pause => inner.state.paused = true,
        }
        inner.state.clone()
    }

    pub(super) fn take_wish(&self) -> Option<BackfillWish> {
        self.lock().wish.take()
    }

    /// Whether a wish waits.
    pub(super) fn peek(&self) -> bool {
        self.lock().wish.is_some()
    }

    /// Gives a wish back that could not be recorded, unless there is a newer one.
    pub(super) fn keep_wish(&self, wish: BackfillWish) {
        self.lock().wish.get_or_insert(wish);
    }

    pub(super) fn state(&self) -> BackfillState {
        self.lock().state.clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut BackfillState)) {
        change(&mut self.lock().state);
    }

    /// Rows of a page, and how long to wait after one of this many rows.
    pub(super) fn pace(&self, page: usize, rows: usize) -> (usize, Duration) {
        let Some(rate) = self.lock().rate.filter(|rate| rate.is_finite() && *rate > 0.0) else {
            return (page, Duration::ZERO);
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1 and the page before")]
        #[expect(clippy::cast_precision_loss, reason = "a page is small")]
        let (most, wait) = (rate.clamp(1.0, page as f64) as usize, rows as f64 / rate);
        (most, Duration::from_secs_f64(wait.min(3600.0)))
    }
}

/// Folds begin, pause and end into their tables.
pub(super) fn project(entry: &Entry, batch: &mut Batch) {
    let (name, seq) = (entry.facts.integration.as_bytes(), entry.seq.to_be_bytes());
    if entry.facts.kind == EntryKind::Decision
        && &*entry.facts.caller == super::memory::caller_name(tendon_kernel::decision::Door::Batch)
    {
        batch.put(PLACE, name, seq);
    }
    if entry.facts.kind != EntryKind::Config || name.is_empty() {
        return;
    }
    match &*entry.facts.reason {
        STARTED => {
            batch.put(OPEN, name, seq);
            batch.delete(PAUSED, name);
        }
        PAUSE => batch.put(PAUSED, name, seq),
        RESUME => batch.delete(PAUSED, name),
        DONE => {
            batch.delete(OPEN, name);
            batch.delete(PAUSED, name);
        }
        _ => {}
    }
}

/// A step of a backfill that is recorded.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Started,
    Paused,
    Resumed,
    Done,
}

/// Records a step, durable when this returns.
pub(super) async fn record(
    context: &Context,
    ledger: &dyn Ledger,
    plan: &IntegrationPlan,
    digest: &Arc<str>,
    step: Step,
) -> Result<()> {
    let reason = match step {
        Step::Started => STARTED,
        Step::Paused => PAUSE,
        Step::Resumed => RESUME,
        Step::Done => DONE,
    };
    let none: Arc<str> = Arc::from("");
    let facts = Facts {
        kind: EntryKind::Config,
        id: Id::new(context),
        at: context.clock.now(),
        integration: Arc::clone(&plan.name),
        model: None,
        route: none.clone(),
        reason: reason.into(),
        caller: super::memory::caller_name(tendon_kernel::decision::Door::Batch).into(),
        policy: none,
        plan: Arc::clone(digest),
        retention: Arc::clone(&plan.retention),
        region: Arc::clone(&plan.region),
    };
    ledger.commit(vec![Draft { facts, body: Body::default(), claim: None }]).await?;
    Ok(())
}

/// Where a backfill stopped.
pub(super) struct Left {
    /// Key after which it goes on; empty: from the start.
    pub(super) after: Vec<Value>,
    /// Whether a person paused it.
    pub(super) paused: bool,
    /// Whether one was begun and has not ended.
    pub(super) open: bool,
}

/// What the record says of the last backfill.
pub(super) async fn left(ledger: &dyn Ledger, store: &dyn Store, integration: &str) -> Result<Left> {
    let name = integration.as_bytes();
    let number = |bytes: Option<Vec<u8>>| -> Result<Option<u64>> {
        bytes.map(|bytes| bytes.try_into().map(u64::from_be_bytes).map_err(|_| unreadable())).transpose()
    };
    let open = number(store.get(OPEN, name).await?)?;
    let paused = store.get(PAUSED, name).await?.is_some();
    let place = number(store.get(PLACE, name).await?)?;
    let mut after = Vec::new();
    if let (Some(open), Some(place)) = (open, place)
        && place > open
        && let Some(body) = ledger.entry(place).await?.and_then(|entry| entry.body)
        && let Some(row) = More::parse(&body.more)?.row
    {
        after = row.key;
    }
    // The place's subject may have been erased: then it goes through all rows again, and passes over those it knows.
    Ok(Left { after, paused, open: open.is_some() })
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Corrupt, "projection_unreadable", "the kept place of a backfill has an unknown form")
        .hint("delete .tendon/projections.db: it is rebuilt from the ledger")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_bounds_page_and_wait() {
        let control = Control::default();
        assert_eq!(control.pace(500, 500), (500, Duration::ZERO));
        control.wish(BackfillWish::Run(Some(50.0)));
        assert_eq!(control.pace(500, 50), (50, Duration::from_secs(1)));
        control.wish(BackfillWish::Run(Some(0.5)));
        assert_eq!(control.pace(500, 1), (1, Duration::from_secs(2)));
    }

    #[test]
    fn a_wish_is_one_run_until_it_ended() {
        let control = Control::default();
        assert_eq!(control.wish(BackfillWish::Run(None)).run, 1);
        assert!(control.wish(BackfillWish::Pause).paused);
        let again = control.wish(BackfillWish::Run(None));
        assert_eq!((again.run, again.paused, again.running), (1, false, true));
        control.change(|state| state.running = false);
        assert_eq!(control.wish(BackfillWish::Run(None)).run, 2);
    }
}
