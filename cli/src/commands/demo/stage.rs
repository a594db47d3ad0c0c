//! The stage: a ledger with keys and contracts, and how the calls of a scenario are made and told.

use super::{CONTRACTS, DAYS, ORIGIN, PEOPLE};
use crate::explain;
use crate::failure::{Failure, Outcome};
use crate::keys::{Keys, request_id};
use crate::output::{Session, plain, spoken};
use crate::town::{self, VALID_FOR_SECONDS};
use chancery_node::{Answer, Clock, Ledger, Options, SystemClock};
use chancery_types::interface::{Field, Interface, Method, MethodKind, Type};
use chancery_types::{Action, ContractId, Finding, Outcome as CallOutcome, PublicKey, RequestId, Timestamp, json};
use ed25519_dalek::{Signer, SigningKey};
use indicatif::ProgressBar;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const DAY_MILLISECONDS: u64 = 24 * 60 * 60 * 1_000;

/// What is played with one contract.
pub struct Scenario {
    /// The contract's name.
    pub contract: &'static str,
    /// Calls of the officer before the cases.
    pub setup: Vec<Step>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// What one person asks for: the calls until it is decided.
pub struct Case {
    /// Who asks.
    pub who: &'static str,
    /// What for.
    pub asks: &'static str,
    /// The calls; every one but the last is done.
    pub steps: Vec<Step>,
    /// A word of the decision with which the last call ends.
    pub ends: &'static str,
}

/// One call.
pub struct Step {
    /// The day, counted from the first one of the demonstration.
    pub day: u64,
    /// Who signs it.
    pub by: &'static str,
    /// The method.
    pub method: &'static str,
    /// Its fields.
    pub fields: Value,
    /// The field that is the result of the case's first call: the fee that was set.
    pub takes: Option<&'static str>,
    /// What is paid by it.
    pub paid: Paid,
}

/// What is paid by a call.
#[derive(Clone, Copy)]
pub enum Paid {
    Nothing,
    /// A fee that this field names.
    Fee(&'static str),
    /// What this field of the result names.
    Out(&'static str),
}

/// A call of this day.
pub fn step(day: u64, by: &'static str, method: &'static str, fields: Value) -> Step {
    Step { day, by, method, fields, takes: None, paid: Paid::Nothing }
}

/// The officer records that the fee was paid which the case's first call had set.
pub fn fee(day: u64, method: &'static str, fields: Value) -> Step {
    Step { takes: Some("amount"), paid: Paid::Fee("amount"), ..step(day, "officer", method, fields) }
}

/// A decided case.
pub struct Row {
    pub contract: &'static str,
    pub who: &'static str,
    pub asks: &'static str,
    /// The day of the decision.
    pub time: Timestamp,
    /// The outcome's word.
    pub outcome: &'static str,
    pub decision: String,
    pub provision: String,
    pub paid: Vec<String>,
    /// Gas of all calls.
    pub gas: u64,
    /// Entries of the calls, the decision's last.
    pub entries: Vec<u64>,
}

/// A deployed contract.
pub struct Deployed {
    pub name: &'static str,
    pub id: ContractId,
    pub interface: Interface,
    pub module: String,
    pub gas: u64,
    /// Gas of the calls before the cases.
    pub setup_gas: u64,
}

/// The system's clock, so many milliseconds back.
struct SetBack(AtomicU64);

impl Clock for SetBack {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0.saturating_sub(self.0.load(Ordering::Relaxed)))
    }
}

/// The ledger with keys and contracts.
pub struct Stage {
    pub ledger: Ledger,
    pub bar: ProgressBar,
    pub deployed: Vec<Deployed>,
    people: BTreeMap<&'static str, SigningKey>,
    clock: Arc<SetBack>,
}

impl Stage {
    /// Makes keys and ledger.
    pub fn build(session: &Session) -> Outcome<Stage> {
        let keys = Keys::new(&session.keys);
        let people = PEOPLE.iter().map(|name| Ok((*name, keys.create(name, None)?))).collect::<Outcome<_>>()?;
        let log_key = keys.create(&town::log_key_name(ORIGIN), None)?;
        let clock = Arc::new(SetBack(AtomicU64::new(DAYS * DAY_MILLISECONDS)));
        let options = Options { clock: clock.clone(), ..town::options(session, None) };
        let ledger = Ledger::create(&session.data, ORIGIN, &log_key, options)?;
        Ok(Stage { ledger, bar: ProgressBar::hidden(), deployed: Vec::new(), people, clock })
    }

    /// Deploys the contracts; the officer becomes the authority of each.
    pub fn deploy(&mut self) -> Outcome {
        self.bar.inc_length(CONTRACTS.len() as u64);
        for (name, wasm) in CONTRACTS {
            let key = self.key("officer")?;
            let request = RequestId(request_id()?);
            let (module, answer) = town::deploy(&self.ledger, key, name, wasm, Vec::new(), request)?;
            let (record, interface) = town::contract(&self.ledger, name)?;
            let (gas, module) = (town::gas(&answer), module.to_string());
            self.deployed.push(Deployed { name, id: record.id, interface, module, gas, setup_gas: 0 });
            self.bar.inc(1);
        }
        Ok(())
    }

