//! One node in 16 bytes, and the step from a node to its child: the innermost loop of all tree inference.
//!
//! The two children of a split are adjacent, so that a step is one comparison and one addition without a branch, and a
//! split knows which of its children are splits, so that a walk ends without looking at the leaf.

use super::spec::{Child, Missing, Split, Test};

/// Where the bit stands that says whether the left child is a split; the next bit says it of the right child.
const LEFT_SPLIT_SHIFT: u32 = 30;
/// A missing value goes left.
const MISSING_LEFT: u32 = 1 << 29;
/// Zero counts as missing.
const ZERO_IS_MISSING: u32 = 1 << 28;
/// The question is membership in a set of categories below 64, whose bits stand in `bits`.
const CATEGORY: u32 = 1 << 27;
/// As `CATEGORY`, but the set is larger: `bits` holds its place among the ensemble's words (low half) and its length.
const WIDE: u32 = 1 << 26;
/// The remaining bits hold the feature.
const FEATURE: u32 = WIDE - 1;

/// Largest number of features a node can tell apart.
pub(crate) const MAX_COLUMNS: usize = FEATURE as usize + 1;

/// Up to here a value counts as zero: 1e-35 in single precision, as LightGBM's `kZeroThreshold`.
pub(crate) const ZERO: f64 = 1e-35_f32 as f64;

/// How much of the general step a row needs. A smaller mode is only a faster way to the same answer.
pub(crate) mod mode {
    /// All splits compare, zero is never missing; no value of the row is NaN.
    pub(crate) const PLAIN: u8 = 0;
    /// All splits compare, zero is never missing.
    pub(crate) const NAN: u8 = 1;
    /// Comparisons and small sets of categories, zero is never missing; no value of the row is NaN.
    pub(crate) const CATEGORIES: u8 = 2;
    /// Comparisons and small sets of categories, zero is never missing.
    pub(crate) const CATEGORIES_NAN: u8 = 3;
    /// Everything.
    pub(crate) const FULL: u8 = 4;
}

/// Rows of features one after the other, and for the modes from [`mode::CATEGORIES`] on the [`category_bit`] of each.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) values: &'a [f64],
    pub(crate) categories: &'a [u64],
}

/// A value as a category: the bit of its code, or 0 where no small set can have it. Computed once per value, so that a
/// node only has to look whether its set has the bit. The cast cuts towards zero and saturates: −0.5 is category 0.
pub(crate) fn category_bit(value: f64) -> u64 {
    let code = value as i32 as u32;
    if value.is_nan() || code >= u64::BITS { 0 } else { 1 << code }
}

/// A split or a leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// Threshold or leaf value (bits of a `f64`), or a set of categories.
    bits: u64,
    /// Flags and feature.
    meta: u32,
    /// Index of the left child, the right one follows it; 0 at a leaf.
    left: u32,
}

impl Node {
    /// A leaf.
    pub(crate) fn leaf(value: f64) -> Self {
        Self { bits: value.to_bits(), meta: 0, left: 0 }
    }

