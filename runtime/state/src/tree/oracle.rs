//! The tree against the crate `jmt`, whose hashing rule it has: 10,000 random versions with inserts, updates and
//! deletes.
//!
//! After each version the roots are equal, and for each key that it changed, and one more that is mostly absent, the
//! proofs are:
//!
//! - theirs, checked by them and, read into ours, by us;
//! - ours, checked by us and, written as theirs, by them.
//!
//! `jmt` has no constructor for a proof, but it has a Borsh encoding of it: that is the bridge. Its siblings stand from
//! the leaf to the root, and each is the node under the hash (a leaf's two hashes, an inner node's two, or nothing),
//! which our proof leaves out and the model of our tree knows.
//!
//! A tree kept from an earlier version still proves what it held then, by their proof of that version.

use super::model::{Link, Model, hash_of, model, pairs};
use super::*;
use borsh::{BorshDeserialize, BorshSerialize};
use jmt::mock::MockTreeStore;
use jmt::proof::SparseMerkleProof;
use jmt::{KeyHash, RootHash, SimpleHasher, ValueHash};
use std::collections::BTreeMap;

const VERSIONS: u64 = 10_000;
/// Keys that are ever written.
const KEYS: u64 = 400;
/// A tree is kept every so many versions.
const KEPT_EVERY: u64 = 500;

#[derive(Clone)]
struct Blake3(blake3::Hasher);

