//! The resource most behaviours use, and short ways to build requests.

use tendon_kernel::{
    Timestamp, Type, Value,
    schema::{Field, Resource, Schema},
    sockets::connector::{Allowed, Position, Scan, Watch, Write, WriteBatch},
};

/// A table of leads as a CRM might have it.
pub(crate) fn leads() -> Resource {
    let fields = [
        ("id", Type::Int),
        ("name", Type::Text),
        ("age", Type::Int),
        ("balance", Type::Float),
        ("active", Type::Bool),
        ("updated_at", Type::Time),
        ("score", Type::Float),
        ("band", Type::Text),
        ("scored_at", Type::Time),
        ("secret", Type::Text),
    ];
    let mut schema = Schema::new(fields.iter().map(|(name, kind)| Field::new(name, *kind)).collect());
    schema.fields[0].required = true;
    schema.fields[1].required = true;
    Resource { name: "leads".to_owned(), key: names(&["id"]), schema }
}

/// What a plan would allow on it.
pub(crate) fn allowed() -> Allowed {
    let read = names(&["id", "name", "age", "balance", "active", "updated_at"]);
    let write = names(&["score", "band", "scored_at"]);
    Allowed { read: [("leads".to_owned(), read)].into(), write: [("leads".to_owned(), write)].into() }
}

/// A row of leads, without a score.
pub(crate) fn lead(id: i64, mark: Option<i64>) -> Vec<Value> {
    vec![
        Value::Int(id),
        Value::text(&format!("lead {id}")),
        if id % 3 == 0 { Value::Null } else { Value::Int(20 + id % 50) },
        #[expect(clippy::cast_precision_loss, reason = "ids in tests are small")]
        Value::Float(id as f64 + 0.25),
        Value::Bool(id % 2 == 0),
        mark.map_or(Value::Null, at),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::text("hush"),
    ]
}

/// Leads with these ids, each updated at its own second.
pub(crate) fn leads_with(ids: impl IntoIterator<Item = i64>) -> Vec<Vec<Value>> {
    ids.into_iter().map(|id| lead(id, Some(id))).collect()
}

/// A time some seconds after a fixed moment.
pub(crate) fn at(seconds: i64) -> Value {
    Value::Time(time(seconds))
}

/// A time some seconds after a fixed moment.
pub(crate) fn time(seconds: i64) -> Timestamp {
    Timestamp(1_779_012_000_000_000 + seconds * 1_000_000)
}

/// Owned names.
pub(crate) fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A scan of the leads' names.
pub(crate) fn scan(after: Vec<Value>, limit: usize) -> Scan {
    Scan { resource: "leads".to_owned(), key: names(&["id"]), fields: names(&["name"]), after, limit }
}

/// A watch of the leads' names.
pub(crate) fn watch(after: Position, limit: usize) -> Watch {
    Watch {
        resource: "leads".to_owned(),
        key: names(&["id"]),
        watermark: "updated_at".to_owned(),
        fields: names(&["name"]),
        after,
        limit,
    }
}

/// Where a watch starts.
pub(crate) fn start() -> Position {
    Position { mark: Value::Null, key: Vec::new() }
}

/// A write of a score to a lead that is as `lead` made it.
pub(crate) fn score(id: i64, score: f64, seconds: i64) -> Write {
    let row = lead(id, Some(id));
    Write {
        key: vec![Value::Int(id)],
        set: vec![
            ("score".to_owned(), Value::Float(score)),
            ("band".to_owned(), Value::text("green")),
            ("scored_at".to_owned(), at(seconds)),
        ],
        expect: vec![
            ("name".to_owned(), row[1].clone()),
            ("age".to_owned(), row[2].clone()),
            ("balance".to_owned(), row[3].clone()),
            ("active".to_owned(), row[4].clone()),
        ],
        older: Some(("scored_at".to_owned(), time(seconds))),
    }
}

/// A batch of writes to the leads.
pub(crate) fn batch(writes: Vec<Write>) -> WriteBatch {
    WriteBatch { resource: "leads".to_owned(), key: names(&["id"]), writes }
}
