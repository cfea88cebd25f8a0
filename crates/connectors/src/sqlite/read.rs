//! Reading: by key, scan in key order, watch in (watermark, key) order. Every name is checked against the catalog and quoted,
//! every value is bound.
//!
//! The watch asks with two statements that each follow an index on the watermark (best: one on watermark and key): the
//! rest of the position's own watermark, then everything above. Rows without a watermark count as the lowest. Order is
//! SQLite's order of stored values, and positions are exact (see `value::exact`), so paging neither skips nor repeats,
//! whatever forms of time an application mixes in one column. A position that carries a time but no key did not come
//! from a row: it was computed, to reread an overlap. It is bound in the form of the newest stored watermark, or in
//! Tendon's own where that starts earlier; rereading more is harmless.

use std::collections::BTreeSet;

use rusqlite::{Connection, params_from_iter, types::ValueRef};
use tendon_kernel::{
    Error, ErrorKind, Result, Timestamp, Type, Value,
    sockets::connector::{Change, Row, Scan, Watch},
};

use super::{
    authorizer::EXACT,
    catalog::{KeyColumn, Table},
    session::Open,
    value::{self, Bound, quoted},
};
use crate::{guard::Guard, settings};

/// Keys asked for in one statement.
const KEYS: usize = 256;

/// What one kind of read needs, resolved against the catalog and the plan.
struct Shape {
    table: String,
    key: Vec<KeyColumn>,
    fields: Vec<Type>,
    /// Key columns and fields, as a select list.
    list: String,
}

impl Shape {
    fn new(open: &mut Open, guard: &Guard, resource: &str, key: &[String], fields: &[String]) -> Result<Self> {
        let table = open.table(guard, resource)?;
        guard.check_read(resource, fields.iter().chain(key), &table.key)?;
        let fields_kinds = fields.iter().map(|field| column(open, &table, field)).collect::<Result<_>>()?;
        for field in key {
            column(open, &table, field)?;
        }
        let columns = key_columns(open, &table, key)?;
        let list: Vec<String> = key.iter().chain(fields).map(|name| quoted(name)).collect();
        Ok(Self { table: quoted(&table.name), key: columns, fields: fields_kinds, list: list.join(", ") })
    }

