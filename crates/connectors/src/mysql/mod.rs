//! MySQL 8 and MariaDB 10.5, and newer: tables and views of one database, read by key, scanned, watched, and written back
//! conditionally. What to know about it, beside what `sql` tells of all server databases:
//!
//! - **Types.** `TINYINT(1)` and `BIT(1)` are bools; other integers whole numbers, also unsigned ones: what is beyond 63 bits
//!   comes as text, and validation says so. `DECIMAL`, `FLOAT`, `DOUBLE` are numbers, exact or as text; `DATETIME` (UTC, or as
//!   `zone` says), `TIMESTAMP` and `DATE` times; text types, `ENUM`, `JSON`, `UUID` text. Bytes, sets, durations and geometry
//!   are left out of the catalog, each with its reason.
//! - **Collations.** A key finds a row only when it is equal letter by letter, whatever the collation says. Pages follow the
//!   column's own collation, in which a key is unique: order and comparison are the same, and an index serves both.
//! - **Rows are compared and written under their lock** (`sql::write`), so the number of rows that the server counts as
//!   changed, which leaves out rows that hold our values already, decides nothing. Tables of engines without transactions
//!   are read only. Locks are waited for in whole seconds, because the server counts so.
//! - **Open transactions** are visible with the right `PROCESS`; without it a watch has its overlap alone. So has a watch
//!   on a replica: its rows are dated by another server. Set the overlap above the longest transaction, or the lag. InnoDB
//!   renews what it shows of them only when nobody has read it for a tenth of a second: where something else reads
//!   `INNODB_TRX` all the time, a watch has its overlap alone too.

mod driver;
mod native;
mod queries;

use std::collections::BTreeMap;

use schemars::schema_for;
use tendon_kernel::{
    Timestamp, Type, Value,
    schema::Privileges,
    sockets::connector::{ConnectorKind, Wanted},
};

use self::{
    driver::Connection,
    native::{Native, kind, typed},
    queries::{COLUMNS, KEYS, MINE, OPEN, RIGHTS, SCHEMA},
};
use crate::sql::{
    CAPABILITY, Cause, Dialect, Driver, Fault, Server, Texts,
    config::{self, Config, Endpoint},
    table::{Column, Table},
    value,
};

/// The kind.
pub static KIND: ConnectorKind = ConnectorKind {
    name: "mysql",
    summary: "A MySQL or MariaDB database: tables and views, watched by a watermark, written back conditionally.",
    capability: CAPABILITY,
    schema: || schema_for!(Config).to_value(),
    validate: |settings| config::read("mysql", settings).map(|_| ()),
    build: |build| Server::build("mysql", &Mysql, build),
    access: Some(grants),
};

/// Rights that give no more than what is told by columns, or nothing to change.
const HARMLESS: &[&str] = &[
    "USAGE",
    "PROCESS",
    "SELECT",
    "INSERT",
    "UPDATE",
    "REFERENCES",
    "SHOW DATABASES",
    "SHOW VIEW",
    "LOCK TABLES",
    "CREATE TEMPORARY TABLES",
    "REPLICATION CLIENT",
    "BINLOG MONITOR",
];

struct Mysql;

impl Dialect for Mysql {
    fn connect(&self, endpoint: &Endpoint) -> Result<Box<dyn Driver>, Fault> {
        Ok(Box::new(Connection::open(endpoint)?))
    }

    fn quote(&self, name: &str) -> String {
        quote(name)
    }

    fn bind(&self, _: usize, column: &Column) -> String {
        if Native::of(column).base == "bit" { "CAST(? AS UNSIGNED)" } else { "?" }.to_owned()
    }

    fn bind_count(&self, _: usize) -> String {
        "?".to_owned()
    }

    fn compare(&self, _: usize, column: &Column) -> String {
        let native = Native::of(column);
        if let Some((set, collation)) = native.text {
            return format!("CONVERT(? USING {set}) COLLATE {collation}");
        }
        match (column.kind, native.base) {
            (_, "bit") => "CAST(? AS UNSIGNED)",
            // Not as `UNSIGNED`: there -1 is the greatest of all.
            (Type::Int, "bigint") if native.unsigned => "CAST(? AS DECIMAL(20,0))",
            (Type::Int | Type::Bool, _) => "CAST(? AS SIGNED)",
            (_, "decimal") => "CAST(? AS DECIMAL(65,30))",
            (Type::Float, _) => "(? + 0e0)",
            (Type::Time, _) => "CAST(? AS DATETIME(6))",
            _ => "?",
        }
        .to_owned()
    }

