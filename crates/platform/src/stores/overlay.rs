//! Rows that are accepted but not yet in their tables. Most keys of projections are tokens, so they are random: written one
//! batch at a time, almost each row costs a page of its table, read, logged and written back. Here they gather in order
//! first; what goes into the tables are runs of neighbours, which share pages. A log table holds the same rows in the order
//! they came, so that nothing depends on this memory.
//!
//! Runs are taken round and round the keys: after a whole round, all that was here at its start is in the tables.

use std::{
    collections::{BTreeMap, btree_map},
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
    bytes: usize,
    /// Last key taken.
    cursor: Option<(String, Vec<u8>)>,
}

/// Neighbouring rows on their way into their tables.
#[derive(Default)]
pub(super) struct Run {
    pub(super) rows: Vec<(String, Vec<u8>, Option<Vec<u8>>)>,
    /// The last key was among them: the next run begins a new round.
    pub(super) ends_round: bool,
}

fn weight(key: &[u8], value: Option<&[u8]>) -> usize {
    ROW + key.len() + value.map_or(0, <[u8]>::len)
}

impl Overlay {
    /// Takes rows in; the last one of a key stays.
    pub(super) fn absorb<'a>(&mut self, rows: impl Iterator<Item = (&'a str, &'a [u8], Option<&'a [u8]>)>) {
        for (table, key, value) in rows {
            if !self.tables.contains_key(table) {
                self.tables.insert(table.to_owned(), Rows::new());
            }
            let Some(rows) = self.tables.get_mut(table) else { continue };
            self.bytes += weight(key, value);
            if let Some(old) = rows.insert(key.to_vec(), value.map(<[u8]>::to_vec)) {
                self.bytes = self.bytes.saturating_sub(weight(key, old.as_deref()));
            }
        }
    }

    /// Roughly the memory in use.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is known of a row: its value, that it is gone, or nothing.
    pub(super) fn get(&self, table: &str, key: &[u8]) -> Option<Option<&[u8]>> {
        self.tables.get(table)?.get(key).map(Option::as_deref)
    }

    /// The rows of a range in its order, those that are gone among them.
    fn range(&self, table: &str, range: &Range) -> InRange<'_> {
        let empty = range.to.as_ref().is_some_and(|to| *to <= range.from);
        let rows = self.tables.get(table).filter(|_| !empty).map(|rows| {
            let to = range.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            rows.range::<[u8], _>((Bound::Included(range.from.as_slice()), to))
        });
        InRange { rows, descending: range.descending }
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
        let mut run = Run::default();
        let start = self.cursor.as_ref();
        let tables = match start {
            Some((table, _)) => self.tables.range::<str, _>((Bound::Included(table.as_str()), Bound::Unbounded)),
            None => self.tables.range::<str, _>(..),
        };
        for (table, rows) in tables {
            let after = start.filter(|(at, _)| at == table).map(|(_, key)| key.as_slice());
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            for (key, value) in rows.range::<[u8], _>((from, Bound::Unbounded)) {
                if run.rows.len() == most {
                    return run;
                }
                run.rows.push((table.clone(), key.clone(), value.clone()));
            }
        }
        run.ends_round = true;
        run
    }

    /// The run is in the tables.
    pub(super) fn settle(&mut self, run: &Run) {
        for (table, key, value) in &run.rows {
            if self.tables.get_mut(table).and_then(|rows| rows.remove(key)).is_some() {
                self.bytes = self.bytes.saturating_sub(weight(key, value.as_deref()));
            }
        }
        let last = run.rows.last().map(|(table, key, _)| (table.clone(), key.clone()));
        self.cursor = if run.ends_round { None } else { last.or_else(|| self.cursor.take()) };
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

fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Changes as one record of the log: table, key, and the value after a 1, or a 0 for a row that goes.
pub(super) fn record<'a>(changes: impl Iterator<Item = &'a Change>) -> Vec<u8> {
    let mut out = Vec::new();
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

/// One row of a record: table, key, value.
type Logged<'a> = (&'a str, &'a [u8], Option<&'a [u8]>);

/// The rows of a record; `None`: these bytes are no record.
pub(super) fn rows_of(record: &[u8]) -> Option<Vec<Logged<'_>>> {
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
        let owned: Vec<_> = rows.iter().map(|(table, key, value)| (*table, [*key], value.map(|one| [one]))).collect();
        overlay.absorb(owned.iter().map(|(table, key, value)| (*table, &key[..], value.as_ref().map(|one| &one[..]))));
    }

    #[test]
    fn a_round_takes_all_that_was_there_at_its_start() {
        let mut overlay = Overlay::default();
        absorb(&mut overlay, &[("a", 1, Some(1)), ("a", 9, Some(1)), ("b", 5, None)]);
        let first = overlay.run(2);
        assert_eq!((first.rows.len(), first.ends_round), (2, false));
        overlay.settle(&first);
        // Behind the cursor, so not of this round; the other one is ahead of it.
        absorb(&mut overlay, &[("a", 3, Some(2)), ("b", 6, Some(2))]);
        let second = overlay.run(9);
        assert_eq!(second.rows.iter().map(|row| row.1[0]).collect::<Vec<_>>(), [5, 6]);
        assert!(second.ends_round);
        overlay.settle(&second);
        assert_eq!(overlay.get("b", &[5]), None);
        assert_eq!(overlay.get("a", &[3]), Some(Some(&[2][..])));
        overlay.settle(&overlay.run(9));
        assert_eq!(overlay.bytes(), 0);
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
