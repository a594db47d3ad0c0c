//! The checks, one limit each.

use super::facts::{Facts, Import};
use super::{AdmissionError, Check, Profile, names};
use crate::host::{
    HOST_FUNCTIONS, HostFunction, IMPORT_MODULE, Kind, Scalar, WASI_FUNCTIONS, WASI_MODULE, WasiFunction,
};
use crate::limits::*;
use chancery_types::codec::{Decode, Encode};
use chancery_types::interface::{INTERFACE_VERSION, Interface};
use wasmparser::{ExternalKind, FuncType, ValType};

/// The checks of a valid module, in the order in which they are made.
pub(super) const ALL: &[fn(&Facts) -> Check] = &[
    types,
    parameters,
    results,
    functions,
    body_bytes,
    locals,
    operands,
    nesting,
    branch_targets,
    compile_work,
    globals,
    memories,
    memory_start,
    memory_most,
    data_segments,
    data_place,
    tables,
    table_elements,
    element_segments,
    element_place,
    start_function,
    import_count,
    imports,
    exports,
    custom_sections,
    interface_bytes,
    interface_meaning,
];

/// Those of a module that no ledger has yet. What a ledger has may have been admitted before there was the check, and is executed and
/// audited as it was recorded; so nothing that runs or shows a module may rely on them.
pub(super) const NEW: &[fn(&Facts) -> Check] = &[interface_names];

fn at_most(name: &'static str, why: &'static str, limit: u64, found: u64) -> Check {
    Check { name, why, limit: format!("at most {limit}"), found: found.to_string(), ok: found <= limit }
}

/// A check of something that has no number: `wrong` says what is wrong with it.
fn nothing_wrong(name: &'static str, why: &'static str, limit: &str, wrong: Option<String>) -> Check {
    let ok = wrong.is_none();
    Check { name, why, limit: limit.into(), found: wrong.unwrap_or_else(|| "nothing else".into()), ok }
}

fn largest(numbers: impl Iterator<Item = usize>) -> u64 {
    numbers.max().unwrap_or(0) as u64
}

pub(super) fn size(wasm: &[u8]) -> Check {
    at_most("bytes of the module", "bounds the time to compile it", MODULE_BYTES_MAX, wasm.len() as u64)
}

pub(super) fn validity(error: Option<&AdmissionError>) -> Check {
    let wrong = error.map(ToString::to_string);
    let limit = "WebAssembly without floating point, SIMD, threads and other proposals";
    nothing_wrong("validity", "what is not defined to the bit, or not needed, is off", limit, wrong)
}

fn types(facts: &Facts) -> Check {
    at_most("types", "each is registered with the engine", TYPES_MAX, facts.types.len() as u64)
}

fn parameters(facts: &Facts) -> Check {
    let found = largest(facts.types.iter().map(|ty| ty.params().len()));
    at_most("parameters of a function", "bounds the frames of calls", PARAMETERS_MAX, found)
}

fn results(facts: &Facts) -> Check {
    let found = largest(facts.types.iter().map(|ty| ty.results().len()));
    at_most("results of a function", "bounds the frames of calls", RESULTS_MAX, found)
}

fn functions(facts: &Facts) -> Check {
    at_most("functions", "bounds the time to compile them", FUNCTIONS_MAX, facts.functions.len() as u64)
}

fn body_bytes(facts: &Facts) -> Check {
    at_most("bytes of a function", "compile time grows faster than it", BODY_BYTES_MAX, facts.body_bytes)
}

fn locals(facts: &Facts) -> Check {
    at_most("locals and parameters of a function", "the compiler's memory grows with it", LOCALS_MAX, facts.locals)
}

fn operands(facts: &Facts) -> Check {
    at_most("operands of a function at once", "bounds the native frame", OPERANDS_MAX, facts.operands)
}

fn nesting(facts: &Facts) -> Check {
    at_most("nesting of blocks", "compile time grows faster than it", NESTING_MAX, facts.nesting)
}

fn branch_targets(facts: &Facts) -> Check {
    at_most("targets of a br_table", "bounds the jump table", BRANCH_TARGETS_MAX, facts.branch_targets)
}

