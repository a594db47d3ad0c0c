//! Which entry a request id led to: an index in memory, derived from the log.
//!
//! The log alone says which request ids were used. This only says where to look: for each id a fingerprint of 32 bits
//! and the index of its entry, in 8 to 9 bytes of memory. An entry with the fingerprint of another id is recognised
//! when it is read: with 10⁷ of them, a lookup in 400 meets one. Fingerprints are keyed, so that nobody can choose ids
//! that share one.
//!
//! A fingerprint's first two bytes choose a bucket, in which its last two stand with the index, in no order: with 10⁷
//! ids a lookup goes through 150 of them, side by side. There is no table that doubles, so none that is half empty, or
//! that holds everybody up while it is moved.

use crate::NodeError;
use crate::random::random;
use chancery_types::RequestId;

/// A fingerprint, `u32` LE, and the index of an entry, `u48` LE.
pub(crate) type Slot = [u8; Requests::PLACE_BYTES];

/// The index.
pub(crate) struct Requests {
    key: [u8; 32],
    /// By the first two bytes of the fingerprint: its last two, and 48 bits of the index.
    buckets: Vec<Vec<u64>>,
    len: usize,
}

const BUCKETS: usize = 1 << 16;
/// Bits of an index. The frames of 2⁴⁸ entries fill more segments than can be numbered.
const INDEX_BITS: u32 = 48;
/// A bucket grows by so many places at least, and by a sixteenth of what it has.
const GROWTH_MIN: usize = 4;

impl Requests {
    /// Bytes that a request id takes in the encoding.
    pub(crate) const PLACE_BYTES: usize = 10;

    /// Of no entry, with a key of its own.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(crate) fn new() -> Result<Self, NodeError> {
        Ok(Requests::of_parts(random()?, std::iter::empty()))
    }

    /// The bucket of a request id, and what stands in it of the fingerprint.
    fn fingerprint(&self, request: RequestId) -> (u16, u16) {
        let hash = blake3::keyed_hash(&self.key, &request.0.to_le_bytes());
        let [a, b, c, d, ..] = *hash.as_bytes();
        (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
    }

    /// Entry `index` has this request id.
    pub(crate) fn insert(&mut self, request: RequestId, index: u64) {
        let (bucket, rest) = self.fingerprint(request);
        self.put(bucket, (u64::from(rest) << INDEX_BITS) | index);
    }

    fn put(&mut self, bucket: u16, place: u64) {
        let bucket = &mut self.buckets[usize::from(bucket)];
        if bucket.len() == bucket.capacity() {
            bucket.reserve_exact(GROWTH_MIN.max(bucket.len() / 16));
        }
        bucket.push(place);
        self.len += 1;
    }

    /// The entries that may have this request id; if any has it, it is one of them.
    pub(crate) fn candidates(&self, request: RequestId) -> impl Iterator<Item = u64> {
        let (bucket, rest) = self.fingerprint(request);
        let places = self.buckets[usize::from(bucket)].iter();
        places.filter(move |place| *place >> INDEX_BITS == u64::from(rest)).map(|place| place & ((1 << INDEX_BITS) - 1))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The key of the fingerprints, and the places in the order of the buckets.
    pub(crate) fn parts(&self) -> (&[u8; 32], impl Iterator<Item = Slot>) {
        let places = (0..=u16::MAX).zip(&self.buckets).flat_map(|(bucket, places)| {
            let [a, b] = bucket.to_le_bytes();
            places.iter().map(move |place| {
                let [e, f, g, h, i, j, c, d] = place.to_le_bytes();
                [a, b, c, d, e, f, g, h, i, j]
            })
        });
        (&self.key, places)
    }

    /// The index that has these [parts](Requests::parts).
    pub(crate) fn of_parts(key: [u8; 32], places: impl Iterator<Item = Slot>) -> Self {
        let mut requests = Requests { key, buckets: vec![Vec::new(); BUCKETS], len: 0 };
        for [a, b, c, d, e, f, g, h, i, j] in places {
            requests.put(u16::from_le_bytes([a, b]), u64::from_le_bytes([e, f, g, h, i, j, c, d]));
        }
        requests
    }
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
        let read = Requests::of_parts(*key, places);
        assert_eq!((requests.len() as u64, read.len() as u64), (COUNT, COUNT));
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
