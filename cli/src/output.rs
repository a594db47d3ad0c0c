//! What a command prints: text for people, or one JSON value for programs.
//!
//! Texts of calls, states, contracts, files and other machines may hold anything. So all that is printed passes [`shown`], which leaves no character
//! that commands a terminal, and a value passes [`escaped`] where it becomes a part of a line, in [`lines`], in [`Table`] and wherever else a line is
//! put together, so that none begins a line of its own. Files that are handed out are printed as they are, but for a terminal.

use crate::failure::{Code, Failure, Outcome};
use chancery_node::Progress;
pub use chancery_types::printed::escaped;
use comfy_table::{CellAlignment, ContentArrangement, presets};
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

/// Where and how a command works.
#[derive(Clone, Debug)]
pub struct Session {
    /// The ledger's directory.
    pub data: std::path::PathBuf,
    /// Whether that directory stands on the command line.
    pub data_given: bool,
    /// The directory of keys.
    pub keys: std::path::PathBuf,
    /// Whether that directory stands on the command line.
    pub keys_given: bool,
    /// JSON instead of text.
    pub json: bool,
    /// Whether a result was printed.
    pub printed: Rc<Cell<bool>>,
}

impl Session {
    /// Prints the text, or the value.
    pub fn print(&self, text: impl FnOnce() -> String, value: impl FnOnce() -> Value) {
        self.printed.set(true);
        print_text(if self.json { format!("{:#}", value()) } else { text() });
    }

