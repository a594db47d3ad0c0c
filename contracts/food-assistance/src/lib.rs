//! The monthly benefit of the US Supplemental Nutrition Assistance Program (SNAP). `README.md` of this folder gives the rule.

#![no_std]

mod parameters;

#[chancery_sdk::contract(
    legal_basis = "Food and Nutrition Act of 2008, 7 U.S.C. 2014 and 2017; 7 CFR 273.9 and 273.10"
)]
pub mod food_assistance {
    //! Determines the monthly SNAP benefit of a household, in the 48 states and D.C., stage by stage.

    use crate::parameters::{self, Schedule};
    use chancery_sdk::prelude::*;

    /// The officer who may determine cases: who deployed the contract.
    #[storage]
    const OFFICER: Item<PublicKey> = Item::new("officer");
    /// Applications by case.
    #[storage]
    const APPLICATIONS: Map<String, Application> = Map::new("applications");
    /// Determined cases, with the whole working.
    #[storage]
    const CASES: Map<String, Case> = Map::new("cases");

    /// An application that was filed.
    #[derive(Clone, Schema)]
    pub struct Application {
        /// The key that filed it.
        pub applicant: PublicKey,
        /// The month for which it asks.
        pub month: Month,
        /// Persons in the household.
        pub household_size: u32,
        /// The day on which it was filed.
        pub filed: Date,
    }

    /// The facts of a household for a month.
    #[derive(Clone, Schema)]
    pub struct Household {
        /// Id of the case.
        pub case_id: String,
        /// The month of the benefit.
        pub month: Month,
        /// The state, by its English name.
        pub state: String,
        /// Persons in the household.
        pub household_size: u32,
        /// Earned income of the month.
        pub earned_income: Amount<Usd>,
        /// Unearned income of the month.
        pub unearned_income: Amount<Usd>,
        /// Rent or mortgage of the month.
        pub rent_or_mortgage: Amount<Usd>,
        /// Utilities of the month, or the standard allowance for them.
        pub utilities: Amount<Usd>,
        /// Medical deduction.
        pub medical_deduction: Amount<Usd>,
        /// Dependent care deduction.
        pub dependent_care_deduction: Amount<Usd>,
        /// Child support deduction.
        pub child_support_deduction: Amount<Usd>,
        /// Homeless shelter deduction: nothing, or that of the month's schedule, exact or in whole dollars.
        pub homeless_deduction: Amount<Usd>,
        /// Whether the cap on the shelter deduction applies: no member is elderly or disabled.
        pub shelter_cap_applies: bool,
        /// The standard deduction as the file states it; compared, not believed.
        pub standard_deduction: Option<Amount<Usd>>,
        /// The maximum allotment as the file states it; compared, not believed.
        pub maximum_allotment: Option<Amount<Usd>>,
        /// The minimum benefit as the file states it; compared, not believed.
        pub minimum_benefit: Option<Amount<Usd>>,
    }

    /// What was determined.
    #[derive(Clone, Schema)]
    pub struct Determination {
        /// 20 % of earned income.
        pub earned_income_deduction: Amount<Usd>,
        /// The excess shelter deduction.
        pub shelter_deduction: Amount<Usd>,
        /// Net income.
        pub net_income: Amount<Usd>,
        /// The benefit of the month.
        pub benefit: Amount<Usd>,
    }

    /// A determined case.
    #[derive(Clone, Schema)]
    pub struct Case {
        /// The facts.
        pub household: Household,
        /// The standard deduction that was applied.
        pub standard_deduction: Amount<Usd>,
        /// Income before the shelter deduction, to the cent.
        pub income_before_shelter: Amount<Usd>,
        /// The maximum allotment that was applied.
        pub maximum_allotment: Amount<Usd>,
        /// The minimum benefit that was applied.
        pub minimum_benefit: Amount<Usd>,
        /// The four results.
        pub determination: Determination,
        /// The day on which it was determined.
        pub determined: Date,
    }

    /// How far a case has come.
    #[derive(Clone, Schema)]
    pub enum Status {
        /// It was filed and waits for a determination.
        Filed {
            /// The application.
            application: Application,
        },
        /// It is determined.
        Determined {
            /// The case.
            case: Case,
            /// The application on which the determination rests, where one was filed here.
            application: Option<Application>,
        },
    }

    /// What happened.
    #[event]
    pub enum Event {
        /// An application was filed.
        Filed {
            /// The case.
            case_id: String,
        },
        /// A benefit was determined.
        Determined {
            /// The case.
            case_id: String,
            /// The month.
            month: Month,
            /// The benefit.
            benefit: Amount<Usd>,
        },
    }

