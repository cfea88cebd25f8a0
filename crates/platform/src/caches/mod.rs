//! Caches: entries kept for a while behind the kernel's `Cache`. One file each, with what it stands on.

mod line;
pub mod memory;
pub mod redis;
mod resp;
pub mod sealing;
mod shelf;
