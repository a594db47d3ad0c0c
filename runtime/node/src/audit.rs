//! The audit: every call of a log executed again, from genesis, with the recorded modules, on an empty state in memory.
//!
//! Beyond what [`verify`](mod@crate::verify) checks, each entry must be what its module does with its call on the state
//! that the calls before it left: contract, module, outcome with its result or fault, gas under the same price list,
//! events, movements, and the digests of decision trace and writes; and after each block the state root and the number
//! of keys. The first difference ends the audit, with entry, field and both values. Where the journal keeps the
//! recorded writes, a difference of writes names the first key that differs.
//!
//! Execution is in order, as it was. Meanwhile other threads read ahead, decode, hash, and check signatures. Modules
//! are taken from `blobs/` by the BLAKE3 of their bytes and compiled anew; no cache and no view is used. One thing an
//! audit cannot redo: that a module's bytes were *absent* when it was deployed. A rejection for that reason is taken as
//! recorded.
//!
//! It works on a data directory and on an exported one. A progress file keeps how far an audit of a data directory
//! came; an exported one holds no writes, from which a later audit could resume:
//!
//! ```text
//! chancery audit v1
//! ledger <hex>
//! size <entries audited, up to and with a seal>
//! root <Merkle root over them, hex>
//! state <state root after them, hex>
//! ```
//!
//! Resuming reads the log from the start and checks it, but takes the state of the entries that the file covers from
//! the recorded writes. That is no weaker: the log must have the file's Merkle root there, and the writes must lead to
//! the file's state root, which executing had given.

use crate::blobs::Blobs;
use crate::checkpoint::vkey;
use crate::directory::check_format;
use crate::disk::{Disk, OsDisk};
use crate::execute::{At, Executed, Executor, rejected};
use crate::metrics::CacheCounters;
use crate::public::{Place, PublicSource, finish};
use crate::publication::PublicLog;
use crate::stack;
use crate::verify::{Report, report};
use crate::walk::{Chain, CheckedEntry, JournalSource, States, inconsistent, walk};
use crate::{NodeError, Progress};
use chancery_engine::{Compiler, Config, Engine, prices};
use chancery_state::{BlockStore, MemoryStore, Tree, tree};
use chancery_tlog::Policy;
use chancery_types::codec::Encode;
use chancery_types::entry::{Effects, Rejection, WriteSet};
use chancery_types::{Entry, Event, Hash, Height, LedgerId, Outcome, Record};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the progress file is written.
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// How an audit is done.
#[derive(Clone)]
pub struct AuditOptions {
    /// Where modules are compiled.
    pub compiler: Compiler,
    /// Told how many entries are audited, of how many where that is known.
    pub progress: Progress,
    /// The progress file: continued where it exists, and kept up to date.
    pub resume: Option<PathBuf>,
    /// Whose checkpoint to believe. Without it the policy of an exported directory, or the key of a data directory, which
    /// is the word of whoever gave it.
    pub policy: Option<Policy>,
}

/// What an audit found: every call does what its entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// What the log covers.
    pub report: Report,
    /// Calls that were executed again.
    pub executed: u64,
    /// Entries that an earlier audit had covered.
    pub resumed: u64,
}

/// How far an audit came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Saved {
    ledger: LedgerId,
    size: u64,
    root: Hash,
    state: Hash,
}

impl Saved {
    fn read(path: &Path) -> Result<Option<Saved>, NodeError> {
        let disk: &dyn Disk = &OsDisk;
        let Some(bytes) = disk.read_if_there(path)? else { return Ok(None) };
        let text = std::str::from_utf8(&bytes).ok();
        text.and_then(Saved::parse).map(Some).ok_or_else(|| {
            NodeError::Audit(format!(
                "{} is not a progress file of an audit: name another, or remove it",
                path.display()
            ))
        })
    }

    fn parse(text: &str) -> Option<Saved> {
        let mut lines = text.lines();
        (lines.next()? == "chancery audit v1").then_some(())?;
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let ledger = LedgerId::parse(field("ledger")?)?;
        let size = field("size")?.parse().ok()?;
        let root = Hash::parse(field("root")?)?;
        let state = Hash::parse(field("state")?)?;
        lines.next().is_none().then_some(Saved { ledger, size, root, state })
    }

    fn write(&self, path: &Path) -> Result<(), NodeError> {
        let Saved { ledger, size, root, state } = self;
        let text = format!("chancery audit v1\nledger {ledger}\nsize {size}\nroot {root}\nstate {state}\n");
        let disk: &dyn Disk = &OsDisk;
        disk.write_file(path, text.as_bytes(), 0o644)
    }
}

