//! From a changed row to its score in the row: a CRM table of SQLite, filled before the start, watched until every row holds
//! its score, with the memory of the process on the way.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};

use crate::{
    Res, Setting,
    process::Server,
    project::{self, Variant},
    request::FEATURES,
    table::Row,
};

/// Rows of the usual run, and with `--long`.
const ROWS: [i64; 2] = [50_000, 1_000_000];
/// The id of a row by its number `id`: the number itself, or a text.
pub(super) const NUMBER: &str = "id";
pub(super) const TEXT: &str = "printf('%012d', id)";
/// No score written for so long means that it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Adds all rows of this part.
pub(crate) fn measure(setting: &Setting, rows: &mut Vec<Row>) -> Res<()> {
    let wanted = ROWS[usize::from(setting.long)];
    let folder = setting.folder.join("watched");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let crm = folder.join("crm.db");
    fill(&crm, wanted, NUMBER).map_err(|error| format!("{} could not be filled: {error}", crm.display()))?;
    let started = project::start(setting, Variant::Watched)?;
    let found = follow(&started.server, wanted, || {
        count(&crm).map_err(|error| format!("the scored rows could not be counted: {error}"))
    })?;
    let growth = found.most as f64 / found.early.max(1) as f64;
    let memory = Row::new("watch", format!("largest memory on the way, {wanted} rows"), found.most as f64 / 1e6, "MB")
        .against("the first quarter", found.early as f64 / 1e6);
    // Of few rows the first quarter is the warming up; only the long run tells whether memory stays flat.
    let memory = if setting.long { memory.aim("flat: ≤ 1.2×", growth <= 1.2) } else { memory };
    rows.extend([
        Row::new("watch", format!("watch to write-back, {wanted} rows of a SQLite CRM"), found.rate, "rows/s"),
        memory,
    ]);
    Ok(())
}

/// How the work on a watched table went.
pub(crate) struct Followed {
    /// Rows scored and written back per second.
    pub(crate) rate: f64,
    /// Largest memory of the process until a quarter of the rows was done, in bytes.
    early: u64,
    /// Largest memory of the process, in bytes.
    most: u64,
}

/// Looks on until `count` says that all `wanted` rows are done (hold their score, say).
pub(crate) fn follow(server: &Server, wanted: i64, mut count: impl FnMut() -> Res<i64>) -> Res<Followed> {
    let begun = Instant::now();
    let (mut scored, mut progress) = (0, Instant::now());
    let (mut early, mut most) = (0_u64, 0_u64);
    while scored < wanted {
        std::thread::sleep(Duration::from_millis(500));
        let now = count()?;
        let memory = server.memory()?;
        most = most.max(memory);
        if now * 4 <= wanted || early == 0 {
            early = early.max(memory);
        }
        eprintln!("bench: {now} rows done, {} MB", memory / 1_000_000);
        if now > scored {
            (scored, progress) = (now, Instant::now());
        } else if progress.elapsed() > PATIENCE {
            return Err(format!("{scored} of {wanted} rows were done, then none for {} s", PATIENCE.as_secs()));
        }
    }
    Ok(Followed { rate: wanted as f64 / begun.elapsed().as_secs_f64(), early, most })
}

/// Makes the table and fills it; the rows' ids are numbers, or texts of twelve digits.
pub(super) fn fill(path: &Path, rows: i64, id: &str) -> rusqlite::Result<()> {
    let mut crm = Connection::open(path)?;
    crm.pragma_update(None, "journal_mode", "wal")?;
    let kind = if id == NUMBER { "INTEGER" } else { "TEXT NOT NULL" };
    let numbers: Vec<String> = (0..FEATURES).map(|feature| format!("f{feature:02} REAL NOT NULL")).collect();
    crm.execute_batch(&format!(
        "CREATE TABLE leads (id {kind} PRIMARY KEY, {}, updated_at TIMESTAMP NOT NULL, score REAL, score_band TEXT, scored_at TIMESTAMP);\
         CREATE INDEX leads_updated ON leads (updated_at, id);",
        numbers.join(", ")
    ))?;
    let random = vec!["abs(random()) / 9223372036854775808.0"; FEATURES].join(", ");
    let change = crm.transaction()?;
    change.execute(
        &format!(
            "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < ?1) INSERT INTO leads SELECT {id}, \
             {random}, strftime('%Y-%m-%dT%H:%M:%fZ', 1700000000 + id, 'unixepoch'), NULL, NULL, NULL FROM n"
        ),
        [rows],
    )?;
    change.commit()
}

fn count(path: &Path) -> rusqlite::Result<i64> {
    let crm = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    crm.busy_timeout(Duration::from_secs(10))?;
    crm.query_row("SELECT count(*) FROM leads WHERE scored_at IS NOT NULL", [], |row| row.get(0))
}
