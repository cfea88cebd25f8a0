//! The contract of `Cache`: random puts, gets, removals and waits against a map. A cache may forget, but never lie: what it
//! finds is the last value put under that very name, in its time, and not removed since.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tendon_kernel::{
    context::Clock,
    sockets::cache::{Cache, CacheEntry, CacheKey},
};

use crate::rng::Rng;

/// Value and end (monotonic).
type Model = BTreeMap<CacheKey, (Arc<[u8]>, Duration)>;

/// Runs `rounds` random steps. `clock` is the one that the cache runs on; `slack` is how far the cache's own clock may be off.
/// Gives how often something was found, so that the caller can see that it was no cache that always forgets.
///
/// # Panics
/// Where the contract is broken.
pub async fn cache(seed: u64, rounds: u32, cache: &dyn Cache, clock: &dyn Clock, slack: Duration) -> u32 {
    let mut rng = Rng::stream(seed, "cache contract");
    let mut model = Model::new();
    let mut found = 0;
    for round in 0..rounds {
        let at = format!("seed {seed}, round {round}");
        match rng.below(12) {
            0..=3 => put(cache, &mut model, &mut rng, clock, &at).await,
            4..=8 => found += get(cache, &model, &mut rng, clock, slack, &at).await,
            9 => {
                let tag = [u8::try_from(rng.below(3)).unwrap_or(0); 16];
                cache.remove(&tag).await.unwrap_or_else(|error| panic!("{at}: remove: {error:?}"));
                model.retain(|key, _| key.tag != tag);
            }
            _ => clock.sleep(Duration::from_millis(rng.below(3))).await,
        }
    }
    found
}

fn key(rng: &mut Rng) -> CacheKey {
    CacheKey { tag: [u8::try_from(rng.below(3)).unwrap_or(0); 16], key: [u8::try_from(rng.below(5)).unwrap_or(0); 16] }
}

async fn put(cache: &dyn Cache, model: &mut Model, rng: &mut Rng, clock: &dyn Clock, at: &str) {
    let mut entries = Vec::new();
    for _ in 0..rng.index(6) {
        let size = rng.index(400);
        // From gone at once to never in this test.
        let ttl = Duration::from_millis([1, 5, 40, 60_000, 60_000][rng.index(5)]);
        entries.push(CacheEntry { key: key(rng), value: rng.bytes(size).into(), ttl });
    }
    cache.put(entries.clone()).await.unwrap_or_else(|error| panic!("{at}: put: {error:?}"));
    // When the put has returned its time runs at the latest.
    let now = clock.monotonic();
    model.extend(entries.into_iter().map(|entry| (entry.key, (entry.value, now.saturating_add(entry.ttl)))));
}

async fn get(cache: &dyn Cache, model: &Model, rng: &mut Rng, clock: &dyn Clock, slack: Duration, at: &str) -> u32 {
    let keys: Vec<CacheKey> = (0..rng.index(7)).map(|_| key(rng)).collect();
    let before = clock.monotonic();
    let found = cache.get(&keys).await.unwrap_or_else(|error| panic!("{at}: get: {error:?}"));
    assert_eq!(found.len(), keys.len(), "{at}: one answer for each key");
    let mut count = 0;
    for (key, found) in keys.iter().zip(found) {
        let Some(found) = found else { continue };
        let (value, until) = model.get(key).unwrap_or_else(|| panic!("{at}: {key:?} was never put, or removed"));
        assert_eq!(&found, value, "{at}: another value of {key:?}");
        assert!(before < until.saturating_add(slack), "{at}: {key:?} is found after its time");
        count += 1;
    }
    count
}
