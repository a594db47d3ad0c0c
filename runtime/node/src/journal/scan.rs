//! Going through a journal from its segments' headers on, to where it ends; nothing is written.

use super::frame::{Frame, FrameKind, FrameTag, later_frame_behind, parse_frame, tagged_at};
use super::{CLOSED, HEADER_BYTES, HEADER_CHAIN, Location, Mark, SEGMENT_MAGIC, SEGMENT_MAGIC_2, segment_path};
use crate::NodeError;
use crate::disk::{self, Disk};
use chancery_types::{Hash, LedgerId};
use std::path::{Path, PathBuf};

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
pub(crate) struct End {
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
    pub(crate) fn is_torn(&self) -> bool {
        self.torn
    }

    /// Whether the ledger was closed in order, so that no block is in doubt.
    pub(crate) fn is_clean(&self) -> bool {
        self.closed && !self.torn
    }

    /// The error of a journal that should reach further than it does.
    ///
    /// # Errors
    /// [`NodeError::Lost`] where it has fewer than `entries`, which `by` covers.
    pub(crate) fn reaches(&self, dir: &Path, entries: u64, by: &'static str) -> Result<(), NodeError> {
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

/// The frames of a journal in order, up to where it ends. Nothing is written.
pub(crate) struct Frames<'a> {
    disk: &'a dyn Disk,
    dir: &'a Path,
    headers: Vec<Header>,
    closed: Option<Closed>,
    /// The segment to begin within, where there is a mark.
    marked: Option<u32>,
    /// The segment to be read after the one that is open.
    next_segment: u32,
    open: Option<OpenSegment>,
    /// Behind the frame that was handed out last: place in the segment, chain value, entries.
    offset: usize,
    chain: Hash,
    entries: u64,
    /// Behind the last seal.
    end: End,
}

/// The segment that is being gone through.
struct OpenSegment {
    path: PathBuf,
    /// What is written of it; places in memory are those in the segment.
    bytes: Vec<u8>,
    len: u64,
    /// The length that its header says.
    full_len: u64,
    /// The entry with which a later segment begins: what is from there on does not count here.
    stop: Option<u64>,
}

impl OpenSegment {
    fn damaged(&self, offset: usize, index: u64) -> NodeError {
        NodeError::Damaged { file: self.path.clone(), offset: offset as u64, index }
    }
}

impl<'a> Frames<'a> {
    /// All frames of the journal in `dir`.
    ///
    /// # Errors
    /// [`NodeError::Damaged`], [`NodeError::NoSegment`], [`NodeError::Foreign`], or what reading meets.
    pub(crate) fn of(disk: &'a dyn Disk, dir: &'a Path) -> Result<Self, NodeError> {
        Frames::behind(disk, dir, None)
    }

    /// The frames behind a mark that is the journal's. What is before it is not read.
    ///
    /// # Errors
    /// As [`Frames::of`].
    pub(crate) fn behind(disk: &'a dyn Disk, dir: &'a Path, mark: Option<&Mark>) -> Result<Self, NodeError> {
        let headers = headers(disk, dir)?;
        let ledger = headers.first().map(|header| header.ledger).unwrap_or_default();
        let tag = headers.first().map(|header| header.tag).unwrap_or_default();
        let closed = Closed::read(disk, dir, ledger)?;
        let start = Mark { segment: 0, offset: HEADER_BYTES as u64, chain: Hash::default(), entries: 0 };
        let Mark { segment, offset, chain, entries } = mark.copied().unwrap_or(start);
        let (last, torn, cut) = (None, false, false);
        let end = End { ledger, segment, tag, offset, chain, entries, last, torn, cut, closed: false };
        let marked = mark.map(|mark| mark.segment);
        let (open, next_segment, offset) = (None, segment, offset as usize);
        Ok(Frames { disk, dir, headers, closed, marked, next_segment, open, offset, chain, entries, end })
    }

    /// The next frame and where it lies, until there are no more. Its chain value, index and block are checked; what its
    /// payload says is not.
    ///
    /// # Errors
    /// [`NodeError::Damaged`], [`NodeError::Inconsistent`], or what reading meets.
    pub(crate) fn next(&mut self) -> Result<Option<(Frame<'_>, Location)>, NodeError> {
        let at = loop {
            let at = self.offset;
            match self.open.take() {
                Some(segment) => match self.pass_frame(&segment)? {
                    true => {
                        self.open = Some(segment);
                        break at;
                    }
                    false => self.leave(&segment)?,
                },
                None => match self.read_segment()? {
                    Some(segment) => self.open = Some(segment),
                    None => return Ok(None),
                },
            }
        };
        // A segment is below 4 GiB.
        let location = Location { segment: self.end.segment, offset: u32::try_from(at).unwrap_or(u32::MAX) };
        let frame = self.open.as_ref().and_then(|segment| parse_frame(&segment.bytes, at));
        Ok(frame.map(|(frame, ..)| (frame, location)))
    }

