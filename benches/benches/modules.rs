//! What it takes to have a module ready: admission, instrumentation with compilation, and instantiation (an empty call).

use chancery_benches::{DISBURSE, LARGEST, kernel};
use chancery_engine::{Config, Context, Engine, Invocation, Kind, admit, instrument, prices};
use chancery_state::MemoryStore;
use chancery_types::{ContractId, Height, LedgerId, PublicKey, RequestId, Timestamp};
use criterion::{Criterion, criterion_group, criterion_main};
use std::sync::Arc;

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
    let engine = Engine::new(Config::default()).expect("the machine can run the engine");
    let empty =
        r#"(module (memory (export "memory") 1 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0)))"#;
    let module = engine.load(&kernel(empty)).expect("it is admitted");
    let store = Arc::new(MemoryStore::new());
    let context = Context {
        actor: PublicKey([1; 32]),
        contract: ContractId([2; 32]),
        ledger: LedgerId([3; 32]),
        time: Timestamp(4),
        height: Height(5),
        request: RequestId(6),
    };
    let invocation =
        Invocation { kind: Kind::Call, selector: 0, arguments: vec![], context, gas: prices::CALL_GAS_MAX };
    c.bench_function("an empty call", |bencher| {
        bencher.iter(|| engine.execute(&module, invocation.clone(), store.clone()).expect("the host works"));
    });
}

criterion_group!(benches, admission, compilation, instantiation);
criterion_main!(benches);
