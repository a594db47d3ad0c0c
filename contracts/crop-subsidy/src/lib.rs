//! An area payment for a crop, upon assessed yield records. `README.md` of this folder gives the rule.

#![no_std]

#[chancery_sdk::contract(
    legal_basis = "Regulation (EU) 2021/2115, Articles 32 to 35; Regulation (EU) 2021/2116, Articles 57 to 59"
)]
pub mod crop_subsidy {
    //! Pays a holding so much for each hectare of a supported crop, upon records that accredited assessors signed, each counted once.

    use chancery_sdk::prelude::*;

    /// The paying agency: who deployed the contract.
    #[storage]
    const AGENCY: Item<PublicKey> = Item::new("agency");
    /// Accredited assessors, and whether they still are.
    #[storage]
    const ASSESSORS: Map<PublicKey, bool> = Map::new("assessors");
    /// Enrolled holdings by number.
    #[storage]
    const HOLDINGS: Map<String, Holding> = Map::new("holdings");
    /// Yield records by holding, year and record number.
    #[storage]
    const RECORDS: Map<(String, u16, String), YieldRecord> = Map::new("records");
    /// Where a record number was used: holding and year.
    #[storage]
    const RECORD_IDS: Map<String, Place> = Map::new("record_ids");
    /// What was determined for a holding and year.
    #[storage]
    const YEARS: Map<(String, u16), Year> = Map::new("years");
    /// What a holding owes for records that were revoked after they had been counted.
    #[storage]
    const DEBTS: Map<String, Amount<Eur>> = Map::new("debts");

    /// A holding.
    #[derive(Clone, Schema)]
    pub struct Holding {
        /// The farmer's key.
        pub farmer: PublicKey,
        /// Eligible land in hundredths of a hectare.
        pub eligible_area: u32,
        /// The day of enrolment.
        pub enrolled: Date,
    }

    /// A yield record as an assessor signed it.
    #[derive(Clone, Schema)]
    pub struct YieldRecord {
        /// Who assessed.
        pub assessor: PublicKey,
        /// Sown area in hundredths of a hectare.
        pub area: u32,
        /// Yield in kilograms.
        pub yield_kg: u32,
        /// What became of it.
        pub state: RecordState,
    }

    /// What became of a record.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Schema)]
    pub enum RecordState {
        /// It waits for a determination.
        Recorded,
        /// It was counted in a payment.
        Counted,
        /// It was revoked.
        Revoked,
    }

    /// Where a record stands.
    #[derive(Clone, Schema)]
    pub struct Place {
        /// The holding.
        pub holding: String,
        /// The year.
        pub year: u16,
    }

    /// What was determined for a year so far.
    #[derive(Clone, Schema)]
    pub struct Year {
        /// Area counted, in hundredths of a hectare.
        pub area: u32,
        /// What the counted area entitles to, within the ceiling.
        pub entitled: Amount<Eur>,
    }

    /// A payment as it was determined.
    #[derive(Clone, PartialEq, Eq, Debug, Schema)]
    pub struct Payment {
        /// Records counted now.
        pub records: u32,
        /// Area counted now, in hundredths of a hectare.
        pub area: u32,
        /// What they entitle to, within the ceiling.
        pub entitled: Amount<Eur>,
        /// What was set off against a debt.
        pub set_off: Amount<Eur>,
        /// What is to be paid.
        pub payable: Amount<Eur>,
    }

    /// What is known of a holding.
    #[derive(Clone, Schema)]
    pub struct Status {
        /// The holding.
        pub holding: Holding,
        /// The year asked for, where something was determined.
        pub year: Option<Year>,
        /// What it owes.
        pub debt: Amount<Eur>,
    }

    /// What happened.
    #[event]
    pub enum Event {
        /// A holding was enrolled.
        Enrolled {
            /// The holding.
            holding: String,
        },
        /// A yield was recorded.
        Recorded {
            /// The holding.
            holding: String,
            /// The record.
            record: String,
        },
        /// A payment was determined.
        Determined {
            /// The holding.
            holding: String,
            /// The year.
            year: u16,
            /// What is to be paid.
            payable: Amount<Eur>,
        },
        /// A record was revoked.
        Revoked {
            /// The record.
            record: String,
            /// What the holding owes for it.
            owed: Amount<Eur>,
        },
    }

