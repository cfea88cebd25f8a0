//! Asking now for an answer later: accepting, and looking at what became of it.

use std::sync::Arc;

use tendon_engine::{
    ask::Answer,
    requests::{Accepted, Request},
};
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp,
    context::Deadline,
    sockets::ledger::{Entry, EntryKind},
};

use super::{Question, Recorded, Service, Sight};
use crate::keys::Known;

/// What an id stands for now.
pub enum Found {
    /// A decision.
    Recorded(Box<Recorded>),
    /// A request that is accepted and not decided.
    Pending(Pending),
}

/// An accepted request, as its caller sees it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Pending {
    /// Id that the decision will have.
    pub id: Id,
    /// Where it stands.
    pub state: &'static str,
    /// Integration.
    pub integration: Arc<str>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
}

impl Pending {
    pub(super) fn of(request: &Entry) -> Self {
        let facts = &request.facts;
        Self { id: facts.id, state: "pending", integration: Arc::clone(&facts.integration), accepted_at: facts.at }
    }
}

impl Service {
    /// Accepts a question to be decided later. It is durable when this returns; the id is the decision's. `callback`: an
    /// address to be told of it.
    ///
    /// # Errors
    /// Not allowed, unknown, too late, too many waiting, a conflicting key, not recorded.
    pub async fn accept(&self, known: &Known, question: Question, callback: Option<String>) -> Result<Accepted> {
        let Question { integration, input, idempotency_key, explain, deadline } = question;
        let caller = known.caller.clone();
        self.engine.accept(Request { caller, integration, input, idempotency_key, explain, callback, deadline }).await
    }

    /// The decision of an accepted request, waiting for it until the deadline.
    ///
    /// # Errors
    /// `Timeout` when it is not made by then; `Gone` when its subject was erased; the ledger's.
    pub async fn promised(&self, accepted: Accepted, deadline: Deadline) -> Result<Answer> {
        let answer = self.engine.promised(accepted.id, deadline).await?;
        Ok(Answer { replayed: accepted.replayed, ..answer })
    }

    /// What an id stands for: a decision, or a request that waits for its decision.
    ///
    /// # Errors
    /// As [`Service::decision`], which calls a waiting request an error.
    pub async fn look(&self, known: &Known, id: &str, explain: bool) -> Result<Found> {
        let (entry, entries) = self.find(known, id).await?;
        if entry.facts.kind == EntryKind::Request && entry.body.is_some() {
            return Ok(Found::Pending(Pending::of(&entry)));
        }
        Ok(Found::Recorded(Box::new(self.recorded(Sight::of(known, &entry.facts), entry, &entries, explain).await?)))
    }
}

/// What is said of a request where only a decision can be shown.
pub(super) fn pending() -> Error {
    Error::new(ErrorKind::Unavailable, "request_pending", "the request is accepted, and not decided yet")
        .hint("ask again in a moment")
}
