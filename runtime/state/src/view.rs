//! The committed state on sled: a view, derived from the journal.
//!
//! One sled tree, keys prefixed by what they are:
//!
//! | key | value |
//! |---|---|
//! | `p` | [`Position`]: height, state root, entries applied |
//! | `s` ‖ contract, 32 bytes ‖ key | value |
//!
//! Trust: none. sled 0.34.7 is fast and ordered, but its `flush` issues no fsync, so that after a power cut it may have
//! lost acknowledged writes, or not open. Hence it never holds the only copy of anything; a batch carries the position
//! that it leads to, and whoever opens the view compares that position with the journal. [`View::checkpoint`] makes it
//! durable by our own fsync, which shortens the replay after a crash and is needed for nothing else.

use crate::StateError;
use crate::store::{Scan, StateKey, Store, Visited, Visitor};
use chancery_types::codec::{Decode, DecodeError, Encode, Reader};
use chancery_types::entry::{Write, WriteSet};
use chancery_types::{ContractId, Hash, Height};
use std::fs::{DirBuilder, File};
use std::ops::{Bound, ControlFlow};
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a view is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be read and kept up to date.
    Serve,
    /// To be filled with many pairs at once, and closed.
    Fill,
}

impl Purpose {
    /// sled's page cache, as sled counts: keys and values alone, so that it takes three times as much. To fill a view
    /// with 10⁶ keys takes twice as long with half of it.
    fn cache_bytes(self) -> u64 {
        match self {
            Purpose::Serve => 24 << 20,
            Purpose::Fill => 64 << 20,
        }
    }
}

/// How long a view that was just closed may hold its files, and how often that is looked at.
const LOCKED_FOR_MAX: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

const POSITION: &[u8] = b"p";
const STATE: u8 = b's';

/// How far the view has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Height of the last block applied.
    pub height: Height,
    /// The state root after it.
    pub root: Hash,
    /// Entries of the log up to and with its seal.
    pub entries: u64,
}

impl Encode for Position {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.height, self.root, self.entries).encode(out);
    }
}

impl Decode for Position {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (height, root, entries) = Decode::decode(reader)?;
        Ok(Position { height, root, entries })
    }
}

/// One or several blocks, applied as one.
pub struct ViewBatch {
    /// The changes, each key once.
    pub writes: WriteSet,
    /// Where the view stands afterwards; `None` where more follows before it stands anywhere, so that this need not be
    /// applied as one.
    pub position: Option<Position>,
}

/// Pairs of the state as they are read one by one.
pub type Pairs<'a> = Box<dyn Iterator<Item = Result<(StateKey, Vec<u8>), StateError>> + 'a>;

/// What the node needs of a view. [`View`] is the one on sled; tests of the node bring their own.
pub trait StateView: Store {
    /// How far it has come; `None` when nothing was applied.
    ///
    /// # Errors
    /// [`StateError::View`].
    fn position(&self) -> Result<Option<Position>, StateError>;

    /// Applies a batch, whole or not at all.
    ///
    /// # Errors
    /// [`StateError::View`].
    fn apply(&self, batch: &ViewBatch) -> Result<(), StateError>;

    /// Every pair of the state, in order.
    fn pairs(&self) -> Pairs<'_>;

    /// Makes what was applied durable.
    ///
    /// # Errors
    /// [`StateError::View`] or [`StateError::Io`].
    fn checkpoint(&self) -> Result<(), StateError>;
}

/// The view of one ledger, on sled.
pub struct View {
    db: sled::Db,
    path: PathBuf,
}

fn failed(error: sled::Error) -> StateError {
    if is_full(&error) { StateError::Full } else { StateError::View(error.to_string()) }
}

/// Whether the store found no room. That says nothing against what it holds.
fn is_full(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if no_room(error))
}

/// Whether the files are held: sled's own threads let go of them some time after a view was closed, and nobody else
/// opens them, for the ledger has a lock of its own. sled says it in words alone.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().starts_with("could not acquire lock"))
}

