//! Submitting calls: the checks before ordering, and who waits for the answer.

use super::Ledger;
use crate::answer::first_answer;
use crate::pipeline::Message;
use crate::sequencer::Submission;
use crate::{Answer, NodeError, Refusal, Ticket, stack};
use chancery_engine::admit_new;
use chancery_types::call::{ARGUMENTS_BYTES_MAX, PATH_MAX, is_contract_name, is_method_name};
use chancery_types::{Action, Interface, ModuleId, SignedCall};
use std::sync::mpsc::sync_channel;

/// A call that passed the checks of [`Ledger::check`].
pub struct Checked {
    signed: SignedCall,
    /// No entry below this index has its request id.
    unseen_below: u64,
    /// The first answer, where the same call was answered before.
    answered: Option<Box<Answer>>,
}

impl Ledger {
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
