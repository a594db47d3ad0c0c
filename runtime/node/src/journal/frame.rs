//! Frames: what an entry or its effects are wrapped in, chained by hashes. The layout stands with the [journal](super).

use super::{CHAIN_BYTES, HEAD_BYTES, HEADER_BYTES, HEADER_CHAIN};
use crate::NodeError;
use crate::disk::DiskFile;
use crate::random::random;
use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};
use chancery_types::{Entry, Hash};
use std::ops::Range;
use std::sync::LazyLock;

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
pub(crate) struct Frame<'a> {
    /// What it holds.
    pub(crate) kind: FrameKind,
    /// Which entry it belongs to.
    pub(crate) index: u64,
    /// First entry of its block.
    pub(crate) block: u64,
    /// The payload.
    pub(crate) payload: &'a [u8],
}

impl Frame<'_> {
    /// Whether it is that of a seal, the end of a block.
    pub(crate) fn is_seal(&self) -> bool {
        self.kind == FrameKind::Entry && Entry::is_seal(self.payload)
    }
}

/// What each frame of a journal begins with, so that a frame is found behind a damaged one and cannot be forged by a caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameTag(pub(super) [u8; 4]);

impl FrameTag {
    /// That of all journals of version 2. It stands for the tag in the chain values, which do not depend on it.
    pub(super) const VERSION_2: FrameTag = FrameTag(*b"CHF2");

    /// One that nobody can guess.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(super) fn drawn() -> Result<Self, NodeError> {
        let [a, b, c, d, ..] = random()?;
        Ok(FrameTag([a, b, c, d]))
    }
}

impl Default for FrameTag {
    fn default() -> Self {
        FrameTag::VERSION_2
    }
}

/// Bytes of the tag.
const TAG_BYTES: usize = 4;
/// Where a frame's head has the length of the payload.
const HEAD_LEN: Range<usize> = 5..9;

fn chain_of(before: &Hash, head: &[u8], payload: &[u8]) -> Hash {
    static CONTEXT: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context("chancery 2026 journal frame v2"));
    let mut hasher = blake3::Hasher::new_from_context_key(&CONTEXT);
    let mut beginning = [0; CHAIN_BYTES + HEAD_BYTES];
    let (chain, rest) = beginning.split_at_mut(CHAIN_BYTES);
    chain.copy_from_slice(&before.0);
    rest[..TAG_BYTES].copy_from_slice(&FrameTag::VERSION_2.0);
    rest[TAG_BYTES..].copy_from_slice(&head[TAG_BYTES..HEAD_BYTES]);
    hasher.update(&beginning).update(payload);
    Hash(hasher.finalize().into())
}

/// The frames of a block as they are being put together.
#[derive(Default)]
pub struct Block {
    first: u64,
    tag: FrameTag,
    pub(super) bytes: Vec<u8>,
    /// Where each entry's frame begins.
    pub(super) entries: Vec<usize>,
}

impl Block {
    /// An empty block whose first entry will be `first`, of the journal with this [tag](super::Journal::tag).
    pub fn new(first: u64, tag: FrameTag) -> Self {
        Block { first, tag, bytes: Vec::new(), entries: Vec::new() }
    }

    /// Begins another block, at entry `first`, behind what is there: the two are written together.
    pub fn begin(&mut self, first: u64) {
        self.first = first;
    }

    /// Takes all frames out, and begins another block at entry `first`. Memory for so many bytes is kept.
    pub(crate) fn reset(&mut self, first: u64, tag: FrameTag, kept_max: usize) {
        self.tag = tag;
        self.bytes.clear();
        self.bytes.shrink_to(kept_max);
        self.entries.clear();
        self.begin(first);
    }

    /// Adds a frame; `chain` is the chain value before it and becomes the one behind it.
    pub fn push(&mut self, kind: FrameKind, index: u64, payload: &[u8], chain: &mut Hash) {
        self.push_with(kind, index, chain, |out| out.extend_from_slice(payload));
    }

