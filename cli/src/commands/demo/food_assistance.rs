//! `food-assistance`: a household that applies, two refusals, and a batch: the sample of households, or a file.

use super::stage::{Case, Paid, Scenario, Stage, Step, step};
use crate::commands::batch::{Batch, Line, parse};
use crate::failure::{Failure, Outcome};
use crate::town::public;
use chancery_types::interface::MethodKind;
use chancery_types::money::{parse_decimal, write_decimal};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const NAME: &str = "food-assistance";
const SAMPLE: &[u8] = include_bytes!("../../../../contracts/food-assistance/sample/households.csv");

pub fn scenario() -> Scenario {
    let household = |case_id: &str, state: &str| {
        json!({
            "case_id": case_id, "month": "2024-04", "state": state, "household_size": 3, "earned_income": "1200",
            "unearned_income": "0", "rent_or_mortgage": "900", "utilities": "250", "medical_deduction": "0",
            "dependent_care_deduction": "120", "child_support_deduction": "0", "homeless_deduction": "0",
            "shelter_cap_applies": true,
        })
    };
    let determine = |day, case_id, state| Step {
        paid: Paid::Out("benefit"),
        ..step(day, "officer", "determine", household(case_id, state))
    };
    let apply = |day, who, case_id| {
        step(day, who, "apply", json!({"case_id": case_id, "month": "2024-04", "household_size": 3}))
    };
    let again = Step { paid: Paid::Nothing, ..determine(303, "FA-1", "Vermont") };
    let elsewhere = Step { paid: Paid::Nothing, ..determine(303, "FA-2", "Alaska") };
    let cases = vec![
        Case {
            who: "irma",
            asks: "benefit FA-1 for three in Vermont",
            steps: vec![apply(300, "irma", "FA-1"), determine(302, "FA-1", "Vermont")],
            ends: "benefit",
        },
        Case { who: "irma", asks: "benefit FA-1 a second time", steps: vec![again], ends: "AlreadyDetermined" },
        Case {
            who: "jonas",
            asks: "benefit FA-2 in Alaska",
            steps: vec![apply(301, "jonas", "FA-2"), elsewhere],
            ends: "OtherSchedule",
        },
    ];
    Scenario { contract: NAME, setup: Vec::new(), cases }
}

/// A file of households.
pub struct Households {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Whether it is the sample, of which every row is determined.
    sample: bool,
}

impl Households {
    /// The file, or the sample.
    pub fn read(cases: Option<&Path>) -> Outcome<Households> {
        match cases {
            None => Ok(Households { path: "households.csv".into(), bytes: SAMPLE.into(), sample: true }),
            Some(path) => {
                let bytes = std::fs::read(path).map_err(|error| Failure::file("cannot read", path, &error))?;
                Ok(Households { path: path.into(), bytes, sample: false })
            }
        }
    }
}

/// What became of a file of households.
pub struct Determined {
    pub file: String,
    pub rows: u64,
    pub counts: BTreeMap<String, u64>,
    /// The sum of benefits, in dollars.
    pub benefits: String,
    pub gas: u64,
    pub lines: Vec<Line>,
}

/// Determines the households, one call a row.
pub fn determine(stage: &mut Stage, households: Households) -> Outcome<Determined> {
    let interface = &stage.contract(NAME)?.interface;
    let method = crate::town::method(interface, NAME, "determine", MethodKind::Call)?;
    let file = parse(&households.path, &households.bytes, method.arguments())?;
    let rows = file.len();
    stage.bar.inc_length(rows);
    let key = stage.key("officer")?;
    let batch = Batch { ledger: &stage.ledger, interface, method, actor: public(key), contract: NAME, run: "" };
    let mut lines = Vec::new();
    batch.run(file, key, |line| {
        stage.bar.inc(1);
        lines.push(line);
    })?;
    if let Some(line) = lines.iter().find(|line| households.sample && line.outcome != "done") {
        return Err(Failure::internal(format!(
            "row {} of the sample: {} {}",
            line.place.row, line.outcome, line.reason
        )));
    }
    let mut counts = BTreeMap::new();
    lines.iter().for_each(|line| *counts.entry(line.outcome.clone()).or_default() += 1);
    let file = if households.sample { "the sample".into() } else { households.path.display().to_string() };
    let (benefits, gas) = (sum(&lines)?, lines.iter().map(|line| line.gas).sum());
    Ok(Determined { file, rows, counts, benefits, gas, lines })
}

fn sum(lines: &[Line]) -> Outcome<String> {
    let cents = |line: &Line| match &line.result["benefit"] {
        Value::String(text) => parse_decimal(text, 2),
        _ => Some(0),
    };
    let total = lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(cents(line)?));
    let mut text = String::new();
    let total = total.ok_or_else(|| Failure::internal("the sum of benefits is out of range"))?;
    write_decimal(&mut text, total, 2).map_err(Failure::internal)?;
    Ok(text)
}
