//! A ledger as its callers see it: ordering, refusals, and what is left after every kind of stop.

mod common;

use chancery_node::{
    AuditOptions, Clock, Compiler, Ledger, Level, NodeError, Options, Progress, Refusal, audit, verify,
};
use chancery_state::Scan;
use chancery_tlog::merkle;
use chancery_types::call::{PATH_MAX, Sibling, message_of};
use chancery_types::codec::Encode;
use chancery_types::{
    Action, Call, Entry, Hash, LedgerId, Outcome, PublicKey, RequestId, Signature, SignedCall, Timestamp,
};

use common::{LARGE_STACK, actor, call, copy, deployed, invoke, log_key, module, options, put, reopen, silent};
use ed25519_dalek::Signer;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

fn checked(dir: &Path) -> Result<chancery_node::Report, NodeError> {
    verify(dir, &silent())
}

/// The path of the first segment, its bytes, and where the data ends.
fn segment(dir: &Path) -> (std::path::PathBuf, Vec<u8>, usize) {
    let path = dir.join("journal/00000000.seg");
    let bytes = std::fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    (path, bytes, end)
}

#[test]
fn many_threads_call_and_every_call_is_recorded_once() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    let work = |thread: u128| {
        for number in 0..20 {
            let answer = ledger.call(put(&ledger, thread * 100 + number)).unwrap();
            assert!(answer.outcome().unwrap().is_done() && !answer.repeated);
        }
    };
    // One alone, then all others, on every second thread with room to execute by itself, and once more one alone.
    for threads in [0..1, 1..63, 63..64] {
        std::thread::scope(|scope| {
            for thread in threads {
                let builder =
                    std::thread::Builder::new().stack_size(if thread % 2 == 0 { 2 << 20 } else { LARGE_STACK });
                builder.spawn_scoped(scope, move || work(thread)).unwrap();
            }
        });
    }
    let head = ledger.head();
    ledger.close().unwrap();
    let report = checked(dir.path()).unwrap();
    assert_eq!((report.calls, report.entries, report.root), (64 * 20 + 1, head.size, head.root));
    assert_eq!(report.keys, 64 * 20 + 1);
    assert_eq!(report.checkpoint, Some(head.size));
    assert_eq!(reopen(dir.path()).unwrap().head(), head);
}

/// The time, and which threads asked for it.
#[derive(Default)]
struct Asked(Mutex<Vec<String>>);

impl Clock for Asked {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().push(std::thread::current().name().unwrap_or_default().into());
        Timestamp(1_000)
    }
}

/// Whoever executes a call asks for the time of its block. A lone call is executed by its caller, one that found others on their way is not.
#[test]
fn a_lone_call_wakes_no_thread() {
    let dir = tempfile::tempdir().unwrap();
    deployed(dir.path()).close().unwrap();
    let clock = Arc::new(Asked::default());
    let ledger = Ledger::open(dir.path(), Options { clock: clock.clone(), ..options() }).unwrap();
    let by_sequencer = |stack: usize, calls: Range<u128>| {
        clock.0.lock().unwrap().clear();
        std::thread::scope(|scope| {
            let caller = std::thread::Builder::new().name("caller".into()).stack_size(stack);
            let run = || calls.for_each(|number| drop(ledger.call(put(&ledger, number)).unwrap()));
            caller.spawn_scoped(scope, run).unwrap().join().unwrap();
        });
        let asked = clock.0.lock().unwrap();
        asked.iter().filter(|name| *name == "sequencer").count()
    };
    // Whether calls come one at a time shows with the first, once the threads that had to do with it have come to rest.
    let lone = (100..200).find(|number| by_sequencer(LARGE_STACK, *number..number + 1) == 0);
    assert!(lone.is_some());
    assert_eq!(by_sequencer(LARGE_STACK, 200..220), 0);
    assert_eq!(by_sequencer(2 << 20, 220..230), 10, "its stack is too small for a contract");
    ledger.close().unwrap();
}

