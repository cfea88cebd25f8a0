//! Recovery as a property: writers, erasures and faults under a seeded scheduler; the power goes at a random operation; the
//! ledger opens again, verifies, and holds what it promised. The same property must fail for each defect put in on purpose.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tendon_kernel::{
    Id,
    context::{Context, Open},
    sockets::ledger::{Body, Claim, Committed, EntryKind, Ledger as _, Query},
};
use tendon_testkit::{MemDisk, MemStore, Outcome, Rng, TestKeys};

use super::{Bench, FOLDER, decision, facts, parts};
use crate::{
    Book, Settings,
    book::Mutation,
    open,
    verify::{Options, verify},
};

const SUBJECTS: u64 = 6;

/// An acknowledged entry.
struct Acked {
    id: Id,
    subject: String,
    body: Body,
    /// An erasure of its subject was asked for.
    may_be_erased: bool,
    /// Such an erasure was acknowledged, and asked for after this was.
    must_be_erased: bool,
}

/// What the ledger promised.
#[derive(Default)]
struct Model {
    entries: BTreeMap<u64, Acked>,
    claims: BTreeMap<String, (Claim, u64, Id)>,
    /// Erasures of each subject that are under way, and that were ever asked for.
    erasing: BTreeMap<String, (u32, u32)>,
    checkpoints: Vec<String>,
    /// A promise broken while running.
    broken: Option<String>,
    number: u64,
}

type Shared = Arc<Mutex<Model>>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

async fn work(book: Arc<Book>, context: Context, model: Shared, mut rng: Rng, disk: Arc<MemDisk>) {
    for _ in 0..6 + rng.below(20) {
        match rng.below(24) {
            0 => erase(&book, &context, &model, format!("subject-{}", rng.below(SUBJECTS))).await,
            1 => disk.fail_next_sync(),
            2 => disk.capacity(Some(disk.used() + rng.below(3000))),
            3 => disk.capacity(None),
            4 => {
                if let Ok(text) = book.checkpoint().await {
                    model.lock().unwrap().checkpoints.push(text);
                }
            }
            5 => {
                let draft = decision(&context, "outcome", 0, None);
                drop(book.append(vec![draft]));
            }
            6 => verify_live(&context, &model),
            7 => context.clock.sleep(std::time::Duration::from_millis(rng.below(1500))).await,
            _ => commit(&book, &context, &model, &mut rng).await,
        }
    }
}

/// What a second process sees while this one works.
fn verify_live(context: &Context, model: &Shared) {
    let keys = TestKeys::new(7);
    let options = Options { keys: Some(&keys), ..Options::default() };
    let report = verify(&*context.disk, FOLDER, &options, &mut |_, _| {});
    if let Ok(report) = report
        && let Some(finding) = report.findings.first()
    {
        model.lock().unwrap().broken = Some(format!("verify of a ledger in use: {finding:?}"));
    }
}

async fn commit(book: &Book, context: &Context, model: &Shared, rng: &mut Rng) {
    let mut drafts = Vec::new();
    for _ in 0..=rng.below(3) {
        let number = {
            let mut model = model.lock().unwrap();
            model.number += 1;
            model.number
        };
        let claim = rng.chance(1, 3).then(|| format!("key {}", rng.below(12)));
        drafts.push(decision(context, &format!("subject-{}", rng.below(SUBJECTS)), number, claim.as_deref()));
    }
    let before = model.lock().unwrap().erasing.clone();
    let Ok(results) = book.commit(drafts.clone()).await else { return };
    let mut model = model.lock().unwrap();
    for (draft, result) in drafts.into_iter().zip(results) {
        let id = draft.facts.id;
        match result {
            Committed::New { seq } => {
                if let Some(claim) = draft.claim {
                    let old = model.claims.insert(claim.scope.clone(), (claim, seq, id));
                    let stale =
                        old.is_some_and(|(_, seq, _)| model.entries.get(&seq).is_some_and(|one| !one.may_be_erased));
                    if stale {
                        model.broken = Some(format!("entry {seq} took a claim that was taken"));
                    }
                }
                let subject = draft.body.subject.as_deref().unwrap_or_default().to_owned();
                // An entry that was under way together with an erasure may be on either side of it.
                let state = |erasing: &BTreeMap<String, (u32, u32)>| erasing.get(&subject).copied().unwrap_or_default();
                let (then, now) = (state(&before), state(&model.erasing));
                let may_be_erased = then.0 > 0 || now.0 > 0 || then.1 != now.1;
                let acked = Acked { id, subject, body: draft.body, may_be_erased, must_be_erased: false };
                if model.entries.insert(seq, acked).is_some() {
                    model.broken = Some(format!("position {seq} was given twice"));
                }
            }
            Committed::Taken { seq, id, .. } => {
                if model.entries.get(&seq).is_some_and(|acked| acked.id != id) {
                    model.broken = Some(format!("the claim's holder at {seq} has another id"));
                }
            }
        }
    }
}

