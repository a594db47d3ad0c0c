//! What can fail that is not an outcome of a call.

use crate::admission::AdmissionError;
use crate::limits::NATIVE_STACK_BYTES;
use chancery_state::StateError;

/// A fault of the node. It stops, and nothing is recorded of the call that met it.
#[derive(Debug, thiserror::Error)]
pub enum NodeFault {
    /// The store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A contract used up [`NATIVE_STACK_BYTES`] before its limit of slots, also where its code was not optimised: a bug of ours. On
    /// a thread with less than [`EXECUTION_STACK_BYTES_MIN`](crate::limits::EXECUTION_STACK_BYTES_MIN) left it is the
    /// system that ends the process.
    #[error(
        "a contract used {} bytes of native stack before it reached its limit of slots: report this with the module \
         and the call",
        NATIVE_STACK_BYTES
    )]
    NativeStack,
    /// The operating system refused memory.
    #[error("the operating system refused memory for a contract ({0}): free some, then start again")]
    Memory(String),
    /// The host panicked.
    #[error("the host panicked ({0}): report this with the module and the call")]
    Panic(String),
    /// The engine failed.
    #[error("the execution engine failed ({0}): report this with the module and the call")]
    Engine(String),
}

impl NodeFault {
    /// A failure of the engine in its own words.
    pub(crate) fn engine(error: impl std::fmt::Display) -> Self {
        NodeFault::Engine(error.to_string())
    }
}

/// Why a module could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is not admitted.
    #[error(transparent)]
    NotAdmitted(#[from] AdmissionError),
    /// It could not be compiled within the limits of the compiling process.
    #[error("the module was not compiled: {0}")]
    NotCompiled(String),
    /// The node failed.
    #[error(transparent)]
    Fault(#[from] NodeFault),
}
