//! Systems in use: a connector behind the limits that hold for all lanes together: turns with a bounded queue, a rate,
//! a timeout, a circuit breaker, a retry budget.
//! Every read, watch and write of the flows and of the outbox goes through here, so no lane can overrun a slow system, and
//! no system in trouble is hammered.

mod breaker;
mod budget;
mod rate;
mod traced;
mod turn;

use std::{future::Future, sync::Arc, time::Duration};

use tendon_kernel::{
    Error, ErrorKind, Result, Timestamp, Value,
    context::Context,
    metrics::{Counter, Registry},
    sockets::connector::{Change, Connector, Row, Scan, Watch, WriteBatch, Written},
};

use breaker::Breaker;
pub use breaker::{BreakerLimits, BreakerState, backoff};
use budget::Budget;
use rate::Rate;
pub use rate::RateState;
use turn::Turns;

/// How hard a system may be driven.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Requests under way at once.
    pub concurrency: usize,
    /// Requests that may wait for their turn; more are refused at once, to be tried again.
    pub queue: usize,
    /// Rows per second; `None`: no limit.
    pub rate: Option<f64>,
    /// Longest wait for one request.
    pub timeout: Duration,
    /// What may be repeated, as a share of first attempts (0.1: a tenth).
    pub retries: f64,
    /// When it is left alone.
    pub breaker: BreakerLimits,
}

/// How long a receiver is tried again that may be away for a while. Systems have none: what waits for one waits without end,
/// and only rows that it refuses are given up.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long after its decision a delivery is tried again.
    pub give_up: Duration,
    /// Deliveries of one request.
    pub at_once: usize,
    /// Longest wait between two attempts.
    pub longest_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 4,
            queue: 64,
            rate: None,
            timeout: Duration::from_secs(10),
            retries: 0.1,
            breaker: BreakerLimits::default(),
        }
    }
}

/// How a system does.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SystemState {
    /// The circuit breaker.
    pub breaker: BreakerState,
    /// The last failure's public sentence; nothing while all is well.
    pub last_failure: Option<String>,
    /// Milliseconds until it is tried again; 0 when it may be asked now.
    pub retry_in_ms: u64,
    /// Requests under way.
    pub under_way: usize,
    /// Requests that wait for their turn.
    pub queued: usize,
    /// Most requests at once.
    pub concurrency: usize,
    /// Longest wait for one, in milliseconds.
    pub timeout_ms: u64,
    /// How its rate is used, where it has one.
    pub rate: Option<RateState>,
}

/// A system in use.
pub struct System {
    name: Arc<str>,
    connector: Arc<dyn Connector>,
    context: Context,
    patience: Option<Patience>,
    guard: Arc<Guard>,
}

/// What stands before a system and remembers how it did: it outlives the connection.
struct Guard {
    limits: Limits,
    turns: Turns,
    rate: Option<Rate>,
    breaker: Breaker,
    budget: Budget,
    meters: Meters,
}

/// Its counters.
struct Meters {
    well: Counter,
    failed: Counter,
    retries: Counter,
    refused: Counter,
}

impl Meters {
    fn new(system: &str, registry: &Registry) -> Self {
        let calls = |result| {
            let labels = [("system", system), ("result", result)];
            registry.counter("tendon_system_calls_total", "Requests to a system, retries too.", &labels)
        };
        let labels = [("system", system)];
        let retries = "Requests to a system that repeated one that failed.";
        let refused = "Requests held back because breaker, retry budget or queue said so.";
        Self {
            well: calls("ok"),
            failed: calls("failed"),
            retries: registry.counter("tendon_system_retries_total", retries, &labels),
            refused: registry.counter("tendon_system_held_back_total", refused, &labels),
        }
    }
}

/// Whether an error says that the system was not asked at all: its breaker is open, its retry budget used up, its queue full.
pub fn held_back(error: &Error) -> bool {
    matches!(error.code(), "circuit_open" | "retry_budget" | "system_busy")
}

