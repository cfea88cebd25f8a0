//! What the worker thread owns: the folder, what is known about each file, and open files at the places where scans stand.

use std::{cmp::Ordering, collections::BTreeMap, io, ops::Bound, path::PathBuf};

use tendon_kernel::{
    Error, ErrorKind, Result, Type, Value,
    schema::{Catalog, Field, Resource, Schema},
    sockets::connector::{Row, Scan},
};

use super::{
    ROW,
    folder::{self, Place, State},
    infer::{self, Guesses},
    record::{self, Record, Records},
};
use crate::{guard::Guard, settings};

/// See the module.
pub(super) struct Session {
    guard: Guard,
    folder: PathBuf,
    delimiter: u8,
    keys: BTreeMap<String, Vec<String>>,
    known: BTreeMap<String, Known>,
}

/// What is known about one state of a file.
struct Known {
    state: State,
    resource: Resource,
    /// Open where the last scan stopped.
    records: Records,
    /// Number of the record before that place.
    after: u64,
    /// Where the row with a key begins; made on first use.
    index: Option<BTreeMap<Key, record::Place>>,
}

/// A key in the order of its values.
#[derive(Clone, Debug, PartialEq)]
struct Key(Vec<Value>);

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let parts = self.0.iter().zip(&other.0).map(|(left, right)| order(left, right));
        parts.fold(Ordering::Equal, Ordering::then).then(self.0.len().cmp(&other.0.len()))
    }
}

fn order(left: &Value, right: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::Float(_) => 2,
        Value::Time(_) => 3,
        Value::Text(_) => 4,
    };
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        (Value::Time(left), Value::Time(right)) => left.cmp(right),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        _ => rank(left).cmp(&rank(right)).then_with(|| match (left.number(), right.number()) {
            (Some(left), Some(right)) => left.total_cmp(&right),
            _ => Ordering::Equal,
        }),
    }
}

/// A field that is asked for, and which cell holds it.
type Column = (Field, Option<usize>);

impl Session {
    pub(super) fn new(guard: Guard, folder: PathBuf, delimiter: u8, keys: BTreeMap<String, Vec<String>>) -> Self {
        Self { guard, folder, delimiter, keys, known: BTreeMap::new() }
    }

    /// The resources now in the folder.
    pub(super) fn names(&self) -> Result<BTreeMap<String, Place>> {
        folder::list(&self.guard.system, &self.folder)
    }

    /// All resources. A file whose header cannot be used is left out with a warning; using it tells the error.
    pub(super) fn catalog(&mut self) -> Result<Catalog> {
        let mut resources = Vec::new();
        for (name, place) in self.names()? {
            match self.know(&name, &place) {
                Ok(known) => resources.push(known.resource.clone()),
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
                Err(error) => tracing::warn!(resource = name, %error, "left out of the catalog"),
            }
        }
        Ok(Catalog { resources, ..Catalog::default() })
    }

    /// Rows with these keys.
    pub(super) fn read(
        &mut self,
        resource: &str,
        key: &[String],
        fields: &[String],
        keys: &[Vec<Value>],
    ) -> Result<Vec<Row>> {
        let system = self.guard.system.clone();
        let known = self.resource(resource)?;
        let (key, fields) = (known.columns(&system, key)?, known.columns(&system, fields)?);
        known.check_key(&system, &key)?;
        if known.resource.key == [ROW] {
            return Err(Error::new(ErrorKind::Unsupported, "no_key", "the resource has no key to read by")
                .with("system", &system)
                .with("resource", resource)
                .hint("declare its key in the settings of the system"));
        }
        for values in keys {
            known.check_length(&system, values)?;
        }
        known.make_index(&system)?;
        let mut wanted: Vec<Key> = keys.iter().cloned().map(Key).collect();
        wanted.sort();
        wanted.dedup();
        let index = known.index.as_ref();
        let places: Vec<_> = wanted.iter().filter_map(|key| index?.get(key).copied()).collect();
        known.at_places(&system, &places, &key, &fields)
    }

