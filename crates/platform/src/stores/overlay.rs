//! Rows that are accepted but not yet in their tables. Most keys of projections are tokens, so they are random: written one
//! batch at a time, almost each row costs a page of its table, read, logged and written back. Here they gather in order
//! first; what goes into the tables are runs of neighbours, which share pages. A log table holds the same rows in the order
//! they came, so that nothing depends on this memory.
//!
//! Runs are taken round and round the keys: after a whole round, all that was here at its start is in the tables.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, btree_map},
    iter::Peekable,
    ops::Bound,
};

use tendon_kernel::sockets::store::{Change, Range};

/// Keys of one table; `None`: the row is gone.
type Rows = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Roughly what a row costs beside its bytes.
const ROW: usize = 96;

/// See the module's head.
#[derive(Default)]
pub(super) struct Overlay {
    tables: BTreeMap<String, Rows>,
    /// The rows of the last batches, newer than those in `tables`: seen at once, moved there a few at a time, so that no reader waits
    /// for thousands.
    young: BTreeMap<String, Rows>,
    bytes: usize,
    /// Last key taken.
    cursor: Option<(String, Vec<u8>)>,
}

/// How many neighbouring rows behind the cursor go into their tables next. The rows themselves stay where they are: nobody
/// changes the overlay before they are in their tables.
#[derive(Default)]
pub(super) struct Run {
    count: usize,
    /// The last of them.
    last: Option<(String, Vec<u8>)>,
    /// The last key was among them: the next run begins a new round.
    pub(super) ends_round: bool,
}

/// A row with its table; without a value: it is gone.
pub(super) type Seen<'a> = (&'a str, &'a [u8], Option<&'a [u8]>);

fn weight(key: &[u8], value: Option<&[u8]>) -> usize {
    ROW + key.len() + value.map_or(0, <[u8]>::len)
}

impl Overlay {
    /// Takes the rows of batches in, all at once; [`Overlay::settle_young`] before the next ones.
    pub(super) fn absorb(&mut self, rows: Young) {
        self.young = rows.0;
    }

    /// Moves some rows of the last batches to the others; whether there are more.
    pub(super) fn settle_young(&mut self, most: usize) -> bool {
        let mut left = most;
        while let Some(mut entry) = self.young.first_entry() {
            if !self.tables.contains_key(entry.key()) {
                self.tables.insert(entry.key().clone(), Rows::new());
            }
            let Some(rows) = self.tables.get_mut(entry.key()) else { break };
            while let Some((key, value)) = entry.get_mut().pop_first() {
                self.bytes += weight(&key, value.as_deref());
                let size = key.len();
                if let Some(old) = rows.insert(key, value) {
                    self.bytes = self.bytes.saturating_sub(ROW + size + old.map_or(0, |old| old.len()));
                }
                left -= 1;
                if left == 0 {
                    return true;
                }
            }
            entry.remove();
        }
        false
    }

    /// Roughly the memory in use.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is known of a row: its value, that it is gone, or nothing.
    pub(super) fn get(&self, table: &str, key: &[u8]) -> Option<Option<&[u8]>> {
        let known = self.young.get(table).and_then(|rows| rows.get(key));
        known.or_else(|| self.tables.get(table)?.get(key)).map(Option::as_deref)
    }

