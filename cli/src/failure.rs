//! How a command ends: the exit codes, and the message on standard error.

use chancery_node::{NodeError, Refusal};

/// What went wrong, by exit code. `docs/src/reference/commands.md` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A fault of the program or the machine.
    Internal = 1,
    /// The command line, a file or a value given is wrong.
    Usage = 2,
    /// The call was recorded, or rows were, and refused.
    Refused = 3,
    /// What was named does not exist.
    NotFound = 4,
    /// The log or a proof does not verify.
    NotVerified = 5,
    /// The ledger cannot be used now: locked, full, of another version.
    Unavailable = 6,
}

/// The end of a command that did not succeed.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: Code,
    /// What happened and what to do.
    pub message: String,
}

/// What a command gives.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub fn usage(message: impl Into<String>) -> Self {
        Failure { code: Code::Usage, message: message.into() }
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Failure { code: Code::NotFound, message: message.into() }
    }

    pub fn refused(message: impl Into<String>) -> Self {
        Failure { code: Code::Refused, message: message.into() }
    }

    pub fn internal(message: impl std::fmt::Display) -> Self {
        Failure { code: Code::Internal, message: message.to_string() }
    }

    /// A file that cannot be read or written.
    pub fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let code = match error.kind() {
            std::io::ErrorKind::NotFound => Code::NotFound,
            std::io::ErrorKind::StorageFull => Code::Unavailable,
            _ => Code::Usage,
        };
        Failure { code, message: format!("{what} {}: {error}", path.display()) }
    }
}

/// How the standard library ends the text of `ENOSPC`. The store hands on texts alone.
const NO_SPACE: &str = "(os error 28)";

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        let derived = matches!(error, NodeError::State(_) | NodeError::Io { .. } | NodeError::Stopped(_));
        if derived && error.to_string().contains(NO_SPACE) {
            let message =
                format!("the disk is full: make room, then do it again, a call with its same request id ({error})");
            return Failure { code: Code::Unavailable, message };
        }
        let code = match &error {
            NodeError::NoLedger(_)
            | NodeError::NoEntry { .. }
            | NodeError::NoContract(_)
            | NodeError::NoModule(_)
            | NodeError::NoHeight { .. } => Code::NotFound,
            NodeError::NoMethod { .. }
            | NodeError::NotAdmitted(_)
            | NodeError::BadOrigin(_)
            | NodeError::NotEmpty(_)
            | NodeError::Receipt(_)
            | NodeError::Policy(_)
            | NodeError::Export(_)
            | NodeError::Audit(_) => Code::Usage,
            NodeError::Damaged { .. }
            | NodeError::DamagedFile(_)
            | NodeError::Lost { .. }
            | NodeError::NoSegment(_)
            | NodeError::Foreign { .. }
            | NodeError::Inconsistent { .. }
            | NodeError::Diverged { .. }
            | NodeError::Public(_)
            | NodeError::Witness(_)
            | NodeError::Checkpoint(_) => Code::NotVerified,
            NodeError::Locked(_)
            | NodeError::Format { .. }
            | NodeError::DiskFull
            | NodeError::Stopped(_)
            | NodeError::NotPublished(_)
            | NodeError::NotWitnessed(_) => Code::Unavailable,
            NodeError::Engine(_) | NodeError::Load(_) | NodeError::State(_) | NodeError::Io { .. } => Code::Internal,
        };
        Failure { code, message: error.to_string() }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Node(error) => error.into(),
            other => Failure::usage(other.to_string()),
        }
    }
}
