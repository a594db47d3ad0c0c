//! Verification of a snapshot from its files alone.
//!
//! What is checked:
//!
//! 1. the manifest is in its one spelling; every chunk and module is there with its length and BLAKE3, cut where the
//!    format says;
//! 2. the checkpoint: the log's signature and the cosignatures that the policy asks for; size and root are the
//!    manifest's;
//! 3. everything that `walk` checks of entries, their effects and their order, and every block's state root and number
//!    of keys;
//! 4. ledger, origin, height, Merkle root and the journal's chain value, computed from the entries;
//! 5. the pairs of the state: their order, and that they lead to the state root of the last seal;
//! 6. the modules: all that calls of the log name, and no other;
//! 7. the policy beside it, where there is one: that it reads and names the log. The root does not cover it, so that
//!    the report has it: it is to be compared with the one that is believed;
//! 8. a newer checkpoint, where the caller knows one: that the snapshot reaches as far, and is of the same log.

use super::manifest::{Chunk, Snapshot, parse_log_record, parse_state_record};
use super::{POLICY, wrong};
use crate::disk::Disk;
use crate::journal::{Block, FrameKind, FrameTag};
use crate::verify::Recorded;
use crate::walk::{Chain, CheckedEntry, Each, Read, Source, States, walk};
use crate::{NodeError, Progress};
use chancery_state::{StateKey, Tree, tree};
use chancery_tlog::{Policy, merkle};
use chancery_types::{Entry, Hash, Height, LedgerId, ModuleId, Record};
use std::collections::BTreeSet;
use std::path::Path;

/// Pairs that go into the tree at once.
const BATCH_PAIRS: usize = 65_536;

/// Whom a verification believes.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Whose checkpoints to believe. Without it the key in the manifest, which is the word of whoever made the
    /// snapshot.
    pub policy: Option<Policy>,
    /// The newest checkpoint of the log that the caller knows. A snapshot that does not reach as far has lost entries
    /// that were published.
    pub newest: Option<String>,
}

/// What a verification of a snapshot found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotReport {
    /// BLAKE3 of the manifest.
    pub root: Hash,
    /// The ledger.
    pub ledger: LedgerId,
    /// The log's origin.
    pub origin: String,
    /// The log's key.
    pub vkey: String,
    /// Height of the last block.
    pub height: Height,
    /// Entries.
    pub entries: u64,
    /// Calls among them, each with its signature.
    pub calls: u64,
    /// The Merkle root over all entries.
    pub log_root: Hash,
    /// The journal's chain value behind them.
    pub chain: Hash,
    /// The state root after the last block.
    pub state_root: Hash,
    /// Pairs of the state.
    pub keys: u64,
    /// Modules.
    pub modules: u64,
    /// Names of the witnesses of the policy that cosigned the checkpoint.
    pub cosigners: Vec<String>,
    /// The policy beside the snapshot, or the one of a ledger that keeps none. Nothing vouches for it.
    pub policy: Policy,
}

/// Verifies the snapshot in `dir`; `progress` is told how many entries of how many are checked. Reads only.
///
/// # Errors
/// [`NodeError::NoSnapshot`]; [`NodeError::Snapshot`] with the file, or [`NodeError::Inconsistent`] with the entry,
/// that is wrong first.
pub fn verify(disk: &dyn Disk, dir: &Path, trust: &Trust, progress: &Progress) -> Result<SnapshotReport, NodeError> {
    verify_open(&Snapshot::open(disk, dir)?, trust, progress)
}

pub(super) fn verify_open(
    snapshot: &Snapshot<'_>,
    trust: &Trust,
    progress: &Progress,
) -> Result<SnapshotReport, NodeError> {
    let manifest = &snapshot.manifest;
    let cosigners = check_checkpoint(snapshot, trust)?;
    let (mut chain, mut contents) = (Chain::default(), Contents::default());
    walk(snapshot, &mut chain, &mut contents, ("entries verified", manifest.entries), progress)?;
    check_log(snapshot, &chain, &contents)?;
    check_newest(snapshot, trust, &chain.log)?;
    check_state(snapshot)?;
    check_modules(snapshot, &contents.modules)?;
    let policy = beside(snapshot)?;
    Ok(SnapshotReport {
        root: manifest.root(),
        ledger: manifest.ledger,
        origin: manifest.key.name.clone(),
        vkey: manifest.key.to_vkey(),
        height: manifest.height,
        entries: manifest.entries,
        calls: chain.calls,
        log_root: manifest.log_root,
        chain: manifest.chain,
        state_root: manifest.state_root,
        keys: manifest.keys,
        modules: manifest.modules.len() as u64,
        cosigners,
        policy,
    })
}

