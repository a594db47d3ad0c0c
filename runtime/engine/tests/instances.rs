//! A kept instance is as a fresh one (attack V17): whatever a call did, the next one finds the same memory and the same globals.

mod harness;

use chancery_engine::{Config, Engine, Execution, Instances, Invocation, Module};
use chancery_state::MemoryStore;
use chancery_types::{Gas, Outcome};
use harness::{call_with, module};
use proptest::prelude::*;
use std::sync::Arc;

const LOOK: u32 = 0;
const POKE: u32 = 1;
const REFUSE: u32 = 2;
const TRAP: u32 = 3;
const GROW: u32 = 4;
const SPIN: u32 = 5;

/// `LOOK` answers the BLAKE3 of the whole memory, then its size and both globals. The others write each pair of address and value of the arguments, change
/// the globals, and end in their own way.
const MODULE: &str = r#"
  (import "chancery_v1" "arguments" (func $arguments (param i32)))
  (import "chancery_v1" "blake3" (func $blake3 (param i32 i32 i32)))
  (import "chancery_v1" "result" (func $result (param i32 i32)))
  (import "chancery_v1" "fault" (func $fault (param i32 i32 i32)))
  (memory (export "memory") 2 4)
  (global $small (mut i32) (i32.const 77))
  (global $large (mut i64) (i64.const -5))
  (data (i32.const 1000) "not all is zero")
  (data (i32.const 70000) "\01")
  (func $look
    (call $blake3 (i32.const 0) (i32.shl (memory.size) (i32.const 16)) (i32.const 0))
    (i32.store (i32.const 32) (memory.size))
    (i32.store (i32.const 36) (global.get $small))
    (i64.store (i32.const 40) (global.get $large))
    (call $result (i32.const 0) (i32.const 48)))
  (func $poke (param $end i32)
    (local $at i32) (local $from i32)
    (call $arguments (i32.const 2048))
    (global.set $small (i32.const 1234))
    (global.set $large (i64.const 99))
    (local.set $from (i32.const 2048))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (i32.store8 (i32.load (i32.add (local.get $from) (local.get $at))) (i32.load8_u offset=4 (i32.add (local.get $from) (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $next))))
  (func (export "call") (param $selector i32) (param $len i32) (result i32)
    (if (i32.eqz (local.get $selector)) (then (call $look) (return (i32.const 0))))
    (call $poke (local.get $len))
    (if (i32.eq (local.get $selector) (i32.const 2)) (then (call $fault (i32.const 1) (i32.const 0) (i32.const 0)) (return (i32.const 1))))
    (if (i32.eq (local.get $selector) (i32.const 3)) (then unreachable))
    (if (i32.eq (local.get $selector) (i32.const 4)) (then (drop (memory.grow (i32.const 1))) (i32.store (i32.const 131072) (i32.const 1))))
    (if (i32.eq (local.get $selector) (i32.const 5)) (then (loop $spin (br $spin))))
    (i32.const 0))"#;

struct Machine {
    engine: Engine,
    module: Arc<Module>,
}

impl Machine {
    fn new(instances: Instances) -> Self {
        let engine = Engine::new(Config { instances, ..Config::default() }).unwrap();
        let module = engine.load(&module(MODULE)).unwrap();
        Machine { engine, module }
    }

    fn call(&self, selector: u32, arguments: Vec<u8>) -> Execution {
        let invocation = Invocation { selector, ..call_with(arguments, 20_000_000) };
        self.engine.execute(&self.module, invocation, Arc::new(MemoryStore::new())).unwrap()
    }

    /// What a call finds: digest of the memory, its size, the globals; and the gas that looking took.
    fn look(&self) -> (Vec<u8>, Gas) {
        let execution = self.call(LOOK, vec![]);
        match execution.outcome {
            Outcome::Done { result } => (result, execution.gas),
            other => panic!("{other:?}"),
        }
    }
}

fn pokes(writes: &[(u32, u8)]) -> Vec<u8> {
    writes.iter().flat_map(|(at, value)| [at.to_le_bytes(), u32::from(*value).to_le_bytes()].concat()).collect()
}

/// A secret in every 64 bytes of the memory, over data and zeros alike; whichever way the call ends, nobody finds it.
#[test]
fn v17_a_secret_is_not_found_in_a_recycled_memory() {
    let (kept, fresh) = (Machine::new(Instances::Kept), Machine::new(Instances::Fresh));
    let first = fresh.look();
    assert_eq!((first.0[32..36].to_vec(), first.0[36]), (vec![2, 0, 0, 0], 77));
    let secret: Vec<(u32, u8)> =
        (0..131_072).step_by(64).filter(|at| !(2_048..20_000).contains(at)).map(|at| (at, 0xa5)).collect();
    for (selector, word) in
        [(POKE, "done"), (REFUSE, "refused"), (TRAP, "trapped"), (GROW, "done"), (SPIN, "out of gas")]
    {
        for machine in [&kept, &fresh] {
            assert_eq!(machine.look(), first);
            assert_eq!(machine.call(selector, pokes(&secret)).outcome.word(), word);
            assert_eq!(machine.look(), first, "after {word}");
        }
    }
}

/// Threads that share an engine do not share instances.
#[test]
fn v17_threads_take_turns_with_instances_and_find_them_as_new() {
    let kept = Machine::new(Instances::Kept);
    let first = kept.look();
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let (kept, first) = (&kept, &first);
            scope.spawn(move || {
                for at in 0..100 {
                    assert_eq!(kept.call(POKE, pokes(&[(at * 1_300, thread + 1)])).outcome.word(), "done");
                    assert_eq!(&kept.look(), first);
                }
            });
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn v17_random_writes_are_gone(writes in prop::collection::vec((0u32..131_072, any::<u8>()), 0..200), selector in POKE..SPIN) {
        thread_local! {
            static MACHINES: (Machine, Machine) = (Machine::new(Instances::Kept), Machine::new(Instances::Fresh));
        }
        MACHINES.with(|(kept, fresh)| {
            let (a, b) = (kept.call(selector, pokes(&writes)), fresh.call(selector, pokes(&writes)));
            assert_eq!((a.outcome, a.gas), (b.outcome, b.gas));
            assert_eq!(kept.look(), fresh.look());
        });
    }
}
