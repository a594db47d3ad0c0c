//! How a ledger is opened.

use crate::disk::{Disk, OsDisk};
use crate::journal::SEGMENT_BYTES;
use chancery_engine::{Compiler, Engine};
use chancery_state::{Purpose, StateError, StateView, View};
use chancery_types::Timestamp;
use ed25519_dalek::SigningKey;
use std::path::Path;
use std::sync::Arc;

/// Where block time comes from.
pub trait Clock: Send + Sync {
    /// The time now. A block's time is this or that of the block before, whichever is later.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Told how far a long work has come: what, done, of how much.
pub type Progress = Arc<dyn Fn(&str, u64, u64) + Send + Sync>;

/// Opens the view in a directory, or makes an empty one.
pub type OpenView = Arc<dyn Fn(&Path, Purpose) -> Result<Box<dyn StateView>, StateError> + Send + Sync>;

/// How a ledger is opened.
#[derive(Clone)]
pub struct Options {
    /// Signs checkpoints; without it none are published.
    pub log_key: Option<SigningKey>,
    /// Where block time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where modules are compiled.
    pub compiler: Compiler,
    /// Told how far a rebuild has come.
    pub progress: Progress,
    /// Where the ledger lies.
    pub disk: Arc<dyn Disk>,
    /// Opens the view.
    pub open_view: OpenView,
    /// Executes the calls; several ledgers may share one. Without it the ledger has one of its own, with a cache of
    /// compiled code.
    pub engine: Option<Arc<Engine>>,
    /// Bytes of new segments of the journal.
    pub segment_bytes: u64,
    /// Whether threads make blocks as calls come in; otherwise [`Ledger::step`](crate::Ledger::step) and [`Ledger::follow`](crate::Ledger::follow) do, in an order
    /// that a test chooses.
    #[cfg(any(test, feature = "sim"))]
    pub threads: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            log_key: None,
            clock: Arc::new(SystemClock),
            compiler: Compiler::default(),
            progress: Arc::new(|_, _, _| {}),
            disk: Arc::new(OsDisk),
            open_view: Arc::new(|path, purpose| Ok(Box::new(View::open(path, purpose)?))),
            engine: None,
            segment_bytes: SEGMENT_BYTES,
            #[cfg(any(test, feature = "sim"))]
            threads: true,
        }
    }
}
