//! The blob store: modules by their BLAKE3, durable before the entry that names them.
//!
//! ```text
//! DIR/blobs/<2 hex>/<64 hex>
//! ```
//!
//! A file that is there need not be durable: whoever put it may have met a failing fsync, or have been killed before
//! it, and then it reads well from memory alone. So what counts is what *this* opening of the ledger has written and
//! fsynced. A module that is deployed and was put by an earlier one is written anew before its block is committed; the
//! sequencer asks for that ([`Blobs::make_durable`]). Deployments are rare.

use crate::NodeError;
use crate::disk::{self, Disk};
use chancery_types::{Hash, ModuleId};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A module's file below the directory of the blobs.
pub(crate) fn name(module: &ModuleId) -> String {
    let name = module.to_string();
    format!("{}/{name}", &name[..2])
}

/// The bytes of a module from its file.
pub(crate) fn read(disk: &dyn Disk, path: &Path, module: &ModuleId) -> Result<Vec<u8>, NodeError> {
    let wasm = disk.read_if_there(path)?.ok_or(NodeError::NoModule(*module))?;
    if Hash::of(&wasm).0 == module.0 { Ok(wasm) } else { Err(NodeError::DamagedFile(path.into())) }
}

/// The blobs of one ledger.
pub(crate) struct Blobs {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// What is durable for certain.
    durable: Mutex<HashSet<ModuleId>>,
}

impl Blobs {
    /// The blobs of a data directory.
    pub(crate) fn of(disk: Arc<dyn Disk>, data: &Path) -> Self {
        Blobs::at(disk, &data.join("blobs"))
    }

    /// Blobs in this directory.
    pub(crate) fn at(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Blobs { disk, dir: dir.into(), durable: Mutex::default() }
    }

    fn path(&self, module: &ModuleId) -> PathBuf {
        self.dir.join(name(module))
    }

    /// A module's bytes: those of its id, whatever the disk says.
    pub(crate) fn read(&self, module: &ModuleId) -> Result<Vec<u8>, NodeError> {
        read(&*self.disk, &self.path(module), module)
    }

    /// Keeps a module's bytes, durably.
    pub(crate) fn put(&self, module: &ModuleId, wasm: &[u8]) -> Result<(), NodeError> {
        if self.is_durable(module) {
            return Ok(());
        }
        let path = self.path(module);
        let parent = path.parent().unwrap_or(&self.dir);
        self.disk.make_dirs(parent, disk::PRIVATE)?;
        // The folder's own name, where an earlier try made it and did not come further.
        self.disk.sync_dir(&self.dir).map_err(disk::failed("cannot make durable", &self.dir))?;
        self.disk.write_file(&path, wasm, 0o640)?;
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).insert(*module);
        Ok(())
    }

    /// Makes certain that a module which is there is durable.
    pub(crate) fn make_durable(&self, module: &ModuleId) -> Result<(), NodeError> {
        if self.is_durable(module) { Ok(()) } else { self.put(module, &self.read(module)?) }
    }

    fn is_durable(&self, module: &ModuleId) -> bool {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).contains(module)
    }
}
