//! The journal: the log as it lies on disk, the only durable truth.
//!
//! # Layout
//!
//! `journal/00000000.seg`, `00000001.seg`, …, without a gap, and `journal/closed`.
//!
//! ```text
//! segment = header ‖ frame* ‖ rest
//! header  = "CHJSEG03", 8 bytes ‖ ledger id, 32 ‖ segment number, u32 LE ‖ tag, 4 ‖ length of the segment, u64 LE
//!           ‖ first index, u64 LE ‖ chain before, 32 ‖ BLAKE3 of the 96 bytes before            = 128 bytes
//! frame   = tag, 4 bytes ‖ kind, u8 ‖ payload length, u32 LE ‖ entry index, u64 LE ‖ block, u64 LE
//!           ‖ payload ‖ chain, 32
//! tag     = drawn by lot when the journal is made; the same in all its segments
//! block   = the index of the first entry of the frame's block
//! chain   = BLAKE3-derive-key("chancery 2026 journal frame v2",
//!                             chain before ‖ "CHF2" ‖ the 21 bytes of the head behind the tag ‖ payload)
//! kind    = 1 entry: payload is the entry, the leaf of the log
//!           2 effects: payload is the writes and the trace of the entry before it, whose digests the entry holds
//! closed  = "chancery journal closed 1", then lines "ledger HEX", "entries N", "chain HEX",
//!           and BLAKE3 of all before, HEX; each ends in LF
//! ```
//!
//! A journal of version 2 has "CHJSEG02" and the segment number as a u64, and the tag "CHF2". It is read, and continued as
//! it is.
//!
//! A block is the frames of its calls and then the frame of its seal, written at once (`append_at` of `disk`
//! says how) and made durable by one `fdatasync`: **the commit point**. A block never spans two segments. The chain
//! before the first frame is zero.
//!
//! A segment is [`SEGMENT_BYTES`] long from the start and comes into being whole: its header, and the block that is
//! rewritten into it if any, are fsynced before it has its name. So a header that does not verify is never an
//! interrupted write.
//!
//! **Where a segment ends.** What counts of a segment ends where the next one begins: at the *first index* and *chain
//! before* of the next header, which must be the end of a block. For a full segment that is behind its last frame. A
//! segment may also be *closed early*: the next begins at an earlier block's first entry, and what stands behind it
//! here is superseded, whatever it is. A segment all of whose entries are superseded counts for nothing. The last
//! segment ends behind its last seal.
//!
//! # After an unclean stop
//!
//! An `fdatasync` that failed may have left pages that read well and are on no disk, and a program that starts anew
//! cannot know. All blocks but the last were followed by a successful `fdatasync` of a later state of the same file; so
//! the last block, and only it, is in doubt. It is rewritten into a fresh segment, which closes the old one early, and
//! fsynced before anything is acknowledged or signed. A clean stop writes `closed`, which says: up to this entry and
//! chain value `fdatasync` succeeded. That stays true for ever, so an old one does no harm; where it covers the end of
//! the journal, nothing is rewritten.
//!
//! # Fault model
//!
//! An interrupted write leaves any part of its block, in sectors of 512 bytes: later frames of it may be whole while
//! earlier ones are missing. It was never acknowledged and is superseded. So is a whole frame behind the last seal. A
//! block is written only after the one before is durable; hence a damaged frame with a valid one of a *later block*
//! behind it is rot or tampering, and so is a segment that does not reach the next one's beginning, and a journal that
//! ends before what `closed` or the published checkpoint cover. Then the journal is not opened. A frame is valid where
//! its chain value follows from the 32 bytes before it, so that frames behind a damaged one are still recognised. They
//! begin with the tag, which nobody knows who cannot read the disk: else a caller could put frames into the arguments of
//! a call, and a write of it that was interrupted would look like rot. What is overwritten so that all later frames verify again takes all of their chain values to be rewritten, and then
//! contradicts the checkpoint.
//!
//! What cannot be told from an interrupted write is rot in the very last block before a checkpoint covers it, that is
//! within about a second of a crash: then it is cut off.
//!
//! The first error of `fdatasync` stops the ledger: a second try could report success for data that is not there. Where
//! the *write* before it finds no room, the segment is cut behind the last seal, durably, and the next block begins a
//! new one.

