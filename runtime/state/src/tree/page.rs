//! The subtrees in memory: a page for several levels of inner nodes, and small subtrees as [`leaves`] side by side.

use super::leaves::{self, Leaf, hash};
use super::{Change, EMPTY, bit, inner_hash};
use chancery_types::Hash;
use std::sync::Arc;

/// Levels of a page.
const LEVELS: usize = 2;
/// Subtrees under a page.
pub(super) const WIDTH: usize = 1 << LEVELS;
/// The largest subtree without a page, in leaves.
pub(super) const LEAVES_MAX: usize = 32;
/// The fewest changes that are shared out between threads.
pub(super) const SHARED_MIN: usize = 1 << 15;

/// What is known of a subtree from above.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(super) struct Top {
    pub(super) hash: Hash,
    pub(super) leaves: u64,
}

impl Default for Top {
    fn default() -> Self {
        Top { hash: EMPTY, leaves: 0 }
    }
}

impl Top {
    /// Of two halves: the rule of the tree.
    fn joined(left: &Top, right: &Top) -> Top {
        let hash = match (left.leaves, right.leaves) {
            (_, 0) if left.leaves < 2 => left.hash,
            (0, 1) => right.hash,
            _ => inner_hash(&left.hash, &right.hash),
        };
        Top { hash, leaves: left.leaves + right.leaves }
    }
}

/// A subtree. It is a page if it has more than [`LEAVES_MAX`] leaves: its shape too depends on the set of pairs alone.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(super) enum Node {
    Leaves(Arc<[Leaf]>),
    Page(Arc<Page>),
}

// A page of more leaves than there are paths below it would ask for bits behind the last.
const _: () = assert!(LEAVES_MAX >= WIDTH);

/// The inner nodes of some levels.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(super) struct Page {
    /// As in a heap: the page's own at 1, the halves of that at `i` at `2 i` and `2 i + 1`, those of the children from [`WIDTH`] on.
    tops: [Top; 2 * WIDTH],
    children: [Node; WIDTH],
}

impl Default for Node {
    fn default() -> Self {
        Node::Leaves(Arc::default())
    }
}

/// The child of a page at `depth` that a path goes through.
fn slot(path: &Hash, depth: usize) -> usize {
    (depth..depth + LEVELS).fold(0, |slot, depth| 2 * slot + usize::from(bit(path, depth)))
}

impl Node {
    /// The subtree of sorted leaves.
    fn of(leaves: &mut [Leaf], depth: usize) -> (Node, Top) {
        if leaves.len() > LEAVES_MAX {
            let page = Page::of(leaves, depth);
            let top = page.tops[1];
            return (Node::Page(Arc::new(page)), top);
        }
        if leaves.is_empty() {
            return Default::default();
        }
        leaves::settle_all(leaves);
        let top = Top { hash: hash(leaves, depth), leaves: leaves.len() as u64 };
        (Node::Leaves(Arc::from(&*leaves)), top)
    }

    /// Applies sorted changes, all below this subtree, whose root stands at `depth`.
    pub(super) fn update(&mut self, changes: &[Change], depth: usize) -> Top {
        match self {
            Node::Page(page) => {
                let page = Arc::make_mut(page);
                page.update(changes, depth);
                if page.tops[1].leaves > LEAVES_MAX as u64 {
                    return page.tops[1];
                }
                let mut all = Vec::with_capacity(LEAVES_MAX);
                self.for_each(&mut |leaf| all.push(*leaf));
                self.become_of(&mut all, depth)
            }
            Node::Leaves(leaves) if leaves::holds(leaves, changes) => {
                let leaves = Arc::make_mut(leaves);
                leaves::replace(leaves, changes);
                Top { hash: hash(leaves, depth), leaves: leaves.len() as u64 }
            }
            Node::Leaves(leaves) if changes.len() <= LEAVES_MAX => {
                let mut all = leaves::merged(leaves, changes);
                self.become_of(&mut all, depth)
            }
            Node::Leaves(leaves) => {
                let mut few = leaves.to_vec();
                *self = Node::Page(Arc::new(Page::of(&mut few, depth)));
                self.update(changes, depth)
            }
        }
    }

    fn become_of(&mut self, leaves: &mut [Leaf], depth: usize) -> Top {
        let top;
        (*self, top) = Node::of(leaves, depth);
        top
    }

