//! `log`: show, prove, export and verify it.

use crate::commands::receipt::{Wait, hand_out};
use crate::explain::{self, trace, trace_lines};
use crate::failure::{Code, Failure, Outcome};
use crate::output::{Session, believed, cosigned, lines, plain, spoken, table, tell};
use crate::stored;
use crate::town::{open, open_to_read};
use chancery_node::{Ledger, NodeError, Place, Report};
use chancery_types::entry::Effects;
use chancery_types::interface::Interface;
use chancery_types::{Action, Entry, ModuleId, Record};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The verifier that every export carries.
const VERIFIER: &str = include_str!("../../../docs/verify/verify.py");

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show the end of the log, and the signed checkpoint.
    Head,
    /// Show an entry, decoded.
    Show {
        /// Its index.
        index: u64,
    },
    /// List entries, the newest last.
    List {
        /// Index of the first [default: so that the newest are shown].
        #[arg(long)]
        from: Option<u64>,
        /// Most entries to list.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
    },
    /// Publish what is not yet, and print the checkpoint: a signed note, with the cosignatures of witnesses. Where it does not cover the whole log, or
    /// lacks cosignatures that the policy asks for, the exit code is 6.
    Checkpoint,
    /// Write a proof that anybody can verify with the checkpoint.
    Prove {
        #[command(subcommand)]
        what: Prove,
    },
    /// Export the log, as far as it is published and witnessed, with all that is needed to verify it elsewhere: checkpoint, tiles, entries, modules,
    /// key, policy, verifier.
    Export {
        /// A new or empty directory, or an earlier export, to which is added what is new.
        dir: PathBuf,
    },
    /// Keep a policy (C2SP tlog-policy): its witnesses are asked to cosign. Without FILE, show the policy.
    Policy {
        /// The policy's file; it must name this log.
        file: Option<PathBuf>,
    },
    /// Follow another ledger's public log, verify it as it grows, and keep a copy that any web server can serve in its place.
    Mirror(super::mirror::Arguments),
    /// Verify the whole log: that of this ledger, or an exported or public one from its files alone.
    Verify {
        /// A directory, or the URL of a public log [default: this ledger].
        place: Option<String>,
        /// Whose checkpoints to believe [default: the policy beside the log, which is the word of whoever gave it to you].
        #[arg(long, value_name = "FILE", requires = "place")]
        policy: Option<PathBuf>,
    },
}

