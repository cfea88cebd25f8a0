//! Single flight: which idempotency keys are being decided now. A second request with the same key waits for the first.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tendon_kernel::context::{Clock, Deadline};
use tokio::sync::watch;

type Waiters = HashMap<Arc<str>, watch::Receiver<()>>;

/// The keys under way.
#[derive(Default)]
pub(crate) struct Running {
    keys: Arc<Mutex<Waiters>>,
}

/// A key held; dropping it wakes whoever waits for it.
pub(crate) struct Hold {
    keys: Arc<Mutex<Waiters>>,
    key: Arc<str>,
    _wake: watch::Sender<()>,
}

impl Running {
    /// Holds a key, after waiting for whoever holds it now; `None` when the deadline passes first.
    ///
    /// Whoever takes several keys takes them in sorted order: two requests never wait for each other.
    pub(crate) async fn hold(&self, key: &str, deadline: Deadline, clock: &dyn Clock) -> Option<Hold> {
        let key: Arc<str> = key.into();
        loop {
            let mut other = match self.try_hold(&key) {
                Ok(hold) => return Some(hold),
                Err(other) => other,
            };
            tokio::select! {
                biased;
                _ = other.changed() => {}
                () = clock.sleep(deadline.left(clock)) => return None,
            }
        }
    }

    fn try_hold(&self, key: &Arc<str>) -> Result<Hold, watch::Receiver<()>> {
        let mut keys = lock(&self.keys);
        if let Some(other) = keys.get(key) {
            return Err(other.clone());
        }
        let (wake, woken) = watch::channel(());
        keys.insert(Arc::clone(key), woken);
        Ok(Hold { keys: Arc::clone(&self.keys), key: Arc::clone(key), _wake: wake })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Removed first: who is woken by the sender's drop, right after this, finds the key free.
        lock(&self.keys).remove(&self.key);
    }
}

fn lock(keys: &Mutex<Waiters>) -> MutexGuard<'_, Waiters> {
    keys.lock().unwrap_or_else(PoisonError::into_inner)
}
