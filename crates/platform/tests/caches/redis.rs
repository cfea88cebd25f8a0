//! The Redis cache against a real server: the contract, what lies in Redis, and a bad line: slow, silent, refusing, lying, cut.

use std::{sync::Arc, time::Duration};

use tendon_kernel::{
    context::{Clock, Context},
    sockets::{
        cache::{Cache, CacheEntry, CacheKey},
        secrets::{Key, Secret},
        store::Store,
    },
};
use tendon_platform::{Durability, RedisCache, RedisParts, RedisSettings, SqliteStore};
use tendon_testkit::{
    contract,
    proxy::{Fault, Proxy},
    servers::Redis,
};

const TAG: [u8; 16] = [1; 16];
const PASSWORD: &str = "p@ss:w/rd %25";

struct Place {
    folder: tempfile::TempDir,
    context: Context,
    records: Arc<dyn Store>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let context = tendon_platform::context(folder.path()).unwrap();
        let records = Arc::new(SqliteStore::open(&folder.path().join("records.db"), Durability::Records).unwrap());
        Self { folder, context, records }
    }

    async fn open(&self, url: &str, password: Option<&str>) -> RedisCache {
        let settings = RedisSettings {
            url: Secret::new(url),
            username: None,
            password: password.map(Secret::new),
            ca: Some(self.folder.path().join("ca.pem")).filter(|path| path.exists()),
            connect: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
        };
        self.with(settings).await
    }

    async fn with(&self, settings: RedisSettings) -> RedisCache {
        let (context, records) = (self.context.clone(), Arc::clone(&self.records));
        RedisCache::open(RedisParts { context, settings, key: Key([7; 32]), records }).await.unwrap()
    }
}

fn entry(number: u8, value: &[u8]) -> CacheEntry {
    let key = CacheKey { tag: TAG, key: [number; 16] };
    CacheEntry { key, value: value.into(), ttl: Duration::from_secs(600) }
}

async fn found(cache: &RedisCache, number: u8) -> Option<Vec<u8>> {
    let found = cache.get(&[entry(number, b"").key]).await.ok()?.pop().unwrap();
    found.map(|value| value.to_vec())
}

/// Asks until it answers: the wait is for the event, bounded by the test's own end.
async fn until_back(cache: &RedisCache, clock: &dyn Clock) {
    while cache.get(&[entry(0, b"").key]).await.is_err() {
        clock.sleep(Duration::from_millis(20)).await;
    }
}

fn cli(redis: &Redis, arguments: &[&str]) -> Vec<u8> {
    let port = redis.port().to_string();
    let out = std::process::Command::new("redis-cli").args(["-p", &port]).args(arguments).output().unwrap();
    out.stdout
}

/// What the server says that it is.
pub(crate) fn version() -> String {
    let told = String::from_utf8(cli(&Redis::start(&[]), &["INFO", "server"])).unwrap();
    let line = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let (name, number) = match line("valkey_version:") {
        Some(number) => ("Valkey", number),
        None => ("Redis", line("redis_version:").unwrap_or_else(|| panic!("no version: {told}"))),
    };
    format!("{name} {}", tendon_testkit::tested::version(number, 2))
}

