//! Keys of maps: encoded so that their byte order is the order of the values.
//!
//! | part | bytes |
//! |---|---|
//! | unsigned integer, height, timestamp, request id | big-endian |
//! | signed integer, date (days since 1970-01-01) | big-endian, sign bit flipped |
//! | month | year as `u16`, number as `u8` |
//! | `bool` | `00` or `01` |
//! | text, bytes | as they are, each `00` as `00 FF`, then `00 00` |
//! | digest, key, id | its 32 bytes |
//! | tuple | its parts in order |
//!
//! Every part shows where it ends, so that the first parts of a key are a prefix of all keys that begin with them.

use alloc::string::String;
use alloc::vec::Vec;
use chancery_types::codec::{DecodeError, Reader};
use chancery_types::interface::constant::{Describe, Type};
use chancery_types::{ContractId, Date, Hash, Height, LedgerId, ModuleId, Month, PublicKey, RequestId, Timestamp};

/// A part of a key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a map's key, nor a part of one",
    label = "expected a type whose encoding has the order of its values",
    note = "these can: `u8` to `u128`, `i32`, `i64`, `bool`, `String`, `Vec<u8>`, `Height`, `Timestamp`, `RequestId`, `Date`, `Month`, `Hash`, `PublicKey`, ids, and tuples of two to four of them"
)]
pub trait Part: Sized {
    /// Its type.
    const TYPE: Type;

    /// Appends its ordered encoding.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads it back.
    ///
    /// # Errors
    /// When the bytes are not the encoding of a value.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// A key of one or several parts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a map's key",
    label = "expected a type whose encoding has the order of its values, or a tuple of such types",
    note = "these can: `u8` to `u128`, `i32`, `i64`, `bool`, `String`, `Vec<u8>`, `Height`, `Timestamp`, `RequestId`, `Date`, `Month`, `Hash`, `PublicKey`, ids, and tuples of two to four of them"
)]
pub trait Key: Sized {
    /// The types of its parts.
    const TYPES: &'static [Type];

    /// Appends its ordered encoding.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads it back.
    ///
    /// # Errors
    /// When the bytes are not the encoding of a key.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// Keys that begin with `P`.
#[diagnostic::on_unimplemented(
    message = "the keys `{Self}` do not begin with `{P}`",
    label = "expected the first part of the map's keys, or a tuple of its first parts"
)]
pub trait BeginsWith<P> {}

impl<P: Part> Key for P {
    const TYPES: &'static [Type] = &[P::TYPE];

    fn write(&self, out: &mut Vec<u8>) {
        Part::write(self, out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Part::read(reader)
    }
}

macro_rules! tuples {
    ($(($($part:ident . $index:tt),+) begins ($($prefix:ty),+);)*) => {$(
        impl<$($part: Part),+> Key for ($($part,)+) {
            const TYPES: &'static [Type] = &[$($part::TYPE),+];

            fn write(&self, out: &mut Vec<u8>) {
                $(Part::write(&self.$index, out);)+
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(($(<$part as Part>::read(reader)?,)+))
            }
        }
        tuples!(@prefixes ($($part),+), $($prefix),+);
    )*};
    (@prefixes $parts:tt, $($prefix:ty),+) => {$(tuples!(@prefix $parts, $prefix);)+};
    (@prefix ($($part:ident),+), $prefix:ty) => {
        impl<$($part: Part),+> BeginsWith<$prefix> for ($($part,)+) {}
    };
}
tuples! {
    (A.0, B.1) begins (A);
    (A.0, B.1, C.2) begins (A, (A, B));
    (A.0, B.1, C.2, D.3) begins (A, (A, B), (A, B, C));
}

macro_rules! unsigned {
    ($($int:ty),*) => {$(
        impl Part for $int {
            const TYPE: Type = <$int as Describe>::TYPE;

            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(<$int>::from_be_bytes(reader.array()?))
            }
        }
    )*};
}
unsigned!(u8, u16, u32, u64, u128);

macro_rules! signed {
    ($($int:ty),*) => {$(
        impl Part for $int {
            const TYPE: Type = <$int as Describe>::TYPE;

            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&(*self ^ <$int>::MIN).to_be_bytes());
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(<$int>::from_be_bytes(reader.array()?) ^ <$int>::MIN)
            }
        }
    )*};
}
signed!(i32, i64);

