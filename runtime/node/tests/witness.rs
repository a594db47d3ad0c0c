//! A log and its witnesses over loopback: what is cosigned, what is refused, and that a witness does not forget.

use chancery_node::NodeError;
use chancery_node::http::Http;
use chancery_node::witness::{CosignedCheckpoint, Fault, WitnessClient, WitnessError, objections};
use chancery_node::witness_server::WitnessServer;
use chancery_tlog::cosignature::{Seconds, WitnessKey};
use chancery_tlog::merkle::{Tree, leaf_hash};
use chancery_tlog::note::VerifierKey;
use chancery_tlog::witness::{REQUEST_BYTES_MAX, Request, monitor_path, origin_digest};
use chancery_tlog::{Checkpoint, Policy};
use ed25519_dalek::SigningKey;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

const ORIGIN: &str = "ledger.example/town";

fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn log_vkey() -> VerifierKey {
    VerifierKey::of(ORIGIN, &log_key())
}

/// A log that has grown to this size; `fork` is the entry from which on it says something else.
fn tree(size: u64, fork: u64) -> Tree {
    let mut tree = Tree::new();
    (0..size).for_each(|index| tree.push(leaf_hash(&(index + if index < fork { 0 } else { 1_000 }).to_be_bytes())));
    tree
}

fn honest() -> Tree {
    tree(20, 20)
}

fn checkpoint(tree: &Tree, size: u64) -> String {
    Checkpoint { origin: ORIGIN.into(), size, root: tree.root_at(size).unwrap() }.sign(&log_key())
}

fn cosign(client: &WitnessClient, tree: &Tree, size: u64) -> Result<CosignedCheckpoint, WitnessError> {
    client.cosign(&checkpoint(tree, size), &|old| tree.prove_consistency(old, size))
}

/// A witness that runs in this process until it is dropped.
struct Running {
    server: Arc<WitnessServer>,
    listener: Arc<tiny_http::Server>,
    thread: Option<JoinHandle<()>>,
    address: SocketAddr,
}

impl Running {
    fn start(dir: &Path, number: u8) -> Self {
        let key = SigningKey::from_bytes(&[number + 10; 32]);
        let server = WitnessServer::open(dir, &format!("witness.example/w{number}"), key, vec![log_vkey()]).unwrap();
        let (server, listener) = (Arc::new(server), Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap()));
        let address = listener.server_addr().to_ip().unwrap();
        let (serving, listening) = (Arc::clone(&server), Arc::clone(&listener));
        let thread = std::thread::spawn(move || drop(serving.serve(&listening)));
        Running { server, listener, thread: Some(thread), address }
    }

    fn policy_line(&self, number: u8) -> String {
        format!("witness w{number} {} http://{}\n", self.server.verifier().to_vkey(), self.address)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.listener.unblock();
        self.thread.take().map(JoinHandle::join).unwrap().unwrap();
        // A request's thread may still hold the server, and with it the lock on its directory.
        while Arc::strong_count(&self.server) > 1 {
            std::thread::yield_now();
        }
    }
}

fn client(witnesses: &[&Running], quorum: &str) -> WitnessClient {
    let mut text = format!("log {}\n", log_vkey().to_vkey());
    let mut names = String::new();
    for (number, witness) in (1..).zip(witnesses) {
        text += &witness.policy_line(number);
        names += &format!(" w{number}");
    }
    text += &format!("group all-of-them {quorum}{names}\nquorum all-of-them\n");
    WitnessClient::new(Policy::parse(text.as_bytes()).unwrap())
}

fn two() -> (tempfile::TempDir, Running, Running) {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (Running::start(&dir.path().join("1"), 1), Running::start(&dir.path().join("2"), 2));
    (dir, one, two)
}

#[test]
fn a_growing_log_is_cosigned_by_all() {
    let (_dir, one, two) = two();
    let (client, tree) = (client(&[&one, &two], "all"), honest());
    for size in [1, 3, 3, 8, 20] {
        let cosigned = cosign(&client, &tree, size).unwrap();
        assert_eq!(cosigned.faults, []);
        assert_eq!(cosigned.accepted.cosigners.len(), 2);
        assert_eq!(client.policy().open(&cosigned.note).unwrap().checkpoint.size, size);
        // What is cosigned already is not asked for again.
        let again = client.cosign(&cosigned.note, &|_| panic!("no proof is needed")).unwrap();
        assert_eq!(again.note, cosigned.note);
    }
    let root_at = |size| tree.root_at(size);
    assert_eq!(objections(&client, ORIGIN, 20, root_at), []);
}

