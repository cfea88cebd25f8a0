//! The walk: which leaf of each tree a row falls into, and the sum of the leaves.
//!
//! Many chains of loads run at once, so that their latencies overlap: a single row walks 64 trees side by side, a batch
//! walks each tree with 64 rows, which then stay in the first-level cache together with the tree. Most paths are half as
//! long as the longest, so chains that reached a leaf drop out: a set of bits in a register tells which go on, without
//! a branch per step, and without a list in memory whose stores would hold up the loads. The sum of an output runs over
//! its trees in their order, always: floating-point addition is not associative, and the result has to equal the
//! trainer's bit for bit.

use super::{
    Ensemble, Sum,
    node::{Rows, category_bit, mode},
};

/// Chains that run at once, one bit each; also the rows of a block: 64 rows of 32 features are 16 KiB.
const LANES: usize = u64::BITS as usize;
/// From this many rows on, walking them side by side is worth it.
const BATCH: usize = 12;

impl Ensemble {
    /// The margins of `rows` (row-major, `columns` values each, a whole number of rows): `rows × outputs` values.
    pub(crate) fn margins(&self, rows: &[f64]) -> Vec<f64> {
        match self.sum {
            Sum::Double => self.sums::<false>(rows),
            Sum::Single => self.sums::<true>(rows),
        }
    }

    /// The margins before any rounding to single precision: what contributions add up to.
    pub(super) fn exact_margins(&self, rows: &[f64]) -> Vec<f64> {
        self.sums::<false>(rows)
    }

    fn sums<const SINGLE: bool>(&self, rows: &[f64]) -> Vec<f64> {
        let columns = self.columns;
        let mut sums = self.start.repeat(rows.len() / columns);
        let mut categories = Vec::new();
        for (values, sums) in rows.chunks(LANES * columns).zip(sums.chunks_mut(LANES * self.outputs)) {
            if self.mode >= mode::CATEGORIES {
                categories.clear();
                categories.extend(values.iter().copied().map(category_bit));
            }
            let rows = Rows { values, categories: &categories };
            let nan = || values.iter().any(|value| value.is_nan());
            match self.mode {
                mode::FULL => self.block::<{ mode::FULL }, SINGLE>(rows, sums),
                mode::CATEGORIES_NAN if nan() => self.block::<{ mode::CATEGORIES_NAN }, SINGLE>(rows, sums),
                mode::CATEGORIES_NAN => self.block::<{ mode::CATEGORIES }, SINGLE>(rows, sums),
                _ if nan() => self.block::<{ mode::NAN }, SINGLE>(rows, sums),
                _ => self.block::<{ mode::PLAIN }, SINGLE>(rows, sums),
            }
        }
        sums
    }

    fn block<const MODE: u8, const SINGLE: bool>(&self, rows: Rows<'_>, sums: &mut [f64]) {
        let count = rows.values.len() / self.columns;
        if count >= BATCH {
            for tree in 0..self.roots.len() {
                self.one_tree::<MODE, SINGLE>(tree, rows, count, sums);
            }
        } else {
            for (row, sums) in sums.chunks_exact_mut(self.outputs).enumerate() {
                self.one_row::<MODE, SINGLE>(rows, row * self.columns, sums);
            }
        }
    }

    /// Adds the leaf values of all rows of a block in one tree.
    fn one_tree<const MODE: u8, const SINGLE: bool>(
        &self,
        tree: usize,
        rows: Rows<'_>,
        count: usize,
        sums: &mut [f64],
    ) {
        let root = self.roots[tree];
        let mut at = [root.node; LANES];
        if root.is_split {
            let all = u64::MAX >> (LANES - count);
            self.run::<MODE>(&mut at, all, rows, |lane| lane * self.columns);
        }
        let sums = sums.iter_mut().skip(tree % self.outputs).step_by(self.outputs);
        for (sum, at) in sums.zip(&at[..count]) {
            *sum = add::<SINGLE>(*sum, self.nodes[*at as usize].value());
        }
    }

