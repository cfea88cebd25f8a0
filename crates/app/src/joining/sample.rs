//! A bounded look at a table's rows, through the same socket that the watch uses.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tendon_kernel::{
    Error, ErrorKind, Type, Value,
    schema::Resource,
    sockets::connector::{Allowed, Connector, Row, Scan},
};

use super::Connection;
use crate::failure::Failure;

/// Rows of one request.
const PAGE: usize = 500;
/// Longest wait for one page.
const WAIT: Duration = Duration::from_secs(20);

/// Places in a table from which rows are read, where its key tells them.
const PLACES: i64 = 10;

/// Up to `most` rows with the values of all fields in the order of the schema: from ten places spread over the keys where the
/// key is a whole number, else the first ones. What came first is seldom like what comes now.
///
/// # Errors
/// When the system does not give them; a resource without any key is scanned by its first field, if the system can.
pub(crate) async fn sample(connection: &Connection, resource: &Resource, most: usize) -> Result<Vec<Row>, Failure> {
    let fields: Vec<String> = resource.schema.fields.iter().map(|field| field.name.to_string()).collect();
    let key = if resource.key.is_empty() { fields.iter().take(1).cloned().collect() } else { resource.key.clone() };
    let mut read = BTreeMap::from([(resource.name.clone(), fields.clone())]);
    read.entry(resource.name.clone()).or_default().extend(key.iter().filter(|name| !fields.contains(name)).cloned());
    let connector = connection.connector(Allowed { read, write: BTreeMap::new() })?;
    let table = Table { connection, connector, resource, key, fields };
    let mut rows = Vec::new();
    let Some((first, last)) = table.ends().await? else {
        table.read(&mut rows, Vec::new(), most).await?;
        return Ok(rows);
    };
    let step = last.saturating_sub(first) / PLACES;
    for place in 0..PLACES {
        // After the place before the one meant: `after` leaves its own row out.
        let from = first.saturating_add(step.saturating_mul(place)).saturating_sub(1);
        let after = rows.last().map_or(from, |row: &Row| whole(row).map_or(from, |seen| seen.max(from)));
        let left = usize::try_from(PLACES - place).unwrap_or(1);
        let share = (most - rows.len()).div_ceil(left);
        table.read(&mut rows, vec![Value::Int(after)], share).await?;
    }
    Ok(rows)
}

/// A table that is looked at.
struct Table<'a> {
    connection: &'a Connection,
    connector: Arc<dyn Connector>,
    resource: &'a Resource,
    key: Vec<String>,
    fields: Vec<String>,
}

impl Table<'_> {
    async fn scan(&self, fields: &[String], after: Vec<Value>, limit: usize) -> Result<Vec<Row>, Failure> {
        let scan =
            Scan { resource: self.resource.name.clone(), key: self.key.clone(), fields: fields.to_vec(), after, limit };
        let page = tokio::time::timeout(WAIT, self.connector.scan(scan)).await;
        Ok(page.map_err(|_| slow(&self.connection.name, self.resource))??)
    }

    /// Reads on after a key.
    async fn read(&self, rows: &mut Vec<Row>, mut after: Vec<Value>, most: usize) -> Result<(), Failure> {
        let mut left = most;
        while left > 0 {
            let page = self.scan(&self.fields, after, PAGE.min(left)).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.key.clone();
            left -= page.len().min(left);
            rows.extend(page);
        }
        Ok(())
    }

    /// The first and about the last key, where it is one whole number; found by halving, a row at a time.
    async fn ends(&self) -> Result<Option<(i64, i64)>, Failure> {
        let key: Vec<String> = self.key.clone();
        let number = |name: &String| self.resource.schema.field(name).is_some_and(|field| field.kind == Type::Int);
        if key.len() != 1 || !key.iter().all(number) {
            return Ok(None);
        }
        let Some(first) = self.scan(&key, Vec::new(), 1).await?.first().and_then(whole) else { return Ok(None) };
        let (mut known, mut beyond) = (first, None);
        let mut step = 1024_i64;
        loop {
            let probe = match beyond {
                None => known.saturating_add(step),
                // Near enough: it only has to tell where about the end is.
                Some(end) if end - known <= (end - first) / 64 + 1 => return Ok(Some((first, known))),
                Some(end) => known + (end - known) / 2,
            };
            match self.scan(&key, vec![Value::Int(probe)], 1).await?.first().and_then(whole) {
                Some(found) => known = found,
                None => beyond = Some(probe),
            }
            if known == i64::MAX || probe == i64::MAX {
                return Ok(Some((first, known)));
            }
            step = step.saturating_mul(4);
        }
    }
}

fn whole(row: &Row) -> Option<i64> {
    match row.key.as_slice() {
        [Value::Int(number)] => Some(*number),
        _ => None,
    }
}

fn slow(system: &str, resource: &Resource) -> Error {
    Error::new(ErrorKind::Timeout, "sample_slow", "reading a sample of the rows took too long")
        .with("system", system)
        .with("resource", &resource.name)
        .with("seconds waited", WAIT.as_secs())
        .hint("look at fewer rows with --sample, or at one resource with --resource")
}
