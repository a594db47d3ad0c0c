//! That a log only grew: two checkpoints of it, and the proof that the newer one's entries begin with the older one's.
//!
//! ```text
//! chancery/consistency-proof@v1
//! <base64 of a hash>                 the proof of RFC 6962 §2.1.2 in its order, one a line
//!                                    an empty line
//! <the older checkpoint>
//!                                    an empty line
//! <the newer checkpoint>
//! ```
//!
//! The older checkpoint needs the log's signature alone, so that one which somebody kept before it was cosigned can be held against the log; the
//! newer one needs what the policy asks. From size 0 every log grows: the older checkpoint has entries.
//!
//! **The file shows nothing of a checkpoint that it does not begin with.** Whoever has the log's key can sign an older checkpoint of another
//! history along with the newer one. So who kept a checkpoint holds it against the older one: [`VerifiedConsistency::check_kept`].

use crate::lines::{Lines, push_hashes};
use crate::{Policy, ReceiptError};
use chancery_tlog::{Checkpoint, merkle};
use chancery_types::Hash;

/// The first line.
pub const HEADER: &str = "chancery/consistency-proof@v1";
/// Longest proof in hashes.
const PATH_MAX: usize = 64;

/// The parts of a consistency proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The hashes.
    pub path: Vec<Hash>,
    /// The older checkpoint's note.
    pub old: String,
    /// The newer checkpoint's note.
    pub new: String,
}

/// What a consistency proof shows: everything that was in the older log is, unchanged, in the newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedConsistency {
    /// The older checkpoint.
    pub old: Checkpoint,
    /// The newer checkpoint.
    pub new: Checkpoint,
}

impl VerifiedConsistency {
    /// Checks that the older checkpoint is the one that somebody kept: of the same log, size and root.
    ///
    /// # Errors
    /// [`ReceiptError::Untrue`]. Another root over as many entries is proof that the log signed two histories.
    pub fn check_kept(&self, note: &str, policy: &Policy) -> Result<(), ReceiptError> {
        let kept = policy.open_without_quorum(note);
        let kept = kept.map_err(|error| ReceiptError::untrue("kept checkpoint", error.to_string()))?.checkpoint;
        let old = &self.old;
        if (&kept.origin, kept.size) != (&old.origin, old.size) {
            let problem = format!(
                "expected the one that was kept, over {} entries of `{}`, found one over {} entries of `{}`: ask for a proof that begins with yours",
                kept.size, kept.origin, old.size, old.origin
            );
            return Err(ReceiptError::untrue("older checkpoint", problem));
        }
        if kept.root != old.root {
            let problem = format!(
                "the log signed two histories of {} entries: the checkpoint that was kept has the root {}, the older one of this proof {}. These two prove it: keep both and publish them",
                kept.size, kept.root, old.root
            );
            return Err(ReceiptError::untrue("older checkpoint", problem));
        }
        Ok(())
    }
}

impl ConsistencyProof {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`] or [`ReceiptError::TooLong`].
    pub fn parse(file: &[u8]) -> Result<Self, ReceiptError> {
        let mut lines = Lines::of_file(file)?;
        lines.header(HEADER)?;
        let path = lines.hashes("consistency proof", PATH_MAX)?;
        lines.empty("consistency proof")?;
        let old = lines.note("older checkpoint")?;
        lines.empty("older checkpoint")?;
        let found = ConsistencyProof { path, old, new: lines.note("newer checkpoint")? };
        lines.canonical(file, &found.to_text())?;
        Ok(found)
    }

    /// The file.
    pub fn to_text(&self) -> String {
        let mut out = format!("{HEADER}\n");
        push_hashes(&mut out, &self.path);
        out + &format!("\n{}\n{}", self.old, self.new)
    }

    /// Verifies both checkpoints and that the newer one's log begins with the older one's.
    ///
    /// # Errors
    /// [`ReceiptError::Untrue`]. Two checkpoints of one size with two roots are named for what they are: proof that the log signed two
    /// histories.
    pub fn verify(&self, policy: &Policy) -> Result<VerifiedConsistency, ReceiptError> {
        let old = policy.open_without_quorum(&self.old);
        let old = old.map_err(|error| ReceiptError::untrue("older checkpoint", error.to_string()))?.checkpoint;
        let new = policy.open(&self.new);
        let new = new.map_err(|error| ReceiptError::untrue("newer checkpoint", error.to_string()))?.checkpoint;
        if old.origin != new.origin {
            let problem = format!("expected one of the log `{}`, found one of `{}`", old.origin, new.origin);
            return Err(ReceiptError::untrue("newer checkpoint", problem));
        }
        if old.size > new.size {
            let problem =
                format!("it covers {} entries, the older one {}: the log was rolled back", new.size, old.size);
            return Err(ReceiptError::untrue("newer checkpoint", problem));
        }
        if old.size == new.size && old.root != new.root {
            let problem = format!(
                "the log signed two histories of {} entries, roots {} and {}: these two checkpoints prove it",
                old.size, old.root, new.root
            );
            return Err(ReceiptError::untrue("root", problem));
        }
        if !merkle::check_consistency(old.size, new.size, &self.path, &old.root, &new.root) {
            let problem = format!(
                "they do not lead from the root over {} entries to that over {}: the log was forked or changed, or the proof was",
                old.size, new.size
            );
            return Err(ReceiptError::untrue("hashes", problem));
        }
        Ok(VerifiedConsistency { old, new })
    }
}
