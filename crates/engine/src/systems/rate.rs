//! A rate limit in rows per second: a bucket of one second's worth, refilled by the monotonic clock. Waiters queue in
//! order, because each takes its share at once and waits for the debt to be paid.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tendon_kernel::context::Context;

pub(super) struct Rate {
    per_second: f64,
    state: Mutex<State>,
}

/// How a rate is used.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct RateState {
    /// Most rows a second.
    pub most: f64,
    /// Rows a second that were taken, over the last ten whole seconds.
    pub used: f64,
}

struct State {
    tokens: f64,
    last: Duration,
    recent: Recent,
}

/// Whole seconds that use is told over.
const SECONDS: usize = 10;

/// Rows by the second they were taken in: the one under way, and those before it.
#[derive(Default)]
struct Recent {
    rows: [usize; SECONDS + 1],
    second: u64,
}

impl Recent {
    fn add(&mut self, rows: usize, now: Duration) {
        self.go_on(now);
        self.rows[0] = self.rows[0].saturating_add(rows);
    }

    /// Rows a second.
    #[expect(clippy::cast_precision_loss, reason = "a figure that people read")]
    fn used(&mut self, now: Duration) -> f64 {
        self.go_on(now);
        let [_, whole @ ..] = &self.rows;
        whole.iter().fold(0_usize, |sum, rows| sum.saturating_add(*rows)) as f64 / SECONDS as f64
    }

    fn go_on(&mut self, now: Duration) {
        let passed = now.as_secs().saturating_sub(self.second);
        self.second = self.second.max(now.as_secs());
        let all = self.rows.len();
        let passed = usize::try_from(passed).unwrap_or(usize::MAX).min(all);
        self.rows.rotate_right(passed % all);
        self.rows.iter_mut().take(passed).for_each(|rows| *rows = 0);
    }
}

impl Rate {
    pub(super) fn new(per_second: f64) -> Self {
        let per_second = per_second.max(0.001);
        let state = State { tokens: per_second, last: Duration::ZERO, recent: Recent::default() };
        Self { per_second, state: Mutex::new(state) }
    }

    /// How it is used.
    pub(super) fn state(&self, now: Duration) -> RateState {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        RateState { most: self.per_second, used: state.recent.used(now) }
    }

    /// Takes so many rows and waits until the rate allows them.
    pub(super) async fn take(&self, rows: usize, context: &Context) {
        let wait = self.reserve(rows, context.clock.monotonic());
        if !wait.is_zero() {
            context.clock.sleep(wait).await;
        }
    }

    fn reserve(&self, rows: usize, now: Duration) -> Duration {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_sub(state.last).as_secs_f64();
        let refilled = (state.tokens + passed * self.per_second).min(self.per_second);
        #[expect(clippy::cast_precision_loss, reason = "batches have far fewer than 2^53 rows")]
        let left = refilled - rows as f64;
        (state.tokens, state.last) = (left, now);
        state.recent.add(rows, now);
        if left >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-left / self.per_second) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn use_is_what_was_taken_in_the_last_ten_seconds() {
        let (rate, at) = (Rate::new(100.0), Duration::from_millis);
        let used = |now| rate.state(at(now));
        assert_eq!(used(0), RateState { most: 100.0, used: 0.0 });
        for second in 0..20 {
            rate.reserve(30, at(second * 1000 + 100));
            rate.reserve(7, at(second * 1000 + 900));
        }
        // Asked at any moment of a second, a steady use is a steady figure.
        assert_eq!([used(20_000).used, used(20_500).used, used(20_999).used], [37.0; 3]);
        // A while later a part of it, and then nothing; also after a long one.
        assert_eq!([used(25_000).used, used(30_000).used], [18.5, 0.0]);
        rate.reserve(50, at(31_000));
        assert_eq!([used(32_000).used, used(500_000).used], [5.0, 0.0]);
    }

    #[test]
    fn the_long_run_keeps_the_rate() {
        let rate = Rate::new(100.0);
        let mut now = Duration::ZERO;
        for _ in 0..100 {
            now += rate.reserve(25, now);
        }
        // 2,500 rows at 100 a second, less the first second's bucket.
        assert!((now.as_secs_f64() - 24.0).abs() < 0.01, "{now:?}");
    }
}
