//! `chancery-benches`: the figures P1 to P8 on this machine, in one run.
//!
//! ```sh
//! chancery-benches [--json FILE] [--plots DIR [--beside FILE]] [--metrics FILE] [--only P1,P2] [--quick] [--cases CASES.csv] [--keys KEYS]
//! ```
//!
//! Each figure is the median of several rounds, and is printed beside what it is compared with. `--quick` runs one short round of each, to see
//! that they work. L1 to L4 are what the machine itself can do. `--plots` draws ([`plots`]) after the figures, with what `chancery-beside --json FILE` has measured of others. `--metrics` installs the recorder that
//! an operator would have, and keeps its file: what that costs is the difference to a run without. P7 needs the program `chancery` beside this one, and a file of cases for the contract food-assistance.
//! The ledger of P5 is filled to a million keys, or to as many as `--keys` says: ten million take some seven minutes more, and 20 GB of the directory for temporary files.

#![allow(clippy::float_arithmetic, reason = "figures for people")]

mod figures;
mod growth;
mod plots;
mod series;

use chancery_node::prometheus::{Kept, Prometheus};
use figures::{Figure, Scale, Settings};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the command line asks for.
struct Arguments {
    json: Option<PathBuf>,
    plots: Option<PathBuf>,
    beside: Option<PathBuf>,
    metrics: Option<PathBuf>,
    only: Vec<String>,
    settings: Settings,
}

const USAGE: &str = "expected --json FILE, --plots DIR, --beside FILE, --metrics FILE, --only P1,P2, --cases FILE, --keys KEYS, --quick";

fn arguments() -> Result<Arguments, String> {
    let settings = Settings { scale: Scale::Whole, cases: None, keys: 1_000_000 };
    let mut asked = Arguments { json: None, plots: None, beside: None, metrics: None, only: Vec::new(), settings };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--json" => asked.json = Some(value()?.into()),
            "--plots" => asked.plots = Some(value()?.into()),
            "--beside" => asked.beside = Some(value()?.into()),
            "--metrics" => asked.metrics = Some(value()?.into()),
            "--only" => asked.only = value()?.split(',').map(str::to_uppercase).collect(),
            "--cases" => asked.settings.cases = Some(value()?.into()),
            "--keys" => asked.settings.keys = value()?.parse().map_err(|_| "--keys needs a number".to_string())?,
            "--quick" => asked.settings.scale = Scale::Quick,
            _ => return Err(format!("unknown argument {word}: {USAGE}")),
        }
    }
    Ok(asked)
}

fn main() -> ExitCode {
    match arguments() {
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(2)
        }
        Ok(arguments) => match run(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                eprintln!("error: {problem}");
                ExitCode::from(4)
            }
        },
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let cannot = |path: &Path| {
        let path = path.display().to_string();
        move |error: &dyn std::fmt::Display| format!("cannot write {path}: {error}")
    };
    let keep = |path: &PathBuf| -> Result<Kept, String> {
        let recorder = Prometheus::default();
        recorder.install();
        recorder.keep(path).map_err(|error| cannot(path)(&error))
    };
    let others = arguments.beside.as_deref().map(others).transpose()?.unwrap_or_default();
    let _metrics = arguments.metrics.as_ref().map(keep).transpose()?;
    let found = figures(arguments);
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&found).unwrap_or_default();
        std::fs::write(path, text + "\n").map_err(|error| cannot(path)(&error))?;
    }
    if let Some(dir) = &arguments.plots {
        plot(dir, &found, &others, arguments.settings.scale).map_err(|error| cannot(dir)(&error))?;
    }
    Ok(())
}

/// What `chancery-beside` has written.
fn others(path: &Path) -> Result<Map<String, Value>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
    let read = text.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
    read.map_err(|error| format!("cannot read {}, what `chancery-beside --json` writes: {error}", path.display()))
}

/// Measures and prints the figures that are asked for.
fn figures(Arguments { only, settings, .. }: &Arguments) -> Map<String, Value> {
    let named = |id: &str| only.iter().any(|wanted| wanted == id);
    let all = figures::ALL.into_iter().filter(|(id, _)| only.is_empty() || named(id));
    println!("{:4} {:58} {:>12} {:6} reach", "", "what", "value", "unit");
    let mut found = Map::new();
    for (id, measure) in all.chain(figures::PARTS.into_iter().filter(|(id, _)| named(id))) {
        for Figure { part, what, value, unit, reach } in measure(settings) {
            let value = value.map(|value| (value * 1_000.0).round() / 1_000.0);
            let text = value.map_or("skipped".into(), |value| format!("{value}"));
            println!("{:4} {what:58} {text:>12} {unit:6} {reach}", format!("{id}{part}"));
            found.insert(
                format!("{id}{part}"),
                serde_json::json!({ "value": value, "unit": unit, "what": what, "reach": reach }),
            );
        }
    }
    found
}

/// Draws the plots; figures that were not measured have no bar.
fn plot(dir: &Path, found: &Map<String, Value>, others: &Map<String, Value>, scale: Scale) -> plots::Drawn {
    std::fs::create_dir_all(dir)?;
    let value = |figures: &Map<String, Value>, id: &str| figures.get(id)?.get("value")?.as_f64();
    plots::speed(&dir.join("speed.svg"), &|id| value(found, id), &|id| value(others, id))?;
    plots::latency(&dir.join("latency.svg"), &series::latencies(scale))?;
    plots::throughput(&dir.join("throughput.svg"), &series::throughput(scale))?;
    plots::growth(&dir.join("growth.svg"), &series::growth(scale))
}
