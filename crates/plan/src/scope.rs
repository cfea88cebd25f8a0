//! What a caller may do, as words: in keys, in grants of identity providers, in client certificates.

use std::fmt;

use tendon_kernel::{Error, ErrorKind, Result};

/// One thing a caller may do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Ask any integration for decisions.
    DecideAll,
    /// Ask one integration for decisions.
    Decide(String),
    /// See and answer what waits for a person, of any integration.
    ReviewAll,
    /// The same, of one integration.
    Review(String),
    /// Read decisions, integrations and explanations.
    Read,
    /// Read, and get going again what stopped: retry dead letters, undo write-backs, sign checkpoints.
    Operate,
    /// Everything.
    Admin,
}

impl Scope {
    /// Reads `decide:lead-score`, `decide:*`, `review:lead-score`, `review:*`, `read`, `operate` or `admin`.
    ///
    /// # Errors
    /// `Invalid` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "read" => Ok(Self::Read),
            "operate" => Ok(Self::Operate),
            "admin" => Ok(Self::Admin),
            "decide:*" => Ok(Self::DecideAll),
            "review:*" => Ok(Self::ReviewAll),
            _ => match text.split_once(':') {
                Some(("decide", name)) if !name.is_empty() => Ok(Self::Decide(name.to_owned())),
                Some(("review", name)) if !name.is_empty() => Ok(Self::Review(name.to_owned())),
                _ => Err(Error::new(ErrorKind::Invalid, "unknown_scope", format!("`{text}` is no scope of a key"))
                    .hint(
                        "a scope is decide:INTEGRATION, decide:*, review:INTEGRATION, review:*, read, operate or admin",
                    )),
            },
        }
    }

    /// The integration that it is about, where it names one.
    pub fn integration(&self) -> Option<&str> {
        match self {
            Self::Decide(name) | Self::Review(name) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DecideAll => f.write_str("decide:*"),
            Self::Decide(name) => write!(f, "decide:{name}"),
            Self::ReviewAll => f.write_str("review:*"),
            Self::Review(name) => write!(f, "review:{name}"),
            Self::Read => f.write_str("read"),
            Self::Operate => f.write_str("operate"),
            Self::Admin => f.write_str("admin"),
        }
    }
}

impl serde::Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// What a caller may do, all together.
pub type Scopes = Vec<Scope>;
