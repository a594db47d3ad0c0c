//! The sequencer: order, execute, entry, commit point.
//!
//! One thread takes what has queued, a lone call at once, and makes it a block:
//!
//! 1. execute each call in order on an overlay over the block over committed state; encode its entry and effects;
//! 2. close the block with a seal that holds the state root;
//! 3. append the block to the journal and `fdatasync`: **the commit point**. A crash before it leaves nothing of the block, after it all;
//! 4. make the block visible to readers, answer the callers, and hand the block to the thread that keeps the view.
//!
//! When the disk is full before the commit point, the block is forgotten, its callers are told so, and the next block is tried. Any other
//! error of the journal, and any fault of the engine, stops the ledger.

use crate::committed::{Committed, Job};
use crate::disk::Disk;
use crate::journal::{Block, FrameKind, Journal, Reader};
use crate::publication::{Board, Level};
use crate::registry::{self, ContractRecord, contract_id};
use crate::{Clock, Head, NodeError, Refusal};
use chancery_engine::{Context, Engine, Execution, Invocation, Kind, Module, prices};
use chancery_state::view::Position;
use chancery_state::{BlockStore, Store, Tree, tree};
use chancery_tlog::merkle;
use chancery_types::codec::{Decode, Encode};
use chancery_types::entry::{ENTRY_VERSION, Effects, Rejection, WriteSet};
use chancery_types::interface::MethodKind;
use chancery_types::{
    Action, Call, ContractId, Entry, Gas, Hash, Height, LedgerId, ModuleId, Outcome, Record, RequestId, SignedCall,
    Step, Timestamp,
};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Calls of a block.
pub(crate) const BLOCK_CALLS_MAX: usize = 1_024;
/// A block is closed when it has so many bytes; the last call may add its own.
const BLOCK_BYTES_TARGET: usize = 8 << 20;

/// What a caller gets.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Index of the entry.
    pub index: u64,
    /// Height of its block.
    pub height: Height,
    /// The entry.
    pub entry: Entry,
    /// The decision trace.
    pub trace: Vec<Step>,
    /// Whether the call had been answered before and this is the first answer again.
    pub repeated: bool,
}

impl Answer {
    /// What came of the call.
    pub fn outcome(&self) -> Option<&Outcome> {
        if let Record::Call { outcome, .. } = &self.entry.record { Some(outcome) } else { None }
    }

    /// The answer to a call that has this answer's request id: it must be the very same call.
    ///
    /// # Errors
    /// [`Refusal::RequestReused`].
    pub(crate) fn for_same(self, call: &Call) -> Result<Answer, Refusal> {
        match &self.entry.record {
            Record::Call { signed, .. } if signed.call == *call => Ok(self),
            _ => Err(Refusal::RequestReused { request: call.request, index: self.index }),
        }
    }
}

/// An answer to come.
pub struct Ticket {
    pub(crate) answer: Receiver<Result<Answer, Refusal>>,
    pub(crate) board: Arc<Board>,
}

impl Ticket {
    /// Waits for the answer, which comes when the call is durable.
    ///
    /// # Errors
    /// What kept the call from being recorded.
    pub fn wait(self) -> Result<Answer, Refusal> {
        self.answer.recv().unwrap_or_else(|_| Err(NodeError::Stopped("the sequencer ended".into()).into()))
    }

    /// Waits for the answer, and until the call has reached a level.
    ///
    /// # Errors
    /// As [`Ticket::wait`]; [`NodeError::NotPublished`] where the call is recorded but does not reach the level.
    pub fn wait_for(self, level: Level) -> Result<Answer, Refusal> {
        let board = self.board.clone();
        let answer = self.wait()?;
        if level > Level::Logged {
            board.wait(level, answer.index + 1)?;
        }
        Ok(answer)
    }
}

/// A call that passed its checks, and who waits for it.
pub(crate) struct Submission {
    pub(crate) signed: SignedCall,
    pub(crate) reply: Sender<Result<Answer, Refusal>>,
}

