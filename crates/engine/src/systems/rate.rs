//! A rate limit in rows per second: a bucket of one second's worth, refilled by the monotonic clock. Waiters queue in
//! order, because each takes its share at once and waits for the debt to be paid.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tendon_kernel::context::Context;

pub(super) struct Rate {
    per_second: f64,
    state: Mutex<(f64, Duration)>,
}

impl Rate {
    pub(super) fn new(per_second: f64) -> Self {
        let per_second = per_second.max(0.001);
        Self { per_second, state: Mutex::new((per_second, Duration::ZERO)) }
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
        let (tokens, last) = *state;
        let refilled = (tokens + now.saturating_sub(last).as_secs_f64() * self.per_second).min(self.per_second);
        #[expect(clippy::cast_precision_loss, reason = "batches have far fewer than 2^53 rows")]
        let left = refilled - rows as f64;
        *state = (left, now);
        if left >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-left / self.per_second) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
