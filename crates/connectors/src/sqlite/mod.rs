//! SQLite databases: tables and views of one file, read by key, scanned, watched, and written back conditionally.
//!
//! What to know about it:
//!
//! - **The file is never created**, moved or changed in its settings (journal mode, pragmas): it belongs to somebody else.
//!   A missing file, or one that is no database, is `system_unreachable`; a lock held longer than `busy_timeout` is
//!   `system_locked`. Both are worth a retry. A file that was replaced on disk is opened anew.
//! - **Only allowed fields.** Every call is checked against the plan before anything reaches SQLite (`crate::guard`), and an
//!   authorizer inside SQLite refuses statements that touch another column (`authorizer`). Reads use a read-only connection.
//! - **Types.** SQLite types values, not columns. A stored value that does not fit its column's declared type is given as
//!   [`Value::Text`](tendon_kernel::Value::Text) with the raw content, so that validation rejects that record with a pointer
//!   and the other rows go on; nothing is lost or guessed silently. Details in `value`.
//! - **Keys and watermarks are exact.** They come back in the form in which SQLite stores them, so that a position always
//!   binds to the very same place: a time is `Value::Time` only if it is stored in Tendon's own form (RFC 3339, UTC, six
//!   digits), else it is the stored text. Order is SQLite's order of stored values. Rows whose key or watermark cannot be
//!   told apart (null key, blob, invalid UTF-8, infinite) are left out. Details in `read`.
//! - **Watching a large table** needs an index on the watermark, best on watermark and key; without one, each page sorts the
//!   whole table.
//! - **Times are written** as RFC 3339 text in UTC with microseconds, which sorts as text like the times themselves.

mod authorizer;
mod catalog;
mod failure;
mod read;
mod session;
#[cfg(test)]
mod tests;
mod value;
mod write;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use tendon_kernel::{
    Error, ErrorKind, Result, Type, Value,
    schema::Catalog,
    sockets::connector::{Build, Capability, Change, Connector, ConnectorKind, Row, Scan, Watch, WriteBatch, Written},
};

use crate::{guard::Guard, settings, worker::Worker};
use session::Session;

/// The kind.
pub static KIND: ConnectorKind = ConnectorKind {
    name: "sqlite",
    summary: "A SQLite database file: tables and views, watched by a watermark, written back conditionally.",
    capability: CAPABILITY,
    schema: || schema_for!(Config).to_value(),
    validate: |settings| read_config(settings).map(|_| ()),
    build: |build| Ok(Arc::new(Sqlite::build(build)?)),
    access: None,
};

const CAPABILITY: Capability = Capability { catalog: true, read_by_key: true, scan: true, watch: true, write: true };

/// Settings of a `sqlite` system.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The database file; relative to the project's folder. It must exist. May hold references such as `${env:CRM_DB}`.
    pub path: String,
    /// How long to wait for a lock that another program holds, in milliseconds, before the attempt fails and is retried later.
    #[serde(default = "default_busy_timeout")]
    #[schemars(range(max = 60_000))]
    pub busy_timeout: u32,
}

fn default_busy_timeout() -> u32 {
    250
}

fn read_config(settings: &serde_json::Value) -> Result<Config, Vec<Error>> {
    let config: Config = settings::parse("sqlite", settings)?;
    let wrong = |pointer: &str, message: &'static str, hint: &'static str| {
        Error::new(ErrorKind::Config, "setting_wrong", message).at(pointer).hint(hint)
    };
    let mut findings = Vec::new();
    if config.path.is_empty() || config.path.contains('\0') {
        findings.push(wrong("/path", "the path names no file", "give the database file, for example crm.db"));
    }
    if config.busy_timeout > 60_000 {
        findings.push(wrong("/busy_timeout", "the wait for a lock is too long", "at most 60000 milliseconds"));
    }
    if findings.is_empty() { Ok(config) } else { Err(findings) }
}

/// A SQLite system: one thread that reads and, where anything may be written, one that writes.
struct Sqlite {
    guard: Arc<Guard>,
    reader: Worker<Session>,
    writer: Option<Worker<Session>>,
}

