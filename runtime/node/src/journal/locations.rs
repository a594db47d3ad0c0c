//! Where the frames of all entries lie, in four bytes an entry.

use super::Location;

/// Entries of a page. What grows is copied no more than a page at a time.
const PAGE: usize = 1 << 16;

/// The locations of the entries of a journal, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Locations {
    /// The segments in order: the number of each, and the first entry that lies in it.
    segments: Vec<(u32, u64)>,
    /// The place of each entry in its segment; every page but the last is full.
    offsets: Vec<Vec<u32>>,
}

impl Locations {
    /// How many entries there are.
    pub(crate) fn len(&self) -> u64 {
        self.offsets.last().map_or(0, |last| ((self.offsets.len() - 1) * PAGE + last.len()) as u64)
    }

    /// The next entry lies here.
    pub(crate) fn push(&mut self, Location { segment, offset }: Location) {
        if self.segments.last().is_none_or(|(last, _)| *last != segment) {
            self.segments.push((segment, self.len()));
        }
        if self.offsets.last().is_none_or(|page| page.len() == PAGE) {
            self.offsets.push(Vec::new());
        }
        if let Some(page) = self.offsets.last_mut() {
            page.push(offset);
        }
    }

    /// Where entry `index` lies.
    pub(crate) fn get(&self, index: u64) -> Option<Location> {
        let at = usize::try_from(index).ok()?;
        let offset = *self.offsets.get(at / PAGE)?.get(at % PAGE)?;
        let behind = self.segments.partition_point(|(_, first)| *first <= index);
        let (segment, _) = *self.segments.get(behind.checked_sub(1)?)?;
        Some(Location { segment, offset })
    }

    /// All, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Location> {
        (0..self.len()).map_while(|index| self.get(index))
    }

    /// Forgets the entries from `size` on.
    pub(crate) fn truncate(&mut self, size: u64) {
        self.segments.retain(|(_, first)| *first < size);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.offsets.truncate(size.div_ceil(PAGE));
        if let Some(page) = self.offsets.get_mut(size / PAGE) {
            page.truncate(size % PAGE);
        }
    }
}

impl Extend<Location> for Locations {
    fn extend<T: IntoIterator<Item = Location>>(&mut self, locations: T) {
        locations.into_iter().for_each(|location| self.push(location));
    }
}

impl FromIterator<Location> for Locations {
    fn from_iter<T: IntoIterator<Item = Location>>(locations: T) -> Self {
        let mut all = Locations::default();
        all.extend(locations);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(entry: u64) -> Location {
        // Segments of unequal numbers of entries, some of which are superseded as a whole.
        let segment = (entry / 1_000 + entry / 70_001 * 3) as u32;
        Location { segment, offset: (entry % 1_000) as u32 * 70 + 128 }
    }

    #[test]
    fn an_entry_is_found_where_it_was_put() {
        let size = 2 * PAGE as u64 + 10;
        let mut all: Locations = (0..size).map(location).collect();
        assert_eq!(all.len(), size);
        assert!((0..size).all(|entry| all.get(entry) == Some(location(entry))));
        assert!(all.get(size).is_none() && all.get(u64::MAX).is_none());
        assert!(all.iter().eq((0..size).map(location)));
        for size in [2 * PAGE as u64 + 10, 2 * PAGE as u64, 2 * PAGE as u64 - 1, 70_001, PAGE as u64, 1_000, 1, 0] {
            all.truncate(size);
            assert_eq!(all, (0..size).map(location).collect());
            assert_eq!((all.len(), all.get(size)), (size, None));
        }
    }
}
