//! What a file holds: as it was written, and as it is durable.

use super::Random;
use std::collections::BTreeSet;

const SECTOR_BYTES: usize = 512;

/// A file's bytes.
#[derive(Clone, Default)]
pub(super) struct Content {
    pub(super) written: Vec<u8>,
    pub(super) durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

impl Content {
    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len();
        if self.written.len() < end {
            self.written.resize(end, 0);
        }
        self.written[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR_BYTES..=(end - 1) / SECTOR_BYTES);
    }

    /// The system writes some of what is dirty to the disk, as it may at any time; it is no less dirty.
    pub(super) fn write_back(&mut self, random: &mut Random) {
        let most = self.written.len().max(self.durable.len());
        self.durable.resize(most, 0);
        let all = random.once_in(2);
        for sector in self.dirty.clone() {
            if all || random.once_in(2) {
                self.keep_sector(sector, SECTOR_BYTES);
            }
        }
    }

    pub(super) fn set_len(&mut self, len: usize) {
        let shorter = len.min(self.written.len());
        // What is cut off reads as zeros when the file grows again.
        self.dirty.extend(shorter / SECTOR_BYTES..=len.max(self.written.len()) / SECTOR_BYTES);
        self.written.resize(len, 0);
    }

    fn keep_sector(&mut self, sector: usize, bytes: usize) {
        let from = sector * SECTOR_BYTES;
        let to = (from + bytes).min(self.written.len()).min(self.durable.len());
        if from < to {
            self.durable[from..to].copy_from_slice(&self.written[from..to]);
        }
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.written.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            self.keep_sector(sector, SECTOR_BYTES);
        }
    }

    /// Makes any part of what is dirty durable, and nothing is dirty then.
    pub(super) fn sync_some(&mut self, random: &mut Random) {
        if random.once_in(2) {
            self.durable.resize(self.written.len(), 0);
        }
        // Nothing, everything, or each by a throw.
        let mood = random.below(4);
        for sector in std::mem::take(&mut self.dirty) {
            let keep = mood == 1 || (mood >= 2 && random.once_in(2));
            if keep {
                let torn = random.once_in(16);
                let bytes = if torn { random.below(SECTOR_BYTES as u64) as usize } else { SECTOR_BYTES };
                self.keep_sector(sector, bytes);
            }
        }
    }
}
