//! What the machine itself can do: the disk's `fdatasync`, and the hashes and signatures of the ledger on one core.

use chancery_types::PublicKey;
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Room of a [`Synced`] file: blocks are written into it one behind the other, as into a segment of the journal.
const FILE_BYTES: usize = 8 << 20;
/// Bytes that are hashed at a time.
const HASHED_BYTES: usize = 1 << 20;
/// A message as long as a signed call of the load.
const MESSAGE_BYTES: usize = 200;
/// Keys that sign in turn.
const KEYS: u8 = 64;

/// A file with room in advance, into which blocks are written and made durable.
pub struct Synced {
    path: PathBuf,
    file: File,
    block: Vec<u8>,
    offset: u64,
}

impl Synced {
    /// In this directory, with blocks of so many bytes.
    ///
    /// # Errors
    /// What the disk meets.
    pub fn new(dir: &Path, bytes: usize) -> io::Result<Self> {
        let path = dir.join("synced");
        let mut file = File::create(&path)?;
        file.write_all(&vec![0; FILE_BYTES.max(bytes)])?;
        file.sync_all()?;
        Ok(Synced { path, file, block: vec![7; bytes], offset: 0 })
    }

    /// Writes a block and makes it durable; says how long that took.
    ///
    /// # Errors
    /// What the disk meets.
    pub fn sync(&mut self) -> io::Result<Duration> {
        let len = self.block.len() as u64;
        if self.offset + len > FILE_BYTES as u64 {
            self.offset = 0;
        }
        let start = Instant::now();
        self.file.write_all_at(&self.block, self.offset)?;
        self.file.sync_data()?;
        self.offset += len;
        Ok(start.elapsed())
    }
}

impl Drop for Synced {
    fn drop(&mut self) {
        // It lies in a directory of the caller's, who may want that empty.
        drop(std::fs::remove_file(&self.path));
    }
}

/// How often a piece of work is done in a second, measured for so long.
fn per_second(time: Duration, mut work: impl FnMut()) -> u64 {
    let (start, mut done) = (Instant::now(), 0_u128);
    while start.elapsed() < time {
        work();
        done += 1;
    }
    u64::try_from(done * 1_000_000_000 / start.elapsed().as_nanos().max(1)).unwrap_or(u64::MAX)
}

/// Bytes a second that SHA-256 hashes on one core.
pub fn sha256_bytes(time: Duration) -> u64 {
    let bytes = vec![7; HASHED_BYTES];
    per_second(time, || drop(black_box(Sha256::digest(black_box(&bytes)).to_vec()))) * HASHED_BYTES as u64
}

/// Bytes a second that BLAKE3 hashes on one core.
pub fn blake3_bytes(time: Duration) -> u64 {
    let bytes = vec![7; HASHED_BYTES];
    per_second(time, || {
        black_box(blake3::hash(black_box(&bytes)));
    }) * HASHED_BYTES as u64
}

/// Ed25519 signatures of 64 keys, kept ready as the ledger keeps them, that one core verifies in a second.
pub fn verifications(time: Duration) -> u64 {
    let message = vec![7; MESSAGE_BYTES];
    let signed = (0..KEYS).filter_map(|number| {
        let key = SigningKey::from_bytes(&[number; 32]);
        let prepared = PublicKey(key.verifying_key().to_bytes()).prepared()?;
        Some((prepared, chancery_types::Signature(key.sign(&message).to_bytes())))
    });
    let signed: Vec<_> = signed.collect();
    let mut turn = signed.iter().cycle();
    per_second(time, || {
        black_box(turn.next().is_some_and(|(key, signature)| key.verifies(black_box(&message), signature)));
    })
}

/// Time that this process has had of the processors, in steps of 10 ms. Nothing where the system does not say.
pub fn processor_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in parentheses, may hold anything; utime and stime are the 14th and 15th fields.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (ticks(11)? + ticks(12)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_does_something() {
        let time = Duration::from_millis(10);
        assert!(sha256_bytes(time) > 0 && blake3_bytes(time) > 0 && verifications(time) > 0);
    }

    #[test]
    fn a_synced_file_begins_anew_when_it_is_full_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = Synced::new(dir.path(), 3 << 20).unwrap();
        (0..4).for_each(|_| assert!(!file.sync().unwrap().is_zero()));
        assert_eq!(std::fs::metadata(dir.path().join("synced")).unwrap().len(), FILE_BYTES as u64);
        drop(file);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
