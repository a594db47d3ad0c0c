//! Values that the law sets for a time.

use chancery_types::Date;

/// A value with the days on which it is in force, and where it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Dated<T: 'static> {
    /// The first day.
    pub from: Date,
    /// The last day; `None` until something follows.
    pub until: Option<Date>,
    /// The value.
    pub value: T,
    /// The statute, regulation or notice that sets it.
    pub source: &'static str,
}

/// A parameter of the law: its values over time, in order.
#[derive(Clone, Copy, Debug)]
pub struct Parameter<T: 'static> {
    values: &'static [Dated<T>],
}

/// No value is in force on the day: it lies before the first, behind the last, or in a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotInForce {
    /// The day.
    pub day: Date,
}

impl<T> Parameter<T> {
    /// The parameter with these values. Evaluated in a constant, a mistake in their order does not compile.
    ///
    /// # Panics
    /// When there is none, one ends before it begins, or one begins before the end of the one before it.
    pub const fn new(values: &'static [Dated<T>]) -> Self {
        assert!(!values.is_empty(), "a parameter has at least one value");
        let mut i = 0;
        while i < values.len() {
            if let Some(until) = values[i].until {
                assert!(until.days() >= values[i].from.days(), "a value ends before it begins");
            }
            if i > 0 {
                let before = match values[i - 1].until {
                    Some(until) => until.days(),
                    None => values[i].from.days() - 1,
                };
                assert!(values[i].from.days() > before, "a value begins before the end of the one before it");
                assert!(values[i].from.days() > values[i - 1].from.days(), "values are not in order");
            }
            i += 1;
        }
        Parameter { values }
    }

    /// The value in force on a day. A later value ends an open one.
    ///
    /// # Errors
    /// [`NotInForce`].
    pub fn at(&self, day: Date) -> Result<&'static Dated<T>, NotInForce> {
        let value = self.values.iter().rev().find(|value| value.from <= day);
        value.filter(|value| value.until.is_none_or(|until| day <= until)).ok_or(NotInForce { day })
    }
}

/// A date of a constant.
///
/// # Panics
/// When there is no such day; in a constant it does not compile.
pub const fn date(year: u16, month: u8, day: u8) -> Date {
    match Date::new(year, month, day) {
        Some(date) => date,
        None => panic!("there is no such day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Parameter<u32> = Parameter::new(&[
        Dated { from: date(2023, 10, 1), until: Some(date(2024, 9, 30)), value: 1, source: "a" },
        Dated { from: date(2024, 12, 1), until: None, value: 2, source: "b" },
        Dated { from: date(2025, 1, 1), until: None, value: 3, source: "c" },
    ]);

    #[test]
    fn a_value_holds_from_its_first_day_to_its_last() {
        for (day, expected) in [
            (date(2023, 9, 30), None),
            (date(2023, 10, 1), Some(1)),
            (date(2024, 9, 30), Some(1)),
            (date(2024, 10, 1), None),
            (date(2024, 12, 31), Some(2)),
            (date(2025, 1, 1), Some(3)),
            (date(2099, 1, 1), Some(3)),
        ] {
            assert_eq!(RATE.at(day).map(|dated| dated.value).ok(), expected, "{day}");
        }
        assert_eq!(RATE.at(date(2020, 1, 1)).unwrap_err(), NotInForce { day: date(2020, 1, 1) });
    }
}
