//! The contracts of other languages, deployed on a ledger and called like any other; the C header; the descriptions.

use chancery_engine::{Backend, Config, Context, Engine, Instances, Invocation, Kind};
use chancery_node::{Clock, Ledger, Options, verify};
use chancery_state::MemoryStore;
use chancery_types::codec::{Decode, Encode};
use chancery_types::{
    Action, Call, ContractId, Event, Gas, Height, LedgerId, Outcome, PublicKey, Record, RequestId, SignedCall,
    Timestamp, TrapKind,
};
use ed25519_dalek::SigningKey;
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

fn read(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(path: &str) -> String {
    String::from_utf8(read(path)).unwrap()
}

/// 2026-01-02T03:04:05Z.
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp(1_767_323_045_000)
    }
}

struct Town {
    ledger: Ledger,
    dir: tempfile::TempDir,
    requests: Cell<u128>,
}

impl Town {
    fn with(name: &str) -> Town {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { clock: Arc::new(Fixed), ..Options::default() };
        let ledger = Ledger::create(dir.path(), "ledger.example/polyglot", &SigningKey::from_bytes(&[9; 32]), options);
        let town = Town { ledger: ledger.unwrap(), dir, requests: Cell::new(0) };
        let (module, _) = town.ledger.put_module(&read(&format!("dist/{name}.wasm"))).unwrap();
        assert!(town.submit(Action::Deploy { name: name.into(), module, arguments: vec![] }).0.is_done());
        town
    }

    fn call_of(&self, action: Action) -> Call {
        let key = SigningKey::from_bytes(&[7; 32]);
        self.requests.set(self.requests.get() + 1);
        Call {
            ledger: self.ledger.id(),
            actor: PublicKey(key.verifying_key().to_bytes()),
            request: RequestId(self.requests.get()),
            valid_until: Timestamp(u64::MAX),
            action,
        }
    }

    fn submit(&self, action: Action) -> (Outcome, Vec<Event>) {
        let signed = SignedCall::sign(self.call_of(action), &SigningKey::from_bytes(&[7; 32]));
        let answer = self.ledger.submit(signed).unwrap().wait().unwrap();
        match answer.entry.record {
            Record::Call { outcome, events, .. } => (outcome, events),
            other => panic!("{other:?}"),
        }
    }

    fn call(&self, contract: &str, method: &str, arguments: &impl Encode) -> (Outcome, Vec<Event>) {
        let arguments = arguments.to_bytes();
        self.submit(Action::Invoke { contract: contract.into(), method: method.into(), arguments })
    }

    fn ask(&self, contract: &str, method: &str, arguments: &impl Encode) -> Outcome {
        self.ledger.query(contract, method, arguments.to_bytes(), PublicKey([1; 32])).unwrap().outcome
    }

    /// Closes the ledger and checks its log.
    fn check(self) {
        self.ledger.close().unwrap();
        let silent: chancery_node::Progress = Arc::new(|_, _, _| {});
        verify(self.dir.path(), &silent).unwrap();
    }
}

fn done<T: Encode>(value: &T) -> Outcome {
    Outcome::Done { result: value.to_bytes() }
}

/// Two miles, in metres.
const REQUIRED: u32 = 3_219;

#[test]
fn a_contract_in_c_is_a_contract_like_any_other() {
    let town = Town::with("school-transport");
    let school = |number: u32, latitude: i32, longitude: i32| {
        town.call("school-transport", "register_school", &(number, latitude, longitude)).0
    };
    let decide = |pupil: u32, school: u32, (latitude, longitude): (i32, i32)| {
        let mut arguments = (pupil, school, latitude, longitude).to_bytes();
        arguments.push(7);
        let action = Action::Invoke { contract: "school-transport".into(), method: "decide".into(), arguments };
        town.submit(action)
    };
    assert_eq!(school(1, 51_500_000, -120_000), done(&()));
    assert!(matches!(school(2, 91_000_000, 0), Outcome::Refused { code: 3, .. }));

    // A twentieth of a degree to the north: 6,371,009 m × π ÷ 3,600.
    let (outcome, events) = decide(10, 1, (51_550_000, -120_000));
    assert_eq!(outcome, done(&5_559u32));
    assert_eq!(events, [Event { kind: 0, data: (10u32, 1u32, 5_559u32).to_bytes() }]);
    assert_eq!(town.ask("school-transport", "entitlement", &10u32), done(&5_559u32));
    assert_eq!(town.ask("school-transport", "entitlement", &11u32), done(&0u32));
    assert!(matches!(decide(10, 1, (51_550_000, -120_000)).0, Outcome::Refused { code: 2, .. }));
    assert!(matches!(decide(11, 9, (51_550_000, -120_000)).0, Outcome::Refused { code: 0, .. }));

    let Outcome::Refused { code: 1, detail, reasons } = decide(11, 1, (51_510_000, -120_000)).0 else { panic!() };
    assert_eq!(<(u32, u32)>::from_bytes(&detail).unwrap(), (1_111, REQUIRED));
    assert_eq!(reasons, ["the school is beyond walking distance (Education Act 1996, s. 444(5))"]);

    // What it prints shows the block's time, and is in no entry.
    let mut arguments = (12u32, 1u32, 51_550_000i32, -120_000i32).to_bytes();
    arguments.push(9);
    let action = Action::Invoke { contract: "school-transport".into(), method: "decide".into(), arguments };
    let execution = town.ledger.dry_run(&town.call_of(action)).unwrap();
    assert_eq!(execution.diagnostics, ["pupil 12, 2026-01-02: 5.559 km"]);
    assert_eq!(execution.trace.len(), 1);

    let short = town.call("school-transport", "decide", &1u32).0;
    assert_eq!(short.word(), "rejected");
    town.check();
}

