//! Compilation of an instrumented module, where wanted in a child process.
//!
//! Admission bounds what Cranelift gets to see; the child bounds what is left: its processor time and its memory are limited by
//! the kernel, so that a module which finds a hole takes the child with it and not the node. The child is the program itself,
//! called with arguments that lead to [`compile_child`]; the instrumented module goes in on its standard input, the
//! precompiled code comes out on its standard output.

use crate::admission::WASI_FEATURES;
use crate::error::LoadError;
use crate::limits::{COMPILE_CPU_SECONDS, COMPILE_MEMORY_BYTES, NATIVE_STACK_BYTES};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::ffi::OsString;
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

/// What executes the code. All give the same results, gas and traps, and `tests/determinism.rs` holds them to it; production uses the default
/// only, which is the fastest.
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

/// What decides the code that comes out; part of the cache's key.
pub const CONFIGURATION: &str = "wasmtime 48.0.8, cranelift, speed, floats, nan canonicalization, instrumentation 2";

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
        .memory_init_cow(true);
    config
}

impl Compiler {
    /// Compiles an instrumented module.
    ///
    /// # Errors
    /// [`LoadError::NotCompiled`] when the compiler fails, or the child is stopped by its limits.
    pub(crate) fn compile(&self, engine: &Engine, instrumented: &[u8]) -> Result<Vec<u8>, LoadError> {
        match self {
            Compiler::InProcess => {
                engine.precompile_module(instrumented).map_err(|error| LoadError::NotCompiled(format!("{error:#}")))
            }
            Compiler::Child(program, arguments) => in_child(program, arguments, instrumented)
                .map_err(|error| LoadError::NotCompiled(format!("compiling in {}: {error}", program.display()))),
        }
    }
}

fn in_child(program: &PathBuf, arguments: &[OsString], instrumented: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut command = Command::new(program);
    // The program's allocator takes a GiB of address space in advance, writable, which the kernel counts as data: the limit would be reached before
    // anything is compiled. So it takes it unwritable, and what is counted is what is used.
    command.args(arguments).env_clear().env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
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
    let limited = setrlimit(Resource::Cpu, at_most(COMPILE_CPU_SECONDS))
        .and_then(|()| setrlimit(Resource::Data, at_most(COMPILE_MEMORY_BYTES)));
    let compiled = limited.map_err(|error| error.to_string()).and_then(|()| {
        let mut instrumented = Vec::new();
        std::io::stdin().read_to_end(&mut instrumented).map_err(|error| error.to_string())?;
        let engine = Engine::new(&configuration()).map_err(|error| error.to_string())?;
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
