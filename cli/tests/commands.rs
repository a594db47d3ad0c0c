//! Each command as its user runs it.

mod support;

use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use support::{CHANCERY, Home, check_failure, checkout, module};

#[test]
fn keys_are_files_of_their_owner_alone() {
    let home = Home::empty();
    let made = home.json(&["key", "new", "officer"]);
    assert!(made["did"].as_str().unwrap().starts_with("did:key:z6Mk"), "{made}");
    assert_eq!(home.json(&["key", "show", "officer"]), made);
    let path = home.dir.path().join(".config/chancery/keys/officer.key");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    let again = home.run(&["key", "new", "officer"]);
    check_failure(&["key new"], &again, 2, &["exists already", "choose another name"]);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    check_failure(&["key show"], &home.run(&["key", "show", "officer"]), 2, &["can be read by others", "chmod 600"]);
}

#[test]
fn a_key_with_a_passphrase_signs_with_it() {
    let home = Home::with_food_assistance();
    let with = |arguments: &[&str], passphrase: &str| -> support::Given {
        home.command(arguments).env("CHANCERY_PASSPHRASE", passphrase).output().unwrap().into()
    };
    assert_eq!(with(&["key", "new", "clerk", "--passphrase"], "long enough").code, 0);
    let file = std::fs::read_to_string(home.dir.path().join(".config/chancery/keys/clerk.key")).unwrap();
    assert!(file.contains("argon2id") && file.contains("xchacha20poly1305"), "{file}");
    let apply = ["call", "food-assistance", "apply", "--as", "clerk", "--case-id", "A", "--month", "2024-05"];
    let apply: Vec<&str> = apply.into_iter().chain(["--household-size", "1"]).collect();
    assert_eq!(with(&apply, "long enough").code, 0);
    // The public half needs no passphrase.
    assert_eq!(home.json(&["key", "show", "clerk"])["passphrase"], true);
    assert!(home.ok(&["key", "list"]).contains("clerk"));
}

#[test]
fn a_new_passphrase_is_asked_for_twice_and_never_empty() {
    let home = Home::empty();
    let new = ["key", "new", "clerk", "--passphrase"];
    let empty = home.command(&new).env("CHANCERY_PASSPHRASE", "").output().unwrap().into();
    check_failure(&new, &empty, 2, &["in CHANCERY_PASSPHRASE is empty", "No key was made"]);
    for (typed, says) in [("one\ntwo\n", "the two passphrases differ: try again"), ("\n", "the passphrase is empty")] {
        let Some(given) = home.on_a_terminal("key new clerk --passphrase", typed) else {
            return chancery_tests::skip("in part: there is no `script` to make a terminal");
        };
        assert!(given.code == 2 && given.out.contains(says), "{given:?}");
    }
    assert_eq!(home.json(&["key", "list"]), json!([]));
    let made = home.on_a_terminal("key new clerk --passphrase", "one\none\n").unwrap();
    assert!(made.code == 0 && made.out.contains("the same again: "), "{made:?}");
    assert_eq!(home.json(&["key", "show", "clerk"])["passphrase"], true);
}

#[test]
fn a_key_file_that_cannot_be_used_does_not_hide_the_others() {
    let home = Home::empty();
    home.ok(&["key", "new", "officer"]);
    home.file(".config/chancery/keys/torn.key", "{}");
    home.file(".config/chancery/keys/not a name\x1b.key", "{}");
    let given = home.run(&["key", "list"]);
    assert!(given.code == 0 && given.out.contains("did:key:z6Mk"), "{given:?}");
    assert!(
        given.out.contains(" torn ") && given.err.contains("warning: ") && given.err.contains("torn.key"),
        "{given:?}"
    );
    assert!(given.out.contains(r"not a name\u001b ") && !given.err.contains('\x1b'), "{given:?}");
    let listed = home.json(&["key", "list"]);
    let problems = listed.as_array().unwrap().iter().filter(|key| key["problem"].is_string()).count();
    assert_eq!((problems, &listed[1]["name"]), (2, &"officer".into()), "{listed}");
    // Who is asked to name a key is told what there is.
    check_failure(&["key", "show"], &home.run(&["key", "show", "nobody"]), 4, &["there are: ", "officer"]);
}

