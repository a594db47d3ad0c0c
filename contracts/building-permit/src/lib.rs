//! A building permit, issued in the call that completes its last requirement. `README.md` of this folder gives the rule.

#![no_std]

mod fees;

#[chancery_sdk::contract(
    legal_basis = "International Building Code 2021, sections 105, 107 and 109, as adopted with the fee schedule of this contract"
)]
pub mod building_permit {
    //! Takes applications, verifies the statements of accredited checkers, takes the fee, and issues the permit when nothing is missing.

    use crate::fees::{self, Fee};
    use chancery_sdk::prelude::*;

    /// The building official: who deployed the contract.
    #[storage]
    const OFFICIAL: Item<PublicKey> = Item::new("official");
    /// Accredited checkers by kind of document, and whether they still are.
    #[storage]
    const CHECKERS: Map<(u8, PublicKey), bool> = Map::new("checkers");
    /// Applications by number.
    #[storage]
    const APPLICATIONS: Map<String, Application> = Map::new("applications");

    /// Kinds of works.
    #[derive(Clone, Copy, PartialEq, Eq, Schema)]
    pub enum Works {
        /// A new building.
        NewBuilding,
        /// An addition to a building.
        Addition,
        /// The demolition of a building.
        Demolition,
        /// A solar installation on a roof.
        Solar,
    }

    /// Kinds of documents, each with checkers of its own.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Schema)]
    pub enum Document {
        /// The applicant's title to the land.
        Title,
        /// The structural design.
        Structural,
        /// Fire protection.
        Fire,
        /// Conformity with the zoning plan.
        Zoning,
    }

