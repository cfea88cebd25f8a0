//! A tree as an importer hands it over: easy to fill and to check, before it is packed for speed. One check for all
//! formats guarantees what the evaluator relies on: each node is reached exactly once, each feature exists.

/// Where a split leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Child {
    /// Index into `splits`.
    Split(u32),
    /// Index into `leaves`.
    Leaf(u32),
}

/// What counts as missing at a numeric split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Nothing: NaN is compared as if it were 0.
    None,
    /// Zero (|x| ≤ 1e-35 in single precision) and NaN.
    Zero,
    /// NaN.
    Nan,
}

/// The question a split asks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    /// `x ≤ threshold` goes left; a missing value goes where `default_left` says.
    Threshold { threshold: f64, missing: Missing, default_left: bool },
    /// `x`, cut to an integer, is in the set (bit `i` of the concatenated words) → left; negative and everything outside
    /// the set → right; NaN goes left where `missing_left` says so, else right.
    Categories { bits: Vec<u32>, missing_left: bool },
}

/// An inner node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Split {
    pub(crate) feature: u32,
    pub(crate) test: Test,
    pub(crate) left: Child,
    pub(crate) right: Child,
}

/// One tree. Without splits it has one leaf.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tree {
    /// Inner nodes; the first is the root.
    pub(crate) splits: Vec<Split>,
    /// Output of each leaf.
    pub(crate) leaves: Vec<f64>,
    /// Training rows per split and per leaf; `None` when the file does not tell them.
    pub(crate) counts: Option<Counts>,
}

/// How many training rows passed each node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) splits: Vec<f64>,
    pub(crate) leaves: Vec<f64>,
}

impl Counts {
    /// Training rows that reached a child.
    pub(crate) fn of(&self, child: Child) -> f64 {
        match child {
            Child::Split(index) => self.splits[index as usize],
            Child::Leaf(index) => self.leaves[index as usize],
        }
    }
}

impl Tree {
    /// The way in.
    pub(crate) fn root(&self) -> Child {
        if self.splits.is_empty() { Child::Leaf(0) } else { Child::Split(0) }
    }

    /// Checks that the tree is one: all children exist, every node has exactly one way to it, features are in range.
    pub(crate) fn check(&self, columns: usize) -> Result<(), String> {
        if self.leaves.len() != self.splits.len() + 1 {
            return Err(format!("{} splits need {} leaves", self.splits.len(), self.splits.len() + 1));
        }
        if let Some(index) = self.leaves.iter().position(|value| !value.is_finite()) {
            return Err(format!("the value of leaf {index} is not a finite number"));
        }
        let mut seen_splits = vec![false; self.splits.len()];
        let mut seen_leaves = vec![false; self.leaves.len()];
        let mut open = vec![self.root()];
        while let Some(child) = open.pop() {
            let (seen, index, what) = match child {
                Child::Split(index) => (&mut seen_splits, index, "split"),
                Child::Leaf(index) => (&mut seen_leaves, index, "leaf"),
            };
            match seen.get_mut(index as usize) {
                None => return Err(format!("a child points to {what} {index}, which does not exist")),
                Some(true) => return Err(format!("{what} {index} is the child of two splits or of itself")),
                Some(mark) => *mark = true,
            }
            if let Child::Split(index) = child {
                let split = &self.splits[index as usize];
                if split.feature as usize >= columns {
                    return Err(format!(
                        "split {index} asks for feature {}, but there are {columns} features",
                        split.feature
                    ));
                }
                open.push(split.right);
                open.push(split.left);
            }
        }
        match seen_splits.iter().position(|seen| !seen) {
            Some(index) => Err(format!("split {index} cannot be reached from the root")),
            // A tree of n splits has n + 1 leaves, each met at most once: so all of them were met.
            None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// `x[feature] ≤ threshold`, NaN to the right.
    pub(crate) fn less(feature: u32, threshold: f64, left: Child, right: Child) -> Split {
        let test = Test::Threshold { threshold, missing: Missing::Nan, default_left: false };
        Split { feature, test, left, right }
    }

    #[test]
    fn cycles_strays_and_unknown_features_are_refused() {
        let tree = |left, right| Tree {
            splits: vec![less(0, 0.0, left, right), less(1, 0.0, Child::Leaf(1), Child::Leaf(2))],
            leaves: vec![1.0, 2.0, 3.0],
            counts: None,
        };
        assert_eq!(tree(Child::Leaf(0), Child::Split(1)).check(2), Ok(()));
        assert!(tree(Child::Leaf(0), Child::Split(1)).check(1).unwrap_err().contains("feature 1"));
        assert!(tree(Child::Leaf(0), Child::Split(0)).check(2).unwrap_err().contains("split 0 is the child of two"));
        assert!(tree(Child::Leaf(1), Child::Split(1)).check(2).unwrap_err().contains("leaf 1 is the child of two"));
        assert!(tree(Child::Leaf(9), Child::Split(1)).check(2).unwrap_err().contains("leaf 9"));
        let infinite = Tree { splits: vec![], leaves: vec![f64::INFINITY], counts: None };
        assert!(infinite.check(1).unwrap_err().contains("finite"));
    }

    #[test]
    fn an_unreached_half_is_refused() {
        let tree = Tree {
            splits: vec![less(0, 0.0, Child::Leaf(0), Child::Leaf(1)), less(0, 0.0, Child::Leaf(2), Child::Leaf(1))],
            leaves: vec![1.0, 2.0, 3.0],
            counts: None,
        };
        assert!(tree.check(1).unwrap_err().contains("split 1 cannot be reached"));
    }
}
