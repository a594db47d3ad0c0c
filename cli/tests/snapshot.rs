//! Backup and restore as an operator does it.

mod support;

use support::{Home, check_failure};

/// A ledger with a note.
fn home() -> Home {
    let home = Home::with_notes();
    home.note("a1", "first");
    home
}

#[test]
fn a_ledger_is_lost_and_restored_from_its_snapshot() {
    let home = home();
    let made = home.json(&["snapshot", "create", "copy"]);
    home.ok(&["log", "export", "export"]);
    let checkpoint = home.file("newest", home.ok(&["log", "checkpoint"]));
    let believed = ["--policy", "export/policy", "--checkpoint", &checkpoint];
    let verify = |place: &str| home.json(&[&["snapshot", "verify", place][..], &believed].concat());
    assert_eq!(verify("copy")["root"], made["root"]);
    let before = home.json(&["log", "head"]);
    std::fs::remove_dir_all(home.dir.path().join("town")).unwrap();

    let restored = home.json(&[&["snapshot", "restore", "copy", "town"][..], &believed].concat());
    assert_eq!(restored, verify("copy"));
    assert_eq!(home.json(&["log", "head"]), before);
    assert_eq!(home.json(&["state", "get", "notes", "note"]), "first");
    // The same request is answered again, and the ledger goes on.
    home.note("a1", "first");
    assert_eq!(home.json(&["log", "head"]), before);
    home.note("a2", "second");
    assert_eq!(home.json(&["state", "get", "notes", "note"]), "second");
    home.ok(&["log", "verify"]);
    home.ok(&["audit"]);
    let again = home.json(&["snapshot", "create", "copy"]);
    assert!(again["entries"].as_u64() > made["entries"].as_u64(), "{again}");
}

/// What lies beside a snapshot is covered by no root: a restored ledger asks the witnesses of the policy that was given.
#[test]
fn a_restored_ledger_has_the_policy_that_was_given() {
    let home = home();
    home.ok(&["snapshot", "create", "copy"]);
    let vkey = home.ok(&["log", "policy"]);
    home.ok(&["key", "new", "w1"]);
    let witness = home.ok(&["witness", "key", "--key", "w1"]);
    let log = vkey.lines().next().unwrap();
    // It asks no cosignature of the snapshot's own checkpoint, which has none.
    let given = format!("{log}\nwitness w {} http://127.0.0.1:9\nquorum none\n", witness.trim());
    let file = home.file("given", &given);
    let installed = |ledger: &str| std::fs::read_to_string(home.dir.path().join(ledger).join("policy")).unwrap();
    home.ok(&["log", "policy", &file]);
    home.ok(&["snapshot", "create", "copy"]);
    let verify = ["snapshot", "verify", "copy", "--policy", &file];
    assert_eq!(home.json(&verify)["policy_differs"], false);
    assert!(!home.ok(&verify).contains("policy"));

    std::fs::write(home.dir.path().join("copy/policy"), &vkey).unwrap();
    let text = home.ok(&verify);
    assert!(
        text.contains("the policy beside the snapshot is another than yours") && text.contains("\n  quorum none\n")
    );
    let text = home.ok(&["snapshot", "restore", "copy", "strict", "--policy", &file]);
    assert_eq!(installed("strict"), given);
    assert!(text.contains("its policy is the one that you gave. Beside the snapshot lies another:\n  log "), "{text}");
    let text = home.ok(&["snapshot", "restore", "copy", "trusting"]);
    assert_eq!(installed("trusting"), vkey);
    assert!(text.contains("its policy is the one beside the snapshot, for which nothing vouches"), "{text}");
    assert!(text.contains(&format!("\n  {log}\n  quorum none")), "{text}");
}

#[test]
fn what_would_fork_the_log_or_does_not_verify_is_refused() {
    let home = home();
    home.ok(&["snapshot", "create", "copy"]);
    home.note("a2", "second");
    home.file("newest", home.ok(&["log", "checkpoint"]));
    let restore = ["snapshot", "restore", "copy", "new"];
    let newest = [&restore[..], &["--checkpoint", "newest"]].concat();
    check_failure(&["an older snapshot"], &home.run(&newest), 5, &["fork the log", "newer snapshot"]);
    check_failure(&["no snapshot"], &home.run(&["snapshot", "verify", "town"]), 4, &["holds no snapshot"]);
    check_failure(&["in a ledger"], &home.run(&["snapshot", "create", "town"]), 2, &["name a new or empty"]);
    let into_ledger = home.run(&["snapshot", "restore", "copy", "town"]);
    check_failure(&["over a ledger"], &into_ledger, 2, &["is not empty"]);
    let chunks = home.dir.path().join("copy/chunks");
    let chunk = std::fs::read_dir(&chunks).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(chunk).unwrap();
    check_failure(&["a chunk is gone"], &home.run(&restore), 5, &["is missing"]);
    assert!(!home.dir.path().join("new").exists());
    // Without the newest checkpoint the danger is said.
    home.ok(&["snapshot", "create", "copy"]);
    let said = home.ok(&restore);
    assert!(said.contains("fork the log") && said.contains("compare it"), "{said}");
}
