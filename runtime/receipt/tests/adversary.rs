//! What somebody can try who owns the files, or the log's key, or the log's key and every witness: each attack is found by `verify.py` from
//! the files alone, and the message says what was found where.

mod common;

use chancery_receipt::{ConsistencyProof, ReceiptError};
use chancery_tlog::note::VerifierKey;
use common::{ORIGIN, Town, cosigned, key, log_key, policy, write};
use std::path::Path;
use std::process::Command;

const SIZE: u64 = 600;
const OLD: u64 = 300;

/// What verify.py says of an export, and perhaps of files: whether it verified, and its last line.
fn verify_py<'a>(directory: &Path, more: impl IntoIterator<Item = &'a Path>) -> (bool, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify/verify.py");
    let output = Command::new("python3").arg("-I").arg(script).arg(directory).args(more).output().expect("python3");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text.lines().last().unwrap_or_default().into())
}

/// An honest ledger's export.
struct Attack {
    dir: tempfile::TempDir,
    town: Town,
}

impl Attack {
    fn begin() -> Self {
        let (dir, town) = (tempfile::tempdir().unwrap(), Town::grown(SIZE, 9));
        town.export(dir.path(), OLD);
        Attack { dir, town }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Changes a byte of a file.
    fn flip(&self, file: &str, at: usize) {
        let mut bytes = std::fs::read(self.path().join(file)).unwrap();
        bytes[at] ^= 1;
        write(self.path(), file, bytes);
    }

    /// Puts a ledger of other entries in the place of the honest one; the checkpoint as `sign` makes it.
    fn replace(&self, change: impl FnOnce(&mut Vec<Vec<u8>>), sign: impl FnOnce(&Town) -> String) -> Town {
        let mut entries = self.town.entries.clone();
        change(&mut entries);
        let forged = Town::forged(entries);
        std::fs::remove_dir_all(self.path().join("tile")).unwrap();
        forged.write_tiles(self.path(), OLD);
        write(self.path(), "checkpoint", sign(&forged));
        forged
    }

    #[track_caller]
    fn found<'a>(&self, more: impl IntoIterator<Item = &'a Path>, expected: &[&str]) {
        let (verified, message) = verify_py(self.path(), more);
        assert!(!verified, "verified: {message}");
        assert!(expected.iter().all(|part| message.contains(part)), "{message}");
    }
}

/// The gas of call 412, a byte before its empty lists and digests: changed without changing what the entry says of its place.
fn edit(entries: &mut [Vec<u8>]) {
    let at = entries[412].len() - 2 - 32 - 4 - 32 - 4 - 8;
    entries[412][at] ^= 1;
}

fn with_everybody(town: &Town) -> String {
    cosigned(&town.checkpoint(town.size()))
}

#[test]
fn the_honest_export_verifies() {
    let honest = Attack::begin();
    let (verified, message) = verify_py(honest.path(), None);
    assert!(verified, "{message}");
}

#[test]
fn an_edited_entry_is_found_by_its_tile() {
    let attack = Attack::begin();
    attack.flip("tile/entries/001", 2_000);
    attack.found(None, &["tile/entries/001: entry ", "tile/0/001"]);
}

#[test]
fn an_edited_tile_is_found_by_what_is_below_it() {
    let attack = Attack::begin();
    attack.flip("tile/1/000.p/2", 40);
    attack.found(None, &["tile/1/000.p/2: it holds another history than the entries"]);
    let attack = Attack::begin();
    attack.flip("tile/0/001.p/44", 3);
    attack.found(None, &["tile/0/001.p/44: it holds another history"]);
}

#[test]
fn an_edited_module_is_found_by_its_name() {
    let attack = Attack::begin();
    let blob = chancery_types::Hash::of(common::MODULE).to_string();
    attack.flip(&format!("blobs/{}/{blob}", &blob[..2]), 500);
    attack.found(None, &["blobs/", "not the blob of that BLAKE3"]);
}

