//! A process that works on a ledger until it is stopped, and what its client noted outside.

use crate::common::{LARGE_STACK, ORIGIN, actor, call, invoke, log_key, module};
use chancery_node::{Disk, Ledger, Options};
use chancery_types::{Action, RequestId, SignedCall, Timestamp};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// A call that does not expire: these ledgers go by the system's clock.
fn lasting(ledger: &Ledger, request: u128, action: Action) -> SignedCall {
    let mut call = call(ledger, request, action).call;
    call.valid_until = Timestamp(u64::MAX);
    SignedCall::sign(call, &actor())
}

fn put(ledger: &Ledger, request: u128) -> SignedCall {
    lasting(ledger, request, invoke("put", &request.to_le_bytes()))
}

/// Small segments, so that many are begun.
pub fn options() -> Options {
    Options { log_key: Some(log_key()), segment_bytes: 32 << 10, ..Options::default() }
}

/// A ledger with the contract.
pub fn deployed(dir: &Path, options: Options) -> Ledger {
    let ledger = Ledger::create(dir, ORIGIN, &log_key(), options).unwrap();
    let (module, _) = ledger.put_module(&module()).unwrap();
    let deploy = Action::Deploy { name: "notes".into(), module, arguments: vec![] };
    let answer = ledger.submit(lasting(&ledger, u128::MAX, deploy)).unwrap().wait().unwrap();
    assert!(answer.outcome().unwrap().is_done());
    ledger
}

/// Starts this very test program as a process that works on the ledger in `dir` and notes in `notes` what was
/// acknowledged. `test` is the name of an ignored test that calls [`work`] and does nothing else.
pub fn start_worker(test: &str, dir: &Path, notes: &Path, calls: u32, more: &[(&str, &str)]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test, "--nocapture"])
        .env("CHANCERY_WORKER_DIR", dir)
        .env("CHANCERY_WORKER_NOTES", notes)
        .env("CHANCERY_WORKER_CALLS", calls.to_string())
        .envs(more.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the process does: three clients, or as many as `CHANCERY_WORKER_CLIENTS` says, send calls, each after the answer
/// to the one before, and note every answer outside the ledger; then the ledger is closed. Nothing where somebody else
/// than [`start_worker`] runs it.
pub fn work(disk: Arc<dyn Disk>) {
    let variable = |name: &str| std::env::var_os(format!("CHANCERY_WORKER_{name}"));
    let (Some(dir), Some(notes)) = (variable("DIR"), variable("NOTES")) else { return };
    let calls: u32 = variable("CALLS").unwrap().to_str().unwrap().parse().unwrap();
    let clients: u128 = variable("CLIENTS").map_or(3, |clients| clients.to_str().unwrap().parse().unwrap());
    let file = std::fs::OpenOptions::new().create(true).append(true).open(notes).unwrap();
    let notes = Mutex::new(file);
    let ledger = Ledger::open(Path::new(&dir), Options { disk, ..options() }).unwrap();
    let base = u128::from(ledger.head().size) << 32;
    std::thread::scope(|scope| {
        for client in 0..clients {
            let (ledger, notes) = (&ledger, &notes);
            let work = move || {
                for number in 0..u128::from(calls) {
                    let request = base + (client << 24) + number;
                    let answer = ledger.call(put(ledger, request)).unwrap();
                    // One write, so that a line is there or not.
                    notes.lock().unwrap().write_all(format!("{request} {}\n", answer.index).as_bytes()).unwrap();
                }
            };
            std::thread::Builder::new().stack_size(LARGE_STACK).spawn_scoped(scope, work).unwrap();
        }
    });
    ledger.close().unwrap();
}

/// What was acknowledged: request and index.
pub fn noted(notes: &Path) -> BTreeMap<u128, u64> {
    let text = std::fs::read_to_string(notes).unwrap_or_default();
    let note = |line: &str| {
        let (request, index) = line.split_once(' ').unwrap();
        (request.parse().unwrap(), index.parse().unwrap())
    };
    text.lines().map(note).collect()
}

/// How many of the acknowledged calls the ledger does not have where they were.
pub fn lost(ledger: &Ledger, noted: &BTreeMap<u128, u64>) -> usize {
    let there = |request: u128, index: u64| {
        let found = ledger.find(RequestId(request)).unwrap() == Some(index);
        found && ledger.entry(index).is_ok_and(|(entry, effects)| {
            let signed = matches!(&entry.record, chancery_types::Record::Call { signed, .. } if signed.call.request.0 == request);
            signed && effects.writes.iter().all(|write| write.key == request.to_le_bytes())
        })
    };
    noted.iter().filter(|(request, index)| !there(**request, **index)).count()
}

#[allow(dead_code, reason = "not every test program mounts")]
pub fn run(program: &str, arguments: &[&str]) -> bool {
    let done = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|done| done.success())
}

/// A mount that is undone when this is dropped.
#[allow(dead_code, reason = "not every test program mounts")]
pub struct Mount(pub PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        if !run("umount", &["-l", self.0.to_str().unwrap()]) {
            eprintln!("{} stays mounted", self.0.display());
        }
    }
}
