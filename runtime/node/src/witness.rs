//! The client of witnesses: collects cosignatures for a checkpoint under a trust policy, and asks what witnesses have
//! seen.
//!
//! For each witness of the policy that has a URL (its submission prefix, see [`chancery_tlog::witness`]): POST
//! `add-checkpoint` with the size that this witness cosigned last and the consistency proof from there. What the
//! witness says is trusted with nothing but its own signature: a cosignature is kept only where it verifies. A 409 with
//! a smaller size is normal, after a restart or when the witness was away: the proof is made anew from there.
//!
//! Two answers are alarms ([`Fault::is_alarm`]) and must stop a log that would go on signing: a witness that is *ahead*
//! has cosigned entries which this log does not have (a backup was restored, or another instance uses the key), and a
//! witness that has seen *another tree* at some size of this log holds the evidence of a fork.

use crate::http::{Http, below};
use chancery_tlog::Checkpoint;
use chancery_tlog::cosignature::WitnessKey;
use chancery_tlog::merkle::check_consistency;
use chancery_tlog::note::{NOTE_BYTES_MAX, open_with};
use chancery_tlog::policy::{Accepted, NotAccepted, Policy, Witness};
use chancery_tlog::witness::{Request, cosignature, monitor_path, parse_size};
use chancery_types::Hash;
use std::sync::{Mutex, PoisonError};

/// How often a witness is asked for one checkpoint: with the size it is remembered by, with the one that it answers,
/// and once more should another instance have come between.
const ATTEMPTS_MAX: usize = 3;
/// Characters of a witness's message that are shown.
const MESSAGE_CHARS_MAX: usize = 300;

/// A checkpoint with the cosignatures that its policy asks for.
#[derive(Clone, Debug)]
pub struct CosignedCheckpoint {
    /// The note, with the cosignatures among its signatures.
    pub note: String,
    /// What the policy accepted.
    pub accepted: Accepted,
    /// The witnesses that did not cosign.
    pub faults: Vec<WitnessFault>,
}

/// What a witness of the policy did instead of cosigning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessFault {
    /// Its name in the policy.
    pub witness: String,
    /// What it did.
    pub fault: Fault,
}

impl std::fmt::Display for WitnessFault {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "witness {}: {}", self.witness, self.fault)
    }
}

/// Why a witness did not cosign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It could not be asked.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// It refused.
    #[error("answered {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// It does not keep to the protocol.
    #[error("does not keep to the protocol: {0}")]
    Protocol(String),
    /// It has seen more of this log than there is.
    #[error(
        "has cosigned {seen} entries of this log, which has {size}: an older copy of the ledger was restored, or another instance signs with the same key"
    )]
    Ahead {
        /// Entries that it has seen.
        seen: u64,
        /// Entries that there are.
        size: u64,
    },
    /// It has seen another tree.
    #[error("has seen another tree of {size} entries under this origin: the log has forked. {message}")]
    Forked {
        /// At which size.
        size: u64,
        /// What it says.
        message: String,
    },
}

impl Fault {
    /// Whether this says that the log itself, not the witness, has gone wrong.
    pub fn is_alarm(&self) -> bool {
        matches!(self, Fault::Ahead { .. } | Fault::Forked { .. })
    }
}

/// Why a checkpoint is not cosigned as its policy asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// It is not a checkpoint of a log of the policy.
    #[error("the checkpoint cannot be cosigned under this policy: {0}")]
    Checkpoint(NotAccepted),
    /// Too few witnesses cosigned.
    #[error("{reason}{}", faults.iter().map(|fault| format!("; {fault}")).collect::<String>())]
    NoQuorum {
        /// Which quorum, and who has cosigned.
        reason: NotAccepted,
        /// The note with the cosignatures that there are.
        note: String,
        /// Why the others have not.
        faults: Vec<WitnessFault>,
    },
}

/// What a witness has seen of a log: the checkpoint, with its own cosignature verified; `None` where it has cosigned
/// none.
pub type Seen = Result<Option<Checkpoint>, Fault>;

/// Asks the witnesses of one policy, and remembers what they have cosigned.
#[derive(Debug)]
pub struct WitnessClient {
    policy: Policy,
    http: Http,
    /// Size that each witness cosigned last, as far as is known.
    sizes: Vec<Mutex<u64>>,
}

