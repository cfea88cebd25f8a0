//! Files of rows: every `*.csv` and `*.jsonl` directly in one folder is a resource, named by its file name without the
//! extension. They are read, never written, and not watched.
//!
//! What to know about it:
//!
//! - **Types are inferred** from the names in the header (csv) or the objects' keys (jsonl) and the first
//!   1,000 records; the catalog says so at each field. A later value that does not fit is given as text with its raw
//!   content, so that validation rejects that record with a pointer and the others go on. An empty csv cell is null.
//! - **Order.** Without a declared key, rows are scanned in the order of the file, and the key is the synthetic field
//!   [`ROW`]: the number of the record, from 1. With a key declared in the settings, rows are scanned in key order and read by
//!   key, over an index of the keys that is held in memory and made anew when the file changes; then every row must be well
//!   formed and have a key of its own.
//! - **A row that is not well formed** (another number of cells than the header, invalid UTF-8, no JSON object, a nested value in
//!   a field that is asked for, longer than 16 MiB) is an error of its own: the page ends before it, and the next scan from there
//!   fails with code `row_malformed`, naming line and row. A scan after that row goes on behind it. So only an empty page is
//!   the end.
//! - A missing folder is `system_unreachable`, worth a retry. A file that changes is read anew.

mod folder;
mod infer;
mod record;
mod session;

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::BoxFuture;
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use tendon_kernel::{
    Error, ErrorKind, Result, Value,
    schema::Catalog,
    sockets::connector::{Build, Capability, Change, Connector, ConnectorKind, Row, Scan, Watch, WriteBatch, Written},
};

use crate::{guard::Guard, settings, worker::Worker};
use session::Session;

/// Name of the synthetic key field of resources without a declared key: the number of the record in its file, from 1.
pub const ROW: &str = "_row";

/// The kind.
pub static KIND: ConnectorKind = ConnectorKind {
    name: "files",
    summary: "A folder of csv and jsonl files, read row by row or by a declared key.",
    capability: Capability { catalog: true, read_by_key: true, scan: true, watch: false, write: false },
    schema: || schema_for!(Config).to_value(),
    validate: |settings| read_config(settings).map(|_| ()),
    build: |build| Ok(Arc::new(Files::build(build)?)),
    access: None,
};

/// Settings of a `files` system.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder with the files; relative to the project's folder. May hold references such as `${env:EXPORTS}`.
    pub path: String,
    /// What separates the cells of csv files: one ASCII character.
    #[serde(default = "default_delimiter")]
    #[schemars(length(min = 1, max = 1))]
    pub delimiter: String,
    /// The key of a resource, as a list of its fields, by resource. Without one, rows are known by their number.
    #[serde(default)]
    pub key: BTreeMap<String, Vec<String>>,
}

fn default_delimiter() -> String {
    ",".to_owned()
}

fn read_config(settings: &serde_json::Value) -> Result<Config, Vec<Error>> {
    let config: Config = settings::parse("files", settings)?;
    let wrong = |pointer: String, message: &'static str, hint: &'static str| {
        Error::new(ErrorKind::Config, "setting_wrong", message).at(pointer).hint(hint)
    };
    let mut findings = Vec::new();
    if config.path.is_empty() || config.path.contains('\0') {
        let hint = "give the folder with the files, for example exports";
        findings.push(wrong("/path".to_owned(), "the path names no folder", hint));
    }
    if !matches!(config.delimiter.as_bytes(), [byte] if byte.is_ascii() && !b"\"\r\n\0".contains(byte)) {
        let hint = "one ASCII character such as `,`, `;` or a tab";
        findings.push(wrong("/delimiter".to_owned(), "the delimiter is no single character", hint));
    }
    for (resource, key) in &config.key {
        let repeated = (1..key.len()).any(|at| key[at..].contains(&key[at - 1]));
        if key.is_empty() || repeated {
            let hint = "name the fields that tell rows apart, each once";
            let at = format!("/key/{}", resource.replace('~', "~0").replace('/', "~1"));
            findings.push(wrong(at, "the key is empty or names a field twice", hint));
        }
    }
    if findings.is_empty() { Ok(config) } else { Err(findings) }
}

/// A folder of files: one thread that reads.
struct Files {
    guard: Guard,
    keys: BTreeMap<String, Vec<String>>,
    reader: Worker<Session>,
}

impl Files {
    fn build(build: Build) -> Result<Self> {
        let config = read_config(&build.config).map_err(|findings| {
            let none = || Error::new(ErrorKind::Config, "setting_wrong", "the settings are wrong");
            findings.into_iter().next().unwrap_or_else(none)
        })?;
        let path = build.folder.join(build.secrets.resolve(&config.path)?.reveal());
        let guard = Guard { system: build.system, allowed: build.allowed };
        let delimiter = config.delimiter.bytes().next().unwrap_or(b',');
        let session = Session::new(guard.clone(), path, delimiter, config.key.clone());
        Ok(Self { reader: Worker::start(&guard.system, session)?, keys: config.key, guard })
    }

    /// The wall: resource, then fields; the resource's own key comes with it.
    fn check<'a>(&self, resource: &str, fields: impl IntoIterator<Item = &'a String>) -> Result<()> {
        self.guard.check_resource(resource)?;
        let row = [ROW.to_owned()];
        self.guard.check_read(resource, fields, self.keys.get(resource).map_or(&row[..], Vec::as_slice))
    }

    fn unsupported(&self, what: &'static str) -> Error {
        Error::new(ErrorKind::Unsupported, "not_supported", what).with("system", &self.guard.system)
    }
}

impl Connector for Files {
    fn capability(&self) -> Capability {
        Capability { read_by_key: !self.keys.is_empty(), ..KIND.capability }
    }

    fn catalog(&self) -> BoxFuture<'_, Result<Catalog>> {
        Box::pin(self.reader.run(Session::catalog))
    }

    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.reader.run(|session| session.names().map(|_| ())))
    }

    fn read<'a>(
        &'a self,
        resource: &'a str,
        key: &'a [String],
        fields: &'a [String],
        keys: &'a [Vec<Value>],
    ) -> BoxFuture<'a, Result<Vec<Row>>> {
        Box::pin(async move {
            self.check(resource, key.iter().chain(fields))?;
            let (resource, key, fields, keys) = (resource.to_owned(), key.to_vec(), fields.to_vec(), keys.to_vec());
            self.reader.run(move |session| session.read(&resource, &key, &fields, &keys)).await
        })
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<Row>>> {
        Box::pin(async move {
            self.check(&scan.resource, scan.key.iter().chain(&scan.fields))?;
            self.reader.run(move |session| session.scan(&scan)).await
        })
    }

    fn watch(&self, _: Watch) -> BoxFuture<'_, Result<Vec<Change>>> {
        Box::pin(async { Err(self.unsupported("files cannot be watched")) })
    }

    fn write(&self, _: WriteBatch) -> BoxFuture<'_, Result<Vec<Written>>> {
        Box::pin(async { Err(self.unsupported("files cannot be written")) })
    }
}
