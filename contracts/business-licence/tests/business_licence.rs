//! Every branch of the contract.

use chancery_contract_business_licence::{CONTRACT, Check, Standing, Status};
use chancery_sdk::types::Date;
use chancery_sdk::types::money::{Amount, Eur};
use chancery_testing::{Actor, Answer, World, run};

fn text(text: &str) -> String {
    text.into()
}

fn eur(euros: i64) -> Amount<Eur> {
    Amount::whole(euros)
}

fn day(text: &str) -> Date {
    Date::parse(text).unwrap()
}

fn check(world: &mut World, licence: &str, check: Check, passed: bool) -> Answer {
    let authority = world.actor("authority");
    world.call(&authority, "record_check", (text(licence), check, passed))
}

fn pay(world: &mut World, licence: &str, amount: Amount<Eur>) -> Answer {
    let authority = world.actor("authority");
    world.call(&authority, "record_fee", (text(licence), amount))
}

fn status(world: &mut World, licence: &str) -> Status {
    world.query("status", (text(licence),)).done()
}

/// Authority and holder, with licence L1 valid until 2025-01-10.
fn licensed(world: &mut World) -> (Actor, Actor) {
    let (authority, holder) = (world.actor("authority"), world.actor("holder"));
    world.at("2024-01-10").deploy(&authority, ()).done::<()>();
    assert_eq!(world.call(&holder, "apply", (text("L1"), text("café"))).done::<Amount<Eur>>(), eur(120));
    assert_eq!(pay(world, "L1", eur(120)).done::<Standing>(), Standing::Applied);
    assert_eq!(check(world, "L1", Check::Tax, true).done::<Standing>(), Standing::Applied);
    assert_eq!(check(world, "L1", Check::Insurance, true).done::<Standing>(), Standing::Applied);
    let last = check(world, "L1", Check::Safety, true);
    assert_eq!((last.done::<Standing>(), last.event_names()), (Standing::Valid, vec!["Issued"]));
    (authority, holder)
}

#[test]
fn a_licence_is_issued_when_fee_and_checks_are_complete() {
    run(CONTRACT, "business-licence", |world| {
        let (_, holder) = licensed(world);
        assert_eq!(status(world, "L1").licence.expires, Some(day("2025-01-10")));
        assert_eq!(world.call(&holder, "apply", (text("L1"), text("bar"))).refused(), "AlreadyApplied");
        assert_eq!(world.call(&holder, "apply", (text(""), text("bar"))).refused(), "BadNumber");
        assert_eq!(pay(world, "L1", eur(120)).refused(), "NothingPending");
        assert_eq!(pay(world, "L9", eur(120)).refused(), "UnknownLicence");
        world.call(&holder, "apply", (text("L2"), text("bar"))).done::<Amount<Eur>>();
        assert_eq!(pay(world, "L2", eur(119)).refused(), "WrongAmount");
        pay(world, "L2", eur(120)).done::<Standing>();
        assert_eq!(pay(world, "L2", eur(120)).refused(), "AlreadyPaid");
        assert_eq!(check(world, "L2", Check::Tax, false).refused(), "CheckFailed");
        check(world, "L2", Check::Tax, true).done::<Standing>();
        assert_eq!(check(world, "L2", Check::Tax, true).refused(), "AlreadyPassed");
        assert_eq!(status(world, "L2").missing, [Check::Insurance, Check::Safety]);
        assert_eq!(world.query("status", (text("L9"),)).refused(), "UnknownLicence");
    });
}

#[test]
fn a_renewal_is_automatic_from_forty_days_before_the_end() {
    run(CONTRACT, "business-licence", |world| {
        let (authority, holder) = licensed(world);
        let renew = |world: &mut World| world.call(&holder, "renew", (text("L1"),));
        world.at("2024-11-30");
        assert_eq!(renew(world).refused(), "TooEarly");
        world.at("2024-12-01");
        assert_eq!(world.call(&authority, "renew", (text("L1"),)).refused(), "NotHolder");
        assert_eq!(renew(world).done::<Amount<Eur>>(), eur(120));
        assert_eq!(renew(world).refused(), "AlreadyPending");
        for passed in [Check::Tax, Check::Insurance, Check::Safety] {
            check(world, "L1", passed, true).done::<Standing>();
        }
        assert_eq!(pay(world, "L1", eur(120)).event_names(), ["Issued"]);
        let licence = status(world, "L1").licence;
        assert_eq!((licence.expires, licence.renewals), (Some(day("2026-01-10")), 1));
        let expiring = |world: &mut World, from: &str, until: &str| {
            world.query("expiring", (day(from), day(until))).done::<Vec<String>>()
        };
        assert_eq!(expiring(world, "2025-01-01", "2025-12-31"), Vec::<String>::new());
        assert_eq!(expiring(world, "2026-01-10", "2026-01-10"), ["L1"]);
        world.call(&holder, "apply", (text("L2"), text("bar"))).done::<Amount<Eur>>();
        assert_eq!(world.call(&holder, "renew", (text("L2"),)).refused(), "NotIssued");
    });
}

