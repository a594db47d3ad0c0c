//! Going through a whole log: every entry checked for itself by all cores, and then, in order, against what came
//! before.
//!
//! What is checked whatever the log is read from:
//!
//! 1. every entry decodes to the one encoding it was read from; index, previous hash, format version and time follow
//!    from the entry before;
//! 2. every call's signature, ledger and request id, each used once;
//! 3. where the effects are at hand: the digests of writes and trace; a call that is not done has no writes and no
//!    events;
//! 4. every block's seal: height and number of entries.
//!
//! Where entries come from is a [`Source`]: the journal, or the bundles of a public log. What state they lead to is
//! checked by a
//! [`States`]: from the recorded writes, by executing again, or not at all.

use crate::actors::Actors;
use crate::checkpoint::{check_reach, published};
use crate::decode;
use crate::disk::Disk;
use crate::journal::{FrameKind, Frames};
use crate::{NodeError, Progress};
use chancery_state::tree::{self, Change};
use chancery_tlog::{Checkpoint, merkle};
use chancery_types::codec::Encode;
use chancery_types::entry::Effects;
use chancery_types::{Entry, Hash, Height, LedgerId, ModuleId, Record, RequestId, Timestamp};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Entries that are handed to a checking thread at once.
const BATCH_ENTRIES: usize = 256;

/// An entry as it is read.
pub(crate) struct Read {
    pub(crate) index: u64,
    pub(crate) entry: Vec<u8>,
    pub(crate) effects: Option<Vec<u8>>,
}

/// What takes the entries; it fails where no more are wanted.
pub(crate) type Each<'a> = dyn FnMut(Read) -> Result<(), NodeError> + 'a;

/// Where entries come from.
pub(crate) trait Source: Sync {
    /// Whether the journal's effects stand beside the entries.
    fn has_effects(&self) -> bool;

    /// Hands every entry of every whole block to `each`, in order, until that fails. Says whether an interrupted write
    /// was left out at the end.
    fn read(&self, each: &mut Each<'_>) -> Result<bool, NodeError>;
}

/// The journal of a data directory.
pub(crate) struct JournalSource<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) dir: &'a Path,
    /// The checkpoint as far as which the journal must reach.
    pub(crate) published: Option<Checkpoint>,
}

impl<'a> JournalSource<'a> {
    /// Reads the published checkpoint, and later the journal: whoever serves the ledger meanwhile publishes newer ones,
    /// over entries that come behind what is read.
    pub(crate) fn open(disk: &'a dyn Disk, dir: &'a Path) -> Result<Self, NodeError> {
        Ok(JournalSource { disk, dir, published: published(disk, dir)? })
    }

    /// Entries that the checkpoint covers; `None` where there is no checkpoint.
    pub(crate) fn published_size(&self) -> Option<u64> {
        self.published.as_ref().map(|published| published.size)
    }

    /// To go through it with: the root at the checkpoint's size is asked for in the end.
    pub(crate) fn chain(&self) -> Chain {
        Chain::with_root_over(self.published_size())
    }
}

impl Source for JournalSource<'_> {
    fn has_effects(&self) -> bool {
        true
    }

    fn read(&self, each: &mut Each<'_>) -> Result<bool, NodeError> {
        let (journal, mut open) = (self.dir.join("journal"), Vec::<Read>::new());
        let mut frames = Frames::of(self.disk, &journal)?;
        while let Some((frame, _)) = frames.next()? {
            match frame.kind {
                FrameKind::Entry => {
                    open.push(Read { index: frame.index, entry: frame.payload.to_vec(), effects: None });
                }
                FrameKind::Effects => {
                    let read = open.last_mut().filter(|read| read.effects.is_none());
                    let read = read.ok_or_else(|| inconsistent(frame.index, "its effects stand twice"))?;
                    read.effects = Some(frame.payload.to_vec());
                }
            }
            if frame.is_seal() {
                open.drain(..).try_for_each(&mut *each)?;
            }
        }
        let end = frames.end()?;
        check_reach(self.dir, self.published.as_ref(), &end)?;
        Ok(end.is_torn())
    }
}

