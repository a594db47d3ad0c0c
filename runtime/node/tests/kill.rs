//! `kill -9` at every named point of the commit path, a dozen times each, on one ledger that goes on living.

mod common;
mod worker;

use chancery_node::failpoint::POINTS;
use chancery_node::{Ledger, OsDisk, Progress, verify};
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use worker::{deployed, lost, noted, options, start_worker, work};

const TIMES: u32 = 12;

/// Not a test: what the killed process runs.
#[test]
#[ignore = "process under load"]
fn worker() {
    work(Arc::new(OsDisk));
}

fn kill_at(points: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let (town, notes) = (dir.path().join("town"), dir.path().join("notes"));
    deployed(&town, options()).close().unwrap();
    let silent: Progress = Arc::new(|_, _, _| {});
    for point in points {
        for time in 1..=TIMES {
            // What happens once in a run is met the first time, the rest at other times each.
            let once = matches!(*point, "close" | "publish" | "view-checkpoint");
            let (pass, calls) = if once { (1, 20) } else { (1 + time % 4, 300) };
            let failpoint = format!("{point}:{pass}");
            // A lone client's calls are executed and recorded on its own thread.
            let clients = if time / 4 % 2 == 0 { "3" } else { "1" };
            let more = [("CHANCERY_FAILPOINT", failpoint.as_str()), ("CHANCERY_WORKER_CLIENTS", clients)];
            let mut worker = start_worker("worker", &town, &notes, calls, &more);
            let ended = worker.wait().unwrap();
            assert_eq!(ended.signal(), Some(9), "the process passes {failpoint} and is killed there: {ended}");
            let found = verify(&town, &silent).unwrap_or_else(|error| panic!("after {failpoint}: {error}"));
            let ledger = Ledger::open(&town, options()).unwrap_or_else(|error| panic!("after {failpoint}: {error}"));
            assert!(ledger.head().size >= found.entries);
            assert_eq!(lost(&ledger, &noted(&notes)), 0, "after {failpoint}");
            if time % 2 == 0 {
                ledger.close().unwrap();
            }
        }
    }
    let ledger = Ledger::open(&town, options()).unwrap();
    assert!(!noted(&notes).is_empty());
    ledger.close().unwrap();
    verify(&town, &silent).unwrap();
}

#[test]
fn killed_before_and_at_the_commit_point() {
    kill_at(&POINTS[..6]);
}

#[test]
fn killed_behind_the_commit_point() {
    kill_at(&POINTS[6..]);
}
