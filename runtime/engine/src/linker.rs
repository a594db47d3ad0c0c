//! The host functions as wasmtime sees them: bytes moved between the guest's memory and [`Host`], and the guest's gas counter kept in step.
//!
//! A pointer or length that leaves the memory traps as `BadPointer`, charged once: what a function reads is looked at before the function, which charges; where it
//! writes, after. No function calls the guest.

use crate::NodeFault;
use crate::host::{End, Function, Host, IMPORT_MODULE, Outside, Stop, WASI_FUNCTIONS, WASI_MODULE, WasiFunction};
use crate::limits::{MEMORY_PAGES_MAX, PAGE_BYTES, TABLE_ELEMENTS_MAX};
use crate::profile::{HOOKS_MODULE, Recording};
use chancery_types::TrapKind;
use wasmtime::{Caller, FuncType, Global, Linker, Memory, ResourceLimiter, Trap, Val, ValType};

/// What a wasmtime store holds: of its instance all the time, of a call while it runs.
pub(crate) struct Call {
    host: Option<Host>,
    guest: Option<(Memory, Global)>,
    stop: Option<Stop>,
    recording: Option<Box<Recording>>,
}

impl Call {
    /// Of an instance that is yet to be made.
    pub(crate) const fn idle() -> Self {
        Call { host: None, guest: None, stop: None, recording: None }
    }

    /// The instance is made: its memory and its gas counter.
    pub(crate) fn ready(&mut self, memory: Memory, gas: Global) {
        self.guest = Some((memory, gas));
    }

    /// A call starts.
    pub(crate) fn start(&mut self, host: Host) {
        self.host = Some(host);
    }

    /// The call that starts is profiled.
    pub(crate) fn record(&mut self, recording: Recording) {
        self.recording = Some(Box::new(recording));
    }

    /// What was recorded of the call.
    pub(crate) fn recorded(&mut self) -> Option<Box<Recording>> {
        self.recording.take()
    }

    /// The call is over: its host, and what the host stopped it by, if it did.
    pub(crate) fn finish(&mut self) -> (Option<Host>, Option<Stop>) {
        (self.host.take(), self.stop.take())
    }
}

/// Growth ends at the limits of admission, the same on every machine. What the operating system refuses is a fault of the node.
impl ResourceLimiter for Call {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired as u64 <= MEMORY_PAGES_MAX * PAGE_BYTES)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired as u64 <= TABLE_ELEMENTS_MAX)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error)
    }
}

/// The guest's memory.
struct Bytes<'a>(&'a mut [u8]);

impl Bytes<'_> {
    fn at(&self, start: i32, len: i32) -> Result<&[u8], Outside> {
        let (start, len) = (start.cast_unsigned() as usize, len.cast_unsigned() as usize);
        start.checked_add(len).and_then(|end| self.0.get(start..end)).ok_or(Outside)
    }

    fn array<const N: usize>(&self, start: i32) -> Result<&[u8; N], Outside> {
        self.0.get(start.cast_unsigned() as usize..).and_then(<[u8]>::first_chunk).ok_or(Outside)
    }

    /// Writes what a function answers, which has been charged.
    fn write(&mut self, start: i32, bytes: &[u8]) -> Result<(), Stop> {
        let room = self.0.get_mut(start.cast_unsigned() as usize..).and_then(|rest| rest.get_mut(..bytes.len()));
        room.ok_or(Stop::Trap(TrapKind::BadPointer))?.copy_from_slice(bytes);
        Ok(())
    }
}

/// Cannot happen: nothing of the guest runs outside of a call, and the counter is the instrumentation's.
const NOT_READY: &str = "a host function was called outside of a call, or found no counter of gas";

fn not_ready(call: &mut Call) -> wasmtime::Error {
    call.stop = Some(Stop::Fault(NodeFault::engine(NOT_READY)));
    Trap::Interrupt.into()
}

