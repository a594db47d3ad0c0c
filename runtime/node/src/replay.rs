//! Bringing a view to the end of the journal, on a thread of its own beside the scan.
//!
//! The scan gathers what the view lacks into [shares](Share) of many blocks; the [`Applier`] first reads the view as it
//! stands, which must be the state that the view says it is, then applies one share after the other to it and to the
//! tree of the state. So the tree is that of the view as it was found, or of a summary, and of the journal's writes
//! behind.

use crate::NodeError;
use crate::journal::Mark;
use crate::options::Progress;
use chancery_state::view::Position;
use chancery_state::{StateError, StateView, Tree, ViewBatch, tree};
use chancery_types::Height;
use chancery_types::entry::WriteSet;
use std::sync::mpsc::{Receiver, SyncSender};

/// Writes that are gathered, so that keys come to the view in order. Tests have few keys and are to meet the limit too.
const SHARE_WRITES: usize = if cfg!(any(test, feature = "sim")) { 1_000 } else { 500_000 };
/// Bytes of keys and values that are gathered: two shares are in memory at a time.
const SHARE_BYTES: usize = 64 << 20;
/// Pairs of the view that are added to the tree at once: they come in another order than the tree's.
const PAIRS: usize = 1 << 20;

/// What some whole blocks bring: the writes in the order of the journal, and where they lead to.
pub(crate) struct Share {
    writes: WriteSet,
    position: Position,
}

/// The side of the scan: what the view lacks.
pub(crate) struct Replay {
    /// Where the view stands.
    from: Option<Position>,
    /// Entries that the tree to begin with is after.
    tree_from: u64,
    /// Whether the view was found at odds with the journal.
    doubt: bool,
    /// Of the blocks that are not sent yet, the last of which leads to `position`.
    gathered: WriteSet,
    gathered_bytes: usize,
    position: Option<Position>,
    /// Of the block that is not sealed yet.
    open: WriteSet,
    shares: Option<SyncSender<Share>>,
    progress: (Progress, u64),
}

impl Replay {
    /// For a view that stands at `from` and a scan that begins at a summary's mark or at the first entry. `progress` is
    /// told of entries, and of how many there are, 0 where that is not known.
    pub(crate) fn new(
        from: Option<Position>,
        mark: Option<&Mark>,
        shares: SyncSender<Share>,
        progress: (Progress, u64),
    ) -> Self {
        let tree_from = mark.map_or(from.map_or(0, |from| from.entries), |mark| mark.entries);
        Replay {
            from,
            tree_from,
            doubt: false,
            gathered: WriteSet::new(),
            gathered_bytes: 0,
            position: None,
            open: WriteSet::new(),
            shares: Some(shares),
            progress,
        }
    }

    /// Whether what entry `index` writes is to be told.
    pub(crate) fn needs_writes(&self, index: u64) -> bool {
        index >= self.tree_from
    }

    /// What a call of the open block writes.
    pub(crate) fn write(&mut self, writes: WriteSet) {
        self.gathered_bytes +=
            writes.iter().map(|write| write.key.len() + write.value.as_ref().map_or(0, Vec::len)).sum::<usize>();
        self.open.extend(writes);
    }

    /// The open block ends here.
    ///
    /// # Errors
    /// When the applier has given up.
    pub(crate) fn sealed(&mut self, position: Position) -> Result<(), NodeError> {
        self.doubt |= self.from.is_some_and(|from| position.height == from.height && position != from);
        self.gathered.append(&mut self.open);
        self.position = Some(position);
        let many = self.gathered.len() >= SHARE_WRITES || self.gathered_bytes >= SHARE_BYTES;
        // What the view has ends with a share, for the tree alone.
        if many || self.from.is_some_and(|from| position.height == from.height) {
            let (progress, total) = &self.progress;
            if many {
                progress("bringing the view to the end of the journal", position.entries, *total);
            }
            self.send()?;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), NodeError> {
        let (Some(position), Some(shares)) = (self.position.take(), &self.shares) else { return Ok(()) };
        let writes = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        // Nothing is new where the scan goes through what the view has.
        if position.entries <= self.tree_from {
            return Ok(());
        }
        let gone = |_| NodeError::State(StateError::View("it cannot be brought to the end of the journal".into()));
        shares.send(Share { writes, position }).map_err(gone)
    }

    /// Sends what is left.
    ///
    /// # Errors
    /// As [`Replay::sealed`].
    pub(crate) fn finish(&mut self) -> Result<(), NodeError> {
        self.send()?;
        self.shares = None;
        Ok(())
    }

    /// Whether the view is that of this journal, whose last block has this height.
    ///
    /// # Errors
    /// [`StateError::View`].
    pub(crate) fn check(self, height: Height) -> Result<(), StateError> {
        let ahead = self.from.is_some_and(|from| from.height > height);
        if self.doubt || ahead {
            return Err(StateError::View("it is not that of this journal".into()));
        }
        Ok(())
    }
}

/// The side of the view.
pub(crate) struct Applier<'a> {
    pub(crate) view: &'a dyn StateView,
    /// Where it stands.
    pub(crate) from: Option<Position>,
    /// The tree of the state that a summary gave: then the view is not read, for every value is compared with the tree
    /// later.
    pub(crate) state: Option<Tree>,
}

