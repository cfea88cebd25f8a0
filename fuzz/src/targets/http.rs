//! Bytes as they come over a connection, through the whole of HTTP: heads, bodies, credentials, every route. A whole request has an
//! answer, which is well formed, never a defect, and holds no value of a person when it refuses. `@KEY@` in an input stands for a key
//! that may do everything.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tendon_doors::{
    api::{Api, Brake, Counters, Http, PartHealth, Speaks, Status, converse},
    console::{Chapter, Console, LedgerView, Noted, Office, Order, Return, Slot, Span},
    graphql::Schemas,
    keys::{KeyRing, NewKey, Scope},
    service::{Desk, Service, SystemView},
    trust::{Gate, GateParts},
};
use tendon_engine::outbox::{self, DeadLetter, DeliveryReport, DeskState, Edit, Payload, Place, Waits};
use tendon_kernel::{
    Error, ErrorKind, Id, Result as Told, Timestamp,
    context::Context,
    sockets::{
        http::HttpClient,
        ledger::{Entry, LedgerState},
    },
};
use tendon_platform::OutgoingHttp;
use tendon_testkit::{MemStore, Promise, TestKeys, TestSecrets};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    runtime::Runtime,
};

use super::{PERSON, Run, Target, Verdict, about, is_a_name, kind, path::runtime};
use crate::world::{self, Forgetful};

pub(super) const TARGET: Target = Target {
    name: "http",
    about: "whole requests: heads, credentials, routes, bodies",
    words: &[
        "GET ",
        "POST ",
        "HEAD ",
        "OPTIONS ",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        "host: a\r\n",
        "content-length: 5\r\n",
        "transfer-encoding: chunked\r\n",
        "content-type: application/json\r\n",
        "content-type: application/x-ndjson\r\n",
        "authorization: Bearer @KEY@\r\n",
        "prefer: respond-async\r\n",
        "idempotency-key: a\r\n",
        "tendon-timeout-ms: 5\r\n",
        "if-none-match: *\r\n",
        "origin: https://a\r\n",
        "expect: 100-continue\r\n",
        "\r\n\r\n",
        "/v1/integrations/lead-score/decisions",
        "/v1/integrations/lead-score/batches",
        "/v1/decisions",
        "/v1/reviews",
        "/console/sign-in",
        "cookie: tendon_session=",
        "?limit=",
        "&cursor=",
        "&since=",
        "%00",
        "%ff",
        "%2e%2e/",
        "traceparent: 00-",
        "accept: */*\r\n",
        "connection: close\r\n",
    ],
    memory: (4 << 20, 400),
    short: 3000,
    open: || Box::new(Front::open()),
};

/// Turns of the runtime without an answer, after which there is none.
const TURNS: u32 = 100;

/// The doors over an engine that keeps nothing.
pub(super) struct Front {
    runtime: Runtime,
    api: Arc<Api>,
    speaks: Speaks,
    key: String,
    _folder: tempfile::TempDir,
}

struct Nothing;

impl Office for Nothing {
    fn trend(&self, _: &str, _: Span) -> Vec<Option<Slot>> {
        Vec::new()
    }

    fn past(&self, _: &str, _: Duration) -> Slot {
        Slot::default()
    }

    fn uptime(&self, _: u32) -> Option<f64> {
        None
    }

    fn watched_since(&self) -> Option<Timestamp> {
        None
    }

    fn outbox_by_integration(&self) -> BTreeMap<Arc<str>, usize> {
        BTreeMap::new()
    }

    fn ledger(&self) -> BoxFuture<'_, LedgerView> {
        let state = LedgerState { size: 0, checkpoint: 0, projected: 0, stopped: None };
        Box::pin(async move {
            LedgerView { state, files: None, checkpoint: None, published: None, verification: None, most: 0 }
        })
    }

    fn log_key(&self) -> String {
        "fuzz+00000000+AA==".to_owned()
    }

    fn returns(&self) -> BoxFuture<'_, Told<Vec<Return>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn verify<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Told<()>> {
        Box::pin(async { Err(Error::new(ErrorKind::NotFound, "nothing", "there is nothing here")) })
    }

    fn chapter(&self, _: Chapter, _: Option<u64>, _: usize) -> BoxFuture<'_, Told<Vec<Noted>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn outbox(&self, _: usize) -> Vec<(Arc<str>, DeskState, Vec<Waits>)> {
        Vec::new()
    }

    fn carry_out<'a>(&'a self, _: Order, _: &'a str) -> BoxFuture<'a, Told<serde_json::Value>> {
        Box::pin(async { Err(Error::new(ErrorKind::NotFound, "nothing", "there is nothing here")) })
    }
}

