//! What a key of the state held, or that it held nothing, after a block.
//!
//! ```text
//! chancery/state-proof@v2
//! contract <64 hexadecimal digits>
//! key <base64>
//! value <base64>                          the key held this;
//!   or absent                             it held nothing
//! neighbour <path> <value hash>           only with `absent`, each 64 hexadecimal digits: the leaf that stands where the key's path ends
//! siblings <digits>                       one a level, the root's children first: 1 a sibling, 0 an empty one; `-` no level at all
//! <base64 of a hash>                      the siblings that are not empty, in the same order, one a line
//! seal <base64>                           the seal entry whose state root the siblings lead to
//!                                         an empty line
//! <the tlog-proof of the seal entry>
//! ```
//!
//! The chain: key and value give the leaf of the state tree (`chancery_state::tree`); leaf and siblings give the state root that stands in the
//! seal; the seal's bytes and the tlog-proof give the root of the log; the checkpoint signs that root, and witnesses cosign it. The key's
//! path in the tree is computed, never read. Absence is shown by an empty place at the end of the path, or by the neighbour: another
//! leaf whose path begins with the same bits.
//!
//! Two keys whose paths begin with the same bits have only empty siblings from where they leave the others to where they part: the longest proofs are
//! long because of these, and their digits are all that is written of them. Version 1 wrote every sibling as a hash and had no line of digits. It is read for
//! ever, and no longer made.

use crate::lines::{self, Lines, push_bytes, push_hashes, shown};
use crate::logged::{Logged, check_entry};
use crate::{FILE_BYTES_MAX, Policy, ReceiptError, TlogProof};
use chancery_state::tree::{self, DEPTH_MAX, EMPTY};
use chancery_types::entry::ENTRY_BYTES_MAX;
use chancery_types::{ContractId, Hash, Height, Record, Timestamp};

/// The first line.
pub const HEADER: &str = "chancery/state-proof@v2";
/// The first line of version 1.
pub const HEADER_V1: &str = "chancery/state-proof@v1";
/// What stands before a state proof that follows something: an empty line, and its first line whatever its version.
pub(crate) const NEXT: &str = "\n\nchancery/state-proof@";
/// Longest key in bytes.
pub const KEY_BYTES_MAX: usize = 512;
/// Longest value in bytes.
pub const VALUE_BYTES_MAX: usize = 60_000;

/// How the siblings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Every sibling as a hash.
    V1,
    /// A digit for each level, and the siblings that are not empty.
    V2,
}

impl Version {
    fn header(self) -> &'static str {
        match self {
            Version::V1 => HEADER_V1,
            Version::V2 => HEADER,
        }
    }
}

/// The parts of a state proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateProof {
    /// How it is written.
    pub version: Version,
    /// Whose key.
    pub contract: ContractId,
    /// The key within the contract.
    pub key: Vec<u8>,
    /// What it held.
    pub value: Option<Vec<u8>>,
    /// Path and value hash of another leaf that stands where the key's path ends; only where there is no value.
    pub neighbour: Option<(Hash, Hash)>,
    /// Siblings in the state tree, the root's child first, the empty ones too.
    pub siblings: Vec<Hash>,
    /// The seal entry's bytes.
    pub seal: Vec<u8>,
    /// The seal entry's place in the log.
    pub proof: TlogProof,
}

/// What a state proof shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedState {
    /// Where the seal stands.
    pub log: Logged,
    /// Whose key.
    pub contract: ContractId,
    /// The key within the contract.
    pub key: Vec<u8>,
    /// What it held; `None`: nothing.
    pub value: Option<Vec<u8>>,
    /// After which block.
    pub height: Height,
    /// The block's time.
    pub time: Timestamp,
    /// The state root after it.
    pub state_root: Hash,
}

