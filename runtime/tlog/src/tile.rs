//! Tiles: C2SP tlog-tiles v0.1.0. What a log publishes so that anybody computes any proof from static files.
//!
//! ```text
//! tile at level L, number N   the 256 hashes MTH(D[(256N+i)·256^L : (256N+i+1)·256^L]), i = 0…255, 32 bytes each
//! tile path                   "tile/" L "/" N            full: 256 hashes, 8,192 bytes
//!                             "tile/" L "/" N ".p/" W    partial: the first W hashes, 1 ≤ W ≤ 255
//! entry bundle                256 × (length, 2 bytes big-endian ‖ entry); its hashes are those of the level-0 tile
//! bundle path                 "tile/entries/" N [".p/" W]
//! L                           decimal, 0…63, no leading zeros
//! N                           groups of three digits, all but the last prefixed with "x": 1,234,067 is x001/x234/067
//! ```
//!
//! A tree of size s has at level L the full tiles 0…⌊s/256^(L+1)⌋−1 and, where W = ⌊s/256^L⌋ mod 256 is not 0, one partial tile of
//! width W. Each hash at level L+1 is the root of a *full* tile at level L; a partial tile is never hashed upward.
//! A log keeps the partial tiles of every size that it has published until the full tile is there.
//!
//! Worked example, size 70,000 = 1·65,536 + 17·256 + 112: level 0 has 273 full tiles and `tile/0/273.p/112`, level 1 has
//! `tile/1/000` and `tile/1/001.p/17`, level 2 has `tile/2/000.p/1`. Size 256: `tile/0/000` and `tile/1/000.p/1`.
//! The root of size 70,000 is `node(A, node(B, C))`: A the hash of the level-2 tile, B over the 17 hashes of the level-1 tile, C over the 112
//! leaf hashes, and B and C themselves are made like a root, over 16 + 1 and 64 + 32 + 16 hashes.
//!
//! [`Tiles`] reads them, and trusts nothing that it reads.

mod reader;

pub use reader::{ReadError, TileReader, Tiles};

use crate::merkle::{TILE_LEVEL, Tree};
use alloc::{format, string::String, string::ToString, vec::Vec};
use chancery_types::entry::ENTRY_BYTES_MAX;
use core::fmt::{self, Display};

/// Hashes of a full tile, entries of a full bundle.
pub const WIDTH: u64 = 256;
/// Levels of the binary tree in one tile.
const HEIGHT: u32 = TILE_LEVEL;
/// Bytes of a hash.
const HASH_BYTES: usize = 32;
/// Longest bundle in bytes; a reader need not accept more.
pub const BUNDLE_BYTES_MAX: usize = 256 * (2 + ENTRY_BYTES_MAX);
/// Bytes of a full tile; a reader need not accept more.
pub const TILE_BYTES_MAX: usize = 256 * HASH_BYTES;
/// Highest level that a path may name.
const LEVEL_MAX: u8 = 63;
/// Levels that a tree of at most 2^64 leaves has.
const LEVELS: u8 = 8;

/// Why bytes or a path are not a tile or a bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Not the path of a tile.
    #[error("not the path of a tile: {0:?}; expected tile/<level>/<number>[.p/<width>]")]
    TilePath(String),
    /// Not the path of a bundle.
    #[error("not the path of an entry bundle: {0:?}; expected tile/entries/<number>[.p/<width>]")]
    BundlePath(String),
    /// A bundle must have from 1 to 256 entries.
    #[error("a bundle has from 1 to 256 entries, not {0}")]
    Entries(usize),
    /// An entry is too long for its two bytes of length.
    #[error("entry {0} of the bundle has {1} bytes; the format has room for 65,535")]
    EntryTooLong(usize, usize),
    /// The bundle ends within an entry.
    #[error("the bundle ends within entry {0}")]
    Truncated(usize),
    /// The bundle goes on after its last entry.
    #[error("the bundle has {0} bytes after its last entry")]
    Trailing(usize),
}

/// A tile's place in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Level, 0 for leaf hashes.
    pub level: u8,
    /// Number within the level.
    pub index: u64,
    /// Hashes, 1 to 256.
    pub width: u16,
}

/// An entry bundle's place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bundle {
    /// Number.
    pub index: u64,
    /// Entries, 1 to 256.
    pub width: u16,
}

impl Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "tile/{}/{}", self.level, number(self.index, self.width))
    }
}

impl Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "tile/entries/{}", number(self.index, self.width))
    }
}

impl Tile {
    /// The path below the log's prefix.
    pub fn path(&self) -> String {
        self.to_string()
    }