    impl Document {
        /// Its provision.
        fn provision(self) -> &'static str {
            match self {
                Document::Title => "IBC 2021, 105.3 no. 2",
                Document::Structural => "IBC 2021, 107.1 and 1603.1",
                Document::Fire => "IBC 2021, 107.2.2",
                Document::Zoning => "IBC 2021, 105.3.1",
            }
        }
    }

    impl Works {
        /// The documents that the works need.
        fn documents(self) -> &'static [Document] {
            match self {
                Works::NewBuilding => &[Document::Title, Document::Structural, Document::Fire, Document::Zoning],
                Works::Addition => &[Document::Title, Document::Structural, Document::Zoning],
                Works::Demolition => &[Document::Title, Document::Structural],
                Works::Solar => &[Document::Structural],
            }
        }

        /// How the fee is worked out.
        fn fee(self) -> Fee {
            match self {
                Works::NewBuilding => Fee::ByFloorArea,
                Works::Addition => Fee::ByValue,
                Works::Demolition | Works::Solar => Fee::Flat(if self == Works::Solar { 40 } else { 150 }),
            }
        }
    }

    /// A document that a checker stated to be in order.
    #[derive(Clone, Schema)]
    pub struct Verified {
        /// Its kind.
        pub document: Document,
        /// SHA-256 of the document.
        pub digest: Hash,
        /// Who stated it.
        pub checker: PublicKey,
    }

    /// A condition of the permit.
    #[derive(Clone, PartialEq, Eq, Debug, Schema)]
    pub struct Condition {
        /// What has to be observed.
        pub text: String,
        /// The provision.
        pub provision: String,
    }

    /// How far an application has come.
    #[derive(Clone, PartialEq, Eq, Debug, Schema)]
    pub enum Stage {
        /// Something is missing.
        Open,
        /// The permit is issued.
        Issued {
            /// The day.
            on: Date,
            /// The last day on which works may begin.
            begin_by: Date,
        },
        /// Works have begun; the permit no longer expires by disuse.
        Begun {
            /// The day.
            on: Date,
        },
        /// The application is refused.
        Refused {
            /// The provision.
            provision: String,
        },
    }

    /// An application.
    #[derive(Clone, Schema)]
    pub struct Application {
        /// Who applied.
        pub applicant: PublicKey,
        /// What for.
        pub works: Works,
        /// Floor area in square metres.
        pub floor_area: u32,
        /// Value of the works.
        pub value: Amount<Usd>,
        /// The day of filing.
        pub filed: Date,
        /// The fee by the schedule, without a penalty.
        pub fee: Amount<Usd>,
        /// What was paid, penalty included.
        pub paid: Option<Amount<Usd>>,
        /// Documents that are in order.
        pub verified: Vec<Verified>,
        /// Conditions.
        pub conditions: Vec<Condition>,
        /// How far it has come.
        pub stage: Stage,
    }

    /// What is known of an application today.
    #[derive(Clone, Schema)]
    pub struct Status {
        /// The application.
        pub application: Application,
        /// Documents that are missing; none where the application takes no more.
        pub missing: Vec<Document>,
        /// What is due today, penalty included; nothing once it is paid, or where the application takes no more.
        pub due: Amount<Usd>,
        /// Whether a permit that was not used has expired.
        pub expired: bool,
        /// Whether the application was abandoned: it is older than 180 days, and still open.
        pub abandoned: bool,
    }

    /// What happened.
    #[event]
    pub enum Event {
        /// An application was filed.
        Filed {
            /// Its number.
            application: String,
            /// The fee.
            fee: Amount<Usd>,
        },
        /// The permit was issued.
        Issued {
            /// The application.
            application: String,
            /// The last day on which works may begin.
            begin_by: Date,
        },
        /// The application was refused.
        Refused {
            /// Its number.
            application: String,
            /// The provision.
            provision: String,
        },
        /// Works have begun.
        Begun {
            /// The application.
            application: String,
        },
    }

    /// Why a call is refused.
    #[error]
    pub enum Error {
        /// Only the building official may do this.
        #[rule("the caller is the building official", cites = "IBC 2021, 104.1")]
        NotOfficial,
        /// Only the applicant may do this.
        #[rule("the caller is the applicant", cites = "IBC 2021, 105.1")]
        NotApplicant,
        /// Numbers have 1 to 64 bytes and are not blank.
        #[rule("the application has a number of 1 to 64 bytes that is not blank", cites = "IBC 2021, 105.3")]
        BadNumber,
        /// The number was used.
        #[rule("the application is new", cites = "IBC 2021, 105.3")]
        AlreadyFiled,
        /// No application has this number.
        #[rule("the application is known", cites = "IBC 2021, 105.3")]
        UnknownApplication,
        /// Floor area or value are negative, beyond what the schedule covers, or missing where the fee depends on them.
        #[rule(
            "floor area and value are within the schedule, and given where the fee depends on them",
            cites = "IBC 2021, 109.3"
        )]
        BadMeasure,
        /// The application is no longer open.
        #[rule("the application is open", cites = "IBC 2021, 105.3.1")]
        NotOpen,
        /// The application was abandoned: 180 days have passed since it was filed.
        #[rule("the application is at most 180 days old", cites = "IBC 2021, 105.3.2")]
        Abandoned,
        /// These works do not need the document.
        #[rule("the works need the document", cites = "IBC 2021, 107.1")]
        NotNeeded {
            /// The document.
            document: Document,
        },
        /// The document was verified before.
        #[rule("the document was not verified before", cites = "IBC 2021, 107.3")]
        AlreadyVerified {
            /// The document.
            document: Document,
        },
        /// The checker is not accredited for such documents.
        #[rule("the checker is accredited for the document", cites = "IBC 2021, 104.4")]
        NotAccredited,
        /// The signature is not the checker's over this statement.
        #[rule("the checker signed the statement", cites = "IBC 2021, 104.4")]
        BadSignature,
        /// The amount is not what is due.
        #[rule("the amount is the fee due today", cites = "IBC 2021, 109.1")]
        WrongAmount {
            /// What is due.
            due: Amount<Usd>,
        },
        /// The fee was paid.
        #[rule("the fee was not paid before", cites = "IBC 2021, 109.1")]
        AlreadyPaid,
        /// There is no permit to use.
        #[rule("the permit is issued", cites = "IBC 2021, 105.1")]
        NotIssued,
        /// The permit was not used in time.
        #[rule("works begin within 180 days of issuance", cites = "IBC 2021, 105.5")]
        Expired,
        /// The condition lacks a text or a provision.
        #[rule("the condition has a text and a provision", cites = "IBC 2021, 105.3.1")]
        BadCondition,
    }

    /// Days within which an application is completed, and a permit used.
    const DAYS: i32 = 180;

    /// Sets the register up; the deployer is the building official.
    #[init]
    pub fn init(ctx: &mut Context) -> Result<(), Error> {
        let official = ctx.caller();
        OFFICIAL.set(ctx, &official);
        Ok(())
    }

    fn official_only(ctx: &Context) -> Result<(), Error> {
        ensure!(ctx, OFFICIAL.get(ctx) == Some(ctx.caller()), Error::NotOfficial);
        Ok(())
    }

    fn find(ctx: &Context, application: &String) -> Result<Application, Error> {
        let found = APPLICATIONS.get(ctx, application);
        Ok(ensure_some!(ctx, found, Error::UnknownApplication, application = application))
    }

    /// The last day on which an application that is open takes anything.
    fn last_day(entry: &Application) -> Date {
        entry.filed.add_days(DAYS).unwrap_or(entry.filed)
    }

    fn open(ctx: &Context, application: &String) -> Result<Application, Error> {
        let found = find(ctx, application)?;
        ensure!(ctx, found.stage == Stage::Open, Error::NotOpen);
        let last = last_day(&found);
        ensure!(ctx, ctx.date() <= last, Error::Abandoned, filed = found.filed, last_day = last);
        Ok(found)
    }

    /// Accredits a checker for a kind of document, or withdraws that for statements handed in from now on.
    #[call(cites = "IBC 2021, 104.4")]
    pub fn accredit(
        ctx: &mut Context,
        /// The kind of document.
        document: Document,
        /// The checker's key.
        checker: PublicKey,
        /// Whether it is accredited.
        accredited: bool,
    ) -> Result<(), Error> {
        official_only(ctx)?;
        CHECKERS.set(ctx, &(document as u8, checker), &accredited);
        Ok(())
    }

    /// Files an application, and says what the fee is. Whoever signs it is the applicant.
    #[call(cites = "IBC 2021, 105.3")]
    pub fn apply(
        ctx: &mut Context,
        /// The application's number.
        application: String,
        /// What it is for.
        works: Works,
        /// Floor area in square metres.
        floor_area: u32,
        /// Value of the works.
        value: Amount<Usd>,
    ) -> Result<Amount<Usd>, Error> {
        ensure!(ctx, (1..=64).contains(&application.len()) && !is_blank(&application), Error::BadNumber);
        ensure!(ctx, !APPLICATIONS.has(ctx, &application), Error::AlreadyFiled, application = &application);
        let fee = works.fee();
        let within = floor_area <= fees::FLOOR_AREA_MAX && (Amount::ZERO..=fees::VALUE_MAX).contains(&value);
        let given = match fee {
            Fee::ByFloorArea => floor_area > 0,
            Fee::ByValue => value > Amount::ZERO,
            Fee::Flat(_) => true,
        };
        ensure!(ctx, within && given, Error::BadMeasure, floor_area = floor_area, value = value);
        let fee = computed!(
            ctx,
            "fee by the schedule",
            "IBC 2021, 109.2",
            fee.amount(floor_area, value),
            floor_area = floor_area,
            value = value
        );
        let entry = Application {
            applicant: ctx.caller(),
            works,
            floor_area,
            value,
            filed: ctx.date(),
            fee,
            paid: None,
            verified: Vec::new(),
            conditions: Vec::new(),
            stage: Stage::Open,
        };
        APPLICATIONS.set(ctx, &application, &entry);
        ctx.emit(Event::Filed { application, fee });
        Ok(fee)
    }

    /// The bytes that a checker signs: a domain, this contract, and the fields.
    pub fn statement(
        contract: &ContractId,
        application: &String,
        document: Document,
        digest: &Hash,
        in_order: bool,
    ) -> Vec<u8> {
        use chancery_sdk::types::Encode;
        let mut message = Vec::from(b"chancery building-permit statement v1\n");
        (contract, application, document, digest).encode(&mut message);
        in_order.encode(&mut message);
        message
    }

    /// Takes a checker's signed statement on a document. Anyone may hand it in. A statement that the document is not in order refuses the
    /// application; the last one that is missing issues the permit.
    #[call(cites = "IBC 2021, 107.3")]
    pub fn submit(
        ctx: &mut Context,
        /// The application's number.
        application: String,
        /// The kind of document.
        document: Document,
        /// SHA-256 of the document.
        digest: Hash,
        /// Whether it is in order.
        in_order: bool,
        /// The checker's key.
        checker: PublicKey,
        /// The checker's signature over the statement.
        signature: Signature,
    ) -> Result<Stage, Error> {
        let mut entry = open(ctx, &application)?;
        ensure!(ctx, entry.works.documents().contains(&document), Error::NotNeeded { document });
        let fresh = entry.verified.iter().all(|verified| verified.document != document);
        ensure!(ctx, fresh, Error::AlreadyVerified { document });
        ensure!(ctx, CHECKERS.get(ctx, &(document as u8, checker)) == Some(true), Error::NotAccredited);
        let message = statement(&ctx.contract(), &application, document, &digest, in_order);
        ensure!(ctx, ctx.verify_ed25519(&checker, &message, &signature), Error::BadSignature, digest = digest);
        if in_order {
            entry.verified.push(Verified { document, digest, checker });
        } else {
            let provision = String::from(document.provision());
            computed!(ctx, "refused: the document is not in order", document.provision(), digest);
            entry.stage = Stage::Refused { provision: provision.clone() };
            ctx.emit(Event::Refused { application: application.clone(), provision });
        }
        complete(ctx, application, entry)
    }

    /// What is due on a day: the fee, and a penalty once the grace period is over.
    fn due(ctx: &Context, entry: &Application) -> Amount<Usd> {
        let penalty = fees::penalty(entry.fee, entry.filed, ctx.date());
        entry.fee.add(penalty).unwrap_or(entry.fee)
    }

    /// Records that the fee was paid. It must be what is due on the day.
    #[call(cites = "IBC 2021, 109.1")]
    pub fn record_payment(
        ctx: &mut Context,
        /// The application's number.
        application: String,
        /// What was paid.
        amount: Amount<Usd>,
    ) -> Result<Stage, Error> {
        official_only(ctx)?;
        let mut entry = open(ctx, &application)?;
        ensure!(ctx, entry.paid.is_none(), Error::AlreadyPaid);
        let due = computed!(
            ctx,
            "due today: the fee, and 10 % of it for each 30 days begun after 30 days of grace, at most half of it",
            "IBC 2021, 109.1, as adopted",
            due(ctx, &entry),
            fee = entry.fee,
            filed = entry.filed,
            today = ctx.date(),
        );
        ensure!(ctx, amount == due, Error::WrongAmount { due }, paid = amount);
        entry.paid = Some(amount);
        complete(ctx, application, entry)
    }

    /// Attaches a condition to an application that is open.
    #[call(cites = "IBC 2021, 105.3.1")]
    pub fn attach_condition(
        ctx: &mut Context,
        /// The application's number.
        application: String,
        /// What has to be observed.
        text: String,
        /// The provision.
        provision: String,
    ) -> Result<(), Error> {
        official_only(ctx)?;
        let (text_given, provision_given) = (!is_blank(&text), !is_blank(&provision));
        ensure!(
            ctx,
            text_given && provision_given,
            Error::BadCondition,
            text_given = text_given,
            provision_given = provision_given
        );
        let mut entry = open(ctx, &application)?;
        entry.conditions.push(Condition { text, provision });
        APPLICATIONS.set(ctx, &application, &entry);
        Ok(())
    }

    fn missing(entry: &Application) -> Vec<Document> {
        let verified = |document: &Document| entry.verified.iter().any(|verified| verified.document == *document);
        entry.works.documents().iter().copied().filter(|document| !verified(document)).collect()
    }

    /// Keeps an application, and issues the permit when nothing is missing any more.
    fn complete(ctx: &mut Context, application: String, mut entry: Application) -> Result<Stage, Error> {
        if entry.stage == Stage::Open && entry.paid.is_some() && missing(&entry).is_empty() {
            let on = ctx.date();
            let begin_by = computed!(
                ctx,
                "issued; works begin within 180 days",
                "IBC 2021, 105.3.1 and 105.5",
                on.add_days(DAYS).unwrap_or(on)
            );
            entry.stage = Stage::Issued { on, begin_by };
            ctx.emit(Event::Issued { application: application.clone(), begin_by });
        }
        APPLICATIONS.set(ctx, &application, &entry);
        Ok(entry.stage)
    }

    /// States that works have begun; from then on the permit does not expire by disuse.
    #[call(cites = "IBC 2021, 105.5")]
    pub fn begin(
        ctx: &mut Context,
        /// The application's number.
        application: String,
    ) -> Result<(), Error> {
        let mut entry = find(ctx, &application)?;
        ensure!(ctx, entry.applicant == ctx.caller(), Error::NotApplicant);
        let begin_by = if let Stage::Issued { begin_by, .. } = entry.stage { Some(begin_by) } else { None };
        let begin_by = ensure_some!(ctx, begin_by, Error::NotIssued);
        ensure!(ctx, ctx.date() <= begin_by, Error::Expired, last_day = begin_by, today = ctx.date());
        entry.stage = Stage::Begun { on: ctx.date() };
        APPLICATIONS.set(ctx, &application, &entry);
        ctx.emit(Event::Begun { application });
        Ok(())
    }

    /// How far an application has come, and what is missing and due today. Of one that is decided or abandoned nothing is.
    #[query]
    pub fn status(
        ctx: &Context,
        /// The application's number.
        application: String,
    ) -> Result<Status, Error> {
        let entry = APPLICATIONS.get(ctx, &application).ok_or(Error::UnknownApplication)?;
        let abandoned = entry.stage == Stage::Open && ctx.date() > last_day(&entry);
        // What would be refused is not asked for.
        let takes_more = entry.stage == Stage::Open && !abandoned;
        let missing = if takes_more { missing(&entry) } else { Vec::new() };
        let due = if takes_more && entry.paid.is_none() { due(ctx, &entry) } else { Amount::ZERO };
        let expired = matches!(entry.stage, Stage::Issued { begin_by, .. } if ctx.date() > begin_by);
        Ok(Status { application: entry, missing, due, expired, abandoned })
    }
}

pub use building_permit::{Condition, Document, Stage, Status, Works, statement};
