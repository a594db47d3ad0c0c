//! What it takes to have a module ready: admission, instrumentation with compilation, and instantiation (an empty call).

use chancery_benches::{DISBURSE, Empty, LARGEST, engine};
use chancery_engine::{admit, instrument};
use criterion::{Criterion, criterion_group, criterion_main};

fn admission(c: &mut Criterion) {
    for (name, wasm) in [("disburse-bench", DISBURSE), ("business-licence", LARGEST)] {
        c.bench_function(&format!("admission/{name}"), |bencher| bencher.iter(|| admit(wasm).expect("it is admitted")));
    }
}

fn compilation(c: &mut Criterion) {
    let mut group = c.benchmark_group("instrument and compile");
    group.sample_size(10);
    let engine = wasmtime::Engine::default();
    for (name, wasm) in [("disburse-bench", DISBURSE), ("business-licence", LARGEST)] {
        let admitted = admit(wasm).expect("it is admitted");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let instrumented = instrument::instrument(wasm, &admitted).expect("it was admitted");
                engine.precompile_module(&instrumented).expect("it compiles")
            });
        });
    }
    group.finish();
}

fn instantiation(c: &mut Criterion) {
    let empty = Empty::new(engine());
    c.bench_function("an empty call", |bencher| bencher.iter(|| empty.call()));
}

criterion_group!(benches, admission, compilation, instantiation);
criterion_main!(benches);
