//! The journal: the log as it lies on disk, the only durable truth.
//!
//! # Layout
//!
//! `journal/00000000.seg`, `00000001.seg`, …, each [`SEGMENT_BYTES`] long from the start, zeros where nothing was written yet.
//!
//! ```text
//! segment = header ‖ frame* ‖ zeros
//! header  = "CHJSEG01", 8 bytes ‖ ledger id, 32 ‖ segment number, u64 LE ‖ first index, u64 LE ‖ chain before, 32
//!           ‖ BLAKE3 of the 88 bytes before                                                           = 120 bytes
//! frame   = "CHF1", 4 bytes ‖ kind, u8 ‖ payload length, u32 LE ‖ entry index, u64 LE ‖ payload ‖ chain, 32
//! chain   = BLAKE3-derive-key("chancery 2026 journal frame v1", chain before ‖ the 17 bytes of the frame's head ‖ payload)
//! kind    = 1 entry: payload is the entry, the leaf of the log
//!           2 effects: payload is the writes and the trace of the entry before it, whose digests the entry holds
//! ```
//!
//! A block is the frames of its calls and then the frame of its seal, written by one write and made durable by one `fdatasync`: **the commit
//! point**. A block never spans two segments. The chain before the first frame is zero.
//!
//! # Fault model
//!
//! An interrupted write leaves a block whose frames are partly missing or damaged, at the end of the last segment: it was never acknowledged and is cut
//! off. So is a whole frame behind the last seal. Anything else that does not verify is rot or tampering: a damaged frame with a
//! valid one behind it, or with another segment behind it. Then the journal is not opened. A frame is valid where its chain value follows from the 32 bytes
//! before it, so that frames behind a damaged one are still recognised. What is overwritten so that all later frames verify again takes
//! all of their chain values to be rewritten, and then contradicts the checkpoint.
//!
//! The first error of `fdatasync` stops the ledger: the kernel may have dropped the pages, so that a second try would
//! report success for data that is not there.

use crate::NodeError;
use crate::disk::{self, Disk, DiskFile};
use chancery_types::{Hash, LedgerId};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Length of a segment.
pub const SEGMENT_BYTES: u64 = 64 << 20;
const SEGMENT_MAGIC: &[u8; 8] = b"CHJSEG01";
const HEADER_BYTES: usize = 120;
const FRAME_MAGIC: &[u8; 4] = b"CHF1";
const HEAD_BYTES: usize = 17;
const CHAIN_BYTES: usize = 32;
/// Longest block: what a segment holds.
pub const BLOCK_BYTES_MAX: usize = SEGMENT_BYTES as usize - HEADER_BYTES;

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
    /// The payload.
    pub payload: &'a [u8],
}

fn chain_of(before: &Hash, head: &[u8], payload: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key("chancery 2026 journal frame v1");
    hasher.update(&before.0).update(head).update(payload);
    Hash(hasher.finalize().into())
}

/// The frames of a block as they are being put together.
#[derive(Default)]
pub struct Block {
    bytes: Vec<u8>,
    entries: Vec<usize>,
}

