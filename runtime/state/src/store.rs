//! What state looks like to a reader: keys of contracts, in byte order.

use crate::StateError;
use chancery_types::ContractId;
use chancery_types::entry::WriteSet;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{PoisonError, RwLock};

/// A key of the state: whose it is, and which.
pub type StateKey = (ContractId, Vec<u8>);
/// A key within a contract, and its value.
pub type Pair = (Vec<u8>, Vec<u8>);
/// Whether a visit goes on, or was broken off by the visitor.
pub type Visited = Result<ControlFlow<()>, StateError>;
/// Reads the value of a key that is visited: what is not wanted is not read.
pub type Value<'a> = dyn Fn() -> Result<Vec<u8>, StateError> + 'a;
/// Is told the keys of a range in their order. One without a value is removed, whatever stores below say of it.
pub type Visitor<'a> = dyn FnMut(&[u8], Option<&Value<'_>>) -> Visited + 'a;
/// Where a range begins and ends.
pub type Bounds<Key> = (Bound<Key>, Bound<Key>);

/// A half-open range of one contract's keys, in byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The first key that may appear.
    pub from: Vec<u8>,
    /// The first key that may not; `None` for no bound.
    pub to: Option<Vec<u8>>,
    /// From the greatest key downwards.
    pub descending: bool,
    /// Most pairs to return.
    pub limit: usize,
}

impl Scan {
    /// The range as bounds of keys within the contract, or `None` where it is empty.
    pub(crate) fn key_bounds(&self) -> Option<Bounds<&[u8]>> {
        if self.limit == 0 || self.to.as_ref().is_some_and(|to| *to <= self.from) {
            return None;
        }
        let end = self.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        Some((Bound::Included(self.from.as_slice()), end))
    }

    /// The key, where the range has room for one key alone.
    pub(crate) fn only_key(&self) -> Option<&[u8]> {
        let behind = self.to.as_deref()?.strip_prefix(self.from.as_slice())?;
        (behind == [0]).then_some(self.from.as_slice())
    }

    /// The range as bounds, or `None` where it is empty.
    pub fn bounds(&self, contract: &ContractId) -> Option<Bounds<StateKey>> {
        let (start, end) = self.key_bounds()?;
        let end = match (end, successor(contract)) {
            (Bound::Unbounded, Some(next)) => Bound::Excluded((next, Vec::new())),
            (end, _) => end.map(|key| (*contract, key.to_vec())),
        };
        Some((start.map(|key| (*contract, key.to_vec())), end))
    }
}

/// The id that follows in byte order.
pub(crate) fn successor(contract: &ContractId) -> Option<ContractId> {
    let mut next = contract.0;
    for byte in next.iter_mut().rev() {
        match byte.checked_add(1) {
            Some(sum) => {
                *byte = sum;
                return Some(ContractId(next));
            }
            None => *byte = 0,
        }
    }
    None
}

/// State that can be read. Reading the same key twice gives the same value unless somebody applied writes between.
pub trait Store: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// A fault of the store, which is a fault of the node and never an outcome.
    fn get(&self, contract: &ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Visits the keys of a range in its order, each once, until the visitor breaks, and says whether it did. The limit of the range does not count, unless
    /// it is nothing.
    ///
    /// # Errors
    /// As [`Store::get`], and those of the visitor.
    fn visit(&self, contract: &ContractId, range: &Scan, visitor: &mut Visitor<'_>) -> Visited;

    /// The pairs of a range in its order, at most its limit.
    ///
    /// # Errors
    /// As [`Store::get`].
    fn scan(&self, contract: &ContractId, range: &Scan) -> Result<Vec<Pair>, StateError> {
        let mut found = Vec::new();
        let _ = self.visit(contract, range, &mut |key, value| {
            if let Some(value) = value {
                found.push((key.to_vec(), value()?));
            }
            Ok(if found.len() < range.limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(found)
    }
}

/// The pairs of one contract.
type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// State in memory: for tests, benches and the harness.
#[derive(Default)]
pub struct MemoryStore {
    contracts: RwLock<BTreeMap<ContractId, Pairs>>,
}

impl MemoryStore {
    /// Nothing stored.
    pub fn new() -> Self {
        MemoryStore::default()
    }

    /// Applies a call's writes.
    pub fn apply(&self, writes: &WriteSet) {
        let mut contracts = self.contracts.write().unwrap_or_else(PoisonError::into_inner);
        for write in writes {
            let pairs = contracts.entry(write.contract).or_default();
            match &write.value {
                Some(value) => pairs.insert(write.key.clone(), value.clone()),
                None => pairs.remove(&write.key),
            };
        }
    }
}

impl Store for MemoryStore {
    fn get(&self, contract: &ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let contracts = self.contracts.read().unwrap_or_else(PoisonError::into_inner);
        Ok(contracts.get(contract).and_then(|pairs| pairs.get(key)).cloned())
    }

    fn visit(&self, contract: &ContractId, range: &Scan, visitor: &mut Visitor<'_>) -> Visited {
        let contracts = self.contracts.read().unwrap_or_else(PoisonError::into_inner);
        let (Some(bounds), Some(pairs)) = (range.key_bounds(), contracts.get(contract)) else {
            return Ok(ControlFlow::Continue(()));
        };
        let mut pairs = pairs.range::<[u8], _>(bounds);
        while let Some((key, value)) = if range.descending { pairs.next_back() } else { pairs.next() } {
            if visitor(key, Some(&|| Ok(value.clone())))?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}