    /// The key columns as an SQL list.
    fn key_list(&self) -> String {
        self.key.iter().map(|column| column.sql.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Conditions that leave out rows whose key cannot be told.
    fn exact_keys(&self) -> Vec<String> {
        self.key.iter().filter_map(|column| column.inexact.as_ref()).map(|name| format!("{EXACT}({name})")).collect()
    }

    /// A row from the columns of the select list, which start at `at`.
    fn row(&self, row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Row> {
        let mut key = Vec::with_capacity(self.key.len());
        for (index, column) in self.key.iter().enumerate() {
            key.push(value::exact(column.kind, row.get_ref(at + index)?));
        }
        let mut values = Vec::with_capacity(self.fields.len());
        for (index, kind) in self.fields.iter().enumerate() {
            values.push(value::convert(*kind, row.get_ref(at + self.key.len() + index)?));
        }
        Ok(Row { key, values })
    }
}

/// The type of a field, if the table has it.
pub(super) fn column(open: &Open, table: &Table, field: &str) -> Result<Type> {
    table.column(field).map(|column| column.kind).ok_or_else(|| {
        let known: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        Error::new(ErrorKind::NotFound, "field_unknown", "the resource has no such field")
            .with("system", &open.system)
            .with("resource", &table.name)
            .with("field", field)
            .hint(settings::suggestion(field, &known))
    })
}

/// The key's columns, if the key tells rows apart.
pub(super) fn key_columns(open: &Open, table: &Table, key: &[String]) -> Result<Vec<KeyColumn>> {
    let found = if key.is_empty() { None } else { table.key_columns(key) };
    found.ok_or_else(|| {
        Error::new(ErrorKind::Config, "key_not_unique", "the key does not tell rows apart")
            .with("system", &open.system)
            .with("resource", &table.name)
            .with("key", key.join(", "))
            .hint("use the table's primary key, or all fields of a unique index")
    })
}

/// Rows with these keys.
pub(super) fn by_key(
    open: &mut Open,
    guard: &Guard,
    resource: &str,
    key: &[String],
    fields: &[String],
    keys: &[Vec<Value>],
) -> Result<Vec<Row>> {
    let shape = Shape::new(open, guard, resource, key, fields)?;
    for values in keys {
        check_length(open, resource, key, values)?;
    }
    // A key with a null in it belongs to no row.
    let mut wanted: Vec<&Vec<Value>> = keys.iter().filter(|values| !values.iter().any(Value::is_null)).collect();
    let mut seen = BTreeSet::new();
    wanted.retain(|values| seen.insert(format!("{values:?}")));
    let failed = open.failed("reading rows by key");
    let exact: String = shape.exact_keys().iter().map(|condition| format!(" AND {condition}")).collect();
    let mut rows = Vec::with_capacity(wanted.len());
    for chunk in wanted.chunks(KEYS) {
        // Few shapes of statement: the chunk is filled up to a power of two with its own keys, which changes nothing.
        let size = chunk.len().next_power_of_two();
        let one = if key.len() == 1 { "?".to_owned() } else { format!("({})", vec!["?"; key.len()].join(",")) };
        let list = vec![one; size].join(",");
        let condition = if key.len() == 1 {
            format!("{} IN ({list})", shape.key_list())
        } else {
            format!("({}) IN (VALUES {list})", shape.key_list())
        };
        let sql = format!("SELECT {} FROM {} WHERE {condition}{exact}", shape.list, shape.table);
        let filled = chunk.iter().chain(chunk.iter().cycle().take(size - chunk.len()));
        query(&open.data, &sql, filled.flat_map(|values| values.iter()), |row| {
            rows.push(shape.row(row, 0)?);
            Ok(())
        })
        .map_err(&failed)?;
    }
    Ok(rows)
}

/// The next rows in key order.
pub(super) fn scan(open: &mut Open, guard: &Guard, scan: &Scan) -> Result<Vec<Row>> {
    let shape = Shape::new(open, guard, &scan.resource, &scan.key, &scan.fields)?;
    let mut conditions = shape.exact_keys();
    if !scan.after.is_empty() {
        check_length(open, &scan.resource, &scan.key, &scan.after)?;
        conditions.insert(0, after_key(&shape));
    }
    let mut rows = Vec::new();
    let sql = select(&shape, "", &conditions, &shape.key_list());
    let limit = limit(scan.limit);
    query(&open.data, &sql, scan.after.iter().chain([&limit]), |row| {
        rows.push(shape.row(row, 0)?);
        Ok(())
    })
    .map_err(open.failed("scanning rows"))?;
    Ok(rows)
}

/// The next changes in (watermark, key) order.
pub(super) fn watch(open: &mut Open, guard: &Guard, watch: &Watch) -> Result<Vec<Change>> {
    let shape = Shape::new(open, guard, &watch.resource, &watch.key, &watch.fields)?;
    let table = open.table(guard, &watch.resource)?;
    let mark_kind = column(open, &table, &watch.watermark)?;
    if !watch.after.key.is_empty() {
        check_length(open, &watch.resource, &watch.key, &watch.after.key)?;
    }
    let name = quoted(&watch.watermark);
    let mark = format!("{name}{}", table.binary());
    let failed = open.failed("watching for changes");
    let mut changes = Vec::new();
    let mut take = |row: &rusqlite::Row<'_>| {
        changes.push(Change { mark: value::exact(mark_kind, row.get_ref(0)?), row: shape.row(row, 1)? });
        Ok(())
    };
    // Both statements see one state of the file. Dropping ends the read.
    let reading = open.data.unchecked_transaction().map_err(&failed)?;
    let (position, key) = (&watch.after.mark, &watch.after.key);
    let keys = shape.key_list();
    let mut taken = 0;
    if position.is_null() || !key.is_empty() {
        // The rest of the position's own watermark.
        let same = if position.is_null() { format!("{name} IS NULL") } else { format!("{mark} = ?") };
        let mut conditions = vec![same];
        conditions.extend((!key.is_empty()).then(|| after_key(&shape)));
        conditions.extend(shape.exact_keys());
        let sql = select(&shape, &format!("{name}, "), &conditions, &keys);
        let limit = limit(watch.limit);
        let own = (!position.is_null()).then_some(position);
        taken = query(&reading, &sql, own.into_iter().chain(key).chain([&limit]), &mut take).map_err(&failed)?;
    }
    if taken < watch.limit {
        let computed = if key.is_empty() {
            computed_start(&reading, &shape, &name, &mark, position).map_err(&failed)?
        } else {
            None
        };
        let from = computed.as_ref().unwrap_or(position);
        let above = match (from.is_null(), key.is_empty()) {
            (true, _) => format!("{name} IS NOT NULL"),
            (false, true) => format!("{mark} >= ?"),
            (false, false) => format!("{mark} > ?"),
        };
        let mut conditions = vec![above, format!("{EXACT}({name})")];
        conditions.extend(shape.exact_keys());
        let sql = select(&shape, &format!("{name}, "), &conditions, &format!("{mark}, {keys}"));
        let limit = limit(watch.limit - taken);
        let bound = (!from.is_null()).then_some(from);
        query(&reading, &sql, bound.into_iter().chain([&limit]), &mut take).map_err(&failed)?;
    }
    Ok(changes)
}

/// Where a computed time starts in the form that the column's newest row uses; `None`: bind it as it is.
fn computed_start(
    data: &Connection,
    shape: &Shape,
    name: &str,
    mark: &str,
    position: &Value,
) -> rusqlite::Result<Option<Value>> {
    let Value::Time(time) = position else { return Ok(None) };
    let sql = format!("SELECT {name} FROM {} WHERE {EXACT}({name}) ORDER BY {mark} DESC LIMIT 1", shape.table);
    let mut start = None;
    query(data, &sql, [], |row| {
        let newest = row.get_ref(0)?;
        if let (ValueRef::Text(text), Value::Text(_)) = (newest, value::exact(Type::Time, newest)) {
            start = like(text, *time).map(|text| text.min(time.to_string()));
        }
        Ok(())
    })?;
    Ok(start.map(|text| Value::text(&text)))
}

/// The earliest text of a time in the form of another stored time: the same separator, whole seconds, no zone. Every longer
/// text of the same second sorts after it.
fn like(form: &[u8], time: Timestamp) -> Option<String> {
    value::time(form)?;
    let separator = char::from(*form.get(10).unwrap_or(&b' '));
    let text = time.to_string();
    let (date, rest) = (text.get(..10)?, text.get(11..19)?);
    Some(if form.len() == 10 { date.to_owned() } else { format!("{date}{separator}{rest}") })
}

/// `SELECT … WHERE … ORDER BY … LIMIT ?`.
fn select(shape: &Shape, before: &str, conditions: &[String], order: &str) -> String {
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    format!("SELECT {before}{} FROM {}{filter} ORDER BY {order} LIMIT ?", shape.list, shape.table)
}

/// `key > ?`, over all parts at once.
fn after_key(shape: &Shape) -> String {
    if shape.key.len() == 1 {
        format!("{} > ?", shape.key_list())
    } else {
        format!("({}) > ({})", shape.key_list(), vec!["?"; shape.key.len()].join(", "))
    }
}

fn limit(rows: usize) -> Value {
    Value::Int(i64::try_from(rows).unwrap_or(i64::MAX))
}

fn check_length(open: &Open, resource: &str, key: &[String], values: &[Value]) -> Result<()> {
    if key.len() == values.len() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Invalid,
        "key_wrong",
        "a key has another number of values than the resource's key of fields",
    )
    .with("system", &open.system)
    .with("resource", resource)
    .with("expected", key.len())
    .with("given", values.len()))
}

/// Runs a cached statement and hands every row on; says how many there were.
fn query<'a>(
    data: &Connection,
    sql: &str,
    values: impl IntoIterator<Item = &'a Value>,
    mut take: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<usize> {
    let mut statement = data.prepare_cached(sql)?;
    let mut rows = statement.query(params_from_iter(values.into_iter().map(Bound)))?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        take(row)?;
        count += 1;
    }
    Ok(count)
}
