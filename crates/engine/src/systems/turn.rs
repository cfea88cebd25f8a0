//! Turns at a system: so many requests at once, so many more that wait, and no longer than a request may take. A system that
//! hangs so keeps what is its own and nothing else.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tendon_kernel::{Error, ErrorKind, Result, context::Clock};
use tokio::sync::{Semaphore, SemaphorePermit};

pub(super) struct Turns {
    permits: Semaphore,
    most: usize,
    queue: usize,
    queued: AtomicUsize,
}

/// Counts who waits, also one who gives up.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Turns {
    pub(super) fn new(at_once: usize, queue: usize) -> Self {
        let most = at_once.max(1);
        Self { permits: Semaphore::new(most), most, queue, queued: AtomicUsize::new(0) }
    }

    pub(super) fn under_way(&self) -> usize {
        self.most.saturating_sub(self.permits.available_permits())
    }

    pub(super) fn queued(&self) -> usize {
        self.queued.load(Ordering::Acquire)
    }

    /// Waits for a turn.
    pub(super) async fn wait(&self, system: &str, longest: Duration, clock: &dyn Clock) -> Result<SemaphorePermit<'_>> {
        if let Ok(turn) = self.permits.try_acquire() {
            return Ok(turn);
        }
        let take = |waiting: usize| (waiting < self.queue).then_some(waiting + 1);
        if self.queued.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_err() {
            return Err(busy(system, "as many requests as may already wait for the system"));
        }
        let _waiting = Waiting(&self.queued);
        tokio::select! {
            biased;
            turn = self.permits.acquire() => turn.map_err(|_| busy(system, "the system is being shut down")),
            () = clock.sleep(longest) => Err(busy(system, "the system had no turn free in time")),
        }
    }
}

fn busy(system: &str, message: &'static str) -> Error {
    Error::new(ErrorKind::Overloaded, "system_busy", message).with("system", system)
}
