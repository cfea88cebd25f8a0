//! The CRM of a cell: a table of leads in SQLite, PostgreSQL or MariaDB, with triggers of its own that write down every change
//! of a row and every write-back in the order in which they took effect. What the checker knows of effects, it knows from there.

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use rusqlite::{Connection, fallible_iterator::FallibleIterator as _, types::ValueRef};
use tendon_testkit::{
    Rng,
    proxy::Proxy,
    servers::{MariaDb, PASSWORD, Postgres},
};

use crate::{Res, lock};

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    MariaDb,
}

/// The server, where there is one.
pub(crate) enum Server {
    None,
    Postgres(Mutex<Postgres>),
    MariaDb(Mutex<MariaDb>),
}

/// The CRM.
pub(crate) struct Crm {
    file: PathBuf,
    server: Server,
    /// The line to the server.
    pub(crate) proxy: Option<Proxy>,
}

/// What people have done so far.
pub(crate) struct People {
    /// Leads that are there, and whether they add others.
    pub(crate) leads: u64,
    pub(crate) grows: bool,
    /// The last balance that they wrote.
    pub(crate) balance: u64,
}

/// A score is the balance times this, so a score tells the balance that it was made from, to the bit.
pub(crate) const UNIT: f64 = 1.0 / (1u64 << 30) as f64;

const SQLITE: &str = "PRAGMA journal_mode = wal;
CREATE TABLE leads (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, updated_at TIMESTAMP NOT NULL, score REAL, band TEXT,
  scored_at TIMESTAMP, decided_by TEXT);
CREATE TABLE history (n INTEGER PRIMARY KEY, what TEXT, id INTEGER, balance INTEGER, score REAL, scored_at TEXT, before TEXT,
  decided_by TEXT);
CREATE TRIGGER h1 AFTER INSERT ON leads BEGIN INSERT INTO history (what, id, balance) VALUES ('row', new.id, new.balance); END;
CREATE TRIGGER h2 AFTER UPDATE OF balance ON leads BEGIN
  INSERT INTO history (what, id, balance) VALUES ('row', new.id, new.balance); END;
CREATE TRIGGER h3 AFTER UPDATE OF score, band, scored_at, decided_by ON leads BEGIN
  INSERT INTO history (what, id, balance, score, scored_at, before, decided_by)
  VALUES ('write', new.id, new.balance, new.score, new.scored_at, old.scored_at, new.decided_by); END;";

const POSTGRES: &str = "
CREATE TABLE leads (id bigint PRIMARY KEY, balance bigint NOT NULL, updated_at timestamptz NOT NULL, score double precision,
  band text, scored_at timestamptz, decided_by text);
