//! Modules from text, calls of them, and stores: what the tests of the engine share.
#![allow(dead_code, reason = "each test uses a part of it")]

use chancery_engine::{Context, Invocation, Kind};
use chancery_types::codec::Encode;
use chancery_types::{ContractId, Gas, Height, Interface, LedgerId, PublicKey, RequestId, Timestamp};

/// Gas enough for what the fixtures do.
pub const GAS: u64 = 10_000_000;

/// An encoded interface description without methods.
pub fn interface() -> Vec<u8> {
    Interface { version: 1, name: "fixture".into(), ..Interface::default() }.to_bytes()
}

/// A module of this text, with an empty interface description.
pub fn module(text: &str) -> Vec<u8> {
    let escaped: String = interface().iter().map(|byte| format!("\\{byte:02x}")).collect();
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

/// Imports of every host function, by the names that the fixtures use.
pub const IMPORTS: &str = r#"
    (import "chancery_v1" "arguments" (func $arguments (param i32)))
    (import "chancery_v1" "context" (func $context (param i32)))
    (import "chancery_v1" "state_set" (func $set (param i32 i32 i32 i32)))
    (import "chancery_v1" "state_get" (func $get (param i32 i32 i32 i32) (result i64)))
    (import "chancery_v1" "state_remove" (func $remove (param i32 i32)))
    (import "chancery_v1" "state_scan" (func $scan (param i32 i32 i32 i32 i32 i32 i32 i32) (result i64)))
    (import "chancery_v1" "event" (func $event (param i32 i32 i32)))
    (import "chancery_v1" "fault" (func $fault (param i32 i32 i32)))
    (import "chancery_v1" "trace" (func $trace (param i32 i32)))
    (import "chancery_v1" "result" (func $result (param i32 i32)))
    (import "chancery_v1" "verify_ed25519" (func $verify (param i32 i32 i32 i32) (result i32)))
    (import "chancery_v1" "blake3" (func $blake3 (param i32 i32 i32)))
    (import "chancery_v1" "sha256" (func $sha256 (param i32 i32 i32)))
    (import "chancery_v1" "log" (func $log (param i32 i32)))"#;

/// A module whose `call` and `query` have this body, with a page of memory that begins with `key`, and every host function at hand.
pub fn calling(body: &str) -> Vec<u8> {
    module(&format!(
        r#"{IMPORTS}
           (memory (export "memory") 1)
           (type $entry (func (param i32 i32) (result i32)))
           (table 4 funcref)
           (data (i32.const 0) "key")
           (global $counter (mut i32) (i32.const 5))
           (func $deep (param i32) (result i32)
             (if (result i32) (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))
           (func (export "query") (type $entry) {body})
           (func (export "call") (type $entry) {body})"#
    ))
}

/// A call with these arguments.
pub fn call_with(arguments: Vec<u8>, gas: u64) -> Invocation {
    Invocation { arguments, ..invocation(Kind::Call, gas) }
}

/// A call of the first method with ten bytes of arguments.
pub fn invocation(kind: Kind, gas: u64) -> Invocation {
    let context = Context {
        actor: PublicKey([1; 32]),
        contract: ContractId([2; 32]),
        ledger: LedgerId([3; 32]),
        time: Timestamp(4),
        height: Height(5),
        request: RequestId(6),
    };
    Invocation { kind, selector: 0, arguments: vec![7; 10], context, gas: Gas(gas) }
}

/// Numbers that look random and are the same everywhere (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// A number of the environment, or what is done without.
pub fn wanted(variable: &str, without: u64) -> u64 {
    std::env::var(variable).map_or(without, |text| text.parse().expect("a number"))
}
