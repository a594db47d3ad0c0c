//! A ledger that is open.
//!
//! - `open`: from what recovery found to the stages that work on it
//! - `submit`: the checks of a call, and its way to the sequencer
//! - `read`: committed state, queries, entries, modules
//! - `close`: what spares the next start work

mod close;
mod open;
mod read;
mod submit;

pub use submit::Checked;

use crate::NodeError;
use crate::actors::Actors;
use crate::blobs::Blobs;
use crate::committed::Committed;
use crate::content::Content;
use crate::disk::Disk;
use crate::execute::Executor;
use crate::health::{Health, State};
use crate::journal::{Mark, Reader};
use crate::options::{Clock, Progress};
use crate::pipeline::{Message, Pipeline};
use crate::publication::{Board, Level, PublicLog};
#[cfg(any(test, feature = "sim"))]
use crate::stages::Stages;
use chancery_types::{Hash, Height, LedgerId, Timestamp};
use ed25519_dalek::SigningKey;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

/// The end of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Entries.
    pub size: u64,
    /// Merkle root over them.
    pub root: Hash,
    /// Height of the last block.
    pub height: Height,
    /// The state root after it.
    pub state_root: Hash,
    /// Keys of the state.
    pub keys: u64,
    /// Its time.
    pub time: Timestamp,
}

/// A ledger that is open. Any number of threads may use it at once.
pub struct Ledger {
    id: LedgerId,
    origin: String,
    pub(crate) dir: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    executor: Arc<Executor>,
    blobs: Arc<Blobs>,
    pub(crate) committed: Arc<Committed>,
    pub(crate) reader: Arc<Reader>,
    board: Arc<Board>,
    pub(crate) content: Content,
    pub(crate) log_key: Option<SigningKey>,
    head: Arc<RwLock<Head>>,
    clock: Arc<dyn Clock>,
    progress: Progress,
    health: Arc<Health>,
    actors: Actors,
    /// Where the journal ended when the recorder closed it.
    closed: Arc<Mutex<Option<Mark>>>,
    /// Entries that the summary covers.
    summarised: u64,
    messages: Option<Sender<Message>>,
    pipeline: Option<Arc<Pipeline>>,
    threads: Vec<JoinHandle<()>>,
    #[cfg(any(test, feature = "sim"))]
    pub(crate) stepping: Option<Mutex<Stages>>,
    _lock: Box<dyn Send + Sync>,
}

impl Ledger {
    /// Whether it takes calls.
    pub fn state(&self) -> State {
        self.health.state()
    }

    /// Which ledger this is.
    pub fn id(&self) -> LedgerId {
        self.id
    }

    /// The origin of its log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The end of the log.
    pub fn head(&self) -> Head {
        self.head.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The published checkpoint, if there is one.
    pub fn checkpoint(&self) -> Option<String> {
        let (size, note) = self.board.published();
        if size > 0 {
            return Some(note);
        }
        PublicLog::of(self.disk.clone(), &self.dir).checkpoint().ok().flatten()
    }

    /// Waits until an entry has reached a level, and gives a checkpoint that covers it: its size, and its note.
    ///
    /// # Errors
    /// [`NodeError::NoEntry`]; [`NodeError::NotPublished`] where it does not reach it.
    pub fn wait_for(&self, index: u64, level: Level) -> Result<(u64, String), NodeError> {
        let size = self.head().size;
        if index >= size {
            return Err(NodeError::NoEntry { index, size });
        }
        self.board.wait(level, index + 1)
    }

    /// The highest level that this ledger's policy lets a call reach.
    pub fn best_level(&self) -> Level {
        if self.board.has_witnesses() { Level::Witnessed } else { Level::Published }
    }

    /// The time that the next block would have.
    pub fn now(&self) -> Timestamp {
        self.clock.now().max(self.head().time)
    }
}
