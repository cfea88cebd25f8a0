//! Finds the input inside `{"input": {…}}` without parsing it: the path parses it once, against its schema. One pass over
//! the bytes, no copy.

use std::ops::Range;

use bytes::Bytes;
use tendon_kernel::{Error, ErrorKind, Result};

use crate::service;

/// The bytes of the member `input`, and the text of `callback` where there is one.
///
/// # Errors
/// `Invalid` when the body is no UTF-8, no object, nested too deeply, holds an unknown member, or has no `input`.
pub(super) fn question(body: &Bytes, depth: usize) -> Result<(Bytes, Option<String>)> {
    if std::str::from_utf8(body).is_err() {
        return Err(malformed("the request body is not UTF-8"));
    }
    let mut scan = Scan { bytes: body, at: 0, depth };
    let (found, callback) = scan.object()?;
    let callback = callback.map(|range| address(body.get(range).unwrap_or_default())).transpose()?;
    let input = found.map(|range| body.slice(range)).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "input_missing", "the request body has no member `input`")
            .at("")
            .hint(r#"send {"input": {…}} with the integration's fields"#)
    })?;
    Ok((input, callback))
}

/// The text of a callback's address.
fn address(json: &[u8]) -> Result<String> {
    serde_json::from_slice(json).map_err(|error| {
        Error::new(ErrorKind::Invalid, "callback_address", "the callback is no text")
            .at("/callback")
            .hint("an address below one of the integration's `doors.api.callbacks`")
            .private(error)
    })
}

/// The input of one record of a batch, and its idempotency key: `{"input": {…}, "idempotency_key": "…"}`, or the input itself.
/// No integration has a field `input` that is an object, so the two cannot be confused.
///
/// # Errors
/// `Invalid` when the text is no UTF-8, no object, or nested too deeply.
pub(super) fn record(text: &Bytes, depth: usize) -> Result<(Bytes, Option<String>)> {
    if std::str::from_utf8(text).is_err() {
        return Err(malformed("the record is not UTF-8"));
    }
    let mut scan = Scan { bytes: text, at: 0, depth: depth + 1 };
    let members = scan.members()?;
    let named = |wanted: &[u8]| members.iter().find(|(name, _)| text.get(name.clone()) == Some(wanted));
    let input = named(b"input").filter(|(_, value)| text.get(value.start) == Some(&b'{'));
    let Some((_, input)) = input else { return Ok((text.clone(), None)) };
    if let Some((name, _)) =
        members.iter().find(|(name, _)| !matches!(text.get(name.clone()), Some(b"input" | b"idempotency_key")))
    {
        return Err(unknown(text.get(name.clone()).unwrap_or_default())
            .hint("beside `input` a record may have `idempotency_key`, nothing else"));
    }
    if members.len() > 2 || (members.len() == 2 && named(b"idempotency_key").is_none()) {
        return Err(malformed("the record has a member twice"));
    }
    let key = named(b"idempotency_key").map(|(_, value)| {
        let text: Option<String> = text.get(value.clone()).and_then(|text| serde_json::from_slice(text).ok());
        service::idempotency_key(text.as_deref()).map_err(|error| error.at("/idempotency_key"))
    });
    Ok((text.slice(input.clone()), key.transpose()?))
}

