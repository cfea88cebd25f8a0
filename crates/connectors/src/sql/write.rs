//! Writing back: one transaction per batch. The rows are read by key and locked until the end; each is compared with what
//! the decision saw (here, in the same conversions as reading: null-safe, exact, no collation), and those that may be
//! written are updated. Nobody can come between the comparison and the update: together they are one conditional statement.
//!
//! Our values are brought into the form in which the database stores them (a `numeric(5,2)` rounds) before they are
//! compared, so that a write whose answer was lost is recognised afterwards. When the database refuses an update of many,
//! each row is tried by itself under a savepoint: a refused row harms no other.

use std::{collections::BTreeMap, sync::Arc};

use tendon_kernel::{
    Error, ErrorKind, Type, Value,
    sockets::connector::{Write, WriteBatch, Written},
};

use super::{
    Cause, Fault, Texts,
    read::{KEYS, bind_all, check_length, columns, fits, in_list, in_values, key_columns, target, values},
    session::{Failure, Open},
    table::{Column, Table},
    value::same,
};

/// Writes that name the same fields, and where each stands in the batch.
struct Shape<'a> {
    table: Arc<Table>,
    resource: &'a str,
    key: Vec<Column>,
    set: Vec<Column>,
    expect: Vec<Column>,
    older: Option<Column>,
    writes: Vec<(usize, &'a Write)>,
}

type Done = Vec<(usize, Written)>;

/// Writes a batch.
pub(super) fn batch(open: &mut Open, batch: &WriteBatch) -> Result<Vec<Written>, Failure> {
    let shapes = shapes(open, batch)?;
    open.driver.execute("BEGIN")?;
    let done = shapes.iter().try_fold(Vec::with_capacity(batch.writes.len()), |mut done: Done, shape| {
        for chunk in shape.writes.chunks(KEYS) {
            done.extend(shape.chunk(open, chunk)?);
        }
        Ok(done)
    });
    let mut done = match done {
        Ok(done) => {
            // A deferred constraint speaks only now. Which row it means is not told: each gets its own transaction.
            match open.driver.execute("COMMIT") {
                Err(fault) if matches!(fault.cause, Cause::Row(_)) => {
                    drop(open.driver.execute("ROLLBACK"));
                    singly(open, &shapes)?
                }
                Err(fault) => return Err(fault.into()),
                Ok(()) => done,
            }
        }
        Err(failure) => {
            drop(open.driver.execute("ROLLBACK"));
            return Err(failure);
        }
    };
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, written)| written).collect())
}

fn singly(open: &mut Open, shapes: &[Shape<'_>]) -> Result<Done, Failure> {
    let mut done = Vec::new();
    for shape in shapes {
        for one in &shape.writes {
            open.driver.execute("BEGIN")?;
            let result = shape.chunk(open, std::slice::from_ref(one));
            let committed = match result {
                Ok(written) => open.driver.execute("COMMIT").map(|()| written),
                Err(failure) => {
                    drop(open.driver.execute("ROLLBACK"));
                    return Err(failure);
                }
            };
            match committed {
                Ok(written) => done.extend(written),
                Err(Fault { cause: Cause::Row(what), detail }) => {
                    drop(open.driver.execute("ROLLBACK"));
                    done.push((one.0, Written::Rejected(shape.refused(open, what, &detail))));
                }
                Err(fault) => return Err(fault.into()),
            }
        }
    }
    Ok(done)
}

/// Groups the writes by the fields they name, and checks names, keys and what may be written.
fn shapes<'a>(open: &mut Open, batch: &'a WriteBatch) -> Result<Vec<Shape<'a>>, Failure> {
    let table = open.table(&batch.resource)?;
    let wrong = |open: &Open, code, message| open.wrong(ErrorKind::Invalid, code, message, &batch.resource);
    if let Some(message) = table.closed {
        return Err(open.wrong(ErrorKind::Unsupported, "not_writable", message, &batch.resource).into());
    }
    for field in batch.key.iter().filter(|field| !open.guard.writes(&batch.resource, field)) {
        open.guard.check_read(&batch.resource, [field], table.key())?;
    }
    let key = key_columns(open, &table, &batch.key)?;
    let mut shapes: Vec<Shape<'a>> = Vec::new();
    let mut known = BTreeMap::new();
    for (at, write) in batch.writes.iter().enumerate() {
        check_length(open, &batch.resource, &batch.key, &write.key)?;
        let names = |fields: &[(String, Value)]| fields.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let older: Vec<String> = write.older.iter().map(|(name, _)| name.clone()).collect();
        let shape = (names(&write.set), names(&write.expect), older);
        if let Some(found) = known.get(&shape).and_then(|found: &usize| shapes.get_mut(*found)) {
            found.writes.push((at, write));
            continue;
        }
        if write.set.is_empty() {
            return Err(wrong(open, "nothing_to_write", "a write must set at least one field").into());
        }
        if let Some((field, _)) = write.set.iter().find(|(field, _)| batch.key.contains(field)) {
            return Err(wrong(open, "key_is_written", "a write must not change the row's key")
                .with("field", field)
                .into());
        }
        let set = columns(open, &table, &shape.0)?;
        if let Some(column) = set.iter().find(|column| column.generated) {
            let error = wrong(open, "field_computed", "the database computes this field");
            return Err(error.with("field", &column.name).into());
        }
        let expect = columns(open, &table, &shape.1)?;
        let older = columns(open, &table, &shape.2)?.pop();
        let (table, key, resource) = (Arc::clone(&table), key.clone(), batch.resource.as_str());
        known.insert(shape, shapes.len());
        shapes.push(Shape { table, resource, key, set, expect, older, writes: vec![(at, write)] });
    }
    Ok(shapes)
}

