//! The sequencer: order and execution.
//!
//! 1. Each call is executed in the order in which the calls queued: on an overlay over the open block, over the block
//!    that is being recorded, over committed state.
//! 2. The open block is cut off to be [recorded](crate::recorder) when the block before it is.
//! 3. Where a block finds no room, what was executed on top of it is taken back and executed again on what is
//!    committed. Any other fault stops the ledger, and nothing that is not durable was answered.

use crate::blobs::Blobs;
use crate::committed::Committed;
use crate::execute::{At, Executed, Executor, rejected};
use crate::health::Health;
use crate::{Answer, Clock, NodeError, Refusal};
use chancery_engine::Execution;
use chancery_engine::limits::EVENT_OVERHEAD_BYTES;
use chancery_state::BlockStore;
use chancery_types::entry::{Rejection, WriteSet};
use chancery_types::{Action, Call, Height, RequestId, SignedCall, Timestamp};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

/// Calls of a block.
pub(crate) const BLOCK_CALLS_MAX: usize = 1_024;
/// Calls with which a block does not wait for more when the recorder is free.
const BLOCK_CALLS_ENOUGH: usize = 128;
/// A block is closed when about so many bytes came of it; the last call may add its own.
const BLOCK_BYTES_TARGET: usize = 8 << 20;
/// Blocks whose request ids are kept, so that a call that was looked up before it queued need not be looked up again.
const RECENT_BLOCKS: usize = 64;

/// A call that passed its checks, and who waits for it.
pub(crate) struct Submission {
    pub(crate) signed: SignedCall,
    /// No entry below this index has its request id.
    pub(crate) unseen_below: u64,
    /// Since when it waits to be ordered; nothing once it was.
    pub(crate) queued: Option<Instant>,
    pub(crate) reply: SyncSender<Result<Answer, Refusal>>,
}

impl Submission {
    /// Answers. A caller that no longer waits can ask again with the same request id.
    pub(crate) fn answer(&self, answer: Result<Answer, impl Into<Refusal>>) {
        drop(self.reply.send(answer.map_err(Into::into)));
    }
}

/// What became of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Recorded {
    /// It is committed.
    Committed,
    /// It is not, and its callers know.
    Lost,
}

/// A call executed, and who waits for it.
pub(crate) struct Ordered {
    pub(crate) submission: Submission,
    pub(crate) executed: Executed,
}

/// A block whose calls are executed.
pub(crate) struct Block {
    pub(crate) height: Height,
    pub(crate) time: Timestamp,
    /// Its calls in order.
    pub(crate) calls: Vec<Ordered>,
    /// Calls whose request id an earlier call has, of this block or one before.
    pub(crate) repeats: Vec<Submission>,
    /// What its calls write, each key once, in order.
    pub(crate) writes: WriteSet,
    /// About how many bytes it takes.
    pub(crate) bytes: usize,
}

/// Where the next block begins.
#[derive(Clone, Copy)]
pub(crate) struct BlockStart {
    pub(crate) index: u64,
    pub(crate) height: Height,
    pub(crate) time: Timestamp,
}

/// The request ids of the open block and of the last ones before it.
#[derive(Default)]
struct Recent {
    /// Entries before the oldest block that is kept.
    from: u64,
    blocks: VecDeque<(u64, Vec<RequestId>)>,
    open: Vec<RequestId>,
    ids: HashSet<RequestId>,
}

impl Recent {
    /// Adds a call of the open block.
    fn add(&mut self, id: RequestId) {
        self.open.push(id);
        self.ids.insert(id);
    }

    /// Closes the open block, of which the first entry has this index.
    fn close(&mut self, first: u64) {
        self.blocks.push_back((first, std::mem::take(&mut self.open)));
        if self.blocks.len() > RECENT_BLOCKS {
            let oldest = self.blocks.pop_front();
            self.forget(oldest.map(|(_, ids)| ids).unwrap_or_default());
            self.from = self.blocks.front().map_or(first, |(first, _)| *first);
        }
    }

    /// Takes back the open block.
    fn reopen(&mut self) {
        let open = std::mem::take(&mut self.open);
        self.forget(open);
    }

