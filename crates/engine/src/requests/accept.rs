//! Accepting a request: admitted like any other, its key looked up and claimed, its input sealed in an entry of its own,
//! durable before anybody is told.

use std::sync::Arc;

use bytes::Bytes;
use tendon_kernel::{
    Error, ErrorKind, Id, Result,
    context::Deadline,
    decision::Door,
    sockets::{
        ledger::{Body, Claim, Committed, Draft, EntryKind, Facts},
        model::Matrix,
    },
};
use tokio::sync::oneshot;

use super::{ROUTE, Waiting, form::RequestForm};
use crate::{
    ask::{Caller, Input},
    batch::{Batch, Case, late_error},
    engine::Engine,
    record_format::Snapshot,
    runtime::Ready,
    stages::{admit, dedupe, record::ledger_unavailable, validate},
};

/// A question whose answer may come later.
pub struct Request {
    /// Who asks.
    pub caller: Caller,
    /// Name of the integration.
    pub integration: String,
    /// The input: a JSON object as text.
    pub input: Bytes,
    /// Idempotency key.
    pub idempotency_key: Option<String>,
    /// Explain the decision when it is made.
    pub explain: bool,
    /// Address to be told of the decision; one that the integration declares.
    pub callback: Option<String>,
    /// When the acceptance is due; `None`: the integration's own deadline from now.
    pub deadline: Option<Deadline>,
}

/// A request that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Id that the decision will have, or has.
    pub id: Id,
    /// Whether the idempotency key stood for this decision before.
    pub replayed: bool,
}

impl Engine {
    /// Accepts a question to be decided later. When this returns, the question is durable: it will be decided, whatever
    /// happens to the process. Runs in a task of its own: a caller who hangs up cancels nothing.
    ///
    /// # Errors
    /// `NotFound` (no such integration), `Forbidden`, `Invalid` (a callback that is not declared), `Overloaded` (too many wait, or the caller's limits), `Conflict` (the
    /// key was used with another input), `Timeout`, `Unavailable` (not recorded, so not accepted).
    pub async fn accept(self: &Arc<Self>, request: Request) -> Result<Accepted> {
        let ready = admit::request(self, &request.caller, &request.integration, request.deadline)?;
        if let Some(url) = &request.callback
            && ready.plan.api.as_ref().and_then(|api| api.may_call(url)).is_none()
        {
            self.refused(&ready.plan.name, "callback_not_declared");
            return Err(undeclared(&ready.plan.name));
        }
        let (tell, told) = oneshot::channel();
        let engine = Arc::clone(self);
        let task = async move {
            let accepted = engine.take_in(&ready, request).await;
            // Nobody may be waiting any more; what was accepted is decided all the same.
            drop(tell.send(accepted));
        };
        self.context.spawn.spawn("accept", Box::pin(task));
        told.await.map_err(|_| {
            Error::new(ErrorKind::Unavailable, "stopping", "the engine stopped before the request was accepted")
                .hint("ask again with the same Idempotency-Key")
        })?
    }

    async fn take_in(&self, ready: &Arc<Ready>, request: Request) -> Result<Accepted> {
        let id = Id::new(&self.context);
        let mut case = Case::new(0, id, Input::Json(request.input));
        let claim = request.idempotency_key.map(|key| dedupe::claim_of(&mut case, ready, &request.caller, &key));
        let deadline = request.deadline.unwrap_or_else(|| admit::usual_deadline(self, ready));
        let _hold = match &claim {
            Some(claim) => {
                Some(self.running.hold(&claim.scope, deadline, &*self.context.clock).await.ok_or_else(late_error)?)
            }
            None => None,
        };
        // Before the question whether there is room: who asks again is told what was promised, however many wait.
        if let Some(claim) = &claim
            && let Some(taken) = self.ledger.claimed(claim).await.map_err(|cause| ledger_unavailable(&cause))?
        {
            return promised(&taken);
        }
        let Some(mut place) = self.requests.place(id, self.runtime().plan().limits.requests) else {
            self.refused(&ready.plan.name, "too_many_requests");
            return Err(too_many(&ready.plan.name));
        };
        let form = RequestForm {
            scope: request.caller.scope.to_string(),
            explain: request.explain,
            callback: request.callback,
        };
        let draft = self.draft(ready, &request.caller, case, &form, claim);
        let committed = self.ledger.commit(vec![draft]).await.map_err(|cause| ledger_unavailable(&cause))?;
        match committed.into_iter().next() {
            Some(Committed::New { seq }) => {
                place.kept = true;
                self.requests.enqueue(Waiting { seq, id });
                Ok(Accepted { id, replayed: false })
            }
            Some(taken) => promised(&taken),
            None => Err(Error::new(ErrorKind::Internal, "not_recorded", "the ledger answered for no entry")),
        }
    }

    /// The entry of a request. Its subject is told as validation tells it, because that chooses the key it is sealed with;
    /// whether the input is any good is the decision's to say.
    fn draft(
        &self,
        ready: &Arc<Ready>,
        caller: &Caller,
        case: Case,
        form: &RequestForm,
        claim: Option<Claim>,
    ) -> Draft {
        let mut batch = Batch {
            ready: Arc::clone(ready),
            caller: caller.clone(),
            door: Door::Api,
            explain: false,
            deadline: Deadline(std::time::Duration::MAX),
            at: self.stamp(),
            matrix: Matrix::default(),
            cases: vec![case],
        };
        validate::run(&mut batch);
        let (at, plan) = (batch.at, &ready.plan);
        let (mut subject, mut input, mut id) = (None, Vec::new(), Id([0; 16]));
        for case in &mut batch.cases {
            let well_formed = case.reading.as_ref().is_some_and(|reading| reading.well_formed);
            input = Snapshot::write(&case.input, well_formed, at, &[]);
            subject = case.subject.take();
            id = case.id;
        }
        let facts = Facts {
            kind: EntryKind::Request,
            id,
            at,
            integration: Arc::clone(&plan.name),
            model: None,
            route: ROUTE.into(),
            reason: "accepted".into(),
            caller: Arc::clone(&caller.id),
            policy: Arc::clone(&plan.policy),
            plan: Arc::clone(&ready.digest),
            retention: Arc::clone(&plan.retention),
            region: Arc::clone(&plan.region),
        };
        let body = Body { subject, input, more: form.encode(), ..Body::default() };
        Draft { facts, body, claim }
    }
}

/// What a taken key stands for.
fn promised(taken: &Committed) -> Result<Accepted> {
    match taken {
        Committed::Taken { id, same_input: true, .. } => Ok(Accepted { id: *id, replayed: true }),
        _ => Err(dedupe::conflict()),
    }
}

/// The address is the caller's own text and is not repeated: it may hold a key.
fn undeclared(name: &str) -> Error {
    Error::new(
        ErrorKind::Invalid,
        "callback_not_declared",
        "the integration does not declare this address for callbacks",
    )
    .with("integration", name)
    .at("/callback")
    .hint("only addresses below one of `doors.api.callbacks` are called; ask the integration's owner to declare it")
}

fn too_many(name: &str) -> Error {
    Error::new(ErrorKind::Overloaded, "too_many_requests", "too many accepted requests wait for their decision")
        .with("integration", name)
        .hint("ask again later, or without `Prefer: respond-async`; `server.requests` in tendon.yaml sets how many may wait")
}
