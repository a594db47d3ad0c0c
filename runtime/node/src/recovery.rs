//! Opening a ledger after any stop.
//!
//! # What becomes of what
//!
//! ```text
//! Summary, if a clean stop left one ─┐
//! frames of the journal ─────────────┴→ Survey ─→ Log ─┐
//!                                         └ Replay ─→ view ─┴→ Replayed ─→ Recovered
//! ```
//!
//! 1. A [`Summary`] counts after a clean stop alone: after any other, going through the journal begins with its first
//!    entry.
//! 2. A [`Survey`] takes in the frames of the journal, behind what the summary says, and gathers the [`Log`]: its
//!    hashes, request ids, and end. Beside it, [`Replay`] brings the view to the end of the journal. If the two agree,
//!    that makes a [`Replayed`]. An interrupted write is left out.
//! 3. A summary of another log than the published one, or of another view, counts for nothing: the second step is taken
//!    again without it. A view that is missing, does not open, is ahead of the journal, or whose root is not that of the
//!    seal at its height or, in the end, that of the last seal, is moved aside as `view.quarantine-N`, and the second
//!    step taken again without it.
//! 4. The published checkpoint must be one of the log that was found.
//! 5. The journal is opened at its end, which is made durable where it is in doubt. That, with what executes calls, is
//!    [`Recovered`].

mod survey;

pub(crate) use survey::Log;

use crate::NodeError;
use crate::checkpoint::{check_checkpoint, check_reach, published};
use crate::content::Content;
use crate::decode;
use crate::directory::{check_format, lock};
use crate::disk::{self, Disk};
use crate::journal::{self, End, Frames, Journal, Locations, Mark};
use crate::options::Options;
use crate::replay::{Applier, Replay};
use crate::settled;
use crate::summary::{self, Summary};
use chancery_engine::{Cache, Config, Engine};
use chancery_state::view::Position;
use chancery_state::{Purpose, StateError, StateView, Tree};
use chancery_types::LedgerId;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use survey::Survey;

/// A ledger that is whole and durable, ready to take calls.
pub(crate) struct Recovered {
    pub(crate) lock: Box<dyn Send + Sync>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) journal: Journal,
    pub(crate) log: Log,
    pub(crate) view: Box<dyn StateView>,
    /// The tree of the state at the end of the log.
    pub(crate) state: Tree,
    /// Entries that the published checkpoint covers.
    pub(crate) published: u64,
    /// Entries that the summary covers.
    pub(crate) summarised: u64,
}

/// A journal gone through, and a view at its end.
struct Replayed {
    log: Log,
    locations: Locations,
    end: End,
    view: Box<dyn StateView>,
    state: Tree,
    /// Entries that a summary gave.
    summarised: u64,
}

/// Where going through a ledger begins.
#[derive(Clone, Copy)]
enum Start {
    /// With the first entry.
    Genesis,
    /// Where the summary ends, with the view that a clean stop left at the end of the journal.
    Summary { view: Position },
}

/// Opens a ledger: lock, journal, view, checkpoint.
pub(crate) fn recover(dir: &Path, options: &Options) -> Result<Recovered, NodeError> {
    let disk = &*options.disk;
    check_format(disk, dir)?;
    let lock = lock(disk, dir)?;
    disk.remove_temporary(dir)?;
    let resumed = closed_at(disk, dir)?.and_then(|view| attempt(dir, options, Start::Summary { view }).ok());
    // A summary of another log than the published one counts for nothing.
    let resumed = resumed.filter(|replayed| published_size(dir, options, replayed).is_ok());
    let replayed = match resumed.map_or_else(|| attempt(dir, options, Start::Genesis), Ok) {
        Err(NodeError::State(doubt)) if !matches!(doubt, StateError::Full) => {
            (options.progress)(&format!("the view is set aside and rebuilt ({doubt})"), 0, 0);
            quarantine(disk, dir)?;
            attempt(dir, options, Start::Genesis)
        }
        replayed => replayed,
    }?;
    check_reach(dir, published(disk, dir)?.as_ref(), &replayed.end)?;
    let published = published_size(dir, options, &replayed)?;
    let Replayed { log, locations, end, view, state, summarised } = replayed;
    let journal = Journal::open(options.disk.clone(), &dir.join("journal"), &end, locations, options.segment_bytes)?;
    Ok(Recovered { lock, engine: engine(dir, options)?, journal, log, view, state, published, summarised })
}