#[test]
fn the_same_request_again_gives_the_first_answer_and_another_body_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    let first = ledger.submit(put(&ledger, 1)).unwrap().wait().unwrap();
    let again = ledger.submit(put(&ledger, 1)).unwrap().wait().unwrap();
    assert_eq!(
        (again.index, &again.entry, again.height, again.repeated),
        (first.index, &first.entry, first.height, true)
    );
    let other = call(&ledger, 1, invoke("put", b"other"));
    assert!(matches!(ledger.submit(other.clone()), Err(Refusal::RequestReused { index, .. }) if index == first.index));
    // Both at once, before either is ordered: one is recorded, the other is not answered with it.
    let (a, b) = (put(&ledger, 2), call(&ledger, 2, invoke("put", b"other")));
    let tickets = [ledger.submit(a), ledger.submit(b)];
    let answers = tickets.map(|ticket| ticket.and_then(chancery_node::Ticket::wait));
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(answers.iter().any(|answer| matches!(answer, Err(Refusal::RequestReused { .. }))));
    ledger.close().unwrap();
    let ledger = reopen(dir.path()).unwrap();
    assert_eq!(ledger.submit(put(&ledger, 1)).unwrap().wait().unwrap().index, first.index);
    assert!(matches!(ledger.submit(other), Err(Refusal::RequestReused { .. })));
}

#[test]
fn what_is_not_ordered_says_why_and_leaves_no_entry() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    let size = ledger.head().size;
    let refused = |signed| ledger.submit(signed).map(drop).unwrap_err();
    let mut forged = put(&ledger, 1);
    forged.call.request = RequestId(2);
    assert!(matches!(refused(forged), Refusal::BadSignature(_)));
    let good = put(&ledger, 1).call;
    let sign = |call| SignedCall::sign(call, &actor());
    let wrong = Call { ledger: LedgerId([1; 32]), ..good.clone() };
    assert!(matches!(refused(sign(wrong)), Refusal::WrongLedger { .. }));
    let expired = Call { valid_until: Timestamp(999), ..good.clone() };
    assert!(matches!(refused(sign(expired)), Refusal::Expired { .. }));
    let large = Call { action: invoke("put", &[0; 40_000]), ..good.clone() };
    assert!(matches!(refused(sign(large)), Refusal::TooLarge { .. }));
    let misspelt = Call { action: invoke("Put", b"x"), ..good };
    assert!(matches!(refused(sign(misspelt)), Refusal::BadName(_)));
    assert_eq!(ledger.head().size, size);
}

#[test]
fn refusals_and_rejections_are_entries_without_effects() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    let keys = ledger.head().keys;
    let answer = |request, action| ledger.submit(call(&ledger, request, action)).unwrap().wait().unwrap();
    let refused = answer(1, invoke("refuse", b"k"));
    assert!(matches!(refused.outcome(), Some(Outcome::Refused { code: 5, .. })));
    let unknown = answer(2, invoke("no_such", b"k"));
    assert_eq!(unknown.outcome().unwrap().word(), "rejected");
    let (module, _) = ledger.put_module(&module()).unwrap();
    let taken = answer(3, Action::Deploy { name: "notes".into(), module, arguments: vec![] });
    assert_eq!(taken.outcome().unwrap().word(), "rejected");
    assert_eq!(ledger.head().keys, keys);
    ledger.close().unwrap();
    assert_eq!(checked(dir.path()).unwrap().calls, 4);
}

#[test]
fn a_dry_run_and_a_query_record_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    let head = ledger.head();
    let execution = ledger.dry_run(&put(&ledger, 1).call).unwrap();
    assert!(execution.outcome.is_done());
    assert_eq!(execution.writes.len(), 1);
    let actor = PublicKey([1; 32]);
    assert!(matches!(ledger.query("notes", "put", vec![], actor), Err(NodeError::NoMethod { .. })));
    assert!(matches!(ledger.query("none", "put", vec![], actor), Err(NodeError::NoContract(_))));
    assert_eq!(ledger.head(), head);
}