fn compile_work(facts: &Facts) -> Check {
    let name = "locals × (branches, calls and divisions), of all functions together";
    at_most(name, "bounds the time and memory to compile them", COMPILE_WORK_MAX, facts.compile_work)
}

fn globals(facts: &Facts) -> Check {
    at_most("globals", "each call initialises them", GLOBALS_MAX, facts.globals)
}

fn memories(facts: &Facts) -> Check {
    let found = facts.memories.len();
    let limit = "exactly 1, its own".into();
    Check { name: "memories", why: "the host reads it", limit, found: found.to_string(), ok: found == 1 }
}

fn memory_start(facts: &Facts) -> Check {
    let found = largest(facts.memories.iter().map(|memory| memory.start as usize));
    at_most("pages of the memory at the start", "each call pays for them", MEMORY_PAGES_START_MAX, found)
}

fn memory_most(facts: &Facts) -> Check {
    let (memory, why) = (facts.memory_limit(), "a slot holds 16 MiB; an access costs by it");
    let check = at_most("pages of the memory, declared", why, MEMORY_PAGES_MAX, memory.pages_max());
    match memory.declared {
        Some(_) => check,
        None => Check { found: format!("none, which counts as {MEMORY_PAGES_MAX}"), ..check },
    }
}

fn data_segments(facts: &Facts) -> Check {
    at_most("data segments", "bounds the time to load it", DATA_SEGMENTS_MAX, facts.data_segments)
}

fn data_place(facts: &Facts) -> Check {
    place("place of the data", "initialising cannot fail", facts.memory_bytes(), facts.data_end, "byte")
}

fn tables(facts: &Facts) -> Check {
    at_most("tables", "a slot holds one", 1, facts.tables.len() as u64)
}

fn table_elements(facts: &Facts) -> Check {
    let found = largest(facts.tables.iter().map(|table| table.most.unwrap_or(0).max(table.start) as usize));
    at_most("elements of the table", "a slot holds so many", TABLE_ELEMENTS_MAX, found)
}

fn element_segments(facts: &Facts) -> Check {
    at_most("element segments", "bounds the time to load it", ELEMENT_SEGMENTS_MAX, facts.element_segments)
}

fn element_place(facts: &Facts) -> Check {
    let room = facts.tables.first().map_or(0, |table| table.start);
    place("place of the elements", "initialising cannot fail", room, facts.elements_end, "element")
}

/// Segments end within `room`, at constant places.
fn place(name: &'static str, why: &'static str, room: u64, end: Option<u64>, unit: &str) -> Check {
    let found =
        end.map_or_else(|| "a segment without a constant place".into(), |end| format!("the end at {unit} {end}"));
    let limit = format!("a constant one, ending by {unit} {room}");
    Check { name, why, limit, found, ok: end.is_some_and(|end| end <= room) }
}

fn start_function(facts: &Facts) -> Check {
    let wrong = facts.start.then(|| "a start function".into());
    nothing_wrong("start function", "it would run before metering", "none", wrong)
}

fn import_count(facts: &Facts) -> Check {
    at_most("imports", "the host has no more", IMPORTS_MAX, facts.imports.len() as u64)
}

fn imports(facts: &Facts) -> Check {
    let wrong = facts.imports.iter().find_map(|import| {
        let host = HOST_FUNCTIONS.iter().find(|function| function.name == import.name);
        let what = format!("{}.{}", import.module, import.name);
        match (host, &import.ty) {
            _ if import.module == WASI_MODULE => wasi_import(&what, import),
            _ if import.module != IMPORT_MODULE => Some(format!("{what}, which is not of {IMPORT_MODULE}")),
            (None, _) => Some(format!("{what}, which the host does not have")),
            (Some(host), Some(ty)) if is_type_of(ty, host) => None,
            (Some(_), _) => Some(format!("{what} with another type than the host's")),
        }
    });
    nothing_wrong("names and types of imports", "they are what a contract may do", "the host functions", wrong)
}

/// What is wrong with an import of WASI.
fn wasi_import(what: &str, import: &Import) -> Option<String> {
    let Some(function) = WASI_FUNCTIONS.iter().find(|function| function.name == import.name) else {
        return Some(format!("{what}, which WASI preview 1 does not have"));
    };
    let fits = import.ty.as_ref().is_some_and(|ty| is_type_of_wasi(ty, function));
    (!fits).then(|| format!("{what} with another type than WASI's"))
}

