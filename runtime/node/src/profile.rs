//! Where the gas of a call would go: a dry run on an engine that profiles. Nothing is ordered, signed or recorded.
//!
//! The call runs [`RUNS`] times on the same state, each as if it were the only one; gas is the same each time, and the
//! profile of the fastest is given, since what disturbs a run makes it slower.

use crate::NodeError;
use crate::execute::At;
use crate::ledger::Ledger;
use crate::stack;
use chancery_engine::profile::{Names, Profile};
use chancery_engine::{Config, Context, Engine, Execution, Invocation, Kind, Module, Profiler, prices};
use chancery_state::{MemoryStore, Store};
use chancery_types::interface::MethodKind;
use chancery_types::{ContractId, Height, LedgerId, PublicKey, RequestId, Timestamp};
use std::sync::Arc;

/// How often the call is run.
pub const RUNS: u32 = 20;

/// What is profiled.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// A method of any kind.
    pub method: String,
    /// Its encoded arguments.
    pub arguments: Vec<u8>,
    /// Who calls or asks.
    pub actor: PublicKey,
    /// What the functions of the module are called.
    pub names: Names,
}

/// A profile, with what the call would have come to.
#[derive(Clone, Debug)]
pub struct Profiled {
    /// Everything that the execution gave.
    pub execution: Execution,
    /// Where its gas went; nothing, where the call ended before any code ran.
    pub profile: Profile,
}

impl Ledger {
    /// Profiles a call of a deployed contract, as the next block would execute it; with another module in the place of
    /// its own, if one is given.
    ///
    /// # Errors
    /// [`NodeError::NoContract`], [`NodeError::NoMethod`], a module that is not admitted, or a fault of the node.
    pub fn profile(&self, contract: &str, module: Option<&[u8]>, subject: Subject) -> Result<Profiled, NodeError> {
        let record = self.contract(contract)?.ok_or_else(|| NodeError::NoContract(contract.into()))?;
        let wasm = module.map_or_else(|| self.module_bytes(&record.module), |wasm| Ok(wasm.into()))?;
        let (At { time, height, .. }, store) = self.next_with_store();
        let actor = subject.actor;
        let context = Context { actor, contract: record.id, ledger: self.id(), time, height, request: RequestId(0) };
        stack::on_large(|| Bench::new(&wasm, context, &subject.names)?.fastest(contract, &subject, store))
    }
}

/// Profiles a call of a module on a state that is empty but for what its `init` writes, if arguments for it are given.
///
/// # Errors
/// [`NodeError::NoMethod`], a module that is not admitted, an `init` that is not done, or a fault of the node.
pub fn profile_module(wasm: &[u8], init: Option<Vec<u8>>, subject: Subject) -> Result<Profiled, NodeError> {
    let context = Context {
        actor: subject.actor,
        contract: ContractId([1; 32]),
        ledger: LedgerId::default(),
        time: Timestamp(0),
        height: Height(1),
        request: RequestId(0),
    };
    stack::on_large(|| {
        let bench = Bench::new(wasm, context, &subject.names)?;
        let store = Arc::new(MemoryStore::new());
        if let Some(arguments) = init {
            let (selector, _) = bench.module.interface.init().ok_or_else(|| bench.no_method("the module", "init"))?;
            let execution = bench.run(Kind::Init, selector, &arguments, store.clone())?.execution;
            if !execution.outcome.is_done() {
                return Err(NodeError::NotProfiled(format!("its init is not done: {}", execution.outcome.word())));
            }
            store.apply(&execution.writes);
        }
        bench.fastest("the module", &subject, store)
    })
}

/// A module on an engine that profiles.
struct Bench {
    engine: Engine,
    module: Arc<Module>,
    profiler: Arc<Profiler>,
    context: Context,
}

impl Bench {
    fn new(wasm: &[u8], context: Context, names: &Names) -> Result<Bench, NodeError> {
        let profiler = Arc::new(Profiler::new(names.clone()));
        let engine = Engine::new(Config { profiler: Some(profiler.clone()), ..Config::default() })?;
        let module = engine.load(wasm)?;
        Ok(Bench { engine, module, profiler, context })
    }

    fn no_method(&self, contract: &str, method: &str) -> NodeError {
        let methods: Vec<&str> = self.module.interface.methods.iter().map(|method| method.name.as_str()).collect();
        let expected = format!("its methods are {}", methods.join(", "));
        NodeError::NoMethod { contract: contract.into(), method: method.into(), expected }
    }

    fn run(&self, kind: Kind, selector: u32, arguments: &[u8], store: Arc<dyn Store>) -> Result<Profiled, NodeError> {
        let (arguments, context) = (arguments.to_vec(), self.context.clone());
        let invocation = Invocation { kind, selector, arguments, context, gas: prices::CALL_GAS_MAX };
        let execution = self.engine.execute(&self.module, invocation, store)?;
        Ok(Profiled { execution, profile: self.profiler.take().unwrap_or_default() })
    }

    fn fastest(&self, contract: &str, subject: &Subject, store: Arc<dyn Store>) -> Result<Profiled, NodeError> {
        let found = self.module.interface.method(&subject.method);
        let (selector, method) = found.ok_or_else(|| self.no_method(contract, &subject.method))?;
        let kind = match method.kind {
            MethodKind::Init => Kind::Init,
            MethodKind::Call => Kind::Call,
            MethodKind::Query => Kind::Query,
        };
        let run = || self.run(kind, selector, &subject.arguments, store.clone());
        let mut fastest = run()?;
        for _ in 1..RUNS {
            let again = run()?;
            if again.profile.time() < fastest.profile.time() {
                fastest = again;
            }
        }
        Ok(fastest)
    }
}
