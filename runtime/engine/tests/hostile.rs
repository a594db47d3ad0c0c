//! What hostile modules try, and what must happen: each test names its attack (V-numbers are those of the security model).

use chancery_engine::{AdmissionError, Compiler, Config, Context, Engine, Execution, Invocation, Kind, admit, strip};
use chancery_state::{MemoryStore, Store};
use chancery_types::codec::Encode;
use chancery_types::{ContractId, Gas, Interface, LedgerId, Outcome, PublicKey, RequestId, Timestamp, TrapKind};
use std::sync::Arc;

/// A module of this text, with an empty interface description.
fn module(text: &str) -> Vec<u8> {
    let interface = Interface { version: 1, name: "fixture".into(), ..Interface::default() };
    let escaped: String = interface.to_bytes().iter().map(|byte| format!("\\{byte:02x}")).collect();
    nameless(&wat::parse_str(format!("(module (@custom \"chancery:interface\" \"{escaped}\") {text})")).unwrap())
}

/// The module without the section of names that the text format leaves.
fn nameless(wasm: &[u8]) -> Vec<u8> {
    let mut module = wasm_encoder::Module::new();
    for payload in wasmparser::Parser::new(0).parse_all(wasm).map(Result::unwrap) {
        let names = matches!(&payload, wasmparser::Payload::CustomSection(section) if section.name() == "name");
        if let Some((id, range)) = payload.as_section().filter(|_| !names) {
            module.section(&wasm_encoder::RawSection { id, data: &wasm[range] });
        }
    }
    module.finish()
}

/// A module whose `call` has this body, with a page of memory and every host function at hand.
fn calling(body: &str) -> Vec<u8> {
    module(&format!(
        r#"(import "chancery_v1" "state_set" (func $set (param i32 i32 i32 i32)))
           (import "chancery_v1" "state_get" (func $get (param i32 i32 i32 i32) (result i64)))
           (import "chancery_v1" "state_scan" (func $scan (param i32 i32 i32 i32 i32 i32 i32 i32) (result i64)))
           (import "chancery_v1" "event" (func $event (param i32 i32 i32)))
           (import "chancery_v1" "fault" (func $fault (param i32 i32 i32)))
           (import "chancery_v1" "trace" (func $trace (param i32 i32)))
           (import "chancery_v1" "result" (func $result (param i32 i32)))
           (memory (export "memory") 1)
           (type $entry (func (param i32 i32) (result i32)))
           (table 4 funcref)
           (data (i32.const 0) "key")
           (func $deep (param i32) (result i32)
             (if (result i32) (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))
           (func (export "query") (type $entry) {body})
           (func (export "call") (type $entry) {body})"#
    ))
}

fn invocation(kind: Kind, gas: u64) -> Invocation {
    let context = Context {
        actor: PublicKey([1; 32]),
        contract: ContractId([2; 32]),
        ledger: LedgerId([3; 32]),
        time: Timestamp(4),
        height: chancery_types::Height(5),
        request: RequestId(6),
    };
    Invocation { kind, selector: 0, arguments: vec![7; 10], context, gas: Gas(gas) }
}

const GAS: u64 = 10_000_000;

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
    let burn = "(local $i i32) (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000))))";
    for ending in ["(i32.div_u (i32.const 1) (i32.const 0))", "(i32.load (i32.const -1))", "unreachable"] {
        let execution = run(&format!("{burn} {ending}"));
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
    let fill =
        |bytes: u32| run(&format!("(memory.fill (i32.const 0) (i32.const 1) (i32.const {bytes})) (i32.const 0)")).gas.0;
    assert_eq!(fill(64_000) - fill(0), 16_000);
    let grow = |pages: u32| run(&format!("(drop (memory.grow (i32.const {pages}))) (i32.const 0)"));
    assert_eq!(grow(10).gas.0 - grow(0).gas.0, 200_000);
    assert_eq!(run("(i32.ne (memory.grow (i32.const 300)) (i32.const -1))").outcome.word(), "done");
    assert_eq!(grow(u32::MAX).gas, grow(300).gas, "a growth that cannot be is refused before it is paid for");
}

#[test]
fn v23_the_call_stack_ends_at_the_same_depth_whatever_the_native_stack() {
    // A frame of $deep has 1 parameter, at most 2 operands and 16 more slots; the entry function has 2 + 1 + 16.
    let depth = |n: u32| run(&format!("(call $deep (i32.const {n}))")).outcome;
    let most = (65_536 - 19) / 19 - 1;
    assert!(depth(most).is_done() || depth(most - 1).is_done());
    assert_eq!(depth(most + 2), trapped(TrapKind::StackOverflow));
}

#[test]
fn what_a_call_costs_is_pinned() {
    // The price list has version 1 in chancery_engine::prices; a change of this number takes a new version.
    assert_eq!(chancery_engine::prices::PRICES_VERSION, 1);
    assert_eq!(run(&format!("{WRITE} (i32.const 0)")).gas, Gas(GOLDEN_GAS));
}

const GOLDEN_GAS: u64 = 102_204;

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
}

