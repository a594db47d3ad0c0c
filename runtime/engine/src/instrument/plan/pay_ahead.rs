//! Moves what blocks owe to the blocks before them, class of edges by class of edges.

use super::disjoint_sets::DisjointSets;
use super::{Plan, ROUND_UP_MAX};
use std::collections::BTreeMap;

/// Edges that share sources or targets, directly or through others of the class. Both lists are in order.
#[derive(Default)]
struct EdgeClass {
    sources: Vec<usize>,
    targets: Vec<usize>,
}

impl Plan {
    /// Moves what all targets of a class of edges owe to its sources; then rounds up.
    pub(super) fn pay_ahead(&mut self) {
        let classes = self.edge_classes();
        // What came to a source in one pass may move on in the next.
        for round_up in [0, 0, 0, ROUND_UP_MAX] {
            classes.iter().for_each(|class| self.pay_class_ahead(class, round_up));
        }
    }

    /// Moves the most that leaves no target owing less than nothing; one that owes up to `round_up` less pays as much
    /// as the others.
    fn pay_class_ahead(&mut self, class: &EdgeClass, round_up: u64) {
        if class.targets.iter().any(|target| self.blocks[*target].loop_header) {
            return;
        }
        // A block that is both source and target is relieved by as much as it pays.
        let targets_only = || class.targets.iter().filter(|target| class.sources.binary_search(target).is_err());
        let owed = |target: &usize| self.blocks[*target].gas;
        let Some(least) = targets_only().map(owed).min() else { return };
        let ahead = targets_only().map(owed).filter(|gas| *gas <= least + round_up).max().unwrap_or(least);
        for target in targets_only() {
            let gas = &mut self.blocks[*target].gas;
            *gas = gas.saturating_sub(ahead);
        }
        let sources_only = class.sources.iter().filter(|source| class.targets.binary_search(source).is_err());
        sources_only.for_each(|source| self.blocks[*source].gas += ahead);
    }

    /// The classes of edges; the one whose sources come last is first.
    fn edge_classes(&self) -> Vec<EdgeClass> {
        // A block is a member twice: as a source, and as a target.
        let (as_source, as_target) = (|block: usize| 2 * block, |block: usize| 2 * block + 1);
        let mut sets = DisjointSets::new(2 * self.blocks.len());
        for (source, block) in self.blocks.iter().enumerate() {
            block.successors.iter().for_each(|target| sets.union(as_source(source), as_target(*target)));
        }
        let mut classes: BTreeMap<usize, EdgeClass> = BTreeMap::new();
        for (source, block) in self.blocks.iter().enumerate() {
            if !block.successors.is_empty() {
                classes.entry(sets.find(as_source(source))).or_default().sources.push(source);
            }
        }
        for target in 0..self.blocks.len() {
            // A block without predecessors, as the first is, is in no class.
            classes.entry(sets.find(as_target(target))).and_modify(|class| class.targets.push(target));
        }
        let mut classes: Vec<EdgeClass> = classes.into_values().collect();
        classes.sort_by(|a, b| b.sources.cmp(&a.sources));
        classes
    }
}
