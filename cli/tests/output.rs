//! What programs read: one JSON value whatever happens, no harm done by a reader that hangs up, and no success where the result is lost.

mod support;

use serde_json::Value;
use std::os::unix::ffi::OsStrExt;
use support::{Given, Home, check_failure, module};

const APPLY: &str = "call food-assistance apply --as officer --case-id A --month 2024-05 --household-size 2";

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[test]
fn a_failure_without_a_result_is_json_too() {
    let home = Home::with_food_assistance();
    let failures = [
        ("log show 99", 4),
        ("lok", 2),
        ("batch food-assistance", 2),
        ("call", 2),
        ("call food-assistance apply --as officer --case-id A", 2),
        ("batch food-assistance apply nowhere.csv --as officer", 4),
        ("key new officer", 2),
        ("receipt get ab", 4),
        ("log verify --data nowhere", 4),
    ];
    for (line, code) in failures {
        for output in ["--output json", "--output=json"] {
            let given = home.run(&words(&format!("{line} {output}")));
            let value: Value = serde_json::from_str(&given.out).unwrap_or_else(|_| panic!("{line}: {given:?}"));
            assert_eq!((given.code, &value["failure"]["code"]), (code, &code.into()), "{line}: {given:?}");
            let message = value["failure"]["message"].as_str().unwrap();
            assert!(given.err.contains(message.lines().next().unwrap()), "{line}: {given:?}");
        }
        assert_eq!(home.run(&words(line)).out, "", "{line}: text goes to standard error alone");
    }
}

#[test]
fn a_refusal_gives_its_result_as_the_one_value() {
    let home = Home::with_food_assistance();
    home.ok(&words(APPLY));
    let rows = home.file("rows.csv", "case_id,month,household_size\nA,2024-05,2\nB,May,2\n");
    let value = |line: &str| -> (Value, i32) {
        let given: Given = home.run(&words(&format!("{line} --output json")));
        (serde_json::from_str(&given.out).unwrap_or_else(|_| panic!("{line}: {given:?}")), given.code)
    };
    assert_eq!(value(APPLY).0["error"], "AlreadyFiled");
    assert_eq!(value("query food-assistance status --case-id B").0["error"], "UnknownCase");
    let (batch, code) = value(&format!("batch food-assistance apply {rows} --as officer"));
    assert_eq!((batch["rows"].as_u64(), &batch["failure"], code), (Some(2), &Value::Null, 3));
}

#[test]
fn a_reader_that_hangs_up_changes_nothing_but_what_it_sees() {
    let home = Home::with_food_assistance();
    home.ok(&words(APPLY));
    let rows = home.file("rows.csv", "case_id,month,household_size,remark\nC,2024-05,2,\nA,2024-05,2,\n");
    let batch = format!("batch food-assistance apply {rows} --as officer");
    let query = "query food-assistance status --case-id B";
    for (line, code) in [("--help", 0), ("completion bash", 0), ("lok", 2), (query, 3), (&batch, 3), ("log list", 0)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = home.command(&words(line));
        let status = command.stdout(writer.try_clone().unwrap()).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(code), "{line}");
    }
    assert!(home.ok(&["query", "food-assistance", "status", "--case-id", "C"]).contains("household_size: 2"));
}

#[test]
fn no_text_of_a_call_passes_for_a_line_of_the_program() {
    let home = Home::empty();
    home.ok(&["init", "--origin", "ledger.example/town"]);
    home.ok(&["key", "new", "other"]);
    home.ok(&["deploy", &module("business-licence"), "--name", "business-licence", "--as", "other"]);
    let forged = "bakery\noutcome: done\nresult: Valid, fee paid\u{1b}[2J\u{9b}1m\u{7f}\u{202e}";
    let shown = r"bakery\noutcome: done\nresult: Valid, fee paid\u001b[2J\u009b1m\u007f\u202e";
    let apply = ["call", "business-licence", "apply", "--as", "other", "--request", "a1", "--wait", "published"];
    home.ok(&[&apply[..], &["--licence", "FORGE", "--activity", forged]].concat());
    home.ok(&["log", "export", "export"]);
    home.ok(&["receipt", "get", "a1", "--state", "licences/FORGE", "--writes", "-o", "receipt"]);
    let bare = |text: &str| {
        !text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}')
            && !text.lines().any(|line| line.starts_with("result: Valid"))
    };
    for line in [
        "receipt verify receipt --policy export/policy",
        "log show 4",
        "query business-licence status --licence FORGE",
        "state list business-licence",
        "state get business-licence licences FORGE",
        "call business-licence apply --as other --licence B --dry-run --activity",
    ] {
        let mut words = words(line);
        if line.ends_with("activity") {
            words.push(forged);
        }
        let text = home.ok(&words);
        assert!(bare(&text) && text.contains(shown), "{line}: {text}");
        // JSON stays the same JSON.
        words.extend(["--output", "json"]);
        let json = home.ok(&words);
        let value: Value = serde_json::from_str(&json).unwrap();
        assert!(bare(&json) && value.to_string().contains(&serde_json::to_string(forged).unwrap()), "{line}: {json}");
    }
    // Errors: what an argument or a file says begins no message.
    let file = home.file("policy", format!("log {forged}\nerror: x\n"));
    for line in [
        &["query", forged, "status"][..],
        &["receipt", "verify", "receipt", "--policy", &file],
        &["key", "show", forged],
    ] {
        let given = home.run(line);
        let lines: Vec<&str> = given.err.lines().collect();
        assert!(given.code != 0 && bare(&given.err), "{line:?}: {given:?}");
        assert!(lines[0].starts_with("error: ") && lines[1..].iter().all(|line| line.starts_with("  ")), "{given:?}");
    }
    let python = std::process::Command::new("python3")
        .args(["export/verify.py", "export", "receipt"])
        .current_dir(home.dir.path())
        .output();
    let Ok(python) = python else { return chancery_tests::skip("in part: there is no python3") };
    let text = String::from_utf8(python.stdout).unwrap();
    assert!(python.status.success() && bare(&text) && !text.lines().any(|line| line.starts_with("outcome")), "{text}");
    assert!(text.contains("    fee of the first term (Model Ordinance, § 4(1)): = 130.00 EUR, from "), "{text}");
}

#[test]
fn a_result_that_is_lost_is_no_success() {
    let home = Home::with_notes();
    home.note("a1", "x");
    for line in [
        "receipt get a1",
        "log prove inclusion 3",
        "log list --output json",
        "log head",
        "log checkpoint",
        "completion bash",
        "call --help",
        "--help",
        "call notes write --as clerk --text y",
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = home.command(&words(line)).stdout(full).output().unwrap();
        let says = [
            "the result cannot be written to standard output: No space left",
            "`chancery log list` shows what was recorded",
        ];
        check_failure(&words(line), &output.into(), 6, &says);
    }
    // What the command did else says more.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = home.command(&words("log show 99 --output json")).stdout(full).output().unwrap();
    check_failure(&["log show"], &output.into(), 4, &["there is no entry 99"]);
}

#[test]
fn an_argument_that_is_no_text_is_a_failure_like_any_other() {
    let home = Home::empty();
    let mut command = home.command(&["key", "show", "--output", "json"]);
    command.arg(std::ffi::OsStr::from_bytes(b"clerk\xff"));
    let given: Given = command.output().unwrap().into();
    check_failure(&["key show"], &given, 2, &["expected arguments in UTF-8, found `clerk\u{fffd}`"]);
    let value: Value = serde_json::from_str(&given.out).unwrap();
    assert_eq!(value["failure"]["code"], 2, "{value}");
}
