//! `check`: admission offline, every limit with what the module has.

use crate::failure::{Failure, Outcome};
use crate::output::{Session, table};
use crate::town::read_module;
use serde_json::json;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Arguments {
    /// The module.
    file: PathBuf,
}

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let wasm = read_module(&arguments.file)?;
    let checks = chancery_engine::check(&wasm);
    let text = || {
        let mut table = table(&["", "check", "allowed", "found", "why"]);
        for check in &checks {
            table.add_row([if check.ok { "ok" } else { "NO" }, check.name, &check.limit, &check.found, check.why]);
        }
        table.to_string()
    };
    let value = || {
        let one = |check: &chancery_engine::Check| json!({"check": check.name, "allowed": check.limit, "found": check.found, "ok": check.ok, "why": check.why});
        checks.iter().map(one).collect()
    };
    session.print(text, value);
    match chancery_engine::admit_new(&wasm) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::usage(error.to_string())),
    }
}
