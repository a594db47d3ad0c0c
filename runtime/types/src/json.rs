//! Values as people and other programs write them in JSON, translated by the [`Type`] that a module describes.
//!
//! | type | JSON | read as well |
//! |---|---|---|
//! | yes/no | `true`, `false` | `"yes"`, `"no"`, `"true"`, `"false"`, in small letters or capitals |
//! | `u8` to `u32`, `i32` | number | text |
//! | `u64`, `u128`, `i64` | text, since JSON readers lose digits beyond 2⁵³ | number |
//! | money | decimal text `"547.00"` | number without exponent |
//! | date, month, timestamp | `"2024-01-05"`, `"2024-01"`, `"2024-01-05T10:00:00.000Z"` | |
//! | ratio | `"1/5"` | `"20%"`, `"0.2"` |
//! | hash, bytes, signature | hexadecimal | |
//! | public key | `did:key:…` | hexadecimal |
//! | optional | the value or `null` | a missing field, an empty cell |
//! | struct | object | |
//! | enum | `"Variant"`, or `{"Variant": {…}}` where it has fields | |
//!
//! A number is read from the digits that stand in the text, never through floating point (serde_json's `arbitrary_precision`). An unknown, missing or ill-typed field is an error that names it.

use crate::codec::{DecodeError, Encode, Reader};
use crate::date::{Date, Month, Timestamp};
use crate::id::{Hash, PublicKey, Signature};
use crate::interface::{Field, Type, Variant};
use crate::money::{Ratio, parse_decimal, write_decimal};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde_json::{Map, Value};

/// Why a value is not of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeError {
    /// The field, with dots between the levels; empty for the value itself.
    pub field: String,
    /// What was expected.
    pub expected: String,
    /// What was found; empty where nothing was.
    pub found: String,
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        match self.found.as_str() {
            "" => write!(f, "missing, expected {}", self.expected),
            found => write!(f, "expected {}, found {found}", self.expected),
        }
    }
}

impl core::error::Error for TypeError {}

impl TypeError {
    fn new(expected: impl Into<String>, found: &Value) -> Self {
        let mut found = found.to_string();
        if found.len() > 80 {
            found.truncate(found.floor_char_boundary(77));
            found.push_str("...");
        }
        TypeError { field: String::new(), expected: expected.into(), found }
    }

    fn within(mut self, field: &str) -> Self {
        let dot = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        self.field = format!("{field}{dot}{}", self.field);
        self
    }
}

/// What a value of the type looks like, for messages and help.
pub fn form(ty: &Type) -> String {
    match ty {
        Type::Bool => "yes or no".into(),
        Type::U8 => "a whole number from 0 to 255".into(),
        Type::U16 => "a whole number from 0 to 65,535".into(),
        Type::U32 | Type::U64 | Type::U128 => format!("a whole number ({})", ty.describe()),
        Type::I32 | Type::I64 => format!("a whole number ({}), perhaps negative", ty.describe()),
        Type::Money { currency, exponent } => {
            let currency = core::str::from_utf8(currency).unwrap_or("???");
            format!(
                "an amount in {currency} with at most {exponent} decimals, for instance 12{}",
                if *exponent > 0 { ".50" } else { "" }
            )
        }
        Type::Date => "a date, YYYY-MM-DD".into(),
        Type::Month => "a month, YYYY-MM".into(),
        Type::Timestamp => "a time, YYYY-MM-DDTHH:MM:SSZ".into(),
        Type::Ratio => "a ratio, for instance 1/5 or 20%".into(),
        Type::Hash => "64 hexadecimal digits".into(),
        Type::PublicKey => "a public key, did:key:z6Mk… or 64 hexadecimal digits".into(),
        Type::Signature => "a signature, 128 hexadecimal digits".into(),
        Type::Option { of } => form(of),
        Type::List { of } if **of == Type::U8 => "bytes, in hexadecimal".into(),
        Type::List { of } => format!("a JSON list, each {}", form(of)),
        Type::Enum { variants, .. } => {
            let variant = |variant: &Variant| match variant.fields.as_slice() {
                [] => variant.name.clone(),
                fields => format!("{} {}", variant.name, names_of(fields)),
            };
            format!("one of {}", variants.iter().map(variant).collect::<Vec<_>>().join(", "))
        }
        Type::Struct { name, fields, .. } => format!("{name} {}", names_of(fields)),
        other => other.describe(),
    }
}

