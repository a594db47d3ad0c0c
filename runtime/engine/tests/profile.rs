//! A profiled execution is the execution, and its profile adds up.
//!
//! The corpus of `determinism`, with 300 of its generated modules, runs on an engine that profiles and on the production's: everything that an execution gives must be equal, debts, traps and the
//! limit of the stack included. Of each profile, the gas of all lines must be that of the execution, and calls and gas of each host function those that
//! the host counted itself.

mod corpus;
mod harness;

use chancery_engine::profile::{Frame, Names, Profile};
use chancery_engine::{Config, Engine, Execution, HOST_FUNCTIONS, Kind, Profiler, admit};
use chancery_state::{MemoryStore, Store};
use chancery_types::{Gas, Outcome};
use corpus::Case;
use harness::{GAS, invocation, module};
use std::sync::Arc;

fn profiling(names: Names) -> (Engine, Arc<Profiler>) {
    let profiler = Arc::new(Profiler::new(names));
    let engine = Engine::new(Config { profiler: Some(profiler.clone()), ..Config::default() }).unwrap();
    (engine, profiler)
}

/// Calls and gas of each host function, by the profile and by the host's own count, where code was run at all.
fn assert_adds_up(name: &str, profile: &Profile, execution: &Execution) {
    assert_eq!(profile.gas(), execution.gas, "{name}");
    let lines = profile.lines();
    assert!(lines.iter().all(|line| line.gas <= line.gas_with_callees), "{name}: {lines:?}");
    for function in HOST_FUNCTIONS {
        let line = lines.iter().find(|line| line.frame == Frame::Host(function.name.into()));
        let counted = execution.costs.iter().find(|cost| cost.function == function.name);
        // One that finds the purse empty has the rest of the purse.
        if execution.outcome != Outcome::OutOfGas {
            let (found, counted) =
                (line.map(|line| (line.calls, line.gas)), counted.map(|cost| (cost.calls, cost.gas)));
            assert_eq!(found, counted, "{name}: {}", function.name);
        }
    }
}

#[test]
fn profiled_executions_are_the_executions_and_their_gas_adds_up() {
    let plain = Engine::new(Config::default()).unwrap();
    let (engine, profiler) = profiling(Names::default());
    let mut profiled = 0;
    let generated = (0..300).filter_map(|seed| {
        let calls = [Kind::Call, Kind::Query].map(|kind| invocation(kind, 1_000_000)).into();
        Some(Case { name: format!("generated {seed}"), wasm: corpus::generated(seed)?, calls })
    });
    for Case { name, wasm, calls } in corpus::all().into_iter().chain(generated) {
        let (module, same) = (engine.load(&wasm).unwrap(), plain.load(&wasm).unwrap());
        let store = Arc::new(MemoryStore::new());
        for (number, call) in calls.iter().enumerate() {
            let name = format!("{name}, call {number}");
            let execution = engine.execute(&module, call.clone(), store.clone() as Arc<dyn Store>).unwrap();
            let expected = plain.execute(&same, call.clone(), store.clone() as Arc<dyn Store>).unwrap();
            assert_eq!(format!("{execution:?}"), format!("{expected:?}"), "{name}");
            store.apply(&execution.writes);
            // A call that does not pay for its instance runs no code.
            if let Some(profile) = profiler.take() {
                assert_adds_up(&name, &profile, &execution);
                profiled += 1;
            }
        }
    }
    assert!(profiled > 1_200, "{profiled}");
}

