//! The process behind the console: its trends, and the orders of the command line.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::Value as Json;
use tendon_doors::{
    console::{Chapter, LedgerView, Noted, Office, Order as Wish, Return, Slot, Span},
    keys::NewKey,
};
use tendon_engine::outbox::{DeskState, Waits};
use tendon_kernel::{Error, ErrorKind, Result, Timestamp};
use tendon_plan::trust::Limits;

use super::inspection::Inspection;
use crate::{
    chronicle,
    orders::{self, ModelsOrder, Order},
    registry::View,
    trends::Trends,
    wiring::Parts,
};

/// Looks at the parts when asked.
pub(super) struct ProcessOffice {
    parts: Arc<Parts>,
    trends: Arc<Trends>,
    inspection: Inspection,
}

impl ProcessOffice {
    pub(super) fn new(parts: Arc<Parts>, trends: Arc<Trends>) -> Self {
        Self { parts, trends, inspection: Inspection::default() }
    }
}

impl Office for ProcessOffice {
    fn trend(&self, series: &str, span: Span) -> Vec<Option<Slot>> {
        self.trends.trend(series, span)
    }

    fn past(&self, series: &str, time: Duration) -> Slot {
        self.trends.past(series, time)
    }

    fn uptime(&self, days: u32) -> Option<f64> {
        self.trends.uptime(days)
    }

    fn watched_since(&self) -> Option<Timestamp> {
        self.trends.watched_since()
    }

    fn ledger(&self) -> BoxFuture<'_, LedgerView> {
        self.inspection.view(&self.parts).boxed()
    }

    fn log_key(&self) -> String {
        self.parts.book.public_key().to_owned()
    }

    fn verify<'a>(&'a self, by: &'a str) -> BoxFuture<'a, Result<()>> {
        self.inspection.verify(&self.parts, by).boxed()
    }

    fn chapter(&self, of: Chapter, before: Option<u64>, limit: usize) -> BoxFuture<'_, Result<Vec<Noted>>> {
        let parts = &self.parts;
        async move { chronicle::page(&**parts.flows.projections(), &*parts.ledger, of, before, limit).await }.boxed()
    }

    fn outbox(&self, most: usize) -> Vec<(Arc<str>, DeskState, Vec<Waits>)> {
        let outbox = self.parts.deliveries.current();
        let states = outbox.states().into_iter();
        let systems = states.map(|(system, state)| {
            let waits = outbox.waiting(&system, most);
            (system, state, waits)
        });
        systems.collect()
    }

    fn outbox_by_integration(&self) -> BTreeMap<Arc<str>, usize> {
        self.parts.deliveries.current().by_integration()
    }

    fn returns(&self) -> BoxFuture<'_, Result<Vec<Return>>> {
        async { Ok(View::of(&*self.parts.records).await?.returns()) }.boxed()
    }

    fn carry_out<'a>(&'a self, order: Wish, by: &'a str) -> BoxFuture<'a, Result<Json>> {
        let carry_out = |order| orders::for_console(&self.parts, order);
        match order {
            Wish::Outcomes(before) => orders::deliveries::recent(&self.parts, before).boxed(),
            Wish::Undo(id) => carry_out(Order::DeliveriesUndo { id, by: by.to_owned() }).boxed(),
            Wish::Replay(id) => carry_out(Order::DecisionsReplay { id }).boxed(),
            Wish::Deliveries(id) => carry_out(Order::DeliveriesShow { id }).boxed(),
            Wish::Proof(id) => {
                let made = carry_out(Order::LedgerProof { id, input: false, output: false, explanation: false });
                async move { verified(made.await?) }.boxed()
            }
            Wish::Promote { model, version, alias } => {
                self.models(ModelsOrder::Promote { model, version, alias, by: by.to_owned(), why: None }).boxed()
            }
            Wish::RollBack { model, alias } => {
                self.models(ModelsOrder::Rollback { model, alias, by: by.to_owned(), why: None }).boxed()
            }
            Wish::Keys => carry_out(Order::KeysList {}).boxed(),
            Wish::NewKey { name, scopes, lifetime } => {
                let wanted = NewKey { name, scopes, lifetime, limits: Limits::default() };
                orders::keys::create(&self.parts, wanted, by).boxed()
            }
            Wish::RevokeKey(key) => async move { orders::keys::revoke(&self.parts, &key, by).await }.boxed(),
        }
    }
}

impl ProcessOffice {
    /// A change of a model; what refuses it is said as the command says it.
    async fn models(&self, order: ModelsOrder) -> Result<Json> {
        orders::carry_out(&self.parts, Order::Models(order)).await.map_err(|failure| {
            let error =
                Error::new(ErrorKind::Conflict, "models_unchanged", format!("{} ({})", failure.message, failure.code));
            match failure.hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })
    }
}

/// A proof, verified as a stranger would: with its text and the log's public key alone.
fn verified(mut made: Json) -> Result<Json> {
    let text = |name: &str| made.get(name).and_then(Json::as_str).unwrap_or_default();
    let report = tendon_ledger::verify_proof(text("proof"), text("key"))?;
    made["size"] = report.size.into();
    Ok(made)
}
