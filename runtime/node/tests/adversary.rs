//! Attacks on the log, by a stranger who has its files and by an operator who has its key: each is detected, and the message says
//! what was found where.

mod common;

use chancery_engine::prices::PRICES_VERSION;
use chancery_node::journal::{Block, FrameKind, Journal, SEGMENT_BYTES};
use chancery_node::witness_server::WitnessServer;
use chancery_node::{AuditOptions, Compiler, Ledger, Level, NodeError, OsDisk, Place, audit, verify, verify_public};
use chancery_receipt::{ConsistencyProof, Policy};
use chancery_state::{Tree, tree};
use chancery_tlog::tile::{bundles_for, encode_bundle, tiles_for};
use chancery_tlog::{Checkpoint, merkle};
use chancery_types::codec::{Decode, Encode};
use chancery_types::entry::Effects;
use chancery_types::{Entry, Event, Gas, Hash, Height, LedgerId, Outcome, Record, Timestamp};
use common::{
    ORIGIN, actor, call, copy, deployed, invoke, log_key, log_vkey, options, policy, put, put_all, reopen, silent,
};
use ed25519_dalek::SigningKey;
use std::path::Path;
use std::sync::Arc;

fn audited(dir: &Path) -> Result<chancery_node::Audit, NodeError> {
    audit(dir, &AuditOptions { compiler: Compiler::InProcess, progress: silent(), resume: None, policy: None })
}

/// A ledger with five stored notes, one in each block, and a refusal; closed.
fn town(dir: &Path) {
    let ledger = deployed(dir);
    for request in 0..5 {
        drop(ledger.submit(put(&ledger, request)).unwrap().wait().unwrap());
    }
    drop(ledger.submit(call(&ledger, 5, invoke("refuse", b"k"))).unwrap().wait().unwrap());
    ledger.close().unwrap();
}

/// The entries of a ledger with what the journal keeps beside them.
fn entries(dir: &Path) -> Vec<(Entry, Option<Effects>)> {
    let ledger = Ledger::open(dir, options()).unwrap();
    let one = |index| {
        let (entry, effects) = ledger.entry(index).unwrap();
        let is_call = matches!(entry.record, Record::Call { .. });
        (entry, is_call.then_some(effects))
    };
    (0..ledger.head().size).map(one).collect()
}

/// Makes a list of entries a chain again: index, previous hash, digests, the seals' counts and state roots.
fn rechain(entries: &mut [(Entry, Option<Effects>)]) {
    let (mut previous, mut state, mut height, mut open) = (Hash::default(), Tree::new(), 0, 0);
    for (index, (entry, effects)) in entries.iter_mut().enumerate() {
        (entry.index, entry.previous) = (index as u64, previous);
        if let (Record::Call { writes, trace, .. }, Some(effects)) = (&mut entry.record, &*effects) {
            *writes = Hash::of(&effects.writes.to_bytes());
            *trace = Hash::of(&effects.trace.to_bytes());
            state.update(effects.writes.iter().map(tree::change));
        }
        open += 1;
        if let Record::Seal { height: at, state_root, entries, keys } = &mut entry.record {
            (*at, *state_root, *entries, *keys) = (Height(height), state.root(), open - 1, state.len());
            (height, open) = (height + 1, 0);
        }
        previous = Hash::of(&entry.to_bytes());
    }
}

/// Writes entries as a data directory, as an operator could who rewrites the whole journal.
fn write_journal(from: &Path, to: &Path, entries: &[(Entry, Option<Effects>)]) {
    copy(from, to);
    for derived in ["journal", "public", "view"] {
        std::fs::remove_dir_all(to.join(derived)).unwrap();
    }
    let ledger = LedgerId(Hash::of(&entries[0].0.to_bytes()).0);
    let mut journal = Journal::create(Arc::new(OsDisk), &to.join("journal"), ledger, SEGMENT_BYTES).unwrap();
    let (mut block, mut chain) = (Block::new(0, journal.tag()), journal.chain());
    for (entry, effects) in entries {
        block.push(FrameKind::Entry, entry.index, &entry.to_bytes(), &mut chain);
        if let Some(effects) = effects {
            block.push(FrameKind::Effects, entry.index, &effects.to_bytes(), &mut chain);
        }
        if entry.seal().is_some() {
            journal.append(&std::mem::replace(&mut block, Block::new(entry.index + 1, journal.tag())), chain).unwrap();
        }
    }
}

