//! What the plots show beyond the figures: how things go over a range.

use crate::figures::{BLOCK_BYTES, Scale, load, median, microseconds, town};
use chancery_state::{Tree, tree};
use chancery_types::ContractId;
use std::time::{Duration, Instant};

/// Times in microseconds, the shortest first.
pub struct Latencies {
    /// Of a durable call of one caller alone.
    pub calls: Vec<f64>,
    /// Of one write and fdatasync of as many bytes.
    pub syncs: Vec<f64>,
}

/// Calls a second by submitters.
pub struct Throughput(pub Vec<(f64, f64)>);

/// Cost in microseconds by keys.
pub struct Growth(pub Vec<(f64, f64)>);

/// A lone caller, many times.
pub fn latencies(scale: Scale) -> Latencies {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let lone = town(dir.path()).lone(dir.path(), BLOCK_BYTES, scale.of(5_000, 50)).expect("the load is carried out");
    let sorted = |times: Vec<Duration>| {
        let mut times: Vec<f64> = times.into_iter().map(microseconds).collect();
        times.sort_by(f64::total_cmp);
        times
    };
    Latencies { calls: sorted(lone.calls), syncs: sorted(lone.syncs) }
}

/// The load from more and more submitters.
pub fn throughput(scale: Scale) -> Throughput {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut town = town(dir.path());
    let at = |submitters: u32| {
        let calls = scale.of(u64::from(submitters.clamp(8, 64)) * 300, 200);
        (f64::from(submitters), load(&mut town, scale, submitters as usize, calls))
    };
    Throughput([1, 2, 4, 8, 16, 32, 64, 128, 256].map(at).into())
}

/// The tree of more and more keys.
pub fn growth(scale: Scale) -> Growth {
    let path = |key: u64| tree::path(&ContractId([1; 32]), &key.to_le_bytes());
    let changes = |key: u64| (path(key), Some(tree::value_hash(&key.to_le_bytes())));
    let (mut state, mut keys, mut points) = (Tree::new(), 0, Vec::new());
    for size in
        [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000].map(|size| scale.of(size, size / 100))
    {
        state.update((keys..size).map(changes));
        keys = size;
        let mut key = 0;
        let rounds = (0..scale.of(200, 5)).map(|_| {
            // Readers keep the state before.
            let kept = state.clone();
            let start = Instant::now();
            state.update((0..192).map(|_| {
                key += 7_919;
                changes(key % size)
            }));
            drop(kept);
            microseconds(start.elapsed()) / 192.0
        });
        points.push((size as f64, median(rounds.collect())));
    }
    Growth(points)
}
