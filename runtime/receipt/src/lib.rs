//! What is handed out: receipts of entries and proofs of state, each one file that verifies offline, for ever, with nothing but a policy
//! that says whose checkpoints are trusted. Pure, without I/O; it compiles for wasm32, and a browser verifies with the same code.
//!
//! - [`receipt`]: an entry, where it stands in the log, and on request what its digests cover;
//! - [`state_proof`]: what a key of the state held, or that it held nothing, at the height of a seal.
//! - [`consistency`]: two checkpoints of a log that only grew between them.
//!
//! Each module's header is the specification (`docs/src/formats/receipt.md` says the same at length); what makes a file stands beside what
//! checks it. Trust: none in the file. A file is one of three things: not of the format ([`ReceiptError::Malformed`]), of the format
//! but untrue ([`ReceiptError::Untrue`]), or verified, and only a verified value gives its content out.
//!
//! A text has one spelling: fields in their order, lower-case hexadecimal, padded base64, one line feed after every line. A reader
//! writes what it read and compares.

#![forbid(unsafe_code)]

pub mod consistency;
mod lines;
mod logged;
mod module;
pub mod receipt;
pub mod state_proof;

pub use chancery_tlog::{Policy, TlogProof};
pub use consistency::{ConsistencyProof, VerifiedConsistency};
pub use logged::{Logged, Witnessed};
pub use receipt::{Receipt, VerifiedReceipt};
pub use state_proof::{StateProof, VerifiedState};

/// Longest file in bytes. The largest entry, trace, module and value fit together, with four checkpoints.
pub const FILE_BYTES_MAX: usize = 4 << 20;

/// Why a file is not made or not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The file is not of its format.
    #[error("not a well-formed file: line {line}, {field}: {problem}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The field.
        field: &'static str,
        /// What was expected and what was found.
        problem: String,
    },
    /// The file is of its format, and what it claims does not hold.
    #[error("not verified: {field}: {problem}")]
    Untrue {
        /// The field.
        field: &'static str,
        /// What was expected and what was found.
        problem: String,
    },
    /// The file would be, or is, longer than [`FILE_BYTES_MAX`].
    #[error(
        "the file has {found} bytes, at most {FILE_BYTES_MAX} are read: leave out the module, the trace or the writes, which can be had elsewhere"
    )]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
}

impl ReceiptError {
    fn untrue(field: &'static str, problem: impl Into<String>) -> Self {
        ReceiptError::Untrue { field, problem: problem.into() }
    }
}

/// A file that was verified, of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It is a receipt.
    Receipt(VerifiedReceipt),
    /// It is a proof of state.
    State(VerifiedState),
    /// It is a proof of consistency.
    Consistency(VerifiedConsistency),
}

/// Verifies a file of any kind; its first line says which it is. What has another first line is taken for a receipt.
///
/// # Errors
/// [`ReceiptError`] names the field that is malformed or untrue.
pub fn verify(file: &[u8], policy: &Policy) -> Result<Verified, ReceiptError> {
    let header = file.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if header.starts_with(b"chancery/state-proof@") {
        StateProof::parse(file)?.verify(policy).map(Verified::State)
    } else if header.starts_with(b"chancery/consistency-proof@") {
        ConsistencyProof::parse(file)?.verify(policy).map(Verified::Consistency)
    } else {
        Receipt::parse(file)?.verify(policy).map(Verified::Receipt)
    }
}
