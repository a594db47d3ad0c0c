//! Making a ledger, and opening one after any stop.
//!
//! ```text
//! DIR/format      "chancery ledger 2\n"
//! DIR/lock        held while a process has the ledger open
//! DIR/log.vkey    the log's public key, as a vkey
//! DIR/journal/    the log
//! DIR/blobs/      modules by BLAKE3, in folders of the first two digits
//! DIR/public/     the public log: signed checkpoint, tiles, entry bundles
//! DIR/view/       the state on sled: derived
//! DIR/cache/      precompiled code: derived; cache.key authenticates it
//! DIR/summary     what a clean stop wrote down of a long log: derived
//! ```
//!
//! After a clean stop of a long log, opening begins where its `summary` ends. Else it goes through the whole journal, cuts off an interrupted write, rebuilds the hashes of the log, and brings the view to the end of
//! the journal. A view that is missing, does not open, is ahead of the journal, or whose root is not that of the seal at its height or,
//! in the end, that of the last seal, is moved aside as `view.quarantine-N` and rebuilt from the journal. The published checkpoint must be one of the log that was found.

use crate::NodeError;
use crate::disk::{self, Disk};
use crate::journal::{self, End, Frame, FrameKind, Journal, Location};
use crate::ledger::{Head, Options, Progress};
use crate::publication::PublicLog;
use crate::recorder::Tip;
use crate::summary::{self, Summary};
use crate::walk::change;
use chancery_engine::{Cache, Config, Engine};
use chancery_state::view::Position;
use chancery_state::{StateError, StateView, Tree, ViewBatch, tree};
use chancery_tlog::note::{VerifierKey, is_key_name};
use chancery_tlog::{Checkpoint, merkle};
use chancery_types::codec::{Decode, Encode};
use chancery_types::entry::{ENTRY_VERSION, Effects, Write};
use chancery_types::{Entry, Hash, Height, LedgerId, PublicKey, Record, RequestId, Timestamp};
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// The version of the data directory that this program reads and writes.
pub const FORMAT: u32 = 2;
/// Writes and requests that are gathered while the view is rebuilt, so that keys come to it in order. Tests have few keys and are to meet the limit too.
const REBUILD_WRITES: usize = if cfg!(any(test, feature = "sim")) { 1_000 } else { 1_000_000 };
/// Of those it gets so many at once.
const BATCH_WRITES: usize = 100_000;

/// All that opening found.
pub(crate) struct Recovered {
    pub(crate) lock: Box<dyn Send + Sync>,
    pub(crate) id: LedgerId,
    pub(crate) origin: String,
    pub(crate) journal: Journal,
    pub(crate) view: Box<dyn StateView>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) tip: Tip,
    pub(crate) log: merkle::Tree,
    pub(crate) head: Head,
    /// Entries that the published checkpoint covers.
    pub(crate) published: u64,
    /// Entries that the summary covers.
    pub(crate) summarised: u64,
}

/// Makes a ledger: directory, genesis block, format last, so that a crash leaves a directory without a ledger.
pub(crate) fn create(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    origin: &str,
    log_key: &SigningKey,
    time: Timestamp,
    segment_len: u64,
) -> Result<(), NodeError> {
    if !is_key_name(origin) || origin.contains("://") {
        return Err(NodeError::BadOrigin(origin.into()));
    }
    disk.make_dirs(dir)?;
    if !disk.list(dir).map_err(disk::failed("cannot list", dir))?.is_empty() {
        return Err(NodeError::NotEmpty(dir.into()));
    }
    let nonce = random()?;
    let genesis = Entry {
        version: ENTRY_VERSION,
        index: 0,
        previous: Hash::default(),
        time,
        record: Record::Genesis { origin: origin.into(), nonce },
    };
    let bytes = genesis.to_bytes();
    let state_root = Tree::new().root();
    let seal = Entry {
        index: 1,
        previous: Hash::of(&bytes),
        record: Record::Seal { height: Height(0), state_root, entries: 1, keys: 0 },
        ..genesis
    };
    let id = LedgerId(Hash::of(&bytes).0);
    let mut journal = Journal::create(disk.clone(), &dir.join("journal"), id, segment_len)?;
    let (mut block, mut chain) = (journal::Block::new(0), journal.chain());
    block.push(FrameKind::Entry, 0, &bytes, &mut chain);
    block.push(FrameKind::Entry, 1, &seal.to_bytes(), &mut chain);
    journal.append(&block, chain)?;
    journal.close()?;
    let vkey = VerifierKey { name: origin.into(), key: PublicKey(log_key.verifying_key().to_bytes()) }.to_vkey();
    disk.make_dirs(&dir.join("blobs"))?;
    new_cache_key(&**disk, dir)?;
    disk.write_file(&dir.join("log.vkey"), format!("{vkey}\n").as_bytes(), 0o644)?;
    write_format(&**disk, dir)
}

