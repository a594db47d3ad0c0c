//! What a contract stores: single items, and maps with ordered keys.
//!
//! The key of an item is its name's length (`u8`) and its name; that of a map's pair goes on with the [ordered encoding](crate::key) of the
//! map's key. So what one map holds is one range of the contract's keys.

use crate::key::{BeginsWith, Key};
use crate::{Context, host};
use alloc::vec::Vec;
use chancery_types::call::NAME_BYTES_MAX;
use chancery_types::codec::{Decode, Encode, Reader};
use core::marker::PhantomData;
use core::ops::{Bound, Range, RangeBounds};

/// A single value.
pub struct Item<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

/// Values by key, in the order of the keys.
pub struct Map<K, V> {
    name: &'static str,
    pair: PhantomData<fn() -> (K, V)>,
}

/// A name of 1 to 64 bytes, whose length fits the key's first byte. In a constant another one does not compile.
const fn checked(name: &'static str) -> &'static str {
    assert!(!name.is_empty() && name.len() <= NAME_BYTES_MAX, "expected a name of 1 to 64 bytes");
    name
}

fn name_key(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key.push(name.len() as u8);
    key.extend_from_slice(name.as_bytes());
    key
}

fn read<T: Decode>(key: &[u8]) -> Option<T> {
    host::get(key).map(|bytes| stored(&bytes))
}

fn stored<T: Decode>(bytes: &[u8]) -> T {
    match T::from_bytes(bytes) {
        Ok(value) => value,
        // Only this contract writes its keys, and with this type.
        Err(_) => unreachable!(),
    }
}

impl<T: Encode + Decode> Item<T> {
    /// The item with this name, of 1 to 64 bytes.
    pub const fn new(name: &'static str) -> Self {
        Item { name: checked(name), value: PhantomData }
    }

    /// Its value, if it has one.
    pub fn get(&self, _: &Context) -> Option<T> {
        read(&name_key(self.name))
    }

    /// Sets it.
    pub fn set(&self, _: &mut Context, value: &T) {
        host::set(&name_key(self.name), &value.to_bytes());
    }

    /// Removes it.
    pub fn remove(&self, _: &mut Context) {
        host::remove(&name_key(self.name));
    }
}

impl<K: Key, V: Encode + Decode> Map<K, V> {
    /// The map with this name, of 1 to 64 bytes.
    pub const fn new(name: &'static str) -> Self {
        Map { name: checked(name), pair: PhantomData }
    }

    fn key(&self, key: &K) -> Vec<u8> {
        let mut bytes = name_key(self.name);
        key.write(&mut bytes);
        bytes
    }

    /// The value of a key.
    pub fn get(&self, _: &Context, key: &K) -> Option<V> {
        read(&self.key(key))
    }

    /// Whether the key has a value.
    pub fn has(&self, _: &Context, key: &K) -> bool {
        host::get(&self.key(key)).is_some()
    }

    /// Sets the value of a key.
    pub fn set(&self, _: &mut Context, key: &K, value: &V) {
        host::set(&self.key(key), &value.to_bytes());
    }

    /// Removes a key.
    pub fn remove(&self, _: &mut Context, key: &K) {
        host::remove(&self.key(key));
    }

    /// All pairs, in order.
    pub fn iter<'a>(&self, ctx: &'a Context) -> Pairs<'a, K, V> {
        let from = name_key(self.name);
        Pairs::new(ctx, from.len(), from.clone(), behind(from))
    }

    /// The pairs whose keys lie in a range, in order.
    pub fn range<'a>(&self, ctx: &'a Context, range: impl RangeBounds<K>) -> Pairs<'a, K, V> {
        let name = name_key(self.name);
        // No key is the beginning of another, so a byte more is what comes next.
        let next = |key: &K| {
            let mut bytes = self.key(key);
            bytes.push(0);
            bytes
        };
        let from = match range.start_bound() {
            Bound::Included(key) => self.key(key),
            Bound::Excluded(key) => next(key),
            Bound::Unbounded => name.clone(),
        };
        let to = match range.end_bound() {
            Bound::Included(key) => next(key),
            Bound::Excluded(key) => self.key(key),
            Bound::Unbounded => behind(name.clone()),
        };
        Pairs::new(ctx, name.len(), from, to)
    }

    /// The pairs whose keys begin with these parts, in order.
    pub fn beginning<'a, P: Key>(&self, ctx: &'a Context, parts: &P) -> Pairs<'a, K, V>
    where
        K: BeginsWith<P>,
    {
        let name = name_key(self.name);
        let mut from = name.clone();
        parts.write(&mut from);
        Pairs::new(ctx, name.len(), from.clone(), behind(from))
    }
}

