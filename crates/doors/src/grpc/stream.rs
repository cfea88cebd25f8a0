//! `DecideStream`: questions come and answers go over one call. What has arrived meanwhile and belongs together is asked as one
//! batch; the next questions are read when the answers are taken, so that a slow reader holds back its own questions only.

use std::{
    collections::VecDeque,
    iter::Peekable,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
    vec::IntoIter,
};

use bytes::Bytes;
use futures_util::{
    future::{self, BoxFuture, Either},
    stream::{self, BoxStream, StreamExt as _},
};
use tendon_engine::ask::Answer;
use tendon_kernel::{Error, ErrorKind, Result, trace};
use tonic::{Code, Request, Response, Status, Streaming, server::StreamingService};

use super::{
    calls::{self, Call},
    convert,
    counters::Counters,
    pb::{self, DecideRequest, DecideStreamResponse, DecideStreamResponseResult as Outcome},
    status,
};
use crate::service::Questions as Batch;

/// Questions asked together at the most.
const GROUP: usize = 256;
/// How often a silent call looks whether the process is stopping.
const LOOK: Duration = Duration::from_secs(1);

/// The service behind one call.
pub(super) struct Questions {
    pub(super) call: Option<Call>,
    pub(super) counters: Arc<Counters>,
}

type Answers = BoxStream<'static, Result<DecideStreamResponse, Status>>;

impl StreamingService<DecideRequest> for Questions {
    type Response = DecideStreamResponse;
    type ResponseStream = Answers;
    type Future = BoxFuture<'static, Result<Response<Answers>, Status>>;

    fn call(&mut self, request: Request<Streaming<DecideRequest>>) -> Self::Future {
        let Some(call) = self.call.take() else {
            return Box::pin(future::ready(Err(Status::internal("a call is asked twice"))));
        };
        let groups = request.into_inner().ready_chunks(GROUP);
        let state = State { call, counters: self.counters.clone(), index: 0, groups: groups.boxed(), ended: false };
        // Answers are made while they are fetched, which is after the call has returned.
        let scope = trace::current();
        let answers = stream::unfold(state, move |mut state| {
            trace::within(scope.clone(), async move {
                let answers = state.next().await?;
                Some((stream::iter(answers), state))
            })
        });
        Box::pin(future::ready(Ok(Response::new(answers.flatten().boxed()))))
    }
}

struct State {
    call: Call,
    counters: Arc<Counters>,
    index: u64,
    groups: BoxStream<'static, Vec<Result<DecideRequest, Status>>>,
    ended: bool,
}

impl State {
    /// The answers to what has arrived; `None` at the end.
    async fn next(&mut self) -> Option<VecDeque<Result<DecideStreamResponse, Status>>> {
        if self.ended {
            return None;
        }
        let arrived = loop {
            let look = self.call.api.context.clock.sleep(LOOK);
            match future::select(self.groups.next(), look).await {
                Either::Left((arrived, _)) => break arrived?,
                Either::Right(_) if self.call.api.stopping.load(Relaxed) => {
                    // Whoever is silent must not keep the process from stopping.
                    let error = Error::new(ErrorKind::Unavailable, "stopping", "the process is stopping")
                        .hint("send what is left to another one, or after the restart");
                    self.ended = true;
                    return Some([Err(status::of(&error, &self.call.request))].into());
                }
                Either::Right(_) => {}
            }
        };
        let mut answers = VecDeque::with_capacity(arrived.len());
        let mut arrived = arrived.into_iter().peekable();
        while let Some(first) = arrived.next() {
            match first {
                Ok(first) => self.group(first, &mut arrived, &mut answers).await,
                Err(status) => {
                    // No question can be read any more: the call ends with this.
                    self.ended = true;
                    answers.push_back(Err(self.broken(&status)));
                    break;
                }
            }
        }
        Some(answers)
    }

    /// Asks one question and those after it that can be asked with it.
    async fn group(
        &mut self,
        first: DecideRequest,
        rest: &mut Peekable<IntoIter<Result<DecideRequest, Status>>>,
        answers: &mut VecDeque<Result<DecideStreamResponse, Status>>,
    ) {
        let (integration, explain) = (first.integration.clone(), first.explain);
        let same = |next: &Result<DecideRequest, Status>| {
            next.as_ref().is_ok_and(|next| next.integration == integration && next.explain == explain)
        };
        let mut group = vec![first];
        while let Some(Ok(next)) = rest.next_if(same) {
            group.push(next);
        }
        let mut problems = Vec::with_capacity(group.len());
        let mut items = Vec::with_capacity(group.len());
        for one in group {
            match calls::question(&self.call.api, one.input, &one.idempotency_key) {
                Ok(item) => {
                    items.push(item);
                    problems.push(None);
                }
                Err(error) => {
                    self.call.api.service.engine.refused(&integration, error.code());
                    problems.push(Some(error));
                }
            }
        }
        let mut given = self.ask(integration, explain, items).await.into_iter();
        for problem in problems {
            let result = match problem {
                Some(error) => Outcome::Problem(status::problem(&error)),
                None => match given.next() {
                    Some(Ok(answer)) => match status::of_decision(&answer.decision) {
                        Some(problem) => Outcome::Problem(problem),
                        None => Outcome::Answer(pb::DecideResponse {
                            decision: Some(convert::decision(&answer.decision)),
                            replayed: answer.replayed,
                        }),
                    },
                    Some(Err(error)) => Outcome::Problem(status::problem(&error)),
                    None => break,
                },
            };
            let code = if let Outcome::Problem(problem) = &result { Code::from(problem.status) } else { Code::Ok };
            self.counters.count("DecideStream", code);
            answers.push_back(Ok(DecideStreamResponse { index: self.index, result: Some(result) }));
            self.index += 1;
        }
    }

    /// One answer or error per question.
    async fn ask(
        &mut self,
        integration: String,
        explain: bool,
        items: Vec<(Bytes, Option<String>)>,
    ) -> Vec<Result<Answer>> {
        let Call { api, known, deadline, .. } = &self.call;
        let asked = items.len();
        if asked == 0 {
            return Vec::new();
        }
        match api.service.batch(known, Batch { integration, items, explain, deadline: *deadline }).await {
            Ok(answers) => answers.items,
            Err(error) => vec![Err(error); asked],
        }
    }

    /// Why the rest cannot be read, in our words where they are better.
    fn broken(&self, status: &Status) -> Status {
        let error = match status.code() {
            Code::OutOfRange => {
                crate::api::body::too_large(self.call.api.service.engine.runtime().plan().limits.body_bytes)
            }
            _ => return status.clone(),
        };
        status::of(&error, &self.call.request)
    }
}
