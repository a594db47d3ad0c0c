//! What measures a ledger from outside, for the benches and for `chancery bench`: the workload `disburse` on a ledger ([`Town`]), and what the machine
//! itself can do ([`limits`]).
//!
//! The workload is a payment of a programme: the caller is its officer, the beneficiary is enrolled and not paid for this period, the budget
//! suffices; three writes, one event, five steps of reasoning. As many programmes as submitters, each with an officer of its own.
//! Calls are signed before the clock starts.

#![forbid(unsafe_code)]

pub mod limits;

use chancery_node::{Answer, Ledger, NodeError, Options, Refusal};
use chancery_types::codec::Encode;
use chancery_types::money::{Amount, Usd};
use chancery_types::{Action, Call, Outcome, PublicKey, RequestId, SignedCall, Timestamp};
use ed25519_dalek::SigningKey;
use std::path::Path;
use std::time::{Duration, Instant};

/// The built module of the workload.
pub const DISBURSE: &[u8] = include_bytes!("../../../contracts/dist/disburse-bench.wasm");
/// Beneficiaries that are enrolled in a programme.
pub const BENEFICIARIES: u64 = 100;
/// Stack of a submitter: enough for a call that it executes itself, where calls come one at a time.
const STACK_BYTES: usize = 8 << 20;
/// Programmes of a [`Town`].
pub const PROGRAMMES: u8 = 64;

/// Why a load could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The ledger failed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// It did not take a call.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// A call of the load came out otherwise than it should.
    #[error("a call of the load was expected to be done, and was {0}: the module is not that of the load")]
    NotDone(String),
    /// The file beside the ledger that is made durable for comparison.
    #[error("cannot write the file for comparison: {0}")]
    File(#[from] std::io::Error),
    /// A thread could not be started, or panicked.
    #[error("a submitter's thread failed")]
    Thread,
}

/// The workload on a ledger.
pub struct Town {
    /// The ledger.
    pub ledger: Ledger,
    officers: Vec<SigningKey>,
    next: u64,
}

/// How long a lone caller waits, and one write and fdatasync of as many bytes, measured in turn.
#[derive(Default)]
pub struct Lone {
    /// From submission to the durable answer.
    pub calls: Vec<Duration>,
    /// The write and fdatasync.
    pub syncs: Vec<Duration>,
}

/// The request id of payment `number`: those of real callers come in no order.
fn request_of(number: u64) -> u128 {
    const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
    u128::from(number).wrapping_mul(ODD)
}

