//! The commit protocol against a disk that fails by a seed.
//!
//! A run makes a ledger with the contract `disburse-bench` on a simulated disk ([`chancery_node::sim`]), sends calls, and lets things happen between and
//! during them: power cuts, kills, power cuts during recovery, failing syncs, a full disk, clean stops, and views that are stale, ahead,
//! wrong, damaged or gone. After every start an oracle goes through the whole log:
//!
//! - acknowledged ⊆ recovered ⊆ submitted; each call once, in the order of submission, and byte for byte what was acknowledged;
//! - a call whose caller was told that it was not recorded is not there;
//! - every outcome and every state root is that of a model, which is written here from the contract's rules and knows nothing of the node;
//! - every checkpoint ever seen is one of this log, and every tile and entry that it covers can be read with it;
//! - the bytes of every module that an entry names are there, although a caller deploys what could not be stored, too;
//! - the budget is never negative, and nobody is paid twice for a period.
//! - the snapshot that was last made, whatever happened while another was being made, verifies; at the end a ledger is restored from one, and the
//!   oracle asked again.
//!
//! A seed that fails prints the command that replays it. `CHANCERY_SIM_SEEDS=FROM..TO` runs others.

use chancery_engine::{Config, Engine};
use chancery_node::sim::{Full, Random, SimDisk, SimViews, VIEW_FAULTS, ViewFault};
use chancery_node::snapshot::{self, Trust};
use chancery_node::{
    Clock, Disk, Ledger, Level, NodeError, Options, Parts, Progress, Refusal, State, Ticket, verify_on,
};
use chancery_state::tree::{self, Tree};
use chancery_tlog::{Bundle, Checkpoint, Tile, TileReader, Tiles, merkle, note::VerifierKey, tile};
use chancery_types::codec::Encode;
use chancery_types::entry::Rejection;
use chancery_types::interface::Interface;
use chancery_types::money::{Amount, Usd};
use chancery_types::{
    Action, Call, ContractId, Entry, Hash, LedgerId, ModuleId, Outcome, PublicKey, Record, RequestId, SignedCall,
    Timestamp,
};
use ed25519_dalek::SigningKey;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

const MODULE: &[u8] = include_bytes!("../../../contracts/dist/disburse-bench.wasm");
const DIR: &str = "/town";
const COPY: &str = "/copy";
const CONTRACT: &str = "disburse";
const BUDGET: i64 = 2_000;
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

struct Ticking(AtomicU64);

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

fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn key_of(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

/// What the contract should have done, by its rules.
struct Model {
    contract: ContractId,
    pairs: BTreeMap<(ContractId, Vec<u8>), Vec<u8>>,
    tree: Tree,
    changed: BTreeSet<(ContractId, Vec<u8>)>,
    budget: i64,
    totals: BTreeMap<u64, i64>,
    paid: BTreeSet<(u64, u32)>,
}

/// The storage key of a field: the length of its name, the name, the ordered encoding of a map's key.
fn field(name: &str, key: &[u8]) -> Vec<u8> {
    [&[u8::try_from(name.len()).unwrap()], name.as_bytes(), key].concat()
}

fn dollars(minor: i64) -> Vec<u8> {
    Amount::<Usd>::from_minor(minor).to_bytes()
}

impl Model {
    fn new() -> Self {
        Model {
            contract: ContractId::default(),
            pairs: BTreeMap::new(),
            tree: Tree::new(),
            changed: BTreeSet::new(),
            budget: 0,
            totals: BTreeMap::new(),
            paid: BTreeSet::new(),
        }
    }

    fn set(&mut self, contract: ContractId, key: Vec<u8>, value: Vec<u8>) {
        self.changed.insert((contract, key.clone()));
        self.pairs.insert((contract, key), value);
    }

    /// The code that the call should be refused with, or `None` where it should be done.
    fn call(&mut self, index: u64, call: &Call, contract: ContractId) -> Option<u16> {
        match &call.action {
            Action::Deploy { name, module, arguments } => {
                let mut record = Vec::new();
                (name, contract, *module).encode(&mut record);
                (index, call.actor).encode(&mut record);
                self.set(ContractId([0; 32]), [b"contract/", name.as_bytes()].concat(), record);
                if name != CONTRACT {
                    return None;
                }
                (self.contract, self.budget) = (contract, BUDGET);
                assert_eq!(*arguments, dollars(BUDGET));
                self.set(contract, field("officer", &[]), call.actor.to_bytes());
                self.set(contract, field("budget", &[]), dollars(BUDGET));
                None
            }
            Action::Invoke { method, arguments, .. } if method == "enrol" => {
                let number = u64::from_le_bytes(arguments[..8].try_into().unwrap());
                if !self.is_enrolled(number) {
                    self.totals.insert(number, 0);
                    self.set(contract, field("totals", &number.to_be_bytes()), dollars(0));
                }
                None
            }
            Action::Invoke { arguments, .. } => {
                let number = u64::from_le_bytes(arguments[..8].try_into().unwrap());
                let period = u32::from_le_bytes(arguments[8..12].try_into().unwrap());
                let amount = i64::from_le_bytes(arguments[12..20].try_into().unwrap());
                self.disburse(number, period, amount)
            }
        }
    }

    fn is_enrolled(&self, number: u64) -> bool {
        self.totals.contains_key(&number)
    }

    fn disburse(&mut self, number: u64, period: u32, amount: i64) -> Option<u16> {
        if amount <= 0 {
            return Some(4);
        }
        let Some(total) = self.totals.get(&number).copied() else { return Some(1) };
        if self.paid.contains(&(number, period)) {
            return Some(2);
        }
        if amount > self.budget {
            return Some(3);
        }
        self.budget -= amount;
        assert!(self.budget >= 0, "the budget is never negative");
        assert!(self.paid.insert((number, period)), "nobody is paid twice for a period");
        self.totals.insert(number, total + amount);
        let key = [&number.to_be_bytes()[..], &period.to_be_bytes()[..]].concat();
        self.set(self.contract, field("payments", &key), dollars(amount));
        self.set(self.contract, field("totals", &number.to_be_bytes()), dollars(total + amount));
        self.set(self.contract, field("budget", &[]), dollars(self.budget));
        None
    }

    fn root(&mut self) -> Hash {
        let changes = std::mem::take(&mut self.changed).into_iter().map(|(contract, key)| {
            let value = tree::value_hash(&self.pairs[&(contract, key.clone())]);
            (tree::path(&contract, &key), Some(value))
        });
        self.tree.update(changes);
        self.tree.root()
    }
}

/// What the world outside the disk knows.
#[derive(Default)]
struct Outside {
    /// Calls in the order of submission; the same call may stand twice.
    submitted: Vec<SignedCall>,
    acknowledged: BTreeMap<u64, Entry>,
    /// Told that they were not recorded, and not sent again.
    refused: BTreeSet<RequestId>,
    checkpoints: BTreeMap<u64, Hash>,
}

struct Run {
    disk: SimDisk,
    views: SimViews,
    random: Random,
    clock: Arc<Ticking>,
    outside: Arc<Mutex<Outside>>,
    id: LedgerId,
    next_request: u128,
    /// Other contracts that a deployment was tried for.
    others: u64,
    /// Whether a snapshot was made.
    has_copy: bool,
}

fn silent() -> Progress {
    Arc::new(|_, _, _| {})
}

fn options(disk: &SimDisk, views: &SimViews, clock: Arc<Ticking>) -> Options {
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
    fn new(seed: u64) -> (Run, Ledger) {
        Run::on(SimDisk::new(seed), seed)
    }

    fn on(disk: SimDisk, seed: u64) -> (Run, Ledger) {
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

    fn signed(&mut self, action: Action) -> SignedCall {
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
    fn send(&mut self, ledger: &Ledger, calls: Vec<SignedCall>) {
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
                Err(Refusal::Node(_)) => {}
                Err(refusal) => panic!("{refusal}"),
            }
        }
    }

    fn note_checkpoint(&self) {
        note_checkpoint(&self.disk, &self.outside);
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
    fn round(&mut self, ledger: &Ledger) {
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

    fn snapshot(&self) -> Result<snapshot::Created, NodeError> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        snapshot::create(&disk, Path::new(DIR), Path::new(COPY), &silent())
    }

    /// What was made stays, and whatever is there is sound.
    fn check_copy(&self) {
        match snapshot::verify(&self.disk, Path::new(COPY), &Trust::default(), &silent()) {
            Ok(_) => {}
            Err(NodeError::NoSnapshot(_)) => assert!(!self.has_copy, "the snapshot is gone"),
            Err(error) => panic!("the snapshot: {error}"),
        }
    }

    /// Restores a ledger from a snapshot, perhaps with a power cut, and asks the oracle.
    fn check_restored(&mut self) {
        self.snapshot().unwrap();
        let attempt = |run: &Run, dir: &str| {
            let views = SimViews::default();
            let options = options(&run.disk, &views, run.clock.clone());
            (snapshot::restore(Path::new(COPY), Path::new(dir), &Trust::default(), &options).is_ok(), options)
        };
        let open = |run: &Run, dir: &str, options: Options| {
            let ledger = Ledger::open(Path::new(dir), options).unwrap_or_else(|error| panic!("restored: {error}"));
            run.check(&ledger);
            ledger.crash();
        };
        self.disk.off_at(self.disk.operations() + self.random.below(60));
        let (done, options) = attempt(self, "/torn");
        self.disk.cut_power(self.random.number());
        // It is a ledger whole, or none.
        let is_ledger = self.disk.exists(Path::new("/torn/format")).unwrap();
        assert!(is_ledger || !done, "the restored ledger is gone");
        if is_ledger {
            open(self, "/torn", options);
        }
        self.check_copy();
        let (done, options) = attempt(self, "/restored");
        assert!(done);
        open(self, "/restored", options);
    }

    /// Something goes wrong, or not. Returns the ledger as it goes on.
    fn happen(&mut self, ledger: Ledger) -> Ledger {
        match self.random.below(13) {
            0 => self.cut_power(ledger),
            1 => self.kill(ledger),
            2 => {
                self.disk.off_at(self.disk.operations() + self.random.below(14));
                self.until(ledger, |run, _| run.disk.is_off())
            }
            3 => {
                self.disk.fail_sync(self.random.below(6), self.random.once_in(2));
                self.until(ledger, |_, ledger| ledger.state() != State::Serving)
            }
            4 => self.fill(ledger),
            5 => {
                ledger.close().unwrap();
                self.note_checkpoint();
                self.damage_closed_view();
                self.open()
            }
            6 => {
                self.disk.set_full(Some(Full::Names));
                for _ in 0..1 + self.random.below(3) {
                    self.round(&ledger);
                }
                self.disk.heal();
                self.round(&ledger);
                ledger
            }
            _ => ledger,
        }
    }

    /// Goes on until it has happened, a few rounds at most, then starts anew.
    fn until(&mut self, ledger: Ledger, happened: impl Fn(&Run, &Ledger) -> bool) -> Ledger {
        for _ in 0..6 {
            self.round(&ledger);
            if happened(self, &ledger) {
                break;
            }
        }
        if !self.disk.is_off() && self.random.once_in(4) {
            // Closed in order after the fault: what vouches for the end must not vouch for what is in doubt.
            self.disk.heal();
            drop(ledger.close());
            self.note_checkpoint();
            self.disk.cut_power(self.random.number());
            return self.open();
        }
        if self.disk.is_off() || self.random.once_in(2) { self.cut_power(ledger) } else { self.kill(ledger) }
    }

    /// The disk is full for a while: nothing is recorded, everything can be read, and then it goes on without a restart.
    fn fill(&mut self, ledger: Ledger) -> Ledger {
        let before = ledger.head();
        self.disk.set_full(Some(if self.random.once_in(2) { Full::Told } else { Full::Untold }));
        for _ in 0..1 + self.random.below(3) {
            self.round(&ledger);
        }
        assert_eq!(ledger.head(), before);
        assert!(matches!(ledger.state(), State::ReadOnly | State::Serving), "{:?}", ledger.state());
        assert!(ledger.receipt(0, &Parts::default(), Level::Published).is_ok());
        self.check(&ledger);
        if self.random.once_in(4) {
            return self.cut_power(ledger);
        }
        self.disk.heal();
        let call = self.signed(invoke("enrol", 3u64.to_le_bytes().to_vec()));
        self.send(&ledger, vec![call]);
        assert_eq!((ledger.state(), ledger.head().size), (State::Serving, before.size + 2));
        ledger
    }

    fn damage_view(&mut self) {
        if self.random.once_in(2) {
            self.views.damage(VIEW_FAULTS[self.random.below(VIEW_FAULTS.len() as u64) as usize]);
        }
    }

    /// After a clean stop the view is durable, and a start that begins from a summary does not read it: that a single pair is gone, which is rot, is for
    /// the store to find.
    fn damage_closed_view(&mut self) {
        let faults: Vec<_> = VIEW_FAULTS.iter().filter(|fault| **fault != ViewFault::LostPair).collect();
        if self.random.once_in(2) {
            self.views.damage(*faults[self.random.below(faults.len() as u64) as usize]);
        }
    }

    fn cut_power(&mut self, ledger: Ledger) -> Ledger {
        self.note_checkpoint();
        ledger.crash();
        self.disk.heal();
        self.disk.cut_power(self.random.number());
        // What a reader finds before the ledger is opened again.
        self.note_checkpoint();
        self.damage_view();
        self.open()
    }

    fn kill(&mut self, ledger: Ledger) -> Ledger {
        self.note_checkpoint();
        ledger.crash();
        self.disk.heal();
        self.disk.kill();
        self.damage_view();
        self.open()
    }

    /// Starts the ledger, sometimes with a power cut on the way, and asks the oracle.
    fn open(&mut self) -> Ledger {
        while self.random.once_in(3) {
            self.disk.off_at(self.disk.operations() + self.random.below(12));
            let opened = Ledger::open(Path::new(DIR), options(&self.disk, &self.views, self.clock.clone()));
            self.note_checkpoint();
            if let Ok(ledger) = opened {
                ledger.crash();
            }
            self.disk.cut_power(self.random.number());
            self.note_checkpoint();
        }
        let opened = Ledger::open(Path::new(DIR), options(&self.disk, &self.views, self.clock.clone()));
        let ledger = opened.unwrap_or_else(|error| panic!("the ledger does not open: {error}"));
        self.check(&ledger);
        self.check_copy();
        self.note_checkpoint();
        ledger
    }

    fn check(&self, ledger: &Ledger) {
        check(ledger, &self.outside.lock().unwrap());
    }
}

fn invoke(method: &str, arguments: Vec<u8>) -> Action {
    Action::Invoke { contract: CONTRACT.into(), method: method.into(), arguments }
}

/// Whoever looks may keep the published checkpoint for ever.
fn note_checkpoint(disk: &SimDisk, outside: &Mutex<Outside>) {
    let Ok(note) = disk.read(&Path::new(DIR).join("public/checkpoint")) else { return };
    let key = VerifierKey { name: "ledger.example/sim".into(), key: key_of(&log_key()) };
    let checkpoint = Checkpoint::open(&String::from_utf8(note).unwrap(), &key).unwrap();
    let mut outside = outside.lock().unwrap();
    let seen = outside.checkpoints.insert(checkpoint.size, checkpoint.root);
    assert!(seen.is_none_or(|seen| seen == checkpoint.root), "two checkpoints over {} entries", checkpoint.size);
    let public = Public(disk);
    let mut tiles = Tiles::open(&public, checkpoint.size, checkpoint.root).unwrap_or_else(|error| panic!("{error}"));
    for number in 0..checkpoint.size.div_ceil(tile::WIDTH) {
        tiles.entries(number).unwrap_or_else(|error| panic!("a checkpoint covers what cannot be read: {error}"));
    }
}

/// What a web server would hand out.
struct Public<'a>(&'a SimDisk);

impl Public<'_> {
    fn get(&self, path: &str) -> Result<Vec<u8>, String> {
        use chancery_node::Disk;
        self.0.read(&Path::new(DIR).join("public").join(path)).map_err(|error| error.to_string())
    }
}