#[test]
fn reading_needs_no_passphrase_of_the_log_key() {
    let home = Home::empty();
    let sealed = |arguments: &[&str]| -> support::Given {
        home.command(arguments).env("CHANCERY_PASSPHRASE", "of the log").output().unwrap().into()
    };
    assert_eq!(sealed(&["init", "--origin", "ledger.example/town", "--passphrase"]).code, 0);
    home.ok(&["key", "new", "officer"]);
    let deployed = sealed(&["deploy", &module("minimal"), "--name", "notes", "--as", "officer"]);
    assert!(deployed.code == 0 && deployed.out.contains("request "), "{deployed:?}");
    let write = ["call", "notes", "write", "--as", "officer", "--text", "x"];
    let dry = [&write[..], &["--dry-run"]].concat();
    for reads in [
        &["log", "head"][..],
        &["log", "list"],
        &["log", "show", "2"],
        &["log", "policy"],
        &["query", "notes", "read"],
        &["query", "notes", "--help"],
        &["call", "notes", "write", "--help"],
        &dry,
        &["state", "list", "notes"],
        &["inspect", "notes"],
        &["profile", "notes", "write", "--text", "x"],
    ] {
        home.ok(reads);
    }
    // What is recorded is signed for.
    check_failure(&write, &home.run(&write), 2, &["the passphrase of `log-ledger.example_town` is needed"]);
    assert_eq!(sealed(&write).code, 0);
    assert!(home.ok(&["log", "head"]).contains("\n6\n"), "the checkpoint covers the call");
}

#[test]
fn a_call_says_its_request_and_a_refusal_what_it_looked_at() {
    let home = Home::with_food_assistance();
    let apply = ["call", "food-assistance", "apply", "--as", "officer", "--case-id", "A", "--month", "2024-05"];
    let apply = [&apply[..], &["--household-size", "2"]].concat();
    let done = home.ok(&apply);
    let request = done.lines().find_map(|line| line.strip_prefix("request: ")).expect("it says its request");
    assert_eq!(home.json(&["log", "show", "4"])["request"], request);
    let refused = home.run(&apply);
    let says = "not met: the case was not filed before (7 CFR 273.2(c))";
    assert!(refused.out.contains(&format!("\n{says}\n  from case_id A\n")), "{refused:?}");
    check_failure(&apply, &refused, 3, &[&format!("refused: {says}, from case_id A")]);
    let unknown = home.run(&["query", "food-assistance", "status", "--case-id", "B"]);
    check_failure(&["query"], &unknown, 3, &["refused: No case has this id. (7 CFR 273.2(c))"]);
}

#[test]
fn a_table_on_a_terminal_without_a_width_is_legible() {
    let home = Home::with_notes();
    match home.on_a_terminal("log list", "") {
        Some(given) => assert!(given.out.contains("genesis") && given.out.contains("outcome"), "{given:?}"),
        None => chancery_tests::skip("there is no `script` to make a terminal"),
    }
}

