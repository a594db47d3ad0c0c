//! A ledger in small: actors, a clock, one contract.

use crate::native;
use chancery_engine::{Config, Context, Engine, Execution, Invocation, Kind, Module, prices, sources};
use chancery_sdk::native::Contract;
use chancery_state::{MemoryStore, Store};
use chancery_types::call::ARGUMENTS_BYTES_MAX;
use chancery_types::codec::{Decode, Encode};
use chancery_types::entry::{Rejection, WriteSet};
use chancery_types::interface::{MethodKind, Variant};
use chancery_types::{
    ContractId, Event, Gas, Height, Interface, LedgerId, Outcome, PublicKey, RequestId, Signature, Step, Timestamp,
};
use ed25519_dalek::{Signer, SigningKey};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// Somebody with a key, the same for the same name.
#[derive(Clone)]
pub struct Actor {
    key: SigningKey,
}

impl Actor {
    /// The public key.
    pub fn key(&self) -> PublicKey {
        PublicKey(self.key.verifying_key().to_bytes())
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.key.sign(message).to_bytes())
    }
}

/// What came of a call.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The outcome.
    pub outcome: Outcome,
    /// The events.
    pub events: Vec<Event>,
    /// The decision trace.
    pub trace: Vec<Step>,
    /// The writes.
    pub writes: WriteSet,
    /// What it cost; of meaning in the run on the engine.
    pub gas: Gas,
    interface: Arc<Interface>,
}

impl Answer {
    /// The result of a call that is done.
    ///
    /// # Panics
    /// When it is not, with what came of it.
    #[track_caller]
    pub fn done<T: Decode>(&self) -> T {
        match &self.outcome {
            Outcome::Done { result } => T::from_bytes(result).expect("the result is of this type"),
            _ => panic!("expected the call to be done, it was {}", self.describe()),
        }
    }

    /// The name of the error of a refused call.
    ///
    /// # Panics
    /// When it was not refused.
    #[track_caller]
    pub fn refused(&self) -> &str {
        match &self.outcome {
            Outcome::Refused { code, .. } => name_of(&self.interface.errors, *code),
            _ => panic!("expected the call to be refused, it was {}", self.describe()),
        }
    }

    /// The rules and provisions that a refusal names; none for any other outcome.
    pub fn reasons(&self) -> &[String] {
        if let Outcome::Refused { reasons, .. } = &self.outcome { reasons } else { &[] }
    }

    /// The names of the events.
    pub fn event_names(&self) -> Vec<&str> {
        self.events.iter().map(|event| name_of(&self.interface.events, event.kind)).collect()
    }

    fn describe(&self) -> String {
        match &self.outcome {
            Outcome::Refused { code, reasons, .. } => {
                format!("refused with {}: {}", name_of(&self.interface.errors, *code), reasons.join("; "))
            }
            other => format!("{other:?}"),
        }
    }
}

/// The name of an event or error. Past the macros, `host::event` and `host::fault` take any number.
fn name_of(variants: &[Variant], number: u16) -> &str {
    variants.get(usize::from(number)).map_or("(not in the interface description)", |variant| &variant.name)
}

/// How the contract's code runs.
enum Runner {
    Native(Contract),
    Wasm(Arc<Module>),
}

static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(Config::default()).expect("the machine can run the engine"));

/// What a call came to, by its method's name: both runners must say the same.
type Said = (String, Outcome, Vec<Event>, WriteSet, Vec<Step>);