/// The engine of the options, or one with the ledger's own cache of compiled code.
fn engine(dir: &Path, options: &Options) -> Result<Arc<Engine>, NodeError> {
    if let Some(engine) = &options.engine {
        return Ok(engine.clone());
    }
    let cache_key = options.disk.read(&dir.join("cache.key")).ok().and_then(|key| <[u8; 32]>::try_from(key).ok());
    let cache = cache_key.map(|key| Cache::new(dir.join("cache"), key));
    Ok(Arc::new(Engine::new(Config { cache, compiler: options.compiler.clone(), ..Config::default() })?))
}

/// Entries that the published checkpoint covers, which must be one of the log that was found.
fn published_size(dir: &Path, options: &Options, replayed: &Replayed) -> Result<u64, NodeError> {
    let Replayed { log, locations, .. } = replayed;
    let read_again = || {
        let reader = journal::reader(options.disk.clone(), &dir.join("journal"), locations.clone());
        Content::new(reader, log.tree.clone())
    };
    let root_at = |size| log.tree.root_at(size).or_else(|| read_again().root_at(size).ok());
    Ok(check_checkpoint(&*options.disk, dir, &log.origin, root_at)?.map_or(0, |checkpoint| checkpoint.size))
}

/// Where a clean stop left journal and view, if there is a summary to begin from: it counts after a clean stop alone.
/// What vouches for the view is taken away: it may be changed from here on.
fn closed_at(disk: &dyn Disk, dir: &Path) -> Result<Option<Position>, NodeError> {
    let (Some(view), Some(mark)) = (settled::take(disk, dir)?, summary::mark(disk, dir)) else { return Ok(None) };
    if !matches!(disk.exists(&dir.join("view")), Ok(true)) {
        return Ok(None);
    }
    let Ok((last, end)) = last_seal(disk, &dir.join("journal"), &mark) else { return Ok(None) };
    // Where nothing is behind the mark, `view` is compared with the seal before it when the summary is read.
    let last = last.or((view.entries == mark.entries).then_some(view));
    Ok(Some(view).filter(|_| end.is_clean() && last == Some(view)))
}

/// Where the last seal behind a mark leads to, if there is one, and where the journal ends.
fn last_seal(disk: &dyn Disk, journal: &Path, mark: &Mark) -> Result<(Option<Position>, End), NodeError> {
    let (mut frames, mut last) = (Frames::behind(disk, journal, Some(mark))?, None);
    while let Some((frame, _)) = frames.next()? {
        if frame.is_seal()
            && let Some((height, root)) = decode::entry(frame.index, frame.payload)?.seal()
        {
            last = Some(Position { height, root, entries: frame.index + 1 });
        }
    }
    Ok((last, frames.end()?))
}

/// Goes through the journal with the view that is there. A [`NodeError::State`] says that the view is not to be
/// trusted; so does a panic inside it.
fn attempt(dir: &Path, options: &Options, start: Start) -> Result<Replayed, NodeError> {
    let panicked = |_| Err(StateError::View("the store panicked".into()).into());
    catch_unwind(AssertUnwindSafe(|| replay(dir, options, start))).unwrap_or_else(panicked)
}

/// The view is behind what a clean stop wrote down.
fn not_as_closed() -> NodeError {
    StateError::View("it is not where the ledger was closed".into()).into()
}

