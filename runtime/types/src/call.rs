//! What an actor signs.
//!
//! The signed message is the text `chancery call v1`, a line feed, and the encoding of the [`Call`]. It names the
//! ledger, so that a call cannot be replayed on another one.

use crate::codec::{codec_enum, codec_struct};
use crate::date::Timestamp;
use crate::id::{LedgerId, ModuleId, PublicKey, RequestId, Signature};
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

/// A call and its actor's signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedCall {
    /// What was signed.
    pub call: Call,
    /// The actor's signature over [`Call::message`].
    pub signature: Signature,
}
codec_struct!(SignedCall { call, signature });

impl Call {
    /// The bytes that are signed.
    pub fn message(&self) -> Vec<u8> {
        use crate::codec::Encode;
        let mut message = b"chancery call v1\n".to_vec();
        self.encode(&mut message);
        message
    }
}

impl SignedCall {
    /// Signs the call. The call's actor must be the key's public half; [`SignedCall::is_authentic`] says so.
    #[cfg(feature = "crypto")]
    pub fn sign(call: Call, key: &ed25519_dalek::SigningKey) -> Self {
        use ed25519_dalek::Signer;
        let signature = Signature(key.sign(&call.message()).to_bytes());
        SignedCall { call, signature }
    }

    /// Whether the signature is the actor's.
    #[cfg(feature = "crypto")]
    pub fn is_authentic(&self) -> bool {
        self.call.actor.verifies(&self.call.message(), &self.signature)
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
