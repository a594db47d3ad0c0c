//! Every inclusion proof and every consistency proof of every tree of up to 300 leaves verifies, and every change of one
//! fails: empty, truncated, garbage before or after, swapped roots, several bits of each hash, other sizes and numbers, a
//! wrong root.
//!
//! One change cannot fail always, and that is exact here: a checker sees of a size only the shape that it gives the path (left or
//! right at each step). Where another size gives the same shape, the same path leads to the same root. What binds size and root together is the checkpoint, which signs
//! both. So the proofs are checked against a second definition of the shape, RFC 6962's recursive one, for equality.

use chancery_tlog::merkle::{Tree, check_consistency, check_inclusion, leaf_hash};
use chancery_types::Hash;

const SIZE_MAX: u64 = 300;
/// The bits of each hash that are flipped: the first, the last, and some between.
const BITS: [usize; 4] = [0, 7, 100, 255];

fn leaf(index: u64) -> Hash {
    leaf_hash(&index.to_be_bytes())
}

fn tree() -> Tree {
    let mut tree = Tree::new();
    (0..SIZE_MAX).for_each(|index| tree.push(leaf(index)));
    tree
}

fn flipped(hash: &Hash, bit: usize) -> Hash {
    let mut hash = *hash;
    hash.0[bit / 8] ^= 0x80 >> (bit % 8);
    hash
}

/// The changed paths that no checker may accept.
fn bent(path: &[Hash], roots: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    if !path.is_empty() {
        all.extend([Vec::new(), path[1..].to_vec(), path[..path.len() - 1].to_vec()]);
    }
    let garbage = [Hash([0; 32]), Hash([9; 32])];
    for more in garbage.iter().chain(roots).chain(path.first()) {
        all.push([&[*more], path].concat());
        all.push([path, &[*more]].concat());
    }
    for at in 0..path.len() {
        for bit in BITS {
            let mut other = path.to_vec();
            other[at] = flipped(&path[at], bit);
            all.push(other);
        }
        if at > 0 {
            let mut other = path.to_vec();
            other.swap(at - 1, at);
            all.push(other);
        }
    }
    all
}

/// Sizes that are near or far: ±1, ×2, ÷2, one bit changed, none, the largest.
fn other_sizes(size: u64) -> [u64; 7] {
    [size.wrapping_sub(1), size + 1, size * 2, size / 2, size ^ 2, 0, u64::MAX]
}

/// Where the hash goes at each step of an audit path, by the definition of RFC 6962 §2.1.1; `None` where there is no such leaf.
fn shape_of_inclusion(index: u64, size: u64) -> Option<String> {
    match size {
        _ if index >= size => None,
        1 => Some(String::new()),
        _ => {
            let split = 1 << (size - 1).ilog2();
            if index < split {
                shape_of_inclusion(index, split).map(|shape| shape + "l")
            } else {
                shape_of_inclusion(index - split, size - split).map(|shape| shape + "r")
            }
        }
    }
}

/// The same of a consistency proof, by the definition of RFC 6962 §2.1.2; `b` stands for its "whole": the old root itself is the first hash.
fn shape_of_consistency(old: u64, new: u64) -> Option<String> {
    fn sub(old: u64, new: u64, whole: bool) -> String {
        if old == new {
            return if whole { "b".into() } else { "n".into() };
        }
        let split = 1 << (new - 1).ilog2();
        if old <= split { sub(old, split, whole) + "l" } else { sub(old - split, new - split, false) + "r" }
    }
    (old > 0 && old <= new).then(|| sub(old, new, true))
}

