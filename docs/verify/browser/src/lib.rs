//! The verifier of `chancery-receipt` for a page in a browser: the file and the policy go in, and out comes what the page shows.
//!
//! Plain exports, no generated glue. The page asks for room ([`room`]), writes the bytes there, calls [`run`], and reads the answer from
//! [`answer`] to [`answer_len`]: JSON, `{"verified": false, "error": "…"}` or `{"verified": true, "title": "…", "sections": [{"title", "rows":
//! [[name, text]]}]}`. Texts in it come from the file: the page shows them as text, never as markup, and each stands within a line, with what
//! would end the line or turn its direction [`escaped`].

use chancery_receipt::{Logged, Policy, Verified, VerifiedConsistency, VerifiedReceipt, VerifiedState, verify};
use chancery_types::codec::Encode;
use chancery_types::decision::{Finding, Input, Step};
use chancery_types::interface::{Interface, Type};
use chancery_types::printed::escaped;
use chancery_types::{Action, Entry, Hash, LedgerId, Outcome, Reader, Record, Timestamp, json};
use serde_json::{Value, json};
use std::cell::RefCell;

thread_local! {
    /// The file, the policy, the answer.
    static BUFFERS: RefCell<[Vec<u8>; 3]> = const { RefCell::new([Vec::new(), Vec::new(), Vec::new()]) };
}

/// Makes room for `len` bytes of the file (`which` 0) or of the policy (1), and says where it is.
// SAFETY: the name is exported under no other symbol of this module.
#[unsafe(no_mangle)]
pub extern "C" fn room(which: usize, len: usize) -> *mut u8 {
    BUFFERS.with_borrow_mut(|buffers| {
        let buffer = &mut buffers[which.min(1)];
        *buffer = vec![0; len];
        buffer.as_mut_ptr()
    })
}

/// Verifies the file against the policy; answers 1 where it is verified, else 0.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn run() -> u32 {
    BUFFERS.with_borrow_mut(|[file, policy, answer]| {
        let shown = explain(file, policy);
        *answer = shown.to_string().into_bytes();
        u32::from(shown["verified"] == Value::Bool(true))
    })
}

/// Where the answer is.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn answer() -> *const u8 {
    BUFFERS.with_borrow(|buffers| buffers[2].as_ptr())
}

/// How many bytes the answer has.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn answer_len() -> usize {
    BUFFERS.with_borrow(|buffers| buffers[2].len())
}

/// What a page shows of a file under a policy.
pub fn explain(file: &[u8], policy: &[u8]) -> Value {
    let verified = Policy::parse(policy).map_err(|error| format!("the policy: {error}"));
    let verified = verified.and_then(|policy| verify(file, &policy).map_err(|error| error.to_string()));
    let (title, sections) = match &verified {
        Err(error) => return json!({"verified": false, "error": escaped(error)}),
        Ok(Verified::Receipt(receipt)) => ("This entry is in the log, unchanged.", receipt_sections(receipt)),
        Ok(Verified::State(state)) => (
            "This is what the ledger held.",
            vec![state_section(state), log_section("The seal in the log", &state.log)],
        ),
        Ok(Verified::Consistency(grown)) => ("The log only grew.", vec![consistency_section(grown)]),
    };
    json!({"verified": true, "title": title, "sections": sections})
}

/// Line feeds in a row's text are between its parts; in a part there are none.
fn section(title: &str, rows: &[(&str, String)]) -> Value {
    let lines = |text: &str| text.split('\n').map(escaped).collect::<Vec<_>>().join("\n");
    let rows: Vec<[String; 2]> = rows.iter().map(|(name, text)| [escaped(name).into(), lines(text)]).collect();
    json!({"title": title, "rows": rows})
}

fn log_section(title: &str, log: &Logged) -> Value {
    let witness = |(name, time): (&str, u64)| format!("{name} at {}", Timestamp(time.saturating_mul(1000)));
    let witnesses: Vec<String> = log.witnesses.iter().map(|found| witness((&found.name, found.time.0))).collect();
    section(
        title,
        &[
            ("Log", log.origin.clone()),
            ("Entry", format!("{} of {}", log.index, log.size)),
            (
                "Witnessed by",
                if witnesses.is_empty() {
                    "nobody: the policy asks for no witness".into()
                } else {
                    witnesses.join("\n")
                },
            ),
            ("Root", log.root.to_string()),
        ],
    )
}

fn state_section(state: &VerifiedState) -> Value {
    section(
        "A value of the state",
        &[
            ("Contract", state.contract.to_string()),
            ("Key", bytes(&state.key)),
            ("Held", state.value.as_deref().map_or_else(|| "nothing".into(), bytes)),
            ("After block", format!("{}, {}", state.height, state.time)),
        ],
    )
}

fn consistency_section(grown: &VerifiedConsistency) -> Value {
    let of = |size: u64, root: String| format!("{size} entries, root {root}");
    section(
        "Two checkpoints of one log",
        &[
            ("Log", grown.new.origin.clone()),
            ("Older", of(grown.old.size, grown.old.root.to_string())),
            ("Newer", of(grown.new.size, grown.new.root.to_string())),
            (
                "To compare",
                "the older root with that of the checkpoint that you kept: of another one this file shows nothing"
                    .into(),
            ),
        ],
    )
}

