//! What a contract reads and writes: V11, V12, V15.

use crate::harness::{GAS, calling};
use crate::{run_on, trapped};
use chancery_engine::{Kind, prices};
use chancery_state::{MemoryStore, Scan, StateError, Store, Visited, Visitor};
use chancery_types::{ContractId, Outcome, TrapKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
    let execution = run_on(store.clone(), &wasm, Kind::Call, prices::CALL_GAS_MAX.0);
    assert_eq!(execution.outcome, Outcome::OutOfGas);
    let visited = store.1.load(Ordering::Relaxed);
    assert!((4_000..40_000).contains(&visited), "{visited} keys were visited");
}
