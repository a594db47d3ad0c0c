//! `inspect`: the interface description of a module's file or of a deployed contract, and the most memory that a call of it may have.

use crate::failure::Outcome;
use crate::output::{Session, escaped};
use crate::shapes;
use crate::town::{admit, contract, open_to_read, read_module};
use chancery_engine::{Admitted, MemoryLimit};
use chancery_types::interface::{Field, Interface, MethodKind, Type, Variant};
use chancery_types::json;
use serde_json::{Value, json};
use std::path::Path;

#[derive(clap::Args)]
pub struct Arguments {
    /// A module's file, or the name of a deployed contract.
    what: String,
}

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let path = Path::new(&arguments.what);
    let wasm = if path.is_file() || arguments.what.ends_with(".wasm") {
        read_module(path)?
    } else {
        let ledger = open_to_read(session)?;
        let (record, _) = contract(&ledger, &arguments.what)?;
        ledger.module_bytes(&record.module)?
    };
    let admitted = admit(&wasm)?;
    session.print(|| text(&admitted), || value(&admitted));
    Ok(())
}

fn fields_value(fields: &[Field]) -> Value {
    let field = |field: &Field| {
        let optional = matches!(field.ty, Type::Option { .. });
        let mut shown = json!({"name": field.name, "doc": field.doc, "type": field.ty.describe(), "optional": optional, "form": json::form(&field.ty)});
        if let Type::Struct { fields, .. } = &field.ty {
            shown["fields"] = fields_value(fields);
        }
        shown
    };
    fields.iter().map(field).collect()
}

fn variants_value(variants: &[Variant]) -> Value {
    let variant = |variant: &Variant| json!({"name": variant.name, "doc": variant.doc, "citation": variant.citation, "fields": fields_value(&variant.fields)});
    variants.iter().map(variant).collect()
}

/// A struct or an enum.
fn type_value(ty: &Type) -> Value {
    match ty {
        Type::Struct { name, doc, fields } => json!({"name": name, "doc": doc, "fields": fields_value(fields)}),
        Type::Enum { name, doc, variants } => json!({"name": name, "doc": doc, "variants": variants_value(variants)}),
        other => other.describe().into(),
    }
}

fn kind(kind: MethodKind) -> &'static str {
    match kind {
        MethodKind::Init => "init",
        MethodKind::Call => "call",
        MethodKind::Query => "query",
    }
}

/// The most memory of a module, and what an access costs.
pub fn memory_value(memory: &MemoryLimit) -> Value {
    json!({"pages_max": memory.pages_max(), "declared": memory.declared.is_some(), "access_gas": memory.access().0})
}

fn value(Admitted { id, interface, memory, .. }: &Admitted) -> Value {
    let methods = interface.methods.iter().map(|method| {
        json!({
            "name": method.name, "kind": kind(method.kind), "doc": method.doc, "citation": method.citation,
            "fields": fields_value(method.arguments()), "returns": method.returns.describe(),
        })
    });
    let storage = interface.storage.iter().map(|storage| {
        let keys: Vec<String> = storage.keys.iter().map(Type::describe).collect();
        json!({"name": storage.name, "doc": storage.doc, "keys": keys, "value": storage.value.describe()})
    });
    json!({
        "name": interface.name, "doc": interface.doc, "legal_basis": interface.legal_basis, "module": id.to_string(), "memory": memory_value(memory),
        "methods": methods.collect::<Value>(), "events": variants_value(&interface.events),
        "errors": variants_value(&interface.errors), "types": shapes::of_interface(interface).into_iter().map(type_value).collect::<Value>(), "storage": storage.collect::<Value>(),
    })
}

fn cited(citation: &str) -> String {
    if citation.is_empty() { String::new() } else { format!(" ({citation})") }
}

fn text(Admitted { id, interface, memory, .. }: &Admitted) -> String {
    let Interface { name, doc, legal_basis, .. } = interface;
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&escaped(&text));
        out.push('\n');
    };
    line(format!("{name}: {doc}"));
    line(format!("legal basis: {legal_basis}"));
    line(format!("module: {id}"));
    line(format!("memory: {memory}"));
    line(String::new());
    line("methods".into());
    for method in &interface.methods {
        line(format!("  {} {}{}", kind(method.kind), method.name, cited(&method.citation)));
        line(format!("      {}", method.doc));
        for field in method.arguments() {
            line(format!("      {}: {}  {}", field.name, field.ty.describe(), field.doc));
        }
        if method.returns != Type::Unit {
            let parts = match &method.returns {
                Type::Struct { fields, .. } => {
                    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
                    format!(" ({})", names.join(", "))
                }
                _ => String::new(),
            };
            line(format!("      -> {}{parts}", method.returns.describe()));
        }
    }
    for (heading, variants) in [("events", &interface.events), ("errors", &interface.errors)] {
        line(String::new());
        line(heading.into());
        for (position, variant) in variants.iter().enumerate() {
            line(format!("  {position} {}{}: {}", variant.name, cited(&variant.citation), variant.doc));
            for field in &variant.fields {
                line(format!("      {}: {}  {}", field.name, field.ty.describe(), field.doc));
            }
        }
    }
    let types = shapes::of_interface(interface);
    if !types.is_empty() {
        line(String::new());
        line("types".into());
        types.into_iter().flat_map(|ty| shapes::lines(ty, Type::describe)).for_each(|text| line(format!("  {text}")));
    }
    line(String::new());
    line("stored".into());
    for storage in &interface.storage {
        let keys: Vec<String> = storage.keys.iter().map(Type::describe).collect();
        let keys = if keys.is_empty() { String::new() } else { format!(" by {}", keys.join(", ")) };
        line(format!("  {}{keys}: {}  {}", storage.name, storage.value.describe(), storage.doc));
    }
    out
}
