//! A recorder of the crate `metrics` that renders what it holds in the text format of Prometheus, and keeps a file of
//! it.
//!
//! ```text
//! # HELP chancery_stage_seconds Time that a stage took
//! # TYPE chancery_stage_seconds histogram
//! chancery_stage_seconds_bucket{stage="sync",le="0.0002"} 7
//! chancery_stage_seconds_sum{stage="sync"} 0.0011
//! chancery_stage_seconds_count{stage="sync"} 7
//! ```
//!
//! ([Exposition formats](https://prometheus.io/docs/instrumenting/exposition_formats/), text format 0.0.4.) Families
//! and series stand in the order of their names. Buckets are fixed: times from 1 µs to 10 s in steps of 1, 2, 5;
//! everything else in powers of four up to 4¹³. So a histogram is an array of counters: recording allocates nothing,
//! and nothing grows between two readings.
//!
//! The file is replaced by renaming, so that a reader sees a whole one; it is not made durable, for the next one comes
//! in seconds.

#![allow(
    clippy::float_arithmetic,
    reason = "the facade's numbers are floats: people read them, nothing is decided by them"
)]

use ::metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a file is written.
pub const WRITE_EVERY: Duration = Duration::from_secs(5);

/// Bounds of times.
const SECONDS: &[f64] = &[
    0.000_001, 0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005,
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];
/// Bounds of everything else.
const COUNTS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// A number that may go up and down: the bits of an `f64`.
#[derive(Default)]
struct Number(AtomicU64);

impl Number {
    fn add(&self, value: f64) {
        let sum = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // The closure always gives a value.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum);
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl GaugeFn for Number {
    fn increment(&self, value: f64) {
        self.add(value);
    }

    fn decrement(&self, value: f64) {
        self.add(-value);
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Count(AtomicU64);

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }
}

/// How many values lay between two bounds, and beyond the last.
struct Buckets {
    bounds: &'static [f64],
    counts: Box<[AtomicU64]>,
    sum: Number,
}

impl Buckets {
    fn of(family: &str) -> Self {
        let bounds = if family.ends_with("_seconds") { SECONDS } else { COUNTS };
        let counts = std::iter::repeat_with(AtomicU64::default).take(bounds.len() + 1).collect();
        Buckets { bounds, counts, sum: Number::default() }
    }

    fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        // All of two dozen are compared: without a branch that is faster than a search.
        let place = self.bounds.iter().filter(|bound| **bound < value).count();
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.add(value);
    }
}

/// A series: one metric with its labels.
enum Series {
    Counter(Arc<Count>),
    Gauge(Arc<Number>),
    Histogram(Arc<Buckets>),
}

impl Series {
    fn kind(&self) -> &'static str {
        match self {
            Series::Counter(_) => "counter",
            Series::Gauge(_) => "gauge",
            Series::Histogram(_) => "histogram",
        }
    }

    fn render(&self, out: &mut String, family: &str, labels: &str) {
        let braced = |labels: &str| if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let mut line = |suffix: &str, labels: &str, value: &dyn std::fmt::Display| {
            out.push_str(&format!("{family}{suffix}{} {value}\n", braced(labels)));
        };
        match self {
            Series::Counter(count) => line("", labels, &count.0.load(Ordering::Relaxed)),
            Series::Gauge(number) => line("", labels, &number.get()),
            Series::Histogram(buckets) => {
                let comma = if labels.is_empty() { "" } else { "," };
                let bounds = buckets.bounds.iter().map(ToString::to_string).chain(["+Inf".into()]);
                let mut below = 0;
                for (bound, count) in bounds.zip(&buckets.counts) {
                    below += count.load(Ordering::Relaxed);
                    line("_bucket", &format!("{labels}{comma}le=\"{bound}\""), &below);
                }
                line("_sum", labels, &buckets.sum.get());
                line("_count", labels, &below);
            }
        }
    }
}

#[derive(Default)]
struct Family {
    help: String,
    series: BTreeMap<String, Series>,
}

/// The recorder. Clones hold the same numbers.
#[derive(Clone, Default)]
pub struct Prometheus(Arc<Mutex<BTreeMap<String, Family>>>);

impl Prometheus {
    fn families(&self) -> MutexGuard<'_, BTreeMap<String, Family>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes it the recorder of this process. Says whether it is; there can be one only.
    pub fn install(&self) -> bool {
        ::metrics::set_global_recorder(self.clone()).is_ok()
    }

