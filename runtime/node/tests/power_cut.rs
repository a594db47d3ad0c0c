//! Real power cuts: a ledger on ext4 in an image on a loop device, under load.
//!
//! At random moments the process is stopped (SIGSTOP), the image is copied, and the process goes on. The copy holds what
//! the file system had given to the device by then, and nothing of what was only in the page cache above it: what a disk
//! holds after the power failed. It is mounted, which replays the file system's journal, the ledger is opened, and what
//! the clients had noted outside is looked up.
//!
//! The control runs the same with the node's fsyncs switched off and **must** report loss, or the harness would see nothing.
//!
//! What this cannot show: what a drive with a volatile cache loses although it was flushed. `CHANCERY_POWER_CUTS` chooses how many cuts; it takes root.

mod common;
mod worker;

use chancery_node::{Disk, DiskFile, Ledger, OsDisk, Progress, verify};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;
use worker::{Mount, deployed, lost, noted, options, run, start_worker, work};

const CUTS: u64 = 20;
const CONTROL_CUTS: u64 = 5;

/// The system's disk without its fsyncs.
struct NoSync;

struct NoSyncFile(Arc<dyn DiskFile>);

impl DiskFile for NoSyncFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_at(bytes, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.0.allocate(len)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Disk for NoSync {
    fn open(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(NoSyncFile(OsDisk.open(path, writable)?)))
    }
    fn create(&self, path: &Path, mode: u32) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(NoSyncFile(OsDisk.create(path, mode)?)))
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        OsDisk.read(path)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        OsDisk.exists(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        OsDisk.list(dir)
    }
    fn make_dir(&self, path: &Path, mode: u32) -> io::Result<()> {
        OsDisk.make_dir(path, mode)
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        OsDisk.lock(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_dir(path)
    }
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        OsDisk.free_bytes(path)
    }
}

/// Not a test: the process under load of the others.
#[test]
#[ignore = "process under load"]
fn worker() {
    work(Arc::new(OsDisk));
}

/// Not a test: the same without fsyncs, for the control.
#[test]
#[ignore = "process under load"]
fn worker_without_fsync() {
    work(Arc::new(NoSync));
}

/// An ext4 file system of its own.
struct Image {
    _dir: tempfile::TempDir,
    file: PathBuf,
    at: PathBuf,
    _mount: Mount,
}

/// Mounts a copy or the first one; `None` where that takes rights that we have not.
fn mount(file: &Path, at: &Path) -> Option<Mount> {
    std::fs::create_dir_all(at).unwrap();
    run("mount", &["-o", "loop", file.to_str().unwrap(), at.to_str().unwrap()]).then(|| Mount(at.into()))
}

fn image() -> Option<Image> {
    let dir = tempfile::tempdir().unwrap();
    let (file, at) = (dir.path().join("disk.img"), dir.path().join("disk"));
    std::fs::File::create(&file).unwrap().set_len(96 << 20).unwrap();
    let made = run("mkfs.ext4", &["-q", "-F", file.to_str().unwrap()]);
    let mount = made.then(|| mount(&file, &at)).flatten();
    if mount.is_none() {
        chancery_tests::skip("power cuts take root, mkfs.ext4 and loop devices");
    }
    Some(Image { file, at, _mount: mount?, _dir: dir })
}

fn signal(worker: &Child, name: &str) {
    assert!(run("kill", &[&format!("-{name}"), &worker.id().to_string()]));
}

/// Stops the process; it has stopped when this returns.
fn stop(worker: &Child) {
    signal(worker, "STOP");
    let stopped = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", worker.id())).unwrap();
        tasks.flatten().all(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        })
    };
    while !stopped() {
        std::thread::yield_now();
    }
}

/// Cuts the power so many times while `test` works; says for each cut how many acknowledgements there were and how many of them are lost, all where
/// nothing can be opened.
fn cut(image: &Image, test: &str, cuts: u64) -> Vec<(usize, usize)> {
    let (town, outside) = (image.at.join("town"), image.file.with_file_name("notes"));
    deployed(&town, options()).close().unwrap();
    let mut worker = start_worker(test, &town, &outside, 1_000_000, &[]);
    while noted(&outside).is_empty() {
        assert!(worker.try_wait().unwrap().is_none(), "the process works");
        std::thread::sleep(Duration::from_millis(5));
    }
    let (copy, at) = (image.file.with_file_name("copy.img"), image.file.with_file_name("copy"));
    let mut found = Vec::new();
    for number in 0..cuts {
        std::thread::sleep(Duration::from_millis(20 + number * 7919 % 181));
        stop(&worker);
        let noted = noted(&outside);
        std::fs::copy(&image.file, &copy).unwrap();
        signal(&worker, "CONT");
        let _mount = mount(&copy, &at).expect("the copy can be mounted");
        let lost = match Ledger::open(&at.join("town"), options()) {
            Ok(ledger) => {
                let lost = lost(&ledger, &noted);
                ledger.close().unwrap();
                let silent: Progress = Arc::new(|_, _, _| {});
                verify(&at.join("town"), &silent).unwrap();
                lost
            }
            Err(error) => {
                eprintln!("cut {number}: {error}");
                noted.len()
            }
        };
        found.push((noted.len(), lost));
    }
    signal(&worker, "KILL");
    worker.wait().unwrap();
    eprintln!("{test}: acknowledged and lost at each cut: {found:?}");
    found
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_fails() {
    let mut cuts = std::env::var("CHANCERY_POWER_CUTS").map_or(CUTS, |cuts| cuts.parse().expect("a number of cuts"));
    while cuts > 0 {
        // The load fills an image in half a minute: a ledger that has no room is another test.
        let Some(image) = image() else { return };
        let found = cut(&image, "worker", cuts.min(CUTS));
        assert!(found.iter().all(|(noted, lost)| *noted > 0 && *lost == 0), "{found:?}");
        cuts -= cuts.min(CUTS);
    }
}

#[test]
fn without_fsync_the_same_harness_reports_loss() {
    let Some(image) = image() else { return };
    let found = cut(&image, "worker_without_fsync", CONTROL_CUTS);
    assert!(found.iter().all(|(_, lost)| *lost > 0), "the harness sees loss every time: {found:?}");
}
