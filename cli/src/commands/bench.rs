//! `bench`: measures a ledger on this machine and this disk, and says what limits it.
//!
//! The load is that of the project's own benches (`chancery_load`): the contract disburse-bench, calls of 64 officers, signed before the clock
//! starts. It runs on a scratch ledger in a directory of its own; the operator's ledger is not opened.

use crate::failure::{Code, Failure, Outcome};
use crate::metrics;
use crate::output::{Session, table};
use crate::town::{compiler, options};
use chancery_load::{LoadError, Town, limits, quantile};
use chancery_node::prometheus::Prometheus;
use chancery_node::{Options, Refusal};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// Where the scratch ledger is made; about 300 MB, removed afterwards [default: beside the ledger's directory].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// A short run, to see that it works.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    metrics: metrics::Arguments,
}

/// Submitters of the three loads; what limits is told of the last.
const SUBMITTERS: [usize; 3] = [1, 8, 64];
/// Stages of a call or block, in the order in which they are passed before the answer.
const STAGES: [&str; 8] = ["check", "queue", "execute", "encode", "write", "sync", "commit", "answer"];
/// From this part of all processors' time on, in thousandths, the processor is what limits.
const BUSY: u128 = 800;
/// From this part of the time on, in thousandths, a thread is what limits.
const OCCUPIED: u128 = 600;

pub fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let recorder = Prometheus::default();
    recorder.install();
    let _metrics = arguments.metrics.keep(&recorder)?;
    let place = arguments.dir.clone().unwrap_or_else(|| beside(&session.data));
    let scratch = tempfile::Builder::new()
        .prefix("chancery-bench-")
        .tempdir_in(&place)
        .map_err(|error| Failure::file("cannot make a directory for the scratch ledger in", &place, &error))?;
    let scale = |whole: u64, quick: u64| if arguments.quick { quick } else { whole };
    let bar = session.bar(4, "measuring");
    let machine = Machine::measure(Duration::from_millis(scale(1_000, 20)));
    bar.inc(1);
    let ledger_options = || Options { compiler: compiler(), ..options(session, None) };
    let dir = scratch.path().join("ledger");
    let mut town = Town::new(&dir, ledger_options())?;
    let alone = Alone::measure(&mut town, scratch.path(), &recorder, scale(1_000, 20))?;
    bar.inc(1);
    let mut loads = Vec::new();
    for submitters in SUBMITTERS {
        loads.push(Load::measure(&mut town, &recorder, submitters, scale(20_000.min(submitters as u64 * 1_000), 100))?);
    }
    bar.inc(1);
    town.ledger.close()?;
    let start = Instant::now();
    let entries = chancery_node::verify(&dir, &options(session, None).progress)?.entries;
    let verified = rate(entries, start.elapsed());
    bar.finish_and_clear();
    show(session, &Found { place, machine, alone, loads, verified });
    Ok(())
}

/// The directory in which a directory lies.
fn beside(dir: &Path) -> PathBuf {
    dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).into()
}

/// All that was measured.
struct Found {
    place: PathBuf,
    machine: Machine,
    alone: Alone,
    loads: Vec<Load>,
    /// Entries a second.
    verified: u64,
}

/// What the machine can do by itself.
struct Machine {
    processors: usize,
    /// On one processor, in a second.
    verifications: u64,
    sha256_bytes: u64,
    blake3_bytes: u64,
}

impl Machine {
    fn measure(time: Duration) -> Self {
        Machine {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            verifications: limits::verifications(time),
            sha256_bytes: limits::sha256_bytes(time),
            blake3_bytes: limits::blake3_bytes(time),
        }
    }
}

