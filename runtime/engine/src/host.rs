//! The host functions: what they do and what they cost, independent of the engine.
//!
//! [`Host`] is the host's side of one call. The engine's linker moves bytes between it and the guest's memory; a native test harness
//! calls it directly, so that a contract means the same in both. Each function first charges, by its line in [`HOST_FUNCTIONS`], then checks its
//! limits, then works. It stops the call by a [`Stop`]: a trap and an empty purse are the contract's doing and become outcomes; a
//! [`NodeFault`] is not and does not.
//!
//! Rollback: a call's writes lie in an overlay of its own. [`Host::finish`] hands them on when the call is done; otherwise it drops them, and
//! the events. The trace is kept either way: it is the reasoning of a refusal.
//!
//! No host function calls the guest, so none can be entered twice at once.

mod functions;
mod header;
mod meter;
mod wasi;

use crate::NodeFault;
pub use crate::call::{CONTEXT_BYTES, Context, Execution, HostCost, Invocation, Kind};
use crate::limits::*;
use crate::prices::SCAN_PAIR;
use chancery_state::{Overlay, Pair, Scan, StateError, Store};
use chancery_types::codec::Encode;
use chancery_types::entry::{Rejection, WriteSet};
use chancery_types::{Event, Finding, Gas, Hash, Outcome, PublicKey, Signature, Step, Trace, TrapKind};
pub use functions::{Function, HOST_FUNCTIONS, HostFunction, IMPORT_MODULE, Scalar};
pub use header::c_header;
use meter::Meter;
use std::sync::Arc;
pub use wasi::{WASI_FUNCTIONS, WASI_MODULE, WasiFunction};

/// What the entry function answers: done.
pub const ANSWER_DONE: i32 = 0;
/// What the entry function answers: refused, after `fault`.
pub const ANSWER_REFUSED: i32 = 1;
/// What the entry function answers: the arguments do not decode. Its own word, whatever it did before: it is charged, and what it traced stays.
pub const ANSWER_BAD_ARGUMENTS: i32 = 2;

/// Bytes of a pair in a scan beside key and value: their lengths, `u16` and `u32`.
const PAIR_OVERHEAD_BYTES: usize = 6;

/// Why the guest does not go on.
#[derive(Debug)]
pub enum Stop {
    /// The contract is stopped.
    Trap(TrapKind),
    /// The gas does not suffice.
    OutOfGas,
    /// The node failed.
    Fault(NodeFault),
}

/// A pointer or length of the guest's leaves its memory.
pub(crate) struct Outside;

/// How a host function ends early.
#[derive(Debug)]
pub(crate) enum End {
    Outside,
    Stop(Stop),
}

impl From<Outside> for End {
    fn from(_: Outside) -> Self {
        End::Outside
    }
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        End::Stop(stop)
    }
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        Stop::Fault(NodeFault::State(error))
    }
}

impl From<NodeFault> for Stop {
    fn from(fault: NodeFault) -> Self {
        Stop::Fault(fault)
    }
}

/// The host's side of one call.
pub struct Host {
    kind: Kind,
    context: Context,
    arguments: Vec<u8>,
    overlay: Overlay,
    meter: Meter,
    result: Vec<u8>,
    fault: Option<(u16, Vec<u8>)>,
    events: Vec<Event>,
    events_bytes: usize,
    trace: Trace,
    writes: usize,
    writes_bytes: usize,
    log: Vec<String>,
    log_bytes: usize,
    /// Which limit was exceeded, and by what.
    exceeded: Option<String>,
    /// The random stream, behind what was given out of it, once a module has asked for some.
    random: Option<blake3::OutputReader>,
}

impl Host {
    /// Starts a call. Nothing is charged yet: what starting costs depends on the module.
    pub fn new(invocation: Invocation, store: Arc<dyn Store>) -> Self {
        let Invocation { kind, selector: _, arguments, context, gas } = invocation;
        Host {
            kind,
            context,
            arguments,
            overlay: Overlay::new(store),
            meter: Meter::new(gas),
            result: Vec::new(),
            fault: None,
            events: Vec::new(),
            events_bytes: 0,
            trace: Trace::default(),
            writes: 0,
            writes_bytes: 0,
            log: Vec::new(),
            log_bytes: 0,
            exceeded: None,
            random: None,
        }
    }

    /// The gas that is left.
    pub fn gas(&self) -> u64 {
        self.meter.left()
    }

    /// The gas that is used.
    pub fn used(&self) -> Gas {
        self.meter.used()
    }

    /// Takes over the balance that the guest's own counter shows.
    ///
    /// # Errors
    /// [`Stop::OutOfGas`] where the guest has run up a debt.
    #[inline]
    pub fn set_gas(&mut self, balance: i64) -> Result<(), Stop> {
        self.meter.set(balance)
    }