/// All bytes that lie in the server.
fn dump(redis: &Redis) -> Vec<u8> {
    let cli = |arguments: &[&str]| cli(redis, arguments);
    let keys = String::from_utf8(cli(&["KEYS", "*"])).unwrap();
    // Of no keys the client prints an empty line.
    let mut all = keys.trim_end().to_owned().into_bytes();
    for key in keys.lines().filter(|key| !key.is_empty()) {
        all.extend(cli(&["--raw", "HGETALL", key]));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract() {
    let redis = Redis::start(&[]);
    let url = format!("redis://127.0.0.1:{}/3", redis.port());
    let mut total = 0;
    for seed in 0..4 {
        let place = Place::new();
        let cache = place.open(&url, None).await;
        // Redis's clock counts whole milliseconds.
        total += contract::cache(seed, 500, &cache, &*place.context.clock, Duration::from_millis(2)).await;
    }
    assert!(total > 200, "only {total} were found");
    println!("{total} were found");
}

#[tokio::test]
async fn redis_holds_nothing_readable_and_another_key_or_epoch_reads_nothing() {
    let redis = Redis::start(&["--requirepass", PASSWORD]);
    let place = Place::new();
    let url = format!("redis://127.0.0.1:{}", redis.port());
    let wrong = place.open(&url, Some("no")).await;
    assert_eq!(wrong.get(&[entry(1, b"").key]).await.unwrap_err().code(), "cache_login");
    let by_address = place.open(&format!("redis://:p%40ss%3Aw%2Frd%20%2525@127.0.0.1:{}", redis.port()), None).await;
    by_address.put(vec![entry(1, b"Johanna Muster")]).await.unwrap();
    let cache = place.open(&url, Some(PASSWORD)).await;
    assert_eq!(found(&cache, 1).await.unwrap(), b"Johanna Muster", "the next process, or another one, finds it");
    let told = cache.capability();
    assert!(told.shared && told.outlives && told.sealed && told.remote && !told.bounded, "{told:?}");
    let open = Redis::start(&[]);
    let plain = place.open(&format!("redis://127.0.0.1:{}", open.port()), None).await;
    plain.put(vec![entry(1, b"Johanna Muster"), entry(2, b"Johanna Muster")]).await.unwrap();
    let lying = dump(&open);
    assert!(lying.len() > 100, "nothing lies there");
    for secret in [&b"Johanna"[..], &TAG, &[1; 16], &[2; 16], b"01010101"] {
        assert!(!lying.windows(secret.len()).any(|window| window == secret), "{secret:?} lies there in clear");
    }
    let stranger = Place::new().open(&format!("redis://127.0.0.1:{}", open.port()), None).await;
    assert_eq!(found(&stranger, 1).await, None);
}

#[tokio::test]
async fn speaks_tls_to_whom_it_trusts_only() {
    let place = Place::new();
    let folder = place.folder.path();
    let authority = tendon_testkit::certs::Authority::new(folder);
    authority.issue("redis", tendon_testkit::certs::Wanted::default());
    let file = |name: &str| folder.join(name).display().to_string();
    let (cert, key, ca) = (file("redis.pem"), file("redis.key"), file("ca.pem"));
    let tls = ["--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &ca, "--tls-auth-clients", "no"];
    // The same port speaks plain; the TLS port is a second one.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port().to_string();
    let redis = Redis::start(&[&["--tls-port", &port][..], &tls].concat());
    let cache = place.open(&format!("rediss://localhost:{port}/1"), None).await;
    cache.put(vec![entry(1, b"over TLS")]).await.unwrap();
    assert_eq!(found(&cache, 1).await.unwrap(), b"over TLS");
    assert!(cache.capability().tls);
    let stranger = Place::new().open(&format!("rediss://localhost:{port}"), None).await;
    assert_eq!(stranger.get(&[entry(1, b"").key]).await.unwrap_err().code(), "cache_tls");
    drop(redis);
}

#[tokio::test]
async fn a_bad_line_costs_answers_never_truth_and_comes_back_by_itself() {
    let redis = Redis::start(&[]);
    let proxy = Proxy::start(redis.port());
    let place = Place::new();
    let settings = RedisSettings {
        url: Secret::new(format!("redis://127.0.0.1:{}", proxy.port())),
        username: None,
        password: None,
        ca: None,
        connect: Duration::from_millis(300),
        timeout: Duration::from_millis(200),
    };
    let cache = place.with(settings).await;
    let clock = &*place.context.clock;
    cache.put(vec![entry(1, b"kept")]).await.unwrap();
    let faults = [Fault::Latency(Duration::from_secs(30)), Fault::HalfOpen, Fault::Refuse, Fault::Garbage];
    for fault in faults {
        proxy.set(fault.clone());
        proxy.cut();
        // In the end it is left alone: refused without a word on the line.
        loop {
            let before = proxy.accepted();
            let error = cache.get(&[entry(1, b"").key]).await.unwrap_err();
            assert!(cache.state().failure.is_some(), "{fault:?}");
            if error.message().contains("left alone") {
                assert_eq!(proxy.accepted(), before, "{fault:?}");
                break;
            }
        }
        proxy.set(Fault::None);
        proxy.cut();
        until_back(&cache, clock).await;
        assert_eq!(found(&cache, 1).await.unwrap(), b"kept", "{fault:?}");
        assert_eq!(cache.state().failure, None);
    }
    let text = place.context.metrics.render();
    assert!(text.contains("tendon_cache_up{cache=\"redis\"} 1\n"), "{text}");
}

#[tokio::test]
async fn an_erasure_that_redis_cannot_confirm_gives_everything_up() {
    let mut redis = Redis::start(&[]);
    let proxy = Proxy::start(redis.port());
    let place = Place::new();
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let cache = place.open(&url, None).await;
    let clock = &*place.context.clock;
    cache.put(vec![entry(1, b"here"), entry(2, b"here")]).await.unwrap();
    // Confirmed: gone, and from Redis too.
    cache.remove(&TAG).await.unwrap();
    assert!(dump(&redis).is_empty() && found(&cache, 1).await.is_none());
    assert!(cache.capability().confirms && cache.capability().gives_up, "as is shown here");
    // Lost with the answer: whether it took effect is not known, so nothing that lies there is ever read again.
    cache.put(vec![entry(1, b"again")]).await.unwrap();
    proxy.set(Fault::CutAt { request: b"UNLINK".to_vec(), delivered: false });
    cache.remove(&TAG).await.unwrap();
    until_back(&cache, clock).await;
    assert!(!dump(&redis).is_empty(), "the cut came too late");
    assert_eq!(found(&cache, 1).await, None);
    assert_eq!(found(&place.open(&url, None).await, 1).await, None, "nor after a restart");
    // A put whose end is not known may arrive late: then a removal that is confirmed is not enough.
    cache.put(vec![entry(3, b"another")]).await.unwrap();
    proxy.set(Fault::CutAt { request: b"EVALSHA".to_vec(), delivered: true });
    assert!(cache.put(vec![entry(4, b"unclear")]).await.is_err());
    until_back(&cache, clock).await;
    assert!(found(&cache, 4).await.is_some());
    cache.remove(&[9; 16]).await.unwrap();
    assert_eq!((found(&cache, 3).await, found(&cache, 4).await), (None, None));
    // Killed and empty: it comes back by itself.
    redis.crash();
    assert!(cache.get(&[entry(1, b"").key]).await.is_err());
    cache.remove(&TAG).await.unwrap();
    redis.restart(&[]);
    until_back(&cache, clock).await;
    cache.put(vec![entry(5, b"new")]).await.unwrap();
    assert_eq!(found(&cache, 5).await.unwrap(), b"new");
}