fn no_room(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

fn state_key(contract: &ContractId, key: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(33 + key.len());
    bytes.push(STATE);
    bytes.extend_from_slice(&contract.0);
    bytes.extend_from_slice(key);
    bytes
}

fn stored(bound: Bound<StateKey>) -> Bound<Vec<u8>> {
    match bound {
        Bound::Included((contract, key)) => Bound::Included(state_key(&contract, &key)),
        Bound::Excluded((contract, key)) => Bound::Excluded(state_key(&contract, &key)),
        Bound::Unbounded => Bound::Excluded(vec![STATE + 1]),
    }
}

impl View {
    /// Opens the view in a directory, or makes an empty one, into which others cannot look. A panic inside sled is an
    /// error like any other.
    ///
    /// # Errors
    /// [`StateError::Open`].
    pub fn open(path: &Path, purpose: Purpose) -> Result<View, StateError> {
        let open = || sled::Config::new().path(path).cache_capacity(purpose.cache_bytes()).flush_every_ms(None).open();
        let failure = |reason: String| StateError::Open { path: path.display().to_string(), reason };
        // sled would make one that everybody may read.
        match DirBuilder::new().recursive(true).mode(0o750).create(path) {
            Err(error) if no_room(&error) => return Err(StateError::Full),
            made => made.map_err(|error| failure(error.to_string()))?,
        }
        let began = Instant::now();
        loop {
            match catch_unwind(AssertUnwindSafe(open)).map_err(|_| failure("the store panicked".into()))? {
                Ok(db) => return Ok(View { db, path: path.into() }),
                Err(error) if is_locked(&error) && began.elapsed() < LOCKED_FOR_MAX => std::thread::sleep(LOOK_AGAIN),
                Err(error) if is_full(&error) => return Err(StateError::Full),
                Err(error) => return Err(failure(error.to_string())),
            }
        }
    }

    /// Applies a batch that need not be one: key by key, from two threads.
    fn load(&self, batch: &ViewBatch) -> Result<(), StateError> {
        let (lower, upper) = batch.writes.split_at(batch.writes.len() / 2);
        std::thread::scope(|scope| {
            let lower = scope.spawn(|| self.put(lower));
            self.put(upper)?;
            lower.join().unwrap_or_else(|_| Err(StateError::View("the store panicked".into())))
        })
    }

    fn put(&self, writes: &[Write]) -> Result<(), StateError> {
        for write in writes {
            let key = state_key(&write.contract, &write.key);
            match &write.value {
                Some(value) => self.db.insert(key, value.as_slice()).map_err(failed)?,
                None => self.db.remove(key).map_err(failed)?,
            };
        }
        Ok(())
    }
}

/// Frees the pages that so many writes have replaced. sled leaves that to its collector, which goes a step with every
/// 128th operation, and a batch counts as one: what batches left behind grew without bound, to 24 GB in a process that
/// had recorded 6 × 10⁶ calls.
fn collect(writes: usize) {
    /// Replaced pages that a step frees at least.
    const STEP: usize = 64;
    (0..writes / STEP + 4).for_each(|_| crossbeam_epoch::pin().flush());
}

impl StateView for View {
    fn position(&self) -> Result<Option<Position>, StateError> {
        let bytes = self.db.get(POSITION).map_err(failed)?;
        bytes.map(|bytes| Position::from_bytes(&bytes).map_err(|error| StateError::View(error.to_string()))).transpose()
    }

    fn apply(&self, batch: &ViewBatch) -> Result<(), StateError> {
        let Some(position) = &batch.position else { return self.load(batch) };
        let mut out = sled::Batch::default();
        for write in &batch.writes {
            let key = state_key(&write.contract, &write.key);
            match &write.value {
                Some(value) => out.insert(key, value.as_slice()),
                None => out.remove(key),
            }
        }
        out.insert(POSITION, position.to_bytes());
        self.db.apply_batch(out).map_err(failed)?;
        collect(batch.writes.len());
        Ok(())
    }

    fn pairs(&self) -> Pairs<'_> {
        Box::new(self.db.scan_prefix([STATE]).map(|pair| {
            let (key, value) = pair.map_err(failed)?;
            let (contract, rest) =
                key[1..].split_first_chunk().ok_or_else(|| StateError::View("a key is damaged".into()))?;
            Ok(((ContractId(*contract), rest.to_vec()), value.to_vec()))
        }))
    }

    // sled writes its buffers, then every file and directory below is fsynced.
    fn checkpoint(&self) -> Result<(), StateError> {
        self.db.flush().map_err(failed)?;
        sync_below(&self.path).map_err(|error| if no_room(&error) { StateError::Full } else { error.into() })
    }
}