/// Writes entries as a public log signed by its key, as an operator could.
fn write_public(to: &Path, entries: &[Vec<u8>]) {
    let mut log = merkle::Tree::new();
    entries.iter().for_each(|entry| log.push(merkle::leaf_hash(entry)));
    let write = |path: String, bytes: Vec<u8>| {
        let path = to.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    tiles_for(0, log.size()).for_each(|tile| write(tile.path(), log.tile(&tile).unwrap()));
    for bundle in bundles_for(0, log.size()) {
        let first = usize::try_from(bundle.first()).unwrap();
        write(bundle.path(), encode_bundle(&entries[first..first + usize::from(bundle.width)]).unwrap());
    }
    let checkpoint = Checkpoint { origin: ORIGIN.into(), size: log.size(), root: log.root() };
    write("checkpoint".into(), checkpoint.sign(&log_key()).into_bytes());
}

fn bytes(entries: &[(Entry, Option<Effects>)]) -> Vec<Vec<u8>> {
    entries.iter().map(|(entry, _)| entry.to_bytes()).collect()
}

fn checked(dir: &Path) -> Result<chancery_node::PublicReport, NodeError> {
    verify_public(&Place::Directory(dir.into()), &policy(), &silent())
}

/// The index of the last entry of a finished call.
fn last_done(entries: &[(Entry, Option<Effects>)]) -> usize {
    let done = |(entry, _): &(Entry, Option<Effects>)| matches!(&entry.record, Record::Call { outcome, .. } if outcome.is_done());
    entries.iter().rposition(done).unwrap()
}

#[test]
fn the_audit_of_an_honest_log_finds_nothing_and_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    town(dir.path());
    let progress = dir.path().join("progress");
    let options = AuditOptions {
        compiler: Compiler::InProcess,
        progress: silent(),
        resume: Some(progress.clone()),
        policy: None,
    };
    let first = audit(dir.path(), &options).unwrap();
    assert_eq!((first.executed, first.resumed, first.report.calls), (7, 0, 7));
    let ledger = reopen(dir.path()).unwrap();
    put_all(&ledger, 20..30);
    let head = ledger.head();
    ledger.close().unwrap();
    let second = audit(dir.path(), &options).unwrap();
    assert_eq!((second.executed, second.resumed, second.report.calls), (10, first.report.entries, 17));
    assert_eq!((second.report.state_root, second.report.root), (head.state_root, head.root));
    // The progress of a log that was changed since, or of a longer one, is not believed.
    let text = std::fs::read_to_string(&progress).unwrap();
    let size = second.report.entries;
    for field in ["root", "state"] {
        let change = |line: &str| match line.strip_prefix(field) {
            Some(value) => format!("{field} {}{}\n", if value.starts_with(" 0") { 'f' } else { '0' }, &value[2..]),
            None => format!("{line}\n"),
        };
        std::fs::write(&progress, text.lines().map(change).collect::<String>()).unwrap();
        assert!(matches!(audit(dir.path(), &options), Err(NodeError::NotContinued(_))), "{field}");
    }
    // One that ends within a block is of another log: what it covers would be taken over and compared with nothing.
    std::fs::write(&progress, text.replace(&format!("size {size}"), &format!("size {}", size - 1))).unwrap();
    assert!(matches!(audit(dir.path(), &options), Err(NodeError::NotContinued(_))));
    std::fs::write(&progress, text.replace(&format!("size {size}"), "size 1000")).unwrap();
    let error = audit(dir.path(), &options).unwrap_err();
    let says = "covers 1000 entries, the log has";
    assert!(matches!(&error, NodeError::NotContinued(text) if text.contains(says)), "{error}");
}

