//! SQLite under test: a file in a folder of its own, looked at with a connection of the test's.

use std::{any::Any, path::PathBuf, sync::Arc};

use rusqlite::{Connection, params_from_iter, types::Value as Stored};
use tendon_kernel::{
    Timestamp, Type, Value,
    schema::Resource,
    sockets::connector::{Allowed, Build, Capability, Connector},
};
use tendon_testkit::{Sim, TestSecrets, tested::version};

use crate::fixture::Fixture;

/// See the module.
pub(crate) struct SqliteFixture {
    folder: tempfile::TempDir,
}

impl SqliteFixture {
    /// An empty database.
    pub(crate) fn new() -> Self {
        let fixture = Self { folder: tempfile::tempdir().unwrap() };
        fixture.open().execute_batch("PRAGMA journal_mode = WAL").unwrap();
        fixture
    }

    /// The file.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("crm.db")
    }

    /// The test's own connection.
    pub(crate) fn open(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

/// A name as an identifier; written apart from the connector's, which is under test.
pub(crate) fn id(name: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in name.chars() {
        if letter == '"' {
            quoted.push('"');
        }
        quoted.push(letter);
    }
    quoted + "\""
}

fn stored(value: &Value) -> Stored {
    match value {
        Value::Null => Stored::Null,
        Value::Bool(bit) => Stored::Integer(i64::from(*bit)),
        Value::Int(integer) => Stored::Integer(*integer),
        Value::Float(real) => Stored::Real(*real),
        Value::Text(text) => Stored::Text(text.to_string()),
        Value::Time(time) => Stored::Text(time.to_string()),
    }
}

fn seen(kind: Type, value: Stored) -> Value {
    match (kind, value) {
        (_, Stored::Null) => Value::Null,
        (Type::Bool, Stored::Integer(bit)) => Value::Bool(bit == 1),
        (Type::Int, Stored::Integer(integer)) => Value::Int(integer),
        (Type::Float, Stored::Real(real)) => Value::Float(real),
        (Type::Time, Stored::Text(text)) => Value::Time(Timestamp::parse(&text).unwrap()),
        (_, Stored::Text(text)) => Value::text(&text),
        (kind, value) => panic!("{kind} holds {value:?}"),
    }
}

fn declared(kind: Type) -> &'static str {
    match kind {
        Type::Bool => "BOOLEAN",
        Type::Int => "INTEGER",
        Type::Float => "REAL",
        Type::Text => "TEXT",
        Type::Time => "TIMESTAMP",
    }
}

struct Back {
    from: PathBuf,
    to: PathBuf,
}

impl Drop for Back {
    fn drop(&mut self) {
        std::fs::rename(&self.from, &self.to).unwrap();
    }
}

impl Fixture for SqliteFixture {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    fn capability(&self) -> Capability {
        tendon_connectors::find("sqlite").unwrap().capability
    }

    fn create(&self, resource: &Resource, rows: &[Vec<Value>]) {
        let mut db = self.open();
        let table = id(&resource.name);
        let mut parts: Vec<String> = Vec::new();
        for field in &resource.schema.fields {
            let required = if field.required { " NOT NULL" } else { "" };
            parts.push(format!("{} {}{required}", id(&field.name), declared(field.kind)));
        }
        let key: Vec<String> = resource.key.iter().map(|name| id(name)).collect();
        parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
        db.execute_batch(&format!("CREATE TABLE {table} ({})", parts.join(", "))).unwrap();
        let counter = id(&format!("{} updates", resource.name));
        db.execute_batch(&format!(
            "CREATE TABLE {counter} (n INTEGER PRIMARY KEY);
             CREATE TRIGGER {} AFTER UPDATE ON {table} BEGIN INSERT INTO {counter} VALUES (NULL); END",
            id(&format!("{} count", resource.name))
        ))
        .unwrap();
        let sql = format!("INSERT INTO {table} VALUES ({})", vec!["?"; resource.schema.fields.len()].join(","));
        let inserting = db.transaction().unwrap();
        for row in rows {
            inserting.execute(&sql, params_from_iter(row.iter().map(stored))).unwrap();
        }
        inserting.commit().unwrap();
    }

    fn dump(&self, resource: &Resource) -> Vec<Vec<Value>> {
        let db = self.open();
        let key: Vec<String> = resource.key.iter().map(|name| id(name)).collect();
        let sql = format!("SELECT * FROM {} ORDER BY {}", id(&resource.name), key.join(", "));
        let mut statement = db.prepare(&sql).unwrap();
        let rows = statement.query_map([], |row| {
            let fields = resource.schema.fields.iter().enumerate();
            Ok(fields.map(|(at, field)| seen(field.kind, row.get(at).unwrap())).collect())
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    fn change(&self, resource: &Resource, key: &Value, field: &str, value: &Value) {
        let sql = format!("UPDATE {} SET {} = ?1 WHERE {} = ?2", id(&resource.name), id(field), id(&resource.key[0]));
        assert_eq!(self.open().execute(&sql, [stored(value), stored(key)]).unwrap(), 1);
    }

    fn refuse(&self, resource: &Resource, key: &Value) {
        let (table, field, Value::Int(key)) = (id(&resource.name), id(&resource.key[0]), key) else {
            panic!("integer keys only")
        };
        self.open()
            .execute_batch(&format!(
                "CREATE TRIGGER refuse_{key} AFTER UPDATE ON {table} WHEN NEW.{field} = {key}
                 BEGIN SELECT RAISE(FAIL, 'not this one'); END"
            ))
            .unwrap();
    }

    fn lock(&self) -> Box<dyn Any> {
        let db = self.open();
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        Box::new(db)
    }

    fn vanish(&self) -> Box<dyn std::any::Any> {
        let (to, from) = (self.path(), self.path().with_extension("away"));
        std::fs::rename(&to, &from).unwrap();
        Box::new(Back { from, to })
    }

    fn updates(&self, resource: &Resource) -> u64 {
        let sql = format!("SELECT count(*) FROM {}", id(&format!("{} updates", resource.name)));
        self.open().query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
    }

    fn tells_required(&self) -> bool {
        true
    }

    fn tested(&self) -> Option<String> {
        Some(format!("SQLite {}", version(rusqlite::version(), 2)))
    }

    fn connect(&self, allowed: Allowed) -> Arc<dyn Connector> {
        connect(self, serde_json::json!({"path": "crm.db", "busy_timeout": 20}), allowed).unwrap()
    }
}

/// A connection with given settings.
pub(crate) fn connect(
    fixture: &SqliteFixture,
    config: serde_json::Value,
    allowed: Allowed,
) -> tendon_kernel::Result<Arc<dyn Connector>> {
    let kind = tendon_connectors::find("sqlite").unwrap();
    (kind.validate)(&config).unwrap();
    (kind.build)(Build {
        system: "crm".to_owned(),
        config,
        allowed,
        folder: fixture.folder.path().to_owned(),
        context: Sim::new(1).context(),
        secrets: Arc::new(TestSecrets::default()),
    })
}
