//! Trends that the process keeps of itself: counts in steps from ten seconds to an hour, for an hour to thirty days. A few hundred
//! rows per integration in a store of their own, each written over when its time comes round again. They survive a restart; after
//! a crash the last minute is missing. No decision depends on them, and without them everything goes on.

mod ring;
mod sample;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::FutureExt as _;
use tendon_doors::{
    api::Status,
    console::{Slot, Span},
};
use tendon_kernel::{
    Result, Timestamp,
    context::Context,
    sockets::store::{self, Batch, Store, Table},
};
use tendon_platform::{Durability, SqliteStore};

use self::{ring::Ring, sample::Totals};
use crate::wiring::Parts;

const SECOND: Duration = Duration::from_secs(1);
/// Time between two looks: the shortest step.
const STEP: Duration = Duration::from_secs(10);
/// Looks between two writes.
const WRITE: u32 = 6;
/// Level, series, 0, place → slot as JSON.
const TABLE: Table = Table("trends");
/// The series of the process itself: only how long it was watched and ready.
const PROCESS: &str = "";

/// The trends of all series.
pub(crate) struct Trends {
    context: Context,
    store: Arc<dyn Store>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    series: BTreeMap<Arc<str>, [Ring; 4]>,
    totals: Totals,
}

impl Trends {
    /// Opens what was kept. A damaged file is begun anew: trends are no record.
    ///
    /// # Errors
    /// When the store cannot be opened or read.
    pub(crate) async fn open(state: &Path, context: &Context) -> Result<Self> {
        let opened = SqliteStore::open_anew(&state.join("trends.db"), Durability::Projections, |error| {
            tracing::warn!(code = error.code(), "the trends are damaged; they begin anew");
        })?;
        Self::of(Arc::new(opened), context.clone()).await
    }

    /// The trends that a store holds.
    async fn of(store: Arc<dyn Store>, context: Context) -> Result<Self> {
        let now = seconds(&context);
        let mut state = State::default();
        let mut over = Batch::default();
        store::each(&*store, TABLE, |key, value| {
            let kept = parse(key).zip(serde_json::from_slice::<Slot>(value).ok());
            let Some(((level, name), slot)) = kept else {
                over.delete(TABLE, key);
                return Ok(());
            };
            let rings = state.series.entry(name.into()).or_insert_with(rings);
            let Some(ring) = rings.get_mut(level) else { return Ok(()) };
            if slot.at < ring.oldest(now) || slot.at > now {
                over.delete(TABLE, key);
            } else {
                ring.restore(slot);
            }
            Ok(())
        })
        .await?;
        if !over.changes.is_empty() {
            store.write(over).await?;
        }
        Ok(Self { context, store, state: Mutex::new(state) })
    }

    /// Looks and writes until the process ends.
    pub(crate) fn start(self: &Arc<Self>, parts: &Arc<Parts>, status: &Arc<dyn Status>) {
        let (this, parts, status) = (self.clone(), parts.clone(), status.clone());
        let looks = async move {
            let (mut looks, mut looked) = (0_u32, this.context.clock.monotonic());
            // The first one need not last a whole step, so that a page soon has something to show.
            let mut least = SECOND;
            loop {
                this.context.clock.sleep(pause(this.context.clock.now(), least)).await;
                least = STEP / 2;
                let ready = status.parts().await.iter().all(|part| part.ok || !part.vital);
                let now = this.context.clock.monotonic();
                let passed = now.saturating_sub(looked).as_millis().saturating_add(500) / 1000;
                looked = now;
                this.look(waiting(&parts), u32::try_from(passed).unwrap_or(u32::MAX), ready);
                looks = (looks + 1) % WRITE;
                if looks == 0 {
                    this.write().await;
                }
            }
        };
        self.context.spawn.spawn("trends", looks.boxed());
    }

    /// Takes in what was counted since the last look, so many seconds ago, and whether the process was ready meanwhile.
    pub(crate) fn look(&self, waiting: u64, passed: u32, ready: bool) {
        let (now, totals) = (seconds(&self.context), Totals::of(&self.context.metrics.snapshot()));
        let mut state = self.state();
        let mut since = totals.since(&state.totals);
        state.totals = totals;
        since.entry(PROCESS.into()).or_default();
        for (name, mut slot) in since {
            slot.waiting = waiting;
            slot.watched = passed;
            slot.ready = if ready { passed } else { 0 };
            let rings = state.series.entry(name).or_insert_with(rings);
            rings.iter_mut().for_each(|ring| ring.add(now, &slot));
        }
    }

    /// Writes what has changed.
    pub(crate) async fn write(&self) {
        let mut batch = Batch::default();
        for (name, rings) in &mut self.state().series {
            for (level, ring) in rings.iter_mut().enumerate() {
                for slot in ring.unwritten() {
                    let value = serde_json::to_vec(&slot).unwrap_or_default();
                    batch.put(TABLE, key(level, name, ring.place(&slot)), value);
                }
            }
        }
        if let Err(error) = self.store.write(batch).await {
            tracing::warn!(code = error.code(), "the trends could not be kept: {error}");
        }
    }

