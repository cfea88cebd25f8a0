//! The Merkle tree of RFC 6962 over leaves: hashes, the growing right edge, inclusion proofs. A tree is kept as the
//! unfinished tile of each level (256 hashes high), which is all that appending and the root need.

use ring::digest;

/// SHA-256 hash of a leaf or node.
pub(crate) type Hash = [u8; 32];

/// Hashes in a full tile.
pub(crate) const WIDTH: usize = 256;

/// RFC 6962 §2.1: SHA-256(0x00 || leaf).
pub(crate) fn leaf_hash(leaf: &[u8]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[0]);
    context.update(leaf);
    finish(context)
}

/// RFC 6962 §2.1: SHA-256(0x01 || left || right).
pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&[1]);
    context.update(left);
    context.update(right);
    finish(context)
}

fn finish(context: digest::Context) -> Hash {
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// The root of a tree without leaves: SHA-256 of nothing.
pub(crate) fn empty_root() -> Hash {
    finish(digest::Context::new(&digest::SHA256))
}

/// The root over hashes of equally high, full subtrees, whose number is a power of two.
pub(crate) fn full_root(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => node_hash(left, right),
                _ => pair.first().copied().unwrap_or_default(),
            })
            .collect();
    }
    row.first().copied().unwrap_or_else(empty_root)
}

/// A tile that became full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) level: u8,
    pub(crate) index: u64,
    pub(crate) hashes: Vec<Hash>,
}

/// A growing tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    size: u64,
    /// Per level, the hashes of the tile that is not full yet.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// A tree from the partial tiles of its right edge, lowest level first.
    pub(crate) fn from_edge(size: u64, levels: Vec<Vec<Hash>>) -> Self {
        Self { size, levels }
    }

    /// Leaves.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The unfinished tiles, lowest level first.
    pub(crate) fn levels(&self) -> &[Vec<Hash>] {
        &self.levels
    }

    /// Adds a leaf's hash; gives the tiles that became full, lowest first.
    pub(crate) fn push(&mut self, hash: Hash) -> Vec<Full> {
        let mut full = Vec::new();
        let mut carry = hash;
        self.size += 1;
        for level in 0u8.. {
            let at = usize::from(level);
            if self.levels.len() == at {
                self.levels.push(Vec::with_capacity(WIDTH));
            }
            let Some(tile) = self.levels.get_mut(at) else { break };
            tile.push(carry);
            if tile.len() < WIDTH {
                break;
            }
            let hashes = std::mem::replace(tile, Vec::with_capacity(WIDTH));
            carry = full_root(&hashes);
            let index = (self.size >> (8 * (u32::from(level) + 1))) - 1;
            full.push(Full { level, index, hashes });
        }
        full
    }

    /// The root over all leaves.
    pub(crate) fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for tile in &self.levels {
            root = fold(tile, root);
        }
        root.unwrap_or_else(empty_root)
    }
}

/// The root over full subtrees followed by a smaller rest: RFC 6962 splits at the largest power of two, so the subtrees
/// join in the order of the bits of their number, smallest to the right.
fn fold(hashes: &[Hash], mut rest: Option<Hash>) -> Option<Hash> {
    let mut end = hashes.len();
    while end > 0 {
        let width = 1 << end.trailing_zeros();
        let left = full_root(&hashes[end - width..end]);
        rest = Some(match rest {
            None => left,
            Some(right) => node_hash(&left, &right),
        });
        end -= width;
    }
    rest
}

/// Gives the root of the full subtree of 2^`level` leaves with this index on its level.
pub(crate) trait Nodes {
    /// The node, or why it cannot be had.
    fn node(&mut self, level: u32, index: u64) -> tendon_kernel::Result<Hash>;
}

fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

fn range_root(nodes: &mut dyn Nodes, from: u64, to: u64) -> tendon_kernel::Result<Hash> {
    let size = to - from;
    if size.is_power_of_two() {
        let level = size.trailing_zeros();
        return nodes.node(level, from >> level);
    }
    let middle = from + split(size);
    Ok(node_hash(&range_root(nodes, from, middle)?, &range_root(nodes, middle, to)?))
}

/// The root of the tree as it was with so many leaves.
///
/// # Errors
/// When a node cannot be had.
pub(crate) fn root_at(nodes: &mut dyn Nodes, size: u64) -> tendon_kernel::Result<Hash> {
    if size == 0 { Ok(empty_root()) } else { range_root(nodes, 0, size) }
}

/// The inclusion proof (RFC 6962 §2.1.1) of a leaf in a tree of `size` leaves, leaf's sibling first.
///
/// # Errors
/// When a node cannot be had.
pub(crate) fn prove(nodes: &mut dyn Nodes, leaf: u64, size: u64) -> tendon_kernel::Result<Vec<Hash>> {
    let (mut from, mut to) = (0, size);
    let mut path = Vec::new();
    while to - from > 1 {
        let middle = from + split(to - from);
        if leaf < middle {
            path.push(range_root(nodes, middle, to)?);
            to = middle;
        } else {
            path.push(range_root(nodes, from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The root that an inclusion proof leads to (RFC 9162 §2.1.3.2); `None` when the proof has the wrong length.
pub(crate) fn root_of_proof(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut root) = (index, size - 1, leaf);
    for hash in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            root = node_hash(hash, &root);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            root = node_hash(&root, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}
