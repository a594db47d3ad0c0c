//! The board: how far the log is committed, published and witnessed, and who waits for it to be.

use super::{Level, PUBLISH_ENTRIES};
use crate::NodeError;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Why nothing is witnessed where there is nobody to ask.
const NO_WITNESSES: &str =
    "its policy names no witness that could be asked: install one that does with `chancery log policy FILE`";

/// What recorder, publisher, cosigner and those who wait tell each other.
#[derive(Default)]
pub(crate) struct Board {
    state: Mutex<State>,
    pub(super) changed: Condvar,
}

/// What they know.
#[derive(Default)]
pub(super) struct State {
    /// Entries that the journal holds durably.
    pub(super) committed: u64,
    /// Entries that somebody waits to see published.
    pub(super) wanted: u64,
    /// Entries that somebody waits to see witnessed.
    pub(super) witness_wanted: u64,
    /// Entries that the published checkpoint covers, and its note.
    pub(super) published: u64,
    pub(super) note: String,
    /// Entries that a checkpoint with enough cosignatures covers, and its note.
    pub(super) witnessed: u64,
    pub(super) witnessed_note: String,
    /// How often cosignatures were asked for, and what kept the last try, over so many entries, from a quorum.
    pub(super) tries: u64,
    pub(super) refused: Option<(u64, u64, String)>,
    /// Whether there are witnesses to ask.
    pub(super) has_witnesses: bool,
    /// How often publishing failed for want of room.
    pub(super) full: u64,
    /// Nothing more is committed.
    pub(super) closing: bool,
    /// All that is committed is published, and nothing more will be.
    pub(super) all_published: bool,
    /// Nothing more is published, and why.
    pub(super) ended: Option<String>,
}

impl State {
    /// Whether what is committed is to be published at once: somebody waits for it, or it is much.
    pub(super) fn is_urgent(&self) -> bool {
        self.wanted > self.published || self.committed.saturating_sub(self.published) >= PUBLISH_ENTRIES
    }
}

impl Board {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits until something has changed, or so long at most.
    pub(super) fn wait_for_change<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        most: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        match most {
            Some(most) => self.changed.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0,
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// So many entries are committed now.
    pub(crate) fn committed(&self, size: u64) {
        let mut state = self.state();
        let first = state.committed <= state.published;
        state.committed = state.committed.max(size);
        // Else the publisher sleeps until it is time: it need not be woken for every block.
        let awaited = first || state.is_urgent();
        drop(state);
        if awaited {
            self.changed.notify_all();
        }
    }

    /// Nothing more will be committed.
    pub(crate) fn close(&self) {
        self.change(|state| state.closing = true);
    }

    /// Nothing more will be published, for this reason.
    pub(crate) fn end(&self, reason: &str) {
        self.change(|state| {
            state.ended.get_or_insert_with(|| reason.into());
        });
    }

    /// Waits until so many entries have reached the level, and gives the size that its checkpoint covers, and the note.
    pub(crate) fn wait(&self, level: Level, size: u64) -> Result<(u64, String), NodeError> {
        let mut state = self.state();
        state.wanted = state.wanted.max(size);
        let (tries, full) = (state.tries, state.full);
        if level == Level::Witnessed {
            // A ledger without its log key asks nobody, whatever its policy names, and says why below.
            if !state.has_witnesses && state.ended.is_none() {
                return Err(NodeError::NotWitnessed(NO_WITNESSES.into()));
            }
            state.witness_wanted = state.witness_wanted.max(size);
        }
        self.changed.notify_all();
        loop {
            let (reached, note) = match level {
                Level::Logged => (state.committed, String::new()),
                Level::Published => (state.published, state.note.clone()),
                Level::Witnessed => (state.witnessed, state.witnessed_note.clone()),
            };
            if reached >= size {
                return Ok((reached, note));
            }
            // A try that began before this wait says nothing about it.
            if let Some((_, _, reason)) =
                state.refused.as_ref().filter(|(number, tried, _)| *number > tries && *tried >= size)
                && level == Level::Witnessed
            {
                return Err(NodeError::NotWitnessed(reason.clone()));
            }
            if state.full > full && level > Level::Logged {
                return Err(NodeError::NotPublished("the disk is full".into()));
            }
            if let Some(reason) = &state.ended {
                return Err(NodeError::NotPublished(reason.clone()));
            }
            state = self.wait_for_change(state, None);
        }
    }

    /// Whether there are witnesses to ask.
    pub(crate) fn has_witnesses(&self) -> bool {
        self.state().has_witnesses
    }

    /// The published checkpoint's note, and the entries that it covers.
    pub(crate) fn published(&self) -> (u64, String) {
        let state = self.state();
        (state.published, state.note.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    #[test]
    fn who_waits_for_witnesses_is_told_why_there_are_none() {
        let board = Board::default();
        let names_none = board.wait(Level::Witnessed, 1);
        assert!(
            matches!(&names_none, Err(NodeError::NotWitnessed(reason)) if reason == NO_WITNESSES),
            "{names_none:?}"
        );
        board.end("the log key is not at hand");
        let has_no_key = board.wait(Level::Witnessed, 1);
        assert!(
            matches!(&has_no_key, Err(NodeError::NotPublished(reason)) if reason.contains("log key")),
            "{has_no_key:?}"
        );
    }

    #[test]
    fn the_publisher_is_woken_by_the_first_entry_and_where_many_wait() {
        let board = Arc::new(Board::default());
        let (woken, heard) = channel();
        let publisher = board.clone();
        std::thread::spawn(move || {
            let mut state = publisher.state();
            loop {
                woken.send((state.committed, state.is_urgent())).unwrap();
                state = publisher.wait_for_change(state, None);
            }
        });
        let next = || heard.recv_timeout(Duration::from_secs(30)).expect("it is woken");
        assert_eq!(next(), (0, false));
        board.committed(1);
        assert_eq!(next(), (1, false));
        // It sleeps until it is time.
        board.committed(PUBLISH_ENTRIES - 1);
        assert!(heard.recv_timeout(Duration::from_millis(50)).is_err());
        board.committed(PUBLISH_ENTRIES);
        assert_eq!(next(), (PUBLISH_ENTRIES, true));
    }
}
