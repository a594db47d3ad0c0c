//! Contracts in languages that have no SDK: the interface description as JSON, and how it gets into the module.
//!
//! A contract in Rust gets its description from the SDK's macros. One in another language writes it beside its code:
//!
//! ```json
//! {
//!   "name": "notice-board", "doc": "…", "legal_basis": "…",
//!   "methods": [{ "name": "publish", "doc": "…", "citation": "…", "kind": "call",
//!                 "fields": [{ "name": "text", "doc": "…", "type": "text" }], "returns": "u32" }],
//!   "events": [{ "name": "Published", "doc": "…", "fields": [] }],
//!   "errors": [{ "name": "Empty", "doc": "…" }],
//!   "storage": [{ "name": "notices", "doc": "…", "keys": ["u32"], "value": "text" }]
//! }
//! ```
//!
//! `kind` is `init`, `call` or `query`. A type is one of the words of [`TYPES`], `money<EUR,2>`, `option<…>` or `list<…>`. What may be left out is
//! empty: citation, fields, keys; `returns` is `nothing`. A misspelt member is an error, as everything else that has no meaning.

#![forbid(unsafe_code)]

use anyhow::{Context, Result, anyhow, bail, ensure};
use chancery_types::codec::Encode;
use chancery_types::interface::{
    Field, INTERFACE_VERSION, Interface, Method, MethodKind, SECTION, Storage, Type, Variant,
};
use serde_json::{Map, Value};

/// The words for types without parameters.
pub const TYPES: [(&str, Type); 17] = [
    ("nothing", Type::Unit),
    ("bool", Type::Bool),
    ("u8", Type::U8),
    ("u16", Type::U16),
    ("u32", Type::U32),
    ("u64", Type::U64),
    ("u128", Type::U128),
    ("i32", Type::I32),
    ("i64", Type::I64),
    ("text", Type::Text),
    ("hash", Type::Hash),
    ("public_key", Type::PublicKey),
    ("signature", Type::Signature),
    ("date", Type::Date),
    ("month", Type::Month),
    ("timestamp", Type::Timestamp),
    ("ratio", Type::Ratio),
];

/// The module with its description in place of any other, stripped of what a compiler leaves; and checked, so that what comes out is admitted.
///
/// # Errors
/// A description that says nothing or something else, or a module that would not be admitted, with the limit and what was found.
pub fn attach(wasm: &[u8], description: &str) -> Result<Vec<u8>> {
    let interface = interface(description)?;
    let mut out = chancery_engine::strip(wasm)?;
    let described = wasm_sections(&out)?;
    ensure!(!described, "the module has an interface description already: expected one without");
    let section = wasm_encoder::CustomSection { name: SECTION.into(), data: interface.to_bytes().into() };
    wasm_encoder::Section::append_to(&section, &mut out);
    chancery_engine::admit(&out)?;
    Ok(out)
}

/// Whether a module has a description: admission of it without one says so.
fn wasm_sections(wasm: &[u8]) -> Result<bool> {
    let checks = chancery_engine::check(wasm);
    let interface = checks.iter().find(|check| check.name == "interface description");
    Ok(interface.context("the bytes are no valid WebAssembly module of the admitted profile")?.found
        != "0 descriptions")
}

/// Reads a description.
///
/// # Errors
/// What is missing, unknown or of another form, and where.
pub fn interface(description: &str) -> Result<Interface> {
    let value: Value = serde_json::from_str(description).context("the description is not JSON")?;
    let mut object = Object::of(&value, "the description")?;
    let interface = Interface {
        version: INTERFACE_VERSION,
        name: object.text("name")?,
        doc: object.text("doc")?,
        legal_basis: object.text("legal_basis")?,
        methods: object.list("methods", method)?,
        events: object.list("events", variant)?,
        errors: object.list("errors", variant)?,
        storage: object.list("storage", storage)?,
    };
    object.end()?;
    Ok(interface)
}

/// A JSON object whose members are taken one by one; what is left over is an error.
struct Object<'a> {
    members: Map<String, Value>,
    place: &'a str,
}

