//! One execution: an instance, the entry function, an outcome.
//!
//! Each call gets an instance that is as new: a fresh one, or a kept one that was restored (see `instance`); nothing of
//! an earlier call is left (attack V17). The counters that the instrumentation put in are set before and read after,
//! whatever happened between.
//!
//! The calling thread needs [`EXECUTION_STACK_BYTES_MIN`](crate::limits::EXECUTION_STACK_BYTES_MIN) of stack left.
//! wasmtime does not look whether it has them: a thread with less may take the process down.

use crate::admission::{Admitted, admit};
use crate::cache::Cache;
use crate::call::{Execution, Invocation};
use crate::compile::{Backend, Compatibility, Compiler, Optimised, configuration_of};
use crate::error::{LoadError, NodeFault};
use crate::host::{Host, Stop};
use crate::instance::{Blueprint, Instance, Kept};
use crate::instrument::{instrument, instrument_with_entries};
use crate::limits::{
    EXECUTIONS_MAX, KEPT_MAX, MEMORY_PAGES_MAX, MODULES_LOADED_BYTES_MAX, MODULES_LOADED_MAX, PAGE_BYTES,
    RESIDENT_BYTES, TABLE_ELEMENTS_MAX,
};
use crate::linker::{Call, link, link_hooks};
use crate::loaded::Loaded;
use crate::prices;
use crate::profile::{Hooked, Profiler, Recording, hook};
use chancery_state::Store;
use chancery_types::{Gas, Hash, Interface, ModuleId, TrapKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use wasmtime::{Enabled, InstanceAllocationStrategy, Linker, PoolingAllocationConfig, Trap};

/// How an engine is set up.
#[derive(Clone, Default)]
pub struct Config {
    /// Where precompiled code is kept, if anywhere.
    pub cache: Option<Cache>,
    /// Where modules are compiled.
    pub compiler: Compiler,
    /// Where the instances of calls come from.
    pub instances: Instances,
    /// Where their memory lies.
    pub allocation: Allocation,
    /// Profiles every execution, if given; modules are then compiled for it alone, and kept in no cache.
    pub profiler: Option<Arc<Profiler>>,
}

/// Where the memory of instances lies. What a call does and costs is the same either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allocation {
    /// In a pool, whose address space is reserved in advance: fast.
    #[default]
    Pooled,
    /// Where the system puts it, instance by instance: for tools that cannot map a pool, such as valgrind.
    OnDemand,
}

/// Where the instances of calls come from. What a call does and costs is the same either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instances {
    /// Kept from earlier calls and restored, where they can be.
    #[default]
    Kept,
    /// Made for each call: what keeping is compared with.
    Fresh,
}

/// A module ready to run.
pub struct Module {
    /// BLAKE3 of its bytes as they were deployed.
    pub id: ModuleId,
    /// What it says of itself.
    pub interface: Interface,
    /// What deploying it costs beside its `init`: admission and compilation, by its length.
    pub deploy_gas: Gas,
    instance_gas: Gas,
    blueprint: Blueprint,
    /// Compiled without optimising, once a call has used up the native stack: see [`Engine::execute`].
    plain: OnceLock<Blueprint>,
    /// Its bytes, for that.
    wasm: Box<[u8]>,
    /// What the hooks refer to, where it is profiled.
    hooked: Option<Arc<Hooked>>,
}

/// Loads and executes modules. Shared by all threads; each execution runs on its caller's.
pub struct Engine {
    engine: wasmtime::Engine,
    backend: Backend,
    compatibility: Compatibility,
    linker: Linker<Call>,
    config: Config,
    modules: Loaded<Arc<Module>>,
    slots: Slots,
    kept: Kept,
}

/// The places of the pool of instances; who finds none free waits.
struct Slots {
    places: Mutex<Places>,
    released: Condvar,
}

struct Places {
    free: u32,
    /// How many wait for one. Waking takes a system call even where nobody sleeps.
    waiting: u32,
}

impl Slots {
    fn take(&self) -> Slot<'_> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        while places.free == 0 {
            places.waiting += 1;
            places = self.released.wait(places).unwrap_or_else(PoisonError::into_inner);
            places.waiting -= 1;
        }
        places.free -= 1;
        Slot(self)
    }
}

/// A place taken; given back when dropped.
struct Slot<'a>(&'a Slots);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.free += 1;
        if places.waiting > 0 {
            self.0.released.notify_one();
        }
    }
}