    /// Reads a path as [`Tile::path`] writes it.
    ///
    /// # Errors
    /// When it is not exactly that.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let parsed = path.strip_prefix("tile/").and_then(|rest| rest.split_once('/')).and_then(|(level, rest)| {
            let (index, width) = parse_number(rest)?;
            Some(Tile { level: parse_decimal(level)?, index, width }).filter(|tile| tile.level <= LEVEL_MAX)
        });
        parsed.filter(|tile| tile.path() == path).ok_or_else(|| TileError::TilePath(shown(path)))
    }

    /// The full tile at this place.
    #[must_use]
    pub fn full(self) -> Self {
        Tile { width: WIDTH as u16, ..self }
    }
}

impl Bundle {
    /// The path below the log's prefix.
    pub fn path(&self) -> String {
        self.to_string()
    }

    /// Reads a path as [`Bundle::path`] writes it.
    ///
    /// # Errors
    /// When it is not exactly that.
    pub fn parse(path: &str) -> Result<Self, TileError> {
        let parsed = path.strip_prefix("tile/entries/").and_then(parse_number);
        parsed
            .map(|(index, width)| Bundle { index, width })
            .filter(|bundle| bundle.path() == path)
            .ok_or_else(|| TileError::BundlePath(shown(path)))
    }

    /// The level-0 tile with the hashes of this bundle's entries.
    pub fn tile(&self) -> Tile {
        Tile { level: 0, index: self.index, width: self.width }
    }

    /// The number of its first entry.
    pub fn first(&self) -> u64 {
        self.index.saturating_mul(WIDTH)
    }
}

impl Tree {
    /// The bytes of a tile, hash after hash; `None` where the tree does not have them yet.
    pub fn tile(&self, tile: &Tile) -> Option<Vec<u8>> {
        let level = u32::from(tile.level) * HEIGHT;
        let row = self.row(level, tile.index.checked_mul(WIDTH)?, u64::from(tile.width))?;
        (tile.width > 0 && u64::from(tile.width) <= WIDTH).then(|| row.iter().flat_map(|hash| hash.0).collect())
    }
}

/// `x001/x234/067` with `.p/W` where the width is not full.
fn number(index: u64, width: u16) -> String {
    let mut path = format!("{:03}", index % 1_000);
    let mut rest = index / 1_000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1_000);
        rest /= 1_000;
    }
    if u64::from(width) == WIDTH { path } else { format!("{path}.p/{width}") }
}

/// Number and width; lenient where writing it again and comparing will find the difference.
fn parse_number(path: &str) -> Option<(u64, u16)> {
    let (path, width) = match path.split_once(".p/") {
        Some((path, width)) => (path, parse_decimal(width).filter(|width| (1..WIDTH as u16).contains(width))?),
        None => (path, WIDTH as u16),
    };
    let mut index = 0u64;
    for group in path.split('/') {
        let digits: u16 = parse_decimal(group.strip_prefix('x').unwrap_or(group))?;
        index = index.checked_mul(1_000)?.checked_add(digits.into())?;
    }
    Some((index, width))
}

/// A number of digits alone (the standard parser takes a sign too).
fn parse_decimal<T: core::str::FromStr>(digits: &str) -> Option<T> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The beginning of a path that an error shows.
fn shown(path: &str) -> String {
    path.chars().take(100).collect()
}

/// The tiles, full and partial, that a log writes to go from a published size to another: those of `new` that `old`
/// did not have. Lowest level first, in order.
pub fn tiles_for(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    (0..LEVELS).flat_map(move |level| level_for(level, old, new))
}

/// The same for the entry bundles.
pub fn bundles_for(old: u64, new: u64) -> impl Iterator<Item = Bundle> {
    level_for(0, old, new).map(|tile| Bundle { index: tile.index, width: tile.width })
}

/// All tiles of one level that size `new` has and size `old` does not.
fn level_for(level: u8, old: u64, new: u64) -> impl Iterator<Item = Tile> {
    let hashes = |size: u64| size >> (u32::from(level) * HEIGHT);
    let (before, now) = (hashes(old), hashes(new));
    let full = (before / WIDTH..now / WIDTH).map(move |index| Tile { level, index, width: WIDTH as u16 });
    let partial = Tile { level, index: now / WIDTH, width: (now % WIDTH) as u16 };
    full.chain((partial.width > 0 && now > before).then_some(partial))
}

