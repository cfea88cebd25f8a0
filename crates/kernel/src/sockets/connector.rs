//! The socket for systems: reading, watching and writing whatever the business runs. A connector touches only the fields
//! that the plan names; the promises of write-back and watch are DESIGN §5a.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use futures_util::future::BoxFuture;

use crate::{
    context::Context,
    error::{Error, Result},
    schema::Catalog,
    sockets::secrets::Secrets,
    time::Timestamp,
    value::{Type, Value},
};

/// What a connector can do, as data: callers ask, the contract suite asks, the docs ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Capability {
    /// Tells its catalog.
    pub catalog: bool,
    /// Reads rows by key.
    pub read_by_key: bool,
    /// Scans all rows in key order.
    pub scan: bool,
    /// Finds rows changed since a watermark.
    pub watch: bool,
    /// Writes named fields conditionally.
    pub write: bool,
}

/// The fields of one resource that may be touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Fields that may be read, by resource.
    pub read: BTreeMap<String, Vec<String>>,
    /// Fields that may be written, by resource.
    pub write: BTreeMap<String, Vec<String>>,
}

/// One row: values in the order of the fields asked for.
#[derive(Clone, PartialEq)]
pub struct Row {
    /// The values of the key fields.
    pub key: Vec<Value>,
    /// The values of the requested fields.
    pub values: Vec<Value>,
}

impl std::fmt::Debug for Row {
    /// Counts only: rows are personal data, and `Debug` ends up in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row({} key, {} values)", self.key.len(), self.values.len())
    }
}

/// Which rows to scan.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Resource.
    pub resource: String,
    /// Key fields (in the plan's order).
    pub key: Vec<String>,
    /// Fields to read.
    pub fields: Vec<String>,
    /// Only keys after this one; empty: from the start.
    pub after: Vec<Value>,
    /// At most this many rows.
    pub limit: usize,
}

/// Where a watch stands: it has seen everything up to this watermark and, at the watermark, up to this key.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// Value of the watermark field; null: from the very start.
    pub mark: Value,
    /// Key values at that mark; empty: none of that mark seen.
    pub key: Vec<Value>,
}

/// Which changes to read: rows ordered by (watermark, key), after `after`.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Resource.
    pub resource: String,
    /// Key fields.
    pub key: Vec<String>,
    /// Field that grows with each change (`updated_at`).
    pub watermark: String,
    /// Fields to read (the watermark's own value comes in `Change::mark`).
    pub fields: Vec<String>,
    /// Start.
    pub after: Position,
    /// At most this many rows.
    pub limit: usize,
}

/// A row found by a watch.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its watermark.
    pub mark: Value,
    /// Key and values.
    pub row: Row,
}

/// One conditional write: named fields of one row, if the row still is as it was read.
#[derive(Clone, PartialEq)]
pub struct Write {
    /// Key of the row, in the order of `WriteBatch::key`.
    pub key: Vec<Value>,
    /// Fields and their new values.
    pub set: Vec<(String, Value)>,
    /// Fields that must still hold these values (null-safe, exact).
    pub expect: Vec<(String, Value)>,
    /// A time field of the target that must be null or older than the given time.
    pub older: Option<(String, Timestamp)>,
}

/// Writes to one resource.
#[derive(Clone)]
pub struct WriteBatch {
    /// Resource.
    pub resource: String,
    /// Key fields.
    pub key: Vec<String>,
    /// The writes; at most one per key.
    pub writes: Vec<Write>,
}

/// What became of one write.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// Our values stand there now. `old` are the values before (for undo), in the order of `set`; `None` when they stood
    /// there already, from an earlier attempt whose outcome was not recorded.
    Delivered {
        /// Values before.
        old: Option<Vec<Value>>,
    },
    /// Somebody changed the row meanwhile, or a newer decision stands there: not written.
    Superseded,
    /// No row has this key.
    Missing,
    /// The system refused this row.
    Rejected(Error),
}

/// A connection to a system.
pub trait Connector: Send + Sync {
    /// What it can do.
    fn capability(&self) -> Capability;

