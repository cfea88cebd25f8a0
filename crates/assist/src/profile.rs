//! What a table holds, from a sample of its rows: what is missing, what repeats, which field is likely the key, which one
//! grows with each change, which ones likely are personal. A profile can be printed: it shows no value of a personal field.

use std::collections::BTreeSet;

use tendon_kernel::{Type, Value, schema::Resource, sockets::connector::Row};

use crate::{
    names::words,
    personal::{self, Personal},
};

/// Different texts remembered per field; a field with more is no category.
const TEXTS: usize = 200;

/// What is known of one field.
#[derive(Clone, Debug, serde::Serialize)]
pub struct FieldProfile {
    /// Its name.
    pub name: String,
    /// Its type, as the catalog tells.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Share of the rows without a value.
    pub missing: f64,
    /// Share of different values among those that are there.
    pub distinct: f64,
    /// Smallest and largest number; not for personal fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<(f64, f64)>,
    /// First and last point in time; not for personal fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<(String, String)>,
    /// What personal data it likely holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personal: Option<Personal>,
    /// Whether it likely grows with each change of its row.
    pub watermark: bool,
    /// Whether it is the key, or likely could be.
    pub key: bool,
    /// The sampled values, for matching only; never printed.
    #[serde(skip)]
    pub(crate) seen: Seen,
}

/// Values of a field. Has no `Debug` that shows them: they may be personal.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) numbers: Vec<f64>,
    /// Texts (also of whole numbers and truth values), with how often each came; `None`: too many to be a category.
    pub(crate) texts: Option<Vec<(String, usize)>>,
    /// Share of the texts that read as a number.
    pub(crate) numeric_texts: f64,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seen({} numbers)", self.numbers.len())
    }
}

/// What is known of a resource.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ResourceProfile {
    /// Its name.
    pub name: String,
    /// Rows looked at.
    pub rows: usize,
    /// Its key, as the catalog tells, or a single field that likely is one; empty: none found.
    pub key: Vec<String>,
    /// Whether the key is only likely.
    pub key_guessed: bool,
    /// The field that likely grows with each change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<String>,
    /// Its fields.
    pub fields: Vec<FieldProfile>,
}

impl ResourceProfile {
    /// A field by name.
    pub fn field(&self, name: &str) -> Option<&FieldProfile> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// Makes the profile; the rows hold the values of all fields in the order of the resource's schema.
pub fn profile(resource: &Resource, rows: &[Row]) -> ResourceProfile {
    let mut fields: Vec<FieldProfile> = Vec::new();
    for (at, field) in resource.schema.fields.iter().enumerate() {
        let values: Vec<&Value> = rows.iter().filter_map(|row| row.values.get(at)).collect();
        fields.push(field_profile(&field.name, field.kind, &values));
    }
    let guessed = resource.key.is_empty();
    let key = if guessed { likely_key(&resource.name, &fields, rows.len()) } else { resource.key.clone() };
    let watermark = likely_watermark(&fields);
    for field in &mut fields {
        field.key = key.contains(&field.name);
        field.watermark = watermark.as_ref() == Some(&field.name);
    }
    ResourceProfile {
        name: resource.name.clone(),
        rows: rows.len(),
        key_guessed: guessed && !key.is_empty(),
        key,
        watermark,
        fields,
    }
}

#[expect(clippy::cast_precision_loss, reason = "shares of at most some thousand rows")]
fn field_profile(name: &str, kind: Type, values: &[&Value]) -> FieldProfile {
    let there: Vec<&Value> = values.iter().copied().filter(|value| !value.is_null()).collect();
    let share = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let different: BTreeSet<String> = there.iter().map(|value| value.to_string()).collect();
    let numbers: Vec<f64> =
        there.iter().filter_map(|value| value.number()).filter(|number| number.is_finite()).collect();
    let mut times: Vec<_> =
        there.iter().filter_map(|value| if let Value::Time(time) = value { Some(*time) } else { None }).collect();
    times.sort_unstable();
    let personal = personal::guess(name, there.iter().copied()).or_else(|| birth_dates(&times));
    let open = personal.is_none();
    let bounds = numbers.iter().fold(None, |bounds: Option<(f64, f64)>, number| {
        Some(bounds.map_or((*number, *number), |(least, most)| (least.min(*number), most.max(*number))))
    });
    let read_as_numbers = there
        .iter()
        .filter(|value| value.as_text().is_some_and(|text| text.trim().parse::<f64>().is_ok_and(f64::is_finite)));
    FieldProfile {
        name: name.to_owned(),
        kind,
        missing: share(values.len() - there.len(), values.len()),
        distinct: share(different.len(), there.len()),
        range: bounds.filter(|_| open && kind != Type::Bool),
        span: times
            .first()
            .zip(times.last())
            .filter(|_| open)
            .map(|(first, last)| (first.to_string(), last.to_string())),
        personal,
        watermark: false,
        key: false,
        seen: Seen {
            numeric_texts: share(read_as_numbers.count(), there.len()),
            numbers,
            texts: counted(&there, different),
        },
    }
}

/// Texts with how often each came, while they are few enough to be a category.
fn counted(values: &[&Value], different: BTreeSet<String>) -> Option<Vec<(String, usize)>> {
    let countable = values.iter().all(|value| matches!(value.kind(), Some(Type::Text | Type::Int | Type::Bool)));
    if !countable || different.len() > TEXTS {
        return None;
    }
    let times = |text: &String| values.iter().filter(|value| value.to_string() == *text).count();
    Some(different.iter().map(|text| (text.clone(), times(text))).collect())
}

/// Days long past, spread over decades: nobody's orders are like that, but birthdays are.
fn birth_dates(times: &[tendon_kernel::Timestamp]) -> Option<Personal> {
    const DAY: i64 = 86_400_000_000;
    let (first, last) = (times.first()?, times.last()?);
    let whole_days = times.iter().all(|time| time.0.rem_euclid(DAY) == 0);
    let decades = last.0.saturating_sub(first.0) > 20 * 365 * DAY;
    (times.len() >= 20 && whole_days && decades).then_some(Personal::BirthDate)
}

fn likely_key(resource: &str, fields: &[FieldProfile], rows: usize) -> Vec<String> {
    if rows < 2 {
        return Vec::new();
    }
    let unique = |field: &&FieldProfile| {
        field.missing == 0.0 && field.distinct >= 1.0 && matches!(field.kind, Type::Int | Type::Text)
    };
    let score = |field: &FieldProfile| {
        let words = words(&field.name);
        let named = words.iter().any(|word| matches!(word.as_str(), "id" | "key" | "uuid" | "number" | "no" | "nr"));
        let own = words.iter().any(|word| resource.to_lowercase().trim_end_matches('s') == word);
        (u8::from(named), u8::from(own))
    };
    let best = fields.iter().filter(unique).filter(|field| score(field).0 > 0).max_by_key(|field| score(field));
    best.map(|field| field.name.clone()).into_iter().collect()
}

fn likely_watermark(fields: &[FieldProfile]) -> Option<String> {
    let score = |field: &FieldProfile| {
        let words = words(&field.name);
        let has = |any: &[&str]| words.iter().any(|word| any.contains(&word.as_str()));
        let changed =
            has(&["updated", "update", "upd", "modified", "modification", "mod", "changed", "change", "touched"]);
        match field.kind {
            Type::Time if changed => 3,
            Type::Int if has(&["version", "rowversion", "revision", "lsn"]) => 2,
            Type::Time if has(&["last", "synced", "timestamp", "ts"]) && field.missing == 0.0 => 1,
            _ => 0,
        }
    };
    let best =
        fields.iter().filter(|field| score(field) > 0 && field.personal.is_none()).max_by_key(|field| score(field))?;
    Some(best.name.clone())
}

#[cfg(test)]
mod tests {
    use tendon_kernel::schema::{Field, Schema};