#[test]
fn a_client_that_knows_nothing_learns_each_witnesss_size() {
    let (_dir, one, two) = two();
    let tree = honest();
    cosign(&client(&[&one], "all"), &tree, 3).unwrap();
    cosign(&client(&[&two], "all"), &tree, 7).unwrap();
    let both = cosign(&client(&[&one, &two], "all"), &tree, 9).unwrap();
    assert_eq!(both.accepted.cosigners.len(), 2);
}

/// Whoever sits on the way, or a witness with a fault, can say anything: it takes a signature to stop a ledger.
#[test]
fn what_a_witness_says_and_did_not_sign_is_no_alarm() {
    let tree = honest();
    for (status, body) in [(409, "1000\n"), (422, "another tree\n")] {
        let listener = Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
        let address = listener.server_addr().to_ip().unwrap();
        let listening = Arc::clone(&listener);
        let liar = std::thread::spawn(move || {
            for request in listening.incoming_requests() {
                let status = if request.url().ends_with("add-checkpoint") { status } else { 404 };
                drop(request.respond(tiny_http::Response::from_string(body).with_status_code(status)));
            }
        });
        let key = WitnessKey::of("witness.example/w1", &SigningKey::from_bytes(&[11; 32]));
        let (log, witness) = (log_vkey().to_vkey(), key.to_vkey());
        let text = format!("log {log}\nwitness w1 {witness} http://{address}\nquorum w1\n");
        let client = WitnessClient::new(Policy::parse(text.as_bytes()).unwrap());
        let Err(WitnessError::NoQuorum { faults, .. }) = cosign(&client, &tree, 10) else { panic!("it is cosigned") };
        assert!(matches!(&faults[0].fault, Fault::Protocol(_)) && !faults[0].fault.is_alarm(), "{faults:?}");
        listener.unblock();
        liar.join().unwrap();
    }
}

#[test]
fn a_forked_log_is_refused_and_the_fork_named() {
    let (_dir, one, two) = two();
    cosign(&client(&[&one, &two], "all"), &honest(), 10).unwrap();
    let forked = tree(20, 6);
    // At the same size with another root, and grown from another tree.
    for size in [10, 12] {
        let error = cosign(&client(&[&one, &two], "any"), &forked, size).unwrap_err();
        let WitnessError::NoQuorum { faults, .. } = &error else { panic!("{error}") };
        assert_eq!(faults.len(), 2);
        assert!(faults.iter().all(|fault| fault.fault.is_alarm()), "{error}");
        assert!(matches!(&faults[0].fault, Fault::Forked { size: 10, message } if !message.is_empty()), "{error}");
        assert!(error.to_string().contains("witness w1: has seen another tree of 10 entries"), "{error}");
    }
    let found = objections(&client(&[&one, &two], "any"), ORIGIN, 20, |size| forked.root_at(size));
    assert_eq!(found.iter().map(|fault| fault.witness.as_str()).collect::<Vec<_>>(), ["w1", "w2"]);
    assert!(found.iter().all(|fault| matches!(fault.fault, Fault::Forked { size: 10, .. })), "{found:?}");
    // The honest log goes on as if nothing had been.
    assert!(cosign(&client(&[&one, &two], "all"), &honest(), 11).is_ok());
}

#[test]
fn a_log_that_was_rolled_back_is_refused() {
    let (_dir, one, two) = two();
    cosign(&client(&[&one, &two], "all"), &honest(), 10).unwrap();
    let restored = tree(6, 6);
    let error = cosign(&client(&[&one, &two], "all"), &restored, 6).unwrap_err();
    let WitnessError::NoQuorum { faults, .. } = &error else { panic!("{error}") };
    assert!(faults.iter().all(|fault| fault.fault == Fault::Ahead { seen: 10, size: 6 }), "{error}");
    let found = objections(&client(&[&one, &two], "all"), ORIGIN, 6, |size| restored.root_at(size));
    assert!(
        found.len() == 2 && found.iter().all(|fault| fault.fault == Fault::Ahead { seen: 10, size: 6 }),
        "{found:?}"
    );
}

