//! The published checkpoint, and the log's key that it is signed with, as they lie in a ledger's directory.

use crate::NodeError;
use crate::disk::Disk;
use crate::journal::End;
use crate::publication::PublicLog;
use chancery_tlog::Checkpoint;
use chancery_tlog::note::VerifierKey;
use chancery_types::Hash;
use std::path::Path;

/// The log's public key, which must be that of this origin.
pub(crate) fn log_vkey(disk: &dyn Disk, dir: &Path, origin: &str) -> Result<VerifierKey, NodeError> {
    let wrong = || NodeError::Checkpoint(format!("{} is not the key of {origin}", dir.join("log.vkey").display()));
    Some(vkey(disk, dir)?).filter(|key| key.name == origin).ok_or_else(wrong)
}

/// The log's public key, whatever its origin.
pub(crate) fn vkey(disk: &dyn Disk, dir: &Path) -> Result<VerifierKey, NodeError> {
    let path = dir.join("log.vkey");
    let text = disk.read_file(&path)?;
    let text = String::from_utf8_lossy(&text);
    VerifierKey::parse(text.trim()).map_err(|error| {
        NodeError::Checkpoint(format!("{} holds no log's key ({error}): restore it from a copy", path.display()))
    })
}

/// The published checkpoint, if there is one.
pub(crate) fn published(disk: &dyn Disk, dir: &Path) -> Result<Option<Checkpoint>, NodeError> {
    let path = PublicLog::path(dir);
    let Some(note) = disk.read_if_there(&path)? else { return Ok(None) };
    let wrong = |problem: String| {
        NodeError::Checkpoint(format!("{}: {problem}. Restore it from a copy; nothing was changed", path.display()))
    };
    let note = String::from_utf8(note).map_err(|_| wrong("it is not text".into()))?;
    let found = Checkpoint::open(&note, &vkey(disk, dir)?).map_err(|error| wrong(error.to_string()))?;
    Ok(Some(found))
}

/// The journal must reach as far as the published checkpoint.
pub(crate) fn check_reach(dir: &Path, published: Option<&Checkpoint>, end: &End) -> Result<(), NodeError> {
    let size = published.map_or(0, |checkpoint| checkpoint.size);
    end.reaches(&dir.join("journal"), size, "the published checkpoint")
}

/// The published checkpoint must be one of this log, whose root at a size `root_at` gives.
pub(crate) fn check_checkpoint(
    disk: &dyn Disk,
    dir: &Path,
    origin: &str,
    root_at: impl FnOnce(u64) -> Option<Hash>,
) -> Result<Option<Checkpoint>, NodeError> {
    log_vkey(disk, dir, origin)?;
    let Some(found) = published(disk, dir)? else { return Ok(None) };
    check_root(dir, &found, root_at(found.size))?;
    Ok(Some(found))
}

/// The published checkpoint must have the root that the journal has at its size.
pub(crate) fn check_root(dir: &Path, published: &Checkpoint, root: Option<Hash>) -> Result<(), NodeError> {
    if root == Some(published.root) {
        return Ok(());
    }
    Err(NodeError::Checkpoint(format!(
        "{}: its root over {} entries is another than the journal's",
        PublicLog::path(dir).display(),
        published.size
    )))
}
