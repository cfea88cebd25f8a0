//! What all server databases have in common: one connector over a [`Dialect`], which a kind brings in one file.
//!
//! - **Values travel as text**, in the database's own exact notation, and are typed here (`value`): a `numeric`, a
//!   `timestamptz` or a `json` never passes through a form that could lose a digit.
//! - **Only allowed fields.** Every call is checked against the plan (`crate::guard`) and every name against the catalog
//!   before SQL is made; the derived `GRANT`s (`access`) let the database itself refuse the rest.
//! - **Write-back** (`write`): one transaction; rows are locked by key, compared here with what the decision saw, in the
//!   same conversions as reading, and updated under the lock.
//! - **Sessions** (`session`) live on threads of their own: some that read, one that writes. Every attempt has a limit of
//!   time, a lost connection is opened anew, and a read whose connection was stale is tried once more.

pub(crate) mod config;
mod read;
pub(crate) mod session;
pub(crate) mod table;
pub(crate) mod tls;
pub(crate) mod value;
mod write;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::future::BoxFuture;
use tendon_kernel::{
    Error, ErrorKind, Result, Timestamp, Type, Value,
    schema::Catalog,
    sockets::connector::{Build, Capability, Change, Connector, Row, Scan, Watch, WriteBatch, Written},
};

use crate::{guard::Guard, worker::Worker};
use config::Endpoint;
use session::Session;
use table::{Column, Table};

/// What the connector can do with any server database.
pub(crate) const CAPABILITY: Capability =
    Capability { catalog: true, read_by_key: true, scan: true, watch: true, write: true };

/// Why a type is left out.
pub(crate) const REFUSED: &str = "values of this type are not used; show it in a view as numbers, text or times";

/// One row of an answer, as texts; `None`: null.
pub(crate) type Texts = Vec<Option<String>>;

/// Why a statement failed, as far as the layer above acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The connection is gone or says nothing sensible: open a new one.
    Lost,
    /// It took too long.
    Slow,
    /// Somebody holds a lock.
    Locked,
    /// A conflict with another transaction ended ours whole: nothing of it stands.
    Conflict,
    /// The login is not accepted.
    Login,
    /// The login may not do this.
    Denied,
    /// The row itself was refused: what by (a constraint, a trigger, the value's type).
    Row(&'static str),
    /// The database is read-only, for now or on purpose.
    ReadOnly,
    /// A table or column changed under our hands.
    Changed,
    /// Anything else: a defect of ours.
    Statement,
}

/// A failed statement. `detail` goes into private halves only, and never holds values.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) cause: Cause,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(cause: Cause, detail: impl std::fmt::Display) -> Self {
        Self { cause, detail: detail.to_string() }
    }
}

/// An open connection. Blocking, and bounded in time by itself.
pub(crate) trait Driver: Send {
    /// Runs one statement with parameters, all as text.
    fn query(&mut self, sql: &str, parameters: &[Option<String>]) -> Result<Vec<Texts>, Fault>;

    /// Runs a statement without parameters and answer (`BEGIN`, `SET`).
    fn execute(&mut self, sql: &str) -> Result<(), Fault>;
}

/// What differs between databases.
pub(crate) trait Dialect: Send + Sync {
    /// Opens a connection: logged in, UTC, with the endpoint's limits of time.
    fn connect(&self, endpoint: &Endpoint) -> Result<Box<dyn Driver>, Fault>;

    /// A name as an identifier.
    fn quote(&self, name: &str) -> String;

    /// The `n`th parameter (from 1), read from its text as the column's type. Parameters are used once, in order.
    fn bind(&self, n: usize, column: &Column) -> String;

    /// The `n`th parameter as the column is compared with it: in the column's own order, without harm to an index.
    fn compare(&self, n: usize, column: &Column) -> String {
        self.bind(n, column)
    }

