//! Reading entries back by their index, while the journal is written.

use super::frame::{FrameKind, chain_before, frame_at, parse_head, read_frame};
use super::{CHAIN_BYTES, HEAD_BYTES, Location, Locations, segment_path};
use crate::NodeError;
use crate::disk::{self, Disk, DiskFile};
use chancery_types::{Entry, Hash};
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

/// Segments that are kept open; when there are as many, all are closed.
const FILES_MAX: usize = 64;

/// Reads entries back, while the journal is written.
pub(crate) struct Reader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    pub(super) locations: RwLock<Locations>,
    files: Mutex<HashMap<u32, Arc<dyn DiskFile>>>,
}

impl Reader {
    /// How many entries there are.
    pub(crate) fn size(&self) -> u64 {
        self.locations().len()
    }

    /// The bytes of entry `index`, without its effects.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub(crate) fn entry(&self, index: u64) -> Result<Vec<u8>, NodeError> {
        Ok(self.frames(index, false)?.0)
    }

    /// The bytes of several entries, without their effects: what lies side by side is read at once.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub(crate) fn entries(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, NodeError> {
        let locations = range.clone().map(|index| self.location(index)).collect::<Result<Vec<_>, _>>()?;
        let mut found = Vec::with_capacity(locations.len());
        for run in locations.chunk_by(|one, next| one.segment == next.segment && one.offset < next.offset) {
            // Where the last one ends is not known.
            if let [first, .., last] = run {
                let path = segment_path(&self.dir, first.segment);
                let file = self.file(first.segment, &path)?;
                let mut bytes = vec![0; (last.offset - first.offset) as usize];
                file.read_at(&mut bytes, first.offset.into()).map_err(disk::failed("cannot read", &path))?;
                for place in &run[..run.len() - 1] {
                    let (index, at) = (range.start + found.len() as u64, (place.offset - first.offset) as usize);
                    let before = match at.checked_sub(CHAIN_BYTES).and_then(|from| bytes[from..].first_chunk()) {
                        Some(chain) => Hash(*chain),
                        None => {
                            chain_before(&*file, place.offset.into()).map_err(disk::failed("cannot read", &path))?
                        }
                    };
                    let frame = frame_at(&bytes, at, &before).map(|(frame, ..)| frame);
                    match frame.filter(|frame| (frame.kind, frame.index) == (FrameKind::Entry, index)) {
                        Some(frame) => found.push(frame.payload.to_vec()),
                        None => return Err(NodeError::Damaged { file: path, offset: place.offset.into(), index }),
                    }
                }
            }
            found.push(self.entry(range.start + found.len() as u64)?);
        }
        Ok(found)
    }

    /// The payloads of entry `index`: the entry, and its effects where it has some. They are checked against their
    /// chain values.
    ///
    /// # Errors
    /// [`NodeError::NoEntry`], [`NodeError::Damaged`], or what reading meets.
    pub(crate) fn read(&self, index: u64) -> Result<(Vec<u8>, Option<Vec<u8>>), NodeError> {
        self.frames(index, true)
    }

    /// Where the entries lie.
    pub(crate) fn locations(&self) -> RwLockReadGuard<'_, Locations> {
        self.locations.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out where the entries lie: it knows of none afterwards.
    pub(crate) fn take_locations(&self) -> Locations {
        std::mem::take(&mut *self.locations.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The index of the seal of entry `index`'s block: the last entry that names the same block.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub(crate) fn seal_of(&self, index: u64) -> Result<u64, NodeError> {
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
        let locations = self.locations();
        locations.get(index).ok_or(NodeError::NoEntry { index, size: locations.len() })
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
        if files.len() >= FILES_MAX {
            files.clear();
        }
        files.insert(segment, file.clone());
        Ok(file)
    }
}

pub(crate) fn reader(disk: Arc<dyn Disk>, dir: &Path, locations: Locations) -> Arc<Reader> {
    Arc::new(Reader { disk, dir: dir.into(), locations: RwLock::new(locations), files: Mutex::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Block, Journal};
    use crate::sim::SimDisk;
    use chancery_types::LedgerId;

    #[test]
    fn no_more_than_so_many_segments_are_open_at_once() {
        let entries = 2 * FILES_MAX as u64 + 5;
        // Too short for a second entry: every block begins a segment.
        let mut journal = Journal::create(Arc::new(SimDisk::new(1)), Path::new("/"), LedgerId::default(), 256).unwrap();
        let payload = |index: u64| index.to_le_bytes().repeat(8);
        for index in 0..entries {
            let (mut block, mut chain) = (Block::new(index, journal.tag()), journal.chain());
            block.push(FrameKind::Entry, index, &payload(index), &mut chain);
            journal.append(&block, chain).unwrap();
        }
        let reader = journal.reader();
        let mut most = 0;
        for index in (0..entries).chain(0..entries) {
            assert_eq!(reader.entry(index).unwrap(), payload(index));
            most = most.max(reader.files.lock().unwrap().len());
        }
        assert_eq!(most, FILES_MAX);
    }
}
