//! Measures the ledger on a real disk: durable appends per second with 1, 32 and 256 writers beside the disk's own fsync rate
//! with groups of the same sizes in the same run; then, on a large ledger, the time of a proof and the rate of verifying.
//! Prints one JSON object per line.
//!
//! `cargo run --release -p tendon-ledger --example ledger_bench -- [FOLDER] [ENTRIES] [SECONDS]`; the defaults are a temporary
//! folder, 1,000,000 and 3. The folder must be on the disk in question, not on a file system in memory.
#![expect(clippy::print_stdout, reason = "the example's output")]
#![expect(clippy::expect_used, reason = "a benchmark that cannot run stops")]

use std::{path::PathBuf, sync::Arc, time::Duration};

use tendon_kernel::{
    Id,
    context::{Context, Open},
    sockets::{
        ledger::{Body, Draft, EntryKind, Facts, Ledger as _, ModelRef},
        secrets::{Key, Keys},
    },
};
use tendon_ledger::{Book, Opening, Parts, Settings, open, verify, verify_proof};
use tendon_platform::stores::sqlite::{Durability, SqliteStore};
use tokio::sync::mpsc;

/// Fixed keys: the benchmark keeps no secrets.
struct BenchKeys;

impl Keys for BenchKeys {
    fn key(&self, name: &str) -> tendon_kernel::Result<Key> {
        let mut key = [7; 32];
        key.iter_mut().zip(name.bytes()).for_each(|(byte, letter)| *byte = letter);
        Ok(Key(key))
    }
}

/// A decision as the path makes it: 700 bytes of input, 32 features, about another subject each time.
fn draft(context: &Context, facts: &Facts, number: u64) -> Draft {
    let id = Id::new(context);
    let body = Body {
        subject: Some(format!("subject-{number}").into()),
        input: vec![b'7'; 700],
        output: format!("{{\"id\":\"{id}\",\"output\":0.73,\"band\":\"green\",\"version\":\"1\"}}").into_bytes(),
        explanation: Vec::new(),
        more: vec![b'8'; 120],
    };
    Draft { facts: Facts { id, at: context.clock.now(), ..facts.clone() }, body, claim: None }
}

fn facts() -> Facts {
    Facts {
        kind: EntryKind::Decision,
        id: Id([0; 16]),
        at: tendon_kernel::Timestamp(0),
        integration: "lead-score".into(),
        model: Some(ModelRef { name: "lead-score".into(), version: "1".into(), digest: "ab".repeat(32).into() }),
        route: "champion".into(),
        reason: "ok".into(),
        caller: "key:bench".into(),
        policy: "cd".repeat(32).into(),
        plan: "ef".repeat(32).into(),
        retention: "default".into(),
        region: "eu".into(),
    }
}

async fn open_book(context: &Context, folder: &std::path::Path, name: &str) -> Arc<Book> {
    let store =
        SqliteStore::open(&folder.join(format!("{name}.db")), Durability::Projections).expect("the store opens");
    let parts = Parts {
        context: context.clone(),
        store: Arc::new(store),
        keys: Arc::new(BenchKeys),
        projections: Vec::new(),
        origin: "tendon.local/bench/main".into(),
        folder: format!("ledger/{name}"),
        settings: Settings::default(),
    };
    open(parts).await.expect("the ledger opens")
}

/// Appends and syncs groups of a size: the most that a ledger could do if it cost nothing.
async fn floor(context: &Context, group: u64, entry_bytes: u64, lasting: Duration) -> f64 {
    let file = context.disk.open(&format!("floor-{group}"), Open::ReadWrite).expect("a file opens");
    let bytes = vec![42; usize::try_from(group * entry_bytes).expect("a small group")];
    let start = context.clock.monotonic();
    let mut count = 0u64;
    while context.clock.monotonic() - start < lasting {
        file.write_at(&bytes, count * bytes.len() as u64).expect("the disk takes bytes");
        file.sync().await.expect("the disk syncs");
        count += 1;
    }
    let took = context.clock.monotonic() - start;
    context.disk.remove(&format!("floor-{group}")).expect("the file goes");
    count as f64 / took.as_secs_f64()
}

/// CPU seconds of this process so far, all threads (`/proc/self/stat`, fields 14 and 15, in ticks of 10 ms).
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}

