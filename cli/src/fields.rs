//! A method's arguments: from flags `--field value`, from JSON, or from a row, by the types that its interface describes.

use crate::Cli;
use crate::failure::{Failure, Outcome};
use crate::output::escaped;
use crate::shapes;
use crate::strict_json;
use chancery_types::interface::{Field, Method, Type};
use chancery_types::json;
use clap::CommandFactory;
use serde_json::{Map, Value};

/// The commands that take a method's fields as flags.
const COMMANDS: [&str; 4] = ["call", "query", "profile", "deploy"];

/// A command's own flags, those of all commands included, and whether a value follows each. A field of the same name is given as JSON.
fn own_flags(command: &str) -> Vec<(String, bool)> {
    let program = Cli::command();
    let of_all = program.get_arguments().filter(|argument| argument.is_global_set());
    let of_command = program.find_subcommand(command).into_iter().flat_map(clap::Command::get_arguments);
    let flag = |argument: &clap::Arg| Some((argument.get_long()?.to_string(), argument.get_action().takes_values()));
    of_all.chain(of_command).filter_map(flag).collect()
}

/// The flag by which a command takes fields as JSON.
fn json_flag(command: &str) -> &'static str {
    if command == "deploy" { "--init" } else { "--json" }
}

/// A field as it stands on the command line: its name, and its text if one follows.
pub type Flag = (String, Option<String>);

