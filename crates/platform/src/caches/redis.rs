//! A cache in Redis or Valkey, shared and kept over a restart. Redis holds nothing that it, or whoever reads its memory, can
//! read ([`Sealing`]). When it is slow, gone or lying, asking it fails at once after a few tries, and a single probe finds out
//! when it is back.
//!
//! The entries of a tag lie in one hash, so that Redis, when it is short of room, drops a subject's entries together: an index
//! beside the entries could go first, and an erasure would miss what it named.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt as _};
use tendon_kernel::{
    Error, ErrorKind, Result,
    context::{Clock, Context},
    metrics::{Counter, Gauge},
    sockets::{
        cache::{Cache, CacheCapability, CacheEntry, CacheKey, CacheState, Found},
        secrets::Key,
        store::Store,
    },
};
use tokio::sync::Semaphore;

pub use super::line::RedisSettings;
use super::{
    line::{Line, Target},
    resp::{Reply, command, lost},
    sealing::Sealing,
};

/// What it promises.
pub const CAPABILITY: CacheCapability = CacheCapability {
    kind: "redis",
    summary: "Redis or Valkey: found by all processes, kept over a restart, readable by nobody else.",
    bounded: false,
    shared: true,
    outlives: true,
    remote: true,
    sealed: true,
    tls: true,
    confirms: true,
    gives_up: true,
};

/// Connections at once; who finds none free waits for its time.
const LINES: usize = 8;
/// Failures in a row after which it is left alone.
const OPENS_AFTER: u32 = 3;
/// First and longest time that it is left alone.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The value of a field whose time has not come: 8 bytes of time, then the sealed value.
const GET: &str = "local v = redis.call('HGET', KEYS[1], ARGV[1])
if not v then return false end
local t = redis.call('TIME')
if struct.unpack('>d', v) <= t[1] * 1000 + t[2] / 1000 then redis.call('HDEL', KEYS[1], ARGV[1]) return false end
return string.sub(v, 9)";

/// Sets a field; keeps the hash as long as its last field, and small: a subject has few answers at a time.
const PUT: &str = "local t = redis.call('TIME')
local now = t[1] * 1000 + t[2] / 1000
local ttl = tonumber(ARGV[2])
if ttl <= 0 then redis.call('HDEL', KEYS[1], ARGV[1]) return 0 end
redis.call('HSET', KEYS[1], ARGV[1], struct.pack('>d', now + ttl) .. ARGV[3])
if redis.call('PTTL', KEYS[1]) < ttl then redis.call('PEXPIRE', KEYS[1], ttl) end
local n = redis.call('HLEN', KEYS[1])
if n >= 32 and n % 16 == 0 then
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    if n >= 256 or struct.unpack('>d', all[i + 1]) <= now then redis.call('HDEL', KEYS[1], all[i]) end
  end
end
return 1";

/// Names of a hash and of a field in it.
type Named = (Vec<u8>, Vec<u8>);

/// What is asked of Redis.
#[derive(Clone, Copy)]
enum Wish {
    Get,
    Put,
    Remove,
}

/// What a Redis cache stands on.
pub struct RedisParts {
    /// Time, randomness, metrics.
    pub context: Context,
    /// Where it is.
    pub settings: RedisSettings,
    /// Key that its names and seals follow from.
    pub key: Key,
    /// Where the epoch is kept, durably.
    pub records: Arc<dyn Store>,
}

/// See the module's head.
pub struct RedisCache {
    context: Context,
    target: Target,
    timeout: Duration,
    connect: Duration,
    sealing: Sealing,
    idle: Mutex<Vec<(Line, Arc<[String]>)>>,
    room: Semaphore,
    health: Mutex<Health>,
    /// A put may still arrive that nobody waits for any more.
    unclear: AtomicBool,
    errors: Counter,
    up: Gauge,
}

#[derive(Default)]
struct Health {
    failures: u32,
    /// Left alone until then (monotonic).
    until: Option<Duration>,
    probing: bool,
    last: Option<String>,
}

