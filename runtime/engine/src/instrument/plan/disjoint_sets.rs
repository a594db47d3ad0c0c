//! Disjoint sets (union-find), with path halving.

/// A partition of `0..n`; each member names its parent, and a root itself.
pub(super) struct DisjointSets(Vec<usize>);

impl DisjointSets {
    /// Each member in a set of its own.
    pub(super) fn new(members: usize) -> Self {
        DisjointSets((0..members).collect())
    }

    /// The root of the member's set: its smallest member.
    pub(super) fn find(&mut self, mut member: usize) -> usize {
        while self.0[member] != member {
            self.0[member] = self.0[self.0[member]];
            member = self.0[member];
        }
        member
    }

    /// Makes one set of the sets of two members. The smaller root becomes the root, so that the order of unions does
    /// not show.
    pub(super) fn union(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_member_is_the_root_in_whatever_order_sets_are_united() {
        let unions = [(4, 2), (2, 5), (1, 0), (5, 4)];
        for first in 0..unions.len() {
            let mut sets = DisjointSets::new(6);
            unions.iter().cycle().skip(first).take(unions.len()).for_each(|(a, b)| sets.union(*a, *b));
            assert_eq!([0, 1, 2, 3, 4, 5].map(|member| sets.find(member)), [0, 0, 2, 3, 2, 2]);
        }
    }
}
