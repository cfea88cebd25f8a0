//! Tree → typed values: a serde deserializer over nodes that can tell places (see [`super::At`]).

use serde::{
    Deserialize,
    de::{
        DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
        value::{Error, SeqDeserializer, StringDeserializer, UsizeDeserializer},
    },
    forward_to_deserialize_any,
};

use super::{Entry, Kind, Node, Plain, typed::AT};
use crate::finding::Mark;

/// Reads a typed value. The shape was checked before, so an error here means that shape and type disagree.
pub(crate) fn from_node<'de, T: Deserialize<'de>>(node: &'de Node) -> Result<T, Error> {
    T::deserialize(NodeReader(node))
}

#[derive(Clone, Copy)]
struct NodeReader<'de>(&'de Node);

impl<'de> IntoDeserializer<'de, Error> for NodeReader<'de> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> NodeReader<'de> {
    fn plain(self) -> Option<Plain> {
        match &self.0.kind {
            Kind::Scalar(scalar) => Some(scalar.meaning()),
            _ => None,
        }
    }
}

impl<'de> Deserializer<'de> for NodeReader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.kind {
            Kind::List(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(NodeReader))),
            Kind::Map(entries) => visitor.visit_map(MapReader { entries: entries.iter(), value: None }),
            Kind::Scalar(scalar) => match scalar.meaning() {
                Plain::Null => visitor.visit_unit(),
                Plain::Bool(value) => visitor.visit_bool(value),
                Plain::Int(value) => visitor.visit_i64(value),
                Plain::Float(value) => visitor.visit_f64(value),
                Plain::Text => visitor.visit_str(&scalar.text),
            },
        }
    }

    /// A text position takes the text as it stands, whatever it looks like.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.kind {
            Kind::Scalar(scalar) => visitor.visit_str(&scalar.text),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if matches!(self.plain(), Some(Plain::Null)) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        if name != AT {
            return visitor.visit_newtype_struct(self);
        }
        let lead = match &self.0.kind {
            Kind::Scalar(scalar) => scalar.lead,
            _ => None,
        };
        visitor.visit_seq(Parts { mark: self.0.mark, lead, step: 0, value: Place::Node(self) })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(Variant(self))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// An enum of plain words.
struct Variant<'de>(NodeReader<'de>);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Unit;
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Unit), Error> {
        Ok((seed.deserialize(WordReader(self.0))?, Unit))
    }
}

/// The name of a variant, read as text.
struct WordReader<'de>(NodeReader<'de>);

impl<'de> Deserializer<'de> for WordReader<'de> {
    type Error = Error;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_str(visitor)
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Unit;

impl<'de> VariantAccess<'de> for Unit {
    type Error = Error;
    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(().into_deserializer())
    }
    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
    fn struct_variant<V: Visitor<'de>>(self, _fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

/// What a place belongs to.
enum Place<'de> {
    Node(NodeReader<'de>),
    Key(&'de str),
}

/// Line, column, lead and value, for [`super::At`].
struct Parts<'de> {
    mark: Mark,
    lead: Option<usize>,
    step: usize,
    value: Place<'de>,
}

impl<'de> SeqAccess<'de> for Parts<'de> {
    type Error = Error;
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.step += 1;
        let number = match self.step {
            1 => self.mark.line,
            2 => self.mark.column,
            3 => self.lead.unwrap_or(usize::MAX),
            _ => {
                return match &self.value {
                    Place::Node(node) => seed.deserialize(*node).map(Some),
                    Place::Key(key) => seed.deserialize(StringDeserializer::new((*key).to_owned())).map(Some),
                };
            }
        };
        seed.deserialize(UsizeDeserializer::new(number)).map(Some)
    }
}

struct MapReader<'de> {
    entries: std::slice::Iter<'de, Entry>,
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for MapReader<'de> {
    type Error = Error;
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        self.value = Some(&entry.value);
        seed.deserialize(KeyReader(entry)).map(Some)
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let missing = || serde::de::Error::custom("value before key");
        seed.deserialize(NodeReader(self.value.take().ok_or_else(missing)?))
    }
}

struct KeyReader<'de>(&'de Entry);

impl<'de> Deserializer<'de> for KeyReader<'de> {
    type Error = Error;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(&self.0.key)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        if name != AT {
            return visitor.visit_newtype_struct(self);
        }
        visitor.visit_seq(Parts { mark: self.0.mark, lead: None, step: 0, value: Place::Key(&self.0.key) })
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