impl Town {
    /// Makes a ledger in a directory and sets the workload up.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn new(dir: &Path, options: Options) -> Result<Self, LoadError> {
        let log_key = SigningKey::from_bytes(&[9; 32]);
        let ledger = Ledger::create(dir, "ledger.example/bench", &log_key, options)?;
        let (module, _) = ledger.put_module(DISBURSE)?;
        let officers = (0..PROGRAMMES).map(|number| SigningKey::from_bytes(&[number; 32])).collect();
        let town = Town { ledger, officers, next: 0 };
        let arguments = Amount::<Usd>::whole(1 << 40).to_bytes();
        let deploy = |number| Action::Deploy { name: programme(number), module, arguments: arguments.clone() };
        let mut request = 1 << 100;
        let mut sign = |number: u8, action| {
            request += 1;
            town.sign(number, request, action)
        };
        let deploys = (0..PROGRAMMES).map(|number| sign(number, deploy(number))).collect();
        let enrol = |number: u64| ("enrol", number.to_bytes());
        let enrols = (0..PROGRAMMES).flat_map(|programme| (0..BENEFICIARIES).map(move |number| (programme, number)));
        let enrols = enrols.map(|(programme, number)| sign(programme, invoke(programme, enrol(number)))).collect();
        town.submit(deploys)?;
        town.submit(enrols)?;
        Ok(town)
    }

    fn officer(&self, programme: u8) -> &SigningKey {
        &self.officers[usize::from(programme)]
    }

    fn call(&self, programme: u8, request: u128, action: Action) -> Call {
        let actor = PublicKey(self.officer(programme).verifying_key().to_bytes());
        let (ledger, request, valid_until) = (self.ledger.id(), RequestId(request), Timestamp(u64::MAX));
        Call { ledger, actor, request, valid_until, action }
    }

    fn sign(&self, programme: u8, request: u128, action: Action) -> SignedCall {
        SignedCall::sign(self.call(programme, request, action), self.officer(programme))
    }

    /// The same town, opened again with these options.
    ///
    /// # Errors
    /// [`LoadError::Node`].
    pub fn reopened(self, dir: &Path, options: Options) -> Result<Self, LoadError> {
        self.ledger.close()?;
        Ok(Town { ledger: Ledger::open(dir, options)?, ..self })
    }

    /// Payment `number`, and whose it is.
    fn payment(&self, number: u64) -> (u8, Call) {
        let programmes = u64::from(PROGRAMMES);
        // Less than `programmes`.
        let programme = u8::try_from(number % programmes).unwrap_or_default();
        let action = invoke(programme, ("disburse", payment(number / programmes)));
        (programme, self.call(programme, request_of(number), action))
    }

    /// So many payments, signed: by the officers in turn.
    pub fn payments(&mut self, count: u64) -> Vec<SignedCall> {
        let from = self.next;
        self.next += count;
        let sign = |number: u64| {
            let (programme, call) = self.payment(number);
            SignedCall::sign(call, self.officer(programme))
        };
        (from..self.next).map(sign).collect()
    }

    /// Makes so many payments and more, as fast as it can: to fill a ledger. Each officer signs those of its programme together.
    ///
    /// # Errors
    /// As [`Town::submit`].
    pub fn fill(&mut self, count: u64) -> Result<(), LoadError> {
        /// Payments of an officer in a turn.
        const TOGETHER: u64 = 64;
        let (programmes, threads) = (u64::from(PROGRAMMES), 2);
        let turns = count.div_ceil(threads * programmes * TOGETHER);
        for _ in 0..turns {
            let firsts: Vec<u64> = (0..threads).map(|thread| self.next + thread * programmes * TOGETHER).collect();
            self.next += threads * programmes * TOGETHER;
            let town = &*self;
            let turn = |first: u64| {
                let of = |programme: u64| {
                    let calls = (0..TOGETHER).map(|number| town.payment(first + programme + number * programmes).1);
                    let officer = u8::try_from((first + programme) % programmes).unwrap_or_default();
                    SignedCall::sign_all(calls.collect(), town.officer(officer))
                };
                town.submit((0..programmes).flat_map(of).collect())
            };
            std::thread::scope(|scope| {
                let threads: Vec<_> = firsts.into_iter().map(|first| scope.spawn(move || turn(first))).collect();
                threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| LoadError::Thread)?)
            })?;
        }
        Ok(())
    }

    /// Submits calls one by one without waiting, then waits for all.
    ///
    /// # Errors
    /// [`LoadError`]; [`LoadError::NotDone`] for the first that is not done.
    pub fn submit(&self, calls: Vec<SignedCall>) -> Result<(), LoadError> {
        let tickets: Vec<_> = calls.into_iter().map(|call| self.ledger.submit(call)).collect::<Result<_, _>>()?;
        tickets.into_iter().try_for_each(|ticket| done(&ticket.wait()?))
    }

    /// Submits calls from so many threads, each waiting for an answer before its next call. Says how long that took.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn submit_from(&self, threads: usize, mut calls: Vec<SignedCall>) -> Result<Duration, LoadError> {
        let share = calls.len().div_ceil(threads).max(1);
        let start = Instant::now();
        std::thread::scope(|scope| {
            let mut submitters = Vec::new();
            while !calls.is_empty() {
                let part = calls.split_off(calls.len().saturating_sub(share));
                let submitter = std::thread::Builder::new().name("submitter".into()).stack_size(STACK_BYTES);
                let run = move || part.into_iter().try_for_each(|call| done(&self.ledger.call(call)?));
                submitters.push(submitter.spawn_scoped(scope, run)?);
            }
            submitters.into_iter().try_for_each(|submitter| submitter.join().map_err(|_| LoadError::Thread)?)
        })?;
        Ok(start.elapsed())
    }

    /// One caller alone, so often, and in turn a write and fdatasync of `bytes` to a file in `dir`.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn lone(&mut self, dir: &Path, bytes: usize, count: u64) -> Result<Lone, LoadError> {
        let (mut lone, mut file) = (Lone::default(), limits::Synced::new(dir, bytes)?);
        for call in self.payments(count) {
            let start = Instant::now();
            done(&self.ledger.call(call)?)?;
            lone.calls.push(start.elapsed());
            lone.syncs.push(file.sync()?);
        }
        Ok(lone)
    }
}

fn done(answer: &Answer) -> Result<(), LoadError> {
    match answer.outcome() {
        Some(Outcome::Done { .. }) => Ok(()),
        other => Err(LoadError::NotDone(format!("{other:?}"))),
    }
}

/// The arguments of payment `number`: beneficiaries in turn, then the next period.
pub fn payment(number: u64) -> Vec<u8> {
    // 4 × 10¹¹ payments to a programme come before the last period.
    let period = u32::try_from(number / BENEFICIARIES).unwrap_or(u32::MAX);
    (number % BENEFICIARIES, period, Amount::<Usd>::from_minor(100)).to_bytes()
}

fn programme(number: u8) -> String {
    format!("programme-{number}")
}

fn invoke(number: u8, (method, arguments): (&str, Vec<u8>)) -> Action {
    Action::Invoke { contract: programme(number), method: method.into(), arguments }
}

/// The value below which so many thousandths of the times are; the median at 500.
pub fn quantile(times: &[Duration], permille: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * permille / 1_000).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles() {
        let times: Vec<_> = (0..100).rev().map(Duration::from_secs).collect();
        assert_eq!(quantile(&times, 500).as_secs(), 50);
        assert_eq!(quantile(&times, 990).as_secs(), 99);
        assert_eq!(quantile(&times, 1_000).as_secs(), 99);
        assert_eq!(quantile(&[], 500), Duration::ZERO);
    }

    #[test]
    fn a_town_pays_from_many_threads_and_one_caller_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut town = Town::new(&dir.path().join("ledger"), Options::default()).unwrap();
        let before = town.ledger.head().keys;
        let payments = town.payments(130);
        town.submit_from(64, payments).unwrap();
        let lone = town.lone(dir.path(), 1_500, 3).unwrap();
        assert_eq!((lone.calls.len(), lone.syncs.len()), (3, 3));
        // Each payment has a record of its own.
        assert!(town.ledger.head().keys >= before + 133);
        // The same call again is answered, another with its request id is not.
        town.next -= 1;
        let again = town.payments(1);
        town.submit(again.clone()).unwrap();
        let mut other = again[0].call.clone();
        other.valid_until = Timestamp(u64::MAX - 1);
        assert!(matches!(
            town.submit(vec![SignedCall::sign(other, &town.officers[4])]),
            Err(LoadError::Refusal(Refusal::RequestReused { .. }))
        ));
    }
}
