//! The writing thread of a SQLite store: joins the batches that wait into one transaction, sorted by key, so that a page
//! of the tree is touched once and a disk wait is shared. In a store of projections they go to the log and the overlay
//! first, and into the tables in runs of neighbours (see `overlay`).

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, PoisonError, RwLock},
    thread::{self, JoinHandle},
};

use rusqlite::{CachedStatement, Connection, params};
use tendon_kernel::{
    error::{Error, ErrorKind, Result},
    sockets::store::{Batch, Change},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    overlay::{self, Overlay, Run, Seen, Young},
    sqlite::{Tables, quoted, store_error},
};

/// Who waits.
pub(super) type Answer = oneshot::Sender<Result<()>>;

/// A batch and who waits for it.
pub(super) struct Write {
    pub(super) batch: Batch,
    pub(super) answer: Answer,
}

/// What the thread does.
pub(super) enum Job {
    Write(Write),
    /// See [`tendon_kernel::sockets::store::Store::purge`].
    Purge(Answer),
}

/// A group takes no further batch when it has this many changes: bounds memory, and how long readers' pages stay in the log.
const MOST_CHANGES: usize = 16_384;

/// Bytes that may gather for each row that a run takes beside twice what came in: the overlay shrinks even while it fills.
const RUN: usize = 48 << 10;
/// Rows of a run when the store closes.
const LAST_RUN: usize = 32_768;
/// Pages that one blob of zeros takes.
const SCRUB: i64 = 2048;

/// What is accepted and not in its tables yet, and how much that may be.
pub(super) struct Gathering {
    pub(super) overlay: Arc<RwLock<Overlay>>,
    /// Bytes beyond which runs are written.
    pub(super) most: usize,
    /// The log's last record.
    last: i64,
    /// Last record of the log when this round and the one before began.
    round: i64,
}

impl Gathering {
    /// Reads the log into the overlay.
    ///
    /// # Errors
    /// SQLite's; `InvalidQuery` when a record is malformed.
    pub(super) fn open(connection: &Connection, most: usize) -> rusqlite::Result<Self> {
        connection.execute_batch("CREATE TABLE IF NOT EXISTS _log (n INTEGER PRIMARY KEY, batch BLOB NOT NULL)")?;
        let mut overlay = Overlay::default();
        let mut last = 0;
        let mut query = connection.prepare("SELECT n, batch FROM _log ORDER BY n")?;
        let mut records = query.query([])?;
        while let Some(record) = records.next()? {
            last = record.get(0)?;
            let rows = overlay::rows_of(record.get_ref(1)?.as_blob()?).ok_or(rusqlite::Error::InvalidQuery)?;
            let rows = rows.into_iter().map(|(table, key, value)| (table, key.to_vec(), value.map(<[u8]>::to_vec)));
            overlay.absorb(rows.collect());
            overlay.settle_young(usize::MAX);
        }
        Ok(Self { overlay: Arc::new(RwLock::new(overlay)), most, last, round: last })
    }
}

/// The thread's state.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) tables: Tables,
    /// Of projections.
    pub(super) gathering: Option<Gathering>,
    /// A purge rewrites a file of no more bytes as a whole.
    pub(super) rewritten: u64,
    /// Nothing was written since the last purge.
    pub(super) clean: bool,
    /// A purge was asked for and failed.
    pub(super) owed: bool,
}

/// Starts the thread. It ends when the inbox is closed and empty.
pub(super) fn start(mut writer: Writer, inbox: mpsc::Receiver<Job>) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("store".to_owned()).spawn(move || writer.run(inbox))
}

impl Writer {
    fn run(&mut self, mut inbox: mpsc::Receiver<Job>) {
        let mut next = inbox.blocking_recv();
        while let Some(job) = next.take() {
            match job {
                Job::Write(first) => {
                    let mut size = first.batch.changes.len();
                    let mut group = vec![first];
                    while size < MOST_CHANGES && next.is_none() {
                        match inbox.try_recv() {
                            Ok(Job::Write(write)) => {
                                size += write.batch.changes.len();
                                group.push(write);
                            }
                            Ok(other) => next = Some(other),
                            Err(_) => break,
                        }
                    }
                    self.write(group);
                }
                Job::Purge(answer) => {
                    let result = if self.clean { Ok(()) } else { self.purge() };
                    (self.clean, self.owed) = (result.is_ok(), result.is_err());
                    drop(answer.send(result));
                }
            }
            next = next.or_else(|| inbox.blocking_recv());
        }
        let ended = self.finish().and_then(|()| if self.owed { self.scrub() } else { Ok(()) });
        if let Err(error) = ended {
            // Nothing is lost: the log has it, and opening reads it.
            tracing::debug!(%error, "rows were left in a store's log");
        }
    }