    /// Why a call is refused.
    #[error]
    pub enum Error {
        /// Only the paying agency may do this.
        #[rule("the caller is the paying agency", cites = "Regulation (EU) 2021/2116, Art. 9")]
        NotAgency,
        /// A number has 1 to 64 bytes and is not blank.
        #[rule(
            "holdings and records have numbers of 1 to 64 bytes that are not blank",
            cites = "Regulation (EU) 2021/2116, Art. 68"
        )]
        BadNumber,
        /// The holding is enrolled already.
        #[rule("the holding is not enrolled yet", cites = "Regulation (EU) 2021/2116, Art. 68")]
        AlreadyEnrolled,
        /// The holding is not enrolled.
        #[rule("the holding is enrolled", cites = "Regulation (EU) 2021/2116, Art. 68")]
        NotEnrolled,
        /// The holding has no eligible land.
        #[rule("the holding has eligible land", cites = "Regulation (EU) 2021/2115, Art. 4(4)")]
        NoEligibleLand,
        /// The assessor is not accredited.
        #[rule("the assessor is accredited", cites = "Regulation (EU) 2021/2116, Art. 72")]
        NotAccredited,
        /// The signature is not the assessor's over this statement.
        #[rule("the assessor signed the statement", cites = "Regulation (EU) 2021/2116, Art. 72")]
        BadSignature,
        /// The record number was used.
        #[rule("a record is counted once", cites = "Regulation (EU) 2021/2116, Art. 36")]
        RecordUsed,
        /// The record's areas exceed the eligible land.
        #[rule("recorded areas are within the eligible land", cites = "Regulation (EU) 2021/2115, Art. 4(4)")]
        AreaExceeded {
            /// The land, in hundredths of a hectare.
            eligible: u32,
            /// The areas together, at most the largest number.
            recorded: u32,
        },
        /// The contract holds no rate for the year, or the year has not begun.
        #[rule("the year's rate is in force", cites = "Regulation (EU) 2021/2115, Art. 34")]
        YearNotCovered {
            /// The year.
            year: u16,
        },
        /// There is nothing to determine.
        #[rule("there is a record that was not counted", cites = "Regulation (EU) 2021/2115, Art. 34")]
        NothingToDetermine,
        /// No record has this number.
        #[rule("the record is known", cites = "Regulation (EU) 2021/2116, Art. 59")]
        UnknownRecord,
        /// The record was revoked before.
        #[rule("the record was not revoked before", cites = "Regulation (EU) 2021/2116, Art. 59")]
        AlreadyRevoked,
        /// The revocation lacks a reason.
        #[rule("the revocation has a reason", cites = "Charter of Fundamental Rights of the EU, Art. 41(2)(c)")]
        NoReason,
    }

    /// What is paid, from when on.
    struct Rate {
        /// For a hectare.
        per_hectare: Amount<Eur>,
        /// For a holding and year at most.
        ceiling: Amount<Eur>,
    }

    /// Another year's rate is one more entry.
    const RATES: Parameter<Rate> = Parameter::new(&[
        Dated {
            from: date(2023, 1, 1),
            until: Some(date(2023, 12, 31)),
            value: Rate { per_hectare: Amount::whole(95), ceiling: Amount::whole(20_000) },
            source: "illustrative national schedule under Regulation (EU) 2021/2115, Art. 102, claim year 2023",
        },
        Dated {
            from: date(2024, 1, 1),
            until: Some(date(2024, 12, 31)),
            value: Rate { per_hectare: Amount::from_minor(98_50), ceiling: Amount::whole(20_000) },
            source: "illustrative national schedule under Regulation (EU) 2021/2115, Art. 102, claim year 2024",
        },
    ]);

    /// Sets the scheme up; the deployer is the paying agency.
    #[init]
    pub fn init(ctx: &mut Context) -> Result<(), Error> {
        let agency = ctx.caller();
        AGENCY.set(ctx, &agency);
        Ok(())
    }

    fn agency_only(ctx: &Context) -> Result<(), Error> {
        ensure!(ctx, AGENCY.get(ctx) == Some(ctx.caller()), Error::NotAgency);
        Ok(())
    }

    fn rate(ctx: &Context, year: u16) -> Result<&'static Rate, Error> {
        // The rate of a year that has not begun is not in force, and no yield of that year can have been assessed.
        let begun = Date::new(year, 1, 1).filter(|day| *day <= ctx.date());
        let found = begun.and_then(|day| RATES.at(day).ok());
        Ok(&ensure_some!(ctx, found, Error::YearNotCovered { year }, year = year).value)
    }

    /// Accredits an assessor, or withdraws the accreditation for what is recorded from now on.
    #[call(cites = "Regulation (EU) 2021/2116, Art. 72")]
    pub fn accredit(
        ctx: &mut Context,
        /// The assessor's key.
        assessor: PublicKey,
        /// Whether it is accredited.
        accredited: bool,
    ) -> Result<(), Error> {
        agency_only(ctx)?;
        ASSESSORS.set(ctx, &assessor, &accredited);
        Ok(())
    }

    /// Enrols a holding.
    #[call(cites = "Regulation (EU) 2021/2116, Art. 68")]
    pub fn enrol(
        ctx: &mut Context,
        /// The holding's number.
        holding: String,
        /// The farmer's key.
        farmer: PublicKey,
        /// Eligible land in hundredths of a hectare.
        eligible_area: u32,
    ) -> Result<(), Error> {
        agency_only(ctx)?;
        ensure!(ctx, (1..=64).contains(&holding.len()) && !is_blank(&holding), Error::BadNumber);
        ensure!(ctx, !HOLDINGS.has(ctx, &holding), Error::AlreadyEnrolled, holding = &holding);
        ensure!(ctx, eligible_area > 0, Error::NoEligibleLand);
        let enrolled = ctx.date();
        HOLDINGS.set(ctx, &holding, &Holding { farmer, eligible_area, enrolled });
        ctx.emit(Event::Enrolled { holding });
        Ok(())
    }

    /// The bytes that an assessor signs: a domain, this contract, and the fields.
    pub fn statement(
        contract: &ContractId,
        holding: &String,
        year: u16,
        record: &String,
        area: u32,
        yield_kg: u32,
    ) -> Vec<u8> {
        use chancery_sdk::types::Encode;
        let mut message = Vec::from(b"chancery crop-subsidy yield v1\n");
        (contract, holding).encode(&mut message);
        (year, record, area, yield_kg).encode(&mut message);
        message
    }

    /// Records a yield that an assessor signed. Anyone may hand it in.
    #[call(cites = "Regulation (EU) 2021/2116, Art. 72")]
    pub fn record_yield(
        ctx: &mut Context,
        /// The holding's number.
        holding: String,
        /// The claim year.
        year: u16,
        /// The record's number.
        record: String,
        /// Sown area in hundredths of a hectare.
        area: u32,
        /// Yield in kilograms.
        yield_kg: u32,
        /// The assessor's key.
        assessor: PublicKey,
        /// The assessor's signature over the statement.
        signature: Signature,
    ) -> Result<(), Error> {
        let enrolled = ensure_some!(ctx, HOLDINGS.get(ctx, &holding), Error::NotEnrolled, holding = &holding);
        let eligible = enrolled.eligible_area;
        ensure!(ctx, (1..=64).contains(&record.len()) && !is_blank(&record), Error::BadNumber);
        rate(ctx, year)?;
        ensure!(ctx, ASSESSORS.get(ctx, &assessor) == Some(true), Error::NotAccredited);
        let message = statement(&ctx.contract(), &holding, year, &record, area, yield_kg);
        ensure!(ctx, ctx.verify_ed25519(&assessor, &message, &signature), Error::BadSignature);
        ensure!(ctx, !RECORD_IDS.has(ctx, &record), Error::RecordUsed, record = &record);
        let of_year = RECORDS.beginning(ctx, &(holding.clone(), year));
        let standing = of_year.filter(|(_, record)| record.state != RecordState::Revoked);
        // In 64 bits: beyond 32 it exceeds any eligible land.
        let recorded = standing.fold(i64::from(area), |sum, (_, record)| sum + i64::from(record.area));
        ensure!(
            ctx,
            recorded <= i64::from(eligible),
            Error::AreaExceeded { eligible, recorded: u32::try_from(recorded).unwrap_or(u32::MAX) },
            eligible = eligible,
            recorded = recorded
        );
        RECORD_IDS.set(ctx, &record, &Place { holding: holding.clone(), year });
        let entry = YieldRecord { assessor, area, yield_kg, state: RecordState::Recorded };
        RECORDS.set(ctx, &(holding.clone(), year, record.clone()), &entry);
        ctx.emit(Event::Recorded { holding, record });
        Ok(())
    }

    /// What an area entitles to.
    fn entitlement(rate: &Rate, area: u32) -> Amount<Eur> {
        // Areas are u32 hundredths and rates small: the product is far within i64.
        let full =
            Ratio::new(i64::from(area), 100).and_then(|hectares| rate.per_hectare.share(hectares, Rounding::Down));
        full.unwrap_or(rate.ceiling).min(rate.ceiling)
    }

    /// Determines the payment for the records of a year that were not counted yet.
    #[call(cites = "Regulation (EU) 2021/2115, Art. 34")]
    pub fn determine(
        ctx: &mut Context,
        /// The holding's number.
        holding: String,
        /// The claim year.
        year: u16,
    ) -> Result<Payment, Error> {
        agency_only(ctx)?;
        ensure!(ctx, HOLDINGS.has(ctx, &holding), Error::NotEnrolled, holding = &holding);
        let rate = rate(ctx, year)?;
        let open: Vec<_> = RECORDS
            .beginning(ctx, &(holding.clone(), year))
            .filter(|(_, record)| record.state == RecordState::Recorded)
            .collect();
        ensure!(ctx, !open.is_empty(), Error::NothingToDetermine);
        let area: u32 = open.iter().map(|(_, record)| record.area).sum();
        let before = YEARS.get(ctx, &(holding.clone(), year)).unwrap_or(Year { area: 0, entitled: Amount::default() });
        let counted = before.area + area;
        let entitled = computed!(
            ctx,
            "entitled: the counted hectares at the year's rate, at most the ceiling",
            "Regulation (EU) 2021/2115, Art. 34",
            entitlement(rate, counted),
            hundredths_of_hectare = counted,
            per_hectare = rate.per_hectare,
            ceiling = rate.ceiling,
        );
        let now = entitled.sub(before.entitled).unwrap_or_default().or_zero();
        let debt = DEBTS.get(ctx, &holding).unwrap_or_default();
        let set_off = computed!(
            ctx,
            "set off against what is owed for revoked records",
            "Regulation (EU) 2021/2116, Art. 59(1)(e)",
            debt.min(now),
            debt = debt,
            entitled_now = now,
        );
        let payable = now.sub(set_off).unwrap_or_default();
        for (key, record) in &open {
            RECORDS.set(ctx, key, &YieldRecord { state: RecordState::Counted, ..record.clone() });
        }
        YEARS.set(ctx, &(holding.clone(), year), &Year { area: counted, entitled });
        DEBTS.set(ctx, &holding, &debt.sub(set_off).unwrap_or_default());
        ctx.emit(Event::Determined { holding, year, payable });
        let records = u32::try_from(open.len()).unwrap_or(u32::MAX);
        Ok(Payment { records, area, entitled: now, set_off, payable })
    }

    /// Revokes a record. What it had entitled to is owed, and set off against later payments. Its number stays used.
    #[call(cites = "Regulation (EU) 2021/2116, Art. 59")]
    pub fn revoke(
        ctx: &mut Context,
        /// The record's number.
        record: String,
        /// Why.
        reason: String,
    ) -> Result<Amount<Eur>, Error> {
        agency_only(ctx)?;
        ensure!(ctx, !is_blank(&reason), Error::NoReason);
        let place = RECORD_IDS.get(ctx, &record);
        let Place { holding, year } =
            ensure_some!(ctx, place, Error::UnknownRecord, record = &record, reason = &reason);
        let key = (holding.clone(), year, record.clone());
        let entry = RECORDS.get(ctx, &key).ok_or(Error::UnknownRecord)?;
        ensure!(ctx, entry.state != RecordState::Revoked, Error::AlreadyRevoked);
        let mut owed = Amount::default();
        if entry.state == RecordState::Counted
            && let Some(before) = YEARS.get(ctx, &(holding.clone(), year))
        {
            let area = before.area - entry.area;
            let entitled = entitlement(rate(ctx, year)?, area);
            owed = computed!(
                ctx,
                "owed: what the record had entitled to",
                "Regulation (EU) 2021/2116, Art. 59(1)(e)",
                before.entitled.sub(entitled).unwrap_or_default(),
                entitled_with = before.entitled,
                entitled_without = entitled,
            );
            YEARS.set(ctx, &(holding.clone(), year), &Year { area, entitled });
            let debt = DEBTS.get(ctx, &holding).unwrap_or_default();
            DEBTS.set(ctx, &holding, &debt.add(owed).unwrap_or(debt));
        }
        RECORDS.set(ctx, &key, &YieldRecord { state: RecordState::Revoked, ..entry });
        ctx.emit(Event::Revoked { record, owed });
        Ok(owed)
    }

    /// What is known of a holding and a year.
    #[query]
    pub fn status(
        ctx: &Context,
        /// The holding's number.
        holding: String,
        /// The claim year.
        year: u16,
    ) -> Result<Status, Error> {
        let enrolled = HOLDINGS.get(ctx, &holding).ok_or(Error::NotEnrolled)?;
        let debt = DEBTS.get(ctx, &holding).unwrap_or_default();
        Ok(Status { holding: enrolled, year: YEARS.get(ctx, &(holding, year)), debt })
    }
}

pub use crop_subsidy::{Payment, Status, statement};