#[test]
fn a_copy_taken_while_it_runs_opens_with_all_that_was_acknowledged() {
    let (dir, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ledger = deployed(dir.path());
    let last = (0..50).map(|n| ledger.submit(put(&ledger, n)).unwrap().wait().unwrap().index).max().unwrap();
    let target = crashed.path().join("copy");
    copy(dir.path(), &target);
    let recovered = reopen(&target).unwrap();
    assert!(recovered.head().size > last);
    for request in 0..50 {
        assert!(recovered.find(RequestId(request)).unwrap().is_some());
    }
    let added = recovered.submit(put(&recovered, 99)).unwrap().wait().unwrap();
    assert_eq!(added.index, ledger.head().size);
    recovered.close().unwrap();
    checked(&target).unwrap();
}

/// Once the checkpoint was read behind the journal: what was published in between seemed to be lost from it.
#[test]
fn a_ledger_that_serves_is_verified_and_audited_as_far_as_it_had_come() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(deployed(dir.path()));
    let next = AtomicU64::new(0);
    let grow = {
        let ledger = ledger.clone();
        move || {
            let call = put(&ledger, next.fetch_add(1, Ordering::SeqCst).into());
            ledger.submit(call).unwrap().wait_for(Level::Published).unwrap().index + 2
        }
    };
    let size = grow();
    // It goes on when the journal has been read, before it is compared with the checkpoint.
    let progress: Progress = Arc::new(move |_, _, _| {
        grow();
    });
    let report = verify(dir.path(), &progress).unwrap();
    assert_eq!((report.entries, report.checkpoint), (size, Some(size)));
    let size = ledger.head().size;
    let options = AuditOptions { compiler: Compiler::InProcess, progress, resume: None, policy: None };
    let report = audit(dir.path(), &options).unwrap().report;
    assert_eq!((report.entries, report.checkpoint), (size, Some(size)));
    assert!(ledger.head().size > size);
}

#[test]
fn a_view_that_is_lost_or_of_another_ledger_is_rebuilt() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ledger = deployed(dir.path());
    (0..20).for_each(|n| drop(ledger.submit(put(&ledger, n)).unwrap().wait().unwrap()));
    let head = ledger.head();
    ledger.close().unwrap();
    std::fs::remove_dir_all(dir.path().join("view")).unwrap();
    let ledger = reopen(dir.path()).unwrap();
    assert_eq!(ledger.head(), head);
    let id = ledger.contract("notes").unwrap().unwrap().id;
    assert_eq!(ledger.state_get(&id, &3u128.to_le_bytes()).unwrap(), Some(3u128.to_le_bytes().to_vec()));
    ledger.close().unwrap();

    let stranger = deployed(other.path());
    (50..60).for_each(|n| drop(stranger.submit(put(&stranger, n)).unwrap().wait().unwrap()));
    stranger.close().unwrap();
    std::fs::remove_dir_all(dir.path().join("view")).unwrap();
    copy(&other.path().join("view"), &dir.path().join("view"));
    let ledger = reopen(dir.path()).unwrap();
    assert_eq!(ledger.head(), head);
    assert_eq!(ledger.state_get(&id, &50u128.to_le_bytes()).unwrap(), None);
    assert!(dir.path().join("view.quarantine-1").exists());
}

#[test]
fn a_write_torn_at_any_byte_is_cut_off_and_the_ledger_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    drop(ledger.submit(put(&ledger, 1)).unwrap().wait().unwrap());
    let before = ledger.head();
    drop(ledger);
    let (path, bytes, start) = segment(dir.path());
    let ledger = reopen(dir.path()).unwrap();
    drop(ledger.submit(put(&ledger, 2)).unwrap().wait().unwrap());
    drop(ledger);
    let (_, longer, end) = segment(dir.path());
    assert_eq!(bytes[..start], longer[..start]);
    // The checkpoint covers the block that will be torn: a crash before the commit point never leaves that.
    std::fs::remove_file(dir.path().join("public/checkpoint")).unwrap();
    std::fs::remove_file(dir.path().join("journal/closed")).unwrap();
    std::fs::remove_dir_all(dir.path().join("view")).unwrap();
    // The last byte of a hash may be zero, so the true end may lie a little further.
    for cut in (start + 1..end).step_by(31).chain(end - 3..end) {
        let mut torn = longer.clone();
        torn[cut..].fill(0);
        std::fs::write(&path, &torn).unwrap();
        let report = checked(dir.path()).unwrap();
        assert_eq!((report.entries, report.torn), (before.size, true), "cut at {cut}");
    }
    let ledger = reopen(dir.path()).unwrap();
    assert_eq!(ledger.head(), before);
    drop(ledger.submit(put(&ledger, 3)).unwrap().wait().unwrap());
    drop(ledger);
    assert!(!checked(dir.path()).unwrap().torn);
}

