//! A ledger that is moved step by step: what its threads would do is done when a test says so.

use crate::NodeError;
use crate::ledger::Ledger;
use crate::pipeline::Message;
use crate::publication::Publisher;
use crate::sequencer::BLOCKS_UNDER_WAY_MAX;
use crate::stages::Stages;
use std::collections::VecDeque;
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
        // As with threads: when a block is recorded, a third of the calls is sealed on top of it, and a third is executed on top of that.
        let share = self.sequencer.queue.len().div_ceil(3);
        let mut sealed = VecDeque::new();
        loop {
            if !self.sequencer.is_losing() {
                self.order(share);
                if sealed.len() < BLOCKS_UNDER_WAY_MAX
                    && let Some(block) = self.sequencer.cut()
                {
                    sealed.push_back(self.sealer.seal(block));
                    continue;
                }
            }
            let Some(block) = sealed.pop_front() else {
                if self.sequencer.is_idle() {
                    return;
                }
                continue;
            };
            let (recorded, answers) = self.recorder.record(block);
            if self.sequencer.recorded(recorded) {
                self.sealer.go_on_from(self.recorder.tip.clone());
            }
            answers.give(&self.follower.health.metrics);
        }
    }

    /// Executes so many of the calls that have queued, as far as the open block takes them.
    fn order(&mut self, calls: usize) {
        for _ in 0..calls {
            if self.sequencer.is_full() {
                return;
            }
            let Some(submission) = self.sequencer.queue.pop_front() else { return };
            self.sequencer.order(submission);
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
