//! Schemas: the contract of a record. Validation, OpenAPI, the lint of mappings and forms are all derived from them.

use std::{collections::BTreeMap, sync::Arc};

use crate::value::Type;

/// One field of a schema with its rules.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Field {
    /// Name as the system or caller spells it.
    pub name: Arc<str>,
    /// Type of its values.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Whether a value must be there (not null).
    #[serde(default)]
    pub required: bool,
    /// Smallest and largest allowed number, both inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(f64, f64)>,
    /// Allowed texts; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Arc<str>>,
    /// Regular expression that a text must match as a whole (RE2 syntax).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Longest allowed text in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// Unit of the number (`EUR`, `days`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Whether the value is personal data: never shown in errors, logs or lists.
    #[serde(default)]
    pub personal: bool,
    /// One sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

impl Field {
    /// A field without rules.
    pub fn new(name: &str, kind: Type) -> Self {
        Self {
            name: Arc::from(name),
            kind,
            required: false,
            range: None,
            values: Vec::new(),
            pattern: None,
            max_length: None,
            unit: None,
            personal: false,
            about: None,
        }
    }
}

/// An ordered list of fields with unique names.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Schema {
    /// The fields in order; a record's values follow it.
    pub fields: Vec<Field>,
}

impl Schema {
    /// A schema of these fields.
    pub fn new(fields: Vec<Field>) -> Self {
        Self { fields }
    }

    /// Position of a field. Linear: schemas are short, and hot code resolves positions once.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name.as_ref() == name)
    }

    /// A field by name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name.as_ref() == name)
    }
}

/// A table, object, topic or file of a system, as its catalog tells it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Resource {
    /// Name in the system.
    pub name: String,
    /// Fields that form the unique key; empty when it has none.
    pub key: Vec<String>,
    /// All fields the login can see.
    pub schema: Schema,
}

/// What a system holds: a fact that a plan is checked against.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Catalog {
    /// Resources by name, sorted.
    pub resources: Vec<Resource>,
    /// Fields whose type cannot be used, by resource, each with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, BTreeMap<String, String>>,
    /// What the login may do, where the system can be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privileges: Option<Privileges>,
}

/// What a login may do in a system.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Privileges {
    /// Rights on fields: resource, then right (`SELECT`, `UPDATE`, …), then the fields.
    pub fields: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// Rights on whole resources (`DELETE`); the resource `""` is the system itself (`SUPERUSER`).
    pub whole: BTreeMap<String, Vec<String>>,
}

impl Privileges {
    /// Notes a right on a field, or on the whole resource.
    pub fn add(&mut self, resource: &str, field: Option<&str>, right: &str) {
        match field {
            Some(field) => {
                let rights = self.fields.entry(resource.to_owned()).or_default();
                rights.entry(right.to_owned()).or_default().push(field.to_owned());
            }
            None => self.whole.entry(resource.to_owned()).or_default().push(right.to_owned()),
        }
    }
}

impl Catalog {
    /// A resource by name.
    pub fn resource(&self, name: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.name == name)
    }
}
