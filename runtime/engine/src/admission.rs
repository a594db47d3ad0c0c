//! What a module must be, decided before anything is compiled.
//!
//! 1. Size, before a byte is parsed.
//! 2. Validity, by wasmparser, with every proposal off but [`FEATURES`]: mutable globals, sign extension, bulk memory (`memory.copy`,
//!    `memory.fill`) and overlong `call_indirect` (what rustc writes). So: no floating point, SIMD, threads, 64-bit or second memory, multiple
//!    results, tail calls, exceptions, reference types, garbage collection.
//! 3. The flat list of `checks`: each names one limit, its value, what was found, and why it exists.
//!
//! Admission depends on the module's bytes alone, so every node decides alike. What passes is bounded in what it costs to compile; the
//! compiler is nevertheless run apart where the caller wants that.

mod checks;
mod facts;
mod strip;

use chancery_types::{Hash, Interface, ModuleId};
use facts::Facts;
pub(crate) use facts::Frame;
pub use strip::strip;
use wasmparser::WasmFeatures;

/// The proposals that are on.
pub const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG);

/// Why a module is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// The bytes are no module of the admitted profile.
    #[error("not an admissible WebAssembly module: {0}; build contracts with `chancery build`")]
    Invalid(String),
    /// A check fails.
    #[error("the module is not admitted: {0}")]
    Failed(Check),
}

/// One check and what it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is checked.
    pub name: &'static str,
    /// Why.
    pub why: &'static str,
    /// What is allowed.
    pub limit: String,
    /// What the module has.
    pub found: String,
    /// Whether that is allowed.
    pub ok: bool,
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Check { name, why, limit, found, .. } = self;
        write!(f, "{name}: allowed {limit}, found {found} ({why})")
    }
}

/// A module that passed.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// BLAKE3 of its bytes.
    pub id: ModuleId,
    /// What it says of itself.
    pub interface: Interface,
    /// Gas that each call pays for the module's memory and data, before any of its code runs.
    pub instance_gas: chancery_types::Gas,
    /// What the instrumentation needs to know of each function of the module's own.
    pub(crate) frames: Vec<Frame>,
}

/// Every check with its limit and what the module has, for people. Of bytes that are no module, those that could be made.
pub fn check(wasm: &[u8]) -> Vec<Check> {
    let mut list = vec![checks::size(wasm)];
    if list.iter().all(|check| check.ok) {
        let facts = Facts::read(wasm);
        list.push(checks::validity(facts.as_ref().err()));
        list.extend(facts.iter().flat_map(|facts| checks::ALL.iter().map(|check| check(facts))));
    }
    list
}

/// Admits a module, or names the first thing that forbids it.
///
/// # Errors
/// [`AdmissionError`], which says what is allowed and what was found.
pub fn admit(wasm: &[u8]) -> Result<Admitted, AdmissionError> {
    let passed = |check: Check| if check.ok { Ok(()) } else { Err(AdmissionError::Failed(check)) };
    passed(checks::size(wasm))?;
    let facts = Facts::read(wasm)?;
    checks::ALL.iter().try_for_each(|check| passed(check(&facts)))?;
    let interface = checks::interface(&facts).map_err(AdmissionError::Invalid)?;
    let id = ModuleId(Hash::of(wasm).0);
    Ok(Admitted { id, interface, instance_gas: facts.instance_gas(), frames: facts.frames })
}
