//! Publication: tiles, entry bundles and the signed checkpoint, so that a plain web server makes the log public.
//!
//! ```text
//! DIR/public/checkpoint               the signed checkpoint (C2SP tlog-checkpoint v1.0.0), with its cosignatures
//! DIR/public/tile/<L>/<N>[.p/<W>]     hashes (C2SP tlog-tiles v0.1.0)
//! DIR/public/tile/entries/<N>[.p/<W>] entries
//! ```
//!
//! `DIR/public` holds nothing else and is a complete public log. All of it is derived from the journal.
//!
//! # Order
//!
//! A publication goes from the published size to that of the last committed block, which the journal holds durably:
//!
//! 1. all new tiles and bundles are written under temporary names, made durable, renamed, and their directories made
//!    durable: in one pass, however many they are. A crash before the end leaves files that no checkpoint covers, or
//!    temporary ones that nobody reads;
//! 2. the checkpoint is signed and replaces the old one, durably: **the log is public up to here**. A crash before it
//!    leaves the old checkpoint;
//! 3. partial tiles whose full tile is there now are removed. A crash before it leaves a few files too many.
//!
//! Partial tiles of every published size stay until their full tile is there, as tlog-tiles demands.
//!
//! While blocks keep coming the log is published once a second; whoever waits for it has it published at once, with all
//! that is committed then; and it is published at close. When the disk is full, it is tried again; any other error
//! stops the ledger.
//!
//! On opening, what the published checkpoint covers is looked over: every file must be there with the length that it
//! must have, and those at the right edge must have the right content. What is not is written again. What is damaged
//! further left is found by `log verify` on an export.

use crate::NodeError;
use crate::content::Content;
use crate::disk::{self, Disk};
use crate::failpoint;
use crate::health::Health;
use crate::witness::{WitnessClient, WitnessError};
use chancery_tlog::tile::{self, bundles_for, tiles_for};
use chancery_tlog::{Bundle, Tile};
use ed25519_dalek::SigningKey;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the log is published while blocks keep coming and nobody waits for it.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// How often a publication is tried again when the disk is full.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Bytes of tiles and bundles that are written in one pass.
const PASS_BYTES_MAX: usize = 32 << 20;

/// How much must have happened before a call is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Level {
    /// It is in the journal, durably.
    #[default]
    Logged,
    /// A signed checkpoint that covers it is public, with all its tiles.
    Published,
    /// That checkpoint has the cosignatures that the policy asks for.
    Witnessed,
}

/// A public log's directory.
#[derive(Clone)]
pub(crate) struct PublicLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Held while the checkpoint is replaced.
    replacing: Arc<Mutex<()>>,
}

impl PublicLog {
    /// The public log of a data directory.
    pub(crate) fn of(disk: Arc<dyn Disk>, data: &Path) -> Self {
        PublicLog::at(disk, &data.join("public"))
    }

    /// Where the checkpoint of a data directory lies.
    pub(crate) fn path(data: &Path) -> PathBuf {
        data.join("public/checkpoint")
    }

    /// A public log in this directory.
    pub(crate) fn at(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        PublicLog { disk, dir: dir.into(), replacing: Arc::default() }
    }

    /// Where its checkpoint lies.
    pub(crate) fn checkpoint_path(&self) -> PathBuf {
        self.dir.join("checkpoint")
    }

    /// Its checkpoint, if there is one.
    pub(crate) fn checkpoint(&self) -> Result<Option<String>, NodeError> {
        let path = self.checkpoint_path();
        let note = self.disk.read_if_there(&path)?.map(String::from_utf8).transpose();
        note.map_err(|_| NodeError::Checkpoint(format!("{} is not UTF-8", path.display())))
    }

    /// Replaces the checkpoint, durably.
    pub(crate) fn put_checkpoint(&self, note: &str) -> Result<(), NodeError> {
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        self.disk.make_dirs(&self.dir, disk::PUBLIC)?;
        self.disk.write_file(&self.checkpoint_path(), note.as_bytes(), 0o644)
    }