    /// Adds a frame whose payload `encode` appends, and gives the payload.
    pub(crate) fn push_with(
        &mut self,
        kind: FrameKind,
        index: u64,
        chain: &mut Hash,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> &[u8] {
        if kind == FrameKind::Entry {
            self.entries.push(self.bytes.len());
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&self.tag.0);
        self.bytes.push(kind as u8);
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&index.to_le_bytes());
        self.bytes.extend_from_slice(&self.first.to_le_bytes());
        encode(&mut self.bytes);
        let (head, payload) = self.bytes[start..].split_at_mut(HEAD_BYTES);
        // A payload is bounded by the limits of entries and effects, far below u32.
        head[HEAD_LEN].copy_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
        *chain = chain_of(chain, head, payload);
        let end = self.bytes.len();
        self.bytes.extend_from_slice(&chain.0);
        &self.bytes[start + HEAD_BYTES..end]
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

/// The chain value before the frame at `offset`.
pub(super) fn chain_before(file: &dyn DiskFile, offset: u64) -> std::io::Result<Hash> {
    let mut chain = [0; CHAIN_BYTES];
    let first = offset == HEADER_BYTES as u64;
    let from = if first { HEADER_CHAIN.start as u64 } else { offset.saturating_sub(CHAIN_BYTES as u64) };
    file.read_at(&mut chain, from)?;
    Ok(Hash(chain))
}

/// The valid frame of entry `index` at `offset`, which moves behind it with `chain`; `None` where there is another or
/// none.
pub(super) fn read_frame(
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
    let Some((.., len, found, _)) = parse_head(&bytes).filter(|(_, len, ..)| *len <= super::BLOCK_BYTES_MAX) else {
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
pub(super) fn parse_head(head: &[u8]) -> Option<(FrameKind, usize, u64, u64)> {
    let (kind, rest) = head.get(TAG_BYTES..)?.split_first()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (index, rest) = rest.split_first_chunk::<8>()?;
    let (block, _) = rest.split_first_chunk::<8>()?;
    let kind = match kind {
        1 => FrameKind::Entry,
        2 => FrameKind::Effects,
        _ => return None,
    };
    let (index, block) = (u64::from_le_bytes(*index), u64::from_le_bytes(*block));
    Some((kind, u32::from_le_bytes(*len) as usize, index, block))
}

/// What stands at `offset` read as a frame, valid or not, with its chain value and where the next begins. Its tag may be
/// any.
pub(super) fn parse_frame(bytes: &[u8], offset: usize) -> Option<(Frame<'_>, Hash, usize)> {
    let (kind, len, index, block) = parse_head(bytes.get(offset..offset + HEAD_BYTES)?)?;
    let start = offset + HEAD_BYTES;
    let payload = bytes.get(start..start.checked_add(len)?)?;
    let end = start + len + CHAIN_BYTES;
    let chain = Hash(*bytes.get(start + len..end)?.first_chunk()?);
    Some((Frame { kind, index, block, payload }, chain, end))
}

/// As [`parse_frame`], if it is valid given the chain value before it.
pub(super) fn frame_at<'a>(bytes: &'a [u8], offset: usize, before: &Hash) -> Option<(Frame<'a>, Hash, usize)> {
    let (frame, chain, end) = parse_frame(bytes, offset)?;
    let head = &bytes[offset..offset + HEAD_BYTES];
    (chain_of(before, head, frame.payload) == chain).then_some((frame, chain, end))
}

/// As [`frame_at`], if it begins with this tag.
pub(super) fn tagged_at<'a>(
    bytes: &'a [u8],
    offset: usize,
    before: &Hash,
    tag: FrameTag,
) -> Option<(Frame<'a>, Hash, usize)> {
    bytes.get(offset..)?.starts_with(&tag.0).then(|| frame_at(bytes, offset, before))?
}

/// The chain value behind the frames of a whole block.
pub(super) fn chain_behind(block: &[u8], before: Hash) -> Option<Hash> {
    let (mut chain, mut offset) = (before, 0);
    while offset < block.len() {
        (_, chain, offset) = frame_at(block, offset, &chain)?;
    }
    Some(chain)
}

/// Whether a valid frame of a block later than `block` begins anywhere behind `offset`.
pub(super) fn later_frame_behind(bytes: &[u8], offset: usize, block: u64, tag: FrameTag) -> bool {
    let from = offset.max(HEADER_BYTES) + 1;
    let rest = bytes.get(from..).unwrap_or_default();
    memchr::memmem::find_iter(rest, &tag.0).map(|at| from + at).any(|position| {
        let before = bytes[..position].last_chunk().map(|chain| Hash(*chain));
        before.and_then(|before| frame_at(bytes, position, &before)).is_some_and(|(frame, ..)| frame.block > block)
    })
}
