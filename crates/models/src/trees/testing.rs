//! For the tests of this folder: random trees and values, and the definitions of a split and of Shapley values.

use proptest::prelude::*;

use super::{
    Ensemble,
    spec::{Child, Counts, Missing, Split, Test, Tree},
};

/// The definition of a split.
pub(super) fn left(test: &Test, value: f64) -> bool {
    match test {
        Test::Threshold { threshold, missing, default_left } => {
            let value = if value.is_nan() && *missing != Missing::Nan { 0.0 } else { value };
            let zero = value.abs() <= f64::from(1e-35_f32);
            match missing {
                Missing::Zero if zero => *default_left,
                Missing::Nan if value.is_nan() => *default_left,
                _ => value <= *threshold,
            }
        }
        Test::Categories { missing_left, .. } if value.is_nan() => *missing_left,
        Test::Categories { bits, .. } => {
            value > -1.0 && bits.get((value / 32.0) as usize).is_some_and(|word| (word >> (value as u64 % 32)) & 1 == 1)
        }
    }
}

fn test() -> impl Strategy<Value = Test> {
    let missing = prop_oneof![Just(Missing::None), Just(Missing::Zero), Just(Missing::Nan)];
    let threshold = value().prop_filter("a threshold is a number", |threshold| !threshold.is_nan());
    prop_oneof![
        3 => (threshold, missing, any::<bool>())
            .prop_map(|(threshold, missing, default_left)| Test::Threshold { threshold, missing, default_left }),
        1 => (prop::collection::vec(any::<u32>(), 0..5), any::<bool>())
            .prop_map(|(bits, missing_left)| Test::Categories { bits, missing_left }),
    ]
}

/// Values at the edges of everything.
pub(super) fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -3.0..3.0,
        1 => (-3i32..200).prop_map(f64::from),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1e-36, -1e-36, 1e300]),
    ]
}

/// Grows a tree by splitting the leaf that the numbers point to.
pub(super) fn tree(columns: u32) -> impl Strategy<Value = Tree> {
    let step = (any::<u32>(), 0..columns, test(), -1.0..1.0, 0u32..50);
    prop::collection::vec(step, 0..12).prop_map(|steps| {
        let mut tree = Tree { splits: vec![], leaves: vec![0.25], counts: None };
        let mut rows = vec![7.0];
        for (pick, feature, test, value, count) in steps {
            let leaf = pick % tree.leaves.len() as u32;
            grow(&mut tree, leaf, feature, test, value);
            rows.push(f64::from(count));
        }
        tree.counts = Some(counts(&tree, rows));
        tree
    })
}

/// Splits a leaf: it stays on the left, a new one goes to the right.
fn grow(tree: &mut Tree, leaf: u32, feature: u32, test: Test, value: f64) {
    let new = tree.splits.len() as u32;
    for split in &mut tree.splits {
        for child in [&mut split.left, &mut split.right] {
            if *child == Child::Leaf(leaf) {
                *child = Child::Split(new);
            }
        }
    }
    let right = Child::Leaf(tree.leaves.len() as u32);
    tree.splits.push(Split { feature, test, left: Child::Leaf(leaf), right });
    tree.leaves.push(value);
}

/// Counts of the splits from those of the leaves. A leaf may be empty, a split may not: then each leaf gets one more.
fn counts(tree: &Tree, leaves: Vec<f64>) -> Counts {
    let mut splits = vec![0.0; tree.splits.len()];
    for index in (0..tree.splits.len()).rev() {
        let rows = |child| match child {
            Child::Leaf(leaf) => leaves[leaf as usize],
            Child::Split(split) => splits[split as usize],
        };
        splits[index] = rows(tree.splits[index].left) + rows(tree.splits[index].right);
    }
    if splits.contains(&0.0) {
        return counts(tree, leaves.into_iter().map(|rows| rows + 1.0).collect());
    }
    Counts { splits, leaves }
}

