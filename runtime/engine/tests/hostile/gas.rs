//! Work that is not paid for: V4, V8, V21, V22.

use crate::harness::{GAS, calling, module};
use crate::{BURN, WRITE, run, run_on};
use chancery_engine::{Execution, Kind, limits, prices};
use chancery_state::MemoryStore;
use chancery_types::{Gas, Outcome};
use std::sync::Arc;

#[test]
fn v4_everything_that_works_costs_more_the_more_it_works() {
    let gas = |body: &str| run(&format!("{body} (i32.const 0)")).gas.0;
    let nothing = gas("");
    for work in [
        "(drop (i32.add (i32.const 1) (i32.const 2)))",
        "(drop (i64.mul (i64.const 1) (i64.const 2)))",
        "(drop (i32.div_u (i32.const 1) (i32.const 2)))",
        "(drop (i32.load (i32.const 8)))",
        "(i64.store (i32.const 8) (i64.const 2))",
        "(drop (i32.load8_s (i32.const 8)))",
        "(global.set $counter (i32.const 1))",
        "(drop (select (i32.const 1) (i32.const 2) (i32.const 3)))",
        "(drop (i32.popcnt (i32.const 1)))",
        "(drop (i64.extend8_s (i64.const 1)))",
        "(drop (call $deep (i32.const 0)))",
        "(drop (memory.size))",
        "(drop (memory.grow (i32.const 0)))",
        "(memory.fill (i32.const 0) (i32.const 0) (i32.const 0))",
        "(memory.copy (i32.const 0) (i32.const 0) (i32.const 0))",
        "(block (br 0))",
        "(block (br_table 0 0 (i32.const 1)))",
        "(if (i32.const 1) (then))",
    ] {
        let once = gas(work) - nothing;
        assert!(once > 0, "{work}");
        assert_eq!(gas(&work.repeat(50)) - nothing, 50 * once, "{work}");
    }
    // CVE-like: a function whose many locals are cleared at each entry.
    let frame = |locals: usize| {
        let many = "(local i64)".repeat(locals);
        let wasm = module(&format!(
            r#"(memory (export "memory") 1) (func $wide {many})
               (func (export "call") (param i32 i32) (result i32) {} (i32.const 0))"#,
            "(call $wide)".repeat(10)
        ));
        run_on(Arc::new(MemoryStore::new()), &wasm, Kind::Call, GAS).gas.0
    };
    assert_eq!(frame(250) - frame(0), 10 * 250 * prices::LOCAL);
}

/// A module with so many pages of memory at the start and at most, whose `call` has this body with a local `$x`.
fn with_memory(pages: &str, body: &str) -> Vec<u8> {
    module(&format!(
        r#"(memory (export "memory") {pages})
           (func (export "call") (param i32 i32) (result i32) (local $i i32) (local $x i32) {body} (i32.const 0))"#
    ))
}

/// So many loads, each at a random place below `bytes` that depends on what the one before found.
fn loads(turns: u64, bytes: u64) -> String {
    let at = format!("(i32.and (local.get $x) (i32.const {}))", bytes - 4);
    let next = "(i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223))";
    format!(
        "(loop $again (local.set $x (i32.add {next} (i32.load {at})))
           (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {turns}))))"
    )
}

fn run_with_memory(pages: &str, body: &str, gas: u64) -> Execution {
    run_on(Arc::new(MemoryStore::new()), &with_memory(pages, body), Kind::Call, gas)
}

#[test]
fn v4_a_load_at_random_costs_by_the_memory_that_the_module_declares() {
    let body = loads(1_000, limits::PAGE_BYTES);
    let gas = |pages: &str| run_with_memory(pages, &body, GAS).gas.0;
    let least = gas("1 1");
    for (pages, most) in [("1 2", 2), ("1 4", 4), ("1 5", 5), ("1 16", 16), ("1 17", 17), ("1 64", 64), ("1 65", 65)] {
        assert_eq!(gas(pages) - least, 1_000 * (prices::access(most) - prices::ACCESS), "{pages} pages");
    }
    assert_eq!(gas("1 256") - least, 1_000 * (prices::ACCESS_16_MIB - prices::ACCESS));
    assert_eq!(gas("1"), gas("1 256"), "who declares nothing pays for the most");
    // All of the most memory, and all of the most gas: no more loads than that gas pays for.
    let all = format!("(drop (memory.grow (i32.const 192))) {}", loads(u64::from(u32::MAX), 256 * limits::PAGE_BYTES));
    let Gas(most) = prices::CALL_GAS_MAX;
    let execution = run_with_memory("64 256", &all, most);
    assert_eq!((execution.outcome, execution.gas), (Outcome::OutOfGas, Gas(most)));
    let turns = most / prices::ACCESS_16_MIB;
    let fewer = format!("(drop (memory.grow (i32.const 192))) {}", loads(turns, 256 * limits::PAGE_BYTES));
    assert_eq!(run_with_memory("64 256", &fewer, most).outcome, Outcome::OutOfGas, "{turns} loads cost more");
}

