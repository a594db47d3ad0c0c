//! Gas and stack counters of our own, put into the module before it is compiled.
//!
//! Two mutable globals are appended and exported: `__gas` (`i64`, what is left) and `__stack` (`i32`, slots left). They
//! survive a trap, so that a trap costs what was done before it, on every configuration of every engine alike.
//!
//! **Gas.** A body is cut into basic blocks, each paid for at its beginning, before any of it runs; what all successors
//! of some blocks owe is paid ahead by those (see `plan`). Calls do not end a block. What a function that is only ever
//! called by name pays on entry is paid by its callers, so that a short function costs no payment of its own. The
//! balance is checked (`unreachable` when below zero) at the first payment of a body, at loop headers, and wherever
//! more than [`CREDIT_MAX`] could have been run up since the last check on some path; each host function looks at the
//! exact balance, and the engine at the end of the call. So a contract can work on credit, a little, but nothing that
//! it did then has an effect.
//!
//! **Accesses.** What a load or store costs follows from the most memory that the module may have ([`prices::access`]),
//! which is known here; whether one misses a cache is not.
//!
//! **Bulk operations.** `memory.grow`, `memory.copy` and `memory.fill` are replaced by calls of appended functions that
//! charge by the operand, check, and then do the operation. A growth beyond the maximum answers -1 there and never
//! reaches the engine.
//!
//! **Stack.** `__stack` holds what the function that is being called may use. A function that calls one of the module's
//! own takes its own frame, `parameters + locals + most operands +` [`FRAME_SLOTS`](crate::limits::FRAME_SLOTS), off
//! what it was given, and gives the rest to each of its callees, checked; nothing needs to be given back. A call of a
//! leaf, a function that calls none but the host's, takes nothing: its frame is the last, and bounded.
//!
//! A stop by a counter is an `unreachable` with that counter below zero. Gas takes precedence over the stack, and both
//! over the kind of any other trap, so that the outcome of a call does not depend on where exactly the credit ended.
//!
//! **Begin.** An appended and exported function `__begin (gas: i64, slots: i32)` sets the counters, and every mutable
//! global of the module's own to its first value, so that an instance can serve one call after another. The engine
//! calls it before each.
//!
//! No index of the module changes: types, functions and globals are appended, and code is copied as it is.

mod body;
mod plan;

use crate::admission::{AdmissionError, Admitted, unchecked};
use crate::prices;
use crate::sections::Sections;
use body::{check_gas, metered};
pub use plan::CREDIT_MAX;
use plan::{Plan, Surroundings};
use std::collections::BTreeSet;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{BlockType, ConstExpr, Encode, ExportKind, Function, GlobalType, Instruction, MemoryType, ValType};
use wasmparser::{ElementItems, Operator, Parser, Payload, Validator};

/// Export of the gas counter.
pub const GAS_EXPORT: &str = "__gas";
/// Export of the stack counter.
pub const STACK_EXPORT: &str = "__stack";

/// Export of the function that makes an instance's globals as new.
pub const BEGIN_EXPORT: &str = "__begin";

/// The module as it is written anew.
#[derive(Default)]
struct Rewritten {
    sections: Sections,
    /// Sets the module's own mutable globals to their first values.
    begin: Vec<u8>,
    /// Functions that are called otherwise than by name: by the host, or through the table.
    elsewhere: BTreeSet<u32>,
}

/// Indices of what was appended, and of what calls refer to.
#[derive(Clone, Copy, Default)]
struct Indices {
    imported: u32,
    gas: u32,
    stack: u32,
    grow: u32,
    copy: u32,
    fill: u32,
    /// Pages that the memory may have.
    memory_pages_max: u64,
}

fn failed(error: impl std::fmt::Display) -> AdmissionError {
    AdmissionError::Invalid(format!("instrumenting it failed: {error}"))
}

/// A module with its counters, and what its source code does not show.
pub(crate) struct Instrumented {
    pub(crate) wasm: Vec<u8>,
    /// What callers pay on behalf of each function of the module's own.
    pub(crate) entries: Vec<u64>,
}

impl Instrumented {
    /// What the appended functions do, which are the module's last.
    pub(crate) const APPENDED: [&str; 4] = ["memory.grow", "memory.copy", "memory.fill", BEGIN_EXPORT];
}

/// The module with its counters.
///
/// # Errors
/// [`AdmissionError::Invalid`] where `wasm` is not the module that was admitted.
pub fn instrument(wasm: &[u8], admitted: &Admitted) -> Result<Vec<u8>, AdmissionError> {
    Ok(instrument_with_entries(wasm, admitted)?.wasm)
}

