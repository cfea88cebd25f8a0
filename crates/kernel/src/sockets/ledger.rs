//! The socket of the ledger: what the path hands over to be recorded, and what can be read back. DESIGN's section on the
//! ledger tells why one append carries everything: the decision, its idempotency claim and the deliveries it causes.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::store::{Batch, Table};
use crate::{decision::Outcome, error::Result, id::Id, time::Timestamp};

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A decision, also when it failed, came from cache or fell back.
    Decision,
    /// An asynchronous request was accepted.
    Request,
    /// A shadow model's answer.
    Shadow,
    /// The outcome of a delivery.
    Delivery,
    /// A human verdict.
    Review,
    /// Somebody read something worth recording, or was refused (summarised).
    Access,
    /// A configuration took effect.
    Config,
    /// An API key was created, rotated or revoked.
    Key,
    /// A subject was erased.
    Erasure,
    /// Something failed that left no decision.
    Failure,
}

/// The model that answered.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ModelRef {
    /// Name in the project.
    pub name: Arc<str>,
    /// Version (file or folder name).
    pub version: Arc<str>,
    /// SHA-256 of the file, lower-case hex.
    pub digest: Arc<str>,
}

/// The public part of an entry: becomes the leaf, together with what the ledger adds (slot, digest, commitments). Nothing
/// personal and nothing derived from a subject's id may stand here.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Facts {
    /// What it is about.
    pub kind: EntryKind,
    /// The decision concerned (for other kinds: an id of their own, or the decision's they follow).
    pub id: Id,
    /// When.
    pub at: Timestamp,
    /// Integration; empty when none is concerned.
    pub integration: Arc<str>,
    /// Model, where one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelRef>,
    /// Route taken (`champion`, `fallback:rules`, …).
    pub route: Arc<str>,
    /// One word for the outcome (`ok`, `degraded`, `invalid`, `superseded`, …).
    pub reason: Arc<str>,
    /// Who asked: id of an API key, or `door:events`; never a person's name.
    pub caller: Arc<str>,
    /// Digest of the policies in force, lower-case hex.
    pub policy: Arc<str>,
    /// Digest of the plan in force, lower-case hex.
    pub plan: Arc<str>,
    /// Retention class.
    pub retention: Arc<str>,
    /// Region.
    pub region: Arc<str>,
}

/// The sealed part of an entry. `input`, `output` and `explanation` are committed to one by one in the leaf, so that one
/// can be opened without the others. All are JSON texts; empty means absent.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Body {
    /// Whom it is about; chooses the key slot it is sealed with.
    pub subject: Option<Arc<str>>,
    /// Raw input, looked-up rows and `now`: all that a replay needs.
    pub input: Vec<u8>,
    /// The decision as answered.
    pub output: Vec<u8>,
    /// Explanation, where one was made.
    pub explanation: Vec<u8>,
    /// The rest: deliveries caused, old values, verdicts, causes.
    pub more: Vec<u8>,
}

impl std::fmt::Debug for Body {
    /// Lengths only: bodies are personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Body({}+{}+{}+{} bytes)",
            self.input.len(),
            self.output.len(),
            self.explanation.len(),
            self.more.len()
        )
    }
}

/// An idempotency key that an entry claims.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim {
    /// Caller, integration and key in one text; the ledger keeps only a keyed hash of it outside sealed payloads.
    pub scope: String,
    /// SHA-256 of the canonical input: the same key with another fingerprint is a conflict.
    pub fingerprint: [u8; 32],
}

/// An entry to be appended.
#[derive(Clone)]
pub struct Draft {
    /// Public part.
    pub facts: Facts,
    /// Sealed part.
    pub body: Body,
    /// Key to claim; when it is taken, this draft (alone) is not appended.
    pub claim: Option<Claim>,
}

/// What became of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Appended at this position; durable.
    New {
        /// Position, from 0.
        seq: u64,
    },
    /// Not appended: the claim belongs to an earlier, durable entry.
    Taken {
        /// Position of that entry.
        seq: u64,
        /// Decision that holds the claim.
        id: Id,
        /// Whether it was claimed with the same fingerprint.
        same_input: bool,
    },
}

/// An entry read back.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Position, from 0.
    pub seq: u64,
    /// Public part.
    pub facts: Facts,
    /// Sealed part; `None` when its key was erased.
    pub body: Option<Body>,
}

