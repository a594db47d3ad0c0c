//! What a ledger hands out, as its receiver uses it: receipts, state proofs, exports, audits.

mod support;

use std::io::{Read, Write};
use support::{Home, check_failure, module};

/// A ledger with two notes.
fn home() -> Home {
    let home = Home::with_notes();
    home.note("a1", "first");
    home.note("a2", "second");
    home
}

#[test]
fn a_receipt_verifies_offline_and_a_changed_one_does_not() {
    let home = home();
    home.ok(&["log", "export", "export"]);
    home.ok(&["receipt", "get", "a1", "--state", "note", "--writes", "-o", "receipt"]);
    let verify = ["receipt", "verify", "receipt", "--policy", "export/policy"];
    let shown = home.json(&verify);
    assert_eq!((&shown["outcome"], &shown["arguments"]["text"]), (&"done".into(), &"first".into()));
    assert_eq!(shown["ledger"], home.json(&["log", "head"])["ledger"], "for which ledger the actor signed");
    assert_eq!(shown["states"][0]["value"], "first", "the value after that call, not the last one: {shown}");
    let file = home.dir.path().join("receipt");
    let sound = std::fs::read_to_string(&file).unwrap();
    for (what, changed) in [
        ("truncated", sound[..sound.len() - 20].to_string()),
        ("another version", sound.replacen("receipt@v1", "receipt@v2", 1)),
        ("another index", sound.replacen("index ", "index 1", 1)),
        ("nothing", String::new()),
    ] {
        std::fs::write(&file, changed).unwrap();
        check_failure(&[what], &home.run(&verify), 5, &["receipt:"]);
    }
    std::fs::write(&file, sound).unwrap();
    let other = Home::empty();
    other.ok(&["init", "--origin", "ledger.example/other"]);
    other.ok(&["log", "export", "export"]);
    let foreign = other.dir.path().join("export/policy").display().to_string();
    let refused = home.run(&["receipt", "verify", "receipt", "--policy", &foreign]);
    check_failure(&["another log's policy"], &refused, 5, &["checkpoint"]);
    check_failure(&["no such call"], &home.run(&["receipt", "get", "a9"]), 4, &["no call has the request id"]);
    check_failure(&["no such item"], &home.run(&["receipt", "get", "a1", "--state", "none"]), 4, &["stores"]);
    // A name that is taken: nothing was executed whose state there could be.
    let taken = ["deploy", &module("minimal"), "--name", "notes", "--as", "clerk", "--request", "b1"];
    assert_eq!(home.run(&taken).code, 3);
    home.ok(&["receipt", "get", "b1"]);
    let rejected = home.run(&["receipt", "get", "b1", "--state", "note"]);
    check_failure(&["rejected"], &rejected, 2, &["no code was executed for entry 8", "leave --state out"]);
}

#[test]
fn proofs_of_state_inclusion_and_consistency_verify() {
    let home = home();
    home.ok(&["log", "export", "export"]);
    let verified = |file: &str| home.json(&["receipt", "verify", file, "--policy", "export/policy"]);
    home.ok(&["state", "prove", "notes", "note", "-o", "now"]);
    home.ok(&["state", "prove", "notes", "note", "--at", "1", "-o", "then"]);
    // `second` and nothing: as a text's encoding, its length before it.
    assert_eq!(verified("now")["value"], "060000007365636f6e64");
    assert_eq!(verified("then")["value"], "nothing was stored");
    check_failure(
        &["a later height"],
        &home.run(&["state", "prove", "notes", "note", "--at", "99"]),
        4,
        &["height 99"],
    );
    home.ok(&["log", "prove", "consistency", "3", "6", "-o", "grown"]);
    let grown = verified("grown");
    assert_eq!((&grown["older"], &grown["newer"], &grown["older_was_kept"]), (&3.into(), &6.into(), &false.into()));
    home.ok(&["log", "prove", "consistency", "3", "-o", "whole"]);
    assert_eq!((&verified("whole")["newer"], &verified("whole")["newer_root"]), (&8.into(), &home.head().1));
    check_failure(&["beyond"], &home.run(&["log", "prove", "consistency", "3", "600"]), 4, &["there is no entry 599"]);
    let swapped = home.run(&["log", "prove", "consistency", "6", "3"]);
    check_failure(&["swapped"], &swapped, 2, &["the size of an older log", "found 6 and 3"]);
    let proof = home.ok(&["log", "prove", "inclusion", "2"]);
    assert!(proof.starts_with("c2sp.org/tlog-proof@v1\nindex 2\n"), "{proof}");
    assert!(proof.ends_with(&home.ok(&["log", "checkpoint"])), "{proof}");
    // The entry that it is of stands in the export.
    home.file("included", &proof);
    let verify = ["receipt", "verify", "included", "--policy", "export/policy"];
    let says = ["is an inclusion proof (C2SP tlog-proof) of entry 2, which is not in it", "--export DIR", "verify.py"];
    check_failure(&verify, &home.run(&verify), 2, &says);
    let verify = [&verify[..], &["--export", "export"]].concat();
    let shown = home.json(&verify);
    assert_eq!((&shown["verified"], &shown["contract"]), (&"inclusion proof".into(), &"notes".into()), "{shown}");
    for (index, code, says) in [("index 3\n", 5, "inclusion proof"), ("index 99\n", 4, "not entry 99")] {
        home.file("included", proof.replacen("index 2\n", index, 1));
        check_failure(&verify, &home.run(&verify), code, &[says]);
    }
    check_failure(&["beyond"], &home.run(&["log", "prove", "inclusion", "600"]), 4, &["there is no entry 600"]);
}

