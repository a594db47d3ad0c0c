//! Time per gas: each operator and each host function in a loop that does hardly anything else, measured against what it is charged.
//!
//! A line more than three times the median is an outlier: the host works longer for it than it is paid. One far below is overpaid, which is meant where
//! the price covers more than the line does (a write: journal, tree, disk); those are not counted for the median.
//!
//! Each module declares the memory that its line goes through and no more, so that a line pays the price of an access in so much memory: loads that wait for each other,
//! and stores, at random places of all of it are lines as all others. At the end stands what the most gas of a call buys of such loads.

use chancery_benches::measure::{Case, decimal, least, permille, processor_time, rounds};
use chancery_benches::{invocation, kernel};
use chancery_engine::limits::MEMORY_PAGES_START_MAX;
use chancery_engine::{Config, Engine, Instances};
use chancery_state::MemoryStore;
use chancery_types::entry::Write;
use chancery_types::{ContractId, Outcome};
use ed25519_dalek::{Signer, SigningKey};
use std::sync::Arc;

/// Repetitions of an operator in the loop's body.
const UNROLLED: usize = 64;

/// Name, text that is repeated with `$x` (i32) and `$y` (i64) at hand and never 0, and turns of the loop.
const OPERATORS: &[(&str, &str, u32)] = &[
    ("i32.add", "(local.set $x (i32.add (local.get $x) (local.get $n)))", 2_000),
    ("i64.xor", "(local.set $y (i64.xor (i64.add (local.get $y) (local.get $y)) (i64.const 12345)))", 2_000),
    ("i32.shl", "(local.set $x (i32.or (i32.shl (local.get $x) (local.get $n)) (i32.const 1)))", 2_000),
    ("i64.rotl", "(local.set $y (i64.rotl (local.get $y) (local.get $y)))", 2_000),
    ("i32.lt_s", "(local.set $x (i32.lt_s (local.get $x) (local.get $n)))", 2_000),
    ("i64.extend32_s", "(local.set $y (i64.extend32_s (i64.add (local.get $y) (local.get $y))))", 2_000),
    ("i32.mul", "(local.set $x (i32.mul (local.get $x) (local.get $n)))", 2_000),
    ("i64.mul", "(local.set $y (i64.mul (local.get $y) (i64.extend_i32_u (local.get $n))))", 2_000),
    ("i64.clz", "(local.set $y (i64.or (i64.clz (local.get $y)) (i64.const 1)))", 2_000),
    ("i64.popcnt", "(local.set $y (i64.or (i64.popcnt (local.get $y)) (i64.const 1)))", 2_000),
    ("select", "(local.set $x (select (local.get $x) (local.get $n) (local.get $x)))", 2_000),
    ("i32.div_u", "(local.set $x (i32.or (i32.div_u (i32.const -1) (local.get $x)) (i32.const 1)))", 500),
    (
        "i64.div_s",
        "(local.set $y (i64.or (i64.div_s (i64.const 0x7fffffffffffffff) (local.get $y)) (i64.const 1)))",
        500,
    ),
    ("i64.rem_u", "(local.set $y (i64.or (i64.rem_u (i64.const -1) (local.get $y)) (i64.const 3)))", 500),
    ("global", "(global.set $g (i32.add (global.get $g) (local.get $x)))", 2_000),
    ("memory.size", "(local.set $x (i32.add (local.get $x) (memory.size)))", 2_000),
    ("load, near", "(local.set $x (i32.or (i32.load (i32.and (local.get $x) (i32.const 1020))) (i32.const 1)))", 2_000),
    (
        "store, near",
        "(i32.store (i32.and (local.tee $x (i32.add (local.get $x) (local.get $n))) (i32.const 1020)) (local.get $x))",
        2_000,
    ),
    (
        "br_if",
        "(block (br_if 0 (i32.and (local.tee $x (i32.add (local.get $x) (local.get $n))) (i32.const 1))) (local.set $y (i64.add (local.get $y) (i64.const 3))))",
        2_000,
    ),
    (
        "br_table",
        "(block (block (block (br_table 0 1 2 1 (i32.and (local.tee $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223))) (i32.const 3))))))",
        500,
    ),
    ("call, leaf", "(local.set $x (call $leaf (local.get $x)))", 1_000),
    ("call", "(local.set $x (call $framed (local.get $x)))", 1_000),
    ("call_indirect", "(local.set $x (call_indirect (type $f) (local.get $x) (i32.const 0)))", 1_000),
    ("200 locals", "(local.set $x (call $locals (local.get $x)))", 500),
    ("memory.copy, 0", "(memory.copy (i32.const 0) (i32.const 4096) (i32.const 0))", 200),
    ("memory.copy, 40", "(memory.copy (i32.const 0) (i32.const 4096) (i32.const 40))", 200),
    ("memory.copy, 4096", "(memory.copy (i32.const 0) (i32.const 4096) (i32.const 4096))", 50),
    ("memory.copy, 1 MiB", "(memory.copy (i32.const 0) (i32.const 2097152) (i32.const 1048576))", 1),
    ("memory.fill, 0", "(memory.fill (i32.const 0) (i32.const 7) (i32.const 0))", 200),
    ("memory.fill, 4096", "(memory.fill (i32.const 0) (i32.const 7) (i32.const 4096))", 50),
    ("memory.fill, 1 MiB", "(memory.fill (i32.const 0) (i32.const 7) (i32.const 1048576))", 1),
    ("memory.grow, 0", "(drop (memory.grow (i32.const 0)))", 100),
    ("memory.grow, refused", "(drop (memory.grow (i32.const 60000)))", 100),
];

