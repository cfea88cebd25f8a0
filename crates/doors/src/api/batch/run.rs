//! The work of one batch: records in, groups through the path, lines out. A group under way ends in the path whoever still
//! listens; what was read but not asked yet leaves nothing.

use std::{
    collections::VecDeque,
    io::Write as _,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    future::BoxFuture,
    stream::{FuturesOrdered, StreamExt as _},
};
use serde_json::json;
use tendon_engine::ask::Answer;
use tendon_kernel::{Error, ErrorKind, Result, decision::Outcome};
use tokio::sync::mpsc::Sender;

use super::{
    Order,
    lines::{Line, Lines},
};
use crate::{
    api::{Api, brake::NO_ROOM, envelope, problem::Problem},
    service::{Questions, idempotency_key},
};

/// Groups under way at once: one is recorded while the next is computed.
const UNDER_WAY: usize = 2;
/// Longest wait for room in the path before a group's records are told that there is none.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest wait for a caller that does not fetch its answers.
const UNREAD: Duration = Duration::from_secs(300);

/// One batch.
pub(super) struct Run {
    api: Arc<Api>,
    request: String,
    order: Arc<Order>,
    /// Records read.
    read: usize,
    ok: usize,
    errors: usize,
}

/// A record: what is asked, or why it is not.
pub(super) type Entry = Result<(Bytes, Option<String>)>;
/// The answers to a group, in its order.
type Answered = Vec<Result<Answer>>;

impl Run {
    pub(super) fn new(api: Arc<Api>, request: String, order: Order) -> Self {
        Self { api, request, order: Arc::new(order), read: 0, ok: 0, errors: 0 }
    }

    /// Works off a stream. Ends early when nobody listens any more.
    pub(super) async fn stream(mut self, mut lines: Lines, tell: Sender<Bytes>) {
        let mut under_way: FuturesOrdered<BoxFuture<'static, Answered>> = FuturesOrdered::new();
        let mut entries: VecDeque<Entry> = VecDeque::new();
        let mut ending: Option<Option<Error>> = None;
        loop {
            // Everything that is there, up to a group.
            while ending.is_none() && entries.len() < self.order.group {
                match lines.ready() {
                    Ok(Some(line)) if self.read < self.order.most => {
                        let entry = self.entry(line);
                        entries.push_back(entry);
                    }
                    Ok(Some(_)) => ending = Some(Some(self.too_many())),
                    Ok(None) if lines.over() => ending = Some(None),
                    Ok(None) => break,
                    Err(error) => ending = Some(Some(error)),
                }
            }
            if ending.is_none() && self.api.stopping.load(Relaxed) {
                ending = Some(Some(stopping()));
            }
            if !entries.is_empty() && under_way.len() < UNDER_WAY {
                under_way.push_back(self.ask(entries.drain(..).collect()));
                continue;
            }
            if under_way.is_empty() && ending.is_some() {
                break;
            }
            tokio::select! {
                biased;
                Some(answered) = under_way.next(), if !under_way.is_empty() => {
                    if !self.tell(&tell, answered).await {
                        return;
                    }
                }
                () = tell.closed() => return,
                more = lines.more(), if ending.is_none() && entries.len() < self.order.group && under_way.len() < UNDER_WAY => {
                    if let Err(error) = more {
                        ending = Some(Some(error));
                    }
                }
            }
        }
        let summary = self.summary(ending.flatten().as_ref());
        let _ = tell.send(summary).await;
    }

    /// A stream that broke before its first record.
    pub(super) async fn broken(self, error: &Error, tell: Sender<Bytes>) {
        let _ = tell.send(self.summary(Some(error))).await;
    }

    /// Works off records that are all there; gives the lines of their answers, and the summary.
    pub(super) async fn whole(mut self, records: Vec<Bytes>) -> (Vec<u8>, Bytes) {
        let mut out = Vec::new();
        let mut records = records.into_iter();
        loop {
            let group: Vec<Bytes> = records.by_ref().take(self.order.group).collect();
            if group.is_empty() {
                break;
            }
            let entries = group.into_iter().map(|record| self.entry(Ok(record))).collect();
            let answered = self.ask(entries).await;
            self.write(&mut out, answered);
        }
        let summary = self.summary(None);
        (out, summary)
    }

    /// One record as it is asked.
    fn entry(&mut self, line: Line) -> Entry {
        let number = self.read;
        self.read += 1;
        let entry = line.and_then(|line| envelope::record(&line, self.order.depth)).and_then(|(input, key)| {
            let derived = || self.order.key.as_ref().map(|key| idempotency_key(Some(&format!("{key}#{number}"))));
            let key = key.map_or_else(|| derived().transpose(), |key| Ok(Some(key)))?;
            Ok((input, key))
        });
        if let Err(error) = &entry {
            // The path never sees it; the ledger still counts it.
            self.api.engine.refused(&self.order.integration, error.code());
        }
        entry
    }