fn random() -> Result<[u8; 32], NodeError> {
    let mut bytes = [0; 32];
    let failed = |error| NodeError::Stopped(format!("the system gives no randomness: {error}"));
    getrandom::fill(&mut bytes).map_err(failed).map(|()| bytes)
}

/// Makes the key that authenticates the cache of compiled code.
pub(crate) fn new_cache_key(disk: &dyn Disk, dir: &Path) -> Result<(), NodeError> {
    disk.write_file(&dir.join("cache.key"), &random()?, 0o600)
}

/// Makes a directory that holds all of a ledger one.
pub(crate) fn write_format(disk: &dyn Disk, dir: &Path) -> Result<(), NodeError> {
    disk.write_file(&dir.join("format"), format!("chancery ledger {FORMAT}\n").as_bytes(), 0o644)
}

/// Refuses a directory that holds no ledger, or one of another format.
pub(crate) fn check_format(disk: &dyn Disk, dir: &Path) -> Result<(), NodeError> {
    let path = dir.join("format");
    let Some(bytes) = disk.read_if_there(&path)? else {
        let journal = dir.join("journal");
        let rest = disk.exists(&journal).map_err(disk::failed("cannot look for", &journal))?;
        return Err(if rest { NodeError::Unfinished(path) } else { NodeError::NoLedger(dir.into()) });
    };
    let text = String::from_utf8_lossy(&bytes);
    if text == format!("chancery ledger {FORMAT}\n") {
        return Ok(());
    }
    let found: String = text.trim().trim_start_matches("chancery ledger ").chars().take(40).collect();
    if found.parse::<u32>().is_ok_and(|version| version != FORMAT && text == format!("chancery ledger {version}\n")) {
        return Err(NodeError::Format { path: dir.into(), expected: FORMAT, found });
    }
    Err(NodeError::NoFormat { path, expected: FORMAT, found: text.chars().take(40).collect() })
}

pub(crate) fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn Send + Sync>, NodeError> {
    let path = dir.join("lock");
    disk.lock(&path).map_err(disk::failed("cannot lock", &path))?.ok_or_else(|| NodeError::Locked(dir.into()))
}

/// What one pass over the journal gathers.
struct Survey {
    locations: Vec<Location>,
    genesis: Option<(LedgerId, String)>,
    log: merkle::Tree,
    /// Leaves of the block that is not sealed yet.
    open: Vec<Hash>,
    previous: Hash,
    last: Hash,
    head: Option<Head>,
    /// The tree of the state, where a summary gave it: brought further by what stands behind.
    state: Option<Tree>,
    replay: Replay,
}

/// Brings a view to the end of the journal.
struct Replay {
    view: Box<dyn StateView>,
    from: Option<Position>,
    /// Whether the view was found at odds with the journal.
    doubt: bool,
    /// Request ids that it must have.
    expected: Vec<(RequestId, u64)>,
    writes: BTreeMap<(chancery_types::ContractId, Vec<u8>), Option<Vec<u8>>>,
    requests: Vec<(RequestId, u64)>,
    position: Option<Position>,
    /// Of the block that is not sealed yet.
    open_writes: Vec<Write>,
    open_requests: Vec<(RequestId, u64)>,
    progress: Progress,
}

