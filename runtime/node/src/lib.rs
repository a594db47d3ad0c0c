//! A ledger: what orders, executes, records and verifies calls.
//!
//! Read it in the order in which a call passes through: [`ledger`] (submission and its checks, reading) → `pipeline` (who does what follows; `stages` sets them to work) → [`sequencer`] (order) → `execute`
//! → [`recorder`] (entry, commit point) → [`journal`] (the durable log) → [`committed`] (the state on the view, `requests` where a request id was used, and the thread behind the commit point).
//! [`recovery`] opens a ledger after any stop, a long one from the `summary` of a clean stop, [`mod@verify`] checks a whole log, [`mod@audit`] executes it again. [`publication`] makes the log
//! (`content`: entries and their hashes) public, [`proofs`] hands out what verifies without it, [`export`] all of it, [`mod@snapshot`] makes a copy from which a ledger is restored, [`public`] verifies such a log, [`mirror`] follows one, [`doctor`] examines a directory, [`witness`] asks others to cosign
//! it, and [`witness_server`] is such another. `metrics` is what a running ledger tells, [`prometheus`] writes it down. [`disk`] is the only way to files, [`http`] the only one to the network.

#![forbid(unsafe_code)]

mod actors;
mod answer;
pub mod audit;
mod blobs;
pub mod committed;
mod content;
pub mod disk;
pub mod doctor;
mod error;
mod execute;
pub mod export;
#[cfg(feature = "failpoints")]
pub mod failpoint;
#[cfg(not(feature = "failpoints"))]
pub(crate) mod failpoint;
pub mod health;
pub mod http;
pub mod journal;
pub mod ledger;
mod metrics;
pub mod mirror;
mod pipeline;
pub mod profile;
pub mod prometheus;
pub mod proofs;
pub mod public;
pub mod publication;
pub mod recorder;
pub mod recovery;
pub mod registry;
mod replay;
mod requests;
pub mod retention;
pub mod sequencer;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod snapshot;
mod stack;
mod stages;
mod summary;
pub mod verify;
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
pub use ledger::{Checked, Clock, Head, Ledger, Options, Progress, SystemClock};
pub use mirror::{Mirror, Mirrored};
pub use proofs::Parts;
pub use public::{Place, PublicReport, verify_public};
pub use publication::Level;
pub use registry::ContractRecord;
pub use verify::{Report, verify, verify_on};