    /// Goes through what is left, and says where the journal ends.
    ///
    /// # Errors
    /// As [`Frames::next`]; [`NodeError::Lost`] where the last clean stop was further on.
    pub(crate) fn end(mut self) -> Result<End, NodeError> {
        while self.next()?.is_some() {}
        if let Some(closed) = self.closed {
            self.end.reaches(self.dir, closed.entries, "journal/closed")?;
            self.end.closed = (closed.entries, closed.chain) == (self.end.entries, self.end.chain);
        }
        Ok(self.end)
    }

    /// Reads the next segment of which something counts.
    fn read_segment(&mut self) -> Result<Option<OpenSegment>, NodeError> {
        while let Some((header, later)) = self.headers.get(self.next_segment as usize..).and_then(<[_]>::split_first) {
            let segment = self.next_segment;
            self.next_segment += 1;
            // What counts ends where the earliest of the later ones begins.
            let stop = later.iter().map(|later| later.first).min();
            if stop.is_some_and(|stop| stop <= header.first) {
                continue;
            }
            let (path, end) = (segment_path(self.dir, segment), &mut self.end);
            let marked = self.marked == Some(segment);
            if !marked && (header.first, header.chain) != (end.entries, end.chain) {
                return Err(NodeError::Damaged { file: path, offset: 0, index: end.entries });
            }
            let from = if marked { end.offset } else { 0 };
            let (bytes, len) = self.disk.read_written(&path, from).map_err(disk::failed("cannot read", &path))?;
            if !marked {
                (end.segment, end.offset) = (segment, HEADER_BYTES as u64);
            }
            (self.offset, self.chain, self.entries) = (end.offset as usize, end.chain, end.entries);
            return Ok(Some(OpenSegment { path, bytes, len, full_len: header.len, stop }));
        }
        Ok(None)
    }

    /// Goes behind the next frame of the open segment, if there is one that counts.
    fn pass_frame(&mut self, segment: &OpenSegment) -> Result<bool, NodeError> {
        let end = &mut self.end;
        if segment.stop == Some(end.entries) {
            return Ok(false);
        }
        let Some((frame, chain, behind)) = tagged_at(&segment.bytes, self.offset, &self.chain, end.tag) else {
            return Ok(false);
        };
        let is_entry = frame.kind == FrameKind::Entry;
        let expected = if is_entry { self.entries } else { self.entries.wrapping_sub(1) };
        if (frame.index, frame.block) != (expected, end.entries) {
            return Err(segment.damaged(self.offset, self.entries));
        }
        (self.offset, self.chain, self.entries) = (behind, chain, self.entries + u64::from(is_entry));
        if frame.is_seal() {
            let (first, chain_before, behind) = (end.entries, end.chain, behind as u64);
            end.last = Some(LastBlock { segment: end.segment, offset: end.offset, end: behind, first, chain_before });
            (end.offset, end.chain, end.entries) = (behind, chain, self.entries);
            if self.closed.is_some_and(|closed| closed.entries == end.entries && closed.chain != chain) {
                let problem = "the journal was closed here with another chain value (journal/closed)".into();
                return Err(NodeError::Inconsistent { index: frame.index, problem });
            }
        }
        Ok(true)
    }

    /// Looks at what stands in a segment behind the last frame that counts.
    fn leave(&mut self, segment: &OpenSegment) -> Result<(), NodeError> {
        let OpenSegment { bytes, len, full_len, stop, .. } = segment;
        let end = &mut self.end;
        let whole = match stop {
            Some(stop) => *stop == end.entries,
            None => !later_frame_behind(bytes, self.offset, end.entries, end.tag),
        };
        if !whole {
            return Err(segment.damaged(self.offset, self.entries));
        }
        let behind = bytes.get(end.offset as usize..).unwrap_or_default();
        // All bytes at once, which is faster than to look at one after the other.
        let anything = behind.iter().fold(0, |all, byte| all | byte) != 0;
        end.cut = stop.is_none() && *len == end.offset && len < full_len;
        end.torn = stop.is_none() && !end.cut && (anything || len != full_len);
        Ok(())
    }
}