CREATE TABLE history (n bigserial PRIMARY KEY, what text, id bigint, balance bigint, score double precision, scored_at text,
  before text, decided_by text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
  IF TG_OP = ''INSERT'' OR new.balance <> old.balance THEN
    INSERT INTO history (what, id, balance) VALUES (''row'', new.id, new.balance);
  ELSE
    INSERT INTO history (what, id, balance, score, scored_at, before, decided_by) VALUES (''write'', new.id, new.balance,
      new.score, to_char(new.scored_at AT TIME ZONE ''UTC'', ''YYYY-MM-DD HH24:MI:SS.US''),
      to_char(old.scored_at AT TIME ZONE ''UTC'', ''YYYY-MM-DD HH24:MI:SS.US''), new.decided_by);
  END IF; RETURN new; END';
CREATE TRIGGER note AFTER INSERT OR UPDATE ON leads FOR EACH ROW EXECUTE FUNCTION note();";

const MARIADB: &str = "
CREATE TABLE leads (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL, updated_at DATETIME(6) NOT NULL, score DOUBLE,
  band VARCHAR(20), scored_at DATETIME(6), decided_by VARCHAR(40));
CREATE TABLE history (n BIGINT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(5), id BIGINT, balance BIGINT, score DOUBLE,
  scored_at VARCHAR(30), `before` VARCHAR(30), decided_by VARCHAR(40));
CREATE TRIGGER h1 AFTER INSERT ON leads FOR EACH ROW INSERT INTO history (what, id, balance) VALUES ('row', new.id, new.balance);
CREATE TRIGGER h2 AFTER UPDATE ON leads FOR EACH ROW INSERT INTO history (what, id, balance, score, scored_at, `before`, decided_by)
  SELECT IF(new.balance <> old.balance, 'row', 'write'), new.id, new.balance, new.score, new.scored_at, old.scored_at, new.decided_by;";

impl Crm {
    /// Makes it with so many leads.
    pub(crate) fn create(kind: Kind, folder: &Path, leads: u64) -> Res<Self> {
        let file = folder.join("crm.db");
        let (server, port) = match kind {
            Kind::Sqlite => (Server::None, None),
            Kind::Postgres => {
                let server = Postgres::start(&["fsync=off"]);
                let port = server.port();
                (Server::Postgres(Mutex::new(server)), Some(port))
            }
            Kind::MariaDb => {
                let server = MariaDb::start();
                let port = server.port();
                server.try_sql("mysql", "CREATE DATABASE crm CHARACTER SET utf8mb4;")?;
                (Server::MariaDb(Mutex::new(server)), Some(port))
            }
        };
        let crm = Self { file, server, proxy: port.map(Proxy::start) };
        crm.sql(match kind {
            Kind::Sqlite => SQLITE,
            Kind::Postgres => POSTGRES,
            Kind::MariaDb => MARIADB,
        })?;
        let rows: Vec<String> = (1..=leads).map(|id| format!("({id}, {}, {})", id * 7, crm.now())).collect();
        if leads > 0 {
            crm.sql(&format!("INSERT INTO leads (id, balance, updated_at) VALUES {};", rows.join(", ")))?;
        }
        Ok(crm)
    }

    /// Now, in SQL.
    pub(crate) fn now(&self) -> &'static str {
        match self.server {
            Server::None => "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')",
            Server::Postgres(_) => "now()",
            Server::MariaDb(_) => "UTC_TIMESTAMP(6)",
        }
    }

    /// Its block in `tendon.yaml`. `more`: further lines of the system.
    pub(crate) fn block(&self, more: &str) -> String {
        let password: String = PASSWORD.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let port = self.proxy.as_ref().map_or(0, Proxy::port);
        let place = match self.server {
            Server::None => "kind: sqlite\n    path: crm.db\n    busy_timeout: 100".to_owned(),
            Server::Postgres(_) => format!(
                "kind: postgres\n    url: \"postgres://app:{password}@127.0.0.1:{port}/postgres\"\n    connect_timeout: 500\n    \
                 statement_timeout: 500"
            ),
            Server::MariaDb(_) => format!(
                "kind: mysql\n    url: \"mysql://app:{password}@127.0.0.1:{port}/crm\"\n    connect_timeout: 500\n    \
                 statement_timeout: 500"
            ),
        };
        format!(
            "  crm:\n    {place}\n    read: {{ leads: [id, balance, updated_at] }}\n    \
             write: {{ leads: [score, band, scored_at, decided_by] }}\n{more}"
        )
    }

    /// A connection of somebody else; only of a file.
    pub(crate) fn open(&self) -> Res<Connection> {
        let failed = |error: rusqlite::Error| format!("the CRM's file: {error}");
        let connection = Connection::open(&self.file).map_err(failed)?;
        connection.busy_timeout(Duration::from_secs(30)).map_err(failed)?;
        Ok(connection)
    }

    /// Runs SQL as the owner, beside the line, and gives what it prints: rows by lines, fields apart by tabs.
    pub(crate) fn sql(&self, sql: &str) -> Res<String> {
        match &self.server {
            Server::None => file_sql(&self.open()?, sql).map_err(|error| format!("the CRM's file: {error}: {sql}")),
            Server::Postgres(server) => {
                // Whoever owns it may write also while it is read-only for others.
                let sql = format!("SET default_transaction_read_only = off;\n{sql}");
                let said = lock(server).try_sql("postgres", &sql)?;
                Ok(said.replace('\u{1e}', "\n").replace('\u{1f}', "\t"))
            }
            Server::MariaDb(server) => lock(server).try_sql("crm", sql),
        }
    }

    /// A number from the database.
    pub(crate) fn number(&self, sql: &str) -> Res<u64> {
        let said = self.sql(sql)?;
        said.trim().parse().map_err(|_| format!("{sql} printed {said:?}"))
    }

    /// Rows whose score is not that of what they hold.
    pub(crate) fn unscored(&self) -> Res<u64> {
        self.number(&format!("SELECT count(*) FROM leads WHERE score IS NULL OR score <> balance * {UNIT:e};"))
    }

    /// People at work: changed balances and new leads, each in a transaction of its own; balances only grow, so that they
    /// tell their order.
    pub(crate) fn work(&self, rng: &mut Rng, people: &mut People) -> Res<()> {
        let mut sql = String::new();
        for _ in 0..=rng.below(4) {
            people.balance += 1;
            let People { leads, grows, balance } = people;
            let now = self.now();
            if rng.below(25) == 0 && *grows {
                *leads += 1;
                sql.push_str(&format!(
                    "INSERT INTO leads (id, balance, updated_at) VALUES ({leads}, {balance}, {now});\n"
                ));
            } else {
                let id = 1 + rng.below((*leads).max(1));
                sql.push_str(&format!("UPDATE leads SET balance = {balance}, updated_at = {now} WHERE id = {id};\n"));
            }
        }
        self.sql(&sql).map(drop)
    }

    /// Takes no writes any more, or takes them again, as a PostgreSQL that is being moved; people, who come by the back door,
    /// go on working.
    pub(crate) fn read_only(&self, yes: bool) -> Res<()> {
        let change = if yes { "SET default_transaction_read_only = on" } else { "RESET default_transaction_read_only" };
        self.sql(&format!(
            "ALTER ROLE app {change};\n\
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app' AND pid <> pg_backend_pid();"
        ))
        .map(drop)
    }

    /// Kills the database server.
    pub(crate) fn crash(&self) {
        match &self.server {
            Server::None => {}
            Server::Postgres(server) => lock(server).crash(),
            Server::MariaDb(server) => lock(server).crash(),
        }
    }

    /// Starts it again.
    pub(crate) fn restart(&self) {
        match &self.server {
            Server::None => {}
            Server::Postgres(server) => lock(server).restart(),
            Server::MariaDb(server) => lock(server).restart(),
        }
    }

    /// The command line of a client that reads SQL from its input; only of a PostgreSQL.
    pub(crate) fn session(&self) -> Option<Vec<String>> {
        match &self.server {
            Server::Postgres(server) => Some(lock(server).psql("postgres")),
            _ => None,
        }
    }

    /// All that the triggers wrote down, a JSON object per line.
    pub(crate) fn history(&self) -> Res<String> {
        let before = if matches!(self.server, Server::MariaDb(_)) { "`before`" } else { "before" };
        let fields = format!(
            "'n', n, 'what', what, 'id', id, 'balance', balance, 'score', score, 'scored_at', scored_at, 'before', {before}, \
             'decided_by', decided_by"
        );
        let make = match self.server {
            Server::None => "json_object",
            Server::Postgres(_) => "json_build_object",
            Server::MariaDb(_) => "JSON_OBJECT",
        };
        self.sql(&format!("SELECT {make}({fields}) FROM history ORDER BY n;"))
    }
}

fn file_sql(connection: &Connection, sql: &str) -> rusqlite::Result<String> {
    let mut said = String::new();
    let mut batch = rusqlite::Batch::new(connection, sql);
    while let Some(mut statement) = batch.next()? {
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let cells: Vec<String> =
                (0..columns).map(|at| row.get_ref(at).map(cell)).collect::<rusqlite::Result<_>>()?;
            said.push_str(&cells.join("\t"));
            said.push('\n');
        }
    }
    Ok(said)
}

fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
    }
}
