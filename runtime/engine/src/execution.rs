//! One execution: a fresh instance, the entry function, an outcome.
//!
//! Each call gets an instance of its own from a pool whose memories read as zeros beyond the module's data; nothing of an earlier call is left
//! (attack V17). The counters that the instrumentation put in are set before and read after, whatever happened between.
//!
//! The calling thread needs 8 MiB of stack: wasmtime may use [`NATIVE_STACK_BYTES`](crate::limits::NATIVE_STACK_BYTES) of it.

use crate::admission::admit;
use crate::cache::Cache;
use crate::call::{Execution, Invocation, Kind};
use crate::compile::{Compiler, configuration};
use crate::error::{LoadError, NodeFault};
use crate::host::{Host, Stop};
use crate::instrument::{GAS_EXPORT, STACK_EXPORT, instrument};
use crate::limits::{
    EXECUTIONS_MAX, MEMORY_PAGES_MAX, MODULES_LOADED_MAX, PAGE_BYTES, RESIDENT_BYTES, STACK_SLOTS_MAX,
    TABLE_ELEMENTS_MAX,
};
use crate::linker::{Call, link};
use crate::prices;
use chancery_state::Store;
use chancery_types::{Gas, Hash, Interface, ModuleId, TrapKind};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use wasmtime::{
    Enabled, Global, InstanceAllocationStrategy, InstancePre, Linker, ModuleExport, PoolingAllocationConfig, Trap, Val,
};

/// How an engine is set up.
#[derive(Clone, Default)]
pub struct Config {
    /// Where precompiled code is kept, if anywhere.
    pub cache: Option<Cache>,
    /// Where modules are compiled.
    pub compiler: Compiler,
}

/// A module ready to run.
pub struct Module {
    /// BLAKE3 of its bytes as they were deployed.
    pub id: ModuleId,
    /// What it says of itself.
    pub interface: Interface,
    instance_gas: Gas,
    pre: InstancePre<Call>,
    memory: ModuleExport,
    gas: ModuleExport,
    stack: ModuleExport,
    entries: [Option<ModuleExport>; 3],
}

/// Loads and executes modules. Shared by all threads; each execution runs on its caller's.
pub struct Engine {
    engine: wasmtime::Engine,
    linker: Linker<Call>,
    config: Config,
    modules: RwLock<HashMap<ModuleId, Arc<Module>>>,
    slots: Slots,
}

/// The places of the pool of instances; who finds none free waits.
struct Slots {
    free: Mutex<u32>,
    released: Condvar,
}

impl Slots {
    fn take(&self) -> Slot<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self.released.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Slot(self)
    }
}

/// A place taken; given back when dropped.
struct Slot<'a>(&'a Slots);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.released.notify_one();
    }
}

impl Engine {
    /// Sets the engine up.
    ///
    /// # Errors
    /// [`NodeFault::Engine`] when the machine cannot run it, for instance for want of address space.
    pub fn new(config: Config) -> Result<Engine, NodeFault> {
        let mut pool = PoolingAllocationConfig::default();
        pool.total_core_instances(EXECUTIONS_MAX)
            .total_memories(EXECUTIONS_MAX)
            .total_tables(EXECUTIONS_MAX)
            .max_memory_size((MEMORY_PAGES_MAX * PAGE_BYTES) as usize)
            .table_elements(TABLE_ELEMENTS_MAX as usize)
            .linear_memory_keep_resident(RESIDENT_BYTES)
            .table_keep_resident(16 << 10)
            .pagemap_scan(Enabled::Auto);
        let mut wasmtime_config = configuration();
        wasmtime_config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = wasmtime::Engine::new(&wasmtime_config).map_err(NodeFault::engine)?;
        let mut linker = Linker::new(&engine);
        link(&mut linker).map_err(NodeFault::engine)?;
        let slots = Slots { free: Mutex::new(EXECUTIONS_MAX), released: Condvar::new() };
        Ok(Engine { engine, linker, config, modules: RwLock::default(), slots })
    }

