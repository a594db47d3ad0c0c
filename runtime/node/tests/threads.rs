//! What callers hear when a thread of the ledger panics: an error, all of them, and no call is taken after it.

mod common;

use chancery_node::sim::{SimDisk, SimViews};
use chancery_node::{Answer, Ledger, NodeError, Options, Refusal, State};
use common::{LARGE_STACK, ORIGIN, log_key, options, put};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Longer than any of this takes: who waits so long waits for ever.
const FOR_EVER: Duration = Duration::from_secs(30);

/// A thread that is going to panic in the next write to the disk: it says when it has come there, and waits to be let go.
struct Panicking {
    there: Receiver<()>,
    go: Sender<()>,
}

/// A ledger on a simulated disk.
fn ledger() -> (Ledger, SimDisk) {
    let (disk, views) = (SimDisk::new(1), SimViews::default());
    let options =
        Options { disk: Arc::new(disk.clone()), open_view: views.opener(&disk), segment_bytes: 24 << 10, ..options() };
    (Ledger::create(Path::new("/town"), ORIGIN, &log_key(), options).unwrap(), disk)
}

fn panic_in(disk: &SimDisk, thread_name: &'static str) -> Panicking {
    let ((arrived, there), (go, released)) = (channel(), channel());
    let (arrived, released) = (Mutex::new(arrived), Mutex::new(released));
    disk.watch(Some(Arc::new(move |_| {
        if thread::current().name() == Some(thread_name) {
            arrived.lock().unwrap().send(()).unwrap();
            released.lock().unwrap().recv().unwrap();
            std::panic::resume_unwind(Box::new("simulated"));
        }
    })));
    Panicking { there, go }
}

/// Every one of the callers is told that the ledger has stopped, and so is whoever comes later.
fn check_stopped(ledger: Ledger, answers: &Receiver<Result<Answer, Refusal>>, callers: usize, reason: &str) {
    for caller in 0..callers {
        let answer = answers.recv_timeout(FOR_EVER).unwrap_or_else(|_| panic!("only {caller} of {callers} have heard"));
        assert!(matches!(answer, Err(Refusal::Node(NodeError::Stopped(_)))), "{answer:?}");
    }
    let State::Stopped(found) = ledger.state() else { panic!("{:?}", ledger.state()) };
    assert!(found.contains(reason), "{found}");
    assert!(matches!(ledger.submit(put(&ledger, 1 << 64)), Err(Refusal::Node(NodeError::Stopped(_)))));
    assert!(matches!(ledger.close(), Err(NodeError::Stopped(_))));
}

/// Its calls wait at every stage: in the block that is being recorded, in the open block, and to be ordered.
#[test]
fn when_the_recorder_panics_every_caller_is_told() {
    let (ledger, disk) = ledger();
    let panicking = panic_in(&disk, "recorder");
    let mut tickets = vec![ledger.submit(put(&ledger, 0)).unwrap()];
    panicking.there.recv_timeout(FOR_EVER).unwrap();
    tickets.extend((1..2_000).map(|request| ledger.submit(put(&ledger, request)).unwrap()));
    panicking.go.send(()).unwrap();
    let ((heard, answers), callers) = (channel(), tickets.len());
    thread::spawn(move || tickets.into_iter().for_each(|ticket| heard.send(ticket.wait()).unwrap()));
    check_stopped(ledger, &answers, callers, "recording a block panicked");
}

/// A lone call is recorded on its caller's thread, which holds what the ledger's own threads need.
#[test]
fn when_a_lone_caller_panics_the_others_are_told() {
    let (ledger, disk) = ledger();
    ledger.submit(put(&ledger, 0)).unwrap().wait().unwrap();
    let panicking = panic_in(&disk, "lone caller");
    let (heard, answers) = channel();
    thread::scope(|scope| {
        let lone = thread::Builder::new().name("lone caller".into()).stack_size(LARGE_STACK);
        // Until the ledger's threads have come to rest, they record what it calls.
        let calls = || (1..10_000).for_each(|request| drop(ledger.call(put(&ledger, request))));
        let lone = lone.spawn_scoped(scope, calls).unwrap();
        panicking.there.recv_timeout(FOR_EVER).unwrap();
        let tickets: Vec<_> = (10_000..10_008).map(|request| ledger.submit(put(&ledger, request)).unwrap()).collect();
        panicking.go.send(()).unwrap();
        assert!(lone.join().is_err());
        thread::spawn(move || tickets.into_iter().for_each(|ticket| heard.send(ticket.wait()).unwrap()));
    });
    check_stopped(ledger, &answers, 8, "panicked");
}