#[test]
fn a_flipped_byte_before_valid_data_is_named_and_nothing_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    (0..3).for_each(|n| drop(ledger.submit(put(&ledger, n)).unwrap().wait().unwrap()));
    drop(ledger);
    let (path, bytes, end) = segment(dir.path());
    let last_block = end / 2;
    for position in (0..last_block).step_by(47) {
        let mut flipped = bytes.clone();
        flipped[position] ^= 0x10;
        std::fs::write(&path, &flipped).unwrap();
        let error = checked(dir.path()).expect_err(&format!("byte {position}"));
        assert!(matches!(error, NodeError::Damaged { .. }), "byte {position}: {error}");
    }
    let mut flipped = bytes;
    flipped[200] ^= 1;
    std::fs::write(&path, &flipped).unwrap();
    assert!(matches!(reopen(dir.path()).map(drop), Err(NodeError::Damaged { .. })));
    assert!(std::fs::read(&path).unwrap() == flipped, "a damaged journal is left as it is");
}

#[test]
fn a_lost_tail_contradicts_the_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    let (path, shorter, _) = segment(dir.path());
    drop(ledger.submit(put(&ledger, 1)).unwrap().wait().unwrap());
    drop(ledger);
    std::fs::write(&path, &shorter).unwrap();
    let checkpoint = std::fs::read(dir.path().join("public/checkpoint")).unwrap();
    let lost = || {
        assert!(matches!(checked(dir.path()), Err(NodeError::Lost { .. })));
        assert!(matches!(reopen(dir.path()).map(drop), Err(NodeError::Lost { .. })));
    };
    // The checkpoint covers more, and so does what the clean stop left; each is enough.
    lost();
    std::fs::remove_file(dir.path().join("public/checkpoint")).unwrap();
    lost();
    std::fs::write(dir.path().join("public/checkpoint"), &checkpoint).unwrap();
    std::fs::remove_file(dir.path().join("journal/closed")).unwrap();
    lost();
}

/// The journal on a file system of its own that holds one segment and a little: the next one does not fit.
#[test]
fn a_full_disk_loses_nothing_and_work_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let mount = |arguments: &[&str]| {
        std::process::Command::new("mount").args(arguments).status().is_ok_and(|done| done.success())
    };
    let disk = dir.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let place = disk.to_str().unwrap();
    if !mount(&["-t", "tmpfs", "-o", "size=70m", "tmpfs", place]) {
        return chancery_tests::skip("mounting a small file system takes root");
    }
    struct Unmount(std::path::PathBuf);
    impl Drop for Unmount {
        fn drop(&mut self) {
            drop(std::process::Command::new("umount").arg("-l").arg(&self.0).status());
        }
    }
    let _unmount = Unmount(disk.clone());
    let town = dir.path().join("town");
    deployed(&town).close().unwrap();
    copy(&town.join("journal"), &disk.join("journal"));
    std::fs::remove_dir_all(town.join("journal")).unwrap();
    std::os::unix::fs::symlink(disk.join("journal"), town.join("journal")).unwrap();

    let ledger = reopen(&town).unwrap();
    let big = |request: u128| {
        let mut bytes = request.to_le_bytes().to_vec();
        bytes.resize(500, 1);
        call(&ledger, request, invoke("put", &bytes))
    };
    // A stored key has at most 512 bytes; a rejected call keeps its arguments, 30 kB each.
    let refuse = |request: u128| call(&ledger, request, invoke("no_such", &[1; 30_000]));
    let fill = || {
        let full = (0..4_000).find(|n| match ledger.call(refuse(*n)) {
            Ok(_) => false,
            Err(Refusal::Node(NodeError::DiskFull)) => true,
            Err(error) => panic!("{error}"),
        });
        let full = full.expect("the disk is full in the end");
        let before = ledger.head();
        assert!(matches!(ledger.call(refuse(9_998)), Err(Refusal::Node(NodeError::DiskFull))));
        // As it is for who queues.
        assert!(matches!(ledger.submit(refuse(9_997)).unwrap().wait(), Err(Refusal::Node(NodeError::DiskFull))));
        assert_eq!(ledger.head(), before);
        assert!(mount(&["-o", "remount,size=200m", place]));
        assert!(ledger.call(refuse(full)).is_ok());
        assert!(ledger.call(big(9_999)).unwrap().outcome().unwrap().is_done());
        full
    };
    let full = std::thread::scope(|scope| {
        let alone = std::thread::Builder::new().stack_size(LARGE_STACK).spawn_scoped(scope, fill).unwrap();
        alone.join().unwrap()
    });
    ledger.close().unwrap();
    assert_eq!(checked(&town).unwrap().calls, 1 + u64::try_from(full).unwrap() + 2);
}