#[test]
fn a_contract_in_assemblyscript_is_a_contract_like_any_other() {
    let town = Town::with("notice-board");
    let publish = |notice: &str| town.call("notice-board", "publish", &String::from(notice));
    for (number, notice) in [(1u32, "Roadworks in the High Street"), (2, "Straßenbau, 道路工事 🚧")] {
        let (outcome, events) = publish(notice);
        assert_eq!(outcome, done(&number));
        assert_eq!(events, [Event { kind: 0, data: number.to_bytes() }]);
        assert_eq!(town.ask("notice-board", "notice", &number), done(&String::from(notice)));
    }
    assert!(matches!(publish("").0, Outcome::Refused { code: 0, .. }));
    assert_eq!(publish(&"x".repeat(8_188)).0, done(&3u32));
    assert!(matches!(publish(&"x".repeat(8_189)).0, Outcome::Refused { code: 2, .. }));
    assert!(matches!(town.ask("notice-board", "notice", &4u32), Outcome::Refused { code: 1, .. }));
    // Not the one encoding of a text: cut, prolonged, and no UTF-8 in several ways.
    for bytes in
        [&[0u8; 3][..], &[9, 0, 0, 0, b'a'], &[1, 0, 0, 0, b'a', b'b'], &[1, 0, 0, 0, 0xff], &[2, 0, 0, 0, 0xc0, 0x80]]
    {
        let action =
            Action::Invoke { contract: "notice-board".into(), method: "publish".into(), arguments: bytes.into() };
        assert_eq!(town.submit(action).0.word(), "rejected", "{bytes:x?}");
    }
    town.check();
}

/// A call of the first method without arguments, on an engine without a ledger.
fn invocation(request: u128, gas: u64) -> Invocation {
    let context = Context {
        actor: PublicKey([1; 32]),
        contract: ContractId([2; 32]),
        ledger: LedgerId([3; 32]),
        time: Fixed.now(),
        height: Height(5),
        request: RequestId(request),
    };
    Invocation { kind: Kind::Call, selector: 0, arguments: vec![], context, gas: Gas(gas) }
}

/// Floating point and WASI give the same bytes on every backend.
#[test]
fn the_modules_give_the_same_on_every_backend() {
    let wasm = read("dist/school-transport.wasm");
    let run = |backend| {
        let engine = Engine::for_comparison(backend, Instances::Kept).ok()?;
        let module = engine.load(&wasm).unwrap();
        let store = Arc::new(MemoryStore::new());
        let mut all = String::new();
        let mut call = |selector, arguments| {
            let call = Invocation { selector, arguments, ..invocation(6, u64::MAX) };
            let execution = engine.execute(&module, call, store.clone()).unwrap();
            store.apply(&execution.writes);
            all += &format!("{execution:?}\n");
        };
        call(0, (1u32, 51_500_123i32, -123_456i32).to_bytes());
        for pupil in 0..200i32 {
            let home = (51_400_000 + pupil * 1_237, -200_000 + pupil * 911);
            let mut arguments = (pupil.cast_unsigned(), 1u32, home.0, home.1).to_bytes();
            arguments.push((pupil % 18) as u8);
            call(1, arguments);
        }
        Some(all)
    };
    let expected = run(Backend::Cranelift).unwrap();
    assert!(expected.contains("km") && expected.contains("Refused") && expected.contains("Done"));
    for backend in Backend::ALL {
        match run(backend) {
            Some(found) => assert!(found == expected, "{backend:?} differs"),
            None => chancery_tests::skip(&format!("{backend:?} is not built in")),
        }
    }
}

