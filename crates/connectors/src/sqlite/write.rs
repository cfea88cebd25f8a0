//! Writing back: one `BEGIN IMMEDIATE` transaction per batch; per write the row is read, compared with what the decision saw,
//! and updated. The transaction holds SQLite's only write lock from its begin, so nobody can come between the comparison
//! and the update: together they are one conditional statement. Comparing here and not in SQL lets a condition mean exactly
//! what reading meant (same conversions, no collation, times by instant).
//!
//! Each update stands in a savepoint: a row that the system refuses is rolled back alone. If the system itself rolls the
//! whole transaction back (a trigger with `RAISE(ROLLBACK)`, a deferred foreign key at commit), the batch is done again
//! with a transaction per write.

use rusqlite::{Connection, params_from_iter};
use tendon_kernel::{
    Error, ErrorKind, Result, Timestamp, Type, Value,
    sockets::connector::{Write, WriteBatch, Written},
};

use super::{
    catalog::Table,
    failure, read,
    session::Open,
    value::{self, Bound, quoted},
};
use crate::guard::Guard;

const ATTEMPT: &str = "writing back";

/// What could not be finished row by row.
enum Failure {
    /// The whole attempt failed.
    Sql(rusqlite::Error),
    /// SQLite has rolled back the transaction because of one row.
    RolledBack(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// The statements for writes that name the same fields.
struct Shape {
    set: Vec<String>,
    expect: Vec<String>,
    older: Option<String>,
    expect_kinds: Vec<Type>,
    set_kinds: Vec<Type>,
    select: String,
    update: String,
}

/// Whether the fields of a write's conditions may be looked at.
///
/// # Errors
/// `Forbidden` for a field that is listed neither under `read` nor under `write`.
pub(super) fn check_conditions(guard: &Guard, resource: &str, write: &Write) -> Result<()> {
    let conditions = write.expect.iter().map(|(field, _)| field).chain(write.older.iter().map(|(field, _)| field));
    for field in conditions {
        if !guard.writes(resource, field) {
            guard.check_read(resource, [field], &[])?;
        }
    }
    Ok(())
}

/// Writes a batch.
pub(super) fn batch(open: &mut Open, guard: &Guard, batch: &WriteBatch) -> Result<Vec<Written>> {
    let table = open.table(guard, &batch.resource)?;
    if !table.writable {
        return Err(Error::new(ErrorKind::Unsupported, "not_writable", "a view cannot be written; name its table")
            .with("system", &open.system)
            .with("resource", &table.name));
    }
    for field in &batch.key {
        if !guard.writes(&table.name, field) {
            guard.check_read(&table.name, [field], &table.key)?;
        }
        read::column(open, &table, field)?;
    }
    let key = read::key_columns(open, &table, &batch.key)?;
    let key = key.iter().map(|column| format!("{} = ?", column.sql)).collect::<Vec<_>>().join(" AND ");
    let mut shapes: Vec<Shape> = Vec::new();
    let mut work = Vec::with_capacity(batch.writes.len());
    for write in &batch.writes {
        let known = shapes.iter().position(|shape| shape.fits(write));
        let at = match known {
            Some(at) => at,
            None => {
                shapes.push(Shape::new(open, &table, batch, &key, write)?);
                shapes.len() - 1
            }
        };
        if write.key.len() != batch.key.len() {
            return Err(Error::new(ErrorKind::Invalid, "key_wrong", "a key has the wrong number of values")
                .with("system", &open.system)
                .with("resource", &table.name));
        }
        work.push((write, at));
    }
    let job = Job { data: &open.data, system: &open.system, resource: &table.name, shapes: &shapes };
    let result = match job.transaction(&work) {
        Err(Failure::RolledBack(_)) => job.singly(&work),
        other => other,
    };
    result.map_err(|failure| match failure {
        Failure::Sql(error) | Failure::RolledBack(error) => failure::of(&open.system, ATTEMPT, &error),
    })
}

impl Shape {
    fn new(open: &Open, table: &Table, batch: &WriteBatch, key: &str, write: &Write) -> Result<Self> {
        let wrong = |code, message| {
            Error::new(ErrorKind::Invalid, code, message).with("system", &open.system).with("resource", &table.name)
        };
        if write.set.is_empty() {
            return Err(wrong("nothing_to_write", "a write must set at least one field"));
        }
        for (field, _) in &write.set {
            if batch.key.contains(field) {
                return Err(wrong("key_is_written", "a write must not change the row's key").with("field", field));
            }
            if table.column(field).is_some_and(|column| column.generated) {
                return Err(wrong("field_computed", "the database computes this field").with("field", field));
            }
        }
        let names = |fields: &[(String, Value)]| fields.iter().map(|(field, _)| field.clone()).collect::<Vec<_>>();
        let (set, expect) = (names(&write.set), names(&write.expect));
        let kinds = |fields: &[String]| fields.iter().map(|field| read::column(open, table, field)).collect();
        let (set_kinds, expect_kinds): (Result<Vec<_>>, Result<Vec<_>>) = (kinds(&set), kinds(&expect));
        let older = write.older.as_ref().map(|(field, _)| field.clone());
        if let Some(field) = &older {
            read::column(open, table, field)?;
        }
        let ours: Vec<String> =
            set.iter().map(|field| format!("{}{} IS ?", quoted(field), " COLLATE BINARY")).collect();
        let columns: Vec<String> = expect.iter().chain(&set).chain(&older).map(|field| quoted(field)).collect();
        let assignments: Vec<String> = set.iter().map(|field| format!("{} = ?", quoted(field))).collect();
        let target = quoted(&table.name);
        Ok(Self {
            select: format!("SELECT {}, {} FROM {target} WHERE {key}", ours.join(" AND "), columns.join(", ")),
            update: format!("UPDATE {target} SET {} WHERE {key}", assignments.join(", ")),
            set_kinds: set_kinds?,
            expect_kinds: expect_kinds?,
            set,
            expect,
            older,
        })
    }

    fn fits(&self, write: &Write) -> bool {
        let equal = |names: &[String], fields: &[(String, Value)]| {
            names.len() == fields.len() && names.iter().zip(fields).all(|(name, (field, _))| name == field)
        };
        equal(&self.set, &write.set)
            && equal(&self.expect, &write.expect)
            && self.older.as_ref() == write.older.as_ref().map(|(field, _)| field)
    }
}

/// A batch on its way.
struct Job<'a> {
    data: &'a Connection,
    system: &'a str,
    resource: &'a str,
    shapes: &'a [Shape],
}

/// What a row looked like before its write.
enum Before {
    Missing,
    Ours,
    Changed,
    Unreadable,
    Ready(Vec<Value>),
}

impl Job<'_> {
    /// All writes in one transaction.
    fn transaction(&self, work: &[(&Write, usize)]) -> Result<Vec<Written>, Failure> {
        self.execute("BEGIN IMMEDIATE")?;
        let result: Result<Vec<_>, Failure> = work.iter().map(|(write, shape)| self.one(write, *shape)).collect();
        let result = result.and_then(|written| match self.execute("COMMIT") {
            Ok(()) => Ok(written),
            Err(error) if failure::of_row(self.system, self.resource, &error).is_some() => {
                Err(Failure::RolledBack(error))
            }
            Err(error) => Err(Failure::Sql(error)),
        });
        if result.is_err() && !self.data.is_autocommit() {
            self.execute("ROLLBACK")?;
        }
        result
    }

