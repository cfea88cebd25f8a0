//! API keys: who may ask what. Shown once, kept as a hash, looked up in memory, every change an entry of the ledger.

mod change;
mod format;
mod record;
mod ring;

pub use change::NewKey;
pub use format::{Token, TokenError};
pub(crate) use format::{hash, id_of};
pub(crate) use record::hex;
pub use record::{KeyRecord, TABLE};
pub use ring::KeyRing;
pub use tendon_plan::{Scope, Scopes};

pub use crate::trust::Known;
