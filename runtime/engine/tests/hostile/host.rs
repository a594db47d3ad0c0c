//! Host functions given what they cannot take: V9, V10.

use crate::harness::{GAS, calling, invocation, module};
use crate::{WRITE, run, run_on, trapped};
use chancery_engine::{Backend, Engine, HOST_FUNCTIONS, Instances, Kind, NodeFault, host::HostFunction, limits};
use chancery_state::{MemoryStore, Scan, StateError, Store, Visited, Visitor};
use chancery_types::{ContractId, TrapKind};
use std::sync::Arc;

/// A store that breaks, as no store should.
struct Broken;

impl Store for Broken {
    fn get(&self, _: &ContractId, _: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        panic!("the store is broken on purpose")
    }

    fn visit(&self, _: &ContractId, _: &Scan, _: &mut Visitor<'_>) -> Visited {
        panic!("{}", String::from("the store is broken on purpose"))
    }
}

#[test]
fn v9_a_panic_of_the_host_is_a_fault_of_the_node_and_never_an_outcome() {
    for backend in Backend::ALL {
        let engine = Engine::for_comparison(backend, Instances::Kept).unwrap();
        for body in [
            "(drop (call $get (i32.const 0) (i32.const 2) (i32.const 0) (i32.const 0)))",
            "(drop (call $scan (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 9) (i32.const 0) (i32.const 9)))",
        ] {
            let module = engine.load(&calling(&format!("{WRITE} {body} (i32.const 0)"))).unwrap();
            // More often than there are places in the pool: none is lost to a panic.
            for _ in 0..2 * limits::EXECUTIONS_MAX {
                let fault = engine.execute(&module, invocation(Kind::Call, GAS), Arc::new(Broken)).unwrap_err();
                let NodeFault::Panic(text) = &fault else { panic!("{fault}") };
                assert_eq!(text, "the store is broken on purpose");
                assert!(fault.to_string().contains("report this with the module and the call"));
            }
            let sound = engine.execute(&module, invocation(Kind::Call, GAS), Arc::new(MemoryStore::new()));
            assert!(sound.unwrap().outcome.is_done(), "the engine goes on with a sound store");
        }
    }
}

/// Whether a call is done, or stopped for what it gave to the host.
fn works_or_traps(body: &str) -> bool {
    let traps = [TrapKind::BadPointer, TrapKind::LimitExceeded, TrapKind::BadEncoding].map(trapped);
    let outcome = run(body).outcome;
    outcome.is_done() || traps.contains(&outcome)
}

#[test]
fn v10_pointers_and_lengths_at_every_edge_trap_or_work_and_never_panic() {
    let edges = ["0", "1", "65535", "65536", "65537", "0x7fffffff", "0x80000000", "0xffffffff"];
    for pointer in edges {
        for length in edges {
            for call in ["$result", "$trace"] {
                let body = format!("(call {call} (i32.const {pointer}) (i32.const {length})) (i32.const 0)");
                assert!(works_or_traps(&body), "{body}");
            }
            let get = format!(
                "(drop (call $get (i32.const 0) (i32.const 3) (i32.const {pointer}) (i32.const {length}))) (i32.const 0)"
            );
            assert!(run(&get).outcome.is_done(), "an absent value is written nowhere");
            let scan = format!(
                "(drop (call $scan (i32.const {pointer}) (i32.const {length}) (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 1) (i32.const 0) (i32.const 9))) (i32.const 0)"
            );
            assert!(works_or_traps(&scan), "{scan}");
        }
    }
}

/// A module that calls one host function with these parameters; at 0 lies the key `k`.
fn calling_one(function: &HostFunction, parameters: &str) -> Vec<u8> {
    let result = function.result.map_or(String::new(), |ty| format!("(result {ty:?})").to_lowercase());
    let call = format!("(call $f {parameters})");
    let call = if function.result.is_some() { format!("(drop {call})") } else { call };
    module(&format!(
        r#"(import "chancery_v1" "{}" (func $f (param {}) {result}))
           (memory (export "memory") 1 1) (data (i32.const 0) "k")
           (func (export "call") (param i32 i32) (result i32) {call} (i32.const 0))"#,
        function.name,
        "i32 ".repeat(function.parameters.len())
    ))
}

#[test]
fn v10_a_bad_pointer_is_charged_once_in_every_parameter_of_every_host_function() {
    let store = Arc::new(MemoryStore::new());
    let write = chancery_types::entry::Write {
        contract: ContractId([2; 32]),
        key: b"k".into(),
        value: Some(b"a value".to_vec()),
    };
    store.apply(&vec![write]);
    let is_pointer = |name: &str| !name.ends_with("len") && !["code", "kind", "flags", "limit", "cap"].contains(&name);
    let mut tried = 0;
    for function in HOST_FUNCTIONS {
        // Gas of the function and of everything else, with this parameter bad, or none.
        let cost = |bad: Option<usize>| {
            let value = |(at, name): (usize, &&str)| match *name {
                _ if bad == Some(at) => "(i32.const -1)",
                "cap" => "(i32.const 64)",
                name if name.ends_with("len") => "(i32.const 1)",
                _ => "(i32.const 0)",
            };
            let parameters: String = function.parameters.iter().enumerate().map(value).collect();
            let execution = run_on(store.clone(), &calling_one(function, &parameters), Kind::Call, GAS);
            let is_bad = execution.outcome == trapped(TrapKind::BadPointer);
            assert_eq!(is_bad, bad.is_some(), "{} {parameters}: {:?}", function.name, execution.outcome);
            let [cost] = execution.costs.as_slice() else { panic!("{}: {:?}", function.name, execution.costs) };
            assert_eq!((cost.function, cost.calls), (function.name, 1), "{parameters}");
            (cost.gas.0, execution.gas.0 - cost.gas.0)
        };
        let (good, around) = cost(None);
        for (at, name) in function.parameters.iter().enumerate().filter(|(_, name)| is_pointer(name)) {
            // What is written is known after the work. A scan looks at its room before.
            let worked = *name == "out" && function.name != "state_scan";
            let expected = if worked { good } else { function.base };
            assert_eq!(cost(Some(at)), (expected, around), "{}: {name}", function.name);
            tried += 1;
        }
    }
    assert_eq!(tried, 22, "pointers in the table of host functions");
}
