//! What a clean stop writes down of a long log, so that the next start need not go through all of it.
//!
//! ```text
//! DIR/summary = "CHSUM003", 8 bytes
//!             ‖ segment, u32 LE ‖ offset, u64 LE ‖ chain, 32 ‖ entries, u64 LE
//!                                                          the end of a block of the journal: its mark
//!             ‖ keys, u64 LE
//!             ‖ segment, u32 LE ‖ offset, u32 LE           for each entry: where its frame lies
//!             ‖ root of a tile, 32                         for each 256 entries
//!             ‖ leaf hash, 32                              for each entry behind them
//!             ‖ path, 32 ‖ value hash, 32                  for each key of the state, in order of the paths
//!             ‖ key of the fingerprints, 32 ‖ calls, u64 LE
//!             ‖ fingerprint, u32 LE ‖ index, u48 LE        for each call: the first four bytes of BLAKE3, keyed,
//!                                                          of its request id, u128 LE, and its entry; in no order
//!             ‖ BLAKE3 of all before, 32
//! ```
//!
//! It is derived, and believed as far as it is borne out: the journal has the mark's chain value at the mark's place;
//! the entries of its last tile have the hashes that stand here; the seal before the mark names the root and number of
//! the keys; and the published checkpoint, which the log's key signed, has the root of the tiles. That a request id was
//! left out of it, by somebody who can write here and computes the last hash anew, would show when it is used again: to
//! `log verify` and every audit, which read the whole log. A summary of which one of these is not true counts for
//! nothing, and the whole journal is read. It is used after a clean stop alone, for after any other the view is in
//! doubt, and compared with the journal key by key.

use crate::NodeError;
use crate::disk::{Disk, DiskFile};
use crate::journal::{self, Location, Locations, Mark};
use crate::requests::Requests;
use chancery_state::Tree;
use chancery_state::tree::Change;
use chancery_tlog::merkle::{self, TILE_LEVEL};
use chancery_types::codec::{Decode, Encode};
use chancery_types::{Entry, Hash, Record};
use std::io;
use std::path::Path;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"CHSUM003";
/// Bytes of the mark.
const MARK_BYTES: usize = 4 + 8 + 32 + 8;
/// Its name in the ledger's directory.
pub(crate) const NAME: &str = "summary";
/// A summary is written when so many entries came since the last. Tests have short logs and are to have summaries too.
const ENTRIES_MIN: u64 = if cfg!(any(test, feature = "sim")) { 64 } else { 4_096 };

/// A log up to a mark.
pub(crate) struct Summary {
    pub(crate) mark: Mark,
    pub(crate) locations: Locations,
    pub(crate) log: merkle::Tree,
    pub(crate) state: Tree,
    pub(crate) requests: Requests,
    /// The first entry, and the seal before the mark.
    pub(crate) genesis: Entry,
    pub(crate) seal: Entry,
}

/// Whether a log of so many entries is worth a new summary, where the last one was over `summarised`. It costs a write
/// of all of it: it must spare the next starts a part of the log that counts.
pub(crate) fn is_due(entries: u64, summarised: u64) -> bool {
    entries.saturating_sub(summarised) >= ENTRIES_MIN.max(entries / 8)
}

/// Bytes that are written or read at once: a long log's summary is larger than what memory has to spare.
const PIECE_BYTES: usize = 1 << 20;

/// A summary in the writing.
struct Sink<'a> {
    file: &'a dyn DiskFile,
    written: u64,
    piece: Vec<u8>,
    hasher: blake3::Hasher,
}

impl Sink<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() < PIECE_BYTES { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hasher.update(&self.piece);
        self.file.write_at(&self.piece, self.written)?;
        self.written += self.piece.len() as u64;
        self.piece.clear();
        Ok(())
    }

    /// Ends it with the hash of all before.
    fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        let hash = self.hasher.finalize();
        self.put(hash.as_bytes())?;
        self.flush()
    }
}

