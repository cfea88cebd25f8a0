//! What a memory cache keeps: entries under a limit of bytes, the most useful ones by S3-FIFO (Yang et al., SOSP 2023). New
//! entries stand in a small line; who is asked for there moves to the main line, who is not leaves and is remembered by name
//! for a while, so that it goes to the main line at once if it comes back. In the main line, who was asked for gets another
//! round. Every step takes a constant number of moves, on average over all steps.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tendon_kernel::sockets::cache::CacheKey;

/// What an entry costs beside its value: its names in four places, and their rooms.
const OVERHEAD: usize = 224;
/// Most rounds that an entry gains by being asked for.
const MOST_ASKED: u8 = 3;

struct Entry {
    value: Arc<[u8]>,
    /// Monotonic.
    until: Duration,
    asked: u8,
    /// In the main line.
    main: bool,
    /// Tells its place in a line from those of entries before it under the same name.
    turn: u64,
}

type Line = VecDeque<(CacheKey, u64)>;

pub(super) struct Shelf {
    limit: usize,
    entries: HashMap<CacheKey, Entry>,
    /// Names by tag.
    tags: HashMap<[u8; 16], HashSet<[u8; 16]>>,
    small: Line,
    main: Line,
    /// Names that left the small line, and when they were put there.
    gone: HashMap<CacheKey, u64>,
    gone_line: Line,
    bytes: usize,
    small_bytes: usize,
    turn: u64,
}

impl Shelf {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            entries: HashMap::new(),
            tags: HashMap::new(),
            small: Line::new(),
            main: Line::new(),
            gone: HashMap::new(),
            gone_line: Line::new(),
            bytes: 0,
            small_bytes: 0,
            turn: 0,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&mut self, key: &CacheKey, now: Duration) -> Option<Arc<[u8]>> {
        let entry = self.entries.get_mut(key)?;
        if entry.until <= now {
            self.take(key);
            return None;
        }
        entry.asked = (entry.asked + 1).min(MOST_ASKED);
        Some(Arc::clone(&entry.value))
    }

    /// Keeps an entry; how many had to leave for it.
    pub(super) fn put(&mut self, key: CacheKey, value: Arc<[u8]>, until: Duration, now: Duration) -> u64 {
        let size = size(&value);
        let before = self.take(&key);
        if size > self.limit || until <= now {
            return 0;
        }
        let mut left = 0;
        while self.bytes + size > self.limit && self.evict(now) {
            left += 1;
        }
        self.turn += 1;
        let turn = self.turn;
        // A name that was here lately, or is replaced in the main line, has shown that it is asked for.
        let main = before.as_ref().is_some_and(|entry| entry.main) || self.gone.remove(&key).is_some();
        let asked = before.map_or(0, |entry| entry.asked);
        self.bytes += size;
        if main {
            self.main.push_back((key, turn));
        } else {
            self.small_bytes += size;
            self.small.push_back((key, turn));
        }
        self.tags.entry(key.tag).or_default().insert(key.key);
        self.entries.insert(key, Entry { value, until, asked, main, turn });
        self.tidy();
        left
    }

    /// Removes all entries of a tag.
    pub(super) fn remove(&mut self, tag: &[u8; 16]) {
        for key in self.tags.remove(tag).unwrap_or_default() {
            self.take(&CacheKey { tag: *tag, key });
        }
        self.tidy();
    }

    /// Takes an entry out; its place in a line stays behind and is passed over.
    fn take(&mut self, key: &CacheKey) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        let size = size(&entry.value);
        self.bytes -= size;
        if !entry.main {
            self.small_bytes -= size;
        }
        if let Some(names) = self.tags.get_mut(&key.tag) {
            names.remove(&key.key);
            if names.is_empty() {
                self.tags.remove(&key.tag);
            }
        }
        Some(entry)
    }

    /// Lets one entry go; false when there is none.
    fn evict(&mut self, now: Duration) -> bool {
        while !self.entries.is_empty() {
            let small = self.small_bytes * 10 >= self.limit || self.main.is_empty();
            let left = if small { self.pass_small(now) } else { self.pass_main(now) };
            if left {
                return true;
            }
        }
        false
    }

    /// Looks at the first of the small line; whether an entry left.
    fn pass_small(&mut self, now: Duration) -> bool {
        let Some((key, turn)) = self.small.pop_front() else { return false };
        let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.turn == turn && !entry.main) else {
            return false;
        };
        if entry.asked > 0 && entry.until > now {
            entry.main = true;
            entry.asked = 0;
            self.small_bytes -= size(&entry.value);
            self.main.push_back((key, turn));
            return false;
        }
        self.take(&key);
        self.gone.insert(key, turn);
        self.gone_line.push_back((key, turn));
        true
    }

    /// Looks at the first of the main line; whether an entry left.
    fn pass_main(&mut self, now: Duration) -> bool {
        let Some((key, turn)) = self.main.pop_front() else { return false };
        let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.turn == turn && entry.main) else {
            return false;
        };
        if entry.asked > 0 && entry.until > now {
            entry.asked -= 1;
            self.main.push_back((key, turn));
            return false;
        }
        self.take(&key);
        true
    }

    /// Keeps lines and remembered names in proportion to the entries: places of entries that left otherwise are dropped.
    fn tidy(&mut self) {
        let most = 2 * self.entries.len() + 64;
        let entries = &self.entries;
        if self.small.len() > most {
            self.small.retain(|(key, turn)| entries.get(key).is_some_and(|entry| entry.turn == *turn && !entry.main));
        }
        if self.main.len() > most {
            self.main.retain(|(key, turn)| entries.get(key).is_some_and(|entry| entry.turn == *turn && entry.main));
        }
        while self.gone_line.len() > entries.len().max(16) {
            let Some((key, turn)) = self.gone_line.pop_front() else { break };
            if self.gone.get(&key) == Some(&turn) {
                self.gone.remove(&key);
            }
        }
    }
}

