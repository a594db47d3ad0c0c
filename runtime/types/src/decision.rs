//! The decision trace: how a contract came to its outcome, rule by rule.
//!
//! The trace of a call is the list of its [`Step`]s in the order in which they were reached, kept beside the entry in
//! the journal. The entry holds its digest: BLAKE3 of the encoded list. A [`Trace`] is that list as it is encoded: few
//! traces are ever looked at.

use crate::codec::{Decode, DecodeError, Encode, Reader, codec_enum, codec_struct};
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

/// The trace of a call: the encoding of a list of steps, each checked.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Trace {
    count: u32,
    steps: Vec<u8>,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps()).finish()
    }
}

impl Trace {
    /// Adds an encoded step.
    ///
    /// # Errors
    /// When the bytes are not the encoding of a step.
    pub fn push(&mut self, step: &[u8]) -> Result<(), DecodeError> {
        let mut reader = Reader::new(step);
        check_step(&mut reader)?;
        reader.finish()?;
        self.count = self.count.checked_add(1).ok_or(DecodeError::OutOfRange)?;
        self.steps.extend_from_slice(step);
        Ok(())
    }

    /// How many steps.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of its steps.
    pub const fn bytes(&self) -> usize {
        self.steps.len()
    }

    /// The steps that a person has to look at.
    pub fn needing_a_person(&self) -> Vec<Step> {
        let (mut reader, mut found) = (Reader::new(&self.steps), Vec::new());
        for _ in 0..self.count {
            let step = reader.rest();
            // Each was checked. The finding ends it, and this one is a single byte.
            if check_step(&mut reader).is_err() {
                break;
            }
            let step = &step[..step.len() - reader.rest().len()];
            if step.last() == Some(&NEEDS_PERSON)
                && let Ok(step) = Step::decode(&mut Reader::new(step))
                && step.finding == Finding::NeedsPerson
            {
                found.push(step);
            }
        }
        found
    }

    /// The steps.
    pub fn steps(&self) -> Vec<Step> {
        let mut reader = Reader::new(&self.steps);
        // Each was checked.
        (0..self.count).map_while(|_| Step::decode(&mut reader).ok()).collect()
    }
}

impl FromIterator<Step> for Trace {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        let mut trace = Trace::default();
        for step in steps {
            step.encode(&mut trace.steps);
            trace.count += 1;
        }
        trace
    }
}

impl Encode for Trace {
    fn encode(&self, out: &mut Vec<u8>) {
        self.count.encode(out);
        out.extend_from_slice(&self.steps);
    }
}

impl Decode for Trace {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = u32::decode(reader)?;
        let whole = reader.rest();
        (0..count).try_for_each(|_| check_step(reader))?;
        let steps = &whole[..whole.len() - reader.rest().len()];
        Ok(Trace { count, steps: steps.to_vec() })
    }
}

/// The tag of [`Finding::NeedsPerson`].
const NEEDS_PERSON: u8 = 3;

/// Reads over a step: what [`Step::decode`] takes and refuses, and nothing is made of it.
fn check_step(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    reader.text()?;
    reader.text()?;
    for _ in 0..u32::decode(reader)? {
        reader.text()?;
        check_value(reader)?;
    }
    match u8::decode(reader)? {
        0 | 1 | NEEDS_PERSON => Ok(()),
        2 => check_value(reader),
        _ => Err(DecodeError::UnknownTag),
    }
}

fn check_value(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match u8::decode(reader)? {
        0 => bool::decode(reader).map(drop),
        1 => i64::decode(reader).map(drop),
        2 => <(i64, [u8; 3], u8)>::decode(reader).map(drop),
        3 => Ratio::decode(reader).map(drop),
        4 => Date::decode(reader).map(drop),
        5 => Month::decode(reader).map(drop),
        6 => reader.text().map(drop),
        7 => Hash::decode(reader).map(drop),
        _ => Err(DecodeError::UnknownTag),
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
