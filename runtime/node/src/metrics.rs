//! What a ledger tells about itself while it runs: times of its stages, depths of its queues, hits of its caches, sizes
//! of its blocks, outcomes.
//!
//! The numbers go to whatever recorder of the crate `metrics` the program has installed before the ledger is opened,
//! [`Prometheus`](crate::prometheus::Prometheus) for one; without a recorder they go nowhere. Handles are asked for
//! once, when the ledger is opened: a call costs a few readings of the clock and additions, no allocation and no
//! look-up. Nothing here has any influence on what is recorded.
//!
//! A process that has several ledgers open counts them together. `docs/src/operations/metrics.md` lists every metric; a
//! test compares.

use crate::Answer;
use ::metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use chancery_types::{Outcome, Record};
use std::time::Instant;

const STAGE: &str = "chancery_stage_seconds";
const SUBMISSIONS_WAITING: &str = "chancery_submissions_waiting";
const BLOCKS_WAITING: &str = "chancery_view_blocks_waiting";
const BLOCK_CALLS: &str = "chancery_block_calls";
const BLOCK_BYTES: &str = "chancery_block_bytes";
const CALLS: &str = "chancery_calls_total";
const REFUSED: &str = "chancery_submissions_refused_total";
const GAS: &str = "chancery_gas_total";
const JOURNAL_BYTES: &str = "chancery_journal_bytes_total";
const CACHE_HITS: &str = "chancery_cache_hits_total";
const CACHE_MISSES: &str = "chancery_cache_misses_total";
const LOG_ENTRIES: &str = "chancery_log_entries";
const PUBLISHED_ENTRIES: &str = "chancery_published_entries";
const WITNESSED_ENTRIES: &str = "chancery_witnessed_entries";
const STATE_KEYS: &str = "chancery_state_keys";
const DISK_FREE: &str = "chancery_disk_free_bytes";
const READ_ONLY: &str = "chancery_read_only";
const STOPPED: &str = "chancery_stopped";
const MIRROR_ENTRIES: &str = "chancery_mirror_entries";
const MIRROR_ROUNDS: &str = "chancery_mirror_rounds_total";
const WITNESS_REQUESTS: &str = "chancery_witness_requests_total";

/// A stage that calls, blocks or publications pass, and what it takes.
#[derive(Clone)]
pub(crate) struct Stage(Histogram);

impl Stage {
    fn named(name: &'static str) -> Self {
        Stage(histogram!(STAGE, "stage" => name))
    }

    /// Somebody has passed it who entered at `start`.
    pub(crate) fn since(&self, start: Instant) {
        self.0.record(start.elapsed());
    }

    /// Somebody passes it with this work.
    pub(crate) fn pass<T>(&self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = work();
        self.since(start);
        done
    }
}

impl Default for Stage {
    /// Tells nobody.
    fn default() -> Self {
        Stage(Histogram::noop())
    }
}

/// A cache: how often it had what was asked for.
#[derive(Clone)]
pub(crate) struct CacheCounters {
    hits: Counter,
    misses: Counter,
}

impl CacheCounters {
    fn named(name: &'static str) -> Self {
        CacheCounters { hits: counter!(CACHE_HITS, "cache" => name), misses: counter!(CACHE_MISSES, "cache" => name) }
    }

    /// Something was asked for.
    pub(crate) fn asked(&self, had: bool) {
        if had { &self.hits } else { &self.misses }.increment(1);
    }
}

impl Default for CacheCounters {
    /// Tells nobody.
    fn default() -> Self {
        CacheCounters { hits: Counter::noop(), misses: Counter::noop() }
    }
}

/// What the journal takes.
#[derive(Clone, Default)]
pub(crate) struct JournalStages {
    /// Making a new segment.
    pub(crate) segment: Stage,
    /// Writing a block.
    pub(crate) write: Stage,
    /// Making it durable.
    pub(crate) sync: Stage,
}