    /// Prints a file that is handed out, or the value.
    pub fn print_file(&self, file: &str, value: impl FnOnce() -> Value) {
        if self.json || std::io::stdout().is_terminal() {
            return self.print(|| file.into(), value);
        }
        self.printed.set(true);
        write_out(file.as_bytes());
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

/// Tells a failure in words, and to a program that reads JSON as a value. Gives its exit code.
pub fn fail(failure: &Failure, json: bool) -> ExitCode {
    tell(format_args!("error: {}", failure.message.trim_end()));
    if json {
        print_failure(failure);
    }
    ExitCode::from(failure.code as u8)
}

/// A failure as a JSON value on standard output.
pub fn print_failure(failure: &Failure) {
    let value = json!({"failure": {"code": failure.code as u8, "message": failure.message.trim_end()}});
    print_text(format!("{value:#}"));
}

/// Prints text, which ends in a line feed then.
fn print_text(mut text: String) {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    write_out(shown(&text).as_bytes());
}

/// Lines, with what commands a terminal escaped in each.
fn shown(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

/// What kept a result from being written.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Writes to standard output; [`finish`] says whether that failed.
pub fn write_out(bytes: &[u8]) {
    let mut out = io::stdout();
    check_written(out.write_all(bytes).and_then(|()| out.flush()));
}

/// Keeps what kept a result from being written. A reader that hangs up, such as `head`, has seen enough.
pub fn check_written(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        // The first error is the one to tell.
        UNWRITTEN.get_or_init(|| error);
    }
}

/// Whether all results were written.
pub fn finish() -> Outcome {
    UNWRITTEN.get().map_or(Ok(()), |error| {
        Err(Failure {
            code: Code::Unavailable,
            message: format!(
                "the result cannot be written to standard output: {error}. The command did what it was asked for, and its result is lost: see to what \
                takes the output, and ask again; `chancery log list` shows what was recorded"
            ),
        })
    })
}

/// Writes a message to standard error, to whoever reads there. Lines behind its first are indented: whatever a text in it says, it is no message of
/// its own.
pub fn tell(message: impl Display) {
    drop(writeln!(std::io::stderr(), "{}", shown(&message.to_string()).replace('\n', "\n  ")));
}

/// A table: each cell a line, unless it is too long.
pub struct Table(comfy_table::Table);

/// Columns of a terminal that does not say how many it has, and the fewest that a table is fitted into: in fewer it is not legible.
const COLUMNS: u16 = 80;
const COLUMNS_MIN: u16 = 40;

/// A table with these headings.
pub fn table(headings: &[&str]) -> Table {
    let mut table = comfy_table::Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    if std::io::stdout().is_terminal() {
        table.set_width(columns(table.width()));
    } else {
        table.load_style(presets::NOTHING).set_width(200);
    }
    table.set_header(headings);
    Table(table)
}

/// The columns to fit a table into, where the terminal says that it has so many.
fn columns(found: Option<u16>) -> u16 {
    found.filter(|columns| *columns > 0).map_or(COLUMNS, |columns| columns.max(COLUMNS_MIN))
}

impl Table {
    pub fn add_row<C: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.0.add_row(cells.into_iter().map(|cell| escaped(cell.as_ref()).into_owned()));
    }

    /// Aligns the first columns, so many of them, at their right.
    pub fn align_right(&mut self, columns: usize) {
        for column in self.0.column_iter_mut().take(columns) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// By which key a log is believed, and, where it lay beside the log, what is left to do.
pub fn believed(vkey: &str, own: bool) -> String {
    match own {
        true => format!("believed by the key beside the log; compare it with one from elsewhere: {vkey}"),
        false => format!("key {vkey}"),
    }
}

/// Who cosigned a checkpoint.
pub fn cosigned(cosigners: &[String]) -> String {
    match cosigners {
        [] => "no witness cosigned it".into(),
        some => format!("cosigned by {}", some.join(", ")),
    }
}

/// A value for people: texts bare, lists and objects as JSON. Not [`escaped`]: a file may hold it as it is.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        other => other.to_string(),
    }
}

/// A value in words, not [`escaped`]: `{"Issued": {"on": "2024-01-05"}}` as `Issued, on 2024-01-05`.
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

/// Lines `name: value`, objects and lists of objects indented. A text stays within its line.
pub fn lines(value: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let plain = |value: &Value| escaped(&plain(value)).into_owned();
    match value {
        Value::Object(fields) => {
            let line = |(name, value): (&String, &Value)| {
                let name = escaped(name);
                match value {
                    Value::Object(inner) if !inner.is_empty() => format!("{pad}{name}:\n{}", lines(value, indent + 2)),
                    Value::Array(items) if items.iter().any(Value::is_object) => {
                        format!("{pad}{name}:\n{}", items.iter().map(|each| item(each, indent + 2)).collect::<String>())
                    }
                    Value::Array(items) if items.is_empty() => format!("{pad}{name}: none\n"),
                    Value::Array(items) => {
                        format!("{pad}{name}: {}\n", items.iter().map(plain).collect::<Vec<_>>().join(", "))
                    }
                    other => format!("{pad}{name}: {}\n", plain(other)),
                }
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

    #[test]
    fn no_text_begins_a_line_or_commands_the_terminal() {
        let forged = "bakery\noutcome: done\u{1b}[2J\u{202e}";
        let value = json!({"a": forged, "b": {forged: [forged, forged]}, "c": [{"d": [forged]}], "e": [[forged]]});
        let printed = shown(&lines(&value, 0));
        assert_eq!(printed.lines().count(), 6, "{printed}");
        assert_eq!(printed.matches(r"bakery\noutcome: done\u001b[2J\u202e").count(), 6, "{printed}");
        let mut table = table(&["a", "b"]);
        table.add_row([forged, "x"]);
        let printed = table.to_string();
        assert_eq!(printed.lines().count(), 2, "{printed}");
        // JSON stays the same JSON.
        let value = json!({"a": "\u{1b}\u{9b}\u{202e}\n"});
        let printed = shown(&format!("{value:#}"));
        assert!(printed.is_ascii() && serde_json::from_str::<Value>(&printed).unwrap() == value, "{printed}");
    }

    #[test]
    fn a_table_is_legible_on_a_terminal_of_any_width() {
        let found = [None, Some(0), Some(1), Some(39), Some(120)];
        assert_eq!(found.map(columns), [80, 80, 40, 40, 120]);
    }
}
