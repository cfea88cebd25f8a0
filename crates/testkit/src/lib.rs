//! What tests stand on: a deterministic world ([`Sim`]) with a virtual clock, a seeded scheduler and a disk that loses,
//! tears and reorders what was not synced; fakes of the sockets; contract suites; and starters of real peers.
//!
//! Never shipped. Depends on the kernel alone, so that every room can test with it.

pub mod certs;
pub mod contract;
pub mod disk;
pub mod layer;
pub mod peer;
pub mod proxy;
pub mod rng;
pub mod secrets;
pub mod servers;
pub mod sim;
pub mod store;
pub mod system;
pub mod tested;
mod world;

pub use disk::MemDisk;
pub use rng::Rng;
pub use secrets::{TestKeys, TestSecrets};
pub use sim::{Outcome, Sim, sweep};
pub use store::{MemStore, Promise};
pub use system::FakeSystem;
pub use world::Step;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks even after a panic elsewhere: the panic has failed the test already, and a second one would hide it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
