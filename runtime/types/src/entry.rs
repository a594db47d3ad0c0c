//! The entry: one transition of the ledger, the leaf of the log.
//!
//! An entry's encoding is at most [`ENTRY_BYTES_MAX`] bytes (the bundle format of C2SP tlog-tiles has a `u16` length).
//! Entries are chained by BLAKE3 and hashed into the log's Merkle tree. A block is the entries of its calls and, last,
//! a [`Record::Seal`]. `docs/src/formats/entry.md` describes every byte.

use crate::call::{Call, PATH_MAX, Sibling, SignedCall};
use crate::codec::{Decode, DecodeError, Encode, Reader, codec_enum, codec_struct};
use crate::date::Timestamp;
use crate::fault::TrapKind;
use crate::id::{ContractId, Gas, Hash, Height, ModuleId};
use alloc::{string::String, vec::Vec};

/// The newest version of the entry format. The first field of every entry is the oldest one that has its record: [`Record::version`].
pub const ENTRY_VERSION: u16 = 2;
/// Longest entry in bytes (tlog-tiles v0.1.0, "Log entries").
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// One transition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Format version, that of the record.
    pub version: u16,
    /// Position in the log, from 0.
    pub index: u64,
    /// BLAKE3 of the previous entry's encoding; zero for the first.
    pub previous: Hash,
    /// Time of the block, never earlier than that of the block before.
    pub time: Timestamp,
    /// What happened.
    pub record: Record,
}
codec_struct!(Entry { version, index, previous, time, record });

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// The first entry: which ledger this is.
    Genesis {
        /// Origin of the log: a schema-less URL without spaces or `+` (C2SP tlog-checkpoint).
        origin: String,
        /// Random bytes, so that two ledgers of one origin differ.
        nonce: [u8; 32],
    },
    /// A call that was ordered and executed, whatever came of it.
    Call {
        /// What was asked, with the signature.
        signed: SignedCall,
        /// The contract called or deployed. Zero when it was not found.
        contract: ContractId,
        /// The module that was executed. Zero when none was.
        module: ModuleId,
        /// What came of it.
        outcome: Outcome,
        /// What it cost.
        gas: Gas,
        /// The version of the price list that `gas` was counted by.
        prices: u16,
        /// Events in order; none unless the call is done.
        events: Vec<Event>,
        /// BLAKE3 of the encoded decision trace.
        trace: Hash,
        /// Movements of money; none while contracts hold no accounts with the host.
        movements: Vec<Movement>,
        /// BLAKE3 of the encoded [`WriteSet`].
        writes: Hash,
    },
    /// The end of a block.
    Seal {
        /// The block's height; the genesis block is 0.
        height: Height,
        /// Root of the state tree after the block.
        state_root: Hash,
        /// Entries of the block before this one.
        entries: u32,
        /// Keys in the state after the block.
        keys: u64,
    },
}

/// The ordinals of the records.
mod tag {
    pub(super) const GENESIS: u8 = 0;
    /// A call that was signed alone.
    pub(super) const CALL: u8 = 1;
    pub(super) const SEAL: u8 = 2;
    /// A call that was signed together with others: its path stands behind the signature.
    pub(super) const CALL_OF_SEVERAL: u8 = 3;
}

impl Record {
    /// The oldest version of the entry format that has it: 2 where a call was signed together with others, else 1.
    pub const fn version(&self) -> u16 {
        match self {
            Record::Call { signed, .. } if !signed.path.is_empty() => 2,
            _ => 1,
        }
    }
}

impl Encode for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::Genesis { origin, nonce } => {
                out.push(tag::GENESIS);
                (origin, nonce).encode(out);
            }
            Record::Call { signed, contract, module, outcome, gas, prices, events, trace, movements, writes } => {
                let SignedCall { call, signature, path } = signed;
                out.push(if path.is_empty() { tag::CALL } else { tag::CALL_OF_SEVERAL });
                (call, signature).encode(out);
                if !path.is_empty() {
                    path.encode(out);
                }
                (contract, module, outcome).encode(out);
                (gas, prices, events).encode(out);
                (trace, movements, writes).encode(out);
            }
            Record::Seal { height, state_root, entries, keys } => {
                out.push(tag::SEAL);
                (height, state_root, entries, keys).encode(out);
            }
        }
    }
}

