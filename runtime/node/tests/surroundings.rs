//! What happens around a ledger that runs: its clock goes back, its directory goes away.

mod common;

use chancery_node::{Clock, Ledger, NodeError, Options, Refusal, State, verify};
use chancery_types::{RequestId, Timestamp};
use common::{deployed, options, put, put_all, reopen, silent};
use std::sync::Arc;

struct Fixed(u64);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp(self.0)
    }
}

#[test]
fn a_clock_that_is_set_back_holds_the_time_of_the_last_block() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = deployed(dir.path());
    put_all(&ledger, 0..3);
    let time = ledger.head().time;
    ledger.close().unwrap();
    let back = Options { clock: Arc::new(Fixed(time.0 - 900)), ..options() };
    let found = chancery_node::doctor::examine(dir.path(), &back).unwrap();
    assert!(found.is_sound() && found.findings.iter().any(|finding| finding.remedy.contains("set the clock right")));
    let ledger = Ledger::open(dir.path(), back).unwrap();
    assert_eq!(ledger.now(), time);
    put_all(&ledger, 3..6);
    assert_eq!(ledger.head().time, time, "time never goes back in the log");
    ledger.close().unwrap();
    assert_eq!(verify(dir.path(), &silent()).unwrap().calls, 7);
}

/// What has lost its name is found by nobody: nothing may be acknowledged into it.
#[test]
fn a_directory_that_vanishes_stops_the_ledger_before_anything_is_acknowledged() {
    for gone in ["", "journal", "journal/00000000.seg"] {
        let place = tempfile::tempdir().unwrap();
        let (dir, away) = (place.path().join("town"), place.path().join("away"));
        let ledger = deployed(&dir);
        put_all(&ledger, 0..3);
        let head = ledger.head();
        let path = if gone.is_empty() { dir.clone() } else { dir.join(gone) };
        std::fs::rename(&path, &away).unwrap();
        let answer = ledger.submit(put(&ledger, 50)).unwrap().wait().map(drop);
        let Err(Refusal::Node(error)) = answer else { panic!("{gone}: {answer:?}") };
        assert!(error.to_string().contains(path.to_str().unwrap()), "{gone}: {error}");
        assert!(matches!(ledger.state(), State::Stopped(_)));
        assert!(matches!(ledger.submit(put(&ledger, 51)), Err(Refusal::Node(NodeError::Stopped(_)))));
        assert!(ledger.close().is_err());
        std::fs::remove_dir_all(&path).ok();
        std::fs::rename(&away, &path).unwrap();
        let ledger = reopen(&dir).unwrap();
        assert_eq!(ledger.head(), head, "{gone}");
        assert_eq!(ledger.find(RequestId(50)).unwrap(), None);
        put_all(&ledger, 50..53);
        ledger.close().unwrap();
        verify(&dir, &silent()).unwrap();
    }
}
