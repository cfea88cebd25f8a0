//! How much each caller has asked: requests by a bucket that fills again, decisions by the day (UTC). The days' counts are kept in
//! a store every few seconds and when the process stops: a crash loses at most those seconds, in the caller's favour.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::FutureExt as _;
use tendon_kernel::{
    Error, ErrorKind, Result,
    context::Context,
    sockets::store::{Batch, Range, Store, Table},
};
use tendon_plan::trust::{Limits, Rate};

/// Caller → day and count, as `day count`.
const TABLE: Table = Table("quotas");
/// How long counts stay in memory alone.
const WINDOW: Duration = Duration::from_secs(5);
const DAY: i64 = 86_400 * 1_000_000;
/// Callers in memory above which idle ones are forgotten.
const MANY: usize = 10_000;

/// The accounts of all callers.
pub struct Allowances {
    context: Context,
    accounts: Mutex<BTreeMap<Arc<str>, Account>>,
    store: OnceLock<Arc<dyn Store>>,
    scheduled: AtomicBool,
}

/// One caller.
#[derive(Clone, Copy, Debug)]
struct Account {
    limits: Limits,
    /// Requests that may come at once, and when that was true (monotonic).
    tokens: f64,
    at: Duration,
    /// The day that is counted, and its decisions.
    day: i64,
    used: u64,
    unkept: bool,
}

/// What is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The limit itself.
    pub limit: u64,
    /// In how many seconds.
    pub window: u64,
    /// How much is left.
    pub left: u64,
    /// Seconds until all of it is there again.
    pub reset: u64,
    /// Seconds until something is there again; zero when something is left.
    pub wait: u64,
}

/// How a caller stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its requests.
    pub rate: Option<Left>,
    /// Its decisions of the day.
    pub quota: Option<Left>,
}

impl Allowances {
    pub(crate) fn new(context: Context) -> Arc<Self> {
        Arc::new(Self {
            context,
            accounts: Mutex::default(),
            store: OnceLock::new(),
            scheduled: AtomicBool::new(false),
        })
    }

    /// Takes up the day's counts where they stopped, and keeps them there from now on.
    ///
    /// # Errors
    /// As the store's.
    pub async fn keep_in(&self, store: Arc<dyn Store>) -> Result<()> {
        let rows = store.range(TABLE, Range::prefix(b"", usize::MAX >> 1)).await?;
        let (today, now) = (self.today(), self.context.clock.monotonic());
        let (mut kept, mut old) = (Vec::new(), Batch::default());
        for (key, value) in rows {
            match (String::from_utf8(key.clone()), read(&value)) {
                (Ok(caller), Some((day, used))) if day == today => kept.push((Arc::from(caller), used)),
                _ => old.delete(TABLE, key),
            }
        }
        {
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            for (caller, used) in kept {
                let account = accounts.entry(caller).or_insert_with(|| Account::new(now, today));
                account.used = account.used.saturating_add(used);
            }
        }
        let _ = self.store.set(store.clone());
        if old.changes.is_empty() { Ok(()) } else { store.write(old).await }
    }

    /// Takes one request out of a caller's rate. Its limits are those that hold from now on.
    ///
    /// # Errors
    /// `Overloaded` (`rate_limited`) when nothing is left.
    pub fn request(&self, caller: &Arc<str>, limits: Limits) -> Result<()> {
        if limits == Limits::default() {
            return Ok(());
        }
        let (today, now) = (self.today(), self.context.clock.monotonic());
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= MANY && !accounts.contains_key(caller) {
            accounts.retain(|_, account| !account.idle(now, today));
        }
        let account = accounts.entry(caller.clone()).or_insert_with(|| Account::new(now, today));
        account.roll(limits, now, today);
        if limits.rate.is_some() {
            if account.tokens < 1.0 {
                return Err(rate_limited());
            }
            account.tokens -= 1.0;
        }
        Ok(())
    }

    /// How a caller stands.
    pub fn standing(&self, caller: &str) -> Standing {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.get(caller).map(|account| account.standing(self.until_midnight())).unwrap_or_default()
    }

