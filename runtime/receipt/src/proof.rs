//! The inclusion proof with its checkpoint: C2SP tlog-proof@v1.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64>                 optional; says nothing that is proven
//! index <decimal>
//! <base64 of a hash>             from the leaf's sibling up to the root's child, one a line
//!                                an empty line
//! <the checkpoint, verbatim, with its cosignatures>
//! ```

use crate::ReceiptError;
use crate::lines::{Lines, push_bytes, push_hashes};
use chancery_types::Hash;

const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Longest audit path.
const HASHES_MAX: usize = 64;
/// Longest extra data in bytes.
const EXTRA_BYTES_MAX: usize = 1 << 16;

/// An inclusion proof with its checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Opaque data that nothing proves.
    pub extra: Option<Vec<u8>>,
    /// Index of the entry.
    pub index: u64,
    /// The audit path, leaf to root.
    pub hashes: Vec<Hash>,
    /// The checkpoint as a signed note.
    pub checkpoint: String,
}

impl TlogProof {
    pub(crate) fn read(lines: &mut Lines<'_>, end: Option<&str>) -> Result<Self, ReceiptError> {
        lines.header(HEADER)?;
        let extra = lines.next_is("extra ").then(|| lines.bytes("extra", EXTRA_BYTES_MAX)).transpose()?;
        let text = lines.field("index")?;
        let index = text.parse().ok().filter(|index: &u64| index.to_string() == text);
        let index = index.ok_or_else(|| lines.malformed("index", "expected a decimal number without leading zeros"))?;
        let hashes = lines.hashes("inclusion proof", HASHES_MAX)?;
        lines.empty("inclusion proof")?;
        let mut checkpoint = String::new();
        while !lines.rest().is_empty() && !end.is_some_and(|end| lines.next_is(end)) {
            checkpoint.push_str(lines.line("checkpoint")?);
            checkpoint.push('\n');
        }
        Ok(TlogProof { extra, index, hashes, checkpoint })
    }

    pub(crate) fn write(&self, out: &mut String) {
        out.push_str(HEADER);
        out.push('\n');
        if let Some(extra) = &self.extra {
            push_bytes(out, "extra", extra);
        }
        out.push_str(&format!("index {}\n", self.index));
        push_hashes(out, &self.hashes);
        out.push('\n');
        out.push_str(&self.checkpoint);
    }
}
