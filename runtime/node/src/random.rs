//! Randomness, from the system alone.

use crate::NodeError;

/// 32 bytes that nobody can guess.
pub(crate) fn random() -> Result<[u8; 32], NodeError> {
    let mut bytes = [0; 32];
    let failed = |error| NodeError::Stopped(format!("the system gives no randomness: {error}"));
    getrandom::fill(&mut bytes).map_err(failed).map(|()| bytes)
}
