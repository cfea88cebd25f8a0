//! Universal Binary JSON (draft 12, <https://ubjson.org>) as a `serde` deserializer, so that one description of a file's
//! content reads its text and its binary form. Arrays may announce type and count (`[$d#L…`), objects a count.
//!
//! Nothing is believed that the bytes do not pay for: a count never allocates, a typed array needs bytes for each element,
//! nesting is bounded.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// Deepest nesting.
const DEPTH: u32 = 64;

/// Reads a value from the bytes of a whole file.
///
/// # Errors
/// What is wrong and at which byte.
pub(crate) struct Ubj<'de> {
    bytes: &'de [u8],
    at: usize,
    depth: u32,
}

/// What is wrong with a file.
#[derive(Debug)]
pub(crate) struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

impl de::Error for Broken {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

type Result<T> = std::result::Result<T, Broken>;

impl<'de> Ubj<'de> {
    /// At the start of a file.
    pub(crate) fn new(bytes: &'de [u8]) -> Self {
        Self { bytes, at: 0, depth: 0 }
    }

    /// After the value: nothing may follow.
    pub(crate) fn end(&self) -> Result<()> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(self.wrong("something follows the end of the file's value"))
        }
    }

    fn wrong(&self, what: impl fmt::Display) -> Broken {
        Broken(format!("byte {}: {what}", self.at))
    }

    fn take(&mut self, count: usize) -> Result<&'de [u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else { return Err(self.wrong("the file ends here: it is cut off")) };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// The next marker; no-ops are passed over.
    fn marker(&mut self) -> Result<u8> {
        loop {
            match self.array::<1>()? {
                [b'N'] => {}
                [marker] => return Ok(marker),
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// An integer of the given type.
    fn integer(&mut self, marker: u8) -> Result<i64> {
        Ok(match marker {
            b'i' => i64::from(i8::from_be_bytes(self.array()?)),
            b'U' => i64::from(u8::from_be_bytes(self.array()?)),
            b'I' => i64::from(i16::from_be_bytes(self.array()?)),
            b'l' => i64::from(i32::from_be_bytes(self.array()?)),
            b'L' => i64::from_be_bytes(self.array()?),
            other => return Err(self.wrong(format_args!("a number is needed, found type {}", shown(other)))),
        })
    }

    fn length(&mut self) -> Result<usize> {
        let marker = self.marker()?;
        let length = self.integer(marker)?;
        usize::try_from(length).map_err(|_| self.wrong(format_args!("the length {length} is none")))
    }

    fn text(&mut self) -> Result<&'de str> {
        let length = self.length()?;
        let start = self.at;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).map_err(|_| Broken(format!("byte {start}: a text is not valid UTF-8")))
    }

    /// The announced type and count of an array or object.
    fn announced(&mut self) -> Result<(Option<u8>, Option<usize>)> {
        let mut kind = None;
        if self.peek() == Some(b'$') {
            self.at += 1;
            let [marker] = self.array::<1>()?;
            if !b"iUIlLdDSC".contains(&marker) {
                return Err(self.wrong(format_args!("elements of type {} cannot be announced", shown(marker))));
            }
            kind = Some(marker);
        }
        if self.peek() == Some(b'#') {
            self.at += 1;
            return Ok((kind, Some(self.length()?)));
        }
        if kind.is_some() { Err(self.wrong("a type is announced without a count")) } else { Ok((None, None)) }
    }

    fn value<V: Visitor<'de>>(&mut self, marker: u8, visitor: V) -> Result<V::Value> {
        match marker {
            b'Z' => visitor.visit_unit(),
            b'T' => visitor.visit_bool(true),
            b'F' => visitor.visit_bool(false),
            b'd' => visitor.visit_f32(f32::from_be_bytes(self.array()?)),
            b'D' => visitor.visit_f64(f64::from_be_bytes(self.array()?)),
            b'S' => visitor.visit_borrowed_str(self.text()?),
            b'C' => visitor.visit_char(char::from(self.array::<1>()?[0])),
            b'[' | b'{' => {
                if self.depth == DEPTH {
                    return Err(self.wrong(format_args!("nested deeper than {DEPTH}")));
                }
                self.depth += 1;
                let (kind, left) = self.announced()?;
                let mut inside = Inside { ubj: self, kind, left, close: if marker == b'[' { b']' } else { b'}' } };
                let value =
                    if marker == b'[' { visitor.visit_seq(&mut inside)? } else { visitor.visit_map(&mut inside)? };
                inside.end()?;
                self.depth -= 1;
                Ok(value)
            }
            integer => {
                let number = self.integer(integer)?;
                visitor.visit_i64(number)
            }
        }
    }
}

