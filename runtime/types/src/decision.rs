//! The decision trace: how a contract came to its outcome, rule by rule.
//!
//! The trace of a call is the list of its [`Step`]s in the order in which they were reached, kept beside the entry in
//! the journal. The entry holds its digest: BLAKE3 of the encoded list.

use crate::codec::{codec_enum, codec_struct};
use crate::date::{Date, Month};
use crate::id::Hash;
use crate::money::{Ratio, write_decimal};
use alloc::{string::String, vec::Vec};
use core::fmt;

/// One rule applied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// What the rule says, in a few words.
    pub rule: String,
    /// The provision: statute, regulation, ordinance. Empty for a rule of procedure.
    pub citation: String,
    /// What the rule looked at, by name.
    pub inputs: Vec<Input>,
    /// What came of it.
    pub finding: Finding,
}
codec_struct!(Step { rule, citation, inputs, finding });

/// A named value that a rule looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
}
codec_struct!(Input { name, value });

/// What came of a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// The requirement is met.
    Met,
    /// The requirement is not met; the call was refused for it.
    NotMet,
    /// A value was worked out.
    Computed {
        /// The value.
        value: Value,
    },
    /// The rule leaves it to a person.
    NeedsPerson,
}
codec_enum!(Finding { 0 = Met, 1 = NotMet, 2 = Computed { value }, 3 = NeedsPerson });

/// A value as a trace shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Yes or no.
    Bool {
        /// The value.
        value: bool,
    },
    /// A count or measure.
    Integer {
        /// The value.
        value: i64,
    },
    /// Money.
    Money {
        /// Minor units.
        minor: i64,
        /// ISO 4217 alphabetic code.
        currency: [u8; 3],
        /// Decimals of the minor unit.
        exponent: u8,
    },
    /// A rate.
    Ratio {
        /// The value.
        value: Ratio,
    },
    /// A day.
    Date {
        /// The value.
        value: Date,
    },
    /// A month.
    Month {
        /// The value.
        value: Month,
    },
    /// A name or code.
    Text {
        /// The value.
        value: String,
    },
    /// A key, document or other digest.
    Hash {
        /// The value.
        value: Hash,
    },
}
codec_enum!(Value {
    0 = Bool { value },
    1 = Integer { value },
    2 = Money { minor, currency, exponent },
    3 = Ratio { value },
    4 = Date { value },
    5 = Month { value },
    6 = Text { value },
    7 = Hash { value },
});

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool { value } => f.write_str(if *value { "yes" } else { "no" }),
            Value::Integer { value } => fmt::Display::fmt(value, f),
            Value::Money { minor, currency, exponent } => {
                write_decimal(f, *minor, *exponent)?;
                write!(f, " {}", core::str::from_utf8(currency).unwrap_or("???"))
            }
            Value::Ratio { value } => fmt::Display::fmt(value, f),
            Value::Date { value } => fmt::Display::fmt(value, f),
            Value::Month { value } => fmt::Display::fmt(value, f),
            Value::Text { value } => f.write_str(value),
            Value::Hash { value } => fmt::Display::fmt(value, f),
        }
    }
}

macro_rules! value_from {
    ($($from:ty => |$x:ident| $value:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($x: $from) -> Self {
                $value
            }
        }
    )*};
}

value_from! {
    bool => |x| Value::Bool { value: x };
    i64 => |x| Value::Integer { value: x };
    u32 => |x| Value::Integer { value: x.into() };
    u16 => |x| Value::Integer { value: x.into() };
    u8 => |x| Value::Integer { value: x.into() };
    Ratio => |x| Value::Ratio { value: x };
    Date => |x| Value::Date { value: x };
    Month => |x| Value::Month { value: x };
    Hash => |x| Value::Hash { value: x };
    &str => |x| Value::Text { value: x.into() };
    &String => |x| Value::Text { value: x.clone() };
}

impl<C: crate::money::Currency> From<crate::money::Amount<C>> for Value {
    fn from(amount: crate::money::Amount<C>) -> Self {
        Value::Money { minor: amount.minor(), currency: C::CODE, exponent: C::EXPONENT }
    }
}
