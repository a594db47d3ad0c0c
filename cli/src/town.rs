//! The ledger of a command: opened to write with its log key, to read without it; calls signed and sent. [`explain`](crate::explain) shows what came of them.

use crate::failure::{Code, Failure, Outcome};
use crate::keys::Keys;
use crate::output::{Session, tell};
use chancery_engine::{AdmissionError, Admitted};
use chancery_node::{Answer, Compiler, ContractRecord, Ledger, NodeError, Options};
use chancery_types::interface::{Interface, Method, MethodKind};
use chancery_types::{
    Action, Call, ModuleId, Outcome as CallOutcome, PublicKey, Record, RequestId, SignedCall, Timestamp,
};
use ed25519_dalek::SigningKey;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a call is valid unless told otherwise.
pub const VALID_FOR_SECONDS: u64 = 300;

/// The name of the file of a log's key.
pub fn log_key_name(origin: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    format!("log-{}", origin.chars().map(plain).collect::<String>())
}

/// The argument with which this program is its own child that compiles a module; no command of a user's.
pub const COMPILE: &str = "compile";

/// Where this program compiles modules: in a child, whose time and memory are limited.
pub fn compiler() -> Compiler {
    match std::env::current_exe() {
        Ok(program) => Compiler::Child(program, vec![COMPILE.into()]),
        Err(_) => Compiler::InProcess,
    }
}

/// How this program opens ledgers: modules are compiled in a child, checkpoints signed where the key is at hand.
pub fn options(session: &Session, log_key: Option<SigningKey>) -> Options {
    let (_, progress) = session.progress("opening");
    Options { log_key, compiler: compiler(), progress, ..Options::default() }
}

/// Opens the session's ledger without its log key, whose passphrase a reader need not know. What a process that was killed had recorded and not
/// published is published when the ledger is next opened with the key.
pub fn open_to_read(session: &Session) -> Outcome<Ledger> {
    open_when_free(session, None)
}

/// Opens the session's ledger with its log key: what is recorded is published.
pub fn open(session: &Session) -> Outcome<Ledger> {
    let vkey = std::fs::read_to_string(session.data.join("log.vkey")).unwrap_or_default();
    let origin = vkey.split('+').next().unwrap_or_default();
    let keys = Keys::new(&session.keys);
    let log_key = match keys.open(&log_key_name(origin)) {
        Ok(key) => Some(key),
        Err(failure) if failure.code != Code::NotFound => return Err(failure),
        // There is no ledger, which opening it says.
        Err(_) if origin.is_empty() => None,
        Err(_) => {
            tell(format_args!(
                "the log key `{}` is not in {}: what is recorded is published, and comes into exports and snapshots, only when `chancery log checkpoint` is run with --keys where it is",
                log_key_name(origin),
                session.keys.display()
            ));
            None
        }
    };
    // Another ledger of the same origin has a key of its own; signing with it would not verify.
    let is_of_this_log = |key: &SigningKey| {
        vkey.trim() == chancery_tlog::note::VerifierKey { name: origin.into(), key: public(key) }.to_vkey()
    };
    if log_key.as_ref().is_some_and(|key| !is_of_this_log(key)) {
        tell(format_args!(
            "the key `{}` in {} is that of another log: no checkpoint is signed. Name the directory of this log's key with --keys",
            log_key_name(origin),
            session.keys.display()
        ));
    }
    let log_key = log_key.filter(is_of_this_log);
    open_when_free(session, log_key)
}

/// How long a command waits for another one that has the ledger open: two at two terminals need not know of one another.
const WAIT_FOR: Duration = Duration::from_secs(5);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

fn open_when_free(session: &Session, log_key: Option<SigningKey>) -> Outcome<Ledger> {
    let begun = Instant::now();
    loop {
        match Ledger::open(&session.data, options(session, log_key.clone())) {
            Err(NodeError::Locked(_)) if begun.elapsed() < WAIT_FOR => std::thread::sleep(LOOK_EVERY),
            opened => return Ok(opened?),
        }
    }
}

/// A deployed contract and its interface.
pub fn contract(ledger: &Ledger, name: &str) -> Outcome<(ContractRecord, Interface)> {
    let Some(record) = ledger.contract(name)? else {
        let known: Vec<String> = ledger.contracts()?.into_iter().map(|contract| contract.name).collect();
        let known =
            if known.is_empty() { "none is deployed".into() } else { format!("there are: {}", known.join(", ")) };
        return Err(Failure::not_found(format!(
            "no contract is named `{name}` ({known}): deploy it with `chancery deploy`"
        )));
    };
    let interface = ledger.interface(&record.module)?;
    Ok((record, interface))
}

/// A method of a kind.
pub fn method<'a>(interface: &'a Interface, contract: &str, name: &str, kind: MethodKind) -> Outcome<&'a Method> {
    let wanted = name.replace('-', "_");
    if let Some((_, method)) = interface.method(&wanted).filter(|(_, method)| method.kind == kind) {
        return Ok(method);
    }
    if let Some((_, method)) = interface.method(&wanted) {
        let instead = match method.kind {
            MethodKind::Query => format!("a query: ask it with `chancery query {contract} {wanted}`"),
            MethodKind::Call => format!("a call: make it with `chancery call {contract} {wanted}`"),
            MethodKind::Init => "the init: it was done when the contract was deployed".into(),
        };
        return Err(Failure::usage(format!("`{wanted}` of `{contract}` is {instead}")));
    }
    let known: Vec<&str> =
        interface.methods.iter().filter(|method| method.kind == kind).map(|method| method.name.as_str()).collect();
    let word = if kind == MethodKind::Query { "queries" } else { "methods" };
    Err(Failure::usage(format!("`{contract}` has no such method `{name}`: its {word} are {}", known.join(", "))))
}

