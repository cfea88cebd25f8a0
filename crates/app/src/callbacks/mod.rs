//! Callbacks: decisions that were asked for with an address to be told at. To the outbox a receiver is a system like any other,
//! so that a call is as durable, is tried again, dies and is retried as a write-back is. A call is a POST of a CloudEvent
//! (structured JSON), signed as Standard Webhooks says. At least once, always with the same `webhook-id`; in no order.

mod sign;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use serde_json::json;
use tendon_engine::{
    reviews, stored,
    systems::{Limits, Patience, System},
};
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Value,
    context::Context,
    decision::CALLBACK,
    error::Retry,
    schema::Catalog,
    sockets::{
        connector::{Capability, Change, Connector, Row, Scan, Watch, Write, WriteBatch, Written},
        http::{HttpClient, HttpRequest, HttpResponse, Method},
        ledger::{EntryKind, Ledger},
        secrets::Secrets,
    },
};
use tendon_plan::{Plan, callback::CallbackPlan};

/// Calls to one receiver at once.
const AT_ONCE: usize = 16;
/// Longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(900);
/// Answers are read no further.
const MOST_ANSWER: usize = 64 * 1024;

/// What all receivers share.
#[derive(Clone)]
pub(crate) struct Means {
    pub(crate) context: Context,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) http: Arc<dyn HttpClient>,
    pub(crate) secrets: Arc<dyn Secrets>,
}

/// Calls to the receivers at one origin.
struct Callbacks {
    means: Means,
    project: String,
    /// Integration → its receivers at this origin.
    receivers: BTreeMap<Arc<str>, Vec<CallbackPlan>>,
}

/// The receivers that a plan declares, as systems of the outbox; one that may be driven as before keeps its guard.
pub(crate) fn systems(
    plan: &Plan,
    means: &Means,
    before: &BTreeMap<Arc<str>, Arc<System>>,
) -> BTreeMap<Arc<str>, Arc<System>> {
    let mut origins: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Vec<CallbackPlan>>> = BTreeMap::new();
    for one in plan.integrations.values() {
        for callback in one.api.iter().flat_map(|api| &api.callbacks) {
            let origin = origins.entry(callback.origin.clone()).or_default();
            origin.entry(one.name.clone()).or_default().push(callback.clone());
        }
    }
    let system = |(origin, receivers): (Arc<str>, BTreeMap<Arc<str>, Vec<CallbackPlan>>)| {
        let name: Arc<str> = format!("{CALLBACK}{origin}").into();
        let all = || receivers.values().flatten();
        let longest = all().map(|one| one.timeout).max().unwrap_or_default();
        // Each call has its own deadline; this only ends what went wrong altogether.
        let timeout = longest.saturating_mul(2) + Duration::from_secs(5);
        let limits = Limits { concurrency: 1, timeout, ..Limits::default() };
        let give_up = all().map(|one| one.give_up).max().unwrap_or_default();
        let patience = Patience { give_up, at_once: AT_ONCE, longest_wait: LONGEST_WAIT };
        let connector = Arc::new(Callbacks { means: means.clone(), project: plan.project.to_string(), receivers });
        let system = match before.get(&name).filter(|system| *system.limits() == limits) {
            Some(system) => system.reconnected(connector),
            None => System::new(&name, connector, limits, means.context.clone()),
        };
        (name, Arc::new(system.patient(patience)))
    };
    origins.into_iter().map(system).collect()
}

