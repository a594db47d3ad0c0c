//! The journal: the log as it lies on disk, the only durable truth.
//!
//! # Layout
//!
//! `journal/00000000.seg`, `00000001.seg`, …, without a gap, and `journal/closed`.
//!
//! ```text
//! segment = header ‖ frame* ‖ rest
//! header  = "CHJSEG02", 8 bytes ‖ ledger id, 32 ‖ segment number, u64 LE ‖ length of the segment, u64 LE ‖ first index, u64 LE
//!           ‖ chain before, 32 ‖ BLAKE3 of the 96 bytes before                                        = 128 bytes
//! frame   = "CHF2", 4 bytes ‖ kind, u8 ‖ payload length, u32 LE ‖ entry index, u64 LE ‖ block, u64 LE ‖ payload ‖ chain, 32
//! block   = the index of the first entry of the frame's block
//! chain   = BLAKE3-derive-key("chancery 2026 journal frame v2", chain before ‖ the 25 bytes of the frame's head ‖ payload)
//! kind    = 1 entry: payload is the entry, the leaf of the log
//!           2 effects: payload is the writes and the trace of the entry before it, whose digests the entry holds
//! closed  = "chancery journal closed 1", then lines "ledger HEX", "entries N", "chain HEX", and BLAKE3 of all before, HEX; each ends in LF
//! ```
//!
//! A block is the frames of its calls and then the frame of its seal, written by one write and made durable by one `fdatasync`: **the commit
//! point**. A block never spans two segments. The chain before the first frame is zero.
//!
//! A segment is [`SEGMENT_BYTES`] long from the start and comes into being whole: its header, and the block that is rewritten into it if any,
//! are fsynced before it has its name. So a header that does not verify is never an interrupted write.
//!
//! **Where a segment ends.** What counts of a segment ends where the next one begins: at the *first index* and *chain before* of the next
//! header, which must be the end of a block. For a full segment that is behind its last frame. A segment may also be *closed early*: the next begins at
//! an earlier block's first entry, and what stands behind it here is superseded, whatever it is. A segment all of whose entries
//! are superseded counts for nothing. The last segment ends behind its last seal.
//!
//! # After an unclean stop
//!
//! An `fdatasync` that failed may have left pages that read well and are on no disk, and a program that starts anew cannot know. All
//! blocks but the last were followed by a successful `fdatasync` of a later state of the same file; so the last block, and only it, is in doubt. It is
//! rewritten into a fresh segment, which closes the old one early, and fsynced before anything is acknowledged or signed. A clean stop
//! writes `closed`, which says: up to this entry and chain value `fdatasync` succeeded. That stays true for ever, so an old one does no
//! harm; where it covers the end of the journal, nothing is rewritten.
//!
//! # Fault model
//!
//! An interrupted write leaves any part of its block, in sectors of 512 bytes: later frames of it may be whole while earlier ones are missing. It
//! was never acknowledged and is superseded. So is a whole frame behind the last seal. A block is written only after the one before is durable;
//! hence a damaged frame with a valid one of a *later block* behind it is rot or tampering, and so is a segment that does not reach the
//! next one's beginning, and a journal that ends before what `closed` or the published checkpoint cover. Then the journal is not opened. A frame is
//! valid where its chain value follows from the 32 bytes before it, so that frames behind a damaged one are still recognised. What is
//! overwritten so that all later frames verify again takes all of their chain values to be rewritten, and then contradicts the checkpoint.
//!
//! What cannot be told from an interrupted write is rot in the very last block before a checkpoint covers it, that is within about a second of a
//! crash: then it is cut off.
//!
//! The first error of `fdatasync` stops the ledger: a second try could report success for data that is not there. Where the *write* before it
//! finds no room, the segment is cut behind the last seal, durably, and the next block begins a new one.

use crate::disk::{self, Disk, DiskFile};
use crate::metrics::JournalStages;
use crate::{NodeError, failpoint};
use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};
use chancery_types::{Entry, Hash, LedgerId};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};

