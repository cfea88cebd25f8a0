//! Ids: UUIDv7 (RFC 9562) made from the context's clock and entropy, so that they sort by time and replay in simulation.

use std::fmt;

use crate::{
    context::Context,
    error::{Error, ErrorKind, Result},
};

/// Id of a decision, delivery or request: a UUIDv7.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub [u8; 16]);

impl Id {
    /// A new id: 48 bits of milliseconds, 74 random bits.
    pub fn new(context: &Context) -> Self {
        let mut bytes = [0; 16];
        context.entropy.fill(&mut bytes[6..]);
        let millis = u64::try_from(context.clock.now().millis()).unwrap_or(0).to_be_bytes();
        bytes[..6].copy_from_slice(&millis[2..]);
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Self(bytes)
    }

    /// When it was made, in milliseconds since 1970; of an id that is not of ours, any number.
    pub fn millis(self) -> i64 {
        self.0[..6].iter().fold(0, |millis, byte| (millis << 8) | i64::from(*byte))
    }

    /// Parses the usual 36-character form.
    ///
    /// # Errors
    /// `Invalid` when the text is no UUID.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(ErrorKind::Invalid, "not_an_id", "the text is no decision id")
                .hint("ids look like 0190163d-8694-739b-aea5-966c26f8ad91")
        };
        let text = text.as_bytes();
        if text.len() != 36 || [8, 13, 18, 23].iter().any(|&at| text[at] != b'-') {
            return Err(wrong());
        }
        let mut digits = text.iter().filter(|&&byte| byte != b'-').map(|&byte| char::from(byte).to_digit(16));
        let mut bytes = [0u8; 16];
        for byte in &mut bytes {
            let (Some(Some(high)), Some(Some(low))) = (digits.next(), digits.next()) else { return Err(wrong()) };
            *byte = u8::try_from(high * 16 + low).unwrap_or(0);
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = DIGITS[usize::from(byte >> 4)];
            text[at + 1] = DIGITS[usize::from(byte & 15)];
            at += 2;
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let text = "0190163d-8694-739b-aea5-966c26f8ad91";
        assert_eq!(Id::parse(text).unwrap().to_string(), text);
        for wrong in [
            "",
            "0190163d-8694-739b-aea5-966c26f8ad9",
            "0190163d-8694-739b-aea5-966c26f8ad9g",
            "0190163dx8694-739b-aea5-966c26f8ad91",
        ] {
            assert!(Id::parse(wrong).is_err());
        }
    }
}