/// A number that no branch predictor foresees, from the one before (xorshift, Marsaglia 2003). It is never 0.
const NEXT: &str = "(local.set $x (i32.xor (local.get $x) (i32.shl (local.get $x) (i32.const 13)))) \
    (local.set $x (i32.xor (local.get $x) (i32.shr_u (local.get $x) (i32.const 17)))) \
    (local.set $x (i32.xor (local.get $x) (i32.shl (local.get $x) (i32.const 5))))";

/// Some operators, of another kind and with another constant for each number.
fn some_operators(number: usize) -> String {
    let operator = ["i64.add", "i64.xor", "i64.rotl", "i64.mul", "i64.sub"][number % 5];
    format!("(local.set $y ({operator} (local.get $y) (i64.const {})))", number * 7_919 + 1)
}

/// A branch that is taken at random.
fn random_branch() -> String {
    format!("{NEXT} (block (br_if 0 (i32.and (local.get $x) (i32.const 1))) {})", some_operators(0))
}

/// A table of 1,024 entries by a random number. They lead to as many places as blocks may nest, each with operators of its own.
fn random_table() -> String {
    const PLACES: usize = 120;
    let entries: String = (0..1_024).map(|entry| format!("{} ", entry * 37 % PLACES)).collect();
    let table = format!("{NEXT} (br_table {entries} (i32.and (local.get $x) (i32.const 1023)))");
    let place = |inner: String, number: usize| format!("(block {inner}) {} (br $out)", some_operators(number));
    format!("(block $out {})", (0..PLACES).fold(table, place))
}

/// A call of one of 1,024 functions at random, and the table that has them: more code than the first cache of instructions holds.
fn random_call() -> (String, String) {
    let function = |number: usize| {
        let operators: String = (0..16)
            .map(|at| {
                let operator = ["i32.add", "i32.xor", "i32.sub", "i32.or"][(number + at) % 4];
                format!("(local.set 0 ({operator} (local.get 0) (i32.const {})))", number * 65_537 + at * 257)
            })
            .collect();
        format!("(func (type $f) {operators} (i32.xor (local.get 0) (i32.const 1)))")
    };
    // Behind the functions that every module has.
    let names: String = (0..1_024).map(|number| format!("$many{number} ")).collect();
    let functions: String =
        (0..1_024).map(|number| function(number).replacen("(func", &format!("(func $many{number}"), 1)).collect();
    let call = format!(
        "{NEXT} (local.set $n (call_indirect (type $f) (local.get $n) (i32.and (local.get $x) (i32.const 1023))))"
    );
    (call, format!("(table 1024 funcref) (elem (i32.const 0) {names}) {functions}"))
}