#[test]
fn every_inclusion_proof_verifies_and_no_changed_one_does() {
    let tree = tree();
    let mut proofs = 0;
    for size in 0..=SIZE_MAX {
        let Some(root) = tree.root_at(size) else {
            assert_eq!(size, 0);
            assert!(!check_inclusion(&leaf(0), 0, 0, &[], &tree.root()));
            assert!(tree.prove_inclusion(0, 0).is_none());
            continue;
        };
        for index in 0..size {
            let path = tree.prove_inclusion(index, size).unwrap();
            let check = |path: &[Hash]| check_inclusion(&leaf(index), index, size, path, &root);
            assert!(check(&path), "{index} of {size}");
            proofs += 1;
            assert!(bent(&path, &[root, leaf(index)]).iter().all(|path| !check(path)), "{index} of {size}");
            let wrong_root = |root: &Hash| check_inclusion(&leaf(index), index, size, &path, root);
            assert!(BITS.iter().all(|bit| !wrong_root(&flipped(&root, *bit))), "{index} of {size}");
            let wrong_leaf = |leaf: &Hash| check_inclusion(leaf, index, size, &path, &root);
            assert!(BITS.iter().all(|bit| !wrong_leaf(&flipped(&leaf(index), *bit))), "{index} of {size}");
            let shape = shape_of_inclusion(index, size);
            for (number, other) in other_sizes(size)
                .map(|other| (index, other))
                .into_iter()
                .chain(other_sizes(index).map(|other| (other, size)))
            {
                let accepted = check_inclusion(&leaf(index), number, other, &path, &root);
                assert_eq!(
                    accepted,
                    shape_of_inclusion(number, other) == shape,
                    "{index} of {size} as {number} of {other}"
                );
                // With the root that goes with the other size it never passes.
                let theirs = tree.root_at(other).filter(|_| other != size);
                assert!(
                    theirs.is_none_or(|root| !check_inclusion(&leaf(index), number, other, &path, &root)),
                    "{index} of {size}"
                );
            }
        }
    }
    assert_eq!(proofs, SIZE_MAX * (SIZE_MAX + 1) / 2);
}

#[test]
fn every_consistency_proof_verifies_and_no_changed_one_does() {
    let tree = tree();
    let mut proofs = 0;
    for new in 0..=SIZE_MAX {
        for old in 0..=new {
            let (Some(old_root), Some(new_root)) = (tree.root_at(old), tree.root_at(new)) else {
                assert_eq!(old, 0);
                assert!(!check_consistency(0, new, &[], &tree.root(), &tree.root()));
                assert!(tree.prove_consistency(0, new).is_none());
                continue;
            };
            let path = tree.prove_consistency(old, new).unwrap();
            let check = |path: &[Hash]| check_consistency(old, new, path, &old_root, &new_root);
            assert!(check(&path), "{old} to {new}");
            proofs += 1;
            assert!(bent(&path, &[old_root, new_root]).iter().all(|path| !check(path)), "{old} to {new}");
            let wrong = |old_root: &Hash, new_root: &Hash| check_consistency(old, new, &path, old_root, new_root);
            assert!(old == new || !wrong(&new_root, &old_root), "{old} to {new}, roots swapped");
            for bit in BITS {
                assert!(!wrong(&flipped(&old_root, bit), &new_root), "{old} to {new}");
                assert!(!wrong(&old_root, &flipped(&new_root, bit)), "{old} to {new}");
            }
            let shape = shape_of_consistency(old, new);
            for (from, to) in
                other_sizes(old).map(|other| (other, new)).into_iter().chain(other_sizes(new).map(|other| (old, other)))
            {
                let accepted = check_consistency(from, to, &path, &old_root, &new_root);
                assert_eq!(accepted, shape_of_consistency(from, to) == shape, "{old} to {new} as {from} to {to}");
                let theirs =
                    tree.root_at(from).zip(tree.root_at(to)).filter(|_| (from, to) != (old, new) && from != to);
                let accepted =
                    theirs.is_some_and(|(old_root, new_root)| check_consistency(from, to, &path, &old_root, &new_root));
                assert!(!accepted, "{old} to {new} as {from} to {to}, with their roots");
            }
        }
    }
    assert_eq!(proofs, SIZE_MAX * (SIZE_MAX + 1) / 2);
}

/// The leaves and roots that the first implementations of RFC 6962 are tested with.
#[test]
fn the_roots_of_the_reference_implementation_come_out() {
    let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut tree = Tree::new();
    for (leaf, root) in leaves.iter().zip(roots) {
        tree.push(leaf_hash(&hex::decode(leaf).unwrap()));
        assert_eq!(hex::encode(tree.root().0), root);
    }
}
