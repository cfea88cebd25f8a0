//! Any one flipped bit of any file is found, and where an entry is concerned, the entry is named.

use std::sync::Arc;

use tendon_kernel::{
    Id,
    context::Disk as _,
    sockets::ledger::{EntryKind, Ledger as _},
};
use tendon_testkit::{MemDisk, Rng, TestKeys};

use super::{Bench, FOLDER, decision, facts, open_book};
use crate::{
    segment::{self, Reader},
    verify::{Options, Report, verify},
};

fn report(disk: &MemDisk, options: &Options<'_>) -> Report {
    verify(disk, FOLDER, options, &mut |_, _| {}).unwrap()
}

/// A closed ledger of 700 entries with several segments, full tiles and an erasure; gives its public key and an older
/// checkpoint.
fn closed(bench: &Bench) -> (String, String) {
    let (parts, context) = (bench.parts(), bench.sim.context());
    let run = async move {
        let book = open_book(parts).await;
        let mut older = String::new();
        for number in 0..699u64 {
            book.commit(vec![decision(&context, &format!("s{}", number % 40), number, None)]).await.unwrap();
            if number == 300 {
                older = book.checkpoint().await.unwrap();
            }
            if number == 400 {
                let erasure = facts(&context, EntryKind::Erasure, Id::new(&context));
                book.erase("s3", erasure).await.unwrap();
            }
        }
        book.close().await.unwrap();
        (book.public_key().to_owned(), older)
    };
    bench.sim.run(run).done()
}

/// The entry whose frame holds a byte of a segment; `None` for the header.
fn entry_at(disk: &MemDisk, path: &str, offset: u64) -> Option<u64> {
    let first: u64 = path.rsplit_once('/')?.1.strip_suffix(".seg")?.parse().ok()?;
    let mut reader = Reader::open(disk, FOLDER, first).unwrap().unwrap();
    if offset < segment::HEADER {
        return Some(first);
    }
    while reader.next().unwrap().unwrap().is_some() {
        if offset < reader.offset() {
            return Some(reader.seq() - 1);
        }
    }
    None
}

#[test]
fn every_flipped_bit_is_found_and_the_entry_named() {
    let bench = Bench::new(11);
    let (public_key, older) = closed(&bench);
    let disk: Arc<MemDisk> = bench.sim.disk();
    let keys = TestKeys::new(7);
    let full = Options { keys: Some(&keys), tail: true, ..Options::default() };
    let public = Options { public_key: Some(&public_key), tail: true, ..Options::default() };
    let live = Options { keys: Some(&keys), since: Some(&older), ..Options::default() };
    for options in [&full, &public, &live] {
        let report = report(&disk, options);
        assert_eq!(report.findings, []);
        assert_eq!((report.entries, report.checkpoint, report.erased), (700, 700, 1));
    }
    let files: Vec<(String, u64)> = disk
        .dump()
        .into_iter()
        .filter(|(path, bytes)| path.starts_with("ledger/") && !bytes.is_empty())
        .map(|(path, bytes)| (path, bytes.len() as u64))
        .collect();
    assert!(files.len() > 15, "{files:?}");
    let mut rng = Rng::new(5);
    let mut places = Vec::new();
    for (path, len) in &files {
        // Every byte of small files, and a few of each of the others: their ends, and anywhere.
        let few = 12 + if *len < 400 { *len } else { 0 };
        places.extend((0..few).map(|at| (path.clone(), if *len < 400 { at % len } else { rng.below(*len) })));
        places.extend([(path.clone(), 0), (path.clone(), len - 1)]);
    }
    for (number, (path, offset)) in places.into_iter().enumerate() {
        let entry = if path.ends_with(".seg") { entry_at(&disk, &path, offset) } else { None };
        let bit = u8::try_from(rng.below(8)).unwrap();
        assert!(disk.flip(&path, offset, bit));
        let options = [&full, &public, &live][number % 3];
        let report = report(&disk, options);
        assert!(!report.is_good(), "bit {bit} of byte {offset} of {path} was not found");
        let first = &report.findings[0];
        if let Some(entry) = entry {
            assert_eq!(first.entry, Some(entry), "byte {offset} of {path}: {first:?}");
        } else if path.contains("/tile/") {
            assert!(first.entry.is_some() && first.file == path, "byte {offset} of {path}: {first:?}");
        } else {
            assert_eq!(first.file, path, "byte {offset}");
        }
        assert!(disk.flip(&path, offset, bit));
    }
    assert!(report(&disk, &full).is_good());
}

#[test]
fn what_is_missing_added_or_cut_is_found() {
    let bench = Bench::new(12);
    closed(&bench);
    let disk = bench.sim.disk();
    let keys = TestKeys::new(7);
    let full = Options { keys: Some(&keys), tail: true, ..Options::default() };
    let last = disk.dump().into_keys().filter(|path| path.ends_with(".seg")).max().unwrap();
    for (path, bytes) in disk.dump().into_iter().filter(|(path, _)| path.starts_with("ledger/")) {
        disk.remove(&path).unwrap();
        assert!(!verify(&*disk, FOLDER, &full, &mut |_, _| {}).is_ok_and(|report| report.is_good()), "{path} is gone");
        disk.plant(&path, &bytes);
        for other in [[&bytes[..], b"x"].concat(), bytes[..bytes.len().saturating_sub(1)].to_vec()] {
            disk.plant(&path, &other);
            let found = report(&disk, &full);
            // What is added behind the last entry looks like the first write after the checkpoint that a kill cut off.
            let first_write = path == last && other.len() > bytes.len();
            let listed = found.unfinished.iter().map(|one| one.entry).eq([Some(700)]);
            assert_eq!(found.is_good(), first_write, "{path} has {} bytes, not {}", other.len(), bytes.len());
            assert_eq!(listed, first_write, "{path}: {:?}", found.unfinished);
        }
        disk.plant(&path, &bytes);
    }
    assert!(report(&disk, &full).is_good());
    disk.plant("ledger/main/tile/entries/009", b"x");
    assert!(!report(&disk, &full).is_good());
    disk.remove("ledger/main/tile/entries/009").unwrap();
    disk.plant("ledger/main/notes.txt", b"x");
    assert!(!report(&disk, &full).is_good());
}
