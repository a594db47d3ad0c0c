//! The mirror: follows a log that grows, is broken off and goes on, serves in its place, and names what a log must never do.

mod common;

use chancery_node::{Ledger, Level, Mirror, Mirrored, NodeError, Place, verify_public};
use chancery_tlog::tile::{Tile, WIDTH};
use chancery_tlog::{Checkpoint, Policy, note::VerifierKey};
use chancery_types::RequestId;
use common::{ORIGIN, copy, deployed, files, log_vkey, policy, put_all, silent};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

fn directory(dir: &Path) -> Place {
    Place::Directory(dir.into())
}

fn follow(source: Place, dest: &Path) -> Result<Mirrored, NodeError> {
    Mirror::open(source, policy(), dest)?.follow(&silent())
}

fn export(ledger: &Ledger, dir: &Path) {
    ledger.export(dir, "verifier\n").unwrap();
}

/// A web server of static files, which notes what it is asked for.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// What it was asked for since this was called last.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn serve(dir: &Path) -> Server {
    let listener = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.server_addr());
    let (dir, asked) = (dir.to_path_buf(), Arc::new(Mutex::new(Vec::new())));
    let noted = asked.clone();
    std::thread::spawn(move || {
        for request in listener.incoming_requests() {
            let path = request.url().trim_start_matches('/').to_string();
            let file = std::fs::read(dir.join(&path));
            noted.lock().unwrap().push(path);
            let answered = match file {
                Ok(bytes) => request.respond(tiny_http::Response::from_data(bytes)),
                Err(_) => request.respond(tiny_http::Response::from_data(Vec::new()).with_status_code(404)),
            };
            drop(answered);
        }
    });
    Server { url, asked }
}

#[test]
fn a_mirror_follows_verifies_and_serves_in_the_place_of_its_source() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (source, dest) = (out.path().join("export"), out.path().join("mirror"));
    let ledger = deployed(dir.path());
    put_all(&ledger, 0..300);
    export(&ledger, &source);
    let server = serve(&source);
    let mut mirror = Mirror::open(Place::parse(&server.url), policy(), &dest).unwrap();
    let first = mirror.follow(&silent()).unwrap();
    assert_eq!((first.before, first.entries, first.missing), (0, ledger.head().size, 0));
    assert!(matches!(Mirror::open(directory(&source), policy(), &dest), Err(NodeError::Locked(_))));

    // It grows; what is here already is not read again.
    put_all(&ledger, 300..700);
    export(&ledger, &source);
    server.asked();
    let second = mirror.follow(&silent()).unwrap();
    assert_eq!((second.before, second.entries, second.root), (first.entries, ledger.head().size, ledger.head().root));
    let read = server.asked().len() as u64;
    // How many seals stand between the calls, and so how many bundles there are, is not said.
    let bundles = second.entries.div_ceil(256) - first.entries / 256;
    assert!(read <= 6 + 2 * bundles, "{read} files for what is new: checkpoint, tiles, {bundles} bundles");
    let same = mirror.follow(&silent()).unwrap();
    assert_eq!((same.before, same.entries), (second.entries, second.entries));
    drop(mirror);

    // A public log like its source, with the modules; and a mirror of the mirror.
    let report = verify_public(&directory(&dest), &policy(), &silent()).unwrap();
    assert_eq!((report.entries, report.root, report.modules), (second.entries, ledger.head().root, Some(1)));
    let served = serve(&dest);
    let third = follow(Place::parse(&served.url), &out.path().join("third")).unwrap();
    assert_eq!((third.entries, third.root), (second.entries, second.root));
}

#[test]
fn a_round_that_is_broken_off_goes_on_where_it_was() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (source, dest) = (out.path().join("export"), out.path().join("mirror"));
    let ledger = deployed(dir.path());
    put_all(&ledger, 0..700);
    export(&ledger, &source);
    follow(directory(&source), &dest).unwrap();
    // A round that was broken off has bundles and no checkpoint.
    std::fs::remove_file(dest.join("checkpoint")).unwrap();
    std::fs::remove_file(dest.join("tile/entries/001")).unwrap();
    let server = serve(&source);
    let again = follow(Place::parse(&server.url), &dest).unwrap();
    assert_eq!((again.before, again.entries), (0, ledger.head().size));
    let read = server.asked().len();
    assert!(read <= 4, "{read} files: the checkpoint and the bundle that was not there");
    verify_public(&directory(&dest), &policy(), &silent()).unwrap();

    // What lies here and is damaged is read again from the source.
    let partial = format!("tile/1/000.p/{}", ledger.head().size / 256);
    for path in ["tile/entries/000", "tile/0/000", &partial] {
        let mut bytes = std::fs::read(dest.join(path)).unwrap();
        bytes[7] ^= 1;
        std::fs::write(dest.join(path), bytes).unwrap();
        follow(directory(&source), &dest).unwrap();
        verify_public(&directory(&dest), &policy(), &silent()).unwrap();
    }
}

