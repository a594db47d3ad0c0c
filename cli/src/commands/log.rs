//! `log head`, `log show`, `log list`, `log verify`.

use crate::failure::{Failure, Outcome};
use crate::output::{Session, lines, plain, spoken, table};
use crate::stored;
use crate::town::{explain, open, trace, trace_lines};
use chancery_node::{Ledger, Report};
use chancery_types::entry::Effects;
use chancery_types::interface::{Interface, Type};
use chancery_types::{Action, Entry, ModuleId, Record, json};
use serde_json::{Value, json};
use std::collections::HashMap;

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
        #[arg(long, default_value_t = 20)]
        limit: u64,
    },
    /// Verify the whole log from its files: chain, signatures, digests, state roots, Merkle root, checkpoint.
    Verify,
}

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    match &arguments.command {
        Command::Head => head(session),
        Command::Show { index } => show(session, *index),
        Command::List { from, limit } => list(session, *from, *limit),
        Command::Verify => verify(session),
    }
}

fn head(session: &Session) -> Outcome {
    let value = head_value(&open(session)?);
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
    let note =
        note.filter(|note| !note.is_null()).map_or("no checkpoint: the log key is not at hand".into(), |n| plain(&n));
    format!("{}\n{note}", lines(&shown, 0))
}

fn verify(session: &Session) -> Outcome {
    let report = check(session)?;
    session.print(|| report_text(&report), || report_value(&report));
    Ok(())
}

/// Verifies the log of the session's directory.
pub fn check(session: &Session) -> Outcome<Report> {
    let bar = session.bar(0, "verifying");
    let shown = bar.clone();
    let progress: chancery_node::Progress = std::sync::Arc::new(move |_, done, _| shown.set_position(done));
    let report = chancery_node::verify(&session.data, &progress)?;
    bar.finish_and_clear();
    Ok(report)
}

/// What a verification covered.
pub fn report_value(report: &Report) -> Value {
    json!({
        "ledger": report.ledger.to_string(), "origin": report.origin, "entries": report.entries, "calls": report.calls,
        "blocks": report.blocks, "root": report.root.to_string(), "state_root": report.state_root.to_string(),
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
        "verified: {} entries, {} calls with their signatures, {} blocks with their state roots; {checkpoint}{torn}\nroot {}\nstate root {} over {} keys",
        report.entries, report.calls, report.blocks, report.root, report.state_root, report.keys
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
            let (name, method, bytes) = match &signed.call.action {
                Action::Invoke { contract, method, arguments } => (contract, method.as_str(), arguments),
                Action::Deploy { name, arguments, .. } => (name, "deploy", arguments),
            };
            let deploy = matches!(signed.call.action, Action::Deploy { .. });
            let found = if deploy { interface.init() } else { interface.method(method) }.map(|(_, method)| method);
            let arguments = found.and_then(|method| {
                let mut reader = chancery_types::Reader::new(bytes);
                json::decode_fields(method.arguments(), &mut reader).ok().map(Value::Object)
            });
            let events = events.iter().map(|event| {
                json::variant(&interface.events, event.kind, &event.data)
                    .unwrap_or_else(|_| hex::encode(&event.data).into())
            });
            let writes = effects.writes.iter().map(|write| stored::write(interface, write));
            shown["kind"] = if deploy { "deploy" } else { "call" }.into();
            shown["contract"] = name.as_str().into();
            shown["method"] = method.into();
            shown["actor"] = signed.call.actor.to_did().into();
            shown["request"] = signed.call.request.to_string().into();
            shown["valid_until"] = signed.call.valid_until.to_string().into();
            shown["arguments"] = arguments.unwrap_or_else(|| hex::encode(bytes).into());
            let returns = found.filter(|_| !deploy).map_or(&Type::Unit, |method| &method.returns);
            if let Value::Object(explained) = explain(interface, returns, outcome) {
                explained.into_iter().for_each(|(name, value)| shown[name] = value);
            }
            shown["gas"] = gas.0.into();
            shown["prices"] = (*prices).into();
            shown["events"] = events.collect();
            shown["writes"] = writes.collect();
            shown["contract_id"] = contract.to_string().into();
            shown["module"] = module.to_string().into();
            shown["signature"] = format!("{:?}", signed.signature).into();
        }
    }
    shown["previous"] = entry.previous.to_string().into();
    shown
}

fn show(session: &Session, index: u64) -> Outcome {
    let ledger = open(session)?;
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
    let ledger = open(session)?;
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
