//! Redis's protocol, version 2 (<https://redis.io/docs/latest/develop/reference/protocol-spec/>): commands out, replies in. A
//! library would bring cluster, pub/sub and connection managers; the cache needs one request form and five reply forms.

use tendon_kernel::{Error, ErrorKind, Result};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// Longest line of a reply: a number or an error.
const LINE: u64 = 64 * 1024;
/// Largest value taken.
const BULK: usize = 16 << 20;
/// Most members of a list, and how deep lists may lie in each other.
const MEMBERS: usize = 1 << 16;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A word (`OK`).
    Word(String),
    /// The server refuses.
    Refused(String),
    /// A number.
    Number(i64),
    /// Bytes; `None`: nothing is there.
    Bytes(Option<Vec<u8>>),
    /// Several.
    Many(Vec<Reply>),
}

/// Appends a command.
pub(super) fn command(out: &mut Vec<u8>, parts: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", parts.len()).as_bytes());
    for part in parts {
        out.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}

/// Reads one reply.
///
/// # Errors
/// `Unavailable` when the line breaks or what comes is no reply: the connection is of no use any more.
pub(super) async fn reply<R: AsyncBufRead + Unpin>(from: &mut R) -> Result<Reply> {
    // Lists in lists, without recursion: each level is what is still missing and what is there.
    let mut open: Vec<(usize, Vec<Reply>)> = Vec::new();
    loop {
        let mut done = match one(from).await? {
            Part::Whole(reply) => reply,
            Part::List(0) => Reply::Many(Vec::new()),
            Part::List(_) if open.len() == 4 => return Err(garbled("a list in lists")),
            Part::List(count) => {
                open.push((count, Vec::new()));
                continue;
            }
        };
        loop {
            let Some((missing, there)) = open.last_mut() else { return Ok(done) };
            there.push(done);
            *missing -= 1;
            if *missing > 0 {
                break;
            }
            let Some((_, there)) = open.pop() else { return Err(garbled("a list")) };
            done = Reply::Many(there);
        }
    }
}

enum Part {
    Whole(Reply),
    List(usize),
}

async fn one<R: AsyncBufRead + Unpin>(from: &mut R) -> Result<Part> {
    let mut line = Vec::new();
    (&mut *from).take(LINE).read_until(b'\n', &mut line).await.map_err(|error| broken(&error))?;
    if line.is_empty() {
        return Err(lost("the server closed the connection"));
    }
    let text = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok());
    let (kind, rest) = text.and_then(|text| text.split_at_checked(1)).ok_or_else(|| garbled("a line"))?;
    let number = || rest.parse::<i64>().map_err(|_| garbled("a number"));
    let size =
        |most: usize| usize::try_from(number()?).ok().filter(|size| *size <= most).ok_or_else(|| garbled("a size"));
    match kind {
        "+" => Ok(Part::Whole(Reply::Word(rest.to_owned()))),
        "-" => Ok(Part::Whole(Reply::Refused(rest.to_owned()))),
        ":" => Ok(Part::Whole(Reply::Number(number()?))),
        "$" if rest == "-1" => Ok(Part::Whole(Reply::Bytes(None))),
        "*" if rest == "-1" => Ok(Part::Whole(Reply::Bytes(None))),
        "$" => {
            let mut bytes = vec![0; size(BULK)? + 2];
            from.read_exact(&mut bytes).await.map_err(|error| broken(&error))?;
            if !bytes.ends_with(b"\r\n") {
                return Err(garbled("a value"));
            }
            bytes.truncate(bytes.len() - 2);
            Ok(Part::Whole(Reply::Bytes(Some(bytes))))
        }
        "*" => Ok(Part::List(size(MEMBERS)?)),
        _ => Err(garbled("a reply")),
    }
}

fn garbled(what: &str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "cache_garbled",
        "what answers is no Redis server, or the line changes what it says",
    )
    .hint("`cache.redis.url` names host and port; `rediss://` where the server speaks TLS")
    .private(what)
}

pub(super) fn broken(error: &std::io::Error) -> Error {
    lost("the connection to Redis broke").private(error)
}

pub(super) fn lost(what: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, "cache_lost", what).hint("decisions go on without the cache until it is back")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Reply> {
        let mut bytes = bytes;
        futures_util::FutureExt::now_or_never(reply(&mut bytes)).unwrap()
    }

    #[test]
    fn every_form_of_reply_is_read() {
        let many = Reply::Many(vec![
            Reply::Bytes(Some(b"a\r\nb".to_vec())),
            Reply::Bytes(None),
            Reply::Many(vec![Reply::Number(-7), Reply::Many(Vec::new())]),
            Reply::Refused("ERR no".into()),
        ]);
        assert_eq!(read(b"*4\r\n$4\r\na\r\nb\r\n$-1\r\n*2\r\n:-7\r\n*0\r\n-ERR no\r\n").unwrap(), many);
        assert_eq!(read(b"+OK\r\n").unwrap(), Reply::Word("OK".into()));
        assert_eq!(read(b"$0\r\n\r\n").unwrap(), Reply::Bytes(Some(Vec::new())));
        let mut out = Vec::new();
        command(&mut out, &[b"GET", b"\x00\xff"]);
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$2\r\n\x00\xff\r\n");
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        let wrong: [&[u8]; 12] = [
            b"",
            b"\r\n",
            b"HTTP/1.1 400 Bad Request\r\n",
            b"$5\r\nab\r\n",
            b"$2\r\nabcd",
            b"$-2\r\n",
            b":x\r\n",
            b"$99999999999\r\n",
            b"*99999999\r\n",
            b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
            b"+OK",
            b"*2\r\n:1\r\n",
        ];
        for bytes in wrong {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_cut_reply_is_an_error(value in proptest::collection::vec(any::<u8>(), 0..40), at in 0usize..60) {
            let mut whole = format!("*2\r\n:1\r\n${}\r\n", value.len()).into_bytes();
            whole.extend_from_slice(&value);
            whole.extend_from_slice(b"\r\n");
            prop_assert!(read(&whole).is_ok());
            prop_assert!(read(&whole[..at.min(whole.len() - 1)]).is_err());
        }
    }
}
