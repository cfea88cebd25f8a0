//! Reading: by key, scan in key order, watch in (watermark, key) order. Every name is checked against the catalog and
//! quoted, every value is bound as the type of its column. Order is the column's own, so that an index serves it; the watch
//! asks with two statements that each follow an index on watermark and key. Rows without a watermark count as the lowest.

use std::{collections::BTreeSet, sync::Arc};

use tendon_kernel::{
    Error, ErrorKind, Value,
    sockets::connector::{Change, Row, Scan, Watch},
};

use super::{
    Texts,
    session::{Failure, Open},
    table::{Column, Table},
    value::same,
};
use crate::settings;

/// Keys asked for in one statement.
pub(super) const KEYS: usize = 256;

/// What one kind of read needs, resolved against the catalog and the plan.
struct Shape {
    table: Arc<Table>,
    key: Vec<Column>,
    fields: Vec<Column>,
}

impl Shape {
    fn new(open: &mut Open, resource: &str, key: &[String], fields: &[String]) -> Result<Self, Failure> {
        let table = open.table(resource)?;
        open.guard.check_read(resource, fields.iter().chain(key), table.key())?;
        let fields = columns(open, &table, fields)?;
        let key = key_columns(open, &table, key)?;
        Ok(Self { table, key, fields })
    }

    /// Key columns and fields as a select list.
    fn list(&self, open: &Open) -> String {
        let shown = self.key.iter().chain(&self.fields).map(|column| open.dialect.show(column));
        shown.collect::<Vec<_>>().join(", ")
    }

    /// The key as an order. Behind the table's name: a bare name would mean the text that the select list shows.
    fn order(&self, open: &Open) -> String {
        self.key.iter().map(|column| format!("r.{}", open.dialect.quote(&column.name))).collect::<Vec<_>>().join(", ")
    }

    /// `key > ?`, over all parts at once; the first parameter's number is given. With the parameters.
    fn after(&self, open: &Open, first: usize, values: &[Value]) -> Result<(String, Texts), Error> {
        let (condition, places) = open.dialect.after(&self.key, first);
        let texts = bind_all(&self.key, values)?;
        Ok((condition, places.into_iter().filter_map(|at| texts.get(at).cloned()).collect()))
    }

    fn row(&self, texts: &[Option<String>]) -> Row {
        let (key, fields) = texts.split_at(self.key.len().min(texts.len()));
        Row { key: values(&self.key, key), values: values(&self.fields, fields) }
    }
}

/// The name of a table with its schema.
pub(super) fn target(open: &Open, table: &Table) -> String {
    format!("{}.{}", open.dialect.quote(&table.schema), open.dialect.quote(&table.name))
}

/// Texts as values of their columns.
pub(super) fn values(columns: &[Column], texts: &[Option<String>]) -> Vec<Value> {
    columns.iter().zip(texts).map(|(column, text)| column.read(text.as_deref())).collect()
}

/// Columns by name.
pub(super) fn columns(open: &Open, table: &Table, names: &[String]) -> Result<Vec<Column>, Failure> {
    let find = |name: &String| {
        table.column(name).cloned().ok_or_else(|| {
            let error = |code, message| open.wrong(ErrorKind::NotFound, code, message, &table.name).with("field", name);
            if let Some(reason) = table.refused.get(name) {
                return error("field_unsupported", "the field's type cannot be used").hint(reason.clone());
            }
            let known: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
            error("field_unknown", "the resource has no such field").hint(settings::suggestion(name, &known))
        })
    };
    Ok(names.iter().map(find).collect::<Result<_, Error>>()?)
}

/// The key's columns, if the key tells rows apart.
pub(super) fn key_columns(open: &Open, table: &Table, key: &[String]) -> Result<Vec<Column>, Failure> {
    let found = columns(open, table, key)?;
    if table.tells_apart(key) {
        return Ok(found);
    }
    Err(open
        .wrong(ErrorKind::Config, "key_not_unique", "the key does not tell rows apart", &table.name)
        .with("key", key.join(", "))
        .hint("use the table's primary key, or all fields of a unique index without nulls")
        .into())
}

