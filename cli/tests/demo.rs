//! `demo`, as people and as programs read it, and the commands that it prints.

mod support;

use serde_json::Value;
use support::{Home, check_failure, shell};

#[test]
fn the_demonstration_shows_real_decisions_and_the_printed_commands_work() {
    let home = Home::empty();
    let given: Value = serde_json::from_str(&home.ok(&["demo", "--data", "d", "--output", "json"])).unwrap();
    let case = |asked: &str| {
        let cases = given["cases"].as_array().unwrap();
        cases.iter().find(|case| case["asked_for"].as_str().unwrap().contains(asked)).unwrap()
    };
    for (asked, outcome, decided, provision, paid) in [
        ("BP-1", "done", "Issued, on ", "IBC 2021, 105.3.1 and 105.5", "fee 460.00 USD"),
        ("BP-2", "done", "Refused, ", "IBC 2021, 105.3.1", ""),
        ("BP-3", "done", "Issued, on ", "IBC 2021, 109.1", "fee 44.00 USD"),
        ("BP-4", "refused", "NotAccredited", "IBC 2021, 104.4", ""),
        ("FA-1 for three", "done", "benefit 766.00", "7 CFR 273.10(e)", "766.00 USD"),
        ("FA-1 a second", "refused", "AlreadyDetermined", "7 CFR 273.2(g)", ""),
        ("Alaska", "refused", "OtherSchedule", "7 CFR 273.10(e)(4)(i)", ""),
        ("BL-1, half", "refused", "TooEarly", "Model Ordinance, § 6(2)", ""),
        ("renewal of BL-1, issued", "done", "Issued, licence BL-1", "6(3)", "EUR"),
        ("suspension", "done", "Suspended, licence BL-2", "Fire code, § 3", ""),
        ("BL-3", "refused", "CheckFailed", "Model Ordinance, § 5(1)", ""),
        ("10.5 ha", "done", "payable 1034.25", "Art. 34", "1034.25 EUR"),
        ("a second time", "refused", "RecordUsed", "Art. 36", ""),
        ("revoked", "done", "owed 1034.25", "Art. 59(1)(e)", ""),
    ] {
        let row = if asked == "a second time" { case("record R-1 a second") } else { case(asked) };
        assert_eq!(row["outcome"], outcome, "{row}");
        for (name, part) in [("decided", decided), ("provision", provision)] {
            assert!(row[name].as_str().unwrap().contains(part), "{asked}: {part} in {row}");
        }
        assert!(row["paid"].to_string().contains(paid), "{row}");
        assert!(row["gas"].as_u64().unwrap() > 0, "{row}");
    }
    assert_eq!((&given["batch"]["rows"], &given["batch"]["counts"]["done"]), (&200.into(), &200.into()));
    assert_eq!(given["state"]["value"]["fee"], "460.00");
    assert_eq!(given["head"]["entries"], given["verified"]["entries"]);
    assert_eq!(given["head"]["root"], given["verified"]["root"]);
    assert_eq!(given["verified"]["checkpoint"], given["verified"]["entries"]);

    let next: Vec<&str> = given["next"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let went_on = shell(&home, &next.join("\n"));
    assert_eq!(went_on.code, 0, "{went_on:?}");
    for part in ["Issued:", "NotAccredited", "--household-size", "nothing was recorded", "R-1", "verified: "] {
        assert!(went_on.out.contains(part), "{part} in {}", went_on.out);
    }
    // The user's own keys are not touched.
    assert!(!home.dir.path().join(".config").exists());
    let again = home.run(&["demo", "--data", "d"]);
    check_failure(&["demo"], &again, 2, &["is not empty", "a new directory"]);
}

#[test]
fn keys_are_made_where_the_command_line_says() {
    let home = Home::empty();
    let given: Value =
        serde_json::from_str(&home.ok(&["demo", "--data", "d", "--keys", "k", "--output", "json"])).unwrap();
    assert_eq!(given["keys"].as_str(), home.dir.path().join("k").to_str());
    assert!(home.dir.path().join("k/officer.key").exists() && !home.dir.path().join("d-keys").exists());
    let again = ["demo", "--keys", "k"];
    check_failure(&again, &home.run(&again), 2, &["k is not empty", "name another with --keys"]);
}

#[test]
fn in_text_it_says_where_the_ledger_is_and_how_to_go_on() {
    let home = Home::empty();
    let temporary = home.dir.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let given: support::Given = home.command(&["demo"]).env("TMPDIR", &temporary).output().unwrap().into();
    assert_eq!((given.code, given.err.as_str()), (0, ""), "{given:?}");
    for part in [
        "who  ",
        "decided",
        "under",
        "paid",
        "gas",
        "anna",
        "Issued, on",
        "refused (NotAccredited)",
        "IBC 2021, 104.4",
        "batch of the sample: 200 households, 200 done",
        "Read back from the state",
        "The head of the log",
        "verified: ",
        "Go on by hand",
        "export CHANCERY_DATA=",
        "rm -r ",
    ] {
        assert!(given.out.contains(part), "{part} in {}", given.out);
    }
    let lines = given.out.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| !line.starts_with(' '));
    let script: Vec<&str> = lines.skip_while(|line| !line.starts_with("export ")).collect();
    let went_on = shell(&home, &script.join("\n"));
    assert_eq!(went_on.code, 0, "{went_on:?}");
    // Neither is the directory used that a variable names for other commands.
    assert!(!home.data.exists());
}

#[test]
fn a_demonstration_that_cannot_begin_leaves_nothing() {
    let home = Home::empty();
    let missing = home.run(&["demo", "--cases", "nowhere.csv"]);
    check_failure(&["demo"], &missing, 4, &["cannot read nowhere.csv"]);
    let file = home.file("file", "");
    check_failure(&["demo"], &home.run(&["demo", "--data", &file]), 2, &["cannot use", "file"]);
}