#[test]
fn directories_that_are_no_ledger_of_ours_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(reopen(dir.path()).map(drop), Err(NodeError::NoLedger(_))));
    let create = |dir: &Path, origin: &str| Ledger::create(dir, origin, &log_key(), options()).map(drop);
    assert!(matches!(create(dir.path(), "https://ledger.example"), Err(NodeError::BadOrigin(_))));
    assert!(matches!(create(dir.path(), "two words"), Err(NodeError::BadOrigin(_))));
    let ledger = deployed(dir.path());
    assert!(matches!(reopen(dir.path()).map(drop), Err(NodeError::Locked(_))));
    assert!(matches!(create(dir.path(), "ledger.example"), Err(NodeError::NotEmpty(_))));
    drop(ledger);
    std::fs::write(dir.path().join("format"), "chancery ledger 3\n").unwrap();
    let error = reopen(dir.path()).map(drop).unwrap_err();
    assert!(matches!(&error, NodeError::Format { found, .. } if found == "3"), "{error}");
}

#[test]
fn a_receipt_leads_from_the_entry_to_a_signed_checkpoint() {
    use chancery_receipt::{Policy, Receipt};
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    let answer = ledger.submit(put(&ledger, 1)).unwrap().wait().unwrap();
    let file = ledger
        .receipt(answer.index, &chancery_node::Parts::default(), chancery_node::Level::Published)
        .unwrap()
        .to_text()
        .unwrap();
    let vkey = std::fs::read_to_string(dir.path().join("log.vkey")).unwrap();
    let policy = Policy::parse(format!("log {}\nquorum none\n", vkey.trim()).as_bytes()).unwrap();
    let receipt = Receipt::parse(file.as_bytes()).unwrap();
    assert_eq!(receipt.verify(&policy).unwrap().entry, answer.entry);
    let changed = Entry { time: Timestamp(5), ..answer.entry };
    assert!(Receipt { entry: changed.to_bytes(), ..receipt }.verify(&policy).is_err());
}

/// Submits so many calls, the first of which has this request id.
fn put_many(ledger: &Ledger, first: u128, count: u128) {
    let tickets: Vec<_> = (first..first + count).map(|n| ledger.submit(put(ledger, n)).unwrap()).collect();
    tickets.into_iter().for_each(|ticket| drop(ticket.wait().unwrap()));
}

/// The hashes within tiles that a summary does not have are computed from the entries: proofs are those of the tree over all entries.
fn check_proofs(ledger: &Ledger) {
    let (size, mut tree) = (ledger.head().size, merkle::Tree::new());
    (0..size).for_each(|index| tree.push(merkle::leaf_hash(&ledger.entry(index).unwrap().0.to_bytes())));
    for index in [0, 1, 255, 256, 4_000, size - 257, size - 1] {
        let found = ledger.prove_inclusion(index, Level::Published).unwrap();
        assert_eq!(Some(found.path), tree.prove_inclusion(index, size), "entry {index}");
    }
    for old in [1, 2, 255, 256, 257, 3_001, size - 1, size] {
        let (path, old_root, root) = ledger.prove_consistency(old, size).unwrap();
        assert_eq!(Some(path), tree.prove_consistency(old, size), "from {old}");
        assert_eq!((Some(old_root), root), (tree.root_at(old), tree.root()));
    }
    assert!(matches!(ledger.prove_consistency(0, size), Err(NodeError::NoEntry { .. })));
    assert!(matches!(ledger.prove_consistency(1, size + 1), Err(NodeError::NoEntry { .. })));
}

