//! The simulated disk as the node sees it: files, directories and their syncs.

use super::Random;
use super::content::Content;
use super::faults::{Full, Watch};
use crate::disk::{Disk, DiskFile};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A change of names, which is durable when its directory is synced.
#[derive(Clone)]
pub(super) enum Change {
    Set(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Change {
    pub(super) fn dir(&self) -> &Path {
        let (Change::Set(path, _) | Change::Rename(_, path) | Change::Remove(path)) = self;
        path.parent().unwrap_or(Path::new("/"))
    }

    pub(super) fn apply(self, names: &mut BTreeMap<PathBuf, u64>) {
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

/// What all clones of a disk share.
#[derive(Clone)]
pub(super) struct Inner {
    pub(super) random: Random,
    pub(super) names: BTreeMap<PathBuf, u64>,
    pub(super) durable_names: BTreeMap<PathBuf, u64>,
    pub(super) changes: Vec<Change>,
    /// Directories have no content.
    pub(super) nodes: BTreeMap<u64, Option<Content>>,
    next_node: u64,
    pub(super) locked: BTreeSet<PathBuf>,
    pub(super) operations: u64,
    pub(super) off_at: Option<u64>,
    pub(super) off: bool,
    /// Syncs that succeed before one fails, and whether all after it fail too.
    pub(super) sync_fails: Option<(u64, bool)>,
    pub(super) full: Option<Full>,
    /// Starts of the machine: a file opened before the last one is of no use.
    pub(super) boots: u64,
    pub(super) watch: Option<Watch>,
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

    pub(super) fn node(&self, path: &Path) -> io::Result<u64> {
        self.on()?;
        self.names.get(path).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(super) fn content(&mut self, node: u64) -> io::Result<&mut Content> {
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

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
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