impl System {
    /// A system behind its limits. Its gauge shows once it is [shown](System::show): what is built may still be refused.
    pub fn new(name: &str, connector: Arc<dyn Connector>, limits: Limits, context: Context) -> Self {
        let guard = Guard {
            turns: Turns::new(limits.concurrency, limits.queue),
            rate: limits.rate.map(Rate::new),
            breaker: Breaker::new(name, limits.breaker, context.clone()),
            budget: Budget::new(limits.retries),
            meters: Meters::new(name, &context.metrics),
            limits,
        };
        Self { name: Arc::from(name), connector, context, patience: None, guard: Arc::new(guard) }
    }

    /// The same system over another connection, behind the same guard: an open breaker stays open, and what was taken of rate,
    /// turns and retries is taken.
    #[must_use]
    pub fn reconnected(&self, connector: Arc<dyn Connector>) -> Self {
        let (name, context, guard) = (self.name.clone(), self.context.clone(), self.guard.clone());
        Self { name, connector, context, patience: self.patience, guard }
    }

    /// Whether both stand behind one guard.
    pub fn shares_guard(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.guard, &other.guard)
    }

    /// How hard it may be driven.
    pub fn limits(&self) -> &Limits {
        &self.guard.limits
    }

    /// It is in use: from here on the gauge of the system shows its breaker.
    pub fn show(&self) {
        self.guard.breaker.show();
    }

    /// It is in use no longer.
    pub fn hide(&self) {
        self.guard.breaker.hide();
    }

    /// The same, given up on after a while.
    #[must_use]
    pub fn patient(mut self, patience: Patience) -> Self {
        self.patience = Some(patience);
        self
    }

    /// How long it is tried again, where that ends.
    pub fn patience(&self) -> Option<&Patience> {
        self.patience.as_ref()
    }

    /// Name in the project.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Where its circuit breaker stands, with the last failure's public sentence.
    pub fn breaker(&self) -> (BreakerState, Option<String>) {
        self.guard.breaker.state()
    }

    /// How long until a call makes sense again; zero when the breaker is closed.
    pub fn retry_in(&self) -> Duration {
        self.guard.breaker.retry_in()
    }

    /// How it does.
    pub fn state(&self) -> SystemState {
        let (breaker, last_failure) = self.guard.breaker.state();
        SystemState {
            breaker,
            last_failure,
            retry_in_ms: u64::try_from(self.guard.breaker.retry_in().as_millis()).unwrap_or(u64::MAX),
            under_way: self.guard.turns.under_way(),
            queued: self.guard.turns.queued(),
            concurrency: self.guard.limits.concurrency,
            timeout_ms: u64::try_from(self.guard.limits.timeout.as_millis()).unwrap_or(u64::MAX),
            rate: self.guard.rate.as_ref().map(|rate| rate.state(self.context.clock.monotonic())),
        }
    }

    /// Leave to repeat a request that failed, taken from the retry budget that all lanes share. Ask for it before each
    /// repetition; a first attempt needs none.
    ///
    /// # Errors
    /// `retry_budget`, `circuit_open` (both retryable): nothing may be repeated now.
    pub fn retry(&self) -> Result<()> {
        let held = self.guard.breaker.look(&self.name).and_then(|()| {
            let taken = self.guard.budget.take(self.context.clock.monotonic());
            taken.map_err(|wait| self.over_budget(wait))
        });
        self.counted(held).inspect(|()| self.guard.meters.retries.increment())
    }

    /// How long until a retry makes sense, if nothing else happens; zero: now.
    pub fn retry_ready_in(&self) -> Duration {
        self.guard.breaker.retry_in().max(self.guard.budget.ready_in(self.context.clock.monotonic()))
    }

    /// The connector itself, for catalogs and probes that people ask for.
    pub fn connector(&self) -> &Arc<dyn Connector> {
        &self.connector
    }

    /// Writes conditionally.
    ///
    /// # Errors
    /// The connector's; `circuit_open`, `system_busy` and `system_timeout` (all retryable). After a timeout the write may still happen:
    /// the condition of each write makes trying again safe.
    pub async fn write(&self, batch: WriteBatch) -> Result<Vec<Written>> {
        let (rows, expected) = (batch.writes.len(), batch.writes.len());
        let resource = batch.resource.clone();
        let written = self.call("write", &resource, rows, self.connector.write(batch)).await?;
        if written.len() == expected {
            return Ok(written);
        }
        Err(Error::new(ErrorKind::Internal, "connector_answer", "a connector answered for another number of writes")
            .with("system", &self.name))
    }

    /// The next changes.
    ///
    /// # Errors
    /// As [`System::write`].
    pub async fn watch(&self, watch: Watch) -> Result<Vec<Change>> {
        let resource = watch.resource.clone();
        self.call("watch", &resource, watch.limit, self.connector.watch(watch)).await
    }

    /// The begin of the system's oldest open transaction, where it can tell.
    ///
    /// # Errors
    /// As [`System::write`].
    pub async fn horizon(&self) -> Result<Option<Timestamp>> {
        self.call("horizon", "", 0, self.connector.horizon()).await
    }

    /// Rows with these keys.
    ///
    /// # Errors
    /// As [`System::write`].
    pub async fn read(
        &self,
        resource: &str,
        key: &[String],
        fields: &[String],
        keys: &[Vec<Value>],
    ) -> Result<Vec<Row>> {
        self.call("read", resource, keys.len(), self.connector.read(resource, key, fields, keys)).await
    }

    /// The next rows in key order.
    ///
    /// # Errors
    /// As [`System::write`].
    pub async fn scan(&self, scan: Scan) -> Result<Vec<Row>> {
        let resource = scan.resource.clone();
        self.call("scan", &resource, scan.limit, self.connector.scan(scan)).await
    }

    async fn call<T>(
        &self,
        verb: &'static str,
        resource: &str,
        rows: usize,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        traced::call(self, verb, resource, self.guarded(verb, rows, work)).await
    }

    async fn guarded<T>(&self, verb: &'static str, rows: usize, work: impl Future<Output = Result<T>>) -> Result<T> {
        // Before waiting: who would be refused in the end does not take somebody's place in the queue.
        self.counted(self.guard.breaker.look(&self.name))?;
        let turn = self.guard.turns.wait(&self.name, self.guard.limits.timeout, &*self.context.clock).await;
        let _turn = self.counted(turn)?;
        if let Some(rate) = &self.guard.rate {
            rate.take(rows, &self.context).await;
        }
        let pass = self.counted(self.guard.breaker.admit(&self.name))?;
        let began = self.context.clock.monotonic();
        self.guard.budget.earn(began);
        let result = tokio::select! {
            biased;
            result = work => result,
            () = self.context.clock.sleep(self.guard.limits.timeout) => Err(self.timed_out(verb)),
        };
        let took = self.context.clock.monotonic().saturating_sub(began);
        pass.done(took, result.as_ref().err());
        let failed = result.as_ref().is_err_and(Error::retryable);
        if failed {
            self.guard.meters.failed.increment()
        } else {
            self.guard.meters.well.increment()
        }
        result
    }

    fn counted<T>(&self, held: Result<T>) -> Result<T> {
        held.inspect_err(|_| self.guard.meters.refused.increment())
    }

    fn over_budget(&self, wait: Duration) -> Error {
        let message = "enough was repeated for now: retries are a small share of all requests to a system";
        let (_, last) = self.guard.breaker.state();
        Error::new(ErrorKind::Unavailable, "retry_budget", message)
            .with("system", &self.name)
            .with("wait_ms", wait.as_millis())
            .with("last_failure", last.as_deref().unwrap_or("unknown"))
    }

    fn timed_out(&self, verb: &'static str) -> Error {
        Error::new(ErrorKind::Timeout, "system_timeout", "the system did not answer in time")
            .with("system", &self.name)
            .with("operation", verb)
            .with("timeout_ms", self.guard.limits.timeout.as_millis())
    }
}