    /// Why a call is refused.
    #[error]
    pub enum Error {
        /// Only the programme's officer may determine a case.
        #[rule("the caller is the programme's officer", cites = "7 CFR 272.4(a)")]
        NotOfficer,
        /// A case needs an id of 1 to 64 bytes that is not blank.
        #[rule("the case has an id of 1 to 64 bytes that is not blank", cites = "7 CFR 273.2(c)")]
        BadCaseId,
        /// An application with this id was filed.
        #[rule("the case was not filed before", cites = "7 CFR 273.2(c)")]
        AlreadyFiled,
        /// The case was determined.
        #[rule("the case was not determined before", cites = "7 CFR 273.2(g)")]
        AlreadyDetermined,
        /// No case has this id.
        #[rule("the case is known", cites = "7 CFR 273.2(c)")]
        UnknownCase,
        /// The contract holds no parameters for the month.
        #[rule("the month's parameters are in force", cites = "7 CFR 273.9(d), 273.10(e)(4)")]
        MonthNotCovered {
            /// The month asked for.
            month: Month,
        },
        /// Alaska, Hawaii, Guam and the Virgin Islands have schedules of their own, which the contract does not hold.
        #[rule("the state is one of the 48 or D.C.", cites = "7 CFR 273.10(e)(4)(i)")]
        OtherSchedule {
            /// The state asked for.
            state: String,
        },
        /// The name is not that of a state.
        #[rule("the state is known by its English name", cites = "7 CFR 271.2")]
        UnknownState {
            /// The name given.
            state: String,
        },
        /// A household has 1 to 99 persons.
        #[rule("the household has 1 to 99 persons", cites = "7 CFR 273.1")]
        HouseholdSize {
            /// The size given.
            household_size: u32,
        },
        /// An amount is negative or beyond 1,000,000 dollars.
        #[rule("every amount is between 0 and 1,000,000 dollars", cites = "7 CFR 273.10(e)(1)(i)")]
        AmountOutOfRange {
            /// The column.
            field: String,
            /// The amount given.
            amount: Amount<Usd>,
        },
        /// The homeless shelter deduction is nothing or that of the month.
        #[rule("the homeless shelter deduction is nothing or the month's", cites = "7 CFR 273.9(d)(6)(i)")]
        HomelessDeduction {
            /// The amount given.
            stated: Amount<Usd>,
            /// That of the month.
            allowed: Amount<Usd>,
        },
    }

    /// The largest amount that a case may name.
    const AMOUNT_MAX: Amount<Usd> = Amount::whole(1_000_000);
    /// Mills, tenths of a cent, of a dollar: in them a fifth of any amount in cents is whole.
    const DOLLAR_MILLS: i64 = 1_000;

    /// Sets the programme up; the deployer is its officer.
    #[init]
    pub fn init(ctx: &mut Context) -> Result<(), Error> {
        let officer = ctx.caller();
        OFFICER.set(ctx, &officer);
        Ok(())
    }

    /// Files an application. Whoever signs it is the applicant.
    #[call(cites = "7 CFR 273.2(c)")]
    pub fn apply(
        ctx: &mut Context,
        /// Id of the case.
        case_id: String,
        /// The month for which it asks.
        month: Month,
        /// Persons in the household.
        household_size: u32,
    ) -> Result<(), Error> {
        case_id_given(ctx, &case_id)?;
        let known = APPLICATIONS.has(ctx, &case_id) || CASES.has(ctx, &case_id);
        ensure!(ctx, !known, Error::AlreadyFiled, case_id = &case_id);
        size_within(ctx, household_size)?;
        let application = Application { applicant: ctx.caller(), month, household_size, filed: ctx.date() };
        APPLICATIONS.set(ctx, &case_id, &application);
        ctx.emit(Event::Filed { case_id });
        Ok(())
    }

    /// Determines a household's benefit for a month, on the officer's figures, and keeps the whole working.
    #[call(cites = "7 CFR 273.10(e)")]
    pub fn determine(
        ctx: &mut Context,
        /// The facts.
        household: Household,
    ) -> Result<Determination, Error> {
        ensure!(ctx, OFFICER.get(ctx) == Some(ctx.caller()), Error::NotOfficer);
        let case_id = household.case_id.clone();
        case_id_given(ctx, &case_id)?;
        ensure!(ctx, !CASES.has(ctx, &case_id), Error::AlreadyDetermined, case_id = &case_id);
        let schedule = schedule(ctx, &household)?;
        amounts_within(ctx, &household)?;
        let [_, allowed, _] = schedule.homeless_deductions();
        let stated = household.homeless_deduction;
        let homeless = schedule.homeless_deductions().contains(&stated);
        ensure!(ctx, homeless, Error::HomelessDeduction { stated, allowed }, stated = stated);
        rests_on_application(ctx, &household);
        let case = work_out(ctx, household, schedule);
        CASES.set(ctx, &case_id, &case);
        let benefit = case.determination.benefit;
        ctx.emit(Event::Determined { case_id, month: case.household.month, benefit });
        Ok(case.determination)
    }

