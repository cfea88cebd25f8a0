//! The load generator: HTTP/1.1 over kept-alive connections, without an HTTP library, so that it costs less than any server it
//! measures. Closed loop for throughput; for latency an open loop at a fixed rate, each latency counted from the moment the
//! request was due, so that a stalled server cannot hide the requests it kept waiting (coordinated omission).

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    rc::Rc,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    task::LocalSet,
};

use crate::{Res, histogram::Histogram, request::Request};

/// What a load found.
pub(crate) struct Found {
    /// Answers per second.
    pub(crate) rate: f64,
    /// All answers that are none of a refusal, also those of the time that is not counted.
    pub(crate) answers: u64,
    /// Latencies of the answers.
    pub(crate) latency: Histogram,
    /// Answers whose status was not 200, and how many of each sort: status and code.
    pub(crate) refused: u64,
    pub(crate) reasons: BTreeMap<String, u64>,
    /// How long those took, from when they were sent.
    pub(crate) refusals: Histogram,
    /// Requests that found no free connection in time, and were not sent.
    pub(crate) unsent: u64,
}

/// A server to be asked.
#[derive(Clone)]
pub(crate) struct Target {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What it is asked.
    pub(crate) request: Request,
}

/// Each connection sends its next request when its answer is there. What the first fifth of the time did is not counted.
pub(crate) fn closed(target: &Target, connections: usize, time: Duration) -> Res<Found> {
    let start = Instant::now();
    let from = start + time / 5;
    let until = start + time;
    let shared = Rc::new(Shared::default());
    run(
        target,
        connections,
        &shared,
        async move |mut connection: Connection, shared: Rc<Shared>| {
            while Instant::now() < until {
                let sent = Instant::now();
                let answer = connection.exchange().await?;
                shared.answered(answer);
                if sent >= from {
                    shared.count(sent.elapsed(), sent, answer);
                }
            }
            Ok(())
        },
        None,
    )?;
    Ok(shared.found(until - from))
}

/// Requests become due at a fixed rate and wait for a free connection.
pub(crate) fn open(target: &Target, connections: usize, rate: f64, time: Duration) -> Res<Found> {
    impatient(target, connections, rate, time, Duration::MAX)
}

/// As [`open`], but a request that finds no free connection within the patience is given up.
pub(crate) fn impatient(
    target: &Target,
    connections: usize,
    rate: f64,
    time: Duration,
    patience: Duration,
) -> Res<Found> {
    let start = Instant::now() + Duration::from_millis(50);
    let from = start + time / 5;
    let until = start + time;
    let shared = Rc::new(Shared::default());
    let pace = Pace { start, until, step: Duration::from_secs_f64(1.0 / rate) };
    run(
        target,
        connections,
        &shared,
        async move |mut connection: Connection, shared: Rc<Shared>| {
            loop {
                let due = shared.due.borrow_mut().pop_front();
                match due {
                    Some(due) if due.elapsed() > patience => shared.give_up(due >= from),
                    Some(due) => {
                        let sent = Instant::now();
                        let answer = connection.exchange().await?;
                        shared.answered(answer);
                        if due >= from {
                            shared.count(due.elapsed(), sent, answer);
                        }
                    }
                    None if shared.ended.get() => return Ok(()),
                    None => shared.more.notified().await,
                }
            }
        },
        Some(pace),
    )?;
    Ok(shared.found(until - from))
}

#[derive(Default)]
struct Shared {
    answers: Cell<u64>,
    latency: RefCell<Histogram>,
    reasons: RefCell<BTreeMap<String, u64>>,
    refusals: RefCell<Histogram>,
    unsent: Cell<u64>,
    due: RefCell<VecDeque<Instant>>,
    more: Notify,
    ended: Cell<bool>,
}

impl Shared {
    fn answered(&self, answer: &[u8]) {
        self.answers.set(self.answers.get() + u64::from(answer.starts_with(OK)));
    }

    fn count(&self, latency: Duration, sent: Instant, answer: &[u8]) {
        self.latency.borrow_mut().record(latency);
        if !answer.starts_with(OK) {
            *self.reasons.borrow_mut().entry(reason(answer)).or_default() += 1;
            self.refusals.borrow_mut().record(sent.elapsed());
        }
    }

    fn give_up(&self, counted: bool) {
        self.unsent.set(self.unsent.get() + u64::from(counted));
    }

