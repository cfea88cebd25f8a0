//! What waits, as people look at it: the first of each system's queue in the order of their turns. Copied under the queue's lock,
//! so it is bounded by whoever asks, and it holds nothing of what is to be written.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tendon_kernel::{Id, Timestamp, decision::DeliveryState, sockets::http::path_of};

use super::{DeliveryReport, Outbox, delivery_place, desk::Desk, queue::Lane};

/// A delivery that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Its id.
    pub id: String,
    /// Its decision.
    pub decision: Id,
    /// The decision's integration.
    pub integration: Arc<str>,
    /// The system.
    pub system: Arc<str>,
    /// What is to be written to; of a receiver's address nothing but its origin.
    pub resource: Arc<str>,
    /// The path of a receiver's address, which may hold a key; never what stands behind its `?`.
    pub path: Option<Arc<str>>,
    /// Time of the decision.
    pub at: Timestamp,
    /// Attempts of this process.
    pub attempts: u32,
    /// Time until it may be tried next; zero: at once.
    pub wait: Duration,
    /// Whether an earlier delivery of the same row goes first.
    pub behind: bool,
    /// Whether it catches up on what was there before.
    pub backfill: bool,
}

impl Outbox {
    /// The first deliveries that wait for a system, in the order of their turns.
    pub fn waiting(&self, system: &str, most: usize) -> Vec<Waits> {
        let now = self.shared.context.clock.monotonic();
        self.shared.desks.get(system).map(|desk| desk.waiting(now, most)).unwrap_or_default()
    }

    /// Completes reports of deliveries that wait by what is known here only: the record tells how they end.
    pub fn complete(&self, reports: &mut [DeliveryReport]) {
        for report in reports.iter_mut().filter(|report| report.state == DeliveryState::Pending) {
            let Some(desk) = self.shared.desks.get(&report.system) else { continue };
            let Ok(place) = delivery_place(&report.id) else { continue };
            let state = desk.lock();
            let Some(attempts) = state.queue.attempts(place) else { continue };
            report.attempts = Some(attempts);
            if attempts > 0 && state.failure.is_some() {
                report.cause.clone_from(&state.failure);
            }
        }
    }

    /// How many deliveries of each integration wait in memory, which [`QUEUE_LIMIT`](super::QUEUE_LIMIT) bounds; none: not named.
    pub fn by_integration(&self) -> BTreeMap<Arc<str>, usize> {
        let mut all = BTreeMap::new();
        self.shared.desks.values().for_each(|desk| desk.lock().queue.count(&mut all));
        all
    }
}

impl Desk {
    fn waiting(&self, now: Duration, most: usize) -> Vec<Waits> {
        let state = self.lock();
        let waits = state.queue.first(most).map(|(pending, behind)| Waits {
            id: format!("{}-{}", pending.place.0, pending.place.1),
            decision: pending.id,
            integration: pending.integration.clone(),
            system: pending.delivery.system.clone(),
            resource: pending.delivery.shown(),
            path: pending.delivery.is_callback().then(|| path_of(&pending.delivery.resource).into()),
            at: pending.at,
            attempts: pending.attempts,
            wait: pending.not_before.max(state.pause_until).saturating_sub(now),
            behind,
            backfill: pending.lane == Lane::Backfill,
        });
        waits.collect()
    }
}