/// The names of an object's fields: `{name, born}`.
fn names_of(fields: &[Field]) -> String {
    format!("{{{}}}", fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", "))
}

fn digits(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Appends the encoding of a JSON value as the type.
///
/// # Errors
/// A [`TypeError`] that names the field.
pub fn encode(ty: &Type, value: &Value, out: &mut Vec<u8>) -> Result<(), TypeError> {
    let wrong = || TypeError::new(form(ty), value);
    let text = || value.as_str().ok_or_else(wrong);
    macro_rules! number {
        ($int:ty) => {
            digits(value)
                // "+5" and "-0" are spellings of numbers that have another one.
                .filter(|digits| !digits.starts_with('+') && digits != "-0")
                .and_then(|digits| digits.parse::<$int>().ok())
                .ok_or_else(wrong)?
                .encode(out)
        };
    }
    match ty {
        Type::Unit => value.is_null().then_some(()).ok_or_else(wrong)?,
        Type::Bool => match value {
            Value::Bool(value) => value.encode(out),
            Value::String(text) => {
                // Tables write them large.
                let is_one_of = |words: [&str; 2]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
                let value = is_one_of(["yes", "true"]);
                (value || is_one_of(["no", "false"])).then_some(value).ok_or_else(wrong)?.encode(out);
            }
            _ => return Err(wrong()),
        },
        Type::U8 => number!(u8),
        Type::U16 => number!(u16),
        Type::U32 => number!(u32),
        Type::U64 => number!(u64),
        Type::U128 => number!(u128),
        Type::I32 => number!(i32),
        Type::I64 => number!(i64),
        Type::Money { exponent, .. } => {
            digits(value).and_then(|text| parse_decimal(&text, *exponent)).ok_or_else(wrong)?.encode(out);
        }
        Type::Text => text()?.encode(out),
        Type::Hash => Hash::parse(text()?).ok_or_else(wrong)?.encode(out),
        Type::PublicKey => {
            let text = text()?;
            PublicKey::from_did(text).or_else(|| PublicKey::parse(text)).ok_or_else(wrong)?.encode(out);
        }
        Type::Signature => Signature::parse(text()?).ok_or_else(wrong)?.encode(out),
        Type::Date => Date::parse(text()?).ok_or_else(wrong)?.encode(out),
        Type::Month => Month::parse(text()?).ok_or_else(wrong)?.encode(out),
        Type::Timestamp => Timestamp::parse(text()?).ok_or_else(wrong)?.encode(out),
        Type::Ratio => digits(value).and_then(|text| Ratio::parse(&text)).ok_or_else(wrong)?.encode(out),
        Type::Option { .. } if value.is_null() => out.push(0),
        Type::Option { of } => {
            out.push(1);
            encode(of, value, out)?;
        }
        Type::List { of } if **of == Type::U8 => hex::decode(text()?).map_err(|_| wrong())?.encode(out),
        Type::List { of } => {
            let list = value.as_array().ok_or_else(wrong)?;
            u32::try_from(list.len()).map_err(|_| wrong())?.encode(out);
            for (index, element) in list.iter().enumerate() {
                encode(of, element, out).map_err(|error| error.within(&format!("[{index}]")))?;
            }
        }
        Type::Struct { fields, .. } => encode_fields(fields, value.as_object().ok_or_else(wrong)?, out)?,
        Type::Enum { variants, .. } => encode_variant(variants, value, wrong, out)?,
    }
    Ok(())
}

/// Appends the fields of an object in their order.
///
/// # Errors
/// A [`TypeError`] that names the field that is unknown, missing or ill-typed.
pub fn encode_fields(fields: &[Field], object: &Map<String, Value>, out: &mut Vec<u8>) -> Result<(), TypeError> {
    if let Some(unknown) = object.keys().find(|key| fields.iter().all(|field| field.name != **key)) {
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let expected = if names.is_empty() { "no field".into() } else { format!("one of {}", names.join(", ")) };
        return Err(TypeError { field: unknown.clone(), expected, found: "an unknown field".into() });
    }
    for field in fields {
        let missing = if matches!(field.ty, Type::Option { .. }) { Some(&Value::Null) } else { None };
        let value = object.get(&field.name).or(missing);
        let value = value.ok_or_else(|| TypeError {
            field: field.name.clone(),
            expected: form(&field.ty),
            found: String::new(),
        })?;
        encode(&field.ty, value, out).map_err(|error| error.within(&field.name))?;
    }
    Ok(())
}

fn encode_variant(
    variants: &[Variant],
    value: &Value,
    wrong: impl Fn() -> TypeError,
    out: &mut Vec<u8>,
) -> Result<(), TypeError> {
    let nothing = Value::Object(Map::new());
    let (name, fields) = match value {
        Value::String(name) => (name, &nothing),
        Value::Object(object) if object.len() == 1 => object.iter().next().ok_or_else(&wrong)?,
        _ => return Err(wrong()),
    };
    let (index, variant) = variants.iter().enumerate().find(|(_, variant)| variant.name == *name).ok_or_else(&wrong)?;
    // A description may name more variants than have an encoding.
    out.push(u8::try_from(index).map_err(|_| wrong())?);
    let expected = || TypeError::new(format!("an object {}", names_of(&variant.fields)), fields);
    let fields = fields.as_object().ok_or_else(expected);
    fields.and_then(|fields| encode_fields(&variant.fields, fields, out)).map_err(|error| error.within(name))
}

/// Reads a value of the type as JSON.
///
/// # Errors
/// When the bytes are not its encoding.
pub fn decode(ty: &Type, reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    use crate::codec::Decode;
    fn text<T: Decode + ToString>(reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
        Ok(Value::String(T::decode(reader)?.to_string()))
    }
    Ok(match ty {
        Type::Unit => Value::Null,
        Type::Bool => bool::decode(reader)?.into(),
        Type::U8 => u8::decode(reader)?.into(),
        Type::U16 => u16::decode(reader)?.into(),
        Type::U32 => u32::decode(reader)?.into(),
        Type::I32 => i32::decode(reader)?.into(),
        Type::U64 => text::<u64>(reader)?,
        Type::U128 => text::<u128>(reader)?,
        Type::I64 => text::<i64>(reader)?,
        Type::Money { exponent, .. } => {
            let mut text = String::new();
            // Writing to a text does not fail.
            write_decimal(&mut text, i64::decode(reader)?, *exponent).map_err(|_| DecodeError::OutOfRange)?;
            text.into()
        }
        Type::Text => String::decode(reader)?.into(),
        Type::Hash => text::<Hash>(reader)?,
        Type::PublicKey => PublicKey::decode(reader)?.to_did().into(),
        Type::Signature => hex::encode(Signature::decode(reader)?.0).into(),
        Type::Date => text::<Date>(reader)?,
        Type::Month => text::<Month>(reader)?,
        Type::Timestamp => text::<Timestamp>(reader)?,
        Type::Ratio => text::<Ratio>(reader)?,
        Type::Option { of } => {
            if bool::decode(reader)? {
                decode(of, reader)?
            } else {
                Value::Null
            }
        }
        Type::List { of } if **of == Type::U8 => hex::encode(reader.bytes()?).into(),
        Type::List { of } => {
            let count = u32::decode(reader)?;
            if count as usize > reader.rest().len() {
                return Err(DecodeError::OutOfRange);
            }
            Value::Array((0..count).map(|_| decode(of, reader)).collect::<Result<_, _>>()?)
        }
        Type::Struct { fields, .. } => Value::Object(decode_fields(fields, reader)?),
        Type::Enum { variants, .. } => {
            let variant = variants.get(usize::from(u8::decode(reader)?)).ok_or(DecodeError::UnknownTag)?;
            named(variant, decode_fields(&variant.fields, reader)?)
        }
    })
}

/// Reads fields in their order.
///
/// # Errors
/// When the bytes are not their encodings.
pub fn decode_fields(fields: &[Field], reader: &mut Reader<'_>) -> Result<Map<String, Value>, DecodeError> {
    fields.iter().map(|field| Ok((field.name.clone(), decode(&field.ty, reader)?))).collect()
}

/// The value that fills `bytes` exactly.
///
/// # Errors
/// As [`decode`], and [`DecodeError::Trailing`].
pub fn from_bytes(ty: &Type, bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = decode(ty, &mut reader)?;
    reader.finish()?;
    Ok(value)
}

/// An event or error by its position, with its fields.
///
/// # Errors
/// When there is no such variant, or the bytes are not its fields.
pub fn variant(variants: &[Variant], ordinal: u16, bytes: &[u8]) -> Result<Value, DecodeError> {
    let variant = variants.get(usize::from(ordinal)).ok_or(DecodeError::UnknownTag)?;
    let mut reader = Reader::new(bytes);
    let fields = decode_fields(&variant.fields, &mut reader)?;
    reader.finish()?;
    Ok(named(variant, fields))
}

fn named(variant: &Variant, fields: Map<String, Value>) -> Value {
    if fields.is_empty() {
        return Value::String(variant.name.clone());
    }
    Value::Object(Map::from_iter([(variant.name.clone(), Value::Object(fields))]))
}

/// Appends a part of a map's key in its ordered encoding (`docs/src/formats/storage-keys.md`).
///
/// # Errors
/// When the value is not of the type.
pub fn encode_key(ty: &Type, value: &Value, out: &mut Vec<u8>) -> Result<(), TypeError> {
    let mut plain = Vec::new();
    encode(ty, value, &mut plain)?;
    match ty {
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::U128 | Type::Timestamp => out.extend(plain.iter().rev()),
        Type::I32 | Type::I64 | Type::Date => {
            if let Some(high) = plain.last_mut() {
                *high ^= 0x80;
            }
            out.extend(plain.iter().rev());
        }
        // Year as u16, then the number.
        Type::Month => {
            if let [low, high, number] = plain[..] {
                out.extend([high, low, number]);
            }
        }
        Type::Text | Type::List { .. } => {
            for byte in &plain[4..] {
                out.push(*byte);
                if *byte == 0 {
                    out.push(0xff);
                }
            }
            out.extend([0, 0]);
        }
        _ => out.append(&mut plain),
    }
    Ok(())
}

/// Reads a part of a map's key.
///
/// # Errors
/// When the bytes are not its ordered encoding.
pub fn decode_key(ty: &Type, reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    let mut plain = Vec::new();
    let mut reversed = |len: usize| -> Result<(), DecodeError> {
        plain.extend(reader.take(len)?.iter().rev());
        Ok(())
    };
    match ty {
        Type::U8 => reversed(1)?,
        Type::U16 => reversed(2)?,
        Type::U32 => reversed(4)?,
        Type::U64 | Type::Timestamp => reversed(8)?,
        Type::U128 => reversed(16)?,
        Type::I32 | Type::Date => reversed(4)?,
        Type::I64 => reversed(8)?,
        Type::Month => {
            reversed(2)?;
            plain.extend(reader.take(1)?);
        }
        Type::Text | Type::List { .. } => {
            let mut bytes = Vec::new();
            loop {
                match *reader.take(1)? {
                    [0] => match *reader.take(1)? {
                        [0] => break,
                        [0xff] => bytes.push(0),
                        _ => return Err(DecodeError::UnknownTag),
                    },
                    [byte] => bytes.push(byte),
                    _ => return Err(DecodeError::Truncated),
                }
            }
            bytes.encode(&mut plain);
        }
        _ => return decode(ty, reader),
    }
    if matches!(ty, Type::I32 | Type::I64 | Type::Date)
        && let Some(high) = plain.last_mut()
    {
        *high ^= 0x80;
    }
    from_bytes(ty, &plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use alloc::vec;
    use serde_json::json;

    fn field(name: &str, ty: Type) -> Field {
        Field { name: name.into(), doc: String::new(), ty }
    }

    fn sample() -> Type {
        let money = Type::Money { currency: *b"USD", exponent: 2 };
        let variant =
            |name: &str, fields| Variant { name: name.into(), doc: String::new(), citation: String::new(), fields };
        let kind = Type::Enum {
            name: "Kind".into(),
            doc: String::new(),
            variants: vec![variant("New", vec![]), variant("Change", vec![field("of", Type::U16)])],
        };
        Type::Struct {
            name: "Sample".into(),
            doc: String::new(),
            fields: vec![
                field("amount", money),
                field("when", Type::Date),
                field("note", Type::Option { of: Box::new(Type::Text) }),
                field("kinds", Type::List { of: Box::new(kind) }),
                field("big", Type::U64),
                field("bytes", Type::List { of: Box::new(Type::U8) }),
            ],
        }
    }

    #[test]
    fn a_yes_is_read_as_people_and_their_tables_write_it() {
        let read = |value: Value| {
            let mut bytes = Vec::new();
            encode(&Type::Bool, &value, &mut bytes).map(|()| bytes)
        };
        for word in ["yes", "Yes", "TRUE", "true", "True"] {
            assert_eq!(read(json!(word)), Ok(vec![1]), "{word}");
        }
        for word in ["no", "NO", "FALSE", "false"] {
            assert_eq!(read(json!(word)), Ok(vec![0]), "{word}");
        }
        for other in [json!("1"), json!(1), json!(""), json!("truth"), json!(null)] {
            assert!(read(other.clone()).is_err(), "{other}");
        }
    }

    #[test]
    fn a_value_reads_as_it_was_written() {
        let value = json!({"amount": "-12.50", "when": "2024-02-29", "note": null,
            "kinds": ["New", {"Change": {"of": 7}}], "big": "18446744073709551615", "bytes": "00ff"});
        let mut bytes = Vec::new();
        encode(&sample(), &value, &mut bytes).unwrap();
        assert_eq!(from_bytes(&sample(), &bytes), Ok(value));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let good = json!({"amount": 1, "when": "2024-02-29", "kinds": [], "big": 3, "bytes": ""});
        assert!(encode(&sample(), &good, &mut Vec::new()).is_ok());
        for (field, bad, place) in [
            ("amount", json!("1.234"), "amount: expected an amount in USD"),
            ("amount", json!("1e3"), "amount: expected"),
            ("amount", json!("1,000"), "amount: expected"),
            ("when", json!("2023-02-29"), "when: expected a date"),
            ("kinds", json!(["New", {"Change": {"of": 70_000}}]), "kinds[1].Change.of: expected a whole number from 0"),
            ("kinds", json!(["Old"]), "kinds[0]: expected one of New, Change {of}, found \"Old\""),
            ("kinds", json!(["Change"]), "kinds[0].Change.of: missing, expected a whole number"),
            ("kinds", json!([{"Change": 5}]), "kinds[0].Change: expected an object {of}, found 5"),
            ("kinds", json!([{"New": {}, "Change": {"of": 1}}]), "kinds[0]: expected one of New, Change {of}, found {"),
            ("big", json!(-1), "big: expected a whole number"),
            ("extra", json!(1), "extra: expected one of amount, when"),
        ] {
            let mut value = good.clone();
            value[field] = bad;
            let message = encode(&sample(), &value, &mut Vec::new()).unwrap_err().to_string();
            assert!(message.starts_with(place), "{message}");
        }
        let mut missing = good;
        missing.as_object_mut().unwrap().remove("when");
        let message = encode(&sample(), &missing, &mut Vec::new()).unwrap_err().to_string();
        assert_eq!(message, "when: missing, expected a date, YYYY-MM-DD");
    }

    /// Positions were counted in a byte, whose end the 256th variant is: an enum as large as the macros take panicked there.
    #[test]
    fn the_256th_variant_is_the_last_with_an_encoding() {
        let variant = |n: usize| Variant {
            name: format!("V{n}"),
            doc: String::new(),
            citation: String::new(),
            fields: Vec::new(),
        };
        let of = |count: usize| Type::Enum {
            name: "Kind".into(),
            doc: String::new(),
            variants: (0..count).map(variant).collect(),
        };
        let read = |count, name: &str| {
            let mut bytes = Vec::new();
            encode(&of(count), &json!(name), &mut bytes).map(|()| bytes).ok()
        };
        assert_eq!(read(256, "V255"), Some(vec![255]));
        assert_eq!(read(256, "V256"), None);
        assert_eq!(read(257, "V255"), Some(vec![255]));
        assert_eq!(read(257, "V256"), None);
    }

    #[test]
    fn a_number_is_what_its_digits_say() {
        let money = Type::Money { currency: *b"USD", exponent: 2 };
        let read = |ty: &Type, text: &str| {
            let mut bytes = Vec::new();
            encode(ty, &serde_json::from_str(text).unwrap(), &mut bytes).map(|()| bytes).map_err(|error| error.found)
        };
        let minor = |minor: i64| Ok(minor.to_bytes());
        for (text, wanted) in [
            ("1234.50", 123_450),
            ("547", 54_700),
            ("-12.5", -1_250),
            ("0.1", 10),
            // Each beyond what an f64 tells apart.
            ("90071992547409.93", 9_007_199_254_740_993),
            ("92233720368547758.07", i64::MAX),
            ("-92233720368547758.08", i64::MIN),
        ] {
            assert_eq!(read(&money, text), minor(wanted), "{text}");
        }
        for text in ["0.10000000000000000001", "1e+3", "1E2", "1.5e+1", "92233720368547758.08", "1.234", "0.100"] {
            assert_eq!(read(&money, text), Err(text.replace("E", "e+")), "{text}");
        }
        assert_eq!(read(&Type::Ratio, "0.2"), Ok(Ratio::new(2, 10).unwrap().to_bytes()));
        assert!(read(&Type::Ratio, "2e-1").is_err());
        assert_eq!(read(&Type::U128, &u128::MAX.to_string()), Ok(u128::MAX.to_bytes()));
        for text in ["1.0", "1e2", "-0", "4294967296"] {
            assert!(read(&Type::U32, text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_read_as_they_were_written_and_are_ordered() {
        for (ty, values) in [
            (Type::I64, vec![json!("-5"), json!("0"), json!("7")]),
            (Type::Date, vec![json!("1969-01-01"), json!("1970-01-02"), json!("2024-01-01")]),
            (Type::Month, vec![json!("2023-12"), json!("2024-01")]),
            (Type::Text, vec![json!("a"), json!("a\u{0}"), json!("ab")]),
            (Type::U32, vec![json!(1), json!(256)]),
        ] {
            let keys: Vec<Vec<u8>> = values
                .iter()
                .map(|value| {
                    let mut key = Vec::new();
                    encode_key(&ty, value, &mut key).unwrap();
                    let mut reader = Reader::new(&key);
                    assert_eq!(decode_key(&ty, &mut reader).unwrap(), *value);
                    key
                })
                .collect();
            assert!(keys.is_sorted(), "{ty:?}");
        }
    }
}
