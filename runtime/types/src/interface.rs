//! The interface description: what a module's methods take and give, which events, errors and storage it has, and on which
//! law it stands. Every module carries it, encoded, in the custom section [`SECTION`]; it is kept with the module for ever, so
//! that any argument or stored value can be shown decades later.
//!
//! A contract states it as constants ([`constant`]), from which the SDK's macros make the section at compile time; the host
//! reads it as [`Interface`]. Both have the same encoding, which is that of the owned types below.

pub mod constant;

use crate::codec::{Decode, DecodeError, Encode, Reader, codec_enum, codec_struct};
use alloc::{boxed::Box, string::String, vec::Vec};

/// Name of the custom section.
pub const SECTION: &str = "chancery:interface";
/// The version of the description that this code writes.
pub const INTERFACE_VERSION: u16 = 1;
/// Deepest nesting of a type.
pub const TYPE_DEPTH_MAX: u32 = 16;

/// A module's description.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Interface {
    /// [`INTERFACE_VERSION`].
    pub version: u16,
    /// The contract's own name.
    pub name: String,
    /// What it does.
    pub doc: String,
    /// The law it stands on.
    pub legal_basis: String,
    /// Its methods; a method's selector is its position.
    pub methods: Vec<Method>,
    /// Its events; an event's kind is its position.
    pub events: Vec<Variant>,
    /// Its errors; an error's code is its position.
    pub errors: Vec<Variant>,
    /// What it stores.
    pub storage: Vec<Storage>,
}
codec_struct!(Interface { version, name, doc, legal_basis, methods, events, errors, storage });

/// A method.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// What it does.
    pub doc: String,
    /// The provision that it carries out.
    pub citation: String,
    /// When it may run.
    pub kind: MethodKind,
    /// Its arguments in order.
    pub fields: Vec<Field>,
    /// Its result.
    pub returns: Type,
}
codec_struct!(Method { name, doc, citation, kind, fields, returns });

/// When a method may run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MethodKind {
    /// Once, in the deployment.
    Init,
    /// In a call; it may write.
    Call,
    /// In a query; it may not.
    Query,
}
codec_enum!(MethodKind { 0 = Init, 1 = Call, 2 = Query });

/// A named, documented value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it is.
    pub doc: String,
    /// Its type.
    pub ty: Type,
}
codec_struct!(Field { name, doc, ty });

/// A variant of an enum, an event or an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// What it means.
    pub doc: String,
    /// The provision that it comes from; empty where there is none.
    pub citation: String,
    /// Its fields in order.
    pub fields: Vec<Field>,
}
codec_struct!(Variant { name, doc, citation, fields });

/// A stored item or map. The storage key is the name's length (`u8`), the name, and for a map the keys in
/// their ordered encoding (`docs/src/formats/storage-keys.md`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Storage {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub doc: String,
    /// The parts of a map's key; empty for a single item.
    pub keys: Vec<Type>,
    /// What is stored.
    pub value: Type,
}
codec_struct!(Storage { name, doc, keys, value });

/// A type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Type {
    /// Nothing.
    Unit,
    /// Yes or no.
    Bool,
    /// 8 bits, unsigned.
    U8,
    /// 16 bits, unsigned.
    U16,
    /// 32 bits, unsigned.
    U32,
    /// 64 bits, unsigned.
    U64,
    /// 128 bits, unsigned.
    U128,
    /// 32 bits, signed.
    I32,
    /// 64 bits, signed.
    I64,
    /// UTF-8.
    Text,
    /// A 32-byte digest.
    Hash,
    /// An Ed25519 public key.
    PublicKey,
    /// An Ed25519 signature.
    Signature,
    /// A day.
    Date,
    /// A month.
    Month,
    /// An instant.
    Timestamp,
    /// An exact ratio.
    Ratio,
    /// Money in minor units.
    Money {
        /// ISO 4217 alphabetic code.
        currency: [u8; 3],
        /// Decimals of the minor unit.
        exponent: u8,
    },
    /// A value that may be absent.
    Option {
        /// Of what.
        of: Box<Type>,
    },
    /// Any number of values; of `u8` it is bytes, shown as hexadecimal.
    List {
        /// Of what.
        of: Box<Type>,
    },
    /// Named fields.
    Struct {
        /// Its name.
        name: String,
        /// What it is.
        doc: String,
        /// The fields in order.
        fields: Vec<Field>,
    },
    /// One of several.
    Enum {
        /// Its name.
        name: String,
        /// What it is.
        doc: String,
        /// The variants in order.
        variants: Vec<Variant>,
    },
}

