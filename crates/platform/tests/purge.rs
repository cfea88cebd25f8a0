//! What is removed and purged stands nowhere in a store's files: not in a table, a log, a free page or the write-ahead log.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{collections::BTreeMap, path::Path};

use tendon_kernel::sockets::store::{Batch, Range, Store, Table};
use tendon_platform::{Durability, SqliteStore};
use tendon_testkit::rng::Rng;

const TABLES: [Table; 3] = [Table("subjects"), Table("claims"), Table("others")];

type Token = [u8; 16];

fn token(rng: &mut Rng) -> Token {
    std::array::from_fn(|_| u8::try_from(rng.below(256)).unwrap())
}

/// Zeros where a page of a tree holds nothing: between the list of its cells and the first of them.
fn without_gaps(file: &mut [u8]) {
    const PAGE: usize = 4096;
    for (number, page) in file.chunks_exact_mut(PAGE).enumerate() {
        let head = if number == 0 { 100 } else { 0 };
        let at = |place: usize| usize::from(u16::from_be_bytes([page[place], page[place + 1]]));
        let (cells, content) = (at(head + 3), at(head + 5));
        let list = head + if page[head] == 2 || page[head] == 5 { 12 } else { 8 };
        let end = list + 2 * cells;
        if [2, 5, 10, 13].contains(&page[head]) && end < content && content <= PAGE {
            page[end..content].fill(0);
        }
    }
}

/// How often one of the tokens stands in the store's files. `gaps`: also where pages hold nothing.
fn standing(path: &Path, tokens: &[Token], gaps: bool) -> usize {
    let mut bytes = std::fs::read(path).unwrap();
    if !gaps {
        without_gaps(&mut bytes);
    }
    bytes.extend(std::fs::read(format!("{}-wal", path.display())).unwrap());
    // By the first four bytes: few places are looked at closely.
    let mut first: BTreeMap<&[u8], Vec<&Token>> = BTreeMap::new();
    tokens.iter().for_each(|token| first.entry(&token[..4]).or_default().push(token));
    let holds = |part: &[u8]| first.get(&part[..4]).is_some_and(|some| some.iter().any(|token| token[..] == *part));
    bytes.windows(16).filter(|part| holds(part)).count()
}

/// People come and go, among many others, under stores that flush always, often and hardly ever.
#[tokio::test]
async fn what_was_removed_stands_nowhere_after_a_purge() {
    let mut found_before = 0;
    let whole = u64::MAX;
    // The last two files are not rewritten, as large ones are not: free pages are overwritten.
    for (seed, gathered, rewritten) in
        [(1, 0, whole), (2, 3_000, whole), (3, 60_000, whole), (4, 1_000_000, whole), (5, 0, 0), (6, 60_000, 0)]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = SqliteStore::open_sized(&path, Durability::Projections, gathered, rewritten).unwrap();
        let mut rng = Rng::stream(seed, "purge");
        let mut there: BTreeMap<(Table, Vec<u8>), Token> = BTreeMap::new();
        let mut gone = Vec::new();
        for _ in 0..5 {
            for _ in 0..12 {
                let mut batch = Batch::default();
                for _ in 0..rng.index(40) {
                    let (table, token) = (TABLES[rng.index(3)], token(&mut rng));
                    let mut key = token.to_vec();
                    key.extend(rng.below(1 << 40).to_be_bytes());
                    // Some values are long enough for pages of their own.
                    let mut value = vec![7; if rng.chance(1, 20) { 9_000 } else { rng.index(60) }];
                    value.extend(token);
                    batch.put(table, key.clone(), value);
                    there.insert((table, key), token);
                }
                store.write(batch).await.unwrap();
            }
            let mut batch = Batch::default();
            let all: Vec<_> = there.keys().cloned().collect();
            for _ in 0..rng.index(60) {
                let (table, key) = &all[rng.index(all.len())];
                if let Some(token) = there.remove(&(*table, key.clone())) {
                    batch.delete(*table, key.clone());
                    gone.push(token);
                }
            }
            store.write(batch).await.unwrap();
            found_before += standing(&path, &gone, true);
            store.purge().await.unwrap();
            assert_eq!(standing(&path, &gone, rewritten > 0), 0, "seed {seed}: of {} that went", gone.len());
            // And nothing else went.
            for table in TABLES {
                let rows = store.range(table, Range::prefix(&[], usize::MAX)).await.unwrap();
                let keys: Vec<_> = rows.into_iter().map(|(key, _)| key).collect();
                let wanted = there.keys().filter(|(of, _)| *of == table).map(|(_, key)| key.clone());
                assert_eq!(keys, wanted.collect::<Vec<_>>());
            }
        }
    }
    assert!(found_before > 100, "without a purge they would stand there: {found_before}");
}

#[tokio::test]
async fn a_purge_that_somebody_holds_up_says_so_and_is_made_good() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, Durability::Projections).unwrap();
    let (table, token) = (TABLES[0], token(&mut Rng::stream(1, "held")));
    let (mut put, mut delete) = (Batch::default(), Batch::default());
    put.put(table, token, *b"value");
    delete.delete(table, token);
    store.write(put).await.unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN; SELECT * FROM sqlite_schema").unwrap();
    store.write(delete).await.unwrap();
    assert_eq!(store.purge().await.unwrap_err().code(), "store_purge");
    assert!(standing(&path, &[token], true) > 0);
    other.execute_batch("COMMIT").unwrap();
    store.purge().await.unwrap();
    assert_eq!(standing(&path, &[token], true), 0);
}
