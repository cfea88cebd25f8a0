//! What is seen of a place from the outside: readiness, memory, recoveries, and whether the fault really happened.

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value as Json;

use crate::{
    Res,
    http::Request,
    lock,
    place::{Place, rest},
    program::Program,
};

/// Longest silence of a cell that has many rounds.
const TELL: Duration = Duration::from_secs(15);

/// What was seen from the outside.
#[derive(Default)]
pub(crate) struct Seen {
    /// How often each word of readiness was heard.
    pub(crate) readiness: BTreeMap<String, u64>,
    /// Most memory of any process of this cell.
    pub(crate) peak: u64,
    /// Seconds from the end of a fault until it was ready again.
    pub(crate) recoveries: Vec<f64>,
    /// What else happened, in words.
    pub(crate) notes: Vec<String>,
    /// When the harness last said how far it is.
    told: Option<Instant>,
}

impl Place {
    /// Keeps how long a recovery took.
    pub(crate) fn recovered(&self, begun: Instant) {
        lock(&self.seen).recoveries.push(begun.elapsed().as_secs_f64());
    }

    /// Keeps a sentence for the report.
    pub(crate) fn note(&self, text: impl Into<String>) {
        lock(&self.seen).notes.push(text.into());
    }

    /// Keeps how often something happened; without it the cell proves nothing.
    pub(crate) fn happened(&self, times: u64, what: &str) -> Res<()> {
        self.note(format!("{times} {what}"));
        if times == 0 { Err(format!("the fault did not happen: 0 {what}")) } else { Ok(()) }
    }

    /// Says now and then on the terminal how far a cell is.
    pub(crate) fn tell(&self, round: u64, of: u64) {
        let mut seen = lock(&self.seen);
        if seen.told.get_or_insert_with(Instant::now).elapsed() > TELL {
            seen.told = Some(Instant::now());
            eprintln!("faults:   round {round} of {of}");
        }
    }

    /// What `/readyz` says; nothing when it does not answer.
    pub(crate) fn readiness(&self) -> Option<(u16, Json)> {
        let request = Request { method: "GET", path: "/readyz", key: "", headers: &[], body: "" };
        let answer = request.send(self.door().0).ok().filter(|answer| answer.whole)?;
        Some((answer.status, answer.json()))
    }

    /// The word of readiness.
    pub(crate) fn state(&self) -> String {
        let said = self.readiness().and_then(|(_, report)| report["state"].as_str().map(str::to_owned));
        said.unwrap_or_else(|| "no answer".to_owned())
    }

    /// One part of what readiness says.
    pub(crate) fn part(&self, name: &str) -> Json {
        let report = self.readiness().map(|(_, report)| report).unwrap_or_default();
        let parts = report["parts"].as_array().cloned().unwrap_or_default();
        parts.into_iter().find(|part| part["name"] == name).unwrap_or_default()
    }

    /// A number of `/metrics`, summed over the lines that begin so.
    pub(crate) fn metric(&self, begin: &str) -> f64 {
        let text =
            self.ask("GET", "/metrics", &[], "").map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
        let text = text.unwrap_or_default();
        let lines = text.lines().filter(|line| line.starts_with(begin));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// Looks once from the outside: readiness and memory.
    pub(crate) fn look(&self) {
        let state = self.state();
        // Whoever starts the program holds it meanwhile.
        let peak = self.try_with(Program::peak).flatten().unwrap_or(0);
        let mut seen = lock(&self.seen);
        *seen.readiness.entry(state).or_default() += 1;
        seen.peak = seen.peak.max(peak);
    }

    /// Looks again and again until it is so.
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut() -> Res<bool>) -> Res<()> {
        let begun = Instant::now();
        while !is_so()? {
            // Who has ended by itself will not do it any more.
            if let Some(ended) = self.try_with(Program::ended).flatten() {
                return Err(format!("while waiting until {what}, the program ended by itself: {ended}"));
            }
            if begun.elapsed() > self.patience {
                let log = self.with(|program| Ok(program.log())).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                return Err(format!("waited in vain until {what}; the program said last:\n{}", tail.join("\n")));
            }
            rest(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Waits for so many further answers to callers.
    pub(crate) fn answers(&self, more: u64) -> Res<()> {
        let before = self.answered.load(Relaxed);
        self.until("callers were answered", || Ok(self.answered.load(Relaxed) >= before + more))
    }

    /// Waits until the program's clock is so many seconds off.
    pub(crate) fn clock_off_by(&self, seconds: i64) -> Res<()> {
        self.until("the program's clock is changed", || {
            let at = self.ask("GET", "/livez", &[], "").map(|answer| answer.date).unwrap_or_default();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let now = i64::try_from(now % DAY).unwrap_or(0);
            let off = time_of_day(&at).map(|at| (at - now - seconds).rem_euclid(DAY as i64));
            Ok(off.is_some_and(|off| off.min(DAY as i64 - off) < 60))
        })
    }

    /// The fault is over: waits until readiness is calm, and keeps how long that took.
    pub(crate) fn calm(&self) -> Res<()> {
        let begun = Instant::now();
        self.until("readiness is calm again", || Ok(self.state() == "ready"))?;
        self.recovered(begun);
        Ok(())
    }

    /// Write-backs that took effect so far.
    pub(crate) fn written(&self) -> Res<u64> {
        self.crm.number("SELECT count(*) FROM history WHERE what = 'write';")
    }

    /// Waits for a further write-back to take effect.
    pub(crate) fn writes(&self) -> Res<()> {
        let before = self.written()?;
        self.until("a write-back takes effect", || Ok(self.written()? > before))
    }

    /// Deliveries that have not ended.
    pub(crate) fn waiting(&self) -> u64 {
        let crm = &self.part("outbox")["detail"]["systems"]["crm"];
        if crm["more"] == true { u64::MAX } else { crm["unfinished"].as_u64().unwrap_or(u64::MAX) }
    }

    /// Waits until every lead that can be scored carries the score of what it holds, nothing waits, and nothing is
    /// recorded any more.
    pub(crate) fn settle(&self, except: u64) -> Res<()> {
        self.until("all leads carry the score of what they hold", || Ok(self.crm.unscored()? <= except))?;
        let entries = || self.part("ledger")["detail"]["entries"].as_u64();
        self.until("nothing waits", || {
            let before = entries();
            if before.is_none() || self.waiting() > 0 {
                return Ok(false);
            }
            // A row that was passed over is looked at in the next rounds of the watch, 50 ms apart.
            rest(Duration::from_millis(200));
            Ok(self.waiting() == 0 && entries() == before)
        })
    }
}

const DAY: u64 = 24 * 3600;

/// Seconds since midnight of a date like `wed, 25 nov 2026 23:35:48 gmt`.
fn time_of_day(date: &str) -> Option<i64> {
    let mut parts = date.split(' ').nth(4)?.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    Some(hour * 3600 + minute * 60 + second)
}
