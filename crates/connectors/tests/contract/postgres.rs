//! PostgreSQL under test: a schema of its own on one private server, behind a fault proxy, looked at by `psql`.

use std::{
    any::Any,
    cell::RefCell,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use tendon_kernel::{
    Timestamp, Type, Value,
    schema::Resource,
    sockets::connector::{Allowed, Build, Capability, Connector},
};
use tendon_testkit::{
    Sim, TestSecrets,
    proxy::{Fault, Proxy},
    servers::{PASSWORD, Postgres},
    tested::version,
};

use crate::fixture::Fixture;

/// One server for all tests of this program; it ends with the program.
pub(crate) fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start(&["fsync=off"]))
}

/// A password as an address carries it.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// See the module.
pub(crate) struct PostgresFixture {
    pub(crate) schema: String,
    pub(crate) proxy: Arc<Proxy>,
    tables: RefCell<Vec<String>>,
}

/// A name as an identifier; written apart from the connector's, which is under test.
pub(crate) fn id(name: &str) -> String {
    format!("\"{}\"", name.split('"').collect::<Vec<_>>().join("\"\""))
}

/// A value as a literal.
pub(crate) fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Float(float) => format!("'{float:e}'"),
        Value::Bool(bit) => bit.to_string(),
        other => format!("'{}'", other.to_string().replace('\'', "''")),
    }
}

fn seen(kind: Type, text: &str) -> Value {
    match kind {
        _ if text == "\u{2400}" => Value::Null,
        Type::Bool => Value::Bool(text == "t"),
        Type::Int => Value::Int(text.parse().unwrap()),
        Type::Float => Value::Float(text.parse().unwrap()),
        Type::Text => Value::text(text),
        Type::Time => Value::Time(Timestamp::parse(text.strip_suffix("+00").unwrap()).unwrap()),
    }
}

/// A session that holds a transaction open until it is dropped.
pub(crate) struct Session(Child);

impl Session {
    /// Runs SQL in a new session and waits until all of it has run.
    pub(crate) fn start(sql: &str) -> Self {
        let words = server().psql("postgres");
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env("PGPASSWORD", PASSWORD).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut session = Self(command.spawn().unwrap());
        session.run(sql);
        session
    }

