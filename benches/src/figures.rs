//! The figures, one function each.

use crate::growth;
use chancery_benches::kernels::overheads;
use chancery_benches::measure::geometric_mean;
use chancery_benches::{CALLS_TOGETHER, Disburse, Town, engine, together};
use chancery_load::{limits, quantile};
use chancery_node::{AuditOptions, Compiler, Options, Progress, audit, verify};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a run may take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// As the figures are meant.
    Whole,
    /// One short round of each.
    Quick,
}

impl Scale {
    /// As many as the scale asks for.
    pub fn of(self, whole: u64, quick: u64) -> u64 {
        if self == Scale::Whole { whole } else { quick }
    }

    fn rounds(self) -> usize {
        if self == Scale::Whole { 5 } else { 1 }
    }
}

/// A figure.
pub struct Figure {
    /// Where a figure has several parts: a letter.
    pub part: String,
    /// What was measured.
    pub what: String,
    /// How much; nothing where it was skipped, and `what` says why.
    pub value: Option<f64>,
    /// Of what.
    pub unit: String,
    /// What is to be reached.
    pub reach: String,
}

pub fn figure(part: &str, what: impl Into<String>, value: f64, unit: &str, reach: &str) -> Figure {
    Figure { part: part.into(), what: what.into(), value: Some(value), unit: unit.into(), reach: reach.into() }
}

fn skipped(part: &str, what: impl Into<String>) -> Figure {
    Figure { value: None, ..figure(part, what, 0.0, "", "") }
}

/// What is to be measured.
pub struct Settings {
    /// How long it may take.
    pub scale: Scale,
    /// Cases for the contract food-assistance.
    pub cases: Option<PathBuf>,
    /// Keys of the large ledger.
    pub keys: u64,
}

type Measure = fn(&Settings) -> Vec<Figure>;

/// Parts that other figures run in a process of their own.
pub const PARTS: [(&str, Measure); 1] = [("P5-LEDGER", growth::ledger)];

/// All figures.
pub const ALL: [(&str, Measure); 9] = [
    ("L", raw),
    ("P1", p1),
    ("P2", p2),
    ("P3", p3),
    ("P4", p4),
    ("P5", growth::p5),
    ("P6", p6),
    ("P7", p7),
    ("P8", p8),
];

/// Submitters of the load.
pub const SUBMITTERS: usize = 64;

/// A block of one call takes about so many bytes.
pub const BLOCK_BYTES: usize = 1_500;

/// The load on a fresh ledger.
pub fn town(dir: &Path) -> Town {
    Town::new(dir, Options::default()).expect("a ledger with the load")
}

/// The one in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// A time in microseconds.
pub fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn progress() -> Progress {
    Arc::new(|_, _, _| {})
}

/// What the machine itself can do: every other figure is to be read beside these.
fn raw(&Settings { scale, .. }: &Settings) -> Vec<Figure> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut file = limits::Synced::new(dir.path(), BLOCK_BYTES).expect("the disk has room");
    let syncs: Vec<Duration> = (0..scale.of(2_000, 50)).map(|_| file.sync().expect("the disk works")).collect();
    let syncs = per_second(1, quantile(&syncs, 500));
    let time = Duration::from_millis(scale.of(1_000, 20));
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    vec![
        figure("1", format!("one write and fdatasync of {BLOCK_BYTES} bytes, one after the other"), syncs, "/s", ""),
        figure("2", "SHA-256, one core", gigabytes(limits::sha256_bytes(time)), "GB/s", ""),
        figure("3", "BLAKE3, one core", gigabytes(limits::blake3_bytes(time)), "GB/s", ""),
        figure("4", "Ed25519 verifications, keys kept ready, one core", limits::verifications(time) as f64, "/s", ""),
    ]
}

