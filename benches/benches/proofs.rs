//! Proofs of a log of a million entries and of a state of a million keys: making one, and verifying it.

use chancery_state::{Tree, tree};
use chancery_tlog::merkle;
use chancery_types::{ContractId, Hash};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

/// The log's entries and the state's keys; fewer in a run that is there to see that it works.
fn size() -> u64 {
    if std::env::args().any(|argument| argument == "--test") { 1_000 } else { 1_000_000 }
}

/// Goes through the log in steps, so that the proofs are of no two neighbours.
fn next(index: &mut u64, size: u64) -> u64 {
    *index = (*index + 7_919) % size;
    *index
}

fn log(c: &mut Criterion) {
    let size = size();
    let leaf = |index: u64| merkle::leaf_hash(&index.to_le_bytes());
    let mut tree = merkle::Tree::new();
    (0..size).for_each(|index| tree.push(leaf(index)));
    let (root, mut index) = (tree.root(), 0);
    c.bench_function(&format!("proofs/inclusion in {size} entries, made and verified"), |bencher| {
        bencher.iter(|| {
            let index = next(&mut index, size);
            let path = tree.prove_inclusion(index, size).expect("an entry of the log");
            assert!(merkle::check_inclusion(&leaf(index), index, size, &path, &root));
        });
    });
    let older = |index: u64| 1 + index % (size - 1);
    c.bench_function(&format!("proofs/consistency with {size} entries, made and verified"), |bencher| {
        bencher.iter(|| {
            let old = older(next(&mut index, size));
            let path = tree.prove_consistency(old, size).expect("a size that the log had");
            let old_root = tree.root_at(old).expect("a size that the log had");
            assert!(merkle::check_consistency(old, size, &path, &old_root, &root));
        });
    });
}

fn state(c: &mut Criterion) {
    let size = size();
    let path = |key: u64| tree::path(&ContractId([1; 32]), &key.to_le_bytes());
    let mut state = Tree::new();
    state.update((0..size).map(|key| (path(key), Some(Hash([7; 32])))));
    let (root, mut key) = (state.root(), 0);
    c.bench_function(&format!("proofs/one of {size} keys of the state, made and verified"), |bencher| {
        bencher.iter(|| {
            let path = path(next(&mut key, size));
            let proof = black_box(state.prove(&path));
            assert!(proof.verify(&root, &path, Some(&Hash([7; 32]))));
        });
    });
}

criterion_group!(benches, log, state);
criterion_main!(benches);
