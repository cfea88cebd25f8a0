//! What became of a delivery, as it is recorded: an entry of its own that follows the decision's.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tendon_kernel::{
    Error, ErrorKind, Result, Timestamp, Value,
    sockets::ledger::{Body, Draft, Entry, EntryKind, Facts},
};

use super::{letters::Edited, queue::Pending};
use crate::wire;

/// The sealed part of an outcome's entry. `old` are the values that stood there before, for undo.
#[derive(Serialize, Deserialize)]
pub(super) struct OutcomeForm {
    pub(super) seq: u64,
    pub(super) index: u16,
    /// Position of the decision, where a verdict about it caused the delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decided: Option<u64>,
    pub(super) system: Arc<str>,
    pub(super) resource: Arc<str>,
    pub(super) attempts: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) code: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    old: Option<Values>,
    /// Key of the row that was not written although nobody refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passed_over: Option<KeyValues>,
    /// Who had it tried again or undone, in the words of whoever asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<String>,
    /// What is written in place of the decision's values since a person changed some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set: Option<Values>,
    /// The values before, of those that this person changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    was: Option<Values>,
}

/// How deliveries to a system ended since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Our values stand there.
    pub delivered: u64,
    /// The row had moved on.
    pub superseded: u64,
    /// Dead letters.
    pub dead: u64,
}

impl Counts {
    pub(super) fn add(&mut self, ending: &Ending) {
        match ending {
            Ending::Delivered(_) => self.delivered += 1,
            Ending::Superseded => self.superseded += 1,
            Ending::Dead(_) => self.dead += 1,
            Ending::Erased | Ending::Retry { .. } | Ending::Undone { .. } => {}
        }
    }
}

/// Fields and values.
#[derive(Serialize, Deserialize)]
struct Values(#[serde(with = "wire::pairs")] Vec<(String, Value)>);

/// Values of key fields.
#[derive(Serialize, Deserialize)]
struct KeyValues(#[serde(with = "wire::list")] Vec<Value>);

/// A row that a delivery passed over: what its decision saw does not stand for it any more.
pub struct PassedOver {
    /// Position of the decision.
    pub seq: u64,
    /// Key of the row.
    pub key: Vec<Value>,
}

/// The row that an entry says was passed over; `None` for any other entry.
///
/// # Errors
/// `Corrupt` when a delivery outcome cannot be read.
pub fn passed_over(entry: &Entry) -> Result<Option<PassedOver>> {
    let Some(body) = entry.body.as_ref().filter(|_| entry.facts.kind == EntryKind::Delivery) else { return Ok(None) };
    let form = OutcomeForm::decode(&body.more)?;
    Ok(form.passed_over.map(|key| PassedOver { seq: form.decided.unwrap_or(form.seq), key: key.0 }))
}

impl OutcomeForm {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|_| {
            Error::new(
                ErrorKind::Corrupt,
                "payload_unreadable",
                "the payload of a delivery outcome has an unknown form",
            )
        })
    }

    /// Whether a person's values are written in place of the decision's.
    pub(super) fn is_edited(&self) -> bool {
        self.set.is_some()
    }

    /// A person's values, where they are written in place of the decision's.
    pub(super) fn edited_values(self) -> Option<Edited> {
        let was = self.was.map_or_else(Vec::new, |was| was.0);
        self.set.map(|set| Edited { set: set.0, was })
    }

    /// Values before the write, by field.
    pub(super) fn old_values(self) -> Option<Vec<(String, Value)>> {
        self.old.map(|old| old.0)
    }
}

/// How a delivery ended, or that it is to be tried again after it was dead.
pub(super) enum Ending {
    /// The values stand there; those before, when we wrote them just now.
    Delivered(Option<Vec<Value>>),
    /// The row moved on.
    Superseded,
    /// A dead letter.
    Dead(Error),
    /// Its subject was erased.
    Erased,
    /// A person asked to try again.
    Retry {
        /// Who, in their own words.
        by: String,
        /// What is written in place of the decision's values.
        edited: Option<Edited>,
    },
    /// A person had the values from before put back.
    Undone {
        /// Who, in their own words.
        by: String,
        /// The values that stood there.
        old: Option<Vec<Value>>,
    },
}

impl Ending {
    /// The same ending without anything that stood in the row.
    pub(super) fn without_values(self) -> Self {
        match self {
            Self::Delivered(_) => Self::Delivered(None),
            // What passes a row over names the row.
            other if other.passes_over() => Self::Erased,
            other => other,
        }
    }

