//! The retry budget of a system: repeating costs, and what may be spent is earned by first attempts. However many lanes
//! repeat at once, a system in trouble is asked at most a tenth more often than it would be without any trouble. A small
//! allowance by time lets a quiet system be tried again too.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Retries that are there at the begin, and up to which time alone fills the budget.
const FLOOR: f64 = 3.0;
/// Retries that time alone earns, per second.
const TRICKLE: f64 = 0.5;
/// Most retries saved up: a tenth of the last two hundred first attempts.
const MOST: f64 = 20.0;

pub(super) struct Budget {
    /// What a first attempt earns.
    share: f64,
    /// Retries left, and when that was.
    state: Mutex<(f64, Duration)>,
}

impl Budget {
    pub(super) fn new(share: f64) -> Self {
        Self { share: share.max(0.0), state: Mutex::new((FLOOR, Duration::ZERO)) }
    }

    /// A call goes out; a retry has paid for what it earns here.
    pub(super) fn earn(&self, now: Duration) {
        self.with(now, |left| *left = (*left + self.share).min(MOST.max(FLOOR)));
    }

    /// Takes a retry, or says how long to wait for one at the most.
    pub(super) fn take(&self, now: Duration) -> Result<(), Duration> {
        self.with(now, |left| {
            if *left < 1.0 {
                return Err(wait(*left));
            }
            *left -= 1.0 + self.share;
            Ok(())
        })
    }

    /// How long until a retry is there, if nothing else happens; zero when one is.
    pub(super) fn ready_in(&self, now: Duration) -> Duration {
        self.with(now, |left| if *left < 1.0 { wait(*left) } else { Duration::ZERO })
    }

    fn with<T>(&self, now: Duration, run: impl FnOnce(&mut f64) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, last) = *state;
        let mut filled = left.max((left + now.saturating_sub(last).as_secs_f64() * TRICKLE).min(FLOOR));
        let told = run(&mut filled);
        *state = (filled, now.max(last));
        told
    }
}

fn wait(left: f64) -> Duration {
    // A millisecond more, so that the wait's end finds it there whatever was rounded.
    Duration::from_secs_f64((1.0 - left) / TRICKLE) + Duration::from_millis(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However calls and wishes to repeat come: all calls together are at most a tenth more than first attempts, and
        /// what time alone allows.
        #[test]
        fn the_whole_is_at_most_a_tenth_more(steps in prop::collection::vec((0u64..400, 0u8..3), 1..600)) {
            let (budget, mut now) = (Budget::new(0.1), Duration::ZERO);
            let (mut first, mut retries) = (0.0, 0.0);
            for (wait, what) in steps {
                now += Duration::from_millis(wait);
                if what == 0 {
                    first += 1.0;
                    budget.earn(now);
                } else if budget.take(now).is_ok() {
                    retries += 1.0;
                    budget.earn(now);
                }
                prop_assert!(retries <= 0.1 * first + FLOOR + now.as_secs_f64() * TRICKLE + 1e-6, "{retries} {first}");
            }
        }

        /// Whoever waits as long as it is told finds a retry.
        #[test]
        fn the_wait_it_tells_is_enough(spent in 0usize..40, earned in 0usize..40) {
            let budget = Budget::new(0.1);
            let now = Duration::from_secs(1);
            (0..earned).for_each(|_| budget.earn(now));
            for _ in 0..spent {
                let _ = budget.take(now);
            }
            prop_assert!(budget.take(now + budget.ready_in(now)).is_ok());
        }
    }
}
