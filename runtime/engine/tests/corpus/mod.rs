//! Modules and calls of every kind, for comparing what engines make of them.

use crate::harness::{GAS, Numbers, calling, interface, invocation, module};
use chancery_engine::{Context, Invocation, Kind, admit};
use chancery_types::codec::{Decode, Reader};
use chancery_types::{ContractId, Gas, Height, LedgerId, PublicKey, RequestId, Timestamp};
use std::path::Path;

/// A module and the calls that are made of it, one after the other.
pub struct Case {
    /// Source and name.
    pub name: String,
    /// The module.
    pub wasm: Vec<u8>,
    /// The calls.
    pub calls: Vec<Invocation>,
}

/// Bodies of `call` and `query` of `harness::calling`: every trap, every kind of ending, every host function, work in bulk and on credit.
pub const HOSTILE: &[&str] = &[
    "(i32.const 0)",
    "(i32.const 1)",
    "(i32.const 2)",
    "(i32.const 9)",
    "unreachable",
    "(i32.load (i32.const 65533))",
    "(i64.store offset=65535 (i32.const 1) (i64.const 1)) (i32.const 0)",
    "(call_indirect (type $entry) (i32.const 0) (i32.const 0) (i32.const 9))",
    "(call_indirect (type $entry) (i32.const 0) (i32.const 0) (i32.const 1))",
    "(i32.div_s (i32.const 0x80000000) (i32.const -1))",
    "(i32.rem_u (i32.const 1) (i32.const 0))",
    "(i32.wrap_i64 (i64.rem_s (i64.const 0x8000000000000000) (i64.const -1)))",
    "(call $deep (i32.const 3000))",
    "(call $deep (i32.const 3446))",
    "(call $deep (i32.const 3447))",
    "(call $deep (i32.const 3448))",
    "(call $deep (i32.const 3449))",
    "(call $deep (i32.const 1000000))",
    "(loop $for_ever (br $for_ever)) (i32.const 0)",
    "(local $i i32) (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000)))) (i32.div_u (i32.const 1) (i32.const 0))",
    "(memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (i32.const 0)",
    "(memory.fill (i32.const 1) (i32.const 1) (i32.const 65536)) (i32.const 0)",
    "(memory.copy (i32.const 5) (i32.const 0) (i32.const 65531)) (call $result (i32.const 0) (i32.const 50)) (i32.const 0)",
    "(memory.copy (i32.const -1) (i32.const 0) (i32.const 0)) (i32.const 0)",
    "(drop (memory.grow (i32.const 255))) (i64.store (i32.const 0xfffff8) (i64.const -1)) (i32.const 0)",
    "(i32.add (memory.grow (i32.const 256)) (i32.const 1))",
    "(i32.add (memory.grow (i32.const -1)) (i32.const 1))",
    "(call $set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3)) (call $event (i32.const 0) (i32.const 0) (i32.const 3)) (call $result (i32.const 0) (i32.const 2)) (i32.const 0)",
    "(call $set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3)) (call $fault (i32.const 7) (i32.const 0) (i32.const 1)) (i32.const 1)",
    "(call $set (i32.const 0) (i32.const 600) (i32.const 0) (i32.const 3)) (i32.const 0)",
    "(call $remove (i32.const 0) (i32.const 3)) (i32.wrap_i64 (call $get (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 0)))",
    "(call $result (i32.const -1) (i32.const 2)) (i32.const 0)",
    "(call $trace (i32.const 0) (i32.const 3)) (i32.const 0)",
    "(call $trace (i32.const 100) (i32.const 17)) (i32.const 0)",
    "(call $arguments (i32.const 100)) (call $context (i32.const 200)) (call $result (i32.const 100) (i32.const 228)) (i32.const 0)",
    "(call $blake3 (i32.const 0) (i32.const 65536) (i32.const 0)) (call $sha256 (i32.const 0) (i32.const 65536) (i32.const 32)) (call $result (i32.const 0) (i32.const 64)) (i32.const 0)",
    "(call $verify (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 100))",
    "(call $log (i32.const 0) (i32.const 3)) (call $log (i32.const 0) (i32.const 65536)) (i32.const 0)",
    "(call $set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 0)) (drop (call $scan (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 9) (i32.const 100) (i32.const 99))) (call $result (i32.const 100) (i32.const 25)) (i32.const 0)",
];

/// Whole modules: other frames than `HOSTILE`'s, so that the stack's limit falls elsewhere.
fn recursive() -> Vec<Vec<u8>> {
    let frame = |locals: usize, live: usize| {
        let names: String = (0..locals).map(|local| format!("(local $l{local} i64)")).collect();
        let load: String = (0..live)
            .map(|local| format!("(local.set $l{local} (i64.load offset={} (i32.const 8)))", local * 8))
            .collect();
        let sum: String =
            (0..live).map(|local| format!("(local.set $l0 (i64.add (local.get $l0) (local.get $l{local})))")).collect();
        module(&format!(
            r#"(memory (export "memory") 1 1) (func $call (export "call") (param i32 i32) (result i32) {names}
                 {load} (drop (call $call (local.get 0) (i32.add (local.get 1) (i32.const 1)))) {sum} (i32.wrap_i64 (local.get $l0)))"#
        ))
    };
    [(1, 0), (1, 1), (4, 4), (50, 50), (250, 0), (250, 250)].map(|(locals, live)| frame(locals, live)).into()
}

/// What a module declares as pages of its memory: each class of prices, and nothing.
const MEMORIES: [&str; 6] = ["1 1", "1 4", "1 16", "1 64", "1 256", "1"];

