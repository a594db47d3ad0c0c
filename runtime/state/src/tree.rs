//! The authenticated state tree: a binary Merkle trie over hashed keys, with the hashing rule of the Jellyfish Merkle Tree.
//!
//! ```text
//! path       = BLAKE3-derive-key("chancery 2026 state key v1", contract ‖ u32 LE length of key ‖ key)
//! value hash = BLAKE3(value)
//! empty      = the 32 bytes "SPARSE_MERKLE_PLACEHOLDER_HASH__"
//! leaf       = BLAKE3("JMT::LeafNode" ‖ path ‖ value hash)
//! inner      = BLAKE3("JMT::IntrnalNode" ‖ left ‖ right)          (spelt so in the JMT crate)
//! ```
//!
//! A subtree without leaves is empty, one with a single leaf is that leaf, wherever it stands; any other is the inner node of
//! its halves by the next bit of the path, the most significant bit of the first byte being the first. So the root depends on
//! the set of pairs alone, not on their history. The `jmt` crate is the oracle in the tests.
//!
//! The tree is persistent: [`Tree::update`] copies the nodes on the changed paths and shares the rest, so that a clone is free
//! and an old root stays provable. A batch hashes each inner node once, however many of its leaves change.

use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};
use chancery_types::{ContractId, Hash};
use std::sync::{Arc, LazyLock};

/// Root of a tree without leaves.
pub const EMPTY: Hash = Hash(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__");
/// Bits of a path, the greatest depth.
pub const DEPTH_MAX: usize = 256;

/// Where a key stands in the tree.
pub fn path(contract: &ContractId, key: &[u8]) -> Hash {
    static CONTEXT: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("chancery 2026 state key v1"));
    let mut hasher = blake3::Hasher::new_from_context_key(&CONTEXT);
    hasher.update(&contract.0);
    hasher.update(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_le_bytes());
    hasher.update(key);
    Hash(hasher.finalize().into())
}

/// What a leaf says of a value.
pub fn value_hash(value: &[u8]) -> Hash {
    Hash::of(value)
}

fn leaf_hash(path: &Hash, value: &Hash) -> Hash {
    const PREFIX: &[u8; 13] = b"JMT::LeafNode";
    let mut bytes = [0; 13 + 64];
    bytes[..13].copy_from_slice(PREFIX);
    bytes[13..45].copy_from_slice(&path.0);
    bytes[45..].copy_from_slice(&value.0);
    Hash::of(&bytes)
}

fn inner_hash(left: &Hash, right: &Hash) -> Hash {
    const PREFIX: &[u8; 16] = b"JMT::IntrnalNode";
    let mut bytes = [0; 16 + 64];
    bytes[..16].copy_from_slice(PREFIX);
    bytes[16..48].copy_from_slice(&left.0);
    bytes[48..].copy_from_slice(&right.0);
    Hash::of(&bytes)
}

fn bit(path: &Hash, depth: usize) -> bool {
    path.0[depth / 8] >> (7 - depth % 8) & 1 == 1
}

#[derive(Debug)]
enum Node {
    Leaf { path: Hash, value: Hash, hash: Hash },
    Inner { left: Link, right: Link, hash: Hash },
}

/// A subtree; `None` is the empty one.
type Link = Option<Arc<Node>>;

fn hash_of(link: &Link) -> Hash {
    match link.as_deref() {
        None => EMPTY,
        Some(Node::Leaf { hash, .. } | Node::Inner { hash, .. }) => *hash,
    }
}

fn leaf(path: Hash, value: Hash) -> Arc<Node> {
    Arc::new(Node::Leaf { path, value, hash: leaf_hash(&path, &value) })
}

/// Whether two halves have a node above them: one leaf alone rises.
fn has_node(left: &Link, right: &Link) -> bool {
    match (left, right) {
        (None, None) => false,
        (Some(only), None) | (None, Some(only)) => matches!(**only, Node::Inner { .. }),
        _ => true,
    }
}

/// Joins two halves.
fn join(left: Link, right: Link) -> Link {
    if !has_node(&left, &right) {
        return left.or(right);
    }
    let hash = inner_hash(&hash_of(&left), &hash_of(&right));
    Some(Arc::new(Node::Inner { left, right, hash }))
}

/// A change of one leaf: the new value hash, or `None` to remove it.
pub type Change = (Hash, Option<Hash>);

/// The tree of one state.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    root: Link,
    leaves: u64,
}

impl Tree {
    /// The empty tree.
    pub fn new() -> Self {
        Tree::default()
    }

    /// The root.
    pub fn root(&self) -> Hash {
        hash_of(&self.root)
    }

    /// How many keys it holds.
    pub fn len(&self) -> u64 {
        self.leaves
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.leaves == 0
    }