fn shown(marker: u8) -> String {
    format!("`{}`", char::from(marker).escape_default())
}

impl<'de> de::Deserializer<'de> for &mut Ubj<'de> {
    type Error = Broken;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let marker = self.marker()?;
        self.value(marker, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.peek() == Some(b'Z') {
            self.at += 1;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The elements of an array or object.
struct Inside<'a, 'de> {
    ubj: &'a mut Ubj<'de>,
    kind: Option<u8>,
    /// Elements left; `None`: until the closing mark.
    left: Option<usize>,
    close: u8,
}

impl<'de> Inside<'_, 'de> {
    /// Whether there is another element; takes the closing mark where there is none.
    fn more(&mut self) -> Result<bool> {
        match &mut self.left {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None => {
                while self.ubj.peek() == Some(b'N') {
                    self.ubj.at += 1;
                }
                if self.ubj.peek() != Some(self.close) {
                    return Ok(true);
                }
                self.ubj.at += 1;
                self.left = Some(0);
                Ok(false)
            }
        }
    }

    /// After the last element that was wanted: there must be none left.
    fn end(&mut self) -> Result<()> {
        if self.more()? { Err(self.ubj.wrong("there are more elements than expected")) } else { Ok(()) }
    }

    fn element<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        match self.kind {
            Some(kind) => seed.deserialize(Typed { ubj: self.ubj, kind }),
            None => seed.deserialize(&mut *self.ubj),
        }
    }
}

impl<'de> SeqAccess<'de> for &mut Inside<'_, 'de> {
    type Error = Broken;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.more()? { self.element(seed).map(Some) } else { Ok(None) }
    }
}

impl<'de> MapAccess<'de> for &mut Inside<'_, 'de> {
    type Error = Broken;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if !self.more()? {
            return Ok(None);
        }
        let key = self.ubj.text()?;
        seed.deserialize(de::value::BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        self.element(seed)
    }
}

/// A value whose type was announced.
struct Typed<'a, 'de> {
    ubj: &'a mut Ubj<'de>,
    kind: u8,
}

impl<'de> de::Deserializer<'de> for Typed<'_, 'de> {
    type Error = Broken;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.ubj.value(self.kind, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde_json::{Value, json};

    use super::*;

    fn read(bytes: &[u8]) -> Result<Value> {
        let mut ubj = Ubj::new(bytes);
        let value = Value::deserialize(&mut ubj)?;
        ubj.end().map(|()| value)
    }

    #[test]
    fn every_form_of_a_value_is_read() {
        let cases: [(&[u8], Value); 9] = [
            (b"Z", json!(null)),
            (b"[TFNU\xff]", json!([true, false, 255])),
            (b"[i\xffI\xff\xfel\x00\x01\x00\x00L\xff\xff\xff\xff\xff\xff\xff\xff]", json!([-1, -2, 65536, -1])),
            (b"[d\x3f\x80\x00\x00D\x40\x00\x00\x00\x00\x00\x00\x00]", json!([1.0, 2.0])),
            (b"[$d#U\x02\x3f\x80\x00\x00\xbf\x80\x00\x00", json!([1.0, -1.0])),
            (b"[#i\x02CaSi\x02\xc3\xa9", json!(["a", "\u{e9}"])),
            (b"{i\x01a[]U\x01b{}}", json!({"a": [], "b": {}})),
            (b"{#i\x01i\x01a[$U#i\x00", json!({"a": []})),
            (b"{$U#i\x02i\x01a\x01i\x01b\x02", json!({"a": 1, "b": 2})),
        ];
        for (bytes, expected) in cases {
            assert_eq!(read(bytes).unwrap(), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn lies_are_told_where_they_stand() {
        let nested = [b"[".repeat(100), b"]".repeat(100)].concat();
        let cases: [(&[u8], &str); 10] = [
            (b"", "byte 0: the file ends here"),
            (b"[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff\x3f\x80\x00\x00", "the file ends here"),
            (b"[$Z#L\x7f\xff\xff\xff\xff\xff\xff\xff", "elements of type `Z` cannot be announced"),
            (b"[$d\x3f", "a type is announced without a count"),
            (b"[#i\xff", "the length -1 is none"),
            (b"SL\x7f\xff\xff\xff\xff\xff\xff\xffx", "the file ends here"),
            (b"Si\x01\xff", "not valid UTF-8"),
            (b"ZZ", "something follows"),
            (b"x", "found type `x`"),
            (&nested, "nested deeper"),
        ];
        for (bytes, said) in cases {
            let error = read(bytes).unwrap_err().to_string();
            assert!(error.contains(said), "{}: {error}", bytes.escape_ascii());
        }
    }
}
