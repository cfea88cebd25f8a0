//! Copies of rows that were looked up: used again while they are fresh, and longer when their system fails. Bounded in bytes;
//! found by a keyed hash of where and by which key they were read; gone when their time is over, and all of them whenever a
//! person is erased: which rows tell of that person cannot be known, and reading them again costs little.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tendon_kernel::{Timestamp, Value, sockets::ledger::Tokens};
use tendon_plan::lookup::LookupPlan;

/// Most bytes of all copies together.
const MOST_BYTES: usize = 32 << 20;
/// What a copy takes beside its texts: its places in both maps.
const FRAME: usize = 160;

/// By what a copy is found: nothing of the row can be told from it.
pub(super) type Token = [u8; 16];

/// A row as it was read, or the answer that there is none.
#[derive(Clone)]
pub(super) struct Copied {
    /// When it was asked for, by the monotonic clock and by the wall clock.
    pub(super) read: Duration,
    pub(super) at: Timestamp,
    /// The values; `None`: there was no such row.
    pub(super) values: Option<Vec<Value>>,
    until: Duration,
    bytes: usize,
}

#[derive(Default)]
struct Shelf {
    rows: BTreeMap<Token, Copied>,
    /// The same by the end of their time.
    ends: BTreeSet<(Duration, Token)>,
    bytes: usize,
    /// Grows with each erasure.
    cleared: u64,
}

/// All copies of an engine.
pub(crate) struct Copies {
    tokens: Arc<dyn Tokens>,
    most: usize,
    shelf: Mutex<Shelf>,
}

impl Copies {
    pub(crate) fn new(tokens: Arc<dyn Tokens>) -> Self {
        Self { tokens, most: MOST_BYTES, shelf: Mutex::default() }
    }

    /// Forgets everything; what is being read now is not kept either.
    pub(crate) fn clear(&self) {
        let mut shelf = self.shelf();
        let cleared = shelf.cleared + 1;
        *shelf = Shelf { cleared, ..Shelf::default() };
    }

    /// Counts erasures: what was read before one is not kept after it.
    pub(super) fn cleared(&self) -> u64 {
        self.shelf().cleared
    }

    /// By what the row with this (encoded) key is found.
    pub(super) fn token(&self, lookup: &LookupPlan, key: &str) -> Token {
        let mut text = String::with_capacity(128 + key.len());
        let names = [&*lookup.system, &*lookup.resource].into_iter();
        let names = names.chain(lookup.key.iter().map(|part| part.field.as_str()));
        // An empty name parts the key's fields from those that are read.
        for name in names.chain([""]).chain(lookup.fields.iter().map(String::as_str)) {
            // With its length, so that no other names give the same text.
            let _ = write!(text, "{}:{name}", name.len());
        }
        text.push_str(key);
        self.tokens.token("lookup", &text)
    }

    /// The copy, when it is no older than so long.
    pub(super) fn get(&self, token: &Token, now: Duration, oldest: Duration) -> Option<Copied> {
        let mut shelf = self.shelf();
        shelf.drop_old(now);
        let copy = shelf.rows.get(token)?;
        (now.saturating_sub(copy.read) <= oldest && !oldest.is_zero()).then(|| copy.clone())
    }

