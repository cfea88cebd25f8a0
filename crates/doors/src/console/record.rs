//! What the console shows of the record itself: its size, its last checkpoint, a verification, and its rare entries.

use std::time::Duration;

use serde_json::Value as Json;
use tendon_kernel::{Timestamp, sockets::ledger::LedgerState};

/// The ledger, as far as it can be told without reading it.
#[derive(Clone, Debug)]
pub struct LedgerView {
    /// How it does.
    pub state: LedgerState,
    /// Its entries on disk; `None`: the folder cannot be read.
    pub files: Option<Files>,
    /// The last signed checkpoint; `None`: there is none yet.
    pub checkpoint: Option<Checkpoint>,
    /// Where checkpoints are published; `None`: nowhere.
    pub published: Option<Published>,
    /// The last verification that somebody wished for since the start.
    pub verification: Option<Verification>,
    /// Bytes of entries up to which a verification is begun from here.
    pub most: u64,
}

/// Files of entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// How many.
    pub segments: u64,
    /// Their bytes, with the room made ahead in the last one.
    pub bytes: u64,
}

/// A signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its whole text.
    pub text: String,
    /// Name of the log.
    pub origin: String,
    /// Entries under it.
    pub size: u64,
    /// Hash of the tree's root, as it stands in the text.
    pub root: String,
    /// When its file was written; the text itself names no time.
    pub at: Option<Timestamp>,
    /// The key that it verifies with.
    pub key: String,
}

/// How publishing stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Where to, without what may be a secret of the address.
    pub to: String,
    /// How often.
    pub every: Duration,
    /// Entries under what was published last.
    pub entries: u64,
    /// When that was; `None`: not since the start.
    pub at: Option<Timestamp>,
    /// Why the last attempt did not succeed.
    pub failure: Option<String>,
}

/// A verification of all that lies under the last checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// Who wished for it.
    pub by: String,
    /// When it began.
    pub began: Timestamp,
    /// Bytes of entries that were read, and all of them.
    pub read: (u64, u64),
    /// When and how it ended; `None`: it is under way.
    pub ended: Option<(Timestamp, Verdict)>,
}

/// How a verification ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is wrong.
    Good {
        /// Entries verified.
        entries: u64,
        /// Slots whose key was erased.
        erased: u64,
    },
    /// What is wrong, the first wrong entry first.
    Wrong(Vec<String>),
    /// It could not be carried out.
    Failed(String),
}

/// Entries that are few and that people look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chapter {
    /// Subjects that were erased.
    Erasures,
    /// What was put in force: plans, models, aliases, backfills.
    Changes,
}

/// An entry of a chapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Noted {
    /// Position in the ledger.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// One word for what happened.
    pub what: String,
    /// Who did it, as far as the entry knows.
    pub by: String,
    /// Integration; empty where none is concerned.
    pub integration: String,
    /// Digest of the plan in force then.
    pub plan: String,
    /// The rest; null where it cannot be opened.
    pub more: Json,
}
