//! Publication: tiles, entry bundles and the signed checkpoint, so that a plain web server makes the log public.
//!
//! ```text
//! DIR/public/checkpoint               the signed checkpoint (C2SP tlog-checkpoint v1.0.0), with its cosignatures
//! DIR/public/tile/<L>/<N>[.p/<W>]     hashes (C2SP tlog-tiles v0.1.0)
//! DIR/public/tile/entries/<N>[.p/<W>] entries
//! ```
//!
//! `DIR/public` holds nothing else and is a complete public log. All of it is derived from the journal.
//!
//! # Order
//!
//! A publication goes from the published size to that of the last committed block, which the journal holds durably:
//!
//! 1. all new tiles and bundles are written under temporary names, made durable, renamed, and their directories made
//!    durable: in one pass, however many they are. A crash before the end leaves files that no checkpoint covers, or
//!    temporary ones that nobody reads;
//! 2. the checkpoint is signed and replaces the old one, durably: **the log is public up to here**. A crash before it
//!    leaves the old checkpoint;
//! 3. partial tiles whose full tile is there now are removed. A crash before it leaves a few files too many.
//!
//! Partial tiles of every published size stay until their full tile is there, as tlog-tiles demands.
//!
//! While blocks keep coming the log is published once a second, and as soon as 4,096 entries wait for it; whoever waits
//! for it has it published at once, with all that is committed then; and it is published at close. When the disk is
//! full, it is tried again; any other error stops the ledger.
//!
//! On opening, what the published checkpoint covers is looked over: every tile must be there with its length and every
//! bundle must be there, and those at the right edge must have the right content. What is not is written again. What is
//! damaged further left is found by `log verify` on an export.

mod board;
mod cosigner;
mod public_log;

pub(crate) use board::Board;
pub(crate) use cosigner::Cosigner;
pub(crate) use public_log::PublicLog;

use crate::NodeError;
use crate::content::Content;
use crate::failpoint;
use crate::health::Health;
use crate::witness::WitnessClient;
use ed25519_dalek::SigningKey;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the log is published while blocks keep coming and nobody waits for it.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// Entries with which a publication does not wait for its time: so little is left to be published at close.
const PUBLISH_ENTRIES: u64 = 4_096;
/// How often a publication is tried again when the disk is full.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Why nothing more is published or cosigned.
const CLOSED: &str = "the ledger is closed";

/// How much must have happened before a call is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Level {
    /// It is in the journal, durably.
    #[default]
    Logged,
    /// A signed checkpoint that covers it is public, with all its tiles.
    Published,
    /// That checkpoint has the cosignatures that the policy asks for.
    Witnessed,
}

/// What publishes, on a thread of its own.
pub(crate) struct Publisher {
    pub(crate) public: PublicLog,
    pub(crate) content: Content,
    pub(crate) origin: String,
    pub(crate) key: SigningKey,
    pub(crate) board: Arc<Board>,
    pub(crate) witnesses: Option<Arc<WitnessClient>>,
    pub(crate) health: Arc<Health>,
}

impl Publisher {
    /// What collects cosignatures, where there are witnesses.
    pub(crate) fn cosigner(&self) -> Option<Cosigner> {
        let client = self.witnesses.clone()?;
        let Publisher { public, content, board, health, .. } = self;
        let (public, content, board, health) = (public.clone(), content.clone(), board.clone(), health.clone());
        Some(Cosigner { public, content, board, client, health })
    }

    /// Brings the public log to the head of a ledger that is being opened. `published` is the size that its checkpoint
    /// covers.
    pub(crate) fn open(&self, published: u64, head: u64) -> Result<(), NodeError> {
        let note = self.public.checkpoint()?.unwrap_or_default();
        self.board.change(|state| {
            (state.committed, state.published, state.note) = (head, published, note);
            state.has_witnesses = self.witnesses.is_some();
        });
        self.health.metrics.published(published);
        let publish = || if published < head { self.publish(published, head) } else { Ok(()) };
        match self.public.repair(&self.content, published).and_then(|()| publish()) {
            // The ledger serves all the same; publishing is tried again.
            Err(NodeError::DiskFull) => Ok(()),
            done => done,
        }
    }

    /// Publishes what is committed, now.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn step(&self) -> Result<(), NodeError> {
        let (old, new) = {
            let state = self.board.state();
            (state.published, state.committed)
        };
        if old < new { self.publish(old, new) } else { Ok(()) }
    }

    /// Publishes until nothing more is committed and all is public.
    pub(crate) fn run(self) {
        let mut published_at = Instant::now();
        while let Some((old, new)) = self.next(published_at) {
            match self.publish(old, new) {
                Ok(()) => {}
                Err(NodeError::DiskFull) if !self.board.state().closing => {
                    self.board.change(|state| state.full += 1);
                    std::thread::sleep(RETRY_EVERY);
                }
                Err(error) => {
                    let reason = error.to_string();
                    // Without room the journal is whole and the next opening publishes.
                    if !matches!(error, NodeError::DiskFull) {
                        self.health.stop(&error);
                    }
                    return self.board.end(&reason);
                }
            }
            published_at = Instant::now();
        }
        self.board.change(|state| state.all_published = true);
        if self.witnesses.is_none() {
            self.board.end(CLOSED);
        }
    }

    /// Waits until there is something to publish and it is time to; `None` when all is published and nothing more will
    /// come.
    fn next(&self, published_at: Instant) -> Option<(u64, u64)> {
        let mut state = self.board.state();
        loop {
            let waiting = state.committed > state.published;
            let rest = PUBLISH_EVERY.saturating_sub(published_at.elapsed());
            if waiting && (state.is_urgent() || state.closing || rest.is_zero()) {
                return Some((state.published, state.committed));
            }
            if state.closing {
                return None;
            }
            state = self.board.wait_for_change(state, waiting.then_some(rest));
        }
    }

    fn publish(&self, old: u64, new: u64) -> Result<(), NodeError> {
        if old == new {
            return Ok(());
        }
        failpoint::pass("publish");
        let start = Instant::now();
        self.public.extend(&self.content, old, new)?;
        let note = self.content.checkpoint(&self.origin, new)?.sign(&self.key);
        self.public.put_checkpoint(&note)?;
        self.public.tidy(old, new);
        self.board.change(|state| (state.published, state.note) = (new, note));
        self.health.metrics.published(new);
        self.health.metrics.publish.since(start);
        Ok(())
    }
}
