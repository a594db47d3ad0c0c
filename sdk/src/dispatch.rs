//! Between the host and a method: arguments in, answer out. The `#[contract]` macro writes the `match` over selectors around it.

use crate::host;
use alloc::vec::Vec;
use chancery_types::codec::Encode;
use chancery_types::interface::constant::{Describe, Type, Variant};

/// The entry function answers: done.
pub const DONE: i32 = 0;
/// The entry function answers: refused.
pub const REFUSED: i32 = 1;
/// The entry function answers: the arguments do not decode.
pub const BAD_ARGUMENTS: i32 = 2;

/// An enum of events or errors: what `#[event]` and `#[error]` implement.
pub trait Variants {
    /// The variants, for the interface description.
    const VARIANTS: &'static [Variant];

    /// Position of the variant.
    fn ordinal(&self) -> u16;

    /// Appends the variant's fields, encoded in order.
    fn encode_fields(&self, out: &mut Vec<u8>);
}

/// An enum of events: what `#[event]` implements, and what a contract can emit.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no event",
    label = "expected a variant of the contract's `#[event]` enum",
    note = "an error is returned: `return Err(…)`, or `ensure!(ctx, condition, error)`"
)]
pub trait Event: Variants {}

/// An enum of errors: each says which rule was not met.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no enum of errors",
    label = "expected the contract's `#[error]` enum",
    note = "`chancery_sdk::dispatch::Never` is the error of a method that refuses nothing"
)]
pub trait Fault: Variants {
    /// The rule in a few words, and its provision.
    fn rule(&self) -> (&'static str, &'static str);
}

/// What a method returns.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no result of a method",
    label = "expected `Result<T, Error>`",
    note = "`Error` is the contract's `#[error]` enum; a method that has nothing to tell returns `Result<(), Error>`"
)]
pub trait Answer {
    /// The type of its result.
    const TYPE: Type;

    /// Hands it to the host, and says how the entry function answers.
    fn give(self) -> i32;
}

impl<T: Encode + Describe, E: Fault> Answer for Result<T, E> {
    const TYPE: Type = T::TYPE;

    fn give(self) -> i32 {
        match self {
            Ok(value) => {
                let bytes = value.to_bytes();
                if !bytes.is_empty() {
                    host::result(&bytes);
                }
                DONE
            }
            Err(error) => {
                let mut fields = Vec::new();
                error.encode_fields(&mut fields);
                host::fault(error.ordinal(), &fields);
                REFUSED
            }
        }
    }
}

/// The error of a contract that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {}

impl Variants for Never {
    const VARIANTS: &'static [Variant] = &[];

    fn ordinal(&self) -> u16 {
        match *self {}
    }

    fn encode_fields(&self, _: &mut Vec<u8>) {
        match *self {}
    }
}

impl Fault for Never {
    fn rule(&self) -> (&'static str, &'static str) {
        match *self {}
    }
}
