//! Money and ratios, exact: integers with named rounding, never a float.
//!
//! An [`Amount`] carries its currency in its type, so that adding dollars to euros does not compile. Its encoding is the
//! `i64` of minor units alone; which currency that is stands in the interface description, kept with the module for ever.

use crate::codec::{Decode, DecodeError, Encode, Reader};
use alloc::{format, vec::Vec};
use core::{fmt, marker::PhantomData};

/// A currency of ISO 4217.
pub trait Currency: Copy + Eq + Ord + fmt::Debug + 'static {
    /// The alphabetic code.
    const CODE: [u8; 3];
    /// How many decimals its minor unit has.
    const EXPONENT: u8;
}

macro_rules! currencies {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $exponent:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub struct $name;
        impl Currency for $name {
            const CODE: [u8; 3] = *$code;
            const EXPONENT: u8 = $exponent;
        }
    )*};
}

currencies! {
    /// US dollar, in cents.
    Usd = b"USD", 2;
    /// Euro, in cents.
    Eur = b"EUR", 2;
    /// Pound sterling, in pence.
    Gbp = b"GBP", 2;
    /// Swiss franc, in Rappen.
    Chf = b"CHF", 2;
    /// Yen, which has no minor unit.
    Jpy = b"JPY", 0;
}

/// How a result that falls between two units is settled. Directions are those of the magnitude: `Down` goes
/// towards zero, `Up` away from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rounding {
    /// Towards zero.
    Down,
    /// Away from zero.
    Up,
    /// To the nearer unit, the middle away from zero.
    HalfUp,
    /// To the nearer unit, the middle to the even one (ISO 80000-1 rule A).
    HalfEven,
}

impl Rounding {
    /// `numerator / denominator` as an integer. `None` when the denominator is not positive.
    pub const fn divide(self, numerator: i128, denominator: i128) -> Option<i128> {
        if denominator <= 0 {
            return None;
        }
        let (quotient, rest) = (numerator / denominator, (numerator % denominator).unsigned_abs());
        let other = denominator.unsigned_abs() - rest;
        let away = match self {
            Rounding::Down => false,
            Rounding::Up => rest > 0,
            Rounding::HalfUp => rest >= other,
            Rounding::HalfEven => rest > other || (rest == other && quotient % 2 != 0),
        };
        Some(if away { quotient + if numerator < 0 { -1 } else { 1 } } else { quotient })
    }
}

/// An exact ratio, numerator over a positive denominator: a rate, a percentage. Encoded as two `i64`.
/// It is kept as written (20/100 stays so), hence equality is that of the writing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ratio {
    numerator: i64,
    denominator: i64,
}

impl Ratio {
    /// `numerator / denominator`, or `None` when the denominator is not positive.
    pub const fn new(numerator: i64, denominator: i64) -> Option<Self> {
        if denominator > 0 { Some(Ratio { numerator, denominator }) } else { None }
    }

    /// So many hundredths.
    pub const fn percent(hundredths: i64) -> Self {
        Ratio { numerator: hundredths, denominator: 100 }
    }

    /// The numerator.
    pub const fn numerator(self) -> i64 {
        self.numerator
    }

    /// The denominator, positive.
    pub const fn denominator(self) -> i64 {
        self.denominator
    }

    /// `value × ratio`, rounded to an integer. `None` when the result is beyond `i64`.
    pub fn of(self, value: i64, rounding: Rounding) -> Option<i64> {
        let product = i128::from(value) * i128::from(self.numerator);
        rounding.divide(product, i128::from(self.denominator))?.try_into().ok()
    }

    /// Reads `7/8`, `20%`, `1.5%` or a decimal like `0.2`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((numerator, denominator)) = text.split_once('/') {
            return Ratio::new(parse_decimal(numerator, 0)?, parse_decimal(denominator, 0)?);
        }
        let (number, base) = text.strip_suffix('%').map_or((text, 1), |number| (number, 100));
        let decimals = number.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let decimals = u8::try_from(decimals).ok().filter(|decimals| *decimals <= 9)?;
        Ratio::new(parse_decimal(number, decimals)?, 10i64.pow(decimals.into()) * base)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

impl Encode for Ratio {
    fn encode(&self, out: &mut Vec<u8>) {
        self.numerator.encode(out);
        self.denominator.encode(out);
    }
}

