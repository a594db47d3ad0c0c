//! `batch`: one call per row of a CSV or JSON Lines file.
//!
//! A row's request id is the first half of BLAKE3-derive-key("chancery 2026 batch v1", ledger ‖ actor ‖ contract, method and file digest as encoded
//! text and bytes ‖ row, u64 LE), so that the same row of the same file is never done twice, however often the batch is started. A changed file is
//! another file. Rows that do not fit the method are collected and the rest is carried on.

mod report;
mod rows;

pub use report::Line;
pub use rows::{File, parse};

use crate::commands::receipt::Wait;
use crate::explain;
use crate::failure::{Failure, Outcome};
use crate::output::{Session, plain, tell};
use crate::town::{self, VALID_FOR_SECONDS, actor, answered, call, contract, gas, method, open};
use chancery_node::{Answer, Checked, Ledger, Refusal, Ticket};
use chancery_types::codec::Encode;
use chancery_types::interface::{Interface, Method, MethodKind};
use chancery_types::{Action, Call, PublicKey, RequestId, SignedCall};
use ed25519_dalek::SigningKey;
use report::Report;
use rows::{Row, read};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;

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
/// Rows that a core works on in one turn, whose calls are signed together, and how many turns it may be ahead.
const SHARE: usize = 64;
const SHARES_MAX: usize = 2;

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
    let mut report = Report::new(report.as_deref(), path, method)?;
    let total = file.len();
    let bar = session.bar(total, "rows");
    let batch = Batch { ledger: &ledger, interface: &interface, method, key: &key, contract: name };
    let carried_out = batch.run(file, |line| {
        bar.inc(1);
        report.add(line);
    });
    bar.finish_and_clear();
    let last = report.last_entry().filter(|_| carried_out.is_ok());
    let reached = last.map_or(Ok(()), |last| wait.reach(&ledger, last));
    town::close(ledger);
    // Where the batch came to an end early, the report says how far.
    let written = report.finish();
    carried_out.map_err(|failure| Failure {
        code: failure.code,
        message: format!(
            "{}\n{} of {total} rows were answered before. Run the batch again: nothing is done twice",
            failure.message,
            report.rows()
        ),
    })?;
    written?;
    report.summarise(session)?;
    reached
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

/// What came of reading a row.
enum Asked {
    Call(u64, Call),
    Ready(Prepared),
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
        let digest = file.digest;
        across_cores(
            file.rows,
            |rows| self.prepare(&digest, rows),
            |prepared| {
                pending.push_back(self.start(prepared?)?);
                if pending.len() >= IN_FLIGHT_MAX
                    && let Some(first) = pending.pop_front()
                {
                    done(self.finish(first)?);
                }
                Ok(())
            },
        )?;
        pending.into_iter().try_for_each(|pending| {
            done(self.finish(pending)?);
            Ok(())
        })
    }

    /// Makes rows ready. The calls of those that are not done yet are signed together.
    fn prepare(&self, digest: &blake3::Hash, rows: Vec<Row>) -> Vec<Outcome<Prepared>> {
        let asked: Vec<_> = rows.into_iter().map(|row| self.ask(digest, row)).collect();
        let calls =
            asked.iter().flatten().filter_map(|asked| if let Asked::Call(_, call) = asked { Some(call) } else { None });
        let mut signed = SignedCall::sign_all(calls.cloned().collect(), self.key).into_iter();
        let prepare = |asked: Outcome<Asked>| match asked? {
            Asked::Ready(prepared) => Ok(prepared),
            Asked::Call(row, _) => {
                let signed = signed.next().ok_or_else(|| Failure::internal("the call of a row was not signed"))?;
                self.check(row, signed)
            }
        };
        asked.into_iter().map(prepare).collect()
    }

    /// What a row asks for, unless it has its answer.
    fn ask(&self, digest: &blake3::Hash, row: Row) -> Outcome<Asked> {
        let request = self.request(digest, row.number);
        let arguments = match row.arguments {
            Ok(arguments) => arguments,
            Err((field, reason)) => {
                let reason = if field.is_empty() { reason } else { format!("{field}: {reason}") };
                return Ok(Asked::Ready(Prepared::Invalid(Line::invalid(row.number, reason))));
            }
        };
        let action = Action::Invoke { contract: self.contract.into(), method: self.method.name.clone(), arguments };
        let call = call(self.ledger, self.key, request, VALID_FOR_SECONDS, action);
        Ok(match answered(self.ledger, &call)? {
            Some(answer) => Asked::Ready(Prepared::Answered(row.number, request, Box::new(answer))),
            None => Asked::Call(row.number, call),
        })
    }

    fn check(&self, row: u64, signed: SignedCall) -> Outcome<Prepared> {
        let request = signed.call.request;
        match self.ledger.check(signed) {
            Ok(checked) => Ok(Prepared::Checked(row, request, Box::new(checked))),
            // The only refusal that concerns a row and not all of them.
            Err(refusal @ Refusal::TooLarge { .. }) => Ok(Prepared::Invalid(Line::invalid(row, refusal.to_string()))),
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

/// Does some work for shares of many, on all cores, while what came of it is taken in their order.
fn across_cores<T: Send, R: Send>(
    all: Vec<T>,
    work: impl Fn(Vec<T>) -> Vec<R> + Sync,
    mut take: impl FnMut(R) -> Outcome,
) -> Outcome {
    let (count, work) = (all.len().div_ceil(SHARE), &work);
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(count);
    let mut shares: Vec<Vec<Vec<T>>> = (0..cores).map(|_| Vec::new()).collect();
    let mut all = all.into_iter();
    (0..count).for_each(|turn| shares[turn % cores].push(all.by_ref().take(SHARE).collect()));
    let panicked = || Failure::internal("the thread that prepared a row panicked");
    std::thread::scope(|scope| {
        let (mut workers, mut done) = (Vec::new(), Vec::new());
        for shares in shares {
            let (sender, receiver) = sync_channel::<Vec<R>>(SHARES_MAX);
            done.push(receiver);
            workers.push(scope.spawn(move || {
                let mut work = shares.into_iter().map(work);
                // Nobody takes any more where what came before was a failure.
                work.try_for_each(|share| sender.send(share))
            }));
        }
        let taken = (0..count).try_for_each(|turn| {
            let share = done[turn % cores].recv().map_err(|_| panicked())?;
            share.into_iter().try_for_each(&mut take)
        });
        drop(done);
        workers.into_iter().try_for_each(|worker| worker.join().map(drop).map_err(|_| panicked())).and(taken)
    })
}
