//! Checks a tree against the JSON Schema of its raw type, and takes out what is wrong, so that everything else can still
//! be read and checked: all findings come at once. The structs of `raw` are the only description of the shape.

use serde_json::{Map, Value as Json};

use super::{Entry, Kind, Node, Plain, word};
use crate::{
    finding::{Findings, Mark},
    nearest::nearest,
};

/// Checks and prunes. `schema` is a whole document with `$defs`.
pub(crate) fn check_shape(node: &mut Node, schema: &Json, findings: &mut Findings) {
    let mut shape = Shape { root: schema, findings };
    if !shape.fit(node, schema, "the file") {
        node.kind = Kind::Map(Vec::new());
    }
}

struct Shape<'a> {
    root: &'a Json,
    findings: &'a mut Findings,
}

impl<'a> Shape<'a> {
    fn resolve(&self, schema: &'a Json) -> &'a Json {
        let target = schema.get("$ref").and_then(Json::as_str).and_then(|path| path.strip_prefix('#'));
        target.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }

    /// Whether the node has the schema's shape at its own level; what is wrong below is reported and taken out.
    fn fit(&mut self, node: &mut Node, schema: &'a Json, name: &str) -> bool {
        let schema = self.resolve(schema);
        if node.is_nothing() {
            let allowed = self.allowed(schema);
            let message = format!("{name} has no value: give it one or leave it out");
            self.findings.add(node.mark, "no_value", message, |finding| finding.allow(allowed));
            return false;
        }
        let choices = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array);
        if let Some(choices) = choices {
            return self.choose(node, choices, name);
        }
        if !self.type_fits(node, schema) {
            let message = format!("{name} is {}", node.describe());
            let allowed = self.allowed(schema);
            self.findings.add(node.mark, "wrong_type", message, |finding| finding.allow(allowed));
            return false;
        }
        if !self.word_fits(node, schema, name) {
            return false;
        }
        match &mut node.kind {
            Kind::Map(entries) => self.entries(node.mark, entries, schema, name),
            Kind::List(items) => {
                if let Some(of) = schema.get("items") {
                    let name = format!("an item of {name}");
                    items.retain_mut(|item| self.fit(item, of, &name));
                }
            }
            Kind::Scalar(_) => {}
        }
        true
    }

    /// One of several shapes: the first whose type fits is the one that was meant.
    fn choose(&mut self, node: &mut Node, choices: &'a [Json], name: &str) -> bool {
        let words: Vec<&str> =
            choices.iter().filter_map(|choice| self.resolve(choice).get("const")?.as_str()).collect();
        if words.len() == choices.len() {
            return self.word(node, &words, name);
        }
        let fitting = choices.iter().find(|choice| {
            let choice = self.resolve(choice);
            self.type_fits(node, choice)
        });
        if let Some(choice) = fitting {
            return self.fit(node, choice, name);
        }
        let allowed: Vec<String> = choices.iter().map(|choice| self.allowed(choice)).collect();
        let message = format!("{name} is {}", node.describe());
        self.findings.add(node.mark, "wrong_type", message, |finding| finding.allow(allowed.join(" or ")));
        false
    }