/// Length of a segment.
pub const SEGMENT_BYTES: u64 = 64 << 20;
const SEGMENT_MAGIC: &[u8; 8] = b"CHJSEG02";
const HEADER_BYTES: usize = 128;
/// Where the header has the chain value before the segment's first frame.
const HEADER_CHAIN: std::ops::Range<usize> = 64..96;
const FRAME_MAGIC: &[u8; 4] = b"CHF2";
const HEAD_BYTES: usize = 25;
const CHAIN_BYTES: usize = 32;
/// Longest block: what a segment holds.
pub const BLOCK_BYTES_MAX: usize = SEGMENT_BYTES as usize - HEADER_BYTES;
const CLOSED: &str = "closed";

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameKind {
    /// An entry.
    Entry = 1,
    /// The effects of the entry before.
    Effects = 2,
}

/// A frame as it is read.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What it holds.
    pub kind: FrameKind,
    /// Which entry it belongs to.
    pub index: u64,
    /// First entry of its block.
    pub block: u64,
    /// The payload.
    pub payload: &'a [u8],
}

fn chain_of(before: &Hash, head: &[u8], payload: &[u8]) -> Hash {
    static CONTEXT: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("chancery 2026 journal frame v2"));
    let mut hasher = blake3::Hasher::new_from_context_key(&CONTEXT);
    hasher.update(&before.0).update(head).update(payload);
    Hash(hasher.finalize().into())
}

/// The frames of a block as they are being put together.
pub struct Block {
    first: u64,
    bytes: Vec<u8>,
    entries: Vec<usize>,
}

impl Block {
    /// An empty block whose first entry will be `first`.
    pub fn new(first: u64) -> Self {
        Block { first, bytes: Vec::new(), entries: Vec::new() }
    }

    /// Begins another block, at entry `first`, behind what is there: the two are written together.
    pub fn begin(&mut self, first: u64) {
        self.first = first;
    }

