//! A store in one SQLite file (write-ahead log). Writes go to one thread, which joins what waits into one transaction;
//! reads run at once on connections of their own and see every finished write.
//!
//! After a power cut a store of records holds all that was written; a store of projections may lack the last writes and is
//! never damaged: with a write-ahead log, `synchronous=NORMAL` syncs before every checkpoint
//! (<https://www.sqlite.org/pragma.html#pragma_synchronous>). Its rows gather in an `overlay` before they go into their tables.

use std::{
    cmp::Ordering,
    collections::BTreeSet,
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
    thread::JoinHandle,
};

use futures_util::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use tendon_kernel::{
    error::{Error, ErrorKind, Result, Retry},
    sockets::store::{Batch, Range, Row, Store, Table},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    overlay::Overlay,
    sqlite_writer::{self, Answer, Gathering, Job, Write, Writer},
};
use crate::io_error;

/// What a store promises about writes that returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// They survive a power cut: one disk wait per group of writes.
    Records,
    /// The last ones may be lost, whole batches from the end: the ledger has them.
    Projections,
}

/// Layout of the file; another number is refused.
const VERSION: i32 = 1;
/// Layout with a log; a file of projections without one gets it.
const LOGGED: i32 = 2;
/// Bytes that gather before they go into their tables.
const GATHERED: usize = 8 << 20;
/// A file of so many bytes is rewritten by a purge, which leaves nothing of what was removed. In a larger one the parts of pages that
/// hold nothing may keep old bytes where SQLite moved rows from page to page, until rows fill them again.
const REWRITTEN: u64 = 64 << 20;
/// Batches that may wait for the writer; more wait outside.
const MOST_WAITING: usize = 64;
/// Idle connections kept for readers.
const MOST_IDLE: usize = 4;
/// A range of more rows is read on a blocking thread, so that it never holds up a request.
const MOST_INLINE: usize = 256;

/// A row on its way into its table; without a value: it is gone.
type Fresh = (Vec<u8>, Option<Vec<u8>>);

/// Tables that exist; shared with the writer.
pub(super) type Tables = Arc<RwLock<BTreeSet<String>>>;

/// See the module's head.
pub struct SqliteStore {
    readers: Arc<Readers>,
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
}

struct Readers {
    path: PathBuf,
    tables: Tables,
    /// Of projections. Never held while a table is read: a long read would stop the writer, and with it all readers.
    overlay: Option<Arc<RwLock<Overlay>>>,
    idle: Mutex<Vec<Connection>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A table's name as SQL.
pub(super) fn quoted(table: &str) -> String {
    format!("\"{}\"", table.replace('"', "\"\""))
}

/// SQLite's error as the kernel's: damage, a full disk and a busy file are told apart.
pub(super) fn store_error(code: &'static str, error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    let new = |kind, what: &'static str| Error::new(kind, code, what).private(error);
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            new(ErrorKind::Corrupt, "a store's file is damaged")
                .hint("a projection is rebuilt from the ledger when its file is removed; records come from a backup")
        }
        Some(ErrorCode::DiskFull) => {
            new(ErrorKind::Unavailable, "a store found the disk full").hint("make room on the disk")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            new(ErrorKind::Unavailable, "a store's file is in use by another program").hint("close it and try again")
        }
        _ => {
            new(ErrorKind::Unavailable, "a store could not be used").hint("the cause is in the log").retry(Retry::Later)
        }
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::Unavailable, "store_stopped", "a store has stopped").hint("restart Tendon; the log tells why")
}

/// A file that SQLite keeps beside a store's.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// A connection with the settings that all share.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "cache_size", -4096)?;
    Ok(connection)
}

/// Sets the writing connection up and tells which tables there are.
fn prepare(connection: &Connection, durability: Durability) -> rusqlite::Result<BTreeSet<String>> {
    let version: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    let synchronous = match durability {
        Durability::Records => "FULL",
        Durability::Projections => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "cache_size", -32768)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // What is removed is overwritten where its page is written anyway; pages that become free are the affair of `purge`.
    connection.query_row("PRAGMA secure_delete = FAST", [], |_| Ok(()))?;
    // Moving pages from the log (64 MiB) into the file is what random keys cost most: half as much as at 16 MiB.
    connection.query_row("PRAGMA wal_autocheckpoint = 16000", [], |_| Ok(()))?;
    connection.query_row("PRAGMA journal_size_limit = 67108864", [], |_| Ok(()))?;
    let mut query = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    let tables = query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<BTreeSet<String>>>()?;
    let wanted = match durability {
        Durability::Records => VERSION,
        Durability::Projections => LOGGED,
    };
    if (version == 0 && tables.is_empty()) || (version == VERSION && wanted == LOGGED) {
        connection.pragma_update(None, "user_version", wanted)?;
    } else if version != wanted {
        return Err(rusqlite::Error::IntegralValueOutOfRange(0, version.into()));
    }
    Ok(tables)
}

