//! What a batch reports: a line for each row in the file of `--report`, as the rows are answered, and a summary.

use crate::failure::{Code, Failure, Outcome};
use crate::files;
use crate::output::{Session, plain, table};
use chancery_types::interface::{Method, Type};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Rows that were not done that are shown; the report has all.
const SHOWN_MAX: usize = 20;

/// Where a row stands.
pub struct Place {
    /// Counted from 1.
    pub row: u64,
    /// The line of the file on which it begins.
    pub line: u64,
    /// What its first field says: whom or what it is about.
    pub subject: String,
}

/// A line of the report.
pub struct Line {
    /// The row.
    pub place: Place,
    /// Id of its request; empty where the row does not fit the method.
    pub request: String,
    /// The outcome's word, or `invalid`, or in a dry run `fits`.
    pub outcome: String,
    /// Index of its entry.
    pub entry: Option<u64>,
    /// Why it was not done.
    pub reason: String,
    /// What of it needs a person.
    pub person: String,
    /// The result.
    pub result: Value,
    /// Gas used.
    pub gas: u64,
    /// Whether it was carried out by an earlier run.
    pub repeated: bool,
}

impl Line {
    /// A row that was not carried out.
    pub(super) fn of(place: Place, outcome: &str) -> Line {
        let (request, outcome, reason, person) = (String::new(), outcome.into(), String::new(), String::new());
        Line { place, request, outcome, entry: None, reason, person, result: Value::Null, gas: 0, repeated: false }
    }

    /// A row that does not fit the method.
    pub(super) fn invalid(place: Place, reason: String) -> Line {
        Line { reason, ..Line::of(place, "invalid") }
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
    /// Rows that were done and need a person, without results.
    person: Vec<Line>,
}

impl<'a> Report<'a> {
    /// To be written beside the rows, never over them.
    pub fn new(path: Option<&Path>, rows: &Path, method: &'a Method) -> Outcome<Self> {
        let open = |report: &Path| {
            if report.canonicalize().ok().is_some_and(|report| rows.canonicalize().is_ok_and(|rows| rows == report)) {
                return Err(Failure::usage(format!(
                    "cannot write the report {}: it is the file of the rows: name another one with --report",
                    report.display()
                )));
            }
            let mut writer =
                csv::Writer::from_writer(File::create(report).map_err(|error| files::not_written(report, &error))?);
            let headings = ["row", "line", "about", "request", "outcome", "entry", "reason", "needs a person"];
            let written = writer.write_record(headings.into_iter().chain(names(&method.returns)));
            let written = written.map_err(io::Error::from).and_then(|()| writer.flush());
            written.map_err(|error| files::not_written(report, &error))?;
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
            person: Vec::new(),
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
            // Each line is written as a whole, so that a batch that is stopped (Ctrl-C) leaves whole lines.
            let written = writer.write_record(record(&line, self.returns));
            self.unwritten = written.and_then(|()| Ok(writer.flush()?)).err();
        }
        let line = Line { result: Value::Null, ..line };
        match &*line.outcome {
            "done" if line.person.is_empty() => {}
            "done" => self.person.push(line),
            "fits" => {}
            _ => self.failed.push(line),
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
        let Report { counts, failed, person, repeated, rows: total, .. } = self;
        session.print(
            || {
                let counts: Vec<String> = counts.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
                let counts = if counts.is_empty() { "none".into() } else { counts.join(", ") };
                let before = match repeated {
                    0 => String::new(),
                    rows => format!("; {rows} of them by an earlier batch (to do rows again, name a run: --run NAME)"),
                };
                let mut text = format!("{total} rows: {counts}{before}\n");
                shown(failed, &["line", "about", "outcome", "reason"], &mut text);
                if !person.is_empty() {
                    text.push_str(&format!("{} of what was done needs a person:\n", person.len()));
                }
                shown(person, &["line", "about", "entry", "needs a person"], &mut text);
                text
            },
            || {
                let failed: Vec<Value> = failed
                    .iter()
                    .map(|line| json!({"row": line.place.row, "line": line.place.line, "about": line.place.subject, "outcome": line.outcome, "reason": line.reason, "entry": line.entry}))
                    .collect();
                let person: Vec<Value> = person
                    .iter()
                    .map(|line| json!({"row": line.place.row, "line": line.place.line, "about": line.place.subject, "needs": line.person, "entry": line.entry}))
                    .collect();
                json!({"rows": total, "counts": counts, "repeated": repeated, "not_done": failed, "needs_a_person": person})
            },
        );
        if failed.is_empty() {
            return Ok(());
        }
        let advice = match counts.get("invalid") {
            Some(_) => ". Set right what is invalid and run the batch again: what is done is not done twice",
            None => "",
        };
        let failed = failed.len() as u64;
        let others = if failed < *total && !counts.contains_key("fits") { "; the others were carried out" } else { "" };
        Err(Failure::refused(format!("{failed} of {total} rows were not done{others}{advice}")))
    }
}

/// Adds a table of some lines, at most [`SHOWN_MAX`] of them.
fn shown(lines: &[Line], headings: &[&str; 4], text: &mut String) {
    if lines.is_empty() {
        return;
    }
    let mut table = table(headings);
    for line in lines.iter().take(SHOWN_MAX) {
        let cell = |heading: &&str| match *heading {
            "line" => line.place.line.to_string(),
            "about" => line.place.subject.clone(),
            "outcome" => line.outcome.clone(),
            "entry" => line.entry.map(|entry| entry.to_string()).unwrap_or_default(),
            "reason" => line.reason.clone(),
            _ => line.person.clone(),
        };
        table.add_row(headings.iter().map(cell));
    }
    text.push_str(&format!("{table}\n"));
    if lines.len() > SHOWN_MAX {
        text.push_str(&format!("and {} more; --report has all\n", lines.len() - SHOWN_MAX));
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
    let Place { row, line: at, subject } = &line.place;
    let mut record = vec![
        row.to_string(),
        at.to_string(),
        subject.clone(),
        line.request.clone(),
        line.outcome.clone(),
        entry,
        line.reason.clone(),
        line.person.clone(),
    ];
    match returns {
        Type::Struct { fields, .. } => record.extend(fields.iter().map(|field| cell(&line.result[&field.name]))),
        Type::Unit => {}
        _ => record.push(cell(&line.result)),
    }
    record
}
