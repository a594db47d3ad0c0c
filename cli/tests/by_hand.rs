//! The lines that documents print for going on by hand, exactly as they stand.

mod support;

use support::{Home, checkout, sample, shell};

/// The lines of a `sh` block behind a heading.
fn block(document: &str, heading: &str) -> String {
    let text = std::fs::read_to_string(checkout(document)).unwrap();
    let section = text.split_once(heading).unwrap_or_else(|| panic!("{document} has no `{heading}`")).1;
    let block = section.split_once("```sh\n").unwrap().1.split_once("```").unwrap().0;
    block.to_string()
}

#[test]
fn the_lines_of_the_readme_work() {
    let given = shell(&Home::empty(), &block("README.md", "## By hand"));
    assert_eq!(given.code, 0, "{given:?}");
    assert!(given.out.contains("200 rows: 200 done"), "{}", given.out);
    assert!(given.out.contains("verified: "), "{}", given.out);
}

#[test]
fn the_lines_of_the_tutorial_work() {
    let text = std::fs::read_to_string(checkout("docs/src/tutorials/by-hand.md")).unwrap();
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    let script: String = blocks.collect();
    assert!(script.contains("chancery log verify"), "the tutorial verifies the log");
    let given = shell(&Home::empty(), &script);
    assert_eq!(given.code, 0, "{given:?}");
}

#[test]
fn a_file_of_cases_is_determined_by_hand() {
    let home = Home::empty();
    let (headings, rows) = sample().split_once('\n').map(|(h, r)| (h.to_string(), r.to_string())).unwrap();
    let row = rows.lines().next().unwrap().split_once(',').unwrap().1;
    home.file("cases.csv", format!("{headings}\n202310-36-4121,{row}\n"));
    let given = shell(
        &home,
        "export CHANCERY_DATA=./town                      # or --data ./town
        chancery init --origin ledger.example/town
        chancery key new officer
        chancery deploy contracts/dist/food-assistance.wasm --name food-assistance --as officer
        chancery batch food-assistance determine cases.csv --as officer --report out.csv
        chancery query food-assistance status --case-id 202310-36-4121
        chancery log verify",
    );
    assert_eq!(given.code, 0, "{given:?}");
    assert!(given.out.contains("benefit: 291.00"), "{}", given.out);
    let report = std::fs::read_to_string(home.dir.path().join("out.csv")).unwrap();
    let headings = "row,line,about,request,outcome,entry,reason,needs a person,\
                    earned_income_deduction,shelter_deduction,net_income,benefit\n";
    assert!(report.starts_with(headings), "{report}");
    assert!(report.contains("\n1,2,202310-36-4121,"), "{report}");
    assert!(report.contains(",done,4,,,0.00,662.00,0.00,291.00\n"), "{report}");
}
