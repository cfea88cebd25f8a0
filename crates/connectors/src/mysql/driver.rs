//! The connection: the session that is made, what is sent and read, and what the server's errors mean.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use mysql_async::{Conn, Error, OptsBuilder, Params, Row, SslOpts, Value, prelude::Queryable as _};
use tokio::runtime::Runtime;

use crate::sql::{
    Cause, Driver, Fault, Texts,
    config::{Endpoint, Tls},
    tls,
};

/// Statements kept prepared per connection.
const STATEMENTS: usize = 256;
pub(super) struct Connection {
    connection: Conn,
    runtime: Runtime,
    patience: Duration,
}

fn fault(error: &Error) -> Fault {
    let Error::Server(server) = error else {
        // No connection, no protection of it, or what came was no MySQL.
        return Fault::new(Cause::Lost, error);
    };
    let cause = match server.code {
        1044 | 1045 | 1049 | 1130 | 1251 | 1698 | 1820 | 1862 | 3118 | 4151 => Cause::Login,
        1142 | 1143 | 1227 | 1370 => Cause::Denied,
        1036 | 1290 | 1792 | 1836 => Cause::ReadOnly,
        1205 | 3572 => Cause::Locked,
        1213 => Cause::Conflict,
        1317 | 1969 | 3024 => Cause::Slow,
        1054 | 1146 | 1243 | 1412 | 1615 => Cause::Changed,
        // Below 1000: the server's own trouble with its files.
        1..=999 | 1021 | 1030 | 1040 | 1041 | 1047 | 1053 | 1080 | 1114 | 1129 | 1152..=1161 | 1203 | 1226 | 1927 => {
            Cause::Lost
        }
        1048 | 1263 | 1364 => Cause::Row("a NOT NULL constraint"),
        1216 | 1217 | 1451 | 1452 => Cause::Row("a FOREIGN KEY constraint"),
        1062 | 1169 | 1586 => Cause::Row("a UNIQUE constraint"),
        3819 | 4025 => Cause::Row("a CHECK constraint"),
        1264..=1266 | 1292 | 1366 | 1367 | 1406 | 1411 | 1416 | 3140 => Cause::Row("the value's type or size"),
        _ if server.state.starts_with("22") => Cause::Row("the value's type or size"),
        _ if server.state.starts_with("23") => Cause::Row("a constraint"),
        _ if server.state.starts_with("42") => Cause::Statement,
        _ => Cause::Row("a trigger or rule"),
    };
    // The codes only: messages quote values.
    Fault::new(cause, format!("error {} (SQLSTATE {})", server.code, server.state))
}

/// A row's values as texts: what is not text already is a number of ours.
fn texts(row: Row) -> Result<Texts, Fault> {
    let text = |value: Value| match value {
        Value::NULL => Ok(None),
        Value::Bytes(bytes) => {
            String::from_utf8(bytes).map(Some).map_err(|_| Fault::new(Cause::Lost, "bytes that are no text"))
        }
        Value::Int(number) => Ok(Some(number.to_string())),
        Value::UInt(number) => Ok(Some(number.to_string())),
        _ => Err(Fault::new(Cause::Statement, "a value that was not shown as text")),
    };
    row.unwrap().into_iter().map(text).collect()
}

/// Runs what the library does with a server's answers. It takes some of them on trust (an empty packet ends in a panic), and
/// what a broken or hostile server sends must cost this connection, not the session's thread and all that waits for it.
fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Fault::new(Cause::Lost, "an answer that the protocol does not know")))
}

impl Connection {
    pub(super) fn open(endpoint: &Endpoint) -> Result<Self, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Fault::new(Cause::Lost, error))?;
        let secured = match endpoint.tls {
            Tls::Off => None,
            Tls::Require => Some(SslOpts::default().with_danger_accept_invalid_certs(true)),
            Tls::Verify => {
                let trusted = tls::authorities(endpoint)?.into_iter().map(|one| one.to_vec().into()).collect();
                Some(SslOpts::default().with_root_certs(trusted).with_disable_built_in_roots(true))
            }
        };
        let options = OptsBuilder::default()
            .ip_or_hostname(endpoint.host.clone())
            .tcp_port(endpoint.port)
            .user(Some(endpoint.user.clone()))
            .pass(endpoint.password.as_ref().map(|password| password.reveal().to_owned()))
            .db_name(Some(endpoint.database.clone()))
            .prefer_socket(false)
            .stmt_cache_size(STATEMENTS)
            .ssl_opts(secured);
        // Strict, but with the zero dates that old tables hold as something that can be compared.
        let session = format!(
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', \
             time_zone = '+00:00', autocommit = 1, sql_auto_is_null = 0, sql_safe_updates = 0, sql_select_limit = DEFAULT, \
             foreign_key_checks = 1, unique_checks = 1, innodb_lock_wait_timeout = {0}, lock_wait_timeout = {0}",
            endpoint.lock.as_millis().div_ceil(1000).max(1)
        );
        let connecting = async {
            let mut connection = Conn::new(options).await?;
            connection.query_drop("SET NAMES utf8mb4 COLLATE utf8mb4_bin").await?;
            connection.query_drop(session).await?;
            connection.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
            let version: Option<String> = connection.query_first("SELECT VERSION()").await?;
            let millis = endpoint.statement.as_millis();
            let limit = if version.is_some_and(|version| version.contains("MariaDB")) {
                format!("SET SESSION max_statement_time = {}.{:03}", millis / 1000, millis % 1000)
            } else {
                format!("SET SESSION max_execution_time = {millis}")
            };
            connection.query_drop(limit).await?;
            Ok::<_, Error>(connection)
        };
        let connection =
            guarded(|| match runtime.block_on(async { tokio::time::timeout(endpoint.connect, connecting).await }) {
                Ok(connection) => connection.map_err(|error| fault(&error)),
                Err(_) => Err(Fault::new(Cause::Lost, "no connection in time")),
            })?;
        // The server gives up first; who hears nothing at all gives up a little later.
        let patience = endpoint.statement + endpoint.connect;
        Ok(Self { connection, runtime, patience })
    }

    fn wait<T>(&mut self, answer: impl AsyncFnOnce(&mut Conn) -> Result<T, Error>) -> Result<T, Fault> {
        let (connection, patience) = (&mut self.connection, self.patience);
        guarded(|| match self.runtime.block_on(async { tokio::time::timeout(patience, answer(connection)).await }) {
            Ok(answer) => answer.map_err(|error| fault(&error)),
            Err(_) => Err(Fault::new(Cause::Slow, "no answer in time")),
        })
    }
}

impl Driver for Connection {
    fn query(&mut self, sql: &str, parameters: &[Option<String>]) -> Result<Vec<Texts>, Fault> {
        let text = |text: &Option<String>| text.as_ref().map_or(Value::NULL, |text| Value::from(text.as_str()));
        let parameters = match parameters {
            [] => Params::Empty,
            some => Params::Positional(some.iter().map(text).collect()),
        };
        self.wait(async |connection| connection.exec(sql, parameters).await)?.into_iter().map(texts).collect()
    }

    fn execute(&mut self, sql: &str) -> Result<(), Fault> {
        self.wait(async |connection| connection.query_drop(sql).await)
    }
}
