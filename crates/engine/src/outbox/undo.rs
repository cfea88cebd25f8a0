//! Undo: the values that stood before a write-back are put back, if ours still stand there. It is a conditional write like
//! any other, and an entry of its own, which says who asked. The watch does not wake: the fields that its decisions see are
//! as they were.

use tendon_kernel::{
    Error, ErrorKind, Result, Value,
    sockets::{
        connector::{Write, WriteBatch, Written},
        ledger::{Entry, EntryKind},
    },
};

use super::{
    Outbox, letter_place,
    letters::Trail,
    outcome::{self, Ending, OutcomeForm},
    pendings_of,
    queue::{Pending, Place},
};
use crate::systems::System;

/// Fields and values.
type Fields = Vec<(String, Value)>;

/// What an undo did.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Undo {
    /// The delivery.
    pub delivery: String,
    /// Fields and the values that stand there again.
    pub now: Vec<(String, Value)>,
}

/// Reads the id of a delivery, `entry-index`.
///
/// # Errors
/// `Invalid` when it is none.
pub fn delivery_place(id: &str) -> Result<Place> {
    letter_place(id).map_err(|_| {
        Error::new(ErrorKind::Invalid, "not_a_delivery_id", "the text is no id of a delivery")
            .hint("ids look like 1042-0; `tendon deliveries list` shows them")
    })
}

impl Outbox {
    /// Puts the values from before a delivery back. `cause` is the entry that the delivery stands in. `system` must be allowed to read what it writes, because the values that
    /// stand there are the condition.
    ///
    /// # Errors
    /// `NotFound` when the entries hold no such delivery; `Gone` when its subject was erased; `Conflict` when it was not
    /// delivered, was undone before, or the row was written since; `Unsupported` when the values before are not known; the
    /// system's and the ledger's.
    pub async fn undo(&self, cause: &Entry, place: Place, system: &System, by: &str) -> Result<Undo> {
        let _one_at_a_time = self.shared.by_hand.lock().await;
        let id = format!("{}-{}", place.0, place.1);
        let pendings = pendings_of(cause)?.ok_or_else(|| gone(&id))?;
        let mut pending = pendings.into_iter().find(|pending| pending.place == place).ok_or_else(|| not_there(&id))?;
        let entries = self.shared.ledger.entries_of(cause.facts.id).await?;
        let before = before(&entries, &pending, &id)?;
        // What stands there is what was written, also where a person changed it.
        if let Some((set, _)) = Trail::of(place, &entries)?.edited {
            pending.delivery.set = set;
        }
        let written = system.write(write(&pending, &before)).await?.pop();
        let old = match written {
            Some(Written::Delivered { old }) => old,
            Some(Written::Superseded) | None => return Err(moved_on(&id)),
            Some(Written::Missing) => {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    "row_missing",
                    "the row of the delivery does not exist any more",
                )
                .with("delivery", &id));
            }
            Some(Written::Rejected(error)) => return Err(error),
        };
        let ending = Ending::Undone { by: by.to_owned(), old };
        let now = self.shared.context.clock.now();
        let draft = outcome::draft(&pending, ending, now, self.shared.custody(&pending));
        self.shared.ledger.commit(vec![draft]).await?;
        Ok(Undo { delivery: id, now: before })
    }
}

/// The write that undoes: back to what was, if what we wrote still stands. Repeated after a crash it finds its own values.
fn write(pending: &Pending, before: &Fields) -> WriteBatch {
    let delivery = &pending.delivery;
    WriteBatch {
        resource: delivery.resource.to_string(),
        key: delivery.key.iter().map(|(name, _)| name.clone()).collect(),
        writes: vec![Write {
            key: delivery.key.iter().map(|(_, value)| value.clone()).collect(),
            set: before.clone(),
            expect: delivery.set.clone(),
            older: None,
        }],
    }
}

/// The values before the delivery, if it may be undone.
fn before(entries: &[Entry], pending: &Pending, id: &str) -> Result<Fields> {
    let mut delivered = false;
    let mut before = None;
    for entry in entries.iter().filter(|entry| entry.facts.kind == EntryKind::Delivery) {
        let Some(body) = &entry.body else { continue };
        let form = OutcomeForm::decode(&body.more)?;
        if (form.seq, form.index) != pending.place {
            continue;
        }
        match &*entry.facts.reason {
            "delivered" => {
                delivered = true;
                before = form.old_values().or(before);
            }
            "undone" => return Err(twice(id, form.by.as_deref())),
            _ => {}
        }
    }
    if !delivered {
        return Err(Error::new(ErrorKind::Conflict, "not_delivered", "the delivery did not write anything")
            .with("delivery", id)
            .hint("`tendon deliveries show` tells where it stands"));
    }
    before.ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "old_values_unknown", "what stood there before the delivery is not known")
            .with("delivery", id)
            .hint("a crash came between the write and its record; change the row in its own system")
    })
}

fn not_there(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, "delivery_not_found", "there is no such delivery")
        .with("delivery", id)
        .hint("`tendon deliveries list` shows recent ones")
}

fn gone(id: &str) -> Error {
    Error::new(ErrorKind::Gone, "delivery_erased", "the delivery's subject was erased, and the old values with it")
        .with("delivery", id)
}

fn twice(id: &str, by: Option<&str>) -> Error {
    Error::new(ErrorKind::Conflict, "delivery_undone", "the delivery was undone before")
        .with("delivery", id)
        .with("by", by.unwrap_or("somebody"))
}

fn moved_on(id: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "values_moved",
        "other values stand in the row than the delivery wrote; nothing was changed",
    )
    .with("delivery", id)
    .hint("a newer decision or a person wrote it since; undo the newer delivery, or change the row in its own system")
}
