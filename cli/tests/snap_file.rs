//! `batch` over the real quality-control file of fiscal year 2024 through the built module, as its user would run it:
//! every stage of every case must be exact. The file is not part of the project; without it the test says so.

mod support;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use support::{Home, checkout};

/// Where the file is: `CHANCERY_SNAP_CASES`, or beside the checkout.
fn cases() -> Option<PathBuf> {
    let beside = || checkout("../shared/data/snap-qc-fy2024/cases.csv");
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
    let home = Home::with_food_assistance();
    let file = cases.canonicalize().unwrap().display().to_string();
    home.ok(&["batch", "food-assistance", "determine", &file, "--as", "officer", "--report", "out.csv"]);

    let (asked, answered) = (rows(&cases), rows(&home.dir.path().join("out.csv")));
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
    let case_id = &asked[0]["case_id"];
    let status = home.json(&["query", "food-assistance", "status", "--case-id", case_id]);
    assert!(status.to_string().contains(case_id), "{status}");
    home.ok(&["log", "verify"]);
}