    /// How far a case has come, with its working when it is determined.
    #[query(cites = "7 CFR 272.1(c)")]
    pub fn status(
        ctx: &Context,
        /// Id of the case.
        case_id: String,
    ) -> Result<Status, Error> {
        let application = APPLICATIONS.get(ctx, &case_id);
        if let Some(case) = CASES.get(ctx, &case_id) {
            return Ok(Status::Determined { case, application });
        }
        Ok(Status::Filed { application: application.ok_or(Error::UnknownCase)? })
    }

    fn case_id_given(ctx: &Context, case_id: &str) -> Result<(), Error> {
        ensure!(ctx, (1..=64).contains(&case_id.len()) && !is_blank(case_id), Error::BadCaseId);
        Ok(())
    }

    fn size_within(ctx: &Context, household_size: u32) -> Result<(), Error> {
        ensure!(
            ctx,
            (1..=99).contains(&household_size),
            Error::HouseholdSize { household_size },
            household_size = household_size
        );
        Ok(())
    }

    /// The schedule for the household's month and place.
    fn schedule(ctx: &Context, household: &Household) -> Result<&'static Schedule, Error> {
        let state = household.state.as_str();
        let (other, known) = (parameters::OTHER_SCHEDULES.contains(&state), parameters::STATES.contains(&state));
        ensure!(ctx, other || known, Error::UnknownState { state: state.into() }, state = state);
        ensure!(ctx, !other, Error::OtherSchedule { state: state.into() }, state = state);
        size_within(ctx, household.household_size)?;
        let month = household.month;
        let found = parameters::SCHEDULE.at(month.first_day()).ok();
        Ok(&ensure_some!(ctx, found, Error::MonthNotCovered { month }, month = month).value)
    }

    fn amounts_within(ctx: &Context, household: &Household) -> Result<(), Error> {
        for (field, amount) in [
            ("earned_income", household.earned_income),
            ("unearned_income", household.unearned_income),
            ("rent_or_mortgage", household.rent_or_mortgage),
            ("utilities", household.utilities),
            ("medical_deduction", household.medical_deduction),
            ("dependent_care_deduction", household.dependent_care_deduction),
            ("child_support_deduction", household.child_support_deduction),
            ("standard_deduction", household.standard_deduction.unwrap_or_default()),
            ("maximum_allotment", household.maximum_allotment.unwrap_or_default()),
            ("minimum_benefit", household.minimum_benefit.unwrap_or_default()),
        ] {
            if amount.minor() < 0 || amount > AMOUNT_MAX {
                ensure!(
                    ctx,
                    false,
                    Error::AmountOutOfRange { field: field.into(), amount },
                    field = field,
                    amount = amount
                );
            }
        }
        Ok(())
    }

    /// States the application on which the determination rests, where one was filed here. An application says what a household asks for, the
    /// officer what was verified (7 CFR 273.2(f)), perhaps for a later month upon the same application (7 CFR 273.10(a)(3)). So the officer's
    /// figures are applied; where they are not those of the application, a person is asked to look.
    fn rests_on_application(ctx: &Context, household: &Household) {
        let Some(application) = APPLICATIONS.get(ctx, &household.case_id) else { return };
        let Application { applicant, month, household_size, filed } = application;
        computed!(
            ctx,
            "the determination rests on the application filed on this day",
            "7 CFR 273.2(c)",
            filed,
            applicant = Hash(applicant.0),
            month = month,
            household_size = household_size,
        );
        if month != household.month {
            needs_person!(
                ctx,
                "the month is that of the application",
                "7 CFR 273.10(a)(1)(i) and (a)(3)",
                applied_for = month,
                determined = household.month,
            );
        }
        if household_size != household.household_size {
            needs_person!(
                ctx,
                "the household is of the size applied for",
                "7 CFR 273.2(f)",
                applied_for = household_size,
                determined = household.household_size,
            );
        }
    }

    /// The five stages of 7 CFR 273.10(e). Every amount is at most a million dollars, so nothing overflows.
    fn work_out(ctx: &Context, household: Household, schedule: &Schedule) -> Case {
        let size = household.household_size;
        let standard = compared(
            ctx,
            "standard deduction",
            "7 CFR 273.9(d)(1)",
            schedule.standard_deduction(size),
            household.standard_deduction,
        );
        let maximum = compared(
            ctx,
            "maximum allotment",
            "7 CFR 273.10(e)(4)",
            schedule.maximum_allotment(size),
            household.maximum_allotment,
        );
        let minimum = compared(
            ctx,
            "minimum benefit",
            "7 CFR 273.10(e)(2)(ii)(C)",
            schedule.minimum_benefit(size),
            household.minimum_benefit,
        );

        let earned = household.earned_income;
        let earned_deduction = mills(earned) / 5;
        let earned_income_deduction = computed!(
            ctx,
            "earned income deduction: 20 % of earned income",
            "7 CFR 273.9(d)(2)",
            cents(earned_deduction),
            earned_income = earned
        );

        let deductions = mills(standard)
            + mills(household.medical_deduction)
            + mills(household.dependent_care_deduction)
            + mills(household.child_support_deduction);
        let before_shelter = (mills(earned) + mills(household.unearned_income) - earned_deduction - deductions).max(0);
        let income_before_shelter = computed!(
            ctx,
            "income before the shelter deduction",
            "7 CFR 273.10(e)(1)(i)",
            cents(before_shelter),
            earned_income = earned,
            unearned_income = household.unearned_income,
            earned_income_deduction = earned_income_deduction,
            standard_deduction = standard,
            medical_deduction = household.medical_deduction,
            dependent_care_deduction = household.dependent_care_deduction,
            child_support_deduction = household.child_support_deduction,
        );

        let shelter = mills(household.rent_or_mortgage) + mills(household.utilities);
        // Twice the excess over half of the income, so that half a mill is not lost.
        let excess = dollars((2 * shelter - before_shelter).max(0) / (2 * DOLLAR_MILLS));
        let excess = if household.shelter_cap_applies { excess.min(schedule.shelter_cap) } else { excess };
        let shelter_deduction = computed!(
            ctx,
            "excess shelter deduction: costs above half of the income, rounded down to a dollar, capped unless a member is elderly or disabled",
            "7 CFR 273.9(d)(6)(ii)",
            excess,
            rent_or_mortgage = household.rent_or_mortgage,
            utilities = household.utilities,
            income_before_shelter = income_before_shelter,
            cap_applies = household.shelter_cap_applies,
            cap = schedule.shelter_cap,
        );

        if household.homeless_deduction > Amount::ZERO && shelter_deduction > Amount::ZERO {
            needs_person!(
                ctx,
                "the homeless shelter deduction is for a household that does not claim excess shelter costs",
                "7 U.S.C. 2014(e)(6)(D), 7 CFR 273.9(d)(6)(i)",
                homeless_deduction = household.homeless_deduction,
                shelter_deduction = shelter_deduction,
            );
        }
        let net = before_shelter - mills(household.homeless_deduction) - mills(shelter_deduction);
        let net_income = computed!(
            ctx,
            "net income, rounded down to a dollar",
            "7 CFR 273.10(e)(1)",
            dollars(net.max(0) / DOLLAR_MILLS),
            income_before_shelter = income_before_shelter,
            homeless_deduction = household.homeless_deduction,
            shelter_deduction = shelter_deduction,
        );

        let net_dollars = mills(net_income) / DOLLAR_MILLS;
        let contribution = dollars((3 * net_dollars + 9) / 10);
        let benefit = maximum.sub(contribution).unwrap_or_default().max(minimum);
        let benefit = computed!(
            ctx,
            "benefit: maximum allotment less 30 % of net income rounded up to a dollar, at least the minimum",
            "7 CFR 273.10(e)(2)(ii)(A)",
            benefit,
            maximum_allotment = maximum,
            contribution = contribution,
            minimum_benefit = minimum,
        );
        Case {
            household,
            standard_deduction: standard,
            income_before_shelter,
            maximum_allotment: maximum,
            minimum_benefit: minimum,
            determination: Determination { earned_income_deduction, shelter_deduction, net_income, benefit },
            determined: ctx.date(),
        }
    }

    /// The contract's own parameter. Where the file states another, a person is asked to look; ours is applied.
    fn compared(
        ctx: &Context,
        rule: &str,
        citation: &str,
        ours: Amount<Usd>,
        stated: Option<Amount<Usd>>,
    ) -> Amount<Usd> {
        if let Some(stated) = stated
            && stated != ours
        {
            needs_person!(ctx, rule, citation, stated = stated, applied = ours);
        }
        ours
    }

    const fn mills(amount: Amount<Usd>) -> i64 {
        amount.minor() * 10
    }

    /// To the cent, half up.
    const fn cents(mills: i64) -> Amount<Usd> {
        Amount::from_minor((mills + 5) / 10)
    }

    const fn dollars(dollars: i64) -> Amount<Usd> {
        Amount::from_minor(dollars * 100)
    }
}

pub use food_assistance::{Case, Determination, Household, Status};
