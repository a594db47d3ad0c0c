//! The laws of every parser, over arbitrary bytes, over valid input with a few bytes changed, and over every beginning of
//! valid input. The fuzz targets of `tests/fuzz` look further.

mod laws;

use laws::examples::examples;
use laws::{LAWS, Law};
use proptest::prelude::*;
use std::sync::LazyLock;

/// What people and programs get wrong.
const SPLICES: [&[u8]; 12] =
    [b"\n", b"\n\n", b"\r", b"0", b"=", b"+", b" ", b"\t", b"\xe2\x80\x94 ", b"x", b"\xff", b"\0"];

#[test]
fn each_law_has_examples_that_its_parser_accepts_or_refuses_without_panic() {
    for (name, law) in LAWS {
        let examples = examples(name);
        assert!(!examples.is_empty(), "{name}");
        for example in examples {
            law(&example);
            (0..example.len()).for_each(|length| law(&example[..length]));
            law(&[&example[..], &example].concat());
        }
    }
}

/// The examples are what the parsers accept: else the laws would hold of nothing.
#[test]
fn the_examples_are_accepted() {
    use chancery_tlog::witness::Request;
    use chancery_tlog::{Checkpoint, Policy, TlogProof, note, tile};
    use chancery_types::codec::Decode;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert!(examples("note")[..2].iter().all(|bytes| note::split(&text(bytes)).is_ok()));
    assert!(examples("checkpoint").iter().all(|bytes| Checkpoint::parse(&text(bytes)).is_ok()));
    let path = |path: &str| tile::Tile::parse(path).is_ok() || tile::Bundle::parse(path).is_ok();
    assert!(examples("tile_path").iter().all(|bytes| path(&text(bytes))));
    assert!(examples("bundle").iter().all(|b| tile::decode_bundle(&b[2..], u16::from_be_bytes([b[0], b[1]])).is_ok()));
    assert!(examples("proof").iter().all(|bytes| TlogProof::parse(bytes).is_ok()));
    assert!(examples("policy").iter().all(|bytes| Policy::parse(bytes).is_ok()));
    assert!(examples("request")[..3].iter().all(|bytes| Request::parse(bytes).is_ok()));
    assert!(examples("entry").iter().all(|bytes| chancery_types::Entry::from_bytes(bytes).is_ok()));
}

/// All examples, each with its law.
static EXAMPLES: LazyLock<Vec<(Law, Vec<u8>)>> = LazyLock::new(|| {
    LAWS.iter().flat_map(|(name, law)| examples(name).into_iter().map(|example| (*law, example))).collect()
});

/// A valid input with some changes: a place (of 10,000), and what is put there instead of so many bytes.
fn changed(example: &[u8], changes: &[(usize, usize, usize)]) -> Vec<u8> {
    let mut bytes = example.to_vec();
    for (place, remove, splice) in changes {
        let at = place * bytes.len() / 10_000;
        let end = (at + remove).min(bytes.len());
        match SPLICES.get(*splice) {
            Some(splice) => drop(bytes.splice(at..end, splice.iter().copied())),
            None if at < bytes.len() => bytes[at] ^= 1 << (splice % 8),
            None => {}
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold_of_arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        LAWS.iter().for_each(|(_, law)| law(&bytes));
    }

    #[test]
    fn the_laws_hold_of_arbitrary_text(text in "[ -~\n—]{0,200}") {
        LAWS.iter().for_each(|(_, law)| law(text.as_bytes()));
    }

    #[test]
    fn the_laws_hold_of_changed_examples(changes in prop::collection::vec((0..10_000usize, 0..3usize, 0..24usize), 1..4)) {
        EXAMPLES.iter().for_each(|(law, example)| law(&changed(example, &changes)));
    }
}
