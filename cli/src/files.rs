//! Files that are handed out: each comes into being whole and durable, or what was there stays as it was.
//!
//! What is written goes into a temporary file beside it, which is fsynced and takes the name; then the directory is fsynced. On an error the
//! temporary file is removed. A kill may leave it, as `.chancery-<hex>.tmp`.

use crate::failure::{Code, Failure, PERMISSIONS};
use crate::keys::random;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Writes a file, in place of what has its name. What is no file, a pipe or a device, is written to as it is.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let old = match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        old => Some(old?),
    };
    match old {
        None => whole(path, bytes, 0o666, |temporary| std::fs::rename(temporary, path)),
        Some(old) if !old.is_file() => std::fs::write(path, bytes),
        Some(old) => {
            // A link stays one.
            let path = path.canonicalize()?;
            whole(&path, bytes, old.permissions().mode() & 0o777, |temporary| std::fs::rename(temporary, &path))
        }
    }
}

/// Makes a file with these permission bits.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] where something has its name; what the system says.
pub fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    whole(path, bytes, mode, |temporary| {
        std::fs::hard_link(temporary, path)?;
        std::fs::remove_file(temporary)
    })
}

fn whole(path: &Path, bytes: &[u8], mode: u32, name: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut number = [0; 8];
    random(&mut number).map_err(|failure| io::Error::other(failure.message))?;
    let temporary = path.with_file_name(format!(".chancery-{}.tmp", hex::encode(number)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    let named = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| name(&temporary));
    if let Err(error) = named {
        // What was written is of no use; that it may stay is harmless.
        drop(std::fs::remove_file(&temporary));
        return Err(error);
    }
    File::open(directory(path))?.sync_all()
}

/// The directory of a path; that of a bare name is the current one.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Why a file was not written, and what to do.
pub fn not_written(path: &Path, error: &io::Error) -> Failure {
    let failure =
        |code, problem: &str| Failure { code, message: format!("cannot write {}: {problem}", path.display()) };
    match error.kind() {
        ErrorKind::NotFound => {
            failure(Code::NotFound, &format!("there is no directory {}: make it first", directory(path).display()))
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            failure(Code::Unavailable, &format!("{error}. Make room (bytes, or inodes: `df -i`) and try again"))
        }
        ErrorKind::PermissionDenied => failure(Code::Unavailable, &format!("{error}; {PERMISSIONS}")),
        ErrorKind::ReadOnlyFilesystem => {
            failure(Code::Unavailable, &format!("{error}; mount it for writing, or name another place"))
        }
        _ => failure(Code::Usage, &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    fn names(dir: &Path) -> usize {
        dir.read_dir().unwrap().count()
    }

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_permissions() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("receipt"), dir.path().join("link"));
        replace(&path, b"first").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        symlink("receipt", &link).unwrap();
        // Whoever has the old one open reads it to its end.
        let old = File::open(&path).unwrap();
        replace(&link, b"second").unwrap();
        assert_eq!(io::read_to_string(old).unwrap(), "first");
        assert_eq!((std::fs::read(&path).unwrap(), mode(&path)), (b"second".to_vec(), 0o600));
        assert!(link.is_symlink() && names(dir.path()) == 2);
        replace(Path::new("/dev/null"), b"x").unwrap();
        assert!(!Path::new("/dev/null").is_file());
        let none = dir.path().join("none/receipt");
        let failure = not_written(&none, &replace(&none, b"x").unwrap_err());
        assert!(failure.code == Code::NotFound && failure.message.contains("none: make it first"), "{failure:?}");
    }

    #[test]
    fn a_file_that_is_there_is_not_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create(&path, b"first", 0o600).unwrap();
        assert_eq!(create(&path, b"second", 0o600).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!((std::fs::read(&path).unwrap(), mode(&path), names(dir.path())), (b"first".to_vec(), 0o600, 1));
    }
}
