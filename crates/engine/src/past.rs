//! The plans of before: what an entry holds is read by the plan that was in force when it was recorded, so that no change of
//! today's plan takes anything from it.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use futures_util::future::BoxFuture;
use tendon_kernel::{ErrorKind, Result, sockets::ledger::Entry};

use crate::{engine::Engine, runtime::Runtime};

/// Where plans that were in force once are found.
pub trait Past: Send + Sync {
    /// A plan by its digest, ready, without its models.
    ///
    /// `NotFound` where it was not kept, `Corrupt` where it does not come out the same any more.
    fn runtime<'a>(&'a self, plan: &'a str) -> BoxFuture<'a, Result<Runtime>>;
}

/// The plans of before that are known.
#[derive(Default)]
pub(crate) struct Pasts {
    kept: OnceLock<Arc<dyn Past>>,
    /// The one that was asked for last: who looks at one old entry looks at the next.
    last: ArcSwapOption<Runtime>,
}

impl Engine {
    /// Where plans of before are found, from now on. Without a call, only the plan in force is known.
    pub fn find_past_plans_in(&self, past: Arc<dyn Past>) {
        if self.pasts.kept.set(past).is_err() {
            tracing::error!("the plans of before were given twice; the first stay");
        }
    }

    /// The plan that an entry was recorded under, without its models where it is not the one in force; `None` where there is no
    /// such plan any more.
    ///
    /// # Errors
    /// `Unavailable` when what was kept cannot be read now.
    pub async fn runtime_of(&self, entry: &Entry) -> Result<Option<Arc<Runtime>>> {
        let runtime = self.runtime();
        // A process may run some integrations of its plan only.
        if runtime.plan().digest == entry.facts.plan && runtime.ready(&entry.facts.integration).is_some() {
            return Ok(Some(runtime));
        }
        let last = self.pasts.last.load_full().filter(|last| last.plan().digest == entry.facts.plan);
        if last.is_some() {
            return Ok(last);
        }
        let Some(kept) = self.pasts.kept.get() else { return Ok(None) };
        match kept.runtime(&entry.facts.plan).await {
            Ok(runtime) => {
                let found = Arc::new(runtime);
                self.pasts.last.store(Some(Arc::clone(&found)));
                Ok(Some(found))
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => {
                tracing::debug!(code = error.code(), plan = %entry.facts.plan, "an entry's plan is not at hand any more");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
