//! `chancery-beside`: the workload `disburse` on Chancery and on what an agency could pick instead, in turn, in one run on one machine.
//!
//! ```sh
//! chancery-beside [--json FILE] [--quick]
//! ```
//!
//! In memory, on one core: a call of a contract, with revm ([`evm`]) and cosmwasm-vm ([`cosmwasm`]). Durable: from 64 callers and from one, with PostgreSQL ([`postgres`]),
//! if it is installed. Each figure is the median of five rounds; the alternatives take turns in each round, so that what the machine does otherwise meets
//! all of them. What each did is compared at the end: every payment must have been made.

mod cosmwasm;
mod evm;
mod postgres;

use chancery_benches::{Disburse, Town, engine};
use chancery_load::BENEFICIARIES;
use cosmwasm::{CosmWasm, Instances};
use evm::Evm;
use postgres::{Audit, Postgres};
use serde_json::{Map, Value, json};
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

/// What keeps a runtime from carrying the load out.
type Outcome<T> = Result<T, Box<dyn Error>>;

/// Payments of one programme: number `n` goes to beneficiary `n % 100` for period `n / 100`, as in [`chancery_load::payment`].
#[derive(Clone, Copy)]
struct Payment {
    beneficiary: u64,
    period: u32,
}

impl Payment {
    /// What each pays: one whole unit of money, in its hundredths.
    const AMOUNT: u64 = 100;

    fn of(number: u64) -> Self {
        Payment {
            beneficiary: number % BENEFICIARIES,
            period: u32::try_from(number / BENEFICIARIES).unwrap_or(u32::MAX),
        }
    }
}

/// A runtime in memory.
trait Runtime {
    /// Makes the next payment.
    fn pay(&mut self) -> Outcome<()>;

    /// What the first beneficiary has received, if the runtime is asked.
    fn total(&mut self) -> Outcome<Option<u64>> {
        Ok(None)
    }
}

impl Runtime for Disburse {
    fn pay(&mut self) -> Outcome<()> {
        // It panics where a payment is not made.
        Disburse::pay(self);
        Ok(())
    }
}

/// How much is measured.
#[derive(Clone, Copy)]
struct Scale {
    rounds: usize,
    /// Payments of a round in memory.
    calls: u64,
    /// Payments of a round of 64 callers on a ledger, and of one.
    durable: (u64, u64),
    /// Seconds of a round in PostgreSQL.
    seconds: u64,
}

const WHOLE: Scale = Scale { rounds: 5, calls: 10_000, durable: (40_000, 2_000), seconds: 3 };
const QUICK: Scale = Scale { rounds: 1, calls: 200, durable: (500, 50), seconds: 1 };

/// A line of the table.
struct Line {
    id: &'static str,
    what: String,
    unit: &'static str,
    rounds: Vec<f64>,
}

impl Line {
    fn new(id: &'static str, what: impl Into<String>, unit: &'static str) -> Self {
        Line { id, what: what.into(), unit, rounds: Vec::new() }
    }

    fn median(&self) -> f64 {
        let mut sorted = self.rounds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }
}

/// Prints lines, each with its ratio to the first.
fn print(lines: &[Line]) {
    let first = lines.first().map(Line::median).unwrap_or_default();
    for line in lines {
        let value = line.median();
        let digits = if value < 1_000.0 { 1 } else { 0 };
        println!("{:80} {value:>10.digits$} {:8} {:>7.2} x", line.what, line.unit, value / first);
    }
    println!();
}