/// Once a single request without an answer had the whole log read again from the source.
#[test]
fn a_source_that_is_away_for_a_moment_is_not_asked_for_what_is_here() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (source, dest) = (out.path().join("export"), out.path().join("mirror"));
    let ledger = deployed(dir.path());
    put_all(&ledger, 0..700);
    export(&ledger, &source);
    follow(directory(&source), &dest).unwrap();
    put_all(&ledger, 700..1_000);
    export(&ledger, &source);
    // The last full bundle: how many entries there were before depends on how the calls fell into blocks, and 300 more came.
    let last = format!("tile/entries/{:03}", ledger.head().size / WIDTH - 1);
    let (bundle, aside) = (source.join(&last), out.path().join("aside"));
    std::fs::rename(&bundle, &aside).unwrap();
    let server = serve(&source);
    let error = follow(Place::parse(&server.url), &dest).unwrap_err().to_string();
    assert!(error.contains(&last) && error.contains("it is missing"), "{error}");
    let asked = server.asked();
    assert!(!asked.contains(&"tile/entries/000".into()), "{asked:?}");
    std::fs::rename(&aside, &bundle).unwrap();
    assert_eq!(follow(Place::parse(&server.url), &dest).unwrap().entries, ledger.head().size);
}

#[test]
fn a_source_with_damaged_files_is_named_and_nothing_is_taken_over() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (source, dest) = (out.path().join("export"), out.path().join("mirror"));
    let ledger = deployed(dir.path());
    put_all(&ledger, 0..300);
    export(&ledger, &source);
    follow(directory(&source), &dest).unwrap();
    put_all(&ledger, 300..600);
    export(&ledger, &source);
    let held = std::fs::read(dest.join("checkpoint")).unwrap();
    let module = files(&source.join("blobs"))[0].0.clone();
    let whole: Vec<_> = files(&source);
    let new = Tile { level: 0, index: 1, width: 256 };
    assert!(u64::from(new.width) == WIDTH);
    // How many seals there are depends on how the calls fell into blocks.
    let partial = format!("tile/1/000.p/{}", ledger.head().size / 256);
    for path in [new.path(), "tile/entries/001".into(), "checkpoint".into(), partial] {
        let mut bytes = std::fs::read(source.join(&path)).unwrap();
        let place = bytes.len() / 2;
        bytes[place] ^= 1;
        std::fs::write(source.join(&path), bytes).unwrap();
        let error = follow(directory(&source), &dest).unwrap_err().to_string();
        assert!(error.contains(&path) || error.contains("root"), "{path}: {error}");
        assert_eq!(std::fs::read(dest.join("checkpoint")).unwrap(), held, "{path}");
        whole.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    }
    std::fs::write(&module, b"another module").unwrap();
    let error = follow(directory(&source), &out.path().join("fresh")).unwrap_err().to_string();
    assert!(error.contains("has the BLAKE3"), "{error}");
    assert!(!out.path().join("fresh/checkpoint").exists(), "without all that it covers there is no checkpoint");
}

