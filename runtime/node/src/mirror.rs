//! The mirror: follows another ledger's published log, verifies it as it goes, and keeps a copy that can take its
//! place.
//!
//! ```text
//! DEST/checkpoint, tile/…      the log as it was read, in the format of a public log; any web server can serve it
//! DEST/blobs/<2 hex>/<64 hex>  modules, where the source has them
//! DEST/policy                  under which the checkpoints are believed
//! DEST/log.vkey                the key of the log
//! DEST/evidence/<hex>          signed checkpoints that contradict what is kept, by the BLAKE3 of the note
//! DEST/lock                    held while a process follows
//! ```
//!
//! # One round
//!
//! 1. the source's checkpoint is read; the policy must accept it;
//! 2. it is held against the kept one: it must be of the same origin, and be the same, or cover more and continue it.
//!    What covers less is a
//!    **rollback**, what does not continue is a **fork**: the note is put into `evidence/`, and nothing else is
//!    changed;
//! 3. tiles and entries are read, each verified up to the checkpoint's root, and every entry against the one before it,
//!    as `log verify` does. What lies in DEST already and verifies is not read again from the source; what lies there
//!    and does not verify is;
//! 4. bundles are written durably as they have been verified, so that a round which is broken off begins behind them;
//!    then modules and tiles; then **the checkpoint, last**. A reader of DEST, or a crash at any time, finds a log that
//!    is whole up to its checkpoint.
//!
//! The first round of a process goes through all entries, later ones through new entries only.
//!
//! # Trust
//!
//! The source is not trusted, nor is the network: what is kept is what the policy's keys signed. The policy is trusted;
//! one that the source itself hands out is the word of the source. A log that shows others another history than this
//! mirror is found out by witnesses, or by comparing checkpoints.

use crate::blobs;
use crate::disk::{self, Disk, OsDisk};
use crate::metrics::MirrorMetrics;
use crate::public::{Place, PublicSource, ends};
use crate::publication::PublicLog;
use crate::target::{self, EVIDENCE, LOCK};
use crate::walk::{Chain, Each, Modules, Read, Source, walk};
use crate::{NodeError, Progress};
use chancery_tlog::policy::Accepted;
use chancery_tlog::tile::{ReadError, WIDTH, encode_bundle, tiles_for};
use chancery_tlog::{Bundle, Checkpoint, Policy, Tile, TileReader, Tiles};
use chancery_types::{Hash, LedgerId};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of bundles that are gathered before they are made durable.
const PASS_BYTES_MAX: usize = 8 << 20;

/// What a round found and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrored {
    /// The ledger.
    pub ledger: LedgerId,
    /// The log's origin.
    pub origin: String,
    /// Entries that were kept before.
    pub before: u64,
    /// Entries that are kept now.
    pub entries: u64,
    /// The Merkle root over them.
    pub root: Hash,
    /// Names of the witnesses of the policy that cosigned the checkpoint.
    pub cosigners: Vec<String>,
    /// Modules that entries name and the source does not have.
    pub missing: u64,
}

/// A mirror of one log.
pub struct Mirror {
    place: Place,
    policy: Policy,
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    public: PublicLog,
    /// What the entries followed so far lead to.
    chain: Chain,
    modules: Modules,
    metrics: MirrorMetrics,
    _lock: Box<dyn Send + Sync>,
}

impl Mirror {
    /// A mirror of the log at a place, in a directory that is new, empty, or a mirror or an export of the same log.
    ///
    /// # Errors
    /// [`NodeError::Mirror`] where the directory is the log's own or holds something else, [`NodeError::InLedger`] where
    /// it lies in a ledger's, [`NodeError::Locked`] where another process follows into it.
    pub fn open(place: Place, policy: Policy, dir: &Path) -> Result<Mirror, NodeError> {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        if matches!(&place, Place::Directory(source) if target::same(source, dir)) {
            let problem = format!("{} is the log itself: name another directory for the copy", dir.display());
            return Err(NodeError::Mirror(problem));
        }
        target::outside_ledgers(&*disk, dir)?;
        disk.make_dirs(dir, disk::PUBLIC)?;
        if let Some(name) = target::foreign(&*disk, dir)? {
            let problem = format!(
                "{} holds `{name}`, which is no part of a mirror: name a new or empty directory",
                dir.display()
            );
            return Err(NodeError::Mirror(problem));
        }
        let path = dir.join(LOCK);
        let lock = disk.lock(&path).map_err(disk::failed("cannot lock", &path))?;
        let lock = lock.ok_or_else(|| NodeError::Locked(dir.into()))?;
        let public = PublicLog::at(disk.clone(), dir);
        let (chain, modules, metrics) = (Chain::default(), Modules::default(), MirrorMetrics::new());
        Ok(Mirror { place, policy, dir: dir.into(), disk, public, chain, modules, metrics, _lock: lock })
    }