    /// Whether the row was left as it was because it had changed or gone: then the watch has to look at it again, even if
    /// it looks just as the decision saw it (changed and taken back between two looks).
    pub(super) fn passes_over(&self) -> bool {
        match self {
            Self::Superseded => true,
            Self::Dead(error) => error.kind() == ErrorKind::NotFound,
            _ => false,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Delivered(_) => "delivered",
            Self::Superseded => "superseded",
            Self::Dead(_) => "dead",
            Self::Erased => "erased",
            Self::Retry { .. } => "retry",
            Self::Undone { .. } => "undone",
        }
    }
}

/// Key of the row that a delivery is for.
pub(super) fn key_values(pending: &Pending) -> Vec<Value> {
    pending.delivery.key.iter().map(|(_, value)| value.clone()).collect()
}

/// Retention class and region that outcomes of an integration inherit.
#[derive(Clone)]
pub(super) struct Custody {
    pub(super) retention: Arc<str>,
    pub(super) region: Arc<str>,
}

/// The entry that records an ending. An erased subject's entry holds nothing of the subject.
pub(super) fn draft(pending: &Pending, ending: Ending, now: Timestamp, custody: Custody) -> Draft {
    let word = ending.word();
    let erased = matches!(ending, Ending::Erased);
    let passed_over = ending.passes_over().then(|| key_values(pending));
    let by_hand = matches!(ending, Ending::Undone { .. });
    let (old, error, by, edited) = match ending {
        Ending::Delivered(old) => (old, None, None, None),
        Ending::Dead(error) => (None, Some(error), None, None),
        Ending::Undone { by, old } => (old, None, Some(by), None),
        Ending::Retry { by, edited } => (None, None, Some(by), edited),
        _ => (None, None, None, None),
    };
    let (set, was) = edited.map(|edited| (Values(edited.set), Values(edited.was))).unzip();
    let names = pending.delivery.set.iter().map(|(name, _)| name.clone());
    let form = OutcomeForm {
        seq: pending.place.0,
        index: pending.place.1,
        decided: pending.decided,
        system: pending.delivery.system.clone(),
        resource: pending.delivery.resource.clone(),
        attempts: pending.attempts,
        code: error.as_ref().map(|error| error.code().to_owned()).unwrap_or_default(),
        message: error.as_ref().map(ToString::to_string).unwrap_or_default(),
        old: old.map(|values| Values(names.zip(values).collect())),
        passed_over: passed_over.map(KeyValues),
        by,
        set,
        was,
    };
    let facts = Facts {
        kind: EntryKind::Delivery,
        id: pending.id,
        at: now,
        integration: pending.integration.clone(),
        model: pending.model.clone(),
        route: "outbox".into(),
        reason: word.into(),
        caller: if by_hand { "cli" } else { "outbox" }.into(),
        policy: "".into(),
        plan: "".into(),
        retention: custody.retention,
        region: custody.region,
    };
    let body = Body {
        subject: if erased { None } else { pending.subject.clone() },
        more: serde_json::to_vec(&form).unwrap_or_default(),
        ..Body::default()
    };
    Draft { facts, body, claim: None }
}

#[cfg(test)]
mod tests {
    use tendon_kernel::{Id, decision::Delivery};

    use super::*;
    use crate::record_format::More;

    fn entry(seq: u64, kind: EntryKind, body: Body) -> Entry {
        let none: Arc<str> = "".into();
        let facts = Facts {
            kind,
            id: Id([1; 16]),
            at: Timestamp(0),
            integration: none.clone(),
            model: None,
            route: none.clone(),
            reason: none.clone(),
            caller: none.clone(),
            policy: none.clone(),
            plan: none.clone(),
            retention: none.clone(),
            region: none,
        };
        Entry { seq, facts, body: Some(body) }
    }

    /// The watch remembers the row's decision, not the verdict about it: a row that the delivery of a verdict passed over is
    /// that decision's.
    #[test]
    fn a_verdict_passes_over_the_row_of_its_decision() {
        let delivery = Delivery {
            system: "crm".into(),
            resource: "leads".into(),
            key: vec![("id".into(), Value::Int(7))],
            set: vec![],
            expect: vec![],
            older: None,
        };
        for (kind, reviewed, decided) in [(EntryKind::Decision, None, 9), (EntryKind::Review, Some(3), 3)] {
            let more = More { reviewed, deliveries: vec![delivery.clone()], ..More::default() };
            let cause = entry(9, kind, Body { more: more.to_bytes(), ..Body::default() });
            let pending = super::super::pendings_of(&cause).unwrap().unwrap().remove(0);
            assert_eq!(pending.place, (9, 0));
            let custody = Custody { retention: "".into(), region: "".into() };
            let made = draft(&pending, Ending::Superseded, Timestamp(1), custody);
            let row = passed_over(&entry(10, made.facts.kind, made.body)).unwrap().unwrap();
            assert_eq!((row.seq, row.key), (decided, vec![Value::Int(7)]));
        }
    }
}
