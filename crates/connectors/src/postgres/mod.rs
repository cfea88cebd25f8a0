//! PostgreSQL 12 and newer: tables and views of one schema, read by key, scanned, watched, and written back conditionally.
//!
//! What to know about it, beside what `sql` tells of all server databases:
//!
//! - **Types.** `bool`; integers; `real`, `double precision` and `numeric` as numbers, exact or as text; text types, `uuid`,
//!   `json`, `jsonb` and enums as text; `timestamptz`, `timestamp` (UTC, or as `zone` says) and `date` as times. Arrays, ranges,
//!   `bytea`, intervals and the rest are left out of the catalog, each with its reason.
//! - **Open transactions.** A transaction dates its rows when it begins (`now()`) and shows them when it commits. So a watch
//!   rereads back to the begin of the oldest transaction that was open when it last looked (`horizon`). Other roles'
//!   transactions are visible to members of `pg_read_all_stats` only; where they are hidden, it rereads ten minutes.
//!   A prepared transaction tells when it was prepared, not when it began: while one exists, the horizon does not move on.
//! - **Rights.** `tendon systems access` prints the grants for exactly the declared columns.

mod queries;
mod tls;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use schemars::schema_for;
use tendon_kernel::{
    Timestamp, Type,
    schema::Privileges,
    sockets::connector::{ConnectorKind, Wanted},
};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Statement, config::SslMode, error::SqlState, types::ToSql};

use self::{
    queries::{COLUMNS, KEYS, OPEN, RIGHTS},
    tls::Secured,
};
use crate::sql::{
    self, CAPABILITY, Cause, Dialect, Driver, Fault, Server, Texts,
    config::{self, Config, Endpoint},
    table::{Column, Table},
    tls as sql_tls, value,
};

/// The kind.
pub static KIND: ConnectorKind = ConnectorKind {
    name: "postgres",
    summary: "A PostgreSQL database: tables and views of a schema, watched by a watermark, written back conditionally.",
    capability: CAPABILITY,
    schema: || schema_for!(Config).to_value(),
    validate: |settings| config::read("postgres", settings).map(|_| ()),
    build: |build| Server::build("postgres", &Postgres, build),
    access: Some(grants),
};

/// Statements kept prepared per connection.
const STATEMENTS: usize = 256;
/// How far back a watch rereads when other roles' transactions are hidden.
const BLIND: i64 = 10 * 60 * 1_000_000;

struct Postgres;

struct Connection {
    runtime: Runtime,
    client: Client,
    statements: BTreeMap<String, Statement>,
    patience: Duration,
}

fn fault(error: &tokio_postgres::Error) -> Fault {
    let Some(db) = error.as_db_error() else {
        // The driver could not read or write, or what came was no PostgreSQL.
        return Fault::new(Cause::Lost, error);
    };
    let code = db.code();
    let cause = match code.code().get(..2).unwrap_or_default() {
        _ if *code == SqlState::QUERY_CANCELED => Cause::Slow,
        _ if *code == SqlState::INSUFFICIENT_PRIVILEGE => Cause::Denied,
        _ if [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN, SqlState::FEATURE_NOT_SUPPORTED]
            .contains(code) =>
        {
            Cause::Changed
        }
        _ if *code == SqlState::READ_ONLY_SQL_TRANSACTION => Cause::ReadOnly,
        _ if *code == SqlState::LOCK_NOT_AVAILABLE => Cause::Locked,
        _ if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) => Cause::Conflict,
        "40" => Cause::Locked,
        "28" | "3D" => Cause::Login,
        "08" | "53" | "57" | "58" => Cause::Lost,
        "22" => Cause::Row("the value's type or size"),
        "23" => Cause::Row(match *code {
            SqlState::NOT_NULL_VIOLATION => "a NOT NULL constraint",
            SqlState::FOREIGN_KEY_VIOLATION => "a FOREIGN KEY constraint",
            SqlState::UNIQUE_VIOLATION => "a UNIQUE constraint",
            SqlState::CHECK_VIOLATION => "a CHECK constraint",
            _ => "a constraint",
        }),
        "25" | "26" | "34" | "42" | "XX" => Cause::Statement,
        _ => Cause::Row("a trigger or rule"),
    };
    // The code only: messages and details quote values.
    Fault::new(cause, format!("SQLSTATE {}", code.code()))
}

impl Connection {
    fn wait<T>(
        &mut self,
        answer: impl AsyncFnOnce(&mut Client, &mut BTreeMap<String, Statement>) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, Fault> {
        let (client, statements) = (&mut self.client, &mut self.statements);
        let patience = self.patience;
        let waited = self.runtime.block_on(async { tokio::time::timeout(patience, answer(client, statements)).await });
        match waited {
            Ok(answer) => answer.map_err(|error| fault(&error)),
            Err(_) => Err(Fault::new(Cause::Slow, "no answer in time")),
        }
    }
}

impl Driver for Connection {
    fn query(&mut self, sql: &str, parameters: &[Option<String>]) -> Result<Vec<Texts>, Fault> {
        self.wait(async |client, statements| {
            let statement = if let Some(known) = statements.get(sql) {
                known.clone()
            } else {
                if statements.len() >= STATEMENTS {
                    statements.clear();
                }
                let made = client.prepare(sql).await?;
                statements.insert(sql.to_owned(), made.clone());
                made
            };
            let bound: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|text| text as &(dyn ToSql + Sync)).collect();
            let rows = client.query(&statement, &bound).await?;
            rows.iter().map(|row| (0..row.len()).map(|at| row.try_get(at)).collect()).collect()
        })
    }