    /// The server uses no index for `(a, b) > (?, ?)`, but one for what it means.
    fn after(&self, key: &[Column], n: usize) -> (String, Vec<usize>) {
        let (mut condition, mut places) = (String::new(), Vec::new());
        for (at, column) in key.iter().enumerate().rev() {
            let (name, bound) = (quote(&column.name), self.compare(n, column));
            if condition.is_empty() {
                condition = format!("{name} > {bound}");
                places.push(at);
            } else {
                condition = format!("({name} > {bound} OR ({name} = {bound} AND {condition}))");
                places.splice(0..0, [at, at]);
            }
        }
        (condition, places)
    }

    fn show(&self, column: &Column) -> String {
        let (native, name) = (Native::of(column), quote(&column.name));
        match native.base {
            _ if native.text.is_some() => name,
            // Else the server shows six digits of a `FLOAT`, and bytes of a `BIT`.
            "float" => format!("CAST({name} + 0e0 AS CHAR)"),
            "bit" => format!("CAST({name} + 0 AS CHAR)"),
            _ => format!("CAST({name} AS CHAR)"),
        }
    }

    fn stored(&self, _: usize, column: &Column) -> String {
        format!("CAST({} AS CHAR)", Native::of(column).kept())
    }

    fn tables(&self, driver: &mut dyn Driver, schema: Option<&str>, only: Option<&str>) -> Result<Vec<Table>, Fault> {
        let (filter, named) = match only {
            Some(only) => (" AND c.TABLE_NAME = CONVERT(? USING utf8)", vec![schema, Some(only)]),
            None => ("", vec![schema]),
        };
        let named: Texts = named.into_iter().map(|name| name.map(str::to_owned)).collect();
        let mut tables: BTreeMap<String, Table> = BTreeMap::new();
        let sql = format!("{COLUMNS}{SCHEMA}{filter} ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION");
        for row in driver.query(&sql, &named)? {
            let mut row = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || row.next().unwrap_or_default();
            let (schema, name, view, plain, column) = (next(), next(), next() == "1", next() == "1", next());
            let (base, native, required, generated) = (next(), next(), next() == "1", next() == "1");
            let (set, collation) = (next(), next());
            let table = tables.entry(name.clone()).or_insert_with(|| Table {
                schema,
                name,
                view,
                columns: Vec::new(),
                refused: BTreeMap::new(),
                keys: Vec::new(),
                closed: match (view, plain) {
                    (true, _) => Some("a view cannot be written; name its table"),
                    (_, true) => {
                        Some("the table's engine has no transactions, so no write could depend on a condition")
                    }
                    _ => None,
                },
            });
            match kind(&base, &native) {
                Err(reason) => drop(table.refused.insert(column, reason)),
                Ok(kind) => {
                    table.columns.push(typed(column, kind, &base, native, (required, generated), (&set, &collation)))
                }
            }
        }
        let sql = format!(
            "{KEYS}{SCHEMA}{filter} ORDER BY c.TABLE_NAME, c.INDEX_NAME <> 'PRIMARY', c.INDEX_NAME, c.SEQ_IN_INDEX"
        );
        let mut indexes: Vec<(String, String, Option<Vec<String>>)> = Vec::new();
        for row in driver.query(&sql, &named)? {
            let [Some(table), Some(index), column, useless] = row.as_slice() else { continue };
            if indexes.last().is_none_or(|(last, name, _)| (last, name) != (table, index)) {
                indexes.push((table.clone(), index.clone(), Some(Vec::new())));
            }
            if let Some((.., key)) = indexes.last_mut() {
                match (key.as_mut(), column, useless.as_deref()) {
                    (Some(key), Some(column), Some("0")) => key.push(column.clone()),
                    _ => *key = None,
                }
            }
        }
        for (table, _, key) in indexes {
            if let (Some(table), Some(key)) = (tables.get_mut(&table), key)
                && key.iter().all(|name| table.column(name).is_some())
            {
                table.keys.push(key);
            }
        }
        Ok(tables.into_values().collect())
    }

