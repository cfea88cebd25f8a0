//! The outbox in use, exchangeable while decisions go on: a reload that changes systems starts a new one.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tendon_engine::{
    DeliverySink,
    outbox::{self, DeliveryReport, Outbox},
};
use tendon_kernel::{
    Result,
    decision::{Decision, Delivery},
    sockets::ledger::Entry,
};

/// What was accepted while the outbox is exchanged.
enum Accepted {
    Of(u64, Decision, Vec<Delivery>),
    Reviewed(Entry),
}

type Waiting = Vec<Accepted>;

/// Hands accepted deliveries to the outbox in use.
pub(crate) struct Deliveries {
    current: ArcSwap<Outbox>,
    /// While the outbox is exchanged: what was accepted meanwhile.
    waiting: Mutex<Option<Waiting>>,
}

impl Deliveries {
    /// Starts with an outbox.
    pub(crate) fn new(outbox: Outbox) -> Self {
        Self { current: ArcSwap::from_pointee(outbox), waiting: Mutex::new(None) }
    }

    /// The outbox in use.
    pub(crate) fn current(&self) -> Arc<Outbox> {
        self.current.load_full()
    }

    /// The deliveries of a decision with their states, from all its entries and from what waits.
    ///
    /// # Errors
    /// `Corrupt` when an entry cannot be read.
    pub(crate) fn reports(&self, entries: &[Entry]) -> Result<Vec<DeliveryReport>> {
        let mut reports = outbox::report(entries)?;
        self.current().complete(&mut reports);
        Ok(reports)
    }

    /// From here on accepted deliveries wait for [`Deliveries::resume`].
    pub(crate) fn pause(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
    }

    /// Puts another outbox in use and gives it what was accepted meanwhile.
    pub(crate) fn resume(&self, outbox: Outbox) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for accepted in waiting.take().unwrap_or_default() {
            match accepted {
                Accepted::Of(seq, decision, deliveries) => outbox.accepted(seq, &decision, &deliveries),
                Accepted::Reviewed(verdict) => outbox.reviewed(&verdict),
            }
        }
        self.current.store(Arc::new(outbox));
    }
}

impl DeliverySink for Deliveries {
    fn accepted(&self, seq: u64, decision: &Decision, deliveries: &[Delivery]) {
        if deliveries.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.as_mut() {
            Some(waiting) => waiting.push(Accepted::Of(seq, decision.clone(), deliveries.to_vec())),
            None => {
                self.current.load().accepted(seq, decision, deliveries);
            }
        }
    }

    fn reviewed(&self, verdict: &Entry) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.as_mut() {
            Some(waiting) => waiting.push(Accepted::Reviewed(verdict.clone())),
            None => self.current.load().reviewed(verdict),
        }
    }
}
