//! Reading one decision back: as it was answered, where its deliveries stand, and why it is what it is.

use std::sync::Arc;

use serde_json::value::RawValue;
use tendon_engine::{outbox::DeliveryReport, reviews, stored};
use tendon_kernel::{
    Error, ErrorKind, Id, Result,
    decision::{Decision, DeliveryState, Explanation},
    sockets::ledger::{Body, Entry, EntryKind},
};

use super::{Reviewed, Service, Sight, reader, requests::pending};
use crate::keys::Known;

/// A recorded decision with the state of its deliveries.
#[derive(serde::Serialize)]
pub struct Recorded {
    /// The decision, byte for byte as it was answered.
    pub decision: Box<RawValue>,
    /// Position in the ledger.
    pub seq: u64,
    /// Its deliveries.
    pub deliveries: Vec<DeliveryView>,
    /// A person's part in it, where one was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<Reviewed>,
    /// Why, when it was asked for and there is an output to explain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
    /// The decision as it stands, where a person was asked.
    #[serde(skip)]
    pub standing: Option<Decision>,
    /// How much of it is shown.
    #[serde(skip)]
    pub(crate) sight: Sight,
    /// What it was read from.
    #[serde(skip)]
    pub entry: Entry,
    /// Entries that concern it; it shows something else only when there are more.
    #[serde(skip)]
    pub entries: usize,
}

/// A delivery as callers see it: not the values, which may be of other fields than they asked about.
#[derive(serde::Serialize)]
pub struct DeliveryView {
    /// Id, which is its letter's while it is dead; for the console.
    #[serde(skip)]
    pub id: String,
    /// System.
    pub system: Arc<str>,
    /// Resource.
    pub resource: Arc<str>,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts made: as recorded; of one that waits, those of this process. Nothing: nobody here knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Cause, when dead; of one that waits, what keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Who changed what is written; for the console.
    #[serde(skip)]
    pub changed_by: Option<String>,
}

impl From<DeliveryReport> for DeliveryView {
    fn from(report: DeliveryReport) -> Self {
        let DeliveryReport { id, system, resource, state, attempts, cause, changed_by, .. } = report;
        Self { id, system, resource, state, attempts, cause, changed_by }
    }
}

impl Recorded {
    /// Whether its answer waits for a person.
    pub fn awaits_review(&self) -> bool {
        self.standing.as_ref().is_some_and(Decision::awaits_review)
    }

    /// What its deliveries that wait add to what tells one look from another: they are tried again without an entry.
    pub(crate) fn tried(&self) -> String {
        let waiting = self.deliveries.iter().filter(|one| one.state == DeliveryState::Pending);
        let tried = |one: &DeliveryView| {
            let kept = if one.cause.is_some() { "k" } else { "" };
            format!("-t{}{kept}", one.attempts.map_or_else(String::new, |attempts| attempts.to_string()))
        };
        waiting.map(tried).collect()
    }

    /// The decision as it stands, with its explanation when one was recorded with it.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be read.
    pub fn decision(&self) -> Result<Decision> {
        match &self.standing {
            Some(standing) => Ok(standing.clone()),
            None => Ok(self.sight.decision(stored::decision(&self.entry)?)),
        }
    }
}

impl Service {
    /// A decision as it was answered, and where its deliveries stand. Whoever may not read still sees what it asked itself.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Unavailable` while its request waits, `Gone` when its subject was erased, `Corrupt`.
    pub async fn decision(&self, known: &Known, id: &str, explain: bool) -> Result<Recorded> {
        let (entry, entries) = self.find(known, id).await?;
        self.recorded(Sight::of(known, &entry.facts), entry, &entries, explain).await
    }

    /// The decision that an entry records.
    pub(super) async fn recorded(
        &self,
        sight: Sight,
        entry: Entry,
        entries: &[Entry],
        explain: bool,
    ) -> Result<Recorded> {
        let body = decided(&entry)?;
        let decision = raw(&body.output)?;
        let deliveries = self.desk.deliveries(entries)?.into_iter().map(DeliveryView::from).collect();
        let explanation = if explain { self.explained(sight, &entry).await? } else { None };
        let standing = standing(&entry, entries)?.map(|decision| sight.decision(decision));
        let review = standing.as_ref().and_then(Reviewed::of);
        let (seq, entries) = (entry.seq, entries.len());
        Ok(Recorded { decision, seq, deliveries, review, explanation, standing, sight, entry, entries })
    }

    /// Why a decision is what it is.
    ///
    /// # Errors
    /// As [`Service::decision`]; `Unsupported` when it has no output.
    pub async fn explanation(&self, known: &Known, id: &str) -> Result<(Explanation, Entry)> {
        let (entry, _) = self.find(known, id).await?;
        decided(&entry)?;
        let explanation = (self.explain)(entry.clone()).await?;
        Ok((Sight::of(known, &entry.facts).explanation(explanation), entry))
    }

    /// An explanation where there is something to explain.
    pub(super) async fn explained(&self, sight: Sight, entry: &Entry) -> Result<Option<Explanation>> {
        match (self.explain)(entry.clone()).await {
            Ok(explanation) => Ok(Some(sight.explanation(explanation))),
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The decision's entry, or that of the request that waits for it, and all that concern it.
    pub(crate) async fn find(&self, known: &Known, id: &str) -> Result<(Entry, Vec<Entry>)> {
        let entries = self.engine.ledger().entries_of(Id::parse(id)?).await?;
        let of = |kind| entries.iter().find(|entry| entry.facts.kind == kind);
        match of(EntryKind::Decision).or_else(|| of(EntryKind::Request)) {
            Some(entry) if known.read || entry.facts.caller == known.caller.id => {
                let entry = entry.clone();
                Ok((entry, entries))
            }
            _ => {
                reader(known)?;
                Err(Error::new(ErrorKind::NotFound, "decision_not_found", "no decision has this id")
                    .hint("`tendon decisions list` shows recent ones"))
            }
        }
    }
}

/// A recorded text as it stands.
pub(super) fn raw(text: &[u8]) -> Result<Box<RawValue>> {
    serde_json::from_slice(text).map_err(|error| {
        Error::new(ErrorKind::Corrupt, "decision_unreadable", "the record of the decision cannot be read")
            .private(error)
    })
}

/// The sealed part of a decision's entry.
fn decided(entry: &Entry) -> Result<&Body> {
    let body = entry.body.as_ref().ok_or_else(erased)?;
    if entry.facts.kind == EntryKind::Request { Err(pending()) } else { Ok(body) }
}

/// The decision as it stands, where a person was asked.
fn standing(entry: &Entry, entries: &[Entry]) -> Result<Option<Decision>> {
    let mut standing = stored::decision(entry)?;
    reviews::stand(&mut standing, entries)?;
    Ok(standing.review.is_some().then_some(standing))
}

fn erased() -> Error {
    Error::new(ErrorKind::Gone, "decision_erased", "the decision was erased together with its subject")
        .hint("that it was made can still be proved: `tendon ledger export --proof ID`")
}
