//! What hostile modules and calls try, and what must happen.
//!
//! Each row is an attack that has broken a runtime of this kind; each test is named by its row. Where a row concerns
//! the ledger, its other half is in `runtime/node/tests/hostile.rs` (marked N); rows that are tested elsewhere say
//! where.
//!
//! | | attack | must happen | test |
//! |---|---|---|---|
//! | V1 | the guest's allocator is called by the host and calls the host | no host function calls the guest; recursion of the guest ends at the stack's limit | here |
//! | V2 | recursion through calls and queries between contracts | there are no calls between contracts in this version, so only recursion within a module applies | here, N |
//! | V3 | compile bombs | refused at admission by a named limit with the value found; the worst module within the limits compiles in bounded time | here |
//! | V4 | an operator that costs too little | everything that works costs; entering a function with many locals costs; an access costs by the memory that it can miss the caches in (how long each gas takes is `benches`') | here |
//! | V5 | code compiled under old prices, or by another engine | its file has another name; code that wasmtime refuses is replaced | here, `cache::tests`, `execution::tests` |
//! | V6 | a cache file replaced or changed | not run: deleted, compiled again | here |
//! | V7 | facts of the node in results | outcomes come from a closed set; equal bytes on every backend, in other environments | here, `determinism.rs` |
//! | V8 | work that is not paid for | what is charged is never more than set aside, and at least the work, on every path; queries pay too | here, N |
//! | V9 | guest data that panics the host | no panic (`host_fuzz.rs`); were there one, the call has no outcome and the engine goes on | here |
//! | V10 | pointers and lengths at every edge | trap as `BadPointer`, charged, once | here, `host_fuzz.rs` |
//! | V11 | a query that writes | trap as `WriteInQuery` | here, N |
//! | V12 | two keys with one spelling | a contract sees its own keys only; one encoding, one spelling of a name | here, N |
//! | V13 | deep or huge arguments | refused by size before decoding; descriptions nest 16 deep | here, N |
//! | V14 | a trap or refusal after writes | no writes, no events; the root stays, the entry says why | here, N |
//! | V15 | writes while scanning | the scan sees them, in byte order, as of each host call; what is removed is not passed by each scan | here, `host::tests`, `overlay::tests` |
//! | V16 | start functions, re-exported imports, exported globals, several memories | refused at admission | here |
//! | V17 | a recycled instance shows another call's memory, globals or table | it shows the module's own | here |
//! | V18 | a deployment that takes over another's contract, or fails half way | there are no upgrades in this version; a taken name is refused, a failed `init` leaves nothing | N |
//! | V19 | log and store disagree after a crash | recovery gives the same root | `runtime/node/tests/ledger.rs` |
//! | V20 | wrapping arithmetic | overflow checks in every profile, checked money | here |
//! | V21 | much work, then a trap | the work is charged | here, N |
//! | V22 | straight-line code on credit, then a host call | out of gas, no effect | here |
//! | V23 | stack depth by build | the same depth on every backend | here, `determinism.rs` |

mod harness;

use chancery_engine::{
    AdmissionError, Backend, Check, Compiler, Config, Engine, Execution, HOST_FUNCTIONS, Instances, Kind, NodeFault,
    admit, check, host::HostFunction, limits, prices, strip,
};
use chancery_state::{MemoryStore, Scan, StateError, Store, Visited, Visitor};
use chancery_types::codec::{Decode, Encode};
use chancery_types::{ContractId, Gas, Outcome, TrapKind};
use harness::{GAS, calling, invocation, module};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn run_on(store: Arc<dyn Store>, wasm: &[u8], kind: Kind, gas: u64) -> Execution {
    let engine = Engine::new(Config::default()).unwrap();
    let module = engine.load(wasm).unwrap();
    engine.execute(&module, invocation(kind, gas), store).unwrap()
}

fn run(body: &str) -> Execution {
    run_on(Arc::new(MemoryStore::new()), &calling(body), Kind::Call, GAS)
}

fn trapped(kind: TrapKind) -> Outcome {
    Outcome::Trapped { kind }
}