impl<'a> Object<'a> {
    fn of(value: &Value, place: &'a str) -> Result<Self> {
        let members = value.as_object().with_context(|| format!("{place}: expected an object, found {value}"))?;
        Ok(Object { members: members.clone(), place })
    }

    fn text(&mut self, name: &str) -> Result<String> {
        self.optional_text(name)?.with_context(|| format!("{}: `{name}` is missing", self.place))
    }

    fn optional_text(&mut self, name: &str) -> Result<Option<String>> {
        match self.members.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => bail!("{}: `{name}`: expected text, found {other}", self.place),
        }
    }

    fn list<T>(&mut self, name: &str, element: impl Fn(&Value) -> Result<T>) -> Result<Vec<T>> {
        let Some(list) = self.members.remove(name) else { return Ok(Vec::new()) };
        let list =
            list.as_array().with_context(|| format!("{}: `{name}`: expected a list, found {list}", self.place))?;
        list.iter().map(|value| element(value).with_context(|| format!("in `{name}`"))).collect()
    }

    fn end(self) -> Result<()> {
        let unknown = self.members.keys().next();
        unknown.map_or(Ok(()), |name| Err(anyhow!("{}: `{name}` has no meaning here", self.place)))
    }
}

fn method(value: &Value) -> Result<Method> {
    let mut object = Object::of(value, "a method")?;
    let kind = object.text("kind")?;
    let method = Method {
        name: object.text("name")?,
        doc: object.text("doc")?,
        citation: object.optional_text("citation")?.unwrap_or_default(),
        kind: match kind.as_str() {
            "init" => MethodKind::Init,
            "call" => MethodKind::Call,
            "query" => MethodKind::Query,
            _ => bail!("`kind`: expected init, call or query, found {kind}"),
        },
        fields: object.list("fields", field)?,
        returns: ty(&object.optional_text("returns")?.unwrap_or_else(|| "nothing".into()))?,
    };
    object.end()?;
    Ok(method)
}

fn field(value: &Value) -> Result<Field> {
    let mut object = Object::of(value, "a field")?;
    let field = Field { name: object.text("name")?, doc: object.text("doc")?, ty: ty(&object.text("type")?)? };
    object.end()?;
    Ok(field)
}

fn variant(value: &Value) -> Result<Variant> {
    let mut object = Object::of(value, "an event or error")?;
    let variant = Variant {
        name: object.text("name")?,
        doc: object.text("doc")?,
        citation: object.optional_text("citation")?.unwrap_or_default(),
        fields: object.list("fields", field)?,
    };
    object.end()?;
    Ok(variant)
}

fn storage(value: &Value) -> Result<Storage> {
    let mut object = Object::of(value, "an item of storage")?;
    let text = |value: &Value| value.as_str().context("expected a type's name").and_then(ty);
    let storage = Storage {
        name: object.text("name")?,
        doc: object.text("doc")?,
        keys: object.list("keys", text)?,
        value: ty(&object.text("value")?)?,
    };
    object.end()?;
    Ok(storage)
}

fn ty(word: &str) -> Result<Type> {
    let within = |outer: &str| word.strip_prefix(outer)?.strip_prefix('<')?.strip_suffix('>');
    if let Some(of) = within("list") {
        return Ok(Type::List { of: Box::new(ty(of)?) });
    }
    if let Some(of) = within("option") {
        return Ok(Type::Option { of: Box::new(ty(of)?) });
    }
    if let Some((currency, exponent)) = within("money").and_then(|of| of.split_once(',')) {
        let currency = currency.as_bytes().try_into().context("a currency has three letters")?;
        return Ok(Type::Money { currency, exponent: exponent.parse().context("the decimals of a currency")? });
    }
    let simple = TYPES.into_iter().find(|(name, _)| *name == word);
    simple.map(|(_, ty)| ty).with_context(|| {
        let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
        format!("no type is called {word}: expected {}, money<EUR,2>, option<…> or list<…>", names.join(", "))
    })
}