/// What executes a call, without ordering or recording it: dry runs and queries use the same code.
pub(crate) struct Executor {
    pub(crate) ledger: LedgerId,
    pub(crate) engine: Engine,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) blobs: PathBuf,
}

/// Where and when a call is executed.
#[derive(Clone, Copy)]
pub(crate) struct At {
    pub(crate) time: Timestamp,
    pub(crate) height: Height,
    pub(crate) index: u64,
}

/// A call executed.
pub(crate) struct Executed {
    pub(crate) contract: ContractId,
    pub(crate) module: ModuleId,
    pub(crate) execution: Execution,
}

pub(crate) fn rejected(rejection: Rejection) -> Executed {
    Executed {
        contract: ContractId::default(),
        module: ModuleId::default(),
        execution: Execution {
            outcome: Outcome::Rejected { rejection },
            gas: Gas(prices::REJECTED),
            events: Vec::new(),
            trace: Vec::new(),
            writes: WriteSet::new(),
            diagnostics: Vec::new(),
            costs: Vec::new(),
        },
    }
}

impl Executor {
    /// Where a module's bytes lie.
    pub(crate) fn blob_path(&self, module: &ModuleId) -> PathBuf {
        let name = module.to_string();
        self.blobs.join(&name[..2]).join(name)
    }

    /// The module, loaded if need be. The bytes are those of its id, whatever the disk says.
    pub(crate) fn module(&self, id: &ModuleId) -> Result<Arc<Module>, NodeError> {
        if let Some(module) = self.engine.loaded(id) {
            return Ok(module);
        }
        let path = self.blob_path(id);
        let wasm = self.disk.read_if_there(&path)?.ok_or(NodeError::NoModule(*id))?;
        if Hash::of(&wasm).0 != id.0 {
            return Err(NodeError::Damaged { file: path, offset: 0, index: 0 });
        }
        Ok(self.engine.load(&wasm)?)
    }

    /// Executes a call on a store.
    pub(crate) fn execute(&self, call: &Call, at: At, store: Arc<dyn Store>) -> Result<Executed, NodeError> {
        if at.time > call.valid_until {
            return Ok(rejected(Rejection::Expired));
        }
        match &call.action {
            Action::Invoke { contract, method, arguments } => {
                let Some(record) = registry::find(&*store, contract)? else {
                    return Ok(rejected(Rejection::UnknownContract));
                };
                let module = self.module(&record.module)?;
                let found = module.interface.method(method).filter(|(_, method)| method.kind == MethodKind::Call);
                let Some((selector, _)) = found else {
                    return Ok(Executed {
                        contract: record.id,
                        module: record.module,
                        ..rejected(Rejection::UnknownMethod)
                    });
                };
                self.run(&module, &record, Kind::Call, selector, arguments, call, at, store)
            }
            Action::Deploy { name, module, arguments } => self.deploy(name, module, arguments, call, at, store),
        }
    }

    fn deploy(
        &self,
        name: &str,
        module: &ModuleId,
        arguments: &[u8],
        call: &Call,
        at: At,
        store: Arc<dyn Store>,
    ) -> Result<Executed, NodeError> {
        if registry::find(&*store, name)?.is_some() {
            return Ok(rejected(Rejection::NameTaken));
        }
        let loaded = match self.module(module) {
            Ok(module) => module,
            Err(NodeError::NoModule(_)) => return Ok(rejected(Rejection::UnknownModule)),
            Err(NodeError::NotAdmitted(_)) => return Ok(rejected(Rejection::NotAdmitted)),
            Err(error) => return Err(error),
        };
        let id = contract_id(&self.ledger, call.request, name);
        let record = ContractRecord { name: name.into(), id, module: *module, deployed: at.index, by: call.actor };
        let mut executed = match loaded.interface.init() {
            Some((selector, _)) => self.run(&loaded, &record, Kind::Init, selector, arguments, call, at, store)?,
            None if arguments.is_empty() => {
                let mut executed = rejected(Rejection::BadArguments);
                executed.execution.outcome = Outcome::Done { result: Vec::new() };
                Executed { contract: id, module: *module, ..executed }
            }
            None => Executed { contract: id, module: *module, ..rejected(Rejection::BadArguments) },
        };
        let Gas(gas) = executed.execution.gas;
        executed.execution.gas = Gas(gas.saturating_add(loaded.deploy_gas.0));
        if executed.execution.outcome.is_done() {
            // The registry's id is the smallest: the write set stays in order.
            executed.execution.writes.insert(0, registry::record(&record));
        }
        Ok(executed)
    }