/// The handles of a ledger.
pub(crate) struct Metrics {
    /// Checks of a call before it is ordered, on the submitter's thread.
    pub(crate) check: Stage,
    queue: Stage,
    /// Execution of a call.
    pub(crate) execute: Stage,
    /// Entries, their hashes and the state tree of a block.
    pub(crate) encode: Stage,
    pub(crate) journal: JournalStages,
    /// Making a block visible to readers, waiting for the view's queue included.
    pub(crate) commit: Stage,
    /// Handing out a block's answers.
    pub(crate) answer: Stage,
    /// Writing blocks to the view.
    pub(crate) view: Stage,
    /// Making the view durable.
    pub(crate) view_sync: Stage,
    /// Tiles, bundles and a checkpoint.
    pub(crate) publish: Stage,
    /// Asking the witnesses.
    pub(crate) witness: Stage,
    submissions: Gauge,
    /// Blocks that wait for the view.
    pub(crate) view_blocks: Gauge,
    block_calls: Histogram,
    block_bytes: Histogram,
    journal_bytes: Counter,
    done: Counter,
    refused: Counter,
    trapped: Counter,
    out_of_gas: Counter,
    rejected: Counter,
    /// Calls that were refused before they were ordered.
    pub(crate) submissions_refused: Counter,
    gas: Counter,
    /// Modules that are loaded.
    pub(crate) modules: CacheCounters,
    /// Values of the state in memory.
    pub(crate) values: CacheCounters,
    entries: Gauge,
    published: Gauge,
    witnessed: Gauge,
    keys: Gauge,
    disk_free: Gauge,
    /// 1 while the disk is full.
    pub(crate) read_only: Gauge,
    /// 1 from the fault that has stopped the ledger.
    pub(crate) stopped: Gauge,
}

impl Metrics {
    /// Handles from the recorder that is installed.
    pub(crate) fn new() -> Self {
        describe();
        let outcome = |word: &'static str| counter!(CALLS, "outcome" => word);
        Metrics {
            check: Stage::named("check"),
            queue: Stage::named("queue"),
            execute: Stage::named("execute"),
            encode: Stage::named("encode"),
            journal: JournalStages {
                segment: Stage::named("segment"),
                write: Stage::named("write"),
                sync: Stage::named("sync"),
            },
            commit: Stage::named("commit"),
            answer: Stage::named("answer"),
            view: Stage::named("view"),
            view_sync: Stage::named("view_sync"),
            publish: Stage::named("publish"),
            witness: Stage::named("witness"),
            submissions: gauge!(SUBMISSIONS_WAITING),
            view_blocks: gauge!(BLOCKS_WAITING),
            block_calls: histogram!(BLOCK_CALLS),
            block_bytes: histogram!(BLOCK_BYTES),
            journal_bytes: counter!(JOURNAL_BYTES),
            done: outcome("done"),
            refused: outcome("refused"),
            trapped: outcome("trapped"),
            out_of_gas: outcome("out_of_gas"),
            rejected: outcome("rejected"),
            submissions_refused: counter!(REFUSED),
            gas: counter!(GAS),
            modules: CacheCounters::named("modules"),
            values: CacheCounters::named("values"),
            entries: gauge!(LOG_ENTRIES),
            published: gauge!(PUBLISHED_ENTRIES),
            witnessed: gauge!(WITNESSED_ENTRIES),
            keys: gauge!(STATE_KEYS),
            disk_free: gauge!(DISK_FREE),
            read_only: gauge!(READ_ONLY),
            stopped: gauge!(STOPPED),
        }
    }

    /// A call joins the queue to the sequencer.
    pub(crate) fn queued(&self) -> Option<Instant> {
        self.submissions.increment(1);
        Some(Instant::now())
    }

    /// A call that joined the queue then leaves it; nothing where it has left it before.
    pub(crate) fn ordered(&self, queued: Option<Instant>) {
        if let Some(queued) = queued {
            self.queue.since(queued);
            self.submissions.decrement(1);
        }
    }

    /// A block of so many calls and bytes is durable.
    pub(crate) fn recorded(&self, calls: u32, bytes: usize) {
        self.block_calls.record(calls);
        self.block_bytes.record(number(bytes as u64));
        self.journal_bytes.increment(bytes as u64);
    }

    /// The log has so many entries, the state so many keys.
    pub(crate) fn reached(&self, entries: u64, keys: u64) {
        self.entries.set(number(entries));
        self.keys.set(number(keys));
    }

    /// The published checkpoint covers so many entries.
    pub(crate) fn published(&self, entries: u64) {
        self.published.set(number(entries));
    }

    /// A checkpoint with enough cosignatures covers so many entries.
    pub(crate) fn witnessed(&self, entries: u64) {
        self.witnessed.set(number(entries));
    }

