//! JSON as it is meant: a name that stands twice in one object is an error. Else the second value would silently count.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt;

/// Reads one JSON value.
///
/// # Errors
/// Where it is not JSON, or a name stands twice.
pub fn parse(text: &str) -> serde_json::Result<Value> {
    NamesOnce.deserialize(&mut serde_json::Deserializer::from_str(text))?;
    serde_json::from_str(text)
}

/// Goes through a value and keeps nothing. A number that needs all its digits passes as an object of one name, which is how serde_json gives it.
struct NamesOnce;

impl<'de> DeserializeSeed<'de> for NamesOnce {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NamesOnce {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(NamesOnce)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format_args!("the name `{name}` stands twice: remove one")));
            }
            names.insert(name);
            fields.next_value_seed(NamesOnce)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serde_json_reads_is_read_alike() {
        let text = r#"{"a": [1, -2, 3.5, true, null, "ü\n"], "b": {"a": {}}, "c": 18446744073709551615}"#;
        assert_eq!(parse(text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        for wrong in ["", "{", "{} {}", r#"{"a"}"#, "nan"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_number_keeps_its_digits() {
        for number in ["90071992547409.93", "0.10000000000000000001", "123456789012345678901234567890", "1.50", "-0"] {
            let value = parse(&format!(r#"{{"amount": [{number}]}}"#)).unwrap();
            assert_eq!(value["amount"][0].to_string(), number);
        }
    }

    #[test]
    fn a_name_that_stands_twice_is_named() {
        for twice in [r#"{"a": 1, "b": 2, "a": 1}"#, r#"[{"b": {"a": 1, "a": 1}}]"#] {
            assert!(parse(twice).unwrap_err().to_string().contains("the name `a` stands twice"));
        }
    }
}
