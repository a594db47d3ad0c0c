//! A tree read from tiles. Reading trusts nothing: what the partial tiles give is compared with the root of a checkpoint before anything is
//! answered, each full tile with its hash one level up, and each entry with its leaf hash.

use super::{Bundle, HASH_BYTES, HEIGHT, LEVELS, TILE_BYTES_MAX, Tile, TileError, WIDTH, decode_bundle};
use crate::merkle::{self, leaf_hash, node_hash};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use chancery_types::Hash;
use core::fmt::Display;

/// Full tiles that a reader keeps, 8 kB each.
const KEPT_TILES_MAX: usize = 1_024;

/// Where tiles come from: a directory, a web server, a map in a test. What it answers is not trusted.
pub trait TileReader {
    /// Why it could not read.
    type Error: Display;

    /// The bytes of a tile. It may answer a partial tile with the full one of the same place, since a log deletes
    /// partial tiles once the full one is there.
    ///
    /// # Errors
    /// When there is no such tile or it cannot be read.
    fn tile(&self, tile: Tile) -> Result<Vec<u8>, Self::Error>;

    /// The bytes of a bundle, which likewise may be the full one.
    ///
    /// # Errors
    /// When there is no such bundle or it cannot be read.
    fn bundle(&self, bundle: Bundle) -> Result<Vec<u8>, Self::Error>;
}

/// Why tiles do not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError<E: Display> {
    /// The reader could not read.
    #[error("{path} cannot be read: {error}")]
    Unreadable {
        /// The tile's or bundle's path.
        path: String,
        /// What the reader says.
        error: E,
    },
    /// A tile is not as long as it must be.
    #[error("{path} has {found} bytes; expected {expected}")]
    Length {
        /// The tile's path.
        path: String,
        /// Bytes it must have.
        expected: usize,
        /// Bytes it has.
        found: usize,
    },
    /// The tiles at the right edge do not give the root.
    #[error("the partial tiles of size {size} give the root {found}; the checkpoint says {expected}")]
    Root {
        /// Size of the tree.
        size: u64,
        /// Root of the checkpoint.
        expected: Hash,
        /// Root that the tiles give.
        found: Hash,
    },
    /// A full tile is not the one that the level above names.
    #[error("{path} hashes to {found}; the tile above it says {expected}")]
    Tile {
        /// The tile's path.
        path: String,
        /// Hash in the tile above.
        expected: Hash,
        /// Hash of what was read.
        found: Hash,
    },
    /// A bundle does not decode.
    #[error("{path}: {error}")]
    Bundle {
        /// The bundle's path.
        path: String,
        /// What is wrong with it.
        error: TileError,
    },
    /// An entry is not the one of its leaf hash.
    #[error("entry {index} in {path} hashes to {found}; its tile says {expected}")]
    Entry {
        /// The entry's number in the log.
        index: u64,
        /// The bundle's path.
        path: String,
        /// Leaf hash in the tile.
        expected: Hash,
        /// Leaf hash of what was read.
        found: Hash,
    },
    /// Asked for what the tree does not have.
    #[error("{what} {asked} does not exist in a log of {size} entries")]
    Absent {
        /// What was asked for.
        what: &'static str,
        /// Its number.
        asked: u64,
        /// Size of the tree.
        size: u64,
    },
}

/// A tree read from tiles, every hash of which is covered by the root that it was opened with.
#[derive(Debug)]
pub struct Tiles<'r, R: TileReader> {
    reader: &'r R,
    size: u64,
    /// The partial tiles by level.
    edge: BTreeMap<u8, Vec<Hash>>,
    /// Full tiles that have been compared with their hash above.
    full: BTreeMap<(u8, u64), Vec<Hash>>,
}

impl<'r, R: TileReader> Tiles<'r, R> {
    /// Opens the tree of `size` leaves with this root.
    ///
    /// # Errors
    /// When a partial tile cannot be read, or they do not give the root.
    pub fn open(reader: &'r R, size: u64, root: Hash) -> Result<Self, ReadError<R::Error>> {
        let mut tiles = Tiles { reader, size, edge: BTreeMap::new(), full: BTreeMap::new() };
        let (mut found, mut right) = (merkle::empty_root(), None);
        for level in 0..LEVELS {
            let hashes = size >> (u32::from(level) * HEIGHT);
            let tile = Tile { level, index: hashes / WIDTH, width: (hashes % WIDTH) as u16 };
            if tile.width > 0 {
                let row = read_tile(reader, tile)?;
                found = fold(&row, right);
                right = Some(found);
                tiles.edge.insert(level, row);
            }
        }
        if found == root { Ok(tiles) } else { Err(ReadError::Root { size, expected: root, found }) }
    }

