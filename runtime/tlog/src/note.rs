//! Signed notes: C2SP signed-note v1.0.0.
//!
//! ```text
//! note      = text, which ends in a line feed ‖ line feed ‖ one or more signature lines
//! line      = "— " ‖ key name ‖ " " ‖ base64(key id, 4 bytes ‖ signature) ‖ line feed     (the dash is U+2014)
//! key id    = SHA-256(key name ‖ 0x0A ‖ type ‖ public key)[:4]
//! vkey      = key name ‖ "+" ‖ key id, 8 hexadecimal digits ‖ "+" ‖ base64(type ‖ public key)
//! ```
//!
//! The last empty line separates text and signatures. A key name is not empty and has neither Unicode spaces nor `+`. This module has the
//! signatures of type 0x01: 64 bytes of Ed25519 (RFC 8032) over the text with its line feed; those of type 0x04 are in
//! [`crate::cosignature`]. Whatever implements [`Verifier`] can verify a note.
//!
//! A verifier ignores signatures of keys that it does not know, also where they share a name or an id with one that it
//! knows. A line that names a known key but does not verify makes it reject the whole note, and so does a note without
//! any signature of a known key. Length and number of signatures are bounded before anything is decoded.
//!
//! Worked example, of the first implementation's tests, key `PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW`:
//!
//! ```text
//! If you think cryptography is the answer to your problem,
//! then you don't know what your problem is.
//!
//! — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
//! ```
//!
//! The first four bytes of the base64 are c7 4f 20 a3, the key id.

use alloc::{format, string::String, string::ToString, vec::Vec};
use base64::{Engine, engine::general_purpose::STANDARD};
use chancery_types::{PublicKey, Signature};
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

/// Signature type of a plain Ed25519 signature.
pub(crate) const ED25519: u8 = 0x01;
/// Longest note in bytes.
pub const NOTE_BYTES_MAX: usize = 1 << 16;
/// Most signature lines of a note.
pub const SIGNATURES_MAX: usize = 64;
/// Bytes of an Ed25519 signature.
pub(crate) const SIGNATURE_BYTES: usize = 64;

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

/// Why a `vkey` is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VkeyError {
    /// Not three parts.
    #[error("not a vkey: expected <name>+<key id, 8 hexadecimal digits>+<base64 of type and key>")]
    Parts,
    /// The name cannot be one.
    #[error("the vkey's name is empty or has a space, a control character or a plus sign")]
    Name,
    /// The key does not decode.
    #[error("the vkey's key is not base64 of a type and 32 bytes")]
    Key,
    /// Another signature type.
    #[error("the vkey is of signature type {found:#04x}; expected {expected:#04x}")]
    Type {
        /// The type that is needed.
        expected: u8,
        /// The type that it has.
        found: u8,
    },
    /// The id is not that of name and key.
    #[error("the vkey's id is not that of its name and key, which is {0:08x}: it was mistyped or changed")]
    Id(u32),
}

/// What verifies one key's signatures of notes.
pub trait Verifier {
    /// The key's name.
    fn name(&self) -> &str;
    /// The key's id.
    fn id(&self) -> [u8; 4];
    /// Whether `signature`, what follows the id, is this key's over `text`.
    fn verifies(&self, text: &str, signature: &[u8]) -> bool;
}

/// A key that notes are verified with, of type 0x01.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    /// Its name.
    pub name: String,
    /// The public key.
    pub key: PublicKey,
}

impl VerifierKey {
    /// The key that `key` signs with under this name.
    pub fn of(name: &str, key: &SigningKey) -> Self {
        VerifierKey { name: name.to_string(), key: PublicKey(key.verifying_key().to_bytes()) }
    }

    /// The first four bytes of the key's hash.
    pub fn id(&self) -> [u8; 4] {
        key_id(&self.name, ED25519, &self.key)
    }