#[test]
fn a_history_written_anew_does_not_fit_the_signed_checkpoint() {
    let attack = Attack::begin();
    let honest = with_everybody(&attack.town);
    attack.replace(|entries| edit(entries), |_| honest);
    attack.found(None, &["checkpoint, root: the 600 entries have the root", "another history was signed"]);
}

#[test]
fn who_has_the_log_key_does_not_have_the_witnesses() {
    let attack = Attack::begin();
    attack.replace(|entries| edit(entries), |forged| forged.checkpoint(SIZE).sign(&log_key()));
    attack.found(None, &["checkpoint: the policy's quorum is not reached: cosigned by []"]);
}

#[test]
fn dropped_and_reordered_entries_are_found_though_everybody_signed() {
    let attack = Attack::begin();
    let drop = |entries: &mut Vec<Vec<u8>>| drop(entries.remove(411));
    attack.replace(drop, with_everybody);
    attack.found(None, &["tile/entries/001", "entry 411 says that it is entry 412", "dropped or reordered"]);
    let attack = Attack::begin();
    attack.replace(|entries| entries.swap(411, 412), with_everybody);
    attack.found(None, &["entry 411 says that it is entry 412: entries were dropped or reordered"]);
}

#[test]
fn a_call_put_into_anothers_mouth_is_found_though_everybody_signed() {
    let actors = Some(Path::new("--actors"));
    let attack = Attack::begin();
    let (verified, message) = verify_py(attack.path(), actors);
    assert!(verified, "{message}");
    // The actor's public key, behind the entry's head and the ledger's id.
    attack.replace(|entries| entries[412][51 + 32] ^= 1, with_everybody);
    attack.found(actors, &["tile/entries/001: entry 412, actor: the call is not signed by the actor that it names"]);
}

/// What an officer signed for another ledger, for instance one to try things on, and what an officer signed once.
#[test]
fn a_call_of_another_ledger_and_a_call_twice_are_found_though_everybody_signed() {
    let attack = Attack::begin();
    let other = Town::of_nonce([6; 32], SIZE, 9);
    attack.replace(|entries| entries[412].clone_from(&other.entries[412]), with_everybody);
    let [ours, theirs] = [&attack.town, &other].map(|town| chancery_types::Hash::of(&town.entries[0]));
    let says =
        format!("entry 412 is a call for the ledger {theirs}, this one is {ours}: it was moved here from another log");
    attack.found(None, &[&says]);

    let attack = Attack::begin();
    // From the request id, behind the entry's head, ledger and actor: all of call 402 in the place of 412.
    let again = |entries: &mut Vec<Vec<u8>>| {
        let head = entries[412][..51].to_vec();
        entries[412] = [&head, &entries[402][51..]].concat();
    };
    attack.replace(again, with_everybody);
    attack.found(None, &["entry 412 has the request id of entry 402: one call stands in the log twice"]);
}

/// The proof that somebody asks for begins with a checkpoint of the new history, signed afresh. Only the one that was kept shows it.
#[test]
fn a_consistency_proof_of_another_history_is_found_by_the_kept_checkpoint() {
    let attack = Attack::begin();
    let files = tempfile::tempdir().unwrap();
    let [kept, smaller, proof] = ["kept", "smaller", "proof"].map(|name| files.path().join(name));
    let note = cosigned(&attack.town.checkpoint(500));
    write(files.path(), "kept", &note);
    write(files.path(), "smaller", cosigned(&attack.town.checkpoint(499)));
    let honest = attack.town.consistency(500);
    write(files.path(), "proof", honest.to_text());
    let held = |checkpoint| [Path::new("--checkpoint"), checkpoint, &proof];
    let (verified, message) = verify_py(attack.path(), held(&kept));
    assert!(verified, "{message}");
    honest.verify(&policy()).unwrap().check_kept(&note, &policy()).unwrap();
    attack.found(held(&smaller), &["it covers 500 entries of 'ledger.example/town', the one that was kept 499"]);

    let forged = attack.replace(|entries| edit(entries), with_everybody).consistency(500);
    write(files.path(), "proof", forged.to_text());
    let (verified, message) = verify_py(attack.path(), [&*proof]);
    assert!(verified, "nothing in the forged proof itself contradicts: {message}");
    attack.found(held(&kept), &["older checkpoint: its root is", "the log signed two histories of 500 entries"]);
    let forged = forged.verify(&policy()).unwrap();
    let error = |note: &str| forged.check_kept(note, &policy()).unwrap_err().to_string();
    assert!(error(&note).contains("older checkpoint: the log signed two histories of 500 entries"), "{}", error(&note));
    let sizes = "over 499 entries of `ledger.example/town`, found one over 500";
    assert!(error(&cosigned(&attack.town.checkpoint(499))).contains(sizes));
    let unsigned = attack.town.checkpoint(500).sign(&key(10));
    assert!(error(&unsigned).starts_with("not verified: kept checkpoint: "), "{}", error(&unsigned));
}

