//! What an examination found.

use crate::NodeError;
use crate::verify::Report;
use std::path::{Path, PathBuf};

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Wrong, and to be restored or set right by hand.
    Fault,
    /// Wrong, and made again by [`repair`](super::repair).
    Derived,
    /// Not wrong, and worth knowing.
    Note,
}

/// What was found in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file or directory.
    pub file: PathBuf,
    /// How bad it is.
    pub kind: Kind,
    /// What is wrong: what was expected and what was found.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// What an examination found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// What was looked at, and how many of them.
    pub examined: Vec<(&'static str, u64)>,
    /// What was found, the first first.
    pub findings: Vec<Finding>,
    /// What the log covers, where it is sound.
    pub report: Option<Report>,
}

impl Diagnosis {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.kind == Kind::Note)
    }

    fn add(&mut self, kind: Kind, file: &Path, problem: impl Into<String>, remedy: &str) {
        let (file, problem, remedy) = (file.to_path_buf(), problem.into(), remedy.to_string());
        self.findings.push(Finding { file, kind, problem, remedy });
    }

    pub(super) fn fault(&mut self, file: &Path, problem: impl Into<String>, remedy: &str) {
        self.add(Kind::Fault, file, problem, remedy);
    }

    pub(super) fn derived(&mut self, file: &Path, problem: impl Into<String>) {
        self.add(Kind::Derived, file, problem, "it is made again by `chancery doctor --repair`");
    }

    pub(super) fn note(&mut self, file: &Path, problem: impl Into<String>, remedy: &str) {
        self.add(Kind::Note, file, problem, remedy);
    }

    /// An error of the part of the node that looked; its message says what to do.
    pub(super) fn error(&mut self, file: &Path, error: &NodeError) {
        let file = error.file().unwrap_or(file).to_path_buf();
        self.fault(&file, error.to_string(), "restore it from a copy");
    }
}
