//! Sends traces and metrics by OTLP over HTTP, through the process' one client. Nothing of the process waits for it: spans queue up
//! to a limit, metrics are read when they are sent. A receiver that is gone is asked again at a growing distance.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt as _};
use prost::Message as _;
use tendon_kernel::{
    ErrorKind, Id,
    context::Context,
    metrics::Counter,
    sockets::{
        http::{HttpClient, HttpRequest, Method},
        secrets::Secret,
    },
    trace::Traces,
};
use tokio::sync::{Notify, watch};

use super::{
    metrics::{self, Period},
    proto::{Exported, KeyValue, Resource},
    queue::{BATCH, Lost, Queue},
    spans,
};

/// Longest time that spans wait for others to be sent with.
const GATHER: Duration = Duration::from_secs(2);
/// First and longest distance between attempts.
const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(15)];
/// Attempts at one batch of spans.
const ATTEMPTS: u32 = 6;
/// Longest wait for the last report when the process stops.
const LAST: Duration = Duration::from_secs(3);
/// A wall clock that was set by more than this is believed.
const JUMP: u64 = 1_000_000;

/// Sets the gauges that nobody sets as things happen.
pub type Measure = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// A receiver, and what it gets.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpSettings {
    /// Its address; the signal's path is added.
    pub endpoint: String,
    /// Headers of each request.
    pub headers: Vec<(String, Secret)>,
    /// Longest wait for its answer.
    pub timeout: Duration,
    /// Share of the traces that begin here; `None`: traces are not sent.
    pub ratio: Option<f64>,
    /// Time between two reports of metrics; `None`: they are not sent.
    pub every: Option<Duration>,
    /// Attributes of everything that is sent, beside the service's instance.
    pub resource: Vec<(String, String)>,
}

/// What tells a receiver of the process' work. Off until it is configured.
pub struct Telemetry {
    context: Context,
    http: Arc<dyn HttpClient>,
    queue: Arc<Queue>,
    settings: Mutex<Option<Arc<OtlpSettings>>>,
    changed: Notify,
    /// When the process' numbers began, nanoseconds since 1970; and its random name.
    start: u64,
    instance: String,
    exported: Counter,
    failed: [Counter; 2],
    stop: watch::Sender<bool>,
    running: watch::Sender<usize>,
}

/// How one request ended.
enum Sent {
    Done,
    Refused,
    Later(Duration),
}

#[derive(Clone, Copy)]
enum Signal {
    Traces,
    Metrics,
}

impl Telemetry {
    /// Nothing is sent yet.
    pub fn new(context: &Context, http: Arc<dyn HttpClient>) -> Arc<Self> {
        let registry = &context.metrics;
        let failed = ["traces", "metrics"].map(|signal| {
            let help = "Requests that the receiver of telemetry did not take.";
            registry.counter("tendon_telemetry_exports_failed_total", help, &[("signal", signal)])
        });
        let help = "Spans that the receiver took.";
        Arc::new(Self {
            http,
            queue: Queue::new(registry),
            settings: Mutex::default(),
            changed: Notify::new(),
            start: epoch(context),
            instance: Id::new(context).to_string(),
            exported: registry.counter("tendon_telemetry_spans_exported_total", help, &[]),
            failed,
            stop: watch::channel(false).0,
            running: watch::channel(0).0,
            context: context.clone(),
        })
    }

    /// What begins the process' spans.
    pub fn traces(&self) -> Arc<Traces> {
        Traces::new(self.context.clock.clone(), self.context.entropy.clone(), self.queue.clone())
    }

    /// Sends to this receiver from now on; `None`: to nobody.
    pub fn configure(&self, settings: Option<OtlpSettings>) {
        let mut current = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_deref() == settings.as_ref() {
            return;
        }
        self.queue.keep(settings.as_ref().and_then(|settings| settings.ratio));
        *current = settings.map(Arc::new);
        drop(current);
        self.changed.notify_one();
    }

    /// Starts sending.
    pub fn start(self: &Arc<Self>, measure: Measure) {
        self.running.send_replace(2);
        for signal in [Signal::Traces, Signal::Metrics] {
            let (this, measure) = (self.clone(), measure.clone());
            let task = async move {
                match signal {
                    Signal::Traces => this.spans().await,
                    Signal::Metrics => this.reports(&measure).await,
                }
                this.running.send_modify(|running| *running -= 1);
            };
            self.context.spawn.spawn("telemetry", task.boxed());
        }
    }

