//! The receipt: what shows an outsider that a call is in the log.

use crate::codec::codec_struct;
use crate::entry::Entry;
use crate::id::Hash;
use alloc::{string::String, vec::Vec};

/// An entry with its inclusion proof and the signed checkpoint that it leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The entry.
    pub entry: Entry,
    /// SHA-256 audit path from leaf to root (RFC 6962 §2.1.1).
    pub inclusion: Vec<Hash>,
    /// The checkpoint, a signed note (C2SP tlog-checkpoint).
    pub checkpoint: String,
}
codec_struct!(Receipt { entry, inclusion, checkpoint });
