//! The layout against the model of the rule: whatever has been done to a tree, it has the root, the proofs and the
//! pairs of the rule, and every page, fork and hash that it keeps is that of a tree made at once from its pairs.

use super::model::{hash_of, model, pairs, proved};
use super::subtree::{LEAVES_MAX, SHARED_MIN};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

type State = BTreeMap<Hash, Hash>;

/// Paths as they are: uniform.
fn uniform(key: u64) -> Hash {
    path(&ContractId::default(), &key.to_le_bytes())
}

/// A path that begins with `zeros` bits of 0 and a 1, and ends with a number.
fn deep(zeros: usize, end: u8) -> Hash {
    let mut path = Hash([0; 32]);
    path.0[zeros / 8] |= 0x80 >> (zeros % 8);
    path.0[31] ^= end;
    path
}

fn value(number: u64) -> Hash {
    value_hash(&number.to_le_bytes())
}

/// Changes a tree, and beside it what it should hold.
fn change(tree: &mut Tree, state: &mut State, changes: &[Change]) {
    tree.update(changes.iter().copied());
    for (path, value) in changes {
        match value {
            Some(value) => drop(state.insert(*path, *value)),
            None => drop(state.remove(path)),
        }
    }
}

/// Asserts that a tree is the one of these pairs, in all that can be seen of it and in all that cannot.
fn agrees(tree: &Tree, state: &State) {
    let held: Vec<(Hash, Hash)> = state.iter().map(|(path, value)| (*path, *value)).collect();
    assert_eq!(pairs(tree), held);
    assert_eq!(tree.len(), held.len() as u64);
    assert_eq!(tree.root(), hash_of(&model(&held, 0)));
    let mut at_once = Tree::new();
    at_once.update(held.into_iter().map(|(path, value)| (path, Some(value))));
    assert_eq!(*tree, at_once, "{} keys: it depends on its history", tree.len());
}

/// Asserts that a tree gives and proves what it should at some paths, and at paths beside them.
fn proves(tree: &Tree, state: &State, paths: impl IntoIterator<Item = Hash>) {
    let model = model(&pairs(tree), 0);
    for path in paths {
        for bit in [None, Some(0), Some(7), Some(128), Some(255)] {
            let mut path = path;
            bit.into_iter().for_each(|bit: usize| path.0[bit / 8] ^= 1 << (bit % 8));
            let proof = tree.prove(&path);
            assert_eq!(proof, proved(&model, &path));
            assert_eq!(tree.get(&path), state.get(&path).copied());
            assert!(proof.verify(&tree.root(), &path, state.get(&path)));
        }
    }
}

#[test]
fn a_tree_grows_key_by_key_over_every_boundary_and_shrinks_to_nothing() {
    let most = 16 * LEAVES_MAX as u64;
    let (mut tree, mut state) = (Tree::new(), State::new());
    let near = |keys: u64| keys < 6 || keys.abs_diff(LEAVES_MAX as u64) < 3 || keys == most;
    for key in 0..most {
        change(&mut tree, &mut state, &[(uniform(key), Some(value(key)))]);
        if near(key + 1) {
            proves(&tree, &state, (0..=key).map(uniform));
        }
        if near(key + 1) || key.is_multiple_of(7) {
            agrees(&tree, &state);
        }
    }
    for key in 0..most {
        change(&mut tree, &mut state, &[(uniform(key), None)]);
        if near(most - key - 1) || key.is_multiple_of(7) {
            agrees(&tree, &state);
        }
    }
    assert_eq!(tree, Tree::new());
    assert_eq!(tree.root(), EMPTY);
}

