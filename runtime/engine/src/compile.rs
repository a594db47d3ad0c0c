//! Compilation of an instrumented module, where wanted in a child process.
//!
//! Admission bounds what Cranelift gets to see; the child bounds what is left: its processor time and its memory are
//! limited by the kernel, so that a module which finds a hole takes the child with it and not the node. The child is
//! the program itself, called with arguments that lead to [`compile_child`]; the instrumented module goes in on its
//! standard input, the precompiled code comes out on its standard output.

use crate::admission::WASI_FEATURES;
use crate::error::LoadError;
use crate::limits::{
    COMPILE_CPU_SECONDS, COMPILE_MEMORY_BYTES, DATA_IMAGE_BYTES_MAX, NATIVE_STACK_BYTES, OPTIMISE_CPU_SECONDS,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::ffi::OsString;
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use wasmtime::{Engine, OptLevel, Strategy};

/// Where modules are compiled.
#[derive(Clone, Debug, Default)]
pub enum Compiler {
    /// In this process: tests, benches, tools.
    #[default]
    InProcess,
    /// In a child: this program with these arguments, which lead to [`compile_child`].
    Child(PathBuf, Vec<OsString>),
}

/// What executes the code. All give the same results, gas and traps, and `tests/determinism.rs` holds them to it;
/// production uses the default only, which is the fastest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// Cranelift, optimising.
    #[default]
    Cranelift,
    /// Cranelift without optimisation.
    CraneliftPlain,
    /// Cranelift without optimisation, with its other register allocator.
    CraneliftSinglePass,
    /// The interpreter, where wasmtime was built with it (feature `pulley`).
    Pulley,
}

impl Backend {
    /// Every one, the production's first.
    pub const ALL: [Backend; 4] =
        [Backend::Cranelift, Backend::CraneliftPlain, Backend::CraneliftSinglePass, Backend::Pulley];
}

/// Whether the code is optimised, as far as its backend does. Where it is not, its frames are as large as their slots say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Optimised {
    Yes,
    No,
}

/// Tells the child not to optimise.
const PLAIN: &str = "CHANCERY_COMPILE_PLAIN";

/// Our own part of [`Compatibility`]: a change of what the instrumentation puts into modules takes the next number.
const INSTRUMENTATION: &str = "instrumentation 2";

/// A hash of everything that decides what code comes out for a module, besides the module and the prices. Engines that
/// differ in it share no cached code.
///
/// It covers [`Engine::precompile_compatibility_hash`], which is wasmtime's version to the patch, target, processor
/// features and compiler settings, and [`INSTRUMENTATION`]. wasmtime itself, when it loads code, compares only its
/// major version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compatibility([u8; 32]);

impl Compatibility {
    pub(crate) fn of(engine: &Engine) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("chancery 2026 code compatibility v1");
        hasher.update(INSTRUMENTATION.as_bytes());
        engine.precompile_compatibility_hash().hash(&mut ToBlake3(&mut hasher));
        Compatibility(hasher.finalize().into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Passes what a [`Hash`] writes on to BLAKE3, because the standard library's hashers keep 64 bits only.
struct ToBlake3<'a>(&'a mut blake3::Hasher);

impl Hasher for ToBlake3<'_> {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.finalize().as_bytes().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }
}

/// The configuration of another backend than the production's.
///
/// # Errors
/// Where this machine has no such target.
pub(crate) fn configuration_of(backend: Backend) -> wasmtime::Result<wasmtime::Config> {
    let mut config = configuration();
    match backend {
        Backend::Cranelift => {}
        Backend::CraneliftPlain => {
            config.cranelift_opt_level(OptLevel::None);
        }
        Backend::CraneliftSinglePass => {
            config.cranelift_opt_level(OptLevel::None);
            config.cranelift_regalloc_algorithm(wasmtime::RegallocAlgorithm::SinglePass);
        }
        Backend::Pulley => {
            config.target(if cfg!(target_pointer_width = "64") { "pulley64" } else { "pulley32" })?;
        }
    }
    Ok(config)
}

/// The engine's configuration as far as it decides the code: what benches and cross-checks start from.
pub fn configuration() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .wasm_features(wasmtime::WasmFeatures::all(), false)
        // Those of either profile; admission keeps floating point out of the standard one.
        .wasm_features(WASI_FEATURES, true)
        .max_wasm_stack(NATIVE_STACK_BYTES)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .memory_init_cow(true)
        .memory_guaranteed_dense_image_size(DATA_IMAGE_BYTES_MAX);
    config
}

/// What compiles a module. It makes code that engines of the same backend take, optimised or not.
fn engine_for(backend: Backend, optimised: Optimised) -> wasmtime::Result<Engine> {
    let mut config = configuration_of(backend)?;
    if optimised == Optimised::No {
        config.cranelift_opt_level(OptLevel::None);
    }
    Engine::new(&config)
}

