//! `building-permit`: a house, an addition that the zoning plan forbids, a solar roof paid late, and a statement of somebody not accredited.

use super::stage::{Case, Paid, Scenario, Stage, Step, fee, step};
use crate::failure::Outcome;
use chancery_types::Hash;
use chancery_types::codec::Encode;
use serde_json::json;
use sha2::{Digest, Sha256};

const NAME: &str = "building-permit";
/// Kinds of documents in the contract's order, and who is accredited for each.
const DOCUMENTS: [(&str, &str); 4] =
    [("Title", "registrar"), ("Structural", "engineer"), ("Fire", "fire-marshal"), ("Zoning", "planner")];

pub fn scenario(stage: &Stage) -> Outcome<Scenario> {
    let accredit = |(document, checker): &(&str, &str)| {
        let fields = json!({"document": document, "checker": stage.did(checker)?, "accredited": true});
        Ok(step(0, "officer", "accredit", fields))
    };
    let setup = DOCUMENTS.iter().map(accredit).collect::<Outcome<_>>()?;
    let cases = vec![house(stage)?, addition(stage)?, solar(stage)?, demolition(stage)?];
    Ok(Scenario { contract: NAME, setup, cases })
}

fn apply(day: u64, by: &'static str, application: &str, works: &str, floor_area: u32, value: &str) -> Step {
    let fields = json!({"application": application, "works": works, "floor_area": floor_area, "value": value});
    step(day, by, "apply", fields)
}

fn pay(day: u64, application: &str) -> Step {
    fee(day, "record_payment", json!({"application": application}))
}

/// The applicant hands in a document with the statement that its checker signed: a domain, the contract, and the fields.
fn submit(
    stage: &Stage,
    (day, by): (u64, &'static str),
    application: &str,
    document: usize,
    checker: &str,
    in_order: bool,
) -> Outcome<Step> {
    let kind = DOCUMENTS[document].0;
    let digest = Hash(Sha256::digest(format!("{kind} document of {application}")).into());
    let mut statement = Vec::from(b"chancery building-permit statement v1\n");
    (stage.contract(NAME)?.id, String::from(application), document as u8, digest).encode(&mut statement);
    in_order.encode(&mut statement);
    let fields = json!({
        "application": application, "document": kind, "digest": digest.to_string(), "in_order": in_order,
        "checker": stage.did(checker)?, "signature": stage.signature(checker, &statement)?,
    });
    Ok(step(day, by, "submit", fields))
}

fn house(stage: &Stage) -> Outcome<Case> {
    let number = "BP-1";
    let mut steps = vec![apply(300, "anna", number, "NewBuilding", 120, "310000"), pay(302, number)];
    for (document, (_, checker)) in DOCUMENTS.iter().enumerate() {
        steps.push(submit(stage, (305 + document as u64, "anna"), number, document, checker, true)?);
    }
    Ok(Case { who: "anna", asks: "permit BP-1 for a house of 120 m²", steps, ends: "Issued" })
}

fn addition(stage: &Stage) -> Outcome<Case> {
    let number = "BP-2";
    let steps = vec![
        apply(301, "boris", number, "Addition", 30, "48000"),
        submit(stage, (303, "boris"), number, 0, "registrar", true)?,
        submit(stage, (304, "boris"), number, 3, "planner", false)?,
    ];
    Ok(Case { who: "boris", asks: "permit BP-2 for an addition, not in the zoning plan", steps, ends: "Refused" })
}

fn solar(stage: &Stage) -> Outcome<Case> {
    let number = "BP-3";
    // 45 days after filing: a penalty of 10 % on the fee of 40.00.
    let late = json!({"application": number, "amount": "44.00"});
    let payment = Step { paid: Paid::Fee("amount"), ..step(325, "officer", "record_payment", late) };
    let steps = vec![
        apply(280, "chen", number, "Solar", 0, "9000"),
        submit(stage, (281, "chen"), number, 1, "engineer", true)?,
        payment,
    ];
    Ok(Case { who: "chen", asks: "permit BP-3 for a solar roof, fee paid 15 days late", steps, ends: "Issued" })
}

fn demolition(stage: &Stage) -> Outcome<Case> {
    let number = "BP-4";
    let steps = vec![
        apply(310, "dora", number, "Demolition", 0, "5000"),
        submit(stage, (311, "dora"), number, 1, "planner", true)?,
    ];
    Ok(Case { who: "dora", asks: "permit BP-4, structure checked by a planner", steps, ends: "NotAccredited" })
}
