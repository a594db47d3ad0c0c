//! Every branch of the contract.

use chancery_contract_building_permit::{CONTRACT, Condition, Document, Stage, Status, Works, statement};
use chancery_sdk::types::money::{Amount, Usd};
use chancery_sdk::types::{Date, Hash};
use chancery_testing::{Actor, Answer, World, run};

fn text(text: &str) -> String {
    text.into()
}

fn usd(dollars: i64) -> Amount<Usd> {
    Amount::whole(dollars)
}

fn day(text: &str) -> Date {
    Date::parse(text).unwrap()
}

const DOCUMENTS: [Document; 4] = [Document::Title, Document::Structural, Document::Fire, Document::Zoning];

/// The official and a checker, accredited for every kind of document.
fn town(world: &mut World) -> (Actor, Actor, Actor) {
    let (official, checker) = (world.actor("official"), world.actor("checker"));
    world.at("2024-01-01").deploy(&official, ()).done::<()>();
    for document in DOCUMENTS {
        world.call(&official, "accredit", (document, checker.key(), true)).done::<()>();
    }
    (official, checker, world.actor("applicant"))
}

fn apply(world: &mut World, number: &str, works: Works, area: u32, value: Amount<Usd>) -> Answer {
    let applicant = world.actor("applicant");
    world.call(&applicant, "apply", (text(number), works, area, value))
}

fn submit(world: &mut World, checker: &Actor, number: &str, document: Document, in_order: bool) -> Answer {
    let digest = Hash([document as u8; 32]);
    let message = statement(&world.contract_id(), &text(number), document, &digest, in_order);
    let anyone = world.actor("messenger");
    let signature = checker.sign(&message);
    world.call(&anyone, "submit", ((text(number), document, digest, in_order), (checker.key(), signature)))
}

fn pay(world: &mut World, number: &str, amount: Amount<Usd>) -> Answer {
    let official = world.actor("official");
    world.call(&official, "record_payment", (text(number), amount))
}

#[test]
fn each_kind_of_works_has_its_fee() {
    run(CONTRACT, "building-permit", |world| {
        town(world);
        let mut fee =
            |works, area, value| apply(world, &format!("{area}-{}", value), works, area, value).done::<Amount<Usd>>();
        assert_eq!(fee(Works::Solar, 0, usd(0)), usd(40));
        assert_eq!(fee(Works::Demolition, 1, usd(0)), usd(150));
        assert_eq!(fee(Works::NewBuilding, 100, usd(1)), usd(400));
        assert_eq!(fee(Works::NewBuilding, 350, usd(1)), usd(400 + 600 + 100));
        assert_eq!(fee(Works::Addition, 0, usd(15_001)), Amount::from_minor(7_501));
        assert_eq!(fee(Works::Addition, 0, usd(1_000)), usd(75));
        assert_eq!(apply(world, "a", Works::NewBuilding, 0, usd(1)).refused(), "BadMeasure");
        assert_eq!(apply(world, "a", Works::NewBuilding, 100_001, usd(1)).refused(), "BadMeasure");
        assert_eq!(apply(world, "a", Works::Addition, 1, usd(0)).refused(), "BadMeasure");
        assert_eq!(apply(world, "", Works::Solar, 1, usd(0)).refused(), "BadNumber");
        apply(world, "a", Works::Solar, 1, usd(0)).done::<Amount<Usd>>();
        assert_eq!(apply(world, "a", Works::Solar, 1, usd(0)).refused(), "AlreadyFiled");
    });
}

#[test]
fn floor_area_and_value_are_within_the_schedule_whatever_the_works() {
    run(CONTRACT, "building-permit", |world| {
        town(world);
        let (cent, most) = (Amount::from_minor(1), usd(1_000_000_000));
        let mut refused = |works, area, value: Amount<Usd>| {
            assert_eq!(apply(world, "a", works, area, value).refused(), "BadMeasure", "area {area}, value {value}");
        };
        for works in [Works::NewBuilding, Works::Addition, Works::Demolition, Works::Solar] {
            refused(works, 180, usd(-250_000));
            refused(works, 180, Amount::from_minor(-1));
            refused(works, 180, most.add(cent).unwrap());
            refused(works, 180, Amount::from_minor(i64::MAX));
            refused(works, 100_001, usd(1));
            refused(works, u32::MAX, usd(1));
        }
        for (number, works) in
            [Works::NewBuilding, Works::Addition, Works::Demolition, Works::Solar].into_iter().enumerate()
        {
            apply(world, &format!("most-{number}"), works, 100_000, most).done::<Amount<Usd>>();
        }
    });
}

