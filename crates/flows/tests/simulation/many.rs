//! Many towns, on two threads: `TENDON_SEED` lives through one, `TENDON_SEEDS` through so many, `TENDON_FROM` begins behind others. A town
//! that fails ends no other: a long run tells all seeds that failed at its end.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// The seeds that are asked for; `usual` when nobody asks.
pub fn asked(usual: u64) -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    if let Some(seed) = number("TENDON_SEED") {
        return seed..seed + 1;
    }
    let from = number("TENDON_FROM").unwrap_or(0);
    from..from + number("TENDON_SEEDS").unwrap_or(usual)
}

/// Lives through the town of each seed.
pub fn live_through(seeds: Range<u64>, live: impl Fn(u64) + Sync) {
    let (next, failed) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            // Why it failed was printed with its panic.
            if catch_unwind(AssertUnwindSafe(|| live(seed))).is_err() {
                failed.lock().unwrap().push(seed);
            }
        }
    };
    std::thread::scope(|threads| {
        threads.spawn(work);
        threads.spawn(work);
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "these seeds failed: {failed:?}");
}
