//! Proofs of logging that verify offline: C2SP tlog-proof@v1, a file `.tlog-proof`.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64>                       at most once; nobody vouches for these bytes
//! index <decimal without leading zeros>
//! <base64 of 32 bytes>                 the audit path, sibling of the leaf first (RFC 6962 §2.1.1); from none to 63 lines
//!                                      one empty line
//! <checkpoint>                         the note as published, with its cosignatures
//! ```
//!
//! Worked example: entry 1 of a log of three entries. By the example of [`crate::merkle`] its path is leaf 0, then leaf 2:
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! index 1
//! <leaf 0>
//! <leaf 2>
//!
//! ledger.example/town
//! 3
//! <root>
//!
//! — ledger.example/town <signature>
//! ```
//!
//! It verifies against the entry and a [`crate::policy`]: the log's signature, the quorum's cosignatures, then the path from the
//! entry's leaf hash to the checkpoint's root.

use crate::checkpoint::{parse_decimal, parse_hash};
use crate::merkle;
use crate::note::{NOTE_BYTES_MAX, split};
use crate::policy::{Accepted, NotAccepted, Policy};
use alloc::{string::String, string::ToString, vec::Vec};
use base64::{Engine, engine::general_purpose::STANDARD};
use chancery_types::Hash;
use core::fmt::{self, Display};

const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Hashes of the longest audit path of a log of at most 2^63 entries.
pub const PATH_MAX: usize = 63;
/// Most bytes of extra data.
pub const EXTRA_BYTES_MAX: usize = 1 << 16;
/// Longest proof file in bytes: extra data in base64, path, checkpoint.
pub const PROOF_BYTES_MAX: usize = EXTRA_BYTES_MAX / 3 * 4 + PATH_MAX * 45 + NOTE_BYTES_MAX + 256;

/// Why a proof is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Too long.
    #[error("the proof has {0} bytes; at most {PROOF_BYTES_MAX} are read")]
    TooLong(usize),
    /// Not text.
    #[error("the proof is not UTF-8 from byte {0} on")]
    NotUtf8(usize),
    /// The first line is another.
    #[error("not a tlog-proof of version 1: the first line is `{0}`; expected `c2sp.org/tlog-proof@v1`")]
    Header(String),
    /// A line is wrong.
    #[error("the proof's {field}: {fault}")]
    Field {
        /// Which line.
        field: &'static str,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The checkpoint is not accepted.
    #[error("the proof's checkpoint is not accepted: {0}")]
    Checkpoint(NotAccepted),
    /// The entry is not at this place.
    #[error("the path does not lead from the entry to the root: it is not entry {index} of {origin}, size {size}")]
    NotIncluded {
        /// Number that the proof says.
        index: u64,
        /// The log's origin.
        origin: String,
        /// Size of the checkpoint.
        size: u64,
    },
}

/// A proof that an entry is in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Data of the application's, which nothing vouches for.
    pub extra: Option<Vec<u8>>,
    /// The entry's number in the log.
    pub index: u64,
    /// The audit path, leaf to root.
    pub path: Vec<Hash>,
    /// The checkpoint's note.
    pub checkpoint: String,
}

