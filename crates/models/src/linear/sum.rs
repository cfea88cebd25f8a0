//! The exact sum of numbers and products, rounded once to the nearest double: Shewchuk's growing expansion ("Adaptive
//! precision floating-point arithmetic", 1997), as Python's `math.fsum` has it, over products with their exact errors. Only
//! additions and fused multiply-additions are used, which are exactly specified: every machine gives the same bits, in
//! whatever order a library would have added.

use super::Adds;

/// What was added so far.
pub(super) struct Sum {
    /// The exact sum, as doubles that do not overlap, the smallest first.
    parts: Vec<f64>,
    /// The sum as plain additions give it: tells when the range of doubles was left.
    plain: f64,
}

impl Sum {
    pub(super) fn from(start: f64) -> Self {
        let mut sum = Self { parts: Vec::with_capacity(8), plain: 0.0 };
        sum.adds(Adds::Points(start));
        sum
    }

    pub(super) fn adds(&mut self, adds: Adds) {
        let rounded = adds.rounded();
        self.plain += rounded;
        // Infinities have no errors to keep; `plain` shows them.
        if !self.plain.is_finite() {
            return;
        }
        self.add(rounded);
        if let Adds::Product(a, b) = adds {
            self.add(a.mul_add(b, -rounded));
        }
    }

    fn add(&mut self, mut x: f64) {
        let mut kept = 0;
        for index in 0..self.parts.len() {
            let mut y = self.parts[index];
            if x.abs() < y.abs() {
                (x, y) = (y, x);
            }
            let sum = x + y;
            let lost = y - (sum - x);
            if lost != 0.0 {
                self.parts[kept] = lost;
                kept += 1;
            }
            x = sum;
        }
        self.parts.truncate(kept);
        if x != 0.0 {
            self.parts.push(x);
        }
    }

    /// The sum; one that left the range of doubles stays what it became.
    pub(super) fn rounded(&self) -> f64 {
        if !self.plain.is_finite() {
            return self.plain;
        }
        let Some((mut high, mut rest)) = self.parts.split_last().map(|(last, rest)| (*last, rest)) else { return 0.0 };
        let mut low = 0.0;
        while let Some((next, smaller)) = rest.split_last() {
            let sum = high + next;
            low = next - (sum - high);
            high = sum;
            rest = smaller;
            if low != 0.0 {
                break;
            }
        }
        // Half way between two doubles, what is still smaller decides.
        if rest.last().is_some_and(|smaller| (low < 0.0 && *smaller < 0.0) || (low > 0.0 && *smaller > 0.0)) {
            let away = high + low * 2.0;
            if away - high == low * 2.0 {
                high = away;
            }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(start: f64, adds: &[Adds]) -> f64 {
        let mut sum = Sum::from(start);
        adds.iter().for_each(|one| sum.adds(*one));
        sum.rounded()
    }

    #[test]
    fn what_cancels_is_kept_and_what_overflows_is_told() {
        assert_eq!(sum(1e100, &[Adds::Points(1.0), Adds::Points(-1e100)]), 1.0);
        // (1 + 2^-30)² − 1 − 2^-29 is 2^-60, all of it lost without the exact product.
        let x = 1.0 + 2.0_f64.powi(-30);
        assert_eq!(sum(-1.0, &[Adds::Product(x, x), Adds::Points(-2.0_f64.powi(-29))]), 2.0_f64.powi(-60));
        // Half way between 1 and the next double: even, unless something tiny decides.
        let half = f64::EPSILON / 2.0;
        assert_eq!(sum(1.0, &[Adds::Points(half)]), 1.0);
        assert_eq!(sum(1.0, &[Adds::Points(half), Adds::Points(1e-200)]), 1.0 + f64::EPSILON);
        assert_eq!(sum(1.0, &[Adds::Points(-1e-200), Adds::Points(half)]), 1.0);
        assert_eq!(sum(0.0, &[Adds::Product(1e200, 1e200)]), f64::INFINITY);
        assert_eq!(sum(f64::INFINITY, &[Adds::Points(1.0)]), f64::INFINITY);
        assert!(sum(f64::INFINITY, &[Adds::Points(f64::NEG_INFINITY)]).is_nan());
        assert_eq!(sum(-0.0, &[]), 0.0);
    }

    proptest! {
        /// Products of integers of 40 bits are summed exactly in 128 bits.
        #[test]
        fn it_is_the_exact_sum_rounded(terms in prop::collection::vec((-(1_i64 << 40)..1 << 40, -(1_i64 << 40)..1 << 40), 0..40)) {
            let exact: i128 = terms.iter().map(|(a, b)| i128::from(*a) * i128::from(*b)).sum();
            let terms: Vec<Adds> = terms.iter().map(|(a, b)| Adds::Product(*a as f64, *b as f64)).collect();
            prop_assert_eq!(sum(0.0, &terms), exact as f64);
        }
    }
}
