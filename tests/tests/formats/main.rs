//! The worked examples of `docs/src/formats` are what the code writes, and the code reads them.
//!
//! The bytes stand on the pages alone. Each test encodes the [`sample`] and compares; the last one puts the bytes of the pages together to a
//! ledger's directory and has it verified as any other.

#![forbid(unsafe_code)]

mod sample;

use chancery_sdk::key::Key;
use chancery_state::tree;
use chancery_tests::{check_golden, dump, golden, undump};
use chancery_tlog::{Checkpoint, merkle, note::VerifierKey};
use chancery_types::call::Sibling;
use chancery_types::codec::{Decode, Encode};
use chancery_types::entry::{Effects, Rejection, Write};
use chancery_types::interface::Type;
use chancery_types::{
    Action, Entry, Event, Finding, Hash, Month, Outcome, Record, SignedCall, Step, Timestamp, TrapKind, Value, json,
};
use sample::Sample;
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

const ENTRY: &str = "docs/src/formats/entry.md";
const JOURNAL: &str = "docs/src/formats/journal.md";
const CHECKPOINT: &str = "docs/src/formats/checkpoint.md";
const SNAPSHOT: &str = "docs/src/formats/snapshot.md";
const STATE: &str = "docs/src/formats/state-tree.md";
const KEYS: &str = "docs/src/formats/storage-keys.md";

