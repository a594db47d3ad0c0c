//! What a command prints: text for people, or one JSON value for programs.

use crate::failure::Failure;
use chancery_node::Progress;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::rc::Rc;
use std::sync::Arc;

/// Where and how a command works.
#[derive(Clone, Debug)]
pub struct Session {
    /// The ledger's directory.
    pub data: std::path::PathBuf,
    /// Whether that directory stands on the command line.
    pub data_given: bool,
    /// The directory of keys.
    pub keys: std::path::PathBuf,
    /// JSON instead of text.
    pub json: bool,
    /// Whether a result was printed.
    pub printed: Rc<Cell<bool>>,
}

impl Session {
    /// Prints the text, or the value.
    pub fn print(&self, text: impl FnOnce() -> String, value: impl FnOnce() -> Value) {
        let mut out = if self.json { format!("{:#}", value()) } else { text() };
        if !out.ends_with('\n') {
            out.push('\n');
        }
        self.printed.set(true);
        write_out(out.as_bytes());
    }

    /// Tells a failure: in words, and as a JSON value where no result was printed that a program could read instead.
    pub fn fail(&self, failure: &Failure) {
        tell(format_args!("error: {}", failure.message.trim_end()));
        if self.json && !self.printed.get() {
            print_failure(failure);
        }
    }

    /// A bar on standard error for a long work, where a person is looking.
    pub fn bar(&self, length: u64, what: &'static str) -> indicatif::ProgressBar {
        if self.json || !std::io::stderr().is_terminal() {
            return indicatif::ProgressBar::hidden();
        }
        let style = indicatif::ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {per_sec} {eta}");
        let bar = indicatif::ProgressBar::new(length).with_message(what);
        style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style))
    }

    /// A bar for a work of the node, and what the node moves it by: it says how much there is where that is known, and what it is doing.
    pub fn progress(&self, what: &'static str) -> (indicatif::ProgressBar, Progress) {
        let bar = self.bar(0, what);
        let moved = bar.clone();
        let progress = move |what: &str, done: u64, total: u64| {
            if total > 0 {
                moved.set_length(total.max(done));
            }
            moved.set_message(what.to_string());
            moved.set_position(done);
        };
        (bar, Arc::new(progress))
    }
}

/// A failure as a JSON value on standard output.
pub fn print_failure(failure: &Failure) {
    let value = json!({"failure": {"code": failure.code as u8, "message": failure.message.trim_end()}});
    write_out(format!("{value:#}\n").as_bytes());
}

/// Writes to standard output. A reader that hangs up, such as `head`, has seen enough.
pub fn write_out(bytes: &[u8]) {
    drop(std::io::stdout().write_all(bytes));
}

/// Writes a line to standard error, to whoever reads there.
pub fn tell(line: impl std::fmt::Display) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// A table with these headings.
pub fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        table.load_style(presets::NOTHING).set_width(200);
    }
    table.set_header(headings);
    table
}

/// Who cosigned a checkpoint.
pub fn cosigned(cosigners: &[String]) -> String {
    match cosigners {
        [] => "no witness cosigned it".into(),
        some => format!("cosigned by {}", some.join(", ")),
    }
}

/// A value in one line for people: texts bare, lists and objects as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        other => other.to_string(),
    }
}

/// A value in one line of words: `{"Issued": {"on": "2024-01-05"}}` as `Issued, on 2024-01-05`.
pub fn spoken(value: &Value) -> String {
    let inner = |value: &Value| if value.is_object() { format!("({})", spoken(value)) } else { spoken(value) };
    let fields = |fields: &Map<String, Value>| {
        let field = |(name, value): (&String, &Value)| format!("{} {}", name.replace('_', " "), inner(value));
        fields.iter().map(field).collect::<Vec<_>>().join(", ")
    };
    match value {
        Value::Object(object) => match object.iter().next() {
            Some((name, Value::Object(of))) if object.len() == 1 => format!("{name}, {}", fields(of)),
            _ => fields(object),
        },
        Value::Array(items) if items.is_empty() => "none".into(),
        Value::Array(items) => items.iter().map(inner).collect::<Vec<_>>().join(", "),
        other => plain(other),
    }
}

/// Lines `name: value`, objects and lists of objects indented.
pub fn lines(value: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(fields) => {
            let line = |(name, value): (&String, &Value)| match value {
                Value::Object(inner) if !inner.is_empty() => format!("{pad}{name}:\n{}", lines(value, indent + 2)),
                Value::Array(items) if items.iter().any(Value::is_object) => {
                    format!("{pad}{name}:\n{}", items.iter().map(|each| item(each, indent + 2)).collect::<String>())
                }
                Value::Array(items) if items.is_empty() => format!("{pad}{name}: none\n"),
                Value::Array(items) => {
                    format!("{pad}{name}: {}\n", items.iter().map(plain).collect::<Vec<_>>().join(", "))
                }
                other => format!("{pad}{name}: {}\n", plain(other)),
            };
            fields.iter().map(line).collect()
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().map(|each| item(each, indent)).collect()
        }
        other => format!("{pad}{}\n", plain(other)),
    }
}

/// An element of a list: its first line behind a hyphen, the others below.
fn item(value: &Value, indent: usize) -> String {
    let text = lines(value, indent + 2);
    format!("{}- {}", " ".repeat(indent), text.get(indent + 2..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_objects_stand_below_each_other() {
        let value =
            json!({"name": "a", "none": [], "words": ["x", "y"], "list": [{"k": 1, "in": {"b": true}}, {"k": 2}]});
        let expected = "name: a\nnone: none\nwords: x, y\nlist:\n  - k: 1\n    in:\n      b: yes\n  - k: 2\n";
        assert_eq!(lines(&value, 0), expected);
    }
}