    /// Charges for what is no host function.
    ///
    /// # Errors
    /// [`Stop::OutOfGas`]; what was left is gone then.
    pub fn charge(&mut self, gas: Gas) -> Result<(), Stop> {
        self.meter.charge(gas.0)
    }

    /// Charges for a call of a host function that cannot be made, since what it is to read lies outside the memory, and stops the guest.
    pub fn bad_pointer(&mut self, function: Function) -> Stop {
        self.meter.call(function, 0).err().unwrap_or(Stop::Trap(TrapKind::BadPointer))
    }

    /// How many bytes the arguments have.
    pub fn arguments_len(&self) -> usize {
        self.arguments.len()
    }

    /// `arguments`: the encoded arguments.
    ///
    /// # Errors
    /// [`Stop::OutOfGas`].
    pub fn arguments(&mut self) -> Result<&[u8], Stop> {
        self.meter.call(Function::Arguments, self.arguments.len())?;
        Ok(&self.arguments)
    }

    /// `context`: what the contract may know of the world.
    ///
    /// # Errors
    /// [`Stop::OutOfGas`].
    pub fn context(&mut self) -> Result<[u8; CONTEXT_BYTES], Stop> {
        self.meter.call(Function::Context, 0)?;
        Ok(self.context.to_bytes())
    }

    /// `result`: sets the result.
    ///
    /// # Errors
    /// Out of gas, or more than [`RESULT_BYTES_MAX`].
    pub fn result(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.meter.call(Function::Result, bytes.len())?;
        self.within("bytes of a result", bytes.len(), RESULT_BYTES_MAX)?;
        self.result.clear();
        self.result.extend_from_slice(bytes);
        Ok(())
    }

    /// `fault`: sets the contract's error.
    ///
    /// # Errors
    /// Out of gas, a code beyond `u16`, or fields of more than [`FAULT_BYTES_MAX`].
    pub fn fault(&mut self, code: u32, fields: &[u8]) -> Result<(), Stop> {
        self.meter.call(Function::Fault, fields.len())?;
        self.within("bytes of an error's fields", fields.len(), FAULT_BYTES_MAX)?;
        let code = self.position("position of an error", code)?;
        self.fault = Some((code, fields.to_vec()));
        Ok(())
    }