#[test]
fn v4_a_bulk_operator_costs_by_the_memory_that_the_module_declares() {
    for (body, places) in [
        ("(memory.copy (i32.const 0) (i32.const 9) (i32.const 8))", 2),
        ("(memory.fill (i32.const 0) (i32.const 9) (i32.const 8))", 1),
    ] {
        let gas = |pages: &str| run_with_memory(pages, body, GAS).gas.0;
        for (pages, most) in [("1 4", 4), ("1 16", 16), ("1 64", 64), ("1 256", 256), ("1", 256)] {
            let streamed = |pages| 8 / prices::bulk_bytes_per_gas(pages);
            let more = places * (prices::access(most) - prices::ACCESS) + streamed(most) - streamed(1);
            assert_eq!(gas(pages) - gas("1 1"), more, "{body} with {pages} pages");
        }
    }
}

#[test]
fn v8_gas_is_conserved_on_every_path() {
    let endings = [
        "(i32.const 0)",
        "(call $fault (i32.const 7) (i32.const 0) (i32.const 1)) (i32.const 1)",
        "(i32.const 2)",
        "(i32.const 9)",
        "unreachable",
        "(i32.div_u (i32.const 1) (i32.const 0))",
        "(call $result (i32.const -1) (i32.const 1)) (i32.const 0)",
        "(call $set (i32.const 0) (i32.const 600) (i32.const 0) (i32.const 1)) (i32.const 0)",
        "(call $deep (i32.const 1000000))",
        "(loop $for_ever (br $for_ever)) (i32.const 0)",
    ];
    for ending in endings {
        let wasm = calling(&format!("{BURN} {ending}"));
        for kind in [Kind::Call, Kind::Query] {
            for gas in [0, 1, 29_999, 30_000, 50_000, 100_000, 800_000, GAS] {
                let execution = run_on(Arc::new(MemoryStore::new()), &wasm, kind, gas);
                let used = execution.gas.0;
                assert!(used <= gas, "{ending}: {used} of {gas}");
                let hosts: u64 = execution.costs.iter().map(|cost| cost.gas.0).sum();
                assert!(hosts <= used, "{ending}: the host functions took {hosts} of {used}");
                match execution.outcome {
                    Outcome::OutOfGas => assert_eq!(used, gas, "{ending}: all that was set aside is charged"),
                    _ => assert!(used > 700_000, "{ending}: the loop is charged, {used}"),
                }
            }
        }
    }
}

#[test]
fn v21_work_before_a_trap_is_charged() {
    for ending in ["(i32.div_u (i32.const 1) (i32.const 0))", "(i32.load (i32.const -1))", "unreachable"] {
        let execution = run(&format!("{BURN} {ending}"));
        assert_eq!(execution.outcome.word(), "trapped");
        assert!(execution.gas.0 > 500_000, "{ending}: {}", execution.gas);
    }
}

#[test]
fn v22_straight_line_code_on_credit_is_out_of_gas_and_has_no_effect() {
    let work = "(drop (i32.add (i32.const 1) (i32.const 2)))".repeat(8_000);
    for ending in [WRITE, ""] {
        let wasm = calling(&format!("{work} {ending} (i32.const 0)"));
        let execution = run_on(Arc::new(MemoryStore::new()), &wasm, Kind::Call, 60_000);
        assert_eq!(execution.outcome, Outcome::OutOfGas);
        assert_eq!((execution.gas, execution.writes.len()), (Gas(60_000), 0));
    }
}

#[test]
fn bulk_work_and_growth_are_charged_by_their_size() {
    let fill = |pages: &str, bytes: u32| {
        let body = format!("(memory.fill (i32.const 0) (i32.const 1) (i32.const {bytes}))");
        run_with_memory(pages, &body, GAS).gas.0
    };
    for (pages, gas) in [("1 1", 16_000), ("1 64", 16_000), ("1 65", 64_000), ("1", 64_000)] {
        assert_eq!(fill(pages, 64_000) - fill(pages, 0), gas, "{pages} pages");
    }
    let grow = |pages: u32| run(&format!("(drop (memory.grow (i32.const {pages}))) (i32.const 0)"));
    assert_eq!(grow(10).gas.0 - grow(0).gas.0, 1_000_000);
    assert_eq!(run("(i32.ne (memory.grow (i32.const 300)) (i32.const -1))").outcome.word(), "done");
    assert_eq!(grow(u32::MAX).gas, grow(300).gas, "a growth that cannot be is refused before it is paid for");
}

#[test]
fn what_a_call_costs_is_pinned() {
    // A change of this number, or of the prices themselves, takes a new version.
    assert_eq!(prices::PRICES_VERSION, 3);
    assert_eq!(run(&format!("{WRITE} (i32.const 0)")).gas, Gas(GOLDEN_GAS));
}

const GOLDEN_GAS: u64 = 102_212;
