//! `state get`, `state list` and `state prove`: stored values, by the interface description.

use crate::commands::receipt::{Wait, hand_out, of_a_proof};
use crate::failure::{Failure, Outcome};
use crate::fields::from_text;
use crate::output::{Session, lines, plain, spoken, table};
use crate::stored;
use crate::town::{contract, open, open_to_read};
use chancery_node::{Ledger, Scan};
use chancery_types::interface::{Interface, Storage, Type};
use chancery_types::{Height, json};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show one stored value.
    Get {
        /// The contract's name.
        contract: String,
        /// The item's or map's name.
        stored: String,
        /// The parts of the map's key.
        key: Vec<String>,
    },
    /// Write the proof of what a key held, or that it held nothing, up to a signed checkpoint of the log.
    Prove {
        /// The contract's name.
        contract: String,
        /// The item's or map's name.
        stored: String,
        /// The parts of the map's key.
        key: Vec<String>,
        /// After the block at this height [default: the last]. For an older one the writes up to it are replayed.
        #[arg(long, value_name = "HEIGHT")]
        at: Option<u64>,
        /// Under which checkpoint: published, or one that the policy's witnesses cosigned [default: cosigned, where the policy names witnesses].
        #[arg(long, value_parser = of_a_proof())]
        wait: Option<Wait>,
        /// Where to write it [default: standard output].
        #[arg(short, long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// List what is stored.
    List {
        /// The contract's name.
        contract: String,
        /// The item's or map's name [default: all].
        stored: Option<String>,
        /// The first parts of the map's key.
        key: Vec<String>,
        /// Most values to list.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
}

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    // A proof leads to a published checkpoint; what is only shown needs none.
    let proves = matches!(arguments.command, Command::Prove { .. });
    let ledger = if proves { open(session)? } else { open_to_read(session)? };
    match &arguments.command {
        Command::Get { contract: name, stored: item, key } => {
            let value = get(&ledger, name, item, key)?;
            session.print(|| lines(&value, 0), || value.clone());
        }
        Command::Prove { contract: name, stored: item, key, at, wait, out } => {
            let (record, interface) = contract(&ledger, name)?;
            let bytes = key_of(find(&interface, item)?, key, true)?;
            let proof = ledger.prove_state(&record.id, &bytes, at.map(Height), Wait::level(*wait, &ledger))?;
            let text = proof.to_text().map_err(|error| Failure::usage(error.to_string()))?;
            ledger.close()?;
            return hand_out(session, &text, out.as_deref(), &format!("proof of `{item}`"));
        }
        Command::List { contract: name, stored: item, key, limit } => {
            let (record, interface) = contract(&ledger, name)?;
            let from = match item {
                Some(item) => key_of(find(&interface, item)?, key, false)?,
                None => Vec::new(),
            };
            let to = after(&from);
            // One more than is listed, to see whether there is more.
            let asked = limit.saturating_add(1);
            let mut pairs = ledger.state_scan(&record.id, &Scan { from, to, descending: false, limit: asked })?;
            let more = pairs.len() > *limit;
            pairs.truncate(*limit);
            let rows: Vec<Value> = pairs
                .iter()
                .map(|(key, value)| match stored::key(&interface, key) {
                    Some((storage, parts)) => {
                        json!({"stored": storage.name, "key": parts, "value": stored::value(storage, value)})
                    }
                    None => json!({"stored": null, "key": hex::encode(key), "value": hex::encode(value)}),
                })
                .collect();
            let text = || {
                let mut table = table(&["stored", "key", "value"]);
                for row in &rows {
                    let key: Vec<String> = row["key"].as_array().into_iter().flatten().map(plain).collect();
                    table.add_row([plain(&row["stored"]), key.join(", "), spoken(&row["value"])]);
                }
                let more = if more { format!("\nthe first {limit}; --limit shows more") } else { String::new() };
                format!("{table}{more}")
            };
            session.print(text, || Value::Array(rows.clone()));
        }
    }
    Ok(())
}

/// One stored value of a contract.
pub fn get(ledger: &Ledger, name: &str, item: &str, key: &[String]) -> Outcome<Value> {
    let (record, interface) = contract(ledger, name)?;
    let storage = find(&interface, item)?;
    let bytes = key_of(storage, key, true)?;
    let value = ledger.state_get(&record.id, &bytes)?.ok_or_else(|| {
        let at = if key.is_empty() { String::new() } else { format!(" at {}", key.join(", ")) };
        Failure::not_found(format!(
            "`{item}` has no value{at}: `chancery state list {name} {item}` shows what there is"
        ))
    })?;
    Ok(stored::value(storage, &value))
}

pub fn find<'a>(interface: &'a Interface, name: &str) -> Outcome<&'a Storage> {
    interface.storage.iter().find(|storage| storage.name == name).ok_or_else(|| {
        let known: Vec<&str> = interface.storage.iter().map(|storage| storage.name.as_str()).collect();
        Failure::not_found(format!(
            "`{}` stores nothing named `{name}`: it stores {}",
            interface.name,
            known.join(", ")
        ))
    })
}

/// The storage key of these parts; all of them, or the first ones.
pub fn key_of(storage: &Storage, parts: &[String], all: bool) -> Outcome<Vec<u8>> {
    if parts.len() > storage.keys.len() || (all && parts.len() < storage.keys.len()) {
        let expected: Vec<String> = storage.keys.iter().map(Type::describe).collect();
        let expected = if expected.is_empty() { "none".into() } else { expected.join(", ") };
        return Err(Failure::usage(format!(
            "the key of `{}` has these parts: {expected}; found {}",
            storage.name,
            parts.len()
        )));
    }
    let mut bytes = stored::prefix(storage);
    for (ty, part) in storage.keys.iter().zip(parts) {
        let encoded = from_text(ty, part)
            .and_then(|value| json::encode_key(ty, &value, &mut bytes).map_err(|error| error.to_string()));
        encoded.map_err(|error| Failure::usage(format!("key `{part}`: {error}")))?;
    }
    Ok(bytes)
}

/// The first key behind all that begin with these bytes.
fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut to = prefix.to_vec();
    while to.last() == Some(&0xff) {
        to.pop();
    }
    *to.last_mut()? += 1;
    Some(to)
}
