//! Who uses the program meanwhile: callers who ask with a key of their own until they are answered, callers with whole batches,
//! people who change the CRM, and somebody who looks at readiness. Callers write down, and sync, each answer before the next.

use std::{
    fs::File,
    io::{self, Write as _},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

use serde_json::{Value as Json, json};
use tendon_testkit::Rng;

use crate::{
    LONG, Res,
    crm::People,
    http::Answer,
    place::{Place, Setup, rest},
};

/// Records of one batch.
const BATCH: u64 = 40;

/// What a caller writes down.
pub(crate) struct Log(File);

impl Log {
    pub(crate) fn create(place: &Place, name: &str) -> Res<Self> {
        let file = File::create(place.folder.join(format!("client-{name}.jsonl")));
        Ok(Self(file.map_err(|error| format!("a client's log could not be made: {error}"))?))
    }

    pub(crate) fn write(&mut self, line: &Json) -> Res<()> {
        let written = self.0.write_all(format!("{line}\n").as_bytes());
        written.map_err(|error| format!("a client's log: {error}"))
    }

    /// Written and on the disk: an answer that is not kept cannot be missed.
    pub(crate) fn keep(&mut self, place: &Place, key: &str, decision: &Json) -> Res<()> {
        let kept: serde_json::Map<String, Json> = ["id", "output", "band", "outcome", "at"]
            .iter()
            .map(|&name| (name.to_owned(), decision[name].clone()))
            .collect();
        self.write(&json!({ "what": "answer", "key": key, "decision": kept }))?;
        self.0.sync_data().map_err(|error| format!("a client's log: {error}"))?;
        place.answered.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// Runs all load until `fault` ends; then callers finish what they asked.
pub(crate) fn under(place: &Place, setup: &Setup, fault: impl FnOnce() -> Res<()>) -> Res<()> {
    let (stop, watching) = (&AtomicBool::new(false), &AtomicBool::new(true));
    std::thread::scope(|scope| {
        let mut busy = Vec::new();
        for number in 1..=setup.callers {
            busy.push(scope.spawn(move || call(place, number, setup.subjects, stop)));
        }
        for number in 1..=setup.batchers {
            busy.push(scope.spawn(move || batch(place, 500 + number, stop)));
        }
        if setup.people {
            busy.push(scope.spawn(|| work(place, setup, stop)));
        }
        let watcher = scope.spawn(|| {
            while watching.load(Relaxed) {
                place.look();
                rest(Duration::from_millis(20));
            }
        });
        let mut outcome = fault();
        place.given_up.store(outcome.is_err(), Relaxed);
        stop.store(true, Relaxed);
        for one in busy {
            let ended = one.join().unwrap_or_else(|_| Err("a caller broke".to_owned()));
            outcome = outcome.and(ended);
        }
        watching.store(false, Relaxed);
        drop(watcher.join());
        outcome
    })
}

/// A question: its key, subject and balance.
pub(crate) struct Question {
    pub(crate) key: String,
    subject: u64,
    balance: u64,
}

impl Question {
    pub(crate) fn new(place: &Place, caller: u64, count: u64, subjects: u64, rng: &mut Rng) -> Self {
        let key = format!("{}-{caller}-{count}", place.seed);
        let first = caller * 10_000_000;
        match count.checked_rem(subjects) {
            // The same subject is asked about with the same input, so that its answer can be recalled.
            Some(again) => Self { key, subject: first + again, balance: again * 1000 },
            None => Self { key, subject: first + count, balance: rng.below(1 << 29) },
        }
    }

    fn input(&self) -> Json {
        json!({ "id": self.subject, "balance": self.balance })
    }

    /// Asks for the decision with this question's key.
    pub(crate) fn ask(&self, place: &Place) -> io::Result<Answer> {
        let body = json!({ "input": self.input() }).to_string();
        let headers = [("content-type", "application/json"), ("idempotency-key", self.key.as_str())];
        whole(place, place.ask("POST", "/v1/integrations/score/decisions", &headers, &body))
    }

    pub(crate) fn asked(&self) -> Json {
        json!({ "what": "ask", "key": self.key, "subject": self.subject, "balance": self.balance })
    }
}

/// Counts requests that broke off in the middle: not those that nobody took.
fn whole(place: &Place, asked: io::Result<Answer>) -> io::Result<Answer> {
    let broken = match &asked {
        Ok(answer) => !answer.whole,
        Err(error) => error.kind() != io::ErrorKind::ConnectionRefused,
    };
    place.broken.fetch_add(u64::from(broken), Relaxed);
    asked
}

/// A new question each time, asked with one key until it is answered, and now and then once more.
fn call(place: &Place, caller: u64, subjects: u64, stop: &AtomicBool) -> Res<()> {
    let mut log = Log::create(place, &caller.to_string())?;
    let mut rng = Rng::new(place.seed * 1000 + caller);
    let mut count = 0;
    while !stop.load(Relaxed) {
        count += 1;
        let question = Question::new(place, caller, count, subjects, &mut rng);
        log.write(&question.asked())?;
        let mut times = 1 + u64::from(rng.below(5) == 0);
        let mut stopped = None;
        while times > 0 {
            match question.ask(place) {
                Ok(answer) if answer.status == 200 && answer.whole => {
                    times -= 1;
                    log.keep(place, &question.key, &answer.json())?;
                }
                Ok(answer) if answer.status == 429 || answer.status >= 500 || !answer.whole => {
                    rest(Duration::from_millis(5));
                }
                Ok(answer) => return Err(format!("refused with {}: {}", answer.status, answer.json())),
                Err(_) => rest(Duration::from_millis(5)),
            }
            give_up(place, &mut stopped, stop, &question.key)?;
        }
    }
    Ok(())
}

/// Whether the end came so long ago that an answer will not come.
fn give_up(place: &Place, stopped: &mut Option<Instant>, stop: &AtomicBool, key: &str) -> Res<()> {
    if place.given_up.load(Relaxed) {
        return Err("the fault did not come to its end".to_owned());
    }
    if stop.load(Relaxed) && stopped.get_or_insert_with(Instant::now).elapsed() > LONG {
        return Err(format!("the question {key} was not answered within {LONG:?} after the fault"));
    }
    Ok(())
}

/// Batches of records with keys of their own, until each record is answered. A line that arrived counts, also when the rest
/// of the answer does not.
fn batch(place: &Place, caller: u64, stop: &AtomicBool) -> Res<()> {
    let mut log = Log::create(place, &caller.to_string())?;
    let mut rng = Rng::new(place.seed * 1000 + caller);
    let mut count = 0;
    while !stop.load(Relaxed) {
        let mut open: Vec<Question> = Vec::new();
        for _ in 0..BATCH {
            count += 1;
            open.push(Question::new(place, caller, count, 0, &mut rng));
        }
        for question in &open {
            log.write(&question.asked())?;
        }
        let mut stopped = None;
        while !open.is_empty() {
            let line = |one: &Question| format!("{}\n", json!({ "input": one.input(), "idempotency_key": one.key }));
            let body: String = open.iter().map(line).collect();
            let headers = [("content-type", "application/x-ndjson")];
            match whole(place, place.ask("POST", "/v1/integrations/score/batches", &headers, &body)) {
                Ok(answer) if answer.status == 200 => answered(place, &mut log, &mut open, &answer.body)?,
                Ok(answer) if answer.status != 429 && answer.status < 500 && answer.whole => {
                    return Err(format!("a batch was refused with {}: {}", answer.status, answer.json()));
                }
                _ => rest(Duration::from_millis(5)),
            }
            if let Some(question) = open.first() {
                give_up(place, &mut stopped, stop, &question.key)?;
            }
        }
    }
    Ok(())
}

/// Takes the records that were answered out of the batch.
fn answered(place: &Place, log: &mut Log, open: &mut Vec<Question>, body: &[u8]) -> Res<()> {
    let mut done = Vec::new();
    // Without its end, the last line is none.
    let end = body.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    for line in body.get(..end).unwrap_or_default().split(|byte| *byte == b'\n') {
        let line: Json = serde_json::from_slice(line).unwrap_or_default();
        let index = line["index"].as_u64().and_then(|index| usize::try_from(index).ok());
        let Some((index, question)) = index.and_then(|index| open.get(index).map(|one| (index, one))) else { continue };
        if line["decision"].is_object() {
            log.keep(place, &question.key, &line["decision"])?;
            done.push(index);
        } else if line["error"]["retryable"] == false {
            return Err(format!("a record of a batch was refused: {line}"));
        }
    }
    for index in done.into_iter().rev() {
        open.remove(index);
    }
    Ok(())
}

/// People change the CRM, whatever happens to the program; while the CRM itself is gone, they wait.
fn work(place: &Place, setup: &Setup, stop: &AtomicBool) -> Res<()> {
    let mut rng = Rng::new(place.seed * 1000 + 900);
    let mut people = People { leads: setup.leads, grows: setup.grows, balance: 1_000_000 };
    while !stop.load(Relaxed) {
        if place.crm.work(&mut rng, &mut people).is_err() {
            // Ids and balances that were perhaps used are not used again.
            people.leads = place.crm.number("SELECT coalesce(max(id), 0) FROM leads;").unwrap_or(people.leads);
            rest(Duration::from_millis(20));
        }
        rest(Duration::from_micros(rng.below(30_000)));
    }
    Ok(())
}

/// A connection that sends what it is told and then stays open.
pub(crate) fn hold(port: u16, text: &str) -> io::Result<std::net::TcpStream> {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(text.as_bytes())?;
    Ok(stream)
}
