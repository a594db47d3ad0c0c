//! Receipts, state proofs and consistency proofs: what is accepted has one spelling, and a policy of strangers accepts nothing.
#![no_main]

use chancery_receipt::{ConsistencyProof, Policy, Receipt, StateProof, verify};
use chancery_tlog::note::VerifierKey;
use std::sync::LazyLock;

static STRANGER: LazyLock<Policy> =
    LazyLock::new(|| Policy::of_log(VerifierKey { name: "stranger".into(), key: chancery_types::PublicKey([7; 32]) }));
static GOLDEN: LazyLock<Policy> =
    LazyLock::new(|| Policy::parse(include_bytes!("../../../runtime/receipt/tests/golden/policy")).expect("a policy"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(receipt) = Receipt::parse(bytes) {
        assert_eq!(receipt.to_text().as_deref().map(str::as_bytes), Ok(bytes));
    }
    if let Ok(proof) = StateProof::parse(bytes) {
        assert_eq!(proof.to_text().as_deref().map(str::as_bytes), Ok(bytes));
    }
    if let Ok(proof) = ConsistencyProof::parse(bytes) {
        assert_eq!(proof.to_text().as_bytes(), bytes);
    }
    assert!(verify(bytes, &STRANGER).is_err());
    let _ = verify(bytes, &GOLDEN);
});
