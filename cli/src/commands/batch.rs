//! `batch`: one call per row of a CSV or JSON Lines file.
//!
//! A row's request id is the first half of BLAKE3-derive-key("chancery 2026 batch v1", ledger ‖ actor ‖ contract, method and file digest as encoded
//! text and bytes ‖ row, u64 LE), so that the same row of the same file is never done twice, however often the batch is started. A changed file is
//! another file. Rows that do not fit the method are collected and the rest is carried on.

mod rows;

pub use rows::{File, parse};

use crate::commands::receipt::Wait;
use crate::explain;
use crate::failure::{Code, Failure, Outcome};
use crate::output::{Session, plain, table, tell};
use crate::town::{self, VALID_FOR_SECONDS, actor, answered, call, contract, gas, method, open};
use chancery_node::{Answer, Checked, Ledger, Refusal, Ticket};
use chancery_types::codec::Encode;
use chancery_types::interface::{Interface, Method, MethodKind, Type};
use chancery_types::{Action, PublicKey, RequestId, SignedCall};
use ed25519_dalek::SigningKey;
use rows::{Row, read};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Arguments {
    /// The contract's name.
    contract: String,
    /// The method's name.
    method: String,
    /// The rows: .csv with headings, or .jsonl.
    file: PathBuf,
    /// Who calls: the name of a key.
    #[arg(long = "as", value_name = "KEY", env = "CHANCERY_AS")]
    actor: Option<String>,
    /// Write a line per row: row, request id, outcome, entry, reason, and the result's fields.
    #[arg(long, value_name = "OUT.csv")]
    report: Option<PathBuf>,
    /// What to wait for before the rows are acknowledged.
    #[arg(long, value_enum, default_value_t = Wait::Logged)]
    wait: Wait,
    #[command(flatten)]
    metrics: crate::metrics::Arguments,
}

/// Calls that wait for their block at once.
const IN_FLIGHT_MAX: usize = 1_024;
/// Rows that are prepared at once, by all cores.
const PREPARED_MAX: usize = 256;
/// Rows that were not done that are shown; the report has all.
const SHOWN_MAX: usize = 20;

/// A line of the report.
pub struct Line {
    /// The row, counted from 1.
    pub row: u64,
    /// Id of its request; empty where the row does not fit the method.
    pub request: String,
    /// The outcome's word, or `invalid`.
    pub outcome: String,
    /// Index of its entry.
    pub entry: Option<u64>,
    /// Why it was not done.
    pub reason: String,
    /// The result.
    pub result: Value,
    /// Gas used.
    pub gas: u64,
    /// Whether it was carried out by an earlier run.
    pub repeated: bool,
}

impl Line {
    /// A row that does not fit the method.
    fn invalid(row: u64, reason: String) -> Line {
        let (request, outcome) = (String::new(), "invalid".into());
        Line { row, request, outcome, entry: None, reason, result: Value::Null, gas: 0, repeated: false }
    }
}

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let Arguments { contract: name, method: method_name, file: path, actor: actor_name, report, wait, metrics } =
        arguments;
    let _metrics = metrics.start()?;
    let ledger = open(session)?;
    let (_, interface) = contract(&ledger, name)?;
    let method = method(&interface, name, method_name, MethodKind::Call)?;
    let key = actor(session, actor_name.as_deref())?;
    let file = read(path, method.arguments())?;
    if !file.ignored.is_empty() {
        tell(format_args!("columns that `{}` does not take are ignored: {}", method.name, file.ignored.join(", ")));
    }
    // A report that cannot be written is known before anything is done.
    let mut writer = report.as_deref().map(|report| new_report(report, path)).transpose()?;
    let total = file.len();
    let bar = session.bar(total, "rows");
    let batch = Batch { ledger: &ledger, interface: &interface, method, key: &key, contract: name };
    let mut lines = Vec::with_capacity(file.rows.len());
    let carried_out = batch.run(file, |line| {
        bar.inc(1);
        lines.push(line);
    });
    bar.finish_and_clear();
    let last = lines.iter().filter_map(|line| line.entry).max().filter(|_| carried_out.is_ok());
    let reached = last.map_or(Ok(()), |last| wait.reach(&ledger, last));
    town::close(ledger);
    // Where the batch came to an end early, the report says how far.
    if let (Some(writer), Some(path)) = (&mut writer, report) {
        write_report(writer, method, &lines).map_err(|error| Failure {
            code: Code::Unavailable,
            message: format!(
                "the rows were carried out, but the report {} cannot be written: {error}. Run the batch again: nothing is done twice",
                path.display()
            ),
        })?;
    }
    carried_out.map_err(|failure| Failure {
        code: failure.code,
        message: format!(
            "{}\n{} of {total} rows were answered before. Run the batch again: nothing is done twice",
            failure.message,
            lines.len()
        ),
    })?;
    summarise(session, &lines)?;
    reached
}

