//! Where exports, mirrors, receipts and keys may lie, who may read them, and what becomes of them when the disk is full.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use support::disk::{Mounted, files, fill};
use support::{Home, check_failure, shell};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// Every directory below one, itself included, with its permission bits.
fn directories(dir: &Path) -> Vec<(String, u32)> {
    let mut found = vec![(dir.display().to_string(), mode(dir))];
    for path in dir.read_dir().unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        found.extend(directories(&path));
    }
    found
}

#[test]
fn a_web_server_can_read_what_is_public_and_nothing_else() {
    let home = Home::empty();
    let script = "umask 022
        export CHANCERY_DATA=deep/town
        chancery init --origin ledger.example/town
        chancery key new clerk
        chancery deploy contracts/dist/minimal.wasm --name notes --as clerk
        chancery log export exports/town
        chancery log mirror exports/town mirrors/town
        chancery snapshot create snapshot
        chancery snapshot restore snapshot back --policy exports/town/policy";
    let given = shell(&home, script);
    assert_eq!(given.code, 0, "{given:?}");
    let town = home.dir.path().join("deep/town");
    for public in [town.join("public"), home.dir.path().join("exports"), home.dir.path().join("mirrors")] {
        let closed: Vec<_> = directories(&public).into_iter().filter(|(_, mode)| *mode != 0o755).collect();
        assert!(closed.is_empty(), "others cannot go there: {closed:?}");
        let unread = |path: &Path| mode(path) & 0o044 != 0o044 && !path.ends_with("lock");
        let closed: Vec<_> = files(&public).into_iter().filter(|(path, _)| unread(path)).collect();
        assert!(closed.is_empty(), "others cannot read that: {closed:?}");
    }
    for ledger in [town, home.dir.path().join("back")] {
        // Others go through and see nothing on the way.
        assert_eq!((mode(&ledger), mode(ledger.parent().unwrap()) & 0o001), (0o751, 0o001), "{}", ledger.display());
        let names = ledger.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let open: Vec<String> = names.filter(|name| mode(&ledger.join(name)) & 0o007 != 0).collect();
        let open = |name: &str| open.contains(&name.to_string());
        assert!(open("public") && open("format") && open("log.vkey"));
        for own in ["journal", "view", "blobs", "cache", "cache.key", "lock", "view.closed", "summary"] {
            assert!(!open(own), "{own} of {} is open to others", ledger.display());
        }
    }
    assert_eq!(mode(&home.dir.path().join("snapshot")), 0o750);
}

#[test]
fn an_export_and_a_mirror_go_on_with_one_another() {
    let home = Home::with_notes();
    home.ok(&["log", "export", "one"]);
    home.ok(&["log", "export", "two"]);
    home.note("a1", "x");
    home.ok(&["log", "export", "two"]);
    home.ok(&["log", "mirror", "two", "one"]);
    assert!(home.dir.path().join("one/lock").exists());
    home.note("a2", "y");
    let exported = home.json(&["log", "export", "one"]);
    assert_eq!(exported["entries"].as_u64(), exported["before"].as_u64().map(|before| before + 2));
    home.ok(&["log", "verify", "one"]);
    // What contradicts a mirror is kept and keeps nobody from exporting.
    let back = ["log", "mirror", "two", "one"];
    check_failure(&back, &home.run(&back), 5, &["was rolled back", "evidence/"]);
    home.ok(&["log", "export", "one"]);
    // Only one of them writes at a time.
    let lock = std::fs::OpenOptions::new().write(true).open(home.dir.path().join("one/lock")).unwrap();
    lock.try_lock().unwrap();
    let export = ["log", "export", "one"];
    check_failure(&export, &home.run(&export), 6, &["one is in use by another process"]);
}

#[test]
fn a_log_is_no_mirror_of_itself() {
    let home = Home::with_notes();
    home.ok(&["log", "export", "export"]);
    let before = files(&home.dir.path().join("export"));
    for source in ["export", "./export/"] {
        let mirror = ["log", "mirror", source, "export"];
        check_failure(&mirror, &home.run(&mirror), 2, &["export is the log itself", "name another directory"]);
    }
    assert!(files(&home.dir.path().join("export")) == before);
}