/// Tags of the types with parts, shared by the owned and the constant form.
mod tag {
    pub(super) const MONEY: u8 = 17;
    pub(super) const OPTION: u8 = 18;
    pub(super) const LIST: u8 = 19;
    pub(super) const STRUCT: u8 = 20;
    pub(super) const ENUM: u8 = 21;
}

/// The types without parts, each at its tag, with its name.
static SIMPLE: [(Type, &str); 17] = [
    (Type::Unit, "nothing"),
    (Type::Bool, "yes/no"),
    (Type::U8, "u8"),
    (Type::U16, "u16"),
    (Type::U32, "u32"),
    (Type::U64, "u64"),
    (Type::U128, "u128"),
    (Type::I32, "i32"),
    (Type::I64, "i64"),
    (Type::Text, "text"),
    (Type::Hash, "hash"),
    (Type::PublicKey, "public key"),
    (Type::Signature, "signature"),
    (Type::Date, "date"),
    (Type::Month, "month"),
    (Type::Timestamp, "timestamp"),
    (Type::Ratio, "ratio"),
];

impl Type {
    /// The type in words: `text`, `USD amount`, `list of date`.
    pub fn describe(&self) -> String {
        use alloc::format;
        match self {
            Type::Money { currency, .. } => format!("{} amount", core::str::from_utf8(currency).unwrap_or("???")),
            Type::Option { of } => format!("{}, optional", of.describe()),
            Type::List { of } => format!("list of {}", of.describe()),
            Type::Struct { name, .. } | Type::Enum { name, .. } => name.clone(),
            simple => {
                let found = SIMPLE.iter().find(|(candidate, _)| candidate == simple);
                found.map_or_else(String::new, |(_, name)| String::from(*name))
            }
        }
    }

    fn decode_within(reader: &mut Reader<'_>, depth: u32) -> Result<Self, DecodeError> {
        let depth = depth.checked_sub(1).ok_or(DecodeError::TooDeep)?;
        let tag = u8::decode(reader)?;
        Ok(match tag {
            tag::MONEY => Type::Money { currency: Decode::decode(reader)?, exponent: Decode::decode(reader)? },
            tag::OPTION => Type::Option { of: Box::new(Type::decode_within(reader, depth)?) },
            tag::LIST => Type::List { of: Box::new(Type::decode_within(reader, depth)?) },
            tag::STRUCT => Type::Struct {
                name: String::decode(reader)?,
                doc: String::decode(reader)?,
                fields: list(reader, |reader| field(reader, depth))?,
            },
            tag::ENUM => Type::Enum {
                name: String::decode(reader)?,
                doc: String::decode(reader)?,
                variants: list(reader, |reader| {
                    Ok(Variant {
                        name: String::decode(reader)?,
                        doc: String::decode(reader)?,
                        citation: String::decode(reader)?,
                        fields: list(reader, |reader| field(reader, depth))?,
                    })
                })?,
            },
            simple => SIMPLE.get(usize::from(simple)).map(|(ty, _)| ty.clone()).ok_or(DecodeError::UnknownTag)?,
        })
    }
}

fn list<T>(
    reader: &mut Reader<'_>,
    element: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = u32::decode(reader)?;
    (0..count).map(|_| element(reader)).collect()
}

fn field(reader: &mut Reader<'_>, depth: u32) -> Result<Field, DecodeError> {
    Ok(Field { name: String::decode(reader)?, doc: String::decode(reader)?, ty: Type::decode_within(reader, depth)? })
}

