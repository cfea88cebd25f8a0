//! The caches, all under one contract; each with what is its own.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod memory;
mod redis;

use tendon_platform::caches::ALL;
use tendon_testkit::tested;

/// The reference's table of caches is made from these words and from `tests/tested.json`.
#[test]
fn the_reference_names_the_servers_that_were_tested() {
    for cache in ALL {
        let asked = match cache.kind {
            "memory" => "in process".to_owned(),
            "redis" => redis::version(),
            other => panic!("the cache {other} has no test here"),
        };
        tested::compare("caches", cache.kind, &[asked]);
    }
}
