//! The sealer: entries, hashes, the state tree, the seal.
//!
//! Takes a block whose calls are executed, encodes each call's entry and effects, applies the block's writes to the state tree, and closes the
//! block with a seal that holds the state root. All of it is in memory: what it makes is what the [recorder](crate::recorder) writes.
//!
//! It is ahead of the recorder by a block, which it seals while the disk is busy with the one before. Where that one is lost, what was sealed on top of it
//! is never written, and the sealer goes on from what is committed.

use crate::Answer;
use crate::execute::Executed;
use crate::journal::{self, FrameKind, FrameTag};
use crate::metrics::Stage;
use crate::sequencer::{Block, Ordered, Reply, Submission};
use chancery_engine::prices;
use chancery_state::{Tree, tree};
use chancery_tlog::merkle;
use chancery_types::codec::Encode;
use chancery_types::entry::WriteSet;
use chancery_types::{Entry, Hash, Height, Record, RequestId, Timestamp};
use std::time::Instant;

/// Bytes of memory that are kept from block to block.
const SCRATCH_BYTES: usize = 1 << 20;

/// The end of a log, as the next block needs it.
#[derive(Clone)]
pub(crate) struct Tip {
    pub(crate) index: u64,
    pub(crate) height: Height,
    pub(crate) previous: Hash,
    pub(crate) time: Timestamp,
    pub(crate) tree: Tree,
    /// The journal's chain value.
    pub(crate) chain: Hash,
}

/// A block as it is written.
pub(crate) struct Sealed {
    /// The entry that it begins with.
    pub(crate) begins: u64,
    /// How many calls it has.
    pub(crate) calls: u32,
    pub(crate) frames: journal::Block,
    /// The end of the log with it.
    pub(crate) tip: Tip,
    /// The hashes of its entries in the log's tree.
    pub(crate) leaves: Vec<Hash>,
    /// Its request ids, and the indices of their entries.
    pub(crate) requests: Vec<(RequestId, u64)>,
    /// What its calls write, each key once, in order.
    pub(crate) writes: WriteSet,
    /// What its callers are told once it is durable.
    pub(crate) answers: Vec<(Reply, Answer)>,
    /// Calls that have been answered before, or are in this block.
    pub(crate) repeats: Vec<Submission>,
}

/// What seals blocks.
pub(crate) struct Sealer {
    tip: Tip,
    tag: FrameTag,
    stage: Stage,
    /// What effects are put together in.
    effects: Vec<u8>,
}

impl Sealer {
    /// Goes on from the end of a journal with this tag.
    pub(crate) fn new(tip: Tip, tag: FrameTag, stage: Stage) -> Self {
        Sealer { tip, tag, stage, effects: Vec::new() }
    }

    /// Goes on from here: what was sealed since is not in the log.
    pub(crate) fn go_on_from(&mut self, tip: Tip) {
        self.tip = tip;
    }

    /// Seals a block. One without calls has no seal either, and leaves nothing in the log.
    pub(crate) fn seal(&mut self, block: Block) -> Sealed {
        let begun = Instant::now();
        let Block { height, time, calls, repeats, writes, bytes } = block;
        let begins = self.tip.index;
        let mut sealed = Sealed {
            begins,
            // A block has at most BLOCK_CALLS_MAX calls.
            calls: u32::try_from(calls.len()).unwrap_or(u32::MAX),
            frames: journal::Block::with_capacity(begins, self.tag, bytes),
            tip: self.tip.clone(),
            leaves: Vec::with_capacity(calls.len() + 1),
            requests: Vec::with_capacity(calls.len()),
            writes,
            answers: Vec::with_capacity(calls.len()),
            repeats,
        };
        if calls.is_empty() {
            return sealed;
        }
        (sealed.tip.height, sealed.tip.time) = (height, time);
        self.effects.shrink_to(SCRATCH_BYTES);
        calls.into_iter().for_each(|call| sealed.call(call, &mut self.effects));
        sealed.tip.tree.update(sealed.writes.iter().map(tree::change));
        let (state_root, keys, entries) = (sealed.tip.tree.root(), sealed.tip.tree.len(), sealed.calls);
        sealed.push(Record::Seal { height, state_root, entries, keys });
        self.tip = sealed.tip.clone();
        self.stage.since(begun);
        sealed
    }
}

impl Sealed {
    /// Adds an entry, and returns it.
    fn push(&mut self, record: Record) -> Entry {
        let index = self.tip.index;
        let (version, previous, time) = (record.version(), self.tip.previous, self.tip.time);
        let entry = Entry { version, index, previous, time, record };
        let bytes = self.frames.push_with(FrameKind::Entry, index, &mut self.tip.chain, |out| entry.encode(out));
        self.leaves.push(merkle::leaf_hash(bytes));
        self.tip.previous = Hash::of(bytes);
        self.tip.index += 1;
        entry
    }

    /// Adds a call's entry and its effects.
    fn call(&mut self, Ordered { submission, executed }: Ordered, effects: &mut Vec<u8>) {
        let Executed { contract, module, execution } = executed;
        let Submission { signed, reply, .. } = submission;
        self.requests.push((signed.call.request, self.tip.index));
        // As `Effects` are encoded: the writes, then the trace.
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
        self.frames.push(FrameKind::Effects, index, effects, &mut self.tip.chain);
        self.answers.push((reply, Answer { index, height, entry, trace: execution.trace, repeated: false }));
    }

    /// Its calls as they were submitted, in order: they are to be executed again.
    pub(crate) fn into_submissions(self) -> impl Iterator<Item = Submission> {
        let submission = |(reply, answer): (Reply, Answer)| match answer.entry.record {
            // What was looked up when it was submitted is looked up again.
            Record::Call { signed, .. } => Some(Submission { signed, unseen_below: 0, queued: None, reply }),
            _ => None,
        };
        self.answers.into_iter().filter_map(submission).chain(self.repeats)
    }
}