    /// Replaces the checkpoint, durably, where it is still `old`. Says whether it was.
    pub(crate) fn replace_checkpoint(&self, old: &str, new: &str) -> Result<bool, NodeError> {
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.checkpoint()?.as_deref() == Some(old);
        if current {
            self.disk.write_file(&self.checkpoint_path(), new.as_bytes(), 0o644)?;
        }
        Ok(current)
    }

    /// Writes what size `new` has and size `old` has not, durably.
    pub(crate) fn extend(&self, content: &Content, old: u64, new: u64) -> Result<(), NodeError> {
        self.write(content, tiles_for(old, new), bundles_for(old, new))
    }

    /// Removes the partial tiles of size `old` and before whose full tiles size `new` has.
    pub(crate) fn tidy(&self, old: u64, new: u64) {
        let full = tiles_for(old, new).filter(|tile| u64::from(tile.width) == tile::WIDTH);
        let bundle = |tile: &Tile| Bundle { index: tile.index, width: tile.width };
        for tile in full {
            // Only the tile at the edge was partial before.
            if tile.index == (old >> (8 * u32::from(tile.level))) / tile::WIDTH {
                let entries = (tile.level == 0).then(|| bundle(&tile).path());
                for path in entries.into_iter().chain([tile.path()]) {
                    // What stays is harmless.
                    let dir = self.dir.join(format!("{path}.p"));
                    let names = self.disk.list(&dir).unwrap_or_default();
                    names.iter().for_each(|name| drop(self.disk.remove(&dir.join(name))));
                    drop(self.disk.remove_dir(&dir));
                }
            }
        }
    }

    /// Writes again what of size `size` is missing, has a wrong length, or is wrong at the right edge. Says how many
    /// files that were.
    pub(crate) fn repair(&self, content: &Content, size: u64) -> Result<u64, NodeError> {
        let edge = |level: u8, index: u64| index + 1 >= (size >> (8 * u32::from(level))).div_ceil(tile::WIDTH);
        let mut tiles = Vec::new();
        for tile in tiles_for(0, size) {
            let path = self.dir.join(tile.path());
            let length = self.disk.len(&path).ok();
            let sound = length == Some(u64::from(tile.width) * 32)
                && (!edge(tile.level, tile.index) || self.disk.read_file(&path)? == content.tile(&tile)?);
            if !sound {
                tiles.push(tile);
            }
        }
        let mut bundles = Vec::new();
        for bundle in bundles_for(0, size) {
            let path = self.dir.join(bundle.path());
            let sound = self.disk.exists(&path).map_err(disk::failed("cannot look for", &path))?
                && (!edge(0, bundle.index) || self.disk.read_file(&path)? == content.bundle(&bundle)?);
            if !sound {
                bundles.push(bundle);
            }
        }
        let count = (tiles.len() + bundles.len()) as u64;
        self.write(content, tiles.into_iter(), bundles.into_iter())?;
        Ok(count)
    }

    fn write(
        &self,
        content: &Content,
        tiles: impl Iterator<Item = Tile>,
        bundles: impl Iterator<Item = Bundle>,
    ) -> Result<(), NodeError> {
        let tiles = tiles.map(|tile| Ok::<_, NodeError>((tile.path(), content.tile(&tile)?)));
        let bundles = bundles.map(|bundle| Ok((bundle.path(), content.bundle(&bundle)?)));
        let (mut files, mut bytes) = (Vec::new(), 0);
        for file in tiles.chain(bundles) {
            let (path, content) = file?;
            bytes += content.len();
            files.push((self.dir.join(path), content));
            if bytes >= PASS_BYTES_MAX {
                self.disk.write_files(&self.dir, &std::mem::take(&mut files), 0o644)?;
                bytes = 0;
            }
        }
        self.disk.write_files(&self.dir, &files, 0o644)
    }
}