#[test]
fn a_long_log_opens_from_its_summary_and_without_it_from_the_journal() {
    let (dir, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (dir, summary) = (dir.path(), dir.path().join("summary"));
    let ledger = deployed(dir);
    put_many(&ledger, 0, 4_200);
    ledger.close().unwrap();
    let first = std::fs::read(&summary).unwrap();
    // What comes behind the summary is read from the journal, and an older summary will do.
    let ledger = reopen(dir).unwrap();
    put_many(&ledger, 5_000, 300);
    let head = ledger.head();
    ledger.close().unwrap();
    assert_eq!(std::fs::read(&summary).unwrap(), first, "too little came to write it again");
    let ledger = reopen(dir).unwrap();
    assert_eq!(ledger.head(), head);
    let repeated = ledger.submit(put(&ledger, 17)).unwrap().wait().unwrap();
    assert!(repeated.repeated, "what was done before the summary is not done again");
    check_proofs(&ledger);
    put_many(&ledger, 6_000, 4_200);
    let head = ledger.head();
    ledger.close().unwrap();
    assert_ne!(std::fs::read(&summary).unwrap(), first);

    // That it is used shows in what is not read. What is damaged there is named when it is read, and by whoever verifies.
    copy(dir, aside.path());
    let (path, mut bytes, _) = segment(aside.path());
    bytes[1_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let ledger = reopen(aside.path()).unwrap();
    assert_eq!(ledger.head(), head);
    let damaged = (0..10).find_map(|index| ledger.entry(index).err()).expect("one of the first entries is damaged");
    assert!(damaged.to_string().contains("00000000.seg"), "{damaged}");
    ledger.close().unwrap();
    assert!(matches!(checked(aside.path()), Err(NodeError::Damaged { .. })));

    // After an unclean stop it counts for nothing, and the view stays.
    let unclean = tempfile::tempdir().unwrap();
    copy(dir, unclean.path());
    std::fs::remove_file(unclean.path().join("journal/closed")).unwrap();
    let ledger = reopen(unclean.path()).unwrap();
    assert_eq!((ledger.head(), unclean.path().join("view.quarantine-1").exists()), (head.clone(), false));
    ledger.close().unwrap();
    std::fs::remove_file(unclean.path().join("journal/closed")).unwrap();
    std::fs::remove_dir_all(unclean.path().join("view")).unwrap();
    let ledger = reopen(unclean.path()).unwrap();
    assert_eq!((ledger.head(), unclean.path().join("view.quarantine-1").exists()), (head.clone(), false));
    ledger.close().unwrap();

    // One that is damaged, cut, or of another ledger counts for nothing.
    let whole = std::fs::read(&summary).unwrap();
    let mut flipped = whole.clone();
    flipped[200] ^= 1;
    for bad in [&flipped[..], &whole[..whole.len() - 1], b"", b"CHSUM003"] {
        std::fs::write(&summary, bad).unwrap();
        let found = chancery_node::doctor::examine(dir, &options()).unwrap().findings;
        assert!(
            found.iter().any(|finding| finding.file == summary && finding.problem.contains("bear it out")),
            "{found:?}"
        );
        let ledger = reopen(dir).unwrap();
        assert_eq!(ledger.head(), head);
        ledger.close().unwrap();
        std::fs::write(aside.path().join("summary"), bad).unwrap();
        assert!(matches!(reopen(aside.path()), Err(NodeError::Damaged { .. })), "the journal is read");
    }
}

/// An interrupted rebuild or catching up may leave a view that says it is at the end and lacks pairs, which a scan would not notice.
#[test]
fn a_view_is_believed_unread_only_as_a_clean_stop_left_it() {
    let (dir, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ledger = deployed(dir.path());
    put_many(&ledger, 0, 4_200);
    let id = ledger.contract("notes").unwrap().unwrap().id;
    ledger.close().unwrap();
    let mark = |dir: &Path| dir.join("view.closed").exists();
    assert!(mark(dir.path()) && dir.path().join("summary").exists());
    let ledger = reopen(dir.path()).unwrap();
    assert!(!mark(dir.path()), "somebody has the view open");
    copy(dir.path(), killed.path());
    ledger.close().unwrap();
    assert!(mark(dir.path()));

    let view = chancery_state::View::open(&killed.path().join("view"), chancery_state::Purpose::Serve).unwrap();
    let writes = vec![chancery_types::entry::Write { contract: id, key: 4u128.to_le_bytes().to_vec(), value: None }];
    let batch = chancery_state::ViewBatch { writes, position: None };
    chancery_state::StateView::apply(&view, &batch).unwrap();
    drop(view);
    let ledger = reopen(killed.path()).unwrap();
    let range = Scan { from: 4u128.to_le_bytes().to_vec(), limit: 1, ..Scan::default() };
    assert_eq!(ledger.state_scan(&id, &range).unwrap()[0].0, 4u128.to_le_bytes());
    assert!(killed.path().join("view.quarantine-1").exists());
    ledger.close().unwrap();

    // `doctor` opens the view, finds it right, and leaves the mark as it was.
    assert_eq!(chancery_node::doctor::examine(dir.path(), &options()).unwrap().findings, []);
    assert!(mark(dir.path()));
}

#[test]
fn a_call_with_a_longer_path_than_an_entry_holds_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    let key = actor();
    for (steps, accepted) in [(PATH_MAX, true), (PATH_MAX + 1, false), (3_000, false)] {
        let call = put(&ledger, 1_000 + steps as u128).call;
        let path = vec![Sibling::Left { hash: Hash([7; 32]) }; steps];
        let mut signed = SignedCall { call, signature: Signature([0; 64]), path };
        signed.signature = Signature(key.sign(&message_of(&signed.root().unwrap())).to_bytes());
        match ledger.call(signed) {
            Ok(_) => assert!(accepted, "{steps}"),
            Err(Refusal::LongPath { limit: PATH_MAX, found }) => assert!(!accepted && found == steps),
            Err(error) => panic!("{error}"),
        }
    }
    ledger.close().unwrap();
    reopen(dir.path()).unwrap().close().unwrap();
}

#[test]
fn a_value_that_the_view_holds_and_the_state_does_not_is_found_when_it_is_read() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ledger = deployed(dir.path());
    put_many(&ledger, 0, 4_200);
    let id = ledger.contract("notes").unwrap().unwrap().id;
    ledger.close().unwrap();
    let view = chancery_state::View::open(&dir.path().join("view"), chancery_state::Purpose::Serve).unwrap();
    let write =
        |key: u128, value| chancery_types::entry::Write { contract: id, key: key.to_le_bytes().to_vec(), value };
    let writes = vec![write(3, Some(b"forged".to_vec())), write(4, None), write(9_999, Some(b"new".to_vec()))];
    let batch = chancery_state::ViewBatch { writes, position: None };
    chancery_state::StateView::apply(&view, &batch).unwrap();
    chancery_state::StateView::checkpoint(&view).unwrap();
    drop(view);
    copy(dir.path(), other.path());
    for key in [3u128, 4] {
        let ledger = reopen(dir.path()).unwrap();
        let Err(error) = ledger.state_get(&id, &key.to_le_bytes()) else {
            // The first one was found: the view was made anew.
            assert_eq!(key, 4);
            continue;
        };
        assert!(error.to_string().contains("another value than the tree of the state"), "{error}");
        assert_eq!(ledger.state_get(&id, &5u128.to_le_bytes()).unwrap(), Some(5u128.to_le_bytes().to_vec()));
        drop(ledger);
    }
    // A key that the state has not is not asked for; who scans meets it.
    let ledger = reopen(other.path()).unwrap();
    assert_eq!(ledger.state_get(&id, &9_999u128.to_le_bytes()).unwrap(), None);
    let range = Scan { from: 9_999u128.to_le_bytes().to_vec(), limit: 1, ..Scan::default() };
    let error = ledger.state_scan(&id, &range).unwrap_err();
    assert!(error.to_string().contains("another value than the tree of the state"), "{error}");
    drop(ledger);
    let ledger = reopen(dir.path()).unwrap();
    assert_eq!(ledger.state_get(&id, &3u128.to_le_bytes()).unwrap(), Some(3u128.to_le_bytes().to_vec()));
    assert_eq!(ledger.state_get(&id, &9_999u128.to_le_bytes()).unwrap(), None);
}
