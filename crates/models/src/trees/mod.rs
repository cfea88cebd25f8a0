//! Tree ensembles of any format: packed nodes, a walk that hides memory latency, and exact TreeSHAP.

mod explain;
pub(crate) mod grow;
mod node;
mod quadrature;
mod shap;
pub(crate) mod spec;
#[cfg(test)]
mod testing;
mod walk;

pub(crate) use explain::{TOLERANCE, Unexplained, gap, unexplained};
pub(crate) use node::ZERO;

use tendon_kernel::{Error, ErrorKind, Result as Kernel, sockets::model::Matrix};

use self::{
    node::{MAX_COLUMNS, Node},
    shap::Explainer,
    spec::{Child, Tree},
};

/// Why an ensemble cannot be packed: which tree, and what is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BadTree {
    pub(crate) tree: usize,
    pub(crate) reason: String,
}

/// Where a tree starts, and whether it is more than a leaf.
#[derive(Clone, Copy, Debug)]
struct Root {
    node: u32,
    is_split: bool,
}

/// How the leaves of an output are added up: the trainer's own way, because floating-point addition is not associative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sum {
    /// In double precision.
    Double,
    /// In single precision: rounded after each addition.
    Single,
}

/// All trees of a model, packed. Tree `i` adds to output `i % outputs`.
#[derive(Debug)]
pub(crate) struct Ensemble {
    /// Nodes of all trees, each tree in one piece, its root first.
    nodes: Vec<Node>,
    /// Large sets of categories.
    words: Vec<u32>,
    roots: Vec<Root>,
    /// The smallest mode of the step that serves all nodes.
    mode: u8,
    columns: usize,
    outputs: usize,
    /// What each output starts from, before its first tree.
    start: Vec<f64>,
    sum: Sum,
    explainer: Explainer,
}

impl Ensemble {
    /// Checks and packs the trees.
    pub(crate) fn new(trees: &[Tree], columns: usize, outputs: usize) -> Result<Self, BadTree> {
        let mut nodes = Vec::new();
        let mut words = Vec::new();
        let mut roots = Vec::with_capacity(trees.len());
        let mut explainer = Explainer::new(outputs);
        for (tree, spec) in trees.iter().enumerate() {
            let bad = |reason: String| BadTree { tree, reason };
            if columns == 0 || columns > MAX_COLUMNS {
                return Err(bad(format!("{columns} features, 1 to {MAX_COLUMNS} are possible")));
            }
            spec.check(columns).map_err(bad)?;
            // Half of the range keeps all sums of indices far from overflow.
            if nodes.len() + spec.splits.len() + spec.leaves.len() > (u32::MAX / 2) as usize {
                return Err(bad("more nodes than 32-bit indices can tell apart".into()));
            }
            let mut places = vec![0; spec.splits.len()];
            roots.push(pack(spec, &mut nodes, &mut words, &mut places));
            explainer.add(spec, &places, columns);
        }
        let mode = nodes.iter().map(|node| node.mode()).max().unwrap_or(0);
        Ok(Self { nodes, words, roots, mode, columns, outputs, start: vec![0.0; outputs], sum: Sum::Double, explainer })
    }

    /// The same trees, added in single precision to a start per output.
    pub(crate) fn single(self, start: &[f32]) -> Self {
        debug_assert_eq!(start.len(), self.outputs, "one start per output");
        Self { start: start.iter().copied().map(f64::from).collect(), sum: Sum::Single, ..self }
    }
}

/// Refuses rows of another width than the model's.
pub(crate) fn check_columns(rows: &Matrix, columns: usize) -> Kernel<()> {
    if rows.columns == columns && rows.values.len().is_multiple_of(columns) {
        return Ok(());
    }
    let message = "scoring failed: the rows do not have the model's features as columns";
    Err(Error::new(ErrorKind::Invalid, "model_columns", message)
        .with("columns", rows.columns)
        .with("values", rows.values.len())
        .with("features", columns))
}

/// Lays one (checked) tree down: the pair of children of a split side by side, upper levels first, so that the nodes
/// which most rows meet share cache lines. `places` receives where each split went.
fn pack(spec: &Tree, nodes: &mut Vec<Node>, words: &mut Vec<u32>, places: &mut [u32]) -> Root {
    let root = nodes.len() as u32;
    let mut level = vec![(spec.root(), root)];
    nodes.push(Node::leaf(0.0));
    while !level.is_empty() {
        let mut below = Vec::with_capacity(level.len() * 2);
        for (child, place) in level {
            nodes[place as usize] = match child {
                Child::Leaf(leaf) => Node::leaf(spec.leaves[leaf as usize]),
                Child::Split(index) => {
                    let split = &spec.splits[index as usize];
                    let left = nodes.len() as u32;
                    places[index as usize] = place;
                    nodes.extend([Node::leaf(0.0), Node::leaf(0.0)]);
                    below.push((split.left, left));
                    below.push((split.right, left + 1));
                    Node::split(split, left, words)
                }
            };
        }
        level = below;
    }
    Root { node: root, is_split: !spec.splits.is_empty() }
}
