//! Building blocks of the raw configuration: values that know where they stand, and mappings that keep their order.

use std::{borrow::Cow, fmt, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};

use crate::finding::Mark;

/// Name by which our deserializer recognises [`At`].
pub(super) const AT: &str = "tendon::At";

/// A value with its place.
#[derive(Clone, Debug, Default)]
pub(crate) struct At<T> {
    /// The value.
    pub(crate) value: T,
    /// Where it stands.
    pub(crate) mark: Mark,
    /// Characters between its place and its text; `None` when its text does not stand there as it is (blocks).
    pub(crate) lead: Option<usize>,
}

impl<T: AsRef<str>> At<T> {
    /// The text.
    pub(crate) fn text(&self) -> &str {
        self.value.as_ref()
    }

    /// The place of an offset (in bytes) inside the text.
    pub(crate) fn inside(&self, offset: usize) -> Mark {
        let before = self.text().get(..offset).map(|text| text.chars().count());
        let column = self.lead.zip(before).map_or(0, |(lead, before)| lead + before);
        Mark { line: self.mark.line, column: self.mark.column + column }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<T> {
            type Value = At<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with its place")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<At<T>, A::Error> {
                let missing = || A::Error::custom("places are known to our own reader only");
                let line = seq.next_element()?.ok_or_else(missing)?;
                let column = seq.next_element()?.ok_or_else(missing)?;
                let lead: usize = seq.next_element()?.ok_or_else(missing)?;
                let value = seq.next_element()?.ok_or_else(missing)?;
                let lead = (lead != usize::MAX).then_some(lead);
                Ok(At { value, mark: Mark { line, column }, lead })
            }
        }
        deserializer.deserialize_newtype_struct(AT, Parts(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

/// A mapping in the order of the document; each entry with the place of its key.
#[derive(Clone, Debug)]
pub(crate) struct Ordered<T>(pub(crate) Vec<(At<String>, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Ordered<T> {
    /// The entries in order.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, (At<String>, T)> {
        self.0.iter()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Ordered<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("MappingOf{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<T>() })
    }
}