#[derive(clap::Subcommand)]
enum Prove {
    /// That an entry is in the log (C2SP tlog-proof@v1).
    Inclusion {
        /// Its index.
        index: u64,
        /// Under which checkpoint: published, or one that the policy's witnesses cosigned [default: cosigned, where the policy names witnesses].
        #[arg(long, value_enum)]
        wait: Option<Wait>,
        /// Where to write it [default: standard output].
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// That the log only grew from one size to another.
    Consistency {
        /// Entries of the older log. Its checkpoint is signed anew: who kept one asks for --from it.
        #[arg(required_unless_present = "from")]
        old: Option<u64>,
        /// Entries of the newer log [default: all, under the newest checkpoint that the policy accepts].
        new: Option<u64>,
        /// The older checkpoint, as somebody kept it: the proof begins with it, and leads to the newest.
        #[arg(long, value_name = "KEPT", conflicts_with_all = ["old", "new"])]
        from: Option<PathBuf>,
        /// Where to write it [default: standard output].
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    match &arguments.command {
        Command::Head => head(session),
        Command::Show { index } => show(session, *index),
        Command::List { from, limit } => list(session, *from, *limit),
        Command::Checkpoint => checkpoint(session),
        Command::Prove { what } => prove(session, what),
        Command::Export { dir } => export(session, dir),
        Command::Policy { file } => policy(session, file.as_deref()),
        Command::Mirror(arguments) => super::mirror::run(session, arguments),
        Command::Verify { place: None, .. } => verify(session),
        Command::Verify { place: Some(place), policy } => verify_public(session, place, policy.as_deref()),
    }
}

fn head(session: &Session) -> Outcome {
    let value = head_value(&open_to_read(session)?);
    session.print(|| head_text(&value), || value.clone());
    Ok(())
}

/// The end of a ledger's log, with the published checkpoint.
pub fn head_value(ledger: &Ledger) -> Value {
    let head = ledger.head();
    json!({
        "ledger": ledger.id().to_string(), "origin": ledger.origin(), "entries": head.size, "root": head.root.to_string(),
        "height": head.height.0, "state_root": head.state_root.to_string(), "keys": head.keys, "time": head.time.to_string(),
        "checkpoint": ledger.checkpoint(),
    })
}

/// The same for people.
pub fn head_text(value: &Value) -> String {
    let mut shown = value.clone();
    let note = shown.as_object_mut().and_then(|shown| shown.shift_remove("checkpoint"));
    let publish = "`chancery log checkpoint` publishes the rest with the log key";
    let note = match note.as_ref().and_then(Value::as_str) {
        None => format!("no checkpoint is published: {publish}"),
        Some(note) => {
            let all = covered(note).is_none_or(|size| Some(size) == shown["entries"].as_u64());
            if all { note.into() } else { format!("{note}the checkpoint does not cover all entries: {publish}") }
        }
    };
    format!("{}\n{note}", lines(&shown, 0))
}

fn checkpoint(session: &Session) -> Outcome {
    let ledger = open(session)?;
    let published = ledger.publish_all();
    let (note, size) = (ledger.checkpoint(), ledger.head().size);
    ledger.close()?;
    if let Some(note) = &note {
        session.print_file(note, || json!({ "checkpoint": note }));
    }
    let covered = note.as_deref().and_then(covered).unwrap_or(0);
    published.map(drop).map_err(|error| {
        let Failure { code, message } = error.into();
        Failure { code, message: format!("the checkpoint covers {covered} of {size} entries: {message}") }
    })
}

/// Entries that a checkpoint's note covers.
fn covered(note: &str) -> Option<u64> {
    note.lines().nth(1)?.parse().ok()
}

fn prove(session: &Session, what: &Prove) -> Outcome {
    let ledger = open(session)?;
    let (text, out, what) = match what {
        Prove::Inclusion { index, wait, out } => {
            let level = Wait::level(*wait, &ledger);
            (ledger.prove_inclusion(*index, level)?.to_string(), out, format!("proof of entry {index}"))
        }
        Prove::Consistency { from: Some(kept), out, .. } => {
            let note = std::fs::read_to_string(kept).map_err(|error| Failure::file("cannot read", kept, &error))?;
            (ledger.consistency_from(&note)?.to_text(), out, format!("proof from {}", kept.display()))
        }
        Prove::Consistency { old, new, out, .. } => {
            let old = old.unwrap_or_default();
            if old == 0 || new.is_some_and(|new| old > new) {
                let new = new.map_or_else(|| "none".into(), |new| new.to_string());
                return Err(Failure::usage(format!(
                    "expected the size of an older log, from 1 on, and of a newer one, found {old} and {new}"
                )));
            }
            (ledger.consistency(old, *new)?.to_text(), out, format!("proof from {old} entries"))
        }
    };
    ledger.close()?;
    hand_out(session, &text, out.as_deref(), &what)
}

fn export(session: &Session, dir: &Path) -> Outcome {
    let ledger = open(session)?;
    let exported = ledger.export(dir, VERIFIER).map_err(not_exported)?;
    let size = ledger.head().size;
    ledger.close()?;
    if exported.entries < size {
        tell(format_args!(
            "entries {} to {} are not in it: they are not published with all that the policy asks. Export again with the log key, when its witnesses answer",
            exported.entries,
            size - 1
        ));
    }
    session.print(
        || {
            format!(
                "exported to {}: {} entries ({} of them new), {} modules\nverify it with `chancery log verify {0}`, or `python3 verify.py {0}`: whoever doubts it takes verify.py from elsewhere than the export",
                dir.display(),
                exported.entries,
                exported.entries - exported.before,
                exported.blobs
            )
        },
        || json!({"dir": dir, "entries": exported.entries, "before": exported.before, "blobs": exported.blobs}),
    );
    Ok(())
}

/// Why nothing is exported where no checkpoint is good enough.
fn not_exported(error: NodeError) -> Failure {
    let lacks = |what: &str, reason: &str| {
        format!(
            "nothing was exported: the log's checkpoint is not {what}: {reason}. An earlier export stays as it is; export again when that is set right"
        )
    };
    let message = match &error {
        NodeError::NotPublished(reason) => lacks("published", reason),
        NodeError::NotWitnessed(reason) => lacks("cosigned as the policy asks", reason),
        NodeError::DiskFull => {
            "the disk is full: the export is not finished. Make room (bytes, or inodes: `df -i`) and export again"
                .into()
        }
        _ => return error.into(),
    };
    Failure { code: Code::Unavailable, message }
}

fn policy(session: &Session, file: Option<&Path>) -> Outcome {
    let ledger = open_to_read(session)?;
    let policy = match file {
        None => ledger.policy()?,
        Some(path) => {
            let text = std::fs::read(path).map_err(|error| Failure::file("cannot read", path, &error))?;
            ledger.set_policy(&text).map_err(|error| {
                Failure::unfinished(error, &format!("the policy of {} is as it was", session.data.display()))
            })?
        }
    };
    ledger.close()?;
    session.print_file(&policy.to_string(), || json!({ "policy": policy.to_string() }));
    Ok(())
}

fn verify_public(session: &Session, place: &str, policy: Option<&Path>) -> Outcome {
    let place = Place::parse(place);
    if matches!(&place, Place::Directory(dir) if !dir.is_dir()) {
        return Err(Failure::not_found(format!(
            "{place} is no directory: name that of a ledger or of an exported log, or the URL of a public log"
        )));
    }
    let own = policy.is_none();
    let policy = policy.map_or_else(|| Ok(place.own_policy()?), super::receipt::policy)?;
    let (bar, progress) = session.progress("verifying");
    let report = chancery_node::verify_public(&place, &policy, &progress)?;
    bar.finish_and_clear();
    let value = json!({
        "ledger": report.ledger.to_string(), "origin": report.origin, "entries": report.entries, "calls": report.calls,
        "blocks": report.blocks, "root": report.root.to_string(), "cosigners": report.cosigners, "modules": report.modules,
        "vkey": report.vkey, "own_policy": own,
    });
    session.print(
        || {
            let cosigned = cosigned(&report.cosigners);
            let modules = report.modules.map(|count| format!("; {count} modules are there")).unwrap_or_default();
            let believed = believed(&report.vkey, own);
            format!(
                "verified: {} of {}: {} entries, {} calls with their signatures, {} blocks; checkpoint signed, {cosigned}{modules}\nroot {}\n{believed}\n\
                state roots are checked by `chancery audit`, which executes the calls again",
                report.ledger, report.origin, report.entries, report.calls, report.blocks, report.root
            )
        },
        || value.clone(),
    );
    Ok(())
}

fn verify(session: &Session) -> Outcome {
    let report = check(session)?;
    session.print(|| report_text(&report), || report_value(&report));
    Ok(())
}

/// Verifies the log of the session's directory.
pub fn check(session: &Session) -> Outcome<Report> {
    let (bar, progress) = session.progress("verifying");
    let report = chancery_node::verify(&session.data, &progress)?;
    bar.finish_and_clear();
    Ok(report)
}

/// What a verification covered.
pub fn report_value(report: &Report) -> Value {
    json!({
        "ledger": report.ledger.to_string(), "origin": report.origin, "vkey": report.vkey, "entries": report.entries,
        "calls": report.calls, "blocks": report.blocks, "root": report.root.to_string(), "state_root": report.state_root.to_string(),
        "keys": report.keys, "checkpoint": report.checkpoint, "torn": report.torn,
    })
}

/// The same for people.
pub fn report_text(report: &Report) -> String {
    let checkpoint = match report.checkpoint {
        Some(size) => format!("the signed checkpoint over {size} entries fits"),
        None => "there is no checkpoint".into(),
    };
    let torn = if report.torn {
        "\nan interrupted write behind the last block was left out; it was never acknowledged"
    } else {
        ""
    };
    format!(
        "verified: {} of {}: {} entries, {} calls with their signatures, {} blocks with their state roots; {checkpoint}{torn}\nroot {}\nstate root {} over {} keys\n{}",
        report.ledger,
        report.origin,
        report.entries,
        report.calls,
        report.blocks,
        report.root,
        report.state_root,
        report.keys,
        believed(&report.vkey, true)
    )
}

/// Interfaces of modules, looked up once each.
struct Interfaces<'a> {
    ledger: &'a Ledger,
    known: HashMap<ModuleId, Option<Interface>>,
}

impl Interfaces<'_> {
    fn of(&mut self, module: ModuleId) -> Option<&Interface> {
        let ledger = self.ledger;
        self.known.entry(module).or_insert_with(|| ledger.interface(&module).ok()).as_ref()
    }
}