impl Decode for Ratio {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (numerator, denominator) = <(i64, i64)>::decode(reader)?;
        Ratio::new(numerator, denominator).ok_or(DecodeError::OutOfRange)
    }
}

/// Money: an integer number of minor units of the currency `C`. All arithmetic is checked; `None` is overflow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount<C: Currency> {
    minor: i64,
    currency: PhantomData<C>,
}

impl<C: Currency> Amount<C> {
    /// Nothing.
    pub const ZERO: Self = Amount::from_minor(0);

    /// So many minor units (cents).
    pub const fn from_minor(minor: i64) -> Self {
        Amount { minor, currency: PhantomData }
    }

    /// So many whole units (dollars). For constants: it fails to compile, or panics, on overflow.
    pub const fn whole(units: i64) -> Self {
        match units.checked_mul(10i64.pow(C::EXPONENT as u32)) {
            Some(minor) => Amount::from_minor(minor),
            None => panic!("amount out of range"),
        }
    }

    /// The minor units.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The sum.
    pub const fn add(self, other: Self) -> Option<Self> {
        match self.minor.checked_add(other.minor) {
            Some(minor) => Some(Amount::from_minor(minor)),
            None => None,
        }
    }

    /// The difference, which may be negative.
    pub const fn sub(self, other: Self) -> Option<Self> {
        match self.minor.checked_sub(other.minor) {
            Some(minor) => Some(Amount::from_minor(minor)),
            None => None,
        }
    }

    /// So many times the amount.
    pub const fn times(self, count: i64) -> Option<Self> {
        match self.minor.checked_mul(count) {
            Some(minor) => Some(Amount::from_minor(minor)),
            None => None,
        }
    }

    /// The share of the amount that the ratio names, rounded to a minor unit.
    pub fn share(self, ratio: Ratio, rounding: Rounding) -> Option<Self> {
        ratio.of(self.minor, rounding).map(Amount::from_minor)
    }

    /// The amount rounded to a multiple of `unit` (a dollar: `Amount::whole(1)`). `None` when `unit` is not positive.
    pub fn round_to(self, unit: Self, rounding: Rounding) -> Option<Self> {
        let count = rounding.divide(self.minor.into(), unit.minor.into())?;
        Amount::from_minor(count.try_into().ok()?).times(unit.minor)
    }

    /// The amount, or nothing where it is negative.
    pub fn or_zero(self) -> Self {
        self.max(Self::ZERO)
    }

    /// Reads decimal text with at most the currency's decimals: `838`, `167.6`, `-3.05`.
    pub fn parse(text: &str) -> Option<Self> {
        parse_decimal(text, C::EXPONENT).map(Amount::from_minor)
    }
}

impl<C: Currency> Default for Amount<C> {
    fn default() -> Self {
        Self::ZERO
    }
}

impl<C: Currency> fmt::Display for Amount<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.minor, C::EXPONENT)
    }
}

impl<C: Currency> fmt::Debug for Amount<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} {}", core::str::from_utf8(&C::CODE).unwrap_or("?"))
    }
}

impl<C: Currency> Encode for Amount<C> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        self.minor.encode(out);
    }
}

impl<C: Currency> Decode for Amount<C> {
    #[inline]
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        i64::decode(reader).map(Amount::from_minor)
    }
}

/// Writes `minor` units as decimal text with exactly `exponent` decimals.
pub fn write_decimal(f: &mut impl fmt::Write, minor: i64, exponent: u8) -> fmt::Result {
    let (sign, magnitude) = (if minor < 0 { "-" } else { "" }, minor.unsigned_abs());
    if exponent == 0 {
        return write!(f, "{sign}{magnitude}");
    }
    // At least one digit before the point, also where there are more decimals than digits.
    let digits = format!("{magnitude:0width$}", width = usize::from(exponent) + 1);
    let (whole, decimals) = digits.split_at(digits.len() - usize::from(exponent));
    write!(f, "{sign}{whole}.{decimals}")
}