async fn erase(book: &Book, context: &Context, model: &Shared, subject: String) {
    let before: Vec<u64> = {
        let mut model = model.lock().unwrap();
        let state = model.erasing.entry(subject.clone()).or_default();
        *state = (state.0 + 1, state.1 + 1);
        let mine = model.entries.iter_mut().filter(|(_, one)| one.subject == subject);
        mine.map(|(seq, one)| {
            one.may_be_erased = true;
            *seq
        })
        .collect()
    };
    let erased = book.erase(&subject, facts(context, EntryKind::Erasure, Id::new(context))).await;
    let mut model = model.lock().unwrap();
    model.erasing.entry(subject).and_modify(|state| state.0 -= 1);
    if erased.is_ok() {
        for seq in before {
            if let Some(one) = model.entries.get_mut(&seq) {
                one.must_be_erased = true;
            }
        }
    }
}

/// Checks every promise on a ledger that was just opened.
async fn check(book: &Book, context: &Context, model: &Shared) -> Result<(), String> {
    let keys = TestKeys::new(7);
    let checkpoints = {
        let mut model = model.lock().unwrap();
        model.erasing.values_mut().for_each(|state| state.0 = 0);
        if let Some(broken) = model.broken.take() {
            return Err(broken);
        }
        model.checkpoints.clone()
    };
    for since in checkpoints.iter().map(Some).chain([None]).rev().take(3) {
        let options = Options { keys: Some(&keys), tail: true, since: since.map(String::as_str), ..Options::default() };
        let report = verify(&*context.disk, FOLDER, &options, &mut |_, _| {}).map_err(|error| format!("{error:?}"))?;
        ensure(report.is_good(), || format!("verify: {:?}", report.findings.first()))?;
    }
    let size = book.state().size;
    let mut ids = BTreeMap::new();
    for seq in 0..size {
        let entry = book.entry(seq).await.map_err(|error| format!("entry {seq}: {error:?}"))?;
        let entry = entry.ok_or_else(|| format!("entry {seq} of {size} is missing"))?;
        ensure(ids.insert(entry.facts.id, seq).is_none(), || format!("entry {seq} is there twice"))?;
        if let Some(acked) = model.lock().unwrap().entries.get(&seq) {
            ensure(entry.facts.id == acked.id, || format!("entry {seq} is another one"))?;
            match &entry.body {
                Some(body) => {
                    ensure(*body == acked.body, || format!("entry {seq} has another content"))?;
                    ensure(!acked.must_be_erased, || format!("entry {seq} should be erased"))?;
                }
                None => ensure(acked.may_be_erased, || format!("entry {seq} lost its content"))?,
            }
        }
    }
    let last = model.lock().unwrap().entries.keys().last().copied();
    ensure(last.is_none_or(|last| last < size), || format!("acknowledged entry {last:?} is lost, {size} are there"))?;
    let claims: Vec<_> = model.lock().unwrap().claims.values().cloned().collect();
    for (claim, seq, id) in claims {
        let erased = model.lock().unwrap().entries.get(&seq).is_none_or(|one| one.may_be_erased);
        let holder = book.claimed(&claim).await.map_err(|error| format!("{error:?}"))?;
        let good = matches!(&holder, Some(Committed::Taken { seq: at, id: of, .. }) if (*at, *of) == (seq, id));
        ensure(good || erased, || format!("the claim of entry {seq} is held by {holder:?}"))?;
    }
    check_subjects(book, model).await
}

/// What is found by subject is what can be read.
async fn check_subjects(book: &Book, model: &Shared) -> Result<(), String> {
    for subject in 0..SUBJECTS {
        let subject = format!("subject-{subject}");
        let query = Query { subject: Some(subject.clone()), limit: 10_000, ..Query::default() };
        let found = book.list(query).await.map_err(|error| format!("{error:?}"))?;
        for entry in &found {
            let whom = entry.body.as_ref().and_then(|body| body.subject.as_deref());
            ensure(whom == Some(&*subject), || format!("entry {} is listed for {subject}: {whom:?}", entry.seq))?;
        }
        let found: Vec<u64> = found.iter().map(|entry| entry.seq).collect();
        let model = model.lock().unwrap();
        for (seq, acked) in model.entries.iter().filter(|(_, one)| one.subject == subject) {
            ensure(found.contains(seq) || acked.may_be_erased, || format!("entry {seq} is not found by its subject"))?;
        }
    }
    Ok(())
}