type Parts = Vec<(&'static str, Vec<u8>)>;

fn count(len: usize) -> Vec<u8> {
    u32::try_from(len).unwrap().to_bytes()
}

fn head(entry: &Entry) -> Parts {
    vec![
        ("version", entry.version.to_bytes()),
        ("index", entry.index.to_bytes()),
        ("previous", entry.previous.to_bytes()),
        ("time", entry.time.to_bytes()),
    ]
}

fn parts_of_call(signed: &SignedCall) -> Parts {
    let call = &signed.call;
    let mut parts: Parts = vec![
        ("call: ledger", call.ledger.to_bytes()),
        ("call: actor", call.actor.to_bytes()),
        ("call: request", call.request.to_bytes()),
        ("call: valid until", call.valid_until.to_bytes()),
    ];
    match &call.action {
        Action::Invoke { contract, method, arguments } => parts.extend([
            ("call: action, 0 = invoke", vec![0]),
            ("contract", contract.to_bytes()),
            ("method", method.to_bytes()),
            ("arguments: count, then the encoded fields", arguments.to_bytes()),
        ]),
        Action::Deploy { name, module, arguments } => parts.extend([
            ("call: action, 1 = deploy", vec![1]),
            ("name", name.to_bytes()),
            ("module", module.to_bytes()),
            ("arguments: none", arguments.to_bytes()),
        ]),
    }
    parts.push(("signature", signed.signature.to_bytes()));
    if !signed.path.is_empty() {
        parts.push(("path: count", count(signed.path.len())));
    }
    for sibling in &signed.path {
        let (side, tag, hash) = match sibling {
            Sibling::Left { hash } => ("sibling, 0 = at the left", 0, hash),
            Sibling::Right { hash } => ("sibling, 1 = at the right", 1, hash),
        };
        parts.extend([(side, vec![tag]), ("its hash", hash.to_bytes())]);
    }
    parts
}

fn parts_of_outcome(outcome: &Outcome) -> Parts {
    match outcome {
        Outcome::Done { result } => {
            vec![("outcome, 0 = done", vec![0]), ("result: a method that returns nothing", result.to_bytes())]
        }
        Outcome::Refused { code, detail, reasons } => vec![
            ("outcome, 1 = refused", vec![1]),
            ("code", code.to_bytes()),
            ("detail: an error without fields", detail.to_bytes()),
            ("reasons: count", count(reasons.len())),
            ("reason", reasons[0].to_bytes()),
        ],
        other => panic!("not in the sample: {other:?}"),
    }
}

fn parts_of_events(events: &[Event]) -> Parts {
    let mut parts = vec![("events: count", count(events.len()))];
    for event in events {
        parts.extend([("event: kind", event.kind.to_bytes()), ("event: its fields, counted", event.data.to_bytes())]);
    }
    parts
}

fn parts_of_entry(entry: &Entry) -> Parts {
    let mut parts = head(entry);
    match &entry.record {
        Record::Genesis { origin, nonce } => {
            parts.extend([("record, 0 = genesis", vec![0]), ("origin", origin.to_bytes()), ("nonce", nonce.to_bytes())])
        }
        Record::Seal { height, state_root, entries, keys } => parts.extend([
            ("record, 2 = seal", vec![2]),
            ("height", height.to_bytes()),
            ("state root", state_root.to_bytes()),
            ("entries", entries.to_bytes()),
            ("keys", keys.to_bytes()),
        ]),
        Record::Call { signed, contract, module, outcome, gas, prices, events, trace, movements, writes } => {
            parts.push(match signed.path.as_slice() {
                [] => ("record, 1 = call", vec![1]),
                _ => ("record, 3 = call signed together with others", vec![3]),
            });
            parts.extend(parts_of_call(signed));
            parts.extend([("contract", contract.to_bytes()), ("module", module.to_bytes())]);
            parts.extend(parts_of_outcome(outcome));
            parts.extend([("gas", gas.to_bytes()), ("prices", prices.to_bytes())]);
            parts.extend(parts_of_events(events));
            parts.extend([
                ("trace", trace.to_bytes()),
                ("movements: count", count(movements.len())),
                ("writes", writes.to_bytes()),
            ]);
        }
    }
    parts
}

fn parts_of_step(step: &Step) -> Parts {
    let mut parts: Parts = vec![
        ("step: rule", step.rule.to_bytes()),
        ("citation", step.citation.to_bytes()),
        ("inputs: count", count(step.inputs.len())),
    ];
    for input in &step.inputs {
        let Value::Integer { value } = input.value else { panic!("not in the sample") };
        parts.extend([
            ("input: name", input.name.to_bytes()),
            ("value, 1 = integer", vec![1]),
            ("its i64", value.to_bytes()),
        ]);
    }
    parts.push(match step.finding {
        Finding::Met => ("finding, 0 = met", vec![0]),
        Finding::NotMet => ("finding, 1 = not met", vec![1]),
        _ => panic!("not in the sample"),
    });
    parts
}

fn parts_of_effects(effects: &Effects) -> Parts {
    let mut parts = vec![("writes: count", count(effects.writes.len()))];
    for write in &effects.writes {
        let value = write.value.as_ref().expect("the sample removes nothing");
        parts.extend([
            ("write: contract", write.contract.to_bytes()),
            ("key, counted", write.key.to_bytes()),
            ("value, 1 = there is one", vec![1]),
            ("value, counted", value.to_bytes()),
        ]);
    }
    parts.push(("trace: count", count(effects.trace.len())));
    effects.trace.steps().iter().for_each(|step| parts.extend(parts_of_step(step)));
    parts
}

fn concat(parts: &Parts) -> Vec<u8> {
    parts.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
}

#[test]
fn the_entries_of_the_page_are_those_of_the_code() {
    let sample = Sample::new();
    for (index, (entry, _)) in sample.entries.iter().enumerate() {
        let parts = parts_of_entry(entry);
        assert_eq!(concat(&parts), entry.to_bytes(), "the parts are the encoding");
        check_golden(ENTRY, &format!("entry {index}"), &dump(&parts));
        let read = undump(&golden(ENTRY, &format!("entry {index}")));
        assert_eq!(Entry::from_bytes(&read).as_ref(), Ok(entry), "the page decodes");
        assert_eq!(Entry::is_seal(&read), entry.seal().is_some());
    }
}

#[test]
fn the_entry_of_a_call_that_was_signed_with_others_is_that_of_the_code() {
    let entry = Sample::signed_together();
    let parts = parts_of_entry(&entry);
    assert_eq!(concat(&parts), entry.to_bytes(), "the parts are the encoding");
    check_golden(ENTRY, "entry of two calls", &dump(&parts));
    let read = undump(&golden(ENTRY, "entry of two calls"));
    assert_eq!(Entry::from_bytes(&read).as_ref(), Ok(&entry), "the page decodes");
    // By nothing but the page's formulas.
    let Record::Call { signed, .. } = &entry.record else { panic!("a call") };
    let [Sibling::Left { hash }] = signed.path[..] else { panic!("the second of two") };
    let message = [&b"chancery call v1\n"[..], &signed.call.to_bytes()].concat();
    let root = blake3_of(&[&[1], &hash.0, &blake3_of(&[&[0], &message]).0]);
    let message = [&b"chancery calls v1\n"[..], &root.0].concat();
    assert!(signed.call.actor.verifies(&message, &signed.signature) && signed.is_authentic());
}

/// What the page's journal has drawn.
const TAG: [u8; 4] = [0xa1, 0x5c, 0x07, 0xe2];

/// The segment as the page describes it, by nothing but the page's formulas.
fn segment_text(sample: &Sample) -> String {
    let mut header: Parts = vec![
        ("magic: CHJSEG03", b"CHJSEG03".to_vec()),
        ("ledger id", sample.ledger.to_bytes()),
        ("segment number", 0u32.to_bytes()),
        ("tag", TAG.to_vec()),
        ("length of the segment", (64u64 << 20).to_bytes()),
        ("index of the first entry", 0u64.to_bytes()),
        ("chain before", vec![0; 32]),
    ];
    header.push(("BLAKE3 of the 96 bytes before", blake3::hash(&concat(&header)).as_bytes().to_vec()));
    let (mut text, mut chain) = (dump(&header), [0; 32]);
    let mut frame = |kind: u8, index: usize, block: u64, payload: &[u8], shown: &str| {
        let head: Parts = vec![
            ("frame: tag", TAG.to_vec()),
            (if kind == 1 { "kind, 1 = entry" } else { "kind, 2 = effects" }, vec![kind]),
            ("payload length", count(payload.len())),
            ("entry index", (index as u64).to_bytes()),
            ("first entry of its block", block.to_bytes()),
        ];
        let mut hasher = blake3::Hasher::new_derive_key("chancery 2026 journal frame v2");
        hasher.update(&chain).update(b"CHF2").update(&concat(&head)[TAG.len()..]).update(payload);
        chain = hasher.finalize().into();
        text.push_str(&dump(&head));
        text.push_str(shown);
        text.push_str(&dump(&[("chain", chain.to_vec())]));
    };
    let mut block = 0;
    for (index, (entry, effects)) in sample.entries.iter().enumerate() {
        frame(1, index, block, &entry.to_bytes(), &format!("<entry {index}>\n"));
        if let Some(effects) = effects {
            let parts = parts_of_effects(effects);
            assert_eq!(concat(&parts), effects.to_bytes());
            frame(2, index, block, &effects.to_bytes(), &dump(&parts));
        }
        if entry.seal().is_some() {
            block = index as u64 + 1;
        }
    }
    text
}

/// The bytes of the segment, from the pages.
fn segment_bytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in golden(JOURNAL, "segment").lines() {
        match line.strip_prefix("<entry ").and_then(|line| line.strip_suffix('>')) {
            Some(index) => bytes.extend(undump(&golden(ENTRY, &format!("entry {index}")))),
            None => bytes.extend(undump(line)),
        }
    }
    bytes
}