/// A copy of 8 bytes from a random place of 16 MiB to another.
fn random_copy() -> String {
    let at = "(i32.and (local.get $x) (i32.const 16777208))";
    let other = "(i32.and (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 16777208))";
    format!("{NEXT} (memory.copy {at} {other} (i32.const 8))")
}

/// A copy of 1 MiB within 16 MiB: another one in each of 16 turns.
const LARGE_COPY: &str = "(memory.copy (i32.shl (i32.and (local.get $i) (i32.const 15)) (i32.const 20)) \
    (i32.shl (i32.and (i32.add (local.get $i) (i32.const 7)) (i32.const 15)) (i32.const 20)) (i32.const 1048576))";

/// Memories that loads and stores go through at random, in KiB: what fits the first cache of common machines, the second, the last, and all that
/// a call can have.
const FAR: [(u32, &str, &str); 6] = [
    (16, "load in 16 KiB", "store in 16 KiB"),
    (64, "load in 64 KiB", "store in 64 KiB"),
    (256, "load in 256 KiB", "store in 256 KiB"),
    (1_024, "load in 1 MiB", "store in 1 MiB"),
    (4_096, "load in 4 MiB", "store in 4 MiB"),
    (16_384, "load in 16 MiB", "store in 16 MiB"),
];

/// A load whose place depends on the one before, and a store, in so many KiB.
fn far(kib: u32) -> (String, String) {
    let (next, mask) = ("(i32.mul (local.get $x) (i32.const 1664525))", (kib << 10) - 4);
    let at = format!("(i32.and (local.get $x) (i32.const {mask}))");
    let load = format!("(local.set $x (i32.add {next} (i32.add (i32.const 1013904223) (i32.load {at}))))");
    let store = format!("(local.set $x (i32.add {next} (i32.const 1013904223))) (i32.store {at} (local.get $x))");
    (load, store)
}

/// Name, text of one call with memory of its own at 0 to 65,536, and calls.
const HOST: &[(&str, &str, u32)] = &[
    ("arguments, 0", "(call $arguments (i32.const 1024))", 500),
    ("context", "(call $context (i32.const 1024))", 500),
    ("result, 0", "(call $result (i32.const 0) (i32.const 0))", 500),
    ("result, 8192", "(call $result (i32.const 0) (i32.const 8192))", 200),
    ("fault, 4096", "(call $fault (i32.const 1) (i32.const 0) (i32.const 4096))", 200),
    ("state_get, absent", "(drop (call $get (i32.const 0) (i32.const 9) (i32.const 4096) (i32.const 256)))", 500),
    ("state_get, 32", "(drop (call $get (i32.const 64) (i32.const 1) (i32.const 4096) (i32.const 256)))", 500),
    ("state_get, 60000", "(drop (call $get (i32.const 65) (i32.const 1) (i32.const 4096) (i32.const 61000)))", 50),
    ("state_set, 32", "(call $set (i32.const 0) (i32.const 9) (i32.const 4096) (i32.const 32))", 500),
    ("state_set, 8192", "(call $set (i32.const 0) (i32.const 9) (i32.const 4096) (i32.const 8192))", 100),
    ("state_remove", "(call $remove (i32.const 0) (i32.const 9))", 500),
    (
        "state_scan, none",
        "(drop (call $scan (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 9) (i32.const 4096) (i32.const 4096)))",
        500,
    ),
    (
        "state_scan, 16",
        "(drop (call $scan (i32.const 66) (i32.const 1) (i32.const 67) (i32.const 1) (i32.const 0) (i32.const 16) (i32.const 4096) (i32.const 4096)))",
        200,
    ),
    (
        "state_scan, 1024",
        "(drop (call $scan (i32.const 66) (i32.const 1) (i32.const 67) (i32.const 1) (i32.const 1) (i32.const 1024) (i32.const 4096) (i32.const 61000)))",
        5,
    ),
    ("event, 0", "(call $event (i32.const 1) (i32.const 0) (i32.const 0))", 500),
    ("event, 1024", "(call $event (i32.const 1) (i32.const 0) (i32.const 1024))", 15),
    ("trace, least", "(call $trace (i32.const 80) (i32.const 13))", 500),
    ("trace, 1000 inputs", "(call $trace (i32.const 8192) (i32.const 6013))", 10),
    ("verify_ed25519", "(drop (call $verify (i32.const 256) (i32.const 0) (i32.const 32) (i32.const 288)))", 20),
    (
        "verify_ed25519, 32 KiB",
        "(drop (call $verify (i32.const 256) (i32.const 0) (i32.const 32768) (i32.const 288)))",
        10,
    ),
    ("blake3, 0", "(call $blake3 (i32.const 0) (i32.const 0) (i32.const 4096))", 500),
    ("blake3, 32 KiB", "(call $blake3 (i32.const 0) (i32.const 32768) (i32.const 4096))", 20),
    ("sha256, 0", "(call $sha256 (i32.const 0) (i32.const 0) (i32.const 4096))", 500),
    ("sha256, 32 KiB", "(call $sha256 (i32.const 0) (i32.const 32768) (i32.const 4096))", 20),
    ("log, 0", "(call $log (i32.const 0) (i32.const 0))", 500),
    ("log, 4096", "(call $log (i32.const 0) (i32.const 4096))", 50),
];