/// Reads decimal text as minor units: an optional `-`, digits, and at most `exponent` decimals after a point.
/// No plus sign, no exponent, no separators, no spaces.
pub fn parse_decimal(text: &str, exponent: u8) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (digits, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || fraction.len() > exponent.into() {
        return None;
    }
    let padding = core::iter::repeat_n(b'0', usize::from(exponent) - fraction.len());
    let mut minor = 0i64;
    for digit in whole.bytes().chain(fraction.bytes()).chain(padding) {
        let digit = i64::from(digit - b'0');
        minor = minor.checked_mul(10)?.checked_add(if negative { -digit } else { digit })?;
    }
    Some(minor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use proptest::prelude::*;

    type Dollars = Amount<Usd>;

    #[test]
    fn each_rounding_settles_the_middle_its_own_way() {
        let halves = |rounding: Rounding| [-3, -1, 1, 3, 5].map(|n| rounding.divide(n, 2).unwrap());
        assert_eq!(halves(Rounding::Down), [-1, 0, 0, 1, 2]);
        assert_eq!(halves(Rounding::Up), [-2, -1, 1, 2, 3]);
        assert_eq!(halves(Rounding::HalfUp), [-2, -1, 1, 2, 3]);
        assert_eq!(halves(Rounding::HalfEven), [-2, 0, 0, 2, 2]);
        assert_eq!(Rounding::Down.divide(1, 0), None);
    }

    #[test]
    fn amounts_read_and_print_decimal_text() {
        assert_eq!(Dollars::parse("167.6"), Some(Dollars::from_minor(16_760)));
        assert_eq!(Dollars::parse("-0.05").unwrap().to_string(), "-0.05");
        assert_eq!(Amount::<Jpy>::parse("500").unwrap().to_string(), "500");
        for text in ["", "-", ".5", "5.", "1.234", "+1", "1e2", "1,000", " 1", "92233720368547758.08", "٣"] {
            assert_eq!(Dollars::parse(text), None, "{text}");
        }
        assert_eq!(Dollars::parse("-92233720368547758.08").unwrap().minor(), i64::MIN);
    }

    #[test]
    fn overflow_is_an_answer_not_a_wrap() {
        let most = Dollars::from_minor(i64::MAX);
        assert_eq!(most.add(Dollars::from_minor(1)), None);
        assert_eq!(most.times(2), None);
        assert_eq!(most.share(Ratio::percent(101), Rounding::Down), None);
        assert_eq!(most.round_to(Dollars::whole(1), Rounding::Up), None);
    }

    #[test]
    fn a_ratio_reads_the_ways_people_write_it() {
        assert_eq!(Ratio::parse("20%"), Some(Ratio::percent(20)));
        assert_eq!(Ratio::parse("1.5%"), Ratio::new(15, 1000));
        assert_eq!(Ratio::parse("0.2"), Ratio::new(2, 10));
        assert_eq!(Ratio::parse("7/8"), Ratio::new(7, 8));
        assert_eq!(Ratio::parse("1/0"), None);
    }

    fn written(minor: i64, exponent: u8) -> String {
        let mut text = String::new();
        write_decimal(&mut text, minor, exponent).unwrap();
        text
    }

    #[test]
    fn an_amount_has_as_many_decimals_as_its_currency_says() {
        assert_eq!(written(5, 0), "5");
        assert_eq!(written(-5, 2), "-0.05");
        assert_eq!(written(1_234, 3), "1.234");
        assert_eq!(written(5_000_000_000_000_000_000, 20), "0.05000000000000000000");
        assert_eq!(written(i64::MIN, 19), "-0.9223372036854775808");
        assert_eq!(written(1, 255), format!("0.{}1", "0".repeat(254)));
    }

    proptest! {
        #[test]
        fn decimal_text_and_back_is_the_same_for_every_exponent(minor: i64, exponent: u8) {
            let text = written(minor, exponent);
            let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            prop_assert_eq!(decimals, usize::from(exponent));
            prop_assert_eq!(parse_decimal(&text, exponent), Some(minor));
        }

        #[test]
        fn text_and_back_is_the_same_amount(minor: i64) {
            let amount = Dollars::from_minor(minor);
            prop_assert_eq!(Dollars::parse(&amount.to_string()), Some(amount));
        }

        #[test]
        fn every_rounding_is_within_one_unit(n in -1_000_000i128..1_000_000, d in 1i128..1000) {
            for rounding in [Rounding::Down, Rounding::Up, Rounding::HalfUp, Rounding::HalfEven] {
                let q = rounding.divide(n, d).unwrap();
                prop_assert!((q * d - n).abs() < d);
            }
        }
    }
}
