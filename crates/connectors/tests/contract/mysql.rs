//! MariaDB under test: a database of its own on one private server, behind a fault proxy, looked at by `mariadb`.

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
    servers::{MariaDb, PASSWORD},
    tested::version,
};

use crate::{fixture::Fixture, postgres::encoded};

/// One server for all tests of this program; it ends with the program.
pub(crate) fn server() -> &'static MariaDb {
    static SERVER: OnceLock<MariaDb> = OnceLock::new();
    SERVER.get_or_init(MariaDb::start)
}

/// A server beside it, for what counts by the whole server or may do it harm.
pub(crate) fn apart() -> &'static MariaDb {
    static APART: OnceLock<MariaDb> = OnceLock::new();
    APART.get_or_init(MariaDb::start)
}

/// See the module.
pub(crate) struct MysqlFixture {
    pub(crate) server: &'static MariaDb,
    pub(crate) database: String,
    pub(crate) proxy: Arc<Proxy>,
    tables: RefCell<Vec<String>>,
}

/// A name as an identifier; written apart from the connector's, which is under test.
fn id(name: &str) -> String {
    format!("`{}`", name.split('`').collect::<Vec<_>>().join("``"))
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

/// A value as a literal.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Float(float) => format!("{float:e}"),
        Value::Bool(bit) => bit.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Time(time) => format!("'{}'", time.to_string().replace('T', " ").trim_end_matches('Z')),
        Value::Text(text) => format!("_utf8mb4 X'{}'", hex(text)),
    }
}

fn seen(kind: Type, hex: &str) -> Value {
    if hex == "-" {
        return Value::Null;
    }
    let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
    let text = String::from_utf8(bytes.collect()).unwrap();
    match kind {
        Type::Bool => Value::Bool(text == "1"),
        Type::Int => Value::Int(text.parse().unwrap()),
        Type::Float => Value::Float(text.parse().unwrap()),
        Type::Text => Value::text(&text),
        Type::Time => Value::Time(Timestamp::parse(&text).unwrap()),
    }
}

/// A session that holds a transaction open until it is dropped.
pub(crate) struct Session(Child, BufReader<std::process::ChildStdout>);

impl Session {
    /// Runs SQL in a new session and waits until all of it has run.
    fn start(server: &MariaDb, database: &str, sql: &str) -> Self {
        let words = server.client(database);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env("MYSQL_PWD", PASSWORD).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut session = Self(child, out);
        session.run(sql);
        session
    }

    /// Sends SQL that may have to wait.
    pub(crate) fn send(&mut self, sql: &str) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{sql}\nSELECT 'done';").unwrap();
    }

    /// Waits until what was sent has run.
    pub(crate) fn wait(&mut self) {
        let mut line = String::new();
        while !line.ends_with("done\n") {
            assert!(self.1.read_line(&mut line).unwrap() > 0);
        }
    }

    /// Runs more SQL.
    pub(crate) fn run(&mut self, sql: &str) {
        self.send(sql);
        self.wait();
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

impl MysqlFixture {
    /// An empty database.
    pub(crate) fn new() -> Self {
        Self::on(server())
    }

    /// An empty database on a server.
    pub(crate) fn on(server: &'static MariaDb) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let database = format!("s{}", NEXT.fetch_add(1, Ordering::Relaxed));
        server.sql("mysql", &format!("CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;"));
        let proxy = Arc::new(Proxy::start(server.port()));
        Self { server, database, proxy, tables: RefCell::default() }
    }

    /// Opens a session and waits until it has run this.
    pub(crate) fn session(&self, sql: &str) -> Session {
        Session::start(self.server, &self.database, sql)
    }

    /// Runs SQL in the database.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.database, &format!("SET time_zone = '+00:00';\n{sql}"))
    }

    /// Settings of a connection with a login.
    pub(crate) fn settings(&self, user: &str, password: &str) -> serde_json::Value {
        let (port, database) = (self.proxy.port(), &self.database);
        let url = format!("mysql://{user}:{}@127.0.0.1:{port}/{database}", encoded(password));
        serde_json::json!({"url": url, "lock_timeout": 50, "statement_timeout": 5000})
    }

    /// A connection with settings.
    pub(crate) fn with(&self, config: serde_json::Value, allowed: Allowed) -> Arc<dyn Connector> {
        let kind = tendon_connectors::find("mysql").unwrap();
        (kind.validate)(&config).unwrap();
        (kind.build)(Build {
            system: "crm".to_owned(),
            config,
            allowed,
            folder: std::env::temp_dir(),
            context: Sim::new(1).context(),
            secrets: Arc::new(TestSecrets::default()),
        })
        .unwrap()
    }
}

