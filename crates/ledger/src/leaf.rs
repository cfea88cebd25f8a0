//! The public half of an entry: a leaf of the tree. Canonical JSON as RFC 8785 has it (sorted keys, no white space; only
//! strings, whole numbers and objects appear), so that one entry has exactly one text and one hash.
//!
//! Written by hand because it is on the path of every decision; read through serde and compared with its own writing,
//! so that a text that is not canonical is refused.

use std::sync::Arc;

use serde::Deserialize;
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp,
    sockets::ledger::{EntryKind, Facts, ModelRef},
};

use crate::format::{MAX_LEAF, VERSION, corrupt, push_hex, unhex};

/// HMAC-SHA-256 commitments to the parts of the sealed payload; `None` for a part that is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Commits {
    pub(crate) input: Option<[u8; 32]>,
    pub(crate) output: Option<[u8; 32]>,
    pub(crate) explanation: Option<[u8; 32]>,
}

/// A leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) facts: Facts,
    /// Slot of the keyring whose key seals the payload.
    pub(crate) slot: u64,
    /// SHA-256 of the sealed payload.
    pub(crate) sealed: [u8; 32],
    pub(crate) commits: Commits,
    /// Slots that this entry erases.
    pub(crate) erased: Vec<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    at: Timestamp,
    caller: Arc<str>,
    commit: WireCommit,
    #[serde(default)]
    erased: Vec<u64>,
    id: Id,
    integration: Arc<str>,
    kind: EntryKind,
    model: Option<ModelRef>,
    plan: Arc<str>,
    policy: Arc<str>,
    reason: Arc<str>,
    region: Arc<str>,
    retention: Arc<str>,
    route: Arc<str>,
    sealed: String,
    slot: u64,
    v: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireCommit {
    explanation: Option<String>,
    input: Option<String>,
    output: Option<String>,
}

/// The word for a kind, as in the kernel's serde form.
pub(crate) fn kind_word(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Decision => "decision",
        EntryKind::Request => "request",
        EntryKind::Shadow => "shadow",
        EntryKind::Delivery => "delivery",
        EntryKind::Review => "review",
        EntryKind::Access => "access",
        EntryKind::Config => "config",
        EntryKind::Key => "key",
        EntryKind::Erasure => "erasure",
        EntryKind::Failure => "failure",
    }
}

impl Leaf {
    /// The canonical text.
    ///
    /// # Errors
    /// `Invalid` when it would be 2 KiB or longer, or the time has no four-digit year.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let facts = &self.facts;
        let at = facts.at.to_string();
        if at.len() != 27 || at.starts_with(['-', '+', '@']) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "entry_time",
                "the entry's time is outside the years 0 to 9999",
            ));
        }
        let mut out = Vec::with_capacity(1024);
        out.push(b'{');
        text(&mut out, "at", &at);
        text(&mut out, "caller", &facts.caller);
        out.extend_from_slice(b"\"commit\":{");
        commit(&mut out, "explanation", self.commits.explanation.as_ref());
        commit(&mut out, "input", self.commits.input.as_ref());
        commit(&mut out, "output", self.commits.output.as_ref());
        close(&mut out);
        if !self.erased.is_empty() {
            out.extend_from_slice(b"\"erased\":[");
            for slot in &self.erased {
                number(&mut out, *slot);
                out.push(b',');
            }
            out.pop();
            out.extend_from_slice(b"],");
        }
        text(&mut out, "id", &facts.id.to_string());
        text(&mut out, "integration", &facts.integration);
        text(&mut out, "kind", kind_word(facts.kind));
        if let Some(model) = &facts.model {
            out.extend_from_slice(b"\"model\":{");
            text(&mut out, "digest", &model.digest);
            text(&mut out, "name", &model.name);
            text(&mut out, "version", &model.version);
            close(&mut out);
        }
        text(&mut out, "plan", &facts.plan);
        text(&mut out, "policy", &facts.policy);
        text(&mut out, "reason", &facts.reason);
        text(&mut out, "region", &facts.region);
        text(&mut out, "retention", &facts.retention);
        text(&mut out, "route", &facts.route);
        commit(&mut out, "sealed", Some(&self.sealed));
        out.extend_from_slice(b"\"slot\":");
        number(&mut out, self.slot);
        out.extend_from_slice(b",\"v\":");
        number(&mut out, u64::from(VERSION));
        out.push(b'}');
        if out.len() > MAX_LEAF {
            return Err(Error::new(ErrorKind::Invalid, "leaf_too_large", "the entry's public part is 2 KiB or longer")
                .hint("shorten names of integration, model, caller or region")
                .with("bytes", out.len()));
        }
        Ok(out)
    }

    /// Reads a leaf.
    ///
    /// # Errors
    /// `Corrupt` when the text is no leaf, of an unknown version, or not canonical.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let wrong = |why: &'static str| corrupt("ledger_leaf", why);
        let wire: Wire = serde_json::from_slice(bytes).map_err(|_| wrong("the entry's leaf is no leaf"))?;
        if wire.v != VERSION {
            return Err(wrong("the entry's leaf has an unknown format version").with("version", wire.v));
        }
        let digest = |text: Option<String>| match text {
            None => Ok(None),
            Some(text) => unhex::<32>(&text).map(Some).ok_or_else(|| wrong("a digest in the leaf is malformed")),
        };
        let leaf = Self {
            facts: Facts {
                kind: wire.kind,
                id: wire.id,
                at: wire.at,
                integration: wire.integration,
                model: wire.model,
                route: wire.route,
                reason: wire.reason,
                caller: wire.caller,
                policy: wire.policy,
                plan: wire.plan,
                retention: wire.retention,
                region: wire.region,
            },
            slot: wire.slot,
            sealed: digest(Some(wire.sealed))?.unwrap_or_default(),
            commits: Commits {
                input: digest(wire.commit.input)?,
                output: digest(wire.commit.output)?,
                explanation: digest(wire.commit.explanation)?,
            },
            erased: wire.erased,
        };
        if leaf.encode().ok().as_deref() != Some(bytes) {
            return Err(wrong("the entry's leaf is not in canonical form"));
        }
        Ok(leaf)
    }
}

fn close(out: &mut Vec<u8>) {
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.extend_from_slice(b"},");
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    push_string(out, value);
    out.push(b',');
}

fn commit(out: &mut Vec<u8>, name: &str, value: Option<&[u8; 32]>) {
    if let Some(value) = value {
        key(out, name);
        out.push(b'"');
        push_hex(out, value);
        out.extend_from_slice(b"\",");
    }
}

fn number(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A JSON string as RFC 8785 writes it: the two-character escapes where they exist, `\u00xx` for other controls.
pub(crate) fn push_string(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    if value.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        out.extend_from_slice(value.as_bytes());
    } else {
        for byte in value.bytes() {
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                0x08 => out.extend_from_slice(b"\\b"),
                0x09 => out.extend_from_slice(b"\\t"),
                0x0a => out.extend_from_slice(b"\\n"),
                0x0c => out.extend_from_slice(b"\\f"),
                0x0d => out.extend_from_slice(b"\\r"),
                control if control < 0x20 => {
                    out.extend_from_slice(b"\\u00");
                    push_hex(out, &[control]);
                }
                other => out.push(other),
            }
        }
    }
    out.push(b'"');
}
