//! The load: a ledger on a simulated disk, the calls that are sent to it, and what their callers are told.

use chancery_engine::{Config, Engine};
use chancery_node::sim::{Random, SimDisk, SimViews};
use chancery_node::{Clock, Disk, Ledger, NodeError, Options, Progress, Refusal, State, Ticket, snapshot};
use chancery_types::codec::Encode;
use chancery_types::interface::Interface;
use chancery_types::money::{Amount, Usd};
use chancery_types::{Action, Call, Entry, Hash, LedgerId, ModuleId, PublicKey, RequestId, SignedCall, Timestamp};
use ed25519_dalek::SigningKey;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

const MODULE: &[u8] = include_bytes!("../../../../contracts/dist/disburse-bench.wasm");
pub const DIR: &str = "/town";
pub const COPY: &str = "/copy";
pub const CONTRACT: &str = "disburse";
pub const BUDGET: i64 = 2_000;
const SEGMENT_BYTES: u64 = 24 << 10;

/// How many modules there are besides.
const VARIANTS: u64 = 3;

/// Modules that do nothing and differ in the name that their interface says.
fn variants() -> &'static [Vec<u8>] {
    static VARIANTS_MADE: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let variant = |number: u64| {
        let interface = Interface { version: 1, name: format!("other-{number}"), ..Interface::default() };
        let escaped: String = interface.to_bytes().iter().map(|byte| format!("\\{byte:02x}")).collect();
        let text = format!(
            r#"(module (@custom "chancery:interface" "{escaped}") (memory (export "memory") 1)
                 (func (export "call") (param i32 i32) (result i32) (i32.const 0)))"#
        );
        wat::parse_str(text).unwrap()
    };
    VARIANTS_MADE.get_or_init(|| (0..VARIANTS).map(variant).collect())
}

pub struct Ticking(pub AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

fn engine() -> Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    ENGINE.get_or_init(|| Arc::new(Engine::new(Config::default()).unwrap())).clone()
}

fn officer() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

