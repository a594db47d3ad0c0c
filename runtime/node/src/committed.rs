//! Committed state: the view, and over it what is committed but not yet applied to it.
//!
//! Behind the commit point one thread applies blocks to the view, several at once where they have queued. It is never
//! ahead of the journal and may be behind: reads see the difference from memory. The queue is bounded in blocks and in
//! bytes; when the view falls too far behind, the recorder waits. Values that were read or written not long ago are
//! kept in memory. Nothing here needs to survive a crash.
//!
//! The view is not believed: every value that is read from it is compared with the tree of the state, whose root is in
//! the log.

use crate::NodeError;
use crate::decode;
use crate::failpoint;
use crate::health::Health;
use crate::journal::Reader;
use crate::metrics::CacheCounters;
use crate::requests::Requests;
use chancery_state::layers::{Pending, visit_layers};
use chancery_state::view::Position;
use chancery_state::{Scan, StateError, StateKey, StateView, Store, Tree, ViewBatch, Visited, Visitor, tree};
use chancery_types::entry::{Write, WriteSet};
use chancery_types::{ContractId, Hash, Height, Record, RequestId};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

/// Blocks that may wait for the view.
pub(crate) const BACKLOG_BLOCKS_MAX: usize = 256;
/// Bytes of keys and values, and of their places, that may wait for the view, while as many are on their way to it.
pub(crate) const BACKLOG_BYTES_MAX: usize = 64 << 20;
/// How long a block waits for more to be applied with it: a key that all of them write is written once.
const COALESCE_FOR: Duration = Duration::from_millis(20);
/// What a map takes for a key, beside its bytes and those of its value.
pub(crate) const PLACE_BYTES: usize = 128;
/// Bytes of one generation of the read cache; two are held.
const RECENT_BYTES: usize = 8 << 20;
/// How often sled's files are made durable.
const VIEW_CHECKPOINT_EVERY: Duration = Duration::from_secs(5);
/// How long the thread waits for a block before it looks at the time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is committed and not yet in the view, and the tree of the committed state.
#[derive(Default)]
struct Waiting {
    /// What is written in blocks of which the view knows nothing, and where they lead to.
    newer: Pending,
    newer_bytes: usize,
    position: Option<Position>,
    /// What is on its way to the view.
    applying: Arc<Pending>,
    /// The tree of the committed state, and the entries that it is after.
    tree: Tree,
    entries: u64,
}

impl Waiting {
    fn get(&self, key: &StateKey) -> Option<&Option<Vec<u8>>> {
        self.newer.get(key).or_else(|| self.applying.get(key))
    }
}

/// Values that were read or written not long ago, in two generations: what is used moves to the younger one, and when
/// that is full it becomes the older one, whose values are forgotten.
#[derive(Default)]
struct Recent {
    young: HashMap<StateKey, Option<Vec<u8>>>,
    old: HashMap<StateKey, Option<Vec<u8>>>,
    bytes: usize,
}

impl Recent {
    fn get(&mut self, key: &StateKey) -> Option<Option<Vec<u8>>> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.insert(key, value.clone());
        Some(value)
    }

    /// Another value has been written, which is kept where the one before it was.
    fn refresh(&mut self, key: &StateKey, value: &Option<Vec<u8>>) {
        let held = match self.young.get_mut(key) {
            None => self.old.get_mut(key),
            held => held,
        };
        if let Some(held) = held {
            held.clone_from(value);
            self.grow(value.as_ref().map_or(0, Vec::len));
        }
    }

    fn insert(&mut self, key: StateKey, value: Option<Vec<u8>>) {
        let bytes = key.1.len() + value.as_ref().map_or(0, Vec::len) + PLACE_BYTES;
        self.young.insert(key, value);
        self.grow(bytes);
    }

    /// So many bytes came to the younger generation, or replaced some: then they count twice.
    fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= RECENT_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
    }
}

/// The committed state.
pub(crate) struct Committed {
    view: Box<dyn StateView>,
    waiting: RwLock<Waiting>,
    /// Where the request ids of the log are, and the log.
    requests: RwLock<Requests>,
    reader: Arc<Reader>,
    /// Taken while `waiting` is held: what is read from the view is kept before another block is committed.
    recent: Mutex<Recent>,
    /// Whether the view was found to hold another value than the tree of the state.
    doubt: AtomicBool,
    /// Values that are read from memory.
    values: CacheCounters,
}

/// The view as far as it is the committed state: what is read from it must be what the tree of the state holds.
struct Proven<'a> {
    committed: &'a Committed,
    waiting: &'a Waiting,
}

