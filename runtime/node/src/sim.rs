//! A disk that fails by a seed, a view that goes stale, and a ledger that is moved step by step: for tests.
//!
//! # The disk
//!
//! [`SimDisk`] keeps, for every file, what was *written* and what is *durable*, in sectors of 512 bytes, and for the
//! directories the names that are there and those that are durable.
//!
//! - `sync_data` and `sync_all` make a file's dirty sectors and its length durable; `sync_dir` the names in a
//!   directory.
//! - [`SimDisk::cut_power`]: of each file any subset of the dirty sectors stays, a kept one in sixteen torn at some
//!   byte; the length is the old one or the new; of each directory's changes a prefix stays. A file without a durable
//!   name is gone.
//! - What is dirty may be **written back** before it is cut off again, so that a cut which is not durable brings it
//!   back.
//! - A **failed sync** leaves any subset of the dirty sectors durable and *marks all of them clean*: they read as
//!   written, no later sync writes them, and a power cut loses them. So do ext4, XFS and Btrfs (Rebello et al., USENIX
//!   ATC 2020). A failed `sync_dir` leaves the names as they were, to be made durable by a later one.
//! - A **full** disk refuses every write, after any part of it was written, perhaps all, also into room that was
//!   reserved.
//! - Power may go off at any operation ([`SimDisk::off_at`]), or at every one in turn: [`SimDisk::watch`] hands a clone
//!   of the disk to a function before each operation.
//!
//! All choices come from the seed. What is not simulated: sectors that are torn although they were durable, and reads
//! that fail.

mod step;
mod view;

pub use view::{SimViews, VIEW_FAULTS, ViewContent, ViewFault};

use crate::disk::{Disk, DiskFile};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SECTOR_BYTES: usize = 512;

/// Numbers by a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    /// True once in `of` times.
    pub fn once_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}

#[derive(Clone, Default)]
struct Content {
    written: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

impl Content {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        if self.written.len() < end {
            self.written.resize(end, 0);
        }
        self.written[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR_BYTES..=(end - 1) / SECTOR_BYTES);
    }

    /// The system writes some of what is dirty to the disk, as it may at any time; it is no less dirty.
    fn write_back(&mut self, random: &mut Random) {
        let most = self.written.len().max(self.durable.len());
        self.durable.resize(most, 0);
        let all = random.once_in(2);
        for sector in self.dirty.clone() {
            if all || random.once_in(2) {
                self.keep_sector(sector, SECTOR_BYTES);
            }
        }
    }

    fn set_len(&mut self, len: usize) {
        let shorter = len.min(self.written.len());
        // What is cut off reads as zeros when the file grows again.
        self.dirty.extend(shorter / SECTOR_BYTES..=len.max(self.written.len()) / SECTOR_BYTES);
        self.written.resize(len, 0);
    }

    fn keep_sector(&mut self, sector: usize, bytes: usize) {
        let from = sector * SECTOR_BYTES;
        let to = (from + bytes).min(self.written.len()).min(self.durable.len());
        if from < to {
            self.durable[from..to].copy_from_slice(&self.written[from..to]);
        }
    }

    fn sync(&mut self) {
        self.durable.resize(self.written.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            self.keep_sector(sector, SECTOR_BYTES);
        }
    }

    /// Makes any part of what is dirty durable, and nothing is dirty then.
    fn sync_some(&mut self, random: &mut Random) {
        if random.once_in(2) {
            self.durable.resize(self.written.len(), 0);
        }
        // Nothing, everything, or each by a throw.
        let mood = random.below(4);
        for sector in std::mem::take(&mut self.dirty) {
            let keep = mood == 1 || (mood >= 2 && random.once_in(2));
            if keep {
                let torn = random.once_in(16);
                let bytes = if torn { random.below(SECTOR_BYTES as u64) as usize } else { SECTOR_BYTES };
                self.keep_sector(sector, bytes);
            }
        }
    }
}

