//! The Merkle tree of the log: RFC 6962 §2.1 with SHA-256, checked as RFC 9162 §2.1.3.2 and §2.1.4.2 say.
//!
//! ```text
//! MTH({})     = SHA-256()
//! leaf hash   = SHA-256(0x00 ‖ entry)
//! node hash   = SHA-256(0x01 ‖ left ‖ right)
//! MTH(D[n])   = node hash(MTH(D[0:k]), MTH(D[k:n])), k the largest power of two smaller than n
//! ```
//!
//! Worked example, three entries: the root is `node(node(leaf 0, leaf 1), leaf 2)`; the inclusion proof of entry 1 is
//! `[leaf 0, leaf 2]`; the consistency proof from size 2 to size 3 is `[leaf 2]`.

use alloc::vec::Vec;
use chancery_types::Hash;
use sha2::{Digest, Sha256};

/// Hash of an entry's bytes.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
}

/// Hash of an inner node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// Root of the tree without leaves.
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// Levels below this one are within a tile of the lowest level (C2SP tlog-tiles), of 256 leaves.
pub const TILE_LEVEL: u32 = 8;
/// A tree of recent hashes keeps every hash of at least this many of its last leaves, and of at most twice as many.
const RECENT_LEAVES: usize = 1 << 16;

/// The hashes of complete subtrees, by level: number `i` of level `l` covers the leaves `i·2^l` to `(i+1)·2^l`.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    levels: Vec<Row>,
    /// Whether the hashes within tiles are forgotten after a while.
    recent: bool,
}

/// The hashes of a level.
#[derive(Clone, Debug, Default)]
struct Row {
    /// How many are not kept; below [`TILE_LEVEL`] those of a number of whole tiles, above none.
    forgotten: u64,
    hashes: Vec<Hash>,
}

impl Row {
    fn len(&self) -> u64 {
        self.forgotten + self.hashes.len() as u64
    }
}

impl Tree {
    /// Without leaves. It keeps all hashes, 64 bytes a leaf.
    pub fn new() -> Self {
        Tree::default()
    }

    /// Without leaves. Of the hashes within tiles it keeps those of the last leaves, 65,536 and up to twice as many, of the others all: a quarter of a byte a leaf.
    /// They suffice for the root; who needs another computes it from its 256 entries, and gives it to [`inclusion`] and its like.
    pub fn recent() -> Self {
        Tree { recent: true, ..Tree::default() }
    }

    /// A [tree of recent hashes](Tree::recent) over whole tiles, by their roots, and the leaves behind them.
    pub fn of_tiles(roots: &[Hash], leaves: &[Hash]) -> Self {
        let forgotten = |level| (roots.len() as u64) << (TILE_LEVEL - level);
        let levels = (0..TILE_LEVEL).map(|level| Row { forgotten: forgotten(level), hashes: Vec::new() });
        let mut tree = Tree { levels: levels.collect(), recent: true };
        roots.iter().for_each(|root| tree.insert(TILE_LEVEL as usize, *root));
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        tree
    }

    /// The roots of the whole tiles of the lowest level, and the leaves behind them.
    pub fn tiles(&self) -> (&[Hash], &[Hash]) {
        let roots = self.levels.get(TILE_LEVEL as usize).map_or(&[][..], |row| &row.hashes);
        let first = (roots.len() as u64) << TILE_LEVEL;
        (roots, self.row(0, first, self.size() - first).unwrap_or_default())
    }

