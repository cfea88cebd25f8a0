//! Dead letters at work again, as they were or with values that a person put right. An edited retry is an entry that says who and
//! holds the values, sealed with the subject's key; the decision stays as it was. It takes the delivery's own place: an earlier one
//! of its row goes first, the write's condition is the same, and what a newer decision wrote stays. So the stamp cannot be edited.

use tendon_kernel::{
    Error, ErrorKind, Result, Value,
    sockets::ledger::{Committed, Entry, EntryKind},
};
use tendon_plan::Plan;

use super::{
    DeadLetter, Outbox, RECORD_INDEX,
    edit::{Written, fixed, written},
    gone, letter_place, no_letter,
    outcome::{self, Ending, OutcomeForm},
    pendings_of,
    queue::{Pending, Place},
    record_placeholder,
};

/// Fields and values.
pub(super) type Fields = Vec<(String, Value)>;

/// A dead letter with what it would write, for those who may see it.
pub struct Payload {
    /// The letter.
    pub letter: DeadLetter,
    /// What would be written; nothing where the record itself could not go on.
    pub delivery: Option<tendon_kernel::decision::Delivery>,
    /// The entry by which it died: who edits what they saw names it.
    pub seen: u64,
    /// Who changed what would be written, when somebody did before.
    pub edited_by: Option<String>,
}

impl Payload {
    /// What would be written, field by field; nothing where the record itself could not go on.
    ///
    /// # Errors
    /// As [`written`].
    pub fn written(&self, plan: &Plan) -> Result<Vec<Written>> {
        let integration = plan.integrations.get(&self.letter.row.integration);
        let Some(delivery) = &self.delivery else { return Ok(Vec::new()) };
        written(delivery, integration.map(|integration| &**integration))
    }
}

/// What a person changes.
#[derive(Clone)]
pub struct Edit {
    /// The entry by which the letter died that they saw.
    pub seen: u64,
    /// Fields of the delivery with their new values.
    pub values: Fields,
}

/// What the outcomes of one delivery tell of it.
#[derive(Default)]
pub(super) struct Trail {
    /// The last one: its word, its entry, who asked.
    last: Option<(std::sync::Arc<str>, u64, Option<String>)>,
    /// The values that a person put in place of the decision's, and who.
    pub(super) edited: Option<(Fields, Option<String>)>,
}

impl Trail {
    /// Reads it out of all entries of a decision, oldest first.
    ///
    /// # Errors
    /// `Corrupt` when an outcome cannot be read.
    pub(super) fn of(place: Place, entries: &[Entry]) -> Result<Self> {
        let mut trail = Self::default();
        for entry in entries.iter().filter(|entry| entry.facts.kind == EntryKind::Delivery) {
            let Some(body) = &entry.body else { continue };
            let form = OutcomeForm::decode(&body.more)?;
            if (form.seq, form.index) != place {
                continue;
            }
            let by = form.by.clone();
            trail.last = Some((entry.facts.reason.clone(), entry.seq, by.clone()));
            if let Some(edited) = form.edited_values() {
                // A later retry carries the values on; who put them there stays.
                let who = if edited.was.is_empty() { trail.edited.take().and_then(|(_, who)| who) } else { by };
                trail.edited = Some((edited.set, who));
            }
        }
        Ok(trail)
    }
}

impl Outbox {
    /// A dead letter with what it would write.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Conflict` when it was tried again meanwhile; `Gone` when its subject was erased.
    pub async fn payload(&self, id: &str) -> Result<Payload> {
        let dead = self.dead(id).await?;
        let delivery = (dead.pending.place.1 != RECORD_INDEX).then_some(dead.pending.delivery);
        Ok(Payload { letter: dead.letter, delivery, seen: dead.seen, edited_by: dead.edited_by })
    }

