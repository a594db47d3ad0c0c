//! What a caller gets, and how it waits for it.

use crate::decode;
use crate::journal::Reader;
use crate::publication::{Board, Level};
use crate::{NodeError, Refusal};
use chancery_types::{Call, Entry, Height, Outcome, Record, Trace};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

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
    pub trace: Trace,
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
        self.answer.recv().unwrap_or_else(|_| Err(NodeError::Stopped("the answering thread ended".into()).into()))
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

/// The answer that entry `index` holds.
pub(crate) fn first_answer(reader: &Reader, index: u64) -> Result<Answer, NodeError> {
    let (entry, effects) = reader.read(index)?;
    let entry = decode::entry(index, &entry)?;
    let effects = effects.map(|bytes| decode::effects(index, &bytes)).transpose()?;
    // The height stands in the seal of the block, which may be some entries ahead.
    let seal = reader.seal_of(index)?;
    let unsealed = || NodeError::Inconsistent { index, problem: "its block has no seal".into() };
    let (height, _) = decode::entry(seal, &reader.read(seal)?.0)?.seal().ok_or_else(unsealed)?;
    Ok(Answer { index, height, entry, trace: effects.unwrap_or_default().trace, repeated: true })
}
