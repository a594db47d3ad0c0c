//! Reading entries back by their index, while the journal is written.

use super::frame::{FrameKind, chain_before, parse_head, read_frame};
use super::{HEAD_BYTES, Location, segment_path};
use crate::NodeError;
use crate::disk::{self, Disk, DiskFile};
use chancery_types::Entry;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Reads entries back, while the journal is written.
pub struct Reader {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    pub(super) locations: RwLock<Vec<Location>>,
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

pub(crate) fn reader(disk: Arc<dyn Disk>, dir: &Path, locations: Vec<Location>) -> Arc<Reader> {
    Arc::new(Reader { disk, dir: dir.into(), locations: RwLock::new(locations), files: Mutex::default() })
}
