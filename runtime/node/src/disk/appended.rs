//! A file that is appended to in place, past the system's cache: the journal's last segment.
//!
//! What is appended is written in whole pages of 4,096 bytes with `O_DIRECT`, so that it is on its way to the disk when
//! the write returns and `fdatasync` need not look for it. Against a write through the cache that spares a lone caller
//! about a tenth of what the disk takes. Three things are different from a plain write:
//!
//! - What stands before it in its first page is written again: the same bytes. A page in the cache would be written as
//!   a whole, too.
//! - What stands behind it in its last page becomes zeros.
//! - Where nothing was written yet, zeros are written ahead: a file system has to note down that room which was only
//!   reserved is in use now, and does so once for [`AHEAD`] pages in place of once for each.
//!
//! Readers go through the cache, of which the system drops what was overwritten. Where the file system knows no
//! `O_DIRECT`, or the file ends in the middle of a page, it is a plain write.

use super::DiskFile;
use super::os::{NO_FOLLOW, no_link};
use rustix::fs::{OFlags, SeekFrom};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that are written together, and by which they lie in memory and in the file.
const PAGE: usize = 4_096;
/// Pages of zeros that are written ahead.
const AHEAD: usize = 64;
/// Pages that one write takes.
const PAGES_MAX: usize = 1_024;
/// Pages of memory that are kept from one write to the next.
const KEPT_MAX: usize = 256;

#[derive(Clone)]
#[repr(align(4096))]
struct Page([u8; PAGE]);

static ZEROS: Page = Page([0; PAGE]);

/// The file.
pub(super) struct Appended {
    plain: File,
    direct: Option<File>,
    end: Mutex<End>,
}

/// Where the last write ended.
struct End {
    /// Behind the last byte; `None` where that is not known.
    offset: Option<u64>,
    /// Where what was only reserved begins.
    written: u64,
    /// How long the file is.
    len: u64,
    /// The first one is the page in which `offset` is.
    pages: Vec<Page>,
}

impl Appended {
    /// Opens a file that is there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let open = |flags: i32| OpenOptions::new().read(true).write(true).custom_flags(NO_FOLLOW | flags).open(path);
        let plain = open(0).map_err(no_link)?;
        let direct = open(OFlags::DIRECT.bits().cast_signed()).ok();
        let len = plain.metadata()?.len();
        // A file system that does not tell holes says that there is none.
        let written = rustix::fs::seek(&plain, SeekFrom::Hole(0)).unwrap_or(0);
        let end = Mutex::new(End { offset: None, written, len, pages: Vec::new() });
        Ok(Appended { plain, direct, end })
    }

    fn end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DiskFile for Appended {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.plain.read_exact_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.end().offset = None;
        self.plain.write_all_at(bytes, offset)
    }

    fn append_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut end = self.end();
        let at = (offset % PAGE as u64) as usize;
        let (first, count) = (offset - at as u64, (at + bytes.len()).div_ceil(PAGE));
        let last = first + (count * PAGE) as u64;
        let known = end.offset.take() == Some(offset);
        let Some(direct) = self.direct.as_ref().filter(|_| last <= end.len) else {
            return self.plain.write_all_at(bytes, offset);
        };
        if end.pages.len() < count {
            end.pages.resize(count, ZEROS.clone());
        }
        if !known {
            self.plain.read_exact_at(&mut end.pages[0].0[..at], first)?;
        }
        fill(&mut end.pages[..count], at, bytes);
        // A page that the file does not hold whole is not written ahead.
        let room = usize::try_from((end.len - last) / PAGE as u64).unwrap_or(usize::MAX);
        let ahead = if last > end.written { AHEAD.min(room) } else { 0 };
        let zeros = std::iter::repeat_n(&ZEROS, ahead);
        let slices: Vec<_> = end.pages[..count].iter().chain(zeros).map(|page| IoSlice::new(&page.0)).collect();
        match write_pages(direct, &slices, first) {
            // It is not to be had here after all.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                return self.plain.write_all_at(bytes, offset);
            }
            written => written?,
        }
        end.written = end.written.max(last + (ahead * PAGE) as u64);
        end.offset = Some(offset + bytes.len() as u64);
        // The next one begins in the last page, or behind it.
        let within = ((at + bytes.len()) / PAGE).min(count - 1);
        end.pages.swap(0, within);
        end.pages.truncate(KEPT_MAX);
        end.pages.shrink_to(KEPT_MAX);
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.plain.allocate(len)?;
        let mut end = self.end();
        end.len = end.len.max(len);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut end = self.end();
        (end.offset, end.len, end.written) = (None, len, end.written.min(len));
        self.plain.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.plain.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.plain.sync_all()
    }
}