/// An entry as people read it.
fn decoded(entry: &Entry, effects: &Effects, interfaces: &mut Interfaces<'_>) -> Value {
    let mut shown = json!({"entry": entry.index, "time": entry.time.to_string()});
    match &entry.record {
        Record::Genesis { origin, nonce } => {
            shown["kind"] = "genesis".into();
            shown["origin"] = origin.as_str().into();
            shown["nonce"] = hex::encode(nonce).into();
        }
        Record::Seal { height, state_root, entries, keys } => {
            shown["kind"] = "seal".into();
            shown["height"] = height.0.into();
            shown["entries"] = (*entries).into();
            shown["state_root"] = state_root.to_string().into();
            shown["keys"] = (*keys).into();
        }
        Record::Call { signed, contract, module, outcome, gas, prices, events, .. } => {
            let fallback = Interface::default();
            let interface = interfaces.of(*module).unwrap_or(&fallback);
            let (kind, name, method) = match &signed.call.action {
                Action::Invoke { contract, method, .. } => ("call", contract, method.as_str()),
                Action::Deploy { name, .. } => ("deploy", name, "deploy"),
            };
            let (arguments, returns) = explain::arguments(interface, &signed.call.action);
            let events = events.iter().map(|event| explain::event(interface, event));
            let writes = effects.writes.iter().map(|write| stored::write(interface, write));
            shown["kind"] = kind.into();
            shown["contract"] = name.as_str().into();
            shown["method"] = method.into();
            shown["actor"] = signed.call.actor.to_did().into();
            shown["request"] = signed.call.request.to_string().into();
            shown["valid_until"] = signed.call.valid_until.to_string().into();
            shown["arguments"] = arguments;
            if let Value::Object(explained) = explain::outcome(interface, returns, outcome) {
                explained.into_iter().for_each(|(name, value)| shown[name] = value);
            }
            shown["gas"] = gas.0.into();
            shown["prices"] = (*prices).into();
            shown["events"] = events.collect();
            shown["writes"] = writes.collect();
            shown["contract_id"] = contract.to_string().into();
            shown["module"] = module.to_string().into();
            shown["signature"] = format!("{:?}", signed.signature).into();
            if let Some(root) = signed.root() {
                shown["signed_root"] = root.to_string().into();
            }
        }
    }
    shown["previous"] = entry.previous.to_string().into();
    shown
}

