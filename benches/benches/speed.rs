//! The speed of a call: the workload in memory and an empty call, on one thread and on two.

use chancery_benches::measure::{Case, chosen, decimal, least, permille, rounds};
use chancery_benches::{CALLS_TOGETHER, Disburse, engine, kernel, together};
use chancery_engine::{Config, Context, Engine, Instances, Invocation, Kind, Module, prices};
use chancery_state::MemoryStore;
use chancery_types::{ContractId, Height, LedgerId, PublicKey, RequestId, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// A module that does nothing, called.
struct Empty {
    engine: Arc<Engine>,
    module: Arc<Module>,
    store: Arc<MemoryStore>,
    invocation: Invocation,
}

impl Empty {
    fn new(engine: Arc<Engine>) -> Self {
        let text = r#"(module (memory (export "memory") 1 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0)))"#;
        let module = engine.load(&kernel(text)).expect("it is admitted");
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
        Empty { engine, module, store: Arc::new(MemoryStore::new()), invocation }
    }

    fn call(&self) {
        self.engine.execute(&self.module, self.invocation.clone(), self.store.clone()).expect("the host works");
    }
}

fn main() {
    let fresh =
        || Arc::new(Engine::new(Config { instances: Instances::Fresh, ..Config::default() }).expect("as engine"));
    let (empty, mut workload) = (Empty::new(engine()), Disburse::new(engine()));
    let (fresh_empty, mut fresh_workload) = (Empty::new(fresh()), Disburse::new(fresh()));
    let mut cases = vec![
        Case::new("an empty call, fresh", || fresh_empty.call()),
        Case::new("an empty call, kept", || empty.call()),
        Case::new("disburse, fresh", || fresh_workload.pay()),
        Case::new("disburse, kept", || workload.pay()),
    ];
    let all = cases.len();
    chosen(&mut cases);
    let most = if cases.len() < all { 20_000 } else { 2_000 };
    least(&mut cases, rounds(most));
    cases.iter().for_each(|case| println!("{:20} {}", case.name, case.text()));
    if cases.len() < all {
        return;
    }
    let rounds = rounds(300);
    let (one, two) = (together(1, rounds), together(2, rounds));
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) / u64::from(CALLS_TOGETHER);
    println!("disburse, one thread {} ns a call; two threads {} ns each", nanoseconds(one), nanoseconds(two));
    println!("two threads do {} × the work of one", decimal(2 * permille(nanoseconds(one), nanoseconds(two))));
}
