//! The recorder: entries, seal, commit point, answers.
//!
//! Takes a block whose calls are executed, and
//!
//! 1. encodes each call's entry and effects, and closes the block with a seal that holds the state root;
//! 2. appends the block to the journal and `fdatasync`s it: **the commit point**. A crash before it leaves nothing of
//!    the block, after it all;
//! 3. makes the block visible to readers, and hands it to the thread that keeps the view. Then its callers are
//!    answered.
//!
//! When the disk is full before the commit point, the block is cut off, its callers are told that it was not recorded,
//! the ledger is read-only, and the next block is tried: when there is room again, it serves again. Any other error of
//! the journal stops the ledger.

use crate::answer::first_answer;
use crate::committed::Committed;
use crate::disk::{self, Disk};
use crate::execute::Executed;
use crate::health::Health;
use crate::journal::{self, FrameKind, Journal, Mark, Reader};
use crate::metrics::Metrics;
use crate::publication::Board;
use crate::sequencer::{Block, Ordered, Recorded, Submission};
use crate::{Answer, Head, NodeError, Refusal, failpoint};
use chancery_engine::prices;
use chancery_state::view::Position;
use chancery_state::{Tree, tree};
use chancery_tlog::merkle;
use chancery_types::codec::Encode;
use chancery_types::entry::WriteSet;
use chancery_types::{Entry, Hash, Height, Record, RequestId, Timestamp};
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Bytes that must be free on the ledger's disk for a block to be made.
pub(crate) const RESERVE_BYTES: u64 = 16 << 20;

/// Bytes of memory that are kept from block to block.
const SCRATCH_BYTES: usize = 1 << 20;
/// How often a recorder that waits for the view looks at it.
const VIEW_LOOK_EVERY: Duration = Duration::from_millis(1);

/// The end of the log, as the next block needs it.
#[derive(Clone)]
pub(crate) struct Tip {
    pub(crate) index: u64,
    pub(crate) height: Height,
    pub(crate) previous: Hash,
    pub(crate) time: Timestamp,
    pub(crate) tree: Tree,
}

/// What makes blocks durable.
pub(crate) struct Recorder {
    pub(crate) committed: Arc<Committed>,
    pub(crate) journal: Journal,
    pub(crate) reader: Arc<Reader>,
    pub(crate) tip: Tip,
    pub(crate) log: Arc<RwLock<merkle::Tree>>,
    pub(crate) head: Arc<RwLock<Head>>,
    pub(crate) view: SyncSender<Height>,
    pub(crate) board: Arc<Board>,
    pub(crate) health: Arc<Health>,
    pub(crate) disk: Arc<dyn Disk>,
    /// Where the journal ended when it was closed.
    pub(crate) closed: Arc<Mutex<Option<Mark>>>,
    /// The ledger's directory, where there must be room.
    pub(crate) dir: PathBuf,
    pub(crate) scratch: Scratch,
}

/// What a block is put together in; its memory serves the next one, too.
#[derive(Default)]
pub(crate) struct Scratch {
    frames: journal::Block,
    effects: Vec<u8>,
}

/// A block in the making.
struct Draft {
    scratch: Scratch,
    chain: Hash,
    tip: Tip,
    leaves: Vec<Hash>,
    requests: Vec<(RequestId, u64)>,
    begun: Instant,
}

impl Draft {
    /// Adds an entry, and returns it.
    fn push(&mut self, record: Record) -> Entry {
        let index = self.tip.index;
        let (version, previous, time) = (record.version(), self.tip.previous, self.tip.time);
        let entry = Entry { version, index, previous, time, record };
        let frames = &mut self.scratch.frames;
        let bytes = frames.push_with(FrameKind::Entry, index, &mut self.chain, |out| entry.encode(out));
        self.leaves.push(merkle::leaf_hash(bytes));
        self.tip.previous = Hash::of(bytes);
        self.tip.index += 1;
        entry
    }

    /// Adds a call's entry; its answer is to be given when the block is durable.
    fn call(&mut self, Ordered { submission, executed }: Ordered) -> (Reply, Answer) {
        let Executed { contract, module, execution } = executed;
        let Submission { signed, reply, .. } = submission;
        self.requests.push((signed.call.request, self.tip.index));
        // As `Effects` are encoded: the writes, then the trace.
        let effects = &mut self.scratch.effects;
        effects.clear();
        execution.writes.encode(effects);
        let (writes, traced) = (Hash::of(effects), effects.len());
        execution.trace.encode(effects);
        let record = Record::Call {
            signed,
            contract,
            module,
            outcome: execution.outcome,
            gas: execution.gas,
            prices: prices::PRICES_VERSION,
            events: execution.events,
            trace: Hash::of(&effects[traced..]),
            movements: Vec::new(),
            writes,
        };
        let entry = self.push(record);
        let (index, height) = (entry.index, self.tip.height);
        self.scratch.frames.push(FrameKind::Effects, index, &self.scratch.effects, &mut self.chain);
        (reply, Answer { index, height, entry, trace: execution.trace, repeated: false })
    }
}

