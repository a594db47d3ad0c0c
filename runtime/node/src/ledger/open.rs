//! Opening a ledger: from what recovery found to the stages that work on it.

use super::Ledger;
use crate::actors::Actors;
use crate::blobs::Blobs;
use crate::checkpoint::log_vkey;
use crate::committed::{BACKLOG_BLOCKS_MAX, Committed, Follower};
use crate::content::Content;
use crate::directory;
use crate::execute::Executor;
use crate::export::read_policy;
use crate::health::Health;
use crate::journal::Journal;
use crate::pipeline::Message;
use crate::publication::{PublicLog, Publisher};
use crate::recorder::{Recorder, Scratch, Tip};
use crate::recovery::{Log, Recovered, recover};
use crate::sequencer::{BlockStart, Sequencer};
use crate::stages::Stages;
use crate::witness::{WitnessClient, objections};
use crate::{NodeError, Options};
use ed25519_dalek::SigningKey;
use std::path::Path;
#[cfg(any(test, feature = "sim"))]
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::sync::{Arc, RwLock};

impl Ledger {
    /// Makes a ledger in an empty or new directory, and opens it.
    ///
    /// # Errors
    /// When the directory is not empty, the origin is none, or the disk fails.
    pub fn create(dir: &Path, origin: &str, log_key: &SigningKey, options: Options) -> Result<Ledger, NodeError> {
        directory::create(&options.disk, dir, origin, log_key, options.clock.now(), options.segment_bytes)?;
        Ledger::open(dir, Options { log_key: Some(log_key.clone()), ..options })
    }

    /// Opens a ledger, after whatever stop.
    ///
    /// # Errors
    /// When there is none, it is in use, of another format, damaged, or the disk fails.
    pub fn open(dir: &Path, options: Options) -> Result<Ledger, NodeError> {
        let Recovered { lock, engine, mut journal, log, view, state, published, summarised } = recover(dir, &options)?;
        let Log { id, origin, tree: log, requests, head, last } = log;
        let tip = Tip { index: head.size, height: head.height, previous: last, time: head.time, tree: state };
        let health = Arc::new(Health::new());
        let metrics = &health.metrics;
        metrics.reached(tip.index, tip.tree.len());
        journal.stages = metrics.journal.clone();
        let (reader, values) = (journal.reader(), metrics.values.clone());
        let blobs = Arc::new(Blobs::of(options.disk.clone(), dir));
        let modules = metrics.modules.clone();
        let (sender, messages) = channel();
        let mut ledger = Ledger {
            id,
            origin,
            dir: dir.into(),
            disk: options.disk,
            executor: Arc::new(Executor { ledger: id, engine, blobs: blobs.clone(), modules }),
            blobs,
            committed: Arc::new(Committed::new(view, tip.tree.clone(), requests, reader.clone(), values)),
            content: Content::new(reader.clone(), log),
            reader,
            board: Arc::default(),
            log_key: options.log_key,
            head: Arc::new(RwLock::new(head)),
            clock: options.clock,
            progress: options.progress,
            health,
            actors: Actors::default(),
            closed: Arc::default(),
            summarised,
            messages: Some(sender.clone()),
            pipeline: None,
            threads: Vec::new(),
            #[cfg(any(test, feature = "sim"))]
            stepping: None,
            _lock: lock,
        };
        ledger.board.committed(tip.index);
        let publisher = ledger.publisher()?;
        match &publisher {
            Some(publisher) => publisher.open(published, tip.index)?,
            None => ledger.board.end("the log key is not at hand"),
        }
        let stages = ledger.stages(journal, tip, messages, publisher);
        #[cfg(any(test, feature = "sim"))]
        if !options.threads {
            ledger.stepping = Some(Mutex::new(stages));
            return Ok(ledger);
        }
        ledger.pipeline = Some(stages.start(sender, &mut ledger.threads)?);
        Ok(ledger)
    }

    /// What publishes the log, where the log key is at hand. The witnesses of its policy must not have seen more of this
    /// log than there is, nor another tree; those that cannot be asked do not object.
    fn publisher(&self) -> Result<Option<Publisher>, NodeError> {
        let vkey = log_vkey(&*self.disk, &self.dir, &self.origin)?;
        let policy = read_policy(&self.disk, &self.dir, &vkey)?;
        let Some(key) = self.log_key.clone() else { return Ok(None) };
        let asked = policy.filter(|policy| policy.witnesses().iter().any(|witness| witness.url.is_some()));
        let witnesses = asked.map(|policy| Arc::new(WitnessClient::new(policy)));
        if let Some(client) = &witnesses {
            let root_at = |size| self.content.root_at(size).ok();
            let objections = objections(client, &self.origin, self.reader.size(), root_at);
            if let Some(alarm) = objections.iter().find(|objection| objection.fault.is_alarm()) {
                return Err(NodeError::Witness(alarm.to_string()));
            }
        }
        Ok(Some(Publisher {
            public: PublicLog::of(self.disk.clone(), &self.dir),
            content: self.content.clone(),
            origin: self.origin.clone(),
            key,
            board: self.board.clone(),
            witnesses,
            health: self.health.clone(),
        }))
    }

    /// The stages that work behind it, from the end of its log on.
    fn stages(&self, journal: Journal, tip: Tip, messages: Receiver<Message>, publisher: Option<Publisher>) -> Stages {
        let (view, blocks) = sync_channel(BACKLOG_BLOCKS_MAX);
        let sequencer = Sequencer::new(
            self.executor.clone(),
            self.blobs.clone(),
            self.committed.clone(),
            self.clock.clone(),
            self.health.clone(),
            BlockStart { index: tip.index, height: tip.height, time: tip.time },
        );
        let recorder = Recorder {
            committed: self.committed.clone(),
            journal,
            reader: self.reader.clone(),
            tip,
            log: self.content.log.clone(),
            head: self.head.clone(),
            view,
            board: self.board.clone(),
            health: self.health.clone(),
            disk: self.disk.clone(),
            closed: self.closed.clone(),
            dir: self.dir.clone(),
            scratch: Scratch::default(),
        };
        let follower = Follower { committed: self.committed.clone(), health: self.health.clone(), dirty: true };
        Stages { sequencer, messages, recorder, follower, committed: blocks, publisher }
    }
}