    /// Follows the log to the source's checkpoint.
    ///
    /// # Errors
    /// [`NodeError::Mirror`] where the source is another log than the one that is kept;
    /// [`NodeError::Forked`] and [`NodeError::RolledBack`] where it contradicts what is kept;
    /// [`NodeError::Public`] with the file and [`NodeError::Inconsistent`] with the entry that does not verify; what
    /// the disk meets. What was kept is as it was then.
    pub fn follow(&mut self, progress: &Progress) -> Result<Mirrored, NodeError> {
        let followed = self.look(progress);
        self.metrics.looked(followed.as_ref().ok().map(|found| found.entries));
        followed
    }

    fn look(&mut self, progress: &Progress) -> Result<Mirrored, NodeError> {
        let source = PublicSource::open(&self.place, &self.policy)?;
        let (note, accepted) = (source.note, source.accepted);
        let held = self.held()?;
        self.compare(held.as_ref(), &accepted.checkpoint, &note)?;
        let before = held.map_or(0, |held| held.size);
        self.read_all(&accepted, progress).inspect_err(|_| self.forget())?;
        let (ledger, origin) = ends(&accepted.checkpoint, &self.chain)?;
        let missing = self.take_modules()?;
        self.keep(&accepted, &note, before)?;
        let cosigners =
            accepted.cosigners.iter().map(|(which, _)| self.policy.witnesses()[*which].name.clone()).collect();
        let Checkpoint { size, root, .. } = accepted.checkpoint;
        Ok(Mirrored { ledger, origin, before, entries: size, root, cosigners, missing })
    }

    fn forget(&mut self) {
        (self.chain, self.modules) = (Chain::default(), Modules::default());
    }

    /// The checkpoint that is kept.
    fn held(&self) -> Result<Option<Checkpoint>, NodeError> {
        let Some(note) = self.public.checkpoint()? else { return Ok(None) };
        let held = self.policy.open_without_quorum(&note).map_err(|error| {
            NodeError::Mirror(format!(
                "{} is not one that the policy accepts ({error}): it is of another log, or damaged. Name another directory, or restore it",
                self.public.checkpoint_path().display()
            ))
        })?;
        Ok(Some(held.checkpoint))
    }

    /// The source's checkpoint must continue the kept one.
    fn compare(&self, held: Option<&Checkpoint>, theirs: &Checkpoint, note: &str) -> Result<(), NodeError> {
        let Some(held) = held else { return Ok(()) };
        if held.origin != theirs.origin {
            let (dir, place) = (self.dir.display(), &self.place);
            return Err(NodeError::Mirror(format!(
                "{dir} holds a copy of {}, {place} is {}: name another directory",
                held.origin, theirs.origin
            )));
        }
        // The smaller of the two trees must be the beginning of the larger, as whoever has the larger one shows.
        let local = Place::Directory(self.dir.clone());
        let (reader, larger, smaller) =
            if theirs.size >= held.size { (&self.place, theirs, held) } else { (&local, held, theirs) };
        let root = match larger.size == smaller.size {
            true => larger.root,
            false => beginning(reader, larger, smaller.size)?,
        };
        let place = self.place.to_string();
        let (ours, theirs_size, kept) = (held.size, theirs.size, self.public.checkpoint_path());
        if root != smaller.root {
            let evidence = self.evidence(note)?;
            return Err(NodeError::Forked { place, ours, theirs: theirs_size, kept, evidence });
        }
        if theirs.size < held.size {
            let evidence = self.evidence(note)?;
            return Err(NodeError::RolledBack { place, ours, theirs: theirs_size, kept, evidence });
        }
        Ok(())
    }

