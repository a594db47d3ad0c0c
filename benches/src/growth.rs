//! P5: what the state tree and a ledger cost as their keys grow.

use crate::figures::{Figure, SUBMITTERS, Scale, Settings, figure, in_own_process, load, median, microseconds, town};
use chancery_state::{Purpose, StateKey, StateView, Tree, View, tree};
use chancery_types::{ContractId, Hash};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Changes of one block: 64 payments of three keys.
const BLOCK_CHANGES: u64 = 192;

/// The state tree's cost by its size. The largest tree is the first that is made, so that no memory of another is used again.
pub fn p5(settings: &Settings) -> Vec<Figure> {
    let scale = settings.scale;
    let (small, middle, large) = (10_000, scale.of(1_000_000, 15_000), scale.of(10_000_000, 20_000));
    reset_peak();
    let before = process_bytes("VmRSS:");
    let tree = state_of(large);
    let (memory, peak) = (process_bytes("VmRSS:").saturating_sub(before), process_bytes("VmHWM:"));
    let at_large = block_cost(tree, large, scale);
    let tree = state_of(middle);
    let sorted = sorted_build(&tree);
    let (at_middle, at_small) = (block_cost(tree, middle, scale), block_cost(state_of(small), small, scale));
    let per_key = format!("memory of the tree per key, {large} keys");
    let ratio = format!("cost of a key in a block, {large} keys over {small}");
    let mut found = vec![
        figure("a", per_key, memory as f64 / large as f64, "bytes", "<= 150"),
        figure("b", ratio, at_large.whole / at_small.whole, "x", "<= 1.5"),
        figure("c", format!("peak of this process, {large} keys"), peak as f64 / f64::from(1 << 20), "MiB", "<= 2048"),
    ];
    let parts = [(small, at_small, ["d", "e"]), (middle, at_middle, ["f", "g"]), (large, at_large, ["h", "i"])];
    for (keys, cost, [whole, hashing]) in parts {
        found.push(figure(whole, format!("cost of a key in a block, {keys} keys"), cost.whole, "us", ""));
        found.push(figure(hashing, format!("of it plain hashing, {keys} keys"), cost.hashing, "us", ""));
    }
    found.push(figure("j", format!("a tree made of {middle} sorted pairs"), sorted.as_secs_f64(), "s", ""));
    found.extend(in_own_process("P5-LEDGER", settings, &[]));
    found
}

/// What a ledger costs as its keys grow: a call of the load, memory of the process, and disk.
pub fn ledger(&Settings { scale, keys, .. }: &Settings) -> Vec<Figure> {
    let (few, many) = (10_000, scale.of(keys, 11_000));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut town = town(dir.path());
    let mut cost_at = |keys: u64| {
        let missing = keys.saturating_sub(town.ledger.head().keys);
        town.fill(missing).expect("the payments are done");
        // Gigabytes that filling left for the system to write are no part of the calls that follow.
        let _ = std::process::Command::new("sync").status();
        1e6 / load(&mut town, scale, SUBMITTERS, scale.of(20_000, 500))
    };
    let (at_few, at_many) = (cost_at(few), cost_at(many));
    let (memory, peak) = (process_bytes("VmRSS:"), process_bytes("VmHWM:"));
    let keys = town.ledger.head().keys;
    town.ledger.close().expect("the disk has room");
    let state = state_bytes(&dir.path().join("view"));
    let [journal, view, whole] = ["journal", "view", ""].map(|part| bytes_below(&dir.path().join(part)));
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    vec![
        figure("k", format!("a call of the load, {few} keys and more"), at_few, "us", ""),
        figure("l", format!("a call of the load, {many} keys and more"), at_many, "us", ""),
        figure("", format!("a call of the load, {many} keys over {few}"), at_many / at_few, "x", "<= 1.5"),
        figure("m", format!("memory of a process with a ledger of {many} keys"), mebibytes(memory), "MiB", "<= 2048"),
        figure("n", "its peak", mebibytes(peak), "MiB", "<= 2048"),
        figure("o", "its memory per key and call", memory as f64 / keys as f64, "bytes", ""),
        figure("p", "disk of the ledger over its journal", whole as f64 / journal as f64, "x", "<= 4"),
        figure("q", "disk of the view over keys and values", view as f64 / state as f64, "x", "<= 4"),
    ]
}

