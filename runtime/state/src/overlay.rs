//! Writes that are not committed, laid over a store.
//!
//! An [`Overlay`] holds those of one call: dropped when the call fails, handed on as a write set when it is done. A
//! [`BlockStore`] holds those of blocks' finished calls.

use crate::StateError;
use crate::gaps::{Gaps, after};
use crate::layers::{Pending, visit_laid_over, visit_layers};
use crate::store::{Pair, Scan, StateKey, Store, Value, Visited, Visitor};
use chancery_types::entry::{Write, WriteSet};
use chancery_types::{ContractId, Height};
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Removed keys that scans pass one by one; where there are more, the next scan goes on behind them.
const PASSED_MAX: usize = if cfg!(test) { 1 } else { 16 };

/// What a gap that a scan passes counts for, in removed keys: behind it the store is asked anew.
const PASSED_BY_GAP: usize = PASSED_MAX.div_ceil(2);

/// What a call has done to a contract.
#[derive(Default)]
struct Written {
    /// Values by key; `None` is a removal.
    values: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    gaps: Gaps,
}

/// The writes of one call over a store.
pub struct Overlay {
    base: Arc<dyn Store>,
    /// By contract: a call writes to few.
    contracts: Vec<(ContractId, Written)>,
}

impl Overlay {
    /// Nothing written yet.
    pub fn new(base: Arc<dyn Store>) -> Self {
        Overlay { base, contracts: Vec::new() }
    }

    fn of(&self, contract: &ContractId) -> Option<&Written> {
        self.contracts.iter().find(|(of, _)| of == contract).map(|(_, written)| written)
    }

    fn of_mut(&mut self, contract: &ContractId) -> &mut Written {
        let known = self.contracts.iter().position(|(of, _)| of == contract);
        let place = known.unwrap_or_else(|| {
            self.contracts.push((*contract, Written::default()));
            self.contracts.len() - 1
        });
        &mut self.contracts[place].1
    }

