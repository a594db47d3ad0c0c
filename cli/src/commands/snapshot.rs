//! `snapshot create`, `verify`, `restore` and `prune`: the state in one file, and a ledger that goes on from it.

use crate::failure::{Failure, Outcome};
use crate::output::{Session, lines};
use crate::town::{log_key, open, options};
use chancery_node::restore::{RESTORED_SEGMENT_BYTES, Retention};
use chancery_node::{Disk, OsDisk, Place, Snapshot};
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
    /// Write the state, and what a ledger needs to go on from it, into one file.
    Create {
        /// The file; one that is there is replaced.
        file: PathBuf,
    },
    /// Verify a snapshot from its file alone.
    Verify {
        /// The file.
        file: PathBuf,
        /// Whose checkpoint to believe [default: the key that the snapshot itself names].
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// A public log, a directory or a URL, with whose entries the request ids are compared.
        #[arg(long, value_name = "PLACE")]
        log: Option<String>,
    },
    /// Make a ledger in a new or empty directory that goes on from a snapshot.
    Restore {
        /// The snapshot.
        file: PathBuf,
        /// The directory.
        dir: PathBuf,
        /// A mirror or export of the log, for the entries before the snapshot; it must go no further than the snapshot.
        #[arg(long, value_name = "DIR")]
        log: Option<PathBuf>,
    },
    /// Show which segments of the journal could be deleted under a snapshot at the head; with --delete, delete them.
    Prune {
        /// Delete them. Their entries stay in the public log; the effects (writes and reasoning) of their calls are gone.
        #[arg(long)]
        delete: bool,
    },
}

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    match &arguments.command {
        Command::Create { file } => create(session, file),
        Command::Verify { file, policy, log } => verify(session, file, policy.as_deref(), log.as_deref()),
        Command::Restore { file, dir, log } => restore(session, file, dir, log.as_deref()),
        Command::Prune { delete } => prune(session, *delete),
    }
}

fn create(session: &Session, file: &Path) -> Outcome {
    let ledger = open(session)?;
    let snapshot = ledger.snapshot(file)?;
    ledger.close()?;
    show(session, &snapshot, &format!("written to {}, read back and verified", file.display()));
    Ok(())
}

fn verify(session: &Session, file: &Path, policy: Option<&Path>, log: Option<&str>) -> Outcome {
    let snapshot = match log {
        Some(log) => chancery_node::verify_requests(&OsDisk, file, &Place::parse(log))?,
        None => chancery_node::verify_snapshot(&OsDisk, file)?,
    };
    let believed = match policy {
        Some(policy) => {
            snapshot.accepted_by(&super::receipt::policy(policy)?)?;
            "its checkpoint is accepted by the policy".into()
        }
        None if snapshot.note.is_some() => format!(
            "its checkpoint is signed by the key that it names, {}; compare that with one from elsewhere",
            snapshot.vkey.to_vkey()
        ),
        None => "it holds no signed checkpoint: compare its root with one from elsewhere".into(),
    };
    let requests = match log {
        Some(_) => "its request ids are those of the log",
        None => "its request ids are in order and complete; --log compares them with the entries",
    };
    show(session, &snapshot, &format!("verified; {believed}; {requests}"));
    Ok(())
}

fn restore(session: &Session, file: &Path, dir: &Path, log: Option<&Path>) -> Outcome {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let snapshot = chancery_node::restore(&disk, file, dir, log, RESTORED_SEGMENT_BYTES)?;
    let said = format!(
        "restored to {}: it goes on with entry {}. Make sure that no other copy of this ledger goes on as well",
        dir.display(),
        snapshot.entries
    );
    show(session, &snapshot, &said);
    Ok(())
}

fn prune(session: &Session, delete: bool) -> Outcome {
    let options = options(session, log_key(session)?);
    let plan = if delete {
        let (plan, snapshot) = Retention::prune(&session.data, &options)?;
        eprintln!("snapshot {} at {} entries is kept in snapshots/: the journal goes on from it", snapshot.root, snapshot.entries);
        plan
    } else {
        Retention::plan(&session.data, &options)?
    };
    let files: Vec<String> = plan.segments.iter().map(|path| path.display().to_string()).collect();
    let value = json!({"journal_from": plan.entries, "segments": files, "deleted": delete});
    let head = match delete {
        true => format!("deleted; the journal begins with entry {}", plan.entries),
        false => format!("nothing was deleted; --delete would let the journal begin with entry {}, without", plan.entries),
    };
    session.print(|| format!("{head}\n{}", files.join("\n")), || value.clone());
    Ok(())
}

fn show(session: &Session, snapshot: &Snapshot, said: &str) {
    let value = value(snapshot);
    session.print(|| format!("{said}\n{}", lines(&value, 0)), || value.clone());
}

fn value(snapshot: &Snapshot) -> Value {
    json!({
        "snapshot": snapshot.root.to_string(), "ledger": snapshot.ledger.to_string(), "origin": snapshot.vkey.name,
        "entries": snapshot.entries, "root": snapshot.log_root.to_string(), "height": snapshot.height.0,
        "time": snapshot.time.to_string(), "state_root": snapshot.state_root.to_string(), "keys": snapshot.keys,
        "calls": snapshot.calls, "modules": snapshot.modules, "chain": snapshot.chain.to_string(),
        "checkpoint": snapshot.note.is_some(),
    })
}
