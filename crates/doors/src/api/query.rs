//! The part of an address behind the `?`: names and values, decoded; a name that is not known is an error, because a mistyped
//! filter would silently list everything.

use std::{fmt::Write as _, str::FromStr};

use axum::http::Uri;
use tendon_kernel::{Error, ErrorKind, Result, Timestamp};

/// Parameters of a request.
pub(crate) struct Parameters(Vec<(String, String)>);

/// Reads the parameters; only these names may occur, each once and with a value: `subject=` would list everybody's.
///
/// # Errors
/// `Invalid` for another name, one that stands twice or has no value, or bytes that are no UTF-8.
pub(crate) fn read(uri: &Uri, names: &[&str]) -> Result<Parameters> {
    let found = read_all(uri, names)?;
    match found.0.iter().find(|(_, value)| value.is_empty()) {
        Some((name, _)) => Err(wrong(name, "has no value", "give it one, or leave it out")),
        None => Ok(found),
    }
}

/// The same, where a name may stand without a value.
///
/// # Errors
/// As [`read`].
pub(super) fn read_all(uri: &Uri, names: &[&str]) -> Result<Parameters> {
    let mut found: Vec<(String, String)> = Vec::new();
    for part in uri.query().unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let name = decoded(name).filter(|name| names.contains(&name.as_str())).ok_or_else(|| unknown(names))?;
        if found.iter().any(|(known, _)| *known == name) {
            return Err(wrong(&name, "stands twice in the address", "give it once"));
        }
        let value = decoded(value).ok_or_else(|| wrong(&name, "is not UTF-8", "encode it as UTF-8, then as %XX"))?;
        found.push((name, value));
    }
    Ok(Parameters(found))
}

impl Parameters {
    /// Whether a parameter is there at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// A value as it stands; an empty one counts as none.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.clone())
    }

    /// `true` or `false`; without it `false`.
    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        match self.text(name).as_deref() {
            Some("true" | "1") => Ok(true),
            Some("false" | "0") | None => Ok(false),
            Some(_) => Err(wrong(name, "is neither true nor false", "write `true` or `false`")),
        }
    }

    /// A whole number.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let number = self.text(name).map(|text| text.parse());
        number.transpose().map_err(|_| wrong(name, "is no whole number of this size", "write digits only"))
    }

    /// One of a few words, which `known` reads; `hint` lists them.
    pub(super) fn one_of<T>(&self, name: &str, known: fn(&str) -> Option<T>, hint: &'static str) -> Result<Option<T>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        known(&text).map(Some).ok_or_else(|| wrong(name, "is no word that is known here", hint))
    }

    /// A moment.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>> {
        let time = self.text(name).map(|text| Timestamp::parse(&text));
        time.transpose().map_err(|_| wrong(name, "is no time", "write it like 2026-05-17T10:00:00Z (a `+` as %2B)"))
    }
}

/// A text as it may stand in an address.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _: std::fmt::Result = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Decodes `%XX` and `+`.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

fn unknown(names: &[&str]) -> Error {
    let known =
        if names.is_empty() { "none is known here".to_owned() } else { format!("known are: {}", names.join(", ")) };
    Error::new(ErrorKind::Invalid, "unknown_parameter", "the address has a parameter that is not known").hint(known)
}

fn wrong(name: &str, what: &str, hint: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, "parameter", format!("the parameter `{name}` {what}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Result<Parameters> {
        read(&format!("/v1/x?{query}").parse().unwrap(), &["subject", "limit", "explain", "since"])
    }

    #[test]
    fn values_are_decoded() {
        let found = of("subject=a%2Bb+c%C3%A9&limit=7&&explain=true&since=2026-05-17T10:00:00Z").unwrap();
        assert_eq!(found.text("subject").as_deref(), Some("a+b cé"));
        assert_eq!(found.number::<usize>("limit").unwrap(), Some(7));
        assert!(found.flag("explain").unwrap() && found.time("since").unwrap().is_some());
    }

    #[test]
    fn mistakes_are_named() {
        for (query, code) in [
            ("subjekt=a", "unknown_parameter"),
            ("limit=1&limit=2", "parameter"),
            ("subject=%zz", "parameter"),
            ("subject=%ff", "parameter"),
            ("subject=", "parameter"),
            ("limit=1&explain", "parameter"),
        ] {
            assert_eq!(of(query).err().unwrap().code(), code, "{query}");
        }
        assert_eq!(of("limit=-1").unwrap().number::<usize>("limit").unwrap_err().code(), "parameter");
        assert_eq!(of("explain=yes").unwrap().flag("explain").unwrap_err().code(), "parameter");
        assert_eq!(of("since=yesterday").unwrap().time("since").unwrap_err().code(), "parameter");
    }
}