#[test]
fn a_number_and_a_condition_say_something() {
    run(CONTRACT, "building-permit", |world| {
        let (official, _, _) = town(world);
        apply(world, "P1", Works::Solar, 0, usd(0)).done::<Amount<Usd>>();
        assert_eq!(apply(world, " \t", Works::Solar, 0, usd(0)).refused(), "BadNumber");
        for (words, provision) in [("", "§ 4"), ("quiet before 8", ""), (" \n", "§ 4"), ("quiet before 8", "\u{a0}")]
        {
            let condition = (text("P1"), text(words), text(provision));
            let answer = world.call(&official, "attach_condition", condition);
            assert_eq!(answer.refused(), "BadCondition", "{words:?} under {provision:?}");
            assert_eq!(answer.reasons().len(), 1);
        }
        assert_eq!(world.query("status", (text("P1"),)).done::<Status>().application.conditions, []);
    });
}

/// An operator saw a refused application of which the status said that a fee with a penalty was due and two documents missing, and one of 181
/// days, on which every call was refused as abandoned, of which it said nothing else than of an open one. The status now
/// asks for nothing that would be refused, and says that an application was abandoned.
#[test]
fn nothing_is_due_or_missing_of_an_application_that_takes_nothing_more() {
    run(CONTRACT, "building-permit", |world| {
        let (_, checker, _) = town(world);
        let status = |world: &mut World, number: &str| {
            let Status { missing, due, expired, abandoned, .. } =
                world.query("status", (text(number),)).done::<Status>();
            (missing, due, expired, abandoned)
        };
        apply(world, "refused", Works::Addition, 30, usd(48_000)).done::<Amount<Usd>>();
        apply(world, "open", Works::Solar, 0, usd(0)).done::<Amount<Usd>>();
        apply(world, "paid", Works::Demolition, 0, usd(0)).done::<Amount<Usd>>();
        pay(world, "paid", usd(150)).done::<Stage>();
        apply(world, "issued", Works::Solar, 0, usd(0)).done::<Amount<Usd>>();
        pay(world, "issued", usd(40)).done::<Stage>();
        submit(world, &checker, "issued", Document::Structural, true).done::<Stage>();
        let missing = vec![Document::Title, Document::Structural, Document::Zoning];
        assert_eq!(status(world, "refused"), (missing, usd(240), false, false));
        submit(world, &checker, "refused", Document::Zoning, false).done::<Stage>();
        let nothing = || (vec![], usd(0), false, false);
        assert_eq!(status(world, "refused"), nothing());
        assert_eq!(status(world, "issued"), nothing());
        // The last day on which it takes anything, and the first on which it does not.
        world.at("2024-06-29");
        assert_eq!(status(world, "open"), (vec![Document::Structural], usd(60), false, false));
        assert_eq!(status(world, "paid"), (vec![Document::Title, Document::Structural], usd(0), false, false));
        world.at("2024-06-30");
        assert_eq!(pay(world, "open", usd(60)).refused(), "Abandoned");
        assert_eq!(status(world, "open"), (vec![], usd(0), false, true));
        assert_eq!(status(world, "paid"), (vec![], usd(0), false, true));
        // Neither was: one was decided, of the other the permit expired.
        assert_eq!(status(world, "refused"), nothing());
        assert_eq!(status(world, "issued"), (vec![], usd(0), true, false));
    });
}