/// The bytes of a bundle.
///
/// # Errors
/// When there are no entries, more than 256, or one of them is longer than 65,535 bytes.
pub fn encode_bundle<B: AsRef<[u8]>>(entries: &[B]) -> Result<Vec<u8>, TileError> {
    if entries.is_empty() || entries.len() as u64 > WIDTH {
        return Err(TileError::Entries(entries.len()));
    }
    let mut bytes = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong(number, entry.len()))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// The entries of a bundle of exactly `width` entries.
///
/// # Errors
/// When the bytes are fewer or more than these entries.
pub fn decode_bundle(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    if width == 0 || u64::from(width) > WIDTH {
        return Err(TileError::Entries(width.into()));
    }
    let (mut rest, mut entries) = (bytes, Vec::with_capacity(width.into()));
    for number in 0..usize::from(width) {
        let (length, after) = rest.split_first_chunk::<2>().ok_or(TileError::Truncated(number))?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after.split_at_checked(length).ok_or(TileError::Truncated(number))?;
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(TileError::Trailing(rest.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_of_the_header_holds() {
        let tiles: Vec<Tile> = tiles_for(0, 70_000).collect();
        let full = |level| tiles.iter().filter(|tile| tile.level == level && tile.width == 256).count();
        assert_eq!((full(0), full(1), full(2)), (273, 1, 0));
        let partial: Vec<String> = tiles.iter().filter(|tile| tile.width < 256).map(Tile::path).collect();
        assert_eq!(partial, ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
        let small: Vec<String> = tiles_for(0, 256).map(|tile| tile.path()).collect();
        assert_eq!(small, ["tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(
            bundles_for(69_900, 70_000).map(|bundle| bundle.path()).collect::<Vec<_>>(),
            ["tile/entries/273.p/112"]
        );
    }

    #[test]
    fn a_path_is_read_as_it_is_written() {
        for (path, level, index, width) in [
            ("tile/0/000", 0, 0, 256),
            ("tile/63/x001/x234/067", 63, 1_234_067, 256),
            ("tile/1/x018/x446/x744/x073/x709/x551/615.p/255", 1, u64::MAX, 255),
            ("tile/2/999.p/1", 2, 999, 1),
        ] {
            let tile = Tile { level, index, width };
            assert_eq!(tile.path(), path);
            assert_eq!(Tile::parse(path), Ok(tile));
        }
        let bundle = Bundle { index: 1_000, width: 7 };
        assert_eq!(bundle.path(), "tile/entries/x001/000.p/7");
        assert_eq!(Bundle::parse(&bundle.path()), Ok(bundle));
    }

    #[test]
    fn other_spellings_of_a_path_are_refused() {
        for path in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile//000",
            "tile/00/000",
            "tile/64/000",
            "tile/+1/000",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/0/001/000",
            "tile/0/x001",
            "tile/0/x001/x000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/000.p/1/",
            "tile/0/000.p/1.p/1",
            "/tile/0/000",
            "tile/0/000 ",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/entries/000",
        ] {
            assert!(matches!(Tile::parse(path), Err(TileError::TilePath(_))), "{path:?}");
        }
        for path in ["tile/entries/", "tile/0/000", "tile/entries/1", "tile/entries/000.p/256", "entries/000"] {
            assert!(matches!(Bundle::parse(path), Err(TileError::BundlePath(_))), "{path:?}");
        }
    }

    #[test]
    fn a_bundle_is_exactly_its_entries() {
        let entries = [&b"a"[..], b"", &[7; 65_535]];
        let bytes = encode_bundle(&entries).unwrap();
        assert_eq!(bytes.len(), 3 * 2 + 1 + 65_535);
        assert_eq!(bytes[..5], [0, 1, b'a', 0, 0]);
        assert_eq!(decode_bundle(&bytes, 3).unwrap(), entries);
        assert_eq!(decode_bundle(&bytes, 2), Err(TileError::Trailing(65_537)));
        assert_eq!(decode_bundle(&bytes, 4), Err(TileError::Truncated(3)));
        assert_eq!(decode_bundle(&bytes[..bytes.len() - 1], 3), Err(TileError::Truncated(2)));
        assert_eq!(decode_bundle(&bytes, 0), Err(TileError::Entries(0)));
        assert_eq!(decode_bundle(&bytes, 257), Err(TileError::Entries(257)));
        assert_eq!(encode_bundle(&[[0u8; 65_536]]), Err(TileError::EntryTooLong(0, 65_536)));
        assert_eq!(encode_bundle::<&[u8]>(&[]), Err(TileError::Entries(0)));
        assert_eq!(encode_bundle(&[[0u8; 1]; 257]), Err(TileError::Entries(257)));
    }
}
