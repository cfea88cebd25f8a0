//! Exact path-dependent TreeSHAP (Lundberg et al., "Consistent individualized feature attribution for tree ensembles",
//! arXiv:1802.03888, algorithm 2), by quadrature instead of path bookkeeping.
//!
//! For a leaf of value `v` under a path with `d` different features, let `z` be the share of training rows that satisfy
//! all of the path's conditions on a feature and `o` whether this row does (0 or 1). The Shapley weight of a subset of
//! size `s` is `s!(d−1−s)!/d! = ∫ tˢ (1−t)^(d−1−s) dt` over [0, 1], therefore
//!
//! ```text
//! φᵢ = v · (oᵢ − zᵢ) · ∫ Π over j≠i of fⱼ(t) dt,   fⱼ(t) = zⱼ(1−t) + oⱼ·t
//! ```
//!
//! The integrand is a polynomial of degree `d − 1`, which Gauss–Legendre integrates exactly with `⌈d/2⌉` points. At one
//! point everything is a product along the path, so one walk down (products) and one walk up (sums over the leaves
//! below) serve all leaves and features of a tree: a handful of operations per node and point, eight points side by
//! side. All factors are positive, nothing cancels, so the result is closer to the truth than unwinding paths.

use super::{
    node::{Node, Rows, mode},
    quadrature::{Point, gauss_legendre},
    spec::{Child, Counts, Tree},
};

/// Points that are worked on side by side; a tree with longer paths takes several passes.
const LANES: usize = 8;
/// Longest path of different features. Beyond it the rule itself would be the cost; no trainer gets near.
const MAX_PATH: usize = 512;

type Lanes = [f64; LANES];

/// What the explanation of an ensemble needs besides its nodes.
#[derive(Debug)]
pub(super) struct Explainer {
    branches: Vec<Branch>,
    trees: Vec<Plan>,
    /// Quadrature by number of points, filled for those in use.
    rules: Vec<Rule>,
    base: Vec<f64>,
    /// Most edges of a tree.
    edges: usize,
    /// Why there are no explanations.
    reason: Option<String>,
}

/// One tree: its branches (by their end) and its rule.
#[derive(Debug)]
struct Plan {
    end: u32,
    rule: u32,
}

/// A split, seen from the paths through it. Edges are numbered per tree: 0 leads to the root, the children of branch
/// `i` hang on the edges `2i + 1` (left) and `2i + 2`.
#[derive(Debug)]
struct Branch {
    node: u32,
    feature: u32,
    /// Edge that leads here.
    above: u32,
    /// Edge below the closest split above on the same feature, else 0.
    before: u32,
    /// Share of rows that satisfied the path's conditions on this feature so far.
    share: f64,
    /// Share of this node's rows that go left and right.
    ratio: [f64; 2],
    /// Value of the leaf on the left and on the right, 1 for a split.
    scale: [f64; 2],
}

/// Quadrature with a fixed number of points.
#[derive(Debug)]
struct Rule {
    points: usize,
    passes: Vec<Pass>,
}

/// Up to `LANES` points; unused ones have weight 0.
#[derive(Debug)]
struct Pass {
    lanes: usize,
    t: Lanes,
    rest: Lanes,
    /// `1 / (1 − t)`.
    far: Lanes,
    weight: Lanes,
}

/// Memory of one call.
pub(super) struct Scratch {
    /// Per edge: on the way down the product of the path, on the way up the sum over the leaves below.
    product: Vec<Lanes>,
    /// Per satisfied edge: `1 / f` of its feature.
    inverse: Vec<Lanes>,
    /// Per edge: whether the row satisfies the path's conditions on the edge's feature.
    satisfied: Vec<bool>,
    /// Per branch: 0 when the row goes left, 1 when it goes right.
    side: Vec<u8>,
    /// Per feature: contribution, spread over the lanes.
    sums: Vec<Lanes>,
}

impl Explainer {
    pub(super) fn new(outputs: usize) -> Self {
        let base = vec![0.0; outputs];
        Self { branches: vec![], trees: vec![], rules: vec![], base, edges: 1, reason: None }
    }

    /// Adds a (checked) tree whose splits stand at `places` among the ensemble's nodes.
    pub(super) fn add(&mut self, tree: &Tree, places: &[u32], columns: usize) {
        if self.reason.is_some() {
            return;
        }
        let index = self.trees.len();
        let output = index % self.base.len();
        let paths = if tree.splits.is_empty() {
            self.base[output] += tree.leaves[0];
            Ok(0)
        } else {
            expected_value(tree).and_then(|(value, counts)| {
                self.base[output] += value;
                self.branch_out(tree, counts, places, columns)
            })
        };
        match paths {
            Err(reason) => {
                self.reason.get_or_insert(format!("tree {index}: {reason}"));
            }
            Ok(longest) => {
                let rule = self.rule(longest.div_ceil(2));
                self.trees.push(Plan { end: self.branches.len() as u32, rule });
                self.edges = self.edges.max(2 * tree.splits.len() + 1);
            }
        }
    }