#[test]
fn nothing_else_is_written_into_a_ledger() {
    let home = Home::with_notes();
    home.ok(&["log", "export", "export"]);
    home.ok(&["snapshot", "create", "snapshot"]);
    home.ok(&["key", "new", "w1"]);
    let vkey = home.data.join("log.vkey").display().to_string();
    let outside = home.dir.path().join("outside");
    std::fs::rename(home.data.join("public"), &outside).unwrap();
    std::os::unix::fs::symlink(&outside, home.data.join("public")).unwrap();
    std::os::unix::fs::symlink(&home.data, home.dir.path().join("link")).unwrap();
    let before = files(&home.data);
    for dir in ["town", "town/public", "town/new/export", "link/new"] {
        for command in [
            &["log", "export", dir][..],
            &["log", "mirror", "export", dir],
            &["witness", "serve", "--key", "w1", "--log", &vkey, "--listen", "127.0.0.1:0", "--dir", dir],
        ] {
            // The public log was put elsewhere: what a mirror or a witness finds there is for the ledger to say.
            if dir == "town/public" && command[1] != "export" {
                continue;
            }
            let says = [dir, "lies in a ledger's directory", "name a directory outside of it"];
            check_failure(command, &home.run(command), 2, &says);
        }
        // A snapshot looks first at what lies there.
        let says = if dir.ends_with("town") || dir.ends_with("public") { "no part of a snapshot" } else { "lies in a" };
        let snapshot = ["snapshot", "create", dir];
        check_failure(&snapshot, &home.run(&snapshot), 2, &[dir, says]);
    }
    for dir in ["town/new", "link/new"] {
        for command in [
            &["--data", dir, "init", "--origin", "ledger.example/other"][..],
            &["snapshot", "restore", "snapshot", dir, "--policy", "export/policy"],
        ] {
            check_failure(command, &home.run(command), 2, &[dir, "lies in a ledger's directory"]);
        }
    }
    assert!(files(&home.data) == before && !home.data.join("new").exists());
}

#[test]
fn an_audit_of_an_export_does_not_begin_what_cannot_be_resumed() {
    let home = Home::with_notes();
    home.ok(&["log", "export", "export"]);
    let audit = ["audit", "export", "--resume", "progress"];
    check_failure(&audit, &home.run(&audit), 2, &["export is an exported log", "leave the progress file progress out"]);
    assert!(!home.dir.path().join("progress").exists());
    home.ok(&["audit", "export"]);
}

#[test]
fn a_full_disk_takes_no_earlier_receipt_and_leaves_no_half_key() {
    let home = Home::with_notes();
    home.note("a1", "x");
    let small = home.dir.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let Some(_mounted) = Mounted::mount(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], &small) else {
        return chancery_tests::skip("a small file system can be mounted by root alone");
    };
    let get = ["receipt", "get", "a1", "-o", "small/receipt"];
    home.ok(&get);
    let receipt = std::fs::read(small.join("receipt")).unwrap();
    fill(&small.join("filler"));
    check_failure(&get, &home.run(&get), 6, &["cannot write small/receipt", "Make room"]);
    assert!(std::fs::read(small.join("receipt")).unwrap() == receipt, "the earlier receipt is as it was");
    let commands = [&["key", "new", "other"][..], &["init", "--origin", "ledger.example/other", "--data", "other"]];
    for command in commands {
        let command = [command, &["--keys", "small/keys"]].concat();
        check_failure(&command, &home.run(&command), 6, &["cannot write small/keys/", "Make room"]);
        std::fs::create_dir_all(small.join("keys")).unwrap();
        check_failure(&command, &home.run(&command), 6, &["cannot write small/keys/", "Make room"]);
        assert_eq!(small.join("keys").read_dir().unwrap().count(), 0, "{command:?} left something");
        std::fs::remove_file(small.join("filler")).unwrap();
        home.ok(&command);
        std::fs::remove_dir_all(small.join("keys")).unwrap();
        fill(&small.join("filler"));
    }
}

