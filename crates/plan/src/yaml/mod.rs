//! YAML with places: text → tree of nodes that know line and column → checked against the shape → typed.

mod de;
mod parse;
mod shape;
mod typed;

pub(crate) use de::from_node;
pub(crate) use parse::parse;
pub(crate) use shape::check_shape;
pub(crate) use typed::{At, Ordered};

use crate::finding::Mark;

/// A node of the document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Where it starts.
    pub(crate) mark: Mark,
    /// What it is.
    pub(crate) kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A text, number, bool or null.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the document.
    Map(Vec<Entry>),
}

/// A scalar with its exact text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scalar {
    /// The text.
    pub(crate) text: String,
    /// Not quoted: null, bools and numbers are recognised.
    pub(crate) plain: bool,
    /// Characters between the node's start and the text (1 for quotes); `None` when lines do not match (blocks).
    pub(crate) lead: Option<usize>,
}

/// An entry of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Key.
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) mark: Mark,
    /// Value.
    pub(crate) value: Node,
}

/// A scalar's meaning by the YAML core schema.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Plain {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
}

impl Scalar {
    /// What it means.
    pub(crate) fn meaning(&self) -> Plain {
        if !self.plain {
            return Plain::Text;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
            "true" | "True" | "TRUE" => return Plain::Bool(true),
            "false" | "False" | "FALSE" => return Plain::Bool(false),
            _ => {}
        }
        let numeric = self.text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
            && self.text.contains(|c: char| c.is_ascii_digit());
        if !numeric {
            return Plain::Text;
        }
        if let Ok(value) = self.text.parse::<i64>() {
            return Plain::Int(value);
        }
        let value = self.text.parse::<f64>().ok().filter(|value| value.is_finite());
        value.map_or(Plain::Text, Plain::Float)
    }
}

impl Node {
    /// The entry of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The node that a JSON pointer names, or the nearest one on its way.
    pub(crate) fn at_pointer(&self, pointer: &str) -> Mark {
        let mut node = self;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match &node.kind {
                Kind::Map(_) => node.get(&step).map(|entry| &entry.value),
                Kind::List(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
                Kind::Scalar(_) => None,
            };
            let Some(next) = next else { break };
            node = next;
        }
        node.mark
    }

    /// Whether it is null or left empty.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(scalar) if scalar.meaning() == Plain::Null)
    }

    /// What it is, for messages. Texts are not shown: one at the wrong place may be a secret.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a mapping".to_owned(),
            Kind::Scalar(scalar) => match scalar.meaning() {
                Plain::Null => "nothing".to_owned(),
                Plain::Bool(value) => value.to_string(),
                Plain::Int(value) => format!("the number {value}"),
                Plain::Float(value) => format!("the number {value}"),
                Plain::Text => "a text".to_owned(),
            },
        }
    }

    /// As JSON (for the settings of a kind).
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.kind {
            Kind::List(items) => items.iter().map(Self::to_json).collect(),
            Kind::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect(),
            Kind::Scalar(scalar) => match scalar.meaning() {
                Plain::Null => serde_json::Value::Null,
                Plain::Bool(value) => value.into(),
                Plain::Int(value) => value.into(),
                Plain::Float(value) => value.into(),
                Plain::Text => scalar.text.clone().into(),
            },
        }
    }
}

/// A whole number as a double, for comparing with limits.
#[expect(clippy::cast_precision_loss, reason = "only compared with small limits")]
fn as_f64(value: i64) -> f64 {
    value as f64
}

/// A key as a finding tells it: no further than its first word. Where the space behind a colon is missing, the rest is the value,
/// and may be a secret.
fn word(key: &str) -> String {
    let part = |sign: char| sign.is_alphanumeric() || matches!(sign, '_' | '-' | '.' | ' ');
    let word: String = key.chars().take_while(|sign| part(*sign)).take(64).collect();
    if word.len() == key.len() { word } else { format!("{word}…") }
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn a_key_is_told_no_further_than_a_value_may_begin() {
        for (key, told) in [
            ("job title", "job title"),
            ("größe", "größe"),
            ("url:\"redis://app:secret@db/0\"", "url…"),
            ("https://app:secret@db", "https…"),
            ("", ""),
            (&"a".repeat(65), &format!("{}…", "a".repeat(64))),
        ] {
            assert_eq!(word(key), told);
        }
    }
}
