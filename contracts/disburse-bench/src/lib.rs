//! The workload that runtimes are measured by: one payment out of a programme's budget.

#![no_std]

#[chancery_sdk::contract]
pub mod disburse_bench {
    //! Pays beneficiaries of a programme, each once a period, within a budget.

    use chancery_sdk::prelude::*;

    /// The programme's officer.
    #[storage]
    const OFFICER: Item<PublicKey> = Item::new("officer");
    /// What is left of the budget.
    #[storage]
    const BUDGET: Item<Amount<Usd>> = Item::new("budget");
    /// What each enrolled beneficiary has received.
    #[storage]
    const TOTALS: Map<u64, Amount<Usd>> = Map::new("totals");
    /// Payments by beneficiary and period.
    #[storage]
    const PAYMENTS: Map<(u64, u32), Amount<Usd>> = Map::new("payments");

    /// What happened.
    #[event]
    pub enum Event {
        /// A payment was made.
        Paid {
            /// To whom.
            beneficiary: u64,
            /// For which period.
            period: u32,
            /// How much.
            amount: Amount<Usd>,
        },
    }

    /// Why a call is refused.
    #[error]
    pub enum Error {
        /// Only the programme's officer may do this.
        #[rule("the caller is the programme's officer")]
        NotOfficer,
        /// The beneficiary is not enrolled.
        #[rule("the beneficiary is enrolled")]
        NotEnrolled,
        /// The beneficiary was paid for this period.
        #[rule("not paid for this period before")]
        AlreadyPaid,
        /// The budget does not suffice.
        #[rule("the payment is within the remaining budget")]
        OverBudget,
        /// The amount is not positive.
        #[rule("the amount is positive")]
        NotPositive,
    }

    fn officer_only(ctx: &Context) -> Result<(), Error> {
        if OFFICER.get(ctx) == Some(ctx.caller()) { Ok(()) } else { Err(Error::NotOfficer) }
    }

    /// Sets the programme up; the deployer is its officer.
    #[init]
    pub fn init(
        ctx: &mut Context,
        /// What may be paid in all.
        budget: Amount<Usd>,
    ) -> Result<(), Error> {
        let officer = ctx.caller();
        OFFICER.set(ctx, &officer);
        BUDGET.set(ctx, &budget);
        Ok(())
    }

    /// Enrols a beneficiary.
    #[call]
    pub fn enrol(
        ctx: &mut Context,
        /// The beneficiary's number.
        beneficiary: u64,
    ) -> Result<(), Error> {
        officer_only(ctx)?;
        if !TOTALS.has(ctx, &beneficiary) {
            TOTALS.set(ctx, &beneficiary, &Amount::from_minor(0));
        }
        Ok(())
    }

    /// Pays a beneficiary for a period.
    #[call]
    pub fn disburse(
        ctx: &mut Context,
        /// The beneficiary's number.
        beneficiary: u64,
        /// The period, for instance 202401.
        period: u32,
        /// How much.
        amount: Amount<Usd>,
    ) -> Result<(), Error> {
        officer_only(ctx)?;
        if amount.minor() <= 0 {
            return Err(Error::NotPositive);
        }
        let total = TOTALS.get(ctx, &beneficiary).ok_or(Error::NotEnrolled)?;
        if PAYMENTS.has(ctx, &(beneficiary, period)) {
            return Err(Error::AlreadyPaid);
        }
        let left = BUDGET.get(ctx).and_then(|budget| budget.sub(amount)).filter(|left| left.minor() >= 0);
        let left = left.ok_or(Error::OverBudget)?;
        let total = total.add(amount).ok_or(Error::OverBudget)?;
        PAYMENTS.set(ctx, &(beneficiary, period), &amount);
        TOTALS.set(ctx, &beneficiary, &total);
        BUDGET.set(ctx, &left);
        ctx.emit(Event::Paid { beneficiary, period, amount });
        Ok(())
    }

    /// What a beneficiary has received.
    #[query]
    pub fn total(
        ctx: &Context,
        /// The beneficiary's number.
        beneficiary: u64,
    ) -> Result<Amount<Usd>, Error> {
        TOTALS.get(ctx, &beneficiary).ok_or(Error::NotEnrolled)
    }
}
