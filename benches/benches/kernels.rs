//! What metering costs: each kernel as it is and instrumented, compiled alike.

use chancery_benches::kernel;
use chancery_engine::{admit, instrument};
use criterion::{Criterion, criterion_group, criterion_main};
use wasmtime::{Engine, Instance, Module, Store, TypedFunc, Val};

const KERNELS: [(&str, &str); 5] = [
    ("fib", include_str!("../kernels/fib.wat")),
    ("sieve", include_str!("../kernels/sieve.wat")),
    ("matrix", include_str!("../kernels/matrix.wat")),
    ("copy", include_str!("../kernels/copy.wat")),
    ("branches", include_str!("../kernels/branches.wat")),
];

/// An instance whose counters, where it has some, are filled.
fn instance(engine: &Engine, wasm: &[u8]) -> (Store<()>, Instance, TypedFunc<(i32, i32), i32>) {
    let module = Module::new(engine, wasm).expect("it compiles");
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("it has no imports");
    let call = instance.get_typed_func(&mut store, "call").expect("the kernel's entry");
    (store, instance, call)
}

fn fill(store: &mut Store<()>, instance: &Instance) {
    for (name, value) in [(instrument::GAS_EXPORT, Val::I64(i64::MAX)), (instrument::STACK_EXPORT, Val::I32(65_536))] {
        if let Some(counter) = instance.get_global(&mut *store, name) {
            counter.set(&mut *store, value).expect("it is a counter");
        }
    }
}

fn overhead(c: &mut Criterion) {
    let engine = Engine::default();
    for (name, text) in KERNELS {
        let plain = kernel(text);
        let admitted = admit(&plain).unwrap_or_else(|error| panic!("{name}: {error}"));
        let metered = instrument::instrument(&plain, &admitted).expect("it was admitted");
        let mut group = c.benchmark_group(format!("metering/{name}"));
        group.sample_size(20);
        for (kind, wasm) in [("plain", &plain), ("metered", &metered)] {
            let (mut store, instance, call) = instance(&engine, wasm);
            group.bench_function(kind, |bencher| {
                bencher.iter(|| {
                    fill(&mut store, &instance);
                    assert_eq!(call.call(&mut store, (0, 0)).expect("the kernel ends"), 0, "the kernel's own check");
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, overhead);
criterion_main!(benches);