#[test]
fn a_kept_checkpoint_shows_the_fork_though_everybody_signed() {
    let attack = Attack::begin();
    let kept_dir = tempfile::tempdir().unwrap();
    for size in [500, SIZE] {
        write(kept_dir.path(), &format!("{size}"), cosigned(&attack.town.checkpoint(size)));
    }
    let forged = attack.replace(|entries| edit(entries), with_everybody);
    let (verified, message) = verify_py(attack.path(), None);
    assert!(verified, "nothing in the forged export itself contradicts: {message}");
    for size in [500, SIZE] {
        let part = format!("{size}, root: ");
        attack.found([&*kept_dir.path().join(format!("{size}"))], &[&part, "the log signed two histories"]);
    }
    // The same from two checkpoints alone, by our own verifier.
    let (old, new) = (with_everybody(&attack.town), with_everybody(&forged));
    let file = ConsistencyProof { path: vec![], old, new };
    let Err(ReceiptError::Untrue { field, problem }) = file.verify(&policy()) else { panic!("verified") };
    assert_eq!(field, "root");
    assert!(problem.contains("signed two histories of 600 entries"), "{problem}");
    write(kept_dir.path(), "both", file.to_text());
    attack.found([&*kept_dir.path().join("both")], &["both, root: the log signed two histories of 600 entries"]);
}

#[test]
fn a_kept_checkpoint_shows_that_the_log_was_rolled_back() {
    let attack = Attack::begin();
    let kept_dir = tempfile::tempdir().unwrap();
    write(kept_dir.path(), "kept", with_everybody(&attack.town));
    attack.replace(|entries| entries.truncate(590), with_everybody);
    attack.found(
        [&*kept_dir.path().join("kept")],
        &["kept, size: it covers 600 entries, the export 590: the log was rolled back"],
    );
    let (old, new) = (with_everybody(&attack.town), cosigned(&attack.town.checkpoint(590)));
    let error = ConsistencyProof { path: vec![], old, new }.verify(&policy()).unwrap_err().to_string();
    assert!(error.contains("the log was rolled back"), "{error}");
}

#[test]
fn another_origin_and_another_key_are_named() {
    let attack = Attack::begin();
    let mut other = attack.town.checkpoint(SIZE);
    other.origin = "ledger.example/elsewhere".into();
    write(attack.path(), "checkpoint", cosigned(&other));
    attack.found(None, &["checkpoint, origin: no log of the policy is named 'ledger.example/elsewhere' and signed it"]);

    let attack = Attack::begin();
    write(attack.path(), "checkpoint", attack.town.checkpoint(SIZE).sign(&key(10)));
    attack.found(None, &["checkpoint, origin: no log of the policy is named 'ledger.example/town' and signed it"]);

    let attack = Attack::begin();
    write(attack.path(), "log.vkey", VerifierKey::of(ORIGIN, &key(10)).to_vkey() + "\n");
    attack.found(None, &["log.vkey: it is not the policy's key of the checkpoint's log"]);
}