impl Desk for Nothing {
    fn systems(&self) -> Vec<SystemView> {
        Vec::new()
    }

    fn deliveries(&self, entries: &[Entry]) -> Told<Vec<DeliveryReport>> {
        outbox::report(entries)
    }

    fn letters(&self, _: Option<Place>, _: usize) -> BoxFuture<'_, Told<Vec<DeadLetter>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn letters_changed(&self) -> u64 {
        0
    }

    fn retry<'a>(&'a self, _: &'a str, _: &'a str, _: Option<Edit>) -> BoxFuture<'a, Told<Id>> {
        Box::pin(async { Err(Error::new(ErrorKind::NotFound, "no_letter", "there is no such letter")) })
    }

    fn payload<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Told<Payload>> {
        Box::pin(async { Err(Error::new(ErrorKind::NotFound, "no_letter", "there is no such letter")) })
    }
}

impl Status for Nothing {
    fn parts(&self) -> BoxFuture<'_, Vec<PartHealth>> {
        Box::pin(async { Vec::new() })
    }

    fn measure(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

impl Front {
    pub(super) fn open() -> Self {
        Self::open_with(|context| Arc::new(OutgoingHttp::new(context.clock.clone())))
    }

    /// The same with another way out.
    pub(super) fn open_with(out: impl FnOnce(&Context) -> Arc<dyn HttpClient>) -> Self {
        let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap_or_else(|error| panic!("a folder: {error}")));
        let (api, key) = runtime.block_on(api(folder.path(), out)).unwrap_or_else(|error| panic!("{error}"));
        let speaks = Speaks::http(&api);
        Self { runtime, api, speaks, key, _folder: folder }
    }

    /// What recognises callers.
    pub(super) fn gate(&self) -> &Gate {
        &self.api.gate
    }

    /// Waits for something.
    pub(super) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Everything that is answered to these bytes.
    pub(super) fn exchange(&self, input: &[u8]) -> Vec<u8> {
        let bytes = replaced(input, self.key.as_bytes());
        let (api, speaks) = (self.api.clone(), self.speaks.clone());
        self.runtime.block_on(async move {
            let (near, far) = tokio::io::duplex(1 << 20);
            let serving = tokio::spawn(async move { converse(&api, &speaks, Http::default(), far).await });
            let (mut read, mut write) = tokio::io::split(near);
            // The server may hang up before it has read everything: what counts is its answer.
            let _ = write.write_all(&bytes).await;
            let (mut answer, mut calm) = (Vec::new(), 0);
            // Everything runs on this thread: when nothing came for many turns, nothing comes. Then the caller hangs up, which ends
            // also what waits for the rest of a request. Before, it would take the answer away.
            loop {
                tokio::select! {
                    biased;
                    read = read.read_buf(&mut answer) => match read {
                        Ok(0) | Err(_) => break,
                        Ok(_) => calm = 0,
                    },
                    () = tokio::task::yield_now() => {
                        calm += 1;
                        if calm == TURNS {
                            let _ = write.shutdown().await;
                        }
                    }
                }
            }
            if let Err(error) = serving.await
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
            answer
        })
    }
}

async fn api(folder: &std::path::Path, out: impl FnOnce(&Context) -> Arc<dyn HttpClient>) -> Told<(Arc<Api>, String)> {
    let context = tendon_platform::context(folder)?;
    let engine = world::engine(&context);
    let store = Arc::new(MemStore::new(context.clock.clone(), 1, "keys", Promise::Records));
    let keys = Arc::new(KeyRing::open(store, Arc::new(Forgetful), context.clone()).await?);
    let (key, _) = keys.create(NewKey::new("fuzz", [Scope::Admin].into_iter().collect()), "fuzz").await?;
    let (sealed, secrets) = (Arc::new(TestKeys::new(7)), Arc::new(TestSecrets::new([])));
    let gate = Gate::new(GateParts { keys, context: context.clone(), http: out(&context), sealed, secrets });
    gate.adopt(gate.prepare(engine.runtime().plan())?);
    let explain = Arc::new(|_| -> BoxFuture<'static, _> {
        Box::pin(async {
            Err(Error::new(ErrorKind::Unsupported, "no_explanation", "nothing is kept that could be explained"))
        })
    });
    let service = Service { engine: engine.clone(), explain, desk: Arc::new(Nothing) };
    let api = Api {
        engine,
        service: Arc::new(service),
        console: Console::new(Arc::new(Nothing)),
        graphql: Schemas::default(),
        gate: Arc::new(gate),
        brake: Brake::new(&context.metrics),
        counters: Counters::new(&context.metrics),
        context,
        status: Arc::new(Nothing),
        body_timeout: Duration::from_secs(10),
        stopping: Arc::default(),
    };
    Ok((Arc::new(api), key.reveal().to_owned()))
}

