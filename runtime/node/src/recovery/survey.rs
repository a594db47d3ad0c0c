//! Going through a journal: what it holds, and what of it the view lacks.

use crate::journal::{Frame, FrameKind, Location, Locations};
use crate::replay::Replay;
use crate::requests::Requests;
use crate::summary::Summary;
use crate::{Head, NodeError, decode};
use chancery_state::view::Position;
use chancery_tlog::merkle;
use chancery_types::codec::Encode;
use chancery_types::{Entry, Hash, LedgerId, Record, RequestId};

/// What a journal holds, up to its last seal.
pub(crate) struct Log {
    pub(crate) id: LedgerId,
    pub(crate) origin: String,
    /// The hashes of its entries.
    pub(crate) tree: merkle::Tree,
    pub(crate) requests: Requests,
    pub(crate) head: Head,
    /// The hash of the last seal.
    pub(crate) last: Hash,
}

/// A journal that is being gone through.
pub(super) struct Survey {
    /// As far as it is sealed.
    pub(super) log: Log,
    pub(super) locations: Locations,
    /// Leaves and request ids of the block that is not sealed yet.
    open: (Vec<Hash>, Vec<(RequestId, u64)>),
    /// The hash of the entry before.
    previous: Hash,
    pub(super) replay: Replay,
}

impl Survey {
    /// Of a journal from its first entry on.
    pub(super) fn new(replay: Replay) -> Result<Self, NodeError> {
        let log = Log {
            id: LedgerId::default(),
            origin: String::new(),
            tree: merkle::Tree::recent(),
            requests: Requests::new()?,
            head: Head::default(),
            last: Hash::default(),
        };
        Ok(Survey { log, locations: Locations::default(), open: Default::default(), previous: Hash::default(), replay })
    }

    /// What a summary says, as if the journal had been gone through up to its mark; `None` where its entries are not
    /// those that must stand there.
    pub(super) fn resumed(summary: Summary, replay: Replay) -> Option<Self> {
        let Summary { locations, log, requests, genesis, seal, .. } = summary;
        let Record::Genesis { origin, .. } = &genesis.record else { return None };
        let last = Hash::of(&seal.to_bytes());
        let log = Log {
            id: LedgerId(Hash::of(&genesis.to_bytes()).0),
            origin: origin.clone(),
            tree: log,
            requests,
            head: head(&seal)?,
            last,
        };
        Some(Survey { log, locations, open: Default::default(), previous: last, replay })
    }

    /// Takes a frame in.
    pub(super) fn take(&mut self, frame: Frame<'_>, location: Location) -> Result<(), NodeError> {
        match frame.kind {
            FrameKind::Entry => self.take_entry(frame, location),
            FrameKind::Effects => {
                if self.replay.needs_writes(frame.index) {
                    self.replay.write(decode::effects(frame.index, frame.payload)?.writes);
                }
                Ok(())
            }
        }
    }

    fn take_entry(&mut self, frame: Frame<'_>, location: Location) -> Result<(), NodeError> {
        let entry = decode::entry(frame.index, frame.payload)?;
        if entry.version != entry.record.version() || entry.index != frame.index || entry.previous != self.previous {
            let problem = "version, index or previous hash do not fit".into();
            return Err(NodeError::Inconsistent { index: frame.index, problem });
        }
        self.previous = Hash::of(frame.payload);
        self.open.0.push(merkle::leaf_hash(frame.payload));
        self.locations.push(location);
        if let Some(head) = head(&entry) {
            let log = &mut self.log;
            self.open.0.drain(..).for_each(|leaf| log.tree.push(leaf));
            self.open.1.drain(..).for_each(|(request, index)| log.requests.insert(request, index));
            let position = Position { height: head.height, root: head.state_root, entries: head.size };
            (log.head, log.last) = (head, self.previous);
            self.replay.sealed(position)?;
        }
        match entry.record {
            Record::Genesis { origin, .. } => (self.log.id, self.log.origin) = (LedgerId(self.previous.0), origin),
            Record::Call { signed, .. } => self.open.1.push((signed.call.request, frame.index)),
            Record::Seal { .. } => {}
        }
        Ok(())
    }
}

/// The end of the log that a seal makes, without the Merkle root, which no entry says.
fn head(seal: &Entry) -> Option<Head> {
    let Record::Seal { height, state_root, keys, .. } = seal.record else { return None };
    Some(Head { size: seal.index + 1, root: Hash::default(), height, state_root, keys, time: seal.time })
}
