//! What is looked at, and what each part is compared with.

use super::Diagnosis;
use crate::blobs;
use crate::checkpoint::{self, check_checkpoint, check_reach, log_vkey};
use crate::content::Content;
use crate::decode;
use crate::disk::{Disk, TEMPORARY};
use crate::export::read_policy;
use crate::journal::{self, FrameKind, Frames, Locations};
use crate::options::Options;
use crate::publication::PublicLog;
use crate::recorder::RESERVE_BYTES;
use crate::{NodeError, public, settled, summary};
use chancery_engine::Cache;
use chancery_state::{Purpose, StateError, StateKey};
use chancery_tlog::tile::{bundles_for, tiles_for};
use chancery_tlog::{Bundle, Tile, merkle};
use chancery_types::codec::Decode;
use chancery_types::entry::Effects;
use chancery_types::{Entry, Hash, ModuleId, Record, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// What a directory of a ledger holds; quarantined views and temporary files beside it.
const NAMES: [&str; 11] = [
    "format",
    "lock",
    "log.vkey",
    "cache.key",
    "policy",
    "journal",
    "blobs",
    "public",
    "view",
    summary::NAME,
    settled::NAME,
];
const CACHE: &str = "cache";
const QUARANTINE: &str = "view.quarantine-";

/// What the journal says, to compare the rest with.
pub(super) struct Log {
    content: Content,
    size: u64,
    time: Timestamp,
    origin: String,
    /// Modules that entries name, and the first that does.
    pub(super) modules: BTreeMap<ModuleId, u64>,
}

impl Log {
    /// What a file of the public log must hold; `None` where it is none, or covers what the log has not.
    pub(super) fn published(&self, path: &Path) -> Option<Vec<u8>> {
        let path = path.to_str()?;
        match (Tile::parse(path), Bundle::parse(path)) {
            (Ok(tile), _) => self.content.tile(&tile).ok(),
            (_, Ok(bundle)) => self.content.bundle(&bundle).ok(),
            _ => None,
        }
    }
}

/// Directory, permissions, leftovers.
pub(super) fn check_files(disk: &dyn Disk, dir: &Path, found: &mut Diagnosis) {
    let names = match disk.list(dir) {
        Ok(names) => names,
        Err(error) => return found.fault(dir, format!("cannot be listed: {error}"), "look at its permissions"),
    };
    let mut count = 0;
    for name in names {
        let path = dir.join(&name);
        if name.starts_with(QUARANTINE) {
            found.note(&path, "a view that was set aside", "delete it when nobody needs to look at it");
        } else if NAMES.contains(&name.as_str()) || name.ends_with(TEMPORARY) {
            let whole = name == "view";
            check_file(disk, &path, whole, found, &mut count);
        } else if name != CACHE {
            found.note(&path, "is no part of a ledger", "move it away if you know it");
        }
    }
    let required = ["log.vkey", "journal", "blobs", "view"].map(|name| dir.join(name));
    for path in required.iter().filter(|path| matches!(disk.exists(path), Ok(false))) {
        match path.ends_with("view") {
            true => found.note(path, "is missing", "nothing: it is made from the journal on the next opening"),
            false => found.fault(path, "is missing", "restore it from a copy"),
        }
    }
    found.examined.push(("files", count));
}

/// Checks a file, or every file below a directory; of a directory that is `whole`, its permissions alone.
fn check_file(disk: &dyn Disk, path: &Path, whole: bool, found: &mut Diagnosis, count: &mut u64) {
    if let Ok(Some(mode)) = disk.mode(path) {
        let private = path.ends_with("cache.key");
        if mode & 0o002 != 0 && mode & 0o7000 != 0o1000 {
            found.fault(path, format!("everybody may write it (mode {mode:03o})"), "chmod o-w");
        } else if private && mode & 0o077 != 0 {
            found.fault(
                path,
                format!("others may read it (mode {mode:03o}); whoever has it can put code into the cache"),
                "chmod 600, then delete the cache",
            );
        }
    }
    match disk.list(path) {
        Ok(names) if !whole => {
            let children = names.iter().map(|name| path.join(name));
            return children.for_each(|child| check_file(disk, &child, false, found, count));
        }
        Ok(_) => return,
        Err(error) if error.kind() == ErrorKind::NotADirectory => {}
        Err(error) => return found.fault(path, format!("cannot be listed: {error}"), "look at its permissions"),
    }
    *count += 1;
    if let Err(error) = disk.open(path, true) {
        let remedy = "set owner and permissions right, or restore it";
        found.fault(path, format!("cannot be opened for reading and writing: {error}"), remedy);
    } else if path.to_string_lossy().ends_with(TEMPORARY) {
        found.derived(path, "an interrupted write left it; nobody reads it");
    }
}

/// Goes through the journal, and gathers what the rest is compared with.
pub(super) fn read_journal(disk: &Arc<dyn Disk>, dir: &Path, found: &mut Diagnosis) -> Result<Log, NodeError> {
    let journal = dir.join("journal");
    let (mut log, mut open, mut locations) = (merkle::Tree::recent(), Vec::new(), Locations::default());
    let (mut time, mut origin, mut modules) = (Timestamp(0), String::new(), BTreeMap::new());
    let mut frames = Frames::of(&**disk, &journal)?;
    while let Some((frame, location)) = frames.next()? {
        if frame.kind == FrameKind::Effects {
            continue;
        }
        let entry = decode::entry(frame.index, frame.payload)?;
        locations.push(location);
        open.push(merkle::leaf_hash(frame.payload));
        match entry.record {
            Record::Genesis { origin: named, .. } => origin = named,
            Record::Call { module, .. } if module.0 != [0; 32] => drop(modules.entry(module).or_insert(frame.index)),
            Record::Call { .. } => {}
            Record::Seal { .. } => {
                open.drain(..).for_each(|leaf| log.push(leaf));
                time = entry.time;
            }
        }
    }
    let end = frames.end()?;
    let size = log.size();
    locations.truncate(size);
    if end.is_torn() {
        let remedy = "nothing: the next opening cuts it off; it was never acknowledged";
        found.note(&journal, "an interrupted write stands behind the last block", remedy);
    } else if !end.is_clean() {
        let remedy = "nothing: the next opening writes the last block again before anything is acknowledged";
        found.note(&journal, "the ledger was not closed in order, or `closed` is damaged", remedy);
    }
    found.examined.push(("entries of the journal", size));
    let content = Content::new(journal::reader(disk.clone(), &journal, locations), log);
    let published = checkpoint::published(&**disk, dir);
    if let Err(error) = published.and_then(|published| check_reach(dir, published.as_ref(), &end)) {
        found.error(&dir.join("public/checkpoint"), &error);
    }
    Ok(Log { content, size, time, origin, modules })
}

/// Key, policy, checkpoint. Gives how many entries the checkpoint covers.
pub(super) fn check_checkpoint_and_keys(disk: &Arc<dyn Disk>, dir: &Path, log: &Log, found: &mut Diagnosis) -> u64 {
    let key = match log_vkey(&**disk, dir, &log.origin) {
        Ok(key) => key,
        Err(error) => {
            found.error(&dir.join("log.vkey"), &error);
            return 0;
        }
    };
    if let Err(error) = read_policy(disk, dir, &key) {
        found.error(&dir.join("policy"), &error);
    }
    let path = PublicLog::path(dir);
    if found.findings.iter().any(|finding| finding.file == path) {
        return 0;
    }
    match check_checkpoint(&**disk, dir, &log.origin, |size| log.content.root_at(size).ok()) {
        Ok(Some(checkpoint)) => {
            if checkpoint.size < log.size {
                let problem = format!(
                    "it covers {} of {} entries: no snapshot or export has the others",
                    checkpoint.size, log.size
                );
                found.note(
                    &path,
                    problem,
                    "`chancery log checkpoint`, with --keys where the log key is, publishes them",
                );
            }
            return checkpoint.size;
        }
        Ok(None) => found.note(&path, "nothing is published", "open the ledger with its log key"),
        Err(error) => found.error(&path, &error),
    }
    0
}

/// The view against the journal. A panic inside it is a finding like any other.
pub(super) fn check_view(dir: &Path, options: &Options, found: &mut Diagnosis) {
    let path = dir.join("view");
    if matches!(options.disk.exists(&path), Ok(false)) {
        return;
    }
    let compared = catch_unwind(AssertUnwindSafe(|| compare_view(dir, options)));
    match compared.unwrap_or_else(|_| Err(StateError::View("the store panicked".into()).into())) {
        Ok(keys) => found.examined.push(("keys of the view", keys)),
        Err(error) => found.derived(&path, error.to_string()),
    }
}

fn compare_view(dir: &Path, options: &Options) -> Result<u64, NodeError> {
    let disk = &*options.disk;
    // The store may change its files when they are opened.
    let mark = settled::take(disk, dir)?;
    let view = (options.open_view)(&dir.join("view"), Purpose::Serve)?;
    let doubt = |problem: String| NodeError::State(StateError::View(problem));
    let position = view.position()?;
    let until = position.map_or(0, |position| position.entries);
    let mut pairs = BTreeMap::<StateKey, Vec<u8>>::new();
    let mut reached = until == 0;
    let journal = dir.join("journal");
    let mut frames = Frames::of(disk, &journal)?;
    while let Some((frame, _)) = frames.next()? {
        let problem = |_| doubt(format!("entry {} does not decode", frame.index));
        match frame.kind {
            FrameKind::Entry => {
                let entry = Entry::from_bytes(frame.payload).map_err(problem)?;
                let here = position.filter(|position| position.entries == frame.index + 1);
                reached |= here.is_some_and(|here| entry.seal() == Some((here.height, here.root)));
            }
            FrameKind::Effects if frame.index < until => {
                for write in Effects::from_bytes(frame.payload).map_err(problem)?.writes {
                    let key = (write.contract, write.key);
                    match write.value {
                        Some(value) => drop(pairs.insert(key, value)),
                        None => drop(pairs.remove(&key)),
                    }
                }
            }
            FrameKind::Effects => {}
        }
    }
    frames.end()?;
    if !reached {
        return Err(doubt(format!("it says that it is at entry {until}, where the journal has no such block")));
    }
    let count = pairs.len() as u64;
    let mut expected = pairs.into_iter();
    for pair in view.pairs() {
        if Some(pair?) != expected.next() {
            return Err(doubt("its pairs are not those that the journal's writes lead to".into()));
        }
    }
    if expected.next().is_some() {
        return Err(doubt("pairs are missing in it that the journal's writes lead to".into()));
    }
    if let Some(mark) = mark.filter(|mark| position == Some(*mark)) {
        view.checkpoint()?;
        drop(view);
        settled::leave(disk, dir, &mark)?;
    }
    Ok(count)
}

/// Blobs against their names, and modules that entries need.
pub(super) fn check_blobs(disk: &dyn Disk, dir: &Path, modules: &BTreeMap<ModuleId, u64>, found: &mut Diagnosis) {
    let blobs = dir.join("blobs");
    let (mut there, mut count) = (BTreeSet::new(), 0);
    for folder in disk.list(&blobs).unwrap_or_default() {
        for name in disk.list(&blobs.join(&folder)).unwrap_or_default() {
            let path = blobs.join(&folder).join(&name);
            if name.ends_with(TEMPORARY) {
                continue;
            }
            count += 1;
            there.insert(name.clone());
            match disk.read(&path) {
                Ok(bytes) if Hash::of(&bytes).to_string() == name && name.starts_with(&folder) => {}
                Ok(bytes) => found.fault(
                    &path,
                    format!("its name is not the BLAKE3 of its bytes, {}", Hash::of(&bytes)),
                    "restore it from a copy, or from an export of this ledger",
                ),
                Err(error) => found.fault(&path, format!("cannot be read: {error}"), "restore it from a copy"),
            }
        }
    }
    for (module, index) in modules {
        let name = module.to_string();
        if !there.contains(&name) {
            let path = blobs.join(blobs::name(module));
            found.fault(
                &path,
                format!("the module of entry {index} is missing"),
                "restore it from a copy, or from an export of this ledger",
            );
        }
    }
    found.examined.push(("blobs", count));
}

/// Compiled code against its MAC.
pub(super) fn check_cache(disk: &dyn Disk, dir: &Path, found: &mut Diagnosis) {
    let path = dir.join("cache.key");
    let key = match disk.read_if_there(&path) {
        Ok(Some(key)) => <[u8; 32]>::try_from(key).ok(),
        Ok(None) => None,
        // Why it cannot be read has been found already.
        Err(_) => return,
    };
    let Some(key) = key else {
        return found.derived(&path, "it is missing or not 32 bytes long: compiled code is not kept");
    };
    match Cache::new(dir.join(CACHE), key).damaged() {
        Ok(damaged) => {
            for file in damaged {
                found.derived(&file, "its MAC is not that of its code under cache.key; it is never used");
            }
        }
        Err(error) => found.fault(&dir.join(CACHE), format!("cannot be read: {error}"), "delete it"),
    }
}

/// The summary of a clean stop against the journal, where there is one.
pub(super) fn check_summary(disk: &Arc<dyn Disk>, dir: &Path, found: &mut Diagnosis) {
    let path = dir.join(summary::NAME);
    if disk.exists(&path).unwrap_or(false) && summary::read(disk, dir).is_none() {
        found.derived(&path, "the journal does not bear it out; it is never used");
    }
}

/// Tiles and bundles against the journal.
pub(super) fn check_public(disk: &dyn Disk, dir: &Path, log: &Log, published: u64, found: &mut Diagnosis) {
    let public = dir.join("public");
    let needed = tiles_for(0, published).map(|tile| tile.path());
    let needed: BTreeSet<String> = needed.chain(bundles_for(0, published).map(|bundle| bundle.path())).collect();
    let mut files = Vec::new();
    public::files_below(disk, &public, "tile", &mut files);
    let there: BTreeSet<&String> = files.iter().collect();
    for path in needed.iter().filter(|path| !there.contains(path)) {
        found.derived(&public.join(path), "it is missing");
    }
    for path in files.iter().filter(|path| !path.ends_with(TEMPORARY)) {
        let (file, expected) = (public.join(path), log.published(Path::new(path)));
        match (disk.read(&file), expected) {
            (Ok(bytes), Some(expected)) if bytes == expected => {}
            (Ok(_), Some(_)) => found.derived(&file, "it is not what the journal has at that place"),
            (Ok(_), None) => {
                found.derived(&file, format!("it is no tile or bundle of this log of {} entries", log.size))
            }
            (Err(error), _) => found.derived(&file, format!("cannot be read: {error}")),
        }
    }
    found.examined.push(("tiles and bundles", files.len() as u64));
}

/// Clock and room.
pub(super) fn check_surroundings(dir: &Path, options: &Options, log: &Log, found: &mut Diagnosis) {
    let now = options.clock.now();
    if log.time > now {
        let problem = format!("the last block's time is {}, this machine's clock says {now}", log.time);
        found.note(dir, problem, "set the clock right; until then blocks take the time of the last one");
    }
    match options.disk.free_bytes(dir) {
        Ok(free) if free < RESERVE_BYTES => {
            let problem = format!("{free} bytes are free on its disk; below {RESERVE_BYTES} no call is recorded");
            found.note(dir, problem, "make room");
        }
        Ok(_) => {}
        Err(error) => found.fault(dir, format!("its disk does not say what room it has: {error}"), "look at the disk"),
    }
}
