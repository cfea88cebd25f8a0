//! Which requests are not decided, folded out of the ledger: a row names the entry and holds nothing of it.

use tendon_kernel::{
    Error, ErrorKind, Id, Result,
    sockets::{
        ledger::{Entry, EntryKind, Projection, Tokens},
        store::{Batch, Store, Table, each},
    },
};

use super::{ROUTE, Waiting};
use crate::record_format::More;

/// Id of the promised decision → position of the request.
const REQUESTS: Table = Table("requests");

/// The requests that wait.
pub struct RequestsProjection;

impl Projection for RequestsProjection {
    fn name(&self) -> &'static str {
        "requests"
    }

    fn tables(&self) -> &'static [Table] {
        &[REQUESTS]
    }

    fn project(&self, entry: &Entry, _tokens: &dyn Tokens, batch: &mut Batch) -> Result<()> {
        let facts = &entry.facts;
        match (facts.kind, &entry.body) {
            (EntryKind::Request, Some(_)) => batch.put(REQUESTS, facts.id.0, entry.seq.to_be_bytes()),
            // Of most decisions this looks at a few bytes: few were requests.
            (EntryKind::Decision, Some(body)) if More::answers_request(&body.more) => {
                batch.delete(REQUESTS, facts.id.0);
            }
            (EntryKind::Failure, _) if &*facts.route == ROUTE => batch.delete(REQUESTS, facts.id.0),
            _ => {}
        }
        Ok(())
    }
}

/// All requests that wait, in the order in which they were accepted.
pub(super) async fn waiting(store: &dyn Store) -> Result<Vec<Waiting>> {
    let mut found = Vec::new();
    each(store, REQUESTS, |key, value| {
        let (Ok(id), Ok(seq)) = (key.try_into(), value.try_into()) else { return Err(unreadable()) };
        found.push(Waiting { seq: u64::from_be_bytes(seq), id: Id(id) });
        Ok(())
    })
    .await?;
    found.sort_unstable_by_key(|waiting| waiting.seq);
    Ok(found)
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Corrupt, "projection_unreadable", "a row of the requests has an unknown form")
        .hint("delete .tendon/projections.db: it is rebuilt from the ledger")
}