#[test]
fn an_expired_licence_is_reinstated_with_a_surcharge_or_lapses() {
    run(CONTRACT, "business-licence", |world| {
        let (_, holder) = licensed(world);
        world.at("2025-01-11");
        assert_eq!(status(world, "L1").standing, Standing::Expired);
        world.at("2025-04-11");
        assert_eq!(status(world, "L1").standing, Standing::Lapsed);
        assert_eq!(world.call(&holder, "renew", (text("L1"),)).refused(), "Lapsed");
        world.at("2025-04-10");
        // 130 in 2025, and a quarter of it.
        let due = Amount::from_minor(16_250);
        assert_eq!(world.call(&holder, "renew", (text("L1"),)).done::<Amount<Eur>>(), due);
        pay(world, "L1", due).done::<Standing>();
        check(world, "L1", Check::Tax, true).done::<Standing>();
        check(world, "L1", Check::Insurance, true).done::<Standing>();
        assert_eq!(check(world, "L1", Check::Safety, true).done::<Standing>(), Standing::Valid);
        assert_eq!(status(world, "L1").licence.expires, Some(day("2026-04-10")));
    });
}

#[test]
fn a_suspended_licence_waits_for_its_reinstatement() {
    run(CONTRACT, "business-licence", |world| {
        let (authority, holder) = licensed(world);
        let suspend = |world: &mut World, licence: &str| {
            world.call(&authority, "suspend", (text(licence), text("fire doors"), text("Fire code, § 3")))
        };
        let reinstate = |world: &mut World| world.call(&authority, "reinstate", (text("L1"),));
        assert_eq!(reinstate(world).refused(), "NotSuspended");
        world.at("2024-12-20").call(&holder, "renew", (text("L1"),)).done::<Amount<Eur>>();
        assert_eq!(suspend(world, "L1").event_names(), ["Suspended"]);
        assert_eq!(suspend(world, "L1").refused(), "Suspended");
        assert_eq!(status(world, "L1").standing, Standing::Suspended);
        for passed in [Check::Tax, Check::Insurance, Check::Safety] {
            check(world, "L1", passed, true).done::<Standing>();
        }
        assert_eq!(pay(world, "L1", eur(120)).done::<Standing>(), Standing::Suspended);
        let reinstated = reinstate(world);
        assert_eq!(reinstated.event_names(), ["Reinstated", "Issued"]);
        assert_eq!(reinstated.done::<Standing>(), Standing::Valid);
        suspend(world, "L1").done::<()>();
        assert_eq!(world.at("2025-12-20").call(&holder, "renew", (text("L1"),)).refused(), "Suspended");
        world.call(&holder, "apply", (text("L2"), text("bar"))).done::<Amount<Eur>>();
        assert_eq!(suspend(world, "L2").refused(), "NotIssued");
    });
}

#[test]
fn conditions_are_attached_and_lifted_by_the_authority_alone() {
    run(CONTRACT, "business-licence", |world| {
        let (authority, holder) = licensed(world);
        let condition = (text("L1"), text("closed at 22"), text("Noise ordinance, § 4"));
        world.call(&authority, "attach_condition", condition.clone()).done::<()>();
        assert_eq!(status(world, "L1").licence.conditions[0].text, "closed at 22");
        assert_eq!(world.call(&authority, "lift_condition", (text("L1"), text("other"))).refused(), "UnknownCondition");
        world.call(&authority, "lift_condition", (text("L1"), text("closed at 22"))).done::<()>();
        assert_eq!(status(world, "L1").licence.conditions, []);
        assert_eq!(world.call(&holder, "attach_condition", condition).refused(), "NotAuthority");
        assert_eq!(world.call(&holder, "lift_condition", (text("L1"), text("x"))).refused(), "NotAuthority");
        assert_eq!(world.call(&holder, "record_fee", (text("L1"), eur(1))).refused(), "NotAuthority");
        assert_eq!(world.call(&holder, "record_check", (text("L1"), Check::Tax, true)).refused(), "NotAuthority");
        assert_eq!(world.call(&holder, "suspend", (text("L1"), text("x"), text("y"))).refused(), "NotAuthority");
        assert_eq!(world.call(&holder, "reinstate", (text("L1"),)).refused(), "NotAuthority");
    });
}