/// Two ledgers under one origin and key, as whoever rewrites a log makes the second: their proofs verify, each by itself.
#[test]
fn a_kept_checkpoint_is_the_one_that_a_consistency_proof_begins_with() {
    let home = home();
    home.ok(&["log", "export", "export"]);
    let copied = std::process::Command::new("cp").arg("-r").arg(&home.data).arg(home.dir.path().join("twin")).status();
    assert!(copied.expect("cp").success());
    home.note("a3", "of this ledger");
    let kept = home.file("kept", home.ok(&["log", "checkpoint"]));
    let twin = |arguments: &[&str]| home.run(&[arguments, &["--data", "twin"]].concat());
    for text in ["of the other", "longer"] {
        let given = twin(&["call", "notes", "write", "--as", "clerk", "--text", text]);
        assert_eq!(given.code, 0, "{given:?}");
    }
    let rewritten = twin(&["log", "prove", "consistency", "10", "-o", "rewritten"]);
    assert_eq!(rewritten.code, 0, "{rewritten:?}");
    home.note("a4", "goes on");
    home.ok(&["log", "prove", "consistency", "--from", &kept, "-o", "grown"]);

    let verify = |file| ["receipt", "verify", file, "--policy", "export/policy"];
    let held = |file| [&verify(file)[..], &["--checkpoint", &kept]].concat();
    let text = home.ok(&verify("rewritten"));
    assert!(text.contains("\nolder_root: ") && text.contains("compare the older root with that of"), "{text}");
    let says =
        ["rewritten: not verified: older checkpoint: the log signed two histories of 10 entries", "publish them"];
    check_failure(&held("rewritten"), &home.run(&held("rewritten")), 5, &says);
    assert_eq!(home.json(&held("grown"))["older_was_kept"], true);
    assert!(!home.ok(&held("grown")).contains("compare"));
    let note = std::fs::read_to_string(&kept).unwrap();
    assert!(std::fs::read_to_string(home.dir.path().join("grown")).unwrap().contains(&note), "the note as it was kept");
    // The ledger whose history it is not says so itself.
    let says = ["the one that was kept has the root"];
    check_failure(&["twin"], &twin(&["log", "prove", "consistency", "--from", &kept]), 5, &says);
    let none = home.run(&["log", "prove", "consistency", "--from", "export/policy"]);
    check_failure(&["no checkpoint"], &none, 2, &["what was kept is no checkpoint of this log"]);
    home.ok(&["receipt", "get", "a1", "-o", "receipt"]);
    let says = ["receipt is no consistency proof, which alone is held against --checkpoint"];
    check_failure(&held("receipt"), &home.run(&held("receipt")), 2, &says);
}

