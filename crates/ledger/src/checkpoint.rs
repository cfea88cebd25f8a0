//! Checkpoints: the tree's size and root, signed. C2SP `tlog-checkpoint` inside a C2SP `signed-note` with one Ed25519
//! signature, so that public tools verify it.

use signed_note::{Note, Signer as _, StandardSigner, StandardVerifier, Verifier as _, VerifierList};
use tendon_kernel::{Error, ErrorKind, Result, sockets::secrets::Key};

use crate::{
    format::{base64, corrupt, defect, hex, sha256, unbase64},
    tree::Hash,
};

/// A tree's size and root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

/// Signs checkpoints of one origin.
pub(crate) struct Signer {
    origin: String,
    signer: StandardSigner,
    public_key: String,
}

/// Algorithm byte of Ed25519 in signed notes.
const ED25519: u8 = 1;

/// The key id of a note's signer: the first four bytes of SHA-256(name, newline, algorithm, key).
fn key_id(name: &str, key: &[u8]) -> String {
    let mut text = Vec::from(name.as_bytes());
    text.push(b'\n');
    text.extend_from_slice(key);
    hex(&sha256(&text)[..4])
}

impl Signer {
    /// A signer with the seed of an Ed25519 key (RFC 8032).
    ///
    /// # Errors
    /// `Config` when the origin cannot name a note's key.
    pub(crate) fn new(origin: &str, seed: &Key) -> Result<Self> {
        if !signed_note::is_key_name_valid(origin) {
            return Err(Error::new(
                ErrorKind::Config,
                "ledger_origin",
                "the ledger's origin must have no space and no plus",
            )
            .with("origin", origin));
        }
        let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(&seed.0).map_err(|_| defect("use its key"))?;
        let mut public = vec![ED25519];
        public.extend_from_slice(ring::signature::KeyPair::public_key(&pair).as_ref());
        let mut private = vec![ED25519];
        private.extend_from_slice(&seed.0);
        let id = key_id(origin, &public);
        let signer = StandardSigner::new(&format!("PRIVATE+KEY+{origin}+{id}+{}", base64(&private)))
            .map_err(|_| defect("make its signer"))?;
        Ok(Self { origin: origin.to_owned(), public_key: format!("{origin}+{id}+{}", base64(&public)), signer })
    }

    /// The key to verify with, in the form of signed notes: `origin+hash+base64`.
    pub(crate) fn public_key(&self) -> &str {
        &self.public_key
    }

    /// A signed checkpoint.
    ///
    /// # Errors
    /// `Internal` when signing fails, which it cannot.
    pub(crate) fn sign(&self, head: &Head) -> Result<String> {
        debug_assert_eq!(self.signer.name(), self.origin, "the signer bears the origin's name");
        let text = format!("{}\n{}\n{}\n", self.origin, head.size, base64(&head.root));
        let mut note = Note::new(text.as_bytes(), &[]).map_err(|_| defect("make a checkpoint"))?;
        note.add_sigs(&[&self.signer]).map_err(|_| defect("sign a checkpoint"))?;
        String::from_utf8(note.to_bytes()).map_err(|_| defect("write a checkpoint"))
    }
}

/// The origin in a public key.
pub(crate) fn origin_of(public_key: &str) -> &str {
    public_key.split('+').next().unwrap_or_default()
}

/// Verifies a signed checkpoint; it must be exactly as [`Signer::sign`] writes it.
///
/// # Errors
/// `Invalid` when the key is no verifier key; `Corrupt` when the checkpoint does not verify.
pub(crate) fn verify(text: &str, public_key: &str) -> Result<Head> {
    let wrong = |why: &'static str| corrupt("ledger_checkpoint", why);
    let verifier = StandardVerifier::new(public_key).map_err(|_| {
        Error::new(ErrorKind::Invalid, "not_a_key", "the text is no verifier key")
            .hint("it looks like example.com/log+0123abcd+AbCd…=; `ledger.pub` in the ledger's folder holds it")
    })?;
    let origin = verifier.name().to_owned();
    let note = Note::from_bytes(text.as_bytes()).map_err(|_| wrong("the checkpoint is no signed note"))?;
    let (good, _) = note
        .verify(&VerifierList::new(vec![Box::new(verifier)]))
        .map_err(|_| wrong("the checkpoint's signature does not verify"))?;
    if good.len() != 1 || note.to_bytes() != text.as_bytes() {
        return Err(wrong("the checkpoint is not in its canonical form"));
    }
    parse(note.text(), &origin).ok_or_else(|| wrong("the checkpoint's text is malformed"))
}

fn parse(text: &[u8], origin: &str) -> Option<Head> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.split('\n');
    if lines.next()? != origin {
        return None;
    }
    let size_text = lines.next()?;
    let size: u64 = size_text.parse().ok()?;
    let root: Hash = unbase64(lines.next()?)?.try_into().ok()?;
    (size.to_string() == size_text && lines.next() == Some("") && lines.next().is_none()).then_some(Head { size, root })
}
