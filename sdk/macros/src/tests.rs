//! What the macros refuse, with the whole text of each error, since it is all that an author sees; and where they do not.

use crate::{contract, schema};
use proc_macro2::TokenStream;
use std::str::FromStr;

fn tokens(text: &str) -> TokenStream {
    TokenStream::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The error of a contract with these arguments and this content.
fn refused(arguments: &str, content: &str) -> String {
    let module = tokens(&format!("/// A sample.\npub mod sample {{ {content} }}"));
    match contract::expand(tokens(arguments), module) {
        Ok(_) => panic!("it is taken: {arguments} {content}"),
        Err(error) => error.to_string(),
    }
}

/// The error of a type.
fn refused_type(text: &str) -> String {
    match schema::expand(tokens(text)) {
        Ok(_) => panic!("it is taken: {text}"),
        Err(error) => error.to_string(),
    }
}

/// A method with these attributes, name and parameters behind the context.
fn method(attributes: &str, name: &str, parameters: &str) -> String {
    format!(
        "/// Does it.\n{attributes} pub fn {name}(ctx: &mut Context, {parameters}) -> Result<(), Error> {{ Ok(()) }}"
    )
}

const RULE: &str = r#"expected `#[rule("what was required", cites = "…")]`: a refusal says which rule was not met"#;
const STORED: &str = r#"expected `Item<T>` or `Map<K, V>`, made by `new("name")`"#;
const NAME: &str = "expected a name that begins with one of a to z and goes on with them, digits and `_`, at most 64 bytes: callers write it";

#[test]
fn arguments_are_read_whole_or_refused() {
    let text = |name: &str| format!("expected `{name} = \"…\"`, found a text without a name");
    assert_eq!(refused(r#""Act 3""#, ""), text("legal_basis"));
    assert_eq!(refused(r#"cites = "Act 3""#, ""), r#"expected `legal_basis = "…"`"#);
    assert_eq!(refused("legal_basis = 3", ""), "expected a text in quotes");
    assert_eq!(refused("", &method(r#"#[call("Ordinance 7, § 1")]"#, "pay", "")), text("cites"));
    assert_eq!(refused("", &method(r#"#[query("§ 1", cites = "§ 2")]"#, "pay", "")), text("cites"));
    let twice = r#"#[call(cites = "§ 1", cites = "§ 2")]"#;
    assert_eq!(refused("", &method(twice, "pay", "")), r#"expected `cites = "…"` once: this is the second"#);
    for mark in ["storage", "event", "error"] {
        let item = if mark == "storage" { r#"const A: Item<u8> = Item::new("a");"# } else { "enum E {}" };
        let wanted = format!("expected `#[{mark}]` and nothing in it");
        assert_eq!(refused("", &format!(r#"#[{mark}("text")] {item}"#)), wanted);
    }
    let event = r#"#[event] enum Event { #[rule("what was required", cites = "§ 1")] Paid }"#;
    assert_eq!(refused("", event), text("cites"));
}

#[test]
fn a_method_has_one_kind_and_a_contract_one_init() {
    let kinds = "expected one of `#[init]`, `#[call]` and `#[query]`";
    assert_eq!(refused("", &method("#[call] #[query]", "pay", "")), kinds);
    assert_eq!(refused("", &method("#[call] #[init]", "pay", "")), kinds);
    let inits = [method("#[init]", "open", ""), method("#[init]", "begin", "")].concat();
    assert_eq!(refused("", &inits), "expected one `#[init]`: a deployment runs one");
    assert_eq!(refused("", "#[event] #[error] enum E {}"), "expected one of `#[event]` and `#[error]`");
    assert_eq!(refused("", "#[event] enum A {} #[event] enum B {}"), "expected one `#[event]` enum");
}

#[test]
fn a_method_is_written_as_one() {
    let refused = |text: &str| refused("", text);
    assert_eq!(
        refused("#[call] fn pay(ctx: &mut Context) -> Result<(), Error> { Ok(()) }"),
        "expected a doc comment: it is the method's help text"
    );
    assert_eq!(refused("/// Pays.\n#[call] fn pay() -> Result<(), Error> {}"), "expected `ctx: &mut Context` first");
    assert_eq!(
        refused("/// Pays.\n#[query] fn paid(ctx: &mut Context) -> Result<(), Error> {}"),
        "expected `ctx: &Context` first"
    );
    assert_eq!(
        refused("/// Pays.\n#[call] fn pay(ctx: &mut Context) {}"),
        "expected a method to return `Result<T, Error>`"
    );
    assert_eq!(refused(&method("#[call]", "pay", "(a, b): (u8, u8)")), "expected a name: callers write it");
    assert_eq!(refused(&method("#[call]", "Pay", "")), NAME);
    assert_eq!(refused(&method("#[call]", "pay", "_amount: u8")), NAME);
    assert_eq!(refused(&method("#[call]", "pay", "größe: u8")), NAME);
    assert_eq!(refused(&method("#[call]", &"a".repeat(65), "")), NAME);
}

#[test]
fn what_is_stored_is_marked_and_has_a_name_of_its_own() {
    let refused = |text: &str| refused("", text);
    let marked = r#"#[storage] const A: Map<u8, u8> = Map::new("visits");"#;
    for unmarked in [
        r#"const B: Map<u8, u8> = Map::new("visits");"#,
        r#"const B: Item<u8> = chancery_sdk::Item::<u8>::new("visits");"#,
    ] {
        let message = "expected `#[storage]`: what is stored is part of the interface description";
        assert_eq!(refused(&format!("{marked} {unmarked}")), message);
    }
    assert_eq!(refused(&format!("{marked} {marked}")), "this storage name is used twice");
    assert_eq!(refused(r#"#[storage] const A: Item<u8> = Item::new("");"#), "expected a name of 1 to 64 bytes");
    assert_eq!(refused("#[storage] const A: Item<u8> = NEW;"), STORED);
    assert_eq!(refused(r#"#[storage] const A: Item<u8, u8> = Item::new("a");"#), STORED);
}

#[test]
fn errors_say_their_rule() {
    let refused = |text: &str| refused("", text);
    assert_eq!(refused("#[error] enum E { /// No.\n No }"), RULE);
    assert_eq!(
        refused(
            r#"#[error] enum E { /// No.
        #[rule(cites = "§ 1")] No }"#
        ),
        RULE
    );
    assert_eq!(
        refused(r#"#[error] enum E { #[rule("it is paid")] No }"#),
        "expected a doc comment: it is what people read"
    );
}

#[test]
fn a_type_has_named_fields_and_no_numbers_of_its_own() {
    let number = "expected no number: a variant is encoded by its position, so `as u8` must be the position too";
    assert_eq!(refused_type("enum Kind { A = 5, B }"), number);
    assert_eq!(refused("", "#[event] enum Event { Paid = 1 }"), number);
    assert_eq!(refused_type("struct Pair(u8, u8);"), "expected named fields: their names are shown to people");
    assert_eq!(refused_type("enum Kind { A(u8) }"), "expected named fields: their names are shown to people");
    assert_eq!(refused_type("struct Pair { Left: u8 }"), NAME);
    assert_eq!(refused_type("union U { a: u8 }"), "expected a struct or an enum");
    assert_eq!(refused_type("enum Kind {}"), "expected a variant: there is no value of this type");
    let of = |count: usize| format!("enum Kind {{ {} }}", (0..count).map(|n| format!("V{n}, ")).collect::<String>());
    assert_eq!(refused_type(&of(257)), "expected at most 256 variants");
    assert!(schema::expand(tokens(&of(256))).is_ok());
    assert_eq!(
        refused_type("struct Pair<T> { a: T }"),
        "expected a type without parameters: its description is one constant"
    );
}