    /// Runs more SQL.
    pub(crate) fn run(&mut self, sql: &str) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{sql}\n\\echo done").unwrap();
        let mut line = String::new();
        while !line.ends_with("done\n") {
            assert!(BufReader::with_capacity(1, self.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap() > 0);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

struct Healed(Arc<Proxy>);

impl Drop for Healed {
    fn drop(&mut self) {
        self.0.set(Fault::None);
    }
}

impl PostgresFixture {
    /// An empty schema.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let schema = format!("s{}", NEXT.fetch_add(1, Ordering::Relaxed));
        server().sql("postgres", &format!("CREATE SCHEMA {schema};"));
        let proxy = Arc::new(Proxy::start(server().port()));
        Self { schema, proxy, tables: RefCell::default() }
    }

    /// Runs SQL in the schema.
    pub(crate) fn sql(&self, sql: &str) -> String {
        server().sql("postgres", &format!("SET search_path TO {}; SET TimeZone TO 'UTC';\n{sql}", self.schema))
    }

    /// Settings of a connection with a login.
    pub(crate) fn settings(&self, user: &str, password: &str) -> serde_json::Value {
        let url = format!("postgres://{user}:{}@127.0.0.1:{}/postgres", encoded(password), self.proxy.port());
        serde_json::json!({"url": url, "schema": self.schema, "lock_timeout": 50, "statement_timeout": 5000})
    }

    /// A connection with settings.
    pub(crate) fn with(&self, config: serde_json::Value, allowed: Allowed) -> Arc<dyn Connector> {
        let kind = tendon_connectors::find("postgres").unwrap();
        (kind.validate)(&config).unwrap();
        (kind.build)(Build {
            system: "crm".to_owned(),
            config,
            allowed,
            folder: server().folder().to_owned(),
            context: Sim::new(1).context(),
            secrets: Arc::new(TestSecrets::default()),
        })
        .unwrap()
    }
}

impl Fixture for PostgresFixture {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn capability(&self) -> Capability {
        tendon_connectors::find("postgres").unwrap().capability
    }

    fn create(&self, resource: &Resource, rows: &[Vec<Value>]) {
        let (table, counter) = (id(&resource.name), id(&format!("{} updates", resource.name)));
        let mut parts: Vec<String> = Vec::new();
        for field in &resource.schema.fields {
            let native = match field.kind {
                Type::Bool => "boolean",
                Type::Int => "bigint",
                Type::Float => "double precision",
                Type::Text => "text",
                Type::Time => "timestamptz",
            };
            parts.push(format!("{} {native}{}", id(&field.name), if field.required { " NOT NULL" } else { "" }));
        }
        let key: Vec<String> = resource.key.iter().map(|name| id(name)).collect();
        parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
        let mut sql = format!(
            "CREATE TABLE {table} ({});\nCREATE TABLE {counter} (n int);\nCREATE FUNCTION {counter}() RETURNS trigger \
             LANGUAGE plpgsql SECURITY DEFINER AS $f$ BEGIN INSERT INTO {}.{counter} VALUES (1); RETURN NULL; END $f$;\n",
            parts.join(", "),
            self.schema
        );
        for row in rows {
            let values: Vec<String> = row.iter().map(literal).collect();
            sql.push_str(&format!("INSERT INTO {table} VALUES ({});\n", values.join(", ")));
        }
        sql.push_str(&format!(
            "CREATE TRIGGER {counter} AFTER UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {counter}();"
        ));
        self.sql(&format!("BEGIN;\n{sql}\nCOMMIT;"));
        self.tables.borrow_mut().push(table);
    }

    fn dump(&self, resource: &Resource) -> Vec<Vec<Value>> {
        let names: Vec<String> = resource.schema.fields.iter().map(|field| id(&field.name)).collect();
        let key: Vec<String> = resource.key.iter().map(|name| id(name)).collect();
        let sql = format!("SELECT {} FROM {} ORDER BY {};", names.join(", "), id(&resource.name), key.join(", "));
        let text = self.sql(&sql);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let rows = text.split('\u{1e}').filter(|row| !row.is_empty());
        rows.map(|row| {
            row.split('\u{1f}').zip(&resource.schema.fields).map(|(text, field)| seen(field.kind, text)).collect()
        })
        .collect()
    }

    fn change(&self, resource: &Resource, key: &Value, field: &str, value: &Value) {
        let (table, field, value) = (id(&resource.name), id(field), literal(value));
        self.sql(&format!("UPDATE {table} SET {field} = {value} WHERE {} = {};", id(&resource.key[0]), literal(key)));
    }

    fn refuse(&self, resource: &Resource, key: &Value) {
        let (table, field) = (id(&resource.name), id(&resource.key[0]));
        self.sql(&format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION 'not this one'; END $f$;
             CREATE TRIGGER refuse BEFORE UPDATE ON {table} FOR EACH ROW WHEN (NEW.{field} = {}) EXECUTE FUNCTION refuse();",
            literal(key)
        ));
    }

    fn lock(&self) -> Box<dyn Any> {
        let tables: Vec<String> = self.tables.borrow().iter().map(|table| format!("{}.{table}", self.schema)).collect();
        Box::new(Session::start(&format!("BEGIN; LOCK TABLE {} IN EXCLUSIVE MODE;", tables.join(", "))))
    }

    fn vanish(&self) -> Box<dyn Any> {
        self.proxy.set(Fault::Refuse);
        self.proxy.cut();
        Box::new(Healed(Arc::clone(&self.proxy)))
    }

    fn updates(&self, resource: &Resource) -> u64 {
        let counter = id(&format!("{} updates", resource.name));
        self.sql(&format!("SELECT count(*) FROM {counter};")).trim().parse().unwrap()
    }

    fn tells_required(&self) -> bool {
        true
    }

    fn holds(&self, text: &str) -> bool {
        !text.contains('\0')
    }

    fn tested(&self) -> Option<String> {
        Some(format!("PostgreSQL {}", version(&server().sql("postgres", "SHOW server_version;"), 1)))
    }

    fn connect(&self, allowed: Allowed) -> Arc<dyn Connector> {
        self.with(self.settings("app", PASSWORD), allowed)
    }
}