impl Callbacks {
    /// One call.
    async fn call(&self, url: &str, write: &Write) -> Result<()> {
        let Some(Value::Text(id)) = write.key.first() else { return Err(nameless()) };
        let entries = self.means.ledger.entries_of(Id::parse(id)?).await?;
        let entry = entries.iter().find(|entry| entry.facts.kind == EntryKind::Decision).ok_or_else(nameless)?;
        let mut decision = stored::decision(entry)?;
        reviews::stand(&mut decision, &entries)?;
        let receiver = self.receivers.get(&entry.facts.integration).into_iter().flatten().find(|one| one.allows(url));
        let receiver = receiver.ok_or_else(undeclared)?;
        let body = json!({
            "specversion": "1.0",
            "id": id,
            "source": format!("/projects/{}/integrations/{}", self.project, decision.integration),
            "type": "tendon.decision.made",
            "subject": id,
            "time": decision.at.to_string(),
            "datacontenttype": "application/json",
            "data": decision,
        })
        .to_string();
        let seconds = self.means.context.clock.now().millis() / 1000;
        let mut signatures = Vec::new();
        for secret in [Some(&receiver.secret), receiver.old_secret.as_ref()].into_iter().flatten() {
            signatures.push(sign::signature(&self.means.secrets.resolve(secret)?, id, seconds, &body)?);
        }
        let deadline = self.means.context.deadline_in(receiver.timeout);
        let mut request = HttpRequest::new(Method::Post, url, deadline)
            .header("content-type", "application/cloudevents+json; charset=utf-8")
            .header("webhook-id", &**id)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", signatures.join(" "))
            .body(body);
        request.max_response = MOST_ANSWER;
        judge(&self.means.http.send(request).await.map_err(again)?)
    }
}

/// What an answer means.
fn judge(answer: &HttpResponse) -> Result<()> {
    let (code, message, retry) = match answer.status {
        _ if answer.ok() => return Ok(()),
        300..=399 => {
            ("callback_redirected", "the receiver answered with a redirect, which is not followed", Retry::Never)
        }
        410 => ("callback_gone", "the receiver does not want to be called any more", Retry::Never),
        _ => ("callback_refused", "the receiver did not take the call", Retry::Later),
    };
    Err(Error::new(ErrorKind::Unavailable, code, message).retry(retry).with("status", answer.status))
}

/// What kept a call from its receiver may be mended there; only a wrong address may not.
fn again(error: Error) -> Error {
    if error.kind() == ErrorKind::Config { error } else { error.retry(Retry::Later) }
}

fn nameless() -> Error {
    Error::new(ErrorKind::Internal, "callback_defect", "a callback names no decision")
}

fn undeclared() -> Error {
    Error::new(ErrorKind::Config, "callback_not_declared", "the callback's address is not declared any more")
        .hint("declare it under doors.api.callbacks, then retry the letter")
}

fn only_called<T>() -> BoxFuture<'static, Result<T>> {
    let error = Error::new(ErrorKind::Unsupported, "only_called", "a receiver of callbacks is called, nothing else");
    async move { Err(error) }.boxed()
}

impl Connector for Callbacks {
    fn capability(&self) -> Capability {
        Capability { write: true, ..Capability::default() }
    }

    fn catalog(&self) -> BoxFuture<'_, Result<Catalog>> {
        only_called()
    }

    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        only_called()
    }

    fn read<'a>(
        &'a self,
        _: &'a str,
        _: &'a [String],
        _: &'a [String],
        _: &'a [Vec<Value>],
    ) -> BoxFuture<'a, Result<Vec<Row>>> {
        only_called()
    }

    fn scan(&self, _: Scan) -> BoxFuture<'_, Result<Vec<Row>>> {
        only_called()
    }

    fn watch(&self, _: Watch) -> BoxFuture<'_, Result<Vec<Change>>> {
        only_called()
    }

    /// Calls at once, each with its own deadline. A receiver that nobody reached is down as a whole.
    fn write(&self, batch: WriteBatch) -> BoxFuture<'_, Result<Vec<Written>>> {
        async move {
            let calls = batch.writes.iter().map(|write| self.call(&batch.resource, write));
            let called = join_all(calls).await;
            let unreached =
                |result: &Result<()>| result.as_ref().is_err_and(|error| error.code() == "http_unreachable");
            if called.iter().all(unreached) {
                let first = called.into_iter().find_map(Result::err);
                return Err(first.unwrap_or_else(nameless));
            }
            let written = called.into_iter().map(|result| match result {
                Ok(()) => Written::Delivered { old: None },
                Err(error) => Written::Rejected(error),
            });
            Ok(written.collect())
        }
        .boxed()
    }
}