fn is_type_of_wasi(ty: &FuncType, function: &WasiFunction) -> bool {
    let parameters = function.parameters.bytes().map(|ty| if ty == b'I' { ValType::I64 } else { ValType::I32 });
    let results: &[ValType] = if function.has_result() { &[ValType::I32] } else { &[] };
    parameters.eq(ty.params().iter().copied()) && ty.results() == results
}

fn is_type_of(ty: &FuncType, host: &HostFunction) -> bool {
    let result: &[ValType] = match host.result {
        None => &[],
        Some(Scalar::I32) => &[ValType::I32],
        Some(Scalar::I64) => &[ValType::I64],
    };
    ty.params().len() == host.parameters.len()
        && ty.params().iter().all(|ty| *ty == ValType::I32)
        && ty.results() == result
}

/// The names that a module may export.
pub(super) const EXPORTS: [&str; 4] = ["memory", Kind::Init.export(), Kind::Call.export(), Kind::Query.export()];

/// What a module of the WASI profile may export besides: it prepares the language's library, and runs before the entry function.
pub(crate) const INITIALIZE: &str = "_initialize";

fn exports(facts: &Facts) -> Check {
    let unfit = facts.exports.iter().find_map(|export| {
        let entry = |ty: &FuncType| ty.params() == [ValType::I32, ValType::I32] && ty.results() == [ValType::I32];
        let fits = match export.name.as_str() {
            "memory" => export.kind == ExternalKind::Memory,
            INITIALIZE if facts.profile == Profile::Wasi => {
                export.ty.as_ref().is_some_and(|ty| ty.params().is_empty() && ty.results().is_empty())
            }
            name if EXPORTS.contains(&name) => export.ty.as_ref().is_some_and(entry),
            name => return Some(format!("{name}, which `chancery build` would have stripped")),
        };
        (!fits).then(|| format!("{} of another type, or not the module's own", export.name))
    });
    let missing = ["memory", Kind::Call.export()]
        .into_iter()
        .find(|name| facts.exports.iter().all(|export| export.name != *name))
        .map(|name| format!("no {name}"));
    let limit = "memory, call and, if wanted, init and query: (i32, i32) -> i32";
    nothing_wrong("exports", "the host calls nothing else", limit, unfit.or(missing))
}

fn custom_sections(facts: &Facts) -> Check {
    let wrong = facts.custom_sections.first().map(|name| format!("{name}, which `chancery build` would have stripped"));
    nothing_wrong("custom sections", "a module is stored for ever", "the interface description", wrong)
}

fn interface_bytes(facts: &Facts) -> Check {
    let found = largest(facts.interfaces.iter().map(Vec::len));
    at_most("bytes of the interface description", "it is stored for ever", INTERFACE_BYTES_MAX, found)
}

fn interface_meaning(facts: &Facts) -> Check {
    let why = "what a contract takes, gives and stores can be shown by it";
    nothing_wrong("interface description", why, "exactly one that decodes", interface(facts).err())
}

fn interface_names(facts: &Facts) -> Check {
    let wrong = interface(facts).and_then(|interface| names::check(&interface)).err();
    let limit = "each once in its list, at most one init, methods and fields as [a-z][a-z0-9_]*, at most 64 bytes";
    nothing_wrong("names of the description", "what is called and shown is found by its name", limit, wrong)
}

/// The interface description, or what is wrong with it.
pub(super) fn interface(facts: &Facts) -> Result<Interface, String> {
    let [bytes] = facts.interfaces.as_slice() else {
        return Err(format!("{} descriptions", facts.interfaces.len()));
    };
    let interface = Interface::from_bytes(bytes).map_err(|error| format!("a damaged one: {error}"))?;
    if interface.version != INTERFACE_VERSION {
        return Err(format!("version {}; this program reads {INTERFACE_VERSION}", interface.version));
    }
    if interface.to_bytes() != *bytes {
        return Err("one that is not in its canonical encoding".into());
    }
    Ok(interface)
}
