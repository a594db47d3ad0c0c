//! Hostile calls as the ledger sees them: what is on the log afterwards, and that the state is what it was.
//!
//! The rows are those of `runtime/engine/tests/hostile/main.rs`, whose header lists all; here are the halves that need a ledger. V19 (log and
//! store after a crash) is in `ledger.rs`.

use chancery_node::{AuditOptions, Clock, Compiler, Ledger, NodeError, Options, Refusal, audit, verify};
use chancery_types::codec::Encode;
use chancery_types::entry::Rejection;
use chancery_types::interface::{Interface, Method, MethodKind, Type};
use chancery_types::{Action, Call, Gas, Outcome, PublicKey, Record, RequestId, SignedCall, Timestamp, TrapKind};
use ed25519_dalek::SigningKey;
use std::path::Path;
use std::sync::Arc;

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp(1_000)
    }
}

fn key(of: u8) -> SigningKey {
    SigningKey::from_bytes(&[of; 32])
}

/// Each method writes `key` and emits an event first, then does what its name says.
const METHODS: [(&str, MethodKind, &str); 9] = [
    ("keep", MethodKind::Call, "(i32.const 0)"),
    ("refuse", MethodKind::Call, "(call $fault (i32.const 7) (i32.const 0) (i32.const 3)) (i32.const 1)"),
    ("stop", MethodKind::Call, "unreachable"),
    ("divide", MethodKind::Call, "(call $burn) (i32.div_u (i32.const 1) (i32.const 0))"),
    ("outside", MethodKind::Call, "(call $burn) (i32.load (i32.const -1))"),
    ("recurse", MethodKind::Call, "(call $deep (i32.const 1000000))"),
    ("never_end", MethodKind::Call, "(loop $for_ever (br $for_ever)) (i32.const 0)"),
    ("bad_answer", MethodKind::Call, "(i32.const 77)"),
    ("undecoded", MethodKind::Call, "(i32.const 2)"),
];

/// Gas of `$burn` at least.
const BURN: u64 = 600_000;

/// A module of these methods, whose `init` and `query` have bodies of their own.
fn module(init: &str, query: &str) -> Vec<u8> {
    let method = |(name, kind, _): (&str, MethodKind, &str)| Method {
        name: name.into(),
        doc: String::new(),
        citation: String::new(),
        kind,
        fields: vec![],
        returns: Type::Unit,
    };
    let mut methods: Vec<Method> = METHODS.map(method).into();
    methods.push(method(("open", MethodKind::Init, "")));
    methods.push(method(("ask", MethodKind::Query, "")));
    let interface = Interface { version: 1, name: "hostile".into(), methods, ..Interface::default() };
    let escaped: String = interface.to_bytes().iter().map(|byte| format!("\\{byte:02x}")).collect();
    let arms: String = (0..)
        .zip(METHODS)
        .map(|(selector, (_, _, body)): (usize, _)| {
            format!("(if (i32.eq (local.get 0) (i32.const {selector})) (then (return (block (result i32) {body}))))")
        })
        .collect();
    let write = "(call $set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3)) (call $event (i32.const 0) (i32.const 0) (i32.const 3))";
    let wasm = wat::parse_str(format!(
        r#"(module (@custom "chancery:interface" "{escaped}")
             (import "chancery_v1" "state_set" (func $set (param i32 i32 i32 i32)))
             (import "chancery_v1" "event" (func $event (param i32 i32 i32)))
             (import "chancery_v1" "fault" (func $fault (param i32 i32 i32)))
             (memory (export "memory") 1) (data (i32.const 0) "key")
             (func $burn (local $i i32)
               (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000)))))
             (func $deep (param i32) (result i32)
               (if (result i32) (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))
             (func (export "init") (param i32 i32) (result i32) {write} {init})
             (func (export "query") (param i32 i32) (result i32) {query})
             (func (export "call") (param i32 i32) (result i32) {write} {arms} unreachable))"#
    ));
    chancery_engine::strip(&wasm.unwrap()).unwrap()
}

struct Town {
    ledger: Ledger,
    dir: tempfile::TempDir,
    requests: std::cell::Cell<u128>,
}

impl Town {
    fn new() -> Town {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { clock: Arc::new(Standing), ..Options::default() };
        let ledger = Ledger::create(dir.path(), "ledger.example/test", &key(9), options).unwrap();
        let town = Town { ledger, dir, requests: std::cell::Cell::new(0) };
        let query = "(call $set (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3)) (i32.const 0)";
        assert!(town.deploy(7, "hostile", &module("(i32.const 0)", query)).is_done());
        town
    }

