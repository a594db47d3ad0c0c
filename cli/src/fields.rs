//! A method's arguments: from flags `--field value`, from JSON, or from a row, by the types that its interface describes.

use crate::failure::{Failure, Outcome};
use crate::output::escaped;
use crate::strict_json;
use chancery_types::interface::{Field, Method, Type};
use chancery_types::json;
use serde_json::{Map, Value};

/// Flags that the program itself takes where fields may stand, and whether a value follows.
const OWN: [(&str, bool); 13] = [
    ("as", true),
    ("json", true),
    ("data", true),
    ("keys", true),
    ("output", true),
    ("request", true),
    ("valid-for", true),
    ("wait", true),
    ("valid-until", true),
    ("name", true),
    ("init", true),
    ("dry-run", false),
    ("help", false),
];

/// Those that `profile` takes besides. A field of the same name is given with --json there.
const OWN_OF_PROFILE: [(&str, bool); 5] =
    [("module", true), ("names", true), ("by", true), ("flame", true), ("folded", true)];

/// A field as it stands on the command line: its name, and its text if one follows.
pub type Flag = (String, Option<String>);

/// Takes the fields of a contract's method out of the command line of `call`, `query`, `profile` and `deploy`; what is left is the program's own.
pub fn split(arguments: Vec<String>) -> (Vec<String>, Vec<Flag>) {
    let dynamic = ["call", "query", "profile", "deploy"];
    let mut profile = false;
    let mut own = Vec::new();
    let mut fields = Vec::new();
    let mut rest = arguments.into_iter().peekable();
    let mut command = false;
    own.extend(rest.next());
    while let Some(argument) = rest.next() {
        profile |= !command && argument == "profile";
        command |= dynamic.contains(&argument.as_str());
        let Some(flag) = argument.strip_prefix("--").filter(|flag| command && !flag.is_empty()) else {
            own.push(argument);
            continue;
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name.to_string(), Some(value.to_string())),
            None => (flag.to_string(), None),
        };
        let of_profile = OWN_OF_PROFILE.iter().filter(|_| profile);
        match OWN.iter().chain(of_profile).find(|(own, _)| *own == name) {
            Some((_, with_value)) => {
                own.push(argument);
                if *with_value && value.is_none() {
                    own.extend(rest.next());
                }
            }
            None => {
                // A negative number is a value; another flag is not.
                let is_value = |next: &String| !next.starts_with("--");
                let value = value.or_else(|| rest.next_if(is_value));
                fields.push((name.replace('-', "_"), value));
            }
        }
    }
    (own, fields)
}

/// The encoded arguments of a method, from JSON (text or `@file`) and flags together.
pub fn encode(method: &Method, json: Option<&str>, flags: &[Flag]) -> Outcome<Vec<u8>> {
    let fields = method.arguments();
    let mut object = json.map(read_json).transpose()?.unwrap_or_default();
    for (name, text) in flags {
        let Some(field) = fields.iter().find(|field| field.name == *name) else {
            return Err(Failure::usage(format!("`{}` has no field `{name}`.\n{}", method.name, usage(method))));
        };
        let value = match text {
            Some(text) => json::from_text(&field.ty, text)
                .map_err(|error| wrong(method, &format!("--{}: {error}", flag(name))))?,
            None if field.ty == Type::Bool => Value::Bool(true),
            None => return Err(wrong(method, &format!("--{} needs a value: {}", flag(name), json::form(&field.ty)))),
        };
        if object.insert(name.clone(), value).is_some() {
            return Err(wrong(method, &format!("`{name}` is given twice")));
        }
    }
    let mut out = Vec::new();
    json::encode_fields(fields, &object, &mut out).map_err(|error| wrong(method, &error.to_string()))?;
    Ok(out)
}

fn wrong(method: &Method, problem: &str) -> Failure {
    Failure::usage(format!("{problem}\n{}", usage(method)))
}

/// The flag of a field.
pub fn flag(field: &str) -> String {
    field.replace('_', "-")
}

fn read_json(text: &str) -> Outcome<Map<String, Value>> {
    let (text, from) = match text.strip_prefix('@') {
        Some(path) => {
            let read = std::fs::read_to_string(path);
            (read.map_err(|error| Failure::file("cannot read", path.as_ref(), &error))?, path.to_string())
        }
        None => (text.to_string(), "--json".into()),
    };
    match strict_json::parse(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Failure::usage(format!("{from}: expected a JSON object, for instance {{\"field\": \"value\"}}"))),
        Err(error) => Err(Failure::usage(format!("{from}: not JSON: {error}"))),
    }
}

/// The help of a method, from its interface description.
pub fn usage(method: &Method) -> String {
    let mut help = format!("{}\n", escaped(&method.doc));
    if !method.citation.is_empty() {
        help.push_str(&format!("({})\n", escaped(&method.citation)));
    }
    let width = method.arguments().iter().map(|field| field.name.len()).max().unwrap_or(0);
    let line = |field: &Field| {
        let optional = if matches!(field.ty, Type::Option { .. }) { " [optional]" } else { "" };
        let line = format!("  --{:width$}  {} ({}){optional}", flag(&field.name), field.doc, json::form(&field.ty));
        format!("{}\n", escaped(&line))
    };
    help.push_str("Fields:\n");
    help.extend(method.arguments().iter().map(line));
    if method.arguments().is_empty() {
        help.push_str("  none\n");
    }
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(String::from).collect()
    }

    #[test]
    fn fields_are_told_from_the_programs_own_flags() {
        let (own, fields) = split(words(
            "chancery --data d call permit apply --floor-area -5 --as clerk --urgent --kind=new --dry-run",
        ));
        assert_eq!(own, words("chancery --data d call permit apply --as clerk --dry-run"));
        let expected = [("floor_area", Some("-5")), ("urgent", None), ("kind", Some("new"))];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_string(), value.map(String::from))));
    }

    #[test]
    fn a_field_may_be_called_as_a_flag_of_profile_is() {
        let (own, fields) = split(words("chancery call register file --names x"));
        assert_eq!((own, fields.len()), (words("chancery call register file"), 1));
        let (own, fields) = split(words("chancery profile register file --names x --owner y"));
        assert_eq!((own, fields.len()), (words("chancery profile register file --names x"), 1));
    }

    #[test]
    fn other_commands_keep_all_their_flags() {
        let line = words("chancery batch permit apply f.csv --report out.csv");
        assert_eq!(split(line.clone()), (line, vec![]));
    }
}