/// A report to be written beside the rows, never over them.
fn new_report(report: &Path, rows: &Path) -> Outcome<csv::Writer<std::fs::File>> {
    let cannot = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("cannot write the report {}: {error}", report.display()))
    };
    if report.canonicalize().ok().is_some_and(|report| rows.canonicalize().is_ok_and(|rows| rows == report)) {
        return Err(cannot(&"it is the file of the rows: name another one with --report"));
    }
    csv::Writer::from_path(report).map_err(|error| cannot(&error))
}

/// What all rows of a batch share.
pub struct Batch<'a> {
    /// Where.
    pub ledger: &'a Ledger,
    /// The contract's interface.
    pub interface: &'a Interface,
    /// The method that is called.
    pub method: &'a Method,
    /// Who calls.
    pub key: &'a SigningKey,
    /// The contract's name.
    pub contract: &'a str,
}

/// A row ready to be queued.
enum Prepared {
    Invalid(Line),
    Answered(u64, RequestId, Box<Answer>),
    Checked(u64, RequestId, Box<Checked>),
}

/// A row under way.
enum Pending {
    Invalid(Line),
    Answered(u64, RequestId, Box<Answer>),
    Waiting(u64, RequestId, Ticket),
}

impl Batch<'_> {
    fn request(&self, digest: &blake3::Hash, row: u64) -> RequestId {
        let mut hasher = blake3::Hasher::new_derive_key("chancery 2026 batch v1");
        hasher.update(&self.ledger.id().0).update(&PublicKey(self.key.verifying_key().to_bytes()).0);
        let mut rest = self.contract.to_bytes();
        self.method.name.encode(&mut rest);
        hasher.update(&rest).update(digest.as_bytes()).update(&row.to_le_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        RequestId(u128::from_le_bytes(id))
    }

    /// Carries out the rows that were not carried out before; `done` is told of each in order. All cores encode, sign and check; the rows queue in
    /// the order of the file.
    pub fn run(&self, file: File, mut done: impl FnMut(Line)) -> Outcome {
        let mut pending = VecDeque::new();
        let (mut rows, digest) = (file.rows.into_iter(), file.digest);
        loop {
            let share: Vec<Row> = rows.by_ref().take(PREPARED_MAX).collect();
            if share.is_empty() {
                break;
            }
            for prepared in across_cores(share, |row| self.prepare(&digest, row))? {
                pending.push_back(self.start(prepared?)?);
                if pending.len() >= IN_FLIGHT_MAX
                    && let Some(first) = pending.pop_front()
                {
                    done(self.finish(first)?);
                }
            }
        }
        pending.into_iter().try_for_each(|pending| {
            done(self.finish(pending)?);
            Ok(())
        })
    }

    fn prepare(&self, digest: &blake3::Hash, row: Row) -> Outcome<Prepared> {
        let request = self.request(digest, row.number);
        let arguments = match row.arguments {
            Ok(arguments) => arguments,
            Err((field, reason)) => {
                let reason = if field.is_empty() { reason } else { format!("{field}: {reason}") };
                return Ok(Prepared::Invalid(Line::invalid(row.number, reason)));
            }
        };
        let action = Action::Invoke { contract: self.contract.into(), method: self.method.name.clone(), arguments };
        let call = call(self.ledger, self.key, request, VALID_FOR_SECONDS, action);
        if let Some(answer) = answered(self.ledger, &call)? {
            return Ok(Prepared::Answered(row.number, request, Box::new(answer)));
        }
        match self.ledger.check(SignedCall::sign(call, self.key)) {
            Ok(checked) => Ok(Prepared::Checked(row.number, request, Box::new(checked))),
            // The only refusal that concerns a row and not all of them.
            Err(refusal @ Refusal::TooLarge { .. }) => {
                Ok(Prepared::Invalid(Line::invalid(row.number, refusal.to_string())))
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    fn start(&self, prepared: Prepared) -> Outcome<Pending> {
        Ok(match prepared {
            Prepared::Invalid(line) => Pending::Invalid(line),
            Prepared::Answered(row, request, answer) => Pending::Answered(row, request, answer),
            Prepared::Checked(row, request, checked) => Pending::Waiting(row, request, self.ledger.enqueue(*checked)?),
        })
    }

    fn finish(&self, pending: Pending) -> Outcome<Line> {
        let (row, request, answer) = match pending {
            Pending::Invalid(line) => return Ok(line),
            Pending::Answered(row, request, answer) => (row, request, *answer),
            Pending::Waiting(row, request, ticket) => (row, request, ticket.wait()?),
        };
        let outcome = town::outcome(&answer)?;
        let shown = explain::outcome(self.interface, &self.method.returns, outcome);
        let reason =
            [&shown["not met"], &shown["meaning"], &shown["reason"]].into_iter().find(|value| !value.is_null());
        Ok(Line {
            row,
            request: request.to_string(),
            outcome: outcome.word().into(),
            entry: Some(answer.index),
            reason: reason.map(plain).unwrap_or_default(),
            result: shown["result"].clone(),
            gas: gas(&answer),
            repeated: answer.repeated,
        })
    }
}

/// Does some work for each of many, on all cores, and gives what came of it in their order.
fn across_cores<T: Send, R: Send>(all: Vec<T>, work: impl Fn(T) -> R + Sync) -> Outcome<Vec<R>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = all.len().div_ceil(cores).max(1);
    let (mut shares, mut all) = (Vec::new(), all.into_iter().peekable());
    while all.peek().is_some() {
        shares.push(all.by_ref().take(share).collect::<Vec<T>>());
    }
    let work = &work;
    std::thread::scope(|scope| {
        let workers: Vec<_> = shares
            .into_iter()
            .map(|share| scope.spawn(move || share.into_iter().map(work).collect::<Vec<R>>()))
            .collect();
        let mut done = Vec::new();
        for worker in workers {
            done.extend(worker.join().map_err(|_| Failure::internal("the thread that prepared a row panicked"))?);
        }
        Ok(done)
    })
}

fn write_report(writer: &mut csv::Writer<std::fs::File>, method: &Method, lines: &[Line]) -> csv::Result<()> {
    let names: Vec<&str> = match &method.returns {
        Type::Struct { fields, .. } => fields.iter().map(|field| field.name.as_str()).collect(),
        Type::Unit => Vec::new(),
        _ => vec!["result"],
    };
    writer.write_record(["row", "request", "outcome", "entry", "reason"].iter().chain(&names))?;
    let cell = |value: &Value| if value.is_null() { String::new() } else { plain(value) };
    for line in lines {
        let entry = line.entry.map(|entry| entry.to_string()).unwrap_or_default();
        let mut record =
            vec![line.row.to_string(), line.request.clone(), line.outcome.clone(), entry, line.reason.clone()];
        match &method.returns {
            Type::Struct { .. } => record.extend(names.iter().map(|name| cell(&line.result[*name]))),
            Type::Unit => {}
            _ => record.push(cell(&line.result)),
        }
        writer.write_record(record)?;
    }
    Ok(writer.flush()?)
}

/// Counts by outcome, and the rows that were not done.
fn summarise(session: &Session, lines: &[Line]) -> Outcome {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    lines.iter().for_each(|line| *counts.entry(&line.outcome).or_default() += 1);
    let failed: Vec<&Line> = lines.iter().filter(|line| line.outcome != "done").collect();
    let repeated = lines.iter().filter(|line| line.repeated).count();
    let total = lines.len();
    session.print(
        || {
            let counts: Vec<String> = counts.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
            let counts = if counts.is_empty() { "none".into() } else { counts.join(", ") };
            let before = match repeated {
                0 => String::new(),
                rows => format!("; {rows} of them by an earlier run"),
            };
            let mut text = format!("{total} rows: {counts}{before}\n");
            if !failed.is_empty() {
                let mut table = table(&["row", "outcome", "reason"]);
                for line in failed.iter().take(SHOWN_MAX) {
                    table.add_row([line.row.to_string(), line.outcome.clone(), line.reason.clone()]);
                }
                text.push_str(&format!("{table}\n"));
                if failed.len() > SHOWN_MAX {
                    text.push_str(&format!("and {} more; --report has all\n", failed.len() - SHOWN_MAX));
                }
            }
            text
        },
        || {
            let failed: Vec<Value> = failed
                .iter()
                .map(|line| json!({"row": line.row, "outcome": line.outcome, "reason": line.reason, "entry": line.entry}))
                .collect();
            json!({"rows": total, "counts": counts, "repeated": repeated, "not_done": failed})
        },
    );
    if failed.is_empty() {
        return Ok(());
    }
    let advice = match counts.get("invalid") {
        Some(_) => {
            ". Put what is invalid, set right, into a file of its own: every row of a changed file is a new call"
        }
        None => "",
    };
    let failed = failed.len();
    Err(Failure::refused(format!("{failed} of {total} rows were not done; the others were carried out{advice}")))
}
