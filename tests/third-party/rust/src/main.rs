//! Verifies an export with three crates of other authors and nothing of ours. It runs in a directory that holds the exported files only.
//!
//! - `signed_note` and `tlog_tiles` (Cloudflare): the checkpoint's signatures, every entry against the tiles, inclusion and consistency
//!   proofs made from the tiles. The published `tlog_tiles` names tiles `tile/8/L/N` and bundles `tile/8/data/N`, as they were named before C2SP
//!   tlog-tiles; that is the only translation.
//! - `ct-merkle` (Michael Rosenberg): the tree over all entries from nothing, its root against the checkpoint, and the proofs of
//!   each crate checked by the other.

use base64::{Engine, engine::general_purpose::STANDARD};
use ct_merkle::ConsistencyProof;
use ct_merkle::{InclusionProof, RootHash, mem_backed_tree::MemoryBackedTree};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::Sha256;
use signed_note::{Note, StandardVerifier, Verifier, VerifierList, key_id};
use std::error::Error;
use tlog_tiles::{
    Checkpoint, Hash, HashReader, Tile, TileHashReader, TileReader, check_record, check_tree, prove_record, prove_tree,
    record_hash, stored_hash_index, tree_hash,
};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// A witness of C2SP tlog-cosignature v1, which `signed_note` does not know.
struct Witness {
    name: String,
    id: u32,
    key: VerifyingKey,
}

impl Witness {
    fn new(vkey: &str) -> Outcome<Self> {
        let (name, rest) = vkey.split_once('+').ok_or("malformed vkey")?;
        let key = STANDARD.decode(rest.split_once('+').ok_or("malformed vkey")?.1)?;
        let public = <[u8; 32]>::try_from(key.strip_prefix(&[4]).ok_or("not a cosignature key")?)?;
        Ok(Witness { name: name.into(), id: key_id(name, &key), key: VerifyingKey::from_bytes(&public)? })
    }
}

impl Verifier for Witness {
    fn name(&self) -> &str {
        &self.name
    }
    fn key_id(&self) -> u32 {
        self.id
    }
    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let Some((time, signature)) = signature.split_first_chunk() else { return false };
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        let head = format!("cosignature/v1\ntime {}\n", u64::from_be_bytes(*time));
        self.key.verify_strict(&[head.as_bytes(), text].concat(), &signature).is_ok()
    }
}

/// The exported tiles.
struct Files;

fn path(tile: &Tile) -> String {
    tile.path().replacen("tile/8/data/", "tile/entries/", 1).replacen("tile/8/", "tile/", 1)
}

impl TileReader for Files {
    fn height(&self) -> u8 {
        8
    }
    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &Tile| {
            let path = path(tile);
            std::fs::read(&path).map_err(|error| tlog_tiles::Error::InvalidInput(format!("{path}: {error}")))
        };
        tiles.iter().map(read).collect()
    }
    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// The checkpoint, after its log's and all of the policy's witnesses' signatures verified.
fn open_checkpoint() -> Outcome<(Checkpoint, usize)> {
    let log = StandardVerifier::new(std::fs::read_to_string("log.vkey")?.trim())?;
    let origin = log.name().to_string();
    let mut verifiers: Vec<Box<dyn Verifier>> = vec![Box::new(log)];
    for line in std::fs::read_to_string("policy")?.lines() {
        let items: Vec<&str> = line.split_whitespace().collect();
        if let ["witness", _, vkey, ..] = items.as_slice() {
            verifiers.push(Box::new(Witness::new(vkey)?));
        }
    }
    let known = verifiers.len();
    let note = Note::from_bytes(&std::fs::read("checkpoint")?)?;
    let (signed, _) = note.verify(&VerifierList::new(verifiers)).map_err(|error| format!("checkpoint: {error}"))?;
    if signed.len() != known || !signed.iter().any(|signature| signature.name() == origin) {
        return Err(format!("checkpoint: {} of {known} known keys signed", signed.len()).into());
    }
    let checkpoint = Checkpoint::from_bytes(note.text()).map_err(|error| format!("checkpoint: {error:?}"))?;
    Ok((checkpoint, known))
}

