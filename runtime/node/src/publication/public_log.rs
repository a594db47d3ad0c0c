//! The files of a public log, as they are written in place and read back.

use crate::NodeError;
use crate::content::Content;
use crate::disk::{self, Disk};
use chancery_tlog::tile::{self, bundles_for, tiles_for};
use chancery_tlog::{Bundle, Tile};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of tiles and bundles that are written in one pass.
const PASS_BYTES_MAX: usize = 32 << 20;

/// A public log's directory.
#[derive(Clone)]
pub(crate) struct PublicLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// Held while the checkpoint is replaced.
    replacing: Arc<Mutex<()>>,
}

impl PublicLog {
    /// The public log of a data directory.
    pub(crate) fn of(disk: Arc<dyn Disk>, data: &Path) -> Self {
        PublicLog::at(disk, &data.join("public"))
    }

    /// Where the checkpoint of a data directory lies.
    pub(crate) fn path(data: &Path) -> PathBuf {
        data.join("public/checkpoint")
    }

    /// A public log in this directory.
    pub(crate) fn at(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        PublicLog { disk, dir: dir.into(), replacing: Arc::default() }
    }

    /// Where its checkpoint lies.
    pub(crate) fn checkpoint_path(&self) -> PathBuf {
        self.dir.join("checkpoint")
    }

    /// Its checkpoint, if there is one.
    pub(crate) fn checkpoint(&self) -> Result<Option<String>, NodeError> {
        let path = self.checkpoint_path();
        let note = self.disk.read_if_there(&path)?.map(String::from_utf8).transpose();
        note.map_err(|_| NodeError::Checkpoint(format!("{} is not UTF-8", path.display())))
    }

    /// Replaces the checkpoint, durably.
    pub(crate) fn put_checkpoint(&self, note: &str) -> Result<(), NodeError> {
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        self.disk.make_dirs(&self.dir, disk::PUBLIC)?;
        self.disk.write_file(&self.checkpoint_path(), note.as_bytes(), 0o644)
    }

    /// Replaces the checkpoint, durably, where it is still `old`. Says whether it was.
    pub(crate) fn replace_checkpoint(&self, old: &str, new: &str) -> Result<bool, NodeError> {
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.checkpoint()?.as_deref() == Some(old);
        if current {
            self.disk.write_file(&self.checkpoint_path(), new.as_bytes(), 0o644)?;
        }
        Ok(current)
    }

    /// Writes what size `new` has and size `old` has not, durably.
    pub(crate) fn extend(&self, content: &Content, old: u64, new: u64) -> Result<(), NodeError> {
        self.write(content, tiles_for(old, new), bundles_for(old, new))
    }

    /// Removes the partial tiles of size `old` and before whose full tiles size `new` has.
    pub(crate) fn tidy(&self, old: u64, new: u64) {
        let full = tiles_for(old, new).filter(|tile| u64::from(tile.width) == tile::WIDTH);
        let bundle = |tile: &Tile| Bundle { index: tile.index, width: tile.width };
        for tile in full {
            // Only the tile at the edge was partial before.
            if tile.index == (old >> (8 * u32::from(tile.level))) / tile::WIDTH {
                let entries = (tile.level == 0).then(|| bundle(&tile).path());
                for path in entries.into_iter().chain([tile.path()]) {
                    // What stays is harmless.
                    let dir = self.dir.join(format!("{path}.p"));
                    let names = self.disk.list(&dir).unwrap_or_default();
                    names.iter().for_each(|name| drop(self.disk.remove(&dir.join(name))));
                    drop(self.disk.remove_dir(&dir));
                }
            }
        }
    }

    /// Writes again what of size `size` is missing, is a tile of a wrong length, or is wrong at the right edge.
    pub(crate) fn repair(&self, content: &Content, size: u64) -> Result<(), NodeError> {
        let edge = |level: u8, index: u64| index + 1 >= (size >> (8 * u32::from(level))).div_ceil(tile::WIDTH);
        let mut tiles = Vec::new();
        for tile in tiles_for(0, size) {
            let path = self.dir.join(tile.path());
            let length = self.disk.len(&path).ok();
            let sound = length == Some(u64::from(tile.width) * 32)
                && (!edge(tile.level, tile.index) || self.disk.read_file(&path)? == content.tile(&tile)?);
            if !sound {
                tiles.push(tile);
            }
        }
        let mut bundles = Vec::new();
        for bundle in bundles_for(0, size) {
            let path = self.dir.join(bundle.path());
            let sound = self.disk.exists(&path).map_err(disk::failed("cannot look for", &path))?
                && (!edge(0, bundle.index) || self.disk.read_file(&path)? == content.bundle(&bundle)?);
            if !sound {
                bundles.push(bundle);
            }
        }
        self.write(content, tiles.into_iter(), bundles.into_iter())
    }

    fn write(
        &self,
        content: &Content,
        tiles: impl Iterator<Item = Tile>,
        bundles: impl Iterator<Item = Bundle>,
    ) -> Result<(), NodeError> {
        let tiles = tiles.map(|tile| Ok::<_, NodeError>((tile.path(), content.tile(&tile)?)));
        let bundles = bundles.map(|bundle| Ok((bundle.path(), content.bundle(&bundle)?)));
        let (mut files, mut bytes) = (Vec::new(), 0);
        for file in tiles.chain(bundles) {
            let (path, content) = file?;
            bytes += content.len();
            files.push((self.dir.join(path), content));
            if bytes >= PASS_BYTES_MAX {
                self.disk.write_files(&self.dir, &std::mem::take(&mut files), 0o644)?;
                bytes = 0;
            }
        }
        self.disk.write_files(&self.dir, &files, 0o644)
    }
}