/// A call in memory.
fn in_memory(scale: Scale) -> Outcome<Vec<Line>> {
    let mut all: Vec<(Line, Box<dyn Runtime>)> = vec![
        (Line::new("chancery", "chancery, memory as new for each call", "us"), Box::new(Disburse::new(engine()))),
        (Line::new("revm", "revm 43.0.3", "us"), Box::new(Evm::new()?)),
        (
            Line::new("cosmwasm", "cosmwasm-vm 3.0.10, an instance for each call", "us"),
            Box::new(CosmWasm::new(Instances::Each)?),
        ),
        (
            Line::new("cosmwasm-kept", "cosmwasm-vm 3.0.10, one instance kept, its memory too", "us"),
            Box::new(CosmWasm::new(Instances::Kept)?),
        ),
    ];
    for _ in 0..scale.rounds {
        for (line, runtime) in &mut all {
            let start = Instant::now();
            (0..scale.calls).try_for_each(|_| runtime.pay())?;
            line.rounds.push(start.elapsed().as_secs_f64() * 1e6 / scale.calls as f64);
        }
    }
    let paid = scale.rounds as u64 * scale.calls / BENEFICIARIES * Payment::AMOUNT;
    for (line, runtime) in &mut all {
        match runtime.total()? {
            Some(total) if total != paid => {
                return Err(format!("{}: expected that {paid} was paid, found {total}", line.what).into());
            }
            _ => {}
        }
    }
    Ok(all.into_iter().map(|(line, _)| line).collect())
}

/// Durable payments: a second from 64 callers, and the time of one that is alone.
fn durable(scale: Scale) -> Outcome<(Vec<Line>, Vec<Line>)> {
    let dir = tempfile::tempdir()?;
    let mut town = Town::new(&dir.path().join("ledger"), Default::default())?;
    let mut servers = Vec::new();
    for audit in [Audit::Rows, Audit::Chained] {
        servers.extend(Postgres::start(audit)?);
    }
    let name = "chancery: signed, verified, decision trace, hash log, state root";
    let mut many = vec![Line::new("chancery-64", name, "/s")];
    let mut lone = vec![Line::new("chancery-1", name, "us")];
    for server in &servers {
        let (id_many, id_lone) = server.audit().ids();
        many.push(Line::new(id_many, server.name(), "/s"));
        lone.push(Line::new(id_lone, server.name(), "us"));
    }
    for _ in 0..scale.rounds {
        let (calls_many, calls_lone) = scale.durable;
        let mut each = |callers: usize, calls: u64| -> Outcome<f64> {
            let payments = town.payments(calls);
            Ok(calls as f64 / town.submit_from(callers, payments)?.as_secs_f64())
        };
        many[0].rounds.push(each(Postgres::CLIENTS, calls_many)?);
        lone[0].rounds.push(1e6 / each(1, calls_lone)?);
        for (place, server) in servers.iter_mut().enumerate() {
            many[place + 1].rounds.push(server.pay(Postgres::CLIENTS, scale.seconds)?);
            lone[place + 1].rounds.push(1e6 / server.pay(1, scale.seconds)?);
        }
    }
    servers.iter().try_for_each(Postgres::check)?;
    Ok((many, lone))
}

fn run(json: Option<String>, scale: Scale) -> Outcome<()> {
    println!("A payment in memory, one core, metered, state applied: us a call, and over chancery's\n");
    let memory = in_memory(scale)?;
    print(&memory);
    let (many, lone) = durable(scale)?;
    if many.len() == 1 {
        println!("PostgreSQL is skipped: {}\n", postgres::MISSING);
    }
    println!("Durable payments from 64 callers, each waiting for its answer: a second, and over chancery's\n");
    print(&many);
    println!("A durable payment from one caller, alone: us, the mean of a round, and over chancery's\n");
    print(&lone);
    let Some(path) = json else { return Ok(()) };
    let all = memory.iter().chain(&many).chain(&lone);
    let found: Map<String, Value> = all
        .map(|line| (line.id.to_string(), json!({ "value": line.median(), "unit": line.unit, "what": line.what })))
        .collect();
    std::fs::write(&path, serde_json::to_string_pretty(&found)? + "\n")
        .map_err(|error| format!("cannot write {path}: {error}").into())
}

fn main() -> ExitCode {
    let (mut json, mut scale) = (None, WHOLE);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match (word.as_str(), &mut json) {
            ("--quick", _) => scale = QUICK,
            ("--json", json) => *json = words.next(),
            _ => {
                eprintln!("error: unknown argument {word}: expected --json FILE, --quick");
                return ExitCode::from(2);
            }
        }
    }
    match run(json, scale) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(4)
        }
    }
}