fn sync_below(directory: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_below(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(directory)?.sync_all()
}

impl Store for View {
    fn get(&self, contract: &ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.db.get(state_key(contract, key)).map_err(failed)?.map(|value| value.to_vec()))
    }

    fn visit(&self, contract: &ContractId, range: &Scan, visitor: &mut Visitor<'_>) -> Visited {
        let Some((from, to)) = range.bounds(contract) else { return Ok(ControlFlow::Continue(())) };
        let mut pairs = self.db.range((stored(from), stored(to)));
        while let Some(pair) = if range.descending { pairs.next_back() } else { pairs.next() } {
            let (key, value) = pair.map_err(failed)?;
            if visitor(&key[33..], Some(&|| Ok(value.to_vec())))?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(height: u64) -> Position {
        Position { height: Height(height), root: Hash([1; 32]), entries: height * 2 }
    }

    #[test]
    fn a_view_reopened_holds_what_was_applied() {
        let dir = tempfile::tempdir().unwrap();
        let contract = ContractId([0xff; 32]);
        let write = |key: &[u8], value: &[u8]| Write { contract, key: key.into(), value: Some(value.into()) };
        let view = View::open(dir.path(), Purpose::Serve).unwrap();
        assert_eq!(view.position().unwrap(), None);
        let writes = vec![write(b"a", b"1"), write(b"b", b"2")];
        view.apply(&ViewBatch { writes, position: Some(position(1)) }).unwrap();
        let removal = vec![Write { contract, key: b"a".to_vec(), value: None }];
        view.apply(&ViewBatch { writes: removal, position: Some(position(2)) }).unwrap();
        view.checkpoint().unwrap();
        drop(view);

        let view = View::open(dir.path(), Purpose::Serve).unwrap();
        assert_eq!(view.position().unwrap(), Some(position(2)));
        assert_eq!(view.get(&contract, b"a").unwrap(), None);
        let all = Scan { limit: 9, descending: true, ..Scan::default() };
        assert_eq!(view.scan(&contract, &all).unwrap(), [(b"b".to_vec(), b"2".to_vec())]);
        assert_eq!(view.pairs().map(Result::unwrap).collect::<Vec<_>>(), [((contract, b"b".to_vec()), b"2".to_vec())]);
    }

    #[test]
    fn a_view_that_is_let_go_of_a_moment_later_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let held = View::open(dir.path(), Purpose::Serve).unwrap();
        let holder = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(held);
        });
        assert!(View::open(dir.path(), Purpose::Serve).is_ok());
        holder.join().unwrap();
    }

    #[test]
    fn a_damaged_view_is_an_error_and_not_a_panic() {
        let dir = tempfile::tempdir().unwrap();
        let view = View::open(dir.path(), Purpose::Serve).unwrap();
        view.apply(&ViewBatch { writes: vec![], position: Some(position(1)) }).unwrap();
        view.checkpoint().unwrap();
        drop(view);
        std::fs::write(dir.path().join("conf"), b"no configuration").unwrap();
        assert!(matches!(View::open(dir.path(), Purpose::Serve), Err(StateError::Open { .. })));
    }
}