    fn type_fits(&self, node: &Node, schema: &'a Json) -> bool {
        if let Some(choices) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array) {
            return choices.iter().any(|choice| self.type_fits(node, self.resolve(choice)));
        }
        let types: Vec<&str> = match schema.get("type") {
            Some(Json::String(one)) => vec![one],
            Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
            _ if schema.get("const").is_some() || schema.get("enum").is_some() => vec!["string"],
            _ => return true,
        };
        let has = |name: &str| types.contains(&name);
        match &node.kind {
            Kind::List(_) => has("array"),
            Kind::Map(_) => has("object"),
            Kind::Scalar(scalar) => match scalar.meaning() {
                Plain::Null => false,
                Plain::Bool(_) => has("boolean"),
                Plain::Int(value) => {
                    let least = schema.get("minimum").and_then(Json::as_f64);
                    has("number") || (has("integer") && least.is_none_or(|least| super::as_f64(value) >= least))
                }
                Plain::Float(_) => has("number"),
                Plain::Text => has("string"),
            },
        }
    }

    fn allowed(&self, schema: &'a Json) -> String {
        let schema = self.resolve(schema);
        if let Some(words) = schema.get("enum").and_then(Json::as_array) {
            return words.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", ");
        }
        if let Some(word) = schema.get("const").and_then(Json::as_str) {
            return word.to_owned();
        }
        if let Some(choices) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array) {
            let texts: Vec<String> = choices.iter().map(|choice| self.allowed(choice)).collect();
            return texts.join(" or ");
        }
        let types = match schema.get("type") {
            Some(Json::String(one)) => vec![one.as_str()],
            Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
            _ => return String::new(),
        };
        let least = schema.get("minimum").and_then(Json::as_f64);
        let words = types.iter().map(|name| match *name {
            "string" => "a text (in quotes if it looks like a number)".to_owned(),
            "integer" => least.map_or("a whole number".to_owned(), |least| format!("a whole number from {least} up")),
            "number" => "a number".to_owned(),
            "boolean" => "true or false".to_owned(),
            "array" => "a list".to_owned(),
            _ => "a mapping".to_owned(),
        });
        words.collect::<Vec<_>>().join(" or ")
    }

    /// Enumerations and formats of scalars.
    fn word_fits(&mut self, node: &Node, schema: &'a Json, name: &str) -> bool {
        let Kind::Scalar(scalar) = &node.kind else { return true };
        if let Some(words) = schema.get("enum").and_then(Json::as_array) {
            let words: Vec<&str> = words.iter().filter_map(Json::as_str).collect();
            return self.word(node, &words, name);
        }
        if schema.get("format").and_then(Json::as_str) == Some(crate::raw::DURATION)
            && crate::raw::parse_duration(&scalar.text).is_none()
        {
            let message = format!("{name} is no duration: {}", scalar.text);
            let allowed = "a number and a unit: 250ms, 30s, 10m, 2h, 90d";
            self.findings.add(node.mark, "bad_duration", message, |finding| finding.allow(allowed));
            return false;
        }
        if schema.get("format").and_then(Json::as_str) == Some(crate::raw::SIZE)
            && crate::raw::parse_size(&scalar.text).is_none()
        {
            let message = format!("{name} is no size: {}", scalar.text);
            let allowed = "a number and a unit: 512KiB, 64MiB, 2GiB";
            self.findings.add(node.mark, "bad_size", message, |finding| finding.allow(allowed));
            return false;
        }
        true
    }

    fn word(&mut self, node: &Node, words: &[&str], name: &str) -> bool {
        let text = match &node.kind {
            Kind::Scalar(scalar) => scalar.text.clone(),
            _ => node.describe(),
        };
        if words.contains(&text.as_str()) {
            return true;
        }
        let suggestion = nearest(&text, words.iter().copied());
        let message = format!("{name} cannot be {text}");
        self.findings
            .add(node.mark, "unknown_value", message, |finding| finding.allow(words.join(", ")).suggest(suggestion));
        false
    }

    fn entries(&mut self, mark: Mark, entries: &mut Vec<Entry>, schema: &'a Json, name: &str) {
        let properties = schema.get("properties").and_then(Json::as_object);
        let more = schema.get("additionalProperties");
        let mut kept = Vec::new();
        // Keys that are there, also those taken out, and those that were meant by a slip: none of them is missing.
        let mut present: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        for mut entry in std::mem::take(entries) {
            let of = properties.and_then(|known| known.get(&entry.key)).or(more.filter(|more| more.is_object()));
            match of {
                Some(of) => {
                    let key = word(&entry.key);
                    if self.fit(&mut entry.value, of, &key) {
                        kept.push(entry);
                    }
                }
                None if more == Some(&Json::Bool(false)) => {
                    present.extend(self.unknown_key(&entry, properties, name).map(str::to_owned));
                }
                None => kept.push(entry),
            }
        }
        *entries = kept;
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
        for key in required {
            if !present.iter().any(|present| present == key) {
                let about = properties
                    .and_then(|known| known.get(key))
                    .and_then(|of| of.get("description"))
                    .and_then(Json::as_str)
                    .unwrap_or("");
                let about = about.split("\n").next().unwrap_or("").to_owned();
                let message = format!("{name} has no {key}");
                let allowed = if about.is_empty() { String::new() } else { format!("{key}: {about}") };
                self.findings.add(mark, "missing_key", message, |finding| finding.allow(allowed));
            }
        }
    }

    /// Reports a key; gives the one that was probably meant.
    fn unknown_key<'p>(
        &mut self,
        entry: &Entry,
        properties: Option<&'p Map<String, Json>>,
        name: &str,
    ) -> Option<&'p str> {
        let keys: Vec<&str> = properties.into_iter().flat_map(Map::keys).map(String::as_str).collect();
        let suggestion = nearest(&entry.key, keys.iter().copied());
        let message = format!("{name} has no key {}", word(&entry.key));
        self.findings
            .add(entry.mark, "unknown_key", message, |finding| finding.allow(keys.join(", ")).suggest(suggestion));
        suggestion
    }
}
