//! What a key of the state held, or that it held nothing, after a block.
//!
//! ```text
//! chancery/state-proof@v1
//! contract <64 hexadecimal digits>
//! key <base64>
//! value <base64>                          the key held this;
//!   or absent                             it held nothing
//! neighbour <path> <value hash>           only with `absent`, each 64 hexadecimal digits: the leaf that stands where the key's path ends
//! <base64 of a hash>                      siblings, the root's child first, one a line
//! seal <base64>                           the seal entry whose state root the siblings lead to
//!                                         an empty line
//! <the tlog-proof of the seal entry>
//! ```
//!
//! The chain: key and value give the leaf of the state tree (`chancery_state::tree`); leaf and siblings give the state root that stands in the
//! seal; the seal's bytes and the tlog-proof give the root of the log; the checkpoint signs that root, and witnesses cosign it. The key's
//! path in the tree is computed, never read. Absence is shown by an empty place at the end of the path, or by the neighbour: another
//! leaf whose path begins with the same bits.

use crate::lines::{self, Lines, push_bytes, push_hashes, shown};
use crate::logged::{Logged, check_entry};
use crate::{FILE_BYTES_MAX, Policy, ReceiptError, TlogProof};
use chancery_state::tree::{self, DEPTH_MAX};
use chancery_types::entry::ENTRY_BYTES_MAX;
use chancery_types::{ContractId, Hash, Height, Record, Timestamp};

/// The first line.
pub const HEADER: &str = "chancery/state-proof@v1";
/// What stands before a state proof that follows something: an empty line, and its first line whatever its version.
pub(crate) const NEXT: &str = "\n\nchancery/state-proof@";
/// Longest key in bytes.
pub const KEY_BYTES_MAX: usize = 512;
/// Longest value in bytes.
pub const VALUE_BYTES_MAX: usize = 60_000;

/// The parts of a state proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateProof {
    /// Whose key.
    pub contract: ContractId,
    /// The key within the contract.
    pub key: Vec<u8>,
    /// What it held.
    pub value: Option<Vec<u8>>,
    /// Path and value hash of another leaf that stands where the key's path ends; only where there is no value.
    pub neighbour: Option<(Hash, Hash)>,
    /// Siblings in the state tree, the root's child first.
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
        Ok(StateProof { contract, key, value, neighbour, siblings: proof.siblings, seal, proof: seal_proof })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`] or [`ReceiptError::TooLong`].
    pub fn parse(file: &[u8]) -> Result<Self, ReceiptError> {
        let mut lines = Lines::of_file(file, HEADER)?;
        let found = Self::read(&mut lines)?;
        lines.canonical(file, &found.to_text()?)?;
        Ok(found)
    }

    /// Reads what follows the header, up to the next state proof or the end of the file.
    pub(crate) fn read(lines: &mut Lines<'_>) -> Result<Self, ReceiptError> {
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
        let siblings = lines.hashes("siblings", DEPTH_MAX)?;
        let seal = lines.bytes("seal", ENTRY_BYTES_MAX)?;
        lines.empty("seal")?;
        let proof = lines.tlog_proof(NEXT)?;
        Ok(StateProof { contract, key, value, neighbour, siblings, seal, proof })
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
        out.push_str(&format!("{HEADER}\ncontract {}\n", self.contract));
        push_bytes(out, "key", &self.key);
        match (&self.value, &self.neighbour) {
            (Some(value), _) => push_bytes(out, "value", value),
            (None, None) => out.push_str("absent\n"),
            (None, Some((path, held))) => out.push_str(&format!("absent\nneighbour {path} {held}\n")),
        }
        push_hashes(out, &self.siblings);
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