/// Audits the ledger in `dir`.
///
/// # Errors
/// [`NodeError::Diverged`] with the first difference; what [`verify`](crate::verify()) finds; [`NodeError::NoModule`]
/// where a module is missing; [`NodeError::NotContinued`] where the log is not the one that the progress file covers,
/// or has lost its end; [`NodeError::Audit`] where that file is none, or an entry was executed under another price
/// list; [`NodeError::Checkpoint`] and [`NodeError::Public`] where the policy does not accept the checkpoint.
pub fn audit(dir: &Path, options: &AuditOptions) -> Result<Audit, NodeError> {
    if !dir.join("format").exists() && dir.join("checkpoint").exists() {
        return audit_export(dir, options);
    }
    check_format(&OsDisk, dir)?;
    if let Some(policy) = &options.policy {
        check_policy(dir, policy)?;
    }
    let source = JournalSource::open(&OsDisk, dir)?;
    let (mut chain, mut states) = (source.chain(), Reexecuted::new(&dir.join("blobs"), options)?);
    let what = ("auditing", source.published_size().unwrap_or(0));
    let torn = stack::on_large(|| walk(&source, &mut chain, &mut states, what, &options.progress))?;
    states.finish(&chain)?;
    let (executed, resumed) = (states.executed, states.resume.map_or(0, |saved| saved.size));
    Ok(Audit { report: report(&source, chain, &states.tree, torn)?, executed, resumed })
}

/// The checkpoint of a data directory must be one that the policy accepts, signed with the directory's key.
fn check_policy(dir: &Path, policy: &Policy) -> Result<(), NodeError> {
    let wrong = |problem: String| NodeError::Checkpoint(format!("{}: {problem}", PublicLog::path(dir).display()));
    let note = PublicLog::of(Arc::new(OsDisk), dir).checkpoint()?;
    let note = note.ok_or_else(|| wrong("it is missing, and the policy asks for one".into()))?;
    let accepted = policy.open(&note).map_err(|error| wrong(format!("the policy does not accept it: {error}")))?;
    let (by, key) = (accepted.log.to_vkey(), vkey(&OsDisk, dir)?.to_vkey());
    if by == key { Ok(()) } else { Err(wrong(format!("the policy accepts it by the key {by}, log.vkey is {key}"))) }
}

/// Audits an exported directory, whose own policy says whose checkpoint to believe where none is given.
fn audit_export(dir: &Path, options: &AuditOptions) -> Result<Audit, NodeError> {
    if let Some(path) = &options.resume {
        return Err(NodeError::Audit(format!(
            "{} is an exported log, which holds no writes from which a later audit could resume: leave the progress file {} out",
            dir.display(),
            path.display()
        )));
    }
    let place = Place::Directory(dir.into());
    let policy = options.policy.clone().map_or_else(|| place.own_policy(), Ok)?;
    let source = PublicSource::open(&place, &policy)?;
    let mut chain = Chain::with_root_over(None);
    let mut states = Reexecuted::new(&dir.join("blobs"), options)?;
    let what = ("auditing", source.size());
    stack::on_large(|| walk(&source, &mut chain, &mut states, what, &options.progress))?;
    states.finish(&chain)?;
    let (ledger, origin) = finish(&source, &chain)?;
    let report = Report {
        ledger,
        origin,
        vkey: source.accepted.log.to_vkey(),
        entries: chain.next,
        calls: chain.calls,
        blocks: chain.blocks,
        root: chain.log.root(),
        state_root: states.tree.root(),
        keys: states.tree.len(),
        checkpoint: Some(source.size()),
        torn: false,
    };
    Ok(Audit { report, executed: states.executed, resumed: 0 })
}

/// The state that executing again leads to.
pub(crate) struct Reexecuted {
    executor: Executor,
    committed: Arc<MemoryStore>,
    block: Arc<BlockStore>,
    pub(crate) tree: Tree,
    /// Calls of the block that is not sealed yet; they are executed with its height, which is one more than that of the
    /// last.
    height: Height,
    pub(crate) executed: u64,
    resume: Option<Saved>,
    save: Option<PathBuf>,
    saved_at: Instant,
}

impl Reexecuted {
    /// Nothing executed yet; modules lie in `blobs`.
    pub(crate) fn new(blobs: &Path, options: &AuditOptions) -> Result<Self, NodeError> {
        let resume = options.resume.as_deref().map(Saved::read).transpose()?.flatten();
        let engine = Engine::new(Config { compiler: options.compiler.clone(), ..Config::default() })?;
        let committed = Arc::new(MemoryStore::new());
        Ok(Reexecuted {
            executor: Executor {
                ledger: LedgerId::default(),
                engine: Arc::new(engine),
                blobs: Arc::new(Blobs::at(Arc::new(OsDisk), blobs)),
                modules: CacheCounters::default(),
            },
            block: Arc::new(BlockStore::new(committed.clone())),
            committed,
            tree: Tree::new(),
            height: Height(0),
            executed: 0,
            resume,
            save: options.resume.clone(),
            saved_at: Instant::now(),
        })
    }