impl TileReader for Public<'_> {
    type Error = String;

    fn tile(&self, tile: Tile) -> Result<Vec<u8>, String> {
        self.get(&tile.path()).or_else(|_| self.get(&tile.full().path()))
    }

    fn bundle(&self, bundle: Bundle) -> Result<Vec<u8>, String> {
        let full = Bundle { width: bundle.tile().full().width, ..bundle };
        self.get(&bundle.path()).or_else(|_| self.get(&full.path()))
    }
}

/// The oracle: goes through the whole log.
fn check(ledger: &Ledger, outside: &Outside) {
    let head = ledger.head();
    let (mut model, mut log) = (Model::new(), merkle::Tree::new());
    let mut found = BTreeSet::new();
    let mut after = 0;
    for index in 0..head.size {
        let (entry, _) = ledger.entry(index).unwrap();
        if let Some(acknowledged) = outside.acknowledged.get(&index) {
            assert_eq!(entry, *acknowledged, "entry {index} is not the one that was acknowledged");
        }
        log.push(merkle::leaf_hash(&entry.to_bytes()));
        match &entry.record {
            Record::Call { signed, contract, outcome, .. } => {
                let request = signed.call.request;
                assert!(found.insert(request), "request {request} stands twice");
                assert!(!outside.refused.contains(&request), "request {request} was not recorded, its caller was told");
                let submitted = outside.submitted[after..].iter().position(|submitted| submitted == signed);
                after += submitted.unwrap_or_else(|| panic!("entry {index} was not submitted, or out of order")) + 1;
                if let Action::Deploy { module, .. } = &signed.call.action {
                    if matches!(outcome, Outcome::Rejected { rejection: Rejection::UnknownModule }) {
                        continue;
                    }
                    let stored = ledger.module_bytes(module);
                    assert!(stored.is_ok(), "entry {index}: {}", stored.unwrap_err());
                }
                let refused = model.call(index, &signed.call, *contract);
                match (outcome, refused) {
                    (Outcome::Done { .. }, None) => {}
                    (Outcome::Refused { code, .. }, Some(expected)) if *code == expected => {}
                    other => panic!("entry {index}: {other:?}"),
                }
            }
            Record::Seal { state_root, .. } => assert_eq!(model.root(), *state_root, "state root of seal {index}"),
            Record::Genesis { .. } => assert_eq!(index, 0),
        }
    }
    let last = outside.acknowledged.last_key_value().map_or(0, |(index, _)| *index);
    assert!(last < head.size, "entry {last} was acknowledged, the log has {}", head.size);
    for (size, root) in &outside.checkpoints {
        assert_eq!(log.root_at(*size), Some(*root), "the checkpoint over {size} entries is not one of this log");
    }
    assert_eq!((log.root(), model.tree.root()), (head.root, head.state_root));
    for ((contract, key), value) in &model.pairs {
        assert_eq!(ledger.state_get(contract, key).unwrap().as_ref(), Some(value));
    }
}

