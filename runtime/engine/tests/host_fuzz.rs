//! Every host function with every kind of bad argument: no panic, nothing outside the memory, always charged.
//!
//! One module passes what the call's arguments say to the host function that the selector names, so an execution costs microseconds. Pointers
//! and lengths go through all combinations of the edges of the memory; the memory holds random or mutated bytes. An
//! oracle says of each call whether a pointer left the memory, and hence whether `BadPointer` must be the outcome.
//!
//! In CI each function gets a bounded number of executions; `CHANCERY_FUZZ=1000000` makes it so many for each, from another seed by `CHANCERY_SEED`.

mod harness;

use chancery_engine::{Config, Engine, Execution, HOST_FUNCTIONS, Module, host::WASI_FUNCTIONS, limits};
use chancery_state::{MemoryStore, Store};
use chancery_types::codec::Encode;
use chancery_types::{Event, Finding, Outcome, Step, TrapKind};
use harness::{IMPORTS, Numbers, call_with, module, wanted};
use std::sync::Arc;

/// Bytes of the memory: two pages.
const END: u32 = 0x2_0000;
/// Where the parameters lie, behind them what they may point to.
const PARAMETERS: usize = 8;

/// Everything that a pointer or a length can be about.
const EDGES: [u32; 14] =
    [0, 1, 32, 33, 63, 512, 513, END - 64, END - 1, END, END + 1, 0x7fff_ffff, 0x8000_0000, u32::MAX];

/// A module that calls the host function `selector` with as many words of the arguments as it has parameters.
///
/// The arguments are copied to 0, so that what pointers near 0 lead to is the caller's choice.
fn dispatcher() -> Vec<u8> {
    let names = |index: usize| format!("$f{index}");
    let arms: String = (0..HOST_FUNCTIONS.len())
        .map(|index| {
            let function = &HOST_FUNCTIONS[index];
            let parameters: String =
                (0..function.parameters.len()).map(|word| format!("(i32.load (i32.const {}))", word * 4)).collect();
            let call = format!("(call {} {parameters})", names(index));
            let call = if function.result.is_some() { format!("(drop {call})") } else { call };
            format!("(if (i32.eq (local.get 0) (i32.const {index})) (then {call}))")
        })
        .collect();
    let imports: String = (0..HOST_FUNCTIONS.len())
        .map(|index| {
            let function = &HOST_FUNCTIONS[index];
            let result = function.result.map_or(String::new(), |ty| format!("(result {ty:?})").to_lowercase());
            let parameters = "i32 ".repeat(function.parameters.len());
            format!(
                r#"(import "chancery_v1" "{}" (func {} (param {parameters}) {result}))"#,
                function.name,
                names(index)
            )
        })
        .collect();
    module(&format!(
        r#"{imports} (memory (export "memory") 2 2)
           (func (export "call") (param i32 i32) (result i32) (call $f0 (i32.const 0)) {arms} (i32.const 0))"#
    ))
}

/// As [`dispatcher`], for the functions of WASI whose indices are in `range`; a word of 8 bytes for each parameter.
fn wasi_dispatcher(range: std::ops::Range<usize>) -> Vec<u8> {
    let (mut imports, mut arms) = (String::new(), String::new());
    for index in range {
        let function = &WASI_FUNCTIONS[index];
        let (mut types, mut loads) = (String::new(), String::new());
        for (word, ty) in function.parameters.bytes().enumerate() {
            let ty = if ty == b'I' { "i64" } else { "i32" };
            types += &format!("{ty} ");
            loads += &format!("({ty}.load (i32.const {}))", word * 8);
        }
        let result = if function.has_result() { "(result i32)" } else { "" };
        imports += &format!(
            r#"(import "wasi_snapshot_preview1" "{}" (func $w{index} (param {types}) {result}))"#,
            function.name
        );
        let call = format!("(call $w{index} {loads})");
        let call = if function.has_result() { format!("(drop {call})") } else { call };
        arms += &format!("(if (i32.eq (local.get 0) (i32.const {index})) (then {call}))");
    }
    module(&format!(
        r#"(import "chancery_v1" "arguments" (func $arguments (param i32))) {imports} (memory (export "memory") 2 2)
           (func (export "call") (param i32 i32) (result i32) (call $arguments (i32.const 0)) {arms} (i32.const 0))"#
    ))
}