/// An entry whose own content is sound.
pub(crate) struct CheckedEntry {
    pub(crate) entry: Entry,
    pub(crate) effects: Option<Effects>,
    /// Paths and value hashes of its writes in the state tree; none where the effects are not at hand.
    pub(crate) changes: Vec<Change>,
    hash: Hash,
    leaf: Hash,
}

/// What state the entries lead to.
pub(crate) trait States {
    /// Takes in a call that fits its place.
    fn call(&mut self, checked: CheckedEntry) -> Result<(), NodeError>;

    /// Takes in a seal that fits its place: the end of a block.
    fn seal(&mut self, entry: &Entry, chain: &Chain) -> Result<(), NodeError>;
}

/// Gathers the modules that entries name, each with the first that does; states are not checked.
#[derive(Default)]
pub(crate) struct Modules(pub(crate) BTreeMap<ModuleId, u64>);

impl States for Modules {
    fn call(&mut self, checked: CheckedEntry) -> Result<(), NodeError> {
        if let Record::Call { module, .. } = &checked.entry.record
            && module.0 != [0; 32]
        {
            self.0.entry(*module).or_insert(checked.entry.index);
        }
        Ok(())
    }

    fn seal(&mut self, _: &Entry, _: &Chain) -> Result<(), NodeError> {
        Ok(())
    }
}

/// An entry that contradicts the log.
pub(crate) fn inconsistent(index: u64, problem: impl Into<String>) -> NodeError {
    NodeError::Inconsistent { index, problem: problem.into() }
}

/// Goes through the log. `progress` is told how many entries are done, of `total` where that is known. Says whether the
/// end is torn.
pub(crate) fn walk(
    source: &impl Source,
    chain: &mut Chain,
    states: &mut dyn States,
    (what, total): (&str, u64),
    progress: &Progress,
) -> Result<bool, NodeError> {
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let needs_effects = source.has_effects();
    std::thread::scope(|scope| {
        let mut inputs = Vec::new();
        let mut outputs = Vec::new();
        for _ in 0..workers {
            let (input, work) = sync_channel::<Vec<Read>>(4);
            let (done, output) = sync_channel(4);
            scope.spawn(move || check_batches(&work, &done, needs_effects));
            inputs.push(input);
            outputs.push(output);
        }
        let scanner = scope.spawn(move || hand_out(source, &inputs));
        // Batches went round the workers in turn, and come back in that order.
        for output in outputs.iter().cycle() {
            let Ok(batch) = output.recv() else { break };
            for checked in batch {
                chain.follow(checked?, states)?;
            }
            progress(what, chain.next, total);
        }
        // Whoever still works finds its channel closed and ends.
        drop(outputs);
        scanner.join().unwrap_or_else(|_| Err(inconsistent(chain.next, "the scan panicked")))
    })
}

/// Hands entries to the workers in turn.
fn hand_out(source: &impl Source, inputs: &[SyncSender<Vec<Read>>]) -> Result<bool, NodeError> {
    let mut turn = inputs.iter().cycle();
    let mut batch: Vec<Read> = Vec::new();
    let mut hand_over = |batch: &mut Vec<Read>| {
        let sent = turn.next().map(|worker| worker.send(std::mem::take(batch)));
        // What was handed over before is wrong, and its error is the one that is told: nothing more need be read.
        let ended = || NodeError::Stopped("no more entries are checked".into());
        sent.and_then(Result::ok).ok_or_else(ended)
    };
    let torn = source.read(&mut |read| {
        batch.push(read);
        if batch.len() < BATCH_ENTRIES { Ok(()) } else { hand_over(&mut batch) }
    })?;
    if !batch.is_empty() {
        hand_over(&mut batch)?;
    }
    Ok(torn)
}

