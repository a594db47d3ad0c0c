//! Directories that are written beside a ledger: exports, mirrors, snapshots, the memory of a witness.
//!
//! None of them lies in a ledger's directory, nor does another ledger: what is there is the ledger's own, or derived by it alone. An export and a
//! mirror of the same log go on with one another's files.

use crate::NodeError;
use crate::disk::{self, Disk, TEMPORARY};
use std::path::Path;

/// Held while a mirror follows.
pub(crate) const LOCK: &str = "lock";
/// What contradicts a mirror.
pub(crate) const EVIDENCE: &str = "evidence";

/// All that an exported or mirrored directory may hold.
const NAMES: [&str; 9] =
    ["checkpoint", "tile", "blobs", "log.vkey", "policy", "retention", "verify.py", LOCK, EVIDENCE];

/// What a directory holds that is no part of an export or a mirror, if anything.
pub(crate) fn foreign(disk: &dyn Disk, dir: &Path) -> Result<Option<String>, NodeError> {
    let names = disk.list(dir).map_err(disk::failed("cannot list", dir))?;
    Ok(names.into_iter().find(|name| !NAMES.contains(&name.as_str()) && !name.ends_with(TEMPORARY)))
}

/// Refuses a directory that is a ledger's, or lies in one; it need not be there yet.
pub(crate) fn outside_ledgers(disk: &dyn Disk, dir: &Path) -> Result<(), NodeError> {
    let path = std::path::absolute(dir).map_err(disk::failed("cannot use", dir))?;
    // What is not there yet lies where what is above it leads.
    let path = path.ancestors().find_map(|above| above.canonicalize().ok()).unwrap_or(path);
    let is_ledger = |dir: &&Path| {
        let format = disk.read(&dir.join("format"));
        format.is_ok_and(|format| format.starts_with(b"chancery ledger "))
    };
    match path.ancestors().find(is_ledger) {
        Some(ledger) => Err(NodeError::InLedger { path: dir.into(), ledger: ledger.into() }),
        None => Ok(()),
    }
}

/// Whether two paths lead to the same directory.
pub(crate) fn same(one: &Path, other: &Path) -> bool {
    one.canonicalize().is_ok_and(|one| other.canonicalize().is_ok_and(|other| one == other))
}
