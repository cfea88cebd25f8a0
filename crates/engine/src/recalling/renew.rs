//! Computing anew what was answered stale: once for each key, aside, one group at a time, and only while the path has room to
//! spare. A renewal is a decision like any other, with its own entry; it delivers nothing.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::FutureExt as _;
use tendon_kernel::{
    Error, ErrorKind, Result, Value,
    decision::{Door, Outcome},
    sockets::cache::CacheKey,
};

use super::{RecallMeters, Use};
use crate::{
    ask::{Ask, Caller, Input, Item, Priority},
    engine::Engine,
    path,
    runtime::Ready,
    stages::recall,
};

/// Renewals that wait; more are dropped and counted.
const MOST_WAITING: usize = 4096;
/// Renewals of one batch.
const AT_ONCE: usize = 64;
/// How long a busy path is left alone before it is looked at again.
const PAUSE: Duration = Duration::from_millis(20);

/// An answer to be computed anew.
pub(crate) struct Renewal {
    pub(crate) ready: Arc<Ready>,
    pub(crate) key: CacheKey,
    pub(crate) input: Input,
    /// Watermark of the row that was asked about.
    pub(crate) mark: Option<Value>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Renewal>,
    /// Waiting or under way.
    keys: BTreeSet<CacheKey>,
    running: bool,
}

#[derive(Default)]
pub(super) struct Renewals(Mutex<Queue>);

impl Renewals {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops what waits about a subject.
    pub(super) fn forget(&self, tag: &[u8; 16]) {
        let mut queue = self.queue();
        queue.waiting.retain(|renewal| renewal.key.tag != *tag);
        // Those under way are of others: whoever erases waited for them.
        queue.keys.retain(|key| key.tag != *tag);
    }
}

/// Queues renewals; keys that are being renewed already are left out.
pub(crate) fn offer(engine: &Arc<Engine>, renewals: Vec<Renewal>) {
    let mut start = false;
    for renewal in renewals {
        let mut queue = engine.recalling.renewals.queue();
        if queue.keys.contains(&renewal.key) {
            continue;
        }
        if queue.waiting.len() >= MOST_WAITING {
            drop(queue);
            count(&renewal.ready, |meters| meters.not_renewed.increment());
            continue;
        }
        queue.keys.insert(renewal.key);
        queue.waiting.push_back(renewal);
        start |= !std::mem::replace(&mut queue.running, true);
    }
    if start {
        let worker = Arc::clone(engine);
        engine.context.spawn.spawn("renew", async move { work(&worker).await }.boxed());
    }
}

async fn work(engine: &Arc<Engine>) {
    loop {
        spare(engine).await;
        // Held until they are recorded: an erasure comes before they are taken, and forgets them, or after, and erases them.
        let Some(_pass) = engine.recalling.enter() else {
            engine.context.clock.sleep(PAUSE).await;
            continue;
        };
        let group = next(engine);
        let Some(first) = group.first() else { return };
        let ready = Arc::clone(&first.ready);
        let keys: Vec<CacheKey> = group.iter().map(|renewal| renewal.key).collect();
        let wanted = group.into_iter().map(|renewal| (renewal.input, renewal.mark)).collect();
        let done = decide(engine, &ready, "cache:renew", wanted).await;
        count(&ready, |meters| {
            meters.renewed.add(done);
            meters.not_renewed.add((keys.len() as u64).saturating_sub(done));
        });
        let mut queue = engine.recalling.renewals.queue();
        for key in &keys {
            queue.keys.remove(key);
        }
    }
}

/// Asks the path for answers that are computed and kept; how many were.
async fn decide(engine: &Arc<Engine>, ready: &Ready, caller: &str, wanted: Vec<(Input, Option<Value>)>) -> u64 {
    let (inputs, marks): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
    let items = inputs.into_iter().map(|input| Item { input, idempotency_key: None, row: None }).collect();
    let ask = Ask {
        caller: Caller { id: caller.into(), scope: caller.into(), integrations: None },
        door: Door::Batch,
        integration: ready.plan.name.to_string(),
        priority: Priority::Precompute,
        explain: false,
        deadline: None,
        items,
    };
    match path::decide(engine, ask, Use::Renew(marks)).await {
        Ok(answers) => {
            let well = |decision: &tendon_kernel::decision::Decision| decision.outcome == Outcome::Ok;
            answers.items.iter().flatten().filter(|answer| well(&answer.decision)).count() as u64
        }
        Err(error) => {
            tracing::debug!(?error, "stale answers were not computed anew");
            0
        }
    }
}

/// The next renewals of one installed integration; none ends the work.
fn next(engine: &Engine) -> Vec<Renewal> {
    let mut queue = engine.recalling.renewals.queue();
    let mut group: Vec<Renewal> = Vec::new();
    while let Some(renewal) = queue.waiting.front() {
        let same = group.first().is_none_or(|first| Arc::ptr_eq(&first.ready, &renewal.ready));
        if !same || group.len() == AT_ONCE {
            break;
        }
        group.extend(queue.waiting.pop_front());
    }
    queue.running = !group.is_empty();
    group
}

impl Engine {
    /// Computes answers ahead for these inputs (values in the order of the input schema), where no good one is kept: aside,
    /// and only while the path has room to spare. How many were computed.
    ///
    /// # Errors
    /// `NotFound` when the plan has no such integration.
    pub async fn precompute(self: &Arc<Self>, integration: &str, inputs: Vec<Vec<Value>>) -> Result<u64> {
        spare(self).await;
        let runtime = self.runtime();
        let ready = runtime.ready(integration).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "integration_unknown", "the plan has no such integration")
                .with("integration", integration)
        })?;
        // Without it, nothing could be kept. Held to the end, as by every batch.
        let Some(pass) = self.recalling.enter() else { return Ok(0) };
        let wanted = recall::missing(self, ready, &pass, inputs).await;
        if wanted.is_empty() {
            return Ok(0);
        }
        let wanted = wanted.into_iter().map(|input| (input, None)).collect();
        Ok(decide(self, ready, "cache:precompute", wanted).await)
    }
}

/// Waits until the path has room to spare: work that nobody waits for takes at most half of it. The one place that says what
/// "idle" means.
pub(crate) async fn spare(engine: &Engine) {
    let limit = engine.runtime().plan().limits.in_flight;
    while engine.in_flight() * 2 > limit {
        engine.context.clock.sleep(PAUSE).await;
    }
}

fn count(ready: &Ready, how: impl FnOnce(&RecallMeters)) {
    if let Some(meters) = ready.meters.get() {
        how(&meters.recall);
    }
}
