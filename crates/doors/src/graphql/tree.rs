//! Answers an operation from JSON: a field of the schema is the member of the same name in the project's own spelling
//! (`lastFailure` is `last_failure`).

use apollo_compiler::{
    Name,
    resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue},
    schema::{ExtendedType, Type},
};
use serde_json::{Map, Value};

/// An object of some type.
struct Node<'a> {
    kind: &'a Name,
    members: &'a Map<String, Value>,
}

impl ObjectValue for Node<'_> {
    fn type_name(&self) -> &str {
        self.kind
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> Result<ResolvedValue<'a>, FieldError> {
        let value = self.members.get(&snake(info.field_name()));
        Ok(value.map_or_else(ResolvedValue::null, |value| resolved(info, &info.field_definition().ty, value)))
    }
}

/// A JSON value as what a field of this type gives.
pub(super) fn resolved<'a>(info: &'a ResolveInfo<'a>, kind: &'a Type, value: &'a Value) -> ResolvedValue<'a> {
    match (value, kind) {
        (Value::Null, _) => ResolvedValue::null(),
        (Value::Array(list), Type::List(item) | Type::NonNullList(item)) => {
            ResolvedValue::list(list.iter().map(move |value| resolved(info, item, value)))
        }
        (_, Type::Named(kind) | Type::NonNullNamed(kind)) => match (info.schema().types.get(kind), value) {
            (Some(ExtendedType::Object(_)), Value::Object(members)) => ResolvedValue::object(Node { kind, members }),
            // A whole number is a number, too.
            _ if *kind == "Float" => value.as_f64().map_or_else(ResolvedValue::null, ResolvedValue::leaf),
            _ => ResolvedValue::leaf(value.clone()),
        },
        (_, Type::List(_) | Type::NonNullList(_)) => ResolvedValue::leaf(value.clone()),
    }
}

/// `lastFailure` as `last_failure`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}
