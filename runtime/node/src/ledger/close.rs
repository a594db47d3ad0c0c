//! Closing a ledger: what was submitted is finished, and what spares the next start work is written down.

use super::Ledger;
use crate::journal::Mark;
use crate::pipeline::Message;
use crate::{NodeError, settled, summary};
use std::sync::PoisonError;

impl Ledger {
    /// Closes the ledger: what was submitted is finished, view and checkpoint are left at the head.
    ///
    /// # Errors
    /// The fault that had stopped it, if any.
    pub fn close(mut self) -> Result<(), NodeError> {
        self.shut_down();
        self.health.stopped().map_or(Ok(()), |reason| Err(NodeError::Stopped(reason)))
    }

    fn shut_down(&mut self) {
        if let Some(messages) = self.messages.take() {
            // The sequencer is gone only where it has failed.
            drop(messages.send(Message::Close));
        }
        // The view's thread ends when the recorder is no more.
        self.pipeline = None;
        #[cfg(any(test, feature = "sim"))]
        if let Some(stepped) = self.stepping.take() {
            stepped.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.health.stop(&NodeError::Stopped("a thread panicked".into()));
            }
        }
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.committed.is_in_doubt() {
            summary::remove(&*self.disk, &self.dir);
        } else if let Some(mark) = closed.filter(|_| self.health.stopped().is_none()) {
            self.summarise(&mark);
            self.settle();
        }
    }

    /// Says that the view is whole and durable, so that the next start may begin from the summary, if there is one.
    fn settle(&self) {
        if let Some(position) = self.committed.position()
            && summary::mark(&*self.disk, &self.dir).is_some()
        {
            // Without it, the next start compares the view with the journal.
            drop(settled::leave(&*self.disk, &self.dir, &position));
        }
    }

    /// Writes down what spares the next start most of a long journal; without it, it reads the journal.
    fn summarise(&self, mark: &Mark) {
        if !summary::is_due(mark.entries, self.summarised) {
            return;
        }
        let log = self.content.log();
        let state = self.committed.tree();
        let requests = self.committed.requests();
        let locations = self.reader.locations();
        if let Err(error) = summary::write(&*self.disk, &self.dir, mark, &locations, &log, &state, &requests) {
            (self.progress)(
                &format!("the summary of the log cannot be written ({error}): the next start takes longer"),
                0,
                0,
            );
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shut_down();
    }
}
