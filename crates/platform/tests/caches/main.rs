//! The caches, all under one contract; each with what is its own.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod memory;
mod redis;