#[test]
fn the_call_that_completes_the_last_requirement_issues_the_permit() {
    run(CONTRACT, "building-permit", |world| {
        let (official, checker, applicant) = town(world);
        apply(world, "P1", Works::NewBuilding, 120, usd(1)).done::<Amount<Usd>>();
        let condition = (text("P1"), text("quiet before 8"), text("Noise ordinance, § 4"));
        world.call(&official, "attach_condition", condition).done::<()>();
        assert_eq!(pay(world, "P1", usd(460)).done::<Stage>(), Stage::Open);
        for document in &DOCUMENTS[..3] {
            assert_eq!(submit(world, &checker, "P1", *document, true).done::<Stage>(), Stage::Open);
        }
        assert_eq!(world.call(&applicant, "begin", (text("P1"),)).refused(), "NotIssued");
        assert_eq!(world.query("status", (text("P1"),)).done::<Status>().missing, [Document::Zoning]);
        let last = submit(world, &checker, "P1", Document::Zoning, true);
        assert_eq!(last.event_names(), ["Issued"]);
        let issued = Stage::Issued { on: day("2024-01-01"), begin_by: day("2024-06-29") };
        assert_eq!(last.done::<Stage>(), issued);
        let status = world.query("status", (text("P1"),)).done::<Status>();
        let conditions = [Condition { text: text("quiet before 8"), provision: text("Noise ordinance, § 4") }];
        assert_eq!(
            (status.application.conditions.as_slice(), status.due, status.expired),
            (&conditions[..], usd(0), false)
        );
        assert_eq!(submit(world, &checker, "P1", Document::Zoning, true).refused(), "NotOpen");
        let other = world.actor("other");
        assert_eq!(world.call(&other, "begin", (text("P1"),)).refused(), "NotApplicant");
        assert_eq!(world.at("2024-06-29").call(&applicant, "begin", (text("P1"),)).event_names(), ["Begun"]);
        assert_eq!(world.call(&applicant, "begin", (text("P1"),)).refused(), "NotIssued");
    });
}

#[test]
fn an_unused_permit_expires() {
    run(CONTRACT, "building-permit", |world| {
        let (_, checker, applicant) = town(world);
        apply(world, "S1", Works::Solar, 0, usd(0)).done::<Amount<Usd>>();
        submit(world, &checker, "S1", Document::Structural, true).done::<Stage>();
        // The payment may be what is missing last.
        assert_eq!(pay(world, "S1", usd(40)).event_names(), ["Issued"]);
        world.at("2024-06-30");
        assert!(world.query("status", (text("S1"),)).done::<Status>().expired);
        assert_eq!(world.call(&applicant, "begin", (text("S1"),)).refused(), "Expired");
    });
}

#[test]
fn a_late_payment_bears_a_penalty_after_the_grace_period() {
    run(CONTRACT, "building-permit", |world| {
        town(world);
        apply(world, "D1", Works::Demolition, 0, usd(0)).done::<Amount<Usd>>();
        let due = |world: &mut World, at: &str| {
            world.at(at);
            world.query("status", (text("D1"),)).done::<Status>().due
        };
        assert_eq!(due(world, "2024-01-31"), usd(150));
        assert_eq!(due(world, "2024-02-01"), usd(165));
        assert_eq!(due(world, "2024-03-01"), usd(165));
        assert_eq!(due(world, "2024-03-02"), usd(180));
        // Half of the fee at most, and nothing once it is abandoned.
        assert_eq!(due(world, "2024-06-29"), usd(225));
        assert_eq!(due(world, "2024-06-30"), usd(0));
        world.at("2024-02-01");
        assert_eq!(pay(world, "D1", usd(150)).refused(), "WrongAmount");
        pay(world, "D1", usd(165)).done::<Stage>();
        assert_eq!(pay(world, "D1", usd(165)).refused(), "AlreadyPaid");
    });
}