impl Applier<'_> {
    /// Reads what stands in the view, then applies shares until there are no more. Gives the tree of the state at the
    /// end.
    ///
    /// # Errors
    /// [`StateError`]: the view fails, or holds what it does not say.
    pub(crate) fn run(mut self, shares: &Receiver<Share>) -> Result<Tree, StateError> {
        let mut tree = match self.state.take() {
            Some(tree) => tree,
            None => self.standing()?,
        };
        let mut position = None;
        for Share { writes, position: leads_to } in shares {
            let writes = last_of_each(writes);
            tree.update(writes.iter().map(tree::change));
            if self.from.is_some_and(|from| leads_to.height <= from.height) {
                continue;
            }
            self.view.apply(&ViewBatch { writes, position: None })?;
            position = Some(leads_to);
        }
        // The position is written last; an interrupted view has none and is rebuilt.
        if position.is_some() {
            self.view.apply(&ViewBatch { writes: Vec::new(), position })?;
        }
        Ok(tree)
    }

    /// The tree over all pairs of the view.
    fn standing(&self) -> Result<Tree, StateError> {
        let (mut tree, mut changes) = (Tree::new(), Vec::new());
        for pair in self.view.pairs() {
            let ((contract, key), value) = pair?;
            changes.push((tree::path(&contract, &key), Some(tree::value_hash(&value))));
            if changes.len() >= PAIRS {
                tree.update(changes.drain(..));
            }
        }
        tree.update(changes);
        match self.from {
            None if tree.is_empty() => Ok(tree),
            None => Err(StateError::View("it has pairs and does not say how far it has come".into())),
            Some(from) if from.root == tree.root() => Ok(tree),
            Some(_) => Err(StateError::View("its root is not that of the block at which it says it stands".into())),
        }
    }
}

