//! The public log: what publishing costs, how fast an audit executes what was written, how long a proof is. Figures are printed, each ratio from one
//! run in which both sides take turns; nothing is asserted about time.

#![allow(clippy::float_arithmetic, reason = "figures for people")]

use chancery_benches::Town;
use chancery_node::{AuditOptions, Compiler, Level, Options, Progress, audit};
use chancery_state::{Tree, tree};
use chancery_types::ContractId;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Submitters that each wait for an answer before their next call.
const THREADS: usize = 64;

fn main() {
    // `-- --test` runs each once to see that it works.
    let test = std::env::args().any(|argument| argument == "--test");
    let (rounds, calls) = if test { (1, 500) } else { (5, 4_000) };
    let written = publishing(rounds, calls);
    auditing(rounds * calls, written);
    proof_sizes(if test { 1_000 } else { 1_000_000 });
}

/// Writes the same load with and without publication, in turns. Returns the ledger with publication and the time that writing took.
fn publishing(rounds: u64, calls: u64) -> (tempfile::TempDir, Duration) {
    let dirs = [0, 1].map(|_| tempfile::tempdir().expect("a temporary directory"));
    let mut published = Town::new(dirs[0].path(), Options::default()).expect("a fresh directory");
    let unpublished = Town::new(dirs[1].path(), Options::default()).expect("a fresh directory");
    // Without the log key nothing is published.
    let mut unpublished = unpublished.reopened(dirs[1].path(), Options::default()).expect("a sound ledger");
    let mut times = [Duration::ZERO; 2];
    for _ in 0..rounds {
        for (town, time) in [&mut published, &mut unpublished].into_iter().zip(&mut times) {
            let payments = town.payments(calls);
            let start = Instant::now();
            town.submit_from(THREADS, payments).expect("the load is carried out");
            *time += start.elapsed();
        }
    }
    let total = rounds * calls;
    for (what, time) in ["published", "not published"].iter().zip(&times) {
        println!("{total} calls, {THREADS} submitters, {what}: {:.0} calls/s", per_second(total, *time));
    }
    println!("time with publication over time without: {:.3}", times[0].as_secs_f64() / times[1].as_secs_f64());
    let start = Instant::now();
    let one = published.payments(1);
    published.submit(one).expect("the load is carried out");
    let last = published.ledger.head().size - 1;
    published.ledger.wait_for(last, Level::Published).expect("the log key is at hand");
    println!("one lone call until it is published: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    published.ledger.close().expect("the disk has room");
    unpublished.ledger.close().expect("the disk has room");
    let [dir, _] = dirs;
    (dir, times[0])
}

fn auditing(calls: u64, (dir, written): (tempfile::TempDir, Duration)) {
    let progress: Progress = Arc::new(|_, _, _| {});
    let options = AuditOptions { compiler: Compiler::InProcess, progress, resume: None, policy: None };
    let start = Instant::now();
    let audited = audit(dir.path(), &options).expect("an honest log");
    let taken = start.elapsed();
    println!(
        "audit of {} calls: {:.0} calls/s; written at {:.0} calls/s",
        audited.executed,
        per_second(audited.executed, taken),
        per_second(calls, written)
    );
}

/// Length of a proof of presence and of absence: a bit for each level and the siblings that are not empty; the file's other lines come on top.
fn proof_sizes(keys: u64) {
    let contract = ContractId([1; 32]);
    let path = |key: u64| tree::path(&contract, &key.to_le_bytes());
    let mut state = Tree::new();
    state.update((0..keys).map(|key| (path(key), Some(tree::value_hash(&key.to_le_bytes())))));
    for (what, from) in [("present", 0), ("absent", keys)] {
        let (mut total, mut most, mut levels_max) = (0, 0, 0);
        for key in from..from + keys {
            let siblings = state.prove(&path(key)).siblings;
            let given = siblings.iter().filter(|sibling| **sibling != tree::EMPTY).count();
            let bytes = siblings.len().div_ceil(8) + 32 * given;
            (total, most, levels_max) = (total + bytes, most.max(bytes), levels_max.max(siblings.len()));
        }
        let mean = total as f64 / keys as f64;
        println!(
            "{keys} keys, each proved, {what}: {mean:.0} bytes on average, {most} at most; {levels_max} levels at most"
        );
    }
}

fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