    /// How many leaves.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, Row::len)
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.insert(0, leaf);
        if self.recent && self.levels[0].hashes.len() == 2 * RECENT_LEAVES {
            for (level, row) in self.levels.iter_mut().take(TILE_LEVEL as usize).enumerate() {
                let forgotten = RECENT_LEAVES >> level;
                row.hashes.drain(..forgotten);
                row.forgotten += forgotten as u64;
            }
        }
    }

    /// Appends the next hash of a level, and those above that it completes.
    fn insert(&mut self, level: usize, mut hash: Hash) {
        for level in level.. {
            if level == self.levels.len() {
                self.levels.push(Row::default());
            }
            let row = &mut self.levels[level];
            row.hashes.push(hash);
            match row.hashes.as_slice() {
                [.., left, right] if row.len().is_multiple_of(2) => hash = node_hash(left, right),
                _ => return,
            }
        }
    }

    /// The root.
    pub fn root(&self) -> Hash {
        self.root_at(self.size()).unwrap_or_else(empty_root)
    }

    /// The root when the tree had `size` leaves; `None` for 0 or more than it has, or where it does not keep a hash that it takes.
    pub fn root_at(&self, size: u64) -> Option<Hash> {
        (size > 0 && size <= self.size()).then(|| range(0, size, &mut self.source()).ok())?
    }

    /// The audit path of leaf `index` in the tree of `size` leaves, leaf to root (RFC 6962 §2.1.1). `None` when
    /// there is no such leaf or size, or where it does not keep a hash that it takes.
    pub fn prove_inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        (index < size && size <= self.size()).then(|| inclusion(index, size, &mut self.source()).ok())?
    }

    /// The consistency proof from size `old` to size `new` (RFC 6962 §2.1.2). `None` when there are no such sizes, or where it does not keep a hash
    /// that it takes.
    pub fn prove_consistency(&self, old: u64, new: u64) -> Option<Vec<Hash>> {
        (old > 0 && old <= new && new <= self.size()).then(|| consistency(old, new, &mut self.source()).ok())?
    }

    /// The hashes of `count` complete subtrees of 2^`level` leaves from number `first` on; `None` where there are
    /// fewer, or it does not keep them.
    pub fn row(&self, level: u32, first: u64, count: u64) -> Option<&[Hash]> {
        let row = self.levels.get(level as usize)?;
        let start = usize::try_from(first.checked_sub(row.forgotten)?).ok()?;
        let end = start.checked_add(usize::try_from(count).ok()?)?;
        row.hashes.get(start..end)
    }

    fn source(&self) -> impl FnMut(u32, u64) -> Result<Hash, Missing> {
        |level, index| self.row(level, index, 1).and_then(|row| row.first().copied()).ok_or(Missing)
    }
}

/// The tree does not keep such a complete subtree.
struct Missing;

