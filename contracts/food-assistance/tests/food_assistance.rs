//! Every branch of the contract, and each stage of the rule at its edges.

use chancery_contract_food_assistance::{CONTRACT, Case, Determination, Household, Status};
use chancery_sdk::types::money::{Amount, Usd};
use chancery_sdk::types::{Date, Finding, Hash, Month, Value};
use chancery_testing::{Actor, Answer, World, run};

fn usd(text: &str) -> Amount<Usd> {
    Amount::parse(text).unwrap()
}

/// The first case of the quality-control file: 838 earned, 826 unearned, three persons.
fn household(case_id: &str) -> Household {
    Household {
        case_id: case_id.into(),
        month: Month::parse("2023-10").unwrap(),
        state: "New York".into(),
        household_size: 3,
        earned_income: usd("838"),
        unearned_income: usd("826"),
        rent_or_mortgage: usd("400"),
        utilities: usd("819"),
        medical_deduction: usd("0"),
        dependent_care_deduction: usd("0"),
        child_support_deduction: usd("0"),
        homeless_deduction: usd("0"),
        shelter_cap_applies: true,
        standard_deduction: None,
        maximum_allotment: None,
        minimum_benefit: None,
    }
}

fn programme(world: &mut World) -> Actor {
    let officer = world.actor("officer");
    world.at("2023-10-05").deploy(&officer, ()).done::<()>();
    officer
}

fn determine(world: &mut World, household: Household) -> Answer {
    let officer = world.actor("officer");
    world.call(&officer, "determine", household)
}

fn amounts(answer: &Answer) -> [String; 4] {
    let found = answer.done::<Determination>();
    let Determination { earned_income_deduction, shelter_deduction, net_income, benefit } = found;
    [earned_income_deduction, shelter_deduction, net_income, benefit]
        .map(|amount| amount.to_string().replace(" USD", ""))
}

/// The rules that the trace leaves to a person.
fn questions(answer: &Answer) -> Vec<&str> {
    let asked = answer.trace.iter().filter(|step| step.finding == Finding::NeedsPerson);
    asked.map(|step| step.rule.as_str()).collect()
}

#[test]
fn the_stages_of_a_case_are_exact() {
    run(CONTRACT, "food-assistance", |world| {
        programme(world);
        let plain = determine(world, household("a"));
        assert_eq!(amounts(&plain), ["167.60", "569.00", "729.00", "547.00"]);
        assert_eq!(plain.event_names(), ["Determined"]);
        let Status::Determined { case, .. } = world.query("status", (String::from("a"),)).done() else {
            panic!("not determined")
        };
        let Case { income_before_shelter, standard_deduction, maximum_allotment, minimum_benefit, .. } = case;
        let kept = [income_before_shelter, standard_deduction, maximum_allotment, minimum_benefit];
        assert_eq!(kept, [usd("1298.40"), usd("198"), usd("766"), usd("0")]);
        // The cap of 672 holds unless a member is elderly or disabled.
        let dear = Household { rent_or_mortgage: usd("2000"), ..household("b") };
        assert_eq!(amounts(&determine(world, dear.clone()))[1], "672.00");
        let uncapped = Household { case_id: "c".into(), shelter_cap_applies: false, ..dear };
        assert_eq!(amounts(&determine(world, uncapped))[1], "2169.00");
        // Twenty percent of a cent is kept inside: 0.99 earned, 0.198 deducted, shown to the cent.
        let cents = Household { earned_income: usd("0.99"), ..household("d") };
        assert_eq!(amounts(&determine(world, cents))[0], "0.20");
        // No income: the maximum; much income: the minimum, or nothing.
        let nothing = usd("0");
        let poor = Household { earned_income: nothing, unearned_income: nothing, ..household("e") };
        assert_eq!(amounts(&determine(world, poor)), ["0.00", "672.00", "0.00", "766.00"]);
        let rich = Household { earned_income: usd("9000"), ..household("f") };
        assert_eq!(amounts(&determine(world, rich))[3], "0.00");
        let one = Household { earned_income: usd("9000"), household_size: 1, ..household("g") };
        assert_eq!(amounts(&determine(world, one))[3], "23.00");
        // 30 % of net income is rounded up: 1 dollar of net income costs 1 dollar.
        let edge = Household {
            earned_income: nothing,
            unearned_income: usd("199.99"),
            rent_or_mortgage: nothing,
            utilities: nothing,
            ..household("h")
        };
        assert_eq!(amounts(&determine(world, edge)), ["0.00", "0.00", "1.00", "765.00"]);
        // Half of the income is not rounded before the excess is: 1 - 0.995 is below a dollar, 2 - 0.995 is above one.
        let half = |id: &str, rent: &str| Household {
            earned_income: nothing,
            unearned_income: usd("199.99"),
            rent_or_mortgage: usd(rent),
            utilities: nothing,
            ..household(id)
        };
        assert_eq!(amounts(&determine(world, half("i", "1.99")))[1], "0.00");
        assert_eq!(amounts(&determine(world, half("j", "2.00")))[1], "1.00");
        let large = Household { household_size: 10, ..household("k") };
        let Determination { benefit, .. } = determine(world, large).done();
        assert_eq!(benefit, usd("2006"), "1751 and twice 219, less 30 % of 607, rounded up");
    });
}

