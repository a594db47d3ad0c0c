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
    /// What its first field says: whom or what it is about. Empty where it cannot be told.
    pub subject: String,
    /// Encoded; else the field, if it is one, and the reason.
    pub arguments: Result<Vec<u8>, (String, String)>,
    /// How many rows before it have the same arguments.
    pub occurrence: u64,
}

/// Characters of a row's subject that are kept.
const SUBJECT_MAX: usize = 60;

impl Row {
    /// `written` is the first field as the file has it, for a row that does not fit the method.
    fn new(line: u64, fields: &[Field], arguments: Result<Vec<u8>, (String, String)>, written: Option<String>) -> Row {
        let said = match &arguments {
            Ok(bytes) => subject(fields, bytes),
            Err(_) => written,
        };
        let mut subject = said.unwrap_or_default();
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
    if let Some((kind, advice)) = other_kind(bytes) {
        return Err(wrong(format!("expected a table as text, or JSON Lines, found {kind}: {advice}")));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + breaks(&bytes[..error.valid_up_to()]);
        wrong(format!("line {line} is not UTF-8: save the file as UTF-8, not compressed"))
    })?;
    if let Some(at) = text.find('\0') {
        let line = 1 + breaks(&bytes[..at]);
        return Err(wrong(format!(
            "line {line} has zero bytes, as UTF-16 has: remove them, or save the file as UTF-8"
        )));
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

/// What a file is that is known by its first bytes and is not text, and what to do.
fn other_kind(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let csv = "save the table as CSV, in UTF-8";
    let kinds: [(&[u8], _, _); 5] = [
        (b"PK\x03\x04", "a workbook (xlsx, ods) or another ZIP archive", csv),
        (b"\xd0\xcf\x11\xe0", "a workbook (xls)", csv),
        (b"\x1f\x8b", "a compressed file (gzip)", "decompress it first"),
        (b"\xff\xfe", "UTF-16", "save the file as UTF-8"),
        (b"\xfe\xff", "UTF-16", "save the file as UTF-8"),
    ];
    kinds.into_iter().find(|(start, ..)| bytes.starts_with(start)).map(|(_, kind, advice)| (kind, advice))
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
    let row = |(line, record, stray): (u64, csv::StringRecord, Option<u64>)| {
        let (arguments, whole) = match (stray, record.len()) {
            (Some(line), _) => (Err((String::new(), stray_quote(line))), false),
            (None, found) if found == headings.len() => (cells(&columns, fields, &record), true),
            (None, found) => (Err((String::new(), other_width(headings.len(), found, separator))), false),
        };
        let first = columns.first().filter(|(field, _)| whole && fields.first() == Some(*field));
        let written = first.and_then(|(_, column)| record.get(*column)).map(|cell| cell.trim().to_string());
        Row::new(line, fields, arguments, written)
    };
    let mut lines = LineCounter { bytes: text.as_bytes(), at: 0, line: 1 };
    let strays = stray_quotes(text.as_bytes(), separator);
    let before = |end: usize| strays.partition_point(|at| *at < end);
    let start = |record: &csv::StringRecord| record.position().map_or(text.len(), |position| position.byte() as usize);
    let rows_end = open.as_ref().map_or(text.len(), start);
    let headings_end = records.first().map_or(rows_end, start);
    if let Some(at) = strays[..before(headings_end)].first() {
        return Err(wrong(format!("in the headings: {}", stray_quote(1 + breaks(&text.as_bytes()[..*at])))));
    }
    let ends: Vec<usize> = records.iter().skip(1).map(start).chain([rows_end]).collect();
    let records: Vec<_> = records
        .into_iter()
        .zip(ends)
        .map(|(record, end)| {
            let line = lines.of(&record);
            let stray = strays[before(lines.at)..before(end)].first();
            (line, record, stray.map(|at| line + breaks(&text.as_bytes()[lines.at..*at])))
        })
        // A row without any content is how a table program leaves an empty line.
        .filter(|(_, record, _)| !record.iter().all(|cell| cell.trim().is_empty()))
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
        rows.push(Row::new(lines.of(&open), fields, Err((String::new(), reason)), None));
    }
    Ok((rows, ignored))
}

/// Where a quote ends the quoted part of a cell and more of the cell follows, as in `"Inn" Ltd`. The reader takes such a cell without its quotes; and where
/// the first quote was meant as a character, it has taken all up to the second one into the cell, rows included.
fn stray_quotes(bytes: &[u8], separator: u8) -> Vec<usize> {
    let (mut found, mut at, mut begins) = (Vec::new(), 0, true);
    while let Some(byte) = bytes.get(at) {
        if *byte == b'"' && begins {
            let mut rest = at + 1;
            let closed = loop {
                match bytes[rest..].iter().position(|byte| *byte == b'"').map(|next| rest + next) {
                    Some(quote) if bytes.get(quote + 1) == Some(&b'"') => rest = quote + 2,
                    closed => break closed,
                }
            };
            // One that is left open is found otherwise.
            let Some(closed) = closed else { break };
            at = closed + 1;
            // Blanks around a cell do not count.
            let next = bytes[at..].iter().find(|byte| **byte == separator || !matches!(byte, b' ' | b'\t'));
            if next.is_some_and(|next| *next != separator && !matches!(next, b'\r' | b'\n')) {
                found.push(closed);
            }
            begins = false;
        } else {
            begins = *byte == separator || matches!(byte, b'\r' | b'\n');
            at += 1;
        }
    }
    found
}

fn stray_quote(line: u64) -> String {
    format!(
        "in line {line} text follows a closing quote. Where a quote was meant as a character, all since it has become one cell: put that cell in quotes, and write \
         each quote in it twice"
    )
}

fn other_width(expected: usize, found: usize, separator: u8) -> String {
    let separator = if separator == b'\t' { "tab".into() } else { format!("`{}`", char::from(separator)) };
    let advice =
        if found > expected { format!(": a cell with a {separator} in it stands in quotes") } else { String::new() };
    format!("expected {expected} cells, found {found}{advice}")
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
    // A unit in brackets is no part of the name.
    let bare = |heading: &str| {
        let name = heading.chars().take_while(|c| !matches!(c, '(' | '['));
        name.filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
    };
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
        let mut written = None;
        let (arguments, ignored) = match strict_json::parse(text) {
            Ok(Value::Object(object)) => {
                let first = fields.first().and_then(|field| object.get(&field.name));
                written = first.filter(|value| value.is_string() || value.is_number()).map(crate::output::plain);
                let taken = |name: &str| fields.iter().any(|field| field.name == name);
                let (taken, ignored): (Map<_, _>, Map<_, _>) = object.into_iter().partition(|(name, _)| taken(name));
                (encoded(fields, &taken), ignored)
            }
            Ok(_) => (Err((String::new(), "expected a JSON object".into())), Map::new()),
            Err(error) => {
                // The line is the row's, whose number the reader of one line does not know.
                let error = error.to_string().replace(" at line 1 column ", " at column ");
                (Err((String::new(), format!("not a JSON object on one line: {error}"))), Map::new())
            }
        };
        (Row::new(line, fields, arguments, written), ignored)
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
    fn text_behind_a_closing_quote_is_found_where_it_stands() {
        let found = |text: &str| stray_quotes(text.as_bytes(), b',');
        for fits in
            ["", "a,\"b\"", "\"a\" , \"b\"\t\r\nc", "\"a\"\"\"", "\"\"", "a\"b\"c", " \"b\" c", "a,\"b\nc\"\n\"open"]
        {
            assert!(found(fits).is_empty(), "{fits:?}");
        }
        assert_eq!(found("\"a\" b,\"c\"\n\"\"\"d\"\"\" e,\"f\";"), [2, 16, 22]);
        // In the headings, or in a row behind the last whole one, it is of no other row.
        let reasons = |text: &str| {
            let file = parse(Path::new("rows"), text.as_bytes(), &fields());
            file.map(|file| file.rows.iter().map(|row| row.arguments.is_ok()).collect::<Vec<_>>())
        };
        assert_eq!(reasons("case,size\na,1\n\"b\" c,\"1\n").ok(), Some(vec![true, false]));
        assert_eq!(reasons("case,size\n\"b\" c,\"1\n").ok(), Some(vec![false]));
        assert_eq!(reasons("case,size\n\n\"b\" c,1\n\nd,1\n").ok(), Some(vec![false, true]));
        assert!(reasons("case,size,\"x\" y\na,1,\n").is_err());
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
