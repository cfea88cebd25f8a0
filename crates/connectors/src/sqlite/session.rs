//! An open database file on its worker thread: the connection for data behind the authorizer, one of its own for the
//! catalog, and what is known about the tables met so far.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig, functions::FunctionFlags, limits::Limit};
use tendon_kernel::{Error, ErrorKind, Result, schema};

use super::{
    authorizer::{self, Shared},
    catalog::{self, Table},
    failure, value,
};
use crate::{guard::Guard, settings};

/// Statements kept compiled per connection: a few per resource and shape of write.
const STATEMENTS: usize = 128;

/// What a worker owns: the file's name, and the open file once it was needed.
pub(super) struct Session {
    guard: Arc<Guard>,
    path: PathBuf,
    busy: Duration,
    writes: bool,
    open: Option<Open>,
}

/// An open file.
pub(super) struct Open {
    /// For data; behind the authorizer.
    pub(super) data: Connection,
    /// For the schema only.
    schema: Connection,
    /// Name of the system, for errors.
    pub(super) system: String,
    identity: Identity,
    rules: Shared,
    /// SQLite's schema version, at which `tables` was filled.
    version: i64,
    tables: BTreeMap<String, Arc<Table>>,
    writes: bool,
}

/// Which file it is, so that a replaced one is noticed.
type Identity = (u64, u64);

impl Session {
    pub(super) fn new(guard: Arc<Guard>, path: PathBuf, busy: Duration, writes: bool) -> Self {
        Self { guard, path, busy, writes, open: None }
    }

    /// Runs a job on the open file, opening it first where needed.
    pub(super) fn with<T>(&mut self, job: impl FnOnce(&mut Open, &Guard) -> Result<T>) -> Result<T> {
        let identity = self.identity()?;
        if self.open.as_ref().is_some_and(|open| open.identity != identity) {
            self.open = None;
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Open::new(&self.guard.system, &self.path, identity, self.busy, self.writes)?),
        };
        let result = job(open, &self.guard);
        if result.as_ref().is_err_and(|error| error.code() == failure::UNREACHABLE) {
            self.open = None;
        }
        result
    }

    /// The identity of the file now at the path.
    fn identity(&self) -> Result<Identity> {
        let unreachable = |detail: String| {
            Error::new(ErrorKind::Unavailable, failure::UNREACHABLE, "opening the database file failed")
                .with("system", &self.guard.system)
                .hint("look whether `path` names the file and whether Tendon's user may read it")
                .private(detail)
        };
        let found = std::fs::metadata(&self.path).map_err(|error| unreachable(error.to_string()))?;
        if !found.is_file() {
            return Err(unreachable("not a file".to_owned()));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            Ok((found.dev(), found.ino()))
        }
        #[cfg(not(unix))]
        Ok((0, 0))
    }
}

impl Open {
    fn new(system: &str, path: &Path, identity: Identity, busy: Duration, writes: bool) -> Result<Self> {
        Self::connect(system, path, identity, busy, writes)
            .map_err(|error| failure::of(system, "opening the database file", &error))
    }

    fn connect(system: &str, path: &Path, identity: Identity, busy: Duration, writes: bool) -> rusqlite::Result<Self> {
        // Never CREATE, never URI: a wrong path must not make a file, and a path is only a path.
        let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let read_write = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let schema = Connection::open_with_flags(path, read_only)?;
        schema.busy_timeout(busy)?;
        let mut data = Connection::open_with_flags(path, if writes { read_write } else { read_only })?;
        data.busy_timeout(busy)?;
        data.set_prepared_statement_cache_capacity(STATEMENTS);
        // A quoted name that does not exist is an error, not a text.
        data.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        data.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        data.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
        data.create_scalar_function(authorizer::EXACT, 1, flags, |call| Ok(value::is_exact(call.get_raw(0))))?;
        let rules = Shared::default();
        let shared = Arc::clone(&rules);
        data.authorizer(Some(move |question: rusqlite::hooks::AuthContext<'_>| {
            authorizer::decide(&shared, &question)
        }))?;
        Ok(Self {
            data,
            schema,
            system: system.to_owned(),
            identity,
            rules,
            version: -1,
            tables: BTreeMap::new(),
            writes,
        })
    }

    /// Maps an error of SQLite's to the kernel's.
    pub(super) fn failed(&self, attempt: &'static str) -> impl Fn(rusqlite::Error) -> Error + use<> {
        let system = self.system.clone();
        move |error| failure::of(&system, attempt, &error)
    }

    /// Reads the file's header; forgets what is known about tables when the schema has changed.
    pub(super) fn refresh(&mut self) -> Result<()> {
        let version: i64 = self
            .schema
            .prepare_cached("PRAGMA schema_version")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(self.failed("reading the schema"))?;
        if version != self.version {
            let bodies = catalog::bodies(&self.schema).map_err(self.failed("reading the schema"))?;
            self.tables.clear();
            self.version = version;
            if let Ok(mut rules) = self.rules.lock() {
                rules.read.clear();
                rules.write.clear();
                rules.bodies = bodies;
            }
            self.data.flush_prepared_statement_cache();
        }
        Ok(())
    }

    /// All resources.
    pub(super) fn catalog(&mut self) -> Result<schema::Catalog> {
        catalog::all(&self.schema).map_err(self.failed("reading the catalog"))
    }

    /// What is known about a table, and lets the authorizer know what the plan allows of it.
    pub(super) fn table(&mut self, guard: &Guard, name: &str) -> Result<Arc<Table>> {
        self.refresh()?;
        if let Some(table) = self.tables.get(name) {
            self.about(table);
            return Ok(Arc::clone(table));
        }
        let found = catalog::one(&self.schema, name).map_err(self.failed("reading the catalog"))?;
        let Some(table) = found else {
            let names = catalog::names(&self.schema).map_err(self.failed("reading the catalog"))?;
            let names: Vec<&str> =
                names.iter().map(|(name, _)| name.as_str()).filter(|name| guard.knows(name)).collect();
            return Err(Error::new(ErrorKind::NotFound, "resource_unknown", "the system has no such table or view")
                .with("system", &self.system)
                .with("resource", name)
                .hint(settings::suggestion(name, &names)));
        };
        let table = Arc::new(table);
        self.allow(guard, &table);
        self.about(&table);
        self.tables.insert(name.to_owned(), Arc::clone(&table));
        Ok(table)
    }

    /// Tells the authorizer what the next statements are about.
    fn about(&self, table: &Table) {
        if let Ok(mut rules) = self.rules.lock() {
            rules.view = table.view;
        }
    }

    /// Tells the authorizer what may be touched of a table: listed fields and the table's own key, and for writing also the
    /// columns that its foreign keys point to, because SQLite looks there.
    fn allow(&self, guard: &Guard, table: &Table) {
        let Ok(mut rules) = self.rules.lock() else { return };
        let listed = |lists: &BTreeMap<String, Vec<String>>| {
            lists.get(&table.name).into_iter().flatten().cloned().collect::<std::collections::BTreeSet<_>>()
        };
        let mut read = listed(&guard.allowed.read);
        read.extend(table.key.iter().cloned());
        rules.read.entry(table.name.clone()).or_default().extend(read);
        if self.writes {
            rules.write.insert(table.name.clone(), listed(&guard.allowed.write));
            for (parent, column) in &table.parents {
                rules.read.entry(parent.clone()).or_default().insert(column.clone());
            }
        }
    }
}