fn show(session: &Session, index: u64) -> Outcome {
    let ledger = open_to_read(session)?;
    let (entry, effects) = ledger.entry(index)?;
    let mut interfaces = Interfaces { ledger: &ledger, known: HashMap::new() };
    let shown = decoded(&entry, &effects, &mut interfaces);
    session.print(
        || {
            let mut text = lines(&shown, 0);
            if !effects.trace.is_empty() {
                text.push_str("reasoning:\n");
                text.push_str(&trace_lines(&effects.trace));
            }
            text
        },
        || {
            let mut value = shown.clone();
            value["trace"] = trace(&effects.trace);
            value
        },
    );
    Ok(())
}

fn list(session: &Session, from: Option<u64>, limit: u64) -> Outcome {
    let ledger = open_to_read(session)?;
    let size = ledger.head().size;
    let from = from.unwrap_or_else(|| size.saturating_sub(limit));
    if from >= size {
        return Err(Failure::not_found(format!("there is no entry {from}: the log has {size}")));
    }
    let mut interfaces = Interfaces { ledger: &ledger, known: HashMap::new() };
    let mut rows = Vec::new();
    for index in from..size.min(from.saturating_add(limit)) {
        let (entry, effects) = ledger.entry(index)?;
        rows.push(decoded(&entry, &effects, &mut interfaces));
    }
    let text = || {
        let mut table = table(&["entry", "time", "kind", "contract", "method", "outcome", "what"]);
        for row in &rows {
            let what = [&row["error"], &row["result"], &row["origin"], &row["state_root"]]
                .into_iter()
                .find(|value| !value.is_null());
            let mut what = what.map(spoken).unwrap_or_default();
            what.truncate(what.floor_char_boundary(90));
            let cell = |name: &str| if row[name].is_null() { String::new() } else { plain(&row[name]) };
            table.add_row([
                cell("entry"),
                cell("time"),
                cell("kind"),
                cell("contract"),
                cell("method"),
                cell("outcome"),
                what,
            ]);
        }
        table.to_string()
    };
    session.print(text, || Value::Array(rows.clone()));
    Ok(())
}