    /// Appends the branches of a tree, parents first; answers with the largest number of different features on a path.
    fn branch_out(&mut self, tree: &Tree, counts: &Counts, places: &[u32], columns: usize) -> Result<usize, String> {
        enum Todo {
            Enter { split: u32, above: u32 },
            Set { feature: usize, edge: u32, share: f64 },
        }
        let first = self.branches.len();
        // Per feature: the latest edge on the current path, and the share of rows that satisfy the path so far.
        let mut latest = vec![(0_u32, 1.0_f64); columns];
        let (mut different, mut longest) = (0, 0);
        let mut todo = vec![Todo::Enter { split: 0, above: 0 }];
        while let Some(next) = todo.pop() {
            let (split_index, above) = match next {
                Todo::Set { feature, edge, share } => {
                    different += usize::from(edge != 0);
                    different -= usize::from(latest[feature].0 != 0);
                    longest = longest.max(different);
                    latest[feature] = (edge, share);
                    continue;
                }
                Todo::Enter { split, above } => (split, above),
            };
            if longest > MAX_PATH {
                return Err(format!("a path with more than {MAX_PATH} different features cannot be explained"));
            }
            let split = &tree.splits[split_index as usize];
            let feature = split.feature as usize;
            let (before, share) = latest[feature];
            let edge = 2 * (self.branches.len() - first) as u32;
            let rows = counts.splits[split_index as usize];
            let sides = [split.left, split.right];
            let ratio = sides.map(|child| counts.of(child) / rows);
            let scale = sides.map(|child| match child {
                Child::Leaf(leaf) => tree.leaves[leaf as usize],
                Child::Split(_) => 1.0,
            });
            let node = places[split_index as usize];
            self.branches.push(Branch { node, feature: split.feature, above, before, share, ratio, scale });
            // Last in, first out: set left, enter left, set right, enter right, set back.
            todo.push(Todo::Set { feature, edge: before, share });
            for side in [1, 0] {
                let own = edge + 1 + side as u32;
                if let Child::Split(child) = sides[side] {
                    todo.push(Todo::Enter { split: child, above: own });
                }
                todo.push(Todo::Set { feature, edge: own, share: share * ratio[side] });
            }
        }
        Ok(longest)
    }

    /// The index of the rule with at least `points` points.
    fn rule(&mut self, points: usize) -> u32 {
        // Pairs fill the narrowest vector registers; beyond one pass, whole passes.
        let points = if points > LANES { points } else { points.max(1).next_multiple_of(2) };
        let known = self.rules.iter().position(|rule| rule.points == points);
        known.unwrap_or_else(|| {
            let passes = gauss_legendre(points).chunks(LANES).map(Pass::new).collect();
            self.rules.push(Rule { points, passes });
            self.rules.len() - 1
        }) as u32
    }

    /// Why this ensemble cannot be explained.
    pub(super) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Expected margin per output.
    pub(super) fn base(&self) -> &[f64] {
        &self.base
    }

    pub(super) fn scratch(&self, columns: usize) -> Scratch {
        Scratch {
            product: vec![[0.0; LANES]; self.edges],
            inverse: vec![[1.0; LANES]; self.edges],
            satisfied: vec![true; self.edges],
            side: vec![0; self.edges / 2],
            sums: vec![[0.0; LANES]; columns],
        }
    }

    /// The contributions of the features to one output of one row.
    pub(super) fn explain(
        &self,
        nodes: &[Node],
        words: &[u32],
        row: Rows<'_>,
        output: usize,
        scratch: &mut Scratch,
    ) -> Vec<f64> {
        scratch.sums.fill([0.0; LANES]);
        let mut start = 0;
        for (index, tree) in self.trees.iter().enumerate() {
            let branches = &self.branches[start..tree.end as usize];
            start = tree.end as usize;
            if branches.is_empty() || index % self.base.len() != output {
                continue;
            }
            for (side, branch) in scratch.side.iter_mut().zip(branches) {
                *side = nodes[branch.node as usize].side::<{ mode::FULL }>(words, row, 0) as u8;
            }
            for pass in &self.rules[tree.rule as usize].passes {
                match pass.lanes {
                    0..=2 => pass.run::<2>(branches, scratch),
                    3..=4 => pass.run::<4>(branches, scratch),
                    5..=6 => pass.run::<6>(branches, scratch),
                    _ => pass.run::<8>(branches, scratch),
                }
            }
        }
        scratch.sums.iter().map(|lanes| lanes.iter().sum()).collect()
    }
}