/// Runs a host function with the exact balance, and writes the balance back.
fn run<R>(
    caller: &mut Caller<'_, Call>,
    function: Function,
    work: impl FnOnce(&mut Host, &mut Bytes<'_>) -> Result<R, End>,
) -> wasmtime::Result<R> {
    enter(caller, |host| host.bad_pointer(function), work)
}

/// As [`run`]; `outside` says what stops the guest where a pointer or length leaves the memory.
fn enter<R>(
    caller: &mut Caller<'_, Call>,
    outside: impl FnOnce(&mut Host) -> Stop,
    work: impl FnOnce(&mut Host, &mut Bytes<'_>) -> Result<R, End>,
) -> wasmtime::Result<R> {
    let Some((memory, gas)) = caller.data().guest else { return Err(not_ready(caller.data_mut())) };
    let Val::I64(balance) = gas.get(&mut *caller) else { return Err(not_ready(caller.data_mut())) };
    let (bytes, call) = memory.data_and_store_mut(&mut *caller);
    let Some(host) = &mut call.host else { return Err(not_ready(call)) };
    let answer = match host.set_gas(balance) {
        Ok(()) => work(host, &mut Bytes(bytes)),
        Err(stop) => Err(End::Stop(stop)),
    };
    match answer {
        Ok(answer) => {
            let rest = i64::try_from(host.gas()).unwrap_or(i64::MAX);
            gas.set(&mut *caller, Val::I64(rest))?;
            Ok(answer)
        }
        Err(end) => {
            call.stop = Some(match end {
                End::Stop(stop) => stop,
                End::Outside => outside(host),
            });
            Err(Trap::Interrupt.into())
        }
    }
}

/// Links every host function of the list.
#[rustfmt::skip]
pub(crate) fn link(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    use Function as F;
    type C<'a> = Caller<'a, Call>;
    let m = IMPORT_MODULE;
    linker.func_wrap(m, "arguments", |mut c: C<'_>, out: i32| run(&mut c, F::Arguments, |h, b| Ok(b.write(out, h.arguments()?)?)))?;
    linker.func_wrap(m, "context", |mut c: C<'_>, out: i32| run(&mut c, F::Context, |h, b| Ok(b.write(out, &h.context()?)?)))?;
    linker.func_wrap(m, "result", |mut c: C<'_>, p: i32, n: i32| run(&mut c, F::Result, |h, b| Ok(h.result(b.at(p, n)?)?)))?;
    linker.func_wrap(m, "fault", |mut c: C<'_>, code: i32, p: i32, n: i32| run(&mut c, F::Fault, |h, b| {
        Ok(h.fault(code.cast_unsigned(), b.at(p, n)?)?)
    }))?;
    linker.func_wrap(m, "state_get", |mut c: C<'_>, k: i32, kn: i32, out: i32, cap: i32| run(&mut c, F::StateGet, |h, b| {
        let Some(value) = h.get(b.at(k, kn)?)? else { return Ok(-1) };
        if value.len() <= cap.cast_unsigned() as usize {
            b.write(out, &value)?;
        }
        Ok(value.len() as i64)
    }))?;
    linker.func_wrap(m, "state_set", |mut c: C<'_>, k: i32, kn: i32, v: i32, vn: i32| run(&mut c, F::StateSet, |h, b| {
        Ok(h.set(b.at(k, kn)?, b.at(v, vn)?)?)
    }))?;
    linker.func_wrap(m, "state_remove", |mut c: C<'_>, k: i32, kn: i32| run(&mut c, F::StateRemove, |h, b| Ok(h.remove(b.at(k, kn)?)?)))?;
    linker.func_wrap(m, "state_scan", |mut c: C<'_>, f: i32, fl: i32, t: i32, tl: i32, flags: i32, limit: i32, out: i32, cap: i32| run(&mut c, F::StateScan, |h, b| {
        let to = if flags & 2 == 0 { Some(b.at(t, tl)?) } else { None };
        b.at(out, cap)?;
        let page = h.scan(b.at(f, fl)?, to, flags & 1 == 1, limit.cast_unsigned(), cap.cast_unsigned() as usize)?;
        b.write(out, &page.bytes)?;
        Ok(page.answer())
    }))?;
    linker.func_wrap(m, "event", |mut c: C<'_>, kind: i32, p: i32, n: i32| run(&mut c, F::Event, |h, b| {
        Ok(h.event(kind.cast_unsigned(), b.at(p, n)?)?)
    }))?;
    linker.func_wrap(m, "trace", |mut c: C<'_>, p: i32, n: i32| run(&mut c, F::Trace, |h, b| Ok(h.trace(b.at(p, n)?)?)))?;
    linker.func_wrap(m, "verify_ed25519", |mut c: C<'_>, key: i32, p: i32, n: i32, signature: i32| run(&mut c, F::VerifyEd25519, |h, b| {
        Ok(i32::from(h.verify_ed25519(b.array(key)?, b.at(p, n)?, b.array(signature)?)?))
    }))?;
    linker.func_wrap(m, "blake3", |mut c: C<'_>, p: i32, n: i32, out: i32| run(&mut c, F::Blake3, |h, b| {
        let hash = h.blake3(b.at(p, n)?)?;
        Ok(b.write(out, &hash)?)
    }))?;
    linker.func_wrap(m, "sha256", |mut c: C<'_>, p: i32, n: i32, out: i32| run(&mut c, F::Sha256, |h, b| {
        let hash = h.sha256(b.at(p, n)?)?;
        Ok(b.write(out, &hash)?)
    }))?;
    linker.func_wrap(m, "log", |mut c: C<'_>, p: i32, n: i32| run(&mut c, F::Log, |h, b| Ok(h.log(b.at(p, n)?)?)))?;
    WASI_FUNCTIONS.iter().try_for_each(|function| link_wasi(linker, function))
}

