//! Caches: entries kept for a while behind the kernel's `Cache`. One file each, with what it stands on, and a line in [`ALL`].

mod line;
pub mod memory;
pub mod redis;
mod resp;
pub mod sealing;
mod shelf;

use tendon_kernel::sockets::cache::CacheCapability;

/// Every kind of cache, with what it promises; `tests/caches` holds each to it.
pub const ALL: &[CacheCapability] = &[memory::CAPABILITY, redis::CAPABILITY];
