//! `crop-subsidy`: a payment upon a signed yield record, the same record again, and the record revoked.

use super::stage::{Case, Paid, Scenario, Stage, Step, step};
use crate::failure::Outcome;
use chancery_types::codec::Encode;
use serde_json::{Value, json};

const NAME: &str = "crop-subsidy";
/// The claim year, one whose rate the contract holds.
const YEAR: u16 = 2024;

pub fn scenario(stage: &Stage) -> Outcome<Scenario> {
    let assessor = json!({"assessor": stage.did("assessor")?, "accredited": true});
    let farmer = json!({"holding": "H-1", "farmer": stage.did("hans")?, "eligible_area": 30_000});
    let record = record(stage, "H-1", "R-1", 1_050, 6_300)?;
    let determine = step(231, "officer", "determine", json!({"holding": "H-1", "year": YEAR}));
    let payment = vec![
        step(229, "officer", "enrol", farmer),
        step(230, "hans", "record_yield", record.clone()),
        Step { paid: Paid::Out("payable"), ..determine },
    ];
    let again = vec![step(232, "hans", "record_yield", record)];
    let revoked = json!({"record": "R-1", "reason": "the field was counted for a neighbour too"});
    let cases = vec![
        Case { who: "hans", asks: "payment for 10.5 ha of 2024, record R-1", steps: payment, ends: "payable" },
        Case { who: "hans", asks: "record R-1 a second time", steps: again, ends: "RecordUsed" },
        Case {
            who: "officer",
            asks: "record R-1 revoked; what is owed back",
            steps: vec![step(240, "officer", "revoke", revoked)],
            ends: "1034.25",
        },
    ];
    Ok(Scenario { contract: NAME, setup: vec![step(0, "officer", "accredit", assessor)], cases })
}

/// The fields of a yield record with the assessor's signature over it: a domain, the contract, and the fields.
fn record(stage: &Stage, holding: &str, record: &str, area: u32, yield_kg: u32) -> Outcome<Value> {
    let mut statement = Vec::from(b"chancery crop-subsidy yield v1\n");
    (stage.contract(NAME)?.id, String::from(holding)).encode(&mut statement);
    (YEAR, String::from(record), area, yield_kg).encode(&mut statement);
    Ok(json!({
        "holding": holding, "year": YEAR, "record": record, "area": area, "yield_kg": yield_kg,
        "assessor": stage.did("assessor")?, "signature": stage.signature("assessor", &statement)?,
    }))
}
