//! `chancery-benches`: the figures P1 to P8 on this machine, in one run.
//!
//! ```sh
//! chancery-benches [--json FILE] [--only P1,P2] [--quick] [--cases CASES.csv]
//! ```
//!
//! Each figure is the median of several rounds, and is printed beside what it is compared with. `--quick` runs one short round of each, to see
//! that they work. P7 needs the program `chancery` beside this one, and a file of cases for the contract food-assistance.

#![allow(clippy::float_arithmetic, reason = "figures for people")]

mod figures;

use figures::{Figure, Scale};
use std::path::PathBuf;
use std::process::ExitCode;

/// What the command line asks for.
struct Arguments {
    json: Option<PathBuf>,
    only: Vec<String>,
    cases: Option<PathBuf>,
    scale: Scale,
}

fn arguments() -> Result<Arguments, String> {
    let mut asked = Arguments { json: None, only: Vec::new(), cases: None, scale: Scale::Whole };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--json" => asked.json = Some(value()?.into()),
            "--only" => asked.only = value()?.split(',').map(str::to_uppercase).collect(),
            "--cases" => asked.cases = Some(value()?.into()),
            "--quick" => asked.scale = Scale::Quick,
            _ => return Err(format!("unknown argument {word}: --json FILE, --only P1,P2, --cases FILE, --quick")),
        }
    }
    Ok(asked)
}

fn main() -> ExitCode {
    let Arguments { json, only, cases, scale } = match arguments() {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("error: {problem}");
            return ExitCode::from(2);
        }
    };
    let wanted = |id: &str| only.is_empty() || only.iter().any(|wanted| wanted == id);
    println!("{:4} {:58} {:>12} {:6} reach", "", "what", "value", "unit");
    let mut found = serde_json::Map::new();
    for (id, measure) in figures::ALL {
        if !wanted(id) {
            continue;
        }
        for Figure { part, what, value, unit, reach } in measure(scale, cases.as_deref()) {
            let value = value.map(|value| (value * 1_000.0).round() / 1_000.0);
            let text = value.map_or("skipped".into(), |value| format!("{value}"));
            println!("{:4} {what:58} {text:>12} {unit:6} {reach}", format!("{id}{part}"));
            found.insert(format!("{id}{part}"), serde_json::json!({ "value": value, "unit": unit, "what": what }));
        }
    }
    let text = serde_json::to_string_pretty(&found).unwrap_or_default();
    match json.map(|path| std::fs::write(&path, text + "\n").map_err(|error| (path, error))) {
        Some(Err((path, error))) => {
            eprintln!("error: cannot write {}: {error}", path.display());
            ExitCode::from(4)
        }
        _ => ExitCode::SUCCESS,
    }
}
