//! The rows of a file as the arguments of a method: a table with headings, or JSON Lines.

use super::across_cores;
use crate::failure::{Failure, Outcome};
use crate::fields::from_text;
use crate::strict_json;
use chancery_types::Reader;
use chancery_types::interface::{Field, Type};
use chancery_types::json;
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::Path;

/// A row as read: its arguments, or which field is wrong and why.
pub struct Row {
    /// Counted from 1.
    pub number: u64,
    /// The line of the file on which it begins.
    pub line: u64,
    /// What its first field says: whom or what it is about. Empty where it does not fit the method.
    pub subject: String,
    /// Encoded; else the field, if it is one, and the reason.
    pub arguments: Result<Vec<u8>, (String, String)>,
    /// How many rows before it have the same arguments.
    pub occurrence: u64,
}

/// Characters of a row's subject that are kept.
const SUBJECT_MAX: usize = 60;

impl Row {
    fn new(line: u64, fields: &[Field], arguments: Result<Vec<u8>, (String, String)>) -> Row {
        let mut subject = arguments.as_ref().ok().and_then(|bytes| subject(fields, bytes)).unwrap_or_default();
        if let Some((end, _)) = subject.char_indices().nth(SUBJECT_MAX) {
            subject.replace_range(end.., "…");
        }
        Row { number: 0, line, subject, arguments, occurrence: 0 }
    }
}

/// The first of some encoded fields, as text.
fn subject(fields: &[Field], arguments: &[u8]) -> Option<String> {
    let first = json::decode_fields(fields.get(..1)?, &mut Reader::new(arguments)).ok()?;
    first.values().next().map(crate::output::plain)
}

/// The rows of a file, and the columns that the method does not take.
pub struct File {
    /// The rows.
    pub rows: Vec<Row>,
    /// The columns.
    pub ignored: Vec<String>,
}

impl File {
    /// How many rows it has.
    pub fn len(&self) -> u64 {
        self.rows.len() as u64
    }
}

/// Reads a file's rows as the fields; `-` is the standard input.
pub fn read(path: &Path, fields: &[Field]) -> Outcome<File> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(path).map(|content| bytes = content)
    };
    read.map_err(|error| Failure::file("cannot read", path, &error))?;
    parse(path, &bytes, fields)
}

/// Reads the rows of a file with this name and content. It is JSON Lines where it begins with `{`.
pub fn parse(path: &Path, bytes: &[u8], fields: &[Field]) -> Outcome<File> {
    let wrong = |problem: String| Failure::usage(format!("{}: {problem}", path.display()));
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + breaks(&bytes[..error.valid_up_to()]);
        wrong(format!("line {line} is not UTF-8: save the file as UTF-8, not compressed"))
    })?;
    if text.contains('\0') {
        return Err(wrong("it has zero bytes, as UTF-16 has: save the file as UTF-8".into()));
    }
    // A byte order mark is no part of the first heading.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut rows, ignored) = match text.trim_start().chars().next() {
        None => {
            return Err(wrong(format!("the file is empty: expected a line of headings, {}", names(fields).join(", "))));
        }
        Some('{') => read_json_lines(text, fields)?,
        Some('[') => {
            return Err(wrong("expected a JSON object on each line, found a list: write one object a line".into()));
        }
        Some(_) => read_table(text, fields, &wrong)?,
    };
    number(&mut rows);
    Ok(File { rows, ignored })
}

fn names(fields: &[Field]) -> Vec<&str> {
    fields.iter().map(|field| field.name.as_str()).collect()
}

/// Numbers the rows, and those that ask for the same.
fn number(rows: &mut [Row]) {
    let mut seen: HashMap<[u8; 16], u64> = HashMap::with_capacity(rows.len());
    for (number, row) in (1..).zip(rows) {
        row.number = number;
        if let Ok(arguments) = &row.arguments {
            let mut digest = [0; 16];
            digest.copy_from_slice(&blake3::hash(arguments).as_bytes()[..16]);
            let count = seen.entry(digest).or_default();
            row.occurrence = *count;
            *count += 1;
        }
    }
}

/// How many lines end in some bytes: with LF, CR, or both.
fn breaks(bytes: &[u8]) -> u64 {
    let ends = |at: &usize| bytes[*at] == b'\n' || bytes[*at] == b'\r' && bytes.get(at + 1) != Some(&b'\n');
    (0..bytes.len()).filter(ends).count() as u64
}

