//! The one error type that crosses rooms: a kind the caller can act on, a retry status, a sentence for the public
//! and a private half for the log. Parts keep private errors of their own and turn them into this one at their edge.

use std::{borrow::Cow, fmt};

/// Result with the kernel's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a caller can act on it. Doors choose their status codes from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input does not fit its schema or the request its form.
    Invalid,
    /// No credentials, or ones that are not known.
    Unauthenticated,
    /// Known caller, not allowed.
    Forbidden,
    /// The thing asked for does not exist.
    NotFound,
    /// It existed and was erased or has passed its retention.
    Gone,
    /// The same key was used with another input, or a concurrent change won.
    Conflict,
    /// The record was set aside by a quality rule.
    Quarantined,
    /// Too many requests, or no room to take this one.
    Overloaded,
    /// The deadline passed before the answer was ready.
    Timeout,
    /// A system, model or the ledger cannot be used right now.
    Unavailable,
    /// Stored data does not verify.
    Corrupt,
    /// The configuration is wrong.
    Config,
    /// The part does not offer this.
    Unsupported,
    /// A defect of ours.
    Internal,
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same attempt will fail again.
    Never,
    /// A later attempt may succeed.
    Later,
}

/// An error with a public and a private half.
///
/// `Display` prints the public half only, so that an error can be shown anywhere; `Debug` prints all of it.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    retry: Retry,
    code: &'static str,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    pointer: Option<String>,
    context: Vec<(&'static str, String)>,
    private: Option<String>,
}

impl Error {
    /// A new error that a retry will not mend. `code` is stable (snake_case); `message` is public: what was attempted, on what.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let retry = match kind {
            ErrorKind::Overloaded | ErrorKind::Timeout | ErrorKind::Unavailable => Retry::Later,
            _ => Retry::Never,
        };
        Self(Box::new(Inner {
            kind,
            retry,
            code,
            message: message.into(),
            hint: None,
            pointer: None,
            context: Vec::new(),
            private: None,
        }))
    }

    /// Sets whether a retry is useful, where the kind's usual answer is wrong.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Adds what the reader can do about it (public).
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Names the place in the input as a JSON pointer (RFC 6901).
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.0.pointer = Some(pointer.into());
        self
    }

    /// Adds a public key and value: names of things, never their personal content.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Adds the private half: for logs, never for a caller. Still no secrets.
    #[must_use]
    pub fn private(mut self, detail: impl fmt::Display) -> Self {
        self.0.private = Some(detail.to_string());
        self
    }

    /// What a caller can act on.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The public sentence.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do, when known.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// JSON pointer to the field at fault.
    pub fn pointer(&self) -> Option<&str> {
        self.0.pointer.as_deref()
    }

    /// Public context.
    pub fn context(&self) -> &[(&'static str, String)] {
        &self.0.context
    }

    /// The private half.
    pub fn private_detail(&self) -> Option<&str> {
        self.0.private.as_deref()
    }

    /// Whether a retry may help.
    pub fn retryable(&self) -> bool {
        self.0.retry == Retry::Later
    }
}

impl Clone for Error {
    fn clone(&self) -> Self {
        Self(Box::new(Inner {
            kind: self.0.kind,
            retry: self.0.retry,
            code: self.0.code,
            message: self.0.message.clone(),
            hint: self.0.hint.clone(),
            pointer: self.0.pointer.clone(),
            context: self.0.context.clone(),
            private: self.0.private.clone(),
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (key, value) in &self.0.context {
            write!(f, "; {key}: {value}")?;
        }
        if let Some(hint) = &self.0.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("pointer", &self.0.pointer)
            .field("context", &self.0.context)
            .field("hint", &self.0.hint)
            .field("retryable", &self.retryable())
            .field("private", &self.0.private)
            .finish()
    }
}

impl PartialEq for Error {
    /// Same kind, code and public sentence.
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.code() == other.code() && self.message() == other.message()
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_private_half_never_shows() {
        let error = Error::new(ErrorKind::Unavailable, "crm_locked", "write to system crm failed")
            .with("resource", "leads")
            .private("password=hunter2");
        assert_eq!(error.to_string(), "write to system crm failed; resource: leads");
        assert!(error.retryable());
    }
}
