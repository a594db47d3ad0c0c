//! `witness serve` as a process: it cosigns a log, is killed without warning, and remembers.

mod support;

use chancery_node::witness::WitnessClient;
use chancery_tlog::merkle::{Tree, leaf_hash};
use chancery_tlog::note::VerifierKey;
use chancery_tlog::{Checkpoint, Policy};
use ed25519_dalek::SigningKey;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use support::{Home, check_failure};

const ORIGIN: &str = "ledger.example/town";

const SERVE: [&str; 10] =
    ["witness", "serve", "--listen", "127.0.0.1:0", "--dir", "memory", "--key", "w1", "--log", "log.vkey"];

/// The process, its address and its vkey.
fn serve(home: &Home) -> (Child, String, String) {
    let mut child = home.command(&SERVE).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut line = || lines.next().expect("two lines").expect("text");
    let (first, vkey) = (line(), line());
    let url = first.strip_prefix("cosigning ledger.example/town at ").expect(&first).to_string();
    (child, url, vkey)
}

/// Serves the witness `w1` of the home's ledger, whose policy asks for its cosignature from then on. The process, and the policy's file.
fn serve_as_quorum(home: &Home) -> (Child, String) {
    home.ok(&["key", "new", "w1"]);
    let vkey = std::fs::read_to_string(home.data.join("log.vkey")).expect("the log's key");
    home.file("log.vkey", &vkey);
    let (child, url, witness) = serve(home);
    let policy = home.file("policy", format!("log {vkey}witness w {witness} {url}\nquorum w\n"));
    home.ok(&["log", "policy", &policy]);
    (child, policy)
}

#[test]
fn a_witness_that_is_killed_remembers() {
    let home = Home::empty();
    let log = SigningKey::from_bytes(&[1; 32]);
    let vkey = VerifierKey::of(ORIGIN, &log).to_vkey();
    home.file("log.vkey", format!("{vkey}\n"));
    home.ok(&["key", "new", "w1"]);
    let shown = home.ok(&["witness", "key", "--key", "w1"]);
    let mut tree = Tree::new();
    (0u64..10).for_each(|index| tree.push(leaf_hash(&index.to_be_bytes())));
    let cosign = |url: &str, witness: &str, size| {
        let policy = format!("log {vkey}\nwitness w {witness} {url}\nquorum w\n");
        let client = WitnessClient::new(Policy::parse(policy.as_bytes()).expect("a policy"));
        let root = tree.root_at(size).expect("a size");
        let note = Checkpoint { origin: ORIGIN.into(), size, root }.sign(&log);
        client.cosign(&note, &|old| tree.prove_consistency(old, size)).map_err(|error| error.to_string())
    };
    let (mut child, url, witness) = serve(&home);
    assert_eq!(format!("{witness}\n"), shown);
    let cosigned = cosign(&url, &witness, 7);
    // Another process cannot use its directory meanwhile.
    let second = home.run(&SERVE);
    child.kill().and_then(|()| child.wait()).expect("it is killed");
    assert!(cosigned.is_ok(), "{cosigned:?}");
    assert_eq!(second.code, 6, "{}", second.err);
    let (mut child, url, witness) = serve(&home);
    let (back, on) = (cosign(&url, &witness, 5), cosign(&url, &witness, 9));
    child.kill().and_then(|()| child.wait()).expect("it is killed");
    let back = back.expect_err("it has seen more");
    assert!(back.contains("has cosigned 7 entries of this log, which has 5"), "{back}");
    assert!(on.is_ok(), "{on:?}");
}

#[test]
fn what_is_wrong_with_the_command_line_is_said() {
    let home = Home::empty();
    let fails = |arguments: &[&str], code: i32, message: &str| {
        check_failure(arguments, &home.run(arguments), code, &[message]);
    };
    fails(&SERVE, 4, "log.vkey");
    home.file("log.vkey", "ledger.example/town\n");
    fails(&SERVE, 2, "not a vkey");
    let vkey = VerifierKey::of(ORIGIN, &SigningKey::from_bytes(&[1; 32])).to_vkey();
    home.file("log.vkey", vkey);
    fails(&SERVE, 4, "no key `w1`");
    home.ok(&["key", "new", "w1"]);
    fails(&["witness", "key", "--key", "w1", "--name", "a name"], 2, "`a name` cannot name a witness");
    let mut serve = SERVE;
    serve[3] = "192.0.2.1:80";
    fails(&serve, 6, "cannot listen on 192.0.2.1:80");
}

#[test]
fn a_memory_of_another_key_or_name_is_told() {
    let home = Home::with_notes();
    let (mut child, _) = serve_as_quorum(&home);
    let cosigned = home.run(&["log", "checkpoint"]);
    child.kill().and_then(|()| child.wait()).expect("it is killed");
    assert!(cosigned.code == 0 && cosigned.out.contains("— w1 "), "{cosigned:?}");
    let says = ["kept for ledger.example/town", "of another key or name", "Serve under the key and name that it is of"];
    home.ok(&["key", "new", "w2"]);
    let of_another_key = SERVE.map(|word| if word == "w1" { "w2" } else { word });
    let of_another_name = [&SERVE[..], &["--name", "court.example"]].concat();
    for serve in [&of_another_key[..], &of_another_name] {
        let given = home.run(serve);
        check_failure(serve, &given, 5, &says);
        assert!(!given.err.contains("journal"), "{given:?}");
    }
}