    /// Executes a call and compares.
    fn execute(&mut self, entry: &Entry, effects: Option<&Effects>) -> Result<(), NodeError> {
        let Record::Call { signed, outcome, prices, .. } = &entry.record else { return Ok(()) };
        if *prices != prices::PRICES_VERSION {
            return Err(NodeError::Audit(format!(
                "entry {} was executed under price list {prices}, this program has {}: audit it with the version of the program that wrote it",
                entry.index,
                prices::PRICES_VERSION
            )));
        }
        let absent = Outcome::Rejected { rejection: Rejection::UnknownModule };
        let executed = if *outcome == absent {
            rejected(Rejection::UnknownModule)
        } else {
            let at = At { time: entry.time, height: self.height, index: entry.index };
            self.executor.execute(&signed.call, at, self.block.clone())?
        };
        self.executed += 1;
        compare(entry, effects, &executed)?;
        self.block.apply(&executed.execution.writes);
        Ok(())
    }

    fn saved(&self, chain: &Chain) -> Option<Saved> {
        let (ledger, _) = chain.genesis.as_ref()?;
        Some(Saved { ledger: *ledger, size: chain.next, root: chain.log.root(), state: self.tree.root() })
    }

    /// Keeps how far the audit came, now and then.
    fn save(&mut self, chain: &Chain) -> Result<(), NodeError> {
        self.saved_at = Instant::now();
        match (&self.save, self.saved(chain)) {
            (Some(path), Some(saved)) => saved.write(path),
            _ => Ok(()),
        }
    }

    /// The end of the log: what the progress file covers must have been there.
    pub(crate) fn finish(&mut self, chain: &Chain) -> Result<(), NodeError> {
        if let Some(saved) = self.resume.filter(|saved| saved.size > chain.next) {
            return Err(NodeError::NotContinued(format!(
                "the progress file covers {} entries, the log has {}: its end was lost, or an older copy put in its place",
                saved.size, chain.next
            )));
        }
        self.save(chain)
    }
}

impl States for Reexecuted {
    fn call(&mut self, checked: CheckedEntry) -> Result<(), NodeError> {
        let CheckedEntry { entry, effects, .. } = checked;
        let Record::Call { signed, .. } = &entry.record else { return Ok(()) };
        self.executor.ledger = signed.call.ledger;
        match effects {
            Some(effects) if self.resume.is_some_and(|saved| entry.index < saved.size) => {
                self.block.apply(&effects.writes);
                Ok(())
            }
            effects => self.execute(&entry, effects.as_ref()),
        }
    }

    fn seal(&mut self, entry: &Entry, chain: &Chain) -> Result<(), NodeError> {
        let Record::Seal { height, state_root, keys, entries } = &entry.record else { return Ok(()) };
        let writes = self.block.seal(*height);
        self.tree.update(writes.iter().map(tree::change));
        self.committed.apply(&writes);
        self.block.settle(*height);
        self.height = Height(height.0 + 1);
        diverged(entry.index, "state root", state_root, &self.tree.root())?;
        diverged(entry.index, "keys of the state", keys, &self.tree.len())?;
        let block_begins = entry.index - u64::from(*entries);
        match self.resume {
            Some(saved) if chain.next < saved.size => Ok(()),
            // What the file covers ends with this block, or was never the end of one.
            Some(saved) if block_begins < saved.size && self.saved(chain) != Some(saved) => {
                Err(NodeError::NotContinued(format!(
                    "the log, or the state that its writes lead to, is not the one that the progress file covers at {} entries: it was changed since, or the file is another log's. Audit without the file",
                    saved.size
                )))
            }
            _ if self.saved_at.elapsed() >= SAVE_EVERY => self.save(chain),
            _ => Ok(()),
        }
    }
}

fn diverged<T: PartialEq + ToString>(
    index: u64,
    field: &'static str,
    recorded: &T,
    executed: &T,
) -> Result<(), NodeError> {
    if recorded == executed {
        return Ok(());
    }
    Err(NodeError::Diverged { index, field, recorded: recorded.to_string(), executed: executed.to_string() })
}