fn receipt_sections(receipt: &VerifiedReceipt) -> Vec<Value> {
    let mut sections = vec![entry_section(&receipt.entry, receipt.interface.as_ref())];
    if let Some(trace) = &receipt.trace {
        let rows: Vec<(String, String)> = trace.steps().iter().map(step).collect();
        let rows: Vec<(&str, String)> = rows.iter().map(|(rule, text)| (rule.as_str(), text.clone())).collect();
        sections.push(section("The reasoning", &rows));
    }
    if let Some(writes) = &receipt.writes {
        let rows: Vec<(String, String)> = writes
            .iter()
            .map(|write| (bytes(&write.key), write.value.as_deref().map_or_else(|| "removed".into(), bytes)))
            .collect();
        let rows: Vec<(&str, String)> = rows.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        sections.push(section("What it changed", &rows));
    }
    sections.extend(receipt.states.iter().map(state_section));
    sections.push(log_section("Where it stands", &receipt.log));
    sections
}

fn entry_section(entry: &Entry, interface: Option<&Interface>) -> Value {
    let time = ("Time", entry.time.to_string());
    match &entry.record {
        Record::Genesis { origin, .. } => {
            let ledger = LedgerId(Hash::of(&entry.to_bytes()).0);
            let rows = [("Log", origin.clone()), ("Ledger", ledger.to_string()), time];
            section("The first entry of a ledger", &rows)
        }
        Record::Seal { height, state_root, entries, keys } => section(
            "The end of a block",
            &[
                ("Block", height.to_string()),
                time,
                ("Entries", entries.to_string()),
                ("Keys of the state", keys.to_string()),
                ("State root", state_root.to_string()),
            ],
        ),
        Record::Call { signed, outcome, module, .. } => {
            let (contract, method, arguments) = match &signed.call.action {
                Action::Invoke { contract, method, arguments } => (contract, method.as_str(), arguments),
                Action::Deploy { name, arguments, .. } => (name, "(deployment)", arguments),
            };
            let described = interface.and_then(|interface| match &signed.call.action {
                Action::Invoke { method, .. } => interface.method(method),
                Action::Deploy { .. } => interface.init(),
            });
            let method_text = match described {
                Some((_, found)) if !found.citation.is_empty() => format!("{method} ({})", found.citation),
                _ => method.into(),
            };
            let fields = described
                .and_then(|(_, found)| json::decode_fields(found.arguments(), &mut Reader::new(arguments)).ok());
            let fields = fields.map(|fields| {
                let lines: Vec<String> =
                    fields.iter().map(|(name, value)| format!("{}: {}", escaped(name), plain(value))).collect();
                lines.join("\n")
            });
            let returns = described.map_or(&Type::Unit, |(_, found)| &found.returns);
            section(
                "The call",
                &[
                    ("Contract", escaped(contract).into()),
                    ("Method", escaped(&method_text).into()),
                    ("Arguments", fields.unwrap_or_else(|| bytes(arguments))),
                    ("Outcome", outcome_text(outcome, interface, returns)),
                    time,
                    ("Signed by", signed.call.actor.to_did()),
                    ("For the ledger", signed.call.ledger.to_string()),
                    ("Request", signed.call.request.to_string()),
                    ("Module", module.to_string()),
                ],
            )
        }
    }
}

fn outcome_text(outcome: &Outcome, interface: Option<&Interface>, returns: &Type) -> String {
    let word = outcome.word();
    match outcome {
        Outcome::Done { result } if result.is_empty() => word.into(),
        Outcome::Done { result } => {
            let shown = interface.and_then(|_| json::from_bytes(returns, result).ok());
            format!("{word}: {}", shown.as_ref().map_or_else(|| bytes(result), plain))
        }
        Outcome::Refused { code, detail, reasons } => {
            let shown = interface.and_then(|interface| json::variant(&interface.errors, *code, detail).ok());
            let shown = shown.as_ref().map_or_else(|| format!("error {code}"), plain);
            let reasons = reasons.iter().map(|reason| format!("not met: {}", escaped(reason)));
            [format!("{word}: {shown}")].into_iter().chain(reasons).collect::<Vec<_>>().join("\n")
        }
        Outcome::Trapped { kind } => format!("{word}: {kind}"),
        Outcome::OutOfGas => word.into(),
        Outcome::Rejected { rejection } => format!("{word}: {}", rejection.as_str()),
    }
}

fn step(step: &Step) -> (String, String) {
    let finding = match &step.finding {
        Finding::Met => "met".into(),
        Finding::NotMet => "not met".into(),
        Finding::Computed { value } => format!("= {value}"),
        Finding::NeedsPerson => "needs a person".into(),
    };
    let input = |input: &Input| format!("\n{}", escaped(&format!("{} {}", input.name, input.value)));
    let inputs = step.inputs.iter().map(input);
    let citation = if step.citation.is_empty() { String::new() } else { format!(" ({})", step.citation) };
    (step.rule.clone(), format!("{}{}", escaped(&format!("{finding}{citation}")), inputs.collect::<String>()))
}

/// A value within a line.
fn plain(value: &Value) -> String {
    escaped(&value.as_str().map_or_else(|| value.to_string(), String::from)).into()
}

/// Bytes as text where they are printable, else in hexadecimal.
fn bytes(bytes: &[u8]) -> String {
    match core::str::from_utf8(bytes) {
        Ok("") => "(empty)".into(),
        Ok(text) if escaped(text) == text => text.into(),
        _ => hex::encode(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_file_adds_a_line() {
        let forged = String::from("bakery\nOutcome: done\u{202e}");
        let input = Input { name: forged.clone(), value: (&forged).into() };
        let (rule, citation) = (forged.clone(), forged.clone());
        let (rule, text) = step(&Step { rule, citation, inputs: vec![input], finding: Finding::NotMet });
        let shown = section("The reasoning", &[(&rule, text)])["rows"].to_string();
        // One line feed, before the input.
        assert_eq!(shown.matches(r"\n").count() - shown.matches(r"\\n").count(), 1, "{shown}");
        assert!(!shown.contains('\u{202e}') && plain(&forged.into()) == r"bakery\nOutcome: done\u202e", "{shown}");
    }
}