#[test]
fn the_homeless_deduction_is_nothing_or_that_of_the_month() {
    run(CONTRACT, "food-assistance", |world| {
        programme(world);
        let homeless = |id: &str, amount: &str| Household { homeless_deduction: usd(amount), ..household(id) };
        assert_eq!(amounts(&determine(world, homeless("a", "180")))[2], "549.00");
        assert_eq!(determine(world, homeless("b", "179")).refused(), "HomelessDeduction");
    });
}

#[test]
fn what_the_file_states_is_compared_and_not_believed() {
    run(CONTRACT, "food-assistance", |world| {
        programme(world);
        let stated =
            Household { maximum_allotment: Some(usd("900")), standard_deduction: Some(usd("198")), ..household("a") };
        let answer = determine(world, stated);
        assert_eq!(amounts(&answer)[3], "547.00");
        assert_eq!(questions(&answer), ["maximum allotment"]);
    });
}

#[test]
fn every_refusal_of_a_determination() {
    run(CONTRACT, "food-assistance", |world| {
        programme(world);
        let other = world.actor("other");
        assert_eq!(world.call(&other, "determine", household("a")).refused(), "NotOfficer");
        determine(world, household("a")).done::<Determination>();
        let month = |month: &str| Household { month: Month::parse(month).unwrap(), ..household("b") };
        let state = |state: &str| Household { state: state.into(), ..household("b") };
        for (case, error) in [
            (household("a"), "AlreadyDetermined"),
            (household(""), "BadCaseId"),
            (month("2023-09"), "MonthNotCovered"),
            (month("2024-10"), "MonthNotCovered"),
            (state("Alaska"), "OtherSchedule"),
            (state("Guam"), "OtherSchedule"),
            (state("Bavaria"), "UnknownState"),
            (Household { household_size: 0, ..household("b") }, "HouseholdSize"),
            (Household { household_size: 100, ..household("b") }, "HouseholdSize"),
            (Household { utilities: usd("-0.01"), ..household("b") }, "AmountOutOfRange"),
            (Household { earned_income: usd("1000000.01"), ..household("b") }, "AmountOutOfRange"),
            (Household { standard_deduction: Some(usd("-198")), ..household("b") }, "AmountOutOfRange"),
            (Household { maximum_allotment: Some(usd("1000000.01")), ..household("b") }, "AmountOutOfRange"),
            (Household { minimum_benefit: Some(usd("-0.01")), ..household("b") }, "AmountOutOfRange"),
            (Household { homeless_deduction: usd("-180"), ..household("b") }, "HomelessDeduction"),
            (household(" \t"), "BadCaseId"),
        ] {
            let answer = determine(world, case);
            assert_eq!(answer.refused(), error);
            assert_eq!(answer.reasons().len(), 1, "{error} says which rule was not met");
        }
        let last = Household { earned_income: usd("1000000"), ..month("2024-09") };
        determine(world, last).done::<Determination>();
    });
}