    /// Takes back the last closed block.
    fn remove_last(&mut self) {
        let last = self.blocks.pop_back();
        self.forget(last.map(|(_, ids)| ids).unwrap_or_default());
    }

    fn forget(&mut self, ids: Vec<RequestId>) {
        for id in ids {
            self.ids.remove(&id);
        }
    }
}

/// What orders and executes.
pub(crate) struct Sequencer {
    pub(crate) executor: Arc<Executor>,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) committed: Arc<Committed>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) health: Arc<Health>,
    store: Arc<BlockStore>,
    /// Calls that are to be ordered.
    pub(crate) queue: VecDeque<Submission>,
    open: Option<Block>,
    /// Where the open block begins or the next one would, and where the block that is being recorded begins.
    next: BlockStart,
    recording: Option<BlockStart>,
    recent: Recent,
    /// Whether the last block had but one call.
    lone: bool,
}

impl Sequencer {
    /// Nothing ordered yet; the log ends at `end`.
    pub(crate) fn new(
        executor: Arc<Executor>,
        blobs: Arc<Blobs>,
        committed: Arc<Committed>,
        clock: Arc<dyn Clock>,
        health: Arc<Health>,
        end: BlockStart,
    ) -> Self {
        let store = Arc::new(BlockStore::new(committed.clone()));
        let recent = Recent { from: end.index, ..Recent::default() };
        Sequencer {
            executor,
            blobs,
            committed,
            clock,
            health,
            store,
            queue: VecDeque::new(),
            open: None,
            next: end,
            recording: None,
            recent,
            lone: false,
        }
    }

    /// Whether nothing is queued, executed or on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.is_open() && self.is_recorded()
    }

    /// Whether the last block had but one call.
    pub(crate) fn was_lone(&self) -> bool {
        self.lone
    }

    /// Whether there is an open block.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether every block that was cut off is recorded.
    pub(crate) fn is_recorded(&self) -> bool {
        self.recording.is_none()
    }

    /// Whether the open block need not wait for more calls.
    pub(crate) fn has_enough(&self) -> bool {
        self.open.as_ref().is_some_and(|block| block.len() >= BLOCK_CALLS_ENOUGH)
    }

    /// Whether the open block takes no more calls.
    pub(crate) fn is_full(&self) -> bool {
        self.open.as_ref().is_some_and(|block| block.len() >= BLOCK_CALLS_MAX || block.bytes >= BLOCK_BYTES_TARGET)
    }

    /// Executes what has queued, as far as the open block takes it.
    pub(crate) fn order_queued(&mut self) {
        while !self.is_full()
            && let Some(submission) = self.queue.pop_front()
        {
            self.order(submission);
        }
    }

    /// Executes a call as the next of the open block.
    pub(crate) fn order(&mut self, mut submission: Submission) {
        self.health.metrics.ordered(submission.queued.take());
        if let Some(reason) = self.health.stopped() {
            return submission.answer(Err(NodeError::Stopped(reason)));
        }
        let known = self.is_known(&submission);
        let (height, time) = (Height(self.next.height.0 + 1), self.clock.now().max(self.next.time));
        let block = self.open.get_or_insert_with(|| Block {
            height,
            time,
            calls: Vec::with_capacity(BLOCK_CALLS_ENOUGH),
            repeats: Vec::new(),
            writes: WriteSet::new(),
            bytes: 0,
        });
        let at = At { time: block.time, height, index: self.next.index + block.calls.len() as u64 };
        let execute = || execute(&self.executor, &self.blobs, &submission.signed.call, at, &self.store);
        let execute = || self.health.metrics.execute.pass(execute);
        match known.and_then(|known| if known { Ok(None) } else { execute().map(Some) }) {
            Ok(Some(executed)) => {
                self.recent.add(submission.signed.call.request);
                self.store.apply(&executed.execution.writes);
                block.bytes += bytes_of(&executed.execution);
                block.calls.push(Ordered { submission, executed });
            }
            Ok(None) => block.repeats.push(submission),
            // A module found no room. Nothing of the call is in the block.
            Err(NodeError::DiskFull) => {
                self.health.full(true);
                submission.answer(Err(NodeError::DiskFull));
            }
            Err(error) => {
                self.health.stop(&error);
                submission.answer(Err(error));
                self.take_back().for_each(|submission| {
                    submission.answer(Err(NodeError::Stopped("a fault in the same block".into())));
                });
            }
        }
    }

    /// Whether a call with this request id was ordered before.
    fn is_known(&self, submission: &Submission) -> Result<bool, NodeError> {
        let request = submission.signed.call.request;
        if self.recent.ids.contains(&request) {
            return Ok(true);
        }
        let looked_up = submission.unseen_below >= self.recent.from;
        Ok(!looked_up && self.committed.request(request)?.is_some())
    }

    /// Closes the open block, if there is one, and gives it away to be recorded.
    pub(crate) fn cut(&mut self) -> Option<Block> {
        let mut block = self.open.take()?;
        let begins = self.next;
        self.lone = block.len() == 1;
        if !block.calls.is_empty() {
            block.writes = self.store.seal(block.height);
            self.recent.close(begins.index);
            // The seal is an entry of its own.
            let index = begins.index + block.calls.len() as u64 + 1;
            self.next = BlockStart { index, height: block.height, time: block.time };
        }
        self.recording = Some(begins);
        Some(block)
    }

    /// Goes on from what became of the block that was given away.
    pub(crate) fn recorded(&mut self, recorded: Recorded) {
        let Some(begins) = self.recording.take() else { return };
        if recorded == Recorded::Committed {
            return self.store.settle(self.next.height);
        }
        let again: Vec<_> = self.take_back().collect();
        again.into_iter().rev().for_each(|submission| self.queue.push_front(submission));
        self.store.clear();
        if begins.index < self.next.index {
            self.recent.remove_last();
        }
        self.next = begins;
    }

    /// The calls of the open block, which is no more.
    fn take_back(&mut self) -> impl DoubleEndedIterator<Item = Submission> {
        self.store.reopen();
        self.recent.reopen();
        let block = self.open.take();
        let (calls, repeats) = block.map(|block| (block.calls, block.repeats)).unwrap_or_default();
        calls.into_iter().map(|call| call.submission).chain(repeats)
    }
}