    /// Puts a dead delivery back into the queue (durable when this returns), with the values that a person changed, if any; or takes
    /// a dead record off the list so that its flow may ask again. Returns the entry of the decision.
    ///
    /// # Errors
    /// `NotFound` when there is no such letter; `Conflict` when it was tried again meanwhile, or died of something else since
    /// it was seen; `Gone` when its subject was erased; `Unavailable` when another outbox takes the place of this one, which is
    /// to be asked; the ledger's.
    pub async fn retry(&self, id: &str, by: &str, edit: Option<Edit>) -> Result<Entry> {
        if edit.is_none() {
            self.letter(id).await?;
        }
        // The second one of the same letter sees the first one's entry.
        let _one_at_a_time = self.shared.by_hand.lock().await;
        if self.is_over() {
            return Err(over());
        }
        let Dead { entry, mut pending, seen, mut edited, .. } = self.dead(id).await?;
        if let Some(edit) = edit {
            if edit.seen != seen {
                return Err(moved(id));
            }
            edited = apply(&mut pending, edit.values)?.or(edited);
        }
        let now = self.shared.context.clock.now();
        let ending = Ending::Retry { by: by.to_owned(), edited };
        let retry = outcome::draft(&pending, ending, now, self.shared.custody(&pending));
        let committed = self.shared.ledger.commit(vec![retry]).await?;
        let seq = match committed.first() {
            Some(Committed::New { seq } | Committed::Taken { seq, .. }) => *seq,
            None => pending.place.0,
        };
        if pending.place.1 != RECORD_INDEX
            && let Some(desk) = self.shared.desks.get(&pending.delivery.system)
        {
            desk.accept_of(pending, seq);
        }
        Ok(entry)
    }

    async fn dead(&self, id: &str) -> Result<Dead> {
        let place = letter_place(id)?;
        let listed = self.letter(id).await;
        let causes = |entry: &Entry| matches!(entry.facts.kind, EntryKind::Decision | EntryKind::Review);
        let entry = self.shared.ledger.entry(place.0).await?.filter(causes).ok_or_else(|| no_letter(id))?;
        let pendings = pendings_of(&entry)?.ok_or_else(|| gone(id))?;
        let trail = Trail::of(place, &self.shared.ledger.entries_of(entry.facts.id).await?)?;
        let (word, seen, by) = trail.last.unwrap_or_else(|| ("dead".into(), entry.seq, None));
        match &*word {
            "dead" => {}
            "retry" => return Err(retried(id, by.as_deref())),
            _ => return Err(no_letter(id)),
        }
        let (_, letter) = listed?;
        let mut pending = match pendings.into_iter().find(|pending| pending.place == place) {
            Some(pending) => pending,
            None => record_placeholder(&entry, place, &letter.row.system),
        };
        let mut edited_by = None;
        let edited = trail.edited.map(|(set, by)| {
            edited_by = by;
            pending.delivery.set.clone_from(&set);
            Edited { set, was: Vec::new() }
        });
        Ok(Dead { entry, letter, pending, seen, edited, edited_by })
    }
}

/// A letter, with all that its entries tell.
struct Dead {
    entry: Entry,
    letter: DeadLetter,
    pending: Pending,
    seen: u64,
    edited: Option<Edited>,
    edited_by: Option<String>,
}

/// What is to be written after a person changed it.
pub(super) struct Edited {
    /// All fields.
    pub(super) set: Fields,
    /// Those that this person changed, with the values before.
    pub(super) was: Fields,
}

/// Changes what is to be written; nothing where all is as it was.
fn apply(pending: &mut Pending, values: Fields) -> Result<Option<Edited>> {
    let stamp = pending.delivery.older.as_ref().map(|(name, _)| name.clone());
    let mut was = Vec::new();
    for (name, value) in values {
        let field = pending.delivery.set.iter_mut().find(|(known, _)| *known == name);
        let field = field.filter(|_| stamp.as_ref() != Some(&name)).ok_or_else(|| fixed(&name))?;
        if field.1 != value {
            was.push((name, std::mem::replace(&mut field.1, value)));
        }
    }
    Ok((!was.is_empty()).then(|| Edited { set: pending.delivery.set.clone(), was }))
}

fn retried(id: &str, by: Option<&str>) -> Error {
    let who = by.unwrap_or("somebody");
    Error::new(
        ErrorKind::Conflict,
        "letter_retried",
        format!("{who} had the letter tried again meanwhile; nothing was changed"),
    )
    .with("letter", id)
    .hint("look at its decision; if the letter dies again it is listed again")
}

fn over() -> Error {
    Error::new(ErrorKind::Unavailable, "outbox_over", "the outbox ends: the project changes, or the process stops")
        .hint("try again")
}

fn moved(id: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "letter_moved",
        "the letter was tried again meanwhile and died once more; nothing was changed",
    )
    .with("letter", id)
    .hint("open it anew: its cause or its values may be others now")
}
