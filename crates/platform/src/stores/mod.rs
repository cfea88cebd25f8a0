//! Stores: ordered bytes by key behind the kernel's `Store`. One file each.

mod overlay;
pub mod sqlite;
mod sqlite_copy;
mod sqlite_writer;

pub use sqlite_copy::copy_store;
