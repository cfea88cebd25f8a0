//! What waits and what died, as projections of the ledger: rows name a place in the ledger and never hold what is sealed.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize};
use tendon_kernel::{
    Error, ErrorKind, Result, Timestamp,
    sockets::{
        ledger::{Entry, EntryKind, Projection, Tokens},
        store::{Batch, Table},
    },
};

use super::{outcome::OutcomeForm, queue::Place};
use crate::record_format::More;

/// Pending deliveries: system, 0, entry, index → [`PendingRow`].
pub(super) const PENDING: Table = Table("outbox");
/// Dead letters: entry, index → [`LetterRow`].
pub(super) const LETTERS: Table = Table("letters");
/// Index of a letter that is a record, not one of its deliveries.
pub const RECORD_INDEX: u16 = u16::MAX;

/// A pending delivery.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PendingRow {
    pub(super) backfill: bool,
    /// The entry that holds a person's values, where they are written in place of the decision's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) edited: Option<u64>,
}

/// A dead letter, as it can be listed without opening anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterRow {
    /// Integration.
    pub integration: Arc<str>,
    /// Decision.
    pub decision: tendon_kernel::Id,
    /// System that was to be written; empty when the record itself could not go on.
    pub system: Arc<str>,
    /// Stable code of the cause.
    pub code: String,
    /// Public sentence of the cause.
    pub message: String,
    /// When it died.
    pub at: Timestamp,
}

pub(super) fn system_prefix(system: &str) -> Vec<u8> {
    let mut key = system.as_bytes().to_vec();
    key.push(0);
    key
}

pub(super) fn pending_key(system: &str, place: Place) -> Vec<u8> {
    let mut key = system_prefix(system);
    key.extend(letter_key(place));
    key
}

pub(super) fn letter_key((seq, index): Place) -> Vec<u8> {
    let mut key = seq.to_be_bytes().to_vec();
    key.extend(index.to_be_bytes());
    key
}

/// Reads the place out of the last ten bytes of a key.
pub(super) fn place_of(key: &[u8]) -> Result<Place> {
    let wrong = || {
        Error::new(ErrorKind::Corrupt, "projection_unreadable", "a row of the outbox has an unknown form")
            .hint("delete .tendon/projections.db: it is rebuilt from the ledger")
    };
    let tail = key.len().checked_sub(10).and_then(|start| key.get(start..)).ok_or_else(wrong)?;
    let (seq, index) = tail.split_at(8);
    match (seq.try_into(), index.try_into()) {
        (Ok(seq), Ok(index)) => Ok((u64::from_be_bytes(seq), u16::from_be_bytes(index))),
        _ => Err(wrong()),
    }
}

/// The outbox and the dead letters, folded out of decisions and delivery outcomes. Clones share what they know.
#[derive(Clone, Default)]
pub struct OutboxProjection {
    changed: Arc<AtomicU64>,
}

impl OutboxProjection {
    /// How many entries there were when a dead letter last came or went, as far as this process has projected it: while that is the
    /// same, and as many entries are in all projections, the letters are the same.
    pub fn letters_changed(&self) -> u64 {
        self.changed.load(Ordering::Acquire)
    }
}

impl Projection for OutboxProjection {
    fn name(&self) -> &'static str {
        "outbox"
    }

    fn tables(&self) -> &'static [Table] {
        &[PENDING, LETTERS]
    }

    fn project(&self, entry: &Entry, _tokens: &dyn Tokens, batch: &mut Batch) -> Result<()> {
        let Some(body) = &entry.body else { return Ok(()) };
        match entry.facts.kind {
            EntryKind::Decision | EntryKind::Review => {
                if More::is_plain(&body.more) {
                    return Ok(());
                }
                let more = More::parse(&body.more)?;
                project_decision(entry, &more, batch)?;
                if more.letter.is_none() {
                    return Ok(());
                }
            }
            EntryKind::Delivery => {
                project_outcome(entry, &OutcomeForm::decode(&body.more)?, batch)?;
                // No letter ends like that: its retry took it off the list.
                if ["delivered", "superseded"].contains(&&*entry.facts.reason) {
                    return Ok(());
                }
            }
            _ => return Ok(()),
        }
        self.changed.fetch_max(entry.seq.saturating_add(1), Ordering::AcqRel);
        Ok(())
    }
}

fn project_decision(entry: &Entry, more: &More, batch: &mut Batch) -> Result<()> {
    let backfill = entry.facts.caller.as_ref() == "door:batch";
    for (index, delivery) in more.deliveries.iter().enumerate() {
        let place = (entry.seq, u16::try_from(index).unwrap_or(RECORD_INDEX - 1));
        batch.put(PENDING, pending_key(&delivery.system, place), encode(&PendingRow { backfill, edited: None })?);
    }
    if let Some(letter) = &more.letter {
        let row = LetterRow {
            integration: entry.facts.integration.clone(),
            decision: entry.facts.id,
            system: "".into(),
            code: letter.cause.code.clone(),
            message: letter.cause.message.clone(),
            at: entry.facts.at,
        };
        batch.put(LETTERS, letter_key((entry.seq, RECORD_INDEX)), encode(&row)?);
    }
    Ok(())
}

fn project_outcome(entry: &Entry, outcome: &OutcomeForm, batch: &mut Batch) -> Result<()> {
    let place = (outcome.seq, outcome.index);
    let key = pending_key(&outcome.system, place);
    match entry.facts.reason.as_ref() {
        "dead" => {
            batch.delete(PENDING, key);
            let row = LetterRow {
                integration: entry.facts.integration.clone(),
                decision: entry.facts.id,
                system: outcome.system.clone(),
                code: outcome.code.clone(),
                message: outcome.message.clone(),
                at: entry.facts.at,
            };
            batch.put(LETTERS, letter_key(place), encode(&row)?);
        }
        "retry" => {
            batch.delete(LETTERS, letter_key(place));
            if outcome.index != RECORD_INDEX {
                batch.put(
                    PENDING,
                    key,
                    encode(&PendingRow { backfill: false, edited: outcome.is_edited().then_some(entry.seq) })?,
                );
            }
        }
        _ => {
            batch.delete(PENDING, key);
            batch.delete(LETTERS, letter_key(place));
        }
    }
    Ok(())
}

fn encode(row: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(row).map_err(|error| {
        Error::new(ErrorKind::Internal, "projection_encode", "a row could not be encoded").private(error)
    })
}