impl SqliteStore {
    /// Opens a store's file, making it when missing.
    ///
    /// # Errors
    /// `Corrupt` when the file is no store or damaged in its head; `Unavailable` when it cannot be used.
    pub fn open(path: &Path, durability: Durability) -> Result<Self> {
        Self::open_sized(path, durability, GATHERED, REWRITTEN)
    }

    /// As [`SqliteStore::open`], for what can be made again: a damaged file is told, removed and begun anew.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be used or removed.
    pub fn open_anew(path: &Path, durability: Durability, damaged: impl FnOnce(&Error)) -> Result<Self> {
        match Self::open(path, durability) {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                damaged(&error);
                Self::delete(path)?;
                Self::open(path, durability)
            }
            other => other,
        }
    }

    /// As [`SqliteStore::open`], with another number of bytes that gather, and another size up to which a purge rewrites the
    /// whole file.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn open_sized(path: &Path, durability: Durability, gathered: usize, rewritten: u64) -> Result<Self> {
        let failed = |error| io_error("store_open", "a store's file could not be opened", path, &error);
        // Made here, because SQLite would let others read it.
        let made = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        drop(made.map_err(failed)?);
        let unusable = |error: rusqlite::Error| match error {
            rusqlite::Error::IntegralValueOutOfRange(..) => Error::new(
                ErrorKind::Corrupt,
                "store_version",
                "a store's file has another layout than this program writes",
            )
            .hint("use the program version that wrote it; a projection may be removed and is rebuilt"),
            error => store_error("store_open", &error),
        };
        let rested = std::fs::metadata(beside(path, "-wal")).map_or(true, |found| found.len() == 0);
        let connection = connect(path).map_err(unusable)?;
        let tables: Tables = Arc::new(RwLock::new(prepare(&connection, durability).map_err(unusable)?));
        let gathering = match durability {
            Durability::Records => None,
            Durability::Projections => Some(Gathering::open(&connection, gathered).map_err(unusable)?),
        };
        let overlay = gathering.as_ref().map(|gathering| Arc::clone(&gathering.overlay));
        let (jobs, inbox) = mpsc::channel(MOST_WAITING);
        let clean = rested && gathering.as_ref().is_none_or(Gathering::is_empty);
        let writer = Writer { connection, tables: Arc::clone(&tables), gathering, rewritten, clean, owed: false };
        let writer = sqlite_writer::start(writer, inbox).map_err(failed)?;
        let readers = Arc::new(Readers { path: path.to_path_buf(), tables, overlay, idle: Mutex::default() });
        Ok(Self { readers, jobs: Some(jobs), writer: Some(writer) })
    }

    /// Removes a store's files: what an operator does to a damaged projection. The store must be closed.
    ///
    /// # Errors
    /// `Unavailable` when one cannot be removed.
    pub fn delete(path: &Path) -> Result<()> {
        for end in ["", "-wal", "-shm"] {
            let file = beside(path, end);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(io_error("store_delete", "a store's file could not be removed", &file, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl SqliteStore {
    /// Has the writer do something, and waits for it.
    async fn ask(&self, job: impl FnOnce(Answer) -> Job) -> Result<()> {
        let (answer, result) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(job(answer)).await.map_err(|_| stopped())?;
        result.await.map_err(|_| stopped())?
    }
}

impl Drop for SqliteStore {
    /// Finishes what was accepted and closes the file.
    fn drop(&mut self) {
        lock(&self.readers.idle).clear();
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            drop(writer.join());
        }
    }
}

impl Readers {
    fn has(&self, table: Table) -> bool {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).contains(table.0)
    }

    /// Runs a read on an idle connection, or a new one.
    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let idle = lock(&self.idle).pop();
        let result = match idle {
            Some(connection) => Ok(connection),
            None => connect(&self.path),
        }
        .and_then(|connection| {
            let value = read(&connection)?;
            let mut idle = lock(&self.idle);
            if idle.len() < MOST_IDLE {
                idle.push(connection);
            }
            Ok(value)
        });
        result.map_err(|error| store_error("store_read", &error))
    }

    fn overlay(&self) -> Option<RwLockReadGuard<'_, Overlay>> {
        self.overlay.as_ref().map(|overlay| overlay.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        if !self.has(table) {
            return Ok(None);
        }
        let known = self.overlay().and_then(|overlay| Some(overlay.get(table.0, key)?.map(<[u8]>::to_vec)));
        if let Some(known) = known {
            return Ok(known);
        }
        // A row leaves the overlay only when its table has it: what was not there is here, as it was then or newer.
        let sql = format!("SELECT v FROM {} WHERE k = ?1", quoted(table.0));
        self.read(|connection| connection.prepare_cached(&sql)?.query_row([key], |row| row.get(0)).optional())
    }

    /// One moment of the overlay and the file together: the file's is held by a transaction, the overlay's part is copied. Taken
    /// one after the other, rows of a batch could be new in one place and old in the other.
    fn snapshot<'c>(
        &self,
        connection: &'c Connection,
        table: Table,
        range: &Range,
    ) -> rusqlite::Result<(Option<Transaction<'c>>, Vec<Fresh>)> {
        let Some(overlay) = self.overlay() else { return Ok((None, Vec::new())) };
        let transaction = connection.unchecked_transaction()?;
        // A transaction begins with its first read; this one reads the file's first page.
        transaction.prepare_cached("SELECT 1 FROM sqlite_schema LIMIT 1")?.query_row([], |_| Ok(()))?;
        Ok((Some(transaction), overlay.copy(table.0, range)))
    }

    fn range(&self, table: Table, range: &Range) -> Result<Vec<Row>> {
        if !self.has(table) {
            return Ok(Vec::new());
        }
        let end = if range.to.is_some() { "AND k < ?2" } else { "AND ?2 IS NULL" };
        let order = if range.descending { "DESC" } else { "ASC" };
        let sql = format!("SELECT k, v FROM {} WHERE k >= ?1 {end} ORDER BY k {order}", quoted(table.0));
        self.read(|connection| {
            let mut query = connection.prepare_cached(&sql)?;
            let (_snapshot, fresh) = self.snapshot(connection, table, range)?;
            let mut rows = query.query(params![range.from, range.to])?;
            let mut fresh = fresh.into_iter().peekable();
            let mut stored = rows.next()?;
            let mut out = Vec::new();
            while out.len() < range.limit {
                let key = match stored {
                    Some(row) => Some(row.get_ref(0)?.as_blob()?),
                    None => None,
                };
                let order = match (key, fresh.peek()) {
                    (None, None) => break,
                    (None, Some(_)) => Ordering::Greater,
                    (Some(_), None) => Ordering::Less,
                    (Some(key), Some((other, _))) if range.descending => key.cmp(other.as_slice()).reverse(),
                    (Some(key), Some((other, _))) => key.cmp(other.as_slice()),
                };
                if order == Ordering::Less
                    && let Some(row) = stored
                {
                    out.push((row.get(0)?, row.get(1)?));
                }
                if order != Ordering::Less
                    && let Some((key, Some(value))) = fresh.next()
                {
                    out.push((key, value));
                }
                if order != Ordering::Greater {
                    stored = rows.next()?;
                }
            }
            Ok(out)
        })
    }
}

impl Store for SqliteStore {
    fn get<'a>(&'a self, table: Table, key: &'a [u8]) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move { self.readers.get(table, key) })
    }

    fn range(&self, table: Table, range: Range) -> BoxFuture<'_, Result<Vec<Row>>> {
        Box::pin(async move {
            if range.limit <= MOST_INLINE {
                return self.readers.range(table, &range);
            }
            let readers = Arc::clone(&self.readers);
            tokio::task::spawn_blocking(move || readers.range(table, &range))
                .await
                .map_err(|error| stopped().private(error))?
        })
    }

    fn write(&self, batch: Batch) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.ask(|answer| Job::Write(Write { batch, answer })))
    }

    fn purge(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.ask(Job::Purge))
    }
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
