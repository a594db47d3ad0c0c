//! The authenticated state tree: a binary Merkle trie over hashed keys, with the hashing rule of the Jellyfish Merkle
//! Tree.
//!
//! ```text
//! path       = BLAKE3-derive-key("chancery 2026 state key v1", contract ‖ u32 LE length of key ‖ key)
//! value hash = BLAKE3(value)
//! empty      = the 32 bytes "SPARSE_MERKLE_PLACEHOLDER_HASH__"
//! leaf       = BLAKE3("JMT::LeafNode" ‖ path ‖ value hash)
//! inner      = BLAKE3("JMT::IntrnalNode" ‖ left ‖ right)          (spelt so in the JMT crate)
//! ```
//!
//! A subtree without leaves is empty, one with a single leaf is that leaf, wherever it stands; any other is the inner
//! node of its halves by the next bit of the path, the most significant bit of the first byte being the first. So the
//! root depends on the set of pairs alone, not on their history. The `jmt` crate is the oracle in the tests.
//!
//! # In memory
//!
//! ```text
//! subtree with more than 32 leaves   its two halves, each with hash and number of leaves        128 bytes
//! any other                          its leaves: path, value hash, hash of the fork to the left  96 bytes a leaf
//! ```
//!
//! So a key takes 123 bytes, as measured at 10⁷ of them (`docs/src/operations/performance.md`), and the way to one of
//! these goes through 20 places in memory. The tree is persistent: [`Tree::update`] copies what it changes and shares
//! the rest, so that a clone is free and an old root stays provable; what no clone shares is changed where it is. A
//! batch hashes each inner node once, however many of its leaves change. A large batch is shared out between threads by
//! the first bits of the paths.

use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};
use chancery_types::entry::Write;
use chancery_types::{ContractId, Hash};
use std::sync::LazyLock;
use subtree::Subtree;

mod leaves;
mod proof;
mod subtree;

pub use proof::Proof;

/// Changes that are applied together; more are applied in several turns, since they too take memory.
const BATCH_MAX: usize = 1 << 20;

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

/// A change of one leaf: the new value hash, or `None` to remove it.
pub type Change = (Hash, Option<Hash>);

/// What a write changes.
pub fn change(write: &Write) -> Change {
    (path(&write.contract, &write.key), write.value.as_deref().map(value_hash))
}

/// The tree of one state.
#[derive(Clone, Debug, Default)]
#[cfg_attr(test, derive(PartialEq))]
pub struct Tree {
    all: Subtree,
}

impl Tree {
    /// The empty tree.
    pub fn new() -> Self {
        Tree::default()
    }

    /// The root.
    pub fn root(&self) -> Hash {
        self.all.hash
    }

    /// How many keys it holds.
    pub fn len(&self) -> u64 {
        self.all.leaves
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Applies changes; of several to one path the last counts.
    pub fn update(&mut self, changes: impl IntoIterator<Item = Change>) {
        let mut changes = changes.into_iter();
        loop {
            let mut batch: Vec<Change> = changes.by_ref().take(BATCH_MAX).collect();
            if batch.is_empty() {
                return;
            }
            batch.sort_by_key(|(path, _)| *path);
            batch.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    earlier.1 = later.1;
                }
                same
            });
            self.all.update(&batch, 0);
        }
    }

    /// The value hash of a path.
    pub fn get(&self, path: &Hash) -> Option<Hash> {
        self.all.get(path)
    }

    /// Tells every path and value hash, in the order of the paths.
    pub fn for_each(&self, mut each: impl FnMut(&Hash, &Hash)) {
        self.all.for_each(&mut |leaf| each(&leaf.path, &leaf.value));
    }

    /// Proves what the tree holds at a path: a value hash, or nothing.
    pub fn prove(&self, path: &Hash) -> Proof {
        let (leaf, siblings) = self.all.prove(path);
        Proof { leaf: leaf.map(|leaf| (leaf.path, leaf.value)), siblings }
    }
}

#[cfg(test)]
mod layout;
#[cfg(test)]
mod model;
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