fn check_batches(
    work: &Receiver<Vec<Read>>,
    done: &SyncSender<Vec<Result<CheckedEntry, NodeError>>>,
    needs_effects: bool,
) {
    let actors = Actors::default();
    while let Ok(batch) = work.recv() {
        if done.send(batch.into_iter().map(|read| check(read, needs_effects, &actors)).collect()).is_err() {
            return;
        }
    }
}

/// Checks what an entry says of itself.
fn check(read: Read, needs_effects: bool, actors: &Actors) -> Result<CheckedEntry, NodeError> {
    let Read { index, entry: bytes, effects: effect_bytes } = read;
    let wrong = |problem: &str| inconsistent(index, problem);
    let entry = decode::entry(index, &bytes)?;
    if entry.to_bytes() != bytes {
        return Err(wrong("it is not in its one encoding"));
    }
    let effects = effect_bytes.as_deref().map(|bytes| decode::effects(index, bytes)).transpose()?;
    if effects.as_ref().map(Encode::to_bytes) != effect_bytes {
        return Err(wrong("its effects are not in their one encoding"));
    }
    if let Record::Call { signed, outcome, events, .. } = &entry.record {
        if !actors.is_authentic(signed) {
            return Err(wrong("its call is not signed by the actor that it names"));
        }
        if !outcome.is_done() && !events.is_empty() {
            return Err(wrong("it has effects although its call was not done"));
        }
    }
    match (&entry.record, &effects) {
        (Record::Call { .. }, Some(effects)) => check_effects(&entry, effects)?,
        (Record::Call { .. }, None) if needs_effects => return Err(wrong("its effects are missing")),
        (Record::Call { .. }, None) | (_, None) => {}
        (_, Some(_)) => return Err(wrong("it has effects although it is no call")),
    }
    let changes = effects.iter().flat_map(|effects| &effects.writes).map(tree::change).collect();
    Ok(CheckedEntry { hash: Hash::of(&bytes), leaf: merkle::leaf_hash(&bytes), entry, effects, changes })
}

/// Checks the effects of a call against what its entry says of them.
fn check_effects(entry: &Entry, effects: &Effects) -> Result<(), NodeError> {
    let wrong = |problem: &str| Err(inconsistent(entry.index, problem));
    let Record::Call { outcome, trace, writes, .. } = &entry.record else { return Ok(()) };
    if Hash::of(&effects.writes.to_bytes()) != *writes {
        return wrong("its writes are not those that its digest covers");
    }
    if Hash::of(&effects.trace.to_bytes()) != *trace {
        return wrong("its decision trace is not the one that its digest covers");
    }
    if !outcome.is_done() && !effects.writes.is_empty() {
        return wrong("it has effects although its call was not done");
    }
    if effects.writes.windows(2).any(|pair| (pair[0].contract, &pair[0].key) >= (pair[1].contract, &pair[1].key)) {
        return wrong("its writes are not in order");
    }
    Ok(())
}

/// What must follow from one entry to the next.
#[derive(Default)]
pub(crate) struct Chain {
    pub(crate) next: u64,
    previous: Hash,
    time: Timestamp,
    pub(crate) genesis: Option<(LedgerId, String)>,
    pub(crate) calls: u64,
    pub(crate) blocks: u64,
    /// Entries of the block that is not sealed yet.
    pub(crate) open: u32,
    requests: HashSet<RequestId>,
    pub(crate) log: merkle::Tree,
    /// A size over which the root is asked for, and the root once there are so many entries.
    asked: Option<u64>,
    pub(crate) root_asked: Option<Hash>,
}

impl Chain {
    /// Keeps no more of the log's hashes than the root takes, in the end and over the first `size` entries.
    pub(crate) fn with_root_over(size: Option<u64>) -> Self {
        Chain { log: merkle::Tree::recent(), asked: size, ..Chain::default() }
    }