mod frame;
mod locations;
mod reader;
mod scan;

pub(crate) use frame::Frame;
pub use frame::{Block, FrameKind, FrameTag};
pub(crate) use locations::Locations;
pub(crate) use reader::{Reader, reader};
pub(crate) use scan::{End, Frames, closed_entries, segments};

use crate::disk::{self, Disk, DiskFile};
use crate::metrics::JournalStages;
use crate::{NodeError, failpoint};
use chancery_types::{Hash, LedgerId};
use frame::{chain_before, chain_behind};
use scan::{Closed, Header};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

/// Length of a segment.
pub const SEGMENT_BYTES: u64 = 64 << 20;
const SEGMENT_MAGIC: &[u8; 8] = b"CHJSEG03";
/// Of version 2.
const SEGMENT_MAGIC_2: &[u8; 8] = b"CHJSEG02";
const HEADER_BYTES: usize = 128;
/// Where the header has the chain value before the segment's first frame.
const HEADER_CHAIN: std::ops::Range<usize> = 64..96;
const HEAD_BYTES: usize = 25;
const CHAIN_BYTES: usize = 32;
/// Longest block: what a segment holds.
pub(crate) const BLOCK_BYTES_MAX: usize = SEGMENT_BYTES as usize - HEADER_BYTES;
const CLOSED: &str = "closed";

/// Where an entry's frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    segment: u32,
    offset: u32,
}

impl Location {
    /// Bytes of its encoding.
    pub(crate) const BYTES: usize = 8;

    /// Segment and offset, each `u32` LE.
    pub(crate) fn to_bytes(self) -> [u8; Location::BYTES] {
        ((u64::from(self.offset) << 32) | u64::from(self.segment)).to_le_bytes()
    }

    /// Reads what [`Location::to_bytes`] writes.
    pub(crate) fn from_bytes(bytes: [u8; Location::BYTES]) -> Location {
        let [a, b, c, d, e, f, g, h] = bytes;
        Location { segment: u32::from_le_bytes([a, b, c, d]), offset: u32::from_le_bytes([e, f, g, h]) }
    }
}

/// The end of a block: up to here a journal is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The segment, and the place in it behind the block.
    pub(crate) segment: u32,
    /// See [`Mark::segment`].
    pub(crate) offset: u64,
    /// The chain value behind the block.
    pub(crate) chain: Hash,
    /// Entries up to and with the block's seal.
    pub(crate) entries: u64,
}

impl Mark {
    /// Whether the journal has this chain value at this place.
    pub(crate) fn is_of(&self, disk: &dyn Disk, dir: &Path) -> bool {
        let file = disk.open(&segment_path(dir, self.segment), false);
        file.and_then(|file| chain_before(&*file, self.offset)).is_ok_and(|chain| chain == self.chain)
    }
}

fn segment_path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(format!("{segment:08}.seg"))
}

/// The journal as it is written.
pub struct Journal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    ledger: LedgerId,
    /// Length of the segments to come.
    segment_len: u64,
    /// The last segment, and how long it is; `None` when a new one must be begun.
    open: Option<(Arc<dyn DiskFile>, u64)>,
    segment: u32,
    tag: FrameTag,
    offset: u64,
    chain: Hash,
    reader: Arc<Reader>,
    /// What appending takes.
    pub(crate) stages: JournalStages,
}

impl Journal {
    /// Makes an empty journal.
    ///
    /// # Errors
    /// [`NodeError::DiskFull`] or [`NodeError::Io`]; when the system gives no randomness.
    pub fn create(disk: Arc<dyn Disk>, dir: &Path, ledger: LedgerId, segment_len: u64) -> Result<Journal, NodeError> {
        disk.make_dirs(dir, disk::PRIVATE)?;
        let tag = FrameTag::drawn()?;
        let header = Header { ledger, segment: 0, tag, len: segment_len, first: 0, chain: Hash::default() };
        let file = create_segment(&*disk, dir, header, &[])?;
        Ok(Journal {
            reader: reader(disk.clone(), dir, Locations::default()),
            disk,
            dir: dir.into(),
            ledger,
            segment_len,
            open: Some((file, segment_len)),
            segment: 0,
            tag,
            offset: HEADER_BYTES as u64,
            chain: Hash::default(),
            stages: JournalStages::default(),
        })
    }