#[test]
fn a_guest_that_ends_itself_or_waits_is_stopped_or_told_so() {
    let module = |body: &str| {
        let wasm = wat::parse_str(format!(
            r#"(module
                 (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                 (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
                 (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
                 (import "chancery_v1" "result" (func $result (param i32 i32)))
                 (memory (export "memory") 1)
                 (func (export "_initialize") (i32.store (i32.const 64) (i32.add (i32.load (i32.const 64)) (i32.const 1))))
                 (func (export "call") (param i32 i32) (result i32) {body}))"#
        ));
        chancery_polyglot::attach(&wasm.unwrap(), r#"{"name": "w", "doc": "", "legal_basis": ""}"#).unwrap()
    };
    let engine = Engine::new(Config::default()).unwrap();
    let run = |body: &str, request| {
        let module = engine.load(&module(body)).unwrap();
        engine.execute(&module, invocation(request, 10_000_000), Arc::new(MemoryStore::new())).unwrap().outcome
    };
    assert_eq!(run("(call $exit (i32.const 0)) (i32.const 0)", 1), Outcome::Trapped { kind: TrapKind::Unreachable });
    let poll = "(i32.store (i32.const 0) (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200))) (call $result (i32.const 0) (i32.const 4)) (i32.const 0)";
    assert_eq!(run(poll, 1), done(&58u32));
    // Randomness follows from the call, and goes on within it.
    let random = "(drop (call $random (i32.const 0) (i32.const 16))) (drop (call $random (i32.const 16) (i32.const 16))) (call $result (i32.const 0) (i32.const 32)) (i32.const 0)";
    let Outcome::Done { result } = run(random, 1) else { panic!() };
    assert_eq!(run(random, 1), Outcome::Done { result: result.clone() });
    assert_ne!(run(random, 2), Outcome::Done { result: result.clone() });
    assert_ne!(result[..16], result[16..]);
    // What prepares the library runs before the entry, once in each call.
    let initialized = "(call $result (i32.const 64) (i32.const 4)) (i32.const 0)";
    assert_eq!(run(initialized, 1), done(&1u32));
    assert_eq!(run(initialized, 2), done(&1u32));
}

#[test]
fn the_c_header_is_current_and_the_sdk_declares_the_same_functions() {
    let header = chancery_engine::c_header();
    assert_eq!(
        text("include/chancery.h"),
        header,
        "write it anew: cargo run -p chancery-polyglot --bin attach -- --header include/chancery.h"
    );
    let sdk = text("../../sdk/src/wasm.rs");
    let declared: Vec<&str> = sdk.split("pub(super) fn ").skip(1).collect();
    assert_eq!(declared.len(), chancery_engine::HOST_FUNCTIONS.len());
    for function in chancery_engine::HOST_FUNCTIONS {
        let line = declared.iter().find(|line| line.starts_with(&format!("{}(", function.name)));
        let parameters = line.unwrap_or_else(|| panic!("the SDK lacks {}", function.name)).split(')').next().unwrap();
        assert_eq!(parameters.matches(':').count(), function.parameters.len(), "{}", function.name);
    }
}

#[test]
fn a_description_that_is_wrong_says_where() {
    let wrong = |text: &str| format!("{:#}", chancery_polyglot::interface(text).unwrap_err());
    assert!(wrong("{").contains("not JSON"));
    assert!(wrong(r#"{"doc": "", "legal_basis": ""}"#).contains("`name` is missing"));
    assert!(
        wrong(r#"{"name": "x", "doc": "", "legal_basis": "", "event": []}"#).contains("`event` has no meaning here")
    );
    let method = |rest: &str| {
        format!(r#"{{"name": "x", "doc": "", "legal_basis": "", "methods": [{{"name": "m", "doc": "", {rest}}}]}}"#)
    };
    assert!(wrong(&method(r#""kind": "view""#)).contains("expected init, call or query, found view"));
    assert!(wrong(&method(r#""kind": "call", "returns": "int""#)).contains("no type is called int"));
    let types = r#""kind": "call", "returns": "option<list<money<EUR,2>>>""#;
    assert_eq!(
        chancery_polyglot::interface(&method(types)).unwrap().methods[0].returns.describe(),
        "list of EUR amount, optional"
    );
}

#[test]
fn the_modules_are_those_of_the_manifest() {
    let manifest = text("dist/MANIFEST");
    let mut names = Vec::new();
    for line in manifest.lines().filter(|line| !line.starts_with('#')) {
        let [hash, bytes, name, ..] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let wasm = read(&format!("dist/{name}"));
        let found = (chancery_types::Hash::of(&wasm).to_string(), wasm.len().to_string());
        assert_eq!(found, (hash.into(), bytes.into()), "{name}");
        names.push(name);
    }
    assert_eq!(names, ["notice-board.wasm", "school-transport.wasm"]);
}
