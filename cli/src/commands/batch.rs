//! `batch`: one call per row of a table or JSON Lines file.
//!
//! A row's request id is the first half of BLAKE3-derive-key("chancery 2026 batch v2", ledger ‖ actor ‖ contract, method, run and arguments as
//! encoded texts and bytes ‖ how many rows before it in the file have the same arguments, u64 LE). So a row is what it asks for: however often the batch
//! is started, and whatever else is changed in the file, it is done once, until the run has another name. Rows that do not fit the method are
//! collected and the rest is carried on.

mod report;
mod rows;

pub use report::Line;
pub use rows::{File, parse};

use crate::commands::receipt::Wait;
use crate::explain;
use crate::failure::{Failure, Outcome, both};
use crate::output::{Session, tell};
use crate::town::{
    self, VALID_FOR_SECONDS, actor, answered, call, contract, dry_actor, gas, method, open, open_to_read, public,
};
use chancery_node::{Answer, Checked, Ledger, Refusal, Ticket};
use chancery_types::codec::Encode;
use chancery_types::interface::{Interface, Method, MethodKind};
use chancery_types::{Action, Call, PublicKey, RequestId, SignedCall};
use ed25519_dalek::SigningKey;
use report::{Place, Report};
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
    /// The rows: a table with headings (CSV; semicolons and tabs separate as well), or JSON Lines; `-` for the standard input.
    file: PathBuf,
    /// Who calls: the name of a key.
    #[arg(long = "as", value_name = "KEY", env = "CHANCERY_AS")]
    actor: Option<String>,
    /// Write a line per row: row, line of the file, whom it is about, request id, outcome, entry, reason, what needs a person, and the result's fields.
    #[arg(long, value_name = "OUT.csv")]
    report: Option<PathBuf>,
    /// Do rows again that an earlier batch has done: rows of a run with another name are other calls.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    run: String,
    /// Read and check all rows, and call nothing.
    #[arg(long)]
    dry_run: bool,
    /// What to wait for before the rows are acknowledged.
    #[arg(long, value_enum, default_value_t = Wait::Logged, conflicts_with = "dry_run")]
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
    let Arguments {
        contract: name,
        method: method_name,
        file: path,
        actor: actor_name,
        report,
        run,
        dry_run,
        wait,
        metrics,
    } = arguments;
    let _metrics = metrics.start()?;
    let ledger = if *dry_run { open_to_read(session)? } else { open(session)? };
    let (_, interface) = contract(&ledger, name)?;
    let method = method(&interface, name, method_name, MethodKind::Call)?;
    let actor_name = actor_name.as_deref();
    // A dry run signs nothing.
    let key = if *dry_run { None } else { Some(actor(session, actor_name)?) };
    let actor = key.as_ref().map_or_else(|| dry_actor(session, actor_name), |key| Ok(public(key)))?;
    let file = read(path, method.arguments())?;
    if !file.ignored.is_empty() {
        tell(format_args!("columns that `{}` does not take are ignored: {}", method.name, file.ignored.join(", ")));
    }
    // A report that cannot be written is known before anything is done.
    let mut report = Report::new(report.as_deref(), path, method)?;
    let total = file.len();
    let bar = session.bar(total, "rows");
    let batch = Batch { ledger: &ledger, interface: &interface, method, actor, contract: name, run };
    let done = |line| {
        bar.inc(1);
        report.add(line);
    };
    let carried_out = match &key {
        Some(key) => batch.run(file, key, done),
        None => batch.try_out(file, done),
    };
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
    both(report.summarise(session), reached)
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
    pub actor: PublicKey,
    /// The contract's name.
    pub contract: &'a str,
    /// The name of the run.
    pub run: &'a str,
}

/// What came of reading a row.
enum Asked {
    Call(Place, Call),
    Ready(Prepared),
}

/// A row ready to be queued.
enum Prepared {
    Invalid(Line),
    Answered(Place, RequestId, Box<Answer>),
    Checked(Place, RequestId, Box<Checked>),
}

/// A row under way.
enum Pending {
    Invalid(Line),
    Answered(Place, RequestId, Box<Answer>),
    Waiting(Place, RequestId, Ticket),
}

