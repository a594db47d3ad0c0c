//! Recursion, and the stack: V1, V2, V23.

use crate::harness::{self, GAS, calling, invocation, module};
use crate::{run_on, trapped};
use chancery_engine::{Backend, Engine, HOST_FUNCTIONS, Instances, Kind, admit, limits, prices};
use chancery_state::MemoryStore;
use chancery_types::{Outcome, TrapKind};
use std::sync::Arc;

#[test]
fn v1_the_host_calls_nothing_of_the_guest_but_the_entry() {
    // An allocator that the host would call cannot be offered,
    let with_alloc = module(&format!(
        r#"{} (memory (export "memory") 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0))
           (func (export "alloc") (param i32) (result i32) (call $get (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0)) (drop) (i32.const 0))"#,
        harness::IMPORTS
    ));
    assert!(admit(&with_alloc).unwrap_err().to_string().contains("alloc, which"));
    // nor a host function be given a function to call: all take numbers, and none is a reference or an export's name.
    assert!(HOST_FUNCTIONS.iter().all(|function| !function.parameters.iter().any(|name| name.contains("func"))));
    // The guest reaches its own entry and a host function by turns, 3,000 deep; its stack ends it, charged.
    let module = module(&format!(
        r#"{} (memory (export "memory") 1) (type $entry (func (param i32 i32) (result i32)))
           (func $again (export "call") (type $entry)
             (call $log (i32.const 0) (i32.const 1))
             (call $again (local.get 0) (local.get 1)))"#,
        harness::IMPORTS
    ));
    let execution = run_on(Arc::new(MemoryStore::new()), &module, Kind::Call, GAS);
    assert_eq!(execution.outcome, trapped(TrapKind::StackOverflow));
    assert_eq!(execution.costs[0].calls, u64::from(limits::STACK_SLOTS_MAX / 20) + 1);
}

#[test]
fn v2_a_contract_reaches_no_other_contract_and_recursion_ends_alike_every_time() {
    // Nothing takes a contract's id, so there is no loop through calls or queries to bound. The first function that
    // does needs a depth limit.
    for function in HOST_FUNCTIONS {
        assert!(
            function.parameters.iter().all(|name| !["contract", "method", "module"].contains(name)),
            "{function:?}"
        );
    }
    let endless = "(call_indirect (type $entry) (i32.const 0) (i32.const 0) (i32.const 0))";
    let wasm = module(&format!(
        r#"(memory (export "memory") 1) (type $entry (func (param i32 i32) (result i32)))
           (table 1 funcref) (elem (i32.const 0) $call) (func $call (export "call") (type $entry) {endless})"#
    ));
    let once = || run_on(Arc::new(MemoryStore::new()), &wasm, Kind::Call, GAS);
    let first = once();
    assert_eq!(first.outcome, trapped(TrapKind::StackOverflow));
    assert_eq!((once().gas, once().outcome), (first.gas, first.outcome));
}

#[test]
fn v23_the_call_stack_ends_at_the_same_depth_whatever_the_native_stack() {
    // A frame of $deep has 1 parameter, at most 2 operands and 16 more slots; the entry function has 2 + 1 + 16.
    let most = (limits::STACK_SLOTS_MAX - 19) / 19 - 1;
    let outcomes = |backend| {
        let engine = Engine::for_comparison(backend, Instances::Kept).unwrap();
        let depth = |n: u32| {
            let module = engine.load(&calling(&format!("(call $deep (i32.const {n}))"))).unwrap();
            let execution = engine.execute(&module, invocation(Kind::Call, GAS), Arc::new(MemoryStore::new())).unwrap();
            (execution.outcome, execution.gas)
        };
        [most - 1, most, most + 1, most + 2, 1_000_000].map(depth)
    };
    let expected = outcomes(Backend::Cranelift);
    assert!(expected[0].0.is_done(), "{:?}", expected[0]);
    assert_eq!(expected[3].0, trapped(TrapKind::StackOverflow));
    for backend in Backend::ALL {
        assert_eq!(outcomes(backend), expected, "{backend:?}");
    }
}