impl Engine {
    /// Sets the engine up.
    ///
    /// # Errors
    /// [`NodeFault::Engine`] when the machine cannot run it, for instance for want of address space.
    pub fn new(config: Config) -> Result<Engine, NodeFault> {
        Engine::set_up(config, Backend::Cranelift)
    }

    /// An engine of another backend, for comparing what it gives: it keeps no code.
    ///
    /// # Errors
    /// As [`Engine::with_backend`].
    pub fn for_comparison(backend: Backend, instances: Instances) -> Result<Engine, NodeFault> {
        Engine::with_backend(Config { instances, ..Config::default() }, backend)
    }

    /// An engine of another backend. It compiles in this process, because the child knows production's backend only.
    ///
    /// # Errors
    /// As [`Engine::new`], and where the backend is not built in.
    pub fn with_backend(config: Config, backend: Backend) -> Result<Engine, NodeFault> {
        Engine::set_up(Config { compiler: Compiler::InProcess, ..config }, backend)
    }

    fn set_up(config: Config, backend: Backend) -> Result<Engine, NodeFault> {
        let mut pool = PoolingAllocationConfig::default();
        // A call that ends gives its own place to the instance that it keeps, and takes down what that one replaces.
        let places = EXECUTIONS_MAX + KEPT_MAX as u32;
        pool.total_core_instances(places)
            .total_memories(places)
            .total_tables(places)
            .max_memory_size((MEMORY_PAGES_MAX * PAGE_BYTES) as usize)
            .table_elements(TABLE_ELEMENTS_MAX as usize)
            .linear_memory_keep_resident(RESIDENT_BYTES)
            .table_keep_resident(16 << 10)
            .pagemap_scan(Enabled::Auto);
        let mut wasmtime_config = configuration_of(backend).map_err(NodeFault::engine)?;
        wasmtime_config.allocation_strategy(match config.allocation {
            Allocation::Pooled => InstanceAllocationStrategy::Pooling(pool),
            Allocation::OnDemand => InstanceAllocationStrategy::OnDemand,
        });
        let engine = wasmtime::Engine::new(&wasmtime_config).map_err(NodeFault::engine)?;
        let mut linker = Linker::new(&engine);
        link(&mut linker).map_err(NodeFault::engine)?;
        if config.profiler.is_some() {
            link_hooks(&mut linker).map_err(NodeFault::engine)?;
        }
        let places = Mutex::new(Places { free: EXECUTIONS_MAX, waiting: 0 });
        let slots = Slots { places, released: Condvar::new() };
        let modules = Loaded::new(MODULES_LOADED_MAX, MODULES_LOADED_BYTES_MAX);
        let compatibility = Compatibility::of(&engine);
        Ok(Engine { engine, backend, compatibility, linker, config, modules, slots, kept: Kept::default() })
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
        let (compiled, hooked) = if self.config.profiler.is_some() {
            let (wasm, hooked) = self.instrumented(wasm, &admitted)?;
            (self.compile(&wasm, Optimised::Yes)?.0, hooked)
        } else {
            (self.cached_or_compiled(wasm, &admitted)?, None)
        };
        let blueprint = self.blueprint(&compiled)?;
        let (interface, instance_gas) = (admitted.interface, admitted.instance_gas);
        let deploy_gas = Gas(prices::MODULE_BYTE.saturating_mul(wasm.len() as u64));
        let (plain, bytes) = (OnceLock::new(), wasm.len());
        let wasm = wasm.into();
        let module = Arc::new(Module { id, interface, deploy_gas, instance_gas, blueprint, plain, wasm, hooked });
        let image = compiled.image_range();
        Ok(self.modules.put(id, module, image.end.addr() - image.start.addr() + bytes))
    }

    /// The module with its counters, and hooks where it is profiled.
    fn instrumented(&self, wasm: &[u8], admitted: &Admitted) -> Result<(Vec<u8>, Option<Arc<Hooked>>), LoadError> {
        let Some(profiler) = &self.config.profiler else { return Ok((instrument(wasm, admitted)?, None)) };
        let (wasm, hooked) = hook(&instrument_with_entries(wasm, admitted)?, admitted, profiler.names())?;
        Ok((wasm, Some(Arc::new(hooked))))
    }

    fn blueprint(&self, compiled: &wasmtime::Module) -> Result<Blueprint, NodeFault> {
        Blueprint::new(self.linker.instantiate_pre(compiled).map_err(NodeFault::engine)?, compiled)
    }