    /// So many bytes are free on the ledger's disk.
    pub(crate) fn free(&self, bytes: u64) {
        self.disk_free.set(number(bytes));
    }

    /// These answers are durable.
    pub(crate) fn answered<'a>(&self, answers: impl Iterator<Item = &'a Answer>) {
        for answer in answers {
            let Record::Call { outcome, gas, .. } = &answer.entry.record else { continue };
            self.gas.increment(gas.0);
            let counter = match outcome {
                Outcome::Done { .. } => &self.done,
                Outcome::Refused { .. } => &self.refused,
                Outcome::Trapped { .. } => &self.trapped,
                Outcome::OutOfGas => &self.out_of_gas,
                Outcome::Rejected { .. } => &self.rejected,
            };
            counter.increment(1);
        }
    }
}

/// The handles of a mirror.
pub(crate) struct MirrorMetrics {
    entries: Gauge,
    done: Counter,
    failed: Counter,
}

impl MirrorMetrics {
    /// Handles from the recorder that is installed.
    pub(crate) fn new() -> Self {
        describe_gauge!(MIRROR_ENTRIES, "Entries of the mirrored log that are kept, verified");
        describe_counter!(MIRROR_ROUNDS, "Looks at the source");
        let rounds = |result: &'static str| counter!(MIRROR_ROUNDS, "result" => result);
        MirrorMetrics { entries: gauge!(MIRROR_ENTRIES), done: rounds("done"), failed: rounds("failed") }
    }

    /// A look at the source has led to so many entries, or to nothing.
    pub(crate) fn looked(&self, entries: Option<u64>) {
        if entries.is_some() { &self.done } else { &self.failed }.increment(1);
        entries.into_iter().for_each(|entries| self.entries.set(number(entries)));
    }
}

/// The handles of a witness.
pub(crate) struct WitnessMetrics {
    cosigned: Counter,
    conflict: Counter,
    refused: Counter,
    failed: Counter,
}

impl WitnessMetrics {
    /// Handles from the recorder that is installed.
    pub(crate) fn new() -> Self {
        describe_counter!(WITNESS_REQUESTS, "Checkpoints that the witness was asked to cosign");
        let requests = |answer: &'static str| counter!(WITNESS_REQUESTS, "answer" => answer);
        WitnessMetrics {
            cosigned: requests("cosigned"),
            conflict: requests("conflict"),
            refused: requests("refused"),
            failed: requests("failed"),
        }
    }

    /// It has answered with this HTTP status.
    pub(crate) fn answered(&self, status: u16) {
        let counter = match status {
            200 => &self.cosigned,
            409 | 422 => &self.conflict,
            500.. => &self.failed,
            _ => &self.refused,
        };
        counter.increment(1);
    }
}

/// Beyond 2⁵³ it is rounded, which no reader of a gauge notices.
fn number(count: u64) -> f64 {
    count as f64
}

fn describe() {
    describe_histogram!(STAGE, "Time that a stage took");
    describe_gauge!(SUBMISSIONS_WAITING, "Checked calls that wait to be ordered");
    describe_gauge!(BLOCKS_WAITING, "Committed blocks that the view does not have yet");
    describe_histogram!(BLOCK_CALLS, "Calls of a block");
    describe_histogram!(BLOCK_BYTES, "Bytes of a block in the journal");
    describe_counter!(CALLS, "Calls that were recorded, by outcome");
    describe_counter!(REFUSED, "Calls that were refused before they were ordered, and left no entry");
    describe_counter!(GAS, "Gas of the calls that were recorded");
    describe_counter!(JOURNAL_BYTES, "Bytes that were appended to the journal");
    describe_counter!(CACHE_HITS, "Look-ups that a cache answered");
    describe_counter!(CACHE_MISSES, "Look-ups that went to the disk");
    describe_gauge!(LOG_ENTRIES, "Entries of the log");
    describe_gauge!(PUBLISHED_ENTRIES, "Entries that the published checkpoint covers");
    describe_gauge!(WITNESSED_ENTRIES, "Entries that a checkpoint with enough cosignatures covers");
    describe_gauge!(STATE_KEYS, "Keys of the state");
    describe_gauge!(DISK_FREE, "Bytes that are free on the ledger's disk");
    describe_gauge!(READ_ONLY, "1 while the disk is full and no call is taken");
    describe_gauge!(STOPPED, "1 when a fault has stopped the ledger");
}