impl WitnessClient {
    /// A client for the witnesses of this policy.
    pub fn new(policy: Policy) -> Self {
        let sizes = policy.witnesses().iter().map(|_| Mutex::new(0)).collect();
        WitnessClient { policy, http: Http::default(), sizes }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Collects cosignatures for a checkpoint from all witnesses at once. `consistency` proves from a size to the
    /// checkpoint's.
    ///
    /// # Errors
    /// When the note is no checkpoint of a log of the policy, or the quorum is not reached.
    pub fn cosign(
        &self,
        checkpoint_note: &str,
        consistency: &(dyn Fn(u64) -> Option<Vec<Hash>> + Sync),
    ) -> Result<CosignedCheckpoint, WitnessError> {
        let opened = self.policy.open_without_quorum(checkpoint_note).map_err(WitnessError::Checkpoint)?;
        let has_cosigned = |number: usize| opened.cosigners.iter().any(|(cosigner, _)| *cosigner == number);
        let missing = self.policy.witnesses().iter().zip(&self.sizes).enumerate();
        let missing = missing.filter(|(number, _)| !has_cosigned(*number)).map(|(_, witness)| witness);
        let checkpoint = &opened.checkpoint;
        let (mut note, mut faults) = (checkpoint_note.to_string(), Vec::new());
        for (name, answer) in each(missing, |(witness, seen)| {
            let ask = || self.ask(witness, seen, checkpoint_note, checkpoint, consistency);
            (witness.name.clone(), ask())
        }) {
            match answer {
                Ok(line) => note.push_str(&line),
                Err(fault) => faults.push(WitnessFault { witness: name, fault }),
            }
        }
        match self.policy.open(&note) {
            Ok(accepted) => Ok(CosignedCheckpoint { note, accepted, faults }),
            Err(reason) => Err(WitnessError::NoQuorum { reason, note, faults }),
        }
    }

    /// What each witness of the policy that has a URL has cosigned of a log, by the witness's name.
    pub fn seen(&self, origin: &str) -> Vec<(String, Seen)> {
        let witnesses = self.policy.witnesses().iter().filter(|witness| witness.url.is_some());
        each(witnesses, |witness| (witness.name.clone(), self.latest(witness, origin)))
    }

    fn latest(&self, witness: &Witness, origin: &str) -> Seen {
        let url = below(witness.url.as_deref().unwrap_or_default(), &monitor_path(origin));
        let answer =
            self.http.get(&url, NOTE_BYTES_MAX as u64).map_err(|error| Fault::Unreachable(error.to_string()))?;
        match answer.status {
            200 => latest_of(&witness.key, &answer.body, origin).map(Some),
            404 => Ok(None),
            status => Err(Fault::Refused { status, message: shown(&answer.body) }),
        }
    }

    /// The cosignature line of one witness.
    fn ask(
        &self,
        witness: &Witness,
        seen: &Mutex<u64>,
        note: &str,
        checkpoint: &Checkpoint,
        consistency: &(dyn Fn(u64) -> Option<Vec<Hash>> + Sync),
    ) -> Result<String, Fault> {
        let size = checkpoint.size;
        let objection = |claim: String| self.objection(witness, checkpoint, consistency, claim);
        let url = witness.url.as_deref().ok_or(Fault::Unreachable("the policy has no URL for it".into()))?;
        let url = below(url, "add-checkpoint");
        // Held while asking, so that two checkpoints are not sent to one witness at once.
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut old = *seen;
        for _ in 0..ATTEMPTS_MAX {
            if old > size {
                return Err(objection(format!("says that it has seen {old} entries of a log of {size}")));
            }
            let proof = if old == 0 || old == size { Some(Vec::new()) } else { consistency(old) };
            let proof =
                proof.ok_or_else(|| Fault::Protocol(format!("there is no proof from its size {old} to {size}")))?;
            let request = Request { old, proof, checkpoint: note.into() };
            let answer = self.http.post(&url, &request.to_string(), NOTE_BYTES_MAX as u64);
            let answer = answer.map_err(|error| Fault::Unreachable(error.to_string()))?;
            match answer.status {
                200 => {
                    let line = cosignature(note, &String::from_utf8_lossy(&answer.body), &witness.key);
                    *seen = size;
                    return line.map_err(|error| Fault::Protocol(error.to_string()));
                }
                409 => match parse_size(&answer.body) {
                    Some(theirs) if theirs != old => old = theirs,
                    _ => {
                        return Err(Fault::Protocol(format!(
                            "409 to its own size {old}, with {}",
                            shown(&answer.body)
                        )));
                    }
                },
                422 => return Err(objection(format!("refuses the proof from {old} entries: {}", shown(&answer.body)))),
                status => return Err(Fault::Refused { status, message: shown(&answer.body) }),
            }
        }
        Err(Fault::Protocol(format!(
            "it named another size {ATTEMPTS_MAX} times; does another instance sign for this log?"
        )))
    }

    /// What a witness says against a log: it is believed as far as the checkpoint bears it out that it has signed. An
    /// answer alone may come from anybody who sits on the way, and must not stop a ledger.
    fn objection(
        &self,
        witness: &Witness,
        ours: &Checkpoint,
        consistency: &(dyn Fn(u64) -> Option<Vec<Hash>> + Sync),
        claim: String,
    ) -> Fault {
        let continued = |theirs: &Checkpoint| {
            let path = if theirs.size == ours.size { Some(Vec::new()) } else { consistency(theirs.size) };
            path.is_none_or(|path| check_consistency(theirs.size, ours.size, &path, &theirs.root, &ours.root))
        };
        match self.latest(witness, &ours.origin) {
            Ok(Some(theirs)) if theirs.size > ours.size => Fault::Ahead { seen: theirs.size, size: ours.size },
            Ok(Some(theirs)) if theirs.size > 0 && !continued(&theirs) => {
                Fault::Forked { size: theirs.size, message: format!("It {claim}") }
            }
            _ => Fault::Protocol(format!("{claim}, and no checkpoint that it signed bears it out")),
        }
    }
}

/// What the witnesses of a policy say against a log at its start: those that are ahead of it, or have cosigned another
/// tree. `root_at` gives the log's root at a size that it has. Witnesses that cannot be asked are returned too;
/// [`Fault::is_alarm`] tells them apart.
pub fn objections(
    client: &WitnessClient,
    origin: &str,
    size: u64,
    root_at: impl Fn(u64) -> Option<Hash>,
) -> Vec<WitnessFault> {
    let objection = |(witness, seen): (String, Seen)| {
        let fault = match seen {
            Ok(None) => return None,
            Ok(Some(seen)) if seen.size > size => Fault::Ahead { seen: seen.size, size },
            Ok(Some(seen)) if seen.size == 0 || root_at(seen.size) == Some(seen.root) => return None,
            Ok(Some(seen)) => Fault::Forked { size: seen.size, message: format!("It cosigned the root {}", seen.root) },
            Err(fault) => fault,
        };
        Some(WitnessFault { witness, fault })
    };
    client.seen(origin).into_iter().filter_map(objection).collect()
}

/// The checkpoint that a witness says is its latest.
fn latest_of(key: &WitnessKey, body: &[u8], origin: &str) -> Result<Checkpoint, Fault> {
    let note = std::str::from_utf8(body).map_err(|_| Fault::Protocol("its latest checkpoint is not UTF-8".into()))?;
    let opened = open_with(note, &[key]).and_then(|opened| Checkpoint::parse(opened.text));
    let checkpoint = opened.map_err(|error| Fault::Protocol(error.to_string()))?;
    if checkpoint.origin == origin {
        Ok(checkpoint)
    } else {
        Err(Fault::Protocol(format!("its latest checkpoint is of {}; expected {origin}", checkpoint.origin)))
    }
}

/// What `ask` gives for each, asked at the same time, in order.
fn each<T: Send, R: Send>(of: impl Iterator<Item = T>, ask: impl Fn(T) -> R + Sync) -> Vec<R> {
    let ask = &ask;
    std::thread::scope(|scope| {
        let threads: Vec<_> = of.map(|one| scope.spawn(move || ask(one))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// A witness's words, as far as they are shown: printable and short.
fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.trim().chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS_MAX).collect()
}
