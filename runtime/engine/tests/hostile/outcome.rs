//! How a call ends, and what is left of it: V7, V14, V17, V20.

use crate::harness::{GAS, calling, invocation, module};
use crate::{WRITE, run, trapped};
use chancery_engine::{Config, Engine, Kind};
use chancery_state::MemoryStore;
use chancery_types::codec::Encode;
use chancery_types::{Outcome, TrapKind};
use std::sync::Arc;

#[test]
fn a_call_that_is_done_keeps_its_writes_and_events() {
    let execution = run(&format!("{WRITE} (call $result (i32.const 0) (i32.const 2)) (i32.const 0)"));
    assert_eq!(execution.outcome, Outcome::Done { result: b"ke".to_vec() });
    assert_eq!((execution.writes.len(), execution.events.len()), (1, 1));
    assert_eq!(execution.costs.iter().map(|cost| cost.function).collect::<Vec<_>>(), ["result", "state_set", "event"]);
}

#[test]
fn v14_refusals_traps_and_empty_purses_leave_no_writes_and_no_events() {
    let endings = [
        ("(call $fault (i32.const 7) (i32.const 0) (i32.const 1)) (i32.const 1)", "refused"),
        ("unreachable", "trapped"),
        ("(loop $for_ever (br $for_ever)) (i32.const 0)", "out of gas"),
        ("(i32.const 2)", "rejected"),
        ("(i32.const 1)", "trapped"),
        ("(i32.const 9)", "trapped"),
    ];
    for (ending, word) in endings {
        let execution = run(&format!("{WRITE} {ending}"));
        assert_eq!(execution.outcome.word(), word, "{ending}");
        assert_eq!((execution.writes.len(), execution.events.len()), (0, 0), "{ending}");
    }
}

#[test]
fn v7_an_outcome_says_nothing_of_the_node() {
    for body in [
        "unreachable",
        "(i32.load (i32.const -1))",
        "(i32.div_u (i32.const 1) (i32.const 0))",
        "(call $deep (i32.const 1000000))",
        "(call $result (i32.const -1) (i32.const 1)) (i32.const 0)",
    ] {
        let execution = run(body);
        assert!(matches!(execution.outcome, Outcome::Trapped { .. }), "{body}: {:?}", execution.outcome);
        // The whole of what is recorded: that it trapped, and the kind, one of a list; no text, path or backtrace.
        assert_eq!(execution.outcome.to_bytes().len(), 2, "{body}");
        assert!(execution.diagnostics.is_empty(), "{body}: {:?}", execution.diagnostics);
    }
}

#[test]
fn every_trap_has_its_kind() {
    for (body, kind) in [
        ("unreachable", TrapKind::Unreachable),
        ("(i32.load (i32.const 65533))", TrapKind::MemoryOutOfBounds),
        ("(call_indirect (type $entry) (i32.const 0) (i32.const 0) (i32.const 9))", TrapKind::TableOutOfBounds),
        ("(call_indirect (type $entry) (i32.const 0) (i32.const 0) (i32.const 1))", TrapKind::IndirectCallToNull),
        ("(i32.div_s (i32.const 0x80000000) (i32.const -1))", TrapKind::IntegerOverflow),
        ("(i32.rem_u (i32.const 1) (i32.const 0))", TrapKind::DivisionByZero),
        ("(call $deep (i32.const 1000000))", TrapKind::StackOverflow),
        (
            "(call $set (i32.const 0) (i32.const 600) (i32.const 0) (i32.const 1)) (i32.const 0)",
            TrapKind::LimitExceeded,
        ),
        ("(call $set (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1)) (i32.const 0)", TrapKind::LimitExceeded),
        ("(call $trace (i32.const 0) (i32.const 3)) (i32.const 0)", TrapKind::BadEncoding),
    ] {
        assert_eq!(run(body).outcome, trapped(kind), "{body}");
    }
}

#[test]
fn v17_a_recycled_instance_shows_the_modules_own_globals_and_table() {
    let engine = Engine::new(Config::default()).unwrap();
    // Answers 0 where global, memory and size are as the module says, then spoils all three.
    let spoils = calling(
        "(i32.or (i32.ne (global.get $counter) (i32.const 5))
           (i32.or (i32.ne (i32.load (i32.const 0)) (i32.const 0x0079656b)) (i32.ne (memory.size) (i32.const 1))))
         (global.set $counter (i32.const 77)) (i32.store (i32.const 0) (i32.const -1)) (drop (memory.grow (i32.const 3)))
         (i32.store (i32.const 200000) (i32.const -1)) (i32.const 9) (i32.mul)",
    );
    // Another module in the same places, which looks through all that it can reach.
    let searches = module(
        r#"(memory (export "memory") 4 4) (func (export "call") (param i32 i32) (result i32) (local $at i32)
             (loop $next
               (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then (return (i32.const 9))))
               (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 262144))))
             (i32.const 0))"#,
    );
    let (spoils, searches) = (engine.load(&spoils).unwrap(), engine.load(&searches).unwrap());
    for round in 0..100 {
        for module in [&spoils, &searches, &spoils] {
            let store = Arc::new(MemoryStore::new());
            let execution = engine.execute(module, invocation(Kind::Call, GAS), store).unwrap();
            assert!(execution.outcome.is_done(), "round {round}: an instance saw what another left");
        }
    }
}

#[test]
fn v17_a_recycled_memory_reads_zeros() {
    let engine = Engine::new(Config::default()).unwrap();
    let wasm =
        calling("(i64.ne (i64.load (i32.const 40000)) (i64.const 0)) (i64.store (i32.const 40000) (i64.const -1))");
    let module = engine.load(&wasm).unwrap();
    for _ in 0..200 {
        let execution = engine.execute(&module, invocation(Kind::Call, GAS), Arc::new(MemoryStore::new())).unwrap();
        assert!(execution.outcome.is_done(), "an instance saw what another had written");
    }
}

#[test]
fn v20_arithmetic_does_not_wrap_in_any_profile() {
    let manifest = include_str!("../../../../Cargo.toml");
    for profile in ["dev", "release", "contract"] {
        let section = manifest.split(&format!("[profile.{profile}]")).nth(1).and_then(|rest| rest.split("\n[").next());
        assert!(section.unwrap().contains("overflow-checks = true"), "profile {profile}");
    }
    // The profile that this very test was built with.
    let sum = std::panic::catch_unwind(|| std::hint::black_box(i64::MAX) + std::hint::black_box(1));
    assert!(sum.is_err());
}
