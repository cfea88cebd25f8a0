//! The refill of a desk from the projection, when more waits than memory should hold or the process has just started; and how
//! long what a receiver does not take is tried again.

use tendon_kernel::{
    Error, ErrorKind, Result, Timestamp,
    sockets::{connector::Written, store::Range},
};

use super::{
    QUEUE_LIMIT, Shared,
    desk::Desk,
    letters::Fields,
    outcome::OutcomeForm,
    pendings_of,
    projection::{PENDING, PendingRow, pending_key, place_of, system_prefix},
    queue::{Lane, Pending, Place},
    record_placeholder,
};
use crate::systems::System;

/// Fewest attempts of this process before a delivery is given up for its age: one that a person retries is old.
const LEAST_ATTEMPTS: u32 = 4;

/// Whether a delivery that failed is tried again although its system has no endless patience.
pub(super) fn goes_on(system: &System, pending: &Pending, now: Timestamp) -> bool {
    let Some(patience) = system.patience() else { return true };
    let micros = i64::try_from(patience.give_up.as_micros()).unwrap_or(i64::MAX);
    pending.attempts < LEAST_ATTEMPTS || now.0 < pending.at.0.saturating_add(micros)
}

/// Deliveries that are given up for what kept them from a receiver as a whole.
pub(super) fn given_up(over: Vec<Pending>, error: &Error) -> Vec<(Pending, Written)> {
    over.into_iter().map(|pending| (pending, Written::Rejected(error.clone()))).collect()
}

impl Shared {
    /// Brings what waits in the projection into memory, as far as there is room.
    pub(super) async fn refill(&self, desk: &Desk) -> Result<()> {
        loop {
            let (cursor, left_out, room) = {
                let state = desk.lock();
                if state.complete || state.queue.len() > QUEUE_LIMIT / 2 {
                    return Ok(());
                }
                (state.cursor, state.left_out, QUEUE_LIMIT - state.queue.len())
            };
            self.ledger.projected(left_out).await?;
            let found = self.read_pending(desk.system.name(), cursor, room).await?;
            let all = found.len() < room;
            let last = found.last().map(|(place, _)| *place);
            for (place, row) in found {
                self.load(desk, place, &row).await?;
            }
            let mut state = desk.lock();
            // Deliveries left out meanwhile may have moved the cursor back: then it stays there.
            if state.cursor >= cursor
                && let Some((seq, index)) = last
            {
                state.cursor = (seq, index.saturating_add(1));
            }
            if all && state.left_out == left_out {
                state.complete = true;
            }
        }
    }

    async fn read_pending(&self, system: &str, from: Place, limit: usize) -> Result<Vec<(Place, PendingRow)>> {
        let mut end = system_prefix(system);
        if let Some(last) = end.last_mut() {
            *last = 1;
        }
        let range = Range { from: pending_key(system, from), to: Some(end), limit, descending: false };
        let rows = self.store.range(PENDING, range).await?;
        rows.into_iter()
            .map(|(key, value)| {
                let row = serde_json::from_slice(&value).map_err(|_| {
                    Error::new(ErrorKind::Corrupt, "projection_unreadable", "a row of the outbox has an unknown form")
                })?;
                Ok((place_of(&key)?, row))
            })
            .collect()
    }

    async fn load(&self, desk: &Desk, place: Place, row: &PendingRow) -> Result<()> {
        let Some(entry) = self.ledger.entry(place.0).await? else {
            return Err(Error::new(
                ErrorKind::Corrupt,
                "outbox_ahead",
                "the outbox names an entry that the ledger does not have",
            ));
        };
        let edited = match row.edited {
            Some(seq) => self.edited(seq).await?,
            None => None,
        };
        match pendings_of(&entry)? {
            None => self.end_erased(vec![record_placeholder(&entry, place, desk.system.name())]),
            Some(pendings) => {
                for mut pending in pendings.into_iter().filter(|pending| pending.place == place) {
                    // Erased since it was read: the next look at the queue ends it.
                    pending.lane = if row.backfill { Lane::Backfill } else { Lane::Live };
                    if let Some(set) = &edited {
                        pending.delivery.set.clone_from(set);
                    }
                    desk.lock().queue.add(pending);
                }
            }
        }
        Ok(())
    }

    /// A person's values out of the entry of their retry; nothing when the subject was erased meanwhile, and then the decision's entry
    /// cannot be read either.
    async fn edited(&self, seq: u64) -> Result<Option<Fields>> {
        let entry = self.ledger.entry(seq).await?;
        let Some(body) = entry.and_then(|entry| entry.body) else { return Ok(None) };
        Ok(OutcomeForm::decode(&body.more)?.edited_values().map(|edited| edited.set))
    }
}