/// The key of who acts.
pub fn actor(session: &Session, name: Option<&str>) -> Outcome<SigningKey> {
    let keys = Keys::new(&session.keys);
    keys.open(named(&keys, name)?)
}

/// Who would act, where nothing is signed: the public half of the key.
pub fn dry_actor(session: &Session, name: Option<&str>) -> Outcome<PublicKey> {
    let keys = Keys::new(&session.keys);
    Ok(keys.public(named(&keys, name)?)?.key)
}

fn named<'a>(keys: &Keys, name: Option<&'a str>) -> Outcome<&'a str> {
    name.ok_or_else(|| {
        let known = keys.names().unwrap_or_default();
        Failure::usage(format!(
            "say who acts with --as KEY (keys: {}): make one with `chancery key new NAME`",
            known.join(", ")
        ))
    })
}

/// The public half of a key at hand.
pub fn public(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

/// Who asks, where no signature is needed: the key of this name, or nobody.
pub fn asker(session: &Session, name: Option<&str>) -> Outcome<PublicKey> {
    name.map_or(Ok(PublicKey::default()), |name| Ok(Keys::new(&session.keys).public(name)?.key))
}

/// A call by this actor, valid for so many seconds.
pub fn call(ledger: &Ledger, actor: PublicKey, request: RequestId, valid_for: u64, action: Action) -> Call {
    let valid_until = Timestamp(ledger.now().0.saturating_add(valid_for.saturating_mul(1_000)));
    Call { ledger: ledger.id(), actor, request, valid_until, action }
}

/// Signs and sends a call and waits until it is durable. The same request with the same action again gives its first answer.
pub fn send(ledger: &Ledger, key: &SigningKey, call: Call) -> Outcome<Answer> {
    if let Some(answer) = answered(ledger, &call)? {
        return Ok(answer);
    }
    let request = call.request;
    ledger.call(SignedCall::sign(call, key)).map_err(|refusal| again(refusal.into(), request))
}

/// Adds, where the same call may be sent again, the id by which it is known.
fn again(mut failure: Failure, request: RequestId) -> Failure {
    if failure.code == Code::Unavailable {
        failure.message.push_str(&format!(": --request {request}"));
    }
    failure
}

/// The answer that a request has already, where it was for the same action of the same actor; only the time of validity may differ.
pub fn answered(ledger: &Ledger, call: &Call) -> Outcome<Option<Answer>> {
    let Some(index) = ledger.find(call.request)? else { return Ok(None) };
    let answer = ledger.answer(index)?;
    let same = matches!(&answer.entry.record, Record::Call { signed, .. }
        if (signed.call.actor, &signed.call.action) == (call.actor, &call.action));
    if same {
        return Ok(Some(answer));
    }
    Err(chancery_node::Refusal::RequestReused { request: call.request, index }.into())
}

/// Puts a module and deploys it under a name.
pub fn deploy(
    ledger: &Ledger,
    key: &SigningKey,
    name: &str,
    wasm: &[u8],
    arguments: Vec<u8>,
    request: RequestId,
) -> Outcome<(ModuleId, Answer)> {
    let (module, _) = ledger.put_module(wasm).map_err(|error| again(error.into(), request))?;
    let action = Action::Deploy { name: name.into(), module, arguments };
    let answer = send(ledger, key, call(ledger, public(key), request, VALID_FOR_SECONDS, action))?;
    Ok((module, answer))
}

/// What came of a call.
pub fn outcome(answer: &Answer) -> Outcome<&CallOutcome> {
    answer.outcome().ok_or_else(|| Failure::internal("the entry is not that of a call"))
}

/// The gas that a call used.
pub fn gas(answer: &Answer) -> u64 {
    if let Record::Call { gas, .. } = &answer.entry.record { gas.0 } else { 0 }
}

/// Closes a ledger behind answers that are durable: what fails then concerns what is derived from the log, and is only told.
pub fn close(ledger: Ledger) {
    if let Err(error) = ledger.close() {
        tell(format_args!(
            "warning: what was answered is recorded, but the ledger could not be closed in order: {error}"
        ));
    }
}

/// Admits a module to be shown or run, or says why not and what to do.
pub fn admit(wasm: &[u8]) -> Outcome<Admitted> {
    chancery_engine::admit(wasm).map_err(not_admitted)
}

/// Admits a module that is to be deployed, or says why not and what to do.
pub fn admit_new(wasm: &[u8]) -> Outcome<Admitted> {
    chancery_engine::admit_new(wasm).map_err(not_admitted)
}

fn not_admitted(error: AdmissionError) -> Failure {
    Failure::usage(format!(
        "{error}\n`chancery check FILE` shows every limit; `chancery build` makes a module with its interface description"
    ))
}

/// Reads a module's file.
pub fn read_module(path: &Path) -> Outcome<Vec<u8>> {
    std::fs::read(path).map_err(|error| Failure::file("cannot read", path, &error))
}
