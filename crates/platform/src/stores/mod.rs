//! Stores: ordered bytes by key behind the kernel's `Store`. One file each.

mod overlay;
pub mod sqlite;
mod sqlite_writer;
