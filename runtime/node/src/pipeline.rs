//! The pipeline: who orders, executes and records the calls that passed their checks.
//!
//! Three threads do it where calls come faster than the disk is: the sequencer's orders and executes them, the
//! recorder's makes what came of them durable, and a third answers. So one block is executed while the disk is busy
//! with the one before, and a busy recorder makes blocks grow. Callers who are answered take the processor at once:
//! were it the recorder that answered, it would find the calls of all of them in the next block.
//!
//! Where calls come one at a time there is nothing to be executed meanwhile, and to wake a thread and be woken by it
//! takes longer than to execute the call: then [`Pipeline::alone`] does all of it on the caller's own thread.

use crate::NodeError;
use crate::health::Health;
use crate::recorder::{Answers, Recorder};
use crate::sequencer::{Block, Recorded, Sequencer, Submission};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard};

/// What the sequencer's thread hears.
pub(crate) enum Message {
    /// A call to order.
    Call(Submission),
    /// What became of the block that was handed to the recorder.
    Recorded(Recorded),
    /// Nothing more is submitted.
    Close,
}

/// Blocks whose callers may wait for their answers.
pub(crate) const ANSWERS_MAX: usize = 4;

/// Sequencer and recorder. Who holds both holds the sequencer first.
pub(crate) struct Pipeline {
    pub(crate) sequencer: Mutex<Sequencer>,
    pub(crate) recorder: Mutex<Recorder>,
    pub(crate) health: Arc<Health>,
}

impl Pipeline {
    /// One of the two; nothing, and the ledger stops, where somebody panicked who held it.
    fn hold<'a, T>(&self, what: &'a Mutex<T>) -> Option<MutexGuard<'a, T>> {
        let held = what.lock().ok();
        if held.is_none() {
            self.health.stop(&NodeError::Stopped("ordering, executing or recording a call panicked".into()));
        }
        held
    }

    /// Orders, executes and records a call on this thread, if calls come one at a time and no other is on its way;
    /// otherwise gives it back.
    pub(crate) fn alone(&self, submission: Submission) -> Option<Submission> {
        let Ok(mut sequencer) = self.sequencer.try_lock() else { return Some(submission) };
        if !sequencer.is_idle() || !sequencer.was_lone() {
            return Some(submission);
        }
        sequencer.order(submission);
        if let Some(block) = sequencer.cut()
            && let Some(mut recorder) = self.hold(&self.recorder)
        {
            let (recorded, answers) = recorder.record(block);
            drop(recorder);
            sequencer.recorded(recorded);
            answers.give(&self.health.metrics);
        }
        None
    }

    /// Orders calls and hands their blocks over to be recorded, until nobody can submit any more and all is recorded.
    pub(crate) fn sequence(&self, messages: &Receiver<Message>, blocks: &SyncSender<Block>) {
        let mut closing = false;
        loop {
            let message = match messages.try_recv() {
                Err(TryRecvError::Empty) => {
                    let Some(mut sequencer) = self.hold(&self.sequencer) else { return };
                    self.hand_over(&mut sequencer, blocks);
                    if closing && sequencer.is_idle() {
                        return;
                    }
                    drop(sequencer);
                    messages.recv().ok()
                }
                message => message.ok(),
            };
            let (Some(message), Some(mut sequencer)) = (message, self.hold(&self.sequencer)) else { return };
            match message {
                Message::Call(submission) => sequencer.queue.push_back(submission),
                Message::Recorded(recorded) => sequencer.recorded(recorded),
                Message::Close => closing = true,
            }
            sequencer.order_queued();
            if sequencer.has_enough() {
                self.hand_over(&mut sequencer, blocks);
            }
        }
    }

    /// Hands the open block to the recorder, if that is free.
    fn hand_over(&self, sequencer: &mut Sequencer, recorder: &SyncSender<Block>) {
        if !sequencer.is_recorded() {
            return;
        }
        if let Some(block) = sequencer.cut()
            && recorder.send(block).is_err()
        {
            self.health.stop(&NodeError::Stopped("the recorder ended".into()));
            sequencer.recorded(Recorded::Lost);
        }
    }

    /// Records blocks until there are no more, then closes the journal.
    pub(crate) fn record(&self, blocks: &Receiver<Block>, sequencer: &Sender<Message>, answers: &SyncSender<Answers>) {
        while let Ok(block) = blocks.recv() {
            let Some(mut recorder) = self.hold(&self.recorder) else { break };
            let Ok((recorded, given)) = catch_unwind(AssertUnwindSafe(|| recorder.record(block))) else {
                self.health.stop(&NodeError::Stopped("recording a block panicked".into()));
                // Whoever hears of it gives up too.
                drop(sequencer.send(Message::Recorded(Recorded::Lost)));
                break;
            };
            drop(recorder);
            if sequencer.send(Message::Recorded(recorded)).is_err() || answers.send(given).is_err() {
                break;
            }
        }
        match self.recorder.lock() {
            Ok(recorder) => recorder.close(),
            // Somebody panicked while recording: nothing is vouched for.
            Err(panicked) => panicked.into_inner().board.close(),
        }
    }

    /// Answers the callers of recorded blocks until there are no more.
    pub(crate) fn answer(&self, answers: &Receiver<Answers>) {
        answers.iter().for_each(|answers| answers.give(&self.health.metrics));
    }
}
