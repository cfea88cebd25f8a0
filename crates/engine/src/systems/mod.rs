//! Systems in use: a connector behind the limits that hold for all lanes together, with a timeout and a circuit breaker.
//! Every read, watch and write of the flows and of the outbox goes through here, so no lane can overrun a slow system.

mod breaker;
mod rate;
mod traced;

use std::{future::Future, sync::Arc, time::Duration};

use tendon_kernel::{
    Error, ErrorKind, Result, Timestamp, Value,
    context::Context,
    sockets::connector::{Change, Connector, Row, Scan, Watch, WriteBatch, Written},
};
use tokio::sync::Semaphore;

use breaker::Breaker;
pub use breaker::BreakerState;
pub use breaker::backoff;
use rate::Rate;

/// How hard a system may be driven.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests under way at once.
    pub concurrency: usize,
    /// Rows per second; `None`: no limit.
    pub rate: Option<f64>,
    /// Longest wait for one request.
    pub timeout: Duration,
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
        Self { concurrency: 4, rate: None, timeout: Duration::from_secs(30) }
    }
}

/// A system in use.
pub struct System {
    name: Arc<str>,
    connector: Arc<dyn Connector>,
    context: Context,
    limits: Limits,
    permits: Semaphore,
    rate: Option<Rate>,
    breaker: Breaker,
    patience: Option<Patience>,
}

impl System {
    /// A system behind its limits.
    pub fn new(name: &str, connector: Arc<dyn Connector>, limits: Limits, context: Context) -> Self {
        Self {
            name: Arc::from(name),
            connector,
            permits: Semaphore::new(limits.concurrency.max(1)),
            rate: limits.rate.map(Rate::new),
            breaker: Breaker::new(context.clone()),
            limits,
            context,
            patience: None,
        }
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
        self.breaker.state()
    }

    /// How long until a call makes sense again; zero when the breaker is closed.
    pub fn retry_in(&self) -> Duration {
        self.breaker.retry_in()
    }

    /// The connector itself, for catalogs and probes that people ask for.
    pub fn connector(&self) -> &Arc<dyn Connector> {
        &self.connector
    }

    /// Writes conditionally.
    ///
    /// # Errors
    /// The connector's; `circuit_open` and `system_timeout` (both retryable). After a timeout the write may still happen:
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
        let pass = self.breaker.admit(&self.name)?;
        let Ok(_permit) = self.permits.acquire().await else {
            return Err(Error::new(ErrorKind::Unavailable, "system_closed", "the system is being shut down"));
        };
        if let Some(rate) = &self.rate {
            rate.take(rows, &self.context).await;
        }
        let result = tokio::select! {
            biased;
            result = work => result,
            () = self.context.clock.sleep(self.limits.timeout) => Err(self.timed_out(verb)),
        };
        pass.done(result.as_ref().err());
        result
    }

    fn timed_out(&self, verb: &'static str) -> Error {
        Error::new(ErrorKind::Timeout, "system_timeout", "the system did not answer in time")
            .with("system", &self.name)
            .with("operation", verb)
            .with("timeout_ms", self.limits.timeout.as_millis())
    }
}
