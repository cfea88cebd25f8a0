//! The writing thread of a SQLite store: joins the batches that wait into one transaction, sorted by key, so that a page
//! of the tree is touched once and a disk wait is shared.

use std::{
    collections::BTreeSet,
    io,
    sync::PoisonError,
    thread::{self, JoinHandle},
};

use rusqlite::{CachedStatement, Connection, params};
use tendon_kernel::{
    error::Result,
    sockets::store::{Batch, Change},
};
use tokio::sync::{mpsc, oneshot};

use super::sqlite::{Tables, quoted, store_error};

/// A batch and who waits for it.
pub(super) struct Job {
    pub(super) batch: Batch,
    pub(super) answer: oneshot::Sender<Result<()>>,
}

/// A group takes no further batch when it has this many changes: bounds memory, and how long readers' pages stay in the log.
const MOST_CHANGES: usize = 16_384;

/// Starts the thread. It ends when the inbox is closed and empty.
pub(super) fn start(connection: Connection, inbox: mpsc::Receiver<Job>, tables: Tables) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("store".to_owned()).spawn(move || run(connection, inbox, &tables))
}

fn run(mut connection: Connection, mut inbox: mpsc::Receiver<Job>, tables: &Tables) {
    while let Some(first) = inbox.blocking_recv() {
        let mut size = first.batch.changes.len();
        let mut group = vec![first];
        while size < MOST_CHANGES {
            let Ok(job) = inbox.try_recv() else { break };
            size += job.batch.changes.len();
            group.push(job);
        }
        let result = commit(&mut connection, &group, tables);
        if result.is_err() && group.len() > 1 {
            // One batch may be at fault: alone, the others go through.
            for job in group {
                let result = commit(&mut connection, std::slice::from_ref(&job), tables);
                answer(job, result);
            }
        } else {
            let result = result.map_err(|error| store_error("store_write", &error));
            group.into_iter().for_each(|job| drop(job.answer.send(result.clone())));
        }
    }
}

fn answer(job: Job, result: rusqlite::Result<()>) {
    // Who no longer waits has dropped the receiver.
    drop(job.answer.send(result.map_err(|error| store_error("store_write", &error))));
}

fn commit(connection: &mut Connection, group: &[Job], tables: &Tables) -> rusqlite::Result<()> {
    let mut changes: Vec<&Change> = group.iter().flat_map(|job| &job.batch.changes).collect();
    // Stable: of the changes of one key the last one written stays last.
    changes.sort_by(|one, two| (one.table, &one.key).cmp(&(two.table, &two.key)));
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut made = BTreeSet::new();
    for in_table in changes.chunk_by(|one, two| one.table == two.table) {
        let table = in_table.first().map_or("", |change| change.table.0);
        if !tables.read().unwrap_or_else(PoisonError::into_inner).contains(table) {
            let name = quoted(table);
            let sql = format!(
                "CREATE TABLE IF NOT EXISTS {name} (k BLOB PRIMARY KEY, v BLOB NOT NULL) STRICT, WITHOUT ROWID"
            );
            transaction.execute_batch(&sql)?;
            made.insert(table.to_owned());
        }
        apply(&transaction, table, in_table)?;
    }
    transaction.commit()?;
    if !made.is_empty() {
        tables.write().unwrap_or_else(PoisonError::into_inner).append(&mut made);
    }
    Ok(())
}

/// Applies sorted changes of one table: of each key the last.
fn apply(connection: &Connection, table: &str, changes: &[&Change]) -> rusqlite::Result<()> {
    let name = quoted(table);
    let put = format!("INSERT INTO {name} (k, v) VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = excluded.v");
    let delete = format!("DELETE FROM {name} WHERE k = ?1");
    let (mut put_statement, mut delete_statement): (Option<CachedStatement<'_>>, Option<CachedStatement<'_>>) =
        (None, None);
    for change in changes.chunk_by(|one, two| one.key == two.key).filter_map(|same| same.last()) {
        match &change.value {
            Some(value) => {
                let statement = match &mut put_statement {
                    Some(statement) => statement,
                    none => none.insert(connection.prepare_cached(&put)?),
                };
                statement.execute(params![change.key, value])?;
            }
            None => {
                let statement = match &mut delete_statement {
                    Some(statement) => statement,
                    none => none.insert(connection.prepare_cached(&delete)?),
                };
                statement.execute(params![change.key])?;
            }
        }
    }
    Ok(())
}
