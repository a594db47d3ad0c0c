//! The gas of one call: what is left, and which host function took how much.

use super::Stop;
use super::functions::{COUNT, Function, HOST_FUNCTIONS};
use crate::call::HostCost;
use crate::prices::CALL_GAS_MAX;
use chancery_types::Gas;

/// Calls and gas of one host function.
#[derive(Clone, Copy, Default)]
struct Tally {
    calls: u64,
    gas: u64,
}

/// What is left of the gas that was set aside. It never goes below nothing, and what was used is never more than the limit.
pub(super) struct Meter {
    limit: u64,
    left: u64,
    tallies: [Tally; COUNT],
}

impl Meter {
    pub(super) fn new(limit: Gas) -> Self {
        let limit = limit.min(CALL_GAS_MAX).0;
        Meter { limit, left: limit, tallies: [Tally::default(); COUNT] }
    }

    pub(super) const fn left(&self) -> u64 {
        self.left
    }

    pub(super) const fn used(&self) -> Gas {
        Gas(self.limit - self.left)
    }

    /// Takes over the balance of the guest's own counter, which never rises.
    pub(super) fn set(&mut self, balance: i64) -> Result<(), Stop> {
        match u64::try_from(balance) {
            Ok(balance) => {
                self.left = balance.min(self.left);
                Ok(())
            }
            Err(_) => self.exhaust(),
        }
    }

    /// Takes all that is left.
    pub(super) fn drain(&mut self) {
        self.left = 0;
    }

    fn exhaust(&mut self) -> Result<(), Stop> {
        self.drain();
        Err(Stop::OutOfGas)
    }

    /// Charges, or takes all that is left.
    #[inline]
    pub(super) fn charge(&mut self, gas: u64) -> Result<(), Stop> {
        match self.left.checked_sub(gas) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => self.exhaust(),
        }
    }

    /// Counts a call of a host function and charges for it and for so many bytes.
    #[inline]
    pub(super) fn call(&mut self, function: Function, bytes: usize) -> Result<(), Stop> {
        self.tallies[function as usize].calls += 1;
        self.more(function, function.entry().base, bytes)
    }

    /// Charges a host function for more that it turned out to do.
    #[inline]
    pub(super) fn more(&mut self, function: Function, gas: u64, bytes: usize) -> Result<(), Stop> {
        let gas = (bytes as u64).saturating_mul(function.entry().per_byte).saturating_add(gas);
        self.tallies[function as usize].gas += gas.min(self.left);
        self.charge(gas)
    }

    pub(super) fn costs(&self) -> Vec<HostCost> {
        let called = HOST_FUNCTIONS.iter().zip(&self.tallies).filter(|(_, tally)| tally.calls > 0);
        called
            .map(|(function, tally)| HostCost { function: function.name, calls: tally.calls, gas: Gas(tally.gas) })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_beyond_the_balance_takes_what_is_left() {
        let mut meter = Meter::new(Gas(1_000));
        assert!(meter.call(Function::Arguments, 100).is_ok());
        assert_eq!(meter.used(), Gas(700));
        assert!(matches!(meter.call(Function::Sha256, usize::MAX), Err(Stop::OutOfGas)));
        assert_eq!(meter.used(), Gas(1_000));
        let sum: u64 = meter.costs().iter().map(|cost| cost.gas.0).sum();
        assert_eq!(sum, 1_000);
    }

    #[test]
    fn no_more_is_set_aside_than_the_most() {
        assert_eq!(Meter::new(Gas(u64::MAX)).left(), CALL_GAS_MAX.0);
    }

    #[test]
    fn a_debt_of_the_guest_is_out_of_gas_and_uses_the_limit() {
        let mut meter = Meter::new(Gas(10));
        assert!(matches!(meter.set(-1), Err(Stop::OutOfGas)));
        assert_eq!(meter.used(), Gas(10));
    }
}