    /// The value of a key as this call sees it.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub fn get(&self, contract: &ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.of(contract).and_then(|written| written.values.get(key)) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(contract, key),
        }
    }

    /// The pairs of a range as this call sees them. No more than these are read, and no long row of removed keys is passed twice.
    ///
    /// # Errors
    /// As [`Store::scan`].
    pub fn scan(&mut self, contract: &ContractId, range: &Scan) -> Result<Vec<Pair>, StateError> {
        let nothing = Written::default();
        let Written { values, gaps } = self.of(contract).unwrap_or(&nothing);
        let (mut found, mut left_empty) = (Vec::<Pair>::new(), Vec::new());
        // From the last pair that was found to this key.
        let gap = |found: &[Pair], key: Option<&[u8]>| {
            let last = found.last().map(|(key, _)| key);
            if range.descending {
                (key.map_or(range.from.clone(), after), last.or(range.to.as_ref()).cloned())
            } else {
                (last.map_or(range.from.clone(), |key| after(key)), key.map(<[u8]>::to_vec).or(range.to.clone()))
            }
        };
        let (mut rest, mut passed, mut complete) = (range.clone(), 0, true);
        while let Some(part) = gaps.next_part(&mut rest) {
            let Some(bounds) = part.key_bounds() else { break };
            let written = values.range::<[u8], _>(bounds).map(|(key, value)| (key.as_slice(), value));
            let mut visitor = |key: &[u8], value: Option<&Value<'_>>| {
                let Some(value) = value else {
                    passed += 1;
                    return Ok(ControlFlow::Continue(()));
                };
                if passed > PASSED_MAX {
                    left_empty.push(gap(&found, Some(key)));
                }
                passed = 0;
                found.push((key.to_vec(), value()?));
                Ok(if found.len() < range.limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            };
            // Keys that are written where nothing was left have gaps on both sides: the store need not be asked.
            let known = part.only_key().is_some_and(|key| values.contains_key(key));
            let below = |visitor: &mut Visitor<'_>| match known {
                true => Ok(ControlFlow::Continue(())),
                false => self.base.visit(contract, &part, visitor),
            };
            if visit_laid_over(written, part.descending, &mut visitor, below)?.is_break() {
                complete = false;
                break;
            }
            // What follows is a gap, or the end.
            passed += PASSED_BY_GAP;
            if range.descending {
                rest.to = Some(part.from)
            } else {
                rest.from = match part.to {
                    Some(to) => to,
                    None => break,
                }
            }
        }
        if complete && passed > PASSED_MAX {
            left_empty.push(gap(&found, None));
        }
        if !left_empty.is_empty() {
            let gaps = &mut self.of_mut(contract).gaps;
            left_empty.into_iter().for_each(|(from, to)| gaps.insert(from, to));
        }
        Ok(found)
    }

    /// Sets a key.
    pub fn set(&mut self, contract: &ContractId, key: Vec<u8>, value: Vec<u8>) {
        let written = self.of_mut(contract);
        written.gaps.split(&key);
        written.values.insert(key, Some(value));
    }

    /// Removes a key.
    pub fn remove(&mut self, contract: &ContractId, key: Vec<u8>) {
        self.of_mut(contract).values.insert(key, None);
    }

    /// The writes, each key once, in order.
    pub fn into_writes(mut self) -> WriteSet {
        self.contracts.sort_unstable_by_key(|(contract, _)| *contract);
        let mut writes = WriteSet::with_capacity(self.contracts.iter().map(|(_, written)| written.values.len()).sum());
        for (contract, written) in self.contracts {
            writes.extend(written.values.into_iter().map(|(key, value)| Write { contract, key, value }));
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

    fn visit(&self, contract: &ContractId, range: &Scan, visitor: &mut Visitor<'_>) -> Visited {
        let blocks = self.blocks();
        let oldest_first = blocks.sealed.iter().map(|(_, block)| block).chain([&blocks.open]);
        let layers: Vec<_> = oldest_first.filter(|block| !block.is_empty()).collect();
        visit_layers(&*self.base, &layers, contract, range, visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

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

    /// What a range has in a map.
    fn expected(model: &BTreeMap<Vec<u8>, Vec<u8>>, range: &Scan) -> Vec<Pair> {
        let within =
            model.iter().filter(|(key, _)| **key >= range.from && range.to.as_ref().is_none_or(|to| *key < to));
        let mut pairs: Vec<Pair> = within.map(|(key, value)| (key.clone(), value.clone())).collect();
        if range.descending {
            pairs.reverse();
        }
        pairs.truncate(range.limit);
        pairs
    }

    /// What a call does.
    #[derive(Clone, Debug)]
    enum Step {
        Set(u8),
        Remove(u8),
        Scan(Scan),
    }

    fn step() -> impl Strategy<Value = Step> {
        let scan =
            (0u8..24, prop::option::of(0u8..26), any::<bool>(), 0usize..6).prop_map(|(from, to, descending, limit)| {
                Step::Scan(Scan { from: vec![from], to: to.map(|to| vec![to]), descending, limit })
            });
        prop_oneof![(0u8..24).prop_map(Step::Set), (0u8..24).prop_map(Step::Remove), scan]
    }

    proptest! {
        // One removed key that is passed makes a gap here.
        #[test]
        fn what_a_scan_remembers_changes_no_scan(
            committed in change(), block in change(), steps in prop::collection::vec(step(), 0..60),
        ) {
            let store = Arc::new(MemoryStore::new());
            store.apply(&writes(&committed));
            let layer = BlockStore::new(store);
            layer.apply(&writes(&block));
            let mut model = BTreeMap::new();
            for (key, value) in committed.iter().chain(&block) {
                match value {
                    Some(value) => model.insert(vec![*key], vec![*value]),
                    None => model.remove(&vec![*key]),
                };
            }
            let mut overlay = Overlay::new(Arc::new(layer));
            for step in steps {
                match step {
                    Step::Set(key) => {
                        overlay.set(&CONTRACT, vec![key], vec![1]);
                        model.insert(vec![key], vec![1]);
                    }
                    Step::Remove(key) => {
                        overlay.remove(&CONTRACT, vec![key]);
                        model.remove(&vec![key]);
                    }
                    Step::Scan(range) => prop_assert_eq!(overlay.scan(&CONTRACT, &range).unwrap(), expected(&model, &range)),
                }
            }
        }

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
            prop_assert_eq!(overlay.scan(&CONTRACT, &range).unwrap(), expected(&model, &range));
            for key in 0..24 {
                prop_assert_eq!(overlay.get(&CONTRACT, &[key]).unwrap(), model.get(&vec![key]).cloned());
            }
        }
    }

    /// A store that counts what is visited in it.
    struct Counting(MemoryStore, AtomicUsize);

    impl Store for Counting {
        fn get(&self, contract: &ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
            self.0.get(contract, key)
        }

        fn visit(&self, contract: &ContractId, range: &Scan, visitor: &mut Visitor<'_>) -> Visited {
            self.0.visit(contract, range, &mut |key, value| {
                self.1.fetch_add(1, Ordering::Relaxed);
                visitor(key, value)
            })
        }
    }

    /// How many keys of the store are visited when so many scans look for the first or last of 5,000 keys, of which the 4,096 next to it are removed: by
    /// the call, or by one before it in the block.
    fn visited(scans: usize, by_the_call: bool, descending: bool) -> usize {
        let store = Counting(MemoryStore::new(), AtomicUsize::new(0));
        let key = |number: u16| number.to_be_bytes().to_vec();
        let write = |number, value| Write { contract: CONTRACT, key: key(number), value };
        store.0.apply(&(0..5_000).map(|number| write(number, Some(vec![1]))).collect());
        let store = Arc::new(store);
        let block = Arc::new(BlockStore::new(store.clone()));
        let removed = if descending { 904..5_000 } else { 0..4_096 };
        let left = if descending { key(903) } else { key(4_096) };
        let mut overlay = Overlay::new(block.clone());
        if by_the_call {
            removed.clone().for_each(|number| overlay.remove(&CONTRACT, key(number)));
        } else {
            block.apply(&removed.clone().map(|number| write(number, None)).collect());
        }
        for number in removed.cycle().take(scans) {
            // Each begins somewhere else among what is removed, and writes there now and then.
            let mut range = Scan { descending, limit: 1, ..Scan::default() };
            if descending {
                range.to = Some(key(number + 1))
            } else {
                range.from = key(number)
            }
            assert_eq!(overlay.scan(&CONTRACT, &range).unwrap(), [(left.clone(), vec![1])]);
            if number.is_multiple_of(100) {
                overlay.set(&CONTRACT, key(number), vec![2]);
                overlay.remove(&CONTRACT, key(number));
            }
        }
        store.1.load(Ordering::Relaxed)
    }

    #[test]
    fn what_is_removed_is_not_passed_by_each_scan() {
        for (by_the_call, descending) in [(true, false), (true, true), (false, false), (false, true)] {
            // In descending order the first scan passes one, and so on: each passes what no other has.
            let most = 4_096 + 3 * 4_000 + 1;
            let visited = visited(4_000, by_the_call, descending);
            assert!(visited <= most, "{visited} visited, at most {most} expected: {by_the_call}, {descending}");
        }
    }

    #[test]
    fn the_store_is_not_asked_for_keys_that_are_written_where_nothing_was_left() {
        struct Asked(MemoryStore, AtomicUsize);
        impl Store for Asked {
            fn get(&self, contract: &ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
                self.0.get(contract, key)
            }

            fn visit(&self, contract: &ContractId, range: &Scan, visitor: &mut Visitor<'_>) -> Visited {
                self.1.fetch_add(1, Ordering::Relaxed);
                self.0.visit(contract, range, visitor)
            }
        }
        for descending in [false, true] {
            let store = Asked(MemoryStore::new(), AtomicUsize::new(0));
            store.0.apply(
                &(0..40).map(|key| Write { contract: CONTRACT, key: vec![key], value: Some(vec![1]) }).collect(),
            );
            let store = Arc::new(store);
            let mut overlay = Overlay::new(store.clone());
            (0..40).for_each(|key| overlay.remove(&CONTRACT, vec![key]));
            let all = Scan { descending, limit: 100, ..Scan::default() };
            assert_eq!(overlay.scan(&CONTRACT, &all).unwrap(), []);
            (0..40).step_by(4).for_each(|key| overlay.set(&CONTRACT, vec![key], vec![2]));
            // A key that is removed again lies between two gaps as well.
            (0..40).step_by(4).for_each(|key| overlay.set(&CONTRACT, vec![key, 1], vec![3]));
            (0..40).step_by(4).for_each(|key| overlay.remove(&CONTRACT, vec![key, 1]));
            assert_eq!(overlay.scan(&CONTRACT, &all).unwrap().len(), 10);
            assert_eq!(store.1.load(Ordering::Relaxed), 1, "by the first scan, which found nothing");
        }
    }

    #[test]
    fn no_more_is_read_than_is_asked_for() {
        struct Once(MemoryStore);
        impl Store for Once {
            fn get(&self, contract: &ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
                self.0.get(contract, key)
            }

            fn visit(&self, contract: &ContractId, range: &Scan, visitor: &mut Visitor<'_>) -> Visited {
                self.0.visit(contract, range, &mut |key, value| {
                    let value = value.map(|value| {
                        move || {
                            assert_eq!(key, [3], "this value is not wanted");
                            value()
                        }
                    });
                    match &value {
                        Some(value) => visitor(key, Some(value)),
                        None => visitor(key, None),
                    }
                })
            }
        }
        let store = MemoryStore::new();
        store.apply(&writes(&[(1, Some(1)), (2, Some(1)), (3, Some(1)), (5, Some(1))]));
        let mut overlay = Overlay::new(Arc::new(Once(store)));
        overlay.remove(&CONTRACT, vec![1]);
        overlay.set(&CONTRACT, vec![2], vec![2]);
        overlay.set(&CONTRACT, vec![4], vec![4]);
        let range = Scan { limit: 3, ..Scan::default() };
        let pairs = [(2, 2), (3, 1), (4, 4)].map(|(key, value)| (vec![key], vec![value]));
        assert_eq!(overlay.scan(&CONTRACT, &range).unwrap(), pairs);
    }

    #[test]
    fn another_contracts_keys_are_not_seen() {
        let store = MemoryStore::new();
        let other = ContractId([8; 32]);
        store.apply(&vec![Write { contract: other, key: vec![1], value: Some(vec![1]) }]);
        let mut overlay = Overlay::new(Arc::new(store));
        let all = Scan { limit: 10, ..Scan::default() };
        assert_eq!(overlay.scan(&CONTRACT, &all).unwrap(), []);
        assert_eq!(overlay.scan(&other, &all).unwrap().len(), 1);
    }
}