/// Puts bytes into pages from a place of the first one on, and zeros behind.
fn fill(pages: &mut [Page], mut at: usize, mut bytes: &[u8]) {
    for page in pages {
        let room = &mut page.0[at..];
        let (now, later) = bytes.split_at(room.len().min(bytes.len()));
        let (filled, rest) = room.split_at_mut(now.len());
        filled.copy_from_slice(now);
        rest.fill(0);
        (bytes, at) = (later, 0);
    }
}

fn write_pages(file: &File, mut pages: &[IoSlice<'_>], mut offset: u64) -> io::Result<()> {
    while !pages.is_empty() {
        let written = match rustix::io::pwritev(file, &pages[..pages.len().min(PAGES_MAX)], offset) {
            Err(Errno::INTR) => continue,
            written => written?,
        };
        // A part of a page is written again as a whole.
        let whole = written / PAGE;
        if whole == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        (pages, offset) = (&pages[whole..], offset + (whole * PAGE) as u64);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, OsDisk};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Blocks of all lengths, read back by others meanwhile, behind what a plain write left; then again after the file
    /// was opened anew.
    #[test]
    fn what_is_appended_is_there_and_zeros_behind_it() {
        const LEN: u64 = 3 << 20;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let made = OsDisk.create(&path, 0o600).unwrap();
        made.allocate(LEN).unwrap();
        let mut expected = b"head".to_vec();
        made.write_at(&expected, 0).unwrap();
        made.sync_all().unwrap();
        let lengths = [1, 4_092, 4_096, 905, 3_191, 8_192, 70_000, 1, 1_300_000, 4_095, 2, 905, 905, 905, 905, 905];
        for (round, half) in lengths.chunks(8).enumerate() {
            let file = Appended::open(&path).unwrap();
            for (number, len) in half.iter().enumerate() {
                let block: Vec<u8> = (0..*len).map(|byte| (byte % 251 + number + round) as u8 | 1).collect();
                file.append_at(&block, expected.len() as u64).unwrap();
                file.sync_data().unwrap();
                expected.extend(block);
                let (found, len) = OsDisk.read_written(&path, 0).unwrap();
                assert_eq!((len, &found[..expected.len()]), (LEN, &expected[..]));
                assert!(found[expected.len()..].iter().all(|byte| *byte == 0));
            }
        }
    }

    /// What the cache holds of a page is dropped before the write that changed it returns.
    #[test]
    fn readers_beside_the_writer_see_all_that_was_appended() {
        const LEN: usize = 2 << 20;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        OsDisk.create(&path, 0o600).unwrap().allocate(LEN as u64).unwrap();
        let (file, written) = (Appended::open(&path).unwrap(), AtomicUsize::new(0));
        let expected: Vec<u8> = (0..LEN).map(|at| (at / 7 % 255) as u8 + 1).collect();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let reader = OsDisk.open(&path, false).unwrap();
                    let mut bytes = vec![0; 20_000];
                    loop {
                        let len = written.load(Ordering::Acquire);
                        let from = len.saturating_sub(bytes.len());
                        reader.read_at(&mut bytes[..len - from], from as u64).unwrap();
                        assert!(bytes[..len - from] == expected[from..len], "up to {len}");
                        if len >= LEN - 10_000 {
                            return;
                        }
                    }
                });
            }
            let mut at = 0;
            while at < LEN - 10_000 {
                let len = 1 + at % 9_000;
                file.append_at(&expected[at..at + len], at as u64).unwrap();
                at += len;
                written.store(at, Ordering::Release);
            }
        });
    }

    #[test]
    fn a_file_that_ends_within_a_page_and_one_that_is_cut_are_appended_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        OsDisk.create(&path, 0o600).unwrap().allocate(5_000).unwrap();
        let file = Appended::open(&path).unwrap();
        file.append_at(&[1; 4_000], 0).unwrap();
        file.append_at(&[2; 1_000], 4_000).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [vec![1; 4_000], vec![2; 1_000]].concat());
        file.set_len(3_000).unwrap();
        file.append_at(&[3; 5], 3_000).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [vec![1; 3_000], vec![3; 5]].concat());
    }
}