impl Decode for Type {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Type::decode_within(reader, TYPE_DEPTH_MAX)
    }
}

impl Encode for Type {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Type::Money { currency, exponent } => {
                out.push(tag::MONEY);
                out.extend_from_slice(currency);
                out.push(*exponent);
            }
            Type::Option { of } => {
                out.push(tag::OPTION);
                of.encode(out);
            }
            Type::List { of } => {
                out.push(tag::LIST);
                of.encode(out);
            }
            Type::Struct { name, doc, fields } => {
                out.push(tag::STRUCT);
                (name, doc, fields).encode(out);
            }
            Type::Enum { name, doc, variants } => {
                out.push(tag::ENUM);
                (name, doc, variants).encode(out);
            }
            simple => {
                let index = SIMPLE.iter().position(|(candidate, _)| candidate == simple);
                out.extend(index.and_then(|index| u8::try_from(index).ok()));
            }
        }
    }
}

impl Interface {
    /// The method with this name.
    pub fn method(&self, name: &str) -> Option<(u32, &Method)> {
        (0..).zip(&self.methods).find(|(_, method)| method.name == name)
    }

    /// The method that runs in the deployment, if there is one.
    pub fn init(&self) -> Option<(u32, &Method)> {
        (0..).zip(&self.methods).find(|(_, method)| method.kind == MethodKind::Init)
    }
}

impl Method {
    /// The fields that a caller fills in. Where the one argument is a struct, these are the struct's own fields: its encoding is
    /// theirs, one after the other, so a caller need not know that there is a struct.
    pub fn arguments(&self) -> &[Field] {
        match self.fields.as_slice() {
            [Field { ty: Type::Struct { fields, .. }, .. }] => fields,
            fields => fields,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::constant::Describe;
    use super::*;
    use crate::money::{Amount, Usd};
    use alloc::vec;

    const CONSTANT: constant::Interface = constant::Interface {
        name: "sample",
        doc: "A sample.",
        legal_basis: "none",
        methods: &[constant::Method {
            name: "pay",
            doc: "Pays.",
            citation: "§ 1",
            kind: MethodKind::Call,
            fields: &[constant::Field { name: "amount", doc: "", ty: <Option<Amount<Usd>>>::TYPE }],
            returns: <Vec<u64>>::TYPE,
        }],
        events: &[constant::Variant { name: "Paid", doc: "é", citation: "", fields: &[] }],
        errors: &[],
        storage: &[constant::Storage { name: "paid", doc: "", keys: &[u32::TYPE], value: bool::TYPE }],
    };
    static BYTES: [u8; constant::len(&CONSTANT)] = constant::encode(&CONSTANT);

    #[test]
    fn the_constant_form_encodes_as_the_owned_form() {
        let owned = Interface {
            version: INTERFACE_VERSION,
            name: "sample".into(),
            doc: "A sample.".into(),
            legal_basis: "none".into(),
            methods: vec![Method {
                name: "pay".into(),
                doc: "Pays.".into(),
                citation: "§ 1".into(),
                kind: MethodKind::Call,
                fields: vec![Field {
                    name: "amount".into(),
                    doc: String::new(),
                    ty: Type::Option { of: Box::new(Type::Money { currency: *b"USD", exponent: 2 }) },
                }],
                returns: Type::List { of: Box::new(Type::U64) },
            }],
            events: vec![Variant { name: "Paid".into(), doc: "é".into(), citation: String::new(), fields: vec![] }],
            errors: vec![],
            storage: vec![Storage {
                name: "paid".into(),
                doc: String::new(),
                keys: vec![Type::U32],
                value: Type::Bool,
            }],
        };
        assert_eq!(owned.to_bytes(), BYTES);
        assert_eq!(Interface::from_bytes(&BYTES), Ok(owned));
    }

    #[test]
    fn a_type_nested_too_deeply_is_refused() {
        let bytes = [tag::LIST; 1000];
        assert_eq!(Type::from_bytes(&bytes), Err(DecodeError::TooDeep));
    }
}
