//! A ledger of format version 1, as the version that introduced it wrote it: later versions must open, verify and read it.
//! `TENDON_BLESS=1 cargo test -p tendon-ledger fixture` makes it anew, which is right only for a new format version.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};
use tendon_kernel::{
    Id, Result,
    sockets::{
        ledger::{EntryKind, Facts, Ledger as _},
        secrets::{Key, Keys},
    },
};
use tendon_testkit::TestKeys;

use super::{Bench, FOLDER, decision, facts, open_book};
use crate::{
    Parts,
    format::{hex, unhex},
    proof::{Opening, verify_proof},
    verify::{Options, verify},
};

/// Keys as they were when the fixture was made.
#[derive(Serialize, Deserialize)]
struct Fixture {
    keys: BTreeMap<String, String>,
    public_key: String,
    proof: String,
    entries: Vec<Expected>,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Expected {
    facts: Facts,
    /// Input, output, explanation, more; `None`: erased.
    body: Option<[String; 4]>,
}

impl Keys for Fixture {
    fn key(&self, name: &str) -> Result<Key> {
        Ok(Key(unhex(&self.keys[name]).unwrap()))
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

async fn expected(book: &crate::Book) -> Vec<Expected> {
    let mut out = Vec::new();
    for seq in 0..book.state().size {
        let entry = book.entry(seq).await.unwrap().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let body = entry.body.map(|body| [body.input, body.output, body.explanation, body.more].map(text));
        out.push(Expected { facts: entry.facts, body });
    }
    out
}

fn bless() {
    let mut bench = Bench::new(51);
    bench.settings.segment_bytes = 6000;
    bench.settings.slots_ahead = 6;
    let (parts, context) = (bench.parts(), bench.sim.context());
    let run = async move {
        let book = open_book(parts).await;
        let mut first = None;
        for number in 0..9u64 {
            let mut draft =
                decision(&context, &format!("Erika \"{}\" Mü", number % 3), number, Some(&format!("key {number}")));
            draft.body.explanation = b"{\"why\":\"because\"}".to_vec();
            first.get_or_insert(draft.facts.id);
            book.commit(vec![draft]).await.unwrap();
        }
        let mut access = decision(&context, "", 9, None);
        (access.body.subject, access.facts.kind, access.facts.model) = (None, EntryKind::Access, None);
        book.commit(vec![access]).await.unwrap();
        book.erase("Erika \"1\" Mü", facts(&context, EntryKind::Erasure, Id::new(&context))).await.unwrap();
        let all = Opening { input: true, output: true, explanation: true };
        let proof = book.proof(first.unwrap(), all).await.unwrap().text;
        book.close().await.unwrap();
        let key = |name: &str| (name.to_owned(), hex(&TestKeys::new(7).key(name).unwrap().0));
        let keys = ["ledger-signing", "ledger-slots", "tokens"].into_iter().map(key).collect();
        Fixture { keys, public_key: book.public_key().to_owned(), proof, entries: expected(&book).await }
    };
    let fixture = bench.sim.run(run).done();
    fs::write(folder().join("expected.json"), serde_json::to_string_pretty(&fixture).unwrap() + "\n").unwrap();
    for (path, bytes) in bench.sim.disk().dump() {
        if let Some(path) = path.strip_prefix("ledger/main/") {
            let path = folder().join("ledger").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

fn files(folder: &std::path::Path, below: &str, out: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{below}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), &name, out);
        } else {
            out.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

#[test]
fn a_ledger_of_version_1_opens_and_verifies() {
    if std::env::var_os("TENDON_BLESS").is_some() {
        drop(fs::remove_dir_all(folder()));
        fs::create_dir_all(folder()).unwrap();
        bless();
    }
    let bench = Bench::new(52);
    let disk = bench.sim.disk();
    let mut all = BTreeMap::new();
    files(&folder().join("ledger"), FOLDER, &mut all);
    assert!(all.len() > 6, "{:?}", all.keys());
    all.iter().for_each(|(path, bytes)| disk.plant(path, bytes));
    let fixture: Fixture = serde_json::from_slice(&fs::read(folder().join("expected.json")).unwrap()).unwrap();
    let fixture = Arc::new(fixture);
    let options =
        Options { keys: Some(&*fixture), public_key: Some(&fixture.public_key), tail: true, ..Options::default() };
    let report = verify(&*disk, FOLDER, &options, &mut |_, _| {}).unwrap();
    assert_eq!((report.findings, report.entries, report.erased), (vec![], 11, 1));
    let proof = verify_proof(&fixture.proof, &fixture.public_key).unwrap();
    assert_eq!((proof.seq, proof.explanation.as_deref()), (0, Some("{\"why\":\"because\"}")));
    let parts = Parts { keys: Arc::clone(&fixture) as _, ..bench.parts() };
    let context = bench.sim.context();
    let run = async move {
        let book = open_book(parts).await;
        assert_eq!(expected(&book).await, fixture.entries);
        let old = book.claimed(&decision(&context, "", 0, Some("key 0")).claim.unwrap()).await.unwrap();
        assert!(old.is_some(), "claims are found again");
        book.commit(vec![decision(&context, "Erika \"0\" Mü", 12, None)]).await.unwrap();
        book.close().await.unwrap();
    };
    bench.sim.run(run).done();
    let keys = TestKeys::new(7);
    let options = Options { keys: Some(&keys), tail: true, ..Options::default() };
    assert!(verify(&*disk, FOLDER, &options, &mut |_, _| {}).is_ok_and(|report| report.entries == 12));
}
