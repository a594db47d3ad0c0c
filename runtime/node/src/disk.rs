//! The disk: the only way by which the node reaches files.
//!
//! [`Disk`] and [`DiskFile`] are what the node asks of a file system; [`OsDisk`] is the real one, a thin layer over
//! `std::fs`. Tests put a simulated one in its place that loses, tears and refuses what a real one may. The view is a
//! store of its own (sled) and not reached through here; it is derived and never trusted.
//!
//! # Rules
//!
//! - A file comes into being whole or not at all (`write_file`): a temporary one is written and fsynced, renamed, and
//!   its directory is fsynced. What a crash leaves is the old file or the new one, and perhaps a `.tmp`, which is
//!   removed on the next start.
//! - A new directory is fsynced into its parent, and each new parent into its own (`make_dirs`).
//! - The first error of an fsync is final: whoever meets it stops. The kernel may have marked the pages clean, so
//!   that a second try would report success for data that is not there.
//! - A file is never a symbolic link: a link that someone put there could lead out of the ledger. Directories may be
//!   links, so that `journal/` can lie on a disk of its own.

mod appended;
mod os;
mod whole;

pub use os::OsDisk;
pub(crate) use whole::TEMPORARY;

/// Permission bits of directories: of what is public; of what is the ledger's own; and of a ledger's directory, through
/// which others come to what is public in it without seeing what else there is.
pub(crate) const PUBLIC: u32 = 0o755;
pub(crate) const PRIVATE: u32 = 0o750;
pub(crate) const PASSABLE: u32 = 0o751;

use crate::NodeError;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    /// What the system says; [`ErrorKind::UnexpectedEof`] where the file is shorter.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` from `offset` on; it is not durable yet.
    ///
    /// # Errors
    /// What the system says; some of it may be written then.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` behind what counts of the file, which ends at `offset`; it is not durable yet. Some of the
    /// room behind becomes zeros.
    ///
    /// # Errors
    /// As [`DiskFile::write_at`].
    fn append_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_at(bytes, offset)
    }

    /// Reserves room up to `len` bytes, zeros where nothing was written.
    ///
    /// # Errors
    /// What the system says.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Cuts the file, or lengthens it with zeros.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes the content durable (`fdatasync`).
    ///
    /// # Errors
    /// What the system says; what was written since the last success is lost then.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes content and metadata durable (`fsync`).
    ///
    /// # Errors
    /// As [`DiskFile::sync_data`].
    fn sync_all(&self) -> io::Result<()>;
}

/// A file system.
pub trait Disk: Send + Sync {
    /// Opens a file that is there.
    ///
    /// # Errors
    /// What the system says; an error for a symbolic link.
    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file that is there and that is mostly [appended to](DiskFile::append_at).
    ///
    /// # Errors
    /// As [`Disk::open`].
    fn open_appended(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path, true)
    }

    /// Makes a file, or empties the one that is there. Neither it nor its name is durable yet.
    ///
    /// # Errors
    /// As [`Disk::open`].
    fn create(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn DiskFile>>;

    /// The content of a file.
    ///
    /// # Errors
    /// As [`Disk::open`].
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The content of a file up to where room follows into which nothing was written, and the file's length. What is
    /// not given is zeros. What stands before `from` need not be read, and may be given as zeros.
    ///
    /// # Errors
    /// As [`Disk::open`].
    fn read_written(&self, path: &Path, _from: u64) -> io::Result<(Vec<u8>, u64)> {
        let bytes = self.read(path)?;
        let len = bytes.len() as u64;
        Ok((bytes, len))
    }

    /// Whether something has this name.
    ///
    /// # Errors
    /// What the system says, unless it says that nothing has.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// The names in a directory, sorted.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Makes one directory, whose parent is there, with these permission bits. Not durable yet.
    ///
    /// # Errors
    /// What the system says.
    fn make_dir(&self, path: &Path, mode: u32) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Gives a file or directory another name, in place of what had it. Not durable yet.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Not durable yet.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Locks a file, which is made where it is missing, for its owner alone, until the result is dropped; `None` where
    /// another process or handle holds it.
    ///
    /// # Errors
    /// What the system says.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>>;

    /// The length of a file in bytes.
    ///
    /// # Errors
    /// As [`Disk::open`].
    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(self.read(path)?.len() as u64)
    }

    /// The permission bits of a file or directory; `None` where the disk has none.
    ///
    /// # Errors
    /// What the system says.
    fn mode(&self, _path: &Path) -> io::Result<Option<u32>> {
        Ok(None)
    }

    /// Removes an empty directory. Not durable yet.
    ///
    /// # Errors
    /// What the system says.
    fn remove_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Makes all files and names of the file system that `path` is on durable, or says `false`: then each must be made
    /// durable by itself.
    ///
    /// # Errors
    /// As [`DiskFile::sync_data`].
    fn sync_file_system(&self, _path: &Path) -> io::Result<bool> {
        Ok(false)
    }

    /// Bytes that may still be written where `path` is.
    ///
    /// # Errors
    /// What the system says.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// Names the operation and the path of an I/O error.
pub(crate) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> NodeError {
    let path = path.to_path_buf();
    move |source| if is_full(&source) { NodeError::DiskFull } else { NodeError::Io { what, path, source } }
}

/// Whether an error says that there is no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// The directory of a path; that of a bare name is the current one.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
