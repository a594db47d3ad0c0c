//! What works behind an open ledger: stages that follow one another, each with a thread of its own.
//!
//! ```text
//! submitters → sequencer → recorder → answers
//!                              └────→ view
//!                              └────→ publication → witnesses
//! ```
//!
//! Tests of a simulated ledger move the same stages step by step.

use crate::NodeError;
use crate::committed::Follower;
use crate::pipeline::{ANSWERS_MAX, Message, Pipeline};
use crate::publication::Publisher;
use crate::recorder::Recorder;
use crate::sequencer::Sequencer;
use crate::stack;
use chancery_types::Height;
use std::sync::mpsc::{Receiver, Sender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// The stages, and what they hear from one another.
pub(crate) struct Stages {
    pub(crate) sequencer: Sequencer,
    pub(crate) messages: Receiver<Message>,
    pub(crate) recorder: Recorder,
    pub(crate) follower: Follower,
    /// The blocks that are committed.
    pub(crate) committed: Receiver<Height>,
    /// Where the log key is at hand.
    pub(crate) publisher: Option<Publisher>,
}

impl Stages {
    /// Sets threads to work, which end when nobody can submit any more and all is done. `sender` is of `messages`.
    ///
    /// # Errors
    /// [`NodeError::Io`] where a thread cannot be started; those before it are among the threads.
    pub(crate) fn start(
        self,
        sender: Sender<Message>,
        threads: &mut Vec<JoinHandle<()>>,
    ) -> Result<Arc<Pipeline>, NodeError> {
        let Stages { sequencer, messages, recorder, follower, committed, publisher } = self;
        let health = follower.health.clone();
        let (sequencer, recorder) = (Mutex::new(sequencer), Mutex::new(recorder));
        let pipeline = Arc::new(Pipeline { sequencer, recorder, health });
        // The recorder takes a block when it has done the one before.
        let (blocks_sender, blocks) = sync_channel(1);
        let (answers_sender, answers) = sync_channel(ANSWERS_MAX);
        let (orders, records, gives) = (pipeline.clone(), pipeline.clone(), pipeline.clone());
        threads.push(stack::spawn("sequencer", move || orders.sequence(&messages, &blocks_sender))?);
        threads.push(stack::spawn("recorder", move || records.record(&blocks, &sender, &answers_sender))?);
        threads.push(stack::spawn("answers", move || gives.answer(&answers))?);
        threads.push(stack::spawn("view", move || follower.run(&committed))?);
        if let Some(cosigner) = publisher.as_ref().and_then(Publisher::cosigner) {
            threads.push(stack::spawn("witnesses", move || cosigner.run())?);
        }
        if let Some(publisher) = publisher {
            threads.push(stack::spawn("publication", move || publisher.run())?);
        }
        Ok(pipeline)
    }
}