#[test]
fn an_application_is_filed_once_and_waits_for_its_determination() {
    run(CONTRACT, "food-assistance", |world| {
        programme(world);
        let applicant = world.actor("applicant");
        let month = Month::parse("2023-10").unwrap();
        let apply =
            |world: &mut World, id: &str, size: u32| world.call(&applicant, "apply", (String::from(id), month, size));
        let status = |world: &mut World, id: &str| world.query("status", (String::from(id),));
        assert_eq!(status(world, "a").refused(), "UnknownCase");
        assert_eq!(apply(world, "a", 3).event_names(), ["Filed"]);
        assert!(
            matches!(status(world, "a").done(), Status::Filed { application } if application.applicant == applicant.key())
        );
        assert_eq!(apply(world, "a", 3).refused(), "AlreadyFiled");
        assert_eq!(apply(world, "", 3).refused(), "BadCaseId");
        assert_eq!(apply(world, "b", 0).refused(), "HouseholdSize");
        determine(world, household("a")).done::<Determination>();
        assert!(matches!(
            status(world, "a").done(),
            Status::Determined { application: Some(application), .. } if application.applicant == applicant.key()
        ));
        assert_eq!(apply(world, " ", 3).refused(), "BadCaseId");
    });
}

/// An operator had one person's application for January determined for February and nine persons, and the trace said nothing of it. The officer
/// decides on what was verified, so the call is done as before; the trace now names the application, and leaves each difference to a person.
#[test]
fn a_determination_names_its_application_and_leaves_what_differs_to_a_person() {
    run(CONTRACT, "food-assistance", |world| {
        programme(world);
        let applicant = world.actor("applicant");
        const RESTS: &str = "the determination rests on the application filed on this day";
        let determined = |world: &mut World, case_id: &str, month: &str, size: u32| {
            let filed = (String::from(case_id), Month::parse("2024-01").unwrap(), 3u32);
            world.call(&applicant, "apply", filed).done::<()>();
            let month = Month::parse(month).unwrap();
            let answer = determine(world, Household { month, household_size: size, ..household(case_id) });
            answer.done::<Determination>();
            let rests = answer.trace.iter().find(|step| step.rule == RESTS).expect("the application is named");
            let inputs: Vec<String> =
                rests.inputs.iter().map(|input| format!("{} {}", input.name, input.value)).collect();
            let applicant = Hash(applicant.key().0);
            let expected = [format!("applicant {applicant}"), "month 2024-01".into(), "household_size 3".into()];
            assert_eq!((&inputs[..], rests.citation.as_str()), (&expected[..], "7 CFR 273.2(c)"));
            let filed = Value::Date { value: Date::parse("2023-10-05").unwrap() };
            assert_eq!(rests.finding, Finding::Computed { value: filed });
            answer
        };
        let (month, size) = ("the month is that of the application", "the household is of the size applied for");
        assert_eq!(questions(&determined(world, "a", "2024-01", 3)), Vec::<&str>::new());
        assert_eq!(questions(&determined(world, "b", "2024-02", 3)), [month]);
        assert_eq!(questions(&determined(world, "c", "2024-01", 2)), [size]);
        let both = determined(world, "d", "2024-02", 9);
        assert_eq!(questions(&both), [month, size]);
        // The same household of a file, for which nobody applied here: the officer's figures are applied in either case.
        let february = Month::parse("2024-02").unwrap();
        let unfiled = determine(world, Household { month: february, household_size: 9, ..household("e") });
        assert_eq!(amounts(&unfiled), amounts(&both));
        assert_eq!(questions(&unfiled), Vec::<&str>::new());
        assert!(unfiled.trace.iter().all(|step| step.rule != RESTS));
        let status = world.query("status", (String::from("e"),)).done();
        assert!(matches!(status, Status::Determined { application: None, .. }));
    });
}

