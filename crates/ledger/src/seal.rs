//! The sealed half of an entry: AES-256-GCM under the key of a slot, around a versioned list of counted fields, which holds
//! the keys of the commitments in the leaf. Opening one commitment tells nothing about the others, and when the slot's
//! key is gone nothing can be opened nor guessed.
//!
//! Layout: nonce (12), ciphertext, tag (16). Plaintext: version (1), three commitment keys (32 each), flags (1),
//! subject, claim scope, claim fingerprint (32, when claimed), input, output, explanation, more; texts are counted.
//! Nonces are random: a slot seals the entries of one subject, or of one day, far below the 2^32 of NIST SP 800-38D.

use std::sync::Arc;

use ring::{aead, hmac};
use tendon_kernel::{
    Error, ErrorKind, Id, Result,
    context::Entropy,
    sockets::ledger::{Body, Claim, EntryKind},
};

use crate::{
    format::{Fields, MAX_SEALED, corrupt, defect, push_counted, sha256},
    leaf::{Commits, kind_word},
};

const PLAIN_VERSION: u8 = 1;
const NONCE: usize = 12;
const HAS_SUBJECT: u8 = 1;
const HAS_CLAIM: u8 = 2;

/// The key of a slot. Overwritten when dropped, as far as safe code can.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SlotKey(pub(crate) [u8; 32]);

impl Drop for SlotKey {
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}

impl SlotKey {
    fn cipher(&self) -> Result<aead::LessSafeKey> {
        cipher(&self.0)
    }
}

/// AES-256-GCM under a key.
pub(crate) fn cipher(key: &[u8; 32]) -> Result<aead::LessSafeKey> {
    aead::UnboundKey::new(&aead::AES_256_GCM, key).map(aead::LessSafeKey::new).map_err(|_| defect("prepare a key"))
}

/// What a sealed payload is bound to, so that it cannot be moved to another entry.
pub(crate) struct Binding<'a> {
    pub(crate) origin: &'a str,
    pub(crate) id: Id,
    pub(crate) kind: EntryKind,
    pub(crate) slot: u64,
}

impl Binding<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        out.extend_from_slice(b"tendon ledger entry v1\0");
        out.extend_from_slice(self.origin.as_bytes());
        out.push(0);
        out.extend_from_slice(kind_word(self.kind).as_bytes());
        out.push(0);
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.slot.to_le_bytes());
        out
    }
}

/// A payload as it goes to disk, with what the leaf says of it.
pub(crate) struct Sealed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: [u8; 32],
    pub(crate) commits: Commits,
}

/// Keys of the three commitments.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CommitKeys {
    pub(crate) input: [u8; 32],
    pub(crate) output: [u8; 32],
    pub(crate) explanation: [u8; 32],
}

/// A payload as it was before sealing.
pub(crate) struct Opened {
    pub(crate) body: Body,
    pub(crate) claim: Option<Claim>,
    pub(crate) keys: CommitKeys,
}

/// HMAC-SHA-256 of a part under its own key.
pub(crate) fn commitment(key: &[u8; 32], part: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), part).as_ref());
    out
}

/// The commitments to a body under given keys.
pub(crate) fn commitments(keys: &CommitKeys, body: &Body) -> Commits {
    let one = |key: &[u8; 32], part: &[u8]| if part.is_empty() { None } else { Some(commitment(key, part)) };
    Commits {
        input: one(&keys.input, &body.input),
        output: one(&keys.output, &body.output),
        explanation: one(&keys.explanation, &body.explanation),
    }
}

/// Seals a body.
///
/// # Errors
/// `Invalid` when it is too large.
pub(crate) fn seal(
    entropy: &dyn Entropy,
    key: &SlotKey,
    binding: &Binding<'_>,
    body: &Body,
    claim: Option<&Claim>,
) -> Result<Sealed> {
    let mut random = [0; NONCE + 96];
    entropy.fill(&mut random);
    let scope = claim.map_or("", |claim| claim.scope.as_str());
    let subject = body.subject.as_deref().unwrap_or("");
    let content =
        subject.len() + scope.len() + body.input.len() + body.output.len() + body.explanation.len() + body.more.len();
    if content + 256 > MAX_SEALED {
        return Err(Error::new(ErrorKind::Invalid, "entry_too_large", "the entry's content is above 64 MiB"));
    }
    let mut bytes = Vec::with_capacity(content + 256);
    bytes.extend_from_slice(&random[..NONCE]);
    bytes.push(PLAIN_VERSION);
    bytes.extend_from_slice(&random[NONCE..]);
    let flag = |is: bool, flag: u8| if is { flag } else { 0 };
    bytes.push(flag(body.subject.is_some(), HAS_SUBJECT) | flag(claim.is_some(), HAS_CLAIM));
    push_counted(&mut bytes, subject.as_bytes())?;
    push_counted(&mut bytes, scope.as_bytes())?;
    if let Some(claim) = claim {
        bytes.extend_from_slice(&claim.fingerprint);
    }
    for part in [&body.input, &body.output, &body.explanation, &body.more] {
        push_counted(&mut bytes, part)?;
    }
    let keys = commit_keys(&random[NONCE..]).ok_or_else(|| defect("make commitment keys"))?;
    let nonce = aead::Nonce::try_assume_unique_for_key(&random[..NONCE]).map_err(|_| defect("make a nonce"))?;
    let tag = key
        .cipher()?
        .seal_in_place_separate_tag(nonce, aead::Aad::from(binding.bytes()), &mut bytes[NONCE..])
        .map_err(|_| defect("seal an entry"))?;
    bytes.extend_from_slice(tag.as_ref());
    let digest = sha256(&bytes);
    Ok(Sealed { bytes, digest, commits: commitments(&keys, body) })
}

fn commit_keys(bytes: &[u8]) -> Option<CommitKeys> {
    let mut fields = Fields(bytes);
    Some(CommitKeys { input: fields.array()?, output: fields.array()?, explanation: fields.array()? })
}

/// Opens a sealed payload.
///
/// # Errors
/// `Corrupt` when it was not sealed with this key for this entry, or its content is malformed.
pub(crate) fn open(key: &SlotKey, binding: &Binding<'_>, sealed: &[u8]) -> Result<Opened> {
    let wrong = || corrupt("ledger_payload", "an entry's sealed payload cannot be opened");
    let (nonce, rest) = sealed.split_at_checked(NONCE).ok_or_else(wrong)?;
    let nonce = aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
    let mut buffer = rest.to_vec();
    let plain =
        key.cipher()?.open_in_place(nonce, aead::Aad::from(binding.bytes()), &mut buffer).map_err(|_| wrong())?;
    parse(plain).ok_or_else(wrong)
}

fn parse(plain: &[u8]) -> Option<Opened> {
    let mut fields = Fields(plain);
    if fields.byte()? != PLAIN_VERSION {
        return None;
    }
    let keys = commit_keys(fields.take(96)?)?;
    let flags = fields.byte()?;
    let subject = std::str::from_utf8(fields.counted()?).ok()?;
    let scope = std::str::from_utf8(fields.counted()?).ok()?;
    let claim = if flags & HAS_CLAIM != 0 {
        Some(Claim { scope: scope.to_owned(), fingerprint: fields.array()? })
    } else {
        None
    };
    let body = Body {
        subject: (flags & HAS_SUBJECT != 0).then(|| Arc::from(subject)),
        input: fields.counted()?.to_vec(),
        output: fields.counted()?.to_vec(),
        explanation: fields.counted()?.to_vec(),
        more: fields.counted()?.to_vec(),
    };
    fields.0.is_empty().then_some(Opened { body, claim, keys })
}