    #[allow(clippy::too_many_arguments, reason = "what is executed, for whom, where: each is one thing")]
    fn run(
        &self,
        module: &Module,
        record: &ContractRecord,
        kind: Kind,
        selector: u32,
        arguments: &[u8],
        call: &Call,
        at: At,
        store: Arc<dyn Store>,
    ) -> Result<Executed, NodeError> {
        let context = Context {
            actor: call.actor,
            contract: record.id,
            ledger: self.ledger,
            time: at.time,
            height: at.height,
            request: call.request,
        };
        let arguments = arguments.to_vec();
        let invocation = Invocation { kind, selector, arguments, context, gas: prices::CALL_GAS_MAX };
        let execution = self.engine.execute(module, invocation, store)?;
        Ok(Executed { contract: record.id, module: record.module, execution })
    }

    /// Executes a query.
    pub(crate) fn query(
        &self,
        contract: &str,
        method: &str,
        call: &Call,
        arguments: &[u8],
        at: At,
        store: Arc<dyn Store>,
    ) -> Result<Execution, NodeError> {
        let record = registry::find(&*store, contract)?.ok_or_else(|| NodeError::NoContract(contract.into()))?;
        let module = self.module(&record.module)?;
        let queries = || module.interface.methods.iter().filter(|method| method.kind == MethodKind::Query);
        let found = module.interface.method(method).filter(|(_, method)| method.kind == MethodKind::Query);
        let (selector, _) = found.ok_or_else(|| NodeError::NoMethod {
            contract: contract.into(),
            method: method.into(),
            expected: format!(
                "its queries are {}",
                queries().map(|method| method.name.as_str()).collect::<Vec<_>>().join(", ")
            ),
        })?;
        Ok(self.run(&module, &record, Kind::Query, selector, arguments, call, at, store)?.execution)
    }
}

/// The end of the log, as the next block needs it.
#[derive(Clone)]
pub(crate) struct Tip {
    pub(crate) index: u64,
    pub(crate) height: Height,
    pub(crate) previous: Hash,
    pub(crate) time: Timestamp,
    pub(crate) tree: Tree,
}

/// The sequencer's thread.
pub(crate) struct Sequencer {
    pub(crate) executor: Arc<Executor>,
    pub(crate) committed: Arc<Committed>,
    pub(crate) journal: Journal,
    pub(crate) reader: Arc<Reader>,
    pub(crate) tip: Tip,
    pub(crate) log: Arc<RwLock<merkle::Tree>>,
    pub(crate) head: Arc<RwLock<Head>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) view: SyncSender<Job>,
    pub(crate) board: Arc<Board>,
    pub(crate) failed: Arc<Mutex<Option<String>>>,
}

/// A block in the making.
struct Draft {
    block: Block,
    chain: Hash,
    tip: Tip,
    leaves: Vec<Hash>,
    requests: HashMap<RequestId, usize>,
    answers: Vec<Answer>,
}

impl Draft {
    /// Adds an entry and returns it.
    fn push(&mut self, record: Record, effects: Option<&Effects>) -> Entry {
        let index = self.tip.index;
        let entry = Entry { version: ENTRY_VERSION, index, previous: self.tip.previous, time: self.tip.time, record };
        let bytes = entry.to_bytes();
        self.block.push(FrameKind::Entry, index, &bytes, &mut self.chain);
        if let Some(effects) = effects {
            self.block.push(FrameKind::Effects, index, &effects.to_bytes(), &mut self.chain);
        }
        self.leaves.push(merkle::leaf_hash(&bytes));
        self.tip.previous = Hash::of(&bytes);
        self.tip.index += 1;
        entry
    }
}