/// Which decisions to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Only this integration.
    pub integration: Option<String>,
    /// Only this subject.
    pub subject: Option<String>,
    /// Only at or after.
    pub since: Option<Timestamp>,
    /// Only before this time.
    pub until: Option<Timestamp>,
    /// Only decisions that ended so.
    pub outcome: Option<Outcome>,
    /// Only those that a model or a fallback answered ([`Outcome::answered`]).
    pub answered: bool,
    /// Only those that a model of this version was asked for, whatever its name.
    pub version: Option<String>,
    /// Only before this position (for paging).
    pub before: Option<u64>,
    /// Only at or behind this position: what is older is not looked at.
    pub from: u64,
    /// At most this many.
    pub limit: usize,
    /// End about when so many entries were read for it, found or not; nothing: look as far as it takes.
    pub look: Option<usize>,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// Decisions, newest first.
    pub entries: Vec<Entry>,
    /// Entries that were read for them.
    pub looked: usize,
    /// Where it goes on ([`Query::before`]), when it ended because of [`Query::look`]: what is older was not looked at.
    pub rest: Option<u64>,
}

/// How the ledger does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerState {
    /// Durable entries.
    pub size: u64,
    /// Entries under the last signed checkpoint.
    pub checkpoint: u64,
    /// Entries that all projections have seen.
    pub projected: u64,
    /// Why nothing can be appended now; `None`: all is well.
    pub stopped: Option<String>,
}

/// What an erasure did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// Position of the erasure entry.
    pub seq: u64,
    /// Decisions that cannot be opened any more.
    pub decisions: u64,
}

/// A keyed, one-way name for a subject or key that may stand in projections; useless without the project's key.
pub trait Tokens: Send + Sync {
    /// 16 bytes for a text of a given kind (`subject`, `claim`, …).
    fn token(&self, kind: &str, text: &str) -> [u8; 16];
}

/// State derived from entries. Must be a pure function of the entries, in order; it only writes.
pub trait Projection: Send + Sync {
    /// Name, for errors.
    fn name(&self) -> &'static str;
    /// Raised when its rows change their form: all projections are built anew then.
    fn version(&self) -> u32 {
        1
    }
    /// Every table it writes: emptied before it is built anew. A table left out keeps stale rows then.
    fn tables(&self) -> &'static [Table] {
        &[]
    }
    /// Adds what this entry changes to the batch. Nothing personal in clear.
    ///
    /// # Errors
    /// `Corrupt` when the entry cannot be understood.
    fn project(&self, entry: &Entry, tokens: &dyn Tokens, batch: &mut Batch) -> Result<()>;
}

/// The append-only record of everything.
pub trait Ledger: Send + Sync {
    /// Appends and waits until durable. One result per draft, in order. All or none is not promised: each stands alone.
    ///
    /// # Errors
    /// `Unavailable` when nothing can be written now (disk full, failed sync): none of the drafts counts.
    fn commit(&self, drafts: Vec<Draft>) -> BoxFuture<'_, Result<Vec<Committed>>>;

    /// Appends without waiting, for outcomes and accesses; order with later commits is kept. Refused (with the drafts
    /// lost) only when the ledger is stopped, which the caller must treat as "not done".
    ///
    /// # Errors
    /// `Unavailable` as for `commit`.
    fn append(&self, drafts: Vec<Draft>) -> Result<()>;

    /// Resolves when everything appended before is recorded.
    ///
    /// # Errors
    /// `Unavailable` as for `commit`: then it may still be recorded later.
    fn appended(&self) -> BoxFuture<'_, Result<()>>;

    /// Reads one entry, also one that is not yet projected.
    fn entry(&self, seq: u64) -> BoxFuture<'_, Result<Option<Entry>>>;

    /// All entries with this id, oldest first: the decision, then its deliveries and verdicts.
    fn entries_of(&self, id: Id) -> BoxFuture<'_, Result<Vec<Entry>>>;

    /// Who holds a claim, if anybody.
    fn claimed<'a>(&'a self, claim: &'a Claim) -> BoxFuture<'a, Result<Option<Committed>>>;

    /// Decisions by query, newest first, and how far was looked for them.
    fn search(&self, query: Query) -> BoxFuture<'_, Result<Listed>>;

    /// Decisions by query, newest first, however far that is ([`Query::look`] does not count).
    fn list(&self, query: Query) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(async move { Ok(self.search(Query { look: None, ..query }).await?.entries) })
    }

    /// Erases a subject: entry first, durable; then its key slot.
    fn erase<'a>(&'a self, subject: &'a str, facts: Facts) -> BoxFuture<'a, Result<Erased>>;

    /// Resolves when every entry up to this position was projected.
    fn projected(&self, seq: u64) -> BoxFuture<'_, Result<()>>;

    /// How it does.
    fn state(&self) -> LedgerState;

    /// Tokens under the project's key.
    fn tokens(&self) -> Arc<dyn Tokens>;
}
