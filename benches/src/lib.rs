//! What the benches share: the workload `disburse` in memory, that on a ledger (`chancery_load`), an empty call, and kernels with and without instrumentation.
//!
//! ```sh
//! cargo run --release -p chancery-benches     # the figures P1 to P8, as a table; --json FILE writes them, --plots DIR draws
//! cargo bench -p chancery-benches             # the parts; each ratio is measured in one run
//! cargo bench -p chancery-benches -- --test   # each once, so that they cannot rot
//! ```

pub mod kernels;
pub mod measure;

pub use chancery_load::{DISBURSE, Town};

use chancery_engine::{Config, Context, Engine, Invocation, Kind, Module, prices};
use chancery_load::{BENEFICIARIES, payment};
use chancery_state::MemoryStore;
use chancery_types::codec::Encode;
use chancery_types::money::{Amount, Usd};
use chancery_types::{ContractId, Height, Interface, LedgerId, PublicKey, RequestId, Timestamp};
use ed25519_dalek::SigningKey;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// As the command line has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The largest real contract.
pub const LARGEST: &[u8] = include_bytes!("../../contracts/dist/business-licence.wasm");

fn officer() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// The workload in memory: officer, budget and beneficiaries are set up.
pub struct Disburse {
    engine: Arc<Engine>,
    module: Arc<Module>,
    store: Arc<MemoryStore>,
    officer: PublicKey,
    next: u64,
}

impl Disburse {
    /// Sets it up.
    ///
    /// # Panics
    /// When the module is not that of the workload.
    pub fn new(engine: Arc<Engine>) -> Self {
        let module = engine.load(DISBURSE).expect("the workload is admitted");
        let officer = PublicKey(officer().verifying_key().to_bytes());
        let mut workload = Disburse { engine, module, store: Arc::new(MemoryStore::new()), officer, next: 0 };
        workload.run(Kind::Init, "init", Amount::<Usd>::whole(1 << 40).to_bytes());
        (0..BENEFICIARIES).for_each(|number| workload.run(Kind::Call, "enrol", number.to_bytes()));
        workload
    }

    fn run(&mut self, kind: Kind, method: &str, arguments: Vec<u8>) {
        let (selector, _) = self.module.interface.method(method).expect("the workload's own method");
        let mut invocation = Invocation { kind, selector, arguments, ..invocation() };
        invocation.context.actor = self.officer;
        let execution = self.engine.execute(&self.module, invocation, self.store.clone()).expect("the host works");
        assert!(execution.outcome.is_done(), "{:?}", execution.outcome);
        self.store.apply(&execution.writes);
    }

    /// One payment: a fresh memory, five requirements, three writes, one event; its writes are applied.
    pub fn pay(&mut self) {
        let arguments = payment(self.next);
        self.next += 1;
        self.run(Kind::Call, "disburse", arguments);
    }
}

/// A module that does nothing.
pub struct Empty {
    engine: Arc<Engine>,
    module: Arc<Module>,
    store: Arc<MemoryStore>,
    invocation: Invocation,
}

impl Empty {
    /// Loads it.
    ///
    /// # Panics
    /// When the engine does not admit it.
    pub fn new(engine: Arc<Engine>) -> Self {
        let text = r#"(module (memory (export "memory") 1 1) (func (export "call") (param i32 i32) (result i32) (i32.const 0)))"#;
        let module = engine.load(&kernel(text)).expect("it is admitted");
        Empty { engine, module, store: Arc::new(MemoryStore::new()), invocation: invocation() }
    }

    /// One call.
    ///
    /// # Panics
    /// When the host fails.
    pub fn call(&self) {
        self.engine.execute(&self.module, self.invocation.clone(), self.store.clone()).expect("the host works");
    }
}

/// A call of the first method without arguments, with as much gas as a call may have.
pub fn invocation() -> Invocation {
    let context = Context {
        actor: PublicKey([1; 32]),
        contract: ContractId([2; 32]),
        ledger: LedgerId([3; 32]),
        time: Timestamp(4),
        height: Height(5),
        request: RequestId(6),
    };
    Invocation { kind: Kind::Call, selector: 0, arguments: vec![], context, gas: prices::CALL_GAS_MAX }
}

/// Calls of each thread in [`together`].
pub const CALLS_TOGETHER: u32 = 200;

/// The least time in which so many threads, started together, each do [`CALLS_TOGETHER`] payments in memory.
///
/// # Panics
/// When one of them does.
pub fn together(threads: usize, rounds: u32) -> Duration {
    let engine = engine();
    let mut workloads: Vec<Disburse> = (0..threads).map(|_| Disburse::new(engine.clone())).collect();
    let barrier = Barrier::new(threads);
    let run = |workload: &mut Disburse| {
        barrier.wait();
        let start = Instant::now();
        (0..CALLS_TOGETHER).for_each(|_| workload.pay());
        start.elapsed()
    };
    let round = |workloads: &mut Vec<Disburse>| {
        std::thread::scope(|scope| {
            let all: Vec<_> = workloads.iter_mut().map(|workload| scope.spawn(|| run(workload))).collect();
            all.into_iter().map(|one| one.join().expect("it ends")).max().unwrap_or_default()
        })
    };
    (0..rounds).map(|_| round(&mut workloads)).min().unwrap_or_default()
}

/// An engine as production has it.
///
/// # Panics
/// When the machine cannot run it.
pub fn engine() -> Arc<Engine> {
    Arc::new(Engine::new(Config::default()).expect("the machine can run the engine"))
}

/// A kernel's text as a module with an empty interface description.
///
/// # Panics
/// When the text is none.
pub fn kernel(text: &str) -> Vec<u8> {
    kernel_with(text, &Interface { version: 1, name: "kernel".into(), ..Interface::default() })
}

/// A text as a module with this interface description.
///
/// # Panics
/// When the text is none.
pub fn kernel_with(text: &str, interface: &Interface) -> Vec<u8> {
    let escaped: String = interface.to_bytes().iter().map(|byte| format!("\\{byte:02x}")).collect();
    let end = text.rfind(')').expect("a module in the text format");
    let text = format!("{} (@custom \"chancery:interface\" \"{escaped}\"))", &text[..end]);
    chancery_engine::strip(&wat::parse_str(text).expect("a module in the text format")).expect("a module")
}