    fn found(&self, time: Duration) -> Found {
        let latency = self.latency.take();
        let rate = latency.total() as f64 / time.as_secs_f64();
        let reasons = self.reasons.take();
        let (refused, refusals) = (reasons.values().sum(), self.refusals.take());
        Found { rate, answers: self.answers.get(), latency, refused, reasons, refusals, unsent: self.unsent.get() }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

/// What a timer can tell apart.
const TIMER: Duration = Duration::from_millis(1);

/// When requests become due.
struct Pace {
    start: Instant,
    until: Instant,
    step: Duration,
}

impl Pace {
    /// Spins instead of sleeping where requests are due more often than a timer, which is a millisecond coarse, can wake: this
    /// core has nothing else to do. A slow load sleeps, and leaves the core to others for the hours that it may last.
    async fn run(self, shared: &Shared) {
        let mut next = self.start;
        while next < self.until && !shared.ended.get() {
            let now = Instant::now();
            while next <= now && next < self.until {
                shared.due.borrow_mut().push_back(next);
                shared.more.notify_one();
                next += self.step;
            }
            if self.step < TIMER {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep_until(next.into()).await;
            }
        }
        shared.ended.set(true);
        shared.more.notify_waiters();
    }
}

/// Opens the connections and runs one task on each, all on one thread.
fn run<F>(target: &Target, connections: usize, shared: &Rc<Shared>, task: F, pace: Option<Pace>) -> Res<()>
where
    F: AsyncFn(Connection, Rc<Shared>) -> Res<()> + Clone + 'static,
{
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    LocalSet::new().block_on(&runtime, async {
        let mut tasks = Vec::new();
        for _ in 0..connections {
            let connection = Connection::open(target).await?;
            let (task, shared) = (task.clone(), shared.clone());
            tasks.push(tokio::task::spawn_local(async move {
                let outcome = task(connection, Rc::clone(&shared)).await;
                // A server that died is no reason to go on for an hour.
                if outcome.is_err() {
                    shared.ended.set(true);
                }
                outcome
            }));
        }
        if let Some(pace) = pace {
            pace.run(shared).await;
        }
        for task in tasks {
            task.await.map_err(|error| error.to_string())??;
        }
        Ok(())
    })
}

/// How an answer begins that is none of a refusal.
const OK: &[u8] = b"HTTP/1.1 200";

/// Status and code of an answer that is none of a success.
fn reason(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let status = text.split(' ').nth(1).unwrap_or("no status");
    let code =
        text.split_once("\"code\":\"").and_then(|(_, rest)| rest.split_once('"')).map_or("no code", |(code, _)| code);
    format!("{status} {code}")
}

/// The bodies of the answers to so many requests, one after the other; a refusal is an error.
pub(crate) fn bodies(target: &Target, count: usize) -> Res<Vec<Vec<u8>>> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut connection = Connection::open(target).await?;
        connection.request = target.request.clone();
        let mut bodies = Vec::with_capacity(count);
        for _ in 0..count {
            let answer = connection.exchange().await?;
            let start = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
            if !answer.starts_with(OK) {
                return Err(format!("refused: {}", String::from_utf8_lossy(answer)));
            }
            bodies.push(answer.get(start..).unwrap_or_default().to_vec());
        }
        Ok(bodies)
    })
}

/// Sequences given out so far.
static OPENED: AtomicU64 = AtomicU64::new(0);

/// The request with a sequence that no load had before: the second must not ask about the people of the first.
pub(crate) fn fresh(request: &Request) -> Request {
    request.seeded(OPENED.fetch_add(1, Ordering::Relaxed) << 16)
}

/// One kept-alive connection.
struct Connection {
    stream: TcpStream,
    request: Request,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(target: &Target) -> Res<Self> {
        let failed = |error: std::io::Error| format!("connecting to {} failed: {error}", target.address);
        let stream = TcpStream::connect(target.address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Self { stream, request: fresh(&target.request), buffer: vec![0; 64 * 1024] })
    }

    /// Sends the next request and reads its answer.
    async fn exchange(&mut self) -> Res<&[u8]> {
        let failed = |error: std::io::Error| format!("the connection broke: {error}");
        self.stream.write_all(self.request.next()).await.map_err(failed)?;
        let mut filled = 0;
        loop {
            let space =
                self.buffer.get_mut(filled..).filter(|space| !space.is_empty()).ok_or("an answer is too long")?;
            let read = self.stream.read(space).await.map_err(failed)?;
            if read == 0 {
                return Err("the server closed the connection".to_owned());
            }
            filled += read;
            let answer = self.buffer.get(..filled).unwrap_or_default();
            if let Some(length) = answer_length(answer)?
                && filled >= length
            {
                return Ok(self.buffer.get(..length).unwrap_or_default());
            }
        }
    }
}

/// Length of head and body together, once the head is complete.
fn answer_length(answer: &[u8]) -> Res<Option<usize>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = answer.get(..end).unwrap_or_default();
    let name = b"content-length: ";
    let at =
        head.windows(name.len()).position(|part| part.eq_ignore_ascii_case(name)).ok_or("an answer has no length")?;
    let digits = head.iter().skip(at + name.len()).take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
    Ok(Some(end + 4 + length))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// A server that answers each of two connections until it hangs up.
    fn answering() -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().take(2) {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                        stream.write_all(b"HTTP/1.1 503 No\r\ncontent-length: 15\r\n\r\n{\"code\":\"busy\"}").unwrap();
                    }
                });
            }
        });
        address
    }

    #[test]
    fn every_due_request_is_sent_and_counted_once() {
        let target = Target { address: answering(), request: Request::new("/", "key", 1, u64::MAX) };
        let found = open(&target, 2, 1000.0, Duration::from_millis(100)).unwrap();
        assert_eq!((found.latency.total(), found.refused), (80, 80), "a fifth of the time is not counted");
        assert_eq!((found.refusals.total(), found.unsent), (80, 0));
        assert_eq!(found.reasons, BTreeMap::from([("503 busy".to_owned(), 80)]));
    }

    #[test]
    fn who_has_no_patience_sends_nothing_late() {
        let target = Target { address: answering(), request: Request::new("/", "key", 1, u64::MAX) };
        let found = impatient(&target, 2, 1000.0, Duration::from_millis(100), Duration::ZERO).unwrap();
        assert_eq!(found.latency.total() + found.unsent, 80, "each is sent or given up");
        assert!(found.unsent > 0);
    }

    #[test]
    fn a_closed_loop_asks_again_and_again() {
        let target = Target { address: answering(), request: Request::new("/", "key", 1, u64::MAX) };
        let found = closed(&target, 2, Duration::from_millis(50)).unwrap();
        assert!(found.latency.total() > 2 && found.refused == found.latency.total());
        assert_eq!(found.answers, 0, "a refusal costs less than an answer: it must not make one look cheap");
    }

    #[test]
    fn the_length_of_an_answer_is_known_once_its_head_is_there() {
        assert_eq!(answer_length(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n"), Ok(None));
        assert_eq!(answer_length(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nx: y\r\n\r\nabc"), Ok(Some(45 + 12)));
        assert!(answer_length(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
