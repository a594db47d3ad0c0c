//! A ledger that is open: submission and its checks, reading.

use crate::actors::Actors;
use crate::answer::{Answer, Ticket, first_answer};
use crate::blobs::Blobs;
use crate::committed::{BACKLOG_BLOCKS_MAX, Committed, Follower};
use crate::content::Content;
use crate::decode;
use crate::disk::{Disk, OsDisk};
use crate::execute::{At, Executor};
use crate::export::read_policy;
use crate::health::{Health, State};
use crate::journal::{Mark, Reader, SEGMENT_BYTES};
use crate::pipeline::{Message, Pipeline};
use crate::publication::{Board, Level, PublicLog, Publisher};
use crate::recorder::{Recorder, Scratch};
use crate::recovery::{self, Recovered, log_vkey};
use crate::registry::{self, ContractRecord};
use crate::sequencer::{BlockStart, Sequencer, Submission};
use crate::stages::Stages;
use crate::witness::{WitnessClient, objections};
use crate::{NodeError, Refusal, settled, stack, summary};
use chancery_engine::{Compiler, Engine, Execution, admit_new};
use chancery_state::{Pair, Purpose, Scan, StateError, StateView, Store, View};
use chancery_types::call::{ARGUMENTS_BYTES_MAX, PATH_MAX, is_contract_name, is_method_name};
use chancery_types::entry::Effects;
use chancery_types::{
    Action, Call, ContractId, Entry, Hash, Height, Interface, LedgerId, ModuleId, PublicKey, RequestId, SignedCall,
    Timestamp,
};
use ed25519_dalek::SigningKey;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

/// Where block time comes from.
pub trait Clock: Send + Sync {
    /// The time now. A block's time is this or that of the block before, whichever is later.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Told how far a long work has come: what, done, of how much.
pub type Progress = Arc<dyn Fn(&str, u64, u64) + Send + Sync>;

/// Opens the view in a directory, or makes an empty one.
pub type OpenView = Arc<dyn Fn(&Path, Purpose) -> Result<Box<dyn StateView>, StateError> + Send + Sync>;

/// How a ledger is opened.
#[derive(Clone)]
pub struct Options {
    /// Signs checkpoints; without it none are published.
    pub log_key: Option<SigningKey>,
    /// Where block time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where modules are compiled.
    pub compiler: Compiler,
    /// Told how far a rebuild has come.
    pub progress: Progress,
    /// Where the ledger lies.
    pub disk: Arc<dyn Disk>,
    /// Opens the view.
    pub open_view: OpenView,
    /// Executes the calls; several ledgers may share one. Without it the ledger has one of its own, with a cache of
    /// compiled code.
    pub engine: Option<Arc<Engine>>,
    /// Bytes of new segments of the journal.
    pub segment_bytes: u64,
    /// Whether threads make blocks as calls come in; otherwise [`Ledger::step`] and [`Ledger::follow`] do, in an order
    /// that a test chooses.
    #[cfg(any(test, feature = "sim"))]
    pub threads: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            log_key: None,
            clock: Arc::new(SystemClock),
            compiler: Compiler::default(),
            progress: Arc::new(|_, _, _| {}),
            disk: Arc::new(OsDisk),
            open_view: Arc::new(|path, purpose| Ok(Box::new(View::open(path, purpose)?))),
            engine: None,
            segment_bytes: SEGMENT_BYTES,
            #[cfg(any(test, feature = "sim"))]
            threads: true,
        }
    }
}

/// The end of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Entries.
    pub size: u64,
    /// Merkle root over them.
    pub root: Hash,
    /// Height of the last block.
    pub height: Height,
    /// The state root after it.
    pub state_root: Hash,
    /// Keys of the state.
    pub keys: u64,
    /// Its time.
    pub time: Timestamp,
}

/// A call that passed the checks of [`Ledger::check`].
pub struct Checked {
    signed: SignedCall,
    /// No entry below this index has its request id.
    unseen_below: u64,
    /// The first answer, where the same call was answered before.
    answered: Option<Box<Answer>>,
}

