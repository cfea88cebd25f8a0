//! The form of an API key: `tdn_<id>_<secret><checksum>`. The prefix lets scanners of leaked secrets find it, the id finds
//! its record, the secret is 256 random bits, the checksum tells a typo from a revoked key without any lookup.

use std::fmt;

use ring::digest::{SHA256, digest};
use tendon_kernel::context::Entropy;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX: &str = "tdn_";
/// Base-62 digits of the id: 12 × 5.95 = 71 bits, so that ids do not meet.
const ID: usize = 12;
/// Base-62 digits that hold 256 bits: ⌈256 / log2 62⌉.
const SECRET: usize = 43;
/// Base-62 digits that hold 32 bits.
const CHECKSUM: usize = 6;

/// A key in its parts. Never printed: `Debug` shows the id only.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: String,
    text: String,
}

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// It does not look like a key of ours at all.
    Form,
    /// It looks like one, but characters are missing or wrong.
    Checksum,
}

impl Token {
    /// A new key.
    pub fn new(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        let mut id_bytes = [0; 8];
        entropy.fill(&mut id_bytes);
        let id = base62(&id_bytes, ID);
        let mut text = format!("{PREFIX}{id}_{}", base62(&bytes, SECRET));
        let checksum = base62(&crc32(text.as_bytes()).to_be_bytes(), CHECKSUM);
        text.push_str(&checksum);
        Self { id, text }
    }

    /// Reads a key.
    ///
    /// # Errors
    /// Says whether it is foreign or mistyped.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let (id, secret) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(TokenError::Form)?;
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if id.len() != ID || secret.len() != SECRET + CHECKSUM || !plain(id) || !plain(secret) {
            return Err(TokenError::Checksum);
        }
        let (signed, checksum) = text.split_at(text.len() - CHECKSUM);
        if base62(&crc32(signed.as_bytes()).to_be_bytes(), CHECKSUM) != checksum {
            return Err(TokenError::Checksum);
        }
        Ok(Self { id: id.to_owned(), text: text.to_owned() })
    }

    /// The public id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The whole key, for the one moment it is shown.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What is kept: SHA-256 of the whole key. No salt or slow hash is needed for 256 random bits.
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.text)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.id)
    }
}

/// The id inside a text that may be a key, without checking anything else: what the lookup needs.
pub(crate) fn id_of(text: &str) -> Option<&str> {
    text.strip_prefix(PREFIX)?.split_once('_').map(|(id, _)| id)
}

/// SHA-256 of a secret's text.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    out
}

/// A big-endian number in base 62, padded to a fixed width.
fn base62(bytes: &[u8], width: usize) -> String {
    let mut number = bytes.to_vec();
    let mut digits = vec![b'0'; width];
    for place in digits.iter_mut().rev() {
        let mut rest = 0_u32;
        for byte in &mut number {
            let value = rest * 256 + u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            rest = value % 62;
        }
        *place = DIGITS[rest as usize];
    }
    digits.into_iter().map(char::from).collect()
}

/// CRC-32 (IEEE 802.3, as in gzip), bit by bit: it runs only when a key was not recognised.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;

    struct Counting(Mutex<u8>);

    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            for byte in buffer {
                let mut next = self.0.lock().unwrap();
                *next = next.wrapping_mul(31).wrapping_add(17);
                *byte = *next;
            }
        }
    }

    #[test]
    fn the_checksum_is_the_one_of_gzip() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn base62_keeps_all_bits() {
        assert_eq!(base62(&[0xff; 32], SECRET).len(), SECRET);
        assert_eq!(base62(&[0, 0, 0, 61], CHECKSUM), "00000z");
        assert_eq!(base62(&[0, 0, 0, 62], CHECKSUM), "000010");
        assert_ne!(base62(&[0xff; 32], SECRET), base62(&[0xfe; 32], SECRET));
    }

    proptest! {
        #[test]
        fn any_single_typo_is_recognised(seed: u8, at in 4_usize..66, with in 0_usize..62) {
            let token = Token::new(&Counting(Mutex::new(seed)));
            prop_assert_eq!(&Token::parse(token.reveal()).unwrap(), &token);
            let mut text = token.reveal().as_bytes().to_vec();
            prop_assume!(text[at] != DIGITS[with]);
            text[at] = DIGITS[with];
            prop_assert!(Token::parse(std::str::from_utf8(&text).unwrap()).is_err());
        }
    }

    #[test]
    fn foreign_texts_are_told_from_typos() {
        assert_eq!(Token::parse("sk-live-abc"), Err(TokenError::Form));
        assert_eq!(Token::parse("tdn_abc_def"), Err(TokenError::Checksum));
    }
}
