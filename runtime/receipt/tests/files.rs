//! Files as they are handed out: what is made verifies, and nothing that differs from it in any byte does.

mod common;

use chancery_receipt::{ConsistencyProof, Policy, Receipt, ReceiptError, StateProof, Verified, verify};
use chancery_types::entry::{Record, Write};
use common::{CONTRACT, Town, policy, policy_text};

/// A log of 50 entries, and every kind of file out of it.
fn files() -> Vec<(&'static str, String)> {
    let town = Town::grown(50, 6);
    vec![
        ("receipt of a call", town.receipt(11).to_text().unwrap()),
        ("receipt with everything", town.full_receipt(11).to_text().unwrap()),
        ("receipt of a seal", town.receipt(1).to_text().unwrap()),
        ("receipt of the genesis", town.receipt(0).to_text().unwrap()),
        ("state held", town.state(b"case/11").to_text().unwrap()),
        ("state absent", town.state(b"case/12000").to_text().unwrap()),
        ("consistency", town.consistency(23).to_text()),
    ]
}

#[test]
fn a_receipt_shows_the_entry_the_reasoning_and_the_state() {
    let town = Town::grown(50, 6);
    let file = town.full_receipt(11).to_text().unwrap();
    let Ok(Verified::Receipt(receipt)) = verify(file.as_bytes(), &policy()) else { panic!("not verified") };
    assert!(matches!(receipt.entry.record, Record::Call { .. }));
    assert_eq!((receipt.log.index, receipt.log.size), (11, 50));
    let names: Vec<&str> = receipt.log.witnesses.iter().map(|witness| witness.name.as_str()).collect();
    assert_eq!(names, ["witness.example/north", "witness.example/south"]);
    assert_eq!(receipt.interface.unwrap().name, "minimal");
    assert_eq!(receipt.trace.unwrap().steps()[0].rule, "is complete");
    let (key, value) = (b"case/11".to_vec(), b"granted 11".to_vec());
    assert_eq!(receipt.writes.unwrap(), [Write { contract: CONTRACT, key: key.clone(), value: Some(value.clone()) }]);
    assert_eq!((&receipt.states[0].key, &receipt.states[0].value), (&key, &Some(value)));
    assert_eq!(receipt.states[1].value, None);
}

