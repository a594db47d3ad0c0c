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

use crate::{NodeError, failpoint};
use appended::Appended;
use rustix::fs::{Advice, SeekFrom};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
pub fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> NodeError {
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

/// More files than this are made durable by one call for the whole file system, fewer by one call each: the former also
/// waits for what others have written.
const SYNC_EACH_MAX: usize = 16;

/// Permission bits of directories: of what is public; of what is the ledger's own; and of a ledger's directory, through
/// which others come to what is public in it without seeing what else there is.
pub(crate) const PUBLIC: u32 = 0o755;
pub(crate) const PRIVATE: u32 = 0o750;
pub(crate) const PASSABLE: u32 = 0o751;

/// Ending of the files that a crash may leave and nobody reads.
pub const TEMPORARY: &str = ".tmp";

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

/// The disk of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

/// `open` refuses the last part of a path where it is a symbolic link.
const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// The system says "too many levels of symbolic links", which helps nobody.
fn no_link(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        let problem = "it is a symbolic link, expected a file: put the file itself there";
        return io::Error::new(ErrorKind::InvalidInput, problem);
    }
    error
}

impl DiskFile for File {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(self, rustix::fs::FallocateFlags::empty(), 0, len)?)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        File::sync_all(self)
    }
}

fn open_to_read(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(path).map_err(no_link)
}

/// Reads what is asked for and nothing behind it: room that is in the cache counts as written for whoever looks for
/// holes.
fn without_readahead(file: &File) {
    // It is advice; where it is not taken, more is read.
    let _ = rustix::fs::fadvise(file, 0, None, Advice::Random);
}

/// Where the zeros at the end of the first `len` bytes of a file begin, or little behind: a copy may hold room as
/// zeros.
fn without_zeros(file: &File, mut len: u64) -> io::Result<u64> {
    const STEP: usize = 1 << 16;
    static ZEROS: [u8; STEP] = [0; STEP];
    let mut bytes = vec![0; STEP];
    while let Some(last) = len.checked_sub(1) {
        let from = last - last % STEP as u64;
        let step = &mut bytes[..(len - from) as usize];
        file.read_exact_at(step, from)?;
        if *step != ZEROS[..step.len()] {
            break;
        }
        len = from;
    }
    Ok(len)
}

impl Disk for OsDisk {
    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(writable).custom_flags(NO_FOLLOW).open(path).map_err(no_link)?;
        without_readahead(&file);
        Ok(Arc::new(file))
    }

    fn open_appended(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(Appended::open(path)?))
    }

    fn create(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(mode).custom_flags(NO_FOLLOW);
        Ok(Arc::new(options.open(path).map_err(no_link)?))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        open_to_read(path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn read_written(&self, path: &Path, from: u64) -> io::Result<(Vec<u8>, u64)> {
        let file = open_to_read(path)?;
        without_readahead(&file);
        let (len, mut written) = (file.metadata()?.len(), 0);
        while written < len {
            // ENXIO: there is nothing more but a hole. Any other error: the file system does not tell holes.
            let data = match rustix::fs::seek(&file, SeekFrom::Data(written)) {
                Ok(data) => data,
                Err(Errno::NXIO) => break,
                Err(_) => written,
            };
            written = rustix::fs::seek(&file, SeekFrom::Hole(data)).unwrap_or(len);
        }
        written = without_zeros(&file, written.min(len))?;
        let mut bytes = vec![0; usize::try_from(written).unwrap_or(usize::MAX)];
        if let Some(asked) = usize::try_from(from).ok().and_then(|from| bytes.get_mut(from..)) {
            file.read_exact_at(asked, from)?;
        }
        Ok((bytes, len))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match path.symlink_metadata() {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<std::fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        let mut names = std::fs::read_dir(dir)?.map(name).collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(names)
    }

    fn make_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        DirBuilder::new().mode(mode).create(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let mut options = OpenOptions::new();
        // Whoever may read it could hold it.
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(NO_FOLLOW);
        let file = options.open(path).map_err(no_link)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(path.symlink_metadata()?.len())
    }

    fn mode(&self, path: &Path) -> io::Result<Option<u32>> {
        Ok(Some(path.symlink_metadata()?.permissions().mode() & 0o7777))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn sync_file_system(&self, path: &Path) -> io::Result<bool> {
        rustix::fs::syncfs(&File::open(path)?)?;
        Ok(true)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(path)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_the_room_behind_it_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let file = OsDisk.create(&path, 0o600).unwrap();
        assert_eq!(OsDisk.read_written(&path, 0).unwrap(), (vec![], 0));
        file.allocate(1 << 20).unwrap();
        // A hole stands before it, too.
        file.write_at(b"written", 70_000).unwrap();
        let (bytes, len) = OsDisk.read_written(&path, 0).unwrap();
        assert_eq!(len, 1 << 20);
        assert_eq!(&bytes[70_000..70_007], b"written");
        assert!(bytes[..70_000].iter().chain(&bytes[70_007..]).all(|byte| *byte == 0));
        let whole = OsDisk.read(&path).unwrap();
        assert_eq!((whole.len(), &whole[..bytes.len()]), (1 << 20, &bytes[..]));
        assert!(whole[bytes.len()..].iter().all(|byte| *byte == 0));
        file.write_at(b"!", (1 << 20) - 1).unwrap();
        assert_eq!(OsDisk.read_written(&path, 0).unwrap().0.last(), Some(&b'!'));
        let (bytes, _) = OsDisk.read_written(&path, 70_003).unwrap();
        assert_eq!((bytes.len(), &bytes[70_003..70_007]), (1 << 20, &b"tten"[..]));
        // A copy has written zeros where there was room.
        std::fs::write(&path, [&whole[..], &vec![0; 300_000]].concat()).unwrap();
        let (bytes, len) = OsDisk.read_written(&path, 0).unwrap();
        assert_eq!((bytes.len(), len), (131_072, (1 << 20) + 300_000));
        assert_eq!(bytes, whole[..bytes.len()]);
        std::fs::write(&path, vec![0; 70_000]).unwrap();
        assert_eq!(OsDisk.read_written(&path, 0).unwrap(), (vec![], 70_000));
    }
}
