//! A proof of one decision in one small text file, C2SP `tlog-proof@v1`: position, inclusion proof, signed checkpoint. Its
//! `extra` field (which the format leaves to the application) carries the leaf and, where asked for, opened parts: content with
//! the key of its commitment. So a stranger checks it offline with nothing but the public key.

use serde::{Deserialize, Serialize};
use tendon_kernel::{
    Error, ErrorKind, Id, Result,
    sockets::ledger::{EntryKind, Facts},
};

use crate::{
    book::Book,
    checkpoint,
    format::{base64, corrupt, hex, unbase64, unhex},
    leaf::{Commits, Leaf},
    read::Stored,
    seal::commitment,
    tiles::TileNodes,
    tree::{Hash, leaf_hash, prove, root_of_proof},
};

const HEAD: &str = "c2sp.org/tlog-proof@v1";
const VERSION: u32 = 1;

/// Which parts of an entry's content a proof opens. By default none: the proof then tells the public facts alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// Raw input, looked-up rows and `now`.
    pub input: bool,
    /// The answer.
    pub output: bool,
    /// The explanation, where one was recorded.
    pub explanation: bool,
}

/// A proof file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile {
    /// Position of the entry proved.
    pub seq: u64,
    /// What the file holds; suggested extension `.tlog-proof`.
    pub text: String,
}

/// What a valid proof proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofReport {
    /// The log's name.
    pub origin: String,
    /// Position of the entry.
    pub seq: u64,
    /// Entries under the checkpoint in the proof.
    pub size: u64,
    /// The entry's public part.
    pub facts: Facts,
    /// Its leaf, as hashed.
    pub leaf: String,
    /// Opened input, proved to be the recorded one.
    pub input: Option<String>,
    /// Opened output, proved to be the recorded one.
    pub output: Option<String>,
    /// Opened explanation, proved to be the recorded one.
    pub explanation: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extra {
    leaf: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<Part>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<Part>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    explanation: Option<Part>,
    v: u32,
}

/// An opened part.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    content: String,
    key: String,
}

impl Part {
    fn open(wanted: bool, content: &[u8], key: &[u8; 32]) -> Result<Option<Self>> {
        if !wanted || content.is_empty() {
            return Ok(None);
        }
        let content = String::from_utf8(content.to_vec()).map_err(|_| {
            Error::new(ErrorKind::Unsupported, "proof_not_text", "a part of the entry is no text and cannot be opened")
        })?;
        Ok(Some(Self { content, key: hex(key) }))
    }

    /// The content, if it is what was committed to.
    fn check(self, commit: Option<[u8; 32]>) -> Option<String> {
        let key = unhex::<32>(&self.key)?;
        (commit == Some(commitment(&key, self.content.as_bytes()))).then_some(self.content)
    }
}

