//! The rows of a file as the arguments of a method: CSV with headings, or JSON Lines.

use super::across_cores;
use crate::failure::{Failure, Outcome};
use chancery_types::interface::{Field, Type};
use chancery_types::json;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

/// A row as read: its arguments, or which field is wrong and why.
pub struct Row {
    /// Counted from 1; of JSON Lines the line.
    pub number: u64,
    /// Encoded; else the field, if it is one, and the reason.
    pub arguments: Result<Vec<u8>, (String, String)>,
}

/// The rows of a file, and the columns that the method does not take.
pub struct File {
    /// The rows.
    pub rows: Vec<Row>,
    /// The columns.
    pub ignored: Vec<String>,
    /// BLAKE3 of the file.
    pub digest: blake3::Hash,
}

impl File {
    /// How many rows it has.
    pub fn len(&self) -> u64 {
        self.rows.len() as u64
    }
}

/// Reads a file's rows as the fields.
pub fn read(path: &Path, fields: &[Field]) -> Outcome<File> {
    let bytes = std::fs::read(path).map_err(|error| Failure::file("cannot read", path, &error))?;
    parse(path, &bytes, fields)
}

/// Reads the rows of a file with this name and content.
pub fn parse(path: &Path, bytes: &[u8], fields: &[Field]) -> Outcome<File> {
    let digest = blake3::hash(bytes);
    let wrong = |problem: String| Failure::usage(format!("{}: {problem}", path.display()));
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        wrong(format!("line {line} is not UTF-8: save the file as UTF-8, not compressed"))
    })?;
    // A byte order mark is no part of the first heading.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    let (rows, ignored) = match extension.as_deref() {
        Some("csv") => read_csv(text, fields, &wrong)?,
        Some("jsonl" | "ndjson") => read_json_lines(text, fields)?,
        _ => return Err(wrong("expected a file named .csv or .jsonl".into())),
    };
    Ok(File { rows, ignored, digest })
}

/// Stands behind the last row; where a quote is left open, it is in that row instead.
const END: &str = "\nend";

/// The rows and the columns that are ignored; `wrong` makes an error of what keeps it from being a table of the fields.
fn read_csv(text: &str, fields: &[Field], wrong: &dyn Fn(String) -> Failure) -> Outcome<(Vec<Row>, Vec<String>)> {
    if text.trim().is_empty() {
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        return Err(wrong(format!("the file is empty: expected a line of headings, {}", names.join(", "))));
    }
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes().chain(END.as_bytes()));
    let unreadable = |error: csv::Error| wrong(error.to_string());
    let headings = reader.headers().map_err(unreadable)?;
    let headings: Vec<String> = headings.iter().map(|heading| heading.trim().to_string()).collect();
    let position = |name: &str| headings.iter().position(|heading| heading == name);
    let twice = |(at, heading): &(usize, &String)| !heading.is_empty() && position(heading) != Some(*at);
    if let Some((second, heading)) = headings.iter().enumerate().find(twice) {
        return Err(wrong(format!(
            "the heading `{heading}` stands twice (again in column {}): rename or remove one",
            second + 1
        )));
    }
    let missing: Vec<&str> = fields
        .iter()
        .filter(|field| !matches!(field.ty, Type::Option { .. }) && position(&field.name).is_none())
        .map(|field| field.name.as_str())
        .collect();
    if !missing.is_empty() {
        let separated = [(';', "semicolons"), ('\t', "tabs")];
        let separated = separated.into_iter().find(|(by, _)| headings.len() == 1 && headings[0].contains(*by));
        let advice = separated.map(|(_, by)| format!("; the cells are separated by {by}: save the file with commas"));
        let (missing, found) = (missing.join(", "), headings.join(", "));
        let advice = advice.unwrap_or_default();
        return Err(wrong(format!("these columns are missing: {missing} (found: {found}){advice}")));
    }
    let taken = |heading: &String| heading.is_empty() || fields.iter().any(|field| field.name == *heading);
    let ignored = headings.iter().filter(|heading| !taken(heading)).cloned().collect();
    let columns: Vec<(&Field, usize)> =
        fields.iter().filter_map(|field| Some((field, position(&field.name)?))).collect();
    let mut records = reader.records().collect::<csv::Result<Vec<_>>>().map_err(unreadable)?;
    let Some(last) = records.pop() else { return Err(wrong("a quote in the headings is not closed".into())) };
    let row = |(number, record): (u64, csv::StringRecord)| {
        let arguments = match record.len() {
            found if found == headings.len() => cells(&columns, fields, &record),
            found => Err((String::new(), format!("expected {} cells, found {found}", headings.len()))),
        };
        Row { number, arguments }
    };
    let mut rows = Vec::with_capacity(records.len() + 1);
    across_cores(
        (1..).zip(records).collect(),
        |share| share.into_iter().map(row).collect(),
        |row| {
            rows.push(row);
            Ok(())
        },
    )?;
    if !last.iter().eq([END.trim()]) {
        let reason = "a quote in this row is not closed, so that all rows behind it are in it: close it".into();
        rows.push(Row { number: rows.len() as u64 + 1, arguments: Err((String::new(), reason)) });
    }
    Ok((rows, ignored))
}

fn cells(
    columns: &[(&Field, usize)],
    fields: &[Field],
    record: &csv::StringRecord,
) -> Result<Vec<u8>, (String, String)> {
    let mut object = Map::new();
    for (field, column) in columns {
        let cell = record.get(*column).unwrap_or_default().trim();
        let value = json::from_text(&field.ty, cell).map_err(|error| (field.name.clone(), error.to_string()))?;
        object.insert(field.name.clone(), value);
    }
    encoded(fields, &object)
}

fn encoded(fields: &[Field], object: &Map<String, Value>) -> Result<Vec<u8>, (String, String)> {
    let mut out = Vec::new();
    json::encode_fields(fields, object, &mut out).map_err(|error| {
        let reason = json::TypeError { field: String::new(), ..error.clone() }.to_string();
        (error.field, reason)
    })?;
    Ok(out)
}

/// Fields that the method does not take are ignored here as columns are in a table.
fn read_json_lines(text: &str, fields: &[Field]) -> Outcome<(Vec<Row>, Vec<String>)> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).collect();
    let row = |(number, line): (u64, &str)| {
        let (arguments, ignored) = match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(object)) => {
                let taken = |name: &str| fields.iter().any(|field| field.name == name);
                let (taken, ignored): (Map<_, _>, Map<_, _>) = object.into_iter().partition(|(name, _)| taken(name));
                (encoded(fields, &taken), ignored)
            }
            Ok(_) => (Err((String::new(), "expected a JSON object".into())), Map::new()),
            Err(error) => (Err((String::new(), format!("not JSON: {error}"))), Map::new()),
        };
        (Row { number, arguments }, ignored)
    };
    let (mut rows, mut ignored) = (Vec::new(), BTreeSet::new());
    across_cores(
        lines,
        |share| share.into_iter().map(row).collect(),
        |(row, fields)| {
            rows.push(row);
            ignored.extend(fields.into_iter().map(|(name, _)| name));
            Ok(())
        },
    )?;
    Ok((rows, ignored.into_iter().collect()))
}
