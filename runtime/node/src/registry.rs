//! Which contracts there are: records in the state, so that the state root covers them.
//!
//! A record stands under the contract id zero, key `contract/` ‖ name. Its value is the encoding of the
//! [`ContractRecord`]. A contract's id is BLAKE3-derive-key("chancery 2026 contract id v1", ledger ‖ deploying request,
//! u128 LE ‖ name).

use crate::NodeError;
use chancery_state::{Scan, Store};
use chancery_types::codec::{Decode, DecodeError, Encode, Reader};
use chancery_types::entry::Write;
use chancery_types::{ContractId, LedgerId, ModuleId, PublicKey, RequestId};

/// Whose keys the records are.
pub const REGISTRY: ContractId = ContractId([0; 32]);
const PREFIX: &[u8] = b"contract/";

/// A deployed contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractRecord {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: ContractId,
    /// The module that answers.
    pub module: ModuleId,
    /// Index of the entry that deployed it.
    pub deployed: u64,
    /// Who deployed it.
    pub by: PublicKey,
}

impl Encode for ContractRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        (&self.name, self.id, self.module).encode(out);
        (self.deployed, self.by).encode(out);
    }
}

impl Decode for ContractRecord {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (name, id, module) = Decode::decode(reader)?;
        let (deployed, by) = Decode::decode(reader)?;
        Ok(ContractRecord { name, id, module, deployed, by })
    }
}

/// The id of a contract that is being deployed.
pub fn contract_id(ledger: &LedgerId, request: RequestId, name: &str) -> ContractId {
    let mut hasher = blake3::Hasher::new_derive_key("chancery 2026 contract id v1");
    hasher.update(&ledger.0).update(&request.0.to_le_bytes()).update(name.as_bytes());
    ContractId(hasher.finalize().into())
}

fn key(name: &str) -> Vec<u8> {
    [PREFIX, name.as_bytes()].concat()
}

/// The write that records a contract.
pub(crate) fn record(contract: &ContractRecord) -> Write {
    Write { contract: REGISTRY, key: key(&contract.name), value: Some(contract.to_bytes()) }
}

fn decode(value: &[u8]) -> Result<ContractRecord, NodeError> {
    let damaged = |error| chancery_state::StateError::View(format!("a contract's record is damaged: {error}"));
    ContractRecord::from_bytes(value).map_err(|error| damaged(error).into())
}

/// The contract with this name.
pub(crate) fn find(store: &dyn Store, name: &str) -> Result<Option<ContractRecord>, NodeError> {
    store.get(&REGISTRY, &key(name))?.map(|value| decode(&value)).transpose()
}

/// All contracts, by name.
pub(crate) fn list(store: &dyn Store) -> Result<Vec<ContractRecord>, NodeError> {
    let all = Scan { from: PREFIX.to_vec(), limit: usize::MAX, ..Scan::default() };
    store.scan(&REGISTRY, &all)?.iter().map(|(_, value)| decode(value)).collect()
}
