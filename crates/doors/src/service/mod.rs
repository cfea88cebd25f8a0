//! What a caller may ask of this process, without the language it asks in: REST, GraphQL and gRPC translate to and from
//! these operations and share them, so that scopes, names and pages mean the same through each. Decides nothing: questions go to
//! the path, everything else is read from the record.

mod badge;
mod catalog;
mod cursor;
mod decide;
mod list;
mod read;
mod requests;
mod reviews;
mod sight;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tendon_engine::{
    Engine,
    outbox::{DeadLetter, DeliveryReport, Edit, Payload, Place},
    systems::BreakerState,
};
use tendon_kernel::{Error, ErrorKind, Result, Timestamp, decision::Explanation, sockets::ledger::Entry};

use crate::keys::Known;
pub use badge::{Breakdown, Part, Point, Score, ScoreState};
pub use catalog::{LetterPage, ModelShare, ModelUse, ModelVersion, ModelView};
pub use decide::{Question, Questions, idempotency_key};
pub use list::{Filter, MOST_LISTED, Page, Row};
pub use read::{DeliveryView, Recorded};
pub use requests::{Found, Pending};
pub use reviews::{ReviewPage, Reviewed};
pub(crate) use sight::Sight;

/// Explains a decision from its entry, with the model version that made it, wherever that is kept.
pub type Explain = Arc<dyn Fn(Entry) -> BoxFuture<'static, Result<Explanation>> + Send + Sync>;

/// A system and how it does.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SystemView {
    /// Its name in the project.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: Arc<str>,
    /// The circuit breaker: `closed` while all is well.
    pub breaker: BreakerState,
    /// What went wrong last, in reading or in writing; nothing while all is well.
    pub last_failure: Option<String>,
    /// Deliveries that wait for it in memory.
    pub waiting: usize,
    /// Whether still others wait in the ledger.
    pub more: bool,
    /// Time of the oldest waiting decision.
    pub oldest: Option<Timestamp>,
}

/// What the running process knows beside the path and the record; implemented where everything is wired.
pub trait Desk: Send + Sync {
    /// The systems of the plan in force, by name.
    fn systems(&self) -> Vec<SystemView>;
    /// The deliveries of a decision, from all its entries and from what waits.
    fn deliveries(&self, entries: &[Entry]) -> Result<Vec<DeliveryReport>>;
    /// Dead letters, oldest first, after a place.
    fn letters(&self, after: Option<Place>, limit: usize) -> BoxFuture<'_, Result<Vec<DeadLetter>>>;
    /// How many entries there were when a dead letter last came or went.
    fn letters_changed(&self) -> u64;
    /// Puts a dead letter back to work, for somebody, with the values that they changed; gives the decision it belongs to.
    fn retry<'a>(&'a self, id: &'a str, by: &'a str, edit: Option<Edit>) -> BoxFuture<'a, Result<tendon_kernel::Id>>;
    /// A dead letter with what it would write.
    fn payload<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Payload>>;
}

/// The operations. One for all doors.
pub struct Service {
    /// Where decisions are made and kept; knows the plan in force.
    pub engine: Arc<Engine>,
    /// Explains recorded decisions.
    pub explain: Explain,
    /// Systems and dead letters.
    pub desk: Arc<dyn Desk>,
}

/// Demands the scope `read`.
///
/// # Errors
/// `Forbidden` without it.
pub fn reader(known: &Known) -> Result<()> {
    if known.read {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Forbidden, "scope_missing", "this caller may not read")
        .hint("this needs the scope `read`: `tendon keys create --scope read` makes a key that has it, a grant in `auth.oidc` gives it to people"))
}

/// Demands the scope `review:…`, of any integration.
///
/// # Errors
/// `Forbidden` without it.
pub fn reviewer(known: &Known) -> Result<()> {
    if known.reviews.as_ref().is_none_or(|names| !names.is_empty()) {
        return Ok(());
    }
    Err(reviews::not_allowed())
}

/// Demands the scope `operate`.
///
/// # Errors
/// `Forbidden` without it.
pub fn operator(known: &Known) -> Result<()> {
    if known.operate {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Forbidden, "scope_missing", "this caller may not get anything going again")
        .hint("this needs the scope `operate`: `tendon keys create --scope operate` makes a key that has it, a grant in `auth.oidc` gives it to people"))
}

/// Demands the scope `admin`.
///
/// # Errors
/// `Forbidden` without it.
pub fn admin(known: &Known) -> Result<()> {
    if known.admin {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Forbidden, "scope_missing", "this caller may not change anything")
        .hint("this needs the scope `admin`: `tendon keys create --scope admin` makes a key that has it, a grant in `auth.oidc` gives it to people"))
}