/// Where a caller waits for its answer.
type Reply = SyncSender<Result<Answer, Refusal>>;

/// The answers to a block's callers.
pub(crate) struct Answers {
    replies: Vec<(Reply, Result<Answer, Refusal>)>,
}

impl Answers {
    /// Gives them. A caller that no longer waits can ask again with the same request id.
    pub(crate) fn give(self, metrics: &Metrics) {
        failpoint::pass("before-answer");
        metrics.answered(self.replies.iter().filter_map(|(_, answer)| answer.as_ref().ok()));
        metrics.answer.pass(|| self.replies.into_iter().for_each(|(reply, answer)| drop(reply.send(answer))));
    }
}

impl Recorder {
    /// A clean stop: no block is in doubt.
    pub(crate) fn close(&self) {
        failpoint::pass("close");
        // Where it cannot be written, the next start rewrites the last block.
        if self.health.stopped().is_none() && self.journal.close().is_ok() {
            *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.journal.mark());
        }
        self.board.close();
    }

    /// Records a block. The answers are to be given: when the block is durable, or with what kept it from it.
    pub(crate) fn record(&mut self, block: Block) -> (Recorded, Answers) {
        let Block { height, time, calls, repeats, writes, .. } = block;
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.frames.reset(self.tip.index, self.journal.tag(), SCRATCH_BYTES);
        scratch.effects.shrink_to(SCRATCH_BYTES);
        let mut draft = Draft {
            scratch,
            chain: self.journal.chain(),
            tip: Tip { height, time, ..self.tip.clone() },
            leaves: Vec::new(),
            requests: Vec::new(),
            begun: Instant::now(),
        };
        let answers: Vec<_> = calls.into_iter().map(|call| draft.call(call)).collect();
        let committed = match self.health.stopped() {
            Some(reason) => Err(NodeError::Stopped(reason)),
            None if answers.is_empty() => Ok(()),
            None => self.commit(draft, writes),
        };
        let Err(error) = committed else {
            let answers = answers.into_iter().map(|(reply, answer)| (reply, Ok(answer)));
            let repeats = repeats.into_iter().map(|submission| self.repeated(submission));
            return (Recorded::Committed, Answers { replies: answers.chain(repeats).collect() });
        };
        let full = matches!(error, NodeError::DiskFull);
        if full {
            self.health.full(true);
        } else {
            self.health.stop(&error);
        }
        let again = || if full { NodeError::DiskFull } else { NodeError::Stopped(error.to_string()) };
        let replies = answers.into_iter().map(|(reply, _)| reply).chain(repeats.into_iter().map(|repeat| repeat.reply));
        (Recorded::Lost, Answers { replies: replies.map(|reply| (reply, Err(again().into()))).collect() })
    }

    /// The answer to a call whose request id is in the log.
    fn repeated(&self, submission: Submission) -> (Reply, Result<Answer, Refusal>) {
        let call = &submission.signed.call;
        let found = self.committed.request(call.request);
        let first = found.and_then(|index| match index {
            Some(index) => first_answer(&self.reader, index),
            None => Err(NodeError::Stopped("a request vanished".into())),
        });
        let answer = first.map_err(Refusal::from).and_then(|first| first.for_same(call));
        (submission.reply, answer)
    }

    /// Seals the block, appends it, and makes it visible.
    fn commit(&mut self, mut draft: Draft, writes: WriteSet) -> Result<(), NodeError> {
        draft.tip.tree.update(writes.iter().map(tree::change));
        let (state_root, keys) = (draft.tip.tree.root(), draft.tip.tree.len());
        let height = draft.tip.height;
        // A block has at most BLOCK_CALLS_MAX calls.
        let entries = u32::try_from(draft.requests.len()).unwrap_or(u32::MAX);
        draft.push(Record::Seal { height, state_root, entries, keys });

        self.health.metrics.encode.since(draft.begun);
        self.check_room()?;
        failpoint::pass("before-append");
        self.journal.append(&draft.scratch.frames, draft.chain)?;
        self.health.full(false);
        self.health.metrics.recorded(entries, draft.scratch.frames.len());
        self.scratch = draft.scratch;
        let begun = Instant::now();
        failpoint::pass("after-commit");

        let root = {
            let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
            draft.leaves.into_iter().for_each(|leaf| log.push(leaf));
            log.root()
        };
        let (size, time) = (draft.tip.index, draft.tip.time);
        let position = Position { height, root: state_root, entries: size };
        self.committed.commit(writes, position, draft.tip.tree.clone(), &draft.requests);
        *self.head.write().unwrap_or_else(PoisonError::into_inner) =
            Head { size, root, height, state_root, keys, time };
        self.tip = draft.tip;
        self.board.committed(size);
        self.health.metrics.reached(size, keys);
        self.health.metrics.view_blocks.increment(1);
        if self.view.send(height).is_err() {
            self.health.stop(&NodeError::Stopped("the view's thread ended".into()));
        }
        while self.committed.is_behind() && self.health.stopped().is_none() {
            std::thread::sleep(VIEW_LOOK_EVERY);
        }
        self.health.metrics.commit.since(begun);
        Ok(())
    }

    /// The journal has its room in advance, but what is derived from it needs some too, and sled does not survive a
    /// full disk.
    fn check_room(&self) -> Result<(), NodeError> {
        let free = self.disk.free_bytes(&self.dir).map_err(disk::failed("cannot look for room at", &self.dir))?;
        self.health.metrics.free(free);
        if free < RESERVE_BYTES { Err(NodeError::DiskFull) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::committed::{BACKLOG_BYTES_MAX, PLACE_BYTES};
    use crate::execute::rejected;
    use crate::sim::{SimDisk, SimViews};
    use crate::stages::Stages;
    use crate::{Ledger, Options, State};
    use chancery_types::entry::{Rejection, Write};
    use chancery_types::{Action, Call, ContractId, LedgerId, PublicKey, SignedCall};
    use ed25519_dalek::SigningKey;
    use std::path::Path;
    use std::sync::mpsc::{Receiver, channel, sync_channel};

    /// A ledger whose view gets nothing before [`Stages`] are told to give it something.
    fn ledger() -> (Ledger, Stages) {
        let (disk, views) = (SimDisk::new(1), SimViews::default());
        let (open_view, disk) = (views.opener(&disk), Arc::new(disk));
        let options = Options { disk, open_view, segment_bytes: 24 << 10, threads: false, ..Options::default() };
        let key = SigningKey::from_bytes(&[9; 32]);
        let mut ledger = Ledger::create(Path::new("/town"), "ledger.example/test", &key, options).unwrap();
        let stages = ledger.stepping.take().unwrap().into_inner().unwrap();
        (ledger, stages)
    }

    /// The next block, of one call, with a write that takes so many bytes while it waits.
    fn block(recorder: &Recorder, bytes: usize) -> Block {
        let key = SigningKey::from_bytes(&[7; 32]);
        let (actor, request) = (PublicKey(key.verifying_key().to_bytes()), RequestId(recorder.tip.index.into()));
        let action = Action::Invoke { contract: "none".into(), method: "none".into(), arguments: Vec::new() };
        let call = Call { ledger: LedgerId::default(), actor, request, valid_until: Timestamp(0), action };
        let (signed, reply) = (SignedCall::sign(call, &key), sync_channel(1).0);
        let submission = Submission { signed, unseen_below: 0, queued: None, reply };
        let calls = vec![Ordered { submission, executed: rejected(Rejection::UnknownContract) }];
        let write = Write {
            contract: ContractId::default(),
            key: b"k".to_vec(),
            value: Some(vec![0; bytes - PLACE_BYTES - 1]),
        };
        let (height, time) = (Height(recorder.tip.height.0 + 1), recorder.tip.time);
        Block { height, time, calls, repeats: Vec::new(), writes: vec![write], bytes: 0 }
    }

    /// Records a block of so many bytes on a thread of its own, which says when it is done.
    fn recorded(mut recorder: Recorder, bytes: usize) -> Receiver<Recorder> {
        let (done, recorded) = channel();
        std::thread::spawn(move || {
            let block = block(&recorder, bytes);
            recorder.record(block);
            drop(done.send(recorder));
        });
        recorded
    }

    const SOON: Duration = Duration::from_millis(50);
    const AT_LAST: Duration = Duration::from_secs(30);

    #[test]
    fn a_block_waits_while_too_many_bytes_wait_for_the_view() {
        let (ledger, mut stages) = ledger();
        let recorded_all = recorded(stages.recorder, BACKLOG_BYTES_MAX);
        let recorder = recorded_all.recv_timeout(AT_LAST).expect("as much as may wait");
        let recorded_more = recorded(recorder, PLACE_BYTES + 1);
        // It is committed, and readers see it, before it waits.
        stages.committed.recv_timeout(AT_LAST).unwrap();
        stages.committed.recv_timeout(AT_LAST).unwrap();
        assert!(recorded_more.recv_timeout(SOON).is_err(), "it does not wait");
        assert_eq!(ledger.head().height, Height(2));
        stages.follower.apply(2).unwrap();
        let recorder = recorded_more.recv_timeout(AT_LAST).expect("the view is at the head");
        // Where the view will never come, nobody waits for it.
        let recorded_again = recorded(recorder, BACKLOG_BYTES_MAX + 1);
        stages.committed.recv_timeout(AT_LAST).unwrap();
        assert!(recorded_again.recv_timeout(SOON).is_err(), "it does not wait");
        stages.follower.health.stop(&NodeError::Stopped("simulated".into()));
        recorded_again.recv_timeout(AT_LAST).expect("the ledger has stopped");
        assert!(matches!(ledger.state(), State::Stopped(_)));
    }
}