#[test]
fn v3_every_limit_is_named_with_the_value_found() {
    let entry = r#"(func (export "call") (param i32 i32) (result i32) (i32.const 0))"#;
    let memory = r#"(memory (export "memory") 1)"#;
    let refused = |text: &str| match admit(&module(text)) {
        Err(AdmissionError::Failed(check)) => check.name,
        other => panic!("{other:?}"),
    };
    let many = |count: usize, text: &str| text.repeat(count);
    assert_eq!(refused(&format!("{memory} {entry} {}", many(2001, "(func)"))), "functions");
    assert_eq!(
        refused(&format!(
            "{memory} {entry} {}",
            (0..501)
                .map(|n| format!("(type (func {}))", many(n % 17, "(param i64)") + &many(n / 17 % 2, "(result i32)")))
                .collect::<String>()
        )),
        "types"
    );
    assert_eq!(
        refused(&format!("{memory} {entry} (func {})", many(300, "(local i64)"))),
        "locals and parameters of a function"
    );
    assert_eq!(refused(&format!("{memory} {entry} (func {})", many(17, "(param i32)"))), "parameters of a function");
    assert_eq!(
        refused(&format!("{memory} {entry} (func {} {})", many(130, "(block "), many(130, ")"))),
        "nesting of blocks"
    );
    assert_eq!(
        refused(&format!("{memory} {entry} (func (br_table {} (i32.const 0)))", many(1100, "0 "))),
        "targets of a br_table"
    );
    assert_eq!(
        refused(&format!("{memory} {entry} (func {})", many(30_000, "(drop (i32.const 1))"))),
        "bytes of a function"
    );
    assert_eq!(
        refused(&format!("{memory} {entry} (func {} {})", many(300, "i32.const 1 "), many(300, "drop "))),
        "operands of a function at once"
    );
    assert_eq!(refused(&format!("{memory} {entry} {}", many(65, "(global i32 (i32.const 0))"))), "globals");
    assert_eq!(refused(&format!("{memory} {entry} {}", many(65, "(data (i32.const 0) \"\")"))), "data segments");
    assert_eq!(refused(&format!("{memory} {entry} (table 2000 funcref)")), "elements of the table");
    assert_eq!(refused(&format!(r#"(memory (export "memory") 300) {entry}"#)), "pages of the memory at the start");
    assert_eq!(
        refused(&format!(r#"{memory} {entry} (data (i32.const 0) "{}")"#, many(300_000, "x"))),
        "bytes of the module"
    );
}

#[test]
fn floating_point_and_modules_without_interface_are_refused() {
    let entry = r#"(memory (export "memory") 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0))"#;
    let float = admit(&module(&format!("{entry} (func (param f64))"))).unwrap_err();
    assert!(matches!(float, AdmissionError::Invalid(_)), "{float}");
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

#[test]
fn v5_v6_a_cache_file_that_was_touched_is_deleted_and_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    let wasm = calling("(i32.const 0)");
    let load = |key| {
        let cache = Some(chancery_engine::Cache::new(dir.path().into(), [key; 32]));
        Engine::new(Config { cache, compiler: Compiler::InProcess }).unwrap().load(&wasm).map(drop)
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
