//! The names of a module's functions, kept beside it.
//!
//! A deployed module carries no names: they would be paid for with every byte and admission strips them. So `chancery build` writes what the compiler
//! knew to a file of its own, in which people can search as well:
//!
//! ```text
//! names of module 4a6d…           BLAKE3 of the stripped module, hexadecimal
//! 12 disburse_bench::pay          number of the function, its name
//! ```
//!
//! Names of Rust are demangled, without the hash at their end.

use chancery_types::{Hash, ModuleId};
use std::collections::BTreeMap;
use wasmparser::{KnownCustom, Name, Parser, Payload};

const FIRST_LINE: &str = "names of module ";

/// The names of a module's functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    module: Option<ModuleId>,
    functions: BTreeMap<usize, String>,
}

/// Why a file holds no names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamesError {
    /// A line is of another form.
    #[error("line {line} of the names: expected {expected}, found `{found}`; `chancery build` writes the file anew")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is expected.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// They are another module's.
    #[error(
        "the names are of module {found}, the module is {expected}: give the file that `chancery build` wrote with this module"
    )]
    Other {
        /// The module that is to be profiled.
        expected: ModuleId,
        /// Whose names they are.
        found: ModuleId,
    },
}

impl Names {
    /// What a compiler wrote into a module, of which `stripped` is what gets deployed. A module without names has none.
    pub fn of(compiled: &[u8], stripped: &[u8]) -> Names {
        let mut functions = BTreeMap::new();
        for payload in Parser::new(0).parse_all(compiled).map_while(Result::ok) {
            let Payload::CustomSection(section) = payload else { continue };
            let KnownCustom::Name(subsections) = section.as_known() else { continue };
            for subsection in subsections.into_iter().map_while(Result::ok) {
                let Name::Function(map) = subsection else { continue };
                functions
                    .extend(map.into_iter().map_while(Result::ok).map(|name| (name.index as usize, plain(name.name))));
            }
        }
        Names { module: Some(ModuleId(Hash::of(stripped).0)), functions }
    }

    /// Reads a file of names.
    ///
    /// # Errors
    /// [`NamesError::Line`], the first that is of another form.
    pub fn parse(text: &str) -> Result<Names, NamesError> {
        let wrong =
            |line: usize, expected, found: &str| NamesError::Line { line: line + 1, expected, found: found.into() };
        let first = text.lines().next().unwrap_or_default();
        let module = first.strip_prefix(FIRST_LINE).and_then(ModuleId::parse);
        let module = module.ok_or_else(|| wrong(0, "`names of module` and its BLAKE3 in hexadecimal", first))?;
        let mut functions = BTreeMap::new();
        for (number, line) in text.lines().enumerate().skip(1) {
            let split = line.split_once(' ').and_then(|(index, name)| Some((index.parse().ok()?, name.to_string())));
            let (index, name) = split.ok_or_else(|| wrong(number, "a function's number and its name", line))?;
            functions.insert(index, name);
        }
        Ok(Names { module: Some(module), functions })
    }

    /// The file.
    pub fn to_text(&self) -> String {
        let mut text = format!("{FIRST_LINE}{}\n", self.module.unwrap_or_default());
        text.extend(self.functions.iter().map(|(index, name)| format!("{index} {name}\n")));
        text
    }

    /// Whether these are the names of this module, or of none in particular.
    ///
    /// # Errors
    /// [`NamesError::Other`].
    pub fn are_of(&self, module: &ModuleId) -> Result<(), NamesError> {
        match &self.module {
            Some(found) if found != module => Err(NamesError::Other { expected: *module, found: *found }),
            _ => Ok(()),
        }
    }

    /// The name of a function, imported ones counted first.
    pub fn get(&self, function: usize) -> Option<&str> {
        self.functions.get(&function).map(String::as_str)
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }
}

/// The name in one line, as its source has it.
fn plain(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name)).replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_demangled_and_read_back() {
        let compiled =
            wat::parse_str(r#"(module (func $_ZN4core3fmt5write17h0123456789abcdefE) (func $other))"#).unwrap();
        let names = Names::of(&compiled, b"stripped");
        assert_eq!((names.get(0), names.get(1), names.get(2)), (Some("core::fmt::write"), Some("other"), None));
        assert_eq!(Names::parse(&names.to_text()), Ok(names.clone()));
        let (right, wrong) = (ModuleId(Hash::of(b"stripped").0), ModuleId::default());
        assert_eq!(names.are_of(&right), Ok(()));
        assert_eq!(names.are_of(&wrong), Err(NamesError::Other { expected: wrong, found: right }));
        assert_eq!(Names::default().are_of(&wrong), Ok(()));
    }

    #[test]
    fn a_line_of_another_form_is_named() {
        let text = Names::of(b"", b"").to_text();
        let line = |text: &str| match Names::parse(text) {
            Err(NamesError::Line { line, .. }) => line,
            other => panic!("{other:?}"),
        };
        assert_eq!(line(""), 1);
        assert_eq!(line("0 a\n"), 1);
        assert_eq!(line(&format!("{text}0 a\nb\n")), 3);
        assert_eq!(line(&format!("{text}-1 a\n")), 2);
    }
}