impl Replay {
    fn new(view: Box<dyn StateView>, progress: Progress) -> Result<Self, StateError> {
        let from = view.position()?;
        if from.is_none() && view.pairs().next().is_some() {
            return Err(StateError::View("it has pairs and does not say how far it has come".into()));
        }
        Ok(Replay {
            view,
            from,
            doubt: false,
            expected: Vec::new(),
            writes: BTreeMap::new(),
            requests: Vec::new(),
            position: None,
            open_writes: Vec::new(),
            open_requests: Vec::new(),
            progress,
        })
    }

    fn behind(&self, index: u64) -> bool {
        self.from.is_none_or(|from| index >= from.entries)
    }

    /// The view must have this request id; where few are expected it is asked at once.
    fn expect(&mut self, request: RequestId, index: u64, few: bool) -> Result<(), StateError> {
        if few {
            self.doubt |= self.view.request(request)? != Some(index);
        } else {
            self.expected.push((request, index));
        }
        Ok(())
    }

    /// The state root does not cover the request ids, and one that is missing would let a call happen twice: the view must have those of the
    /// journal, and no others.
    fn check_requests(&mut self) -> Result<(), StateError> {
        self.expected.sort_unstable();
        // Some that it lacked may have been given to it since.
        let before = self.from.map_or(0, |from| from.entries);
        let mut found = self.view.requests().filter(|found| found.as_ref().map_or(true, |(_, index)| *index < before));
        for expected in self.expected.drain(..) {
            self.doubt |= found.next().transpose()? != Some(expected);
        }
        self.doubt |= found.next().is_some();
        Ok(())
    }

    fn sealed(&mut self, position: Position) -> Result<(), StateError> {
        match self.from {
            Some(from) if position.height == from.height => self.doubt |= position != from,
            Some(from) if position.height < from.height => {}
            _ => {
                self.position = Some(position);
                self.writes.extend(self.open_writes.drain(..).map(|w| ((w.contract, w.key), w.value)));
                self.requests.append(&mut self.open_requests);
                if self.writes.len() + self.requests.len() >= REBUILD_WRITES {
                    (self.progress)("bringing the view to the end of the journal", position.entries, 0);
                    self.flush()?;
                }
            }
        }
        self.open_writes.clear();
        self.open_requests.clear();
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StateError> {
        let Some(position) = self.position.take() else { return Ok(()) };
        let mut writes = std::mem::take(&mut self.writes).into_iter().peekable();
        let mut requests = std::mem::take(&mut self.requests);
        // Neighbours lie on one page. Should this be interrupted, all of it is applied again.
        requests.sort_unstable();
        let mut requests = requests.into_iter().peekable();
        while writes.peek().is_some() || requests.peek().is_some() {
            let share = writes.by_ref().take(BATCH_WRITES);
            let writes = share.map(|((contract, key), value)| Write { contract, key, value }).collect();
            let requests = requests.by_ref().take(BATCH_WRITES).collect();
            self.view.apply(&ViewBatch { writes, requests, position: None })?;
        }
        self.view.apply(&ViewBatch { writes: Vec::new(), requests: Vec::new(), position: Some(position) })
    }
}

impl Survey {
    fn new(replay: Replay) -> Self {
        Survey {
            locations: Vec::new(),
            genesis: None,
            log: merkle::Tree::new(),
            open: Vec::new(),
            previous: Hash::default(),
            last: Hash::default(),
            head: None,
            state: None,
            replay,
        }
    }