    /// What it holds, in the text format.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for (name, family) in &*self.families() {
            let Some(first) = family.series.values().next() else { continue };
            let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {}\n", first.kind()));
            family.series.iter().for_each(|(labels, series)| series.render(&mut out, name, labels));
        }
        out
    }

    /// The time of a histogram of seconds, `labels` as it is rendered (`stage="sync"`): all of it, and how many it is
    /// the sum of.
    pub fn time(&self, family: &str, labels: &str) -> (Duration, u64) {
        match self.families().get(family).and_then(|family| family.series.get(labels)) {
            Some(Series::Histogram(buckets)) => {
                (Duration::try_from_secs_f64(buckets.sum.get()).unwrap_or_default(), buckets.count())
            }
            _ => Default::default(),
        }
    }

    /// The value of a counter, `labels` as it is rendered.
    pub fn count(&self, family: &str, labels: &str) -> u64 {
        match self.families().get(family).and_then(|family| family.series.get(labels)) {
            Some(Series::Counter(count)) => count.0.load(Ordering::Relaxed),
            _ => 0,
        }
    }

    /// Writes the file now. A link to a file stays one.
    ///
    /// # Errors
    /// What the disk meets; [`io::ErrorKind::InvalidInput`] where something else than a file has the name.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let path = match path.metadata() {
            Ok(found) if found.is_file() => path.canonicalize()?,
            // Renaming would put a file in the place of a pipe or a device, `/dev/null` included.
            Ok(_) => {
                let problem = "it is there and is no file, and would be replaced by one: name a file";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.into(),
            Err(error) => return Err(error),
        };
        // Collectors look at files by their ending: this one's is another.
        let mut temporary = path.as_os_str().to_os_string();
        temporary.push(crate::disk::TEMPORARY);
        let written = std::fs::write(&temporary, self.render()).and_then(|()| std::fs::rename(&temporary, path));
        if written.is_err() {
            // What was written is of no use; that it may stay is harmless.
            drop(std::fs::remove_file(&temporary));
        }
        written
    }

    /// Keeps a file: now, every [`WRITE_EVERY`], and when what is returned is dropped.
    ///
    /// # Errors
    /// When the file cannot be written now. Later a full disk costs the file its newest numbers and nothing else.
    pub fn keep(&self, path: &Path) -> io::Result<Kept> {
        self.write(path)?;
        let (stop, stopped) = channel::<()>();
        let (recorder, file) = (self.clone(), path.to_path_buf());
        let thread = std::thread::Builder::new().name("metrics".into()).spawn(move || {
            while stopped.recv_timeout(WRITE_EVERY) == Err(RecvTimeoutError::Timeout) {
                drop(recorder.write(&file));
            }
        })?;
        Ok(Kept { recorder: self.clone(), path: path.into(), stop: Some(stop), thread: Some(thread) })
    }

    fn series<T>(
        &self,
        key: &Key,
        make: impl FnOnce() -> Series,
        take: impl FnOnce(&Series) -> Option<T>,
    ) -> Option<T> {
        let mut families = self.families();
        let family = families.entry(key.name().into()).or_default();
        take(family.series.entry(labels(key)).or_insert_with(make))
    }

    fn describe(&self, name: &KeyName, help: &SharedString) {
        self.families().entry(name.as_str().into()).or_default().help = help.to_string();
    }
}

fn labels(key: &Key) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let label = |label: &::metrics::Label| format!("{}=\"{}\"", label.key(), escape(label.value()));
    key.labels().map(label).collect::<Vec<_>>().join(",")
}

impl Recorder for Prometheus {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&key, &description);
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&key, &description);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&key, &description);
    }

    // A name that is asked for as two kinds is a mistake of the program, and its second kind tells nobody.

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let make = || Series::Counter(Arc::default());
        let take = |series: &Series| if let Series::Counter(count) = series { Some(count.clone()) } else { None };
        self.series(key, make, take).map_or(Counter::noop(), Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let make = || Series::Gauge(Arc::default());
        let take = |series: &Series| if let Series::Gauge(number) = series { Some(number.clone()) } else { None };
        self.series(key, make, take).map_or(Gauge::noop(), Gauge::from_arc)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let make = || Series::Histogram(Arc::new(Buckets::of(key.name())));
        let take = |series: &Series| if let Series::Histogram(buckets) = series { Some(buckets.clone()) } else { None };
        self.series(key, make, take).map_or(Histogram::noop(), Histogram::from_arc)
    }
}