pub(super) fn check_length(open: &Open, resource: &str, key: &[String], values: &[Value]) -> Result<(), Failure> {
    if key.len() == values.len() {
        return Ok(());
    }
    let message = "a key has another number of values than the resource's key of fields";
    let error = open.wrong(ErrorKind::Invalid, "key_wrong", message, resource);
    Err(error.with("expected", key.len()).with("given", values.len()).into())
}

/// Values of columns as parameters.
pub(super) fn bind_all(columns: &[Column], values: &[Value]) -> Result<Texts, Error> {
    columns.iter().zip(values).map(|(column, value)| column.text(value)).collect()
}

/// `key IN (…)` for so many keys, filled up to a power of two so that there are few statements.
pub(super) fn in_list(open: &Open, key: &[Column], rows: usize) -> String {
    let names: Vec<String> = key.iter().map(|column| open.dialect.quote(&column.name)).collect();
    let mut n = 0;
    let mut one = || {
        let binds = key.iter().map(|column| {
            n += 1;
            open.dialect.compare(n, column)
        });
        let binds = binds.collect::<Vec<_>>().join(", ");
        if key.len() == 1 { binds } else { format!("({binds})") }
    };
    let list: Vec<String> = (0..rows).map(|_| one()).collect();
    let names = if key.len() == 1 { names.join(", ") } else { format!("({})", names.join(", ")) };
    format!("{names} IN ({})", list.join(", "))
}

/// Parameters for [`in_list`]: the keys, filled up with their own.
pub(super) fn in_values(key: &[Column], keys: &[&Vec<Value>]) -> Result<Texts, Error> {
    let size = keys.len().next_power_of_two();
    let texts = keys.iter().map(|values| bind_all(key, values)).collect::<Result<Vec<_>, Error>>()?;
    Ok(texts.iter().cycle().take(size).flatten().cloned().collect())
}

/// Rows with these keys. A key that the database takes for equal and that is not (letter case, padding) is left out.
pub(super) fn by_key(
    open: &mut Open,
    resource: &str,
    key: &[String],
    fields: &[String],
    keys: &[Vec<Value>],
) -> Result<Vec<Row>, Failure> {
    let shape = Shape::new(open, resource, key, fields)?;
    for values in keys {
        check_length(open, resource, key, values)?;
    }
    let mut seen = BTreeSet::new();
    // A key with a null in it, or with a value that its column cannot hold, belongs to no row.
    let wanted: Vec<&Vec<Value>> =
        keys.iter().filter(|values| fits(&shape.key, values) && seen.insert(format!("{values:?}"))).collect();
    let mut rows = Vec::with_capacity(wanted.len());
    for chunk in wanted.chunks(KEYS) {
        let condition = in_list(open, &shape.key, chunk.len().next_power_of_two());
        let sql = format!("SELECT {} FROM {} WHERE {condition}", shape.list(open), target(open, &shape.table));
        for texts in open.driver.query(&sql, &in_values(&shape.key, chunk)?)? {
            rows.push(shape.row(&texts));
        }
    }
    if shape.key.iter().any(|column| column.kind == tendon_kernel::Type::Text) {
        let equal = |one: &[Value], two: &[Value]| one.iter().zip(two).all(|(one, two)| same(one, two));
        rows.retain(|row| wanted.iter().any(|key| equal(key, &row.key)));
    }
    Ok(rows)
}

/// Whether a key can belong to a row: no null, each value of its column's type.
pub(super) fn fits(key: &[Column], values: &[Value]) -> bool {
    use tendon_kernel::Type;
    key.iter().zip(values).all(|(column, value)| match (column.kind, value) {
        (_, Value::Null) => false,
        (Type::Text, Value::Text(text)) => !text.contains('\0') || column.nul,
        (Type::Text, _) | (_, Value::Text(_)) => {
            matches!((column.kind, value), (Type::Float | Type::Time, Value::Text(_)))
        }
        (kind, value) => value.kind() == Some(kind) || matches!((kind, value), (Type::Float, Value::Int(_))),
    })
}