    /// The module compiled without optimising: now, where it was not yet. No cache keeps it.
    fn plain<'a>(&self, module: &'a Module) -> Result<&'a Blueprint, NodeFault> {
        if let Some(plain) = module.plain.get() {
            return Ok(plain);
        }
        let compile = || -> Result<Blueprint, LoadError> {
            let (wasm, _) = self.instrumented(&module.wasm, &admit(&module.wasm)?)?;
            Ok(self.blueprint(&self.compile(&wasm, Optimised::No)?.0)?)
        };
        let plain = compile().map_err(|error| match error {
            LoadError::Fault(fault) => fault,
            other => NodeFault::engine(other),
        })?;
        Ok(module.plain.get_or_init(|| plain))
    }

    /// The module compiled: from the cache, or now, and then put there. Cached code that wasmtime refuses, although its
    /// MAC is right and it was made for an engine like this one, is no fault: it is replaced.
    fn cached_or_compiled(&self, wasm: &[u8], admitted: &Admitted) -> Result<wasmtime::Module, LoadError> {
        let Some(cache) = &self.config.cache else {
            return Ok(self.compile(&instrument(wasm, admitted)?, Optimised::Yes)?.0);
        };
        if let Some(code) = cache.load(&admitted.id, &self.compatibility) {
            // SAFETY: the MAC says that this program compiled it.
            if let Ok(compiled) = unsafe { wasmtime::Module::deserialize(&self.engine, &code) } {
                return Ok(compiled);
            }
        }
        let (compiled, code) = self.compile(&instrument(wasm, admitted)?, Optimised::Yes)?;
        cache.store(&admitted.id, &self.compatibility, &code);
        Ok(compiled)
    }

    /// Compiles an instrumented module; its code comes along.
    fn compile(&self, instrumented: &[u8], optimised: Optimised) -> Result<(wasmtime::Module, Vec<u8>), LoadError> {
        let compile = |optimised| self.config.compiler.compile(self.backend, optimised, instrumented);
        let code = match compile(optimised) {
            // The optimiser can be made to work for many seconds within the limits of admission, the rest of the compiler cannot.
            Err(LoadError::NotCompiled(_)) if optimised == Optimised::Yes => compile(Optimised::No)?,
            code => code?,
        };
        // SAFETY: this program compiled it just now.
        let compiled = unsafe { wasmtime::Module::deserialize(&self.engine, &code) }.map_err(NodeFault::engine)?;
        Ok((compiled, code))
    }

    /// The module, if it was loaded before.
    pub fn loaded(&self, id: &ModuleId) -> Option<Arc<Module>> {
        self.modules.get(id)
    }

    /// Executes a call.
    ///
    /// Where it uses up the native stack before its slots, it is executed again from its beginning, by code that was compiled without optimising. The
    /// optimiser keeps what it finds to be computed twice, thousands of values a frame where the module is written for it; without it a frame
    /// holds the locals and operands that its slots are counted by. The outcome is the same on either code.
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
        if module.plain.get().is_none() {
            match self.run_on(&module.blueprint, module, invocation.clone(), state.clone()) {
                // Nothing of it is left: its writes lay in an overlay, and its instance was thrown away.
                Err(NodeFault::NativeStack) => {}
                ended => return ended,
            }
        }
        self.run_on(self.plain(module)?, module, invocation, state)
    }

    fn run_on(
        &self,
        blueprint: &Blueprint,
        module: &Module,
        invocation: Invocation,
        state: Arc<dyn Store>,
    ) -> Result<Execution, NodeFault> {
        let (kind, selector) = (invocation.kind, invocation.selector);
        let mut host = Host::new(invocation, state);
        let started = host.charge(Gas(prices::CALL)).and_then(|()| host.charge(module.instance_gas));
        if let Err(stop) = started {
            return host.finish(Err(stop));
        }
        if !blueprint.has(kind) {
            return host.finish(Err(Stop::Trap(TrapKind::BadAnswer)));
        }
        let arguments_len = i32::try_from(host.arguments_len()).map_err(NodeFault::engine)?;
        let balance = i64::try_from(host.gas()).map_err(NodeFault::engine)?;
        let mut instance = self.instance(blueprint)?;
        instance.begin(balance)?;
        let paid = host.used();
        instance.store.data_mut().start(host);
        if let Some(hooked) = &module.hooked {
            instance.store.data_mut().record(Recording::new(hooked.clone(), paid, balance.cast_unsigned()));
        }
        let answer = match instance.initialize(blueprint)? {
            Ok(()) => instance.call(blueprint, kind, selector.cast_signed(), arguments_len)?,
            Err(stopped) => Err(stopped),
        };
        let answered = answer.is_ok();
        let recording = instance.store.data_mut().recorded();
        let (host, answer) = settle(&mut instance, answer)?;
        if answered && self.config.instances == Instances::Kept {
            self.kept.put(blueprint, instance);
        }
        let execution = host.finish(answer)?;
        if let (Some(profiler), Some(recording)) = (&self.config.profiler, recording) {
            profiler.keep(recording.finish(execution.gas));
        }
        Ok(execution)
    }

    fn instance(&self, blueprint: &Blueprint) -> Result<Instance, NodeFault> {
        match self.kept.take(blueprint) {
            Some(instance) => Ok(instance),
            None => blueprint.instantiate(&self.engine),
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

/// Reads the counters, takes the host back, and says how the call ended. An empty purse goes before a full stack, and
/// both before any other trap.
fn settle(instance: &mut Instance, answer: wasmtime::Result<i32>) -> Result<(Host, Result<i32, Stop>), NodeFault> {
    let (gas, slots) = instance.counters()?;
    let (host, stop) = instance.store.data_mut().finish();
    let mut host = host.ok_or_else(|| NodeFault::engine("the call has lost its host"))?;
    let answer = match stop {
        Some(stop) => Err(stop),
        None => host.set_gas(gas).and_then(|()| {
            answer.map_err(|error| match error.downcast_ref::<Trap>() {
                Some(_) if slots < 0 => Stop::Trap(TrapKind::StackOverflow),
                Some(Trap::StackOverflow) => Stop::Fault(NodeFault::NativeStack),
                Some(trap) => trap_kind(*trap).map_or_else(|| Stop::Fault(NodeFault::engine(&error)), Stop::Trap),
                None => Stop::Fault(NodeFault::Memory(format!("{error:#}"))),
            })
        }),
    };
    Ok((host, answer))
}

/// wasmtime's traps in our closed set; `None` for those that are faults of the node.
fn trap_kind(trap: Trap) -> Option<TrapKind> {
    Some(match trap {
        Trap::UnreachableCodeReached => TrapKind::Unreachable,
        Trap::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
        Trap::TableOutOfBounds => TrapKind::TableOutOfBounds,
        Trap::IndirectCallToNull => TrapKind::IndirectCallToNull,
        Trap::BadSignature => TrapKind::BadSignature,
        // A NaN that is to become an integer, in the WASI profile, is one that no integer holds.
        Trap::IntegerOverflow | Trap::BadConversionToInteger => TrapKind::IntegerOverflow,
        Trap::IntegerDivisionByZero => TrapKind::DivisionByZero,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Kind;
    use crate::fixtures::{context, module};
    use chancery_state::MemoryStore;
    use chancery_types::Outcome;

    fn call() -> Invocation {
        Invocation { kind: Kind::Call, selector: 0, arguments: Vec::new(), context: context(), gas: Gas(1_000_000) }
    }

    /// Once a file whose MAC was right and which wasmtime refused was a fault of the node, at every call of its
    /// contract.
    #[test]
    fn cached_code_that_wasmtime_refuses_is_replaced_and_the_call_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path().into(), [7; 32]);
        let engine = || Engine::new(Config { cache: Some(cache.clone()), ..Config::default() }).unwrap();
        let wasm = module("");
        let (id, compatibility) = (engine().load(&wasm).unwrap().id, engine().compatibility);
        let good = cache.load(&id, &compatibility).unwrap();
        let interpreter = Engine::with_backend(Config::default(), Backend::Pulley).unwrap();
        let of_another_target =
            interpreter.compile(&instrument(&wasm, &admit(&wasm).unwrap()).unwrap(), Optimised::Yes).unwrap().1;
        for refused in [of_another_target.as_slice(), b"no code", b""] {
            cache.store(&id, &compatibility, refused);
            assert_eq!(cache.load(&id, &compatibility).as_deref(), Some(refused), "its MAC is right");
            let engine = engine();
            let loaded = engine.load(&wasm).unwrap();
            assert!(engine.execute(&loaded, call(), Arc::new(MemoryStore::new())).unwrap().outcome.is_done());
            assert_eq!(cache.load(&id, &compatibility).unwrap(), good);
        }
    }

    /// Once an instance was kept by the module's id, given to a call of another compilation, and lacked every export there: a fault of the node.
    #[test]
    fn an_instance_serves_only_the_compilation_that_it_is_of() {
        let engine = Engine::new(Config::default()).unwrap();
        let wasm = module(r#"(func (export "query") (param i32 i32) (result i32) (i32.const 0))"#);
        let first = engine.load(&wasm).unwrap();
        let instrumented = instrument(&wasm, &admit(&wasm).unwrap()).unwrap();
        let blueprint = engine.blueprint(&engine.compile(&instrumented, Optimised::Yes).unwrap().0).unwrap();
        let Module { id, ref interface, deploy_gas, instance_gas, .. } = *first;
        let (interface, plain, wasm) = (interface.clone(), OnceLock::new(), wasm.into());
        let again = Module { id, interface, deploy_gas, instance_gas, blueprint, plain, wasm, hooked: None };
        let run = |module: &Module, kind| {
            let execution = engine.execute(module, Invocation { kind, ..call() }, Arc::new(MemoryStore::new()));
            assert!(execution.unwrap().outcome.is_done());
        };
        // The first keeps an instance that has never looked up what the second asks for.
        for (module, kind) in
            [(&*first, Kind::Query), (&again, Kind::Call), (&first, Kind::Call), (&again, Kind::Query)]
        {
            run(module, kind);
        }
    }

    /// Once the entry function had only what `_initialize` had left of the stack.
    #[test]
    fn an_entry_function_has_the_whole_stack_after_initialize() {
        let engine = Engine::new(Config::default()).unwrap();
        // Recurses as deep in `_initialize` as its first number says, then in the entry function as its second says.
        let overflows = |initialize: u32, entry: u32| {
            let wasm = module(&format!(
                r#"(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
                (func $deep (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
                (func (export "_initialize") (call $deep (i32.const {initialize})))
                (func (export "query") (param i32 i32) (result i32) (call $deep (i32.const {entry})) (i32.const 0))"#
            ));
            let loaded = engine.load(&crate::strip(&wasm).unwrap()).unwrap();
            let invocation = Invocation { kind: Kind::Query, gas: Gas(100_000_000), ..call() };
            let execution = engine.execute(&loaded, invocation, Arc::new(MemoryStore::new())).unwrap();
            assert!(matches!(
                execution.outcome,
                Outcome::Done { .. } | Outcome::Trapped { kind: TrapKind::StackOverflow }
            ));
            !execution.outcome.is_done()
        };
        let deepest = (0..20).map(|exponent| 1 << exponent).take_while(|depth| !overflows(0, *depth)).last().unwrap();
        assert!(overflows(0, 2 * deepest) && overflows(2 * deepest, 0));
        assert!(!overflows(deepest, deepest));
    }

    /// Once what took longer than the limits was not compiled at all: a module that was written for it, which one machine had compiled, would have
    /// stopped the ledger on a slower one.
    #[test]
    fn what_cannot_be_optimised_within_its_limits_is_compiled_without() {
        let dir = tempfile::tempdir().unwrap();
        let (wasm, code) = (module(""), dir.path().join("code"));
        let plain = Compiler::InProcess
            .compile(Backend::Cranelift, Optimised::No, &instrument(&wasm, &admit(&wasm).unwrap()).unwrap())
            .unwrap();
        std::fs::write(&code, plain).unwrap();
        let child = |script: &str| {
            let script = format!("cat >/dev/null; {script} && cat {}", code.display());
            let compiler = Compiler::Child("/bin/sh".into(), vec!["-c".into(), script.into()]);
            Engine::new(Config { compiler, ..Config::default() }).unwrap()
        };
        let engine = child(r#"test -n "$CHANCERY_COMPILE_PLAIN""#);
        let loaded = engine.load(&wasm).unwrap();
        assert!(engine.execute(&loaded, call(), Arc::new(MemoryStore::new())).unwrap().outcome.is_done());
        assert!(matches!(child("false").load(&wasm), Err(LoadError::NotCompiled(_))));
    }

    #[test]
    fn two_that_load_a_module_at_once_use_one() {
        let engine = Engine::new(Config::default()).unwrap();
        let wasm = module("");
        let barrier = std::sync::Barrier::new(4);
        let load = || {
            barrier.wait();
            engine.load(&wasm).unwrap()
        };
        let all: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(load)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(all.iter().all(|module| Arc::ptr_eq(module, &all[0])));
    }

    #[test]
    fn the_compiling_child_is_compatible_with_the_engine_whatever_its_allocation() {
        let child = wasmtime::Engine::new(&crate::compile::configuration()).unwrap();
        for allocation in [Allocation::Pooled, Allocation::OnDemand] {
            let engine = Engine::new(Config { allocation, ..Config::default() }).unwrap();
            assert_eq!(engine.compatibility, Compatibility::of(&child), "{allocation:?}");
        }
    }
}