impl Compiler {
    /// Compiles an instrumented module.
    ///
    /// # Errors
    /// [`LoadError::NotCompiled`] when the compiler fails, or the child is stopped by its limits.
    pub(crate) fn compile(
        &self,
        backend: Backend,
        optimised: Optimised,
        instrumented: &[u8],
    ) -> Result<Vec<u8>, LoadError> {
        match self {
            Compiler::InProcess => engine_for(backend, optimised)
                .and_then(|engine| engine.precompile_module(instrumented))
                .map_err(|error| LoadError::NotCompiled(format!("{error:#}"))),
            Compiler::Child(program, arguments) => in_child(program, arguments, optimised, instrumented)
                .map_err(|error| LoadError::NotCompiled(format!("compiling in {}: {error}", program.display()))),
        }
    }
}

fn in_child(
    program: &PathBuf,
    arguments: &[OsString],
    optimised: Optimised,
    instrumented: &[u8],
) -> std::io::Result<Vec<u8>> {
    let mut command = Command::new(program);
    // The program's allocator takes a GiB of address space in advance, writable, which the kernel counts as data: the
    // limit would be reached before anything is compiled. So it takes it unwritable, and what is counted is what is
    // used.
    command.args(arguments).env_clear().env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
    if optimised == Optimised::No {
        command.env(PLAIN, "1");
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let input = child.stdin.take();
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(move || input.map_or(Ok(()), |mut input| input.write_all(instrumented)));
        let mut code = Vec::new();
        let read = child.stdout.take().map_or(Ok(0), |mut output| output.read_to_end(&mut code));
        writer.join().unwrap_or_else(|_| Err(std::io::Error::other("the writer panicked"))).and(read).map(|_| code)
    });
    let status = child.wait()?;
    if status.success() { written } else { Err(std::io::Error::other(format!("the compiler ended with {status}"))) }
}

fn at_most(most: u64) -> Rlimit {
    Rlimit { current: Some(most), maximum: Some(most) }
}

/// What the child runs: limits itself, compiles, writes the code.
pub fn compile_child() -> ExitCode {
    let (optimised, seconds) = match std::env::var_os(PLAIN) {
        None => (Optimised::Yes, OPTIMISE_CPU_SECONDS),
        Some(_) => (Optimised::No, COMPILE_CPU_SECONDS),
    };
    let limited = setrlimit(Resource::Cpu, at_most(seconds))
        .and_then(|()| setrlimit(Resource::Data, at_most(COMPILE_MEMORY_BYTES)));
    let compiled = limited.map_err(|error| error.to_string()).and_then(|()| {
        let mut instrumented = Vec::new();
        std::io::stdin().read_to_end(&mut instrumented).map_err(|error| error.to_string())?;
        let engine = engine_for(Backend::Cranelift, optimised).map_err(|error| error.to_string())?;
        let code = engine.precompile_module(&instrumented).map_err(|error| format!("{error:#}"))?;
        std::io::stdout().write_all(&code).map_err(|error| error.to_string())
    });
    match compiled {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compile: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compatibility(config: &wasmtime::Config) -> Compatibility {
        Compatibility::of(&Engine::new(config).unwrap())
    }

    #[test]
    fn every_backend_has_a_compatibility_of_its_own() {
        let all = Backend::ALL.map(|backend| compatibility(&configuration_of(backend).unwrap()));
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{:?}", Backend::ALL[at]);
        }
        assert_eq!(all[0], compatibility(&configuration()), "the same settings are compatible");
    }

    /// With payments ahead, a mirrored loop, framed and leaf calls, a bulk operator and a global to set anew.
    const INSTRUMENTED: &str = r"
        (global (mut i32) (i32.const 3))
        (func $leaf (param i32) (result i32) (i32.add (local.get 0) (global.get 0)))
        (func $framed (param i32) (result i32) (call $leaf (call $leaf (local.get 0))))
        (func (param i32 i32)
          (loop
            (if (local.get 0) (then (local.set 1 (i32.load (local.get 1)))))
            (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
          (memory.fill (i32.const 0) (i32.const 1) (call $framed (local.get 1))))";

    #[test]
    fn what_is_compiled_changes_with_the_version_of_instrumentation_or_prices_only() {
        let wasm = crate::strip(&crate::fixtures::module(INSTRUMENTED)).unwrap();
        let instrumented = crate::instrument::instrument(&wasm, &crate::admit(&wasm).unwrap()).unwrap();
        let found = (INSTRUMENTATION, crate::prices::PRICES_VERSION, blake3::hash(&instrumented).to_string());
        let pinned =
            ("instrumentation 2", 3, "c8cf7fa356d8e129ba602d210849fab4bd9d730423e3abc960626c64c4a948e0".to_string());
        assert_eq!(found, pinned, "if this is meant, take the next version of either");
    }

    #[test]
    fn another_version_of_wasmtime_has_another_compatibility() {
        let version = |version: &str| {
            let mut config = configuration();
            config.module_version(wasmtime::ModuleVersionStrategy::Custom(version.into())).unwrap();
            compatibility(&config)
        };
        assert_ne!(version("48.0.8"), version("48.0.9"));
    }
}