#[test]
fn fields_come_as_flags_as_json_and_from_a_file() {
    let home = Home::with_food_assistance();
    let apply = |rest: &[&str]| {
        let all: Vec<&str> =
            ["call", "food-assistance", "apply", "--as", "officer"].into_iter().chain(rest.iter().copied()).collect();
        home.json(&all)
    };
    assert_eq!(apply(&["--case-id=A", "--month", "2024-05", "--household-size", "2"])["outcome"], "done");
    assert_eq!(apply(&["--json", r#"{"case_id": "B", "month": "2024-05", "household_size": 2}"#])["outcome"], "done");
    let file = format!("@{}", home.file("c.json", r#"{"case_id": "C", "month": "2024-05", "household_size": 2}"#));
    assert_eq!(apply(&["--json", &file])["outcome"], "done");
    // Together: the file and a flag.
    let part = format!("@{}", home.file("d.json", r#"{"month": "2024-05", "household_size": 2}"#));
    assert_eq!(apply(&["--json", &part, "--case-id", "D"])["outcome"], "done");
    let listed = home.json(&["state", "list", "food-assistance", "applications"]);
    let keys: Vec<&str> = listed.as_array().unwrap().iter().map(|row| row["key"][0].as_str().unwrap()).collect();
    assert_eq!(keys, ["A", "B", "C", "D"]);
    // That there is more is said where there is.
    for (limit, more) in [("3", true), ("4", false)] {
        let listed = home.ok(&["state", "list", "food-assistance", "applications", "--limit", limit]);
        assert_eq!(listed.contains("--limit shows more"), more, "{listed}");
    }
}

#[test]
fn a_dry_run_shows_everything_and_records_nothing() {
    let home = Home::with_food_assistance();
    let before = home.head();
    let dry = ["call", "food-assistance", "apply", "--as", "officer", "--case-id", "A", "--month", "2024-05"];
    let dry: Vec<&str> = dry.into_iter().chain(["--household-size", "2", "--dry-run"]).collect();
    let shown = home.json(&dry);
    assert_eq!((&shown["outcome"], &shown["events"][0]["Filed"]["case_id"]), (&"done".into(), &"A".into()));
    assert_eq!(shown["writes"][0]["value"]["household_size"], 2);
    assert_eq!(shown["trace"][0]["citation"], "7 CFR 273.2(c)");
    assert!(shown["gas"].as_u64().unwrap() > 0);
    let text = home.ok(&dry);
    for part in ["nothing was recorded", "events:", "writes:", "reasoning:", "gas:"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(home.head(), before);
}

#[test]
fn a_dry_run_signs_nothing_and_needs_no_passphrase() {
    let home = Home::with_notes();
    let new = home.command(&["key", "new", "sealed", "--passphrase"]).env("CHANCERY_PASSPHRASE", "of its own").output();
    assert!(new.unwrap().status.success());
    let write = ["call", "notes", "write", "--as", "sealed", "--text", "x"];
    assert!(home.ok(&[&write[..], &["--dry-run"]].concat()).contains("nothing was recorded"));
    let rows = home.file("rows.csv", "text\ny\n");
    let batch = ["batch", "notes", "write", &rows, "--as", "sealed"];
    assert!(home.ok(&[&batch[..], &["--dry-run"]].concat()).contains("1 fits"));
    for signs in [&write[..], &batch] {
        home.fails(signs, 2, &["the passphrase of `sealed` is needed"]);
    }
    // Who it is is asked all the same.
    home.fails(&["call", "notes", "write", "--text", "x", "--dry-run"], 2, &["say who acts with --as KEY"]);
    home.fails(&["call", "notes", "write", "--as", "x", "--text", "x", "--dry-run"], 4, &["there is no key `x`"]);
}

#[test]
fn a_flag_that_would_do_nothing_is_refused() {
    let home = Home::with_notes();
    home.note("a1", "x");
    home.ok(&["receipt", "get", "a1", "-o", "receipt"]);
    home.ok(&["log", "export", "export"]);
    let rows = home.file("rows.csv", "text\ny\n");
    let write = ["call", "notes", "write", "--as", "clerk", "--text", "x"];
    let with = |flags: &[&'static str]| [&write[..], flags].concat();
    let both = ["cannot be used with"];
    home.fails(&with(&["--valid-for", "5", "--valid-until", "2030-01-01T00:00:00Z"]), 2, &both);
    home.fails(&with(&["--dry-run", "--wait", "witnessed"]), 2, &both);
    let batch = ["batch", "notes", "write", &rows, "--as", "clerk", "--dry-run", "--wait", "witnessed"];
    home.fails(&batch, 2, &both);
    let verify = ["receipt", "verify", "receipt", "--policy", "export/policy"];
    home.ok(&verify);
    let export = [&verify[..], &["--export", "nowhere"]].concat();
    home.fails(&export, 2, &["receipt is no inclusion proof", "leave --export out"]);
    let values = ["invalid value 'logged'", "published, witnessed"];
    home.fails(&["receipt", "get", "a1", "--wait", "logged"], 2, &values);
    home.fails(&["state", "prove", "notes", "note", "--wait", "logged"], 2, &values);
    home.fails(&["log", "list", "--limit", "0"], 2, &["invalid value '0'", "0 is not in 1.."]);
}

#[test]
fn the_public_half_of_a_key_is_that_of_its_secret() {
    let home = Home::empty();
    let other = home.json(&["key", "new", "other"])["did"].as_str().unwrap().to_string();
    let did = home.json(&["key", "new", "w1"])["did"].as_str().unwrap().to_string();
    let path = home.dir.path().join(".config/chancery/keys/w1.key");
    let file = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, file.replace(&did, &other)).unwrap();
    for command in [&["key", "show", "w1"][..], &["witness", "key", "--key", "w1"]] {
        let says = ["w1.key is not a key file of this program, or is damaged"];
        check_failure(command, &home.run(command), 2, &says);
    }
    assert!(home.ok(&["key", "list"]).contains("cannot be used"));
    // Nor is a log key that is damaged taken for one that is elsewhere.
    home.ok(&["init", "--origin", "ledger.example/town"]);
    let path = home.dir.path().join(".config/chancery/keys/log-ledger.example_town.key");
    std::fs::write(&path, "{}").unwrap();
    check_failure(&["log checkpoint"], &home.run(&["log", "checkpoint"]), 2, &["is not a key file of version 1"]);
}

#[test]
fn only_a_users_commands_are_named() {
    let home = Home::empty();
    for line in [&[][..], &["--output", "text"], &["compil"], &["help"]] {
        let given = home.run(line);
        let text = format!("{}{}", given.out, given.err);
        assert!(!text.contains("compile") && text.contains("chancery"), "{line:?}: {text}");
    }
}

#[test]
fn help_of_methods_comes_from_the_interface() {
    let home = Home::with_food_assistance();
    let help = home.ok(&["call", "food-assistance", "determine", "--help"]);
    for part in
        ["--shelter-cap-applies", "Persons in the household.", "7 CFR 273.10(e)", "[optional]", "an amount in USD"]
    {
        assert!(help.contains(part), "{part} in {help}");
    }
    let methods = home.ok(&["call", "food-assistance", "--help"]);
    assert!(methods.contains("determine") && methods.contains("Files an application."), "{methods}");
    assert!(home.ok(&["query", "food-assistance", "--help"]).contains("status"));
    assert!(home.ok(&["query", "food-assistance", "status", "--help"]).contains("--case-id"));
    assert!(home.ok(&["deploy", &module("food-assistance"), "--help"]).contains("Fields:"));
    for command in ["call", "query", "deploy"] {
        assert!(home.ok(&[command, "--help"]).contains(&format!("chancery {command} ")));
    }
}

#[test]
fn queries_states_and_entries_are_shown_by_the_interface() {
    let home = Home::with_food_assistance();
    let apply = ["call", "food-assistance", "apply", "--as", "officer", "--case-id", "A", "--month", "2024-05"];
    let applied: Vec<&str> = apply.into_iter().chain(["--household-size", "2"]).collect();
    let entry = home.json(&applied)["entry"].to_string();
    let status = home.json(&["query", "food-assistance", "status", "--case-id", "A"]);
    assert_eq!(status["result"]["Filed"]["application"]["month"], "2024-05");
    let unknown = home.run(&["query", "food-assistance", "status", "--case-id", "B"]);
    check_failure(&["query"], &unknown, 3, &["refused"]);
    assert!(unknown.out.contains("UnknownCase") && unknown.out.contains("7 CFR 273.2(c)"), "{}", unknown.out);
    assert_eq!(home.json(&["state", "get", "food-assistance", "applications", "A"])["household_size"], 2);
    let nothing = ["state", "get", "food-assistance", "applications", "B"];
    check_failure(&nothing, &home.run(&nothing), 4, &["`applications` has no value at B", "chancery state list"]);
    let parts = ["state", "get", "food-assistance", "applications"];
    check_failure(&parts, &home.run(&parts), 2, &["the key of `applications` has these parts: text; found 0"]);
    let item = ["state", "get", "food-assistance", "permits"];
    check_failure(&item, &home.run(&item), 4, &["stores nothing named `permits`", "applications, cases"]);

    let shown = home.json(&["log", "show", &entry]);
    assert_eq!((&shown["method"], &shown["arguments"]["case_id"]), (&"apply".into(), &"A".into()));
    assert!(home.ok(&["log", "show", &entry]).contains("the household has 1 to 99 persons (7 CFR 273.1): met"));
    assert!(home.ok(&["log", "show", "2"]).contains("register of contracts"));
    assert!(home.ok(&["log", "list"]).contains("genesis"));
    let past = ["log", "show", "999"];
    check_failure(&past, &home.run(&past), 4, &["there is no entry 999: the log has 6"]);
    assert!(home.ok(&["log", "head"]).contains("— ledger.example/town "), "the checkpoint is signed");
    assert_eq!(home.json(&["log", "verify"])["entries"], 6);
}

#[test]
fn check_and_inspect_need_no_ledger() {
    let home = Home::empty();
    let checks = home.json(&["check", &module("minimal")]);
    assert!(checks.as_array().unwrap().iter().all(|check| check["ok"] == true && !check["allowed"].is_null()));
    assert!(home.ok(&["check", &module("minimal")]).contains("operands of a function"));
    let interface = home.json(&["inspect", &module("building-permit")]);
    let names: Vec<&str> =
        interface["methods"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"submit") && interface["legal_basis"].as_str().unwrap().contains("Building Code"));
    assert_eq!(interface["memory"], json!({"pages_max": 16, "declared": true, "access_gas": 40}));
    let text = home.ok(&["inspect", &module("building-permit")]);
    let types = interface["types"].as_array().unwrap();
    assert!(types.iter().any(|ty| ty["variants"].is_array()) && types.iter().any(|ty| ty["fields"].is_array()));
    for part in ["\ntypes\n", "IBC 2021, 104.4", "memory: at most 16 pages (1 MiB); an access costs 40 gas"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn shells_complete_the_commands() {
    let home = Home::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.ok(&["completion", shell]);
        assert!(script.contains("batch") && script.contains("report"), "{shell}: {script}");
        assert!(!script.contains("used by the program itself"), "{shell}: what is hidden is not offered");
    }
}

/// Runs cargo in a project outside of the checkout, with what is built already and without a network.
fn cargo(project: &Path, arguments: &[&str]) -> Command {
    // The program lies in TARGET/PROFILE.
    let target = Path::new(CHANCERY).ancestors().nth(2).unwrap();
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(project).env("CARGO_TARGET_DIR", target).env_remove("CHANCERY_NATIVE_ONLY");
    command
}

#[test]
fn a_new_project_has_a_test_that_passes_and_builds() {
    let home = Home::empty();
    let made = home.ok(&["new", "dog-licence"]);
    assert!(made.contains("cd dog-licence; chancery build; cargo test"), "{made}");
    let project = home.dir.path().join("dog-licence");
    let again = ["new", "dog-licence"];
    check_failure(&again, &home.run(&again), 2, &["dog-licence exists already", "another name"]);
    check_failure(&["new"], &home.run(&["new", "Dog"]), 2, &["`Dog` cannot name a contract", "lower-case"]);
    for taken in ["fn", "type", "self", "core", "chancery-sdk"] {
        let says = format!("`{taken}` cannot name a contract's project: expected a name that is free in Rust");
        check_failure(&["new"], &home.run(&["new", taken]), 2, &[&says, &format!("`{taken}-contract`")]);
    }
    let toolchain = |of: &Path| std::fs::read_to_string(of.join("rust-toolchain.toml")).unwrap();
    assert_eq!(toolchain(&project), toolchain(&checkout("")));
    let sdk = ["new", "other", "--sdk", "nowhere"];
    check_failure(&sdk, &home.run(&sdk), 4, &["the SDK is not at nowhere", "--sdk"]);
    assert!(!home.dir.path().join("other").exists());

    let test = || cargo(&project, &["test", "--release", "--offline", "--quiet"]);
    let tested: support::Given = test().output().unwrap().into();
    assert_ne!(tested.code, 0, "a test without a module is not green");
    assert!(tested.out.contains("no dist/dog-licence.wasm was found"), "{}", tested.out);
    let tested: support::Given = test().env("CHANCERY_NATIVE_ONLY", "1").output().unwrap().into();
    assert_eq!(tested.code, 0, "{}{}", tested.out, tested.err);
    assert!(tested.out.contains("1 passed"), "{}", tested.out);

    let target = Path::new(CHANCERY).ancestors().nth(2).unwrap();
    let build = home.command(&["build", "dog-licence", "--output", "json"]).env("CARGO_TARGET_DIR", target).output();
    let built: support::Given = build.unwrap().into();
    if built.code == 6 {
        return chancery_tests::skip(&format!("in part: {}", built.err.trim()));
    }
    assert_eq!(built.code, 0, "{built:?}");
    let built: serde_json::Value = serde_json::from_str(&built.out).unwrap();
    assert_eq!(built["admitted"], true, "{built}");
    assert!(built["bytes"].as_u64().unwrap() < 20_000, "the smallest contract is under 20 kB: {built}");
    let wasm = project.join("dist/dog-licence.wasm").display().to_string();
    assert!(home.ok(&["inspect", &wasm]).contains("call decide (§ 2)"));
    home.ok(&["check", &wasm]);
    // The same test, now against the module too.
    let tested: support::Given = test().output().unwrap().into();
    assert_eq!(tested.code, 0, "{}{}", tested.out, tested.err);
    // A source that changed makes the module old, also where the interface is the same; written again as it was, with a new time, it does not.
    let source = project.join("src/lib.rs");
    let whole = std::fs::read_to_string(&source).unwrap();
    std::fs::write(&source, whole.replace("let today = ctx.date();", "let today = ctx.time().date();")).unwrap();
    let tested: support::Given = test().output().unwrap().into();
    assert_ne!(tested.code, 0, "a test on an old module is not green");
    let says = "dist/dog-licence.wasm was built before src/lib.rs changed: run `chancery build`";
    assert!(tested.out.contains(says), "{}", tested.out);
    std::fs::write(&source, &whole).unwrap();
    let tested: support::Given = test().output().unwrap().into();
    assert_eq!(tested.code, 0, "{}{}", tested.out, tested.err);
    home.ok(&["init", "--origin", "dogs.example"]);
    home.ok(&["key", "new", "officer"]);
    home.ok(&["deploy", &wasm, "--name", "dogs", "--as", "officer"]);
    home.ok(&["call", "dogs", "decide", "--case-id", "1", "--as", "officer"]);

    // What is not admitted does not take the place of what was, and its function is called by its name.
    let admitted = std::fs::read(&wasm).unwrap();
    let build = |decided: &str| -> support::Given {
        std::fs::write(&source, whole.replace("let today = ctx.date();", decided)).unwrap();
        home.command(&["build", "dog-licence"]).env("CARGO_TARGET_DIR", target).output().unwrap().into()
    };
    let float = build("let today = ctx.date(); assert!((case_id.len() as f64 * 1.19) as u32 != 7);");
    let says = [
        "floating-point instruction disallowed",
        "`Amount` and `Ratio`",
        "dog_licence::dog_licence::",
        "left as it was",
    ];
    check_failure(&["build"], &float, 2, &says);
    assert!(!float.err.contains("chancery build"), "{float:?}");
    assert_eq!(std::fs::read(&wasm).unwrap(), admitted);
    // A panic has no text in a module; a profile says where it was.
    assert_eq!(build("let today = ctx.date(); case_id.parse::<u8>().ok().unwrap();").code, 0);
    home.ok(&["deploy", &wasm, "--name", "panics", "--as", "officer"]);
    let panics = home.run(&["call", "panics", "decide", "--case-id", "x", "--as", "officer", "--dry-run"]);
    check_failure(&["call"], &panics, 3, &["stopped itself", "`chancery profile` with the same arguments"]);
    let names = project.join("dist/dog-licence.names").display().to_string();
    let profile = ["profile", "panics", "decide", "--case-id", "x", "--as", "officer", "--names", &names];
    let profile = home.run(&profile);
    let place = "core::option::unwrap_failed, called by dog_licence::dog_licence::decide, called by call\n";
    assert!(profile.out.contains("\nstopped in: ") && profile.out.contains(place), "{profile:?}");
    // A query shows which limit stopped it.
    assert_eq!(build("let today = ctx.date();").code, 0);
    home.ok(&["deploy", &wasm, "--name", "long", "--as", "officer"]);
    let long = "x".repeat(600);
    let query = ["query", "long", "decided", "--case-id", &long];
    let given = home.run(&query);
    check_failure(&query, &given, 3, &["log: bytes of a key: allowed at most 512, found ", "says which limit"]);
    let value = home.run(&[&query[..], &["--output", "json"]].concat());
    assert!(value.out.contains("\"log\": [") && !value.err.contains("log: "), "{value:?}");
    assert!(checkout("sdk").is_dir());
}

/// What an author sees who writes what no contract can have: the place, what was expected, and what to do.
#[test]
fn what_a_contract_cannot_have_does_not_compile_and_says_what_can() {
    let home = Home::empty();
    home.ok(&["new", "cat-licence"]);
    let project = home.dir.path().join("cat-licence");
    let source = project.join("src/lib.rs");
    let whole = std::fs::read_to_string(&source).unwrap();
    let officer = r#"const OFFICER: Item<PublicKey> = Item::new("officer");"#;
    let seen = |what: &str| format!("{officer}\n/// More.\n#[storage]\nconst MORE: {what}::new(\"more\");");
    let cases: Vec<(&str, String, &[&str])> = vec![
        (
            "ctx.emit(Event::Decided { case_id });",
            "ctx.emit(Error::AlreadyDecided);".into(),
            &["`cat_licence::Error` is no event", "`#[event]` enum", "ensure!(ctx, condition, error)"],
        ),
        (officer, seen("Item<Vec<()>> = Item"), &["a list of values without bytes", "a number can say how many"]),
        (officer, seen("Item<Option<Option<u8>>> = Item"), &["`Option<Option<T>>`", "`#[derive(Schema)]` can name"]),
        (officer, seen("Item<f64> = Item"), &["`f64` is no type that a contract can", "`Ratio` for fractions"]),
        (officer, seen("Map<f64, u8> = Map"), &["`f64` cannot be a map's key", "tuples of two to four"]),
        (
            "-> Result<(), Error>",
            "-> Result<(), String>".into(),
            &["String` is no enum of errors", "the contract's `#[error]` enum"],
        ),
        ("-> Result<(), Error>", "-> Option<()>".into(), &["is no result of a method", "`Result<T, Error>`"]),
    ];
    for (old, new, says) in cases {
        assert!(whole.contains(old), "{old}");
        std::fs::write(&source, whole.replace(old, &new)).unwrap();
        let given: support::Given = cargo(&project, &["check", "--offline", "--quiet"]).output().unwrap().into();
        assert_ne!(given.code, 0, "it compiles: {new}");
        for part in says.iter().chain(&["--> src/lib.rs:"]) {
            assert!(given.err.contains(part), "{part} in {}", given.err);
        }
    }
}

#[test]
fn a_profile_shows_where_the_gas_of_the_same_call_goes_and_records_nothing() {
    let home = Home::with_food_assistance();
    let apply = ["food-assistance", "apply", "--as", "officer", "--case-id", "A", "--month", "2024-05"];
    let apply: Vec<&str> = apply.into_iter().chain(["--household-size", "2"]).collect();
    let with = |before: &[&'static str], after: &[&'static str]| [before, &apply, after].concat();
    let before = home.head();
    let gas = home.json(&with(&["call"], &["--dry-run"]))["gas"].as_u64().unwrap();
    let names = checkout("contracts/dist/food-assistance.names").display().to_string();
    let named = [with(&["profile"], &["--flame", "f.svg", "--folded", "f.txt"]), vec!["--names", &names]].concat();
    let profile = home.json(&named);
    assert_eq!((&profile["outcome"], profile["gas"].as_u64()), (&"done".into(), Some(gas)));
    let lines = profile["profile"].as_array().unwrap();
    assert_eq!(lines.iter().map(|line| line["gas"].as_u64().unwrap()).sum::<u64>(), gas);
    let find =
        |name: &str| lines.iter().find(|line| line["name"] == name).unwrap_or_else(|| panic!("{name} in {profile}"));
    assert_eq!(find("state_set")["kind"], "host");
    let method = find("chancery_contract_food_assistance::food_assistance::apply");
    assert_eq!((&method["kind"], &method["calls"]), (&"function".into(), &1.into()));
    let read = |name: &str| std::fs::read_to_string(home.dir.path().join(name)).unwrap();
    let folded = read("f.txt");
    assert_eq!(folded.lines().map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum::<u64>(), gas);
    assert!(read("f.svg").starts_with("<svg") && read("f.svg").contains("food_assistance::apply"));
    // The same by another copy of the module, its names beside it; the table by time.
    let module = module("food-assistance");
    let text = home.ok(&[with(&["profile"], &["--by", "time"]), vec!["--module", &module]].concat());
    for part in ["nothing was recorded", &format!("gas: {gas}"), "chancery_sdk::", "µs itself", "more, "] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(home.head(), before);
}

#[test]
fn a_modules_file_is_profiled_on_an_empty_state_and_what_does_not_fit_is_said() {
    let home = Home::with_food_assistance();
    let (file, other) = (module("disburse-bench"), module("minimal"));
    let init = home.json(&["profile", &file, "init", "--budget", "5.00"]);
    assert_eq!(init["outcome"], "done");
    let enrol = ["profile", &file, "enrol", "--beneficiary", "7"];
    // Nobody is the officer of a programme that was not set up; the deployer, nobody here, of one that was.
    assert_eq!(home.run(&enrol).code, 3);
    let done = home.json(&[&enrol[..], &["--init", r#"{"budget": "5.00"}"#]].concat());
    assert_eq!(done["outcome"], "done");
    let names = Path::new(&other).with_extension("names").display().to_string();
    for (arguments, code, parts) in [
        (vec!["profile"], 2, vec!["chancery profile CONTRACT"]),
        (vec!["profile", &file, "pay"], 2, vec!["no such method `pay`", "init, enrol, disburse, total"]),
        (vec!["profile", "food-assistance", "init"], 2, vec!["no such method `init`"]),
        (vec!["profile", "nothing", "init"], 4, vec!["no contract is named `nothing`"]),
        (vec!["profile", &file, "init", "--budget", "5.00", "--names", &names], 2, vec!["the names are of module"]),
        (vec!["profile", &file, "enrol", "--module", &other], 2, vec!["name the contract"]),
        (vec!["profile", "food-assistance", "apply", "--init", "{}"], 2, vec!["was done when it was deployed"]),
        (vec!["profile", &file, "enrol", "--beneficiary", "7", "--init", "{}"], 2, vec!["budget"]),
    ] {
        check_failure(&arguments, &home.run(&arguments), code, &parts);
    }
}