/// Writes a summary.
pub(crate) fn write(
    disk: &dyn Disk,
    dir: &Path,
    mark: &Mark,
    locations: &Locations,
    log: &merkle::Tree,
    state: &Tree,
    requests: &Requests,
) -> Result<(), NodeError> {
    disk.create_file(&dir.join(NAME), 0o640, |file| {
        let Mark { segment, offset, chain, entries } = mark;
        let mut out = Sink { file, written: 0, piece: Vec::new(), hasher: blake3::Hasher::new() };
        out.put(MAGIC)?;
        out.put(&(*segment, *offset, *chain, *entries).to_bytes())?;
        out.put(&state.len().to_bytes())?;
        locations.iter().try_for_each(|location| out.put(&location.to_bytes()))?;
        let (tiles, leaves) = log.tiles();
        tiles.iter().chain(leaves).try_for_each(|hash| out.put(&hash.0))?;
        let mut written = Ok(());
        state.for_each(|path, value| {
            if written.is_ok() {
                written = out.put(&path.0).and_then(|()| out.put(&value.0));
            }
        });
        written?;
        let (key, places) = requests.parts();
        out.put(key)?;
        out.put(&(requests.len() as u64).to_bytes())?;
        places.into_iter().try_for_each(|place| out.put(&place))?;
        out.finish()
    })
}

/// Removes the summary, so that the next start goes through the whole journal.
pub(crate) fn remove(disk: &dyn Disk, dir: &Path) {
    // There may be none. One that stays is checked like any other.
    drop(disk.remove(&dir.join(NAME)));
}

/// The mark of the summary, if there is one of this journal.
pub(crate) fn mark(disk: &dyn Disk, dir: &Path) -> Option<Mark> {
    let mut bytes = [0; MAGIC.len() + MARK_BYTES];
    disk.open(&dir.join(NAME), false).and_then(|file| file.read_at(&mut bytes, 0)).ok()?;
    read_mark(&mut chancery_types::Reader::new(&bytes)).filter(|mark| mark.is_of(disk, &dir.join("journal")))
}

fn read_mark(fields: &mut chancery_types::Reader<'_>) -> Option<Mark> {
    if fields.take(MAGIC.len()).ok()? != MAGIC {
        return None;
    }
    let segment = Decode::decode(fields).ok()?;
    let (offset, chain, entries) = Decode::decode(fields).ok()?;
    Some(Mark { segment, offset, chain, entries })
}

/// A summary in the reading.
struct Source {
    file: Arc<dyn DiskFile>,
    /// Bytes of the file that are read, and those that are left before the hash at its end.
    read: u64,
    left: u64,
    piece: Vec<u8>,
    taken: usize,
    hasher: blake3::Hasher,
}

impl Source {
    fn open(disk: &dyn Disk, path: &Path) -> Option<Source> {
        let left = disk.len(path).ok()?.checked_sub(32)?;
        let file = disk.open(path, false).ok()?;
        Some(Source { file, read: 0, left, piece: Vec::new(), taken: 0, hasher: blake3::Hasher::new() })
    }

    /// The next bytes.
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        if self.piece.len() - self.taken < N {
            self.piece.drain(..self.taken);
            self.taken = 0;
            let (kept, more) = (self.piece.len(), PIECE_BYTES.min(usize::try_from(self.left).unwrap_or(usize::MAX)));
            self.piece.resize(kept + more, 0);
            self.file.read_at(&mut self.piece[kept..], self.read).ok()?;
            self.hasher.update(&self.piece[kept..]);
            (self.read, self.left) = (self.read + more as u64, self.left - more as u64);
        }
        let bytes = *self.piece[self.taken..].first_chunk()?;
        self.taken += N;
        Some(bytes)
    }

    fn take_number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// So many things of `N` bytes each, if as many are left.
    fn take_all<const N: usize>(&mut self, count: u64) -> Option<impl Iterator<Item = [u8; N]>> {
        let left = self.left + (self.piece.len() - self.taken) as u64;
        (count.checked_mul(N as u64)? <= left).then(|| (0..count).map_while(|_| self.take()))
    }

    /// Whether all was taken and has the hash that stands behind it.
    fn ends(self) -> bool {
        let mut hash = [0; 32];
        self.left == 0
            && self.piece.len() == self.taken
            && self.file.read_at(&mut hash, self.read).is_ok()
            && self.hasher.finalize() == blake3::Hash::from_bytes(hash)
    }
}