    /// The rows of a range in its order, those that are gone among them.
    fn range<'a>(&'a self, table: &str, range: &Range) -> Merged<'a> {
        let empty = range.to.as_ref().is_some_and(|to| *to <= range.from);
        let bounds = || {
            let to = range.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            (Bound::Included(range.from.as_slice()), to)
        };
        let of = |rows: Option<&'a Rows>| {
            let rows = rows.filter(|_| !empty).map(|rows| rows.range::<[u8], _>(bounds()));
            InRange { rows, descending: range.descending }.peekable()
        };
        let (young, old) = (of(self.young.get(table)), of(self.tables.get(table)));
        Merged { young, old, descending: range.descending }
    }

    /// Copies what reading a range needs: the rows up to the last one that can be among the first `limit`, those that are gone
    /// among them.
    pub(super) fn copy(&self, table: &str, range: &Range) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let (mut rows, mut there) = (Vec::new(), 0);
        for (key, value) in self.range(table, range) {
            if there == range.limit {
                break;
            }
            there += usize::from(value.is_some());
            rows.push((key.to_vec(), value.map(<[u8]>::to_vec)));
        }
        rows
    }

    /// The next rows of the round, at most so many.
    pub(super) fn run(&self, most: usize) -> Run {
        let mut rows = self.behind_cursor();
        let mut run = Run::default();
        let mut last = None;
        while run.count < most {
            let Some((table, key, _)) = rows.next() else { break };
            last = Some((table, key));
            run.count += 1;
        }
        run.ends_round = rows.next().is_none();
        run.last = last.map(|(table, key)| (table.to_owned(), key.to_vec()));
        run
    }

    /// The rows of a run that was not settled yet.
    pub(super) fn rows(&self, run: &Run) -> impl Iterator<Item = Seen<'_>> {
        self.behind_cursor().take(run.count)
    }

    fn behind_cursor(&self) -> impl Iterator<Item = Seen<'_>> {
        let cursor = self.cursor.as_ref();
        let first = cursor.map_or(Bound::Unbounded, |(table, _)| Bound::Included(table.as_str()));
        self.tables.range::<str, _>((first, Bound::Unbounded)).flat_map(move |(table, rows)| {
            let after = cursor.filter(|(at, _)| at == table).map(|(_, key)| key.as_slice());
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let rows = rows.range::<[u8], _>((from, Bound::Unbounded));
            rows.map(|(key, value)| (table.as_str(), key.as_slice(), value.as_deref()))
        })
    }

    /// The run is in the tables: takes some of its rows out; whether there are more.
    pub(super) fn settle(&mut self, run: &Run, most: usize) -> bool {
        let Some((last_table, last_key)) = &run.last else { return false };
        let cursor = self.cursor.as_ref();
        let first = cursor.map_or(Bound::Unbounded, |(table, _)| Bound::Included(table.as_str()));
        let mut left = most;
        for (table, rows) in self.tables.range_mut::<str, _>((first, Bound::Included(last_table.as_str()))) {
            let after = cursor.filter(|(at, _)| at == table).map(|(_, key)| key.clone());
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let to = if table == last_table { Bound::Included(last_key.clone()) } else { Bound::Unbounded };
            for (key, value) in rows.extract_if((from, to), |_, _| true).take(left) {
                self.bytes = self.bytes.saturating_sub(weight(&key, value.as_deref()));
                left -= 1;
            }
            if left == 0 {
                return true;
            }
        }
        false
    }

    /// The next run begins behind this one.
    pub(super) fn pass(&mut self, run: Run) {
        if run.ends_round {
            self.cursor = None;
        } else if run.last.is_some() {
            self.cursor = run.last;
        }
    }
}

/// Rows of a range.
struct InRange<'a> {
    rows: Option<btree_map::Range<'a, Vec<u8>, Option<Vec<u8>>>>,
    descending: bool,
}

impl<'a> Iterator for InRange<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.rows.as_mut()?;
        let (key, value) = if self.descending { rows.next_back() } else { rows.next() }?;
        Some((key, value.as_deref()))
    }
}

/// Rows of a range, young and old ones; of a key that is among both, the young one.
struct Merged<'a> {
    young: Peekable<InRange<'a>>,
    old: Peekable<InRange<'a>>,
    descending: bool,
}

impl<'a> Iterator for Merged<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.young.peek(), self.old.peek()) {
            (Some((young, _)), Some((old, _))) if self.descending => old.cmp(young),
            (Some((young, _)), Some((old, _))) => young.cmp(old),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        if order == Ordering::Equal {
            self.old.next();
        }
        if order == Ordering::Greater { self.old.next() } else { self.young.next() }
    }
}

/// The rows of batches in order, on their way into the overlay; the last one of a key stays.
#[derive(Default)]
pub(super) struct Young(BTreeMap<String, Rows>);

impl Young {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> FromIterator<(&'a str, Vec<u8>, Option<Vec<u8>>)> for Young {
    fn from_iter<I: IntoIterator<Item = (&'a str, Vec<u8>, Option<Vec<u8>>)>>(rows: I) -> Self {
        let mut tables: BTreeMap<String, Rows> = BTreeMap::new();
        for (table, key, value) in rows {
            match tables.get_mut(table) {
                Some(rows) => drop(rows.insert(key, value)),
                None => drop(tables.insert(table.to_owned(), Rows::from([(key, value)]))),
            }
        }
        Self(tables)
    }
}

fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Changes as one record of the log: table, key, and the value after a 1, or a 0 for a row that goes.
pub(super) fn record<'a>(changes: impl Iterator<Item = &'a Change>) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 << 10);
    for change in changes {
        push(&mut out, change.table.0.as_bytes());
        push(&mut out, &change.key);
        match &change.value {
            Some(value) => {
                out.push(1);
                push(&mut out, value);
            }
            None => out.push(0),
        }
    }
    out
}

