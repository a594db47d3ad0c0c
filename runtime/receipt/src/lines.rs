//! Reading and writing the lines of a file. A field is a name, a space and a value; no bytes at all are written `-`.

use crate::{FILE_BYTES_MAX, ReceiptError, TlogProof};
use base64::{Engine, engine::general_purpose::STANDARD};
use chancery_types::Hash;

/// A text being read line by line.
pub(crate) struct Lines<'a> {
    rest: &'a str,
    /// The line last read, from 1.
    number: usize,
}

impl<'a> Lines<'a> {
    /// Starts with the first line.
    pub(crate) fn of_file(file: &'a [u8]) -> Result<Self, ReceiptError> {
        if file.len() > FILE_BYTES_MAX {
            return Err(ReceiptError::TooLong { found: file.len() });
        }
        let malformed = |line, problem: &str| ReceiptError::Malformed { line, field: "text", problem: problem.into() };
        let line_at = |at: usize| 1 + file[..at].iter().filter(|byte| **byte == b'\n').count();
        let text = core::str::from_utf8(file)
            .map_err(|error| malformed(line_at(error.valid_up_to()), "expected UTF-8, found other bytes"))?;
        if let Some(at) = file.iter().position(|byte| *byte < b' ' && *byte != b'\n') {
            let problem = "a control character (a carriage return comes of a program that changes line ends)";
            return Err(malformed(line_at(at), problem));
        }
        Ok(Lines { rest: text, number: 0 })
    }

    /// Reads the first line of a file or section. Another version is told from another thing.
    pub(crate) fn header(&mut self, header: &'static str) -> Result<(), ReceiptError> {
        let line = self.line("header")?;
        if line == header {
            return Ok(());
        }
        let kind = header.split_once('@').map_or(header, |(kind, _)| kind);
        let problem = match line.split_once('@') {
            Some((found, version)) if found == kind && version.len() <= 8 => {
                format!("expected `{header}`, found version `{version}`, which this verifier does not know")
            }
            _ => format!("expected `{header}`, found {}", shown(line)),
        };
        Err(self.malformed("header", problem))
    }

    /// An error at the line last read.
    pub(crate) fn malformed(&self, field: &'static str, problem: impl Into<String>) -> ReceiptError {
        ReceiptError::Malformed { line: self.number, field, problem: problem.into() }
    }

    /// Whether the next line begins so.
    pub(crate) fn next_is(&self, start: &str) -> bool {
        self.rest.starts_with(start)
    }

    /// Checks that the file is what its content is written as.
    pub(crate) fn canonical(&self, file: &[u8], written: &str) -> Result<(), ReceiptError> {
        let differs = file.iter().zip(written.as_bytes()).position(|(found, expected)| found != expected);
        let Some(at) = differs.or_else(|| (file.len() != written.len()).then(|| file.len().min(written.len()))) else {
            return Ok(());
        };
        let line = 1 + written.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
        let problem =
            "it is not in its one spelling (an empty value is `-`, nothing stands behind the last line)".into();
        Err(ReceiptError::Malformed { line, field: "text", problem })
    }

    /// Reads a line.
    pub(crate) fn line(&mut self, field: &'static str) -> Result<&'a str, ReceiptError> {
        self.number += 1;
        let (line, rest) = self.rest.split_once('\n').ok_or_else(|| {
            let found = if self.rest.is_empty() { "the end of the file" } else { "a line without a line feed" };
            self.malformed(field, format!("expected a line, found {found}: the file is truncated"))
        })?;
        self.rest = rest;
        Ok(line)
    }

    /// Reads the empty line that ends a section's head.
    pub(crate) fn empty(&mut self, field: &'static str) -> Result<(), ReceiptError> {
        match self.line(field)? {
            "" => Ok(()),
            line => Err(self.malformed(field, format!("expected an empty line, found {}", shown(line)))),
        }
    }

    /// Reads the field `name` as text.
    pub(crate) fn field(&mut self, name: &'static str) -> Result<&'a str, ReceiptError> {
        let line = self.line(name)?;
        let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' '));
        value.ok_or_else(|| self.malformed(name, format!("expected `{name} …`, found {}", shown(line))))
    }

