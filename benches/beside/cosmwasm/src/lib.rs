//! One payment out of a programme's budget: what `contracts/disburse-bench` does, with the same refusals, as a CosmWasm contract.
//!
//! State is kept as raw bytes and messages are JSON, as the `entry_point` macro reads them: the quickest that the field's usual tools give.

use cosmwasm_std::{
    Addr, Binary, Deps, DepsMut, Env, Event, MessageInfo, Response, StdError, StdResult, Storage, entry_point,
    to_json_binary,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct Instantiate {
    pub budget: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Execute {
    Enrol { beneficiary: u64 },
    Disburse { beneficiary: u64, period: u32, amount: u64 },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    Total { beneficiary: u64 },
}

const OFFICER: &[u8] = b"officer";
const BUDGET: &[u8] = b"budget";

fn total_key(beneficiary: u64) -> [u8; 14] {
    let mut key = *b"totals        ";
    key[6..].copy_from_slice(&beneficiary.to_be_bytes());
    key
}

fn payment_key(beneficiary: u64, period: u32) -> [u8; 20] {
    let mut key = *b"payments            ";
    key[8..16].copy_from_slice(&beneficiary.to_be_bytes());
    key[16..].copy_from_slice(&period.to_be_bytes());
    key
}

fn read(storage: &dyn Storage, key: &[u8]) -> Option<u64> {
    storage.get(key)?.try_into().map(u64::from_be_bytes).ok()
}

fn officer_only(storage: &dyn Storage, sender: &Addr) -> StdResult<()> {
    if storage.get(OFFICER).as_deref() == Some(sender.as_bytes()) { Ok(()) } else { Err(StdError::msg("not the officer")) }
}

#[entry_point]
pub fn instantiate(deps: DepsMut, _env: Env, info: MessageInfo, message: Instantiate) -> StdResult<Response> {
    deps.storage.set(OFFICER, info.sender.as_bytes());
    deps.storage.set(BUDGET, &message.budget.to_be_bytes());
    Ok(Response::new())
}

#[entry_point]
pub fn execute(deps: DepsMut, _env: Env, info: MessageInfo, message: Execute) -> StdResult<Response> {
    officer_only(deps.storage, &info.sender)?;
    match message {
        Execute::Enrol { beneficiary } => {
            let key = total_key(beneficiary);
            if deps.storage.get(&key).is_none() {
                deps.storage.set(&key, &0u64.to_be_bytes());
            }
            Ok(Response::new())
        }
        Execute::Disburse { beneficiary, period, amount } => disburse(deps.storage, beneficiary, period, amount),
    }
}

fn disburse(storage: &mut dyn Storage, beneficiary: u64, period: u32, amount: u64) -> StdResult<Response> {
    if amount == 0 {
        return Err(StdError::msg("not positive"));
    }
    let (total_key, payment_key) = (total_key(beneficiary), payment_key(beneficiary, period));
    let total = read(storage, &total_key).ok_or_else(|| StdError::msg("not enrolled"))?;
    if storage.get(&payment_key).is_some() {
        return Err(StdError::msg("already paid"));
    }
    let left = read(storage, BUDGET).and_then(|budget| budget.checked_sub(amount));
    let left = left.ok_or_else(|| StdError::msg("over budget"))?;
    let total = total.checked_add(amount).ok_or_else(|| StdError::msg("over budget"))?;
    storage.set(&payment_key, &amount.to_be_bytes());
    storage.set(&total_key, &total.to_be_bytes());
    storage.set(BUDGET, &left.to_be_bytes());
    let event = Event::new("paid")
        .add_attribute("beneficiary", beneficiary.to_string())
        .add_attribute("period", period.to_string())
        .add_attribute("amount", amount.to_string());
    Ok(Response::new().add_event(event))
}

#[entry_point]
pub fn query(deps: Deps, _env: Env, Query::Total { beneficiary }: Query) -> StdResult<Binary> {
    let total = read(deps.storage, &total_key(beneficiary)).ok_or_else(|| StdError::msg("not enrolled"))?;
    to_json_binary(&total)
}
