//! A search finds what looking at every entry finds: under clocks that jump, over restarts, page by page.

use tendon_kernel::{
    Timestamp,
    decision::Outcome,
    sockets::ledger::{Entry, EntryKind, Ledger as _, Query},
};
use tendon_testkit::Rng;

use super::{Bench, decision, open_book};
use crate::Parts;

const INTEGRATIONS: [&str; 3] = ["lead-score", "churn", "fraud"];
const OUTCOMES: [Outcome; 5] =
    [Outcome::Ok, Outcome::Degraded, Outcome::Rejected, Outcome::Quarantined, Outcome::Failed];
const UNLUCKY: u64 = 3;
const HOUR: i64 = 3_600_000_000;

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
    let from = if rng.below(5) == 0 { rng.below(size) } else { 0 };
    Query {
        integration,
        subject,
        since,
        until,
        outcome,
        answered,
        before: None,
        from,
        limit: 1 + rng.below(300) as usize,
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
        && (!query.answered || matches!(&*facts.reason, "ok" | "degraded"))
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
            for _ in 0..60 {
                let mut query = query(&mut rng, now, number);
                let expected: Vec<u64> =
                    all.iter().rev().filter(|entry| means(&query, entry)).map(|entry| entry.seq).collect();
                let mut found: Vec<u64> = Vec::new();
                loop {
                    let page: Vec<u64> =
                        book.list(query.clone()).await.unwrap().iter().map(|entry| entry.seq).collect();
                    found.extend(&page);
                    if page.len() < query.limit {
                        break;
                    }
                    query.before = page.last().copied();
                }
                assert_eq!(found, expected, "round {round}: {query:?}");
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