/// A ledger that is open. Any number of threads may use it at once.
pub struct Ledger {
    id: LedgerId,
    origin: String,
    pub(crate) dir: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    executor: Arc<Executor>,
    blobs: Arc<Blobs>,
    pub(crate) committed: Arc<Committed>,
    pub(crate) reader: Arc<Reader>,
    board: Arc<Board>,
    pub(crate) content: Content,
    pub(crate) log_key: Option<SigningKey>,
    head: Arc<RwLock<Head>>,
    clock: Arc<dyn Clock>,
    progress: Progress,
    health: Arc<Health>,
    actors: Actors,
    /// Where the journal ended when the recorder closed it.
    closed: Arc<Mutex<Option<Mark>>>,
    /// Entries that the summary covers.
    summarised: u64,
    messages: Option<Sender<Message>>,
    pipeline: Option<Arc<Pipeline>>,
    threads: Vec<JoinHandle<()>>,
    #[cfg(any(test, feature = "sim"))]
    pub(crate) stepping: Option<Mutex<Stages>>,
    _lock: Box<dyn Send + Sync>,
}

impl Ledger {
    /// Makes a ledger in an empty or new directory, and opens it.
    ///
    /// # Errors
    /// When the directory is not empty, the origin is none, or the disk fails.
    pub fn create(dir: &Path, origin: &str, log_key: &SigningKey, options: Options) -> Result<Ledger, NodeError> {
        recovery::create(&options.disk, dir, origin, log_key, options.clock.now(), options.segment_bytes)?;
        Ledger::open(dir, Options { log_key: Some(log_key.clone()), ..options })
    }

    /// Opens a ledger, after whatever stop.
    ///
    /// # Errors
    /// When there is none, it is in use, of another format, damaged, or the disk fails.
    pub fn open(dir: &Path, options: Options) -> Result<Ledger, NodeError> {
        let Recovered { lock, id, origin, mut journal, view, engine, tip, log, requests, head, published, summarised } =
            recovery::recover(dir, &options)?;
        let health = Arc::new(Health::new());
        let metrics = &health.metrics;
        metrics.reached(tip.index, tip.tree.len());
        journal.stages = metrics.journal.clone();
        let reader = journal.reader();
        let values = metrics.values.clone();
        let committed = Arc::new(Committed::new(view, tip.tree.clone(), requests, reader.clone(), values));
        let blobs = Arc::new(Blobs::of(options.disk.clone(), dir));
        let executor =
            Arc::new(Executor { ledger: id, engine, blobs: blobs.clone(), modules: metrics.modules.clone() });
        let head = Arc::new(RwLock::new(head));
        let (view_sender, committed_blocks) = sync_channel(BACKLOG_BLOCKS_MAX);
        let (sender, messages) = channel();
        let follower = Follower { committed: committed.clone(), health: health.clone(), dirty: true };
        let board = Arc::new(Board::default());
        let content = Content::new(reader.clone(), log);
        board.committed(tip.index);
        let publisher = publisher(dir, &options, &origin, &content, &board, &health)?;
        match &publisher {
            Some(publisher) => publisher.open(published, tip.index)?,
            None => board.end("the log key is not at hand"),
        }
        let end = BlockStart { index: tip.index, height: tip.height, time: tip.time };
        let sequencer = Sequencer::new(
            executor.clone(),
            blobs.clone(),
            committed.clone(),
            options.clock.clone(),
            health.clone(),
            end,
        );
        let closed = Arc::new(Mutex::new(None));
        let recorder = Recorder {
            closed: closed.clone(),
            committed: committed.clone(),
            journal,
            reader: reader.clone(),
            tip,
            log: content.log.clone(),
            head: head.clone(),
            view: view_sender,
            board: board.clone(),
            health: health.clone(),
            disk: options.disk.clone(),
            dir: dir.into(),
            scratch: Scratch::default(),
        };
        let mut ledger = Ledger {
            id,
            origin,
            dir: dir.into(),
            disk: options.disk,
            executor,
            blobs,
            committed,
            reader,
            head,
            clock: options.clock,
            progress: options.progress,
            board,
            content,
            log_key: options.log_key,
            health,
            actors: Actors::default(),
            closed,
            summarised,
            messages: Some(sender.clone()),
            pipeline: None,
            threads: Vec::new(),
            #[cfg(any(test, feature = "sim"))]
            stepping: None,
            _lock: lock,
        };
        let stages = Stages { sequencer, messages, recorder, follower, committed: committed_blocks, publisher };
        #[cfg(any(test, feature = "sim"))]
        if !options.threads {
            ledger.stepping = Some(Mutex::new(stages));
            return Ok(ledger);
        }
        ledger.pipeline = Some(stages.start(sender, &mut ledger.threads)?);
        Ok(ledger)
    }

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

