//! The two lanes of a watch and the rounds in which they take turns: what was asked for again, then live changes to their
//! end, then one page of the sweep.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tendon_engine::{
    ask::{Ask, Caller, Input, Item, Priority, SourceRow},
    outbox::PassedOver,
    systems::System,
};
use tendon_kernel::{
    Error, ErrorKind, Result, Timestamp, Type, Value,
    decision::Door,
    sockets::connector::{Change, Position, Row, Scan, Watch},
};
use tendon_plan::{IntegrationPlan, plan::EventsPlan};
use tokio::sync::watch;

use super::{
    Parts, WatchState,
    backfill::{self, BackfillWish, Control, Step},
    memory::{Mark, Memory, Seen, caller_name},
};

/// Rows of one page: one request to the system, one batch through the path.
const PAGE: usize = 500;

/// Pause of the sweep when there is no room for it.
const CROWDED: Duration = Duration::from_millis(500);

/// Nobody waits for these answers, and giving up on one would ask about its row a second time: so the watch waits for the
/// truth, however slow the ledger is.
const PATIENCE: Duration = Duration::from_secs(365 * 24 * 3600);

/// A sweep under way: the key it has passed.
struct Sweep {
    after: Vec<Value>,
    /// Whether a person asked for it: then its end is recorded.
    asked_for: bool,
}

pub(super) struct Lanes<'a> {
    parts: &'a Parts,
    plan: &'a Arc<IntegrationPlan>,
    events: &'a EventsPlan,
    system: &'a Arc<System>,
    memory: Memory,
    /// Largest watermark of which everything was recorded; `None` before the first round.
    mark: Option<Mark>,
    /// The begin of the oldest transaction that was open when the watch last looked.
    horizon: Option<Timestamp>,
    started: bool,
    sweep: Option<Sweep>,
    /// Keys of rows that deliveries passed over, not yet looked at again.
    look: Vec<Vec<Value>>,
    next_sweep: Duration,
    /// Before this moment the sweep reads no page.
    next_page: Duration,
    backfill: &'a Control,
    state: WatchState,
}

/// A failure, with the keys that still have to be asked about again.
type Held = (Error, Vec<Vec<Value>>);

impl<'a> Lanes<'a> {
    pub(super) fn new(
        parts: &'a Parts,
        plan: &'a Arc<IntegrationPlan>,
        events: &'a EventsPlan,
        system: &'a Arc<System>,
        backfill: &'a Control,
    ) -> Self {
        let memory = Memory::new(&plan.name, &events.fields, parts.ledger.clone(), parts.store.clone());
        Self {
            parts,
            plan,
            events,
            system,
            memory,
            mark: None,
            horizon: None,
            started: false,
            sweep: None,
            look: Vec::new(),
            next_sweep: Duration::ZERO,
            next_page: Duration::ZERO,
            backfill,
            state: WatchState::default(),
        }
    }

    pub(super) fn state(&self) -> WatchState {
        self.state.clone()
    }

    /// One round. Returns when there is more to do: at once, after a while, or (`None`) when something happens.
    pub(super) async fn round(
        &mut self,
        again: Vec<Vec<Value>>,
        passed_over: &[PassedOver],
        stop: &watch::Receiver<bool>,
    ) -> Result<Option<Duration>, Held> {
        passed_over.iter().for_each(|row| self.memory.passed_over(row));
        self.look.extend(passed_over.iter().map(|row| row.key.clone()));
        // A row that cannot be asked about again must not hold up the others.
        let asked = if again.is_empty() { Ok(()) } else { self.again(&again).await };
        let more = self.lanes(stop).await;
        match asked {
            Ok(()) => more.map_err(|error| (error, Vec::new())),
            Err(error) => Err((error, again)),
        }
    }

    async fn lanes(&mut self, stop: &watch::Receiver<bool>) -> Result<Option<Duration>> {
        self.start().await?;
        self.look().await?;
        self.live(stop).await?;
        self.state.up_to_date_at = Some(self.parts.context.clock.now());
        self.memory.trim().await?;
        let now = self.parts.context.clock.monotonic();
        self.wish().await?;
        if self.sweep.is_none() && now >= self.next_sweep {
            self.sweep = Some(Sweep { after: Vec::new(), asked_for: false });
        }
        let paused = self.backfill.state().paused;
        if !paused && now >= self.next_page {
            self.sweep_page().await?;
        }
        self.state.sweeping = self.sweep.is_some() && !paused;
        Ok(self.state.sweeping.then(|| self.next_page.saturating_sub(now)))
    }