/// A block of the log as the snapshot holds it.
pub(super) struct WholeBlock {
    /// Its first entry.
    pub(super) first: u64,
    /// Its entries, the seal last.
    pub(super) reads: Vec<Read>,
}

impl WholeBlock {
    /// Adds its frames to `block`; `chain` moves behind them.
    pub(super) fn push_to(&self, block: &mut Block, chain: &mut Hash) {
        block.begin(self.first);
        for Read { index, entry, effects } in &self.reads {
            block.push(FrameKind::Entry, *index, entry, chain);
            if let Some(effects) = effects {
                block.push(FrameKind::Effects, *index, effects, chain);
            }
        }
    }
}

impl Snapshot<'_> {
    /// Reads the log block by block.
    pub(super) fn blocks(&self, mut each: impl FnMut(WholeBlock) -> Result<(), NodeError>) -> Result<(), NodeError> {
        let (mut first, mut reads) = (0, Vec::new());
        self.records(&self.manifest.log, parse_log_record, |(entry, effects)| {
            let index = first + reads.len() as u64;
            let sealed = Entry::is_seal(&entry);
            reads.push(Read { index, entry, effects });
            if sealed {
                each(WholeBlock { first, reads: std::mem::take(&mut reads) })?;
                first = index + 1;
            }
            Ok(())
        })?;
        if reads.is_empty() { Ok(()) } else { Err(wrong("the log ends within a block: its seal is missing")) }
    }

    /// Reads the pairs of the state, which must be in order.
    pub(super) fn pairs(
        &self,
        mut each: impl FnMut(StateKey, Vec<u8>) -> Result<(), NodeError>,
    ) -> Result<(), NodeError> {
        let mut before: Option<StateKey> = None;
        self.records(&self.manifest.state, parse_state_record, |(key, value)| {
            if before.as_ref().is_some_and(|before| *before >= key) {
                return Err(wrong("the pairs of the state are not in order"));
            }
            before = Some(key.clone());
            each(key, value)
        })
    }
}

impl Source for Snapshot<'_> {
    fn has_effects(&self) -> bool {
        true
    }

    fn read(&self, each: &mut Each<'_>) -> Result<bool, NodeError> {
        let mut chain = Hash::default();
        self.blocks(|whole| {
            whole.push_to(&mut Block::new(whole.first, FrameTag::default()), &mut chain);
            whole.reads.into_iter().try_for_each(&mut *each)
        })?;
        same("the journal's chain value", chain, self.manifest.chain)?;
        Ok(false)
    }
}

/// The state that the writes lead to, and the modules that calls name.
#[derive(Default)]
struct Contents {
    recorded: Recorded,
    modules: BTreeSet<ModuleId>,
    last: Option<Entry>,
}

impl States for Contents {
    fn call(&mut self, checked: CheckedEntry) -> Result<(), NodeError> {
        if let Record::Call { module, .. } = &checked.entry.record
            && module.0 != [0; 32]
        {
            self.modules.insert(*module);
        }
        self.recorded.call(checked)
    }

    fn seal(&mut self, entry: &Entry, chain: &Chain) -> Result<(), NodeError> {
        self.last = Some(entry.clone());
        self.recorded.seal(entry, chain)
    }
}

fn same<T: PartialEq + std::fmt::Display>(what: &str, found: T, said: T) -> Result<(), NodeError> {
    if found == said { Ok(()) } else { Err(wrong(format!("{what} is {found}, the manifest says {said}"))) }
}

/// The checkpoint must be believed, and be over just this log. Gives the witnesses' names.
fn check_checkpoint(snapshot: &Snapshot<'_>, trust: &Trust) -> Result<Vec<String>, NodeError> {
    let manifest = &snapshot.manifest;
    let policy = trust.policy.clone().unwrap_or_else(|| Policy::of_log(manifest.key.clone()));
    let accepted = policy.open(&snapshot.note).map_err(|error| wrong(format!("its checkpoint: {error}")))?;
    same("the key that signed the checkpoint", accepted.log.to_vkey(), manifest.key.to_vkey())?;
    same("the checkpoint's size", accepted.checkpoint.size, manifest.entries)?;
    same("the checkpoint's root", accepted.checkpoint.root, manifest.log_root)?;
    Ok(accepted.cosigners.iter().map(|(which, _)| policy.witnesses()[*which].name.clone()).collect())
}