    /// Adds a frame; `chain` is the chain value before it and becomes the one behind it.
    pub fn push(&mut self, kind: FrameKind, index: u64, payload: &[u8], chain: &mut Hash) {
        if kind == FrameKind::Entry {
            self.entries.push(self.bytes.len());
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(FRAME_MAGIC);
        self.bytes.push(kind as u8);
        // A payload is bounded by the limits of entries and effects, far below u32.
        self.bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.bytes.extend_from_slice(&index.to_le_bytes());
        self.bytes.extend_from_slice(&self.first.to_le_bytes());
        *chain = chain_of(chain, &self.bytes[start..], payload);
        self.bytes.extend_from_slice(payload);
        self.bytes.extend_from_slice(&chain.0);
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has no frame.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Where an entry's frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
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
pub struct Mark {
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

/// Reads entries back, while the journal is written.
pub struct Reader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    locations: RwLock<Vec<Location>>,
    files: Mutex<HashMap<u32, Arc<dyn DiskFile>>>,
}

impl Reader {
    /// How many entries there are.
    pub fn size(&self) -> u64 {
        self.locations.read().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// The bytes of entry `index`, without its effects.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, NodeError> {
        Ok(self.frames(index, false)?.0)
    }

    /// The payloads of entry `index`: the entry, and its effects where it has some. They are checked against their chain values.
    ///
    /// # Errors
    /// [`NodeError::NoEntry`], [`NodeError::Damaged`], or what reading meets.
    pub fn read(&self, index: u64) -> Result<(Vec<u8>, Option<Vec<u8>>), NodeError> {
        self.frames(index, true)
    }

    /// Where the entries lie.
    pub(crate) fn locations(&self) -> Vec<Location> {
        self.locations.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The index of the seal of entry `index`'s block: the last entry that names the same block.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn seal_of(&self, index: u64) -> Result<u64, NodeError> {
        let (block, size) = (self.block_of(index)?, self.size());
        let (mut last, mut step) = (index, 1);
        while last + step < size && self.block_of(last + step)? == block {
            (last, step) = (last + step, step * 2);
        }
        let mut beyond = size.min(last + step);
        while beyond - last > 1 {
            let middle = last + (beyond - last) / 2;
            if self.block_of(middle)? == block {
                last = middle;
            } else {
                beyond = middle;
            }
        }
        Ok(last)
    }

    /// The first entry of the block that the frame of entry `index` names.
    fn block_of(&self, index: u64) -> Result<u64, NodeError> {
        let location = self.location(index)?;
        let path = segment_path(&self.dir, location.segment);
        let mut head = [0; HEAD_BYTES];
        self.file(location.segment, &path)?
            .read_at(&mut head, location.offset.into())
            .map_err(disk::failed("cannot read", &path))?;
        let named = parse_head(&head).filter(|(.., found, _)| *found == index).map(|(.., block)| block);
        named.ok_or(NodeError::Damaged { file: path, offset: location.offset.into(), index })
    }

    fn location(&self, index: u64) -> Result<Location, NodeError> {
        let locations = self.locations.read().unwrap_or_else(PoisonError::into_inner);
        let size = locations.len() as u64;
        usize::try_from(index).ok().and_then(|i| locations.get(i)).copied().ok_or(NodeError::NoEntry { index, size })
    }

    fn frames(&self, index: u64, effects: bool) -> Result<(Vec<u8>, Option<Vec<u8>>), NodeError> {
        let location = self.location(index)?;
        let path = segment_path(&self.dir, location.segment);
        let file = self.file(location.segment, &path)?;
        let damaged = || NodeError::Damaged { file: path.clone(), offset: location.offset.into(), index };
        let read = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => damaged(),
            _ => disk::failed("cannot read", &path)(error),
        };
        let mut place = u64::from(location.offset);
        let mut chain = chain_before(&*file, place).map_err(read)?;
        let mut next = || read_frame(&*file, &mut place, &mut chain, index).map_err(read);
        match next()? {
            Some((FrameKind::Entry, entry)) if effects => {
                let effects = next()?.filter(|(kind, _)| *kind == FrameKind::Effects);
                if effects.is_none() && Entry::is_call(&entry) {
                    return Err(damaged());
                }
                Ok((entry, effects.map(|(_, payload)| payload)))
            }
            Some((FrameKind::Entry, entry)) => Ok((entry, None)),
            _ => Err(damaged()),
        }
    }

    fn file(&self, segment: u32, path: &Path) -> Result<Arc<dyn DiskFile>, NodeError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(&segment) {
            return Ok(file.clone());
        }
        let file = self.disk.open(path, false).map_err(disk::failed("cannot open", path))?;
        files.insert(segment, file.clone());
        Ok(file)
    }
}

/// The chain value before the frame at `offset`.
fn chain_before(file: &dyn DiskFile, offset: u64) -> std::io::Result<Hash> {
    let mut chain = [0; CHAIN_BYTES];
    let first = offset == HEADER_BYTES as u64;
    let from = if first { HEADER_CHAIN.start as u64 } else { offset.saturating_sub(CHAIN_BYTES as u64) };
    file.read_at(&mut chain, from)?;
    Ok(Hash(chain))
}

/// The valid frame of entry `index` at `offset`, which moves behind it with `chain`; `None` where there is another or none.
fn read_frame(
    file: &dyn DiskFile,
    offset: &mut u64,
    chain: &mut Hash,
    index: u64,
) -> std::io::Result<Option<(FrameKind, Vec<u8>)>> {
    let mut bytes = vec![0; HEAD_BYTES];
    match file.read_at(&mut bytes, *offset) {
        // The segment ends before another frame could begin.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let Some((.., len, found, _)) = parse_head(&bytes).filter(|(_, len, ..)| *len <= BLOCK_BYTES_MAX) else {
        return Ok(None);
    };
    if found != index {
        return Ok(None);
    }
    bytes.resize(HEAD_BYTES + len + CHAIN_BYTES, 0);
    file.read_at(&mut bytes[HEAD_BYTES..], *offset + HEAD_BYTES as u64)?;
    let frame = frame_at(&bytes, 0, chain).map(|(frame, after, _)| (frame.kind, frame.payload.to_vec(), after));
    Ok(frame.map(|(kind, payload, after)| {
        *offset += bytes.len() as u64;
        *chain = after;
        (kind, payload)
    }))
}

/// Kind, payload length, index, block.
fn parse_head(head: &[u8]) -> Option<(FrameKind, usize, u64, u64)> {
    let (magic, rest) = head.split_first_chunk::<4>()?;
    let (kind, rest) = rest.split_first()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (index, rest) = rest.split_first_chunk::<8>()?;
    let (block, _) = rest.split_first_chunk::<8>()?;
    let kind = match kind {
        1 => FrameKind::Entry,
        2 => FrameKind::Effects,
        _ => return None,
    };
    let (index, block) = (u64::from_le_bytes(*index), u64::from_le_bytes(*block));
    (magic == FRAME_MAGIC).then_some((kind, u32::from_le_bytes(*len) as usize, index, block))
}

/// The frame at `offset`, if it is valid given the chain value before it, and where the next begins.
fn frame_at<'a>(bytes: &'a [u8], offset: usize, before: &Hash) -> Option<(Frame<'a>, Hash, usize)> {
    let head = bytes.get(offset..offset + HEAD_BYTES)?;
    let (kind, len, index, block) = parse_head(head)?;
    let start = offset + HEAD_BYTES;
    let payload = bytes.get(start..start.checked_add(len)?)?;
    let end = start + len + CHAIN_BYTES;
    let chain = Hash(*bytes.get(start + len..end)?.first_chunk()?);
    (chain_of(before, head, payload) == chain).then_some((Frame { kind, index, block, payload }, chain, end))
}

