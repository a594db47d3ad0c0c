//! The parameters of the programme, dated and cited. Another year is one more entry of [`SCHEDULE`].

use chancery_sdk::parameter::date;
use chancery_sdk::types::money::{Amount, Rounding, Usd};
use chancery_sdk::{Dated, Parameter};

/// The amounts of one fiscal year, for households of 1 to 8 persons where there are eight.
pub struct Schedule {
    maximum_allotments: [i64; 8],
    /// For each person beyond the eighth.
    further_person: i64,
    standard_deductions: [i64; 8],
    minimum_benefits: [i64; 8],
    /// The most that the excess shelter deduction may be.
    pub shelter_cap: Amount<Usd>,
    /// The homeless shelter deduction, which files also record in whole dollars.
    homeless_deduction: Amount<Usd>,
}

/// For the 48 states and D.C.
pub const SCHEDULE: Parameter<Schedule> = Parameter::new(&[Dated {
    from: date(2023, 10, 1),
    until: Some(date(2024, 9, 30)),
    value: Schedule {
        maximum_allotments: [291, 535, 766, 973, 1_155, 1_386, 1_532, 1_751],
        further_person: 219,
        standard_deductions: [198, 198, 198, 208, 244, 279, 279, 279],
        minimum_benefits: [23, 23, 0, 0, 0, 0, 0, 0],
        shelter_cap: Amount::whole(672),
        homeless_deduction: Amount::from_minor(17_966),
    },
    source: "USDA FNS, SNAP cost-of-living adjustments for fiscal year 2024, memorandum of 3 August 2023",
}]);

impl Schedule {
    fn of(amounts: &[i64; 8], household_size: u32) -> i64 {
        amounts[(household_size.clamp(1, 8) - 1) as usize]
    }

    /// The standard deduction.
    pub fn standard_deduction(&self, household_size: u32) -> Amount<Usd> {
        Amount::whole(Schedule::of(&self.standard_deductions, household_size))
    }

    /// The maximum allotment.
    pub fn maximum_allotment(&self, household_size: u32) -> Amount<Usd> {
        let further = i64::from(household_size.saturating_sub(8)) * self.further_person;
        Amount::whole(Schedule::of(&self.maximum_allotments, household_size) + further)
    }

    /// The homeless shelter deductions that a case may state: none, that of the memorandum, and the same in whole dollars.
    pub fn homeless_deductions(&self) -> [Amount<Usd>; 3] {
        let exact = self.homeless_deduction;
        [Amount::ZERO, exact, exact.round_to(Amount::whole(1), Rounding::HalfUp).unwrap_or(exact)]
    }

    /// The minimum benefit.
    pub fn minimum_benefit(&self, household_size: u32) -> Amount<Usd> {
        Amount::whole(Schedule::of(&self.minimum_benefits, household_size))
    }
}

/// Places with schedules of their own.
pub const OTHER_SCHEDULES: [&str; 4] = ["Alaska", "Hawaii", "Guam", "Virgin Islands"];

/// The 48 states and D.C.
#[rustfmt::skip]
pub const STATES: [&str; 49] = [
    "Alabama", "Arizona", "Arkansas", "California", "Colorado", "Connecticut", "Delaware", "District of Columbia", "Florida", "Georgia",
    "Idaho", "Illinois", "Indiana", "Iowa", "Kansas", "Kentucky", "Louisiana", "Maine", "Maryland", "Massachusetts", "Michigan", "Minnesota",
    "Mississippi", "Missouri", "Montana", "Nebraska", "Nevada", "New Hampshire", "New Jersey", "New Mexico", "New York", "North Carolina",
    "North Dakota", "Ohio", "Oklahoma", "Oregon", "Pennsylvania", "Rhode Island", "South Carolina", "South Dakota", "Tennessee", "Texas",
    "Utah", "Vermont", "Virginia", "Washington", "West Virginia", "Wisconsin", "Wyoming",
];