    /// Keeps a note that contradicts.
    fn evidence(&self, note: &str) -> Result<PathBuf, NodeError> {
        let dir = self.dir.join(EVIDENCE);
        let path = dir.join(Hash::of(note.as_bytes()).to_string());
        self.disk.make_dirs(&dir, disk::PUBLIC)?;
        self.disk.write_file(&path, note.as_bytes(), 0o644)?;
        Ok(path)
    }

    /// Reads and verifies what was not followed yet, and keeps the bundles. What lies here may be damaged: then the
    /// source has it still, unless it is the source that does not give what it is asked for.
    fn read_all(&mut self, accepted: &Accepted, progress: &Progress) -> Result<(), NodeError> {
        let here = Place::Directory(self.dir.clone());
        let error = match self.read(accepted, Some(here), progress) {
            Ok(()) => return Ok(()),
            Err(Unread { error, by_source: true }) => return Err(error),
            Err(Unread { error, .. }) => error,
        };
        self.forget();
        self.read(accepted, None, progress).map_err(|again| match again.error {
            again @ NodeError::Public(_) => again,
            _ => error,
        })
    }

    /// Reads what was not followed yet from `local`, where it is there, and from the source else.
    fn read(&mut self, accepted: &Accepted, local: Option<Place>, progress: &Progress) -> Result<(), Unread> {
        let reader = Both { local, source: &self.place, is_away: AtomicBool::new(false) };
        let signed = &accepted.checkpoint;
        let source = Following { reader: &reader, signed, from: self.chain.next, public: (&self.disk, &self.dir) };
        walk(&source, &mut self.chain, &mut self.modules, ("entries verified", signed.size), progress)
            .map(drop)
            .map_err(|error| Unread { error, by_source: reader.is_away.load(Ordering::Relaxed) })
    }

    /// Reads the modules that entries name and that are not here yet; says how many the source does not have.
    fn take_modules(&self) -> Result<u64, NodeError> {
        let mut missing = 0;
        for (module, index) in &self.modules.0 {
            let path = format!("blobs/{}", blobs::name(module));
            let file = self.dir.join(&path);
            let right = |bytes: &Vec<u8>| Hash::of(bytes).0 == module.0;
            if self.disk.read_if_there(&file)?.is_some_and(|bytes| right(&bytes)) {
                continue;
            }
            let most = usize::try_from(chancery_engine::limits::MODULE_BYTES_MAX).unwrap_or(usize::MAX);
            match self.place.get(&path, most).map_err(|error| NodeError::Public(format!("{path}: {error}")))? {
                None => missing += 1,
                Some(bytes) if right(&bytes) => self.disk.write_files(&self.dir, &[(file, bytes)], 0o644)?,
                Some(bytes) => {
                    let problem = format!("{path}, the module of entry {index}, has the BLAKE3 {}", Hash::of(&bytes));
                    return Err(NodeError::Public(problem));
                }
            }
        }
        Ok(missing)
    }

    /// Keeps tiles, key and policy, and last the checkpoint.
    fn keep(&self, accepted: &Accepted, note: &str, before: u64) -> Result<(), NodeError> {
        let size = accepted.checkpoint.size;
        let mut files = Vec::new();
        for tile in tiles_for(0, size) {
            let (path, bytes) = (self.dir.join(tile.path()), self.chain.log.tile(&tile));
            let bytes = bytes.ok_or(NodeError::NoEntry { index: size, size: self.chain.next })?;
            files.extend(self.lacks(&path, &bytes)?.then_some((path, bytes)));
        }
        self.disk.write_files(&self.dir, &files, 0o644)?;
        let texts = [("log.vkey", format!("{}\n", accepted.log.to_vkey())), ("policy", self.policy.to_string())];
        for (name, text) in texts.iter().chain([&("checkpoint", note.to_string())]) {
            let path = self.dir.join(name);
            if self.lacks(&path, text.as_bytes())? {
                self.disk.write_file(&path, text.as_bytes(), 0o644)?;
            }
        }
        self.public.tidy(before, size);
        Ok(())
    }

