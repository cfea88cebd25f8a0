//! A histogram of durations with a relative error below 1.6 %: each power of two of nanoseconds is cut into 64 buckets
//! (the idea of HdrHistogram). Fixed memory, a few nanoseconds per record, so that measuring does not disturb what is measured.

use std::time::Duration;

/// Bits of precision inside a power of two.
const BITS: u32 = 6;

/// Counts of durations.
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// Empty.
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; (65 - BITS as usize) << BITS], total: 0 }
    }

    /// Counts one duration.
    pub(crate) fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanos)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// The duration below which this share (0 to 1) of the records lies; the upper edge of its bucket.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper(index));
            }
        }
        Duration::ZERO
    }

    /// How many were counted.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}

fn bucket(nanos: u64) -> usize {
    let power = (u64::BITS - nanos.leading_zeros()).saturating_sub(BITS + 1);
    (((power as u64) << BITS) + (nanos >> power)) as usize
}

fn upper(bucket: usize) -> u64 {
    let power = (bucket >> BITS).saturating_sub(1);
    let step = (bucket - (power << BITS)) as u64;
    ((step + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_a_bucket_that_is_close() {
        let mut nanos = 1_u64;
        while nanos < u64::MAX / 3 {
            for value in [nanos - 1, nanos, nanos + 1] {
                let edge = upper(bucket(value));
                assert!(edge >= value && edge - value <= value / 64, "{value} in a bucket up to {edge}");
            }
            nanos = nanos * 3 / 2 + 1;
        }
    }

    #[test]
    fn quantiles_are_where_they_should_be() {
        let mut histogram = Histogram::new();
        (1..=1000).for_each(|micros| histogram.record(Duration::from_micros(micros)));
        for (share, micros) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = histogram.quantile(share).as_secs_f64() * 1e6;
            assert!((found / micros - 1.0).abs() < 0.02, "{share}: {found}");
        }
        assert_eq!(histogram.total(), 1000);
    }
}
