//! What the contract `disburse-bench` must do, from its rules alone.

use crate::load::{BUDGET, CONTRACT, dollars};
use chancery_state::tree::{self, Tree};
use chancery_types::codec::Encode;
use chancery_types::{Action, Call, ContractId, Hash};
use std::collections::{BTreeMap, BTreeSet};

/// What the contract should have done, by its rules.
pub struct Model {
    contract: ContractId,
    pub pairs: BTreeMap<(ContractId, Vec<u8>), Vec<u8>>,
    pub tree: Tree,
    changed: BTreeSet<(ContractId, Vec<u8>)>,
    budget: i64,
    totals: BTreeMap<u64, i64>,
    paid: BTreeSet<(u64, u32)>,
}

/// The storage key of a field: the length of its name, the name, the ordered encoding of a map's key.
fn field(name: &str, key: &[u8]) -> Vec<u8> {
    [&[u8::try_from(name.len()).unwrap()], name.as_bytes(), key].concat()
}

impl Model {
    pub fn new() -> Self {
        Model {
            contract: ContractId::default(),
            pairs: BTreeMap::new(),
            tree: Tree::new(),
            changed: BTreeSet::new(),
            budget: 0,
            totals: BTreeMap::new(),
            paid: BTreeSet::new(),
        }
    }

    fn set(&mut self, contract: ContractId, key: Vec<u8>, value: Vec<u8>) {
        self.changed.insert((contract, key.clone()));
        self.pairs.insert((contract, key), value);
    }

    /// The code that the call should be refused with, or `None` where it should be done.
    pub fn call(&mut self, index: u64, call: &Call, contract: ContractId) -> Option<u16> {
        match &call.action {
            Action::Deploy { name, module, arguments } => {
                let mut record = Vec::new();
                (name, contract, *module).encode(&mut record);
                (index, call.actor).encode(&mut record);
                self.set(ContractId([0; 32]), [b"contract/", name.as_bytes()].concat(), record);
                if name != CONTRACT {
                    return None;
                }
                (self.contract, self.budget) = (contract, BUDGET);
                assert_eq!(*arguments, dollars(BUDGET));
                self.set(contract, field("officer", &[]), call.actor.to_bytes());
                self.set(contract, field("budget", &[]), dollars(BUDGET));
                None
            }
            Action::Invoke { method, arguments, .. } if method == "enrol" => {
                let number = u64::from_le_bytes(arguments[..8].try_into().unwrap());
                if !self.is_enrolled(number) {
                    self.totals.insert(number, 0);
                    self.set(contract, field("totals", &number.to_be_bytes()), dollars(0));
                }
                None
            }
            Action::Invoke { arguments, .. } => {
                let number = u64::from_le_bytes(arguments[..8].try_into().unwrap());
                let period = u32::from_le_bytes(arguments[8..12].try_into().unwrap());
                let amount = i64::from_le_bytes(arguments[12..20].try_into().unwrap());
                self.disburse(number, period, amount)
            }
        }
    }

    fn is_enrolled(&self, number: u64) -> bool {
        self.totals.contains_key(&number)
    }

    fn disburse(&mut self, number: u64, period: u32, amount: i64) -> Option<u16> {
        if amount <= 0 {
            return Some(4);
        }
        let Some(total) = self.totals.get(&number).copied() else { return Some(1) };
        if self.paid.contains(&(number, period)) {
            return Some(2);
        }
        if amount > self.budget {
            return Some(3);
        }
        self.budget -= amount;
        assert!(self.budget >= 0, "the budget is never negative");
        assert!(self.paid.insert((number, period)), "nobody is paid twice for a period");
        self.totals.insert(number, total + amount);
        let key = [&number.to_be_bytes()[..], &period.to_be_bytes()[..]].concat();
        self.set(self.contract, field("payments", &key), dollars(amount));
        self.set(self.contract, field("totals", &number.to_be_bytes()), dollars(total + amount));
        self.set(self.contract, field("budget", &[]), dollars(self.budget));
        None
    }

    pub fn root(&mut self) -> Hash {
        let changes = std::mem::take(&mut self.changed).into_iter().map(|(contract, key)| {
            let value = tree::value_hash(&self.pairs[&(contract, key.clone())]);
            (tree::path(&contract, &key), Some(value))
        });
        self.tree.update(changes);
        self.tree.root()
    }
}