#[test]
fn paths_that_part_at_every_depth_are_kept_and_removed_in_any_order() {
    for ends in [1, 2, LEAVES_MAX as u8 + 1] {
        let all: Vec<Hash> = (0..248).flat_map(|zeros| (0..ends).map(move |end| deep(zeros, end))).collect();
        let (mut tree, mut state) = (Tree::new(), State::new());
        change(&mut tree, &mut state, &all.iter().map(|path| (*path, Some(*path))).collect::<Vec<_>>());
        agrees(&tree, &state);
        proves(&tree, &state, all.iter().copied().step_by(31));
        // From the root down, from the deepest up, and what is left from the middle.
        for (step, kept) in [(3, 0), (2, 1)] {
            let mut order: Vec<&Hash> = all.iter().skip(kept).step_by(step).collect();
            if kept == 1 {
                order.reverse();
            }
            for few in order.chunks(40) {
                change(&mut tree, &mut state, &few.iter().map(|path| (**path, None)).collect::<Vec<_>>());
                agrees(&tree, &state);
            }
        }
        proves(&tree, &state, all.iter().copied().step_by(29));
        change(&mut tree, &mut state, &all.iter().map(|path| (*path, None)).collect::<Vec<_>>());
        assert_eq!(tree, Tree::new());
    }
}

#[test]
fn the_last_two_bits_of_a_path_tell_leaves_apart() {
    let (mut tree, mut state) = (Tree::new(), State::new());
    for end in (0..=255).rev() {
        change(
            &mut tree,
            &mut state,
            &[(Hash([[0xff; 31].as_slice(), &[end]].concat().try_into().unwrap()), Some(EMPTY))],
        );
    }
    agrees(&tree, &state);
    proves(&tree, &state, state.keys().copied().collect::<Vec<_>>());
}

#[test]
fn a_batch_for_several_threads_makes_the_tree_that_blocks_make() {
    let keys = SHARED_MIN as u64 + 1_000;
    let all: Vec<Change> = (0..keys).map(|key| (uniform(key), Some(value(key)))).collect();
    let (mut tree, mut state) = (Tree::new(), State::new());
    all.chunks(5_000).for_each(|block| change(&mut tree, &mut state, block));
    // `agrees` makes the other at once.
    agrees(&tree, &state);
    let before = (tree.clone(), state.clone());
    // Two of three values are new, one is gone; of two changes of a path the last counts.
    let again = |key: u64| [(uniform(key), None), (uniform(key), (!key.is_multiple_of(3)).then(|| value(key + 1)))];
    change(&mut tree, &mut state, &(0..keys).flat_map(again).collect::<Vec<_>>());
    agrees(&tree, &state);
    agrees(&before.0, &before.1);
    change(&mut tree, &mut state, &(0..keys).map(|key| (uniform(key), None)).collect::<Vec<_>>());
    assert_eq!(tree, Tree::new());
}

#[test]
fn more_changes_than_are_applied_together_count_in_their_order() {
    let changes = (0..BATCH_MAX as u64 + 10).map(|number| (uniform(number % 50), Some(value(number))));
    let mut tree = Tree::new();
    tree.update(changes);
    let last = |key: u64| (0..BATCH_MAX as u64 + 10).rev().find(|number| number % 50 == key).unwrap();
    agrees(&tree, &(0..50).map(|key| (uniform(key), value(last(key)))).collect());
}

/// A path of a universe in which some are uniform and some have long beginnings in common.
fn any_path() -> impl Strategy<Value = Hash> {
    prop_oneof![
        (0..120_u64).prop_map(uniform),
        (0..248_usize, 0..40_u8).prop_map(|(zeros, end)| deep(zeros / 16 * 16, end))
    ]
}

proptest! {
    #[test]
    fn clones_that_are_changed_leave_one_another_alone(
        steps in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec((any_path(), prop::option::weighted(0.6, 0..5_u64)), 0..90)), 1..25)
    ) {
        let mut kept = vec![(Tree::new(), State::new())];
        for (from, changes) in steps {
            let (mut tree, mut state) = kept[from.index(kept.len())].clone();
            let changes: Vec<Change> = changes.into_iter().map(|(path, number)| (path, number.map(value))).collect();
            change(&mut tree, &mut state, &changes);
            kept.push((tree, state));
        }
        // Half of them go first: what they shared with others stays.
        let mut odd = false;
        kept.retain(|_| { odd = !odd; odd });
        for (tree, state) in &kept {
            agrees(tree, state);
            proves(tree, state, state.keys().copied().step_by(5));
        }
    }
}