impl Block {
    fn len(&self) -> usize {
        self.calls.len() + self.repeats.len()
    }
}

/// Executes a call that will be recorded: the module that it deploys is durable then, since its entry names it.
fn execute(
    executor: &Executor,
    blobs: &Blobs,
    call: &Call,
    at: At,
    store: &Arc<BlockStore>,
) -> Result<Executed, NodeError> {
    if let Action::Deploy { module, .. } = &call.action {
        match blobs.make_durable(module) {
            Err(NodeError::NoModule(_)) => return Ok(rejected(Rejection::UnknownModule)),
            done => done?,
        }
    }
    executor.execute(call, at, store.clone())
}

/// About how many bytes an execution takes in the journal. What a call writes may be thousands of keys of a byte or two, each of which takes more
/// beside itself.
fn bytes_of(execution: &Execution) -> usize {
    const ENTRY: usize = 1_024;
    /// Contract, two lengths, and whether there is a value.
    const WRITE: usize = 32 + 4 + 1 + 4;
    let written =
        |write: &chancery_types::entry::Write| WRITE + write.key.len() + write.value.as_ref().map_or(0, Vec::len);
    let writes: usize = execution.writes.iter().map(written).sum();
    let events: usize = execution.events.iter().map(|event| EVENT_OVERHEAD_BYTES + event.data.len()).sum();
    ENTRY + writes + events + execution.trace.bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_types::ContractId;
    use chancery_types::codec::Encode;
    use chancery_types::entry::Write;

    /// Once 4,096 keys of two bytes counted as 9 KB and took 176: a full block could take 160 MB, beyond what a segment and a part of a snapshot hold.
    #[test]
    fn a_block_counts_what_stands_beside_a_key() {
        let mut execution = rejected(Rejection::Expired).execution;
        let write = |key: u16| {
            let value = key.is_multiple_of(2).then(Vec::new);
            Write { contract: ContractId([1; 32]), key: key.to_be_bytes().to_vec(), value }
        };
        execution.writes = (0..4_096).map(write).collect();
        let taken = execution.writes.to_bytes().len();
        let counted = bytes_of(&execution);
        assert!((taken..taken + taken / 8).contains(&counted), "{taken} bytes count as {counted}");
    }
}