/// `MTH(D[start:end])` for a non-empty range that starts at a multiple of a power of two not smaller than its length.
/// `complete(level, index)` is the hash over the leaves `index·2^level` to `(index+1)·2^level`; here as in the two
/// provers below only hashes that the tree of `end` leaves has are asked for.
///
/// # Errors
/// What `complete` meets, here as in the two provers.
pub fn range<E>(start: u64, end: u64, complete: &mut impl FnMut(u32, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    let (mut left, mut hash) = (end, None);
    // From the right: each set bit of the length is one complete subtree.
    while left > start {
        let level = (left - start).trailing_zeros();
        left -= 1 << level;
        let subtree = complete(level, left >> level)?;
        hash = Some(hash.map_or(subtree, |right| node_hash(&subtree, &right)));
    }
    Ok(hash.unwrap_or_else(empty_root))
}

/// The audit path of leaf `index` in the tree of `size` leaves, leaf to root; `index < size`.
///
/// # Errors
/// As [`range`].
pub fn inclusion<E>(
    index: u64,
    size: u64,
    complete: &mut impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let (mut start, mut end, mut path) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(range(middle, end, complete)?);
            end = middle;
        } else {
            path.push(range(start, middle, complete)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The consistency proof from size `old` to size `new`; `0 < old <= new`.
///
/// # Errors
/// As [`range`].
pub fn consistency<E>(
    old: u64,
    new: u64,
    complete: &mut impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let (mut start, mut end, mut path) = (0, new, Vec::new());
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            path.push(range(middle, end, complete)?);
            end = middle;
        } else {
            path.push(range(start, middle, complete)?);
            start = middle;
        }
    }
    if start != 0 {
        path.push(range(start, end, complete)?);
    }
    path.reverse();
    Ok(path)
}

/// The largest power of two smaller than `len`, which is at least 2.
fn split(len: u64) -> u64 {
    1 << (63 - (len - 1).leading_zeros())
}

/// Whether `path` shows that `leaf` is leaf `index` of the tree of `size` leaves with this root (RFC 9162 §2.1.3.2).
pub fn check_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether `path` shows that the tree of `new` leaves begins with the tree of `old` leaves (RFC 9162 §2.1.4.2).
pub fn check_consistency(old: u64, new: u64, path: &[Hash], old_root: &Hash, new_root: &Hash) -> bool {
    if old == 0 || old > new {
        return false;
    }
    if old == new {
        return path.is_empty() && old_root == new_root;
    }
    // A complete old tree is itself the first node of the path.
    let (first, rest) = if old.is_power_of_two() {
        (*old_root, path)
    } else {
        match path.split_first() {
            Some((first, rest)) => (*first, rest),
            None => return false,
        }
    };
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE_MAX: u64 = 10;

    fn tree() -> Tree {
        let mut tree = Tree::new();
        (0..SIZE_MAX).for_each(|n| tree.push(leaf_hash(&n.to_be_bytes())));
        tree
    }

    #[test]
    fn the_worked_example_of_the_header_holds() {
        let tree = tree();
        let leaf = |n: u64| leaf_hash(&n.to_be_bytes());
        let root = node_hash(&node_hash(&leaf(0), &leaf(1)), &leaf(2));
        assert_eq!(tree.root_at(3), Some(root));
        assert_eq!(tree.prove_inclusion(1, 3), Some([leaf(0), leaf(2)].to_vec()));
        assert_eq!(tree.prove_consistency(2, 3), Some([leaf(2)].to_vec()));
        assert_eq!(alloc::format!("{}", empty_root()).get(..16), Some("e3b0c44298fc1c14"));
    }

    /// Roots and tiles are those of a tree that keeps all, and of the hashes within tiles the last ones are there.
    #[test]
    fn a_tree_of_recent_hashes_grows_like_one_that_keeps_all() {
        let (mut whole, mut recent) = (Tree::new(), Tree::recent());
        let count = 3 * RECENT_LEAVES as u64 + 300;
        for number in 0..count {
            let leaf = Hash(core::array::from_fn(|at| number.to_le_bytes()[at % 8]));
            whole.push(leaf);
            recent.push(leaf);
            assert!(recent.levels[0].hashes.len() < 2 * RECENT_LEAVES);
            if number % 9_973 == 0 {
                assert_eq!(whole.root(), recent.root());
            }
        }
        let again = Tree::of_tiles(recent.tiles().0, recent.tiles().1);
        for tree in [&recent, &again] {
            assert_eq!((tree.size(), tree.root(), tree.tiles()), (count, whole.root(), whole.tiles()));
            assert_eq!(tree.row(0, 0, 1), None);
            let tiles = count >> TILE_LEVEL;
            assert_eq!(tree.row(TILE_LEVEL, 0, tiles), whole.row(TILE_LEVEL, 0, tiles));
            assert_eq!(tree.row(TILE_LEVEL + 1, 0, tiles / 2), whole.row(TILE_LEVEL + 1, 0, tiles / 2));
            // What is not kept is asked for, and nothing else.
            for (index, size) in
                [(0, count), (77, 300), (70_000, 131_072), (count - 1, count), (count - 1_000, count - 7)]
            {
                let mut asked = |level, index| {
                    tree.row(level, index, 1).or_else(|| whole.row(level, index, 1)).map(|row| row[0]).ok_or(())
                };
                assert_eq!(inclusion(index, size, &mut asked).ok(), whole.prove_inclusion(index, size));
                assert_eq!(consistency(index + 1, size, &mut asked).ok(), whole.prove_consistency(index + 1, size));
                assert_eq!(range(0, size, &mut asked).ok(), whole.root_at(size));
            }
        }
        let last = count - 65_536;
        assert_eq!(recent.prove_inclusion(last, count), whole.prove_inclusion(last, count));
    }

    #[test]
    fn what_does_not_exist_is_not_proved() {
        let tree = tree();
        assert_eq!(tree.prove_inclusion(5, 5), None);
        assert_eq!(tree.prove_inclusion(0, SIZE_MAX + 1), None);
        assert_eq!(tree.prove_consistency(0, 5), None);
        assert_eq!(tree.prove_consistency(6, 5), None);
    }
}