/// Whatever was written was "the call", which "was not recorded", and nothing said where; what a restore had begun was in the way of the next.
#[test]
fn a_full_disk_is_told_of_what_is_written_there_and_the_command_is_run_again() {
    let mut home = Home::empty();
    let small = home.dir.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let Some(_mounted) = Mounted::mount(&["-t", "tmpfs", "-o", "size=160m", "tmpfs"], &small) else {
        return chancery_tests::skip("a small file system can be mounted by root alone");
    };
    home.data = small.join("town");
    home.ok(&["init", "--origin", "ledger.example/town"]);
    home.ok(&["key", "new", "clerk"]);
    home.ok(&["deploy", &support::module("minimal"), "--name", "notes", "--as", "clerk"]);
    home.ok(&["log", "export", "export"]);
    home.ok(&["snapshot", "create", "copy"]);
    let policy = home.file("policy", home.ok(&["log", "policy"]));
    for (command, says) in [
        (&["log", "export", "small/export"][..], "the export is not finished"),
        (&["log", "mirror", "export", "small/mirror"], "the copy in small/mirror is not finished"),
        (&["snapshot", "create", "small/copy"], "the snapshot in small/copy is not finished"),
        (&["snapshot", "restore", "copy", "small/back"], "no ledger was restored to small/back"),
        (&["audit", "--resume", "small/progress"], "how far the audit came cannot be kept in small/progress"),
        (&["log", "policy", &policy], "small/town is as it was"),
        (&["doctor", "--repair"], "small/town is not finished"),
        (&["profile", "notes", "write", "--text", "x", "--flame", "small/graph.svg"], "cannot write small/graph.svg"),
    ] {
        if command[0] == "doctor" {
            std::fs::remove_dir_all(home.data.join("public/tile")).unwrap();
        }
        fill(&small.join("filler"));
        let given = home.run(command);
        check_failure(command, &given, 6, &[says, "Make room"]);
        assert!(!given.err.contains("call"), "nobody has made one: {}", given.err);
        assert!(!small.join("graph.svg").exists(), "half a file passes for a whole one");
        std::fs::remove_file(small.join("filler")).unwrap();
        home.ok(command);
    }
    fill(&small.join("filler"));
    let bench = ["bench", "--quick", "--dir", "small"];
    check_failure(&bench, &home.run(&bench), 6, &["the scratch ledger has no room", "Make room"]);
    std::fs::remove_file(small.join("filler")).unwrap();
    home.ok(&["doctor"]);
    home.ok(&["log", "verify", "small/mirror"]);
    home.ok(&["log", "head", "--data", "small/back"]);
}

#[test]
fn a_file_where_a_directory_should_be_is_told_and_stays() {
    let home = Home::with_notes();
    home.ok(&["log", "export", "export"]);
    home.ok(&["snapshot", "create", "copy"]);
    home.ok(&["key", "new", "w1"]);
    let file = home.file("file", "mine");
    for command in [
        &["log", "export", &file][..],
        &["log", "mirror", "export", &file],
        &["snapshot", "create", &file],
        &["snapshot", "restore", "copy", &file],
        &["init", "--origin", "ledger.example/other", "--data", &file],
        &["witness", "serve", "--key", "w1", "--log", "export/log.vkey", "--listen", "127.0.0.1:0", "--dir", &file],
    ] {
        home.fails(command, 2, &[&file, "expected a directory, found a file"]);
        assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    }
    home.fails(&["audit", "--resume", "export"], 2, &["cannot read export", "expected a file, found a directory"]);
    let write = ["profile", "notes", "write", "--text", "x", "--flame", "export"];
    home.fails(&write, 2, &["cannot write export", "s a directory"]);
}

#[test]
fn a_directory_that_is_not_there_is_told_the_same_way_whatever_is_written_into_it() {
    let home = Home::with_notes();
    home.note("a1", "x");
    let rows = home.file("rows.csv", "text\ny\n");
    for command in [
        &["receipt", "get", "a1", "-o", "none/file"][..],
        &["log", "prove", "inclusion", "2", "-o", "none/file"],
        &["batch", "notes", "write", &rows, "--as", "clerk", "--report", "none/file"],
    ] {
        home.fails(command, 4, &["cannot write none/file: there is no directory none: make it first"]);
    }
}