impl Sequencer {
    /// Makes blocks until nobody can submit any more.
    pub(crate) fn run(mut self, submissions: &Receiver<Submission>) {
        while let Ok(first) = submissions.recv() {
            let mut queue = std::iter::once(first).chain(submissions.try_iter().take(BLOCK_CALLS_MAX - 1)).peekable();
            while queue.peek().is_some() {
                let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if let Some(reason) = failed {
                    queue.by_ref().for_each(|submission| answer(&submission, Err(NodeError::Stopped(reason.clone()))));
                } else {
                    self.block(&mut queue);
                }
            }
        }
        self.board.close();
    }

    /// Makes one block of what is queued, up to the block's limits.
    fn block(&mut self, queue: &mut impl Iterator<Item = Submission>) {
        let mut submissions = Vec::new();
        let height = Height(self.tip.height.0 + 1);
        let time = self.clock.now().max(self.tip.time);
        let mut draft = Draft {
            block: Block::default(),
            chain: self.journal.chain(),
            tip: Tip { height, time, ..self.tip.clone() },
            leaves: Vec::new(),
            requests: HashMap::new(),
            answers: Vec::new(),
        };
        let store = Arc::new(BlockStore::new(self.committed.clone()));
        while draft.block.len() < BLOCK_BYTES_TARGET {
            let Some(submission) = queue.next() else { break };
            match self.call(&submission.signed, &mut draft, &store) {
                Ok(Some(position)) => submissions.push((submission, position)),
                Ok(None) => self.repeat(&submission),
                Err(error) => {
                    self.stop(&error);
                    answer(&submission, Err(error));
                    let stopped = || NodeError::Stopped("a fault in the same block".into());
                    submissions.iter().for_each(|(submission, _)| answer(submission, Err(stopped())));
                    return;
                }
            }
        }
        if submissions.is_empty() {
            return;
        }
        match self.commit(draft, &store) {
            Ok(answers) => {
                for (submission, (position, repeated)) in submissions {
                    if let Some(first) = answers.get(position) {
                        let first = Answer { repeated, ..first.clone() };
                        answer(&submission, first.for_same(&submission.signed.call));
                    }
                }
            }
            Err(error) => {
                let full = matches!(error, NodeError::DiskFull);
                if !full {
                    self.stop(&error);
                }
                let again = || if full { NodeError::DiskFull } else { NodeError::Stopped(error.to_string()) };
                submissions.iter().for_each(|(submission, _)| answer(submission, Err(again())));
            }
        }
    }

    /// Executes a call into the draft. Returns its position among the block's answers and whether it is the same call again; `None` when an
    /// earlier block has it.
    fn call(
        &self,
        signed: &SignedCall,
        draft: &mut Draft,
        store: &Arc<BlockStore>,
    ) -> Result<Option<(usize, bool)>, NodeError> {
        if let Some(position) = draft.requests.get(&signed.call.request) {
            return Ok(Some((*position, true)));
        }
        if self.committed.request(signed.call.request)?.is_some() {
            return Ok(None);
        }
        let at = At { time: draft.tip.time, height: draft.tip.height, index: draft.tip.index };
        let Executed { contract, module, execution } = self.executor.execute(&signed.call, at, store.clone())?;
        store.apply(&execution.writes);
        let effects = Effects { writes: execution.writes, trace: execution.trace };
        let record = Record::Call {
            signed: signed.clone(),
            contract,
            module,
            outcome: execution.outcome,
            gas: execution.gas,
            prices: prices::PRICES_VERSION,
            events: execution.events,
            trace: Hash::of(&effects.trace.to_bytes()),
            movements: Vec::new(),
            writes: Hash::of(&effects.writes.to_bytes()),
        };
        let position = draft.answers.len();
        draft.requests.insert(signed.call.request, position);
        let entry = draft.push(record, Some(&effects));
        let (index, height, trace) = (entry.index, draft.tip.height, effects.trace);
        draft.answers.push(Answer { index, height, entry, trace, repeated: false });
        Ok(Some((position, false)))
    }

