//! Rules: each one applied is a step of the decision trace. And what they often ask of a text.

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
///
/// What can be named so: `bool`, `u8` to `u32`, `i64`, `&str`, `&String`, `Amount`, `Ratio`, `Date`, `Month` and `Hash`. For others take one of them: of a key
/// `Hash(key.0)`, of an instant its `.date()`, or the difference of two as a number.
#[macro_export]
macro_rules! ensure {
    ($ctx:expr, $condition:expr, $error:expr $(, $name:ident = $value:expr)* $(,)?) => {{
        let met: bool = $condition;
        $crate::ensure_some!($ctx, met.then_some(()), $error $(, $name = $value)*)
    }};
}

/// Requires a value: `ensure_some!(ctx, option, error, name = value, …)` traces as [`ensure!`] whether there is one, and is the value.
#[macro_export]
macro_rules! ensure_some {
    ($ctx:expr, $option:expr, $error:expr $(, $name:ident = $value:expr)* $(,)?) => {{
        let _: &$crate::Context = &*$ctx;
        let option = $option;
        let error = $error;
        let (rule, citation) = $crate::dispatch::Fault::rule(&error);
        let finding = if option.is_some() { $crate::types::Finding::Met } else { $crate::types::Finding::NotMet };
        $crate::rules::step(rule, citation, &[$((stringify!($name), $crate::types::Value::from($value))),*], &finding);
        match option {
            Some(value) => value,
            None => return Err(error.into()),
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

/// Whether a text says nothing: it is empty, or all of it is white space.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::is_blank;

    #[test]
    fn white_space_of_any_kind_says_nothing() {
        assert!(["", " ", "\t\r\n", "\u{a0}\u{3000}"].into_iter().all(is_blank));
        assert!(["a", " . ", "\u{0}"].into_iter().all(|text| !is_blank(text)));
    }
}
