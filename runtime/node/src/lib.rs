//! A ledger: what orders, executes, records and verifies calls.
//!
//! # A call's path
//!
//! - `ledger`: an open ledger: opening and closing it, submission and its checks, reading
//! - `options`: how it is opened
//! - `actors`: the keys of actors, kept ready to verify
//! - `answer`: what a caller waits for, and gets
//! - `error`: what can go wrong: [`NodeError`], [`Refusal`]
//! - `pipeline`: who orders, executes and records a call: threads, or the caller's own
//! - `stages`: the threads, and what they hear from one another
//! - `sequencer`: order and execution
//! - `execute`: one call or query on a store
//! - [`registry`]: which contracts there are, as records in the state
//! - `blobs`: modules by their BLAKE3, durable before the entry that names them
//! - `recorder`: entries, seal, commit point
//! - [`journal`]: the log on disk, the only durable truth
//! - `committed`: the committed state, and the thread that applies it to the view
//! - `requests`: which entry a request id led to
//! - `health`: whether the ledger takes calls
//! - `metrics`: what a running ledger tells about itself
//! - [`prometheus`]: the same as text, in a file
//! - [`profile`]: a dry run that shows where the gas goes
//! - `stack`: threads whose stack the engine cannot exhaust
//! - `decode`: entries and effects from the bytes of the log
//! - `random`: randomness, from the system alone
//!
//! # Opening
//!
//! - `directory`: what lies where in a ledger's directory, and how it is made
//! - `recovery`: opens a ledger after any stop
//! - `checkpoint`: the published checkpoint that its directory has, and the log's key
//! - `replay`: brings the view to the end of the journal
//! - `summary`: what a clean stop writes down of a long log
//! - `settled`: the mark of a view that a clean stop left whole
//! - `disk`: the only way to files
//!
//! # Publishing
//!
//! - `content`: the entries of the log and their hashes
//! - `publication`: tiles, entry bundles and the signed checkpoint
//! - [`witness`]: asks witnesses for cosignatures
//! - [`witness_server`]: a witness that serves
//! - `proofs`: receipts, and proofs of inclusion, consistency and state
//! - `export`: the public log with all that verifies it elsewhere
//! - [`retention`]: what is kept of a ledger, said in every export
//! - `target`: what exports, mirrors, snapshots and witnesses may write into
//! - [`mod@snapshot`]: a copy from which a ledger is restored
//! - `mirror`: follows another ledger's public log and keeps a copy
//! - [`http`]: the only way to the network
//!
//! # Checking
//!
//! - `walk`: goes through a log, every entry for itself and in order
//! - `verify`: a whole ledger from its files, without executing
//! - `audit`: every call executed again
//! - `public`: a public log from its files or its URL
//! - [`doctor`]: examines a directory, and makes again what is derived
//! - `failpoint`: points of the commit path at which a test kills the process
//! - `sim`: a disk that fails by a seed, for tests

#![forbid(unsafe_code)]

mod actors;
mod answer;
mod audit;
mod blobs;
mod checkpoint;
mod committed;
mod content;
mod decode;
mod directory;
mod disk;
pub mod doctor;
mod error;
mod execute;
mod export;
#[cfg(feature = "failpoints")]
pub mod failpoint;
#[cfg(not(feature = "failpoints"))]
pub(crate) mod failpoint;
mod health;
pub mod http;
pub mod journal;
mod ledger;
mod metrics;
mod mirror;
mod options;
mod pipeline;
pub mod profile;
pub mod prometheus;
mod proofs;
mod public;
mod publication;
mod random;
mod recorder;
mod recovery;
pub mod registry;
mod replay;
mod requests;
pub mod retention;
mod sequencer;
mod settled;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod snapshot;
mod stack;
mod stages;
mod summary;
mod target;
mod verify;
mod walk;
pub mod witness;
pub mod witness_server;

pub use answer::{Answer, Ticket};
pub use audit::{Audit, AuditOptions, audit};
pub use chancery_engine::{Compiler, Execution};
pub use chancery_state::{Pair, Scan, StateError};
pub use disk::{Disk, DiskFile, OsDisk};
pub use doctor::{Diagnosis, Finding};
pub use error::{NodeError, Refusal};
pub use export::Exported;
pub use health::State;
pub use ledger::{Checked, Head, Ledger};
pub use mirror::{Mirror, Mirrored};
pub use options::{Clock, OpenView, Options, Progress, SystemClock};
pub use proofs::Parts;
pub use public::{Place, PublicReport, verify_public};
pub use publication::Level;
pub use registry::ContractRecord;
pub use verify::{Report, verify, verify_on};
