//! `audit`: the whole log executed again.

use crate::failure::{Failure, Outcome};
use crate::output::{Session, believed};
use crate::town::compiler;
use chancery_node::AuditOptions;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// A ledger's or an exported directory [default: that of --data].
    dir: Option<PathBuf>,
    /// Keep in FILE how far the audit of a ledger came, and go on from there where FILE exists. Not for an exported log.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// Whose checkpoints to believe [default: the policy of an export, or the key of a ledger, which is the word of whoever gave it to you].
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let dir = arguments.dir.as_ref().unwrap_or(&session.data);
    let (bar, progress) = session.progress("auditing");
    let policy = arguments.policy.as_deref().map(super::receipt::policy).transpose()?;
    let own = policy.is_none();
    let options = AuditOptions { compiler: compiler(), progress, resume: arguments.resume.clone(), policy };
    let audit = chancery_node::audit(dir, &options).map_err(|error| {
        let file = arguments.resume.as_deref().unwrap_or(dir);
        Failure::unfinished(error, &format!("how far the audit came cannot be kept in {}", file.display()))
    })?;
    bar.finish_and_clear();
    let report = &audit.report;
    let value = json!({
        "ledger": report.ledger.to_string(), "origin": report.origin, "vkey": report.vkey, "own_policy": own,
        "entries": report.entries, "calls": report.calls, "executed": audit.executed, "resumed_from": audit.resumed,
        "blocks": report.blocks, "root": report.root.to_string(), "state_root": report.state_root.to_string(), "keys": report.keys, "checkpoint": report.checkpoint, "torn": report.torn,
    });
    session.print(
        || {
            let resumed = match audit.resumed {
                0 => String::new(),
                entries => format!(" (the first {entries} entries were audited before)"),
            };
            format!(
                "audited: {} of {}: {} of {} calls executed again{resumed}, each with the outcome, gas, events, trace and writes that its entry says; \
                {} blocks with their state roots\nroot {}\nstate root {} over {} keys\n{}",
                report.ledger, report.origin, audit.executed, report.calls, report.blocks,
                report.root, report.state_root, report.keys, believed(&report.vkey, own)
            )
        },
        || value.clone(),
    );
    Ok(())
}