/// Links the hooks of a profiled module. Outside of a call they do nothing.
pub(crate) fn link_hooks(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    linker.func_wrap(HOOKS_MODULE, "enter", |mut caller: Caller<'_, Call>, function: i32| {
        hook(&mut caller, |recording, balance| recording.enter(function, balance))
    })?;
    linker.func_wrap(HOOKS_MODULE, "leave", |mut caller: Caller<'_, Call>| {
        hook(&mut caller, |recording, balance| {
            recording.leave(balance);
            Ok(())
        })
    })?;
    Ok(())
}

fn hook(
    caller: &mut Caller<'_, Call>,
    tell: impl FnOnce(&mut Recording, i64) -> Result<(), NodeFault>,
) -> wasmtime::Result<()> {
    let Some((_, gas)) = caller.data().guest else { return Ok(()) };
    let Val::I64(balance) = gas.get(&mut *caller) else { return Err(not_ready(caller.data_mut())) };
    let call = caller.data_mut();
    let Some(recording) = &mut call.recording else { return Ok(()) };
    tell(recording, balance).map_err(|fault| {
        call.stop = Some(Stop::Fault(fault));
        Trap::Interrupt.into()
    })
}

/// Links a function of WASI. It is charged before it looks at a pointer, so a bad one costs what a good one does.
fn link_wasi(linker: &mut Linker<Call>, function: &'static WasiFunction) -> wasmtime::Result<()> {
    let parameters = function.parameters.bytes().map(|ty| if ty == b'I' { ValType::I64 } else { ValType::I32 });
    let ty = FuncType::new(linker.engine(), parameters, function.has_result().then_some(ValType::I32));
    linker.func_new(WASI_MODULE, function.name, ty, move |mut caller, parameters, results| {
        let numbers: Vec<u64> = parameters.iter().map(number).collect();
        let outside = |_: &mut Host| Stop::Trap(TrapKind::BadPointer);
        let errno = enter(&mut caller, outside, |host, bytes| host.wasi(function, bytes.0, &numbers))?;
        results.iter_mut().for_each(|result| *result = Val::I32(errno));
        Ok(())
    })?;
    Ok(())
}

/// A parameter, read as unsigned. The others' types do not occur.
fn number(value: &Val) -> u64 {
    match value {
        Val::I32(number) => u64::from(number.cast_unsigned()),
        Val::I64(number) => number.cast_unsigned(),
        _ => 0,
    }
}
