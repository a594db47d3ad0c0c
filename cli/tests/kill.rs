//! `kill -9` in the middle of `batch`, then `batch` again: every row is decided exactly once, by the report and by the log.

mod support;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::Stdio;
use support::{Home, sample};

/// Rows of the file: several blocks' worth.
const ROWS: usize = 3_000;
/// Times that the batch is killed.
const KILLS: usize = 5;

/// The sample over and over, each case with an id of its own.
fn cases() -> String {
    let sample = sample();
    let (headings, rows) = sample.split_once('\n').unwrap();
    let facts: Vec<&str> = rows.lines().map(|row| row.split_once(',').unwrap().1).collect();
    let row = |number: usize| format!("K-{number},{}\n", facts[number % facts.len()]);
    format!("{headings}\n{}", (0..ROWS).map(row).collect::<String>())
}

fn journal_bytes(data: &Path) -> u64 {
    data.join("journal").read_dir().unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

/// A random number below a bound.
fn random(below: u64) -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes) % below
}

#[test]
fn after_kills_every_row_is_decided_exactly_once() {
    let home = Home::with_food_assistance();
    let file = home.file("cases.csv", cases());
    let batch = ["batch", "food-assistance", "determine", &file, "--as", "officer", "--report", "out.csv"];
    for kill in 0..KILLS {
        let mut child = home.command(&batch).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Moments are told by what is written, so that a slow machine is killed in the middle too.
        let until = journal_bytes(&home.data) + random(900_000);
        while journal_bytes(&home.data) < until && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_micros(random(3_000)));
        }
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        println!("kill {kill}: {ended}, {} bytes written", journal_bytes(&home.data));
        // What there is of the report can be read: each line is whole.
        let report = std::fs::read_to_string(home.dir.path().join("out.csv")).unwrap_or_default();
        assert!(report.is_empty() || report.ends_with('\n'), "{:?}", report.lines().last());
    }
    home.ok(&batch);
    let mut report = csv::Reader::from_path(home.dir.path().join("out.csv")).unwrap();
    let lines: Vec<HashMap<String, String>> = report.deserialize().collect::<Result<_, _>>().unwrap();
    assert_eq!(lines.len(), ROWS);
    assert!(lines.iter().all(|line| line["outcome"] == "done"), "a row was not done, or done twice");
    let entries: HashSet<&str> = lines.iter().map(|line| line["entry"].as_str()).collect();
    assert_eq!(entries.len(), ROWS, "each row has an entry of its own");

    let listed = home.json(&["log", "list", "--from", "0", "--limit", "100000"]);
    let calls: Vec<_> = listed.as_array().unwrap().iter().filter(|entry| entry["method"] == "determine").collect();
    let cases: HashSet<&str> = calls.iter().map(|call| call["arguments"]["case_id"].as_str().unwrap()).collect();
    assert_eq!((calls.len(), cases.len()), (ROWS, ROWS), "by the log, each case was asked for once");
    assert!(calls.iter().all(|call| call["outcome"] == "done"));
    let verified = home.json(&["log", "verify"]);
    assert_eq!((&verified["calls"], &verified["torn"]), (&(ROWS as u64 + 1).into(), &false.into()));

    let (head, again) = (home.head(), home.ok(&batch));
    assert!(again.contains("3000 rows: 3000 done"), "{again}");
    assert_eq!(home.head(), head, "a batch that is done does nothing again");
}