macro_rules! wrapped {
    ($($ty:ty, $inner:ty: |$value:ident| $out:expr, |$read:ident| $back:expr;)*) => {$(
        impl Part for $ty {
            const TYPE: Type = <$ty as Describe>::TYPE;

            fn write(&self, out: &mut Vec<u8>) {
                let $value = self;
                Part::write(&$out, out);
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let $read = <$inner as Part>::read(reader)?;
                $back
            }
        }
    )*};
}
wrapped! {
    bool, u8: |value| u8::from(*value), |byte| if byte < 2 { Ok(byte == 1) } else { Err(DecodeError::UnknownTag) };
    Height, u64: |value| value.0, |number| Ok(Height(number));
    Timestamp, u64: |value| value.0, |number| Ok(Timestamp(number));
    RequestId, u128: |value| value.0, |number| Ok(RequestId(number));
    Date, i32: |value| value.days(), |days| Date::from_days(days).ok_or(DecodeError::OutOfRange);
}

impl Part for Month {
    const TYPE: Type = <Month as Describe>::TYPE;

    fn write(&self, out: &mut Vec<u8>) {
        Part::write(&self.year(), out);
        Part::write(&self.number(), out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (year, number) = (<u16 as Part>::read(reader)?, <u8 as Part>::read(reader)?);
        Month::new(year, number).ok_or(DecodeError::OutOfRange)
    }
}

macro_rules! digests {
    ($($ty:ident),*) => {$(
        impl Part for $ty {
            const TYPE: Type = <$ty as Describe>::TYPE;

            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0);
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                reader.array().map($ty)
            }
        }
    )*};
}
digests!(Hash, ContractId, ModuleId, LedgerId, PublicKey);

impl Part for Vec<u8> {
    const TYPE: Type = <Vec<u8> as Describe>::TYPE;

    fn write(&self, out: &mut Vec<u8>) {
        write_escaped(self, out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut bytes = Vec::new();
        loop {
            match (u8::from_be_bytes(reader.array()?), &mut bytes) {
                (0, bytes) => match reader.array()? {
                    [0] => return Ok(core::mem::take(bytes)),
                    [0xff] => bytes.push(0),
                    _ => return Err(DecodeError::UnknownTag),
                },
                (byte, bytes) => bytes.push(byte),
            }
        }
    }
}

impl Part for String {
    const TYPE: Type = <String as Describe>::TYPE;

    fn write(&self, out: &mut Vec<u8>) {
        write_escaped(self.as_bytes(), out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        String::from_utf8(<Vec<u8> as Part>::read(reader)?).map_err(|_| DecodeError::NotUtf8)
    }
}

fn write_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Debug;

    fn bytes<K: Key>(key: &K) -> Vec<u8> {
        let mut out = Vec::new();
        key.write(&mut out);
        out
    }

    fn ordered<K: Key + Ord + Debug>(a: &K, b: &K) {
        let (x, y) = (bytes(a), bytes(b));
        assert_eq!(x.cmp(&y), a.cmp(b), "{a:?} {b:?}");
        let mut reader = Reader::new(&x);
        assert_eq!(&K::read(&mut reader).unwrap(), a);
        assert!(reader.finish().is_ok());
    }

    proptest! {
        #[test]
        fn byte_order_is_the_order_of_the_values(
            a: (String, i64), b: (String, i64), c: (u16, Vec<u8>), d: (u16, Vec<u8>), e: (bool, i32, u128), f: (bool, i32, u128),
        ) {
            ordered(&a, &b);
            ordered(&c, &d);
            ordered(&e, &f);
        }
    }

    #[test]
    fn the_first_parts_are_a_prefix() {
        let first = bytes(&String::from("a"));
        assert!(bytes(&(String::from("a"), 7u8)).starts_with(&first));
        assert!(!bytes(&(String::from("ab"), 7u8)).starts_with(&first));
        assert!(!bytes(&(String::from("a\0"), 7u8)).starts_with(&first));
    }
}
