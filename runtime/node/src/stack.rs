//! Threads whose stack the engine cannot exhaust.

use crate::NodeError;
use crate::disk;
use chancery_engine::limits::EXECUTION_STACK_BYTES_MIN;
use std::path::Path;
use std::thread::{Builder, JoinHandle};

/// Stack of the threads that execute contracts.
const BYTES: usize = 16 << 20;

/// Whether a contract can be executed on this thread, at this depth.
pub(crate) fn suffices() -> bool {
    stacker::remaining_stack().is_some_and(|left| left >= EXECUTION_STACK_BYTES_MIN)
}

/// Starts a thread with such a stack.
///
/// # Errors
/// [`NodeError::Io`].
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, NodeError> {
    let builder = Builder::new().name(name.into()).stack_size(BYTES);
    builder.spawn(run).map_err(disk::failed("cannot start a thread for", Path::new(name)))
}

/// Runs on this thread where its stack suffices, else on one made for it.
///
/// # Errors
/// Those of `run`; [`NodeError::Stopped`] where it panicked on the other thread.
pub(crate) fn on_large<R: Send>(run: impl FnOnce() -> Result<R, NodeError> + Send) -> Result<R, NodeError> {
    if suffices() {
        return run();
    }
    std::thread::scope(|scope| {
        let thread = Builder::new()
            .stack_size(BYTES)
            .spawn_scoped(scope, run)
            .map_err(disk::failed("cannot start a thread for", Path::new("execution")))?;
        thread.join().unwrap_or_else(|_| Err(NodeError::Stopped("an execution panicked".into())))
    })
}