struct Fuzz {
    engine: Engine,
    module: Arc<Module>,
    store: Arc<dyn Store>,
    numbers: Numbers,
}

impl Fuzz {
    fn new(wasm: &[u8]) -> Fuzz {
        let engine = Engine::new(Config::default()).unwrap();
        let module = engine.load(wasm).unwrap();
        let store = MemoryStore::new();
        let write = |key: &[u8], value: Vec<u8>| chancery_types::entry::Write {
            contract: chancery_types::ContractId([2; 32]),
            key: key.into(),
            value: Some(value),
        };
        store.apply(&vec![
            write(&[0], vec![1; 60_000]),
            write(&[0, 0], vec![2]),
            write(&[7; 512], vec![]),
            write(b"key", vec![3; 300]),
        ]);
        Fuzz { engine, module, store: Arc::new(store), numbers: Numbers(wanted("CHANCERY_SEED", 1)) }
    }

    /// Calls a function with these words, and bytes behind them.
    fn call(&mut self, selector: u32, words: Vec<u8>, bytes: &[u8]) -> Execution {
        let mut arguments = words;
        arguments.resize(PARAMETERS * 8, 0);
        arguments.extend_from_slice(bytes);
        let mut invocation = call_with(arguments, 2_000_000);
        invocation.selector = selector;
        let execution = self.engine.execute(&self.module, invocation, self.store.clone());
        execution.unwrap_or_else(|fault| panic!("function {selector}: {fault}"))
    }

    /// Bytes that some functions take for an encoding: a step, changed or not; a key; anything.
    fn bytes(&mut self) -> Vec<u8> {
        let step = Step { rule: "r".into(), citation: "§ 1".into(), inputs: vec![], finding: Finding::NotMet };
        let mut bytes = match self.numbers.below(4) {
            0 => b"key".to_vec(),
            1 => step.to_bytes(),
            2 => Event { kind: 1, data: vec![9; 20] }.to_bytes(),
            _ => {
                let len = self.numbers.below(200);
                self.numbers.bytes(len)
            }
        };
        if !bytes.is_empty() && self.numbers.below(2) == 0 {
            let at = self.numbers.below(bytes.len());
            bytes[at] ^= 1 << self.numbers.below(8);
        }
        bytes
    }
}

fn outside(start: u32, len: u32) -> bool {
    u64::from(start) + u64::from(len) > u64::from(END)
}

/// Whether these words make a pointer leave the memory: `Some` where it is certain before the call.
fn bad_pointer(name: &str, w: &[u32]) -> Option<bool> {
    Some(match name {
        "arguments" => return None,
        "context" => outside(w[0], 128),
        "result" | "trace" | "log" => outside(w[0], w[1]),
        "fault" | "event" => outside(w[1], w[2]),
        "state_set" => outside(w[0], w[1]) || outside(w[2], w[3]),
        "state_remove" => outside(w[0], w[1]),
        "verify_ed25519" => outside(w[0], 32) || outside(w[1], w[2]) || outside(w[3], 64),
        "blake3" | "sha256" => outside(w[0], w[1]) || outside(w[2], 32),
        // Whether the answer is written depends on the state.
        "state_get" => return outside(w[0], w[1]).then_some(true),
        "state_scan" => outside(w[0], w[1]) || (w[4] & 2 == 0 && outside(w[2], w[3])) || outside(w[6], w[7]),
        _ => panic!("{name} has no line in the oracle"),
    })
}

fn judge(name: &str, base: u64, words: &[u32], execution: &Execution) {
    let gas = execution.gas.0;
    assert!((chancery_engine::prices::CALL + base..=2_000_000).contains(&gas), "{name} {words:x?}: {gas} gas");
    let bad = execution.outcome == Outcome::Trapped { kind: TrapKind::BadPointer };
    match (&execution.outcome, bad_pointer(name, words)) {
        // The purse may be empty before the pointer is looked at.
        (Outcome::OutOfGas, _) | (_, None) => {}
        // A limit may be looked at before the pointer of an answer.
        (Outcome::Trapped { kind: TrapKind::LimitExceeded }, Some(_)) => {}
        (outcome, Some(expected)) => assert_eq!(bad, expected, "{name} {words:x?}: {outcome:?}"),
    }
    let known = matches!(
        &execution.outcome,
        Outcome::Done { .. }
            | Outcome::OutOfGas
            | Outcome::Trapped { kind: TrapKind::BadPointer | TrapKind::LimitExceeded | TrapKind::BadEncoding }
    );
    assert!(known, "{name} {words:x?}: {:?}", execution.outcome);
    assert!(execution.diagnostics.iter().map(String::len).sum::<usize>() <= 3 * limits::LOG_BYTES_MAX);
}

