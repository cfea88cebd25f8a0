//! What doors ask of the running process beside the path and the record: its systems and its dead letters.

use std::{sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, FutureExt as _};
use tendon_doors::service::{Desk, SystemView};
use tendon_engine::{
    outbox::{DeadLetter, DeliveryReport, Edit, Payload, Place},
    systems::BreakerState,
};
use tendon_kernel::{Error, ErrorKind, Id, Result, sockets::ledger::Entry};
use tokio::sync::oneshot;

use crate::{orders, wiring::Parts};

/// Longest wait of a list for what was recorded last.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks at the parts when asked.
pub(super) struct ProcessDesk {
    parts: Arc<Parts>,
}

impl ProcessDesk {
    pub(super) fn new(parts: Arc<Parts>) -> Self {
        Self { parts }
    }
}

impl Desk for ProcessDesk {
    fn systems(&self) -> Vec<SystemView> {
        let running = self.parts.flows.systems();
        let desks = self.parts.deliveries.current().states();
        let runtime = self.parts.engine.runtime();
        let view = |(name, plan): (&Arc<str>, &tendon_plan::plan::SystemPlan)| {
            let (breaker, last_failure) =
                running.get(name).map_or((BreakerState::Closed, None), |system| system.breaker());
            let desk = desks.get(name);
            SystemView {
                name: name.clone(),
                kind: plan.kind.clone(),
                breaker,
                // Reading may go well while no write does.
                last_failure: last_failure.or_else(|| desk.and_then(|desk| desk.last_failure.clone())),
                waiting: desk.map_or(0, |desk| desk.waiting),
                more: desk.is_some_and(|desk| desk.more),
                oldest: desk.and_then(|desk| desk.oldest),
            }
        };
        runtime.plan().systems.iter().map(view).collect()
    }

    fn deliveries(&self, entries: &[Entry]) -> Result<Vec<DeliveryReport>> {
        self.parts.deliveries.reports(entries)
    }

    fn letters(&self, after: Option<Place>, limit: usize) -> BoxFuture<'_, Result<Vec<DeadLetter>>> {
        async move {
            // On a full disk nothing settles; then the letters that are known are better than none.
            if let Ok(settled) = tokio::time::timeout(PATIENCE, self.parts.settle()).await {
                settled?;
            }
            self.parts.deliveries.current().letters(after, limit).await
        }
        .boxed()
    }

    fn letters_changed(&self) -> u64 {
        self.parts.letters.letters_changed()
    }

    fn retry<'a>(&'a self, id: &'a str, by: &'a str, edit: Option<Edit>) -> BoxFuture<'a, Result<Id>> {
        let (parts, id, by) = (Arc::clone(&self.parts), id.to_owned(), by.to_owned());
        let (tell, told) = oneshot::channel();
        let spawn = Arc::clone(&parts.context.spawn);
        // In a task of its own: a caller who hangs up stops nothing between the record and what follows from it.
        let task = async move { drop(tell.send(orders::letters::again(&parts, &id, &by, edit).await)) };
        spawn.spawn("letter", Box::pin(task));
        async move {
            told.await.map_err(|_| {
                Error::new(ErrorKind::Unavailable, "stopping", "the process stopped before the letter was tried again")
                    .hint("look whether it is still listed, then retry it")
            })?
        }
        .boxed()
    }

    fn payload<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Payload>> {
        async move {
            self.parts.settle_soon().await?;
            self.parts.deliveries.current().payload(id).await
        }
        .boxed()
    }
}