impl Fixture for MysqlFixture {
    fn kind(&self) -> &'static str {
        "mysql"
    }

    fn capability(&self) -> Capability {
        tendon_connectors::find("mysql").unwrap().capability
    }

    fn create(&self, resource: &Resource, rows: &[Vec<Value>]) {
        let (table, counter) = (id(&resource.name), id(&format!("{} updates", resource.name)));
        let mut parts: Vec<String> = Vec::new();
        for field in &resource.schema.fields {
            let native = match field.kind {
                Type::Bool => "BOOLEAN",
                Type::Int => "BIGINT",
                Type::Float => "DOUBLE",
                Type::Text if resource.key.iter().any(|key| **key == *field.name) => "VARCHAR(190)",
                Type::Text => "LONGTEXT",
                Type::Time => "DATETIME(6)",
            };
            parts.push(format!("{} {native}{}", id(&field.name), if field.required { " NOT NULL" } else { "" }));
        }
        let key: Vec<String> = resource.key.iter().map(|name| id(name)).collect();
        parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
        let mut sql =
            format!("CREATE TABLE {table} ({});\nCREATE TABLE {counter} (n int);\nBEGIN;\n", parts.join(", "));
        for row in rows {
            let values: Vec<String> = row.iter().map(literal).collect();
            sql.push_str(&format!("INSERT INTO {table} VALUES ({});\n", values.join(", ")));
        }
        sql.push_str(&format!(
            "COMMIT;\nCREATE TRIGGER {counter} AFTER UPDATE ON {table} FOR EACH ROW INSERT INTO {counter} VALUES (1);"
        ));
        self.sql(&sql);
        self.tables.borrow_mut().push(table);
    }

    fn dump(&self, resource: &Resource) -> Vec<Vec<Value>> {
        let shown = |name: &str| format!("IFNULL(HEX(CONVERT(CAST({} AS CHAR) USING utf8mb4)), '-')", id(name));
        let names: Vec<String> = resource.schema.fields.iter().map(|field| shown(&field.name)).collect();
        let key: Vec<String> = resource.key.iter().map(|name| id(name)).collect();
        let sql = format!("SELECT {} FROM {} ORDER BY {};", names.join(", "), id(&resource.name), key.join(", "));
        let row = |line: &str| {
            line.split('\t').zip(&resource.schema.fields).map(|(hex, field)| seen(field.kind, hex)).collect()
        };
        self.sql(&sql).lines().map(row).collect()
    }

    fn change(&self, resource: &Resource, key: &Value, field: &str, value: &Value) {
        let (table, field, value) = (id(&resource.name), id(field), literal(value));
        self.sql(&format!("UPDATE {table} SET {field} = {value} WHERE {} = {};", id(&resource.key[0]), literal(key)));
    }

    fn refuse(&self, resource: &Resource, key: &Value) {
        let (table, field) = (id(&resource.name), id(&resource.key[0]));
        self.sql(&format!(
            "DELIMITER $$\nCREATE TRIGGER refuse BEFORE UPDATE ON {table} FOR EACH ROW IF NEW.{field} = {} THEN SIGNAL SQLSTATE \
             '45000' SET MESSAGE_TEXT = 'not this one'; END IF$$\n",
            literal(key)
        ));
    }

    fn lock(&self) -> Box<dyn Any> {
        let select = |table: &String| format!("SELECT COUNT(*) FROM {table} FOR UPDATE;");
        let all: String = self.tables.borrow().iter().map(select).collect();
        Box::new(self.session(&format!("BEGIN; {all}")))
    }

    fn vanish(&self) -> Box<dyn Any> {
        self.proxy.set(Fault::Refuse);
        self.proxy.cut();
        Box::new(Healed(Arc::clone(&self.proxy)))
    }

    fn updates(&self, resource: &Resource) -> u64 {
        let counter = id(&format!("{} updates", resource.name));
        self.sql(&format!("SELECT COUNT(*) FROM {counter};")).trim().parse().unwrap()
    }

    fn tells_required(&self) -> bool {
        true
    }

    fn names(&self, name: &str) -> bool {
        name.chars().all(|c| c <= '\u{ffff}')
    }

    fn tested(&self) -> Option<String> {
        let told = self.server.sql("mysql", "SELECT VERSION();");
        let name = if told.contains("MariaDB") { "MariaDB" } else { "MySQL" };
        Some(format!("{name} {}", version(&told, 2)))
    }

    fn connect(&self, allowed: Allowed) -> Arc<dyn Connector> {
        self.with(self.settings("app", PASSWORD), allowed)
    }
}
