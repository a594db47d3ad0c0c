//! Instances: made once, kept, and given to one call after another as if each were new.
//!
//! A call gets what a fresh instance has: zeros in its memory but for the module's data, and globals at their first values. What a call can have
//! changed in an instance is just this:
//!
//! | what | how the next call gets it as new |
//! |---|---|
//! | bytes of the memory | written over, by the first image and zeros, as soon as the call ends |
//! | size of the memory | an instance whose memory has grown is thrown away |
//! | globals, and the two counters | set by the function [`BEGIN_EXPORT`] that the instrumentation appends, before anything else runs |
//! | the table | no admitted operator writes to it |
//!
//! An instance is kept only where its call ended by an answer of the entry function. One that was stopped by a trap, by the host, by a fault or by a
//! panic is thrown away, and so is one with more than [`KEPT_BYTES_MAX`] of memory: restoring it takes longer than making one.
//!
//! Restoring takes no system call, so that two threads do not meet in the kernel (*measured*: with fresh instances, two threads together were
//! slower than one alone).

use crate::NodeFault;
use crate::admission::INITIALIZE;
use crate::host::Kind;
use crate::instrument::{BEGIN_EXPORT, GAS_EXPORT, STACK_EXPORT};
use crate::limits::{KEPT_BYTES_MAX, KEPT_MAX, STACK_SLOTS_MAX};
use crate::linker::Call;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use wasmtime::{Global, InstancePre, Memory, Module, ModuleExport, TypedFunc, Val};

/// The type of an entry function: selector and length of the arguments; the answer.
pub(crate) type Entry = TypedFunc<(i32, i32), i32>;

/// What instances of a module are made from.
pub(crate) struct Blueprint {
    /// Which compilation it is of: where a module is compiled again, what was made from the first is of no use to the second.
    serial: u64,
    pre: InstancePre<Call>,
    memory: ModuleExport,
    gas: ModuleExport,
    stack: ModuleExport,
    begin: ModuleExport,
    entries: [Option<ModuleExport>; 3],
    initialize: Option<ModuleExport>,
    image: OnceLock<Image>,
}

/// A memory as no call has seen it.
struct Image {
    /// Where its data begins, the first byte that is not zero.
    start: usize,
    /// Its data, up to the last byte that is not zero.
    data: Box<[u8]>,
    /// How many bytes it has in all.
    len: usize,
}

impl Image {
    fn of(memory: &[u8]) -> Self {
        let start = memory.iter().position(|byte| *byte != 0).unwrap_or(0);
        let end = memory.iter().rposition(|byte| *byte != 0).map_or(start, |last| last + 1);
        Image { start, data: memory[start..end].into(), len: memory.len() }
    }

    /// Makes a memory equal to the image; `false` where it has another size. Writing all of a page of 64 KiB takes 0.6 µs, and looking for what
    /// differs takes longer.
    fn restore(&self, memory: &mut [u8]) -> bool {
        if memory.len() != self.len {
            return false;
        }
        let (before, rest) = memory.split_at_mut(self.start);
        let (data, behind) = rest.split_at_mut(self.data.len());
        before.fill(0);
        data.copy_from_slice(&self.data);
        behind.fill(0);
        true
    }
}

impl Blueprint {
    /// Of a compiled module, linked.
    ///
    /// # Errors
    /// [`NodeFault::Engine`] where it lacks an export that every admitted module has once it is instrumented.
    pub(crate) fn new(pre: InstancePre<Call>, compiled: &Module) -> Result<Self, NodeFault> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let export = |name: &str| compiled.get_export_index(name);
        let needed = |name: &str| export(name).ok_or_else(|| NodeFault::engine(format!("no export {name}")));
        Ok(Blueprint {
            serial: MADE.fetch_add(1, Ordering::Relaxed),
            memory: needed("memory")?,
            gas: needed(GAS_EXPORT)?,
            stack: needed(STACK_EXPORT)?,
            begin: needed(BEGIN_EXPORT)?,
            entries: [Kind::Init, Kind::Call, Kind::Query].map(|kind| export(kind.export())),
            initialize: export(INITIALIZE),
            pre,
            image: OnceLock::new(),
        })
    }

    /// Whether the module has this entry function.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.entries[kind as usize].is_some()
    }

    /// A fresh instance.
    ///
    /// # Errors
    /// A fault of the engine.
    pub(crate) fn instantiate(&self, engine: &wasmtime::Engine) -> Result<Instance, NodeFault> {
        let mut store = wasmtime::Store::new(engine, Call::idle());
        store.limiter(|call| call);
        let instance = self.pre.instantiate(&mut store).map_err(NodeFault::engine)?;
        let other_kind = || NodeFault::engine("an export is of another kind than its module's");
        let mut export = |export: &ModuleExport| instance.get_module_export(&mut store, export);
        let memory = export(&self.memory).and_then(wasmtime::Extern::into_memory).ok_or_else(other_kind)?;
        let gas = export(&self.gas).and_then(wasmtime::Extern::into_global).ok_or_else(other_kind)?;
        let stack = export(&self.stack).and_then(wasmtime::Extern::into_global).ok_or_else(other_kind)?;
        let begin = export(&self.begin).and_then(wasmtime::Extern::into_func).ok_or_else(other_kind)?;
        let begin = begin.typed(&store).map_err(NodeFault::engine)?;
        if memory.data_size(&store) <= KEPT_BYTES_MAX {
            self.image.get_or_init(|| Image::of(memory.data(&store)));
        }
        store.data_mut().ready(memory, gas);
        Ok(Instance { store, instance, memory, gas, stack, begin, entries: [const { None }; 3] })
    }
}

