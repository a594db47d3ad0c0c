//! `receipt get` and `receipt verify`: files that show offline, for ever, what the log holds.

use crate::commands::state::{find, key_of};
use crate::explain::{self, trace, trace_lines};
use crate::failure::{Code, Failure, Outcome};
use crate::files;
use crate::output::{Session, lines};
use crate::stored;
use crate::town::open;
use chancery_node::{Ledger, Level, Parts};
use chancery_receipt::{Policy, Receipt, TlogProof, Verified, VerifiedReceipt, VerifiedState};
use chancery_tlog::Bundle;
use chancery_tlog::tile::{WIDTH, decode_bundle};
use chancery_types::codec::Encode;
use chancery_types::interface::Interface;
use chancery_types::{Action, Hash, LedgerId, Record, RequestId};
use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Write the receipt of a call: its entry, the proof that it is in the log, and the signed checkpoint.
    Get {
        /// The call's request id, hexadecimal.
        request: String,
        /// Add the value of a stored item, or of a map's key, after the call: NAME or NAME/PART/PART. May be repeated.
        #[arg(long, value_name = "KEY")]
        state: Vec<String>,
        /// Leave out the module, without which arguments and result cannot be shown in words.
        #[arg(long)]
        without_module: bool,
        /// Leave out the reasoning.
        #[arg(long)]
        without_trace: bool,
        /// Add what the call wrote.
        #[arg(long)]
        writes: bool,
        /// Under which checkpoint: published, or one that the policy's witnesses cosigned [default: cosigned, where the policy names witnesses].
        #[arg(long, value_parser = of_a_proof())]
        wait: Option<Wait>,
        /// Where to write it [default: standard output].
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Verify a receipt, a state proof, a consistency proof or, with the log that has its entry, an inclusion proof, offline.
    Verify {
        /// The file.
        file: PathBuf,
        /// An exported log, in which the entry stands that an inclusion proof is of.
        #[arg(long, value_name = "DIR")]
        export: Option<PathBuf>,
        /// The checkpoint of the log that you kept: a consistency proof must begin with it.
        #[arg(long, value_name = "KEPT")]
        checkpoint: Option<PathBuf>,
        /// Whose checkpoints to believe (C2SP tlog-policy): for instance `policy` of an exported log that you trust.
        #[arg(long, value_name = "FILE")]
        policy: PathBuf,
    },
}

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wait {
    /// The call is in the journal, durably.
    Logged,
    /// A signed checkpoint over it is public.
    Published,
    /// As many witnesses as the policy asks for have cosigned that checkpoint.
    Witnessed,
}

/// The levels that a proof can be of: what is merely logged, no checkpoint covers.
pub fn of_a_proof() -> impl TypedValueParser<Value = Wait> {
    let offered = [Wait::Published, Wait::Witnessed].iter().filter_map(ValueEnum::to_possible_value);
    PossibleValuesParser::new(offered).try_map(|word| Wait::from_str(&word, false))
}

impl From<Wait> for Level {
    fn from(wait: Wait) -> Level {
        match wait {
            Wait::Logged => Level::Logged,
            Wait::Published => Level::Published,
            Wait::Witnessed => Level::Witnessed,
        }
    }
}

impl Wait {
    /// The level of what is handed out: as told, or else the one that the ledger's policy asks of others.
    pub fn level(told: Option<Wait>, ledger: &Ledger) -> Level {
        told.map_or_else(|| ledger.best_level(), Into::into)
    }

    /// Waits until an entry, which is logged, has come so far.
    pub fn reach(self, ledger: &Ledger, index: u64) -> Outcome {
        if self != Wait::Logged {
            ledger.wait_for(index, self.into()).map_err(|error| {
                let Failure { code, message } = error.into();
                Failure { code, message: format!("what was called is logged, but {message}") }
            })?;
        }
        Ok(())
    }
}

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    match &arguments.command {
        Command::Get { request, state, without_module, without_trace, writes, wait, out } => {
            let parts = Parts { module: !without_module, trace: !without_trace, writes: *writes, states: Vec::new() };
            get(session, request, state, parts, *wait, out.as_deref())
        }
        Command::Verify { file, export, checkpoint, policy } => {
            verify(session, file, export.as_deref(), checkpoint.as_deref(), policy)
        }
    }
}

