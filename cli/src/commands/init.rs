//! `init`: a new ledger with its log key.

use crate::failure::{Code, Failure, Outcome};
use crate::keys::{Keys, new_passphrase};
use crate::output::Session;
use crate::town::{log_key_name, options};
use chancery_node::{Ledger, NodeError};
use serde_json::json;

#[derive(clap::Args)]
pub struct Arguments {
    /// Name of the log: a URL without scheme, for instance ledger.example/town.
    #[arg(long)]
    origin: String,
    /// Use this key for the log instead of making one.
    #[arg(long, value_name = "KEY")]
    log_key: Option<String>,
    /// Protect the new log key by a passphrase.
    #[arg(long)]
    passphrase: bool,
}

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let keys = Keys::new(&session.keys);
    let name = arguments.log_key.clone().unwrap_or_else(|| log_key_name(&arguments.origin));
    if session.data.join("format").exists() {
        return Err(Failure::usage(format!(
            "{} holds a ledger already: name another directory with --data",
            session.data.display()
        )));
    }
    let fresh = arguments.log_key.is_none();
    // One key that signs two logs of one origin is to everybody else a log that was forked.
    if fresh && keys.path(&name)?.exists() {
        return Err(Failure::usage(format!(
            "the log key {} exists already and may have signed for another ledger of this origin: name another origin, another directory with \
            --keys, or, if no checkpoint that it signed is kept anywhere, this key with --log-key {name}. An `init` that was interrupted before it had made a ledger \
            signed none: remove what it left in the directory of the ledger, and name its key so",
            keys.path(&name)?.display()
        )));
    }
    let key = if fresh {
        let secret = arguments.passphrase.then(|| new_passphrase(&name)).transpose()?;
        keys.create(&name, secret.as_ref().map(|secret| secret.as_str()))?
    } else {
        keys.open(&name)?
    };
    let absent = !session.data.exists();
    let made = Ledger::create(&session.data, &arguments.origin, &key, options(session, None));
    let ledger = made.map_err(|error| {
        // What was begun is of no use without the rest; that it may stay is harmless.
        if fresh {
            drop(keys.path(&name).map(std::fs::remove_file));
        }
        if absent {
            drop(std::fs::remove_dir_all(&session.data));
        }
        match error {
            NodeError::DiskFull => Failure {
                code: Code::Unavailable,
                message:
                    "the disk is full: no ledger was made. Make room, or name a directory on another disk with --data"
                        .into(),
            },
            other => other.into(),
        }
    })?;
    let (id, path) = (ledger.id(), keys.path(&name)?);
    let vkey = std::fs::read_to_string(session.data.join("log.vkey")).unwrap_or_default();
    ledger.close()?;
    let value = json!({"ledger": id.to_string(), "origin": arguments.origin, "data": session.data, "log_key": path, "vkey": vkey.trim()});
    session.print(
        || {
            format!(
                "ledger {id}\norigin {}\ndata {}\nlog key {} (keep a copy apart from the data)\nvkey {}",
                arguments.origin,
                session.data.display(),
                path.display(),
                vkey.trim()
            )
        },
        || value.clone(),
    );
    Ok(())
}
