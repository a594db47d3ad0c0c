//! The shapes of the structs and enums that a contract's values are made of, for people.

use chancery_types::interface::{Field, Interface, Type, Variant};

/// The structs and enums in these types, each once, in the order in which they are met.
pub fn named<'a>(types: impl IntoIterator<Item = &'a Type>) -> Vec<&'a Type> {
    let mut found = Vec::new();
    types.into_iter().for_each(|ty| add(ty, &mut found));
    found
}

/// Those of all that an interface describes.
pub fn of_interface(interface: &Interface) -> Vec<&Type> {
    let methods = interface.methods.iter().flat_map(|method| types(method.arguments()).chain([&method.returns]));
    let variants = interface.events.iter().chain(&interface.errors).flat_map(|variant| types(&variant.fields));
    let stored = interface.storage.iter().flat_map(|stored| stored.keys.iter().chain([&stored.value]));
    named(methods.chain(variants).chain(stored))
}

fn types(fields: &[Field]) -> impl Iterator<Item = &Type> {
    fields.iter().map(|field| &field.ty)
}

/// Types nest at most [`chancery_types::interface::TYPE_DEPTH_MAX`] deep.
fn add<'a>(ty: &'a Type, found: &mut Vec<&'a Type>) {
    let fields: Vec<&Field> = match ty {
        Type::Option { of } | Type::List { of } => return add(of, found),
        Type::Struct { fields, .. } => fields.iter().collect(),
        Type::Enum { variants, .. } => variants.iter().flat_map(|variant| &variant.fields).collect(),
        _ => return,
    };
    if !found.contains(&ty) {
        found.push(ty);
        fields.into_iter().for_each(|field| add(&field.ty, found));
    }
}

/// The lines of a struct or an enum; `describe` says what a field's type is.
pub fn lines(ty: &Type, describe: impl Fn(&Type) -> String) -> Vec<String> {
    let field = |field: &Field| format!("{}: {}  {}", field.name, describe(&field.ty), field.doc);
    let variant = |variant: &Variant| {
        let fields = variant.fields.iter().map(|inner| format!("    {}", field(inner)));
        [format!("  {}: {}", variant.name, variant.doc)].into_iter().chain(fields).collect::<Vec<_>>()
    };
    let head = |name: &str, doc: &str| if doc.is_empty() { format!("{name}:") } else { format!("{name}: {doc}") };
    match ty {
        Type::Struct { name, doc, fields } => {
            let fields = fields.iter().map(|inner| format!("  {}", field(inner)));
            [head(name, doc)].into_iter().chain(fields).collect()
        }
        Type::Enum { name, doc, variants } => {
            [head(name, doc)].into_iter().chain(variants.iter().flat_map(variant)).collect()
        }
        _ => Vec::new(),
    }
}
