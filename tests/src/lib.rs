//! Tests that cross crates: what the documentation shows is what happens.
//!
//! A page marks what a test looks at by a comment on the line before a fenced block:
//!
//! | comment | meaning |
//! |---|---|
//! | `<!-- golden: NAME -->` | the block is what the code gives; the test named on the page's foot compares it |
//! | `<!-- run -->` | the commands are run as they stand, one block after the other, in one shell and an empty directory |
//! | `<!-- run, exit N -->` | the same; the last command ends with exit code N |
//! | `<!-- not run: WHY -->` | the commands are not run |
//! | `<!-- file: PATH -->` | the block is written to the file before the next commands run |
//! | `<!-- output -->` | the lines stand, in this order, in what the commands print; `…` stands for anything |
//!
//! With `CHANCERY_BLESS=1` (and `--test-threads 1`) golden blocks are written instead of compared; the difference is then
//! to be read before it is committed.
//!
//! [`skip`] is for the tests of every package: what lacks something of the machine says so by it.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the checkout").into()
}

/// Says why a test, or a part of it, cannot run on this machine; the test then returns. What a test takes that no machine
/// can be asked to have, a file of real cases for instance, is none of this: such a test prints its reason by itself.
///
/// # Panics
/// Where `CHANCERY_NO_SKIPS` is 1, as in `.ci/run`: there everything must run.
pub fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
    let all_must_run = std::env::var_os("CHANCERY_NO_SKIPS").is_some_and(|value| value == "1");
    assert!(
        !all_must_run,
        "not run, though CHANCERY_NO_SKIPS is 1: {reason}; set it right, or run without the variable"
    );
}

/// A fenced block of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Line of the opening fence, from 1.
    pub line: usize,
    /// The comment before it, without its dashes.
    pub mark: Option<String>,
    /// What stands behind the fence.
    pub language: String,
    /// Its lines, each with a line feed.
    pub text: String,
}

/// The fenced blocks of a page, in order.
pub fn blocks(page: &str) -> Vec<Block> {
    let (mut blocks, mut open, mut before) = (Vec::new(), None::<Block>, "");
    for (number, line) in (1..).zip(page.lines()) {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                let mark = before.strip_prefix("<!-- ").and_then(|mark| mark.strip_suffix(" -->")).map(String::from);
                open = Some(Block { line: number, mark, language: language.into(), text: String::new() });
            }
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some(block), _) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
        before = line;
    }
    blocks
}