    /// Opens a journal at its end, which [`Frames::end`] found. After an unclean stop its last block is rewritten into a fresh
    /// segment: when this returns, all of the journal is durable.
    ///
    /// # Errors
    /// [`NodeError::DiskFull`] or [`NodeError::Io`]; the journal is as it was then.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        end: &End,
        mut locations: Locations,
        segment_len: u64,
    ) -> Result<Journal, NodeError> {
        locations.truncate(end.entries);
        let mut journal = Journal {
            reader: reader(disk.clone(), dir, locations),
            disk,
            dir: dir.into(),
            ledger: end.ledger,
            segment_len,
            open: None,
            segment: end.segment,
            tag: end.tag,
            offset: end.offset,
            chain: end.chain,
            stages: JournalStages::default(),
        };
        journal.disk.remove_temporary(dir)?;
        if !end.is_clean() {
            journal.rewrite(end)?;
        } else {
            let path = segment_path(dir, end.segment);
            let file = journal.disk.open_appended(&path).map_err(disk::failed("cannot open", &path))?;
            let bytes = read_header(&*file).map_err(disk::failed("cannot read", &path))?;
            journal.open = bytes.filter(|_| !end.cut).map(|header| (file, header.len));
        }
        Ok(journal)
    }

    /// Puts the last block into a fresh segment of its own.
    fn rewrite(&mut self, end: &End) -> Result<(), NodeError> {
        let Some(last) = end.last else { return Ok(()) };
        let path = segment_path(&self.dir, last.segment);
        let old = self.disk.open(&path, true).map_err(disk::failed("cannot open", &path))?;
        let mut block = vec![0; usize::try_from(last.end - last.offset).unwrap_or_default()];
        old.read_at(&mut block, last.offset).map_err(disk::failed("cannot read", &path))?;
        if chain_behind(&block, last.chain_before) != Some(end.chain) {
            return Err(NodeError::Damaged { file: path, offset: last.offset, index: last.first });
        }
        let least = (HEADER_BYTES + block.len()) as u64;
        match self.begin(last.first, last.chain_before, &block, self.segment_len.max(least)) {
            // No room for a whole segment: one that just holds the block makes it durable.
            Err(NodeError::DiskFull) => self.begin(last.first, last.chain_before, &block, least)?,
            begun => begun?,
        }
        let mut locations = self.reader.locations.write().unwrap_or_else(PoisonError::into_inner);
        let moved = (last.first..locations.len()).filter_map(|index| locations.get(index)).map(|location| {
            // The block lay behind `last.offset` and begins behind the header now.
            let within = u64::from(location.offset) - last.offset;
            let offset = u32::try_from(within + HEADER_BYTES as u64).unwrap_or(u32::MAX);
            Location { segment: self.segment, offset }
        });
        let moved: Vec<Location> = moved.collect();
        locations.truncate(last.first);
        locations.extend(moved);
        // What is behind the block counts no more; the room is given back.
        old.set_len(last.end).map_err(disk::failed("cannot cut", &path))
    }

    /// Begins a segment that holds `block`, durably.
    fn begin(&mut self, first: u64, chain: Hash, block: &[u8], len: u64) -> Result<(), NodeError> {
        failpoint::pass("segment-create");
        let segment = self.segment + 1;
        let header = Header { ledger: self.ledger, segment, tag: self.tag, len, first, chain };
        let file = create_segment(&*self.disk, &self.dir, header, block)?;
        (self.segment, self.open) = (segment, Some((file, len)));
        self.offset = (HEADER_BYTES + block.len()) as u64;
        Ok(())
    }

    /// Where the journal ends.
    pub(crate) fn mark(&self) -> Mark {
        Mark { segment: self.segment, offset: self.offset, chain: self.chain, entries: self.reader.size() }
    }

    /// The chain value behind the last block.
    pub fn chain(&self) -> Hash {
        self.chain
    }

    /// What each of its frames begins with.
    pub fn tag(&self) -> FrameTag {
        self.tag
    }

    /// The longest block that a segment holds.
    pub(crate) fn block_bytes_max(&self) -> usize {
        usize::try_from(self.segment_len).unwrap_or(usize::MAX).saturating_sub(HEADER_BYTES)
    }

    /// Reads entries back.
    pub(crate) fn reader(&self) -> Arc<Reader> {
        self.reader.clone()
    }

    /// Appends a block that leads to chain value `chain`, and makes it durable. When this returns, the block is
    /// committed.
    ///
    /// # Errors
    /// [`NodeError::DiskFull`] when there is no room: nothing of the block is left then, and a later block may find
    /// room. Any other error leaves the end of the journal unknown: the ledger must stop.
    pub fn append(&mut self, block: &Block, chain: Hash) -> Result<(), NodeError> {
        let needed = |offset: u64| offset + block.len() as u64;
        if self.open.as_ref().is_none_or(|(_, len)| needed(self.offset) > *len) {
            let len = self.segment_len.max(needed(HEADER_BYTES as u64));
            // From here on the next segment may have its name, even where an error is met: nothing more goes into this
            // one.
            self.open = None;
            let stage = self.stages.segment.clone();
            stage.pass(|| self.begin(self.reader.size(), self.chain, &[], len))?;
        }
        let path = segment_path(&self.dir, self.segment);
        let unknown = |source| NodeError::Io { what: "cannot write", path: path.clone(), source };
        let Some((file, _)) = &self.open else { return Err(NodeError::NoSegment(path)) };
        // A file that has lost its name can be written and made durable, and nobody finds it again.
        if !self.disk.exists(&path).map_err(disk::failed("cannot look for", &path))? {
            return Err(NodeError::NoSegment(path));
        }
        if let Err(error) = self.stages.write.pass(|| file.append_at(&block.bytes, self.offset)) {
            if !disk::is_full(&error) {
                return Err(unknown(error));
            }
            // Part of the block may stand there: it must not come back after a crash, for its callers are told that it
            // was not recorded.
            file.set_len(self.offset).and_then(|()| file.sync_all()).map_err(unknown)?;
            self.open = None;
            return Err(NodeError::DiskFull);
        }
        failpoint::pass("append-written");
        self.stages.sync.pass(|| file.sync_data()).map_err(unknown)?;
        failpoint::pass("append-synced");
        let place = |start: &usize| Location {
            segment: self.segment,
            offset: u32::try_from(self.offset + *start as u64).unwrap_or(u32::MAX),
        };
        let mut locations = self.reader.locations.write().unwrap_or_else(PoisonError::into_inner);
        locations.extend(block.entries.iter().map(place));
        self.offset += block.len() as u64;
        self.chain = chain;
        Ok(())
    }

    /// Says that all of the journal is durable, so that the next start need not rewrite its last block.
    ///
    /// # Errors
    /// [`NodeError::DiskFull`] or [`NodeError::Io`]; that costs the next start the rewriting and nothing else.
    pub fn close(&self) -> Result<(), NodeError> {
        let closed = Closed { ledger: self.ledger, entries: self.reader.size(), chain: self.chain };
        if Closed::read(&*self.disk, &self.dir, self.ledger)? == Some(closed) {
            return Ok(());
        }
        self.disk.write_file(&self.dir.join(CLOSED), closed.to_text().as_bytes(), 0o640)
    }
}

fn read_header(file: &dyn DiskFile) -> std::io::Result<Option<Header>> {
    let mut bytes = [0; HEADER_BYTES];
    file.read_at(&mut bytes, 0)?;
    Ok(Header::from_bytes(&bytes))
}

fn create_segment(disk: &dyn Disk, dir: &Path, header: Header, block: &[u8]) -> Result<Arc<dyn DiskFile>, NodeError> {
    let path = dir.join(format!("{:08}.seg", header.segment));
    disk.create_file(&path, 0o640, |file| {
        file.allocate(header.len)?;
        file.write_at(&header.to_bytes(), 0)?;
        file.write_at(block, HEADER_BYTES as u64)
    })?;
    disk.open_appended(&path).map_err(disk::failed("cannot open", &path))
}