/// Where a member's value stands, when it is there.
type Found = Option<Range<usize>>;

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl Scan<'_> {
    /// All members of the object that the text is: ranges of names and values.
    fn members(&mut self) -> Result<Vec<(Range<usize>, Range<usize>)>> {
        let mut found = Vec::new();
        self.expect(b'{', "the record is no JSON object")?;
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                let (from, to) = self.string()?;
                self.expect(b':', "a `:` is missing in the record")?;
                let value = self.value()?;
                found.push((from..to, value.0..value.1));
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b'}') => {
                        self.at += 1;
                        break;
                    }
                    _ => return Err(malformed("the record is no complete JSON object")),
                }
            }
        }
        match self.peek() {
            None => Ok(found),
            Some(_) => Err(malformed("something follows the JSON object of the record")),
        }
    }

    /// The ranges of `input` and `callback` in the object that the body is.
    fn object(&mut self) -> Result<(Found, Found)> {
        let (mut found, mut callback) = (None, None);
        self.expect(b'{', "the request body is no JSON object")?;
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                let (from, to) = self.string()?;
                let name = self.bytes.get(from..to).unwrap_or_default();
                let (member, twice) = match name {
                    b"input" => (&mut found, "/input"),
                    b"callback" => (&mut callback, "/callback"),
                    _ => return Err(unknown(name)),
                };
                self.expect(b':', "a `:` is missing in the request body")?;
                let value = self.value()?;
                if member.replace(value.0..value.1).is_some() {
                    return Err(malformed("the request body has a member twice").at(twice));
                }
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b'}') => {
                        self.at += 1;
                        break;
                    }
                    _ => return Err(malformed("the request body is no complete JSON object")),
                }
            }
        }
        match self.peek() {
            None => Ok((found, callback)),
            Some(_) => Err(malformed("something follows the JSON object in the request body")),
        }
    }

    /// The next byte that is no white space; stays on it.
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn expect(&mut self, byte: u8, otherwise: &'static str) -> Result<()> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(malformed(otherwise))
        }
    }

    /// A string; gives the range between its quotes.
    fn string(&mut self) -> Result<(usize, usize)> {
        self.expect(b'"', "a member name is missing in the request body")?;
        let from = self.at;
        self.skip_string()?;
        Ok((from, self.at - 1))
    }

    /// Goes behind the closing quote.
    fn skip_string(&mut self) -> Result<()> {
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => return Ok(()),
                b'\\' => self.at += 1,
                _ => {}
            }
        }
        Err(malformed("a string in the request body has no end"))
    }

    /// A value of any kind; gives its range. What is inside is judged by the path.
    fn value(&mut self) -> Result<(usize, usize)> {
        let first = self.peek().ok_or_else(|| malformed("a value is missing in the request body"))?;
        let from = self.at;
        match first {
            b'{' | b'[' => self.skip_nested()?,
            b'"' => {
                self.at += 1;
                self.skip_string()?;
            }
            _ => {
                while self.bytes.get(self.at).is_some_and(|byte| !b",}] \n\r\t".contains(byte)) {
                    self.at += 1;
                }
            }
        }
        if from == self.at { Err(malformed("a value is missing in the request body")) } else { Ok((from, self.at)) }
    }

    fn skip_nested(&mut self) -> Result<()> {
        let mut open = 0_usize;
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'{' | b'[' => {
                    open += 1;
                    // The envelope itself is one level.
                    if open >= self.depth {
                        return Err(Error::new(
                            ErrorKind::Invalid,
                            "too_deep",
                            "the request body is nested too deeply",
                        )
                        .with("levels allowed", self.depth)
                        .at("/input"));
                    }
                }
                b'}' | b']' => {
                    open -= 1;
                    if open == 0 {
                        return Ok(());
                    }
                }
                b'"' => self.skip_string()?,
                _ => {}
            }
        }
        Err(malformed("the request body is no complete JSON object"))
    }
}

fn malformed(message: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, "malformed_json", message).hint(r#"send {"input": {…}} as JSON in UTF-8"#)
}