    pub(super) fn get(&self, path: &Hash) -> Option<Hash> {
        let (mut node, mut depth) = (self, 0);
        loop {
            match node {
                Node::Page(page) => node = &page.children[slot(path, depth)],
                Node::Leaves(leaves) => return leaves::get(leaves, path),
            }
            depth += LEVELS;
        }
    }

    pub(super) fn for_each(&self, each: &mut impl FnMut(&Leaf)) {
        match self {
            Node::Page(page) => page.children.iter().for_each(|child| child.for_each(each)),
            Node::Leaves(leaves) => leaves.iter().for_each(each),
        }
    }

    /// The leaf at which a path ends, if any; its siblings are put behind those that are there.
    pub(super) fn prove(&self, path: &Hash, siblings: &mut Vec<Hash>) -> Option<Leaf> {
        let mut node = self;
        loop {
            match node {
                Node::Page(page) => match page.descend(path, siblings) {
                    Ok(child) => node = child,
                    Err(leaf) => return leaf,
                },
                Node::Leaves(leaves) => return leaves::prove(leaves, path, siblings),
            }
        }
    }
}

impl Page {
    /// The page of sorted leaves.
    fn of(leaves: &mut [Leaf], depth: usize) -> Page {
        let mut page = Page { tops: Default::default(), children: Default::default() };
        let mut rest = leaves;
        for child in 0..WIDTH {
            let (here, after) = rest.split_at_mut(rest.partition_point(|leaf| slot(&leaf.path, depth) <= child));
            (page.children[child], page.tops[WIDTH + child]) = Node::of(here, depth + LEVELS);
            rest = after;
        }
        page.join(&[true; WIDTH]);
        page
    }

    /// Computes the inner nodes above the children that have changed.
    fn join(&mut self, changed: &[bool; WIDTH]) {
        let mut stale = [false; 2 * WIDTH];
        stale[WIDTH..].copy_from_slice(changed);
        for i in (1..WIDTH).rev() {
            stale[i] = stale[2 * i] || stale[2 * i + 1];
            if stale[i] {
                self.tops[i] = Top::joined(&self.tops[2 * i], &self.tops[2 * i + 1]);
            }
        }
    }

    fn update(&mut self, changes: &[Change], depth: usize) {
        let mut shares = [&[] as &[Change]; WIDTH];
        let mut rest = changes;
        while let Some((path, _)) = rest.first() {
            let child = slot(path, depth);
            let end = rest.partition_point(|(path, _)| slot(path, depth) == child);
            (shares[child], rest) = rest.split_at(end);
        }
        let below = depth + LEVELS;
        let (tops, children) = (&mut self.tops[WIDTH..], &mut self.children);
        if changes.len() < SHARED_MIN {
            update_children(children, tops, &shares, below);
        } else {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let each = WIDTH.div_ceil(threads.min(WIDTH));
            std::thread::scope(|scope| {
                for ((children, tops), shares) in
                    children.chunks_mut(each).zip(tops.chunks_mut(each)).zip(shares.chunks(each))
                {
                    scope.spawn(move || update_children(children, tops, shares, below));
                }
            });
        }
        self.join(&shares.map(|share| !share.is_empty()));
    }

    /// The child that a path goes to, or the leaf at which it ends before.
    fn descend(&self, path: &Hash, siblings: &mut Vec<Hash>) -> Result<&Node, Option<Leaf>> {
        let (first, mut at) = (siblings.len(), 1);
        for level in 0..LEVELS {
            if self.tops[at].leaves < 2 {
                let width = WIDTH >> level;
                let children = &self.children[at * width - WIDTH..][..width];
                let mut found = None;
                children.iter().for_each(|child| child.for_each(&mut |leaf| found = Some(*leaf)));
                return Err(found);
            }
            at = 2 * at + usize::from(bit(path, first + level));
            siblings.push(self.tops[at ^ 1].hash);
        }
        Ok(&self.children[at - WIDTH])
    }
}

fn update_children(children: &mut [Node], tops: &mut [Top], shares: &[&[Change]], depth: usize) {
    for ((child, top), share) in children.iter_mut().zip(tops).zip(shares) {
        if !share.is_empty() {
            *top = child.update(share, depth);
        }
    }
}
