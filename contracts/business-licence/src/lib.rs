//! A business licence with its renewals. `README.md` of this folder gives the rule.

#![no_std]

#[chancery_sdk::contract(legal_basis = "Model Business Licensing Ordinance (illustrative), §§ 1 to 9")]
pub mod business_licence {
    //! Licenses a business for a year, and renews the licence automatically when the fee is paid and every compliance check has passed.

    use chancery_sdk::prelude::*;

    /// The licensing authority: who deployed the contract.
    #[storage]
    const AUTHORITY: Item<PublicKey> = Item::new("authority");
    /// Licences by number.
    #[storage]
    const LICENCES: Map<String, Licence> = Map::new("licences");
    /// Numbers of issued licences by their last day: what expires next comes first.
    #[storage]
    const BY_EXPIRY: Map<(Date, String), bool> = Map::new("by_expiry");

    /// Compliance checks that every licence and every renewal needs.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Schema)]
    pub enum Check {
        /// Taxes are paid.
        Tax,
        /// Liability insurance is in force.
        Insurance,
        /// The premises are safe.
        Safety,
    }

    const CHECKS: [Check; 3] = [Check::Tax, Check::Insurance, Check::Safety];

    /// A condition of the licence.
    #[derive(Clone, PartialEq, Eq, Debug, Schema)]
    pub struct Condition {
        /// What has to be observed.
        pub text: String,
        /// The provision.
        pub provision: String,
    }

    /// A term that is applied for: the first one, or a renewal.
    #[derive(Clone, Schema)]
    pub struct Pending {
        /// The day of the application.
        pub applied: Date,
        /// What is due for it.
        pub due: Amount<Eur>,
        /// Whether it is paid.
        pub paid: bool,
        /// Checks that have passed.
        pub passed: Vec<Check>,
    }

    /// A suspension.
    #[derive(Clone, Schema)]
    pub struct Suspension {
        /// The day.
        pub on: Date,
        /// Why.
        pub reason: String,
        /// The provision.
        pub provision: String,
    }

    /// A licence.
    #[derive(Clone, Schema)]
    pub struct Licence {
        /// Who holds it.
        pub holder: PublicKey,
        /// What the business does.
        pub activity: String,
        /// The last day of the term; none until it is issued.
        pub expires: Option<Date>,
        /// How often it was renewed.
        pub renewals: u32,
        /// A term that is applied for.
        pub pending: Option<Pending>,
        /// Whether it is suspended.
        pub suspension: Option<Suspension>,
        /// Conditions.
        pub conditions: Vec<Condition>,
    }

    /// How a licence stands today.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Schema)]
    pub enum Standing {
        /// It was never issued.
        Applied,
        /// It is in force.
        Valid,
        /// It is suspended.
        Suspended,
        /// Its term is over; it can be reinstated by a renewal for 90 days.
        Expired,
        /// Its term is over for more than 90 days.
        Lapsed,
    }

    /// What is known of a licence today.
    #[derive(Clone, Schema)]
    pub struct Status {
        /// How it stands.
        pub standing: Standing,
        /// The licence.
        pub licence: Licence,
        /// Checks that are missing for the pending term.
        pub missing: Vec<Check>,
    }

    /// What happened.
    #[event]
    pub enum Event {
        /// A licence was applied for.
        Applied {
            /// Its number.
            licence: String,
        },
        /// A licence was issued or renewed.
        Issued {
            /// Its number.
            licence: String,
            /// The last day of the term.
            expires: Date,
        },
        /// A licence was suspended.
        Suspended {
            /// Its number.
            licence: String,
            /// The provision.
            provision: String,
        },
        /// A suspension was lifted.
        Reinstated {
            /// The licence's number.
            licence: String,
        },
    }

