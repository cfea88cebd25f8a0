//! Finished spans between those who end them and the one who sends them: bounded, never waited for. What finds no room is counted
//! and forgotten.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use tendon_kernel::{
    metrics::{Counter, Registry},
    trace::{Span, TraceSink},
};
use tokio::sync::Notify;

/// Spans that wait at the most.
pub(super) const ROOM: usize = 4096;
/// Spans that are sent together.
pub(super) const BATCH: usize = 512;

/// Why spans were lost.
#[derive(Clone, Copy)]
pub(super) enum Lost {
    /// The receiver was slower than the process.
    Full,
    /// The receiver could not be reached for too long.
    Unreachable,
    /// The receiver does not want them.
    Refused,
}

/// The queue.
pub(super) struct Queue {
    on: AtomicBool,
    /// A new trace is kept when the number in its id is smaller.
    share: AtomicU64,
    spans: Mutex<VecDeque<Span>>,
    /// A whole batch waits.
    pub(super) ripe: Notify,
    lost: [Counter; 3],
}

impl Queue {
    pub(super) fn new(registry: &Registry) -> Arc<Self> {
        let lost = ["queue_full", "unreachable", "refused"].map(|reason| {
            let help = "Spans that were finished and never reached the receiver.";
            registry.counter("tendon_telemetry_spans_dropped_total", help, &[("reason", reason)])
        });
        Arc::new(Self {
            on: AtomicBool::new(false),
            share: AtomicU64::new(0),
            spans: Mutex::default(),
            ripe: Notify::new(),
            lost,
        })
    }

    /// Which share of new traces is kept from now on; `None`: none, and no caller's either.
    pub(super) fn keep(&self, ratio: Option<f64>) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share between 0 and 1 of 2^63; the cast saturates"
        )]
        let share = (ratio.unwrap_or(0.0).clamp(0.0, 1.0) * (1_u64 << 63) as f64) as u64;
        self.share.store(share, Relaxed);
        self.on.store(ratio.is_some(), Relaxed);
        if ratio.is_none() {
            self.lock().clear();
        }
    }

    pub(super) fn take(&self) -> Vec<Span> {
        let mut spans = self.lock();
        let count = spans.len().min(BATCH);
        spans.drain(..count).collect()
    }

    pub(super) fn lost(&self, why: Lost, count: usize) {
        self.lost[why as usize].add(u64::try_from(count).unwrap_or(0));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Span>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TraceSink for Queue {
    fn on(&self) -> bool {
        self.on.load(Relaxed)
    }

    /// As OpenTelemetry's `TraceIdRatioBased`: by the id's random end, so that all who see the id decide alike.
    fn keeps(&self, trace: &[u8; 16]) -> bool {
        let mut number = [0; 8];
        number.copy_from_slice(&trace[8..]);
        u64::from_be_bytes(number) >> 1 < self.share.load(Relaxed)
    }

    fn finished(&self, span: Span) {
        let mut spans = self.lock();
        if spans.len() >= ROOM {
            drop(spans);
            return self.lost(Lost::Full, 1);
        }
        spans.push_back(span);
        let ripe = spans.len() == BATCH;
        drop(spans);
        if ripe {
            self.ripe.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, time::Duration};

    use tendon_kernel::trace::{Kind, TraceContext};

    use super::*;

    fn span() -> Span {
        let context = TraceContext { trace: [1; 16], span: [1; 8], sampled: true, state: None };
        Span {
            name: Cow::Borrowed("s"),
            kind: Kind::Internal,
            context: Arc::new(context),
            parent: None,
            remote: false,
            start: Duration::ZERO,
            end: Duration::ZERO,
            attributes: Vec::new(),
            links: Vec::new(),
            failed: None,
        }
    }

    #[test]
    fn what_finds_no_room_is_counted_and_forgotten() {
        let registry = Registry::default();
        let queue = Queue::new(&registry);
        for _ in 0..ROOM + 7 {
            queue.finished(span());
        }
        assert!(registry.render().contains("spans_dropped_total{reason=\"queue_full\"} 7\n"), "{}", registry.render());
        assert_eq!(queue.take().len(), BATCH);
        queue.keep(None);
        assert!(queue.take().is_empty() && !queue.on());
    }

    #[test]
    fn a_share_of_new_traces_is_kept() {
        let queue = Queue::new(&Registry::default());
        let keeps = |first: u8| queue.keeps(&[0, 0, 0, 0, 0, 0, 0, 0, first, 0, 0, 0, 0, 0, 0, 0]);
        queue.keep(Some(1.0));
        assert!(keeps(0) && keeps(255) && queue.on());
        queue.keep(Some(0.0));
        assert!(!keeps(0) && !keeps(255) && queue.on());
        queue.keep(Some(0.25));
        assert!(keeps(0) && keeps(63) && !keeps(64) && !keeps(255));
    }
}