#[test]
fn the_checkpoint_of_the_page_is_that_of_the_code() {
    let (sample, verifier) = (Sample::new(), Sample::verifier());
    let mut hashes = String::new();
    for index in 0..sample.entries.len() {
        writeln!(hashes, "leaf {index}  {}", merkle::leaf_hash(&sample.bytes(index))).unwrap();
    }
    let log = sample.log();
    let leaf = |index| merkle::leaf_hash(&sample.bytes(index));
    let left = merkle::node_hash(&merkle::node_hash(&leaf(0), &leaf(1)), &merkle::node_hash(&leaf(2), &leaf(3)));
    let right = merkle::node_hash(&leaf(4), &leaf(5));
    assert_eq!(log.root(), merkle::node_hash(&left, &right), "the root as the page draws it");
    writeln!(hashes, "node 0-3 {left}\nnode 4-5 {right}\nroot     {}", log.root()).unwrap();
    check_golden(CHECKPOINT, "hashes", &hashes);
    check_golden(CHECKPOINT, "note", &sample.note());
    check_golden(CHECKPOINT, "vkey", &format!("{}\n", verifier.to_vkey()));
    let path: String = log.prove_inclusion(3, 6).unwrap().iter().map(|hash| format!("{hash}\n")).collect();
    check_golden(CHECKPOINT, "inclusion of entry 3", &path);

    let vkey = VerifierKey::parse(golden(CHECKPOINT, "vkey").trim()).expect("the page's key");
    let opened = Checkpoint::open(&golden(CHECKPOINT, "note"), &vkey).expect("the page's note");
    assert_eq!((opened.size, opened.root), (6, log.root()));
    let path = golden(CHECKPOINT, "inclusion of entry 3");
    let path: Vec<Hash> = path.lines().map(|line| Hash::parse(line).unwrap()).collect();
    assert!(merkle::check_inclusion(&leaf(3), 3, 6, &path, &opened.root));
}

fn blake3_of(parts: &[&[u8]]) -> Hash {
    Hash(blake3::hash(&parts.concat()).into())
}