/// One run of a seed: rounds of calls with faults, a clean stop, and the verification of the files that are left.
fn run_seed(seed: u64) {
    let (mut run, mut ledger) = Run::new(seed);
    for _ in 0..14 {
        run.round(&ledger);
        ledger = run.happen(ledger);
    }
    run.check(&ledger);
    let head = ledger.head();
    ledger.close().unwrap();
    run.note_checkpoint();
    let report = verify_on(&run.disk, Path::new(DIR), &silent()).unwrap();
    assert_eq!((report.entries, report.root, report.state_root), (head.size, head.root, head.state_root));
    assert_eq!((report.checkpoint, report.torn), (Some(head.size), false));
    run.check_restored();
}

/// Executions take more stack than a test's thread has.
fn on_large_stack(work: impl FnOnce() + Send) -> bool {
    std::thread::scope(|scope| {
        std::thread::Builder::new().stack_size(16 << 20).spawn_scoped(scope, work).unwrap().join().is_ok()
    })
}

fn run_seeds(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        assert!(
            on_large_stack(|| run_seed(seed)),
            "seed {seed} fails; to replay it: CHANCERY_SIM_SEEDS={seed}..{} cargo nextest run --release -p chancery-node --test sim chosen_seeds --no-capture",
            seed + 1
        );
    }
}

