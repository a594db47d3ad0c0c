//! What the log consists of: its entries and their hashes.
//!
//! Entries lie in the journal. Of their hashes, memory keeps what is above tiles of 256 and what is recent; any other
//! is computed from the entries of its tile, which are read again.

use crate::NodeError;
use crate::journal::Reader;
use chancery_tlog::Checkpoint;
use chancery_tlog::merkle::{self, TILE_LEVEL};
use chancery_tlog::tile::{self, Bundle, Tile, encode_bundle};
use chancery_types::Hash;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// Entries and their hashes.
#[derive(Clone)]
pub(crate) struct Content {
    pub(crate) reader: Arc<Reader>,
    pub(crate) log: Arc<RwLock<merkle::Tree>>,
}

impl Content {
    pub(crate) fn new(reader: Arc<Reader>, log: merkle::Tree) -> Self {
        Content { reader, log: Arc::new(RwLock::new(log)) }
    }

    pub(crate) fn log(&self) -> RwLockReadGuard<'_, merkle::Tree> {
        self.log.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The root over the first `size` entries.
    ///
    /// # Errors
    /// [`NodeError::NoEntry`] where there are none, or fewer; as [`Reader::entry`].
    pub(crate) fn root_at(&self, size: u64) -> Result<Hash, NodeError> {
        self.check(size > 0, size)?;
        merkle::range(0, size, &mut self.hashes())
    }

    /// The audit path of an entry in the log of `size` entries.
    ///
    /// # Errors
    /// As [`Content::root_at`].
    pub(crate) fn prove_inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, NodeError> {
        self.check(index < size, size)?;
        merkle::inclusion(index, size, &mut self.hashes())
    }

    /// The consistency proof from `old` entries to `new`.
    ///
    /// # Errors
    /// As [`Content::root_at`].
    pub(crate) fn prove_consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, NodeError> {
        self.check(old > 0 && old <= new, new)?;
        merkle::consistency(old, new, &mut self.hashes())
    }

    /// The bytes of a tile.
    ///
    /// # Errors
    /// As [`Content::root_at`].
    pub(crate) fn tile(&self, tile: &Tile) -> Result<Vec<u8>, NodeError> {
        if let Some(bytes) = self.log().tile(tile) {
            return Ok(bytes);
        }
        let (level, first) = (u32::from(tile.level) * TILE_LEVEL, tile.index.saturating_mul(tile::WIDTH));
        let covered = first.checked_add(tile.width.into()).and_then(|end| end.checked_mul(1 << level.min(63)));
        self.check(covered.is_some(), covered.unwrap_or(u64::MAX))?;
        let mut hashes = self.hashes();
        let hashes = (0..u64::from(tile.width)).map(|number| hashes(level, first + number));
        Ok(hashes.collect::<Result<Vec<_>, _>>()?.iter().flat_map(|hash| hash.0).collect())
    }

    /// The bytes of a bundle.
    ///
    /// # Errors
    /// As [`Reader::entries`].
    pub(crate) fn bundle(&self, bundle: &Bundle) -> Result<Vec<u8>, NodeError> {
        let indices = bundle.first()..bundle.first() + u64::from(bundle.width);
        let entries = self.reader.entries(indices)?;
        let problem =
            |error: tile::TileError| NodeError::Inconsistent { index: bundle.first(), problem: error.to_string() };
        encode_bundle(&entries).map_err(problem)
    }

    /// The checkpoint over the first `size` entries.
    ///
    /// # Errors
    /// As [`Content::root_at`].
    pub(crate) fn checkpoint(&self, origin: &str, size: u64) -> Result<Checkpoint, NodeError> {
        Ok(Checkpoint { origin: origin.into(), size, root: self.root_at(size)? })
    }

    fn check(&self, holds: bool, covered: u64) -> Result<(), NodeError> {
        let size = self.log().size();
        if holds && covered <= size { Ok(()) } else { Err(NodeError::NoEntry { index: covered.max(1) - 1, size }) }
    }

    /// The hashes of complete subtrees, each by its level and number.
    fn hashes(&self) -> impl FnMut(u32, u64) -> Result<Hash, NodeError> {
        // The tile whose entries were read last.
        let mut read = (u64::MAX, merkle::Tree::new());
        move |level, number| {
            if let Some(hash) = self.log().row(level, number, 1).and_then(|row| row.first().copied()) {
                return Ok(hash);
            }
            let absent = NodeError::NoEntry { index: number, size: self.log().size() };
            let Some(below) = TILE_LEVEL.checked_sub(level) else { return Err(absent) };
            let tile = number >> below;
            if read.0 != tile {
                let mut tree = merkle::Tree::new();
                let entries = self.reader.entries(tile << TILE_LEVEL..(tile + 1) << TILE_LEVEL)?;
                entries.iter().for_each(|entry| tree.push(merkle::leaf_hash(entry)));
                read = (tile, tree);
            }
            let within = number - (tile << below);
            read.1.row(level, within, 1).and_then(|row| row.first().copied()).ok_or(absent)
        }
    }
}
