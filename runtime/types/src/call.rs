//! What an actor signs.
//!
//! The signed message is the text `chancery call v1`, a line feed, and the encoding of the [`Call`]. It names the
//! ledger, so that a call cannot be replayed on another one.
//!
//! Who has many calls at once signs them together, as the root of a Merkle tree over their messages:
//!
//! ```text
//! leaf            = BLAKE3(0x00 ‖ message)
//! node            = BLAKE3(0x01 ‖ left ‖ right)
//! signed message  = "chancery calls v1" ‖ line feed ‖ root
//! ```
//!
//! Each then carries the signature and its own [path](Sibling) to the root, and is as good as if it were signed alone.

use crate::codec::{codec_enum, codec_struct};
use crate::date::Timestamp;
use crate::id::{Hash, LedgerId, ModuleId, PublicKey, RequestId, Signature};
use alloc::{string::String, vec::Vec};

/// Longest contract and method name in bytes. Names are `[a-z][a-z0-9-]*` (methods with `_`).
pub const NAME_BYTES_MAX: usize = 64;
/// Longest encoded arguments in bytes: what fits an entry with everything else. Larger things are passed by their hash.
pub const ARGUMENTS_BYTES_MAX: usize = 32 * 1024;

/// What is to be done, by whom, until when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// Which ledger is meant.
    pub ledger: LedgerId,
    /// Who calls.
    pub actor: PublicKey,
    /// The caller's own id of this call; the same id again is the same call.
    pub request: RequestId,
    /// The call is refused in blocks later than this.
    pub valid_until: Timestamp,
    /// What is to be done.
    pub action: Action,
}
codec_struct!(Call { ledger, actor, request, valid_until, action });

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Call a method of a deployed contract.
    Invoke {
        /// The contract's name.
        contract: String,
        /// The method's name.
        method: String,
        /// The arguments: the encodings of the method's fields in order.
        arguments: Vec<u8>,
    },
    /// Deploy a module under a new name and run its `init` method, if it has one, in the same transaction.
    Deploy {
        /// The new contract's name.
        name: String,
        /// BLAKE3 of the module's bytes, which are durable before the entry is.
        module: ModuleId,
        /// The arguments of `init`.
        arguments: Vec<u8>,
    },
}
codec_enum!(Action { 0 = Invoke { contract, method, arguments }, 1 = Deploy { name, module, arguments } });

/// Most steps of a call's path: of 65,536 calls that are signed together.
pub const PATH_MAX: usize = 16;

/// A node beside the way from a call to the root of those that were signed with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sibling {
    /// It stands to the left of the way.
    Left {
        /// Its hash.
        hash: Hash,
    },
    /// It stands to the right.
    Right {
        /// Its hash.
        hash: Hash,
    },
}
codec_enum!(Sibling { 0 = Left { hash }, 1 = Right { hash } });

/// A call and its actor's signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedCall {
    /// What is to be done.
    pub call: Call,
    /// The actor's signature over [`SignedCall::message`].
    pub signature: Signature,
    /// The siblings on the way from the call to the root of those that were signed with it, the lowest first, at most [`PATH_MAX`]. Empty
    /// where it was signed alone.
    pub path: Vec<Sibling>,
}

impl Call {
    /// The bytes that are signed where the call is signed alone.
    pub fn message(&self) -> Vec<u8> {
        use crate::codec::Encode;
        let mut message = b"chancery call v1\n".to_vec();
        self.encode(&mut message);
        message
    }

    /// What stands for it among those that are signed together.
    #[cfg(feature = "crypto")]
    fn leaf(&self) -> Hash {
        let mut leaf = Vec::from([0]);
        leaf.append(&mut self.message());
        Hash::of(&leaf)
    }
}

/// The node above two.
#[cfg(feature = "crypto")]
fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(&left.0);
    bytes[33..].copy_from_slice(&right.0);
    Hash::of(&bytes)
}

/// The bytes that are signed where several calls are signed together.
#[cfg(feature = "crypto")]
pub fn message_of(root: &Hash) -> Vec<u8> {
    let mut message = b"chancery calls v1\n".to_vec();
    message.extend_from_slice(&root.0);
    message
}

#[cfg(feature = "crypto")]
impl SignedCall {
    /// Signs the call. The call's actor must be the key's public half; [`SignedCall::is_authentic`] says so.
    pub fn sign(call: Call, key: &ed25519_dalek::SigningKey) -> Self {
        use ed25519_dalek::Signer;
        let signature = Signature(key.sign(&call.message()).to_bytes());
        SignedCall { call, signature, path: Vec::new() }
    }

    /// Signs calls together, in turns of at most 2^[`PATH_MAX`], in their order: one signature in place of one for each, and as little work for
    /// whoever verifies them.
    pub fn sign_all(calls: Vec<Call>, key: &ed25519_dalek::SigningKey) -> Vec<Self> {
        let (mut signed, mut calls) = (Vec::with_capacity(calls.len()), calls.into_iter().peekable());
        while calls.peek().is_some() {
            signed.extend(Self::sign_together(calls.by_ref().take(1 << PATH_MAX).collect(), key));
        }
        signed
    }