    /// Whether it takes calls.
    pub fn state(&self) -> State {
        self.health.state()
    }

    /// Which ledger this is.
    pub fn id(&self) -> LedgerId {
        self.id
    }

    /// The origin of its log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The end of the log.
    pub fn head(&self) -> Head {
        self.head.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The published checkpoint, if there is one.
    pub fn checkpoint(&self) -> Option<String> {
        let (size, note) = self.board.published();
        if size > 0 {
            return Some(note);
        }
        PublicLog::of(self.disk.clone(), &self.dir).checkpoint().ok().flatten()
    }

    /// Waits until an entry has reached a level, and gives a checkpoint that covers it: its size, and its note.
    ///
    /// # Errors
    /// [`NodeError::NoEntry`]; [`NodeError::NotPublished`] where it does not reach it.
    pub fn wait_for(&self, index: u64, level: Level) -> Result<(u64, String), NodeError> {
        let size = self.head().size;
        if index >= size {
            return Err(NodeError::NoEntry { index, size });
        }
        self.board.wait(level, index + 1)
    }

    /// The highest level that this ledger's policy lets a call reach.
    pub(crate) fn best_level(&self) -> Level {
        if self.board.has_witnesses() { Level::Witnessed } else { Level::Published }
    }

    /// Admits a module as a new one and keeps its bytes, durably.
    ///
    /// # Errors
    /// [`NodeError::NotAdmitted`], or what the disk meets.
    pub fn put_module(&self, wasm: &[u8]) -> Result<(ModuleId, Interface), NodeError> {
        admit_new(wasm)?;
        let module = self.executor.engine.load(wasm)?;
        self.blobs.put(&module.id, wasm)?;
        Ok((module.id, module.interface.clone()))
    }

    /// The interface of a module of this ledger.
    ///
    /// # Errors
    /// [`NodeError::NoModule`], or what loading meets.
    pub fn interface(&self, module: &ModuleId) -> Result<Interface, NodeError> {
        Ok(self.executor.module(module)?.interface.clone())
    }

    /// A module's bytes.
    ///
    /// # Errors
    /// [`NodeError::NoModule`], or what reading meets.
    pub fn module_bytes(&self, module: &ModuleId) -> Result<Vec<u8>, NodeError> {
        self.blobs.read(module)
    }

    /// Checks a call and queues it.
    ///
    /// # Errors
    /// A [`Refusal`]: the call is not ordered and leaves no entry.
    pub fn submit(&self, signed: SignedCall) -> Result<Ticket, Refusal> {
        self.check(signed).and_then(|checked| self.enqueue(checked))
    }

    /// The checks before ordering: most of a call's work outside of its execution. Many threads may check at once what
    /// one then queues in an order of its own.
    ///
    /// # Errors
    /// A [`Refusal`].
    pub fn check(&self, signed: SignedCall) -> Result<Checked, Refusal> {
        let checked = self.health.metrics.check.pass(|| self.checked(signed));
        if checked.is_err() {
            self.health.metrics.submissions_refused.increment(1);
        }
        checked
    }

    fn checked(&self, signed: SignedCall) -> Result<Checked, Refusal> {
        // What is committed from here on, the sequencer knows.
        let unseen_below = self.head().size;
        let call = &signed.call;
        if let Some(reason) = self.health.stopped() {
            return Err(NodeError::Stopped(reason).into());
        }
        if call.ledger != self.id {
            return Err(Refusal::WrongLedger { expected: self.id, found: call.ledger });
        }
        check_sizes(&call.action)?;
        if signed.path.len() > PATH_MAX {
            return Err(Refusal::LongPath { limit: PATH_MAX, found: signed.path.len() });
        }
        if !self.actors.is_authentic(&signed) {
            return Err(Refusal::BadSignature(call.actor.to_did()));
        }
        if let Some(index) = self.find(call.request)? {
            let first = first_answer(&self.reader, index)?.for_same(call)?;
            return Ok(Checked { signed, unseen_below, answered: Some(Box::new(first)) });
        }
        let now = self.now();
        if now > call.valid_until {
            return Err(Refusal::Expired { valid_until: call.valid_until, now });
        }
        Ok(Checked { signed, unseen_below, answered: None })
    }

    /// Queues a call that passed its checks.
    ///
    /// # Errors
    /// [`NodeError::Stopped`].
    pub fn enqueue(&self, checked: Checked) -> Result<Ticket, Refusal> {
        self.hand_in(checked, Some)
    }

    /// Checks a call, and waits until it is durable. Where calls come one at a time, it is executed and recorded on
    /// this thread if that has 3 MiB of its stack left: no other is woken.
    ///
    /// # Errors
    /// As [`Ledger::submit`] and [`Ticket::wait`].
    pub fn call(&self, signed: SignedCall) -> Result<Answer, Refusal> {
        let checked = self.check(signed)?;
        self.hand_in(checked, |submission| match &self.pipeline {
            Some(pipeline) if stack::suffices() => pipeline.alone(submission),
            _ => Some(submission),
        })?
        .wait()
    }

    /// Hands a call that passed its checks to `alone`, and queues it where that gives it back.
    fn hand_in(
        &self,
        checked: Checked,
        alone: impl FnOnce(Submission) -> Option<Submission>,
    ) -> Result<Ticket, Refusal> {
        let Checked { signed, unseen_below, answered } = checked;
        let (reply, answer) = sync_channel(1);
        let mut submission = Submission { signed, unseen_below, queued: None, reply };
        match answered {
            Some(first) => submission.answer(Ok::<_, Refusal>(*first)),
            None => {
                let stopped = |_| NodeError::Stopped("it is being closed".into());
                let messages = self.messages.as_ref().ok_or(()).map_err(stopped)?;
                submission.queued = self.health.metrics.queued();
                if let Some(submission) = alone(submission) {
                    messages.send(Message::Call(submission)).map_err(|_| stopped(()))?;
                }
            }
        }
        Ok(Ticket { answer, board: self.board.clone() })
    }

    /// The time that the next block would have.
    pub fn now(&self) -> Timestamp {
        self.clock.now().max(self.head().time)
    }

    fn next(&self) -> At {
        let head = self.head();
        At { time: self.now(), height: Height(head.height.0 + 1), index: head.size }
    }

    /// Where and when the next block would execute, and on what.
    pub(crate) fn next_with_store(&self) -> (At, Arc<dyn Store>) {
        (self.next(), self.committed.clone())
    }

    /// Executes a call as the next block would, and records nothing.
    ///
    /// # Errors
    /// A fault of the node.
    pub fn dry_run(&self, call: &Call) -> Result<Execution, NodeError> {
        let (at, store) = (self.next(), self.committed.clone());
        stack::on_large(|| Ok(self.executor.execute(call, at, store)?.execution))
    }

    /// Executes a query on committed state.
    ///
    /// # Errors
    /// [`NodeError::NoContract`], [`NodeError::NoMethod`], or a fault of the node.
    pub fn query(
        &self,
        contract: &str,
        method: &str,
        arguments: Vec<u8>,
        actor: PublicKey,
    ) -> Result<Execution, NodeError> {
        let (at, store) = (self.next(), self.committed.clone());
        let action = Action::Invoke { contract: contract.into(), method: method.into(), arguments: Vec::new() };
        let call = Call { ledger: self.id, actor, request: RequestId(0), valid_until: at.time, action };
        stack::on_large(|| self.executor.query(contract, method, &call, &arguments, at, store))
    }

    /// The contract with this name.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn contract(&self, name: &str) -> Result<Option<ContractRecord>, NodeError> {
        registry::find(&*self.committed, name)
    }