/// The last write of each key, in the order of the keys: neighbours lie on one page of the view.
fn last_of_each(mut writes: WriteSet) -> WriteSet {
    writes.sort_by(|a, b| (a.contract, &a.key).cmp(&(b.contract, &b.key)));
    writes.dedup_by(|later, earlier| {
        let same = (later.contract, &later.key) == (earlier.contract, &earlier.key);
        if same {
            std::mem::swap(&mut later.value, &mut earlier.value);
        }
        same
    });
    writes
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_state::{Purpose, Store, View};
    use chancery_types::entry::Write;
    use chancery_types::{ContractId, Hash};
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::mpsc::sync_channel;

    const CONTRACT: ContractId = ContractId([7; 32]);

    /// Block `height` of a log: each writes a key of its own, a key that all write, and removes the key of the block
    /// before.
    fn block(height: u64) -> WriteSet {
        let write = |key: String, value: Option<u64>| {
            let value = value.map(|value| value.to_le_bytes().to_vec());
            Write { contract: CONTRACT, key: key.into_bytes(), value }
        };
        vec![
            write(format!("own {height}"), Some(height)),
            write("all".into(), Some(height)),
            write(format!("own {}", height.wrapping_sub(1)), None),
        ]
    }

    /// The state, and the position behind each block up to this one.
    fn model(blocks: u64) -> (BTreeMap<Vec<u8>, Vec<u8>>, Vec<Position>) {
        let (mut pairs, mut tree, mut positions) = (BTreeMap::new(), Tree::new(), Vec::new());
        for height in 0..blocks {
            for write in block(height) {
                tree.update([tree::change(&write)]);
                match write.value {
                    Some(value) => drop(pairs.insert(write.key, value)),
                    None => drop(pairs.remove(&write.key)),
                }
            }
            positions.push(Position { height: Height(height), root: tree.root(), entries: 2 * height + 2 });
        }
        (pairs, positions)
    }

    /// What the scan does, over a log of these blocks.
    fn replayed(view: &View, positions: &[Position]) -> Result<Tree, NodeError> {
        let from = view.position()?;
        let (shares, received) = sync_channel(0);
        let mut replay = Replay::new(from, None, shares, (Arc::new(|_, _, _| {}), 0));
        let applier = Applier { view, from, state: None };
        let (scanned, applied) = std::thread::scope(|scope| {
            let applied = scope.spawn(move || applier.run(&received));
            let scanned = (0..).zip(positions).try_for_each(|(height, position)| {
                if replay.needs_writes(2 * height) {
                    replay.write(block(height));
                }
                replay.sealed(*position)
            });
            (scanned.and_then(|()| replay.finish()), applied.join().unwrap())
        });
        let tree = applied?;
        scanned?;
        replay.check(Height(positions.len() as u64 - 1))?;
        Ok(tree)
    }

    fn check(view: &View, tree: &Tree, blocks: u64) {
        let (pairs, positions) = model(blocks);
        let found = view.pairs().map(|pair| pair.map(|((_, key), value)| (key, value)));
        assert_eq!(found.collect::<Result<BTreeMap<_, _>, _>>().unwrap(), pairs);
        assert_eq!(view.position().unwrap(), positions.last().copied());
        assert_eq!(tree.root(), positions.last().unwrap().root);
    }

    /// Over several shares, from nothing and from a view that is behind.
    #[test]
    fn a_view_is_brought_to_the_end_of_the_journal() {
        let (few, many) = (40, 2 * SHARE_WRITES as u64);
        let dir = tempfile::tempdir().unwrap();
        let view = View::open(dir.path(), Purpose::Serve).unwrap();
        for blocks in [few, many, many] {
            let tree = replayed(&view, &model(blocks).1).unwrap();
            check(&view, &tree, blocks);
        }
    }

    /// Few writes may be many bytes.
    #[test]
    fn a_share_is_sent_when_its_bytes_are_many() {
        let (shares, received) = sync_channel(0);
        let mut replay = Replay::new(None, None, shares, (Arc::new(|_, _, _| {}), 0));
        let sizes = std::thread::scope(|scope| {
            let sizes = scope.spawn(move || received.iter().map(|share| share.writes.len()).collect::<Vec<_>>());
            for height in 0..5 {
                let value = Some(vec![0; SHARE_BYTES / 2]);
                replay.write(vec![Write { contract: CONTRACT, key: vec![height as u8], value }]);
                let position = Position { height: Height(height), root: Hash([0; 32]), entries: 2 * height + 2 };
                replay.sealed(position).unwrap();
            }
            replay.finish().unwrap();
            sizes.join().unwrap()
        });
        assert_eq!(sizes, [2, 2, 1]);
    }

    #[test]
    fn a_view_that_is_not_that_of_the_journal_is_in_doubt() {
        let made = || {
            let dir = tempfile::tempdir().unwrap();
            let view = View::open(dir.path(), Purpose::Serve).unwrap();
            replayed(&view, &model(40).1).unwrap();
            (dir, view)
        };
        let in_doubt = |change: &dyn Fn(&View), blocks: u64| {
            let (_dir, view) = made();
            change(&view);
            matches!(replayed(&view, &model(blocks).1), Err(NodeError::State(StateError::View(_))))
        };
        let put = |view: &View, writes: WriteSet| view.apply(&ViewBatch { writes, position: None }).unwrap();
        let write = |key: &[u8], value: Option<Vec<u8>>| vec![Write { contract: CONTRACT, key: key.into(), value }];
        assert!(!in_doubt(&|_| {}, 60));
        assert!(in_doubt(&|_| {}, 39), "ahead of the journal");
        assert!(in_doubt(&|view| put(view, write(b"all", Some(vec![1]))), 60), "another value");
        assert!(in_doubt(&|view| put(view, write(b"all", None)), 60), "a key is missing");
        assert!(in_doubt(&|view| put(view, write(b"more", Some(vec![]))), 60), "a key more");
        let elsewhere = |view: &View| {
            let position = view.position().unwrap().map(|position| Position { root: Hash([1; 32]), ..position });
            view.apply(&ViewBatch { writes: vec![], position }).unwrap();
        };
        assert!(in_doubt(&elsewhere, 60), "it says another root");
        let nowhere = tempfile::tempdir().unwrap();
        let view = View::open(nowhere.path(), Purpose::Serve).unwrap();
        put(&view, write(b"all", Some(vec![1])));
        assert!(view.get(&CONTRACT, b"all").unwrap().is_some());
        assert!(replayed(&view, &model(60).1).is_err(), "pairs, and no position");
    }
}