    /// A split whose children stand at `at` and `at + 1`. Large sets of categories go to `words`.
    pub(crate) fn split(split: &Split, at: u32, words: &mut Vec<u32>) -> Self {
        let (bits, flags) = match &split.test {
            Test::Threshold { threshold, missing, default_left } => {
                let missing_left = match missing {
                    // NaN is read as 0, so its way is known beforehand.
                    Missing::None => 0.0 <= *threshold,
                    Missing::Zero | Missing::Nan => *default_left,
                };
                let zero = if *missing == Missing::Zero { ZERO_IS_MISSING } else { 0 };
                (threshold.to_bits(), zero | if missing_left { MISSING_LEFT } else { 0 })
            }
            Test::Categories { bits, missing_left } => {
                let missing = if *missing_left { MISSING_LEFT } else { 0 };
                let used = bits.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1);
                if used <= 2 {
                    let word = |index: usize| u64::from(bits.get(index).copied().unwrap_or(0));
                    (word(0) | word(1) << 32, CATEGORY | missing)
                } else {
                    let place = words.len() as u64;
                    words.extend_from_slice(&bits[..used]);
                    (place | (used as u64) << 32, CATEGORY | WIDE | missing)
                }
            }
        };
        let [left, right] = [split.left, split.right].map(|child| u32::from(matches!(child, Child::Split(_))));
        Self { bits, meta: flags | split.feature | (left | right << 1) << LEFT_SPLIT_SHIFT, left: at }
    }

    /// A leaf's value.
    pub(crate) fn value(self) -> f64 {
        f64::from_bits(self.bits)
    }

    /// 1 when the child on this side is a split, 0 when it is a leaf.
    #[inline(always)]
    pub(crate) fn goes_on(self, side: u32) -> u32 {
        (self.meta >> LEFT_SPLIT_SHIFT >> side) & 1
    }

    /// The index of the child on this side.
    #[inline(always)]
    pub(crate) fn child(self, side: u32) -> u32 {
        self.left + side
    }

    /// The smallest mode that serves this node for rows with NaN.
    pub(crate) fn mode(self) -> u8 {
        if self.meta & (ZERO_IS_MISSING | WIDE) != 0 {
            mode::FULL
        } else if self.meta & CATEGORY != 0 {
            mode::CATEGORIES_NAN
        } else {
            mode::NAN
        }
    }

    /// 0 when the row that starts at `row` goes left here, 1 when it goes right (meaningless at a leaf).
    ///
    /// Arithmetic instead of conditions, down to the type: which way a row goes is what no branch predictor can know.
    #[inline(always)]
    pub(crate) fn side<const MODE: u8>(self, words: &[u32], rows: Rows<'_>, row: usize) -> u32 {
        let place = row + (self.meta & FEATURE) as usize;
        let value = rows.values[place];
        let flag = |bit: u32| (self.meta / bit) & 1;
        let below = u32::from(value <= f64::from_bits(self.bits));
        if MODE == mode::PLAIN {
            return below ^ 1;
        }
        let nan = u32::from(value.is_nan());
        if MODE == mode::NAN {
            return (below | (nan & flag(MISSING_LEFT))) ^ 1;
        }
        if MODE == mode::FULL && self.meta & WIDE != 0 {
            return (u32::from(self.has_category(words, value)) | (nan & flag(MISSING_LEFT))) ^ 1;
        }
        let in_set = u32::from(self.bits & rows.categories[place] != 0);
        let member = if MODE == mode::CATEGORIES { in_set } else { in_set | (nan & flag(MISSING_LEFT)) };
        let number = match MODE {
            mode::CATEGORIES => below,
            mode::CATEGORIES_NAN => below | (nan & flag(MISSING_LEFT)),
            _ => {
                let missing = nan | (u32::from(value.abs() <= ZERO) & flag(ZERO_IS_MISSING));
                (missing & flag(MISSING_LEFT)) | ((missing ^ 1) & below)
            }
        };
        number ^ ((number ^ member) & flag(CATEGORY)) ^ 1
    }

    /// Membership in a large set.
    #[inline(never)]
    fn has_category(self, words: &[u32], value: f64) -> bool {
        let code = value as i32 as u32;
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
        let split = Split { feature: 0, test: test.clone(), left: Child::Leaf(0), right: Child::Split(1) };
        let node = Node::split(&split, 7, &mut words);
        let row = Rows { values: &[value], categories: &[category_bit(value)] };
        let full = node.side::<{ mode::FULL }>(&words, row, 0) == 0;
        if node.mode() <= mode::CATEGORIES_NAN {
            assert_eq!(node.side::<{ mode::CATEGORIES_NAN }>(&words, row, 0) == 0, full, "{test:?} {value}");
            if !value.is_nan() {
                assert_eq!(node.side::<{ mode::CATEGORIES }>(&words, row, 0) == 0, full, "{test:?} {value}");
            }
        }
        if node.mode() <= mode::NAN {
            assert_eq!(node.side::<{ mode::NAN }>(&words, row, 0) == 0, full, "{test:?} {value}");
            if !value.is_nan() {
                assert_eq!(node.side::<{ mode::PLAIN }>(&words, row, 0) == 0, full, "{test:?} {value}");
            }
        }
        assert_eq!([node.child(0), node.child(1), node.goes_on(0), node.goes_on(1)], [7, 8, 0, 1]);
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
        let set = |bits: Vec<u32>, missing_left| Test::Categories { bits, missing_left };
        let small = set(vec![0b101, 1 << 31], false);
        let large = set(vec![0b101, 1 << 31, 0, 1], false);
        for test in [&small, &large] {
            for value in [0.0, -0.5, 0.99, 2.0, 63.0, 63.9] {
                assert!(left(test, value), "{value}");
            }
            for value in [-1.0, 1.0, 64.0, 95.0, 128.0, 1e300, -1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                assert!(!left(test, value), "{value}");
            }
        }
        assert!(left(&large, 96.0) && !left(&small, 96.0));
        assert!(!left(&set(vec![], false), 0.0));
        for bits in [vec![], vec![0b101], vec![0, 0, 1]] {
            assert!(left(&set(bits.clone(), true), f64::NAN) && !left(&set(bits, false), f64::NAN));
        }
    }
}
