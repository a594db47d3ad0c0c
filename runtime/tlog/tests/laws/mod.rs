//! What holds of every parser whatever bytes it gets: it does not panic, and what it accepts has one spelling, so that
//! writing it again gives the same bytes. The property tests and the fuzz targets of `tests/fuzz` call these.

pub mod examples;

use chancery_tlog::cosignature::WitnessKey;
use chancery_tlog::note::{self, VerifierKey};
use chancery_tlog::tile::{Bundle, Tile, decode_bundle, encode_bundle};
use chancery_tlog::witness::{Request, parse_size};
use chancery_tlog::{Checkpoint, Policy, TlogProof};

/// What holds of a parser whatever bytes it gets; it panics where it does not hold.
pub type Law = fn(&[u8]);

/// The name of each law and the law.
pub const LAWS: [(&str, Law); 8] = [
    ("note", note),
    ("checkpoint", checkpoint),
    ("tile_path", tile_path),
    ("bundle", bundle),
    ("proof", proof),
    ("policy", policy),
    ("request", request),
    ("entry", entry),
];

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

pub fn note(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok((body, lines)) = note::split(text) {
        let joined: String = lines.iter().flat_map(|line| [*line, "\n"]).collect();
        assert_eq!([body, "\n", &joined].concat(), text);
    }
    // A key that signed nothing: never accepted.
    let stranger = VerifierKey { name: "stranger".into(), key: chancery_types::PublicKey([7; 32]) };
    assert!(note::open(text, &stranger).is_err());
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(key.to_vkey(), text);
        assert!(WitnessKey::parse(text).is_err());
    }
    if let Ok(key) = WitnessKey::parse(text) {
        assert_eq!(key.to_vkey(), text);
    }
}

pub fn checkpoint(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        // Extension lines, which we read over, follow the three.
        assert!(text.starts_with(&checkpoint.text()));
        assert!(text.len() == checkpoint.text().len() || text.ends_with('\n'));
    }
}

pub fn tile_path(bytes: &[u8]) {
    let text = text(bytes);
    if let Ok(tile) = Tile::parse(text) {
        assert_eq!(tile.path(), text);
        assert!((1..=256).contains(&tile.width) && tile.level <= 63);
    }
    if let Ok(bundle) = Bundle::parse(text) {
        assert_eq!(bundle.path(), text);
        assert!((1..=256).contains(&bundle.width));
        assert_eq!(Tile::parse(&bundle.tile().path()), Ok(bundle.tile()));
    }
}

/// The first two bytes are the width that is asked for.
pub fn bundle(bytes: &[u8]) {
    let Some((width, bytes)) = bytes.split_first_chunk() else { return };
    if let Ok(entries) = decode_bundle(bytes, u16::from_be_bytes(*width)) {
        assert_eq!(entries.len(), usize::from(u16::from_be_bytes(*width)));
        assert_eq!(encode_bundle(&entries).as_deref(), Ok(bytes));
    }
}

pub fn proof(bytes: &[u8]) {
    if let Ok(proof) = TlogProof::parse(bytes) {
        assert_eq!(proof.to_string().as_bytes(), bytes);
        let stranger = VerifierKey { name: "stranger".into(), key: chancery_types::PublicKey([7; 32]) };
        assert!(proof.verify(b"entry", &Policy::of_log(stranger)).is_err());
    }
}

/// Comments and spaces are not kept: what is written is read as the same policy.
pub fn policy(bytes: &[u8]) {
    if let Ok(policy) = Policy::parse(bytes) {
        let written = policy.to_string();
        let again = Policy::parse(written.as_bytes());
        assert_eq!(again.as_ref().map(ToString::to_string), Ok(written));
        assert_eq!(again, Ok(policy.clone()));
        // All witnesses together are a quorum, whatever the groups.
        assert!(policy.is_quorum(&(0..policy.witnesses().len()).collect::<Vec<_>>()));
    }
}

pub fn request(bytes: &[u8]) {
    if let Ok(request) = Request::parse(bytes) {
        assert_eq!(request.to_string().as_bytes(), bytes);
    }
    if let Some(size) = parse_size(bytes) {
        assert_eq!(format!("{size}\n").as_bytes(), bytes);
    }
}

pub fn entry(bytes: &[u8]) {
    use chancery_types::codec::{Decode, Encode};
    if let Ok(entry) = chancery_types::Entry::from_bytes(bytes) {
        assert_eq!(entry.to_bytes(), bytes);
    }
}
