//! Signed notes: C2SP signed-note v1.0.0 with Ed25519 (signature type 0x01).
//!
//! ```text
//! note      = text, which ends in a line feed ‖ line feed ‖ one or more signature lines
//! line      = "— " ‖ key name ‖ " " ‖ base64(key id, 4 bytes ‖ signature, 64 bytes) ‖ line feed     (the dash is U+2014)
//! key id    = SHA-256(key name ‖ 0x0A ‖ 0x01 ‖ public key, 32 bytes)[:4]
//! message   = the text with its line feed
//! vkey      = key name ‖ "+" ‖ key id, 8 hexadecimal digits ‖ "+" ‖ base64(0x01 ‖ public key)
//! ```
//!
//! A verifier ignores signatures of keys that it does not know. A line that names a known key but does not verify makes it
//! reject the whole note.

use alloc::{format, string::String, string::ToString, vec::Vec};
use base64::{Engine, engine::general_purpose::STANDARD};
use chancery_types::{PublicKey, Signature};
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

/// Signature type of a plain Ed25519 signature.
const ED25519: u8 = 0x01;
/// Longest note in bytes.
pub const NOTE_BYTES_MAX: usize = 1 << 16;
/// Most signature lines of a note.
pub const SIGNATURES_MAX: usize = 64;

/// Why a note is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is not a note.
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    /// A known key's signature is wrong.
    #[error("the signature of {0} does not verify: the note was changed or signed by another key")]
    BadSignature(String),
    /// No known key signed it.
    #[error("the note has no signature of {0}")]
    NotSigned(String),
}

/// A key that notes are verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    /// Its name.
    pub name: String,
    /// The public key.
    pub key: PublicKey,
}

impl VerifierKey {
    /// The first four bytes of the key's hash.
    pub fn id(&self) -> [u8; 4] {
        let hash = Sha256::new().chain_update(&self.name).chain_update([b'\n', ED25519]).chain_update(self.key.0);
        let hash: [u8; 32] = hash.finalize().into();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Reads a `vkey`; `None` where it is malformed, of another signature type, or its id is not that of its name and key.
    pub fn from_vkey(vkey: &str) -> Option<Self> {
        let mut parts = vkey.splitn(3, '+');
        let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
        let key = STANDARD.decode(key).ok()?;
        let key = <[u8; 32]>::try_from(key.strip_prefix(&[ED25519])?).ok()?;
        let found = VerifierKey { name: name.to_string(), key: PublicKey(key) };
        (is_key_name(name) && id == format!("{:08x}", u32::from_be_bytes(found.id()))).then_some(found)
    }

    /// The key as a `vkey`.
    pub fn to_vkey(&self) -> String {
        let id = u32::from_be_bytes(self.id());
        let key = [&[ED25519][..], &self.key.0].concat();
        format!("{}+{id:08x}+{}", self.name, STANDARD.encode(key))
    }
}

/// Whether `name` may name a key: not empty, no spaces, no `+`, no control characters.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

/// Signs a text, which must end in a line feed.
pub fn sign(text: &str, name: &str, key: &SigningKey) -> String {
    let verifier = VerifierKey { name: name.to_string(), key: PublicKey(key.verifying_key().to_bytes()) };
    let signature = [&verifier.id()[..], &key.sign(text.as_bytes()).to_bytes()].concat();
    format!("{text}\n\u{2014} {name} {}\n", STANDARD.encode(signature))
}

/// The text of a note that `key` signed.
///
/// # Errors
/// When the note is malformed, or `key`'s signature is missing or wrong.
pub fn open<'a>(note: &'a str, key: &VerifierKey) -> Result<&'a str, NoteError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::Malformed("longer than 65,536 bytes"));
    }
    if note.contains(|c: char| c < ' ' && c != '\n') {
        return Err(NoteError::Malformed("a control character"));
    }
    let end = note.rfind("\n\n").ok_or(NoteError::Malformed("no empty line before the signatures"))?;
    let (text, lines) = (&note[..=end], &note[end + 2..]);
    let lines: Vec<&str> =
        lines.strip_suffix('\n').ok_or(NoteError::Malformed("no line feed at the end"))?.split('\n').collect();
    if lines.len() > SIGNATURES_MAX {
        return Err(NoteError::Malformed("more than 64 signatures"));
    }
    let mut signed = false;
    for line in lines {
        let (name, signature) = signature_line(line)?;
        if name != key.name || signature[..4] != key.id() {
            continue;
        }
        let signature = <[u8; 64]>::try_from(&signature[4..]).ok().map(Signature);
        if !signature.is_some_and(|signature| key.key.verifies(text.as_bytes(), &signature)) {
            return Err(NoteError::BadSignature(name.into()));
        }
        signed = true;
    }
    if signed { Ok(text) } else { Err(NoteError::NotSigned(key.name.clone())) }
}

