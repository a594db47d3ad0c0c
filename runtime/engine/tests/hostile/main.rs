//! What hostile modules and calls try, and what must happen.
//!
//! Each row is an attack that has broken a runtime of this kind; each test is named by its row. Where a row concerns
//! the ledger, its other half is in `runtime/node/tests/hostile.rs` (marked N); each row says in which
//! file of this directory, or where else, it is tested.
//!
//! | | attack | must happen | test |
//! |---|---|---|---|
//! | V1 | the guest's allocator is called by the host and calls the host | no host function calls the guest; recursion of the guest ends at the stack's limit | `stack.rs` |
//! | V2 | recursion through calls and queries between contracts | there are no calls between contracts in this version, so only recursion within a module applies | `stack.rs`, N |
//! | V3 | compile bombs | refused at admission by a named limit with the value found; the worst module within the limits compiles in bounded time; where optimising takes too long, without | `admission.rs`, `execution::tests` |
//! | V4 | an operator that costs too little | everything that works costs; entering a function with many locals costs; an access costs by the memory that it can miss the caches in (how long each gas takes is `benches`') | `gas.rs` |
//! | V5 | code compiled under old prices, or by another engine | its file has another name; code that wasmtime refuses is replaced | `code.rs`, `cache::tests`, `execution::tests` |
//! | V6 | a cache file replaced or changed | not run: deleted, compiled again | `code.rs` |
//! | V7 | facts of the node in results | outcomes come from a closed set; equal bytes on every backend, in other environments | `outcome.rs`, `determinism.rs` |
//! | V8 | work that is not paid for | what is charged is never more than set aside, and at least the work, on every path; queries pay too; the caches of code hold many modules whatever these are written for | `gas.rs`, `code.rs`, N |
//! | V9 | guest data that panics the host | no panic (`host_fuzz.rs`); were there one, the call has no outcome and the engine goes on | `host.rs` |
//! | V10 | pointers and lengths at every edge | trap as `BadPointer`, charged, once | `host.rs`, `host_fuzz.rs` |
//! | V11 | a query that writes | trap as `WriteInQuery` | `state.rs`, N |
//! | V12 | two keys with one spelling | a contract sees its own keys only; one encoding, one spelling of a name | `state.rs`, N |
//! | V13 | deep or huge arguments | refused by size before decoding; descriptions nest 16 deep | `admission.rs`, N |
//! | V14 | a trap or refusal after writes | no writes, no events; the root stays, the entry says why | `outcome.rs`, N |
//! | V15 | writes while scanning | the scan sees them, in byte order, as of each host call; what is removed is not passed by each scan | `state.rs`, `host::tests`, `overlay::tests` |
//! | V16 | start functions, re-exported imports, exported globals, several memories | refused at admission | `admission.rs` |
//! | V17 | a recycled instance shows another call's memory, globals or table | it shows the module's own | `outcome.rs` |
//! | V18 | a deployment that takes over another's contract, or fails half way | there are no upgrades in this version; a taken name is refused, a failed `init` leaves nothing | N |
//! | V19 | log and store disagree after a crash | recovery gives the same root | `runtime/node/tests/ledger.rs` |
//! | V20 | wrapping arithmetic | overflow checks in every profile, checked money | `outcome.rs` |
//! | V21 | much work, then a trap | the work is charged | `gas.rs`, N |
//! | V22 | straight-line code on credit, then a host call | out of gas, no effect | `gas.rs` |
//! | V23 | stack depth by build | the same depth on every backend, also where frames of optimised code are larger than their slots say | `stack.rs`, `determinism.rs` |

mod admission;
mod code;
mod gas;
#[path = "../harness/mod.rs"]
mod harness;
mod host;
mod outcome;
mod stack;
mod state;

use crate::harness::{GAS, calling, invocation};
use chancery_engine::{Config, Engine, Execution, Kind};
use chancery_state::{MemoryStore, Store};
use chancery_types::{Outcome, TrapKind};
use std::sync::Arc;

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
