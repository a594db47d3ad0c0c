//! The rule of the tree as it reads, one node for each: what the tests compare the layout with.

use super::*;

/// A subtree; `None` is the empty one.
pub(super) type Link = Option<Box<Model>>;

pub(super) enum Model {
    Leaf { path: Hash, value: Hash },
    Inner { left: Link, right: Link, hash: Hash },
}

pub(super) fn hash_of(link: &Link) -> Hash {
    match link.as_deref() {
        None => EMPTY,
        Some(Model::Leaf { path, value }) => leaf_hash(path, value),
        Some(Model::Inner { hash, .. }) => *hash,
    }
}

/// The subtree of sorted pairs, whose root stands at `depth`.
pub(super) fn model(pairs: &[(Hash, Hash)], depth: usize) -> Link {
    Some(Box::new(match pairs {
        [] => return None,
        [(path, value)] => Model::Leaf { path: *path, value: *value },
        _ => {
            let middle = pairs.partition_point(|(path, _)| !bit(path, depth));
            let (left, right) = (model(&pairs[..middle], depth + 1), model(&pairs[middle..], depth + 1));
            let hash = inner_hash(&hash_of(&left), &hash_of(&right));
            Model::Inner { left, right, hash }
        }
    }))
}

/// All pairs of a tree.
pub(super) fn pairs(tree: &Tree) -> Vec<(Hash, Hash)> {
    let mut pairs = Vec::new();
    tree.for_each(|path, value| pairs.push((*path, *value)));
    pairs
}

/// What the model proves of a path.
pub(super) fn proved(mut link: &Link, path: &Hash) -> Proof {
    let mut siblings = Vec::new();
    loop {
        match link.as_deref() {
            None => return Proof { leaf: None, siblings },
            Some(Model::Leaf { path, value }) => return Proof { leaf: Some((*path, *value)), siblings },
            Some(Model::Inner { left, right, .. }) => {
                let (next, sibling) = if bit(path, siblings.len()) { (right, left) } else { (left, right) };
                siblings.push(hash_of(sibling));
                link = next;
            }
        }
    }
}
