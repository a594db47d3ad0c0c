//! Precompiled code on disk, authenticated.
//!
//! ```text
//! name = hex(BLAKE3-derive-key("chancery 2026 code cache v1", module id ‖ price list version, u16 LE ‖ configuration))
//! file = MAC, 32 bytes ‖ code,   MAC = BLAKE3-keyed(key, name ‖ code)
//! ```
//!
//! Loading code is running it, so a file is trusted only by its MAC, whose key the node keeps. A file that was changed, replaced or made
//! under other prices or another engine is not used: the first two are deleted and compiled again, the others have other names.
//! The cache is derived: losing it costs time.

use crate::compile::CONFIGURATION;
use crate::prices::PRICES_VERSION;
use chancery_types::ModuleId;
use std::io::Write;
use std::path::PathBuf;

const MAC_BYTES: usize = 32;

/// A directory of precompiled code.
#[derive(Clone)]
pub struct Cache {
    dir: PathBuf,
    key: [u8; 32],
}

impl Cache {
    /// In this directory, authenticated by this key.
    pub fn new(dir: PathBuf, key: [u8; 32]) -> Self {
        Cache { dir, key }
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
            return Some(code.to_vec());
        }
        // A file that stays is refused again next time.
        drop(std::fs::remove_file(&path));
        None
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
        drop(write());
    }
}