#[test]
fn every_file_reads_as_it_was_written() {
    for (name, file) in files() {
        let bytes = file.as_bytes();
        verify(bytes, &policy()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = match name.split(' ').next() {
            Some("receipt") => Receipt::parse(bytes).unwrap().to_text().unwrap(),
            Some("state") => StateProof::parse(bytes).unwrap().to_text().unwrap(),
            _ => ConsistencyProof::parse(bytes).unwrap().to_text(),
        };
        assert_eq!(again, file, "{name}");
    }
}

#[test]
fn no_byte_of_a_file_can_be_changed_dropped_or_added() {
    for (name, file) in files() {
        // The module alone is 12 kB: every byte of the rest, and some of it.
        let long = file.len() > 8_000;
        let module = file.find("\nmodule ").map_or(0..0, |at| at + 60..file.find("\ntrace ").unwrap() - 60);
        // That another key is absent too can be just as true: the key of an absence is left out.
        let absent = file.find("\nabsent\n").map_or(0..0, |at| file[..at].rfind("\ncontract ").unwrap()..at);
        let at = |at: &usize| (!long || !module.contains(at) || at.is_multiple_of(997)) && !absent.contains(at);
        for at in (0..file.len()).filter(at) {
            let mut bytes = file.clone().into_bytes();
            bytes[at] ^= [0x01, 0x20, 0x80][at % 3];
            assert!(verify(&bytes, &policy()).is_err(), "{name}: byte {at} changed");
            let mut shorter = file.clone().into_bytes();
            shorter.remove(at);
            assert!(verify(&shorter, &policy()).is_err(), "{name}: byte {at} dropped");
            let mut longer = file.clone().into_bytes();
            longer.insert(at, b'\n');
            assert!(verify(&longer, &policy()).is_err(), "{name}: a line feed added at {at}");
        }
        for tail in ["\n", " ", "x", "\n\n", "\nextra\n"] {
            assert!(verify(format!("{file}{tail}").as_bytes(), &policy()).is_err(), "{name}: {tail:?} at the end");
        }
    }
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    for (name, file) in files() {
        for at in (0..file.len()).step_by(if file.len() > 8_000 { 53 } else { 1 }) {
            // Cut between two signatures, what is left is a checkpoint with fewer cosignatures than the policy asks; cut before the
            // first state proof it is a receipt without one.
            let whole = file.as_bytes()[at..].starts_with(b"\nchancery/state-proof@");
            assert_eq!(verify(&file.as_bytes()[..at], &policy()).is_ok(), whole, "{name}: cut at {at}");
        }
    }
}

/// An empty sibling is a digit and never a hash; digits and hashes are as many as each other.
#[test]
fn siblings_have_one_spelling() {
    let file = Town::grown(20, 4).state(b"case/8").to_text().unwrap();
    let digits = file.lines().find(|line| line.starts_with("siblings ")).unwrap();
    assert!(digits.contains('0') && digits.ends_with('1'), "the example has an empty sibling: {digits}");
    let changed = |to: &str| message(&file.replacen(digits, to, 1));
    assert!(changed(&digits.replacen('0', "1", 1)).contains("siblings: expected"), "a hash is missing");
    let empty = "U1BBUlNFX01FUktMRV9QTEFDRUhPTERFUl9IQVNIX18=";
    let level = digits["siblings ".len()..].find('0').unwrap();
    let mut lines: Vec<&str> = file.lines().collect();
    let first = lines.iter().position(|line| *line == digits).unwrap() + 1;
    lines.insert(first + level, empty);
    let spelt = lines.join("\n") + "\n";
    let error = message(&spelt.replacen(digits, &digits.replacen('0', "1", 1), 1));
    assert!(error.contains("one spelling"), "{error}");
    for wrong in ["siblings", "siblings ", "siblings 12", "siblings 1 1", "siblings -1"] {
        let error = changed(wrong);
        assert!(error.contains("siblings: expected"), "{wrong}: {error}");
    }
    assert!(changed(&format!("siblings {}", "0".repeat(257))).contains("siblings: expected at most 256 digits"));
    assert!(changed(&format!("{digits}0")).contains("not verified: state"));
}

fn message(file: &str) -> String {
    verify(file.as_bytes(), &policy()).unwrap_err().to_string()
}

#[test]
fn errors_name_the_field_and_what_was_found() {
    let town = Town::grown(50, 6);
    let file = town.full_receipt(11).to_text().unwrap();
    let changed = |from: &str, to: &str| {
        assert!(file.contains(from), "{from}");
        message(&file.replacen(from, to, 1))
    };
    assert!(changed("receipt@v1", "receipt@v2").contains("version `v2`, which this verifier does not know"));
    assert!(message("hello\n").contains("line 1, header: expected `chancery/receipt@v1`, found `hello`"));
    assert!(message("").contains("truncated"));
    assert!(changed("entry ", "Entry ").contains("line 2, entry: expected `entry …`"));
    assert!(changed("index 11", "index 12").contains("index: the entry says that it is 11, the proof says 12"));
    assert!(changed("index 11", "index 011").contains("index"));
    assert!(changed("chancery/state-proof@v2", "chancery/state-proof@v9").contains("version `v9`"));
    assert!(
        changed("value Z3JhbnRlZCAxMQ==\n", "value Z3JhbnRlZA==\n")
            .contains("not verified: state: contract, key, value")
    );
    assert!(message(&file.replace('\n', "\r\n")).contains("carriage return"));
    let error = verify(&[b"chancery/receipt@v1\nentry \xff\n"[..].to_vec()].concat(), &policy()).unwrap_err();
    assert!(error.to_string().contains("line 2, text: expected UTF-8"), "{error}");
}

#[test]
fn parts_that_the_entry_does_not_name_are_refused() {
    let town = Town::grown(50, 6);
    let (mine, other) = (town.full_receipt(11), town.full_receipt(12));
    let field = |receipt: Receipt| match receipt.verify(&policy()) {
        Err(ReceiptError::Untrue { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let mut module = common::MODULE.to_vec();
    module.push(0);
    assert_eq!(field(Receipt { module: Some(module), ..mine.clone() }), "module");
    assert_eq!(field(Receipt { trace: Some(vec![0; 4]), ..mine.clone() }), "trace");
    assert_eq!(field(Receipt { writes: other.writes, ..mine.clone() }), "writes");
    assert_eq!(field(Receipt { entry: other.entry, ..mine.clone() }), "index");
    assert_eq!(field(Receipt { proof: other.proof, ..mine.clone() }), "index");
    assert_eq!(field(Receipt { trace: mine.trace, ..town.receipt(1) }), "trace");
    // A state proof whose "seal" is another kind of entry.
    let state = town.state(b"case/11");
    let call = StateProof { seal: town.entries[11].clone(), proof: town.proof(11), ..state.clone() };
    assert!(call.verify(&policy()).unwrap_err().to_string().contains("seal: the entry is no seal"));
    // A value under another key, in another contract, and its denial.
    assert!(StateProof { key: b"case/12".to_vec(), ..state.clone() }.verify(&policy()).is_err());
    assert!(StateProof { contract: Default::default(), ..state.clone() }.verify(&policy()).is_err());
    assert!(StateProof { value: None, ..state.clone() }.verify(&policy()).is_err());
    assert!(StateProof { value: None, siblings: vec![], ..state }.verify(&policy()).is_err());
}

#[test]
fn a_policy_decides_whose_log_and_how_many_witnesses() {
    let town = Town::grown(50, 6);
    let file = town.receipt(11).to_text().unwrap();
    let under = |policy: &str| verify(file.as_bytes(), &Policy::parse(policy.as_bytes()).unwrap());
    assert!(under(&policy_text()).is_ok());
    let one_missing: String =
        file.lines().filter(|line| !line.contains("south")).map(|line| format!("{line}\n")).collect();
    let error = message(&one_missing);
    assert!(error.contains("checkpoint: the quorum both is not reached: cosigned by north"), "{error}");
    let lax = policy_text().replace("group both all", "group both any");
    assert!(verify(one_missing.as_bytes(), &Policy::parse(lax.as_bytes()).unwrap()).is_ok());
    // Another log under the same name, and no log at all.
    let other = chancery_tlog::note::VerifierKey::of(common::ORIGIN, &common::key(10)).to_vkey();
    let error = under(&format!("log {other}\nquorum none\n")).unwrap_err().to_string();
    assert!(
        error.contains("checkpoint") && error.contains("ledger.example/town is not signed by a log of the policy"),
        "{error}"
    );
    assert!(under("quorum none\n").is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_a_verifier_panic(
        header in "(chancery/(receipt|state-proof|consistency-proof)@v[12]\n)?",
        body in "((entry|module|trace|writes|contract|key|value|absent|neighbour|siblings|seal|index|extra|\u{2014} a)? ?[A-Za-z0-9+/=@. -]{0,80}\n){0,12}",
        tail in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
    ) {
        let file = [header.as_bytes(), body.as_bytes(), &tail].concat();
        proptest::prop_assert!(verify(&file, &policy()).is_err());
    }

    #[test]
    fn no_pair_of_files_makes_a_third(cut in 0usize..6000, join in 0usize..6000, which in 0usize..49) {
        let files = files();
        let (a, b) = (files[which / 7].1.as_bytes(), files[which % 7].1.as_bytes());
        let mixed = [&a[..cut.min(a.len())], &b[join.min(b.len())..]].concat();
        // Two halves that fit are a file that was there before, or one of its kind with fewer or other true parts.
        if let Ok(verified) = verify(&mixed, &policy()) {
            let whole = [a, b].iter().any(|file| verify(file, &policy()).as_ref() == Ok(&verified));
            let states = matches!(verified, Verified::Receipt(_)) && which / 7 == 1 || which % 7 == 1;
            proptest::prop_assert!(whole || states);
        }
    }
}