    /// Whether a file does not hold these bytes.
    fn lacks(&self, path: &Path, bytes: &[u8]) -> Result<bool, NodeError> {
        Ok(self.disk.read_if_there(path)?.as_deref() != Some(bytes))
    }
}

fn unreadable(error: ReadError<String>) -> NodeError {
    NodeError::Public(error.to_string())
}

/// The root over the first `size` entries of a tree that is read from tiles.
fn beginning(reader: &Place, tree: &Checkpoint, size: u64) -> Result<Hash, NodeError> {
    Tiles::open(reader, tree.size, tree.root).and_then(|mut tiles| tiles.root_at(size)).map_err(unreadable)
}

/// Why the log was not read.
struct Unread {
    error: NodeError,
    /// Whether the source did not give something that it was asked for.
    by_source: bool,
}

/// What lies here, else what the source has.
struct Both<'a> {
    local: Option<Place>,
    source: &'a Place,
    /// Whether the source did not give something that it was asked for.
    is_away: AtomicBool,
}

impl Both<'_> {
    fn either(&self, read: impl Fn(&Place) -> Result<Vec<u8>, String>) -> Result<Vec<u8>, String> {
        match self.local.as_ref().map(&read) {
            Some(Ok(bytes)) => Ok(bytes),
            _ => read(self.source).inspect_err(|_| self.is_away.store(true, Ordering::Relaxed)),
        }
    }
}

impl TileReader for Both<'_> {
    type Error = String;

    fn tile(&self, tile: Tile) -> Result<Vec<u8>, String> {
        self.either(|place| place.tile(tile))
    }

    fn bundle(&self, bundle: Bundle) -> Result<Vec<u8>, String> {
        self.either(|place| place.bundle(bundle))
    }
}

/// Entries from the first that was not followed yet; bundles are kept as they have been verified.
struct Following<'a> {
    reader: &'a Both<'a>,
    signed: &'a Checkpoint,
    from: u64,
    public: (&'a Arc<dyn Disk>, &'a Path),
}

impl Source for Following<'_> {
    fn has_effects(&self) -> bool {
        false
    }

    fn read(&self, each: &mut Each<'_>) -> Result<bool, NodeError> {
        let size = self.signed.size;
        let mut tiles = Tiles::open(self.reader, size, self.signed.root).map_err(unreadable)?;
        let mut pass = Pass { public: self.public, bytes: 0, files: Vec::new() };
        for number in self.from / WIDTH..size.div_ceil(WIDTH) {
            let entries = tiles.entries(number).map_err(unreadable)?;
            pass.add(number, &entries)?;
            let indexed = entries.into_iter().zip(number * WIDTH..);
            let mut new = indexed.filter(|(_, index)| *index >= self.from);
            new.try_for_each(|(entry, index)| each(Read { index, entry, effects: None }))?;
        }
        pass.write()?;
        Ok(false)
    }
}

/// Bundles on their way to the disk.
struct Pass<'a> {
    public: (&'a Arc<dyn Disk>, &'a Path),
    bytes: usize,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Pass<'_> {
    fn add(&mut self, number: u64, entries: &[Vec<u8>]) -> Result<(), NodeError> {
        // A bundle has at most 256 entries.
        let bundle = Bundle { index: number, width: u16::try_from(entries.len()).unwrap_or(u16::MAX) };
        let problem = |error: chancery_tlog::tile::TileError| NodeError::Public(format!("{}: {error}", bundle.path()));
        let (path, bytes) = (self.public.1.join(bundle.path()), encode_bundle(entries).map_err(problem)?);
        if self.public.0.read_if_there(&path)?.as_ref() == Some(&bytes) {
            return Ok(());
        }
        self.bytes += bytes.len();
        self.files.push((path, bytes));
        if self.bytes >= PASS_BYTES_MAX { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), NodeError> {
        self.bytes = 0;
        self.public.0.write_files(self.public.1, &std::mem::take(&mut self.files), 0o644)
    }
}
