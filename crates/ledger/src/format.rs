//! The small change of the on-disk formats: sizes, hexadecimal and base64, a checked reader of binary fields, and the
//! errors that every file of this crate shares.

use std::io;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tendon_kernel::{Error, ErrorKind, Result};

/// Version of segments, leaves and sealed payloads. A change of any of them is a new version, and this one stays readable.
pub(crate) const VERSION: u32 = 1;
/// Longest leaf, in bytes: DESIGN promises less than 2 KiB, and entry bundles prefix leaves with 16 bits.
pub(crate) const MAX_LEAF: usize = 2047;
/// Longest sealed payload, in bytes.
pub(crate) const MAX_SEALED: usize = 64 << 20;

/// Stored bytes do not verify.
pub(crate) fn corrupt(code: &'static str, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Corrupt, code, message)
        .hint("run `tendon ledger verify`; restore the ledger's folder from a backup if it is damaged")
}

/// The disk refused.
pub(crate) fn disk_error(what: &'static str, path: &str, error: &io::Error) -> Error {
    let full = error.kind() == io::ErrorKind::StorageFull;
    let out = Error::new(
        ErrorKind::Unavailable,
        if full { "ledger_disk_full" } else { "ledger_disk" },
        format!("the ledger could not {what}"),
    )
    .with("file", path)
    .private(error);
    if full { out.hint("free some space on the disk; the ledger resumes by itself") } else { out }
}

/// A defect in this crate or a primitive that cannot fail with valid sizes.
pub(crate) fn defect(what: &'static str) -> Error {
    Error::new(ErrorKind::Internal, "ledger_defect", format!("the ledger could not {what}"))
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends lower-case hexadecimal.
pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    push_hex(&mut out, bytes);
    String::from_utf8(out).unwrap_or_default()
}

/// Reads lower-case hexadecimal of exactly `N` bytes.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| HEX.iter().position(|&one| one == byte);
    let text = text.as_bytes();
    if text.len() != N * 2 {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::try_from(digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?).ok()?;
    }
    Some(out)
}

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Strict standard base64: padding required, no stray bits.
pub(crate) fn unbase64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    out
}

/// Reads fields from bytes; every read is checked.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A key's number: big-endian, so that keys sort.
    pub(crate) fn u64_key(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Bytes after their 32-bit length.
    pub(crate) fn counted(&mut self) -> Option<&'a [u8]> {
        let count = self.u32()?;
        self.take(usize::try_from(count).ok()?)
    }
}

/// Appends bytes after their 32-bit length.
///
/// # Errors
/// `Invalid` above 4 GiB.
pub(crate) fn push_counted(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    let count = u32::try_from(bytes.len())
        .map_err(|_| Error::new(ErrorKind::Invalid, "entry_too_large", "a part of the entry is above 4 GiB"))?;
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}
