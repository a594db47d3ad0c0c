//! What the tests of a whole ledger share: a contract, an actor, a ledger that it is deployed on.
#![allow(dead_code, reason = "each test file takes what it needs")]

use chancery_node::{Clock, Ledger, NodeError, Options, Progress};
use chancery_tlog::Policy;
use chancery_tlog::note::VerifierKey;
use chancery_types::codec::Encode;
use chancery_types::interface::{Interface, Method, MethodKind, Type};
use chancery_types::{Action, Call, PublicKey, RequestId, SignedCall, Timestamp};
use ed25519_dalek::SigningKey;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

struct Scripted(AtomicU64);

impl Clock for Scripted {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

pub fn options() -> Options {
    Options { clock: Arc::new(Scripted(AtomicU64::new(1_000))), ..Options::default() }
}

pub fn actor() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// Of the log of every ledger here.
pub const ORIGIN: &str = "ledger.example/test";

pub fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

pub fn log_vkey() -> VerifierKey {
    VerifierKey::of(ORIGIN, &log_key())
}

/// Believes what the log signed, without a witness.
pub fn policy() -> Policy {
    Policy::of_log(log_vkey())
}

/// Stack of a thread on which a lone call is executed and recorded.
pub const LARGE_STACK: usize = 8 << 20;

/// A contract that stores its arguments under themselves (`put`), or refuses (`refuse`).
pub fn module() -> Vec<u8> {
    let method = |name: &str| Method {
        name: name.into(),
        doc: String::new(),
        citation: String::new(),
        kind: MethodKind::Call,
        fields: vec![],
        returns: Type::Unit,
    };
    let interface = Interface {
        version: 1,
        name: "notes".into(),
        methods: vec![method("put"), method("refuse")],
        ..Interface::default()
    };
    let escaped: String = interface.to_bytes().iter().map(|byte| format!("\\{byte:02x}")).collect();
    let text = format!(
        r#"(module (@custom "chancery:interface" "{escaped}")
             (import "chancery_v1" "arguments" (func (param i32)))
             (import "chancery_v1" "state_set" (func (param i32 i32 i32 i32)))
             (import "chancery_v1" "fault" (func (param i32 i32 i32)))
             (memory (export "memory") 1)
             (func (export "call") (param i32 i32) (result i32)
               (call 0 (i32.const 0))
               (call 1 (i32.const 0) (local.get 1) (i32.const 0) (local.get 1))
               (if (local.get 0) (then (call 2 (i32.const 5) (i32.const 0) (i32.const 0))))
               (local.get 0)))"#
    );
    wat::parse_str(text).unwrap()
}

pub fn call(ledger: &Ledger, request: u128, action: Action) -> SignedCall {
    let actor_key = PublicKey(actor().verifying_key().to_bytes());
    let valid_until = Timestamp(10_000);
    let call = Call { ledger: ledger.id(), actor: actor_key, request: RequestId(request), valid_until, action };
    SignedCall::sign(call, &actor())
}

pub fn invoke(method: &str, arguments: &[u8]) -> Action {
    Action::Invoke { contract: "notes".into(), method: method.into(), arguments: arguments.into() }
}

pub fn put(ledger: &Ledger, request: u128) -> SignedCall {
    call(ledger, request, invoke("put", &request.to_le_bytes()))
}

pub fn deployed(dir: &Path) -> Ledger {
    let ledger = Ledger::create(dir, ORIGIN, &log_key(), options()).unwrap();
    let (module, _) = ledger.put_module(&module()).unwrap();
    let deploy = Action::Deploy { name: "notes".into(), module, arguments: vec![] };
    let answer = ledger.submit(call(&ledger, 1 << 100, deploy)).unwrap().wait().unwrap();
    assert!(answer.outcome().unwrap().is_done());
    ledger
}

pub fn reopen(dir: &Path) -> Result<Ledger, NodeError> {
    Ledger::open(dir, Options { log_key: Some(log_key()), ..options() })
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(file.file_name());
        if file.path().is_dir() {
            copy(&file.path(), &target);
        } else {
            std::fs::copy(file.path(), target).unwrap();
        }
    }
}

/// Every file below a directory, with what it holds.
pub fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.clone(), std::fs::read(path).unwrap())),
        }
    }
    found.sort();
    found
}

/// Nobody looks.
pub fn silent() -> Progress {
    Arc::new(|_, _, _| {})
}

/// Submits so many calls in turn and waits for each.
pub fn put_all(ledger: &Ledger, requests: std::ops::Range<u128>) {
    let tickets: Vec<_> = requests.map(|request| ledger.submit(put(ledger, request)).unwrap()).collect();
    tickets.into_iter().for_each(|ticket| assert!(ticket.wait().unwrap().outcome().unwrap().is_done()));
}