/// The exact deduction of the memorandum was refused, and of a household that claimed both deductions for its shelter nothing was said. The amounts
/// stay as stated: quality control's file of real cases has such cases, worked out so.
#[test]
fn the_homeless_deduction_is_exact_or_whole_and_in_place_of_the_shelter_deduction() {
    run(CONTRACT, "food-assistance", |world| {
        programme(world);
        const INSTEAD: &str =
            "the homeless shelter deduction is for a household that does not claim excess shelter costs";
        let nothing = usd("0");
        let homeless = |id: &str, deduction: &str| Household {
            earned_income: nothing,
            unearned_income: usd("500"),
            rent_or_mortgage: nothing,
            utilities: nothing,
            homeless_deduction: usd(deduction),
            ..household(id)
        };
        // 500 - 198 - 179.66 = 122.34; in whole dollars 122.
        assert_eq!(amounts(&determine(world, homeless("a", "179.66")))[2], "122.00");
        assert_eq!(amounts(&determine(world, homeless("b", "180")))[2], "122.00");
        for stated in ["179.65", "179.67", "179", "181"] {
            assert_eq!(determine(world, homeless("c", stated)).refused(), "HomelessDeduction", "{stated}");
        }
        // Costs up to half of the income, 151, are no excess; a dollar more is one.
        let rent = |id: &str, rent: &str| Household { rent_or_mortgage: usd(rent), ..homeless(id, "180") };
        assert_eq!(questions(&determine(world, rent("d", "151.99"))), Vec::<&str>::new());
        let both = determine(world, rent("e", "152"));
        assert_eq!((amounts(&both)[1].as_str(), questions(&both)), ("1.00", vec![INSTEAD]));
        let none = Household { homeless_deduction: nothing, ..rent("f", "152") };
        assert_eq!(questions(&determine(world, none)), Vec::<&str>::new());
    });
}

/// Numbers that look random and are the same in both runs.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % end) as i64
    }
}

/// The rule once more, in hundredths of a cent and without a word of the contract's code.
fn worked_out(household: &Household) -> [i64; 4] {
    let size = household.household_size as usize;
    let minor = |amount: Amount<Usd>| amount.minor();
    let maximum =
        [291, 535, 766, 973, 1_155, 1_386, 1_532, 1_751][size.min(8) - 1] + 219 * size.saturating_sub(8) as i64;
    let standard = if size <= 3 { 198 } else { [208, 244, 279][size.min(6) - 4] };
    let minimum = if size <= 2 { 23 } else { 0 };
    let (earned, unearned) = (minor(household.earned_income), minor(household.unearned_income));
    let deductions = standard * 100
        + minor(household.medical_deduction)
        + minor(household.dependent_care_deduction)
        + minor(household.child_support_deduction);
    let before = (80 * earned + 100 * unearned - 100 * deductions).max(0);
    let costs = 100 * (minor(household.rent_or_mortgage) + minor(household.utilities));
    let mut excess = (2 * costs - before).max(0) / 20_000;
    if household.shelter_cap_applies && excess > 672 {
        excess = 672;
    }
    let net = (before - 100 * minor(household.homeless_deduction) - 10_000 * excess).max(0) / 10_000;
    let mut contribution = 0;
    while contribution * 100 < net * 30 {
        contribution += 1;
    }
    [(20 * earned + 50) / 100, excess * 100, net * 100, (maximum - contribution).max(minimum) * 100]
}

#[test]
fn whatever_the_household_the_stages_are_those_of_the_rule() {
    run(CONTRACT, "food-assistance", |world| {
        programme(world);
        let mut random = Random(1);
        for number in 0..400 {
            // Many amounts at their ends: nothing, a cent, whole dollars, and what the caps and minima begin at.
            let mut amount = |most: i64| {
                Amount::from_minor(match random.below(6) {
                    0 => 0,
                    1 => 1 + random.below(2),
                    2 => random.below(most as u64 / 100) * 100,
                    _ => random.below(most as u64),
                })
            };
            let case = Household {
                earned_income: amount(400_000),
                unearned_income: amount(200_000),
                rent_or_mortgage: amount(200_000),
                utilities: amount(90_000),
                medical_deduction: amount(30_000),
                dependent_care_deduction: amount(50_000),
                child_support_deduction: amount(40_000),
                homeless_deduction: [0, 0, 0, 17_966, 18_000].map(Amount::from_minor)[random.below(5) as usize],
                household_size: [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 99][random.below(11) as usize],
                shelter_cap_applies: random.below(2) == 0,
                ..household(&format!("{number}"))
            };
            let expected = worked_out(&case);
            let shown = format!("{number}: {:?}", (case.household_size, case.earned_income, case.unearned_income));
            let found = determine(world, case).done::<Determination>();
            let Determination { earned_income_deduction, shelter_deduction, net_income, benefit } = found;
            let found = [earned_income_deduction, shelter_deduction, net_income, benefit].map(|amount| amount.minor());
            assert_eq!(found, expected, "{shown}");
        }
    });
}