fn size(value: &[u8]) -> usize {
    value.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> CacheKey {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&number.to_le_bytes());
        CacheKey { tag: [(number % 7) as u8; 16], key }
    }

    fn value(size: usize) -> Arc<[u8]> {
        vec![1; size].into()
    }

    const LATER: Duration = Duration::from_secs(100);

    /// What is asked for again and again outlasts a scan of a thousand times as many that are asked for once.
    #[test]
    fn a_scan_does_not_empty_it() {
        let mut shelf = Shelf::new(100 * (OVERHEAD + 100));
        let mut missed = 0;
        for round in 0..1000u64 {
            for hot in 0..20 {
                if shelf.get(&key(hot), Duration::ZERO).is_none() {
                    missed += 1;
                    shelf.put(key(hot), value(100), LATER, Duration::ZERO);
                }
            }
            for cold in 0..20 {
                shelf.put(key(1000 + round * 20 + cold), value(100), LATER, Duration::ZERO);
            }
        }
        assert!(missed < 60, "{missed} of 20000 were missed");
    }

    /// The books are right after any history, and nothing grows beyond its measure.
    #[test]
    fn the_books_are_right() {
        let mut shelf = Shelf::new(40 * (OVERHEAD + 50));
        let mut seed = 1_u64;
        let mut draw = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for step in 0..200_000 {
            let now = Duration::from_millis(step);
            match draw(10) {
                0..=4 => {
                    let until = now + Duration::from_millis(draw(300));
                    shelf.put(key(draw(200)), value(usize::try_from(draw(150)).unwrap()), until, now);
                }
                5..=8 => drop(shelf.get(&key(draw(200)), now)),
                _ => shelf.remove(&[u8::try_from(draw(7)).unwrap(); 16]),
            }
            assert!(shelf.bytes <= shelf.limit);
            if step % 100 == 0 {
                let sum = |main: bool| -> usize {
                    shelf.entries.values().filter(|entry| entry.main == main).map(|entry| size(&entry.value)).sum()
                };
                assert_eq!((sum(true) + sum(false), sum(false)), (shelf.bytes, shelf.small_bytes));
                let names: usize = shelf.tags.values().map(HashSet::len).sum();
                assert_eq!(names, shelf.entries.len());
                let in_line = |key: &CacheKey, entry: &Entry| {
                    let line = if entry.main { &shelf.main } else { &shelf.small };
                    line.iter().filter(|place| **place == (*key, entry.turn)).count() == 1
                };
                assert!(shelf.entries.iter().all(|(key, entry)| in_line(key, entry)));
                assert!(
                    shelf.small.len() <= 600 && shelf.main.len() <= 600 && shelf.gone.len() <= shelf.gone_line.len()
                );
            }
        }
    }
}