    /// A transaction for each write; a row whose transaction is rolled back is refused alone.
    fn singly(&self, work: &[(&Write, usize)]) -> Result<Vec<Written>, Failure> {
        let mut written = Vec::with_capacity(work.len());
        for one in work {
            match self.transaction(std::slice::from_ref(one)) {
                Ok(mut outcome) => written.append(&mut outcome),
                Err(Failure::RolledBack(error)) => {
                    let refusal = failure::of_row(self.system, self.resource, &error);
                    written.push(Written::Rejected(refusal.ok_or(Failure::Sql(error))?));
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(written)
    }

    /// One write.
    fn one(&self, write: &Write, shape: usize) -> Result<Written, Failure> {
        let Some(shape) = self.shapes.get(shape) else { return Ok(Written::Missing) };
        if let Some((field, _)) = write.set.iter().find(|(_, v)| matches!(v, Value::Float(float) if !float.is_finite()))
        {
            return Ok(self.refused("not_finite", "a number to write is not finite", field));
        }
        let old = match self.before(write, shape)? {
            Before::Missing => return Ok(Written::Missing),
            Before::Ours => return Ok(Written::Delivered { old: None }),
            Before::Changed => return Ok(Written::Superseded),
            Before::Unreadable => {
                let field = shape.older.as_deref().unwrap_or_default();
                return Ok(self.refused("time_unreadable", "the field to compare holds no point in time", field));
            }
            Before::Ready(old) => old,
        };
        self.execute("SAVEPOINT one")?;
        let values = write.set.iter().map(|(_, value)| value).chain(&write.key).map(Bound);
        let updated = self
            .data
            .prepare_cached(&shape.update)
            .and_then(|mut statement| statement.execute(params_from_iter(values)));
        match updated {
            Ok(1) => {
                self.execute("RELEASE one")?;
                Ok(Written::Delivered { old: Some(old) })
            }
            Ok(rows) => {
                self.execute("ROLLBACK TO one")?;
                self.execute("RELEASE one")?;
                let field = shape.set.first().map_or("", String::as_str);
                Ok(if rows == 0 {
                    self.refused("write_ignored", "a trigger of the system ignored the write", field)
                } else {
                    self.refused("key_not_unique", "more than one row has this key", field)
                })
            }
            Err(error) if self.data.is_autocommit() => Err(Failure::RolledBack(error)),
            Err(error) => {
                let refusal = failure::of_row(self.system, self.resource, &error).ok_or(Failure::Sql(error))?;
                self.execute("ROLLBACK TO one")?;
                self.execute("RELEASE one")?;
                Ok(Written::Rejected(refusal))
            }
        }
    }

    /// Looks at the row under the transaction's lock.
    fn before(&self, write: &Write, shape: &Shape) -> rusqlite::Result<Before> {
        let mut statement = self.data.prepare_cached(&shape.select)?;
        let values = write.set.iter().map(|(_, value)| value).chain(&write.key).map(Bound);
        let mut rows = statement.query(params_from_iter(values))?;
        let Some(row) = rows.next()? else { return Ok(Before::Missing) };
        if row.get(0)? {
            return Ok(Before::Ours);
        }
        let mut at = 1;
        for ((_, expected), kind) in write.expect.iter().zip(&shape.expect_kinds) {
            if !value::same(expected, &value::convert(*kind, row.get_ref(at)?)) {
                return Ok(Before::Changed);
            }
            at += 1;
        }
        let mut old = Vec::with_capacity(shape.set_kinds.len());
        for kind in &shape.set_kinds {
            old.push(value::convert(*kind, row.get_ref(at)?));
            at += 1;
        }
        match &write.older {
            Some((_, limit)) => Ok(match older(row.get_ref(at)?, *limit) {
                Some(true) => Before::Ready(old),
                Some(false) => Before::Changed,
                None => Before::Unreadable,
            }),
            None => Ok(Before::Ready(old)),
        }
    }

    fn refused(&self, code: &'static str, message: &'static str, field: &str) -> Written {
        Written::Rejected(
            Error::new(ErrorKind::Invalid, code, message)
                .with("system", self.system)
                .with("resource", self.resource)
                .with("field", field),
        )
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.data.prepare_cached(sql)?.execute([]).map(|_| ())
    }
}

/// Whether a stored time is null or before the limit; `None` when it is no time.
fn older(stored: rusqlite::types::ValueRef<'_>, limit: Timestamp) -> Option<bool> {
    match stored {
        rusqlite::types::ValueRef::Null => Some(true),
        rusqlite::types::ValueRef::Text(text) => value::time(text).map(|time| time < limit),
        _ => None,
    }
}
