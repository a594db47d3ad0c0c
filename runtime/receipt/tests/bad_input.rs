//! Every kind of file that a log hands out or is served from, with every kind of fault: the message names the field at fault.
//!
//! Nothing of a log has an end: a receipt verifies for ever, and so nothing here can be *expired*. What can is a call before it is logged; the node
//! refuses it (`an_expired_call`, in the command line's tests). A fault that a kind cannot have is written down with the reason.

mod common;

use chancery_receipt::{Policy, TlogProof, verify};
use chancery_tlog::note::VerifierKey;
use chancery_tlog::tile::{Bundle, Tile, decode_bundle, encode_bundle};
use common::{Town, key, log_key, policy, policy_text};
use std::collections::BTreeMap;

const FAULTS: [&str; 7] =
    ["truncated", "over-long", "non-canonical", "non-UTF-8", "wrong origin", "wrong key", "future version"];

/// What is said of a checkpoint that somebody else signed under the log's name.
const NOT_ITS_KEY: &str =
    "of ledger.example/town is not signed by a log of the policy, which knows ledger.example/town+";

/// What a row of the table does: bytes that must be refused with a message that has all of these parts, or why there are none.
enum Row {
    Refused(Vec<u8>, Vec<&'static str>),
    Impossible(&'static str),
}

use Row::{Impossible, Refused};

/// Reads a file; answers with the message.
type Reader = Box<dyn Fn(&[u8]) -> Result<(), String>>;

/// A kind of file: its reader, which answers with the message, one that is accepted, and the table.
struct Kind {
    name: &'static str,
    read: Reader,
    good: Vec<u8>,
    rows: Vec<(&'static str, Row)>,
}

fn refused(bytes: impl AsRef<[u8]>, parts: &[&'static str]) -> Row {
    Refused(bytes.as_ref().to_vec(), parts.to_vec())
}

/// `text` with its first `from` made `to`.
#[track_caller]
fn with(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

/// `text` up to a few bytes into `mark`.
#[track_caller]
fn cut(text: &str, mark: &str) -> String {
    text[..text.find(mark).expect(mark) + mark.len() + 3].into()
}

/// `text` with a byte that is no UTF-8 in the place of the one behind `mark`.
#[track_caller]
fn not_utf8(text: &str, mark: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes[text.find(mark).expect(mark) + mark.len()] = 0xff;
    bytes
}

/// The policy's checkpoints, signed by a log of another name, and by another key under the same name.
fn signed_otherwise(town: &Town, text: &str) -> [String; 2] {
    let honest = town.checkpoint(town.size());
    let mut elsewhere = honest.clone();
    elsewhere.origin = "ledger.example/elsewhere".into();
    [elsewhere.sign(&log_key()), honest.sign(&key(10))].map(|note| text.replace(&common::cosigned(&honest), &note))
}

fn receipt(town: &Town) -> Kind {
    let file = chancery_receipt::Receipt { module: None, ..town.full_receipt(11) }.to_text().unwrap();
    let [elsewhere, other_key] = signed_otherwise(town, &file);
    let entry = "A".repeat(4 * 65_536 / 3 + 3);
    let rows = vec![
        ("truncated", refused(cut(&file, "\nentry "), &["line 2, entry", "truncated"])),
        ("truncated", refused(cut(&file, "\nindex "), &["tlog-proof from this line on", "path"])),
        ("over-long", refused(" ".repeat((4 << 20) + 1), &["the file has 4194305 bytes, at most 4194304"])),
        (
            "over-long",
            refused(
                format!("chancery/receipt@v1\nentry {}\n", &entry[..entry.len() / 4 * 4]),
                &["line 2, entry", "at most 65535 bytes"],
            ),
        ),
        ("non-canonical", refused(with(&file, "\nindex 11\n", "\nindex 011\n"), &["index"])),
        ("non-canonical", refused(with(&file, "\nentry ", "\nentry  "), &["line 2, entry: expected base64"])),
        ("non-canonical", refused(with(&file, "\nwrites ", "\nwrites -\nwrites "), &["entry: expected an empty line"])),
        ("non-UTF-8", refused(not_utf8(&file, "\ntrace "), &["line 3, text: expected UTF-8"])),
        ("wrong origin", refused(elsewhere, &["checkpoint", "ledger.example/elsewhere", "not signed by a log"])),
        ("wrong key", refused(other_key, &["checkpoint", NOT_ITS_KEY])),
        ("future version", refused(with(&file, "receipt@v1", "receipt@v2"), &["line 1, header", "version `v2`"])),
        ("future version", refused(with(&file, "tlog-proof@v1", "tlog-proof@v2"), &["tlog-proof", "version 1"])),
    ];
    Kind { name: "receipt", read: verifier(), good: file.into_bytes(), rows }
}

fn verifier() -> Reader {
    Box::new(|bytes| verify(bytes, &policy()).map(drop).map_err(|error| error.to_string()))
}

fn state_proof(town: &Town) -> Kind {
    let file = town.state(b"case/11").to_text().unwrap();
    let [elsewhere, other_key] = signed_otherwise(town, &file);
    let digits = file.lines().find(|line| line.starts_with("siblings ")).unwrap();
    let contract = "c0".repeat(32);
    let rows = vec![
        ("truncated", refused(cut(&file, "\ncontract "), &["line 2, contract", "truncated"])),
        ("truncated", refused(cut(&file, "\nseal "), &["seal", "truncated"])),
        ("over-long", refused(with(&file, "\nkey ", &format!("\nkey {}", "AAAA".repeat(171))), &["line 3, key"])),
        ("over-long", refused(with(&file, digits, &format!("siblings {}", "1".repeat(257))), &["siblings", "256"])),
        ("non-canonical", refused(with(&file, &contract, &contract.to_uppercase()), &["contract", "lower-case"])),
        ("non-canonical", refused(with(&file, digits, &format!("{digits}2")), &["siblings", "digits 0 and 1"])),
        ("non-canonical", refused(with(&file, "\nvalue ", "\nvalue ="), &["line 4, value: expected base64"])),
        ("non-UTF-8", refused(not_utf8(&file, "\nkey "), &["line 3, text: expected UTF-8"])),
        ("wrong origin", refused(elsewhere, &["checkpoint", "ledger.example/elsewhere"])),
        ("wrong key", refused(other_key, &["checkpoint", NOT_ITS_KEY])),
        ("future version", refused(with(&file, "proof@v2", "proof@v3"), &["line 1, header", "version `v3`"])),
    ];
    Kind { name: "state proof", read: verifier(), good: file.into_bytes(), rows }
}

fn consistency_proof(town: &Town) -> Kind {
    let file = town.consistency(23).to_text();
    let [elsewhere, other_key] = signed_otherwise(town, &file);
    let first = file.lines().nth(1).unwrap();
    let many = format!("{first}\n").repeat(65);
    let rows = vec![
        ("truncated", refused(cut(&file, "\n\nledger"), &["older checkpoint", "truncated"])),
        ("truncated", refused(&file[..file.len() - 3], &["newer checkpoint", "truncated"])),
        ("over-long", refused(with(&file, first, many.trim_end()), &["consistency proof", "at most 64 hashes"])),
        ("non-canonical", refused(with(&file, first, &first[..43]), &["line 2, consistency proof: expected 32 bytes"])),
        ("non-UTF-8", refused(not_utf8(&file, "\n\nledger"), &["text: expected UTF-8"])),
        ("wrong origin", refused(elsewhere, &["checkpoint", "ledger.example/elsewhere"])),
        ("wrong key", refused(other_key, &["newer checkpoint", NOT_ITS_KEY])),
        ("future version", refused(with(&file, "proof@v1", "proof@v2"), &["line 1, header", "version `v2`"])),
    ];
    Kind { name: "consistency proof", read: verifier(), good: file.into_bytes(), rows }
}

fn tlog_proof(town: &Town) -> Kind {
    let file = town.proof(11).to_string();
    let [elsewhere, other_key] = signed_otherwise(town, &file);
    let entry = town.entries[11].clone();
    let read = move |bytes: &[u8]| {
        let proof = TlogProof::parse(bytes).map_err(|error| error.to_string())?;
        proof.verify(&entry, &policy()).map(drop).map_err(|error| error.to_string())
    };
    let first = file.lines().nth(2).unwrap();
    let many = format!("{first}\n").repeat(65);
    let rows = vec![
        ("truncated", refused(cut(&file, "\nindex "), &["path: the file ends here"])),
        ("truncated", refused(cut(&file, "\n\nledger"), &["checkpoint"])),
        ("over-long", refused(with(&file, first, many.trim_end()), &["path"])),
        ("non-canonical", refused(with(&file, "index 11", "index +11"), &["index"])),
        ("non-UTF-8", refused(not_utf8(&file, "\nindex "), &["UTF-8 from byte 29 on"])),
        ("wrong origin", refused(elsewhere, &["checkpoint", "ledger.example/elsewhere"])),
        ("wrong key", refused(other_key, &["checkpoint", NOT_ITS_KEY])),
        ("future version", refused(with(&file, "proof@v1", "proof@v2"), &["version 1", "tlog-proof@v2"])),
    ];
    Kind { name: "tlog-proof", read: Box::new(read), good: file.into_bytes(), rows }
}

fn checkpoint(town: &Town) -> Kind {
    let file = common::cosigned(&town.checkpoint(50));
    let [elsewhere, other_key] = signed_otherwise(town, &file);
    let read = |bytes: &[u8]| {
        let note = std::str::from_utf8(bytes).map_err(|error| format!("the checkpoint is not UTF-8: {error}"))?;
        policy().open(note).map(drop).map_err(|error| error.to_string())
    };
    let resized = {
        let text = with(&town.checkpoint(50).text(), "\n50\n", "\n050\n");
        chancery_tlog::note::sign(&text, common::ORIGIN, &log_key())
    };
    let rows = vec![
        ("truncated", refused(&file[..file.len() - 2], &["no line feed at the end"])),
        ("truncated", refused(cut(&file, "\n50"), &["note"])),
        ("over-long", refused(format!("{file}{}", file.lines().last().unwrap().repeat(9_000)), &["note"])),
        ("non-canonical", refused(resized, &["size"])),
        ("wrong origin", refused(elsewhere, &["ledger.example/elsewhere", "not signed by a log of the policy"])),
        ("wrong key", refused(other_key, &[NOT_ITS_KEY])),
        ("non-UTF-8", Impossible("a text is read as UTF-8 before it is a note; the files above show it")),
        ("future version", Impossible("a checkpoint has no version; its extension lines are whoever's who reads them")),
    ];
    Kind { name: "checkpoint", read: Box::new(read), good: file.into_bytes(), rows }
}

fn trust_policy() -> Kind {
    let file = policy_text();
    let read = |bytes: &[u8]| Policy::parse(bytes).map(drop).map_err(|error| error.to_string());
    let vkey = VerifierKey::of(common::ORIGIN, &log_key()).to_vkey();
    let id = vkey.split('+').nth(1).unwrap();
    let rows = vec![
        ("truncated", refused(&file[..file.len() - 1], &["last line has no line feed"])),
        ("over-long", refused(format!("#{}\n", "x".repeat(65_536)), &["65538 bytes", "at most 65,536"])),
        ("non-canonical", refused(with(&file, "both all", "both 02"), &["line 4", "threshold is `02`"])),
        ("non-UTF-8", refused(not_utf8(&file, "\nwitness "), &["not UTF-8 from byte"])),
        (
            "wrong origin",
            refused(with(&file, common::ORIGIN, "ledger.example/other"), &["line 1", "id is not that of"]),
        ),
        ("wrong key", refused(with(&file, id, "00000000"), &["line 1", "vkey's id is not that of its name and key"])),
        ("future version", refused(format!("{file}threshold 2\n"), &["line 6", "`threshold` is no statement"])),
    ];
    Kind { name: "policy", read: Box::new(read), good: file.into_bytes(), rows }
}

fn tile_path() -> Kind {
    let read = |bytes: &[u8]| {
        let path = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        if path.starts_with("tile/entries/") {
            Bundle::parse(path).map(drop).map_err(|error| error.to_string())
        } else {
            Tile::parse(path).map(drop).map_err(|error| error.to_string())
        }
    };
    let form = &["not the path of a tile", "expected tile/<level>/<number>[.p/<width>]"];
    let rows = vec![
        ("truncated", refused("tile/0/00", form)),
        ("truncated", refused("tile/entries/x001", &["not the path of an entry bundle"])),
        ("over-long", refused(format!("tile/0/{}000", "x999/".repeat(9)), form)),
        ("non-canonical", refused("tile/00/000", form)),
        ("non-canonical", refused("tile/0/x000/001", form)),
        ("non-canonical", refused("tile/0/000.p/0", form)),
        ("non-canonical", refused("tile/0/000.p/256", form)),
        ("future version", refused("tile/8/0/000", form)),
        ("non-UTF-8", Impossible("a path is a text")),
        ("wrong origin", Impossible("a path names no log")),
        ("wrong key", Impossible("a path is not signed")),
    ];
    Kind { name: "tile path", read: Box::new(read), good: b"tile/0/x001/234.p/7".to_vec(), rows }
}

fn bundle() -> Kind {
    let read = |bytes: &[u8]| decode_bundle(bytes, 3).map(drop).map_err(|error| error.to_string());
    let good = encode_bundle(&[vec![1; 5], vec![2; 300], vec![3]]).unwrap();
    let rows = vec![
        ("truncated", refused(&good[..good.len() - 1], &["ends within entry 2"])),
        ("over-long", refused([&good[..], &[0, 0]].concat(), &["2 bytes after its last entry"])),
        ("non-canonical", Impossible("a length and so many bytes have one spelling")),
        ("non-UTF-8", Impossible("a bundle is no text")),
        ("wrong origin", Impossible("the origin is in entry 0, which the export's verifiers compare")),
        ("wrong key", Impossible("a bundle is signed by the checkpoint alone")),
        ("future version", Impossible("a bundle has no version; its entries have")),
    ];
    Kind { name: "bundle", read: Box::new(read), good, rows }
}

/// An entry is read where it stands: in a receipt that its log made of it.
fn entry(town: &Town) -> Kind {
    let honest = town.entries.clone();
    let read = move |bytes: &[u8]| {
        let mut entries = honest.clone();
        entries[11] = bytes.to_vec();
        Town::forged(entries).receipt(11).verify(&policy()).map(drop).map_err(|error| error.to_string())
    };
    let good = town.entries[11].clone();
    let at = |place: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[place] = byte;
        bytes
    };
    // The signature of the actor is of the call, which names the ledger; the last byte of `permits` is within it.
    let called = good.windows(7).position(|window| window == b"permits").unwrap();
    let rows = vec![
        ("truncated", refused(&good[..good.len() - 1], &["entry: it does not decode as an entry"])),
        ("over-long", refused([&good[..], &[0]].concat(), &["entry: it does not decode", "bytes are left"])),
        ("over-long", refused(vec![1; 65_536], &["entry: an entry has at most 65535 bytes, this has 65536"])),
        ("non-canonical", refused(at(50, 9), &["entry: it does not decode", "no known variant"])),
        ("non-UTF-8", refused(at(called, 0xff), &["entry: it does not decode", "UTF-8"])),
        ("wrong origin", refused(at(51, good[51] ^ 1), &["actor", "not signed by the actor"])),
        ("wrong key", refused(at(83, good[83] ^ 1), &["actor", "not signed by the actor"])),
        ("future version", refused(at(0, 3), &["entry: expected an entry of version 1 to 2, found version 3"])),
        (
            "future version",
            refused(at(0, 2), &["entry: it says that it is of version 2, what it holds is of version 1"]),
        ),
    ];
    Kind { name: "entry", read: Box::new(read), good: good.clone(), rows }
}

#[test]
fn each_fault_of_each_kind_of_file_is_refused_and_the_field_named() {
    let town = Town::grown(50, 6);
    let kinds = [
        receipt(&town),
        state_proof(&town),
        consistency_proof(&town),
        tlog_proof(&town),
        checkpoint(&town),
        trust_policy(),
        tile_path(),
        bundle(),
        entry(&town),
    ];
    let mut wrong = Vec::new();
    for Kind { name, read, good, rows } in kinds {
        assert_eq!(read(&good), Ok(()), "{name}: the file without fault");
        let mut seen = BTreeMap::new();
        for (fault, row) in rows {
            assert!(FAULTS.contains(&fault), "{name}: {fault}");
            *seen.entry(fault).or_insert(0) += 1;
            match row {
                Impossible(reason) => assert!(!reason.is_empty()),
                Refused(bytes, parts) => match read(&bytes) {
                    Ok(()) => wrong.push(format!("{name}, {fault}: accepted")),
                    Err(message) if parts.iter().all(|part| message.contains(part)) => {}
                    Err(message) => wrong.push(format!("{name}, {fault}: {message}\n    expected {parts:?}")),
                },
            }
        }
        assert_eq!(seen.len(), FAULTS.len(), "{name}: every fault has a row: {seen:?}");
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
