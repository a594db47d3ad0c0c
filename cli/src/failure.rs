//! How a command ends: the exit codes, and the message on standard error.

use chancery_node::{NodeError, Refusal, StateError};
use std::io::ErrorKind;

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
        let advice =
            if error.kind() == ErrorKind::PermissionDenied { format!("; {PERMISSIONS}") } else { String::new() };
        Failure { code, message: format!("{what} {}: {error}{advice}", path.display()) }
    }

    /// What kept a command from its end that writes something else than a call: for want of room, `what` says what is not done.
    pub fn unfinished(error: NodeError, what: &str) -> Self {
        if !matches!(error, NodeError::DiskFull) {
            return error.into();
        }
        let message =
            format!("the disk is full: {what}. Make room (bytes, or inodes: `df -i`) and run the command again");
        Failure { code: Code::Unavailable, message }
    }
}

/// The end of a command that has two: the code is that of the first that failed, and each says why.
pub fn both(first: Outcome, second: Outcome) -> Outcome {
    match (first, second) {
        (Err(Failure { code, message }), Err(second)) => {
            Err(Failure { code, message: format!("{message}\n{}", second.message) })
        }
        (first, second) => first.and(second),
    }
}

/// What a person does where something may not be read or written.
pub const PERMISSIONS: &str = "look at owner and permissions of that path and of those above it";

/// What a person does about an error of the system.
fn advice(error: &std::io::Error) -> Option<(Code, &'static str)> {
    match error.kind() {
        ErrorKind::PermissionDenied => Some((Code::Unavailable, PERMISSIONS)),
        ErrorKind::ReadOnlyFilesystem => Some((
            Code::Unavailable,
            "the file system is read-only: mount it for writing, or use `log verify`, which writes nothing",
        )),
        ErrorKind::InvalidInput => Some((Code::Usage, "nothing was changed")),
        ErrorKind::NotFound => Some((Code::NotVerified, "put it back, or restore it from a copy")),
        ErrorKind::NotADirectory => Some((Code::Usage, "expected a directory, found a file on that path")),
        ErrorKind::IsADirectory => Some((Code::Usage, "expected a file, found a directory")),
        _ => None,
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        if let NodeError::Io { source, .. } = &error
            && let Some((code, advice)) = advice(source)
        {
            return Failure { code, message: format!("{error}; {advice}") };
        }
        let code = match &error {
            NodeError::NoLedger(_)
            | NodeError::NoPublicLog(_)
            | NodeError::NoEntry { .. }
            | NodeError::NoContract(_)
            | NodeError::NoModule(_)
            | NodeError::NoSnapshot(_)
            | NodeError::NoHeight { .. } => Code::NotFound,
            NodeError::NoMethod { .. }
            | NodeError::NotAdmitted(_)
            | NodeError::BadOrigin(_)
            | NodeError::NotEmpty(_)
            | NodeError::Receipt(_)
            | NodeError::Policy(_)
            | NodeError::Export(_)
            | NodeError::Mirror(_)
            | NodeError::InLedger { .. }
            | NodeError::SnapshotPlace(_)
            | NodeError::NotProfiled(_)
            | NodeError::Audit(_) => Code::Usage,
            NodeError::Damaged { .. }
            | NodeError::DamagedFile(_)
            | NodeError::Lost { .. }
            | NodeError::NoSegment(_)
            | NodeError::Foreign { .. }
            | NodeError::Inconsistent { .. }
            | NodeError::Diverged { .. }
            | NodeError::NotContinued(_)
            | NodeError::Public(_)
            | NodeError::Forked { .. }
            | NodeError::RolledBack { .. }
            | NodeError::NoFormat { .. }
            | NodeError::Unfinished(_)
            | NodeError::Snapshot(_)
            | NodeError::Witness(_)
            | NodeError::Memory(_)
            | NodeError::Checkpoint(_) => Code::NotVerified,
            NodeError::State(StateError::Full)
            | NodeError::Locked(_)
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
