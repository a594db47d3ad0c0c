//! The subtrees in memory: a small one is its leaves side by side, a larger one its two halves.
//!
//! What is known of a subtree stands with the node above it, beside that of its sibling: who goes down a path or makes
//! a proof reads one place for each level, and none for the siblings. Which subtrees are small depends on their leaves
//! alone, so that the shape of a tree too is that of its set of pairs, whatever its history.

use super::leaves::{self, Leaf};
use super::{Change, EMPTY, bit, inner_hash};
use chancery_types::Hash;
use std::sync::Arc;

/// The largest subtree that is kept as leaves side by side. A change copies them all, and each node in their place
/// would cost memory and a read of its own.
pub(super) const LEAVES_MAX: usize = 32;
/// The fewest changes that two threads share.
pub(super) const SHARED_MIN: usize = 1 << 16;

/// A subtree, and what is known of it.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(super) struct Subtree {
    pub(super) hash: Hash,
    pub(super) leaves: u64,
    node: Node,
}

#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq))]
enum Node {
    /// At most [`LEAVES_MAX`].
    Leaves(Arc<[Leaf]>),
    /// With more leaves than that.
    Halves(Arc<[Subtree; 2]>),
}

// A node of two halves takes two lines of the cache, with the two counts of `Arc`.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(2 * size_of::<usize>() + size_of::<[Subtree; 2]>() == 128);

impl Default for Subtree {
    fn default() -> Self {
        Subtree { hash: EMPTY, leaves: 0, node: Node::Leaves(Arc::default()) }
    }
}

impl Subtree {
    /// The subtree of sorted leaves, of which some forks are known; its root stands at `depth`.
    fn of(leaves: &mut [Leaf], depth: usize) -> Subtree {
        if leaves.len() > LEAVES_MAX {
            return Subtree::parted(leaves, depth);
        }
        if leaves.is_empty() {
            return Subtree::default();
        }
        leaves::settle(leaves);
        let (hash, count) = (leaves::hash(leaves, depth), leaves.len() as u64);
        Subtree { hash, leaves: count, node: Node::Leaves(Arc::from(&*leaves)) }
    }

    /// The same as two halves, though they may be small.
    fn parted(leaves: &mut [Leaf], depth: usize) -> Subtree {
        let (left, right) = leaves.split_at_mut(leaves::middle(leaves, depth));
        let halves = Arc::new([Subtree::of(left, depth + 1), Subtree::of(right, depth + 1)]);
        let (hash, leaves) = joined(&halves);
        Subtree { hash, leaves, node: Node::Halves(halves) }
    }

    /// Applies sorted changes, all below this subtree, whose root stands at `depth`.
    pub(super) fn update(&mut self, changes: &[Change], depth: usize) {
        if changes.is_empty() {
            return;
        }
        match &mut self.node {
            Node::Halves(halves) => {
                let halves = Arc::make_mut(halves);
                update_halves(halves, changes, depth);
                (self.hash, self.leaves) = joined(halves);
                if self.leaves <= LEAVES_MAX as u64 {
                    let mut all = Vec::with_capacity(LEAVES_MAX);
                    self.for_each(&mut |leaf| all.push(*leaf));
                    *self = Subtree::of(&mut all, depth);
                }
            }
            Node::Leaves(leaves) if changes.len() > LEAVES_MAX => {
                *self = Subtree::parted(&mut leaves.to_vec(), depth);
                self.update(changes, depth);
            }
            Node::Leaves(leaves) => {
                // A copy reads what lies side by side at once; the search then finds it near.
                if changes.len() <= leaves.len() && leaves::replace(Arc::make_mut(leaves), changes) {
                    self.hash = leaves::hash(leaves, depth);
                    return;
                }
                *self = Subtree::of(&mut leaves::merged(leaves, changes), depth);
            }
        }
    }

    /// The value hash of a path.
    pub(super) fn get(&self, path: &Hash) -> Option<Hash> {
        let (mut subtree, mut depth) = (self, 0);
        loop {
            match &subtree.node {
                Node::Halves(halves) => subtree = &halves[usize::from(bit(path, depth))],
                Node::Leaves(leaves) => return leaves::get(leaves, path),
            }
            depth += 1;
        }
    }

    /// Tells the leaves in the order of their paths.
    pub(super) fn for_each(&self, each: &mut impl FnMut(&Leaf)) {
        match &self.node {
            Node::Halves(halves) => halves.iter().for_each(|half| half.for_each(each)),
            Node::Leaves(leaves) => leaves.iter().for_each(each),
        }
    }

    /// The leaf at which a path ends, if any, and the siblings on the way, root first.
    pub(super) fn prove(&self, path: &Hash) -> (Option<Leaf>, Vec<Hash>) {
        let (mut subtree, mut siblings) = (self, Vec::new());
        loop {
            match &subtree.node {
                Node::Halves(halves) => {
                    let half = usize::from(bit(path, siblings.len()));
                    siblings.push(halves[1 - half].hash);
                    subtree = &halves[half];
                }
                Node::Leaves(leaves) => return (leaves::prove(leaves, path, &mut siblings), siblings),
            }
        }
    }
}

/// Hash and number of leaves of two halves, of more than one leaf together.
fn joined([left, right]: &[Subtree; 2]) -> (Hash, u64) {
    (inner_hash(&left.hash, &right.hash), left.leaves + right.leaves)
}

fn update_halves([left, right]: &mut [Subtree; 2], changes: &[Change], depth: usize) {
    let (lower, upper) = changes.split_at(changes.partition_point(|(path, _)| !bit(path, depth)));
    // Where the number of cores is not known there may be no threads at all.
    if changes.len() < SHARED_MIN || std::thread::available_parallelism().map_or(1, usize::from) == 1 {
        left.update(lower, depth + 1);
        right.update(upper, depth + 1);
    } else {
        let shared = std::thread::scope(|scope| {
            let other = std::thread::Builder::new().spawn_scoped(scope, || left.update(lower, depth + 1));
            right.update(upper, depth + 1);
            other.is_ok()
        });
        // The system may have no thread to give.
        if !shared {
            left.update(lower, depth + 1);
        }
    }
}