    fn sign(&self, by: u8, action: Action) -> SignedCall {
        self.requests.set(self.requests.get() + 1);
        let call = Call {
            ledger: self.ledger.id(),
            actor: PublicKey(key(by).verifying_key().to_bytes()),
            request: RequestId(self.requests.get()),
            valid_until: Timestamp(10_000),
            action,
        };
        SignedCall::sign(call, &key(by))
    }

    /// What came of an action, and what it cost, as the log has it.
    fn entry(&self, by: u8, action: Action) -> (Outcome, Gas, usize) {
        let answer = self.ledger.submit(self.sign(by, action)).unwrap().wait().unwrap();
        match answer.entry.record {
            Record::Call { outcome, gas, events, .. } => (outcome, gas, events.len()),
            other => panic!("{other:?}"),
        }
    }

    fn call(&self, method: &str) -> (Outcome, Gas, usize) {
        let invoke = Action::Invoke { contract: "hostile".into(), method: method.into(), arguments: vec![] };
        self.entry(7, invoke)
    }

    fn deploy(&self, by: u8, name: &str, wasm: &[u8]) -> Outcome {
        let (module, _) = self.ledger.put_module(wasm).unwrap();
        self.entry(by, Action::Deploy { name: name.into(), module, arguments: vec![] }).0
    }

    /// Closes the ledger and checks all of its log.
    fn check(self) {
        let Town { ledger, dir, .. } = self;
        ledger.close().unwrap();
        checked(dir.path());
    }
}

fn checked(dir: &Path) {
    let silent: chancery_node::Progress = Arc::new(|_, _, _| {});
    verify(dir, &silent).unwrap();
}

#[test]
fn v14_v21_v8_what_fails_is_on_the_log_charged_and_leaves_the_state_as_it_was() {
    let town = Town::new();
    let before = town.ledger.head().state_root;
    let trapped = |kind| Outcome::Trapped { kind };
    let refused = Outcome::Refused { code: 7, detail: b"key".to_vec(), reasons: vec![] };
    let rejected = Outcome::Rejected { rejection: Rejection::BadArguments };
    for (method, outcome, least) in [
        ("refuse", refused, 100_000),
        ("stop", trapped(TrapKind::Unreachable), 100_000),
        ("divide", trapped(TrapKind::DivisionByZero), BURN),
        ("outside", trapped(TrapKind::MemoryOutOfBounds), BURN),
        ("recurse", trapped(TrapKind::StackOverflow), 100_000),
        ("never_end", Outcome::OutOfGas, chancery_engine::prices::CALL_GAS_MAX.0),
        ("bad_answer", trapped(TrapKind::BadAnswer), 100_000),
        ("undecoded", rejected, 100_000),
    ] {
        let (found, gas, events) = town.call(method);
        assert_eq!((found, events), (outcome, 0), "{method}");
        assert!(gas.0 >= least, "{method}: {gas} is charged");
        assert_eq!(town.ledger.head().state_root, before, "{method}: the state is as it was");
    }
    assert_eq!(town.call("keep").2, 1);
    town.check();
}

#[test]
fn v2_v11_a_query_that_writes_is_refused_and_leaves_nothing() {
    let town = Town::new();
    let head = town.ledger.head();
    let execution = town.ledger.query("hostile", "ask", vec![], PublicKey([1; 32])).unwrap();
    assert_eq!(execution.outcome, Outcome::Trapped { kind: TrapKind::WriteInQuery });
    assert!(execution.gas.0 > chancery_engine::prices::CALL, "a query is metered: {}", execution.gas);
    // A method that writes cannot be had as a query either.
    let called = town.ledger.query("hostile", "keep", vec![], PublicKey([1; 32]));
    assert!(matches!(called, Err(NodeError::NoMethod { .. })));
    assert_eq!(town.ledger.head(), head);
    town.check();
}

#[test]
fn v12_a_name_has_one_spelling_and_namespaces_do_not_meet() {
    let town = Town::new();
    for name in
        ["Hostile", "hostile ", "hostile\0", "hostilé", "hostile_x", "", "-hostile", "../hostile", &"h".repeat(65)]
    {
        let invoke = Action::Invoke { contract: name.into(), method: "keep".into(), arguments: vec![] };
        assert!(matches!(town.ledger.submit(town.sign(7, invoke)), Err(Refusal::BadName(_))), "{name:?}");
    }
    // Names of which one begins with the other, and the same key in both.
    assert!(town.deploy(7, "hostile-2", &module("(i32.const 0)", "(i32.const 0)")).is_done());
    let id = |name: &str| town.ledger.contract(name).unwrap().unwrap().id;
    assert_ne!(id("hostile"), id("hostile-2"));
    let keys = town.ledger.head().keys;
    assert!(town.call("keep").0.is_done());
    assert_eq!(town.ledger.head().keys, keys, "`init` of each had set its own key");
    town.check();
}