impl Decode for Record {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tag = u8::decode(reader)?;
        Ok(match tag {
            tag::GENESIS => {
                let (origin, nonce) = Decode::decode(reader)?;
                Record::Genesis { origin, nonce }
            }
            tag::CALL | tag::CALL_OF_SEVERAL => {
                let (call, signature) = <(Call, _)>::decode(reader)?;
                let path = if tag == tag::CALL { Vec::new() } else { path(reader)? };
                let (contract, module, outcome) = Decode::decode(reader)?;
                let (gas, prices, events) = Decode::decode(reader)?;
                let (trace, movements, writes) = Decode::decode(reader)?;
                let signed = SignedCall { call, signature, path };
                Record::Call { signed, contract, module, outcome, gas, prices, events, trace, movements, writes }
            }
            tag::SEAL => {
                let (height, state_root, entries, keys) = Decode::decode(reader)?;
                Record::Seal { height, state_root, entries, keys }
            }
            _ => return Err(DecodeError::UnknownTag),
        })
    }
}

/// The path of a call that was signed together with others.
fn path(reader: &mut Reader<'_>) -> Result<Vec<Sibling>, DecodeError> {
    let path = Vec::decode(reader)?;
    if (1..=PATH_MAX).contains(&path.len()) { Ok(path) } else { Err(DecodeError::OutOfRange) }
}

/// What came of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Done; its writes and events stand.
    Done {
        /// The encoded result.
        result: Vec<u8>,
    },
    /// The contract refused, for a reason of its own.
    Refused {
        /// The ordinal of the contract's error, documented in its interface.
        code: u16,
        /// The error's encoded fields.
        detail: Vec<u8>,
        /// The provisions and rules that were not met, from the trace.
        reasons: Vec<String>,
    },
    /// The contract was stopped.
    Trapped {
        /// Why.
        kind: TrapKind,
    },
    /// The gas that was set aside for the call did not suffice.
    OutOfGas,
    /// It was no call of the contract: no such contract, method, module; a taken name; arguments that do not decode. The last is for the most part what
    /// the contract answers, having run: see [`Rejection::BadArguments`].
    Rejected {
        /// Why.
        rejection: Rejection,
    },
}
codec_enum!(Outcome {
    0 = Done { result },
    1 = Refused { code, detail, reasons },
    2 = Trapped { kind },
    3 = OutOfGas,
    4 = Rejected { rejection },
});

impl Outcome {
    /// Whether the call took effect.
    pub const fn is_done(&self) -> bool {
        matches!(self, Outcome::Done { .. })
    }

    /// One word for tables: `done`, `refused`, `trapped`, `out of gas`, `rejected`.
    pub const fn word(&self) -> &'static str {
        match self {
            Outcome::Done { .. } => "done",
            Outcome::Refused { .. } => "refused",
            Outcome::Trapped { .. } => "trapped",
            Outcome::OutOfGas => "out of gas",
            Outcome::Rejected { .. } => "rejected",
        }
    }
}

/// Why it was no call of the contract. Before any code ran, but for [`Rejection::BadArguments`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejection {
    /// No contract has this name.
    UnknownContract,
    /// The contract has no such method, or it is not one that may be called.
    UnknownMethod,
    /// A contract has this name already.
    NameTaken,
    /// The module's bytes are not in the blob store.
    UnknownModule,
    /// The module is not admitted.
    NotAdmitted,
    /// The call's time had passed when its block was cut.
    Expired,
    /// The arguments are not those that the interface describes. The contract itself says so, as the host takes arguments for bytes: code ran, and
    /// what it used is charged; its writes and events vanish, and what it traced stays. The host says so where a module without `init` is deployed
    /// with arguments.
    BadArguments,
}
codec_enum!(Rejection {
    0 = UnknownContract,
    1 = UnknownMethod,
    2 = NameTaken,
    3 = UnknownModule,
    4 = NotAdmitted,
    5 = Expired,
    6 = BadArguments,
});

