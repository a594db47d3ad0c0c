//! What a module must be, decided before anything is compiled.
//!
//! 1. Size, before a byte is parsed.
//! 2. Validity, by wasmparser, with every proposal off but [`FEATURES`] ([`WASI_FEATURES`] in a module that imports WASI): mutable globals, sign extension, bulk memory (`memory.copy`,
//!    `memory.fill`) and overlong `call_indirect` (what rustc writes). So: no floating point, SIMD, threads, 64-bit or second memory, multiple
//!    results, tail calls, exceptions, reference types, garbage collection.
//! 3. The flat list of `checks`: each names one limit, its value, what was found, and why it exists.
//! 4. For a module that no ledger has yet ([`admit_new`]), the names of its description. What was put before there was this check is executed,
//!    deployed and audited as before, since that must come to the outcomes that are recorded.
//!
//! Admission depends on the module's bytes alone, so every node decides alike. What passes is bounded in what it costs to compile; the
//! compiler is nevertheless run apart where the caller wants that.

mod checks;
mod facts;
mod memory;
mod names;
mod strip;

use crate::host::WASI_MODULE;
use chancery_types::{Hash, Interface, ModuleId};
pub(crate) use checks::INITIALIZE;
use facts::Facts;
pub(crate) use facts::Frame;
pub use memory::MemoryLimit;
pub use strip::strip;
use wasmparser::{Parser, Payload, WasmFeatures};

/// The proposals that are on.
pub const FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG);

/// The proposals that a module of the WASI profile may use besides: floating point, since programs of other languages are hardly to be had
/// without. Every NaN is the canonical one, so that results are equal to the bit.
pub const WASI_FEATURES: WasmFeatures =
    FEATURES.union(WasmFeatures::FLOATS).union(WasmFeatures::SATURATING_FLOAT_TO_INT);

/// What a module may use. Its imports decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// The host functions, no floating point.
    #[default]
    Standard,
    /// The functions of WASI preview 1 besides.
    Wasi,
}

impl Profile {
    /// The profile of a module: whether it imports anything from WASI. Bytes that are no module have the standard one.
    pub fn of(wasm: &[u8]) -> Profile {
        let imports = Parser::new(0).parse_all(wasm).map_while(Result::ok).find_map(|payload| match payload {
            Payload::ImportSection(section) => Some(section),
            _ => None,
        });
        let mut imports =
            imports.into_iter().flat_map(wasmparser::ImportSectionReader::into_imports).map_while(Result::ok);
        if imports.any(|import| import.module == WASI_MODULE) { Profile::Wasi } else { Profile::Standard }
    }

    /// The proposals that are on.
    pub const fn features(self) -> WasmFeatures {
        match self {
            Profile::Standard => FEATURES,
            Profile::Wasi => WASI_FEATURES,
        }
    }
}

/// Why a module is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// The bytes are no module of the admitted profile.
    #[error("not an admissible WebAssembly module: {0}")]
    Invalid(String),
    /// The body of a function is none of the admitted profile.
    #[error("not an admissible WebAssembly module: function {function}: {problem}")]
    Body {
        /// Its number, imported ones counted first.
        function: usize,
        /// What is wrong with it.
        problem: String,
    },
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
    /// What it may use.
    pub profile: Profile,
    /// The most memory that it may come to have.
    pub memory: MemoryLimit,
    /// Gas that each call pays for the module's memory and data, before any of its code runs.
    pub instance_gas: chancery_types::Gas,
    /// What the instrumentation needs to know of each function of the module's own.
    pub(crate) frames: Vec<Frame>,
}

/// Every check of a new module with its limit and what the module has, for people. Of bytes that are no module, those that could be made.
pub fn check(wasm: &[u8]) -> Vec<Check> {
    let mut list = vec![checks::size(wasm)];
    if list.iter().all(|check| check.ok) {
        let facts = Facts::read(wasm);
        list.push(checks::validity(facts.as_ref().err()));
        list.extend(facts.iter().flat_map(|facts| checks::ALL.iter().chain(checks::NEW).map(|check| check(facts))));
    }
    list
}

/// Admits a module for execution, or names the first thing that forbids it.
///
/// # Errors
/// [`AdmissionError`], which says what is allowed and what was found.
pub fn admit(wasm: &[u8]) -> Result<Admitted, AdmissionError> {
    admit_with(&[], wasm)
}

/// Admits a module that no ledger has yet: as [`admit`], and the names of its description are sound.
///
/// # Errors
/// As [`admit`].
pub fn admit_new(wasm: &[u8]) -> Result<Admitted, AdmissionError> {
    admit_with(checks::NEW, wasm)
}

fn admit_with(more: &[fn(&Facts) -> Check], wasm: &[u8]) -> Result<Admitted, AdmissionError> {
    let passed = |check: Check| if check.ok { Ok(()) } else { Err(AdmissionError::Failed(check)) };
    passed(checks::size(wasm))?;
    let facts = Facts::read(wasm)?;
    checks::ALL.iter().chain(more).try_for_each(|check| passed(check(&facts)))?;
    let interface = checks::interface(&facts).map_err(AdmissionError::Invalid)?;
    let id = ModuleId(Hash::of(wasm).0);
    Ok(facts.admitted(id, interface))
}

/// What the instrumentation needs to know of a module with the WASI profile's features, without the checks; `None` where it could not take
/// it: it relies on there being a function, no start function, and imports of functions only.
pub(crate) fn unchecked(wasm: &[u8]) -> Result<Option<Admitted>, AdmissionError> {
    let facts = Facts::read_as(Profile::Wasi, wasm)?;
    if facts.start || facts.functions.is_empty() || facts.imports.iter().any(|import| import.ty.is_none()) {
        return Ok(None);
    }
    Ok(Some(facts.admitted(ModuleId(Hash::of(wasm).0), Interface::default())))
}
