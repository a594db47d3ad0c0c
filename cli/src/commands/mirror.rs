//! `log mirror`: follows another ledger's public log and keeps a verified copy.

use crate::failure::{Failure, Outcome};
use crate::output::{Session, cosigned, tell};
use chancery_node::{Mirror, Mirrored, NodeError, Place};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

#[derive(clap::Args)]
pub struct Arguments {
    /// The URL of a public log, or a directory.
    source: String,
    /// Where the copy is kept: a new directory, or an earlier mirror.
    dest: PathBuf,
    /// Whose checkpoints to believe [default: DEST/policy, or else the policy beside the source, which is the word of whoever serves it].
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Go on: look again after so many seconds, until stopped.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
    #[command(flatten)]
    metrics: crate::metrics::Arguments,
}

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let _metrics = arguments.metrics.start()?;
    let place = Place::parse(&arguments.source);
    let kept = arguments.dest.join("policy");
    let policy = match &arguments.policy {
        Some(path) => super::receipt::policy(path)?,
        None if kept.exists() => super::receipt::policy(&kept)?,
        None => {
            let own = place.own_policy()?;
            let keys: Vec<String> = own.logs().iter().map(|log| log.key.to_vkey()).collect();
            tell(format_args!(
                "believed by the policy beside the source; compare its key with one from elsewhere: {}",
                keys.join(", ")
            ));
            own
        }
    };
    let failed =
        |error| Failure::unfinished(error, &format!("the copy in {} is not finished", arguments.dest.display()));
    let mut mirror = Mirror::open(place, policy, &arguments.dest).map_err(failed)?;
    loop {
        match round(session, &mut mirror) {
            Ok(found) => show(session, arguments, &found),
            Err(error) => match arguments.every {
                // A source that is away may come back; one that contradicts itself is not believed again.
                Some(_) if matches!(error, NodeError::Public(_) | NodeError::DiskFull) => {
                    tell(format_args!("{}; it is tried again", failed(error).message));
                }
                _ => return Err(failed(error)),
            },
        }
        match arguments.every {
            Some(seconds) => std::thread::sleep(Duration::from_secs(seconds)),
            None => return Ok(()),
        }
    }
}

fn round(session: &Session, mirror: &mut Mirror) -> Result<Mirrored, NodeError> {
    let (bar, progress) = session.progress("mirroring");
    let found = mirror.follow(&progress);
    bar.finish_and_clear();
    found
}

fn show(session: &Session, arguments: &Arguments, found: &Mirrored) {
    if arguments.every.is_some() && found.before == found.entries {
        return;
    }
    let value = json!({
        "ledger": found.ledger.to_string(), "origin": found.origin, "entries": found.entries, "before": found.before,
        "root": found.root.to_string(), "cosigners": found.cosigners, "modules_missing": found.missing, "dest": arguments.dest,
    });
    session.print(
        || {
            let cosigned = cosigned(&found.cosigners);
            let missing = match found.missing {
                0 => String::new(),
                count => format!("\n{count} modules that entries name are not at the source"),
            };
            format!(
                "mirrored: {} of {}: {} entries ({} of them new), verified; checkpoint signed, {cosigned}\nroot {}{missing}",
                found.ledger,
                found.origin,
                found.entries,
                found.entries - found.before,
                found.root
            )
        },
        || value.clone(),
    );
}