/// One caller alone.
struct Alone {
    /// Bytes of its block.
    block_bytes: u64,
    calls: Vec<Duration>,
    /// One write and fdatasync of as many bytes, in turn with the calls.
    syncs: Vec<Duration>,
    /// Mean time in each stage.
    stages: Vec<(&'static str, Duration)>,
}

impl Alone {
    fn measure(town: &mut Town, dir: &Path, recorder: &Prometheus, calls: u64) -> Outcome<Self> {
        let journal = || recorder.count("chancery_journal_bytes_total", "");
        const FIRST: u64 = 10;
        let before = journal();
        for call in town.payments(FIRST) {
            town.submit(vec![call])?;
        }
        let block_bytes = (journal() - before) / FIRST;
        let before = Stages::read(recorder);
        let lone = town.lone(dir, usize::try_from(block_bytes).unwrap_or(usize::MAX), calls)?;
        let stages = Stages::read(recorder).since(&before);
        let mean = |(name, time, count): &(&'static str, Duration, u64)| {
            (*name, time.checked_div(u32::try_from(*count).unwrap_or(u32::MAX)).unwrap_or_default())
        };
        Ok(Alone { block_bytes, calls: lone.calls, syncs: lone.syncs, stages: stages.0.iter().map(mean).collect() })
    }

