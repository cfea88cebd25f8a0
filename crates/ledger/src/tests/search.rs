//! A search finds what looking at every entry finds: under clocks that jump, over restarts, page by page, step by step; and it reads no
//! block that is not listed.

use tendon_kernel::{
    Timestamp,
    decision::Outcome,
    sockets::ledger::{Entry, EntryKind, Ledger as _, ModelRef, Query},
};
use tendon_testkit::Rng;

use super::{Bench, decision, open_book};
use crate::{Book, Parts};

const INTEGRATIONS: [&str; 3] = ["lead-score", "churn", "fraud"];
const OUTCOMES: [Outcome; 5] =
    [Outcome::Ok, Outcome::Degraded, Outcome::Rejected, Outcome::Quarantined, Outcome::Failed];
const UNLUCKY: u64 = 3;
const HOUR: i64 = 3_600_000_000;
/// The common version; others, of which the last two are listed as one; and one that nothing asked.
const VERSIONS: [&str; 4] = ["v1", "v2", "v\u{1}3", "v\u{0}3"];
const NEVER: &str = "v4";
/// Decisions of a block (`index.rs`).
const BLOCK: u64 = 64;

/// All but a few end well, and one time is long without anything else; but one subject's hardly ever do.
fn outcome(rng: &mut Rng, number: u64) -> Outcome {
    if number % 7 == UNLUCKY && rng.below(60) > 0 {
        return OUTCOMES[2 + rng.below(3) as usize];
    }
    if (700..1900).contains(&number) || rng.below(20) > 0 {
        return Outcome::Ok;
    }
    OUTCOMES[rng.below(5) as usize]
}

/// Nearly all ask the common version, a few ask another or none; for a while all ask the second, at times in turn with the first.
fn version(rng: &mut Rng, number: u64) -> Option<&'static str> {
    match number {
        1100..1300 => Some(VERSIONS[1]),
        2000..2300 => Some(VERSIONS[(number / BLOCK % 2) as usize]),
        _ if rng.below(200) > 0 => Some(VERSIONS[0]),
        _ => [VERSIONS[1], VERSIONS[2], VERSIONS[3]].get(rng.below(4) as usize).copied(),
    }
}

fn query(rng: &mut Rng, now: i64, size: u64) -> Query {
    let mut time = |share: u64| {
        let span = [HOUR, 100 * HOUR, 100_000 * HOUR][rng.below(3) as usize];
        (rng.below(10) < share).then(|| Timestamp(now - (rng.below(span as u64 * 2) as i64 - span)))
    };
    let (since, until) = (time(4), time(4));
    let integration = (rng.below(2) == 0).then(|| INTEGRATIONS[rng.below(3) as usize].to_owned());
    let outcome = (rng.below(2) == 0).then(|| OUTCOMES[rng.below(5) as usize]);
    let subject = (rng.below(3) == 0).then(|| format!("subject {}", [UNLUCKY, rng.below(7)][rng.below(2) as usize]));
    let answered = rng.below(3) == 0;
    let versions = [VERSIONS[0], VERSIONS[1], VERSIONS[2], VERSIONS[3], NEVER, "v"];
    let version = (rng.below(2) == 0).then(|| versions[rng.below(6) as usize].to_owned());
    let look = (rng.below(2) == 0).then(|| 1 + rng.below(400) as usize);
    let from = if rng.below(5) == 0 { rng.below(size) } else { 0 };
    Query {
        integration,
        subject,
        since,
        until,
        outcome,
        answered,
        version,
        before: None,
        from,
        limit: 1 + rng.below(300) as usize,
        look,
    }
}

/// Whether the query means it, read off its fields one by one.
fn means(query: &Query, entry: &Entry) -> bool {
    let (facts, body) = (&entry.facts, entry.body.as_ref().unwrap());
    facts.kind == EntryKind::Decision
        && entry.seq >= query.from
        && query.integration.as_deref().is_none_or(|name| name == &*facts.integration)
        && query.subject.as_deref().is_none_or(|name| body.subject.as_deref() == Some(name))
        && query.since.is_none_or(|since| facts.at >= since)
        && query.until.is_none_or(|until| facts.at < until)
        && query.outcome.is_none_or(|outcome| outcome.name() == &*facts.reason)
        && query.version.as_deref().is_none_or(|version| {
            let asked = facts.model.as_ref().map(|model| &*model.version);
            asked == Some(version)
        })
        && (!query.answered || matches!(&*facts.reason, "ok" | "degraded"))
}

