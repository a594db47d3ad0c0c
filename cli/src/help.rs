//! Help of the commands whose flags are a contract's own fields: `deploy`, `call`, `query` and `profile`. What they take is known only when the interface
//! has been read.

use crate::failure::{Failure, Outcome};
use crate::output::{Session, escaped};
use crate::town;
use chancery_types::interface::{Interface, Method, MethodKind};
use serde_json::json;

/// The form of a command that was given too little: the answer where help is asked for, else what the error says.
pub fn form(session: &Session, form: &str, asked: bool) -> Outcome {
    if !asked {
        return Err(Failure::usage(form));
    }
    session.print(|| form.into(), || json!(form));
    Ok(())
}

/// A deployed contract's methods of a kind, for `call` and `query`.
pub fn methods(session: &Session, contract: &str, kind: MethodKind) -> Outcome {
    let (_, interface) = town::contract(&town::open_to_read(session)?, contract)?;
    let text = list(&interface, contract, kind);
    session.print(|| text.clone(), || json!(text));
    Ok(())
}

/// The form of a command and the fields that it takes; a program is told the fields alone.
pub fn fields(session: &Session, form: &str, fields: &str) -> Outcome {
    session.print(|| format!("{form}\n{fields}"), || json!(fields));
    Ok(())
}

/// The methods of a kind, one a line.
fn list(interface: &Interface, contract: &str, kind: MethodKind) -> String {
    let command = if kind == MethodKind::Query { "query" } else { "call" };
    let of_kind: Vec<&Method> = interface.methods.iter().filter(|method| method.kind == kind).collect();
    let width = of_kind.iter().map(|method| method.name.len()).max().unwrap_or(0);
    let line =
        |method: &&Method| format!("  {:width$}  {}\n", escaped(&method.name.replace('_', "-")), escaped(&method.doc));
    let all = if of_kind.is_empty() { "  none\n".into() } else { of_kind.iter().map(line).collect::<String>() };
    format!(
        "{}: {}\nchancery {command} {contract} METHOD …, one of\n{all}`--help` after a method lists its fields",
        escaped(&interface.name),
        escaped(&interface.doc)
    )
}
