//! `business-licence`: a bakery with its renewal, a failed check, and a suspension.

use super::stage::{Case, Scenario, Step, fee, step};
use serde_json::json;

const CHECKS: [&str; 3] = ["Tax", "Insurance", "Safety"];

pub fn scenario() -> Scenario {
    let first = |day, who, licence, activity| {
        let mut steps = vec![step(day, who, "apply", json!({"licence": licence, "activity": activity}))];
        steps.push(fee(day + 1, "record_fee", json!({"licence": licence})));
        steps.extend(CHECKS.map(|kind| check(day + 2, licence, kind, true)));
        steps
    };
    let mut renewal = vec![step(335, "ella", "renew", json!({"licence": "BL-1"}))];
    renewal.extend(CHECKS.map(|kind| check(336, "BL-1", kind, true)));
    renewal.push(fee(337, "record_fee", json!({"licence": "BL-1"})));
    let early = vec![step(180, "ella", "renew", json!({"licence": "BL-1"}))];
    let failed = vec![
        step(20, "gina", "apply", json!({"licence": "BL-3", "activity": "bar"})),
        check(21, "BL-3", "Safety", false),
    ];
    let reason = json!({"licence": "BL-2", "reason": "fire doors locked", "provision": "Fire code, § 3"});
    let suspension = vec![step(330, "officer", "suspend", reason)];
    let cases = vec![
        Case {
            who: "ella",
            asks: "licence BL-1 for a bakery",
            steps: first(0, "ella", "BL-1", "bakery"),
            ends: "Issued",
        },
        Case { who: "ella", asks: "renewal of BL-1, half a year early", steps: early, ends: "TooEarly" },
        Case { who: "ella", asks: "renewal of BL-1, issued with the fee", steps: renewal, ends: "Issued" },
        Case {
            who: "farid",
            asks: "licence BL-2 for a cinema",
            steps: first(5, "farid", "BL-2", "cinema"),
            ends: "Issued",
        },
        Case { who: "officer", asks: "suspension of BL-2", steps: suspension, ends: "Suspended" },
        Case { who: "gina", asks: "licence BL-3 for a bar, exits blocked", steps: failed, ends: "CheckFailed" },
    ];
    Scenario { contract: "business-licence", setup: Vec::new(), cases }
}

fn check(day: u64, licence: &str, kind: &str, passed: bool) -> Step {
    step(day, "officer", "record_check", json!({"licence": licence, "check": kind, "passed": passed}))
}
