//! Making a snapshot of a ledger that may be serving.

use super::manifest::{Chunk, Manifest, Snapshot, chunk_path, log_record, state_record};
use super::{CHUNK_BYTES, CHUNKS, POLICY, SNAPSHOT, sync_name};
use crate::blobs;
use crate::checkpoint::{check_reach, vkey};
use crate::decode;
use crate::directory::check_format;
use crate::disk::{self, Disk};
use crate::journal::{self, Block, Frame, FrameKind, FrameTag, Frames};
use crate::publication::PublicLog;
use crate::walk::inconsistent;
use crate::{Ledger, Level, NodeError, Progress, target};
use chancery_state::{StateKey, Tree, tree};
use chancery_tlog::note::VerifierKey;
use chancery_tlog::{Checkpoint, merkle};
use chancery_types::entry::Write;
use chancery_types::{Hash, Height, LedgerId, ModuleId, Record};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

/// A snapshot that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Created {
    /// BLAKE3 of the manifest.
    pub root: Hash,
    /// The last block's.
    pub height: Height,
    /// Entries of the log.
    pub entries: u64,
    /// Entries that a clean stop vouched for and no published checkpoint covers: the ledger was open without its log key.
    pub left_out: u64,
    /// Pairs of the state.
    pub keys: u64,
    /// Chunks and modules.
    pub chunks: u64,
    /// How many of them were written now.
    pub written: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// Makes a snapshot of the ledger in `data`, up to its published checkpoint, in `dir`: a new or empty directory, or one
/// with an earlier snapshot of this ledger, which is replaced. Neither a key nor the ledger's lock is needed. The state
/// is held in memory meanwhile.
///
/// # Errors
/// [`NodeError::SnapshotPlace`] where `dir` holds something else, [`NodeError::InLedger`] where it lies in a ledger's;
/// [`NodeError::NotPublished`] without a checkpoint; what is wrong with the journal; what the disk meets.
pub fn create(disk: &Arc<dyn Disk>, data: &Path, dir: &Path, progress: &Progress) -> Result<Created, NodeError> {
    check_format(&**disk, data)?;
    let key = vkey(&**disk, data)?;
    let unpublished =
        || NodeError::NotPublished("a snapshot belongs to a published checkpoint, and there is none".into());
    let note = PublicLog::of(disk.clone(), data).checkpoint()?.ok_or_else(unpublished)?;
    let signed = Checkpoint::open(&note, &key).map_err(|error| NodeError::Checkpoint(error.to_string()))?;
    let earlier = check_place(&**disk, dir)?;
    target::outside_ledgers(&**disk, dir)?;
    let replaces = |same: bool| if same { Ok(()) } else { Err(foreign(dir)) };
    replaces(earlier.as_ref().is_none_or(|earlier| earlier.key == key))?;
    disk.make_dirs(&dir.join(CHUNKS), disk::PRIVATE)?;
    let mut chunks = Chunks { disk: &**disk, dir, open: Vec::new(), done: Vec::new(), written: 0 };
    let gathered = gather(&**disk, data, &signed, &mut chunks, progress)?;
    replaces(earlier.is_none_or(|earlier| earlier.ledger == gathered.ledger))?;
    let manifest = gathered.finish(data, &signed, key, &mut chunks)?;
    if let Some(policy) = disk.read_if_there(&data.join(POLICY))? {
        disk.write_file(&dir.join(POLICY), &policy, 0o644)?;
    }
    // A chunk that was found there may have its name from a run that ended before that was durable.
    let names = dir.join(CHUNKS);
    disk.sync_dir(&names).map_err(disk::failed("cannot make durable", &names))?;
    sync_name(&**disk, &names)?;
    sync_name(&**disk, dir)?;
    disk.write_file(&dir.join(SNAPSHOT), format!("{}\n{note}", manifest.to_text()).as_bytes(), 0o644)?;
    chunks.tidy(&manifest);
    let closed = journal::closed_entries(&**disk, &data.join("journal"), manifest.ledger)?;
    let all = || manifest.log.iter().chain(&manifest.state).chain(&manifest.modules);
    Ok(Created {
        root: manifest.root(),
        height: manifest.height,
        entries: manifest.entries,
        left_out: closed.unwrap_or_default().saturating_sub(manifest.entries),
        keys: manifest.keys,
        chunks: all().count() as u64,
        written: chunks.written,
        bytes: all().map(|chunk| chunk.bytes).sum(),
    })
}