    /// Why a call is refused.
    #[error]
    pub enum Error {
        /// Only the licensing authority may do this.
        #[rule("the caller is the licensing authority", cites = "Model Ordinance, § 1")]
        NotAuthority,
        /// Only the holder may do this.
        #[rule("the caller holds the licence", cites = "Model Ordinance, § 2(1)")]
        NotHolder,
        /// Numbers have 1 to 64 bytes and are not blank.
        #[rule("the licence has a number of 1 to 64 bytes that is not blank", cites = "Model Ordinance, § 2(2)")]
        BadNumber,
        /// The number was used.
        #[rule("the number is new", cites = "Model Ordinance, § 2(2)")]
        AlreadyApplied,
        /// No licence has this number.
        #[rule("the licence is known", cites = "Model Ordinance, § 2(2)")]
        UnknownLicence,
        /// No term is applied for.
        #[rule("a term is applied for", cites = "Model Ordinance, § 3(1)")]
        NothingPending,
        /// The amount is not what is due.
        #[rule("the amount is the fee due", cites = "Model Ordinance, § 4(1)")]
        WrongAmount {
            /// What is due.
            due: Amount<Eur>,
        },
        /// The fee was paid.
        #[rule("the fee was not paid before", cites = "Model Ordinance, § 4(1)")]
        AlreadyPaid,
        /// The check has not passed, and the term cannot be issued until it has.
        #[rule("the compliance check has passed", cites = "Model Ordinance, § 5(1)")]
        CheckFailed {
            /// The check.
            check: Check,
        },
        /// The check has passed before.
        #[rule("the check was not recorded before", cites = "Model Ordinance, § 5(1)")]
        AlreadyPassed {
            /// The check.
            check: Check,
        },
        /// The licence was never issued.
        #[rule("the licence was issued", cites = "Model Ordinance, § 6(1)")]
        NotIssued,
        /// A renewal is pending.
        #[rule("no renewal is pending", cites = "Model Ordinance, § 6(1)")]
        AlreadyPending,
        /// Renewals begin 40 days before the term ends.
        #[rule("the term ends within 40 days", cites = "Model Ordinance, § 6(2)")]
        TooEarly {
            /// The first day on which it can be renewed.
            from: Date,
        },
        /// The term ended more than 90 days ago.
        #[rule("the term ended at most 90 days ago", cites = "Model Ordinance, § 7(2)")]
        Lapsed,
        /// The licence is suspended.
        #[rule("the licence is not suspended", cites = "Model Ordinance, § 8(2)")]
        Suspended,
        /// The licence is not suspended.
        #[rule("the licence is suspended", cites = "Model Ordinance, § 8(3)")]
        NotSuspended,
        /// The licence has no such condition.
        #[rule("the condition is attached", cites = "Model Ordinance, § 9(2)")]
        UnknownCondition,
        /// The application does not name the activity.
        #[rule("the application names the activity", cites = "Model Ordinance, § 2(1)")]
        NoActivity,
        /// The suspension lacks a reason or a provision.
        #[rule("the suspension has a reason and a provision", cites = "Model Ordinance, § 8(1)")]
        NoGrounds,
        /// The condition lacks a text or a provision.
        #[rule("the condition has a text and a provision", cites = "Model Ordinance, § 9(1)")]
        BadCondition,
        /// The contract holds no fee for the day.
        #[rule("the day's fee is in force", cites = "Model Ordinance, § 4(1)")]
        FeeNotInForce {
            /// The day.
            day: Date,
        },
    }

    /// What a term costs, from when on.
    const FEE: Parameter<Amount<Eur>> = Parameter::new(&[
        Dated { from: date(2023, 1, 1), until: None, value: Amount::whole(120), source: "Model Ordinance, § 4(1)" },
        Dated {
            from: date(2025, 1, 1),
            until: None,
            value: Amount::whole(130),
            source: "Model Ordinance, § 4(1), as amended for 2025",
        },
    ]);
    /// A quarter of the fee is added where the term has ended.
    const SURCHARGE: Ratio = Ratio::percent(25);
    const TERM_MONTHS: i32 = 12;
    const RENEWAL_DAYS: i32 = 40;
    const REINSTATEMENT_DAYS: i32 = 90;

    /// Sets the register up; the deployer is the licensing authority.
    #[init]
    pub fn init(ctx: &mut Context) -> Result<(), Error> {
        let authority = ctx.caller();
        AUTHORITY.set(ctx, &authority);
        Ok(())
    }

    fn authority_only(ctx: &Context) -> Result<(), Error> {
        ensure!(ctx, AUTHORITY.get(ctx) == Some(ctx.caller()), Error::NotAuthority);
        Ok(())
    }

    fn find(ctx: &Context, licence: &String) -> Result<Licence, Error> {
        Ok(ensure_some!(ctx, LICENCES.get(ctx, licence), Error::UnknownLicence, licence = licence))
    }

    fn fee(ctx: &Context) -> Result<Amount<Eur>, Error> {
        let day = ctx.date();
        Ok(ensure_some!(ctx, FEE.at(day).ok(), Error::FeeNotInForce { day }, today = day).value)
    }

    /// Applies for a licence. Whoever signs it is the holder.
    #[call(cites = "Model Ordinance, § 2")]
    pub fn apply(
        ctx: &mut Context,
        /// The licence's number.
        licence: String,
        /// What the business does.
        activity: String,
    ) -> Result<Amount<Eur>, Error> {
        ensure!(ctx, (1..=64).contains(&licence.len()) && !is_blank(&licence), Error::BadNumber);
        ensure!(ctx, !is_blank(&activity), Error::NoActivity);
        ensure!(ctx, !LICENCES.has(ctx, &licence), Error::AlreadyApplied, licence = &licence);
        let due = computed!(ctx, "fee of the first term", "Model Ordinance, § 4(1)", fee(ctx)?, today = ctx.date());
        let pending = Some(Pending { applied: ctx.date(), due, paid: false, passed: Vec::new() });
        let entry = Licence {
            holder: ctx.caller(),
            activity,
            expires: None,
            renewals: 0,
            pending,
            suspension: None,
            conditions: Vec::new(),
        };
        LICENCES.set(ctx, &licence, &entry);
        ctx.emit(Event::Applied { licence });
        Ok(due)
    }