/// A call in memory.
fn p1(&Settings { scale, .. }: &Settings) -> Vec<Figure> {
    let mut workload = Disburse::new(engine());
    let calls = scale.of(20_000, 200);
    let round = |_| {
        let start = Instant::now();
        (0..calls).for_each(|_| workload.pay());
        microseconds(start.elapsed()) / calls as f64
    };
    let value = median((0..scale.rounds()).map(round).collect());
    vec![figure("", "disburse in memory, one core, a fresh memory for each call", value, "us", "<= 4.0")]
}

/// The load end to end: calls a second, the median of the rounds.
pub fn load(town: &mut Town, scale: Scale, submitters: usize, calls: u64) -> f64 {
    let round = |_| {
        let payments = town.payments(calls);
        per_second(calls, town.submit_from(submitters, payments).expect("the load is carried out"))
    };
    median((0..scale.rounds()).map(round).collect())
}

fn p2(&Settings { scale, .. }: &Settings) -> Vec<Figure> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut town = town(dir.path());
    let value = load(&mut town, scale, SUBMITTERS, scale.of(20_000, 500));
    vec![figure("", "disburse end to end, 64 submitters, durable", value, "/s", ">= 50000")]
}

/// A lone caller's latency, beside one fdatasync of as many bytes.
fn p3(&Settings { scale, .. }: &Settings) -> Vec<Figure> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut town = town(dir.path());
    let lone = town.lone(dir.path(), BLOCK_BYTES, scale.of(2_000, 50)).expect("the load is carried out");
    let (call, sync) = (microseconds(quantile(&lone.calls, 500)), microseconds(quantile(&lone.syncs, 500)));
    vec![
        figure("a", "latency of a lone submitter", call, "us", ""),
        figure("b", "one write and fdatasync of as many bytes", sync, "us", ""),
        figure("", "latency over fdatasync", call / sync, "x", "<= 1.3"),
    ]
}

/// Metering.
fn p4(&Settings { scale, .. }: &Settings) -> Vec<Figure> {
    let overheads = overheads(u32::try_from(scale.of(400, 1)).unwrap_or(1));
    let mean = |ratios: Vec<u64>| geometric_mean(&ratios) as f64 / 1_000.0;
    let own = mean(overheads.iter().map(|kernel| kernel.metered).collect());
    let fuel = mean(overheads.iter().map(|kernel| kernel.fuel).collect());
    vec![
        figure("a", "the engine's own fuel, geometric mean over eight kernels", fuel, "x", ""),
        figure("", "metered over unmetered, geometric mean over eight kernels", own, "x", "<= 1.2"),
    ]
}

/// Measures a part in a process of its own, with a memory of its own, perhaps begun by another program.
pub fn in_own_process(part: &str, settings: &Settings, by: &[&str]) -> Vec<Figure> {
    let measured = || -> Option<Vec<Figure>> {
        let this = std::env::current_exe().ok()?;
        let json = tempfile::NamedTempFile::new().ok()?;
        let mut words = by.iter().map(OsString::from).chain([this.into()]);
        let mut command = Command::new(words.next()?);
        command.args(words).args(["--only", part, "--keys", &settings.keys.to_string(), "--json"]).arg(json.path());
        if settings.scale == Scale::Quick {
            command.arg("--quick");
        }
        // What keeps it from measuring is told where this process tells it.
        command.stdout(Stdio::null()).status().ok()?.success().then_some(())?;
        let found: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&std::fs::read(json.path()).ok()?).ok()?;
        let one = |(id, found): (String, serde_json::Value)| {
            let text = |name: &str| found[name].as_str().unwrap_or_default().to_string();
            let part = id.strip_prefix(part).unwrap_or(&id).to_string();
            Figure {
                part,
                what: text("what"),
                value: found["value"].as_f64(),
                unit: text("unit"),
                reach: text("reach"),
            }
        };
        Some(found.into_iter().map(one).collect())
    };
    measured().unwrap_or_else(|| vec![skipped("", format!("{part}: it could not be run in a process of its own"))])
}

