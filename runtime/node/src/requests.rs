//! Which entry a request id led to: an index in memory, derived from the log.
//!
//! The log alone says which request ids were used. This only says where to look: for each id a fingerprint of 32 bits and the index of its entry, in
//! 12 to 25 bytes of memory. An entry with the fingerprint of another id is recognised when it is read: with 10⁷ of them, a lookup in 400 meets
//! one. Fingerprints are keyed, so that nobody can choose ids that share one.

use crate::NodeError;
use crate::recovery::random;
use chancery_types::RequestId;
use hashbrown::HashTable;

/// A fingerprint, `u32` LE, and the index of an entry, `u48` LE.
pub(crate) type Place = [u8; Requests::PLACE_BYTES];

/// The index.
pub(crate) struct Requests {
    key: [u8; 32],
    /// By the first six bits of the fingerprint: a table that grows moves all its places, while nobody can look anything up.
    tables: [HashTable<Place>; TABLES],
}

const TABLES: usize = 64;

/// The table in which a fingerprint stands.
fn table([.., last]: [u8; 4]) -> usize {
    usize::from(last) * TABLES / 256
}

impl Requests {
    /// Bytes that a request id takes in the encoding.
    pub(crate) const PLACE_BYTES: usize = 10;

    /// Of no entry, with a key of its own.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn new() -> Result<Self, NodeError> {
        Ok(Requests::with_capacity(random()?, 0))
    }

    fn fingerprint(&self, request: RequestId) -> [u8; 4] {
        let hash = blake3::keyed_hash(&self.key, &request.0.to_le_bytes());
        let [a, b, c, d, ..] = *hash.as_bytes();
        [a, b, c, d]
    }

    /// Entry `index` has this request id.
    pub(crate) fn insert(&mut self, request: RequestId, index: u64) {
        let [a, b, c, d] = self.fingerprint(request);
        // The frames of 2⁴⁸ entries fill more segments than can be numbered.
        let [e, f, g, h, i, j, ..] = index.to_le_bytes();
        self.place([a, b, c, d, e, f, g, h, i, j]);
    }

    /// With room for so many in all.
    fn with_capacity(key: [u8; 32], count: usize) -> Self {
        Requests { key, tables: std::array::from_fn(|_| HashTable::with_capacity(count / TABLES)) }
    }

    fn place(&mut self, place: Place) {
        let [a, b, c, d, ..] = place;
        self.tables[table([a, b, c, d])].insert_unique(spread(&place), place, spread);
    }

    /// The entries that may have this request id; if any has it, it is one of them.
    pub(crate) fn candidates(&self, request: RequestId) -> impl Iterator<Item = u64> {
        let fingerprint = self.fingerprint(request);
        let [a, b, c, d] = fingerprint;
        let places = self.tables[table(fingerprint)].iter_hash(spread(&[a, b, c, d, 0, 0, 0, 0, 0, 0]));
        places
            .filter(move |place| place.starts_with(&fingerprint))
            .map(|[.., e, f, g, h, i, j]| u64::from_le_bytes([*e, *f, *g, *h, *i, *j, 0, 0]))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.tables.iter().map(HashTable::len).sum()
    }

    /// The key of the fingerprints, and the places in no order.
    pub(crate) fn parts(&self) -> (&[u8; 32], impl Iterator<Item = &Place>) {
        (&self.key, self.tables.iter().flatten())
    }

    /// The index that has these [parts](Requests::parts), `count` places.
    pub(crate) fn of_parts(key: [u8; 32], count: usize, places: impl Iterator<Item = Place>) -> Self {
        let mut requests = Requests::with_capacity(key, count);
        places.for_each(|place| requests.place(place));
        requests
    }
}

/// The hash by which the table places: of the fingerprint alone, so that a table that grows need not know the ids.
fn spread(place: &Place) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let [a, b, c, d, ..] = *place;
    u64::from(u32::from_le_bytes([a, b, c, d])).wrapping_mul(ODD)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids of callers who count, and of callers who draw them by lot.
    fn id(number: u64) -> RequestId {
        const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
        RequestId(if number.is_multiple_of(2) { number.into() } else { u128::from(number).wrapping_mul(ODD) })
    }

    #[test]
    fn every_id_is_found_where_it_was_put_and_few_others_are_candidates() {
        const COUNT: u64 = 200_000;
        let mut requests = Requests::new().unwrap();
        (0..COUNT).for_each(|number| requests.insert(id(number), (number << 27) + number));
        let (key, places) = requests.parts();
        assert_eq!(requests.len() as u64, COUNT);
        let read = Requests::of_parts(*key, requests.len(), places.copied());
        for requests in [&requests, &read] {
            for number in 0..COUNT {
                assert!(requests.candidates(id(number)).any(|index| index == (number << 27) + number));
            }
            // In the mean 10: 200,000 × 200,000 ÷ 2³².
            let others: usize = (COUNT..2 * COUNT).map(|number| requests.candidates(id(number)).count()).sum();
            assert!(others < 100, "{others} candidates of ids that are not there");
        }
    }

    #[test]
    fn entries_of_one_fingerprint_are_all_candidates() {
        let mut requests = Requests::new().unwrap();
        (0..9).for_each(|index| requests.insert(RequestId(7), index));
        let mut found: Vec<u64> = requests.candidates(RequestId(7)).collect();
        found.sort_unstable();
        assert_eq!(found, (0..9).collect::<Vec<_>>());
    }
}