/// What the entries lead to must be what the manifest says.
fn check_log(snapshot: &Snapshot<'_>, chain: &Chain, contents: &Contents) -> Result<(), NodeError> {
    let manifest = &snapshot.manifest;
    let (ledger, origin) = chain.genesis.clone().ok_or_else(|| wrong("its log has no genesis"))?;
    let seal = contents.last.as_ref().map(|entry| &entry.record);
    let Some(Record::Seal { height, state_root, keys, .. }) = seal else {
        return Err(wrong("its log has no seal"));
    };
    same("the ledger", ledger, manifest.ledger)?;
    same("the origin", origin.as_str(), manifest.key.name.as_str())?;
    same("the number of entries", chain.next, manifest.entries)?;
    same("the Merkle root", chain.log.root(), manifest.log_root)?;
    same("the height", *height, manifest.height)?;
    same("the state root", *state_root, manifest.state_root)?;
    same("the number of keys", *keys, manifest.keys)
}

/// The snapshot must reach as far as the newest checkpoint that is known.
fn check_newest(snapshot: &Snapshot<'_>, trust: &Trust, log: &merkle::Tree) -> Result<(), NodeError> {
    let Some(note) = &trust.newest else { return Ok(()) };
    let manifest = &snapshot.manifest;
    let policy = trust.policy.clone().unwrap_or_else(|| Policy::of_log(manifest.key.clone()));
    let problem = |error| wrong(format!("the newest checkpoint that was given: {error}"));
    let newest = policy.open_without_quorum(note).map_err(problem)?;
    same("the key that signed the newest checkpoint", newest.log.to_vkey(), manifest.key.to_vkey())?;
    let size = newest.checkpoint.size;
    if size > manifest.entries {
        return Err(wrong(format!(
            "it holds {} entries and the log was published up to {size}: a ledger restored from it would fork the log. Take a newer snapshot, or restore the journal",
            manifest.entries
        )));
    }
    match log.root_at(size) {
        Some(root) if root == newest.checkpoint.root => Ok(()),
        _ => Err(wrong(format!("its log is another than that of the newest checkpoint, over {size} entries"))),
    }
}

/// The pairs must lead to the state root.
fn check_state(snapshot: &Snapshot<'_>) -> Result<(), NodeError> {
    let (mut tree, mut changes) = (Tree::new(), Vec::new());
    snapshot.pairs(|(contract, key), value| {
        changes.push((tree::path(&contract, &key), Some(tree::value_hash(&value))));
        if changes.len() >= BATCH_PAIRS {
            tree.update(std::mem::take(&mut changes));
        }
        Ok(())
    })?;
    tree.update(changes);
    same("the state root of its pairs", tree.root(), snapshot.manifest.state_root)?;
    same("the number of its pairs", tree.len(), snapshot.manifest.keys)
}

/// The modules must be those that calls name.
fn check_modules(snapshot: &Snapshot<'_>, named: &BTreeSet<ModuleId>) -> Result<(), NodeError> {
    let held = &snapshot.manifest.modules;
    let names = |module: &Chunk| ModuleId(module.hash.0);
    if !held.iter().map(names).eq(named.iter().copied()) {
        return Err(wrong("its modules are not just those that calls of the log name, in order"));
    }
    held.iter().try_for_each(|module| snapshot.read(module).map(drop))
}

/// The policy beside the snapshot, which must be one under which its ledger opens.
fn beside(snapshot: &Snapshot<'_>) -> Result<Policy, NodeError> {
    let key = &snapshot.manifest.key;
    let Some(text) = snapshot.disk.read_if_there(&snapshot.dir.join(POLICY))? else {
        return Ok(Policy::of_log(key.clone()));
    };
    let policy = Policy::parse(&text).map_err(|error| wrong(format!("`{POLICY}`: {error}")))?;
    if policy.logs().iter().any(|log| log.key == *key) {
        return Ok(policy);
    }
    Err(wrong(format!("`{POLICY}` does not name its log")))
}
