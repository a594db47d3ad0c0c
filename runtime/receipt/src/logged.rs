//! That bytes are an entry of a log: the step that receipts and state proofs have in common.

use crate::{Policy, ReceiptError, TlogProof};
use chancery_tlog::merkle;
use chancery_types::codec::{Decode, Encode};
use chancery_types::entry::{ENTRY_BYTES_MAX, ENTRY_VERSION};
use chancery_types::{Entry, Hash};

/// Where an entry stands, and who vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The origin of the log.
    pub origin: String,
    /// Index of the entry.
    pub index: u64,
    /// Entries that the checkpoint covers.
    pub size: u64,
    /// The Merkle root over them.
    pub root: Hash,
    /// The witnesses of the policy whose cosignatures verified, in the order of their lines.
    pub witnesses: Vec<Witnessed>,
}

/// A witness's cosignature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// The witness's key name.
    pub name: String,
    /// When it says that it saw the checkpoint: seconds since 1970-01-01T00:00:00Z.
    pub time: u64,
}

/// Checks that `bytes` are an entry in its one encoding, of a known version, and stand in the log where the proof says, under a checkpoint
/// that the policy accepts. `field` names the entry in messages.
pub(crate) fn check_entry(
    field: &'static str,
    bytes: &[u8],
    proof: &TlogProof,
    policy: &Policy,
) -> Result<(Entry, Logged), ReceiptError> {
    let untrue = |problem: String| ReceiptError::untrue(field, problem);
    if bytes.len() > ENTRY_BYTES_MAX {
        return Err(untrue(format!("an entry has at most {ENTRY_BYTES_MAX} bytes, this has {}", bytes.len())));
    }
    if let Some(version) = bytes.first_chunk().map(|version| u16::from_le_bytes(*version))
        && version != ENTRY_VERSION
    {
        return Err(untrue(format!("expected an entry of version {ENTRY_VERSION}, found version {version}")));
    }
    let entry = Entry::from_bytes(bytes).map_err(|error| untrue(format!("it does not decode as an entry: {error}")))?;
    if entry.to_bytes() != bytes {
        return Err(untrue("it is not in its one encoding".into()));
    }
    if entry.index != proof.index {
        let (says, found) = (entry.index, proof.index);
        return Err(ReceiptError::untrue("index", format!("the entry says that it is {says}, the proof says {found}")));
    }
    let accepted = policy.check(&proof.checkpoint)?;
    let (size, root) = (accepted.checkpoint.size, accepted.checkpoint.root);
    if proof.index >= size {
        let problem = format!("the checkpoint covers {size} entries, entry {} is not among them", proof.index);
        return Err(ReceiptError::untrue("index", problem));
    }
    if !merkle::check_inclusion(&merkle::leaf_hash(bytes), proof.index, size, &proof.hashes, &root) {
        return Err(ReceiptError::untrue(
            "inclusion proof",
            format!("{field}, index and hashes do not lead to the checkpoint's root {root}: one of them was changed"),
        ));
    }
    let origin = accepted.checkpoint.origin;
    Ok((entry, Logged { origin, index: proof.index, size, root, witnesses: accepted.witnesses }))
}