    fn sync(&self) -> Duration {
        quantile(&self.syncs, 500)
    }
}

/// Time in each stage, and how often it was passed.
struct Stages(Vec<(&'static str, Duration, u64)>);

impl Stages {
    fn read(recorder: &Prometheus) -> Self {
        let stage = |name: &'static str| {
            let (time, count) = recorder.time("chancery_stage_seconds", &format!("stage=\"{name}\""));
            (name, time, count)
        };
        Stages(STAGES.iter().map(|name| stage(name)).chain([stage("view")]).collect())
    }

    fn since(&self, before: &Stages) -> Self {
        let since = |(now, before): (&(&'static str, Duration, u64), &(&'static str, Duration, u64))| {
            (now.0, now.1.saturating_sub(before.1), now.2.saturating_sub(before.2))
        };
        Stages(self.0.iter().zip(&before.0).map(since).collect())
    }

    fn of(&self, names: &[&str]) -> Duration {
        self.0.iter().filter(|(name, ..)| names.contains(name)).map(|(_, time, _)| *time).sum()
    }
}

/// Many callers at once.
struct Load {
    submitters: usize,
    calls: u64,
    time: Duration,
    /// Time that all processors together had for it; nothing where the system does not say.
    processor: Option<Duration>,
    stages: Stages,
    blocks: u64,
}

impl Load {
    fn measure(town: &mut Town, recorder: &Prometheus, submitters: usize, calls: u64) -> Outcome<Self> {
        let payments = town.payments(calls);
        let (before, used) = (Stages::read(recorder), limits::processor_time());
        let time = town.submit_from(submitters, payments)?;
        let processor = limits::processor_time().zip(used).map(|(now, before)| now.saturating_sub(before));
        let stages = Stages::read(recorder).since(&before);
        let blocks = stages.0.iter().find(|(name, ..)| *name == "sync").map_or(0, |(_, _, count)| *count);
        Ok(Load { submitters, calls, time, processor, stages, blocks })
    }

    fn rate(&self) -> u64 {
        rate(self.calls, self.time)
    }

    /// A time as a part of the load's, in thousandths.
    fn part(&self, time: Duration) -> u128 {
        permille(time, self.time)
    }
}

fn rate(count: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(count) * 1_000_000_000 / time.as_nanos().max(1)).unwrap_or(u64::MAX)
}

fn permille(part: Duration, whole: Duration) -> u128 {
    part.as_nanos() * 1_000 / whole.as_nanos().max(1)
}

/// What limits a load, in a sentence.
fn verdict(load: &Load, machine: &Machine) -> String {
    let cores = u128::try_from(machine.processors).unwrap_or(1);
    let busy = load.processor.map(|processor| load.part(processor) / cores);
    let sync = load.part(load.stages.of(&["write", "sync"]));
    let recorder = load.part(load.stages.of(&["encode", "write", "sync", "commit"]));
    let execute = load.part(load.stages.of(&["execute"]));
    let percent = |permille: u128| format!("{} %", permille.min(1_000) / 10);
    if let Some(busy) = busy.filter(|busy| *busy >= BUSY) {
        let signatures = u128::from(load.calls) * 1_000_000_000 / u128::from(machine.verifications.max(1));
        let signatures = Duration::from_nanos(u64::try_from(signatures).unwrap_or(u64::MAX));
        let of_processors = |time: Duration| percent(load.processor.map_or(0, |all| permille(time, all)));
        return format!(
            "the processor: its {cores} cores are {} busy; of their time signatures take {}, execution {}, entries, hashes and the state tree {}, \
             the view {}. Faster or more cores help, a faster disk does not",
            percent(busy),
            of_processors(signatures),
            of_processors(load.stages.of(&["execute"])),
            of_processors(load.stages.of(&["encode"])),
            of_processors(load.stages.of(&["view"])),
        );
    }
    if sync >= OCCUPIED {
        return format!(
            "the disk: {} of the time a block is being written and made durable. A disk with a faster fdatasync helps",
            percent(sync)
        );
    }
    if execute >= OCCUPIED {
        return format!(
            "execution, on one thread: it is at work {} of the time. A faster core helps",
            percent(execute)
        );
    }
    if recorder >= OCCUPIED {
        return format!(
            "recording, on one thread: it is at work {} of the time, {} with the disk. A faster core helps, and a faster disk",
            percent(recorder),
            percent(sync)
        );
    }
    "callers: neither disk nor processor nor a thread is at its limit; more of them at once find room".into()
}

fn micros(time: Duration) -> String {
    let tenths = time.as_nanos() / 100;
    format!("{}.{} µs", tenths / 10, tenths % 10)
}

fn hundredths(permille: u128) -> String {
    format!("{}.{:02}", permille / 1_000, permille % 1_000 / 10)
}

fn show(session: &Session, found: &Found) {
    session.print(|| text(found), || value(found));
}

fn text(Found { place, machine, alone, loads, verified }: &Found) -> String {
    let gigabytes = |bytes: u64| format!("{} GB/s", hundredths(u128::from(bytes / 1_000_000)));
    let (call, sync) = (quantile(&alone.calls, 500), alone.sync());
    let mut rows = table(&["what", "median", "99 % within"]);
    let fdatasync = format!("write and fdatasync of {} bytes", alone.block_bytes);
    rows.add_row([fdatasync, micros(sync), micros(quantile(&alone.syncs, 990))]);
    rows.add_row(["a durable call, one caller alone".into(), micros(call), micros(quantile(&alone.calls, 990))]);
    let mut out = format!("measured in {}, on {} processors\n{rows}\n", place.display(), machine.processors);
    out.push_str(&format!(
        "a lone call takes {} × fdatasync; the mean of its stages:\n",
        hundredths(permille(call, sync))
    ));
    let stage = |(name, time): &(&str, Duration)| format!("  {name:8} {}\n", micros(*time));
    out.extend(alone.stages.iter().filter(|(name, _)| STAGES.contains(name)).map(stage));
    let mut rows = table(&["submitters", "calls/s", "calls in a block"]);
    for load in loads {
        rows.add_row([
            load.submitters.to_string(),
            load.rate().to_string(),
            (load.calls / load.blocks.max(1)).to_string(),
        ]);
    }
    out.push_str(&format!(
        "{rows}\nlog verify: {verified} entries/s\none processor: Ed25519 {} verifications/s, SHA-256 {}, BLAKE3 {}\n",
        machine.verifications,
        gigabytes(machine.sha256_bytes),
        gigabytes(machine.blake3_bytes),
    ));
    if let Some(load) = loads.last() {
        out.push_str(&format!("what limits {} submitters: {}\n", load.submitters, verdict(load, machine)));
    }
    out
}

fn value(Found { place, machine, alone, loads, verified }: &Found) -> Value {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let times =
        |times: &[Duration]| json!({"median_ns": nanos(quantile(times, 500)), "p99_ns": nanos(quantile(times, 990))});
    let load = |load: &Load| {
        let stage = |(name, time, _): &(&str, Duration, u64)| ((*name).into(), nanos(*time).into());
        json!({
            "submitters": load.submitters, "calls": load.calls, "blocks": load.blocks, "time_ns": nanos(load.time), "calls_per_second": load.rate(),
            "processor_ns": load.processor.map(nanos), "stages_ns": load.stages.0.iter().map(stage).collect::<serde_json::Map<_, _>>(),
        })
    };
    let stage = |(name, time): &(&str, Duration)| ((*name).into(), nanos(*time).into());
    json!({
        "dir": place, "processors": machine.processors,
        "machine": {
            "ed25519_verifications_per_second": machine.verifications,
            "sha256_bytes_per_second": machine.sha256_bytes, "blake3_bytes_per_second": machine.blake3_bytes,
        },
        "block_bytes": alone.block_bytes, "fdatasync": times(&alone.syncs), "call": times(&alone.calls),
        "call_over_fdatasync_permille": u64::try_from(permille(quantile(&alone.calls, 500), alone.sync())).unwrap_or(u64::MAX),
        "call_stages_mean_ns": alone.stages.iter().map(stage).collect::<serde_json::Map<_, _>>(),
        "loads": loads.iter().map(load).collect::<Vec<_>>(), "verify_entries_per_second": verified,
        "limit": loads.last().map(|load| verdict(load, machine)),
    })
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Node(error) | LoadError::Refusal(Refusal::Node(error)) => {
                Failure::unfinished(error, "the scratch ledger has no room, and nothing was measured")
            }
            LoadError::Refusal(refusal) => refusal.into(),
            LoadError::File(error) => Failure { code: Code::Unavailable, message: LoadError::File(error).to_string() },
            other => Failure::internal(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine { processors: 2, verifications: 20_000, sha256_bytes: 1, blake3_bytes: 1 };

    fn load(processor: Option<u64>, stages: &[(&'static str, u64)]) -> Load {
        let stages = stages.iter().map(|(name, millis)| (*name, Duration::from_millis(*millis), 1)).collect();
        let processor = processor.map(Duration::from_millis);
        Load {
            submitters: 64,
            calls: 4_000,
            time: Duration::from_secs(1),
            processor,
            stages: Stages(stages),
            blocks: 100,
        }
    }

    #[test]
    fn what_limits_is_told_from_the_stages() {
        let says = |load: &Load, what: &str| {
            let found = verdict(load, &MACHINE);
            assert!(found.starts_with(what), "{found}");
            found
        };
        let full = says(
            &load(Some(1_800), &[("execute", 450), ("encode", 180), ("sync", 700)]),
            "the processor: its 2 cores are 90 % busy",
        );
        // 4,000 signatures at 20,000/s are 200 ms of 1,800.
        assert!(
            full.contains("signatures take 11 %, execution 25 %, entries, hashes and the state tree 10 %"),
            "{full}"
        );
        says(&load(Some(900), &[("write", 50), ("sync", 600), ("execute", 700)]), "the disk: 65 % of the time");
        says(&load(None, &[("execute", 700), ("sync", 100)]), "execution, on one thread: it is at work 70 %");
        says(
            &load(Some(1_500), &[("encode", 500), ("sync", 200)]),
            "recording, on one thread: it is at work 70 % of the time, 20 % with the disk",
        );
        says(&load(Some(500), &[("sync", 500)]), "callers");
    }

    #[test]
    fn times_and_rates_for_people() {
        assert_eq!((micros(Duration::from_nanos(1_234_567)), hundredths(1_957)), ("1234.5 µs".into(), "1.95".into()));
        assert_eq!(rate(3_000, Duration::from_millis(500)), 6_000);
        assert_eq!(rate(0, Duration::ZERO), 0);
        assert_eq!((beside(Path::new("/a/b")), beside(Path::new("b"))), (PathBuf::from("/a"), PathBuf::from(".")));
    }
}
