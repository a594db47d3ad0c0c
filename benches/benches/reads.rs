//! What a contract's reads take on a ledger, where every value comes from the view, is hashed and is compared with the state tree; beside what they pay.
//! `CHANCERY_KEYS=1000000` sets how many keys there are. The store of `prices` is memory, which does none of that.

use chancery_benches::kernel_with;
use chancery_benches::measure::{decimal, permille, processor_time};
use chancery_engine::prices;
use chancery_node::{Ledger, Options};
use chancery_types::interface::{Method, MethodKind, Type};
use chancery_types::{Action, Call, Interface, Outcome, PublicKey, RequestId, SignedCall, Timestamp};
use ed25519_dalek::SigningKey;

/// Keys that a call sets.
const SET: u64 = 4_000;
/// Large values, and their bytes.
const LARGE: (u64, u32) = (500, 60_000);

/// Methods: name, kind, and code that does something `$count` times, the number of it in `$i` and the key of number `$n` by `(call $key …)` at 0.
const METHODS: [(&str, MethodKind, &str); 5] = [
    (
        "fill",
        MethodKind::Call,
        "(call $key (i64.add (local.get $n) (local.get $i))) (call $set (i32.const 0) (i32.const 9) (i32.const 64) (i32.const 32))",
    ),
    (
        "fill_large",
        MethodKind::Call,
        "(call $large (i64.add (local.get $n) (local.get $i))) (call $set (i32.const 0) (i32.const 9) (i32.const 64) (i32.const 60000))",
    ),
    (
        "get",
        MethodKind::Query,
        "(call $key (i64.rem_u (call $random) (local.get $n))) (drop (call $get (i32.const 0) (i32.const 9) (i32.const 64) (i32.const 64)))",
    ),
    (
        "get_large",
        MethodKind::Query,
        "(call $large (i64.rem_u (call $random) (local.get $n))) (drop (call $get (i32.const 0) (i32.const 9) (i32.const 64) (i32.const 60000)))",
    ),
    (
        "scan",
        MethodKind::Query,
        "(call $key (i64.rem_u (call $random) (local.get $n))) (drop (call $scan (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 16) (i32.const 64) (i32.const 4096)))",
    ),
];

/// The module: each method takes two numbers, `$n` and how often.
fn module() -> Vec<u8> {
    let method = |(name, kind, _): &(&str, MethodKind, &str)| Method {
        name: (*name).into(),
        doc: String::new(),
        citation: String::new(),
        kind: *kind,
        fields: vec![],
        returns: Type::Unit,
    };
    let interface = Interface {
        version: 1,
        name: "reads".into(),
        methods: METHODS.iter().map(method).collect(),
        ..Interface::default()
    };
    let code: String = METHODS.iter().enumerate().map(|(selector, (_, _, code))| {
        format!(
            "(if (i32.eq (local.get $selector) (i32.const {selector})) (then (loop $again {code}
               (br_if $again (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (i64.load (i32.const 24)))))))"
        )
    }).collect();
    let body = format!(
        "(local $i i64) (local $n i64) (call $arguments (i32.const 16)) (local.set $n (i64.load (i32.const 16))) (global.set $seed (i64.load (i32.const 32))) {code} (i32.const 0)"
    );
    let text = format!(
        r#"(module
          (import "chancery_v1" "arguments" (func $arguments (param i32)))
          (import "chancery_v1" "state_get" (func $get (param i32 i32 i32 i32) (result i64)))
          (import "chancery_v1" "state_set" (func $set (param i32 i32 i32 i32)))
          (import "chancery_v1" "state_scan" (func $scan (param i32 i32 i32 i32 i32 i32 i32 i32) (result i64)))
          (memory (export "memory") 1 1)
          (global $seed (mut i64) (i64.const 1))
          (func $key (param i64) (i32.store8 (i32.const 0) (i32.const 107)) (i64.store (i32.const 1) (i64.mul (local.get 0) (i64.const 0x9e3779b97f4a7c15))))
          (func $large (param i64) (i32.store8 (i32.const 0) (i32.const 108)) (i64.store (i32.const 1) (local.get 0)))
          (func $random (result i64)
            (global.set $seed (i64.xor (global.get $seed) (i64.shl (global.get $seed) (i64.const 13))))
            (global.set $seed (i64.xor (global.get $seed) (i64.shr_u (global.get $seed) (i64.const 7))))
            (global.set $seed (i64.xor (global.get $seed) (i64.shl (global.get $seed) (i64.const 17))))
            (i64.shr_u (global.get $seed) (i64.const 1)))
          (func (export "call") (param $selector i32) (param i32) (result i32) {body})
          (func (export "query") (param $selector i32) (param i32) (result i32) {body}))"#
    );
    kernel_with(&text, &interface)
}

