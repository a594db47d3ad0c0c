//! Files that come into being whole, and directories that stay.

use super::{Disk, DiskFile, failed, parent};
use crate::{NodeError, failpoint};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// More files than this are made durable by one call for the whole file system, fewer by one call each: the former also
/// waits for what others have written.
const SYNC_EACH_MAX: usize = 16;

/// Ending of the files that a crash may leave and nobody reads.
pub(crate) const TEMPORARY: &str = ".tmp";

impl dyn Disk + '_ {
    /// Makes a directory and those above it that are missing, with these permission bits, each durable in its parent.
    ///
    /// # Errors
    /// [`NodeError::Io`] or [`NodeError::DiskFull`].
    pub fn make_dirs(&self, path: &Path, mode: u32) -> Result<(), NodeError> {
        let exists = |path: &Path| self.exists(path).map_err(failed("cannot look for", path));
        let mut missing = Vec::new();
        for dir in path.ancestors().filter(|dir| !dir.as_os_str().is_empty()) {
            if exists(dir)? {
                // A try before may have ended between making it and making its name durable; those above were durable
                // by then.
                match self.sync_dir(parent(dir)) {
                    Err(error) if error.kind() != ErrorKind::PermissionDenied => {
                        return Err(failed("cannot make durable", parent(dir))(error));
                    }
                    // Where the parent may not be opened, the directory is not ours to have made.
                    _ => break,
                }
            }
            missing.push(dir);
        }
        for dir in missing.into_iter().rev() {
            match self.make_dir(dir, mode) {
                // Another thread was faster; its name may not be durable yet.
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(failed("cannot make directory", dir)(error));
                }
                _ => self.sync_dir(parent(dir)).map_err(failed("cannot make durable", parent(dir)))?,
            }
        }
        Ok(())
    }

    /// Writes a file whole and durable.
    ///
    /// # Errors
    /// [`NodeError::Io`] or [`NodeError::DiskFull`]; the old file is untouched then.
    pub fn write_file(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), NodeError> {
        self.create_file(path, mode, |file| file.write_at(bytes, 0))
    }

    /// Makes a file that `fill` fills, whole and durable.
    ///
    /// # Errors
    /// As `write_file`.
    pub fn create_file(
        &self,
        path: &Path,
        mode: u32,
        fill: impl FnOnce(&dyn DiskFile) -> io::Result<()>,
    ) -> Result<(), NodeError> {
        // Two threads may write the same file: each renames one of its own.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!("{name}.{number}{TEMPORARY}"));
        let write = || {
            let file = self.create(&temporary, mode)?;
            fill(&*file)?;
            failpoint::pass("file-written");
            file.sync_all()?;
            failpoint::pass("file-synced");
            self.rename(&temporary, path)?;
            failpoint::pass("file-renamed");
            Ok(())
        };
        if let Err(error) = write() {
            // What was written is of no use; that it may stay is harmless.
            drop(self.remove(&temporary));
            return Err(failed("cannot write", path)(error));
        }
        self.sync_dir(parent(path)).map_err(failed("cannot make durable", parent(path)))
    }

    /// Writes several files below `dir`, each whole, all durable when it returns, in one pass for the contents and one
    /// for the names. Whoever may read the files may go into the directories that are made for them. Only one thread at
    /// a time may write the same files; what a crash leaves of them is overwritten by the next try.
    ///
    /// # Errors
    /// As `write_file`; some of the files may have been written then.
    pub fn write_files(&self, dir: &Path, files: &[(PathBuf, Vec<u8>)], mode: u32) -> Result<(), NodeError> {
        if files.is_empty() {
            return Ok(());
        }
        let parents: BTreeSet<&Path> = files.iter().map(|(path, _)| parent(path)).collect();
        let dir_mode = mode | (mode & 0o444) >> 2;
        parents.iter().try_for_each(|dir| self.make_dirs(dir, dir_mode))?;
        let temporary = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            path.with_file_name(format!("{name}{TEMPORARY}"))
        };
        let each = files.len() <= SYNC_EACH_MAX;
        for (path, bytes) in files {
            let write = || {
                let file = self.create(&temporary(path), mode)?;
                file.write_at(bytes, 0)?;
                if each { file.sync_all() } else { Ok(()) }
            };
            write().map_err(failed("cannot write", path))?;
        }
        let all = || self.sync_file_system(dir).map_err(failed("cannot make durable", dir));
        if !each && !all()? {
            for (path, _) in files {
                let sync = self.open(&temporary(path), true).and_then(|file| file.sync_all());
                sync.map_err(failed("cannot make durable", path))?;
            }
        }
        for (path, _) in files {
            self.rename(&temporary(path), path).map_err(failed("cannot write", path))?;
        }
        if !each && all()? {
            return Ok(());
        }
        parents.iter().try_for_each(|dir| self.sync_dir(dir).map_err(failed("cannot make durable", dir)))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`NodeError::Io`].
    pub fn read_file(&self, path: &Path) -> Result<Vec<u8>, NodeError> {
        self.read(path).map_err(failed("cannot read", path))
    }

    /// Reads a file that may be missing.
    ///
    /// # Errors
    /// [`NodeError::Io`].
    pub fn read_if_there(&self, path: &Path) -> Result<Option<Vec<u8>>, NodeError> {
        match self.read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            // Nor is anything below what is no directory.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(failed("cannot read", path)(error)),
        }
    }

    /// Removes what interrupted writes left in a directory.
    ///
    /// # Errors
    /// [`NodeError::Io`].
    pub fn remove_temporary(&self, dir: &Path) -> Result<(), NodeError> {
        for name in self.list(dir).map_err(failed("cannot list", dir))? {
            if name.ends_with(TEMPORARY) {
                let path = dir.join(name);
                self.remove(&path).map_err(failed("cannot remove", &path))?;
            }
        }
        Ok(())
    }
}