/// What is signed by the log's key and contradicts what is held: kept as evidence, and nothing else is changed.
#[test]
fn a_fork_and_a_rollback_are_named_and_the_proof_is_kept() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (source, dest) = (out.path().join("export"), out.path().join("mirror"));
    let ledger = deployed(dir.path());
    put_all(&ledger, 0..10);
    let twin = out.path().join("twin");
    let (early, late) = (out.path().join("early"), out.path().join("late"));
    export(&ledger, &early);
    ledger.close().unwrap();
    copy(dir.path(), &twin);
    let ledger = common::reopen(dir.path()).unwrap();
    put_all(&ledger, 10..20);
    export(&ledger, &source);
    follow(directory(&source), &dest).unwrap();
    let held = Checkpoint::open(&std::fs::read_to_string(dest.join("checkpoint")).unwrap(), &log_vkey()).unwrap();
    let before: Vec<_> = files(&dest);
    let evidence = |before: &[(PathBuf, Vec<u8>)]| {
        let new: Vec<_> = files(&dest).into_iter().filter(|file| !before.contains(file)).collect();
        assert!(new.iter().all(|(path, _)| path.starts_with(dest.join("evidence"))), "{new:?}");
        assert_eq!(new.len(), 1);
        new[0].1.clone()
    };

    let error = follow(directory(&early), &dest).unwrap_err();
    let smaller = std::fs::read_to_string(early.join("checkpoint")).unwrap();
    let smaller = Checkpoint::open(&smaller, &log_vkey()).unwrap().size;
    assert!(
        matches!(&error, NodeError::RolledBack { ours, theirs, .. } if (*ours, *theirs) == (held.size, smaller)),
        "{error}"
    );
    assert_eq!(evidence(&before), std::fs::read(early.join("checkpoint")).unwrap());

    // The same key signs another history of the same ledger: shorter, as long, longer.
    let other = common::reopen(&twin).unwrap();
    let mut next = 1_000;
    for calls in [5, 5, 5] {
        put_all(&other, next..next + calls);
        next += calls;
        export(&other, &late);
        let before: Vec<_> = files(&dest);
        let error = follow(directory(&late), &dest).unwrap_err();
        assert!(matches!(&error, NodeError::Forked { ours, .. } if *ours == held.size), "{error}");
        assert!(error.to_string().contains("they are the proof"));
        assert_eq!(evidence(&before), std::fs::read(late.join("checkpoint")).unwrap());
    }
    assert!(other.find(RequestId(1_014)).unwrap().is_some());
    // The mirror goes on with the history that it holds.
    put_all(&ledger, 20..30);
    ledger.wait_for(ledger.head().size - 1, Level::Published).unwrap();
    export(&ledger, &source);
    assert_eq!(follow(directory(&source), &dest).unwrap().entries, ledger.head().size);
    verify_public(&directory(&dest), &policy(), &silent()).unwrap();
}

#[test]
fn what_is_no_mirror_or_of_another_log_is_refused() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (source, dest) = (out.path().join("export"), out.path().join("mirror"));
    let ledger = deployed(dir.path());
    export(&ledger, &source);
    let error = Mirror::open(directory(&source), policy(), dir.path()).map(drop).unwrap_err();
    assert!(matches!(error, NodeError::InLedger { .. }), "{error}");
    let error = Mirror::open(directory(&source), policy(), out.path()).map(drop).unwrap_err().to_string();
    assert!(error.contains("`export`, which is no part of a mirror: name a new or empty directory"), "{error}");
    follow(directory(&source), &dest).unwrap();
    let other_key = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
    let other = Policy::of_log(VerifierKey::of(ORIGIN, &other_key));
    let error = Mirror::open(directory(&source), other, &dest).unwrap().follow(&silent()).unwrap_err();
    assert!(matches!(&error, NodeError::Public(problem) if problem.starts_with("checkpoint: ")), "{error}");
    // Another ledger under the same key and origin contradicts from its first entry on.
    let stranger = tempfile::tempdir().unwrap();
    let stranger = deployed(stranger.path());
    put_all(&stranger, 0..3);
    export(&stranger, &out.path().join("other"));
    assert!(matches!(follow(directory(&out.path().join("other")), &dest), Err(NodeError::Forked { .. })));
}

/// Under a policy of two logs, the other one is no fork of the first, and nothing of it is evidence.
#[test]
fn two_logs_of_one_policy_are_no_fork() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [ours, theirs, dest] = ["ours", "theirs", "mirror"].map(|name| out.path().join(name));
    export(&deployed(&dir.path().join("ours")), &ours);
    let key = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
    let other = Ledger::create(&dir.path().join("theirs"), "ledger.example/other", &key, common::options()).unwrap();
    export(&other, &theirs);
    let vkeys = [log_vkey(), VerifierKey::of("ledger.example/other", &key)];
    let [one, two] = vkeys.map(|key| key.to_vkey());
    let both = Policy::parse(format!("log {one}\nlog {two}\nquorum none\n").as_bytes()).unwrap();
    let follow = |source: &Path| Mirror::open(directory(source), both.clone(), &dest).unwrap().follow(&silent());
    follow(&ours).unwrap();
    let before = files(&dest);
    let error = follow(&theirs).unwrap_err();
    let says = format!("holds a copy of {ORIGIN}, {} is ledger.example/other: name another", theirs.display());
    assert!(matches!(&error, NodeError::Mirror(problem) if problem.contains(&says)), "{error}");
    assert_eq!(files(&dest), before);
}
