//! What the benches share: the workload `disburse` in memory and on a ledger, and kernels with and without instrumentation.
//!
//! ```sh
//! cargo run --release -p chancery-benches     # the figures P1 to P8, as a table; --json FILE writes them
//! cargo bench -p chancery-benches             # the parts; each ratio is measured in one run
//! cargo bench -p chancery-benches -- --test   # each once, so that they cannot rot
//! ```

pub mod kernels;
pub mod measure;

use chancery_engine::{Config, Context, Engine, Invocation, Kind, Module, prices};
use chancery_node::{Ledger, Options};
use chancery_state::MemoryStore;
use chancery_types::codec::Encode;
use chancery_types::money::{Amount, Usd};
use chancery_types::{
    Action, Call, ContractId, Height, Interface, LedgerId, PublicKey, RequestId, SignedCall, Timestamp,
};
use ed25519_dalek::SigningKey;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// As the command line has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The built module of the workload.
pub const DISBURSE: &[u8] = include_bytes!("../../contracts/dist/disburse-bench.wasm");
/// The largest real contract.
pub const LARGEST: &[u8] = include_bytes!("../../contracts/dist/business-licence.wasm");
/// Beneficiaries that are enrolled in a programme.
pub const BENEFICIARIES: u64 = 100;
/// Programmes of a [`Town`].
pub const PROGRAMMES: u8 = 64;

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
        let context = Context {
            actor: self.officer,
            contract: ContractId([1; 32]),
            ledger: LedgerId([2; 32]),
            time: Timestamp(1),
            height: Height(1),
            request: RequestId(1),
        };
        let invocation = Invocation { kind, selector, arguments, context, gas: prices::CALL_GAS_MAX };
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

/// The arguments of payment `number`: beneficiaries in turn, then the next period.
fn payment(number: u64) -> Vec<u8> {
    let period = u32::try_from(number / BENEFICIARIES).expect("few periods");
    (number % BENEFICIARIES, period, Amount::<Usd>::from_minor(100)).to_bytes()
}

/// An engine as production has it.
///
/// # Panics
/// When the machine cannot run it.
pub fn engine() -> Arc<Engine> {
    Arc::new(Engine::new(Config::default()).expect("the machine can run the engine"))
}

/// The workload on a ledger: signed, ordered, durable. As many programmes as there are submitters, each with an officer of its own.
pub struct Town {
    /// The ledger.
    pub ledger: Ledger,
    officers: Vec<SigningKey>,
    next: u64,
}

impl Town {
    /// Makes a ledger in a directory and sets the workload up.
    ///
    /// # Panics
    /// When the disk fails.
    pub fn new(dir: &Path) -> Self {
        let log_key = SigningKey::from_bytes(&[9; 32]);
        let ledger =
            Ledger::create(dir, "ledger.example/bench", &log_key, Options::default()).expect("a fresh directory");
        let (module, _) = ledger.put_module(DISBURSE).expect("the workload is admitted");
        let officers = (0..PROGRAMMES).map(|number| SigningKey::from_bytes(&[number; 32])).collect();
        let town = Town { ledger, officers, next: 0 };
        let arguments = Amount::<Usd>::whole(1 << 40).to_bytes();
        let deploy = |number| Action::Deploy { name: programme(number), module, arguments: arguments.clone() };
        let mut request = 1 << 100;
        let mut sign = |number: u8, action| {
            request += 1;
            town.sign(number, request, action)
        };
        let deploys = (0..PROGRAMMES).map(|number| sign(number, deploy(number))).collect();
        let enrol = |number: u64| ("enrol", number.to_bytes());
        let enrols = (0..PROGRAMMES).flat_map(|programme| (0..BENEFICIARIES).map(move |number| (programme, number)));
        let enrols = enrols.map(|(programme, number)| sign(programme, invoke(programme, enrol(number)))).collect();
        town.submit(deploys);
        town.submit(enrols);
        town
    }

    fn sign(&self, programme: u8, request: u128, action: Action) -> SignedCall {
        let officer = &self.officers[usize::from(programme)];
        let actor = PublicKey(officer.verifying_key().to_bytes());
        let valid_until = Timestamp(u64::MAX);
        SignedCall::sign(
            Call { ledger: self.ledger.id(), actor, request: RequestId(request), valid_until, action },
            officer,
        )
    }

    /// The same town, whose log is not published any more: the log key is not at hand.
    ///
    /// # Panics
    /// When the disk fails.
    #[must_use]
    pub fn unpublished(self, dir: &Path) -> Self {
        self.ledger.close().expect("the disk has room");
        Town { ledger: Ledger::open(dir, Options::default()).expect("a sound ledger"), ..self }
    }

    /// So many payments, signed: by the officers in turn.
    pub fn payments(&mut self, count: u64) -> Vec<SignedCall> {
        let from = self.next;
        self.next += count;
        let sign = |number: u64| {
            let programmes = u64::from(PROGRAMMES);
            let programme = u8::try_from(number % programmes).expect("few programmes");
            self.sign(programme, number.into(), invoke(programme, ("disburse", payment(number / programmes))))
        };
        (from..self.next).map(sign).collect()
    }

    /// Submits calls one by one without waiting, then waits for all.
    ///
    /// # Panics
    /// When one is not done.
    pub fn submit(&self, calls: Vec<SignedCall>) {
        let tickets: Vec<_> = calls.into_iter().map(|call| self.ledger.submit(call).expect("it is ordered")).collect();
        for ticket in tickets {
            let answer = ticket.wait().expect("it is recorded");
            assert!(answer.outcome().is_some_and(chancery_types::Outcome::is_done));
        }
    }

    /// Submits calls from so many threads, each waiting for an answer before its next call.
    pub fn submit_from(&self, threads: usize, calls: Vec<SignedCall>) {
        let share = calls.len().div_ceil(threads).max(1);
        let mut calls = calls;
        std::thread::scope(|scope| {
            while !calls.is_empty() {
                let part = calls.split_off(calls.len().saturating_sub(share));
                let submitter = std::thread::Builder::new().name("submitter".into());
                let run = move || part.into_iter().for_each(|call| self.submit(vec![call]));
                submitter.spawn_scoped(scope, run).expect("a thread");
            }
        });
    }
}

fn programme(number: u8) -> String {
    format!("programme-{number}")
}

fn invoke(number: u8, (method, arguments): (&str, Vec<u8>)) -> Action {
    Action::Invoke { contract: programme(number), method: method.into(), arguments }
}

/// A kernel's text as a module with an empty interface description.
///
/// # Panics
/// When the text is none.
pub fn kernel(text: &str) -> Vec<u8> {
    let interface = Interface { version: 1, name: "kernel".into(), ..Interface::default() };
    let escaped: String = interface.to_bytes().iter().map(|byte| format!("\\{byte:02x}")).collect();
    let end = text.rfind(')').expect("a module in the text format");
    let text = format!("{} (@custom \"chancery:interface\" \"{escaped}\"))", &text[..end]);
    chancery_engine::strip(&wat::parse_str(text).expect("a module in the text format")).expect("a module")
}