/// All that a search finds, page by page and step by step.
async fn found(book: &Book, mut query: Query) -> Vec<u64> {
    let mut found: Vec<u64> = Vec::new();
    loop {
        let page = book.search(query.clone()).await.unwrap();
        found.extend(page.entries.iter().map(|entry| entry.seq));
        assert!(page.entries.len() <= query.limit, "{query:?}");
        let most = query.look.unwrap_or(usize::MAX).saturating_add(BLOCK as usize);
        assert!(page.looked < most, "{} were read: {query:?}", page.looked);
        query.before = match (page.rest, page.entries.last()) {
            (Some(rest), _) => Some(rest),
            (None, Some(last)) if page.entries.len() == query.limit => Some(last.seq),
            _ => return found,
        };
    }
}

fn search(seed: u64) {
    let mut bench = Bench::new(seed);
    // Some are searched in memory, some in the projections.
    bench.settings.project_every = std::time::Duration::from_secs(seed % 3);
    let (parts, context) = ([(); 3].map(|()| bench.parts()), bench.sim.context());
    let run = async move {
        let mut rng = Rng::stream(seed, "search");
        let (mut now, mut number) = (context.clock.now().0, 0);
        let mut all: Vec<Entry> = Vec::new();
        for (round, parts) in parts.into_iter().enumerate() {
            let parts: Parts = parts;
            let book = open_book(parts).await;
            for _ in 0..1000 {
                let mut draft = decision(&context, &format!("subject {}", number % 7), number, None);
                // Within a process clocks go on; a subject's times are those of a day at the most apart from their order.
                now += rng.below(10_000_000) as i64;
                draft.facts.at = Timestamp(now - rng.below(HOUR as u64) as i64);
                draft.facts.integration = INTEGRATIONS[rng.below(3) as usize].into();
                let asked = |version: &str| ModelRef {
                    name: "lead-score".into(),
                    version: version.into(),
                    digest: "ab".repeat(32).into(),
                };
                draft.facts.model = version(&mut rng, number).map(asked);
                draft.facts.reason = outcome(&mut rng, number).name().into();
                if rng.below(9) == 0 {
                    draft.facts.kind = EntryKind::Access;
                }
                book.commit(vec![draft]).await.unwrap();
                number += 1;
            }
            for seq in all.len() as u64..number {
                all.push(book.entry(seq).await.unwrap().unwrap());
            }
            for _ in 0..90 {
                let query = query(&mut rng, now, number);
                let expected: Vec<u64> =
                    all.iter().rev().filter(|entry| means(&query, entry)).map(|entry| entry.seq).collect();
                assert_eq!(found(&book, query.clone()).await, expected, "round {round}: {query:?}");
            }
            book.close().await.unwrap();
            // The wall clock jumps back between two processes, by less than what a subject's search allows for.
            now -= rng.below(20 * HOUR as u64) as i64;
        }
    };
    bench.sim.run(run).done();
}

#[test]
fn a_search_finds_what_looking_at_every_entry_finds() {
    for seed in 0..3 {
        search(seed);
    }
}

/// What is asked for, how many are found, and how many are read for them.
type Asked = (&'static str, Option<&'static str>, usize, usize);

/// Searches a thousand decisions on the disk; each asked the version that it is told to ask, and 64 in turn are of two integrations.
fn reads(of: fn(u64) -> &'static str, all: &'static [Asked]) {
    let bench = Bench::new(0);
    let (parts, context) = ([bench.parts(), bench.parts()], bench.sim.context());
    let run = async move {
        let [first, second] = parts;
        let book = open_book(first).await;
        for number in 0..1024 {
            let mut draft = decision(&context, &format!("subject {number}"), number, None);
            draft.facts.model.as_mut().unwrap().version = of(number).into();
            if number % 128 < 64 {
                draft.facts.integration = "even".into();
            }
            book.commit(vec![draft]).await.unwrap();
        }
        book.close().await.unwrap();
        // Nothing is in memory any more.
        let book = open_book(second).await;
        for (version, integration, found, looked) in all {
            let query = Query {
                version: Some((*version).to_owned()),
                integration: integration.map(str::to_owned),
                limit: 2000,
                ..Query::default()
            };
            let listed = book.search(query.clone()).await.unwrap();
            assert_eq!((listed.entries.len(), listed.looked, listed.rest), (*found, *looked, None), "{query:?}");
        }
        book.close().await.unwrap();
    };
    bench.sim.run(run).done();
}

#[test]
fn a_search_by_version_reads_only_the_blocks_in_which_it_was_asked() {
    let of = |number| match number {
        70 | 75 | 900 => "v2",
        _ => "v1",
    };
    reads(of, &[("v2", None, 3, 128), ("v2", Some("even"), 1, 64), (NEVER, None, 0, 0), ("v1", None, 1021, 1024)]);
}

#[test]
fn lists_that_never_meet_are_compared_and_nothing_is_read() {
    // Where the one integration decided, the other version was asked.
    let of = |number| if number % 128 < 64 { "v1" } else { "v2" };
    reads(of, &[("v2", Some("even"), 0, 0), ("v1", Some("even"), 512, 512)]);
}
