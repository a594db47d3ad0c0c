//! cosmwasm-vm: the contract of `cosmwasm/`, pinned in the cache, with the state in its own mock of a store.

use crate::{Outcome, Payment, Runtime};
use chancery_load::BENEFICIARIES;
use cosmwasm_std::{Checksum, ContractResult, Empty, Env, MessageInfo, from_json};
use cosmwasm_vm::testing::{MockApi, MockQuerier, MockStorage, mock_backend, mock_env, mock_info};
use cosmwasm_vm::{
    Cache, CacheOptions, Instance, InstanceOptions, Size, call_execute, call_instantiate, call_query,
    capabilities_from_csv,
};
use tempfile::TempDir;

const CONTRACT: &[u8] = include_bytes!("../cosmwasm/disburse.wasm");
/// More than all calls of a run take on a kept instance.
const GAS: u64 = u64::MAX / 2;
const MEMORY: Size = Size::mebi(32);

/// Whether a call has an instance of its own, as on a chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Instances {
    /// Each call.
    Each,
    /// One is kept for all: what a call leaves in memory, the next one finds.
    Kept,
}

type Contract = Instance<MockApi, MockStorage, MockQuerier>;

/// The workload, set up.
pub struct CosmWasm {
    cache: Cache<MockApi, MockStorage, MockQuerier>,
    checksum: Checksum,
    instances: Instances,
    /// Always there between two calls.
    instance: Option<Contract>,
    env: Env,
    officer: MessageInfo,
    next: u64,
    _dir: TempDir,
}

impl CosmWasm {
    /// Deploys the contract and enrols the beneficiaries.
    pub fn new(instances: Instances) -> Outcome<Self> {
        let dir = tempfile::tempdir()?;
        let options = CacheOptions::new(dir.path(), capabilities_from_csv("iterator"), Size::mebi(200), MEMORY);
        // SAFETY: nobody else writes into the directory.
        let cache = unsafe { Cache::new(options)? };
        let checksum = cache.store_code(CONTRACT, true, true)?;
        cache.pin(&checksum)?;
        let mut instance = cache.get_instance(&checksum, mock_backend(&[]), InstanceOptions { gas_limit: GAS })?;
        let officer = mock_info(&MockApi::default().addr_make("officer"), &[]);
        let env = mock_env();
        let message = format!(r#"{{"budget":{}}}"#, 1u64 << 60);
        done(call_instantiate::<_, _, _, Empty>(&mut instance, &env, &officer, message.as_bytes())?)?;
        let mut contract =
            CosmWasm { cache, checksum, instances, instance: Some(instance), env, officer, next: 0, _dir: dir };
        (0..BENEFICIARIES)
            .try_for_each(|number| contract.execute(&format!(r#"{{"enrol":{{"beneficiary":{number}}}}}"#)))?;
        // Refusals refuse here too.
        let unknown = format!(r#"{{"disburse":{{"beneficiary":{BENEFICIARIES},"period":1,"amount":1}}}}"#);
        if contract.execute(&unknown).is_ok() {
            return Err("a payment to somebody who is not enrolled was made".into());
        }
        Ok(contract)
    }

    /// The instance that a call has: its own with the same store, or the one that is kept.
    fn instance(&mut self) -> Outcome<&mut Contract> {
        let kept = self.instance.take().ok_or("the last call has lost its instance")?;
        let instance = match self.instances {
            Instances::Kept => kept,
            Instances::Each => {
                let backend = kept.recycle().ok_or("the last call has lost its store")?;
                self.cache.get_instance(&self.checksum, backend, InstanceOptions { gas_limit: GAS })?
            }
        };
        Ok(self.instance.insert(instance))
    }

    fn execute(&mut self, message: &str) -> Outcome<()> {
        let (env, officer) = (self.env.clone(), self.officer.clone());
        let instance = self.instance()?;
        done(call_execute::<_, _, _, Empty>(instance, &env, &officer, message.as_bytes())?)
    }
}

fn done<T>(result: ContractResult<T>) -> Outcome<()> {
    result.into_result().map(drop).map_err(|problem| format!("a call was expected to be done: {problem}").into())
}

impl Runtime for CosmWasm {
    fn pay(&mut self) -> Outcome<()> {
        let Payment { beneficiary, period } = Payment::of(self.next);
        self.next += 1;
        let amount = Payment::AMOUNT;
        self.execute(&format!(r#"{{"disburse":{{"beneficiary":{beneficiary},"period":{period},"amount":{amount}}}}}"#))
    }

    fn total(&mut self) -> Outcome<Option<u64>> {
        let env = self.env.clone();
        let total = call_query(self.instance()?, &env, br#"{"total":{"beneficiary":0}}"#)?;
        let total = total.into_result()?;
        Ok(Some(from_json(total).map_err(|problem| problem.to_string())?))
    }
}