#[test]
fn a_witness_that_restarts_remembers() {
    let dir = tempfile::tempdir().unwrap();
    let tree = honest();
    let before = Running::start(dir.path(), 1);
    let cosigned = cosign(&client(&[&before], "all"), &tree, 10).unwrap();
    drop(before);
    let after = Running::start(dir.path(), 1);
    let client = client(&[&after], "all");
    let (name, seen) = client.seen(ORIGIN).remove(0);
    assert_eq!((name.as_str(), seen.unwrap().unwrap()), ("w1", cosigned.accepted.checkpoint));
    assert!(cosign(&client, &tree_of(6), 6).is_err());
    assert!(cosign(&client, &tree, 11).is_ok());
}

fn tree_of(size: u64) -> Tree {
    tree(size, size)
}

#[test]
fn a_file_that_was_changed_stops_the_witness() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), 1);
    cosign(&client(&[&running], "all"), &honest(), 10).unwrap();
    let open = || {
        let key = SigningKey::from_bytes(&[11; 32]);
        WitnessServer::open(dir.path(), "witness.example/w1", key, vec![log_vkey()]).map(|_| ())
    };
    assert!(matches!(open(), Err(NodeError::Locked(_))));
    drop(running);
    assert!(open().is_ok());
    let path = dir.path().join(origin_digest(ORIGIN));
    let note = std::fs::read_to_string(&path).unwrap();
    for changed in [note.replace("\n10\n", "\n9\n"), note[..note.len() - 10].into(), String::new()] {
        std::fs::write(&path, changed).unwrap();
        let error = open().unwrap_err().to_string();
        assert!(error.contains(ORIGIN) && error.contains("does not know what it cosigned"), "{error}");
    }
}

#[test]
fn a_witness_that_is_down_or_lies_is_told_apart_from_a_log_gone_wrong() {
    let (_dir, one, two) = two();
    let any = client(&[&one, &two], "any");
    let all = client(&[&one, &two], "all");
    drop(two);
    let cosigned = cosign(&any, &honest(), 5).unwrap();
    assert_eq!(cosigned.faults.len(), 1);
    assert!(matches!(&cosigned.faults[0].fault, Fault::Unreachable(_)) && !cosigned.faults[0].fault.is_alarm());
    let error = cosign(&all, &honest(), 5).unwrap_err().to_string();
    assert!(
        error.starts_with("the quorum all-of-them is not reached: cosigned by w1; witness w2: cannot be reached"),
        "{error}"
    );
    // Another key than the policy's: its cosignature counts for nothing.
    let elsewhere = tempfile::tempdir().unwrap();
    let liar = Running::start(elsewhere.path(), 3);
    let line = one.policy_line(1).replace(&one.address.to_string(), &liar.address.to_string());
    let policy = format!("log {}\n{line}quorum w1\n", log_vkey().to_vkey());
    let client = WitnessClient::new(Policy::parse(policy.as_bytes()).unwrap());
    let error = cosign(&client, &honest(), 5).unwrap_err();
    let WitnessError::NoQuorum { faults, .. } = &error else { panic!("{error}") };
    assert!(matches!(faults[0].fault, Fault::Protocol(_)), "{error}");
    assert!(matches!(client.seen(ORIGIN)[0].1, Err(Fault::Protocol(_))));
}

/// The race of the document: requests that cross must not let the witness go back.
#[test]
fn what_is_kept_last_is_the_largest_that_was_cosigned() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), 1);
    let cosigned: Vec<u64> = std::thread::scope(|scope| {
        let one = |lane: u64| {
            let client = client(&[&running], "all");
            scope.spawn(move || {
                (1..=5).map(|n| n * 4 - lane).filter(|size| cosign(&client, &honest(), *size).is_ok()).max()
            })
        };
        let threads: Vec<_> = (0..4).map(one).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    });
    let (_, seen) = client(&[&running], "all").seen(ORIGIN).remove(0);
    assert_eq!(seen.unwrap().map(|checkpoint| checkpoint.size), cosigned.into_iter().max());
}

/// The status line, the headers and the body of a raw request.
fn raw(address: SocketAddr, head: &str, body: &[u8]) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{head}\r\nHost: witness\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
    // A server that has seen enough may hang up before the end.
    drop(stream.write_all(body));
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.into())
}