fn replaced(input: &[u8], key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(input.len() + 64);
    let mut rest = input;
    while let Some(at) = rest.windows(5).position(|window| window == b"@KEY@") {
        out.extend([&rest[..at], key].concat());
        rest = &rest[at + 5..];
    }
    out.extend(rest);
    out
}

/// Whether these bytes begin with a whole request without a body: it has an answer, whatever it asks.
fn whole(input: &[u8]) -> bool {
    let Some(end) = input.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let Ok(head) = std::str::from_utf8(&input[..end]) else { return false };
    let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let words: Vec<&str> = line.split(' ').collect();
    let bodiless = !["content-length", "transfer-encoding", "upgrade", "expect"]
        .iter()
        .any(|name| headers.to_ascii_lowercase().contains(name));
    bodiless
        && matches!(words.as_slice(), ["GET" | "POST" | "OPTIONS", target, "HTTP/1.1" | "HTTP/1.0"] if target.starts_with('/'))
}

/// Judges the first answer of a connection: its status and its code.
pub(super) fn judge(answer: &[u8]) -> Result<(u16, String), String> {
    if answer.is_empty() {
        return Ok((0, String::new()));
    }
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("no whole head: {text}"))?;
    let status: u16 =
        head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(|| format!("no status: {head}"))?;
    if !head.starts_with("HTTP/1.") || !(100..600).contains(&status) {
        return Err(format!("no answer: {head}"));
    }
    // 501 says that something is not offered, 503 and 504 that it is not offered now.
    if status >= 500 && ![501, 503, 504].contains(&status) {
        return Err(format!("a defect: {text}"));
    }
    let problem = head.to_ascii_lowercase().contains("content-type: application/problem+json");
    if status >= 400 && problem {
        if text.contains(PERSON) {
            return Err(format!("the refusal tells a value: {text}"));
        }
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
        let whole = &body[..length.unwrap_or(body.len()).min(body.len())];
        let Ok(document) = serde_json::from_str::<serde_json::Value>(whole) else {
            // An answer to HEAD has no body; the next answer may follow it.
            let none = body.is_empty() || body.starts_with("HTTP/1.");
            return if none { Ok((status, String::new())) } else { Err(format!("no document: {text}")) };
        };
        let code = document["code"].as_str().unwrap_or_default().to_owned();
        let whole = !code.is_empty() && document["request_id"].is_string() && document["retryable"].is_boolean();
        return if whole { Ok((status, code)) } else { Err(format!("no whole problem: {text}")) };
    }
    Ok((status, String::new()))
}

impl Run for Front {
    fn run(&mut self, input: &[u8]) -> Result<Verdict, String> {
        let answer = self.exchange(input);
        if answer.is_empty() && whole(input) {
            return Err("a whole request has no answer".to_owned());
        }
        let (status, code) =
            judge(&answer).or_else(|why| if is_a_name(input) { Ok((0, String::new())) } else { Err(why) })?;
        Ok(Verdict { kind: kind(&[&status, &code, &about(answer.len())]), taken: (200..300).contains(&status) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_answered_and_mostly_well() {
        let mut front = Front::open();
        let mut told = Vec::new();
        for input in crate::kept::inputs("corpus", "http") {
            let answer = front.exchange(&input);
            told.push(judge(&answer).unwrap());
            front.run(&input).unwrap();
        }
        let good = told.iter().filter(|(status, _)| (200..300).contains(status)).count();
        assert!(good >= 15, "{told:?}");
    }
}
