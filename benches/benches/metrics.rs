//! What telling costs: a stage that is passed, a counter, a gauge, without a recorder and with the one that an operator has.

use chancery_node::prometheus::Prometheus;
use criterion::{Criterion, criterion_group, criterion_main};
use metrics::{counter, gauge, histogram};
use std::time::Instant;

fn told(c: &mut Criterion, to: &str) {
    let (stage, hits) = (histogram!("chancery_stage_seconds", "stage" => "bench"), counter!("hits_total"));
    let waiting = gauge!("waiting");
    c.bench_function(&format!("metrics/a stage, {to}"), |bencher| {
        bencher.iter(|| {
            let start = Instant::now();
            stage.record(start.elapsed());
        });
    });
    c.bench_function(&format!("metrics/a count, {to}"), |bencher| bencher.iter(|| hits.increment(1)));
    c.bench_function(&format!("metrics/in and out of a queue, {to}"), |bencher| {
        bencher.iter(|| {
            waiting.increment(1);
            waiting.decrement(1);
        });
    });
}

fn telling(c: &mut Criterion) {
    told(c, "to nobody");
    metrics::with_local_recorder(&Prometheus::default(), || told(c, "to the recorder"));
}

criterion_group!(benches, telling);
criterion_main!(benches);
