//! The hashes and signatures that `verify.py` computes on its own, against those of the crates.

mod common;

use chancery_types::codec::{Decode, Encode};
use chancery_types::{ContractId, Entry, Hash, Record};
use ed25519_dalek::{Signer, SigningKey};
use std::process::Command;

/// Runs Python with verify.py's names at hand and gives what it prints.
fn python(code: &str) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/verify");
    let code = format!(
        "import sys; sys.dont_write_bytecode = True; sys.path.insert(0, {folder:?}); from verify import *\n{code}"
    );
    let output = Command::new("python3").args(["-c", &code]).output().expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn its_blake3_is_blake3() {
    let lengths =
        [0, 1, 63, 64, 65, 127, 128, 1023, 1024, 1025, 2047, 2048, 2049, 3072, 3073, 4096, 5000, 8192, 8193, 31_744];
    let found = python(&format!("for n in {lengths:?}: print(blake3(bytes(i % 251 for i in range(n))).hex())"));
    let input: Vec<u8> = (0..31_744u32).map(|i| (i % 251) as u8).collect();
    let expected: String = lengths.iter().map(|n| format!("{}\n", Hash::of(&input[..*n]))).collect();
    assert_eq!(found, expected);
    let path = chancery_state::tree::path(&ContractId([3; 32]), b"key");
    let found =
        python(r#"print(blake3(bytes([3] * 32) + bytes([3, 0, 0, 0]) + b"key", "chancery 2026 state key v1").hex())"#);
    assert_eq!(found.trim(), path.to_string());
}

#[test]
fn its_ed25519_accepts_what_the_strict_verifier_accepts() {
    let key = SigningKey::from_bytes(&[4; 32]);
    let (public, message) = (key.verifying_key().to_bytes(), b"message".to_vec());
    let good = key.sign(&message).to_bytes();
    // s + L is the same scalar in another spelling; the identity as a key verifies anything when it is not refused.
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut respelt = good;
    let mut carry = 0u16;
    for (byte, add) in respelt[32..].iter_mut().zip(L) {
        carry += u16::from(*byte) + u16::from(add);
        (*byte, carry) = (carry as u8, carry >> 8);
    }
    let mut identity = [0; 32];
    identity[0] = 1;
    let forged = [identity, [0; 32]].concat();
    let mut flipped = good;
    flipped[5] ^= 1;
    let cases: Vec<([u8; 32], Vec<u8>)> = vec![
        (public, good.to_vec()),
        (public, respelt.to_vec()),
        (identity, forged),
        (public, flipped.to_vec()),
        ([0xff; 32], good.to_vec()),
    ];
    for (public, signature) in cases {
        let ours = chancery_types::PublicKey(public)
            .verifies(&message, &chancery_types::Signature(signature.clone().try_into().unwrap()));
        let found = python(&format!("print(ed25519(bytes({public:?}), b'message', bytes({signature:?})))"));
        assert_eq!(found.trim() == "True", ours, "{signature:?}");
    }
}

/// The entry of a call that was signed together with others, whole and with a bit flipped in each byte from the call to the end of the path.
#[test]
fn it_asks_the_signature_of_the_root_that_a_path_leads_to() {
    let mut town = common::Town::grown(4, 4);
    let indices = town.calls(3);
    for index in indices {
        let entry = &town.entries[usize::try_from(index).unwrap()];
        let Record::Call { signed, .. } = Entry::from_bytes(entry).unwrap().record else { panic!("a call") };
        let signed = signed.call.to_bytes().len() + 64 + signed.path.to_bytes().len();
        let found = python(&format!(
            r#"
def refused(entry):
    try: return not call_of(bytes(entry), "it")
    except (Untrue, UnicodeDecodeError): return True
good = bytearray({entry:?})
print(refused(good), sum(not refused(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:]) for at in range(51, 51 + {signed})))
"#
        ));
        assert_eq!(found.trim(), "False 0", "entry {index}: the honest one is refused, or so many others are not");
    }
}

/// State proofs of both versions, and receipts with them.
#[test]
fn it_verifies_the_golden_files_of_every_version() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let golden = here.join("tests/golden");
    let names =
        ["call.receipt", "together.receipt", "held.state-proof", "absent.state-proof", "grown.consistency-proof"];
    let old = ["v1/call.receipt", "v1/held.state-proof", "v1/absent.state-proof"];
    let output = Command::new("python3")
        .arg(here.join("../../docs/verify/verify.py"))
        .args([&golden, std::path::Path::new("--policy"), &golden.join("policy")])
        .args(names.iter().chain(&old).map(|name| golden.join(name)))
        .output()
        .expect("python3");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.ends_with("verified\n") && said.contains("|granted 8|") && said.contains("held nothing"), "{said}");
}