/// A contract on a ledger of its own. Nothing is deployed yet.
pub struct World {
    runner: Runner,
    interface: Arc<Interface>,
    store: Arc<MemoryStore>,
    time: Timestamp,
    deployed: bool,
    /// Blocks so far: each deployment and call has one of its own, a query none.
    height: u64,
    transcript: Vec<Said>,
    /// The calls of the run on the engine, encoded: kind, selector, arguments, context.
    invocations: Vec<u8>,
    costs: BTreeMap<(String, &'static str), (u64, u64)>,
}

/// Set to 1, [`run`] is [`run_native`].
const NATIVE_ONLY: &str = "CHANCERY_NATIVE_ONLY";

/// Runs a test natively, and on the engine with the built module; both must give the same. With `CHANCERY_NATIVE_ONLY=1` it runs natively alone.
///
/// # Panics
/// When the test does, the two differ, there is no module, or it is older than the code.
pub fn run(contract: Contract, name: &str, test: impl Fn(&mut World)) {
    let native = on(Runner::Native(contract), contract, &test);
    if std::env::var_os(NATIVE_ONLY).is_some_and(|value| value == "1") {
        return;
    }
    let path = module_path(contract.package, name).unwrap_or_else(|| {
        panic!(
            "the test passed natively, and no dist/{name}.wasm was found to run it on: run `chancery build`, or set {NATIVE_ONLY}=1 to test natively only"
        )
    });
    check_sources(contract.package, &path);
    let wasm = std::fs::read(&path).expect("the module can be read");
    let module = ENGINE.load(&wasm).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(
        module.interface.to_bytes() == contract.interface,
        "{} has another interface description than the contract's code: run `chancery build`",
        path.display()
    );
    let wasm = on(Runner::Wasm(module), contract, &test);
    assert_eq!(native.transcript.len(), wasm.transcript.len(), "the test made another number of calls");
    for (number, (native, wasm)) in native.transcript.iter().zip(&wasm.transcript).enumerate() {
        assert_eq!(native, wasm, "call {number} ({}): native (left) and wasm (right) differ", native.0);
    }
    wasm.print_costs(name);
    wasm.keep_invocations(name);
}

/// Runs a test natively only, for what is no module, such as a contract within a test.
///
/// # Panics
/// When the test does.
pub fn run_native(contract: Contract, test: impl FnOnce(&mut World)) {
    on(Runner::Native(contract), contract, test);
}

/// The world that a test leaves behind.
fn on(runner: Runner, contract: Contract, test: impl FnOnce(&mut World)) -> World {
    let mut world = World::new(runner, contract.interface);
    test(&mut world);
    world
}

/// `dist/NAME.wasm` or `contracts/dist/NAME.wasm` of the package or a directory above it.
fn module_path(package: &str, name: &str) -> Option<PathBuf> {
    let places = ["dist", "contracts/dist"];
    Path::new(package)
        .ancestors()
        .flat_map(|above| places.map(|place| above.join(place).join(format!("{name}.wasm"))))
        .find(|path| path.is_file())
}

/// Stops a test on a module that was built from other sources than the package has now: what it says would be of the code of then.
fn check_sources(package: &str, module: &Path) {
    let file = module.with_extension("sources");
    let before = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("{}: {error}; run `chancery build`, which writes it beside the module", file.display())
    });
    let now = sources::of(Path::new(package)).unwrap_or_else(|error| panic!("the contract's sources: {error}"));
    let changed: Vec<&str> = sources::changed(&before, &now).into_iter().collect();
    assert!(
        changed.is_empty(),
        "{} was built before {} changed: run `chancery build`",
        module.display(),
        changed.join(", ")
    );
}

/// The arguments of a call that a ledger records.
#[track_caller]
fn recordable(arguments: impl Encode) -> Vec<u8> {
    let (arguments, most) = (arguments.to_bytes(), ARGUMENTS_BYTES_MAX);
    assert!(arguments.len() <= most, "the arguments have {} bytes, and a ledger takes {most} at most", arguments.len());
    arguments
}

const CONTRACT_ID: ContractId = ContractId([0xc0; 32]);

impl World {
    fn new(runner: Runner, interface: &[u8]) -> Self {
        World {
            runner,
            interface: Arc::new(Interface::from_bytes(interface).expect("the macro writes a valid description")),
            store: Arc::new(MemoryStore::new()),
            time: Timestamp(0),
            deployed: false,
            height: 0,
            transcript: Vec::new(),
            invocations: Vec::new(),
            costs: BTreeMap::new(),
        }
    }

    /// The actor with this name.
    pub fn actor(&self, name: &str) -> Actor {
        Actor { key: SigningKey::from_bytes(blake3::hash(name.as_bytes()).as_bytes()) }
    }

    /// Sets the day (`2024-01-05`, from its beginning on) or the instant (`2024-01-05T16:30:00Z`) of the calls to come. Both are in UTC.
    ///
    /// # Panics
    /// When it is neither, or lies before 1970.
    pub fn at(&mut self, time: &str) -> &mut Self {
        self.time = Timestamp::parse(time).unwrap_or_else(|| {
            panic!("`{time}` is no time of a block: expected YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ, from 1970 on")
        });
        self
    }

    /// The id that the contract has here.
    pub fn contract_id(&self) -> ContractId {
        CONTRACT_ID
    }

    /// Deploys the contract: runs `init` with these arguments, if it has one; without one it takes no arguments. A deployment that is not done
    /// may be made again.
    ///
    /// # Panics
    /// When the contract is deployed, or a ledger would not record the call because of the length of its arguments.
    #[track_caller]
    pub fn deploy(&mut self, actor: &Actor, arguments: impl Encode) -> Answer {
        assert!(!self.deployed, "the contract is deployed already: a world has one");
        let arguments = recordable(arguments);
        let answer = match self.interface.init() {
            Some((selector, method)) => {
                let name = method.name.clone();
                self.execute(Kind::Init, selector, &name, actor, arguments)
            }
            None => {
                self.height += 1;
                let outcome = if arguments.is_empty() {
                    Outcome::Done { result: Vec::new() }
                } else {
                    Outcome::Rejected { rejection: Rejection::BadArguments }
                };
                Answer {
                    outcome,
                    events: Vec::new(),
                    trace: Vec::new(),
                    writes: WriteSet::new(),
                    gas: Gas(0),
                    interface: self.interface.clone(),
                }
            }
        };
        self.deployed = answer.outcome.is_done();
        answer
    }