    /// `state_get`: the value of a key as this call sees it.
    ///
    /// # Errors
    /// Out of gas, a key out of its limits, or a fault of the store.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Stop> {
        self.meter.call(Function::StateGet, key.len())?;
        self.key_within(key)?;
        let value = self.overlay.get(&self.context.contract, key)?;
        self.meter.more(Function::StateGet, 0, value.as_ref().map_or(0, Vec::len))?;
        Ok(value)
    }

    /// `state_set`: sets a key.
    ///
    /// # Errors
    /// Out of gas, a query, or a key, value or write set out of its limits.
    pub fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Stop> {
        self.meter.call(Function::StateSet, key.len().saturating_add(value.len()))?;
        self.count_write(key, value.len())?;
        self.overlay.set(&self.context.contract, key.to_vec(), value.to_vec());
        Ok(())
    }

    /// `state_remove`: removes a key.
    ///
    /// # Errors
    /// Out of gas, a query, or a key or write set out of its limits.
    pub fn remove(&mut self, key: &[u8]) -> Result<(), Stop> {
        self.meter.call(Function::StateRemove, key.len())?;
        self.count_write(key, 0)?;
        self.overlay.remove(&self.context.contract, key.to_vec());
        Ok(())
    }

    fn count_write(&mut self, key: &[u8], value_len: usize) -> Result<(), Stop> {
        self.not_in_query()?;
        self.key_within(key)?;
        self.within("bytes of a value", value_len, VALUE_BYTES_MAX)?;
        self.writes += 1;
        self.writes_bytes += key.len() + value_len;
        self.within("writes of a call", self.writes, WRITES_MAX)?;
        self.within("bytes of keys and values that a call writes", self.writes_bytes, WRITES_BYTES_MAX)
    }

    /// Stops a call that exceeds a limit. The outcome is the same whichever it was; the diagnostics say which.
    fn within(&mut self, what: &str, found: usize, most: usize) -> Result<(), Stop> {
        if found <= most {
            return Ok(());
        }
        self.exceeded = Some(format!("{what}: allowed at most {most}, found {found}"));
        Err(Stop::Trap(TrapKind::LimitExceeded))
    }

    fn key_within(&mut self, key: &[u8]) -> Result<(), Stop> {
        if key.is_empty() {
            self.exceeded = Some("bytes of a key: allowed at least 1, found 0".into());
            return Err(Stop::Trap(TrapKind::LimitExceeded));
        }
        self.within("bytes of a key", key.len(), KEY_BYTES_MAX)
    }

    /// The position of an event or error in the interface description.
    fn position(&mut self, what: &str, position: u32) -> Result<u16, Stop> {
        self.within(what, position as usize, u16::MAX.into())?;
        Ok(position as u16)
    }

    fn not_in_query(&self) -> Result<(), Stop> {
        if self.kind == Kind::Query { Err(Stop::Trap(TrapKind::WriteInQuery)) } else { Ok(()) }
    }

    /// `state_scan`: encoded pairs of `[from, to)`, as this call sees them now, as many whole ones as `limit`, `cap` and the host's own
    /// limits hold. They are read in chunks of [`SCAN_CHUNK_PAIRS`]; a chunk is paid for when its size is known.
    ///
    /// # Errors
    /// Out of gas, a bound out of its limits, or a fault of the store.
    pub fn scan(
        &mut self,
        from: &[u8],
        to: Option<&[u8]>,
        descending: bool,
        limit: u32,
        cap: usize,
    ) -> Result<Scanned, Stop> {
        let to_len = to.map_or(0, <[u8]>::len);
        self.meter.call(Function::StateScan, from.len().saturating_add(to_len))?;
        self.within("bytes of a bound of a scan", from.len().max(to_len), KEY_BYTES_MAX + 1)?;
        let mut page = Scanned { cap: cap.min(SCAN_BYTES_MAX), ..Scanned::default() };
        let mut range = Scan { from: from.to_vec(), to: to.map(<[u8]>::to_vec), descending, limit: 0 };
        loop {
            let wanted = (limit.min(SCAN_PAIRS_MAX) - page.count).min(SCAN_CHUNK_PAIRS);
            range.limit = wanted as usize;
            let pairs = self.overlay.scan(&self.context.contract, &range)?;
            let bytes = pairs.iter().map(pair_bytes).sum();
            self.meter.more(Function::StateScan, SCAN_PAIR.saturating_mul(pairs.len() as u64), bytes)?;
            if !pairs.iter().all(|pair| page.push(pair)) || pairs.len() < range.limit || page.full(limit) {
                return Ok(page);
            }
            if let Some((last, _)) = pairs.last() {
                go_on_after(&mut range, last);
            }
        }
    }

    /// `event`: emits an event.
    ///
    /// # Errors
    /// Out of gas, a query, a kind beyond `u16`, or events of more than [`EVENTS_BYTES_MAX`].
    pub fn event(&mut self, kind: u32, fields: &[u8]) -> Result<(), Stop> {
        self.meter.call(Function::Event, fields.len())?;
        self.not_in_query()?;
        self.events_bytes = self.events_bytes.saturating_add(fields.len()).saturating_add(EVENT_OVERHEAD_BYTES);
        self.within("bytes of a call's events", self.events_bytes, EVENTS_BYTES_MAX)?;
        let kind = self.position("position of an event", kind)?;
        self.events.push(Event { kind, data: fields.to_vec() });
        Ok(())
    }

    /// `trace`: adds a step to the decision trace.
    ///
    /// # Errors
    /// Out of gas, a trace of more than [`TRACE_BYTES_MAX`], or bytes that are not the one encoding of a step.
    pub fn trace(&mut self, step: &[u8]) -> Result<(), Stop> {
        self.meter.call(Function::Trace, step.len())?;
        let bytes = self.trace.bytes().saturating_add(step.len());
        self.within("bytes of a call's decision trace", bytes, TRACE_BYTES_MAX)?;
        self.trace.push(step).map_err(|_| Stop::Trap(TrapKind::BadEncoding))
    }

    /// `verify_ed25519`: whether the signature is the key's, by the strict rules.
    ///
    /// # Errors
    /// [`Stop::OutOfGas`].
    pub fn verify_ed25519(&mut self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<bool, Stop> {
        self.meter.call(Function::VerifyEd25519, message.len())?;
        Ok(PublicKey(*key).verifies(message, &Signature(*signature)))
    }

    /// `blake3`.
    ///
    /// # Errors
    /// [`Stop::OutOfGas`].
    pub fn blake3(&mut self, bytes: &[u8]) -> Result<[u8; 32], Stop> {
        self.meter.call(Function::Blake3, bytes.len())?;
        Ok(Hash::of(bytes).0)
    }

    /// `sha256`.
    ///
    /// # Errors
    /// [`Stop::OutOfGas`].
    pub fn sha256(&mut self, bytes: &[u8]) -> Result<[u8; 32], Stop> {
        use sha2::Digest;
        self.meter.call(Function::Sha256, bytes.len())?;
        Ok(sha2::Sha256::digest(bytes).into())
    }

    /// `log`: a diagnostic text. What is not UTF-8 is shown with replacements.
    ///
    /// # Errors
    /// [`Stop::OutOfGas`].
    pub fn log(&mut self, text: &[u8]) -> Result<(), Stop> {
        self.meter.call(Function::Log, text.len())?;
        self.keep_log(text);
        Ok(())
    }

    fn keep_log(&mut self, text: &[u8]) {
        self.log_bytes = self.log_bytes.saturating_add(text.len());
        if self.log_bytes <= LOG_BYTES_MAX && self.log.len() < LOG_LINES_MAX {
            self.log.push(String::from_utf8_lossy(text).into_owned());
        }
    }

    /// Ends the call. `answer` is what the entry function answered, or what stopped it.
    ///
    /// # Errors
    /// The [`NodeFault`] that stopped it.
    pub fn finish(mut self, answer: Result<i32, Stop>) -> Result<Execution, NodeFault> {
        let outcome = match answer {
            Err(Stop::Fault(fault)) => return Err(fault),
            Err(Stop::OutOfGas) => Outcome::OutOfGas,
            Err(Stop::Trap(kind)) => Outcome::Trapped { kind },
            Ok(ANSWER_DONE) => Outcome::Done { result: std::mem::take(&mut self.result) },
            Ok(ANSWER_BAD_ARGUMENTS) => Outcome::Rejected { rejection: Rejection::BadArguments },
            Ok(answer) => match self.fault.take() {
                Some((code, detail)) if answer == ANSWER_REFUSED => {
                    Outcome::Refused { code, detail, reasons: reasons(&self.trace.steps()) }
                }
                _ => Outcome::Trapped { kind: TrapKind::BadAnswer },
            },
        };
        let costs = self.meter.costs();
        if outcome == Outcome::OutOfGas {
            // Whoever found it out: all that was set aside is charged.
            self.meter.drain();
        }
        let done = outcome.is_done();
        // Beside what the contract wrote, whose bounds are its own: what stopped the call is never dropped.
        self.log.extend(self.exceeded);
        Ok(Execution {
            outcome,
            gas: self.meter.used(),
            events: if done { self.events } else { Vec::new() },
            trace: self.trace,
            writes: if done { self.overlay.into_writes() } else { WriteSet::new() },
            diagnostics: self.log,
            costs,
        })
    }
}

