//! The description as constants, and its encoding at compile time.
//!
//! [`encode`] writes what [`Encode`](crate::codec::Encode) writes for the owned form; a test holds them together.

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
