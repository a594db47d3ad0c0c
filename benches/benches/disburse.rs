//! The workload `disburse`: in memory on one core with a fresh memory for each call, and end to end on a ledger.

use chancery_benches::{Disburse, Town, engine};
use chancery_node::Options;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::time::Instant;

fn in_memory(c: &mut Criterion) {
    let mut workload = Disburse::new(engine());
    c.bench_function("disburse/in memory", |bencher| bencher.iter(|| workload.pay()));
}

/// Signed before the clock starts; verified, executed, recorded and durable when it stops.
fn end_to_end(c: &mut Criterion) {
    let mut group = c.benchmark_group("disburse/end to end");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    for threads in [1, 64] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut town = Town::new(dir.path(), Options::default()).expect("a fresh directory");
        group.bench_function(format!("{threads} submitters"), |bencher| {
            bencher.iter_custom(|count| {
                let calls = town.payments(count);
                let start = Instant::now();
                town.submit_from(threads, calls).expect("the load is carried out");
                start.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, in_memory, end_to_end);
criterion_main!(benches);
