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
use rusqlite::{Connection, OptionalExtension as _, params};
use tendon_kernel::{
    error::{Error, ErrorKind, Result, Retry},
    sockets::store::{Batch, Range, Row, Store, Table},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    overlay::Overlay,
    sqlite_writer::{self, Gathering, Job, Writer},
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
/// Batches that may wait for the writer; more wait outside.
const MOST_WAITING: usize = 64;
/// Idle connections kept for readers.
const MOST_IDLE: usize = 4;
/// A range of more rows is read on a blocking thread, so that it never holds up a request.
const MOST_INLINE: usize = 256;

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
    /// Of projections. Held while a table is read: what is in neither place for a moment would be missed.
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
        Self::open_sized(path, durability, GATHERED)
    }

    /// As [`SqliteStore::open`], with another number of bytes that gather.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn open_sized(path: &Path, durability: Durability, gathered: usize) -> Result<Self> {
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
        let connection = connect(path).map_err(unusable)?;
        let tables: Tables = Arc::new(RwLock::new(prepare(&connection, durability).map_err(unusable)?));
        let gathering = match durability {
            Durability::Records => None,
            Durability::Projections => Some(Gathering::open(&connection, gathered).map_err(unusable)?),
        };
        let overlay = gathering.as_ref().map(|gathering| Arc::clone(&gathering.overlay));
        let (jobs, inbox) = mpsc::channel(MOST_WAITING);
        let writer = Writer { connection, tables: Arc::clone(&tables), gathering };
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
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            let file = PathBuf::from(name);
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
        let overlay = self.overlay();
        if let Some(known) = overlay.as_ref().and_then(|overlay| overlay.get(table.0, key)) {
            return Ok(known.map(<[u8]>::to_vec));
        }
        let sql = format!("SELECT v FROM {} WHERE k = ?1", quoted(table.0));
        self.read(|connection| connection.prepare_cached(&sql)?.query_row([key], |row| row.get(0)).optional())
    }

    fn range(&self, table: Table, range: &Range) -> Result<Vec<Row>> {
        if !self.has(table) {
            return Ok(Vec::new());
        }
        let end = if range.to.is_some() { "AND k < ?2" } else { "AND ?2 IS NULL" };
        let order = if range.descending { "DESC" } else { "ASC" };
        let sql = format!("SELECT k, v FROM {} WHERE k >= ?1 {end} ORDER BY k {order}", quoted(table.0));
        let overlay = self.overlay();
        self.read(|connection| {
            let mut query = connection.prepare_cached(&sql)?;
            let mut rows = query.query(params![range.from, range.to])?;
            let mut fresh =
                overlay.as_ref().map(|overlay| overlay.range(table.0, range)).into_iter().flatten().peekable();
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
                    (Some(key), Some((other, _))) if range.descending => key.cmp(other).reverse(),
                    (Some(key), Some((other, _))) => key.cmp(other),
                };
                if order == Ordering::Less
                    && let Some(row) = stored
                {
                    out.push((row.get(0)?, row.get(1)?));
                }
                if order != Ordering::Less
                    && let Some((key, Some(value))) = fresh.next()
                {
                    out.push((key.to_vec(), value.to_vec()));
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
        Box::pin(async move {
            let (answer, result) = oneshot::channel();
            let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
            jobs.send(Job { batch, answer }).await.map_err(|_| stopped())?;
            result.await.map_err(|_| stopped())?
        })
    }
}
