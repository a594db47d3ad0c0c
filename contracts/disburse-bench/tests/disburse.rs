//! Every branch of the contract.

use chancery_contract_disburse_bench::CONTRACT;
use chancery_sdk::types::money::{Amount, Usd};
use chancery_testing::run;

#[test]
fn every_requirement_of_a_payment() {
    run(CONTRACT, "disburse-bench", |world| {
        let (officer, other) = (world.actor("officer"), world.actor("other"));
        let usd = Amount::<Usd>::whole;
        world.at("2024-01-05").deploy(&officer, (usd(1_000),)).done::<()>();
        assert_eq!(world.call(&other, "enrol", (7u64,)).refused(), "NotOfficer");
        assert_eq!(world.call(&other, "disburse", (7u64, 202_401u32, usd(1))).refused(), "NotOfficer");
        assert_eq!(world.call(&officer, "disburse", (7u64, 202_401u32, usd(100))).refused(), "NotEnrolled");
        world.call(&officer, "enrol", (7u64,)).done::<()>();
        assert_eq!(world.call(&officer, "disburse", (7u64, 202_401u32, usd(0))).refused(), "NotPositive");
        let paid = world.call(&officer, "disburse", (7u64, 202_401u32, usd(100)));
        assert_eq!(paid.event_names(), ["Paid"]);
        assert_eq!(paid.writes.len(), 3);
        assert_eq!(world.call(&officer, "disburse", (7u64, 202_401u32, usd(100))).refused(), "AlreadyPaid");
        assert_eq!(world.call(&officer, "disburse", (7u64, 202_402u32, usd(901))).refused(), "OverBudget");
        world.call(&officer, "enrol", (7u64,)).done::<()>();
        assert_eq!(world.query("total", (7u64,)).done::<Amount<Usd>>(), usd(100));
        assert_eq!(world.query("total", (8u64,)).refused(), "NotEnrolled");
    });
}
