//! Times that other work on the machine hardly disturbs.
//!
//! The alternatives of a comparison run in turn, in batches so short that most are not interrupted, and the least time of each counts: what
//! else the machine does can only lengthen a batch, and what is compared was measured in the same second.

use std::time::{Duration, Instant};

/// A batch lasts at least this long, so that reading the clock does not count.
const BATCH: Duration = Duration::from_micros(100);

/// One alternative.
pub struct Case<'a> {
    /// What it is called.
    pub name: String,
    work: Box<dyn FnMut() + 'a>,
    batch: u32,
    least: Duration,
}

impl<'a> Case<'a> {
    /// This work under this name.
    pub fn new(name: impl Into<String>, work: impl FnMut() + 'a) -> Self {
        Case { name: name.into(), work: Box::new(work), batch: 1, least: Duration::MAX }
    }

    fn time(&mut self) -> Duration {
        let start = Instant::now();
        (0..self.batch).for_each(|_| (self.work)());
        start.elapsed()
    }

    /// The least time of one execution, in picoseconds.
    pub fn picoseconds(&self) -> u64 {
        u64::try_from(self.least.as_nanos() * 1_000 / u128::from(self.batch)).unwrap_or(u64::MAX)
    }

    /// The same in nanoseconds with a decimal, for people.
    pub fn text(&self) -> String {
        let tenths = self.picoseconds() / 100;
        format!("{}.{} ns", tenths / 10, tenths % 10)
    }
}

/// Time that this thread has had of a processor: others that work meanwhile do not count.
pub fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// How often each alternative runs: once where a bench is only to show that it works (`-- --test`).
pub fn rounds(most: u32) -> u32 {
    if std::env::args().any(|argument| argument == "--test") { 1 } else { most }
}

/// Keeps the cases whose name has the word that the command line gives, if it gives one.
pub fn chosen(cases: &mut Vec<Case<'_>>) {
    let words: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    cases.retain(|case| words.iter().all(|word| case.name.contains(word)));
}

/// Measures the alternatives, each in so many rounds.
pub fn least(cases: &mut [Case<'_>], rounds: u32) {
    for case in cases.iter_mut() {
        while rounds > 1 && case.time() < BATCH {
            case.batch *= 2;
        }
    }
    for _ in 0..rounds {
        for case in cases.iter_mut() {
            case.least = case.least.min(case.time());
        }
    }
}

/// The ratio of two times in thousandths.
pub fn permille(part: u64, whole: u64) -> u64 {
    part.saturating_mul(1_000) / whole.max(1)
}

/// Thousandths as people read them: `1.234`.
pub fn decimal(permille: u64) -> String {
    format!("{}.{:03}", permille / 1_000, permille % 1_000)
}

/// The geometric mean of ratios, in and out in thousandths.
#[allow(clippy::float_arithmetic, reason = "a statistic of a bench")]
pub fn geometric_mean(permille: &[u64]) -> u64 {
    let sum: f64 = permille.iter().map(|ratio| (*ratio as f64).ln()).sum();
    (sum / permille.len().max(1) as f64).exp().round() as u64
}
