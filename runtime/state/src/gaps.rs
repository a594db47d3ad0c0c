//! Ranges of keys of which a scan has found that nothing is left in them.
//!
//! What is removed stays in the layers above a store until the store has heard of it, and a scan passes it key by key. A call
//! would pay once for removals and have them passed by as many scans as it likes. So a scan that passes many keys remembers
//! where, and the next one goes on behind them.

use crate::store::Scan;
use std::collections::BTreeMap;
use std::ops::Bound;

/// The end of a range: the first key behind it, or `None` where nothing is.
type End = Option<Vec<u8>>;

/// Disjoint ranges that do not touch, by their first key.
#[derive(Default)]
pub(crate) struct Gaps(BTreeMap<Vec<u8>, End>);

/// The first key behind this one.
pub(crate) fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// Whether the end lies at the key or behind it.
fn reaches(end: &End, key: &[u8]) -> bool {
    end.as_deref().is_none_or(|end| end >= key)
}

/// The end that lies further back.
fn later(a: End, b: End) -> End {
    Some(a?.max(b?))
}

impl Gaps {
    /// Nothing is left in this range.
    pub(crate) fn insert(&mut self, from: Vec<u8>, to: End) {
        if to.as_ref().is_some_and(|to| *to <= from) {
            return;
        }
        let (mut from, mut to) = (from, to);
        let before = self.0.range(..=from.clone()).next_back();
        if let Some((first, _)) = before.filter(|(_, end)| reaches(end, &from)) {
            from = first.clone();
        }
        let upper = to.clone().map_or(Bound::Unbounded, Bound::Included);
        let met: Vec<_> =
            self.0.range((Bound::Included(from.clone()), upper)).map(|(first, _)| first.clone()).collect();
        for first in met {
            to = later(to, self.0.remove(&first).flatten());
        }
        self.0.insert(from, to);
    }

    /// This key is written.
    pub(crate) fn split(&mut self, key: &[u8]) {
        let around = self.0.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
        let Some((first, end)) = around.filter(|(_, end)| end.as_deref().is_none_or(|end| end > key)) else { return };
        let (first, end) = (first.clone(), end.clone());
        self.0.remove(&first);
        self.insert_apart(first, Some(key.to_vec()));
        self.insert_apart(after(key), end);
    }

    fn insert_apart(&mut self, from: Vec<u8>, to: End) {
        if to.as_ref().is_none_or(|to| *to > from) {
            self.0.insert(from, to);
        }
    }

    /// What of the range is visited next: from its beginning up to a gap. A gap at the beginning is taken off the range. `None` where nothing is left.
    pub(crate) fn next_part(&self, range: &mut Scan) -> Option<Scan> {
        if range.descending { self.last_part(range) } else { self.first_part(range) }
    }

    fn first_part(&self, range: &mut Scan) -> Option<Scan> {
        let around = self.0.range(..=range.from.clone()).next_back();
        if let Some((_, end)) = around.filter(|(_, end)| end.as_ref().is_none_or(|end| *end > range.from)) {
            range.from = end.clone()?;
        }
        let next = self.0.range((Bound::Excluded(range.from.clone()), Bound::Unbounded)).next();
        let to = match (next, &range.to) {
            (Some((first, _)), Some(to)) => Some(first.min(to).clone()),
            (Some((first, _)), None) => Some(first.clone()),
            (None, to) => to.clone(),
        };
        Some(Scan { to, ..range.clone() })
    }

    fn last_part(&self, range: &mut Scan) -> Option<Scan> {
        let below = |to: &End| {
            self.0.range((Bound::Unbounded, to.clone().map_or(Bound::Unbounded, Bound::Excluded))).next_back()
        };
        let around = below(&range.to);
        if let Some((first, _)) = around.filter(|(_, end)| match &range.to {
            Some(to) => reaches(end, to),
            None => end.is_none(),
        }) {
            range.to = Some(first.clone());
        }
        let from = match below(&range.to) {
            Some((_, Some(end))) => end.max(&range.from).clone(),
            // A gap without an end has been taken off.
            Some((_, None)) | None => range.from.clone(),
        };
        Some(Scan { from, ..range.clone() })
    }
}