    /// How many leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root when the tree had `size` leaves.
    ///
    /// # Errors
    /// When it has not so many, or a tile is unreadable or wrong.
    pub fn root_at(&mut self, size: u64) -> Result<Hash, ReadError<R::Error>> {
        self.within("size", size, size <= self.size)?;
        merkle::range(0, size, &mut |level, index| self.complete(level, index))
    }

    /// The hash of leaf `index`.
    ///
    /// # Errors
    /// When there is no such leaf, or a tile is unreadable or wrong.
    pub fn leaf(&mut self, index: u64) -> Result<Hash, ReadError<R::Error>> {
        self.within("entry", index, index < self.size)?;
        self.complete(0, index)
    }

    /// The audit path of leaf `index` in the tree of `size` leaves.
    ///
    /// # Errors
    /// When there is no such leaf or size, or a tile is unreadable or wrong.
    pub fn prove_inclusion(&mut self, index: u64, size: u64) -> Result<Vec<Hash>, ReadError<R::Error>> {
        self.within("size", size, size <= self.size)?;
        self.within("entry", index, index < size)?;
        merkle::inclusion(index, size, &mut |level, index| self.complete(level, index))
    }

    /// The consistency proof from size `old`, which is not 0, to size `new`.
    ///
    /// # Errors
    /// When there are no such sizes, or a tile is unreadable or wrong.
    pub fn prove_consistency(&mut self, old: u64, new: u64) -> Result<Vec<Hash>, ReadError<R::Error>> {
        self.within("size", new, new <= self.size)?;
        self.within("earlier size", old, old > 0 && old <= new)?;
        merkle::consistency(old, new, &mut |level, index| self.complete(level, index))
    }

    /// The entries of bundle `number`, as many as the tree has, each compared with its leaf hash.
    ///
    /// # Errors
    /// When there is no such bundle, or it or a tile is unreadable or wrong.
    pub fn entries(&mut self, number: u64) -> Result<Vec<Vec<u8>>, ReadError<R::Error>> {
        let first = number.checked_mul(WIDTH).filter(|first| *first < self.size);
        let first = first.ok_or(ReadError::Absent { what: "bundle", asked: number, size: self.size })?;
        let bundle = Bundle { index: number, width: (self.size - first).min(WIDTH) as u16 };
        let (reader, path) = (self.reader, bundle.path());
        let bytes = reader.bundle(bundle).map_err(|error| ReadError::Unreadable { path: path.clone(), error })?;
        let entries = decode_bundle(&bytes, bundle.width)
            // The reader may have answered with the full bundle.
            .or_else(|error| decode_bundle(&bytes, WIDTH as u16).map_err(|_| error))
            .map_err(|error| ReadError::Bundle { path: path.clone(), error })?;
        let leaves = self.row(0, number)?;
        for ((entry, expected), index) in entries.iter().zip(leaves).zip(first..) {
            let found = leaf_hash(entry);
            if found != *expected {
                return Err(ReadError::Entry { index, path, expected: *expected, found });
            }
        }
        Ok(entries.into_iter().take(bundle.width.into()).map(<[u8]>::to_vec).collect())
    }

    fn within(&self, what: &'static str, asked: u64, exists: bool) -> Result<(), ReadError<R::Error>> {
        if exists { Ok(()) } else { Err(ReadError::Absent { what, asked, size: self.size }) }
    }

    /// The hash over the leaves `index·2^level` to `(index+1)·2^level`, all of which the tree has.
    fn complete(&mut self, level: u32, index: u64) -> Result<Hash, ReadError<R::Error>> {
        // Within its tile, the subtree covers 2^below hashes.
        let below = level % HEIGHT;
        let tile = (index << below) / WIDTH;
        let start = ((index << below) % WIDTH) as usize;
        let row = self.row((level / HEIGHT) as u8, tile)?;
        Ok(fold(&row[start..start + (1 << below)], None))
    }

    /// The hashes of a tile, compared with the root.
    fn row(&mut self, level: u8, index: u64) -> Result<&[Hash], ReadError<R::Error>> {
        if self.full.len() > KEPT_TILES_MAX {
            self.full.clear();
        }
        // Up to the first tile that is known, then down again, each compared with its hash above.
        let (mut unknown, mut above) = (Vec::new(), (level, index));
        while above.0 < LEVELS && self.known(above).is_none() {
            unknown.push(above);
            above = (above.0 + 1, above.1 / WIDTH);
        }
        let absent = || ReadError::Absent { what: "tile", asked: index, size: self.size };
        while let Some(place) = unknown.pop() {
            let tile = Tile { level: place.0, index: place.1, width: WIDTH as u16 };
            let row = read_tile(self.reader, tile)?;
            let hash_above = self.known((place.0 + 1, place.1 / WIDTH)).ok_or_else(absent)?;
            let expected = *hash_above.get((place.1 % WIDTH) as usize).ok_or_else(absent)?;
            let found = perfect(&row);
            if found != expected {
                return Err(ReadError::Tile { path: tile.path(), expected, found });
            }
            self.full.insert(place, row);
        }
        self.known((level, index)).ok_or_else(absent)
    }