    /// Reads a `vkey`.
    ///
    /// # Errors
    /// When it is malformed, of another signature type, or its id is not that of its name and key.
    pub fn parse(vkey: &str) -> Result<Self, VkeyError> {
        parse_vkey(vkey, ED25519).map(|(name, key)| VerifierKey { name, key })
    }

    /// The key as a `vkey`.
    pub fn to_vkey(&self) -> String {
        to_vkey(&self.name, ED25519, &self.key)
    }
}

impl Verifier for VerifierKey {
    fn name(&self) -> &str {
        &self.name
    }
    fn id(&self) -> [u8; 4] {
        VerifierKey::id(self)
    }
    fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        let signature = <[u8; SIGNATURE_BYTES]>::try_from(signature);
        signature.is_ok_and(|signature| self.key.verifies(text.as_bytes(), &Signature(signature)))
    }
}

/// The first four bytes of a key's hash.
pub(crate) fn key_id(name: &str, kind: u8, key: &PublicKey) -> [u8; 4] {
    let hash: [u8; 32] =
        Sha256::new().chain_update(name).chain_update([b'\n', kind]).chain_update(key.0).finalize().into();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// Name and key of a `vkey` of this signature type.
pub(crate) fn parse_vkey(vkey: &str, kind: u8) -> Result<(String, PublicKey), VkeyError> {
    let mut parts = vkey.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(VkeyError::Parts);
    };
    if !is_key_name(name) {
        return Err(VkeyError::Name);
    }
    let key = STANDARD.decode(key).map_err(|_| VkeyError::Key)?;
    let key = match key.split_first() {
        Some((found, key)) if *found == kind => <[u8; 32]>::try_from(key).map_err(|_| VkeyError::Key)?,
        Some((found, _)) => return Err(VkeyError::Type { expected: kind, found: *found }),
        None => return Err(VkeyError::Key),
    };
    let expected = u32::from_be_bytes(key_id(name, kind, &PublicKey(key)));
    if id == format!("{expected:08x}") { Ok((name.to_string(), PublicKey(key))) } else { Err(VkeyError::Id(expected)) }
}

/// A key as a `vkey`.
pub(crate) fn to_vkey(name: &str, kind: u8, key: &PublicKey) -> String {
    let id = u32::from_be_bytes(key_id(name, kind, key));
    format!("{name}+{id:08x}+{}", STANDARD.encode([&[kind][..], &key.0].concat()))
}

/// Whether `name` may name a key: not empty, no spaces, no `+`, no control characters.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

/// Signs a text, which must end in a line feed.
pub fn sign(text: &str, name: &str, key: &SigningKey) -> String {
    let verifier = VerifierKey::of(name, key);
    let line = to_line(&verifier, &key.sign(text.as_bytes()).to_bytes());
    format!("{text}\n{line}")
}

/// The line, with its line feed, that carries a key's signature.
pub(crate) fn to_line(key: &dyn Verifier, signature: &[u8]) -> String {
    format!("\u{2014} {} {}\n", key.name(), STANDARD.encode([&key.id()[..], signature].concat()))
}

/// A note that opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<'a> {
    /// The text, with its line feed.
    pub text: &'a str,
    /// The signatures of known keys, all of which verify, in the order of the note.
    pub signatures: Vec<Verified<'a>>,
}

impl Opened<'_> {
    /// The first line, with its line feed, of each known key. A key may have signed any number of times, and a note has room for [`SIGNATURES_MAX`] lines.
    pub(crate) fn line_of_each_key(&self) -> String {
        let first = |at: usize| self.signatures[..at].iter().all(|before| before.key != self.signatures[at].key);
        (0..self.signatures.len()).filter(|at| first(*at)).flat_map(|at| [self.signatures[at].line, "\n"]).collect()
    }
}

/// A signature that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<'a> {
    /// Which of the known keys made it.
    pub key: usize,
    /// The line, without its line feed.
    pub line: &'a str,
    /// What follows the key id.
    pub signature: Vec<u8>,
}

