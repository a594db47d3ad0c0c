//! What a clean stop writes down of a long log, so that the next start need not go through all of it.
//!
//! ```text
//! DIR/summary = "CHSUM002", 8 bytes
//!             ‖ segment, u32 LE ‖ offset, u64 LE ‖ chain, 32 ‖ entries, u64 LE      the end of a block of the journal: its mark
//!             ‖ keys, u64 LE
//!             ‖ segment, u32 LE ‖ offset, u32 LE           for each entry: where its frame lies
//!             ‖ leaf hash, 32                              for each entry
//!             ‖ path, 32 ‖ value hash, 32                  for each key of the state, in order of the paths
//!             ‖ key of the fingerprints, 32 ‖ calls, u64 LE
//!             ‖ fingerprint, u32 LE ‖ index, u48 LE        for each call: the first four bytes of BLAKE3, keyed, of its request id, u128 LE,
//!                                                          and its entry; in no order
//!             ‖ BLAKE3 of all before, 32
//! ```
//!
//! It is derived, and believed as far as it is borne out: the journal has the mark's chain value at the mark's place; the seal before the mark hashes
//! to the last leaf and names the root and number of the keys; and the published checkpoint, which the log's key signed, has the root of the leaves.
//! That a request id was left out of it, by somebody who can write here and computes the last hash anew, would show when it is used again: to `log verify`
//! and every audit, which read the whole log. A summary of which one of these is not true counts for nothing, and the whole journal is read. It is used after a clean stop alone, for
//! after any other the view is in doubt, and compared with the journal key by key.

use crate::NodeError;
use crate::disk::Disk;
use crate::journal::{self, Location, Mark};
use crate::requests::Requests;
use chancery_state::Tree;
use chancery_state::tree::Change;
use chancery_tlog::merkle;
use chancery_types::codec::Decode;
use chancery_types::{Entry, Hash, Record};
use std::path::Path;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"CHSUM002";
/// Bytes of the mark.
const MARK_BYTES: usize = 4 + 8 + 32 + 8;
/// Its name in the ledger's directory.
pub(crate) const NAME: &str = "summary";
/// A summary is written when so many entries came since the last.
const ENTRIES_MIN: u64 = 4_096;

/// A log up to a mark.
pub(crate) struct Summary {
    pub(crate) mark: Mark,
    pub(crate) locations: Vec<Location>,
    pub(crate) log: merkle::Tree,
    pub(crate) state: Tree,
    pub(crate) requests: Requests,
    /// The first entry, and the seal before the mark.
    pub(crate) genesis: Entry,
    pub(crate) seal: Entry,
}

/// Whether a log of so many entries is worth a new summary, where the last one was over `summarised`. It costs a write of all of it: it must
/// spare the next starts a part of the log that counts.
pub(crate) fn is_due(entries: u64, summarised: u64) -> bool {
    entries.saturating_sub(summarised) >= ENTRIES_MIN.max(entries / 8)
}

/// Writes a summary.
pub(crate) fn write(
    disk: &dyn Disk,
    dir: &Path,
    mark: &Mark,
    locations: &[Location],
    log: &merkle::Tree,
    state: &Tree,
    requests: &Requests,
) -> Result<(), NodeError> {
    let Mark { segment, offset, chain, entries } = mark;
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&segment.to_le_bytes());
    bytes.extend_from_slice(&offset.to_le_bytes());
    bytes.extend_from_slice(&chain.0);
    bytes.extend_from_slice(&entries.to_le_bytes());
    bytes.extend_from_slice(&state.len().to_le_bytes());
    locations.iter().for_each(|location| bytes.extend_from_slice(&location.to_bytes()));
    let leaves = log.row(0, 0, *entries).unwrap_or_default();
    leaves.iter().for_each(|leaf| bytes.extend_from_slice(&leaf.0));
    state.for_each(|path, value| {
        bytes.extend_from_slice(&path.0);
        bytes.extend_from_slice(&value.0);
    });
    requests.encode(&mut bytes);
    let hash = Hash::of(&bytes);
    bytes.extend_from_slice(&hash.0);
    disk.write_file(&dir.join(NAME), &bytes, 0o640)
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