/// What a function pays on entry is its own, though its callers pay it ahead; a bulk operator has a line.
#[test]
fn gas_belongs_to_the_function_that_used_it() {
    let wasm = module(
        r#"(memory (export "memory") 1 1)
           (func $straight (param i32) (result i32) (i32.div_u (i32.const 9) (local.get 0)))
           (func (export "call") (param i32 i32) (result i32)
             (drop (call $straight (i32.const 3))) (drop (call $straight (i32.const 4)))
             (memory.fill (i32.const 0) (i32.const 1) (i32.const 4000))
             (i32.const 0))"#,
    );
    let (engine, profiler) = profiling(Names::default());
    let loaded = engine.load(&wasm).unwrap();
    let execution = engine.execute(&loaded, invocation(Kind::Call, GAS), Arc::new(MemoryStore::new())).unwrap();
    let profile = profiler.take().unwrap();
    assert_adds_up("a fixture", &profile, &execution);
    let line = |frame: Frame| {
        let line = profile.lines().into_iter().find(|line| line.frame == frame).unwrap();
        (line.calls, line.gas.0, line.gas_with_callees.0)
    };
    // Two operands and a division, twice.
    assert_eq!(line(Frame::Function("func[0]".into())), (2, 64, 64));
    // 150, and a gas for four bytes.
    assert_eq!(line(Frame::Bulk("memory.fill")), (1, 1_150, 1_150));
    // Two calls of 12 with a constant and a drop each, three constants and the operator itself, the answer.
    let (calls, own, all) = line(Frame::Function("call".into()));
    assert_eq!((calls, all), (1, own + 64 + 1_150));
    let Gas(start) = profile.nodes[0].gas;
    assert_eq!(start + all, execution.gas.0);
    assert!(profile.folded().contains("call;func[0] 64\n"), "{}", profile.folded());
    assert!(profile.folded().contains("call;memory.fill 1150\n"));
}

#[test]
fn functions_have_the_names_that_the_compiler_gave() {
    let text = r#"(module
        (func $helper (result i32) (i32.const 0))
        (func $entry (export "call") (param i32 i32) (result i32) (call $helper)))"#;
    let stripped = module(
        &text["(module".len()..text.len() - 1]
            .replace("(func $helper", r#"(memory (export "memory") 1) (func $helper"#),
    );
    let (engine, profiler) = profiling(Names::of(&wat::parse_str(text).unwrap(), &stripped));
    let loaded = engine.load(&stripped).unwrap();
    engine.execute(&loaded, invocation(Kind::Call, GAS), Arc::new(MemoryStore::new())).unwrap();
    let names: Vec<_> = profiler.take().unwrap().nodes.iter().map(|node| node.frame.name().to_string()).collect();
    assert_eq!(names, ["(start)", "entry", "helper"]);
}

#[test]
fn a_profile_says_where_a_call_was_stopped() {
    let (engine, profiler) = profiling(Names::default());
    for (body, expected) in [
        ("(i32.const 0)", &[][..]),
        ("unreachable", &["func[0]", "call"]),
        ("(memory.fill (i32.const -1) (i32.const 1) (i32.const 2)) (i32.const 0)", &["memory.fill", "func[0]", "call"]),
    ] {
        let wasm = module(&format!(
            r#"(memory (export "memory") 1 1) (func $inner (result i32) {body})
               (func (export "call") (param i32 i32) (result i32) (call $inner))"#
        ));
        let loaded = engine.load(&wasm).unwrap();
        engine.execute(&loaded, invocation(Kind::Call, GAS), Arc::new(MemoryStore::new())).unwrap();
        assert_eq!(profiler.take().unwrap().stopped_in(), expected, "{body}");
    }
}

/// The hooks are the engine's own: a contract that imports them is not admitted, with or without a profiler.
#[test]
fn a_module_that_imports_the_hooks_is_not_admitted() {
    let wasm = module(
        r#"(import "chancery_profile" "leave" (func $leave)) (memory (export "memory") 1)
           (func (export "call") (param i32 i32) (result i32) (call $leave) (i32.const 0))"#,
    );
    assert!(profiling(Names::default()).0.load(&wasm).is_err());
    let failed = admit(&wasm).unwrap_err().to_string();
    assert!(failed.contains("chancery_profile"), "{failed}");
}