/// A ledger from before the price list changed: it verifies, this program executes nothing of it again by its own prices, and goes on behind what a program of its
/// time has audited.
#[test]
fn entries_of_another_price_list_are_named_and_left_to_the_program_that_wrote_them() {
    let dir = tempfile::tempdir().unwrap();
    let (today, before) = (dir.path().join("today"), dir.path().join("before"));
    town(&today);
    let mut entries = entries(&today);
    for (entry, _) in &mut entries {
        if let Record::Call { prices, .. } = &mut entry.record {
            assert_eq!(*prices, PRICES_VERSION);
            *prices = 1;
        }
    }
    rechain(&mut entries);
    write_journal(&today, &before, &entries);
    let report = verify(&before, &silent()).unwrap();
    let error = audited(&before).unwrap_err();
    let says = format!("entry 2 was executed under price list 1, this program has {PRICES_VERSION}: audit it with");
    assert!(matches!(&error, NodeError::Audit(text) if text.starts_with(&says)), "{error}");

    let progress = dir.path().join("progress");
    let (size, root, state) = (report.entries, report.root, report.state_root);
    let text = format!("chancery audit v1\nledger {}\nsize {size}\nroot {root}\nstate {state}\n", report.ledger);
    std::fs::write(&progress, text).unwrap();
    let ledger = reopen(&before).unwrap();
    put_all(&ledger, 20..30);
    ledger.close().unwrap();
    let options =
        AuditOptions { compiler: Compiler::InProcess, progress: silent(), resume: Some(progress), policy: None };
    let audit = audit(&before, &options).unwrap();
    assert_eq!((audit.executed, audit.resumed), (10, size));
}

/// What the operator writes verifies, since signatures, digests and roots fit; executing again shows that the module does something else.
#[test]
fn an_operator_who_rewrites_outcomes_is_found_by_executing_again() {
    type Forge = fn(&mut Entry, &mut Effects);
    fn record(entry: &mut Entry) -> (&mut Outcome, &mut Gas, &mut Vec<Event>) {
        let Record::Call { outcome, gas, events, .. } = &mut entry.record else { unreachable!() };
        (outcome, gas, events)
    }
    let forgeries: [(&str, &str, Forge); 6] = [
        ("gas", "", |entry, _| record(entry).1.0 += 1),
        ("outcome", "refused with code 7", |entry, effects| {
            *record(entry).0 = Outcome::Refused { code: 7, detail: vec![], reasons: vec![] };
            effects.writes.clear();
        }),
        ("outcome", "done with result 01", |entry, _| *record(entry).0 = Outcome::Done { result: vec![1] }),
        ("events", "event 3 aa", |entry, _| record(entry).2.push(Event { kind: 3, data: vec![0xaa] })),
        ("writes", "becomes 63", |_, effects| effects.writes[0].value = Some(b"c".to_vec())),
        ("writes", "is left as it is", |_, effects| effects.writes.clear()),
    ];
    let dir = tempfile::tempdir().unwrap();
    let honest = dir.path().join("honest");
    town(&honest);
    audited(&honest).unwrap();
    let original = entries(&honest);
    let at = last_done(&original);
    for (number, (field, shown, forge)) in forgeries.into_iter().enumerate() {
        let mut forged = original.clone();
        let (entry, effects) = &mut forged[at];
        forge(entry, effects.as_mut().unwrap());
        rechain(&mut forged);
        let target = dir.path().join(number.to_string());
        write_journal(&honest, &target, &forged);
        verify(&target, &silent()).unwrap();
        let error = audited(&target).unwrap_err();
        let NodeError::Diverged { index, field: found, recorded, .. } = &error else { panic!("{field}: {error}") };
        assert_eq!((*index, *found), (at as u64, field), "{error}");
        assert!(recorded.contains(shown), "{error}");
    }
}

