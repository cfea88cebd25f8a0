//! From a format's list of nodes to a tree, and from trees per output to the order the evaluator wants: what formats that
//! number leaves and splits alike (XGBoost, ONNX) have in common.

use super::spec::{Child, Counts, Split, Test, Tree};

/// A node as the file tells it; children are numbers of nodes.
pub(crate) enum Seed {
    /// The end of a path: its value, and how much training data (rows, or the sum of their hessians) reached it.
    Leaf { value: f64, rows: f64 },
    /// A question.
    Split { feature: u32, test: Test, left: usize, right: usize },
}

/// Grows a tree from node 0 of `nodes`; nodes that are not reached are left out.
///
/// # Errors
/// Why it is none: a child that does not exist or has two parents, or what `read` says.
pub(crate) fn grow(nodes: usize, mut read: impl FnMut(usize) -> Result<Seed, String>) -> Result<Tree, String> {
    let mut tree = Tree::default();
    let mut counts = Counts::default();
    let mut seen = vec![false; nodes];
    // Each node with the split it hangs on, and whether on its right side.
    let mut open = vec![(0, None)];
    while let Some((node, parent)) = open.pop() {
        match seen.get_mut(node) {
            Some(seen) if !*seen => *seen = true,
            Some(_) => return Err(format!("node {node} is the child of two nodes or of itself")),
            None => return Err(format!("a child points to node {node}, which does not exist")),
        }
        let child = match read(node)? {
            Seed::Leaf { value, rows } => {
                tree.leaves.push(value);
                counts.leaves.push(rows);
                Child::Leaf(tree.leaves.len() as u32 - 1)
            }
            Seed::Split { feature, test, left, right } => {
                let split = tree.splits.len();
                tree.splits.push(Split { feature, test, left: Child::Leaf(0), right: Child::Leaf(0) });
                open.push((right, Some((split, true))));
                open.push((left, Some((split, false))));
                Child::Split(split as u32)
            }
        };
        match parent {
            Some((split, false)) => tree.splits[split].left = child,
            Some((split, true)) => tree.splits[split].right = child,
            None => {}
        }
    }
    counts.splits = vec![0.0; tree.splits.len()];
    for (index, split) in tree.splits.iter().enumerate().rev() {
        // Parents stand before their children. Summed from the leaves up, so that the shares of two children make one.
        counts.splits[index] = counts.of(split.left) + counts.of(split.right);
    }
    Ok(Tree { counts: Some(counts), ..tree })
}

/// Trees of each output → one of each output in turn. Within an output their order stays; where one has fewer, trees that
/// add nothing fill up.
pub(crate) fn interleaved(groups: Vec<Vec<Tree>>) -> Vec<Tree> {
    let longest = groups.iter().map(Vec::len).max().unwrap_or(0);
    let mut groups: Vec<_> = groups.into_iter().map(Vec::into_iter).collect();
    let mut trees = Vec::with_capacity(longest * groups.len());
    for _ in 0..longest {
        for group in &mut groups {
            trees.push(group.next().unwrap_or_else(|| Tree { splits: vec![], leaves: vec![0.0], counts: None }));
        }
    }
    trees
}

#[cfg(test)]
mod tests {
    use super::{super::spec::tests::less, *};

    fn seeds(children: &[(usize, usize)]) -> Result<Tree, String> {
        grow(children.len(), |node| {
            Ok(match children[node] {
                (0, 0) => Seed::Leaf { value: node as f64, rows: 1.0 },
                (left, right) => {
                    let test = less(0, 0.5, Child::Leaf(0), Child::Leaf(0)).test;
                    Seed::Split { feature: 0, test, left, right }
                }
            })
        })
    }

    #[test]
    fn nodes_become_a_tree_whose_counts_add_up() {
        let tree = seeds(&[(2, 4), (0, 0), (3, 1), (0, 0), (0, 0)]).unwrap();
        assert_eq!(tree.check(1), Ok(()));
        assert_eq!(tree.leaves, [3.0, 1.0, 4.0]);
        assert_eq!(tree.counts.unwrap().splits, [3.0, 2.0]);
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        assert!(seeds(&[(0, 1), (0, 0)]).unwrap_err().contains("node 0 is the child of two"));
        assert!(seeds(&[(1, 7), (0, 0)]).unwrap_err().contains("node 7, which does not exist"));
        assert!(seeds(&[]).unwrap_err().contains("node 0, which does not exist"));
    }

    #[test]
    fn outputs_take_turns_and_gaps_add_nothing() {
        let leaf = |value| Tree { splits: vec![], leaves: vec![value], counts: None };
        let trees = interleaved(vec![vec![leaf(1.0), leaf(2.0)], vec![leaf(3.0)]]);
        assert_eq!(trees.iter().map(|tree| tree.leaves[0]).collect::<Vec<_>>(), [1.0, 3.0, 2.0, 0.0]);
    }
}
