//! The second instrumentation, of a module that has its counters already: hooks around every call.
//!
//! Two functions are imported, `enter (function: i32)` and `leave ()` of [`HOOKS_MODULE`]. For each function of the module, of its own or imported, a wrapper of the
//! same type is appended: `enter`, the function itself, `leave`. Whatever named the function (a call, the table, an export) names the wrapper
//! now. Nothing else changes, so that every payment is made where it was. Outside of a call the hooks do nothing: so for `__begin`, which the engine calls
//! before.
//!
//! A wrapper takes nothing of the logical stack. Its native frame is bounded by its parameters, 16 at most; the deepest recursion within the logical limit still ends
//! far from the end of the native stack (the corpus has it).

use super::{Frame, Names};
use crate::admission::Admitted;
use crate::error::{LoadError, NodeFault};
use crate::instrument::Instrumented;
use crate::sections::Sections;
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{EntityType, Function, Instruction, ValType};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef, Validator};

/// Name of the module that the hooks are imported from. Admission refuses a module that imports from it.
pub(crate) const HOOKS_MODULE: &str = "chancery_profile";
/// How many functions are imported besides.
const HOOKS: u32 = 2;

/// What a module's hooks refer to.
pub(crate) struct Hooked {
    /// Each function by its number before the second instrumentation: what it is, and how much of its gas its callers pay.
    pub(super) functions: Vec<(Frame, u64)>,
}

/// What is read off the module before it is written anew.
#[derive(Default)]
struct Facts {
    /// Parameters of each type.
    types: Vec<u32>,
    /// Name of each imported function.
    imports: Vec<String>,
    /// Type of each function, the imported ones first.
    functions: Vec<u32>,
    /// Functions that are exported, by name.
    exports: Vec<(u32, String)>,
}

impl Facts {
    fn read(wasm: &[u8]) -> wasmparser::Result<Facts> {
        let mut facts = Facts::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter_err_on_gc_types() {
                        facts.types.push(u32::try_from(ty?.params().len()).unwrap_or(u32::MAX));
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        if let TypeRef::Func(ty) = import.ty {
                            facts.imports.push(import.name.into());
                            facts.functions.push(ty);
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        facts.functions.push(ty?);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.kind == ExternalKind::Func {
                            facts.exports.push((export.index, export.name.into()));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(facts)
    }

    /// What each function is.
    fn frames(&self, names: &Names) -> Vec<Frame> {
        let bulk = self.functions.len().saturating_sub(Instrumented::APPENDED.len());
        let frame = |at: usize| match (self.imports.get(at), at.checked_sub(bulk)) {
            (Some(name), _) => Frame::Host(name.as_str().into()),
            (None, Some(appended)) => Frame::Bulk(Instrumented::APPENDED[appended]),
            (None, None) => {
                let exported = || self.exports.iter().find(|(function, _)| *function as usize == at);
                let unnamed = || exported().map_or_else(|| format!("func[{at}]"), |(_, name)| name.clone());
                Frame::Function(names.get(at).map_or_else(unnamed, String::from).into())
            }
        };
        (0..self.functions.len()).map(frame).collect()
    }
}

/// Moves functions of the module's own behind the hooks, and what names any function to its wrapper.
struct Pass {
    imported: u32,
    functions: u32,
}

impl Pass {
    /// Where the function itself stands now.
    const fn itself(&self, function: u32) -> u32 {
        if function < self.imported { function } else { function + HOOKS }
    }

    const fn wrapper(&self, function: u32) -> u32 {
        self.functions + HOOKS + function
    }
}

impl Reencode for Pass {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Self::Error>> {
        Ok(self.wrapper(function))
    }
}

fn copy(sections: &mut Sections, payload: Payload<'_>, pass: &mut Pass) -> Result<(), Error<std::convert::Infallible>> {
    match payload {
        Payload::TypeSection(section) => pass.parse_type_section(&mut sections.types, section),
        Payload::ImportSection(section) => pass.parse_import_section(&mut sections.imports, section),
        Payload::FunctionSection(section) => pass.parse_function_section(&mut sections.functions, section),
        Payload::TableSection(section) => pass.parse_table_section(&mut sections.tables, section),
        Payload::MemorySection(section) => pass.parse_memory_section(&mut sections.memories, section),
        Payload::GlobalSection(section) => pass.parse_global_section(&mut sections.globals, section),
        Payload::ExportSection(section) => pass.parse_export_section(&mut sections.exports, section),
        Payload::ElementSection(section) => pass.parse_element_section(&mut sections.elements, section),
        Payload::CodeSectionEntry(body) => pass.parse_function_body(&mut sections.code, body),
        Payload::DataSection(section) => pass.parse_data_section(&mut sections.data, section),
        _ => Ok(()),
    }
}

fn append(sections: &mut Sections, facts: &Facts, pass: &Pass) {
    let hook = sections.types.len();
    sections.types.ty().function([ValType::I32], []);
    sections.types.ty().function([], []);
    sections.imports.import(HOOKS_MODULE, "enter", EntityType::Function(hook));
    sections.imports.import(HOOKS_MODULE, "leave", EntityType::Function(hook + 1));
    for (function, ty) in (0..).zip(&facts.functions) {
        let parameters = facts.types.get(*ty as usize).copied().unwrap_or(0);
        sections.functions.function(*ty);
        sections.code.function(&wrapper(function, parameters, pass));
    }
}

fn wrapper(function: u32, parameters: u32, pass: &Pass) -> Function {
    let mut code = Function::new([]);
    code.instruction(&Instruction::I32Const(function.cast_signed())).instruction(&Instruction::Call(pass.imported));
    for parameter in 0..parameters {
        code.instruction(&Instruction::LocalGet(parameter));
    }
    code.instruction(&Instruction::Call(pass.itself(function)));
    // The result stays on the stack.
    code.instruction(&Instruction::Call(pass.imported + 1)).instruction(&Instruction::End);
    code
}

/// The module with hooks, and what they refer to.
///
/// # Errors
/// [`LoadError::Fault`] where `instrumented` is not what the first instrumentation wrote.
pub(crate) fn hook(
    instrumented: &Instrumented,
    admitted: &Admitted,
    names: &Names,
) -> Result<(Vec<u8>, Hooked), LoadError> {
    let failed = |error: &dyn std::fmt::Display| NodeFault::engine(format!("hooks for profiling: {error}"));
    let facts = Facts::read(&instrumented.wasm).map_err(|error| failed(&error))?;
    let imported = facts.imports.len();
    let mut pass = Pass { imported: imported as u32, functions: facts.functions.len() as u32 };
    let mut sections = Sections::default();
    for payload in Parser::new(0).parse_all(&instrumented.wasm) {
        copy(&mut sections, payload.map_err(|error| failed(&error))?, &mut pass).map_err(|error| failed(&error))?;
    }
    append(&mut sections, &facts, &pass);
    let out = sections.assemble();
    Validator::new_with_features(admitted.profile.features()).validate_all(&out).map_err(|error| failed(&error))?;
    let paid_by_callers = |at: usize| at.checked_sub(imported).and_then(|own| instrumented.entries.get(own));
    let frames = facts.frames(names).into_iter().enumerate();
    let functions = frames.map(|(at, frame)| (frame, paid_by_callers(at).copied().unwrap_or(0))).collect();
    Ok((out, Hooked { functions }))
}