impl Rejection {
    /// The reason in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Rejection::UnknownContract => "no contract has this name",
            Rejection::UnknownMethod => "the contract has no such method that may be called",
            Rejection::NameTaken => "a contract has this name already",
            Rejection::UnknownModule => "the module's bytes are not in the blob store",
            Rejection::NotAdmitted => "the module is not admitted",
            Rejection::Expired => "the call had expired when its block was cut",
            Rejection::BadArguments => "the arguments are not those that the interface describes",
        }
    }
}

/// An event that a contract emitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// The ordinal of the event in the interface.
    pub kind: u16,
    /// Its encoded fields.
    pub data: Vec<u8>,
}
codec_struct!(Event { kind, data });

/// A movement of money between two accounts that the host keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Movement {
    /// The transfer's id.
    pub transfer: u128,
    /// The account that is debited.
    pub debit: Hash,
    /// The account that is credited.
    pub credit: Hash,
    /// Minor units, positive.
    pub minor: i64,
    /// ISO 4217 alphabetic code.
    pub currency: [u8; 3],
}
codec_struct!(Movement { transfer, debit, credit, minor, currency });

/// One changed key of the state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// The contract whose key it is; zero for the registry.
    pub contract: ContractId,
    /// The key within the contract.
    pub key: Vec<u8>,
    /// The new value, or `None` where the key is removed.
    pub value: Option<Vec<u8>>,
}
codec_struct!(Write { contract, key, value });

/// The changes of one call, each key once, in order of contract and key.
pub type WriteSet = Vec<Write>;

/// What the journal keeps beside an entry: its preimages of `writes` and `trace`. Not part of the leaf.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Effects {
    /// The changes.
    pub writes: WriteSet,
    /// The decision trace.
    pub trace: crate::decision::Trace,
}
codec_struct!(Effects { writes, trace });

/// Where an encoded entry has the tag of its record: behind version, index, previous hash and time.
const RECORD_TAG_AT: usize = 2 + 8 + 32 + 8;

impl Entry {
    /// Whether an encoded entry is that of a call, told without decoding it.
    pub fn is_call(encoded: &[u8]) -> bool {
        matches!(encoded.get(RECORD_TAG_AT), Some(&(tag::CALL | tag::CALL_OF_SEVERAL)))
    }

    /// Whether an encoded entry is a seal, told without decoding it.
    pub fn is_seal(encoded: &[u8]) -> bool {
        encoded.get(RECORD_TAG_AT) == Some(&tag::SEAL)
    }

    /// The seal's content, if the entry is one.
    pub const fn seal(&self) -> Option<(Height, Hash)> {
        match &self.record {
            Record::Seal { height, state_root, .. } => Some((*height, *state_root)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, LedgerId, PublicKey, RequestId, Signature};

    #[test]
    fn calls_and_seals_are_told_from_their_encodings() {
        let call = Call {
            ledger: LedgerId([2; 32]),
            actor: PublicKey([2; 32]),
            request: RequestId(2),
            valid_until: Timestamp(2),
            action: Action::Deploy { name: "notes".into(), module: ModuleId([2; 32]), arguments: Vec::new() },
        };
        let called = |path| Record::Call {
            signed: SignedCall { call: call.clone(), signature: Signature([2; 64]), path },
            contract: ContractId([2; 32]),
            module: ModuleId([2; 32]),
            outcome: Outcome::OutOfGas,
            gas: Gas(2),
            prices: 2,
            events: Vec::new(),
            trace: Hash([2; 32]),
            movements: Vec::new(),
            writes: Hash([2; 32]),
        };
        let told = |record| {
            let encoded =
                Entry { version: 2, index: 2, previous: Hash([2; 32]), time: Timestamp(2), record }.to_bytes();
            (Entry::is_call(&encoded), Entry::is_seal(&encoded))
        };
        assert_eq!(told(Record::Genesis { origin: "ledger.example".into(), nonce: [2; 32] }), (false, false));
        assert_eq!(told(called(Vec::new())), (true, false), "signed alone");
        assert_eq!(told(called([Sibling::Left { hash: Hash([2; 32]) }].into())), (true, false), "signed with others");
        assert_eq!(
            told(Record::Seal { height: Height(1), state_root: Hash([2; 32]), entries: 3, keys: 4 }),
            (false, true)
        );
        assert!(!Entry::is_call(&[]) && !Entry::is_seal(&[1; RECORD_TAG_AT]));
    }
}
