//! The walk: which leaf of each tree a row falls into, and the sum of the leaves.
//!
//! A single row walks eight trees at once, a batch walks one tree with eight rows at once: eight independent chains of
//! loads hide the latency of each. A batch goes block by block and tree by tree, so that a tree's nodes and a block's
//! rows stay in the first-level cache. The sum of an output runs over its trees in their order, always: floating-point
//! addition is not associative, and the result has to equal the trainer's bit for bit.

use super::{
    Ensemble, Root,
    node::{Row, category_bit, mode},
};

/// Chains that run at once: enough to cover the latency of the second-level cache, few enough for the registers.
const LANES: usize = 8;
/// Rows of a block: 64 rows of 32 features are 16 KiB.
const BLOCK: usize = 64;

/// Some rows, one after the other.
#[derive(Clone, Copy)]
struct Rows<'a> {
    values: &'a [f64],
    /// As long as `values` where the mode needs them, else empty.
    categories: &'a [u64],
    columns: usize,
}

impl<'a> Rows<'a> {
    fn count(self) -> usize {
        self.values.len() / self.columns
    }

    #[inline(always)]
    fn row<const MODE: u8>(self, index: usize) -> Row<'a> {
        let range = index * self.columns..(index + 1) * self.columns;
        let categories = if MODE >= mode::CATEGORIES { &self.categories[range.clone()] } else { &[][..] };
        Row { values: &self.values[range], categories }
    }
}

impl Ensemble {
    /// The margins of `rows` (row-major, `columns` values each, a whole number of rows): `rows × outputs` values.
    pub(crate) fn margins(&self, rows: &[f64]) -> Vec<f64> {
        let columns = self.columns;
        let mut sums = vec![0.0; rows.len() / columns * self.outputs];
        let mut categories = Vec::new();
        for (values, sums) in rows.chunks(BLOCK * columns).zip(sums.chunks_mut(BLOCK * self.outputs)) {
            if self.mode >= mode::CATEGORIES {
                categories.clear();
                categories.extend(values.iter().copied().map(category_bit));
            }
            let rows = Rows { values, categories: &categories, columns };
            let nan = || values.iter().any(|value| value.is_nan());
            match self.mode {
                mode::FULL => self.block::<{ mode::FULL }>(rows, sums),
                mode::CATEGORIES_NAN if nan() => self.block::<{ mode::CATEGORIES_NAN }>(rows, sums),
                mode::CATEGORIES_NAN => self.block::<{ mode::CATEGORIES }>(rows, sums),
                _ if nan() => self.block::<{ mode::NAN }>(rows, sums),
                _ => self.block::<{ mode::PLAIN }>(rows, sums),
            }
        }
        sums
    }

    fn block<const MODE: u8>(&self, rows: Rows<'_>, sums: &mut [f64]) {
        let together = rows.count() / LANES * LANES;
        if together > 0 {
            for (tree, root) in self.roots.iter().enumerate() {
                let output = tree % self.outputs;
                for first in (0..together).step_by(LANES) {
                    let values = self.one_tree::<MODE>(*root, rows, first);
                    let sums = sums[first * self.outputs..].iter_mut().skip(output).step_by(self.outputs);
                    for (sum, value) in sums.zip(values) {
                        *sum += value;
                    }
                }
            }
        }
        for index in together..rows.count() {
            self.one_row::<MODE>(rows.row::<MODE>(index), &mut sums[index * self.outputs..(index + 1) * self.outputs]);
        }
    }

    /// The leaf values of `LANES` rows from `first` on in one tree.
    #[inline(always)]
    fn one_tree<const MODE: u8>(&self, root: Root, rows: Rows<'_>, first: usize) -> [f64; LANES] {
        let rows: [Row<'_>; LANES] = std::array::from_fn(|lane| rows.row::<MODE>(first + lane));
        self.run::<MODE>([root.node; LANES], root.depth, |lane| rows[lane])
    }

    /// Adds the leaf values of one row to its sums, `LANES` trees at a time.
    fn one_row<const MODE: u8>(&self, row: Row<'_>, sums: &mut [f64]) {
        let mut output = 0;
        for group in self.roots.chunks(LANES) {
            let mut start = [0; LANES];
            let mut depth = 0;
            for (start, root) in start.iter_mut().zip(group) {
                *start = root.node;
                depth = depth.max(root.depth);
            }
            let values = self.run::<MODE>(start, depth, |_| row);
            for value in &values[..group.len()] {
                sums[output] += value;
                output += 1;
                if output == self.outputs {
                    output = 0;
                }
            }
        }
    }

    /// Walks `LANES` chains until all stand on leaves (at most `depth` steps), and reads the leaves.
    #[inline(always)]
    fn run<'a, const MODE: u8>(
        &self,
        mut at: [u32; LANES],
        depth: u32,
        row: impl Fn(usize) -> Row<'a>,
    ) -> [f64; LANES] {
        let nodes = self.nodes.as_slice();
        for _ in 0..depth {
            let mut open = 0;
            for (lane, at) in at.iter_mut().enumerate() {
                let node = nodes[*at as usize];
                open |= node.is_split();
                *at = node.step::<MODE>(&self.words, row(lane));
            }
            if open == 0 {
                break;
            }
        }
        at.map(|at| nodes[at as usize].value())
    }
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
