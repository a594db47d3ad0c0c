//! A ledger in memory, made of real entries by nothing but the pure crates: blocks of signed calls, each with one write and one step of
//! reasoning, and everything that can be handed out of it.

#![allow(dead_code)]

use chancery_receipt::{ConsistencyProof, Policy, Receipt, StateProof, TlogProof};
use chancery_state::tree::{self, Tree};
use chancery_tlog::cosignature::{Seconds, WitnessKey, cosign};
use chancery_tlog::note::VerifierKey;
use chancery_tlog::tile::{bundles_for, encode_bundle, tiles_for};
use chancery_tlog::{Checkpoint, merkle};
use chancery_types::call::{Action, Call, SignedCall};
use chancery_types::codec::Encode;
use chancery_types::decision::{Finding, Step};
use chancery_types::entry::{Entry, Outcome, Record, Write, WriteSet};
use chancery_types::{ContractId, Gas, Hash, Height, LedgerId, ModuleId, PublicKey, RequestId, Timestamp};
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;
use std::path::Path;

pub const ORIGIN: &str = "ledger.example/town";
pub const CONTRACT: ContractId = ContractId([0xc0; 32]);
/// The module that the calls name: one that stays as it is, since golden files name its digest.
pub const MODULE: &[u8] = include_bytes!("../golden/module.wasm");

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn log_key() -> SigningKey {
    key(9)
}