#[derive(Clone)]
enum Change {
    Set(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Change {
    fn dir(&self) -> &Path {
        let (Change::Set(path, _) | Change::Rename(_, path) | Change::Remove(path)) = self;
        path.parent().unwrap_or(Path::new("/"))
    }

    fn apply(self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Change::Set(path, node) => drop(names.insert(path, node)),
            Change::Remove(path) => drop(names.remove(&path)),
            Change::Rename(from, to) => {
                let below: Vec<_> = names.keys().filter(|name| name.starts_with(&from)).cloned().collect();
                for name in below {
                    let rest = name.strip_prefix(&from).map(Path::to_path_buf).unwrap_or_default();
                    let target = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                    if let Some(node) = names.remove(&name) {
                        names.insert(target, node);
                    }
                }
            }
        }
    }
}

/// Called before each operation with a clone of the disk.
pub type Watch = Arc<dyn Fn(&SimDisk) + Send + Sync>;

#[derive(Clone)]
struct Inner {
    random: Random,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    changes: Vec<Change>,
    /// Directories have no content.
    nodes: BTreeMap<u64, Option<Content>>,
    next_node: u64,
    locked: BTreeSet<PathBuf>,
    operations: u64,
    off_at: Option<u64>,
    off: bool,
    /// Syncs that succeed before one fails, and whether all after it fail too.
    sync_fails: Option<(u64, bool)>,
    full: Option<Full>,
    /// Starts of the machine: a file opened before the last one is of no use.
    boots: u64,
    watch: Option<Watch>,
}

/// How a full disk shows itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Full {
    /// The free room says so.
    Told,
    /// Only the writes do.
    Untold,
    /// Only the sync of a directory does, when a file has its name already.
    Names,
}

/// The simulated disk. A clone is the same disk; [`SimDisk::copy`] is another.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<Inner>>);

fn no_power() -> io::Error {
    io::Error::other("the power is off")
}

impl Inner {
    fn begin(&mut self) -> io::Result<()> {
        if let Some(watch) = self.watch.clone().filter(|_| !self.off) {
            let clone = Inner { watch: None, ..self.clone() };
            watch(&SimDisk(Arc::new(Mutex::new(clone))));
        }
        if self.off_at == Some(self.operations) {
            self.off = true;
        }
        self.operations += 1;
        Ok(())
    }

    /// The operation took place in memory; if the power went off with it, nobody is told.
    fn end(&self) -> io::Result<()> {
        if self.off { Err(no_power()) } else { Ok(()) }
    }

    fn on(&self) -> io::Result<()> {
        if self.off { Err(no_power()) } else { Ok(()) }
    }

    fn node(&self, path: &Path) -> io::Result<u64> {
        self.on()?;
        self.names.get(path).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn content(&mut self, node: u64) -> io::Result<&mut Content> {
        let content = self.nodes.get_mut(&node).and_then(Option::as_mut);
        content.ok_or_else(|| io::Error::other("it is a directory"))
    }

    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.names);
        self.changes.push(change);
    }

    fn parent_exists(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        if parent == Path::new("/") || self.names.contains_key(parent) {
            return Ok(());
        }
        Err(ErrorKind::NotFound.into())
    }

    fn new_node(&mut self, path: &Path, content: Option<Content>) -> u64 {
        let node = self.next_node;
        self.next_node += 1;
        self.nodes.insert(node, content);
        self.change(Change::Set(path.into(), node));
        node
    }

    /// Whether the disk is so full that no write finds room.
    fn refuses_writes(&self) -> bool {
        matches!(self.full, Some(Full::Told | Full::Untold))
    }

    /// Whether the next sync fails.
    fn sync_fails(&mut self) -> bool {
        match &mut self.sync_fails {
            Some((0, always)) => {
                if !*always {
                    self.sync_fails = None;
                }
                true
            }
            Some((left, _)) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }
}