    /// Answers a call that an earlier block has.
    fn repeat(&self, submission: &Submission) {
        let found = self.committed.request(submission.signed.call.request).map_err(NodeError::from);
        let first = found.and_then(|index| match index {
            Some(index) => first_answer(&self.reader, index),
            None => Err(NodeError::Stopped("a request vanished".into())),
        });
        answer(submission, first.map_err(Refusal::from).and_then(|first| first.for_same(&submission.signed.call)));
    }

    /// Seals the block, appends it, and makes it visible.
    fn commit(&mut self, mut draft: Draft, store: &BlockStore) -> Result<Vec<Answer>, NodeError> {
        let writes = store.take();
        let changes = writes
            .iter()
            .map(|write| (tree::path(&write.contract, &write.key), write.value.as_deref().map(tree::value_hash)));
        draft.tip.tree.update(changes);
        let (state_root, keys) = (draft.tip.tree.root(), draft.tip.tree.len());
        let height = draft.tip.height;
        // A block has at most BLOCK_CALLS_MAX calls.
        let entries = u32::try_from(draft.answers.len()).unwrap_or(u32::MAX);
        draft.push(Record::Seal { height, state_root, entries, keys }, None);

        self.journal.append(&draft.block, draft.chain)?;

        let root = {
            let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
            draft.leaves.into_iter().for_each(|leaf| log.push(leaf));
            log.root()
        };
        let (size, time) = (draft.tip.index, draft.tip.time);
        let request = |answer: &Answer| match &answer.entry.record {
            Record::Call { signed, .. } => Some((signed.call.request, answer.index)),
            _ => None,
        };
        let requests = draft.answers.iter().filter_map(request).collect();
        let position = Position { height, root: state_root, entries: size };
        let job = Job { writes, requests, position, tree: draft.tip.tree.clone() };
        self.committed.commit(&job);
        *self.head.write().unwrap_or_else(PoisonError::into_inner) =
            Head { size, root, height, state_root, keys, time };
        self.tip = draft.tip;
        self.board.committed(size);
        if self.view.send(job).is_err() {
            self.stop(&NodeError::Stopped("the view's thread ended".into()));
        }
        Ok(draft.answers)
    }

    fn stop(&self, error: &NodeError) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get_or_insert_with(|| error.to_string());
    }
}

/// The answer that entry `index` holds.
pub(crate) fn first_answer(reader: &Reader, index: u64) -> Result<Answer, NodeError> {
    let (entry, effects) = reader.read(index)?;
    let damaged = |problem: &str| NodeError::Inconsistent { index, problem: problem.into() };
    let entry = Entry::from_bytes(&entry).map_err(|_| damaged("it is not an entry"))?;
    let effects =
        effects.map(|bytes| Effects::from_bytes(&bytes)).transpose().map_err(|_| damaged("its effects are damaged"))?;
    // The height stands in the seal of the block, which may be some entries ahead.
    let mut height = Height(0);
    for ahead in index + 1..=index + 1 + BLOCK_CALLS_MAX as u64 {
        let sealed = Entry::from_bytes(&reader.read(ahead)?.0).map_err(|_| damaged("the next is not an entry"))?;
        if let Some((found, _)) = sealed.seal() {
            height = found;
            break;
        }
    }
    Ok(Answer { index, height, entry, trace: effects.unwrap_or_default().trace, repeated: true })
}

fn answer(submission: &Submission, answer: Result<Answer, impl Into<Refusal>>) {
    // A caller that no longer waits can ask again with the same request id.
    drop(submission.reply.send(answer.map_err(Into::into)));
}
