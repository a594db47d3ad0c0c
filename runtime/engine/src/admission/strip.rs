//! What a compiler leaves in a module and a contract does not need.

use super::AdmissionError;
use super::Profile;
use super::checks::{EXPORTS, INITIALIZE};
use chancery_types::interface::SECTION;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{CustomSection, ExportSection, Module, RawSection};
use wasmparser::{Parser, Payload};

/// The module without custom sections other than the interface description and without exports other than the ABI's
/// (`__heap_base` and its like). Nothing else changes, and stripping twice is stripping once.
///
/// # Errors
/// [`AdmissionError::Invalid`] where the bytes are no module.
pub fn strip(wasm: &[u8]) -> Result<Vec<u8>, AdmissionError> {
    let invalid = |error: &dyn std::fmt::Display| AdmissionError::Invalid(error.to_string());
    let wasi = Profile::of(wasm) == Profile::Wasi;
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(|error| invalid(&error))? {
            Payload::ExportSection(section) => {
                let mut exports = ExportSection::new();
                for export in section {
                    let export = export.map_err(|error| invalid(&error))?;
                    if EXPORTS.contains(&export.name) || (wasi && export.name == INITIALIZE) {
                        RoundtripReencoder.parse_export(&mut exports, export).map_err(|error| invalid(&error))?;
                    }
                }
                module.section(&exports);
            }
            Payload::CustomSection(section) if section.name() == SECTION => {
                module.section(&CustomSection { name: SECTION.into(), data: section.data().into() });
            }
            Payload::CustomSection(_) => {}
            payload => {
                if let Some((id, range)) = payload.as_section() {
                    module.section(&RawSection { id, data: &wasm[range] });
                }
            }
        }
    }
    Ok(module.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn what_a_compiler_leaves_is_removed_and_the_rest_stays() {
        let plain = fixtures::module("");
        let noisy = fixtures::module(
            r#"(global (export "__heap_base") i32 (i32.const 9)) (func (export "helper")) (@custom "producers" "x")"#,
        );
        assert!(crate::admit(&noisy).is_err());
        let stripped = strip(&noisy).unwrap();
        assert!(crate::admit(&stripped).is_ok());
        assert_eq!(strip(&stripped).unwrap(), stripped);
        assert_eq!(strip(&plain).unwrap(), plain);
    }

    #[test]
    fn what_is_no_module_is_named_so() {
        assert!(matches!(strip(b"not wasm"), Err(AdmissionError::Invalid(_))));
    }
}
