//! A ledger's directory: what lies where, and how it is made.
//!
//! ```text
//! DIR/format      "chancery ledger 2\n"
//! DIR/lock        held while a process has the ledger open
//! DIR/log.vkey    the log's public key, as a vkey
//! DIR/journal/    the log
//! DIR/blobs/      modules by BLAKE3, in folders of the first two digits
//! DIR/public/     the public log: signed checkpoint, tiles, entry bundles
//! DIR/view/       the state on sled: derived
//! DIR/cache/      precompiled code: derived; cache.key authenticates it
//! DIR/summary     what a clean stop wrote down of a long log: derived
//! DIR/view.closed what says that a clean stop left the view whole; there only while nobody has it open
//! ```

use crate::NodeError;
use crate::disk::{self, Disk};
use crate::journal::{self, FrameKind, Journal};
use crate::random::random;
use crate::target;
use chancery_state::Tree;
use chancery_tlog::note::{VerifierKey, is_key_name};
use chancery_types::codec::Encode;
use chancery_types::{Entry, Hash, Height, LedgerId, PublicKey, Record, Timestamp};
use ed25519_dalek::SigningKey;
use std::path::Path;
use std::sync::Arc;

/// The version of the data directory that this program reads and writes.
const FORMAT: u32 = 2;

/// Makes a ledger: directory, genesis block, format last, so that a crash leaves a directory without a ledger.
pub(crate) fn create(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    origin: &str,
    log_key: &SigningKey,
    time: Timestamp,
    segment_len: u64,
) -> Result<(), NodeError> {
    if !is_key_name(origin) || origin.contains("://") {
        return Err(NodeError::BadOrigin(origin.into()));
    }
    check_new(&**disk, dir)?;
    disk.make_dirs(dir, disk::PASSABLE)?;
    let nonce = random()?;
    let record = Record::Genesis { origin: origin.into(), nonce };
    let genesis = Entry { version: record.version(), index: 0, previous: Hash::default(), time, record };
    let bytes = genesis.to_bytes();
    let state_root = Tree::new().root();
    let seal = Entry {
        index: 1,
        previous: Hash::of(&bytes),
        record: Record::Seal { height: Height(0), state_root, entries: 1, keys: 0 },
        ..genesis
    };
    let id = LedgerId(Hash::of(&bytes).0);
    let mut journal = Journal::create(disk.clone(), &dir.join("journal"), id, segment_len)?;
    let (mut block, mut chain) = (journal::Block::new(0, journal.tag()), journal.chain());
    block.push(FrameKind::Entry, 0, &bytes, &mut chain);
    block.push(FrameKind::Entry, 1, &seal.to_bytes(), &mut chain);
    journal.append(&block, chain)?;
    journal.close()?;
    let vkey = VerifierKey { name: origin.into(), key: PublicKey(log_key.verifying_key().to_bytes()) }.to_vkey();
    disk.make_dirs(&dir.join("blobs"), disk::PRIVATE)?;
    new_cache_key(&**disk, dir)?;
    disk.write_file(&dir.join("log.vkey"), format!("{vkey}\n").as_bytes(), 0o644)?;
    write_format(&**disk, dir)
}

/// Refuses a directory in which no ledger can be made: one that holds anything, or lies in another ledger's.
pub(crate) fn check_new(disk: &dyn Disk, dir: &Path) -> Result<(), NodeError> {
    if disk.exists(dir).map_err(disk::failed("cannot look for", dir))?
        && !disk.list(dir).map_err(disk::failed("cannot list", dir))?.is_empty()
    {
        return Err(NodeError::NotEmpty(dir.into()));
    }
    target::outside_ledgers(disk, dir)
}

/// Makes the key that authenticates the cache of compiled code.
pub(crate) fn new_cache_key(disk: &dyn Disk, dir: &Path) -> Result<(), NodeError> {
    disk.write_file(&dir.join("cache.key"), &random()?, 0o600)
}

/// Makes a directory that holds all of a ledger one.
pub(crate) fn write_format(disk: &dyn Disk, dir: &Path) -> Result<(), NodeError> {
    disk.write_file(&dir.join("format"), format!("chancery ledger {FORMAT}\n").as_bytes(), 0o644)
}

/// Refuses a directory that holds no ledger, or one of another format.
pub(crate) fn check_format(disk: &dyn Disk, dir: &Path) -> Result<(), NodeError> {
    let path = dir.join("format");
    let Some(bytes) = disk.read_if_there(&path)? else {
        let journal = dir.join("journal");
        let rest = disk.exists(&journal).map_err(disk::failed("cannot look for", &journal))?;
        return Err(if rest { NodeError::Unfinished(path) } else { NodeError::NoLedger(dir.into()) });
    };
    let text = String::from_utf8_lossy(&bytes);
    if text == format!("chancery ledger {FORMAT}\n") {
        return Ok(());
    }
    let found: String = text.trim().trim_start_matches("chancery ledger ").chars().take(40).collect();
    if found.parse::<u32>().is_ok_and(|version| version != FORMAT && text == format!("chancery ledger {version}\n")) {
        return Err(NodeError::Format { path: dir.into(), expected: FORMAT, found });
    }
    Err(NodeError::NoFormat { path, expected: FORMAT, found: text.chars().take(40).collect() })
}

/// Takes the lock, which is held until what this gives is dropped.
pub(crate) fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn Send + Sync>, NodeError> {
    let path = dir.join("lock");
    disk.lock(&path).map_err(disk::failed("cannot lock", &path))?.ok_or_else(|| NodeError::Locked(dir.into()))
}