    fn execute(&mut self, sql: &str) -> Result<(), Fault> {
        self.wait(async |client, _| client.batch_execute(sql).await)
    }
}

impl Dialect for Postgres {
    fn connect(&self, endpoint: &Endpoint) -> Result<Box<dyn Driver>, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Fault::new(Cause::Lost, error))?;
        let secured = sql_tls::client(endpoint)?;
        let mut to = tokio_postgres::Config::new();
        to.host(&endpoint.host).port(endpoint.port).user(&endpoint.user).dbname(&endpoint.database);
        to.application_name("tendon").connect_timeout(endpoint.connect);
        to.ssl_mode(if secured.is_some() { SslMode::Require } else { SslMode::Disable });
        if let Some(password) = &endpoint.password {
            to.password(password.reveal());
        }
        let millis = |limit: Duration| limit.as_millis();
        to.options(format!(
            "-c TimeZone=UTC -c DateStyle=ISO -c extra_float_digits=1 -c client_encoding=UTF8 \
             -c standard_conforming_strings=on -c default_transaction_isolation=read\\ committed \
             -c statement_timeout={} -c lock_timeout={}",
            millis(endpoint.statement),
            millis(endpoint.lock)
        ));
        let connecting = async {
            let client = if let Some(secured) = secured {
                let (client, connection) = to.connect(Secured(Arc::new(secured))).await?;
                runtime.spawn(async { drop(connection.await) });
                client
            } else {
                let (client, connection) = to.connect(NoTls).await?;
                runtime.spawn(async { drop(connection.await) });
                client
            };
            Ok::<_, tokio_postgres::Error>(client)
        };
        let limited = runtime.block_on(async { tokio::time::timeout(endpoint.connect, connecting).await });
        let client = match limited {
            Ok(client) => client.map_err(|error| fault(&error))?,
            Err(_) => return Err(Fault::new(Cause::Lost, "no connection in time")),
        };
        // The server gives up first; who hears nothing at all gives up a little later.
        let patience = endpoint.statement + endpoint.connect;
        Ok(Box::new(Connection { runtime, client, statements: BTreeMap::new(), patience }))
    }

    fn quote(&self, name: &str) -> String {
        quote(name)
    }

    fn bind(&self, n: usize, column: &Column) -> String {
        format!("${n}::text::{}", column.native)
    }

    fn bind_count(&self, n: usize) -> String {
        format!("${n}::text::int8")
    }

    fn show(&self, column: &Column) -> String {
        format!("{}::text", quote(&column.name))
    }

    fn stored(&self, n: usize, column: &Column) -> String {
        format!("{}::text", self.bind(n, column))
    }

    fn tables(&self, driver: &mut dyn Driver, schema: Option<&str>, only: Option<&str>) -> Result<Vec<Table>, Fault> {
        let named = [Some(schema.unwrap_or("public").to_owned()), only.map(str::to_owned)];
        let mut tables: BTreeMap<String, Table> = BTreeMap::new();
        for texts in driver.query(COLUMNS, &named)? {
            let mut texts = texts.into_iter().map(Option::unwrap_or_default);
            let mut next = || texts.next().unwrap_or_default();
            let (name, view, column, native) = (next(), next() == "true", next(), next());
            let (base, required, generated) = (next(), next() == "true", next() == "true");
            let (limited, deterministic, values) = (next() == "true", next() == "true", next());
            let table = tables.entry(name.clone()).or_insert_with(|| Table {
                schema: schema.unwrap_or("public").to_owned(),
                name,
                view,
                closed: view.then_some("a view cannot be written; name its table"),
                columns: Vec::new(),
                refused: BTreeMap::new(),
                keys: Vec::new(),
            });
            match kind(&base, &native) {
                Err(reason) => drop(table.refused.insert(column, reason)),
                Ok(kind) => table.columns.push(Column {
                    rounds: ["float4", "bpchar", "date", "jsonb", "uuid"].contains(&base.as_str())
                        || limited && ["numeric", "timestamp", "timestamptz"].contains(&base.as_str()),
                    exact: deterministic && base != "json",
                    nul: false,
                    ahead: (base == "timestamp").then_some(0),
                    values: values.split('\u{1f}').filter(|value| !value.is_empty()).map(str::to_owned).collect(),
                    max_length: None,
                    name: column,
                    kind,
                    native,
                    required,
                    generated,
                }),
            }
        }
        let mut last = (String::new(), String::new());
        for texts in driver.query(KEYS, &named)? {
            let [Some(name), Some(index), Some(column)] = texts.as_slice() else { continue };
            let Some(table) = tables.get_mut(name) else { continue };
            if last != (name.clone(), index.clone()) {
                table.keys.push(Vec::new());
                last = (name.clone(), index.clone());
            }
            if let Some(key) = table.keys.last_mut() {
                key.push(column.clone());
            }
        }
        for table in tables.values_mut() {
            let columns = &table.columns;
            let whole = |key: &Vec<String>| key.iter().all(|name| columns.iter().any(|column| column.name == *name));
            table.keys.retain(whole);
        }
        Ok(tables.into_values().collect())
    }

    fn update_many(&self, table: &Table, key: &[&Column], set: &[&Column], rows: usize) -> Option<String> {
        let mut n = 0;
        let mut one = || {
            let binds = set.iter().chain(key).map(|column| {
                n += 1;
                self.bind(n, column)
            });
            format!("({})", binds.collect::<Vec<_>>().join(", "))
        };
        let values: Vec<String> = (0..rows).map(|_| one()).collect();
        let names: Vec<String> = (0..set.len() + key.len()).map(|at| format!("c{at}")).collect();
        let assign = set.iter().enumerate().map(|(at, column)| format!("{} = v.c{at}", quote(&column.name)));
        let equal = key.iter().zip(set.len()..).map(|(column, at)| format!("t.{} = v.c{at}", quote(&column.name)));
        Some(format!(
            "UPDATE {}.{} AS t SET {} FROM (VALUES {}) AS v ({}) WHERE {}",
            quote(&table.schema),
            quote(&table.name),
            assign.collect::<Vec<_>>().join(", "),
            values.join(", "),
            names.join(", "),
            equal.collect::<Vec<_>>().join(" AND ")
        ))
    }

    fn begin_reading(&self) -> &'static str {
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    }

    fn horizon(&self, driver: &mut dyn Driver, before: Option<Timestamp>) -> Result<Option<Timestamp>, Fault> {
        let rows = driver.query(OPEN, &[])?;
        let text = |at: usize| rows.first().and_then(|row| row.get(at)).and_then(|text| text.as_deref());
        let time = |at: usize| match value::convert(Type::Time, text(at)) {
            tendon_kernel::Value::Time(time) => Some(time),
            _ => None,
        };
        let mut horizon = time(0).map(|now| time(1).map_or(now, |oldest| oldest.min(now)));
        if text(2) == Some("true") {
            horizon = horizon.map(|horizon| horizon.plus_micros(-BLIND));
        }
        if let Some(prepared) = time(3) {
            // It was open when we last looked, or began since.
            horizon = horizon.map(|horizon| horizon.min(before.unwrap_or(prepared.plus_micros(-BLIND))));
        }
        Ok(horizon)
    }

    fn declared(&self, kind: Type) -> &'static str {
        match kind {
            Type::Bool => "boolean",
            Type::Int => "bigint",
            Type::Float => "double precision",
            Type::Text => "text",
            Type::Time => "timestamptz",
        }
    }

    fn privileges(&self, driver: &mut dyn Driver, schema: Option<&str>) -> Result<Option<Privileges>, Fault> {
        let rows = driver.query(RIGHTS, &[Some(schema.unwrap_or("public").to_owned())])?;
        let mut found = Privileges::default();
        for row in rows {
            let [Some(table), field, Some(right)] = row.as_slice() else { continue };
            found.add(table, field.as_deref(), right);
        }
        Ok(Some(found))
    }
}