#[test]
fn statements_are_checked_and_a_bad_document_refuses_the_application() {
    run(CONTRACT, "building-permit", |world| {
        let (official, checker, applicant) = town(world);
        let stranger = world.actor("stranger");
        apply(world, "P1", Works::Addition, 0, usd(1_000)).done::<Amount<Usd>>();
        assert_eq!(submit(world, &checker, "P9", Document::Title, true).refused(), "UnknownApplication");
        assert_eq!(submit(world, &checker, "P1", Document::Fire, true).refused(), "NotNeeded");
        assert_eq!(submit(world, &stranger, "P1", Document::Title, true).refused(), "NotAccredited");
        let forged = ((text("P1"), Document::Title, Hash([0; 32]), true), (checker.key(), checker.sign(b"something")));
        assert_eq!(world.call(&applicant, "submit", forged).refused(), "BadSignature");
        submit(world, &checker, "P1", Document::Title, true).done::<Stage>();
        assert_eq!(submit(world, &checker, "P1", Document::Title, true).refused(), "AlreadyVerified");
        let refused = submit(world, &checker, "P1", Document::Zoning, false);
        assert_eq!(refused.event_names(), ["Refused"]);
        assert_eq!(refused.done::<Stage>(), Stage::Refused { provision: text("IBC 2021, 105.3.1") });
        assert_eq!(submit(world, &checker, "P1", Document::Structural, true).refused(), "NotOpen");
        world.call(&official, "accredit", (Document::Title, checker.key(), false)).done::<()>();
        apply(world, "P2", Works::Demolition, 0, usd(0)).done::<Amount<Usd>>();
        assert_eq!(submit(world, &checker, "P2", Document::Title, true).refused(), "NotAccredited");
        world.at("2024-06-30");
        assert_eq!(submit(world, &checker, "P2", Document::Structural, true).refused(), "Abandoned");
        assert_eq!(world.query("status", (text("P9"),)).refused(), "UnknownApplication");
    });
}

#[test]
fn the_official_alone_accredits_cashes_and_attaches() {
    run(CONTRACT, "building-permit", |world| {
        let (_, checker, applicant) = town(world);
        assert_eq!(world.call(&applicant, "accredit", (Document::Fire, checker.key(), true)).refused(), "NotOfficial");
        assert_eq!(world.call(&applicant, "record_payment", (text("P1"), usd(1))).refused(), "NotOfficial");
        let condition = (text("P1"), text("x"), text("y"));
        assert_eq!(world.call(&applicant, "attach_condition", condition).refused(), "NotOfficial");
    });
}

#[test]
fn whatever_the_measure_the_fee_is_that_of_the_schedule() {
    run(CONTRACT, "building-permit", |world| {
        town(world);
        let mut areas: Vec<u32> = (1..=320).collect();
        areas.extend([999, 12_345, 99_999, 100_000]);
        for area in areas {
            let fee = apply(world, &format!("A{area}"), Works::NewBuilding, area, usd(0)).done::<Amount<Usd>>();
            let metre = |number: u32| {
                if number <= 100 {
                    4
                } else if number <= 300 {
                    3
                } else {
                    2
                }
            };
            assert_eq!(fee, usd((1..=area).map(metre).sum()), "{area} m²");
        }
        // In cents; 15,000 dollars is where half a percent is the least fee.
        for value in [1, 100, 1_499_999, 1_500_000, 1_500_001, 1_500_200, 1_500_201, 99_999_999_999, 100_000_000_000] {
            let fee = apply(world, &format!("V{value}"), Works::Addition, 0, Amount::from_minor(value));
            let mut cents = 7_500i64.max(value / 200);
            while cents * 200 < value {
                cents += 1;
            }
            assert_eq!(fee.done::<Amount<Usd>>().minor(), cents, "{value} cents");
        }
    });
}

#[test]
fn every_day_of_an_application_has_its_due() {
    run(CONTRACT, "building-permit", |world| {
        town(world);
        // A tenth of 75.01 dollars is no whole cent.
        let value = Amount::from_minor(1_500_200);
        let fee = apply(world, "V", Works::Addition, 0, value).done::<Amount<Usd>>().minor();
        assert_eq!(fee, 7_501);
        for days in 0..=185 {
            let today = Date::from_days(day("2024-01-01").days() + days).unwrap();
            let status = world.at(&today.to_string()).query("status", (text("V"),)).done::<Status>();
            let (mut tenths, mut begun) = (0, 31);
            while begun <= days {
                (tenths, begun) = (tenths + 1, begun + 30);
            }
            let due = if days <= 180 { fee + fee * tenths.min(5) / 10 } else { 0 };
            assert_eq!((status.due.minor(), status.abandoned), (due, days > 180), "day {days}");
        }
    });
}