    /// Calls a method with its arguments in order: `(case, 5u32)`.
    ///
    /// # Panics
    /// When the contract is not deployed, there is no such method, or a ledger would not record the call because of the length of its arguments.
    #[track_caller]
    pub fn call(&mut self, actor: &Actor, method: &str, arguments: impl Encode) -> Answer {
        let selector = self.selector(method, MethodKind::Call);
        self.execute(Kind::Call, selector, method, actor, recordable(arguments))
    }

    /// Asks a query. It sees the height and time of the block to come, as a call would, and has request id 0.
    ///
    /// # Panics
    /// When the contract is not deployed, or there is no such method.
    #[track_caller]
    pub fn query(&mut self, method: &str, arguments: impl Encode) -> Answer {
        let selector = self.selector(method, MethodKind::Query);
        let reader = self.actor("reader");
        self.execute(Kind::Query, selector, method, &reader, arguments.to_bytes())
    }

    #[track_caller]
    fn selector(&self, method: &str, kind: MethodKind) -> u32 {
        assert!(
            self.deployed,
            "the contract is not deployed: `world.deploy(&actor, arguments)` comes before `{method}`"
        );
        let found = self.interface.method(method).filter(|(_, method)| method.kind == kind);
        found.unwrap_or_else(|| panic!("the contract has no {kind:?} method `{method}`")).0
    }

    fn execute(&mut self, kind: Kind, selector: u32, method: &str, actor: &Actor, arguments: Vec<u8>) -> Answer {
        let height = self.height + 1;
        let is_query = matches!(kind, Kind::Query);
        if !is_query {
            self.height = height;
        }
        let context = Context {
            actor: actor.key(),
            contract: CONTRACT_ID,
            ledger: LedgerId([0x1e; 32]),
            time: self.time,
            height: Height(height),
            request: RequestId(if is_query { 0 } else { height.into() }),
        };
        let invocation = Invocation { kind, selector, arguments, context, gas: prices::CALL_GAS_MAX };
        if matches!(self.runner, Runner::Wasm(_)) {
            (kind as u8, selector, invocation.arguments.clone(), invocation.context.to_bytes())
                .encode(&mut self.invocations);
        }
        let store: Arc<dyn Store> = self.store.clone();
        let execution = match &self.runner {
            Runner::Native(contract) => native::execute(contract, invocation, store),
            Runner::Wasm(module) => ENGINE.execute(module, invocation, store),
        };
        let Execution { outcome, gas, events, trace, writes, diagnostics, costs } = execution.expect("the host works");
        let trace = trace.steps();
        diagnostics.iter().for_each(|line| println!("{method}: {line}"));
        self.store.apply(&writes);
        self.transcript.push((method.into(), outcome.clone(), events.clone(), writes.clone(), trace.clone()));
        let mut add = |part, calls, gas: Gas| {
            let cost = self.costs.entry((method.to_string(), part)).or_default();
            *cost = (cost.0 + calls, cost.1 + gas.0);
        };
        add("", 1, gas);
        costs.iter().for_each(|cost| add(cost.function, cost.calls, cost.gas));
        Answer { outcome, events, trace, writes, gas, interface: self.interface.clone() }
    }

    /// Keeps the calls where `CHANCERY_TRANSCRIPTS` names a directory: the engine's tests make them again on every backend.
    fn keep_invocations(&self, name: &str) {
        let Some(dir) = std::env::var_os("CHANCERY_TRANSCRIPTS") else { return };
        let test = std::thread::current().name().unwrap_or("main").replace("::", "-");
        let path = PathBuf::from(dir).join(format!("{name}.{test}.calls"));
        std::fs::write(&path, &self.invocations).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Gas by method and host function; the line without a host function is the whole method.
    fn print_costs(&self, name: &str) {
        println!("{name:<28} {:<16} {:>8} {:>14} {:>12}", "host function", "calls", "gas", "per call");
        for ((method, part), (calls, gas)) in &self.costs {
            let method = if part.is_empty() { method.as_str() } else { "" };
            println!("{method:<28} {part:<16} {calls:>8} {gas:>14} {:>12}", gas / calls);
        }
    }
}
