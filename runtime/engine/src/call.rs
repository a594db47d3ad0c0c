//! What goes into an execution and what comes out of it.

use chancery_types::entry::WriteSet;
use chancery_types::{ContractId, Event, Gas, Height, LedgerId, Outcome, PublicKey, RequestId, Timestamp, Trace};

/// Bytes that the host function `context` writes.
pub const CONTEXT_BYTES: usize = 128;

/// Which entry function runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `init`.
    Init,
    /// `call`.
    Call,
    /// `query`: no writes, no events.
    Query,
}

impl Kind {
    /// The export that it runs.
    pub const fn export(self) -> &'static str {
        match self {
            Kind::Init => "init",
            Kind::Call => "call",
            Kind::Query => "query",
        }
    }
}

/// What a contract may know of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Who calls.
    pub actor: PublicKey,
    /// Which contract runs.
    pub contract: ContractId,
    /// Which ledger this is.
    pub ledger: LedgerId,
    /// Time of the block.
    pub time: Timestamp,
    /// Height of the block.
    pub height: Height,
    /// The caller's id of the call.
    pub request: RequestId,
}

impl Context {
    /// The bytes that the host function `context` writes: the fields in order, integers little-endian.
    pub fn to_bytes(&self) -> [u8; CONTEXT_BYTES] {
        let mut bytes = [0; CONTEXT_BYTES];
        bytes[..32].copy_from_slice(&self.actor.0);
        bytes[32..64].copy_from_slice(&self.contract.0);
        bytes[64..96].copy_from_slice(&self.ledger.0);
        bytes[96..104].copy_from_slice(&self.time.0.to_le_bytes());
        bytes[104..112].copy_from_slice(&self.height.0.to_le_bytes());
        bytes[112..].copy_from_slice(&self.request.0.to_le_bytes());
        bytes
    }
}

/// What is to be executed.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Which entry function.
    pub kind: Kind,
    /// Position of the method in the interface.
    pub selector: u32,
    /// Its encoded arguments.
    pub arguments: Vec<u8>,
    /// What the contract may know.
    pub context: Context,
    /// What it may cost; what is beyond [`CALL_GAS_MAX`](crate::prices::CALL_GAS_MAX) does not count.
    pub gas: Gas,
}

/// What came of an execution.
#[derive(Clone, Debug)]
pub struct Execution {
    /// The outcome.
    pub outcome: Outcome,
    /// What it cost, never more than was set aside.
    pub gas: Gas,
    /// Events in order; none unless done.
    pub events: Vec<Event>,
    /// The decision trace, whatever the outcome.
    pub trace: Trace,
    /// Writes, each key once, in order; none unless done.
    pub writes: WriteSet,
    /// What the contract logged; shown in tests and dry runs, never recorded.
    pub diagnostics: Vec<String>,
    /// Calls and gas of the host functions that were called.
    pub costs: Vec<HostCost>,
}

/// What one host function took in an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCost {
    /// Its name.
    pub function: &'static str,
    /// How often it was called.
    pub calls: u64,
    /// What that cost.
    pub gas: Gas,
}