    /// Does what a person asked for, recorded before it takes effect.
    async fn wish(&mut self) -> Result<()> {
        let Some(wish) = self.backfill.take_wish() else { return Ok(()) };
        let done = match wish {
            BackfillWish::Pause => self.record(Step::Paused).await,
            BackfillWish::Run(_) if self.sweep.as_ref().is_some_and(|sweep| sweep.asked_for) => {
                self.record(Step::Resumed).await
            }
            BackfillWish::Run(_) => self.record(Step::Started).await,
        };
        if let Err(error) = done {
            self.backfill.keep_wish(wish);
            return Err(error);
        }
        if matches!(wish, BackfillWish::Run(_)) {
            self.next_page = Duration::ZERO;
            if self.sweep.as_ref().is_none_or(|sweep| !sweep.asked_for) {
                self.sweep = Some(Sweep { after: Vec::new(), asked_for: true });
            }
        }
        Ok(())
    }

    async fn record(&self, step: Step) -> Result<()> {
        let digest = self.parts.engine.runtime().plan().digest.clone();
        backfill::record(&self.parts.context, &*self.parts.ledger, self.plan, &digest, step).await
    }

    /// Takes up a backfill that was not finished when the process ended.
    async fn take_up(&mut self) -> Result<()> {
        let left = backfill::left(&*self.parts.ledger, &*self.parts.store, &self.plan.name).await?;
        if left.open {
            let resumed = !left.after.is_empty();
            self.sweep = Some(Sweep { after: left.after, asked_for: true });
            self.backfill.change(|state| {
                (state.running, state.resumed, state.run) = (true, resumed, state.run.max(1));
            });
        }
        // A wish that came meanwhile is newer than the record.
        let wished = self.backfill.peek();
        self.backfill.change(|state| state.paused = if wished { state.paused } else { left.paused });
        Ok(())
    }

    /// Finds the place to begin: where the record stops, or, the first time, now (what was there before is the sweep's).
    async fn start(&mut self) -> Result<()> {
        if self.started {
            return Ok(());
        }
        self.mark = self.memory.cursor().await?;
        if self.mark.is_none() && self.events.watermark_type == Type::Time {
            self.mark = Some(Mark::Time(self.parts.context.clock.now().0));
        }
        self.take_up().await?;
        self.started = true;
        Ok(())
    }

    /// Reads changes, from the overlap before the mark, to their end.
    async fn live(&mut self, stop: &watch::Receiver<bool>) -> Result<()> {
        // Asked before reading: a transaction that is open now may commit rows dated back to its begin, and the next round
        // starts there.
        let open = self.system.horizon().await?;
        let mut after = Position { mark: self.overlapped(), key: Vec::new() };
        while !*stop.borrow() {
            let changes = self.system.watch(self.watch_from(after.clone())).await?;
            let Some(last) = changes.last() else {
                self.horizon = open;
                return Ok(());
            };
            after = Position { mark: last.mark.clone(), key: last.row.key.clone() };
            let end = changes.len() < PAGE;
            let newest = changes.iter().filter_map(|change| Mark::of(&change.mark)).max();
            self.decide(changes, Door::Events).await?;
            self.mark = self.mark.max(newest);
            if end {
                self.horizon = open;
                return Ok(());
            }
        }
        Ok(())
    }

    fn watch_from(&self, after: Position) -> Watch {
        Watch {
            resource: self.events.resource.clone().to_string(),
            key: self.events.key.clone(),
            watermark: self.events.watermark.clone(),
            fields: self.events.fields.clone(),
            after,
            limit: PAGE,
        }
    }

    /// The mark less the overlap. Never the future: a row dated ahead by a wrong clock must not hide those that follow.
    fn overlapped(&self) -> Value {
        let overlap = i64::try_from(self.events.overlap.as_micros()).unwrap_or(i64::MAX);
        match self.mark {
            None => Value::Null,
            Some(Mark::Int(number)) => Value::Int(number.saturating_sub(1)),
            Some(Mark::Time(micros)) => {
                let now = self.parts.context.clock.now().0;
                let open = self.horizon.map_or(i64::MAX, |horizon| horizon.0);
                Value::Time(Timestamp(micros.min(now).min(open).saturating_sub(overlap)))
            }
        }
    }