    /// The next rows in the order of the file, or of the declared key.
    pub(super) fn scan(&mut self, scan: &Scan) -> Result<Vec<Row>> {
        let system = self.guard.system.clone();
        let known = self.resource(&scan.resource)?;
        let (key, fields) = (known.columns(&system, &scan.key)?, known.columns(&system, &scan.fields)?);
        known.check_key(&system, &key)?;
        if !scan.after.is_empty() {
            known.check_length(&system, &scan.after)?;
        }
        if known.resource.key == [ROW] {
            return known.in_order(&system, &scan.after, scan.limit, &fields);
        }
        known.make_index(&system)?;
        let from = if scan.after.is_empty() { Bound::Unbounded } else { Bound::Excluded(Key(scan.after.clone())) };
        let range = known.index.iter().flat_map(|index| index.range((from.clone(), Bound::Unbounded)));
        let places: Vec<_> = range.take(scan.limit).map(|(_, place)| *place).collect();
        known.at_places(&system, &places, &key, &fields)
    }

    fn resource(&mut self, name: &str) -> Result<&mut Known> {
        let places = self.names()?;
        let Some(place) = places.get(name) else {
            let names: Vec<&str> = places.keys().map(String::as_str).filter(|name| self.guard.knows(name)).collect();
            return Err(Error::new(ErrorKind::NotFound, "resource_unknown", "the folder has no such file")
                .with("system", &self.guard.system)
                .with("resource", name)
                .hint(settings::suggestion(name, &names)));
        };
        self.know(name, place)
    }

    /// What is known about a file, looking at it when it is new or has changed.
    fn know(&mut self, name: &str, place: &Place) -> Result<&mut Known> {
        let current = self.known.get(name).is_some_and(|known| known.state == place.state);
        if !current {
            let known = self.look(name, place)?;
            self.known.insert(name.to_owned(), known);
        }
        self.known
            .get_mut(name)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "file_forgotten", "a file was forgotten"))
    }

    fn look(&self, name: &str, place: &Place) -> Result<Known> {
        let system = &self.guard.system;
        let failed = |error: io::Error| folder::unreachable(system, &error);
        let wrong = |code, message: String| {
            Error::new(ErrorKind::Invalid, code, message).with("system", system).with("resource", name)
        };
        let open = || {
            let opened = Records::open(&place.path, place.format, self.delimiter).map_err(failed)?;
            opened.map_err(|what| wrong("header_wrong", format!("the header of the file cannot be used: {what}")))
        };
        let mut sample = open()?;
        let mut guesses = Guesses::new(&sample.header);
        let mut count = 0;
        while count < infer::SAMPLE
            && let Some((_, found)) = sample.next().map_err(failed)?
        {
            // A malformed record tells nothing about types; the scan will tell about it.
            if let Ok(record) = found {
                guesses.see(&record);
                count += 1;
            }
        }
        let mut fields = guesses.fields(count);
        let key = if let Some(key) = self.keys.get(name) {
            key.clone()
        } else {
            let mut row = Field::new(ROW, Type::Int);
            row.required = true;
            row.about = Some("number of the record in the file, from 1".to_owned());
            fields.insert(0, row);
            vec![ROW.to_owned()]
        };
        let resource = Resource { name: name.to_owned(), key, schema: Schema::new(fields) };
        Ok(Known { state: place.state, resource, records: open()?, after: 0, index: None })
    }
}

impl Known {
    fn columns(&self, system: &str, names: &[String]) -> Result<Vec<Column>> {
        let column = |name: &String| {
            let field = self.resource.schema.field(name).ok_or_else(|| {
                let known: Vec<&str> = self.resource.schema.fields.iter().map(|field| field.name.as_ref()).collect();
                Error::new(ErrorKind::NotFound, "field_unknown", "the resource has no such field")
                    .with("system", system)
                    .with("resource", &self.resource.name)
                    .with("field", name)
                    .hint(settings::suggestion(name, &known))
            })?;
            Ok((field.clone(), self.records.header.iter().position(|header| header == name)))
        };
        names.iter().map(column).collect()
    }

