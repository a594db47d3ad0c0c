//! Writes that are not committed, laid over a store.
//!
//! An [`Overlay`] holds those of one call: dropped when the call fails, handed on as a write set when it is done. A
//! [`BlockStore`] holds those of blocks' finished calls. Scans merge both orders into one: what is written is seen in
//! byte order, what is removed is not seen.

use crate::StateError;
use crate::store::{Pair, Scan, StateKey, Store};
use chancery_types::entry::{Write, WriteSet};
use chancery_types::{ContractId, Height};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Values by key that are not in the store below; `None` is a removal.
pub type Pending = BTreeMap<StateKey, Option<Vec<u8>>>;
/// The same of one contract, by its keys.
type ContractPending = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The writes of one call over a store.
pub struct Overlay {
    base: Arc<dyn Store>,
    /// By contract: a call writes to few.
    pending: Vec<(ContractId, ContractPending)>,
}

impl Overlay {
    /// Nothing written yet.
    pub fn new(base: Arc<dyn Store>) -> Self {
        Overlay { base, pending: Vec::new() }
    }

    fn of(&self, contract: &ContractId) -> Option<&ContractPending> {
        self.pending.iter().find(|(of, _)| of == contract).map(|(_, pending)| pending)
    }

    fn write(&mut self, contract: &ContractId, key: Vec<u8>, value: Option<Vec<u8>>) {
        match self.pending.iter_mut().find(|(of, _)| of == contract) {
            Some((_, pending)) => drop(pending.insert(key, value)),
            None => self.pending.push((*contract, BTreeMap::from([(key, value)]))),
        }
    }

    /// The value of a key as this call sees it.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn get(&self, contract: &ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.of(contract).and_then(|pending| pending.get(key)) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(contract, key),
        }
    }

    /// The pairs of a range as this call sees them.
    ///
    /// # Errors
    /// As [`Store::scan`].
    pub fn scan(&self, contract: &ContractId, range: &Scan) -> Result<Vec<Pair>, StateError> {
        let (Some(bounds), Some(pending)) = (range.key_bounds(), self.of(contract)) else {
            return self.base.scan(contract, range);
        };
        laid_over(&*self.base, pending.range::<[u8], _>(bounds), contract, range)
    }

    /// Sets a key.
    pub fn set(&mut self, contract: &ContractId, key: Vec<u8>, value: Vec<u8>) {
        self.write(contract, key, Some(value));
    }

    /// Removes a key.
    pub fn remove(&mut self, contract: &ContractId, key: Vec<u8>) {
        self.write(contract, key, None);
    }

    /// The writes, each key once, in order.
    pub fn into_writes(mut self) -> WriteSet {
        self.pending.sort_unstable_by_key(|(contract, _)| *contract);
        let mut writes = WriteSet::with_capacity(self.pending.iter().map(|(_, pending)| pending.len()).sum());
        for (contract, pending) in self.pending {
            writes.extend(pending.into_iter().map(|(key, value)| Write { contract, key, value }));
        }
        writes
    }
}

/// The writes of blocks that are not committed, over the committed state: those of the open block's finished calls, and
/// below them those of blocks that are sealed and on their way.
pub struct BlockStore {
    base: Arc<dyn Store>,
    blocks: RwLock<Blocks>,
}

#[derive(Default)]
struct Blocks {
    open: Pending,
    /// Oldest first.
    sealed: VecDeque<(Height, Pending)>,
}

impl BlockStore {
    /// Nothing written yet.
    pub fn new(base: Arc<dyn Store>) -> Self {
        BlockStore { base, blocks: RwLock::default() }
    }

    fn blocks(&self) -> RwLockReadGuard<'_, Blocks> {
        self.blocks.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn blocks_mut(&self) -> RwLockWriteGuard<'_, Blocks> {
        self.blocks.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a finished call's writes to the open block.
    pub fn apply(&self, writes: &WriteSet) {
        self.blocks_mut()
            .open
            .extend(writes.iter().map(|write| ((write.contract, write.key.clone()), write.value.clone())));
    }

    /// Seals the open block and returns its writes, each key once, in order. They are seen until they are settled.
    pub fn seal(&self, height: Height) -> WriteSet {
        let mut blocks = self.blocks_mut();
        let open = std::mem::take(&mut blocks.open);
        let write = |((contract, key), value): (&StateKey, &Option<Vec<u8>>)| Write {
            contract: *contract,
            key: key.clone(),
            value: value.clone(),
        };
        let writes = open.iter().map(write).collect();
        blocks.sealed.push_back((height, open));
        writes
    }

    /// The blocks up to this height are committed: the store below has their writes.
    pub fn settle(&self, height: Height) {
        let mut blocks = self.blocks_mut();
        let kept = blocks.sealed.partition_point(|(sealed, _)| *sealed <= height);
        drop(blocks.sealed.drain(..kept));
    }

    /// Takes back what the open block has written.
    pub fn reopen(&self) {
        self.blocks_mut().open.clear();
    }

    /// Takes back what no committed block has written.
    pub fn clear(&self) {
        *self.blocks_mut() = Blocks::default();
    }
}

impl Store for BlockStore {
    fn get(&self, contract: &ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let blocks = self.blocks();
        let newest_first = std::iter::once(&blocks.open).chain(blocks.sealed.iter().rev().map(|(_, block)| block));
        let mut written = newest_first.filter(|block| !block.is_empty()).peekable();
        if written.peek().is_some() {
            let key = (*contract, key.to_vec());
            if let Some(value) = written.find_map(|block| block.get(&key)) {
                return Ok(value.clone());
            }
        }
        self.base.get(contract, key)
    }

