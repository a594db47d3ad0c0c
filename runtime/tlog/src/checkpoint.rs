//! Checkpoints: C2SP tlog-checkpoint v1.0.0.
//!
//! A checkpoint is a signed [note] whose text is three lines: the log's origin, the size of the tree in decimal without
//! leading zeros, and the root in base64. Its key is named like the origin. For instance
//!
//! ```text
//! ledger.example/town
//! 3
//! qINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=
//!
//! — ledger.example/town AbCdEf…
//! ```

use crate::note::{self, NoteError, VerifierKey};
use alloc::{format, string::String};
use base64::{Engine, engine::general_purpose::STANDARD};
use chancery_types::Hash;
use ed25519_dalek::SigningKey;

/// What a log says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's origin.
    pub origin: String,
    /// Entries.
    pub size: u64,
    /// The Merkle root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The checkpoint as a note signed by the log's key.
    pub fn sign(&self, key: &SigningKey) -> String {
        let text = format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0));
        note::sign(&text, &self.origin, key)
    }

    /// Opens a note with the log's key.
    ///
    /// # Errors
    /// When the note does not open, or its text is not a checkpoint of the key's origin.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, NoteError> {
        let malformed = || NoteError::Malformed("the text is not origin, size and root");
        let mut lines = note::open(note, key)?.split('\n');
        let (origin, size, root) = match (lines.next(), lines.next(), lines.next()) {
            (Some(origin), Some(size), Some(root)) if origin == key.name => (origin, size, root),
            _ => return Err(malformed()),
        };
        let canonical = size == "0" || (size.bytes().all(|b| b.is_ascii_digit()) && !size.starts_with('0'));
        let size = size.parse().ok().filter(|_| canonical).ok_or_else(malformed)?;
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or_else(malformed)?;
        Ok(Checkpoint { origin: origin.into(), size, root: Hash(root) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_types::PublicKey;

    #[test]
    fn a_checkpoint_reads_as_it_was_signed() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let verifier =
            VerifierKey { name: "ledger.example/town".into(), key: PublicKey(key.verifying_key().to_bytes()) };
        let checkpoint = Checkpoint { origin: verifier.name.clone(), size: 3, root: Hash([0xa8; 32]) };
        let note = checkpoint.sign(&key);
        assert!(note.starts_with("ledger.example/town\n3\nqKio"), "{note}");
        assert_eq!(Checkpoint::open(&note, &verifier), Ok(checkpoint));
        let padded = note::sign("ledger.example/town\n03\nqKio\n", &verifier.name, &key);
        assert!(matches!(Checkpoint::open(&padded, &verifier), Err(NoteError::Malformed(_))));
    }
}