/// The kernel's type, or why there is none.
fn kind(base: &str, native: &str) -> Result<Type, String> {
    Ok(match base {
        "bool" => Type::Bool,
        "int2" | "int4" | "int8" => Type::Int,
        "numeric" | "float4" | "float8" => Type::Float,
        "timestamptz" | "timestamp" | "date" => Type::Time,
        "text" | "varchar" | "bpchar" | "uuid" | "json" | "jsonb" | "enum" => Type::Text,
        _ => return Err(format!("{native}: {}", sql::REFUSED)),
    })
}

fn quote(name: &str) -> String {
    // No identifier holds a NUL; what asks for one finds nothing.
    format!("\"{}\"", name.replace('\0', "\u{fffd}").replace('"', "\"\""))
}

/// The least rights for the declared fields.
fn grants(settings: &serde_json::Value, tables: &Wanted) -> Vec<String> {
    let schema = settings["schema"].as_str().unwrap_or("public");
    let login = quote(&tables.login);
    let mut lines = vec![format!("GRANT USAGE ON SCHEMA {} TO {login};", quote(schema))];
    for (table, fields) in &tables.fields {
        let target = format!("{}.{}", quote(schema), quote(table));
        for (verb, names) in [("SELECT", &fields.read), ("UPDATE", &fields.write)] {
            if !names.is_empty() {
                let list: Vec<String> = names.iter().map(|name| quote(name)).collect();
                lines.push(format!("GRANT {verb} ({}) ON {target} TO {login};", list.join(", ")));
            }
        }
    }
    // So that a watch sees since when other roles' transactions are open.
    lines.push(format!("GRANT pg_read_all_stats TO {login};"));
    lines
}
