//! The names in an interface description. Arguments, results and stored values are written and shown under them, so each stands once in its
//! list, or the second would hide behind the first; and methods and fields are named as a call can name them.

use chancery_types::call::is_method_name;
use chancery_types::interface::{Field, Interface, MethodKind, Type, Variant};
use std::collections::BTreeSet;

/// `Err` says which name is wrong.
pub(super) fn check(interface: &Interface) -> Result<(), String> {
    let Interface { methods, events, errors, storage, .. } = interface;
    let inits = methods.iter().filter(|method| method.kind == MethodKind::Init).count();
    if inits > 1 {
        return Err(format!("{inits} init methods"));
    }
    once("methods", methods.iter().map(|method| &method.name))?;
    for method in methods {
        callable("method", &method.name)?;
        fields(&method.name, &method.fields)?;
        ty(&method.returns)?;
    }
    variants("events", events)?;
    variants("errors", errors)?;
    once("stored items", storage.iter().map(|stored| &stored.name))?;
    storage.iter().flat_map(|stored| stored.keys.iter().chain([&stored.value])).try_for_each(ty)
}

fn once<'a>(of: &str, mut names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    names.find(|name| !seen.insert(*name)).map_or(Ok(()), |twice| Err(format!("{twice:?} twice among the {of}")))
}

fn callable(what: &str, name: &str) -> Result<(), String> {
    if is_method_name(name) { Ok(()) } else { Err(format!("a {what} {name:?}")) }
}

fn fields(of: &str, fields: &[Field]) -> Result<(), String> {
    once(&format!("fields of {of:?}"), fields.iter().map(|field| &field.name))?;
    fields.iter().try_for_each(|field| callable("field", &field.name).and_then(|()| ty(&field.ty)))
}

fn variants(of: &str, variants: &[Variant]) -> Result<(), String> {
    once(of, variants.iter().map(|variant| &variant.name))?;
    variants.iter().try_for_each(|variant| fields(&variant.name, &variant.fields))
}

/// Types nest at most [`chancery_types::interface::TYPE_DEPTH_MAX`] deep.
fn ty(of: &Type) -> Result<(), String> {
    match of {
        Type::Option { of } | Type::List { of } => ty(of),
        Type::Struct { name, fields: of, .. } => fields(name, of),
        Type::Enum { name, variants: of, .. } => variants(&format!("variants of {name:?}"), of),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::{AdmissionError, admit, admit_new, check as checks_of};
    use crate::fixtures::described;
    use chancery_types::interface::{Method, Storage};

    fn field(name: &str, ty: Type) -> Field {
        Field { name: name.into(), doc: String::new(), ty }
    }

    fn variant(name: &str, fields: Vec<Field>) -> Variant {
        Variant { name: name.into(), doc: String::new(), citation: String::new(), fields }
    }

    fn method(name: &str, kind: MethodKind, fields: Vec<Field>) -> Method {
        Method { name: name.into(), doc: String::new(), citation: String::new(), kind, fields, returns: Type::Unit }
    }

    fn of(methods: Vec<Method>) -> Interface {
        Interface { version: 1, name: "names".into(), methods, ..Interface::default() }
    }

    fn taking(ty: Type) -> Interface {
        of(vec![method("pay", MethodKind::Call, vec![field("what", ty)])])
    }

    #[test]
    fn each_name_stands_once_and_can_be_called() {
        let call = |name: &str| method(name, MethodKind::Call, vec![]);
        let twice = || vec![field("amount", Type::U8), field("amount", Type::U8)];
        let stored = |value| Storage { name: "paid".into(), doc: String::new(), keys: vec![], value };
        let structure = |fields| Type::Struct { name: "S".into(), doc: String::new(), fields };
        let choice = |variants| Type::Enum { name: "E".into(), doc: String::new(), variants };
        let optional = |of| Type::Option { of: Box::new(of) };
        let wrong = [
            (of(vec![call("pay"), call("pay")]), r#""pay" twice among the methods"#),
            (of(["a", "b"].map(|name| method(name, MethodKind::Init, vec![])).into()), "2 init methods"),
            (of(vec![call("Pay")]), r#"a method "Pay""#),
            (of(vec![call("r#move")]), r##"a method "r#move""##),
            (of(vec![method("pay", MethodKind::Call, twice())]), r#""amount" twice among the fields of "pay""#),
            (taking(structure(twice())), r#""amount" twice among the fields of "S""#),
            (taking(optional(structure(vec![field("r#type", Type::U8)]))), r##"a field "r#type""##),
            (
                taking(choice(vec![variant("A", vec![]), variant("A", vec![])])),
                r#""A" twice among the variants of "E""#,
            ),
            (taking(choice(vec![variant("A", twice())])), r#""amount" twice among the fields of "A""#),
            (Interface { events: vec![variant("Paid", twice())], ..of(vec![]) }, r#"the fields of "Paid""#),
            (
                Interface { events: vec![variant("Paid", vec![]), variant("Paid", vec![])], ..of(vec![]) },
                r#""Paid" twice among the events"#,
            ),
            (
                Interface { errors: vec![variant("No", vec![]), variant("No", vec![])], ..of(vec![]) },
                r#""No" twice among the errors"#,
            ),
            (
                Interface { storage: vec![stored(Type::U8), stored(Type::U8)], ..of(vec![]) },
                r#""paid" twice among the stored items"#,
            ),
            (Interface { storage: vec![stored(structure(twice()))], ..of(vec![]) }, r#"the fields of "S""#),
        ];
        for (interface, found) in wrong {
            let wasm = described(&interface);
            let Err(AdmissionError::Failed(failed)) = admit_new(&wasm) else { panic!("{found}: it is admitted") };
            assert!(failed.name == "names of the description" && failed.found.contains(found), "{found}: {failed}");
            assert_eq!(checks_of(&wasm).iter().filter(|check| !check.ok).collect::<Vec<_>>(), [&failed]);
            assert!(admit(&wasm).is_ok(), "{found}: a ledger that has it executes it as before");
        }
        let sound = taking(optional(choice(vec![variant("A", vec![field("a", Type::U8)]), variant("B", vec![])])));
        assert!(admit_new(&described(&sound)).is_ok());
    }
}