    /// Asks a group; waits while there is no room in the path.
    fn ask(&self, entries: Vec<Entry>) -> BoxFuture<'static, Answered> {
        let (api, order) = (self.api.clone(), self.order.clone());
        Box::pin(async move {
            let asked: Vec<_> = entries.iter().filter_map(|entry| entry.as_ref().ok().cloned()).collect();
            let answers = if asked.is_empty() { Vec::new() } else { decided(&api, &order, asked).await };
            let mut answers = answers.into_iter();
            let merged = entries.into_iter().map(|entry| match entry {
                Ok(_) => answers.next().unwrap_or_else(|| {
                    Err(Error::new(ErrorKind::Internal, "no_answer", "the path gave no answer to a question"))
                }),
                Err(error) => Err(error),
            });
            merged.collect()
        })
    }

    /// Hands the lines of a group to the caller; `false` when nobody fetches them.
    async fn tell(&mut self, tell: &Sender<Bytes>, answered: Answered) -> bool {
        let mut out = Vec::with_capacity(answered.len() * 640);
        self.write(&mut out, answered);
        matches!(tokio::time::timeout(UNREAD, tell.send(Bytes::from(out))).await, Ok(Ok(())))
    }

    /// Writes the lines of a group.
    fn write(&mut self, out: &mut Vec<u8>, answered: Answered) {
        for answer in answered {
            let index = self.ok + self.errors;
            let good = match &answer {
                Ok(answer) if matches!(answer.decision.outcome, Outcome::Ok | Outcome::Degraded) => {
                    let replayed = if answer.replayed { ",\"replayed\":true" } else { "" };
                    let _ = write!(out, "{{\"index\":{index}{replayed},\"decision\":");
                    let _ = serde_json::to_writer(&mut *out, &*answer.decision);
                    true
                }
                Ok(answer) => {
                    self.write_error(out, index, &Problem::of_decision(&answer.decision, &self.request));
                    false
                }
                Err(error) => {
                    self.write_error(out, index, &Problem::of(error, &self.request));
                    false
                }
            };
            out.extend_from_slice(b"}\n");
            *(if good { &mut self.ok } else { &mut self.errors }) += 1;
        }
    }

    fn write_error(&self, out: &mut Vec<u8>, index: usize, problem: &Problem<'_>) {
        let _ = write!(out, "{{\"index\":{index},\"error\":");
        let _ = serde_json::to_writer(&mut *out, problem);
    }

    /// The last line: how many records were answered, and whether that was all.
    fn summary(&self, error: Option<&Error>) -> Bytes {
        let mut summary = json!({
            "records": self.ok + self.errors, "ok": self.ok, "errors": self.errors, "complete": error.is_none(),
        });
        if let Some(error) = error {
            summary["error"] = serde_json::to_value(Problem::of(error, &self.request)).unwrap_or_default();
        }
        format!("{}\n", json!({ "summary": summary })).into()
    }

    fn too_many(&self) -> Error {
        Error::new(ErrorKind::Invalid, "batch_too_long", "the batch has more records than allowed").hint(format!(
            "at most {}; `server.batch_records` in tendon.yaml sets it; the rest was not read",
            self.order.most
        ))
    }
}

/// The path's answers to a group; an error that concerns all of them is each one's.
async fn decided(api: &Api, order: &Order, items: Vec<(Bytes, Option<String>)>) -> Answered {
    let count = items.len();
    let began = api.context.clock.monotonic();
    let mut wait = Duration::from_millis(2);
    loop {
        let questions = Questions {
            integration: order.integration.clone(),
            items: items.clone(),
            explain: order.explain,
            deadline: order.left.map(|left| api.context.deadline_in(left)),
        };
        match api.service.batch(&order.known, questions).await {
            Ok(answers) => return answers.items,
            // Room comes with the next answers; what a caller may ask in a day does not.
            Err(error) if error.code() == NO_ROOM && api.context.clock.monotonic().saturating_sub(began) < PATIENCE => {
                api.context.clock.sleep(wait).await;
                wait = (wait * 2).min(Duration::from_millis(200));
            }
            Err(error) => return (0..count).map(|_| Err(error.clone())).collect(),
        }
    }
}

fn stopping() -> Error {
    Error::new(ErrorKind::Unavailable, "stopping", "the process is stopping; the rest of the batch was not read")
        .hint("send the records without an answer again")
}