/// As [`instrument`].
pub(crate) fn instrument_with_entries(wasm: &[u8], admitted: &Admitted) -> Result<Instrumented, AdmissionError> {
    let mut rewritten = Rewritten::default();
    let mut indices = Indices { memory_pages_max: admitted.memory.pages_max(), ..Indices::default() };
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(failed)? {
            Payload::CodeSectionStart { .. } => indices = rewritten.append(indices),
            Payload::CodeSectionEntry(body) => bodies.push(body),
            payload => rewritten.copy(payload, &indices)?,
        }
    }
    let frames = &admitted.frames;
    if bodies.len() != frames.len() {
        return Err(failed("another number of functions than were admitted"));
    }
    let around = Surroundings { frames, imported: indices.imported, access: admitted.memory.access().0 };
    let planned = bodies.iter().zip(frames).map(|(body, frame)| Plan::of(body, *frame, around));
    let mut plans = planned.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    // What callers pay on behalf of each function.
    let named =
        (indices.imported..).zip(&plans).map(|(function, plan)| (!rewritten.elsewhere.contains(&function), plan));
    let entries: Vec<u64> = named.map(|(only_by_name, plan)| if only_by_name { plan.entry() } else { 0 }).collect();
    for ((body, plan), (frame, entry)) in bodies.iter().zip(&mut plans).zip(frames.iter().zip(&entries)) {
        plan.settle(*entry, &entries);
        rewritten.sections.code.raw(&metered(wasm, body, plan, *frame, &indices).map_err(failed)?);
    }
    rewritten.append_bodies(&indices);
    let out = rewritten.sections.assemble();
    // What is compiled is valid by the parser that the compiler uses, whatever happened above.
    Validator::new_with_features(admitted.profile.features()).validate_all(&out).map_err(failed)?;
    Ok(Instrumented { wasm: out, entries })
}

/// As [`instrument`], without admission: for comparing what instrumented modules do with what the specification says.
/// `None` where the module has a start function, no function, or imports something else than functions.
///
/// # Errors
/// [`AdmissionError::Invalid`] where it is not valid in the WASI profile.
pub fn instrument_for_comparison(wasm: &[u8]) -> Result<Option<Vec<u8>>, AdmissionError> {
    unchecked(wasm)?.map(|admitted| instrument(wasm, &admitted)).transpose()
}

