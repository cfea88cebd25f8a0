//! Tables as a server database tells them: columns with the kernel's types, keys, and what cannot be used and why.

use std::collections::BTreeMap;

use tendon_kernel::{
    Error, ErrorKind, Result, Type, Value,
    schema::{Field, Resource, Schema},
};

use super::value::{bound, convert};

/// A column that can be used.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Type,
    /// The database's own type with its length or precision, as a cast writes it.
    pub(crate) native: String,
    /// Whether a value may change when it is stored (fewer digits, padding): compared in the stored form then.
    pub(crate) rounds: bool,
    pub(crate) required: bool,
    /// The database computes it.
    pub(crate) generated: bool,
    /// Texts that may stand there, where the type lists them.
    pub(crate) values: Vec<String>,
    pub(crate) max_length: Option<usize>,
    /// Whether a value can be told exactly from every other, so that it can be part of a key.
    pub(crate) exact: bool,
    /// Whether a text may hold a NUL.
    pub(crate) nul: bool,
    /// For a time without a zone: how far it is ahead of UTC, in microseconds. The settings say it, the dialect gives zero.
    pub(crate) ahead: Option<i64>,
}

impl Column {
    /// A text of the database as a value.
    pub(crate) fn read(&self, text: Option<&str>) -> Value {
        match (convert(self.kind, text), self.ahead) {
            (Value::Time(time), Some(ahead)) => Value::Time(time.plus_micros(-ahead)),
            (value, _) => value,
        }
    }

    /// A value as the text that a parameter carries.
    ///
    /// # Errors
    /// `Invalid`: a number that is not finite, or with a fraction where only whole ones have a place.
    pub(crate) fn text(&self, value: &Value) -> Result<Option<String>> {
        match (value, self.kind, self.ahead) {
            (Value::Time(time), Type::Time, Some(ahead)) => bound(&Value::Time(time.plus_micros(ahead))),
            (Value::Float(number), Type::Int, _) if number.is_finite() && number.fract() != 0.0 => {
                let message = "the field takes whole numbers, and this one has a fraction";
                Err(Error::new(ErrorKind::Invalid, "number_not_whole", message).with("field", &self.name))
            }
            _ => bound(value),
        }
    }
}

/// A table or view.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) view: bool,
    pub(crate) columns: Vec<Column>,
    /// Columns of types that are not used, with the reason.
    pub(crate) refused: BTreeMap<String, String>,
    /// Unique keys, the primary one first; all columns required.
    pub(crate) keys: Vec<Vec<String>>,
    /// Why it cannot be written, where it cannot.
    pub(crate) closed: Option<&'static str>,
}

impl Table {
    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The table's own key.
    pub(crate) fn key(&self) -> &[String] {
        self.keys.first().map_or(&[], Vec::as_slice)
    }

    /// Whether these columns, in any order, tell rows apart: they hold all columns of a unique key. A view has no keys of
    /// its own: there the plan's word counts.
    pub(crate) fn tells_apart(&self, key: &[String]) -> bool {
        let known = |name: &String| self.column(name).is_some_and(|column| column.exact);
        !key.is_empty()
            && key.iter().all(known)
            && (self.view || self.keys.iter().any(|unique| unique.iter().all(|name| key.contains(name))))
    }

    /// As the catalog tells it.
    pub(crate) fn resource(&self) -> Resource {
        let field = |column: &Column| {
            let mut field = Field::new(&column.name, column.kind);
            field.required = column.required;
            field.values = column.values.iter().map(|value| value.as_str().into()).collect();
            field.max_length = column.max_length;
            field
        };
        Resource {
            name: self.name.clone(),
            key: self.key().to_vec(),
            schema: Schema::new(self.columns.iter().map(field).collect()),
        }
    }
}