/// Syncs a file of no interest until that works: faults of the last life must not hit the opening, which then refuses.
async fn use_up_failures(context: &Context) {
    let file = context.disk.open("scratch", Open::ReadWrite).unwrap();
    while file.sync().await.is_err() {}
}

async fn round(
    context: Context,
    store: Arc<MemStore>,
    settings: Settings,
    disk: Arc<MemDisk>,
    model: Shared,
    seed: u64,
    crash_after: Option<u64>,
) -> Result<(), String> {
    disk.capacity(None);
    use_up_failures(&context).await;
    let book = open(parts(context.clone(), store, settings)).await.map_err(|error| format!("open: {error:?}"))?;
    check(&book, &context, &model).await?;
    if let Some(more) = crash_after {
        disk.crash_at_op(more);
    }
    let (done, mut all) = tokio::sync::mpsc::unbounded_channel();
    for writer in 0..4u64 {
        let rng = Rng::new(seed.wrapping_mul(31).wrapping_add(writer));
        let work = work(Arc::clone(&book), context.clone(), Arc::clone(&model), rng, Arc::clone(&disk));
        let done = done.clone();
        let task = async move {
            work.await;
            drop(done);
        };
        context.spawn.spawn("work", Box::pin(task));
    }
    drop(done);
    let nothing: Option<()> = all.recv().await;
    assert!(nothing.is_none());
    // Faults may stand in the way of closing; what counts is what the next opening finds.
    disk.capacity(None);
    drop(book.close().await);
    Ok(())
}

/// Several lives of one ledger, each ended by a power cut. Gives the hash over all that happened.
fn lives(seed: u64, mutation: Option<Mutation>) -> Result<u64, String> {
    let mut bench = Bench::new(seed);
    let mut rng = Rng::stream(seed, "lives");
    bench.settings.segment_bytes = 2000 + rng.below(20_000);
    bench.settings.slots_ahead = 2 + rng.below(8);
    bench.settings.checkpoint_after = 4 + rng.below(60);
    if rng.chance(2, 3) {
        (bench.settings.spare_after, bench.settings.spare_bytes) = (rng.below(3000), 1 + rng.below(8000));
    }
    bench.settings.mutation = mutation;
    let model = Shared::default();
    for life in 0..5u64 {
        let crash_after = (life < 4).then(|| rng.below(400));
        let root = round(
            bench.sim.context(),
            Arc::clone(&bench.store),
            bench.settings.clone(),
            bench.sim.disk(),
            Arc::clone(&model),
            seed ^ life << 32,
            crash_after,
        );
        match bench.sim.run(root) {
            Outcome::Done(result) => {
                result.map_err(|what| format!("seed {seed}, life {life}: {what}"))?;
                bench.sim.crash();
            }
            Outcome::Crashed => {}
        }
    }
    Ok(bench.sim.trace_hash())
}

#[test]
fn no_power_cut_breaks_a_promise() {
    for seed in 0..seeds() {
        if let Err(what) = lives(seed, None) {
            panic!("{what}");
        }
    }
}

/// Seeds in which a promise was once broken, each with how. They failed before their mends, with the code and the schedule of then.
const FOUND: &[(u64, &str)] = &[
    (128, "torn tiles whose removal a second power cut undid stayed where nobody looks again"),
    (1128, "a segment that could not be begun came back after a power cut and hid acknowledged entries"),
    (2257, "torn tiles of a failed sync stayed where nobody looks again"),
];

#[test]
fn power_cuts_that_broke_a_promise_once_break_none() {
    for (seed, how) in FOUND {
        if let Err(what) = lives(*seed, None) {
            panic!("{what}; once it was: {how}");
        }
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..10 {
        assert_eq!(lives(seed, None), lives(seed, None));
    }
}

#[test]
fn the_property_finds_each_defect() {
    for mutation in [Mutation::NoSync, Mutation::AnswerBeforeSync, Mutation::SlotFirst] {
        let caught = (0..300).find_map(|seed| lives(seed, Some(mutation)).err());
        let caught = caught.unwrap_or_else(|| panic!("{mutation:?} was not found"));
        println!("{mutation:?}: {caught}");
    }
}

/// 300 in CI; `TENDON_SEEDS` asks for more.
fn seeds() -> u64 {
    std::env::var("TENDON_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}
