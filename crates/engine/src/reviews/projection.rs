//! What waits for people, folded out of the ledger: a row names the entry and holds nothing of its sealed part.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp,
    sockets::{
        ledger::{Entry, EntryKind, Projection, Tokens},
        store::{Batch, Store, Table, each},
    },
};

use super::Waiting;
use crate::record_format::More;

/// Id of the decision → [`Row`].
const REVIEWS: Table = Table("reviews");

/// The reviews that wait.
pub struct ReviewsProjection;

#[derive(Serialize, Deserialize)]
struct Row {
    seq: u64,
    integration: Arc<str>,
    at: i64,
    due: i64,
}

/// What an erasure's entry says beside its leaf.
#[derive(Deserialize)]
struct Erasure {
    #[serde(default)]
    decisions: Vec<Id>,
}

impl Projection for ReviewsProjection {
    fn name(&self) -> &'static str {
        "reviews"
    }

    fn tables(&self) -> &'static [Table] {
        &[REVIEWS]
    }

    fn project(&self, entry: &Entry, _tokens: &dyn Tokens, batch: &mut Batch) -> Result<()> {
        let facts = &entry.facts;
        match (facts.kind, &entry.body) {
            // Of most decisions this looks at a few bytes: few wait for a person.
            (EntryKind::Decision, Some(body)) if More::awaits_review(&body.more) => {
                let Some(awaited) = More::parse(&body.more)?.review else { return Ok(()) };
                let (integration, at) = (Arc::clone(&facts.integration), facts.at.0);
                let row = Row { seq: entry.seq, integration, at, due: awaited.due };
                let row = serde_json::to_vec(&row).map_err(|error| {
                    Error::new(ErrorKind::Internal, "projection_encode", "a row could not be encoded").private(error)
                })?;
                batch.put(REVIEWS, facts.id.0, row);
            }
            (EntryKind::Review, _) => batch.delete(REVIEWS, facts.id.0),
            (EntryKind::Erasure, _) => erased(entry).into_iter().for_each(|id| batch.delete(REVIEWS, id.0)),
            _ => {}
        }
        Ok(())
    }
}

/// The decisions whose subject an entry erased; none for any other entry.
pub(super) fn erased(entry: &Entry) -> Vec<Id> {
    let body = entry.body.as_ref().filter(|_| entry.facts.kind == EntryKind::Erasure);
    let erasure = body.and_then(|body| serde_json::from_slice::<Erasure>(&body.more).ok());
    erasure.map(|erasure| erasure.decisions).unwrap_or_default()
}

/// All reviews that wait, in the order of the record.
pub(super) async fn waiting(store: &dyn Store) -> Result<Vec<Waiting>> {
    let mut found = Vec::new();
    each(store, REVIEWS, |key, value| {
        let (Ok(id), Ok(row)) = (key.try_into(), serde_json::from_slice::<Row>(value)) else {
            return Err(unreadable());
        };
        let Row { seq, integration, at, due } = row;
        found.push(Waiting { seq, id: Id(id), integration, at: Timestamp(at), due: Timestamp(due) });
        Ok(())
    })
    .await?;
    found.sort_unstable_by_key(|waiting| waiting.seq);
    Ok(found)
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Corrupt, "projection_unreadable", "a row of the reviews has an unknown form")
        .hint("delete .tendon/projections.db: it is rebuilt from the ledger")
}
