//! The log: appending a leaf to the Merkle tree, a block to the journal, and verifying a whole ledger of 100,000 entries.

use chancery_benches::Town;
use chancery_node::journal::{Block, FrameKind, Journal};
use chancery_node::{Options, verify};
use chancery_tlog::merkle;
use chancery_types::LedgerId;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::sync::Arc;

/// Entries of the ledger that is verified.
const ENTRIES: u64 = 100_000;

fn append(c: &mut Criterion) {
    let entry = vec![7; 500];
    let mut tree = merkle::Tree::new();
    c.bench_function("log/append a leaf", |bencher| bencher.iter(|| tree.push(merkle::leaf_hash(&entry))));
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut journal = Journal::create(
        Arc::new(chancery_node::OsDisk),
        &dir.path().join("journal"),
        LedgerId([1; 32]),
        chancery_node::journal::SEGMENT_BYTES,
    )
    .expect("a fresh directory");
    let mut group = c.benchmark_group("log/append a block durably");
    group.sample_size(20);
    for entries in [1u64, 1_000] {
        group.throughput(Throughput::Elements(entries));
        group.bench_function(format!("{entries} entries of 500 bytes"), |bencher| {
            bencher.iter(|| {
                let (mut block, mut chain) = (Block::new(0, journal.tag()), journal.chain());
                (0..entries).for_each(|index| block.push(FrameKind::Entry, index, &entry, &mut chain));
                journal.append(&block, chain).expect("the disk has room");
            });
        });
    }
    group.finish();
}

fn whole(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut town = Town::new(dir.path(), Options::default()).expect("a fresh directory");
    // `-- --test` runs each bench once to see that it works: a small ledger will do.
    let least = if std::env::args().any(|argument| argument == "--test") { 1_000 } else { ENTRIES };
    while town.ledger.head().size < least {
        let payments = town.payments(200);
        town.submit(payments).expect("the load is carried out");
    }
    let entries = town.ledger.head().size;
    town.ledger.close().expect("the disk has room");
    let mut group = c.benchmark_group("log/verify");
    group.sample_size(10).throughput(Throughput::Elements(entries));
    group.bench_function(format!("{entries} entries"), |bencher| {
        bencher.iter(|| {
            let report =
                verify(dir.path(), &(Arc::new(|_: &str, _, _| {}) as chancery_node::Progress)).expect("it verifies");
            assert_eq!(report.entries, entries);
        });
    });
    group.finish();
}

criterion_group!(benches, append, whole);
criterion_main!(benches);