/// The proof as a file.
impl Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash.0)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl TlogProof {
    /// Reads a file's bytes. What it says is verified by [`TlogProof::verify`] alone.
    ///
    /// # Errors
    /// Which line is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(ProofError::TooLong(bytes.len()));
        }
        let text = core::str::from_utf8(bytes).map_err(|error| ProofError::NotUtf8(error.valid_up_to()))?;
        let (header, mut rest) = next_line(text, "first line")?;
        if header != HEADER {
            return Err(ProofError::Header(header.chars().take(60).collect()));
        }
        let mut extra = None;
        if let Some(encoded) = next_line(rest, "index")?.0.strip_prefix("extra ") {
            extra = Some(parse_extra(encoded)?);
            rest = next_line(rest, "extra")?.1;
        }
        let (line, mut rest) = next_line(rest, "index")?;
        let index = line.strip_prefix("index ").and_then(parse_decimal).ok_or(ProofError::Field {
            field: "index",
            fault: "expected `index ` and a number below 2^64 without leading zeros",
        })?;
        let mut path = Vec::new();
        loop {
            let (line, after) = next_line(rest, "path")?;
            rest = after;
            if line.is_empty() {
                break;
            }
            if path.len() == PATH_MAX {
                return Err(ProofError::Field { field: "path", fault: "more than 63 hashes" });
            }
            path.push(
                parse_hash(line)
                    .ok_or(ProofError::Field { field: "path", fault: "a line is not base64 of 32 bytes" })?,
            );
        }
        split(rest).map_err(|error| ProofError::Checkpoint(NotAccepted::Note(error)))?;
        Ok(TlogProof { extra, index, path, checkpoint: rest.to_string() })
    }

    /// Verifies that the entry with these bytes is in a log that the policy trusts, at the number that the proof says, under a
    /// checkpoint that the policy accepts.
    ///
    /// # Errors
    /// When the checkpoint is not accepted, or the path does not lead from the entry to its root.
    pub fn verify(&self, entry: &[u8], policy: &Policy) -> Result<Accepted, ProofError> {
        let accepted = policy.open(&self.checkpoint).map_err(ProofError::Checkpoint)?;
        let (leaf, checkpoint) = (merkle::leaf_hash(entry), &accepted.checkpoint);
        if merkle::check_inclusion(&leaf, self.index, checkpoint.size, &self.path, &checkpoint.root) {
            return Ok(accepted);
        }
        let (origin, size) = (checkpoint.origin.clone(), checkpoint.size);
        Err(ProofError::NotIncluded { index: self.index, origin, size })
    }
}

fn parse_extra(encoded: &str) -> Result<Vec<u8>, ProofError> {
    let extra = STANDARD.decode(encoded).map_err(|_| ProofError::Field { field: "extra", fault: "not base64" })?;
    if extra.len() > EXTRA_BYTES_MAX {
        return Err(ProofError::Field { field: "extra", fault: "more than 65,536 bytes" });
    }
    Ok(extra)
}

