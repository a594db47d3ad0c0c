//! The ledger of the worked examples: two blocks, whose keys, times and ids are fixed.
//!
//! Block 0 is the genesis. Block 1 has a deployment, a call that is done, and one that is refused.

use chancery_node::registry::{REGISTRY, contract_id};
use chancery_state::{Tree, tree};
use chancery_tlog::{Checkpoint, merkle, note::VerifierKey};
use chancery_types::codec::Encode;
use chancery_types::decision::Input;
use chancery_types::entry::{Effects, Write};
use chancery_types::{
    Action, Call, ContractId, Entry, Event, Finding, Gas, Hash, Height, LedgerId, ModuleId, Outcome, PublicKey, Record,
    RequestId, SignedCall, Step, Timestamp, Trace, Value,
};
use ed25519_dalek::SigningKey;

pub const ORIGIN: &str = "ledger.example/town";
/// 2026-01-01T00:00:00Z and a minute later.
const GENESIS_TIME: Timestamp = Timestamp(1_767_225_600_000);
const BLOCK_TIME: Timestamp = Timestamp(1_767_225_660_000);

/// The example's entries, with what the journal keeps beside them.
pub struct Sample {
    pub ledger: LedgerId,
    pub contract: ContractId,
    pub entries: Vec<(Entry, Option<Effects>)>,
    pub state: Tree,
    pub writes: Vec<Write>,
}

fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn officer() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

impl Sample {
    pub fn new() -> Self {
        let mut sample = Sample {
            ledger: LedgerId::default(),
            contract: ContractId::default(),
            entries: Vec::new(),
            state: Tree::new(),
            writes: Vec::new(),
        };
        let nonce = std::array::from_fn(|i| u8::try_from(i).unwrap());
        sample.push(GENESIS_TIME, Record::Genesis { origin: ORIGIN.into(), nonce }, None);
        sample.ledger = LedgerId(Hash::of(&sample.entries[0].0.to_bytes()).0);
        sample.seal(GENESIS_TIME, 0, 1);
        sample.contract = contract_id(&sample.ledger, RequestId(1), "notes");
        sample.deployment();
        sample.call_done();
        sample.call_refused();
        sample.seal(BLOCK_TIME, 1, 3);
        sample
    }

    fn push(&mut self, time: Timestamp, record: Record, effects: Option<Effects>) {
        let previous = self.entries.last().map_or(Hash::default(), |(entry, _)| Hash::of(&entry.to_bytes()));
        let index = self.entries.len() as u64;
        for write in effects.iter().flat_map(|effects| &effects.writes) {
            self.writes.push(write.clone());
            let path = tree::path(&write.contract, &write.key);
            self.state.update([(path, write.value.as_deref().map(tree::value_hash))]);
        }
        self.entries.push((Entry { version: record.version(), index, previous, time, record }, effects));
    }

    fn seal(&mut self, time: Timestamp, height: u64, entries: u32) {
        let (state_root, keys) = (self.state.root(), self.state.len());
        self.push(time, Record::Seal { height: Height(height), state_root, entries, keys }, None);
    }

    /// The entry that would follow: of the second of two calls that the officer signed together.
    pub fn signed_together() -> Entry {
        let mut sample = Sample::new();
        let calls = [4, 5].map(|request| sample.asked(request, invoke("hello")));
        let mut signed = SignedCall::sign_all(calls.to_vec(), &officer());
        let Record::Call { contract, module, outcome, gas, prices, events, trace, movements, writes, .. } =
            sample.entries[3].0.record.clone()
        else {
            panic!("the call that is done")
        };
        let signed = signed.remove(1);
        let record = Record::Call { signed, contract, module, outcome, gas, prices, events, trace, movements, writes };
        sample.push(BLOCK_TIME, record, None);
        sample.entries.remove(6).0
    }

    fn asked(&self, request: u128, action: Action) -> Call {
        let valid_until = Timestamp(BLOCK_TIME.0 + 300_000);
        Call { ledger: self.ledger, actor: public(&officer()), request: RequestId(request), valid_until, action }
    }

    fn call(
        &mut self,
        request: u128,
        action: Action,
        outcome: Outcome,
        gas: u64,
        events: Vec<Event>,
        effects: Effects,
    ) {
        let call = self.asked(request, action);
        let record = Record::Call {
            signed: SignedCall::sign(call, &officer()),
            contract: self.contract,
            module: module(),
            outcome,
            gas: Gas(gas),
            prices: 1,
            events,
            trace: Hash::of(&effects.trace.to_bytes()),
            movements: Vec::new(),
            writes: Hash::of(&effects.writes.to_bytes()),
        };
        self.push(BLOCK_TIME, record, Some(effects));
    }

    fn deployment(&mut self) {
        let mut value = Vec::new();
        ("notes", self.contract, module()).encode(&mut value);
        (2u64, public(&officer())).encode(&mut value);
        let registered = Write { contract: REGISTRY, key: b"contract/notes".to_vec(), value: Some(value) };
        let action = Action::Deploy { name: "notes".into(), module: module(), arguments: Vec::new() };
        let effects = Effects { writes: vec![registered], trace: Trace::default() };
        self.call(1, action, Outcome::Done { result: Vec::new() }, 10_000, Vec::new(), effects);
    }

    fn call_done(&mut self) {
        let write = Write { contract: self.contract, key: b"\x04note".to_vec(), value: Some("hello".to_bytes()) };
        let effects = Effects { writes: vec![write], trace: [step(5, Finding::Met)].into_iter().collect() };
        let action = invoke("hello");
        let event = Event { kind: 0, data: "hello".to_bytes() };
        self.call(2, action, Outcome::Done { result: Vec::new() }, 98_765, vec![event], effects);
    }

    fn call_refused(&mut self) {
        let effects = Effects { writes: Vec::new(), trace: [step(0, Finding::NotMet)].into_iter().collect() };
        let reasons = vec!["a note has a text (Notes Act, § 1)".to_string()];
        let outcome = Outcome::Refused { code: 0, detail: Vec::new(), reasons };
        self.call(3, invoke(""), outcome, 54_321, Vec::new(), effects);
    }

    /// The bytes of an entry.
    pub fn bytes(&self, index: usize) -> Vec<u8> {
        self.entries[index].0.to_bytes()
    }

    /// The Merkle tree of the log.
    pub fn log(&self) -> merkle::Tree {
        let mut log = merkle::Tree::new();
        (0..self.entries.len()).for_each(|index| log.push(merkle::leaf_hash(&self.bytes(index))));
        log
    }

    /// The key that the log's checkpoints are verified with.
    pub fn verifier() -> VerifierKey {
        VerifierKey { name: ORIGIN.into(), key: public(&log_key()) }
    }

    /// The signed checkpoint over all entries.
    pub fn note(&self) -> String {
        let log = self.log();
        Checkpoint { origin: ORIGIN.into(), size: log.size(), root: log.root() }.sign(&log_key())
    }
}

/// What stands for a module here: the entry holds nothing but its id.
pub const MODULE: &[u8] = b"a module";

fn module() -> ModuleId {
    ModuleId(Hash::of(MODULE).0)
}

fn invoke(text: &str) -> Action {
    Action::Invoke { contract: "notes".into(), method: "write".into(), arguments: text.to_bytes() }
}

fn step(length: i64, finding: Finding) -> Step {
    let inputs = vec![Input { name: "length".into(), value: Value::Integer { value: length } }];
    Step { rule: "a note has a text".into(), citation: "Notes Act, § 1".into(), inputs, finding }
}
