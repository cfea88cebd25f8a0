//! The ledger: append-only, sealed, provable record of every decision and everything it causes; the write-ahead log from
//! which all other state is derived.
//!
//! Life of an entry: `prepare` (whose slot, who holds the claim) → `seal` and `leaf` → `writer` (one write, one sync for
//! all that waits) → answered → `projector` (rows in the store) and `publish` (tree, tiles, signed checkpoint).
//! `recover` opens after a crash, `erase` forgets a subject.
//!
//! Files below the ledger's folder, every byte of which `verify` covers: `ledger.pub` (the key that verifies), `checkpoint`,
//! `keyring`, `segments/`, `tile/`.

pub mod backup;
mod book;
mod breath;
mod cache;
mod catch_up;
mod checkpoint;
mod desk;
mod erase;
mod format;
mod index;
mod keyring;
mod leaf;
mod ledger;
mod level;
mod log;
pub mod objects;
mod prepare;
mod projector;
pub mod proof;
mod publish;
mod read;
mod recover;
mod seal;
mod search;
mod segment;
mod spare;
mod tasks;
mod tiles;
mod tokens;
mod tree;
pub mod verify;
mod verify_crash;
mod verify_files;
mod writer;

pub use book::{Book, Parts, Settings};
pub use proof::{Opening, ProofFile, ProofReport, verify_proof};
pub use recover::open;

#[cfg(test)]
mod tests;
