//! The disk of the operating system.

use super::appended::Appended;
use super::{Disk, DiskFile};
use rustix::fs::{Advice, SeekFrom};
use rustix::io::Errno;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

/// The disk of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

/// `open` refuses the last part of a path where it is a symbolic link.
pub(super) const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// The system says "too many levels of symbolic links", which helps nobody.
pub(super) fn no_link(error: io::Error) -> io::Error {
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
