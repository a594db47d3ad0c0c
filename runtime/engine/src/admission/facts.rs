//! What is read off a module, in one pass that also validates it.

use super::{AdmissionError, Admitted, MemoryLimit, Profile};
use crate::limits::{FRAME_SLOTS, KEPT_BYTES_MAX, PAGE_BYTES};
use crate::{operators, prices};
use chancery_types::interface::SECTION;
use chancery_types::{Gas, Interface, ModuleId};
use wasmparser::{
    BinaryReaderError, ConstExpr, DataKind, ElementItems, ElementKind, ExternalKind, FuncType, FuncValidator,
    FuncValidatorAllocations, FunctionBody, Operator, Parser, Payload, TypeRef, ValidPayload, Validator,
    ValidatorResources,
};

/// What the instrumentation needs to know of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// What it takes on the logical stack.
    pub(crate) slots: u32,
    /// Parameters.
    pub(crate) parameters: u32,
    /// Locals, parameters not counted.
    pub(crate) locals: u32,
    /// Whether it calls no function but the host's. Calls of such a function need no place on the logical stack: its frame is the last.
    pub(crate) leaf: bool,
}

/// An import: module, name, and type if it is a function.
pub(super) struct Import {
    pub(super) module: String,
    pub(super) name: String,
    pub(super) ty: Option<FuncType>,
}

/// An export: name, kind, and type if it is a function of the module's own.
pub(super) struct Export {
    pub(super) name: String,
    pub(super) kind: ExternalKind,
    pub(super) ty: Option<FuncType>,
}

/// Minimum and declared maximum of a memory in pages or of a table in elements.
#[derive(Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) start: u64,
    pub(super) most: Option<u64>,
}

/// What was read off a module: counts, the largest of each kind, and what is named.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) profile: Profile,
    pub(super) types: Vec<FuncType>,
    pub(super) imports: Vec<Import>,
    /// How many of the imports are functions. Each body asks for it, and there may be as many imports as bodies.
    imported_functions: usize,
    pub(super) functions: Vec<u32>,
    pub(super) exports: Vec<Export>,
    pub(super) memories: Vec<Size>,
    pub(super) tables: Vec<Size>,
    pub(super) globals: u64,
    pub(super) start: bool,
    pub(super) body_bytes: u64,
    pub(super) locals: u64,
    pub(super) operands: u64,
    pub(super) nesting: u64,
    pub(super) branch_targets: u64,
    /// What compiling costs beyond the bytes: the sum over all functions of locals × operators at which values are merged or moved away.
    pub(super) compile_work: u64,
    pub(super) data_segments: u64,
    pub(super) data_bytes: u64,
    /// End of the data in the memory, or `None` where a segment has no constant place.
    pub(super) data_end: Option<u64>,
    pub(super) element_segments: u64,
    pub(super) elements_end: Option<u64>,
    pub(super) interfaces: Vec<Vec<u8>>,
    pub(super) custom_sections: Vec<String>,
    pub(super) frames: Vec<Frame>,
}

fn problem(error: &BinaryReaderError) -> String {
    // What to do about the one that contracts come upon.
    let instead = if error.message().contains("floating-point") {
        "; compute with whole numbers, and with `Amount` and `Ratio` of the SDK, which round where the contract says"
    } else {
        ""
    };
    format!("{} (at byte {}){instead}", error.message(), error.offset())
}

fn invalid(error: BinaryReaderError) -> AdmissionError {
    AdmissionError::Invalid(problem(&error))
}

impl Facts {
    /// Validates the module and reads its facts.
    pub(super) fn read(wasm: &[u8]) -> Result<Self, AdmissionError> {
        Facts::read_as(Profile::of(wasm), wasm)
    }