/// The chain value behind the frames of a whole block.
fn chain_behind(block: &[u8], before: Hash) -> Option<Hash> {
    let (mut chain, mut offset) = (before, 0);
    while offset < block.len() {
        (_, chain, offset) = frame_at(block, offset, &chain)?;
    }
    Some(chain)
}

/// Whether a valid frame of a block later than `block` begins anywhere behind `offset`.
fn later_frame_behind(bytes: &[u8], offset: usize, block: u64) -> bool {
    let from = offset.max(HEADER_BYTES) + 1;
    let rest = bytes.get(from..).unwrap_or_default();
    memchr::memmem::find_iter(rest, FRAME_MAGIC).map(|at| from + at).any(|position| {
        let before = bytes[..position].last_chunk().map(|chain| Hash(*chain));
        before.and_then(|before| frame_at(bytes, position, &before)).is_some_and(|(frame, ..)| frame.block > block)
    })
}

fn segment_path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(format!("{segment:08}.seg"))
}

/// What a segment says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Header {
    ledger: LedgerId,
    segment: u64,
    len: u64,
    first: u64,
    chain: Hash,
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(SEGMENT_MAGIC);
        bytes[8..40].copy_from_slice(&self.ledger.0);
        bytes[40..48].copy_from_slice(&self.segment.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.len.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.first.to_le_bytes());
        bytes[HEADER_CHAIN].copy_from_slice(&self.chain.0);
        let hash = Hash::of(&bytes[..96]);
        bytes[96..].copy_from_slice(&hash.0);
        bytes
    }

    fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Option<Header> {
        let number = |at: usize| bytes[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let header = Header {
            ledger: LedgerId(*bytes[8..].first_chunk()?),
            segment: number(40)?,
            len: number(48)?,
            first: number(56)?,
            chain: Hash(*bytes[HEADER_CHAIN].first_chunk()?),
        };
        (header.to_bytes() == *bytes).then_some(header)
    }
}

/// What the clean stop before said: up to here the journal is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Closed {
    ledger: LedgerId,
    entries: u64,
    chain: Hash,
}

impl Closed {
    fn to_text(self) -> String {
        let Closed { ledger, entries, chain } = self;
        let text = format!("chancery journal closed 1\nledger {ledger}\nentries {entries}\nchain {chain}\n");
        format!("{text}{}\n", Hash::of(text.as_bytes()))
    }

    /// A file that is damaged says nothing.
    fn read(disk: &dyn Disk, dir: &Path, ledger: LedgerId) -> Result<Option<Closed>, NodeError> {
        let Some(bytes) = disk.read_if_there(&dir.join(CLOSED))? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let (Ok(entries), Some(chain)) = (field("entries ").parse(), Hash::parse(field("chain "))) else {
            return Ok(None);
        };
        Ok(Some(Closed { ledger, entries, chain }).filter(|closed| closed.to_text() == text))
    }
}

/// The last block of a journal.
#[derive(Clone, Copy, Debug)]
struct LastBlock {
    segment: u32,
    offset: u64,
    end: u64,
    first: u64,
    chain_before: Hash,
}

