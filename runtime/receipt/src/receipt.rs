//! The receipt of an entry.
//!
//! ```text
//! chancery/receipt@v1
//! entry <base64>                    the entry's bytes, the leaf of the log
//! module <base64>                   optional: the module whose BLAKE3 the entry names; it carries its interface description
//! trace <base64>                    optional: the decision trace whose BLAKE3 the entry holds
//! writes <base64>                   optional: the write set whose BLAKE3 the entry holds
//!                                   an empty line
//! <the tlog-proof of the entry>
//!                                   then any number of times: an empty line,
//! <a state proof of the same log>
//! ```
//!
//! The module stands there whole because its description alone would prove nothing: the entry names the digest of the module. With
//! it, arguments and result can be shown in words for ever; with the trace, the reasoning.

use crate::lines::{Lines, push_bytes};
use crate::logged::{Logged, check_entry};
use crate::state_proof::NEXT;
use crate::{FILE_BYTES_MAX, Policy, ReceiptError, StateProof, TlogProof, VerifiedState, module};
use chancery_types::codec::{Decode, Encode};
use chancery_types::decision::Trace;
use chancery_types::entry::{ENTRY_BYTES_MAX, WriteSet};
use chancery_types::{Entry, Hash, Interface, Record};

/// The first line.
pub const HEADER: &str = "chancery/receipt@v1";
/// Longest module, trace and write set that are read, in bytes.
const PART_BYTES_MAX: usize = 1 << 20;
/// Most state proofs of a receipt.
pub const STATES_MAX: usize = 64;

/// The parts of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// The module that was executed.
    pub module: Option<Vec<u8>>,
    /// The encoded decision trace.
    pub trace: Option<Vec<u8>>,
    /// The encoded write set.
    pub writes: Option<Vec<u8>>,
    /// The entry's place in the log.
    pub proof: TlogProof,
    /// Values of the state.
    pub states: Vec<StateProof>,
}

/// What a receipt shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedReceipt {
    /// Where the entry stands.
    pub log: Logged,
    /// The entry.
    pub entry: Entry,
    /// The interface description of the module that was executed, where the receipt holds the module.
    pub interface: Option<Interface>,
    /// The reasoning, where the receipt holds it.
    pub trace: Option<Trace>,
    /// What the call changed, where the receipt holds it.
    pub writes: Option<WriteSet>,
    /// Values of the state.
    pub states: Vec<VerifiedState>,
}

impl Receipt {
    /// The receipt of an entry without anything that is optional.
    pub fn new(entry: Vec<u8>, proof: TlogProof) -> Self {
        Receipt { entry, module: None, trace: None, writes: None, proof, states: Vec::new() }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`] or [`ReceiptError::TooLong`].
    pub fn parse(file: &[u8]) -> Result<Self, ReceiptError> {
        let mut lines = Lines::of_file(file)?;
        lines.header(HEADER)?;
        let entry = lines.bytes("entry", ENTRY_BYTES_MAX)?;
        let mut optional = |name: &'static str, start: &str| {
            lines.next_is(start).then(|| lines.bytes(name, PART_BYTES_MAX)).transpose()
        };
        let module = optional("module", "module ")?;
        let trace = optional("trace", "trace ")?;
        let writes = optional("writes", "writes ")?;
        lines.empty("entry")?;
        let proof = lines.tlog_proof(NEXT)?;
        let mut states = Vec::new();
        while lines.next_is(&NEXT[1..]) {
            lines.empty("state proof")?;
            states.push(StateProof::read(&mut lines)?);
            if states.len() > STATES_MAX {
                return Err(lines.malformed("state proof", format!("expected at most {STATES_MAX}")));
            }
        }
        let found = Receipt { entry, module, trace, writes, proof, states };
        lines.canonical(file, &found.to_text()?)?;
        Ok(found)
    }

    /// The file.
    ///
    /// # Errors
    /// [`ReceiptError::TooLong`]: leave out what is optional.
    pub fn to_text(&self) -> Result<String, ReceiptError> {
        let mut out = format!("{HEADER}\n");
        push_bytes(&mut out, "entry", &self.entry);
        for (name, part) in [("module", &self.module), ("trace", &self.trace), ("writes", &self.writes)] {
            if let Some(bytes) = part {
                push_bytes(&mut out, name, bytes);
            }
        }
        out.push('\n');
        out.push_str(&self.proof.to_string());
        for state in &self.states {
            out.push('\n');
            state.write(&mut out);
        }
        if out.len() > FILE_BYTES_MAX { Err(ReceiptError::TooLong { found: out.len() }) } else { Ok(out) }
    }

    /// Verifies everything that the receipt holds, against a checkpoint that the policy accepts.
    ///
    /// # Errors
    /// [`ReceiptError::Untrue`] names the first part that does not hold.
    pub fn verify(&self, policy: &Policy) -> Result<VerifiedReceipt, ReceiptError> {
        let (entry, log) = check_entry("entry", &self.entry, &self.proof, policy)?;
        let mut verified =
            VerifiedReceipt { log, entry, interface: None, trace: None, writes: None, states: Vec::new() };
        match &verified.entry.record {
            Record::Call { signed, module, trace, writes, .. } => {
                if !signed.is_authentic() {
                    return Err(ReceiptError::untrue("actor", "the call is not signed by the actor that it names"));
                }
                if let Some(wasm) = &self.module {
                    check_digest("module", wasm, &Hash(module.0))?;
                    let interface = module::interface(wasm);
                    verified.interface = Some(interface.map_err(|problem| ReceiptError::untrue("module", problem))?);
                }
                verified.trace = self.trace.as_deref().map(|bytes| preimage("trace", bytes, trace)).transpose()?;
                verified.writes = self.writes.as_deref().map(|bytes| preimage("writes", bytes, writes)).transpose()?;
            }
            _ => {
                let parts = [("module", &self.module), ("trace", &self.trace), ("writes", &self.writes)];
                if let Some((field, _)) = parts.into_iter().find(|(_, part)| part.is_some()) {
                    return Err(ReceiptError::untrue(field, "the entry is no call and names none"));
                }
            }
        }
        for state in &self.states {
            let state = state.verify(policy)?;
            if state.log.origin != verified.log.origin {
                let (found, expected) = (&state.log.origin, &verified.log.origin);
                let problem = format!("expected a proof of the log `{expected}`, found one of `{found}`");
                return Err(ReceiptError::untrue("state proof", problem));
            }
            verified.states.push(state);
        }
        Ok(verified)
    }
}

fn check_digest(field: &'static str, bytes: &[u8], expected: &Hash) -> Result<(), ReceiptError> {
    let found = Hash::of(bytes);
    if found == *expected {
        return Ok(());
    }
    Err(ReceiptError::untrue(field, format!("the entry names one of BLAKE3 {expected}, this has {found}")))
}

/// A value of which the entry holds the digest.
fn preimage<T: Decode + Encode>(field: &'static str, bytes: &[u8], digest: &Hash) -> Result<T, ReceiptError> {
    check_digest(field, bytes, digest)?;
    let value = T::from_bytes(bytes);
    let value = value.map_err(|error| ReceiptError::untrue(field, format!("it does not decode: {error}")))?;
    if value.to_bytes() == bytes {
        Ok(value)
    } else {
        Err(ReceiptError::untrue(field, "it is not in its one encoding"))
    }
}
