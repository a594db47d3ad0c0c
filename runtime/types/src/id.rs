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

    /// The key, ready to verify; `None` where it is no point of the curve, or one of small order.
    #[cfg(feature = "crypto")]
    pub fn prepared(&self) -> Option<PreparedKey> {
        ed25519_dalek::VerifyingKey::from_bytes(&self.0).ok().filter(|key| !key.is_weak()).map(PreparedKey)
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
    /// Whether `signature` is this key's over `message`, by the strict rules (canonical encodings, neither key nor R of small order), so that every other
    /// implementation of RFC 8032 accepts it too. Signatures are never verified in batches: a batch accepts, with a chance of one in two or less, what
    /// somebody crafted and single verification refuses, and then verifiers would differ about a log.
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        use ed25519_dalek::Verifier;
        // R must be, byte for byte, the encoding of the point that it should be, and so is canonical: that spares its decompression.
        let small = SMALL_ORDER.iter().any(|encoding| *encoding == signature.0[..32]);
        !small && self.0.verify(message, &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()
    }
}

/// The canonical encodings of the curve's eight points of small order.
#[cfg(feature = "crypto")]
const SMALL_ORDER: [[u8; 32]; 8] = [
    [
        0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0xfa,
    ],
    [
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x85,
    ],
];

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
    /// Metered work; one unit is about a tenth of a nanosecond (the price list says what costs how much).
    Gas(u64),
    /// Number of blocks sealed: the genesis block is height 0.
    Height(u64),
}

/// A call's id, chosen by the caller: the same id twice is the same call, never a second one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RequestId(pub u128);

impl RequestId {
    /// Reads 1 to 32 hexadecimal digits, zeros in front included.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = (1..=32).contains(&text.len()) && !text.starts_with('+');
        u128::from_str_radix(text, 16).ok().filter(|_| digits).map(RequestId)
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
        assert_eq!(RequestId::parse(&"0".repeat(32)), Some(RequestId(0)));
        // Zeros in front are digits too.
        assert_eq!(RequestId::parse(&"0".repeat(33)), None);
    }

    /// What is verified without decompressing R is what the library calls strict: the same signatures, also where somebody who knows the key crafts R.
    #[cfg(feature = "crypto")]
    mod strict {
        use super::*;
        use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
        use curve25519_dalek::scalar::Scalar;
        use ed25519_dalek::{Signer, SigningKey};
        use proptest::prelude::*;
        use sha2::{Digest, Sha512};

        fn both(key: &SigningKey, message: &[u8], signature: [u8; 64]) -> bool {
            let verifying = key.verifying_key();
            let strict = verifying.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature)).is_ok();
            let ours = PublicKey(verifying.to_bytes()).verifies(message, &Signature(signature));
            assert_eq!(ours, strict);
            ours
        }

        /// A signature that satisfies the equation up to a point of small order, with R the `nonce`'s point and another of small order added.
        fn crafted(key: &SigningKey, message: &[u8], nonce: u64, torsion: usize) -> [u8; 64] {
            let r = ED25519_BASEPOINT_POINT * Scalar::from(nonce) + EIGHT_TORSION[torsion];
            let r = r.compress().to_bytes();
            let hash = Sha512::new().chain_update(r).chain_update(key.verifying_key().to_bytes()).chain_update(message);
            let challenge = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
            let s = Scalar::from(nonce) + challenge * key.to_scalar();
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&r);
            signature[32..].copy_from_slice(&s.to_bytes());
            signature
        }

        #[test]
        fn the_list_is_of_every_point_of_small_order_and_none_is_a_key() {
            let expected: alloc::collections::BTreeSet<_> =
                EIGHT_TORSION.iter().map(|p| p.compress().to_bytes()).collect();
            assert_eq!(SMALL_ORDER.into_iter().collect::<alloc::collections::BTreeSet<_>>(), expected);
            for point in SMALL_ORDER {
                assert!(PublicKey(point).prepared().is_none());
            }
        }

        #[test]
        fn a_crafted_r_of_small_order_is_refused_though_the_equation_holds() {
            use ed25519_dalek::Verifier;
            let key = SigningKey::from_bytes(&[5; 32]);
            let identity = crafted(&key, b"m", 0, 0);
            assert!(key.verifying_key().verify(b"m", &ed25519_dalek::Signature::from_bytes(&identity)).is_ok());
            for torsion in 0..8 {
                assert!(!both(&key, b"m", crafted(&key, b"m", 0, torsion)));
                assert_eq!(both(&key, b"m", crafted(&key, b"m", 9, torsion)), torsion == 0);
            }
        }

        proptest! {
            #[test]
            fn a_signature_that_was_changed_or_is_not_canonical_is_refused(seed: [u8; 32], message: Vec<u8>, at in 0..64usize, bit in 0..8, high: bool) {
                let key = SigningKey::from_bytes(&seed);
                let signature = key.sign(&message).to_bytes();
                prop_assert!(both(&key, &message, signature));
                let mut bent = signature;
                bent[at] ^= 1u8 << bit;
                prop_assert!(!both(&key, &message, bent));
                // S with the order of the group added is not canonical.
                let mut long = signature;
                if high {
                    long[32..].copy_from_slice(&[0xff; 32]);
                } else {
                    long[..32].copy_from_slice(&[0xff; 32]);
                }
                prop_assert!(!both(&key, &message, long));
            }
        }
    }
}
