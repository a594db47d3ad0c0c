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
//! DIR/view.closed what says that a clean stop left the view whole; there only while nobody has it open
//! ```
//!
//! After a clean stop of a long log, opening begins where its `summary` ends. Else it goes through the whole journal,
//! cuts off an interrupted write, rebuilds the hashes of the log, and brings the view to the end of the journal. A view
//! that is missing, does not open, is ahead of the journal, or whose root is not that of the seal at its height or, in
//! the end, that of the last seal, is moved aside as `view.quarantine-N` and rebuilt from the journal. The published
//! checkpoint must be one of the log that was found.

use crate::NodeError;
use crate::content::Content;
use crate::decode;
use crate::disk::{self, Disk};
use crate::journal::{self, End, Frame, FrameKind, Journal, Location, Locations, Mark};
use crate::ledger::{Head, Options};
use crate::publication::PublicLog;
use crate::random::random;
use crate::recorder::Tip;
use crate::replay::{Applier, Replay};
use crate::requests::Requests;
use crate::settled;
use crate::summary::{self, Summary};
use chancery_engine::{Cache, Config, Engine};
use chancery_state::view::Position;
use chancery_state::{Purpose, StateError, StateView, Tree};
use chancery_tlog::note::{VerifierKey, is_key_name};
use chancery_tlog::{Checkpoint, merkle};
use chancery_types::codec::{Decode, Encode};
use chancery_types::{Entry, Hash, Height, LedgerId, PublicKey, Record, RequestId, Timestamp};
use ed25519_dalek::SigningKey;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

/// The version of the data directory that this program reads and writes.
pub const FORMAT: u32 = 2;

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
    pub(crate) requests: Requests,
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
    disk.make_dirs(dir, disk::PASSABLE)?;
    if !disk.list(dir).map_err(disk::failed("cannot list", dir))?.is_empty() {
        return Err(NodeError::NotEmpty(dir.into()));
    }
    let nonce = random()?;
    let record = Record::Genesis { origin: origin.into(), nonce };
    let genesis = Entry { version: record.version(), index: 0, previous: Hash::default(), time, record };
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
    let (mut block, mut chain) = (journal::Block::new(0, journal.tag()), journal.chain());
    block.push(FrameKind::Entry, 0, &bytes, &mut chain);
    block.push(FrameKind::Entry, 1, &seal.to_bytes(), &mut chain);
    journal.append(&block, chain)?;
    journal.close()?;
    let vkey = VerifierKey { name: origin.into(), key: PublicKey(log_key.verifying_key().to_bytes()) }.to_vkey();
    disk.make_dirs(&dir.join("blobs"), disk::PRIVATE)?;
    new_cache_key(&**disk, dir)?;
    disk.write_file(&dir.join("log.vkey"), format!("{vkey}\n").as_bytes(), 0o644)?;
    write_format(&**disk, dir)
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
    locations: Locations,
    genesis: Option<(LedgerId, String)>,
    log: merkle::Tree,
    requests: Requests,
    /// Leaves and request ids of the block that is not sealed yet.
    open: (Vec<Hash>, Vec<(RequestId, u64)>),
    previous: Hash,
    last: Hash,
    head: Option<Head>,
    replay: Replay,
}

impl Survey {
    fn new(requests: Requests, replay: Replay) -> Self {
        Survey {
            locations: Locations::default(),
            genesis: None,
            log: merkle::Tree::recent(),
            requests,
            open: Default::default(),
            previous: Hash::default(),
            last: Hash::default(),
            head: None,
            replay,
        }
    }