/// With the log's key an operator can sign any list of entries. What an entry says of its place and of its call gives it away.
#[test]
fn dropped_reordered_and_edited_entries_are_named_in_a_public_log() {
    let dir = tempfile::tempdir().unwrap();
    let honest = dir.path().join("honest");
    town(&honest);
    let original = entries(&honest);
    let at = last_done(&original);
    let forged = |name: &str, entries: &[Vec<u8>]| {
        let target = dir.path().join(name);
        write_public(&target, entries);
        checked(&target).unwrap_err().to_string()
    };
    write_public(&dir.path().join("as it was"), &bytes(&original));
    assert_eq!(checked(&dir.path().join("as it was")).unwrap().entries, original.len() as u64);

    let mut dropped = bytes(&original);
    dropped.remove(at);
    let error = forged("dropped", &dropped);
    assert!(error.contains(&format!("entry {at}: entry {} stands in its place", at + 1)), "{error}");

    let mut swapped = bytes(&original);
    swapped.swap(at, at - 2);
    let error = forged("swapped", &swapped);
    assert!(error.contains(&format!("entry {}: entry {at} stands in its place", at - 2)), "{error}");

    let mut edited = original.clone();
    edited[at].0.time = Timestamp(1_001);
    let error = forged("edited", &bytes(&edited));
    assert!(error.contains(&format!("entry {}: it names", at + 1)) && error.contains("was edited"), "{error}");

    let mut resigned = original.clone();
    let Record::Call { signed, .. } = &mut resigned[at].0.record else { unreachable!() };
    signed.call.action = invoke("put", b"another");
    rechain(&mut resigned);
    let error = forged("another call", &bytes(&resigned));
    assert!(error.contains(&format!("entry {at}: its call is not signed by the actor")), "{error}");

    let mut twice = original.clone();
    twice[at] = twice[at - 2].clone();
    rechain(&mut twice);
    let error = forged("twice", &bytes(&twice));
    assert!(error.contains(&format!("entry {at}: request id")) && error.contains("stands twice"), "{error}");

    let mut hidden = original.clone();
    hidden.remove(at);
    rechain(&mut hidden);
    // A whole history without the call is a log of its own. The receipt that the caller has, or a checkpoint, contradicts it.
    write_public(&dir.path().join("hidden"), &bytes(&hidden));
    checked(&dir.path().join("hidden")).unwrap();
}

/// A stranger changes single bytes of what is served.
#[test]
fn every_changed_file_of_an_export_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (honest, export) = (dir.path().join("honest"), dir.path().join("export"));
    let ledger = deployed(&honest);
    put_all(&ledger, 0..300);
    ledger.export(&export, "").unwrap();
    ledger.close().unwrap();
    let size = checked(&export).unwrap().entries;
    let tiles = tiles_for(0, size).map(|tile| tile.path());
    let bundles = bundles_for(0, size).map(|bundle| bundle.path());
    let blob = {
        let folder = std::fs::read_dir(export.join("blobs")).unwrap().next().unwrap().unwrap();
        let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
        format!("blobs/{}/{}", folder.file_name().display(), file.file_name().display())
    };
    for path in tiles.chain(bundles).chain([blob, "checkpoint".into()]) {
        let file = export.join(&path);
        let sound = std::fs::read(&file).unwrap();
        let mut flipped = sound.clone();
        flipped[sound.len() / 2] ^= 4;
        for (what, bytes) in [("flipped", &flipped[..]), ("truncated", &sound[..sound.len() - 1]), ("empty", &[])] {
            std::fs::write(&file, bytes).unwrap();
            let error = checked(&export).expect_err(&format!("{path} {what}")).to_string();
            // Of a changed tile at the edge, only the root that they all give says that one is wrong.
            let edge = error.contains("the partial tiles of size");
            let bundle_of = path.replace("tile/0/", "tile/entries/");
            assert!(edge || error.contains(&path) || error.contains(&bundle_of), "{path} {what}: {error}");
        }
        std::fs::remove_file(&file).unwrap();
        let error = checked(&export).expect_err(&format!("{path} removed")).to_string();
        assert!(error.contains("missing"), "{path} removed: {error}");
        std::fs::write(&file, sound).unwrap();
    }
    checked(&export).unwrap();
}

