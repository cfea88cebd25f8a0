//! The plan of the cache: where answers are kept, and which may be reused.

use std::{sync::Arc, time::Duration};

/// Where answers are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheStorePlan {
    /// In the process's memory, at most so many bytes.
    Memory(u64),
    /// In Redis.
    Redis(RedisPlan),
}

impl Default for CacheStorePlan {
    fn default() -> Self {
        Self::Memory(64 << 20)
    }
}

/// A Redis server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisPlan {
    /// Address; references are resolved last.
    pub url: String,
    /// Password, as a reference.
    pub password: Option<String>,
    /// User.
    pub username: Option<String>,
    /// PEM file with the certificates to trust, relative to the project.
    pub ca: Option<String>,
    /// Longest wait for a connection.
    pub connect: Duration,
    /// Longest wait for an answer.
    pub timeout: Duration,
}

/// Which answers may be reused, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachePlan {
    /// Fields that must be equal: those that are declared, then those by which rows are looked up.
    pub key: Vec<String>,
    /// The same, as places.
    pub parts: Vec<KeyPart>,
    /// How long.
    pub ttl: Duration,
    /// How long after that an answer may be given while a new one is computed.
    pub stale: Duration,
    /// Answers computed ahead.
    pub precompute: Option<PrecomputePlan>,
}

/// Rows whose answers are computed ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrecomputePlan {
    /// System.
    pub system: Arc<str>,
    /// Resource.
    pub resource: Arc<str>,
    /// Its key fields.
    pub key: Vec<String>,
    /// Fields read: all of the input, in the input schema's order.
    pub fields: Vec<String>,
    /// Position of the field by which the most important come first, and whether the largest do.
    pub order: Option<(usize, bool)>,
    /// Most rows.
    pub limit: usize,
    /// How often.
    pub every: Duration,
}

/// Where a part of the key is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPart {
    /// A field of the input, by position.
    Field(usize),
    /// The watermark of the watched row.
    Mark,
    /// A field that nobody who asks can give: the whole input stands for it.
    Unknown(Arc<str>),
}
