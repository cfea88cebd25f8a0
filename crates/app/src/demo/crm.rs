//! The demo's CRM: a SQLite database as a sales team might have it. Everything here is what people and other programs do
//! with it; Tendon itself touches it through its connector only.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, params_from_iter, types::Value};
use tendon_kernel::Timestamp;

use super::data::{INPUTS, Lead, NUMBERS};
use crate::failure::Failure;

/// The database file.
#[derive(Clone, Debug)]
pub(super) struct Crm {
    pub(super) path: PathBuf,
}

/// How far the scoring is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Counts {
    pub(super) leads: u64,
    pub(super) scored: u64,
    pub(super) banded: u64,
    pub(super) dated: u64,
}

/// A lead that was scored lately.
#[derive(Clone, Debug)]
pub(super) struct Scored {
    pub(super) id: i64,
    pub(super) age: i64,
    pub(super) job: String,
    pub(super) balance: i64,
    pub(super) score: f64,
    pub(super) band: String,
    pub(super) at: String,
}

fn failed(what: &str) -> impl Fn(rusqlite::Error) -> Failure {
    move |error| {
        Failure::new(
            "demo_crm",
            format!("{what} in the demo's CRM failed: {error}"),
            "is another program using crm.db?",
        )
    }
}

impl Crm {
    /// The CRM of a demo folder.
    pub(super) fn of(folder: &Path) -> Self {
        Self { path: folder.join("crm.db") }
    }

    fn open(&self) -> Result<Connection, Failure> {
        let connection = Connection::open(&self.path).map_err(failed("opening"))?;
        connection.busy_timeout(Duration::from_secs(30)).map_err(failed("opening"))?;
        Ok(connection)
    }

    fn read(&self) -> Result<Connection, Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(failed("opening"))?;
        connection.busy_timeout(Duration::from_secs(30)).map_err(failed("opening"))?;
        Ok(connection)
    }

    /// Makes the table where it is missing.
    pub(super) fn create(&self) -> Result<(), Failure> {
        let columns: Vec<String> = INPUTS.iter().map(|name| format!("{} {}", quoted(name), sql_type(name))).collect();
        let table = format!(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE IF NOT EXISTS leads (
               id INTEGER PRIMARY KEY, {},
               updated_at TIMESTAMP NOT NULL, score REAL, score_band TEXT, scored_at TIMESTAMP);
             CREATE INDEX IF NOT EXISTS leads_updated ON leads (updated_at, id);
             CREATE INDEX IF NOT EXISTS leads_scored ON leads (scored_at);",
            columns.join(", ")
        );
        self.open()?.execute_batch(&table).map_err(failed("making the table"))
    }

    /// Adds leads that are not there yet, with ids from `first` on; `now` less a minute for each that follows.
    pub(super) fn add(&self, leads: &[Lead], first: i64, now: Timestamp, step: Duration) -> Result<(), Failure> {
        let mut connection = self.open()?;
        let change = connection.transaction().map_err(failed("adding leads"))?;
        {
            let names = INPUTS.map(quoted).join(", ");
            let marks = vec!["?"; INPUTS.len() + 2].join(", ");
            let sql = format!("INSERT OR IGNORE INTO leads (id, {names}, updated_at) VALUES ({marks})");
            let mut insert = change.prepare(&sql).map_err(failed("adding leads"))?;
            let mut behind = step.saturating_mul(u32::try_from(leads.len()).unwrap_or(u32::MAX));
            for (id, lead) in (first..).zip(leads) {
                behind = behind.saturating_sub(step);
                let at = now.plus_micros(-i64::try_from(behind.as_micros()).unwrap_or(0));
                let mut row = vec![Value::Integer(id)];
                row.extend(INPUTS.iter().zip(lead).map(|(name, text)| value(name, text)));
                row.push(Value::Text(at.to_string()));
                insert.execute(params_from_iter(row)).map_err(failed("adding leads"))?;
            }
        }
        change.commit().map_err(failed("adding leads"))
    }

    /// A person calls a lead again and learns a new balance.
    pub(super) fn change(&self, id: i64, balance: i64, now: Timestamp) -> Result<(), Failure> {
        let sql = "UPDATE leads SET balance = ?2, campaign = campaign + 1, updated_at = ?3 WHERE id = ?1";
        self.open()?.execute(sql, (id, balance, now.to_string())).map_err(failed("changing a lead")).map(drop)
    }

    /// Counts, read freshly.
    pub(super) fn counts(&self) -> Result<Counts, Failure> {
        let sql = "SELECT count(*), count(score), count(score_band), count(scored_at) FROM leads";
        let row = |row: &rusqlite::Row<'_>| {
            Ok(Counts { leads: count(row, 0)?, scored: count(row, 1)?, banded: count(row, 2)?, dated: count(row, 3)? })
        };
        self.read()?.query_row(sql, [], row).map_err(failed("counting"))
    }

    /// Leads by band.
    pub(super) fn bands(&self) -> Result<Vec<(String, u64)>, Failure> {
        let connection = self.read()?;
        let sql =
            "SELECT score_band, count(*) FROM leads WHERE score_band IS NOT NULL GROUP BY 1 ORDER BY avg(score) DESC";
        let mut query = connection.prepare(sql).map_err(failed("counting"))?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, count(row, 1)?))).map_err(failed("counting"))?;
        rows.collect::<Result<_, _>>().map_err(failed("counting"))
    }

    /// The leads scored last, newest first.
    pub(super) fn latest(&self, limit: u32) -> Result<Vec<Scored>, Failure> {
        let connection = self.read()?;
        let sql = "SELECT id, age, job, balance, score, score_band, scored_at FROM leads
                   WHERE scored_at IS NOT NULL ORDER BY scored_at DESC LIMIT ?1";
        let mut query = connection.prepare(sql).map_err(failed("reading"))?;
        let row = |row: &rusqlite::Row<'_>| {
            Ok(Scored {
                id: row.get(0)?,
                age: row.get(1)?,
                job: row.get(2)?,
                balance: row.get(3)?,
                score: row.get(4)?,
                band: row.get(5)?,
                at: row.get(6)?,
            })
        };
        let rows = query.query_map([limit], row).map_err(failed("reading"))?;
        rows.collect::<Result<_, _>>().map_err(failed("reading"))
    }
}

fn count(row: &rusqlite::Row<'_>, place: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(place).map(|count| u64::try_from(count).unwrap_or(0))
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

fn sql_type(name: &str) -> &'static str {
    if NUMBERS.contains(&name) { "INTEGER" } else { "TEXT" }
}

fn value(name: &str, text: &str) -> Value {
    match text.parse() {
        Ok(number) if NUMBERS.contains(&name) => Value::Integer(number),
        _ => Value::Text(text.to_owned()),
    }
}
