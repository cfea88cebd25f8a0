//! JSON Schema in words, for cells of tables: types, what a value keeps to, and the fields of an object one below the other.

use serde_json::Value;

use crate::docs::schema::one_line;

/// The schemas of the document, which become headings.
const SCHEMAS: &str = "#/components/schemas/";

/// A table of an object's fields, those inside of it by their way: `model.name`, `reasons[].text`. `None`: it names no field.
pub(super) fn fields(schema: &Value) -> Option<String> {
    let mut rows = String::new();
    below(&mut rows, "", schema);
    (!rows.is_empty()).then(|| format!("| field | type | required | meaning |\n|---|---|---|---|\n{rows}"))
}

fn below(rows: &mut String, before: &str, schema: &Value) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let way = format!("{before}{name}");
        let needed = if required.contains(&name.as_str()) { "yes" } else { "" };
        rows.push_str(&format!("| `{way}` | {} | {needed} | {} |\n", kind(field), line(&field["description"])));
        let each = &field["items"];
        below(rows, &format!("{way}."), field);
        below(rows, &format!("{way}[]."), each);
        // What may be null, or of another shape, is described beside it.
        for (choices, way) in [(&field["anyOf"], format!("{way}.")), (&each["anyOf"], format!("{way}[]."))] {
            choices.as_array().into_iter().flatten().for_each(|choice| below(rows, &way, choice));
        }
    }
}

/// The type of a value, and what it keeps to.
pub(super) fn kind(schema: &Value) -> String {
    let mut words = named(schema);
    let limits = limits(schema);
    if !limits.is_empty() {
        words.push_str(&format!(", {limits}"));
    }
    words
}

fn named(schema: &Value) -> String {
    if let Some(way) = schema["$ref"].as_str() {
        return reference(way);
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[key].as_array() {
            return join(choices.iter().map(kind));
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        return join(values.iter().map(code));
    }
    match &schema["type"] {
        Value::Array(kinds) => join(kinds.iter().filter_map(Value::as_str).map(|kind| one(kind, schema))),
        Value::String(kind) => one(kind, schema),
        _ => "any".to_owned(),
    }
}

fn one(kind: &str, schema: &Value) -> String {
    match kind {
        "array" => format!("list of {}", self::kind(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("names to {}", self::kind(&schema["additionalProperties"]))
        }
        "string" => match schema["format"].as_str() {
            Some("date-time") => "time".to_owned(),
            Some("uri" | "uri-reference") => "address".to_owned(),
            Some(format) => format.to_owned(),
            None => "text".to_owned(),
        },
        "integer" => "whole number".to_owned(),
        kind => kind.to_owned(),
    }
}

/// A link to the heading of a schema, or of the one that a part of is meant.
fn reference(way: &str) -> String {
    let name = way.strip_prefix(SCHEMAS).unwrap_or(way);
    let (name, part) = name.split_once('/').map_or((name, None), |(name, rest)| (name, rest.rsplit('/').next()));
    let link = format!("[{name}](#{})", name.to_lowercase());
    part.map_or_else(|| link.clone(), |part| format!("`{part}` of {link}"))
}

fn limits(schema: &Value) -> String {
    let number = |name: &str| schema[name].as_f64().map(|_| schema[name].to_string());
    // Every whole number has 64 bits; that says nothing about this one.
    let own = |name: &str| number(name).filter(|text| *text != i64::MIN.to_string() && *text != i64::MAX.to_string());
    let mut said = Vec::new();
    said.extend(range(own("minimum"), own("maximum"), ""));
    said.extend(range(number("minLength").filter(|least| least != "0"), number("maxLength"), " characters"));
    said.extend(schema["pattern"].as_str().map(|pattern| format!("like `{}`", pattern.replace('|', "\\|"))));
    said.extend(schema.get("default").map(|value| format!("default {}", code(value))));
    said.join(", ")
}

fn range(least: Option<String>, most: Option<String>, unit: &str) -> Option<String> {
    match (least, most) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
        // A text that has to be there says so by being required.
        (Some(least), None) if unit.is_empty() => Some(format!("{least} or more")),
        (None, Some(most)) => Some(format!("up to {most}{unit}")),
        _ => None,
    }
}

fn code(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

fn join(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(" or ")
}

/// A description in one line that can stand in a table.
pub(super) fn line(text: &Value) -> String {
    one_line(text.as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_are_told_in_words() {
        for (schema, words) in [
            (json!({ "$ref": "#/components/schemas/Decision" }), "[Decision](#decision)"),
            (json!({ "$ref": "#/components/schemas/Models/properties/models" }), "`models` of [Models](#models)"),
            (json!({ "enum": ["ok", null] }), "`ok` or null"),
            (
                json!({ "type": ["integer", "null"], "minimum": i64::MIN, "maximum": 120 }),
                "whole number or null, up to 120",
            ),
            (json!({ "type": "string", "format": "uuid" }), "uuid"),
            (
                json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^a|b$" }),
                "text, 1 to 255 characters, like `^a\\|b$`",
            ),
            (json!({ "type": "string", "minLength": 1 }), "text"),
            (json!({ "type": "boolean", "default": false }), "boolean, default `false`"),
            (json!({ "type": "array", "items": { "type": "number" } }), "list of number"),
            (json!({ "type": "object", "additionalProperties": { "type": "string" } }), "names to text"),
            (json!({ "anyOf": [{ "$ref": "#/components/schemas/A" }, { "type": "null" }] }), "[A](#a) or null"),
            (json!({}), "any"),
        ] {
            assert_eq!(kind(&schema), words, "{schema}");
        }
    }

    #[test]
    fn fields_stand_below_those_that_hold_them() {
        let schema = json!({ "required": ["a"], "properties": {
            "a": { "type": "string", "description": "The\n  first | one." },
            "b": { "type": "array", "items": { "type": "object", "required": ["c"], "properties": { "c": { "type": "number" } } } },
            "d": { "anyOf": [{ "type": "object", "properties": { "e": {} } }, { "type": "null" }] },
            "f": { "type": "array", "items": { "anyOf": [{ "$ref": "#/components/schemas/A" }, { "type": "object", "properties": { "g": {} } }] } } } });
        let table = fields(&schema).unwrap_or_default();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| `a` | text | yes | The first \\| one. |",
                "| `b` | list of object |  |  |",
                "| `b[].c` | number | yes |  |",
                "| `d` | object or null |  |  |",
                "| `d.e` | any |  |  |",
                "| `f` | list of [A](#a) or object |  |  |",
                "| `f[].g` | any |  |  |",
            ]
        );
        assert_eq!(fields(&json!({ "type": "string" })), None);
    }
}