    /// All contracts, by name.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn contracts(&self) -> Result<Vec<ContractRecord>, NodeError> {
        registry::list(&*self.committed)
    }

    /// A committed value.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn state_get(&self, contract: &ContractId, key: &[u8]) -> Result<Option<Vec<u8>>, NodeError> {
        Ok(self.committed.get(contract, key)?)
    }

    /// Committed pairs of a range.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn state_scan(&self, contract: &ContractId, range: &Scan) -> Result<Vec<Pair>, NodeError> {
        Ok(self.committed.scan(contract, range)?)
    }

    /// The index of the entry that a request led to.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn find(&self, request: RequestId) -> Result<Option<u64>, NodeError> {
        self.committed.request(request)
    }

    /// An entry and what the journal keeps beside it.
    ///
    /// # Errors
    /// [`NodeError::NoEntry`], or what reading meets.
    pub fn entry(&self, index: u64) -> Result<(Entry, Effects), NodeError> {
        let (entry, effects) = self.reader.read(index)?;
        let effects = effects.map(|bytes| decode::effects(index, &bytes)).transpose()?;
        Ok((decode::entry(index, &entry)?, effects.unwrap_or_default()))
    }

    /// The answer that an entry holds.
    ///
    /// # Errors
    /// As [`Ledger::entry`].
    pub fn answer(&self, index: u64) -> Result<Answer, NodeError> {
        first_answer(&self.reader, index)
    }
}

