//! `chancery bench` and `--metrics`, as an operator uses them.

mod support;

use serde_json::Value;
use support::Home;

/// Whether this is a number above nothing.
fn is_measured(value: &Value) -> bool {
    value.as_u64().is_some_and(|number| number > 0)
}

#[test]
fn a_machine_is_measured_and_nothing_is_left_behind() {
    let home = Home::empty();
    let found = home.json(&["bench", "--quick", "--metrics", "bench.prom"]);
    for place in [
        "/machine/ed25519_verifications_per_second",
        "/machine/sha256_bytes_per_second",
        "/machine/blake3_bytes_per_second",
        "/block_bytes",
        "/fdatasync/median_ns",
        "/fdatasync/p99_ns",
        "/call/median_ns",
        "/call/p99_ns",
        "/call_over_fdatasync_permille",
        "/call_stages_mean_ns/sync",
        "/call_stages_mean_ns/execute",
        "/verify_entries_per_second",
    ] {
        assert!(found.pointer(place).is_some_and(is_measured), "{place} in {found:#}");
    }
    let loads = found["loads"].as_array().unwrap();
    let submitters: Vec<_> = loads.iter().map(|load| load["submitters"].as_u64().unwrap()).collect();
    assert_eq!(submitters, [1, 8, 64]);
    for load in loads {
        assert!(["calls_per_second", "blocks", "time_ns"].iter().all(|name| is_measured(&load[name])), "{load:#}");
        // A block holds at least one call.
        assert!(load["blocks"].as_u64() <= load["calls"].as_u64(), "{load:#}");
    }
    let limit = found["limit"].as_str().unwrap();
    assert!(
        ["the processor", "the disk", "execution", "recording", "callers"].iter().any(|what| limit.starts_with(what)),
        "{limit}"
    );
    // All calls of the run: a deployment and 100 beneficiaries of each of 64 programmes, and the payments.
    let done = "chancery_calls_total{outcome=\"done\"} ";
    let text = std::fs::read_to_string(home.dir.path().join("bench.prom")).unwrap();
    let done: u64 = text.lines().find_map(|line| line.strip_prefix(done)).unwrap().parse().unwrap();
    assert_eq!(done, 64 * 101 + 10 + 20 + 3 * 100);
    // Neither a ledger, nor a scratch directory, nor a temporary file.
    let left: Vec<_> = std::fs::read_dir(home.dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["bench.prom"]);
}

#[test]
fn the_operators_ledger_is_not_opened() {
    let home = Home::empty();
    home.ok(&["init", "--origin", "ledger.example/town"]);
    let head = home.json(&["log", "head"]);
    let shown = home.ok(&["bench", "--quick"]);
    for what in ["a durable call, one caller alone", "log verify", "what limits 64 submitters: "] {
        assert!(shown.contains(what), "{shown}");
    }
    assert_eq!(home.json(&["log", "head"]), head);
    home.fails(&["bench", "--dir", "nowhere"], 4, &["cannot make a directory for the scratch ledger", "nowhere"]);
    home.fails(&["bench", "--quick", "--metrics", "no/where"], 4, &["cannot write metrics to", "no/where"]);
}

#[test]
fn a_batch_keeps_a_file_of_metrics() {
    let home = Home::with_food_assistance();
    let cases = home.file("cases.csv", support::sample());
    let rows = support::sample().lines().count() - 1;
    let given =
        home.run(&["batch", "food-assistance", "determine", &cases, "--as", "officer", "--metrics", "node.prom"]);
    assert!([0, 3].contains(&given.code), "{given:?}");
    let text = std::fs::read_to_string(home.dir.path().join("node.prom")).unwrap();
    let calls = text.lines().filter(|line| line.starts_with("chancery_calls_total"));
    let recorded: usize = calls.map(|line| line.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap()).sum();
    assert_eq!(recorded, rows, "{text}");
    home.fails(
        &["batch", "food-assistance", "determine", &cases, "--as", "officer", "--metrics", "no/where"],
        4,
        &["cannot write metrics to", "no/where"],
    );
    // What is no file is not replaced by one: it may be a device.
    home.fails(
        &["batch", "food-assistance", "determine", &cases, "--as", "officer", "--metrics", "town"],
        2,
        &["cannot write metrics to town", "is no file", "name a file"],
    );
}