/// The next line, without its line feed, and what follows it.
fn next_line<'a>(text: &'a str, field: &'static str) -> Result<(&'a str, &'a str), ProofError> {
    text.split_once('\n').ok_or(ProofError::Field { field, fault: "the file ends here: is it complete?" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::merkle::{Tree, leaf_hash};
    use crate::note::VerifierKey;
    use alloc::format;
    use ed25519_dalek::SigningKey;

    const ENTRIES: [&[u8]; 3] = [b"zero", b"one", b"two"];

    fn policy() -> Policy {
        Policy::of_log(VerifierKey::of("ledger.example/town", &SigningKey::from_bytes(&[1; 32])))
    }

    fn proof(index: u64) -> TlogProof {
        let mut tree = Tree::new();
        ENTRIES.iter().for_each(|entry| tree.push(leaf_hash(entry)));
        let checkpoint = Checkpoint { origin: "ledger.example/town".into(), size: 3, root: tree.root() };
        let checkpoint = checkpoint.sign(&SigningKey::from_bytes(&[1; 32]));
        TlogProof { extra: None, index, path: tree.prove_inclusion(index, 3).unwrap(), checkpoint }
    }

    #[test]
    fn the_worked_example_of_the_header_holds() {
        let proof = proof(1);
        let text = proof.to_string();
        let hashes: Vec<String> = [0, 2].map(|entry| STANDARD.encode(leaf_hash(ENTRIES[entry]).0)).to_vec();
        let head = format!("c2sp.org/tlog-proof@v1\nindex 1\n{}\n{}\n\nledger.example/town\n3\n", hashes[0], hashes[1]);
        assert!(text.starts_with(&head), "{text}");
        assert_eq!(TlogProof::parse(text.as_bytes()), Ok(proof.clone()));
        assert_eq!(proof.verify(b"one", &policy()).unwrap().checkpoint.size, 3);
    }

    #[test]
    fn no_other_entry_place_path_or_log_verifies() {
        let good = proof(1);
        let not_included = |index| {
            let origin = String::from("ledger.example/town");
            Err(ProofError::NotIncluded { index, origin, size: 3 })
        };
        assert_eq!(good.verify(b"two", &policy()), not_included(1));
        for index in [0, 2, 3, u64::MAX] {
            assert_eq!(TlogProof { index, ..good.clone() }.verify(b"one", &policy()), not_included(index));
        }
        assert_eq!(
            TlogProof { path: good.path[1..].to_vec(), ..good.clone() }.verify(b"one", &policy()),
            not_included(1)
        );
        let other = Policy::of_log(VerifierKey::of("ledger.example/town", &SigningKey::from_bytes(&[2; 32])));
        assert!(matches!(good.verify(b"one", &other), Err(ProofError::Checkpoint(_))));
    }

    /// Of every change of one byte: the file does not parse, or the proof does not verify, or (in what nothing vouches
    /// for) the extra data is another.
    #[test]
    fn every_changed_byte_is_noticed() {
        let good = TlogProof { extra: Some(b"extra".to_vec()), ..proof(1) };
        let text = good.to_string();
        for at in 0..text.len() {
            for change in [1u8, 0x20, 0x80] {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= change;
                let Ok(read) = TlogProof::parse(&bytes) else { continue };
                // Under another name or id the line is of an unknown key, and the log has not signed.
                let extra_alone =
                    read.extra != good.extra && TlogProof { extra: good.extra.clone(), ..read.clone() } == good;
                assert!(extra_alone || read.verify(b"one", &policy()).is_err(), "byte {at} ^ {change}");
            }
        }
        for length in 0..text.len() {
            let read = TlogProof::parse(&text.as_bytes()[..length]);
            assert!(read.and_then(|proof| proof.verify(b"one", &policy())).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn each_wrong_line_is_named() {
        let good = proof(1).to_string();
        let path_line = STANDARD.encode(leaf_hash(ENTRIES[0]).0);
        for (text, expected) in [
            (
                good.replace("@v1", "@v2"),
                "not a tlog-proof of version 1: the first line is `c2sp.org/tlog-proof@v2`; expected `c2sp.org/tlog-proof@v1`",
            ),
            (
                good.replace("@v1\n", "@v1\r\n"),
                "not a tlog-proof of version 1: the first line is `c2sp.org/tlog-proof@v1\r`; expected `c2sp.org/tlog-proof@v1`",
            ),
            (
                good.replace("index 1", "index 01"),
                "the proof's index: expected `index ` and a number below 2^64 without leading zeros",
            ),
            (
                good.replace("index 1", "Index 1"),
                "the proof's index: expected `index ` and a number below 2^64 without leading zeros",
            ),
            (good.replace("index 1", "extra !\nindex 1"), "the proof's extra: not base64"),
            (
                good.replace("index 1", "extra AA==\nextra AA==\nindex 1"),
                "the proof's index: expected `index ` and a number below 2^64 without leading zeros",
            ),
            (good.replace(&path_line, "AAAA"), "the proof's path: a line is not base64 of 32 bytes"),
            (
                good.replace(&path_line, &[&path_line; 63].map(String::as_str).join("\n")),
                "the proof's path: more than 63 hashes",
            ),
            (good[..good.find("\n\n").unwrap() + 1].into(), "the proof's path: the file ends here: is it complete?"),
            ("c2sp.org/tlog-proof@v1\n".into(), "the proof's index: the file ends here: is it complete?"),
            (String::new(), "the proof's first line: the file ends here: is it complete?"),
            (
                good.trim_end().into(),
                "the proof's checkpoint is not accepted: not a signed note: no line feed at the end",
            ),
        ] {
            assert_eq!(TlogProof::parse(text.as_bytes()).unwrap_err().to_string(), expected, "{text}");
        }
        assert_eq!(TlogProof::parse(b"c2sp\xff"), Err(ProofError::NotUtf8(4)));
        let long = ["c2sp.org/tlog-proof@v1\n", &"x".repeat(PROOF_BYTES_MAX)].concat();
        assert_eq!(TlogProof::parse(long.as_bytes()), Err(ProofError::TooLong(long.len())));
    }
}
