//! Execution of one call, or one query, on a store. Nothing is ordered or recorded here: the sequencer, dry runs,
//! queries and audits all execute so.

use crate::NodeError;
use crate::blobs::Blobs;
use crate::metrics::CacheCounters;
use crate::registry::{self, ContractRecord, contract_id};
use chancery_engine::{Context, Engine, Execution, Invocation, Kind, Module, prices};
use chancery_state::Store;
use chancery_types::entry::{Rejection, WriteSet};
use chancery_types::interface::MethodKind;
use chancery_types::{Action, Call, ContractId, Gas, Height, LedgerId, ModuleId, Outcome, Timestamp, Trace};
use std::sync::Arc;

/// What executes a call, without ordering or recording it: dry runs and queries use the same code.
pub(crate) struct Executor {
    pub(crate) ledger: LedgerId,
    pub(crate) engine: Arc<Engine>,
    pub(crate) blobs: Arc<Blobs>,
    /// Modules that are loaded.
    pub(crate) modules: CacheCounters,
}

/// Where and when a call is executed.
#[derive(Clone, Copy)]
pub(crate) struct At {
    pub(crate) time: Timestamp,
    pub(crate) height: Height,
    pub(crate) index: u64,
}

/// A call executed.
pub(crate) struct Executed {
    pub(crate) contract: ContractId,
    pub(crate) module: ModuleId,
    pub(crate) execution: Execution,
}

pub(crate) fn rejected(rejection: Rejection) -> Executed {
    without_code(Outcome::Rejected { rejection })
}

/// A call of which no contract's code was executed.
fn without_code(outcome: Outcome) -> Executed {
    Executed {
        contract: ContractId::default(),
        module: ModuleId::default(),
        execution: Execution {
            outcome,
            gas: Gas(prices::REJECTED),
            events: Vec::new(),
            trace: Trace::default(),
            writes: WriteSet::new(),
            diagnostics: Vec::new(),
            costs: Vec::new(),
        },
    }
}

impl Executor {
    /// The module, loaded if need be.
    pub(crate) fn module(&self, id: &ModuleId) -> Result<Arc<Module>, NodeError> {
        let loaded = self.engine.loaded(id);
        self.modules.asked(loaded.is_some());
        if let Some(module) = loaded {
            return Ok(module);
        }
        Ok(self.engine.load(&self.blobs.read(id)?)?)
    }

    /// Executes a call on a store.
    pub(crate) fn execute(&self, call: &Call, at: At, store: Arc<dyn Store>) -> Result<Executed, NodeError> {
        if at.time > call.valid_until {
            return Ok(rejected(Rejection::Expired));
        }
        match &call.action {
            Action::Invoke { contract, method, arguments } => {
                let Some(record) = registry::find(&*store, contract)? else {
                    return Ok(rejected(Rejection::UnknownContract));
                };
                let module = self.module(&record.module)?;
                let found = module.interface.method(method).filter(|(_, method)| method.kind == MethodKind::Call);
                let Some((selector, _)) = found else {
                    return Ok(Executed {
                        contract: record.id,
                        module: record.module,
                        ..rejected(Rejection::UnknownMethod)
                    });
                };
                self.run(&module, &record, Kind::Call, selector, arguments, call, at, store)
            }
            Action::Deploy { name, module, arguments } => self.deploy(name, module, arguments, call, at, store),
        }
    }

    fn deploy(
        &self,
        name: &str,
        module: &ModuleId,
        arguments: &[u8],
        call: &Call,
        at: At,
        store: Arc<dyn Store>,
    ) -> Result<Executed, NodeError> {
        if registry::find(&*store, name)?.is_some() {
            return Ok(rejected(Rejection::NameTaken));
        }
        let loaded = match self.module(module) {
            Ok(module) => module,
            Err(NodeError::NoModule(_)) => return Ok(rejected(Rejection::UnknownModule)),
            Err(NodeError::NotAdmitted(_)) => return Ok(rejected(Rejection::NotAdmitted)),
            Err(error) => return Err(error),
        };
        let id = contract_id(&self.ledger, call.request, name);
        let record = ContractRecord { name: name.into(), id, module: *module, deployed: at.index, by: call.actor };
        let mut executed = match loaded.interface.init() {
            Some((selector, _)) => self.run(&loaded, &record, Kind::Init, selector, arguments, call, at, store)?,
            None if arguments.is_empty() => {
                Executed { contract: id, module: *module, ..without_code(Outcome::Done { result: Vec::new() }) }
            }
            None => Executed { contract: id, module: *module, ..rejected(Rejection::BadArguments) },
        };
        let Gas(gas) = executed.execution.gas;
        executed.execution.gas = Gas(gas.saturating_add(loaded.deploy_gas.0));
        if executed.execution.outcome.is_done() {
            // The registry's id is the smallest: the write set stays in order.
            executed.execution.writes.insert(0, registry::record(&record));
        }
        Ok(executed)
    }

    #[allow(clippy::too_many_arguments, reason = "what is executed, for whom, where: each is one thing")]
    fn run(
        &self,
        module: &Module,
        record: &ContractRecord,
        kind: Kind,
        selector: u32,
        arguments: &[u8],
        call: &Call,
        at: At,
        store: Arc<dyn Store>,
    ) -> Result<Executed, NodeError> {
        let context = Context {
            actor: call.actor,
            contract: record.id,
            ledger: self.ledger,
            time: at.time,
            height: at.height,
            request: call.request,
        };
        let arguments = arguments.to_vec();
        let invocation = Invocation { kind, selector, arguments, context, gas: prices::CALL_GAS_MAX };
        let execution = self.engine.execute(module, invocation, store)?;
        Ok(Executed { contract: record.id, module: record.module, execution })
    }

    /// Executes a query.
    pub(crate) fn query(
        &self,
        contract: &str,
        method: &str,
        call: &Call,
        arguments: &[u8],
        at: At,
        store: Arc<dyn Store>,
    ) -> Result<Execution, NodeError> {
        let record = registry::find(&*store, contract)?.ok_or_else(|| NodeError::NoContract(contract.into()))?;
        let module = self.module(&record.module)?;
        let queries = || module.interface.methods.iter().filter(|method| method.kind == MethodKind::Query);
        let found = module.interface.method(method).filter(|(_, method)| method.kind == MethodKind::Query);
        let (selector, _) = found.ok_or_else(|| NodeError::NoMethod {
            contract: contract.into(),
            method: method.into(),
            expected: format!(
                "its queries are {}",
                queries().map(|method| method.name.as_str()).collect::<Vec<_>>().join(", ")
            ),
        })?;
        Ok(self.run(&module, &record, Kind::Query, selector, arguments, call, at, store)?.execution)
    }
}
