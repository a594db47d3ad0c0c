//! How long a ledger takes to open: after a clean stop, after a kill, and where its view is lost. `CHANCERY_ENTRIES=1000000` sets the size of its log;
//! `CHANCERY_LEDGER=DIR` keeps the ledger there, and takes it from there where it is: kill this process while it fills it, and the first line of the next is
//! that of a real kill. The ledger has a hundred modules. Figures are printed; nothing is asserted about time.

#![allow(clippy::float_arithmetic, reason = "figures for people")]

use chancery_benches::Town;
use chancery_node::{Ledger, Options};
use chancery_types::codec::Encode;
use chancery_types::{Action, Call, Interface, PublicKey, RequestId, SignedCall, Timestamp};
use ed25519_dalek::SigningKey;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Calls that are submitted at once.
const SHARE: u64 = 1_000;
/// Modules that are deployed besides that of the load.
const MODULES: u8 = 100;

fn main() {
    let test = std::env::args().any(|argument| argument == "--test");
    let asked = std::env::var("CHANCERY_ENTRIES").ok().and_then(|entries| entries.parse().ok());
    let entries = if test { 1_000 } else { asked.unwrap_or(100_000) };
    let scratch = tempfile::tempdir().expect("a temporary directory");
    let kept = std::env::var_os("CHANCERY_LEDGER").map(PathBuf::from);
    let dir = kept.as_deref().unwrap_or(scratch.path());
    if !dir.join("format").exists() {
        fill(dir, entries);
    }
    let first = opened(dir);
    let head =
        Ledger::open(dir, Options::default()).map(|ledger| (ledger.head(), ledger.close())).expect("a sound ledger").0;
    println!("{} entries, {} keys", head.size, head.keys);
    let tell = |what: &str, time: Duration| {
        let seconds = time.as_secs_f64();
        println!("{what:44} {seconds:8.3} s, {:9.0} entries/s", head.size as f64 / seconds);
    };
    tell("opened as it was found", first);
    tell("opened after a clean stop", opened(dir));
    // What a clean stop leaves and a kill does not.
    remove(&dir.join("journal/closed"));
    tell("opened after a kill", opened(dir));
    remove(&dir.join("view"));
    tell("opened without a view, which is rebuilt", opened(dir));
    assert_eq!(Ledger::open(dir, Options::default()).expect("a sound ledger").head(), head);
}

/// Makes a ledger with so many entries.
fn fill(dir: &Path, entries: u64) {
    let mut town = Town::new(dir, Options::default()).expect("a fresh directory");
    deploy_modules(&town);
    for _ in 0..entries / SHARE {
        let payments = town.payments(SHARE);
        town.submit(payments).expect("the load is carried out");
    }
    town.ledger.close().expect("the disk has room");
}

/// A module that does nothing, with a name of its own in its interface.
fn module(number: u8) -> Vec<u8> {
    let interface = Interface { version: 1, name: format!("module-{number}"), ..Interface::default() };
    let escaped: String = interface.to_bytes().iter().map(|byte| format!("\\{byte:02x}")).collect();
    let text = format!(
        r#"(module (@custom "chancery:interface" "{escaped}") (memory (export "memory") 1 1)
             (func (export "call") (param i32 i32) (result i32) (i32.const 0)))"#
    );
    wat::parse_str(text).expect("it is a module")
}

/// Deploys a hundred modules besides that of the load.
fn deploy_modules(town: &Town) {
    let key = SigningKey::from_bytes(&[3; 32]);
    let deploys = (0..MODULES).map(|number| {
        let (module, _) = town.ledger.put_module(&module(number)).expect("it is admitted");
        let call = Call {
            ledger: town.ledger.id(),
            actor: PublicKey(key.verifying_key().to_bytes()),
            request: RequestId(u128::MAX - u128::from(number)),
            valid_until: Timestamp(u64::MAX),
            action: Action::Deploy { name: format!("module-{number}"), module, arguments: Vec::new() },
        };
        SignedCall::sign(call, &key)
    });
    town.submit(deploys.collect()).expect("the modules are deployed");
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
