//! The pace of the path: how many decisions under way are as many as it can use. More would only wait: for a processor, for
//! the disk. A queue that stands is told from a busy path by the *quickest* decision of a while: when even that one took much
//! longer than one alone does, all of them waited. Then the limit falls by a share; otherwise it rises. (Additive increase
//! and multiplicative decrease, on the signal of CoDel.)
//!
//! The limit of low priorities falls first, and that of live questions only once nothing below them is left to give way.

use std::time::Duration;

/// What a decision may take without being called slow, however quick the path usually is. It is also what everything else on a
/// busy processor waits for, refusals among it: they must be out within 100 ms.
const CALM: Duration = Duration::from_millis(20);
/// How much longer than one alone a decision may take.
const TOLERANCE: f64 = 3.0;
/// How long the quickest decision is looked for, and among how many at least.
const WINDOW: Duration = Duration::from_millis(100);
const SAMPLES: u32 = 4;
/// After so long a few samples do.
const LONG: Duration = Duration::from_secs(1);
/// Silence after which nothing is known any more.
const FORGET: Duration = Duration::from_secs(10);
/// A quickest time that was forgotten until it is so long says nothing any more: sizes that are not asked for again end here.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// What the limits fall to at the least, and by which share at once.
const LEAST: f64 = 16.0;
const FALL: f64 = 0.85;
const RISE: f64 = 1.05;
/// Sizes of batches that are compared with one another: powers of two.
const SIZES: usize = 16;

/// An answered batch.
pub(crate) struct Sample {
    pub(crate) size: usize,
    pub(crate) began: Duration,
    pub(crate) now: Duration,
}

/// See the module. Pure: time comes with the samples.
#[derive(Default)]
pub(crate) struct Pace {
    /// Decisions under way of each kind (live, low); infinite until something is known.
    limits: Option<(f64, f64)>,
    /// Quickest time by size.
    floors: [Option<Duration>; SIZES],
    began: Duration,
    samples: u32,
    /// The quickest of the window, as a share of what it may take: by its floor, and by the calm alone.
    quickest: (f64, f64),
    /// Most taken at once in the window.
    peaks: (usize, usize),
    /// When the limits fell last: what began before tells nothing about it.
    fell: Duration,
}

