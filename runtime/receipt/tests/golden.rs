//! The promised bytes: files that were written once, and that this code must write and believe for ever. `GOLDEN=write` writes them anew, which
//! is right only together with a new version of the format.

mod common;

use chancery_receipt::{Policy, Receipt, StateProof, verify};
use common::Town;
use std::path::Path;

#[test]
fn golden_files_are_written_and_verified() {
    let town = Town::grown(20, 4);
    // Without the module, whose bytes are no part of these formats.
    let full = Receipt { module: None, ..town.full_receipt(8) };
    let mut grown = Town::grown(20, 4);
    let together = grown.calls(5);
    grown.seal();
    let files = [
        ("call.receipt", full.to_text().unwrap()),
        ("together.receipt", Receipt { module: None, ..grown.full_receipt(together[4]) }.to_text().unwrap()),
        ("held.state-proof", town.state(b"case/8").to_text().unwrap()),
        ("absent.state-proof", town.state(b"case/9").to_text().unwrap()),
        ("grown.consistency-proof", town.consistency(7).to_text()),
        ("policy", common::policy_text()),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    if std::env::var_os("GOLDEN").is_some() {
        files.iter().for_each(|(name, text)| common::write(&folder, name, text));
    }
    let policy = Policy::parse(&std::fs::read(folder.join("policy")).unwrap()).unwrap();
    for (name, text) in files {
        let golden = std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(golden, text, "{name}");
        if name != "policy" {
            verify(golden.as_bytes(), &policy).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

/// State proofs of version 1 are no longer made, and verify for ever, alone and within a receipt.
#[test]
fn files_of_earlier_versions_are_verified() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let policy = Policy::parse(&std::fs::read(folder.join("policy")).unwrap()).unwrap();
    for name in ["call.receipt", "held.state-proof", "absent.state-proof"] {
        let [old, new] = ["v1", ""].map(|version| std::fs::read(folder.join(version).join(name)).unwrap());
        assert_ne!(old, new, "{name}");
        let [said, says] =
            [&old, &new].map(|file| verify(file, &policy).unwrap_or_else(|error| panic!("{name}: {error}")));
        assert_eq!(said, says, "{name}");
        let again = if name == "call.receipt" {
            Receipt::parse(&old).unwrap().to_text()
        } else {
            StateProof::parse(&old).unwrap().to_text()
        };
        assert_eq!(again.unwrap().as_bytes(), old, "{name}");
    }
}
