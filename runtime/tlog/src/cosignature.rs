//! Cosignatures of witnesses: C2SP tlog-cosignature v1 with Ed25519 (signature type 0x04).
//!
//! ```text
//! message     = "cosignature/v1" ‖ LF ‖ "time " ‖ seconds since 1970, decimal ‖ LF ‖ text of the checkpoint, with its line feed
//! signature   = seconds, 8 bytes big-endian ‖ Ed25519 over the message, 64 bytes
//! key id      = SHA-256(witness's name ‖ 0x0A ‖ 0x04 ‖ public key)[:4]
//! line        = "— " ‖ witness's name ‖ " " ‖ base64(key id ‖ signature) ‖ LF, among the signatures of the checkpoint's note
//! ```
//!
//! It says: at this time, of all trees of this origin that this witness has seen, each of which continued the one before, the
//! largest is this one. The message does not name the witness, so that a witness's key is used under one name alone.
//!
//! Worked example, of the document: the line `— witness.example.com/w1 jWbPPwAAAABkGFDLEZMH…` carries the key id 8d 66 cf 3f and the time
//! 00 00 00 00 64 18 50 cb = 1,679,315,147; signed is
//!
//! ```text
//! cosignature/v1
//! time 1679315147
//! example.com/behind-the-sofa
//! 20852163
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//! ```

use crate::note::{self, SIGNATURE_BYTES, Verifier, VkeyError};
use alloc::{format, string::String, string::ToString};
use chancery_types::{PublicKey, Signature};
use ed25519_dalek::{Signer, SigningKey};

/// Signature type of a timestamped Ed25519 cosignature.
const COSIGNATURE: u8 = 0x04;

/// When a witness cosigned, in seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u64);

impl Seconds {
    /// The latest time that a cosignature may carry.
    pub const MAX: Seconds = Seconds(i64::MAX as u64);
}

/// A key that cosignatures are verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessKey {
    /// The witness's name.
    pub name: String,
    /// The public key.
    pub key: PublicKey,
}

impl WitnessKey {
    /// The key that `key` cosigns with under this name.
    pub fn of(name: &str, key: &SigningKey) -> Self {
        WitnessKey { name: name.to_string(), key: PublicKey(key.verifying_key().to_bytes()) }
    }

    /// Reads a `vkey`.
    ///
    /// # Errors
    /// When it is malformed, of another signature type, or its id is not that of its name and key.
    pub fn parse(vkey: &str) -> Result<Self, VkeyError> {
        note::parse_vkey(vkey, COSIGNATURE).map(|(name, key)| WitnessKey { name, key })
    }

    /// The key as a `vkey`.
    pub fn to_vkey(&self) -> String {
        note::to_vkey(&self.name, COSIGNATURE, &self.key)
    }
}

impl Verifier for WitnessKey {
    fn name(&self) -> &str {
        &self.name
    }
    fn id(&self) -> [u8; 4] {
        note::key_id(&self.name, COSIGNATURE, &self.key)
    }
    fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        let Some(time) = time_of(signature).filter(|time| *time <= Seconds::MAX) else { return false };
        let ed25519 = <[u8; SIGNATURE_BYTES]>::try_from(&signature[8..]);
        ed25519.is_ok_and(|ed25519| self.key.verifies(message(text, time).as_bytes(), &Signature(ed25519)))
    }
}

/// The line, with its line feed, by which a witness cosigns the text of a checkpoint.
pub fn cosign(text: &str, name: &str, key: &SigningKey, time: Seconds) -> String {
    let ed25519 = key.sign(message(text, time).as_bytes()).to_bytes();
    note::to_line(&WitnessKey::of(name, key), &[&time.0.to_be_bytes()[..], &ed25519].concat())
}

/// The time that a cosignature, what follows the key id, says; `None` where it is too short to be one.
pub fn time_of(signature: &[u8]) -> Option<Seconds> {
    signature.first_chunk().map(|time| Seconds(u64::from_be_bytes(*time)))
}

fn message(text: &str, time: Seconds) -> String {
    format!("cosignature/v1\ntime {}\n{text}", time.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::{NoteError, open_with};
    use alloc::vec::Vec;
    use base64::{Engine, engine::general_purpose::STANDARD};

    const TEXT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    const LINE: &str =
        "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==";

    #[test]
    fn the_worked_example_of_the_header_holds() {
        let bytes = STANDARD.decode(LINE).unwrap();
        assert_eq!(bytes.len(), 4 + 8 + 64);
        assert_eq!(bytes[..4], [0x8d, 0x66, 0xcf, 0x3f]);
        assert_eq!(time_of(&bytes[4..]), Some(Seconds(1_679_315_147)));
        assert_eq!(message(TEXT, Seconds(1_679_315_147)), format!("cosignature/v1\ntime 1679315147\n{TEXT}"));
    }

    #[test]
    fn a_checkpoint_opens_with_log_and_witness() {
        let (log, witness) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let (log_key, witness_key) = (note::VerifierKey::of("log", &log), WitnessKey::of("witness", &witness));
        let line = cosign(TEXT, "witness", &witness, Seconds(5));
        let note = format!("{}{line}", note::sign(TEXT, "log", &log));
        let opened = open_with(&note, &[&witness_key, &log_key]).unwrap();
        assert_eq!(opened.signatures.iter().map(|signature| signature.key).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(time_of(&opened.signatures[1].signature), Some(Seconds(5)));
        // The same key under another signature type is another key.
        let as_log = note::VerifierKey::of("witness", &witness);
        assert!(matches!(open_with(&note, &[&as_log]), Err(NoteError::NotSigned(_))));
    }

    #[test]
    fn another_time_text_length_or_bit_does_not_verify() {
        let key = SigningKey::from_bytes(&[2; 32]);
        let witness = WitnessKey::of("witness", &key);
        let line = cosign(TEXT, "witness", &key, Seconds(5));
        let bytes = STANDARD.decode(line.trim().rsplit_once(' ').unwrap().1).unwrap();
        let signature = &bytes[4..];
        assert!(witness.verifies(TEXT, signature));
        assert!(!witness.verifies(&TEXT.replace('3', "4"), signature));
        for length in 0..signature.len() {
            assert!(!witness.verifies(TEXT, &signature[..length]), "{length}");
        }
        assert!(!witness.verifies(TEXT, &[signature, &[0]].concat()));
        for bit in 0..signature.len() * 8 {
            let mut other = signature.to_vec();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!witness.verifies(TEXT, &other), "bit {bit}");
        }
        let beyond = cosign(TEXT, "witness", &key, Seconds(Seconds::MAX.0 + 1));
        let bytes = STANDARD.decode(beyond.trim().rsplit_once(' ').unwrap().1).unwrap();
        assert!(!witness.verifies(TEXT, &bytes[4..]));
    }

    #[test]
    fn a_vkey_is_read_back_and_that_of_a_log_refused() {
        let key = SigningKey::from_bytes(&[2; 32]);
        let witness = WitnessKey::of("witness", &key);
        assert_eq!(WitnessKey::parse(&witness.to_vkey()), Ok(witness));
        let log = note::VerifierKey::of("witness", &key).to_vkey();
        assert_eq!(WitnessKey::parse(&log), Err(VkeyError::Type { expected: 4, found: 1 }));
    }
}