impl Ledger {
    /// Makes a snapshot of all that is committed now, while calls go on.
    ///
    /// # Errors
    /// As [`create`]; [`NodeError::NotPublished`] without the log key.
    pub fn snapshot(&self, dir: &Path, progress: &Progress) -> Result<Created, NodeError> {
        self.wait_for(self.head().size - 1, Level::Published)?;
        create(&self.disk, &self.dir, dir, progress)
    }
}

/// Looks whether the directory may be used, and for the snapshot that is there.
fn check_place(disk: &dyn Disk, dir: &Path) -> Result<Option<Manifest>, NodeError> {
    if !disk.exists(dir).map_err(disk::failed("cannot look for", dir))? {
        return Ok(None);
    }
    for name in disk.list(dir).map_err(disk::failed("cannot list", dir))? {
        if ![SNAPSHOT, CHUNKS, POLICY].contains(&name.as_str()) && !name.ends_with(disk::TEMPORARY) {
            let problem = "which is no part of a snapshot: name a new or empty directory";
            return Err(NodeError::SnapshotPlace(format!("{} holds `{name}`, {problem}", dir.display())));
        }
    }
    Ok(Snapshot::find(disk, dir)?.map(|found| found.manifest))
}

fn foreign(dir: &Path) -> NodeError {
    let problem = "holds a snapshot of another ledger: name a new or empty directory";
    NodeError::SnapshotPlace(format!("{} {problem}", dir.display()))
}

/// Cuts records into chunks and writes those that are not there.
struct Chunks<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    open: Vec<u8>,
    done: Vec<Chunk>,
    written: u64,
}

impl Chunks<'_> {
    fn push(&mut self, record: &[u8]) -> Result<(), NodeError> {
        self.open.extend_from_slice(record);
        if self.open.len() >= CHUNK_BYTES { self.cut() } else { Ok(()) }
    }

    fn cut(&mut self) -> Result<(), NodeError> {
        if !self.open.is_empty() {
            let bytes = std::mem::take(&mut self.open);
            let chunk = self.keep(&bytes)?;
            self.done.push(chunk);
        }
        Ok(())
    }

    /// The chunks of a stream that is at its end.
    fn take(&mut self) -> Result<Vec<Chunk>, NodeError> {
        self.cut()?;
        Ok(std::mem::take(&mut self.done))
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<Chunk, NodeError> {
        let hash = Hash::of(bytes);
        let path = chunk_path(self.dir, &hash);
        // One that rotted is written again.
        if self.disk.read_if_there(&path)?.as_deref() != Some(bytes) {
            self.disk.write_file(&path, bytes, 0o644)?;
            self.written += 1;
        }
        Ok(Chunk { hash, bytes: bytes.len() as u64 })
    }

    /// Removes the chunks that the manifest does not name. What stays is harmless.
    fn tidy(&self, manifest: &Manifest) {
        let named = manifest.log.iter().chain(&manifest.state).chain(&manifest.modules);
        let named: HashSet<String> = named.map(|chunk| chunk.hash.to_string()).collect();
        let dir = self.dir.join(CHUNKS);
        let names = self.disk.list(&dir).unwrap_or_default();
        names.iter().filter(|name| !named.contains(*name)).for_each(|name| drop(self.disk.remove(&dir.join(name))));
    }
}

