//! State proofs of both versions: what is accepted has one spelling and no more siblings than a path has bits, and nothing but what the golden log
//! sealed is believed.
#![no_main]

use chancery_receipt::{Policy, StateProof};
use std::sync::LazyLock;

static GOLDEN: LazyLock<Policy> =
    LazyLock::new(|| Policy::parse(include_bytes!("../../../runtime/receipt/tests/golden/policy")).expect("a policy"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(proof) = StateProof::parse(bytes) else { return };
    assert!(proof.siblings.len() <= 256);
    assert_eq!(proof.to_text().as_deref().map(str::as_bytes), Ok(bytes));
    if let Ok(verified) = proof.verify(&GOLDEN) {
        // The log of the golden files holds `case/N` for its own calls alone, each with its own value.
        let granted = verified.key.strip_prefix(b"case/").map(|number| [b"granted ", number].concat());
        assert!(verified.value.is_none() || verified.value == granted);
    }
});
