//! The tag of a journal's frames: what it keeps a caller from, and a journal of version 2, which has none of its own.

mod common;

use chancery_node::{NodeError, verify};
use common::{call, copy, deployed, invoke, put, reopen, silent};
use std::path::Path;

const HEADER: usize = 128;
const HEAD: usize = 25;
const CHAIN: usize = 32;

fn segment(dir: &Path) -> std::path::PathBuf {
    dir.join("journal/00000000.seg")
}

fn tag_of(segment: &[u8]) -> [u8; 4] {
    segment[44..48].try_into().unwrap()
}

/// Where the frames of a segment begin, and where the last one ends.
fn frames(segment: &[u8]) -> Vec<usize> {
    let (tag, mut starts) = (tag_of(segment), vec![HEADER]);
    while let Some(at) = starts.last().copied().filter(|at| segment[*at..].starts_with(&tag)) {
        let payload = u32::from_le_bytes(segment[at + 5..at + 9].try_into().unwrap());
        starts.push(at + HEAD + payload as usize + CHAIN);
    }
    starts
}

/// A frame of a block to come, with the chain value that it follows from before it: all that a caller can know, if it knows the tag.
fn forged(tag: [u8; 4]) -> Vec<u8> {
    let before = [7; CHAIN];
    let head = [&[1][..], &6u32.to_le_bytes(), &u64::MAX.to_le_bytes(), &u64::MAX.to_le_bytes()].concat();
    let mut hasher = blake3::Hasher::new_derive_key("chancery 2026 journal frame v2");
    hasher.update(&before).update(b"CHF2").update(&head).update(b"forged");
    [&before[..], &tag, &head, b"forged", hasher.finalize().as_bytes()].concat()
}

/// Opens a ledger whose last block was interrupted, when a caller had put frames with this tag into it.
fn opened_after(dir: &Path, tag: Option<[u8; 4]>) -> Result<u64, NodeError> {
    let after = tempfile::tempdir().unwrap();
    copy(dir, after.path());
    let ledger = reopen(after.path()).unwrap();
    let tag = tag.unwrap_or_else(|| tag_of(&std::fs::read(segment(dir)).unwrap()));
    ledger.call(call(&ledger, 5, invoke("put", &forged(tag).repeat(4)))).unwrap();
    ledger.close().unwrap();
    let mut written = std::fs::read(segment(after.path())).unwrap();
    let starts = frames(&written);
    // The frames of the call, its effects and the seal: the sector of the first is not on the disk.
    let first = starts[starts.len() - 4];
    written[first..first + HEAD].fill(0);
    std::fs::write(segment(dir), written).unwrap();
    reopen(dir).map(|ledger| ledger.head().size)
}

#[test]
fn a_caller_cannot_make_an_interrupted_write_look_like_rot() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    ledger.call(put(&ledger, 1)).unwrap();
    let size = ledger.head().size;
    ledger.close().unwrap();
    for (tag, opens) in [(Some(*b"CHF2"), true), (Some([0; 4]), true), (None, false)] {
        let ledger = tempfile::tempdir().unwrap();
        copy(dir.path(), ledger.path());
        match opened_after(ledger.path(), tag) {
            Ok(found) => assert!(opens && found == size, "{tag:?}: {found} entries"),
            // Who can read the disk can do this and anything else.
            Err(error) => assert!(!opens && matches!(error, NodeError::Damaged { .. }), "{tag:?}: {error}"),
        }
    }
}

#[test]
fn every_journal_has_another_tag() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tags = [one.path(), other.path()].map(|dir| {
        deployed(dir).close().unwrap();
        tag_of(&std::fs::read(segment(dir)).unwrap())
    });
    assert_ne!(tags[0], tags[1]);
}

#[test]
fn a_journal_of_version_2_is_read_and_continued_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    ledger.call(put(&ledger, 1)).unwrap();
    ledger.close().unwrap();
    let mut bytes = std::fs::read(segment(dir.path())).unwrap();
    let mut starts = frames(&bytes);
    starts.pop();
    for at in starts {
        bytes[at..at + 4].copy_from_slice(b"CHF2");
    }
    bytes[..8].copy_from_slice(b"CHJSEG02");
    bytes[44..48].fill(0);
    let hash = blake3::hash(&bytes[..96]);
    bytes[96..HEADER].copy_from_slice(hash.as_bytes());
    std::fs::write(segment(dir.path()), bytes).unwrap();

    for request in 2..5 {
        let ledger = reopen(dir.path()).unwrap();
        ledger.call(put(&ledger, request)).unwrap();
        // After a kill the last block goes into a new segment.
        let killed = tempfile::tempdir().unwrap();
        copy(dir.path(), killed.path());
        ledger.close().unwrap();
        let ledger = reopen(killed.path()).unwrap();
        assert!(ledger.call(put(&ledger, request)).unwrap().repeated);
        ledger.close().unwrap();
        assert!(std::fs::read(killed.path().join("journal/00000001.seg")).unwrap().starts_with(b"CHJSEG02"));
        assert_eq!(verify(killed.path(), &silent()).unwrap(), verify(dir.path(), &silent()).unwrap());
    }
}
