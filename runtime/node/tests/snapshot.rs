//! Snapshots: the same bytes whoever makes them, every flipped byte found, and ledgers restored from them that go on.

mod common;

use chancery_node::snapshot::{CHUNK_BYTES, Trust, create, restore, verify};
use chancery_node::{Disk, Ledger, NodeError, Options, OsDisk, verify as verify_ledger};
use chancery_tlog::{Checkpoint, Policy, note::VerifierKey};
use common::{ORIGIN, call, deployed, invoke, log_key, log_vkey, options, policy, put, put_all, reopen, silent};
use ed25519_dalek::SigningKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn disk() -> Arc<dyn Disk> {
    Arc::new(OsDisk)
}

fn believed() -> Trust {
    Trust { policy: Some(policy()), newest: None }
}

/// Every file below, by its path from there.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let relative = |path: PathBuf| path.strip_prefix(dir).unwrap().to_path_buf();
    common::files(dir).into_iter().map(|(path, bytes)| (relative(path), bytes)).collect()
}

#[test]
fn a_restored_ledger_answers_what_was_answered_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (town, copy, new) = (dir.path().join("town"), dir.path().join("copy"), dir.path().join("new"));
    let ledger = deployed(&town);
    put_all(&ledger, 0..50);
    let refused = ledger.submit(call(&ledger, 70, invoke("refuse", b"x"))).unwrap().wait().unwrap();
    assert!(!refused.outcome().unwrap().is_done());
    let (head, made) = (ledger.head(), ledger.snapshot(&copy, &silent()).unwrap());
    assert_eq!((made.entries, made.height, made.keys), (head.size, head.height, head.keys));
    let report = restore(&copy, &new, &believed(), &options()).unwrap();
    assert_eq!((report.log_root, report.state_root, report.root), (head.root, head.state_root, made.root));
    let contract = ledger.contract("notes").unwrap().unwrap();

    let restored = reopen(&new).unwrap();
    assert_eq!(restored.head(), head);
    assert_eq!(restored.contract("notes").unwrap().unwrap(), contract);
    assert_eq!(restored.state_get(&contract.id, &7_u128.to_le_bytes()).unwrap(), Some(7_u128.to_le_bytes().to_vec()));
    // A request that was answered is answered with the entry that it has, and makes no other.
    let again = restored.submit(put(&restored, 7)).unwrap().wait().unwrap();
    assert_eq!(again.index, ledger.submit(put(&ledger, 7)).unwrap().wait().unwrap().index);
    let again = restored.submit(call(&restored, 70, invoke("refuse", b"x"))).unwrap().wait().unwrap();
    assert_eq!(again.index, refused.index);
    assert_eq!(restored.head(), head);
    // The two go on alike: the same calls lead to the same log.
    put_all(&restored, 100..120);
    assert_eq!(restored.prove_consistency(head.size, restored.head().size).unwrap().1, head.root);
    restored.close().unwrap();
    ledger.close().unwrap();
    assert_eq!(verify_ledger(&new, &silent()).unwrap().calls, 50 + 2 + 20);
    // It has all of its public log.
    let published = chancery_node::Place::Directory(new.join("public"));
    assert_eq!(chancery_node::verify_public(&published, &policy(), &silent()).unwrap().calls, 72);
}

#[test]
fn the_view_of_a_restored_ledger_is_not_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let (town, copy, new) = (dir.path().join("town"), dir.path().join("copy"), dir.path().join("new"));
    let ledger = deployed(&town);
    put_all(&ledger, 0..20);
    ledger.snapshot(&copy, &silent()).unwrap();
    restore(&copy, &new, &believed(), &options()).unwrap();
    reopen(&new).unwrap().close().unwrap();
    let names = files(&new);
    assert!(!names.iter().any(|(path, _)| path.starts_with("view.quarantine-1")), "the restored view was set aside");
}