    /// Applies for a renewal, from 40 days before the end of the term until 90 days after it.
    #[call(cites = "Model Ordinance, §§ 6 and 7")]
    pub fn renew(
        ctx: &mut Context,
        /// The licence's number.
        licence: String,
    ) -> Result<Amount<Eur>, Error> {
        let mut entry = find(ctx, &licence)?;
        ensure!(ctx, entry.holder == ctx.caller(), Error::NotHolder);
        let expires = ensure_some!(ctx, entry.expires, Error::NotIssued);
        ensure!(ctx, entry.pending.is_none(), Error::AlreadyPending);
        ensure!(ctx, entry.suspension.is_none(), Error::Suspended);
        let today = ctx.date();
        let from = expires.add_days(-RENEWAL_DAYS).unwrap_or(expires);
        ensure!(ctx, today >= from, Error::TooEarly { from }, expires = expires, today = today);
        let last = expires.add_days(REINSTATEMENT_DAYS).unwrap_or(expires);
        ensure!(ctx, today <= last, Error::Lapsed, expired = expires, today = today);
        let fee = fee(ctx)?;
        let surcharge = if today > expires { fee.share(SURCHARGE, Rounding::HalfUp) } else { None };
        let due = computed!(
            ctx,
            "fee of the renewal, and a quarter of it where the term has ended",
            "Model Ordinance, §§ 4(1) and 7(2)",
            fee.add(surcharge.unwrap_or_default()).unwrap_or_default(),
            expires = expires,
            today = today,
        );
        entry.pending = Some(Pending { applied: today, due, paid: false, passed: Vec::new() });
        LICENCES.set(ctx, &licence, &entry);
        Ok(due)
    }

    fn pending(ctx: &Context, entry: &Licence) -> Result<Pending, Error> {
        Ok(ensure_some!(ctx, entry.pending.clone(), Error::NothingPending))
    }

    /// Records that the fee of the pending term was paid.
    #[call(cites = "Model Ordinance, § 4")]
    pub fn record_fee(
        ctx: &mut Context,
        /// The licence's number.
        licence: String,
        /// What was paid.
        amount: Amount<Eur>,
    ) -> Result<Standing, Error> {
        authority_only(ctx)?;
        let mut entry = find(ctx, &licence)?;
        let mut term = pending(ctx, &entry)?;
        ensure!(ctx, !term.paid, Error::AlreadyPaid);
        ensure!(ctx, amount == term.due, Error::WrongAmount { due: term.due }, paid = amount, due = term.due);
        term.paid = true;
        entry.pending = Some(term);
        complete(ctx, licence, entry)
    }

    /// Records a compliance check for the pending term.
    #[call(cites = "Model Ordinance, § 5")]
    pub fn record_check(
        ctx: &mut Context,
        /// The licence's number.
        licence: String,
        /// The check.
        check: Check,
        /// Whether it has passed.
        passed: bool,
    ) -> Result<Standing, Error> {
        authority_only(ctx)?;
        let mut entry = find(ctx, &licence)?;
        let mut term = pending(ctx, &entry)?;
        ensure!(ctx, !term.passed.contains(&check), Error::AlreadyPassed { check });
        ensure!(ctx, passed, Error::CheckFailed { check });
        term.passed.push(check);
        entry.pending = Some(term);
        complete(ctx, licence, entry)
    }

    fn missing(entry: &Licence) -> Vec<Check> {
        let missing = |term: &Pending| CHECKS.into_iter().filter(|check| !term.passed.contains(check)).collect();
        entry.pending.as_ref().map(missing).unwrap_or_default()
    }

    /// Keeps a licence, and issues the pending term when nothing is missing. It follows the running term, or begins today.
    fn complete(ctx: &mut Context, licence: String, mut entry: Licence) -> Result<Standing, Error> {
        let today = ctx.date();
        let ready = entry.pending.as_ref().is_some_and(|term| term.paid) && missing(&entry).is_empty();
        // A suspension keeps the term pending until it is lifted.
        if ready && entry.suspension.is_none() {
            let running = entry.expires.filter(|expires| *expires >= today);
            let start = running.unwrap_or(today);
            let expires = computed!(
                ctx,
                "issued for twelve months, from the end of the running term or from today",
                "Model Ordinance, §§ 3(1) and 6(3)",
                start.add_months(TERM_MONTHS).unwrap_or(start),
                start = start,
            );
            if let Some(before) = entry.expires {
                BY_EXPIRY.remove(ctx, &(before, licence.clone()));
                entry.renewals += 1;
            }
            BY_EXPIRY.set(ctx, &(expires, licence.clone()), &true);
            entry.expires = Some(expires);
            entry.pending = None;
            ctx.emit(Event::Issued { licence: licence.clone(), expires });
        }
        LICENCES.set(ctx, &licence, &entry);
        Ok(standing(&entry, today))
    }