    fn write(&mut self, group: Vec<Write>) {
        self.clean = false;
        match self.commit(&group) {
            Ok(run) => self.settle(group, run),
            // One batch may be at fault: alone, the others go through.
            Err(_) if group.len() > 1 => {
                for one in group {
                    let alone = vec![one];
                    match self.commit(&alone) {
                        Ok(run) => self.settle(alone, run),
                        Err(error) => refuse(alone, &error),
                    }
                }
            }
            Err(error) => refuse(group, &error),
        }
    }

    fn commit(&mut self, group: &[Write]) -> rusqlite::Result<Run> {
        let changes = || group.iter().flat_map(|job| &job.batch.changes);
        let pace = if group.iter().any(|job| job.batch.urgent) { Pace::Urgent } else { Pace::Polite };
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut made = make_tables(&transaction, &self.tables, changes())?;
        let mut run = Run::default();
        match &mut self.gathering {
            None => {
                let mut changes: Vec<_> = changes().collect();
                // Stable: of the changes of one key the last one written stays last.
                changes.sort_by(|one, two| (one.table, &one.key).cmp(&(two.table, &two.key)));
                let last = changes.chunk_by(|one, two| (one.table, &one.key) == (two.table, &two.key));
                let rows = last.filter_map(|same| same.last());
                apply(&transaction, rows.map(|row| (row.table.0, row.key.as_slice(), row.value.as_deref())), pace)?;
            }
            Some(gathering) => {
                // Only this thread changes it; readers read beside.
                let overlay = gathering.overlay.read().unwrap_or_else(PoisonError::into_inner);
                if overlay.bytes() > gathering.most {
                    run = overlay.run(2 * changes().count() + gathering.most / RUN);
                }
                gather(&transaction, gathering, overlay::record(changes()), (&overlay, &run), pace)?;
            }
        }
        transaction.commit()?;
        if !made.is_empty() {
            self.tables.write().unwrap_or_else(PoisonError::into_inner).append(&mut made);
        }
        Ok(run)
    }

    /// What was committed is so in memory too, and who waits is told.
    fn settle(&mut self, group: Vec<Write>, run: Run) {
        let (batches, answers): (Vec<Batch>, Vec<Answer>) =
            group.into_iter().map(|write| (write.batch, write.answer)).unzip();
        if let Some(gathering) = &mut self.gathering {
            gathering.settle(run, batches.into_iter().flat_map(|batch| batch.changes));
        }
        // Who no longer waits has dropped the receiver.
        answers.into_iter().for_each(|answer| drop(answer.send(Ok(()))));
    }

    /// Brings everything into its table, writes over the pages that are free, and brings all of it from the write-ahead log into
    /// the file.
    fn purge(&mut self) -> Result<()> {
        let failed = |error: rusqlite::Error| store_error("store_purge", &error);
        self.finish().map_err(failed)?;
        self.scrub().map_err(failed)?;
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy: bool = self.connection.query_row(checkpoint, [], |row| row.get(0)).map_err(failed)?;
        if busy {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "store_purge",
                "removed rows still stand in a store's write-ahead log",
            )
            .hint("end what reads the file for so long; with the next purge, or when Tendon stops, they are gone"));
        }
        Ok(())
    }

    /// Leaves nothing in free pages: rewrites the file without them, or, where that takes long, writes zeros over them: a table
    /// takes them all, and gives them back.
    fn scrub(&mut self) -> rusqlite::Result<()> {
        let number = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (all, pages, size) = (number("page_count")?, number("freelist_count")?, number("page_size")?);
        if u64::try_from(all.saturating_mul(size)).is_ok_and(|bytes| bytes <= self.rewritten) {
            return self.connection.execute_batch("VACUUM");
        }
        if pages == 0 {
            return Ok(());
        }
        self.connection.execute_batch("DROP TABLE IF EXISTS _free")?;
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute_batch("CREATE TABLE _free (zeros BLOB)")?;
        {
            let mut fill = transaction.prepare("INSERT INTO _free VALUES (zeroblob(?1))")?;
            // A page holds its bytes less the number of the next one; the last one of a blob may not be filled, so one more.
            let mut left = pages + 1;
            while left > 0 {
                let some = left.min(SCRUB);
                fill.execute([some * (size - 4)])?;
                left -= some;
            }
        }
        transaction.commit()?;
        // Apart: a page that is taken and given back in one transaction is not written.
        self.connection.execute_batch("DROP TABLE _free")
    }

    /// Brings everything into its table, so that the next opening has nothing to read.
    fn finish(&mut self) -> rusqlite::Result<()> {
        let Some(gathering) = &mut self.gathering else { return Ok(()) };
        loop {
            let run = gathering.overlay.read().unwrap_or_else(PoisonError::into_inner).run(LAST_RUN);
            let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            {
                let overlay = gathering.overlay.read().unwrap_or_else(PoisonError::into_inner);
                apply(&transaction, overlay.rows(&run), Pace::Urgent)?;
            }
            let done = run.ends_round && gathering.round == gathering.last;
            if done {
                transaction.execute("DELETE FROM _log", [])?;
            }
            transaction.commit()?;
            gathering.settle(run, std::iter::empty());
            if done {
                return Ok(());
            }
        }
    }
}

