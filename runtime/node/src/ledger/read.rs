//! Reading a ledger: committed state, queries, entries, modules. Nothing here leaves a trace in the log.

use super::Ledger;
use crate::answer::first_answer;
use crate::execute::At;
use crate::registry::{self, ContractRecord};
use crate::{Answer, NodeError, decode, stack};
use chancery_engine::Execution;
use chancery_state::{Pair, Scan, Store};
use chancery_types::entry::Effects;
use chancery_types::{Action, Call, ContractId, Entry, Height, Interface, ModuleId, PublicKey, RequestId};
use std::sync::Arc;

impl Ledger {
    fn next(&self) -> At {
        let head = self.head();
        At { time: self.now(), height: Height(head.height.0 + 1), index: head.size }
    }

    /// Where and when the next block would execute, and on what.
    pub(crate) fn next_with_store(&self) -> (At, Arc<dyn Store>) {
        (self.next(), self.committed.clone())
    }

    /// Executes a call as the next block would, and records nothing.
    ///
    /// # Errors
    /// A fault of the node.
    pub fn dry_run(&self, call: &Call) -> Result<Execution, NodeError> {
        let (at, store) = (self.next(), self.committed.clone());
        stack::on_large(|| Ok(self.executor.execute(call, at, store)?.execution))
    }

    /// Executes a query on committed state.
    ///
    /// # Errors
    /// [`NodeError::NoContract`], [`NodeError::NoMethod`], or a fault of the node.
    pub fn query(
        &self,
        contract: &str,
        method: &str,
        arguments: Vec<u8>,
        actor: PublicKey,
    ) -> Result<Execution, NodeError> {
        let (at, store) = (self.next(), self.committed.clone());
        let action = Action::Invoke { contract: contract.into(), method: method.into(), arguments: Vec::new() };
        let call = Call { ledger: self.id, actor, request: RequestId(0), valid_until: at.time, action };
        stack::on_large(|| self.executor.query(contract, method, &call, &arguments, at, store))
    }

    /// The contract with this name.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn contract(&self, name: &str) -> Result<Option<ContractRecord>, NodeError> {
        registry::find(&*self.committed, name)
    }

    /// All contracts, by name.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn contracts(&self) -> Result<Vec<ContractRecord>, NodeError> {
        registry::list(&*self.committed)
    }

    /// A committed value.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn state_get(&self, contract: &ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, NodeError> {
        Ok(self.committed.get(contract, key)?)
    }

    /// Committed pairs of a range.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn state_scan(&self, contract: &ContractId, range: &Scan) -> Result<Vec<Pair>, NodeError> {
        Ok(self.committed.scan(contract, range)?)
    }

    /// The index of the entry that a request led to.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn find(&self, request: RequestId) -> Result<Option<u64>, NodeError> {
        self.committed.request(request)
    }

    /// An entry and what the journal keeps beside it.
    ///
    /// # Errors
    /// [`NodeError::NoEntry`], or what reading meets.
    pub fn entry(&self, index: u64) -> Result<(Entry, Effects), NodeError> {
        let (entry, effects) = self.reader.read(index)?;
        let effects = effects.map(|bytes| decode::effects(index, &bytes)).transpose()?;
        Ok((decode::entry(index, &entry)?, effects.unwrap_or_default()))
    }

    /// The answer that an entry holds.
    ///
    /// # Errors
    /// As [`Ledger::entry`].
    pub fn answer(&self, index: u64) -> Result<Answer, NodeError> {
        first_answer(&self.reader, index)
    }

    /// The interface of a module of this ledger.
    ///
    /// # Errors
    /// [`NodeError::NoModule`], or what loading meets.
    pub fn interface(&self, module: &ModuleId) -> Result<Interface, NodeError> {
        Ok(self.executor.module(module)?.interface.clone())
    }

    /// A module's bytes.
    ///
    /// # Errors
    /// [`NodeError::NoModule`], or what reading meets.
    pub fn module_bytes(&self, module: &ModuleId) -> Result<Vec<u8>, NodeError> {
        self.blobs.read(module)
    }
}
