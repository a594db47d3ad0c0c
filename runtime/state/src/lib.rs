//! The state: what contracts read and write.
//!
//! - [`store`]: what state looks like to a reader, and state in memory;
//! - [`overlay`]: the writes of a call over a block over committed state, put together by [`layers`];
//! - [`tree`]: the authenticated tree whose root stands in every seal;
//! - `view` (a feature, on by default): the committed state on sled, derived from the log and rebuilt from it on any
//!   doubt.

#![forbid(unsafe_code)]

mod gaps;
pub mod layers;
pub mod overlay;
pub mod store;
pub mod tree;
#[cfg(feature = "view")]
pub mod view;

pub use overlay::{BlockStore, Overlay};
pub use store::{MemoryStore, Pair, Scan, StateKey, Store, Value, Visited, Visitor};
pub use tree::Tree;
#[cfg(feature = "view")]
pub use view::{Purpose, StateView, View, ViewBatch};

/// A fault of the store: a fault of the node, never an outcome of a call.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The view could not be opened.
    #[error(
        "the view at {path} cannot be opened ({reason}); it is derived: set it aside and it is rebuilt from the journal"
    )]
    Open {
        /// The directory.
        path: String,
        /// What the store said.
        reason: String,
    },
    /// There is no room for the view.
    #[error(
        "the disk is full: the view could not be written; it is derived, and nothing of the log is lost. Make room and open the ledger again"
    )]
    Full,
    /// Reading or writing the view failed.
    #[error("the view failed ({0}); it is derived: open the ledger again and it is rebuilt from the journal")]
    View(String),
    /// Making the view durable failed.
    #[error("the view could not be made durable: {0}")]
    Io(#[from] std::io::Error),
}
