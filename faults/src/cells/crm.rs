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
const LIMITS: &str = "    limits: { timeout: 2s, breaker: { wait: 100ms, longest: 1s } }\n";

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
        }
        line.set(Fault::None);
        place.calm()?;
    }
    Ok(())
}

fn resetting(setting: &Setting, place: &Place) -> Res<()> {
    let line = line(place)?;
    let mut rng = Rng::stream(setting.seed, "resets");
    for _ in 0..rounds(setting) {
        for _ in 0..20 {
            line.cut();
            rest(Duration::from_micros(rng.below(40_000)));
        }
        line.set(Fault::Refuse);
        line.cut();
        in_trouble(place, || line.set(Fault::None))?;
    }
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
    Ok(())
}

/// The commit arrives and is done; its answer is lost with the line, or held until the program gives up.
fn unsaid(setting: &Setting, place: &Place) -> Res<()> {
    let line = line(place)?;
    let request = || b"COMMIT".to_vec();
    let written = || place.crm.number("SELECT count(*) FROM history WHERE what = 'write';");
    for _ in 0..setting.rounds.min(100) {
        for fault in [Fault::CutAt { request: request(), delivered: true }, Fault::HoldAt { request: request() }] {
            let fired = line.fired();
            line.set(fault);
            place.until("a commit came by", || Ok(line.fired() > fired))?;
            place.answers(20)?;
        }
        line.set(Fault::None);
        line.cut();
        // Each failure in a row doubles the pause before the next attempt; a success ends that.
        let before = written()?;
        place.until("write-backs arrive again", || Ok(written()? > before))?;
    }
    place.note(format!("{} commits unsaid", line.fired()));
    // Reading goes well all the time, and no write-back gets through: that has to be told too.
    place.until("readiness tells that no write-back gets through", || {
        line.set(Fault::CutAt { request: request(), delivered: false });
        Ok(place.part("outbox")["ok"] == false)
    })?;
    line.set(Fault::None);
    place.calm()
}

fn locked_file(setting: &Setting, place: &Place) -> Res<()> {
    let failed = |error: rusqlite::Error| format!("the CRM could not be locked: {error}");
    for _ in 0..rounds(setting) {
        let other = place.crm.open()?;
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
