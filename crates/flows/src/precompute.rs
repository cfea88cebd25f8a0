//! Precompute: answers of a declared list, computed ahead and kept in the cache. All rows are gone through in key order; the
//! most important ones are kept in mind, and asked about in their order, a few at a time, while the path has room to spare.
//! What is still good in the cache is not computed again, so a round that finds nothing to do leaves no trace.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc, time::Duration};

use tendon_engine::{Engine, systems::System};
use tendon_kernel::{Error, ErrorKind, Result, Value, context::Context, sockets::connector::Scan};
use tendon_plan::{IntegrationPlan, cache::PrecomputePlan};
use tokio::sync::watch;

/// Rows of a page.
const PAGE: usize = 500;
/// Rows asked about at once.
const AT_ONCE: usize = 64;
/// Wait after a failure.
const AGAIN: Duration = Duration::from_secs(5);

/// What runs; ends when it is dropped or stopped.
pub struct Precompute {
    stop: watch::Sender<bool>,
    ended: Vec<watch::Receiver<bool>>,
}

impl Precompute {
    /// Starts a task for each integration that declares a list.
    ///
    /// # Errors
    /// `Internal` when a plan names a system that is not there.
    pub fn start<'a>(
        context: &Context,
        engine: &Arc<Engine>,
        plans: impl IntoIterator<Item = &'a Arc<IntegrationPlan>>,
        systems: &BTreeMap<Arc<str>, Arc<System>>,
    ) -> Result<Self> {
        let (stop, _) = watch::channel(false);
        let mut ended = Vec::new();
        for plan in plans {
            let Some(list) = plan.cache.as_ref().and_then(|cache| cache.precompute.clone()) else { continue };
            let system = systems.get(&list.system).cloned().ok_or_else(|| {
                Error::new(ErrorKind::Internal, "system_not_there", "a list to compute ahead names an unknown system")
                    .with("system", &list.system)
            })?;
            let (tell, told) = watch::channel(false);
            ended.push(told);
            let work = Work { context: context.clone(), engine: engine.clone(), name: plan.name.clone(), list, system };
            let stop = stop.subscribe();
            context.spawn.spawn(
                "precompute",
                Box::pin(async move {
                    work.run(stop).await;
                    tell.send_replace(true);
                }),
            );
        }
        Ok(Self { stop, ended })
    }

    /// Stops after the group under way.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for ended in &mut self.ended {
            // A sender that is gone has ended too.
            drop(ended.wait_for(|ended| *ended).await);
        }
    }
}

struct Work {
    context: Context,
    engine: Arc<Engine>,
    name: Arc<str>,
    list: PrecomputePlan,
    system: Arc<System>,
}

impl Work {
    async fn run(self, mut stop: watch::Receiver<bool>) {
        let computed = self.context.metrics.counter(
            "tendon_recall_precomputed_total",
            "Answers computed ahead.",
            &[("integration", &self.name)],
        );
        loop {
            let pause = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                done = self.round() => match done {
                    Ok(count) => {
                        computed.add(count);
                        self.list.every
                    }
                    Err(error) => {
                        tracing::warn!(integration = %self.name, code = error.code(), "computing ahead waits: {error}");
                        AGAIN.min(self.list.every)
                    }
                },
            };
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                () = self.context.clock.sleep(pause) => {}
            }
        }
    }

    /// Goes through the list once; how many answers were computed.
    async fn round(&self) -> Result<u64> {
        let rows = self.most_important().await?;
        let mut computed = 0;
        for group in rows.chunks(AT_ONCE) {
            computed += self.engine.precompute(&self.name, group.to_vec()).await?;
        }
        Ok(computed)
    }

    /// The values of the first rows of the list, in its order. Memory holds at most twice as many.
    async fn most_important(&self) -> Result<Vec<Vec<Value>>> {
        let PrecomputePlan { resource, key, fields, limit, .. } = &self.list;
        let (mut best, mut after) = (Vec::new(), Vec::new());
        loop {
            let scan = Scan {
                resource: resource.to_string(),
                key: key.clone(),
                fields: fields.clone(),
                after: after.clone(),
                limit: PAGE,
            };
            let page = self.system.scan(scan).await?;
            let last = page.len() < PAGE;
            if let Some(row) = page.last() {
                after.clone_from(&row.key);
            }
            best.extend(page.into_iter().map(|row| row.values));
            if self.list.order.is_none() && best.len() >= *limit {
                break;
            }
            if best.len() >= limit.saturating_mul(2).max(PAGE) {
                self.sort(&mut best);
                best.truncate(*limit);
            }
            if last {
                break;
            }
        }
        self.sort(&mut best);
        best.truncate(*limit);
        Ok(best)
    }

    /// Stable: equally important rows stay in key order. Rows without a value come last.
    fn sort(&self, rows: &mut [Vec<Value>]) {
        let Some((field, largest)) = self.list.order else { return };
        rows.sort_by(|a, b| match (a.get(field), b.get(field)) {
            (Some(Value::Null) | None, Some(Value::Null) | None) => Ordering::Equal,
            (Some(Value::Null) | None, _) => Ordering::Greater,
            (_, Some(Value::Null) | None) => Ordering::Less,
            (Some(a), Some(b)) if largest => order(b, a),
            (Some(a), Some(b)) => order(a, b),
        });
    }
}

fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Time(a), Value::Time(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (a, b) => match (a.number(), b.number()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => Ordering::Equal,
        },
    }
}