impl RedisCache {
    /// A cache; it connects when it is asked.
    ///
    /// # Errors
    /// `Config` when the settings are wrong; the store's.
    pub async fn open(parts: RedisParts) -> Result<Self> {
        let RedisParts { context, settings, key, records } = parts;
        let labels = [("cache", "redis")];
        let metrics = &context.metrics;
        let errors = metrics.counter("tendon_cache_errors_total", "Questions to the cache that failed.", &labels);
        let up = metrics.gauge("tendon_cache_up", "1 while the cache answers.", &labels);
        up.set(1.0);
        let sealing = Sealing::open(key, records, Arc::clone(&context.entropy)).await?;
        Ok(Self {
            target: Target::new(&settings)?,
            timeout: settings.timeout,
            connect: settings.connect,
            sealing,
            idle: Mutex::default(),
            room: Semaphore::new(LINES),
            health: Mutex::default(),
            unclear: AtomicBool::new(false),
            errors,
            up,
            context,
        })
    }

    /// Asks the same with each of these arguments.
    async fn run(&self, wish: Wish, arguments: &[Vec<Vec<u8>>]) -> Result<Vec<Reply>> {
        self.admit()?;
        let told = Told { cache: self, done: false };
        let answered = self.within(wish, arguments).await;
        told.settle(answered.as_ref().err());
        answered
    }

    async fn within(&self, wish: Wish, arguments: &[Vec<Vec<u8>>]) -> Result<Vec<Reply>> {
        let clock: &dyn Clock = &*self.context.clock;
        tokio::select! {
            biased;
            answered = self.ask(wish, arguments) => answered,
            () = clock.sleep(self.connect.saturating_add(self.timeout)) => Err(lost("Redis took too long to connect")),
        }
    }

