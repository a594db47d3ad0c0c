//! `batch` over the real quality-control file of fiscal year 2024 through the built module, as its user would run it:
//! every stage of every case must be exact. The file is not part of the project; without it the test says so.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the file is: `CHANCERY_SNAP_CASES`, or beside the checkout.
fn cases() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/snap-qc-fy2024/cases.csv");
    let path = std::env::var_os("CHANCERY_SNAP_CASES").map_or_else(beside, PathBuf::from);
    path.is_file().then_some(path)
}

/// Rows by case id, each a map from column to cell.
fn rows(path: &Path) -> Vec<HashMap<String, String>> {
    csv::Reader::from_path(path).unwrap().deserialize().collect::<Result<_, _>>().unwrap()
}

/// Decimal dollars in cents, whatever number of decimals is written.
fn cents(text: &str) -> i64 {
    chancery_types::money::parse_decimal(text, 2).unwrap_or_else(|| panic!("not an amount: {text}"))
}

#[test]
fn every_stage_of_every_case_of_the_snap_file_is_exact() {
    let Some(cases) = cases() else {
        println!("skipped: the file of real cases is not here (set CHANCERY_SNAP_CASES to its path)");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let chancery = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_chancery"))
            .args(arguments)
            .env("CHANCERY_DATA", dir.path().join("town"))
            .env("CHANCERY_KEYS", dir.path().join("keys"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let module = concat!(env!("CARGO_MANIFEST_DIR"), "/../contracts/dist/food-assistance.wasm");
    let report = dir.path().join("out.csv");
    chancery(&["init", "--origin", "ledger.example/town"]);
    chancery(&["key", "new", "officer"]);
    chancery(&["deploy", module, "--name", "food-assistance", "--as", "officer"]);
    let (file, out) = (cases.to_str().unwrap(), report.to_str().unwrap());
    chancery(&["batch", "food-assistance", "determine", file, "--as", "officer", "--report", out]);

    let (asked, answered) = (rows(&cases), rows(&report));
    assert_eq!(asked.len(), answered.len(), "a line of the report per row");
    let mut exact = 0;
    for (case, answer) in asked.iter().zip(&answered) {
        let equal = [
            ("expected_earned_income_deduction", "earned_income_deduction"),
            ("expected_shelter_deduction", "shelter_deduction"),
            ("expected_net_income", "net_income"),
            ("expected_benefit", "benefit"),
        ]
        .iter()
        .all(|(expected, found)| answer["outcome"] == "done" && cents(&case[*expected]) == cents(&answer[*found]));
        assert!(equal, "case {}: expected {case:?}, found {answer:?}", case["case_id"]);
        exact += 1;
    }
    println!("{exact} of {} cases exact at every stage", asked.len());
    assert!(exact > 0, "the file has no cases");
    let status =
        chancery(&["query", "food-assistance", "status", "--case-id", &asked[0]["case_id"], "--output", "json"]);
    assert!(status.contains(&asked[0]["case_id"]), "{status}");
    chancery(&["log", "verify"]);
}
