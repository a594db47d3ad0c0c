//! Precompiled code on disk, authenticated.
//!
//! ```text
//! name = hex(BLAKE3-derive-key("chancery 2026 code cache v2",
//!            module id, 32 bytes ‖ price list version, u16 LE ‖ compatibility, 32 bytes))
//! file = MAC, 32 bytes ‖ code,   MAC = BLAKE3-keyed(key, name ‖ code)
//! ```
//!
//! `compatibility` is a hash of wasmtime's version and settings, the processor's features and the version of our
//! instrumentation (`compile::Compatibility`).
//!
//! Loading code is running it, so a file is trusted only by its MAC, whose key the node keeps. A file that was changed
//! or replaced is deleted and its module compiled again; code made under other prices or by another engine has another
//! name. Should wasmtime refuse a file whose MAC is right, the engine compiles the module again and replaces the file.
//!
//! The cache is derived: losing it costs time. It is bounded: when its files together exceed [`CACHE_BYTES_MAX`], those
//! that were not used for the longest go first, among them what older engines and price lists left. A module whose file
//! is gone is compiled again.

use crate::compile::Compatibility;
use crate::limits::CACHE_BYTES_MAX;
use crate::prices::PRICES_VERSION;
use chancery_types::ModuleId;
use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
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

    fn mac(&self, name: &str, code: &[u8]) -> blake3::Hash {
        blake3::Hasher::new_keyed(&self.key).update(name.as_bytes()).update(code).finalize()
    }

    /// The code of a module, if a file holds it and its MAC is right. A wrong one is deleted.
    pub(crate) fn load(&self, module: &ModuleId, compatibility: &Compatibility) -> Option<Vec<u8>> {
        let name = name(module, PRICES_VERSION, compatibility);
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

    /// Keeps the code of a module in place of what was kept before. A cache that cannot be written is no fault: the
    /// module is compiled again next time.
    pub(crate) fn store(&self, module: &ModuleId, compatibility: &Compatibility, code: &[u8]) {
        let name = name(module, PRICES_VERSION, compatibility);
        let write = || -> std::io::Result<()> {
            DirBuilder::new().recursive(true).mode(0o750).create(&self.dir)?;
            let temporary = self.dir.join(format!("{name}.{}.tmp", std::process::id()));
            let fill = |mut file: std::fs::File| {
                file.write_all(self.mac(&name, code).as_bytes())?;
                file.write_all(code)
            };
            let filled = std::fs::File::create(&temporary).and_then(fill);
            let named = filled.and_then(|()| std::fs::rename(&temporary, self.dir.join(&name)));
            if named.is_err() {
                // On a full disk it would take the last room, once for every process.
                drop(std::fs::remove_file(&temporary));
            }
            named
        };
        drop(write().and_then(|()| self.evict(&name)));
    }

    /// Removes files, those first that were not used for the longest, until the rest is within the bound. `newest`
    /// stays in any case.
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

/// The name of the file that holds the code of a module.
fn name(module: &ModuleId, prices_version: u16, compatibility: &Compatibility) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("chancery 2026 code cache v2");
    hasher.update(&module.0).update(&prices_version.to_le_bytes()).update(compatibility.as_bytes());
    hasher.finalize().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::configuration;
    use std::time::Duration;

    fn compatibility(level: wasmtime::OptLevel) -> Compatibility {
        let mut config = configuration();
        config.cranelift_opt_level(level);
        Compatibility::of(&wasmtime::Engine::new(&config).unwrap())
    }

    #[test]
    fn module_prices_and_engine_each_change_the_name() {
        let [speed, plain] = [wasmtime::OptLevel::Speed, wasmtime::OptLevel::None].map(compatibility);
        let module = ModuleId([1; 32]);
        let first = name(&module, PRICES_VERSION, &speed);
        assert_eq!(name(&module, PRICES_VERSION, &speed), first);
        assert_ne!(name(&ModuleId([2; 32]), PRICES_VERSION, &speed), first);
        assert_ne!(name(&module, PRICES_VERSION + 1, &speed), first);
        assert_ne!(name(&module, PRICES_VERSION, &plain), first);
    }

    #[test]
    fn code_that_cannot_be_kept_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().into(), [7; 32]);
        let (module, compatibility) = (ModuleId([1; 32]), compatibility(wasmtime::OptLevel::Speed));
        let path = dir.path().join(name(&module, PRICES_VERSION, &compatibility));
        std::fs::create_dir(&path).unwrap();
        cache.store(&module, &compatibility, &[1; 1_000]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file stays");
        std::fs::remove_dir(&path).unwrap();
        cache.store(&module, &compatibility, &[1; 1_000]);
        assert_eq!(cache.load(&module, &compatibility), Some(vec![1; 1_000]));
    }

    #[test]
    fn what_was_not_used_for_the_longest_goes_first_and_is_missed() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().into(), [7; 32]).bounded(2_500);
        let compatibility = compatibility(wasmtime::OptLevel::Speed);
        let module = |number: u8| ModuleId([number; 32]);
        let load = |number| cache.load(&module(number), &compatibility);
        let store = |number, code: &[u8]| cache.store(&module(number), &compatibility, code);
        let age = |number: u8, seconds| {
            let path = dir.path().join(name(&module(number), PRICES_VERSION, &compatibility));
            let file = std::fs::File::options().append(true).open(path);
            file.unwrap().set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
        };
        store(1, &[1; 1_000]);
        store(2, &[2; 1_000]);
        age(1, 200);
        age(2, 100);
        assert!(load(1).is_some(), "now it was used last");
        store(3, &[3; 1_000]);
        assert_eq!(load(1), Some(vec![1; 1_000]));
        assert_eq!(load(2), None);
        assert_eq!(load(3), Some(vec![3; 1_000]));
        store(2, &[2; 3_000]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "one that exceeds the bound alone stays alone");
        assert_eq!(load(2), Some(vec![2; 3_000]));
    }
}