/// Blocks and segments lie elsewhere after crashes; the snapshot is the same, and so is that of a ledger restored from it.
#[test]
fn the_same_log_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let ledger = deployed(&at("town"));
    put_all(&ledger, 0..30);
    ledger.snapshot(&at("one"), &silent()).unwrap();
    ledger.close().unwrap();
    // An unclean stop: the last block is rewritten into a segment of its own.
    std::fs::remove_file(at("town").join("journal/closed")).unwrap();
    reopen(&at("town")).unwrap().close().unwrap();
    assert!(at("town").join("journal/00000001.seg").exists());
    create(&disk(), &at("town"), &at("two"), &silent()).unwrap();
    restore(&at("two"), &at("restored"), &believed(), &options()).unwrap();
    create(&disk(), &at("restored"), &at("three"), &silent()).unwrap();
    assert_eq!(files(&at("one")), files(&at("two")));
    assert_eq!(files(&at("two")), files(&at("three")));
}

#[test]
fn a_snapshot_is_consistent_while_calls_go_on_and_a_second_adds_what_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy");
    let ledger = deployed(&dir.path().join("town"));
    let mut before = 0;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (0..40).for_each(|round| put_all(&ledger, round * 25..(round + 1) * 25)));
        while !writer.is_finished() {
            let made = ledger.snapshot(&copy, &silent()).unwrap();
            let report = verify(&OsDisk, &copy, &believed(), &silent()).unwrap();
            assert_eq!((report.root, report.entries), (made.root, made.entries));
            assert!(made.entries >= before);
            before = made.entries;
        }
    });
    let made = ledger.snapshot(&copy, &silent()).unwrap();
    assert_eq!(made.entries, ledger.head().size);
    // Nothing of the snapshots before is left.
    assert_eq!(std::fs::read_dir(copy.join("chunks")).unwrap().count() as u64, made.chunks);
    // All is there: nothing is written.
    assert_eq!(ledger.snapshot(&copy, &silent()).unwrap().written, 0);
}

#[test]
fn long_logs_and_states_are_cut_into_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let (copy, new) = (dir.path().join("copy"), dir.path().join("new"));
    let ledger = deployed(&dir.path().join("town"));
    // Each is key and value of a pair.
    let value = |n: u32| [n.to_le_bytes().to_vec(), vec![7; 508]].concat();
    let tickets: Vec<_> =
        (0..4_500).map(|n| ledger.submit(call(&ledger, n.into(), invoke("put", &value(n)))).unwrap()).collect();
    tickets.into_iter().for_each(|ticket| drop(ticket.wait().unwrap()));
    let made = ledger.snapshot(&copy, &silent()).unwrap();
    assert!(made.keys == 4_501 && made.bytes > 3 * CHUNK_BYTES as u64 && made.chunks >= 6, "{made:?}");
    // Segments are shorter here than blocks of the snapshot's ledger may be.
    let short = Options { segment_bytes: 64 << 10, ..options() };
    restore(&copy, &new, &believed(), &short).unwrap();
    let restored = reopen(&new).unwrap();
    assert_eq!(restored.head(), ledger.head());
    put_all(&restored, 5_000..5_010);
    restored.close().unwrap();
    put_all(&ledger, 5_000..5_010);
    assert!(ledger.snapshot(&copy, &silent()).unwrap().written < made.chunks, "full chunks of the log stay");
}

#[test]
fn every_flipped_byte_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy");
    let ledger = deployed(&dir.path().join("town"));
    put_all(&ledger, 0..3);
    ledger.snapshot(&copy, &silent()).unwrap();
    let sound = verify(&OsDisk, &copy, &believed(), &silent()).unwrap();
    for (name, bytes) in files(&copy) {
        let path = copy.join(&name);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            std::fs::write(&path, &changed).unwrap();
            let found = verify(&OsDisk, &copy, &believed(), &silent());
            assert!(found.is_err(), "{} at {at}", name.display());
        }
        for wrong in [&bytes[..bytes.len() - 1], &[&bytes[..], b"x"].concat(), b""] {
            std::fs::write(&path, wrong).unwrap();
            assert!(verify(&OsDisk, &copy, &believed(), &silent()).is_err(), "{} cut", name.display());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(verify(&OsDisk, &copy, &believed(), &silent()).is_err(), "{} gone", name.display());
        assert!(restore(&copy, &dir.path().join("new"), &believed(), &options()).is_err());
        assert!(!dir.path().join("new").exists(), "nothing is written where the snapshot does not verify");
        std::fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(verify(&OsDisk, &copy, &believed(), &silent()).unwrap(), sound);
}