/// What a scan found: so many whole pairs, encoded, or that not even the first fits.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Pairs in `bytes`.
    pub count: u32,
    /// The pairs, each `u16` LE key length, key, `u32` LE value length, value.
    pub bytes: Vec<u8>,
    /// What the first pair needs, where it does not fit.
    pub needed: Option<usize>,
    cap: usize,
}

impl Scanned {
    /// The answer of the host function: `count << 32 | bytes`, or minus the bytes that the first pair needs.
    pub fn answer(&self) -> i64 {
        // A scan is at most SCAN_BYTES_MAX and a pair little more than VALUE_BYTES_MAX.
        let small = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        match self.needed {
            Some(needed) => -small(needed),
            None => i64::from(self.count) << 32 | small(self.bytes.len()),
        }
    }

    fn full(&self, limit: u32) -> bool {
        self.count >= limit.min(SCAN_PAIRS_MAX)
    }

    /// Adds a pair if it fits.
    fn push(&mut self, pair: &Pair) -> bool {
        let needed = pair_bytes(pair);
        if self.bytes.len() + needed > self.cap {
            self.needed = (self.count == 0).then_some(needed);
            return false;
        }
        let (key, value) = pair;
        // A key has at most KEY_BYTES_MAX bytes.
        u16::try_from(key.len()).unwrap_or(u16::MAX).encode(&mut self.bytes);
        self.bytes.extend_from_slice(key);
        value.encode(&mut self.bytes);
        self.count += 1;
        true
    }
}

fn pair_bytes((key, value): &Pair) -> usize {
    PAIR_OVERHEAD_BYTES + key.len() + value.len()
}

/// Lets a scan go on behind what a chunk ended with.
fn go_on_after(range: &mut Scan, last: &[u8]) {
    if range.descending {
        range.to = Some(last.to_vec());
    } else {
        // The next key in byte order.
        range.from.clear();
        range.from.extend_from_slice(last);
        range.from.push(0);
    }
}

/// The rules that were not met, in the order in which they were found so; of more than [`REASONS_MAX`] the last ones.
fn reasons(trace: &[Step]) -> Vec<String> {
    let not_met = trace.iter().rev().filter(|step| step.finding == Finding::NotMet);
    let mut reasons: Vec<String> = not_met.take(REASONS_MAX).map(reason).collect();
    reasons.reverse();
    reasons
}

/// The rule, and its citation where it has one; cut at a character.
fn reason(step: &Step) -> String {
    let mut text = step.rule.clone();
    if !step.citation.is_empty() {
        text.push_str(" (");
        text.push_str(&step.citation);
        text.push(')');
    }
    text.truncate(text.floor_char_boundary(REASON_BYTES_MAX));
    text
}

#[cfg(test)]
mod tests;
