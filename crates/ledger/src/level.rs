//! A number that others wait for. Like `tokio::sync::watch`, which cannot be used here: it wakes its waiters in an order that
//! a random number of the thread decides, so that a simulation would not replay.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// See the module's head.
#[derive(Default)]
pub(crate) struct Level {
    value: AtomicU64,
    changed: Notify,
}

impl Level {
    pub(crate) fn new(value: u64) -> Self {
        Self { value: AtomicU64::new(value), changed: Notify::new() }
    }

    pub(crate) fn get(&self) -> u64 {
        self.value.load(Ordering::Acquire)
    }

    /// Sets the number and wakes all who wait, first come first served.
    pub(crate) fn set(&self, value: u64) {
        self.value.store(value, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Adds one.
    pub(crate) fn raise(&self) {
        self.value.fetch_add(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    /// Takes one away.
    pub(crate) fn lower(&self) {
        self.value.fetch_sub(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    /// Resolves when the number is another one than `known`.
    pub(crate) async fn other_than(&self, known: u64) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on a change is not missed.
            changed.as_mut().enable();
            if self.get() != known {
                return;
            }
            changed.await;
        }
    }
}
