//! The memory cache on the simulation's clock: the contract with room and without, and what it says of itself.

use std::{sync::Arc, time::Duration};

use tendon_kernel::sockets::cache::{Cache, CacheEntry, CacheKey};
use tendon_platform::MemoryCache;
use tendon_testkit::{Sim, contract};

#[test]
fn keeps_the_contract_with_room_and_without() {
    for (bytes, least) in [(1 << 20, 3000), (900, 300), (10, 0)] {
        let mut found = 0;
        for seed in 0..20 {
            let sim = Sim::new(seed);
            let context = sim.context();
            let cache = MemoryCache::new(&context, bytes);
            let clock = Arc::clone(&context.clock);
            found += sim.run(async move { contract::cache(seed, 1000, &cache, &*clock, Duration::ZERO).await }).done();
        }
        assert!(found >= least, "with {bytes} bytes only {found} were found");
        println!("with {bytes} bytes {found} were found");
    }
}

#[test]
fn tells_its_bytes_entries_and_evictions() {
    let sim = Sim::new(1);
    let context = sim.context();
    let cache = Arc::new(MemoryCache::new(&context, 10_000));
    let entries = (0..100u8).map(|number| CacheEntry {
        key: CacheKey { tag: [number % 2; 16], key: [number; 16] },
        value: vec![number; 100].into(),
        ttl: Duration::from_secs(9),
    });
    let (filled, entries) = (Arc::clone(&cache), entries.collect());
    sim.run(async move { filled.put(entries).await }).done().unwrap();
    let state = cache.state();
    let kept = state.entries.unwrap();
    assert!((20..40).contains(&kept) && state.bytes.unwrap() <= 10_000, "{state:?}");
    let text = context.metrics.render();
    assert!(text.contains(&format!("tendon_cache_evictions_total{{cache=\"memory\"}} {}", 100 - kept)), "{text}");
    let emptied = Arc::clone(&cache);
    sim.run(async move { emptied.remove(&[0; 16]).await.and(emptied.remove(&[1; 16]).await) }).done().unwrap();
    assert_eq!((cache.state().entries, cache.state().bytes), (Some(0), Some(0)));
    let told = cache.capability();
    assert!(told.bounded && told.confirms, "as is shown here: {told:?}");
    assert!(!(told.shared || told.outlives || told.remote || told.sealed || told.tls || told.gives_up), "{told:?}");
}