    pub fn key(&self, name: &str) -> Outcome<&SigningKey> {
        self.people.get(name).ok_or_else(|| Failure::internal(format!("nobody is named {name}")))
    }

    pub fn did(&self, name: &str) -> Outcome<String> {
        Ok(PublicKey(self.key(name)?.verifying_key().to_bytes()).to_did())
    }

    /// A person's signature over a statement, in hexadecimal.
    pub fn signature(&self, name: &str, statement: &[u8]) -> Outcome<String> {
        Ok(hex::encode(self.key(name)?.sign(statement).to_bytes()))
    }

    pub fn contract(&self, name: &str) -> Outcome<&Deployed> {
        let found = self.deployed.iter().find(|contract| contract.name == name);
        found.ok_or_else(|| Failure::internal(format!("{name} is not deployed")))
    }

    /// Moves the clock on to a day.
    fn day(&self, day: u64) {
        self.clock.0.store(DAYS.saturating_sub(day) * DAY_MILLISECONDS, Ordering::Relaxed);
    }

    /// Moves the clock on to today.
    pub fn today(&self) {
        self.day(DAYS);
    }

    /// Plays the scenarios side by side, in the order of days.
    pub fn play(&mut self, scenarios: impl IntoIterator<Item = Scenario>) -> Outcome<Vec<Row>> {
        let mut cases = Vec::new();
        for Scenario { contract, setup, cases: of_contract } in scenarios {
            let mut gas = 0;
            for step in setup {
                let answer = self.call(contract, &step, None)?;
                self.expect(contract, &step, &answer, "")?;
                gas += town::gas(&answer);
            }
            self.deployed.iter_mut().filter(|deployed| deployed.name == contract).for_each(|d| d.setup_gas = gas);
            cases.extend(of_contract.into_iter().map(|case| Playing::new(contract, case)));
        }
        let mut calls: Vec<(u64, usize, usize)> = Vec::new();
        for (at, playing) in cases.iter().enumerate() {
            calls.extend(playing.case.steps.iter().enumerate().map(|(step, call)| (call.day, at, step)));
        }
        calls.sort_unstable();
        self.bar.inc_length(calls.len() as u64);
        for (day, at, step) in calls {
            self.day(day);
            self.advance(&mut cases[at], step)?;
            self.bar.inc(1);
        }
        self.today();
        let decided = cases.into_iter().map(|playing| playing.row);
        decided.collect::<Option<_>>().ok_or_else(|| Failure::internal("a case has no calls"))
    }

    /// Makes the next call of a case.
    fn advance(&self, playing: &mut Playing, at: usize) -> Outcome {
        let (contract, step) = (playing.contract, &playing.case.steps[at]);
        let answer = self.call(contract, step, playing.first.as_ref())?;
        let ends = if at + 1 == playing.case.steps.len() { playing.case.ends } else { "" };
        let shown = self.expect(contract, step, &answer, ends)?;
        let interface = &self.contract(contract)?.interface;
        let method = town::method(interface, contract, step.method, MethodKind::Call)?;
        let mut row = playing.row.take().unwrap_or_else(|| Row::new(contract, &playing.case));
        row.time = answer.entry.time;
        row.outcome = answer.outcome().map_or("", CallOutcome::word);
        row.decision = decision(interface, &answer, &shown);
        row.provision = provision(interface, method, &answer);
        row.paid.extend(paid(method, step, playing.first.as_ref(), &shown["result"]));
        row.gas += town::gas(&answer);
        row.entries.push(answer.index);
        playing.first.get_or_insert_with(|| shown["result"].clone());
        playing.row = Some(row);
        Ok(())
    }

    /// Signs a call, sends it, and waits until it is durable.
    fn call(&self, contract: &str, step: &Step, first: Option<&Value>) -> Outcome<Answer> {
        let interface = &self.contract(contract)?.interface;
        let method = town::method(interface, contract, step.method, MethodKind::Call)?;
        let mut fields = step.fields.as_object().cloned().unwrap_or_default();
        if let (Some(field), Some(value)) = (step.takes, first) {
            fields.insert(field.into(), value.clone());
        }
        let mut arguments = Vec::new();
        json::encode_fields(method.arguments(), &fields, &mut arguments)
            .map_err(|error| Failure::internal(format!("{contract} {}: {error}", step.method)))?;
        let action = Action::Invoke { contract: contract.into(), method: method.name.clone(), arguments };
        let key = self.key(step.by)?;
        let call = town::call(&self.ledger, town::public(key), RequestId(request_id()?), VALID_FOR_SECONDS, action);
        town::send(&self.ledger, key, call)
    }