/// The summary of this journal, if there is one that is borne out.
pub(crate) fn read(disk: &Arc<dyn Disk>, dir: &Path) -> Option<Summary> {
    let bytes = disk.read(&dir.join(NAME)).ok()?;
    let (body, hash) = bytes.split_last_chunk::<32>()?;
    if Hash::of(body).0 != *hash {
        return None;
    }
    let mut fields = chancery_types::Reader::new(body);
    let mark = read_mark(&mut fields)?;
    let entries = mark.entries;
    let keys = u64::decode(&mut fields).ok()?;
    let journal = dir.join("journal");
    if !mark.is_of(&**disk, &journal) {
        return None;
    }
    let many = |count: u64, bytes: usize| usize::try_from(count).ok()?.checked_mul(bytes);
    let (places, _) = fields.take(many(entries, Location::BYTES)?).ok()?.as_chunks();
    let (leaves, _) = fields.take(many(entries, 32)?).ok()?.as_chunks::<32>();
    let (pairs, _) = fields.take(many(keys, 64)?).ok()?.as_chunks::<64>();
    let requests = Requests::decode(&mut fields)?;
    fields.finish().ok()?;
    let locations: Vec<Location> = places.iter().map(|bytes| Location::from_bytes(*bytes)).collect();
    let mut log = merkle::Tree::new();
    leaves.iter().for_each(|leaf| log.push(Hash(*leaf)));
    let mut state = Tree::new();
    state.update(pairs.iter().filter_map(change));

    let reader = journal::reader(disk.clone(), &journal, locations.clone());
    let last = entries.checked_sub(1)?;
    let genesis = Entry::from_bytes(&reader.entry(0).ok()?).ok()?;
    let sealed = reader.entry(last).ok()?;
    let seal = Entry::from_bytes(&sealed).ok()?;
    let Record::Seal { state_root, keys, .. } = &seal.record else { return None };
    let borne_out = leaves.last() == Some(&merkle::leaf_hash(&sealed).0)
        && (state.root(), state.len()) == (*state_root, *keys)
        && seal.index == last;
    borne_out.then_some(Summary { mark, locations, log, state, requests, genesis, seal })
}

fn change(pair: &[u8; 64]) -> Option<Change> {
    let (path, value) = pair.split_first_chunk::<32>()?;
    Some((Hash(*path), Some(Hash(*value.first_chunk()?))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsDisk;

    #[test]
    fn the_file_is_as_its_page_says() {
        let dir = tempfile::tempdir().unwrap();
        let mark = Mark { segment: 3, offset: 0x0405, chain: Hash([6; 32]), entries: 2 };
        let locations = [[1, 0, 0, 0, 128, 0, 0, 0], [2, 0, 0, 0, 0, 1, 0, 0]].map(Location::from_bytes);
        let mut log = merkle::Tree::new();
        [7, 8].into_iter().for_each(|byte| log.push(Hash([byte; 32])));
        let mut state = Tree::new();
        state.update([(Hash([0xf0; 32]), Some(Hash([9; 32]))), (Hash([1; 32]), Some(Hash([10; 32])))]);
        let mut requests = Vec::from([11; 32]);
        requests.extend(b"\x01\0\0\0\0\0\0\0\x0c\x0d\x0e\x0f\x01\0\0\0\0\0");
        let decoded = Requests::decode(&mut chancery_types::Reader::new(&requests)).unwrap();
        write(&OsDisk, dir.path(), &mark, &locations, &log, &state, &decoded).unwrap();

        let bytes = std::fs::read(dir.path().join(NAME)).unwrap();
        let mut expected = b"CHSUM002\x03\0\0\0\x05\x04\0\0\0\0\0\0".to_vec();
        expected.extend([6; 32]);
        expected.extend(b"\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0");
        expected.extend(b"\x01\0\0\0\x80\0\0\0\x02\0\0\0\0\x01\0\0");
        for (byte, count) in [(7, 32), (8, 32), (1, 32), (10, 32), (0xf0, 32), (9, 32)] {
            expected.extend(vec![byte; count]);
        }
        expected.extend(requests);
        expected.extend(Hash::of(&expected).0);
        assert_eq!(bytes, expected);
        // No journal bears it out.
        assert!(read(&(Arc::new(OsDisk) as Arc<dyn Disk>), dir.path()).is_none());
    }

    #[test]
    fn a_summary_is_due_when_enough_came() {
        assert!(!is_due(4_000, 0) && is_due(4_096, 0));
        assert!(!is_due(1_000_000, 990_000) && is_due(1_000_000, 875_000));
    }
}
