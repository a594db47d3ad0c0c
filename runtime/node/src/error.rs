//! What can go wrong, for the node and for a caller.

use chancery_engine::{AdmissionError, LoadError, NodeFault};
use chancery_state::StateError;
use std::io;
use std::path::{Path, PathBuf};

/// A fault of the node, or a request that it cannot serve. None of them is an outcome of a call.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// There is no ledger here.
    #[error("{0} holds no ledger: make one with `chancery init`, or name another directory with --data")]
    NoLedger(PathBuf),
    /// There is no public log here, and no ledger.
    #[error("{0} holds neither a ledger nor a public log: name the directory of either, or the URL of a public log")]
    NoPublicLog(String),
    /// There is a ledger already.
    #[error(
        "{0} is not empty: a new ledger needs a directory of its own: name another; or, where an interrupted `init` or `snapshot restore` left this one, without a file `format` in it, remove it and run the command again"
    )]
    NotEmpty(PathBuf),
    /// The directory has another format.
    #[error(
        "{} has ledger format {found}, this program reads {expected}: use the version of the program that wrote it, or a newer one",
        .path.join("format").display()
    )]
    Format {
        /// The directory.
        path: PathBuf,
        /// What the program reads.
        expected: u32,
        /// What the directory says.
        found: String,
    },
    /// The file that says the format is missing beside a journal.
    #[error(
        "{0} is missing, though a journal lies beside it: restore it from a copy; or, where the making of a new ledger was interrupted, remove the directory and make it again"
    )]
    Unfinished(PathBuf),
    /// The file that says the format says nothing of the kind.
    #[error(
        "{path} is damaged or not of this program: expected `chancery ledger {expected}` and a line feed, found {found:?}. Restore it from a copy; nothing was changed"
    )]
    NoFormat {
        /// The file.
        path: PathBuf,
        /// What the program writes.
        expected: u32,
        /// What stands in the file.
        found: String,
    },
    /// Another process has the ledger open.
    #[error("{0} is in use by another process: wait until it is done, or stop it")]
    Locked(PathBuf),
    /// The origin cannot name a log.
    #[error(
        "`{0}` cannot be an origin: expected a URL without scheme, spaces and `+`, for instance ledger.example/town"
    )]
    BadOrigin(String),
    /// A frame is damaged although valid data follows it.
    #[error(
        "{file} is damaged at byte {offset} (frame of entry {index}), and valid data follows: this is rot or tampering, not an interrupted write. Restore the file from a copy; nothing was changed"
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where.
        offset: u64,
        /// The entry that was expected there.
        index: u64,
    },
    /// A file is not what its name says.
    #[error("{0} is damaged: its name is not the BLAKE3 of its bytes. Restore it from a copy")]
    DamagedFile(PathBuf),
    /// The journal ends too early.
    #[error(
        "{file} ends at byte {offset}, before entry {index}, and there is no {}, but {by} covers {entries} entries: the end of the journal was lost, or an older copy was put in place. Restore the newer one; nothing was changed",
        .next.display()
    )]
    Lost {
        /// The file in which the journal ends.
        file: PathBuf,
        /// Where.
        offset: u64,
        /// The entry that is missing first.
        index: u64,
        /// What covers more.
        by: &'static str,
        /// How many entries it covers.
        entries: u64,
        /// The file that would come next.
        next: PathBuf,
    },
    /// A segment of the journal is missing.
    #[error("{0} is missing: put it back, or restore it from a copy; nothing was changed")]
    NoSegment(PathBuf),
    /// A file of another ledger lies here.
    #[error("{file} is of ledger {found}, {} of {expected}: put the right file there; nothing was changed", .first.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// The first one, which is held to be this ledger's.
        first: PathBuf,
        /// This ledger, by the first file.
        expected: chancery_types::LedgerId,
        /// The file's.
        found: chancery_types::LedgerId,
    },
    /// The log contradicts itself.
    #[error("entry {index}: {problem}: the log was changed after it was written, or written by a faulty program")]
    Inconsistent {
        /// Which entry.
        index: u64,
        /// What is wrong.
        problem: String,
    },
    /// Executing again gives something else than was recorded.
    #[error(
        "entry {index}: {field}: recorded {recorded}, executed again {executed}: the record is not what the module does with this call on this state"
    )]
    Diverged {
        /// Which entry.
        index: u64,
        /// Which part of it.
        field: &'static str,
        /// What the entry says.
        recorded: String,
        /// What executing again gave.
        executed: String,
    },
    /// An audit cannot be done: the progress file is none, or the log was written under another price list.
    #[error("the audit cannot go on: {0}")]
    Audit(String),
    /// The log does not go on from what an earlier audit found: it ends before that, or has another root or state
    /// there.
    #[error("the log does not continue what was audited before: {0}")]
    NotContinued(String),
    /// A call cannot be profiled.
    #[error("the call cannot be profiled: {0}")]
    NotProfiled(String),
    /// The checkpoint does not fit the log.
    #[error("the published checkpoint does not fit the journal: {0}")]
    Checkpoint(String),
    /// A receipt or proof cannot be made.
    #[error("no such receipt can be made: {0}")]
    Receipt(String),
    /// No such block.
    #[error("there is no block at height {height}: the last one is at {head}")]
    NoHeight {
        /// What was asked for.
        height: chancery_types::Height,
        /// The last block's.
        head: chancery_types::Height,
    },
    /// The log is not public up to where it was waited for.
    #[error(
        "not public: {0}. What is logged is durable; it is published when the ledger is opened again with its log key"
    )]
    NotPublished(String),
    /// Too few witnesses cosigned.
    #[error("not witnessed: {0}. What is published stays so; the witnesses are asked again: ask for it later")]
    NotWitnessed(String),
    /// A witness contradicts this ledger.
    #[error(
        "{0}. Nothing more is signed. Restore the newest copy of the journal, or stop the other instance; without the log key the ledger can be opened for reading"
    )]
    Witness(String),
    /// A policy cannot be used.
    #[error("the policy cannot be used: {0}")]
    Policy(String),
    /// An export cannot be made.
    #[error("the log cannot be exported: {0}")]
    Export(String),
    /// A log cannot be mirrored.
    #[error("the log cannot be mirrored: {0}")]
    Mirror(String),
    /// An export, a mirror, a snapshot or a witness's memory would lie in a ledger.
    #[error(
        "{path} lies in a ledger's directory, {ledger}, in which nothing else is written: name a directory outside of it"
    )]
    InLedger {
        /// The directory.
        path: PathBuf,
        /// The ledger's.
        ledger: PathBuf,
    },
    /// The memory of a witness cannot be used.
    #[error("the witness does not know what it cosigned: {0}")]
    Memory(String),
    /// A log was forked.
    #[error(
        "the log at {place} is forked: its signed checkpoint over {theirs} entries and the one over {ours} entries that this mirror holds are of two histories. Both are kept, {} and {}: publish them, they are the proof. Nothing was taken over",
        .kept.display(),
        .evidence.display()
    )]
    Forked {
        /// The log.
        place: String,
        /// Entries of the checkpoint that is held.
        ours: u64,
        /// Entries of the one that contradicts it.
        theirs: u64,
        /// Where the former is kept.
        kept: PathBuf,
        /// Where the latter is kept.
        evidence: PathBuf,
    },
    /// A log went back.
    #[error(
        "the log at {place} was rolled back: it shows a checkpoint over {theirs} entries, this mirror holds one over {ours}. An older copy was put in place, or entries are withheld; both checkpoints are kept, {} and {}. Nothing was taken over",
        .kept.display(),
        .evidence.display()
    )]
    RolledBack {
        /// The log.
        place: String,
        /// Entries of the checkpoint that is held.
        ours: u64,
        /// Entries of the one that is shown now.
        theirs: u64,
        /// Where the former is kept.
        kept: PathBuf,
        /// Where the latter is kept.
        evidence: PathBuf,
    },
    /// A public log does not verify.
    #[error("the public log does not verify: {0}")]
    Public(String),
    /// No snapshot here.
    #[error("{0} holds no snapshot: make one with `chancery snapshot create`")]
    NoSnapshot(PathBuf),
    /// A snapshot cannot be made there.
    #[error("no snapshot can be made: {0}")]
    SnapshotPlace(String),
    /// A snapshot does not verify.
    #[error("the snapshot does not verify: {0}")]
    Snapshot(String),
    /// No room for the next block.
    #[error(
        "the disk is full: the call was not recorded. Make room (bytes, or inodes: `df -i`) and send it again, with the same request id"
    )]
    DiskFull,
    /// The node stopped after a fault.
    #[error(
        "the ledger has stopped after a fault ({0}): look at the disk, open it again, and send again, with the same request ids, what was not answered"
    )]
    Stopped(String),
    /// No such entry.
    #[error("there is no entry {index}: the log has {size}")]
    NoEntry {
        /// What was asked for.
        index: u64,
        /// How many there are.
        size: u64,
    },
    /// No such contract.
    #[error("no contract is named `{0}` on this ledger")]
    NoContract(String),
    /// No such method.
    #[error("contract `{contract}` has no method `{method}` that may be used so: {expected}")]
    NoMethod {
        /// The contract.
        contract: String,
        /// What was asked for.
        method: String,
        /// What there is.
        expected: String,
    },
    /// A module is not admitted.
    #[error("the module is not admitted: {0}")]
    NotAdmitted(#[from] AdmissionError),
    /// A module is missing.
    #[error("the module {0} is not in the blob store: restore blobs/ from a copy")]
    NoModule(chancery_types::ModuleId),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] NodeFault),
    /// The module could not be loaded.
    #[error("the module cannot be loaded: {0}")]
    Load(String),
    /// The store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A file operation failed.
    #[error("{what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl NodeError {
    /// The file that is at fault, where it is known to be one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            NodeError::Damaged { file, .. } | NodeError::Lost { file, .. } | NodeError::Foreign { file, .. } => {
                Some(file)
            }
            NodeError::DamagedFile(file) | NodeError::NoSegment(file) => Some(file),
            NodeError::Io { path, .. } => Some(path),
            _ => None,
        }
    }
}

