//! Going through a journal from its segments' headers on, to where it ends; nothing is written.

use super::frame::{Frame, FrameKind, FrameTag, later_frame_behind, tagged_at};
use super::{CLOSED, HEADER_BYTES, HEADER_CHAIN, Location, Mark, SEGMENT_MAGIC, SEGMENT_MAGIC_2, segment_path};
use crate::NodeError;
use crate::disk::{self, Disk};
use chancery_types::{Hash, LedgerId};
use std::path::Path;

/// What a segment says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) ledger: LedgerId,
    pub(super) segment: u32,
    /// What its frames begin with. That of version 2 makes it a header of version 2.
    pub(super) tag: FrameTag,
    pub(super) len: u64,
    pub(super) first: u64,
    pub(super) chain: Hash,
}

impl Header {
    pub(super) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(SEGMENT_MAGIC);
        bytes[8..40].copy_from_slice(&self.ledger.0);
        bytes[40..44].copy_from_slice(&self.segment.to_le_bytes());
        if self.tag == FrameTag::VERSION_2 {
            bytes[..8].copy_from_slice(SEGMENT_MAGIC_2);
        } else {
            bytes[44..48].copy_from_slice(&self.tag.0);
        }
        bytes[48..56].copy_from_slice(&self.len.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.first.to_le_bytes());
        bytes[HEADER_CHAIN].copy_from_slice(&self.chain.0);
        let hash = Hash::of(&bytes[..96]);
        bytes[96..].copy_from_slice(&hash.0);
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Option<Header> {
        let number = |at: usize| bytes[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let tag = if bytes.starts_with(SEGMENT_MAGIC_2) {
            FrameTag::VERSION_2
        } else {
            FrameTag(*bytes[44..].first_chunk()?)
        };
        let header = Header {
            ledger: LedgerId(*bytes[8..].first_chunk()?),
            segment: u32::from_le_bytes(*bytes[40..].first_chunk()?),
            tag,
            len: number(48)?,
            first: number(56)?,
            chain: Hash(*bytes[HEADER_CHAIN].first_chunk()?),
        };
        (header.to_bytes() == *bytes).then_some(header)
    }
}

/// What the clean stop before said: up to here the journal is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Closed {
    pub(super) ledger: LedgerId,
    pub(super) entries: u64,
    pub(super) chain: Hash,
}

impl Closed {
    pub(super) fn to_text(self) -> String {
        let Closed { ledger, entries, chain } = self;
        let text = format!("chancery journal closed 1\nledger {ledger}\nentries {entries}\nchain {chain}\n");
        format!("{text}{}\n", Hash::of(text.as_bytes()))
    }

    /// A file that is damaged says nothing.
    pub(super) fn read(disk: &dyn Disk, dir: &Path, ledger: LedgerId) -> Result<Option<Closed>, NodeError> {
        let Some(bytes) = disk.read_if_there(&dir.join(CLOSED))? else { return Ok(None) };
        let text = String::from_utf8_lossy(&bytes);
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let (Ok(entries), Some(chain)) = (field("entries ").parse(), Hash::parse(field("chain "))) else {
            return Ok(None);
        };
        Ok(Some(Closed { ledger, entries, chain }).filter(|closed| closed.to_text() == text))
    }
}

/// Entries that the last clean stop vouched for, if there was one.
pub(crate) fn closed_entries(disk: &dyn Disk, dir: &Path, ledger: LedgerId) -> Result<Option<u64>, NodeError> {
    Ok(Closed::read(disk, dir, ledger)?.map(|closed| closed.entries))
}

/// The last block of a journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastBlock {
    pub(super) segment: u32,
    pub(super) offset: u64,
    pub(super) end: u64,
    pub(super) first: u64,
    pub(super) chain_before: Hash,
}

/// Where the journal ends: behind the last seal.
#[derive(Clone, Copy, Debug)]
pub struct End {
    pub(super) ledger: LedgerId,
    pub(super) segment: u32,
    pub(super) tag: FrameTag,
    pub(super) offset: u64,
    pub(super) chain: Hash,
    pub(super) entries: u64,
    pub(super) last: Option<LastBlock>,
    /// Whether something behind the last seal does not count.
    pub(super) torn: bool,
    /// Whether the last segment ends behind its last seal, where a block found no room.
    pub(super) cut: bool,
    /// Whether a clean stop vouches for the end.
    pub(super) closed: bool,
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

/// How many segments there are.
pub(crate) fn segments(disk: &dyn Disk, dir: &Path) -> std::io::Result<usize> {
    Ok(disk.list(dir)?.iter().filter(|name| name.ends_with(".seg")).count())
}

/// The headers of all segments, in order.
fn headers(disk: &dyn Disk, dir: &Path) -> Result<Vec<Header>, NodeError> {
    let count = segments(disk, dir).map_err(disk::failed("cannot list", dir))?;
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
        let header = Header::from_bytes(&bytes).filter(|header| header.segment == segment);
        let header = header.ok_or_else(damaged)?;
        if let Some(first) = headers.first().filter(|first| (first.ledger, first.tag) != (header.ledger, header.tag)) {
            let (first_file, expected) = (segment_path(dir, 0), first.ledger);
            return Err(NodeError::Foreign { file: path, first: first_file, expected, found: header.ledger });
        }
        headers.push(header);
    }
    Ok(headers)
}

/// Goes through all frames of a journal and hands each to `each`, which says whether it is a seal, the end of a block.
/// Reads only.
///
/// # Errors
/// [`NodeError::Damaged`], [`NodeError::Lost`], [`NodeError::NoSegment`], [`NodeError::Foreign`], or what `each` or
/// reading meets.
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
        tag: headers.first().map(|header| header.tag).unwrap_or_default(),
        offset: HEADER_BYTES as u64,
        chain: Hash::default(),
        entries: 0,
        last: None,
        torn: false,
        cut: false,
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
        let from = if marked { end.offset } else { 0 };
        let (bytes, len) = disk.read_written(&path, from).map_err(disk::failed("cannot read", &path))?;
        if !marked {
            (end.segment, end.offset) = (segment, HEADER_BYTES as u64);
        }
        scan_segment(&bytes, &path, stop, &mut end, closed.as_ref(), &mut each)?;
        let behind = bytes.get(end.offset as usize..).unwrap_or_default();
        // All bytes at once, which is faster than to look at one after the other.
        let anything = behind.iter().fold(0, |all, byte| all | byte) != 0;
        end.cut = stop.is_none() && len == end.offset && len < header.len;
        end.torn = stop.is_none() && !end.cut && (anything || len != header.len);
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
    // Places in memory are those in the segment.
    let (mut offset, mut chain, mut next) = (end.offset as usize, end.chain, end.entries);
    let mut first = (offset as u64, next, chain);
    while stop != Some(end.entries) {
        let Some((frame, after, behind)) = tagged_at(bytes, offset, &chain, end.tag) else { break };
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
        None if later_frame_behind(bytes, offset, end.entries, end.tag) => Err(damaged(offset, next)),
        _ => Ok(()),
    }
}
