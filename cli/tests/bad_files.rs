//! A ledger's directory that is not as it should be: each gives one clear message, a documented exit code, and no damage.

mod support;

use chancery_tests::skip;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::process::Command;
use support::disk::{Mounted, files};
use support::{CHANCERY, Given, Home, check_failure, module};

const APPLY: [&str; 11] = [
    "call",
    "food-assistance",
    "apply",
    "--as",
    "officer",
    "--case-id",
    "A-1",
    "--month",
    "2024-05",
    "--household-size",
    "2",
];
const NOBODY: u32 = 65_534;

fn root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

#[test]
fn files_that_may_not_be_read_or_written() {
    if !root() {
        return skip("it takes root, to become somebody else");
    }
    let home = Home::with_food_assistance();
    let program = home.dir.path().join("chancery");
    std::fs::copy(CHANCERY, &program).unwrap();
    std::fs::set_permissions(home.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let run = |arguments: &[&str]| -> Given {
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(home.dir.path()).env_clear();
        command.env("HOME", home.dir.path().join("nobody")).env("CHANCERY_DATA", &home.data).uid(NOBODY).gid(NOBODY);
        command.output().unwrap().into()
    };
    let before = files(&home.data);
    let says = ["ermission denied", "look at owner and permissions"];
    // Others come through the directory, and to nothing that is the ledger's own.
    check_failure(&["log", "head"], &run(&["log", "head"]), 6, &says);
    std::fs::set_permissions(&home.data, PermissionsExt::from_mode(0o755)).unwrap();
    check_failure(&["log", "head"], &run(&["log", "head"]), 6, &says);
    check_failure(&["doctor"], &run(&["doctor"]), 6, &says);
    assert!(files(&home.data) == before);
    // All is theirs but one file.
    for path in files(&home.data).into_iter().map(|(path, _)| path) {
        path.ancestors()
            .take_while(|path| path.starts_with(&home.data))
            .for_each(|path| chown(path, Some(NOBODY), Some(NOBODY)).unwrap());
    }
    let journal = home.data.join("journal/00000000.seg");
    chown(&journal, Some(0), Some(0)).unwrap();
    std::fs::set_permissions(&journal, PermissionsExt::from_mode(0o600)).unwrap();
    let named = ["00000000.seg", says[0], says[1]];
    check_failure(&["log", "head"], &run(&["log", "head"]), 6, &named);
    let given = run(&["doctor"]);
    assert!(
        given.code == 5 && given.out.contains("00000000.seg") && given.out.contains("ermission denied"),
        "{given:?}"
    );
    chown(&journal, Some(NOBODY), Some(NOBODY)).unwrap();
    assert_eq!(run(&["log", "head"]).code, 0);
    // What lies beside a ledger is told the same way: the directory is not theirs, nor are the keys in it.
    let keys = home.dir.path().join(".config/chancery/keys").display().to_string();
    for (command, code, file) in [
        (&["log", "prove", "inclusion", "2", "-o", "proof"][..], 6, "cannot write proof"),
        (&["key", "new", "other", "--keys", "."], 6, "cannot write ./other.key"),
        (&["key", "show", "officer", "--keys", &keys], 2, "cannot read"),
    ] {
        check_failure(command, &run(command), code, &[file, says[0], says[1]]);
    }

    // Whoever can read the key of the cache can put code into it.
    std::fs::set_permissions(home.data.join("cache.key"), PermissionsExt::from_mode(0o644)).unwrap();
    let given = home.run(&["doctor"]);
    assert!(given.code == 5 && given.out.contains("cache.key") && given.out.contains("chmod 600"), "{given:?}");
}

#[test]
fn a_file_system_that_is_mounted_read_only() {
    let home = Home::with_food_assistance();
    let place = home.data.display().to_string();
    let Some(_mounted) = Mounted::mount(&["--bind", &place], &home.data) else {
        return skip("mounting takes root");
    };
    let remounted = Command::new("mount").args(["-o", "remount,bind,ro"]).arg(&home.data).status();
    assert!(remounted.unwrap().success());
    let before = files(&home.data);
    for command in [&["log", "head"][..], &APPLY, &["doctor"]] {
        check_failure(command, &home.run(command), 6, &["ead-only", "mount it for writing, or use `log verify`"]);
    }
    // What only reads works.
    home.ok(&["log", "verify"]);
    home.ok(&["audit"]);
    assert!(files(&home.data) == before);
}

#[test]
fn a_symbolic_link_where_a_file_should_be() {
    let home = Home::with_food_assistance();
    let head = home.head();
    for name in ["format", "log.vkey", "journal/00000000.seg", "journal/closed", "public/checkpoint", "lock"] {
        let (path, aside) = (home.data.join(name), home.dir.path().join("aside"));
        std::fs::rename(&path, &aside).unwrap();
        symlink(&aside, &path).unwrap();
        let before = files(&home.data);
        let says = [name, "it is a symbolic link, expected a file", "put the file itself there"];
        check_failure(&["log", "head"], &home.run(&["log", "head"]), 2, &says);
        assert!(files(&home.data) == before, "{name}");
        std::fs::remove_file(&path).unwrap();
        std::fs::rename(&aside, &path).unwrap();
    }
    assert_eq!(home.head(), head);
    home.ok(&["log", "verify"]);
}

#[test]
fn a_file_system_without_inodes_left() {
    let mut home = Home::empty();
    let (image, at) = (home.dir.path().join("disk.img"), home.dir.path().join("disk"));
    std::fs::File::create(&image).unwrap().set_len(160 << 20).unwrap();
    std::fs::create_dir(&at).unwrap();
    let made = Command::new("mkfs.ext4").args(["-q", "-F", "-N", "64"]).arg(&image).status();
    let mounted = made
        .is_ok_and(|status| status.success())
        .then(|| Mounted::mount(&["-o", "loop", image.to_str().unwrap()], &at));
    let Some(_mounted) = mounted.flatten() else {
        return skip("it takes root, mkfs.ext4 and loop devices");
    };
    home.data = at.join("town");
    home.set_up();
    let before = home.head();
    let mut fillers = Vec::new();
    while let filler = at.join(format!("filler-{}", fillers.len()))
        && std::fs::File::create(&filler).is_ok()
    {
        fillers.push(filler);
    }
    // A new blob takes an inode. That of the log has its file: the call may be recorded, and then it is answered.
    let deploy = ["deploy", &module("minimal"), "--name", "minimal", "--as", "officer"];
    check_failure(
        &deploy,
        &home.run(&deploy),
        6,
        &["the disk is full", "inodes: `df -i`", "the same request id: --request "],
    );
    let call = home.run(&APPLY);
    assert!(call.code == 0 || call.code == 6, "{call:?}");
    fillers.iter().for_each(|filler| std::fs::remove_file(filler).unwrap());
    let recorded = if call.code == 0 { 2 } else { 0 };
    assert_eq!(home.head().0.as_u64(), before.0.as_u64().map(|entries| entries + recorded));
    home.ok(&["log", "verify"]);
    home.ok(&deploy);
    home.ok(&["doctor"]);
}

#[test]
fn the_doctor_on_the_command_line() {
    let home = Home::with_food_assistance();
    home.ok(&APPLY);
    assert!(home.ok(&["doctor"]).contains("sound: "));
    let tile = files(&home.data.join("public/tile")).pop().unwrap().0;
    let whole = std::fs::read(&tile).unwrap();
    std::fs::write(&tile, b"rot").unwrap();
    let given = home.run(&["doctor"]);
    check_failure(&["doctor"], &given, 5, &["chancery doctor --repair"]);
    assert!(given.out.contains(tile.to_str().unwrap()) && std::fs::read(&tile).unwrap() == b"rot", "{given:?}");
    let repaired = home.ok(&["doctor", "--repair"]);
    assert!(repaired.contains("made again: ") && std::fs::read(&tile).unwrap() == whole, "{repaired}");
    assert_eq!(home.json(&["doctor"])["sound"], true);
    // Code in the cache is of no use without its key: one repair is enough.
    std::fs::remove_file(home.data.join("cache.key")).unwrap();
    assert!(!files(&home.data.join("cache")).is_empty());
    home.ok(&["doctor", "--repair"]);
    home.ok(&["doctor"]);

    let blob = files(&home.data.join("blobs")).pop().unwrap().0;
    std::fs::write(&blob, b"another").unwrap();
    let given = home.run(&["doctor", "--repair"]);
    check_failure(&["doctor", "--repair"], &given, 5, &["restore those files from a copy"]);
    assert!(given.out.contains(blob.to_str().unwrap()), "{given:?}");
    let lock = std::fs::OpenOptions::new().write(true).open(home.data.join("lock")).unwrap();
    lock.try_lock().unwrap();
    check_failure(&["doctor"], &home.run(&["doctor"]), 6, &["is in use by another process"]);
    check_failure(&["doctor"], &Home::empty().run(&["doctor"]), 4, &["holds no ledger"]);
}

#[test]
fn the_mirror_on_the_command_line() {
    let home = Home::with_food_assistance();
    home.ok(&["log", "export", "export"]);
    let first = home.run(&["log", "mirror", "export", "mirror"]);
    assert!(
        first.code == 0 && first.out.contains("mirrored: ") && first.err.contains("policy beside the source"),
        "{first:?}"
    );
    home.ok(&APPLY);
    home.ok(&["log", "export", "export"]);
    let second = home.json(&["log", "mirror", "export", "mirror"]);
    assert_eq!(second["entries"].as_u64(), second["before"].as_u64().map(|before| before + 2));
    home.ok(&["log", "verify", "mirror"]);
    home.ok(&["audit", "mirror"]);
}