    /// Keeps a row for so long after it was asked for, unless somebody was erased since `cleared` was told.
    pub(super) fn put(
        &self,
        token: Token,
        read: (Duration, Timestamp),
        values: Option<Vec<Value>>,
        keep: Duration,
        cleared: u64,
    ) {
        if keep.is_zero() {
            return;
        }
        let texts = values.iter().flatten().map(|value| value.as_text().map_or(0, str::len));
        let bytes =
            FRAME + values.as_ref().map_or(0, |values| values.len() * size_of::<Value>()) + texts.sum::<usize>();
        let until = read.0.saturating_add(keep);
        let mut shelf = self.shelf();
        // Of two reads that overlap, the later one is kept.
        if shelf.cleared != cleared || shelf.rows.get(&token).is_some_and(|known| known.read > read.0) {
            return;
        }
        shelf.remove(&token);
        shelf.bytes += bytes;
        shelf.ends.insert((until, token));
        shelf.rows.insert(token, Copied { read: read.0, at: read.1, values, until, bytes });
        while shelf.bytes > self.most {
            let Some((_, token)) = shelf.ends.first().copied() else { break };
            shelf.remove(&token);
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn remove(&mut self, token: &Token) {
        if let Some(copy) = self.rows.remove(token) {
            self.ends.remove(&(copy.until, *token));
            self.bytes -= copy.bytes;
        }
    }

    fn drop_old(&mut self, now: Duration) {
        while let Some((until, token)) = self.ends.first().copied()
            && until < now
        {
            self.remove(&token);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Unused;

    impl Tokens for Unused {
        fn token(&self, _: &str, _: &str) -> [u8; 16] {
            [0; 16]
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn token(number: u16) -> Token {
        let mut token = [0; 16];
        token[..2].copy_from_slice(&number.to_le_bytes());
        token
    }

    fn text(copies: &Copies, number: u16, now: Duration, oldest: Duration) -> Option<String> {
        let copy = copies.get(&token(number), now, oldest)?;
        Some(copy.values.unwrap().first().unwrap().as_text().unwrap().to_owned())
    }

    fn put(copies: &Copies, number: u16, read: Duration, keep: Duration, text: &str) {
        let cleared = copies.cleared();
        copies.put(token(number), (read, Timestamp(0)), Some(vec![Value::text(text)]), keep, cleared);
    }

    #[test]
    fn a_row_is_kept_as_long_as_it_may_and_no_longer() {
        let copies = Copies::new(Arc::new(Unused));
        put(&copies, 1, SECOND, 10 * SECOND, "a");
        assert_eq!(text(&copies, 1, 3 * SECOND, 2 * SECOND).as_deref(), Some("a"));
        assert_eq!(text(&copies, 1, 4 * SECOND, 2 * SECOND), None, "too old for this use");
        assert_eq!(text(&copies, 1, 11 * SECOND, 60 * SECOND).as_deref(), Some("a"));
        assert_eq!(text(&copies, 1, 11 * SECOND + SECOND / 2, 60 * SECOND), None, "its time is over");
        let sizes = |shelf: MutexGuard<'_, Shelf>| (shelf.bytes, shelf.rows.len(), shelf.ends.len());
        assert_eq!(sizes(copies.shelf()), (0, 0, 0));
        put(&copies, 2, SECOND, Duration::ZERO, "a");
        assert!(copies.shelf().rows.is_empty(), "what may not be kept is not");
    }

    #[test]
    fn an_older_read_does_not_take_the_place_of_a_newer_one() {
        let copies = Copies::new(Arc::new(Unused));
        put(&copies, 1, 5 * SECOND, 10 * SECOND, "new");
        put(&copies, 1, 4 * SECOND, 10 * SECOND, "old");
        assert_eq!(text(&copies, 1, 6 * SECOND, 5 * SECOND).as_deref(), Some("new"));
    }

    #[test]
    fn the_bytes_are_bounded_and_what_ends_first_goes_first() {
        let copies = Copies { most: 20 * (FRAME + 400), ..Copies::new(Arc::new(Unused)) };
        for number in 0..500 {
            put(&copies, number, SECOND * u32::from(number % 7), 1000 * SECOND, &"x".repeat(usize::from(number % 300)));
            let shelf = copies.shelf();
            assert!(shelf.bytes <= copies.most);
            assert_eq!(shelf.bytes, shelf.rows.values().map(|copy| copy.bytes).sum::<usize>());
            assert_eq!(shelf.rows.len(), shelf.ends.len());
        }
        assert!(copies.shelf().rows.len() >= 20);
        assert!(copies.shelf().rows.values().all(|copy| copy.read >= 5 * SECOND), "the oldest went first");
    }

    #[test]
    fn an_erasure_forgets_what_is_kept_and_what_is_being_read() {
        let copies = Copies::new(Arc::new(Unused));
        put(&copies, 1, SECOND, 10 * SECOND, "a");
        let before = copies.cleared();
        copies.clear();
        copies.put(token(2), (SECOND, Timestamp(0)), None, 10 * SECOND, before);
        assert!(copies.shelf().rows.is_empty());
        assert_eq!(copies.shelf().bytes, 0);
        put(&copies, 2, SECOND, 10 * SECOND, "b");
        assert_eq!(text(&copies, 2, 2 * SECOND, 10 * SECOND).as_deref(), Some("b"));
    }
}
