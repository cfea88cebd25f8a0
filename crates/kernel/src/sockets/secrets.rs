//! The sockets for secrets and keys. Secrets are references in files (`${env:NAME}`) and are resolved last; keys are
//! made, kept and wrapped by a key store (a sealed local file, Vault, a cloud KMS).

use std::fmt;

use crate::error::Result;

/// A secret text. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Resolves references such as `${env:CRM_TOKEN}` or `${file:token.txt}`.
pub trait Secrets: Send + Sync {
    /// Replaces every reference in the text.
    ///
    /// # Errors
    /// `Config` when a reference has no value; names the reference, never a value.
    fn resolve(&self, text: &str) -> Result<Secret>;
}

/// A 256-bit key. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub [u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

/// Keeps named keys; makes one, durably, on first use.
pub trait Keys: Send + Sync {
    /// The key of this name (`ledger-signing`, `ledger-slots`, `tokens`, …).
    ///
    /// # Errors
    /// `Corrupt` when the kept key cannot be unwrapped; `Unavailable` when it cannot be read or made durable.
    fn key(&self, name: &str) -> Result<Key>;
}
