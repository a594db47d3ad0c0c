//! The rows of a file as the arguments of a method: CSV with headings, or JSON Lines.

use crate::failure::{Failure, Outcome};
use chancery_types::interface::{Field, Type};
use chancery_types::json;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
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
        wrong(format!("line {line} is not UTF-8: save the file as UTF-8"))
    })?;
    // A byte order mark is no part of the first heading.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (rows, ignored) = match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => read_csv(text, fields).map_err(wrong)?,
        Some("jsonl" | "ndjson") => read_json_lines(text, fields),
        _ => return Err(wrong("expected a file named .csv or .jsonl".into())),
    };
    Ok(File { rows, ignored, digest })
}

fn read_csv(text: &str, fields: &[Field]) -> Result<(Vec<Row>, Vec<String>), String> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let headings: Vec<String> =
        reader.headers().map_err(|error| error.to_string())?.iter().map(|heading| heading.trim().to_string()).collect();
    let position = |name: &str| headings.iter().position(|heading| heading == name);
    if let Some((second, heading)) = headings.iter().enumerate().find(|(at, heading)| position(heading) != Some(*at)) {
        return Err(format!(
            "the heading `{heading}` stands twice (again in column {}): rename or remove one",
            second + 1
        ));
    }
    let missing: Vec<&str> = fields
        .iter()
        .filter(|field| !matches!(field.ty, Type::Option { .. }) && position(&field.name).is_none())
        .map(|field| field.name.as_str())
        .collect();
    if !missing.is_empty() {
        return Err(format!("these columns are missing: {} (found: {})", missing.join(", "), headings.join(", ")));
    }
    let taken = |heading: &String| fields.iter().any(|field| field.name == *heading);
    let ignored = headings.iter().filter(|heading| !taken(heading)).cloned().collect();
    let columns: Vec<(&Field, usize)> =
        fields.iter().filter_map(|field| Some((field, position(&field.name)?))).collect();
    let rows = (1..).zip(reader.records()).map(|(number, record)| {
        let arguments = match record {
            Err(error) => Err((String::new(), error.to_string())),
            Ok(record) if record.len() != headings.len() => {
                Err((String::new(), format!("expected {} cells, found {}", headings.len(), record.len())))
            }
            Ok(record) => cells(&columns, fields, &record),
        };
        Row { number, arguments }
    });
    Ok((rows.collect(), ignored))
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
fn read_json_lines(text: &str, fields: &[Field]) -> (Vec<Row>, Vec<String>) {
    let mut ignored = BTreeSet::new();
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let rows = lines
        .map(|(number, line)| {
            let arguments = match serde_json::from_str::<Value>(line) {
                Ok(Value::Object(mut object)) => {
                    object.retain(|name, _| {
                        let taken = fields.iter().any(|field| field.name == *name);
                        if !taken {
                            ignored.insert(name.clone());
                        }
                        taken
                    });
                    encoded(fields, &object)
                }
                Ok(_) => Err((String::new(), "expected a JSON object".into())),
                Err(error) => Err((String::new(), format!("not JSON: {error}"))),
            };
            Row { number, arguments }
        })
        .collect();
    (rows, ignored.into_iter().collect())
}
