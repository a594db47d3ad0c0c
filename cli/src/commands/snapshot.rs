//! `snapshot create`, `verify`, `restore`: copies of a ledger that verify by themselves, and ledgers from them.

use crate::failure::{Failure, Outcome};
use crate::output::{Session, cosigned, escaped};
use crate::town::options;
use chancery_node::snapshot::{self, SnapshotReport, Trust};
use chancery_node::{Disk, NodeError, OsDisk};
use chancery_receipt::Policy;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Copy the ledger up to its published checkpoint: entries, effects, modules, state. It may be serving meanwhile.
    Create {
        /// A new or empty directory, or one with an earlier snapshot of this ledger, to which is added what is new.
        dir: PathBuf,
    },
    /// Verify a snapshot from its files alone: every byte of it, up to the signature of its checkpoint.
    Verify {
        /// The snapshot's directory.
        snapshot: PathBuf,
        #[command(flatten)]
        trust: Believed,
    },
    /// Make a ledger from a snapshot, which is verified first.
    Restore {
        /// The snapshot's directory.
        snapshot: PathBuf,
        /// The directory of the ledger: a new or empty one.
        dir: PathBuf,
        #[command(flatten)]
        trust: Believed,
    },
}

#[derive(clap::Args)]
struct Believed {
    /// Whose checkpoints to believe (C2SP tlog-policy); a restored ledger keeps it as its own [default: the key that the snapshot names and the policy beside it, which are the word of whoever made it].
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The newest checkpoint of the log that is known, for instance from where it is published: the snapshot must reach as far.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl Believed {
    fn read(&self) -> Outcome<Trust> {
        let policy = self.policy.as_deref().map(super::receipt::policy).transpose()?;
        let read =
            |path: &PathBuf| std::fs::read_to_string(path).map_err(|error| Failure::file("cannot read", path, &error));
        Ok(Trust { policy, newest: self.checkpoint.as_ref().map(read).transpose()? })
    }
}

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    match &arguments.command {
        Command::Create { dir } => create(session, dir),
        Command::Verify { snapshot, trust } => {
            let believed = trust.read()?;
            let report = snapshot::verify(&OsDisk, snapshot, &believed, &options(session, None).progress)?;
            let beside = match differs(&believed, &report) {
                false => String::new(),
                true => format!(
                    "\nthe policy beside the snapshot is another than yours; `restore` with --policy installs yours. Beside it lies{}",
                    indented(&report.policy)
                ),
            };
            let text = || format!("verified: {}{}{beside}", summary(&report), caution(&believed, &report));
            session.print(text, || value(&believed, &report));
            Ok(())
        }
        Command::Restore { snapshot, dir, trust } => {
            let believed = trust.read()?;
            let absent = dir.symlink_metadata().is_err();
            let restored = snapshot::restore(snapshot, dir, &believed, &options(session, None));
            let report = restored.map_err(|error| {
                // What was begun is no ledger and would be in the way of the next try; that it may stay is harmless. What another process put there
                // meanwhile is its own.
                if absent && !matches!(error, NodeError::NotEmpty(_)) && !dir.join("format").exists() {
                    drop(std::fs::remove_dir_all(dir));
                }
                Failure::unfinished(error, &format!("no ledger was restored to {}", dir.display()))
            })?;
            let text = || {
                let lost = if trust.checkpoint.is_some() {
                    String::new()
                } else {
                    format!(
                        "\nif more than {} entries of this log were ever published, do not open it with the log key: it would fork the log. --checkpoint checks that",
                        report.entries
                    )
                };
                let beside = indented(&report.policy);
                let policy = match &believed.policy {
                    None => format!(
                        "\nits policy is the one beside the snapshot, for which nothing vouches; --policy installs yours:{beside}"
                    ),
                    Some(_) if differs(&believed, &report) => {
                        format!("\nits policy is the one that you gave. Beside the snapshot lies another:{beside}")
                    }
                    Some(_) => String::new(),
                };
                let (summary, caution) = (summary(&report), caution(&believed, &report));
                format!("restored to {}: {summary}{caution}{policy}{lost}", dir.display())
            };
            session.print(text, || value(&believed, &report));
            Ok(())
        }
    }
}

fn create(session: &Session, dir: &Path) -> Outcome {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let created = snapshot::create(&disk, &session.data, dir, &options(session, None).progress)
        .map_err(|error| Failure::unfinished(error, &format!("the snapshot in {} is not finished", dir.display())))?;
    session.print(
        || {
            let left_out = match created.left_out {
                0 => String::new(),
                entries => format!(
                    "\nNOT in it are {entries} entries that are recorded and not published: the ledger was open without its log key. Run `chancery log checkpoint` with --keys where the key is, then make the snapshot again"
                ),
            };
            format!(
                "snapshot in {}: {} entries up to height {}, {} keys; {} of {} chunks written, {} bytes in all\nroot {}\nverify it with `chancery snapshot verify {0}`{left_out}",
                dir.display(),
                created.entries,
                created.height,
                created.keys,
                created.written,
                created.chunks,
                created.bytes,
                created.root
            )
        },
        || {
            json!({
                "dir": dir, "root": created.root.to_string(), "height": created.height.0, "entries": created.entries,
                "left_out": created.left_out, "keys": created.keys, "chunks": created.chunks, "written": created.written, "bytes": created.bytes,
            })
        },
    );
    Ok(())
}

fn summary(report: &SnapshotReport) -> String {
    let cosigned = cosigned(&report.cosigners);
    format!(
        "{} of {}: {} entries up to height {}, {} calls with their signatures, {} keys, {} modules; checkpoint signed, {cosigned}\nroot {}\nstate root {}",
        report.ledger,
        report.origin,
        report.entries,
        report.height,
        report.calls,
        report.keys,
        report.modules,
        report.root,
        report.state_root
    )
}

/// What the reader should know when no policy was given.
fn caution(trust: &Trust, report: &SnapshotReport) -> String {
    match trust.policy {
        Some(_) => String::new(),
        None => format!(
            "\nbelieved by the key that the snapshot names; compare it with one from elsewhere: {}",
            report.vkey
        ),
    }
}

/// Whether the policy beside the snapshot is another than the one that is believed.
fn differs(trust: &Trust, report: &SnapshotReport) -> bool {
    trust.policy.as_ref().is_some_and(|policy| *policy != report.policy)
}

fn indented(policy: &Policy) -> String {
    policy.to_string().lines().map(|line| format!("\n  {}", escaped(line))).collect()
}

fn value(trust: &Trust, report: &SnapshotReport) -> Value {
    json!({
        "root": report.root.to_string(), "ledger": report.ledger.to_string(), "origin": report.origin, "vkey": report.vkey,
        "height": report.height.0, "entries": report.entries, "calls": report.calls, "log_root": report.log_root.to_string(),
        "chain": report.chain.to_string(), "state_root": report.state_root.to_string(), "keys": report.keys,
        "modules": report.modules, "cosigners": report.cosigners, "policy": report.policy.to_string(),
        "policy_differs": differs(trust, report),
    })
}
