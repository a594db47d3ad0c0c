//! The fee schedule (IBC 2021, 109.2, leaves it to the adopting ordinance; this one is illustrative).

use chancery_sdk::types::Date;
use chancery_sdk::types::money::{Amount, Ratio, Rounding, Usd};

/// The largest floor area that the schedule covers, in square metres.
pub const FLOOR_AREA_MAX: u32 = 100_000;
/// The largest value that the schedule covers.
pub const VALUE_MAX: Amount<Usd> = Amount::whole(1_000_000_000);
/// Square metres up to which a tier goes, and dollars for each of its square metres.
const TIERS: [(u32, i64); 3] = [(100, 4), (300, 3), (FLOOR_AREA_MAX, 2)];
/// Thousandths of the value, and the least that is charged.
const VALUE_PER_THOUSAND: i64 = 5;
const VALUE_FEE_MIN: Amount<Usd> = Amount::whole(75);
/// Days without a penalty, days of each further step, the step, and the most.
const GRACE_DAYS: i32 = 30;
const STEP_DAYS: i32 = 30;
const STEP_PERCENT: i64 = 10;
const PENALTY_PERCENT_MAX: i64 = 50;

/// How a fee is worked out.
#[derive(Clone, Copy)]
pub enum Fee {
    /// So many dollars.
    Flat(i64),
    /// By tiers of floor area.
    ByFloorArea,
    /// Half a percent of the value, rounded up to a cent, at least 75 dollars.
    ByValue,
}

impl Fee {
    /// The fee. Area and value are within the schedule.
    pub fn amount(self, floor_area: u32, value: Amount<Usd>) -> Amount<Usd> {
        match self {
            Fee::Flat(dollars) => Amount::whole(dollars),
            Fee::ByFloorArea => {
                let (mut dollars, mut below) = (0, 0);
                for (up_to, rate) in TIERS {
                    dollars += i64::from(floor_area.min(up_to).saturating_sub(below)) * rate;
                    below = up_to;
                }
                Amount::whole(dollars)
            }
            Fee::ByValue => {
                let share = Ratio::new(VALUE_PER_THOUSAND, 1_000).and_then(|share| value.share(share, Rounding::Up));
                share.unwrap_or(VALUE_FEE_MIN).max(VALUE_FEE_MIN)
            }
        }
    }
}

/// 10 % of the fee for each 30 days begun after 30 days of grace, at most half of it, rounded down to a cent.
pub fn penalty(fee: Amount<Usd>, filed: Date, today: Date) -> Amount<Usd> {
    let late = i64::from((today.days() - filed.days() - GRACE_DAYS).max(0));
    let steps = (late + i64::from(STEP_DAYS) - 1) / i64::from(STEP_DAYS);
    let percent = (steps * STEP_PERCENT).min(PENALTY_PERCENT_MAX);
    fee.share(Ratio::percent(percent), Rounding::Down).unwrap_or_default()
}