#[test]
fn v13_arguments_beyond_the_limit_are_refused_before_they_are_looked_at() {
    let town = Town::new();
    let size = town.ledger.head().size;
    let huge = Action::Invoke { contract: "hostile".into(), method: "keep".into(), arguments: vec![0; 32 * 1024 + 1] };
    assert!(matches!(town.ledger.submit(town.sign(7, huge)), Err(Refusal::TooLarge { .. })));
    assert_eq!(town.ledger.head().size, size);
    town.check();
}

#[test]
fn v18_nobody_takes_a_contract_over_and_a_failed_deployment_leaves_nothing() {
    let town = Town::new();
    let served = town.ledger.contract("hostile").unwrap().unwrap();
    let other = module("(i32.const 0) (drop) (i32.const 0)", "(i32.const 0)");
    // There is no upgrade in this version: the owner and a stranger alike find the name taken.
    for by in [7, 8] {
        assert_eq!(town.deploy(by, "hostile", &other), Outcome::Rejected { rejection: Rejection::NameTaken });
    }
    let before = town.ledger.head();
    for (name, init) in
        [("a", "unreachable"), ("b", "(i32.const 2)"), ("c", "(loop $l (br $l)) (i32.const 0)"), ("d", "(i32.const 9)")]
    {
        assert!(!town.deploy(7, name, &module(init, "(i32.const 0)")).is_done(), "{name}");
        assert!(town.ledger.contract(name).unwrap().is_none(), "{name}: no half of it is there");
        assert_eq!(town.ledger.head().state_root, before.state_root, "{name}");
    }
    let still = town.ledger.contract("hostile").unwrap().unwrap();
    assert_eq!((still.id, still.module), (served.id, served.module));
    assert!(town.call("keep").0.is_done(), "the old one serves on");
    // The name of a failed deployment is free.
    assert!(town.deploy(8, "a", &other).is_done());
    town.check();
}

#[test]
fn v16_a_module_that_is_not_admitted_is_neither_kept_nor_executed() {
    let town = Town::new();
    let size = town.ledger.head().size;
    let hostile = wat::parse_str(r#"(module (memory (export "memory") 1) (func $s unreachable) (start $s))"#).unwrap();
    assert!(town.ledger.put_module(&hostile).is_err());
    // Named by its hash all the same.
    let unknown = Action::Deploy {
        name: "x".into(),
        module: chancery_types::ModuleId(chancery_types::Hash::of(&hostile).0),
        arguments: vec![],
    };
    let (outcome, gas, _) = town.entry(7, unknown);
    assert_eq!(outcome, Outcome::Rejected { rejection: Rejection::UnknownModule });
    assert_eq!(gas.0, chancery_engine::prices::REJECTED);
    assert_eq!(town.ledger.head().size, size + 2);
    town.check();
}

/// Whether a module is new is what the ledger asks where it takes one, never where it runs one: outcomes that are recorded stay what they are.
#[test]
fn a_module_taken_before_its_names_were_checked_is_run_and_audited_as_before() {
    let town = Town::new();
    let mut wasm = module("(i32.const 0)", "(i32.const 0)");
    let at = wasm.windows(9).position(|bytes| bytes == b"undecoded").unwrap();
    wasm[at] = b'U';
    let refused = town.ledger.put_module(&wasm).unwrap_err().to_string();
    assert!(refused.contains(r#"found a method "Undecoded""#), "{refused}");
    // As an older version left it.
    let id = chancery_types::ModuleId(chancery_types::Hash::of(&wasm).0);
    let folder = town.dir.path().join("blobs").join(&id.to_string()[..2]);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(id.to_string()), &wasm).unwrap();
    let deploy = Action::Deploy { name: "older".into(), module: id, arguments: vec![] };
    assert!(town.entry(7, deploy).0.is_done());
    let keep = Action::Invoke { contract: "older".into(), method: "keep".into(), arguments: vec![] };
    assert!(town.entry(7, keep).0.is_done());
    let Town { ledger, dir, .. } = town;
    ledger.close().unwrap();
    let progress: chancery_node::Progress = Arc::new(|_, _, _| {});
    let options = AuditOptions { compiler: Compiler::InProcess, progress, policy: None, resume: None };
    assert_eq!(audit(dir.path(), &options).unwrap().executed, 3);
}