/// The entries of a bundle, each compared with its hash in the tree.
fn bundle(reader: &TileHashReader<'_>, first: u64, size: u64) -> Outcome<Vec<Vec<u8>>> {
    let width = (size - first).min(256);
    let path = path(&Tile::new(8, 0, first / 256, u32::try_from(width)?, true));
    let wrong = |problem: &str| format!("{path}: {problem}");
    let data = std::fs::read(&path).map_err(|error| wrong(&error.to_string()))?;
    let (mut rest, mut entries) = (data.as_slice(), Vec::new());
    for _ in 0..width {
        let (length, after) = rest.split_first_chunk().ok_or_else(|| wrong("it ends within an entry"))?;
        let split = after.split_at_checked(u16::from_be_bytes(*length).into());
        let (entry, after) = split.ok_or_else(|| wrong("it ends within an entry"))?;
        entries.push(entry.to_vec());
        rest = after;
    }
    if !rest.is_empty() {
        return Err(wrong("bytes behind its entries").into());
    }
    let indexes: Vec<u64> = (first..first + width).map(|index| stored_hash_index(0, index)).collect();
    let expected = reader.read_hashes(&indexes).map_err(|error| wrong(&error.to_string()))?;
    for (offset, entry) in entries.iter().enumerate() {
        if record_hash(entry) != expected[offset] {
            return Err(wrong(&format!("entry {} is not the one in the tree", first + offset as u64)).into());
        }
    }
    Ok(entries)
}

fn run() -> Outcome {
    let (checkpoint, signatures) = open_checkpoint()?;
    let (size, root) = (checkpoint.size(), *checkpoint.hash());
    let reader = TileHashReader::new(size, root, &Files);
    let mut rebuilt = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    for first in (0..size).step_by(256) {
        bundle(&reader, first, size)?.into_iter().for_each(|entry| rebuilt.push(entry));
    }
    if rebuilt.root().as_bytes().as_slice() != root.0 {
        return Err("ct-merkle: the entries do not have the checkpoint's root".into());
    }
    let foreign = RootHash::<Sha256>::new(root.0.into(), size);
    let edges = [0, 1, 254, 255, 256, 257, 65_535, 65_536, size / 2, size - 2, size - 1];
    let picked: Vec<u64> = edges.into_iter().filter(|index| *index < size).chain((0..size).step_by(4_999)).collect();
    for index in &picked {
        let entry = rebuilt.get(usize::try_from(*index)?).ok_or("no such entry")?;
        // Each crate's proof by the other.
        let proof = prove_record(size, *index, &reader)?;
        let bytes = proof.iter().flat_map(|hash| hash.0).collect();
        foreign.verify_inclusion(entry, *index, &InclusionProof::try_from_bytes(bytes).map_err(text)?).map_err(text)?;
        let hashes = hashes(rebuilt.prove_inclusion(usize::try_from(*index)?).as_bytes());
        check_record(&hashes, size, root, *index, record_hash(entry))?;
        let old = index + 1;
        let old_root = tree_hash(old, &reader)?;
        let proof = prove_tree(size, old, &reader)?;
        check_tree(&proof, size, root, old, old_root)?;
        let bytes: Vec<u8> = proof.iter().flat_map(|hash| hash.0).collect();
        let older = RootHash::<Sha256>::new(old_root.0.into(), old);
        foreign.verify_consistency(&older, &ConsistencyProof::try_from_bytes(bytes).map_err(text)?).map_err(text)?;
    }
    println!(
        "signed_note, tlog_tiles and ct-merkle: {}, {size} entries, {signatures} signatures, root rebuilt, {n} inclusion and {n} consistency proofs verified",
        checkpoint.origin(),
        n = picked.len()
    );
    Ok(())
}

fn hashes(bytes: &[u8]) -> Vec<Hash> {
    bytes.as_chunks::<32>().0.iter().map(|hash| Hash(*hash)).collect()
}

fn text(error: impl std::fmt::Debug) -> String {
    format!("ct-merkle: {error:?}")
}

fn main() {
    if let Err(error) = run() {
        eprintln!("rust crates: {error}");
        std::process::exit(1);
    }
}