/// What one pass over the journal gathers.
#[derive(Default)]
struct Gathered {
    ledger: LedgerId,
    log: merkle::Tree,
    chain: Hash,
    pairs: BTreeMap<StateKey, Vec<u8>>,
    modules: BTreeSet<ModuleId>,
    seal: Option<(Height, Hash, u64)>,
    /// The entries of the block that is not sealed yet, each with its effects.
    open: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Goes through the journal up to the checkpoint. What stands behind is not looked at: it may be being written.
fn gather(
    disk: &dyn Disk,
    data: &Path,
    signed: &Checkpoint,
    chunks: &mut Chunks<'_>,
    progress: &Progress,
) -> Result<Gathered, NodeError> {
    let (journal, mut gathered) = (data.join("journal"), Gathered::default());
    let mut frames = Frames::of(disk, &journal)?;
    while let Some((frame, _)) = frames.next()? {
        gathered.take(frame, chunks)?;
        if frame.is_seal() {
            progress("entries in the snapshot", gathered.log.size(), signed.size);
            if gathered.log.size() == signed.size {
                return Ok(gathered);
            }
        }
    }
    check_reach(data, Some(signed), &frames.end()?)?;
    Err(inconsistent(signed.size, "the published checkpoint ends within a block"))
}

impl Gathered {
    /// Takes a frame in.
    fn take(&mut self, frame: Frame<'_>, chunks: &mut Chunks<'_>) -> Result<(), NodeError> {
        match frame.kind {
            FrameKind::Entry => self.open.push((frame.payload.to_vec(), None)),
            FrameKind::Effects => {
                let last = self.open.last_mut().filter(|(_, effects)| effects.is_none());
                let (_, effects) = last.ok_or_else(|| inconsistent(frame.index, "its effects stand twice"))?;
                *effects = Some(frame.payload.to_vec());
            }
        }
        if frame.is_seal() { self.block(frame.block, chunks) } else { Ok(()) }
    }

    /// Takes a whole block in.
    fn block(&mut self, first: u64, chunks: &mut Chunks<'_>) -> Result<(), NodeError> {
        // Put together for its chain values.
        let mut block = Block::new(first, FrameTag::default());
        for ((bytes, effects), index) in std::mem::take(&mut self.open).into_iter().zip(first..) {
            block.push(FrameKind::Entry, index, &bytes, &mut self.chain);
            if let Some(effects) = &effects {
                block.push(FrameKind::Effects, index, effects, &mut self.chain);
            }
            self.log.push(merkle::leaf_hash(&bytes));
            chunks.push(&log_record(&bytes, effects.as_deref()))?;
            let entry = decode::entry(index, &bytes)?;
            let effects = effects.as_deref().map(|effects| decode::effects(index, effects)).transpose()?;
            match entry.record {
                Record::Genesis { .. } => self.ledger = LedgerId(Hash::of(&bytes).0),
                Record::Call { module, .. } if module.0 != [0; 32] => drop(self.modules.insert(module)),
                Record::Call { .. } => {}
                Record::Seal { height, state_root, keys, .. } => self.seal = Some((height, state_root, keys)),
            }
            for Write { contract, key, value } in effects.into_iter().flat_map(|effects| effects.writes) {
                match value {
                    Some(value) => drop(self.pairs.insert((contract, key), value)),
                    None => drop(self.pairs.remove(&(contract, key))),
                }
            }
        }
        Ok(())
    }

    /// Checks what was gathered against the checkpoint and the last seal, and writes state and modules.
    fn finish(
        self,
        data: &Path,
        signed: &Checkpoint,
        key: VerifierKey,
        chunks: &mut Chunks<'_>,
    ) -> Result<Manifest, NodeError> {
        let (height, state_root, keys) = self.seal.ok_or_else(|| inconsistent(0, "there is no seal"))?;
        if self.log.root() != signed.root {
            let problem = format!("its root over {} entries is another than the journal's", signed.size);
            return Err(NodeError::Checkpoint(problem));
        }
        let log = chunks.take()?;
        let mut tree = Tree::new();
        tree.update(
            self.pairs.iter().map(|((c, k), v)| (tree::path(c, k), Some(tree::value_hash(v)))).collect::<Vec<_>>(),
        );
        if (tree.root(), tree.len()) != (state_root, keys) {
            let problem = "the writes of the journal do not lead to the state root of the last seal";
            return Err(inconsistent(signed.size - 1, problem));
        }
        for (key, value) in &self.pairs {
            chunks.push(&state_record(key, value))?;
        }
        let state = chunks.take()?;
        let modules = self.modules.iter().map(|module| {
            chunks.keep(&blobs::read(chunks.disk, &data.join("blobs").join(blobs::name(module)), module)?)
        });
        let modules = modules.collect::<Result<_, _>>()?;
        let (ledger, entries, log_root, chain) = (self.ledger, signed.size, signed.root, self.chain);
        Ok(Manifest { ledger, key, height, entries, log_root, chain, state_root, keys, log, state, modules })
    }
}