    /// One page of the sweep.
    async fn sweep_page(&mut self) -> Result<()> {
        let Some(sweep) = &self.sweep else { return Ok(()) };
        let asked_for = sweep.asked_for;
        let scan = Scan {
            resource: self.events.resource.to_string(),
            key: self.events.key.clone(),
            fields: self.events.fields.clone(),
            after: sweep.after.clone(),
            limit: self.backfill.pace(PAGE, 0).0,
        };
        let rows = self.system.scan(scan).await?;
        // Only an empty page is the end: a system may cut one short before a row it cannot read.
        let last = rows.last().map(|row| row.key.clone());
        let changes: Vec<Change> = rows.into_iter().map(|row| Change { mark: Value::Null, row }).collect();
        let (looked_at, asked) = (changes.len(), self.state.asked);
        match self.decide(changes, Door::Batch).await {
            // Live questions need the room: the page is read again later, and nothing else waits with it.
            Err(error) if error.kind() == ErrorKind::Overloaded => {
                self.next_page = self.parts.context.clock.monotonic().saturating_add(CROWDED);
                return Ok(());
            }
            other => other?,
        }
        let asked = self.state.asked - asked;
        self.next_page = self.parts.context.clock.monotonic().saturating_add(self.backfill.pace(PAGE, looked_at).1);
        if asked_for {
            self.backfill.change(|state| {
                state.looked_at += looked_at as u64;
                state.asked += asked;
            });
        }
        self.sweep = match last {
            Some(after) => Some(Sweep { after, asked_for }),
            None => {
                if asked_for {
                    self.record(Step::Done).await?;
                    self.backfill.change(|state| state.running = false);
                }
                self.state.swept_at = Some(self.parts.context.clock.now());
                self.next_sweep = self.parts.context.clock.monotonic().saturating_add(self.events.sweep);
                None
            }
        };
        Ok(())
    }

    /// Looks at rows that deliveries passed over.
    async fn look(&mut self) -> Result<()> {
        for keys in self.look.clone().chunks(PAGE) {
            let rows = self.rows(keys).await?;
            self.decide(rows, Door::Events).await?;
        }
        self.look.clear();
        Ok(())
    }

    async fn rows(&self, keys: &[Vec<Value>]) -> Result<Vec<Change>> {
        let resource = self.events.resource.as_ref();
        let rows = self.system.read(resource, &self.events.key, &self.events.fields, keys).await?;
        Ok(rows.into_iter().map(|row| Change { mark: Value::Null, row }).collect())
    }

    /// Asks about rows again, whatever was seen of them.
    async fn again(&mut self, keys: &[Vec<Value>]) -> Result<()> {
        let rows = self.rows(keys).await?;
        let fresh = rows.into_iter().map(|change| (self.memory.seen(&change.row), change)).collect();
        self.ask(fresh, Door::Events).await
    }

    /// Asks about the rows that differ from what their last decision saw.
    async fn decide(&mut self, changes: Vec<Change>, door: Door) -> Result<()> {
        let mut fresh: Vec<(Seen, Change)> = Vec::new();
        self.state.looked_at += changes.len() as u64;
        for change in changes {
            let seen = self.memory.seen(&change.row);
            if !self.memory.knows(&seen).await? {
                fresh.push((seen, change));
            }
        }
        self.ask(fresh, door).await
    }

    async fn ask(&mut self, fresh: Vec<(Seen, Change)>, door: Door) -> Result<()> {
        let fresh = once(fresh);
        if fresh.is_empty() {
            return Ok(());
        }
        let items = fresh.iter().map(|(seen, change)| item(seen, change)).collect();
        let answers = self.parts.engine.decide(self.question(items, door)).await?;
        if answers.items.len() != fresh.len() {
            return Err(Error::new(ErrorKind::Internal, "path_answer", "the path answered for another number of rows"));
        }
        let mut failure = None;
        for ((seen, _), answer) in fresh.iter().zip(answers.items) {
            match answer {
                Ok(answer) => {
                    self.state.asked += 1;
                    self.memory.recorded(seen, answer.seq);
                }
                Err(error) => failure = Some(error),
            }
        }
        // Rows without a record are read again: the place does not move past them.
        failure.map_or(Ok(()), Err)
    }

    fn question(&self, items: Vec<Item>, door: Door) -> Ask {
        let name: Arc<str> = caller_name(door).into();
        Ask {
            caller: Caller { id: name.clone(), scope: name, integrations: None },
            door,
            integration: self.plan.name.to_string(),
            priority: Priority::of(door),
            explain: false,
            deadline: Some(self.parts.context.deadline_in(PATIENCE)),
            items,
        }
    }
}

/// Each row once, as it was read last: two deliveries may have passed over the same row (simulation seed 812).
fn once(mut rows: Vec<(Seen, Change)>) -> Vec<(Seen, Change)> {
    let mut tokens = BTreeSet::new();
    rows.reverse();
    rows.retain(|(seen, _)| tokens.insert(seen.token));
    rows.reverse();
    rows
}

fn item(seen: &Seen, change: &Change) -> Item {
    let Row { key, values } = &change.row;
    Item {
        input: Input::Values(values.clone()),
        idempotency_key: None,
        row: Some(SourceRow { key: key.clone(), mark: change.mark.clone(), digest: seen.digest }),
    }
}