impl Gathering {
    /// Whether everything is in its table.
    pub(super) fn is_empty(&self) -> bool {
        self.last == 0
    }

    /// What was committed is so in memory too; readers see a batch whole.
    fn settle(&mut self, run: Run, changes: impl Iterator<Item = Change>) {
        let young: Young = changes.map(|row| (row.table.0, row.key, row.value)).collect();
        if run.ends_round {
            self.round = self.last;
        }
        self.last += i64::from(!young.is_empty());
        // A few rows at a time: whoever reads meanwhile waits for those only.
        let overlay = || self.overlay.write().unwrap_or_else(PoisonError::into_inner);
        overlay().absorb(young);
        while overlay().settle(&run, STRETCH) {}
        overlay().pass(run);
        while overlay().settle_young(STRETCH) {}
    }
}

/// Adds a record to the log, brings a run into the tables, and drops the records that a finished round has brought there.
fn gather(
    connection: &Connection,
    gathering: &Gathering,
    record: Vec<u8>,
    (overlay, run): (&Overlay, &Run),
    pace: Pace,
) -> rusqlite::Result<()> {
    if !record.is_empty() {
        let mut add = connection.prepare_cached("INSERT INTO _log (n, batch) VALUES (?1, ?2)")?;
        add.execute(params![gathering.last + 1, record])?;
    }
    apply(connection, overlay.rows(run), pace)?;
    if run.ends_round {
        connection.prepare_cached("DELETE FROM _log WHERE n <= ?1")?.execute([gathering.round])?;
    }
    Ok(())
}

/// Makes the tables that do not exist yet; gives their names.
fn make_tables<'a>(
    connection: &Connection,
    tables: &Tables,
    changes: impl Iterator<Item = &'a Change>,
) -> rusqlite::Result<BTreeSet<String>> {
    let mut made = BTreeSet::new();
    let known = tables.read().unwrap_or_else(PoisonError::into_inner);
    for change in changes {
        let table = change.table.0;
        if known.contains(table) || made.contains(table) {
            continue;
        }
        let name = quoted(table);
        connection.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS {name} (k BLOB PRIMARY KEY, v BLOB NOT NULL) STRICT, WITHOUT ROWID"
        ))?;
        made.insert(table.to_owned());
    }
    Ok(made)
}

fn refuse(group: Vec<Write>, error: &rusqlite::Error) {
    let error = store_error("store_write", error);
    group.into_iter().for_each(|one| drop(one.answer.send(Err(error.clone()))));
}

/// Whether a write gives way to other threads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// After every few rows: on one core, thousands of rows at once hold up every answer for milliseconds.
    Polite,
    /// Never: somebody waits for it.
    Urgent,
}

/// Rows between two breaths of a polite write: some tens of microseconds.
const STRETCH: usize = 16;

/// Applies sorted rows, one of each key.
fn apply<'a>(connection: &Connection, rows: impl Iterator<Item = Seen<'a>>, pace: Pace) -> rusqlite::Result<()> {
    let mut at = "";
    let (mut put, mut delete): (Option<CachedStatement<'_>>, Option<CachedStatement<'_>>) = (None, None);
    for (number, (table, key, value)) in rows.enumerate() {
        if pace == Pace::Polite && number % STRETCH == STRETCH - 1 {
            thread::yield_now();
        }
        if table != at {
            (at, put, delete) = (table, None, None);
        }
        let (statement, sql) = match value {
            Some(_) => {
                (&mut put, "INSERT INTO {name} (k, v) VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = excluded.v")
            }
            None => (&mut delete, "DELETE FROM {name} WHERE k = ?1"),
        };
        let statement = match statement {
            Some(statement) => statement,
            none => none.insert(connection.prepare_cached(&sql.replace("{name}", &quoted(table)))?),
        };
        match value {
            Some(value) => statement.execute(params![key, value])?,
            None => statement.execute([key])?,
        };
    }
    Ok(())
}
