//! The doctor: examines a ledger's directory, says in words what is wrong with which file, and, when told, makes again
//! what is derived.
//!
//! # What is examined, in this order
//!
//! 1. the directory: its format; every file can be opened for reading and writing and is no symbolic link; who may read
//!    and write it; what interrupted writes and earlier repairs left;
//! 2. the journal: segments, frames and their chain, `closed`, and whether it reaches as far as the published
//!    checkpoint;
//! 3. `log.vkey`, `policy`, and the published checkpoint: its signature, and its root against the journal's;
//! 4. the log itself, as [`verify`](crate::verify()) does: signatures, digests, order, every seal's state root recomputed;
//! 5. the view against the writes and request ids of the journal; the summary of a clean stop against the journal;
//! 6. blobs: each against the BLAKE3 that is its name, and that every module which an entry names is there;
//! 7. the cache of compiled code: each file against its MAC;
//! 8. tiles and entry bundles, also those of earlier sizes, against the journal;
//! 9. the clock, and the room on the disk.
//!
//! Where 2 fails, 4 to 8 have nothing to be compared with and are left out.
//!
//! # What it does to a finding
//!
//! A [`Kind::Fault`] is in something that exists once: nothing here makes it again, and it is to be restored from a
//! copy. A [`Kind::Derived`] finding is repaired by [`repair`], from the journal, which is not touched; and only while
//! the journal, the checkpoint and the log are found sound, since otherwise it would be made again from what is wrong.
//! A view is never deleted but set aside. A [`Kind::Note`] is no fault.
//!
//! Examining takes the ledger's lock, so that nobody writes meanwhile. It changes nothing but what opening sled changes
//! in its files.

mod checks;
mod diagnosis;

pub use diagnosis::{Diagnosis, Finding, Kind};

use crate::NodeError;
use crate::directory::{self, check_format};
use crate::disk::{self, Disk};
use crate::options::Options;
use crate::recovery::rebuild_view;
use crate::verify::verify_on;
use checks::{
    Log, check_blobs, check_cache, check_checkpoint_and_keys, check_files, check_public, check_summary,
    check_surroundings, check_view, read_journal,
};
use std::collections::BTreeMap;
use std::path::Path;

/// Examines the ledger in a directory.
///
/// # Errors
/// [`NodeError::NoLedger`], [`NodeError::Format`] and [`NodeError::Locked`]: then there is nothing to examine, or not
/// by this program, or not now.
pub fn examine(dir: &Path, options: &Options) -> Result<Diagnosis, NodeError> {
    check_format(&*options.disk, dir)?;
    let _lock = directory::lock(&*options.disk, dir)?;
    Ok(look(dir, options).0)
}

/// Examines the ledger in a directory and makes again what is derived and wrong. Gives what was found, and what is
/// found afterwards.
///
/// # Errors
/// As [`examine`], and what writing meets.
pub fn repair(dir: &Path, options: &Options) -> Result<(Diagnosis, Diagnosis), NodeError> {
    check_format(&*options.disk, dir)?;
    let _lock = directory::lock(&*options.disk, dir)?;
    let (before, log) = look(dir, options);
    if let (Some(_), Some(log)) = (&before.report, &log) {
        for finding in before.findings.iter().filter(|finding| finding.kind == Kind::Derived) {
            make_again(dir, options, log, &finding.file)?;
        }
    }
    let after = look(dir, options).0;
    Ok((before, after))
}

/// Makes one derived file again.
fn make_again(dir: &Path, options: &Options, log: &Log, file: &Path) -> Result<(), NodeError> {
    let disk = &*options.disk;
    if file == dir.join("view") {
        return rebuild_view(dir, options);
    }
    if file == dir.join("cache.key") {
        directory::new_cache_key(disk, dir)?;
        // What another key authenticated would be the next finding.
        return empty(disk, &dir.join("cache"));
    }
    match file.strip_prefix(dir.join("public")).ok().and_then(|path| log.published(path)) {
        Some(bytes) => disk.write_files(&dir.join("public"), &[(file.into(), bytes)], 0o644),
        None => {
            let parent = file.parent().unwrap_or(dir);
            disk.remove(file).map_err(disk::failed("cannot remove", file))?;
            disk.sync_dir(parent).map_err(disk::failed("cannot make durable", parent))
        }
    }
}

/// Removes the files of a directory that may be missing.
fn empty(disk: &dyn Disk, dir: &Path) -> Result<(), NodeError> {
    if !disk.exists(dir).map_err(disk::failed("cannot look for", dir))? {
        return Ok(());
    }
    for name in disk.list(dir).map_err(disk::failed("cannot list", dir))? {
        let file = dir.join(name);
        disk.remove(&file).map_err(disk::failed("cannot remove", &file))?;
    }
    disk.sync_dir(dir).map_err(disk::failed("cannot make durable", dir))
}

/// Looks at everything. The log is there where its journal could be read.
fn look(dir: &Path, options: &Options) -> (Diagnosis, Option<Log>) {
    let (disk, mut found) = (&options.disk, Diagnosis::default());
    check_files(&**disk, dir, &mut found);
    check_cache(&**disk, dir, &mut found);
    let log = match read_journal(disk, dir, &mut found) {
        Ok(log) => log,
        Err(error) => {
            found.error(&dir.join("journal"), &error);
            check_blobs(&**disk, dir, &BTreeMap::new(), &mut found);
            return (found, None);
        }
    };
    let published = check_checkpoint_and_keys(disk, dir, &log, &mut found);
    if found.findings.iter().all(|finding| finding.kind != Kind::Fault || !is_of_the_log(dir, &finding.file)) {
        match verify_on(&**disk, dir, &options.progress) {
            Ok(report) => found.report = Some(report),
            Err(error) => found.error(&dir.join("journal"), &error),
        }
    }
    check_view(dir, options, &mut found);
    check_summary(disk, dir, &mut found);
    check_blobs(&**disk, dir, &log.modules, &mut found);
    check_public(&**disk, dir, &log, published, &mut found);
    check_surroundings(dir, options, &log, &mut found);
    (found, Some(log))
}

/// Whether a file is one that everything else is made from or compared with.
fn is_of_the_log(dir: &Path, file: &Path) -> bool {
    file.starts_with(dir.join("journal")) || file == dir.join("log.vkey") || file == dir.join("public/checkpoint")
}