impl StateProof {
    /// Assembles a proof: what `tree.prove(path(contract, key))` said of `key`, the bytes of the seal whose root is the tree's, and their
    /// place in the log.
    ///
    /// # Errors
    /// When the parts do not belong together.
    pub fn new(
        contract: ContractId,
        key: Vec<u8>,
        value: Option<Vec<u8>>,
        proof: tree::Proof,
        seal: Vec<u8>,
        seal_proof: TlogProof,
    ) -> Result<Self, ReceiptError> {
        let path = tree::path(&contract, &key);
        let held = proof.leaf.filter(|(found, _)| *found == path).map(|(_, held)| held);
        if held != value.as_deref().map(tree::value_hash) {
            return Err(ReceiptError::untrue("value", "it is not the value that the tree holds at the key"));
        }
        let neighbour = proof.leaf.filter(|(found, _)| *found != path);
        let (version, siblings) = (Version::V2, proof.siblings);
        Ok(StateProof { version, contract, key, value, neighbour, siblings, seal, proof: seal_proof })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`] or [`ReceiptError::TooLong`].
    pub fn parse(file: &[u8]) -> Result<Self, ReceiptError> {
        let mut lines = Lines::of_file(file)?;
        let found = Self::read(&mut lines)?;
        lines.canonical(file, &found.to_text()?)?;
        Ok(found)
    }

    /// Reads one up to the next state proof or the end of the file.
    pub(crate) fn read(lines: &mut Lines<'_>) -> Result<Self, ReceiptError> {
        let version = if lines.next_is("chancery/state-proof@v1\n") { Version::V1 } else { Version::V2 };
        lines.header(version.header())?;
        let id = |lines: &Lines<'_>, field, text: &str| {
            let wrong =
                || lines.malformed(field, format!("expected 64 lower-case hexadecimal digits, found {}", shown(text)));
            lines::hash(text).ok_or_else(wrong)
        };
        let text = lines.field("contract")?;
        let contract = ContractId(id(lines, "contract", text)?.0);
        let key = lines.bytes("key", KEY_BYTES_MAX)?;
        let (mut value, mut neighbour) = (None, None);
        if lines.next_is("absent\n") {
            lines.line("absent")?;
            if lines.next_is("neighbour ") {
                let text = lines.field("neighbour")?;
                let (path, held) = text.split_once(' ').unwrap_or((text, ""));
                neighbour = Some((id(lines, "neighbour", path)?, id(lines, "neighbour", held)?));
            }
        } else {
            value = Some(lines.bytes("value", VALUE_BYTES_MAX)?);
        }
        let siblings = match version {
            Version::V1 => lines.hashes("siblings", DEPTH_MAX)?,
            Version::V2 => read_siblings(lines)?,
        };
        let seal = lines.bytes("seal", ENTRY_BYTES_MAX)?;
        lines.empty("seal")?;
        let proof = lines.tlog_proof(NEXT)?;
        Ok(StateProof { version, contract, key, value, neighbour, siblings, seal, proof })
    }

    /// The file.
    ///
    /// # Errors
    /// [`ReceiptError::TooLong`].
    pub fn to_text(&self) -> Result<String, ReceiptError> {
        let mut out = String::new();
        self.write(&mut out);
        if out.len() > FILE_BYTES_MAX { Err(ReceiptError::TooLong { found: out.len() }) } else { Ok(out) }
    }

    pub(crate) fn write(&self, out: &mut String) {
        out.push_str(&format!("{}\ncontract {}\n", self.version.header(), self.contract));
        push_bytes(out, "key", &self.key);
        match (&self.value, &self.neighbour) {
            (Some(value), _) => push_bytes(out, "value", value),
            (None, None) => out.push_str("absent\n"),
            (None, Some((path, held))) => out.push_str(&format!("absent\nneighbour {path} {held}\n")),
        }
        match self.version {
            Version::V1 => push_hashes(out, &self.siblings),
            Version::V2 => push_siblings(out, &self.siblings),
        }
        push_bytes(out, "seal", &self.seal);
        out.push('\n');
        out.push_str(&self.proof.to_string());
    }

    /// Verifies the whole chain, from the value to a checkpoint that the policy accepts.
    ///
    /// # Errors
    /// [`ReceiptError::Untrue`] names the first link that does not hold.
    pub fn verify(&self, policy: &Policy) -> Result<VerifiedState, ReceiptError> {
        let (entry, log) = check_entry("seal", &self.seal, &self.proof, policy)?;
        let Record::Seal { height, state_root, .. } = entry.record else {
            return Err(ReceiptError::untrue("seal", "the entry is no seal: it has no state root"));
        };
        let path = tree::path(&self.contract, &self.key);
        let held = self.value.as_deref().map(tree::value_hash);
        if self.neighbour.is_some_and(|(found, _)| held.is_some() || found == path) {
            return Err(ReceiptError::untrue(
                "neighbour",
                "it stands only beside `absent`, and is the leaf of another key",
            ));
        }
        let leaf = held.map(|held| (path, held)).or(self.neighbour);
        let proof = tree::Proof { leaf, siblings: self.siblings.clone() };
        if !proof.verify(&state_root, &path, held.as_ref()) {
            let what = if held.is_some() { "contract, key, value" } else { "contract, key, their absence" };
            let problem = format!(
                "{what} and siblings do not lead to the seal's state root {state_root}: one of them was changed"
            );
            return Err(ReceiptError::untrue("state", problem));
        }
        let (contract, key, value) = (self.contract, self.key.clone(), self.value.clone());
        Ok(VerifiedState { log, contract, key, value, height, time: entry.time, state_root })
    }
}

/// Reads the line of digits, and a hash for each 1.
fn read_siblings(lines: &mut Lines<'_>) -> Result<Vec<Hash>, ReceiptError> {
    let text = lines.field("siblings")?;
    let digits = if text == "-" { "" } else { text };
    if digits.len() > DEPTH_MAX || text.is_empty() || digits.bytes().any(|digit| !matches!(digit, b'0' | b'1')) {
        let problem =
            format!("expected at most {DEPTH_MAX} digits 0 and 1, or `-` for no level, found {}", shown(text));
        return Err(lines.malformed("siblings", problem));
    }
    let mut given = lines.hashes("siblings", DEPTH_MAX)?.into_iter();
    let (expected, found) = (digits.bytes().filter(|digit| *digit == b'1').count(), given.len());
    if expected != found {
        let problem = format!("expected {expected} hashes, one for each digit 1, found {found}");
        return Err(lines.malformed("siblings", problem));
    }
    Ok(digits.bytes().filter_map(|digit| if digit == b'1' { given.next() } else { Some(EMPTY) }).collect())
}

/// An empty sibling is never written as a hash: the file has one spelling.
fn push_siblings(out: &mut String, siblings: &[Hash]) {
    let digits: String = siblings.iter().map(|sibling| if *sibling == EMPTY { '0' } else { '1' }).collect();
    out.push_str(&format!("siblings {}\n", if digits.is_empty() { "-" } else { &digits }));
    let given: Vec<Hash> = siblings.iter().filter(|sibling| **sibling != EMPTY).copied().collect();
    push_hashes(out, &given);
}