impl Proven<'_> {
    /// The hash of the value that the tree holds.
    fn held(&self, contract: &ContractId, key: &[u8]) -> Option<Hash> {
        self.waiting.tree.get(&tree::path(contract, key))
    }

    fn check(&self, held: Option<Hash>, value: Option<&[u8]>) -> Result<(), StateError> {
        if held == value.map(tree::value_hash) {
            return Ok(());
        }
        self.committed.doubt.store(true, Ordering::Relaxed);
        Err(StateError::View("it holds another value than the tree of the state: it is damaged, and made anew when the ledger is opened again".into()))
    }
}

impl Store for Proven<'_> {
    fn get(&self, contract: &ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let held = self.held(contract, key);
        // That there is no such key is known without asking.
        let value = if held.is_some() { self.committed.view.get(contract, key)? } else { None };
        self.check(held, value.as_deref())?;
        Ok(value)
    }

    fn visit(&self, contract: &ContractId, range: &Scan, visitor: &mut Visitor<'_>) -> Visited {
        // What waits is newer than the view and seen in its place: it is not asked for here.
        self.committed.view.visit(contract, range, &mut |key, value| {
            let Some(value) = value else { return visitor(key, None) };
            let checked = || {
                let value = value()?;
                self.check(self.held(contract, key), Some(&value))?;
                Ok(value)
            };
            visitor(key, Some(&checked))
        })
    }
}

impl Committed {
    /// Nothing waits: the view is after all entries of the log, whose request ids these are.
    pub(crate) fn new(
        view: Box<dyn StateView>,
        tree: Tree,
        requests: Requests,
        reader: Arc<Reader>,
        values: CacheCounters,
    ) -> Self {
        let waiting = RwLock::new(Waiting { tree, entries: reader.size(), ..Waiting::default() });
        let (requests, recent, doubt) = (RwLock::new(requests), Mutex::default(), AtomicBool::new(false));
        Committed { view, waiting, requests, reader, recent, doubt, values }
    }

    /// Makes a block visible to readers: what it writes, the position and the tree that it leads to, and its request
    /// ids with the indices of their entries.
    pub(crate) fn commit(&self, writes: WriteSet, position: Position, tree: Tree, ids: &[(RequestId, u64)]) {
        let mut requests = self.requests.write().unwrap_or_else(PoisonError::into_inner);
        ids.iter().for_each(|(request, index)| requests.insert(*request, *index));
        drop(requests);
        let mut waiting = self.waiting.write().unwrap_or_else(PoisonError::into_inner);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        for Write { contract, key, value } in writes {
            let key = (contract, key);
            recent.refresh(&key, &value);
            waiting.newer_bytes += PLACE_BYTES + key.1.len() + value.as_ref().map_or(0, Vec::len);
            waiting.newer.insert(key, value);
        }
        (waiting.tree, waiting.entries, waiting.position) = (tree, position.entries, Some(position));
    }

    /// Whether so much waits for the view that nothing more should be recorded for now.
    pub(crate) fn is_behind(&self) -> bool {
        self.waiting.read().unwrap_or_else(PoisonError::into_inner).newer_bytes > BACKLOG_BYTES_MAX
    }

    /// Applies to the view what waits for it.
    fn apply(&self) -> Result<(), StateError> {
        let mut waiting = self.waiting.write().unwrap_or_else(PoisonError::into_inner);
        let Some(position) = waiting.position.take() else { return Ok(()) };
        let applying = Arc::new(std::mem::take(&mut waiting.newer));
        waiting.newer_bytes = 0;
        waiting.applying = applying.clone();
        drop(waiting);
        let write = |((contract, key), value): (&StateKey, &Option<Vec<u8>>)| Write {
            contract: *contract,
            key: key.clone(),
            value: value.clone(),
        };
        let writes = applying.iter().map(write).collect();
        self.view.apply(&ViewBatch { writes, position: Some(position) })?;
        self.waiting.write().unwrap_or_else(PoisonError::into_inner).applying = Arc::default();
        Ok(())
    }