impl From<LoadError> for NodeError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::NotAdmitted(error) => NodeError::NotAdmitted(error),
            LoadError::Fault(fault) => NodeError::Engine(fault),
            other => NodeError::Load(other.to_string()),
        }
    }
}

/// Why a call is not ordered. It leaves no entry.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The signature is not the actor's.
    #[error("the signature is not that of {0}: sign the call with the key that it names")]
    BadSignature(String),
    /// The call is for another ledger.
    #[error("the call is for ledger {found}, this is {expected}: sign it anew for this one")]
    WrongLedger {
        /// This ledger.
        expected: chancery_types::LedgerId,
        /// The call's.
        found: chancery_types::LedgerId,
    },
    /// The call's time has passed.
    #[error("the call was valid until {valid_until}, it is {now}: sign it anew with a later time")]
    Expired {
        /// The call's.
        valid_until: chancery_types::Timestamp,
        /// The ledger's.
        now: chancery_types::Timestamp,
    },
    /// A name or the arguments exceed their limits.
    #[error("{what}: at most {limit} bytes, found {found}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// What was found.
        found: usize,
    },
    /// The call's path to the root that was signed exceeds its limit.
    #[error("the call's path has {found} steps, at most {limit} are allowed: sign fewer calls together")]
    LongPath {
        /// The limit.
        limit: usize,
        /// What was found.
        found: usize,
    },
    /// A name is misspelt.
    #[error(
        "`{0}` cannot be a name: expected lower-case letters, digits and `-` (contracts) or `_` (methods), a letter first"
    )]
    BadName(String),
    /// The request id stands for another call.
    #[error("request {request} is entry {index} already, with another body: choose a new request id for a new call")]
    RequestReused {
        /// The id.
        request: chancery_types::RequestId,
        /// The entry of the first call.
        index: u64,
    },
    /// The node cannot serve.
    #[error(transparent)]
    Node(#[from] NodeError),
}