pub fn key_of(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

pub fn dollars(minor: i64) -> Vec<u8> {
    Amount::<Usd>::from_minor(minor).to_bytes()
}

/// What the world outside the disk knows.
#[derive(Default)]
pub struct Outside {
    /// Calls in the order of submission; the same call may stand twice.
    pub submitted: Vec<SignedCall>,
    pub acknowledged: BTreeMap<u64, Entry>,
    /// Told that they were not recorded, and not sent again.
    pub refused: BTreeSet<RequestId>,
    pub checkpoints: BTreeMap<u64, Hash>,
}

pub struct Run {
    pub disk: SimDisk,
    pub views: SimViews,
    pub random: Random,
    pub clock: Arc<Ticking>,
    pub outside: Arc<Mutex<Outside>>,
    pub id: LedgerId,
    pub next_request: u128,
    /// Other contracts that a deployment was tried for.
    pub others: u64,
    /// Whether a snapshot was made.
    pub has_copy: bool,
}

pub fn silent() -> Progress {
    Arc::new(|_, _, _| {})
}

pub fn options(disk: &SimDisk, views: &SimViews, clock: Arc<Ticking>) -> Options {
    Options {
        log_key: Some(log_key()),
        clock,
        disk: Arc::new(disk.clone()),
        open_view: views.opener(disk),
        engine: Some(engine()),
        segment_bytes: SEGMENT_BYTES,
        threads: false,
        ..Options::default()
    }
}

impl Run {
    /// A ledger with the contract deployed and four beneficiaries.
    pub fn new(seed: u64) -> (Run, Ledger) {
        Run::on(SimDisk::new(seed), seed)
    }

    pub fn on(disk: SimDisk, seed: u64) -> (Run, Ledger) {
        let views = SimViews::default();
        let clock = Arc::new(Ticking(AtomicU64::new(1_000)));
        let options = options(&disk, &views, clock.clone());
        let ledger = Ledger::create(Path::new(DIR), "ledger.example/sim", &log_key(), options).unwrap();
        let outside = Arc::default();
        let random = Random::new(seed ^ 0x5151);
        let mut run =
            Run { disk, views, random, clock, outside, id: ledger.id(), next_request: 0, others: 0, has_copy: false };
        run.note_checkpoint();
        let (module, _) = ledger.put_module(MODULE).unwrap();
        let deploy = Action::Deploy { name: CONTRACT.into(), module, arguments: dollars(BUDGET) };
        let enrol = |number: u64| invoke("enrol", number.to_le_bytes().to_vec());
        let calls = std::iter::once(deploy).chain((0..4).map(enrol));
        let calls = calls.map(|action| run.signed(action)).collect::<Vec<_>>();
        run.send(&ledger, calls);
        if seed % 8 == 3 {
            // So long that tiles and bundles become full in the run.
            for _ in 0..12 {
                let calls = (0..16).map(|number| run.signed(enrol(number % 4))).collect();
                run.send(&ledger, calls);
            }
            ledger.follow();
            ledger.publish();
        }
        (run, ledger)
    }

    pub fn signed(&mut self, action: Action) -> SignedCall {
        self.next_request += 1;
        let request = RequestId(self.next_request);
        let call =
            Call { ledger: self.id, actor: key_of(&officer()), request, valid_until: Timestamp(u64::MAX), action };
        SignedCall::sign(call, &officer())
    }

    fn some_call(&mut self) -> SignedCall {
        let outside = self.outside.clone();
        let submitted = &outside.lock().unwrap().submitted;
        if self.random.once_in(5) {
            // A caller that got no answer asks again.
            return submitted[self.random.below(submitted.len() as u64) as usize].clone();
        }
        let number = self.random.below(5);
        if self.random.once_in(6) {
            return self.signed(invoke("enrol", number.to_le_bytes().to_vec()));
        }
        let (period, amount) = (self.random.below(6) as u32, self.random.below(300) as i64 - 5);
        let arguments = [&number.to_le_bytes()[..], &period.to_le_bytes()[..], &amount.to_le_bytes()[..]].concat();
        self.signed(invoke("disburse", arguments))
    }

    /// Sends calls as one block, and notes what comes of each.
    pub fn send(&mut self, ledger: &Ledger, calls: Vec<SignedCall>) {
        let mut tickets: Vec<(RequestId, Result<Ticket, Refusal>)> = Vec::new();
        for signed in calls {
            let request = signed.call.request;
            self.outside.lock().unwrap().submitted.push(signed.clone());
            self.outside.lock().unwrap().refused.remove(&request);
            tickets.push((request, ledger.submit(signed)));
        }
        ledger.step();
        for (request, ticket) in tickets {
            let answer = ticket.and_then(Ticket::wait);
            let mut outside = self.outside.lock().unwrap();
            match answer {
                Ok(answer) => {
                    let first = outside.acknowledged.entry(answer.index).or_insert_with(|| answer.entry.clone());
                    assert_eq!(*first, answer.entry, "one answer for one entry");
                }
                Err(Refusal::Node(NodeError::DiskFull)) => drop(outside.refused.insert(request)),
                // Only a ledger that has stopped leaves a call without an answer.
                Err(Refusal::Node(error)) => assert!(matches!(ledger.state(), State::Stopped(_)), "{error}"),
                Err(refusal) => panic!("{refusal}"),
            }
        }
    }

    /// Deploys another contract, whether or not its module could be stored.
    fn some_deployment(&mut self, ledger: &Ledger) -> SignedCall {
        self.others += 1;
        let wasm = &variants()[self.random.below(VARIANTS) as usize];
        let module = ledger.put_module(wasm).map_or_else(|_| ModuleId(Hash::of(wasm).0), |(module, _)| module);
        let name = format!("other-{}", self.others);
        self.signed(Action::Deploy { name, module, arguments: vec![] })
    }

    /// A round of calls, and what happens behind the commit point.
    pub fn round(&mut self, ledger: &Ledger) {
        let mut calls: Vec<_> = (0..1 + self.random.below(4)).map(|_| self.some_call()).collect();
        if self.random.once_in(3) {
            // Those among them that were sent before are now signed in another way.
            calls = SignedCall::sign_all(calls.into_iter().map(|signed| signed.call).collect(), &officer());
        }
        if self.random.once_in(6) {
            calls.push(self.some_deployment(ledger));
        }
        self.send(ledger, calls);
        if self.random.once_in(2) {
            ledger.follow();
        }
        if self.random.once_in(3) {
            ledger.publish();
            self.note_checkpoint();
        }
        if self.random.once_in(4) {
            self.views.remember();
        }
        if self.random.once_in(10) {
            // The disk may fail meanwhile: what then counts is that there is a sound snapshot as before.
            let made = self.snapshot();
            assert!(!matches!(made, Err(NodeError::Snapshot(_))), "{made:?}");
            self.has_copy |= made.is_ok();
        }
    }

    pub fn snapshot(&self) -> Result<snapshot::Created, NodeError> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        snapshot::create(&disk, Path::new(DIR), Path::new(COPY), &silent())
    }
}

pub fn invoke(method: &str, arguments: Vec<u8>) -> Action {
    Action::Invoke { contract: CONTRACT.into(), method: method.into(), arguments }
}