/// Audit, beside the speed at which the same log was written.
fn p6(&Settings { scale, .. }: &Settings) -> Vec<Figure> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut town = town(dir.path());
    let written = load(&mut town, scale, SUBMITTERS, scale.of(20_000, 500));
    town.ledger.close().expect("the disk has room");
    let options = AuditOptions { compiler: Compiler::default(), progress: progress(), resume: None, policy: None };
    let start = Instant::now();
    let audited = audit(dir.path(), &options).expect("an honest log").executed;
    let audited = per_second(audited, start.elapsed());
    let start = Instant::now();
    let entries = verify(dir.path(), &progress()).expect("an honest log").entries;
    let verified = per_second(entries, start.elapsed());
    vec![
        figure("a", "written, 64 submitters", written, "/s", ""),
        figure("b", "log verify, entries", verified, "/s", ""),
        figure("", "audit, every signature verified", audited, "/s", ">= P2"),
    ]
}

/// Bulk determination by the command line, from a file to durable answers.
fn p7(&Settings { scale, ref cases, .. }: &Settings) -> Vec<Figure> {
    let what = "cases a second by `chancery batch`";
    let Some(cases) = cases else { return vec![skipped("", format!("{what}: no --cases FILE"))] };
    let Some(chancery) = beside("chancery") else {
        return vec![skipped("", format!("{what}: chancery is not built (cargo build --release)"))];
    };
    let text = std::fs::read_to_string(cases).expect("the file of cases can be read");
    let rows = text.lines().count().saturating_sub(1) as u64;
    let round = |_| per_second(rows, batch(&chancery, &text));
    vec![figure("", what, median((0..scale.rounds()).map(round).collect()), "/s", ">= 25000")]
}

/// How long `chancery batch` takes for these cases on a ledger of its own, from its start to its end.
fn batch(chancery: &Path, cases: &str) -> Duration {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let run = |arguments: &[&str]| {
        let output = Command::new(chancery)
            .args(["--data", "town", "--keys", "keys"])
            .args(arguments)
            .current_dir(dir.path())
            .output()
            .expect("the program runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let module = dir.path().join("food-assistance.wasm");
    std::fs::write(&module, include_bytes!("../../contracts/dist/food-assistance.wasm")).expect("the disk has room");
    std::fs::write(dir.path().join("cases.csv"), cases).expect("the disk has room");
    run(&["init", "--origin", "ledger.example/bench"]);
    run(&["key", "new", "officer"]);
    run(&["deploy", "food-assistance.wasm", "--name", "food-assistance", "--as", "officer"]);
    let start = Instant::now();
    run(&["batch", "food-assistance", "determine", "cases.csv", "--as", "officer", "--report", "out.csv"]);
    start.elapsed()
}

/// A program in the directory of this one.
fn beside(name: &str) -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?.parent()?.join(name);
    path.exists().then_some(path)
}

/// Two cores over one.
fn p8(settings: &Settings) -> Vec<Figure> {
    let scale = settings.scale;
    let rounds = u32::try_from(scale.of(300, 2)).unwrap_or(1);
    let (one, two) = (together(1, rounds), together(2, rounds));
    let ratio = 2.0 * one.as_secs_f64() / two.as_secs_f64();
    let what = format!("in memory, two threads over one ({CALLS_TOGETHER} calls each)");
    let mut found = vec![figure("a", what, ratio, "x", ">= 1.7")];
    let speed = |cores: &str| {
        in_own_process("P2", settings, &["taskset", "-c", cores]).into_iter().find_map(|found| found.value)
    };
    found.push(match (speed("0"), speed("0,1")) {
        (Some(one), Some(two)) => figure("b", "end to end, two cores over one", two / one, "x", ">= 1.7"),
        _ => skipped("b", "end to end, two cores over one: taskset is not here"),
    });
    found
}
