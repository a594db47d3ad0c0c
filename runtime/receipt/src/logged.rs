//! That bytes are an entry of a log: the step that receipts and state proofs have in common.

use crate::ReceiptError;
use chancery_tlog::cosignature::Seconds;
use chancery_tlog::proof::ProofError;
use chancery_tlog::{Policy, TlogProof};
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
    /// The witnesses of the policy that cosigned the checkpoint.
    pub witnesses: Vec<Witnessed>,
}

/// A witness's cosignature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// The witness's key name.
    pub name: String,
    /// When it says that it saw the checkpoint.
    pub time: Seconds,
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
        && !(1..=ENTRY_VERSION).contains(&version)
    {
        return Err(untrue(format!("expected an entry of version 1 to {ENTRY_VERSION}, found version {version}")));
    }
    let entry = Entry::from_bytes(bytes).map_err(|error| untrue(format!("it does not decode as an entry: {error}")))?;
    if entry.to_bytes() != bytes {
        return Err(untrue("it is not in its one encoding".into()));
    }
    if entry.version != entry.record.version() {
        let (says, holds) = (entry.version, entry.record.version());
        return Err(untrue(format!("it says that it is of version {says}, what it holds is of version {holds}")));
    }
    if entry.index != proof.index {
        let (says, found) = (entry.index, proof.index);
        return Err(ReceiptError::untrue("index", format!("the entry says that it is {says}, the proof says {found}")));
    }
    let accepted = proof.verify(bytes, policy).map_err(|error| match error {
        ProofError::Checkpoint(error) => ReceiptError::untrue("checkpoint", error.to_string()),
        error => ReceiptError::untrue("inclusion proof", format!("{error}: {field}, index or a hash was changed")),
    })?;
    let witnesses = accepted.cosigners.iter().filter_map(|(number, time)| {
        policy.witnesses().get(*number).map(|witness| Witnessed { name: witness.key.name.clone(), time: *time })
    });
    let witnesses = witnesses.collect();
    let checkpoint = accepted.checkpoint;
    let (origin, size, root) = (checkpoint.origin, checkpoint.size, checkpoint.root);
    Ok((entry, Logged { origin, index: proof.index, size, root, witnesses }))
}