/// Where the journal ends: behind the last seal.
#[derive(Clone, Copy, Debug)]
pub struct End {
    ledger: LedgerId,
    segment: u32,
    offset: u64,
    chain: Hash,
    entries: u64,
    last: Option<LastBlock>,
    /// Whether something behind the last seal does not count.
    torn: bool,
    /// Whether a clean stop vouches for the end.
    closed: bool,
}

impl End {
    /// Whether an interrupted write was found behind the last seal.
    pub fn is_torn(&self) -> bool {
        self.torn
    }

    /// Whether the ledger was closed in order, so that no block is in doubt.
    pub fn is_clean(&self) -> bool {
        self.closed && !self.torn
    }

    /// The error of a journal that should reach further than it does.
    ///
    /// # Errors
    /// [`NodeError::Lost`] where it has fewer than `entries`, which `by` covers.
    pub fn reaches(&self, dir: &Path, entries: u64, by: &'static str) -> Result<(), NodeError> {
        if self.entries >= entries {
            return Ok(());
        }
        let (file, next) = (segment_path(dir, self.segment), segment_path(dir, self.segment + 1));
        Err(NodeError::Lost { file, offset: self.offset, index: self.entries, by, entries, next })
    }
}

/// The headers of all segments, in order.
fn headers(disk: &dyn Disk, dir: &Path) -> Result<Vec<Header>, NodeError> {
    let names = disk.list(dir).map_err(disk::failed("cannot list", dir))?;
    let count = names.iter().filter(|name| name.ends_with(".seg")).count();
    let mut headers: Vec<Header> = Vec::new();
    for segment in 0..u32::try_from(count.max(1)).unwrap_or(u32::MAX) {
        let path = segment_path(dir, segment);
        let index = headers.last().map_or(0, |before| before.first);
        let damaged = || NodeError::Damaged { file: path.clone(), offset: 0, index };
        let file = disk.open(&path, false).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => NodeError::NoSegment(path.clone()),
            _ => disk::failed("cannot open", &path)(error),
        })?;
        let mut bytes = [0; HEADER_BYTES];
        file.read_at(&mut bytes, 0).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => damaged(),
            _ => disk::failed("cannot read", &path)(error),
        })?;
        let header = Header::from_bytes(&bytes).filter(|header| header.segment == u64::from(segment));
        let header = header.ok_or_else(damaged)?;
        if let Some(first) = headers.first().filter(|first| first.ledger != header.ledger) {
            let (first_file, expected) = (segment_path(dir, 0), first.ledger);
            return Err(NodeError::Foreign { file: path, first: first_file, expected, found: header.ledger });
        }
        headers.push(header);
    }
    Ok(headers)
}

