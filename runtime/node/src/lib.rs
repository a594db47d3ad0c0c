//! A ledger: what orders, executes, records and verifies calls.
//!
//! Read it in the order in which a call passes through: [`ledger`] (submission and its checks, reading) → [`sequencer`] (order, execute,
//! entry, commit point) → [`journal`] (the durable log) → [`committed`] (the state on the view, and the thread behind the commit point).
//! [`recovery`] opens a ledger after any stop, [`mod@verify`] checks a whole log, [`witness`] asks others to cosign it, and
//! [`witness_server`] is such another. [`disk`] is the
//! only place that writes files, [`http`] the only one that uses the network.

#![forbid(unsafe_code)]

pub mod committed;
pub mod disk;
mod error;
pub mod http;
pub mod journal;
pub mod ledger;
pub mod recovery;
pub mod registry;
pub mod sequencer;
pub mod verify;
pub mod witness;
pub mod witness_server;

pub use chancery_engine::{Compiler, Execution};
pub use chancery_state::{Pair, Scan};
pub use error::{NodeError, Refusal};
pub use ledger::{Clock, Head, Ledger, Options, Progress, SystemClock};
pub use registry::ContractRecord;
pub use sequencer::{Answer, Ticket};
pub use verify::{Report, verify};