    /// What a summary says, as if the journal had been gone through up to its mark.
    fn resumed(summary: Summary, replay: Replay) -> Result<Self, NodeError> {
        let Summary { mark, locations, log, state, genesis, seal } = summary;
        let doubt = || NodeError::State(StateError::View("it is not where the ledger was closed".into()));
        let Record::Seal { height, state_root, keys, .. } = &seal.record else { return Err(doubt()) };
        let Record::Genesis { origin, .. } = &genesis.record else { return Err(doubt()) };
        let position = Position { height: *height, root: *state_root, entries: mark.entries };
        // What the view lacks would have to be read from before the mark.
        if replay.from.is_none_or(|from| from.height < *height || (from.height == *height && from != position)) {
            return Err(doubt());
        }
        let (previous, size) = (Hash::of(&seal.to_bytes()), mark.entries);
        let head = Head {
            size,
            root: Hash::default(),
            height: *height,
            state_root: *state_root,
            keys: *keys,
            time: seal.time,
        };
        Ok(Survey {
            locations,
            genesis: Some((LedgerId(Hash::of(&genesis.to_bytes()).0), origin.clone())),
            log,
            open: Vec::new(),
            previous,
            last: previous,
            head: Some(head),
            state: Some(state),
            replay,
        })
    }

    /// The entry of the last seal.
    fn previous_index(&self) -> u64 {
        self.head.as_ref().map_or(0, |head| head.size - 1)
    }