impl Rewritten {
    /// Copies a section. The memory gets the maximum that `memory.grow` is held to; a start function is not admitted.
    fn copy(&mut self, payload: Payload<'_>, indices: &Indices) -> Result<(), AdmissionError> {
        let mut copy = RoundtripReencoder;
        match payload {
            Payload::TypeSection(section) => copy.parse_type_section(&mut self.sections.types, section),
            Payload::ImportSection(section) => copy.parse_import_section(&mut self.sections.imports, section),
            Payload::FunctionSection(section) => copy.parse_function_section(&mut self.sections.functions, section),
            Payload::TableSection(section) => copy.parse_table_section(&mut self.sections.tables, section),
            Payload::GlobalSection(section) => {
                self.write_first_values(section.clone()).map_err(failed)?;
                copy.parse_global_section(&mut self.sections.globals, section)
            }
            Payload::ExportSection(section) => {
                self.note_exports(section.clone()).map_err(failed)?;
                copy.parse_export_section(&mut self.sections.exports, section)
            }
            Payload::ElementSection(section) => {
                self.note_elements(section.clone()).map_err(failed)?;
                copy.parse_element_section(&mut self.sections.elements, section)
            }
            Payload::DataSection(section) => copy.parse_data_section(&mut self.sections.data, section),
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory.map_err(failed)?;
                    self.sections.memories.memory(MemoryType {
                        minimum: memory.initial,
                        maximum: Some(indices.memory_pages_max),
                        memory64: false,
                        shared: false,
                        page_size_log2: None,
                    });
                }
                Ok(())
            }
            _ => Ok(()),
        }
        .map_err(failed)
    }

    fn note_exports(&mut self, section: wasmparser::ExportSectionReader<'_>) -> wasmparser::Result<()> {
        for export in section {
            let export = export?;
            if export.kind == wasmparser::ExternalKind::Func {
                self.elsewhere.insert(export.index);
            }
        }
        Ok(())
    }

    fn note_elements(&mut self, section: wasmparser::ElementSectionReader<'_>) -> wasmparser::Result<()> {
        for element in section {
            match element?.items {
                ElementItems::Functions(functions) => {
                    self.elsewhere.extend(functions.into_iter().collect::<wasmparser::Result<Vec<_>>>()?);
                }
                ElementItems::Expressions(_, expressions) => {
                    for expression in expressions {
                        for operator in expression?.get_operators_reader() {
                            if let Operator::RefFunc { function_index } = operator? {
                                self.elsewhere.insert(function_index);
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Code that gives each mutable global its first value. None is imported, so that their indices begin at 0.
    fn write_first_values(&mut self, section: wasmparser::GlobalSectionReader<'_>) -> wasmparser::Result<()> {
        for (index, global) in (0..).zip(section) {
            let global = global?;
            if global.ty.mutable {
                let mut value = global.init_expr.get_binary_reader();
                let value = value.read_bytes(value.bytes_remaining())?;
                // The value's code ends with `end`, a byte.
                self.begin.extend_from_slice(value.split_last().map_or(&[], |(_, value)| value));
                Instruction::GlobalSet(index).encode(&mut self.begin);
            }
        }
        Ok(())
    }

    /// Appends the counters, and types and declarations of the four functions whose bodies come last.
    fn append(&mut self, indices: Indices) -> Indices {
        let imported = self.sections.imports.len();
        let ty = self.sections.types.len();
        self.sections.types.ty().function([ValType::I32], [ValType::I32]);
        self.sections.types.ty().function([ValType::I32; 3], []);
        self.sections.types.ty().function([ValType::I64, ValType::I32], []);
        let grow = imported + self.sections.functions.len();
        self.sections.functions.function(ty).function(ty + 1).function(ty + 1).function(ty + 2);
        let gas = self.sections.globals.len();
        let counter = |val_type| GlobalType { val_type, mutable: true, shared: false };
        self.sections.globals.global(counter(ValType::I64), &ConstExpr::i64_const(0));
        self.sections.globals.global(counter(ValType::I32), &ConstExpr::i32_const(0));
        self.sections.exports.export(GAS_EXPORT, ExportKind::Global, gas);
        self.sections.exports.export(STACK_EXPORT, ExportKind::Global, gas + 1);
        self.sections.exports.export(BEGIN_EXPORT, ExportKind::Func, grow + 3);
        Indices { imported, gas, stack: gas + 1, grow, copy: grow + 1, fill: grow + 2, ..indices }
    }

    fn append_bodies(&mut self, indices: &Indices) {
        self.sections.code.function(&grow(indices));
        self.sections.code.function(&bulk(indices, 2, &Instruction::MemoryCopy { src_mem: 0, dst_mem: 0 }));
        self.sections.code.function(&bulk(indices, 1, &Instruction::MemoryFill(0)));
        self.sections.code.function(&begin(indices, &self.begin));
    }
}

/// Prices are far below `i64::MAX`.
fn gas_const(gas: u64) -> Instruction<'static> {
    Instruction::I64Const(i64::try_from(gas).unwrap_or(i64::MAX))
}

fn function(instructions: &[Instruction<'_>]) -> Function {
    let mut function = Function::new([]);
    for instruction in instructions {
        function.instruction(instruction);
    }
    function.instruction(&Instruction::End);
    function
}

/// Takes off the gas that `amount` puts on the stack, and checks.
fn charge(indices: &Indices, amount: &[Instruction<'static>]) -> Vec<Instruction<'static>> {
    let mut code = vec![Instruction::GlobalGet(indices.gas)];
    code.extend_from_slice(amount);
    code.extend([Instruction::I64Sub, Instruction::GlobalSet(indices.gas)]);
    code.extend(check_gas(indices));
    code
}

/// `(pages) -> i32`: the base is charged first; a growth that cannot succeed answers -1; pages are charged before they
/// are added.
fn grow(indices: &Indices) -> Function {
    use Instruction::{
        End, I32Const, I32GtU, I32Sub, I64ExtendI32U, I64Mul, If, LocalGet, MemoryGrow, MemorySize, Return,
    };
    let most = I32Const(i32::try_from(indices.memory_pages_max).unwrap_or(i32::MAX));
    let mut code = charge(indices, &[gas_const(prices::GROW)]);
    // pages > most - size; the size never exceeds the most, so the difference does not wrap.
    code.extend([LocalGet(0), most, MemorySize(0), I32Sub, I32GtU, If(BlockType::Empty), I32Const(-1), Return, End]);
    code.extend(charge(indices, &[LocalGet(0), I64ExtendI32U, gas_const(prices::LARGE_PAGE), I64Mul]));
    code.extend([LocalGet(0), MemoryGrow(0)]);
    function(&code)
}

/// `(gas, slots)`: fills the counters and does what `first_values` says.
fn begin(indices: &Indices, first_values: &[u8]) -> Function {
    use Instruction::{End, GlobalSet, LocalGet};
    let mut function = Function::new([]);
    for instruction in [LocalGet(0), GlobalSet(indices.gas), LocalGet(1), GlobalSet(indices.stack)] {
        function.instruction(&instruction);
    }
    function.raw(first_values.iter().copied());
    function.instruction(&End);
    function
}

/// `(destination, source or value, length)`: charges by the places that it goes to and by the length, checks, and does
/// the operation.
fn bulk(indices: &Indices, places: u64, operation: &Instruction<'static>) -> Function {
    use Instruction::{I64Add, I64DivU, I64ExtendI32U, LocalGet};
    let most = indices.memory_pages_max;
    let (base, per_gas) = (gas_const(prices::bulk(places, most)), gas_const(prices::bulk_bytes_per_gas(most)));
    let amount = [LocalGet(2), I64ExtendI32U, per_gas, I64DivU, base, I64Add];
    let mut code = charge(indices, &amount);
    code.extend([LocalGet(0), LocalGet(1), LocalGet(2), operation.clone()]);
    function(&code)
}