async fn appends(context: &Context, folder: &std::path::Path, writers: u64, lasting: Duration) {
    let book = open_book(context, folder, &format!("w{writers}")).await;
    let facts = Arc::new(facts());
    let end = context.clock.monotonic() + lasting;
    let (done, mut all) = mpsc::unbounded_channel();
    let (start, cpu) = (context.clock.monotonic(), cpu_seconds());
    for writer in 0..writers {
        let (book, context, facts, done) = (Arc::clone(&book), context.clone(), Arc::clone(&facts), done.clone());
        let spawn = Arc::clone(&context.spawn);
        let work = async move {
            let mut waits = Vec::new();
            while context.clock.monotonic() < end {
                let number = writer << 32 | waits.len() as u64;
                let before = context.clock.monotonic();
                book.commit(vec![draft(&context, &facts, number)]).await.expect("the ledger takes the entry");
                waits.push(context.clock.monotonic() - before);
            }
            drop(done.send(waits));
        };
        spawn.spawn("writer", Box::pin(work));
    }
    drop(done);
    let mut waits = Vec::new();
    while let Some(mut some) = all.recv().await {
        waits.append(&mut some);
    }
    let took = (context.clock.monotonic() - start).as_secs_f64();
    let cpu = cpu_seconds() - cpu;
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let segments = folder.join(format!("ledger/w{writers}/segments"));
    let bytes: u64 = std::fs::read_dir(segments)
        .expect("segments are listed")
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .map(|metadata| metadata.len())
        .sum();
    let entry_bytes = bytes / waits.len() as u64;
    let floor_rate = floor(context, writers, entry_bytes, Duration::from_secs(1)).await;
    println!(
        "{{\"measure\":\"appends\",\"writers\":{writers},\"per_second\":{:.0},\"p50_ms\":{:.3},\"p99_ms\":{:.3},\
         \"cpu_us_per_entry\":{:.1},\"bytes_per_entry\":{entry_bytes},\"disk_syncs_per_second\":{floor_rate:.0},\
         \"share_of_floor\":{:.2}}}",
        waits.len() as f64 / took,
        at(0.5),
        at(0.99),
        cpu / waits.len() as f64 * 1e6,
        waits.len() as f64 / took / (floor_rate * writers as f64),
    );
    let start = context.clock.monotonic();
    book.close().await.expect("the ledger closes");
    let ms = (context.clock.monotonic() - start).as_secs_f64() * 1e3;
    println!("{{\"measure\":\"close\",\"after_writers\":{writers},\"ms\":{ms:.1}}}");
}

async fn large(context: &Context, folder: &std::path::Path, entries: u64) {
    let book = open_book(context, folder, "large").await;
    let facts = facts();
    let mut ids = Vec::new();
    let start = context.clock.monotonic();
    let mut number = 0;
    while number < entries {
        let drafts: Vec<Draft> =
            (number..(number + 512).min(entries)).map(|number| draft(context, &facts, number)).collect();
        number += drafts.len() as u64;
        ids.push(drafts[0].facts.id);
        book.commit(drafts).await.expect("the ledger takes the entries");
    }
    let per_second = entries as f64 / (context.clock.monotonic() - start).as_secs_f64();
    println!("{{\"measure\":\"load\",\"entries\":{entries},\"per_second\":{per_second:.0}}}");
    book.close().await.expect("the ledger closes");
    drop(book);
    let start = context.clock.monotonic();
    let book = open_book(context, folder, "large").await;
    let ms = (context.clock.monotonic() - start).as_secs_f64() * 1e3;
    println!("{{\"measure\":\"open\",\"entries\":{entries},\"ms\":{ms:.1}}}");
    let some: Vec<Id> = ids.iter().copied().step_by(1 + ids.len() / 200).collect();
    let start = context.clock.monotonic();
    for id in &some {
        let proof = book.proof(*id, Opening::default()).await.expect("a proof is made");
        verify_proof(&proof.text, book.public_key()).expect("the proof holds");
    }
    let ms = (context.clock.monotonic() - start).as_secs_f64() * 1e3 / some.len() as f64;
    println!("{{\"measure\":\"proof\",\"entries\":{entries},\"made_and_verified_ms\":{ms:.3}}}");
    book.close().await.expect("the ledger closes");
    let start = context.clock.monotonic();
    let options = verify::Options { keys: Some(&BenchKeys), tail: true, ..verify::Options::default() };
    let report = verify::verify(&*context.disk, "ledger/large", &options, &mut |_, _| {}).expect("verifying runs");
    assert!(report.is_good(), "{:?}", report.findings.first());
    let seconds = (context.clock.monotonic() - start).as_secs_f64();
    println!(
        "{{\"measure\":\"verify\",\"entries\":{},\"entries_per_second\":{:.0},\"mb_per_second\":{:.0}}}",
        report.entries,
        report.entries as f64 / seconds,
        report.bytes as f64 / seconds / 1e6,
    );
}

fn main() {
    let mut args = std::env::args().skip(1);
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let folder = args.next().map_or_else(|| temporary.path().to_path_buf(), PathBuf::from);
    let entries = args.next().map_or(1_000_000, |text| text.parse().expect("a number of entries"));
    let seconds = args.next().map_or(3, |text| text.parse().expect("a number of seconds"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        let context = tendon_platform::runtime::context(&folder).expect("the folder opens");
        for writers in [1, 32, 256] {
            appends(&context, &folder, writers, Duration::from_secs(seconds)).await;
        }
        if entries > 0 {
            large(&context, &folder, entries).await;
        }
    });
}