/// The text of a note that `key` signed.
///
/// # Errors
/// When the note is malformed, or `key`'s signature is missing or wrong.
pub fn open<'a>(note: &'a str, key: &VerifierKey) -> Result<&'a str, NoteError> {
    open_with(note, &[key]).map(|opened| opened.text)
}

/// Opens a note with the keys that are known, at least one of which must have signed it.
///
/// # Errors
/// When the note is malformed, a signature of a known key is wrong, or there is none of any.
pub fn open_with<'a>(note: &'a str, known: &[&dyn Verifier]) -> Result<Opened<'a>, NoteError> {
    let (text, lines) = split(note)?;
    let mut signatures = Vec::new();
    for line in lines {
        let (name, bytes) = signature_line(line)?;
        let (id, signature) = bytes.split_at(4);
        let Some(key) = known.iter().position(|key| key.name() == name && key.id() == id) else {
            continue;
        };
        if !known[key].verifies(text, signature) {
            return Err(NoteError::BadSignature(name.into()));
        }
        signatures.push(Verified { key, line, signature: signature.to_vec() });
    }
    if signatures.is_empty() {
        let names: Vec<&str> = known.iter().map(|key| key.name()).collect();
        return Err(NoteError::NotSigned(if names.is_empty() { "any known key".into() } else { names.join(" or ") }));
    }
    Ok(Opened { text, signatures })
}