    /// Sends what is left, within a short time, and ends.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let mut running = self.running.subscribe();
        tokio::select! {
            biased;
            _ = running.wait_for(|running| *running == 0) => {}
            () = self.context.clock.sleep(LAST) => {}
        }
    }

    fn settings(&self) -> Option<Arc<OtlpSettings>> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn spans(&self) {
        let mut stop = self.stop.subscribe();
        let mut epoch = self.start;
        loop {
            let stopped = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => true,
                () = self.queue.ripe.notified() => false,
                () = self.context.clock.sleep(GATHER) => false,
            };
            let now = self::epoch(&self.context);
            if now.abs_diff(epoch) > JUMP {
                epoch = now;
            }
            loop {
                let batch = self.queue.take();
                let whole = batch.len() == BATCH;
                if !batch.is_empty() {
                    self.batch(batch, epoch).await;
                }
                if !whole {
                    break;
                }
            }
            if stopped {
                return;
            }
        }
    }

    /// Sends spans, again and again for a while; meanwhile the queue fills.
    async fn batch(&self, batch: Vec<tendon_kernel::trace::Span>, epoch: u64) {
        let Some(settings) = self.settings() else { return };
        let count = batch.len();
        let body = spans::request(batch, self.resource(&settings), epoch).encode_to_vec();
        let mut stop = self.stop.subscribe();
        let mut wait = WAITS[0];
        for attempt in 1..=ATTEMPTS {
            match self.send(Signal::Traces, &body, count).await {
                Sent::Done => return,
                Sent::Refused => return self.queue.lost(Lost::Refused, count),
                Sent::Later(asked) if attempt < ATTEMPTS => {
                    let pause = self.context.clock.sleep(wait.max(asked.min(WAITS[1])));
                    wait = (wait * 2).min(WAITS[1]);
                    tokio::select! {
                        biased;
                        _ = stop.wait_for(|stop| *stop) => break,
                        () = pause => {}
                    }
                }
                Sent::Later(_) => {}
            }
        }
        self.queue.lost(Lost::Unreachable, count);
    }

    async fn reports(&self, measure: &Measure) {
        let mut stop = self.stop.subscribe();
        loop {
            let every = self.settings().and_then(|settings| settings.every);
            let next = async {
                match every {
                    Some(every) => self.context.clock.sleep(every).await,
                    None => std::future::pending().await,
                }
            };
            let stopped = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => true,
                () = self.changed.notified() => continue,
                () = next => false,
            };
            if let Some(settings) = self.settings().filter(|settings| settings.every.is_some()) {
                measure().await;
                let now = u64::try_from(self.context.clock.now().0).unwrap_or(0).saturating_mul(1000);
                let period = Period { start: self.start, now };
                let families = self.context.metrics.snapshot();
                let body = metrics::request(families, self.resource(&settings), period).encode_to_vec();
                self.send(Signal::Metrics, &body, 0).await;
            }
            if stopped {
                return;
            }
        }
    }

    fn resource(&self, settings: &OtlpSettings) -> Resource {
        let mut attributes: Vec<_> =
            settings.resource.iter().map(|(name, value)| KeyValue::text(name, value.as_str())).collect();
        if settings.resource.iter().all(|(name, _)| name != "service.instance.id") {
            attributes.push(KeyValue::text("service.instance.id", self.instance.as_str()));
        }
        Resource { attributes }
    }

    async fn send(&self, signal: Signal, body: &[u8], spans: usize) -> Sent {
        let Some(settings) = self.settings() else { return Sent::Refused };
        let path = match signal {
            Signal::Traces => "/v1/traces",
            Signal::Metrics => "/v1/metrics",
        };
        let deadline = self.context.deadline_in(settings.timeout);
        let mut request = HttpRequest::new(Method::Post, format!("{}{path}", settings.endpoint), deadline)
            .header("content-type", "application/x-protobuf")
            .body(body);
        request.headers.extend(settings.headers.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned())));
        let sent = match self.http.send(request).await {
            Ok(answer) if answer.ok() => {
                let kept = Exported::decode(answer.body.as_slice()).ok().and_then(|told| told.partial_success);
                let rejected = kept.and_then(|kept| usize::try_from(kept.rejected).ok()).unwrap_or(0).min(spans);
                if let Signal::Traces = signal {
                    self.queue.lost(Lost::Refused, rejected);
                    self.exported.add(u64::try_from(spans - rejected).unwrap_or(0));
                }
                return Sent::Done;
            }
            Ok(answer) => {
                tracing::debug!(status = answer.status, "the receiver of telemetry did not take a report");
                // The statuses that the protocol lets a sender try again.
                match answer.status {
                    429 | 502 | 503 | 504 => Sent::Later(answer.retry_after().unwrap_or_default()),
                    _ => Sent::Refused,
                }
            }
            Err(error) => {
                tracing::debug!(code = error.code(), "the receiver of telemetry was not reached");
                if error.kind() == ErrorKind::Config { Sent::Refused } else { Sent::Later(Duration::ZERO) }
            }
        };
        self.failed[signal as usize].increment();
        sent
    }
}

/// Nanoseconds since 1970 at which the monotonic clock stood at zero.
fn epoch(context: &Context) -> u64 {
    let now = u64::try_from(context.clock.now().0).unwrap_or(0).saturating_mul(1000);
    now.saturating_sub(u64::try_from(context.clock.monotonic().as_nanos()).unwrap_or(0))
}