impl Book {
    /// Makes the proof of a decision; signs a checkpoint first when none covers it yet.
    ///
    /// # Errors
    /// `NotFound` when there is no such decision; `Gone` when parts are to be opened but were erased; `Unavailable` when
    /// the disk refuses.
    pub async fn proof(&self, id: Id, opening: Opening) -> Result<ProofFile> {
        let inner = &self.inner;
        let entries = inner.read_id(id).await?;
        let entry = entries.iter().find(|entry| entry.facts.kind == EntryKind::Decision).or(entries.first());
        let seq =
            entry.ok_or_else(|| Error::new(ErrorKind::NotFound, "no_such_decision", "no decision has this id"))?.seq;
        if inner.covered.get() <= seq {
            inner.publish().await?;
        }
        inner.wait_projected(seq).await;
        let place = inner.place(seq).await?;
        let place = place.ok_or_else(|| corrupt("ledger_entry", "an entry cannot be found").with("entry", seq))?;
        let stored = inner.stored(seq, place)?;
        let extra = extra(&stored, opening)?;
        // While the lock is held no newer checkpoint removes the tiles that this one needs.
        let publisher = inner.publisher.lock().await;
        let size = publisher.head().size;
        let mut nodes = TileNodes { disk: &*inner.context.disk, folder: &inner.folder, size, read: Default::default() };
        let path = prove(&mut nodes, seq, size)?;
        let mut text = format!("{HEAD}\nextra {}\nindex {seq}\n", base64(extra.as_bytes()));
        for hash in &path {
            text.push_str(&base64(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(publisher.text());
        Ok(ProofFile { seq, text })
    }
}

fn extra(stored: &Stored, opening: Opening) -> Result<String> {
    let leaf = String::from_utf8(stored.text.clone()).map_err(|_| corrupt("ledger_leaf", "the leaf is no text"))?;
    let mut extra = Extra { leaf, input: None, output: None, explanation: None, v: VERSION };
    if opening != Opening::default() {
        let opened = stored.opened.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Gone, "decision_erased", "the decision's content was erased")
                .hint("prove it without opening any part")
        })?;
        extra.input = Part::open(opening.input, &opened.body.input, &opened.keys.input)?;
        extra.output = Part::open(opening.output, &opened.body.output, &opened.keys.output)?;
        extra.explanation = Part::open(opening.explanation, &opened.body.explanation, &opened.keys.explanation)?;
    }
    serde_json::to_string(&extra).map_err(|_| crate::format::defect("write a proof"))
}

/// Checks a proof file with nothing but the log's public key (`origin+hash+base64`).
///
/// # Errors
/// `Invalid` when file or key are malformed; `Corrupt` when the proof does not hold, saying which part.
pub fn verify_proof(text: &str, public_key: &str) -> Result<ProofReport> {
    let wrong = |why: &'static str| Error::new(ErrorKind::Corrupt, "proof_invalid", why);
    let malformed = || Error::new(ErrorKind::Invalid, "not_a_proof", "the file is no tlog-proof of a decision");
    let parsed = parse(text).ok_or_else(malformed)?;
    let head = checkpoint::verify(parsed.checkpoint, public_key.trim_end())?;
    let extra: Extra = serde_json::from_slice(&parsed.extra).map_err(|_| malformed())?;
    if extra.v != VERSION {
        return Err(Error::new(ErrorKind::Unsupported, "proof_version", "the proof was made by a later version"));
    }
    let root = root_of_proof(leaf_hash(extra.leaf.as_bytes()), parsed.index, head.size, &parsed.path);
    if root != Some(head.root) {
        return Err(wrong("the entry is not in the log that the checkpoint signs"));
    }
    let Leaf { facts, commits, .. } = Leaf::decode(extra.leaf.as_bytes())?;
    let Commits { input, output, explanation } = commits;
    let check =
        |part: Option<Part>, commit, why| part.map(|part| part.check(commit).ok_or_else(|| wrong(why))).transpose();
    Ok(ProofReport {
        origin: checkpoint::origin_of(public_key).to_owned(),
        seq: parsed.index,
        size: head.size,
        facts,
        input: check(extra.input, input, "the input shown is not the one recorded")?,
        output: check(extra.output, output, "the output shown is not the one recorded")?,
        explanation: check(extra.explanation, explanation, "the explanation shown is not the one recorded")?,
        leaf: extra.leaf,
    })
}

struct Parsed<'a> {
    extra: Vec<u8>,
    index: u64,
    path: Vec<Hash>,
    checkpoint: &'a str,
}

fn parse(text: &str) -> Option<Parsed<'_>> {
    let (proof, checkpoint) = text.split_once("\n\n")?;
    let mut lines = proof.split('\n');
    if lines.next()? != HEAD {
        return None;
    }
    let extra = unbase64(lines.next()?.strip_prefix("extra ")?)?;
    let number = lines.next()?.strip_prefix("index ")?;
    let index: u64 = number.parse().ok()?;
    let path = lines.map(|line| unbase64(line)?.try_into().ok()).collect::<Option<Vec<Hash>>>()?;
    // 63 is the height of the tallest tree that a 64-bit size can have.
    (index.to_string() == number && path.len() <= 63).then_some(Parsed { extra, index, path, checkpoint })
}