    fn known(&self, (level, index): (u8, u64)) -> Option<&[Hash]> {
        let partial = self.size.checked_shr((u32::from(level) + 1) * HEIGHT).unwrap_or(0);
        let row = if index == partial { self.edge.get(&level) } else { self.full.get(&(level, index)) };
        row.map(Vec::as_slice)
    }
}

/// Reads as many hashes as the tile is wide.
fn read_tile<R: TileReader>(reader: &R, tile: Tile) -> Result<Vec<Hash>, ReadError<R::Error>> {
    let path = tile.path();
    let bytes = match reader.tile(tile) {
        Ok(bytes) => bytes,
        Err(error) => return Err(ReadError::Unreadable { path, error }),
    };
    let expected = usize::from(tile.width) * HASH_BYTES;
    if bytes.len() != expected && bytes.len() != TILE_BYTES_MAX {
        return Err(ReadError::Length { path, expected, found: bytes.len() });
    }
    let (hashes, _) = bytes[..expected].as_chunks::<HASH_BYTES>();
    Ok(hashes.iter().copied().map(Hash).collect())
}

/// MTH over the subtrees with these hashes and, right of them, what has the hash `right`: each set bit of their
/// number is one complete subtree.
fn fold(hashes: &[Hash], right: Option<Hash>) -> Hash {
    let (mut end, mut hash) = (hashes.len(), right);
    while end > 0 {
        let start = end - (1 << end.trailing_zeros());
        let subtree = perfect(&hashes[start..end]);
        hash = Some(hash.map_or(subtree, |right| node_hash(&subtree, &right)));
        end = start;
    }
    hash.unwrap_or_else(merkle::empty_root)
}