impl SimDisk {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        SimDisk(Arc::new(Mutex::new(Inner {
            random: Random::new(seed),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            nodes: BTreeMap::new(),
            next_node: 0,
            locked: BTreeSet::new(),
            operations: 0,
            off_at: None,
            off: false,
            sync_fails: None,
            full: None,
            boots: 0,
            watch: None,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A disk of its own with the same content, written and durable.
    pub fn copy(&self) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(self.inner().clone())))
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.inner().operations
    }

    /// The power goes off with the operation of this number.
    pub fn off_at(&self, operation: u64) {
        self.inner().off_at = Some(operation);
    }

    /// Whether the power is off.
    pub fn is_off(&self) -> bool {
        self.inner().off
    }

    /// So many syncs succeed, then one fails, or all from then on.
    pub fn fail_sync(&self, after: u64, always: bool) {
        self.inner().sync_fails = Some((after, always));
    }

    /// No sync fails any more, there is room, and the power stays on.
    pub fn heal(&self) {
        let mut inner = self.inner();
        (inner.sync_fails, inner.full, inner.off_at) = (None, None, None);
    }

    /// The disk is full, or has room again.
    pub fn set_full(&self, full: Option<Full>) {
        self.inner().full = full;
    }

    /// `watch` is called before each operation with a clone of the disk.
    pub fn watch(&self, watch: Option<Watch>) {
        self.inner().watch = watch;
    }

    /// The power fails and comes back: of what is not durable, some stays. Everything comes from `seed`.
    pub fn cut_power(&self, seed: u64) {
        let inner = &mut *self.inner();
        let mut random = Random::new(seed);
        let mut by_dir: BTreeMap<PathBuf, Vec<Change>> = BTreeMap::new();
        for change in std::mem::take(&mut inner.changes) {
            by_dir.entry(change.dir().into()).or_default().push(change);
        }
        for changes in by_dir.into_values() {
            let kept = random.below(changes.len() as u64 + 1);
            for change in changes.into_iter().take(usize::try_from(kept).unwrap_or(usize::MAX)) {
                change.apply(&mut inner.durable_names);
            }
        }
        // A name below a directory that is gone is gone too.
        let all = inner.durable_names.clone();
        let there = |path: &Path| path.ancestors().skip(1).all(|dir| dir == Path::new("/") || all.contains_key(dir));
        inner.durable_names.retain(|path, _| there(path));
        inner.names = inner.durable_names.clone();
        let named: BTreeSet<u64> = inner.names.values().copied().collect();
        inner.nodes.retain(|node, _| named.contains(node));
        for content in inner.nodes.values_mut().flatten() {
            content.sync_some(&mut random);
            content.written = content.durable.clone();
        }
        inner.locked.clear();
        (inner.off, inner.off_at) = (false, None);
        inner.boots += 1;
    }

    /// The process is killed: what was written stays as it is, durable or not.
    pub fn kill(&self) {
        let inner = &mut *self.inner();
        inner.locked.clear();
        inner.boots += 1;
    }

    /// Changes a byte where it lies, as rot does.
    pub fn flip(&self, path: &Path, offset: usize, bits: u8) {
        let inner = &mut *self.inner();
        let Ok(node) = inner.node(path) else { return };
        let Ok(content) = inner.content(node) else { return };
        for bytes in [&mut content.written, &mut content.durable] {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= bits;
            }
        }
    }

    /// The files there are.
    pub fn files(&self) -> Vec<PathBuf> {
        let inner = self.inner();
        let is_file = |node: &u64| inner.nodes.get(node).is_some_and(Option::is_some);
        inner.names.iter().filter(|(_, node)| is_file(node)).map(|(path, _)| path.clone()).collect()
    }
}

struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    node: u64,
    boots: u64,
}