/// What a line's module has.
#[derive(Clone, Copy)]
struct Setup<'a> {
    /// Pages of memory, all of which is touched first.
    pages: u32,
    /// Pages that it declares.
    most: u32,
    /// The table, and functions for it.
    table: &'a str,
}

impl Setup<'static> {
    /// So many pages and no more, and a function in the table.
    const fn with(pages: u32) -> Self {
        Setup { pages, most: pages, table: "(table 1 funcref) (elem (i32.const 0) $listed)" }
    }
}

/// A module whose `call` has these locals and this code, with every host function.
fn module(Setup { pages, most, table }: Setup<'_>, code: &str) -> Vec<u8> {
    let many = "(local i64)".repeat(200);
    // More than a memory may start with is added first.
    let (small_pages, start) = (16 * pages, pages.min(MEMORY_PAGES_START_MAX as u32));
    let more = pages - start;
    // A key and its signature over 32 zeros, so that a verification does all its work.
    let key = SigningKey::from_bytes(&[7; 32]);
    let signed = [key.verifying_key().to_bytes().as_slice(), &key.sign(&[0; 32]).to_bytes()].concat();
    let signed: String = signed.iter().map(|byte| format!("\\{byte:02x}")).collect();
    kernel(&format!(
        r#"(module
          (import "chancery_v1" "arguments" (func $arguments (param i32)))
          (import "chancery_v1" "context" (func $context (param i32)))
          (import "chancery_v1" "result" (func $result (param i32 i32)))
          (import "chancery_v1" "fault" (func $fault (param i32 i32 i32)))
          (import "chancery_v1" "state_get" (func $get (param i32 i32 i32 i32) (result i64)))
          (import "chancery_v1" "state_set" (func $set (param i32 i32 i32 i32)))
          (import "chancery_v1" "state_remove" (func $remove (param i32 i32)))
          (import "chancery_v1" "state_scan" (func $scan (param i32 i32 i32 i32 i32 i32 i32 i32) (result i64)))
          (import "chancery_v1" "event" (func $event (param i32 i32 i32)))
          (import "chancery_v1" "trace" (func $trace (param i32 i32)))
          (import "chancery_v1" "verify_ed25519" (func $verify (param i32 i32 i32 i32) (result i32)))
          (import "chancery_v1" "blake3" (func $blake3 (param i32 i32 i32)))
          (import "chancery_v1" "sha256" (func $sha256 (param i32 i32 i32)))
          (import "chancery_v1" "log" (func $log (param i32 i32)))
          (type $f (func (param i32) (result i32)))
          (memory (export "memory") {start} {most})
          (global $g (mut i32) (i32.const 0))
          {table}
          (data (i32.const 64) "vlpq")
          (data (i32.const 256) "{signed}")
          (data (i32.const 8200) "\e8\03\00\00")
          (func $leaf (type $f) (i32.xor (local.get 0) (i32.const 1)))
          (func $listed (type $f) (i32.xor (local.get 0) (i32.const 1)))
          (func $framed (type $f) (call $leaf (local.get 0)))
          (func $locals (type $f) {many} (i32.xor (local.get 0) (i32.const 1)))
          (func (export "call") (param i32 i32) (result i32)
            (local $i i32) (local $n i32) (local $x i32) (local $y i64)
            (local.set $n (i32.or (local.get 1) (i32.const 7))) (local.set $x (i32.const 1)) (local.set $y (i64.const 1))
            (drop (memory.grow (i32.const {more})))
            (loop $touch
              (i32.store (i32.shl (local.get $i) (i32.const 12)) (i32.and (local.get $n) (i32.load (i32.shl (local.get $i) (i32.const 12)))))
              (br_if $touch (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {small_pages}))))
            (local.set $i (i32.const 0))
            {code}
            (i32.store (i32.const 0) (local.get $x)) (i64.store (i32.const 8) (local.get $y))
            (i32.const 0)))"#
    ))
}