    /// Takes decisions out of a caller's day: all of them or none.
    ///
    /// # Errors
    /// `Overloaded` (`quota_exceeded`) when fewer are left.
    pub(crate) fn decide(self: &Arc<Self>, caller: &str, count: usize) -> Result<()> {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let (today, now) = (self.today(), self.context.clock.monotonic());
        {
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(account) = accounts.get_mut(caller) else { return Ok(()) };
            account.roll(account.limits, now, today);
            let Some(quota) = account.limits.quota else { return Ok(()) };
            if count > quota.saturating_sub(account.used) {
                return Err(quota_exceeded(quota));
            }
            account.used += count;
            account.unkept = true;
        }
        if self.store.get().is_some() && !self.scheduled.swap(true, Ordering::AcqRel) {
            let allowances = self.clone();
            let wait = self.context.clock.sleep(WINDOW);
            let task = async move {
                wait.await;
                allowances.flush().await;
            };
            self.context.spawn.spawn("quotas", task.boxed());
        }
        Ok(())
    }

    /// Keeps what is in memory alone.
    pub async fn flush(&self) {
        self.scheduled.store(false, Ordering::Release);
        let Some(store) = self.store.get() else { return };
        let mut batch = Batch::default();
        {
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            for (caller, account) in accounts.iter_mut().filter(|(_, account)| account.unkept) {
                account.unkept = false;
                batch.put(TABLE, caller.as_bytes(), format!("{} {}", account.day, account.used).into_bytes());
            }
        }
        if batch.changes.is_empty() {
            return;
        }
        if let Err(error) = store.write(batch).await {
            tracing::warn!(code = error.code(), "the day's counts of decisions could not be kept: {error}");
        }
    }

    fn today(&self) -> i64 {
        self.context.clock.now().0.div_euclid(DAY)
    }

    fn until_midnight(&self) -> u64 {
        let past = self.context.clock.now().0.rem_euclid(DAY);
        u64::try_from((DAY - past) / 1_000_000 + 1).unwrap_or_default()
    }
}

impl Account {
    fn new(now: Duration, day: i64) -> Self {
        Self { limits: Limits::default(), tokens: 0.0, at: now, day, used: 0, unkept: false }
    }

    /// Brings it to this moment.
    fn roll(&mut self, limits: Limits, now: Duration, day: i64) {
        if let Some(rate) = limits.rate {
            let most = f64::from(rate.count);
            self.tokens = if self.limits.rate == limits.rate {
                let passed = now.saturating_sub(self.at).as_secs_f64();
                (self.tokens + passed * per_second(rate)).min(most)
            } else {
                most
            };
        }
        (self.limits, self.at) = (limits, now);
        // A clock that is set back opens no second quota for the same day.
        if day > self.day {
            (self.day, self.used) = (day, 0);
        }
    }

    /// Whether forgetting it changes nothing.
    fn idle(&self, now: Duration, today: i64) -> bool {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        let full = |rate: Rate| self.tokens + passed * per_second(rate) >= f64::from(rate.count);
        (self.used == 0 || self.day < today) && self.limits.rate.is_none_or(full)
    }

    fn standing(&self, midnight: u64) -> Standing {
        let rate = self.limits.rate.map(|rate| {
            let most = f64::from(rate.count);
            Left {
                limit: u64::from(rate.count),
                window: u64::from(rate.seconds),
                left: whole(self.tokens.floor()),
                reset: whole(((most - self.tokens) / per_second(rate)).ceil()),
                wait: whole(((1.0 - self.tokens) / per_second(rate)).ceil()),
            }
        });
        let quota = self.limits.quota.map(|quota| {
            let left = quota.saturating_sub(self.used);
            Left { limit: quota, window: 86_400, left, reset: midnight, wait: if left == 0 { midnight } else { 0 } }
        });
        Standing { rate, quota }
    }
}

fn per_second(rate: Rate) -> f64 {
    f64::from(rate.count) / f64::from(rate.seconds)
}

/// A number of seconds or requests that is never negative.
fn whole(number: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held at zero; far below 2^53")]
    let whole = number.max(0.0) as u64;
    whole
}

fn read(value: &[u8]) -> Option<(i64, u64)> {
    let (day, used) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    Some((day.parse().ok()?, used.parse().ok()?))
}

fn rate_limited() -> Error {
    Error::new(ErrorKind::Overloaded, "rate_limited", "this caller asks more often than it may")
        .hint("wait as long as `Retry-After` says; `RateLimit` tells how much is left")
}

fn quota_exceeded(quota: u64) -> Error {
    Error::new(ErrorKind::Overloaded, "quota_exceeded", "this caller has fewer decisions left today than it asks for")
        .with("decisions per day", quota)
        .hint("the count begins anew at midnight UTC; `RateLimit` tells how much is left")
}