/// The root over hashes whose number is a power of two.
fn perfect(hashes: &[Hash]) -> Hash {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
    }
    row.first().copied().unwrap_or_else(merkle::empty_root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::Tree;
    use crate::tile::{bundles_for, encode_bundle, tiles_for};
    use alloc::{format, string::ToString};

    /// What a log has written: every tile and bundle for every published size.
    #[derive(Default)]
    struct Written {
        tiles: BTreeMap<Tile, Vec<u8>>,
        bundles: BTreeMap<Bundle, Vec<u8>>,
    }

    impl TileReader for Written {
        type Error = &'static str;
        fn tile(&self, tile: Tile) -> Result<Vec<u8>, Self::Error> {
            self.tiles.get(&tile).or_else(|| self.tiles.get(&tile.full())).cloned().ok_or("not found")
        }
        fn bundle(&self, bundle: Bundle) -> Result<Vec<u8>, Self::Error> {
            self.bundles.get(&bundle).cloned().ok_or("not found")
        }
    }

    fn entry(index: u64) -> Vec<u8> {
        index.to_be_bytes()[..(index % 8) as usize + 1].to_vec()
    }

    fn tree(size: u64) -> Tree {
        let mut tree = Tree::new();
        (0..size).for_each(|index| tree.push(leaf_hash(&entry(index))));
        tree
    }

    fn publish(tree: &Tree, old: u64, new: u64, into: &mut Written) {
        for tile in tiles_for(old, new) {
            into.tiles.insert(tile, tree.tile(&tile).unwrap());
        }
        for bundle in bundles_for(old, new) {
            let entries: Vec<_> = (bundle.first()..bundle.first() + u64::from(bundle.width)).map(entry).collect();
            into.bundles.insert(bundle, encode_bundle(&entries).unwrap());
        }
    }

    #[test]
    fn what_is_written_from_size_to_size_is_what_the_last_size_needs() {
        let tree = tree(1_300);
        for step in [1, 7, 255, 256, 257, 600] {
            let (mut written, mut old) = (Written::default(), 0);
            while old < tree.size() {
                let new = (old + step).min(tree.size());
                publish(&tree, old, new, &mut written);
                old = new;
                let mut tiles = Tiles::open(&written, new, tree.root_at(new).unwrap()).unwrap();
                let last = tiles.entries((new - 1) / WIDTH).unwrap();
                assert_eq!(last.last(), Some(&entry(new - 1)));
            }
            assert_eq!(tiles_for(old, old).count(), 0);
        }
    }

    #[test]
    fn proofs_from_tiles_are_the_proofs_from_the_tree() {
        let tree = tree(70_000);
        let mut written = Written::default();
        for (old, new) in [(0, 300), (300, 65_536), (65_536, 70_000)] {
            publish(&tree, old, new, &mut written);
        }
        for size in [300, 65_536, 70_000] {
            let mut tiles = Tiles::open(&written, size, tree.root_at(size).unwrap()).unwrap();
            for at in [0, 1, 254, 255, 256, 299, 300, 301, 65_279, 65_280, 65_535, 65_536, 69_887, 69_999, 70_000] {
                assert_eq!(tiles.leaf(at).ok(), (at < size).then(|| leaf_hash(&entry(at))));
                assert_eq!(tiles.root_at(at).ok().filter(|_| at > 0), tree.root_at(at).filter(|_| at <= size));
                for smaller in [at, size] {
                    let inclusion = tiles.prove_inclusion(at, smaller).ok();
                    assert_eq!(inclusion, tree.prove_inclusion(at, smaller), "{at} of {smaller}");
                    let consistency = tiles.prove_consistency(at, smaller).ok();
                    let expected = tree.prove_consistency(at, smaller).filter(|_| smaller <= size);
                    assert_eq!(consistency, expected, "{at} to {smaller}");
                }
            }
        }
        assert_eq!(Tiles::open(&written, 0, merkle::empty_root()).unwrap().root_at(0), Ok(merkle::empty_root()));
    }

    #[test]
    fn every_changed_bit_of_every_tile_and_bundle_is_found() {
        let tree = tree(600);
        let mut written = Written::default();
        publish(&tree, 0, 600, &mut written);
        let root = tree.root();
        let read_all = |written: &Written| -> Result<(), ReadError<&'static str>> {
            let mut tiles = Tiles::open(written, 600, root)?;
            (0..3).try_for_each(|number| tiles.entries(number).map(|_| ()))
        };
        assert_eq!(read_all(&written), Ok(()));
        let places: Vec<Tile> = written.tiles.keys().copied().collect();
        for tile in places {
            for byte in (0..usize::from(tile.width) * HASH_BYTES).step_by(31) {
                written.tiles.get_mut(&tile).unwrap()[byte] ^= 1;
                let error = read_all(&written).unwrap_err();
                assert!(matches!(error, ReadError::Tile { .. } | ReadError::Root { .. }), "{tile} {byte}: {error}");
                written.tiles.get_mut(&tile).unwrap()[byte] ^= 1;
            }
        }
        let places: Vec<Bundle> = written.bundles.keys().copied().collect();
        for bundle in places {
            for byte in 0..written.bundles[&bundle].len() {
                written.bundles.get_mut(&bundle).unwrap()[byte] ^= 1;
                let error = read_all(&written).unwrap_err();
                assert!(
                    matches!(error, ReadError::Entry { .. } | ReadError::Bundle { .. }),
                    "{bundle} {byte}: {error}"
                );
                written.bundles.get_mut(&bundle).unwrap()[byte] ^= 1;
            }
        }
    }

    #[test]
    fn a_missing_short_or_foreign_tile_is_named() {
        let tree = tree(600);
        let mut written = Written::default();
        publish(&tree, 0, 600, &mut written);
        let short = Tile { level: 0, index: 2, width: 88 };
        written.tiles.get_mut(&short).unwrap().pop();
        let open = |written: &Written, root| Tiles::open(written, 600, root).map(|_| ()).unwrap_err().to_string();
        assert_eq!(open(&written, tree.root()), "tile/0/002.p/88 has 2815 bytes; expected 2816");
        written.tiles.remove(&short);
        assert_eq!(open(&written, tree.root()), "tile/0/002.p/88 cannot be read: not found");
        publish(&tree, 0, 600, &mut written);
        assert!(open(&written, leaf_hash(b"")).starts_with("the partial tiles of size 600 give the root "));
        let mut tiles = Tiles::open(&written, 600, tree.root()).unwrap();
        assert_eq!(tiles.leaf(600).unwrap_err().to_string(), "entry 600 does not exist in a log of 600 entries");
        assert_eq!(tiles.entries(3).unwrap_err().to_string(), "bundle 3 does not exist in a log of 600 entries");
        assert_eq!(
            tiles.entries(u64::MAX).unwrap_err().to_string(),
            format!("bundle {} does not exist in a log of 600 entries", u64::MAX)
        );
    }
}
