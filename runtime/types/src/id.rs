//! Ids and units: newtypes, so that a height is never taken for an index nor a module for a contract.

use crate::codec::{Decode, DecodeError, Encode, Reader};
use alloc::{string::String, vec::Vec};
use core::fmt;

/// 32 bytes shown as lower-case hexadecimal.
macro_rules! hash_ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Reads 64 hexadecimal digits of either case.
            pub fn parse(text: &str) -> Option<Self> {
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes).ok()?;
                Some($name(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Encode for $name {
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0);
            }
        }

        impl Decode for $name {
            #[inline]
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                reader.array().map($name)
            }
        }
    )*};
}

hash_ids! {
    /// A BLAKE3 or SHA-256 digest.
    Hash,
    /// BLAKE3 of the genesis entry: which ledger a call is meant for.
    LedgerId,
    /// BLAKE3 of a module's bytes.
    ModuleId,
    /// A deployed contract: BLAKE3 of ledger id, name and deploying request (see `docs/src/formats/state-tree.md`).
    ContractId,
    /// An Ed25519 public key (RFC 8032). As text it is a `did:key` (W3C CCG did:key v0.7).
    PublicKey,
}

/// An Ed25519 signature (RFC 8032 §5.1.6).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Signature {
    /// Reads 128 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 64];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Signature(bytes))
    }
}

impl Encode for Signature {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Signature {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array().map(Signature)
    }
}

/// Multicodec prefix of an Ed25519 public key (0xed as varint), the first bytes of a did:key.
const DID_KEY_ED25519: [u8; 2] = [0xed, 0x01];

impl PublicKey {
    /// The key as `did:key:z6Mk…`: base58btc of the multicodec prefix and the key.
    pub fn to_did(&self) -> String {
        let mut bytes = [0; 34];
        bytes[..2].copy_from_slice(&DID_KEY_ED25519);
        bytes[2..].copy_from_slice(&self.0);
        let mut text = String::from("did:key:z");
        text.push_str(&bs58::encode(bytes).into_string());
        text
    }

    /// Reads a `did:key` of an Ed25519 key.
    pub fn from_did(text: &str) -> Option<Self> {
        let mut bytes = [0; 34];
        let len = bs58::decode(text.strip_prefix("did:key:z")?).onto(&mut bytes).ok()?;
        (len == 34 && bytes[..2] == DID_KEY_ED25519).then_some(())?;
        let mut key = [0; 32];
        key.copy_from_slice(&bytes[2..]);
        Some(PublicKey(key))
    }

    /// The key, ready to verify; `None` where it is no point of the curve.
    #[cfg(feature = "crypto")]
    pub fn prepared(&self) -> Option<PreparedKey> {
        ed25519_dalek::VerifyingKey::from_bytes(&self.0).ok().map(PreparedKey)
    }

    /// Whether `signature` is this key's over `message`, as [`PreparedKey::verifies`] says.
    #[cfg(feature = "crypto")]
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        self.prepared().is_some_and(|key| key.verifies(message, signature))
    }
}

/// A public key whose point is decompressed: for whoever verifies with it more than once.
#[cfg(feature = "crypto")]
#[derive(Clone, Copy, Debug)]
pub struct PreparedKey(ed25519_dalek::VerifyingKey);

#[cfg(feature = "crypto")]
impl PreparedKey {
    /// Whether `signature` is this key's over `message`, by the strict rules (canonical encodings, no small-order key), so that every other
    /// implementation of RFC 8032 accepts it too. Signatures are never verified in batches: a batch accepts, with a chance of one in two or less, what
    /// somebody crafted and single verification refuses, and then verifiers would differ about a log.
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()
    }
}

impl Hash {
    /// BLAKE3 of the bytes.
    #[cfg(feature = "crypto")]
    pub fn of(bytes: &[u8]) -> Self {
        Hash(blake3::hash(bytes).into())
    }
}

/// Integer units.
macro_rules! units {
    ($($(#[$doc:meta])* $name:ident($int:ty)),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
        }

        impl Decode for $name {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                <$int>::decode(reader).map($name)
            }
        }
    )*};
}

units! {
    /// Metered work; one unit is about a nanosecond (the price list says what costs how much).
    Gas(u64),
    /// Number of blocks sealed: the genesis block is height 0.
    Height(u64),
}

/// A call's id, chosen by the caller: the same id twice is the same call, never a second one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RequestId(pub u128);

impl RequestId {
    /// Reads 1 to 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16).ok().filter(|_| !text.starts_with('+')).map(RequestId)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Encode for RequestId {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for RequestId {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u128::decode(reader).map(RequestId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first example of the did:key specification's Ed25519 test vectors.
    #[test]
    fn did_key_equals_the_published_vector() {
        let did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        let key = PublicKey::from_did(did).expect("a published did:key");
        assert_eq!(hex::encode(key.0), "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29");
        assert_eq!(key.to_did(), did);
    }

    #[test]
    fn a_did_of_another_kind_of_key_is_refused() {
        assert_eq!(PublicKey::from_did("did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc"), None);
        assert_eq!(PublicKey::from_did("did:web:example.org"), None);
    }

    #[test]
    fn a_request_id_reads_what_it_prints() {
        let id = RequestId(0xfeed);
        assert_eq!(RequestId::parse(&alloc::format!("{id}")), Some(id));
        assert_eq!(RequestId::parse("+1"), None);
    }
}
