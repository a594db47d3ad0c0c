//! The pipeline: who orders, executes, seals and records the calls that passed their checks.
//!
//! Four threads do it where calls come faster than the disk is. The sequencer's orders and executes them. Two take the blocks that it cuts off, seal
//! and record them: one seals a block while the other waits for the disk with the block before, and a busy disk makes blocks grow. A fourth answers:
//! callers who are answered take the processor at once, and were it a recorder that answered, it would find the calls of all of them in the next block.
//!
//! Blocks keep their order because who has a block takes the place of the next step before it gives up that of the last: `seal_and_record`.
//!
//! Where calls come one at a time there is nothing to be executed meanwhile, and to wake a thread and be woken by it
//! takes longer than to execute the call: then [`Pipeline::alone`] does all of it on the caller's own thread.

use crate::NodeError;
use crate::health::Health;
use crate::recorder::{Answers, Recorder};
use crate::sealer::Sealer;
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

/// Sequencer, blocks on their way, sealer and recorder. Who holds several takes them in this order.
pub(crate) struct Pipeline {
    pub(crate) sequencer: Mutex<Sequencer>,
    pub(crate) blocks: Mutex<Receiver<Block>>,
    pub(crate) sealer: Mutex<Sealer>,
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
        if let Some(block) = sequencer.cut() {
            let mut became = Recorded::Lost;
            let answers = self.seal_and_record(block, (), |recorded| became = recorded);
            self.recorded(&mut sequencer, became);
            answers.unwrap_or_default().give(&self.health.metrics);
        }
        None
    }

    /// Goes on from what became of a block.
    fn recorded(&self, sequencer: &mut Sequencer, recorded: Recorded) {
        // Then no block is under way, and nobody holds the two.
        if sequencer.recorded(recorded)
            && let Some(mut sealer) = self.hold(&self.sealer)
            && let Some(recorder) = self.hold(&self.recorder)
        {
            sealer.go_on_from(recorder.tip.clone());
        }
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
                Message::Recorded(recorded) => self.recorded(&mut sequencer, recorded),
                Message::Close => closing = true,
            }
            sequencer.order_queued();
            if sequencer.has_enough() {
                self.hand_over(&mut sequencer, blocks);
            }
        }
    }

    /// Hands the open block over to be sealed and recorded, if it is due.
    fn hand_over(&self, sequencer: &mut Sequencer, blocks: &SyncSender<Block>) {
        if sequencer.is_due()
            && let Some(block) = sequencer.cut()
            && blocks.send(block).is_err()
        {
            self.health.stop(&NodeError::Stopped("the recorders ended".into()));
            self.recorded(sequencer, Recorded::Lost);
        }
    }

    /// Seals and records blocks until there are no more, then closes the journal. Two threads do so.
    pub(crate) fn record(&self, sequencer: &Sender<Message>, answers: &SyncSender<Answers>) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.record_next(sequencer))) {
                Ok(Some(given)) => drop(answers.send(given)),
                Ok(None) => break,
                Err(_) => {
                    self.health.stop(&NodeError::Stopped("recording a block panicked".into()));
                    drop(sequencer.send(Message::Recorded(Recorded::Lost)));
                }
            }
        }
        // The other one may still be at a block: it holds the one or the other.
        drop(self.sealer.lock());
        match self.recorder.lock() {
            Ok(recorder) => recorder.close(),
            // Somebody panicked while recording: nothing is vouched for.
            Err(panicked) => panicked.into_inner().board.close(),
        }
    }

    /// Seals and records the next block, and gives the answers to its callers. `None` when there are no more.
    fn record_next(&self, sequencer: &Sender<Message>) -> Option<Answers> {
        let blocks = self.hold(&self.blocks)?;
        let block = blocks.recv().ok()?;
        let tell = |recorded| drop(sequencer.send(Message::Recorded(recorded)));
        let answers = self.seal_and_record(block, blocks, tell);
        if answers.is_none() {
            tell(Recorded::Lost);
        }
        Some(answers.unwrap_or_default())
    }

    /// Seals and records a block, whose place in the order `turn` holds until the sealer does. What became of it is told while the recorder is held, so
    /// that blocks are told of in their order. Gives the answers to its callers; none where somebody has panicked.
    fn seal_and_record<T>(&self, block: Block, turn: T, tell: impl FnOnce(Recorded)) -> Option<Answers> {
        let mut sealer = self.hold(&self.sealer)?;
        drop(turn);
        let sealed = sealer.seal(block);
        let mut recorder = self.hold(&self.recorder)?;
        drop(sealer);
        let (recorded, answers) = recorder.record(sealed);
        tell(recorded);
        Some(answers)
    }

    /// Answers the callers of recorded blocks until there are no more.
    pub(crate) fn answer(&self, answers: &Receiver<Answers>) {
        answers.iter().for_each(|answers| answers.give(&self.health.metrics));
    }
}