/// Stands behind the last row; where a quote is left open, it is in that row instead.
const END: &str = "\nend";

/// What separates the cells of a table.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// The rows and the columns that are ignored; `wrong` makes an error of what keeps it from being a table of the fields.
fn read_table(text: &str, fields: &[Field], wrong: &dyn Fn(String) -> Failure) -> Outcome<(Vec<Row>, Vec<String>)> {
    let unreadable = |error: csv::Error| wrong(error.to_string());
    let required = |field: &&Field| !matches!(field.ty, Type::Option { .. });
    let missing = |headings: &[String]| {
        let missing = fields.iter().filter(required).map(|field| &field.name);
        missing.filter(|name| !headings.contains(name)).cloned().collect::<Vec<_>>()
    };
    // The separator with which the headings are those of the method.
    let (mut separator, mut headings) = (b',', headings(text, b',').map_err(unreadable)?);
    for other in SEPARATORS {
        if let Ok(found) = self::headings(text, other)
            && missing(&found).len() < missing(&headings).len()
        {
            (separator, headings) = (other, found);
        }
    }
    if headings.last().is_some_and(|last| last.ends_with(END)) {
        return Err(wrong("a quote in the headings is not closed".into()));
    }
    let position = |name: &str| headings.iter().position(|heading| heading == name);
    let missing = missing(&headings);
    if !missing.is_empty() {
        let found = headings.join(", ");
        let advice = advice(&missing, &headings);
        return Err(wrong(format!("these columns are missing: {} (found: {found}){advice}", missing.join(", "))));
    }
    let twice = |(at, heading): &(usize, &String)| !heading.is_empty() && position(heading) != Some(*at);
    if let Some((second, heading)) = headings.iter().enumerate().find(twice) {
        return Err(wrong(format!(
            "the heading `{heading}` stands twice (again in column {}): rename or remove one",
            second + 1
        )));
    }
    let taken = |heading: &String| heading.is_empty() || fields.iter().any(|field| field.name == *heading);
    let ignored = headings.iter().filter(|heading| !taken(heading)).cloned().collect();
    let columns: Vec<(&Field, usize)> =
        fields.iter().filter_map(|field| Some((field, position(&field.name)?))).collect();
    let mut records = table(text, separator).into_records().collect::<csv::Result<Vec<_>>>().map_err(unreadable)?;
    let open = records.pop().filter(|last| !last.iter().eq([END.trim()]));
    let row = |(line, record): (u64, csv::StringRecord)| {
        let arguments = match record.len() {
            found if found == headings.len() => cells(&columns, fields, &record),
            found => Err((String::new(), format!("expected {} cells, found {found}", headings.len()))),
        };
        Row::new(line, fields, arguments)
    };
    let mut lines = LineCounter { bytes: text.as_bytes(), at: 0, line: 1 };
    let records: Vec<_> = records
        .into_iter()
        .map(|record| (lines.of(&record), record))
        // A row without any content is how a table program leaves an empty line.
        .filter(|(_, record)| !record.iter().all(|cell| cell.trim().is_empty()))
        .collect();
    let mut rows = Vec::with_capacity(records.len() + 1);
    across_cores(
        records,
        |share| share.into_iter().map(row).collect(),
        |row| {
            rows.push(row);
            Ok(())
        },
    )?;
    if let Some(open) = open {
        let reason = "a quote in this row is not closed, so that all rows behind it are in it: close it".into();
        rows.push(Row::new(lines.of(&open), fields, Err((String::new(), reason))));
    }
    Ok((rows, ignored))
}

fn table(text: &str, separator: u8) -> csv::Reader<impl Read> {
    let mut builder = csv::ReaderBuilder::new();
    builder.flexible(true).delimiter(separator).from_reader(text.as_bytes().chain(END.as_bytes()))
}

fn headings(text: &str, separator: u8) -> csv::Result<Vec<String>> {
    Ok(table(text, separator).headers()?.iter().map(|heading| heading.trim().to_string()).collect())
}