#[test]
fn the_state_tree_of_the_page_is_that_of_the_code() {
    let sample = Sample::new();
    let (mut text, mut leaves) = (String::new(), Vec::new());
    for write in &sample.writes {
        let value = write.value.as_deref().unwrap();
        let (path, value_hash) = (tree::path(&write.contract, &write.key), tree::value_hash(value));
        let leaf = blake3_of(&[b"JMT::LeafNode", &path.0, &value_hash.0]);
        let (key, value) = (hex::encode(&write.key), hex::encode(value));
        let contract = write.contract;
        writeln!(
            text,
            "contract    {contract}\nkey         {key}\nvalue       {value}\npath        {path}\nvalue hash  {value_hash}\nleaf        {leaf}\n"
        )
        .unwrap();
        leaves.push((path, leaf));
    }
    let bits = |n: usize| leaves[n].0.0[0] >> 7;
    assert_eq!((bits(0), bits(1)), (1, 0), "the two paths part at their first bit, as the page says");
    let root = blake3_of(&[b"JMT::IntrnalNode", &leaves[1].1.0, &leaves[0].1.0]);
    assert_eq!(root, sample.state.root(), "the root by the page's formulas");
    writeln!(text, "root        {root}").unwrap();
    check_golden(STATE, "tree", &text);

    let proof = sample.state.prove(&leaves[1].0);
    assert_eq!(proof.siblings, [leaves[0].1], "the proof that the page gives");
    assert!(proof.verify(&root, &leaves[1].0, proof.leaf.map(|(_, value)| value).as_ref()));
}

#[test]
fn the_contract_id_of_the_page_is_that_of_the_code() {
    let sample = Sample::new();
    let mut hasher = blake3::Hasher::new_derive_key("chancery 2026 contract id v1");
    hasher.update(&sample.ledger.0).update(&1u128.to_le_bytes()).update(b"notes");
    assert_eq!(sample.contract.0, *hasher.finalize().as_bytes());
    let record = sample.writes[0].value.clone().unwrap();
    let record = chancery_node::ContractRecord::from_bytes(&record).expect("a contract's record");
    assert_eq!((record.name.as_str(), record.id, record.deployed), ("notes", sample.contract, 2));
}

/// A row of the table of keys: both encoders, that of contracts and that of the edge, must give the same bytes.
fn key_row(types: &[Type], values: &[serde_json::Value], key: &impl Key, text: &mut String) {
    let (mut edge, mut sdk) = (Vec::new(), Vec::new());
    for (ty, value) in types.iter().zip(values) {
        json::encode_key(ty, value, &mut edge).unwrap();
    }
    key.write(&mut sdk);
    assert_eq!(edge, sdk, "{values:?}");
    let names: Vec<String> = types.iter().map(Type::describe).collect();
    let values: Vec<String> = values.iter().map(|value| value.to_string()).collect();
    let bytes: Vec<String> = sdk.iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(text, "{:12} {:22} {}", names.join(", "), values.join(", "), bytes.join(" ")).unwrap();
}

#[test]
fn the_storage_keys_of_the_page_are_those_of_the_code() {
    use Type::{Bool, Date, I64, List, Month as MonthType, Text, Timestamp as TimestampType, U8, U16};
    let date = chancery_types::Date::parse("2024-02-29").unwrap();
    let time = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
    let mut text = String::new();
    key_row(&[Bool], &[json!(true)], &true, &mut text);
    key_row(&[U16], &[json!(258)], &258u16, &mut text);
    key_row(&[I64], &[json!(-1)], &-1i64, &mut text);
    key_row(&[I64], &[json!(0)], &0i64, &mut text);
    key_row(&[Date], &[json!("2024-02-29")], &date, &mut text);
    key_row(&[MonthType], &[json!("2024-02")], &Month::new(2024, 2).unwrap(), &mut text);
    key_row(&[TimestampType], &[json!("2026-01-01T00:00:00Z")], &time, &mut text);
    key_row(&[Text], &[json!("né")], &String::from("né"), &mut text);
    key_row(&[List { of: Box::new(U8) }], &[json!("61006200")], &b"a\0b\0".to_vec(), &mut text);
    key_row(&[Text, U16], &[json!("ab"), json!(2024)], &(String::from("ab"), 2024u16), &mut text);
    check_golden(KEYS, "keys", &text);
}

/// The ledger of the pages, in a directory.
fn write_ledger(dir: &Path) {
    let at = |name: &str| dir.join(name);
    std::fs::create_dir(at("journal")).unwrap();
    std::fs::write(at("format"), golden(JOURNAL, "format")).unwrap();
    std::fs::write(at("log.vkey"), golden(CHECKPOINT, "vkey")).unwrap();
    std::fs::create_dir(at("public")).unwrap();
    std::fs::write(at("public/checkpoint"), golden(CHECKPOINT, "note")).unwrap();
    let segment = at("journal/00000000.seg");
    std::fs::write(&segment, segment_bytes()).unwrap();
    std::fs::OpenOptions::new().write(true).open(&segment).unwrap().set_len(64 << 20).unwrap();
}

