//! What the path remembers of its answers: the cache it is given, who computes what now, and what is computed anew aside.
//!
//! A batch that uses the cache holds a [`Pass`] until its answers are recorded and kept. An erasure waits for all of them
//! and keeps new ones out meanwhile: whatever was recalled or kept before it is recorded before it, and goes with it.

mod age;
mod cached;
mod flight;
mod key;
mod meters;
mod renew;

use std::sync::{Arc, OnceLock};

use tendon_kernel::{
    Result, Timestamp, Value,
    decision::Recalled,
    sockets::{
        cache::{Cache, CacheKey, CacheState},
        ledger::{Erased, Facts},
    },
};
use tendon_plan::IntegrationPlan;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

pub(crate) use age::{age_ms, aged, life};
pub(crate) use cached::Cached;
pub(crate) use flight::{Follow, Lead, Taken, Waited};
pub(crate) use key::{inputs, key};
pub(crate) use meters::RecallMeters;
pub(crate) use renew::{Renewal, offer};

use crate::{engine::Engine, lookup::LookedUp};

/// Everything about recalling; one for the engine.
#[derive(Default)]
pub(crate) struct Recalling {
    cache: OnceLock<Arc<dyn Cache>>,
    gate: Arc<RwLock<()>>,
    pub(crate) flights: flight::Flights,
    renewals: renew::Renewals,
}

/// Leave to use the cache, until it is dropped.
#[derive(Clone)]
pub(crate) struct Pass {
    pub(crate) cache: Arc<dyn Cache>,
    _open: Arc<OwnedRwLockReadGuard<()>>,
}

/// How a batch uses the cache.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Use {
    /// Answers are recalled and kept.
    Fully,
    /// Answers are computed anew and kept: each under the watermark of the row whose answer it renews, if that has one.
    Renew(Vec<Option<Value>>),
}

/// What recall found out about a case.
#[derive(Default)]
pub(crate) struct Recall {
    /// Its place in the batch, to which it comes back.
    pub(crate) turn: usize,
    /// Watermark of the row whose answer it renews; it comes from no row itself.
    pub(crate) mark: Option<Value>,
    /// Under which name its answer is kept.
    pub(crate) key: Option<CacheKey>,
    /// Others wait for its answer.
    pub(crate) lead: Option<Lead>,
    /// It waits for another's answer.
    pub(crate) follow: Option<Follow>,
    /// Its answer, where it was not computed for it.
    pub(crate) hit: Option<Hit>,
}

/// An answer that was found.
pub(crate) struct Hit {
    pub(crate) recalled: Recalled,
    /// The row that it was computed from.
    pub(crate) features: Vec<f64>,
    /// What had been looked up for it, as old as it is now.
    pub(crate) looked: Vec<LookedUp>,
}

impl Hit {
    /// What a found answer is at a time; `None` when it, or a row that it was made from, is too old.
    pub(crate) fn of(cached: &Cached, at: Timestamp, plan: &IntegrationPlan) -> Option<Self> {
        let life = life(plan, cached.at, &cached.looked)?;
        let age_ms = age_ms(cached.at, at);
        (at < life.kept).then(|| Self {
            recalled: Recalled { from: cached.from, at: cached.at, age_ms, stale: at >= life.good },
            features: cached.features.clone(),
            looked: aged(plan, &cached.looked, at),
        })
    }
}

impl Recalling {
    /// Leave to use the cache: not without one, and not while somebody is erased.
    pub(crate) fn enter(&self) -> Option<Pass> {
        let cache = Arc::clone(self.cache.get()?);
        let open = Arc::clone(&self.gate).try_read_owned().ok()?;
        Some(Pass { cache, _open: Arc::new(open) })
    }
}

/// Forgets looked-up rows when it goes.
struct Forgets<'a>(&'a Engine);

impl Drop for Forgets<'_> {
    fn drop(&mut self) {
        self.0.forget_rows();
    }
}

impl Engine {
    /// Where answers are kept for reuse, from now on. Without a call, each question is answered anew.
    pub fn keep_answers_in(&self, cache: Arc<dyn Cache>) {
        if self.recalling.cache.set(cache).is_err() {
            tracing::error!("the cache was given twice; the first stays");
        }
    }

    /// How the cache does; `None` without one.
    pub fn cache_state(&self) -> Option<(&'static str, CacheState)> {
        self.recalling.cache.get().map(|cache| (cache.capability().kind, cache.state()))
    }

    /// Erases a subject: its answers in the cache first, so that a crash in between leaves none of them, then the record, then
    /// what was looked up and is still in memory.
    ///
    /// # Errors
    /// As [`tendon_kernel::sockets::ledger::Ledger::erase`]; the cache's, when its answers may still be found: then nothing
    /// was erased.
    pub async fn erase(&self, subject: &str, facts: Facts) -> Result<Erased> {
        let _alone = self.recalling.gate.write().await;
        // Whatever becomes of it, and after it: the entry may be durable although the end failed, or nobody waits any more.
        let _forgets = Forgets(self);
        let tag = key::tag(&*self.ledger.tokens(), subject);
        self.recalling.renewals.forget(&tag);
        if let Some(cache) = self.recalling.cache.get() {
            cache.remove(&tag).await?;
        }
        self.ledger.erase(subject, facts).await
    }
}
