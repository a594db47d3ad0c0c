//! Pages are kept equal to what they speak of: the contracts' pages to the modules' interface descriptions, and links to files.

#![forbid(unsafe_code)]

use chancery_tests::{check_region, page, pages, root};
use chancery_types::interface::{Field, Interface, MethodKind, Type, Variant};
use std::fmt::Write as _;

fn fields(fields: &[Field]) -> String {
    let field = |field: &Field| format!("`{}`: {}", field.name, field.ty.describe());
    fields.iter().map(field).collect::<Vec<_>>().join("; ")
}

fn variants(title: &str, list: &[Variant], text: &mut String) {
    if list.is_empty() {
        return;
    }
    writeln!(text, "\n| {title} | provision | meaning | fields |\n|---|---|---|---|").unwrap();
    for (number, variant) in list.iter().enumerate() {
        let Variant { name, doc, citation, fields: list } = variant;
        writeln!(text, "| {number} `{name}` | {citation} | {doc} | {} |", fields(list)).unwrap();
    }
}

/// An enum or struct that the methods use, and what it is made of.
fn types(ty: &Type, found: &mut Vec<(String, String)>) {
    let (name, parts, inner): (&String, String, Vec<&Type>) = match ty {
        Type::Option { of } | Type::List { of } => return types(of, found),
        Type::Struct { name, fields: list, .. } => (name, fields(list), list.iter().map(|field| &field.ty).collect()),
        Type::Enum { name, variants, .. } => {
            let variant = |variant: &Variant| match variant.fields.as_slice() {
                [] => format!("`{}`", variant.name),
                list => format!("`{}` ({})", variant.name, fields(list)),
            };
            let parts = variants.iter().map(variant).collect::<Vec<_>>().join(", ");
            (name, parts, variants.iter().flat_map(|variant| &variant.fields).map(|field| &field.ty).collect())
        }
        _ => return,
    };
    if found.iter().all(|(known, _)| known != name) {
        found.push((name.clone(), parts));
        inner.into_iter().for_each(|ty| types(ty, found));
    }
}

/// The interface description as a contract's page shows it.
fn tables(interface: &Interface) -> String {
    let mut text = String::from("\n| method | provision | what it does | fields | answer |\n|---|---|---|---|---|\n");
    let mut used = Vec::new();
    for method in &interface.methods {
        let kind = match method.kind {
            MethodKind::Init => "init",
            MethodKind::Call => "call",
            MethodKind::Query => "query",
        };
        let returns = method.returns.describe();
        writeln!(
            text,
            "| {kind} `{}` | {} | {} | {} | {returns} |",
            method.name,
            method.citation,
            method.doc,
            fields(method.arguments())
        )
        .unwrap();
        method.arguments().iter().for_each(|field| types(&field.ty, &mut used));
        types(&method.returns, &mut used);
    }
    if !used.is_empty() {
        text.push_str("\n| type | made of |\n|---|---|\n");
        used.iter().for_each(|(name, parts)| writeln!(text, "| {name} | {parts} |").unwrap());
    }
    variants("error", &interface.errors, &mut text);
    variants("event", &interface.events, &mut text);
    text.push('\n');
    text
}

#[test]
fn every_contract_has_a_page_with_the_tables_of_its_interface() {
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("contracts")).unwrap() {
        let path = entry.unwrap().path();
        if !path.join("Cargo.toml").is_file() {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        // Contracts in other languages: a page and a `dist` of their own.
        if name == "polyglot" {
            continue;
        }
        let wasm = std::fs::read(root().join(format!("contracts/dist/{name}.wasm"))).unwrap();
        let interface = chancery_engine::admit(&wasm).unwrap_or_else(|error| panic!("{name}: {error}")).interface;
        let readme = format!("contracts/{name}/README.md");
        assert!(page(&readme).contains(&interface.legal_basis), "{readme} does not name the legal basis");
        check_region(&readme, "interface", &tables(&interface));
        seen += 1;
    }
    assert!(seen >= 6, "found {seen} contracts");
}

/// Targets of the links of a page, fenced blocks and code spans left out.
fn links(text: &str) -> Vec<String> {
    let (mut found, mut fenced) = (Vec::new(), false);
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        found.extend(prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_string())));
    }
    found
}

/// The anchor that a heading has.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let (mut checked, mut broken) = (0, Vec::new());
    for path in pages() {
        let here = root().join(&path);
        for link in links(&page(&path)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            let (file, fragment) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { here.clone() } else { here.parent().unwrap().join(file) };
            let reached = if fragment.is_empty() {
                target.exists()
            } else {
                let text = std::fs::read_to_string(&target).unwrap_or_default();
                text.lines().any(|line| line.starts_with('#') && anchor(line) == fragment)
            };
            if !reached {
                broken.push(format!("{path}: {link}"));
            }
        }
    }
    assert!(checked > 50, "{checked} links were found");
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn every_page_of_the_book_is_in_its_summary() {
    let summary = page("docs/src/SUMMARY.md");
    let pages = pages();
    let book = pages.iter().filter_map(|path| path.strip_prefix("docs/src/")).filter(|path| *path != "SUMMARY.md");
    let missing: Vec<&str> = book.filter(|path| !summary.contains(&format!("({path})"))).collect();
    assert!(missing.is_empty(), "not in SUMMARY.md: {missing:?}");
}

#[test]
fn links_and_anchors_are_read() {
    assert_eq!(links("a [b](c.md) `[d](e)`\n```\n[f](g)\n```\n[h](#i)"), ["c.md", "#i"]);
    assert_eq!(anchor("## Gas, and prices"), "gas-and-prices");
}