#[test]
fn two_roots_at_one_size_are_proof_of_two_histories() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (dir.path().join("ours"), dir.path().join("theirs"));
    deployed(&ours).close().unwrap();
    copy(&ours, &theirs);
    let add = |dir: &Path, request| {
        let ledger = reopen(dir).unwrap();
        drop(ledger.submit(put(&ledger, request)).unwrap().wait().unwrap());
        let size = ledger.head().size;
        let proof = ledger.consistency(size, None).unwrap();
        ledger.close().unwrap();
        (size, proof)
    };
    let ((size, one), (other_size, other)) = (add(&ours, 1), add(&theirs, 2));
    assert_eq!(size, other_size);
    let both = ConsistencyProof { path: Vec::new(), old: one.new, new: other.new };
    let error = both.verify(&policy()).unwrap_err().to_string();
    assert!(error.contains("two histories") || error.contains("two roots"), "{error}");
    // So does who is asked to go on from the other checkpoint. From its own it goes on, with the note as it is.
    let ledger = reopen(&ours).unwrap();
    let error = ledger.consistency_from(&both.new).unwrap_err();
    assert!(matches!(&error, NodeError::Checkpoint(problem) if problem.contains("the one that was kept has the root")));
    put_all(&ledger, 3..4);
    let proof = ledger.consistency_from(&both.old).unwrap();
    assert_eq!((&proof.old, proof.verify(&policy()).unwrap().new.size), (&both.old, ledger.head().size));
    let stranger = Checkpoint { origin: ORIGIN.into(), size, root: Hash::default() }.sign(&actor());
    assert!(matches!(ledger.consistency_from(&stranger), Err(NodeError::Receipt(_))));
    let beyond = Checkpoint { origin: ORIGIN.into(), size: 99, root: Hash::default() }.sign(&log_key());
    assert!(matches!(ledger.consistency_from(&beyond), Err(NodeError::Checkpoint(_))));
    ledger.close().unwrap();
    // The node itself meets the other checkpoint in its own directory.
    std::fs::copy(theirs.join("public/checkpoint"), ours.join("public/checkpoint")).unwrap();
    let error = reopen(&ours).map(drop).unwrap_err().to_string();
    assert!(error.contains(&format!("its root over {size} entries is another than the journal's")), "{error}");
    assert!(matches!(verify(&ours, &silent()), Err(NodeError::Checkpoint(_))));
}

/// A witness in this process.
struct LiveWitness {
    url: String,
    vkey: String,
    _memory: tempfile::TempDir,
}

impl LiveWitness {
    fn start() -> Self {
        let (memory, key) = (tempfile::tempdir().unwrap(), SigningKey::from_bytes(&[33; 32]));
        let server = WitnessServer::open(memory.path(), "witness.example/w", key, vec![log_vkey()]).unwrap();
        let listener = tiny_http::Server::http("127.0.0.1:0").unwrap();
        let (url, vkey) = (format!("http://{}", listener.server_addr()), server.verifier().to_vkey());
        std::thread::spawn(move || Arc::new(server).serve(&listener));
        LiveWitness { url, vkey, _memory: memory }
    }

    /// A policy that asks for its cosignature.
    fn policy(&self) -> String {
        format!("log {}\nwitness w {} {}\nquorum w\n", log_vkey().to_vkey(), self.vkey, self.url)
    }
}