    /// One slot per step of a span, the newest last.
    pub(crate) fn trend(&self, series: &str, span: Span) -> Vec<Option<Slot>> {
        let now = seconds(&self.context);
        let state = self.state();
        let ring = state.series.get(series).zip(level(span)).and_then(|(rings, level)| rings.get(level));
        ring.map_or_else(|| vec![None; span.slots()], |ring| ring.dense(now))
    }

    /// What the last while counted: as many steps as it has, of the shortest span that holds it.
    pub(crate) fn past(&self, series: &str, time: Duration) -> Slot {
        let now = seconds(&self.context);
        self.state().series.get(series).map_or_else(Slot::default, |rings| past(rings, now, time))
    }

    /// The share of the last days that the process was ready, of those since it was first started.
    pub(crate) fn uptime(&self, days: u32) -> Option<f64> {
        let now = seconds(&self.context);
        let state = self.state();
        let span = if days <= 7 { Span::Week } else { Span::Month };
        let ring = state.series.get(PROCESS)?.get(level(span)?)?;
        let begin = (now - i64::from(days) * 86_400).max(ring.since(i64::MIN).next()?.at);
        let (mut ready, mut watched) = (0_u32, 0_u32);
        for slot in ring.since(begin) {
            ready += slot.ready;
            watched += slot.watched;
        }
        // The first slot begins up to a step before the first look; in the first two steps that would weigh too much.
        let passed = f64::from(u32::try_from(now - begin).ok()?);
        let step = f64::from(u32::try_from(span.step()).ok()?);
        let all = if passed < 2.0 * step { f64::from(watched) } else { (passed - step).max(f64::from(watched)) };
        (all > 0.0).then(|| (f64::from(ready) / all).min(1.0))
    }

    /// Since when uptime is known: the first slot of the longest span, told more exactly by each shorter one that begins in it.
    pub(crate) fn watched_since(&self) -> Option<Timestamp> {
        let state = self.state();
        Some(Timestamp(first(state.series.get(PROCESS)?)?.saturating_mul(1_000_000)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Write-backs that wait for any system.
pub(crate) fn waiting(parts: &Parts) -> u64 {
    let states = parts.deliveries.current().states();
    let waiting: usize = states.values().map(|state| state.waiting).sum();
    u64::try_from(waiting).unwrap_or(u64::MAX)
}

fn rings() -> [Ring; 4] {
    Span::ALL.map(Ring::new)
}

/// How long to wait for the next look, at least so long. Looks are in the middle of steps, so that each step has one however a
/// clock or a scheduler is off: with two in one and none in the next, a minute would have counted too much or too little.
fn pause(now: Timestamp, least: Duration) -> Duration {
    let (now, step) = (now.0, i64::try_from(STEP.as_micros()).unwrap_or(i64::MAX));
    let wait = Duration::from_micros(u64::try_from((step / 2 - now).rem_euclid(step)).unwrap_or_default());
    if wait < least { wait + STEP } else { wait }
}

/// When the first that is known was counted.
fn first(rings: &[Ring; 4]) -> Option<i64> {
    let begins = |ring: &Ring| ring.since(i64::MIN).next().map(|slot| slot.at);
    let [.., longest] = rings;
    let (mut first, mut step) = (begins(longest)?, longest.span.step());
    for ring in rings.iter().rev() {
        if let Some(at) = begins(ring).filter(|at| (first..first.saturating_add(step)).contains(at)) {
            (first, step) = (at, ring.span.step());
        }
    }
    Some(first)
}

/// What the last while before a moment counted. The step under way counts from its look on; until then the one before it is the
/// newest, so that the steps always make up the whole while.
fn past(rings: &[Ring; 4], now: i64, time: Duration) -> Slot {
    let time = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let holds = |ring: &&Ring| time <= ring.span.seconds();
    let mut sum = Slot::default();
    if let Some(ring) = rings.iter().find(holds).or(rings.last()) {
        let step = ring.span.step();
        let under_way = now.div_euclid(step) * step;
        let newest = if ring.newest().is_some_and(|at| at >= under_way) { under_way } else { under_way - step };
        ring.since(newest.saturating_sub(time).saturating_add(1)).for_each(|slot| sum.add(slot));
    }
    sum
}

fn level(span: Span) -> Option<usize> {
    Span::ALL.iter().position(|known| *known == span)
}

fn seconds(context: &Context) -> i64 {
    context.clock.now().0.div_euclid(1_000_000)
}

fn key(level: usize, series: &str, place: u32) -> Vec<u8> {
    let mut key = vec![u8::try_from(level).unwrap_or(u8::MAX)];
    key.extend(series.as_bytes());
    key.push(0);
    key.extend(place.to_be_bytes());
    key
}

fn parse(key: &[u8]) -> Option<(usize, &str)> {
    let (level, rest) = key.split_first()?;
    let name = rest.get(..rest.len().checked_sub(5)?)?;
    Some((usize::from(*level), std::str::from_utf8(name).ok()?))
}