    /// What the answer says; an error where it is not what the scenario expects: done, or with this word in it.
    fn expect(&self, contract: &str, step: &Step, answer: &Answer, ends: &str) -> Outcome<Value> {
        let interface = &self.contract(contract)?.interface;
        let method = town::method(interface, contract, step.method, MethodKind::Call)?;
        let outcome = town::outcome(answer)?;
        let shown = explain::outcome(interface, &method.returns, outcome);
        let said = decision(interface, answer, &shown);
        if if ends.is_empty() { outcome.is_done() } else { said.contains(ends) } {
            return Ok(shown);
        }
        let expected = if ends.is_empty() { "done" } else { ends };
        Err(Failure::internal(format!("{contract} {}: expected {expected}, found {shown}", step.method)))
    }

    /// Closes the ledger.
    pub fn close(self) -> Outcome<Vec<Deployed>> {
        self.ledger.close()?;
        Ok(self.deployed)
    }
}

/// A case that is being played.
struct Playing {
    contract: &'static str,
    case: Case,
    /// The result of its first call.
    first: Option<Value>,
    row: Option<Row>,
}

impl Playing {
    fn new(contract: &'static str, case: Case) -> Self {
        Playing { contract, case, first: None, row: None }
    }
}

impl Row {
    fn new(contract: &'static str, case: &Case) -> Self {
        Row {
            contract,
            who: case.who,
            asks: case.asks,
            time: Timestamp(0),
            outcome: "",
            decision: String::new(),
            provision: String::new(),
            paid: Vec::new(),
            gas: 0,
            entries: Vec::new(),
        }
    }
}

/// What was decided, in a line: the refusal with its reason, the result, or what happened.
fn decision(interface: &Interface, answer: &Answer, shown: &Value) -> String {
    if !shown["error"].is_null() {
        return format!("refused ({}): {}", spoken(&shown["error"]), plain(&shown["meaning"]));
    }
    let events: Vec<String> = events(interface, answer).iter().map(spoken).collect();
    match &shown["result"] {
        // A word alone says less than what happened.
        Value::Null | Value::String(_) if !events.is_empty() => events.join("; "),
        Value::Null => plain(&shown["outcome"]),
        result => spoken(result),
    }
}

fn events(interface: &Interface, answer: &Answer) -> Vec<Value> {
    let chancery_types::Record::Call { events, .. } = &answer.entry.record else { return Vec::new() };
    let event = |event: &chancery_types::Event| json::variant(&interface.events, event.kind, &event.data).ok();
    events.iter().filter_map(event).collect()
}

/// Citations of the computed steps that one decision may have before its method's citation says it shorter.
const CITATIONS_MAX: usize = 2;

/// The provision of a decision: that of the rule that is not met, that which an event names, those of what was computed, or the method's.
pub fn provision(interface: &Interface, method: &Method, answer: &Answer) -> String {
    if let Some(CallOutcome::Refused { code, .. }) = answer.outcome() {
        let steps = answer.trace.steps();
        let unmet = steps.iter().rev().find(|step| step.finding == Finding::NotMet && !step.citation.is_empty());
        let error = interface.errors.get(usize::from(*code)).map(|error| error.citation.clone());
        return unmet.map(|step| step.citation.clone()).or(error).unwrap_or_default();
    }
    let events = events(interface, answer);
    let inner = |event: &Value| Some(event.as_object()?.values().next()?["provision"].as_str()?.to_string());
    if let Some(named) = events.iter().find_map(inner) {
        return named;
    }
    let (steps, mut citations) = (answer.trace.steps(), Vec::<&str>::new());
    for step in &steps {
        let computed = matches!(step.finding, Finding::Computed { .. });
        if computed && !step.citation.is_empty() && !citations.contains(&step.citation.as_str()) {
            citations.push(&step.citation);
        }
    }
    match citations.len() {
        0 => method.citation.clone(),
        1..=CITATIONS_MAX => citations.join("; "),
        _ => method.citation.clone(),
    }
}

/// What was paid by a step, with its currency.
fn paid(method: &Method, step: &Step, first: Option<&Value>, result: &Value) -> Option<String> {
    let returned: &[Field] = match &method.returns {
        Type::Struct { fields, .. } => fields,
        _ => &[],
    };
    let (word, fields, name, amount) = match step.paid {
        Paid::Nothing => return None,
        Paid::Fee(name) => {
            let taken = step.takes.filter(|takes| *takes == name).and(first);
            ("fee ", method.arguments(), name, taken.unwrap_or(&step.fields[name]))
        }
        Paid::Out(name) => ("", returned, name, &result[name]),
    };
    let currency = fields.iter().find(|field| field.name == name).and_then(|field| match &field.ty {
        Type::Money { currency, .. } => std::str::from_utf8(currency).ok(),
        _ => None,
    });
    Some(format!("{word}{} {}", plain(amount), currency.unwrap_or_default()))
}
