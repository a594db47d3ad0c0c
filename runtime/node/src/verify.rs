//! Verification of a whole ledger from its files, without executing anything.
//!
//! What is checked, and nothing is trusted that is not:
//!
//! 1. frames and their chain, segment headers; an interrupted write at the very end is told and not an error;
//! 2. everything that `walk` checks of entries, their effects and their order;
//! 3. every block's seal: the state root and number of keys that its writes lead to;
//! 4. the Merkle root against the published checkpoint, and that against the log's public key.
//!
//! Signatures and digests, most of the work, are checked by all cores; the rest follows in order. Nothing is written, and
//! no lock is taken: a ledger may be serving meanwhile, and is verified as far as it had come.

use crate::checkpoint::{check_root, log_vkey};
use crate::directory::check_format;
use crate::disk::{Disk, OsDisk};
use crate::walk::{Chain, CheckedEntry, JournalSource, States, inconsistent, walk};
use crate::{NodeError, Progress};
use chancery_state::tree::{Change, Tree};
use chancery_types::{Entry, Hash, LedgerId, Record};
use std::path::Path;

/// What a verification found: the log is sound, and this is what it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The ledger.
    pub ledger: LedgerId,
    /// The log's origin.
    pub origin: String,
    /// The key of the log, which signed the checkpoint: as the data directory says, or as the policy accepts.
    pub vkey: String,
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
    /// Whether an interrupted write was found behind the last block. It was never acknowledged; opening the ledger cuts
    /// it off.
    pub torn: bool,
}

/// The state that the recorded writes lead to.
#[derive(Default)]
pub(crate) struct Recorded {
    tree: Tree,
    changes: Vec<Change>,
}

impl States for Recorded {
    fn call(&mut self, checked: CheckedEntry) -> Result<(), NodeError> {
        self.changes.extend(checked.changes);
        Ok(())
    }

    fn seal(&mut self, entry: &Entry, _: &Chain) -> Result<(), NodeError> {
        let Record::Seal { state_root, keys, .. } = &entry.record else { return Ok(()) };
        self.tree.update(std::mem::take(&mut self.changes));
        if (self.tree.root(), self.tree.len()) != (*state_root, *keys) {
            let problem = format!(
                "the writes of the block lead to state root {} over {} keys, the seal says {state_root} over {keys}",
                self.tree.root(),
                self.tree.len()
            );
            return Err(inconsistent(entry.index, problem));
        }
        Ok(())
    }
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
    let source = JournalSource::open(disk, dir)?;
    let (mut chain, mut states) = (source.chain(), Recorded::default());
    let what = ("entries verified", source.published_size().unwrap_or(0));
    let torn = walk(&source, &mut chain, &mut states, what, progress)?;
    report(&source, chain, &states.tree, torn)
}

/// What a walk through a data directory found, once the checkpoint fits.
pub(crate) fn report(source: &JournalSource<'_>, chain: Chain, state: &Tree, torn: bool) -> Result<Report, NodeError> {
    let (ledger, origin) = chain.genesis.ok_or_else(|| inconsistent(0, "the log has no genesis"))?;
    let vkey = log_vkey(source.disk, source.dir, &origin)?.to_vkey();
    if let Some(published) = &source.published {
        check_root(source.dir, published, chain.root_asked)?;
    }
    Ok(Report {
        ledger,
        origin,
        vkey,
        entries: chain.next,
        calls: chain.calls,
        blocks: chain.blocks,
        root: chain.log.root(),
        state_root: state.root(),
        keys: state.len(),
        checkpoint: source.published_size(),
        torn,
    })
}