impl Pass {
    fn new(points: &[Point]) -> Self {
        let mut pass =
            Self { lanes: points.len(), t: [0.5; LANES], rest: [0.5; LANES], far: [2.0; LANES], weight: [0.0; LANES] };
        for (lane, point) in points.iter().enumerate() {
            pass.t[lane] = point.t;
            pass.rest[lane] = point.rest;
            pass.far[lane] = 1.0 / point.rest;
            pass.weight[lane] = point.weight;
        }
        pass
    }

    /// Adds one tree's contributions at the first `N` points of this pass.
    fn run<const N: usize>(&self, branches: &[Branch], scratch: &mut Scratch) {
        scratch.product[0] = self.weight;
        self.down::<N>(branches, scratch);
        self.up::<N>(branches, scratch);
    }

    /// Products along the paths: each edge multiplies by its feature's new factor and divides by its old one.
    fn down<const N: usize>(&self, branches: &[Branch], scratch: &mut Scratch) {
        for (index, branch) in branches.iter().enumerate() {
            let side = usize::from(scratch.side[index]);
            let (hot, cold) = (2 * index + 1 + side, 2 * index + 2 - side);
            let (hot_ratio, cold_ratio) = (branch.ratio[side], branch.ratio[1 - side]);
            let (hot_scale, cold_scale) = (branch.scale[side], branch.scale[1 - side]);
            let above = scratch.product[branch.above as usize];
            let on = scratch.satisfied[branch.before as usize];
            scratch.satisfied[hot] = on;
            scratch.satisfied[cold] = false;
            let (mut hot_product, mut cold_product) = ([0.0; LANES], [0.0; LANES]);
            if on {
                let (hot_share, cold_share) = (branch.share * hot_ratio, branch.share * cold_ratio * cold_scale);
                let before = scratch.inverse[branch.before as usize];
                let mut inverse = [0.0; LANES];
                for q in 0..N {
                    let factor = hot_share * self.rest[q] + self.t[q];
                    let product = above[q] * before[q];
                    inverse[q] = 1.0 / factor;
                    hot_product[q] = product * factor * hot_scale;
                    cold_product[q] = product * self.rest[q] * cold_share;
                }
                scratch.inverse[hot] = inverse;
            } else {
                for q in 0..N {
                    hot_product[q] = above[q] * (hot_ratio * hot_scale);
                    cold_product[q] = above[q] * (cold_ratio * cold_scale);
                }
            }
            scratch.product[hot] = hot_product;
            scratch.product[cold] = cold_product;
        }
    }

    /// Sums over the leaves below. An edge contributes `(o − z) / f` of its feature with itself, minus the same without
    /// it; the difference is zero where the feature was unsatisfied before.
    fn up<const N: usize>(&self, branches: &[Branch], scratch: &mut Scratch) {
        for (index, branch) in branches.iter().enumerate().rev() {
            let side = usize::from(scratch.side[index]);
            let (hot, cold) = (2 * index + 1 + side, 2 * index + 2 - side);
            let (hot_sum, cold_sum) = (scratch.product[hot], scratch.product[cold]);
            let above = &mut scratch.product[branch.above as usize];
            for q in 0..N {
                above[q] = hot_sum[q] + cold_sum[q];
            }
            if scratch.satisfied[branch.before as usize] {
                let missing_before = 1.0 - branch.share;
                let missing_now = 1.0 - branch.share * branch.ratio[side];
                let (before, now) = (scratch.inverse[branch.before as usize], scratch.inverse[hot]);
                let sums = &mut scratch.sums[branch.feature as usize];
                for q in 0..N {
                    let old = missing_before * before[q];
                    sums[q] += (missing_now * now[q] - old) * hot_sum[q] - (self.far[q] + old) * cold_sum[q];
                }
            }
        }
    }
}

/// Mean leaf value over the training rows, and the counts once they are known to be sound.
fn expected_value(tree: &Tree) -> Result<(f64, &Counts), String> {
    let Some(counts) = &tree.counts else {
        return Err("the file does not tell how many training rows reached each node".into());
    };
    if counts.splits.len() != tree.splits.len() || counts.leaves.len() != tree.leaves.len() {
        return Err("the file does not tell the training rows of every node".into());
    }
    for (index, (split, rows)) in tree.splits.iter().zip(&counts.splits).enumerate() {
        if !(*rows > 0.0 && counts.of(split.left) + counts.of(split.right) == *rows) {
            return Err(format!("the training rows of split {index} are not those of its children"));
        }
    }
    let total = counts.splits[0];
    let mut value = 0.0;
    for (leaf, rows) in tree.leaves.iter().zip(&counts.leaves) {
        value += rows / total * leaf;
    }
    Ok((value, counts))
}