impl SimFile {
    fn with<R>(&self, work: impl FnOnce(&mut Inner, u64) -> io::Result<R>) -> io::Result<R> {
        let mut inner = self.disk.inner();
        inner.on()?;
        if inner.boots != self.boots {
            return Err(io::Error::other(format!("{} was opened before the machine started", self.path.display())));
        }
        work(&mut inner, self.node)
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|inner, node| {
            inner.begin()?;
            inner.end()?;
            if inner.sync_fails() {
                let mut random = inner.random.clone();
                inner.content(node)?.sync_some(&mut random);
                inner.random = random;
                return Err(io::Error::other("input/output error"));
            }
            inner.content(node)?.sync();
            Ok(())
        })
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(|inner, node| {
            let written = &inner.content(node)?.written;
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let found = written.get(from..from.saturating_add(bytes.len())).ok_or(ErrorKind::UnexpectedEof)?;
            bytes.copy_from_slice(found);
            Ok(())
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(|inner, node| {
            inner.begin()?;
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            // A write that is interrupted, or finds the disk full, has written some of it.
            let whole = !inner.off && !inner.refuses_writes();
            // All of it too: what fails then is what the file system had to note down about it.
            let whole = whole || inner.random.once_in(4);
            let len = if whole { bytes.len() } else { inner.random.below(bytes.len() as u64 + 1) as usize };
            inner.content(node)?.write(&bytes[..len], offset);
            inner.end()?;
            if inner.refuses_writes() { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
        })
    }

    /// As the system's disk does it: in whole pages, of which the first has again what stood before, and zeros behind
    /// the last byte.
    fn append_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        const PAGE: u64 = 4_096;
        let (before, len) = ((offset % PAGE) as usize, self.disk.len(&self.path)?);
        let mut pages = vec![0; before];
        self.read_at(&mut pages, offset - before as u64)?;
        pages.extend_from_slice(bytes);
        let end = (offset + bytes.len() as u64).next_multiple_of(PAGE);
        if end > len {
            return self.write_at(bytes, offset);
        }
        pages.resize(before + (end - offset) as usize, 0);
        self.write_at(&pages, offset - before as u64)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.with(|inner, node| {
            inner.begin()?;
            if inner.refuses_writes() {
                return Err(ErrorKind::StorageFull.into());
            }
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            let content = inner.content(node)?;
            if content.written.len() < len {
                content.set_len(len);
            }
            inner.end()
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|inner, node| {
            inner.begin()?;
            let mut random = inner.random.clone();
            let content = inner.content(node)?;
            if random.once_in(2) {
                content.write_back(&mut random);
            }
            content.set_len(usize::try_from(len).unwrap_or(usize::MAX));
            inner.random = random;
            inner.end()
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync()
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, _: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.inner();
        let node = inner.node(path)?;
        inner.content(node)?;
        Ok(Arc::new(SimFile { disk: self.clone(), path: path.into(), node, boots: inner.boots }))
    }

    fn create(&self, path: &Path, _: u32) -> io::Result<Arc<dyn DiskFile>> {
        let mut inner = self.inner();
        inner.on()?;
        inner.parent_exists(path)?;
        inner.begin()?;
        if inner.refuses_writes() {
            return Err(ErrorKind::StorageFull.into());
        }
        let node = match inner.node(path) {
            Ok(node) => {
                inner.content(node)?.set_len(0);
                node
            }
            Err(_) => inner.new_node(path, Some(Content::default())),
        };
        inner.end()?;
        Ok(Arc::new(SimFile { disk: self.clone(), path: path.into(), node, boots: inner.boots }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut inner = self.inner();
        let node = inner.node(path)?;
        Ok(inner.content(node)?.written.clone())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let inner = self.inner();
        inner.on()?;
        Ok(path == Path::new("/") || inner.names.contains_key(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let inner = self.inner();
        let node = inner.node(dir)?;
        if inner.nodes.get(&node).is_some_and(Option::is_some) {
            return Err(ErrorKind::NotADirectory.into());
        }
        let within = inner.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(within.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn make_dir(&self, path: &Path, _mode: u32) -> io::Result<()> {
        let mut inner = self.inner();
        inner.on()?;
        inner.parent_exists(path)?;
        inner.begin()?;
        if inner.names.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        inner.new_node(path, None);
        inner.end()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        inner.on()?;
        inner.begin()?;
        inner.end()?;
        if inner.sync_fails() {
            return Err(io::Error::other("input/output error"));
        }
        if inner.full == Some(Full::Names) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let changes = std::mem::take(&mut inner.changes);
        let (here, elsewhere): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.dir() == path);
        inner.changes = elsewhere;
        here.into_iter().for_each(|change| change.apply(&mut inner.durable_names));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        inner.node(from)?;
        inner.begin()?;
        inner.change(Change::Rename(from.into(), to.into()));
        inner.end()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        inner.node(path)?;
        inner.begin()?;
        inner.change(Change::Remove(path.into()));
        inner.end()
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        inner.node(path)?;
        if inner.names.keys().any(|name| name.parent() == Some(path)) {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        inner.begin()?;
        inner.change(Change::Remove(path.into()));
        inner.end()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let mut inner = self.inner();
        inner.on()?;
        let fresh = inner.locked.insert(path.into());
        let held = SimLock { disk: self.clone(), path: path.into(), boots: inner.boots };
        Ok(fresh.then(|| Box::new(held) as Box<dyn Send + Sync>))
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        let inner = self.inner();
        inner.on()?;
        Ok(if inner.full == Some(Full::Told) { 0 } else { 1 << 40 })
    }
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    boots: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut inner = self.disk.inner();
        if inner.boots == self.boots {
            inner.locked.remove(&self.path);
        }
    }
}