/// The deepest calls, of frames with one local and of frames with many that live on, fit a thread that has the least
/// stack the engine asks for and uses some of it before. Host functions work in every sixteenth frame, which the gas of
/// a call allows.
#[test]
fn v23_the_least_stack_suffices_for_the_deepest_calls() {
    let deepest = |locals: u32| {
        let loads: String =
            (1..=locals).map(|at| format!("(local.set {at} (i64.load (i32.const {})))", 8 * at)).collect();
        let sum: String = (1..=locals).map(|at| format!("(local.get {at}) i64.add ")).collect();
        module(&format!(
            r#"{}
               (memory (export "memory") 1)
               (data (i32.const 4096) "{}")
               (func $deepest (param i32) (result i64) (local {}) {loads}
                 (if (i32.eqz (i32.and (local.get 0) (i32.const 15))) (then
                   (if (i32.eqz (call $verify (i32.const 4096) (i32.const 0) (i32.const 0) (i32.const 4128)))
                     (then unreachable))
                   (drop (call $scan (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                     (i32.const 9) (i32.const 0) (i32.const 8192) (i32.const 8192)))))
                 (call $deepest (i32.add (local.get 0) (i32.const 1))) {sum})
               (func (export "call") (param i32 i32) (result i32) (i32.wrap_i64 (call $deepest (i32.const 1))))"#,
            harness::IMPORTS,
            SIGNED.replace(char::is_whitespace, ""),
            "i64 ".repeat(locals as usize),
        ))
    };
    for wasm in [deepest(1), deepest(250)] {
        for backend in Backend::ALL {
            let run = || {
                let engine = Engine::for_comparison(backend, Instances::Kept).unwrap();
                let call = invocation(Kind::Call, prices::CALL_GAS_MAX.0);
                engine.execute(&engine.load(&wasm).unwrap(), call, Arc::new(MemoryStore::new())).unwrap()
            };
            let thread = std::thread::Builder::new().stack_size(limits::EXECUTION_STACK_BYTES_MIN);
            let execution = std::thread::scope(|scope| thread.spawn_scoped(scope, run).unwrap().join().unwrap());
            assert_eq!(execution.outcome, trapped(TrapKind::StackOverflow), "{backend:?}");
            assert!(execution.costs.iter().all(|cost| cost.calls > 10), "{:?}", execution.costs);
        }
    }
}

/// Computes `$x` times each of many constants, recurses by `again`, and computes all of them once more in another way.
fn computes_twice(many: usize, again: &str) -> Vec<u8> {
    let each = |into: &str, operator: &str| -> String {
        let one = |at: usize| {
            format!(
                "(local.set {into} ({operator} (local.get {into}) (i64.mul (local.get $x) (i64.const {}))))",
                2 * at + 8_193
            )
        };
        (0..many).map(one).collect()
    };
    module(&format!(
        r#"(memory (export "memory") 1 1) (type $twice (func (param i64 i64) (result i64))) (table 1 funcref) (elem (i32.const 0) $f)
           (func $f (type $twice) (param $x i64) (param $y i64) (result i64) (local $before i64) (local $after i64)
             {} (local.set $after ({again})) {} (local.get $after))
           (func (export "call") (param i32 i32) (result i32) (i32.wrap_i64 (call $f (i64.const 3) (i64.const 5))))"#,
        each("$before", "i64.xor"),
        each("$after", "i64.add"),
    ))
}

/// Once a call stopped the ledger: what the optimiser found to be computed twice it kept in the frame, 18 KB in place of 20 slots, and the native stack
/// ended first.
#[test]
fn v23_values_that_the_optimiser_keeps_do_not_use_up_the_native_stack() {
    for again in [
        "call $f (local.get $before) (local.get $y)",
        "call_indirect (type $twice) (local.get $before) (local.get $y) (i32.const 0)",
    ] {
        let wasm = computes_twice(2_300, again);
        let run = |backend| {
            let engine = Engine::for_comparison(backend, Instances::Kept).unwrap();
            let module = engine.load(&wasm).unwrap();
            // Enough gas for 90 frames, for all of them, and for all of them again.
            [4_000_000, prices::CALL_GAS_MAX.0, prices::CALL_GAS_MAX.0].map(|gas| {
                let store = Arc::new(MemoryStore::new());
                let execution = engine.execute(&module, invocation(Kind::Call, gas), store).unwrap();
                (execution.outcome, execution.gas)
            })
        };
        // The native stack is used up on the way, which the thread must have.
        let outcomes = |backend| {
            let thread = std::thread::Builder::new().stack_size(limits::EXECUTION_STACK_BYTES_MIN);
            std::thread::scope(|scope| thread.spawn_scoped(scope, || run(backend)).unwrap().join().unwrap())
        };
        let expected = outcomes(Backend::CraneliftPlain);
        assert_eq!(expected[0].0, Outcome::OutOfGas);
        assert_eq!(expected[1].0, trapped(TrapKind::StackOverflow));
        for backend in Backend::ALL {
            assert_eq!(outcomes(backend), expected, "{backend:?}");
        }
    }
}

/// RFC 8032, section 7.1, test 1: a key, and its signature of the empty message.
const SIGNED: &str = r"
    \d7\5a\98\01\82\b1\0a\b7\d5\4b\fe\d3\c9\64\07\3a\0e\e1\72\f3\da\a6\23\25\af\02\1a\68\f7\07\51\1a
    \e5\56\43\00\c3\60\ac\72\90\86\e2\cc\80\6e\82\8a\84\87\7f\1e\b8\e5\d9\74\d8\73\e0\65\22\49\01\55
    \5f\b8\82\15\90\a3\3b\ac\c6\1e\39\70\1c\f9\b4\6b\d2\5b\f5\f0\59\5b\be\24\65\51\41\43\8e\7a\10\0b";
