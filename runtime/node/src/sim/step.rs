//! A ledger that is moved step by step: what its threads would do is done when a test says so.

use crate::NodeError;
use crate::ledger::Ledger;
use crate::pipeline::Message;
use crate::publication::Publisher;
use crate::stages::Stages;
use std::sync::PoisonError;

impl Stages {
    fn follow(&mut self) {
        if let Err(error) = self.follower.apply(self.committed.try_iter().count()) {
            self.follower.health.stop(&error);
        }
    }

    fn step(&mut self) {
        let call = |message| if let Message::Call(submission) = message { Some(submission) } else { None };
        self.sequencer.queue.extend(self.messages.try_iter().filter_map(call));
        // As with threads, half of the calls are executed on a block that is not recorded yet.
        let mut share = self.sequencer.queue.len().div_ceil(2);
        loop {
            let block = self.sequencer.cut();
            while share > 0
                && !self.sequencer.is_full()
                && let Some(submission) = self.sequencer.queue.pop_front()
            {
                self.sequencer.order(submission);
                share -= 1;
            }
            match block {
                Some(block) => {
                    let (recorded, answers) = self.recorder.record(block);
                    self.sequencer.recorded(recorded);
                    answers.give(&self.follower.health.metrics);
                }
                None if self.sequencer.is_idle() => return,
                None => {}
            }
            share = self.sequencer.queue.len();
        }
    }

    fn publish(&mut self) {
        match self.publisher.as_ref().map(Publisher::step) {
            // It is tried again.
            None | Some(Ok(()) | Err(NodeError::DiskFull)) => {}
            Some(Err(error)) => self.follower.health.stop(&error),
        }
    }

    /// As the threads of a ledger that is closed.
    pub(crate) fn finish(mut self) {
        self.step();
        self.recorder.close();
        self.follow();
        self.publish();
        if let Err(error) = self.follower.checkpoint() {
            self.follower.health.stop(&error);
        }
    }
}

/// Steps of a ledger that was opened without threads.
impl Ledger {
    fn stepped(&self, work: impl FnOnce(&mut Stages)) {
        if let Some(stepped) = &self.stepping {
            work(&mut stepped.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Makes blocks of what has queued.
    pub fn step(&self) {
        self.stepped(Stages::step);
    }

    /// Brings the view to the last block.
    pub fn follow(&self) {
        self.stepped(Stages::follow);
    }

    /// Publishes what is committed.
    pub fn publish(&self) {
        self.stepped(|stepped| stepped.publish());
    }

    /// The process ends here, without closing anything.
    pub fn crash(mut self) {
        drop(self.stepping.take());
    }
}
