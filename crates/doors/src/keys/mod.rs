//! API keys: who may ask what. Shown once, kept as a hash, looked up in memory, every change an entry of the ledger.

mod format;
mod ring;

pub use format::{Token, TokenError};
pub use ring::{KeyRecord, KeyRing, TABLE};
pub use tendon_plan::{Scope, Scopes};

pub use crate::trust::Known;