impl Block {
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
        let (file, path, mut offset) = self.locate(index)?;
        let damaged = NodeError::Damaged { file: path.clone(), offset, index };
        let frame = read_frame(&*file, &path, &mut offset, index)?;
        frame.filter(|(kind, ..)| *kind == FrameKind::Entry).map(|(.., payload)| payload).ok_or(damaged)
    }

    /// The payloads of entry `index`: the entry, and its effects where it has some.
    ///
    /// # Errors
    /// [`NodeError::NoEntry`], or what reading meets.
    pub fn read(&self, index: u64) -> Result<(Vec<u8>, Option<Vec<u8>>), NodeError> {
        let (file, path, mut offset) = self.locate(index)?;
        let damaged = NodeError::Damaged { file: path.clone(), offset, index };
        let entry = read_frame(&*file, &path, &mut offset, index)?
            .filter(|(kind, ..)| *kind == FrameKind::Entry)
            .map(|(.., payload)| payload)
            .ok_or(damaged)?;
        let effects = read_frame(&*file, &path, &mut offset, index)?;
        Ok((entry, effects.filter(|(kind, ..)| *kind == FrameKind::Effects).map(|(.., payload)| payload)))
    }

    /// The file that an entry's frame is in, and where.
    fn locate(&self, index: u64) -> Result<(Arc<dyn DiskFile>, PathBuf, u64), NodeError> {
        let location = {
            let locations = self.locations.read().unwrap_or_else(PoisonError::into_inner);
            let size = locations.len() as u64;
            *usize::try_from(index).ok().and_then(|i| locations.get(i)).ok_or(NodeError::NoEntry { index, size })?
        };
        let path = segment_path(&self.dir, location.segment);
        let file = {
            let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            match files.get(&location.segment) {
                Some(file) => file.clone(),
                None => {
                    let file = self.disk.open(&path, false).map_err(disk::failed("cannot open", &path))?;
                    files.insert(location.segment, file.clone());
                    file
                }
            }
        };
        Ok((file, path, location.offset.into()))
    }
}

/// The frame of entry `index` at `offset`, which moves behind it; `None` where there is another or none.
fn read_frame(
    file: &dyn DiskFile,
    path: &Path,
    offset: &mut u64,
    index: u64,
) -> Result<Option<(FrameKind, Vec<u8>)>, NodeError> {
    let mut head = [0; HEAD_BYTES];
    if *offset + (HEAD_BYTES as u64) > SEGMENT_BYTES {
        return Ok(None);
    }
    file.read_at(&mut head, *offset).map_err(disk::failed("cannot read", path))?;
    let Some((kind, len, found)) = parse_head(&head) else { return Ok(None) };
    if found != index || *offset + (HEAD_BYTES + len + CHAIN_BYTES) as u64 > SEGMENT_BYTES {
        return Ok(None);
    }
    let mut payload = vec![0; len];
    file.read_at(&mut payload, *offset + HEAD_BYTES as u64).map_err(disk::failed("cannot read", path))?;
    *offset += (HEAD_BYTES + len + CHAIN_BYTES) as u64;
    Ok(Some((kind, payload)))
}

fn parse_head(head: &[u8]) -> Option<(FrameKind, usize, u64)> {
    let (magic, rest) = head.split_first_chunk::<4>()?;
    let (kind, rest) = rest.split_first()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (index, _) = rest.split_first_chunk::<8>()?;
    let kind = match kind {
        1 => FrameKind::Entry,
        2 => FrameKind::Effects,
        _ => return None,
    };
    (magic == FRAME_MAGIC).then_some((kind, u32::from_le_bytes(*len) as usize, u64::from_le_bytes(*index)))
}

/// The frame at `offset`, if it is valid given the chain value before it, and where the next begins.
fn frame_at<'a>(bytes: &'a [u8], offset: usize, before: &Hash) -> Option<(Frame<'a>, Hash, usize)> {
    let head = bytes.get(offset..offset + HEAD_BYTES)?;
    let (kind, len, index) = parse_head(head)?;
    let start = offset + HEAD_BYTES;
    let payload = bytes.get(start..start.checked_add(len)?)?;
    let end = start + len + CHAIN_BYTES;
    let chain = Hash(*bytes.get(start + len..end)?.first_chunk()?);
    (chain_of(before, head, payload) == chain).then_some((Frame { kind, index, payload }, chain, end))
}

/// Whether a valid frame begins anywhere behind `offset`.
fn valid_frame_behind(bytes: &[u8], offset: usize) -> bool {
    let from = offset.max(HEADER_BYTES) + 1;
    let mut candidates =
        (from..bytes.len().saturating_sub(HEAD_BYTES)).filter(|p| bytes[*p..].starts_with(FRAME_MAGIC));
    candidates.any(|position| {
        let before = bytes[..position].last_chunk().map(|chain| Hash(*chain));
        before.is_some_and(|before| frame_at(bytes, position, &before).is_some())
    })
}

