//! A bounded look at a table's rows, through the same socket that the watch uses.

use std::{collections::BTreeMap, time::Duration};

use tendon_kernel::{
    Error, ErrorKind,
    schema::Resource,
    sockets::connector::{Allowed, Row, Scan},
};

use super::Connection;
use crate::failure::Failure;

/// Rows of one request.
const PAGE: usize = 500;
/// Longest wait for one page.
const WAIT: Duration = Duration::from_secs(20);

/// Up to `most` rows in key order, with the values of all fields in the order of the schema.
///
/// # Errors
/// When the system does not give them; a resource without any key is scanned by its first field, if the system can.
pub(crate) async fn sample(connection: &Connection, resource: &Resource, most: usize) -> Result<Vec<Row>, Failure> {
    let fields: Vec<String> = resource.schema.fields.iter().map(|field| field.name.to_string()).collect();
    let key = if resource.key.is_empty() { fields.iter().take(1).cloned().collect() } else { resource.key.clone() };
    let read = BTreeMap::from([(resource.name.clone(), fields.clone())]);
    let connector = connection.connector(Allowed { read, write: BTreeMap::new() })?;
    let mut rows: Vec<Row> = Vec::new();
    while rows.len() < most {
        let scan = Scan {
            resource: resource.name.clone(),
            key: key.clone(),
            fields: fields.clone(),
            after: rows.last().map(|row| row.key.clone()).unwrap_or_default(),
            limit: PAGE.min(most - rows.len()),
        };
        let page =
            tokio::time::timeout(WAIT, connector.scan(scan)).await.map_err(|_| slow(&connection.name, resource))??;
        if page.is_empty() {
            break;
        }
        rows.extend(page);
    }
    Ok(rows)
}

fn slow(system: &str, resource: &Resource) -> Error {
    Error::new(ErrorKind::Timeout, "sample_slow", "reading a sample of the rows took too long")
        .with("system", system)
        .with("resource", &resource.name)
        .with("seconds waited", WAIT.as_secs())
        .hint("look at fewer rows with --sample, or at one resource with --resource")
}
