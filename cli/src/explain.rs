//! What an execution, an answer or an entry means by the contract's interface, for people and programs.

use crate::failure::{Failure, Outcome};
use crate::output::{Session, escaped, lines, tell};
use crate::stored;
use crate::town;
use chancery_node::{Answer, Execution};
use chancery_types::interface::{Interface, Type};
use chancery_types::{Action, Event, Finding, Outcome as CallOutcome, Reader, Record, Step, Trace, TrapKind, json};
use serde_json::{Map, Value, json};

/// The arguments of what was called, in hexadecimal digits where the interface does not fit them, and the type of its result.
pub fn arguments<'a>(interface: &'a Interface, action: &Action) -> (Value, &'a Type) {
    let (method, bytes) = match action {
        Action::Invoke { method, arguments, .. } => (interface.method(method), arguments),
        Action::Deploy { arguments, .. } => (interface.init(), arguments),
    };
    let fields = method.and_then(|(_, method)| json::decode_fields(method.arguments(), &mut Reader::new(bytes)).ok());
    let returns = match (action, method) {
        (Action::Invoke { .. }, Some((_, method))) => &method.returns,
        _ => &Type::Unit,
    };
    (fields.map_or_else(|| hex::encode(bytes).into(), Value::Object), returns)
}

/// An event, in hexadecimal digits where the interface does not know it.
pub fn event(interface: &Interface, event: &Event) -> Value {
    json::variant(&interface.events, event.kind, &event.data).unwrap_or_else(|_| hex::encode(&event.data).into())
}

/// What an outcome means by the interface: word, result or error, reasons.
pub fn outcome(interface: &Interface, returns: &Type, outcome: &CallOutcome) -> Value {
    let mut shown = Map::new();
    shown.insert("outcome".into(), outcome.word().into());
    match outcome {
        CallOutcome::Done { result } => {
            let result = json::from_bytes(returns, result).unwrap_or_else(|_| hex::encode(result).into());
            if !result.is_null() {
                shown.insert("result".into(), result);
            }
        }
        CallOutcome::Refused { code, detail, reasons } => {
            let error = json::variant(&interface.errors, *code, detail);
            shown.insert("error".into(), error.unwrap_or_else(|_| format!("code {code}").into()));
            if let Some(variant) = interface.errors.get(usize::from(*code)) {
                shown.insert("meaning".into(), variant.doc.clone().into());
                if reasons.is_empty() && !variant.citation.is_empty() {
                    shown.insert("provision".into(), variant.citation.clone().into());
                }
            }
            if !reasons.is_empty() {
                shown.insert("not met".into(), reasons.join("; ").into());
            }
        }
        CallOutcome::Trapped { kind } => {
            shown.insert("reason".into(), kind.as_str().into());
        }
        CallOutcome::OutOfGas => {
            shown.insert("reason".into(), "the gas set aside for the call did not suffice".into());
        }
        CallOutcome::Rejected { rejection } => {
            shown.insert("reason".into(), rejection.as_str().into());
        }
    }
    Value::Object(shown)
}

/// The rules that were not met, as the entry has them, and what each looked at where the trace is at hand.
fn unmet(outcome: &CallOutcome, trace: &Trace) -> Vec<(String, String)> {
    let CallOutcome::Refused { reasons, .. } = outcome else { return Vec::new() };
    let steps: Vec<Step> = trace.steps().into_iter().filter(|step| step.finding == Finding::NotMet).collect();
    // Of many such steps the entry has the last ones.
    let skipped = steps.len().saturating_sub(reasons.len());
    let inputs = steps.iter().skip(skipped).map(inputs).chain(std::iter::repeat(String::new()));
    reasons.iter().zip(inputs).map(|(reason, inputs)| (format!("not met: {reason}"), inputs)).collect()
}

/// Why a call was not done, in a line for each reason: the rules that were not met with what they looked at, `not met: RULE (CITATION), from NAME VALUE;
/// NAME VALUE`; else what the error means, or what stopped it. Nothing where it was done. Not [`escaped`].
pub fn reasons(interface: &Interface, outcome: &CallOutcome, trace: &Trace) -> Vec<String> {
    let unmet = unmet(outcome, trace);
    if !unmet.is_empty() {
        let line = |(reason, inputs): (String, String)| match inputs.as_str() {
            "" => reason,
            inputs => format!("{reason}, from {inputs}"),
        };
        return unmet.into_iter().map(line).collect();
    }
    let shown = self::outcome(interface, &Type::Unit, outcome);
    let provision = shown["provision"].as_str().map(|provision| format!(" ({provision})")).unwrap_or_default();
    let found = [&shown["meaning"], &shown["reason"]].into_iter().find_map(Value::as_str);
    found.map(|text| format!("{text}{provision}")).into_iter().collect()
}

/// What [`outcome`] gives, and whatever was added, in lines for people; below a rule that was not met stands what it looked at.
pub fn outcome_lines(shown: &Value, outcome: &CallOutcome, trace: &Trace) -> String {
    let line = |(name, value): (&String, &Value)| match name.as_str() {
        "not met" => unmet(outcome, trace)
            .iter()
            .map(|(reason, inputs)| {
                let inputs = if inputs.is_empty() { String::new() } else { format!("\n  from {}", escaped(inputs)) };
                format!("{}{inputs}\n", escaped(reason))
            })
            .collect(),
        _ => lines(&json!({name: value}), 0),
    };
    shown.as_object().into_iter().flatten().map(line).collect()
}

