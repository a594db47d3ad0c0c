//! Verification of a whole log, from its files alone.
//!
//! What is checked, and nothing is trusted that is not:
//!
//! 1. frames and their chain, segment headers; an interrupted write at the very end is told and not an error;
//! 2. every entry decodes to the one encoding it was read from; index, previous hash, format version and time follow from the entry before;
//! 3. every call's signature, ledger and request id, each used once;
//! 4. the digests of writes and trace against what the journal keeps beside the entry; a call that is not done has no writes and no events;
//! 5. every block's seal: height, number of entries, and the state root and number of keys that its writes lead to;
//! 6. the Merkle root against the published checkpoint, and that against the log's public key.
//!
//! Signatures and digests, most of the work, are checked by all cores; the rest follows in order. Nothing is written.

use crate::disk::{Disk, OsDisk};
use crate::journal::{self, Frame, FrameKind};
use crate::recovery::{check_checkpoint, check_format};
use crate::{NodeError, Progress};
use chancery_state::tree::{self, Change, Tree};
use chancery_tlog::merkle;
use chancery_types::codec::{Decode, Encode};
use chancery_types::entry::{ENTRY_VERSION, Effects};
use chancery_types::{Entry, Hash, Height, LedgerId, Record, RequestId, Timestamp};
use std::collections::HashSet;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Entries that are handed to a checking thread at once.
const BATCH_ENTRIES: usize = 256;

/// What a verification found: the log is sound, and this is what it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The ledger.
    pub ledger: LedgerId,
    /// The log's origin.
    pub origin: String,
    /// Entries.
    pub entries: u64,
    /// Calls among them, each with its signature.
    pub calls: u64,
    /// Blocks, the first included.
    pub blocks: u64,
    /// The Merkle root over all entries.
    pub root: Hash,
    /// The state root after the last block.
    pub state_root: Hash,
    /// Keys of the state.
    pub keys: u64,
    /// Entries that the published checkpoint covers; `None` where there is no checkpoint.
    pub checkpoint: Option<u64>,
    /// Whether an interrupted write was found behind the last block. It was never acknowledged; opening the ledger cuts it off.
    pub torn: bool,
}

/// An entry as it is handed to a checking thread.
struct Pair {
    index: u64,
    entry: Vec<u8>,
    effects: Option<Vec<u8>>,
}

/// An entry whose own content is sound.
struct Checked {
    entry: Entry,
    hash: Hash,
    leaf: Hash,
    /// Paths and value hashes of its writes in the state tree.
    changes: Vec<Change>,
}

fn inconsistent(index: u64, problem: impl Into<String>) -> NodeError {
    NodeError::Inconsistent { index, problem: problem.into() }
}

/// Verifies the log of the ledger in `dir`; `progress` is told how many entries are checked.
///
/// # Errors
/// The first thing that is wrong, by the entry's index or the place in the file.
pub fn verify(dir: &Path, progress: &Progress) -> Result<Report, NodeError> {
    verify_on(&OsDisk, dir, progress)
}

/// As [`verify`], on any disk.
///
/// # Errors
/// As [`verify`].
pub fn verify_on(disk: &dyn Disk, dir: &Path, progress: &Progress) -> Result<Report, NodeError> {
    check_format(disk, dir)?;
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let mut chain = Chain::default();
    let torn = std::thread::scope(|scope| {
        let mut inputs = Vec::new();
        let mut outputs = Vec::new();
        for _ in 0..workers {
            let (input, work) = sync_channel::<Vec<Pair>>(4);
            let (done, output) = sync_channel(4);
            scope.spawn(move || check_batches(&work, &done));
            inputs.push(input);
            outputs.push(output);
        }
        let scanner = scope.spawn(move || scan(disk, dir, &inputs));
        // Batches went round the workers in turn, and come back in that order.
        for output in outputs.iter().cycle() {
            let Ok(batch) = output.recv() else { break };
            for checked in batch {
                chain.follow(checked?)?;
            }
            progress("entries verified", chain.next, 0);
        }
        // Whoever still works finds its channel closed and ends.
        drop(outputs);
        scanner.join().unwrap_or_else(|_| Err(inconsistent(chain.next, "the scan panicked")))
    })?;
    chain.report(disk, dir, torn)
}

/// Reads the frames and hands entries with their effects to the workers in turn. Says whether the end is torn.
fn scan(disk: &dyn Disk, dir: &Path, inputs: &[SyncSender<Vec<Pair>>]) -> Result<bool, NodeError> {
    let mut turn = inputs.iter().cycle();
    let (mut batch, mut open): (Vec<Pair>, Vec<Pair>) = (Vec::new(), Vec::new());
    let mut hand_over = |batch: &mut Vec<Pair>| {
        let worker = turn.next();
        // A worker that is gone has met an error, which is told by its receiver.
        worker.is_some_and(|worker| worker.send(std::mem::take(batch)).is_ok())
    };
    let end = journal::scan(disk, &dir.join("journal"), None, |frame: Frame<'_>, _| {
        if frame.kind == FrameKind::Effects {
            let pair = open.last_mut().filter(|pair: &&mut Pair| pair.effects.is_none());
            let pair = pair.ok_or_else(|| inconsistent(frame.index, "its effects stand twice"))?;
            pair.effects = Some(frame.payload.to_vec());
            return Ok(false);
        }
        open.push(Pair { index: frame.index, entry: frame.payload.to_vec(), effects: None });
        let sealed = Entry::is_seal(frame.payload);
        if sealed {
            batch.append(&mut open);
            if batch.len() >= BATCH_ENTRIES {
                hand_over(&mut batch);
            }
        }
        Ok(sealed)
    })?;
    if !batch.is_empty() {
        hand_over(&mut batch);
    }
    Ok(end.is_torn())
}

