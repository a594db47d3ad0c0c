//! The public log: what is in it after what, what is written again, what an export holds, and the proofs that lead to it.

mod common;

use chancery_node::{AuditOptions, Compiler, Ledger, Level, NodeError, Parts, Place, audit, verify_public};
use chancery_receipt::{ConsistencyProof, Receipt, StateProof};
use chancery_tlog::tile::{WIDTH, bundles_for, tiles_for};
use chancery_tlog::{Checkpoint, TlogProof};
use chancery_types::codec::Encode;
use chancery_types::{Height, RequestId};
use common::{call, copy, deployed, files, invoke, log_vkey, options, policy, put, put_all, reopen, silent};
use std::path::{Path, PathBuf};

fn published(dir: &Path) -> Checkpoint {
    Checkpoint::open(&std::fs::read_to_string(dir.join("checkpoint")).unwrap(), &log_vkey()).unwrap()
}

/// Every tile and bundle of a size is there.
fn is_complete(dir: &Path, size: u64) -> bool {
    let tiles = tiles_for(0, size).map(|tile| (tile.path(), Some(usize::from(tile.width) * 32)));
    let bundles = bundles_for(0, size).map(|bundle| (bundle.path(), None));
    tiles.chain(bundles).all(|(path, length)| {
        std::fs::read(dir.join(path)).is_ok_and(|bytes| length.is_none_or(|length| bytes.len() == length))
    })
}

#[test]
fn a_call_that_waits_is_public_when_it_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    let public = dir.path().join("public");
    for request in 0..5 {
        let answer = ledger.submit(put(&ledger, request)).unwrap().wait_for(Level::Published).unwrap();
        let checkpoint = published(&public);
        assert!(checkpoint.size > answer.index);
        assert!(is_complete(&public, checkpoint.size), "size {}", checkpoint.size);
    }
    // Partial tiles of every published size stay until the full one is there.
    let partials = std::fs::read_dir(public.join("tile/0/000.p")).unwrap().count();
    assert!(partials >= 6, "{partials}");
    assert!(matches!(ledger.wait_for(1_000, Level::Published), Err(NodeError::NoEntry { .. })));
    // Without witnesses nothing is ever witnessed: who asks for it is told and not left waiting.
    let waiting = ledger.submit(put(&ledger, 9)).unwrap().wait_for(Level::Witnessed);
    assert!(waiting.unwrap_err().to_string().contains("names no witness"));
    ledger.close().unwrap();
}

#[test]
fn full_tiles_take_the_place_of_partial_ones_and_all_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    for from in (0..600).step_by(100) {
        put_all(&ledger, from..from + 100);
        ledger.wait_for(ledger.head().size - 1, Level::Published).unwrap();
    }
    ledger.close().unwrap();
    let public = dir.path().join("public");
    let size = published(&public).size;
    assert!(size > 2 * WIDTH && is_complete(&public, size));
    assert!(!public.join("tile/0/000.p").exists() && !public.join("tile/entries/001.p").exists());
    let report = verify_public(&Place::Directory(public), &policy(), &silent()).unwrap();
    assert_eq!((report.entries, report.calls, report.modules), (size, 601, None));
}

#[test]
fn what_is_lost_or_damaged_at_the_edge_is_written_again_on_opening() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    put_all(&ledger, 0..300);
    ledger.close().unwrap();
    let public = dir.path().join("public");
    let before = files(&public);
    let size = published(&public).size;
    let edge = tiles_for(0, size).filter(|tile| u64::from(tile.width) < WIDTH).map(|tile| public.join(tile.path()));
    let edge: Vec<PathBuf> = edge.chain([public.join(bundles_for(0, size).last().unwrap().path())]).collect();
    for path in edge {
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[5] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        reopen(dir.path()).unwrap().close().unwrap();
        assert!(files(&public) == before, "{} flipped", path.display());
    }
    for (path, bytes) in &before {
        std::fs::remove_file(path).unwrap();
        reopen(dir.path()).unwrap().close().unwrap();
        assert!(files(&public) == before, "{} removed", path.display());
        if path.ends_with("tile/0/000") {
            std::fs::write(path, &bytes[1..]).unwrap();
            reopen(dir.path()).unwrap().close().unwrap();
            assert!(files(&public) == before, "{} truncated", path.display());
        }
    }
    std::fs::remove_dir_all(&public).unwrap();
    reopen(dir.path()).unwrap().close().unwrap();
    verify_public(&Place::Directory(public), &policy(), &silent()).unwrap();
}

