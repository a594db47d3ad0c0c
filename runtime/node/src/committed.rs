//! Committed state: the view, and over it what is committed but not yet applied to it.
//!
//! Behind the commit point one thread applies blocks to the view, several at once where they have queued. It is never ahead of the journal and may be behind: reads see the difference from memory. The queue is bounded; when the view falls too
//! far behind, the sequencer waits. Nothing here needs to survive a crash.

use crate::NodeError;
use crate::failpoint;
use crate::health::Health;
use chancery_state::overlay::{Pending, merged};
use chancery_state::view::Position;
use chancery_state::{Pair, Scan, StateError, StateKey, StateView, Store, Tree, ViewBatch};
use chancery_types::entry::WriteSet;
use chancery_types::{ContractId, RequestId};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Blocks that may wait for the view.
pub(crate) const BACKLOG_BLOCKS_MAX: usize = 256;
/// Blocks applied as one.
const COALESCE_BLOCKS_MAX: usize = 64;
/// How often sled's files are made durable.
const VIEW_CHECKPOINT_EVERY: Duration = Duration::from_secs(5);
/// How long the thread waits for a block before it looks at the time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A committed block on its way to the view.
pub(crate) struct Job {
    pub(crate) writes: WriteSet,
    pub(crate) requests: Vec<(RequestId, u64)>,
    pub(crate) position: Position,
    /// The tree of the state after it.
    pub(crate) tree: Tree,
}

#[derive(Default)]
struct Waiting {
    values: Pending,
    heights: HashMap<StateKey, u64>,
    requests: HashMap<RequestId, u64>,
    /// The tree of the committed state, and the entries that it is after.
    tree: Tree,
    entries: u64,
}

/// The committed state.
pub struct Committed {
    view: Box<dyn StateView>,
    waiting: RwLock<Waiting>,
}

impl Committed {
    /// Nothing waits.
    pub(crate) fn new(view: Box<dyn StateView>, tree: Tree, entries: u64) -> Self {
        Committed { view, waiting: RwLock::new(Waiting { tree, entries, ..Waiting::default() }) }
    }

    /// Makes a block visible to readers.
    pub(crate) fn commit(&self, job: &Job) {
        let mut waiting = self.waiting.write().unwrap_or_else(PoisonError::into_inner);
        for write in &job.writes {
            let key = (write.contract, write.key.clone());
            waiting.heights.insert(key.clone(), job.position.height.0);
            waiting.values.insert(key, write.value.clone());
        }
        (waiting.tree, waiting.entries) = (job.tree.clone(), job.position.entries);
        waiting.requests.extend(job.requests.iter().copied());
    }

    /// Applies blocks to the view; what they leave is no longer kept in memory.
    fn apply(&self, jobs: &[Job]) -> Result<(), StateError> {
        let Some(last) = jobs.last() else { return Ok(()) };
        let newest: HashMap<_, _> =
            jobs.iter().flat_map(|job| &job.writes).map(|w| ((w.contract, &w.key), w)).collect();
        let requests = jobs.iter().flat_map(|job| job.requests.iter().copied()).collect::<Vec<_>>();
        let writes = newest.into_values().cloned().collect();
        self.view.apply(&ViewBatch { writes, requests: requests.clone(), position: last.position })?;
        let mut waiting = self.waiting.write().unwrap_or_else(PoisonError::into_inner);
        let Waiting { values, heights, requests: waiting_requests, .. } = &mut *waiting;
        for write in jobs.iter().flat_map(|job| &job.writes) {
            let key = (write.contract, write.key.clone());
            if heights.get(&key).is_some_and(|height| *height <= last.position.height.0) {
                heights.remove(&key);
                values.remove(&key);
            }
        }
        for (request, _) in &requests {
            waiting_requests.remove(request);
        }
        Ok(())
    }

    /// A key's value after the last committed block, the tree of that state, and the entries of the log up to the block's seal.
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
        let value = match waiting.values.get(&(*contract, key.to_vec())) {
            Some(value) => value.clone(),
            None => self.view.get(contract, key)?,
        };
        Ok((value, waiting.tree.clone(), waiting.entries))
    }

    /// The index of the entry that a request led to.
    ///
    /// # Errors
    /// As `View::request`.
    pub fn request(&self, request: RequestId) -> Result<Option<u64>, StateError> {
        let waiting = self.waiting.read().unwrap_or_else(PoisonError::into_inner).requests.get(&request).copied();
        if waiting.is_some() { Ok(waiting) } else { self.view.request(request) }
    }
}

impl Store for Committed {
    fn get(&self, contract: &ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let waiting = self.waiting.read().unwrap_or_else(PoisonError::into_inner);
        if !waiting.values.is_empty()
            && let Some(value) = waiting.values.get(&(*contract, key.to_vec()))
        {
            return Ok(value.clone());
        }
        // The lock is held: a value leaves memory only after the view has it.
        self.view.get(contract, key)
    }

    fn scan(&self, contract: &ContractId, range: &Scan) -> Result<Vec<Pair>, StateError> {
        let waiting = self.waiting.read().unwrap_or_else(PoisonError::into_inner);
        merged(&*self.view, &waiting.values, contract, range)
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
    /// Follows the blocks until the sequencer hangs up, then leaves the view at the head.
    pub(crate) fn run(mut self, jobs: &Receiver<Job>) {
        // A panic inside the store is a fault of the view like any other.
        let followed = catch_unwind(AssertUnwindSafe(|| self.follow(jobs)));
        let panicked = || Err(StateError::View("the store panicked".into()).into());
        if let Err(error) = followed.unwrap_or_else(|_| panicked()) {
            self.health.stop(&error);
        }
    }

    fn follow(&mut self, jobs: &Receiver<Job>) -> Result<(), NodeError> {
        let mut durable_at = Instant::now();
        loop {
            let batch: Vec<Job> = match jobs.recv_timeout(LOOK_EVERY) {
                Ok(job) => std::iter::once(job).chain(jobs.try_iter().take(COALESCE_BLOCKS_MAX - 1)).collect(),
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => break,
            };
            self.apply(&batch)?;
            if durable_at.elapsed() >= VIEW_CHECKPOINT_EVERY {
                self.checkpoint()?;
                durable_at = Instant::now();
            }
        }
        self.checkpoint()
    }

    /// Brings the view further.
    pub(crate) fn apply(&mut self, batch: &[Job]) -> Result<(), NodeError> {
        failpoint::pass("view-apply");
        self.committed.apply(batch)?;
        self.dirty |= !batch.is_empty();
        Ok(())
    }

    /// Makes the view durable, which shortens the next start.
    pub(crate) fn checkpoint(&mut self) -> Result<(), NodeError> {
        if self.dirty {
            failpoint::pass("view-checkpoint");
            self.committed.view.checkpoint()?;
            self.dirty = false;
        }
        Ok(())
    }
}