    fn follow(&mut self, checked: CheckedEntry, states: &mut dyn States) -> Result<(), NodeError> {
        let (entry, hash, leaf) = (&checked.entry, checked.hash, checked.leaf);
        self.check_place(entry)?;
        let sealed = entry.seal().is_some().then(|| entry.clone());
        let time = entry.time;
        match &entry.record {
            Record::Genesis { origin, .. } => self.genesis = Some((LedgerId(hash.0), origin.clone())),
            Record::Call { signed, .. } => {
                self.check_call(entry, signed)?;
                states.call(checked)?;
                self.calls += 1;
            }
            Record::Seal { height, entries, .. } => {
                if (*height, *entries) != (Height(self.blocks), self.open) {
                    return Err(inconsistent(
                        entry.index,
                        format!(
                            "the seal's height or number of entries is wrong: expected {} and {}, found {height} and {entries}",
                            self.blocks, self.open
                        ),
                    ));
                }
                self.blocks += 1;
            }
        }
        self.log.push(leaf);
        (self.next, self.previous, self.time) = (self.next + 1, hash, time);
        if self.asked == Some(self.next) {
            self.root_asked = Some(self.log.root());
        }
        match sealed {
            Some(seal) => {
                self.open = 0;
                states.seal(&seal, self)
            }
            None => {
                self.open += 1;
                Ok(())
            }
        }
    }

    /// What every entry owes to the one before.
    fn check_place(&self, entry: &Entry) -> Result<(), NodeError> {
        let wrong = |problem: String| Err(inconsistent(self.next, problem));
        if entry.version != entry.record.version() {
            let (found, expected) = (entry.version, entry.record.version());
            return wrong(format!("it says format version {found}, what it holds is of version {expected}"));
        }
        if entry.index != self.next {
            return wrong(format!("entry {} stands in its place: one was dropped, added or moved", entry.index));
        }
        if entry.previous != self.previous {
            return wrong(format!(
                "it names {} as the hash of the entry before it, which is {}: one of the two was edited, dropped or moved",
                entry.previous, self.previous
            ));
        }
        if entry.time < self.time {
            return wrong(format!("its time {} is before that of the entry before, {}", entry.time, self.time));
        }
        match (&entry.record, self.next) {
            (Record::Genesis { .. }, 0) => Ok(()),
            (Record::Genesis { .. }, _) => wrong("a second genesis".into()),
            (_, 0) => wrong("the log does not begin with its genesis".into()),
            _ => Ok(()),
        }
    }

    fn check_call(&mut self, entry: &Entry, signed: &chancery_types::SignedCall) -> Result<(), NodeError> {
        if self.genesis.as_ref().is_none_or(|(ledger, _)| *ledger != signed.call.ledger) {
            return Err(inconsistent(entry.index, format!("its call is for another ledger, {}", signed.call.ledger)));
        }
        if !self.requests.insert(signed.call.request) {
            return Err(inconsistent(entry.index, format!("request id {} stands twice", signed.call.request)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Entries without bytes, and how many of them were taken.
    struct Empty(AtomicU64);

    const MANY: u64 = 1_000_000;

    impl Source for Empty {
        fn has_effects(&self) -> bool {
            false
        }

        fn read(&self, each: &mut Each<'_>) -> Result<bool, NodeError> {
            for index in 0..MANY {
                each(Read { index, entry: Vec::new(), effects: None })?;
                self.0.fetch_add(1, Ordering::Relaxed);
            }
            Ok(false)
        }
    }

    /// A log may be long, and at the other end of a network.
    #[test]
    fn nothing_is_read_behind_an_entry_that_is_wrong() {
        let source = Empty(AtomicU64::new(0));
        let (mut chain, mut modules, progress) = (Chain::default(), Modules::default(), Arc::new(|_: &str, _, _| {}));
        let error = walk(&source, &mut chain, &mut modules, ("", 0), &(progress as Progress)).unwrap_err();
        assert!(matches!(error, NodeError::Inconsistent { index: 0, .. }), "{error}");
        let read = source.0.into_inner();
        assert!(read < MANY / 2, "{read} entries were read");
    }
}