/// Text and signature lines, whatever their keys.
///
/// # Errors
/// When the note is too long, has no empty line, a control character, or too many lines.
pub fn split(note: &str) -> Result<(&str, Vec<&str>), NoteError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::Malformed("longer than 65,536 bytes"));
    }
    if note.contains(|c: char| c < ' ' && c != '\n') {
        return Err(NoteError::Malformed("a control character other than a line feed"));
    }
    let end = note.rfind("\n\n").ok_or(NoteError::Malformed("no empty line before the signatures"))?;
    let (text, lines) = (&note[..=end], &note[end + 2..]);
    let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed("no line feed at the end"))?;
    let lines: Vec<&str> = lines.split('\n').collect();
    if lines.len() > SIGNATURES_MAX { Err(NoteError::Malformed("more than 64 signatures")) } else { Ok((text, lines)) }
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

    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const PETERS_TEXT: &str =
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const PETERS_LINE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    /// Verifies and signs as golang.org/x/mod/sumdb/note, whose tests have this key and note.
    #[test]
    fn the_worked_example_of_the_header_holds() {
        let verifier = VerifierKey::parse(PETER).unwrap();
        assert_eq!(verifier.to_vkey(), PETER);
        let note = format!("{PETERS_TEXT}\n{PETERS_LINE}");
        assert_eq!(open(&note, &verifier), Ok(PETERS_TEXT));
        let private = STANDARD.decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz").unwrap();
        let key = SigningKey::from_bytes(private[1..].try_into().unwrap());
        assert_eq!(sign(PETERS_TEXT, "PeterNeumann", &key), note);
    }

    /// The manglings of the same tests: every part of a vkey, and every byte of it changed.
    #[test]
    fn a_mangled_vkey_is_refused() {
        for start in 0..PETER.len() {
            for end in start..=PETER.len() {
                let part = &PETER[start..end];
                assert!(part == PETER || VerifierKey::parse(part).is_err(), "{part}");
            }
        }
        for at in 0..PETER.len() {
            let mut bytes = PETER.as_bytes().to_vec();
            bytes[at] += 1;
            assert!(VerifierKey::parse(core::str::from_utf8(&bytes).unwrap()).is_err(), "{at}");
        }
        assert_eq!(VerifierKey::parse("a"), Err(VkeyError::Parts));
        assert_eq!(VerifierKey::parse("a b+00000000+"), Err(VkeyError::Name));
        assert_eq!(
            VerifierKey::parse("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY=="),
            Err(VkeyError::Key)
        );
        let unknown = "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        assert_eq!(VerifierKey::parse(unknown), Err(VkeyError::Type { expected: 1, found: 0x65 }));
        assert_eq!(VerifierKey::parse(&PETER.replace("c74f20a3", "C74F20A3")), Err(VkeyError::Id(0xc74f_20a3)));
    }

    #[test]
    fn each_known_key_that_signed_is_reported() {
        let (key, town) = key();
        let peter = VerifierKey::parse(PETER).unwrap();
        let note = format!(
            "{PETERS_TEXT}\n{PETERS_LINE}{}",
            sign(PETERS_TEXT, &town.name, &key).rsplit_once("\n\n").unwrap().1
        );
        let keys = |known: &[&dyn Verifier]| -> Vec<usize> {
            open_with(&note, known).unwrap().signatures.iter().map(|signature| signature.key).collect()
        };
        assert_eq!(keys(&[&town, &peter]), [1, 0]);
        assert_eq!(keys(&[&town]), [0]);
        assert_eq!(open_with(&note, &[]), Err(NoteError::NotSigned("any known key".into())));
        let other = VerifierKey { name: "other".into(), ..town.clone() };
        assert_eq!(open_with(&note, &[&other, &other]), Err(NoteError::NotSigned("other or other".into())));
        // One wrong signature of a known key and the whole note is refused, whatever else verifies.
        let wrong = note.replace("x08go/ZJ", "x08go/ZK");
        assert_eq!(open_with(&wrong, &[&town, &peter]), Err(NoteError::BadSignature("PeterNeumann".into())));
        assert_eq!(keys(&[&peter]), [0]);
        assert!(open_with(&wrong, &[&town]).is_ok());
    }

    #[test]
    fn sixty_four_signatures_are_read_and_no_more() {
        let (key, verifier) = key();
        let line = NOTE.rsplit_once("\n\n").unwrap().1;
        let own = sign("text\n", &verifier.name, &key);
        let note = |others: usize| format!("{own}{}", line.repeat(others));
        assert_eq!(open(&note(63), &verifier), Ok("text\n"));
        assert_eq!(open(&note(64), &verifier), Err(NoteError::Malformed("more than 64 signatures")));
        let long = format!("{}\n{own}", "x".repeat(NOTE_BYTES_MAX));
        assert_eq!(open(&long, &verifier), Err(NoteError::Malformed("longer than 65,536 bytes")));
    }

    #[test]
    fn base64_has_one_spelling() {
        let verifier = VerifierKey::parse(PETER).unwrap();
        for other in ["nAN=", "nAM", "nAM==", "nAM=\n", "nA M=", "nAM=="] {
            let note = format!("{PETERS_TEXT}\n{}", PETERS_LINE.replace("nAM=", other));
            assert!(matches!(open(&note, &verifier), Err(NoteError::Malformed(_))), "{other:?}");
        }
    }

    fn key() -> (SigningKey, VerifierKey) {
        let key = SigningKey::from_bytes(&[7; 32]);
        let verifier = VerifierKey::of("ledger.example/town", &key);
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
            "text\r\n\r\n\u{2014} a AAAAAAAA\r\n",
            "text\n\n\u{2014} a AAAAAAAA",
            "text\n\n- a AAAAAAAA\n",
            "text\n\n\u{2014} a+b AAAAAAAA\n",
            "text\n\n\u{2014}  AAAAAAAA\n",
            "text\n\n\u{2014} a AAAA\n",
        ] {
            assert!(matches!(open(note, &verifier), Err(NoteError::Malformed(_))), "{note:?}");
        }
    }

    #[test]
    fn a_vkey_is_read_back_and_a_wrong_id_is_refused() {
        let (_, verifier) = key();
        let vkey = verifier.to_vkey();
        assert_eq!(VerifierKey::parse(&vkey), Ok(verifier));
        let wrong_id = vkey.replacen(&vkey[20..28], "00000000", 1);
        assert_ne!(wrong_id, vkey);
        for bad in [wrong_id.as_str(), "", "name", "name+12345678", &vkey.to_uppercase(), &format!("{vkey}A")] {
            assert!(VerifierKey::parse(bad).is_err(), "{bad}");
        }
    }
}