fn arguments(n: u64, count: u64, seed: u64) -> Vec<u8> {
    [n, count, seed].iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn main() {
    let test = std::env::args().any(|argument| argument == "--test");
    let asked = std::env::var("CHANCERY_KEYS").ok().and_then(|keys| keys.parse().ok());
    let keys: u64 = if test { SET } else { asked.unwrap_or(1_000_000) };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let key = SigningKey::from_bytes(&[7; 32]);
    let actor = PublicKey(key.verifying_key().to_bytes());
    let ledger = Ledger::create(&dir.path().join("ledger"), "ledger.example/reads", &key, Options::default())
        .expect("a fresh directory");
    let (module, _) = ledger.put_module(&module()).expect("it is admitted");
    let mut request = 0;
    let mut call = |action: Action| {
        request += 1;
        let call =
            Call { ledger: ledger.id(), actor, request: RequestId(request), valid_until: Timestamp(u64::MAX), action };
        let answer = ledger.call(SignedCall::sign(call, &key)).expect("it is taken");
        assert!(matches!(answer.outcome(), Some(Outcome::Done { .. })), "{:?}", answer.outcome());
    };
    call(Action::Deploy { name: "reads".into(), module, arguments: vec![] });
    let mut invoke = |method: &str, n: u64, count: u64| {
        call(Action::Invoke { contract: "reads".into(), method: method.into(), arguments: arguments(n, count, 1) });
    };
    (0..keys.div_ceil(SET)).for_each(|share| invoke("fill", share * SET, SET));
    let large = if test { 4 } else { LARGE.0 };
    (0..large.div_ceil(4)).for_each(|share| invoke("fill_large", share * 4, 4));
    println!("{} keys", ledger.head().keys);
    println!("{:24} {:>12} {:>10} {:>10}", "what", "us", "gas", "ps/gas");
    for (what, method, n, count) in [
        ("state_get, 32", "get", keys, 2_000),
        ("state_get, 60000", "get_large", large, 200),
        ("state_scan, 16", "scan", keys, 500),
    ] {
        let rounds = if test { 1 } else { 15 };
        let query = |count: u64, seed: u64| {
            let start = processor_time();
            let execution = ledger.query("reads", method, arguments(n, count, seed), actor).expect("the host works");
            assert!(matches!(execution.outcome, Outcome::Done { .. }), "{what}: {:?}", execution.outcome);
            (processor_time() - start, execution.gas.0)
        };
        // Other keys in each round, so that few are still in memory.
        let found = (1..=rounds)
            .map(|seed: u64| query(count, seed.wrapping_mul(0x1234_5678_9abc_def1)))
            .min()
            .unwrap_or_default();
        let (time, gas) =
            (u64::try_from(found.0.as_nanos()).unwrap_or(u64::MAX) * 1_000 / count, (found.1 - prices::CALL) / count);
        println!("{what:24} {:>12} {gas:>10} {:>10}", decimal(time / 1_000), permille(time, gas * 1_000));
    }
}