    fn check_key(&self, system: &str, key: &[Column]) -> Result<()> {
        if key.iter().map(|(field, _)| field.name.as_ref()).eq(self.resource.key.iter().map(String::as_str)) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Config, "key_not_unique", "the key is not the one that tells rows apart")
            .with("system", system)
            .with("resource", &self.resource.name)
            .hint(format!("use {}, or declare the key in the settings of the system", self.resource.key.join(", "))))
    }

    fn check_length(&self, system: &str, values: &[Value]) -> Result<()> {
        if values.len() == self.resource.key.len() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Invalid, "key_wrong", "a key has another number of values than the resource's key")
            .with("system", system)
            .with("resource", &self.resource.name))
    }

    /// The error of one record.
    fn malformed(&self, system: &str, place: record::Place, what: &str) -> Error {
        Error::new(ErrorKind::Invalid, "row_malformed", format!("a row of the file is not well formed: {what}"))
            .with("system", system)
            .with("resource", &self.resource.name)
            .with("line", place.line)
            .with("row", place.row)
            .hint("mend the file, or go on after this row")
    }

    /// The values of some fields of a record.
    fn values(&self, system: &str, place: record::Place, record: &Record, columns: &[Column]) -> Result<Vec<Value>> {
        let one = |(field, at): &Column| {
            if field.name.as_ref() == ROW {
                return Ok(Value::Int(i64::try_from(place.row).unwrap_or(i64::MAX)));
            }
            infer::value(field, *at, record).ok_or_else(|| {
                let pointer = format!("/{}", field.name.replace('~', "~0").replace('/', "~1"));
                self.malformed(system, place, "a field holds a list or an object").at(pointer)
            })
        };
        columns.iter().map(one).collect()
    }

    /// Rows in the order of the file, after a row's number.
    fn in_order(&mut self, system: &str, after: &[Value], limit: usize, fields: &[Column]) -> Result<Vec<Row>> {
        let failed = |error: io::Error| folder::unreachable(system, &error);
        let after = match after {
            [] => 0,
            [Value::Int(row)] => u64::try_from(*row).unwrap_or(0),
            _ => return Err(self.not_a_row(system)),
        };
        if after < self.after {
            self.records.rewind().map_err(failed)?;
            self.after = 0;
        }
        let mut rows = Vec::new();
        while rows.len() < limit {
            let Some((place, found)) = self.records.next().map_err(failed)? else { break };
            if place.row <= after {
                self.after = place.row;
                continue;
            }
            let values = match found {
                Ok(record) => self.values(system, place, &record, fields),
                Err(what) => Err(self.malformed(system, place, &what)),
            };
            match values {
                Ok(values) => {
                    rows.push(Row { key: vec![Value::Int(i64::try_from(place.row).unwrap_or(i64::MAX))], values })
                }
                Err(error) if rows.is_empty() => {
                    self.after = place.row;
                    return Err(error);
                }
                Err(_) => {
                    // The page ends before the row at fault; the next one begins with it.
                    self.records.seek(place).map_err(failed)?;
                    break;
                }
            }
            self.after = place.row;
        }
        Ok(rows)
    }

    fn not_a_row(&self, system: &str) -> Error {
        Error::new(ErrorKind::Invalid, "key_wrong", "the key is no row number")
            .with("system", system)
            .with("resource", &self.resource.name)
    }

    /// Finds out where each key is.
    fn make_index(&mut self, system: &str) -> Result<()> {
        if self.index.is_some() {
            return Ok(());
        }
        let failed = |error: io::Error| folder::unreachable(system, &error);
        let key = self.columns(system, &self.resource.key.clone())?;
        self.records.rewind().map_err(failed)?;
        let mut index = BTreeMap::new();
        while let Some((place, found)) = self.records.next().map_err(failed)? {
            let record = found.map_err(|what| self.malformed(system, place, &what))?;
            let values = self.values(system, place, &record, &key)?;
            if values.iter().any(Value::is_null) {
                return Err(self.malformed(system, place, "its key is empty"));
            }
            if index.insert(Key(values), place).is_some() {
                return Err(self.malformed(system, place, "another row has the same key"));
            }
        }
        self.index = Some(index);
        Ok(())
    }

    /// Rows at places.
    fn at_places(
        &mut self,
        system: &str,
        places: &[record::Place],
        key: &[Column],
        fields: &[Column],
    ) -> Result<Vec<Row>> {
        let failed = |error: io::Error| folder::unreachable(system, &error);
        let mut rows = Vec::with_capacity(places.len());
        for place in places {
            self.records.seek(*place).map_err(failed)?;
            let Some((place, found)) = self.records.next().map_err(failed)? else { continue };
            // The file was whole when the index was made; this is a change under our hands.
            let record = found.map_err(|what| self.malformed(system, place, &what))?;
            let key = self.values(system, place, &record, key)?;
            rows.push(Row { key, values: self.values(system, place, &record, fields)? });
        }
        Ok(rows)
    }
}
