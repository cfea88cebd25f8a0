//! One `Tree=…` part of a model file. The format and its meaning follow `src/io/tree.cpp` and `tree.h` of LightGBM.

use super::text::{BadFile, Block};
use crate::trees::{
    ZERO,
    spec::{Child, Counts, Missing, Split, Test, Tree},
};

/// Bit of `decision_type`: the split is about categories.
const CATEGORICAL: u8 = 1;
/// Bit of `decision_type`: missing values go left.
const DEFAULT_LEFT: u8 = 2;

/// Reads a tree. That its parts fit each other (children, features) is checked when the ensemble is built.
pub(super) fn tree(block: &Block<'_>) -> Result<Tree, BadFile> {
    if block.get("is_linear").is_some_and(|(_, value)| value.trim() != "0") {
        let reason = "linear models in the leaves (linear_tree) are not offered; train with linear_tree=false";
        return Err(BadFile::unsupported(block.line_of("is_linear"), reason));
    }
    let leaves: usize = block.number("num_leaves")?;
    if leaves == 0 {
        return Err(BadFile::new(block.line_of("num_leaves"), "a tree without leaves"));
    }
    let values = block.numbers("leaf_value", leaves)?;
    if leaves == 1 {
        return Ok(Tree { splits: vec![], leaves: values, counts: None });
    }
    let count = leaves - 1;
    let features: Vec<u32> = block.numbers("split_feature", count)?;
    let thresholds: Vec<f64> = block.numbers("threshold", count)?;
    let types: Vec<u8> = block.numbers("decision_type", count)?;
    let left: Vec<i32> = block.numbers("left_child", count)?;
    let right: Vec<i32> = block.numbers("right_child", count)?;
    let categories = Categories::read(block)?;
    let mut splits = Vec::with_capacity(count);
    for (index, kind) in types.iter().enumerate() {
        let test = test(block, &categories, index, *kind, thresholds[index])?;
        splits.push(Split { feature: features[index], test, left: child(left[index]), right: child(right[index]) });
    }
    Ok(Tree { splits, leaves: values, counts: counts(block, leaves)? })
}

/// A split's index, or the complement of a leaf's.
fn child(index: i32) -> Child {
    if index >= 0 { Child::Split(index.unsigned_abs()) } else { Child::Leaf((!index).unsigned_abs()) }
}

fn test(block: &Block<'_>, categories: &Categories, index: usize, kind: u8, threshold: f64) -> Result<Test, BadFile> {
    let bad = |key: &str, reason: String| Err(BadFile::new(block.line_of(key), format!("split {index}: {reason}")));
    if kind & CATEGORICAL != 0 {
        // The threshold of a categorical split is the number of its set.
        return match categories.set(threshold) {
            Some(bits) => Ok(Test::Categories { bits: bits.to_vec(), missing_left: false }),
            None => bad("threshold", format!("there is no set of categories {threshold}")),
        };
    }
    let missing = match kind >> 2 {
        0 => Missing::None,
        1 => Missing::Zero,
        2 => Missing::Nan,
        _ => return bad("decision_type", format!("decision type {kind} has no known meaning")),
    };
    if threshold.is_nan() {
        return bad("threshold", "the threshold is not a number".into());
    }
    let threshold = threshold_for_any_zero(threshold);
    Ok(Test::Threshold { threshold, missing, default_left: kind & DEFAULT_LEFT != 0 })
}

/// Before it walks, LightGBM reads every value within ±1e-35 as 0. Moving the thresholds out of that range instead has
/// the same effect on each comparison and costs nothing per row. It matters: its own bins end at exactly ±1e-35.
fn threshold_for_any_zero(threshold: f64) -> f64 {
    if (-ZERO..0.0).contains(&threshold) {
        (-ZERO).next_down()
    } else if (0.0..ZERO).contains(&threshold) {
        ZERO
    } else {
        threshold
    }
}

/// Training rows per node, where the file has them.
fn counts(block: &Block<'_>, leaves: usize) -> Result<Option<Counts>, BadFile> {
    if !block.has("internal_count") || !block.has("leaf_count") {
        return Ok(None);
    }
    let splits = block.numbers::<u64>("internal_count", leaves - 1)?.into_iter().map(|rows| rows as f64).collect();
    let leaves = block.numbers::<u64>("leaf_count", leaves)?.into_iter().map(|rows| rows as f64).collect();
    Ok(Some(Counts { splits, leaves }))
}

/// The sets of a tree: bits one after the other, and where each set starts and ends.
#[derive(Debug, Default)]
struct Categories {
    boundaries: Vec<usize>,
    words: Vec<u32>,
}

impl Categories {
    fn read(block: &Block<'_>) -> Result<Self, BadFile> {
        let sets: usize = if block.has("num_cat") { block.number("num_cat")? } else { 0 };
        if sets == 0 {
            return Ok(Self::default());
        }
        let line = block.line_of("cat_boundaries");
        let bad = |reason: &str| Err(BadFile::new(line, format!("`cat_boundaries` {reason}")));
        let Some(boundaries_needed) = sets.checked_add(1) else {
            return bad("has too many sets");
        };
        let boundaries: Vec<usize> = block.numbers("cat_boundaries", boundaries_needed)?;
        let Some(last) = boundaries.last() else {
            return bad("is empty");
        };
        if boundaries.first() != Some(&0) || boundaries.windows(2).any(|pair| pair[0] > pair[1]) {
            return bad("does not rise from 0");
        }
        let words = block.numbers("cat_threshold", *last)?;
        Ok(Self { boundaries, words })
    }

    fn set(&self, number: f64) -> Option<&[u32]> {
        let set = number as usize;
        if number != set as f64 {
            return None;
        }
        let (start, end) = (self.boundaries.get(set)?, self.boundaries.get(set + 1)?);
        self.words.get(*start..*end)
    }
}