/// An operator suspended a licence for no reason and under no provision, though § 8 demands both; an activity and a condition without a word
/// passed as well. Each text that the ordinance asks for must now say something.
#[test]
fn what_the_ordinance_asks_for_is_said_and_not_left_blank() {
    run(CONTRACT, "business-licence", |world| {
        let (authority, holder) = licensed(world);
        for activity in ["", "  ", "\t\r\n", "\u{2003}"] {
            let answer = world.call(&holder, "apply", (text("L2"), text(activity)));
            assert_eq!((answer.refused(), answer.reasons().len()), ("NoActivity", 1), "{activity:?}");
        }
        assert_eq!(world.call(&holder, "apply", (text("  "), text("bar"))).refused(), "BadNumber");
        for (words, provision) in [("", ""), ("x", ""), ("", "§ 4"), ("x", " "), ("\n", "§ 4")] {
            let fields = || (text("L1"), text(words), text(provision));
            let answer = world.call(&authority, "suspend", fields());
            assert_eq!((answer.refused(), answer.reasons().len()), ("NoGrounds", 1), "{words:?} under {provision:?}");
            let answer = world.call(&authority, "attach_condition", fields());
            assert_eq!(
                (answer.refused(), answer.reasons().len()),
                ("BadCondition", 1),
                "{words:?} under {provision:?}"
            );
        }
        let found = status(world, "L1");
        assert_eq!((found.standing, found.licence.conditions), (Standing::Valid, vec![]));
    });
}

#[test]
fn nothing_is_applied_for_on_a_day_without_a_fee() {
    run(CONTRACT, "business-licence", |world| {
        let (authority, holder) = (world.actor("authority"), world.actor("holder"));
        world.at("2022-12-31").deploy(&authority, ()).done::<()>();
        let early = world.call(&holder, "apply", (text("L1"), text("café")));
        assert_eq!(early.refused(), "FeeNotInForce");
        assert_eq!(early.reasons(), ["the day's fee is in force (Model Ordinance, § 4(1))"]);
        let due = world.at("2023-01-01").call(&holder, "apply", (text("L1"), text("café")));
        assert_eq!(due.done::<Amount<Eur>>(), eur(120));
    });
}

/// Each day from before the renewal begins until after the licence has lapsed, across a new year's fee and the end of a February.
#[test]
fn every_day_around_the_end_of_a_term_has_its_answer() {
    run(CONTRACT, "business-licence", |world| {
        let (_, holder) = licensed(world);
        let end = day("2025-01-10").days();
        for offset in -45..=95 {
            let (number, today) = (format!("D{offset}"), Date::from_days(end + offset).unwrap().to_string());
            world.at("2024-01-10").call(&holder, "apply", (number.clone(), text("bar"))).done::<Amount<Eur>>();
            pay(world, &number, eur(120)).done::<Standing>();
            for passed in [Check::Safety, Check::Tax, Check::Insurance] {
                check(world, &number, passed, true).done::<Standing>();
            }
            world.at(&today);
            let standing = match offset {
                ..=0 => Standing::Valid,
                1..=90 => Standing::Expired,
                _ => Standing::Lapsed,
            };
            assert_eq!(status(world, &number).standing, standing, "{today}");
            let answer = world.call(&holder, "renew", (number.clone(),));
            let fee = if today.starts_with("2024") { 12_000 } else { 13_000 };
            match offset {
                ..=-41 => assert_eq!(answer.refused(), "TooEarly", "{today}"),
                -40..=0 => assert_eq!(answer.done::<Amount<Eur>>().minor(), fee, "{today}"),
                1..=90 => assert_eq!(answer.done::<Amount<Eur>>().minor(), fee + fee / 4, "{today}"),
                _ => assert_eq!(answer.refused(), "Lapsed", "{today}"),
            }
        }
    });
}