    /// Loads a module: from memory, from the cache, or by admitting, instrumenting and compiling it.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(&self, wasm: &[u8]) -> Result<Arc<Module>, LoadError> {
        if let Some(module) = self.loaded(&ModuleId(Hash::of(wasm).0)) {
            return Ok(module);
        }
        let admitted = admit(wasm)?;
        let id = admitted.id;
        let cached = self.config.cache.as_ref().and_then(|cache| cache.load(&id));
        let code = match cached {
            Some(code) => code,
            None => {
                let code = self.config.compiler.compile(&self.engine, &instrument(wasm, &admitted)?)?;
                if let Some(cache) = &self.config.cache {
                    cache.store(&id, &code);
                }
                code
            }
        };
        // SAFETY: the code was compiled by this program just now, or by it earlier and authenticated by the cache's MAC.
        let compiled = unsafe { wasmtime::Module::deserialize(&self.engine, &code) }.map_err(NodeFault::engine)?;
        let export = |name: &str| compiled.get_export_index(name);
        let needed = |name: &str| export(name).ok_or_else(|| NodeFault::engine(format!("no export {name}")));
        let module = Arc::new(Module {
            id,
            interface: admitted.interface,
            instance_gas: admitted.instance_gas,
            memory: needed("memory")?,
            gas: needed(GAS_EXPORT)?,
            stack: needed(STACK_EXPORT)?,
            entries: [Kind::Init, Kind::Call, Kind::Query].map(|kind| export(kind.export())),
            pre: self.linker.instantiate_pre(&compiled).map_err(NodeFault::engine)?,
        });
        let mut modules = self.modules.write().unwrap_or_else(PoisonError::into_inner);
        if modules.len() >= MODULES_LOADED_MAX {
            // Any one: what was dropped comes back from the cache.
            let one = modules.keys().next().copied();
            one.and_then(|one| modules.remove(&one));
        }
        modules.insert(id, module.clone());
        Ok(module)
    }

    /// The module, if it was loaded before.
    pub fn loaded(&self, id: &ModuleId) -> Option<Arc<Module>> {
        self.modules.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Executes a call.
    ///
    /// # Errors
    /// A [`NodeFault`]: then there is no outcome.
    pub fn execute(
        &self,
        module: &Module,
        invocation: Invocation,
        store: Arc<dyn Store>,
    ) -> Result<Execution, NodeFault> {
        let _slot = self.slots.take();
        // A panic of the host is a bug of ours; it must not unwind into the sequencer half way through a block.
        catch_unwind(AssertUnwindSafe(|| self.run(module, invocation, store)))
            .unwrap_or_else(|panic| Err(NodeFault::Panic(panic_text(&*panic))))
    }

    fn run(&self, module: &Module, invocation: Invocation, state: Arc<dyn Store>) -> Result<Execution, NodeFault> {
        let (kind, selector) = (invocation.kind, invocation.selector);
        let mut host = Host::new(invocation, state);
        let started = host.charge(Gas(prices::CALL)).and_then(|()| host.charge(module.instance_gas));
        if let Err(stop) = started {
            return host.finish(Err(stop));
        }
        let Some(entry) = &module.entries[kind as usize] else {
            return host.finish(Err(Stop::Trap(TrapKind::BadAnswer)));
        };
        let arguments_len = i32::try_from(host.arguments_len()).map_err(NodeFault::engine)?;
        let balance = i64::try_from(host.gas()).map_err(NodeFault::engine)?;
        let mut store = wasmtime::Store::new(&self.engine, Call { host, memory: None, gas: None, stop: None });
        store.limiter(|call| call);
        let instance = module.pre.instantiate(&mut store).map_err(NodeFault::engine)?;
        let export = |store: &mut wasmtime::Store<Call>, export| instance.get_module_export(store, export);
        let memory = export(&mut store, &module.memory).and_then(wasmtime::Extern::into_memory);
        let gas = export(&mut store, &module.gas).and_then(wasmtime::Extern::into_global);
        let stack = export(&mut store, &module.stack).and_then(wasmtime::Extern::into_global);
        let entry = export(&mut store, entry).and_then(wasmtime::Extern::into_func);
        let (Some(memory), Some(gas), Some(stack), Some(entry)) = (memory, gas, stack, entry) else {
            return Err(NodeFault::engine("an export is of another kind than its module's"));
        };
        gas.set(&mut store, Val::I64(balance)).map_err(NodeFault::engine)?;
        stack.set(&mut store, Val::I32(STACK_SLOTS_MAX.cast_signed())).map_err(NodeFault::engine)?;
        (store.data_mut().memory, store.data_mut().gas) = (Some(memory), Some(gas));
        let entry = entry.typed::<(i32, i32), i32>(&store).map_err(NodeFault::engine)?;
        let answer = entry.call(&mut store, (selector.cast_signed(), arguments_len));
        let answer = settle(&mut store, answer, gas, stack);
        store.into_data().host.finish(answer)
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

/// Reads the counters and says how the call ended. An empty purse goes before a full stack, and both before any other trap.
fn settle(
    store: &mut wasmtime::Store<Call>,
    answer: wasmtime::Result<i32>,
    gas: Global,
    stack: Global,
) -> Result<i32, Stop> {
    if let Some(stop) = store.data_mut().stop.take() {
        return Err(stop);
    }
    let (Val::I64(balance), Val::I32(slots)) = (gas.get(&mut *store), stack.get(&mut *store)) else {
        return Err(Stop::Fault(NodeFault::engine("a counter is of another type")));
    };
    store.data_mut().host.set_gas(balance)?;
    answer.map_err(|error| match error.downcast_ref::<Trap>() {
        Some(_) if slots < 0 => Stop::Trap(TrapKind::StackOverflow),
        Some(Trap::StackOverflow) => Stop::Fault(NodeFault::NativeStack),
        Some(trap) => trap_kind(*trap).map_or_else(|| Stop::Fault(NodeFault::engine(&error)), Stop::Trap),
        None => Stop::Fault(NodeFault::Memory(format!("{error:#}"))),
    })
}

/// wasmtime's traps in our closed set; `None` for those that are faults of the node.
fn trap_kind(trap: Trap) -> Option<TrapKind> {
    Some(match trap {
        Trap::UnreachableCodeReached => TrapKind::Unreachable,
        Trap::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
        Trap::TableOutOfBounds => TrapKind::TableOutOfBounds,
        Trap::IndirectCallToNull => TrapKind::IndirectCallToNull,
        Trap::BadSignature => TrapKind::BadSignature,
        Trap::IntegerOverflow => TrapKind::IntegerOverflow,
        Trap::IntegerDivisionByZero => TrapKind::DivisionByZero,
        _ => return None,
    })
}