/// The decision trace, step by step.
pub fn trace(trace: &Trace) -> Value {
    let step = |step: &Step| {
        let inputs: Map<String, Value> =
            step.inputs.iter().map(|input| (input.name.clone(), input.value.to_string().into())).collect();
        let mut shown = json!({"rule": step.rule, "citation": step.citation, "finding": finding(step)});
        if !inputs.is_empty() {
            shown["inputs"] = Value::Object(inputs);
        }
        shown
    };
    Value::Array(trace.steps().iter().map(step).collect())
}

fn finding(step: &Step) -> String {
    match &step.finding {
        Finding::Met => "met".into(),
        Finding::NotMet => "not met".into(),
        Finding::Computed { value } => format!("= {value}"),
        Finding::NeedsPerson => "needs a person".into(),
    }
}

/// What a step looked at.
fn inputs(step: &Step) -> String {
    step.inputs.iter().map(|input| format!("{} {}", input.name, input.value)).collect::<Vec<_>>().join("; ")
}

/// The trace in lines for people.
pub fn trace_lines(trace: &Trace) -> String {
    let line = |step: &Step| {
        let citation = if step.citation.is_empty() { String::new() } else { format!(" ({})", step.citation) };
        let inputs = inputs(step);
        let inputs = if inputs.is_empty() { String::new() } else { format!("\n      from {}", escaped(&inputs)) };
        let found = format!("{}{citation}: {}", step.rule, finding(step));
        format!("    {}{inputs}\n", escaped(&found))
    };
    trace.steps().iter().map(line).collect()
}

/// An execution that was not recorded, for people and programs.
pub fn show_execution(
    session: &Session,
    interface: &Interface,
    returns: &Type,
    execution: &Execution,
    name: &str,
) -> Outcome {
    let mut shown = outcome(interface, returns, &execution.outcome);
    let events = execution.events.iter().map(|happened| event(interface, happened));
    let writes = execution.writes.iter().map(|write| stored::write(interface, write));
    shown["events"] = events.collect();
    shown["writes"] = writes.collect();
    shown["gas"] = execution.gas.0.into();
    shown["trace"] = trace(&execution.trace);
    shown["log"] = execution.diagnostics.clone().into();
    session.print(
        || {
            let mut text = format!("dry run of {name}: nothing was recorded\n");
            text.push_str(&lines(&outcome(interface, returns, &execution.outcome), 2));
            text.push_str(&lines(&json!({"events": shown["events"], "writes": shown["writes"]}), 2));
            if !execution.trace.is_empty() {
                text.push_str("  reasoning:\n");
                text.push_str(&trace_lines(&execution.trace));
            }
            text.push_str(&format!("  gas: {}\n", execution.gas));
            let log = |line: &String| format!("  log: {}\n", escaped(line));
            text.extend(execution.diagnostics.iter().map(log));
            text
        },
        || shown.clone(),
    );
    refusal(interface, &execution.outcome, &execution.trace)
}

/// What a contract said beside its answer, and which limit stopped it, for a person; a program is told in the result.
pub fn tell_diagnostics(session: &Session, diagnostics: &[String]) {
    if !session.json {
        diagnostics.iter().for_each(|line| tell(format_args!("log: {line}")));
    }
}

/// How to find out why a contract was stopped. A module has no texts of panics: they would be paid for with every call.
fn advice(outcome: &CallOutcome) -> &'static str {
    match outcome {
        CallOutcome::Trapped { kind: TrapKind::LimitExceeded } => {
            "\nthe log of a query or a dry run (`--dry-run`) says which limit"
        }
        CallOutcome::Trapped { .. } => {
            "\n`chancery profile` with the same arguments and --names says in which function, and by which kind of panic; a native test, with which message"
        }
        _ => "",
    }
}

/// The end of a command by what came of its call.
pub fn refusal(interface: &Interface, outcome: &CallOutcome, trace: &Trace) -> Outcome {
    if outcome.is_done() {
        return Ok(());
    }
    let said = [vec![outcome.word().into()], reasons(interface, outcome, trace)].concat();
    Err(Failure::refused(format!("the call was not done: {}{}", said.join(": "), advice(outcome))))
}

/// An answer for people and programs.
pub fn show_answer(session: &Session, interface: &Interface, returns: &Type, answer: &Answer) -> Outcome {
    let found = town::outcome(answer)?;
    let mut shown = outcome(interface, returns, found);
    shown["entry"] = answer.index.into();
    if let Record::Call { signed, .. } = &answer.entry.record {
        shown["request"] = signed.call.request.to_string().into();
    }
    shown["height"] = answer.height.0.into();
    shown["gas"] = town::gas(answer).into();
    if answer.repeated {
        shown["repeated"] = true.into();
    }
    session.print(
        || outcome_lines(&shown, found, &answer.trace),
        || {
            let mut shown = shown.clone();
            shown["trace"] = trace(&answer.trace);
            shown
        },
    );
    refusal(interface, found, &answer.trace)
}