    fn update_many(&self, table: &Table, key: &[&Column], set: &[&Column], rows: usize) -> Option<String> {
        let one = |first: bool| {
            let name = |at: usize| if first { format!(" AS c{at}") } else { String::new() };
            let values =
                set.iter().map(|column| self.bind(0, column)).chain(key.iter().map(|column| self.compare(0, column)));
            let values: Vec<String> = values.enumerate().map(|(at, bound)| bound + &name(at)).collect();
            format!("SELECT {}", values.join(", "))
        };
        let all: Vec<String> = (0..rows).map(|row| one(row == 0)).collect();
        let equal = key.iter().zip(set.len()..).map(|(column, at)| format!("t.{} = v.c{at}", quote(&column.name)));
        let assign = set.iter().enumerate().map(|(at, column)| format!("t.{} = v.c{at}", quote(&column.name)));
        Some(format!(
            "UPDATE {}.{} AS t JOIN ({}) AS v ON {} SET {}",
            quote(&table.schema),
            quote(&table.name),
            all.join(" UNION ALL "),
            equal.collect::<Vec<_>>().join(" AND "),
            assign.collect::<Vec<_>>().join(", ")
        ))
    }

    fn begin_reading(&self) -> &'static str {
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
    }

    fn horizon(&self, driver: &mut dyn Driver, _: Option<Timestamp>) -> Result<Option<Timestamp>, Fault> {
        // The server dates transactions by its own zone, whatever the session's.
        driver.execute("SET SESSION time_zone = 'SYSTEM'")?;
        let rows = driver.query(OPEN, &[]);
        driver.execute("SET SESSION time_zone = '+00:00'")?;
        let rows = match rows {
            Err(Fault { cause: Cause::Denied, .. }) => return Ok(None),
            rows => rows?,
        };
        let Some([Some(now), seconds @ ..]) = rows.first().map(Vec::as_slice) else { return Ok(None) };
        let Value::Time(now) = value::convert(Type::Time, Some(now)) else { return Ok(None) };
        let oldest = seconds.iter().flatten().filter_map(|seconds| seconds.parse::<i64>().ok()).max().unwrap_or(0);
        Ok(Some(now.plus_micros(-oldest.max(0) * 1_000_000)))
    }

    fn declared(&self, kind: Type) -> &'static str {
        match kind {
            Type::Bool => "BOOLEAN",
            Type::Int => "BIGINT",
            Type::Float => "DOUBLE",
            Type::Text => "VARCHAR(255)",
            Type::Time => "DATETIME(6)",
        }
    }

    fn privileges(&self, driver: &mut dyn Driver, schema: Option<&str>) -> Result<Option<Privileges>, Fault> {
        let sql = RIGHTS.replace("{schema}", SCHEMA).replace("{mine}", MINE);
        let mut found = Privileges::default();
        for row in driver.query(&sql, &[(); 3].map(|()| schema.map(str::to_owned)))? {
            let [Some(table), field, Some(rights)] = row.as_slice() else { continue };
            for right in rights.split(',').map(str::to_uppercase) {
                match field {
                    Some(field) if ["SELECT", "INSERT", "UPDATE"].contains(&right.as_str()) => {
                        found.add(table, Some(field), &right);
                    }
                    None if !HARMLESS.contains(&right.as_str()) => found.add(table, None, &right),
                    _ => {}
                }
            }
        }
        Ok(Some(found))
    }
}

fn quote(name: &str) -> String {
    // No identifier holds a NUL; what asks for one finds nothing.
    format!("`{}`", name.replace('\0', "\u{fffd}").replace('`', "``"))
}

/// The least rights for the declared fields. The login may name where it comes from (`tendon@10.0.0.%`).
fn grants(settings: &serde_json::Value, tables: &Wanted) -> Vec<String> {
    let text = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    let (name, host) = tables.login.rsplit_once('@').unwrap_or((&tables.login, "%"));
    let login = format!("{}@{}", text(name), text(host));
    let database = settings["schema"].as_str().map(str::to_owned).or_else(|| config::database("mysql", settings));
    let database = database.map(|name| quote(&name) + ".").unwrap_or_default();
    let mut lines = Vec::new();
    for (table, fields) in &tables.fields {
        for (verb, names) in [("SELECT", &fields.read), ("UPDATE", &fields.write)] {
            if !names.is_empty() {
                let list: Vec<String> = names.iter().map(|name| quote(name)).collect();
                lines.push(format!("GRANT {verb} ({}) ON {database}{} TO {login};", list.join(", "), quote(table)));
            }
        }
    }
    // So that a watch sees since when other logins' transactions are open.
    lines.push(format!("GRANT PROCESS ON *.* TO {login};"));
    lines
}
