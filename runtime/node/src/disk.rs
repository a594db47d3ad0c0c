//! Every write of the node to a file goes through here.
//!
//! A file comes into being whole or not at all: a temporary one is written and fsynced, renamed, and its directory is fsynced. What a crash
//! leaves is the old file or the new one, and perhaps a `.tmp` that nobody reads.

use crate::NodeError;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Names the operation and the path of an I/O error.
pub fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> NodeError {
    let path = path.to_path_buf();
    move |source| match source.raw_os_error() {
        Some(code) if code == rustix::io::Errno::NOSPC.raw_os_error() => NodeError::DiskFull,
        _ => NodeError::Io { what, path, source },
    }
}

/// Makes a directory durable in its parent.
///
/// # Errors
/// [`NodeError::Io`].
pub fn make_dir(path: &Path) -> Result<(), NodeError> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o750).create(path).map_err(failed("cannot make directory", path))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Makes the entries of a directory durable.
///
/// # Errors
/// [`NodeError::Io`].
pub fn sync_dir(path: &Path) -> Result<(), NodeError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path).and_then(|dir| dir.sync_all()).map_err(failed("cannot make durable", path))
}

/// Writes a file whole and durable.
///
/// # Errors
/// [`NodeError::Io`] or [`NodeError::DiskFull`]; the old file is untouched then.
pub fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), NodeError> {
    create_file(path, mode, |file| file.write_all(bytes))
}

/// Makes a file that `fill` fills, whole and durable.
///
/// # Errors
/// As [`write_file`].
pub fn create_file(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut File) -> std::io::Result<()>,
) -> Result<(), NodeError> {
    let temporary = path.with_extension("tmp");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        fill(&mut file)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    if let Err(error) = write() {
        // What was written is of no use; that it may stay is harmless.
        drop(std::fs::remove_file(&temporary));
        return Err(failed("cannot write", path)(error));
    }
    path.parent().map_or(Ok(()), sync_dir)
}

/// Reads a file.
///
/// # Errors
/// [`NodeError::Io`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, NodeError> {
    std::fs::read(path).map_err(failed("cannot read", path))
}