/// Compares what was recorded with what executing again gave, field by field in the order of the entry.
fn compare(entry: &Entry, effects: Option<&Effects>, executed: &Executed) -> Result<(), NodeError> {
    let index = entry.index;
    let Record::Call { contract, module, outcome, gas, events, trace, movements, writes, .. } = &entry.record else {
        return Err(inconsistent(index, "it is no call"));
    };
    let execution = &executed.execution;
    diverged(index, "contract", contract, &executed.contract)?;
    diverged(index, "module", module, &executed.module)?;
    if *outcome != execution.outcome {
        return diverged(index, "outcome", &shown(outcome), &shown(&execution.outcome));
    }
    diverged(index, "gas", &gas.0, &execution.gas.0)?;
    if *events != execution.events {
        return diverged(index, "events", &shown_events(events), &shown_events(&execution.events));
    }
    diverged(index, "number of money movements", &movements.len(), &0)?;
    diverged(index, "digest of the decision trace", trace, &Hash::of(&execution.trace.to_bytes()))?;
    let digest = Hash::of(&execution.writes.to_bytes());
    if *writes != digest
        && let Some((recorded, executed)) =
            effects.and_then(|effects| first_difference(&effects.writes, &execution.writes))
    {
        return Err(NodeError::Diverged { index, field: "writes", recorded, executed });
    }
    diverged(index, "digest of the writes", writes, &digest)
}

/// An outcome in words, with its bytes.
fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { result } => format!("done with result {}", hex(result)),
        Outcome::Refused { code, detail, reasons } => {
            format!("refused with code {code}, detail {}, not met: {}", hex(detail), reasons.join("; "))
        }
        Outcome::Trapped { kind } => format!("trapped: {kind}"),
        Outcome::OutOfGas => "out of gas".into(),
        Outcome::Rejected { rejection } => format!("rejected: {}", rejection.as_str()),
    }
}

fn shown_events(events: &[Event]) -> String {
    let one = |event: &Event| format!("event {} {}", event.kind, hex(&event.data));
    if events.is_empty() { "none".into() } else { events.iter().map(one).collect::<Vec<_>>().join(", ") }
}

/// Bytes in hexadecimal, at most 64 of them.
fn hex(bytes: &[u8]) -> String {
    let shown: String = bytes.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
    match bytes.len() {
        0 => "empty".into(),
        1..=64 => shown,
        len => format!("{shown}… ({len} bytes)"),
    }
}

/// The first key that two write sets treat differently, as each of them does.
fn first_difference(recorded: &WriteSet, executed: &WriteSet) -> Option<(String, String)> {
    let place = |write: &chancery_types::entry::Write| (write.contract, write.key.clone());
    let differing = |a: &WriteSet, b: &WriteSet| a.iter().find(|write| !b.contains(write)).map(place);
    let (contract, key) = differing(recorded, executed).into_iter().chain(differing(executed, recorded)).min()?;
    let says = |writes: &WriteSet| {
        let write = writes.iter().find(|write| (write.contract, &write.key) == (contract, &key));
        let what = match write.map(|write| &write.value) {
            None => "is left as it is".into(),
            Some(None) => "is removed".into(),
            Some(Some(value)) => format!("becomes {}", hex(value)),
        };
        format!("key {} of contract {contract} {what}", hex(&key))
    };
    Some((says(recorded), says(executed)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_types::ContractId;
    use chancery_types::entry::Write;

    #[test]
    fn a_progress_file_reads_as_it_was_written_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("progress");
        assert_eq!(Saved::read(&path).unwrap(), None);
        let saved = Saved { ledger: LedgerId([1; 32]), size: 7, root: Hash([2; 32]), state: Hash([3; 32]) };
        saved.write(&path).unwrap();
        assert_eq!(Saved::read(&path).unwrap(), Some(saved));
        let text = std::fs::read_to_string(&path).unwrap();
        for bad in
            ["", &text[1..], &text.replace("size 7", "size x"), &text.replace("v1", "v2"), &format!("{text}more\n")]
        {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(Saved::read(&path), Err(NodeError::Audit(_))), "{bad}");
        }
    }

    #[test]
    fn the_first_key_that_differs_is_named_with_both_values() {
        let write = |key: u8, value: Option<u8>| Write {
            contract: ContractId([1; 32]),
            key: vec![key],
            value: value.map(|value| vec![value]),
        };
        let recorded = vec![write(1, Some(1)), write(3, Some(3))];
        let executed = vec![write(1, Some(1)), write(2, None), write(3, Some(4))];
        let (recorded, executed) = first_difference(&recorded, &executed).unwrap();
        assert!(recorded.starts_with("key 02 ") && recorded.ends_with("is left as it is"), "{recorded}");
        assert!(executed.ends_with("is removed"), "{executed}");
    }
}