/// What publishes the log, where the log key is at hand. The witnesses of its policy must not have seen more of this
/// log than there is.
fn publisher(
    dir: &Path,
    options: &Options,
    origin: &str,
    content: &Content,
    board: &Arc<Board>,
    health: &Arc<Health>,
) -> Result<Option<Publisher>, NodeError> {
    let vkey = log_vkey(&*options.disk, dir, origin)?;
    let policy = read_policy(&options.disk, dir, &vkey)?;
    let Some(key) = options.log_key.clone() else { return Ok(None) };
    let asked = policy.filter(|policy| policy.witnesses().iter().any(|witness| witness.url.is_some()));
    let witnesses = asked.map(|policy| Arc::new(WitnessClient::new(policy)));
    if let Some(client) = &witnesses {
        ask_witnesses(client, origin, content.reader.size(), content)?;
    }
    let (origin, content, board, health) = (origin.into(), content.clone(), board.clone(), health.clone());
    Ok(Some(Publisher {
        public: PublicLog::of(options.disk.clone(), dir),
        content,
        origin,
        key,
        board,
        witnesses,
        health,
    }))
}

/// Refuses where a witness has seen more of this log than there is, or another tree. Witnesses that cannot be asked do
/// not object.
fn ask_witnesses(client: &WitnessClient, origin: &str, size: u64, content: &Content) -> Result<(), NodeError> {
    let objections = objections(client, origin, size, |size| content.root_at(size).ok());
    match objections.iter().find(|objection| objection.fault.is_alarm()) {
        Some(alarm) => Err(NodeError::Witness(alarm.to_string())),
        None => Ok(()),
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn check_sizes(action: &Action) -> Result<(), Refusal> {
    let (arguments, name) = match action {
        Action::Invoke { contract, method, arguments } => {
            if !is_method_name(method) {
                return Err(Refusal::BadName(method.clone()));
            }
            (arguments, contract)
        }
        Action::Deploy { name, arguments, .. } => (arguments, name),
    };
    if !is_contract_name(name) {
        return Err(Refusal::BadName(name.clone()));
    }
    if arguments.len() > ARGUMENTS_BYTES_MAX {
        let (what, limit, found) = ("arguments", ARGUMENTS_BYTES_MAX, arguments.len());
        return Err(Refusal::TooLarge { what, limit, found });
    }
    Ok(())
}
