//! JSON Schemas of the configuration, derived from the raw structs: for editors, for the reference, and for our own check.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use tendon_kernel::sockets::connector::ConnectorKind;

use crate::raw::{IntegrationRaw, ProjectRaw};

/// JSON Schema (2020-12) of `tendon.yaml`. Settings of connector kinds are left open; see [`editor_schema`].
pub fn json_schema_project() -> Value {
    schema::<ProjectRaw>()
}

/// JSON Schema (2020-12) of `integrations/*.yaml`.
pub fn json_schema_integration() -> Value {
    schema::<IntegrationRaw>()
}

/// Both schemas by file pattern, with the settings of each connector kind: what `tendon check --schema` prints.
pub fn editor_schema(kinds: &[&ConnectorKind]) -> Value {
    let mut project = json_schema_project();
    let mut kinds = kinds.to_vec();
    kinds.sort_by_key(|kind| kind.name);
    if let Some(system) = project.pointer_mut("/$defs/SystemRaw").and_then(Value::as_object_mut) {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
        if let Some(kind) = system.get_mut("properties").and_then(|properties| properties.get_mut("kind")) {
            kind["enum"] = json!(names);
        }
        system.insert("allOf".to_owned(), kinds.iter().map(|kind| settings(kind)).collect());
        system.insert("unevaluatedProperties".to_owned(), false.into());
    }
    json!({ "tendon.yaml": project, "integrations/*.yaml": json_schema_integration() })
}

/// The settings of one kind, where `kind` names it. Its own `$id` keeps its `$ref`s its own.
fn settings(kind: &ConnectorKind) -> Value {
    let mut schema = (kind.schema)();
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("$schema");
        schema.remove("additionalProperties");
        schema.insert("$id".to_owned(), format!("tendon:kind:{}", kind.name).into());
    }
    json!({ "if": { "properties": { "kind": { "const": kind.name } } }, "then": schema })
}

fn schema<T: schemars::JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value();
    without_null(&mut schema);
    schema
}

/// Takes `null` out: an optional key is left out, never written without a value.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(object) => {
            object.retain(|key, value| !(key == "default" && value.is_null()));
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    object.insert("type".to_owned(), one);
                }
            }
            flatten_choice(object);
            object.values_mut().for_each(without_null);
        }
        _ => {}
    }
}

/// `anyOf: [X, null]` → `X`.
fn flatten_choice(object: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else { return };
    choices.retain(|choice| choice != &json!({ "type": "null" }));
    if let [Value::Object(one)] = choices.as_slice() {
        let one = one.clone();
        object.remove("anyOf");
        one.into_iter().for_each(|(key, value)| {
            object.entry(key).or_insert(value);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key must say what it is: the schema is the reference.
    fn undescribed(schema: &Value, path: &str, found: &mut Vec<String>) {
        let Some(object) = schema.as_object() else { return };
        for (name, property) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if property.get("description").and_then(Value::as_str).is_none_or(str::is_empty) {
                found.push(format!("{path}/{name}"));
            }
        }
        for (name, definition) in object.get("$defs").and_then(Value::as_object).into_iter().flatten() {
            undescribed(definition, name, found);
        }
    }

    #[test]
    fn every_key_is_described_and_none_takes_null() {
        let mut found = Vec::new();
        for schema in [json_schema_project(), json_schema_integration()] {
            undescribed(&schema, "", &mut found);
            assert!(!schema.to_string().contains("\"null\""), "{schema:#}");
        }
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn unknown_keys_are_refused_everywhere_but_in_settings() {
        for schema in [json_schema_project(), json_schema_integration()] {
            for (name, definition) in schema["$defs"].as_object().unwrap() {
                let open = definition.get("type") == Some(&json!("object"))
                    && definition.get("additionalProperties") != Some(&json!(false));
                assert_eq!(open, name == "SystemRaw", "{name}");
            }
        }
    }
}