/// A file that is kept: see [`Prometheus::keep`].
pub struct Kept {
    recorder: Prometheus,
    path: PathBuf,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.stop = None;
        drop(thread.join());
        // As in between: the numbers are of no more worth than the file.
        drop(self.recorder.write(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::metrics::{counter, describe_counter, gauge, histogram};

    #[test]
    fn the_text_is_that_of_the_format() {
        let recorder = Prometheus::default();
        ::metrics::with_local_recorder(&recorder, || {
            describe_counter!("calls_total", "Calls,\nby \\ outcome");
            counter!("calls_total", "outcome" => "a\"b").increment(2);
            counter!("calls_total", "outcome" => "a\"b").increment(1);
            gauge!("depth").set(3.5);
            gauge!("depth").decrement(1);
        });
        let expected = "# HELP calls_total Calls,\\nby \\\\ outcome\n# TYPE calls_total counter\ncalls_total{outcome=\"a\\\"b\"} 3\n\
                        # HELP depth \n# TYPE depth gauge\ndepth 2.5\n";
        assert_eq!(recorder.render(), expected);
        assert_eq!(recorder.count("calls_total", "outcome=\"a\\\"b\""), 3);
    }

    #[test]
    fn a_bound_belongs_to_its_bucket_and_buckets_add_up() {
        let recorder = Prometheus::default();
        ::metrics::with_local_recorder(&recorder, || {
            let times = histogram!("stage_seconds", "stage" => "sync");
            [0.000_2, 0.000_200_1, 60.0].into_iter().for_each(|time| times.record(time));
            histogram!("block_calls").record(65);
        });
        let text = recorder.render();
        for line in [
            "stage_seconds_bucket{stage=\"sync\",le=\"0.0001\"} 0",
            "stage_seconds_bucket{stage=\"sync\",le=\"0.0002\"} 1",
            "stage_seconds_bucket{stage=\"sync\",le=\"0.0005\"} 2",
            "stage_seconds_bucket{stage=\"sync\",le=\"10\"} 2",
            "stage_seconds_bucket{stage=\"sync\",le=\"+Inf\"} 3",
            "stage_seconds_count{stage=\"sync\"} 3",
            "block_calls_bucket{le=\"64\"} 0",
            "block_calls_bucket{le=\"256\"} 1",
            "block_calls_sum 65",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        let (time, count) = recorder.time("stage_seconds", "stage=\"sync\"");
        assert_eq!((time.as_micros(), count), (60_000_400, 3));
        assert_eq!(recorder.time("stage_seconds", "stage=\"none\""), Default::default());
    }

    #[test]
    fn a_kept_file_is_whole_at_once_and_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let (path, recorder) = (dir.path().join("chancery.prom"), Prometheus::default());
        let count = ::metrics::with_local_recorder(&recorder, || counter!("calls_total"));
        let kept = recorder.keep(&path).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("calls_total 0\n"));
        count.increment(5);
        drop(kept);
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("calls_total 5\n"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
        assert!(recorder.keep(&dir.path().join("none/chancery.prom")).is_err());
    }

    /// A file was renamed over whatever had the name: `--metrics /dev/null`, as root, took that device from the machine.
    #[test]
    fn what_is_no_file_is_not_replaced_and_a_link_stays_one() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, file, link) = (dir.path().join("pipe"), dir.path().join("file"), dir.path().join("link"));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let recorder = Prometheus::default();
        for no_file in [&pipe, dir.path()] {
            let error = recorder.keep(no_file).map(drop).unwrap_err();
            assert!(
                error.kind() == io::ErrorKind::InvalidInput && error.to_string().contains("name a file"),
                "{error}"
            );
        }
        assert!(!pipe.is_file() && dir.path().is_dir());
        std::fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        drop(recorder.keep(&link).unwrap());
        assert!(link.is_symlink() && std::fs::read(&file).unwrap().is_empty());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "no temporary file stays");
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_no_temporary_one() {
        let dir = tempfile::tempdir().unwrap();
        let (path, recorder) = (dir.path().join("chancery.prom"), Prometheus::default());
        // Nobody can write what is a device without room.
        std::os::unix::fs::symlink("/dev/full", dir.path().join("chancery.prom.tmp")).unwrap();
        ::metrics::with_local_recorder(&recorder, || counter!("calls_total").increment(1));
        assert_eq!(recorder.write(&path).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