impl SimpleHasher for Blake3 {
    fn new() -> Self {
        Blake3(blake3::Hasher::new())
    }
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
    fn finalize(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

type Jmt<'a> = jmt::JellyfishMerkleTree<'a, MockTreeStore, Blake3>;
type State = BTreeMap<Hash, Vec<u8>>;

/// The encoding of `jmt`'s proof.
#[derive(BorshSerialize, BorshDeserialize)]
struct Encoded {
    leaf: Option<([u8; 32], [u8; 32])>,
    siblings: Vec<Sibling>,
}

#[derive(BorshSerialize, BorshDeserialize)]
enum Sibling {
    Empty,
    Inner([u8; 32], [u8; 32]),
    Leaf([u8; 32], [u8; 32]),
}

impl Encoded {
    fn of_theirs(proof: &SparseMerkleProof<Blake3>) -> Encoded {
        borsh::from_slice(&borsh::to_vec(proof).unwrap()).unwrap()
    }

    fn to_theirs(&self) -> SparseMerkleProof<Blake3> {
        borsh::from_slice(&borsh::to_vec(self).unwrap()).unwrap()
    }

    /// What our tree proves of a path, with the nodes under its siblings, which a model of it knows.
    fn of_ours(proof: &Proof, model: &Link, path: &Hash) -> Encoded {
        let (mut link, mut siblings) = (model, Vec::new());
        while let Some(Model::Inner { left, right, .. }) = link.as_deref() {
            let (next, sibling) = if bit(path, siblings.len()) { (right, left) } else { (left, right) };
            assert_eq!(proof.siblings.get(siblings.len()), Some(&hash_of(sibling)));
            siblings.push(match sibling.as_deref() {
                None => Sibling::Empty,
                Some(Model::Leaf { path, value }) => Sibling::Leaf(path.0, value.0),
                Some(Model::Inner { left, right, .. }) => Sibling::Inner(hash_of(left).0, hash_of(right).0),
            });
            link = next;
        }
        assert_eq!(proof.siblings.len(), siblings.len());
        siblings.reverse();
        Encoded { leaf: proof.leaf.map(|(path, value)| (path.0, value.0)), siblings }
    }

    fn to_ours(&self) -> Proof {
        let hash = |sibling: &Sibling| match sibling {
            Sibling::Empty => EMPTY,
            Sibling::Inner(left, right) => inner_hash(&Hash(*left), &Hash(*right)),
            Sibling::Leaf(path, value) => leaf_hash(&Hash(*path), &Hash(*value)),
        };
        let leaf = self.leaf.map(|(path, value)| (Hash(path), Hash(value)));
        Proof { leaf, siblings: self.siblings.iter().rev().map(hash).collect() }
    }
}

/// Pseudo-random numbers that do not depend on a crate's version (xorshift64).
fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

fn at(key: u64) -> Hash {
    path(&ContractId::default(), &key.to_le_bytes())
}

/// What `tree`, our tree of their `version`, whose model is given, and they prove of a path, each by both.
fn proofs_agree(oracle: &Jmt<'_>, version: u64, (tree, model): (&Tree, &Link), path: &Hash, value: Option<&Vec<u8>>) {
    let (root, held) = (tree.root(), value.map(|value| value_hash(value)));
    let (found, theirs) = oracle.get_with_proof(KeyHash(path.0), version).unwrap();
    assert_eq!(found.as_ref(), value, "version {version}");
    theirs.verify(RootHash(root.0), KeyHash(path.0), value).unwrap();
    let (ours, read) = (tree.prove(path), Encoded::of_theirs(&theirs).to_ours());
    assert_eq!(read, ours, "version {version}: another proof");
    assert!(read.verify(&root, path, held.as_ref()), "version {version}: theirs by us");
    let written = Encoded::of_ours(&ours, model, path).to_theirs();
    let checked = written.verify(RootHash(root.0), KeyHash(path.0), value);
    assert!(checked.is_ok(), "version {version}: ours by them: {checked:?}");
    // Neither believes the contrary.
    let other = if value.is_some() { None } else { Some(vec![0]) };
    let other_hash = other.as_deref().map(value_hash);
    assert!(!ours.verify(&root, path, other_hash.as_ref()), "version {version}: we believe the contrary");
    assert!(written.verify(RootHash(root.0), KeyHash(path.0), other).is_err(), "version {version}: they do");
}

#[test]
fn roots_and_proofs_are_those_of_the_jmt_crate_over_random_versions() {
    let (mut seed, store) = (0x9e37_79b9_7f4a_7c15, MockTreeStore::default());
    let (oracle, mut tree, mut state) = (Jmt::new(&store), Tree::new(), State::new());
    let (mut kept, mut proofs, mut absent) = (Vec::new(), 0u64, 0u64);
    for version in 0..VERSIONS {
        let mut changes = BTreeMap::new();
        for _ in 0..1 + random(&mut seed) % 8 {
            let value = (!random(&mut seed).is_multiple_of(3)).then(|| random(&mut seed).to_le_bytes().to_vec());
            changes.insert(at(random(&mut seed) % KEYS), value);
        }
        let values = changes.iter().map(|(path, value)| (KeyHash(path.0), value.clone()));
        let (root, batch) = oracle.put_value_set(values, version).unwrap();
        store.write_tree_update_batch(batch).unwrap();
        tree.update(changes.iter().map(|(path, value)| (*path, value.as_deref().map(value_hash))));
        for (path, value) in &changes {
            match value {
                Some(value) => drop(state.insert(*path, value.clone())),
                None => drop(state.remove(path)),
            }
        }
        assert_eq!(tree.root().0, root.0, "version {version}");
        assert_eq!(tree.len(), state.len() as u64);
        let model = model(&pairs(&tree), 0);
        for path in changes.into_keys().chain([at(random(&mut seed) % (4 * KEYS))]) {
            proofs_agree(&oracle, version, (&tree, &model), &path, state.get(&path));
            (proofs, absent) = (proofs + 1, absent + u64::from(!state.contains_key(&path)));
        }
        if version.is_multiple_of(KEPT_EVERY) {
            kept.push((version, tree.clone(), state.clone()));
        }
    }
    assert!(absent * 4 > proofs, "absence is a good part of what is proved: {absent} of {proofs}");
    for (version, tree, state) in kept {
        let model = model(&pairs(&tree), 0);
        for path in (0..KEYS).map(at) {
            proofs_agree(&oracle, version, (&tree, &model), &path, state.get(&path));
        }
    }
    assert_eq!(ValueHash::with::<Blake3>(b"value").0, value_hash(b"value").0);
    println!("{VERSIONS} versions, {proofs} proofs each way as it went, {absent} of them of absence");
}
