//! Keyed names for subjects, claims and days: HMAC-SHA-256 under the project's key `tokens`, cut to 16 bytes.

use ring::hmac;
use tendon_kernel::{
    Timestamp,
    sockets::{
        ledger::{Claim, Facts, Tokens},
        secrets::Key,
    },
};

/// A keyed name.
pub(crate) type Token = [u8; 16];

/// Makes tokens.
pub(crate) struct Tokenizer(hmac::Key);

impl Tokenizer {
    pub(crate) fn new(key: &Key) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key.0))
    }

    fn make(&self, parts: &[&[u8]]) -> Token {
        let mut context = hmac::Context::with_key(&self.0);
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                context.update(&[0]);
            }
            context.update(part);
        }
        let mut out = [0; 16];
        out.copy_from_slice(context.sign().as_ref().split_at(16).0);
        out
    }

    pub(crate) fn subject(&self, subject: &str) -> Token {
        self.token("subject", subject)
    }

    /// Whose slot an entry without subject takes: one for each day (UTC) and retention class.
    pub(crate) fn day(&self, facts: &Facts) -> Token {
        const DAY: i64 = 86_400_000_000;
        let day = Timestamp(facts.at.0.div_euclid(DAY) * DAY).0.to_le_bytes();
        self.make(&[b"day", &day, facts.retention.as_bytes()])
    }

    /// Token of a claim and keyed hash of its fingerprint: a fingerprint in clear could be guessed from likely inputs.
    pub(crate) fn claim(&self, claim: &Claim) -> (Token, Token) {
        (self.token("claim", &claim.scope), self.make(&[b"fingerprint", claim.scope.as_bytes(), &claim.fingerprint]))
    }
}

impl Tokens for Tokenizer {
    fn token(&self, kind: &str, text: &str) -> [u8; 16] {
        self.make(&[kind.as_bytes(), text.as_bytes()])
    }
}
