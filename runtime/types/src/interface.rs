//! The interface description: what a module's methods take and give, which events, errors and storage it has, and on which
//! law it stands. Every module carries it, encoded, in the custom section [`SECTION`]; it is kept with the module for ever, so
//! that any argument or stored value can be shown decades later.
//!
//! A contract states it as constants ([`constant`]), from which the SDK's macros make the section at compile time; the host
//! reads it as [`Interface`]. Both have the same encoding, which is that of the owned types below.

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

/// Tags of the encoding of [`Type`], shared by the owned and the constant form.
mod tag {
    pub(super) const SIMPLE: [&str; 17] = [
        "nothing",
        "yes/no",
        "u8",
        "u16",
        "u32",
        "u64",
        "u128",
        "i32",
        "i64",
        "text",
        "hash",
        "public key",
        "signature",
        "date",
        "month",
        "timestamp",
        "ratio",
    ];
    pub(super) const MONEY: u8 = 17;
    pub(super) const OPTION: u8 = 18;
    pub(super) const LIST: u8 = 19;
    pub(super) const STRUCT: u8 = 20;
    pub(super) const ENUM: u8 = 21;
}

const SIMPLE_TYPES: [Type; 17] = [
    Type::Unit,
    Type::Bool,
    Type::U8,
    Type::U16,
    Type::U32,
    Type::U64,
    Type::U128,
    Type::I32,
    Type::I64,
    Type::Text,
    Type::Hash,
    Type::PublicKey,
    Type::Signature,
    Type::Date,
    Type::Month,
    Type::Timestamp,
    Type::Ratio,
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
            simple => SIMPLE_TYPES
                .iter()
                .position(|candidate| candidate == simple)
                .map_or_else(String::new, |index| String::from(tag::SIMPLE[index])),
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
            simple => SIMPLE_TYPES.get(usize::from(simple)).cloned().ok_or(DecodeError::UnknownTag)?,
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
                let index = SIMPLE_TYPES.iter().position(|candidate| candidate == simple);
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

/// The description as constants, and its encoding at compile time.
///
/// [`encode`](constant::encode) writes what [`Encode`] writes for the owned form; a test holds them together.
pub mod constant {
    use super::{INTERFACE_VERSION, MethodKind, tag};

    /// As [`super::Interface`].
    pub struct Interface {
        /// The contract's own name.
        pub name: &'static str,
        /// What it does.
        pub doc: &'static str,
        /// The law it stands on.
        pub legal_basis: &'static str,
        /// Its methods.
        pub methods: &'static [Method],
        /// Its events.
        pub events: &'static [Variant],
        /// Its errors.
        pub errors: &'static [Variant],
        /// What it stores.
        pub storage: &'static [Storage],
    }

    /// As [`super::Method`].
    pub struct Method {
        /// Its name.
        pub name: &'static str,
        /// What it does.
        pub doc: &'static str,
        /// The provision that it carries out.
        pub citation: &'static str,
        /// When it may run.
        pub kind: MethodKind,
        /// Its arguments.
        pub fields: &'static [Field],
        /// Its result.
        pub returns: Type,
    }

    /// As [`super::Field`].
    pub struct Field {
        /// Its name.
        pub name: &'static str,
        /// What it is.
        pub doc: &'static str,
        /// Its type.
        pub ty: Type,
    }

    /// As [`super::Variant`].
    pub struct Variant {
        /// Its name.
        pub name: &'static str,
        /// What it means.
        pub doc: &'static str,
        /// The provision that it comes from.
        pub citation: &'static str,
        /// Its fields.
        pub fields: &'static [Field],
    }

    /// As [`super::Storage`].
    pub struct Storage {
        /// Its name.
        pub name: &'static str,
        /// What it holds.
        pub doc: &'static str,
        /// The parts of a map's key.
        pub keys: &'static [Type],
        /// What is stored.
        pub value: Type,
    }

    /// As [`super::Type`].
    #[derive(Clone, Copy)]
    pub enum Type {
        /// A type without parts: its tag.
        Simple(u8),
        /// Money.
        Money([u8; 3], u8),
        /// A value that may be absent.
        Option(&'static Type),
        /// Any number of values.
        List(&'static Type),
        /// Name, doc and fields.
        Struct(&'static str, &'static str, &'static [Field]),
        /// Name, doc and variants.
        Enum(&'static str, &'static str, &'static [Variant]),
    }

    /// A Rust type that a method may take, return, store or emit.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is no type that a contract can take, return, store or emit",
        label = "expected a type with a description",
        note = "these have one: `bool`, `u8` to `u128`, `i32`, `i64`, `String`, `Option<T>`, `Vec<T>` (bytes are `Vec<u8>`), `Amount`, `Ratio`, `Date`, `Month`, `Timestamp`, `Hash`, `PublicKey`, `Signature`, ids and heights, and what has `#[derive(Schema)]`",
        note = "in place of floating point: `Amount` for money, `Ratio` for fractions; in place of a tuple: a struct; in place of a map: a stored `Map`, or a list of structs"
    )]
    pub trait Describe {
        /// Its description.
        const TYPE: Type;
    }

    macro_rules! simple {
        ($($tag:literal = $ty:ty),* $(,)?) => {$(
            impl Describe for $ty {
                const TYPE: Type = Type::Simple($tag);
            }
        )*};
    }
    simple! {
        0 = (), 1 = bool, 2 = u8, 3 = u16, 4 = u32, 5 = u64, 6 = u128, 7 = i32, 8 = i64, 9 = alloc::string::String,
        10 = crate::id::Hash, 10 = crate::id::ContractId, 10 = crate::id::ModuleId, 10 = crate::id::LedgerId, 11 = crate::id::PublicKey,
        12 = crate::id::Signature, 13 = crate::date::Date, 14 = crate::date::Month, 15 = crate::date::Timestamp,
        16 = crate::money::Ratio, 6 = crate::id::RequestId, 5 = crate::id::Height, 5 = crate::id::Gas,
    }

    impl<C: crate::money::Currency> Describe for crate::money::Amount<C> {
        const TYPE: Type = Type::Money(C::CODE, C::EXPONENT);
    }

    impl<T: Describe> Describe for Option<T> {
        const TYPE: Type = Type::Option(optional(&T::TYPE));
    }

    impl<T: Describe> Describe for alloc::vec::Vec<T> {
        const TYPE: Type = Type::List(listed(&T::TYPE));
    }

    /// What may be absent. In JSON `null` is the absent value, so nothing else may be shown as `null`.
    const fn optional(of: &'static Type) -> &'static Type {
        assert!(
            !matches!(of, Type::Option(_) | Type::Simple(0)),
            "`Option<Option<T>>` and `Option<()>` are no types of a contract: whoever reads cannot tell `Some` of nothing from `None`; an enum with `#[derive(Schema)]` can name each case"
        );
        of
    }

    /// What may stand in a list. Decoding holds a list's count to the bytes that follow, so each element has one at least.
    const fn listed(of: &'static Type) -> &'static Type {
        assert!(
            !is_empty(of),
            "a list of values without bytes, such as `Vec<()>`, is no type of a contract: it could not be read back; a number can say how many there are"
        );
        of
    }

    /// Whether values of the type are encoded in no bytes.
    const fn is_empty(ty: &Type) -> bool {
        match ty {
            Type::Simple(0) => true,
            Type::Struct(_, _, fields) => {
                let mut i = 0;
                while i < fields.len() {
                    if !is_empty(&fields[i].ty) {
                        return false;
                    }
                    i += 1;
                }
                true
            }
            _ => false,
        }
    }

    /// Bytes as they are written, or, where `N` is 0, only counted.
    struct Writer<const N: usize> {
        bytes: [u8; N],
        len: usize,
    }

    impl<const N: usize> Writer<N> {
        const fn byte(&mut self, byte: u8) {
            if self.len < N {
                self.bytes[self.len] = byte;
            }
            self.len += 1;
        }

        const fn count(&mut self, count: usize) {
            let bytes = (count as u32).to_le_bytes();
            let mut i = 0;
            while i < 4 {
                self.byte(bytes[i]);
                i += 1;
            }
        }

        const fn text(&mut self, text: &str) {
            self.count(text.len());
            let mut i = 0;
            while i < text.len() {
                self.byte(text.as_bytes()[i]);
                i += 1;
            }
        }

        const fn ty(&mut self, ty: &Type) {
            match ty {
                Type::Simple(tag) => self.byte(*tag),
                Type::Money(currency, exponent) => {
                    self.byte(tag::MONEY);
                    let mut i = 0;
                    while i < 3 {
                        self.byte(currency[i]);
                        i += 1;
                    }
                    self.byte(*exponent);
                }
                Type::Option(of) => {
                    self.byte(tag::OPTION);
                    self.ty(of);
                }
                Type::List(of) => {
                    self.byte(tag::LIST);
                    self.ty(of);
                }
                Type::Struct(name, doc, fields) => {
                    self.byte(tag::STRUCT);
                    self.text(name);
                    self.text(doc);
                    self.fields(fields);
                }
                Type::Enum(name, doc, variants) => {
                    self.byte(tag::ENUM);
                    self.text(name);
                    self.text(doc);
                    self.variants(variants);
                }
            }
        }

        const fn fields(&mut self, fields: &[Field]) {
            self.count(fields.len());
            let mut i = 0;
            while i < fields.len() {
                self.text(fields[i].name);
                self.text(fields[i].doc);
                self.ty(&fields[i].ty);
                i += 1;
            }
        }

        const fn variants(&mut self, variants: &[Variant]) {
            self.count(variants.len());
            let mut i = 0;
            while i < variants.len() {
                self.text(variants[i].name);
                self.text(variants[i].doc);
                self.text(variants[i].citation);
                self.fields(variants[i].fields);
                i += 1;
            }
        }

        const fn interface(mut self, interface: &Interface) -> Self {
            self.byte(INTERFACE_VERSION.to_le_bytes()[0]);
            self.byte(INTERFACE_VERSION.to_le_bytes()[1]);
            self.text(interface.name);
            self.text(interface.doc);
            self.text(interface.legal_basis);
            self.count(interface.methods.len());
            let mut i = 0;
            while i < interface.methods.len() {
                let method = &interface.methods[i];
                self.text(method.name);
                self.text(method.doc);
                self.text(method.citation);
                self.byte(method.kind as u8);
                self.fields(method.fields);
                self.ty(&method.returns);
                i += 1;
            }
            self.variants(interface.events);
            self.variants(interface.errors);
            self.count(interface.storage.len());
            let mut i = 0;
            while i < interface.storage.len() {
                let storage = &interface.storage[i];
                self.text(storage.name);
                self.text(storage.doc);
                self.count(storage.keys.len());
                let mut k = 0;
                while k < storage.keys.len() {
                    self.ty(&storage.keys[k]);
                    k += 1;
                }
                self.ty(&storage.value);
                i += 1;
            }
            self
        }
    }

    /// How many bytes [`encode`] writes.
    pub const fn len(interface: &Interface) -> usize {
        Writer::<0> { bytes: [], len: 0 }.interface(interface).len
    }

    /// The encoding; `N` is [`len`].
    pub const fn encode<const N: usize>(interface: &Interface) -> [u8; N] {
        let writer = Writer { bytes: [0; N], len: 0 }.interface(interface);
        assert!(writer.len == N, "N is not the length of the encoding");
        writer.bytes
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
