//! Entries and effects from the bytes of the log.

use crate::NodeError;
use chancery_types::Entry;
use chancery_types::codec::{Decode, DecodeError};
use chancery_types::entry::Effects;

fn undecoded(index: u64, what: &str, error: &DecodeError) -> NodeError {
    NodeError::Inconsistent { index, problem: format!("{what} not decode: {error}") }
}

/// The entry that these bytes, found as entry `index`, are.
pub(crate) fn entry(index: u64, bytes: &[u8]) -> Result<Entry, NodeError> {
    Entry::from_bytes(bytes).map_err(|error| undecoded(index, "it does", &error))
}

/// The effects that these bytes, found behind entry `index`, are.
pub(crate) fn effects(index: u64, bytes: &[u8]) -> Result<Effects, NodeError> {
    Effects::from_bytes(bytes).map_err(|error| undecoded(index, "its effects do", &error))
}
