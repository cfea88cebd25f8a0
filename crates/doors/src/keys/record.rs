//! A key as it is kept: everything but the key itself.

use std::sync::Arc;

use tendon_kernel::{Error, ErrorKind, Result, Timestamp, sockets::store::Table};
use tendon_plan::{Scopes, trust::Limits};

/// Where the records are kept: id → record as JSON.
pub const TABLE: Table = Table("api_keys");

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeyRecord {
    /// Public id, as it stands in the key and in the ledger.
    pub id: Arc<str>,
    /// Name people gave it; idempotency keys are scoped by it, so that they survive a new key of the same name.
    pub name: Arc<str>,
    /// What it may do.
    pub scopes: Scopes,
    /// SHA-256 of the key, lower-case hex.
    pub hash: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
    /// The key that takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<Arc<str>>,
    /// How much its caller may ask.
    #[serde(default)]
    pub limits: Limits,
}

impl KeyRecord {
    /// Whether it opens anything at that moment.
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|end| now < end)
    }

    /// The hash as bytes.
    pub(super) fn hash(&self) -> Result<[u8; 32]> {
        unhex(&self.hash).ok_or_else(unreadable)
    }

    pub(super) fn read(value: &[u8]) -> Result<Self> {
        serde_json::from_slice(value).map_err(|error| unreadable().private(error))
    }

    pub(super) fn write(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| {
            Error::new(ErrorKind::Internal, "key_record", "an API key record cannot be written").private(error)
        })
    }
}

pub(super) fn unreadable() -> Error {
    Error::new(ErrorKind::Corrupt, "key_record", "a stored API key record cannot be read")
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(out)
}