/// Mean leaf value when only the features in `known` are known (bits), weighted by training rows elsewhere.
fn expected(tree: &Tree, at: Child, row: &[f64], known: u32) -> f64 {
    match at {
        Child::Leaf(leaf) => tree.leaves[leaf as usize],
        Child::Split(index) => {
            let split = &tree.splits[index as usize];
            if (known >> split.feature) & 1 == 1 {
                let next = if left(&split.test, row[split.feature as usize]) { split.left } else { split.right };
                return expected(tree, next, row, known);
            }
            let counts = tree.counts.as_ref().unwrap();
            let rows = |child| match child {
                Child::Leaf(leaf) => counts.leaves[leaf as usize],
                Child::Split(split) => counts.splits[split as usize],
            };
            [split.left, split.right]
                .into_iter()
                .map(|child| rows(child) / counts.splits[index as usize] * expected(tree, child, row, known))
                .sum()
        }
    }
}

fn factorial(n: u32) -> f64 {
    (1..=n).map(f64::from).product()
}

/// The definition of Shapley values: over all subsets of features.
fn shapley(trees: &[Tree], row: &[f64]) -> Vec<f64> {
    let columns = row.len() as u32;
    let of = |known: u32| trees.iter().map(|tree| expected(tree, tree.root(), row, known)).sum::<f64>();
    (0..columns)
        .map(|feature| {
            let without = (0..1u32 << columns).filter(|known| (known >> feature) & 1 == 0);
            without
                .map(|known| {
                    let size = known.count_ones();
                    let weight = factorial(size) * factorial(columns - size - 1) / factorial(columns);
                    weight * (of(known | (1 << feature)) - of(known))
                })
                .sum()
        })
        .collect()
}

proptest! {
    #[test]
    fn contributions_are_shapley_values(
        trees in prop::collection::vec(tree(5), 1..6),
        rows in prop::collection::vec(prop::array::uniform5(value()), 1..4),
    ) {
        let ensemble = Ensemble::new(&trees, 5, 1).unwrap();
        for (row, explained) in rows.iter().zip(ensemble.explain(&rows.concat()).unwrap()) {
            for (ours, exact) in explained[0].values.iter().zip(shapley(&trees, row)) {
                prop_assert!((ours - exact).abs() < 1e-12, "{} instead of {}", ours, exact);
            }
        }
    }
}

/// A path of `length` different features takes several passes of the quadrature. By symmetry all of them contribute
/// alike when each halves the rows and each is satisfied.
#[test]
fn long_paths_are_explained_exactly() {
    for length in [1_u32, 2, 7, 8, 9, 16, 17, 40, 120] {
        let splits = (0..length).map(|index| Split {
            feature: index,
            test: Test::Threshold { threshold: 0.0, missing: Missing::Nan, default_left: false },
            left: if index + 1 == length { Child::Leaf(length) } else { Child::Split(index + 1) },
            right: Child::Leaf(index),
        });
        let mut leaves = vec![0.0; length as usize + 1];
        leaves[length as usize] = 1.0;
        let half = |power: u32| 2.0_f64.powi(1000 - power.cast_signed());
        let mut leaf_rows: Vec<f64> = (1..=length).map(half).collect();
        leaf_rows.push(half(length));
        let counts = Counts { splits: (0..length).map(half).collect(), leaves: leaf_rows };
        let tree = Tree { splits: splits.collect(), leaves, counts: Some(counts) };
        let ensemble = Ensemble::new(&[tree], length as usize, 1).unwrap();
        let explained = &ensemble.explain(&vec![-1.0; length as usize]).unwrap()[0][0];
        let each = (1.0 - explained.base) / f64::from(length);
        assert!((explained.base - 0.5_f64.powi(length.cast_signed())).abs() < 1e-15);
        for value in &explained.values {
            assert!((value - each).abs() < 1e-14, "length {length}: {value} instead of {each}");
        }
    }
}