    /// As [`Facts::read`], in a profile that the imports do not tell.
    pub(super) fn read_as(profile: Profile, wasm: &[u8]) -> Result<Self, AdmissionError> {
        // The parser says the same in a dozen lines.
        if !wasm.starts_with(b"\0asm") {
            return Err(AdmissionError::Invalid("it does not begin with the bytes `\\0asm`".into()));
        }
        let mut facts = Facts { profile, data_end: Some(0), elements_end: Some(0), ..Facts::default() };
        let mut validator = Validator::new_with_features(profile.features());
        let mut allocations = FuncValidatorAllocations::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.map_err(invalid)?;
            if let ValidPayload::Func(function, body) = validator.payload(&payload).map_err(invalid)? {
                let mut function = function.into_validator(allocations);
                facts.read_body(&mut function, &body)?;
                allocations = function.into_allocations();
            }
            facts.read_payload(payload).map_err(invalid)?;
        }
        Ok(facts)
    }

    /// What is kept of the module with this id and description.
    pub(super) fn admitted(self, id: ModuleId, interface: Interface) -> Admitted {
        let (memory, instance_gas) = (self.memory_limit(), self.instance_gas());
        Admitted { id, interface, profile: self.profile, memory, instance_gas, frames: self.frames }
    }

    /// The most that the memory may have. Without a memory there is nothing.
    pub(super) fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit { declared: self.memories.first().map_or(Some(0), |memory| memory.most) }
    }

    /// What each call pays for the memory that the module starts with, and for its data.
    fn instance_gas(&self) -> Gas {
        let pages = self.memories.iter().map(|memory| memory.start).sum::<u64>();
        let large = pages.saturating_sub(KEPT_BYTES_MAX as u64 / PAGE_BYTES);
        let pages = (pages - large) * prices::PAGE + large * prices::LARGE_PAGE;
        Gas(pages + self.data_bytes / prices::DATA_BYTES_PER_GAS)
    }

    fn read_body(
        &mut self,
        validator: &mut FuncValidator<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<(), AdmissionError> {
        let imported = self.imported_functions;
        let function = imported + self.frames.len();
        let invalid = |error: BinaryReaderError| AdmissionError::Body { function, problem: problem(&error) };
        let mut reader = body.get_binary_reader();
        validator.read_locals(&mut reader).map_err(invalid)?;
        let parameters = self.functions.get(self.frames.len()).and_then(|ty| self.types.get(*ty as usize));
        let parameters = parameters.map_or(0, |ty| ty.params().len() as u32);
        let (mut operands, mut leaf, mut merges) = (0, true, 0);
        let mut operators = body.get_operators_reader().map_err(invalid)?;
        while !operators.eof() {
            let (operator, offset) = operators.read_with_offset().map_err(invalid)?;
            validator.op(offset, &operator).map_err(invalid)?;
            merges += u64::from(operators::merges_values(&operator));
            match &operator {
                Operator::BrTable { targets } => self.branch_targets = self.branch_targets.max(targets.len().into()),
                Operator::Call { function_index } => leaf &= (*function_index as usize) < imported,
                Operator::CallIndirect { .. } => leaf = false,
                other if operators::class(other).is_none() => {
                    let name = operators::name(other);
                    let problem = format!("operator {name} has no price (at byte {offset})");
                    return Err(AdmissionError::Body { function, problem });
                }
                _ => {}
            }
            operands = operands.max(validator.operand_stack_height());
            self.nesting = self.nesting.max(validator.control_stack_height().into());
        }
        operators.finish().map_err(invalid)?;
        let locals = validator.len_locals();
        self.body_bytes = self.body_bytes.max(body.as_bytes().len() as u64);
        self.locals = self.locals.max(locals.into());
        self.compile_work = self.compile_work.saturating_add(merges * u64::from(locals));
        self.operands = self.operands.max(operands.into());
        let slots = locals.saturating_add(operands).saturating_add(FRAME_SLOTS);
        self.frames.push(Frame { slots, parameters, locals: locals - parameters, leaf });
        Ok(())
    }

    fn read_payload(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(section) => {
                self.types = section.into_iter_err_on_gc_types().collect::<Result<_, _>>()?;
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let ty =
                        if let TypeRef::Func(ty) = import.ty { self.types.get(ty as usize).cloned() } else { None };
                    self.imported_functions += usize::from(ty.is_some());
                    self.imports.push(Import { module: import.module.into(), name: import.name.into(), ty });
                }
            }
            Payload::FunctionSection(section) => self.functions = section.into_iter().collect::<Result<_, _>>()?,
            Payload::TableSection(section) => {
                for table in section {
                    let ty = table?.ty;
                    self.tables.push(Size { start: ty.initial, most: ty.maximum });
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory?;
                    self.memories.push(Size { start: memory.initial, most: memory.maximum });
                }
            }
            Payload::GlobalSection(section) => self.globals = section.count().into(),
            Payload::ExportSection(section) => self.read_exports(section)?,
            Payload::StartSection { .. } => self.start = true,
            Payload::ElementSection(section) => self.read_elements(section)?,
            Payload::DataSection(section) => self.read_data(section)?,
            Payload::CustomSection(section) if section.name() == SECTION => {
                self.interfaces.push(section.data().to_vec());
            }
            Payload::CustomSection(section) => self.custom_sections.push(section.name().into()),
            _ => {}
        }
        Ok(())
    }

    fn read_exports(&mut self, section: wasmparser::ExportSectionReader<'_>) -> wasmparser::Result<()> {
        let imported = self.imported_functions;
        for export in section {
            let export = export?;
            let own = (export.index as usize).checked_sub(imported).filter(|_| export.kind == ExternalKind::Func);
            let ty = own.and_then(|own| self.types.get(*self.functions.get(own)? as usize)).cloned();
            self.exports.push(Export { name: export.name.into(), kind: export.kind, ty });
        }
        Ok(())
    }

    fn read_elements(&mut self, section: wasmparser::ElementSectionReader<'_>) -> wasmparser::Result<()> {
        for element in section {
            let element = element?;
            self.element_segments += 1;
            let count = match &element.items {
                ElementItems::Functions(items) => items.count(),
                ElementItems::Expressions(_, items) => items.count(),
            };
            let start = match &element.kind {
                ElementKind::Active { offset_expr, .. } => constant(offset_expr)?,
                ElementKind::Passive | ElementKind::Declared => None,
            };
            self.elements_end = furthest(self.elements_end, start, count.into());
        }
        Ok(())
    }

    fn read_data(&mut self, section: wasmparser::DataSectionReader<'_>) -> wasmparser::Result<()> {
        for data in section {
            let data = data?;
            self.data_segments += 1;
            let len = data.data.len() as u64;
            self.data_bytes += len;
            let start = match &data.kind {
                DataKind::Active { offset_expr, .. } => constant(offset_expr)?,
                DataKind::Passive => None,
            };
            self.data_end = furthest(self.data_end, start, len);
        }
        Ok(())
    }

    /// Bytes of the memory at the start.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.memories.first().map_or(0, |memory| memory.start * PAGE_BYTES)
    }
}

/// The further of two ends; `None` once a segment has no constant place.
fn furthest(end: Option<u64>, start: Option<u32>, len: u64) -> Option<u64> {
    Some(end?.max(u64::from(start?) + len))
}

/// The value of an expression that is one `i32.const`; `None` for any other.
fn constant(expression: &ConstExpr<'_>) -> wasmparser::Result<Option<u32>> {
    let mut reader = expression.get_operators_reader();
    let Operator::I32Const { value } = reader.read()? else { return Ok(None) };
    Ok(matches!(reader.read()?, Operator::End).then_some(value.cast_unsigned()))
}