#[test]
fn the_bytes_of_the_pages_are_a_ledger_that_verifies() {
    let sample = Sample::new();
    check_golden(JOURNAL, "segment", &segment_text(&sample));
    let dir = tempfile::tempdir().unwrap();
    write_ledger(dir.path());
    let report = chancery_node::verify(dir.path(), &(Arc::new(|_: &str, _, _| {}) as _)).expect("the pages' ledger");
    assert_eq!((report.entries, report.calls, report.blocks, report.keys), (6, 3, 2, 2));
    assert_eq!((report.ledger, report.checkpoint, report.torn), (sample.ledger, Some(6), false));
    assert_eq!((report.root, report.state_root), (sample.log().root(), sample.state.root()));
}

#[test]
fn the_snapshot_of_the_page_is_that_of_the_code() {
    use chancery_node::snapshot::{Trust, create, restore, verify};
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write_ledger(dir.path());
    let module = sample::MODULE;
    let name = Hash::of(module).to_string();
    std::fs::create_dir_all(at("blobs").join(&name[..2])).unwrap();
    std::fs::write(at("blobs").join(&name[..2]).join(&name), module).unwrap();
    let silent: chancery_node::Progress = Arc::new(|_, _, _| {});
    let disk: Arc<dyn chancery_node::Disk> = Arc::new(chancery_node::OsDisk);
    let out = tempfile::tempdir().unwrap();
    let made = create(&disk, dir.path(), &out.path().join("copy"), &silent).unwrap();
    let text = std::fs::read_to_string(out.path().join("copy/snapshot")).unwrap();
    check_golden(SNAPSHOT, "snapshot", &text);
    check_golden(SNAPSHOT, "root", &format!("{}\n", made.root));
    let chunk = |what: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        std::fs::read(out.path().join("copy/chunks").join(line.split(' ').next().unwrap())).unwrap()
    };
    let log = chunk("log ");
    let genesis = Sample::new().bytes(0);
    let parts = [
        ("entry length", count(genesis.len())),
        ("effects length", count(0)),
        ("entry 0, and so on", genesis[..16].to_vec()),
    ];
    check_golden(SNAPSHOT, "log chunk", &dump(&parts));
    assert!(log.starts_with(&undump(&golden(SNAPSHOT, "log chunk"))));
    let parts: Parts = Sample::new()
        .writes
        .into_iter()
        .flat_map(|Write { contract, key, value }| {
            let value = value.unwrap();
            vec![
                ("contract", contract.0.to_vec()),
                ("key length", count(key.len())),
                ("value length", count(value.len())),
                ("key", key),
                ("value", value),
            ]
        })
        .collect();
    check_golden(SNAPSHOT, "state chunk", &dump(&parts));
    assert_eq!(chunk("state "), undump(&golden(SNAPSHOT, "state chunk")));

    let report = verify(&*disk, &out.path().join("copy"), &Trust::default(), &silent).unwrap();
    assert_eq!((report.entries, report.calls, report.root), (6, 3, made.root));
    let options = chancery_node::Options::default();
    restore(&out.path().join("copy"), &out.path().join("new"), &Trust::default(), &options).unwrap();
    assert_eq!(chancery_node::verify(&out.path().join("new"), &silent).unwrap().entries, 6);
}

#[test]
fn the_retention_of_the_page_is_that_of_the_code() {
    check_golden("docs/src/formats/public-log.md", "retention", chancery_node::retention::RETENTION);
}

/// The ordinals of a closed set, one a line.
fn ordinals(words: impl Fn(u8) -> Option<&'static str>) -> String {
    (0..=u8::MAX).map_while(|ordinal| Some(format!("{ordinal:2}  {}\n", words(ordinal)?))).collect()
}

#[test]
fn the_kinds_of_traps_and_rejections_of_the_page_are_those_of_the_code() {
    let trap = |ordinal| TrapKind::from_bytes(&[ordinal]).ok().map(TrapKind::as_str);
    let rejection = |ordinal| Rejection::from_bytes(&[ordinal]).ok().map(Rejection::as_str);
    check_golden(ENTRY, "traps", &ordinals(trap));
    check_golden(ENTRY, "rejections", &ordinals(rejection));
}