/// Loads, stores, copies and fills through a page, and ends outside of it.
fn accesses(pages: &str) -> Vec<u8> {
    module(&format!(
        r#"(memory (export "memory") {pages}) (func (export "call") (param i32 i32) (result i32) (local $at i32)
             (loop $again
               (i64.store (local.get $at) (i64.load offset=8 (local.get $at)))
               (memory.copy (local.get $at) (i32.const 64) (i32.const 9))
               (memory.fill (i32.const 9) (local.get $at) (i32.const 7))
               (br_if $again (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1024))) (i32.const 65536))))
             (i32.load (local.get $at)))"#
    ))
}

/// Everything but what is generated.
pub fn all() -> Vec<Case> {
    let kinds = [Kind::Call, Kind::Query, Kind::Init];
    let gas = [GAS, 1_000_000, 120_000, 52_001, 50_000];
    let calls: Vec<_> = kinds.iter().flat_map(|kind| gas.map(|gas| invocation(*kind, gas))).collect();
    let hostile = (0..).zip(HOSTILE).map(|(number, body): (usize, _)| Case {
        name: format!("hostile {number}: {body}"),
        wasm: calling(body),
        calls: calls.clone(),
    });
    let recursive = (0..).zip(recursive()).map(|(number, wasm): (usize, _)| Case {
        name: format!("recursive {number}"),
        wasm,
        calls: calls.clone(),
    });
    let memories =
        MEMORIES.map(|pages| Case { name: format!("memory {pages}"), wasm: accesses(pages), calls: calls.clone() });
    hostile.chain(recursive).chain(memories).chain(shipped()).collect()
}

/// The shipped contracts with the calls of their own tests.
pub fn shipped() -> Vec<Case> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/dist");
    let mut paths: Vec<_> = std::fs::read_dir(tests).unwrap().map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 20, "the transcripts of the contracts' tests are missing");
    let case = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let contract = name.split('.').next().unwrap().to_string();
        let wasm = std::fs::read(dist.join(format!("{contract}.wasm"))).unwrap();
        Case { name: format!("{contract} {name}"), wasm, calls: transcript(&std::fs::read(path).unwrap()) }
    };
    paths.iter().map(case).collect()
}

/// Reads what `chancery_testing` wrote: kind, selector, arguments, context.
fn transcript(bytes: &[u8]) -> Vec<Invocation> {
    let mut reader = Reader::new(bytes);
    let mut calls = Vec::new();
    while !reader.rest().is_empty() {
        let kind = [Kind::Init, Kind::Call, Kind::Query][usize::from(u8::decode(&mut reader).unwrap())];
        let selector = u32::decode(&mut reader).unwrap();
        let arguments = Vec::decode(&mut reader).unwrap();
        let context = Context {
            actor: PublicKey(reader.array().unwrap()),
            contract: ContractId(reader.array().unwrap()),
            ledger: LedgerId(reader.array().unwrap()),
            time: Timestamp(u64::from_le_bytes(reader.array().unwrap())),
            height: Height(u64::from_le_bytes(reader.array().unwrap())),
            request: RequestId(u128::from_le_bytes(reader.array().unwrap())),
        };
        calls.push(Invocation { kind, selector, arguments, context, gas: Gas(u64::MAX) });
    }
    calls
}

/// What a generated module imports and exports.
fn shape(wasi: bool) -> Vec<u8> {
    let wasi = if wasi { WASI } else { "" };
    let text = format!(
        r#"(module {} {wasi} (memory (export "memory") 1 20)
             (func (export "call") (param i32 i32) (result i32) (i32.const 0))
             (func (export "query") (param i32 i32) (result i32) (i32.const 0)))"#,
        crate::harness::IMPORTS
    );
    wat::parse_str(text).unwrap()
}

/// What a module of the WASI profile imports besides.
const WASI: &str = r#"
    (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_seek" (func (param i32 i64 i32 i32) (result i32)))"#;

/// A module within the admitted profile, every fourth with floating point in the WASI profile, or `None` where the one of this seed is not admitted.
pub fn generated(seed: u64) -> Option<Vec<u8>> {
    let mut numbers = Numbers(seed);
    let config = wasm_smith::Config {
        module_shape: Some(shape(seed % 4 == 3)),
        allow_floats: seed % 4 == 3,
        allow_start_export: false,
        bulk_memory_enabled: false,
        custom_descriptors_enabled: false,
        disallow_traps: seed.is_multiple_of(3),
        exceptions_enabled: false,
        extended_const_enabled: false,
        gc_enabled: false,
        max_data_segments: 8,
        max_element_segments: 8,
        max_funcs: 32,
        max_globals: 12,
        max_instructions: 100 + numbers.below(500),
        max_memories: 1,
        max_memory32_bytes: 20 << 16,
        max_table_elements: 64,
        max_tables: 1,
        max_type_size: 100_000,
        max_types: 16,
        memory64_enabled: false,
        min_funcs: 3,
        multi_value_enabled: false,
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        saturating_float_to_int_enabled: seed % 4 == 3,
        simd_enabled: false,
        table_max_size_required: true,
        tail_call_enabled: false,
        threads_enabled: false,
        ..wasm_smith::Config::default()
    };
    let bytes = numbers.bytes(2_048 + (seed as usize % 8) * 1_024);
    let generated = wasm_smith::Module::new(config, &mut arbitrary::Unstructured::new(&bytes));
    let mut wasm = generated.unwrap_or_else(|error| panic!("seed {seed}: {error}")).to_bytes();
    let section = wasm_encoder::CustomSection { name: "chancery:interface".into(), data: interface().into() };
    wasm_encoder::Section::append_to(&section, &mut wasm);
    match admit(&wasm) {
        Ok(_) => Some(wasm),
        Err(error) => {
            if std::env::var_os("CHANCERY_MODULES").is_some() {
                println!("seed {seed}: {error}");
            }
            None
        }
    }
}
