//! Cursors of lists: the position where the next page begins, with a keyed check over it and the filters, so that a cursor can
//! neither be made up nor carried over to another list.

use tendon_kernel::{Error, ErrorKind, Result, sockets::ledger::Tokens};

use crate::keys::hex;

/// Bytes of the check that stand in a cursor.
const CHECK: usize = 10;

/// The cursor of a position in the list that `filters` names.
pub(super) fn write(tokens: &dyn Tokens, position: u64, filters: &str) -> String {
    let check = tokens.token("cursor", &format!("{position} {filters}"));
    format!("{position:x}.{}", hex(check.get(..CHECK).unwrap_or_default()))
}

/// The position of a cursor.
///
/// # Errors
/// `Invalid` when it was not made here for this list.
pub(super) fn read(tokens: &dyn Tokens, cursor: &str, filters: &str) -> Result<u64> {
    let position = cursor.split_once('.').and_then(|(digits, _)| u64::from_str_radix(digits, 16).ok());
    position.filter(|position| write(tokens, *position, filters) == cursor).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "cursor", "the cursor is none of this list")
            .hint("take the address in the header `Link: <…>; rel=\"next\"` as it is, with the same filters")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sum;

    impl Tokens for Sum {
        fn token(&self, kind: &str, text: &str) -> [u8; 16] {
            let mut out = [7_u8; 16];
            for (at, byte) in kind.bytes().chain(text.bytes()).enumerate() {
                out[at % CHECK] = out[at % CHECK].wrapping_mul(31).wrapping_add(byte);
            }
            out
        }
    }

    #[test]
    fn a_cursor_fits_its_own_list_only() {
        let cursor = write(&Sum, 4711, "integration=a");
        assert_eq!(read(&Sum, &cursor, "integration=a").unwrap(), 4711);
        let other = cursor.replacen('1', "2", 1);
        for (cursor, filters) in
            [(cursor.as_str(), "integration=b"), (&other, "integration=a"), ("", ""), ("zz.", ""), ("1267", "")]
        {
            assert_eq!(read(&Sum, cursor, filters).unwrap_err().code(), "cursor", "{cursor} {filters}");
        }
    }
}