#[test]
fn what_cannot_be_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let ledger = deployed(&at("town"));
    put_all(&ledger, 0..3);
    ledger.snapshot(&at("old"), &silent()).unwrap();
    put_all(&ledger, 3..6);
    ledger.snapshot(&at("new"), &silent()).unwrap();
    let newest = ledger.checkpoint().unwrap();

    // An older snapshot would fork the log.
    let trust = |note: &str| Trust { policy: Some(policy()), newest: Some(note.into()) };
    let message = verify(&OsDisk, &at("old"), &trust(&newest), &silent()).unwrap_err().to_string();
    assert!(message.contains("fork"), "{message}");
    verify(&OsDisk, &at("new"), &trust(&newest), &silent()).unwrap();
    let signed = Checkpoint::open(&newest, &log_vkey()).unwrap();
    let other = Checkpoint { root: chancery_types::Hash([1; 32]), ..signed }.sign(&log_key());
    let message = verify(&OsDisk, &at("new"), &trust(&other), &silent()).unwrap_err().to_string();
    assert!(message.contains("another"), "{message}");

    // Another's key.
    let stranger = Policy::of_log(VerifierKey::of(ORIGIN, &SigningKey::from_bytes(&[1; 32])));
    let stranger = Trust { policy: Some(stranger), newest: None };
    assert!(matches!(verify(&OsDisk, &at("new"), &stranger, &silent()), Err(NodeError::Snapshot(_))));

    // Directories that hold something else, or nothing.
    assert!(matches!(ledger.snapshot(&at("town"), &silent()), Err(NodeError::SnapshotPlace(_))));
    assert!(matches!(restore(&at("new"), &at("town"), &believed(), &options()), Err(NodeError::NotEmpty(_))));
    assert!(matches!(verify(&OsDisk, &at("town"), &believed(), &silent()), Err(NodeError::NoSnapshot(_))));
    let message = create(&disk(), &at("nowhere"), &at("x"), &silent()).unwrap_err().to_string();
    assert!(message.contains("no ledger"), "{message}");

    // The chunks of one snapshot under the manifest of another.
    std::fs::copy(at("old").join("snapshot"), at("new").join("snapshot")).unwrap();
    assert!(matches!(verify(&OsDisk, &at("new"), &believed(), &silent()), Err(NodeError::Snapshot(_))));

    // A snapshot of another ledger is not replaced.
    let foreign = Ledger::create(&at("other"), "ledger.example/other", &log_key(), options()).unwrap();
    assert!(matches!(foreign.snapshot(&at("old"), &silent()), Err(NodeError::SnapshotPlace(_))));
}

/// Nothing is dropped silently: what is published about retention is what the ledger does.
#[test]
fn all_is_kept_and_an_export_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (town, export) = (dir.path().join("town"), dir.path().join("export"));
    let ledger = deployed(&town);
    put_all(&ledger, 0..50);
    let journal = || files(&town.join("journal"));
    let before = journal();
    ledger.snapshot(&dir.path().join("copy"), &silent()).unwrap();
    assert!(journal() == before, "a snapshot changes nothing of the journal");
    ledger.export(&export, "").unwrap();
    ledger.close().unwrap();
    let said = std::fs::read_to_string(export.join("retention")).unwrap();
    assert_eq!(said, "chancery retention 1\njournal all\nentries all\nmodules all\n");
    // It is the truth: with a segment less the ledger does not open, and says which.
    std::fs::remove_file(town.join("journal/00000000.seg")).unwrap();
    let error = reopen(&town).err().unwrap().to_string();
    assert!(error.contains("00000000.seg"), "{error}");
}

#[test]
fn a_ledger_that_was_never_published_has_no_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let town = dir.path().join("town");
    deployed(&town).close().unwrap();
    std::fs::remove_file(town.join("public/checkpoint")).unwrap();
    let error = create(&disk(), &town, &dir.path().join("copy"), &silent()).unwrap_err();
    assert!(matches!(error, NodeError::NotPublished(_)), "{error}");
}