/// What to do about headings that are missing.
fn advice(missing: &[String], headings: &[String]) -> String {
    let bare = |name: &str| name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let alike = missing.iter().filter_map(|name| {
        let found = headings.iter().find(|heading| bare(heading) == bare(name))?;
        Some(format!("`{found}` is written `{name}`"))
    });
    let alike: Vec<String> = alike.collect();
    if !alike.is_empty() {
        return format!("; {}", alike.join(", "));
    }
    "; the first line must have the headings".into()
}

/// Tells the lines on which records begin, which come in order.
struct LineCounter<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl LineCounter<'_> {
    fn of(&mut self, record: &csv::StringRecord) -> u64 {
        let start = record.position().map_or(self.at, |position| position.byte() as usize).min(self.bytes.len());
        // The reader skips empty lines only after it has said where it is.
        let content = self.bytes[start..].iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
        let start = content.map_or(start, |skipped| start + skipped).max(self.at);
        self.line += breaks(&self.bytes[self.at..start]);
        self.at = start;
        self.line
    }
}

fn cells(
    columns: &[(&Field, usize)],
    fields: &[Field],
    record: &csv::StringRecord,
) -> Result<Vec<u8>, (String, String)> {
    let mut object = Map::new();
    for (field, column) in columns {
        let cell = record.get(*column).unwrap_or_default().trim();
        let value = from_text(&field.ty, cell).map_err(|error| (field.name.clone(), error))?;
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
    let row = |(line, text): (u64, &str)| {
        let (arguments, ignored) = match strict_json::parse(text) {
            Ok(Value::Object(object)) => {
                let taken = |name: &str| fields.iter().any(|field| field.name == name);
                let (taken, ignored): (Map<_, _>, Map<_, _>) = object.into_iter().partition(|(name, _)| taken(name));
                (encoded(fields, &taken), ignored)
            }
            Ok(_) => (Err((String::new(), "expected a JSON object".into())), Map::new()),
            Err(error) => (Err((String::new(), format!("not a JSON object: {error}"))), Map::new()),
        };
        (Row::new(line, fields, arguments), ignored)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Vec<Field> {
        let field = |name: &str, ty| Field { name: name.into(), doc: String::new(), ty };
        vec![field("case", Type::Text), field("size", Type::U32)]
    }

    fn lines_of(text: &str) -> Vec<(u64, u64, String)> {
        let Ok(file) = parse(Path::new("rows"), text.as_bytes(), &fields()) else { panic!("{text:?} is refused") };
        file.rows.into_iter().map(|row| (row.number, row.line, row.subject)).collect()
    }

    #[test]
    fn rows_know_their_lines_whatever_ends_them() {
        let expected =
            [(1, 2, "a".to_string()), (2, 5, "b".to_string()), (3, 7, "c\nd".to_string()), (4, 9, "e".into())];
        let text = "case,size\na,1\n\n,\nb,2\n\n\"c\nd\",3\ne,4\n";
        for end in ["\n", "\r\n"] {
            let found: Vec<_> = lines_of(&text.replace('\n', end))
                .into_iter()
                .map(|(number, line, subject)| (number, line, subject.replace("\r\n", "\n")))
                .collect();
            assert_eq!(found, expected, "{end:?}");
        }
        assert_eq!(lines_of("case;size\na;1\n"), [(1, 2, "a".into())]);
        assert_eq!(lines_of("size\tcase\n1\ta,b\n"), [(1, 2, "a,b".into())]);
        assert_eq!(
            lines_of("{\"case\": \"a\", \"size\": 1}\n\n{\"case\": \"b\", \"size\": 2}"),
            [(1, 1, "a".into()), (2, 3, "b".into())]
        );
    }

    #[test]
    fn rows_that_ask_for_the_same_are_told_apart_by_their_order_alone() {
        let of = |text: &str| {
            let Ok(file) = parse(Path::new("rows"), text.as_bytes(), &fields()) else { panic!("{text:?} is refused") };
            file.rows.into_iter().map(|row| (row.arguments.unwrap(), row.occurrence)).collect::<Vec<_>>()
        };
        let rows = of("case,size\na,1\nb,1\na,1\n");
        assert_eq!(rows.iter().map(|(_, occurrence)| *occurrence).collect::<Vec<_>>(), [0, 0, 1]);
        assert_eq!(of("size;case\r\n 1 ;a\r\n1;b\r\n01;a\r\n")[..2], rows[..2]);
    }
}
