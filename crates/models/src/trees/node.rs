//! One node in 16 bytes, and the step from a node to its child: the innermost loop of all tree inference.
//!
//! The two children of a split are adjacent, so that a step is one comparison and one addition without a branch. A leaf
//! is its own child: lanes that arrived early step in place until the last one arrives, which costs less than a
//! mispredicted jump per tree.

use super::spec::{Missing, Test};

/// Set on splits, clear on leaves: what is added to `left` when the answer is no.
const SPLIT: u32 = 1 << 31;
/// A missing value goes left.
const MISSING_LEFT: u32 = 1 << 30;
/// Zero counts as missing.
const ZERO_IS_MISSING: u32 = 1 << 29;
/// The question is membership in a set of categories below 64, whose bits stand in `bits`.
const CATEGORY: u32 = 1 << 28;
/// As `CATEGORY`, but the set is larger: `bits` holds its place among the ensemble's words (low half) and its length.
const WIDE: u32 = 1 << 27;
/// The remaining bits hold the feature.
const FEATURE: u32 = WIDE - 1;

/// Largest number of features a node can tell apart.
pub(crate) const MAX_COLUMNS: usize = FEATURE as usize + 1;

/// Up to here a value counts as zero: 1e-35 in single precision, as LightGBM's `kZeroThreshold`.
pub(crate) const ZERO: f64 = 1e-35_f32 as f64;

/// How much of the general step a row needs. A smaller mode is only a faster way to the same answer.
pub(crate) mod mode {
    /// All splits compare, no value of the row is NaN, zero is never missing.
    pub(crate) const PLAIN: u8 = 0;
    /// All splits compare, zero is never missing.
    pub(crate) const NAN: u8 = 1;
    /// Everything.
    pub(crate) const FULL: u8 = 2;
}

/// A split or a leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// Threshold or leaf value (bits of a `f64`), or a set of categories.
    bits: u64,
    /// Flags and feature.
    meta: u32,
    /// Index of the left child, the right one follows it; a leaf's own index.
    left: u32,
}

impl Node {
    /// A leaf that stands at `index`.
    pub(crate) fn leaf(index: u32, value: f64) -> Self {
        Self { bits: value.to_bits(), meta: 0, left: index }
    }

    /// A split whose children stand at `left` and `left + 1`. Large sets of categories go to `words`.
    pub(crate) fn split(feature: u32, test: &Test, left: u32, words: &mut Vec<u32>) -> Self {
        let (bits, flags) = match test {
            Test::Threshold { threshold, missing, default_left } => {
                let missing_left = match missing {
                    // NaN is read as 0, so its way is known beforehand.
                    Missing::None => 0.0 <= *threshold,
                    Missing::Zero | Missing::Nan => *default_left,
                };
                let zero = if *missing == Missing::Zero { ZERO_IS_MISSING } else { 0 };
                (threshold.to_bits(), zero | if missing_left { MISSING_LEFT } else { 0 })
            }
            Test::Categories { bits } => {
                let used = bits.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
                if used <= 2 {
                    let word = |index: usize| u64::from(bits.get(index).copied().unwrap_or(0));
                    (word(0) | word(1) << 32, CATEGORY)
                } else {
                    let place = words.len() as u64;
                    words.extend_from_slice(&bits[..used]);
                    (place | (used as u64) << 32, CATEGORY | WIDE)
                }
            }
        };
        Self { bits, meta: SPLIT | flags | feature, left }
    }

    /// A leaf's value.
    pub(crate) fn value(self) -> f64 {
        f64::from_bits(self.bits)
    }

    /// 1 for a split, 0 for a leaf.
    #[inline(always)]
    pub(crate) fn is_split(self) -> u32 {
        self.meta >> 31
    }

    /// Whether the plain comparison answers this split for rows without NaN.
    pub(crate) fn is_plain(self) -> bool {
        self.meta & (ZERO_IS_MISSING | CATEGORY) == 0
    }

