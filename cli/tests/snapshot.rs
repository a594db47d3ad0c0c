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
