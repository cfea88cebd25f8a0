//! A table of the fake system: rows by key, the trigger, conditional writes.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use tendon_kernel::{
    error::{Error, ErrorKind},
    schema::Schema,
    sockets::connector::{Write, Written},
    time::Timestamp,
    value::Value,
};

use super::Fields;

/// The field that a trigger sets on every write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its name (`updated_at`).
    pub field: String,
    /// Marks are rounded down to so many microseconds: larger values make equal marks. At least 1.
    pub grain: i64,
    /// The trigger's clock minus ours, in microseconds.
    pub skew: i64,
}

impl Mark {
    /// A mark with microseconds and without skew.
    pub fn new(field: &str) -> Self {
        Self { field: field.to_owned(), grain: 1, skew: 0 }
    }
}

/// Values in the order in which databases sort them: null first, then by type, then by value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key(pub(super) Vec<Value>);

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let pairs = self.0.iter().zip(&other.0).map(|(one, two)| order(one, two));
        pairs.fold(Ordering::Equal, Ordering::then).then(self.0.len().cmp(&other.0.len()))
    }
}

/// Order of two values.
pub(super) fn order(one: &Value, two: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::Float(_) => 2,
        Value::Time(_) => 3,
        Value::Text(_) => 4,
    };
    match (one, two) {
        (Value::Int(one), Value::Int(two)) => one.cmp(two),
        (Value::Text(one), Value::Text(two)) => one.cmp(two),
        (Value::Time(one), Value::Time(two)) => one.cmp(two),
        (Value::Bool(one), Value::Bool(two)) => one.cmp(two),
        _ => rank(one).cmp(&rank(two)).then_with(|| match (one.number(), two.number()) {
            (Some(one), Some(two)) => one.total_cmp(&two),
            _ => Ordering::Equal,
        }),
    }
}

pub(super) struct StoredRow {
    pub(super) fields: Fields,
}

pub(super) struct Table {
    pub(super) key: Vec<String>,
    pub(super) schema: Schema,
    pub(super) mark: Option<Mark>,
    pub(super) rows: BTreeMap<Key, StoredRow>,
    pub(super) written: BTreeMap<Key, u64>,
    pub(super) history: Vec<Fields>,
    pub(super) refused: BTreeSet<Key>,
}

fn of(fields: &Fields, name: &str) -> Value {
    fields.get(name).cloned().unwrap_or_default()
}

impl Table {
    pub(super) fn new(key: Vec<String>, schema: Schema, mark: Option<Mark>) -> Self {
        let (rows, written, history, refused) = Default::default();
        Self { key, schema, mark, rows, written, history, refused }
    }

    /// The trigger.
    pub(super) fn touch(&self, fields: &mut Fields, now: Timestamp) {
        if let Some(mark) = &self.mark {
            let grain = mark.grain.max(1);
            let at = now.plus_micros(mark.skew).0;
            fields.insert(mark.field.clone(), Value::Time(Timestamp(at - at.rem_euclid(grain))));
        }
    }

    /// Writes a row, whole or in part.
    pub(super) fn store(&mut self, fields: Fields) {
        for (name, value) in &fields {
            let Some(field) = self.schema.field(name) else { panic!("the fake table has no field {name}") };
            let fits = value.kind().is_none_or(|kind| kind == field.kind);
            assert!(fits, "the fake table's field {name} holds {}, not {:?}", field.kind, value.kind());
        }
        let key = Key(self.key.iter().map(|name| of(&fields, name)).collect());
        assert!(!key.0.iter().any(Value::is_null), "a row of a fake table needs its whole key");
        let row = self.rows.entry(key).or_insert_with(|| StoredRow { fields: Fields::new() });
        row.fields.extend(fields);
    }

    pub(super) fn key_of(&self, row: &StoredRow) -> Vec<Value> {
        self.key.iter().map(|name| of(&row.fields, name)).collect()
    }

    /// The values of these fields; missing ones are null.
    pub(super) fn values(row: &StoredRow, names: &[String]) -> Vec<Value> {
        names.iter().map(|name| of(&row.fields, name)).collect()
    }

    /// One conditional write, as the kernel's `Write` and `Written` describe it.
    pub(super) fn write(&mut self, write: &Write, now: Timestamp, refuse: bool) -> Written {
        let key = Key(write.key.clone());
        let Some(row) = self.rows.get(&key) else { return Written::Missing };
        if refuse || self.refused.contains(&key) {
            let refused = Error::new(ErrorKind::Invalid, "row_refused", "the system refused a row");
            return Written::Rejected(refused);
        }
        let old: Vec<Value> = write.set.iter().map(|(name, _)| of(&row.fields, name)).collect();
        let as_read = write.expect.iter().all(|(name, value)| of(&row.fields, name) == *value);
        let older = write.older.as_ref().is_none_or(|(name, than)| match of(&row.fields, name) {
            Value::Null => true,
            Value::Time(time) => time < *than,
            _ => false,
        });
        if !as_read || !older {
            let ours = write.set.iter().zip(&old).all(|((_, new), old)| new == old);
            return if ours { Written::Delivered { old: None } } else { Written::Superseded };
        }
        let mut fields: Fields = write.set.iter().cloned().collect();
        self.touch(&mut fields, now);
        if let Some(row) = self.rows.get_mut(&key) {
            row.fields.extend(fields);
            self.history.push(row.fields.clone());
        }
        *self.written.entry(key).or_default() += 1;
        Written::Delivered { old: Some(old) }
    }
}
