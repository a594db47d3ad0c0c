//! Civil dates, months and block time. Proleptic Gregorian calendar, UTC; no time zones, no leap seconds.

use crate::codec::{Decode, DecodeError, Encode, Reader};
use alloc::vec::Vec;
use core::fmt;

/// A day of the calendar, years 1 to 9999. Encoded as `i32` days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Date(i32);

/// 0001-01-01 and 9999-12-31 in days since 1970-01-01.
const DAY_MIN: i32 = -719_162;
const DAY_MAX: i32 = 2_932_896;

impl Date {
    /// The day with this number, counted from 1970-01-01, or `None` outside years 1 to 9999.
    pub const fn from_days(days: i32) -> Option<Self> {
        if days >= DAY_MIN && days <= DAY_MAX { Some(Date(days)) } else { None }
    }

    /// Days since 1970-01-01.
    pub const fn days(self) -> i32 {
        self.0
    }

    /// The day, or `None` where the calendar has none (2023-02-29).
    ///
    /// Algorithm: days_from_civil of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    pub const fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        if year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > days_in(year, month) {
            return None;
        }
        let shifted = year as i32 - (month <= 2) as i32;
        let era = shifted.div_euclid(400);
        let year_of_era = shifted.rem_euclid(400);
        let month_from_march = (month as i32 + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + day as i32 - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Some(Date(era * 146_097 + day_of_era - 719_468))
    }

    /// Year, month and day.
    pub const fn civil(self) -> (u16, u8, u8) {
        let shifted = self.0 + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = year_of_era + era * 400 + (month <= 2) as i32;
        (year as u16, month as u8, day as u8)
    }

    /// The month that the day lies in.
    pub const fn month(self) -> Month {
        let (year, month, _) = self.civil();
        Month { year, month }
    }

    /// The day so many days later (earlier when negative), or `None` beyond the calendar.
    pub const fn add_days(self, days: i32) -> Option<Self> {
        match self.0.checked_add(days) {
            Some(sum) => Date::from_days(sum),
            None => None,
        }
    }

    /// The same day of the month so many months later; a day that the month lacks becomes its last
    /// (2024-01-31 and one month is 2024-02-29).
    pub const fn add_months(self, months: i32) -> Option<Self> {
        let (_, _, day) = self.civil();
        match self.month().add(months) {
            Some(Month { year, month }) => {
                let last = days_in(year, month);
                Date::new(year, month, if day < last { day } else { last })
            }
            None => None,
        }
    }

    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Self> {
        let (month, day) = (text.get(..7)?, text.get(7..)?);
        let Month { year, month } = Month::parse(month)?;
        Date::new(year, month, two_digits(day.strip_prefix('-')?)?)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl Encode for Date {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Date {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Date::from_days(i32::decode(reader)?).ok_or(DecodeError::OutOfRange)
    }
}

/// A calendar month, years 1 to 9999. Encoded as `u16` year and `u8` month.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Month {
    year: u16,
    month: u8,
}

impl Month {
    /// The month, or `None` where there is none.
    pub const fn new(year: u16, month: u8) -> Option<Self> {
        if year >= 1 && year <= 9999 && month >= 1 && month <= 12 { Some(Month { year, month }) } else { None }
    }

    /// The year.
    pub const fn year(self) -> u16 {
        self.year
    }

    /// The month of the year, 1 to 12.
    pub const fn number(self) -> u8 {
        self.month
    }

    /// The month so many months later (earlier when negative).
    pub const fn add(self, months: i32) -> Option<Self> {
        let index = self.year as i32 * 12 + self.month as i32 - 1;
        match index.checked_add(months) {
            Some(sum) if sum >= 12 && sum < 120_000 => Month::new((sum / 12) as u16, (sum % 12) as u8 + 1),
            _ => None,
        }
    }

    /// Its first day.
    pub const fn first_day(self) -> Date {
        match Date::new(self.year, self.month, 1) {
            Some(date) => date,
            None => unreachable!(),
        }
    }

    /// Its last day.
    pub const fn last_day(self) -> Date {
        match Date::new(self.year, self.month, days_in(self.year, self.month)) {
            Some(date) => date,
            None => unreachable!(),
        }
    }

