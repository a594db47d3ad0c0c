//! Precompiled code on disk, authenticated.
//!
//! ```text
//! name = hex(BLAKE3-derive-key("chancery 2026 code cache v1", module id ‖ price list version, u16 LE ‖ configuration))
//! file = MAC, 32 bytes ‖ code,   MAC = BLAKE3-keyed(key, name ‖ code)
//! ```
//!
//! Loading code is running it, so a file is trusted only by its MAC, whose key the node keeps. A file that was changed, replaced or made
//! under other prices or another engine is not used: the first two are deleted and compiled again, the others have other names.
//! The cache is derived: losing it costs time. It is bounded: when its files together exceed [`CACHE_BYTES_MAX`], those that were not used for the
//! longest go first, among them what older engines and price lists left. A module whose file is gone is compiled again.

use crate::compile::CONFIGURATION;
use crate::limits::CACHE_BYTES_MAX;
use crate::prices::PRICES_VERSION;
use chancery_types::ModuleId;
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

const MAC_BYTES: usize = 32;

/// A directory of precompiled code.
#[derive(Clone)]
pub struct Cache {
    dir: PathBuf,
    key: [u8; 32],
    bytes_max: u64,
}

impl Cache {
    /// In this directory, authenticated by this key.
    pub fn new(dir: PathBuf, key: [u8; 32]) -> Self {
        Cache { dir, key, bytes_max: CACHE_BYTES_MAX }
    }

    /// With another bound on the bytes of its files together.
    pub fn bounded(self, bytes_max: u64) -> Self {
        Cache { bytes_max, ..self }
    }

    fn name(module: &ModuleId) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("chancery 2026 code cache v1");
        hasher.update(&module.0).update(&PRICES_VERSION.to_le_bytes()).update(CONFIGURATION.as_bytes());
        hasher.finalize().to_string()
    }

    fn mac(&self, name: &str, code: &[u8]) -> blake3::Hash {
        blake3::Hasher::new_keyed(&self.key).update(name.as_bytes()).update(code).finalize()
    }

    /// The code of a module, if a file holds it and its MAC is right. A wrong one is deleted.
    pub(crate) fn load(&self, module: &ModuleId) -> Option<Vec<u8>> {
        let name = Cache::name(module);
        let path = self.dir.join(&name);
        let bytes = std::fs::read(&path).ok()?;
        let (mac, code) = bytes.split_first_chunk::<MAC_BYTES>().unwrap_or((&[0; MAC_BYTES], &[]));
        // Comparison of blake3::Hash takes constant time.
        if self.mac(&name, code) == blake3::Hash::from_bytes(*mac) {
            // Its time says when it was last used. A file that cannot be touched goes earlier than it might.
            drop(
                std::fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now())),
            );
            return Some(code.to_vec());
        }
        // A file that stays is refused again next time.
        drop(std::fs::remove_file(&path));
        None
    }

    /// Files of the cache whose code is not what was put there under this key. They are never used.
    ///
    /// # Errors
    /// What reading the directory meets; one that is missing has no files.
    pub fn damaged(&self) -> std::io::Result<Vec<PathBuf>> {
        let files = match std::fs::read_dir(&self.dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files?,
        };
        let mut damaged = Vec::new();
        for file in files {
            let path = file?.path();
            let (name, bytes) = (path.file_name().unwrap_or_default().to_string_lossy(), std::fs::read(&path)?);
            let sound = bytes.split_first_chunk::<MAC_BYTES>();
            if sound.is_none_or(|(mac, code)| self.mac(&name, code) != blake3::Hash::from_bytes(*mac)) {
                damaged.push(path.clone());
            }
        }
        damaged.sort();
        Ok(damaged)
    }

    /// Keeps the code of a module. A cache that cannot be written is no fault: the module is compiled again next time.
    pub(crate) fn store(&self, module: &ModuleId, code: &[u8]) {
        let name = Cache::name(module);
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(&self.dir)?;
            let temporary = self.dir.join(format!("{name}.{}.tmp", std::process::id()));
            let mut file = std::fs::File::create(&temporary)?;
            file.write_all(self.mac(&name, code).as_bytes())?;
            file.write_all(code)?;
            std::fs::rename(temporary, self.dir.join(&name))
        };
        drop(write().and_then(|()| self.evict(&Cache::name(module))));
    }

    /// Removes files, those first that were not used for the longest, until the rest is within the bound. `newest` stays in any case.
    fn evict(&self, newest: &str) -> std::io::Result<()> {
        let mut files = Vec::new();
        for file in std::fs::read_dir(&self.dir)? {
            let (file, metadata) = file.and_then(|file| file.metadata().map(|metadata| (file, metadata)))?;
            if metadata.is_file() {
                files.push((file.file_name() == newest, metadata.modified()?, metadata.len(), file.path()));
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, _, len, _)| len).sum();
        for (newest, _, len, path) in files {
            if newest || bytes <= self.bytes_max {
                break;
            }
            std::fs::remove_file(path)?;
            bytes -= len;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_was_not_used_for_the_longest_goes_first_and_is_missed() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().into(), [7; 32]).bounded(2_500);
        let module = |number: u8| ModuleId([number; 32]);
        let age = |number: u8, seconds| {
            let file = std::fs::File::options().append(true).open(dir.path().join(Cache::name(&module(number))));
            file.unwrap().set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
        };
        cache.store(&module(1), &[1; 1_000]);
        cache.store(&module(2), &[2; 1_000]);
        age(1, 200);
        age(2, 100);
        assert!(cache.load(&module(1)).is_some(), "now it was used last");
        cache.store(&module(3), &[3; 1_000]);
        assert_eq!(cache.load(&module(1)), Some(vec![1; 1_000]));
        assert_eq!(cache.load(&module(2)), None);
        assert_eq!(cache.load(&module(3)), Some(vec![3; 1_000]));
        cache.store(&module(2), &[2; 3_000]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "one that exceeds the bound alone stays alone");
        assert_eq!(cache.load(&module(2)), Some(vec![2; 3_000]));
    }
}
