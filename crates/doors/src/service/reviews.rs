//! What waits for a person, and the verdicts of people. Who may see it sees personal input, so it has a scope of its own.

use std::sync::Arc;

use tendon_engine::reviews::{ReviewView, Verdict, Waiting, Wish};
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp,
    decision::{Decision, Review, ReviewState},
    sockets::ledger::EntryKind,
};

use super::{Service, cursor, list::MOST_LISTED};
use crate::keys::Known;

/// A page of what waits.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ReviewPage {
    /// The reviews, oldest first.
    pub reviews: Vec<ReviewView>,
    /// Where the next page begins; nothing: this is the last.
    pub next: Option<String>,
}

/// A person's part in a decision, as those see it who may read the decision: not who it was, nor why.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Reviewed {
    /// Where it stands.
    pub state: ReviewState,
    /// When a person should have answered by.
    pub due: Timestamp,
    /// When a person answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Whether the model's answer is held back until then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// The output that stands.
    pub output: Option<f64>,
    /// Its band.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub band: Option<Arc<str>>,
}

impl Reviewed {
    /// Of a decision as it stands; nothing where nobody was asked.
    pub fn of(standing: &Decision) -> Option<Self> {
        let Review { state, due, at, held } = standing.review?;
        Some(Self { state, due, at, held, output: standing.output, band: standing.band.clone() })
    }
}

impl Service {
    /// A page of what waits for a person, oldest first, without the inputs.
    ///
    /// # Errors
    /// `Forbidden` without the scope; `Invalid` for a limit or cursor that cannot be; the ledger's.
    pub async fn reviews(
        &self,
        known: &Known,
        integration: Option<&str>,
        limit: Option<usize>,
        after: Option<&str>,
    ) -> Result<ReviewPage> {
        let limit = limit.unwrap_or(50);
        if limit == 0 || limit > MOST_LISTED {
            return Err(Error::new(ErrorKind::Invalid, "list_limit", "a page cannot have so many reviews")
                .hint(format!("`limit` is 1 to {MOST_LISTED}")));
        }
        let tokens = self.engine.ledger().tokens();
        let text = format!("reviews {integration:?}");
        let after = after.map(|cursor| cursor::read(&*tokens, cursor, &text)).transpose()?;
        let wanted = |name: &str| known.may_review(name) && integration.is_none_or(|only| only == name);
        let mut waiting = self.engine.reviews().list(after, limit + 1, wanted);
        let more = waiting.len() > limit;
        waiting.truncate(limit);
        let last = waiting.last().filter(|_| more).map(|last| last.seq);
        let mut reviews = Vec::with_capacity(waiting.len());
        for Waiting { id, .. } in waiting {
            match self.engine.review_of(id, false).await {
                // Answered or erased since.
                Ok(review) if review.state != ReviewState::Pending => {}
                Err(error) if error.kind() == ErrorKind::Gone => {}
                review => reviews.push(review?),
            }
        }
        Ok(ReviewPage { reviews, next: last.map(|seq| cursor::write(&*tokens, seq, &text)) })
    }

    /// One review with its input, whether it waits or was answered.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Gone`.
    pub async fn review(&self, known: &Known, id: &str) -> Result<ReviewView> {
        let id = self.reviewable(known, id).await?;
        self.engine.review_of(id, true).await
    }

    /// Records a verdict; gives the review as it stands then. `by`: who, where it is another than the caller.
    ///
    /// # Errors
    /// As [`tendon_engine::Engine::review`]; `Forbidden` without the scope.
    pub async fn verdict(
        &self,
        known: &Known,
        id: &str,
        verdict: Verdict,
        by: Option<String>,
        note: Option<String>,
    ) -> Result<ReviewView> {
        let id = self.reviewable(known, id).await?;
        let by = by.unwrap_or_else(|| known.caller.scope.to_string());
        let wish = Wish { id, verdict, caller: known.caller.id.clone(), by, note };
        self.engine.review(wish).await?;
        self.engine.review_of(id, false).await
    }

    /// The id of a decision whose review the caller may see.
    async fn reviewable(&self, known: &Known, id: &str) -> Result<Id> {
        let id = Id::parse(id)?;
        let entries = self.engine.ledger().entries_of(id).await?;
        // What is not there is said by whoever looks for it.
        let decision = entries.iter().find(|entry| entry.facts.kind == EntryKind::Decision);
        match decision {
            Some(entry) if !known.may_review(&entry.facts.integration) => Err(not_allowed()),
            _ => Ok(id),
        }
    }
}

pub(super) fn not_allowed() -> Error {
    Error::new(ErrorKind::Forbidden, "scope_missing", "this caller may not see or answer what waits for a person")
        .hint("this needs the scope `review:INTEGRATION` or `review:*`: `tendon keys create --scope 'review:*'` makes a key that has it, a grant in `auth.oidc` gives it to people")
}