    /// Applies changes; of several to one path the last counts.
    pub fn update(&mut self, changes: impl IntoIterator<Item = Change>) {
        let mut changes: Vec<Change> = changes.into_iter().collect();
        changes.sort_by_key(|(path, _)| *path);
        changes.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = later.1;
            }
            same
        });
        self.root = updated(self.root.take(), &changes, 0, &mut self.leaves);
    }

    /// The value hash of a path.
    pub fn get(&self, path: &Hash) -> Option<Hash> {
        let mut link = &self.root;
        for depth in 0..=DEPTH_MAX {
            match link.as_deref()? {
                Node::Leaf { path: found, value, .. } => return (found == path).then_some(*value),
                Node::Inner { left, right, .. } => link = if bit(path, depth) { right } else { left },
            }
        }
        None
    }

    /// Tells every path and value hash, in the order of the paths.
    pub fn for_each(&self, mut each: impl FnMut(&Hash, &Hash)) {
        let mut open: Vec<&Node> = self.root.as_deref().into_iter().collect();
        while let Some(node) = open.pop() {
            match node {
                Node::Leaf { path, value, .. } => each(path, value),
                Node::Inner { left, right, .. } => {
                    open.extend(right.as_deref());
                    open.extend(left.as_deref());
                }
            }
        }
    }

    /// Proves what the tree holds at a path: a value hash, or nothing.
    pub fn prove(&self, path: &Hash) -> Proof {
        let (mut link, mut siblings) = (&self.root, Vec::new());
        loop {
            match link.as_deref() {
                None => return Proof { leaf: None, siblings },
                Some(Node::Leaf { path, value, .. }) => return Proof { leaf: Some((*path, *value)), siblings },
                Some(Node::Inner { left, right, .. }) => {
                    let (next, sibling) = if bit(path, siblings.len()) { (right, left) } else { (left, right) };
                    siblings.push(hash_of(sibling));
                    link = next;
                }
            }
        }
    }
}

/// Applies sorted changes, all below this subtree, whose root stands at `depth`.
fn updated(link: Link, changes: &[Change], depth: usize, leaves: &mut u64) -> Link {
    if changes.is_empty() {
        return link;
    }
    let Some(mut node) = link else { return replaced(None, changes, depth, leaves) };
    let (lower, upper) = changes.split_at(changes.partition_point(|(path, _)| !bit(path, depth)));
    // A node that no other tree shares is changed where it is.
    if let Some(Node::Inner { left, right, hash }) = Arc::get_mut(&mut node) {
        *left = updated(left.take(), lower, depth + 1, leaves);
        *right = updated(right.take(), upper, depth + 1, leaves);
        if !has_node(left, right) {
            return left.take().or(right.take());
        }
        *hash = inner_hash(&hash_of(left), &hash_of(right));
        return Some(node);
    }
    match &*node {
        Node::Leaf { path, value, .. } => replaced(Some((*path, *value)), changes, depth, leaves),
        Node::Inner { left, right, .. } => {
            join(updated(left.clone(), lower, depth + 1, leaves), updated(right.clone(), upper, depth + 1, leaves))
        }
    }
}

/// What sorted changes make of a subtree that was empty or a leaf.
fn replaced(old: Option<(Hash, Hash)>, changes: &[Change], depth: usize, leaves: &mut u64) -> Link {
    *leaves -= u64::from(old.is_some());
    let kept = old.filter(|(path, _)| changes.binary_search_by_key(path, |(path, _)| *path).is_err());
    let mut pairs: Vec<(Hash, Hash)> =
        changes.iter().filter_map(|(path, value)| value.map(|value| (*path, value))).collect();
    if let Some(kept) = kept {
        pairs.insert(pairs.partition_point(|(path, _)| *path < kept.0), kept);
    }
    *leaves += pairs.len() as u64;
    built(&pairs, depth)
}

/// The subtree of sorted pairs.
fn built(pairs: &[(Hash, Hash)], depth: usize) -> Link {
    match pairs {
        [] => None,
        [(path, value)] => Some(leaf(*path, *value)),
        _ => {
            let middle = pairs.partition_point(|(path, _)| !bit(path, depth));
            join(built(&pairs[..middle], depth + 1), built(&pairs[middle..], depth + 1))
        }
    }
}

/// What a tree holds at a path: the leaf that stands where the path ends, if any, and the siblings on the way, root first.
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

#[cfg(test)]
mod oracle;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn proofs_say_what_the_tree_holds_and_nothing_else(keys in prop::collection::btree_map(any::<u16>(), any::<u8>(), 0..60), probe: u16) {
            let at = |key: u16| path(&ContractId::default(), &key.to_le_bytes());
            let mut tree = Tree::new();
            tree.update(keys.iter().map(|(key, value)| (at(*key), Some(value_hash(&[*value])))));
            for key in keys.keys().copied().chain([probe]) {
                let (path, held) = (at(key), keys.get(&key).map(|value| value_hash(&[*value])));
                let proof = tree.prove(&path);
                prop_assert_eq!(tree.get(&path), held);
                prop_assert!(proof.verify(&tree.root(), &path, held.as_ref()));
                let wrong = value_hash(b"another");
                prop_assert!(!proof.verify(&tree.root(), &path, Some(&wrong)));
                prop_assert!(!proof.verify(&EMPTY, &path, held.as_ref()) || tree.is_empty());
                if held.is_some() {
                    prop_assert!(!proof.verify(&tree.root(), &path, None));
                }
                for i in 0..proof.siblings.len() {
                    let mut bent = proof.clone();
                    bent.siblings[i].0[5] ^= 1;
                    prop_assert!(!bent.verify(&tree.root(), &path, held.as_ref()));
                }
            }
        }

        #[test]
        fn the_root_does_not_depend_on_history(keys in prop::collection::vec(any::<u8>(), 1..40)) {
            let at = |key: &u8| path(&ContractId::default(), &[*key]);
            let (mut forward, mut at_once) = (Tree::new(), Tree::new());
            for key in &keys {
                forward.update([(at(key), Some(value_hash(&[*key]))), (at(&key.wrapping_add(1)), None)]);
            }
            let held = keys.iter().chain(keys.iter()).map(at).filter_map(|path| forward.get(&path).map(|v| (path, Some(v))));
            at_once.update(held.collect::<Vec<_>>());
            prop_assert_eq!(forward.root(), at_once.root());
            prop_assert_eq!(forward.len(), at_once.len());
        }
    }
}