#[test]
fn an_export_verifies_alone_and_a_second_one_adds_what_is_new() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let exported = out.path().join("export");
    let ledger = deployed(dir.path());
    put_all(&ledger, 0..280);
    let first = ledger.export(&exported, "verifier\n").unwrap();
    assert_eq!((first.before, first.entries, first.blobs), (0, ledger.head().size, 1));
    let place = Place::Directory(exported.clone());
    let report = verify_public(&place, &place.own_policy().unwrap(), &silent()).unwrap();
    assert_eq!((report.entries, report.calls, report.modules), (first.entries, 281, Some(1)));
    put_all(&ledger, 280..600);
    let second = ledger.export(&exported, "verifier\n").unwrap();
    assert_eq!((second.before, second.entries), (first.entries, ledger.head().size));
    let report = verify_public(&place, &policy(), &silent()).unwrap();
    assert_eq!((report.entries, report.calls, report.root), (second.entries, 601, ledger.head().root));
    assert!(matches!(ledger.export(out.path(), ""), Err(NodeError::Export(_))));
    assert!(matches!(ledger.export(dir.path(), ""), Err(NodeError::InLedger { .. })));
    let head = ledger.head();
    ledger.close().unwrap();

    let options = AuditOptions { compiler: Compiler::InProcess, progress: silent(), resume: None, policy: None };
    let audited = audit(&exported, &options).unwrap();
    assert_eq!((audited.executed, audited.report.root, audited.report.state_root), (601, head.root, head.state_root));

    // Another ledger's export is not added to.
    let other = tempfile::tempdir().unwrap();
    let stranger = deployed(other.path());
    assert!(matches!(stranger.export(&exported, ""), Err(NodeError::Export(_))));
}

#[test]
fn receipts_and_proofs_verify_and_say_what_was() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    let id = ledger.contract("notes").unwrap().unwrap().id;
    // Each call overwrites nothing; keys appear one by one, so that every height has another state.
    let mut heights = vec![ledger.head().height];
    for request in 0..6 {
        heights.push(ledger.submit(put(&ledger, request)).unwrap().wait().unwrap().height);
    }
    for (seen, height) in heights.iter().enumerate() {
        for request in 0..6u128 {
            let key = request.to_le_bytes();
            let proof = ledger.prove_state(&id, &key, Some(*height), Level::Published).unwrap();
            let text = proof.to_text().unwrap();
            let state = StateProof::parse(text.as_bytes()).unwrap().verify(&policy()).unwrap();
            let expected = (request < seen as u128).then(|| key.to_vec());
            assert_eq!((state.value, state.height), (expected, *height));
        }
    }
    let beyond = ledger.prove_state(&id, b"k", Some(Height(99)), Level::Published);
    assert!(matches!(beyond, Err(NodeError::NoHeight { .. })));

    let index = ledger.find(RequestId(3)).unwrap().unwrap();
    let parts = Parts { module: true, trace: true, writes: true, states: vec![3u128.to_le_bytes().to_vec(), vec![9]] };
    let text = ledger.receipt(index, &parts, Level::Published).unwrap().to_text().unwrap();
    let verified = Receipt::parse(text.as_bytes()).unwrap().verify(&policy()).unwrap();
    assert_eq!((verified.entry.index, verified.interface.unwrap().name.as_str()), (index, "notes"));
    assert_eq!(verified.states.iter().map(|state| state.value.is_some()).collect::<Vec<_>>(), [true, false]);
    assert_eq!(verified.states[0].height, heights[4]);
    assert!(matches!(ledger.receipt(0, &parts, Level::Published), Err(NodeError::Receipt(_))));

    let (entry, _) = ledger.entry(index).unwrap();
    let proof = ledger.prove_inclusion(index, Level::Published).unwrap().to_string();
    TlogProof::parse(proof.as_bytes()).unwrap().verify(&entry.to_bytes(), &policy()).unwrap();
    let size = ledger.head().size;
    for (old, new) in [(1, size), (2, 5), (size, size)] {
        let text = ledger.consistency(old, Some(new)).unwrap().to_text();
        let verified = ConsistencyProof::parse(text.as_bytes()).unwrap().verify(&policy()).unwrap();
        assert_eq!((verified.old.size, verified.new.size), (old, new));
    }
    for (old, new) in [(2, size + 1), (0, size), (0, 0)] {
        assert!(matches!(ledger.consistency(old, Some(new)), Err(NodeError::NoEntry { .. })));
    }
    assert_eq!(ledger.consistency(2, None).unwrap().new, ledger.checkpoint().unwrap());
}

#[test]
fn without_the_log_key_nothing_is_published_and_who_waits_is_told() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    deployed(dir.path()).close().unwrap();
    copy(dir.path(), &other.path().join("copy"));
    let ledger = Ledger::open(&other.path().join("copy"), options()).unwrap();
    let before = ledger.checkpoint().unwrap();
    let waiting = ledger.submit(put(&ledger, 1)).unwrap().wait_for(Level::Published);
    assert!(waiting.unwrap_err().to_string().contains("log key is not at hand"));
    let refused = ledger.submit(call(&ledger, 2, invoke("refuse", b"k"))).unwrap().wait().unwrap();
    assert!(matches!(
        ledger.receipt(refused.index, &Parts::default(), Level::Published),
        Err(NodeError::NotPublished(_))
    ));
    assert_eq!(ledger.checkpoint().unwrap(), before);
}