    /// Reads `YYYY-MM`.
    pub fn parse(text: &str) -> Option<Self> {
        let (century, year, month) = (text.get(..2)?, text.get(2..4)?, text.get(4..)?);
        let year = u16::from(two_digits(century)?) * 100 + u16::from(two_digits(year)?);
        Month::new(year, two_digits(month.strip_prefix('-')?)?)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl Encode for Month {
    fn encode(&self, out: &mut Vec<u8>) {
        self.year.encode(out);
        self.month.encode(out);
    }
}

impl Decode for Month {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (year, month) = <(u16, u8)>::decode(reader)?;
        Month::new(year, month).ok_or(DecodeError::OutOfRange)
    }
}

/// An instant: milliseconds since 1970-01-01T00:00:00Z. What is executed sees the time of its block, and no clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Timestamp(pub u64);

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

impl Timestamp {
    /// The last instant that [`Timestamp::date`] can show.
    pub const MAX: Timestamp = Timestamp((DAY_MAX as u64 + 1) * DAY_MS - 1);

    /// Midnight, where the day begins. `None` before 1970.
    pub const fn from_date(date: Date) -> Option<Self> {
        if date.0 >= 0 { Some(Timestamp(date.0 as u64 * DAY_MS)) } else { None }
    }

    /// The day that the instant lies in; instants after [`Timestamp::MAX`] show its day.
    pub const fn date(self) -> Date {
        let days = self.0 / DAY_MS;
        Date(if days > DAY_MAX as u64 { DAY_MAX } else { days as i32 })
    }

    /// Reads `YYYY-MM-DDThh:mm:ss[.mmm]Z` (RFC 3339 in UTC) or a bare date.
    pub fn parse(text: &str) -> Option<Self> {
        let day = Timestamp::from_date(Date::parse(text.get(..10)?)?)?;
        if text.len() == 10 {
            return Some(day);
        }
        let clock = text[10..].strip_prefix('T')?.strip_suffix('Z')?;
        let (clock, ms) = match clock.split_once('.') {
            Some((clock, ms)) if ms.len() == 3 && ms.bytes().all(|b| b.is_ascii_digit()) => (clock, ms.parse().ok()?),
            Some(_) => return None,
            None => (clock, 0),
        };
        let mut parts = clock.split(':');
        let (hour, minute, second) =
            (two_digits(parts.next()?)?, two_digits(parts.next()?)?, two_digits(parts.next()?)?);
        (parts.next().is_none() && hour < 24 && minute < 60 && second < 60).then_some(())?;
        Some(Timestamp(day.0 + (u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second)) * 1000 + ms))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0 % DAY_MS;
        let (seconds, millis) = (ms / 1000, ms % 1000);
        write!(f, "{}T{:02}:{:02}:{:02}.{millis:03}Z", self.date(), seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

impl Encode for Timestamp {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Timestamp {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u64::decode(reader).map(Timestamp)
    }
}

const fn days_in(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

fn two_digits(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some((a - b'0') * 10 + b - b'0'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn every_day_of_the_calendar_follows_the_one_before() {
        let (mut year, mut month, mut day) = (1, 1, 1);
        for days in DAY_MIN..=DAY_MAX {
            let date = Date::from_days(days).unwrap();
            assert_eq!(date.civil(), (year, month, day));
            assert_eq!(Date::new(year, month, day), Some(date));
            day += 1;
            if day > days_in(year, month) {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!(Date::from_days(DAY_MAX + 1), None);
    }

    #[test]
    fn months_end_where_the_calendar_says() {
        let date = Date::parse("2024-01-31").unwrap();
        assert_eq!(date.add_months(1).unwrap().to_string(), "2024-02-29");
        assert_eq!(date.add_months(-11).unwrap().to_string(), "2023-02-28");
        assert_eq!(Month::parse("2023-10").unwrap().last_day().to_string(), "2023-10-31");
        assert_eq!(Month::parse("2023-12").unwrap().add(1), Month::parse("2024-01"));
        assert_eq!(Month::parse("0001-01").unwrap().add(-1), None);
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "2023-02-29",
            "2023-2-01",
            "2023-13-01",
            "0000-01-01",
            "2023-01-01 ",
            "",
            "20é3-01-01",
            "+023-01-01",
            "Zürich",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
        assert_eq!(Month::parse("2023-1"), None);
    }

    #[test]
    fn an_instant_reads_what_it_prints() {
        let instant = Timestamp(1_700_000_000_123);
        assert_eq!(instant.to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!(Timestamp::parse(&instant.to_string()), Some(instant));
        assert_eq!(Timestamp::parse("2023-11-14T22:13:20Z"), Some(Timestamp(1_700_000_000_000)));
        assert_eq!(Timestamp::parse("2023-11-14T24:00:00Z"), None);
        assert_eq!(Timestamp(u64::MAX).date().to_string(), "9999-12-31");
    }
}