/// A page of the checkout.
///
/// # Panics
/// When it cannot be read.
pub fn page(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The golden block with this name on a page.
///
/// # Panics
/// When the page has none or several.
pub fn golden(path: &str, name: &str) -> String {
    let mark = format!("golden: {name}");
    let mut found = blocks(&page(path)).into_iter().filter(|block| block.mark.as_deref() == Some(&*mark));
    let block = found.next().unwrap_or_else(|| panic!("{path} has no block marked <!-- {mark} -->"));
    assert!(found.next().is_none(), "{path} has two blocks marked <!-- {mark} -->");
    block.text
}

/// Compares a golden block with what the code gives, or writes it where `CHANCERY_BLESS` is set.
///
/// # Panics
/// When they differ.
pub fn check_golden(path: &str, name: &str, expected: &str) {
    // Tests of one page run at once.
    static WRITING: Mutex<()> = Mutex::new(());
    let _one = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let there = golden(path, name);
    if there == expected {
        return;
    }
    assert!(
        std::env::var_os("CHANCERY_BLESS").is_some(),
        "{path}, block {name}: page and code disagree. A promised format does not change: mend the code, or give the format a new version.\nthe page:\n{there}\nthe code:\n{expected}"
    );
    let text = page(path);
    let start = text.find(&format!("<!-- golden: {name} -->")).expect("the block was found above");
    let body = start + text[start..].find("```").expect("its fence") + 3;
    let body = body + text[body..].find('\n').expect("the end of the fence") + 1;
    let changed = format!("{}{expected}{}", &text[..body], &text[body + there.len()..]);
    std::fs::write(root().join(path), changed).expect("the page can be written");
}

/// Compares what stands between `<!-- NAME -->` and `<!-- /NAME -->` with what the code gives, or writes it where `CHANCERY_BLESS` is set.
///
/// # Panics
/// When they differ, or the page has no such comments.
pub fn check_region(path: &str, name: &str, expected: &str) {
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
    let text = page(path);
    let parts = text.split_once(&start).and_then(|(before, rest)| Some((before, rest.split_once(&end)?)));
    let (before, (there, after)) = parts.unwrap_or_else(|| panic!("{path} has no {start}"));
    if there == expected {
        return;
    }
    assert!(
        std::env::var_os("CHANCERY_BLESS").is_some(),
        "{path}: what stands between {start} and {end} is not what the code gives; with CHANCERY_BLESS=1 the test writes it. It gives:\n{expected}"
    );
    std::fs::write(root().join(path), format!("{before}{start}{expected}{end}{after}"))
        .expect("the page can be written");
}

/// Every Markdown page of the project: those at the root, of the book, and of each package.
///
/// # Panics
/// When a directory cannot be read.
pub fn pages() -> Vec<String> {
    fn below(directory: &Path, found: &mut Vec<PathBuf>) {
        let entries = match std::fs::read_dir(directory) {
            // What a build or another test had made is gone again.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            entries => entries.expect("a directory of the checkout"),
        };
        for entry in entries {
            let path = entry.expect("an entry of a directory").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
                below(&path, found);
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    let (root, mut found) = (root(), Vec::new());
    below(&root, &mut found);
    let relative = |path: PathBuf| path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
    let mut pages: Vec<String> = found.into_iter().map(relative).collect();
    pages.sort();
    pages
}

/// Bytes per line of a [`dump`].
const DUMP_BYTES: usize = 16;
/// Columns of the bytes.
const DUMP_COLUMNS: usize = DUMP_BYTES * 3;

/// Bytes as a page shows them: sixteen a line, and on the first line of each part what it is.
pub fn dump(parts: &[(&str, Vec<u8>)]) -> String {
    let mut text = String::new();
    for (meaning, bytes) in parts {
        for (number, line) in bytes.chunks(DUMP_BYTES).enumerate() {
            let bytes: String = line.iter().map(|byte| format!("{byte:02x} ")).collect();
            let meaning = if number == 0 { meaning } else { "" };
            let line = format!("{bytes:DUMP_COLUMNS$}  {meaning}");
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

/// The bytes of a [`dump`].
///
/// # Panics
/// When the text is none.
pub fn undump(text: &str) -> Vec<u8> {
    let bytes = |line: &str| {
        let columns = line.get(..DUMP_COLUMNS.min(line.len())).expect("bytes stand before any other character");
        hex::decode(columns.replace(' ', "")).unwrap_or_else(|_| panic!("no dump: {line}"))
    };
    text.lines().flat_map(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_their_marks() {
        let page = "text\n\n<!-- run -->\n```sh\na\n\nb\n```\n```text\nc\n```\n";
        let found = blocks(page);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].line, found[0].mark.as_deref()), (4, Some("run")));
        assert_eq!((found[0].language.as_str(), found[0].text.as_str()), ("sh", "a\n\nb\n"));
        assert_eq!((found[1].mark.as_deref(), found[1].text.as_str()), (None, "c\n"));
    }

    #[test]
    fn a_dump_reads_as_it_was_written() {
        let parts = [("few", vec![1, 2]), ("none", vec![]), ("many", (0..40).collect())];
        let text = dump(&parts);
        assert_eq!(undump(&text), parts.map(|(_, bytes)| bytes).concat());
        assert!(text.starts_with("01 02 ") && text.lines().next().unwrap().ends_with("  few"), "{text}");
        assert_eq!(text.lines().count(), 4);
    }
}