/// Bytes of all keys and values of a view.
fn state_bytes(view: &Path) -> u64 {
    let view = View::open(view, Purpose::Serve).expect("the view of a ledger that is closed");
    let bytes = |((contract, key), value): (StateKey, Vec<u8>)| contract.0.len() + key.len() + value.len();
    view.pairs().map(|pair| bytes(pair.expect("a pair of the state")) as u64).sum()
}

/// Bytes that the files below a directory take on the disk.
fn bytes_below(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).expect("a directory of the ledger");
    let bytes = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.expect("an entry of a directory");
        let metadata = entry.metadata().expect("a file of the ledger");
        if metadata.is_dir() { bytes_below(&entry.path()) } else { 512 * metadata.blocks() }
    };
    entries.map(bytes).sum()
}

fn state_path(key: u64) -> Hash {
    tree::path(&ContractId([1; 32]), &key.to_le_bytes())
}

fn state_of(keys: u64) -> Tree {
    let mut state = Tree::new();
    state.update((0..keys).map(|key| (state_path(key), Some(tree::value_hash(&key.to_le_bytes())))));
    state
}

/// How long it takes to make a tree anew from its pairs in order, as a node does when it opens.
fn sorted_build(state: &Tree) -> Duration {
    let mut pairs = Vec::new();
    state.for_each(|path, value| pairs.push((*path, Some(*value))));
    let (mut again, start) = (Tree::new(), Instant::now());
    again.update(pairs);
    let took = start.elapsed();
    assert_eq!(again.root(), state.root());
    took
}

/// What a changed key costs in a block.
struct BlockCost {
    /// Microseconds, all in all.
    whole: f64,
    /// Microseconds that the hashes alone take: of the path, the value, the leaf and the inner nodes above, each once a block.
    hashing: f64,
}

fn block_cost(mut state: Tree, keys: u64, scale: Scale) -> BlockCost {
    let (mut key, mut hashes) = (0, Vec::new());
    let rounds = (0..scale.of(500, 5)).map(|_| {
        // As a node does: the tree of the block before is kept.
        let kept = state.clone();
        let first = key;
        let start = Instant::now();
        state.update((0..BLOCK_CHANGES).map(|_| {
            key += 7_919;
            (state_path(key % keys), Some(tree::value_hash(&u64::to_le_bytes(key))))
        }));
        drop(kept);
        let took = microseconds(start.elapsed()) / BLOCK_CHANGES as f64;
        let changed = (1..=BLOCK_CHANGES).map(|step| state_path((first + step * 7_919) % keys)).collect();
        hashes.push(inner_nodes(&state, changed) as f64 / BLOCK_CHANGES as f64);
        took
    });
    let whole = median(rounds.collect());
    let hash = |bytes: usize| {
        let mut input = vec![7; bytes];
        let batches = (0..100).map(|_| {
            let start = Instant::now();
            for _ in 0..1_000 {
                let hash = Hash::of(&input);
                input[..32].copy_from_slice(&hash.0);
            }
            microseconds(start.elapsed()) / 1_000.0
        });
        median(batches.collect())
    };
    // A path and a value are of one block of BLAKE3; a leaf and an inner node are of two.
    BlockCost { whole, hashing: 2.0 * hash(44) + hash(77) + median(hashes) * hash(80) }
}

/// How many inner nodes stand above some leaves: those of each path, less those that it shares with the one before.
fn inner_nodes(state: &Tree, mut paths: Vec<Hash>) -> usize {
    paths.sort();
    let all: usize = paths.iter().map(|path| state.prove(path).siblings.len()).sum();
    let shared = |pair: &[Hash]| {
        let (first, second) = (&pair[0].0, &pair[1].0);
        let equal = first.iter().zip(second).take_while(|(one, other)| one == other).count();
        first.get(equal).map_or(256, |byte| 8 * equal + (byte ^ second[equal]).leading_zeros() as usize) + 1
    };
    all - paths.windows(2).map(shared).sum::<usize>()
}

/// What the system says of this process's memory in a line of its status: `VmRSS:` now, `VmHWM:` the most.
fn process_bytes(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|found| found.strip_prefix(line)?.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}

/// The most begins anew.
fn reset_peak() {
    // Where the system does not let us, the peak is that of all figures so far, and so no less than it should be.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}