/// The rows of a record; `None`: these bytes are no record.
pub(super) fn rows_of(record: &[u8]) -> Option<Vec<Seen<'_>>> {
    let mut rest = record;
    let mut rows = Vec::new();
    while !rest.is_empty() {
        let table = std::str::from_utf8(pull(&mut rest)?).ok()?;
        let key = pull(&mut rest)?;
        let (flag, after) = rest.split_first()?;
        rest = after;
        let value = match flag {
            0 => None,
            1 => Some(pull(&mut rest)?),
            _ => return None,
        };
        rows.push((table, key, value));
    }
    Some(rows)
}

fn pull<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let (bytes, after) = after.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    *rest = after;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use tendon_kernel::sockets::store::{Batch, Table};

    use super::*;

    fn absorb(overlay: &mut Overlay, rows: &[(&str, u8, Option<u8>)]) {
        overlay
            .absorb(rows.iter().map(|(table, key, value)| (*table, vec![*key], value.map(|one| vec![one]))).collect());
        while overlay.settle_young(1) {}
    }

    fn settle(overlay: &mut Overlay, run: Run) {
        while overlay.settle(&run, 1) {}
        overlay.pass(run);
    }

    #[test]
    fn a_round_takes_all_that_was_there_at_its_start() {
        let mut overlay = Overlay::default();
        absorb(&mut overlay, &[("a", 1, Some(1)), ("a", 9, Some(1)), ("b", 5, None)]);
        let first = overlay.run(2);
        assert_eq!((first.count, first.ends_round), (2, false));
        settle(&mut overlay, first);
        // Behind the cursor, so not of this round; the other one is ahead of it.
        absorb(&mut overlay, &[("a", 3, Some(2)), ("b", 6, Some(2))]);
        let second = overlay.run(9);
        assert_eq!(overlay.rows(&second).map(|row| row.1[0]).collect::<Vec<_>>(), [5, 6]);
        assert!(second.ends_round);
        settle(&mut overlay, second);
        assert_eq!(overlay.get("b", &[5]), None);
        assert_eq!(overlay.get("a", &[3]), Some(Some(&[2][..])));
        let third = overlay.run(9);
        settle(&mut overlay, third);
        assert_eq!(overlay.bytes(), 0);
    }

    /// At each moment of their way, readers see the rows of a batch over the older ones, in both directions.
    #[test]
    fn young_rows_are_seen_first_wherever_they_are() {
        let mut overlay = Overlay::default();
        absorb(&mut overlay, &[("a", 1, Some(1)), ("a", 3, Some(1)), ("a", 5, Some(1))]);
        let rows =
            [("a", vec![2], Some(vec![2])), ("a", vec![3], None), ("a", vec![5], Some(vec![2])), ("b", vec![1], None)];
        overlay.absorb(rows.into_iter().collect());
        let seen = [(vec![1], Some(vec![1])), (vec![2], Some(vec![2])), (vec![3], None), (vec![5], Some(vec![2]))];
        loop {
            let mut range = Range::prefix(&[], 9);
            assert_eq!(overlay.copy("a", &range), seen);
            range.descending = true;
            assert!(overlay.copy("a", &range).iter().eq(seen.iter().rev()));
            (range.limit, range.to) = (1, Some(vec![4]));
            assert_eq!(overlay.copy("a", &range), [(vec![3], None), (vec![2], Some(vec![2]))]);
            assert!(seen.iter().all(|(key, value)| overlay.get("a", key) == Some(value.as_deref())));
            assert_eq!(overlay.get("b", &[1]), Some(None));
            if !overlay.settle_young(1) {
                break;
            }
        }
        let run = overlay.run(9);
        assert_eq!(overlay.rows(&run).count(), 5);
        settle(&mut overlay, run);
        assert_eq!((overlay.bytes(), overlay.get("a", &[3])), (0, None));
    }

    #[test]
    fn records_are_read_back_and_others_refused() {
        let mut batch = Batch::default();
        batch.put(Table("t"), *b"key", *b"value");
        batch.delete(Table("other"), *b"");
        let bytes = record(batch.changes.iter());
        let rows = rows_of(&bytes).unwrap();
        assert_eq!(rows, [("t", &b"key"[..], Some(&b"value"[..])), ("other", &b""[..], None)]);
        for cut in 1..bytes.len() {
            // A shorter one is no record, or ends after a whole row.
            assert!(rows_of(&bytes[..cut]).is_none_or(|rows| rows.len() == 1), "{cut}");
        }
    }
}
