//! The commands, one file each.

pub mod audit;
pub mod batch;
pub mod bench;
pub mod build;
pub mod call;
pub mod check;
pub mod completion;
pub mod demo;
pub mod deploy;
pub mod doctor;
pub mod init;
pub mod inspect;
pub mod key;
pub mod log;
pub mod mirror;
pub mod new;
pub mod profile;
pub mod query;
pub mod receipt;
pub mod snapshot;
pub mod state;
pub mod witness;

/// What the program does.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make a new ledger.
    Init(init::Arguments),
    /// Make and show keys.
    Key(key::Arguments),
    /// Start a contract project from a template.
    New(new::Arguments),
    /// Compile a contract to wasm, strip it, and check it.
    Build(build::Arguments),
    /// Show every limit of admission with what a module has.
    Check(check::Arguments),
    /// Show what a module or deployed contract takes, gives, stores and refuses, and the law it stands on.
    Inspect(inspect::Arguments),
    /// Deploy a module under a name. Fields of its `init` are given as --field value, or --init JSON.
    Deploy(deploy::Arguments),
    /// Call a method. Its fields are given as --field value, or --json; --help after the method lists them.
    Call(call::Arguments),
    /// Ask a query. Its fields are given as for `call`.
    Query(query::Arguments),
    /// Show where the gas of a call or query goes, by function and host call. Its fields are given as for `call`; nothing is recorded.
    Profile(profile::Arguments),
    /// Call a method once per row of a file.
    Batch(batch::Arguments),
    /// Measure a ledger on this machine and this disk, in a scratch directory, and say what limits it.
    Bench(bench::Arguments),
    /// Show and prove stored values.
    State(state::Arguments),
    /// Write and verify receipts, which show offline what the log holds.
    Receipt(receipt::Arguments),
    /// Show, prove, export and verify the log.
    Log(log::Arguments),
    /// Examine the ledger's files, explain what is wrong, and, when told, make again what is derived.
    Doctor(doctor::Arguments),
    /// Copy a ledger, verify a copy, and restore a ledger from one.
    Snapshot(snapshot::Arguments),
    /// Execute every call of the log again, and compare outcome, gas, events, writes and state roots.
    Audit(audit::Arguments),
    /// Cosign the checkpoints of logs as a witness.
    Witness(witness::Arguments),
    /// Run the demonstration: a town, its officers, and real decisions, in a temporary directory or in that of --data.
    Demo(demo::Arguments),
    /// Print a completion script for a shell.
    Completion(completion::Arguments),
}