#[test]
fn a_thousand_even_seeds() {
    run_seeds((0..2_000).step_by(2));
}

#[test]
fn a_thousand_odd_seeds() {
    run_seeds((1..2_000).step_by(2));
}

#[test]
fn chosen_seeds() {
    let Ok(seeds) = std::env::var("CHANCERY_SIM_SEEDS") else {
        eprintln!("skipped: CHANCERY_SIM_SEEDS=FROM..TO chooses seeds");
        return;
    };
    let (from, to) = seeds.split_once("..").expect("CHANCERY_SIM_SEEDS=FROM..TO");
    run_seeds(from.parse().unwrap()..to.parse().unwrap());
}

/// Before every operation of a run of 50 blocks the power is cut, in three ways, and the ledger opened from what is left.
#[test]
fn power_is_cut_at_every_operation_of_fifty_blocks() {
    let recovered = Arc::new(AtomicU64::new(0));
    let done = on_large_stack(|| {
        let disk = SimDisk::new(50);
        let (mut run, ledger) = Run::on(disk.clone(), 50);
        let (outside, views, count) = (run.outside.clone(), run.views.clone(), recovered.clone());
        disk.watch(Some(Arc::new(move |disk: &SimDisk| {
            for seed in 0..3 {
                let (disk, views) = (disk.copy(), views.copy());
                note_checkpoint(&disk, &outside);
                disk.cut_power(disk.operations() * 3 + seed);
                note_checkpoint(&disk, &outside);
                let clock = Arc::new(Ticking(AtomicU64::new(1 << 40)));
                let ledger = Ledger::open(Path::new(DIR), options(&disk, &views, clock));
                let ledger = ledger.unwrap_or_else(|error| panic!("operation {}: {error}", disk.operations()));
                check(&ledger, &outside.lock().unwrap());
                ledger.crash();
                count.fetch_add(1, Ordering::SeqCst);
            }
        })));
        // A round of calls that were all answered before makes no block.
        while ledger.head().height.0 < 50 {
            run.round(&ledger);
            ledger.follow();
            if ledger.head().height.0 % 5 == 4 {
                ledger.publish();
            }
        }
        ledger.close().unwrap();
        disk.watch(None);
    });
    assert!(done);
    // A block is a write and a sync, a checkpoint five operations, a segment six.
    assert!(recovered.load(Ordering::SeqCst) > 3 * 150, "{recovered:?}");
}