fn witness_keys() -> [(&'static str, SigningKey); 2] {
    [("witness.example/north", key(21)), ("witness.example/south", key(22))]
}

/// The log, two witnesses, both of which must have cosigned.
pub fn policy_text() -> String {
    let [north, south] = witness_keys().map(|(name, key)| WitnessKey::of(name, &key).to_vkey());
    let log = VerifierKey::of(ORIGIN, &log_key()).to_vkey();
    format!("log {log}\nwitness north {north}\nwitness south {south}\ngroup both all north south\nquorum both\n")
}

pub fn policy() -> Policy {
    Policy::parse(policy_text().as_bytes()).unwrap()
}

/// A checkpoint that both witnesses cosigned.
pub fn cosigned(checkpoint: &Checkpoint) -> String {
    let lines = witness_keys().map(|(name, key)| cosign(&checkpoint.text(), name, &key, Seconds(1_700_000_000)));
    checkpoint.sign(&log_key()) + &lines.concat()
}

#[derive(Default)]
pub struct Town {
    pub entries: Vec<Vec<u8>>,
    pub log: merkle::Tree,
    state: Tree,
    /// The state tree and the values after each seal, by its index. Values only for the last.
    sealed: BTreeMap<u64, Tree>,
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Trace and writes by index of the call's entry.
    effects: BTreeMap<u64, (Vec<Step>, WriteSet)>,
    ledger: LedgerId,
    height: u64,
    open: u32,
}

impl Town {
    /// The genesis block.
    pub fn new() -> Self {
        Town::begun([5; 32])
    }

    fn begun(nonce: [u8; 32]) -> Self {
        let mut town = Town::default();
        town.push(Record::Genesis { origin: ORIGIN.into(), nonce });
        town.ledger = LedgerId(Hash::of(&town.entries[0]).0);
        town.seal();
        town
    }

    /// Blocks of `calls` calls until the log has `size` entries.
    pub fn grown(size: u64, calls: u64) -> Self {
        Town::of_nonce([5; 32], size, calls)
    }

    /// The same on another ledger of the same origin and key.
    pub fn of_nonce(nonce: [u8; 32], size: u64, calls: u64) -> Self {
        let mut town = Town::begun(nonce);
        while town.size() < size {
            for _ in 0..calls.min(size - town.size() - 1) {
                town.call();
            }
            town.seal();
        }
        town
    }

    pub fn size(&self) -> u64 {
        self.entries.len() as u64
    }

    fn push(&mut self, record: Record) -> u64 {
        let index = self.size();
        let previous = self.entries.last().map(|entry| Hash::of(entry)).unwrap_or_default();
        let time = Timestamp(1_700_000_000_000 + self.height * 1_000);
        let bytes = Entry { version: record.version(), index, previous, time, record }.to_bytes();
        self.log.push(merkle::leaf_hash(&bytes));
        self.entries.push(bytes);
        self.open += 1;
        index
    }

    /// A call that sets the key `case/N` to `granted N`.
    pub fn call(&mut self) -> u64 {
        let call = self.asked(self.size());
        self.done(SignedCall::sign(call, &key(7)))
    }

    /// As many such calls, signed together.
    pub fn calls(&mut self, count: u64) -> Vec<u64> {
        let calls = (self.size()..self.size() + count).map(|index| self.asked(index)).collect();
        SignedCall::sign_all(calls, &key(7)).into_iter().map(|signed| self.done(signed)).collect()
    }

    fn asked(&self, index: u64) -> Call {
        let arguments = format!("case/{index}").into_bytes();
        Call {
            ledger: self.ledger,
            actor: PublicKey(key(7).verifying_key().to_bytes()),
            request: RequestId(u128::from(index)),
            valid_until: Timestamp(u64::MAX),
            action: Action::Invoke { contract: "permits".into(), method: "grant".into(), arguments },
        }
    }

    fn done(&mut self, signed: SignedCall) -> u64 {
        let index = self.size();
        let (at, value) = (format!("case/{index}").into_bytes(), format!("granted {index}").into_bytes());
        let step = Step { rule: "is complete".into(), citation: "§ 3".into(), inputs: vec![], finding: Finding::Met };
        let writes = vec![Write { contract: CONTRACT, key: at.clone(), value: Some(value.clone()) }];
        self.state.update([(tree::path(&CONTRACT, &at), Some(tree::value_hash(&value)))]);
        self.values.insert(at, value);
        let trace = vec![step];
        self.push(Record::Call {
            signed,
            contract: CONTRACT,
            module: ModuleId(Hash::of(MODULE).0),
            outcome: Outcome::Done { result: vec![] },
            gas: Gas(100_000),
            prices: 1,
            events: vec![],
            trace: Hash::of(&trace.to_bytes()),
            movements: vec![],
            writes: Hash::of(&writes.to_bytes()),
        });
        self.effects.insert(index, (trace, writes));
        index
    }

    pub fn seal(&mut self) -> u64 {
        let (height, entries) = (Height(self.height), self.open);
        let (state_root, keys) = (self.state.root(), self.state.len());
        let index = self.push(Record::Seal { height, state_root, entries, keys });
        self.sealed.insert(index, self.state.clone());
        (self.height, self.open) = (self.height + 1, 0);
        index
    }

    pub fn checkpoint(&self, size: u64) -> Checkpoint {
        Checkpoint { origin: ORIGIN.into(), size, root: self.log.root_at(size).unwrap() }
    }

    pub fn proof(&self, index: u64) -> TlogProof {
        let size = self.size();
        let path = self.log.prove_inclusion(index, size).unwrap();
        TlogProof { extra: None, index, path, checkpoint: cosigned(&self.checkpoint(size)) }
    }

    /// What the last seal proves of a key.
    pub fn state(&self, at: &[u8]) -> StateProof {
        let (seal, tree) = self.sealed.last_key_value().unwrap();
        let value = self.values.get(at).cloned();
        let proof = tree.prove(&tree::path(&CONTRACT, at));
        let bytes = self.entries[*seal as usize].clone();
        StateProof::new(CONTRACT, at.to_vec(), value, proof, bytes, self.proof(*seal)).unwrap()
    }

    pub fn receipt(&self, index: u64) -> Receipt {
        Receipt::new(self.entries[index as usize].clone(), self.proof(index))
    }

    /// A receipt with everything in it.
    pub fn full_receipt(&self, index: u64) -> Receipt {
        let (trace, writes) = &self.effects[&index];
        Receipt {
            module: Some(MODULE.to_vec()),
            trace: Some(trace.to_bytes()),
            writes: Some(writes.to_bytes()),
            states: vec![self.state(&writes[0].key), self.state(b"nothing")],
            ..self.receipt(index)
        }
    }

    pub fn consistency(&self, old: u64) -> ConsistencyProof {
        let path = self.log.prove_consistency(old, self.size()).unwrap();
        let (old, new) = (self.checkpoint(old).sign(&log_key()), cosigned(&self.checkpoint(self.size())));
        ConsistencyProof { path, old, new }
    }
}

pub fn write(directory: &Path, path: &str, bytes: impl AsRef<[u8]>) {
    let path = directory.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

impl Town {
    /// A log of other entries: what somebody writes who has changed the ledger and computes everything anew.
    pub fn forged(entries: Vec<Vec<u8>>) -> Self {
        let mut log = merkle::Tree::new();
        entries.iter().for_each(|entry| log.push(merkle::leaf_hash(entry)));
        Town { entries, log, ..Town::default() }
    }

    /// Writes the tiles and bundles of two published sizes, `old` and all; the partial tiles of the older one are still there.
    pub fn write_tiles(&self, directory: &Path, old: u64) {
        for (from, to) in [(0, old), (old, self.size())] {
            for tile in tiles_for(from, to) {
                let row = self.log.row(u32::from(tile.level) * 8, tile.index * 256, tile.width.into()).unwrap();
                write(directory, &tile.path(), row.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>());
            }
            for bundle in bundles_for(from, to) {
                let first = bundle.first() as usize;
                let entries = &self.entries[first..first + usize::from(bundle.width)];
                write(directory, &bundle.path(), encode_bundle(entries).unwrap());
            }
        }
    }

    /// Writes the export.
    pub fn export(&self, directory: &Path, old: u64) {
        self.write_tiles(directory, old);
        let blob = Hash::of(MODULE).to_string();
        write(directory, &format!("blobs/{}/{blob}", &blob[..2]), MODULE);
        write(directory, "checkpoint", cosigned(&self.checkpoint(self.size())));
        write(directory, "log.vkey", VerifierKey::of(ORIGIN, &log_key()).to_vkey() + "\n");
        write(directory, "policy", policy_text());
    }
}
