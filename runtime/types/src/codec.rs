//! The one encoding: Borsh (<https://borsh.io>, specification 1.0), canonical or rejected.
//!
//! | value | bytes |
//! |---|---|
//! | integer | little-endian, its own width |
//! | `bool` | `00` or `01`; anything else is rejected |
//! | `Option` | `00`, or `01` and the value |
//! | text, bytes, list | `u32` count, then the elements; text is UTF-8 |
//! | array, tuple, struct | the elements in order, nothing between |
//! | enum | `u8` ordinal of the variant, then its fields |
//!
//! So the pair `(true, "né")` is `01 03000000 6e c3a9`. No other value kinds exist (no floats, no maps), hence a value
//! has exactly one encoding and [`Decode::from_bytes`] accepts exactly that one: trailing bytes are an error.
//!
//! The `borsh` crate writes the same bytes and is the oracle in the tests. Contracts use this module instead because
//! it has no formatter in its error path: measured, that formatter alone was 10 kB of every module.

use alloc::{boxed::Box, string::String, vec::Vec};

/// Why bytes were not a value. Deliberately without text or position, so that a contract carries no formatter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end before the value does.
    Truncated,
    /// Bytes are left after the value.
    Trailing,
    /// A tag that names no variant, or a `bool` other than 0 and 1.
    UnknownTag,
    /// Text that is not UTF-8.
    NotUtf8,
    /// A number outside the range of its type, or a list longer than the bytes that follow.
    OutOfRange,
    /// A type description nested deeper than [`crate::interface::TYPE_DEPTH_MAX`].
    TooDeep,
}

impl DecodeError {
    /// The error in words, for messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            DecodeError::Truncated => "the bytes end before the value does",
            DecodeError::Trailing => "bytes are left after the value",
            DecodeError::UnknownTag => "a tag names no known variant",
            DecodeError::NotUtf8 => "a text is not UTF-8",
            DecodeError::OutOfRange => "a number or count is out of range",
            DecodeError::TooDeep => "a type is nested too deeply",
        }
    }
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for DecodeError {}

/// A value that has an encoding.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no encoding",
    label = "expected a type that can be encoded",
    note = "the integers `u8` to `u128`, `i32` and `i64`, `bool`, `String`, `Option<T>`, `Vec<T>`, the types of this crate and what has `#[derive(Schema)]` have one; floating point has none: `Amount` for money, `Ratio` for fractions"
)]
pub trait Encode {
    /// Appends the encoding.
    fn encode(&self, out: &mut Vec<u8>);

    /// The encoding in a vector of its own.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// A value that can be read back.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from its encoding",
    label = "expected a type that can be decoded",
    note = "the integers `u8` to `u128`, `i32` and `i64`, `bool`, `String`, `Option<T>`, `Vec<T>`, the types of this crate and what has `#[derive(Schema)]` have one; floating point has none: `Amount` for money, `Ratio` for fractions"
)]
pub trait Decode: Sized {
    /// Reads one value and leaves the reader behind it.
    ///
    /// # Errors
    /// When the bytes at the reader are not the encoding of a value of this type.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads one value that fills `bytes` exactly.
    ///
    /// # Errors
    /// As [`Decode::decode`], and [`DecodeError::Trailing`].
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// Bytes that are being decoded.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// The bytes that are left.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes `len` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// Takes an array.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    /// Takes a `u32` count and as many bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = u32::decode(self)? as usize;
        self.take(len)
    }

    /// Takes a text without copying it.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] or [`DecodeError::NotUtf8`].
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        core::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::NotUtf8)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] when bytes are left.
    pub const fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing) }
    }
}

macro_rules! integers {
    ($($int:ty),*) => {$(
        impl Encode for $int {
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
        impl Decode for $int {
            #[inline]
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(<$int>::from_le_bytes(reader.array()?))
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, u128, i32, i64);

impl Encode for () {
    fn encode(&self, _: &mut Vec<u8>) {}
}

impl Decode for () {
    fn decode(_: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(())
    }
}

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Decode for bool {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::UnknownTag),
        }
    }
}

impl<const N: usize> Encode for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<const N: usize> Decode for [u8; N] {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array()
    }
}

/// Appends a count. A count beyond `u32` cannot occur: every encoded value is bounded by an entry or a blob.
fn encode_count(count: usize, out: &mut Vec<u8>) {
    u32::try_from(count).unwrap_or(u32::MAX).encode(out);
}