fn get(
    session: &Session,
    request: &str,
    states: &[String],
    mut parts: Parts,
    wait: Option<Wait>,
    out: Option<&Path>,
) -> Outcome {
    let ledger = open(session)?;
    let request = RequestId::parse(request).ok_or_else(|| {
        Failure::usage(format!("expected a request id of 1 to 32 hexadecimal digits, found `{request}`"))
    })?;
    let index = ledger.find(request)?;
    let index = index.ok_or_else(|| Failure::not_found(format!("no call has the request id {request}")))?;
    let (entry, _) = ledger.entry(index)?;
    if let Record::Call { module, .. } = &entry.record {
        // A call that was rejected before any code ran has no module.
        let executed = module.0 != [0; 32];
        parts.module &= executed;
        if !states.is_empty() {
            if !executed {
                return Err(Failure::usage(format!(
                    "no code was executed for entry {index}, which was rejected: it has no state of its own; leave --state out"
                )));
            }
            let interface = ledger.interface(module)?;
            for state in states {
                let mut pieces = state.split('/');
                let name = pieces.next().unwrap_or_default();
                let pieces: Vec<String> = pieces.map(Into::into).collect();
                parts.states.push(key_of(find(&interface, name)?, &pieces, true)?);
            }
        }
    }
    let receipt = ledger.receipt(index, &parts, Wait::level(wait, &ledger))?;
    let text = receipt.to_text().map_err(|error| Failure::usage(error.to_string()))?;
    ledger.close()?;
    hand_out(session, &text, out, &format!("receipt of entry {index}"))
}

/// Writes what is handed out to a file, or prints it.
pub fn hand_out(session: &Session, text: &str, out: Option<&Path>, what: &str) -> Outcome {
    match out {
        None => session.print_file(text, || json!({ "file": text })),
        Some(path) => {
            files::replace(path, text.as_bytes()).map_err(|error| files::not_written(path, &error))?;
            let say = || format!("{what} written to {}: {} bytes", path.display(), text.len());
            session.print(say, || json!({"written": path, "bytes": text.len()}));
        }
    }
    Ok(())
}