    /// Reads the field `name` as base64 of at most `most` bytes.
    pub(crate) fn bytes(&mut self, name: &'static str, most: usize) -> Result<Vec<u8>, ReceiptError> {
        let value = self.field(name)?;
        if value == "-" {
            return Ok(Vec::new());
        }
        let bytes = STANDARD.decode(value).ok().filter(|bytes| !bytes.is_empty());
        let bytes = bytes.ok_or_else(|| self.malformed(name, "expected base64 with padding, or `-` for no bytes"))?;
        if bytes.len() > most {
            return Err(self.malformed(name, format!("expected at most {most} bytes, found {}", bytes.len())));
        }
        Ok(bytes)
    }

    /// Reads a signed note: a text without empty lines, an empty line, and the lines that begin with a dash.
    pub(crate) fn note(&mut self, field: &'static str) -> Result<String, ReceiptError> {
        let mut note = String::new();
        loop {
            let line = self.line(field)?;
            note.push_str(line);
            note.push('\n');
            if line.is_empty() {
                break;
            }
        }
        while self.next_is("\u{2014} ") {
            note.push_str(self.line(field)?);
            note.push('\n');
        }
        Ok(note)
    }

    /// Reads a tlog-proof, which goes on to `end` or to the end of the file.
    pub(crate) fn tlog_proof(&mut self, end: &str) -> Result<TlogProof, ReceiptError> {
        let (section, rest) = match self.rest.find(end) {
            // The line feed before the end is the section's own.
            Some(at) => self.rest.split_at(at + 1),
            None => (self.rest, ""),
        };
        self.number += 1;
        let proof = TlogProof::parse(section.as_bytes());
        let proof = proof.map_err(|error| self.malformed("tlog-proof from this line on", error.to_string()))?;
        self.number += section.matches('\n').count() - 1;
        self.rest = rest;
        Ok(proof)
    }

    /// Reads lines of 32 bytes in base64 for as long as they have no space and are not empty, at most `most`.
    pub(crate) fn hashes(&mut self, field: &'static str, most: usize) -> Result<Vec<Hash>, ReceiptError> {
        let mut hashes = Vec::new();
        while let Some((line, _)) =
            self.rest.split_once('\n').filter(|(line, _)| !line.is_empty() && !line.contains(' '))
        {
            self.line(field)?;
            let hash = STANDARD.decode(line).ok().and_then(|hash| hash.try_into().ok());
            hashes.push(Hash(hash.ok_or_else(|| self.malformed(field, "expected 32 bytes in base64"))?));
            if hashes.len() > most {
                return Err(self.malformed(field, format!("expected at most {most} hashes")));
            }
        }
        Ok(hashes)
    }
}

/// 32 bytes of lower-case hexadecimal.
pub(crate) fn hash(text: &str) -> Option<Hash> {
    Hash::parse(text).filter(|_| !text.bytes().any(|byte| byte.is_ascii_uppercase()))
}

/// Appends a field of bytes.
pub(crate) fn push_bytes(out: &mut String, name: &str, bytes: &[u8]) {
    let value = if bytes.is_empty() { "-".into() } else { STANDARD.encode(bytes) };
    out.push_str(&format!("{name} {value}\n"));
}

/// Appends hashes, one a line.
pub(crate) fn push_hashes(out: &mut String, hashes: &[Hash]) {
    hashes.iter().for_each(|hash| out.push_str(&format!("{}\n", STANDARD.encode(hash.0))));
}

/// A line as a message quotes it.
pub(crate) fn shown(line: &str) -> String {
    let quoted: String = line.chars().take(40).collect();
    if quoted.len() < line.len() { format!("`{quoted}…`") } else { format!("`{quoted}`") }
}
