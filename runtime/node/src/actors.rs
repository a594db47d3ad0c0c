//! The keys of actors, kept ready to verify: most calls come from few keys.

use chancery_types::id::PreparedKey;
use chancery_types::{PublicKey, SignedCall};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// Keys that are kept, of about 250 bytes each.
const KEYS_MAX: usize = 4_096;

/// Keys that verified a call not long ago.
#[derive(Default)]
pub(crate) struct Actors(RwLock<HashMap<PublicKey, PreparedKey>>);

impl Actors {
    /// Whether a call is signed by the actor that it names.
    pub(crate) fn is_authentic(&self, signed: &SignedCall) -> bool {
        let actor = signed.call.actor;
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&actor).copied();
        let Some(key) = known.or_else(|| actor.prepared()) else { return false };
        let authentic = key.verifies(&signed.call.message(), &signed.signature);
        // A key that signed nothing is not worth a place.
        if authentic && known.is_none() {
            let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if keys.len() >= KEYS_MAX {
                keys.clear();
            }
            keys.insert(actor, key);
        }
        authentic
    }
}
