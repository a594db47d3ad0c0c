//! The commit protocol against a disk that fails by a seed.
//!
//! A run makes a ledger with the contract `disburse-bench` on a simulated disk ([`chancery_node::sim`]), sends calls, and lets things happen between and
//! during them: power cuts, kills, power cuts during recovery, failing syncs, a full disk, clean stops, and views that are stale, ahead,
//! wrong, damaged or gone. After every start an oracle goes through the whole log:
//!
//! - acknowledged ⊆ recovered ⊆ submitted; each call once, in the order of submission, and byte for byte what was acknowledged;
//! - a call whose caller was told that it was not recorded is not there;
//! - every outcome and every state root is that of a model, which is written here from the contract's rules and knows nothing of the node;
//! - every checkpoint ever seen is one of this log, and every tile and entry that it covers can be read with it;
//! - the bytes of every module that an entry names are there, although a caller deploys what could not be stored, too;
//! - the budget is never negative, and nobody is paid twice for a period.
//! - the snapshot that was last made, whatever happened while another was being made, verifies; at the end a ledger is restored from one, and the
//!   oracle asked again.
//!
//! A seed that fails prints the command that replays it. `CHANCERY_SIM_SEEDS=FROM..TO` runs others.

mod faults;
mod load;
mod model;
mod oracle;

use chancery_node::sim::SimDisk;
use chancery_node::{Ledger, verify_on};
use load::{DIR, Run, Ticking, options, silent};
use oracle::{check, note_checkpoint};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One run of a seed: rounds of calls with faults, a clean stop, and the verification of the files that are left.
fn run_seed(seed: u64) {
    let (mut run, mut ledger) = Run::new(seed);
    for _ in 0..14 {
        run.round(&ledger);
        ledger = run.happen(ledger);
    }
    run.check(&ledger);
    let head = ledger.head();
    ledger.close().unwrap();
    run.note_checkpoint();
    let report = verify_on(&run.disk, Path::new(DIR), &silent()).unwrap();
    assert_eq!((report.entries, report.root, report.state_root), (head.size, head.root, head.state_root));
    assert_eq!((report.checkpoint, report.torn), (Some(head.size), false));
    run.check_restored();
}

/// Executions take more stack than a test's thread has.
fn on_large_stack(work: impl FnOnce() + Send) -> bool {
    std::thread::scope(|scope| {
        std::thread::Builder::new().stack_size(16 << 20).spawn_scoped(scope, work).unwrap().join().is_ok()
    })
}

fn run_seeds(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        assert!(
            on_large_stack(|| run_seed(seed)),
            "seed {seed} fails; to replay it: CHANCERY_SIM_SEEDS={seed}..{} cargo nextest run --release -p chancery-node --test sim chosen_seeds --no-capture",
            seed + 1
        );
    }
}

#[test]
fn a_thousand_even_seeds() {
    run_seeds((0..2_000).step_by(2));
}

#[test]
fn a_thousand_odd_seeds() {
    run_seeds((1..2_000).step_by(2));
}

#[test]
fn chosen_seeds() {
    let Ok(seeds) = std::env::var("CHANCERY_SIM_SEEDS") else {
        eprintln!("skipped: CHANCERY_SIM_SEEDS=FROM..TO chooses seeds");
        return;
    };
    let (from, to) = seeds.split_once("..").expect("CHANCERY_SIM_SEEDS=FROM..TO");
    run_seeds(from.parse().unwrap()..to.parse().unwrap());
}

/// Before every operation of a run of 50 blocks the power is cut, in three ways, and the ledger opened from what is left.
#[test]
fn power_is_cut_at_every_operation_of_fifty_blocks() {
    let recovered = Arc::new(AtomicU64::new(0));
    let done = on_large_stack(|| {
        let disk = SimDisk::new(50);
        let (mut run, ledger) = Run::on(disk.clone(), 50);
        let (outside, views, count) = (run.outside.clone(), run.views.clone(), recovered.clone());
        disk.watch(Some(Arc::new(move |disk: &SimDisk| {
            for seed in 0..3 {
                let (disk, views) = (disk.copy(), views.copy());
                note_checkpoint(&disk, &outside);
                disk.cut_power(disk.operations() * 3 + seed);
                note_checkpoint(&disk, &outside);
                let clock = Arc::new(Ticking(AtomicU64::new(1 << 40)));
                let ledger = Ledger::open(Path::new(DIR), options(&disk, &views, clock));
                let ledger = ledger.unwrap_or_else(|error| panic!("operation {}: {error}", disk.operations()));
                check(&ledger, &outside.lock().unwrap());
                ledger.crash();
                count.fetch_add(1, Ordering::SeqCst);
            }
        })));
        // A round of calls that were all answered before makes no block.
        while ledger.head().height.0 < 50 {
            run.round(&ledger);
            ledger.follow();
            if ledger.head().height.0 % 5 == 4 {
                ledger.publish();
            }
        }
        ledger.close().unwrap();
        disk.watch(None);
    });
    assert!(done);
    // A block is a write and a sync, a checkpoint five operations, a segment six.
    assert!(recovered.load(Ordering::SeqCst) > 3 * 150, "{recovered:?}");
}