fn words(of: &[u32]) -> Vec<u8> {
    of.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn host_functions_hold_at_every_edge() {
    let mut fuzz = Fuzz::new(&dispatcher());
    let executions = wanted("CHANCERY_FUZZ", 4_000);
    for (selector, function) in (0..).zip(HOST_FUNCTIONS) {
        let count = function.parameters.len();
        let all = (EDGES.len() as u64).saturating_pow(count as u32);
        let mut made = 0u64;
        // Every combination where they are few, and a spread of them where they are many; then random ones between.
        let step = (all / executions).max(1) | 1;
        let combinations = (0..all).step_by(step as usize).take(executions as usize);
        for combination in combinations {
            let mut rest = combination;
            let edges: Vec<u32> = (0..count)
                .map(|_| {
                    let edge = EDGES[(rest % EDGES.len() as u64) as usize];
                    rest /= EDGES.len() as u64;
                    edge
                })
                .collect();
            let bytes = fuzz.bytes();
            let execution = fuzz.call(selector, words(&edges), &bytes);
            judge(function.name, function.base, &edges, &execution);
            made += 1;
        }
        while made < executions {
            let near = |fuzz: &mut Fuzz| match fuzz.numbers.below(4) {
                0 => fuzz.numbers.next() as u32,
                1 => fuzz.numbers.pick(&EDGES).wrapping_add(fuzz.numbers.below(9) as u32).wrapping_sub(4),
                2 => 64 + fuzz.numbers.below(4) as u32,
                _ => fuzz.numbers.below(200) as u32,
            };
            let random: Vec<u32> = (0..count).map(|_| near(&mut fuzz)).collect();
            let bytes = fuzz.bytes();
            let execution = fuzz.call(selector, words(&random), &bytes);
            judge(function.name, function.base, &random, &execution);
            made += 1;
        }
        println!("{}: {made} executions", function.name);
    }
}

#[test]
fn wasi_functions_hold_at_every_edge() {
    let executions = wanted("CHANCERY_FUZZ", 1_000);
    for start in (0..WASI_FUNCTIONS.len()).step_by(23) {
        let range = start..(start + 23).min(WASI_FUNCTIONS.len());
        let mut fuzz = Fuzz::new(&wasi_dispatcher(range.clone()));
        for index in range {
            let function = &WASI_FUNCTIONS[index];
            for made in 0..executions {
                let small = made % 3 == 0;
                let value = |fuzz: &mut Fuzz| match (small, fuzz.numbers.below(5)) {
                    (true, _) => u64::from(fuzz.numbers.below(5) as u32),
                    (_, 0) => fuzz.numbers.next(),
                    _ => u64::from(fuzz.numbers.pick(&EDGES)),
                };
                let parameters: Vec<u64> = function.parameters.bytes().map(|_| value(&mut fuzz)).collect();
                let words = parameters.iter().flat_map(|word| word.to_le_bytes()).collect();
                let bytes = fuzz.bytes();
                let execution = fuzz.call(index as u32, words, &bytes);
                let (name, gas) = (function.name, execution.gas.0);
                assert!(gas >= chancery_engine::prices::CALL + chancery_engine::prices::WASI, "{name}: {gas} gas");
                let known = match &execution.outcome {
                    Outcome::Done { .. } => function.has_result(),
                    Outcome::Trapped { kind: TrapKind::Unreachable } => !function.has_result(),
                    Outcome::Trapped { kind: TrapKind::BadPointer } | Outcome::OutOfGas => true,
                    _ => false,
                };
                assert!(known, "{name} {parameters:x?}: {:?}", execution.outcome);
            }
        }
    }
    println!("{} functions of WASI: {executions} executions each", WASI_FUNCTIONS.len());
}

#[test]
fn the_shared_imports_are_the_whole_table() {
    for function in HOST_FUNCTIONS {
        assert!(IMPORTS.contains(&format!("\"{}\"", function.name)), "{}", function.name);
    }
}