/// An instance, with what a call needs of it at hand.
pub(crate) struct Instance {
    pub(crate) store: wasmtime::Store<Call>,
    instance: wasmtime::Instance,
    memory: Memory,
    gas: Global,
    stack: Global,
    begin: TypedFunc<(i64, i32), ()>,
    entries: [Option<Entry>; 3],
}

impl Instance {
    /// Sets every global to its first value and fills the counters.
    ///
    /// # Errors
    /// A fault of the engine.
    pub(crate) fn begin(&mut self, gas: i64) -> Result<(), NodeFault> {
        self.begin.call(&mut self.store, (gas, STACK_SLOTS_MAX.cast_signed())).map_err(NodeFault::engine)
    }

    /// Calls the entry function, which the module has. The outer error is a fault of the engine, the inner one what stopped the guest.
    pub(crate) fn call(
        &mut self,
        blueprint: &Blueprint,
        kind: Kind,
        selector: i32,
        arguments_len: i32,
    ) -> Result<wasmtime::Result<i32>, NodeFault> {
        let entry = match &mut self.entries[kind as usize] {
            Some(entry) => entry,
            none => {
                let export = blueprint.entries[kind as usize].as_ref();
                let export = export.and_then(|export| self.instance.get_module_export(&mut self.store, export));
                let function = export.and_then(wasmtime::Extern::into_func);
                let function = function.ok_or_else(|| NodeFault::engine(format!("no export {}", kind.export())))?;
                none.insert(function.typed(&self.store).map_err(NodeFault::engine)?)
            }
        };
        Ok(entry.call(&mut self.store, (selector, arguments_len)))
    }

    /// Runs what a module of the WASI profile may want to run before its entry function. The inner result is the guest's.
    ///
    /// # Errors
    /// A fault of the engine.
    pub(crate) fn initialize(&mut self, blueprint: &Blueprint) -> Result<wasmtime::Result<()>, NodeFault> {
        let Some(export) = &blueprint.initialize else { return Ok(Ok(())) };
        let export = self.instance.get_module_export(&mut self.store, export);
        let function = export.and_then(wasmtime::Extern::into_func).ok_or_else(|| NodeFault::engine("no function"))?;
        let function = function.typed::<(), ()>(&self.store).map_err(NodeFault::engine)?;
        if let Err(stopped) = function.call(&mut self.store, ()) {
            return Ok(Err(stopped));
        }
        // It has returned, so that the entry function has the whole stack. Functions give nothing back themselves.
        self.stack.set(&mut self.store, Val::I32(STACK_SLOTS_MAX.cast_signed())).map_err(NodeFault::engine)?;
        Ok(Ok(()))
    }

    /// What the counters show: gas, and slots of the stack.
    ///
    /// # Errors
    /// A fault of the engine.
    pub(crate) fn counters(&mut self) -> Result<(i64, i32), NodeFault> {
        match (self.gas.get(&mut self.store), self.stack.get(&mut self.store)) {
            (Val::I64(gas), Val::I32(slots)) => Ok((gas, slots)),
            _ => Err(NodeFault::engine("a counter is of another type")),
        }
    }
}

/// Instances that wait for their next call, the longest waiting first.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Vec<(u64, Instance)>>);

impl Kept {
    /// An instance of this blueprint, if one waits.
    pub(crate) fn take(&self, blueprint: &Blueprint) -> Option<Instance> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().rposition(|(serial, _)| *serial == blueprint.serial)?;
        Some(kept.remove(at).1)
    }

    /// Restores an instance whose call was answered, and keeps it if it can be restored.
    pub(crate) fn put(&self, blueprint: &Blueprint, mut instance: Instance) {
        let image = blueprint.image.get();
        let memory = instance.memory.data_mut(&mut instance.store);
        if !image.is_some_and(|image| image.restore(memory)) {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = if kept.len() >= KEPT_MAX { Some(kept.remove(0)) } else { None };
        kept.push((blueprint.serial, instance));
        // Taking an instance down takes system calls: not while others wait for the lock.
        drop(kept);
        drop(oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_is_restored_wherever_it_was_written() {
        let mut first = vec![0; 3_000];
        first[5..1_500].fill(7);
        let image = Image::of(&first);
        assert_eq!((image.start, image.data.len()), (5, 1_495));
        for at in 0..first.len() {
            let mut memory = first.clone();
            memory[at] ^= 0x80;
            assert!(image.restore(&mut memory));
            assert!(memory == first, "byte {at}");
        }
        let mut memory = vec![0xff; first.len()];
        assert!(image.restore(&mut memory));
        assert!(memory == first);
        assert!(!image.restore(&mut vec![0; first.len() + 1]), "it has grown");
    }
}
