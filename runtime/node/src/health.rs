//! Whether a ledger takes calls.

use crate::NodeError;
use crate::metrics::Metrics;
use std::sync::{Mutex, PoisonError};

/// Whether a ledger takes calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It does.
    Serving,
    /// The disk is full: it answers queries and gives proofs. The next call is tried, and when it finds room, the
    /// ledger serves again.
    ReadOnly,
    /// It has met a fault, whose message this is, and takes no call until it is opened again. It still answers queries.
    Stopped(String),
}

/// The state that all threads of a ledger share, and where they tell what they do.
pub(crate) struct Health {
    state: Mutex<State>,
    pub(crate) metrics: Metrics,
}

impl Health {
    pub(crate) fn new() -> Self {
        Health { state: Mutex::new(State::Serving), metrics: Metrics::new() }
    }

    pub(crate) fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the ledger has stopped, if it has.
    pub(crate) fn stopped(&self) -> Option<String> {
        if let State::Stopped(reason) = self.state() { Some(reason) } else { None }
    }

    /// Stops the ledger until it is opened again. The first fault is the one that is reported; a full disk is no fault.
    pub(crate) fn stop(&self, error: &NodeError) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::Stopped(_)) {
            *state = State::Stopped(error.to_string());
            self.metrics.stopped.set(1);
        }
    }

    /// The disk is full, or has room again.
    pub(crate) fn full(&self, full: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::Stopped(_)) {
            *state = if full { State::ReadOnly } else { State::Serving };
            self.metrics.read_only.set(u8::from(full));
        }
    }
}