impl Sqlite {
    fn build(build: Build) -> Result<Self> {
        let config = read_config(&build.config).map_err(|findings| {
            let none = || Error::new(ErrorKind::Config, "setting_wrong", "the settings are wrong");
            findings.into_iter().next().unwrap_or_else(none)
        })?;
        let path = build.folder.join(build.secrets.resolve(&config.path)?.reveal());
        let busy = Duration::from_millis(u64::from(config.busy_timeout));
        let writes = build.allowed.write.values().any(|fields| !fields.is_empty());
        let guard = Arc::new(Guard { system: build.system, allowed: build.allowed });
        let session = |writes| Session::new(Arc::clone(&guard), path.clone(), busy, writes);
        let reader = Worker::start(&guard.system, session(false))?;
        let writer = if writes { Some(Worker::start(&guard.system, session(true))?) } else { None };
        Ok(Self { guard, reader, writer })
    }

    /// The first wall for everything that reads. The key may also be the table's own, which only the catalog knows.
    fn check_read(&self, resource: &str, fields: &[String]) -> Result<()> {
        self.guard.check_resource(resource)?;
        self.guard.check_read(resource, fields, &[])
    }
}

impl Connector for Sqlite {
    fn capability(&self) -> Capability {
        Capability { write: self.writer.is_some(), ..CAPABILITY }
    }

    fn telemetry_name(&self) -> Option<&'static str> {
        Some("sqlite")
    }

    fn catalog(&self) -> BoxFuture<'_, Result<Catalog>> {
        Box::pin(self.reader.run(|session| session.with(|open, _| open.catalog())))
    }

    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.reader.run(|session| session.with(|open, _| open.refresh())))
    }

    fn read<'a>(
        &'a self,
        resource: &'a str,
        key: &'a [String],
        fields: &'a [String],
        keys: &'a [Vec<Value>],
    ) -> BoxFuture<'a, Result<Vec<Row>>> {
        Box::pin(async move {
            // Fields first; fields that are neither listed nor the table's own key are refused before any SQL on data.
            self.check_read(resource, &[])?;
            let (resource, key, fields, keys) = (resource.to_owned(), key.to_vec(), fields.to_vec(), keys.to_vec());
            self.reader
                .run(move |session| {
                    session.with(|open, guard| read::by_key(open, guard, &resource, &key, &fields, &keys))
                })
                .await
        })
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<Row>>> {
        Box::pin(async move {
            self.check_read(&scan.resource, &[])?;
            self.reader.run(move |session| session.with(|open, guard| read::scan(open, guard, &scan))).await
        })
    }

    fn watch(&self, watch: Watch) -> BoxFuture<'_, Result<Vec<Change>>> {
        Box::pin(async move {
            self.check_read(&watch.resource, std::slice::from_ref(&watch.watermark))?;
            self.reader.run(move |session| session.with(|open, guard| read::watch(open, guard, &watch))).await
        })
    }

    fn write(&self, batch: WriteBatch) -> BoxFuture<'_, Result<Vec<Written>>> {
        Box::pin(async move {
            self.guard.check_resource(&batch.resource)?;
            for write in &batch.writes {
                self.guard.check_write(&batch.resource, write.set.iter().map(|(field, _)| field))?;
                write::check_conditions(&self.guard, &batch.resource, write)?;
            }
            let Some(writer) = &self.writer else {
                return Err(Error::new(
                    ErrorKind::Forbidden,
                    "field_not_allowed",
                    "nothing of this system may be written",
                )
                .with("system", &self.guard.system));
            };
            writer.run(move |session| session.with(|open, guard| write::batch(open, guard, &batch))).await
        })
    }

    fn add_columns(&self, resource: &str, columns: &[(String, Type)]) -> Vec<String> {
        let declared = |kind: Type| match kind {
            Type::Bool => "BOOLEAN",
            Type::Int => "INTEGER",
            Type::Float => "REAL",
            Type::Text => "TEXT",
            Type::Time => "TIMESTAMP",
        };
        let statement = |(name, kind): &(String, Type)| {
            format!("ALTER TABLE {} ADD COLUMN {} {};", value::quoted(resource), value::quoted(name), declared(*kind))
        };
        columns.iter().map(statement).collect()
    }
}
