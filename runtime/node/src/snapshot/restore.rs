//! Restoring a ledger from a snapshot.
//!
//! The snapshot is verified first, all of it. Then, in a new or empty directory: modules, journal, view, checkpoint,
//! and `format` last, so that what a crash leaves is no ledger. The journal gets segments of its own; its frames and
//! chain values are those of the snapshot's ledger, which it goes on from. The checkpoint becomes the published one, so
//! that opening refuses a journal that ends before it; its tiles are written by the first opening with the log key.
//!
//! The ledger's policy, which says what witnesses are asked, becomes the one that the caller believes. Nothing vouches
//! for the one beside the snapshot; it is taken where the caller gives none, and the report has it.

use super::manifest::Snapshot;
use super::verify::{SnapshotReport, Trust, verify_open};
use super::{POLICY, sync_name};
use crate::blobs;
use crate::directory::{check_new, new_cache_key, write_format};
use crate::disk::{self, Disk};
use crate::journal::{Block, Journal};
use crate::publication::PublicLog;
use crate::{NodeError, Options};
use chancery_state::view::Position;
use chancery_state::{Purpose, StateView, ViewBatch};
use chancery_types::entry::Write;
use chancery_types::{Hash, ModuleId};
use std::path::Path;

/// Bytes of blocks that are written and made durable at once.
const PASS_BYTES: usize = 8 << 20;
/// Pairs that are applied to the view at once.
const BATCH_ROWS: usize = 20_000;

/// Restores the ledger of the snapshot in `from` into `dir`, which is new or empty. It opens like any other. Of
/// `options` disk, view, progress and the length of segments are used.
///
/// # Errors
/// [`NodeError::NotEmpty`]; [`NodeError::InLedger`]; as [`verify`](super::verify()): nothing is written then; what the disk meets.
pub fn restore(from: &Path, dir: &Path, trust: &Trust, options: &Options) -> Result<SnapshotReport, NodeError> {
    let disk = &options.disk;
    check_new(&**disk, dir)?;
    let snapshot = Snapshot::open(&**disk, from)?;
    let report = verify_open(&snapshot, trust, &options.progress)?;
    disk.make_dirs(dir, disk::PASSABLE)?;
    restore_modules(&snapshot, &**disk, dir)?;
    restore_journal(&snapshot, dir, options)?;
    restore_view(&snapshot, &*(options.open_view)(&dir.join("view"), Purpose::Fill)?)?;
    let policy = match &trust.policy {
        Some(policy) if *policy != report.policy => Some(policy.to_string().into_bytes()),
        _ => disk.read_if_there(&from.join(POLICY))?,
    };
    if let Some(policy) = policy {
        disk.write_file(&dir.join(POLICY), &policy, 0o644)?;
    }
    disk.write_file(&dir.join("log.vkey"), format!("{}\n", report.vkey).as_bytes(), 0o644)?;
    PublicLog::of(disk.clone(), dir).put_checkpoint(&snapshot.note)?;
    new_cache_key(&**disk, dir)?;
    sync_name(&**disk, dir)?;
    write_format(&**disk, dir)?;
    Ok(report)
}

fn restore_modules(snapshot: &Snapshot<'_>, disk: &dyn Disk, dir: &Path) -> Result<(), NodeError> {
    let blobs = dir.join("blobs");
    disk.make_dirs(&blobs, disk::PRIVATE)?;
    for module in &snapshot.manifest.modules {
        let path = blobs.join(blobs::name(&ModuleId(module.hash.0)));
        disk.make_dirs(path.parent().unwrap_or(&blobs), disk::PRIVATE)?;
        disk.write_file(&path, &snapshot.read(module)?, 0o640)?;
    }
    Ok(())
}

/// Writes the journal.
fn restore_journal(snapshot: &Snapshot<'_>, dir: &Path, options: &Options) -> Result<(), NodeError> {
    let manifest = &snapshot.manifest;
    let mut journal =
        Journal::create(options.disk.clone(), &dir.join("journal"), manifest.ledger, options.segment_bytes)?;
    let pass_bytes = PASS_BYTES.min(journal.block_bytes_max() / 2);
    let (mut pass, mut chain) = (Block::new(0, journal.tag()), Hash::default());
    snapshot.blocks(|whole| {
        whole.push_to(&mut pass, &mut chain);
        let next = whole.first + whole.reads.len() as u64;
        if pass.len() >= pass_bytes {
            journal.append(&std::mem::replace(&mut pass, Block::new(next, journal.tag())), chain)?;
            (options.progress)("entries restored", next, manifest.entries);
        }
        Ok(())
    })?;
    if !pass.is_empty() {
        journal.append(&pass, chain)?;
    }
    journal.close()
}

/// Fills the view. What a crash leaves of it is not used: there is no ledger yet.
fn restore_view(snapshot: &Snapshot<'_>, view: &dyn StateView) -> Result<(), NodeError> {
    let manifest = &snapshot.manifest;
    let position = Position { height: manifest.height, root: manifest.state_root, entries: manifest.entries };
    let mut writes = Vec::new();
    snapshot.pairs(|(contract, key), value| {
        writes.push(Write { contract, key, value: Some(value) });
        if writes.len() < BATCH_ROWS {
            return Ok(());
        }
        let writes = std::mem::take(&mut writes);
        Ok(view.apply(&ViewBatch { writes, position: None })?)
    })?;
    // It stands at the snapshot's height with the last batch.
    view.apply(&ViewBatch { writes, position: Some(position) })?;
    Ok(view.checkpoint()?)
}