/// The summary of this journal, if there is one that is borne out.
pub(crate) fn read(disk: &Arc<dyn Disk>, dir: &Path) -> Option<Summary> {
    let mut source = Source::open(&**disk, &dir.join(NAME))?;
    let head = source.take::<{ MAGIC.len() + MARK_BYTES }>()?;
    let mark = read_mark(&mut chancery_types::Reader::new(&head))?;
    let (entries, keys, journal) = (mark.entries, source.take_number()?, dir.join("journal"));
    if !mark.is_of(&**disk, &journal) {
        return None;
    }
    let locations: Locations = source.take_all(entries)?.map(Location::from_bytes).collect();
    let tiles: Vec<Hash> = source.take_all(entries >> TILE_LEVEL)?.map(Hash).collect();
    let leaves: Vec<Hash> = source.take_all(entries % (1 << TILE_LEVEL))?.map(Hash).collect();
    let log = merkle::Tree::of_tiles(&tiles, &leaves);
    let mut state = Tree::new();
    state.update(source.take_all(keys)?.map(change));
    let (key, calls) = (source.take()?, source.take_number()?);
    let requests = Requests::of_parts(key, source.take_all(calls)?);
    if !source.ends() {
        return None;
    }
    let reader = journal::reader(disk.clone(), &journal, locations);
    let genesis = Entry::from_bytes(&reader.entry(0).ok()?).ok()?;
    let last = entries.checked_sub(1)?;
    let last_tile = reader.entries(last >> TILE_LEVEL << TILE_LEVEL..entries).ok()?;
    let seal = Entry::from_bytes(last_tile.last()?).ok()?;
    let Record::Seal { state_root, keys, .. } = &seal.record else { return None };
    let found: Vec<Hash> = last_tile.iter().map(|entry| merkle::leaf_hash(entry)).collect();
    let hashes = if leaves.is_empty() {
        tiles.last() == merkle::Tree::of_tiles(&[], &found).tiles().0.last()
    } else {
        found == leaves
    };
    let locations = reader.take_locations();
    let borne_out = hashes && (state.root(), state.len()) == (*state_root, *keys) && seal.index == last;
    borne_out.then_some(Summary { mark, locations, log, state, requests, genesis, seal })
}

fn change(pair: [u8; 64]) -> Change {
    let (path, value) = pair.split_at(32);
    (Hash(path.try_into().unwrap_or_default()), Some(Hash(value.try_into().unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsDisk;

    #[test]
    fn the_file_is_as_its_page_says() {
        let dir = tempfile::tempdir().unwrap();
        let mark = Mark { segment: 3, offset: 0x0405, chain: Hash([6; 32]), entries: 2 };
        let locations =
            [[1, 0, 0, 0, 128, 0, 0, 0], [2, 0, 0, 0, 0, 1, 0, 0]].map(Location::from_bytes).into_iter().collect();
        let mut log = merkle::Tree::new();
        [7, 8].into_iter().for_each(|byte| log.push(Hash([byte; 32])));
        let mut state = Tree::new();
        state.update([(Hash([0xf0; 32]), Some(Hash([9; 32]))), (Hash([1; 32]), Some(Hash([10; 32])))]);
        let requests = Requests::of_parts([11; 32], std::iter::once(*b"\x0c\x0d\x0e\x0f\x01\0\0\0\0\0"));
        write(&OsDisk, dir.path(), &mark, &locations, &log, &state, &requests).unwrap();

        let bytes = std::fs::read(dir.path().join(NAME)).unwrap();
        let mut expected = b"CHSUM003\x03\0\0\0\x05\x04\0\0\0\0\0\0".to_vec();
        expected.extend([6; 32]);
        expected.extend(b"\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0");
        expected.extend(b"\x01\0\0\0\x80\0\0\0\x02\0\0\0\0\x01\0\0");
        for (byte, count) in [(7, 32), (8, 32), (1, 32), (10, 32), (0xf0, 32), (9, 32)] {
            expected.extend(vec![byte; count]);
        }
        expected.extend([11; 32]);
        expected.extend(b"\x01\0\0\0\0\0\0\0\x0c\x0d\x0e\x0f\x01\0\0\0\0\0");
        expected.extend(Hash::of(&expected).0);
        assert_eq!(bytes, expected);
        // No journal bears it out.
        assert!(read(&(Arc::new(OsDisk) as Arc<dyn Disk>), dir.path()).is_none());
    }

    #[test]
    fn a_summary_is_due_when_enough_came() {
        assert!(!is_due(ENTRIES_MIN - 1, 0) && is_due(ENTRIES_MIN, 0));
        assert!(!is_due(1_000_000, 990_000) && is_due(1_000_000, 875_000));
    }
}
