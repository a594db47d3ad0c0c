//! One execution: what a module must be, what it may do, what it costs.
//!
//! In the order in which a module passes through: [`admission`] (limits, before anything is compiled) → [`instrument`](mod@instrument) (gas
//! and stack counters of our own) → `compile` (Cranelift, in a child process where wanted) → `cache` (authenticated files) →
//! `loaded` (bounded, in memory) → `execution` (an instance for each call, fresh or restored: `instance`) with [`host`] (what the host functions do), glued to wasmtime by `linker`.
//! [`profile`] shows where the gas of a call goes, [`sources`] what a module was built from. [`limits`] and [`prices`] hold every number.
//!
//! Two families of failure never mix: what a contract does wrong is an [`Outcome`](chancery_types::Outcome); what the node does wrong is
//! a [`NodeFault`] and never becomes one.

pub mod admission;
mod cache;
mod call;
mod compile;
mod error;
mod execution;
#[cfg(test)]
mod fixtures;
pub mod host;
mod instance;
pub mod instrument;
pub mod limits;
mod linker;
mod loaded;
mod operators;
pub mod prices;
pub mod profile;
mod sections;
pub mod sources;

pub use admission::{AdmissionError, Admitted, Check, MemoryLimit, Profile, admit, admit_new, check, strip};
pub use cache::Cache;
pub use call::{CONTEXT_BYTES, Context, Execution, HostCost, Invocation, Kind};
pub use compile::{Backend, Compiler, compile_child, configuration};
pub use error::{LoadError, NodeFault};
pub use execution::{Allocation, Config, Engine, Instances, Module};
pub use host::{HOST_FUNCTIONS, Host, Stop, c_header};
pub use instrument::instrument_for_comparison;
pub use profile::Profiler;
