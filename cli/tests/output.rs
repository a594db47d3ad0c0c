//! What programs read: one JSON value whatever happens, and no harm done by a reader that hangs up.

mod support;

use serde_json::Value;
use support::{Given, Home};

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
