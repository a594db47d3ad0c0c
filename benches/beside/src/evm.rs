//! revm: the contract of `evm/Disburse.sol`, with the state in its own in-memory database.

use crate::{Outcome, Payment, Runtime};
use chancery_load::BENEFICIARIES;
use revm::context::result::{ExecutionResult, Output};
use revm::context::{BlockEnv, CfgEnv, Journal, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::primitives::{Address, Bytes, TxKind, keccak256};
use revm::{Context, ExecuteCommitEvm, MainBuilder, MainContext, MainnetEvm};

type Database = CacheDB<EmptyDB>;

/// The officer who deploys and pays.
const OFFICER: Address = Address::repeat_byte(7);
/// More than any call of the load takes.
const GAS: u64 = 1_000_000;

/// The workload, set up.
pub struct Evm {
    evm: MainnetEvm<Context<BlockEnv, TxEnv, CfgEnv, Database, Journal<Database>, ()>>,
    contract: Address,
    disburse: [u8; 4],
    nonce: u64,
    next: u64,
}

fn selector(signature: &str) -> [u8; 4] {
    let [a, b, c, d, ..] = keccak256(signature).0;
    [a, b, c, d]
}

/// A call as Solidity encodes it: each argument in 32 bytes.
fn encode<const N: usize>(selector: [u8; 4], arguments: [u64; N]) -> Bytes {
    let mut data = Vec::with_capacity(4 + 32 * N);
    data.extend(selector);
    for argument in arguments {
        data.extend([0; 24]);
        data.extend(argument.to_be_bytes());
    }
    data.into()
}

impl Evm {
    /// Deploys the contract and enrols the beneficiaries.
    pub fn new() -> Outcome<Self> {
        let evm = Context::mainnet().with_db(Database::default()).build_mainnet();
        let mut evm = Evm {
            evm,
            contract: Address::ZERO,
            disburse: selector("disburse(uint64,uint32,uint64)"),
            nonce: 0,
            next: 0,
        };
        let mut code = hex::decode(include_str!("../evm/disburse.hex").trim())?;
        code.extend_from_slice(&encode([0; 4], [1 << 60])[4..]);
        evm.contract = match evm.transact(TxKind::Create, code.into())? {
            Output::Create(_, Some(address)) => address,
            other => return Err(format!("the contract was not created: {other:?}").into()),
        };
        let enrol = selector("enrol(uint64)");
        (0..BENEFICIARIES).try_for_each(|number| evm.call(encode(enrol, [number])).map(drop))?;
        // Refusals refuse here too.
        if evm.call(encode(evm.disburse, [BENEFICIARIES, 1, 1])).is_ok() {
            return Err("a payment to somebody who is not enrolled was made".into());
        }
        Ok(evm)
    }

    fn transact(&mut self, kind: TxKind, data: Bytes) -> Outcome<Output> {
        let call = TxEnv { caller: OFFICER, gas_limit: GAS, kind, data, nonce: self.nonce, ..TxEnv::default() };
        self.nonce += 1;
        match self.evm.transact_commit(call)? {
            ExecutionResult::Success { output, .. } => Ok(output),
            other => Err(format!("a call was expected to be done, and was {other:?}").into()),
        }
    }

    fn call(&mut self, data: Bytes) -> Outcome<Output> {
        self.transact(TxKind::Call(self.contract), data)
    }
}

impl Runtime for Evm {
    fn pay(&mut self) -> Outcome<()> {
        let Payment { beneficiary, period } = Payment::of(self.next);
        self.next += 1;
        self.call(encode(self.disburse, [beneficiary, period.into(), Payment::AMOUNT])).map(drop)
    }

    fn total(&mut self) -> Outcome<Option<u64>> {
        let output = self.call(encode(selector("total(uint64)"), [0]))?;
        let word = output.data().get(24..32).and_then(|bytes| bytes.try_into().ok());
        Ok(word.map(u64::from_be_bytes))
    }
}