    fn sign_together(mut calls: Vec<Call>, key: &ed25519_dalek::SigningKey) -> Vec<Self> {
        use ed25519_dalek::Signer;
        if calls.len() == 1 {
            return calls.drain(..).map(|call| Self::sign(call, key)).collect();
        }
        let mut paths = alloc::vec![Vec::new(); calls.len()];
        let mut row: Vec<Hash> = calls.iter().map(Call::leaf).collect();
        // A node without a sibling stands in the row above as it is.
        for level in 0.. {
            if row.len() == 1 {
                break;
            }
            for (index, path) in paths.iter_mut().enumerate() {
                let place = index >> level;
                if let Some(hash) = row.get(place ^ 1).copied() {
                    path.push(if place % 2 == 0 { Sibling::Right { hash } } else { Sibling::Left { hash } });
                }
            }
            row =
                row.chunks(2).map(|pair| if let [left, right] = pair { node(left, right) } else { pair[0] }).collect();
        }
        let signature = Signature(key.sign(&message_of(&row[0])).to_bytes());
        calls.into_iter().zip(paths).map(|(call, path)| SignedCall { call, signature, path }).collect()
    }

    /// The root over the calls that were signed together; `None` where the call was signed alone.
    pub fn root(&self) -> Option<Hash> {
        let above = |below: Hash, sibling: &Sibling| match sibling {
            Sibling::Left { hash } => node(hash, &below),
            Sibling::Right { hash } => node(&below, hash),
        };
        (!self.path.is_empty()).then(|| self.path.iter().fold(self.call.leaf(), above))
    }

    /// The bytes that are signed.
    pub fn message(&self) -> Vec<u8> {
        self.root().map_or_else(|| self.call.message(), |root| message_of(&root))
    }

    /// Whether the signature is the actor's.
    pub fn is_authentic(&self) -> bool {
        self.call.actor.verifies(&self.message(), &self.signature)
    }
}

/// Whether `name` may name a contract: `[a-z][a-z0-9-]*`, at most [`NAME_BYTES_MAX`] bytes. One spelling per name.
pub fn is_contract_name(name: &str) -> bool {
    is_name(name, b'-')
}

/// Whether `name` may name a method or field: `[a-z][a-z0-9_]*`, at most [`NAME_BYTES_MAX`] bytes.
pub fn is_method_name(name: &str) -> bool {
    is_name(name, b'_')
}

fn is_name(name: &str, joint: u8) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == joint)
}

#[cfg(all(test, feature = "crypto"))]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;
    use std::collections::BTreeSet;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[3; 32])
    }

    fn call(number: u128) -> Call {
        let action = Action::Invoke { contract: "notes".into(), method: "put".into(), arguments: alloc::vec![7; 9] };
        Call {
            ledger: LedgerId([1; 32]),
            actor: PublicKey(key().verifying_key().to_bytes()),
            request: RequestId(number),
            valid_until: Timestamp(5),
            action,
        }
    }

    #[test]
    fn each_of_the_calls_that_are_signed_together_is_authentic_and_no_other_is() {
        for count in [1, 2, 3, 4, 5, 7, 8, 33, 64, 100] {
            let calls: Vec<Call> = (0..count).map(call).collect();
            let signed = SignedCall::sign_all(calls.clone(), &key());
            assert!(signed.iter().map(|signed| &signed.call).eq(&calls));
            assert_eq!(signed.iter().map(|signed| signed.signature.0).collect::<BTreeSet<_>>().len(), 1);
            for (number, one) in signed.iter().enumerate() {
                assert!(one.is_authentic(), "{number} of {count}");
                assert!(one.path.len() <= (count as usize).next_power_of_two().ilog2() as usize);
                let other = SignedCall { call: call(count), ..one.clone() };
                assert!(!other.is_authentic());
                for step in 0..one.path.len() {
                    let mut bent = one.clone();
                    bent.path[step] = match bent.path[step] {
                        Sibling::Left { hash } => Sibling::Right { hash },
                        Sibling::Right { hash } => Sibling::Left { hash },
                    };
                    assert!(!bent.is_authentic(), "{number} of {count}, the sides of step {step} changed over");
                    bent.path.truncate(step);
                    assert!(!bent.is_authentic(), "{number} of {count}, of the path {step} steps");
                }
            }
        }
    }

    #[test]
    fn an_inner_node_passes_for_no_call() {
        // The path of a call, from the node above it on, is that of no call: leaves and nodes are hashed in different ways.
        let signed = SignedCall::sign_all((0..4).map(call).collect(), &key());
        let above = SignedCall { path: signed[0].path[1..].to_vec(), ..signed[0].clone() };
        assert!(!above.is_authentic());
        assert_ne!(node(&Hash([1; 32]), &Hash([2; 32])), Hash::of(&[[1; 32], [2; 32]].concat()));
    }

    #[test]
    fn more_than_a_path_leads_to_are_signed_in_turns() {
        let count = (1 << PATH_MAX) + 1;
        let signed = SignedCall::sign_all((0..count).map(call).collect(), &key());
        let last = &signed[1 << PATH_MAX];
        assert_eq!((signed.len() as u128, signed[0].path.len(), last.path.len()), (count, PATH_MAX, 0));
        assert!(signed[77].is_authentic() && last.is_authentic());
    }
}