/// The code, so many times.
fn turns(code: &str, count: u32) -> String {
    let next = "(local.tee $i (i32.add (local.get $i) (i32.const 1)))";
    format!("(loop $again {code} (br_if $again (i32.lt_u {next} (i32.const {count}))))")
}

fn store() -> Arc<MemoryStore> {
    let store = MemoryStore::new();
    let contract = ContractId([2; 32]);
    let pair = |key: Vec<u8>, len: usize| Write { contract, key, value: Some(vec![7; len]) };
    let mut writes = vec![pair(b"v".to_vec(), 32), pair(b"l".to_vec(), 60_000)];
    writes.extend((0..2_000u16).map(|number| pair([b"p".as_slice(), &number.to_be_bytes()].concat(), 32)));
    store.apply(&writes);
    Arc::new(store)
}

/// Time and gas of one execution of a module, in picoseconds and gas.
fn execution(engine: &Engine, wasm: &[u8], store: &Arc<MemoryStore>, name: &str) -> (u64, u64) {
    let module = engine.load(wasm).unwrap_or_else(|error| panic!("{name}: {error}"));
    let invocation = invocation();
    let run = || engine.execute(&module, invocation.clone(), store.clone()).expect("the host works");
    let first = run();
    assert!(first.outcome.is_done(), "{name}: {:?}", first.outcome);
    let mut cases = [Case::new(name, || drop(run()))];
    least(&mut cases, rounds(30));
    (cases[0].picoseconds(), first.gas.0)
}