/// What stands in the row, and whether it may be written.
enum Before {
    Ours,
    Changed,
    Unreadable,
    Ready(Vec<Value>),
}

/// A write that may go on: its place, the parameters of its update, the values before.
struct Ready {
    at: usize,
    parameters: Texts,
    old: Vec<Value>,
}

impl Shape<'_> {
    /// Writes some rows inside the transaction.
    fn chunk(&self, open: &mut Open, writes: &[(usize, &Write)]) -> Result<Done, Failure> {
        let mut done = Vec::with_capacity(writes.len());
        let mut sound = Vec::with_capacity(writes.len());
        for (at, write) in writes {
            let values = self.set.iter().zip(&write.set);
            let texts: Result<Texts, Error> = values.map(|(column, (_, value))| column.text(value)).collect();
            match texts {
                Err(error) => done.push((*at, Written::Rejected(error.with("resource", self.resource)))),
                Ok(_) if !fits(&self.key, &write.key) => done.push((*at, Written::Missing)),
                Ok(texts) => sound.push((*at, *write, texts)),
            }
        }
        let keys: Vec<&Vec<Value>> = sound.iter().map(|(_, write, _)| &write.key).collect();
        let rows = self.locked(open, &keys)?;
        let stored = self.stored(open, &sound)?;
        let mut ready = Vec::with_capacity(sound.len());
        for ((at, write, texts), ours) in sound.into_iter().zip(stored) {
            let equal = |key: &[Value]| key.iter().zip(&write.key).all(|(one, two)| same(one, two));
            let row = rows
                .get(&order(&write.key))
                .into_iter()
                .flatten()
                .find(|row| row.get(..self.key.len()).is_some_and(equal));
            let Some(row) = row else {
                done.push((at, Written::Missing));
                continue;
            };
            match self.before(write, row.get(self.key.len()..).unwrap_or_default(), ours.as_deref()) {
                Before::Ours => done.push((at, Written::Delivered { old: None })),
                Before::Changed => done.push((at, Written::Superseded)),
                Before::Unreadable => {
                    let field = self.older.as_ref().map_or("", |column| column.name.as_str());
                    let error = open.wrong(
                        ErrorKind::Invalid,
                        "time_unreadable",
                        "the stored time cannot be read",
                        self.resource,
                    );
                    done.push((at, Written::Rejected(error.with("field", field))));
                }
                Before::Ready(old) => {
                    let key = bind_all(&self.key, &write.key)?;
                    ready.push(Ready { at, parameters: texts.into_iter().chain(key).collect(), old });
                }
            }
        }
        done.extend(self.update(open, ready)?);
        Ok(done)
    }

    /// Reads and locks the rows; by the order of their keys, because two keys may look alike to the database.
    fn locked(&self, open: &mut Open, keys: &[&Vec<Value>]) -> Result<BTreeMap<String, Vec<Vec<Value>>>, Failure> {
        let mut rows: BTreeMap<String, Vec<Vec<Value>>> = BTreeMap::new();
        if keys.is_empty() {
            return Ok(rows);
        }
        let columns: Vec<Column> =
            self.key.iter().chain(&self.expect).chain(&self.set).chain(&self.older).cloned().collect();
        let list: Vec<String> = columns.iter().map(|column| open.dialect.show(column)).collect();
        let condition = in_list(open, &self.key, keys.len().next_power_of_two());
        // In the order of the keys, so that two writers never wait for each other in a circle.
        let order_by: Vec<String> = self.key.iter().map(|column| open.dialect.quote(&column.name)).collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE {condition} ORDER BY {} FOR UPDATE",
            list.join(", "),
            target(open, &self.table),
            order_by.join(", ")
        );
        for texts in open.driver.query(&sql, &in_values(&self.key, keys)?)? {
            let row = values(&columns, &texts);
            rows.entry(order(row.get(..self.key.len()).unwrap_or_default())).or_default().push(row);
        }
        Ok(rows)
    }

    /// Our values as the database would store them; `None`: it would not take them.
    fn stored(&self, open: &mut Open, writes: &[(usize, &Write, Texts)]) -> Result<Vec<Option<Vec<Value>>>, Failure> {
        let mut stored: Vec<Option<Vec<Value>>> = writes
            .iter()
            .map(|(_, write, _)| Some(write.set.iter().map(|(_, value)| value.clone()).collect()))
            .collect();
        if !self.set.iter().any(|column| column.rounds) {
            return Ok(stored);
        }
        for (texts, values) in writes.iter().map(|(_, _, texts)| texts).zip(&mut stored) {
            let list: Vec<String> =
                self.set.iter().zip(1..).map(|(column, n)| open.dialect.stored(n, column)).collect();
            let sql = format!("SELECT {}", list.join(", "));
            open.driver.execute("SAVEPOINT form")?;
            *values = match open.driver.query(&sql, texts) {
                Ok(rows) => rows.first().map(|row| self::values(&self.set, row)),
                Err(Fault { cause: Cause::Row(_), .. }) => {
                    open.driver.execute("ROLLBACK TO SAVEPOINT form")?;
                    None
                }
                Err(fault) => return Err(fault.into()),
            };
        }
        Ok(stored)
    }

    fn before(&self, write: &Write, row: &[Value], ours: Option<&[Value]>) -> Before {
        let (expected, rest) = row.split_at(self.expect.len().min(row.len()));
        let (old, older) = rest.split_at(self.set.len().min(rest.len()));
        let typed = |column: &Column, value: &Value| match value {
            // A value that does not fit its type was read as text; our time as text means the same instant.
            Value::Text(text) if column.kind != Type::Text => column.read(Some(text)),
            other => other.clone(),
        };
        let pairs = |ours: &[Value]| {
            self.set.iter().zip(ours).zip(old).all(|((column, ours), old)| same(&typed(column, ours), old))
        };
        if ours.is_some_and(pairs) {
            return Before::Ours;
        }
        let mut conditions = self.expect.iter().zip(&write.expect).zip(expected);
        if !conditions.all(|((column, (_, value)), found)| same(&typed(column, value), found)) {
            return Before::Changed;
        }
        match (&write.older, older.first()) {
            (None, _) | (Some(_), None | Some(Value::Null)) => Before::Ready(old.to_vec()),
            (Some((_, limit)), Some(Value::Time(time))) if time < limit => Before::Ready(old.to_vec()),
            (Some(_), Some(Value::Time(_))) => Before::Changed,
            (Some(_), Some(_)) => Before::Unreadable,
        }
    }

    /// Updates rows that are locked: all at once where the database can, else, or when it refuses, one by one.
    fn update(&self, open: &mut Open, ready: Vec<Ready>) -> Result<Done, Failure> {
        let key: Vec<&Column> = self.key.iter().collect();
        let set: Vec<&Column> = self.set.iter().collect();
        let size = ready.len().next_power_of_two();
        if ready.len() > 1
            && let Some(sql) = open.dialect.update_many(&self.table, &key, &set, size)
        {
            // Repeating rows changes nothing: few statements for any number of rows.
            let parameters: Texts =
                ready.iter().cycle().take(size).flat_map(|one| one.parameters.iter().cloned()).collect();
            open.driver.execute("SAVEPOINT many")?;
            match open.driver.query(&sql, &parameters) {
                Ok(_) => {
                    let done = |one: Ready| (one.at, Written::Delivered { old: Some(one.old) });
                    return Ok(ready.into_iter().map(done).collect());
                }
                Err(Fault { cause: Cause::Row(_), .. }) => open.driver.execute("ROLLBACK TO SAVEPOINT many")?,
                Err(fault) => return Err(fault.into()),
            }
        }
        let quote = |column: &&Column| open.dialect.quote(&column.name);
        let assign = |(column, n): (&&Column, usize)| format!("{} = {}", quote(column), open.dialect.bind(n, column));
        let equal = |(column, n): (&&Column, usize)| format!("{} = {}", quote(column), open.dialect.compare(n, column));
        let assignments: Vec<String> = set.iter().zip(1..).map(assign).collect();
        let conditions: Vec<String> = key.iter().zip(set.len() + 1..).map(equal).collect();
        let target = target(open, &self.table);
        let sql = format!("UPDATE {target} SET {} WHERE {}", assignments.join(", "), conditions.join(" AND "));
        let mut done = Vec::with_capacity(ready.len());
        for one in ready {
            open.driver.execute("SAVEPOINT one")?;
            let written = match open.driver.query(&sql, &one.parameters) {
                Ok(_) => Written::Delivered { old: Some(one.old) },
                Err(Fault { cause: Cause::Row(what), detail }) => {
                    open.driver.execute("ROLLBACK TO SAVEPOINT one")?;
                    Written::Rejected(self.refused(open, what, &detail))
                }
                Err(fault) => return Err(fault.into()),
            };
            done.push((one.at, written));
        }
        Ok(done)
    }

    fn refused(&self, open: &Open, what: &str, detail: &str) -> Error {
        Error::new(ErrorKind::Invalid, "write_refused", format!("the system refused the row: {what}"))
            .with("system", &open.guard.system)
            .with("resource", self.resource)
            .hint("change the row or the rule in the system, then retry")
            .private(detail)
    }
}

/// Keys that may be equal fall together: numbers by their value, everything else by its text.
fn order(key: &[Value]) -> String {
    let text = |value: &Value| match value {
        Value::Int(_) | Value::Float(_) => value.number().map_or_else(String::new, |number| format!("{number:e}")),
        other => other.to_string(),
    };
    key.iter().map(text).collect::<Vec<_>>().join("\u{1f}")
}