fn replay(dir: &Path, options: &Options, start: Start) -> Result<Replayed, NodeError> {
    let disk = &*options.disk;
    let purpose = if must_be_filled(disk, dir) { Purpose::Fill } else { Purpose::Serve };
    // Each takes its time.
    let (mut summary, view) = std::thread::scope(|scope| {
        let summary = matches!(start, Start::Summary { .. }).then(|| scope.spawn(|| summary::read(&options.disk, dir)));
        let view = (options.open_view)(&dir.join("view"), purpose);
        (summary.and_then(|summary| summary.join().ok().flatten()), view)
    });
    let mut view = view?;
    let from = view.position()?;
    if let Start::Summary { view: closed } = start {
        let summary = summary.as_ref().filter(|_| from == Some(closed)).ok_or_else(not_as_closed)?;
        if summary.mark.entries == closed.entries && summary.seal.seal() != Some((closed.height, closed.root)) {
            return Err(not_as_closed());
        }
    }
    let summarised = summary.as_ref().map_or(0, |summary| summary.mark.entries);
    let state = summary.as_mut().map(|summary| std::mem::take(&mut summary.state));
    let (shares, received) = sync_channel(0);
    let applier = Applier { view: &*view, from, state };
    let total = published(disk, dir).ok().flatten().map_or(0, |checkpoint| checkpoint.size);
    let mark = summary.as_ref().map(|summary| summary.mark);
    let replay = Replay::new(from, mark.as_ref(), shares, (options.progress.clone(), total));
    let (surveyed, applied) = std::thread::scope(|scope| {
        let applied = scope.spawn(move || applier.run(&received));
        let surveyed = survey(disk, dir, summary, replay);
        (surveyed, applied.join().unwrap_or_else(|_| Err(StateError::View("the store panicked".into()))))
    });
    // Where the applier hung up, it says why; what the journal has to say comes first otherwise.
    let (surveyed, state) = match (surveyed, applied) {
        (Ok(surveyed), applied) => (surveyed, applied?),
        (Err(NodeError::State(_)), Err(doubt)) => return Err(doubt.into()),
        (Err(error), _) => return Err(error),
    };
    let (Survey { mut log, locations, replay, .. }, end) = surveyed;
    check_agreement(&log, replay, from, &state)?;
    if purpose == Purpose::Fill {
        view.checkpoint()?;
        drop(view);
        view = (options.open_view)(&dir.join("view"), Purpose::Serve)?;
    }
    log.head.root = log.tree.root();
    Ok(Replayed { log, locations, end, view, state, summarised })
}

/// The journal must hold a ledger, whose state is that of the view, which was found at `from`.
fn check_agreement(log: &Log, replay: Replay, from: Option<Position>, state: &Tree) -> Result<(), NodeError> {
    let missing = |what: &str| NodeError::Inconsistent { index: 0, problem: format!("there is no {what}") };
    if log.id == LedgerId::default() {
        return Err(missing("genesis"));
    }
    if log.head.size == 0 {
        return Err(missing("seal"));
    }
    replay.check(log.head.height)?;
    if log.head.state_root == state.root() {
        return Ok(());
    }
    if from.is_none() {
        // It was rebuilt from nothing: the journal is at fault.
        let problem = "the writes of the journal do not lead to the state root of the last seal".into();
        return Err(NodeError::Inconsistent { index: log.head.size - 1, problem });
    }
    Err(StateError::View("its root is not that of the last seal".into()).into())
}

/// Whether there is no view, and so much in the journal that it pays to fill one, and to open it again then.
fn must_be_filled(disk: &dyn Disk, dir: &Path) -> bool {
    matches!(disk.exists(&dir.join("view")), Ok(false))
        && journal::segments(disk, &dir.join("journal")).is_ok_and(|segments| segments > 1)
}

/// Goes through the journal, or through what is behind a summary.
fn survey(disk: &dyn Disk, dir: &Path, summary: Option<Summary>, replay: Replay) -> Result<(Survey, End), NodeError> {
    let (journal, mark) = (dir.join("journal"), summary.as_ref().map(|summary| summary.mark));
    let mut survey = match summary {
        Some(summary) => Survey::resumed(summary, replay).ok_or_else(not_as_closed)?,
        None => Survey::new(replay)?,
    };
    let mut frames = Frames::behind(disk, &journal, mark.as_ref())?;
    while let Some((frame, location)) = frames.next()? {
        survey.take(frame, location)?;
    }
    let end = frames.end()?;
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
    Ok(attempt(dir, options, Start::Genesis)?.view.checkpoint()?)
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
