//! Room: how many decisions may be under way, and who gives way. The limit is not a number that somebody guessed: it follows
//! what the path does (`pace`), up to `server.in_flight`. Live questions may use all of it; a backfill, and below it what is
//! computed ahead, only what live questions leave.
//!
//! A caller is told at once that there is no room, and may come again. A change in a watched system comes only once, so it
//! waits in a line. For the first of the line room is kept: otherwise callers who ask without a pause would fill whatever is given
//! back, and no change were decided as long as they go on (fault cell `overload`). As long as callers are turned away, what came out
//! of the line and what is kept for it is never more than half of the room, so neither side can shut the other out.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tendon_kernel::{
    context::Context,
    metrics::{Counter, Gauge},
};
use tokio::sync::{Mutex as Line, Notify};

use crate::{
    ask::Priority,
    pace::{Pace, Sample},
};

/// For how long callers who were turned away are expected back.
const PRESSURE: Duration = Duration::from_secs(1);

/// The room of one engine.
pub(crate) struct Rooms {
    context: Context,
    meters: Meters,
    state: Mutex<State>,
    /// Who waits for room, in the order in which they came; the first of them holds it.
    line: Line<()>,
    /// Room was given back.
    freed: Notify,
}

struct Meters {
    in_flight: Gauge,
    limits: [Gauge; 2],
    shed: [Counter; 3],
    waiting: Gauge,
}

#[derive(Default)]
struct State {
    /// What is taken, by priority: decisions, a large batch counting as half of the room at the most.
    taken: [usize; 3],
    decisions: usize,
    /// What is kept for the first of the line, and what those have taken who came out of it.
    kept: usize,
    lined: usize,
    /// When a caller was turned away last.
    turned_away: Option<Duration>,
    pace: Pace,
}

impl State {
    fn live(&self) -> usize {
        self.taken[0]
    }

    fn low(&self) -> usize {
        self.taken[1] + self.taken[2]
    }

    /// What a batch of so many takes of the room: never more than half of it.
    fn weight(&self, count: usize, most: usize) -> usize {
        count.min((self.pace.limits(most).0 / 2).max(1))
    }

    /// Whether one of the line may have this much now: together at most half of the room while callers want it, too.
    fn may_line(&self, weight: usize, most: usize, now: Duration) -> bool {
        let pressed = self.turned_away.is_some_and(|at| now.saturating_sub(at) < PRESSURE);
        !pressed || self.lined == 0 || self.lined + weight <= self.pace.limits(most).0 / 2
    }

    /// Whether there is room for a batch of this weight.
    fn fits(&self, weight: usize, priority: Priority, most: usize) -> bool {
        let (live, low) = self.pace.limits(most);
        let left = match priority {
            // A batch that is larger than the room has room when it is alone.
            Priority::Live => {
                return (self.live() == 0 && self.kept == 0) || self.live() + self.kept + weight <= live;
            }
            Priority::Backfill => low,
            Priority::Precompute => low / 2,
        };
        let all = self.live() + self.low() + self.kept;
        // One batch goes on wherever live questions leave half of their room: a page larger than what is left must not
        // wait for ever.
        all + weight <= left || (self.low() == 0 && self.live() + self.kept <= live / 2)
    }
}

/// Room taken by decisions under way; given back when dropped.
pub(crate) struct Room {
    rooms: Arc<Rooms>,
    priority: Priority,
    weight: usize,
    count: usize,
    most: usize,
    began: Duration,
    /// Whether it came out of the line.
    lined: bool,
    answered: bool,
}