impl Batch<'_> {
    fn request(&self, arguments: &[u8], occurrence: u64) -> RequestId {
        let mut hasher = blake3::Hasher::new_derive_key("chancery 2026 batch v2");
        hasher.update(&self.ledger.id().0).update(&self.actor.0);
        let mut rest = self.contract.to_bytes();
        self.method.name.encode(&mut rest);
        self.run.to_string().encode(&mut rest);
        arguments.encode(&mut rest);
        hasher.update(&rest).update(&occurrence.to_le_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        RequestId(u128::from_le_bytes(id))
    }

    /// Carries out the rows that were not carried out before, signed with the actor's key; `done` is told of each in order. All cores encode, sign
    /// and check; the rows queue in the order of the file.
    pub fn run(&self, file: File, key: &SigningKey, mut done: impl FnMut(Line)) -> Outcome {
        let mut pending = VecDeque::new();
        across_cores(
            file.rows,
            |rows| self.prepare(rows, key),
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

    /// Says of each row whether it fits the method, and whether it was carried out before.
    fn try_out(&self, file: File, mut done: impl FnMut(Line)) -> Outcome {
        for row in file.rows {
            done(match self.ask(row)? {
                Asked::Call(place, _) => Line::of(place, "fits"),
                Asked::Ready(Prepared::Invalid(line)) => line,
                Asked::Ready(Prepared::Answered(place, request, answer)) => {
                    self.finish(Pending::Answered(place, request, answer))?
                }
                Asked::Ready(Prepared::Checked(..)) => return Err(Failure::internal("a row was checked in a dry run")),
            });
        }
        Ok(())
    }

    /// Makes rows ready. The calls of those that are not done yet are signed together.
    fn prepare(&self, rows: Vec<Row>, key: &SigningKey) -> Vec<Outcome<Prepared>> {
        let asked: Vec<_> = rows.into_iter().map(|row| self.ask(row)).collect();
        let calls =
            asked.iter().flatten().filter_map(|asked| if let Asked::Call(_, call) = asked { Some(call) } else { None });
        let mut signed = SignedCall::sign_all(calls.cloned().collect(), key).into_iter();
        let prepare = |asked: Outcome<Asked>| match asked? {
            Asked::Ready(prepared) => Ok(prepared),
            Asked::Call(place, _) => {
                let signed = signed.next().ok_or_else(|| Failure::internal("the call of a row was not signed"))?;
                self.check(place, signed)
            }
        };
        asked.into_iter().map(prepare).collect()
    }

    /// What a row asks for, unless it has its answer.
    fn ask(&self, row: Row) -> Outcome<Asked> {
        let place = Place { row: row.number, line: row.line, subject: row.subject };
        let arguments = match row.arguments {
            Ok(arguments) => arguments,
            Err((field, reason)) => {
                let reason = if field.is_empty() { reason } else { format!("{field}: {reason}") };
                return Ok(Asked::Ready(Prepared::Invalid(Line::invalid(place, reason))));
            }
        };
        let request = self.request(&arguments, row.occurrence);
        let action = Action::Invoke { contract: self.contract.into(), method: self.method.name.clone(), arguments };
        let call = call(self.ledger, self.actor, request, VALID_FOR_SECONDS, action);
        Ok(match answered(self.ledger, &call)? {
            Some(answer) => Asked::Ready(Prepared::Answered(place, request, Box::new(answer))),
            None => Asked::Call(place, call),
        })
    }

    fn check(&self, place: Place, signed: SignedCall) -> Outcome<Prepared> {
        let request = signed.call.request;
        match self.ledger.check(signed) {
            Ok(checked) => Ok(Prepared::Checked(place, request, Box::new(checked))),
            // The only refusal that concerns a row and not all of them.
            Err(refusal @ Refusal::TooLarge { .. }) => Ok(Prepared::Invalid(Line::invalid(place, refusal.to_string()))),
            Err(refusal) => Err(refusal.into()),
        }
    }

    fn start(&self, prepared: Prepared) -> Outcome<Pending> {
        Ok(match prepared {
            Prepared::Invalid(line) => Pending::Invalid(line),
            Prepared::Answered(place, request, answer) => Pending::Answered(place, request, answer),
            Prepared::Checked(place, request, checked) => {
                Pending::Waiting(place, request, self.ledger.enqueue(*checked)?)
            }
        })
    }

    fn finish(&self, pending: Pending) -> Outcome<Line> {
        let (place, request, answer) = match pending {
            Pending::Invalid(line) => return Ok(line),
            Pending::Answered(place, request, answer) => (place, request, *answer),
            Pending::Waiting(place, request, ticket) => (place, request, ticket.wait()?),
        };
        let outcome = town::outcome(&answer)?;
        let shown = explain::outcome(self.interface, &self.method.returns, outcome);
        let person: Vec<String> = answer.trace.needing_a_person().into_iter().map(|step| step.rule).collect();
        Ok(Line {
            place,
            request: request.to_string(),
            outcome: outcome.word().into(),
            entry: Some(answer.index),
            reason: explain::reasons(self.interface, outcome, &answer.trace).join("; "),
            person: person.join("; "),
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