    fn standing(entry: &Licence, today: Date) -> Standing {
        let Some(expires) = entry.expires else { return Standing::Applied };
        let last = expires.add_days(REINSTATEMENT_DAYS).unwrap_or(expires);
        if entry.suspension.is_some() {
            Standing::Suspended
        } else if today <= expires {
            Standing::Valid
        } else if today <= last {
            Standing::Expired
        } else {
            Standing::Lapsed
        }
    }

    /// Suspends a licence.
    #[call(cites = "Model Ordinance, § 8(1)")]
    pub fn suspend(
        ctx: &mut Context,
        /// The licence's number.
        licence: String,
        /// Why.
        reason: String,
        /// The provision.
        provision: String,
    ) -> Result<(), Error> {
        authority_only(ctx)?;
        let (reason_given, provision_given) = (!is_blank(&reason), !is_blank(&provision));
        ensure!(
            ctx,
            reason_given && provision_given,
            Error::NoGrounds,
            reason_given = reason_given,
            provision_given = provision_given
        );
        let mut entry = find(ctx, &licence)?;
        ensure!(ctx, entry.expires.is_some(), Error::NotIssued);
        ensure!(ctx, entry.suspension.is_none(), Error::Suspended);
        entry.suspension = Some(Suspension { on: ctx.date(), reason, provision: provision.clone() });
        LICENCES.set(ctx, &licence, &entry);
        ctx.emit(Event::Suspended { licence, provision });
        Ok(())
    }

    /// Lifts a suspension. A term that was only waiting for that is issued.
    #[call(cites = "Model Ordinance, § 8(3)")]
    pub fn reinstate(
        ctx: &mut Context,
        /// The licence's number.
        licence: String,
    ) -> Result<Standing, Error> {
        authority_only(ctx)?;
        let mut entry = find(ctx, &licence)?;
        ensure!(ctx, entry.suspension.is_some(), Error::NotSuspended);
        entry.suspension = None;
        ctx.emit(Event::Reinstated { licence: licence.clone() });
        complete(ctx, licence, entry)
    }

    /// Attaches a condition.
    #[call(cites = "Model Ordinance, § 9(1)")]
    pub fn attach_condition(
        ctx: &mut Context,
        /// The licence's number.
        licence: String,
        /// What has to be observed.
        text: String,
        /// The provision.
        provision: String,
    ) -> Result<(), Error> {
        authority_only(ctx)?;
        let (text_given, provision_given) = (!is_blank(&text), !is_blank(&provision));
        ensure!(
            ctx,
            text_given && provision_given,
            Error::BadCondition,
            text_given = text_given,
            provision_given = provision_given
        );
        let mut entry = find(ctx, &licence)?;
        entry.conditions.push(Condition { text, provision });
        LICENCES.set(ctx, &licence, &entry);
        Ok(())
    }

    /// Lifts a condition, by its text.
    #[call(cites = "Model Ordinance, § 9(2)")]
    pub fn lift_condition(
        ctx: &mut Context,
        /// The licence's number.
        licence: String,
        /// The condition's text.
        text: String,
    ) -> Result<(), Error> {
        authority_only(ctx)?;
        let mut entry = find(ctx, &licence)?;
        let before = entry.conditions.len();
        entry.conditions.retain(|condition| condition.text != text);
        ensure!(ctx, entry.conditions.len() < before, Error::UnknownCondition, text = &text);
        LICENCES.set(ctx, &licence, &entry);
        Ok(())
    }

    /// How a licence stands today.
    #[query]
    pub fn status(
        ctx: &Context,
        /// The licence's number.
        licence: String,
    ) -> Result<Status, Error> {
        let entry = LICENCES.get(ctx, &licence).ok_or(Error::UnknownLicence)?;
        Ok(Status { standing: standing(&entry, ctx.date()), missing: missing(&entry), licence: entry })
    }

    /// The licences whose term ends from one day to another, the earliest first, at most 100.
    #[query]
    pub fn expiring(
        ctx: &Context,
        /// The first day.
        from: Date,
        /// The last day.
        until: Date,
    ) -> Result<Vec<String>, Error> {
        let behind = until.add_days(1).unwrap_or(until);
        let within = BY_EXPIRY.range(ctx, (from, String::new())..(behind, String::new()));
        Ok(within.take(100).map(|((_, licence), _)| licence).collect())
    }
}

pub use business_licence::{Check, Standing, Status};