/// Reads a policy file.
pub fn policy(path: &Path) -> Outcome<Policy> {
    let bytes = std::fs::read(path).map_err(|error| Failure::file("cannot read", path, &error))?;
    Policy::parse(&bytes).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// The entry of this index in an exported log, from the bundle that it has at its checkpoint's size.
fn exported(dir: &Path, index: u64) -> Outcome<Vec<u8>> {
    let read = |name: &str| {
        let path = dir.join(name);
        std::fs::read(&path).map_err(|error| Failure::file("cannot read", &path, &error))
    };
    let note = read("checkpoint")?;
    let size = std::str::from_utf8(&note).ok().and_then(|note| note.lines().nth(1)?.parse().ok()).unwrap_or(0);
    if index >= size {
        let dir = dir.display();
        return Err(Failure::not_found(format!(
            "{dir}: it has {size} entries, not entry {index}: export the log again"
        )));
    }
    let first = index / WIDTH * WIDTH;
    let width = u16::try_from(WIDTH.min(size - first)).unwrap_or_default();
    let bundle = Bundle { index: index / WIDTH, width };
    let bytes = read(&bundle.path())?;
    let entries = decode_bundle(&bytes, bundle.width).map_err(|error| Failure {
        code: Code::NotVerified,
        message: format!("{}: {error}", dir.join(bundle.path()).display()),
    })?;
    let at = usize::try_from(index - first).unwrap_or(usize::MAX);
    Ok(entries.get(at).copied().unwrap_or_default().to_vec())
}

fn verify(session: &Session, file: &Path, export: Option<&Path>, kept: Option<&Path>, policy_file: &Path) -> Outcome {
    let policy = policy(policy_file)?;
    let bytes = std::fs::read(file).map_err(|error| Failure::file("cannot read", file, &error))?;
    let untrue = |error: &dyn std::fmt::Display| Failure {
        code: Code::NotVerified,
        message: format!("{}: {error}", file.display()),
    };
    let inclusion = bytes.starts_with(b"c2sp.org/tlog-proof@");
    if export.is_some() && !inclusion {
        return Err(Failure::usage(format!(
            "{} is no inclusion proof, and its entry is not looked for in an export: leave --export out",
            file.display()
        )));
    }
    let verified = if inclusion {
        // With the entry it is a receipt without anything else.
        let proof = TlogProof::parse(&bytes).map_err(|error| untrue(&error))?;
        let dir = export.ok_or_else(|| {
            Failure::usage(format!(
                "{} is an inclusion proof (C2SP tlog-proof) of entry {}, which is not in it: name an exported log that has the entry with --export DIR; \
                `python3 verify.py DIR FILE` verifies it too, with a verify.py that is not from DIR",
                file.display(),
                proof.index
            ))
        })?;
        let entry = exported(dir, proof.index)?;
        Receipt::new(entry, proof).verify(&policy).map(Verified::Receipt)
    } else {
        chancery_receipt::verify(&bytes, &policy)
    };
    let verified = verified.map_err(|error| untrue(&error))?;
    if let Some(kept) = kept {
        let Verified::Consistency(proof) = &verified else {
            let file = file.display();
            return Err(Failure::usage(format!(
                "{file} is no consistency proof, which alone is held against --checkpoint: `chancery log prove consistency --from {}` makes one",
                kept.display()
            )));
        };
        let note = std::fs::read_to_string(kept).map_err(|error| Failure::file("cannot read", kept, &error))?;
        proof.check_kept(&note, &policy).map_err(|error| untrue(&error))?;
    }
    let (mut shown, reasoning) = match &verified {
        Verified::Receipt(receipt) => (receipt_value(receipt), receipt.trace.clone()),
        Verified::State(state) => (state_value(state, None), None),
        Verified::Consistency(proof) => (
            json!({"verified": "consistency proof", "log": proof.new.origin, "older": proof.old.size,
                "older_root": proof.old.root.to_string(), "older_was_kept": kept.is_some(), "newer": proof.new.size,
                "newer_root": proof.new.root.to_string()}),
            None,
        ),
    };
    if inclusion {
        shown["verified"] = "inclusion proof".into();
    }
    session.print(
        || {
            // People read the trace as reasoning.
            let mut shown = shown.clone();
            shown.as_object_mut().and_then(|shown| shown.shift_remove("trace"));
            let reasoning = reasoning.filter(|trace| !trace.is_empty());
            let reasoning = reasoning.map(|trace| format!("reasoning:\n{}", trace_lines(&trace))).unwrap_or_default();
            let compare = match &verified {
                Verified::Consistency(_) if kept.is_none() => {
                    "compare the older root with that of the checkpoint that you kept: --checkpoint KEPT does\n"
                }
                _ => "",
            };
            lines(&shown, 0) + &reasoning + compare
        },
        || shown.clone(),
    );
    Ok(())
}

fn logged(log: &chancery_receipt::Logged) -> Value {
    let witnesses: Vec<&str> = log.witnesses.iter().map(|witness| witness.name.as_str()).collect();
    json!({"log": log.origin, "entry": log.index, "checkpoint": log.size, "witnesses": witnesses})
}

fn receipt_value(receipt: &VerifiedReceipt) -> Value {
    let mut shown = json!({"verified": "receipt"});
    let mut add = |value: Value| {
        if let (Value::Object(value), Value::Object(shown)) = (value, &mut shown) {
            shown.extend(value);
        }
    };
    add(logged(&receipt.log));
    add(json!({"time": receipt.entry.time.to_string()}));
    match &receipt.entry.record {
        Record::Genesis { origin, .. } => {
            let ledger = LedgerId(Hash::of(&receipt.entry.to_bytes()).0);
            add(json!({"kind": "genesis", "origin": origin, "ledger": ledger.to_string()}));
        }
        Record::Seal { height, state_root, .. } => {
            add(json!({"kind": "seal", "height": height.0, "state_root": state_root.to_string()}));
        }
        Record::Call { signed, outcome, gas, .. } => {
            let fallback = Interface::default();
            let interface = receipt.interface.as_ref().unwrap_or(&fallback);
            let (kind, contract, method) = match &signed.call.action {
                Action::Invoke { contract, method, .. } => ("call", contract, method.as_str()),
                Action::Deploy { name, .. } => ("deploy", name, "init"),
            };
            let (arguments, returns) = explain::arguments(interface, &signed.call.action);
            add(json!({"kind": kind, "contract": contract, "method": method, "actor": signed.call.actor.to_did(),
                "ledger": signed.call.ledger.to_string(), "request": signed.call.request.to_string(), "arguments": arguments}));
            add(explain::outcome(interface, returns, outcome));
            add(json!({"gas": gas.0}));
        }
    }
    if let Some(writes) = &receipt.writes {
        let fallback = Interface::default();
        let interface = receipt.interface.as_ref().unwrap_or(&fallback);
        add(json!({"writes": writes.iter().map(|write| stored::write(interface, write)).collect::<Vec<_>>()}));
    }
    if !receipt.states.is_empty() {
        let states = receipt.states.iter().map(|state| state_value(state, receipt.interface.as_ref()));
        add(json!({"states": states.collect::<Vec<_>>()}));
    }
    if let Some(reasoning) = &receipt.trace {
        add(json!({"rules": reasoning.len(), "trace": trace(reasoning)}));
    }
    shown
}

fn state_value(state: &VerifiedState, interface: Option<&Interface>) -> Value {
    let named = interface.and_then(|interface| stored::key(interface, &state.key));
    let value = match (&state.value, &named) {
        (None, _) => "nothing was stored".into(),
        (Some(bytes), Some((storage, _))) => stored::value(storage, bytes),
        (Some(bytes), None) => hex::encode(bytes).into(),
    };
    let key = match named {
        Some((storage, parts)) => json!({"stored": storage.name, "key": parts}),
        None => json!(hex::encode(&state.key)),
    };
    json!({"verified": "state proof", "log": state.log.origin, "contract": state.contract.to_string(), "key": key, "value": value,
        "height": state.height.0, "time": state.time.to_string(), "state_root": state.state_root.to_string(), "seal": state.log.index,
        "checkpoint": state.log.size, "witnesses": state.log.witnesses.iter().map(|witness| witness.name.as_str()).collect::<Vec<_>>()})
}