#[test]
fn each_answer_has_the_status_and_type_of_the_document() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path(), 1);
    let tree = honest();
    let request = |old: u64, new: u64| {
        let proof = tree.prove_consistency(old, new).unwrap_or_default();
        Request { old, proof, checkpoint: checkpoint(&tree, new) }.to_string()
    };
    let post = |body: &str| raw(running.address, "POST /add-checkpoint HTTP/1.1", body.as_bytes());
    let get = |path: &str| raw(running.address, &format!("GET {path} HTTP/1.1"), b"");
    let monitor = format!("/{}", monitor_path(ORIGIN));
    assert_eq!(get(&monitor).0, 404);
    let (status, head, body) = post(&request(0, 10));
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: text/plain") && body.starts_with("\u{2014} witness.example/w1 "),
        "{head}{body}"
    );
    let (status, head, body) = post(&request(5, 12));
    assert_eq!((status, body.as_str()), (409, "10\n"));
    assert!(head.contains("content-type: text/x.tlog.size"), "{head}");
    assert_eq!(post(&request(10, 9)).0, 400);
    assert_eq!(post("old 10\n").0, 400);
    assert_eq!(post(&"x".repeat(REQUEST_BYTES_MAX + 1)).0, 400);
    assert_eq!(post(&request(10, 12).replace("\n12\n", "\n13\n")).0, 403);
    assert_eq!(post(&request(10, 12).replace(ORIGIN, "other.example")).0, 404);
    assert_eq!(
        post(&request(10, 12).replace("old 10\n", "old 10\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")).0,
        422
    );
    assert_eq!(get("/add-checkpoint").0, 404);
    assert_eq!(raw(running.address, "PUT /add-checkpoint HTTP/1.1", b"").0, 405);
    assert_eq!(get("/").0, 404);
    let (status, _, note) = get(&monitor);
    assert_eq!(status, 200);
    assert_eq!(note, std::fs::read_to_string(dir.path().join(origin_digest(ORIGIN))).unwrap());
}

#[test]
fn what_cannot_be_written_is_not_cosigned() {
    let dir = tempfile::tempdir().unwrap();
    let memory = dir.path().join("memory");
    let key = SigningKey::from_bytes(&[11; 32]);
    let server = WitnessServer::open(&memory, "witness.example/w1", key, vec![log_vkey()]).unwrap();
    let request = Request { old: 0, proof: Vec::new(), checkpoint: checkpoint(&honest(), 3) }.to_string();
    std::fs::remove_dir_all(&memory).unwrap();
    assert_eq!(server.add_checkpoint(request.as_bytes(), Seconds(1)).status, 500);
    assert_eq!(server.latest(&format!("/{}", monitor_path(ORIGIN))).status, 404);
    std::fs::create_dir(&memory).unwrap();
    assert_eq!(server.add_checkpoint(request.as_bytes(), Seconds(1)).status, 200);
}

/// With its file system unmounted, a witness went on to remember in what lay below it: mounted again and restarted, it had forgotten that.
#[test]
fn a_memory_that_another_directory_takes_the_place_of_is_not_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let (memory, aside) = (dir.path().join("memory"), dir.path().join("aside"));
    let open = || {
        let key = SigningKey::from_bytes(&[11; 32]);
        WitnessServer::open(&memory, "witness.example/w1", key, vec![log_vkey()]).unwrap()
    };
    let tree = honest();
    let ask = |server: &WitnessServer, old: u64, size: u64| {
        let proof = if old == 0 { Vec::new() } else { tree.prove_consistency(old, size).unwrap() };
        let request = Request { old, proof, checkpoint: checkpoint(&tree, size) }.to_string();
        server.add_checkpoint(request.as_bytes(), Seconds(1)).status
    };
    let server = open();
    assert_eq!(ask(&server, 0, 3), 200);
    std::fs::rename(&memory, &aside).unwrap();
    std::fs::create_dir(&memory).unwrap();
    assert_eq!(ask(&server, 3, 5), 500);
    assert_eq!(std::fs::read_dir(&memory).unwrap().count(), 0);
    std::fs::remove_dir(&memory).unwrap();
    std::fs::rename(&aside, &memory).unwrap();
    assert_eq!(ask(&server, 3, 5), 200);
    drop(server);
    assert_eq!(ask(&open(), 3, 7), 409, "it remembers 5");
}

#[test]
fn an_answer_that_is_too_long_is_not_read() {
    let listener = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let address = listener.server_addr().to_ip().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| listener.recv().unwrap().respond(tiny_http::Response::from_data(vec![b'x'; 2_000])));
        let error = Http::default().get(&format!("http://{address}/"), 1_000).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
    });
}