/// Key name, and key id with signature.
fn signature_line(line: &str) -> Result<(&str, Vec<u8>), NoteError> {
    let malformed = || NoteError::Malformed("a signature line is not `— name base64`");
    let (name, encoded) = line.strip_prefix("\u{2014} ").and_then(|line| line.split_once(' ')).ok_or_else(malformed)?;
    let signature = STANDARD.decode(encoded).map_err(|_| malformed())?;
    if !is_key_name(name) || signature.len() < 5 { Err(malformed()) } else { Ok((name, signature)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the signed-note specification.
    const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo mIT5lUlJmTHUXlF1KVPRPOI5YMBF3lT8h2rVHoSPnCkhFaeUnWHUe1Ilb8hv25pV9GDBXAdS+yq7k7zQXHA8NqmYrgc=\n";

    fn key() -> (SigningKey, VerifierKey) {
        let key = SigningKey::from_bytes(&[7; 32]);
        let verifier =
            VerifierKey { name: "ledger.example/town".into(), key: PublicKey(key.verifying_key().to_bytes()) };
        (key, verifier)
    }

    #[test]
    fn a_note_opens_with_the_key_that_signed_it() {
        let (key, verifier) = key();
        let note = sign("a\nb\n", &verifier.name, &key);
        assert_eq!(open(&note, &verifier), Ok("a\nb\n"));
        let other = VerifierKey { name: "other".into(), ..verifier.clone() };
        assert_eq!(open(&note, &other), Err(NoteError::NotSigned("other".into())));
        assert_eq!(open(&note.replace("a\n", "c\n"), &verifier), Err(NoteError::BadSignature(verifier.name.clone())));
    }

    #[test]
    fn signatures_of_unknown_keys_are_ignored() {
        let (key, verifier) = key();
        let mut note = sign("text\n", &verifier.name, &key);
        note.push_str(NOTE.rsplit_once("\n\n").unwrap().1);
        assert_eq!(open(&note, &verifier), Ok("text\n"));
    }

    #[test]
    fn what_is_no_note_is_refused() {
        let (_, verifier) = key();
        for note in [
            "",
            "text\n",
            "text\n\n",
            "text\n\nsignature\n",
            "text\n\n\u{2014} name !!!\n",
            "te\txt\n\n\u{2014} a AAAAAAAA\n",
        ] {
            assert!(matches!(open(note, &verifier), Err(NoteError::Malformed(_))), "{note:?}");
        }
    }

    #[test]
    fn a_vkey_is_name_id_and_key() {
        let (_, verifier) = key();
        let vkey = verifier.to_vkey();
        let parts: Vec<&str> = vkey.split('+').collect();
        assert_eq!(parts[0], "ledger.example/town");
        assert_eq!(parts[1].len(), 8);
        assert!(parts[2].starts_with("AQ") || parts[2].starts_with("Ae"), "{vkey}");
    }

    #[test]
    fn a_vkey_is_read_back_and_a_wrong_id_is_refused() {
        let (_, verifier) = key();
        let vkey = verifier.to_vkey();
        assert_eq!(VerifierKey::from_vkey(&vkey), Some(verifier.clone()));
        let wrong_id = vkey.replacen(&vkey[20..28], "00000000", 1);
        assert_ne!(wrong_id, vkey);
        for bad in [wrong_id.as_str(), "", "name", "name+12345678", &vkey.to_uppercase(), &format!("{vkey}A")] {
            assert_eq!(VerifierKey::from_vkey(bad), None, "{bad}");
        }
    }
}