#[test]
fn an_export_is_verified_from_a_directory_and_from_a_web_server() {
    let home = home();
    let nowhere = home.run(&["log", "verify", "nowhere"]);
    check_failure(&["nowhere"], &nowhere, 4, &["nowhere is no directory", "an exported log"]);
    std::fs::create_dir(home.dir.path().join("nothing")).unwrap();
    for command in [["log", "verify", "nothing"], ["log", "mirror", "nothing"]] {
        let command = [&command[..], if command[1] == "mirror" { &["mirror"] } else { &[] }].concat();
        check_failure(&command, &home.run(&command), 4, &["nothing holds neither a ledger nor a public log"]);
    }
    home.ok(&["log", "export", "export"]);
    check_failure(&["a file"], &home.run(&["audit", "export/checkpoint"]), 4, &["holds no ledger"]);
    let report = home.json(&["log", "verify", "export"]);
    assert_eq!((&report["calls"], &report["modules"], &report["own_policy"]), (&3.into(), &1.into(), &true.into()));
    let url = serve(home.dir.path().join("export"));
    let report = home.json(&["log", "verify", &url, "--policy", "export/policy"]);
    assert_eq!((&report["calls"], &report["own_policy"]), (&3.into(), &false.into()));
    let nowhere = home.run(&["log", "verify", "http://127.0.0.1:9", "--policy", "export/policy"]);
    check_failure(&["nobody listens"], &nowhere, 5, &["checkpoint: http://127.0.0.1:9/checkpoint"]);

    let checkpoint = home.dir.path().join("export/checkpoint");
    let sound = std::fs::read_to_string(&checkpoint).unwrap();
    std::fs::write(&checkpoint, sound.replace("\n8\n", "\n9\n")).unwrap();
    check_failure(&["size changed"], &home.run(&["log", "verify", "export"]), 5, &["signature of ledger.example/town"]);
    std::fs::write(&checkpoint, sound).unwrap();
    check_failure(&["not ours"], &home.run(&["log", "export", "."]), 2, &["is no part of an export"]);
    assert_eq!(home.json(&["log", "export", "export"])["before"], 8);
}

#[test]
fn without_the_log_key_what_is_published_is_exported() {
    let home = home();
    home.ok(&["key", "new", "clerk", "--keys", "others"]);
    home.ok(&["log", "export", "export"]);
    let write = ["call", "notes", "write", "--as", "clerk", "--text", "third", "--keys", "others"];
    home.ok(&write);
    let published = home.run(&[&write[..], &["--wait", "published"]].concat());
    check_failure(&write, &published, 6, &["what was called is logged, but not public: the log key is not at hand"]);
    assert!(published.out.contains("outcome: done"), "{published:?}");
    let head = home.ok(&["log", "head"]);
    assert!(head.contains("entries: 12\n") && head.contains("the checkpoint does not cover all entries"), "{head}");
    for dir in ["export", "another"] {
        let given = home.run(&["log", "export", dir, "--keys", "others"]);
        assert!(given.code == 0 && given.out.contains(": 8 entries"), "{given:?}");
        assert!(given.err.contains("entries 8 to 11 are not in it: they are not published"), "{given:?}");
        assert_eq!(home.json(&["log", "verify", dir])["entries"], 8);
    }
    let checkpoint = home.ok(&["log", "checkpoint"]);
    assert!(checkpoint.starts_with("ledger.example/town\n12\n"), "{checkpoint}");
    assert_eq!(home.json(&["log", "export", "export"])["before"], 8);
}

