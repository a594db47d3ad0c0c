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
//!
//! Further lines, none of them empty, are extensions; we write none, and of other logs' we only check that they are not
//! empty. Signatures cover them.

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
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    /// The checkpoint as a note signed by the log's key.
    pub fn sign(&self, key: &SigningKey) -> String {
        note::sign(&self.text(), &self.origin, key)
    }

    /// Opens a note with the log's key.
    ///
    /// # Errors
    /// When the note does not open, or its text is not a checkpoint of the key's origin.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, NoteError> {
        let checkpoint = Self::parse(note::open(note, key)?)?;
        if checkpoint.origin == key.name {
            Ok(checkpoint)
        } else {
            Err(NoteError::Malformed("the checkpoint's origin is not the name of the log's key"))
        }
    }

    /// Reads the text of a note that has been opened.
    ///
    /// # Errors
    /// When it is not origin, size, root and extension lines that are not empty.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let text = text.strip_suffix('\n').ok_or(NoteError::Malformed("the checkpoint has no line feed at the end"))?;
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(NoteError::Malformed("the text is not origin, size and root, each on a line"));
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(NoteError::Malformed("an empty line in the checkpoint"));
        }
        let size = parse_decimal(size)
            .ok_or(NoteError::Malformed("the checkpoint's size is not a number below 2^64 without leading zeros"))?;
        let root = parse_hash(root).ok_or(NoteError::Malformed("the checkpoint's root is not base64 of 32 bytes"))?;
        Ok(Checkpoint { origin: origin.into(), size, root })
    }
}

/// A number as these formats write it: digits alone, no leading zeros.
pub(crate) fn parse_decimal(digits: &str) -> Option<u64> {
    let canonical = digits == "0" || (digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0'));
    digits.parse().ok().filter(|_| canonical)
}

/// A hash as these formats write it.
pub(crate) fn parse_hash(base64: &str) -> Option<Hash> {
    // 44 characters: nothing longer needs decoding.
    (base64.len() == 44).then(|| STANDARD.decode(base64).ok()?.try_into().ok().map(Hash))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_reads_as_it_was_signed() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let verifier = VerifierKey::of("ledger.example/town", &key);
        let checkpoint = Checkpoint { origin: verifier.name.clone(), size: 3, root: Hash([0xa8; 32]) };
        let note = checkpoint.sign(&key);
        assert!(note.starts_with("ledger.example/town\n3\nqKio"), "{note}");
        assert_eq!(Checkpoint::open(&note, &verifier), Ok(checkpoint));
    }

    #[test]
    fn the_example_of_the_specification_is_read() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let checkpoint = Checkpoint::parse(text).unwrap();
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(checkpoint.text(), text);
        assert_eq!(Checkpoint::parse(&format!("{text}extension\n")), Ok(checkpoint));
    }

    #[test]
    fn each_wrong_line_is_named() {
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        let size = "the checkpoint's size is not a number below 2^64 without leading zeros";
        for (text, expected) in [
            (format!("log\n1\n{root}"), "the checkpoint has no line feed at the end"),
            ("log\n1\n".into(), "the text is not origin, size and root, each on a line"),
            (format!("\n1\n{root}\n"), "an empty line in the checkpoint"),
            (format!("log\n1\n{root}\n\n"), "an empty line in the checkpoint"),
            (format!("log\n01\n{root}\n"), size),
            (format!("log\n+1\n{root}\n"), size),
            (format!("log\n\n{root}\n"), size),
            (format!("log\n18446744073709551616\n{root}\n"), size),
            (format!("log\n1\n{}\n", root.replace("2I=", "2J=")), "the checkpoint's root is not base64 of 32 bytes"),
            (format!("log\n1\n{}\n", &root[4..]), "the checkpoint's root is not base64 of 32 bytes"),
            (format!("log\n1\n{root} \n"), "the checkpoint's root is not base64 of 32 bytes"),
        ] {
            assert_eq!(Checkpoint::parse(&text), Err(NoteError::Malformed(expected)), "{text:?}");
        }
        let key = SigningKey::from_bytes(&[3; 32]);
        let foreign = note::sign(&format!("other\n1\n{root}\n"), "log", &key);
        assert!(matches!(Checkpoint::open(&foreign, &VerifierKey::of("log", &key)), Err(NoteError::Malformed(_))));
    }
}
