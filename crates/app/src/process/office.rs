//! The process behind the console: its trends, and the orders of the command line.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::Value as Json;
use tendon_doors::{
    console::{Office, Order as Wish, Slot, Span},
    keys::NewKey,
};
use tendon_kernel::{Error, ErrorKind, Result};
use tendon_plan::trust::Limits;

use crate::{
    orders::{self, ModelsOrder, Order},
    trends::Trends,
    wiring::Parts,
};

/// Looks at the parts when asked.
pub(super) struct ProcessOffice {
    parts: Arc<Parts>,
    trends: Arc<Trends>,
}

impl ProcessOffice {
    pub(super) fn new(parts: Arc<Parts>, trends: Arc<Trends>) -> Self {
        Self { parts, trends }
    }
}

impl Office for ProcessOffice {
    fn trend(&self, series: &str, span: Span) -> Vec<Option<Slot>> {
        self.trends.trend(series, span)
    }

    fn minute(&self, series: &str) -> Slot {
        self.trends.minute(series)
    }

    fn uptime(&self, days: u32) -> Option<f64> {
        self.trends.uptime(days)
    }

    fn carry_out<'a>(&'a self, order: Wish, by: &'a str) -> BoxFuture<'a, Result<Json>> {
        let carry_out = |order| orders::for_console(&self.parts, order);
        match order {
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
