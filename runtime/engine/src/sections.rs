//! The sections of a module while it is written anew, by each of the two instrumentations.

use wasm_encoder::{
    CodeSection, DataSection, ElementSection, ExportSection, FunctionSection, GlobalSection, ImportSection,
    MemorySection, Module, TableSection, TypeSection,
};

/// One of each kind that admission lets a module have.
#[derive(Default)]
pub(crate) struct Sections {
    pub(crate) types: TypeSection,
    pub(crate) imports: ImportSection,
    pub(crate) functions: FunctionSection,
    pub(crate) tables: TableSection,
    pub(crate) memories: MemorySection,
    pub(crate) globals: GlobalSection,
    pub(crate) exports: ExportSection,
    pub(crate) elements: ElementSection,
    pub(crate) code: CodeSection,
    pub(crate) data: DataSection,
}

impl Sections {
    /// The module, in the order of the specification's section 5.5.2; what may be missing and is empty is left out.
    pub(crate) fn assemble(&self) -> Vec<u8> {
        let mut module = Module::new();
        module.section(&self.types);
        if !self.imports.is_empty() {
            module.section(&self.imports);
        }
        module.section(&self.functions);
        if !self.tables.is_empty() {
            module.section(&self.tables);
        }
        module.section(&self.memories).section(&self.globals).section(&self.exports);
        if !self.elements.is_empty() {
            module.section(&self.elements);
        }
        module.section(&self.code);
        if !self.data.is_empty() {
            module.section(&self.data);
        }
        module.finish()
    }
}