fn segment_path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(format!("{segment:08}.seg"))
}

fn header(ledger: &LedgerId, segment: u32, first: u64, chain: &Hash) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(SEGMENT_MAGIC);
    header[8..40].copy_from_slice(&ledger.0);
    header[40..48].copy_from_slice(&u64::from(segment).to_le_bytes());
    header[48..56].copy_from_slice(&first.to_le_bytes());
    header[56..88].copy_from_slice(&chain.0);
    let hash = Hash::of(&header[..88]);
    header[88..].copy_from_slice(&hash.0);
    header
}

/// Where the journal ends: behind the last seal.
#[derive(Clone, Copy, Debug)]
pub struct End {
    segment: u32,
    offset: u64,
    chain: Hash,
    entries: u64,
    /// Whether something behind the last seal is to be cut off.
    torn: bool,
}

impl End {
    /// Whether an interrupted write was found behind the last seal.
    pub fn is_torn(&self) -> bool {
        self.torn
    }
}

/// Goes through all frames of a journal and hands each to `each`, which says whether it is a seal, the end of a block. Reads only.
///
/// # Errors
/// [`NodeError::Damaged`], or what `each` or reading meets.
pub fn scan(
    disk: &dyn Disk,
    dir: &Path,
    ledger: Option<&LedgerId>,
    mut each: impl FnMut(Frame<'_>, Location) -> Result<bool, NodeError>,
) -> Result<End, NodeError> {
    let mut end = End { segment: 0, offset: HEADER_BYTES as u64, chain: Hash([0; 32]), entries: 0, torn: false };
    let mut next = 0;
    for segment in 0.. {
        let path = segment_path(dir, segment);
        if segment > 0 && !disk.exists(&path).map_err(disk::failed("cannot look for", &path))? {
            break;
        }
        let bytes = disk.read_file(&path)?;
        let damaged = |offset: usize, index| NodeError::Damaged { file: path.clone(), offset: offset as u64, index };
        if end.torn {
            return Err(damaged(0, next));
        }
        let ledger = match (ledger, bytes.get(8..40).and_then(|id| id.first_chunk())) {
            (Some(ledger), _) => *ledger,
            (None, Some(id)) => LedgerId(*id),
            (None, None) => return Err(damaged(0, next)),
        };
        if bytes.get(..HEADER_BYTES) != Some(&header(&ledger, segment, next, &end.chain)[..]) {
            return Err(damaged(0, next));
        }
        let (mut offset, mut chain) = (HEADER_BYTES, end.chain);
        (end.segment, end.offset) = (segment, offset as u64);
        while let Some((frame, after, behind)) = frame_at(&bytes, offset, &chain) {
            let expected = if frame.kind == FrameKind::Entry { next } else { next.wrapping_sub(1) };
            if frame.index != expected {
                return Err(damaged(offset, next));
            }
            // A segment is below 4 GiB.
            let sealed = each(frame, Location { segment, offset: u32::try_from(offset).unwrap_or(u32::MAX) })?;
            next += u64::from(frame.kind == FrameKind::Entry);
            (chain, offset) = (after, behind);
            if sealed {
                (end.offset, end.chain, end.entries) = (offset as u64, chain, next);
            }
        }
        if valid_frame_behind(&bytes, offset) {
            return Err(damaged(offset, next));
        }
        end.torn = bytes[end.offset as usize..].iter().any(|byte| *byte != 0) || bytes.len() as u64 != SEGMENT_BYTES;
        next = end.entries;
    }
    Ok(end)
}

/// The journal as it is written.
pub struct Journal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    ledger: LedgerId,
    file: Arc<dyn DiskFile>,
    segment: u32,
    offset: u64,
    chain: Hash,
    reader: Arc<Reader>,
}