    /// Takes a frame in; says whether it ends a block.
    fn take(&mut self, frame: Frame<'_>, location: Location) -> Result<bool, NodeError> {
        let inconsistent = |problem: &str| NodeError::Inconsistent { index: frame.index, problem: problem.into() };
        if frame.kind == FrameKind::Effects {
            if self.replay.behind(frame.index) || self.state.is_some() {
                let effects =
                    Effects::from_bytes(frame.payload).map_err(|_| inconsistent("its effects do not decode"))?;
                self.replay.open_writes.extend(effects.writes);
            }
            return Ok(false);
        }
        let entry = Entry::from_bytes(frame.payload).map_err(|_| inconsistent("it does not decode"))?;
        if entry.version != ENTRY_VERSION || entry.index != frame.index || entry.previous != self.previous {
            return Err(inconsistent("version, index or previous hash do not fit"));
        }
        self.previous = Hash::of(frame.payload);
        self.open.push(merkle::leaf_hash(frame.payload));
        self.locations.push(location);
        match entry.record {
            Record::Genesis { origin, .. } => self.genesis = Some((LedgerId(self.previous.0), origin)),
            Record::Call { signed, .. } if self.replay.behind(frame.index) => {
                self.replay.open_requests.push((signed.call.request, frame.index));
            }
            Record::Call { signed, .. } => {
                self.replay.expect(signed.call.request, frame.index, self.state.is_some())?
            }
            Record::Seal { height, state_root, keys, .. } => {
                self.open.drain(..).for_each(|leaf| self.log.push(leaf));
                self.last = self.previous;
                let size = frame.index + 1;
                if let Some(tree) = &mut self.state {
                    tree.update(self.replay.open_writes.iter().map(change));
                }
                self.head = Some(Head { size, root: Hash::default(), height, state_root, keys, time: entry.time });
                self.replay.sealed(Position { height, root: state_root, entries: size })?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Opens a ledger: lock, journal, view, checkpoint.
pub(crate) fn recover(dir: &Path, options: &Options) -> Result<Recovered, NodeError> {
    let disk = &*options.disk;
    check_format(disk, dir)?;
    let lock = lock(disk, dir)?;
    disk.remove_temporary(dir)?;
    // A summary counts where the stop was clean and the view is as it was left.
    let counts = |found: &Found| found.summarised == 0 || found.end.is_clean();
    // One that does not count is let go of first: it has the view open.
    let resumed = attempt(dir, options, true).ok().filter(counts);
    let Found { survey, end, tree, summarised } = match resumed.map_or_else(|| attempt(dir, options, false), Ok) {
        Ok(found) => found,
        Err(NodeError::State(doubt)) if !matches!(doubt, StateError::Full) => {
            (options.progress)(&format!("the view is set aside and rebuilt ({doubt})"), 0, 0);
            quarantine(disk, dir)?;
            attempt(dir, options, false)?
        }
        Err(error) => return Err(error),
    };
    let index = survey.head.as_ref().map_or(0, |head| head.size);
    let inconsistent = |problem: &str| NodeError::Inconsistent { index, problem: problem.into() };
    let (id, origin) = survey.genesis.clone().ok_or_else(|| inconsistent("there is no genesis"))?;
    let mut head = survey.head.clone().ok_or_else(|| inconsistent("there is no seal"))?;
    head.root = survey.log.root();
    check_reach(disk, dir, &end)?;
    let published = check_checkpoint(disk, dir, &origin, &survey.log)?.map_or(0, |checkpoint| checkpoint.size);
    let tip = Tip { index: head.size, height: head.height, previous: survey.last, time: head.time, tree };
    let journal =
        Journal::open(options.disk.clone(), &dir.join("journal"), &end, survey.locations, options.segment_bytes)?;
    let engine = match &options.engine {
        Some(engine) => engine.clone(),
        None => {
            let cache_key = disk.read(&dir.join("cache.key")).ok().and_then(|key| <[u8; 32]>::try_from(key).ok());
            let cache = cache_key.map(|key| Cache::new(dir.join("cache"), key));
            Arc::new(Engine::new(Config { cache, compiler: options.compiler.clone(), ..Config::default() })?)
        }
    };
    let log = survey.log;
    let view = survey.replay.view;
    Ok(Recovered { lock, id, origin, journal, view, engine, tip, log, head, published, summarised })
}

/// What going through the journal with a view found.
struct Found {
    survey: Survey,
    end: End,
    tree: Tree,
    /// Entries that a summary gave.
    summarised: u64,
}

/// Goes through the journal with the view that is there. A [`NodeError::State`] says that the view is not to be trusted; so does a panic inside it.
fn attempt(dir: &Path, options: &Options, from_summary: bool) -> Result<Found, NodeError> {
    let panicked = |_| Err(StateError::View("the store panicked".into()).into());
    catch_unwind(AssertUnwindSafe(|| go_through(dir, options, from_summary))).unwrap_or_else(panicked)
}

fn go_through(dir: &Path, options: &Options, from_summary: bool) -> Result<Found, NodeError> {
    // Each takes its time.
    let (summary, view) = std::thread::scope(|scope| {
        let summary = from_summary.then(|| scope.spawn(|| summary::read(&options.disk, dir)));
        let view = (options.open_view)(&dir.join("view"));
        (summary.and_then(|summary| summary.join().ok().flatten()), view)
    });
    let replay = Replay::new(view?, options.progress.clone())?;
    let mark = summary.as_ref().map(|summary| summary.mark);
    let mut survey = match summary {
        Some(summary) => Survey::resumed(summary, replay)?,
        None => Survey::new(replay),
    };
    let each = |frame: Frame<'_>, location| survey.take(frame, location);
    let end = journal::scan_from(&*options.disk, &dir.join("journal"), mark.as_ref(), each)?;
    if mark.is_none() {
        survey.replay.check_requests()?;
    }
    survey.replay.flush()?;
    let height = survey.head.as_ref().map_or(Height(0), |head| head.height);
    if survey.replay.doubt || survey.replay.from.is_some_and(|from| from.height > height) {
        return Err(StateError::View("it is not that of this journal".into()).into());
    }
    let tree = match survey.state.take() {
        Some(tree) => tree,
        None => state_tree(&*survey.replay.view)?,
    };
    if survey.head.as_ref().is_some_and(|head| head.state_root != tree.root()) {
        if survey.replay.from.is_none() {
            // It was rebuilt from nothing: the journal is at fault.
            let problem = "the writes of the journal do not lead to the state root of the last seal".into();
            return Err(NodeError::Inconsistent { index: survey.previous_index(), problem });
        }
        return Err(StateError::View("its root is not that of the last seal".into()).into());
    }
    Ok(Found { survey, end, tree, summarised: mark.map_or(0, |mark| mark.entries) })
}

/// Sets the view aside and makes it anew from the journal, durably.
pub(crate) fn rebuild_view(dir: &Path, options: &Options) -> Result<(), NodeError> {
    let disk = &*options.disk;
    if disk.exists(&dir.join("view")).map_err(disk::failed("cannot look for", &dir.join("view")))? {
        quarantine(disk, dir)?;
    }
    Ok(attempt(dir, options, false)?.survey.replay.view.checkpoint()?)
}

/// The tree over all pairs of the view.
fn state_tree(view: &dyn StateView) -> Result<Tree, NodeError> {
    let mut tree = Tree::new();
    let mut changes = Vec::new();
    for pair in view.pairs() {
        let ((contract, key), value) = pair?;
        changes.push((tree::path(&contract, &key), Some(tree::value_hash(&value))));
    }
    tree.update(changes);
    Ok(tree)
}

/// Moves the view aside, so that it can be looked at.
fn quarantine(disk: &dyn Disk, dir: &Path) -> Result<(), NodeError> {
    let view = dir.join("view");
    let taken = disk.list(dir).map_err(disk::failed("cannot list", dir))?;
    let names = (1..).map(|n: u32| format!("view.quarantine-{n}"));
    let aside = names.filter(|name| !taken.contains(name)).map(|name| dir.join(name)).next().unwrap_or_default();
    disk.rename(&view, &aside).map_err(disk::failed("cannot move aside", &view))?;
    disk.sync_dir(dir).map_err(disk::failed("cannot make durable", dir))
}

/// The log's public key.
pub(crate) fn log_vkey(disk: &dyn Disk, dir: &Path, origin: &str) -> Result<VerifierKey, NodeError> {
    let wrong = || NodeError::Checkpoint(format!("{} is not the key of {origin}", dir.join("log.vkey").display()));
    Some(vkey(disk, dir)?).filter(|key| key.name == origin).ok_or_else(wrong)
}

pub(crate) fn vkey(disk: &dyn Disk, dir: &Path) -> Result<VerifierKey, NodeError> {
    let path = dir.join("log.vkey");
    let text = disk.read_file(&path)?;
    let text = String::from_utf8_lossy(&text);
    VerifierKey::from_vkey(text.trim())
        .ok_or_else(|| NodeError::Checkpoint(format!("{} holds no log's key: restore it from a copy", path.display())))
}

/// The published checkpoint, if there is one.
fn published(disk: &dyn Disk, dir: &Path) -> Result<Option<Checkpoint>, NodeError> {
    let path = PublicLog::path(dir);
    let Some(note) = disk.read_if_there(&path)? else { return Ok(None) };
    let wrong = |problem: String| {
        NodeError::Checkpoint(format!("{}: {problem}. Restore it from a copy; nothing was changed", path.display()))
    };
    let note = String::from_utf8(note).map_err(|_| wrong("it is not text".into()))?;
    let found = Checkpoint::open(&note, &vkey(disk, dir)?).map_err(|error| wrong(error.to_string()))?;
    Ok(Some(found))
}

/// The journal must reach as far as the published checkpoint.
pub(crate) fn check_reach(disk: &dyn Disk, dir: &Path, end: &End) -> Result<(), NodeError> {
    let size = published(disk, dir)?.map_or(0, |checkpoint| checkpoint.size);
    end.reaches(&dir.join("journal"), size, "the published checkpoint")
}

/// The published checkpoint must be one of this log.
pub(crate) fn check_checkpoint(
    disk: &dyn Disk,
    dir: &Path,
    origin: &str,
    log: &merkle::Tree,
) -> Result<Option<Checkpoint>, NodeError> {
    log_vkey(disk, dir, origin)?;
    let Some(found) = published(disk, dir)? else { return Ok(None) };
    match log.root_at(found.size) {
        Some(root) if root == found.root => Ok(Some(found)),
        _ => Err(NodeError::Checkpoint(format!(
            "{}: its root over {} entries is another than the journal's",
            PublicLog::path(dir).display(),
            found.size
        ))),
    }
}
