//! The CRM in trouble: gone, slow, cut off, silent, lying, locked, refusing a row, or taking a change and never saying so.

use std::{
    io::Write as _,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tendon_testkit::{Rng, proxy::Fault, servers::PASSWORD};

use super::Cell;
use crate::{
    Res, Setting,
    crm::Kind,
    place::{Place, Setup, rest},
};

/// Answers that callers must be given while the CRM is in trouble.
const MEANWHILE: u64 = 60;

const fn cell(
    name: &'static str,
    about: &'static str,
    setup: fn() -> Setup,
    fault: fn(&Setting, &Place) -> Res<()>,
) -> Cell {
    Cell { name, about, setup, fault, refused: 0 }
}

/// The pauses of the circuit breaker double with each failed probe; here they end soon, so that a cell sees many faults.
pub(super) const LIMITS: &str = "    limits: { timeout: 2s, breaker: { wait: 100ms, longest: 1s } }\n";

fn postgres() -> Setup {
    Setup { crm: Kind::Postgres, system: LIMITS.to_owned(), ..Setup::default() }
}

fn mariadb() -> Setup {
    Setup { crm: Kind::MariaDb, ..postgres() }
}

pub(super) const DOWN: Cell = cell("crm-down-postgres", "the PostgreSQL is killed and started again", postgres, down);
pub(super) const DOWN_MARIADB: Cell =
    cell("crm-down-mariadb", "the MariaDB is killed and started again", mariadb, down);
pub(super) const SLOW: Cell = cell("crm-slow", "each piece of data 30 ms late, then 20 kB a second", postgres, slow);
pub(super) const RESETTING: Cell =
    cell("crm-resetting", "its connections are reset, 20 times a round", postgres, resetting);
pub(super) const SILENT: Cell = cell("crm-silent", "half-open: nothing arrives, nobody is told", postgres, silent);
pub(super) const GARBAGE: Cell = cell("crm-garbage", "what it says arrives as other bytes", mariadb, garbage);
pub(super) const UNSAID: Cell =
    cell("crm-unsaid", "it commits a write-back and the answer never comes (PostgreSQL)", postgres, unsaid);
pub(super) const UNSAID_MARIADB: Cell = cell("crm-unsaid-mariadb", "the same with a MariaDB", mariadb, unsaid);
pub(super) const LOCKED: Cell = cell("crm-locked", "somebody holds the whole SQLite file", Setup::default, locked_file);
pub(super) const LOCKED_POSTGRES: Cell =
    cell("crm-locked-postgres", "somebody holds the whole table of the PostgreSQL", postgres, locked_table);
pub(crate) const BEHIND: Cell = cell(
    "crm-behind",
    "it takes no write-backs for a while, people change the same three rows again and again; also with a kill on the heap",
    || Setup { callers: 1, leads: 3, grows: false, system: PATIENT.to_owned(), ..postgres() },
    behind,
);
pub(super) const REFUSING: Cell = Cell {
    name: "crm-refusing",
    about: "it refuses one row in 1,000",
    setup: || Setup {
        leads: 1000,
        sql: "ALTER TABLE leads ADD CONSTRAINT refused CHECK (id <> 7 OR score IS NULL);",
        ..postgres()
    },
    fault: refusing,
    refused: 1,
};

/// Deliveries of few rows that make a heap.
const HEAP: u64 = 24;

/// The breaker stays closed, so that reading goes on while nothing can be written.
const PATIENT: &str = "    limits: { timeout: 2s, retries: 100, breaker: { calls: 1000, window: 1000 } }\n";

/// Waits until readiness tells of it and callers are answered all the same, then heals.
fn in_trouble(place: &Place, heal: impl FnOnce()) -> Res<()> {
    place.until("readiness tells of the CRM", || Ok(place.state() == "degraded"))?;
    place.answers(MEANWHILE)?;
    heal();
    place.calm()
}

fn line(place: &Place) -> Res<&tendon_testkit::proxy::Proxy> {
    place.crm.proxy.as_ref().ok_or_else(|| "the CRM has no line".to_owned())
}

/// The rounds of a cell whose round takes seconds.
fn rounds(setting: &Setting) -> u64 {
    if setting.long { 10 } else { 1 }
}

fn down(setting: &Setting, place: &Place) -> Res<()> {
    for _ in 0..rounds(setting) {
        place.crm.crash();
        in_trouble(place, || place.crm.restart())?;
    }
    Ok(())
}

fn slow(setting: &Setting, place: &Place) -> Res<()> {
    let line = line(place)?;
    for _ in 0..rounds(setting) {
        for fault in [Fault::Latency(Duration::from_millis(30)), Fault::Bandwidth(20_000)] {
            line.set(fault);
            place.answers(MEANWHILE)?;
            // It is slow, and it answers.
            place.writes()?;
        }
        line.set(Fault::None);
        place.calm()?;
    }
    place.happened(line.touched(), "pieces of data late")
}

fn resetting(setting: &Setting, place: &Place) -> Res<()> {
    let line = line(place)?;
    let mut rng = Rng::stream(setting.seed, "resets");
    let mut reset = 0;
    for _ in 0..rounds(setting) {
        for _ in 0..20 {
            reset += line.cut();
            rest(Duration::from_micros(rng.below(40_000)));
        }
        line.set(Fault::Refuse);
        reset += line.cut();
        in_trouble(place, || line.set(Fault::None))?;
    }
    place.happened(reset, "connections reset")?;
    place.note(format!("{} refused", line.touched()));
    Ok(())
}

fn silent(setting: &Setting, place: &Place) -> Res<()> {
    broken(setting, place, &Fault::HalfOpen)
}

fn garbage(setting: &Setting, place: &Place) -> Res<()> {
    broken(setting, place, &Fault::Garbage)
}

fn broken(setting: &Setting, place: &Place, fault: &Fault) -> Res<()> {
    let line = line(place)?;
    for _ in 0..rounds(setting) {
        line.set(fault.clone());
        in_trouble(place, || {
            line.set(Fault::None);
            line.cut();
        })?;
    }
    place.happened(line.touched(), "pieces of data held or changed")
}

/// The commit arrives and is done; its answer is lost with the line, or held until the program gives up.
fn unsaid(setting: &Setting, place: &Place) -> Res<()> {
    let line = line(place)?;
    // Reading ends with a `COMMIT` too; only writing makes savepoints.
    line.only_after(b"SAVEPOINT");
    let request = || b"COMMIT".to_vec();
    let times = setting.rounds.min(30);
    for round in 0..times {
        place.tell(round, times);
        for fault in [Fault::CutAt { request: request(), delivered: true }, Fault::HoldAt { request: request() }] {
            let (fired, written) = (line.fired(), place.written()?);
            line.set(fault);
            place.until("a commit came by", || Ok(line.fired() > fired))?;
            place.until("the commit is done", || Ok(place.written()? > written))?;
            place.answers(20)?;
        }
        line.set(Fault::None);
        line.cut();
        // Each failure in a row doubles the pause before the next attempt; a success ends that.
        place.writes()?;
    }
    place.happened(line.fired(), "commits done and unsaid")?;
    // Reading goes well all the time, and no write-back gets through: that has to be told too.
    place.until("readiness tells that no write-back gets through", || {
        line.set(Fault::CutAt { request: request(), delivered: false });
        Ok(place.part("outbox")["ok"] == false)
    })?;
    line.set(Fault::None);
    place.calm()
}

/// Deliveries of the same few rows pile up, and people change those rows meanwhile; every other time, the program is killed on
/// the heap. Then all of it may be written at once.
fn behind(setting: &Setting, place: &Place) -> Res<()> {
    let times = setting.rounds.clamp(2, 6);
    let mut piled = 0;
    for round in 0..times {
        place.tell(round, times);
        place.crm.read_only(true)?;
        let heap = || place.until("write-backs pile up", || Ok((HEAP..u64::MAX).contains(&place.waiting())));
        heap()?;
        if round % 2 == 1 {
            place.kill()?;
            place.start()?;
            heap()?;
        }
        piled += place.waiting();
        place.crm.read_only(false)?;
        place.writes()?;
        place.calm()?;
    }
    place.happened(piled, &format!("write-backs piled up in {times} rounds"))
}

fn locked_file(setting: &Setting, place: &Place) -> Res<()> {
    let failed = |error: rusqlite::Error| format!("the CRM could not be locked: {error}");
    for _ in 0..rounds(setting) {
        let other = place.crm.open()?;
        // Readers are let through: only a write-back meets the lock, so some have to be due.
        place.crm.sql(&format!("UPDATE leads SET balance = balance + 1, updated_at = {};", place.crm.now()))?;
        other.execute_batch("BEGIN EXCLUSIVE").map_err(failed)?;
        in_trouble(place, || drop(other.execute_batch("COMMIT")))?;
    }
    Ok(())
}

fn locked_table(setting: &Setting, place: &Place) -> Res<()> {
    for _ in 0..rounds(setting) {
        let mut other = session(place)?;
        in_trouble(place, || drop(other.stdin.take()))?;
        drop(other.wait());
    }
    Ok(())
}

/// A `psql` that locks the table until its input ends.
fn session(place: &Place) -> Res<Child> {
    let words = place.crm.session().ok_or("the CRM is no PostgreSQL")?;
    let (program, rest) = words.split_first().ok_or("no command")?;
    let mut command = Command::new(program);
    command.args(rest).env("PGPASSWORD", PASSWORD).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("psql could not be started: {error}"))?;
    let stdin = child.stdin.as_mut().ok_or("psql has no input")?;
    let told = stdin.write_all(b"BEGIN; LOCK TABLE leads IN ACCESS EXCLUSIVE MODE;\n").and_then(|()| stdin.flush());
    told.map_err(|error| format!("psql: {error}"))?;
    Ok(child)
}

fn refusing(_setting: &Setting, place: &Place) -> Res<()> {
    place.until("one dead letter is there", || {
        let letters = place.command(&["letters", "list", "--output", "json"])?;
        Ok(letters.as_array().is_some_and(|letters| !letters.is_empty()))
    })?;
    place.answers(MEANWHILE)
}
