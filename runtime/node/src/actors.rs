//! The keys of actors, kept ready to verify, and what they signed: most calls come from few keys, and many are signed
//! together.

use chancery_types::call::message_of;
use chancery_types::id::PreparedKey;
use chancery_types::{Hash, PublicKey, Signature, SignedCall};
use std::collections::HashMap;
use std::hash::Hash as Key;
use std::sync::{PoisonError, RwLock};

/// Keys that are kept, of about 250 bytes each, and roots, of about 150.
const KEPT_MAX: usize = 4_096;

/// Keys that verified a call not long ago, and roots that they signed, with the signatures.
#[derive(Default)]
pub(crate) struct Actors {
    keys: Kept<PublicKey, PreparedKey>,
    roots: Kept<(PublicKey, Hash), Signature>,
}

impl Actors {
    /// Whether a call is signed by the actor that it names, alone or together with others.
    pub(crate) fn is_authentic(&self, signed: &SignedCall) -> bool {
        let (actor, signature) = (signed.call.actor, &signed.signature);
        let Some(root) = signed.root() else { return self.verifies(actor, &signed.call.message(), signature) };
        if self.roots.get(&(actor, root)) == Some(*signature) {
            return true;
        }
        let authentic = self.verifies(actor, &message_of(&root), signature);
        if authentic {
            self.roots.keep((actor, root), *signature);
        }
        authentic
    }

    fn verifies(&self, actor: PublicKey, message: &[u8], signature: &Signature) -> bool {
        let known = self.keys.get(&actor);
        let Some(key) = known.or_else(|| actor.prepared()) else { return false };
        let authentic = key.verifies(message, signature);
        // A key that signed nothing is not worth a place.
        if authentic && known.is_none() {
            self.keys.keep(actor, key);
        }
        authentic
    }
}

/// A bounded cache, cleared when full.
struct Kept<K, V>(RwLock<HashMap<K, V>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Kept(RwLock::default())
    }
}

impl<K: Key + Eq, V: Copy> Kept<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    fn keep(&self, key: K, value: V) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_types::{Action, Call, LedgerId, RequestId, Timestamp};
    use ed25519_dalek::SigningKey;

    fn signed(key: &SigningKey, count: u128) -> Vec<SignedCall> {
        let action = Action::Invoke { contract: "notes".into(), method: "put".into(), arguments: Vec::new() };
        let (ledger, actor, valid_until) = (LedgerId([1; 32]), PublicKey(key.verifying_key().to_bytes()), Timestamp(5));
        let call = |number| Call { ledger, actor, request: RequestId(number), valid_until, action: action.clone() };
        SignedCall::sign_all((0..count).map(call).collect(), key)
    }

    #[test]
    fn a_root_that_is_known_vouches_for_its_own_calls_actor_and_signature_alone() {
        let (one, other) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let actors = Actors::default();
        let calls = signed(&one, 3);
        assert!(calls.iter().all(|call| actors.is_authentic(call)));
        let mut bent = calls[1].clone();
        bent.call.request = RequestId(9);
        assert!(!actors.is_authentic(&bent), "another call");
        let mut bent = calls[1].clone();
        bent.signature.0[3] ^= 1;
        assert!(!actors.is_authentic(&bent), "another signature");
        let mut bent = calls[1].clone();
        bent.path.pop();
        assert!(!actors.is_authentic(&bent), "another root");
        // The other's calls under the one's signature.
        let theirs = signed(&other, 3);
        let mixed = SignedCall { signature: calls[0].signature, ..theirs[0].clone() };
        assert!(!actors.is_authentic(&mixed), "another actor");
        assert!(actors.is_authentic(&theirs[0]));
    }
}
