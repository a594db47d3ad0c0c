//! What a tree holds at a path, shown to one who has the root alone.

use super::{DEPTH_MAX, EMPTY, bit, inner_hash, leaf_hash};
use chancery_types::Hash;

/// What a tree holds at a path: the leaf that stands where the path ends, if any, and the siblings on the way, root
/// first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Path and value hash of the leaf at the end.
    pub leaf: Option<(Hash, Hash)>,
    /// Siblings, the root's children first.
    pub siblings: Vec<Hash>,
}

impl Proof {
    /// Whether it proves, against `root`, that the tree holds `value` at `path` (`None`: nothing).
    pub fn verify(&self, root: &Hash, path: &Hash, value: Option<&Hash>) -> bool {
        if self.siblings.len() > DEPTH_MAX {
            return false;
        }
        let says = match &self.leaf {
            Some((found, held)) if found == path => value == Some(held),
            // Another leaf where the path ends shows absence only if it belongs there.
            Some((found, _)) => value.is_none() && (0..self.siblings.len()).all(|d| bit(found, d) == bit(path, d)),
            None => value.is_none(),
        };
        let mut hash = self.leaf.map_or(EMPTY, |(path, value)| leaf_hash(&path, &value));
        for (depth, sibling) in self.siblings.iter().enumerate().rev() {
            hash = if bit(path, depth) { inner_hash(sibling, &hash) } else { inner_hash(&hash, sibling) };
        }
        says && hash == *root
    }
}