impl Rooms {
    pub(crate) fn new(context: &Context) -> Arc<Self> {
        let metrics = &context.metrics;
        let limit = |priority| {
            let help = "Decisions that may be under way now, by priority.";
            metrics.gauge("tendon_decisions_limit", help, &[("priority", priority)])
        };
        let shed = |priority: Priority| {
            let help = "Requests refused because there was no room, by priority.";
            metrics.counter("tendon_shed_total", help, &[("priority", priority.name())])
        };
        let meters = Meters {
            in_flight: metrics.gauge("tendon_decisions_in_flight", "Decisions under way.", &[]),
            limits: [limit("live"), limit("backfill")],
            shed: [Priority::Live, Priority::Backfill, Priority::Precompute].map(shed),
            waiting: metrics.gauge("tendon_changes_waiting", "Batches of changed rows that wait for room.", &[]),
        };
        let (line, freed) = (Line::default(), Notify::new());
        Arc::new(Self { context: context.clone(), meters, state: Mutex::default(), line, freed })
    }

    /// Room for so many decisions, of at most `most` altogether; `None` when there is none.
    pub(crate) fn take(self: &Arc<Self>, count: usize, priority: Priority, most: usize) -> Option<Room> {
        self.enter(&mut self.lock(), count, priority, most)
    }

    /// Whether there is room now for one live decision, of at most `most` altogether.
    pub(crate) fn has(&self, most: usize) -> bool {
        self.lock().fits(1, Priority::Live, most)
    }

    /// Room for so many live decisions, of at most `most` altogether, as soon as there is some. Dropping the future leaves the line.
    pub(crate) async fn wait(self: &Arc<Self>, count: usize, most: usize) -> Room {
        let _waiting = self.meters.waiting.raise();
        let _first = self.line.lock().await;
        let _kept = Kept(self);
        loop {
            // Before the look, so that what is given back after it is not missed.
            let freed = self.freed.notified();
            if let Some(room) = self.first(count, most) {
                return room;
            }
            freed.await;
        }
    }

    /// Room for the first of the line, or some is kept for it.
    fn first(self: &Arc<Self>, count: usize, most: usize) -> Option<Room> {
        let now = self.context.clock.monotonic();
        let mut state = self.lock();
        state.kept = 0;
        let weight = state.weight(count, most);
        if !state.may_line(weight, most, now) {
            return None;
        }
        let Some(mut room) = self.enter(&mut state, count, Priority::Live, most) else {
            state.kept = weight;
            return None;
        };
        state.lined += room.weight;
        room.lined = true;
        Some(room)
    }

    fn enter(self: &Arc<Self>, state: &mut State, count: usize, priority: Priority, most: usize) -> Option<Room> {
        let weight = state.weight(count, most);
        if !state.fits(weight, priority, most) {
            return None;
        }
        state.taken[priority.index()] += weight;
        state.decisions += count;
        let (live, low) = (state.live(), state.low());
        state.pace.taken(live, low);
        self.meters.in_flight.add(number(count));
        let began = self.context.clock.monotonic();
        Some(Room { rooms: Arc::clone(self), priority, weight, count, most, began, lined: false, answered: false })
    }

    /// Counts a request that was refused for want of room. Who merely waits for room is not refused.
    pub(crate) fn shed(&self, priority: Priority) {
        self.meters.shed[priority.index()].increment();
        if priority == Priority::Live {
            self.lock().turned_away = Some(self.context.clock.monotonic());
        }
    }

    /// Decisions under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.lock().decisions
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing is kept any more for who has left the line.
struct Kept<'a>(&'a Rooms);

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.0.lock().kept = 0;
    }
}

impl Room {
    /// The batch was answered: what it took tells how the path does.
    pub(crate) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let now = self.rooms.context.clock.monotonic();
        let mut state = self.rooms.lock();
        state.taken[self.priority.index()] -= self.weight;
        state.decisions -= self.count;
        if self.lined {
            state.lined -= self.weight;
        }
        if self.answered {
            state.pace.took(&Sample { size: self.count, began: self.began, now }, self.most);
        }
        let (live, low) = state.pace.limits(self.most);
        drop(state);
        self.rooms.freed.notify_waiters();
        let meters = &self.rooms.meters;
        meters.in_flight.add(-number(self.count));
        meters.limits[0].set(number(live));
        meters.limits[1].set(number(low));
    }
}

fn number(count: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 decisions are under way")]
    let number = count as f64;
    number
}
