//! What commands ask of a project's state: carried out by the running process, which they reach through the control
//! socket, or by the command itself when nothing runs. The same code either way.

mod backfill;
mod decisions;
pub(crate) mod deliveries;
pub(crate) mod keys;
mod ledger;
pub(crate) mod letters;
mod models;
mod reviews;
pub(crate) mod status;

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value as Json;
use tendon_doors::keys::{NewKey, Scope};
use tendon_flows::watch::BackfillWish;
use tendon_kernel::Result;
use tendon_ledger::Opening;
use tendon_plan::trust::Limits;

use crate::{failure::Failure, wiring::Parts};

pub(crate) use models::ModelsOrder;
pub(crate) use reviews::Said;

/// One thing to do. All data in and out is JSON.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Order {
    /// Goes through all rows of an integration's table, at most so many a second.
    BackfillRun { integration: String, rate: Option<f64> },
    /// Stops that after the page under way.
    BackfillPause { integration: String },
    /// How it does.
    BackfillState { integration: String },
    /// Lists recent deliveries.
    DeliveriesList { integration: Option<String>, subject: Option<String>, limit: usize },
    /// Shows one delivery, or those of a decision.
    DeliveriesShow { id: String },
    /// Puts the values from before a delivery back.
    DeliveriesUndo { id: String, by: String },
    /// What would be written, without writing.
    DeliveriesPreview { integration: String, limit: usize },
    /// Makes an API key.
    KeysCreate { name: String, scopes: Vec<Scope>, expires: Option<Duration>, limits: Limits },
    /// Makes a key that takes the place of another one.
    KeysRotate { key: String, overlap: Duration, expires: Option<Duration> },
    /// Lists API keys.
    KeysList {},
    /// Ends an API key.
    KeysRevoke { key: String },
    /// Shows one decision with its deliveries.
    DecisionsShow { id: String },
    /// Lists recent decisions.
    DecisionsList { integration: Option<String>, subject: Option<String>, since: Option<String>, limit: usize },
    /// Explains a decision.
    DecisionsExplain { id: String },
    /// Decides again from the record and compares.
    DecisionsReplay { id: String },
    /// Lists dead letters.
    LettersList { limit: usize },
    /// Shows a dead letter.
    LettersShow { id: String },
    /// Tries a dead letter again, with these texts in place of the values of its fields.
    LettersRetry { id: String, set: BTreeMap<String, String>, by: String },
    /// Lists what waits for a person.
    ReviewsList { integration: Option<String>, limit: usize },
    /// Shows one review with its input.
    ReviewsShow { id: String },
    /// Records a person's verdict.
    ReviewsGive { id: String, verdict: Said, by: String, note: Option<String> },
    /// Changes a model's versions or aliases.
    Models(ModelsOrder),
    /// How everything does now, with figures that go so far back: only a running process knows.
    Status { span: String },
    /// Makes the proof of one decision, opening the parts named.
    LedgerProof { id: String, input: bool, output: bool, explanation: bool },
    /// Signs a checkpoint over all that is recorded.
    LedgerCheckpoint {},
    /// Erases a subject.
    LedgerErase { subject: String },
}

/// Does it.
///
/// # Errors
/// As each order's.
pub(crate) async fn carry_out(parts: &Parts, order: Order) -> Result<Json, Failure> {
    match order {
        Order::Models(order) => models::carry_out(parts, order).await,
        Order::Status { .. } => Err(status::not_running(&parts.project)),
        order => other(parts, order).await.map_err(Failure::from),
    }
}

/// Does what the console orders.
///
/// # Errors
/// As each order's.
pub(crate) async fn for_console(parts: &Parts, order: Order) -> Result<Json> {
    other(parts, order).await
}

async fn other(parts: &Parts, order: Order) -> Result<Json> {
    match order {
        Order::Models(_) | Order::Status { .. } => Ok(Json::Null),
        Order::BackfillRun { integration, rate } => backfill::wish(parts, &integration, Some(BackfillWish::Run(rate))),
        Order::BackfillPause { integration } => backfill::wish(parts, &integration, Some(BackfillWish::Pause)),
        Order::BackfillState { integration } => backfill::wish(parts, &integration, None),
        Order::DeliveriesList { integration, subject, limit } => {
            deliveries::list(parts, integration, subject, limit).await
        }
        Order::DeliveriesShow { id } => deliveries::show(parts, &id).await,
        Order::DeliveriesUndo { id, by } => deliveries::undo(parts, &id, &by).await,
        Order::DeliveriesPreview { integration, limit } => deliveries::preview(parts, &integration, limit).await,
        Order::KeysCreate { name, scopes, expires, limits } => {
            keys::create(parts, NewKey { name, scopes, lifetime: expires, limits }, keys::CLI).await
        }
        Order::KeysRotate { key, overlap, expires } => keys::rotate(parts, &key, overlap, expires).await,
        Order::KeysList {} => keys::list(parts).await,
        Order::KeysRevoke { key } => keys::revoke(parts, &key, keys::CLI).await,
        Order::DecisionsShow { id } => decisions::show(parts, &id).await,
        Order::DecisionsList { integration, subject, since, limit } => {
            decisions::list(parts, integration, subject, since.as_deref(), limit).await
        }
        Order::DecisionsExplain { id } => decisions::explain(parts, &id).await,
        Order::DecisionsReplay { id } => decisions::replay(parts, &id).await,
        Order::LettersList { limit } => letters::list(parts, limit).await,
        Order::LettersShow { id } => letters::show(parts, &id).await,
        Order::LettersRetry { id, set, by } => letters::retry(parts, &id, &set, &by).await,
        Order::ReviewsList { integration, limit } => reviews::list(parts, integration.as_deref(), limit).await,
        Order::ReviewsShow { id } => reviews::show(parts, &id).await,
        Order::ReviewsGive { id, verdict, by, note } => reviews::give(parts, &id, verdict, by, note).await,
        Order::LedgerProof { id, input, output, explanation } => {
            ledger::proof(parts, &id, Opening { input, output, explanation }).await
        }
        Order::LedgerCheckpoint {} => Ok(parts.book.checkpoint().await?.into()),
        Order::LedgerErase { subject } => ledger::erase(parts, &subject).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every order, and whether it reads or changes; all of them are the owner's, who alone can open the socket.
    const RULES: &str = include_str!("rules.txt");

    /// The names that a decoder knows, from what it says about one that it does not know.
    fn names(told: &str) -> Vec<&str> {
        let list = told.split_once("expected one of ").unwrap().1;
        list.split('`').skip(1).step_by(2).collect()
    }

    #[test]
    fn every_order_has_its_line_in_the_list() {
        let unknown = |text: &str| serde_json::from_str::<Order>(text).unwrap_err().to_string();
        let (orders, models) = (unknown(r#"{"do":"?"}"#), unknown(r#"{"do":"models","change":"?"}"#));
        let lines = names(&orders).into_iter().filter(|name| *name != "models").map(str::to_owned);
        let lines: Vec<_> = lines.chain(names(&models).into_iter().map(|name| format!("models/{name}"))).collect();
        let known: Vec<_> = RULES.lines().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(lines, known, "write the new order into rules.txt, with what it does");
    }
}