/// The next rows in key order.
pub(super) fn scan(open: &mut Open, scan: &Scan) -> Result<Vec<Row>, Failure> {
    let shape = Shape::new(open, &scan.resource, &scan.key, &scan.fields)?;
    let (mut conditions, mut parameters) = (Vec::new(), Vec::new());
    if !scan.after.is_empty() {
        check_length(open, &scan.resource, &scan.key, &scan.after)?;
        let (condition, texts) = shape.after(open, 1, &scan.after)?;
        conditions.push(condition);
        parameters = texts;
    }
    let list = shape.list(open);
    let order = shape.order(open);
    let sql = select(open, &shape, &list, &conditions, &order, parameters.len() + 1);
    parameters.push(Some(scan.limit.to_string()));
    Ok(open.driver.query(&sql, &parameters)?.iter().map(|texts| shape.row(texts)).collect())
}

fn select(open: &Open, shape: &Shape, list: &str, conditions: &[String], order: &str, limit: usize) -> String {
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let (target, limit) = (target(open, &shape.table), open.dialect.bind_count(limit));
    format!("SELECT {list} FROM {target} AS r{filter} ORDER BY {order} LIMIT {limit}")
}

/// The next changes in (watermark, key) order.
pub(super) fn watch(open: &mut Open, watch: &Watch) -> Result<Vec<Change>, Failure> {
    let shape = Shape::new(open, &watch.resource, &watch.key, &watch.fields)?;
    let mark = columns(open, &shape.table, std::slice::from_ref(&watch.watermark))?.remove(0);
    if !watch.after.key.is_empty() {
        check_length(open, &watch.resource, &watch.key, &watch.after.key)?;
    }
    if watch.limit == 0 {
        return Ok(Vec::new());
    }
    let (position, key) = (&watch.after.mark, &watch.after.key);
    let name = open.dialect.quote(&mark.name);
    let (bind, list) = (open.dialect.compare(1, &mark), format!("{}, {}", open.dialect.show(&mark), shape.list(open)));
    let keys = shape.order(open);
    let both = position.is_null() || !key.is_empty();
    if both {
        // Both statements see one state of the table.
        open.driver.execute(open.dialect.begin_reading())?;
    }
    let mut changes = Vec::new();
    let mut take = |open: &mut Open, conditions: &[String], order: &str, mut parameters: Texts, left: usize| {
        let sql = select(open, &shape, &list, conditions, order, parameters.len() + 1);
        parameters.push(Some(left.to_string()));
        let found = open.driver.query(&sql, &parameters)?;
        for texts in &found {
            let Some((first, rest)) = texts.split_first() else { continue };
            changes.push(Change { mark: mark.read(first.as_deref()), row: shape.row(rest) });
        }
        Ok::<_, Failure>(found.len())
    };
    let mut taken = 0;
    if both {
        let mut parameters = Vec::new();
        let mut conditions = Vec::new();
        if position.is_null() {
            conditions.push(format!("{name} IS NULL"));
        } else {
            conditions.push(format!("{name} = {bind}"));
            parameters.push(mark.text(position)?);
        }
        if !key.is_empty() {
            let (condition, texts) = shape.after(open, parameters.len() + 1, key)?;
            conditions.push(condition);
            parameters.extend(texts);
        }
        taken = take(open, &conditions, &keys, parameters, watch.limit)?;
    }
    if taken < watch.limit {
        let condition = match (position.is_null(), key.is_empty()) {
            (true, _) => format!("{name} IS NOT NULL"),
            (false, true) => format!("{name} >= {bind}"),
            (false, false) => format!("{name} > {bind}"),
        };
        let parameters = if position.is_null() { Vec::new() } else { vec![mark.text(position)?] };
        take(open, &[condition], &format!("r.{name}, {keys}"), parameters, watch.limit - taken)?;
    }
    if both {
        open.driver.execute("COMMIT")?;
    }
    Ok(changes)
}