fn check_batches(work: &Receiver<Vec<Pair>>, done: &SyncSender<Vec<Result<Checked, NodeError>>>) {
    while let Ok(batch) = work.recv() {
        if done.send(batch.into_iter().map(check).collect()).is_err() {
            return;
        }
    }
}

/// Checks what an entry says of itself.
fn check(pair: Pair) -> Result<Checked, NodeError> {
    let Pair { index, entry: bytes, effects: effect_bytes } = pair;
    let wrong = |problem: &str| inconsistent(index, problem);
    let entry = Entry::from_bytes(&bytes).map_err(|error| wrong(&format!("it does not decode: {error}")))?;
    if entry.to_bytes() != bytes {
        return Err(wrong("it is not in its one encoding"));
    }
    let effects = effect_bytes.as_deref().map(Effects::from_bytes).transpose();
    let effects = effects.map_err(|error| wrong(&format!("its effects do not decode: {error}")))?;
    if effects.as_ref().map(Encode::to_bytes) != effect_bytes {
        return Err(wrong("its effects are not in their one encoding"));
    }
    match (&entry.record, &effects) {
        (Record::Call { signed, outcome, events, trace, writes, .. }, Some(effects)) => {
            if !signed.is_authentic() {
                return Err(wrong("its call is not signed by the actor that it names"));
            }
            if Hash::of(&effects.writes.to_bytes()) != *writes {
                return Err(wrong("its writes are not those that its digest covers"));
            }
            if Hash::of(&effects.trace.to_bytes()) != *trace {
                return Err(wrong("its decision trace is not the one that its digest covers"));
            }
            let effectless = events.is_empty() && effects.writes.is_empty();
            if !outcome.is_done() && !effectless {
                return Err(wrong("it has effects although its call was not done"));
            }
            if effects
                .writes
                .windows(2)
                .any(|pair| (pair[0].contract, &pair[0].key) >= (pair[1].contract, &pair[1].key))
            {
                return Err(wrong("its writes are not in order"));
            }
        }
        (Record::Call { .. }, None) => return Err(wrong("its effects are missing")),
        (_, Some(_)) => return Err(wrong("it has effects although it is no call")),
        (_, None) => {}
    }
    let writes = effects.iter().flat_map(|effects| &effects.writes);
    let changes = writes
        .map(|write| (tree::path(&write.contract, &write.key), write.value.as_deref().map(tree::value_hash)))
        .collect();
    Ok(Checked { hash: Hash::of(&bytes), leaf: merkle::leaf_hash(&bytes), entry, changes })
}

/// What must follow from one entry to the next.
#[derive(Default)]
struct Chain {
    next: u64,
    previous: Hash,
    time: Timestamp,
    genesis: Option<(LedgerId, String)>,
    calls: u64,
    blocks: u64,
    /// Entries of the block that is not sealed yet.
    open: u32,
    requests: HashSet<RequestId>,
    state: Tree,
    changes: Vec<Change>,
    log: merkle::Tree,
}

impl Chain {
    fn follow(&mut self, checked: Checked) -> Result<(), NodeError> {
        let Checked { entry, hash, leaf, changes } = checked;
        let index = self.next;
        let wrong = |problem: String| Err(inconsistent(index, problem));
        if (entry.version, entry.index, entry.previous) != (ENTRY_VERSION, self.next, self.previous) {
            return wrong("version, index or previous hash do not follow from the entry before".into());
        }
        if entry.time < self.time {
            return wrong("its time is before that of the entry before".into());
        }
        match &entry.record {
            Record::Genesis { origin, .. } if self.next == 0 => self.genesis = Some((LedgerId(hash.0), origin.clone())),
            Record::Genesis { .. } => return wrong("a second genesis".into()),
            _ if self.genesis.is_none() => return wrong("the log does not begin with its genesis".into()),
            Record::Call { signed, .. } => {
                if self.genesis.as_ref().is_none_or(|(ledger, _)| *ledger != signed.call.ledger) {
                    return wrong("its call is for another ledger".into());
                }
                if !self.requests.insert(signed.call.request) {
                    return wrong(format!("request id {} stands twice", signed.call.request));
                }
                self.calls += 1;
                self.changes.extend(changes);
            }
            Record::Seal { height, state_root, entries, keys } => {
                if (*height, *entries) != (Height(self.blocks), self.open) {
                    return wrong(format!(
                        "the seal's height or number of entries is wrong: expected {} and {}",
                        self.blocks, self.open
                    ));
                }
                self.state.update(std::mem::take(&mut self.changes));
                if (self.state.root(), self.state.len()) != (*state_root, *keys) {
                    return wrong("the writes of the block do not lead to the seal's state root".into());
                }
                self.blocks += 1;
            }
        }
        self.open = if entry.seal().is_some() { 0 } else { self.open + 1 };
        self.log.push(leaf);
        (self.next, self.previous, self.time) = (self.next + 1, hash, entry.time);
        Ok(())
    }

    fn report(self, disk: &dyn Disk, dir: &Path, torn: bool) -> Result<Report, NodeError> {
        let (ledger, origin) = self.genesis.ok_or_else(|| inconsistent(0, "the log has no genesis"))?;
        let checkpoint = check_checkpoint(disk, dir, &origin, &self.log)?.map(|checkpoint| checkpoint.size);
        Ok(Report {
            ledger,
            origin,
            entries: self.next,
            calls: self.calls,
            blocks: self.blocks,
            root: self.log.root(),
            state_root: self.state.root(),
            keys: self.state.len(),
            checkpoint,
            torn,
        })
    }
}