    /// Whether a row's key comes after another, whose first part is the `n`th parameter; and which part of that key each
    /// parameter is.
    fn after(&self, key: &[Column], n: usize) -> (String, Vec<usize>) {
        let names: Vec<String> = key.iter().map(|column| self.quote(&column.name)).collect();
        let binds: Vec<String> = key.iter().zip(n..).map(|(column, n)| self.compare(n, column)).collect();
        (format!("({}) > ({})", names.join(", "), binds.join(", ")), (0..key.len()).collect())
    }

    /// The `n`th parameter as a number of rows.
    fn bind_count(&self, n: usize) -> String;

    /// A column's value as text that `value::convert` understands.
    fn show(&self, column: &Column) -> String;

    /// The `n`th parameter in the form in which the column would store it, as text.
    fn stored(&self, n: usize, column: &Column) -> String;

    /// Tables and views with their columns and keys: all, or the one named.
    fn tables(&self, driver: &mut dyn Driver, schema: Option<&str>, only: Option<&str>) -> Result<Vec<Table>, Fault>;

    /// A statement that updates many rows at once by their key, where the database has one: columns of the key, columns
    /// that are set, number of rows. Parameters come row by row, the key last.
    fn update_many(&self, table: &Table, key: &[&Column], set: &[&Column], rows: usize) -> Option<String>;

    /// What begins and ends a transaction that looks at one state only.
    fn begin_reading(&self) -> &'static str;

    /// The earliest time with which a transaction that is open now may have dated its rows; asked before a watch reads.
    fn horizon(&self, driver: &mut dyn Driver, before: Option<Timestamp>) -> Result<Option<Timestamp>, Fault>;

    /// The type with which a column for such values is made.
    fn declared(&self, kind: Type) -> &'static str;

    /// What the login may do, by resource; `None`: it cannot be asked.
    fn privileges(
        &self,
        driver: &mut dyn Driver,
        schema: Option<&str>,
    ) -> Result<Option<tendon_kernel::schema::Privileges>, Fault>;
}

/// A system in a server database.
pub(crate) struct Server {
    kind: &'static str,
    guard: Arc<Guard>,
    dialect: &'static dyn Dialect,
    schema: Option<String>,
    readers: Vec<Worker<Session>>,
    next: AtomicUsize,
    writer: Option<Worker<Session>>,
    horizon: Arc<std::sync::Mutex<Option<Timestamp>>>,
}

impl Server {
    /// A connector of a kind; connects when it is first used.
    pub(crate) fn build(kind: &'static str, dialect: &'static dyn Dialect, build: Build) -> Result<Arc<dyn Connector>> {
        let config = config::read(kind, &build.config).map_err(|findings| {
            let none = || Error::new(ErrorKind::Config, "setting_wrong", "the settings are wrong");
            findings.into_iter().next().unwrap_or_else(none)
        })?;
        let endpoint = Arc::new(Endpoint::resolve(kind, &config, &build)?);
        let writes = build.allowed.write.values().any(|fields| !fields.is_empty());
        let guard = Arc::new(Guard { system: build.system, allowed: build.allowed });
        let start = |_| {
            let session = Session::new(Arc::clone(&guard), Arc::clone(&endpoint), dialect);
            Worker::start(&guard.system, session)
        };
        let readers = (0..config.connections.max(1)).map(start).collect::<Result<Vec<_>>>()?;
        let writer = if writes { Some(start(0)?) } else { None };
        let (next, horizon) = (AtomicUsize::new(0), Arc::default());
        Ok(Arc::new(Self { kind, guard, dialect, schema: config.schema, readers, next, writer, horizon }))
    }

    /// The next reading session, in turn.
    fn reader(&self) -> Result<&Worker<Session>> {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.readers.len().max(1);
        self.readers.get(at).ok_or_else(|| Error::new(ErrorKind::Internal, "no_session", "the system has no session"))
    }
}

impl Connector for Server {
    fn capability(&self) -> Capability {
        Capability { write: self.writer.is_some(), ..CAPABILITY }
    }