/// A loop of some 700,000 gas.
const BURN: &str = "(local $i i32) (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000))))";

const WRITE: &str = "(call $set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3)) (call $event (i32.const 0) (i32.const 0) (i32.const 3))";

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
fn v7_an_outcome_says_nothing_of_the_node() {
    for body in [
        "unreachable",
        "(i32.load (i32.const -1))",
        "(i32.div_u (i32.const 1) (i32.const 0))",
        "(call $deep (i32.const 1000000))",
        "(call $result (i32.const -1) (i32.const 1)) (i32.const 0)",
    ] {
        let execution = run(body);
        let Outcome::Trapped { kind } = execution.outcome else { panic!("{body}: {:?}", execution.outcome) };
        // The whole of what is recorded is the kind, one of a list; no text, path or backtrace.
        assert!(TrapKind::from_bytes(&kind.to_bytes()).is_ok());
        assert_eq!(kind.to_bytes().len(), 1);
        assert!(execution.diagnostics.is_empty());
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

#[test]
fn v12_a_contract_sees_its_own_keys_only() {
    let store = Arc::new(MemoryStore::new());
    let write = |contract, key: &[u8]| chancery_types::entry::Write {
        contract: ContractId(contract),
        key: key.into(),
        value: Some(b"x".to_vec()),
    };
    // The neighbours in the order of the store, and the same key.
    store.apply(&vec![write([1; 32], b"key"), write([3; 32], b"key"), write([1; 32], b"\xff"), write([3; 32], b"\0")]);
    let everything = "(call $scan (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 99) (i32.const 100) (i32.const 999))";
    let backwards = everything.replace("(i32.const 2)", "(i32.const 3)");
    for question in [
        everything.into(),
        backwards,
        "(i64.ne (call $get (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 0)) (i64.const -1))".into(),
    ] {
        let value =
            if question.starts_with("(i64.ne") { question } else { format!("(i64.ne {question} (i64.const 0))") };
        let execution = run_on(store.clone(), &calling(&format!("(i32.mul {value} (i32.const 9))")), Kind::Call, GAS);
        assert!(execution.outcome.is_done(), "{value}: a neighbour's key is seen");
    }
}

#[test]
fn v13_a_description_that_nests_too_deep_is_refused_without_recursing() {
    use chancery_types::interface::{Interface, Method, MethodKind, Type};
    let method = Method {
        name: "m".into(),
        doc: String::new(),
        citation: String::new(),
        kind: MethodKind::Call,
        fields: vec![],
        returns: Type::Bool,
    };
    let flat = Interface { version: 1, name: "deep".into(), methods: vec![method], ..Interface::default() }.to_bytes();
    // Its last bytes are the method's result, and three empty lists. A list of lists of … is a tag for each.
    const LIST: u8 = 19;
    let module_of = |depth: usize| {
        let (before, after) = flat.split_at(flat.len() - 13);
        let bytes = [before, &vec![LIST; depth], after].concat();
        let mut wasm = strip(&wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0)))"#).unwrap()).unwrap();
        let section = wasm_encoder::CustomSection { name: "chancery:interface".into(), data: bytes.into() };
        wasm_encoder::Section::append_to(&section, &mut wasm);
        wasm
    };
    assert!(admit(&module_of(15)).is_ok());
    for depth in [16, 1_000, 60_000] {
        let error = admit(&module_of(depth)).unwrap_err().to_string();
        assert!(error.contains("a damaged one: "), "{depth}: {error}");
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
fn v20_arithmetic_does_not_wrap_in_any_profile() {
    let manifest = include_str!("../../../Cargo.toml");
    for profile in ["dev", "release", "contract"] {
        let section = manifest.split(&format!("[profile.{profile}]")).nth(1).and_then(|rest| rest.split("\n[").next());
        assert!(section.unwrap().contains("overflow-checks = true"), "profile {profile}");
    }
    // The profile that this very test was built with.
    let sum = std::panic::catch_unwind(|| std::hint::black_box(i64::MAX) + std::hint::black_box(1));
    assert!(sum.is_err());
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
fn v10_pointers_and_lengths_at_every_edge_trap_or_work_and_never_panic() {
    let edges = ["0", "1", "65535", "65536", "65537", "0x7fffffff", "0x80000000", "0xffffffff"];
    for pointer in edges {
        for length in edges {
            for call in ["$result", "$trace"] {
                let execution = run(&format!("(call {call} (i32.const {pointer}) (i32.const {length})) (i32.const 0)"));
                assert!(execution.gas.0 > 0);
                assert!(!matches!(execution.outcome, Outcome::Refused { .. }));
            }
            let get = format!(
                "(drop (call $get (i32.const 0) (i32.const 3) (i32.const {pointer}) (i32.const {length}))) (i32.const 0)"
            );
            assert!(run(&get).outcome.is_done(), "an absent value is written nowhere");
            let scan = format!(
                "(drop (call $scan (i32.const {pointer}) (i32.const {length}) (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 1) (i32.const 0) (i32.const 9))) (i32.const 0)"
            );
            assert!(run(&scan).gas.0 > 0);
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

#[test]
fn v11_a_query_cannot_write() {
    for body in [
        "(call $set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))",
        "(call $event (i32.const 0) (i32.const 0) (i32.const 3))",
    ] {
        let wasm = calling(&format!("{body} (i32.const 0)"));
        let execution = run_on(Arc::new(MemoryStore::new()), &wasm, Kind::Query, GAS);
        assert_eq!(execution.outcome, trapped(TrapKind::WriteInQuery));
    }
}

#[test]
fn v15_a_scan_sees_the_calls_own_writes_in_byte_order() {
    let store = MemoryStore::new();
    let write = |key: &[u8]| chancery_types::entry::Write {
        contract: ContractId([2; 32]),
        key: key.into(),
        value: Some(vec![]),
    };
    store.apply(&vec![write(b"ka"), write(b"kz")]);
    let wasm = calling(
        "(call $set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 0))
         (drop (call $scan (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 9) (i32.const 100) (i32.const 99)))
         (call $result (i32.const 100) (i32.const 25)) (i32.const 0)",
    );
    let execution = run_on(Arc::new(store), &wasm, Kind::Call, GAS);
    let pair = |key: &[u8]| [&(key.len() as u16).to_le_bytes(), key, &[0, 0, 0, 0]].concat();
    assert_eq!(execution.outcome, Outcome::Done { result: [pair(b"ka"), pair(b"key"), pair(b"kz")].concat() });
}

/// A store that counts how many of its keys are visited.
struct Counting(MemoryStore, AtomicU64);

impl Store for Counting {
    fn get(&self, contract: &ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.0.get(contract, key)
    }

    fn visit(&self, contract: &ContractId, range: &Scan, visitor: &mut Visitor<'_>) -> Visited {
        self.0.visit(contract, range, &mut |key, value| {
            self.1.fetch_add(1, Ordering::Relaxed);
            visitor(key, value)
        })
    }
}

/// Once every scan passed all that the call had removed, unpaid: a call of the most gas took over a minute.
#[test]
fn v15_scans_over_what_is_removed_do_not_pass_it_again_and_again() {
    let store = MemoryStore::new();
    let write = |number: u32| chancery_types::entry::Write {
        contract: ContractId([2; 32]),
        key: number.to_le_bytes().to_vec(),
        value: Some(vec![]),
    };
    store.apply(&(0..4_000).map(write).collect());
    let store = Arc::new(Counting(store, AtomicU64::new(0)));
    // Removes 3,999 of 4,000 keys, then asks for the first key until the gas is used up.
    let wasm = calling(
        "(local $n i32)
         (loop $next
           (i32.store (i32.const 0) (local.get $n))
           (call $remove (i32.const 0) (i32.const 4))
           (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (br_if $next (i32.lt_u (local.get $n) (i32.const 3999))))
         (loop $again
           (drop (call $scan (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 1) (i32.const 100) (i32.const 99)))
           (br $again))
         (i32.const 0)",
    );
    let execution = run_on(store.clone(), &wasm, Kind::Call, chancery_engine::prices::CALL_GAS_MAX.0);
    assert_eq!(execution.outcome, Outcome::OutOfGas);
    let visited = store.1.load(Ordering::Relaxed);
    assert!((4_000..40_000).contains(&visited), "{visited} keys were visited");
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

/// RFC 8032, section 7.1, test 1: a key, and its signature of the empty message.
const SIGNED: &str = r"
    \d7\5a\98\01\82\b1\0a\b7\d5\4b\fe\d3\c9\64\07\3a\0e\e1\72\f3\da\a6\23\25\af\02\1a\68\f7\07\51\1a
    \e5\56\43\00\c3\60\ac\72\90\86\e2\cc\80\6e\82\8a\84\87\7f\1e\b8\e5\d9\74\d8\73\e0\65\22\49\01\55
    \5f\b8\82\15\90\a3\3b\ac\c6\1e\39\70\1c\f9\b4\6b\d2\5b\f5\f0\59\5b\be\24\65\51\41\43\8e\7a\10\0b";

#[test]
fn what_a_call_costs_is_pinned() {
    // A change of this number, or of the prices themselves, takes a new version.
    assert_eq!(prices::PRICES_VERSION, 3);
    assert_eq!(run(&format!("{WRITE} (i32.const 0)")).gas, Gas(GOLDEN_GAS));
}

const GOLDEN_GAS: u64 = 102_212;

#[test]
fn v16_superfluous_exports_start_functions_and_unknown_imports_are_refused() {
    let entry = r#"(memory (export "memory") 1) (func $f (export "call") (param i32 i32) (result i32) (i32.const 0))"#;
    let refused = |text: &str| admit(&module(text)).unwrap_err().to_string();
    assert!(admit(&module(entry)).is_ok());
    assert!(refused(&format!(r#"{entry} (func $s) (start $s)"#)).contains("start function"));
    assert!(refused(&format!(r#"{entry} (global (export "g") (mut i32) (i32.const 0))"#)).contains("found g"));
    assert!(refused(&format!(r#"(import "env" "f" (func)) {entry}"#)).contains("env.f, which is not of chancery_v1"));
    assert!(
        refused(&format!(r#"(import "chancery_v1" "clock" (func)) {entry}"#)).contains("which the host does not have")
    );
    assert!(refused(&format!(r#"(import "chancery_v1" "log" (func)) {entry}"#)).contains("another type"));
    assert!(refused(r#"(memory (export "memory") 1)"#).contains("no call"));
    assert!(
        refused(r#"(memory 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0))"#)
            .contains("no memory")
    );
    assert!(refused(&format!(r#"{entry} (func (export "query"))"#)).contains("query of another type"));
    assert!(refused(&format!(r#"{entry} (data (i32.const 65530) "0123456789")"#)).contains("place of the data"));
    assert!(refused(&format!(r#"{entry} (data "passive")"#)).contains("not an admissible WebAssembly module"));
    assert!(refused(&format!(r#"{entry} (memory 1)"#)).contains("not an admissible WebAssembly module"));
    let reexported = r#"(import "chancery_v1" "log" (func $log (param i32 i32))) (memory (export "memory") 1) (export "call" (func $log))"#;
    assert!(refused(reexported).contains("call of another type, or not the module's own"));
    assert!(refused(r#"(import "chancery_v1" "memory" (memory 1)) (func (export "call") (param i32 i32) (result i32) (i32.const 0))"#).contains("exactly 1, its own"));
}

#[test]
fn v3_every_limit_is_named_with_the_value_found() {
    let entry = r#"(memory (export "memory") 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0))"#;
    let many = |count: usize, text: &str| text.repeat(count);
    let types =
        (0..501).map(|n| format!("(type (func {} {}))", many(n % 17, "(param i64)"), many(n / 17 % 2, "(result i32)")));
    let branches = many(4_500, "(if (local.get 0) (then))");
    let with = |text: String| format!("{entry} {text}");
    let cases = [
        ("bytes of the module", "300123", with(format!(r#"(data (i32.const 0) "{}")"#, many(300_000, "x")))),
        ("types", "502", with(types.collect())),
        ("parameters of a function", "17", with(format!("(func {})", many(17, "(param i32)")))),
        ("functions", "2002", with(many(2001, "(func)"))),
        ("bytes of a function", "90002", with(format!("(func {})", many(30_000, "(drop (i32.const 1))")))),
        ("locals and parameters of a function", "300", with(format!("(func {})", many(300, "(local i64)")))),
        (
            "operands of a function at once",
            "300",
            with(format!("(func {} {})", many(300, "i32.const 1 "), many(300, "drop "))),
        ),
        ("nesting of blocks", "131", with(format!("(func {} {})", many(130, "(block "), many(130, ")")))),
        ("targets of a br_table", "1099", with(format!("(func (br_table {} (i32.const 0)))", many(1100, "0 ")))),
        (
            "locals × (branches, calls and divisions), of all functions together",
            "1125000",
            with(format!("(func (param i32) {} {branches})", many(249, "(local i64)"))),
        ),
        ("globals", "65", with(many(65, "(global i32 (i32.const 0))"))),
        ("pages of the memory at the start", "300", entry.replace("1)", "300)")),
        ("pages of the memory, declared", "300", entry.replace("1)", "1 300)")),
        ("data segments", "65", with(many(65, r#"(data (i32.const 0) "")"#))),
        ("elements of the table", "2000", with("(table 2000 funcref)".into())),
        ("element segments", "17", with(format!("(table 1 funcref) {}", many(17, "(elem (i32.const 0))")))),
        ("imports", "33", format!("{} {entry}", many(33, r#"(import "chancery_v1" "log" (func (param i32 i32)))"#))),
        (
            "bytes of the interface description",
            "70000",
            with(format!(r#"(@custom "chancery:interface" "{}")"#, many(70_000, "x"))),
        ),
    ];
    for (name, found, text) in &cases {
        match admit(&module(text)) {
            Err(AdmissionError::Failed(check)) => assert_eq!((check.name, check.found.as_str()), (*name, *found)),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(admit(&module(&with(format!("(func (param i32) {branches})")))).is_ok(), "few locals");
    // WebAssembly without the proposals for more has one of each at most.
    let by_validation = ["results of a function", "tables"];
    for text in ["(func (result i32 i32) (i32.const 0) (i32.const 0))", "(table 1 funcref) (table 1 funcref)"] {
        assert!(matches!(admit(&module(&with(text.into()))), Err(AdmissionError::Invalid(_))), "{text}");
    }
    for (name, _) in limits_of_modules() {
        assert!(by_validation.contains(&name) || cases.iter().any(|case| case.0 == name), "{name} has no case");
    }
}

/// The names and numbers of all that a module may have so much of.
fn limits_of_modules() -> Vec<(&'static str, u64)> {
    let sound =
        module(r#"(memory (export "memory") 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0))"#);
    let number = |check: &Check| check.limit.strip_prefix("at most ").map(|limit| limit.parse().unwrap());
    check(&sound).iter().filter_map(|check| Some((check.name, number(check)?))).collect()
}

#[test]
fn floating_point_and_modules_without_interface_are_refused() {
    let entry = r#"(memory (export "memory") 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0))"#;
    let float = admit(&module(&format!("{entry} (func (param f64))"))).unwrap_err();
    assert!(matches!(float, AdmissionError::Invalid(_)), "{float}");
    let inside = format!("{entry} (func (result i32) (i32.trunc_f64_s (f64.const 1.19)))");
    for (text, number) in [(inside, 1), (format!("{entry} (func) (func (local f32))"), 2)] {
        let float = admit(&module(&text)).unwrap_err();
        assert!(matches!(float, AdmissionError::Body { function, .. } if function == number), "{float}");
        for part in ["floating-point", "whole numbers", "`Amount` and `Ratio`"] {
            assert!(float.to_string().contains(part), "{float}");
        }
    }
    let bare = wat::parse_str(format!("(module {entry})")).unwrap();
    assert!(admit(&bare).unwrap_err().to_string().contains("0 descriptions"));
    assert!(matches!(admit(b"\0asm\x01\0\0\0garbage"), Err(AdmissionError::Invalid(_))));
    assert!(matches!(admit(b""), Err(AdmissionError::Invalid(_))));
}

#[test]
fn stripping_leaves_what_is_admitted() {
    let entry = r#"(memory (export "memory") 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0)) (global (export "__heap_base") i32 (i32.const 9)) (@custom "name" "x")"#;
    let wasm = module(entry);
    assert!(admit(&wasm).is_err());
    let stripped = strip(&wasm).unwrap();
    assert!(admit(&stripped).is_ok());
    assert_eq!(strip(&stripped).unwrap(), stripped, "stripping twice changes nothing");
}

/// That the price list's version changes the name as well, `cache::tests` shows.
#[test]
fn v5_engines_that_compile_otherwise_share_no_cache_file() {
    let dir = tempfile::tempdir().unwrap();
    let wasm = calling("(i32.const 0)");
    let load = |backend| {
        let cache = Some(chancery_engine::Cache::new(dir.path().into(), [1; 32]));
        Engine::with_backend(Config { cache, ..Config::default() }, backend).unwrap().load(&wasm).map(drop).unwrap();
    };
    let files = || -> BTreeMap<PathBuf, Vec<u8>> {
        let paths = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
        paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    };
    for (before, backend) in Backend::ALL.into_iter().enumerate() {
        load(backend);
        assert_eq!(files().len(), before + 1, "{backend:?} makes a file of its own");
    }
    let made = files();
    Backend::ALL.into_iter().for_each(load);
    assert_eq!(files(), made, "and finds it again");
}

#[test]
fn v6_a_cache_file_that_was_touched_is_deleted_and_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    let wasm = calling("(i32.const 0)");
    let load = |key| {
        let cache = Some(chancery_engine::Cache::new(dir.path().into(), [key; 32]));
        Engine::new(Config { cache, compiler: Compiler::InProcess, ..Config::default() }).unwrap().load(&wasm).map(drop)
    };
    let file = || std::fs::read_dir(dir.path()).unwrap().next().map(|file| file.unwrap().path());
    load(1).unwrap();
    let path = file().unwrap();
    let good = std::fs::read(&path).unwrap();
    for position in [0, 31, 32, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[position] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        load(1).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), good, "byte {position}");
    }
    std::fs::write(&path, b"short").unwrap();
    load(2).unwrap();
    assert_ne!(std::fs::read(&path).unwrap(), good, "another key makes another MAC");
}

/// V3 and the limits of calls are told as they are.
#[test]
fn the_page_on_security_shows_every_limit() {
    let page = include_str!("../../../docs/src/operations/security-model.md");
    let shown = |number: u64| {
        let digits = number.to_string();
        let grouped: Vec<&str> =
            digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
        grouped.join(",")
    };
    let of_calls = [
        ("gas", prices::CALL_GAS_MAX.0),
        ("bytes of the arguments", chancery_types::call::ARGUMENTS_BYTES_MAX as u64),
        ("slots of the call stack", u64::from(limits::STACK_SLOTS_MAX)),
        ("bytes of a key", limits::KEY_BYTES_MAX as u64),
        ("bytes of a value", limits::VALUE_BYTES_MAX as u64),
        ("writes", limits::WRITES_MAX as u64),
        ("bytes written", limits::WRITES_BYTES_MAX as u64),
        ("pairs of a scan", u64::from(limits::SCAN_PAIRS_MAX)),
        ("bytes of a scan", limits::SCAN_BYTES_MAX as u64),
        ("bytes of the result", limits::RESULT_BYTES_MAX as u64),
        ("bytes of an error's fields", limits::FAULT_BYTES_MAX as u64),
        ("bytes of the events", limits::EVENTS_BYTES_MAX as u64),
        ("bytes of the decision trace", limits::TRACE_BYTES_MAX as u64),
        ("bytes of diagnostics that are kept", limits::LOG_BYTES_MAX as u64),
        ("lines of diagnostics that are kept", limits::LOG_LINES_MAX as u64),
    ];
    for (name, limit) in limits_of_modules().into_iter().chain(of_calls) {
        let line = format!("| {name} | {} |", shown(limit));
        assert!(page.contains(&line), "missing from security-model.md: {line}");
    }
}
