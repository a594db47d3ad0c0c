//! A small subtree: its leaves side by side, in the order of their paths.
//!
//! Between two neighbours stands exactly one inner node with two halves that are not empty: the one at which their
//! paths part. So `n` leaves have `n - 1` such nodes, and the hash of each is kept with the leaf at its right, which is
//! the first of the node's right half:
//!
//! ```text
//! leaf        0000      0010      1011      1101
//! fork          -     at bit 2  at bit 0  at bit 1
//! ```
//!
//! The fork at bit 0 is of all four leaves, each other of the two beside it.
//!
//! The inner nodes with one empty half, and the leaves' own hashes, are not kept: there are few on a path, and each
//! costs one hash.

use super::{Change, EMPTY, bit, inner_hash, leaf_hash};
use chancery_types::Hash;

/// A leaf, and the node at which it parts from its left neighbour.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(super) struct Leaf {
    pub(super) path: Hash,
    pub(super) value: Hash,
    /// Hash of that node, or [`UNKNOWN`].
    fork: Hash,
}

/// In the place of a fork's hash: it must be computed. No inner node has this hash, it is that of the empty subtree.
const UNKNOWN: Hash = EMPTY;

impl Leaf {
    pub(super) fn new(path: Hash, value: Hash) -> Self {
        Leaf { path, value, fork: UNKNOWN }
    }
}

/// How many bits two paths have in common.
fn common(one: &Hash, other: &Hash) -> usize {
    let equal = one.0.iter().zip(&other.0).take_while(|(one, other)| one == other).count();
    let bits = one.0.get(equal).zip(other.0.get(equal)).map_or(0, |(one, other)| (one ^ other).leading_zeros());
    8 * equal + bits as usize
}

/// Where several leaves part: the depth, and the first leaf of the right half.
fn parting(leaves: &[Leaf]) -> (usize, usize) {
    let depth = common(&leaves[0].path, &leaves[leaves.len() - 1].path);
    (depth, middle(leaves, depth))
}

/// The first leaf of the right half of leaves whose paths are equal before `depth`.
pub(super) fn middle(leaves: &[Leaf], depth: usize) -> usize {
    leaves.partition_point(|leaf| !bit(&leaf.path, depth))
}

/// The hash of the subtree of some leaves, whose root stands at `depth`.
pub(super) fn hash(leaves: &[Leaf], depth: usize) -> Hash {
    match leaves {
        [] => EMPTY,
        [leaf] => leaf_hash(&leaf.path, &leaf.value),
        [first, ..] => {
            let (fork, middle) = parting(leaves);
            (depth..fork).rev().fold(leaves[middle].fork, |below, depth| {
                if bit(&first.path, depth) { inner_hash(&EMPTY, &below) } else { inner_hash(&below, &EMPTY) }
            })
        }
    }
}

/// The value hash of a path.
pub(super) fn get(leaves: &[Leaf], path: &Hash) -> Option<Hash> {
    leaves.binary_search_by_key(path, |leaf| leaf.path).ok().map(|at| leaves[at].value)
}

/// The leaf at which a path ends, if any. `siblings` has those above, and so many as the depth is, and gets those
/// below.
pub(super) fn prove(mut leaves: &[Leaf], path: &Hash, siblings: &mut Vec<Hash>) -> Option<Leaf> {
    while leaves.len() > 1 {
        let depth = siblings.len();
        let (left, right) = leaves.split_at(middle(leaves, depth));
        let (next, sibling) = if bit(path, depth) { (right, left) } else { (left, right) };
        siblings.push(hash(sibling, depth + 1));
        leaves = next;
    }
    leaves.first().copied()
}

/// Gives leaves new values, if all that changes are values of leaves that are there, and says whether that is so.
pub(super) fn replace(leaves: &mut [Leaf], changes: &[Change]) -> bool {
    let find = |leaves: &[Leaf], path: &Hash| leaves.binary_search_by_key(path, |leaf| leaf.path);
    if !changes.iter().all(|(path, value)| value.is_some() && find(leaves, path).is_ok()) {
        return false;
    }
    for (path, value) in changes {
        if let (Ok(at), Some(value)) = (find(leaves, path), value) {
            leaves[at].value = *value;
            forget(leaves, path);
        }
    }
    settle_forks(leaves);
    true
}

/// Sorted leaves after sorted changes; the forks that must be computed are unknown.
pub(super) fn merged(leaves: &[Leaf], changes: &[Change]) -> Vec<Leaf> {
    let (mut all, mut rest) = (Vec::with_capacity(leaves.len() + changes.len()), leaves);
    for (path, value) in changes {
        let before = rest.partition_point(|leaf| leaf.path < *path);
        all.extend_from_slice(&rest[..before]);
        let same = rest.get(before).is_some_and(|leaf| leaf.path == *path);
        rest = &rest[before + usize::from(same)..];
        all.extend(value.map(|value| Leaf::new(*path, value)));
    }
    all.extend_from_slice(rest);
    // Of new leaves alone no fork is known.
    if !leaves.is_empty() {
        changes.iter().for_each(|(path, _)| forget(&mut all, path));
    }
    all
}

/// Forgets the forks above a path, whose leaf has been changed, inserted or removed.
fn forget(mut leaves: &mut [Leaf], path: &Hash) {
    while leaves.len() > 1 {
        let (depth, middle) = parting(leaves);
        if common(&leaves[0].path, path) < depth {
            return;
        }
        leaves[middle].fork = UNKNOWN;
        let (left, right) = leaves.split_at_mut(middle);
        leaves = if bit(path, depth) { right } else { left };
    }
}

/// Computes the forks of a whole subtree that are unknown. Its first leaf has no left neighbour in it.
pub(super) fn settle(leaves: &mut [Leaf]) {
    if let Some(first) = leaves.first_mut() {
        first.fork = UNKNOWN;
    }
    settle_forks(leaves);
}

/// Computes the forks that are unknown. Above an unknown fork all are.
fn settle_forks(leaves: &mut [Leaf]) {
    if leaves.len() < 2 {
        return;
    }
    let (depth, middle) = parting(leaves);
    if leaves[middle].fork != UNKNOWN {
        return;
    }
    let (left, right) = leaves.split_at_mut(middle);
    settle_forks(left);
    settle_forks(right);
    right[0].fork = inner_hash(&hash(left, depth + 1), &hash(right, depth + 1));
}
