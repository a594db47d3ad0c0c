//! Rules: each one applied is a step of the decision trace.

use crate::host;
use alloc::vec::Vec;
use chancery_types::codec::Encode;
use chancery_types::{Finding, Value};

/// Adds a step to the decision trace. The macros of this module are how a contract calls it.
pub fn step(rule: &str, citation: &str, inputs: &[(&str, Value)], finding: &Finding) {
    let mut bytes = Vec::with_capacity(256);
    rule.encode(&mut bytes);
    citation.encode(&mut bytes);
    inputs.encode(&mut bytes);
    finding.encode(&mut bytes);
    host::trace(&bytes);
}

/// Requires a condition: `ensure!(ctx, condition, error, name = value, …)`.
///
/// Traces the error's rule with its citation as met or not met, with the values that it looked at; returns the error when it is not met.
/// The error is built in either case.
#[macro_export]
macro_rules! ensure {
    ($ctx:expr, $condition:expr, $error:expr $(, $name:ident = $value:expr)* $(,)?) => {{
        let _: &$crate::Context = &*$ctx;
        let met: bool = $condition;
        let error = $error;
        let (rule, citation) = $crate::dispatch::Fault::rule(&error);
        let finding = if met { $crate::types::Finding::Met } else { $crate::types::Finding::NotMet };
        $crate::rules::step(rule, citation, &[$((stringify!($name), $crate::types::Value::from($value))),*], &finding);
        if !met {
            return Err(error.into());
        }
    }};
}

/// Works a value out: `computed!(ctx, "rule", "citation", value, name = input, …)` traces it and is the value.
#[macro_export]
macro_rules! computed {
    ($ctx:expr, $rule:expr, $citation:expr, $value:expr $(, $name:ident = $input:expr)* $(,)?) => {{
        let _: &$crate::Context = &*$ctx;
        let value = $value;
        let finding = $crate::types::Finding::Computed { value: $crate::types::Value::from(value) };
        $crate::rules::step($rule, $citation, &[$((stringify!($name), $crate::types::Value::from($input))),*], &finding);
        value
    }};
}

/// Leaves a rule to a person: `needs_person!(ctx, "rule", "citation", name = value, …)`.
#[macro_export]
macro_rules! needs_person {
    ($ctx:expr, $rule:expr, $citation:expr $(, $name:ident = $value:expr)* $(,)?) => {{
        let _: &$crate::Context = &*$ctx;
        let inputs = [$((stringify!($name), $crate::types::Value::from($value))),*];
        $crate::rules::step($rule, $citation, &inputs, &$crate::types::Finding::NeedsPerson);
    }};
}