impl Journal {
    /// Makes an empty journal.
    ///
    /// # Errors
    /// [`NodeError::DiskFull`] or [`NodeError::Io`].
    pub fn create(disk: Arc<dyn Disk>, dir: &Path, ledger: LedgerId) -> Result<Journal, NodeError> {
        disk.make_dirs(dir)?;
        let chain = Hash([0; 32]);
        let file = create_segment(&*disk, dir, &ledger, 0, 0, &chain)?;
        Ok(Journal {
            disk: disk.clone(),
            dir: dir.into(),
            ledger,
            file,
            segment: 0,
            offset: HEADER_BYTES as u64,
            chain,
            reader: reader(disk, dir, Vec::new()),
        })
    }

    /// Opens a journal at its end, which [`scan`] found, and cuts off what is behind it.
    ///
    /// # Errors
    /// [`NodeError::Io`].
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        ledger: LedgerId,
        end: &End,
        mut locations: Vec<Location>,
    ) -> Result<Journal, NodeError> {
        let path = segment_path(dir, end.segment);
        let file = disk.open(&path, true).map_err(disk::failed("cannot open", &path))?;
        if end.torn {
            // A crash between the two leaves a short segment, which is cut again.
            file.set_len(end.offset).map_err(disk::failed("cannot cut", &path))?;
            file.allocate(SEGMENT_BYTES).map_err(disk::failed("cannot allocate", &path))?;
            file.sync_all().map_err(disk::failed("cannot make durable", &path))?;
        }
        locations.truncate(usize::try_from(end.entries).unwrap_or(usize::MAX));
        let reader = reader(disk.clone(), dir, locations);
        Ok(Journal {
            disk: disk.clone(),
            dir: dir.into(),
            ledger,
            file,
            segment: end.segment,
            offset: end.offset,
            chain: end.chain,
            reader,
        })
    }

    /// The chain value behind the last block.
    pub fn chain(&self) -> Hash {
        self.chain
    }

    /// Reads entries back.
    pub fn reader(&self) -> Arc<Reader> {
        self.reader.clone()
    }

    /// Appends a block that leads to chain value `chain`, and makes it durable. When this returns, the block is committed.
    ///
    /// # Errors
    /// [`NodeError::DiskFull`] when there is no room for another segment: nothing has changed then, and a later block may find room. Any other
    /// error leaves the end of the journal unknown: the ledger must stop.
    pub fn append(&mut self, block: &Block, chain: Hash) -> Result<(), NodeError> {
        if self.offset + block.len() as u64 > SEGMENT_BYTES {
            let file = create_segment(
                &*self.disk,
                &self.dir,
                &self.ledger,
                self.segment + 1,
                self.reader.size(),
                &self.chain,
            )?;
            (self.file, self.segment, self.offset) = (file, self.segment + 1, HEADER_BYTES as u64);
        }
        let path = segment_path(&self.dir, self.segment);
        let unknown = |source| NodeError::Io { what: "cannot write", path: path.clone(), source };
        self.file.write_at(&block.bytes, self.offset).map_err(unknown)?;
        self.file.sync_data().map_err(unknown)?;
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
}

fn reader(disk: Arc<dyn Disk>, dir: &Path, locations: Vec<Location>) -> Arc<Reader> {
    Arc::new(Reader { disk, dir: dir.into(), locations: RwLock::new(locations), files: Mutex::default() })
}

fn create_segment(
    disk: &dyn Disk,
    dir: &Path,
    ledger: &LedgerId,
    segment: u32,
    first: u64,
    chain: &Hash,
) -> Result<Arc<dyn DiskFile>, NodeError> {
    let path = segment_path(dir, segment);
    disk.create_file(&path, 0o640, |file| {
        file.allocate(SEGMENT_BYTES)?;
        file.write_at(&header(ledger, segment, first, chain), 0)
    })?;
    disk.open(&path, true).map_err(disk::failed("cannot open", &path))
}