/// Goes through all frames of a journal and hands each to `each`, which says whether it is a seal, the end of a block. Reads only.
///
/// # Errors
/// [`NodeError::Damaged`], [`NodeError::Lost`], [`NodeError::NoSegment`], [`NodeError::Foreign`], or what `each` or reading meets.
pub fn scan(
    disk: &dyn Disk,
    dir: &Path,
    each: impl FnMut(Frame<'_>, Location) -> Result<bool, NodeError>,
) -> Result<End, NodeError> {
    scan_from(disk, dir, None, each)
}

/// As [`scan`], of what stands behind a mark that is the journal's. What is before it is not read.
///
/// # Errors
/// As [`scan`].
pub(crate) fn scan_from(
    disk: &dyn Disk,
    dir: &Path,
    mark: Option<&Mark>,
    mut each: impl FnMut(Frame<'_>, Location) -> Result<bool, NodeError>,
) -> Result<End, NodeError> {
    let headers = headers(disk, dir)?;
    let ledger = headers.first().map(|header| header.ledger).unwrap_or_default();
    let closed = Closed::read(disk, dir, ledger)?;
    let mut end = End {
        ledger,
        segment: 0,
        offset: HEADER_BYTES as u64,
        chain: Hash::default(),
        entries: 0,
        last: None,
        torn: false,
        closed: false,
    };
    if let Some(Mark { segment, offset, chain, entries }) = mark.copied() {
        (end.segment, end.offset, end.chain, end.entries) = (segment, offset, chain, entries);
    }
    for (segment, header) in (0..).zip(&headers) {
        let marked = mark.is_some_and(|mark| mark.segment == segment);
        if mark.is_some_and(|mark| segment < mark.segment) {
            continue;
        }
        // What counts ends where the earliest of the later ones begins.
        let stop = headers[segment as usize + 1..].iter().map(|later| later.first).min();
        if stop.is_some_and(|stop| stop <= header.first) {
            continue;
        }
        let path = segment_path(dir, segment);
        if !marked && (header.first, header.chain) != (end.entries, end.chain) {
            return Err(NodeError::Damaged { file: path, offset: 0, index: end.entries });
        }
        let bytes = disk.read_file(&path)?;
        if !marked {
            (end.segment, end.offset) = (segment, HEADER_BYTES as u64);
        }
        scan_segment(&bytes, &path, stop, &mut end, closed.as_ref(), &mut each)?;
        end.torn = stop.is_none()
            && (bytes[end.offset as usize..].iter().any(|byte| *byte != 0) || bytes.len() as u64 != header.len);
    }
    if let Some(closed) = closed {
        end.reaches(dir, closed.entries, "journal/closed")?;
        end.closed = (closed.entries, closed.chain) == (end.entries, end.chain);
    }
    Ok(end)
}

/// Goes through one segment, up to the entry `stop`; moves `end` behind its last seal.
fn scan_segment(
    bytes: &[u8],
    path: &Path,
    stop: Option<u64>,
    end: &mut End,
    closed: Option<&Closed>,
    each: &mut impl FnMut(Frame<'_>, Location) -> Result<bool, NodeError>,
) -> Result<(), NodeError> {
    let damaged =
        |offset: usize, index: u64| NodeError::Damaged { file: path.to_path_buf(), offset: offset as u64, index };
    // A segment is read whole: its offsets are those of memory.
    let (mut offset, mut chain, mut next) = (end.offset as usize, end.chain, end.entries);
    let mut first = (offset as u64, next, chain);
    while stop != Some(end.entries) {
        let Some((frame, after, behind)) = frame_at(bytes, offset, &chain) else { break };
        let expected = if frame.kind == FrameKind::Entry { next } else { next.wrapping_sub(1) };
        if (frame.index, frame.block) != (expected, first.1) {
            return Err(damaged(offset, next));
        }
        // A segment is below 4 GiB.
        let location = Location { segment: end.segment, offset: u32::try_from(offset).unwrap_or(u32::MAX) };
        let sealed = each(frame, location)?;
        next += u64::from(frame.kind == FrameKind::Entry);
        (chain, offset) = (after, behind);
        if sealed {
            let (begun, index, chain_before) = first;
            let (segment, behind) = (end.segment, offset as u64);
            end.last = Some(LastBlock { segment, offset: begun, end: behind, first: index, chain_before });
            (end.offset, end.chain, end.entries) = (behind, chain, next);
            first = (behind, next, chain);
            if closed.is_some_and(|closed| closed.entries == next && closed.chain != chain) {
                let problem = "the journal was closed here with another chain value (journal/closed)".into();
                return Err(NodeError::Inconsistent { index: next - 1, problem });
            }
        }
    }
    match stop {
        Some(stop) if stop != end.entries => Err(damaged(offset, next)),
        None if later_frame_behind(bytes, offset, end.entries) => Err(damaged(offset, next)),
        _ => Ok(()),
    }
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
    /// [`NodeError::DiskFull`] or [`NodeError::Io`].
    pub fn create(disk: Arc<dyn Disk>, dir: &Path, ledger: LedgerId, segment_len: u64) -> Result<Journal, NodeError> {
        disk.make_dirs(dir)?;
        let header = Header { ledger, segment: 0, len: segment_len, first: 0, chain: Hash::default() };
        let file = create_segment(&*disk, dir, header, &[])?;
        Ok(Journal {
            reader: reader(disk.clone(), dir, Vec::new()),
            disk,
            dir: dir.into(),
            ledger,
            segment_len,
            open: Some((file, segment_len)),
            segment: 0,
            offset: HEADER_BYTES as u64,
            chain: Hash::default(),
            stages: JournalStages::default(),
        })
    }

    /// Opens a journal at its end, which [`scan`] found. After an unclean stop its last block is rewritten into a fresh segment: when this
    /// returns, all of the journal is durable.
    ///
    /// # Errors
    /// [`NodeError::DiskFull`] or [`NodeError::Io`]; the journal is as it was then.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        end: &End,
        mut locations: Vec<Location>,
        segment_len: u64,
    ) -> Result<Journal, NodeError> {
        locations.truncate(usize::try_from(end.entries).unwrap_or(usize::MAX));
        let mut journal = Journal {
            reader: reader(disk.clone(), dir, locations),
            disk,
            dir: dir.into(),
            ledger: end.ledger,
            segment_len,
            open: None,
            segment: end.segment,
            offset: end.offset,
            chain: end.chain,
            stages: JournalStages::default(),
        };
        journal.disk.remove_temporary(dir)?;
        if !end.is_clean() {
            journal.rewrite(end)?;
        } else {
            let path = segment_path(dir, end.segment);
            let file = journal.disk.open(&path, true).map_err(disk::failed("cannot open", &path))?;
            let bytes = read_header(&*file).map_err(disk::failed("cannot read", &path))?;
            journal.open = bytes.map(|header| (file, header.len));
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
        for location in locations.iter_mut().skip(usize::try_from(last.first).unwrap_or(usize::MAX)) {
            // The block lay behind `last.offset` and begins behind the header now.
            let within = u64::from(location.offset) - last.offset;
            let offset = u32::try_from(within + HEADER_BYTES as u64).unwrap_or(u32::MAX);
            *location = Location { segment: self.segment, offset };
        }
        // What is behind the block counts no more; the room is given back.
        old.set_len(last.end).map_err(disk::failed("cannot cut", &path))
    }

    /// Begins a segment that holds `block`, durably.
    fn begin(&mut self, first: u64, chain: Hash, block: &[u8], len: u64) -> Result<(), NodeError> {
        failpoint::pass("segment-create");
        let segment = self.segment + 1;
        let header = Header { ledger: self.ledger, segment: segment.into(), len, first, chain };
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

    /// The longest block that a segment holds.
    pub fn block_bytes_max(&self) -> usize {
        usize::try_from(self.segment_len).unwrap_or(usize::MAX).saturating_sub(HEADER_BYTES)
    }

    /// Reads entries back.
    pub fn reader(&self) -> Arc<Reader> {
        self.reader.clone()
    }

    /// Appends a block that leads to chain value `chain`, and makes it durable. When this returns, the block is committed.
    ///
    /// # Errors
    /// [`NodeError::DiskFull`] when there is no room: nothing of the block is left then, and a later block may find room. Any other
    /// error leaves the end of the journal unknown: the ledger must stop.
    pub fn append(&mut self, block: &Block, chain: Hash) -> Result<(), NodeError> {
        let needed = |offset: u64| offset + block.len() as u64;
        if self.open.as_ref().is_none_or(|(_, len)| needed(self.offset) > *len) {
            let len = self.segment_len.max(needed(HEADER_BYTES as u64));
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
        if let Err(error) = self.stages.write.pass(|| file.write_at(&block.bytes, self.offset)) {
            if !disk::is_full(&error) {
                return Err(unknown(error));
            }
            // Part of the block may stand there: it must not come back after a crash, for its callers are told that it was not recorded.
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

pub(crate) fn reader(disk: Arc<dyn Disk>, dir: &Path, locations: Vec<Location>) -> Arc<Reader> {
    Arc::new(Reader { disk, dir: dir.into(), locations: RwLock::new(locations), files: Mutex::default() })
}

fn create_segment(disk: &dyn Disk, dir: &Path, header: Header, block: &[u8]) -> Result<Arc<dyn DiskFile>, NodeError> {
    let path = dir.join(format!("{:08}.seg", header.segment));
    disk.create_file(&path, 0o640, |file| {
        file.allocate(header.len)?;
        file.write_at(&header.to_bytes(), 0)?;
        file.write_at(block, HEADER_BYTES as u64)
    })?;
    disk.open(&path, true).map_err(disk::failed("cannot open", &path))
}