/// The first key behind all that begin with these bytes. They begin with the length of a name, which is below 255.
fn behind(mut bytes: Vec<u8>) -> Vec<u8> {
    while bytes.last() == Some(&0xff) {
        bytes.pop();
    }
    if let Some(last) = bytes.last_mut() {
        *last += 1;
    }
    bytes
}

/// Pairs of a map, read page by page into the same memory, so that a contract may go through more than it could hold. Writing to the map waits until
/// they are dropped.
pub struct Pairs<'a, K, V> {
    ctx: PhantomData<&'a Context>,
    pair: PhantomData<fn() -> (K, V)>,
    name_len: usize,
    from: Vec<u8>,
    to: Vec<u8>,
    descending: bool,
    page: Vec<u8>,
    at: usize,
    left: u32,
    done: bool,
}

impl<'a, K, V> Pairs<'a, K, V> {
    fn new(_: &'a Context, name_len: usize, from: Vec<u8>, to: Vec<u8>) -> Self {
        let (ctx, pair) = (PhantomData, PhantomData);
        Pairs { ctx, pair, name_len, from, to, descending: false, page: Vec::new(), at: 0, left: 0, done: false }
    }

    /// From the greatest key downwards.
    pub fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    fn fetch(&mut self) {
        // An empty range has no pages.
        if self.from >= self.to {
            self.done = true;
            return;
        }
        self.left = host::scan(&self.from, &self.to, self.descending, &mut self.page);
        self.at = 0;
        self.done = self.left == 0;
    }

    /// The next pair of the page: where its key and its value stand in it.
    fn pair(&mut self) -> Option<(Range<usize>, Range<usize>)> {
        let mut reader = Reader::new(self.page.get(self.at..)?);
        let key_len = usize::from(u16::from_le_bytes(reader.array().ok()?));
        let key = self.page.len() - reader.rest().len();
        reader.take(key_len).ok()?;
        let value_len = reader.bytes().ok()?.len();
        self.at = self.page.len() - reader.rest().len();
        self.left -= 1;
        Some((key..key + key_len, self.at - value_len..self.at))
    }

    /// Sets where the next page begins, behind this key.
    fn go_on(&mut self, key: Range<usize>) {
        let bound = if self.descending { &mut self.to } else { &mut self.from };
        bound.clear();
        bound.extend_from_slice(&self.page[key]);
        if !self.descending {
            bound.push(0);
        }
    }
}

impl<K: Key, V: Decode> Iterator for Pairs<'_, K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        if self.left == 0 && !self.done {
            self.fetch();
        }
        if self.done {
            return None;
        }
        let (key, value) = self.pair()?;
        if self.left == 0 {
            self.go_on(key.clone());
        }
        let Ok(parts) = K::read(&mut Reader::new(self.page[key].get(self.name_len..)?)) else { unreachable!() };
        Some((parts, stored(&self.page[value])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_64_bytes() {
        const LONGEST: &str = "sixty-four-bytes-of-name-are-allowed-and-this-one-has-all-of-them";
        let made = |name| std::panic::catch_unwind(|| (Item::<u8>::new(name), Map::<u8, u8>::new(name))).is_ok();
        assert!(made("a") && made(&LONGEST[..64]));
        assert!(!made("") && !made(LONGEST));
    }
}