    /// What OpenTelemetry calls a database of its kind (`db.system.name`); `None` where it is none.
    fn telemetry_name(&self) -> Option<&'static str> {
        None
    }

    /// Tells resources, keys and fields as the login sees them (all of them, not only the allowed ones).
    fn catalog(&self) -> BoxFuture<'_, Result<Catalog>>;

    /// Does the least that shows that the system answers.
    fn probe(&self) -> BoxFuture<'_, Result<()>>;

    /// Rows with these keys, in any order; keys without a row are left out.
    fn read<'a>(
        &'a self,
        resource: &'a str,
        key: &'a [String],
        fields: &'a [String],
        keys: &'a [Vec<Value>],
    ) -> BoxFuture<'a, Result<Vec<Row>>>;

    /// The next rows in key order.
    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<Row>>>;

    /// The next changes in (watermark, key) order.
    fn watch(&self, watch: Watch) -> BoxFuture<'_, Result<Vec<Change>>>;

    /// The earliest time with which a change that is not visible yet may be dated, as far as the system can tell: the begin
    /// of its oldest open transaction. Asked before a watch reads; the next watch starts there at the latest.
    fn horizon(&self) -> BoxFuture<'_, Result<Option<Timestamp>>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Writes conditionally, one transaction where the system has them. One result per write, in order.
    ///
    /// # Errors
    /// When the whole batch failed (retry as `retryable` says); a refused row is `Written::Rejected`.
    fn write(&self, batch: WriteBatch) -> BoxFuture<'_, Result<Vec<Written>>>;

    /// The statements by which the system's owner would add these columns to a resource, in the system's own language;
    /// none where that is no statement. Text for people: nothing here ever changes a structure.
    fn add_columns(&self, resource: &str, columns: &[(String, Type)]) -> Vec<String> {
        let _ = (resource, columns);
        Vec::new()
    }
}

/// What a connector is built from.
pub struct Build {
    /// Name of the system in the project.
    pub system: String,
    /// The kind's own settings (secrets still as references), already validated.
    pub config: serde_json::Value,
    /// What may be touched.
    pub allowed: Allowed,
    /// The project's folder: relative paths in settings start here.
    pub folder: PathBuf,
    /// Time, randomness, tasks.
    pub context: Context,
    /// Resolves references.
    pub secrets: Arc<dyn Secrets>,
}

/// A kind of system: one file in the room `connectors` and one line in its list.
pub struct ConnectorKind {
    /// Stable name (`sqlite`).
    pub name: &'static str,
    /// One sentence for people.
    pub summary: &'static str,
    /// What connections of this kind can do.
    pub capability: Capability,
    /// JSON Schema of its settings: the reference documentation.
    pub schema: fn() -> serde_json::Value,
    /// Checks settings: pure, no I/O. Errors carry a JSON pointer into the settings.
    pub validate: fn(&serde_json::Value) -> std::result::Result<(), Vec<Error>>,
    /// Builds a connection; may do I/O lazily.
    pub build: fn(Build) -> Result<Arc<dyn Connector>>,
    /// The statements that give a login exactly the declared rights, from the settings and what is declared; `None`: the
    /// kind has no logins of its own.
    pub access: Option<fn(&serde_json::Value, &Wanted) -> Vec<String>>,
}

/// The rights that the declared fields need, for a login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Name of the login.
    pub login: String,
    /// Fields by resource.
    pub fields: BTreeMap<String, WantedFields>,
}

/// The rights on one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedFields {
    /// Fields to read, the key and what is written among them: a write-back compares and reads back.
    pub read: Vec<String>,
    /// Fields to write.
    pub write: Vec<String>,
}

impl Wanted {
    /// The rights for what is declared; the keys come from the catalog.
    pub fn new(login: &str, allowed: &Allowed, catalog: &Catalog) -> Self {
        let mut fields: BTreeMap<String, WantedFields> = BTreeMap::new();
        for (resource, names) in &allowed.read {
            fields.entry(resource.clone()).or_default().read.clone_from(names);
        }
        for (resource, names) in &allowed.write {
            let wanted = fields.entry(resource.clone()).or_default();
            wanted.write.clone_from(names);
            wanted.read.extend(names.iter().cloned());
        }
        for (resource, wanted) in &mut fields {
            wanted.read.extend(catalog.resource(resource).into_iter().flat_map(|found| found.key.iter().cloned()));
            for names in [&mut wanted.read, &mut wanted.write] {
                names.sort_unstable();
                names.dedup();
            }
        }
        Self { login: login.to_owned(), fields }
    }
}