    /// What a summary says, as if the journal had been gone through up to its mark.
    fn resumed(summary: Summary, replay: Replay) -> Result<Self, NodeError> {
        let Summary { mark, locations, log, requests, genesis, seal, .. } = summary;
        let Record::Seal { height, state_root, keys, .. } = &seal.record else { return Err(not_as_closed()) };
        let Record::Genesis { origin, .. } = &genesis.record else { return Err(not_as_closed()) };
        let previous = Hash::of(&seal.to_bytes());
        let head = Head {
            size: mark.entries,
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
            requests,
            open: Default::default(),
            previous,
            last: previous,
            head: Some(head),
            replay,
        })
    }

    /// Takes a frame in; says whether it ends a block.
    fn take(&mut self, frame: Frame<'_>, location: Location) -> Result<bool, NodeError> {
        if frame.kind == FrameKind::Effects {
            if self.replay.needs_writes(frame.index) {
                self.replay.write(decode::effects(frame.index, frame.payload)?.writes);
            }
            return Ok(false);
        }
        let entry = decode::entry(frame.index, frame.payload)?;
        if entry.version != entry.record.version() || entry.index != frame.index || entry.previous != self.previous {
            let problem = "version, index or previous hash do not fit".into();
            return Err(NodeError::Inconsistent { index: frame.index, problem });
        }
        self.previous = Hash::of(frame.payload);
        self.open.0.push(merkle::leaf_hash(frame.payload));
        self.locations.push(location);
        match entry.record {
            Record::Genesis { origin, .. } => self.genesis = Some((LedgerId(self.previous.0), origin)),
            Record::Call { signed, .. } => self.open.1.push((signed.call.request, frame.index)),
            Record::Seal { height, state_root, keys, .. } => {
                self.open.0.drain(..).for_each(|leaf| self.log.push(leaf));
                self.open.1.drain(..).for_each(|(request, index)| self.requests.insert(request, index));
                self.last = self.previous;
                let size = frame.index + 1;
                self.head = Some(Head { size, root: Hash::default(), height, state_root, keys, time: entry.time });
                self.replay.sealed(Position { height, root: state_root, entries: size })?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The view is behind what a clean stop wrote down.
fn not_as_closed() -> NodeError {
    StateError::View("it is not where the ledger was closed".into()).into()
}

/// Opens a ledger: lock, journal, view, checkpoint.
pub(crate) fn recover(dir: &Path, options: &Options) -> Result<Recovered, NodeError> {
    let disk = &*options.disk;
    check_format(disk, dir)?;
    let lock = lock(disk, dir)?;
    disk.remove_temporary(dir)?;
    let resumed = closed_at(disk, dir)?.and_then(|view| attempt(dir, options, From::Summary { view }).ok());
    // A summary of another log than the published one counts for nothing.
    let resumed = resumed.filter(|found| published_size(dir, options, found).is_ok());
    let found = match resumed.map_or_else(|| attempt(dir, options, From::Genesis), Ok) {
        Err(NodeError::State(doubt)) if !matches!(doubt, StateError::Full) => {
            (options.progress)(&format!("the view is set aside and rebuilt ({doubt})"), 0, 0);
            quarantine(disk, dir)?;
            attempt(dir, options, From::Genesis)
        }
        found => found,
    };
    let found = found?;
    check_reach(disk, dir, &found.end)?;
    let published = published_size(dir, options, &found)?;
    let Found { view, locations, genesis: (id, origin), log, requests, last, mut head, end, tree, summarised } = found;
    head.root = log.root();
    let tip = Tip { index: head.size, height: head.height, previous: last, time: head.time, tree };
    let journal = Journal::open(options.disk.clone(), &dir.join("journal"), &end, locations, options.segment_bytes)?;
    let engine = match &options.engine {
        Some(engine) => engine.clone(),
        None => {
            let cache_key = disk.read(&dir.join("cache.key")).ok().and_then(|key| <[u8; 32]>::try_from(key).ok());
            let cache = cache_key.map(|key| Cache::new(dir.join("cache"), key));
            Arc::new(Engine::new(Config { cache, compiler: options.compiler.clone(), ..Config::default() })?)
        }
    };
    Ok(Recovered { lock, id, origin, journal, view, engine, tip, log, requests, head, published, summarised })
}

/// Entries that the published checkpoint covers, which must be one of the log that was found.
fn published_size(dir: &Path, options: &Options, found: &Found) -> Result<u64, NodeError> {
    let Found { log, locations, genesis: (_, origin), .. } = found;
    let read_again = || {
        let reader = journal::reader(options.disk.clone(), &dir.join("journal"), locations.clone());
        Content::new(reader, log.clone())
    };
    let root_at = |size| log.root_at(size).or_else(|| read_again().root_at(size).ok());
    Ok(check_checkpoint(&*options.disk, dir, origin, root_at)?.map_or(0, |checkpoint| checkpoint.size))
}

/// Where a clean stop left journal and view, if there is a summary to begin from: it counts after a clean stop alone.
/// What vouches for the view is taken away: it may be changed from here on.
fn closed_at(disk: &dyn Disk, dir: &Path) -> Result<Option<Position>, NodeError> {
    let (Some(view), Some(mark)) = (settled::take(disk, dir)?, summary::mark(disk, dir)) else { return Ok(None) };
    if !matches!(disk.exists(&dir.join("view")), Ok(true)) {
        return Ok(None);
    }
    // Where nothing is behind the mark, `view` is compared with the seal before it when the summary is read.
    let mut last = (view.entries == mark.entries).then_some(view);
    let each = |frame: Frame<'_>, _| {
        let seal = (frame.kind == FrameKind::Entry).then(|| Entry::from_bytes(frame.payload).ok()?.seal()).flatten();
        if let Some((height, root)) = seal {
            last = Some(Position { height, root, entries: frame.index + 1 });
        }
        Ok(seal.is_some())
    };
    let end = journal::scan_from(disk, &dir.join("journal"), Some(&mark), each);
    Ok(Some(view).filter(|_| end.is_ok_and(|end| end.is_clean()) && last == Some(view)))
}

/// Where going through a ledger begins.
#[derive(Clone, Copy)]
enum From {
    /// With the first entry.
    Genesis,
    /// Where the summary ends, with the view that a clean stop left at the end of the journal.
    Summary { view: Position },
}

/// What going through the journal with a view found.
struct Found {
    view: Box<dyn StateView>,
    locations: Locations,
    genesis: (LedgerId, String),
    log: merkle::Tree,
    requests: Requests,
    /// Hash of the last seal.
    last: Hash,
    head: Head,
    end: End,
    tree: Tree,
    /// Entries that a summary gave.
    summarised: u64,
}

/// Goes through the journal with the view that is there. A [`NodeError::State`] says that the view is not to be
/// trusted; so does a panic inside it.
fn attempt(dir: &Path, options: &Options, start: From) -> Result<Found, NodeError> {
    let panicked = |_| Err(StateError::View("the store panicked".into()).into());
    catch_unwind(AssertUnwindSafe(|| go_through(dir, options, start))).unwrap_or_else(panicked)
}

fn go_through(dir: &Path, options: &Options, start: From) -> Result<Found, NodeError> {
    let disk = &*options.disk;
    let purpose = if must_be_filled(disk, dir) { Purpose::Fill } else { Purpose::Serve };
    // Each takes its time.
    let (mut summary, view) = std::thread::scope(|scope| {
        let summary = matches!(start, From::Summary { .. }).then(|| scope.spawn(|| summary::read(&options.disk, dir)));
        let view = (options.open_view)(&dir.join("view"), purpose);
        (summary.and_then(|summary| summary.join().ok().flatten()), view)
    });
    let mut view = view?;
    let mark = summary.as_ref().map(|summary| summary.mark);
    let from = view.position()?;
    if let From::Summary { view: closed } = start {
        let summary = summary.as_ref().filter(|_| from == Some(closed)).ok_or_else(not_as_closed)?;
        if summary.mark.entries == closed.entries && summary.seal.seal() != Some((closed.height, closed.root)) {
            return Err(not_as_closed());
        }
    }
    let state = summary.as_mut().map(|summary| std::mem::take(&mut summary.state));
    let (shares, received) = sync_channel(0);
    let applier = Applier { view: &*view, from, state };
    let total = published(disk, dir).ok().flatten().map_or(0, |checkpoint| checkpoint.size);
    let replay = Replay::new(from, mark.as_ref(), shares, (options.progress.clone(), total));
    let (surveyed, applied) = std::thread::scope(|scope| {
        let applied = scope.spawn(move || applier.run(&received));
        let surveyed = survey(disk, dir, summary, mark.as_ref(), replay);
        (surveyed, applied.join().unwrap_or_else(|_| Err(StateError::View("the store panicked".into()))))
    });
    // Where the applier hung up, it says why; what the journal has to say comes first otherwise.
    let (surveyed, tree) = match (surveyed, applied) {
        (Ok(surveyed), applied) => (surveyed, applied?),
        (Err(NodeError::State(_)), Err(doubt)) => return Err(doubt.into()),
        (Err(error), _) => return Err(error),
    };
    let (Survey { locations, genesis, log, requests, last, head, replay, .. }, end) = surveyed;
    let missing = |what: &str| NodeError::Inconsistent { index: 0, problem: format!("there is no {what}") };
    let (genesis, head) = (genesis.ok_or_else(|| missing("genesis"))?, head.ok_or_else(|| missing("seal"))?);
    replay.check(head.height)?;
    if head.state_root != tree.root() {
        if from.is_none() {
            // It was rebuilt from nothing: the journal is at fault.
            let problem = "the writes of the journal do not lead to the state root of the last seal".into();
            return Err(NodeError::Inconsistent { index: head.size - 1, problem });
        }
        return Err(StateError::View("its root is not that of the last seal".into()).into());
    }
    if purpose == Purpose::Fill {
        view.checkpoint()?;
        drop(view);
        view = (options.open_view)(&dir.join("view"), Purpose::Serve)?;
    }
    let summarised = mark.map_or(0, |mark| mark.entries);
    Ok(Found { view, locations, genesis, log, requests, last, head, end, tree, summarised })
}

/// Whether there is no view, and so much in the journal that it pays to fill one, and to open it again then.
fn must_be_filled(disk: &dyn Disk, dir: &Path) -> bool {
    matches!(disk.exists(&dir.join("view")), Ok(false))
        && journal::segments(disk, &dir.join("journal")).is_ok_and(|segments| segments > 1)
}

/// Goes through the journal, or through what is behind the mark of a summary.
fn survey(
    disk: &dyn Disk,
    dir: &Path,
    summary: Option<Summary>,
    mark: Option<&Mark>,
    replay: Replay,
) -> Result<(Survey, End), NodeError> {
    let mut survey = match summary {
        Some(summary) => Survey::resumed(summary, replay)?,
        None => Survey::new(Requests::new()?, replay),
    };
    let end = journal::scan_from(disk, &dir.join("journal"), mark, |frame, location| survey.take(frame, location))?;
    survey.replay.finish()?;
    Ok((survey, end))
}

/// Sets the view aside and makes it anew from the journal, durably.
pub(crate) fn rebuild_view(dir: &Path, options: &Options) -> Result<(), NodeError> {
    let disk = &*options.disk;
    settled::take(disk, dir)?;
    if disk.exists(&dir.join("view")).map_err(disk::failed("cannot look for", &dir.join("view")))? {
        quarantine(disk, dir)?;
    }
    Ok(attempt(dir, options, From::Genesis)?.view.checkpoint()?)
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

/// The published checkpoint must be one of this log, whose root at a size `root_at` gives.
pub(crate) fn check_checkpoint(
    disk: &dyn Disk,
    dir: &Path,
    origin: &str,
    root_at: impl FnOnce(u64) -> Option<Hash>,
) -> Result<Option<Checkpoint>, NodeError> {
    log_vkey(disk, dir, origin)?;
    let Some(found) = published(disk, dir)? else { return Ok(None) };
    match root_at(found.size) {
        Some(root) if root == found.root => Ok(Some(found)),
        _ => Err(NodeError::Checkpoint(format!(
            "{}: its root over {} entries is another than the journal's",
            PublicLog::path(dir).display(),
            found.size
        ))),
    }
}