    async fn ask(&self, wish: Wish, arguments: &[Vec<Vec<u8>>]) -> Result<Vec<Reply>> {
        let clock: &dyn Clock = &*self.context.clock;
        let _place = self.room.acquire().await.map_err(|_| lost("the cache is closed"))?;
        let idle = self.idle().pop();
        let (mut line, names) = match idle {
            Some(idle) => idle,
            None => {
                let (line, names) = self.target.connect(&[GET, PUT]).await?;
                (line, names.into())
            }
        };
        let mut bytes = Vec::with_capacity(256 * arguments.len());
        for parts in arguments {
            let script = |at: usize| names.get(at).map_or(&b""[..], String::as_bytes);
            let fixed: Vec<&[u8]> = match wish {
                Wish::Get => vec![b"EVALSHA", script(0), b"1"],
                Wish::Put => vec![b"EVALSHA", script(1), b"1"],
                Wish::Remove => vec![b"UNLINK"],
            };
            command(&mut bytes, &fixed.into_iter().chain(parts.iter().map(Vec::as_slice)).collect::<Vec<_>>());
        }
        let answered = tokio::select! {
            biased;
            answered = line.ask(&bytes, arguments.len()) => answered,
            () = clock.sleep(self.timeout) => Err(lost("Redis took too long to answer")),
        };
        if answered.is_ok() {
            self.idle().push((line, names));
        }
        answered
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Line, Arc<[String]>)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self) -> Result<()> {
        let now = self.context.clock.monotonic();
        let mut health = self.health();
        match health.until {
            None => Ok(()),
            Some(until) if now >= until && !health.probing => {
                health.probing = true;
                Ok(())
            }
            Some(_) => Err(lost("Redis failed repeatedly and is left alone for a while")),
        }
    }

    fn settle(&self, error: Option<&Error>) {
        let mut health = self.health();
        health.probing = false;
        let Some(error) = error else {
            if health.until.is_some() {
                tracing::info!("Redis answers again; answers are recalled from it");
            }
            *health = Health::default();
            self.up.set(1.0);
            return;
        };
        self.errors.increment();
        health.failures += 1;
        health.last = Some(error.to_string());
        if health.failures >= OPENS_AFTER {
            if health.until.is_none() {
                let detail = error.private_detail();
                tracing::warn!(code = error.code(), detail, "Redis is not asked for a while; decisions go on: {error}");
            }
            let grown = FIRST_PAUSE.saturating_mul(2u32.saturating_pow((health.failures - OPENS_AFTER).min(10)));
            health.until = Some(self.context.clock.monotonic().saturating_add(grown.min(LONGEST_PAUSE)));
            self.up.set(0.0);
            // What lies on other connections is no better.
            drop(health);
            self.idle().clear();
        }
    }

    async fn find(&self, keys: &[CacheKey]) -> Result<Found> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let epoch = self.sealing.epoch();
        let names: Vec<Named> = keys.iter().map(|key| epoch.names(key)).collect();
        let arguments: Vec<_> = names.iter().map(|(tag, key)| vec![tag.clone(), key.clone()]).collect();
        let replies = self.run(Wish::Get, &arguments).await?;
        let value = |(reply, names): (Reply, &Named)| match reply {
            Reply::Bytes(Some(sealed)) => epoch.open(names, &sealed),
            _ => None,
        };
        Ok(replies.into_iter().zip(&names).map(value).collect())
    }

    async fn keep(&self, entries: Vec<CacheEntry>) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let epoch = self.sealing.epoch();
        let mut arguments = Vec::with_capacity(entries.len());
        for CacheEntry { key, value, ttl } in entries {
            let names = epoch.names(&key);
            let sealed = epoch.seal(&*self.context.entropy, &names, &value)?;
            arguments.push(vec![names.0, names.1, ttl.as_millis().to_string().into_bytes(), sealed]);
        }
        // Until its end is known, it may still take effect: also when whoever waits for it is dropped.
        let puts = Puts { cache: self, clear: false };
        let answered = self.run(Wish::Put, &arguments).await;
        let never_sent = answered.as_ref().is_err_and(|error| error.code() == "cache_login");
        puts.end(answered.is_ok() || never_sent);
        answered.map(drop)
    }

    async fn forget(&self, tag: &[u8; 16]) -> Result<()> {
        if !self.unclear.load(Ordering::Acquire) {
            let name = self.sealing.epoch().tag(tag);
            match self.run(Wish::Remove, &[vec![name]]).await {
                Ok(_) => return Ok(()),
                Err(error) => {
                    tracing::warn!(code = error.code(), "Redis cannot confirm an erasure: all it keeps is given up")
                }
            }
        }
        self.sealing.renew().await.map_err(|cause| {
            Error::new(ErrorKind::Unavailable, "cache_not_forgotten", "answers in the cache could not be given up")
                .hint("try again when Redis or the store of records can be written; nothing was erased")
                .private(format!("{cause:?}"))
        })?;
        self.unclear.store(false, Ordering::Release);
        Ok(())
    }
}

/// A question under way; dropped without an end (whoever asked gave up), it counts as failed.
struct Told<'a> {
    cache: &'a RedisCache,
    done: bool,
}

impl Told<'_> {
    fn settle(mut self, error: Option<&Error>) {
        self.done = true;
        self.cache.settle(error);
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.cache.settle(Some(&lost("nobody waited for Redis any longer")));
        }
    }
}

/// A put under way.
struct Puts<'a> {
    cache: &'a RedisCache,
    clear: bool,
}

impl Puts<'_> {
    fn end(mut self, clear: bool) {
        self.clear = clear;
    }
}

impl Drop for Puts<'_> {
    fn drop(&mut self) {
        if !self.clear {
            self.cache.unclear.store(true, Ordering::Release);
        }
    }
}

impl Cache for RedisCache {
    fn capability(&self) -> CacheCapability {
        CAPABILITY
    }

    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> BoxFuture<'a, Result<Found>> {
        self.find(keys).boxed()
    }

    fn put(&self, entries: Vec<CacheEntry>) -> BoxFuture<'_, Result<()>> {
        self.keep(entries).boxed()
    }

    fn remove<'a>(&'a self, tag: &'a [u8; 16]) -> BoxFuture<'a, Result<()>> {
        self.forget(tag).boxed()
    }

    fn state(&self) -> CacheState {
        CacheState { failure: self.health().last.clone(), ..CacheState::default() }
    }
}
