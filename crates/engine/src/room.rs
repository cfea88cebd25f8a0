//! Room: how many decisions may be under way, and who gives way. The limit is not a number that somebody guessed: it follows
//! what the path does (`pace`), up to `server.in_flight`. Live questions may use all of it; a backfill, and below it what is
//! computed ahead, only what live questions leave.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tendon_kernel::{
    context::Context,
    metrics::{Counter, Gauge},
};

use crate::{
    ask::Priority,
    pace::{Pace, Sample},
};

/// The room of one engine.
pub(crate) struct Rooms {
    context: Context,
    meters: Meters,
    state: Mutex<State>,
}

struct Meters {
    in_flight: Gauge,
    limits: [Gauge; 2],
    shed: [Counter; 3],
}

#[derive(Default)]
struct State {
    /// What is taken, by priority: decisions, a large batch counting as half of the room at the most.
    taken: [usize; 3],
    decisions: usize,
    pace: Pace,
}

impl State {
    fn live(&self) -> usize {
        self.taken[0]
    }

    fn low(&self) -> usize {
        self.taken[1] + self.taken[2]
    }

    /// Whether there is room for a batch of this weight.
    fn fits(&self, weight: usize, priority: Priority, most: usize) -> bool {
        let (live, low) = self.pace.limits(most);
        let left = match priority {
            // A batch that is larger than the room has room when it is alone.
            Priority::Live => return self.live() == 0 || self.live() + weight <= live,
            Priority::Backfill => low,
            Priority::Precompute => low / 2,
        };
        let all = self.live() + self.low();
        // One batch goes on wherever live questions leave half of their room: a page larger than what is left must not
        // wait for ever.
        all + weight <= left || (self.low() == 0 && self.live() <= live / 2)
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
        };
        Arc::new(Self { context: context.clone(), meters, state: Mutex::default() })
    }

    /// Room for so many decisions, of at most `most` altogether; `None` when there is none.
    pub(crate) fn take(self: &Arc<Self>, count: usize, priority: Priority, most: usize) -> Option<Room> {
        let mut state = self.lock();
        let weight = count.min((state.pace.limits(most).0 / 2).max(1));
        if !state.fits(weight, priority, most) {
            return None;
        }
        state.taken[priority.index()] += weight;
        state.decisions += count;
        let (live, low) = (state.live(), state.low());
        state.pace.taken(live, low);
        drop(state);
        self.meters.in_flight.add(number(count));
        let began = self.context.clock.monotonic();
        Some(Room { rooms: Arc::clone(self), priority, weight, count, most, began, answered: false })
    }

    /// Counts a request that was refused for want of room. Who merely waits for room is not refused.
    pub(crate) fn shed(&self, priority: Priority) {
        self.meters.shed[priority.index()].increment();
    }

    /// Decisions under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.lock().decisions
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        if self.answered {
            state.pace.took(&Sample { size: self.count, began: self.began, now }, self.most);
        }
        let (live, low) = state.pace.limits(self.most);
        drop(state);
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