/// What recorder, publisher, cosigner and those who wait tell each other.
#[derive(Default)]
pub(crate) struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Entries that the journal holds durably.
    committed: u64,
    /// Entries that somebody waits to see published.
    wanted: u64,
    /// Entries that somebody waits to see witnessed.
    witness_wanted: u64,
    /// Entries that the published checkpoint covers, and its note.
    published: u64,
    note: String,
    /// Entries that a checkpoint with enough cosignatures covers, and its note.
    witnessed: u64,
    witnessed_note: String,
    /// How often cosignatures were asked for, and what kept the last try, over so many entries, from a quorum.
    tries: u64,
    refused: Option<(u64, u64, String)>,
    /// Whether there are witnesses to ask.
    has_witnesses: bool,
    /// How often publishing failed for want of room.
    full: u64,
    /// Nothing more is committed.
    closing: bool,
    /// All that is committed is published, and nothing more will be.
    all_published: bool,
    /// Nothing more is published, and why.
    ended: Option<String>,
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// So many entries are committed now.
    pub(crate) fn committed(&self, size: u64) {
        let mut state = self.state();
        // Else the publisher sleeps until it is time: it need not be woken for every block.
        let awaited = state.committed <= state.published || state.wanted > state.published;
        state.committed = state.committed.max(size);
        drop(state);
        if awaited {
            self.changed.notify_all();
        }
    }

    /// Nothing more will be committed.
    pub(crate) fn close(&self) {
        self.change(|state| state.closing = true);
    }

    /// Nothing more will be published, for this reason.
    pub(crate) fn end(&self, reason: &str) {
        self.change(|state| {
            state.ended.get_or_insert_with(|| reason.into());
        });
    }

    /// Waits until so many entries have reached the level, and gives the size that its checkpoint covers, and the note.
    pub(crate) fn wait(&self, level: Level, size: u64) -> Result<(u64, String), NodeError> {
        let mut state = self.state();
        state.wanted = state.wanted.max(size);
        let (tries, full) = (state.tries, state.full);
        if level == Level::Witnessed {
            if !state.has_witnesses {
                return Err(NodeError::NotWitnessed(NO_WITNESSES.into()));
            }
            state.witness_wanted = state.witness_wanted.max(size);
        }
        self.changed.notify_all();
        loop {
            let (reached, note) = match level {
                Level::Logged => (state.committed, String::new()),
                Level::Published => (state.published, state.note.clone()),
                Level::Witnessed => (state.witnessed, state.witnessed_note.clone()),
            };
            if reached >= size {
                return Ok((reached, note));
            }
            // A try that began before this wait says nothing about it.
            if let Some((_, _, reason)) =
                state.refused.as_ref().filter(|(number, tried, _)| *number > tries && *tried >= size)
                && level == Level::Witnessed
            {
                return Err(NodeError::NotWitnessed(reason.clone()));
            }
            if state.full > full && level > Level::Logged {
                return Err(NodeError::NotPublished("the disk is full".into()));
            }
            if let Some(reason) = &state.ended {
                return Err(NodeError::NotPublished(reason.clone()));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether there are witnesses to ask.
    pub(crate) fn has_witnesses(&self) -> bool {
        self.state().has_witnesses
    }

    /// The published checkpoint's note, and the entries that it covers.
    pub(crate) fn published(&self) -> (u64, String) {
        let state = self.state();
        (state.published, state.note.clone())
    }
}

/// What publishes, on a thread of its own.
pub(crate) struct Publisher {
    pub(crate) public: PublicLog,
    pub(crate) content: Content,
    pub(crate) origin: String,
    pub(crate) key: SigningKey,
    pub(crate) board: Arc<Board>,
    pub(crate) witnesses: Option<Arc<WitnessClient>>,
    pub(crate) health: Arc<Health>,
}

impl Publisher {
    /// What collects cosignatures, where there are witnesses.
    pub(crate) fn cosigner(&self) -> Option<Cosigner> {
        let client = self.witnesses.clone()?;
        let Publisher { public, content, board, health, .. } = self;
        let (public, content, board, health) = (public.clone(), content.clone(), board.clone(), health.clone());
        Some(Cosigner { public, content, board, client, health })
    }

    /// Brings the public log to the head of a ledger that is being opened. `published` is the size that its checkpoint
    /// covers.
    pub(crate) fn open(&self, published: u64, head: u64) -> Result<(), NodeError> {
        let note = self.public.checkpoint()?.unwrap_or_default();
        self.board.change(|state| {
            (state.committed, state.published, state.note) = (head, published, note);
            state.has_witnesses = self.witnesses.is_some();
        });
        self.health.metrics.published(published);
        let repair = || self.public.repair(&self.content, published).map(drop);
        let publish = || if published < head { self.publish(published, head) } else { Ok(()) };
        match repair().and_then(|()| publish()) {
            // The ledger serves all the same; publishing is tried again.
            Err(NodeError::DiskFull) => Ok(()),
            done => done,
        }
    }

    /// Publishes what is committed, now.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn step(&self) -> Result<(), NodeError> {
        let (old, new) = {
            let state = self.board.state();
            (state.published, state.committed)
        };
        if old < new { self.publish(old, new) } else { Ok(()) }
    }

    /// Publishes until nothing more is committed and all is public.
    pub(crate) fn run(self) {
        let mut published_at = Instant::now();
        while let Some((old, new)) = self.next(published_at) {
            match self.publish(old, new) {
                Ok(()) => {}
                Err(NodeError::DiskFull) if !self.board.state().closing => {
                    self.board.change(|state| state.full += 1);
                    std::thread::sleep(RETRY_EVERY);
                }
                Err(error) => {
                    let reason = error.to_string();
                    // Without room the journal is whole and the next opening publishes.
                    if !matches!(error, NodeError::DiskFull) {
                        self.health.stop(&error);
                    }
                    return self.board.end(&reason);
                }
            }
            published_at = Instant::now();
        }
        self.board.change(|state| state.all_published = true);
        if self.witnesses.is_none() {
            self.board.end(CLOSED);
        }
    }

    /// Waits until there is something to publish and it is time to; `None` when all is published and nothing more will
    /// come.
    fn next(&self, published_at: Instant) -> Option<(u64, u64)> {
        let mut state = self.board.state();
        loop {
            let waiting = state.committed > state.published;
            let rest = PUBLISH_EVERY.saturating_sub(published_at.elapsed());
            if waiting && (state.wanted > state.published || state.closing || rest.is_zero()) {
                return Some((state.published, state.committed));
            }
            if state.closing {
                return None;
            }
            let changed = &self.board.changed;
            state = if waiting {
                changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0
            } else {
                changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    fn publish(&self, old: u64, new: u64) -> Result<(), NodeError> {
        if old == new {
            return Ok(());
        }
        failpoint::pass("publish");
        let start = Instant::now();
        self.public.extend(&self.content, old, new)?;
        let note = self.content.checkpoint(&self.origin, new)?.sign(&self.key);
        self.public.put_checkpoint(&note)?;
        self.public.tidy(old, new);
        self.board.change(|state| (state.published, state.note) = (new, note));
        self.health.metrics.published(new);
        self.health.metrics.publish.since(start);
        Ok(())
    }
}

/// Why nothing more is published or cosigned.
const CLOSED: &str = "the ledger is closed";
/// Why nothing is witnessed where there is nobody to ask.
const NO_WITNESSES: &str =
    "its policy names no witness that could be asked: install one that does with `chancery log policy FILE`";
/// How long witnesses are left alone after a try that failed, unless somebody waits.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// What collects cosignatures behind the publication, on a thread of its own: a slow witness holds up nobody who does
/// not wait for it.
///
/// A published checkpoint is sent to all witnesses of the policy; what comes back is merged into the checkpoint, unless
/// a newer one is published by then. A witness that is ahead of this log, or has seen another tree, stops the ledger:
/// nothing more is signed.
pub(crate) struct Cosigner {
    pub(crate) public: PublicLog,
    pub(crate) content: Content,
    pub(crate) board: Arc<Board>,
    pub(crate) client: Arc<WitnessClient>,
    pub(crate) health: Arc<Health>,
}

impl Cosigner {
    /// Collects cosignatures until all is published, then once more for the last checkpoint.
    pub(crate) fn run(self) {
        let mut asked_at: Option<Instant> = None;
        while let Some((size, note)) = self.next(asked_at) {
            let consistency = |old: u64| self.content.prove_consistency(old, size).ok();
            self.board.change(|state| state.tries += 1);
            let answer = self.health.metrics.witness.pass(|| self.client.cosign(&note, &consistency));
            let (note, faults, refused) = match answer {
                Ok(cosigned) => (Some(cosigned.note), cosigned.faults, None),
                Err(WitnessError::NoQuorum { note, faults, reason }) => {
                    let text =
                        WitnessError::NoQuorum { note: String::new(), faults: faults.clone(), reason }.to_string();
                    (Some(note), faults, Some(text))
                }
                Err(error) => (None, Vec::new(), Some(error.to_string())),
            };
            if let Some(alarm) = faults.iter().find(|fault| fault.fault.is_alarm()) {
                return self.stop(&NodeError::Witness(alarm.to_string()));
            }
            if let Err(error) = self.take(size, note, refused.clone()) {
                return self.stop(&error);
            }
            asked_at = refused.map(|_| Instant::now());
            let state = self.board.state();
            if state.all_published && state.published == size {
                break;
            }
        }
        self.board.end(CLOSED);
    }

    fn stop(&self, error: &NodeError) {
        self.health.stop(error);
        self.board.end(&error.to_string());
    }

    /// Keeps what came back, in the published checkpoint where that is still the one that was sent.
    fn take(&self, size: u64, note: Option<String>, refused: Option<String>) -> Result<(), NodeError> {
        let sent = {
            let state = self.board.state();
            (state.published == size).then(|| state.note.clone())
        };
        // Not held while writing: the recorder tells this board of every block.
        let merged = match (&note, &sent) {
            (Some(note), Some(sent)) if note != sent => self.public.replace_checkpoint(sent, note)?,
            _ => false,
        };
        let mut state = self.board.state();
        if let Some(note) = note {
            // The publisher replaces the file before it says so: a newer checkpoint may be there already, and stays.
            if merged && sent.as_ref() == Some(&state.note) {
                state.note.clone_from(&note);
            }
            if refused.is_none() {
                (state.witnessed, state.witnessed_note) = (size, note);
                self.health.metrics.witnessed(size);
            }
        }
        if refused.is_some() && state.witness_wanted <= size {
            // Who waited is told; the next try is for the next who waits, or a while later.
            state.witness_wanted = 0;
        }
        let number = state.tries;
        state.refused = refused.map(|reason| (number, size, reason));
        drop(state);
        self.board.changed.notify_all();
        Ok(())
    }

    /// Waits until there is a checkpoint to be cosigned and it is time to; `None` when there is nothing more.
    fn next(&self, asked_at: Option<Instant>) -> Option<(u64, String)> {
        let mut state = self.board.state();
        loop {
            let waiting = state.published > state.witnessed;
            let rest = asked_at.map_or(Duration::ZERO, |at| ASK_AGAIN.saturating_sub(at.elapsed()));
            let wanted = state.witness_wanted > state.witnessed && state.published >= state.witness_wanted;
            if waiting && (rest.is_zero() || wanted || state.all_published) {
                return Some((state.published, state.note.clone()));
            }
            if state.all_published || state.ended.is_some() {
                return None;
            }
            let changed = &self.board.changed;
            state = if waiting {
                changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0
            } else {
                changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }
}
