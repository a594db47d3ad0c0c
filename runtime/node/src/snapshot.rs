//! Snapshots: a ledger up to a published checkpoint, whole, in files that verify by themselves and from which a ledger
//! is restored.
//!
//! # Layout
//!
//! ```text
//! DIR/snapshot        the manifest, an empty line, and the checkpoint's note
//! DIR/chunks/<64 hex> the chunks and modules, each under its BLAKE3
//! DIR/policy          the ledger's policy, where it has one; no part of what the root covers
//!
//! manifest = "chancery snapshot 1" ‖ LF, then one line each, ended by LF:
//!            "ledger HEX"           the ledger id
//!            "log-key VKEY"         the log's public key, whose name is the origin
//!            "height N"             of the last block
//!            "entries N"            the log's size
//!            "log-root HEX"         the Merkle root over them
//!            "chain HEX"            the journal's chain value behind the last frame
//!            "state-root HEX"       the state root of the last seal
//!            "keys N"               pairs of the state
//!            "log HEX N"            per chunk of the log, in order: its BLAKE3 and length in bytes
//!            "state HEX N"          per chunk of the state, in order
//!            "module HEX N"         per module that a call of the log names, ascending
//! root     = BLAKE3 of the manifest
//! chunk    = record*
//! log      : record = entry length, u32 LE ‖ effects length, u32 LE, 0 where there are none ‖ entry ‖ effects
//! state    : record = contract, 32 ‖ key length, u32 LE ‖ value length, u32 LE ‖ key ‖ value;
//!            ascending by contract, then key
//! ```
//!
//! A chunk ends behind the record with which it reaches [`CHUNK_BYTES`], or with the last record; there is no empty
//! chunk.
//!
//! # What it promises
//!
//! - **Canonical**: manifest and chunks follow from the log's entries alone, so that whoever makes the snapshot of a
//!   log of this size gets the same bytes and the same root. Where blocks lie in segments, when the ledger crashed and
//!   what the view holds has no influence. The note is outside of the root, for cosignatures are added to it later.
//! - **Complete**: entries, effects and modules are all that a ledger is made of. State pairs could be replayed from
//!   the effects; they are there so that a view need not be, and so that whoever only wants the state at a height can
//!   check it by 32 bytes.
//! - **Consistent while serving**: a snapshot is made from that part of the journal which the published checkpoint
//!   covers. It never changes, so no lock is taken, nothing waits, and another process may do it. The view is not read.
//! - **Incremental**: a second snapshot in the same directory writes the chunks that are new. All full chunks of the
//!   log stay as they are.
//! - **Atomic**: `snapshot` is replaced last, by a rename; what only the one before needed is removed after that. A
//!   crash leaves the old snapshot or the new one, and perhaps chunks that neither names.
//!
//! # Trust
//!
//! Nothing in the directory is trusted. [`verify()`] checks every byte that counts, up to the checkpoint's signature,
//! under a policy that the caller brings. Without one, the key in the manifest vouches for the rest, which shows that
//! nothing rotted and not whose log it is.

mod create;
mod manifest;
mod restore;
mod verify;

pub use create::{Created, create};
pub use restore::restore;
pub use verify::{SnapshotReport, Trust, verify};

use crate::NodeError;
use crate::disk::{self, Disk};
use std::path::Path;

/// Length at which a chunk ends: below the memory of any machine, long enough that a directory has not too many.
pub const CHUNK_BYTES: usize = 4 << 20;
/// The file that holds manifest and checkpoint.
const SNAPSHOT: &str = "snapshot";
const CHUNKS: &str = "chunks";
const POLICY: &str = "policy";

/// Makes the name of a directory durable: one that was found there may be from a try that ended before its name was.
fn sync_name(disk: &dyn Disk, dir: &Path) -> Result<(), NodeError> {
    let parent = disk::parent(dir);
    disk.sync_dir(parent).map_err(disk::failed("cannot make durable", parent))
}

fn wrong(problem: impl Into<String>) -> NodeError {
    NodeError::Snapshot(problem.into())
}
