//! Single flight: of many who miss the same answer at once, one computes it and the others take it from there.
//!
//! Who leads never waits for anybody before its answer is recorded: a batch computes what it leads first, and only then waits
//! for what others lead. So batches that want several keys, in whatever order, never wait for each other in a circle.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tendon_kernel::{
    context::{Clock, Deadline},
    sockets::cache::CacheKey,
};
use tokio::sync::watch;

use super::Cached;

type Told = Option<Arc<Cached>>;
type Waiting = BTreeMap<CacheKey, watch::Receiver<Told>>;

/// The answers being computed.
#[derive(Default)]
pub(crate) struct Flights {
    under_way: Arc<Mutex<Waiting>>,
}

/// Whoever holds it computes. Dropped without an answer, it wakes the others, and they compute themselves.
pub(crate) struct Lead {
    under_way: Arc<Mutex<Waiting>>,
    key: CacheKey,
    tell: watch::Sender<Told>,
}

/// Whoever holds it waits.
pub(crate) struct Follow(watch::Receiver<Told>);

/// What became of a wish to compute.
pub(crate) enum Taken {
    /// Compute.
    Lead(Lead),
    /// Somebody does already.
    Follow(Follow),
}

impl Flights {
    /// Takes the lead for a key, or joins who has it.
    pub(crate) fn take(&self, key: CacheKey) -> Taken {
        let mut under_way = lock(&self.under_way);
        if let Some(other) = under_way.get(&key) {
            return Taken::Follow(Follow(other.clone()));
        }
        let (tell, told) = watch::channel(None);
        under_way.insert(key, told);
        Taken::Lead(Lead { under_way: Arc::clone(&self.under_way), key, tell })
    }
}

impl Lead {
    /// Tells the answer to all who wait, and to who comes while the lead is still held.
    pub(crate) fn tell(&self, cached: &Arc<Cached>) {
        self.tell.send_replace(Some(Arc::clone(cached)));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        // Removed first: who is woken by the sender's drop, right after this, finds the key free.
        lock(&self.under_way).remove(&self.key);
    }
}

/// How waiting ended.
pub(crate) enum Waited {
    /// With an answer.
    Told(Arc<Cached>),
    /// The other failed.
    Failed,
    /// The deadline passed first.
    Late,
}

impl Follow {
    /// Waits for the other's answer.
    pub(crate) async fn wait(mut self, deadline: Deadline, clock: &dyn Clock) -> Waited {
        tokio::select! {
            biased;
            told = self.0.wait_for(Option::is_some) => match told {
                Ok(told) => told.as_ref().map_or(Waited::Failed, |cached| Waited::Told(Arc::clone(cached))),
                Err(_) => Waited::Failed,
            },
            () = clock.sleep(deadline.left(clock)) => Waited::Late,
        }
    }
}

fn lock(under_way: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}
