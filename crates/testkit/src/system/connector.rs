//! The fake system behind the kernel's socket.

use futures_util::future::BoxFuture;
use tendon_kernel::{
    error::{Error, ErrorKind, Result},
    schema::{Catalog, Resource},
    sockets::connector::{Capability, Change, Connector, Position, Row, Scan, Watch, WriteBatch, Written},
    value::Value,
};

use super::{
    FakeSystem, State,
    faults::print,
    table::{Key, StoredRow, Table, order},
};
use crate::lock;

/// Takes a call off the count when it ends, also when it is abandoned.
struct UnderWay<'a>(&'a FakeSystem);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).weather.at_once -= 1;
    }
}

fn forbidden(resource: &str, field: &str) -> Error {
    Error::new(ErrorKind::Forbidden, "field_not_allowed", "a field is not named in the system's read or write list")
        .with("resource", resource)
        .with("field", field)
        .hint("add it to the system's `read` or `write` in tendon.yaml")
}

fn no_table(resource: &str) -> Error {
    Error::new(ErrorKind::NotFound, "no_such_resource", "the system has no such resource").with("resource", resource)
}

impl FakeSystem {
    /// A call: takes its time, may fail, runs on the state.
    async fn call<T>(&self, writes: bool, prints: Vec<u64>, run: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let time = {
            let mut state = lock(&self.state);
            state.attempt(&prints);
            state.arrive()
        };
        let _under_way = UnderWay(self);
        if !time.is_zero() {
            self.context.clock.sleep(time).await;
        }
        let now = self.context.clock.monotonic();
        let mut state = lock(&self.state);
        if let Some(error) = state.fails(now, writes) {
            return Err(error);
        }
        let value = run(&mut state)?;
        if writes && let Some(error) = state.loses() {
            return Err(error);
        }
        state.well(&prints);
        Ok(value)
    }

    fn may_read<'a>(&self, resource: &str, fields: impl IntoIterator<Item = &'a String>) -> Result<()> {
        let allowed = self.allowed.read.get(resource).map_or(&[][..], Vec::as_slice);
        match fields.into_iter().find(|field| !allowed.contains(field)) {
            Some(field) => Err(forbidden(resource, field)),
            None => Ok(()),
        }
    }

    fn may_write(&self, batch: &WriteBatch) -> Result<()> {
        let resource = batch.resource.as_str();
        let writable = self.allowed.write.get(resource).map_or(&[][..], Vec::as_slice);
        for write in &batch.writes {
            if let Some((field, _)) = write.set.iter().find(|(field, _)| !writable.contains(field)) {
                return Err(forbidden(resource, field));
            }
            let compared =
                write.expect.iter().map(|(field, _)| field).chain(write.older.iter().map(|(field, _)| field));
            self.may_read(resource, compared.filter(|field| !writable.contains(field)))?;
        }
        self.may_read(resource, &batch.key)
    }
}

impl State {
    fn find(&self, resource: &str, key: &[String]) -> Result<&Table> {
        let table = self.tables.get(resource).ok_or_else(|| no_table(resource))?;
        if table.key == key {
            return Ok(table);
        }
        Err(Error::new(ErrorKind::Invalid, "not_the_key", "these fields are not the resource's key")
            .with("resource", resource))
    }
}

fn row_of(table: &Table, row: &StoredRow, fields: &[String]) -> Row {
    Row { key: table.key_of(row), values: Table::values(row, fields) }
}

/// Rows after a position, in (mark, key) order.
fn changes(table: &Table, watch: &Watch) -> Vec<Change> {
    let mark_of =
        |row: &StoredRow| Table::values(row, std::slice::from_ref(&watch.watermark)).pop().unwrap_or_default();
    let Position { mark: after, key: seen } = &watch.after;
    let seen = Key(seen.clone());
    let mut found: Vec<(Value, &Key, &StoredRow)> = table
        .rows
        .iter()
        .map(|(key, row)| (mark_of(row), key, row))
        .filter(|(mark, key, _)| {
            !mark.is_null() && (after.is_null() || order(mark, after).then(key.cmp(&&seen)).is_gt())
        })
        .collect();
    found.sort_by(|one, two| order(&one.0, &two.0).then(one.1.cmp(two.1)));
    found.truncate(watch.limit);
    found.into_iter().map(|(mark, _, row)| Change { mark, row: row_of(table, row, &watch.fields) }).collect()
}

impl Connector for FakeSystem {
    fn capability(&self) -> Capability {
        Capability { catalog: true, read_by_key: true, scan: true, watch: true, write: true }
    }

    fn catalog(&self) -> BoxFuture<'_, Result<Catalog>> {
        Box::pin(self.call(false, Vec::new(), |state| {
            let tables = state.tables.iter();
            let resource = |(name, table): (&String, &Table)| Resource {
                name: name.clone(),
                key: table.key.clone(),
                schema: table.schema.clone(),
            };
            Ok(Catalog { resources: tables.map(resource).collect(), ..Catalog::default() })
        }))
    }

    fn probe(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.call(false, Vec::new(), |_| Ok(())))
    }

    fn read<'a>(
        &'a self,
        resource: &'a str,
        key: &'a [String],
        fields: &'a [String],
        keys: &'a [Vec<Value>],
    ) -> BoxFuture<'a, Result<Vec<Row>>> {
        Box::pin(async move {
            self.may_read(resource, key.iter().chain(fields))?;
            let prints = vec![print(&("read", resource, fields, keys))];
            self.call(false, prints, |state| {
                let table = state.find(resource, key)?;
                let rows = keys.iter().filter_map(|key| table.rows.get(&Key(key.clone())));
                Ok(rows.map(|row| row_of(table, row, fields)).collect())
            })
            .await
        })
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<Row>>> {
        Box::pin(async move {
            self.may_read(&scan.resource, scan.key.iter().chain(&scan.fields))?;
            let prints = vec![print(&("scan", &scan.resource, &scan.fields, &scan.after))];
            self.call(false, prints, |state| {
                let table = state.find(&scan.resource, &scan.key)?;
                let after = Key(scan.after.clone());
                let rows = table.rows.iter().filter(|(key, _)| after.0.is_empty() || **key > after).take(scan.limit);
                Ok(rows.map(|(_, row)| row_of(table, row, &scan.fields)).collect())
            })
            .await
        })
    }

    fn watch(&self, watch: Watch) -> BoxFuture<'_, Result<Vec<Change>>> {
        Box::pin(async move {
            self.may_read(&watch.resource, watch.key.iter().chain(&watch.fields).chain([&watch.watermark]))?;
            let prints = vec![print(&("watch", &watch.resource, &watch.fields))];
            self.call(false, prints, |state| Ok(changes(state.find(&watch.resource, &watch.key)?, &watch))).await
        })
    }

    fn write(&self, batch: WriteBatch) -> BoxFuture<'_, Result<Vec<Written>>> {
        Box::pin(async move {
            self.may_write(&batch)?;
            let now = self.now();
            let prints = batch.writes.iter().map(|write| print(&(&batch.resource, &write.key, &write.set))).collect();
            self.call(true, prints, |state| {
                state.find(&batch.resource, &batch.key)?;
                let refused: Vec<bool> = batch.writes.iter().map(|_| state.refuses()).collect();
                let table = state.tables.get_mut(&batch.resource).ok_or_else(|| no_table(&batch.resource))?;
                let writes = batch.writes.iter().zip(refused);
                Ok(writes.map(|(write, refuse)| table.write(write, now, refuse)).collect())
            })
            .await
        })
    }
}