impl Encode for str {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_count(self.len(), out);
        out.extend_from_slice(self.as_bytes());
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_str().encode(out);
    }
}

impl Decode for String {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.text().map(String::from)
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_count(self.len(), out);
        for element in self {
            element.encode(out);
        }
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_slice().encode(out);
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = u32::decode(reader)? as usize;
        // Zero-sized elements would let four bytes ask for four billion rounds.
        if count > reader.rest.len() {
            return Err(DecodeError::OutOfRange);
        }
        let mut list = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            list.push(T::decode(reader)?);
        }
        Ok(list)
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.encode(out);
            }
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(if bool::decode(reader)? { Some(T::decode(reader)?) } else { None })
    }
}

impl<T: Encode> Encode for Box<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::decode(reader).map(Box::new)
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

macro_rules! tuples {
    ($(($($name:ident . $index:tt),+)),*) => {$(
        impl<$($name: Encode),+> Encode for ($($name,)+) {
            fn encode(&self, out: &mut Vec<u8>) {
                $(self.$index.encode(out);)+
            }
        }
        impl<$($name: Decode),+> Decode for ($($name,)+) {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(($($name::decode(reader)?,)+))
            }
        }
    )*};
}
tuples!((A.0), (A.0, B.1), (A.0, B.1, C.2), (A.0, B.1, C.2, D.3));

/// Implements the encoding of a struct as that of its fields in the order given.
macro_rules! codec_struct {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::codec::Encode for $name {
            fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                $($crate::codec::Encode::encode(&self.$field, out);)*
            }
        }
        impl $crate::codec::Decode for $name {
            fn decode(reader: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::DecodeError> {
                Ok($name { $($field: $crate::codec::Decode::decode(reader)?),* })
            }
        }
    };
}
pub(crate) use codec_struct;

/// Implements the encoding of an enum: the ordinal given, then the fields in order.
macro_rules! codec_enum {
    ($name:ident { $($tag:literal = $variant:ident $({ $($field:ident),* $(,)? })? ),* $(,)? }) => {
        impl $crate::codec::Encode for $name {
            fn encode(&self, out: &mut alloc::vec::Vec<u8>) {
                match self {
                    $($name::$variant $({ $($field),* })? => {
                        out.push($tag);
                        $($($crate::codec::Encode::encode($field, out);)*)?
                    })*
                }
            }
        }
        impl $crate::codec::Decode for $name {
            fn decode(reader: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::DecodeError> {
                match <u8 as $crate::codec::Decode>::decode(reader)? {
                    $($tag => Ok($name::$variant $({ $($field: $crate::codec::Decode::decode(reader)?),* })?),)*
                    _ => Err($crate::codec::DecodeError::UnknownTag),
                }
            }
        }
    };
}
pub(crate) use codec_enum;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;
    use std::string::ToString;

    #[test]
    fn the_worked_example_of_the_header_holds() {
        assert_eq!((true, "né".to_string()).to_bytes(), [1, 3, 0, 0, 0, 0x6e, 0xc3, 0xa9]);
    }

    #[test]
    fn anything_but_the_one_encoding_is_rejected() {
        assert_eq!(bool::from_bytes(&[2]), Err(DecodeError::UnknownTag));
        assert_eq!(u16::from_bytes(&[1]), Err(DecodeError::Truncated));
        assert_eq!(u16::from_bytes(&[1, 0, 0]), Err(DecodeError::Trailing));
        assert_eq!(String::from_bytes(&[1, 0, 0, 0, 0xff]), Err(DecodeError::NotUtf8));
        assert_eq!(Vec::<()>::from_bytes(&[255, 255, 255, 255]), Err(DecodeError::OutOfRange));
    }

    type Sample = (Vec<u64>, Option<String>, [u8; 4], (i64, bool));

    proptest! {
        #[test]
        fn borsh_writes_the_same_bytes(a: Vec<u64>, b: Option<String>, c: [u8; 4], d: (i64, bool)) {
            let value: Sample = (a, b, c, d);
            let bytes = value.to_bytes();
            prop_assert_eq!(&bytes, &borsh::to_vec(&value).unwrap());
            prop_assert_eq!(Sample::from_bytes(&bytes), Ok(value));
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(value) = Sample::from_bytes(&bytes) {
                prop_assert_eq!(value.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn a_list_is_its_count_and_elements() {
        assert_eq!(vec![1u16, 2].to_bytes(), [2, 0, 0, 0, 1, 0, 2, 0]);
    }
}