#[test]
fn an_audit_goes_on_where_it_was_and_works_on_an_export() {
    let home = home();
    home.ok(&["log", "export", "export"]);
    assert_eq!(home.json(&["audit", "export"])["executed"], 3);
    // Whose word that is, is said; another log's is refused, of an export and of a ledger.
    let policy = home.ok(&["log", "policy"]);
    let vkey = policy.lines().next().unwrap().trim_start_matches("log ");
    let other = Home::empty();
    other.ok(&["init", "--origin", "ledger.example/town"]);
    let mine = home.file("mine", &policy);
    let foreign = home.file("foreign", other.ok(&["log", "policy"]));
    let believed = format!("\nbelieved by the key beside the log; compare it with one from elsewhere: {vkey}\n");
    for audit in [&["audit", "export"][..], &["audit"], &["log", "verify", "export"]] {
        let text = home.ok(audit);
        assert!(text.contains(" of ledger.example/town: ") && text.contains(&believed), "{text}");
        let with = |policy| [audit, &["--policy", policy]].concat();
        let (text, value) = (home.ok(&with(&mine)), home.json(&with(&mine)));
        assert!(text.contains(&format!("\nkey {vkey}\n")), "{text}");
        assert_eq!((&value["vkey"], &value["own_policy"]), (&vkey.into(), &false.into()));
        check_failure(audit, &home.run(&with(&foreign)), 5, &["checkpoint", "log of the policy"]);
    }
    assert_eq!(home.json(&["audit"])["own_policy"], true);
    assert!(home.ok(&["log", "verify"]).contains(&believed));
    assert_eq!(home.json(&["audit", "--resume", "progress"])["executed"], 3);
    home.ok(&["call", "notes", "write", "--as", "clerk", "--text", "third"]);
    let audit = home.json(&["audit", "--resume", "progress"]);
    assert_eq!((&audit["executed"], &audit["resumed_from"], &audit["calls"]), (&1.into(), &8.into(), &4.into()));
    // A log that is not the one audited before does not verify; a file that is no progress file is a wrong argument.
    let progress = home.dir.path().join("progress");
    let kept = std::fs::read_to_string(&progress).unwrap();
    let resumed = |progress_says: String| {
        std::fs::write(&progress, progress_says).unwrap();
        home.run(&["audit", "--resume", "progress"])
    };
    let says = ["the log does not continue what was audited before", "covers 1000 entries, the log has 10"];
    check_failure(&["an end lost"], &resumed(kept.replace("size 10\n", "size 1000\n")), 5, &says);
    let (before, state) = kept.trim_end().rsplit_once(' ').unwrap();
    let other = format!("{before} {}\n", state.chars().rev().collect::<String>());
    let says = ["the log does not continue what was audited before", "it was changed since"];
    check_failure(&["another state"], &resumed(other), 5, &says);
    std::fs::write(&progress, "something else\n").unwrap();
    check_failure(&["no progress file"], &home.run(&["audit", "--resume", "progress"]), 2, &["not a progress file"]);
    check_failure(&["no ledger"], &home.run(&["audit", "export/tile"]), 4, &["holds no ledger"]);
    // A missing module is named.
    std::fs::remove_dir_all(home.dir.path().join("export/blobs")).unwrap();
    std::fs::create_dir(home.dir.path().join("export/blobs")).unwrap();
    check_failure(&["no module"], &home.run(&["log", "verify", "export"]), 5, &["blobs/", "of entry 2, is missing"]);
}

#[test]
fn a_policy_is_kept_only_where_it_names_this_log() {
    let home = home();
    let shown = home.ok(&["log", "policy"]);
    assert!(shown.starts_with("log ledger.example/town+") && shown.ends_with("quorum none\n"), "{shown}");
    std::fs::write(home.dir.path().join("policy"), "quorum none\n").unwrap();
    check_failure(&["names no log"], &home.run(&["log", "policy", "policy"]), 2, &["does not name this log"]);
    std::fs::write(home.dir.path().join("policy"), &shown).unwrap();
    assert_eq!(home.ok(&["log", "policy", "policy"]), shown);
    let call = ["call", "notes", "write", "--as", "clerk", "--text", "x", "--wait", "witnessed"];
    let given = home.run(&call);
    check_failure(&["no witnesses"], &given, 6, &["not witnessed", "names no witness"]);
    assert!(given.out.contains("done"), "the call is recorded and shown: {}", given.out);
}

/// Serves a directory's files over HTTP until the test ends.
fn serve(dir: std::path::PathBuf) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4_096];
            let length = stream.read(&mut request).unwrap_or_default();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_string();
            let (status, body) = std::fs::read(dir.join(path)).map_or((404, Vec::new()), |bytes| (200, bytes));
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            drop(stream.write_all(&[head.as_bytes(), &body].concat()));
        }
    });
    url
}

#[test]
fn the_reasoning_of_a_receipt_is_shown_once() {
    let home = Home::with_food_assistance();
    let apply = ["call", "food-assistance", "apply", "--as", "officer", "--request", "a1", "--wait", "published"];
    let fields = ["--case-id", "A", "--month", "2024-05", "--household-size", "2"];
    home.ok(&apply.into_iter().chain(fields).collect::<Vec<_>>());
    home.ok(&["log", "export", "export"]);
    home.ok(&["receipt", "get", "a1", "-o", "receipt"]);
    let verify = ["receipt", "verify", "receipt", "--policy", "export/policy"];
    assert_eq!(home.ok(&verify).matches("the case was not filed before").count(), 1);
    assert!(home.json(&verify)["trace"].is_array());
}