fn main() {
    let (kept, store) = (Engine::new(Config::default()).expect("the machine can run the engine"), store());
    let mut lines: Vec<(&str, u64, u64)> = Vec::new();
    let mut measure = |setup: Setup<'_>, list: &[(&'static str, &str, u32)], unrolled: usize| {
        // The empty loop is taken off.
        for (name, code, count) in list {
            let (time, gas) = execution(&kept, &module(setup, &turns(&code.repeat(unrolled), *count)), &store, name);
            let (idle, idle_gas) = execution(&kept, &module(setup, &turns("", *count)), &store, name);
            lines.push((
                name,
                time.saturating_sub(idle) / u64::from(*count) / unrolled as u64,
                (gas - idle_gas) / u64::from(*count) / unrolled as u64,
            ));
        }
    };
    // Large copies need much memory; the host functions are measured where a call is made fastest.
    let (large, near): (Vec<_>, Vec<_>) = OPERATORS.iter().copied().partition(|(name, ..)| name.contains("MiB"));
    measure(Setup::with(1), &near, UNROLLED);
    measure(Setup::with(64), &large, 16);
    let (call, functions) = random_call();
    measure(Setup::with(1), &[("br_if, at random", &random_branch(), 2_000)], UNROLLED);
    measure(Setup::with(1), &[("br_table, 1024 at random", &random_table(), 2_000)], 16);
    measure(Setup { table: &functions, ..Setup::with(1) }, &[("call_indirect, 1024", &call, 2_000)], 16);
    measure(Setup::with(256), &[("copy, 8 in 16 MiB", &random_copy(), 4_000)], 16);
    measure(Setup::with(256), &[("copy, 1 MiB in 16 MiB", LARGE_COPY, 16)], 1);
    for (kib, load, store) in FAR {
        let (load_code, store_code) = far(kib);
        // What making the memory takes must not hide it.
        let count = if kib > 1_024 { 18_000 } else { 2_000 };
        measure(Setup::with(kib.div_ceil(64)), &[(load, &load_code, count), (store, &store_code, count)], 16);
    }
    measure(Setup::with(1), HOST, 1);
    let fresh = Engine::new(Config { instances: Instances::Fresh, ..Config::default() }).expect("as before");
    for (name, engine, pages) in
        [("a call, kept", &kept, 1), ("a call, fresh", &fresh, 1), ("a call with 64 pages", &kept, 64)]
    {
        let (time, gas) = execution(engine, &module(Setup::with(pages), ""), &store, name);
        lines.push((name, time, gas));
    }
    let touched = turns("(i32.store (i32.shl (memory.grow (i32.const 1)) (i32.const 16)) (i32.const 1))", 100);
    let growing = Setup { most: 101, ..Setup::with(1) };
    let (time, gas) = execution(&kept, &module(growing, &touched), &store, "growth");
    let (idle, idle_gas) = execution(&kept, &module(growing, &turns("", 100)), &store, "growth");
    lines.push(("memory.grow, a page", time.saturating_sub(idle) / 100, (gas - idle_gas) / 100));
    report(&mut lines);
    for (kib, ..) in FAR {
        most_gas(&kept, &store, kib);
    }
}

/// What the most gas of a call buys of loads that wait for each other in so much memory: the bound that the price list gives on the time of a call.
fn most_gas(engine: &Engine, store: &Arc<MemoryStore>, kib: u32) {
    let (load, _) = far(kib);
    let module = engine
        .load(&module(Setup::with(kib.div_ceil(64)), &turns(&load.repeat(64), u32::MAX)))
        .expect("it is admitted");
    let start = processor_time();
    let execution = engine.execute(&module, invocation(), store.clone()).expect("the host works");
    let spent = (processor_time() - start).as_millis();
    assert_eq!(execution.outcome, Outcome::OutOfGas);
    println!("loads in {kib:>6} KiB until {} gas are spent: {spent} ms of the processor", execution.gas);
}

/// Lines whose price covers more than they do: host functions whose bytes are kept after the call, and stores, which nothing waits for and which pay what a
/// load from as much memory pays. They are shown, and not counted for the median.
const COVER_MORE: [&str; 10] = [
    "state_set",
    "state_remove",
    "result",
    "fault",
    "event",
    "log",
    "store in 256 KiB",
    "store in 1 MiB",
    "store in 4 MiB",
    "store in 16 MiB",
];

fn report(lines: &mut Vec<(&str, u64, u64)>) {
    let per_gas = |(_, time, gas): &(&str, u64, u64)| time / gas.max(&1);
    lines.sort_by_key(|line| std::cmp::Reverse(per_gas(line)));
    let covers_more = |name: &str| COVER_MORE.iter().any(|function| name.starts_with(function));
    let counted: Vec<u64> = lines.iter().filter(|(name, ..)| !covers_more(name)).map(per_gas).collect();
    let median = counted[counted.len() / 2].max(1);
    println!("{:24} {:>12} {:>10} {:>10} {:>10}", "what", "ns", "gas", "ps/gas", "of median");
    for line in lines.iter() {
        let (name, time, gas) = line;
        let remark = if per_gas(line) > 3 * median { "  OUTLIER" } else { "" };
        let ratio = decimal(permille(per_gas(line), median));
        println!("{name:24} {:>12} {gas:>10} {:>10} {ratio:>10}{remark}", decimal(*time), per_gas(line));
    }
    println!("median {median} ps/gas");
}