    use super::*;

    fn table() -> (Resource, Vec<Row>) {
        let fields = [
            ("lead_id", Type::Int),
            ("email", Type::Text),
            ("balance", Type::Float),
            ("job", Type::Text),
            ("modified_on", Type::Time),
        ];
        let schema = Schema::new(fields.iter().map(|(name, kind)| Field::new(name, *kind)).collect());
        let rows = (0..40).map(|id| Row {
            key: vec![Value::Int(id)],
            values: vec![
                Value::Int(id),
                Value::text(&format!("p{id}@example.org")),
                if id % 4 == 0 { Value::Null } else { Value::Float(f64::from(i32::try_from(id).unwrap()) * 10.0) },
                Value::text(["clerk", "nurse"][usize::try_from(id).unwrap() % 2]),
                Value::Time(tendon_kernel::Timestamp(id * 1_000_000)),
            ],
        });
        (Resource { name: "leads".into(), key: Vec::new(), schema }, rows.collect())
    }

    #[test]
    fn a_table_is_known_by_a_sample() {
        let (resource, rows) = table();
        let found = profile(&resource, &rows);
        assert_eq!((found.key.as_slice(), found.key_guessed), (&["lead_id".to_owned()][..], true));
        assert_eq!(found.watermark.as_deref(), Some("modified_on"));
        let balance = found.field("balance").unwrap();
        assert_eq!((balance.missing, balance.range), (0.25, Some((10.0, 390.0))));
        assert_eq!(found.field("email").unwrap().personal, Some(Personal::Email));
        assert_eq!(found.field("job").unwrap().distinct, 0.05);
    }

    #[test]
    fn what_is_printed_holds_no_personal_value() {
        let (mut resource, rows) = table();
        resource.schema.fields[2].name = "phone".into();
        let found = profile(&resource, &rows);
        let printed = format!("{found:?}");
        assert!(!printed.contains("example.org") && !printed.contains("390"), "{printed}");
    }

    #[test]
    fn an_empty_table_has_a_profile_too() {
        let (resource, _) = table();
        let found = profile(&resource, &[]);
        assert_eq!((found.rows, found.key.len()), (0, 0));
        assert!(found.fields.iter().all(|field| field.missing == 0.0));
    }
}