/// Takes the fields of a contract's method out of the command line of one of the [`COMMANDS`]; what is left is the program's own.
pub fn split(arguments: Vec<String>) -> (Vec<String>, Vec<Flag>) {
    let (mut own, mut fields) = (Vec::new(), Vec::new());
    let mut rest = arguments.into_iter().peekable();
    own.extend(rest.next());
    let (mut flags, mut command) = (own_flags(""), false);
    while let Some(argument) = rest.next() {
        let Some(flag) = argument.strip_prefix("--").filter(|flag| !flag.is_empty()) else {
            if !command {
                command = COMMANDS.contains(&argument.as_str());
                flags = own_flags(&argument);
            }
            own.push(argument);
            if !command {
                // Another command has no fields.
                own.extend(rest.by_ref());
            }
            continue;
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name.to_string(), Some(value.to_string())),
            None => (flag.to_string(), None),
        };
        match flags.iter().find(|(own, _)| *own == name) {
            Some((_, with_value)) => {
                own.push(argument);
                if *with_value && value.is_none() {
                    own.extend(rest.next());
                }
            }
            None if !command => own.push(argument),
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

/// The encoded arguments of a method that a command is given, from JSON (text or `@file`) and flags together.
pub fn encode(command: &str, method: &Method, json: Option<&str>, flags: &[Flag]) -> Outcome<Vec<u8>> {
    let fields = method.arguments();
    let wrong = |problem: &str| Failure::usage(format!("{problem}\n{}", usage(command, method)));
    let mut object = json.map(|json| read_json(json_flag(command), json)).transpose()?.unwrap_or_default();
    for (name, text) in flags {
        let Some(field) = fields.iter().find(|field| field.name == *name) else {
            return Err(wrong(&format!("`{}` has no field `{name}`.", method.name)));
        };
        let value = match text {
            Some(text) => from_text(&field.ty, text).map_err(|error| wrong(&format!("--{}: {error}", flag(name))))?,
            None if field.ty == Type::Bool => Value::Bool(true),
            None => return Err(wrong(&format!("--{} needs a value: {}", flag(name), json::form(&field.ty)))),
        };
        if object.insert(name.clone(), value).is_some() {
            return Err(wrong(&format!("`{name}` is given twice")));
        }
    }
    let mut out = Vec::new();
    json::encode_fields(fields, &object, &mut out).map_err(|error| wrong(&error.to_string()))?;
    Ok(out)
}

/// The JSON value that a flag or a table cell means: JSON where the type has parts, else the text itself; an empty text is an absent value.
///
/// # Errors
/// When JSON was expected and the text is none, or a name stands twice in it.
pub fn from_text(ty: &Type, text: &str) -> Result<Value, String> {
    let is_json = match ty {
        Type::Option { .. } if text.is_empty() => return Ok(Value::Null),
        Type::Option { of } => return from_text(of, text),
        Type::List { of } => **of != Type::U8,
        Type::Struct { .. } => true,
        Type::Enum { .. } => text.starts_with('{'),
        _ => false,
    };
    if !is_json {
        return Ok(text.into());
    }
    strict_json::parse(text).map_err(|error| format!("expected {} as JSON: {error}", json::form(ty)))
}

/// The flag of a field.
pub fn flag(field: &str) -> String {
    field.replace('_', "-")
}

fn read_json(flag: &str, text: &str) -> Outcome<Map<String, Value>> {
    let (text, from) = match text.strip_prefix('@') {
        Some(path) => {
            let read = std::fs::read_to_string(path);
            (read.map_err(|error| Failure::file("cannot read", path.as_ref(), &error))?, path.to_string())
        }
        None => (text.to_string(), flag.into()),
    };
    match strict_json::parse(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Failure::usage(format!("{from}: expected a JSON object, for instance {{\"field\": \"value\"}}"))),
        Err(error) => Err(Failure::usage(format!("{from}: not JSON: {error}"))),
    }
}

/// The help of a method that a command is given, from its interface description.
pub fn usage(command: &str, method: &Method) -> String {
    let mut help = format!("{}\n", escaped(&method.doc));
    if !method.citation.is_empty() {
        help.push_str(&format!("({})\n", escaped(&method.citation)));
    }
    let own = own_flags(command);
    let width = method.arguments().iter().map(|field| field.name.len() + 2).max().unwrap_or(0);
    let line = |field: &Field| {
        let flag = flag(&field.name);
        let optional = if matches!(field.ty, Type::Option { .. }) { " [optional]" } else { "" };
        let (name, how) = if own.iter().any(|(own, _)| *own == flag) {
            let how = format!(" [with {} alone: `--{flag}` is `{command}`'s own]", json_flag(command));
            (field.name.clone(), how)
        } else {
            (format!("--{flag}"), String::new())
        };
        let line = format!("  {name:width$}  {} ({}){optional}{how}", field.doc, json::form(&field.ty));
        format!("{}\n", escaped(&line))
    };
    help.push_str("Fields:\n");
    help.extend(method.arguments().iter().map(line));
    if method.arguments().is_empty() {
        help.push_str("  none\n");
    }
    let named = shapes::named(method.arguments().iter().map(|field| &field.ty));
    help.extend(named.iter().flat_map(|ty| shapes::lines(ty, json::form)).map(|line| format!("{}\n", escaped(&line))));
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
    fn a_flag_belongs_to_the_command_that_has_it() {
        for (line, own) in [
            ("chancery call a b --name n --init i --wait logged", "chancery call a b --wait logged"),
            ("chancery query a b --request r --wait w --help", "chancery query a b --help"),
            ("chancery deploy f --name n --json j --dry-run", "chancery deploy f --name n"),
            ("chancery --data call call a b --output json --module m", "chancery --data call call a b --output json"),
        ] {
            assert_eq!(split(words(line)).0, words(own), "{line}");
        }
        let line = words("chancery --data call log list --limit 5");
        assert_eq!(split(line.clone()), (line, vec![]));
    }

    fn field(name: &str, ty: Type) -> Field {
        Field { name: name.into(), doc: format!("The {name}."), ty }
    }

    fn method(fields: Vec<Field>) -> Method {
        let kind = chancery_types::interface::MethodKind::Call;
        Method { name: "apply".into(), doc: "D.".into(), citation: String::new(), kind, fields, returns: Type::Unit }
    }

    #[test]
    fn a_field_that_no_flag_can_give_is_said_to_need_json() {
        let method = method(vec![field("name", Type::Text), field("valid_for", Type::U32)]);
        let call = usage("call", &method);
        assert!(call.contains("  --name       The name. (text)\n"), "{call}");
        let alone =
            "  valid_for    The valid_for. (a whole number (u32)) [with --json alone: `--valid-for` is `call`'s own]";
        assert!(call.contains(alone), "{call}");
        let deploy = encode("deploy", &method, None, &[]).unwrap_err().message;
        assert!(deploy.starts_with("name: missing") && deploy.contains("[with --init alone: `--name` is"), "{deploy}");
        assert!(encode("call", &method, Some(r#"{"valid_for": 5}"#), &[("name".into(), Some("Ada".into()))]).is_ok());
    }

    fn heating() -> Type {
        let variant = |name: &str, fields| chancery_types::interface::Variant {
            name: name.into(),
            doc: format!("By {name}."),
            citation: String::new(),
            fields,
        };
        let variants = vec![variant("Gas", vec![]), variant("Oil", vec![field("litres", Type::U32)])];
        Type::Enum { name: "Heating".into(), doc: "What heats.".into(), variants }
    }

    #[test]
    fn help_shows_the_shape_of_every_named_type_once() {
        let person =
            Type::Struct { name: "Person".into(), doc: "Who.".into(), fields: vec![field("heats", heating())] };
        let persons = Type::Option { of: Box::new(Type::List { of: Box::new(person) }) };
        let help = usage("call", &method(vec![field("heating", heating()), field("persons", persons)]));
        let shown = "Fields:\n  --heating  The heating. (one of Gas, Oil {litres})\n  \
            --persons  The persons. (a JSON list, each Person {heats}) [optional]\n\
            Heating: What heats.\n  Gas: By Gas.\n  Oil: By Oil.\n    litres: a whole number (u32)  The litres.\n\
            Person: Who.\n  heats: one of Gas, Oil {litres}  The heats.\n";
        assert!(help.ends_with(shown), "{help}");
    }

    #[test]
    fn a_name_that_stands_twice_in_a_flag_or_a_cell_is_refused() {
        let list = Type::List { of: Box::new(heating()) };
        for (ty, text) in [
            (heating(), r#"{"Oil":{"litres":1,"litres":2}}"#),
            (list, r#"[{"Oil":{"litres":1,"litres":2}}]"#),
            (Type::Option { of: Box::new(heating()) }, r#"{"Oil":{"litres":1,"litres":2}}"#),
        ] {
            let error = from_text(&ty, text).unwrap_err();
            assert!(error.contains("the name `litres` stands twice: remove one"), "{error}");
        }
        assert_eq!(from_text(&heating(), "Gas"), Ok("Gas".into()));
        assert!(from_text(&heating(), r#"{"Oil":{"litres":1}}"#).is_ok_and(|value| value.is_object()));
    }

    #[test]
    fn other_commands_keep_all_their_flags() {
        let line = words("chancery batch permit apply f.csv --report out.csv");
        assert_eq!(split(line.clone()), (line, vec![]));
    }
}