    /// Whether the row goes left here (meaningless at a leaf).
    #[inline(always)]
    pub(crate) fn goes_left<const MODE: u8>(self, words: &[u32], row: &[f64]) -> bool {
        let value = row[(self.meta & FEATURE) as usize];
        let below = value <= f64::from_bits(self.bits);
        if MODE == mode::PLAIN {
            return below;
        }
        let missing_left = self.meta & MISSING_LEFT != 0;
        if MODE == mode::NAN {
            return below | (value.is_nan() & missing_left);
        }
        if self.meta & CATEGORY != 0 {
            return self.has_category(words, value);
        }
        let missing = value.is_nan() | ((self.meta & ZERO_IS_MISSING != 0) & (value.abs() <= ZERO));
        (missing & missing_left) | (!missing & below)
    }

    /// The index of the child the row goes to; of the leaf itself at a leaf.
    #[inline(always)]
    pub(crate) fn step<const MODE: u8>(self, words: &[u32], row: &[f64]) -> u32 {
        self.left + (u32::from(!self.goes_left::<MODE>(words, row)) & self.is_split())
    }

    /// The cast cuts towards zero and saturates, so −0.5 is category 0 and 1e300 is in no set.
    #[inline(always)]
    fn has_category(self, words: &[u32], value: f64) -> bool {
        let code = value as i32 as u32;
        if self.meta & WIDE == 0 {
            return !value.is_nan() & (code < 64) & (self.bits >> (code & 63) & 1 != 0);
        }
        let (place, length) = ((self.bits & 0xffff_ffff) as usize, (self.bits >> 32) as u32);
        let word = code / 32;
        !value.is_nan() && word < length && words[place + word as usize] >> (code % 32) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(test: &Test, value: f64) -> bool {
        let mut words = vec![0xdead_beef];
        let node = Node::split(0, test, 7, &mut words);
        let full = node.goes_left::<{ mode::FULL }>(&words, &[value]);
        if node.is_plain() {
            assert_eq!(node.goes_left::<{ mode::NAN }>(&words, &[value]), full, "{test:?} {value}");
            if !value.is_nan() {
                assert_eq!(node.goes_left::<{ mode::PLAIN }>(&words, &[value]), full, "{test:?} {value}");
            }
        }
        assert_eq!(node.step::<{ mode::FULL }>(&words, &[value]), if full { 7 } else { 8 });
        full
    }

    #[test]
    fn a_node_is_small() {
        assert_eq!(size_of::<Node>(), 16);
    }

    #[test]
    fn missing_values_follow_their_type() {
        for default_left in [false, true] {
            let test = |missing, threshold| Test::Threshold { threshold, missing, default_left };
            assert!(left(&test(Missing::None, 0.5), f64::NAN) && !left(&test(Missing::None, -0.5), f64::NAN));
            assert_eq!(left(&test(Missing::Nan, 0.5), f64::NAN), default_left);
            for zero in [0.0, -0.0, 1e-36, -1e-36, ZERO, f64::NAN] {
                assert_eq!(left(&test(Missing::Zero, 0.5), zero), default_left, "{zero}");
                assert_eq!(left(&test(Missing::Zero, -0.5), zero), default_left, "{zero}");
            }
            assert!(left(&test(Missing::Zero, 0.5), 2e-35) && !left(&test(Missing::Zero, -0.5), -2e-35));
            assert!(
                left(&test(Missing::Nan, 0.5), f64::NEG_INFINITY) && !left(&test(Missing::Nan, 0.5), f64::INFINITY)
            );
        }
    }

    #[test]
    fn categories_small_and_large_agree() {
        let small = Test::Categories { bits: vec![0b101, 1 << 31] };
        let large = Test::Categories { bits: vec![0b101, 1 << 31, 0, 1] };
        for test in [&small, &large] {
            for value in [0.0, -0.5, 0.99, 2.0, 63.0, 63.9] {
                assert!(left(test, value), "{value}");
            }
            for value in [-1.0, 1.0, 64.0, 95.0, 128.0, 1e300, -1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                assert!(!left(test, value), "{value}");
            }
        }
        assert!(left(&large, 96.0) && !left(&small, 96.0));
        assert!(!left(&Test::Categories { bits: vec![] }, 0.0));
    }
}
