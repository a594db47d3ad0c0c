//! What the documentation shows is what happens: the commands of README, tutorials and contract pages are run as they stand, with this build of
//! the program. `chancery_tests` says how a page marks them.
//!
//! The first contract is a project of its own, whose tests compile the engine anew: minutes at first, seconds once `tmp/docs` of the target directory
//! has it.

use chancery_tests::{Block, blocks, page, pages, root, skip};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Pages whose commands are run.
fn shown() -> Vec<String> {
    let is_shown = |page: &String| {
        page == "README.md" || page.starts_with("docs/src/tutorials/") || page.starts_with("contracts/")
    };
    pages().into_iter().filter(is_shown).collect()
}

/// A shell script of the page's commands and files, in order; `None` where it has none.
fn script(path: &str, blocks: &[Block]) -> Option<String> {
    let mut script = String::from("set -euo pipefail\n");
    let mut any = false;
    for block in blocks {
        let Block { line, mark, language, text } = block;
        let mark = mark.as_deref().unwrap_or_default();
        if mark == "run" {
            any = true;
            script.push_str(text);
        } else if let Some(code) = mark.strip_prefix("run, exit ") {
            any = true;
            // The shell goes on although the command fails, and compares.
            writeln!(
                script,
                "set +e\n{text}found=$?\nset -e\nif [ $found != {code} ]; then echo \"line {line}: expected exit code {code}, found $found\" >&2; exit 99; fi"
            )
            .unwrap();
        } else if let Some(file) = mark.strip_prefix("file: ") {
            writeln!(script, "cat >'{file}' <<'END OF FILE'\n{text}END OF FILE").unwrap();
        } else {
            let told = mark.strip_prefix("not run: ").is_some_and(|why| !why.is_empty());
            assert!(language != "sh" || told, "{path}:{line}: mark the commands as run, or say why they are not run");
        }
    }
    any.then_some(script)
}

/// Whether `line` is as `shown`, where `…` stands for anything.
fn fits(shown: &str, line: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut open = false;
    for part in parts {
        open = true;
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty() || open && shown.ends_with('…')
}

/// The lines shown stand in the output, in their order.
fn compare(path: &str, blocks: &[Block], output: &str) {
    let mut lines = output.lines().map(str::trim_end);
    for block in blocks.iter().filter(|block| block.mark.as_deref() == Some("output")) {
        for shown in block.text.lines() {
            assert!(
                lines.any(|line| fits(shown, line)),
                "{path}:{}: the output does not have, at its place, the line\n{shown}\nthe output:\n{output}",
                block.line
            );
        }
    }
}

/// Runs a page's commands in an empty directory that has the checkout's contracts.
fn run(path: &str) {
    let blocks = blocks(&page(path));
    let Some(script) = script(path, &blocks) else { return };
    let program = Path::new(env!("CARGO_BIN_EXE_chancery"));
    // The same directory each time: what a project there has compiled is found again.
    let lasting = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docs");
    let (work, home) = (lasting.join(path.replace(['/', '.'], "_")), tempfile::tempdir().unwrap());
    if work.exists() {
        std::fs::remove_dir_all(&work).unwrap();
    }
    std::fs::create_dir_all(&work).unwrap();
    std::os::unix::fs::symlink(root().join("contracts"), work.join("contracts")).unwrap();
    let mut search: Vec<PathBuf> = vec![program.parent().unwrap().into()];
    search.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let output = Command::new("bash")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(&work)
        .env("PATH", std::env::join_paths(search).unwrap())
        .env("XDG_CONFIG_HOME", home.path())
        .env("CARGO_TARGET_DIR", lasting.join("target"))
        .env_remove("CHANCERY_DATA")
        .env_remove("CHANCERY_KEYS")
        .env_remove("CHANCERY_AS")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{path}: the commands end with {}\n{text}", output.status);
    compare(path, &blocks, &text);
}

/// Whether contracts can be built here.
fn can_build() -> bool {
    let work = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_chancery")).arg("build").current_dir(work.path()).output().unwrap();
    // Without a toolchain it says so before it looks for a package.
    output.status.code() != Some(6)
}

const BUILDS: &str = "docs/src/tutorials/first-contract.md";

#[test]
#[ignore = "its project compiles the engine anew, minutes each time: cargo nextest run --release --run-ignored only"]
fn the_commands_of_the_first_contract_work_as_printed() {
    if can_build() {
        run(BUILDS);
    } else {
        skip("no toolchain for wasm32-unknown-unknown is here");
    }
}

#[test]
fn the_commands_of_every_other_page_work_as_printed() {
    let shown = shown();
    assert!(shown.iter().any(|page| page == BUILDS), "{BUILDS} is not where it was");
    shown.iter().filter(|page| *page != BUILDS).for_each(|page| run(page));
}

#[test]
fn a_line_fits_what_is_shown() {
    assert!(fits("a … c", "a b c") && fits("a", "a") && fits("…", "") && fits("a …", "a b"));
    assert!(!fits("a", "ab") && !fits("a … c", "a b") && !fits("b", "ab") && !fits("a … c", "a c d"));
}