    /// Adds the leaf values of all trees for the row that starts at `row`.
    fn one_row<const MODE: u8, const SINGLE: bool>(&self, rows: Rows<'_>, row: usize, sums: &mut [f64]) {
        let mut output = 0;
        for group in self.roots.chunks(LANES) {
            let (mut at, mut open) = ([0; LANES], 0);
            for (lane, (at, root)) in at.iter_mut().zip(group).enumerate() {
                *at = root.node;
                open |= u64::from(root.is_split) << lane;
            }
            self.run::<MODE>(&mut at, open, rows, |_| row);
            for at in &at[..group.len()] {
                sums[output] = add::<SINGLE>(sums[output], self.nodes[*at as usize].value());
                output += 1;
                if output == self.outputs {
                    output = 0;
                }
            }
        }
    }

    /// Walks the chains whose bit is set in `open` from the splits they stand on to their leaves. Where the row of a
    /// chain starts, `row` tells.
    #[inline(always)]
    fn run<const MODE: u8>(&self, at: &mut [u32; LANES], mut open: u64, rows: Rows<'_>, row: impl Fn(usize) -> usize) {
        let nodes = self.nodes.as_slice();
        while open != 0 {
            let mut still = 0;
            let mut todo = open;
            while todo != 0 {
                let lane = todo.trailing_zeros() as usize;
                todo &= todo - 1;
                let node = nodes[at[lane] as usize];
                let side = node.side::<MODE>(&self.words, rows, row(lane));
                at[lane] = node.child(side);
                still |= u64::from(node.goes_on(side)) << lane;
            }
            open = still;
        }
    }
}

/// Two singles added in double precision and rounded once are the single sum: 53 bits are more than twice 24 (S. A.
/// Figueroa, "When is double rounding innocuous?").
#[inline(always)]
fn add<const SINGLE: bool>(sum: f64, value: f64) -> f64 {
    let sum = sum + value;
    if SINGLE { f64::from(sum as f32) } else { sum }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{
        Ensemble,
        spec::{Child, Tree},
        testing::{left, tree, value},
    };

    /// The definition, without any packing.
    fn slow(trees: &[Tree], outputs: usize, row: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; outputs];
        for (index, tree) in trees.iter().enumerate() {
            let mut at = tree.root();
            let value = loop {
                match at {
                    Child::Leaf(leaf) => break tree.leaves[leaf as usize],
                    Child::Split(split) => {
                        let split = &tree.splits[split as usize];
                        at = if left(&split.test, row[split.feature as usize]) { split.left } else { split.right };
                    }
                }
            };
            sums[index % outputs] += value;
        }
        sums
    }

    proptest! {
        #[test]
        fn single_sums_are_those_of_single_precision(
            trees in prop::collection::vec(tree(3), 0..20),
            start in -2.0f32..2.0,
            rows in prop::collection::vec(prop::array::uniform3(value()), 1..40),
        ) {
            let mut trees = trees;
            let single = |leaf: &mut f64| *leaf = f64::from(*leaf as f32);
            trees.iter_mut().for_each(|tree| tree.leaves.iter_mut().for_each(single));
            let ensemble = Ensemble::new(&trees, 3, 1).unwrap().single(&[start]);
            let margins = ensemble.margins(&rows.concat());
            for (got, row) in margins.iter().zip(&rows) {
                let leaves = trees.iter().map(|tree| slow(std::slice::from_ref(tree), 1, row)[0] as f32);
                let expected = leaves.fold(start, |sum, leaf| sum + leaf);
                prop_assert_eq!(got.to_bits(), f64::from(expected).to_bits());
            }
        }

        #[test]
        fn packing_changes_no_bit(
            trees in prop::collection::vec(tree(3), 0..20),
            outputs in 1usize..4,
            rows in prop::collection::vec(prop::array::uniform3(value()), 0..140),
        ) {
            let ensemble = Ensemble::new(&trees, 3, outputs).unwrap();
            let margins = ensemble.margins(&rows.concat());
            let expected: Vec<f64> = rows.iter().flat_map(|row| slow(&trees, outputs, row)).collect();
            prop_assert_eq!(margins.len(), expected.len());
            for (got, expected) in margins.iter().zip(&expected) {
                prop_assert_eq!(got.to_bits(), expected.to_bits());
            }
        }
    }
}