#[test]
fn a_checkpoint_that_lacks_entries_or_cosignatures_is_no_success() {
    let home = Home::with_notes();
    let checkpoint = ["log", "checkpoint"];
    let nokeys = [&checkpoint[..], &["--keys", "nokeys"]].concat();
    // Whatever is at hand: what is published whole is.
    let whole = home.ok(&checkpoint);
    assert_eq!(home.ok(&nokeys), whole);
    home.ok(&["key", "new", "w1", "--keys", "other"]);
    home.ok(&["call", "notes", "write", "--as", "w1", "--text", "x", "--keys", "other"]);
    let says = ["the checkpoint covers 4 of 6 entries: not public: the log key is not at hand"];
    for json in [false, true] {
        let output: &[&str] = if json { &["--output", "json"] } else { &[] };
        let given = home.run(&[&nokeys[..], output].concat());
        check_failure(&nokeys, &given, 6, &says);
        let note = if json {
            home.json(&["log", "head"])["checkpoint"].as_str().expect("it").into()
        } else {
            given.out.clone()
        };
        assert_eq!(note, whole, "the checkpoint that there is is printed all the same");
    }
    assert!(home.ok(&checkpoint).contains("\n6\n"));

    let (mut child, _) = serve_as_quorum(&home);
    let cosigned = home.run(&checkpoint);
    child.kill().and_then(|()| child.wait()).expect("it is killed");
    assert!(cosigned.code == 0 && cosigned.out.contains("— w1 "), "{cosigned:?}");
    // The cosignatures that it has are enough, whoever is away now.
    assert_eq!((home.ok(&checkpoint), home.ok(&nokeys)), (cosigned.out.clone(), cosigned.out));
    home.ok(&["call", "notes", "write", "--as", "clerk", "--text", "y"]);
    let given = home.run(&checkpoint);
    check_failure(&checkpoint, &given, 6, &["the checkpoint covers 8 of 8 entries: not witnessed: "]);
    assert!(given.out.contains("\n8\n") && !given.out.contains("— w1 "), "{given:?}");
}

#[test]
fn without_the_witness_nothing_is_exported_that_it_has_not_cosigned() {
    let home = Home::with_notes();
    let (mut child, policy) = serve_as_quorum(&home);
    let write = ["call", "notes", "write", "--as", "clerk", "--text", "x"];
    let witnessed = home.run(&[&write[..], &["--request", "b1", "--wait", "witnessed"]].concat());
    // A smaller checkpoint can be cosigned no more.
    let smaller = ["log", "prove", "consistency", "2", "3"];
    let refused = home.run(&smaller);
    child.kill().and_then(|()| child.wait()).expect("it is killed");
    assert_eq!(witnessed.code, 0, "{witnessed:?}");
    let says =
        ["does not accept a checkpoint over 3 entries that is signed now", "leave out the newer size, or give 6"];
    check_failure(&smaller, &refused, 2, &says);
    // What it has cosigned needs it no more.
    assert_eq!(home.json(&["log", "export", "export"])["entries"], 6);
    let proofs: [&[&str]; 5] = [
        &["receipt", "get", "b1"],
        &["state", "prove", "notes", "note"],
        &["log", "prove", "inclusion", "5"],
        &["log", "prove", "consistency", "2"],
        &["log", "prove", "consistency", "--from", "export/checkpoint"],
    ];
    let verify = ["receipt", "verify", "proof", "--policy", &policy];
    for proof in proofs {
        home.ok(&[proof, &["-o", "proof"]].concat());
        // An inclusion proof says nothing of what its entry is.
        let entry: &[&str] = if proof[2] == "inclusion" { &["--export", "export"] } else { &[] };
        home.ok(&[&verify[..], entry].concat());
    }
    home.ok(&[&write[..], &["--request", "b2"]].concat());
    // A proof that the policy refuses is handed out on request only.
    for proof in [&["receipt", "get", "b2"], proofs[1], &["log", "prove", "inclusion", "7"]] {
        check_failure(proof, &home.run(proof), 6, &["not witnessed: "]);
        home.ok(&[proof, &["--wait", "published", "-o", "proof"]].concat());
        if proof[0] != "log" {
            check_failure(&verify, &home.run(&verify), 5, &["the quorum w is not reached"]);
        }
    }
    for proof in &proofs[3..] {
        check_failure(proof, &home.run(proof), 6, &["not witnessed: "]);
    }
    let export = ["log", "export", "export"];
    let given = home.run(&export);
    let says =
        ["nothing was exported: the log's checkpoint is not cosigned as the policy asks: ", "An earlier export stays"];
    check_failure(&export, &given, 6, &says);
    assert!(!given.err.contains("the call"), "{given:?}");
    assert_eq!(home.json(&["log", "verify", "export"])["entries"], 6);
}
