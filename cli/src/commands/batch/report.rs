//! What a batch reports: a line for each row in the file of `--report`, as the rows are answered, and a summary.

use crate::failure::{Code, Failure, Outcome};
use crate::output::{Session, plain, table};
use chancery_types::interface::{Method, Type};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Rows that were not done that are shown; the report has all.
const SHOWN_MAX: usize = 20;

/// A line of the report.
pub struct Line {
    /// The row, counted from 1.
    pub row: u64,
    /// Id of its request; empty where the row does not fit the method.
    pub request: String,
    /// The outcome's word, or `invalid`.
    pub outcome: String,
    /// Index of its entry.
    pub entry: Option<u64>,
    /// Why it was not done.
    pub reason: String,
    /// The result.
    pub result: Value,
    /// Gas used.
    pub gas: u64,
    /// Whether it was carried out by an earlier run.
    pub repeated: bool,
}

impl Line {
    /// A row that does not fit the method.
    pub(super) fn invalid(row: u64, reason: String) -> Line {
        let (request, outcome) = (String::new(), "invalid".into());
        Line { row, request, outcome, entry: None, reason, result: Value::Null, gas: 0, repeated: false }
    }
}

/// The lines so far.
pub struct Report<'a> {
    returns: &'a Type,
    /// The file, if one is asked for, and what kept a line from being written to it.
    file: Option<(PathBuf, csv::Writer<File>)>,
    unwritten: Option<csv::Error>,
    rows: u64,
    repeated: u64,
    last_entry: Option<u64>,
    counts: BTreeMap<String, u64>,
    /// Rows that were not done, without results.
    failed: Vec<Line>,
}

impl<'a> Report<'a> {
    /// To be written beside the rows, never over them.
    pub fn new(path: Option<&Path>, rows: &Path, method: &'a Method) -> Outcome<Self> {
        let open = |report: &Path| {
            let cannot = |error: &dyn std::fmt::Display| {
                Failure::usage(format!("cannot write the report {}: {error}", report.display()))
            };
            if report.canonicalize().ok().is_some_and(|report| rows.canonicalize().is_ok_and(|rows| rows == report)) {
                return Err(cannot(&"it is the file of the rows: name another one with --report"));
            }
            let mut writer = csv::Writer::from_path(report).map_err(|error| cannot(&error))?;
            let headings = ["row", "request", "outcome", "entry", "reason"];
            writer.write_record(headings.into_iter().chain(names(&method.returns))).map_err(|error| cannot(&error))?;
            Ok((report.to_path_buf(), writer))
        };
        Ok(Report {
            returns: &method.returns,
            file: path.map(open).transpose()?,
            unwritten: None,
            rows: 0,
            repeated: 0,
            last_entry: None,
            counts: BTreeMap::new(),
            failed: Vec::new(),
        })
    }

    /// How many there are.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The highest index of their entries.
    pub fn last_entry(&self) -> Option<u64> {
        self.last_entry
    }

    /// Takes the next line in. Where it cannot be written, [`Report::finish`] says so.
    pub fn add(&mut self, line: Line) {
        self.rows += 1;
        self.repeated += u64::from(line.repeated);
        self.last_entry = self.last_entry.max(line.entry);
        match self.counts.get_mut(&line.outcome) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(line.outcome.clone(), 1)),
        }
        if let (Some((_, writer)), None) = (&mut self.file, &self.unwritten) {
            self.unwritten = writer.write_record(record(&line, self.returns)).err();
        }
        if line.outcome != "done" {
            self.failed.push(Line { result: Value::Null, ..line });
        }
    }

    /// Writes what is not written yet.
    ///
    /// # Errors
    /// Of code [`Code::Unavailable`], where a line could not be written.
    pub fn finish(&mut self) -> Outcome {
        let Some((path, writer)) = &mut self.file else { return Ok(()) };
        let written = self.unwritten.take().map_or_else(|| writer.flush().map_err(csv::Error::from), Err);
        written.map_err(|error| Failure {
            code: Code::Unavailable,
            message: format!(
                "the rows were carried out, but the report {} cannot be written: {error}. Run the batch again: nothing is done twice",
                path.display()
            ),
        })
    }

    /// Counts by outcome, and the rows that were not done.
    pub fn summarise(&self, session: &Session) -> Outcome {
        let Report { counts, failed, repeated, rows: total, .. } = self;
        session.print(
            || {
                let counts: Vec<String> = counts.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
                let counts = if counts.is_empty() { "none".into() } else { counts.join(", ") };
                let before = match repeated {
                    0 => String::new(),
                    rows => format!("; {rows} of them by an earlier run"),
                };
                let mut text = format!("{total} rows: {counts}{before}\n");
                if !failed.is_empty() {
                    let mut table = table(&["row", "outcome", "reason"]);
                    for line in failed.iter().take(SHOWN_MAX) {
                        table.add_row([line.row.to_string(), line.outcome.clone(), line.reason.clone()]);
                    }
                    text.push_str(&format!("{table}\n"));
                    if failed.len() > SHOWN_MAX {
                        text.push_str(&format!("and {} more; --report has all\n", failed.len() - SHOWN_MAX));
                    }
                }
                text
            },
            || {
                let failed: Vec<Value> = failed
                    .iter()
                    .map(|line| json!({"row": line.row, "outcome": line.outcome, "reason": line.reason, "entry": line.entry}))
                    .collect();
                json!({"rows": total, "counts": counts, "repeated": repeated, "not_done": failed})
            },
        );
        if failed.is_empty() {
            return Ok(());
        }
        let advice = match counts.get("invalid") {
            Some(_) => {
                ". Put what is invalid, set right, into a file of its own: every row of a changed file is a new call"
            }
            None => "",
        };
        let failed = failed.len();
        Err(Failure::refused(format!("{failed} of {total} rows were not done; the others were carried out{advice}")))
    }
}

/// The names of the columns that the result takes.
fn names(returns: &Type) -> Vec<&str> {
    match returns {
        Type::Struct { fields, .. } => fields.iter().map(|field| field.name.as_str()).collect(),
        Type::Unit => Vec::new(),
        _ => vec!["result"],
    }
}

/// The cells of a line.
fn record(line: &Line, returns: &Type) -> Vec<String> {
    let cell = |value: &Value| if value.is_null() { String::new() } else { plain(value) };
    let entry = line.entry.map(|entry| entry.to_string()).unwrap_or_default();
    let mut record = vec![line.row.to_string(), line.request.clone(), line.outcome.clone(), entry, line.reason.clone()];
    match returns {
        Type::Struct { fields, .. } => record.extend(fields.iter().map(|field| cell(&line.result[&field.name]))),
        Type::Unit => {}
        _ => record.push(cell(&line.result)),
    }
    record
}