    fn scan(&self, contract: &ContractId, range: &Scan) -> Result<Vec<Pair>, StateError> {
        let blocks = self.blocks();
        let Some(bounds) = range.bounds(contract) else { return Ok(Vec::new()) };
        let oldest_first = blocks.sealed.iter().map(|(_, block)| block).chain([&blocks.open]);
        // Of several writes to a key the newest is kept.
        let over: BTreeMap<_, _> = oldest_first.flat_map(|block| block.range(bounds.clone())).collect();
        laid_over(&*self.base, over.into_iter().map(|((_, key), value)| (key, value)), contract, range)
    }
}

/// The pairs of a range where the writes `over` it, in the order of their keys, are laid over `base`: one order, what
/// is removed is not seen.
///
/// # Errors
/// As [`Store::scan`].
pub fn laid_over<'a>(
    base: &dyn Store,
    over: impl DoubleEndedIterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>,
    contract: &ContractId,
    range: &Scan,
) -> Result<Vec<Pair>, StateError> {
    let over: Vec<_> = if range.descending { over.rev().collect() } else { over.collect() };
    // Every removal may hide one pair of the base, so that many more are asked for.
    let hidden = over.iter().filter(|(_, value)| value.is_none()).count();
    let below = base.scan(contract, &Scan { limit: range.limit.saturating_add(hidden), ..range.clone() })?;
    if over.is_empty() {
        return Ok(below);
    }
    let before = |a: &[u8], b: &[u8]| if range.descending { a > b } else { a < b };
    let (mut over, mut below) = (over.into_iter().peekable(), below.into_iter().peekable());
    let mut found = Vec::new();
    while found.len() < range.limit {
        match (over.peek(), below.peek()) {
            (None, None) => break,
            (Some((key, _)), Some((lower, _))) if before(lower, key) => found.extend(below.next()),
            (None, Some(_)) => found.extend(below.next()),
            (Some((key, _)), lower) => {
                if lower.is_some_and(|(lower, _)| lower == *key) {
                    below.next();
                }
                if let Some((key, Some(value))) = over.next() {
                    found.push((key.clone(), value.clone()));
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use proptest::prelude::*;

    const CONTRACT: ContractId = ContractId([7; 32]);

    fn writes(changes: &[(u8, Option<u8>)]) -> WriteSet {
        let mut overlay = Overlay::new(Arc::new(MemoryStore::new()));
        for (key, value) in changes {
            match value {
                Some(value) => overlay.set(&CONTRACT, vec![*key], vec![*value]),
                None => overlay.remove(&CONTRACT, vec![*key]),
            }
        }
        overlay.into_writes()
    }

    fn change() -> impl Strategy<Value = Vec<(u8, Option<u8>)>> {
        prop::collection::vec((0u8..24, any::<Option<u8>>()), 0..24)
    }

    proptest! {
        #[test]
        fn layers_read_as_one_map(
            committed in change(), settled in change(), sealed in change(), block in change(), call in change(),
            from in 0u8..24, to in prop::option::of(0u8..26), descending: bool, limit in 0usize..30,
        ) {
            let mut model = BTreeMap::new();
            for (key, value) in committed.iter().chain(&settled).chain(&sealed).chain(&block).chain(&call) {
                match value {
                    Some(value) => model.insert(vec![*key], vec![*value]),
                    None => model.remove(&vec![*key]),
                };
            }
            let store = Arc::new(MemoryStore::new());
            store.apply(&writes(&committed));
            let layer = BlockStore::new(store.clone());
            layer.apply(&writes(&settled));
            let first = layer.seal(Height(1));
            layer.apply(&writes(&sealed));
            prop_assert_eq!(layer.seal(Height(2)), writes(&sealed));
            store.apply(&first);
            layer.settle(Height(1));
            layer.apply(&writes(&block));
            let mut overlay = Overlay::new(Arc::new(layer));
            for write in writes(&call) {
                match write.value {
                    Some(value) => overlay.set(&CONTRACT, write.key, value),
                    None => overlay.remove(&CONTRACT, write.key),
                }
            }
            let range = Scan { from: vec![from], to: to.map(|to| vec![to]), descending, limit };
            let within = model.iter()
                .filter(|(key, _)| key[0] >= from && to.is_none_or(|to| key[0] < to))
                .map(|(key, value)| (key.clone(), value.clone()));
            let expected: Vec<Pair> =
                if descending { within.rev().take(limit).collect() } else { within.take(limit).collect() };
            prop_assert_eq!(overlay.scan(&CONTRACT, &range).unwrap(), expected);
            for key in 0..24 {
                prop_assert_eq!(overlay.get(&CONTRACT, &[key]).unwrap(), model.get(&vec![key]).cloned());
            }
        }
    }

    #[test]
    fn another_contracts_keys_are_not_seen() {
        let store = MemoryStore::new();
        let other = ContractId([8; 32]);
        store.apply(&vec![Write { contract: other, key: vec![1], value: Some(vec![1]) }]);
        let overlay = Overlay::new(Arc::new(store));
        let all = Scan { limit: 10, ..Scan::default() };
        assert_eq!(overlay.scan(&CONTRACT, &all).unwrap(), []);
        assert_eq!(overlay.scan(&other, &all).unwrap().len(), 1);
    }
}