impl Pace {
    /// The limits of live questions and of all together while something low is among them.
    pub(crate) fn limits(&self, most: usize) -> (usize, usize) {
        let (live, low) = self.limits.unwrap_or((f64::INFINITY, f64::INFINITY));
        let whole = |limit: f64, most: usize| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "positive, and cut off at most"
            )]
            let limit = limit.min(1e9) as usize;
            limit.clamp(1, most.max(1))
        };
        let live = whole(live, most);
        (live, whole(low, (live / 2).max(1)))
    }

    /// So much is taken now.
    pub(crate) fn taken(&mut self, live: usize, low: usize) {
        self.peaks = (self.peaks.0.max(live), self.peaks.1.max(low));
    }

    /// A batch was answered.
    pub(crate) fn took(&mut self, sample: &Sample, most: usize) {
        let took = sample.now.saturating_sub(sample.began);
        if sample.now.saturating_sub(self.began) > FORGET {
            *self = Self { began: sample.now, ..Self::default() };
        }
        let size = usize::try_from(sample.size.max(1).ilog2()).unwrap_or(0).min(SIZES - 1);
        let floor = self.floors[size].map_or(took, |floor| floor.min(took));
        self.floors[size] = Some(floor);
        if sample.began < self.fell {
            return;
        }
        let may = |most: Duration| took.as_secs_f64() / most.max(CALM).as_secs_f64();
        let shares = (may(floor.mul_f64(TOLERANCE)), may(CALM));
        let quickest = if self.samples == 0 { shares } else { self.quickest };
        self.quickest = (quickest.0.min(shares.0), quickest.1.min(shares.1));
        self.samples += 1;
        let lasted = sample.now.saturating_sub(self.began);
        if lasted >= WINDOW && (self.samples >= SAMPLES || lasted >= LONG) {
            self.judge(sample.now, most);
        }
    }

    fn judge(&mut self, now: Duration, most: usize) {
        #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 decisions are under way")]
        let (most, peaks) = (most as f64, (self.peaks.0 as f64, self.peaks.1 as f64));
        let (mut live, mut low) = self.limits.unwrap_or((most, most / 2.0));
        // A floor that was measured among low work may be that work's doing, so low work is held against the calm alone.
        let yields = peaks.1 > 0.0 && low > LEAST;
        let crowded = if yields { self.quickest.1 } else { self.quickest.0 } > 1.0;
        if crowded {
            // From what was really there: a limit far above it would take long to be felt.
            if yields {
                low = (low.min(peaks.0 + peaks.1) * FALL).max(LEAST);
            } else {
                live = (live.min(peaks.0.max(1.0)) * FALL).max(LEAST);
            }
            self.fell = now;
        } else {
            live = (live * RISE + 1.0).min(most);
            low = (low * RISE + 1.0).min(live / 2.0);
        }
        // The quickest time is forgotten slowly, where a longer one would not come from waiting.
        if (!crowded && peaks.0 + peaks.1 <= live / 4.0) || live <= LEAST {
            for floor in &mut self.floors {
                *floor = floor.map(|floor| floor.mul_f64(1.01)).filter(|floor| *floor < FORGOTTEN);
            }
        }
        self.limits = Some((live, low));
        (self.began, self.samples, self.peaks) = (now, 0, (0, 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1024;

    /// A path that serves so many a second, one after the other, always as full as it may be; gives the limits at the end.
    fn full(pace: &mut Pace, per_second: f64, from: Duration, lasts: Duration) -> Duration {
        let mut now = from;
        while now < from + lasts {
            let live = pace.limits(MOST).0;
            pace.taken(live, 0);
            let took = Duration::from_secs_f64(live as f64 / per_second);
            now += Duration::from_secs_f64(1.0 / per_second);
            pace.took(&Sample { size: 1, began: now.saturating_sub(took), now }, MOST);
        }
        now
    }

    #[test]
    fn a_path_that_is_quick_enough_is_never_limited() {
        let mut pace = Pace::default();
        // As full as it may be, it answers within 17 ms.
        full(&mut pace, 60_000.0, Duration::ZERO, Duration::from_secs(5));
        assert_eq!(pace.limits(MOST), (MOST, MOST / 2));
    }

    #[test]
    fn the_limit_finds_what_a_slow_path_can_use_and_follows_it() {
        let mut pace = Pace::default();
        let now = full(&mut pace, 500.0, Duration::ZERO, Duration::from_secs(30));
        let (live, _) = pace.limits(MOST);
        // 500 a second within about 20 ms: 10, of which nothing is left to fall to.
        assert!((16..24).contains(&live), "{live}");
        let now = full(&mut pace, 4_000.0, now, Duration::from_secs(30));
        let (live, _) = pace.limits(MOST);
        assert!((60..160).contains(&live), "{live}");
        full(&mut pace, 60_000.0, now, Duration::from_secs(30));
        assert_eq!(pace.limits(MOST).0, MOST, "well again");
    }

    /// A long soak with a batch at its beginning died of this after nine minutes.
    #[test]
    fn what_is_not_seen_for_hours_is_forgotten() {
        let mut pace = Pace::default();
        let mut now = Duration::from_secs(1);
        pace.took(&Sample { size: 2000, began: Duration::ZERO, now }, MOST);
        for _ in 0..100_000 {
            now += Duration::from_millis(150);
            pace.taken(1, 0);
            pace.took(&Sample { size: 1, began: now - Duration::from_millis(1), now }, MOST);
            for _ in 0..SAMPLES {
                pace.took(&Sample { size: 1, began: now - Duration::from_millis(1), now }, MOST);
            }
        }
        assert_eq!(pace.limits(MOST).0, MOST);
        let known: Vec<usize> = (0..SIZES).filter(|size| pace.floors[*size].is_some()).collect();
        assert_eq!(known, [0], "single questions only");
    }

    #[test]
    fn what_is_low_gives_way_first() {
        let mut pace = Pace::default();
        let mut now = Duration::from_secs(1);
        let mut crowd = |pace: &mut Pace, low: usize, rounds: u32| {
            for _ in 0..rounds {
                now += Duration::from_millis(40);
                pace.taken(100, low);
                pace.took(&Sample { size: 1, began: now - Duration::from_millis(1), now }, MOST);
                now += Duration::from_millis(400);
                pace.took(&Sample { size: 1, began: now - Duration::from_millis(390), now }, MOST);
            }
        };
        crowd(&mut pace, 0, 1);
        // The first sample of each window was quick: nothing to say.
        assert_eq!(pace.limits(MOST).0, MOST);
        for _ in 0..60 {
            now += Duration::from_millis(300);
            pace.taken(100, 50);
            for _ in 0..4 {
                pace.took(&Sample { size: 1, began: now - Duration::from_millis(200), now }, MOST);
            }
            let (live, low) = pace.limits(MOST);
            assert!(live == MOST || low <= 16, "{live} {low}");
        }
        assert!(pace.limits(MOST).0 < MOST, "with nothing left to give way, live questions are limited");
    }
}