#[test]
fn a_restored_backup_is_refused_by_a_live_witness() {
    let dir = tempfile::tempdir().unwrap();
    let (town, backup) = (dir.path().join("town"), dir.path().join("backup"));
    let witness = LiveWitness::start();
    let ledger = deployed(&town);
    assert!(matches!(ledger.set_policy(b"quorum none\n"), Err(NodeError::Policy(_))));
    ledger.set_policy(witness.policy().as_bytes()).unwrap();
    ledger.close().unwrap();

    let ledger = reopen(&town).unwrap();
    let answer = ledger.submit(put(&ledger, 1)).unwrap().wait_for(Level::Witnessed).unwrap();
    // The cosignature is in the published checkpoint, and a receipt under it satisfies the witness's policy.
    let strict = Policy::parse(witness.policy().as_bytes()).unwrap();
    assert!(strict.open(&ledger.checkpoint().unwrap()).is_ok());
    let receipt = ledger.receipt(answer.index, &chancery_node::Parts::default(), Level::Witnessed).unwrap();
    assert_eq!(receipt.verify(&strict).unwrap().log.witnesses.len(), 1);
    ledger.close().unwrap();
    assert!(strict.open(&std::fs::read_to_string(town.join("public/checkpoint")).unwrap()).is_ok());

    copy(&town, &backup);
    let ledger = reopen(&town).unwrap();
    put_all(&ledger, 2..5);
    ledger.close().unwrap();
    let newest = std::fs::read_to_string(town.join("public/checkpoint")).unwrap();
    assert!(strict.open(&newest).is_ok(), "the last checkpoint was cosigned at close");

    let before = std::fs::read_to_string(backup.join("public/checkpoint")).unwrap();
    let error = reopen(&backup).map(drop).unwrap_err();
    assert!(matches!(error, NodeError::Witness(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("witness w") && text.contains("has cosigned") && text.contains("older copy"), "{text}");
    assert_eq!(std::fs::read_to_string(backup.join("public/checkpoint")).unwrap(), before, "nothing was signed");
    // It can still be read.
    Ledger::open(&backup, options()).unwrap().close().unwrap();
}

#[test]
fn a_fork_is_refused_by_a_live_witness_at_start_and_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (dir.path().join("ours"), dir.path().join("theirs"));
    deployed(&ours).close().unwrap();
    copy(&ours, &theirs);
    let witness = LiveWitness::start();
    let grow = |dir: &Path, requests| {
        let ledger = reopen(dir).unwrap();
        put_all(&ledger, requests);
        ledger.set_policy(witness.policy().as_bytes()).unwrap();
        ledger.close().unwrap();
    };
    grow(&theirs, 10..11);
    let ledger = reopen(&ours).unwrap();
    ledger.set_policy(witness.policy().as_bytes()).unwrap();
    ledger.close().unwrap();
    // Both are open before the witness has seen that they differ. It cosigns the first that asks, and the other one stops.
    let both = [(&ours, 1), (&theirs, 11)].map(|(dir, request)| (dir, request, reopen(dir).unwrap()));
    let mut stopped = 0;
    for (dir, request, ledger) in both {
        let ticket = ledger.submit(put(&ledger, request));
        let Err(error) = ticket.and_then(|ticket| ticket.wait_for(Level::Witnessed)) else {
            ledger.close().unwrap();
            continue;
        };
        stopped += 1;
        assert!(error.to_string().contains("witness w"), "{error}");
        assert!(ledger.submit(put(&ledger, request + 1)).is_err(), "a log that has forked goes no further");
        let error = ledger.close().unwrap_err().to_string();
        assert!(error.contains("forked") || error.contains("has cosigned"), "{error}");
        let error = reopen(dir).map(drop).unwrap_err().to_string();
        assert!(error.contains("witness w") && error.contains("Nothing more is signed"), "{error}");
    }
    assert_eq!(stopped, 1);
}

#[test]
fn a_witness_that_is_away_keeps_nobody_from_publishing() {
    let dir = tempfile::tempdir().unwrap();
    let witness = LiveWitness::start();
    let away = witness.policy().replace(&witness.url, "http://127.0.0.1:9");
    let ledger = deployed(dir.path());
    ledger.set_policy(away.as_bytes()).unwrap();
    ledger.close().unwrap();
    let ledger = reopen(dir.path()).unwrap();
    assert!(ledger.submit(put(&ledger, 1)).unwrap().wait_for(Level::Published).is_ok());
    let error = ledger.submit(put(&ledger, 2)).unwrap().wait_for(Level::Witnessed).map(drop).unwrap_err().to_string();
    assert!(error.contains("not witnessed") && error.contains("cannot be reached"), "{error}");
    ledger.close().unwrap();
}

#[test]
fn entries_decode_to_what_the_tests_change() {
    let dir = tempfile::tempdir().unwrap();
    let honest = dir.path().join("honest");
    town(&honest);
    let original = entries(&honest);
    let mut again = original.clone();
    rechain(&mut again);
    assert_eq!(bytes(&again), bytes(&original), "rechaining an honest log changes nothing");
    assert!(Entry::from_bytes(&bytes(&original)[0]).is_ok());
}