    fn telemetry_name(&self) -> Option<&'static str> {
        Some(if self.kind == "postgres" { "postgresql" } else { self.kind })
    }

    fn catalog(&self) -> BoxFuture<'_, Result<Catalog>> {
        Box::pin(
            async move { self.reader()?.run(|session| session.reading("reading the catalog", Session::catalog)).await },
        )
    }

    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let ask = |session: &mut Session| {
                session.reading("asking for a sign of life", |open| {
                    open.driver.query("SELECT 'alive'", &[])?;
                    Ok(())
                })
            };
            self.reader()?.run(ask).await
        })
    }

    fn read<'a>(
        &'a self,
        resource: &'a str,
        key: &'a [String],
        fields: &'a [String],
        keys: &'a [Vec<Value>],
    ) -> BoxFuture<'a, Result<Vec<Row>>> {
        Box::pin(async move {
            self.guard.check_resource(resource)?;
            let (resource, key, fields, keys) = (resource.to_owned(), key.to_vec(), fields.to_vec(), keys.to_vec());
            self.reader()?
                .run(move |session| {
                    session.reading("reading rows by key", |open| read::by_key(open, &resource, &key, &fields, &keys))
                })
                .await
        })
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<Row>>> {
        Box::pin(async move {
            self.guard.check_resource(&scan.resource)?;
            self.reader()?.run(move |session| session.reading("scanning rows", |open| read::scan(open, &scan))).await
        })
    }

    fn watch(&self, watch: Watch) -> BoxFuture<'_, Result<Vec<Change>>> {
        Box::pin(async move {
            self.guard.check_resource(&watch.resource)?;
            self.guard.check_read(&watch.resource, [&watch.watermark], &[])?;
            self.reader()?
                .run(move |session| session.reading("watching for changes", |open| read::watch(open, &watch)))
                .await
        })
    }

    fn horizon(&self) -> BoxFuture<'_, Result<Option<Timestamp>>> {
        Box::pin(async move {
            let last = Arc::clone(&self.horizon);
            let ask = move |session: &mut Session| {
                session.reading("asking for open transactions", |open| {
                    let before = last.lock().map_or(None, |last| *last);
                    let found = open.dialect.horizon(open.driver.as_mut(), before)?;
                    if let Ok(mut last) = last.lock() {
                        *last = found;
                    }
                    Ok(found)
                })
            };
            self.reader()?.run(ask).await
        })
    }

    fn write(&self, batch: WriteBatch) -> BoxFuture<'_, Result<Vec<Written>>> {
        Box::pin(async move {
            self.guard.check_resource(&batch.resource)?;
            for write in &batch.writes {
                self.guard.check_write(&batch.resource, write.set.iter().map(|(field, _)| field))?;
                let conditions =
                    write.expect.iter().map(|(field, _)| field).chain(write.older.iter().map(|(field, _)| field));
                for field in conditions.filter(|field| !self.guard.writes(&batch.resource, field)) {
                    self.guard.check_read(&batch.resource, [field], &[])?;
                }
            }
            let Some(writer) = &self.writer else {
                let message = "nothing of this system may be written";
                return Err(
                    Error::new(ErrorKind::Forbidden, "field_not_allowed", message).with("system", &self.guard.system)
                );
            };
            writer.run(move |session| session.writing(|open| write::batch(open, &batch))).await
        })
    }

    fn add_columns(&self, resource: &str, columns: &[(String, Type)]) -> Vec<String> {
        let quote = |name: &str| self.dialect.quote(name);
        let schema = self.schema.as_deref().map(|schema| quote(schema) + ".").unwrap_or_default();
        let statement = |(name, kind): &(String, Type)| {
            let (table, column, declared) = (quote(resource), quote(name), self.dialect.declared(*kind));
            format!("ALTER TABLE {schema}{table} ADD COLUMN {column} {declared};")
        };
        columns.iter().map(statement).collect()
    }
}
