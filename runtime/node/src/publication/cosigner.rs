//! Collecting cosignatures of what is published.

use super::{Board, CLOSED, PublicLog};
use crate::NodeError;
use crate::content::Content;
use crate::health::Health;
use crate::witness::{WitnessClient, WitnessError};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long witnesses are left alone after a try that failed, unless somebody waits.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// What collects cosignatures behind the publication, on a thread of its own: a slow witness holds up nobody who does
/// not wait for it.
///
/// A published checkpoint is sent to all witnesses of the policy; what comes back is merged into the checkpoint, unless
/// a newer one is published by then. A witness that is ahead of this log, or has seen another tree, stops the ledger:
/// nothing more is signed.
pub(crate) struct Cosigner {
    pub(super) public: PublicLog,
    pub(super) content: Content,
    pub(super) board: Arc<Board>,
    pub(super) client: Arc<WitnessClient>,
    pub(super) health: Arc<Health>,
}

impl Cosigner {
    /// Collects cosignatures until all is published, then once more for the last checkpoint.
    pub(crate) fn run(self) {
        let mut asked_at: Option<Instant> = None;
        while let Some((size, note)) = self.next(asked_at) {
            let consistency = |old: u64| self.content.prove_consistency(old, size).ok();
            self.board.change(|state| state.tries += 1);
            let answer = self.health.metrics.witness.pass(|| self.client.cosign(&note, &consistency));
            let (note, faults, refused) = match answer {
                Ok(cosigned) => (Some(cosigned.note), cosigned.faults, None),
                Err(WitnessError::NoQuorum { note, faults, reason }) => {
                    let text =
                        WitnessError::NoQuorum { note: String::new(), faults: faults.clone(), reason }.to_string();
                    (Some(note), faults, Some(text))
                }
                Err(error) => (None, Vec::new(), Some(error.to_string())),
            };
            if let Some(alarm) = faults.iter().find(|fault| fault.fault.is_alarm()) {
                return self.stop(&NodeError::Witness(alarm.to_string()));
            }
            if let Err(error) = self.take(size, note, refused.clone()) {
                return self.stop(&error);
            }
            asked_at = refused.map(|_| Instant::now());
            let state = self.board.state();
            if state.all_published && state.published == size {
                break;
            }
        }
        self.board.end(CLOSED);
    }

    fn stop(&self, error: &NodeError) {
        self.health.stop(error);
        self.board.end(&error.to_string());
    }

    /// Keeps what came back, in the published checkpoint where that is still the one that was sent.
    fn take(&self, size: u64, note: Option<String>, refused: Option<String>) -> Result<(), NodeError> {
        let sent = {
            let state = self.board.state();
            (state.published == size).then(|| state.note.clone())
        };
        // Not held while writing: the recorder tells this board of every block.
        let merged = match (&note, &sent) {
            (Some(note), Some(sent)) if note != sent => self.public.replace_checkpoint(sent, note)?,
            _ => false,
        };
        let mut state = self.board.state();
        if let Some(note) = note {
            // The publisher replaces the file before it says so: a newer checkpoint may be there already, and stays.
            if merged && sent.as_ref() == Some(&state.note) {
                state.note.clone_from(&note);
            }
            if refused.is_none() {
                (state.witnessed, state.witnessed_note) = (size, note);
                self.health.metrics.witnessed(size);
            }
        }
        if refused.is_some() && state.witness_wanted <= size {
            // Who waited is told; the next try is for the next who waits, or a while later.
            state.witness_wanted = 0;
        }
        let number = state.tries;
        state.refused = refused.map(|reason| (number, size, reason));
        drop(state);
        self.board.changed.notify_all();
        Ok(())
    }

    /// Waits until there is a checkpoint to be cosigned and it is time to; `None` when there is nothing more.
    fn next(&self, asked_at: Option<Instant>) -> Option<(u64, String)> {
        let mut state = self.board.state();
        loop {
            let waiting = state.published > state.witnessed;
            let rest = asked_at.map_or(Duration::ZERO, |at| ASK_AGAIN.saturating_sub(at.elapsed()));
            let wanted = state.witness_wanted > state.witnessed && state.published >= state.witness_wanted;
            if waiting && (rest.is_zero() || wanted || state.all_published) {
                return Some((state.published, state.note.clone()));
            }
            if state.all_published || state.ended.is_some() {
                return None;
            }
            state = self.board.wait_for_change(state, waiting.then_some(rest));
        }
    }
}