fn unknown(name: &[u8]) -> Error {
    // The name is the caller's own text; shown shortened, as a pointer into what it sent.
    let name: String = String::from_utf8_lossy(name).chars().take(40).collect();
    let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    Error::new(ErrorKind::Invalid, "unknown_member", "the request body has a member that is not known")
        .at(pointer)
        .hint("the members are `input`, with the integration's fields in it, and `callback`")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Result<String> {
        question(&Bytes::copy_from_slice(text.as_bytes()), 8)
            .map(|(bytes, _)| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn finds_the_input_as_it_was_written() {
        assert_eq!(of(r#" {"input" : {"a": "}\"{", "b":[1,{}] } } "#).unwrap(), r#"{"a": "}\"{", "b":[1,{}] }"#);
        assert_eq!(of(r#"{"input":NaN}"#).unwrap(), "NaN");
        assert_eq!(of(r#"{"input":"x"}"#).unwrap(), r#""x""#);
    }

    #[test]
    fn records_come_bare_or_wrapped() {
        let of = |text: &str| {
            record(&Bytes::copy_from_slice(text.as_bytes()), 8)
                .map(|(input, key)| (String::from_utf8(input.to_vec()).unwrap(), key))
        };
        for (text, input, key) in [
            (r#"{"a":1}"#, r#"{"a":1}"#, None),
            (r#"{"input":{"a":1}}"#, r#"{"a":1}"#, None),
            (r#" {"idempotency_key":"k\u0031","input":{"a":1}} "#, r#"{"a":1}"#, Some("k1")),
            (r#"{"input":"text","idempotency_key":"k"}"#, r#"{"input":"text","idempotency_key":"k"}"#, None),
            ("{}", "{}", None),
        ] {
            assert_eq!(of(text).unwrap(), (input.to_owned(), key.map(str::to_owned)), "{text}");
        }
        for (text, code) in [
            ("", "malformed_json"),
            (r#"{"input":{"a":1}"#, "malformed_json"),
            (r#"{"a":1} {"a":2}"#, "malformed_json"),
            (r#"{"input":{},"input":{}}"#, "malformed_json"),
            (r#"{"input":{},"idempotency_key":""}"#, "idempotency_key"),
            (r#"{"input":{},"idempotency_key":7}"#, "idempotency_key"),
            (r#"{"input":{},"key":"k"}"#, "unknown_member"),
            (r#"{"input":[[[[[[[[[]]]]]]]]]}"#, "too_deep"),
        ] {
            assert_eq!(of(text).unwrap_err().code(), code, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_envelope() {
        for (text, code) in [
            ("", "malformed_json"),
            ("[]", "malformed_json"),
            ("{", "malformed_json"),
            (r#"{"input""#, "malformed_json"),
            (r#"{"input":"#, "malformed_json"),
            (r#"{"input":}"#, "malformed_json"),
            (r#"{"input":{"a":1}"#, "malformed_json"),
            (r#"{"input":{"a":"1}}"#, "malformed_json"),
            (r#"{"input":{}} x"#, "malformed_json"),
            (r#"{"input":{},"input":{}}"#, "malformed_json"),
            (r#"{"input":{},}"#, "malformed_json"),
            ("{}", "input_missing"),
            (r#"{"inputs":{}}"#, "unknown_member"),
            (r#"{"input":[[[[[[[[]]]]]]]]}"#, "too_deep"),
        ] {
            assert_eq!(of(text).unwrap_err().code(), code, "{text}");
        }
        assert!(question(&Bytes::from_static(b"{\"input\":{\"a\":\"\xff\"}}"), 8).is_err());
    }

    proptest! {
        /// Whatever JSON parser agrees that a text is `{"input": v}`, this finds exactly v; and it never panics.
        #[test]
        fn agrees_with_a_full_parser(text in r#"\{"input":[ \[\]{}",:a0-9\\]{0,24}\}"#) {
            let ours = question(&Bytes::from(text.clone()), 64).map(|(input, _)| input);
            if let Ok(full) = serde_json::from_str::<std::collections::BTreeMap<String, Box<serde_json::value::RawValue>>>(&text)
                && full.len() == 1
            {
                prop_assert_eq!(&ours.unwrap()[..], full["input"].get().as_bytes());
            }
        }

        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = record(&Bytes::from(bytes.clone()), 8);
            let _ = question(&Bytes::from(bytes), 8);
        }
    }
}
