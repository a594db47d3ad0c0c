//! How long a ledger takes to open: after a clean stop, after a kill, and where its view is lost. `CHANCERY_ENTRIES=1000000` sets the size of its log.
//! Figures are printed; nothing is asserted about time.

#![allow(clippy::float_arithmetic, reason = "figures for people")]

use chancery_benches::Town;
use chancery_node::{Ledger, Options};
use std::path::Path;
use std::time::{Duration, Instant};

/// Calls that are submitted at once.
const SHARE: u64 = 1_000;

fn main() {
    let test = std::env::args().any(|argument| argument == "--test");
    let asked = std::env::var("CHANCERY_ENTRIES").ok().and_then(|entries| entries.parse().ok());
    let entries = if test { 1_000 } else { asked.unwrap_or(100_000) };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut town = Town::new(dir.path());
    for _ in 0..entries / SHARE {
        let payments = town.payments(SHARE);
        town.submit(payments);
    }
    let head = town.ledger.head();
    town.ledger.close().expect("the disk has room");
    println!("{} entries, {} keys", head.size, head.keys);
    let tell = |what: &str, time: Duration| {
        let seconds = time.as_secs_f64();
        println!("{what:44} {seconds:8.3} s, {:9.0} entries/s", head.size as f64 / seconds);
    };
    tell("opened after a clean stop", opened(dir.path()));
    // What a clean stop leaves and a kill does not.
    remove(&dir.path().join("journal/closed"));
    tell("opened after a kill", opened(dir.path()));
    remove(&dir.path().join("view"));
    tell("opened without a view, which is rebuilt", opened(dir.path()));
    assert_eq!(Ledger::open(dir.path(), Options::default()).expect("a sound ledger").head(), head);
}

/// How long opening takes; closing is not counted.
fn opened(dir: &Path) -> Duration {
    let start = Instant::now();
    let ledger = Ledger::open(dir, Options::default()).expect("a sound ledger");
    let time = start.elapsed();
    ledger.close().expect("the disk has room");
    time
}

fn remove(path: &Path) {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    removed.expect("it can be removed");
}