    /// A key's value after the last committed block, the tree of that state, and the entries of the log up to the
    /// block's seal.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub(crate) fn at_head(
        &self,
        contract: &ContractId,
        key: &[u8],
    ) -> Result<(Option<Vec<u8>>, Tree, u64), StateError> {
        // The lock is held: no block is committed between reading value and tree.
        let waiting = self.waiting.read().unwrap_or_else(PoisonError::into_inner);
        let value = match waiting.get(&(*contract, key.to_vec())) {
            Some(newer) => newer.clone(),
            None => Proven { committed: self, waiting: &waiting }.get(contract, key)?,
        };
        Ok((value, waiting.tree.clone(), waiting.entries))
    }

    /// Where the view stands, if that is the end of the log and nothing waits for it.
    pub(crate) fn position(&self) -> Option<Position> {
        let waiting = self.waiting.read().unwrap_or_else(PoisonError::into_inner);
        let position = self.view.position().ok().flatten();
        position.filter(|position| waiting.position.is_none() && position.entries == waiting.entries)
    }

    /// The tree of the committed state.
    pub(crate) fn tree(&self) -> Tree {
        self.waiting.read().unwrap_or_else(PoisonError::into_inner).tree.clone()
    }

    /// Whether the view was found to be damaged.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.doubt.load(Ordering::Relaxed)
    }

    /// The index of the entry that a request led to.
    ///
    /// # Errors
    /// As `Reader::entry`.
    pub(crate) fn request(&self, request: RequestId) -> Result<Option<u64>, NodeError> {
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        let candidates: Vec<u64> = requests.candidates(request).collect();
        drop(requests);
        for index in candidates {
            if let Record::Call { signed, .. } = decode::entry(index, &self.reader.entry(index)?)?.record
                && signed.call.request == request
            {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// Where the request ids of the log are.
    pub(crate) fn requests(&self) -> RwLockReadGuard<'_, Requests> {
        self.requests.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Committed {
    fn get(&self, contract: &ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let waiting = self.waiting.read().unwrap_or_else(PoisonError::into_inner);
        let key = (*contract, key.to_vec());
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = recent.get(&key) {
            self.values.asked(true);
            return Ok(value);
        }
        let waits = waiting.get(&key);
        self.values.asked(waits.is_some());
        let value = match waits {
            Some(newer) => newer.clone(),
            // The lock is held: a value leaves memory only after the view has it.
            None => Proven { committed: self, waiting: &waiting }.get(contract, &key.1)?,
        };
        if value.is_some() {
            recent.insert(key, value.clone());
        }
        Ok(value)
    }

    fn visit(&self, contract: &ContractId, range: &Scan, visitor: &mut Visitor<'_>) -> Visited {
        let waiting = self.waiting.read().unwrap_or_else(PoisonError::into_inner);
        let proven = Proven { committed: self, waiting: &waiting };
        visit_layers(&proven, &[&waiting.applying, &waiting.newer], contract, range, visitor)
    }
}

/// What stands behind the commit point.
pub(crate) struct Follower {
    pub(crate) committed: Arc<Committed>,
    pub(crate) health: Arc<Health>,
    /// Whether the view has what is not durable in it.
    pub(crate) dirty: bool,
}

impl Follower {
    /// Follows the blocks until the recorder hangs up, then leaves the view at the head.
    pub(crate) fn run(mut self, blocks: &Receiver<Height>) {
        // A panic inside the store is a fault of the view like any other.
        let followed = catch_unwind(AssertUnwindSafe(|| self.follow(blocks)));
        let panicked = || Err(StateError::View("the store panicked".into()).into());
        if let Err(error) = followed.unwrap_or_else(|_| panicked()) {
            self.health.stop(&error);
        }
    }

    fn follow(&mut self, blocks: &Receiver<Height>) -> Result<(), NodeError> {
        let mut durable_at = Instant::now();
        loop {
            match blocks.recv_timeout(LOOK_EVERY) {
                Ok(_) => {
                    std::thread::sleep(COALESCE_FOR);
                    self.apply(1 + blocks.try_iter().count())?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if durable_at.elapsed() >= VIEW_CHECKPOINT_EVERY {
                self.checkpoint()?;
                durable_at = Instant::now();
            }
        }
        self.checkpoint()
    }

    /// Brings the view further, having heard of so many blocks.
    pub(crate) fn apply(&mut self, blocks: usize) -> Result<(), NodeError> {
        failpoint::pass("view-apply");
        if blocks == 0 {
            return Ok(());
        }
        let metrics = &self.health.metrics;
        metrics.view.pass(|| self.committed.apply())?;
        metrics.view_blocks.decrement(u32::try_from(blocks).unwrap_or(u32::MAX));
        self.dirty = true;
        Ok(())
    }

    /// Makes the view durable, which shortens the next start.
    pub(crate) fn checkpoint(&mut self) -> Result<(), NodeError> {
        if self.dirty {
            failpoint::pass("view-checkpoint");
            self.health.metrics.view_sync.pass(|| self.committed.view.checkpoint())?;
            self.dirty = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that are written again and grow are what a counter or a record of payments is.
    #[test]
    fn the_read_cache_holds_no_more_than_two_generations() {
        let mut recent = Recent::default();
        let key = |number: u8| (ContractId([1; 32]), vec![number]);
        (0..100).for_each(|number| recent.insert(key(number), Some(vec![0; 10])));
        for size in (0..RECENT_BYTES / 20).step_by(RECENT_BYTES / 200) {
            for number in 0..100 {
                recent.refresh(&key(number), &Some(vec![1; size]));
                let held = recent.young.values().chain(recent.old.values()).flatten().map(Vec::len).sum::<usize>();
                assert!(held <= 2 * RECENT_BYTES, "{held} bytes of values");
            }
        }
    }
}
